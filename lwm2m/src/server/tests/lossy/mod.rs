//! Devices as they were captured, over a network that loses, doubles and reorders, in virtual time and many seeds.
//!
//! ```text
//!   MQTT client ── commands ──► World (broker and server) ◄── Air: loss, copies, delays ──► Radio (a CoAP stack) ─ Profile
//! ```
//! [`Radio`] is a CoAP stack of its own, written from RFC 7252 and not from ours; [`Profile`] says what kind of
//! client sits behind it.
mod air;
mod body;
mod firmware;
mod profile;
mod radio;
mod runs;

use air::{Air, Weather};
use profile::Profile;
use radio::Radio;

use super::world::World;
use broker_core::Instant;
use std::time::Duration;

/// A small random number generator (xorshift), so that a seed gives the same run everywhere.
pub(super) struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// One device, its network and the rest of the world.
struct House {
    world: World,
    air: Air,
    radio: Radio,
}

impl House {
    fn new(profile: Profile, weather: Weather, seed: u64) -> House {
        House { world: World::new(), air: Air::new(weather, seed), radio: Radio::new(profile, seed) }
    }

    /// Time passes; everybody acts when it is his turn.
    fn pass(&mut self, duration: Duration) {
        let end = self.world.now.instant + duration;
        for _ in 0..10_000_000u64 {
            self.exchange();
            let now = self.world.now.instant;
            if now >= end {
                return;
            }
            let next = [self.air.next(), self.radio.next(), self.world.next_timeout()];
            let next = next.into_iter().flatten().min().unwrap_or(end).min(end);
            let step = next.saturating_since(now).max(Duration::from_millis(1));
            self.world.pass(step);
        }
        panic!("it never rests");
    }

    /// Datagrams that are due arrive, and what they lead to is on its way, until nothing is due any more.
    fn exchange(&mut self) {
        let now = self.world.now.instant;
        for _ in 0..10_000 {
            self.radio.act(now);
            for datagram in self.radio.out.drain(..) {
                self.air.up(now, datagram);
            }
            let address = self.radio.address();
            for seen in self.world.inbox(address) {
                self.air.down(now, address, seen.packet.to_bytes().expect("it was bytes before"));
            }
            match self.air.due(now) {
                None => return,
                Some(air::Datagram::ToServer { from, bytes }) => self.world.datagram(from, &bytes),
                Some(air::Datagram::ToDevice { to, bytes }) => {
                    if to == self.radio.address() {
                        self.radio.hear(now, &bytes); // who has moved on hears nothing at the old place
                    }
                }
            }
        }
        panic!("datagrams without end");
    }

    /// Passes time until this holds.
    fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&House) -> bool) {
        let end = self.world.now.instant + limit;
        while !holds(self) {
            assert!(self.world.now.instant < end, "{what} not within {limit:?}: {:?}", self.radio);
            self.pass(Duration::from_millis(500));
        }
    }
}

fn millis(instant: Instant, ms: u64) -> Instant {
    instant + Duration::from_millis(ms)
}
