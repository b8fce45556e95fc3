//! Token buckets for what strangers provoke: Resets, self-made errors, Echo challenges, registrations.
//!
//! One bucket for all, one for each prefix (/24, /56) out of a fixed table that is indexed by a keyed hash, so a
//! flood from forged addresses costs no memory and cannot aim at the bucket of a chosen victim.
#![deny(clippy::indexing_slicing)]

use broker_core::time::Instant;

use super::sip::SipKey;
use crate::limits::ERROR_REPLY_BUCKETS;

/// A bucket that holds one second's worth.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of one.
    level: u64,
    filled_at: Instant,
}

impl Bucket {
    fn full(per_second: u32) -> Bucket {
        Bucket { level: u64::from(per_second) * 1_000, filled_at: Instant::ZERO }
    }

    fn fill(&mut self, now: Instant, per_second: u32) {
        let rate = u64::from(per_second);
        let passed = (now - self.filled_at).as_millis() as u64;
        self.level = self.level.saturating_add(passed.saturating_mul(rate)).min(rate * 1_000);
        self.filled_at = self.filled_at.max(now);
    }

    fn has_one(&self) -> bool {
        self.level >= 1_000
    }
}

/// An allowance per second, for all and for each prefix.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u32,
    per_prefix: u32,
    all: Bucket,
    prefixes: Box<[Bucket]>,
    key: SipKey,
}

impl Budget {
    pub(crate) fn new(key: SipKey, per_second: u32, per_prefix: u32) -> Budget {
        let prefix = Bucket::full(per_prefix);
        Budget {
            per_second,
            per_prefix,
            all: Bucket::full(per_second),
            prefixes: vec![prefix; ERROR_REPLY_BUCKETS].into_boxed_slice(),
            key,
        }
    }

    /// Takes one from both buckets, or from neither. Without a prefix, only all together count.
    pub(crate) fn take(&mut self, now: Instant, prefix: Option<u64>) -> bool {
        self.all.fill(now, self.per_second);
        let Some(prefix) = prefix else {
            let granted = self.all.has_one();
            self.all.level -= if granted { 1_000 } else { 0 };
            return granted;
        };
        let index = self.key.hash_bytes(&prefix.to_le_bytes()) as usize % ERROR_REPLY_BUCKETS;
        let Some(own) = self.prefixes.get_mut(index) else { return false };
        own.fill(now, self.per_prefix);
        let granted = self.all.has_one() && own.has_one();
        if granted {
            self.all.level -= 1_000;
            own.level -= 1_000;
        }
        granted
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    fn granted(budget: &mut Budget, at_ms: u64, prefixes: impl Iterator<Item = u64>) -> usize {
        prefixes.filter(|prefix| budget.take(Instant::from_millis(at_ms), Some(*prefix))).count()
    }

    #[test]
    fn one_prefix_gets_ten_a_second() {
        let mut budget = Budget::new(SipKey::new(1, 2), 1_000, 10);
        assert_eq!(granted(&mut budget, 0, std::iter::repeat_n(7, 100)), 10);
        assert_eq!(granted(&mut budget, 99, std::iter::repeat_n(7, 100)), 0);
        assert_eq!(granted(&mut budget, 100, std::iter::repeat_n(7, 100)), 1);
        assert_eq!(granted(&mut budget, 1_000_000, std::iter::repeat_n(7, 100)), 10);
        assert_eq!(granted(&mut budget, 1_000_000, std::iter::once(8)), 1);
    }

    #[test]
    fn all_prefixes_together_get_a_thousand_a_second() {
        let mut budget = Budget::new(SipKey::new(1, 2), 1_000, 10);
        assert_eq!(granted(&mut budget, 0, 0..100_000), 1_000);
        assert_eq!(granted(&mut budget, 500, 0..100_000), 500);
    }

    #[test]
    fn this_machine_counts_only_in_all() {
        let mut budget = Budget::new(SipKey::new(1, 2), 1_000, 10);
        assert_eq!((0..5_000).filter(|_| budget.take(Instant::ZERO, None)).count(), 1_000);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_for_free() {
        let mut budget = Budget::new(SipKey::new(1, 2), 1_000, 10);
        assert_eq!(granted(&mut budget, 5_000, std::iter::repeat_n(7, 100)), 10);
        assert_eq!(granted(&mut budget, 4_000, std::iter::repeat_n(7, 100)), 0);
        assert_eq!(granted(&mut budget, 5_000, std::iter::repeat_n(7, 100)), 0);
    }
}
