//! TLV: the examples of LwM2M 1.0 §6.4.3 byte for byte both ways, and what is refused.

use super::*;
use crate::content::fuzz::{Table, Types, context, hex};

const DEVICE: Table = Table(&[
    (3, 0, DataType::String),
    (3, 1, DataType::String),
    (3, 2, DataType::String),
    (3, 3, DataType::String),
    (3, 6, DataType::Integer),
    (3, 7, DataType::Integer),
    (3, 8, DataType::Integer),
    (3, 9, DataType::Integer),
    (3, 10, DataType::Integer),
    (3, 11, DataType::Integer),
    (3, 13, DataType::Time),
    (3, 14, DataType::String),
    (3, 16, DataType::String),
    (2, 0, DataType::Integer),
    (2, 1, DataType::Integer),
    (2, 2, DataType::Integer),
    (2, 3, DataType::Integer),
    (1, 0, DataType::Integer),
    (1, 1, DataType::Integer),
    (1, 6, DataType::Boolean),
    (1, 7, DataType::String),
    (65, 0, DataType::Objlnk),
    (65, 1, DataType::String),
    (65, 2, DataType::Integer),
    (66, 0, DataType::String),
    (66, 1, DataType::String),
    (66, 2, DataType::Objlnk),
]);

const DEVICE_BODY: &str = "C800144F70656E204D6F62696C6520416C6C69616E6365
    C801164C69676874776569676874204D324D20436C69656E74 C80209333435303030313233
    C303312E30 8606410001410105 88070842000ED842011388 870841007D42010384 C10964 C10A0F 830B410000
    C40D5182428F C60E2B30323A3030 C11055";

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse(text).unwrap()
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn device_values() -> Vec<(&'static str, Value)> {
    vec![
        ("/3/0/0", text("Open Mobile Alliance")),
        ("/3/0/1", text("Lightweight M2M Client")),
        ("/3/0/2", text("345000123")),
        ("/3/0/3", text("1.0")),
        ("/3/0/6/0", Value::Integer(1)),
        ("/3/0/6/1", Value::Integer(5)),
        ("/3/0/7/0", Value::Integer(3800)),
        ("/3/0/7/1", Value::Integer(5000)),
        ("/3/0/8/0", Value::Integer(125)),
        ("/3/0/8/1", Value::Integer(900)),
        ("/3/0/9", Value::Integer(100)),
        ("/3/0/10", Value::Integer(15)),
        ("/3/0/11/0", Value::Integer(0)),
        ("/3/0/13", Value::Time(0x5182_428f)),
        ("/3/0/14", text("+02:00")),
        ("/3/0/16", text("U")),
    ]
}

#[test]
fn the_examples_of_the_specification_read_and_write_byte_for_byte() {
    let wrapped = format!("080079 {DEVICE_BODY}");
    let three = "C800144F70656E204D6F62696C6520416C6C69616E6365
        C801164C69676874776569676874204D324D20436C69656E74 C80209333435303030313233";
    for (base, bytes, values) in [
        ("/3/0/0", "C800 14 \"Open Mobile Alliance\"", device_values()[..1].to_vec()),
        (
            "/3/0/6",
            "8606 410001 410105",
            vec![("/3/0/6/0", Value::Integer(1)), ("/3/0/6/1", Value::Integer(5))],
        ),
        ("/3/0", three, device_values()[..3].to_vec()),
        (
            "/2/0/2",
            "8702 417F07 61013601",
            vec![("/2/0/2/127", Value::Integer(7)), ("/2/0/2/310", Value::Integer(1))],
        ),
        ("/3/0", DEVICE_BODY, device_values()),
        ("/3", wrapped.as_str(), device_values()),
        (
            "/2",
            "08000E C10001 C10100 8302417F07 C1037F 080212 C10003 C10100 8702417F0761013601 C1037F",
            vec![
                ("/2/0/0", Value::Integer(1)),
                ("/2/0/1", Value::Integer(0)),
                ("/2/0/2/127", Value::Integer(7)),
                ("/2/0/3", Value::Integer(127)),
                ("/2/2/0", Value::Integer(3)),
                ("/2/2/1", Value::Integer(0)),
                ("/2/2/2/127", Value::Integer(7)),
                ("/2/2/2/310", Value::Integer(1)),
                ("/2/2/3", Value::Integer(127)),
            ],
        ),
        (
            "/1",
            "08000F C10001 C40100015180 C10601 C10755",
            vec![
                ("/1/0/0", Value::Integer(1)),
                ("/1/0/1", Value::Integer(86400)),
                ("/1/0/6", Value::Boolean(true)),
                ("/1/0/7", text("U")),
            ],
        ),
        (
            "/65/0",
            "88000C 440000420000 440100420001 C8010D \"8613800755500\" C40212345678",
            vec![
                ("/65/0/0/0", Value::Objlnk(66, 0)),
                ("/65/0/0/1", Value::Objlnk(66, 1)),
                ("/65/0/1", text("8613800755500")),
                ("/65/0/2", Value::Integer(0x1234_5678)),
            ],
        ),
        (
            "/66",
            "080026 C8000B\"myService 1\" C8010F\"Internet.15.234\" C40200430000
             080126 C8000B\"myService 2\" C8010F\"Internet.15.235\" C402FFFFFFFF",
            vec![
                ("/66/0/0", text("myService 1")),
                ("/66/0/1", text("Internet.15.234")),
                ("/66/0/2", Value::Objlnk(67, 0)),
                ("/66/1/0", text("myService 2")),
                ("/66/1/1", text("Internet.15.235")),
                ("/66/1/2", Value::Objlnk(65535, 65535)),
            ],
        ),
    ] {
        let cx = context(&DEVICE);
        let entries: Vec<Entry> = values.into_iter().map(|(at, value)| Entry::new(path(at), value)).collect();
        assert_eq!(decode(path(base), &hex(bytes), &cx).unwrap(), entries, "{bytes}");
        assert_eq!(encode(path(base), &entries, &cx).unwrap(), hex(bytes), "{bytes}");
    }
}

#[test]
fn an_instance_comes_with_or_without_its_wrapper() {
    let cx = context(&DEVICE);
    let bare = decode(path("/3/0"), &hex(DEVICE_BODY), &cx).unwrap();
    let wrapped = hex(&format!("080079 {DEVICE_BODY}"));
    assert_eq!(decode(path("/3/0"), &wrapped, &cx).unwrap(), bare);
    let one = decode(path("/3/0/9"), &hex("0300 C10964"), &cx).unwrap();
    assert_eq!(one, [Entry::new(path("/3/0/9"), Value::Integer(100))]);
}

#[test]
fn bare_resources_of_a_single_instance_object_are_those_of_instance_0() {
    let cx = context(&DEVICE);
    let entries = decode(path("/3"), &hex("C10964"), &cx).unwrap();
    assert_eq!(entries, [Entry::new(path("/3/0/9"), Value::Integer(100))]);
    let error = decode(path("/2"), &hex("C10001"), &cx).unwrap_err();
    assert_eq!(error.to_string(), "byte 0: a resource does not belong here");
}

#[test]
fn integers_are_signed_and_minimal() {
    let types = Types(Some(DataType::Integer));
    let cx = context(&types);
    let base = path("/1/0/1");
    for (value, bytes) in [
        (0, "C10100"),
        (-1, "C101FF"),
        (127, "C1017F"),
        (128, "C2010080"),
        (200, "C20100C8"),
        (-128, "C10180"),
        (-129, "C201FF7F"),
        (12345, "C2013039"),
        (65535, "C4010000FFFF"),
        (1 << 31, "C801080000000080000000"),
        (-(1 << 31), "C40180000000"),
        (i64::MIN, "C801088000000000000000"),
        (i64::MAX, "C801087FFFFFFFFFFFFFFF"),
    ] {
        let entries = [Entry::new(base, Value::Integer(value))];
        assert_eq!(encode(base, &entries, &cx).unwrap(), hex(bytes), "{value}");
        assert_eq!(decode(base, &hex(bytes), &cx).unwrap(), entries);
    }
    for (bytes, value) in [
        ("C301FFFF80", -128),
        ("C301008000", 32768),
        ("C5010000000001", 1),
        ("C501FFFFFFFFFE", -2),
        ("C701FFFFFFFFFFFFFE", -2),
    ] {
        let entries = decode(base, &hex(bytes), &cx).unwrap();
        assert_eq!(entries, [Entry::new(base, Value::Integer(value))], "{bytes}");
    }
}

#[test]
fn the_other_types_have_their_lengths() {
    let base = path("/1/0/1");
    for (data_type, bytes, value) in [
        (DataType::UnsignedInteger, "C101C8", Value::Unsigned(200)),
        (DataType::UnsignedInteger, "C801 08 FFFFFFFFFFFFFFFF", Value::Unsigned(u64::MAX)),
        (DataType::Float, "C40141A40000", Value::Float(20.5.into())),
        (DataType::Float, "C801 08 3FB999999999999A", Value::Float(0.1.into())),
        (DataType::Float, "C4017F800000", Value::Float(f64::INFINITY.into())),
        (DataType::Boolean, "C10100", Value::Boolean(false)),
        (DataType::Opaque, "C20100FF", Value::Opaque(Bytes::from_static(&[0, 255]))),
        (DataType::Opaque, "C001", Value::Opaque(Bytes::new())),
        (DataType::String, "C001", text("")),
        (DataType::Corelnk, "C5013C2F333E2C", Value::Corelnk("</3>,".to_owned())),
    ] {
        let types = Types(Some(data_type));
        let cx = context(&types);
        let entries = [Entry::new(base, value)];
        assert_eq!(decode(base, &hex(bytes), &cx).unwrap(), entries, "{bytes}");
        assert_eq!(encode(base, &entries, &cx).unwrap(), hex(bytes));
    }
}

#[test]
fn long_values_take_wider_lengths_and_ids_wider_numbers() {
    let types = Types(None);
    let cx = context(&types);
    let base = path("/1/0/300");
    for (length, head) in [
        (7, "E7012C"),
        (8, "E8012C08"),
        (255, "E8012CFF"),
        (256, "F0012C0100"),
        (65535, "F0012CFFFF"),
        (65536, "F8012C010000"),
    ] {
        let entries = [Entry::new(base, Value::Opaque(vec![7; length].into()))];
        let bytes = encode(base, &entries, &cx).unwrap();
        assert_eq!(bytes, [hex(head), vec![7; length]].concat(), "{length}");
        assert_eq!(decode(base, &bytes, &cx).unwrap(), entries);
    }
    let too_long = [Entry::new(base, Value::Opaque(vec![0; 1 << 24].into()))];
    assert_eq!(encode(base, &too_long, &cx), Err(ContentError::TooLarge(0xff_ffff)));
}

#[test]
fn without_a_model_every_value_is_opaque() {
    let types = Types(None);
    let entries = decode(path("/3333/0"), &hex("C10001 8306410005"), &context(&types)).unwrap();
    let opaque = |byte: &'static [u8]| Value::Opaque(Bytes::from_static(byte));
    assert_eq!(
        entries,
        [Entry::new(path("/3333/0/0"), opaque(&[1])), Entry::new(path("/3333/0/6/0"), opaque(&[5]))]
    );
}

#[test]
fn resource_instances_are_read_at_their_own_path_too() {
    let cx = context(&DEVICE);
    let entries = [Entry::new(path("/3/0/7/1"), Value::Integer(5000))];
    assert_eq!(encode(path("/3/0/7/1"), &entries, &cx).unwrap(), hex("42011388"));
    for bytes in ["42011388", "840742011388"] {
        assert_eq!(decode(path("/3/0/7/1"), &hex(bytes), &cx).unwrap(), entries, "{bytes}");
    }
    let all = decode(path("/3/0/7"), &hex("42000ED8 42011388"), &cx).unwrap();
    assert_eq!(all.len(), 2);
}

#[test]
fn values_of_writers_are_turned_into_the_catalog_type_where_they_convert() {
    let cx = context(&DEVICE);
    let written = [Entry::new(path("/3/0/13"), text("12345"))];
    assert_eq!(encode(path("/3/0/13"), &written, &cx).unwrap(), hex("C20D3039"));
    let own = [Entry::new(path("/3/0/13"), text("noon"))];
    assert_eq!(encode(path("/3/0/13"), &own, &cx).unwrap(), hex("C40D6E6F6F6E"));
}

/// EMQX's own clients look at the bytes.
#[test]
fn records_stand_in_the_order_given_with_those_of_one_resource_together() {
    let cx = context(&DEVICE);
    let entry = |at: &str, value: i64| Entry::new(path(at), Value::Integer(value));
    let entries = [entry("/3/0/13", 1), entry("/3/0/7/1", 2), entry("/3/0/9", 3), entry("/3/0/7/0", 4)];
    assert_eq!(encode(path("/3/0"), &entries, &cx).unwrap(), hex("C10D01 8607 410102 410004 C10903"));
    let entries = [entry("/2/1/0", 1), entry("/2/0/0", 2), entry("/2/1/1", 3)];
    assert_eq!(encode(path("/2"), &entries, &cx).unwrap(), hex("0601 C10001 C10103 0300 C10002"));
    let twice = [entry("/3/0/13", 1), entry("/3/0/13", 2)];
    assert!(encode(path("/3/0"), &twice, &cx).is_err());
}

#[test]
fn an_empty_set_empties_a_multiple_resource() {
    let cx = context(&DEVICE);
    assert_eq!(encode(path("/3/0/7"), &[], &cx).unwrap(), hex("8007"));
    assert_eq!(decode(path("/3/0/7"), &hex("8007"), &cx).unwrap(), []);
    assert!(encode(path("/3303"), &[], &cx).unwrap().is_empty());
    assert_eq!(decode(path("/3303"), &hex("0001"), &cx).unwrap(), []);
}

#[test]
fn damaged_records_are_refused_with_a_reason() {
    let cx = context(&DEVICE);
    for (base, bytes, reason) in [
        ("/3/0", "C8 00 FF", "ends too early: what starts at byte 0 is not whole"),
        ("/3/0", "D8 00 FFFFFF", "ends too early: what starts at byte 0 is not whole"),
        ("/3/0", "C10964 E1", "ends too early: what starts at byte 3 is not whole"),
        ("/3/0/9", "", "ends too early: what starts at byte 0 is not whole"),
        ("/3/0", "C009", "/3/0/9: no bytes where a value of type Integer should be"),
        ("/3/0", "C80909 000000000000000000", "/3/0/9: 9 bytes are no value of type Integer"),
        ("/3/0", "C20EC328", "/3/0/14: text that is not UTF-8 is not a String"),
        ("/1/0", "C10602", "/1/0/6: 0x02 is not a Boolean (true or false)"),
        ("/1/0", "C2060101", "/1/0/6: 2 bytes are no value of type Boolean"),
        ("/66/0", "C302000102", "/66/0/2: 3 bytes are no value of type Objlnk"),
        ("/3/0", "410001", "byte 0: a resource instance does not belong here"),
        ("/3/0", "0300 410001", "byte 2: a resource instance does not belong here"),
        ("/3/0", "0200 0001", "byte 2: an object instance does not belong here"),
        ("/3/0", "8606 840641000141", "byte 2: a resource does not belong here"),
        ("/3/0/9", "C10A0F", "/3/0/10 is not part of /3/0/9"),
        ("/3/0", "0301 C10964", "/3/1 is not part of /3/0"),
        ("/3/0", "0001", "/3/1 is not part of /3/0"),
        ("/3/0/7", "8008", "/3/0/8 is not part of /3/0/7"),
        ("/3/0/7/1", "00FF", "/3/255 is not part of /3/0"),
        ("/3/0/7/1", "0000", "ends too early: what starts at byte 2 is not whole"),
        ("/3/0/7/1", "8007", "ends too early: what starts at byte 2 is not whole"),
        ("/3/0", "E1FFFF01", "\"/3/0/65535\": \"65535\" is not a number 0–65534"),
    ] {
        let error = decode(path(base), &hex(bytes), &cx).unwrap_err();
        assert_eq!(error.to_string(), reason, "{bytes}");
    }
    let float = Types(Some(DataType::Float));
    let error = decode(path("/6/0/0"), &hex("C300000000"), &context(&float)).unwrap_err();
    assert_eq!(error.to_string(), "/6/0/0: 3 bytes are no value of type Float");
    let error = decode(ObjectPath::ROOT, &hex("C10964"), &cx).unwrap_err();
    assert_eq!(error.to_string(), "TLV carries values of one object only");
}

#[test]
fn a_thousand_nested_multiple_resources_are_one_error() {
    let cx = context(&DEVICE);
    let mut bytes = hex("C10901");
    for _ in 0..1000 {
        let Ok(length) = u16::try_from(bytes.len()) else { break };
        bytes = [vec![0x90, 0x06], length.to_be_bytes().to_vec(), bytes].concat();
    }
    let error = decode(path("/3/0"), &bytes, &cx).unwrap_err();
    assert_eq!(error.to_string(), "byte 4: a resource does not belong here");
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let types = Types(None);
    let cx = context(&types);
    let bytes = vec![0xc0; 2 * (cx.limits.entries_max + 1)];
    // 0xC0 0xC0: resource 192 without bytes, again and again.
    assert_eq!(decode(path("/3/0"), &bytes, &cx), Err(ContentError::TooMany(cx.limits.entries_max)));
    // Nor more instances without anything in them, or empty multiple resources.
    for (base, kind) in [("/3", 0x00), ("/3/0", 0x80)] {
        let empty = [kind, 0].repeat(cx.limits.entries_max);
        assert_eq!(decode(path(base), &empty, &cx), Ok(Vec::new()));
        let more = [&empty[..], &[kind, 0]].concat();
        assert_eq!(decode(path(base), &more, &cx), Err(ContentError::TooMany(cx.limits.entries_max)));
    }
}
