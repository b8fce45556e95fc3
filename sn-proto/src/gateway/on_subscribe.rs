//! SUBSCRIBE and UNSUBSCRIBE (MQTT-SN §6.9).

use std::sync::Arc;

use broker_core::frontend::Actions;
use broker_core::link::SubscribeFilter;
use broker_core::topic::{TopicFilter, TopicFilterRef};
use broker_core::{QoS, ToBroker};

use super::memos::AfterMemo;
use super::on_will::{delivery_qos, wire_qos};
use super::{SnGateway, Turn};
use crate::client::Pending;
use crate::config::ShortSuback;
use crate::topics::{Change, Origin, RegistryFull, TypedSubscription, short_name};
use crate::wire::{Message, Qos, ReturnCode, SubAck, Subscribe, TopicRef, Unsubscribe};

/// What a SUBSCRIBE asks for, once its topic is understood.
struct Wanted {
    filter: TopicFilter,
    topic_id: u16,
    typed: Option<TypedSubscription>,
}

impl SnGateway {
    pub(super) fn on_subscribe(&mut self, slot: u32, turn: &mut Turn<'_>, subscribe: Subscribe<'_>) {
        let msg_id = subscribe.msg_id;
        let refuse =
            |code| Message::SubAck(SubAck { qos: Qos::AtMostOnce, topic_id: 0, msg_id, return_code: code });
        let wanted = match delivery_qos(subscribe.qos) {
            None => Err(ReturnCode::NotSupported), // QoS −1 means nothing here
            Some(qos) => self.wanted(slot, &subscribe.topic, turn.out).map(|wanted| (qos, wanted)),
        };
        match wanted {
            Err(code) => turn.reply(refuse(code)),
            Ok((qos, wanted)) => {
                if !self.subscribe(slot, msg_id, qos, wanted, turn.out) {
                    turn.reply(refuse(ReturnCode::Congestion));
                }
            }
        }
        self.note_sleeper(slot, turn.out);
    }

    fn subscribe(&mut self, slot: u32, msg_id: u16, qos: QoS, wanted: Wanted, out: &mut Actions) -> bool {
        let Wanted { filter, topic_id, typed } = wanted;
        let max = self.config.limits.typed_subscriptions_max;
        let added = match typed {
            Some(typed) => self.registry(slot).is_some_and(|registry| registry.add_typed(typed, max)),
            None => false,
        };
        if !self.push_pending(slot, Pending::Subscribe { msg_id, topic_id, typed, added }) {
            if let (true, Some(typed), Some(registry)) = (added, typed, self.registry(slot)) {
                registry.remove_typed(typed);
            }
            return false;
        }
        if let (true, Some(typed)) = (added, typed) {
            self.note_change(slot, Change::Subscribed(typed), AfterMemo::Nothing, out);
        }
        let filters = vec![SubscribeFilter { filter: Ok(filter), qos }];
        self.request(slot, ToBroker::Subscribe { packet_id: msg_id, filters }, out);
        true
    }

    /// The filter that a SUBSCRIBE means, the id that its SUBACK will carry, and its id type.
    fn wanted(&mut self, slot: u32, topic: &TopicRef<'_>, out: &mut Actions) -> Result<Wanted, ReturnCode> {
        match *topic {
            TopicRef::Name(name) => {
                let text = core::str::from_utf8(name).map_err(|_| ReturnCode::NotSupported)?;
                let filter = self.filter(slot, text)?;
                let plain = TopicFilterRef::new(text).map_err(|_| ReturnCode::NotSupported)?;
                let is_name = !plain.has_wildcard() && plain.group().is_none();
                let topic_id = if is_name { self.subscribed_name(slot, text, out)? } else { 0 };
                Ok(Wanted { filter, topic_id, typed: None })
            }
            TopicRef::Predefined(id) => {
                let (name, typed) = self.subscribed_id(slot, id).ok_or(ReturnCode::InvalidTopicId)?;
                Ok(Wanted { filter: self.filter(slot, &name)?, topic_id: id, typed })
            }
            TopicRef::Short(pair) => {
                let text = core::str::from_utf8(&pair).map_err(|_| ReturnCode::NotSupported)?;
                let filter = self.filter(slot, text)?;
                let typed = short_name(&pair).map(|_| TypedSubscription::Short(pair));
                let topic_id = match (self.config.suback_short_topic_id, typed) {
                    (ShortSuback::Name, Some(_)) => u16::from_be_bytes(pair),
                    (ShortSuback::Name, None) | (ShortSuback::Zero, _) => 0,
                };
                Ok(Wanted { filter, topic_id, typed })
            }
            TopicRef::Invalid(..) => Err(ReturnCode::NotSupported),
        }
    }

    /// A client's filter, checked as the client wrote it, as the broker knows it.
    fn filter(&self, slot: u32, text: &str) -> Result<TopicFilter, ReturnCode> {
        let filter = TopicFilterRef::new_within(text, &self.config.topic_limits);
        let filter = filter.map_err(|_| ReturnCode::NotSupported)?;
        let whose = self.clients.mounted(slot).ok_or(ReturnCode::NotSupported)?;
        let mounted = self.config.mountpoint.mounted_filter(whose, filter.as_str());
        mounted.and_then(|filter| TopicFilter::new(&filter).ok()).ok_or(ReturnCode::NotSupported)
    }

    /// A topic that is subscribed by name gets its id in the SUBACK (§6.9).
    fn subscribed_name(&mut self, slot: u32, name: &str, out: &mut Actions) -> Result<u16, ReturnCode> {
        match self.register_topic(slot, name, Origin::Client) {
            Ok((topic_id, changed)) => {
                if changed {
                    self.note_change(slot, Change::Topic(topic_id), AfterMemo::Nothing, out);
                }
                Ok(topic_id)
            }
            Err(RegistryFull) => {
                self.counters.registry_full += 1;
                Err(ReturnCode::Congestion)
            }
        }
    }

    /// The topic behind an id in a SUBSCRIBE: predefined or, since clients mix the types up, a normal one.
    fn subscribed_id(&self, slot: u32, id: u16) -> Option<(Arc<str>, Option<TypedSubscription>)> {
        let client = self.clients.get(slot)?;
        if let Some(name) = self.config.predefined.topic(Some(&client.name), id) {
            return Some((Arc::clone(name), Some(TypedSubscription::Predefined(id))));
        }
        let entry = client.topics.as_ref()?.by_id(id)?;
        Some((Arc::clone(entry.name()), None))
    }

    pub(super) fn on_unsubscribe(&mut self, slot: u32, turn: &mut Turn<'_>, unsubscribe: Unsubscribe<'_>) {
        let msg_id = unsubscribe.msg_id;
        let text: Option<Arc<str>> = match unsubscribe.topic {
            TopicRef::Name(name) => core::str::from_utf8(name).ok().map(Arc::from),
            TopicRef::Predefined(id) => self.subscribed_id(slot, id).map(|(name, _)| name),
            TopicRef::Short(pair) => core::str::from_utf8(&pair).ok().map(Arc::from),
            TopicRef::Invalid(..) => None,
        };
        match text.and_then(|text| Some((self.filter(slot, &text).ok()?, text))) {
            Some((filter, text)) => {
                self.forget_typed(slot, &text, turn.out);
                let filters = vec![filter];
                self.request(slot, ToBroker::Unsubscribe { packet_id: msg_id, filters }, turn.out);
            }
            // There can be no such subscription; the client gets its ack all the same.
            None => turn.reply(Message::UnsubAck(msg_id)),
        }
        self.note_sleeper(slot, turn.out);
    }

    /// The subscription to `topic` is gone, by whatever id type it was made.
    fn forget_typed(&mut self, slot: u32, topic: &str, out: &mut Actions) {
        let Some(client) = self.clients.get(slot) else { return };
        let predefined = self.config.predefined.id(Some(&client.name), topic);
        let short = <[u8; 2]>::try_from(topic.as_bytes()).ok();
        let typed = [predefined.map(TypedSubscription::Predefined), short.map(TypedSubscription::Short)];
        for typed in typed.into_iter().flatten() {
            let Some(topics) = self.clients.get_mut(slot).and_then(|client| client.topics.as_mut()) else {
                return;
            };
            if topics.remove_typed(typed) {
                self.note_change(slot, Change::Unsubscribed(typed), AfterMemo::Nothing, out);
            }
        }
    }

    pub(super) fn broker_suback(&mut self, slot: u32, granted: &[Option<QoS>], out: &mut Actions) {
        let pending = self.take_pending(slot, |pending| match pending {
            Pending::Subscribe { .. } => true,
            Pending::Publish { .. }
            | Pending::WillTopic
            | Pending::WillMessage
            | Pending::EndSleep
            | Pending::LateReceived(_)
            | Pending::Refused(_) => false,
        });
        let Some(Pending::Subscribe { msg_id, topic_id, typed, added }) = pending else { return };
        let ack = match granted.first().copied().flatten() {
            Some(qos) => SubAck { qos: wire_qos(qos), topic_id, msg_id, return_code: ReturnCode::Accepted },
            None => {
                if let (true, Some(typed), Some(registry)) = (added, typed, self.registry(slot))
                    && registry.remove_typed(typed)
                {
                    self.note_change(slot, Change::Unsubscribed(typed), AfterMemo::Nothing, out);
                }
                let return_code = ReturnCode::NotSupported;
                SubAck { qos: Qos::AtMostOnce, topic_id: 0, msg_id, return_code }
            }
        };
        self.tell(slot, Message::SubAck(ack), out);
    }
}
