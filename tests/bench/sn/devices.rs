//! MQTT-SN devices of the load generator: one socket, an address of 127.0.0.0/8 for each. They answer what they are
//! asked; a scenario only starts things and counts.
use super::datagrams::{self, Inbox, Outbox};
use sn_proto::wire::{
    Connect, Message, PROTOCOL_ID, PubAck, Publish, Qos, RegAck, Register, ReturnCode, Subscribe,
    TopicIdType, TopicRef,
};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// Address of the first device.
const FIRST: u32 = 0x7F01_0001;

/// One device.
#[derive(Default)]
pub(crate) struct Device {
    /// Id of the topic that it registered.
    pub(crate) topic_id: u16,
    msg_id: u16,
    /// PUBLISHes heard, copies apart.
    pub(crate) received: u32,
    /// Its QoS 1/2 messages that are done.
    pub(crate) acked: u32,
    /// QoS 1/2 messages that it has begun.
    begun: u32,
    /// `received` when the last PINGRESP came.
    pub(crate) received_at_ping: u32,
    asked: u64,
}

/// What all devices have heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) connacks: usize,
    pub(crate) regacks: usize,
    pub(crate) subacks: usize,
    pub(crate) publishes: usize,
    pub(crate) acked: usize,
    pub(crate) pingresps: usize,
    pub(crate) disconnects: usize,
    /// PUBLISHes with DUP: something was lost or late.
    pub(crate) copies: usize,
}

/// All devices of one socket.
pub(crate) struct Devices {
    inbox: Inbox,
    wire: Wire,
    /// The devices, by number.
    pub(crate) devices: Vec<Device>,
    /// Counted over all of them.
    pub(crate) heard: Heard,
    /// Nanoseconds from CONNECT to CONNACK and from PINGREQ to PINGRESP.
    pub(crate) delays: Vec<u64>,
    epoch: Instant,
}

/// The way to the gateway.
struct Wire {
    outbox: Outbox,
    gateway: SocketAddrV4,
}

impl Wire {
    fn say(&mut self, device: usize, message: Message<'_>) {
        self.outbox.queue(address(device), self.gateway, |wire| {
            message.encode(wire).expect("what the bench sends is short");
        });
    }
}

fn address(device: usize) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + u32::try_from(device).expect("fewer than 2^23 devices"))
}

impl Devices {
    /// `count` devices of the gateway at `gateway`, silent so far.
    pub(crate) fn new(gateway: SocketAddr, count: usize) -> io::Result<Devices> {
        let SocketAddr::V4(gateway) = gateway else { return Err(io::Error::other("IPv4 only")) };
        let (inbox, outbox) = datagrams::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
        Ok(Devices {
            inbox,
            wire: Wire { outbox, gateway },
            devices: (0..count).map(|_| Device::default()).collect(),
            heard: Heard::default(),
            delays: Vec::new(),
            epoch: Instant::now(),
        })
    }

    /// For polling.
    pub(crate) fn fd(&self) -> RawFd {
        self.inbox.fd()
    }

    /// The port that all share.
    pub(crate) fn port(&self) -> io::Result<u16> {
        self.inbox.port()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn msg_id(&mut self, device: usize) -> u16 {
        let device = &mut self.devices[device];
        device.msg_id = device.msg_id.checked_add(1).unwrap_or(1);
        device.msg_id
    }

    /// CONNECT of a device, without keep-alive.
    pub(crate) fn connect(&mut self, device: usize, client_id: &str) {
        self.devices[device].asked = self.now();
        self.wire.say(
            device,
            Message::Connect(Connect {
                will: false,
                clean_session: true,
                protocol_id: PROTOCOL_ID,
                duration: 0,
                client_id: client_id.as_bytes(),
            }),
        );
    }

    /// REGISTER.
    pub(crate) fn register(&mut self, device: usize, topic: &str) {
        let msg_id = self.msg_id(device);
        self.wire
            .say(device, Message::Register(Register { topic_id: 0, msg_id, topic_name: topic.as_bytes() }));
    }

    /// SUBSCRIBE by name.
    pub(crate) fn subscribe(&mut self, device: usize, topic: &str, qos: u8) {
        let msg_id = self.msg_id(device);
        self.wire.say(
            device,
            Message::Subscribe(Subscribe {
                dup: false,
                qos: qos_of(qos),
                msg_id,
                topic: TopicRef::Name(topic.as_bytes()),
            }),
        );
    }

    /// PUBLISH to the registered topic.
    pub(crate) fn publish(&mut self, device: usize, data: &[u8], qos: u8) {
        let msg_id = if qos == 0 { 0 } else { self.msg_id(device) };
        let topic_id = self.devices[device].topic_id;
        self.wire.say(
            device,
            Message::Publish(Publish {
                dup: false,
                qos: qos_of(qos),
                retain: false,
                topic_id_type: TopicIdType::Normal,
                topic_id,
                msg_id,
                data,
            }),
        );
    }

    /// Whether a device may begin a QoS 1/2 message: one at a time (MQTT-SN §6.6). If so it has begun it.
    pub(crate) fn take_turn(&mut self, device: usize) -> bool {
        let device = &mut self.devices[device];
        let free = device.begun == device.acked;
        device.begun += u32::from(free);
        free
    }

    /// PINGREQ.
    pub(crate) fn ping(&mut self, device: usize, client_id: &str) {
        self.devices[device].asked = self.now();
        self.wire.say(device, Message::PingReq(client_id.as_bytes()));
    }

    /// DISCONNECT with a duration: the device sleeps.
    pub(crate) fn sleep(&mut self, device: usize, seconds: u16) {
        self.wire.say(device, Message::Disconnect(Some(seconds)));
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.wire.outbox.flush()
    }

    /// Takes in what has come, and answers it.
    pub(crate) fn step(&mut self) -> io::Result<()> {
        for _ in 0..64 {
            let now = self.now();
            let Devices { inbox, wire, devices, heard, delays, .. } = self;
            let count = inbox.receive(|local, _, bytes| {
                let number = u32::from(local).wrapping_sub(FIRST) as usize;
                let Some(device) = devices.get_mut(number) else { return };
                let Ok(message) = Message::decode(bytes) else { return };
                hear(device, number, message, now, wire, heard, delays);
            })?;
            self.flush()?;
            if count < 64 {
                break;
            }
        }
        Ok(())
    }

    /// Steps until `done`, an error naming `what` after `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&Devices) -> bool,
    ) -> io::Result<()> {
        let begun = Instant::now();
        while !done(self) {
            if begun.elapsed() > limit {
                return Err(io::Error::other(format!("no {what} within {limit:?}: {:?}", self.heard)));
            }
            datagrams::wait(&[(self.fd(), libc::POLLIN)], Duration::from_millis(20));
            self.step()?;
        }
        Ok(())
    }

    /// Does `act` for each device of `range`, `rate` a second, and waits until `done` of them are heard of.
    pub(crate) fn paced(
        &mut self,
        range: std::ops::Range<usize>,
        rate: usize,
        what: &str,
        mut act: impl FnMut(&mut Devices, usize),
        done: impl Fn(&Heard) -> usize,
    ) -> io::Result<()> {
        let target = done(&self.heard) + range.len();
        let begun = Instant::now();
        let total = range.len();
        let mut next = range.start;
        while next < range.end {
            let due = (begun.elapsed().as_micros() as usize * rate / 1_000_000).min(total) + range.start;
            while next < due {
                act(self, next);
                next += 1;
                if next.is_multiple_of(16) {
                    self.flush()?;
                }
            }
            self.flush()?;
            self.step()?;
            datagrams::wait(&[(self.fd(), libc::POLLIN)], Duration::from_millis(1));
        }
        self.run_until(Duration::from_secs(20), what, |devices| done(&devices.heard) >= target)
    }
}

fn hear(
    device: &mut Device,
    number: usize,
    message: Message<'_>,
    now: u64,
    wire: &mut Wire,
    heard: &mut Heard,
    delays: &mut Vec<u64>,
) {
    match message {
        Message::ConnAck(ReturnCode::Accepted) => {
            heard.connacks += 1;
            delays.push(now.saturating_sub(device.asked));
        }
        Message::RegAck(ack) => {
            device.topic_id = ack.topic_id;
            heard.regacks += 1;
        }
        Message::SubAck(_) => heard.subacks += 1,
        Message::Register(Register { topic_id, msg_id, .. }) => {
            let ack = RegAck { topic_id, msg_id, return_code: ReturnCode::Accepted };
            wire.say(number, Message::RegAck(ack));
        }
        Message::Publish(publish) => {
            if publish.dup {
                heard.copies += 1;
            } else {
                heard.publishes += 1;
                device.received += 1;
            }
            let Publish { topic_id, msg_id, .. } = publish;
            match publish.qos {
                Qos::AtLeastOnce => {
                    let ack = PubAck { topic_id, msg_id, return_code: ReturnCode::Accepted };
                    wire.say(number, Message::PubAck(ack));
                }
                Qos::ExactlyOnce => wire.say(number, Message::PubRec(msg_id)),
                Qos::AtMostOnce | Qos::MinusOne => {}
            }
        }
        Message::PubRel(id) => wire.say(number, Message::PubComp(id)),
        Message::PubRec(id) => wire.say(number, Message::PubRel(id)),
        Message::PubAck(PubAck { return_code: ReturnCode::Accepted, .. }) | Message::PubComp(_) => {
            device.acked += 1;
            heard.acked += 1;
        }
        Message::PingResp => {
            device.received_at_ping = device.received;
            heard.pingresps += 1;
            delays.push(now.saturating_sub(device.asked));
        }
        Message::Disconnect(_) => heard.disconnects += 1,
        _ => {}
    }
}

fn qos_of(qos: u8) -> Qos {
    match qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}

/// The `part` (0 to 1) of the sorted `delays`, in milliseconds.
pub(crate) fn percentile(delays: &mut [u64], part: f64) -> f64 {
    delays.sort_unstable();
    let at = ((delays.len() as f64 * part) as usize).min(delays.len().saturating_sub(1));
    delays.get(at).copied().unwrap_or(u64::MAX) as f64 / 1e6
}
