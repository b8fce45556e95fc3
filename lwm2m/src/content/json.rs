//! What the two JSON formats share: the bounds on size and depth, and how values are written.
#![deny(clippy::indexing_slicing)]

use super::json_reader::{Read, Reader};
use super::{ContentError, steps};
use crate::limits::ContentLimits;
use crate::value::{Float, Value};

/// Refuses a document that nests too deep. Brackets inside of strings do not count.
fn check_depth(bytes: &[u8], limits: &ContentLimits) -> Result<(), ContentError> {
    steps::count(bytes.len());
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limits.json_depth_max {
                    return Err(ContentError::TooDeep(limits.json_depth_max));
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {} // any other byte
        }
    }
    Ok(())
}

/// Reads one document, to its very end.
pub(super) fn read<'b, T>(
    bytes: &'b [u8],
    limits: &ContentLimits,
    read: impl FnOnce(&mut Reader<'b>) -> Read<T>,
) -> Result<T, ContentError> {
    if bytes.len() > limits.json_bytes_max {
        return Err(ContentError::TooLarge(limits.json_bytes_max));
    }
    let mut reader = Reader::new(bytes, limits.json_depth_max);
    let document = read(&mut reader).and_then(|document| reader.end().map(|()| document));
    // A nest too deep is the reason to name, even behind another fault: whoever sent it knows it best by that. What is
    // read without a fault nests no deeper than the reader allows.
    document.map_err(|fault| match check_depth(bytes, limits) {
        Ok(()) => fault.into_error(bytes),
        Err(error) => error,
    })
}

/// A string with quotes and escapes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number's digits; `None` for NaN and the infinities, which JSON has no numbers for.
pub(super) fn number(value: &Value) -> Option<String> {
    let finite = |float: &Float| float.to_decimal().map(|number| number.as_str().to_owned());
    match value {
        Value::Integer(_) | Value::Time(_) | Value::Unsigned(_) | Value::Number(_) => Some(value.to_text()),
        Value::Float(float) => finite(float),
        Value::Boolean(_) | Value::String(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {
            None
        }
    }
}

/// Milliseconds since 1970 as seconds with up to three digits behind the point.
pub(super) fn seconds(milliseconds: i64) -> String {
    if milliseconds % 1000 == 0 {
        return (milliseconds / 1000).to_string();
    }
    let sign = if milliseconds < 0 { "-" } else { "" };
    let size = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1000, size % 1000).trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let limits = ContentLimits::default();
        let read = |text: &str| read(text.as_bytes(), &limits, Reader::skip);
        assert_eq!(read(r#"["[[[[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]"#), Ok(()));
        assert_eq!(read(&format!("{}{}", "[".repeat(32), "]".repeat(32))), Ok(()));
        for deep in [
            "[".repeat(33),
            format!("{}{}", "[".repeat(33), "]".repeat(33)),
            format!("[oops{}", "[".repeat(32)),
        ] {
            assert_eq!(read(&deep), Err(ContentError::TooDeep(32)), "{deep}");
        }
        assert_eq!(read(&format!("[{}[]]", "[],".repeat(40))), Ok(()));
        assert_eq!(
            read(&" ".repeat(limits.json_bytes_max + 1)),
            Err(ContentError::TooLarge(limits.json_bytes_max))
        );
    }

    #[test]
    fn milliseconds_are_seconds_with_a_fraction() {
        for (milliseconds, text) in
            [(0, "0"), (1_700_000_000_123, "1700000000.123"), (1500, "1.5"), (-1500, "-1.5"), (-2000, "-2")]
        {
            assert_eq!(seconds(milliseconds), text);
        }
    }
}
