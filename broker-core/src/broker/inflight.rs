//! What is in flight: QoS 1/2 deliveries from their first sending to their last acknowledgement.
//!
//! ```text
//!            launch              PUBREC (QoS 2)            PUBCOMP
//!   queue ───────────► OnWire ───────────────► OnWire, released ──────► gone
//!                       │  ▲ PUBACK (QoS 1) ──────────────────────────► gone
//!     Park (given up)   │  │ resend: DUP, or PUBREL when released
//!                       ▼  │
//!            Parked ──► Idle ◄── the link is lost, the device sleeps
//!               Connect, Drain, Wake
//! ```
//! The list is in the order of the queue. A packet id is not given out again while it is in flight, over any number
//! of links ([MQTT-2.3.1-3], [MQTT-2.3.1-4]); wrong acknowledgements change nothing.
use super::ledger::Ledger;
use super::outgoing::{Asked, Gone, queued_record};
use super::queue::{ROOM_KEPT, Waiting};
use super::session::{Flow, Session};
use crate::limits::Limits;
use crate::link::{Delivery, DropReason, Effects, FromBroker, MessageFate};
use crate::message::{Message, PacketId, QoS};
use crate::record::{QueueSeq, Record, SessionId};
use crate::time::Instant;
use std::collections::VecDeque;

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// With the device; it takes a slot of the window.
    OnWire,
    /// To be sent again as soon as there is a slot.
    Idle,
    /// Given up; waits for the next attach, Drain or Wake.
    Parked,
}

/// A delivery in flight.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) seq: u64,
    /// None once PUBREC has come and nobody asked for the fate: the payload is not needed any more.
    pub(super) message: Option<Message>,
    pub(super) expires: Instant,
    pub(super) asked: Option<Box<Asked>>,
    /// When PUBREC came, in the order of all PUBRECs of this session.
    pub(super) release: u32,
    pub(super) packet_id: PacketId,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) recorded: bool,
    /// PUBREC has come: only PUBREL is sent.
    pub(super) released: bool,
    /// It has left, as far as is known: the next try is a repetition. Else its records are those of one that waits.
    pub(super) sent: bool,
    pub(super) stage: Stage,
    /// Times it was given up.
    pub(super) rounds: u8,
}

impl Flying {
    fn cost(&self) -> usize {
        self.message.as_ref().map_or(0, Message::cost)
    }
}

impl From<Flying> for Gone {
    fn from(flying: Flying) -> Gone {
        Gone { seq: flying.seq, message: flying.message, asked: flying.asked, recorded: flying.recorded }
    }
}

/// All that is in flight to one session.
#[derive(Debug, Default)]
pub(super) struct Flight {
    list: VecDeque<Flying>,
    idle: u32,
    parked: u32,
    /// Bytes on the wire or idle.
    bytes: usize,
    parked_bytes: usize,
    releases: u32,
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Nothing is in it: as new, but for a little room.
    pub(super) fn clear(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        list.shrink_to(ROOM_KEPT);
        *self = Flight { list, ..Flight::default() };
    }

    pub(super) fn idle(&self) -> u32 {
        self.idle
    }

    pub(super) fn parked(&self) -> usize {
        self.parked as usize
    }

    pub(super) fn parked_bytes(&self) -> usize {
        self.parked_bytes
    }

    /// Whether `cost` more bytes may be in flight: as many as may wait, and one message of any size.
    #[inline]
    pub(super) fn has_room(&self, cost: usize, limits: &Limits) -> bool {
        self.bytes == 0 || self.bytes + cost <= limits.queue_bytes_max
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flying> {
        self.list.iter()
    }

    fn push(&mut self, flying: Flying) {
        self.bytes += flying.cost();
        self.list.push_back(flying);
    }

    /// Takes in a delivery that was sent before a restart.
    pub(super) fn restore(&mut self, flying: Flying) {
        self.idle += 1;
        self.bytes += flying.cost();
        let at = self.list.partition_point(|held| held.seq < flying.seq);
        self.list.insert(at, flying);
    }

    /// Puts `released` on a restored delivery.
    pub(super) fn restore_release(&mut self, seq: u64) -> Option<Message> {
        let at = self.list.binary_search_by_key(&seq, |held| held.seq).ok()?;
        self.releases += 1;
        let releases = self.releases;
        let flying = self.list.get_mut(at)?;
        flying.released = true;
        flying.release = releases;
        self.drop_payload(at)
    }

    /// The payload of a released delivery goes, unless its fate is asked for.
    fn drop_payload(&mut self, at: usize) -> Option<Message> {
        let flying = self.list.get_mut(at)?;
        if flying.asked.is_some() {
            return None;
        }
        let cost = flying.cost();
        match flying.stage {
            Stage::OnWire | Stage::Idle => self.bytes -= cost,
            Stage::Parked => self.parked_bytes -= cost,
        }
        flying.message.take()
    }

    /// The delivery in this place, when records are replayed.
    pub(super) fn remove_seq(&mut self, seq: u64) -> Option<Flying> {
        let at = self.list.binary_search_by_key(&seq, |held| held.seq).ok()?;
        self.remove(at)
    }

    fn find(&self, packet_id: PacketId) -> Option<usize> {
        self.list.iter().position(|flying| flying.packet_id == packet_id)
    }

    /// Takes a delivery out; the books of its stage are kept.
    fn remove(&mut self, at: usize) -> Option<Flying> {
        let flying = if at == 0 { self.list.pop_front() } else { self.list.remove(at) }?;
        match flying.stage {
            Stage::OnWire => self.bytes -= flying.cost(),
            Stage::Idle => {
                self.idle -= 1;
                self.bytes -= flying.cost();
            }
            Stage::Parked => {
                self.parked -= 1;
                self.parked_bytes -= flying.cost();
            }
        }
        Some(flying)
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Flying> + use<> {
        std::mem::take(self).list.into_iter()
    }

    /// Everything is to be sent again: the link is new, or the device slept.
    fn idle_all(&mut self) {
        for flying in &mut self.list {
            flying.stage = Stage::Idle;
        }
        self.idle = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.parked = 0;
        self.bytes += std::mem::take(&mut self.parked_bytes);
    }

    /// What is on the wire is to be sent again; what is given up stays so.
    fn idle_on_wire(&mut self) {
        for flying in &mut self.list {
            if flying.stage == Stage::OnWire {
                flying.stage = Stage::Idle;
                self.idle += 1;
            }
        }
    }

    /// The one to send again next: PUBRELs in the order of their PUBRECs ([MQTT-4.6.0-4]), then PUBLISHes in their
    /// own order ([MQTT-4.6.0-1]).
    fn next_idle(&self) -> Option<usize> {
        let idle = || self.list.iter().enumerate().filter(|(_, flying)| flying.stage == Stage::Idle);
        idle()
            .filter(|(_, flying)| flying.released)
            .min_by_key(|(_, flying)| flying.release)
            .or_else(|| idle().next())
            .map(|(at, _)| at)
    }

    /// A PUBREL is to be sent again.
    pub(super) fn release_is_idle(&self) -> bool {
        self.list.iter().any(|flying| flying.stage == Stage::Idle && flying.released)
    }

    /// Takes out what has expired at `now` and is not with the device.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Flying> {
        let mut expired = Vec::new();
        let mut at = 0;
        while let Some(flying) = self.list.get(at) {
            if flying.expires <= now && flying.stage != Stage::OnWire && !flying.released {
                expired.extend(self.remove(at));
            } else {
                at += 1;
            }
        }
        expired
    }

    /// The first expiry after `now`; what is overdue is with the device, and looked at when it comes back.
    pub(super) fn first_expiry(&self, now: Instant) -> Instant {
        let later = self.list.iter().map(|flying| flying.expires).filter(|expires| *expires > now);
        later.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Records what is not recorded yet.
    pub(super) fn record_all(&mut self, session: SessionId, ledger: &Ledger, out: &mut Effects) {
        let mut releases: Vec<(u32, u64)> = Vec::new();
        for flying in &mut self.list {
            let seq = QueueSeq(flying.seq);
            if flying.recorded {
                continue;
            }
            flying.recorded = true;
            // A released delivery has no payload any more; its topic and payload are not needed again.
            let empty = Message::new("", &[], flying.qos, false);
            let message = flying.message.as_ref().unwrap_or(&empty);
            let expires = ledger.unix_of(flying.expires);
            let content = (message, flying.qos, flying.retain);
            out.records.push(queued_record(session, flying.seq, content, expires, flying.asked.as_deref()));
            if flying.sent {
                out.records.push(Record::Sent { session, seq, packet_id: flying.packet_id });
            }
            if flying.released {
                releases.push((flying.release, flying.seq));
            }
        }
        releases.sort_unstable();
        for (_, seq) in releases {
            out.records.push(Record::Released { session, seq: QueueSeq(seq) });
        }
    }
}

/// The next packet id, and how many may be given out before one that is in flight is met again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PacketIds {
    next: u16,
    safe: u16,
}

impl PacketIds {
    pub(super) fn starting_at(first: u16) -> PacketIds {
        PacketIds { next: first.max(1), safe: 0 }
    }

    /// Continues after ids that were given out before a restart.
    pub(super) fn continue_after(&mut self, used: PacketId) {
        self.next = used.next().get();
        self.safe = 0;
    }

    /// An id that is not in flight. `None` when all are.
    fn take(&mut self, flight: Option<&Flight>) -> Option<PacketId> {
        if self.safe == 0 {
            self.find_gap(flight)?;
        }
        let id = PacketId::new(self.next)?;
        self.next = id.next().get();
        self.safe -= 1;
        Some(id)
    }

    /// Moves to the next free id and counts the free ones behind it. Rare: once around the id space.
    #[cold]
    fn find_gap(&mut self, flight: Option<&Flight>) -> Option<()> {
        let used: Vec<u16> = flight
            .map(|flight| flight.iter().map(|flying| flying.packet_id.get()).collect())
            .unwrap_or_default();
        if used.len() >= usize::from(u16::MAX) {
            return None;
        }
        // Each used id moves the start at most once.
        for _ in 0..=used.len() {
            if !used.contains(&self.next) {
                break;
            }
            self.next = PacketId::new(self.next)?.next().get();
        }
        let distance = |id: u16| if id > self.next { id - self.next } else { u16::MAX - self.next + id };
        self.safe = used.iter().map(|id| distance(*id)).min().unwrap_or(u16::MAX);
        Some(())
    }
}

impl Session {
    /// First sending of a message that has just come and need not wait.
    pub(super) fn launch_new(
        &mut self,
        ledger: &mut Ledger,
        out: &mut Effects,
        message: &Message,
        qos: QoS,
        retain: bool,
    ) {
        ledger.hold(message.cost());
        let recorded = self.records(ledger);
        let id = self.id;
        let seq = ledger.take_seq();
        if recorded {
            out.records.push(queued_record(id, seq, (message, qos, retain), 0, None));
        }
        let waiting = Waiting {
            seq,
            message: message.clone(),
            expires: Instant::FAR_FUTURE,
            asked: None,
            qos,
            retain,
            recorded,
        };
        self.fly(ledger, out, waiting);
    }

    /// First sending of a message that waited.
    pub(super) fn launch(&mut self, ledger: &mut Ledger, out: &mut Effects, waiting: Waiting) {
        if let Some(waiting) = self.still_wanted(ledger, out, waiting) {
            self.count_burst();
            self.fly(ledger, out, waiting);
        }
    }

    fn fly(&mut self, ledger: &mut Ledger, out: &mut Effects, waiting: Waiting) {
        let flight = self.outgoing.as_ref().map(|outgoing| &outgoing.flight);
        let packet_id = self
            .packet_ids
            .take(flight)
            .expect("fewer than 65,535 are in flight: the window and the queue limits bound them");
        if waiting.recorded && ledger.recording {
            out.records.push(Record::Sent { session: self.id, seq: QueueSeq(waiting.seq), packet_id });
        }
        self.in_flight += 1;
        let delivery = Delivery {
            message: waiting.message.clone(),
            packet_id: Some(packet_id),
            qos: waiting.qos,
            dup: false,
            retain: waiting.retain,
            expires_unix_ms: ledger.unix_of(waiting.expires),
        };
        self.outgoing_mut(ledger).flight.push(Flying {
            seq: waiting.seq,
            message: Some(waiting.message),
            expires: waiting.expires,
            asked: waiting.asked,
            release: 0,
            packet_id,
            qos: waiting.qos,
            retain: waiting.retain,
            recorded: waiting.recorded,
            released: false,
            sent: true,
            stage: Stage::OnWire,
            rounds: 0,
        });
        self.send(ledger, out, delivery);
    }

    /// Sends the next delivery again: with its old packet id, and DUP if it was really sent before, or only PUBREL
    /// ([MQTT-4.4.0-1], [MQTT-3.3.1-1]).
    pub(super) fn resend_next(&mut self, ledger: &mut Ledger, out: &mut Effects) {
        let Some(outgoing) = &mut self.outgoing else { return };
        let Some(at) = outgoing.flight.next_idle() else {
            outgoing.flight.idle = 0;
            return;
        };
        let Some(flying) = outgoing.flight.list.get_mut(at) else { return };
        if flying.expires <= ledger.now.instant && !flying.released {
            if let Some(flying) = outgoing.flight.remove(at) {
                self.gone(ledger, out, flying.into(), MessageFate::Expired);
            }
            return;
        }
        flying.stage = Stage::OnWire;
        let packet_id = flying.packet_id;
        let dup = std::mem::replace(&mut flying.sent, true);
        if !dup && flying.recorded && ledger.recording {
            out.records.push(Record::Sent { session: self.id, seq: QueueSeq(flying.seq), packet_id });
        }
        let again = match &flying.message {
            Some(message) if !flying.released => Some(Delivery {
                message: message.clone(),
                packet_id: Some(packet_id),
                qos: flying.qos,
                dup,
                retain: flying.retain,
                expires_unix_ms: ledger.unix_of(flying.expires),
            }),
            Some(_) | None => None,
        };
        outgoing.flight.idle -= 1;
        self.in_flight += 1;
        match (again, self.link) {
            (Some(delivery), _) => {
                self.count_burst();
                self.send(ledger, out, delivery);
            }
            (None, Some(link)) => out.events.push((link, FromBroker::Pubrel(packet_id))),
            (None, None) => {}
        }
    }

    /// PUBACK ends a QoS 1 delivery, and only that ([MQTT-4.3.2-1]).
    pub(super) fn on_puback(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        match self.find_flying(packet_id, |flying| flying.qos == QoS::AtLeastOnce) {
            Some(at) => self.complete(ledger, out, at, MessageFate::Delivered),
            None => ledger.counters.acks_unexpected += 1,
        }
    }

    /// PUBREC: the device has the message; from now on only PUBREL is sent ([MQTT-4.3.3-1]).
    pub(super) fn on_pubrec(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        let Some(link) = self.link else { return };
        let recording = self.durable && ledger.recording;
        let id = self.id;
        let flight = self.outgoing.as_mut().map(|outgoing| &mut outgoing.flight);
        if let Some((flight, at)) = flight.and_then(|flight| flight.find(packet_id).map(|at| (flight, at))) {
            let Some(flying) = flight.list.get_mut(at) else { return };
            if flying.qos != QoS::ExactlyOnce {
                ledger.counters.acks_unexpected += 1;
                return;
            }
            if !flying.released {
                flight.releases += 1;
                flying.released = true;
                flying.release = flight.releases;
                if recording && flying.recorded {
                    out.records.push(Record::Released { session: id, seq: QueueSeq(flying.seq) });
                }
                if let Some(message) = flight.drop_payload(at) {
                    ledger.let_go(message.cost());
                }
            }
        } else {
            // Nothing of ours: perhaps from before a restart without store. PUBREL lets the device finish
            // ([MQTT-4.3.3-1] asks for it on every PUBREC).
            ledger.counters.acks_unexpected += 1;
        }
        out.events.push((link, FromBroker::Pubrel(packet_id)));
    }

    /// PUBCOMP ends a QoS 2 delivery that was released.
    pub(super) fn on_pubcomp(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        match self.find_flying(packet_id, |flying| flying.released) {
            Some(at) => self.complete(ledger, out, at, MessageFate::Delivered),
            None => ledger.counters.acks_unexpected += 1,
        }
    }

    /// The device refuses the delivery for good.
    pub(super) fn on_reject(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        match self.find_flying(packet_id, |_| true) {
            Some(at) => self.complete(ledger, out, at, MessageFate::Dropped(DropReason::Rejected)),
            None => ledger.counters.acks_unexpected += 1,
        }
    }

    /// Whatever it is, it is done: acknowledged by the front-end that took it, in the commit of what it did with it.
    pub(super) fn acknowledge(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        match self.find_flying(packet_id, |_| true) {
            Some(at) => self.complete(ledger, out, at, MessageFate::Delivered),
            None => ledger.counters.acks_unexpected += 1,
        }
    }

    /// Given up after the last retry: keeps its place and state, and lets those behind it go on.
    pub(super) fn on_park(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        let Some(at) = self.find_flying(packet_id, |flying| flying.stage == Stage::OnWire) else {
            ledger.counters.acks_unexpected += 1;
            return;
        };
        let Some(flight) = self.outgoing.as_mut().map(|outgoing| &mut outgoing.flight) else { return };
        let Some(flying) = flight.list.get_mut(at) else { return };
        flying.rounds = flying.rounds.saturating_add(1);
        if flying.rounds >= ledger.limits.park_rounds_max {
            let burst = self.flow == Flow::Draining;
            if burst {
                self.flow = Flow::Asleep; // so that `complete` sends nothing more in this burst
            }
            self.complete(ledger, out, at, MessageFate::Dropped(DropReason::GivenUp));
            if burst {
                self.end_burst(ledger, out);
            }
            return;
        }
        flying.stage = Stage::Parked;
        let cost = flying.cost();
        flight.parked += 1;
        flight.bytes -= cost;
        flight.parked_bytes += cost;
        self.in_flight -= 1;
        match self.flow {
            Flow::Draining => self.end_burst(ledger, out),
            Flow::Active | Flow::Asleep | Flow::Offline => self.pump(ledger, out),
        }
    }

    /// The delivery has not left. A restart is to know it as one that waits.
    pub(super) fn on_unsent(&mut self, ledger: &mut Ledger, out: &mut Effects, packet_id: PacketId) {
        let Some(at) = self.find_flying(packet_id, |flying| flying.sent && !flying.released) else {
            ledger.counters.acks_unexpected += 1;
            return;
        };
        let Some(flying) = self.outgoing.as_mut().and_then(|it| it.flight.list.get_mut(at)) else { return };
        flying.sent = false;
        if let (true, true, Some(message)) = (flying.recorded, ledger.recording, &flying.message) {
            let content = (message, flying.qos, flying.retain);
            let expires = ledger.unix_of(flying.expires);
            out.records.push(Record::Removed { session: self.id, seq: QueueSeq(flying.seq) });
            out.records.push(queued_record(self.id, flying.seq, content, expires, flying.asked.as_deref()));
        }
    }

    fn find_flying(&self, packet_id: PacketId, which: impl Fn(&Flying) -> bool) -> Option<usize> {
        let flight = &self.outgoing.as_ref()?.flight;
        let at = flight.find(packet_id)?;
        flight.list.get(at).is_some_and(which).then_some(at)
    }

    /// A delivery is over: its slot is free.
    fn complete(&mut self, ledger: &mut Ledger, out: &mut Effects, at: usize, fate: MessageFate) {
        let Some(outgoing) = &mut self.outgoing else { return };
        let Some(flying) = outgoing.flight.remove(at) else { return };
        if flying.stage == Stage::OnWire {
            self.in_flight -= 1;
        }
        self.gone(ledger, out, flying.into(), fate);
        self.pump(ledger, out);
    }

    /// A new link, or the device is awake again: all that is in flight, parked too, is to be sent again.
    pub(super) fn resend_all(&mut self) {
        self.in_flight = 0;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.flight.idle_all();
        }
    }

    /// The link is gone, or the device goes to sleep: nothing is on the wire.
    pub(super) fn ground_flight(&mut self) {
        self.in_flight = 0;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.flight.idle_on_wire();
        }
    }
}
