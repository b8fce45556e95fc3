//! A datagram in one line for people: `CON GET /3/0/9 mid 4711 token 0102 accept 112 (SenML CBOR) block2 0/64`.
//!
//! Options stand in words, in the order of their numbers but for the path, which comes first. A block is its number, a
//! `+` when more follow, and its size. Texts and payloads come from peers, so they are quoted with everything escaped
//! that is not plain, and cut; the line never holds a line break.
#![deny(clippy::indexing_slicing)]

use std::fmt::{self, Display, Formatter, Write};

use coap_lite::CoapOption;

use super::block::Block;
use super::check::{Checked, Head, Kind, check};
use super::message::{Code, Options};
use crate::command::code_message;
use crate::content::ContentFormat;

/// Characters of a text, and bytes in hex, that are shown; a line stays readable, the bytes themselves are elsewhere.
const SHOWN_MAX: usize = 64;

/// The line of a datagram; what is wrong with it when it is no message.
pub fn describe(datagram: &[u8]) -> String {
    let head = match check(datagram) {
        Checked::Message(head) => head,
        Checked::Drop(reason) | Checked::Reset(_, reason) => return format!("malformed: {reason:?}"),
    };
    match Options::decode(datagram) {
        Some((options, payload)) => Line { head, options: &options, payload: &payload }.to_string(),
        None => "malformed".to_owned(),
    }
}

/// The endpoint's name in a Register: the `ep` of a POST to /rd.
pub(crate) fn register_name(datagram: &[u8]) -> Option<Vec<u8>> {
    let Checked::Message(head) = check(datagram) else { return None };
    let (options, _) = Options::decode(datagram).filter(|_| Code(head.code) == Code::POST)?;
    let name = options.query().find_map(|query| query.strip_prefix(b"ep="))?;
    options.path().eq([&b"rd"[..]]).then(|| name.to_vec())
}

struct Line<'a> {
    head: Head,
    options: &'a Options,
    payload: &'a [u8],
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let code = Code(self.head.code);
        f.write_str(match self.head.kind {
            Kind::Confirmable => "CON",
            Kind::NonConfirmable => "NON",
            Kind::Acknowledgement => "ACK",
            Kind::Reset => "RST",
        })?;
        if code.is_known_method() {
            write!(f, " {}", method(code))?;
            self.path(f)?;
        } else if code == Code::EMPTY {
            f.write_str(if self.head.kind == Kind::Confirmable { " empty (ping)" } else { " empty" })?;
        } else {
            write!(f, " {code}")?;
            match code_message(code) {
                "unknown" => {}
                name => write!(f, " {}", name.replace('_', " "))?,
            }
        }
        write!(f, " mid {}", self.head.mid)?;
        if self.head.token.wire_len() > 0 {
            write!(f, " token {}", Hex(self.head.token.as_bytes()))?;
        }
        self.options(f, code.is_known_method())?;
        match self.payload.len() {
            0 => Ok(()),
            1 => write!(f, ", 1 byte {}", self.shown_payload()),
            length => write!(f, ", {length} bytes {}", self.shown_payload()),
        }
    }
}

impl Line<'_> {
    fn path(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(" ")?;
        let mut any = false;
        for segment in self.options.path() {
            any = true;
            write!(f, "/{}", Plain(segment))?;
        }
        if !any {
            f.write_str("/")?;
        }
        for (number, argument) in self.options.query().enumerate() {
            write!(f, "{}{}", if number == 0 { '?' } else { '&' }, Plain(argument))?;
        }
        Ok(())
    }

    fn options(&self, f: &mut Formatter<'_>, is_request: bool) -> fmt::Result {
        let mut last = None;
        for (number, value) in self.options.iter() {
            let again = last.replace(number) == Some(number);
            let small =
                (value.len() <= 4).then(|| value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
            match (CoapOption::from(number), small) {
                (CoapOption::UriPath | CoapOption::UriQuery, _) if is_request => {}
                (CoapOption::LocationPath, _) => {
                    write!(f, "{}/{}", if again { "" } else { " location " }, Plain(value))?;
                }
                (CoapOption::Observe, Some(0)) if is_request => f.write_str(" observe")?,
                (CoapOption::Observe, Some(1)) if is_request => f.write_str(" observe cancel")?,
                (CoapOption::Observe, Some(sequence)) => write!(f, " observe {sequence}")?,
                (CoapOption::ContentFormat, Some(format)) => write!(f, " format {}", Format(format))?,
                (CoapOption::Accept, Some(format)) => write!(f, " accept {}", Format(format))?,
                (CoapOption::Block1, _) => block(f, "block1", value)?,
                (CoapOption::Block2, _) => block(f, "block2", value)?,
                (CoapOption::Size1, Some(size)) => write!(f, " size1 {size}")?,
                (CoapOption::Size2, Some(size)) => write!(f, " size2 {size}")?,
                (CoapOption::MaxAge, Some(seconds)) => write!(f, " max-age {seconds} s")?,
                (CoapOption::UriPort, Some(port)) => write!(f, " port {port}")?,
                (CoapOption::UriHost, _) => write!(f, " host {}", Plain(value))?,
                (CoapOption::ETag, _) => write!(f, " etag {}", Hex(value))?,
                (CoapOption::IfMatch, _) => write!(f, " if-match {}", Hex(value))?,
                (CoapOption::IfNoneMatch, _) => f.write_str(" if-none-match")?,
                (CoapOption::Unknown(252), _) => write!(f, " echo {}", Hex(value))?,
                (CoapOption::Unknown(292), _) => write!(f, " request-tag {}", Hex(value))?,
                // Any other number, or a number of ours with a value that it cannot have.
                _ => write!(f, " option {number} {}", Hex(value))?,
            }
        }
        Ok(())
    }

    /// A text as a text, anything else in hex.
    fn shown_payload(&self) -> String {
        let number = self.options.content_format();
        let format = number.map(ContentFormat::from_number);
        let textual = match format {
            None | Some(Err(_)) => true, // a diagnostic message, or whatever it looks like
            Some(Ok(format)) => match format {
                ContentFormat::Text
                | ContentFormat::Link
                | ContentFormat::SenmlJson
                | ContentFormat::SenmlEtchJson
                | ContentFormat::Json
                | ContentFormat::LegacyJson => true,
                ContentFormat::Opaque
                | ContentFormat::Cbor
                | ContentFormat::SenmlCbor
                | ContentFormat::SenmlEtchCbor
                | ContentFormat::Tlv
                | ContentFormat::LwM2mCbor
                | ContentFormat::LegacyTlv => false,
            },
        };
        match std::str::from_utf8(self.payload) {
            Ok(text) if textual && !text.contains('\0') => format!("\"{}\"", Plain(self.payload)),
            Ok(_) | Err(_) => Hex(self.payload).to_string(),
        }
    }
}

fn method(code: Code) -> &'static str {
    match code {
        Code::GET => "GET",
        Code::POST => "POST",
        Code::PUT => "PUT",
        Code::DELETE => "DELETE",
        Code::FETCH => "FETCH",
        Code::PATCH => "PATCH",
        _ => "iPATCH", // the last of the seven
    }
}

fn block(f: &mut Formatter<'_>, name: &str, value: &[u8]) -> fmt::Result {
    match Block::decode(value) {
        Ok(block) => {
            let more = if block.more { "+" } else { "" };
            write!(f, " {name} {}{more}/{}", block.number, block.size())
        }
        Err(_) => write!(f, " {name} {} (bad)", Hex(value)),
    }
}

/// The number of a Content-Format with its name.
struct Format(u32);

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match u16::try_from(self.0).ok().and_then(|number| ContentFormat::from_number(number).ok()) {
            Some(format) => write!(f, " ({})", format.name()),
            None => Ok(()),
        }
    }
}

/// Bytes in hex, cut.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.iter().take(SHOWN_MAX).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.0.len() > SHOWN_MAX { f.write_str("…") } else { Ok(()) }
    }
}

/// A text, escaped and cut.
struct Plain<'a>(&'a [u8]);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut left = SHOWN_MAX;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                if left == 0 {
                    return f.write_str("…");
                }
                left -= 1;
                match char {
                    // A payload of JSON stays readable.
                    '"' | '\'' => f.write_char(char)?,
                    other => write!(f, "{}", other.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                left = left.saturating_sub(1);
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test that is out of bounds fails, as it should.
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn each_kind_of_message_is_a_line() {
        for (datagram, line) in [
            (
                "40 01 12 67 b1 33 01 30 01 39 61 70 62 01 02",
                "CON GET /3/0/9 mid 4711 accept 112 (SenML CBOR)",
            ),
            ("42 01 00 01 0a 0b 60 51 33 01 30", "CON GET /3/0 mid 1 token 0a0b observe"),
            ("40 01 00 01 61 01 51 33", "CON GET /3 mid 1 observe cancel"),
            (
                "41 02 00 02 07 b2 72 64 45 65 70 3d 6d 31 06 6c 74 3d 33 30 30 ff 3c 2f 33 3e",
                "CON POST /rd?ep=m1&lt=300 mid 2 token 07, 4 bytes \"</3>\"",
            ),
            ("61 41 00 02 07 82 72 64 03 61 62 63", "ACK 2.01 created mid 2 token 07 location /rd/abc"),
            ("60 00 00 09", "ACK empty mid 9"),
            ("70 00 00 09", "RST empty mid 9"),
            ("40 00 00 09", "CON empty (ping) mid 9"),
            (
                "51 45 00 03 01 62 01 02 61 3c ff 32 31",
                "NON 2.05 content mid 3 token 01 observe 258 format 60 (CBOR), 2 bytes 3231",
            ),
            (
                "60 45 00 03 c0 b1 3a e2 07 61 ff 41",
                "ACK 2.05 content mid 3 format 0 (text/plain) block2 3+/64",
            ),
            ("40 03 00 04 b1 35 d1 03 0e ff 41", "CON PUT /5 mid 4 block1 0+/1024, 1 byte \"A\""),
            ("60 84 00 05 ff 6e 6f 6e 65", "ACK 4.04 not found mid 5, 4 bytes \"none\""),
            ("60 9d 00 05", "ACK 4.29 mid 5"),
            ("40 01 00 06 ff", "malformed: MarkerWithoutPayload"),
            ("40", "malformed: Short"),
            ("40 01 00 06", "CON GET / mid 6"),
            ("40 07 00 06", "CON iPATCH / mid 6"),
            ("40 01 00 06 12 01 02", "CON GET / mid 6 if-match 0102"),
            ("40 01 00 06 22 01 02", "CON GET / mid 6 option 2 0102"),
        ] {
            let told = describe(&bytes(datagram));
            assert!(told.starts_with(line), "{datagram}\n{told}\n{line}");
        }
    }

    #[test]
    fn nothing_of_a_peer_ends_the_line_or_starts_an_escape_sequence() {
        let hostile = "d\n\r\u{1b}[2J\u{202e}\u{9b}\"";
        let mut datagram = vec![0x40, 1, 0, 1, 0xb0 + hostile.len() as u8];
        if hostile.len() > 12 {
            datagram[4] = 0xbd;
            datagram.push(hostile.len() as u8 - 13);
        }
        datagram.extend_from_slice(hostile.as_bytes());
        datagram.push(0xff);
        datagram.extend_from_slice(hostile.as_bytes());
        let line = describe(&datagram);
        assert!(line.starts_with("CON GET /d\\n") && line.contains(" bytes \"d"), "{line}");
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        let long = [&[0x60, 0x45, 0, 1, 0xff][..], "é".repeat(5_000).as_bytes()].concat();
        let line = describe(&long);
        assert!(
            line.contains("10000 bytes \"é") && line.ends_with("…\"") && line.chars().count() < 120,
            "{line}"
        );
    }

    #[test]
    fn any_bytes_have_a_line() {
        let mut state = 7_u32;
        for length in 0..300 {
            let mut datagram: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            if let Some(first) = datagram.first_mut() {
                *first = 0x40 | *first & 0x3f;
            }
            let line = describe(&datagram);
            assert!(!line.is_empty() && !line.contains('\n'), "{line}");
        }
    }
}
