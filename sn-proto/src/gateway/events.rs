//! What the broker says, led to the file that knows its answer.

use std::sync::Arc;

use broker_core::frontend::Actions;
use broker_core::link::{ConnectWill, Restored};
use broker_core::{FromBroker, LinkId, Now, SessionName};

use super::{FIRST_CLIENT_LINK, SnGateway};
use crate::client::{Client, Intent, Pending, State};
use crate::topics::Registry;
use crate::wire::{Message, ReturnCode};

impl SnGateway {
    pub(super) fn broker_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions) {
        if let FromBroker::Restored(restored) = event {
            return self.broker_restored(now, &restored, out);
        }
        if self.is_minus_one(link) {
            return self.minus_one_event(now, link, &event);
        }
        let Some(slot) = link.slot.checked_sub(FIRST_CLIENT_LINK) else { return };
        let current = self.clients.get(slot).is_some_and(|client| client.linked)
            && self.clients.generation(slot) == link.generation;
        if !current {
            return; // a link of the past
        }
        match event {
            FromBroker::Connack { session_present, memo, .. } => {
                self.broker_connack(slot, session_present, &memo, now, out);
            }
            FromBroker::Refused(reason) => self.broker_refused(slot, reason, out),
            FromBroker::Publish(delivery) => self.broker_publish(slot, delivery, now, out),
            FromBroker::Puback { packet_id, outcome } => {
                self.broker_puback(slot, packet_id, outcome, now, out)
            }
            FromBroker::Pubrec { packet_id, outcome } => {
                self.broker_pubrec(slot, packet_id, outcome, now, out)
            }
            FromBroker::Pubrel(packet_id) => self.broker_pubrel(slot, packet_id, now, out),
            FromBroker::Pubcomp(packet_id) => self.broker_pubcomp(slot, packet_id, now, out),
            FromBroker::Suback { granted, .. } => self.broker_suback(slot, &granted, out),
            FromBroker::Unsuback { packet_id } => self.tell(slot, Message::UnsubAck(packet_id), out),
            FromBroker::Drained => self.broker_drained(slot, now, out),
            FromBroker::WillUpdated { accepted } => self.broker_will_updated(slot, accepted, now, out),
            FromBroker::MemoStored { tag, accepted } => {
                self.broker_memo_stored(slot, tag, accepted, now, out);
            }
            FromBroker::Closed(reason) => self.broker_closed(slot, reason, out),
            // A refused QoS 0 PUBLISH is dropped without a word: its client waits for none. Fates are for those
            // who enqueue.
            FromBroker::PublishRefused { .. } | FromBroker::Fate(_) | FromBroker::Restored(_) => {}
        }
    }

    fn minus_one_event(&mut self, now: Now, link: LinkId, event: &FromBroker) {
        match event {
            FromBroker::Connack { .. } => self.minus_one_changed(link, true, now),
            FromBroker::Refused(_) | FromBroker::Closed(_) => self.minus_one_changed(link, false, now),
            FromBroker::PublishRefused { .. } => self.counters.minus_one_dropped += 1,
            FromBroker::Publish(_)
            | FromBroker::Puback { .. }
            | FromBroker::Pubrec { .. }
            | FromBroker::Pubrel(_)
            | FromBroker::Pubcomp(_)
            | FromBroker::Suback { .. }
            | FromBroker::Unsuback { .. }
            | FromBroker::Drained
            | FromBroker::WillUpdated { .. }
            | FromBroker::MemoStored { .. }
            | FromBroker::Fate(_)
            | FromBroker::Restored(_) => {}
        }
    }

    /// At start: a stored session whose device is asleep, or was connected, is known again by name and place. A
    /// gateway's absence is nobody's death: keep-alive and sleep begin anew in full.
    fn broker_restored(&mut self, now: Now, restored: &Restored, out: &mut Actions) {
        let SessionName::Client(name) = &restored.name else { return };
        if self.clients.len() >= self.config.limits.clients_max || self.clients.by_name(name).is_some() {
            return;
        }
        let offset = if self.config.random_topic_ids { self.rng.next_u16() } else { 0 };
        let max = self.config.limits.topics_per_client_max;
        let registry = Registry::from_memo(&restored.memo, offset, max, &mut self.names);
        let Some(place) = registry.place().cloned() else { return };
        if restored.asleep.is_none() && !restored.attached {
            return; // offline: the broker has all that is to know
        }
        let free =
            place.route.address().remote.port() != 0 && self.clients.by_route(place.route.as_ref()).is_none();
        let mut client = Client::new(Arc::clone(name), place.route, now.instant, State::Asleep);
        client.routed = free;
        client.next_msg_id = self.rng.next_u16();
        client.validated = !self.is_guarded(client.route.as_ref(), false);
        client.keep_alive = place.keep_alive;
        client.sleep = place.sleep;
        client.topics = Some(Box::new(registry));
        let slot = self.clients.insert(client);
        self.clients.own_name(slot);
        if restored.asleep.is_some() {
            self.resume(slot, Intent::RestoreAsleep, out);
        } else {
            self.attach(slot, false, place.keep_alive, ConnectWill::KeepStored, out);
            if let Some(client) = self.clients.get_mut(slot) {
                client.intent = Intent::Restore;
            }
        }
    }

    fn broker_will_updated(&mut self, slot: u32, accepted: bool, now: Now, out: &mut Actions) {
        let pending = self.take_pending(slot, |pending| match pending {
            Pending::WillTopic | Pending::WillMessage | Pending::EndSleep => true,
            Pending::Publish { .. }
            | Pending::Subscribe { .. }
            | Pending::LateReceived(_)
            | Pending::Refused(_) => false,
        });
        let code = if accepted { ReturnCode::Accepted } else { ReturnCode::NotSupported };
        match pending {
            Some(Pending::WillTopic) => self.tell(slot, Message::WillTopicResp(code), out),
            Some(Pending::WillMessage) => self.tell(slot, Message::WillMsgResp(code), out),
            Some(Pending::EndSleep) => self.end_sleep(slot, now, out),
            Some(
                Pending::Publish { .. }
                | Pending::Subscribe { .. }
                | Pending::LateReceived(_)
                | Pending::Refused(_),
            )
            | None => {}
        }
    }
}
