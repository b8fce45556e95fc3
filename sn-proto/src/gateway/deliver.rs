//! From the broker to the client: REGISTER first where the client does not know the topic id, then PUBLISH
//! (MQTT-SN §6.10), one QoS 1/2 message and one REGISTER at a time.
//!
//! The link's credit lets one delivery out at a time. It goes back when the delivery is done, or after one Tretry,
//! so that QoS 0 keeps its place in the order but is not stopped by a client that never acknowledges.

use broker_core::frontend::Actions;
use broker_core::link::{DELIVERY_OVERHEAD, Delivery};
use broker_core::{Instant, Now, PacketId, ToBroker};

use super::SnGateway;
use super::memos::AfterMemo;
use super::on_will::wire_qos;
use crate::client::{InFlight, Pending, Registering, Stage, State};
use crate::limits::T_WAIT;
use crate::topics::{Change, Origin, RegistryFull, TypedSubscription};
use crate::wire::{Message, Publish, Qos, Register, TopicIdType};

/// How a topic is named to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// The client knows this id.
    Known(TopicIdType, u16),
    /// The client must be told this id first; `stored` when the broker has it.
    Unknown { id: u16, stored: bool },
    /// The client refused the topic, or there is no id left.
    None,
}

impl SnGateway {
    pub(super) fn broker_publish(&mut self, slot: u32, delivery: Delivery, now: Now, out: &mut Actions) {
        let cost = cost(&delivery);
        let listens = self.clients.get(slot).is_some_and(|client| match client.state {
            State::Active | State::Awake => client.routed,
            State::Handshake | State::Connecting | State::Asleep => false,
        });
        if !listens {
            // It crossed our Pause: QoS 1/2 comes again when the client listens.
            if let (Some(packet), false) = (delivery.packet_id, delivery.dup) {
                self.request(slot, ToBroker::Unsent(packet), out);
                if let Some(client) = self.clients.get_mut(slot) {
                    client.unsent = Some(packet); // should the link be over already
                }
            }
            return self.give_credit(slot, cost, out);
        }
        if self.has_open_publish(slot)
            && let Some(client) = self.clients.get_mut(slot)
            && client.outgoing().deferred.is_none()
        {
            client.outgoing().deferred = Some(delivery);
            return;
        }
        let naming = self.naming_of(slot, &delivery, out);
        match (delivery.packet_id, naming) {
            (Some(packet), Naming::None) => {
                self.counters.topic_refused += 1;
                self.request(slot, ToBroker::Reject(packet), out);
                self.give_credit(slot, cost, out);
            }
            (None, Naming::None) => {
                self.counters.topic_refused += 1;
                self.give_credit(slot, cost, out);
            }
            (None, Naming::Known(id_type, id)) => {
                self.send_qos0(slot, &delivery, id_type, id, out);
                self.give_credit(slot, cost, out);
                self.probe(slot, now, out);
            }
            (None, Naming::Unknown { id, stored }) => {
                self.start_register(slot, id, stored, now, out);
                self.wait_for_register(slot, delivery, id, cost, out);
            }
            (Some(packet), Naming::Known(..) | Naming::Unknown { .. }) => {
                let unsent = self.clients.get_mut(slot).and_then(|client| client.unsent.take());
                let dup = delivery.dup && unsent != Some(packet);
                if let Some(other) = unsent.filter(|unsent| *unsent != packet) {
                    // This one has the window, so that one is with the broker.
                    self.request(slot, ToBroker::Unsent(other), out);
                }
                let Some(client) = self.clients.get_mut(slot) else { return };
                let outgoing = client.outgoing();
                outgoing.held_credit += cost;
                outgoing.flight = Some(InFlight {
                    packet,
                    stage: Stage::Publish,
                    dup,
                    delivery: Some(delivery.clone()),
                    tries: 0,
                    registered_anew: 0,
                    due: now.instant,
                });
                self.send_delivery(slot, &delivery, naming, now, out);
            }
        }
        self.arm(slot, now.instant);
    }

    /// The client has the answer to its PUBLISH: what came meanwhile may follow.
    pub(super) fn deliver_deferred(&mut self, slot: u32, now: Now, out: &mut Actions) {
        if self.has_open_publish(slot) {
            return;
        }
        let Some(outgoing) = self.clients.get_mut(slot).and_then(|client| client.outgoing.as_mut()) else {
            return;
        };
        if let Some(delivery) = outgoing.deferred.take() {
            self.broker_publish(slot, delivery, now, out);
        }
    }

    fn naming_of(&mut self, slot: u32, delivery: &Delivery, out: &mut Actions) -> Naming {
        let Some(client) = self.clients.get(slot) else { return Naming::None };
        let topic = self.config.mountpoint.unmounted(&client.name, delivery.message.topic());
        self.naming(slot, topic, out)
    }

    /// The id for a delivery to this client: predefined or short if it subscribed so, else a normal one. A short
    /// name also serves wildcard subscribers, since it needs no REGISTER.
    fn naming(&mut self, slot: u32, topic: &str, out: &mut Actions) -> Naming {
        let Some(client) = self.clients.get(slot) else { return Naming::None };
        let registry = client.topics.as_ref();
        let typed = |typed| registry.is_some_and(|registry| registry.has_typed(typed));
        if let Some(id) = self.config.predefined.id(Some(&client.name), topic)
            && typed(TypedSubscription::Predefined(id))
        {
            return Naming::Known(TopicIdType::Predefined, id);
        }
        let short = <[u8; 2]>::try_from(topic.as_bytes()).ok();
        if let Some(pair) = short
            && typed(TypedSubscription::Short(pair))
        {
            return Naming::Known(TopicIdType::Short, u16::from_be_bytes(pair));
        }
        if let Some(entry) = registry.and_then(|registry| registry.by_name(topic)) {
            return if entry.is_rejected() {
                Naming::None
            } else if entry.is_known() {
                Naming::Known(TopicIdType::Normal, entry.id())
            } else {
                Naming::Unknown { id: entry.id(), stored: true }
            };
        }
        if let Some(pair) = short {
            return Naming::Known(TopicIdType::Short, u16::from_be_bytes(pair));
        }
        match self.register_topic(slot, topic, Origin::Gateway) {
            Ok((id, new)) => {
                if new {
                    self.note_change(slot, Change::Topic(id), AfterMemo::Register { topic_id: id }, out);
                }
                Naming::Unknown { id, stored: !new }
            }
            Err(RegistryFull) => {
                self.counters.registry_full += 1;
                Naming::None
            }
        }
    }

    fn send_qos0(
        &mut self,
        slot: u32,
        delivery: &Delivery,
        topic_id_type: TopicIdType,
        topic_id: u16,
        out: &mut Actions,
    ) {
        let publish = Publish {
            dup: false,
            qos: Qos::AtMostOnce,
            retain: delivery.retain,
            topic_id_type,
            topic_id,
            msg_id: 0,
            data: delivery.message.payload(),
        };
        if self.fits(&publish) {
            self.tell_guarded(slot, Message::Publish(publish), out);
        }
    }

    /// §6.10: what is too long for the link is abandoned without a word.
    fn fits(&mut self, publish: &Publish<'_>) -> bool {
        let fits = Message::Publish(*publish).encoded_len() <= self.config.limits.datagram_bytes_max;
        self.counters.oversize += u64::from(!fits);
        fits
    }

    /// A QoS 0 message whose topic the client does not know yet.
    fn wait_for_register(&mut self, slot: u32, delivery: Delivery, id: u16, cost: u32, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let outgoing = client.outgoing();
        match outgoing.register.as_mut() {
            Some(register) if register.topic_id == id && register.waiting.is_none() => {
                register.waiting = Some(delivery);
                outgoing.held_credit += cost;
            }
            // Another REGISTER has been unanswered for more than a Tretry: nothing is kept here for that.
            Some(_) | None => {
                self.counters.register_busy += 1;
                self.give_credit(slot, cost, out);
            }
        }
    }

    /// Sends what the message in flight needs next: REGISTER, PUBLISH or PUBREL.
    pub(super) fn send_flight(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(flight) = self.flight(slot) else { return };
        let packet = flight.packet;
        let delivery = match flight.stage {
            Stage::Received => return,
            Stage::Release => {
                flight.tries = flight.tries.saturating_add(1);
                self.flight_due(slot, now);
                return self.tell(slot, Message::PubRel(packet.get()), out);
            }
            Stage::Publish | Stage::Register(_) => flight.delivery.clone(),
        };
        let Some(delivery) = delivery else { return };
        let naming = self.naming_of(slot, &delivery, out);
        self.send_delivery(slot, &delivery, naming, now, out);
    }

    /// Sends the message in flight, or the REGISTER that it needs.
    fn send_delivery(&mut self, slot: u32, delivery: &Delivery, naming: Naming, now: Now, out: &mut Actions) {
        match naming {
            Naming::None => self.reject_flight(slot, out),
            Naming::Unknown { id, stored } => {
                if let Some(flight) = self.flight(slot) {
                    flight.stage = Stage::Register(id);
                    flight.due = Instant::FAR_FUTURE; // the REGISTER's timer counts
                }
                self.start_register(slot, id, stored, now, out);
            }
            Naming::Known(id_type, id) => self.publish_flight(slot, delivery, id_type, id, now, out),
        }
    }

    /// Sends the PUBLISH of the message in flight.
    fn publish_flight(
        &mut self,
        slot: u32,
        delivery: &Delivery,
        topic_id_type: TopicIdType,
        topic_id: u16,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(flight) = self.flight(slot) else { return };
        flight.stage = Stage::Publish;
        let publish = Publish {
            dup: flight.dup,
            qos: wire_qos(delivery.qos),
            retain: delivery.retain,
            topic_id_type,
            topic_id,
            msg_id: flight.packet.get(),
            data: delivery.message.payload(),
        };
        if !self.fits(&publish) {
            return self.reject_flight(slot, out);
        }
        if self.tell_guarded(slot, Message::Publish(publish), out)
            && let Some(flight) = self.flight(slot)
        {
            flight.dup = true;
            flight.tries = flight.tries.saturating_add(1);
        }
        self.flight_due(slot, now);
    }

    fn flight_due(&mut self, slot: u32, now: Now) {
        let due = now.instant + self.config.retry_interval;
        if let Some(flight) = self.flight(slot) {
            flight.due = due;
        }
    }

    pub(super) fn flight(&mut self, slot: u32) -> Option<&mut InFlight> {
        self.clients.get_mut(slot)?.outgoing.as_mut()?.flight.as_mut()
    }

    pub(super) fn register(&mut self, slot: u32) -> Option<&mut Registering> {
        self.clients.get_mut(slot)?.outgoing.as_mut()?.register.as_mut()
    }

    /// Begins a REGISTER for `topic_id`, unless one is in flight. It leaves once the broker has the id.
    pub(super) fn start_register(
        &mut self,
        slot: u32,
        topic_id: u16,
        stored: bool,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.outgoing().register.is_some() {
            return;
        }
        let msg_id = client.draw_msg_id();
        client.outgoing().register =
            Some(Registering { topic_id, msg_id, tries: 0, due: Instant::FAR_FUTURE, stored, waiting: None });
        if stored {
            self.send_register(slot, now, out);
        }
    }

    /// The broker has the id of our REGISTER.
    pub(super) fn register_stored(&mut self, slot: u32, topic_id: u16, now: Now, out: &mut Actions) {
        if let Some(register) = self.register(slot).filter(|register| register.topic_id == topic_id) {
            register.stored = true;
            self.send_register(slot, now, out);
        }
    }

    pub(super) fn send_register(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let due = now.instant + self.config.retry_interval;
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(register) = client.outgoing.as_mut().and_then(|it| it.register.as_mut()) else { return };
        register.tries = register.tries.saturating_add(1);
        register.due = due;
        let (topic_id, msg_id) = (register.topic_id, register.msg_id);
        let entry = client.topics.as_ref().and_then(|topics| topics.by_id(topic_id));
        let Some(name) = entry.map(|entry| entry.name().clone()) else { return };
        let message = Message::Register(Register { topic_id, msg_id, topic_name: name.as_bytes() });
        if message.encoded_len() > self.config.limits.datagram_bytes_max {
            self.counters.oversize += 1;
            return self.give_up_topic(slot, topic_id, now, out);
        }
        self.tell_guarded(slot, message, out);
    }

    /// The client knows `topic_id` now: what waited for it goes.
    pub(super) fn topic_known(&mut self, slot: u32, topic_id: u16, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if let Some(topics) = client.topics.as_mut() {
            topics.mark_known(topic_id);
        }
        let register = client.outgoing.as_mut().and_then(|it| it.register.take());
        if let Some(delivery) = register.and_then(|register| register.waiting) {
            self.send_qos0(slot, &delivery, TopicIdType::Normal, topic_id, out);
        }
        self.after_register(slot, now, out);
    }

    /// What waits for `topic_id` will not be sent.
    pub(super) fn give_up_topic(&mut self, slot: u32, topic_id: u16, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(outgoing) = client.outgoing.as_mut() else { return };
        if outgoing.register.as_ref().is_some_and(|register| register.topic_id == topic_id) {
            let waited = outgoing.register.take().is_some_and(|register| register.waiting.is_some());
            self.counters.topic_refused += u64::from(waited);
        }
        if self.flight(slot).is_some_and(|flight| flight.stage == Stage::Register(topic_id)) {
            self.reject_flight(slot, out);
        }
        self.after_register(slot, now, out);
    }

    /// No REGISTER is in flight any more: the QoS 1/2 message may want the next one, and credit flows again.
    pub(super) fn after_register(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let waits = self.flight(slot).is_some_and(|flight| match flight.stage {
            Stage::Register(_) => true,
            Stage::Publish | Stage::Received | Stage::Release => false,
        });
        if waits {
            self.send_flight(slot, now, out);
        }
        self.settle(slot, out);
    }

    /// The client says "congestion" to a REGISTER.
    pub(super) fn back_off_register(&mut self, slot: u32, now: Now) {
        if let Some(register) = self.register(slot) {
            register.due = now.instant + T_WAIT;
        }
    }

    /// The message in flight will never be taken by this client.
    pub(super) fn reject_flight(&mut self, slot: u32, out: &mut Actions) {
        let Some(packet) = self.flight(slot).map(|flight| flight.packet) else { return };
        self.counters.rejected += 1;
        self.request(slot, ToBroker::Reject(packet), out);
        self.end_flight(slot, out);
    }

    /// The last try was not answered: the message keeps its place with the broker, those behind it go on.
    pub(super) fn park_flight(&mut self, slot: u32, out: &mut Actions) {
        let Some(packet) = self.flight(slot).map(|flight| flight.packet) else { return };
        self.counters.parked += 1;
        self.tell_unsent(slot, out);
        self.request(slot, ToBroker::Park(packet), out);
        self.end_flight(slot, out);
    }

    /// Tells the broker what has not left, before the client is not there for it any more.
    pub(super) fn tell_unsent(&mut self, slot: u32, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let unsent = client.unsent_packets();
        client.unsent = None;
        for packet in unsent {
            self.request(slot, ToBroker::Unsent(packet), out);
        }
    }

    /// Nothing is in flight any more.
    pub(super) fn end_flight(&mut self, slot: u32, out: &mut Actions) {
        if let Some(outgoing) = self.clients.get_mut(slot).and_then(|client| client.outgoing.as_mut()) {
            outgoing.flight = None;
        }
        self.settle(slot, out);
    }

    /// Gives held credit back if nothing is in flight.
    fn settle(&mut self, slot: u32, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if let Some(outgoing) = client.outgoing.as_ref()
            && outgoing.flight.is_none()
            && outgoing.register.is_none()
        {
            self.release_credit(slot, out);
        }
        if let Some(client) = self.clients.get_mut(slot) {
            client.tidy();
        }
        self.end_burst(slot, out);
    }

    /// Held credit goes back to the broker.
    pub(super) fn release_credit(&mut self, slot: u32, out: &mut Actions) {
        let Some(outgoing) = self.clients.get_mut(slot).and_then(|client| client.outgoing.as_mut()) else {
            return;
        };
        let held = std::mem::take(&mut outgoing.held_credit);
        self.give_credit(slot, held, out);
    }

    fn give_credit(&mut self, slot: u32, bytes: u32, out: &mut Actions) {
        if bytes == 0 {
            return;
        }
        if self.guard_holds(slot) {
            // The address has had its share: no credit until it is heard again.
            if let Some(client) = self.clients.get_mut(slot) {
                client.outgoing().held_credit += bytes;
            }
            return;
        }
        self.request(slot, ToBroker::Credit { bytes }, out);
    }

    /// The broker releases a QoS 2 message: PUBREL goes out.
    pub(super) fn broker_pubrel(&mut self, slot: u32, packet: PacketId, now: Now, out: &mut Actions) {
        let late = self.take_pending(slot, |pending| match pending {
            Pending::LateReceived(late) => *late == packet,
            Pending::Publish { .. }
            | Pending::Subscribe { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep
            | Pending::Refused(_) => false,
        });
        if late.is_some() {
            return self.tell(slot, Message::PubRel(packet.get()), out);
        }
        let Some(client) = self.clients.get_mut(slot) else { return };
        let outgoing = client.outgoing();
        match outgoing.flight.as_mut() {
            Some(flight) if flight.packet == packet => {
                flight.stage = Stage::Release;
                flight.tries = 0;
                flight.delivery = None;
            }
            Some(_) | None => {
                outgoing.flight = Some(InFlight {
                    packet,
                    stage: Stage::Release,
                    delivery: None,
                    tries: 0,
                    registered_anew: 0,
                    dup: false,
                    due: now.instant,
                });
            }
        }
        self.send_flight(slot, now, out);
        self.arm(slot, now.instant);
    }

    /// The client is here again, or asks again: what is open is sent once more.
    pub(super) fn resend_open(&mut self, slot: u32, now: Now, out: &mut Actions) {
        // A client that asks again and again does not use the tries up.
        if let Some(register) = self.register(slot).filter(|register| register.stored) {
            register.tries = register.tries.saturating_sub(1);
            self.send_register(slot, now, out);
        }
        if let Some(flight) = self.flight(slot) {
            flight.tries = flight.tries.saturating_sub(1);
        }
        let registering = self.flight(slot).is_some_and(|flight| match flight.stage {
            Stage::Register(_) => true,
            Stage::Publish | Stage::Received | Stage::Release => false,
        });
        if !registering {
            self.send_flight(slot, now, out);
        }
    }
}

/// What a delivery takes from the link's credit.
pub(super) fn cost(delivery: &Delivery) -> u32 {
    u32::try_from(delivery.message.cost() + DELIVERY_OVERHEAD).unwrap_or(u32::MAX)
}
