//! PUBACK, PUBREC and PUBCOMP for what the gateway sent (MQTT-SN §6.6, §6.10). Matched by MsgId alone, since
//! clients are careless with the topic id.

use broker_core::{PacketId, QoS, ToBroker};

use super::{SnGateway, Turn};
use crate::client::{InFlight, Pending, Stage};
use crate::limits::T_WAIT;
use crate::wire::{Message, PubAck, ReturnCode};

impl SnGateway {
    pub(super) fn on_puback(&mut self, slot: u32, turn: &mut Turn<'_>, ack: PubAck) {
        let refused = ack.return_code == ReturnCode::InvalidTopicId;
        let Some(flight) = self.matching_flight(slot, ack.msg_id) else {
            if refused && let Some(registry) = self.clients.get_mut(slot).and_then(|it| it.topics.as_mut()) {
                registry.mark_unknown(ack.topic_id); // a QoS 0 message is lost, the next one is registered first
            } else if ack.return_code == ReturnCode::Accepted
                && let Some(packet) = PacketId::new(ack.msg_id)
            {
                // Late: the message was parked, or the client fell asleep. The broker knows whether it counts.
                self.request(slot, ToBroker::Puback(packet), turn.out);
            } else {
                self.counters.out_of_place += 1;
            }
            return self.note_sleeper(slot, turn.out);
        };
        let packet = flight.packet;
        let exactly_once = is_exactly_once(flight);
        match (flight.stage, ack.return_code) {
            (Stage::Publish, ReturnCode::Accepted) if !exactly_once => {
                self.validate(slot);
                self.request(slot, ToBroker::Puback(packet), turn.out);
                self.end_flight(slot, turn.out);
            }
            (Stage::Publish, ReturnCode::InvalidTopicId) => self.register_anew(slot, turn),
            (Stage::Publish, ReturnCode::Congestion) => {
                if self.is_awake(slot) {
                    // It would rather sleep: the message keeps its place until the next wake-up.
                    self.park_flight(slot, turn.out);
                    return;
                }
                // The client waits T_WAIT; so do we, and let QoS 0 pass.
                let Some(flight) = self.flight(slot) else { return };
                flight.due = turn.now.instant + T_WAIT;
                self.release_credit(slot, turn.out);
            }
            (Stage::Publish, ReturnCode::NotSupported | ReturnCode::Reserved(_)) => {
                self.validate(slot);
                self.reject_flight(slot, turn.out);
            }
            (Stage::Publish, ReturnCode::Accepted)
            | (Stage::Register(_) | Stage::Received | Stage::Release, _) => self.counters.out_of_place += 1,
        }
        self.note_sleeper(slot, turn.out);
    }

    /// §6.10: "invalid topic id" asks for the assignment to be corrected.
    fn register_anew(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let most = self.config.limits.reregister_max;
        let Some(flight) = self.flight(slot) else { return };
        flight.registered_anew = flight.registered_anew.saturating_add(1);
        flight.tries = 0;
        if flight.registered_anew > most {
            return self.reject_flight(slot, turn.out);
        }
        let message = flight.delivery.as_ref().map(|delivery| delivery.message.clone());
        let Some(client) = self.clients.get_mut(slot) else { return };
        let mountpoint = &self.config.mountpoint;
        let topic = message.as_ref().map(|message| mountpoint.unmounted(&client.name, message.topic()));
        let Some(topics) = client.topics.as_mut() else {
            return self.reject_flight(slot, turn.out);
        };
        let id = topic.and_then(|topic| topics.by_name(topic)).map(|entry| entry.id());
        match id {
            Some(id) => {
                topics.mark_unknown(id);
                self.send_flight(slot, turn.now, turn.out);
            }
            // Predefined and short ids cannot be registered: the two sides disagree for good.
            None => self.reject_flight(slot, turn.out),
        }
    }

    pub(super) fn on_pubrec(&mut self, slot: u32, turn: &mut Turn<'_>, msg_id: u16) {
        match self.matching_flight(slot, msg_id) {
            Some(flight) if flight.stage == Stage::Publish && !is_exactly_once(flight) => {
                self.counters.out_of_place += 1;
            }
            Some(flight) if flight.stage == Stage::Publish => {
                let packet = flight.packet;
                flight.stage = Stage::Received;
                flight.tries = 0;
                self.validate(slot);
                self.request(slot, ToBroker::Pubrec(packet), turn.out);
            }
            // Its PUBREL was lost, or it is a copy.
            Some(flight) if flight.stage == Stage::Release => turn.reply(Message::PubRel(msg_id)),
            Some(_) => {}
            // Late, or unknown: the broker answers PUBREL in any case, so that the client does not wait for ever,
            // and a message that it still has will not be sent again.
            None => match PacketId::new(msg_id) {
                Some(packet) if self.push_pending(slot, Pending::LateReceived(packet)) => {
                    self.request(slot, ToBroker::Pubrec(packet), turn.out);
                }
                Some(_) | None => turn.reply(Message::PubRel(msg_id)),
            },
        }
        self.note_sleeper(slot, turn.out);
    }

    pub(super) fn on_pubcomp(&mut self, slot: u32, turn: &mut Turn<'_>, msg_id: u16) {
        match self.matching_flight(slot, msg_id) {
            Some(flight) if flight.stage == Stage::Release => {
                let packet = flight.packet;
                self.request(slot, ToBroker::Pubcomp(packet), turn.out);
                self.end_flight(slot, turn.out);
            }
            Some(_) => self.counters.out_of_place += 1,
            None => {
                if let Some(packet) = PacketId::new(msg_id) {
                    self.request(slot, ToBroker::Pubcomp(packet), turn.out);
                }
            }
        }
        self.note_sleeper(slot, turn.out);
    }

    fn matching_flight(&mut self, slot: u32, msg_id: u16) -> Option<&mut InFlight> {
        self.flight(slot).filter(|flight| flight.packet.get() == msg_id)
    }
}

fn is_exactly_once(flight: &InFlight) -> bool {
    flight.delivery.as_ref().is_some_and(|delivery| delivery.qos == QoS::ExactlyOnce)
}
