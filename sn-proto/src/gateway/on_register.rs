//! REGISTER from a client, REGACK to our own (MQTT-SN §6.5, §6.10).

use broker_core::topic::TopicNameRef;

use super::memos::AfterMemo;
use super::{SnGateway, Turn};
use crate::topics::{Change, Origin, RegistryFull};
use crate::wire::{Message, RegAck, Register, ReturnCode};

impl SnGateway {
    pub(super) fn on_register(&mut self, slot: u32, turn: &mut Turn<'_>, register: Register<'_>) {
        let msg_id = register.msg_id;
        let refuse = |code| Message::RegAck(RegAck { topic_id: 0, msg_id, return_code: code });
        let name = core::str::from_utf8(register.topic_name).ok();
        let name = name.and_then(|name| TopicNameRef::new_within(name, &self.config.topic_limits).ok());
        match name.map(|name| self.register_topic(slot, name.as_str(), Origin::Client)) {
            // §6.10: REGISTER never contains a wildcard, and an empty name is none.
            None => turn.reply(refuse(ReturnCode::NotSupported)),
            Some(Err(RegistryFull)) => {
                self.counters.registry_full += 1;
                turn.reply(refuse(ReturnCode::Congestion));
            }
            Some(Ok((topic_id, true))) => {
                let then = AfterMemo::RegAck { topic_id, msg_id };
                self.note_change(slot, Change::Topic(topic_id), then, turn.out);
            }
            Some(Ok((topic_id, false))) => {
                let ack = RegAck { topic_id, msg_id, return_code: ReturnCode::Accepted };
                turn.reply(Message::RegAck(ack));
            }
        }
        self.note_sleeper(slot, turn.out);
    }

    /// The normal id of a topic, and whether the memo must be told of it.
    pub(super) fn register_topic(
        &mut self,
        slot: u32,
        name: &str,
        origin: Origin,
    ) -> Result<(u16, bool), RegistryFull> {
        let name = self.names.share(name);
        let predefined = std::sync::Arc::clone(&self.config.predefined);
        let max = self.config.limits.topics_per_client_max;
        let client = self.clients.get(slot).map(|client| std::sync::Arc::clone(&client.name));
        let client = client.ok_or(RegistryFull)?;
        let registry = self.registry(slot).ok_or(RegistryFull)?;
        registry.register(&name, origin, max, |id| predefined.is_taken(&client, id))
    }

    pub(super) fn on_regack(&mut self, slot: u32, turn: &mut Turn<'_>, ack: RegAck) {
        let register = self.clients.get(slot).and_then(|client| client.outgoing.as_ref()?.register.as_ref());
        // Matched by MsgId; clients are careless with the topic id.
        let Some(topic_id) = register.filter(|it| it.stored && it.msg_id == ack.msg_id).map(|it| it.topic_id)
        else {
            self.counters.out_of_place += 1;
            return;
        };
        self.validate(slot);
        match ack.return_code {
            ReturnCode::Accepted => self.topic_known(slot, topic_id, turn.now, turn.out),
            ReturnCode::Congestion if self.is_awake(slot) => {
                // It would rather sleep: what waits for the id keeps its place until the next wake-up.
                self.give_up_register(slot, topic_id, turn.now, turn.out);
            }
            ReturnCode::Congestion => self.back_off_register(slot, turn.now),
            ReturnCode::InvalidTopicId | ReturnCode::NotSupported | ReturnCode::Reserved(_) => {
                // The client does not want this topic: as if it had unsubscribed from it alone.
                if let Some(registry) = self.registry(slot) {
                    registry.mark_rejected(topic_id);
                }
                self.give_up_topic(slot, topic_id, turn.now, turn.out);
            }
        }
        self.note_sleeper(slot, turn.out);
    }
}
