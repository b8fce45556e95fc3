//! [`Client`]: one connection to a broker, read and written by the calling thread.
//!
//! Every wait has an end and is cut into slices, between which Ctrl-C is noticed and PINGREQ is sent. One message of
//! ours is in flight at a time. The codec is the broker's own, in the client's direction.
use std::collections::{HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use broker_core::mqtt::frame::{FrameRules, Split, split};
use broker_core::mqtt::{
    AckKind, Connack, Connect, ConnectReturnCode, ConnectWill, Direction, Packet, PacketType, Publish,
    REMAINING_LENGTH_MAX, Version, encode_ack, encode_disconnect, encode_pingreq, encode_subscribe,
    encode_unsubscribe,
};
use broker_core::topic::TopicNameRef;
use broker_core::{PacketId, QoS};

use crate::exit::Exit;
use crate::tools::interrupt::{Interrupt, LOOK};
use crate::tools::{ToolError, net};

/// Messages that may wait while an acknowledgement is awaited. Reaction: the tool gives up.
const INBOX_MAX: usize = 100_000;
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// QoS 2 ids remembered between PUBLISH and PUBREL: as many as there are.
const RECEIVED_MAX: usize = 65_535;

/// What a connection begins with.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Local address to connect from.
    pub(crate) bind: Option<std::net::IpAddr>,
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// Seconds, 0 for none.
    pub(crate) keep_alive: u16,
    pub(crate) clean: bool,
    pub(crate) version: Version,
    pub(crate) will: Option<Will>,
    /// How long connecting, and each acknowledgement, may take.
    pub(crate) patience: Duration,
    /// Print every packet on standard error.
    pub(crate) debug: bool,
}

/// The will of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// A message from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) packet_id: Option<u16>,
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    at: String,
    input: Vec<u8>,
    rules: FrameRules,
    next_id: PacketId,
    keep_alive: Option<Duration>,
    last_sent: Instant,
    ping_since: Option<Instant>,
    patience: Duration,
    interrupt: Interrupt,
    debug: bool,
    inbox: VecDeque<Delivery>,
    acks: HashSet<(AckKind, u16)>,
    granted: Option<(u16, Vec<Option<QoS>>)>,
    /// QoS 2 messages that the broker has not released yet.
    received: HashSet<u16>,
}

impl Client {
    /// Connects and waits for CONNACK; also says whether the broker had a session.
    pub(crate) fn connect(login: &Login, interrupt: Interrupt) -> Result<(Client, bool), ToolError> {
        let at = format!("{}:{}", login.host, login.port);
        let stream = open(login, &at)?;
        let broken = |error: &std::io::Error| net::unreachable("the broker", &at, error);
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        stream.set_write_timeout(Some(login.patience)).map_err(|error| broken(&error))?;
        let packet_bytes_max = REMAINING_LENGTH_MAX as usize + 5;
        let mut client = Client {
            stream,
            at,
            input: Vec::new(),
            rules: FrameRules {
                direction: Direction::ToClient,
                version: login.version,
                connected: false,
                connect_bytes_max: packet_bytes_max,
                packet_bytes_max,
            },
            next_id: PacketId::new(1).expect("1 is not 0"),
            keep_alive: (login.keep_alive > 0).then(|| Duration::from_secs(login.keep_alive.into())),
            last_sent: Instant::now(),
            ping_since: None,
            patience: login.patience,
            interrupt,
            debug: login.debug,
            inbox: VecDeque::new(),
            acks: HashSet::new(),
            granted: None,
            received: HashSet::new(),
        };
        client.say_connect(login)?;
        let connack = client.await_connack()?;
        match refusal(connack.code) {
            None => Ok((client, connack.session_present)),
            Some(error) => Err(error),
        }
    }

    fn say_connect(&mut self, login: &Login) -> Result<(), ToolError> {
        let will = match &login.will {
            Some(will) => Some(ConnectWill {
                topic: topic(&will.topic)?,
                payload: &will.payload,
                qos: will.qos,
                retain: will.retain,
            }),
            None => None,
        };
        let connect = Connect {
            version: login.version,
            clean_session: login.clean,
            keep_alive: login.keep_alive,
            client_id: &login.client_id,
            will,
            username: login.username.as_deref(),
            password: login.password.as_deref(),
        };
        let mut out = Vec::new();
        connect.encode(&mut out).map_err(|error| ToolError::usage(format!("cannot connect: {error}"), ""))?;
        self.send(PacketType::Connect, &out)
    }

    fn await_connack(&mut self) -> Result<Connack, ToolError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let frame = match split(&self.input, &self.rules) {
                Ok(Split::Frame(frame)) => match frame.decode() {
                    Ok(Packet::Connack(connack)) => Some((connack, frame.len)),
                    Ok(_) | Err(_) => return Err(no_mqtt(&self.at)),
                },
                Ok(Split::Incomplete { .. }) => None,
                Err(_) => return Err(no_mqtt(&self.at)),
            };
            if let Some((connack, len)) = frame {
                self.input.drain(..len);
                self.rules.connected = true;
                self.note("<-", "CONNACK", &format!("{:?}", connack.code));
                return Ok(connack);
            }
            if !self.read(deadline)? && Instant::now() >= deadline {
                return Err(ToolError::new(
                    Exit::Timeout,
                    format!("{} took the connection but answered no CONNECT", self.at),
                    "is this an MQTT port? -p PORT names another",
                ));
            }
        }
    }

    /// Publishes, and waits for the acknowledgements that the QoS demands.
    pub(crate) fn publish(
        &mut self,
        name: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> Result<(), ToolError> {
        let packet_id = (qos != QoS::AtMostOnce).then(|| self.take_id());
        let publish = Publish { dup: false, qos, retain, topic: topic(name)?, packet_id, payload };
        let mut out = Vec::new();
        publish.encode(&mut out).map_err(|error| ToolError::usage(format!("cannot publish: {error}"), ""))?;
        self.send(PacketType::Publish, &out)?;
        match (qos, packet_id) {
            (QoS::AtLeastOnce, Some(id)) => self.await_ack(AckKind::Puback, id),
            (QoS::ExactlyOnce, Some(id)) => {
                self.await_ack(AckKind::Pubrec, id)?;
                let mut out = Vec::new();
                encode_ack(AckKind::Pubrel, id, &mut out);
                self.send(PacketType::Pubrel, &out)?;
                self.await_ack(AckKind::Pubcomp, id)
            }
            (QoS::AtMostOnce | QoS::AtLeastOnce | QoS::ExactlyOnce, _) => Ok(()),
        }
    }

    /// Subscribes; `None` in the answer is a refused filter.
    pub(crate) fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<Vec<Option<QoS>>, ToolError> {
        let id = self.take_id();
        let mut out = Vec::new();
        encode_subscribe(id, filters, &mut out)
            .map_err(|error| ToolError::usage(format!("cannot subscribe: {error}"), ""))?;
        self.send(PacketType::Subscribe, &out)?;
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some((_, granted)) = self.granted.take_if(|(answered, _)| *answered == id.get()) {
                return Ok(granted);
            }
            self.wait(deadline, "SUBACK")?;
        }
    }

    /// As [`Client::subscribe`]; a refusal is an error.
    pub(crate) fn subscribe_all(&mut self, filters: &[(&str, QoS)]) -> Result<(), ToolError> {
        let granted = self.subscribe(filters)?;
        match filters.iter().zip(granted).find(|(_, granted)| granted.is_none()) {
            None => Ok(()),
            Some(((filter, _), _)) => Err(ToolError::new(
                Exit::Denied,
                format!("the gateway refuses a subscription to {filter}"),
                "another user with -u and -P, or its access rules",
            )),
        }
    }

    /// Unsubscribes.
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Result<(), ToolError> {
        let id = self.take_id();
        let mut out = Vec::new();
        encode_unsubscribe(id, filters, &mut out)
            .map_err(|error| ToolError::usage(format!("cannot unsubscribe: {error}"), ""))?;
        self.send(PacketType::Unsubscribe, &out)?;
        self.await_ack(AckKind::Unsuback, id)
    }

    /// The next message, acknowledged; `None` when `deadline` comes first or the user wants to end.
    pub(crate) fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Delivery>, ToolError> {
        loop {
            if let Some(delivery) = self.inbox.pop_front() {
                return Ok(Some(delivery));
            }
            let now = Instant::now();
            if self.interrupt.is_set() || deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            self.keep_alive(now)?;
            self.read(deadline.unwrap_or(now + LOOK))?;
            self.take_packets()?;
        }
    }

    /// Ends the connection cleanly. What goes wrong now does not matter any more.
    pub(crate) fn disconnect(mut self) {
        self.say_goodbye();
    }

    /// As [`Client::disconnect`], for an owner that is dropped: nothing can be sent after it.
    pub(crate) fn say_goodbye(&mut self) {
        let mut out = Vec::new();
        encode_disconnect(&mut out);
        let _ = self.send(PacketType::Disconnect, &out);
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    fn await_ack(&mut self, kind: AckKind, id: PacketId) -> Result<(), ToolError> {
        let deadline = Instant::now() + self.patience;
        while !self.acks.remove(&(kind, id.get())) {
            self.wait(deadline, &kind.packet_type().to_string())?;
        }
        Ok(())
    }

    /// Reads on while `what` is awaited.
    fn wait(&mut self, deadline: Instant, what: &str) -> Result<(), ToolError> {
        let now = Instant::now();
        if self.interrupt.is_set() {
            return Err(ToolError::interrupted());
        }
        if now >= deadline {
            return Err(ToolError::new(
                Exit::Timeout,
                format!("no {what} from {} within {} s", self.at, self.patience.as_secs()),
                "again, or `turnstone status` to see how the gateway does",
            ));
        }
        self.keep_alive(now)?;
        self.read(deadline)?;
        self.take_packets()
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), ToolError> {
        if self.ping_since.is_some_and(|since| now.duration_since(since) > self.patience) {
            return Err(ToolError::new(Exit::Timeout, format!("{} no longer answers", self.at), ""));
        }
        let due = self.keep_alive.is_some_and(|interval| now.duration_since(self.last_sent) >= interval);
        if due && self.ping_since.is_none() {
            let mut out = Vec::new();
            encode_pingreq(&mut out);
            self.send(PacketType::Pingreq, &out)?;
            self.ping_since = Some(now);
        }
        Ok(())
    }

    /// Reads once, no longer than a slice and not beyond `deadline`. False: nothing came.
    fn read(&mut self, deadline: Instant) -> Result<bool, ToolError> {
        let slice = deadline.saturating_duration_since(Instant::now()).min(LOOK);
        let lost = |error: &std::io::Error| net::unreachable("the broker", &self.at, error);
        // A time-out of zero would mean none.
        self.stream
            .set_read_timeout(Some(slice.max(Duration::from_millis(1))))
            .map_err(|error| lost(&error))?;
        let mut chunk = vec![0; READ_BYTES];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ToolError::new(
                Exit::Failure,
                format!("{} has closed the connection", self.at),
                "its log, which says why",
            )),
            Ok(length) => {
                self.input.extend_from_slice(chunk.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(error) if net::is_pause(&error) => Ok(false),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(ToolError::new(
                Exit::Failure,
                format!("{} has cut the connection", self.at),
                "its log, which says why",
            )),
            Err(error) => Err(lost(&error)),
        }
    }

    /// Handles every whole packet that was read.
    fn take_packets(&mut self) -> Result<(), ToolError> {
        let input = std::mem::take(&mut self.input);
        let mut taken = 0;
        let mut answers = Vec::new();
        let result = loop {
            let rest = input.get(taken..).unwrap_or_default();
            let frame = match split(rest, &self.rules) {
                Ok(Split::Frame(frame)) => frame,
                Ok(Split::Incomplete { .. }) => break Ok(()),
                Err(error) => break Err(error),
            };
            taken += frame.len;
            match frame.decode() {
                Ok(packet) => self.on_packet(packet, &mut answers),
                Err(error) => break Err(error),
            }
        };
        self.input = input.get(taken..).unwrap_or_default().to_vec();
        if let Err(error) = result {
            return Err(ToolError::new(
                Exit::Failure,
                format!("{} sent what is no MQTT: {error}", self.at),
                "-V mqttv31, or the right port with -p",
            ));
        }
        for (kind, answer) in answers {
            self.send(kind, &answer)?;
        }
        if self.inbox.len() > INBOX_MAX {
            return Err(ToolError::new(
                Exit::Failure,
                format!("more than {INBOX_MAX} messages came while an acknowledgement was awaited"),
                "a narrower filter with -t",
            ));
        }
        Ok(())
    }

    fn on_packet(&mut self, packet: Packet<'_>, answers: &mut Vec<(PacketType, Vec<u8>)>) {
        let mut answer = |kind: AckKind, id: PacketId| {
            let mut out = Vec::new();
            encode_ack(kind, id, &mut out);
            answers.push((kind.packet_type(), out));
        };
        match packet {
            Packet::Publish(publish) => {
                self.note("<-", "PUBLISH", publish.topic.as_str());
                let fresh = match (publish.qos, publish.packet_id) {
                    (QoS::AtLeastOnce, Some(id)) => {
                        answer(AckKind::Puback, id);
                        true
                    }
                    (QoS::ExactlyOnce, Some(id)) => {
                        answer(AckKind::Pubrec, id);
                        self.received.len() < RECEIVED_MAX && self.received.insert(id.get())
                    }
                    (QoS::AtMostOnce | QoS::AtLeastOnce | QoS::ExactlyOnce, _) => true,
                };
                if fresh {
                    self.inbox.push_back(Delivery {
                        topic: publish.topic.as_str().to_owned(),
                        payload: publish.payload.to_vec(),
                        qos: publish.qos,
                        retain: publish.retain,
                        packet_id: publish.packet_id.map(PacketId::get),
                    });
                }
            }
            Packet::Ack(AckKind::Pubrel, id) => {
                self.received.remove(&id.get());
                answer(AckKind::Pubcomp, id);
            }
            Packet::Ack(kind, id) => {
                self.note("<-", &kind.packet_type().to_string(), &id.get().to_string());
                // One request is open at a time, so an old answer has no use.
                self.acks.clear();
                self.acks.insert((kind, id.get()));
            }
            Packet::Suback(suback) => {
                self.granted = Some((suback.packet_id.get(), suback.granted().collect()));
            }
            Packet::Pingresp => {
                self.note("<-", "PINGRESP", "");
                self.ping_since = None;
            }
            // The frame rules let none of these in.
            Packet::Connect(_)
            | Packet::Connack(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::Pingreq
            | Packet::Disconnect => {}
        }
    }

    fn send(&mut self, kind: PacketType, bytes: &[u8]) -> Result<(), ToolError> {
        self.note("->", &kind.to_string(), "");
        self.last_sent = Instant::now();
        self.stream.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ToolError::new(
                Exit::Failure,
                format!("{} has closed the connection", self.at),
                "its log, which says why",
            ),
            _ => net::unreachable("the broker", &self.at, &error),
        })
    }

    fn take_id(&mut self) -> PacketId {
        let id = self.next_id;
        self.next_id = id.next();
        id
    }

    fn note(&self, direction: &str, packet: &str, what: &str) {
        if self.debug {
            let line = format!("{direction} {packet} {}", crate::tools::terminal::escape(what));
            eprintln!("{}", line.trim_end());
        }
    }
}

fn open(login: &Login, at: &str) -> Result<TcpStream, ToolError> {
    let mut last = None;
    for address in net::resolve(&login.host, login.port)? {
        let connected = match login.bind {
            None => TcpStream::connect_timeout(&address, login.patience),
            Some(local) => from(local, address, login.patience),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            // The first address is the one that people mean.
            Err(error) => last = last.or(Some(error)),
        }
    }
    let error = last.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into());
    Err(net::unreachable("the broker", at, &error))
}

fn from(local: std::net::IpAddr, to: std::net::SocketAddr, patience: Duration) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)?;
    socket.bind(&std::net::SocketAddr::new(local, 0).into())?;
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket.into())
}

/// A topic name, or why it is none.
pub(crate) fn topic(name: &str) -> Result<TopicNameRef<'_>, ToolError> {
    TopicNameRef::new(name).map_err(|error| {
        ToolError::usage(format!("{name:?} is no topic to publish to: {error}"), "a topic without + and #")
    })
}

fn no_mqtt(at: &str) -> ToolError {
    ToolError::new(Exit::Failure, format!("{at} does not speak MQTT"), "another port with -p; MQTT's is 1883")
}

fn refusal(code: ConnectReturnCode) -> Option<ToolError> {
    let denied = |text: &str, advice: &str| Some(ToolError::new(Exit::Denied, text, advice));
    match code {
        ConnectReturnCode::Accepted => None,
        ConnectReturnCode::BadUsernameOrPassword => {
            denied("refused: wrong user name or password", "-u NAME -P PASSWORD")
        }
        ConnectReturnCode::NotAuthorized => {
            denied("refused: not authorized", "-u NAME -P PASSWORD; the gateway's log says which rule it was")
        }
        ConnectReturnCode::IdentifierRejected => {
            denied("refused: this client id is not allowed", "another one with -i")
        }
        ConnectReturnCode::UnacceptableProtocolVersion => Some(ToolError::new(
            Exit::Failure,
            "refused: the broker does not speak this version",
            "-V mqttv31",
        )),
        ConnectReturnCode::ServerUnavailable => {
            Some(ToolError::new(Exit::Failure, "refused: the broker is not available", "again later"))
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
