//! What is published without a command: EMQX's register and update, life-cycle and command events, the retained
//! status, values of Send, and values as topics of their own.
use super::topics::{Leaf, Topics};
use super::{Lwm2mServer, UpdateEvents};
use crate::coap::Code;
use crate::command::{Answer, Asker, Content, Item};
use crate::device::{Device, EndReason};
use crate::json_text::JsonText;
use crate::registration::Lifetime;
use crate::value::Value;
use broker_core::frontend::Actions;
use broker_core::link::Notice;
use broker_core::{Now, QoS};
use serde_json::{Value as Json, json, value::RawValue};

/// EMQX's `data` of register and update: `lt` as asked for, `lwm2m` and `b` as sent, unknown parameters as further
/// members. Those have names that none of ours has: reading the query has seen to that.
fn emqx_data(device: &Device, json: JsonText) -> JsonText {
    let registration = &device.registration;
    let mut data =
        json.open("data").text("ep", &registration.endpoint).number("lt", registration.lifetime_asked);
    data = if registration.version_is_short {
        data.text("lwm2m", &registration.version.major.to_string())
    } else {
        data.version("lwm2m", registration.version)
    };
    if let Some(binding) = &registration.binding {
        data = data.text("b", binding);
    }
    if let Some(sms) = &registration.sms {
        data = data.text("sms", sms);
    }
    for (name, value) in &registration.extras {
        data = data.foreign(name, value);
    }
    let root = &registration.objects.root;
    data.text("alternatePath", if root.is_empty() { "/" } else { root })
        .json("objectList", registration.objects.json())
        .close()
}

impl Lwm2mServer {
    pub(super) fn announce_registered(&mut self, now: Now, slot: u32, out: &mut Actions) {
        self.publish_emqx(slot, "register", out);
        self.registration_event(now, slot, "registered", out);
        let memory = std::mem::take(&mut self.text);
        let status = JsonText::object_in(memory).text("status", "online").number("time", now.unix_ms).end();
        self.publish_status(slot, &status, out);
        self.text = status;
        if let Some(device) = self.devices.get_mut(slot) {
            device.announced = true;
        }
    }

    pub(super) fn announce_updated(&mut self, now: Now, slot: u32, with_links: bool, out: &mut Actions) {
        let publish = match self.config.update_events {
            UpdateEvents::Always => true,
            UpdateEvents::ContainsObjectList => with_links,
        };
        if publish {
            self.publish_emqx(slot, "update", out);
        }
        self.registration_event(now, slot, "updated", out);
    }

    pub(super) fn announce_ended(&mut self, now: Now, slot: u32, reason: EndReason, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        if !device.announced {
            return;
        }
        self.note_device(slot, reason.word(), out);
        let event = match reason {
            EndReason::Expired => "expired",
            EndReason::Deregistered | EndReason::Commanded | EndReason::Kicked | EndReason::Refused => {
                "deregistered"
            }
        };
        let ep = &*device.registration.endpoint;
        let event = JsonText::object()
            .text("event", event)
            .text("ep", ep)
            .number("time", now.unix_ms)
            .text("reason", reason.word())
            .end();
        self.publish_event(slot, &event, out);
        let status = JsonText::object()
            .text("status", "offline")
            .number("time", now.unix_ms)
            .text("reason", reason.word())
            .end();
        self.publish_status(slot, &status, out);
    }

    /// A log line.
    pub(super) fn note_device(&self, slot: u32, text: &str, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        let (name, remote) = (device.registration.endpoint.clone(), device.address().remote);
        out.notices.push(Notice::Device { name, remote, text: text.into() });
    }

    /// EMQX's message, on its topic.
    fn publish_emqx(&mut self, slot: u32, kind: &str, out: &mut Actions) {
        let memory = std::mem::take(&mut self.text);
        let Some(device) = self.devices.get(slot) else { return };
        let leaf: fn(&Topics) -> &Leaf =
            if kind == "register" { |topics| &topics.register } else { |topics| &topics.update };
        let text = emqx_data(device, JsonText::object_in(memory).text("msgType", kind)).end();
        self.publish_at(slot, leaf, &text, false, out);
        self.text = text;
    }

    fn registration_event(&mut self, now: Now, slot: u32, event: &str, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        let registration = &device.registration;
        let granted = match registration.lifetime {
            Lifetime::Seconds(seconds) => u64::from(seconds),
            Lifetime::Infinite => 0,
        };
        let mut object = JsonText::object_in(std::mem::take(&mut self.text))
            .text("event", event)
            .text("ep", &registration.endpoint)
            .number("time", now.unix_ms)
            .number("lt", granted);
        if registration.lifetime_asked != granted {
            object = object.number("ltAsked", registration.lifetime_asked);
        }
        let event = object
            .version("lwm2m", registration.version)
            .text("b", registration.binding())
            .flag("queue", registration.queue)
            .address("address", device.address().remote)
            .json("objects", registration.objects.json())
            .end();
        self.publish_event(slot, &event, out);
        self.text = event;
    }

    /// "awake" or "asleep".
    pub(super) fn presence_event(&mut self, now: Now, slot: u32, event: &str, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        let ep = &*device.registration.endpoint;
        let event = JsonText::object()
            .text("event", event)
            .text("ep", ep)
            .number("time", now.unix_ms)
            .number("waiting", device.waiting.into())
            .end();
        self.publish_event(slot, &event, out);
    }

    /// Where a command stands: queued, sent, answered, expired, dropped.
    pub(super) fn command_event(
        &mut self,
        now: Now,
        slot: u32,
        asker: &Asker,
        state: &str,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get(slot) else { return };
        // The id to the letter, which a JSON value could not keep.
        let id = serde_json::from_str::<&RawValue>(asker.id()).map_or("null", RawValue::get);
        let event = JsonText::object()
            .text("event", "command")
            .text("ep", &device.registration.endpoint)
            .number("time", now.unix_ms)
            .json("id", id)
            .text("state", state)
            .number("waiting", device.waiting.into())
            .end();
        self.publish_event(slot, &event, out);
    }

    pub(super) fn publish_event(&mut self, slot: u32, event: &str, out: &mut Actions) {
        self.publish_at(slot, |topics| &topics.event, event, false, out);
    }

    pub(super) fn publish_status(&mut self, slot: u32, status: &str, out: &mut Actions) {
        self.publish_at(slot, |topics| &topics.status, status, true, out);
    }

    /// Publishes something about a device on one of its topics, unless that is turned off.
    fn publish_at(
        &mut self,
        slot: u32,
        leaf: fn(&Topics) -> &Leaf,
        payload: &str,
        retain: bool,
        out: &mut Actions,
    ) {
        let mut topic = std::mem::take(&mut self.topic);
        let (Some(place), leaf) = (self.place(slot), leaf(&self.config.topics)) else { return };
        if !leaf.name.is_empty() {
            self.config.topics.write(place, &leaf.name, &mut topic);
            self.publish(&topic, payload.as_bytes(), leaf.qos, retain, out);
        }
        self.topic = topic;
    }

    /// Values that a device has sent by itself, in form B.
    pub(super) fn publish_send(&mut self, slot: u32, items: &[Item], out: &mut Actions) {
        let leaf = &self.config.topics.notify;
        let (Some(topic), qos) = (self.topic(slot, leaf), leaf.qos) else { return };
        let content: Json = items.iter().map(crate::command::item_json).collect();
        let payload = json!({"msgType": "send", "data": {"content": content}}).to_string();
        self.publish(&topic, payload.as_bytes(), qos, false, out);
    }

    /// `lwm2m.resource_topics`: each value on a retained topic of its own. Of several with times the last one counts.
    pub(super) fn publish_values(&mut self, slot: u32, items: &[Item], out: &mut Actions) {
        if !self.config.resource_topics {
            return;
        }
        for item in items {
            let path = item.entry.path.to_string();
            let Some(place) = self.place(slot) else { return };
            let topic = self.config.topics.of(place, path.trim_start_matches('/'));
            let text = match item.entry.value.to_json() {
                Json::String(text) => text,
                other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                    other.to_string()
                }
            };
            let payload = match &item.entry.value {
                Value::Opaque(bytes) => bytes.to_vec(),
                Value::Integer(_)
                | Value::Unsigned(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::String(_)
                | Value::Time(_)
                | Value::Objlnk(..)
                | Value::Corelnk(_)
                | Value::Number(_) => text.into_bytes(),
            };
            self.publish(&topic, &payload, QoS::AtMostOnce, true, out);
        }
    }

    /// The answer's values also as topics of their own.
    pub(super) fn publish_answer_values(&mut self, slot: u32, answer: &Answer, out: &mut Actions) {
        if let (Content::Values(items), Code::CONTENT) = (&answer.content, answer.code) {
            let items = items.clone();
            self.publish_values(slot, &items, out);
        }
    }
}
