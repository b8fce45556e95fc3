//! Seeded hashes of topics and levels.
use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use std::hash::Hasher;

/// The secret of one table. foldhash's fixed seeds would let a stranger compute collisions.
pub(super) struct Seed {
    hasher: u64,
    shared: SharedSeed,
}

impl Seed {
    pub(super) fn new(seed: u64) -> Self {
        Seed { hasher: seed.rotate_left(32) ^ 0x6A09_E667_F3BC_C908, shared: SharedSeed::from_u64(seed) }
    }

    /// The hash of a text, folded to what a [`super::probe::Probe`] keeps.
    #[inline]
    pub(super) fn hash32(&self, text: &str) -> u32 {
        let mut hasher = FoldHasher::with_seed(self.hasher, &self.shared);
        hasher.write(text.as_bytes());
        fold(hasher.finish())
    }

    /// The hash of a pair of numbers.
    #[inline]
    pub(super) fn mix(&self, a: u32, b: u32) -> u32 {
        let pair = u128::from((u64::from(a) << 32 | u64::from(b)) ^ self.hasher);
        let product = pair * 0x9FB2_1C65_1E98_DF25_u128;
        fold((product >> 64) as u64 ^ product as u64)
    }
}

fn fold(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}
