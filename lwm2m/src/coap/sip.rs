//! The one keyed function from which tokens, message ids, jitter, Echo values and hash tables are fed: SipHash
//! (Aumasson and Bernstein, 2012). The key is secret, so its outputs cannot be foretold by a peer who sees some of
//! them. What a peer sees is SipHash-2-4; tables, which nobody sees, take the faster SipHash-1-3.
#![deny(clippy::indexing_slicing)]

use siphasher::sip::{SipHasher13, SipHasher24};
use std::hash::{BuildHasher, Hash, Hasher};

/// A secret key, which also builds hashers for tables (so that a peer cannot aim at one bucket).
#[derive(Clone, Copy)]
pub(crate) struct SipKey(u64, u64);

impl std::fmt::Debug for SipKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SipKey(..)")
    }
}

impl SipKey {
    /// A key of two words.
    pub(crate) fn new(k0: u64, k1: u64) -> SipKey {
        SipKey(k0, k1)
    }

    fn strong(self) -> SipHasher24 {
        SipHasher24::new_with_keys(self.0, self.1)
    }

    /// A key for one purpose, derived from this one.
    pub(crate) fn derive(self, label: u64) -> SipKey {
        SipKey(self.draw(label, 0), self.draw(label, 1))
    }

    /// 64 bits that nobody without the key can foretell.
    pub(crate) fn draw(self, first: u64, second: u64) -> u64 {
        let mut hasher = self.strong();
        hasher.write(&first.to_le_bytes());
        hasher.write(&second.to_le_bytes());
        hasher.finish()
    }

    /// A tag that only the holder of the key can make for this value at this number.
    pub(crate) fn mac<T: Hash>(self, value: &T, number: u64) -> u64 {
        let mut hasher = self.strong();
        value.hash(&mut hasher);
        hasher.write_u64(number);
        hasher.finish()
    }

    /// The hash of some bytes, for tables and comparisons here.
    pub(crate) fn hash_bytes(self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

impl BuildHasher for SipKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of the reference table of SipHash-2-4: key 00..0f, inputs 00, 01, 02 ... of 15 and 16 octets.
    #[test]
    fn outputs_that_leave_are_siphash_2_4() {
        let key = SipKey::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let mut hasher = key.strong();
        hasher.write(&(0..15).collect::<Vec<u8>>());
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
        assert_eq!(key.draw(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908), 0x3f2a_cc7f_57c2_9bdb);
    }

    #[test]
    fn another_key_label_or_number_gives_another_output() {
        let key = SipKey::new(1, 2);
        let all = [
            key.draw(0, 0),
            key.draw(0, 1),
            key.draw(1, 0),
            key.derive(1).draw(0, 0),
            SipKey::new(2, 1).draw(0, 0),
            key.mac(&"peer", 1),
            key.mac(&"peer", 2),
            key.mac(&"reep", 1),
        ];
        let different: std::collections::HashSet<u64> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
