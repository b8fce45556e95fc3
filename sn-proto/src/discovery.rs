//! When to advertise, and when to answer a search on a group (MQTT-SN §6.1). Pure: no addresses, no messages.
//!
//! ```text
//!              gateway X silent for N_ADV × its Duration
//!   stand-by ──────────────────────────────────────────► active      (without `standby_for`: always active)
//!            ◄──────────────────────────────────────────
//!              X heard again: ADVERTISE, or GWINFO of its own
//! ```
//! Our own messages that a group brings back to us are the driver's to drop: it knows our addresses.

use std::time::Duration;

use broker_core::Instant;
use broker_core::frontend::ListenerId;

use crate::config::Config;

/// A gateway is lost when this many of its ADVERTISE were missed (N_ADV, §7.2).
const MISSED: u32 = 3;
/// A group hears our GWINFO no more often than this; searches in between are answered to the searcher alone.
const GROUP_ANSWER: Duration = Duration::from_secs(5);
/// T_ADV (§7.2), where nobody said another one.
const USUAL_PERIOD: Duration = Duration::from_secs(900);

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

/// What hearing another gateway leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// It has our id, which is a mistake in somebody's configuration.
    pub same_id: bool,
    /// It is the one that we stood in for: we stand by again.
    pub stood_down: bool,
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
    /// When each group heard our GWINFO last; one entry a group.
    group_answers: Vec<(ListenerId, Instant)>,
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
            group_answers: Vec::new(),
        }
    }

    /// New settings, which are advertised at once when they change what is announced. Who stands by for the same
    /// gateway as before keeps what it knows of it.
    pub fn set_config(&mut self, now: Instant, config: &Config) {
        let before = (self.gateway_id, self.period);
        if self.standby_for != config.standby_for {
            self.standby_for = config.standby_for;
            self.silent_since = None;
            self.active = config.standby_for.is_none();
        }
        (self.gateway_id, self.primary) = (config.gateway_id, config.primary);
        self.set_groups(now, config, false);
        if before != (self.gateway_id, self.period) {
            self.announce(now);
        }
    }

    /// Other groups; where some were `added`, they hear of us at once.
    pub fn set_groups(&mut self, now: Instant, config: &Config, added: bool) {
        self.period = period(config);
        self.group_answers.retain(|(heard_on, _)| config.groups.iter().any(|it| it.heard_on == *heard_on));
        if added {
            self.announce(now);
        }
    }

    /// Advertises at once, when it is our turn at all.
    pub fn announce(&mut self, now: Instant) {
        self.next_advertise = now;
    }

    /// When [`Discovery::take_over`] or [`Discovery::advertise_due`] may say yes next.
    pub fn next_timeout(&self) -> Option<Instant> {
        if !self.primary {
            None
        } else if self.active {
            (!self.period.is_zero()).then_some(self.next_advertise)
        } else {
            Some(self.silent_since.map_or(Instant::ZERO, |(since, duration)| since + duration * MISSED))
        }
    }

    /// Whether it is our turn from now on, since the gateway that we stand by for is gone (§6.1).
    pub fn take_over(&mut self, now: Instant) -> bool {
        if !self.primary || self.active {
            return false;
        }
        // None was heard yet: the time counts from the first look, with our own Duration.
        let fallback = if self.period.is_zero() { USUAL_PERIOD } else { self.period };
        let (since, duration) = *self.silent_since.get_or_insert((now, fallback));
        if since + duration * MISSED > now {
            return false;
        }
        self.active = true;
        self.next_advertise = now;
        true
    }

    /// Whether an ADVERTISE is to be sent now; the next one is scheduled.
    pub fn advertise_due(&mut self, now: Instant) -> bool {
        if !self.primary || !self.active || self.period.is_zero() || self.next_advertise > now {
            return false;
        }
        self.next_advertise = now + self.period;
        true
    }

    /// Another gateway was heard, by ADVERTISE (with its `duration`) or by a GWINFO that it sent itself.
    pub fn heard(&mut self, now: Instant, gateway_id: u8, duration: Option<u16>) -> Heard {
        let mut heard = Heard { same_id: gateway_id == self.gateway_id, stood_down: false };
        if self.standby_for == Some(gateway_id) {
            let before = self.silent_since.map(|(_, duration)| duration);
            let told = duration.filter(|seconds| *seconds > 0).map(|it| Duration::from_secs(u64::from(it)));
            let fallback = if self.period.is_zero() { USUAL_PERIOD } else { self.period };
            let duration = told.or(before).unwrap_or(fallback);
            self.silent_since = Some((now, duration));
            heard.stood_down = std::mem::take(&mut self.active); // our clients stay
        }
        heard
    }

    /// How to answer a SEARCHGW that was heard on a group; `known` says whether the group can be answered.
    pub fn group_answer(&mut self, now: Instant, heard_on: ListenerId, known: bool) -> GroupAnswer {
        if !self.primary || !self.active {
            return GroupAnswer::Silence;
        }
        if !known {
            return GroupAnswer::Searcher;
        }
        match self.group_answers.iter_mut().find(|(group, _)| *group == heard_on) {
            Some((_, last)) if now - *last < GROUP_ANSWER => return GroupAnswer::Searcher,
            Some((_, last)) => *last = now,
            None => self.group_answers.push((heard_on, now)),
        }
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

    use broker_core::frontend::Address;

    use super::*;
    use crate::config::Group;

    const G: ListenerId = ListenerId(9);
    const H: ListenerId = ListenerId(10);

    fn group(heard_on: ListenerId) -> Group {
        let remote: SocketAddr = "225.1.1.1:1883".parse().expect("address");
        let to = Address { remote, local: None, listener: ListenerId(0) };
        Group { heard_on, to, ttl: None }
    }

    fn config() -> Config {
        Config { groups: vec![group(G)], ..Config::default() }
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
    fn a_group_hears_us_every_five_seconds_at_most_and_each_group_for_itself() {
        let mut discovery = Discovery::new(&config());
        assert_eq!(discovery.group_answer(at(10), G, true), GroupAnswer::Group);
        assert_eq!(discovery.group_answer(at(14), G, true), GroupAnswer::Searcher);
        assert_eq!(discovery.group_answer(at(14), H, true), GroupAnswer::Group);
        assert_eq!(discovery.group_answer(at(15), G, true), GroupAnswer::Group);
        assert_eq!(discovery.group_answer(at(100), ListenerId(3), false), GroupAnswer::Searcher);
        let mut other = Discovery::new(&Config { primary: false, ..config() });
        assert_eq!(other.group_answer(at(10), G, true), GroupAnswer::Silence);
    }

    #[test]
    fn groups_that_come_hear_of_us_at_once_and_those_that_go_are_forgotten() {
        let mut discovery = Discovery::new(&Config::default());
        assert_eq!(discovery.next_timeout(), None, "no group, nothing to do");
        discovery.set_groups(at(50), &config(), true);
        assert!(discovery.advertise_due(at(50)));
        discovery.group_answer(at(51), G, true);
        let both = Config { groups: vec![group(G), group(H)], ..Config::default() };
        discovery.set_groups(at(60), &both, true);
        assert!(discovery.advertise_due(at(60)) && !discovery.advertise_due(at(61)));
        discovery.set_groups(at(70), &config(), false);
        assert!(!discovery.advertise_due(at(70)), "one less is no news");
        discovery.set_groups(at(80), &Config::default(), false);
        assert!(discovery.group_answers.is_empty());
        assert_eq!(discovery.next_timeout(), None);
    }

    #[test]
    fn a_standby_gateway_takes_over_after_three_missed_periods_and_steps_back() {
        let mut discovery = Discovery::new(&Config { standby_for: Some(7), ..config() });
        assert!(!discovery.take_over(at(0)) && !discovery.advertise_due(at(0)), "silent at first");
        assert_eq!(discovery.group_answer(at(1), G, true), GroupAnswer::Silence);
        assert_eq!(discovery.heard(at(10), 7, Some(100)), Heard::default());
        discovery.heard(at(20), 8, Some(100));
        assert_eq!(discovery.next_timeout(), Some(at(310)));
        discovery.heard(at(50), 7, None);
        assert_eq!(discovery.next_timeout(), Some(at(350)), "a GWINFO is a sign of life too");
        assert!(!discovery.take_over(at(349)) && discovery.take_over(at(350)));
        assert!(discovery.advertise_due(at(350)) && !discovery.take_over(at(350)));
        assert_eq!(discovery.group_answer(at(351), G, true), GroupAnswer::Group);
        assert!(discovery.heard(at(400), 7, Some(100)).stood_down);
        assert_eq!(discovery.group_answer(at(401), G, true), GroupAnswer::Silence);
        assert!(!discovery.take_over(at(699)) && discovery.take_over(at(700)));
    }

    #[test]
    fn a_standby_gateway_that_never_heard_the_other_waits_for_three_of_its_own_periods() {
        let mut discovery = Discovery::new(&Config { standby_for: Some(7), ..config() });
        assert!(!discovery.take_over(at(0)));
        assert_eq!(discovery.next_timeout(), Some(at(2700)));
        assert!(discovery.take_over(at(2700)) && discovery.advertise_due(at(2700)));
    }

    #[test]
    fn a_reload_neither_wakes_a_standby_gateway_nor_silences_one_that_took_over() {
        let settings = Config { standby_for: Some(7), ..config() };
        let mut discovery = Discovery::new(&settings);
        discovery.take_over(at(0));
        discovery.set_config(at(2000), &settings);
        assert!(!discovery.take_over(at(2699)) && discovery.take_over(at(2700)));
        assert!(discovery.advertise_due(at(2700)));
        discovery.set_config(at(2800), &settings);
        assert_eq!(discovery.group_answer(at(2800), G, true), GroupAnswer::Group);
        assert!(!discovery.advertise_due(at(2800)), "nothing that is announced has changed");
        discovery.set_config(at(2900), &Config { gateway_id: 3, ..settings.clone() });
        assert!(discovery.advertise_due(at(2900)));
        discovery.set_config(at(3000), &Config { standby_for: Some(8), ..settings });
        assert_eq!(discovery.group_answer(at(3000), G, true), GroupAnswer::Silence);
    }

    #[test]
    fn another_gateway_with_our_id_is_a_conflict() {
        let mut discovery = Discovery::new(&config());
        assert!(discovery.advertise_due(at(10)));
        assert!(!discovery.heard(at(10), 2, Some(900)).same_id);
        assert!(discovery.heard(at(10), 1, Some(900)).same_id);
        assert!(discovery.heard(at(10), 1, None).same_id);
    }
}
