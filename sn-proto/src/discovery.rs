//! When to advertise, and when to answer a search on a group (MQTT-SN §6.1). Pure: no addresses, no messages.

use std::time::Duration;

use broker_core::Instant;

use crate::config::Config;

/// A gateway is lost when this many of its ADVERTISE were missed (N_ADV, §7.2).
const MISSED: u32 = 3;
/// A group hears our GWINFO no more often than this; searches in between are answered to the searcher alone.
const GROUP_ANSWER: Duration = Duration::from_secs(5);
/// An ADVERTISE with our id that soon after our own is our own, heard back.
const ECHO: Duration = Duration::from_secs(2);

/// How a search heard on a group is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAnswer {
    /// To the group.
    Group,
    /// To the searcher, since the group heard us just now.
    Searcher,
    /// Not at all: we stand by, or another worker answers.
    Silence,
}

/// Discovery of one front-end.
#[derive(Debug)]
pub struct Discovery {
    gateway_id: u8,
    /// Zero: we do not advertise.
    period: Duration,
    primary: bool,
    standby_for: Option<u8>,
    /// Standing by: since when the other gateway is silent, and its Duration.
    silent_since: Option<(Instant, Duration)>,
    /// Our turn, if we stand by for somebody.
    active: bool,
    next_advertise: Instant,
    last_advertise: Option<Instant>,
    last_group_answer: Option<Instant>,
}

impl Discovery {
    /// Discovery that advertises at once, or stands by.
    pub fn new(config: &Config) -> Self {
        Discovery {
            gateway_id: config.gateway_id,
            period: period(config),
            primary: config.primary,
            standby_for: config.standby_for,
            silent_since: None,
            active: config.standby_for.is_none(),
            next_advertise: Instant::ZERO,
            last_advertise: None,
            last_group_answer: None,
        }
    }

    /// New settings, which are advertised at once.
    pub fn set_config(&mut self, now: Instant, config: &Config) {
        let last_group_answer = self.last_group_answer;
        *self = Discovery { next_advertise: now, last_group_answer, ..Discovery::new(config) };
    }

    /// When [`Discovery::advertise_due`] may say yes next.
    pub fn next_timeout(&self) -> Option<Instant> {
        if !self.primary {
            None
        } else if self.active {
            (!self.period.is_zero()).then_some(self.next_advertise)
        } else {
            Some(self.silent_since.map_or(Instant::ZERO, |(since, duration)| since + duration * MISSED))
        }
    }

    /// Whether an ADVERTISE is to be sent now; the next one is scheduled.
    pub fn advertise_due(&mut self, now: Instant) -> bool {
        if !self.primary {
            return false;
        }
        if !self.active {
            // None was heard yet: the time counts from the first look, with our own Duration.
            let fallback = if self.period.is_zero() { Duration::from_secs(900) } else { self.period };
            let (since, duration) = *self.silent_since.get_or_insert((now, fallback));
            if since + duration * MISSED > now {
                return false;
            }
            self.active = true; // §6.1: the other gateway is gone
            self.next_advertise = now;
        }
        if self.period.is_zero() || self.next_advertise > now {
            return false;
        }
        self.next_advertise = now + self.period;
        self.last_advertise = Some(now);
        true
    }

    /// Another gateway was heard, by ADVERTISE (with its `duration`) or GWINFO. `true` when it has our id, which
    /// is a mistake in somebody's configuration.
    pub fn heard(&mut self, now: Instant, gateway_id: u8, duration: Option<u16>) -> bool {
        if self.standby_for == Some(gateway_id) {
            let before = self.silent_since.map(|(_, duration)| duration);
            let told = duration.filter(|seconds| *seconds > 0).map(|it| Duration::from_secs(u64::from(it)));
            let duration = told.or(before).unwrap_or(self.period);
            self.silent_since = Some((now, duration));
            self.active = false; // back to stand-by; our clients stay
        }
        let echo = self.last_advertise.is_some_and(|sent| now - sent < ECHO);
        gateway_id == self.gateway_id && duration.is_some() && !echo
    }

    /// How to answer a SEARCHGW that was heard on a group.
    pub fn group_answer(&mut self, now: Instant) -> GroupAnswer {
        if !self.primary || !self.active {
            return GroupAnswer::Silence;
        }
        if self.last_group_answer.is_some_and(|last| now - last < GROUP_ANSWER) {
            return GroupAnswer::Searcher;
        }
        self.last_group_answer = Some(now);
        GroupAnswer::Group
    }
}

fn period(config: &Config) -> Duration {
    let heard = !config.groups.is_empty() || !config.advertise_to_forwarders.is_empty();
    Duration::from_secs(if heard { u64::from(config.advertise_duration) } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use broker_core::frontend::{Address, ListenerId};

    use super::*;
    use crate::config::Group;

    fn config() -> Config {
        let remote: SocketAddr = "225.1.1.1:1883".parse().expect("address");
        let to = Address { remote, local: None, listener: ListenerId(0) };
        Config { groups: vec![Group { to, ttl: None }], ..Config::default() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn the_first_advertise_comes_at_once_and_then_every_period() {
        let mut discovery = Discovery::new(&config());
        assert_eq!(discovery.next_timeout(), Some(Instant::ZERO));
        assert!(discovery.advertise_due(at(100)) && !discovery.advertise_due(at(100)));
        assert_eq!(discovery.next_timeout(), Some(at(1000)));
        assert!(!discovery.advertise_due(at(999)) && discovery.advertise_due(at(1000)));
    }

    #[test]
    fn nobody_advertises_without_groups_or_beside_the_primary_worker() {
        for config in [
            Config::default(),
            Config { advertise_duration: 0, ..config() },
            Config { primary: false, ..config() },
        ] {
            let mut discovery = Discovery::new(&config);
            assert!(!discovery.advertise_due(at(100_000)));
            assert_eq!(discovery.next_timeout(), None);
        }
    }

    #[test]
    fn a_group_hears_us_every_five_seconds_at_most() {
        let mut discovery = Discovery::new(&config());
        assert_eq!(discovery.group_answer(at(10)), GroupAnswer::Group);
        assert_eq!(discovery.group_answer(at(14)), GroupAnswer::Searcher);
        assert_eq!(discovery.group_answer(at(15)), GroupAnswer::Group);
        let mut other = Discovery::new(&Config { primary: false, ..config() });
        assert_eq!(other.group_answer(at(10)), GroupAnswer::Silence);
    }

    #[test]
    fn a_standby_gateway_takes_over_after_three_missed_periods_and_steps_back() {
        let mut discovery = Discovery::new(&Config { standby_for: Some(7), ..config() });
        assert!(!discovery.advertise_due(at(0)), "silent at first");
        assert_eq!(discovery.group_answer(at(1)), GroupAnswer::Silence);
        discovery.heard(at(10), 7, Some(100));
        discovery.heard(at(20), 8, Some(100));
        assert_eq!(discovery.next_timeout(), Some(at(310)));
        discovery.heard(at(50), 7, None);
        assert_eq!(discovery.next_timeout(), Some(at(350)), "a GWINFO is a sign of life too");
        assert!(!discovery.advertise_due(at(349)) && discovery.advertise_due(at(350)));
        assert_eq!(discovery.group_answer(at(351)), GroupAnswer::Group);
        discovery.heard(at(400), 7, Some(100));
        assert_eq!(discovery.group_answer(at(401)), GroupAnswer::Silence);
        assert!(!discovery.advertise_due(at(699)) && discovery.advertise_due(at(700)));
    }

    #[test]
    fn a_standby_gateway_that_never_heard_the_other_waits_for_three_of_its_own_periods() {
        let mut discovery = Discovery::new(&Config { standby_for: Some(7), ..config() });
        assert!(!discovery.advertise_due(at(0)));
        assert_eq!(discovery.next_timeout(), Some(at(2700)));
        assert!(discovery.advertise_due(at(2700)));
    }

    #[test]
    fn our_own_advertise_heard_back_is_no_conflict() {
        let mut discovery = Discovery::new(&config());
        assert!(discovery.advertise_due(at(10)));
        assert!(!discovery.heard(at(10), 1, Some(900)));
        assert!(!discovery.heard(at(300), 2, Some(900)));
        assert!(discovery.heard(at(300), 1, Some(900)), "another gateway with our id");
    }
}
