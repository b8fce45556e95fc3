//! Several devices behind a bad network, that share topics: some stay awake, some sleep, all have wills; ports change
//! in mid-session, and one device comes to a port that another has left.
//!
//! The network is that of `lossy`: 20 % loss each way, 5 % duplicates, 10 % up to three seconds late. A device listens
//! while it waits for something, and is deaf while it sleeps.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use broker_core::Instant;

use super::lossy::{Net, RETRY, TRIES};
use super::world::*;
use crate::config::Config;
use crate::rng::Rng;
use crate::wire::{
    Connect, Message, PROTOCOL_ID, PubAck, Publish, Qos, RegAck, Register, ReturnCode, Subscribe,
    TopicIdType, TopicRef, WillTopic,
};

const DEVICES: usize = 3;
const UPLINKS: usize = 6;
const DOWNLINKS: usize = 12;
const SLEEP: u16 = 120;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    /// CONNECT and the will prompts.
    Connecting,
    Subscribing,
    Registering,
    /// Connected; a sleeper goes to sleep at this time.
    Up(Instant),
    /// DISCONNECT with a duration was said.
    Falling,
    /// Asleep until then.
    Asleep(Instant),
    /// PINGREQ was said.
    Waking,
    /// Gone for good, without a word.
    Dead,
}

struct Device {
    number: usize,
    name: String,
    sleeper: bool,
    port: u16,
    /// What is meant for the device that was at this port before may still come here.
    shares_port: bool,
    phase: Phase,
    /// What is repeated until it is answered, how often it was said, and when it is due again.
    request: Option<(Vec<u8>, u8, Instant)>,
    /// The uplink message under way: payload, QoS, MsgId, and whether PUBREC has come.
    sending: Option<(String, Qos, u16, bool)>,
    to_send: VecDeque<(String, Qos)>,
    next_msg_id: u16,
    up_id: Option<u16>,
    subscribed: bool,
    wakes: u32,
    pinged: Instant,
    topics: BTreeMap<u16, String>,
    open: Vec<u16>,
    finished: VecDeque<(u16, String, Instant)>,
    got: Vec<String>,
    out: Vec<Vec<u8>>,
}

fn bytes(message: Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).expect("fits");
    bytes
}

impl Device {
    fn new(number: usize, now: Instant) -> Device {
        let qos = |n: usize| if n.is_multiple_of(2) { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
        Device {
            number,
            name: format!("dev{number}"),
            sleeper: number > 0,
            port: 1000 + u16::try_from(number).expect("few"),
            shares_port: false,
            phase: Phase::Connecting,
            request: None,
            sending: None,
            to_send: (0..UPLINKS).map(|n| (format!("u{number}-{n}"), qos(n))).collect(),
            next_msg_id: 100,
            up_id: None,
            subscribed: false,
            wakes: 0,
            pinged: now,
            topics: BTreeMap::new(),
            open: Vec::new(),
            finished: VecDeque::new(),
            got: Vec::new(),
            out: Vec::new(),
        }
    }

    fn address(&self) -> String {
        format!("10.0.0.7:{}", self.port)
    }

    fn is_deaf(&self) -> bool {
        matches!(self.phase, Phase::Asleep(_) | Phase::Dead) && self.request.is_none()
    }

    fn say(&mut self, message: Message<'_>) {
        self.out.push(bytes(message));
    }

    fn ask(&mut self, now: Instant, message: Message<'_>) {
        let request = bytes(message);
        self.out.push(request.clone());
        self.request = Some((request, 1, now + RETRY));
    }

    fn connect(&mut self, now: Instant) {
        self.phase = Phase::Connecting;
        let name = self.name.clone();
        self.ask(
            now,
            Message::Connect(Connect {
                will: true,
                clean_session: false,
                protocol_id: PROTOCOL_ID,
                duration: 60,
                client_id: name.as_bytes(),
            }),
        );
    }

    /// What comes next when nothing is awaited.
    fn go_on(&mut self, now: Instant) {
        if self.request.is_some() {
            return;
        }
        match self.phase {
            Phase::Connecting => self.connect(now),
            Phase::Subscribing if !self.subscribed => self.ask(
                now,
                Message::Subscribe(Subscribe {
                    dup: false,
                    qos: Qos::ExactlyOnce,
                    msg_id: 7,
                    topic: TopicRef::Name(b"down/+"),
                }),
            ),
            Phase::Subscribing | Phase::Registering if self.up_id.is_none() => {
                self.phase = Phase::Registering;
                let name = format!("up/{}", self.number);
                let topic_name = name.as_bytes();
                self.ask(now, Message::Register(Register { topic_id: 0, msg_id: 8, topic_name }));
            }
            Phase::Subscribing | Phase::Registering => {
                self.phase = Phase::Up(now + Duration::from_secs(40));
                self.go_on(now);
            }
            Phase::Up(until) if self.sleeper && until <= now => {
                self.phase = Phase::Falling;
                self.ask(now, Message::Disconnect(Some(SLEEP)));
            }
            Phase::Asleep(until) if until <= now => self.wake(now),
            Phase::Up(_) | Phase::Asleep(_) => self.publish(now),
            Phase::Falling | Phase::Waking | Phase::Dead => {}
        }
    }

    fn wake(&mut self, now: Instant) {
        self.wakes += 1;
        if self.wakes.is_multiple_of(5) {
            return self.connect(now);
        }
        self.phase = Phase::Waking;
        let name = self.name.clone();
        self.ask(now, Message::PingReq(name.as_bytes()));
    }

    fn publish(&mut self, now: Instant) {
        if self.sending.is_none()
            && let Some((payload, qos)) = self.to_send.pop_front()
        {
            self.next_msg_id += 1;
            self.sending = Some((payload, qos, self.next_msg_id, false));
        }
        let (Some((payload, qos, msg_id, released)), Some(topic_id)) = (self.sending.clone(), self.up_id)
        else {
            return;
        };
        if released {
            return self.ask(now, Message::PubRel(msg_id));
        }
        let (dup, retain, topic_id_type) = (false, false, TopicIdType::Normal);
        let data = payload.as_bytes();
        self.ask(now, Message::Publish(Publish { dup, qos, retain, topic_id_type, topic_id, msg_id, data }));
    }

    fn due(&self) -> Instant {
        let phase = match self.phase {
            Phase::Up(until) if self.sleeper => until,
            Phase::Up(_) => self.pinged + Duration::from_secs(40),
            Phase::Asleep(until) => until,
            _ => Instant::FAR_FUTURE,
        };
        let busy = self.request.as_ref().map(|(.., due)| *due);
        busy.unwrap_or(if self.phase == Phase::Dead { Instant::FAR_FUTURE } else { phase })
    }

    fn timeout(&mut self, now: Instant) {
        if let Some((request, tries, due)) = &mut self.request
            && *due <= now
        {
            *tries += 1;
            *due = now + RETRY;
            if *tries > TRIES {
                self.request = None;
                self.connect(now);
            } else {
                let mut again = request.clone();
                if again[1] == 0x0C {
                    again[2] |= 0x80; // DUP
                }
                self.out.push(again);
            }
        }
        if matches!(self.phase, Phase::Up(_)) && !self.sleeper && self.pinged + Duration::from_secs(40) <= now
        {
            self.pinged = now;
            self.say(Message::PingReq(b""));
        }
        self.go_on(now);
    }

    fn is_sending(&self, waited: u16) -> bool {
        self.request.is_some() && self.sending.as_ref().is_some_and(|(_, _, msg_id, _)| *msg_id == waited)
    }

    fn hear(&mut self, now: Instant, datagram: &[u8]) {
        if let Some((.., due)) = &mut self.request
            && self.phase == Phase::Waking
        {
            *due = now + RETRY; // the burst goes on
        }
        let message = Message::decode(datagram).expect("the gateway speaks well");
        let for_another = match message {
            Message::Publish(it) => !self.topics.contains_key(&it.topic_id),
            Message::Register(_) | Message::PubRel(_) => self.phase == Phase::Connecting,
            _ => false,
        };
        if for_another && self.shares_port {
            return;
        }
        match message {
            Message::WillTopicReq if self.phase == Phase::Connecting => {
                let topic = format!("w/{}", self.number);
                let topic = topic.as_bytes();
                self.ask(
                    now,
                    Message::WillTopic(Some(WillTopic { qos: Qos::AtLeastOnce, retain: false, topic })),
                );
            }
            Message::WillMsgReq if self.phase == Phase::Connecting => {
                self.ask(now, Message::WillMsg(b"gone"))
            }
            Message::ConnAck(ReturnCode::Accepted) if self.phase == Phase::Connecting => {
                self.request = None;
                self.phase = Phase::Subscribing;
                self.pinged = now;
            }
            Message::SubAck(ack) if self.phase == Phase::Subscribing && !self.subscribed => {
                assert_eq!(ack.return_code, ReturnCode::Accepted);
                self.subscribed = true;
                self.request = None;
            }
            Message::RegAck(ack) if self.phase == Phase::Registering && self.up_id.is_none() => {
                assert_eq!(ack.return_code, ReturnCode::Accepted);
                self.up_id = Some(ack.topic_id);
                self.request = None;
            }
            Message::PubAck(ack) if self.is_sending(ack.msg_id) => {
                assert_eq!(ack.return_code, ReturnCode::Accepted, "{}: {ack:?}", self.name);
                if self.sending.as_ref().is_some_and(|(_, qos, ..)| *qos == Qos::AtLeastOnce) {
                    self.sending = None;
                    self.request = None;
                }
            }
            Message::PubRec(msg_id) if self.is_sending(msg_id) => {
                if let Some((.., released)) = &mut self.sending
                    && !*released
                {
                    *released = true;
                    self.request = None;
                }
            }
            Message::PubComp(msg_id) if self.is_sending(msg_id) => {
                self.sending = None;
                self.request = None;
            }
            Message::Register(it) => {
                let name = String::from_utf8(it.topic_name.to_vec()).expect("UTF-8");
                self.topics.insert(it.topic_id, name);
                let (topic_id, msg_id, return_code) = (it.topic_id, it.msg_id, ReturnCode::Accepted);
                self.say(Message::RegAck(RegAck { topic_id, msg_id, return_code }));
            }
            Message::Publish(it) => self.hear_publish(now, &it),
            Message::PubRel(msg_id) => {
                self.open.retain(|open| *open != msg_id);
                for finished in self.finished.iter_mut().filter(|(id, ..)| *id == msg_id) {
                    finished.2 = now + RETRY;
                }
                self.say(Message::PubComp(msg_id));
            }
            Message::PingResp if self.phase == Phase::Waking => {
                self.request = None;
                self.phase = Phase::Asleep(now + Duration::from_secs(60));
            }
            Message::Disconnect(_) if self.phase == Phase::Falling => {
                self.request = None;
                self.phase = Phase::Asleep(now + Duration::from_secs(60));
            }
            // Asleep it may be a copy of the answer to DISCONNECT; else the gateway knows nobody here.
            Message::Disconnect(_) if !matches!(self.phase, Phase::Connecting | Phase::Dead) => {
                self.request = None;
                self.connect(now);
            }
            _ => {}
        }
        self.go_on(now);
    }

    fn hear_publish(&mut self, now: Instant, it: &Publish<'_>) {
        let name = self.topics.get(&it.topic_id);
        assert!(name.is_some(), "{}: REGISTER comes before PUBLISH {it:?}", self.name);
        let payload = String::from_utf8(it.data.to_vec()).expect("UTF-8");
        match it.qos {
            Qos::AtLeastOnce => {
                let (topic_id, msg_id, return_code) = (it.topic_id, it.msg_id, ReturnCode::Accepted);
                self.say(Message::PubAck(PubAck { topic_id, msg_id, return_code }));
                self.got.push(payload);
            }
            Qos::ExactlyOnce => {
                let open = &self.open;
                self.finished.retain(|(id, _, until)| *until > now || open.contains(id));
                let late = self.finished.iter().any(|(id, held, _)| *id == it.msg_id && *held == payload);
                if !late && !self.open.contains(&it.msg_id) {
                    self.open.push(it.msg_id);
                    self.finished.push_back((it.msg_id, payload.clone(), now + RETRY));
                    self.got.push(payload);
                }
                self.say(Message::PubRec(it.msg_id));
            }
            Qos::MinusOne | Qos::AtMostOnce => self.got.push(payload),
        }
    }

    /// Another port: a fresh one, without a word; or one that somebody has left, with a CONNECT.
    fn move_to(&mut self, port: u16, left_by_another: bool, now: Instant) {
        self.port = port;
        self.shares_port = left_by_another;
        if left_by_another {
            self.request = None;
            self.connect(now);
        }
    }
}

#[derive(Default)]
struct Seen {
    parked: u64,
    moved: u64,
    wakes: u32,
    late_copies: u64,
}

fn run(seed: u64) -> Seen {
    let mut w = World::with(Config::default());
    w.mqtt_subscribe("#");
    let mut net: Net<(usize, bool, String)> = Net::new(seed);
    let mut rng = Rng::new(!seed);
    let mut devices: Vec<Device> = (0..DEVICES).map(|number| Device::new(number, w.now.instant)).collect();
    let start = w.now.instant;
    let (calm, end) = (start + Duration::from_secs(1500), start + Duration::from_secs(2400));
    let mut moves = start + Duration::from_secs(250);
    let mut fresh_port = 2000;
    let mut left_port = None;
    let mut published = 0;
    let mut healed = false;
    let mut abandoned: Vec<String> = Vec::new();
    for device in &mut devices {
        device.go_on(start);
    }
    while w.now.instant < end {
        let now = w.now.instant;
        for device in &mut devices {
            let address = device.address();
            for datagram in device.out.drain(..) {
                net.push(now, (device.number, false, address.clone()), datagram);
            }
            for datagram in w.heard_bytes(&address) {
                net.push(now, (device.number, true, address.clone()), datagram);
            }
        }
        for address in &abandoned {
            w.heard_bytes(address); // nobody is there, or it was taken just now
        }
        if net.lossy && now >= calm {
            net.lossy = false;
        }
        if !healed && now >= calm + Duration::from_secs(300) {
            // All is delivered by now, or given up for this connection: the next one brings it.
            healed = true;
            for device in &mut devices {
                device.request = None;
                device.connect(now);
            }
            continue;
        }
        let arrival = net.next();
        let due = devices.iter().map(Device::due).min().expect("some");
        let ready = devices.iter().all(|device| device.subscribed);
        let publish_due = start + Duration::from_secs(60 + 110 * published as u64);
        let publish_due = if published < DOWNLINKS && ready { publish_due } else { Instant::FAR_FUTURE };
        let mut stops = vec![arrival, due, publish_due, end];
        stops.extend(w.gateway_timeout());
        stops.extend(Some(calm).filter(|_| net.lossy));
        stops.extend(Some(calm + Duration::from_secs(300)).filter(|_| !healed));
        stops.extend(Some(moves).filter(|_| net.lossy));
        let next = stops.into_iter().min().expect("the end").max(now);
        w.pass(next - now);
        let now = w.now.instant;
        if arrival <= next {
            let ((number, to_device, address), datagram) = net.pop();
            if !to_device {
                w.send_bytes(&peer(&address), &datagram);
            } else if devices[number].address() == address && !devices[number].is_deaf() {
                devices[number].hear(now, &datagram);
            }
        } else if due <= next {
            devices.iter_mut().filter(|device| device.due() <= now).for_each(|device| device.timeout(now));
        } else if publish_due <= next {
            let qos = if published % 2 == 0 { 1 } else { 2 };
            w.mqtt_publish(&format!("down/{}", published % 3), &format!("d{published}"), qos);
            published += 1;
        } else if net.lossy && moves <= next {
            moves = now + Duration::from_secs(200);
            let at = usize::try_from(rng.draw() % DEVICES as u64).expect("few");
            let before = devices[at].port;
            abandoned.push(devices[at].address());
            let port = left_port.replace(before).unwrap_or_else(|| {
                fresh_port += 1;
                fresh_port
            });
            devices[at].move_to(port, port < fresh_port, now);
            if rng.draw().is_multiple_of(2) {
                left_port = None;
            }
        }
    }
    let up: Vec<String> = w.mqtt_heard();
    for device in &devices {
        let name = format!("seed {seed}, {}", device.name);
        assert!(
            device.to_send.is_empty() && device.sending.is_none(),
            "{name} is stuck in {:?}",
            device.phase
        );
        for n in 0..UPLINKS {
            let line = format!("up/{} u{}-{n} q{}", device.number, device.number, 1 + n % 2);
            let times = up.iter().filter(|it| **it == line).count();
            assert!(if n % 2 == 0 { times >= 1 } else { times == 1 }, "{name}: {line} came {times} times");
        }
        for n in 0..DOWNLINKS {
            let times = device.got.iter().filter(|it| **it == format!("d{n}")).count();
            assert!(if n % 2 == 0 { times >= 1 } else { times == 1 }, "{name}: d{n} came {times} times");
        }
    }
    assert_eq!(published, DOWNLINKS, "seed {seed}");
    // All vanish. Each leaves its will, once, whatever was asked for and repeated when it was told.
    w.pass_seconds(1000);
    let mut wills = w.mqtt_heard();
    wills.retain(|line| line.starts_with("w/"));
    wills.sort();
    assert_eq!(wills, ["w/0 gone q1", "w/1 gone q1", "w/2 gone q1"], "seed {seed}");
    assert_eq!(w.gateway.clients(), 0, "seed {seed}");
    let counters = w.gateway.counters();
    Seen {
        parked: counters.parked,
        moved: counters.sleepers_moved,
        wakes: devices.iter().map(|device| device.wakes).sum(),
        late_copies: counters.late_copies,
    }
}

#[test]
fn sleepers_wills_and_moving_devices_lose_nothing_under_loss() {
    let mut all = Seen::default();
    for seed in 0..1000 {
        let seen = run(seed);
        all.parked += seen.parked;
        all.moved += seen.moved;
        all.wakes += seen.wakes;
        all.late_copies += seen.late_copies;
    }
    assert!(
        all.parked > 0 && all.moved > 0 && all.wakes > 1000 && all.late_copies > 0,
        "all of it must have happened"
    );
}
