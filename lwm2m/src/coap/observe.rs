//! Observations that we hold at peers (RFC 7641, client side): tokens, the order of notifications, their rate.
//!
//! An observation lives as long as its token: it is independent of the exchange that began it, outlives any idle
//! time, and ends with an error, with a response without Observe, or by being cancelled.
use broker_core::time::Instant;
use hashbrown::HashMap;

use super::event::ExchangeId;
use super::sip::SipKey;
use super::token::Token;
use crate::limits::{NOTIFICATIONS_PER_SECOND_MAX, OBSERVATIONS_MAX, OBSERVE_FRESH_MS};

/// The default of Max-Age in seconds (RFC 7252 §5.10.5).
pub(crate) const MAX_AGE_DEFAULT_S: u32 = 60;

/// One observation.
#[derive(Debug)]
pub(crate) struct Observation<P> {
    pub(crate) peer: P,
    pub(crate) tag: u64,
    /// The request without Observe, as a message: later blocks are fetched by it.
    pub(crate) request: Box<[u8]>,
    /// Last sequence number, when heard, and the message id that carried it. `None`: restored, nothing heard yet.
    heard: Option<Heard>,
    /// The exchange that fetches the later blocks of the last notification.
    pub(crate) fetch: Option<ExchangeId>,
    rate_second: u32,
    rate_count: u16,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    sequence: u32,
    at: Instant,
    mid: u16,
}

/// What to do with a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Newer than all before.
    Fresh,
    /// Older, or a duplicate.
    Stale,
    /// Newer, but above the rate.
    TooMany,
}

/// The rule of RFC 7641 §3.4: V1/T1 is what we have, V2/T2 what came.
fn is_newer(v1: u32, t1: Instant, v2: u32, t2: Instant) -> bool {
    const HALF: u32 = 1 << 23;
    (v1 < v2 && v2 - v1 < HALF)
        || (v1 > v2 && v1 - v2 > HALF)
        || (t2 - t1).as_millis() as u64 > OBSERVE_FRESH_MS
}

impl<P> Observation<P> {
    pub(crate) fn new(peer: P, tag: u64, request: Box<[u8]>) -> Observation<P> {
        Observation { peer, tag, request, heard: None, fetch: None, rate_second: 0, rate_count: 0 }
    }

    /// Notes a sequence number without asking whether it is newer (the first response).
    pub(crate) fn begin(&mut self, now: Instant, sequence: u32, mid: u16) {
        self.heard = Some(Heard { sequence, at: now, mid });
    }

    /// Judges a notification and notes it when it is fresh.
    pub(crate) fn judge(&mut self, now: Instant, sequence: u32, mid: u16) -> Order {
        if let Some(heard) = self.heard {
            // A copy that was on its way for longer than the 128 s would pass the rule; its message id tells.
            let copy = heard.sequence == sequence && heard.mid == mid;
            if copy || !is_newer(heard.sequence, heard.at, sequence, now) {
                return Order::Stale;
            }
        }
        let second = (now.as_millis() / 1_000) as u32;
        if self.rate_second != second {
            self.rate_second = second;
            self.rate_count = 0;
        }
        if self.rate_count >= NOTIFICATIONS_PER_SECOND_MAX {
            return Order::TooMany;
        }
        self.rate_count += 1;
        self.heard = Some(Heard { sequence, at: now, mid });
        Order::Fresh
    }
}

/// All observations, by token.
#[derive(Debug)]
pub(crate) struct Observations<P> {
    by_token: HashMap<Token, Observation<P>, SipKey>,
}

impl<P: Copy + Eq> Observations<P> {
    pub(crate) fn new(key: SipKey) -> Observations<P> {
        Observations { by_token: HashMap::with_hasher(key) }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// The observation with this token at this peer.
    pub(crate) fn get_mut(&mut self, peer: &P, token: &Token) -> Option<&mut Observation<P>> {
        self.by_token.get_mut(token).filter(|observation| observation.peer == *peer)
    }

    /// The observation with this token at whatever peer.
    pub(crate) fn by_token_mut(&mut self, token: &Token) -> Option<&mut Observation<P>> {
        self.by_token.get_mut(token)
    }

    /// Whether the token is in use.
    pub(crate) fn has(&self, token: &Token) -> bool {
        self.by_token.contains_key(token)
    }

    /// Adds or replaces one; `false` when there are too many.
    pub(crate) fn insert(&mut self, token: Token, observation: Observation<P>) -> bool {
        if self.by_token.len() >= OBSERVATIONS_MAX && !self.has(&token) {
            return false;
        }
        self.by_token.insert(token, observation);
        true
    }

    pub(crate) fn remove(&mut self, token: &Token) -> Option<Observation<P>> {
        self.by_token.remove(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn newer_is_what_rfc_7641_says() {
        let top = (1 << 24) - 1;
        let half = 1 << 23;
        let table = [
            (1, 2, 0, true),
            (2, 1, 0, false),
            (1, 1, 0, false),
            (0, half - 1, 0, true),
            (0, half, 0, false),
            (half + 1, 0, 0, true),
            (half, 0, 0, false),
            (top, 0, 0, true),
            (0, top, 0, false),
            (2, 1, 128_000, false),
            (2, 1, 128_001, true),
        ];
        for (v1, v2, ms, newer) in table {
            assert_eq!(is_newer(v1, at(0), v2, at(ms)), newer, "{v1} then {v2} after {ms} ms");
        }
    }

    #[test]
    fn a_late_copy_is_stale_even_after_128_seconds() {
        let mut observation = Observation::new((), 0, Box::default());
        observation.begin(at(0), 5, 77);
        assert_eq!(observation.judge(at(140_000), 5, 77), Order::Stale);
        assert_eq!(observation.judge(at(140_000), 5, 78), Order::Fresh);
    }

    #[test]
    fn a_storm_is_cut_to_the_rate_and_the_next_second_passes_again() {
        let mut observation = Observation::new((), 0, Box::default());
        let fresh = |from: u32, ms, observation: &mut Observation<()>| {
            (from..from + 10_000)
                .filter(|sequence| observation.judge(at(ms), *sequence, *sequence as u16) == Order::Fresh)
                .count()
        };
        assert_eq!(fresh(0, 500, &mut observation), usize::from(NOTIFICATIONS_PER_SECOND_MAX));
        assert_eq!(fresh(20_000, 1_500, &mut observation), usize::from(NOTIFICATIONS_PER_SECOND_MAX));
    }

    #[test]
    fn a_token_counts_only_together_with_its_peer() {
        let mut observations = Observations::new(SipKey::new(1, 2));
        let token = Token::new(&[1; 8]).unwrap();
        assert!(observations.insert(token, Observation::new(1_u8, 9, Box::default())));
        assert!(observations.get_mut(&2, &token).is_none());
        assert_eq!(observations.get_mut(&1, &token).map(|observation| observation.tag), Some(9));
    }
}
