//! CPU per message from end to end: devices and MQTT clients on both sides.
use super::client::Fleet;
use super::datagrams;
use super::devices::Devices;
use super::peer::Peer;
use std::io;
use std::time::{Duration, Instant};

/// Which protocol an end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// One MQTT client.
    Mqtt,
    /// One device for each topic.
    Sn,
}

const PAYLOAD: [u8; 64] = [0x55; 64];
/// Topics, and devices on each side that speaks MQTT-SN, where one QoS 1/2 message at a time may be open.
const DEVICES: usize = 32;
/// QoS 0 messages that publishers may be ahead of the subscribers: what waits fits every socket's buffer.
const AHEAD_QOS0: usize = 500;
/// The same for QoS 1/2: the window of an MQTT client, and one for each device.
const AHEAD: usize = DEVICES;

struct Ends {
    mqtt: Fleet,
    sn: Devices,
    from: Side,
    to: Side,
    qos: u8,
    topics: Vec<String>,
    /// Which of `topics` is next.
    next: usize,
}

/// CPU microseconds of `peer` for each of `messages`.
pub(crate) fn flow(peer: &Peer, messages: usize, from: Side, to: Side, qos: u8) -> io::Result<f64> {
    let mut ends = Ends::open(peer, from, to, qos)?;
    ends.send(messages / 10)?;
    let before = peer.cpu_ns()?;
    ends.send(messages)?;
    let spent = peer.cpu_ns()? - before;
    if ends.sn.heard.copies > 0 {
        return Err(io::Error::other(format!("{} copies: datagrams were lost", ends.sn.heard.copies)));
    }
    Ok(spent as f64 / 1e3 / messages as f64)
}

impl Ends {
    fn open(peer: &Peer, from: Side, to: Side, qos: u8) -> io::Result<Ends> {
        let limit = Duration::from_secs(10);
        let topics: Vec<String> = (0..DEVICES).map(|n| format!("bench/{n}/flow")).collect();
        let mut mqtt = Fleet::new()?;
        let mut sn = Devices::new(peer.sn, 2 * DEVICES)?;
        // Publishing devices first, then subscribing ones.
        match to {
            Side::Mqtt => {
                mqtt.open(peer.address, 1, "sub", false)?;
                mqtt.subscribe(0, &["bench/+/flow".to_owned()], qos)?;
            }
            Side::Sn => {
                for n in 0..DEVICES {
                    sn.connect(DEVICES + n, &format!("sub{n}"));
                }
                sn.flush()?;
                sn.run_until(limit, "CONNACK", |sn| sn.heard.connacks >= DEVICES)?;
                for (n, topic) in topics.iter().enumerate() {
                    sn.subscribe(DEVICES + n, topic, qos);
                }
                sn.flush()?;
                sn.run_until(limit, "SUBACK", |sn| sn.heard.subacks >= DEVICES)?;
            }
        }
        match from {
            Side::Mqtt => mqtt.open(peer.address, 1, "pub", false)?,
            Side::Sn => {
                let before = sn.heard.connacks;
                for n in 0..DEVICES {
                    sn.connect(n, &format!("pub{n}"));
                }
                sn.flush()?;
                sn.run_until(limit, "CONNACK", |sn| sn.heard.connacks >= before + DEVICES)?;
                for (n, topic) in topics.iter().enumerate() {
                    sn.register(n, topic);
                }
                sn.flush()?;
                sn.run_until(limit, "REGACK", |sn| sn.heard.regacks >= DEVICES)?;
            }
        }
        Ok(Ends { mqtt, sn, from, to, qos, topics, next: 0 })
    }

    /// Messages that have come to the other end.
    fn received(&self) -> usize {
        match self.to {
            Side::Mqtt => self.mqtt.clients[0].received,
            Side::Sn => self.sn.heard.publishes,
        }
    }

    /// QoS 1/2 messages that are done for their publisher.
    fn acked(&self) -> usize {
        match self.from {
            Side::Mqtt => self.mqtt.clients.last().map_or(0, |publisher| publisher.acked),
            Side::Sn => self.sn.heard.acked,
        }
    }

    /// Sends `messages` and waits for all deliveries and acks.
    fn send(&mut self, messages: usize) -> io::Result<()> {
        let begun = Instant::now();
        let (received, acked) = (self.received(), self.acked());
        let ahead = if self.qos == 0 { AHEAD_QOS0 } else { AHEAD };
        let mut sent = 0;
        loop {
            let done = self.received() - received;
            let done = if self.qos == 0 { done } else { done.min(self.acked() - acked) };
            if done >= messages {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return Err(io::Error::other(format!(
                    "{done} of {messages} messages within a minute ({sent} sent, {:?})",
                    self.sn.heard
                )));
            }
            for _ in 0..(done + ahead).min(messages).saturating_sub(sent) {
                if !self.publish() {
                    break;
                }
                sent += 1;
            }
            self.flush()?;
            let files = [(self.mqtt.fd(), libc::POLLIN), (self.sn.fd(), libc::POLLIN)];
            datagrams::wait(&files, Duration::from_millis(20));
            self.mqtt.step(Duration::ZERO)?;
            self.sn.step()?;
        }
    }

    /// One message to the next topic; false when its device has one open.
    fn publish(&mut self) -> bool {
        match self.from {
            Side::Mqtt => {
                let publisher = self.mqtt.clients.len() - 1;
                self.mqtt.publish(publisher, &self.topics[self.next], &PAYLOAD, self.qos);
            }
            Side::Sn => {
                if self.qos > 0 && !self.sn.take_turn(self.next) {
                    return false;
                }
                self.sn.publish(self.next, &PAYLOAD, self.qos);
            }
        }
        self.next = (self.next + 1) % DEVICES;
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.from == Side::Mqtt {
            let publisher = self.mqtt.clients.len() - 1;
            self.mqtt.flush(publisher)?;
        }
        self.sn.flush()
    }
}
