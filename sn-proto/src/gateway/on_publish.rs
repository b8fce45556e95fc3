//! PUBLISH and PUBREL from a client, and the broker's answers to them (MQTT-SN §6.6).

use std::borrow::Cow;
use std::sync::Arc;

use broker_core::frontend::Actions;
use broker_core::link::PublishOutcome;
use broker_core::topic::TopicNameRef;
use broker_core::{Instant, Message as AppMessage, Now, PacketId, QoS, ToBroker};

use super::on_will::delivery_qos;
use super::{SnGateway, Turn};
use crate::client::{Pending, ZERO_PACKET, ZeroPacket};
use crate::topics::short_name;
use crate::wire::{Message, PubAck, Publish, Qos, ReturnCode, TopicIdType};

impl SnGateway {
    /// A PUBLISH of a client with a session. QoS −1 counts as QoS 0 of this client.
    pub(super) fn on_publish(&mut self, slot: u32, turn: &mut Turn<'_>, publish: Publish<'_>) {
        match self.published_topic(slot, &publish) {
            Ok((topic, data)) => self.publish(slot, turn, &publish, &topic, data),
            Err(code) => self.refuse_publish(turn, &publish, code),
        }
        self.note_sleeper(slot, turn.out);
    }

    /// §6.6: an unknown id is told whatever the QoS; all else is told where somebody waits for an answer.
    fn refuse_publish(&mut self, turn: &mut Turn<'_>, publish: &Publish<'_>, code: ReturnCode) {
        let told = match (publish.qos, code) {
            (Qos::AtLeastOnce | Qos::ExactlyOnce, _) => true,
            (Qos::AtMostOnce, ReturnCode::InvalidTopicId) => true,
            (
                Qos::AtMostOnce,
                ReturnCode::Accepted
                | ReturnCode::Congestion
                | ReturnCode::NotSupported
                | ReturnCode::Reserved(_),
            )
            | (Qos::MinusOne, _) => false,
        };
        self.counters.publish_refused += 1;
        if told {
            let Publish { topic_id, msg_id, .. } = *publish;
            turn.reply(Message::PubAck(PubAck { topic_id, msg_id, return_code: code }));
        }
    }

    /// The topic and payload of a PUBLISH, or the return code.
    fn published_topic<'a>(
        &mut self,
        slot: u32,
        publish: &Publish<'a>,
    ) -> Result<(Arc<str>, &'a [u8]), ReturnCode> {
        let id = publish.topic_id;
        let client = self.clients.get_mut(slot).ok_or(ReturnCode::InvalidTopicId)?;
        let predefined = self.config.predefined.topic(Some(&client.name), id);
        let topics = client.topics.as_mut();
        match publish.topic_id_type {
            // Ids of both kinds lie in ranges of their own, so a wrong type bit does no harm; only an id that was
            // predefined after it had been handed out is both, and then the type counts.
            TopicIdType::Normal | TopicIdType::Predefined => {
                if publish.topic_id_type == TopicIdType::Predefined
                    && let Some(name) = predefined
                {
                    return Ok((Arc::clone(name), publish.data));
                }
                if let Some(entry) = topics.as_ref().and_then(|topics| topics.by_id(id)) {
                    let name = Arc::clone(entry.name());
                    if let Some(topics) = topics {
                        topics.mark_known(id);
                    }
                    return Ok((name, publish.data));
                }
                if publish.qos == Qos::MinusOne
                    && publish.topic_id_type == TopicIdType::Normal
                    && self.config.inline_topic_names
                    && let Some((name, data)) = inline_topic(id, publish.data)
                {
                    return Ok((Arc::from(name), data));
                }
                predefined.map(|name| (Arc::clone(name), publish.data)).ok_or(ReturnCode::InvalidTopicId)
            }
            TopicIdType::Short => {
                let name = short_name(&id.to_be_bytes()).map(Arc::from);
                name.map(|name| (name, publish.data)).ok_or(ReturnCode::NotSupported)
            }
            TopicIdType::Reserved => Err(ReturnCode::NotSupported),
        }
    }

    fn publish(&mut self, slot: u32, turn: &mut Turn<'_>, publish: &Publish<'_>, topic: &str, data: &[u8]) {
        let qos = delivery_qos(publish.qos).unwrap_or(QoS::AtMostOnce);
        let Some(topic) = self.mounted(slot, topic) else { return };
        let message = AppMessage::new(&topic, data, qos, publish.retain);
        let Publish { topic_id, msg_id, dup, .. } = *publish;
        let packet = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => packet_of(msg_id),
        };
        if let Some(packet) = packet {
            if qos == QoS::ExactlyOnce && self.is_late_copy(slot, msg_id, &message, turn.now.instant) {
                self.counters.late_copies += 1;
                return turn.reply(Message::PubRec(msg_id));
            }
            if qos == QoS::ExactlyOnce
                && packet.get() == ZERO_PACKET
                && self.is_zero_packet_taken(slot, msg_id, turn)
            {
                return self.refuse_publish(turn, publish, ReturnCode::Congestion);
            }
            let room = qos != QoS::ExactlyOnce || self.note_open(slot, msg_id, &message);
            if !room || !self.push_pending(slot, Pending::Publish { packet, topic_id, msg_id }) {
                return self.refuse_publish(turn, publish, ReturnCode::Congestion);
            }
        }
        self.request(slot, ToBroker::Publish { packet_id: packet, dup, message }, turn.out);
    }

    /// A topic of this client as the broker knows it.
    pub(super) fn mounted<'a>(&self, slot: u32, topic: &'a str) -> Option<Cow<'a, str>> {
        self.config.mountpoint.mounted(self.clients.mounted(slot)?, topic)
    }

    /// UDP may bring a copy of a QoS 2 PUBLISH after its PUBREL; the MsgId alone does not tell, since simple
    /// clients use one for all.
    fn is_late_copy(&self, slot: u32, msg_id: u16, message: &AppMessage, now: Instant) -> bool {
        let client = self.clients.get(slot);
        client.is_some_and(|client| client.released.knows(msg_id, || content_hash(message), now))
    }

    /// Notes a QoS 2 message that waits for its PUBREL; false when there are too many.
    fn note_open(&mut self, slot: u32, msg_id: u16, message: &AppMessage) -> bool {
        let max = self.config.limits.unreleased_max;
        let hash = content_hash(message);
        let Some(client) = self.clients.get_mut(slot) else { return false };
        let incoming = client.incoming();
        // A MsgId that is still open stands for the message that the broker has.
        if incoming.open.iter().any(|(id, _)| *id == msg_id) {
            return true;
        }
        if incoming.open.len() >= max {
            return false;
        }
        incoming.open.push((msg_id, hash));
        if packet_of(msg_id).is_some_and(|packet| packet.get() == ZERO_PACKET) {
            client.zero_packet = ZeroPacket::of(msg_id);
        }
        true
    }

    /// Whether a QoS 2 PUBLISH with one of the two MsgIds that share [`ZERO_PACKET`] meets one with the other: then it
    /// has to come again. (QoS 1 ones are answered in their order.) A message in its way is released before its time: its
    /// client, which should have one message open at a time, may have given it up, and the newcomer shall not wait for
    /// ever.
    fn is_zero_packet_taken(&mut self, slot: u32, msg_id: u16, turn: &mut Turn<'_>) -> bool {
        let Some(client) = self.clients.get(slot) else { return false };
        let mut pending = client.incoming.iter().flat_map(|incoming| incoming.pending.iter());
        let unanswered = pending.any(|pending| match *pending {
            Pending::Publish { packet, msg_id: other, .. } => packet.get() == ZERO_PACKET && other != msg_id,
            Pending::Refused(packet) => packet.get() == ZERO_PACKET,
            Pending::Subscribe { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep
            | Pending::LateReceived(_) => false,
        });
        let holder = client.zero_packet.other_than(msg_id);
        if let Some(holder) = holder.filter(|_| !unanswered)
            && let Some(packet) = packet_of(holder)
            && self.push_pending(slot, Pending::Refused(packet))
        {
            self.note_released(slot, holder, turn.now.instant);
            self.request(slot, ToBroker::Pubrel(packet), turn.out);
        }
        unanswered || holder.is_some()
    }

    /// A QoS 2 message goes out: it is open no more, but a copy of it may come yet.
    fn note_released(&mut self, slot: u32, msg_id: u16, now: Instant) {
        let until = now + self.config.retry_interval;
        let kept = self.config.limits.released_ids_max;
        let Some(client) = self.clients.get_mut(slot) else { return };
        if packet_of(msg_id).is_some_and(|packet| packet.get() == ZERO_PACKET) {
            client.zero_packet = ZeroPacket::Nobodys;
        }
        if let Some(incoming) = client.incoming.as_mut()
            && let Some(at) = incoming.open.iter().position(|(id, _)| *id == msg_id)
        {
            let (id, hash) = incoming.open.swap_remove(at);
            client.released.note(id, hash, until, kept);
            client.tidy();
        }
    }

    pub(super) fn on_pubrel(&mut self, slot: u32, turn: &mut Turn<'_>, msg_id: u16) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(packet) = packet_of(msg_id) else { return };
        let of_two = packet.get() == ZERO_PACKET;
        if of_two && client.zero_packet.other_than(msg_id).is_some() {
            // Released before: what the broker has is the other's.
            turn.reply(Message::PubComp(msg_id));
        } else {
            client.zero_released = if of_two { msg_id == 0 } else { client.zero_released };
            self.note_released(slot, msg_id, turn.now.instant);
            self.request(slot, ToBroker::Pubrel(packet), turn.out);
        }
        self.note_sleeper(slot, turn.out);
    }

    /// The broker has taken, or refused, a QoS 1 message.
    pub(super) fn broker_puback(
        &mut self,
        slot: u32,
        packet_id: PacketId,
        outcome: PublishOutcome,
        now: Now,
        out: &mut Actions,
    ) {
        let Some((topic_id, msg_id)) = self.take_publish(slot, packet_id) else { return };
        let return_code = outcome_code(outcome);
        self.tell(slot, Message::PubAck(PubAck { topic_id, msg_id, return_code }), out);
        self.deliver_deferred(slot, now, out);
    }

    /// The broker has stored, or refused, a QoS 2 message.
    pub(super) fn broker_pubrec(
        &mut self,
        slot: u32,
        packet_id: PacketId,
        outcome: PublishOutcome,
        now: Now,
        out: &mut Actions,
    ) {
        let Some((topic_id, msg_id)) = self.take_publish(slot, packet_id) else { return };
        let return_code = outcome_code(outcome);
        match outcome {
            PublishOutcome::Accepted => self.tell(slot, Message::PubRec(msg_id), out),
            PublishOutcome::Denied | PublishOutcome::Quota => {
                self.tell(slot, Message::PubAck(PubAck { topic_id, msg_id, return_code }), out);
                if let Some(client) = self.clients.get_mut(slot) {
                    if packet_id.get() == ZERO_PACKET {
                        client.zero_packet = ZeroPacket::Nobodys;
                    }
                    if let Some(incoming) = client.incoming.as_mut() {
                        incoming.open.retain(|(id, _)| *id != msg_id);
                    }
                }
                // What was denied is kept by the broker until its PUBREL, which this client will not send.
                if outcome == PublishOutcome::Denied && self.push_pending(slot, Pending::Refused(packet_id)) {
                    self.request(slot, ToBroker::Pubrel(packet_id), out);
                }
            }
        }
        self.deliver_deferred(slot, now, out);
    }

    /// Whether the broker still has to answer a PUBLISH of this client.
    pub(super) fn has_open_publish(&self, slot: u32) -> bool {
        let incoming = self.clients.get(slot).and_then(|client| client.incoming.as_ref());
        incoming.is_some_and(|incoming| {
            incoming.pending.iter().any(|pending| match pending {
                Pending::Publish { .. } => true,
                Pending::Subscribe { .. }
                | Pending::WillTopic
                | Pending::WillMessage
                | Pending::EndSleep
                | Pending::LateReceived(_)
                | Pending::Refused(_) => false,
            })
        })
    }

    pub(super) fn broker_pubcomp(&mut self, slot: u32, packet_id: PacketId, now: Now, out: &mut Actions) {
        let refused = self.take_pending(slot, |pending| match pending {
            Pending::Refused(packet) => *packet == packet_id,
            Pending::LateReceived(_) => false,
            Pending::Publish { .. }
            | Pending::Subscribe { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep => false,
        });
        if refused.is_some() {
            return;
        }
        let Some(client) = self.clients.get_mut(slot) else { return };
        let msg_id = if client.zero_released && packet_id.get() == ZERO_PACKET { 0 } else { packet_id.get() };
        self.tell(slot, Message::PubComp(msg_id), out);
        self.arm(slot, now.instant);
    }

    fn take_publish(&mut self, slot: u32, packet_id: PacketId) -> Option<(u16, u16)> {
        let pending = self.take_pending(slot, |pending| match pending {
            Pending::Publish { packet, .. } => *packet == packet_id,
            Pending::Subscribe { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep
            | Pending::LateReceived(_)
            | Pending::Refused(_) => false,
        })?;
        match pending {
            Pending::Publish { topic_id, msg_id, .. } => Some((topic_id, msg_id)),
            Pending::Subscribe { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep
            | Pending::LateReceived(_)
            | Pending::Refused(_) => None,
        }
    }

    /// Notes a request that the broker will answer; false when there are too many.
    pub(super) fn push_pending(&mut self, slot: u32, pending: Pending) -> bool {
        let max = self.config.limits.requests_pending_max;
        let Some(client) = self.clients.get_mut(slot) else { return false };
        let incoming = client.incoming();
        if incoming.pending.len() >= max {
            return false;
        }
        incoming.pending.push_back(pending);
        true
    }

    /// The oldest request that `wanted` accepts.
    pub(super) fn take_pending(&mut self, slot: u32, wanted: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let client = self.clients.get_mut(slot)?;
        let incoming = client.incoming.as_mut()?;
        let at = incoming.pending.iter().position(wanted)?;
        let taken = incoming.pending.remove(at);
        client.tidy();
        taken
    }
}

/// What the broker knows a MsgId of a client as.
fn packet_of(msg_id: u16) -> Option<PacketId> {
    PacketId::new(msg_id).or(PacketId::new(ZERO_PACKET))
}

fn outcome_code(outcome: PublishOutcome) -> ReturnCode {
    match outcome {
        PublishOutcome::Accepted => ReturnCode::Accepted,
        PublishOutcome::Denied => ReturnCode::NotSupported,
        PublishOutcome::Quota => ReturnCode::Congestion,
    }
}

/// QoS −1 with TopicIdType 00: the TopicId field is the length of the topic name, which precedes the payload.
///
/// Deviation: an extension of several clients (MQTT-SN 2.0 appendix C.6), not in 1.2.
pub(super) fn inline_topic(length: u16, data: &[u8]) -> Option<(&str, &[u8])> {
    let (name, data) = data.split_at_checked(usize::from(length))?;
    let name = TopicNameRef::new(core::str::from_utf8(name).ok()?).ok()?;
    Some((name.as_str(), data))
}

/// Tells messages apart that came with the same MsgId. Eight octets at a time: it is made for every QoS 2 message.
fn content_hash(message: &AppMessage) -> u32 {
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    };
    let mut hash = 0;
    for octets in [message.topic_bytes(), message.payload()] {
        let (words, rest) = octets.as_chunks::<8>();
        hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        // The length stands for where the topic ends.
        let last = rest.iter().fold(rest.len() as u64, |last, octet| last << 8 | u64::from(*octet));
        hash = mix(mix(hash, last), octets.len() as u64);
    }
    hash as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_messages_apart() {
        let hash = |topic: &str, data: &str| {
            content_hash(&AppMessage::new(topic, data.as_bytes(), QoS::ExactlyOnce, false))
        };
        assert_eq!(hash("a/b", "0123456789"), hash("a/b", "0123456789"));
        let mut seen = std::collections::BTreeSet::new();
        let texts = ["", "0", "00", "000000000", "0123456789", "1123456789", "0123456780", "\0", "\0\0"];
        for topic in ["a", "ab", "a/b", "abcdefgh", "abcdefghi", "b0123456"] {
            for data in texts {
                assert!(seen.insert(hash(topic, data)), "{topic} {data:?}");
            }
        }
        assert!(seen.insert(hash("a0", "")) && seen.insert(hash("a00", "0")), "where the topic ends counts");
    }

    #[test]
    fn inline_topics_must_fit_and_be_topic_names() {
        assert_eq!(inline_topic(3, b"a/bpayload"), Some(("a/b", &b"payload"[..])));
        assert_eq!(inline_topic(3, b"a/b"), Some(("a/b", &b""[..])));
        for (length, data) in [(0, &b"x"[..]), (4, b"a/b"), (0xFFFF, b"ab"), (2, b"a#x"), (2, b"\xff\xffx")] {
            assert_eq!(inline_topic(length, data), None);
        }
    }
}
