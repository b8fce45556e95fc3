//! SenML CBOR: what Anjay sends, every type both ways, and what is refused.

use bytes::Bytes;

use super::*;
use crate::content::fuzz::{Types, context, hex};
use crate::value::DataType;

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse_composite(text).unwrap()
}

fn entry(at: &str, value: Value) -> Entry {
    Entry::new(path(at), value)
}

#[test]
fn a_send_of_anjay_is_read() {
    let bytes = hex("82 A4 21 64 2F332F30 00 62 2F30 22 FB 41D954FC40000000 03 65 416E6A6179 \
                     A2 00 62 2F39 02 00");
    let types = Types(None);
    let entries = decode(ObjectPath::ROOT, &bytes, &context(&types)).unwrap();
    let time = Some(1_700_000_000_000);
    assert_eq!(
        entries,
        [
            Entry { time, ..entry("/3/0/0", Value::String("Anjay".into())) },
            Entry { time, ..entry("/3/0/9", Value::Integer(0)) },
        ]
    );
}

#[test]
fn every_type_reads_and_writes_byte_for_byte() {
    let types = Types(None);
    let cx = context(&types);
    let bytes = hex("87 A3 21 65\"/3/0/\" 00 61\"0\" 03 64\"ACME\" A2 00 61\"9\" 02 38 5E \
        A2 00 62\"10\" 02 FA41A40000 A2 00 62\"20\" 04 F5 A2 00 62\"21\" 08 42FBFF \
        A2 00 64\"22/0\" 63\"vlo\" 64\"66:0\" A2 00 62\"23\" 02 1BFFFFFFFFFFFFFFFF");
    let entries = [
        entry("/3/0/0", Value::String("ACME".into())),
        entry("/3/0/9", Value::Integer(-95)),
        entry("/3/0/10", Value::Float(20.5f32.into())),
        entry("/3/0/20", Value::Boolean(true)),
        entry("/3/0/21", Value::Opaque(Bytes::from_static(&[0xfb, 0xff]))),
        entry("/3/0/22/0", Value::Objlnk(66, 0)),
        entry("/3/0/23", Value::Unsigned(u64::MAX)),
    ];
    assert_eq!(decode(path("/3/0"), &bytes, &cx).unwrap(), entries);
    assert_eq!(encode(path("/3/0"), &entries, &cx).unwrap(), bytes);
}

#[test]
fn composite_lists_read_and_write_byte_for_byte() {
    let types = Types(None);
    let cx = context(&types);
    let paths = ["/3/0/0", "/1/0/1"].map(path);
    let bytes = hex("82 A1 00 66\"/3/0/0\" A1 00 66\"/1/0/1\"");
    assert_eq!(encode_paths(&paths, &cx), bytes);
    assert_eq!(decode_paths(&bytes, &cx).unwrap(), paths);
}

#[test]
fn indefinite_forms_and_other_number_forms_are_read() {
    let types = Types(Some(DataType::Float));
    for (bytes, value) in [
        ("9F BF 21 66\"/3/0/9\" 02 05 FF FF", 5.0),
        ("81 A2 21 7F 63\"/3/\" 63\"0/9\" FF 02 F93C00", 1.0),
        ("81 A2 21 66\"/3/0/9\" 02 C48221196AB3", 273.15),
        ("81 A3 21 66\"/3/0/9\" 24 FA3F000000 02 01", 1.5),
        ("81 A3 21 66\"/3/0/9\" 02 01 63\"foo\" A1 01 82 02 03", 1.0),
        ("81 A3 21 66\"/3/0/9\" 02 01 01 63\"Cel\"", 1.0),
    ] {
        let entries = decode(path("/3/0"), &hex(bytes), &context(&types)).unwrap();
        assert_eq!(entries, [entry("/3/0/9", Value::Float(value.into()))], "{bytes}");
    }
}

#[test]
fn whole_seconds_are_written_as_integers() {
    let types = Types(None);
    let cx = context(&types);
    for (time, bytes) in [
        (1_700_000_000_000, "81 A3 21 66\"/3/0/9\" 02 01 06 1A 6553F100"),
        (1_700_000_000_500, "81 A3 21 66\"/3/0/9\" 02 01 06 FB 41D954FC40200000"),
    ] {
        let entries = [Entry { time: Some(time), ..entry("/3/0/9", Value::Integer(1)) }];
        assert_eq!(encode(path("/3/0/9"), &entries, &cx).unwrap(), hex(bytes));
        assert_eq!(decode(path("/3/0/9"), &hex(bytes), &cx).unwrap(), entries);
    }
}

#[test]
fn faults_have_reasons() {
    let types = Types(None);
    for (bytes, reason) in [
        ("", "ends too early: what starts at byte 0 is not whole"),
        ("A0", "byte 0: not CBOR of this format"),
        ("81", "ends too early: what starts at byte 1 is not whole"),
        ("8101", "byte 1: not CBOR of this format"),
        ("81 A2 00 61\"9\" 00 61\"8\"", "byte 6: a field twice in one record"),
        ("81 A3 00 66\"/3/0/9\" 02 01 03 61\"x\"", "byte 13: a record has only one of v, vs, vb, vd, vlo"),
        ("81 A2 00 66\"/3/0/9\" 02 61\"x\"", "byte 11: a value of another kind than its label says"),
        ("81 A2 00 66\"/3/0/9\" 62\"x_\" 01", "byte 10: a field that must be understood and is not"),
        ("81 A1 20 0B", "byte 3: a SenML version that is not known here"),
        ("81 A1 22 F97E00", "byte 3: no finite number"),
        ("81 A1 22 FB7E37E43C8800759C", "byte 3: a time outside the range of 64 bits"),
        (
            "81 A2 00 66\"/3/0/9\" 63\"vlo\" 61\"x\"",
            "vlo: \"x\" is not an Objlnk (\"object:instance\", each 0–65535)",
        ),
        ("81 A2 00 66\"/4/0/0\" 02 01", "/4/0/0 is not part of /3/0"),
        ("80 00", "byte 1: more bytes behind the end"),
    ] {
        let error = decode(path("/3/0"), &hex(bytes), &context(&types)).unwrap_err();
        assert_eq!(error.to_string(), reason, "{bytes}");
    }
}
