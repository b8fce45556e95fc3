//! Sleeping devices: Pause, Drain, Wake, Resume.
//!
//! ```text
//!   Pause ──► Asleep ── Drain ──► Draining ── all of the burst is done, or one was given up ──► Drained, Asleep
//!               │ sleep time over: will, Closed(SleepExpired)
//!               └─ Wake ──► Active
//! ```
//! A sleeper's session is durable from its first Pause, whatever its clean flag: a restart must not lose what waits
//! for it. A clean one that is awake when the broker stops is not brought back.
use super::Broker;
use super::attach::PendingAttach;
use super::attach::attached_of;
use super::ledger::Ledger;
use super::session::{Flow, Session, Slot};
use crate::link::{CloseReason, Effects, FromBroker, LinkId, RefuseReason, Resume};
use crate::record::Record;
use crate::time::Instant;
use std::time::Duration;

impl Broker {
    pub(super) fn on_pause(&mut self, slot: Slot, duration: Option<Duration>, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.ground_flight();
        session.flow = Flow::Asleep;
        session.sleep_ms =
            duration.map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        if !session.queue_qos0.asleep {
            session.drop_qos0(&mut self.ledger, out);
        }
        if session.durable {
            session.record_waiting(&self.ledger, out);
            if !session.will_is_session_state {
                session.record_will(&self.ledger, out); // it became durable
            }
        } else {
            session.durable = true;
            session.record_whole(&mut self.ledger, out);
        }
        if self.ledger.recording {
            out.records.push(Record::Asleep { session: session.id, duration_ms: session.sleep_ms });
        }
        session.start_sleep_timer(&mut self.ledger);
        session.replay_into_queue(&mut self.ledger);
    }

    /// Attaches to a sleeping session without a CONNECT.
    pub(super) fn on_resume(&mut self, link: LinkId, resume: Box<Resume>, out: &mut Effects) {
        if self.authentication {
            let (name, credentials) = (resume.name.clone(), resume.credentials.clone());
            self.ask(link, name, credentials, PendingAttach::Resume(resume), out);
        } else {
            self.resume(link, *resume, out);
        }
    }

    pub(super) fn resume(&mut self, link: LinkId, resume: Resume, out: &mut Effects) {
        let asleep = self.sessions.find(&resume.name).filter(|slot| {
            self.sessions.get(*slot).is_some_and(|s| matches!(s.flow, Flow::Asleep | Flow::Draining))
        });
        let Some(slot) = asleep else {
            return self.refuse(link, resume.name, RefuseReason::NoSession, resume.credentials.remote, out);
        };
        if !self.leave_for(link, Some(slot), out) {
            return self.refuse(link, resume.name, RefuseReason::Busy, resume.credentials.remote, out);
        }
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if let Some(old) = session.link.take() {
            *attached_of(&session.name, &mut self.attached, &mut self.attached_own) -= 1;
            if old != link {
                self.links.end(old);
                self.ledger.counters.takeovers += 1;
                out.events.push((old, FromBroker::Closed(CloseReason::TakenOver)));
            }
        }
        session.ground_flight();
        session.flow = Flow::Asleep;
        session.take_link(link, resume.window, resume.credit, &resume.credentials);
        session.start_sleep_timer(&mut self.ledger);
        out.events.push((link, session.connack(true)));
        let own = session.name.is_own();
        self.links.attach(link, slot);
        self.count_attached(own);
    }

    /// A sleeper did not come back in time: it is lost. Its will goes out and its session ends or goes offline, also
    /// when no front-end is there any more.
    pub(super) fn lose_sleeper(&mut self, slot: Slot, out: &mut Effects) {
        self.ledger.counters.sleeps_expired += 1;
        self.lose(slot, Some(CloseReason::SleepExpired), out);
    }
}

impl Session {
    /// Everything of this session as records: it becomes durable.
    pub(super) fn record_whole(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        if !ledger.recording {
            return;
        }
        let session = self.id;
        out.records.push(self.opened());
        if self.link.is_some() {
            out.records.push(Record::Attached { session });
        }
        for held in &self.subscriptions {
            let filter = Box::from(held.filter.as_str());
            out.records.push(Record::Subscribed { session, filter, qos: held.qos });
        }
        for received in self.incoming.iter().flat_map(|incoming| incoming.iter()) {
            // One that is being routed is no longer stored.
            if !received.routed {
                let (packet_id, message) = (received.packet_id, received.message.clone());
                out.records.push(Record::Received { session, packet_id, message });
            }
        }
        if !self.memo.is_empty() {
            out.records.push(Record::MemoReplaced { session, bytes: self.memo_bytes() });
        }
        if self.will.is_some() {
            self.record_will(ledger, out);
        }
        self.record_waiting(ledger, out);
    }

    /// The sleep time counts from now.
    pub(super) fn start_sleep_timer(&mut self, ledger: &mut Ledger) {
        self.deadline = match self.sleep_ms {
            0 => Instant::FAR_FUTURE,
            sleep => ledger.now.instant + Duration::from_millis(sleep),
        };
        self.arm(ledger.now.instant, &mut ledger.timers);
    }

    /// The device is awake for a moment: it gets what waits now, given-up messages too.
    pub(super) fn on_drain(&mut self, ledger: &mut Ledger, out: &mut Effects, max: u32) {
        match self.flow {
            Flow::Asleep => self.resend_all(),
            Flow::Draining => {}
            Flow::Active | Flow::Offline => {
                // Not asleep: there is no burst to end.
                if let Some(link) = self.link {
                    out.events.push((link, FromBroker::Drained));
                }
                return;
            }
        }
        self.flow = Flow::Draining;
        self.deadline = Instant::FAR_FUTURE; // stopped while awake
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.burst.mark = ledger.next_seq();
            outgoing.burst.left = max;
        }
        self.pump(ledger, out);
    }

    /// Ends the burst when nothing of it is left.
    pub(super) fn end_burst_when_done(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        let more = self.outgoing.as_ref().is_some_and(|outgoing| {
            let left = outgoing.burst.left > 0;
            let queued = outgoing.queue.has_before(outgoing.burst.mark);
            outgoing.flight.release_is_idle() || (left && (outgoing.flight.idle() > 0 || queued))
        });
        if self.in_flight == 0 && !more {
            self.end_burst(ledger, out);
        }
    }

    /// The burst is over: asleep again, and the sleep time starts anew.
    pub(super) fn end_burst(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        self.ground_flight();
        self.flow = Flow::Asleep;
        self.start_sleep_timer(ledger);
        if let Some(link) = self.link {
            out.events.push((link, FromBroker::Drained));
        }
    }

    /// Whether the session ends with its link may change while it has one: a sleeper said CONNECT again.
    pub(super) fn on_clean(&mut self, ledger: &mut Ledger, out: &mut Effects, clean: bool) {
        if std::mem::replace(&mut self.clean, clean) == clean {
            return;
        }
        if !clean && !self.durable {
            self.durable = true;
            self.record_whole(ledger, out);
        } else if self.records(ledger) {
            out.records.push(self.opened());
        }
    }

    /// The device is active again on its link.
    pub(super) fn on_wake(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        match self.flow {
            Flow::Asleep => self.resend_all(),
            Flow::Draining => {} // what is on its way arrives
            Flow::Active | Flow::Offline => return,
        }
        if self.records(ledger) {
            out.records.push(Record::Awake { session: self.id });
        }
        self.flow = Flow::Active;
        self.deadline = Instant::FAR_FUTURE;
        self.pump(ledger, out);
    }
}
