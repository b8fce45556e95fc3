//! SipHash-2-4, the one keyed function from which tokens, message ids, jitter, Echo values and hash tables
//! are fed. It follows Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); the key is secret, so
//! its outputs cannot be foretold by a peer who sees some of them.
#![deny(clippy::indexing_slicing)]

use std::hash::{BuildHasher, Hasher};

/// A streaming SipHash-2-4.
#[derive(Clone, Debug)]
pub(crate) struct Sip24 {
    v: [u64; 4],
    tail: u64,
    tail_bytes: u32,
    length: u64,
}

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

    /// A key for one purpose, derived from this one.
    pub(crate) fn derive(self, label: u64) -> SipKey {
        let word = |half: u64| {
            let mut hasher = self.build_hasher();
            hasher.write_u64(label.to_le());
            hasher.write_u64(half.to_le());
            hasher.finish()
        };
        SipKey(word(0), word(1))
    }

    /// The hash of some bytes.
    pub(crate) fn hash_bytes(self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

impl BuildHasher for SipKey {
    type Hasher = Sip24;

    fn build_hasher(&self) -> Sip24 {
        let SipKey(k0, k1) = *self;
        Sip24 {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            tail_bytes: 0,
            length: 0,
        }
    }
}

fn round(v: &mut [u64; 4]) {
    let [v0, v1, v2, v3] = v;
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

impl Sip24 {
    fn block(&mut self, word: u64) {
        let [.., v3] = &mut self.v;
        *v3 ^= word;
        round(&mut self.v);
        round(&mut self.v);
        let [v0, ..] = &mut self.v;
        *v0 ^= word;
    }

    fn push(&mut self, byte: u8) {
        self.tail |= u64::from(byte) << (8 * self.tail_bytes);
        self.tail_bytes += 1;
        if self.tail_bytes == 8 {
            let word = self.tail;
            self.tail = 0;
            self.tail_bytes = 0;
            self.block(word);
        }
    }
}

impl Hasher for Sip24 {
    fn write(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        while self.tail_bytes != 0 {
            let Some((first, rest)) = bytes.split_first() else { return };
            self.push(*first);
            bytes = rest;
        }
        while let Some((word, rest)) = bytes.split_first_chunk::<8>() {
            self.block(u64::from_le_bytes(*word));
            bytes = rest;
        }
        for byte in bytes {
            self.push(*byte);
        }
    }

    fn finish(&self) -> u64 {
        let mut end = self.clone();
        let last = end.tail | (end.length & 0xff) << 56;
        end.block(last);
        let [_, _, v2, _] = &mut end.v;
        *v2 ^= 0xff;
        for _ in 0..4 {
            round(&mut end.v);
        }
        let [v0, v1, v2, v3] = end.v;
        v0 ^ v1 ^ v2 ^ v3
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    /// The first outputs of the reference table: key 00…0f, input 00, 01, 02 … of the length of the row.
    #[test]
    fn outputs_equal_the_reference_table() {
        let key = SipKey::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(key.hash_bytes(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key.hash_bytes(&input), 0xa129_ca61_49be_45e5);
    }

    #[test]
    #[allow(deprecated)]
    fn any_split_of_the_input_gives_what_the_standard_library_gives() {
        let input: Vec<u8> = (0..=255).collect();
        for len in 0..input.len() {
            for split in [0, len / 3, len / 2, len] {
                let mut theirs = std::hash::SipHasher::new_with_keys(7, 9);
                theirs.write(&input[..len]);
                let mut ours = SipKey::new(7, 9).build_hasher();
                ours.write(&input[..split]);
                ours.write(&input[split..len]);
                assert_eq!(ours.finish(), theirs.finish(), "length {len}, split {split}");
            }
        }
    }
}
