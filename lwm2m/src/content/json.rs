//! What the two JSON formats share: size and depth are checked before anything is built, and errors of
//! `serde_json` become reasons.
#![deny(clippy::indexing_slicing)]

use serde::de::DeserializeSeed;
use serde_json::error::Category;

use super::ContentError;
use crate::limits::ContentLimits;
use crate::value::{Float, Value};

/// Refuses a document that is too long or nests too deep. Brackets inside of strings do not count.
pub(super) fn check_bounds(bytes: &[u8], limits: &ContentLimits) -> Result<(), ContentError> {
    if bytes.len() > limits.json_bytes_max {
        return Err(ContentError::TooLarge(limits.json_bytes_max));
    }
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

/// Reads one document with `seed`, to its very end.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    limits: &ContentLimits,
    seed: S,
) -> Result<S::Value, ContentError> {
    check_bounds(bytes, limits)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer).map_err(fault)?;
    deserializer.end().map_err(fault)?;
    Ok(value)
}

fn fault(error: serde_json::Error) -> ContentError {
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            ContentError::NotJson { line: error.line(), column: error.column() }
        }
        Category::Data => ContentError::Shape(error.to_string()),
    }
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
        assert_eq!(check_bounds(br#"["[[[[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]"#, &limits), Ok(()));
        let deep = "[".repeat(33);
        assert_eq!(check_bounds(deep.as_bytes(), &limits), Err(ContentError::TooDeep(32)));
        assert_eq!(check_bounds("[]".repeat(40).as_bytes(), &limits), Ok(()));
        let long = vec![b' '; limits.json_bytes_max + 1];
        assert_eq!(check_bounds(&long, &limits), Err(ContentError::TooLarge(limits.json_bytes_max)));
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
