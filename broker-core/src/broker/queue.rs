//! The one queue of a session, and its policy.
//!
//! Two lists, QoS 0 and QoS 1/2, each in order; every message knows its place (`seq`) in the whole. The next to go is
//! the one with the smaller place. Only a QoS 0 message may pass QoS 1/2 ones, when those lack a slot of the window;
//! never the reverse. Nothing goes without byte credit.
//!
//! ```text
//!   offer ──► [goes at once: attached, awake, credit, nothing before it] ──────────────► link
//!        └──► queue (QoS 0 │ QoS 1/2) ──► pump: Credit, Puback, Pubcomp, Connect, Drain ──► link
//! ```
//! When the queue is full, the oldest QoS 0 messages make room for a QoS 1/2 one; else the newcomer is dropped.
use super::ledger::Ledger;
use super::outgoing::{Asked, queued_record};
use super::session::{Flow, Session};
use crate::link::{DELIVERY_OVERHEAD, Delivery, DropReason, Effects, FromBroker, MessageFate};
use crate::message::{Message, QoS};
use crate::record::SessionId;
use crate::time::Instant;
use std::collections::VecDeque;

/// Messages that an empty queue keeps room for.
pub(super) const ROOM_KEPT: usize = 16;

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) message: Message,
    pub(super) expires: Instant,
    pub(super) asked: Option<Box<Asked>>,
    /// Of the delivery.
    pub(super) qos: QoS,
    /// Of the delivery.
    pub(super) retain: bool,
    /// There is a record of it.
    pub(super) recorded: bool,
}

/// The waiting messages of a session.
#[derive(Debug, Default)]
pub(super) struct Queue {
    qos0: VecDeque<Waiting>,
    qos12: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.qos0.len() + self.qos12.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A message waits that was queued before `mark`.
    pub(super) fn has_before(&self, mark: u64) -> bool {
        [self.qos0.front(), self.qos12.front()].into_iter().flatten().any(|waiting| waiting.seq < mark)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.qos0.is_empty() && self.qos12.is_empty()
    }

    /// Gives the room of a long queue back that is empty now.
    pub(super) fn shrink(&mut self) {
        self.qos0.shrink_to(ROOM_KEPT);
        self.qos12.shrink_to(ROOM_KEPT);
    }

    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.message.cost();
        match waiting.qos {
            QoS::AtMostOnce => self.qos0.push_back(waiting),
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.qos12.push_back(waiting),
        }
    }

    /// Puts a message in its place: when records are replayed, which are in order but for late QoS 0 ones.
    pub(super) fn insert(&mut self, waiting: Waiting) {
        self.bytes += waiting.message.cost();
        let list = match waiting.qos {
            QoS::AtMostOnce => &mut self.qos0,
            QoS::AtLeastOnce | QoS::ExactlyOnce => &mut self.qos12,
        };
        let at = list.partition_point(|held| held.seq < waiting.seq);
        list.insert(at, waiting);
    }

    fn count_out(&mut self, waiting: Option<Waiting>) -> Option<Waiting> {
        if let Some(waiting) = &waiting {
            self.bytes -= waiting.message.cost();
        }
        waiting
    }

    fn pop_qos0(&mut self) -> Option<Waiting> {
        let popped = self.qos0.pop_front();
        self.count_out(popped)
    }

    fn pop_qos12(&mut self) -> Option<Waiting> {
        let popped = self.qos12.pop_front();
        self.count_out(popped)
    }

    /// The message with the smallest place.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        match (self.qos0.front(), self.qos12.front()) {
            (Some(zero), Some(other)) if zero.seq < other.seq => self.pop_qos0(),
            (Some(_), None) => self.pop_qos0(),
            (Some(_) | None, Some(_)) => self.pop_qos12(),
            (None, None) => None,
        }
    }

    /// Takes the message in this place out, when records are replayed.
    pub(super) fn remove(&mut self, seq: u64) -> Option<Waiting> {
        let at = |list: &VecDeque<Waiting>| list.binary_search_by_key(&seq, |held| held.seq).ok();
        let removed = if let Some(at) = at(&self.qos12) {
            self.qos12.remove(at)
        } else {
            at(&self.qos0).and_then(|at| self.qos0.remove(at))
        };
        self.count_out(removed)
    }

    /// Takes out the QoS 0 messages that `which` names.
    pub(super) fn take_qos0(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        take_out(&mut self.qos0, &mut self.bytes, which)
    }

    /// Takes out what has expired at `now`.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Waiting> {
        let mut expired = take_out(&mut self.qos0, &mut self.bytes, |waiting| waiting.expires <= now);
        expired.extend(take_out(&mut self.qos12, &mut self.bytes, |waiting| waiting.expires <= now));
        expired
    }

    pub(super) fn first_expiry(&self) -> Instant {
        self.iter().map(|waiting| waiting.expires).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// All that waits, QoS 0 first, each list in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.qos0.iter().chain(self.qos12.iter())
    }

    /// Records what is not recorded yet.
    pub(super) fn record_all(&mut self, session: SessionId, ledger: &Ledger, out: &mut Effects) {
        for waiting in self.qos0.iter_mut().chain(self.qos12.iter_mut()) {
            if !waiting.recorded {
                waiting.recorded = true;
                out.records.push(waiting.record(session, ledger));
            }
        }
    }
}

fn take_out(
    list: &mut VecDeque<Waiting>,
    bytes: &mut usize,
    which: impl Fn(&Waiting) -> bool,
) -> Vec<Waiting> {
    if !list.iter().any(&which) {
        return Vec::new();
    }
    let (out, keep): (Vec<Waiting>, Vec<Waiting>) = list.drain(..).partition(which);
    list.extend(keep);
    *bytes -= out.iter().map(|waiting| waiting.message.cost()).sum::<usize>();
    out
}

impl Waiting {
    pub(super) fn record(&self, session: SessionId, ledger: &Ledger) -> crate::record::Record {
        let content = (&self.message, self.qos, self.retain);
        queued_record(session, self.seq, content, ledger.unix_of(self.expires), self.asked.as_deref())
    }
}

/// What goes next.
enum Next {
    Resend,
    Qos12,
    Qos0,
    Nothing,
}

impl Session {
    /// A message for this session: goes at once when it may, waits when it must, is dropped when it cannot.
    #[inline]
    pub(super) fn offer(
        &mut self,
        ledger: &mut Ledger,
        out: &mut Effects,
        message: &Message,
        qos: QoS,
        retain: bool,
    ) {
        // Whatever may go has gone (`pump` is called after every change), so with credit left only QoS 1/2 messages
        // without a slot can be waiting, and those a QoS 0 message may pass.
        if self.flow == Flow::Active && self.credit > 0 {
            match qos {
                QoS::AtMostOnce => {
                    self.send(
                        ledger,
                        out,
                        Delivery {
                            message: message.clone(),
                            packet_id: None,
                            qos,
                            dup: false,
                            retain,
                            expires_unix_ms: 0,
                        },
                    );
                    return;
                }
                QoS::AtLeastOnce | QoS::ExactlyOnce => {
                    if self.in_flight < self.window && self.nothing_before(ledger, message) {
                        self.launch_new(ledger, out, message, qos, retain);
                        return;
                    }
                }
            }
        }
        self.hold(
            ledger,
            out,
            Offer { message: message.clone(), qos, retain, expires: Instant::FAR_FUTURE, asked: None },
        );
    }

    /// No message waits, and the bytes in flight and those of all sessions allow this one.
    #[inline]
    fn nothing_before(&self, ledger: &Ledger, message: &Message) -> bool {
        if ledger.held_bytes + message.cost() > ledger.limits.queue_bytes_total_max {
            return false;
        }
        self.outgoing.as_ref().is_none_or(|outgoing| {
            outgoing.queue.is_empty()
                && outgoing.flight.idle() == 0
                && outgoing.flight.has_room(message.cost(), &ledger.limits)
        })
    }

    /// Hands a delivery to the link.
    #[inline]
    pub(super) fn send(&mut self, ledger: &mut Ledger, out: &mut Effects, delivery: Delivery) {
        let Some(link) = self.link else { return };
        let cost = delivery.message.cost() + DELIVERY_OVERHEAD;
        self.credit = self.credit.saturating_sub(i32::try_from(cost).unwrap_or(i32::MAX));
        ledger.counters.publish_sent.add(delivery.qos);
        ledger.counters.publish_bytes_sent += delivery.message.payload().len() as u64;
        out.events.push((link, FromBroker::Publish(delivery)));
    }

    /// Puts a message into the queue, or drops it.
    pub(super) fn hold(&mut self, ledger: &mut Ledger, out: &mut Effects, offer: Offer) {
        if let Err(reason) = self.make_room(ledger, out, &offer) {
            ledger.counters.drops.add(reason);
            self.tell(ledger, offer.asked, Some(offer.message), MessageFate::Dropped(reason));
            return;
        }
        ledger.hold(offer.message.cost());
        let recorded = self.records(ledger)
            && (offer.qos != QoS::AtMostOnce || offer.asked.is_some() || self.records_qos0());
        let id = self.id;
        let waiting = Waiting {
            seq: ledger.take_seq(),
            message: offer.message,
            expires: offer.expires,
            asked: offer.asked,
            qos: offer.qos,
            retain: offer.retain,
            recorded,
        };
        if recorded {
            out.records.push(waiting.record(id, ledger));
        }
        let expires = waiting.expires;
        let outgoing = self.outgoing_mut(ledger);
        outgoing.first_expiry = outgoing.first_expiry.min(expires);
        outgoing.queue.push(waiting);
        if expires != Instant::FAR_FUTURE {
            self.arm(ledger.now.instant, &mut ledger.timers);
        }
    }

    fn keeps_qos0(&self) -> bool {
        match self.flow {
            Flow::Active => true,
            Flow::Asleep | Flow::Draining => self.queue_qos0.asleep,
            Flow::Offline => self.queue_qos0.offline,
        }
    }

    fn make_room(&mut self, ledger: &mut Ledger, out: &mut Effects, offer: &Offer) -> Result<(), DropReason> {
        let cost = offer.message.cost();
        if cost > ledger.limits.queue_bytes_max {
            return Err(DropReason::TooLarge);
        }
        if offer.qos == QoS::AtMostOnce && !self.keeps_qos0() && offer.asked.is_none() {
            return Err(DropReason::Offline);
        }
        loop {
            let (waiting, bytes) = self
                .outgoing
                .as_ref()
                .map_or((0, 0), |outgoing| (outgoing.waiting(), outgoing.waiting_bytes()));
            let full = if ledger.held_bytes + cost > ledger.limits.queue_bytes_total_max {
                DropReason::Memory
            } else if waiting >= ledger.limits.queue_messages_max
                || bytes + cost > ledger.limits.queue_bytes_max
            {
                DropReason::QueueFull
            } else {
                return Ok(());
            };
            // QoS 0 goes first, then the newcomer.
            let oldest_qos0 = match offer.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce | QoS::ExactlyOnce => {
                    self.outgoing.as_mut().and_then(|outgoing| outgoing.queue.pop_qos0())
                }
            };
            match oldest_qos0 {
                Some(waiting) => self.gone(ledger, out, waiting.into(), MessageFate::Dropped(full)),
                None => return Err(full),
            }
        }
    }

    /// What was sent is off the front-end's hands.
    #[inline]
    pub(super) fn on_credit(&mut self, ledger: &mut Ledger, out: &mut Effects, bytes: u32) {
        self.credit = self.credit.saturating_add(i32::try_from(bytes).unwrap_or(i32::MAX));
        if self.outgoing.is_some() {
            self.pump(ledger, out);
        }
    }

    /// Sends what may go now. To be called after every change that lets something go.
    pub(super) fn pump(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        while self.credit > 0 && self.link.is_some() {
            match self.next(ledger) {
                Next::Resend => self.resend_next(ledger, out),
                Next::Qos12 => {
                    let Some(waiting) = self.outgoing.as_mut().and_then(|o| o.queue.pop_qos12()) else {
                        break;
                    };
                    self.launch(ledger, out, waiting);
                }
                Next::Qos0 => {
                    let Some(waiting) = self.outgoing.as_mut().and_then(|o| o.queue.pop_qos0()) else {
                        break;
                    };
                    self.deliver_qos0(ledger, out, waiting);
                }
                Next::Nothing => break,
            }
        }
        match self.flow {
            Flow::Draining => self.end_burst_when_done(ledger, out),
            Flow::Active if self.replaying => self.ask_for_replay(ledger),
            Flow::Active | Flow::Asleep | Flow::Offline => {}
        }
        self.tidy_outgoing(ledger);
    }

    fn next(&self, ledger: &Ledger) -> Next {
        let Some(outgoing) = &self.outgoing else { return Next::Nothing };
        let (mark, left) = match self.flow {
            Flow::Active => (u64::MAX, u32::MAX),
            Flow::Draining => (outgoing.burst.mark, outgoing.burst.left),
            Flow::Offline | Flow::Asleep => return Next::Nothing,
        };
        let slot_free = self.in_flight < self.window;
        let zero =
            outgoing.queue.qos0.front().map(|waiting| waiting.seq).filter(|seq| *seq < mark && left > 0);
        if outgoing.flight.idle() > 0 {
            // Repeats go before what has never been sent ([MQTT-4.6.0-1]).
            return match (slot_free && (left > 0 || outgoing.flight.release_is_idle()), zero) {
                (true, _) => Next::Resend,
                (false, Some(_)) => Next::Qos0,
                (false, None) => Next::Nothing,
            };
        }
        let other = outgoing.queue.qos12.front().filter(|waiting| {
            waiting.seq < mark
                && left > 0
                && slot_free
                && outgoing.flight.has_room(waiting.message.cost(), &ledger.limits)
        });
        match (zero, other) {
            (Some(zero), Some(other)) if zero < other.seq => Next::Qos0,
            (_, Some(_)) => Next::Qos12,
            (Some(_), None) => Next::Qos0,
            (None, None) => Next::Nothing,
        }
    }

    fn deliver_qos0(&mut self, ledger: &mut Ledger, out: &mut Effects, waiting: Waiting) {
        let Some(waiting) = self.still_wanted(ledger, out, waiting) else { return };
        self.count_burst();
        self.send(
            ledger,
            out,
            Delivery {
                message: waiting.message.clone(),
                packet_id: None,
                qos: QoS::AtMostOnce,
                dup: false,
                retain: waiting.retain,
                expires_unix_ms: ledger.unix_of(waiting.expires),
            },
        );
        self.gone(ledger, out, waiting.into(), MessageFate::Delivered);
    }

    /// The last look at a message before it leaves the queue: its time may be over, and what was allowed when it was
    /// queued may be forbidden now (CVE-2018-12546).
    pub(super) fn still_wanted(
        &mut self,
        ledger: &mut Ledger,
        out: &mut Effects,
        waiting: Waiting,
    ) -> Option<Waiting> {
        let fate = if waiting.expires <= ledger.now.instant {
            MessageFate::Expired
        } else if waiting.asked.is_none()
            && !ledger.acl.may_receive(&self.name, self.username(), || self.is_local(), &waiting.message)
        {
            MessageFate::Dropped(DropReason::Denied)
        } else {
            return Some(waiting);
        };
        self.gone(ledger, out, waiting.into(), fate);
        None
    }

    /// One message of a burst goes.
    pub(super) fn count_burst(&mut self) {
        if self.flow == Flow::Draining
            && let Some(outgoing) = &mut self.outgoing
        {
            outgoing.burst.left = outgoing.burst.left.saturating_sub(1);
        }
    }
}

/// A message on its way into a queue.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) message: Message,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expires: Instant,
    pub(super) asked: Option<Box<Asked>>,
}
