//! A device behind a bad network: 20 % loss each way, 5 % duplicates, 10 % reordered (up to three seconds late).
//!
//! The device is of the kind that MQTT-SN §6.13 describes: it repeats what is not answered, connects again with
//! Clean=0 when that does not help, and knows a QoS 2 message by its MsgId until PUBREL and a little longer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use broker_core::Instant;

use super::world::*;
use crate::rng::Rng;
use crate::wire::{
    Connect, Message, PROTOCOL_ID, PubAck, Publish, Qos, RegAck, ReturnCode, Subscribe, TopicIdType, TopicRef,
};

pub(super) const RETRY: Duration = Duration::from_secs(10);
pub(super) const TRIES: u8 = 6;
const UP: u16 = u16::from_be_bytes(*b"up");
const MESSAGES: u32 = 30;

/// Time of arrival, a number to tell equal times apart, where to, octets.
type Arrival<To> = (u64, u64, To, Vec<u8>);

pub(super) struct Net<To> {
    rng: Rng,
    pub(super) lossy: bool,
    queue: BinaryHeap<Reverse<Arrival<To>>>,
    count: u64,
}

impl<To: Ord + Clone> Net<To> {
    pub(super) fn new(seed: u64) -> Self {
        Net { rng: Rng::new(seed), lossy: true, queue: BinaryHeap::new(), count: 0 }
    }

    fn percent(&mut self) -> u64 {
        self.rng.draw() % 100
    }

    pub(super) fn push(&mut self, now: Instant, to: To, bytes: Vec<u8>) {
        let copies = if self.lossy && self.percent() < 5 { 2 } else { 1 };
        for _ in 0..copies {
            if self.lossy && self.percent() < 20 {
                continue;
            }
            let late = if self.lossy && self.percent() < 10 { self.rng.draw() % 3000 } else { 0 };
            let delay = 10 + self.rng.draw() % 50 + late;
            self.count += 1;
            self.queue.push(Reverse((now.as_millis() + delay, self.count, to.clone(), bytes.clone())));
        }
    }

    /// When the next datagram arrives.
    pub(super) fn next(&self) -> Instant {
        self.queue.peek().map_or(Instant::FAR_FUTURE, |Reverse((at, ..))| Instant::from_millis(*at))
    }

    /// The next datagram, and where it goes.
    pub(super) fn pop(&mut self) -> (To, Vec<u8>) {
        let Reverse((_, _, to, bytes)) = self.queue.pop().expect("arrives");
        (to, bytes)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Waiting {
    ConnAck,
    SubAck,
    PubAck,
    PubRec,
    PubComp,
}

struct Device {
    waiting: Option<(Waiting, u8, Instant)>,
    connected: bool,
    subscribed: bool,
    to_send: VecDeque<(String, Qos)>,
    /// The uplink message that is under way, and its MsgId.
    sending: Option<(String, Qos, u16)>,
    released: bool,
    next_msg_id: u16,
    heard: Instant,
    topics: BTreeMap<u16, String>,
    open: Vec<u16>,
    finished: VecDeque<(u16, String, Instant)>,
    got: Vec<(String, Qos)>,
    connects: u32,
}

impl Device {
    fn say(out: &mut Vec<Vec<u8>>, message: Message<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("fits");
        out.push(bytes);
    }

    fn connect(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        self.connected = false;
        self.connects += 1;
        self.ask(Waiting::ConnAck, now, out);
    }

    fn ask(&mut self, waiting: Waiting, now: Instant, out: &mut Vec<Vec<u8>>) {
        let tries = match self.waiting {
            Some((before, tries, _)) if before == waiting => tries + 1,
            _ => 1,
        };
        self.waiting = Some((waiting, tries, now + RETRY));
        let dup = tries > 1;
        match waiting {
            Waiting::ConnAck => Self::say(
                out,
                Message::Connect(Connect {
                    will: false,
                    clean_session: false,
                    protocol_id: PROTOCOL_ID,
                    duration: 60,
                    client_id: b"dev",
                }),
            ),
            Waiting::SubAck => Self::say(
                out,
                Message::Subscribe(Subscribe {
                    dup,
                    qos: Qos::ExactlyOnce,
                    msg_id: 7,
                    topic: TopicRef::Name(b"down/+"),
                }),
            ),
            Waiting::PubAck | Waiting::PubRec => {
                let (payload, qos, msg_id) = self.sending.as_ref().expect("sending");
                Self::say(
                    out,
                    Message::Publish(Publish {
                        dup,
                        qos: *qos,
                        retain: false,
                        topic_id_type: TopicIdType::Short,
                        topic_id: UP,
                        msg_id: *msg_id,
                        data: payload.as_bytes(),
                    }),
                );
            }
            Waiting::PubComp => {
                let (_, _, msg_id) = self.sending.as_ref().expect("sending");
                Self::say(out, Message::PubRel(*msg_id));
            }
        }
    }

    /// What to do next when nothing is awaited.
    fn go_on(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if self.waiting.is_some() {
            return;
        }
        if !self.connected {
            return self.connect(now, out);
        }
        if !self.subscribed {
            return self.ask(Waiting::SubAck, now, out);
        }
        if self.sending.is_none()
            && let Some((payload, qos)) = self.to_send.pop_front()
        {
            self.next_msg_id += 1;
            self.sending = Some((payload, qos, self.next_msg_id));
            self.released = false;
        }
        match &self.sending {
            Some((_, Qos::ExactlyOnce, _)) if self.released => self.ask(Waiting::PubComp, now, out),
            Some((_, Qos::ExactlyOnce, _)) => self.ask(Waiting::PubRec, now, out),
            Some(_) => self.ask(Waiting::PubAck, now, out),
            None => {}
        }
    }

    fn due(&self) -> Instant {
        let ping = if self.connected { self.heard + Duration::from_secs(40) } else { Instant::FAR_FUTURE };
        self.waiting.map_or(Instant::FAR_FUTURE, |(_, _, due)| due).min(ping)
    }

    fn timeout(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        match self.waiting {
            Some((waiting, tries, due)) if due <= now => {
                if tries >= TRIES {
                    self.waiting = None;
                    self.connect(now, out);
                } else {
                    self.ask(waiting, now, out);
                }
            }
            _ => {}
        }
        if self.connected && self.heard + Duration::from_secs(40) <= now {
            self.heard = now;
            Self::say(out, Message::PingReq(b""));
        }
    }

    fn done(&mut self, waiting: Waiting) -> bool {
        let awaited = self.waiting.is_some_and(|(awaited, ..)| awaited == waiting);
        if awaited {
            self.waiting = None;
        }
        awaited
    }

    fn hear(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<Vec<u8>>) {
        let is_mine = |device: &Device, msg_id: u16| {
            device.sending.as_ref().is_some_and(|(_, _, mine)| *mine == msg_id)
        };
        match Message::decode(bytes).expect("the gateway speaks well") {
            Message::ConnAck(ReturnCode::Accepted) => {
                self.done(Waiting::ConnAck);
                self.connected = true;
                self.heard = now;
            }
            Message::SubAck(_) => self.subscribed |= self.done(Waiting::SubAck),
            Message::PubAck(ack) if is_mine(self, ack.msg_id) && self.done(Waiting::PubAck) => {
                assert_eq!(ack.return_code, ReturnCode::Accepted);
                self.sending = None;
            }
            Message::PubRec(msg_id) if is_mine(self, msg_id) && self.done(Waiting::PubRec) => {
                self.released = true;
            }
            Message::PubComp(msg_id) if is_mine(self, msg_id) && self.done(Waiting::PubComp) => {
                self.sending = None;
            }
            Message::Register(it) => {
                let name = String::from_utf8(it.topic_name.to_vec()).expect("UTF-8");
                self.topics.insert(it.topic_id, name);
                let ack =
                    RegAck { topic_id: it.topic_id, msg_id: it.msg_id, return_code: ReturnCode::Accepted };
                Self::say(out, Message::RegAck(ack));
            }
            Message::Publish(it) => self.hear_publish(now, &it, out),
            Message::PubRel(msg_id) => {
                self.open.retain(|open| *open != msg_id);
                for finished in self.finished.iter_mut().filter(|(id, ..)| *id == msg_id) {
                    finished.2 = now + RETRY; // a copy of its PUBLISH may still be under way
                }
                Self::say(out, Message::PubComp(msg_id));
            }
            Message::Disconnect(_) => {
                self.waiting = None;
                self.connected = false;
            }
            _ => {}
        }
        self.go_on(now, out);
    }

    fn hear_publish(&mut self, now: Instant, it: &Publish<'_>, out: &mut Vec<Vec<u8>>) {
        assert!(self.topics.contains_key(&it.topic_id), "REGISTER comes before PUBLISH");
        let payload = String::from_utf8(it.data.to_vec()).expect("UTF-8");
        match it.qos {
            Qos::AtLeastOnce => {
                let ack =
                    PubAck { topic_id: it.topic_id, msg_id: it.msg_id, return_code: ReturnCode::Accepted };
                Self::say(out, Message::PubAck(ack));
                self.got.push((payload, it.qos));
            }
            Qos::ExactlyOnce => {
                let open = &self.open;
                self.finished.retain(|(id, _, until)| *until > now || open.contains(id));
                let late = self.finished.iter().any(|(id, held, _)| *id == it.msg_id && *held == payload);
                if !late && !self.open.contains(&it.msg_id) {
                    self.open.push(it.msg_id);
                    self.finished.push_back((it.msg_id, payload.clone(), now + RETRY));
                    self.got.push((payload, it.qos));
                }
                Self::say(out, Message::PubRec(it.msg_id));
            }
            Qos::MinusOne | Qos::AtMostOnce => self.got.push((payload, it.qos)),
        }
    }
}

fn count(list: &[String], wanted: &str) -> usize {
    list.iter().filter(|it| *it == wanted).count()
}

/// One run. The number of parked messages, to see that giving up happens at all.
fn run(seed: u64) -> u64 {
    let mut w = World::new();
    w.mqtt_subscribe("up");
    let mut net = Net::new(seed);
    let mut device = Device {
        waiting: None,
        connected: false,
        subscribed: false,
        to_send: (0..MESSAGES)
            .map(|n| (format!("u{n}"), if n % 2 == 0 { Qos::AtLeastOnce } else { Qos::ExactlyOnce }))
            .collect(),
        sending: None,
        released: false,
        next_msg_id: 100,
        heard: w.now.instant,
        topics: BTreeMap::new(),
        open: Vec::new(),
        finished: VecDeque::new(),
        got: Vec::new(),
        connects: 0,
    };
    let start = w.now.instant;
    let calm = start + Duration::from_secs(1800);
    let end = calm + Duration::from_secs(900);
    let mut published = 0;
    let mut out = Vec::new();
    device.go_on(w.now.instant, &mut out);
    while w.now.instant < end {
        for bytes in out.drain(..) {
            net.push(w.now.instant, false, bytes);
        }
        for bytes in w.heard_bytes(A) {
            net.push(w.now.instant, true, bytes);
        }
        if net.lossy && w.now.instant >= calm {
            // The network is good again, and the device starts a connection of its own.
            net.lossy = false;
            device.waiting = None;
            device.connect(w.now.instant, &mut out);
            continue;
        }
        let next_publish = start + Duration::from_secs(30 + 40 * u64::from(published));
        let arrival = net.next();
        let publish_due =
            if published < MESSAGES && device.subscribed { next_publish } else { Instant::FAR_FUTURE };
        let timers = [w.gateway_timeout(), Some(end), Some(calm).filter(|_| net.lossy)];
        let timer = timers.into_iter().flatten().min().expect("the end");
        let next = arrival.min(device.due()).min(publish_due).min(timer).max(w.now.instant);
        w.pass(next - w.now.instant);
        if arrival <= next {
            let (to_device, bytes) = net.pop();
            if to_device {
                device.hear(w.now.instant, &bytes, &mut out);
            } else {
                w.send_bytes(&peer(A), &bytes);
            }
        } else if device.due() <= next {
            device.timeout(w.now.instant, &mut out);
            device.go_on(w.now.instant, &mut out);
        } else if publish_due <= next {
            let qos = if published % 2 == 0 { 1 } else { 2 };
            w.mqtt_publish(&format!("down/{}", published % 3), &format!("d{published}"), qos);
            published += 1;
        }
    }
    let up: Vec<String> =
        w.mqtt_heard().iter().map(|line| line.split(' ').nth(1).expect("payload").to_owned()).collect();
    assert!(device.to_send.is_empty() && device.sending.is_none(), "seed {seed}: the device is stuck");
    assert_eq!(published, MESSAGES, "seed {seed}");
    for n in 0..MESSAGES {
        let times = count(&up, &format!("u{n}"));
        assert!(if n % 2 == 0 { times >= 1 } else { times == 1 }, "seed {seed}: u{n} came {times} times");
    }
    let got: Vec<String> = device.got.iter().map(|(payload, _)| payload.clone()).collect();
    for n in 0..MESSAGES {
        let times = count(&got, &format!("d{n}"));
        assert!(if n % 2 == 0 { times >= 1 } else { times == 1 }, "seed {seed}: d{n} came {times} times");
    }
    w.gateway.counters().parked
}

#[test]
fn under_loss_nothing_is_lost_twice_or_stuck() {
    let parked: u64 = (0..1000).map(run).sum();
    assert!(parked > 0, "giving up must have been tried, too");
}
