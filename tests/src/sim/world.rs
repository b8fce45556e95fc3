//! The world of a scenario: one broker with its front-ends, MQTT clients on streams, devices on a network of
//! datagrams, and a clock that only moves when it is told.
use super::net::{Datagram, Net, Weather};
use super::packet::{self, FromServer};
use broker_core::frontend::{
    Actions, Address, Frontend, ListenerId, Peer, StreamClose, StreamConnection, StreamOut,
};
use broker_core::link::{FrontendId, Notice};
use broker_core::{Broker, Effects, FromBroker, Instant, Limits, LinkId, Now, Record, ToBroker};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Makes the front-end of a new MQTT stream.
pub type NewConnection = Box<dyn Fn(Now) -> Box<dyn StreamConnection>>;

/// Unix time at the start of every scenario, milliseconds.
pub const UNIX_START_MS: u64 = 1_700_000_000_000;

/// An MQTT client's end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client(usize);

struct Stream {
    connection: Box<dyn StreamConnection>,
    link: LinkId,
    to_server: Vec<u8>,
    wire: Vec<u8>,
    to_client: Vec<u8>,
    /// The client does not read: nothing counts as flushed.
    stalled: bool,
    closed: Option<StreamClose>,
    gone: bool,
}

struct Front {
    id: FrontendId,
    address: SocketAddr,
    frontend: Box<dyn Frontend>,
}

/// See the module.
pub struct World {
    /// The present.
    pub now: Now,
    /// The broker.
    pub broker: Broker,
    /// The network of datagrams.
    pub net: Net,
    /// One entry a broker call that had records.
    pub commits: Vec<Vec<Record>>,
    /// Log lines of everybody.
    pub notices: Vec<Notice>,
    new_connection: NewConnection,
    streams: Vec<Stream>,
    fronts: Vec<Front>,
    inboxes: HashMap<SocketAddr, VecDeque<(Instant, Datagram)>>,
    requests: VecDeque<(LinkId, ToBroker)>,
    events: VecDeque<(LinkId, FromBroker)>,
    effects: Effects,
    actions: Actions,
}

impl World {
    /// A world with default limits in clear weather.
    pub fn new(seed: u64, new_connection: NewConnection) -> World {
        World::with_limits(seed, Limits::default(), new_connection)
    }

    /// A world with these limits.
    pub fn with_limits(seed: u64, limits: Limits, new_connection: NewConnection) -> World {
        let mut broker = Broker::new(limits, seed);
        broker.set_recording(true);
        World {
            now: Now::new(Instant::from_millis(1_000), UNIX_START_MS),
            broker,
            net: Net::new(Weather::CLEAR, seed),
            commits: Vec::new(),
            notices: Vec::new(),
            new_connection,
            streams: Vec::new(),
            fronts: Vec::new(),
            inboxes: HashMap::new(),
            requests: VecDeque::new(),
            events: VecDeque::new(),
            effects: Effects::default(),
            actions: Actions::default(),
        }
    }

    /// Adds a front-end of datagrams that is reached at `address`.
    pub fn add_frontend(&mut self, id: FrontendId, address: SocketAddr, frontend: Box<dyn Frontend>) {
        self.fronts.push(Front { id, address, frontend });
    }

    // ------------------------------------------------------------------ MQTT clients

    /// Opens a stream; nothing is sent yet.
    pub fn open(&mut self) -> Client {
        let slot = u32::try_from(self.streams.len()).expect("few streams in a test");
        let link = LinkId { slot, generation: 0, frontend: FrontendId::Mqtt, worker: 0 };
        self.streams.push(Stream {
            connection: (self.new_connection)(self.now),
            link,
            to_server: Vec::new(),
            wire: Vec::new(),
            to_client: Vec::new(),
            stalled: false,
            closed: None,
            gone: false,
        });
        Client(self.streams.len() - 1)
    }

    /// Opens a stream, sends this CONNECT and expects CONNACK 0.
    pub fn connect(&mut self, connect: &packet::Connect) -> Client {
        let client = self.open();
        self.send(client, &connect.bytes());
        let answer = self.received(client);
        assert!(
            matches!(answer.first(), Some(FromServer::Connack { code: 0, .. })),
            "CONNECT got {answer:?}"
        );
        let mut rest = Vec::new();
        answer.into_iter().skip(1).for_each(|packet| rest.push(packet));
        self.put_back(client, rest);
        client
    }

    /// Sends bytes to the broker, and lets everything settle.
    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        let stream = &mut self.streams[client.0];
        if stream.closed.is_some() || stream.gone {
            return;
        }
        stream.to_server.extend_from_slice(bytes);
        self.feed(client.0);
        self.settle();
    }

    /// Subscribes and takes the SUBACK; what follows it stays to be received.
    pub fn subscribe(&mut self, client: Client, filters: &[(&str, u8)]) -> Vec<u8> {
        self.send(client, &packet::subscribe(0x7FFF, filters));
        let mut all = self.received(client);
        let at = all.iter().position(|p| matches!(p, FromServer::Suback(0x7FFF, _))).expect("a SUBACK");
        let FromServer::Suback(_, codes) = all.remove(at) else { unreachable!("matched above") };
        self.put_back(client, all);
        codes
    }

    /// Whole packets that have come for this client, taken.
    pub fn received(&mut self, client: Client) -> Vec<FromServer> {
        let bytes = &mut self.streams[client.0].to_client;
        std::iter::from_fn(|| packet::take(bytes)).collect()
    }

    /// PUBLISH packets that have come for this client, taken; QoS 1 and 2 are acknowledged to the end.
    pub fn messages(&mut self, client: Client) -> Vec<packet::Publish> {
        let mut messages = Vec::new();
        for _ in 0..10_000 {
            let packets = self.received(client);
            if packets.is_empty() {
                return messages;
            }
            for packet in packets {
                match packet {
                    FromServer::Publish(publish) => {
                        match publish.qos {
                            1 => self.send(client, &packet::puback(publish.id)),
                            2 => self.send(client, &packet::pubrec(publish.id)),
                            _ => {}
                        }
                        messages.push(publish);
                    }
                    FromServer::Pubrel(id) => self.send(client, &packet::pubcomp(id)),
                    FromServer::Wrong(bytes) => panic!("no server may send {bytes:02x?}"),
                    FromServer::Connack { .. }
                    | FromServer::Puback(_)
                    | FromServer::Pubrec(_)
                    | FromServer::Pubcomp(_)
                    | FromServer::Suback(..)
                    | FromServer::Unsuback(_)
                    | FromServer::Pingresp => {}
                }
            }
        }
        panic!("messages without end");
    }

    fn put_back(&mut self, client: Client, packets: Vec<FromServer>) {
        let mut bytes = Vec::new();
        for packet in packets {
            bytes.extend(match packet {
                FromServer::Connack { present, code } => packet::packet(0x20, &[u8::from(present), code]),
                FromServer::Publish(publish) => publish.bytes(),
                FromServer::Puback(id) => packet::puback(id),
                FromServer::Pubrec(id) => packet::pubrec(id),
                FromServer::Pubrel(id) => packet::pubrel(id),
                FromServer::Pubcomp(id) => packet::pubcomp(id),
                FromServer::Suback(id, codes) => {
                    packet::packet(0x90, &[&id.to_be_bytes()[..], &codes[..]].concat())
                }
                FromServer::Unsuback(id) => packet::packet(0xB0, &id.to_be_bytes()),
                FromServer::Pingresp => vec![0xD0, 0],
                FromServer::Wrong(bytes) => bytes,
            });
        }
        let stream = &mut self.streams[client.0];
        bytes.append(&mut stream.to_client);
        stream.to_client = bytes;
    }

    /// The client's network is cut without DISCONNECT.
    pub fn cut(&mut self, client: Client) {
        let stream = &mut self.streams[client.0];
        if stream.gone || stream.closed.is_some() {
            return;
        }
        stream.gone = true;
        let mut out = StreamOut::default();
        stream.connection.handle_closed(self.now, &mut out);
        self.take_stream_out(client.0, out);
        self.settle();
    }

    /// The client reads no more (or again): what the broker writes is not flushed.
    pub fn stall(&mut self, client: Client, stalled: bool) {
        self.streams[client.0].stalled = stalled;
        self.settle();
    }

    /// Bytes that wait in the broker's out-buffer for this client.
    pub fn backlog(&self, client: Client) -> usize {
        self.streams[client.0].wire.len()
    }

    /// Why the broker closed this client's stream, if it did.
    pub fn closed(&self, client: Client) -> Option<StreamClose> {
        self.streams[client.0].closed
    }

    // ------------------------------------------------------------------ datagrams

    /// A device at `from` sends a datagram to the front-end at `to`, through the weather.
    pub fn send_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.net.send(self.now.instant, Datagram { from, to, bytes: bytes.to_vec() });
    }

    /// Datagrams that have arrived at a device, taken, with their times.
    pub fn inbox(&mut self, at: SocketAddr) -> Vec<(Instant, Datagram)> {
        self.inboxes.get_mut(&at).map(|inbox| inbox.drain(..).collect()).unwrap_or_default()
    }

    // ------------------------------------------------------------------ time

    /// Lets `time` pass, doing everything that falls due in its order.
    pub fn pass(&mut self, time: Duration) {
        self.pass_with(time, |_| {});
    }

    /// As [`World::pass`]; `react` runs after every step, so that scripted devices can answer what has arrived.
    pub fn pass_with(&mut self, time: Duration, mut react: impl FnMut(&mut World)) {
        let end = self.now.instant + time;
        for _ in 0..5_000_000 {
            self.settle();
            react(self);
            self.settle();
            let next = self.next_event().filter(|at| *at <= end);
            self.set_clock(next.unwrap_or(end));
            if next.is_none() {
                self.fire();
                self.settle();
                react(self);
                return;
            }
            self.fire();
        }
        panic!("the world does not come to rest");
    }

    fn set_clock(&mut self, at: Instant) {
        let at = at.max(self.now.instant);
        let by = at.saturating_since(self.now.instant);
        self.now = Now::new(at, self.now.unix_ms + u64::try_from(by.as_millis()).unwrap_or(0));
    }

    fn next_event(&self) -> Option<Instant> {
        let streams = self.streams.iter().filter(|s| s.closed.is_none() && !s.gone);
        [self.broker.next_timeout(), self.net.next_arrival()]
            .into_iter()
            .chain(streams.map(|s| s.connection.next_timeout()))
            .chain(self.fronts.iter().map(|f| f.frontend.next_timeout()))
            .flatten()
            .min()
            // What is overdue is done at the next millisecond, so that time always moves.
            .map(|at| at.max(Instant::from_millis(self.now.instant.as_millis() + 1)))
    }

    fn fire(&mut self) {
        let now = self.now;
        while let Some(datagram) = self.net.arrive(now.instant) {
            self.arrive(datagram);
        }
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            let due = stream.connection.next_timeout().is_some_and(|due| due <= now.instant);
            if due && stream.closed.is_none() && !stream.gone {
                let mut out = StreamOut::default();
                stream.connection.handle_timeout(now, &mut stream.wire, &mut out);
                self.take_stream_out(at, out);
            }
        }
        for at in 0..self.fronts.len() {
            let front = &mut self.fronts[at];
            if front.frontend.next_timeout().is_some_and(|due| due <= now.instant) {
                front.frontend.handle_timeout(now, &mut self.actions);
                self.take_actions(at);
            }
        }
        if self.broker.next_timeout().is_some_and(|due| due <= now.instant) {
            self.broker.handle_timeout(now, &mut self.effects);
            self.take_effects();
        }
    }

    fn arrive(&mut self, datagram: Datagram) {
        match self.fronts.iter().position(|front| front.address == datagram.to) {
            Some(at) => {
                let address =
                    Address { remote: datagram.from, local: None, listener: ListenerId(listener_number(at)) };
                let peer = Peer { address, group: false, identity: None };
                self.fronts[at].frontend.handle_datagram(self.now, &peer, &datagram.bytes, &mut self.actions);
                self.take_actions(at);
                self.settle();
            }
            None => self.inboxes.entry(datagram.to).or_default().push_back((self.now.instant, datagram)),
        }
    }

    // ------------------------------------------------------------------ the driver's loop

    /// Requests and events go round until nobody has anything to say.
    pub fn settle(&mut self) {
        for _ in 0..10_000_000 {
            if let Some((link, request)) = self.requests.pop_front() {
                self.broker.handle(self.now, link, request, &mut self.effects);
                self.take_effects();
            } else if let Some((link, event)) = self.events.pop_front() {
                self.dispatch(link, event);
            } else if self.broker.deliver(self.now, 64, &mut self.effects) || !self.effects.is_empty() {
                self.take_effects();
            } else if !self.flush() {
                return;
            }
        }
        panic!("front-ends and broker never come to rest");
    }

    /// Takes the effects of a call that a scenario made to the broker itself, and lets everything settle.
    pub fn take(&mut self, mut effects: Effects) {
        std::mem::swap(&mut self.effects, &mut effects);
        self.take_effects();
        self.settle();
    }

    fn take_effects(&mut self) {
        if !self.effects.records.is_empty() {
            self.commits.push(std::mem::take(&mut self.effects.records));
        }
        self.events.extend(self.effects.events.drain(..));
        self.notices.append(&mut self.effects.notices);
        self.effects.asks.clear();
    }

    fn dispatch(&mut self, link: LinkId, event: FromBroker) {
        match link.frontend {
            FrontendId::Mqtt => {
                let at = link.slot as usize;
                let Some(stream) = self.streams.get_mut(at) else { return };
                if stream.closed.is_some() || stream.gone {
                    return;
                }
                let mut out = StreamOut::default();
                stream.connection.handle_event(self.now, event, &mut stream.wire, &mut out);
                self.take_stream_out(at, out);
                // A connection may have held back input until this event.
                self.feed(at);
            }
            FrontendId::MqttSn | FrontendId::Lwm2m | FrontendId::Internal => {
                if let Some(at) = self.fronts.iter().position(|front| front.id == link.frontend) {
                    self.fronts[at].frontend.handle_event(self.now, link, event, &mut self.actions);
                    self.take_actions(at);
                }
            }
        }
    }

    fn feed(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        if stream.to_server.is_empty() || stream.closed.is_some() || stream.gone {
            return;
        }
        let mut out = StreamOut::default();
        let used = stream.connection.handle_bytes(self.now, &stream.to_server, &mut stream.wire, &mut out);
        stream.to_server.drain(..used);
        self.take_stream_out(at, out);
    }

    fn take_stream_out(&mut self, at: usize, out: StreamOut) {
        let stream = &mut self.streams[at];
        self.requests.extend(out.requests.into_iter().map(|request| (stream.link, request)));
        self.notices.extend(out.notices);
        if let Some(reason) = out.close {
            stream.to_client.append(&mut stream.wire);
            stream.closed.get_or_insert(reason);
        }
    }

    fn take_actions(&mut self, at: usize) {
        let from = self.fronts[at].address;
        let sent: Vec<(SocketAddr, Vec<u8>)> =
            self.actions.outgoing().map(|(out, bytes)| (out.to.remote, bytes.to_vec())).collect();
        for (to, bytes) in sent {
            self.net.send(self.now.instant, Datagram { from, to, bytes });
        }
        self.requests.extend(self.actions.requests.drain(..));
        self.notices.append(&mut self.actions.notices);
        self.actions.clear();
    }

    fn flush(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            if stream.wire.is_empty() || stream.stalled || stream.gone {
                continue;
            }
            let flushed = stream.wire.len();
            stream.to_client.append(&mut stream.wire);
            moved = true;
            if stream.closed.is_none() {
                let mut out = StreamOut::default();
                stream.connection.handle_flushed(self.now, flushed, &mut out);
                self.take_stream_out(at, out);
            }
        }
        moved
    }
}

fn listener_number(at: usize) -> u16 {
    u16::try_from(at).expect("few front-ends in a test")
}
