//! What peers send, made harmless for a terminal; bytes as hex; times as text; writing results.
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use crate::exit::Exit;
use crate::tools::ToolError;

/// Whether a character could steer a terminal or turn the reading direction around.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A text on one line, without any control.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, |_| false)
}

/// A payload for a terminal: line breaks and tabs stay, other controls go, bytes that are no text are `\xNN`.
pub(crate) fn payload(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape_but(chunk.valid(), |letter| matches!(letter, '\n' | '\t')));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}"); // writing to a String cannot fail
        }
    }
    out
}

fn escape_but(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmful = |letter: char| is_harmful(letter) && !keep(letter);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            letter if !harmful(letter) => out.push(letter),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
        }
    }
    Cow::Owned(out)
}

/// JSON on one line that is safe on a terminal too: what [`escape`] would change is a `\uXXXX` of JSON.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if !text.contains(is_harmful) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        // Outside of strings serde_json writes no such letter, and all of them lie in the basic plane.
        if is_harmful(letter) {
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out
}

/// Bytes as lower-case hex, `between` put between them.
pub(crate) fn hex(bytes: &[u8], between: &str) -> String {
    let mut out = String::with_capacity(bytes.len() * (2 + between.len()));
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The bytes of a hex text; spaces and colons between bytes are passed over.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | ':'))
        .map(|letter| letter.to_digit(16))
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high << 4 | low).ok(),
            _ => None,
        })
        .collect()
}

/// Milliseconds since 1970 as `2026-02-03T04:05:06.789Z`.
pub(crate) fn utc(unix_ms: u64) -> String {
    let (days, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Year, month and day of a number of days since 1970, by eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month, day)
}

/// Milliseconds since 1970 now.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether results go to a person's terminal.
pub(crate) fn out_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes a result. A reader that has gone away (`| head`) ends the tool quietly.
pub(crate) fn write_out(bytes: &[u8]) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ToolError::silent(Exit::Ok)),
        Err(error) => Err(ToolError::new(Exit::Failure, format!("cannot write the result: {error}"), "")),
    }
}

/// Writes a line of text that is already escaped.
pub(crate) fn line(text: &str) -> Result<(), ToolError> {
    write_out(format!("{text}\n").as_bytes())
}

/// Columns under each other, two spaces apart; the last one is not padded. Cells are escaped.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in &cells {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(cell);
            // By hand: the formatter's own padding ends at 65 535, and a value may be longer.
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_may_be_longer_than_any_line() {
        let long = "x".repeat(300_000);
        let rows = [vec!["a".to_owned(), long.clone()], vec!["bcd".to_owned(), "e".to_owned()]];
        assert_eq!(table(&rows), format!("a    {long}\nbcd  e\n"));
    }

    #[test]
    fn nothing_of_a_peer_can_steer_a_terminal() {
        assert_eq!(escape("a\u{1b}[31m\u{9b}b\r\n\u{202e}c"), "a\\u{1b}[31m\\u{9b}b\\r\\n\\u{202e}c");
        assert_eq!(escape("Grüße 日本"), "Grüße 日本");
        assert_eq!(payload(b"{\n\t\"a\":1}\x07\xff\xfe"), "{\n\t\"a\":1}\\u{7}\\xff\\xfe");
        let value = serde_json::json!({"t": "\u{9b}\u{202e}\u{7f}"});
        let text = json(&value);
        assert_eq!(text, "{\"t\":\"\\u009b\\u202e\\u007f\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(hex(&[0, 0xab, 7], " "), "00 ab 07");
        assert_eq!(from_hex("00 ab:07"), Some(vec![0, 0xab, 7]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for text in ["0", "0g", "é0"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(utc(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
        assert_eq!(utc(1_772_323_200_000), "2026-03-01T00:00:00.000Z");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), "\u{1b}".to_owned()]];
        assert_eq!(table(&rows), "a    bb\nccc  \\u{1b}\n");
    }
}
