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

    /// Upper half of the hash of `text`: what a [`Slot`] keeps.
    #[inline]
    pub(super) fn hash32(&self, text: &str) -> u32 {
        let mut hasher = FoldHasher::with_seed(self.hasher, &self.shared);
        hasher.write(text.as_bytes());
        (hasher.finish() >> 32) as u32
    }

    /// The hash of a pair of numbers.
    #[inline]
    pub(super) fn mix(&self, a: u32, b: u32) -> u64 {
        let pair = u128::from((u64::from(a) << 32 | u64::from(b)) ^ self.hasher);
        let product = pair * 0x9FB2_1C65_1E98_DF25_u128;
        (product >> 64) as u64 ^ product as u64
    }
}

/// An entry of a hash table: half of the hash lies beside the index, so that a growing table does not visit what it
/// points to, and a probe visits it only for a real hit.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) hash: u32,
    pub(super) index: u32,
}

/// Spreads a slot's hash over the 64 bits that hashbrown wants (it takes the upper seven as a tag).
#[inline]
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
