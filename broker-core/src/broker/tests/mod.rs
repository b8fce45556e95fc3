//! Tests of the broker through its one door: requests in, records and events out, virtual time.
mod acks;
mod attach;
mod deliver;
mod ends;
mod enqueue;
mod fanout;
mod queue;
mod random;
mod retain;
mod sleep;
mod status;
mod watch;
mod wills;

use super::Broker;
use crate::limits::Limits;
use crate::link::*;
use crate::message::{Message, PacketId, QoS, Will};
use crate::record::Record;
use crate::time::{Instant, Now};
use crate::topic::TopicFilter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const Q0: QoS = QoS::AtMostOnce;
pub(super) const Q1: QoS = QoS::AtLeastOnce;
pub(super) const Q2: QoS = QoS::ExactlyOnce;

pub(super) fn pid(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

pub(super) fn link(slot: u32) -> LinkId {
    LinkId { slot, generation: 1, frontend: FrontendId::Mqtt, worker: 0 }
}

pub(super) fn name(text: &str) -> SessionName {
    SessionName::Client(Arc::from(text))
}

pub(super) fn will(topic: &str, payload: &str, qos: QoS, retain: bool) -> Will {
    Will { message: Message::new(topic, payload.as_bytes(), qos, retain) }
}

/// A CONNECT as an MQTT front-end makes it.
pub(super) fn connect(id: &str, clean: bool) -> Connect {
    Connect {
        name: name(id),
        protocol: Protocol::Mqtt,
        clean,
        will: ConnectWill::None,
        will_is_session_state: false,
        takeover_will: TakeoverWill::Publish,
        window: 32,
        credit: 1 << 20,
        queue_qos0: QueueQos0::NEVER,
        credentials: Credentials::default(),
        keep_alive: 60,
    }
}

/// A CONNECT as an MQTT-SN front-end makes it.
pub(super) fn connect_sn(id: &str, clean: bool) -> Connect {
    Connect {
        protocol: Protocol::MqttSn,
        will_is_session_state: true,
        takeover_will: TakeoverWill::PublishIfClean,
        window: 1,
        queue_qos0: QueueQos0::ALWAYS,
        ..connect(id, clean)
    }
}

/// A broker with its clock and what it said.
pub(super) struct House {
    pub(super) broker: Broker,
    pub(super) now: Now,
    pub(super) out: Effects,
    /// Events by link, oldest first, since they were last taken.
    pub(super) heard: BTreeMap<LinkId, Vec<FromBroker>>,
    /// Records of each call that made some.
    pub(super) commits: Vec<Vec<Record>>,
}

impl House {
    pub(super) fn new() -> House {
        House::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> House {
        House::around(Broker::new(limits, 42))
    }

    pub(super) fn around(mut broker: Broker) -> House {
        broker.set_recording(true);
        House {
            broker,
            now: Now::new(Instant::from_millis(1_000_000_000), 1_700_000_000_000),
            out: Effects::default(),
            heard: BTreeMap::new(),
            commits: Vec::new(),
        }
    }

    fn sort_out(&mut self) {
        for (link, event) in self.out.events.drain(..) {
            self.heard.entry(link).or_default().push(event);
        }
        if !self.out.records.is_empty() {
            self.commits.push(std::mem::take(&mut self.out.records));
        }
        self.out.clear();
    }

    pub(super) fn say(&mut self, slot: u32, request: ToBroker) {
        self.say_on(link(slot), request);
    }

    pub(super) fn say_on(&mut self, link: LinkId, request: ToBroker) {
        self.broker.handle(self.now, link, request, &mut self.out);
        self.sort_out();
    }

    /// Everything that this link heard since the last time.
    pub(super) fn heard(&mut self, slot: u32) -> Vec<FromBroker> {
        self.heard.remove(&link(slot)).unwrap_or_default()
    }

    /// Deliveries that this link heard, as `topic=payload/qos` with marks for DUP and RETAIN; other events are
    /// dropped.
    pub(super) fn messages(&mut self, slot: u32) -> Vec<String> {
        self.heard(slot).iter().filter_map(shown).collect()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant + time;
        self.now.unix_ms += time.as_millis() as u64;
        // Timers fire up to a tick late: what is due now has fired a tick later.
        let tick = Duration::from_millis(16);
        let now = Now::new(self.now.instant + tick, self.now.unix_ms + 16);
        for _ in 0..1000 {
            if self.broker.next_timeout().is_none_or(|at| at > now.instant) {
                break;
            }
            self.broker.handle_timeout(now, &mut self.out);
            self.sort_out();
        }
    }

    pub(super) fn deliver(&mut self, budget: usize) -> bool {
        let more = self.broker.deliver(self.now, budget, &mut self.out);
        self.sort_out();
        more
    }

    pub(super) fn connect(&mut self, slot: u32, connect: Connect) -> bool {
        self.say(slot, ToBroker::Connect(Box::new(connect)));
        let events = self.heard.get_mut(&link(slot)).expect("an answer");
        match events.remove(0) {
            FromBroker::Connack { session_present, .. } => session_present,
            other => panic!("no Connack but {other:?}"),
        }
    }

    pub(super) fn client(&mut self, slot: u32, id: &str) {
        assert!(!self.connect(slot, connect(id, true)));
    }

    pub(super) fn subscribe(&mut self, slot: u32, filter: &str, qos: QoS) {
        let filters = vec![SubscribeFilter { filter: TopicFilter::new(filter), qos }];
        self.say(slot, ToBroker::Subscribe { packet_id: 7, filters });
        let events = self.heard.get_mut(&link(slot)).expect("an answer");
        let at = events.iter().position(|event| matches!(event, FromBroker::Suback { .. })).expect("Suback");
        assert_eq!(events.remove(at), FromBroker::Suback { packet_id: 7, granted: vec![Some(qos)] });
    }

    pub(super) fn unsubscribe(&mut self, slot: u32, filter: &str) {
        let filters = vec![TopicFilter::new(filter).unwrap()];
        self.say(slot, ToBroker::Unsubscribe { packet_id: 8, filters });
        let events = self.heard.get_mut(&link(slot)).expect("an answer");
        assert_eq!(events.pop(), Some(FromBroker::Unsuback { packet_id: 8 }));
    }

    pub(super) fn publish(&mut self, slot: u32, topic: &str, payload: &str, qos: QoS) {
        self.publish_flags(slot, topic, payload, qos, false);
    }

    /// Publishes with packet id 1 for QoS 1 and 2, without the rest of the exchange.
    pub(super) fn publish_flags(&mut self, slot: u32, topic: &str, payload: &str, qos: QoS, retain: bool) {
        let message = Message::new(topic, payload.as_bytes(), qos, retain);
        let packet_id = (qos != Q0).then_some(pid(1));
        self.say(slot, ToBroker::Publish { packet_id, dup: false, message });
    }

    pub(super) fn disconnect(&mut self, slot: u32, ending: Ending) {
        self.say(slot, ToBroker::Disconnect(ending));
    }

    pub(super) fn pause(&mut self, slot: u32, seconds: u64) {
        self.say(slot, ToBroker::Pause { duration: Some(Duration::from_secs(seconds)) });
    }

    /// The broker that the records so far give back.
    pub(super) fn replayed(&self) -> Broker {
        let records = self.commits.iter().flatten().cloned();
        Broker::restore(self.broker.limits().clone(), 43, self.now, records)
    }

    /// The records so far give back the durable state.
    pub(super) fn assert_durable(&self) {
        assert_eq!(self.replayed().snapshot(), self.broker.snapshot());
    }
}

/// A delivery in short.
pub(super) fn shown(event: &FromBroker) -> Option<String> {
    match event {
        FromBroker::Publish(delivery) => Some(format!(
            "{}={}/{}{}{}",
            delivery.message.topic(),
            String::from_utf8_lossy(delivery.message.payload()),
            delivery.qos as u8,
            if delivery.dup { " dup" } else { "" },
            if delivery.retain { " retain" } else { "" },
        )),
        FromBroker::Connack { .. }
        | FromBroker::Refused(_)
        | FromBroker::Puback { .. }
        | FromBroker::Pubrec { .. }
        | FromBroker::PublishRefused { .. }
        | FromBroker::Pubrel(_)
        | FromBroker::Pubcomp(_)
        | FromBroker::Suback { .. }
        | FromBroker::Unsuback { .. }
        | FromBroker::Drained
        | FromBroker::WillUpdated { .. }
        | FromBroker::MemoStored { .. }
        | FromBroker::Fate(_)
        | FromBroker::Closed(_)
        | FromBroker::Restored(_) => None,
    }
}

/// Packet ids of the deliveries in `events`.
pub(super) fn packet_ids(events: &[FromBroker]) -> Vec<PacketId> {
    events
        .iter()
        .filter_map(|event| match event {
            FromBroker::Publish(delivery) => delivery.packet_id,
            _other => None,
        })
        .collect()
}
