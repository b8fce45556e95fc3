//! Message checks: what a datagram must satisfy before `coap_lite` sees it (RFC 7252 §3, §4.2, §4.3).
//!
//! `Packet::from_bytes` takes any version, a payload marker without a payload, an Empty message with a token
//! and any reserved class; those are sorted out here, with the reaction that the message type asks for: a
//! malformed Confirmable message is rejected with Reset, anything else is ignored without a word.
#![deny(clippy::indexing_slicing)]

use coap_lite::MessageType;

use super::token::Token;
use crate::limits::OPTIONS_PER_MESSAGE_MAX;

/// The fixed part of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) code: u8,
    pub(crate) mid: u16,
    pub(crate) token: Token,
}

/// The four message types (RFC 7252 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

impl From<Kind> for MessageType {
    fn from(kind: Kind) -> MessageType {
        match kind {
            Kind::Confirmable => MessageType::Confirmable,
            Kind::NonConfirmable => MessageType::NonConfirmable,
            Kind::Acknowledgement => MessageType::Acknowledgement,
            Kind::Reset => MessageType::Reset,
        }
    }
}

/// Why a datagram is no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Malformed {
    /// Fewer than the four bytes of the header.
    Short,
    /// A version other than 1.
    Version,
    /// Token length 9 to 15, or a token that runs over the end.
    Token,
    /// An Empty code with anything after the message id.
    EmptyWithContent,
    /// A code of a reserved class (1, 6, 7).
    ReservedClass,
    /// An Acknowledgement or Reset with a code that it cannot have.
    CodeOfType,
    /// An option that uses a reserved nibble or runs over the end, or a number above 65535.
    Option,
    /// More options than [`OPTIONS_PER_MESSAGE_MAX`].
    TooManyOptions,
    /// A payload marker with nothing behind it.
    MarkerWithoutPayload,
}

/// What a datagram is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Checked {
    /// Well-formed.
    Message(Head),
    /// Ignore silently.
    Drop(Malformed),
    /// Reject with a Reset of this message id.
    Reset(u16, Malformed),
}

/// Checks a datagram.
pub(crate) fn check(datagram: &[u8]) -> Checked {
    let Some(([first, code, mid_high, mid_low], rest)) = datagram.split_first_chunk::<4>() else {
        return Checked::Drop(Malformed::Short);
    };
    // RFC 7252 §3: messages with an unknown version are silently ignored.
    if first >> 6 != 1 {
        return Checked::Drop(Malformed::Version);
    }
    let kind = match (first >> 4) & 3 {
        0 => Kind::Confirmable,
        1 => Kind::NonConfirmable,
        2 => Kind::Acknowledgement,
        _three => Kind::Reset,
    };
    let mid = u16::from_be_bytes([*mid_high, *mid_low]);
    match checked_rest(kind, *code, usize::from(first & 0x0f), rest) {
        Ok(token) => Checked::Message(Head { kind, code: *code, mid, token }),
        // §4.2: a Confirmable message that cannot be processed is rejected with a Reset; §4.2 and §4.3 let the
        // others be ignored, and a silent end gives a prober the least.
        Err(reason) if kind == Kind::Confirmable => Checked::Reset(mid, reason),
        Err(reason) => Checked::Drop(reason),
    }
}

fn checked_rest(kind: Kind, code: u8, token_length: usize, rest: &[u8]) -> Result<Token, Malformed> {
    if token_length > 8 {
        return Err(Malformed::Token);
    }
    // §4.1: an Empty message has nothing after the message id.
    if code == 0 {
        let empty = token_length == 0 && rest.is_empty();
        return if empty { Ok(Token::EMPTY) } else { Err(Malformed::EmptyWithContent) };
    }
    match (kind, code >> 5) {
        (_, 1 | 6 | 7) => return Err(Malformed::ReservedClass),
        // §4.2, §4.3: an Acknowledgement carries a response or is Empty, a Reset is Empty.
        (Kind::Reset, _) | (Kind::Acknowledgement, 0) => return Err(Malformed::CodeOfType),
        (Kind::Confirmable | Kind::NonConfirmable | Kind::Acknowledgement, _) => {}
    }
    let (token, options) = rest.split_at_checked(token_length).ok_or(Malformed::Token)?;
    check_options(options)?;
    Token::new(token).ok_or(Malformed::Token)
}

/// Walks the options to their end or to the payload marker (§3.1).
fn check_options(mut rest: &[u8]) -> Result<(), Malformed> {
    let mut number = 0_u32;
    for _ in 0..=OPTIONS_PER_MESSAGE_MAX {
        let Some((first, after)) = rest.split_first() else { return Ok(()) };
        if *first == 0xff {
            return if after.is_empty() { Err(Malformed::MarkerWithoutPayload) } else { Ok(()) };
        }
        let (delta, after) = extended(first >> 4, after)?;
        let (length, after) = extended(first & 0x0f, after)?;
        number += delta;
        if number > u32::from(u16::MAX) {
            return Err(Malformed::Option);
        }
        (_, rest) = after.split_at_checked(length as usize).ok_or(Malformed::Option)?;
    }
    Err(Malformed::TooManyOptions)
}

fn extended(nibble: u8, rest: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    match nibble {
        0..=12 => Ok((u32::from(nibble), rest)),
        13 => {
            let (byte, rest) = rest.split_first().ok_or(Malformed::Option)?;
            Ok((u32::from(*byte) + 13, rest))
        }
        14 => {
            let (bytes, rest) = rest.split_first_chunk::<2>().ok_or(Malformed::Option)?;
            Ok((u32::from(u16::from_be_bytes(*bytes)) + 269, rest))
        }
        _reserved => Err(Malformed::Option),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn malformed_datagrams_are_reset_or_dropped_as_their_type_asks() {
        use Checked::{Drop, Reset};
        use Malformed::{
            CodeOfType, EmptyWithContent, MarkerWithoutPayload, Option, ReservedClass, Short, TooManyOptions,
            Version,
        };
        let table = [
            ("", Drop(Short)),
            ("40", Drop(Short)),
            ("40 01 00", Drop(Short)),
            ("00 01 00 01", Drop(Version)),
            ("C0 01 00 01", Drop(Version)),
            ("80 01 00 01", Drop(Version)),
            ("4F 01 00 01 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F", Reset(1, Malformed::Token)),
            ("49 01 00 01 01 02 03 04 05 06 07 08 09", Reset(1, Malformed::Token)),
            ("48 01 00 01 01 02", Reset(1, Malformed::Token)),
            ("58 01 00 01 01 02", Drop(Malformed::Token)),
            ("41 00 00 01 AA", Reset(1, EmptyWithContent)),
            ("40 00 00 01 FF 00", Reset(1, EmptyWithContent)),
            ("61 00 00 01 AA", Drop(EmptyWithContent)),
            ("40 01 00 01 FF", Reset(1, MarkerWithoutPayload)),
            ("50 01 00 01 FF", Drop(MarkerWithoutPayload)),
            ("40 01 00 01 F0", Reset(1, Option)),
            ("40 01 00 01 0F", Reset(1, Option)),
            ("40 01 00 01 E0 00", Reset(1, Option)),
            ("40 01 00 01 D0", Reset(1, Option)),
            ("40 01 00 01 0E 00", Reset(1, Option)),
            ("40 01 00 01 BE FF FF", Reset(1, Option)),
            ("40 01 00 01 B2 72", Reset(1, Option)),
            ("40 01 00 01 E0 FF FF E0 FF FF", Reset(1, Option)),
            ("40 01 00 01 E0 FE F3", Reset(1, Option)),
            ("44 02 E6 E2 E2 E6 81 67 B2 72 64 11", Reset(0xe6e2, Option)),
            ("40 20 00 01", Reset(1, ReservedClass)),
            ("40 C0 00 01", Reset(1, ReservedClass)),
            ("40 FF 00 01", Reset(1, ReservedClass)),
            ("50 FF 00 01", Drop(ReservedClass)),
            ("70 45 00 01", Drop(CodeOfType)),
            ("70 01 00 01", Drop(CodeOfType)),
            ("60 01 00 01", Drop(CodeOfType)),
        ];
        for (hex, expected) in table {
            assert_eq!(check(&bytes(hex)), expected, "{hex}");
        }
        let many = [&bytes("40 01 00 01")[..], &[0; OPTIONS_PER_MESSAGE_MAX + 1]].concat();
        assert_eq!(check(&many), Reset(1, TooManyOptions));
    }

    #[test]
    fn well_formed_datagrams_give_their_head() {
        let message = |kind, code, token: &[u8]| {
            Checked::Message(Head { kind, code, mid: 1, token: Token::new(token).unwrap() })
        };
        let table = [
            ("40 01 00 01", message(Kind::Confirmable, 1, &[])),
            ("50 02 00 01 B2 72 64 FF 00", message(Kind::NonConfirmable, 2, &[])),
            ("42 01 00 01 AB CD", message(Kind::Confirmable, 1, &[0xab, 0xcd])),
            ("60 45 00 01", message(Kind::Acknowledgement, 0x45, &[])),
            ("60 00 00 01", message(Kind::Acknowledgement, 0, &[])),
            ("70 00 00 01", message(Kind::Reset, 0, &[])),
            ("40 00 00 01", message(Kind::Confirmable, 0, &[])),
            // The highest option number and the code of an unknown method are well-formed.
            ("40 01 00 01 E0 FE F2", message(Kind::Confirmable, 1, &[])),
            ("40 1F 00 01", message(Kind::Confirmable, 0x1f, &[])),
        ];
        for (hex, expected) in table {
            assert_eq!(check(&bytes(hex)), expected, "{hex}");
        }
        let many = [&bytes("40 01 00 01")[..], &[0; OPTIONS_PER_MESSAGE_MAX]].concat();
        assert!(matches!(check(&many), Checked::Message(_)));
    }

    proptest::proptest! {
        #[test]
        fn what_passes_the_check_passes_coap_lite(datagram in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            if let Checked::Message(_) = check(&datagram) {
                proptest::prop_assert!(coap_lite::Packet::from_bytes(&datagram).is_ok());
            }
        }
    }
}
