//! Plain text, content format 0 (LwM2M 1.0 §6.4.1): one resource or resource instance.
//!
//! Numbers in decimal, Boolean as 1 or 0, Opaque in base 64, Objlnk as "66:0", Time in seconds.
#![deny(clippy::indexing_slicing)]

use super::{ContentError, ContentFormat, Context, Entry, Unfit, check_single_base, single};
use crate::path::ObjectPath;
use crate::value::{DataType, Value, ValueError, base64};

/// The value of `base`. Without a model it is a String.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    check_single_base(ContentFormat::Text, base)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ContentError::Malformed { at: error.valid_up_to(), what: "not UTF-8" })?;
    let data_type = cx.data_type(base);
    if let Some(data_type) = data_type
        && text.is_empty()
        && !matches!(data_type, DataType::String | DataType::Corelnk | DataType::Opaque)
    {
        return Err(ContentError::Value { path: base, error: ValueError::length(data_type, 0) });
    }
    let value = match data_type {
        // Interpretation: text that is not base 64 to the letter is the value itself; some devices send that.
        Some(DataType::Opaque) => {
            let padded = Some(text.trim()).filter(|text| text.len().is_multiple_of(4));
            let decoded = padded.and_then(base64::decode).unwrap_or_else(|| bytes.to_vec());
            Value::Opaque(decoded.into())
        }
        _ => Value::String(text.to_owned()).read_as(data_type),
    };
    Ok(vec![Entry::new(base, value)])
}

/// The text of the one entry, which must be `base`.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let entry = single(ContentFormat::Text, base, entries)?;
    let value = cx.typed(entry)?;
    if let Value::Float(float) = &value
        && !float.to_f64().is_finite()
    {
        return Err(ContentError::Unfit { format: ContentFormat::Text, why: Unfit::NoSuchValue });
    }
    Ok(value.to_text().into_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::fuzz::{Types, context};

    const BASE: &str = "/3/0/9";

    #[test]
    fn every_type_reads_and_writes_as_text() {
        let base = ObjectPath::parse(BASE).unwrap();
        for (data_type, text, value) in [
            (Some(DataType::Integer), "-15", Value::Integer(-15)),
            (Some(DataType::UnsignedInteger), "18446744073709551615", Value::Unsigned(u64::MAX)),
            (Some(DataType::Time), "1367491215", Value::Time(1_367_491_215)),
            (Some(DataType::Float), "20.5", Value::Float(20.5.into())),
            (Some(DataType::Boolean), "1", Value::Boolean(true)),
            (Some(DataType::Boolean), "0", Value::Boolean(false)),
            (Some(DataType::String), "+02:00", Value::String("+02:00".into())),
            (Some(DataType::String), "", Value::String(String::new())),
            (Some(DataType::Opaque), "AP8=", Value::Opaque(Bytes::from_static(&[0, 255]))),
            (Some(DataType::Objlnk), "66:0", Value::Objlnk(66, 0)),
            (None, "15", Value::String("15".into())),
        ] {
            let types = Types(data_type);
            let cx = context(&types);
            let entries = decode(base, text.as_bytes(), &cx).unwrap();
            assert_eq!(entries, [Entry::new(base, value)]);
            assert_eq!(encode(base, &entries, &cx).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let base = ObjectPath::parse(BASE).unwrap();
        for (data_type, text, value) in [
            (DataType::Integer, "15\n", Value::Integer(15)),
            (DataType::Boolean, "true", Value::Boolean(true)),
            (DataType::Integer, "n/a", Value::String("n/a".into())),
        ] {
            let types = Types(Some(data_type));
            assert_eq!(decode(base, text.as_bytes(), &context(&types)).unwrap(), [Entry::new(base, value)]);
        }
    }

    #[test]
    fn what_is_no_text_of_one_resource_is_refused() {
        let types = Types(Some(DataType::Integer));
        let cx = context(&types);
        let base = ObjectPath::parse(BASE).unwrap();
        let reason = |base, bytes: &[u8]| decode(base, bytes, &cx).unwrap_err().to_string();
        assert_eq!(reason(base, b""), "/3/0/9: no bytes where a value of type Integer should be");
        assert_eq!(reason(base, b"a\xff"), "byte 1: not UTF-8");
        assert_eq!(reason(ObjectPath::object(3), b"1"), "text/plain carries exactly one resource");
        let nan = [Entry::new(base, Value::Float(f64::NAN.into()))];
        let float = Types(Some(DataType::Float));
        assert!(encode(base, &nan, &context(&float)).is_err());
        assert!(encode(base, &nan, &cx).is_err());
    }
}
