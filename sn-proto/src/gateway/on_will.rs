//! WILLTOPIC and WILLMSG of the handshake, WILLTOPICUPD and WILLMSGUPD later (MQTT-SN §6.3, §6.4).

use broker_core::link::WillUpdate;
use broker_core::topic::TopicNameRef;
use broker_core::{Message as AppMessage, QoS, ToBroker, Will};
use bytes::Bytes;

use super::{SnGateway, Turn};
use crate::client::{Pending, State, WillTopicOwned};
use crate::wire::{Message, Qos, ReturnCode, WillTopic};

impl SnGateway {
    pub(super) fn on_willtopic(&mut self, slot: u32, turn: &mut Turn<'_>, topic: Option<WillTopic<'_>>) {
        let Some(client) = self.clients.get(slot) else { return };
        if client.handshake.is_none() {
            if topic.is_none() && client.state == State::Active && client.fresh && client.prompted {
                turn.reply(Message::ConnAck(ReturnCode::Accepted)); // §6.13: our CONNACK was lost
            } else {
                self.counters.out_of_place += 1;
            }
            return;
        }
        let Some(topic) = topic else {
            return self.finish_handshake(slot, None, turn.now, turn.out);
        };
        match self.check_will_topic(slot, &topic) {
            Some(checked) => {
                let deadline = turn.now.instant + self.config.limits.handshake_timeout;
                if let Some(handshake) =
                    self.clients.get_mut(slot).and_then(|client| client.handshake.as_mut())
                {
                    handshake.topic = Some(checked);
                    handshake.deadline = deadline;
                }
                turn.reply(Message::WillMsgReq);
            }
            None => self.refuse_handshake(slot, turn),
        }
    }

    pub(super) fn on_willmsg(&mut self, slot: u32, turn: &mut Turn<'_>, octets: &[u8]) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(handshake) = client.handshake.as_mut() else {
            if client.state == State::Active && client.fresh && client.prompted {
                turn.reply(Message::ConnAck(ReturnCode::Accepted)); // §6.13: our CONNACK was lost
            } else {
                self.counters.out_of_place += 1;
            }
            return;
        };
        let Some(topic) = handshake.topic.take() else {
            // The message before its topic: this is no handshake of ours.
            client.handshake = None;
            if client.state == State::Handshake {
                self.counters.handshakes_abandoned += 1;
                self.forget(slot);
                self.disconnect_stranger(turn);
            }
            return;
        };
        if topic.topic.len() + octets.len() > self.config.limits.will_bytes_max {
            return self.refuse_handshake(slot, turn);
        }
        let message = AppMessage::new(&topic.topic, octets, topic.qos, topic.retain);
        self.finish_handshake(slot, Some(Will { message }), turn.now, turn.out);
    }

    pub(super) fn on_willtopicupd(&mut self, slot: u32, turn: &mut Turn<'_>, topic: Option<WillTopic<'_>>) {
        let update = match topic {
            None => Some(WillUpdate::Delete), // the 2-octet form deletes topic and message (§5.4.23)
            Some(topic) => self.check_will_topic(slot, &topic).map(|topic| WillUpdate::Topic {
                topic: topic.topic,
                qos: topic.qos,
                retain: topic.retain,
            }),
        };
        match update {
            Some(update) if self.push_pending(slot, Pending::WillTopic) => {
                self.request(slot, ToBroker::Will(update), turn.out);
            }
            Some(_) => turn.reply(Message::WillTopicResp(ReturnCode::Congestion)),
            None => turn.reply(Message::WillTopicResp(ReturnCode::NotSupported)),
        }
        self.note_sleeper(slot, turn.out);
    }

    pub(super) fn on_willmsgupd(&mut self, slot: u32, turn: &mut Turn<'_>, octets: &[u8]) {
        if octets.len() > self.config.limits.will_bytes_max {
            turn.reply(Message::WillMsgResp(ReturnCode::NotSupported));
        } else if self.push_pending(slot, Pending::WillMessage) {
            let update = WillUpdate::Payload(Bytes::copy_from_slice(octets));
            self.request(slot, ToBroker::Will(update), turn.out);
        } else {
            turn.reply(Message::WillMsgResp(ReturnCode::Congestion));
        }
        self.note_sleeper(slot, turn.out);
    }

    /// The handshake ends with a refusal. A live session beside it goes on.
    fn refuse_handshake(&mut self, slot: u32, turn: &mut Turn<'_>) {
        self.counters.connects_refused += 1;
        turn.reply(Message::ConnAck(ReturnCode::NotSupported));
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.handshake = None;
        if client.state == State::Handshake {
            self.forget(slot);
        }
    }

    /// A will topic is a topic name, at QoS 0 to 2, of a size that we keep.
    fn check_will_topic(&self, slot: u32, topic: &WillTopic<'_>) -> Option<WillTopicOwned> {
        let qos = delivery_qos(topic.qos)?;
        let text = core::str::from_utf8(topic.topic).ok()?;
        let name = TopicNameRef::new_within(text, &self.config.topic_limits).ok()?;
        let mounted = self.mounted(slot, name.as_str())?;
        (text.len() <= self.config.limits.will_bytes_max).then(|| WillTopicOwned {
            topic: Box::from(&*mounted),
            qos,
            retain: topic.retain,
        })
    }
}

/// The level of a message that goes to the broker; QoS −1 is none.
pub(super) fn delivery_qos(qos: Qos) -> Option<QoS> {
    match qos {
        Qos::MinusOne => None,
        Qos::AtMostOnce => Some(QoS::AtMostOnce),
        Qos::AtLeastOnce => Some(QoS::AtLeastOnce),
        Qos::ExactlyOnce => Some(QoS::ExactlyOnce),
    }
}

/// The same the other way.
pub(super) fn wire_qos(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}
