//! A gateway, a broker, an MQTT client, and devices at addresses; all in one thread and in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use broker_core::broker::Broker;
use broker_core::frontend::{Actions, Address, Frontend, ListenerId, Peer};
use broker_core::link::{
    Ask, Connect, ConnectWill, Credentials, Delivery, FrontendId, Protocol, QueueQos0, RefuseReason,
    SubscribeFilter, TakeoverWill,
};
use broker_core::topic::TopicFilter;
use broker_core::{
    Effects, FromBroker, Instant, Limits, LinkId, Message as AppMessage, Now, PacketId, QoS, Record,
    SessionName, ToBroker,
};

use crate::client::State;
use crate::config::{Config, Group};
use crate::gateway::SnGateway;
use crate::wire::{Datagram, Message, Qos, ReturnCode, TopicIdType};

/// Three places where devices are.
pub(super) const A: &str = "10.0.0.1:1000";
pub(super) const B: &str = "10.0.0.2:2000";
/// The host of [`A`], another port.
pub(super) const A2: &str = "10.0.0.1:1001";

const MQTT: LinkId = LinkId { slot: 0, generation: 1, frontend: FrontendId::Internal, worker: 0 };

pub(super) struct World {
    pub(super) now: Now,
    pub(super) gateway: SnGateway,
    pub(super) broker: Broker,
    actions: Actions,
    effects: Effects,
    events: VecDeque<(LinkId, FromBroker)>,
    mailboxes: BTreeMap<String, VecDeque<Vec<u8>>>,
    /// What the MQTT client got.
    mqtt: Vec<Delivery>,
    next_packet: u16,
    /// Datagrams of the gateway in sending order, addresses and all.
    pub(super) sent: Vec<(Address, Option<u8>, Vec<u8>)>,
    /// MsgId of the last message of the gateway to each address that has one.
    msg_ids: BTreeMap<String, u16>,
    /// What the store would hold.
    records: Vec<Record>,
    config: Config,
    asked: Vec<LinkId>,
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(super) fn address(text: &str) -> Address {
    let remote: SocketAddr = text.parse().expect("address");
    Address { remote, local: None, listener: ListenerId(0) }
}

pub(super) fn peer(text: &str) -> Peer {
    Peer { address: address(text), group: false, identity: None }
}

/// A group that is heard on the listener with this number; answers leave from listener 0.
pub(super) fn group(text: &str, heard_on: u16) -> Group {
    Group { heard_on: ListenerId(heard_on), to: address(text), ttl: Some(1) }
}

/// Settings whose numbers can be quoted.
pub(super) fn plain() -> Config {
    Config { random_topic_ids: false, ..Config::default() }
}

impl World {
    pub(super) fn new() -> World {
        World::with(plain())
    }

    pub(super) fn with(config: Config) -> World {
        let mut world = World {
            now: Now::new(Instant::from_millis(1_000_000), 1_700_000_000_000),
            gateway: SnGateway::new(config.clone(), 0, 7),
            config,
            records: Vec::new(),
            asked: Vec::new(),
            broker: Broker::new(Limits::default(), 7),
            actions: Actions::default(),
            effects: Effects::default(),
            events: VecDeque::new(),
            mailboxes: BTreeMap::new(),
            mqtt: Vec::new(),
            next_packet: 0,
            sent: Vec::new(),
            msg_ids: BTreeMap::new(),
        };
        world.broker.set_recording(true);
        world.attach_mqtt();
        world.run();
        world
    }

    fn attach_mqtt(&mut self) {
        let connect = Connect {
            name: SessionName::Client(Arc::from("mqtt")),
            protocol: Protocol::Mqtt,
            clean: true,
            will: ConnectWill::None,
            will_is_session_state: false,
            takeover_will: TakeoverWill::Publish,
            window: 100,
            credit: 1 << 20,
            queue_qos0: QueueQos0::NEVER,
            credentials: Credentials::default(),
            keep_alive: 0,
        };
        self.ask(MQTT, ToBroker::Connect(Box::new(connect)));
    }

    /// The process ends, and another begins with what was stored. The MQTT client comes back too.
    pub(super) fn restart(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.broker = Broker::restore(Limits::default(), 8, self.now, records.clone());
        self.broker.set_recording(true);
        self.records = records;
        self.gateway = SnGateway::new(self.config.clone(), 0, 9);
        self.actions.clear();
        self.events.clear();
        self.broker.restored_events(&mut self.effects);
        self.records.append(&mut self.effects.records);
        self.events.extend(self.effects.events.drain(..));
        self.attach_mqtt();
        self.run();
    }

    fn ask(&mut self, link: LinkId, request: ToBroker) {
        self.broker.handle(self.now, link, request, &mut self.effects);
        self.collect();
    }

    pub(super) fn set_broker_limits(&mut self, limits: Limits) {
        self.broker.set_limits(self.now, limits, &mut self.effects);
        self.collect();
    }

    /// The world says no to everybody whose credentials the broker has asked about.
    pub(super) fn refuse_authentication(&mut self) {
        for link in std::mem::take(&mut self.asked) {
            self.ask(link, ToBroker::Authenticated(Err(RefuseReason::NotAuthorized)));
        }
        self.run();
    }

    /// The world says yes to them.
    pub(super) fn accept_authentication(&mut self) {
        for link in std::mem::take(&mut self.asked) {
            self.ask(link, ToBroker::Authenticated(Ok(())));
        }
        self.run();
    }

    fn collect(&mut self) {
        for ask in self.effects.asks.drain(..) {
            let Ask::Authenticate { link, .. } = ask;
            self.asked.push(link);
        }
        self.records.append(&mut self.effects.records);
        self.events.extend(self.effects.events.drain(..));
        self.effects.clear();
    }

    /// Carries everything to where it belongs, and does what is due now.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            let requests: Vec<_> = self.actions.requests.drain(..).collect();
            for (datagram, bytes) in self.actions.outgoing() {
                let to = datagram.to.remote.to_string();
                self.sent.push((datagram.to, datagram.ttl, bytes.to_vec()));
                self.mailboxes.entry(to).or_default().push_back(bytes.to_vec());
            }
            self.actions.clear();
            for (link, request) in requests {
                self.ask(link, request);
            }
            if let Some((link, event)) = self.events.pop_front() {
                self.event(link, event);
            } else if self.broker.deliver(self.now, 1000, &mut self.effects)
                || !self.effects.events.is_empty()
            {
                self.collect();
            } else if self.gateway.next_timeout().is_some_and(|at| at <= self.now.instant) {
                self.gateway.handle_timeout(self.now, &mut self.actions);
            } else if self.broker.next_timeout().is_some_and(|at| at <= self.now.instant) {
                self.broker.handle_timeout(self.now, &mut self.effects);
                self.collect();
            } else if self.actions.is_empty() {
                return;
            }
        }
        panic!("never settles");
    }

    fn event(&mut self, link: LinkId, event: FromBroker) {
        if link.frontend == FrontendId::MqttSn {
            return self.gateway.handle_event(self.now, link, event, &mut self.actions);
        }
        if let FromBroker::Publish(delivery) = event {
            let bytes = u32::try_from(delivery.message.cost() + 16).expect("small");
            self.ask(MQTT, ToBroker::Credit { bytes });
            match (delivery.packet_id, delivery.qos) {
                (Some(id), QoS::AtLeastOnce) => self.ask(MQTT, ToBroker::Puback(id)),
                (Some(id), QoS::ExactlyOnce) => {
                    self.ask(MQTT, ToBroker::Pubrec(id));
                    self.ask(MQTT, ToBroker::Pubcomp(id));
                }
                (Some(_), QoS::AtMostOnce) | (None, _) => {}
            }
            self.mqtt.push(delivery);
        }
    }

    /// Lets time pass, timers firing in it.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.now.instant + by;
        for _ in 0..1_000_000 {
            let next = [self.gateway.next_timeout(), self.broker.next_timeout()].into_iter().flatten().min();
            let to = next.filter(|at| *at < end).unwrap_or(end).max(self.now.instant);
            self.now.unix_ms += u64::try_from((to - self.now.instant).as_millis()).expect("small");
            self.now.instant = to;
            self.run();
            if to == end {
                return;
            }
        }
        panic!("time stands still");
    }

    pub(super) fn pass_seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// A datagram in hexadecimal digits from `from`.
    pub(super) fn send(&mut self, from: &str, text: &str) {
        self.send_bytes(&peer(from), &hex(text));
    }

    /// Only hands a datagram over; [`World::run`] does the rest.
    pub(super) fn gateway_only(&mut self, from: &Peer, bytes: &[u8]) {
        self.gateway.handle_datagram(self.now, from, bytes, &mut self.actions);
    }

    pub(super) fn send_bytes(&mut self, from: &Peer, bytes: &[u8]) {
        self.gateway.handle_datagram(self.now, from, bytes, &mut self.actions);
        self.run();
    }

    /// A message of a client from `from`.
    pub(super) fn say(&mut self, from: &str, message: Message<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("fits");
        self.send_bytes(&peer(from), &bytes);
    }

    /// What has arrived at `at` since the last call, each message as [`show`] writes it.
    pub(super) fn heard(&mut self, at: &str) -> Vec<String> {
        let bytes: Vec<_> = self.mailboxes.entry(at.to_owned()).or_default().drain(..).collect();
        bytes
            .iter()
            .map(|bytes| {
                let datagram = Datagram::decode(bytes).expect("the gateway sends good messages");
                if let Some(msg_id) = msg_id_of(&datagram.message) {
                    self.msg_ids.insert(at.to_owned(), msg_id);
                }
                show(&datagram)
            })
            .collect()
    }

    /// The bytes that have arrived at `at` since the last call.
    pub(super) fn heard_bytes(&mut self, at: &str) -> Vec<Vec<u8>> {
        self.mailboxes.entry(at.to_owned()).or_default().drain(..).collect()
    }

    /// MsgId of the last message heard at `at` that had one.
    pub(super) fn msg_id(&self, at: &str) -> u16 {
        self.msg_ids[at]
    }

    /// CONNECT with CleanSession at `at`, accepted.
    pub(super) fn connect(&mut self, at: &str, client_id: &str) {
        self.connect_with(at, client_id, 0x04, 60);
        assert_eq!(self.heard(at), ["CONNACK 0"]);
    }

    pub(super) fn connect_with(&mut self, at: &str, client_id: &str, flags: u8, duration: u16) {
        let mut bytes = vec![u8::try_from(6 + client_id.len()).expect("short"), 0x04, flags, 0x01];
        bytes.extend(duration.to_be_bytes());
        bytes.extend(client_id.as_bytes());
        self.send_bytes(&peer(at), &bytes);
    }

    /// REGISTER of `name`, accepted: the id.
    pub(super) fn register(&mut self, at: &str, name: &str) -> u16 {
        self.say(at, register(1, name));
        let bytes = self.heard_bytes(at);
        match bytes.as_slice() {
            [bytes] => match Message::decode(bytes) {
                Ok(Message::RegAck(ack)) if ack.return_code == ReturnCode::Accepted => ack.topic_id,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// SUBSCRIBE to `filter`, granted: the id.
    pub(super) fn subscribe(&mut self, at: &str, filter: &str, qos: u8) -> u16 {
        let mut bytes = vec![u8::try_from(5 + filter.len()).expect("short"), 0x12, qos << 5, 0x00, 0x07];
        bytes.extend(filter.as_bytes());
        self.heard_bytes(at);
        self.send_bytes(&peer(at), &bytes);
        let bytes = self.heard_bytes(at);
        match Message::decode(bytes.first().expect("a SUBACK")) {
            Ok(Message::SubAck(ack)) if ack.return_code == ReturnCode::Accepted => {
                let later: Vec<_> = bytes.into_iter().skip(1).collect();
                self.mailboxes.entry(at.to_owned()).or_default().extend(later);
                ack.topic_id
            }
            other => panic!("{other:?}"),
        }
    }

    /// The MQTT client subscribes.
    pub(super) fn mqtt_subscribe(&mut self, filter: &str) {
        let filter = TopicFilter::new(filter);
        let filters = vec![SubscribeFilter { filter, qos: QoS::ExactlyOnce }];
        self.ask(MQTT, ToBroker::Subscribe { packet_id: 1, filters });
        self.run();
    }

    /// The MQTT client publishes.
    pub(super) fn mqtt_publish(&mut self, topic: &str, payload: &str, qos: u8) {
        self.mqtt_publish_with(topic, payload, qos, false);
    }

    pub(super) fn mqtt_publish_with(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let qos = QoS::from_u8(qos).expect("a QoS");
        let message = AppMessage::new(topic, payload.as_bytes(), qos, retain);
        self.next_packet += 1;
        let packet = PacketId::new(self.next_packet).expect("few");
        let packet_id = (qos != QoS::AtMostOnce).then_some(packet);
        self.ask(MQTT, ToBroker::Publish { packet_id, dup: false, message });
        if qos == QoS::ExactlyOnce {
            self.ask(MQTT, ToBroker::Pubrel(packet));
        }
        self.run();
    }

    /// What the MQTT client got since the last call: topic, payload, QoS, and `R` for retained.
    pub(super) fn mqtt_heard(&mut self) -> Vec<String> {
        let retained = |delivery: &Delivery| if delivery.retain { " R" } else { "" };
        let line = |delivery: Delivery| {
            let payload = String::from_utf8_lossy(delivery.message.payload()).into_owned();
            format!("{} {payload} q{}{}", delivery.message.topic(), delivery.qos as u8, retained(&delivery))
        };
        std::mem::take(&mut self.mqtt).into_iter().map(line).collect()
    }

    /// Acknowledges the last message heard at `at` with PUBACK and this return code.
    pub(super) fn puback(&mut self, at: &str, code: u8) {
        let id = self.msg_id(at).to_be_bytes();
        self.send_bytes(&peer(at), &[0x07, 0x0D, 0x00, 0x00, id[0], id[1], code]);
    }

    /// Answers the last REGISTER heard at `at`.
    pub(super) fn regack(&mut self, at: &str, code: u8) {
        let id = self.msg_id(at).to_be_bytes();
        self.send_bytes(&peer(at), &[0x07, 0x0B, 0x00, 0x00, id[0], id[1], code]);
    }

    /// PUBREC (0x0F), PUBREL (0x10) or PUBCOMP (0x0E) with the last MsgId heard at `at`.
    pub(super) fn msg_id_only(&mut self, at: &str, kind: u8) {
        let id = self.msg_id(at).to_be_bytes();
        self.send_bytes(&peer(at), &[0x04, kind, id[0], id[1]]);
    }

    /// When gateway or broker want to be called next.
    pub(super) fn gateway_timeout(&self) -> Option<Instant> {
        [self.gateway.next_timeout(), self.broker.next_timeout()].into_iter().flatten().min()
    }

    pub(super) fn state(&self, name: &str) -> Option<State> {
        self.gateway.client_list().find(|(other, ..)| *other == name).map(|(_, state, _)| state)
    }
}

pub(super) fn register(msg_id: u16, name: &str) -> Message<'_> {
    Message::Register(crate::wire::Register { topic_id: 0, msg_id, topic_name: name.as_bytes() })
}

fn msg_id_of(message: &Message<'_>) -> Option<u16> {
    match message {
        Message::Register(register) => Some(register.msg_id),
        Message::Publish(publish) => Some(publish.msg_id).filter(|msg_id| *msg_id != 0),
        Message::PubRel(msg_id) => Some(*msg_id),
        _ => None,
    }
}

/// A message of the gateway in a few words. MsgIds that the gateway chose are left out.
pub(super) fn show(datagram: &Datagram<'_>) -> String {
    let inner = match datagram.message {
        Message::ConnAck(code) => format!("CONNACK {}", code.octet()),
        Message::WillTopicResp(code) => format!("WILLTOPICRESP {}", code.octet()),
        Message::WillMsgResp(code) => format!("WILLMSGRESP {}", code.octet()),
        Message::Register(it) => {
            format!("REGISTER {} {}", it.topic_id, String::from_utf8_lossy(it.topic_name))
        }
        Message::RegAck(it) => format!("REGACK {} #{} {}", it.topic_id, it.msg_id, it.return_code.octet()),
        Message::Publish(it) => {
            let qos = match it.qos {
                Qos::MinusOne => "-1",
                Qos::AtMostOnce => "0",
                Qos::AtLeastOnce => "1",
                Qos::ExactlyOnce => "2",
            };
            let id = match it.topic_id_type {
                TopicIdType::Normal => format!("n{}", it.topic_id),
                TopicIdType::Predefined => format!("p{}", it.topic_id),
                TopicIdType::Short => {
                    format!("s{}", String::from_utf8_lossy(&it.topic_id.to_be_bytes()))
                }
                TopicIdType::Reserved => format!("r{}", it.topic_id),
            };
            let dup = if it.dup { " DUP" } else { "" };
            let retain = if it.retain { " R" } else { "" };
            format!("PUBLISH {id} q{qos}{dup}{retain} {}", String::from_utf8_lossy(it.data))
        }
        Message::PubAck(it) => format!("PUBACK {} #{} {}", it.topic_id, it.msg_id, it.return_code.octet()),
        Message::PubRec(msg_id) => format!("PUBREC #{msg_id}"),
        Message::PubComp(msg_id) => format!("PUBCOMP #{msg_id}"),
        Message::UnsubAck(msg_id) => format!("UNSUBACK #{msg_id}"),
        Message::SubAck(it) => {
            let qos = match it.qos {
                Qos::MinusOne => "-1",
                Qos::AtMostOnce => "0",
                Qos::AtLeastOnce => "1",
                Qos::ExactlyOnce => "2",
            };
            format!("SUBACK {} q{qos} #{} {}", it.topic_id, it.msg_id, it.return_code.octet())
        }
        Message::Advertise(it) => format!("ADVERTISE {} {}", it.gateway_id, it.duration),
        Message::GwInfo(it) => format!("GWINFO {}", it.gateway_id),
        Message::Disconnect(None) => "DISCONNECT".to_owned(),
        Message::WillTopicReq => "WILLTOPICREQ".to_owned(),
        Message::WillMsgReq => "WILLMSGREQ".to_owned(),
        Message::PingResp => "PINGRESP".to_owned(),
        Message::PubRel(_) => "PUBREL".to_owned(),
        other => panic!("the gateway never sends {other:?}"),
    };
    match datagram.envelope {
        None => inner,
        Some(envelope) => {
            let node: String = envelope.node_id.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("[{node} {}] {inner}", envelope.radius)
        }
    }
}
