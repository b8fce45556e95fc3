//! A scripted MQTT-SN device: one request at a time, repeated until it is answered, and an answer to whatever the
//! gateway sends. Its messages are written by hand, apart from the gateway's codec.
use super::world::World;
use broker_core::time::Instant;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Time until an unanswered request is repeated.
const RETRY: Duration = Duration::from_secs(10);

/// What the device does next. Names become topic ids by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// CONNECT with CleanSession as given and this keep-alive in seconds.
    Connect(bool, u16),
    /// SUBSCRIBE to a name at this QoS.
    Subscribe(&'static str, u8),
    /// REGISTER a name, and remember its id.
    Register(&'static str),
    /// PUBLISH QoS 1 to the last registered name.
    Publish(String),
    /// DISCONNECT with this duration: sleep.
    Sleep(u16),
    /// PINGREQ with the ClientId: collect what waits.
    Wake,
    /// DISCONNECT.
    Disconnect,
}

/// The device.
#[derive(Debug)]
pub struct SnDevice {
    name: &'static str,
    address: SocketAddr,
    gateway: SocketAddr,
    steps: VecDeque<Step>,
    waiting: Option<(Vec<u8>, Instant)>,
    next_id: u16,
    topic: [u8; 2],
    /// Topic names by id, as REGISTER and SUBACK told.
    names: Vec<(u16, String)>,
    asked: String,
    /// Messages received: topic and payload.
    pub received: Vec<(String, String)>,
    /// PINGRESPs received.
    pub pingresps: usize,
    /// Requests sent again.
    pub repeats: usize,
}

impl SnDevice {
    /// A device at `address` that speaks to `gateway`.
    pub fn new(name: &'static str, address: SocketAddr, gateway: SocketAddr) -> SnDevice {
        SnDevice {
            name,
            address,
            gateway,
            steps: VecDeque::new(),
            waiting: None,
            next_id: 0,
            topic: [0, 0],
            names: Vec::new(),
            asked: String::new(),
            received: Vec::new(),
            pingresps: 0,
            repeats: 0,
        }
    }

    /// Adds steps to the script.
    pub fn then(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.steps.extend(steps);
    }

    /// Whether the script is done and answered.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    /// The device moves to another address, as after a NAT's change of mind.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// Does what is due; call it at every step of the world.
    pub fn act(&mut self, world: &mut World) {
        for (_, datagram) in world.inbox(self.address) {
            self.hear(world, &datagram.bytes);
        }
        let now = world.now.instant;
        match &mut self.waiting {
            Some((bytes, due)) if *due <= now => {
                // DUP of SUBSCRIBE and PUBLISH.
                if matches!(bytes[1], 0x0C | 0x12) {
                    bytes[2] |= 0x80;
                }
                *due = now + RETRY;
                self.repeats += 1;
                let bytes = bytes.clone();
                self.send(world, &bytes);
            }
            Some(_) => {}
            None => {
                if let Some(step) = self.steps.pop_front() {
                    self.begin(world, step);
                }
            }
        }
    }

    /// When the device has something to do by itself.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, due)| *due)
    }

    fn send(&self, world: &mut World, bytes: &[u8]) {
        world.send_datagram(self.address, self.gateway, bytes);
    }

    fn begin(&mut self, world: &mut World, step: Step) {
        self.next_id = self.next_id % 60_000 + 1;
        let id = self.next_id.to_be_bytes();
        let bytes = match step {
            Step::Connect(clean, seconds) => {
                let [high, low] = seconds.to_be_bytes();
                message(0x04, &[&[if clean { 0x04 } else { 0 }, 1, high, low], self.name.as_bytes()])
            }
            Step::Subscribe(name, qos) => {
                self.asked = name.to_owned();
                message(0x12, &[&[qos << 5], &id, name.as_bytes()])
            }
            Step::Register(name) => {
                self.asked = name.to_owned();
                message(0x0A, &[&[0, 0], &id, name.as_bytes()])
            }
            Step::Publish(payload) => message(0x0C, &[&[0x20], &self.topic, &id, payload.as_bytes()]),
            Step::Sleep(seconds) => message(0x18, &[&seconds.to_be_bytes()]),
            Step::Wake => message(0x16, &[self.name.as_bytes()]),
            Step::Disconnect => message(0x18, &[]),
        };
        self.waiting = Some((bytes.clone(), world.now.instant + RETRY));
        self.send(world, &bytes);
    }

    /// Whether our open request is of this type (and has this MsgId at this place).
    fn awaits(&self, kind: u8, id: Option<(usize, [u8; 2])>) -> bool {
        self.waiting.as_ref().is_some_and(|(bytes, _)| {
            bytes[1] == kind && id.is_none_or(|(at, id)| bytes.get(at..at + 2) == Some(&id[..]))
        })
    }

    fn hear(&mut self, world: &mut World, bytes: &[u8]) {
        assert_eq!(usize::from(bytes[0]), bytes.len(), "the gateway's Length is right: {bytes:02x?}");
        match (bytes[1], &bytes[2..]) {
            (0x05, [0]) if self.awaits(0x04, None) => self.waiting = None,
            (0x13, [_, high, low, a, b, 0]) if self.awaits(0x12, Some((3, [*a, *b]))) => {
                self.learn(u16::from_be_bytes([*high, *low]));
                self.waiting = None;
            }
            (0x0B, [high, low, a, b, 0]) if self.awaits(0x0A, Some((4, [*a, *b]))) => {
                self.topic = [*high, *low];
                self.learn(u16::from_be_bytes([*high, *low]));
                self.waiting = None;
            }
            (0x0D, [_, _, a, b, 0]) if self.awaits(0x0C, Some((5, [*a, *b]))) => self.waiting = None,
            (0x17, []) => {
                self.pingresps += 1;
                if self.awaits(0x16, None) {
                    self.waiting = None;
                }
            }
            (0x18, []) if self.awaits(0x18, None) => self.waiting = None,
            (0x0A, [high, low, a, b, name @ ..]) => {
                self.asked = String::from_utf8(name.to_vec()).expect("a topic name is UTF-8");
                self.learn(u16::from_be_bytes([*high, *low]));
                self.send(world, &message(0x0B, &[&[*high, *low, *a, *b, 0]]));
            }
            (0x0C, [flags, high, low, a, b, payload @ ..]) => {
                let id = u16::from_be_bytes([*high, *low]);
                let name =
                    self.names.iter().rev().find(|(known, _)| *known == id).map(|(_, name)| name.clone());
                let known = name.is_some();
                if flags & 0x60 == 0x20 {
                    let code = if known { 0 } else { 2 };
                    self.send(world, &message(0x0D, &[&[*high, *low, *a, *b, code]]));
                }
                if let Some(name) = name {
                    self.received.push((name, String::from_utf8_lossy(payload).into_owned()));
                }
            }
            // Late copies of answers.
            _ => {}
        }
    }

    fn learn(&mut self, id: u16) {
        let name = self.asked.clone();
        if id != 0 {
            self.names.retain(|(known, _)| *known != id);
            self.names.push((id, name));
        }
    }
}

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![u8::try_from(body.len() + 2).expect("test messages are short"), kind];
    bytes.extend(body);
    bytes
}
