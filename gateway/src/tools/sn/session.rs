//! [`Session`]: one client of MQTT-SN 1.2, without sockets or clocks. The simulator runs thousands, a tool one.
//!
//! One request of ours is open at a time (spec §6.13 and the gateways' expectation); others wait in a queue.
//!
//! ```text
//!           CONNECT … CONNACK              DISCONNECT(d) … DISCONNECT
//!   Off ──────────────────────► Active ─────────────────────────────► Asleep
//!    ▲   DISCONNECT … DISCONNECT  │ ▲             CONNECT … CONNACK       │ │ PINGREQ(id) … PINGRESP
//!    └────────────────────────────┘ └─────────────────────────────────────┘ ┘
//! ```
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use sn_proto::wire::{
    Connect, Datagram, Envelope, Message, PROTOCOL_ID, PubAck, Publish, Qos, RegAck, Register, ReturnCode,
    Subscribe, TopicIdType, TopicRef, WillTopic,
};

/// Requests that wait. Reaction: the request is refused.
const QUEUE_MAX: usize = 256;

/// Who the client is and how patient.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) client_id: String,
    /// Seconds, 0 for none.
    pub(crate) keep_alive: u16,
    pub(crate) clean: bool,
    pub(crate) will: Option<Will>,
    /// Tretry.
    pub(crate) retry: Duration,
    /// Nretry: how often a message is sent again.
    pub(crate) retries: u8,
    /// Behind a forwarder: our node id.
    pub(crate) node_id: Option<Vec<u8>>,
}

/// The will.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
}

/// What is published to or subscribed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Registered before it is published to.
    Name(String),
    Predefined(u16),
    /// Two octets.
    Short([u8; 2]),
}

/// A request to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Connect,
    Publish {
        topic: Topic,
        payload: Vec<u8>,
        qos: Qos,
        retain: bool,
    },
    Subscribe {
        topic: Topic,
        qos: Qos,
    },
    Ping,
    /// DISCONNECT with the seconds after which we come back at the latest.
    Sleep(u16),
    /// PINGREQ with our ClientId: the gateway sends what it holds, then PINGRESP.
    Wake,
    Disconnect,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The request was answered, this long after it was sent first.
    Done(Ask, Duration),
    Failed(Ask, Failure),
    /// A message for us.
    Delivery(Delivery),
    /// The gateway refused something that needs no answer (a PUBLISH of QoS 0).
    Rejected(ReturnCode),
    /// The gateway ended the session.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused(ReturnCode),
    /// No answer to the message or its copies.
    NoAnswer,
    /// The gateway ended the session meanwhile.
    Ended,
    /// It does not fit a message, or too many wait.
    Impossible,
}

/// A message from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) msg_id: u16,
}

/// What the session wants done; the caller owns and empties it.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Off,
    Active,
    Asleep,
}

/// Where an open request stands: which answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ConnAck,
    RegAck,
    PubAck,
    PubRec,
    PubComp,
    SubAck,
    PingResp,
    Disconnect,
}

#[derive(Debug)]
struct Flight {
    ask: Ask,
    stage: Stage,
    msg_id: u16,
    /// The message and its copy (with DUP where the message has one).
    copy: Vec<u8>,
    sent: u8,
    deadline: Instant,
    started: Instant,
    /// The topic was registered anew after "invalid topic id".
    registered_anew: bool,
    /// A keep-alive of the session's own: nobody asked.
    own: bool,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    pub(crate) state: State,
    queue: VecDeque<Ask>,
    flight: Option<Flight>,
    ids: HashMap<u16, String>,
    names: HashMap<String, u16>,
    received: HashSet<u16>,
    next_msg_id: u16,
    last_sent: Option<Instant>,
    pub(crate) retransmissions: u64,
}

impl Session {
    pub(crate) fn new(settings: Settings) -> Session {
        Session {
            settings,
            state: State::Off,
            queue: VecDeque::new(),
            flight: None,
            ids: HashMap::new(),
            names: HashMap::new(),
            received: HashSet::new(),
            next_msg_id: 0,
            last_sent: None,
            retransmissions: 0,
        }
    }

    /// Whether no request is open or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.flight.is_none() && self.queue.is_empty()
    }

    /// Sends a request, or queues it behind the open one.
    pub(crate) fn ask(&mut self, now: Instant, ask: Ask, out: &mut Out) {
        if self.queue.len() >= QUEUE_MAX {
            out.events.push(Event::Failed(ask, Failure::Impossible));
            return;
        }
        self.queue.push_back(ask);
        self.start_next(now, out);
    }

    fn start_next(&mut self, now: Instant, out: &mut Out) {
        while self.flight.is_none() {
            let Some(ask) = self.queue.pop_front() else { return };
            self.start(now, ask, false, out);
        }
    }

    fn start(&mut self, now: Instant, ask: Ask, own: bool, out: &mut Out) {
        let flight = Flight {
            ask,
            stage: Stage::ConnAck,
            msg_id: 0,
            copy: Vec::new(),
            sent: 0,
            deadline: now,
            started: now,
            registered_anew: false,
            own,
        };
        match flight.ask.clone() {
            Ask::Connect => {
                let settings = &self.settings;
                let client_id = settings.client_id.clone();
                let message = Message::Connect(Connect {
                    will: settings.will.is_some(),
                    clean_session: settings.clean,
                    protocol_id: PROTOCOL_ID,
                    duration: settings.keep_alive,
                    client_id: client_id.as_bytes(),
                });
                self.fly(now, flight, Stage::ConnAck, 0, message, out);
            }
            Ask::Publish { topic, payload, qos, retain } => {
                self.publish(now, flight, &topic, &payload, qos, retain, out);
            }
            Ask::Subscribe { topic, qos } => {
                let msg_id = self.take_msg_id();
                let topic = match &topic {
                    Topic::Name(name) => TopicRef::Name(name.as_bytes()),
                    Topic::Predefined(id) => TopicRef::Predefined(*id),
                    Topic::Short(pair) => TopicRef::Short(*pair),
                };
                let message = Message::Subscribe(Subscribe { dup: false, qos, msg_id, topic });
                self.fly(now, flight, Stage::SubAck, msg_id, message, out);
            }
            Ask::Ping => self.fly(now, flight, Stage::PingResp, 0, Message::PingReq(&[]), out),
            Ask::Sleep(seconds) => {
                self.fly(now, flight, Stage::Disconnect, 0, Message::Disconnect(Some(seconds)), out);
            }
            Ask::Wake => {
                let client_id = self.settings.client_id.clone();
                self.fly(now, flight, Stage::PingResp, 0, Message::PingReq(client_id.as_bytes()), out);
            }
            Ask::Disconnect => self.fly(now, flight, Stage::Disconnect, 0, Message::Disconnect(None), out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn publish(
        &mut self,
        now: Instant,
        flight: Flight,
        topic: &Topic,
        payload: &[u8],
        qos: Qos,
        retain: bool,
        out: &mut Out,
    ) {
        let mut data = Vec::new();
        let (topic_id_type, topic_id) = match topic {
            Topic::Predefined(id) => (TopicIdType::Predefined, *id),
            Topic::Short(pair) => (TopicIdType::Short, u16::from_be_bytes(*pair)),
            // An extension that gateways know: without a session, the name stands before the payload.
            Topic::Name(name) if qos == Qos::MinusOne => {
                data.extend_from_slice(name.as_bytes());
                (TopicIdType::Normal, u16::try_from(name.len()).unwrap_or(u16::MAX))
            }
            Topic::Name(name) => match self.names.get(name) {
                Some(id) => (TopicIdType::Normal, *id),
                None => {
                    let msg_id = self.take_msg_id();
                    let topic_name = name.as_bytes();
                    let register = Message::Register(Register { topic_id: 0, msg_id, topic_name });
                    return self.fly(now, flight, Stage::RegAck, msg_id, register, out);
                }
            },
        };
        data.extend_from_slice(payload);
        let (stage, msg_id) = match qos {
            Qos::MinusOne | Qos::AtMostOnce => (None, 0),
            Qos::AtLeastOnce => (Some(Stage::PubAck), self.take_msg_id()),
            Qos::ExactlyOnce => (Some(Stage::PubRec), self.take_msg_id()),
        };
        let publish = Publish { dup: false, qos, retain, topic_id_type, topic_id, msg_id, data: &data };
        let message = Message::Publish(publish);
        match stage {
            Some(stage) => self.fly(now, flight, stage, msg_id, message, out),
            None if self.send(now, message, out) => {
                out.events.push(Event::Done(flight.ask, now.duration_since(flight.started)));
            }
            None => out.events.push(Event::Failed(flight.ask, Failure::Impossible)),
        }
    }

    /// Sends the message of a request and waits for its answer.
    fn fly(
        &mut self,
        now: Instant,
        mut flight: Flight,
        stage: Stage,
        msg_id: u16,
        message: Message<'_>,
        out: &mut Out,
    ) {
        let copy = match message {
            Message::Publish(publish) => Message::Publish(Publish { dup: true, ..publish }),
            Message::Subscribe(subscribe) => Message::Subscribe(Subscribe { dup: true, ..subscribe }),
            other => other,
        };
        flight.copy.clear();
        if !self.encode(copy, &mut flight.copy) || !self.send(now, message, out) {
            out.events.push(Event::Failed(flight.ask, Failure::Impossible));
            return;
        }
        flight.stage = stage;
        flight.msg_id = msg_id;
        flight.sent = 1;
        flight.deadline = now + self.settings.retry;
        self.flight = Some(flight);
    }

    fn encode(&self, message: Message<'_>, bytes: &mut Vec<u8>) -> bool {
        let envelope = self.settings.node_id.as_ref().map(|node_id| Envelope { radius: 0, node_id });
        Datagram { envelope, message }.encode(bytes).is_ok()
    }

    fn send(&mut self, now: Instant, message: Message<'_>, out: &mut Out) -> bool {
        let mut bytes = Vec::new();
        if !self.encode(message, &mut bytes) {
            return false;
        }
        self.last_sent = Some(now);
        out.datagrams.push(bytes);
        true
    }

    /// A datagram has come from the gateway. Garbage, and what nobody waits for, is passed over.
    pub(crate) fn handle_datagram(&mut self, now: Instant, bytes: &[u8], out: &mut Out) {
        let Ok(Datagram { envelope, message }) = Datagram::decode(bytes) else { return };
        if envelope.map(|envelope| envelope.node_id) != self.settings.node_id.as_deref() {
            return;
        }
        match message {
            Message::ConnAck(code) => {
                if self.awaits(Stage::ConnAck, 0) {
                    if code == ReturnCode::Accepted {
                        self.state = State::Active;
                        if self.settings.clean {
                            self.received.clear();
                        }
                    }
                    self.answered(now, code, out);
                }
            }
            Message::WillTopicReq => {
                if let Some(will) = self.settings.will.clone().filter(|_| self.awaits(Stage::ConnAck, 0)) {
                    let topic =
                        WillTopic { qos: will.qos, retain: will.retain, topic: will.topic.as_bytes() };
                    self.go_on(now, Message::WillTopic(Some(topic)), out);
                }
            }
            Message::WillMsgReq => {
                if let Some(will) = self.settings.will.clone().filter(|_| self.awaits(Stage::ConnAck, 0)) {
                    self.go_on(now, Message::WillMsg(&will.payload), out);
                }
            }
            Message::RegAck(ack) => self.on_regack(now, ack, out),
            Message::PubAck(ack) => self.on_puback(now, ack, out),
            Message::PubRec(msg_id) => {
                if self.awaits(Stage::PubRec, msg_id) || self.awaits(Stage::PubComp, msg_id) {
                    self.go_on(now, Message::PubRel(msg_id), out);
                    if let Some(flight) = &mut self.flight {
                        flight.stage = Stage::PubComp;
                    }
                }
            }
            Message::PubComp(msg_id) => {
                if self.awaits(Stage::PubComp, msg_id) {
                    self.answered(now, ReturnCode::Accepted, out);
                }
            }
            Message::SubAck(ack) => {
                if self.awaits(Stage::SubAck, ack.msg_id) {
                    if let Some(Flight { ask: Ask::Subscribe { topic: Topic::Name(name), .. }, .. }) =
                        &self.flight
                        && ack.return_code == ReturnCode::Accepted
                        && ack.topic_id != 0
                    {
                        self.names.insert(name.clone(), ack.topic_id);
                        self.ids.insert(ack.topic_id, name.clone());
                    }
                    self.answered(now, ack.return_code, out);
                }
            }
            Message::PingResp => {
                if self.awaits(Stage::PingResp, 0) {
                    self.answered(now, ReturnCode::Accepted, out);
                }
            }
            Message::Disconnect(_) => self.on_disconnect(now, out),
            Message::Register(register) => {
                let return_code = match std::str::from_utf8(register.topic_name) {
                    Ok(name) if !name.is_empty() => {
                        self.ids.insert(register.topic_id, name.to_owned());
                        self.names.insert(name.to_owned(), register.topic_id);
                        ReturnCode::Accepted
                    }
                    Ok(_) | Err(_) => ReturnCode::NotSupported,
                };
                let ack = RegAck { topic_id: register.topic_id, msg_id: register.msg_id, return_code };
                self.send(now, Message::RegAck(ack), out);
            }
            Message::Publish(publish) => self.on_publish(now, &publish, out),
            Message::PubRel(msg_id) => {
                self.received.remove(&msg_id);
                self.send(now, Message::PubComp(msg_id), out);
            }
            Message::PingReq(_) => {
                self.send(now, Message::PingResp, out);
            }
            // Discovery, what only gateways get, and what this client never asks for.
            Message::Advertise(_)
            | Message::SearchGw(_)
            | Message::GwInfo(_)
            | Message::Connect(_)
            | Message::WillTopic(_)
            | Message::WillMsg(_)
            | Message::Subscribe(_)
            | Message::Unsubscribe(_)
            | Message::UnsubAck(_)
            | Message::WillTopicUpd(_)
            | Message::WillTopicResp(_)
            | Message::WillMsgUpd(_)
            | Message::WillMsgResp(_) => {}
        }
        self.start_next(now, out);
    }

    fn awaits(&self, stage: Stage, msg_id: u16) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.stage == stage && flight.msg_id == msg_id)
    }

    /// The next message of the open request; its retries begin anew.
    fn go_on(&mut self, now: Instant, message: Message<'_>, out: &mut Out) {
        let Some(flight) = self.flight.take() else { return };
        let (stage, msg_id) = (flight.stage, flight.msg_id);
        self.fly(now, flight, stage, msg_id, message, out);
    }

    fn answered(&mut self, now: Instant, code: ReturnCode, out: &mut Out) {
        let Some(flight) = self.flight.take() else { return };
        if flight.own {
            return;
        }
        out.events.push(match code {
            ReturnCode::Accepted => Event::Done(flight.ask, now.duration_since(flight.started)),
            ReturnCode::Congestion
            | ReturnCode::InvalidTopicId
            | ReturnCode::NotSupported
            | ReturnCode::Reserved(_) => Event::Failed(flight.ask, Failure::Refused(code)),
        });
    }

    fn on_regack(&mut self, now: Instant, ack: RegAck, out: &mut Out) {
        if !self.awaits(Stage::RegAck, ack.msg_id) {
            return;
        }
        if ack.return_code != ReturnCode::Accepted {
            return self.answered(now, ack.return_code, out);
        }
        let Some(flight) = self.flight.take() else { return };
        if let Ask::Publish { topic, payload, qos, retain } = flight.ask.clone() {
            if let Topic::Name(name) = &topic {
                self.names.insert(name.clone(), ack.topic_id);
                self.ids.insert(ack.topic_id, name.clone());
            }
            self.publish(now, flight, &topic, &payload, qos, retain, out);
        }
    }

    fn on_puback(&mut self, now: Instant, ack: PubAck, out: &mut Out) {
        let answers = self.awaits(Stage::PubAck, ack.msg_id) || self.awaits(Stage::PubRec, ack.msg_id);
        if !answers {
            if ack.return_code != ReturnCode::Accepted {
                out.events.push(Event::Rejected(ack.return_code));
            }
            return;
        }
        let Some(mut flight) = self.flight.take() else { return };
        match (flight.ask.clone(), ack.return_code, flight.registered_anew) {
            (
                Ask::Publish { topic: topic @ Topic::Name(_), payload, qos, retain },
                ReturnCode::InvalidTopicId,
                false,
            ) => {
                // The gateway has forgotten the id: register it anew, once (spec §6.10).
                if let Topic::Name(name) = &topic {
                    self.names.remove(name);
                }
                flight.registered_anew = true;
                self.publish(now, flight, &topic, &payload, qos, retain, out);
            }
            (_, code, _) => {
                self.flight = Some(flight);
                self.answered(now, code, out);
            }
        }
    }

    fn on_disconnect(&mut self, now: Instant, out: &mut Out) {
        match self.flight.as_ref().map(|flight| (flight.stage, flight.ask.clone())) {
            Some((Stage::Disconnect, ask)) => {
                self.state = if matches!(ask, Ask::Sleep(_)) { State::Asleep } else { State::Off };
                self.answered(now, ReturnCode::Accepted, out);
            }
            // A late copy of an answer that we had.
            None if self.state != State::Active => {}
            Some((Stage::ConnAck, _)) if self.state == State::Off => {}
            Some(_) | None => {
                if let Some(flight) = self.flight.take().filter(|flight| !flight.own) {
                    out.events.push(Event::Failed(flight.ask, Failure::Ended));
                }
                self.state = State::Off;
                out.events.push(Event::Ended);
            }
        }
    }

    fn on_publish(&mut self, now: Instant, publish: &Publish<'_>, out: &mut Out) {
        let topic = match publish.topic_id_type {
            TopicIdType::Normal => self.ids.get(&publish.topic_id).cloned(),
            TopicIdType::Predefined => Some(format!("<predefined {}>", publish.topic_id)),
            TopicIdType::Short => Some(String::from_utf8_lossy(&publish.topic_id.to_be_bytes()).into_owned()),
            TopicIdType::Reserved => None,
        };
        let puback = |return_code| {
            Message::PubAck(PubAck { topic_id: publish.topic_id, msg_id: publish.msg_id, return_code })
        };
        let Some(topic) = topic else {
            self.send(now, puback(ReturnCode::InvalidTopicId), out);
            return;
        };
        let fresh = match publish.qos {
            Qos::MinusOne | Qos::AtMostOnce => true,
            Qos::AtLeastOnce => {
                self.send(now, puback(ReturnCode::Accepted), out);
                true
            }
            Qos::ExactlyOnce => {
                self.send(now, Message::PubRec(publish.msg_id), out);
                self.received.insert(publish.msg_id)
            }
        };
        if fresh {
            out.events.push(Event::Delivery(Delivery {
                topic,
                payload: publish.data.to_vec(),
                qos: publish.qos,
                retain: publish.retain,
                msg_id: publish.msg_id,
            }));
        }
    }

    /// Sends copies and keep-alives that are due, and gives up what was sent often enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Out) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.deadline <= now) {
            if flight.sent > self.settings.retries {
                let lost = self.flight.take();
                self.state = State::Off;
                match lost {
                    Some(flight) if !flight.own => {
                        out.events.push(Event::Failed(flight.ask, Failure::NoAnswer));
                    }
                    Some(_) | None => out.events.push(Event::Ended),
                }
                self.start_next(now, out);
            } else {
                flight.sent += 1;
                flight.deadline = now + self.settings.retry;
                self.retransmissions += 1;
                out.datagrams.push(flight.copy.clone());
                self.last_sent = Some(now);
            }
        }
        if self.flight.is_none() && self.keep_alive_due().is_some_and(|due| due <= now) {
            self.start(now, Ask::Ping, true, out);
        }
    }

    fn keep_alive_due(&self) -> Option<Instant> {
        if self.state != State::Active || self.settings.keep_alive == 0 {
            return None;
        }
        Some(self.last_sent? + Duration::from_secs(self.settings.keep_alive.into()))
    }

    /// When to call [`Session::handle_timeout`] next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match &self.flight {
            Some(flight) => Some(flight.deadline),
            None => self.keep_alive_due(),
        }
    }

    fn take_msg_id(&mut self) -> u16 {
        self.next_msg_id = if self.next_msg_id == u16::MAX { 1 } else { self.next_msg_id + 1 };
        self.next_msg_id
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
