//! [`SnDevice`]: a simulated MQTT-SN device of one of three kinds.
//!
//! ```text
//! always-on:  CONNECT, SUBSCRIBE, then a PUBLISH every interval
//! sleeper:    CONNECT, SUBSCRIBE, PUBLISH, sleep; PINGREQ every interval, every 4th time CONNECT and PUBLISH
//! beacon:     PUBLISH of QoS −1 every interval, no session at all
//! ```
use std::time::{Duration, Instant};

use clap::ValueEnum;
use sn_proto::wire::Qos;

use super::rng::Rng;
use super::swarm::{Device, Wire};
use crate::tools::histogram::Histogram;
use crate::tools::sn::session::{Ask, Event, Failure, Out, Session, Settings, State, Topic};
use crate::tools::terminal::unix_ms;

/// A sleeper publishes every so many intervals.
const PUBLISH_EVERY: u64 = 4;
/// Until the next CONNECT after a failure; doubled up to the longest.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// What a device does all day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Stays connected and publishes
    AlwaysOn,
    /// Sleeps, wakes up to hear what waits, publishes now and then
    Sleeper,
    /// Publishes without a session (QoS -1)
    Beacon,
}

/// What all devices did together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) connects: u64,
    pub(crate) connect_failures: u64,
    pub(crate) published: u64,
    pub(crate) publish_failures: u64,
    pub(crate) delivered: u64,
    pub(crate) wakes: u64,
    pub(crate) sessions_lost: u64,
    pub(crate) given_up: u64,
    pub(crate) skipped: u64,
    pub(crate) connect: Histogram,
    pub(crate) publish: Histogram,
    pub(crate) wake: Histogram,
}

/// What distinguishes one run's devices from another's.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) profile: Profile,
    pub(crate) interval: Duration,
    pub(crate) topic: Topic,
    /// Topic for commands; `None`: the device listens to nothing.
    pub(crate) listen: Option<String>,
    pub(crate) qos: Qos,
    pub(crate) payload: Option<String>,
}

#[derive(Debug)]
pub(crate) struct SnDevice {
    name: String,
    session: Session,
    habits: Habits,
    rng: Rng,
    out: Out,
    next_action: Option<Instant>,
    round: u64,
    value: f64,
    subscribed: bool,
    back_off: Duration,
    stopping: bool,
    stopped: bool,
}

impl SnDevice {
    pub(crate) fn new(settings: Settings, habits: Habits, mut rng: Rng) -> SnDevice {
        SnDevice {
            name: settings.client_id.clone(),
            session: Session::new(settings),
            habits,
            value: 15.0 + 10.0 * rng.unit(),
            rng,
            out: Out::default(),
            next_action: None,
            round: 0,
            subscribed: false,
            back_off: BACK_OFF,
            stopping: false,
            stopped: false,
        }
    }

    /// Messages that the session sent again.
    pub(crate) fn retransmissions(&self) -> u64 {
        self.session.retransmissions
    }

    fn payload(&mut self) -> Vec<u8> {
        self.value += self.rng.unit() - 0.5;
        let value = (self.value * 100.0).round() / 100.0;
        match &self.habits.payload {
            None => format!("{{\"seq\":{},\"value\":{value},\"time\":{}}}", self.round, unix_ms()),
            Some(pattern) => pattern
                .replace("{id}", &self.name)
                .replace("{seq}", &self.round.to_string())
                .replace("{value}", &value.to_string())
                .replace("{time}", &unix_ms().to_string()),
        }
        .into_bytes()
    }

    fn publish(&mut self, now: Instant) {
        let payload = self.payload();
        let ask =
            Ask::Publish { topic: self.habits.topic.clone(), payload, qos: self.habits.qos, retain: false };
        self.session.ask(now, ask, &mut self.out);
    }

    /// Seconds that a sleeper announces: half as long again as it means to sleep.
    fn sleep_seconds(&self) -> u16 {
        u16::try_from(self.habits.interval.mul_f64(1.5).as_secs()).unwrap_or(u16::MAX - 1) + 1
    }

    fn act(&mut self, now: Instant, stats: &mut Stats) {
        self.round += 1;
        self.next_action = Some(now + self.habits.interval);
        match (self.habits.profile, self.session.state) {
            (Profile::Beacon, _) => self.publish(now),
            (_, State::Off) if self.session.is_idle() => self.session.ask(now, Ask::Connect, &mut self.out),
            (Profile::AlwaysOn, State::Active) if self.session.is_idle() => self.publish(now),
            (Profile::Sleeper, State::Asleep) if self.session.is_idle() => {
                let ask = if self.round.is_multiple_of(PUBLISH_EVERY) { Ask::Connect } else { Ask::Wake };
                self.session.ask(now, ask, &mut self.out);
            }
            // The request before has had no answer yet.
            (Profile::AlwaysOn | Profile::Sleeper, State::Off | State::Active | State::Asleep) => {
                stats.skipped += 1;
            }
        }
    }

    fn settle(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        // An event may lead to a request whose event comes at once: QoS 0. Each round takes all there are.
        for _ in 0..16 {
            if self.out.events.is_empty() {
                break;
            }
            for event in std::mem::take(&mut self.out.events) {
                self.on_event(now, event, stats);
            }
        }
        wire.append(&mut self.out.datagrams);
    }

    fn on_event(&mut self, now: Instant, event: Event, stats: &mut Stats) {
        match event {
            Event::Done(Ask::Connect, took) => {
                stats.connects += 1;
                stats.connect.add(took);
                self.back_off = BACK_OFF;
                self.on_connected(now);
            }
            Event::Done(Ask::Publish { .. }, took) => {
                stats.published += 1;
                stats.publish.add(took);
            }
            Event::Done(Ask::Subscribe { .. }, _) => self.subscribed = true,
            Event::Done(Ask::Wake, took) => {
                stats.wakes += 1;
                stats.wake.add(took);
            }
            Event::Done(Ask::Disconnect, _) => self.stopped = true,
            Event::Done(Ask::Ping | Ask::Sleep(_), _) => {}
            Event::Delivery(_) => stats.delivered += 1,
            Event::Failed(ask, failure) => self.on_failure(now, &ask, failure, stats),
            Event::Rejected(_) => stats.publish_failures += 1,
            Event::Ended => {
                stats.sessions_lost += 1;
                self.come_back(now);
            }
        }
    }

    fn on_connected(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        if let Some(filter) = self.habits.listen.clone().filter(|_| !self.subscribed) {
            let ask = Ask::Subscribe { topic: Topic::Name(filter), qos: self.habits.qos };
            self.session.ask(now, ask, &mut self.out);
        }
        self.publish(now);
        if self.habits.profile == Profile::Sleeper {
            let seconds = self.sleep_seconds();
            self.session.ask(now, Ask::Sleep(seconds), &mut self.out);
        }
    }

    fn on_failure(&mut self, now: Instant, ask: &Ask, failure: Failure, stats: &mut Stats) {
        if failure == Failure::NoAnswer {
            stats.given_up += 1;
        }
        match ask {
            Ask::Connect => stats.connect_failures += 1,
            Ask::Publish { .. } => stats.publish_failures += 1,
            Ask::Disconnect => self.stopped = true,
            Ask::Subscribe { .. } | Ask::Ping | Ask::Sleep(_) | Ask::Wake => {}
        }
        if self.session.state == State::Off && self.habits.profile != Profile::Beacon {
            self.come_back(now);
        }
    }

    /// Connects again after a while.
    fn come_back(&mut self, now: Instant) {
        self.subscribed = false;
        let pause = self.back_off.mul_f64(0.5 + self.rng.unit());
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        self.next_action = Some(now + pause);
    }
}

impl Device for SnDevice {
    type Stats = Stats;

    fn start(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        if self.habits.profile != Profile::Beacon {
            self.session.ask(now, Ask::Connect, &mut self.out);
        }
        // Not all of them in the same moment.
        self.next_action = Some(now + self.habits.interval.mul_f64(self.rng.unit()));
        self.settle(now, wire, stats);
    }

    fn handle_datagram(&mut self, now: Instant, bytes: &[u8], wire: &mut Wire, stats: &mut Stats) {
        self.session.handle_datagram(now, bytes, &mut self.out);
        self.settle(now, wire, stats);
    }

    fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        if self.session.next_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now, &mut self.out);
        }
        if self.next_action.is_some_and(|due| due <= now) && !self.stopping {
            self.act(now, stats);
        }
        self.settle(now, wire, stats);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let action = self.next_action.filter(|_| !self.stopping);
        [self.session.next_timeout(), action].into_iter().flatten().min()
    }

    fn stop(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        self.stopping = true;
        if self.session.state == State::Off {
            self.stopped = true;
            return;
        }
        self.session.ask(now, Ask::Disconnect, &mut self.out);
        self.settle(now, wire, stats);
    }

    fn is_stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        now: Instant,
        device: SnDevice,
        stats: Stats,
        wire: Wire,
    }

    fn bench(profile: Profile, topic: Topic, qos: Qos) -> Bench {
        let settings = Settings {
            client_id: "s0".to_owned(),
            keep_alive: 0,
            clean: true,
            will: None,
            retry: Duration::from_secs(10),
            retries: 0,
            node_id: None,
        };
        let habits = Habits {
            profile,
            interval: Duration::from_secs(10),
            topic,
            listen: Some("set".to_owned()),
            qos,
            payload: Some("{id}/{seq}".to_owned()),
        };
        let device = SnDevice::new(settings, habits, Rng::new(1));
        let mut bench = Bench { now: Instant::now(), device, stats: Stats::default(), wire: Wire::new() };
        bench.device.start(bench.now, &mut bench.wire, &mut bench.stats);
        bench
    }

    impl Bench {
        fn hear(&mut self, bytes: &[u8]) {
            self.device.handle_datagram(self.now, bytes, &mut self.wire, &mut self.stats);
        }

        fn wait(&mut self) {
            self.now = self.device.next_timeout().expect("a deadline");
            self.device.handle_timeout(self.now, &mut self.wire, &mut self.stats);
        }

        fn sent(&mut self) -> Wire {
            std::mem::take(&mut self.wire)
        }
    }

    #[test]
    fn a_beacon_publishes_without_a_session() {
        let mut bench = bench(Profile::Beacon, Topic::Short(*b"ab"), Qos::MinusOne);
        assert!(bench.sent().is_empty());
        bench.wait();
        assert_eq!(bench.sent(), [b"\x0b\x0c\x62ab\x00\x00s0/1".to_vec()]);
        bench.wait();
        assert_eq!(bench.sent(), [b"\x0b\x0c\x62ab\x00\x00s0/2".to_vec()]);
        assert_eq!(bench.stats.published, 2);
        bench.device.stop(bench.now, &mut bench.wire, &mut bench.stats);
        assert!(bench.device.is_stopped());
    }

    #[test]
    fn a_sleeper_wakes_and_every_fourth_time_connects_and_publishes() {
        let mut bench = bench(Profile::Sleeper, Topic::Predefined(7), Qos::AtMostOnce);
        assert_eq!(bench.sent(), [b"\x08\x04\x04\x01\x00\x00s0".to_vec()]);
        bench.hear(&[3, 5, 0]);
        assert_eq!(bench.sent(), [b"\x08\x12\x00\x00\x01set".to_vec()]);
        bench.hear(&[8, 0x13, 0, 0, 9, 0, 1, 0]);
        assert_eq!(bench.sent(), [b"\x0b\x0c\x01\x00\x07\x00\x00s0/0".to_vec(), vec![4, 0x18, 0, 16]]);
        bench.hear(&[2, 0x18]);
        for _ in 0..3 {
            bench.wait();
            assert_eq!(bench.sent(), [b"\x04\x16s0"]);
            bench.hear(&[2, 0x17]);
        }
        bench.wait();
        assert_eq!(bench.sent(), [b"\x08\x04\x04\x01\x00\x00s0".to_vec()]);
        bench.hear(&[3, 5, 0]);
        assert_eq!(bench.sent(), [b"\x0b\x0c\x01\x00\x07\x00\x00s0/4".to_vec(), vec![4, 0x18, 0, 16]]);
        assert_eq!((bench.stats.wakes, bench.stats.published, bench.stats.connects), (3, 2, 2));
    }

    #[test]
    fn a_device_whose_gateway_is_silent_tries_again_later() {
        let mut bench = bench(Profile::AlwaysOn, Topic::Predefined(7), Qos::AtLeastOnce);
        let begin = bench.now;
        let mut connects = bench.sent().len();
        while bench.now < begin + Duration::from_secs(120) {
            bench.wait();
            connects += bench.sent().iter().filter(|bytes| bytes.get(1) == Some(&4)).count();
        }
        assert!((4..12).contains(&connects), "{connects}");
        assert_eq!(bench.stats.given_up, bench.stats.connect_failures);
        assert_eq!(bench.stats.connects, 0);
    }
}
