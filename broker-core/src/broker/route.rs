//! From a published message to its subscribers.
//!
//! A publish to few is done at once. A publish to many becomes a job that goes on in [`Broker::deliver`]; until it is
//! done, later publishes wait behind it, so that order holds ([MQTT-4.6.0-5], [MQTT-4.6.0-6]). The acknowledgement
//! follows the last delivery: an ack means that every durable subscriber has the message.
use super::Broker;
use super::ledger::Ledger;
use super::session::{Sessions, Slot};
use crate::link::{DropReason, Effects, FromBroker, LinkId, PublishOutcome};
use crate::message::{Message, PacketId, QoS};
use crate::record::SessionId;
use crate::routes::Match;
use std::collections::VecDeque;

/// What the publisher hears when its message is routed.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing.
    None,
    /// PUBACK on this link.
    Puback { link: LinkId, packet_id: PacketId },
    /// PUBCOMP, and the id is free.
    Pubcomp { slot: Slot, id: SessionId, packet_id: PacketId },
}

/// A message on its way to its subscribers.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) message: Message,
    pub(super) answer: Answer,
}

/// A subscriber that a job still has to serve.
#[derive(Debug)]
struct Target {
    slot: Slot,
    qos: QoS,
    id: SessionId,
}

/// A fan-out that was cut.
#[derive(Debug)]
struct Job {
    publication: Publication,
    targets: Vec<Target>,
    next: usize,
}

/// Fan-outs that go on, and what waits behind them.
#[derive(Debug, Default)]
pub(super) struct Work {
    job: Option<Job>,
    waiting: VecDeque<Publication>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.job.is_none() && self.waiting.is_empty()
    }
}

impl Broker {
    /// Routes a message, now or when those before it are done.
    #[inline]
    pub(super) fn submit(&mut self, publication: Publication, out: &mut Effects) {
        if self.work.is_empty() {
            let slice = self.ledger.limits.slice_deliveries;
            self.route(publication, slice, out);
        } else {
            self.submit_behind(publication, out);
        }
    }

    #[cold]
    fn submit_behind(&mut self, publication: Publication, out: &mut Effects) {
        self.work.waiting.push_back(publication);
        if self.work.waiting.len() > self.ledger.limits.backlog_max {
            // Publishers outrun the slices: this call does the work itself, which slows them down.
            self.finish_routing(out);
        }
    }

    /// Does all that waits, whatever it costs.
    pub(super) fn finish_routing(&mut self, out: &mut Effects) {
        while !self.work.is_empty() {
            self.go_on_routing(usize::MAX, out);
        }
    }

    /// Goes on with what was cut or waits; returns what is left of the budget.
    pub(super) fn go_on_routing(&mut self, mut budget: usize, out: &mut Effects) -> usize {
        while budget > 0 {
            if let Some(job) = self.work.job.take() {
                budget = self.go_on_with(job, budget, out);
            } else if let Some(publication) = self.work.waiting.pop_front() {
                budget = self.route(publication, budget, out);
            } else {
                break;
            }
        }
        budget
    }

    /// Finds the subscribers and serves them, `budget` of them now. Returns what is left of the budget.
    fn route(&mut self, publication: Publication, budget: usize, out: &mut Effects) -> usize {
        if publication.message.retain() {
            self.keep_retained(&publication.message, out);
        }
        if let Answer::Pubcomp { slot, id, packet_id } = publication.answer {
            self.release_received(slot, id, packet_id, out);
        }
        self.routes.matches(publication.message.topic_name(), &mut self.matches);
        if !self.ledger.limits.overlapping_each {
            self.matches.merge_overlaps(); // [MQTT-3.3.5-1]
        }
        let count = self.matches.direct().len() + self.matches.groups().len();
        if count == 0 {
            self.ledger.counters.drops.add(DropReason::NoSubscriber);
        } else if count > budget {
            let job = self.cut(publication, out);
            return self.go_on_with(job, budget, out);
        }
        let Broker { sessions, ledger, routes, matches, .. } = self;
        for found in matches.direct() {
            offer(sessions, ledger, out, &publication.message, found.key.0, found.qos);
        }
        for group in matches.groups() {
            if let Some(found) = routes.pick(*group, |key| sessions.is_active(key.0)) {
                offer(sessions, ledger, out, &publication.message, found.key.0, found.qos);
            }
        }
        self.answer(publication.answer, out);
        (budget - count).saturating_sub(1)
    }

    /// Makes a job of the fan-out that was just matched.
    #[cold]
    fn cut(&mut self, publication: Publication, out: &mut Effects) -> Job {
        let Broker { sessions, ledger, routes, matches, .. } = self;
        let exactly_once = publication.message.qos() == QoS::ExactlyOnce && ledger.recording;
        let mut targets = Vec::with_capacity(matches.direct().len() + matches.groups().len());
        let mut add = |sessions: &mut Sessions, found: Match| {
            let slot = found.key.0;
            let Some(session) = sessions.get(slot) else { return };
            if exactly_once && session.durable {
                // The release of the stored message and all durable copies are one commit: a crash between two
                // slices would route it a second time to those of the first.
                offer(sessions, ledger, out, &publication.message, slot, found.qos);
            } else {
                targets.push(Target { slot, qos: found.qos, id: session.id });
            }
        };
        for found in matches.direct() {
            add(sessions, *found);
        }
        for group in matches.groups() {
            if let Some(found) = routes.pick(*group, |key| sessions.is_active(key.0)) {
                add(sessions, found);
            }
        }
        Job { publication, targets, next: 0 }
    }

    fn go_on_with(&mut self, mut job: Job, budget: usize, out: &mut Effects) -> usize {
        let end = job.next.saturating_add(budget).min(job.targets.len());
        let slice = job.targets.get(job.next..end).unwrap_or_default();
        for target in slice {
            // The session may be gone, and its slot another's.
            if self.sessions.get_same(target.slot, target.id).is_some() {
                let message = &job.publication.message;
                offer(&mut self.sessions, &mut self.ledger, out, message, target.slot, target.qos);
            }
        }
        let left = budget - slice.len();
        job.next = end;
        if end < job.targets.len() {
            self.work.job = Some(job);
            0
        } else {
            self.answer(job.publication.answer, out);
            left.saturating_sub(1)
        }
    }

    /// The message is routed: the publisher hears so.
    #[inline]
    pub(super) fn answer(&mut self, answer: Answer, out: &mut Effects) {
        match answer {
            Answer::None => {}
            Answer::Puback { link, packet_id } => {
                // A publisher that is gone asks again with DUP on its next link.
                if self.links.session(link).is_some() {
                    let outcome = PublishOutcome::Accepted;
                    out.events.push((link, FromBroker::Puback { packet_id, outcome }));
                }
            }
            Answer::Pubcomp { slot, id, packet_id } => self.complete_received(slot, id, packet_id, out),
        }
    }
}

/// One delivery, at the lower of the two QoS, without RETAIN: it answers no new subscription ([MQTT-3.3.1-9]).
#[inline]
fn offer(
    sessions: &mut Sessions,
    ledger: &mut Ledger,
    out: &mut Effects,
    message: &Message,
    slot: Slot,
    granted: QoS,
) {
    let Some(session) = sessions.get_mut(slot) else { return };
    if ledger.acl.may_receive(&session.name, session.username(), || session.is_local(), message) {
        session.offer(ledger, out, message, granted.min(message.qos()), false);
    } else {
        ledger.counters.drops.add(DropReason::Denied);
    }
}
