//! The memo: a topic id is in the broker's hands before a client hears of it.
//!
//! The tag that goes with a memo request says what is to be sent once it is stored, so nothing waits here.

use broker_core::frontend::Actions;
use broker_core::link::MemoUpdate;
use broker_core::{Now, ToBroker};
use bytes::Bytes;

use super::SnGateway;
use crate::client::{Intent, Route};
use crate::topics::{Change, Place, Registry, Update};
use crate::wire::{Message, RegAck, ReturnCode};

/// What follows when a memo request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterMemo {
    /// Nothing.
    Nothing,
    /// REGACK to the client's REGISTER.
    RegAck { topic_id: u16, msg_id: u16 },
    /// Our own REGISTER.
    Register { topic_id: u16 },
}

impl AfterMemo {
    fn tag(self) -> u64 {
        match self {
            AfterMemo::Nothing => 0,
            AfterMemo::RegAck { topic_id, msg_id } => 1 << 32 | u64::from(topic_id) << 16 | u64::from(msg_id),
            AfterMemo::Register { topic_id } => 2 << 32 | u64::from(topic_id) << 16,
        }
    }

    fn from_tag(tag: u64) -> Self {
        let [_, _, _, kind, high, low, msg_high, msg_low] = tag.to_be_bytes();
        let topic_id = u16::from_be_bytes([high, low]);
        match kind {
            1 => AfterMemo::RegAck { topic_id, msg_id: u16::from_be_bytes([msg_high, msg_low]) },
            2 => AfterMemo::Register { topic_id },
            _ => AfterMemo::Nothing,
        }
    }
}

impl SnGateway {
    /// The registry of a client, made when it is first needed.
    pub(super) fn registry(&mut self, slot: u32) -> Option<&mut Registry> {
        let random = self.config.random_topic_ids;
        let client = self.clients.get_mut(slot)?;
        let rng = &mut self.rng;
        let topics = client
            .topics
            .get_or_insert_with(|| Box::new(Registry::new(if random { rng.next_u16() } else { 0 })));
        Some(topics)
    }

    /// Tells the broker of a change in the registry of `slot`, which is there already.
    pub(super) fn note_change(&mut self, slot: u32, change: Change, then: AfterMemo, out: &mut Actions) {
        let Some(registry) = self.registry(slot) else { return };
        let update = match registry.memo_update(change) {
            Update::Append(octets) => MemoUpdate::Append(Bytes::from(octets)),
            Update::Replace(octets) => MemoUpdate::Replace(Bytes::from(octets)),
        };
        self.request(slot, ToBroker::Memo { update, tag: then.tag() }, out);
    }

    /// Notes in the memo where a client is, if that is new. Only for sessions that a restart leaves alive.
    pub(super) fn note_place(&mut self, slot: u32, out: &mut Actions) {
        let Some(client) = self.clients.get(slot) else { return };
        let place = Place {
            route: client.route.clone(),
            keep_alive: client.keep_alive,
            sleep: client.sleep,
            proven: client.identity.is_some(),
        };
        if self.registry(slot).is_some_and(|registry| registry.set_place(place)) {
            self.note_change(slot, Change::Place, AfterMemo::Nothing, out);
        }
    }

    /// Notes that a client is no longer where the memo has it, so that a restart does not look for it there: its host
    /// stays, with port 0, which nobody has.
    pub(super) fn note_displaced(&mut self, slot: u32, out: &mut Actions) {
        let topics = self.clients.get(slot).and_then(|client| client.topics.as_ref());
        let Some(mut place) = topics.and_then(|topics| topics.place()).cloned() else { return };
        let mut address = place.route.address();
        address.remote.set_port(0);
        place.route = Route::new(address, place.route.node());
        if self.registry(slot).is_some_and(|registry| registry.set_place(place)) {
            self.note_change(slot, Change::Place, AfterMemo::Nothing, out);
        }
    }

    /// The broker has stored, or refused, a memo change.
    pub(super) fn broker_memo_stored(
        &mut self,
        slot: u32,
        tag: u64,
        accepted: bool,
        now: Now,
        out: &mut Actions,
    ) {
        match AfterMemo::from_tag(tag) {
            AfterMemo::Nothing => {}
            AfterMemo::RegAck { topic_id, msg_id } if accepted => {
                let ack = RegAck { topic_id, msg_id, return_code: ReturnCode::Accepted };
                self.tell(slot, Message::RegAck(ack), out);
            }
            AfterMemo::RegAck { topic_id, msg_id } => {
                self.unregister(slot, topic_id);
                let ack = RegAck { topic_id: 0, msg_id, return_code: ReturnCode::Congestion };
                self.tell(slot, Message::RegAck(ack), out);
            }
            AfterMemo::Register { topic_id } if accepted => self.register_stored(slot, topic_id, now, out),
            AfterMemo::Register { topic_id } => {
                self.unregister(slot, topic_id);
                self.give_up_topic(slot, topic_id, now, out);
            }
        }
        self.arm(slot, now.instant);
    }

    fn unregister(&mut self, slot: u32, topic_id: u16) {
        self.counters.registry_full += 1;
        if let Some(registry) = self.registry(slot) {
            registry.forget(topic_id);
        }
    }

    /// Takes the memo of an attached session over. Which ids the client still knows depends on why it is here.
    pub(super) fn restore_topics(&mut self, slot: u32, memo: &[u8], intent: Intent) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if memo.is_empty() {
            client.topics = None;
            return;
        }
        let offset = if self.config.random_topic_ids { self.rng.next_u16() } else { 0 };
        let max = self.config.limits.topics_per_client_max;
        let mut registry = Registry::from_memo(memo, offset, max, &mut self.names);
        match intent {
            // The device was lost or restarted, and may have forgotten all (§6.10).
            Intent::Connect if self.config.subs_resume => {}
            Intent::Connect => registry.mark_all_known(),
            // It only slept, or did not notice our restart: it knows what it asked for itself.
            Intent::Wake | Intent::EndSleep | Intent::Restore | Intent::RestoreAsleep => {
                registry.mark_client_made_known()
            }
        }
        if let Some(place) = registry.place()
            && client.sleep == 0
        {
            client.sleep = place.sleep;
        }
        client.topics = Some(Box::new(registry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_carry_what_follows() {
        for after in [
            AfterMemo::Nothing,
            AfterMemo::RegAck { topic_id: 0xFFFE, msg_id: 0xFFFF },
            AfterMemo::RegAck { topic_id: 1025, msg_id: 0 },
            AfterMemo::Register { topic_id: 2048 },
        ] {
            assert_eq!(AfterMemo::from_tag(after.tag()), after);
        }
    }
}
