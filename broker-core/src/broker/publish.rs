//! Incoming messages: PUBLISH of any QoS, and the store of QoS 2 messages that wait for their PUBREL.
//!
//! ```text
//!   QoS 0   Publish ──► route
//!   QoS 1   Publish ──► route ──► Puback
//!   QoS 2   Publish ──► store ──► Pubrec      Pubrel ──► route ──► Pubcomp     ([MQTT-4.3.3-2], method A)
//! ```
//! A repeated QoS 2 PUBLISH finds its id in the store and is only answered; a repeated PUBREL finds nothing and is
//! only answered: so a message is routed once.
use super::Broker;
use super::ledger::Ledger;
use super::route::{Answer, Publication};
use super::session::{Session, Slot};
use crate::acl::Denied;
use crate::link::{DropReason, Effects, FromBroker, LinkId, Protocol, PublishOutcome};
use crate::message::{Message, PacketId, QoS};
use crate::record::{Record, SessionId};
use hashbrown::HashTable;

/// A QoS 2 message that waits for its PUBREL.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) packet_id: PacketId,
    /// None: the ACL denied it; it is acknowledged and never routed.
    pub(super) message: Option<Message>,
    /// PUBREL has come; the routing may wait behind other work.
    pub(super) releasing: bool,
    /// It is being routed: no longer stored, though its id is not free yet.
    pub(super) routed: bool,
    /// Pubcomp is expected on the present link.
    pub(super) answer: bool,
}

/// The QoS 2 messages of one client that wait for their PUBREL, by packet id. Bounded in number and bytes.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    table: HashTable<Received>,
    bytes: usize,
}

/// Messages that an empty [`Incoming`] may have room for when it is kept for another session.
const ROOM_KEPT: usize = 16;

impl Received {
    pub(super) fn stored(packet_id: PacketId, message: Option<Message>) -> Received {
        Received { packet_id, message, releasing: false, routed: false, answer: false }
    }
}

impl Incoming {
    fn hash(packet_id: PacketId) -> u64 {
        u64::from(packet_id.get()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Received> {
        self.table.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Received> {
        self.table.iter_mut()
    }

    fn find(&mut self, packet_id: PacketId) -> Option<&mut Received> {
        self.table.find_mut(Self::hash(packet_id), |received| received.packet_id == packet_id)
    }

    /// Stores a message whose id is not there yet, without a look at the limits.
    pub(super) fn insert(&mut self, ledger: &mut Ledger, received: Received) {
        if let Some(message) = &received.message {
            self.bytes += message.cost();
            ledger.hold(message.cost());
        }
        let hash = Self::hash(received.packet_id);
        self.table.insert_unique(hash, received, |received| Self::hash(received.packet_id));
    }

    /// The message is routed or gone; its id stays taken.
    fn release(&mut self, ledger: &mut Ledger, packet_id: PacketId) -> Option<Message> {
        let message = self.find(packet_id)?.message.take()?;
        self.bytes -= message.cost();
        ledger.let_go(message.cost());
        Some(message)
    }

    /// The id is free.
    pub(super) fn remove(&mut self, ledger: &mut Ledger, packet_id: PacketId) -> Option<Received> {
        self.release(ledger, packet_id);
        let found = self.table.find_entry(Self::hash(packet_id), |received| received.packet_id == packet_id);
        found.ok().map(|entry| entry.remove().0)
    }

    /// No message is stored, and the room for them is small.
    fn is_spare(&self) -> bool {
        self.table.capacity() <= ROOM_KEPT
    }

    /// The session ends.
    pub(super) fn drop_all(&mut self, ledger: &mut Ledger) {
        for message in self.table.drain().filter_map(|received| received.message) {
            ledger.let_go(message.cost());
        }
        self.bytes = 0;
    }
}

impl Broker {
    pub(super) fn on_publish(
        &mut self,
        slot: Slot,
        link: LinkId,
        packet_id: Option<PacketId>,
        message: Message,
        out: &mut Effects,
    ) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let qos = message.qos();
        let counters = &mut self.ledger.counters;
        let allowed = self.ledger.acl.may_publish(&session.name, session.username(), message.topic_bytes());
        let count = |counters: &mut crate::counters::Counters| {
            counters.publish_received.add(qos);
            counters.publish_bytes_received += message.payload().len() as u64;
        };
        match (qos, packet_id, allowed) {
            (QoS::AtMostOnce, _, Ok(())) => {
                count(counters);
                self.submit(Publication { message, answer: Answer::None }, out);
            }
            (QoS::AtLeastOnce, Some(packet_id), Ok(())) => {
                count(counters);
                self.submit(Publication { message, answer: Answer::Puback { link, packet_id } }, out);
            }
            (QoS::ExactlyOnce, Some(packet_id), allowed) => {
                session.receive(&mut self.ledger, out, link, packet_id, message, allowed);
            }
            (QoS::AtMostOnce, _, Err(Denied)) => {
                count(counters);
                self.ledger.count_denied();
                out.events.push((link, FromBroker::PublishRefused { outcome: PublishOutcome::Denied }));
            }
            (QoS::AtLeastOnce, Some(packet_id), Err(Denied)) => {
                // [MQTT-3.3.5-2]: a server that does not authorise a PUBLISH acknowledges it all the same.
                count(counters);
                self.ledger.count_denied();
                out.events.push((link, FromBroker::Puback { packet_id, outcome: PublishOutcome::Denied }));
            }
            // A QoS 1/2 Publish without id: the front-end's own fault.
            (QoS::AtLeastOnce | QoS::ExactlyOnce, None, _) => self.close_protocol(link, out),
        }
    }

    /// PUBREL routes the stored message and frees its id.
    pub(super) fn on_pubrel(&mut self, slot: Slot, link: LinkId, packet_id: PacketId, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let id = session.id;
        let Some(received) = session.incoming.as_mut().and_then(|incoming| incoming.find(packet_id)) else {
            // Routed before, or never seen: PUBCOMP lets the client finish.
            out.events.push((link, FromBroker::Pubcomp(packet_id)));
            return;
        };
        received.answer = true;
        if received.releasing {
            return;
        }
        received.releasing = true;
        match received.message.clone() {
            Some(message) => {
                self.submit(Publication { message, answer: Answer::Pubcomp { slot, id, packet_id } }, out);
            }
            None => {
                self.release_received(slot, id, packet_id, out);
                self.answer(Answer::Pubcomp { slot, id, packet_id }, out);
            }
        }
    }

    /// The stored message is being routed, in this very commit: it is no longer stored.
    pub(super) fn release_received(
        &mut self,
        slot: Slot,
        id: SessionId,
        packet_id: PacketId,
        out: &mut Effects,
    ) {
        let Some(session) = self.sessions.get_same(slot, id) else { return };
        if let Some(incoming) = &mut session.incoming {
            incoming.release(&mut self.ledger, packet_id);
            if let Some(received) = incoming.find(packet_id) {
                received.routed = true;
            }
        }
        if session.records(&self.ledger) {
            out.records.push(Record::ReceivedReleased { session: id, packet_id });
        }
    }

    /// The routing is done: the id is free, and PUBCOMP goes out if the client asked on its present link.
    pub(super) fn complete_received(
        &mut self,
        slot: Slot,
        id: SessionId,
        packet_id: PacketId,
        out: &mut Effects,
    ) {
        let Some(session) = self.sessions.get_same(slot, id) else { return };
        let Some(incoming) = &mut session.incoming else { return };
        let Some(received) = incoming.remove(&mut self.ledger, packet_id) else { return };
        if let (true, Some(link)) = (received.answer, session.link) {
            out.events.push((link, FromBroker::Pubcomp(packet_id)));
        }
        if let Some(idle) = session.incoming.take_if(|incoming| incoming.table.is_empty())
            && idle.is_spare()
        {
            self.ledger.spares.put_incoming(idle);
        }
    }
}

impl Session {
    /// Stores a QoS 2 message, once for each id, within the limits of the store.
    fn receive(
        &mut self,
        ledger: &mut Ledger,
        out: &mut Effects,
        link: LinkId,
        packet_id: PacketId,
        message: Message,
        allowed: Result<(), Denied>,
    ) {
        let records = self.records(ledger);
        let messages_max = match self.protocol {
            Protocol::MqttSn => ledger.limits.incoming_qos2_sn_max,
            Protocol::Mqtt | Protocol::Lwm2m | Protocol::Internal => ledger.limits.incoming_qos2_max,
        };
        let incoming = self.incoming.get_or_insert_with(|| ledger.spares.take_incoming());
        if incoming.find(packet_id).is_some() {
            // A copy, with or without DUP (CVE-2023-28366): answered, not stored again.
            out.events.push((link, FromBroker::Pubrec { packet_id, outcome: PublishOutcome::Accepted }));
            return;
        }
        if incoming.table.len() >= messages_max
            || incoming.bytes + message.cost() > ledger.limits.incoming_qos2_bytes_max
            || ledger.held_bytes + message.cost() > ledger.limits.queue_bytes_total_max
        {
            ledger.counters.qos2_quota += 1;
            out.events.push((link, FromBroker::Pubrec { packet_id, outcome: PublishOutcome::Quota }));
            return;
        }
        ledger.counters.publish_received.add(QoS::ExactlyOnce);
        ledger.counters.publish_bytes_received += message.payload().len() as u64;
        let (message, outcome) = match allowed {
            Ok(()) => (Some(message), PublishOutcome::Accepted),
            Err(Denied) => {
                ledger.count_denied();
                (None, PublishOutcome::Denied)
            }
        };
        if records {
            out.records.push(Record::Received { session: self.id, packet_id, message: message.clone() });
        }
        incoming.insert(ledger, Received::stored(packet_id, message));
        out.events.push((link, FromBroker::Pubrec { packet_id, outcome }));
    }
}

impl Ledger {
    /// A publish or a will was denied.
    pub(super) fn count_denied(&mut self) {
        self.counters.publishes_denied += 1;
        self.counters.drops.add(DropReason::Denied);
    }
}
