//! Many devices: what each costs in resident memory, how fast they are let in, and what happens when a thousand of
//! them wake at once.
use super::client::Fleet;
use super::datagrams;
use super::devices::{Devices, percentile};
use super::peer::Peer;
use std::io;
use std::time::{Duration, Instant};

/// CONNECTs and other requests a second: a pace that leaves the queue empty.
const RATE: usize = 5_000;
/// Messages a second where nothing but the end counts.
const FAST: usize = 20_000;
/// Seconds that the gateway remembers a QoS 2 message that is done (`mqtt.sn.retry_interval`).
const MEMORY_OF_QOS2: Duration = Duration::from_secs(11);
const WARM: usize = 200;
/// Devices that wake at once.
const WAKING: usize = 1_000;
/// Messages that wait for each of them.
const WAITING: u32 = 5;
const SLEEP_SECONDS: u16 = 3_000;
const LIMIT: Duration = Duration::from_secs(60);

/// One line of the report; a bar is an upper one.
pub(crate) type Line<'a> = &'a mut dyn FnMut(&str, f64, &str, Option<f64>);

struct Crowd<'a> {
    peer: &'a Peer,
    sn: Devices,
    mqtt: Fleet,
    count: usize,
    /// Resident bytes before the first device of the crowd.
    base: u64,
    /// Whether the devices have come to the end of the sleeping part.
    line: Line<'a>,
}

fn id(device: usize) -> String {
    format!("device-{device:06}")
}

/// The whole story of `count` devices, told to `line`.
pub(crate) fn crowd(peer: &Peer, count: usize, line: Line<'_>) -> io::Result<()> {
    let mut warm = Devices::new(peer.sn, WARM)?;
    warm.paced(
        0..WARM,
        RATE,
        "CONNACK",
        |sn, n| sn.connect(n, &format!("warm-{n}")),
        |heard| heard.connacks,
    )?;
    let mut mqtt = Fleet::new()?;
    mqtt.open(peer.address, 1, "driver", false)?;
    let base = peer.rss()?;
    let sn = Devices::new(peer.sn, count)?;
    let mut crowd = Crowd { peer, sn, mqtt, count, base, line };
    crowd.connect()?;
    crowd.register()?;
    crowd.talk(1)?;
    crowd.talk(2)?;
    std::thread::sleep(MEMORY_OF_QOS2);
    crowd.ping_one()?;
    crowd.rss("after that, 11 s later", None)?;
    crowd.fall_asleep()?;
    crowd.wake()
}

impl Crowd<'_> {
    fn rss(&mut self, name: &str, bar: Option<f64>) -> io::Result<()> {
        let each = self.peer.rss()?.saturating_sub(self.base) as f64 / self.count as f64;
        (self.line)(name, each, "RSS bytes/client", bar);
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        let before = self.peer.cpu_ns()?;
        let all = 0..self.count;
        self.sn.paced(all, RATE, "CONNACK", |sn, n| sn.connect(n, &id(n)), |heard| heard.connacks)?;
        let cpu = (self.peer.cpu_ns()? - before) as f64 / 1e3 / self.count as f64;
        let mut delays = std::mem::take(&mut self.sn.delays);
        (self.line)("CONNACK p50 at 5 000/s", percentile(&mut delays, 0.5), "ms", Some(1.0));
        (self.line)("CONNACK p99", percentile(&mut delays, 0.99), "ms", None);
        (self.line)("CONNACK p999", percentile(&mut delays, 0.999), "ms", None);
        (self.line)("CONNECT", cpu, "CPU us", None);
        self.rss("connected", Some(1024.0))
    }

    fn register(&mut self) -> io::Result<()> {
        let all = 0..self.count;
        let topic = |n: usize, way: &str| format!("{}/{way}", id(n));
        self.sn.paced(
            all.clone(),
            FAST,
            "REGACK",
            |sn, n| sn.register(n, &topic(n, "up")),
            |heard| heard.regacks,
        )?;
        self.rss("and one topic registered", Some(1024.0))?;
        self.sn.paced(
            all,
            FAST,
            "SUBACK",
            |sn, n| sn.subscribe(n, &topic(n, "down"), 2),
            |heard| heard.subacks,
        )?;
        self.rss("and one subscription", Some(1024.0))
    }

    /// One message from and one to each device.
    fn talk(&mut self, qos: u8) -> io::Result<()> {
        let all = 0..self.count;
        self.sn.paced(all.clone(), FAST, "end", |sn, n| sn.publish(n, b"up", qos), |heard| heard.acked)?;
        self.downstream(all, 1, qos)?;
        self.rss(&format!("after QoS {qos} both ways"), Some(1024.0))
    }

    /// `each` messages to every device of `range`, by MQTT; waits for the publisher's acks and, where devices listen,
    /// for the messages.
    fn downstream(&mut self, range: std::ops::Range<usize>, each: u32, qos: u8) -> io::Result<()> {
        let heard = self.sn.heard.publishes;
        let acked = self.mqtt.clients[0].acked;
        let total = range.len() * each as usize;
        self.send(range, each, qos)?;
        let begun = Instant::now();
        while self.sn.heard.publishes < heard + total || self.mqtt.clients[0].acked < acked + total {
            if begun.elapsed() > LIMIT {
                return Err(io::Error::other(format!("deliveries are missing: {:?}", self.sn.heard)));
            }
            self.step()?;
        }
        Ok(())
    }

    /// Publishes and waits for the acks.
    fn send(&mut self, range: std::ops::Range<usize>, each: u32, qos: u8) -> io::Result<()> {
        let before = self.mqtt.clients[0].acked;
        let begun = Instant::now();
        let mut sent = 0;
        for device in range {
            let topic = format!("{}/down", id(device));
            for _ in 0..each {
                while sent >= self.mqtt.clients[0].acked - before + 16 {
                    if begun.elapsed() > LIMIT {
                        return Err(io::Error::other("the driver's messages are not acknowledged"));
                    }
                    self.mqtt.flush(0)?;
                    self.step()?;
                }
                self.mqtt.publish(0, &topic, b"down", qos);
                sent += 1;
            }
        }
        self.mqtt.flush(0)?;
        while self.mqtt.clients[0].acked < before + sent {
            if begun.elapsed() > LIMIT {
                return Err(io::Error::other("the driver's messages are not acknowledged"));
            }
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<()> {
        let files = [(self.mqtt.fd(), libc::POLLIN), (self.sn.fd(), libc::POLLIN)];
        datagrams::wait(&files, Duration::from_millis(20));
        self.mqtt.step(Duration::ZERO)?;
        self.sn.step()
    }

    /// One device's PINGREQ, so that the gateway has had a turn since its timers came due.
    fn ping_one(&mut self) -> io::Result<()> {
        self.sn.paced(0..1, RATE, "PINGRESP", |sn, n| sn.ping(n, ""), |heard| heard.pingresps)
    }

    fn fall_asleep(&mut self) -> io::Result<()> {
        let all = 0..self.count;
        self.sn.paced(
            all,
            FAST,
            "DISCONNECT",
            |sn, n| sn.sleep(n, SLEEP_SECONDS),
            |heard| heard.disconnects,
        )?;
        self.rss("asleep, nothing buffered", Some(1024.0))
    }

    fn wake(&mut self) -> io::Result<()> {
        let waking = WAKING.min(self.count);
        let heard = self.sn.heard.publishes;
        self.send(0..waking, WAITING, 1)?;
        if self.sn.heard.publishes != heard {
            return Err(io::Error::other("a sleeper was sent a message"));
        }
        let before: Vec<u32> = self.sn.devices[..waking].iter().map(|device| device.received).collect();
        let port = self.peer.sn.port();
        let own = self.sn.port()?;
        let (drops, own_drops) = (datagrams::kernel_drops(port)?, datagrams::kernel_drops(own)?);
        let cpu = self.peer.cpu_ns()?;
        let pings = self.sn.heard.pingresps;
        self.sn.delays.clear();
        let begun = Instant::now();
        for device in 0..waking {
            self.sn.ping(device, &id(device));
        }
        self.sn.flush()?;
        self.sn.run_until(LIMIT, "PINGRESP", |sn| sn.heard.pingresps >= pings + waking)?;
        let took = begun.elapsed();
        let cpu = self.peer.cpu_ns()? - cpu;
        for (number, (device, before)) in self.sn.devices.iter().zip(&before).enumerate() {
            if device.received_at_ping != before + WAITING || device.received != before + WAITING {
                return Err(io::Error::other(format!(
                    "device {number} had {} of {WAITING} messages at its PINGRESP",
                    device.received_at_ping - before
                )));
            }
        }
        let mut delays = std::mem::take(&mut self.sn.delays);
        (self.line)(
            "1 000 wake at once, 5 messages each",
            took.as_secs_f64() * 1e3,
            "ms to the last PINGRESP",
            None,
        );
        (self.line)("PINGREQ to PINGRESP p50", percentile(&mut delays, 0.5), "ms", None);
        (self.line)("PINGREQ to PINGRESP p99", percentile(&mut delays, 0.99), "ms", None);
        (self.line)("CPU of that", cpu as f64 / 1e3 / f64::from(WAITING) / waking as f64, "us/message", None);
        let drops = datagrams::kernel_drops(port)? - drops;
        (self.line)("datagrams dropped at the gateway's socket", drops as f64, "", Some(0.0));
        let drops = datagrams::kernel_drops(own)? - own_drops;
        (self.line)("datagrams dropped at the devices' socket", drops as f64, "", Some(0.0));
        Ok(())
    }
}
