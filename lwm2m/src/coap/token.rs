//! What must not be guessed: tokens, first message ids and the random share of time-outs.
//!
//! Everything is drawn from SipHash under keys that are derived from the seed handed in, over a counter: a peer
//! that knows all earlier outputs cannot tell the next one (RFC 7252 §5.3.1 asks for tokens that are hard to
//! guess, §4.4 for an unpredictable first message id).
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::sip::SipKey;

/// A CoAP token: 0 to 8 bytes that tie a response to its request (RFC 7252 §5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Token {
    length: u8,
    bytes: [u8; 8],
}

impl Token {
    /// The empty token, which a device may use when it has one request open at a time.
    pub const EMPTY: Token = Token { length: 0, bytes: [0; 8] };

    /// A token of these bytes; `None` when there are more than eight.
    pub fn new(from: &[u8]) -> Option<Token> {
        let mut bytes = [0; 8];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Token { length: from.len() as u8, bytes })
    }

    /// The bytes as on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// How many bytes the token takes on the wire.
    pub fn wire_len(&self) -> usize {
        usize::from(self.length)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The secrets of one endpoint and its generator.
#[derive(Debug)]
pub(crate) struct Secrets {
    draw: SipKey,
    drawn: u64,
    /// For the MAC of Echo values.
    pub(crate) echo: SipKey,
    /// For hash tables and the fingerprints of datagrams.
    pub(crate) table: SipKey,
}

impl Secrets {
    /// Derives all keys from a seed of 32 secret bytes.
    pub(crate) fn new(seed: [u8; 32]) -> Secrets {
        let (low, high) = seed.split_at(16);
        let word = |bytes: &[u8], at: usize| {
            let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
        };
        let first = SipKey::new(word(low, 0), word(low, 8));
        let second = SipKey::new(word(high, 0), word(high, 8));
        let mix = |label: u64| first.derive(second.draw(label, 0));
        Secrets { draw: mix(1), drawn: 0, echo: mix(2), table: mix(3) }
    }

    /// The next 64 unpredictable bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.draw.draw(self.drawn, 0)
    }

    /// A fresh token of eight bytes.
    pub(crate) fn token(&mut self) -> Token {
        Token { length: 8, bytes: self.next_u64().to_le_bytes() }
    }

    /// The first message id for a peer.
    pub(crate) fn first_mid(&mut self) -> u16 {
        self.next_u64() as u16
    }

    /// A number of milliseconds between `low` and `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        low + self.next_u64() % span
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tokens_differ_from_each_other_and_from_those_of_another_seed() {
        let mut a = Secrets::new([1; 32]);
        let mut b = Secrets::new([2; 32]);
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            assert!(seen.insert(a.token()));
            assert!(seen.insert(b.token()));
        }
    }

    #[test]
    fn both_halves_of_the_seed_count() {
        let mut low = [0; 32];
        let mut high = [0; 32];
        low[0] = 1;
        high[31] = 1;
        let firsts = [[0; 32], low, high].map(|seed| Secrets::new(seed).next_u64());
        assert_eq!(firsts.iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn a_token_has_at_most_eight_bytes() {
        assert_eq!(Token::new(&[1, 2, 3]).map(|token| token.as_bytes().to_vec()), Some(vec![1, 2, 3]));
        assert_eq!(Token::new(&[0; 9]), None);
        assert_eq!(Token::new(&[]), Some(Token::EMPTY));
        assert_ne!(Token::new(&[0]), Some(Token::EMPTY));
    }

    #[test]
    fn jitter_stays_between_its_bounds_and_reaches_both_halves() {
        let mut secrets = Secrets::new([3; 32]);
        let draws: Vec<u64> = (0..1_000).map(|_| secrets.between(2_000, 3_000)).collect();
        assert!(draws.iter().all(|ms| (2_000..=3_000).contains(ms)));
        assert!(draws.iter().any(|ms| *ms < 2_400) && draws.iter().any(|ms| *ms > 2_600));
    }
}
