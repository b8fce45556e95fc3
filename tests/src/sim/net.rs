//! A network of datagrams in virtual time that loses, doubles, delays and reorders.
use super::rng::Rng;
use broker_core::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

/// How bad a network is. Percentages count each way, for every datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Datagrams that never arrive.
    pub loss_percent: u8,
    /// Datagrams that arrive twice.
    pub duplicate_percent: u8,
    /// Datagrams that take `reorder_by` longer than the others.
    pub reorder_percent: u8,
    /// One-way delay of every datagram.
    pub delay: Duration,
    /// Random addition to the delay.
    pub jitter: Duration,
    /// Extra delay of a reordered datagram.
    pub reorder_by: Duration,
}

impl Weather {
    /// Nothing is lost, everything takes a millisecond.
    pub const CLEAR: Weather = Weather {
        loss_percent: 0,
        duplicate_percent: 0,
        reorder_percent: 0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        reorder_by: Duration::ZERO,
    };

    /// 20 % loss each way, 5 % duplicates, 10 % reordering, 10 to 60 ms.
    pub const STORM: Weather = Weather {
        loss_percent: 20,
        duplicate_percent: 5,
        reorder_percent: 10,
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(50),
        reorder_by: Duration::from_millis(250),
    };
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Content.
    pub bytes: Vec<u8>,
}

/// What the network did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetStats {
    /// Datagrams handed in.
    pub sent: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Extra copies.
    pub duplicated: u64,
    /// Sent out of their order.
    pub reordered: u64,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    weather: Weather,
    rng: Rng,
    flying: BinaryHeap<Reverse<(Instant, u64, Datagram)>>,
    count: u64,
    /// What happened so far.
    pub stats: NetStats,
}

impl Net {
    /// A network with this weather and seed.
    pub fn new(weather: Weather, seed: u64) -> Net {
        Net { weather, rng: Rng::new(seed), flying: BinaryHeap::new(), count: 0, stats: NetStats::default() }
    }

    /// Changes the weather for what is sent from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        self.stats.sent += 1;
        if self.rng.percent(self.weather.loss_percent) {
            self.stats.lost += 1;
            return;
        }
        if self.rng.percent(self.weather.duplicate_percent) {
            self.stats.duplicated += 1;
            self.launch(now, datagram.clone());
        }
        self.launch(now, datagram);
    }

    fn launch(&mut self, now: Instant, datagram: Datagram) {
        let jitter = u64::try_from(self.weather.jitter.as_millis()).unwrap_or(0);
        let mut delay = self.weather.delay + Duration::from_millis(self.rng.below(jitter + 1));
        if self.rng.percent(self.weather.reorder_percent) {
            self.stats.reordered += 1;
            delay += self.weather.reorder_by;
        }
        self.count += 1;
        self.flying.push(Reverse((now + delay, self.count, datagram)));
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrive(&mut self, now: Instant) -> Option<Datagram> {
        if self.next_arrival()? > now {
            return None;
        }
        self.flying.pop().map(|Reverse((_, _, datagram))| datagram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(n: u8) -> Datagram {
        Datagram { from: "127.0.0.1:1".parse().unwrap(), to: "127.0.0.1:2".parse().unwrap(), bytes: vec![n] }
    }

    fn arrivals(net: &mut Net) -> Vec<u8> {
        std::iter::from_fn(|| net.arrive(Instant::FAR_FUTURE)).map(|d| d.bytes[0]).collect()
    }

    #[test]
    fn clear_weather_keeps_everything_in_order() {
        let mut net = Net::new(Weather::CLEAR, 1);
        (0..100).for_each(|n| net.send(Instant::ZERO, datagram(n)));
        assert_eq!(arrivals(&mut net), (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn nothing_arrives_before_its_delay() {
        let mut net = Net::new(Weather::CLEAR, 1);
        net.send(Instant::ZERO, datagram(1));
        assert_eq!(net.arrive(Instant::ZERO), None);
        assert!(net.arrive(Instant::from_millis(1)).is_some());
    }

    #[test]
    fn a_storm_loses_doubles_and_reorders_about_as_much_as_it_says() {
        let mut net = Net::new(Weather::STORM, 7);
        (0..10_000u32).for_each(|n| net.send(Instant::from_millis(u64::from(n)), datagram((n % 256) as u8)));
        let stats = net.stats;
        assert!((1800..2200).contains(&stats.lost), "{stats:?}");
        assert!((300..500).contains(&stats.duplicated), "{stats:?}");
        assert!((700..1000).contains(&stats.reordered), "{stats:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = |seed| {
            let mut net = Net::new(Weather::STORM, seed);
            (0..200).for_each(|n| net.send(Instant::ZERO, datagram(n)));
            arrivals(&mut net)
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
