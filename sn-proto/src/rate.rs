//! Rate limits: token buckets in tables of fixed size (hostile inputs N27, N33).
//!
//! A bucket belongs to a hash, not to a peer: peers whose hashes meet share one. So a flood from a million forged
//! addresses costs no memory, and at worst a stranger is limited with them.

use core::hash::BuildHasher;
use std::net::IpAddr;

use broker_core::Instant;
use hashbrown::DefaultHashBuilder;

use crate::client::RouteRef;
use crate::config::{Rate, Rates};

/// Buckets of one table.
const BUCKETS: usize = 8192;
/// Tokens are counted in thousandths.
const TOKEN: u64 = 1000;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Thousandths of a token that were used and have not come back.
    used: u64,
    seen: Instant,
}

impl Bucket {
    /// Takes one token of a bucket that holds a burst and gains so many a second.
    fn take(&mut self, now: Instant, rate: Rate) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        let held = if rate.burst == 0 { rate.per_second } else { rate.burst };
        let full = u64::from(held) * TOKEN;
        let elapsed = u64::try_from((now - self.seen).as_millis()).unwrap_or(u64::MAX);
        let gained = elapsed.saturating_mul(u64::from(rate.per_second));
        self.used = self.used.saturating_sub(gained);
        self.seen = now;
        if self.used + TOKEN > full {
            return false;
        }
        self.used += TOKEN;
        true
    }
}

/// Buckets for one kind of key, made when the first limit is asked for.
#[derive(Debug, Default)]
struct Table {
    buckets: Vec<Bucket>,
}

impl Table {
    fn take(&mut self, now: Instant, hash: u64, rate: Rate) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        if self.buckets.is_empty() {
            self.buckets = vec![Bucket::default(); BUCKETS];
        }
        let at = usize::try_from(hash >> 16).unwrap_or(0) % BUCKETS;
        self.buckets.get_mut(at).is_none_or(|bucket| bucket.take(now, rate))
    }
}

/// All rate limits of one front-end.
#[derive(Debug, Default)]
pub struct RateLimiter {
    rates: Rates,
    hasher: DefaultHashBuilder,
    addresses: Table,
    clients: Table,
    nodes: Table,
    forwarders: Table,
    connects: Table,
    answers: Table,
    answers_total: Bucket,
}

impl RateLimiter {
    /// A limiter with full buckets.
    pub fn new(rates: Rates) -> Self {
        RateLimiter { rates, ..RateLimiter::default() }
    }

    /// New limits; buckets stay as full as they are.
    pub fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    /// A datagram from `ip`.
    pub fn address(&mut self, now: Instant, ip: IpAddr) -> bool {
        let rate = self.rates.address;
        rate.per_second == 0 || self.addresses.take(now, self.hasher.hash_one(ip), rate)
    }

    /// A datagram from the listed forwarder at `ip`.
    pub fn forwarder(&mut self, now: Instant, ip: IpAddr) -> bool {
        let rate = self.rates.forwarder;
        rate.per_second == 0 || self.forwarders.take(now, self.hasher.hash_one(ip), rate)
    }

    /// A datagram of one node behind a forwarder.
    pub fn node(&mut self, now: Instant, route: RouteRef<'_>) -> bool {
        let rate = self.rates.node;
        rate.per_second == 0 || self.nodes.take(now, self.hasher.hash_one(route), rate)
    }

    /// Whether clients have a limit, so that it is worth while to ask who speaks.
    pub fn limits_clients(&self) -> bool {
        self.rates.client.per_second > 0
    }

    /// A datagram of one client: by its name, or of a stranger, by its place.
    pub fn client(&mut self, now: Instant, name: Option<&str>, route: RouteRef<'_>) -> bool {
        let hash = match name {
            Some(name) => self.hasher.hash_one(name),
            None => self.hasher.hash_one(route),
        };
        self.clients.take(now, hash, self.rates.client)
    }

    /// A CONNECT from this place: of an address, or of a node behind a forwarder.
    pub fn connect(&mut self, now: Instant, route: RouteRef<'_>) -> bool {
        let rate = self.rates.connects;
        if rate.per_second == 0 {
            return true;
        }
        let hash = match route.node {
            Some(_) => self.hasher.hash_one(route),
            None => self.hasher.hash_one(route.address.remote.ip()),
        };
        self.connects.take(now, hash, rate)
    }

    /// An answer to `ip`, which nobody has validated. Networks that are not globally routable have no share of
    /// their own: who can forge their addresses is in them.
    pub fn answer(&mut self, now: Instant, ip: IpAddr) -> bool {
        let per_prefix = if is_public(ip) { self.rates.answers_per_prefix } else { 0 };
        self.answers.take(now, self.hasher.hash_one(prefix(ip)), Rate::per_second(per_prefix))
            && self.answers_total.take(now, Rate::per_second(self.rates.answers_total))
    }
}

/// The /24 or /56 of an address.
fn prefix(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => ip.to_bits() >> 72 << 72 | 1 << 64,
    }
}

/// Whether an address is globally routable, as far as the guard cares: not loopback, private, link-local or
/// unique-local.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()),
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local() || ip.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("ip")
    }

    #[test]
    fn a_bucket_holds_its_burst_and_refills() {
        let ten = Rate::per_second(10);
        let mut bucket = Bucket::default();
        let taken = (0..100).filter(|_| bucket.take(at(5000), ten)).count();
        assert_eq!(taken, 10);
        assert!(!bucket.take(at(5099), ten));
        assert!(bucket.take(at(5100), ten) && !bucket.take(at(5100), ten));
        let taken = (0..100).filter(|_| bucket.take(at(60_000), ten)).count();
        assert_eq!(taken, 10, "never more than it holds");
        assert!((0..10_000).all(|_| bucket.take(at(60_000), Rate::default())));
        let slow = Rate { per_second: 1, burst: 5 };
        let mut bucket = Bucket::default();
        let mut take = |ms| (0..100).filter(|_| bucket.take(at(ms), slow)).count();
        assert_eq!([take(100_000), take(101_000), take(103_500), take(200_000)], [5, 1, 2, 5]);
    }

    #[test]
    fn answers_are_limited_by_prefix_and_in_total() {
        let rates = Rates { answers_total: 50, answers_per_prefix: 10, ..Rates::default() };
        let mut limiter = RateLimiter::new(rates);
        let to = |limiter: &mut RateLimiter, text: &str| {
            (0..30).filter(|_| limiter.answer(at(9000), ip(text))).count()
        };
        assert_eq!(to(&mut limiter, "203.0.113.1"), 10);
        assert_eq!(to(&mut limiter, "203.0.113.200"), 0, "the same /24");
        assert_eq!(to(&mut limiter, "2001:db8:0:1::1"), 10);
        assert_eq!(to(&mut limiter, "2001:db8:0:2::1"), 0, "the same /56");
        assert_eq!(to(&mut limiter, "10.0.0.1"), 30, "only the total counts");
        assert_eq!(to(&mut limiter, "198.51.100.1"), 0, "which is used up");
    }

    #[test]
    fn public_addresses_are_those_that_a_stranger_can_forge() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.1",
        ] {
            assert!(!is_public(ip(private)), "{private}");
        }
        for public in ["8.8.8.8", "2001:db8::1", "100.64.0.1", "::ffff:8.8.8.8"] {
            assert!(is_public(ip(public)), "{public}");
        }
    }
}
