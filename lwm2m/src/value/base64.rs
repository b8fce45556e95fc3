//! Base 64 (RFC 4648): §4 with padding for JSON and text/plain, §5 without padding for SenML JSON.
//!
//! The decoder takes both alphabets, with or without padding: what is meant is never in doubt.
#![deny(clippy::indexing_slicing)]

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 §4, padded.
pub fn encode(bytes: &[u8]) -> String {
    encode_with(STANDARD, true, bytes)
}

/// RFC 4648 §5, without padding.
pub fn encode_url(bytes: &[u8]) -> String {
    encode_with(URL_SAFE, false, bytes)
}

fn encode_with(alphabet: &[u8; 64], padded: bool, bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, b| group << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 0x3f;
            match alphabet.get(sextet as usize) {
                Some(letter) if place <= chunk.len() => out.push(char::from(*letter)),
                Some(_) | None if padded => out.push('='),
                Some(_) | None => {}
            }
        }
    }
    out
}

/// The bytes of a text in either alphabet; `None` when it is no base 64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let body = match text.len() % 4 {
        0 => text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text),
        _ => text,
    };
    if body.len() % 4 == 1 {
        return None;
    }
    // Exactly as many as come out, so that nothing is shrunk afterwards.
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    let mut wrong = 0;
    for chunk in body.as_bytes().chunks(4) {
        let mut group = 0u32;
        for letter in chunk {
            let sextet = SEXTETS.get(usize::from(*letter)).copied().unwrap_or(NO_LETTER);
            wrong |= sextet;
            group = group << 6 | u32::from(sextet & 0x3f);
        }
        match chunk.len() {
            4 => out.extend_from_slice(&[(group >> 16) as u8, (group >> 8) as u8, group as u8]),
            3 => out.extend_from_slice(&[(group >> 10) as u8, (group >> 2) as u8]),
            _ => out.push((group >> 4) as u8), // two letters: one is refused above
        }
    }
    (wrong & NO_LETTER == 0).then_some(out)
}

/// Marks what is no letter of either alphabet.
const NO_LETTER: u8 = 0x80;

/// The value of each octet as a letter.
const SEXTETS: [u8; 256] = {
    let mut sextets = [NO_LETTER; 256];
    let mut rest: &mut [u8] = &mut sextets;
    let mut letter = 0;
    while let [first, others @ ..] = rest {
        *first = sextet(letter);
        letter = letter.wrapping_add(1);
        rest = others;
    }
    sextets
};

const fn sextet(letter: u8) -> u8 {
    match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => NO_LETTER, // any other octet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_section_10() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(encode_url(bytes.as_bytes()), text.trim_end_matches('='));
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
        assert_eq!(encode_url(&[0xfb, 0xff]), "-_8");
        assert_eq!(decode("-_8="), decode("+/8"));
    }

    #[test]
    fn what_is_no_base_64_is_refused() {
        for text in ["Z", "Zm9vY", "Z===", "Zg=", "=", "====", "Zm 9", "Zm9v\n", "Zg==Zg==", "Zé"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_string_survives(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode(&encode_url(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
