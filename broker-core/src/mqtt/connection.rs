//! [`Connection`]: the MQTT front-end for one byte stream, from its first byte to its end (MQTT 3.1.1, MQTT 3.1).
//!
//! It decodes packets, asks the broker, and writes the broker's answers and deliveries straight into the stream's
//! out-buffer. What a session *means* is the broker's; here is what a stream may say, and when.
//!
//! ```text
//!                CONNECT               Connack
//! AwaitConnect ───────────► Connecting ───────► Connected
//!   │ timeout,                │ Refused,          │ DISCONNECT, malformed or out-of-place packet, keep-alive
//!   │ anything else           │ timeout           │ lapsed, Closed by the broker
//!   └────────────────────────►└──────────────────►└─► Closing   (what is written goes out, nothing is read)
//! ```
//!
//! What a client sends behind its CONNECT before the CONNACK is legal (§3.1.4) and waits in the driver's buffer: a
//! connecting stream takes no input and keeps no buffer of its own.
//!
//! | state | CONNECT | other packets of a client | packets of a server | broker's events |
//! |---|---|---|---|---|
//! | AwaitConnect | ask the broker | close ([MQTT-3.1.0-1]) | close | none can come |
//! | Connecting | held back | held back | held back | Connack, Refused, Closed |
//! | Connected | close ([MQTT-3.1.0-2]) | handled | close | written out |
//! | Closing | ignored | ignored | ignored | ignored |
#![deny(clippy::indexing_slicing)]
use super::ack::{AckKind, encode_ack};
use super::connack::{Connack, ConnectReturnCode};
use super::connect::{Connect, Version, peek_client_id};
use super::connection_counters::{ClosedBy, Counters};
use super::error::DecodeError;
use super::fixed_header::{Direction, PacketType};
use super::frame::{Frame, FrameRules, Split, split};
use super::packet::{Packet, encode_pingresp};
use super::publish::{Publish, encode_publish_header};
use super::suback::encode_suback;
use super::subscribe::{Subscribe, Unsubscribe};
use crate::frontend::{StreamClose, StreamConnection, StreamOut};
use crate::limits::Limits;
use crate::link::{
    self, ConnectWill, Credentials, DELIVERY_OVERHEAD, Delivery, Ending, FromBroker, Notice, Protocol,
    PublishOutcome, QueueQos0, RefuseReason, Secret, SessionName, SubscribeFilter, TakeoverWill, ToBroker,
};
use crate::message::{Message, PacketId, QoS, Will};
use crate::time::{Instant, Now};
use crate::topic::{TopicFilter, TopicLimits};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What all connections of one worker share: bounds, counters, and the source of generated client ids.
#[derive(Debug)]
pub struct Shared {
    limits: RefCell<Limits>,
    bounds: Cell<Bounds>,
    seed: Cell<u64>,
    counters: RefCell<Counters>,
}

/// The bounds that are looked at often.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    connect_bytes_max: usize,
    packet_bytes_max: usize,
    topics: TopicLimits,
    connect_timeout: Duration,
    /// A client with keep-alive 0 that sends nothing at all is closed after this.
    idle_timeout: Option<Duration>,
}

impl Bounds {
    fn new(limits: &Limits, idle_timeout: Option<Duration>) -> Bounds {
        Bounds {
            connect_bytes_max: limits.connect_bytes_max,
            packet_bytes_max: limits.packet_bytes_max,
            topics: TopicLimits { levels_max: limits.topic_levels_max, bytes_max: limits.topic_bytes_max },
            connect_timeout: limits.connect_timeout,
            idle_timeout,
        }
    }
}

impl Shared {
    /// Bounds for connections made with it. `seed` makes the generated client ids unpredictable and, with one seed a
    /// worker, different between workers.
    pub fn new(limits: Limits, idle_timeout: Option<Duration>, seed: u64) -> Rc<Shared> {
        Rc::new(Shared {
            bounds: Cell::new(Bounds::new(&limits, idle_timeout)),
            limits: RefCell::new(limits),
            seed: Cell::new(seed),
            counters: RefCell::new(Counters::default()),
        })
    }

    /// New bounds, for connections that there are, too. A deadline that becomes nearer is found when the driver asks
    /// next.
    pub fn set_limits(&self, limits: Limits, idle_timeout: Option<Duration>) {
        self.bounds.set(Bounds::new(&limits, idle_timeout));
        self.limits.replace(limits);
    }

    /// The counts of all connections that were made with this value.
    pub fn counters(&self) -> Counters {
        self.counters.borrow().clone()
    }

    /// A client id for a client that brought none ([MQTT-3.1.3-6]).
    fn generated_client_id(&self) -> Arc<str> {
        // SplitMix64: every seed gives a sequence without repetition.
        let word = || {
            let state = self.seed.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
            self.seed.set(state);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        Arc::from(format!("auto-{:016x}{:016x}", word(), word()))
    }
}

/// Where a connection stands; the diagram is at the top of the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    AwaitConnect,
    Connecting,
    Connected,
    Closing,
}

/// Who is at the other end; needed until CONNECT only.
#[derive(Debug, Default)]
struct Stranger {
    remote: Option<SocketAddr>,
    proven: Option<Arc<str>>,
}

/// One MQTT client's stream. Small: there may be 200,000 of them, nearly all idle.
#[derive(Debug)]
pub struct Connection {
    shared: Rc<Shared>,
    stranger: Option<Box<Stranger>>,
    /// The ClientId, for log lines; shared with the session.
    name: Option<Arc<str>>,
    /// When it was accepted; once connected, when the last packet came.
    since: Instant,
    /// Bytes written into the out-buffer and not yet flushed.
    unflushed: u32,
    /// Credit (see [`ToBroker::Credit`]) of what was delivered and not yet given back.
    owed: u32,
    keep_alive: u16,
    version: Version,
    state: State,
}

impl Connection {
    /// A stream that was just accepted. `remote` and `proven` (an identity that the transport vouches for) go into
    /// the credentials of its CONNECT.
    pub fn new(
        now: Now,
        remote: Option<SocketAddr>,
        proven: Option<Arc<str>>,
        shared: Rc<Shared>,
    ) -> Connection {
        Connection {
            shared,
            stranger: Some(Box::new(Stranger { remote, proven })),
            name: None,
            since: now.instant,
            unflushed: 0,
            owed: 0,
            keep_alive: 0,
            version: Version::V311,
            state: State::AwaitConnect,
        }
    }

    /// No CONNECT has come yet: the driver reads in small pieces, since it is a stranger who sends.
    pub fn is_stranger(&self) -> bool {
        self.state == State::AwaitConnect
    }

    /// The broker's answer to CONNECT is awaited: the driver stops reading, and hands in what it holds when this ends.
    pub fn is_held(&self) -> bool {
        self.state == State::Connecting
    }

    /// The ClientId, once it is known.
    pub fn client_id(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn rules(&self) -> FrameRules {
        let bounds = self.shared.bounds.get();
        FrameRules {
            direction: Direction::ToServer,
            version: self.version,
            connected: self.state == State::Connected,
            connect_bytes_max: bounds.connect_bytes_max,
            packet_bytes_max: bounds.packet_bytes_max,
        }
    }

    fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.shared.counters.borrow_mut());
    }

    fn notice(&self, text: impl Into<Box<str>>, out: &mut StreamOut) {
        let remote = self.stranger.as_ref().and_then(|stranger| stranger.remote);
        out.notices.push(Notice::Peer { remote, name: self.name.clone(), text: text.into() });
    }

    /// Ends the stream from our side; the link too, where there is one.
    fn close(&mut self, why: StreamClose, out: &mut StreamOut) {
        let ending = match why {
            StreamClose::Disconnected => Some(Ending::Clean),
            StreamClose::Protocol | StreamClose::ConnectTimeout | StreamClose::KeepAlive => {
                Some(Ending::Abnormal)
            }
            // The broker has ended or never begun the link itself.
            StreamClose::Refused | StreamClose::Broker(_) => None,
        };
        match (self.state, ending) {
            (State::Connecting | State::Connected, Some(ending)) => {
                out.requests.push(ToBroker::Disconnect(ending));
            }
            (State::AwaitConnect, _) | (State::Connecting | State::Connected, None) => {}
            (State::Closing, _) => return,
        }
        self.state = State::Closing;
        self.stranger = None;
        self.count(|counters| counters.closed(why.into()));
        out.close = Some(why);
    }

    /// A packet that the specification forbids ([MQTT-4.8.0-1], [MQTT-4.8.0-2]).
    #[cold]
    fn refuse_packet(&mut self, error: DecodeError, out: &mut StreamOut) {
        self.count(|counters| counters.malformed(error));
        self.notice(error.to_string(), out);
        self.close(StreamClose::Protocol, out);
    }

    /// A CONNECT that gets a CONNACK with `code` and then the end ([MQTT-3.2.2-5]).
    #[cold]
    fn refuse_connect(&mut self, code: ConnectReturnCode, wire: &mut Vec<u8>, out: &mut StreamOut) {
        Connack::refused(code).encode(wire);
        self.count(|counters| counters.refused(code));
        self.close(StreamClose::Refused, out);
    }

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, wire: &mut Vec<u8>, out: &mut StreamOut) {
        let packet = match frame.decode() {
            Ok(packet) => packet,
            Err(DecodeError::ProtocolLevel(level)) => {
                return self.on_other_level(level, frame.body, wire, out);
            }
            Err(error) => return self.refuse_packet(error, out),
        };
        self.shared.counters.borrow_mut().received(frame.first.packet_type());
        match packet {
            Packet::Publish(publish) => self.on_publish(&publish, out),
            Packet::Ack(kind, packet_id) => self.on_ack(kind, packet_id, out),
            Packet::Subscribe(subscribe) => self.on_subscribe(subscribe, out),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(unsubscribe, out),
            Packet::Pingreq => self.on_pingreq(wire),
            Packet::Connect(connect) => self.on_connect(now, &connect, wire, out),
            Packet::Disconnect => self.close(StreamClose::Disconnected, out),
            // The frame rules have refused them on their first byte.
            Packet::Connack(_) => self.refuse_packet(DecodeError::WrongDirection(PacketType::Connack), out),
            Packet::Suback(_) => self.refuse_packet(DecodeError::WrongDirection(PacketType::Suback), out),
            Packet::Pingresp => self.refuse_packet(DecodeError::WrongDirection(PacketType::Pingresp), out),
        }
    }

    fn on_other_level(&mut self, level: u8, body: &[u8], wire: &mut Vec<u8>, out: &mut StreamOut) {
        self.count(|counters| counters.malformed(DecodeError::ProtocolLevel(level)));
        self.name = peek_client_id(body).filter(|name| !name.is_empty()).map(Arc::from);
        let version = if level == 5 { "MQTT 5".to_owned() } else { format!("protocol level {level}") };
        self.notice(
            format!("wants {version}; this broker speaks MQTT 3.1.1 and 3.1: set the client to 3.1.1"),
            out,
        );
        self.refuse_connect(ConnectReturnCode::UnacceptableProtocolVersion, wire, out); // [MQTT-3.1.2-2]
    }

    fn on_connect(&mut self, now: Now, connect: &Connect<'_>, wire: &mut Vec<u8>, out: &mut StreamOut) {
        let shared = Rc::clone(&self.shared);
        let limits = shared.limits.borrow();
        self.version = connect.version;
        let name = match (connect.client_id, connect.version, connect.clean_session) {
            ("", Version::V311, true) => self.shared.generated_client_id(), // [MQTT-3.1.3-6]
            ("", Version::V311, false) | ("", Version::V31, _) => {
                // [MQTT-3.1.3-8]; MQTT 3.1 §3.1 wants 1 to 23 characters.
                self.notice("no client id, and a session that should be kept", out);
                return self.refuse_connect(ConnectReturnCode::IdentifierRejected, wire, out);
            }
            // Deviation: MQTT 3.1 clients with more than 23 characters are let in, as by other brokers.
            (id, _, _) => Arc::from(id),
        };
        if name.len() > limits.client_id_bytes_max {
            self.notice(format!("client id of {} bytes", name.len()), out);
            return self.refuse_connect(ConnectReturnCode::IdentifierRejected, wire, out);
        }
        self.name = Some(Arc::clone(&name));
        if connect.keep_alive > limits.keep_alive_max {
            self.notice(format!("keep-alive of {} s is over the limit", connect.keep_alive), out);
            return self.refuse_connect(ConnectReturnCode::IdentifierRejected, wire, out);
        }
        let will = match &connect.will {
            None => ConnectWill::None,
            Some(will) => {
                let bytes = will.topic.as_str().len() + will.payload.len();
                if bytes > limits.will_bytes_max || will.topic.within(&shared.bounds.get().topics).is_err() {
                    self.notice(format!("will of {bytes} bytes, or its topic, is over the limit"), out);
                    return self.refuse_connect(ConnectReturnCode::ServerUnavailable, wire, out);
                }
                let message = Message::new(will.topic.as_str(), will.payload, will.qos, will.retain);
                ConnectWill::Set(Will { message })
            }
        };
        let stranger = self.stranger.take().map(|stranger| *stranger).unwrap_or_default();
        let credentials = Credentials {
            username: connect.username.map(Arc::from),
            password: connect.password.map(|password| Secret(Bytes::copy_from_slice(password))),
            proven: stranger.proven,
            remote: stranger.remote,
        };
        self.keep_alive = connect.keep_alive;
        self.since = now.instant;
        self.state = State::Connecting;
        out.requests.push(ToBroker::Connect(Box::new(link::Connect {
            name: SessionName::Client(name),
            protocol: Protocol::Mqtt,
            clean: connect.clean_session,
            will,
            will_is_session_state: false,
            takeover_will: TakeoverWill::Publish,
            window: limits.inflight_max,
            credit: limits.stream_credit_bytes,
            queue_qos0: QueueQos0 { asleep: true, offline: limits.queue_qos0_offline },
            credentials,
            keep_alive: connect.keep_alive,
        })));
    }

    fn on_publish(&mut self, publish: &Publish<'_>, out: &mut StreamOut) {
        let topic = match publish.topic.within(&self.shared.bounds.get().topics) {
            Ok(topic) => topic.as_str(),
            // MQTT 3.1.1 has no answer that says so; a silent drop would hide it.
            Err(error) => return self.refuse_packet(DecodeError::Topic(error), out),
        };
        out.requests.push(ToBroker::Publish {
            packet_id: publish.packet_id,
            dup: publish.dup,
            message: Message::new(topic, publish.payload, publish.qos, publish.retain),
        });
    }

    fn on_ack(&mut self, kind: AckKind, packet_id: PacketId, out: &mut StreamOut) {
        out.requests.push(match kind {
            AckKind::Puback => ToBroker::Puback(packet_id),
            AckKind::Pubrec => ToBroker::Pubrec(packet_id),
            AckKind::Pubrel => ToBroker::Pubrel(packet_id),
            AckKind::Pubcomp => ToBroker::Pubcomp(packet_id),
            AckKind::Unsuback => {
                return self.refuse_packet(DecodeError::WrongDirection(PacketType::Unsuback), out);
            }
        });
    }

    fn on_subscribe(&mut self, subscribe: Subscribe<'_>, out: &mut StreamOut) {
        if subscribe.filters.len() > self.shared.limits.borrow().filters_per_packet_max {
            return self.refuse_packet(DecodeError::PacketTooLarge(PacketType::Subscribe), out);
        }
        let limits = self.shared.bounds.get().topics;
        let filters = subscribe
            .filters
            .map(|entry| SubscribeFilter {
                filter: TopicFilter::new_within(entry.filter, &limits),
                qos: entry.qos,
            })
            .collect();
        out.requests.push(ToBroker::Subscribe { packet_id: subscribe.packet_id.get(), filters });
    }

    fn on_unsubscribe(&mut self, unsubscribe: Unsubscribe<'_>, out: &mut StreamOut) {
        if unsubscribe.filters.len() > self.shared.limits.borrow().filters_per_packet_max {
            return self.refuse_packet(DecodeError::PacketTooLarge(PacketType::Unsubscribe), out);
        }
        // What is no filter was never subscribed to; the answer is the same ([MQTT-3.10.4-5]).
        let filters = unsubscribe.filters.filter_map(|text| TopicFilter::new(text).ok()).collect();
        out.requests.push(ToBroker::Unsubscribe { packet_id: unsubscribe.packet_id.get(), filters });
    }

    fn on_pingreq(&mut self, wire: &mut Vec<u8>) {
        encode_pingresp(wire); // [MQTT-3.12.4-1]
        self.count(|counters| counters.sent(PacketType::Pingresp));
    }

    /// [`FromBroker::Publish`] by reference: the same as handing it to [`StreamConnection::handle_event`]. A driver that
    /// keeps the events of a fan-out and lets them go together does without an atomic operation between two
    /// deliveries, which would wait for all the writing before it.
    #[inline]
    pub fn handle_delivery(&mut self, delivery: &Delivery, wire: &mut Vec<u8>, out: &mut StreamOut) {
        if self.state == State::Connected {
            let before = wire.len();
            self.deliver(delivery, wire, out);
            self.wrote(before, wire);
        }
    }

    #[inline]
    fn deliver(&mut self, delivery: &Delivery, wire: &mut Vec<u8>, out: &mut StreamOut) {
        let Delivery { message, packet_id, qos, dup, retain, expires_unix_ms: _ } = delivery;
        let cost = u32::try_from(message.cost() + DELIVERY_OVERHEAD).unwrap_or(u32::MAX);
        let payload = message.payload();
        let topic = message.topic_bytes();
        match encode_publish_header(wire, topic, *qos, *packet_id, *dup, *retain, payload.len()) {
            Ok(()) => {
                wire.extend_from_slice(payload);
                self.owed = self.owed.saturating_add(cost);
                self.shared.counters.borrow_mut().sent(PacketType::Publish);
            }
            // Larger than MQTT can say: it came in by another protocol, and can never go out by this one.
            Err(_) => {
                out.requests.extend(packet_id.map(ToBroker::Reject));
                out.requests.push(ToBroker::Credit { bytes: cost });
            }
        }
    }

    fn acknowledge(
        &mut self,
        kind: AckKind,
        packet_id: PacketId,
        outcome: PublishOutcome,
        wire: &mut Vec<u8>,
        out: &mut StreamOut,
    ) {
        match outcome {
            // Interpretation: [MQTT-3.3.5-2] lets a server acknowledge what it does not forward.
            PublishOutcome::Accepted | PublishOutcome::Denied => self.send_ack(kind, packet_id, wire),
            // Unacknowledged, so that the client sends it again when it is back.
            PublishOutcome::Quota => {
                self.notice("more unreleased QoS 2 messages than allowed", out);
                self.close(StreamClose::Protocol, out);
            }
        }
    }

    fn send_ack(&mut self, kind: AckKind, packet_id: PacketId, wire: &mut Vec<u8>) {
        encode_ack(kind, packet_id, wire);
        self.shared.counters.borrow_mut().sent(kind.packet_type());
    }

    fn on_connack(&mut self, now: Now, session_present: bool, wire: &mut Vec<u8>) {
        // In MQTT 3.1 the bit is reserved.
        Connack::accepted(session_present && self.version == Version::V311).encode(wire);
        self.count(|counters| counters.sent(PacketType::Connack));
        self.since = now.instant;
        self.state = State::Connected;
    }

    fn on_refused(&mut self, reason: RefuseReason, wire: &mut Vec<u8>, out: &mut StreamOut) {
        let code = match reason {
            RefuseReason::BadCredentials => ConnectReturnCode::BadUsernameOrPassword,
            RefuseReason::NotAuthorized => ConnectReturnCode::NotAuthorized,
            RefuseReason::IdentifierRejected => ConnectReturnCode::IdentifierRejected,
            RefuseReason::Busy | RefuseReason::NoSession => ConnectReturnCode::ServerUnavailable,
        };
        self.refuse_connect(code, wire, out);
    }

    fn on_connected_event(&mut self, event: FromBroker, wire: &mut Vec<u8>, out: &mut StreamOut) {
        match event {
            FromBroker::Publish(delivery) => self.deliver(&delivery, wire, out),
            FromBroker::Puback { packet_id, outcome } => {
                self.acknowledge(AckKind::Puback, packet_id, outcome, wire, out);
            }
            FromBroker::Pubrec { packet_id, outcome } => {
                self.acknowledge(AckKind::Pubrec, packet_id, outcome, wire, out);
            }
            FromBroker::Pubrel(packet_id) => self.send_ack(AckKind::Pubrel, packet_id, wire),
            FromBroker::Pubcomp(packet_id) => self.send_ack(AckKind::Pubcomp, packet_id, wire),
            FromBroker::Suback { packet_id, granted } => self.on_suback(packet_id, &granted, wire),
            FromBroker::Unsuback { packet_id } => {
                if let Some(packet_id) = PacketId::new(packet_id) {
                    self.send_ack(AckKind::Unsuback, packet_id, wire);
                }
            }
            FromBroker::Closed(reason) => self.close(StreamClose::Broker(reason), out),
            // A QoS 0 PUBLISH has no answer. The others answer what this front-end never asks, or come only once.
            FromBroker::PublishRefused { .. }
            | FromBroker::Connack { .. }
            | FromBroker::Refused(_)
            | FromBroker::Drained
            | FromBroker::WillUpdated { .. }
            | FromBroker::MemoStored { .. }
            | FromBroker::Fate(_)
            | FromBroker::Restored(_) => {}
        }
    }

    fn on_suback(&mut self, packet_id: u16, granted: &[Option<QoS>], wire: &mut Vec<u8>) {
        let Some(packet_id) = PacketId::new(packet_id) else { return };
        // One entry for each filter of a SUBSCRIBE, which had at least one and at most a packet full.
        if encode_suback(packet_id, granted, wire).is_ok() {
            self.count(|counters| counters.sent(PacketType::Suback));
        }
    }

    /// Counts what a call has written.
    fn wrote(&mut self, before: usize, wire: &[u8]) {
        let bytes = wire.len().saturating_sub(before);
        if bytes > 0 {
            self.unflushed = self.unflushed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
            self.shared.counters.borrow_mut().bytes_sent += bytes as u64;
        }
    }

    /// One and a half keep-alives ([MQTT-3.1.2-24]).
    fn silence_max(&self) -> Option<Duration> {
        match self.keep_alive {
            0 => self.shared.bounds.get().idle_timeout,
            seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
        }
    }
}

impl StreamConnection for Connection {
    fn handle_bytes(&mut self, now: Now, input: &[u8], wire: &mut Vec<u8>, out: &mut StreamOut) -> usize {
        let before = wire.len();
        let mut rest = input;
        // Every turn takes at least two bytes off, or ends.
        while matches!(self.state, State::AwaitConnect | State::Connected) && !rest.is_empty() {
            match split(rest, &self.rules()) {
                Ok(Split::Frame(frame)) => {
                    rest = rest.get(frame.len..).unwrap_or_default();
                    self.on_frame(now, &frame, wire, out);
                }
                Ok(Split::Incomplete { bytes_wanted: _ }) => break,
                Err(error) => self.refuse_packet(error, out),
            }
        }
        let taken = input.len() - rest.len();
        if taken > 0 {
            // Any packet counts as a sign of life (§3.1.2.10).
            self.since = if self.state == State::AwaitConnect { self.since } else { now.instant };
            self.shared.counters.borrow_mut().bytes_received += taken as u64;
        }
        self.wrote(before, wire);
        // Nothing behind the end is read.
        if self.state == State::Closing { input.len() } else { taken }
    }

    fn handle_event(&mut self, now: Now, event: FromBroker, wire: &mut Vec<u8>, out: &mut StreamOut) {
        let before = wire.len();
        match self.state {
            State::Connected => self.on_connected_event(event, wire, out),
            State::Connecting => match event {
                FromBroker::Connack { session_present, memo: _, has_will: _ } => {
                    self.on_connack(now, session_present, wire);
                }
                FromBroker::Refused(reason) => self.on_refused(reason, wire, out),
                FromBroker::Closed(reason) => self.close(StreamClose::Broker(reason), out),
                // The broker says nothing else before its Connack.
                FromBroker::Publish(_)
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
                | FromBroker::Restored(_) => {}
            },
            // No link yet, or none any more.
            State::AwaitConnect | State::Closing => {}
        }
        self.wrote(before, wire);
    }

    fn handle_flushed(&mut self, _now: Now, flushed: usize, out: &mut StreamOut) {
        let flushed = u32::try_from(flushed).unwrap_or(u32::MAX);
        self.unflushed = self.unflushed.saturating_sub(flushed);
        // All is out: all that was delivered is. Else at most as much as went out, since a delivery's cost
        // (topic, payload and overhead) is never below its bytes on the wire.
        let bytes = if self.unflushed == 0 { self.owed } else { self.owed.min(flushed) };
        if bytes > 0 && self.state == State::Connected {
            self.owed -= bytes;
            out.requests.push(ToBroker::Credit { bytes });
        }
    }

    fn handle_closed(&mut self, _now: Now, out: &mut StreamOut) {
        match self.state {
            State::Connecting | State::Connected => out.requests.push(ToBroker::Disconnect(Ending::Abnormal)),
            State::AwaitConnect => {}
            State::Closing => return,
        }
        self.state = State::Closing;
        self.count(|counters| counters.closed(ClosedBy::Peer));
    }

    fn handle_timeout(&mut self, now: Now, _wire: &mut Vec<u8>, out: &mut StreamOut) {
        if self.next_timeout().is_none_or(|deadline| now.instant < deadline) {
            return;
        }
        match self.state {
            State::AwaitConnect => {
                self.notice("no CONNECT in time", out);
                self.close(StreamClose::ConnectTimeout, out);
            }
            State::Connecting => self.close(StreamClose::ConnectTimeout, out),
            State::Connected => self.close(StreamClose::KeepAlive, out), // [MQTT-3.1.2-24]
            State::Closing => {}
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::AwaitConnect | State::Connecting => {
                Some(self.since + self.shared.bounds.get().connect_timeout)
            }
            State::Connected => self.silence_max().map(|silence| self.since + silence),
            State::Closing => None,
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
