//! A device's CoAP stack: its own requests one at a time with retransmission, every request of the server answered
//! once and the same again when it comes twice, notifications, and reboots that forget all of that.
use super::body::Part;
use super::profile::{Answer, Asked, Profile};
use super::{Dice, millis};
use crate::server::tests::world::address;
use broker_core::Instant;
use broker_core::frontend::Address;
use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};
use std::collections::HashMap;

/// What the device keeps, also over a reboot.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) battery: u8,
    pub(super) offset: String,
    /// Every text that was written, in order.
    pub(super) written: Vec<String>,
    /// The arguments of every Execute that was run.
    pub(super) executed: Vec<String>,
    pub(super) attributes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Register,
    Update,
    Deregister,
    Separate,
    Notify,
}

#[derive(Debug)]
struct Confirmable {
    mid: u16,
    token: Vec<u8>,
    bytes: Vec<u8>,
    purpose: Purpose,
    due: Instant,
    timeout: u64,
    tries: u8,
    acknowledged: bool,
}

#[derive(Debug)]
struct Observation {
    token: Vec<u8>,
    path: String,
    accept: Option<u16>,
}

/// A separate response that comes later.
#[derive(Debug)]
struct Later {
    at: Instant,
    token: Vec<u8>,
    body: Vec<u8>,
    code: u8,
    format: Option<u16>,
    observe: Option<u32>,
}

/// The device.
#[derive(Debug)]
pub(super) struct Radio {
    pub(super) profile: Profile,
    pub(super) store: Store,
    pub(super) out: Vec<(Address, Vec<u8>)>,
    pub(super) location: Option<Vec<Vec<u8>>>,
    pub(super) registers: u32,
    /// The last value of the battery that was sent as a notification.
    pub(super) told: Option<u8>,
    /// It gave an observer up that never acknowledged (RFC 7641 §4.5), which nobody hears of.
    pub(super) gave_up: bool,
    port: u16,
    mid: u16,
    tokens: u16,
    open: Vec<Confirmable>,
    /// Message ids of the server's, with what was answered.
    answered: HashMap<u16, Vec<u8>>,
    later: Vec<Later>,
    observations: Vec<Observation>,
    sequence: u32,
    register_at: Option<Instant>,
    update_at: Option<Instant>,
    leaving: bool,
    separately: u64,
    dice: Dice,
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dice({})", self.0)
    }
}

fn number(packet: &Packet, option: CoapOption) -> Option<u32> {
    let value = packet.get_option(option)?.front()?;
    Some(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

fn texts(packet: &Packet, option: CoapOption) -> Vec<String> {
    let values = packet.get_option(option).into_iter().flatten();
    values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

fn short(value: u32) -> Vec<u8> {
    value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

impl Radio {
    pub(super) fn new(profile: Profile, seed: u64) -> Radio {
        let mut dice = Dice::new(seed ^ 0x0D);
        Radio {
            profile,
            store: Store { battery: 10, offset: "+00:00".into(), ..Store::default() },
            out: Vec::new(),
            location: None,
            registers: 0,
            told: None,
            gave_up: false,
            port: 40_000,
            mid: dice.below(65_536) as u16,
            tokens: 0,
            open: Vec::new(),
            answered: HashMap::new(),
            later: Vec::new(),
            observations: Vec::new(),
            sequence: 0,
            register_at: Some(Instant::from_millis(0)),
            update_at: None,
            leaving: false,
            separately: 25,
            dice,
        }
    }

    pub(super) fn address(&self) -> Address {
        address(self.port)
    }

    pub(super) fn is_registered(&self) -> bool {
        self.location.is_some() && self.open.is_empty()
    }

    pub(super) fn observes(&self) -> usize {
        self.observations.len()
    }

    /// Power goes and comes: all but what is stored is forgotten, and the port is another.
    pub(super) fn reboot(&mut self, now: Instant) {
        self.open.clear();
        self.answered.clear();
        self.later.clear();
        self.observations.clear();
        (self.location, self.update_at, self.told) = (None, None, None);
        self.gave_up = false; // it will be asked again
        self.sequence = 0;
        self.port += 1;
        self.mid = self.dice.below(65_536) as u16;
        self.register_at = Some(now);
    }

    /// A new port without a reboot, as behind a NAT that forgot.
    pub(super) fn rebind(&mut self, now: Instant) {
        self.port += 1;
        self.update_at = Some(now);
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let open = self.open.iter().map(|message| message.due);
        let later = self.later.iter().map(|later| later.at);
        let idle = !self.asks();
        let own = [self.register_at, self.update_at].into_iter().flatten().filter(|_| idle);
        open.chain(later).chain(own).min()
    }

    /// One request of its own is on its way.
    fn asks(&self) -> bool {
        let own = [Purpose::Register, Purpose::Update, Purpose::Deregister];
        self.open.iter().any(|message| own.contains(&message.purpose))
    }

    /// Does what is due.
    pub(super) fn act(&mut self, now: Instant) {
        self.retransmit(now);
        let (due, rest): (Vec<Later>, Vec<Later>) =
            std::mem::take(&mut self.later).into_iter().partition(|later| later.at <= now);
        self.later = rest;
        for Later { token, body, code, format, observe, .. } in due {
            let packet = self.response(MessageType::Confirmable, None, &token, code, format, &body, observe);
            self.confirm(now, packet, Purpose::Separate);
        }
        if self.asks() {
            return;
        }
        if self.leaving && self.location.is_some() {
            self.leaving = false;
            let packet = self.request(RequestType::Delete, &[], b"");
            (self.location, self.update_at) = (None, None);
            self.confirm(now, packet, Purpose::Deregister);
        } else if self.register_at.is_some_and(|at| at <= now) {
            self.register_at = None;
            self.location = None;
            let links = self.profile.links().as_bytes();
            let packet = self.request(RequestType::Post, self.profile.query(), links);
            self.confirm(now, packet, Purpose::Register);
        } else if self.update_at.is_some_and(|at| at <= now) && self.location.is_some() {
            self.update_at = None;
            let packet = self.request(RequestType::Post, &[], b"");
            self.confirm(now, packet, Purpose::Update);
        }
    }

    fn retransmit(&mut self, now: Instant) {
        let at = self.address();
        let mut lost = Vec::new();
        for message in &mut self.open {
            if message.due > now {
                continue;
            }
            if message.acknowledged || message.tries >= 4 {
                lost.push(message.mid);
                continue;
            }
            message.tries += 1;
            message.timeout *= 2;
            message.due = millis(now, message.timeout);
            self.out.push((at, message.bytes.clone()));
        }
        for mid in lost {
            let place = self.open.iter().position(|message| message.mid == mid).expect("it was there");
            let message = self.open.remove(place);
            match message.purpose {
                Purpose::Register | Purpose::Update => self.register_at = Some(millis(now, 2_000)),
                Purpose::Notify => {
                    self.observations.retain(|o| o.token != message.token);
                    self.gave_up = true;
                }
                Purpose::Deregister | Purpose::Separate => {}
            }
        }
    }

    fn fresh(&mut self) -> u16 {
        self.mid = self.mid.wrapping_add(1);
        self.mid
    }

    fn request(&mut self, method: RequestType, query: &[&str], payload: &[u8]) -> Packet {
        let mut packet = Packet::new();
        packet.header.set_type(MessageType::Confirmable);
        packet.header.code = MessageClass::Request(method);
        packet.header.message_id = self.fresh();
        self.tokens = self.tokens.wrapping_add(1);
        packet.set_token(self.tokens.to_be_bytes().to_vec());
        match &self.location {
            Some(location) => {
                for segment in location {
                    packet.add_option(CoapOption::UriPath, segment.clone());
                }
            }
            None => packet.add_option(CoapOption::UriPath, b"rd".to_vec()),
        }
        if !payload.is_empty() {
            packet.add_option(CoapOption::ContentFormat, vec![40]);
        }
        for argument in query {
            packet.add_option(CoapOption::UriQuery, argument.as_bytes().to_vec());
        }
        packet.payload = payload.to_vec();
        packet
    }

    #[allow(clippy::too_many_arguments)] // The parts of one message.
    fn response(
        &mut self,
        kind: MessageType,
        mid: Option<u16>,
        token: &[u8],
        code: u8,
        format: Option<u16>,
        body: &[u8],
        observe: Option<u32>,
    ) -> Packet {
        let mut packet = Packet::new();
        packet.header.set_type(kind);
        packet.header.message_id = mid.unwrap_or_else(|| self.fresh());
        packet.header.code = code.into();
        packet.set_token(token.to_vec());
        if let Some(observe) = observe {
            packet.add_option(CoapOption::Observe, short(observe));
        }
        if let Some(format) = format {
            packet.add_option(CoapOption::ContentFormat, short(u32::from(format)));
        }
        packet.payload = body.to_vec();
        packet
    }

    fn confirm(&mut self, now: Instant, packet: Packet, purpose: Purpose) {
        let bytes = packet.to_bytes().expect("it fits");
        let timeout = 2_000 + self.dice.below(1_000);
        self.out.push((self.address(), bytes.clone()));
        self.open.push(Confirmable {
            mid: packet.header.message_id,
            token: packet.get_token().to_vec(),
            bytes,
            purpose,
            due: millis(now, timeout),
            timeout,
            tries: 0,
            acknowledged: false,
        });
    }

    fn send_empty(&mut self, kind: MessageType, mid: u16) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.header.set_type(kind);
        packet.header.code = MessageClass::Empty;
        packet.header.message_id = mid;
        let bytes = packet.to_bytes().expect("four bytes");
        self.out.push((self.address(), bytes.clone()));
        bytes
    }

    /// A datagram of the server's.
    pub(super) fn hear(&mut self, now: Instant, bytes: &[u8]) {
        let packet = Packet::from_bytes(bytes).expect("the server sends CoAP");
        let (kind, mid) = (packet.header.get_type(), packet.header.message_id);
        match packet.header.code {
            MessageClass::Request(method) => {
                if let Some(before) = self.answered.get(&mid) {
                    self.out.push((self.address(), before.clone()));
                } else {
                    self.on_request(now, &packet, method);
                }
            }
            MessageClass::Empty if kind == MessageType::Confirmable => {
                self.send_empty(MessageType::Reset, mid); // ping
            }
            MessageClass::Empty => self.on_empty(kind, mid),
            _ => self.on_response(now, &packet),
        }
    }

    fn on_empty(&mut self, kind: MessageType, mid: u16) {
        let Some(place) = self.open.iter().position(|message| message.mid == mid) else { return };
        let message = &mut self.open[place];
        match message.purpose {
            Purpose::Separate => {
                self.open.remove(place);
            }
            Purpose::Notify => {
                let message = self.open.remove(place);
                if kind == MessageType::Reset {
                    self.observations.retain(|observation| observation.token != message.token);
                }
            }
            // The answer comes separately.
            Purpose::Register | Purpose::Update | Purpose::Deregister => {
                message.acknowledged = true;
                message.due = message.due + std::time::Duration::from_secs(60);
            }
        }
    }

    fn on_response(&mut self, now: Instant, packet: &Packet) {
        let (kind, mid) = (packet.header.get_type(), packet.header.message_id);
        if kind == MessageType::Confirmable {
            self.send_empty(MessageType::Acknowledgement, mid);
        }
        let own = [Purpose::Register, Purpose::Update, Purpose::Deregister];
        let ours =
            |message: &Confirmable| message.token == packet.get_token() && own.contains(&message.purpose);
        let Some(place) = self.open.iter().position(ours) else { return };
        let message = self.open.remove(place);
        let code = u8::from(packet.header.code);
        match (message.purpose, code) {
            (Purpose::Register, 0x41) => {
                let location = packet.get_option(CoapOption::LocationPath).into_iter().flatten();
                self.location = Some(location.cloned().collect());
                self.registers += 1;
                self.update_at = Some(millis(now, self.profile.lifetime_s() * 500));
            }
            (Purpose::Register, 0xa3) => self.register_at = Some(millis(now, 10_000)), // 5.03
            (Purpose::Register, other) => panic!("Register was answered {other:#x}"),
            (Purpose::Update, 0x44) => self.update_at = Some(millis(now, self.profile.lifetime_s() * 500)),
            (Purpose::Update, _) => self.register_at = Some(now), // whatever it is: Register
            (Purpose::Deregister | Purpose::Separate | Purpose::Notify, _) => {}
        }
    }

    fn on_request(&mut self, now: Instant, packet: &Packet, method: RequestType) {
        let mid = packet.header.message_id;
        let method = match method {
            RequestType::Get => "GET",
            RequestType::Post => "POST",
            RequestType::Put => "PUT",
            RequestType::Delete => "DELETE",
            RequestType::Fetch => "FETCH",
            _ => "other",
        };
        let asked = Asked {
            method,
            path: format!("/{}", texts(packet, CoapOption::UriPath).join("/")),
            query: texts(packet, CoapOption::UriQuery),
            accept: number(packet, CoapOption::Accept).map(|accept| accept as u16),
            format: number(packet, CoapOption::ContentFormat).map(|format| format as u16),
            payload: packet.payload.clone(),
        };
        let token = packet.get_token().to_vec();
        let answer = self.profile.serve(&mut self.store, &asked);
        let observe = match (number(packet, CoapOption::Observe), &answer) {
            (Some(0), Answer::Now(0x45, ..)) => {
                self.observations.retain(|o| o.token != token && o.path != asked.path);
                let path = asked.path.clone();
                self.observations.push(Observation { token: token.clone(), path, accept: asked.accept });
                self.sequence += 1;
                self.told = Some(self.store.battery);
                Some(self.sequence)
            }
            (Some(1), _) => {
                self.observations.retain(|observation| observation.token != token);
                None
            }
            _ => None,
        };
        let sent = match answer {
            Answer::OnlyAck => self.send_empty(MessageType::Acknowledgement, mid),
            Answer::Reset => self.send_empty(MessageType::Reset, mid),
            Answer::Now(code, format, body) if self.dice.percent(self.separately) => {
                let at = millis(now, 200 + self.dice.below(2_000));
                self.later.push(Later { at, token, body, code, format, observe });
                self.send_empty(MessageType::Acknowledgement, mid)
            }
            Answer::Now(code, format, body) => {
                let kind = MessageType::Acknowledgement;
                let packet = self.response(kind, Some(mid), &token, code, format, &body, observe);
                let bytes = packet.to_bytes().expect("it fits");
                self.out.push((self.address(), bytes.clone()));
                bytes
            }
        };
        self.answered.insert(mid, sent);
    }

    /// The battery changes; who observes it is told.
    pub(super) fn battery(&mut self, now: Instant, level: u8) {
        self.store.battery = level;
        let Some(place) = self.observations.iter().position(|o| o.path == "/3/0/9") else { return };
        let (token, accept) = (self.observations[place].token.clone(), self.observations[place].accept);
        self.sequence += 1;
        let Answer::Now(code, format, body) = self.profile.read(&self.store, accept, Part::Battery, true)
        else {
            panic!("it was read in this format before");
        };
        self.told = Some(level);
        let kind =
            if self.profile.confirms() { MessageType::Confirmable } else { MessageType::NonConfirmable };
        let packet = self.response(kind, None, &token, code, format, &body, Some(self.sequence));
        if self.profile.confirms() {
            // RFC 7641 §4.5.2: what is being repeated gives way to what is new.
            self.open.retain(|message| message.purpose != Purpose::Notify || message.token != token);
            self.confirm(now, packet, Purpose::Notify);
        } else {
            self.out.push((self.address(), packet.to_bytes().expect("it fits")));
        }
    }
}
