//! Plain CBOR, content format 60 (LwM2M 1.1.1 Core §7.4.3): one data item for one resource or resource
//! instance.
#![deny(clippy::indexing_slicing)]

use super::cbor_item::{Items, Writer};
use super::{ContentError, ContentFormat, Context, Entry, check_single_base, single};
use crate::path::ObjectPath;

/// The value of `base`.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    check_single_base(ContentFormat::Cbor, base)?;
    let mut items = Items::new(bytes, cx.limits.cbor_depth_max);
    let value = items.scalar()?.ok_or(ContentError::Malformed { at: 0, what: "null is no value" })?;
    items.end()?;
    Ok(vec![Entry::new(base, value.read_as(cx.data_type(base)))])
}

/// The item of the one entry, which must be `base`.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let entry = single(ContentFormat::Cbor, base, entries)?;
    let mut writer = Writer::new();
    writer.value(&cx.typed(entry)?);
    Ok(writer.into_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::fuzz::{Types, context, hex};
    use crate::value::{DataType, Decimal, Value};

    fn base() -> ObjectPath {
        ObjectPath::parse("/3/0/9").unwrap()
    }

    #[test]
    fn every_type_reads_and_writes() {
        for (data_type, bytes, value) in [
            (None, "0F", Value::Integer(15)),
            (None, "3903E7", Value::Integer(-1000)),
            (None, "1BFFFFFFFFFFFFFFFF", Value::Unsigned(u64::MAX)),
            (None, "FA41A40000", Value::Float(20.5f32.into())),
            (None, "FB3FB999999999999A", Value::Float(0.1.into())),
            (None, "F5", Value::Boolean(true)),
            (None, "6443656C73", Value::String("Cels".into())),
            (None, "4200FF", Value::Opaque(Bytes::from_static(&[0, 255]))),
            (Some(DataType::Objlnk), "6436363A30", Value::Objlnk(66, 0)),
            (Some(DataType::Time), "1A5182428F", Value::Time(0x5182_428f)),
            (Some(DataType::UnsignedInteger), "05", Value::Unsigned(5)),
            (Some(DataType::Corelnk), "633C2F3E", Value::Corelnk("</>".into())),
        ] {
            let types = Types(data_type);
            let cx = context(&types);
            let entries = decode(base(), &hex(bytes), &cx).unwrap();
            assert_eq!(entries, [Entry::new(base(), value)], "{bytes}");
            assert_eq!(encode(base(), &entries, &cx).unwrap(), hex(bytes));
        }
    }

    #[test]
    fn other_forms_are_read() {
        for (data_type, bytes, value) in [
            (None, "C11A5182428F", Value::Time(0x5182_428f)),
            (None, "F93C00", Value::Float(1.0.into())),
            (None, "7F61616162FF", Value::String("ab".into())),
            (None, "5F41004101FF", Value::Opaque(Bytes::from_static(&[0, 1]))),
            (Some(DataType::Float), "05", Value::Float(5.0.into())),
            (Some(DataType::Integer), "FA40A00000", Value::Integer(5)),
            (None, "C48221196AB3", Value::Number(Decimal::parse("273.15").unwrap())),
            (None, "C4820219010F", Value::Number(Decimal::parse("27100").unwrap())),
        ] {
            let types = Types(data_type);
            assert_eq!(
                decode(base(), &hex(bytes), &context(&types)).unwrap(),
                [Entry::new(base(), value)],
                "{bytes}"
            );
        }
    }

    #[test]
    fn halves_are_read() {
        // RFC 8949 appendix A.
        for (bytes, value) in [
            ("F90000", 0.0),
            ("F98000", -0.0),
            ("F93E00", 1.5),
            ("F97BFF", 65504.0),
            ("F90001", 5.960_464_477_539_063e-8),
            ("F90400", 0.000_061_035_156_25),
            ("F9C400", -4.0),
            ("F97C00", f64::INFINITY),
            ("F97E00", f64::NAN),
            ("F9FC00", f64::NEG_INFINITY),
        ] {
            let entries = decode(base(), &hex(bytes), &context(&Types(None))).unwrap();
            assert_eq!(entries, [Entry::new(base(), Value::Float(value.into()))], "{bytes}");
        }
    }

    #[test]
    fn hostile_items_are_refused_with_a_reason() {
        let types = Types(None);
        for (bytes, reason) in [
            ("", "ends too early: what starts at byte 0 is not whole"),
            ("F6", "byte 0: null is no value"),
            ("80", "byte 0: an array or map where a value should be"),
            ("0F0F", "byte 1: more bytes behind the end"),
            ("7BFFFFFFFFFFFFFFFF61", "ends too early: what starts at byte 9 is not whole"),
            ("61FF", "byte 0: not CBOR of this format"),
            ("C249010000000000000000", "byte 1: integers beyond 64 bits are not taken"),
            ("C482190FFF01", "byte 1: a decimal fraction outside the range of Float"),
            ("C48121", "byte 1: a decimal fraction has two parts"),
            ("C1C1C1C1C1C1C101", "byte 5: too many tags"),
            ("FF", "byte 0: no value"),
        ] {
            let error = decode(base(), &hex(bytes), &context(&types)).unwrap_err();
            assert_eq!(error.to_string(), reason, "{bytes}");
        }
    }
}
