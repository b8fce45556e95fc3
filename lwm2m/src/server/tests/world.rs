//! A broker, the server, scripted devices over CoAP's wire bytes, one MQTT client, and a clock that only moves when told.
use crate::catalog::Catalog;
use crate::server::{Config, Lwm2mServer};
use broker_core::frontend::{Actions, Address, Frontend, ListenerId, Peer};
use broker_core::link::{
    Connect, ConnectWill, Credentials, Delivery, FrontendId, Notice, Protocol, QueueQos0, SubscribeFilter,
    TakeoverWill,
};
use broker_core::topic::TopicFilter;
use broker_core::{
    Broker, Effects, FromBroker, Instant, LinkId, Message, Now, QoS, Record, SessionName, ToBroker,
};
use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) const UNIX_START_MS: u64 = 1_700_000_000_000;

/// What the MQTT client has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) retain: bool,
    /// Of the message, not of its delivery.
    pub(super) qos: QoS,
}

/// A datagram that the server sent, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) packet: Packet,
}

impl Seen {
    /// Method or response code, "GET" or "2.05".
    pub(super) fn code(&self) -> String {
        match self.packet.header.code {
            MessageClass::Request(RequestType::Get) => "GET".into(),
            MessageClass::Request(RequestType::Post) => "POST".into(),
            MessageClass::Request(RequestType::Put) => "PUT".into(),
            MessageClass::Request(RequestType::Delete) => "DELETE".into(),
            MessageClass::Request(RequestType::Fetch) => "FETCH".into(),
            MessageClass::Request(RequestType::IPatch) => "iPATCH".into(),
            other => {
                let code = u8::from(other);
                format!("{}.{:02}", code >> 5, code & 31)
            }
        }
    }

    fn joined(&self, option: CoapOption, separator: &str) -> String {
        let values = self.packet.get_option(option).into_iter().flatten();
        values.map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>().join(separator)
    }

    pub(super) fn number(&self, option: CoapOption) -> Option<u32> {
        let value = self.packet.get_option(option)?.front()?;
        Some(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    /// One line: "GET /3/0/0 accept 112 observe 0 cf 0 ?a=b [payload in hex]".
    pub(super) fn line(&self) -> String {
        let mut line = format!("{} /{}", self.code(), self.joined(CoapOption::UriPath, "/"));
        let query = self.joined(CoapOption::UriQuery, "&");
        if !query.is_empty() {
            line += &format!("?{query}");
        }
        for (name, option) in [
            ("accept", CoapOption::Accept),
            ("observe", CoapOption::Observe),
            ("cf", CoapOption::ContentFormat),
        ] {
            if let Some(number) = self.number(option) {
                line += &format!(" {name} {number}");
            }
        }
        if !self.packet.payload.is_empty() {
            let hex: String = self.packet.payload.iter().map(|byte| format!("{byte:02x}")).collect();
            line += &format!(" [{hex}]");
        }
        line
    }

    pub(super) fn location(&self) -> String {
        self.joined(CoapOption::LocationPath, "/")
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.packet.payload).into_owned()
    }
}

/// What a scripted device answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) code: (u8, u8),
    pub(super) format: Option<u16>,
    pub(super) observe: Option<u32>,
    pub(super) payload: Vec<u8>,
    pub(super) location: Vec<&'static str>,
    pub(super) block1: Option<u32>,
    pub(super) block2: Option<u32>,
}

impl Reply {
    pub(super) fn code(class: u8, detail: u8) -> Reply {
        Reply { code: (class, detail), ..Reply::default() }
    }

    pub(super) fn content(format: u16, payload: impl Into<Vec<u8>>) -> Reply {
        Reply { code: (2, 5), format: Some(format), payload: payload.into(), ..Reply::default() }
    }

    pub(super) fn text(text: &str) -> Reply {
        Reply::content(0, text)
    }

    pub(super) fn observed(self, sequence: u32) -> Reply {
        Reply { observe: Some(sequence), ..self }
    }
}

/// What a device does with a request.
pub(super) enum Does {
    Answer(Reply),
    /// Nothing at all.
    Silence,
    /// An empty ACK, and nothing after it.
    OnlyAck,
    Reset,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) broker: Broker,
    pub(super) server: Lwm2mServer,
    /// Every record that was made.
    pub(super) records: Vec<Record>,
    actions: Actions,
    effects: Effects,
    pub(super) heard: Vec<Heard>,
    /// The log lines of the server: name, text.
    pub(super) notices: Vec<String>,
    inboxes: HashMap<SocketAddr, VecDeque<Seen>>,
    next_packet: u16,
}

pub(super) fn client_link() -> LinkId {
    LinkId { slot: 0, generation: 0, frontend: FrontendId::Mqtt, worker: 0 }
}

pub(super) fn address(port: u16) -> Address {
    let remote = SocketAddr::from(([192, 0, 2, 7], port));
    Address { remote, local: None, listener: ListenerId(0) }
}

fn catalog() -> Arc<Catalog> {
    static CORE: OnceLock<Arc<Catalog>> = OnceLock::new();
    Arc::clone(CORE.get_or_init(|| Arc::new(Catalog::core())))
}

fn connect(name: SessionName) -> ToBroker {
    ToBroker::Connect(Box::new(Connect {
        name,
        protocol: Protocol::Mqtt,
        clean: true,
        will: ConnectWill::None,
        will_is_session_state: false,
        takeover_will: TakeoverWill::Publish,
        window: 1000,
        credit: 1 << 30,
        queue_qos0: QueueQos0::NEVER,
        credentials: Credentials::default(),
        keep_alive: 0,
    }))
}

fn log_line(notice: &Notice) -> String {
    match notice {
        Notice::Peer { name, text, .. } => format!("{} {text}", name.as_deref().unwrap_or("-")),
        Notice::Device { name, remote, text } => format!("{name} {text} {remote}"),
        Notice::TakenOver { .. }
        | Notice::Attached { .. }
        | Notice::Detached { .. }
        | Notice::Refused { .. }
        | Notice::Searched { .. }
        | Notice::Standby { .. }
        | Notice::SessionExpired { .. } => panic!("a front-end says nothing of the broker's: {notice:?}"),
    }
}

impl World {
    pub(super) fn new() -> World {
        World::with(Config::default())
    }

    pub(super) fn with(config: Config) -> World {
        World::with_limits(config, broker_core::Limits::default())
    }

    /// With limits of the broker.
    pub(super) fn with_limits(config: Config, limits: broker_core::Limits) -> World {
        let mut broker = Broker::new(limits, 7);
        broker.set_recording(true);
        World::around(broker, config, Vec::new())
    }

    /// A world after a restart: only what was recorded is left.
    pub(super) fn restarted(&self, config: Config) -> World {
        let limits = broker_core::Limits::default();
        let mut broker = Broker::restore(limits, 8, self.now, self.records.iter().cloned());
        broker.set_recording(true);
        World::around(broker, config, self.records.clone())
    }

    fn around(broker: Broker, config: Config, records: Vec<Record>) -> World {
        let mut world = World {
            now: Now::new(Instant::from_millis(5_000), UNIX_START_MS),
            server: Lwm2mServer::new(config, catalog(), 0, [9; 32]),
            broker,
            records,
            actions: Actions::default(),
            effects: Effects::default(),
            heard: Vec::new(),
            notices: Vec::new(),
            inboxes: HashMap::new(),
            next_packet: 1,
        };
        world.broker.handle(
            world.now,
            client_link(),
            connect(SessionName::Client("c".into())),
            &mut world.effects,
        );
        let all = SubscribeFilter { filter: TopicFilter::new("#"), qos: QoS::AtLeastOnce };
        let subscribe = ToBroker::Subscribe { packet_id: 1, filters: vec![all] };
        world.broker.handle(world.now, client_link(), subscribe, &mut world.effects);
        world.broker.restored_events(&mut world.effects);
        world.server.handle_timeout(world.now, &mut world.actions);
        world.settle();
        world
    }

    /// Requests, events and datagrams go back and forth until it is quiet.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            for (to, bytes) in self.actions.outgoing() {
                let packet = Packet::from_bytes(bytes).expect("the server sends CoAP");
                self.inboxes.entry(to.to.remote).or_default().push_back(Seen { packet });
            }
            self.actions.datagrams.clear();
            self.actions.wire.clear();
            self.notices.extend(self.actions.notices.drain(..).map(|notice| log_line(&notice)));
            let requests = std::mem::take(&mut self.actions.requests);
            for (link, request) in requests {
                self.broker.handle(self.now, link, request, &mut self.effects);
            }
            while self.broker.has_work() {
                self.broker.deliver(self.now, 1000, &mut self.effects);
            }
            self.records.append(&mut self.effects.records);
            let events = std::mem::take(&mut self.effects.events);
            self.effects.clear();
            if events.is_empty() && self.actions.is_empty() {
                return;
            }
            for (link, event) in events {
                match link.frontend {
                    FrontendId::Lwm2m => {
                        self.server.handle_event(self.now, link, event, &mut self.actions);
                    }
                    FrontendId::Mqtt => self.on_client(event),
                    FrontendId::MqttSn | FrontendId::Internal => panic!("nobody is there"),
                }
            }
        }
        panic!("it does not settle");
    }

    fn on_client(&mut self, event: FromBroker) {
        let FromBroker::Publish(Delivery { message, packet_id, retain, .. }) = event else { return };
        self.heard.push(Heard {
            topic: message.topic().into(),
            payload: String::from_utf8_lossy(message.payload()).into_owned(),
            retain,
            qos: message.qos(),
        });
        if let Some(packet_id) = packet_id {
            self.broker.handle(self.now, client_link(), ToBroker::Puback(packet_id), &mut self.effects);
        }
    }

    /// When a timer is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.server.next_timeout(), self.broker.next_timeout()].into_iter().flatten().min()
    }

    /// Time passes; timers run when they are due.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now.instant + duration;
        for _ in 0..1_000_000 {
            let next = [self.server.next_timeout(), self.broker.next_timeout()].into_iter().flatten().min();
            let next = next.unwrap_or(end).max(self.now.instant).min(end);
            self.advance_to(next);
            self.server.handle_timeout(self.now, &mut self.actions);
            self.broker.handle_timeout(self.now, &mut self.effects);
            self.settle();
            if next >= end {
                return;
            }
            if self.server.next_timeout().is_some_and(|at| at <= next) {
                self.advance_to(next + Duration::from_millis(1));
            }
        }
        panic!("timers without end");
    }

    fn advance_to(&mut self, instant: Instant) {
        let passed = (instant - self.now.instant).as_millis() as u64;
        self.now = Now::new(instant, self.now.unix_ms + passed);
    }

    // ---- the MQTT client

    pub(super) fn publish(&mut self, topic: &str, payload: &str) {
        self.publish_as(topic, payload.as_bytes(), QoS::AtLeastOnce, false);
    }

    pub(super) fn publish_as(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                self.next_packet += 1;
                broker_core::PacketId::new(self.next_packet)
            }
        };
        let message = Message::new(topic, payload, qos, retain);
        let publish = ToBroker::Publish { packet_id, dup: false, message };
        self.broker.handle(self.now, client_link(), publish, &mut self.effects);
        self.settle();
    }

    /// All messages heard since the last look, but for the commands themselves.
    pub(super) fn heard(&mut self) -> Vec<Heard> {
        let mut heard = std::mem::take(&mut self.heard);
        heard.retain(|heard| !heard.topic.ends_with("/command") && !heard.topic.contains("/dn"));
        heard
    }

    /// Payloads on one topic since the last look; everything else heard is forgotten.
    pub(super) fn on(&mut self, topic: &str) -> Vec<String> {
        self.heard().into_iter().filter(|heard| heard.topic == topic).map(|heard| heard.payload).collect()
    }

    // ---- devices

    pub(super) fn datagram(&mut self, from: Address, bytes: &[u8]) {
        let peer = Peer { address: from, group: false, identity: None };
        self.server.handle_datagram(self.now, &peer, bytes, &mut self.actions);
        self.settle();
    }

    pub(super) fn datagram_with_identity(&mut self, from: Address, identity: &str, bytes: &[u8]) {
        let peer = Peer { address: from, group: false, identity: Some(identity.into()) };
        self.server.handle_datagram(self.now, &peer, bytes, &mut self.actions);
        self.settle();
    }

    /// A link of the server's, as the broker sees them.
    pub(super) fn lwm2m_link(&self) -> LinkId {
        LinkId { slot: 0, generation: 0, frontend: FrontendId::Lwm2m, worker: 0 }
    }

    /// An event for the server that the broker did not make.
    pub(super) fn event(&mut self, link: LinkId, event: FromBroker) {
        self.server.handle_event(self.now, link, event, &mut self.actions);
        self.settle();
    }

    /// Datagrams for a device, taken.
    pub(super) fn inbox(&mut self, at: Address) -> Vec<Seen> {
        self.inboxes.remove(&at.remote).map(Vec::from).unwrap_or_default()
    }
}

/// A device that a test scripts.
pub(super) struct Device {
    pub(super) at: Address,
    mid: u16,
    pub(super) location: String,
}

impl Device {
    pub(super) fn new(port: u16) -> Device {
        Device { at: address(port), mid: 100, location: String::new() }
    }

    pub(super) fn packet(
        &mut self,
        method: RequestType,
        path: &str,
        query: &[&str],
        payload: &[u8],
    ) -> Packet {
        self.mid += 1;
        let mut packet = Packet::new();
        packet.header.message_id = self.mid;
        packet.header.set_type(MessageType::Confirmable);
        packet.header.code = MessageClass::Request(method);
        packet.set_token(vec![7, self.mid as u8]);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            packet.add_option(CoapOption::UriPath, segment.into());
        }
        for argument in query {
            packet.add_option(CoapOption::UriQuery, argument.as_bytes().to_vec());
        }
        packet.payload = payload.to_vec();
        packet
    }

    /// Sends a request and takes the answer out of what has come.
    pub(super) fn ask(
        &mut self,
        world: &mut World,
        method: RequestType,
        path: &str,
        query: &[&str],
        payload: &[u8],
    ) -> Seen {
        let packet = self.packet(method, path, query, payload);
        self.send(world, &packet)
    }

    pub(super) fn send(&mut self, world: &mut World, packet: &Packet) -> Seen {
        world.datagram(self.at, &packet.to_bytes().unwrap());
        self.answer_to(world, packet)
    }

    fn answer_to(&self, world: &mut World, packet: &Packet) -> Seen {
        let inbox = world.inboxes.entry(self.at.remote).or_default();
        let place = inbox.iter().position(|seen| seen.packet.get_token() == packet.get_token());
        let place = place.unwrap_or_else(|| panic!("no answer to {packet:?} in {inbox:?}"));
        inbox.remove(place).unwrap()
    }

    /// Registers and remembers its location.
    pub(super) fn register(&mut self, world: &mut World, query: &[&str], links: &str) {
        let answer = self.ask(world, RequestType::Post, "/rd", query, links.as_bytes());
        assert_eq!(answer.code(), "2.01", "{}", answer.text());
        self.location = answer.location();
    }

    pub(super) fn update(&mut self, world: &mut World, query: &[&str], links: &str) -> Seen {
        let location = self.location.clone();
        self.ask(world, RequestType::Post, &location, query, links.as_bytes())
    }

    pub(super) fn deregister(&mut self, world: &mut World) -> Seen {
        let location = self.location.clone();
        self.ask(world, RequestType::Delete, &location, &[], b"")
    }

    /// Serves every request that has come, and those that follow from the answers. Returns what it was asked.
    pub(super) fn serve(&mut self, world: &mut World, mut script: impl FnMut(&Seen) -> Does) -> Vec<String> {
        let mut asked = Vec::new();
        for _ in 0..10_000 {
            let inbox = world.inbox(self.at);
            if inbox.is_empty() {
                return asked;
            }
            for seen in inbox {
                let header = &seen.packet.header;
                if header.code == MessageClass::Empty && header.get_type() == MessageType::Confirmable {
                    self.do_with(world, &seen, Does::Reset); // CoAP ping: is anyone there?
                    continue;
                }
                if !matches!(header.code, MessageClass::Request(_)) {
                    continue; // an acknowledgement of ours
                }
                asked.push(seen.line());
                let does = script(&seen);
                self.do_with(world, &seen, does);
            }
        }
        panic!("requests without end: {asked:?}");
    }

    pub(super) fn do_with(&mut self, world: &mut World, seen: &Seen, does: Does) {
        let mut packet = Packet::new();
        packet.header.message_id = seen.packet.header.message_id;
        match does {
            Does::Silence => return,
            Does::OnlyAck => {
                packet.header.set_type(MessageType::Acknowledgement);
                packet.header.code = MessageClass::Empty;
            }
            Does::Reset => {
                packet.header.set_type(MessageType::Reset);
                packet.header.code = MessageClass::Empty;
            }
            Does::Answer(reply) => {
                packet.header.set_type(MessageType::Acknowledgement);
                fill(&mut packet, seen.packet.get_token().to_vec(), &reply);
            }
        }
        let bytes = packet.to_bytes().unwrap();
        world.datagram(self.at, &bytes);
    }

    /// A notification under the token of an Observe request.
    pub(super) fn notify(&mut self, world: &mut World, token: &[u8], reply: &Reply) -> Vec<Seen> {
        self.say(world, MessageType::NonConfirmable, token, reply)
    }

    /// The same as a Confirmable message.
    pub(super) fn notify_confirmably(&mut self, world: &mut World, token: &[u8], reply: &Reply) -> Vec<Seen> {
        self.say(world, MessageType::Confirmable, token, reply)
    }

    /// A separate response.
    pub(super) fn separate(
        &mut self,
        world: &mut World,
        asked: &Seen,
        reply: &Reply,
        confirmable: bool,
    ) -> Vec<Seen> {
        let kind = if confirmable { MessageType::Confirmable } else { MessageType::NonConfirmable };
        let token = asked.packet.get_token().to_vec();
        self.say(world, kind, &token, reply)
    }

    fn say(&mut self, world: &mut World, kind: MessageType, token: &[u8], reply: &Reply) -> Vec<Seen> {
        self.mid += 1;
        let mut packet = Packet::new();
        packet.header.message_id = self.mid;
        packet.header.set_type(kind);
        fill(&mut packet, token.to_vec(), reply);
        world.datagram(self.at, &packet.to_bytes().unwrap());
        world.inbox(self.at)
    }

    /// A request that never was.
    pub(super) fn asked_of_nobody(&mut self) -> Seen {
        Seen { packet: self.packet(RequestType::Get, "/3/0/0", &[], b"") }
    }
}

fn fill(packet: &mut Packet, token: Vec<u8>, reply: &Reply) {
    packet.header.code = (reply.code.0 << 5 | reply.code.1).into();
    packet.set_token(token);
    if let Some(sequence) = reply.observe {
        packet.add_option(CoapOption::Observe, short(sequence));
    }
    for segment in &reply.location {
        packet.add_option(CoapOption::LocationPath, segment.as_bytes().to_vec());
    }
    if let Some(format) = reply.format {
        packet.add_option(CoapOption::ContentFormat, short(u32::from(format)));
    }
    if let Some(block) = reply.block2 {
        packet.add_option(CoapOption::Block2, short(block));
    }
    if let Some(block) = reply.block1 {
        packet.add_option(CoapOption::Block1, short(block));
    }
    packet.payload = reply.payload.clone();
}

fn short(value: u32) -> Vec<u8> {
    value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}
