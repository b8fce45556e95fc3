//! Echo values (RFC 9175 §2): proof that a client can be reached at the address that it writes from.
//!
//! Nothing is stored: the value is a MAC over the address and a window of time under a key of this endpoint, and
//! it is accepted in its own window and the next one.
#![deny(clippy::indexing_slicing)]

use std::hash::Hash;

use broker_core::time::Instant;

use super::sip::SipKey;
use crate::limits::ECHO_WINDOW_MS;

fn window(now: Instant) -> u64 {
    now.as_millis() / ECHO_WINDOW_MS
}

/// The value for this address now.
pub(crate) fn value<P: Hash>(key: SipKey, peer: &P, now: Instant) -> [u8; 8] {
    key.mac(peer, window(now)).to_le_bytes()
}

/// Whether a value was given to this address in this window or the last.
pub(crate) fn is_fresh<P: Hash>(key: SipKey, peer: &P, now: Instant, value: &[u8]) -> bool {
    let this = window(now);
    let same = |expected: [u8; 8]| {
        // Every byte is looked at, so that the time taken tells nothing.
        let differences = expected.iter().zip(value).fold(0, |sum, (a, b)| sum | (a ^ b));
        value.len() == expected.len() && differences == 0
    };
    let given_in = |window: u64| same(key.mac(peer, window).to_le_bytes());
    given_in(this) | this.checked_sub(1).is_some_and(given_in)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    #[test]
    fn a_value_is_good_for_its_address_and_for_one_to_two_windows() {
        let key = SipKey::new(5, 6);
        let at = Instant::from_millis;
        let given = value(key, &"10.0.0.1:5683", at(59_999));
        assert!(is_fresh(key, &"10.0.0.1:5683", at(59_999), &given));
        assert!(is_fresh(key, &"10.0.0.1:5683", at(119_999), &given));
        assert!(!is_fresh(key, &"10.0.0.1:5683", at(120_000), &given));
        assert!(!is_fresh(key, &"10.0.0.2:5683", at(59_999), &given));
        assert!(!is_fresh(SipKey::new(5, 7), &"10.0.0.1:5683", at(59_999), &given));
        assert!(!is_fresh(key, &"10.0.0.1:5683", at(59_999), &given[..7]));
        assert!(!is_fresh(key, &"10.0.0.1:5683", at(59_999), &[]));
    }
}
