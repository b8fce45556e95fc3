//! SenML JSON: packs as real clients send them, the rules of resolution, and what is refused.

use super::*;
use crate::content::fuzz::{NOW_MS, Types, context};
use crate::value::DataType;

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse_composite(text).unwrap()
}

fn entry(at: &str, value: Value) -> Entry {
    Entry::new(path(at), value)
}

fn read(base: &str, text: &str) -> Result<Vec<Entry>, ContentError> {
    decode(path(base), text.as_bytes(), &context(&Types(None)))
}

#[test]
fn an_instance_reads_and_writes_byte_for_byte() {
    let types = Types(None);
    let text = concat!(
        r#"[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"9","v":-95},"#,
        r#"{"n":"10","v":20.50},{"n":"20","vb":true},{"n":"21","vd":"-_8"},{"n":"22/0","vlo":"66:0"}]"#
    );
    let entries = [
        entry("/3/0/0", Value::String("Open Mobile Alliance".into())),
        entry("/3/0/6/0", Value::Integer(1)),
        entry("/3/0/9", Value::Integer(-95)),
        entry("/3/0/10", Value::Number(Decimal::parse("20.50").unwrap())),
        entry("/3/0/20", Value::Boolean(true)),
        entry("/3/0/21", Value::Opaque(Bytes::from_static(&[0xfb, 0xff]))),
        entry("/3/0/22/0", Value::Objlnk(66, 0)),
    ];
    assert_eq!(read("/3/0", text).unwrap(), entries);
    assert_eq!(encode(path("/3/0"), &entries, &context(&types)).unwrap(), text.as_bytes());
}

#[test]
fn one_resource_is_named_by_the_base_name_alone() {
    let types = Types(None);
    let text = r#"[{"bn":"/3/0/14","vs":"+01:00"}]"#;
    let entries = [entry("/3/0/14", Value::String("+01:00".into()))];
    assert_eq!(read("/3/0/14", text).unwrap(), entries);
    assert_eq!(encode(path("/3/0/14"), &entries, &context(&types)).unwrap(), text.as_bytes());
}

#[test]
fn composite_lists_read_and_write_byte_for_byte() {
    let types = Types(None);
    let cx = context(&types);
    let paths = ["/3/0/0", "/1/0/1"].map(path);
    let text = br#"[{"n":"/3/0/0"},{"n":"/1/0/1"}]"#;
    assert_eq!(encode_paths(&paths, &cx), text);
    assert_eq!(decode_paths(text, &cx).unwrap(), paths);
    let values = br#"[{"n":"/3/0/14","vs":"+01:00"},{"n":"/1/0/1","v":60}]"#;
    let entries = [entry("/3/0/14", Value::String("+01:00".into())), entry("/1/0/1", Value::Integer(60))];
    assert_eq!(encode(ObjectPath::ROOT, &entries, &cx).unwrap(), values);
    assert_eq!(decode(ObjectPath::ROOT, values, &cx).unwrap(), entries);
    assert_eq!(decode_paths(br#"[{"bn":"/3/0/","n":"0"},{"n":"1","v":null}]"#, &cx).unwrap().len(), 2);
    assert_eq!(decode_paths(br#"[{"n":"/"}]"#, &cx).unwrap(), [ObjectPath::ROOT]);
}

#[test]
fn base_values_carry_over_until_they_are_replaced() {
    let text = r#"[{"bn":"/3303/0/","bt":1700000000,"n":"5700","v":1},{"n":"5601","v":2,"t":5},
        {"bn":"/3303/1/","bt":1700000100.5,"n":"5700","v":3}]"#;
    let times: Vec<_> =
        read("/", text).unwrap().into_iter().map(|e| (e.path.to_string(), e.time.unwrap())).collect();
    assert_eq!(
        times,
        [
            ("/3303/0/5700".to_owned(), 1_700_000_000_000),
            ("/3303/0/5601".to_owned(), 1_700_000_005_000),
            ("/3303/1/5700".to_owned(), 1_700_000_100_500),
        ]
    );
}

#[test]
fn base_name_and_name_are_put_together_verbatim() {
    for text in [
        r#"[{"bn":"/3/0/","n":"9","v":1}]"#,
        r#"[{"bn":"/3/0","n":"/9","v":1}]"#,
        r#"[{"n":"/3/0/9","v":1}]"#,
        r#"[{"n":"3/0/9","v":1}]"#,
        r#"[{"bn":"/3/0/9","v":1}]"#,
        r#"[{"bn":"/3/0/"},{"n":"9","v":1}]"#,
    ] {
        assert_eq!(read("/3/0", text).unwrap(), [entry("/3/0/9", Value::Integer(1))], "{text}");
    }
    let error = read("/", r#"[{"bn":"/3/0","n":"9","v":1}]"#).unwrap_err();
    assert_eq!(error.to_string(), "\"/3/09\": \"09\" is not a number 0–65534");
}

#[test]
fn times_below_two_to_the_28_are_relative_to_now() {
    let now = NOW_MS as i64;
    for (text, time) in [
        (r#"[{"n":"/3/0/9","v":1}]"#, None),
        (r#"[{"n":"/3/0/9","v":1,"t":0}]"#, Some(now)),
        (r#"[{"n":"/3/0/9","v":1,"t":-10.5}]"#, Some(now - 10_500)),
        (r#"[{"bt":-10,"n":"/3/0/9","v":1,"t":-5}]"#, Some(now - 15_000)),
        (r#"[{"n":"/3/0/9","v":1,"t":268435455}]"#, Some(now + 268_435_455_000)),
        (r#"[{"n":"/3/0/9","v":1,"t":268435456}]"#, Some(268_435_456_000)),
        (r#"[{"bt":1700000000.123,"n":"/3/0/9","v":1,"t":-0.003}]"#, Some(1_700_000_000_120)),
    ] {
        assert_eq!(read("/3/0/9", text).unwrap().first().unwrap().time, time, "{text}");
    }
    assert!(read("/3/0/9", r#"[{"n":"/3/0/9","v":1,"t":1e300}]"#).is_err());
    assert!(read("/3/0/9", r#"[{"n":"/3/0/9","v":1,"bt":9e15,"t":9e15}]"#).is_err());
}

#[test]
fn base_values_and_sums_are_added_exactly() {
    for (text, digits) in [
        (r#"[{"bn":"/3/0/9","bv":0.1,"v":0.2}]"#, "0.3"),
        (r#"[{"bn":"/3/0/9","bv":9007199254740992,"v":1}]"#, "9007199254740993"),
        (r#"[{"bv":20},{"bn":"/3/0/9","v":1.5}]"#, "21.5"),
        (r#"[{"bn":"/3/0/9","bs":2,"s":3}]"#, "5"),
        (r#"[{"bn":"/3/0/9","s":3}]"#, "3"),
    ] {
        assert_eq!(read("/3/0/9", text).unwrap().first().unwrap().value.to_text(), digits, "{text}");
    }
    let text = r#"[{"bn":"/3/0/9","bv":1,"vs":"x"}]"#;
    assert_eq!(read("/3/0/9", text).unwrap(), [entry("/3/0/9", Value::String("x".into()))]);
}

#[test]
fn sixty_four_bits_pass_without_loss() {
    let types = Types(Some(DataType::Integer));
    let cx = context(&types);
    for digits in ["9223372036854775807", "-9223372036854775808", "9007199254740993"] {
        let text = format!(r#"[{{"bn":"/1/0/1","v":{digits}}}]"#);
        let entries = decode(path("/1/0/1"), text.as_bytes(), &cx).unwrap();
        assert_eq!(entries, [entry("/1/0/1", Value::Integer(digits.parse().unwrap()))]);
        assert_eq!(encode(path("/1/0/1"), &entries, &cx).unwrap(), text.as_bytes());
    }
}

#[test]
fn the_model_types_the_values() {
    let types = Types(Some(DataType::Time));
    let cx = context(&types);
    let entries = decode(path("/3/0/13"), br#"[{"bn":"/3/0/13","v":1367491215}]"#, &cx).unwrap();
    assert_eq!(entries, [entry("/3/0/13", Value::Time(1_367_491_215))]);
}

#[test]
fn names_of_1_2_devices_start_with_the_alternate_path() {
    let types = Types(None);
    let cx = Context { alternate_path: "/lwm2m", ..context(&types) };
    let entries = [entry("/3/0/9", Value::Integer(1))];
    for text in [
        r#"[{"bn":"/lwm2m/3/0/","n":"9","v":1}]"#,
        r#"[{"n":"/lwm2m/3/0/9","v":1}]"#,
        r#"[{"n":"/3/0/9","v":1}]"#,
    ] {
        assert_eq!(decode(path("/3/0"), text.as_bytes(), &cx).unwrap(), entries, "{text}");
    }
    assert_eq!(encode(path("/3/0/9"), &entries, &cx).unwrap(), br#"[{"bn":"/lwm2m/3/0/9","v":1}]"#);
    assert_eq!(encode_paths(&[path("/3/0")], &cx), br#"[{"n":"/lwm2m/3/0"}]"#);
    assert_eq!(decode_paths(br#"[{"n":"/lwm2m"}]"#, &cx).unwrap(), [ObjectPath::ROOT]);
    let error = decode(path("/3/0"), br#"[{"n":"/other/3/0/9","v":1}]"#, &cx).unwrap_err();
    assert_eq!(error.to_string(), "\"/other/3/0/9\": is not below the device's own root");
}

#[test]
fn faults_have_reasons() {
    let long_name = format!(r#"[{{"bn":"{}","n":"9","v":1}}]"#, "/3".repeat(300));
    for (text, reason) in [
        ("[oops", "not JSON: line 1, column 2"),
        ("[{]", "not JSON: line 1, column 3"),
        ("[] []", "not JSON: line 1, column 4"),
        ("{}", "invalid type: map, expected an array of SenML records at line 1 column 0"),
        ("[1]", "invalid type: integer `1`, expected a SenML record at line 1 column 2"),
        (r#"[{"n":"/3/0/9","v":1,"vs":"1"}]"#, "a record has only one of v, vs, vb, vd, vlo"),
        (r#"[{"n":"/3/0/9","n":"/3/0/9","v":1}]"#, "\"n\" twice in one record"),
        (r#"[{"x":1,"n":"/3/0/9","x":{},"v":1}]"#, "\"x\" twice in one record"),
        (r#"[{"n":"/3/0/9","v":"1"}]"#, "invalid type"),
        (r#"[{"n":"/3/0/9","vd":"*"}]"#, "vd is not base 64"),
        (r#"[{"n":"/3/0/9","vlo":"1"}]"#, "vlo: \"1\" is not an Objlnk"),
        (r#"[{"n":"/3/0/9","x_":1}]"#, "a field that must be understood and is not"),
        (r#"[{"bver":11,"n":"/3/0/9","v":1}]"#, "a SenML version that is not known here"),
        (r#"[{"v":1}]"#, "\"\": no object is named"),
        (r#"[{"n":"/3/0","v":1}]"#, "/3/0 has a value but is no resource"),
        (r#"[{"n":"/4/0/0","v":1}]"#, "/4/0/0 is not part of /3/0"),
        (r#"[{"n":"/3/0/9","vs":"\ud800"}]"#, "not JSON"),
        (long_name.as_str(), "more than 512 bytes"),
    ] {
        let shown = read("/3/0", text).unwrap_err().to_string();
        assert!(shown.starts_with(reason), "{text}: {shown}");
    }
    let types = Types(None);
    let nan = [entry("/3/0/9", Value::Float(f64::NAN.into()))];
    let error = encode(path("/3/0"), &nan, &context(&types)).unwrap_err();
    assert_eq!(error.to_string(), "SenML JSON has no form for this value");
}

#[test]
fn unknown_fields_and_empty_records_are_passed_over() {
    let text = r#"[{"bver":10,"bu":"Cel","x":{"y":[1]}},{},{"n":"/3/0/9","u":"V","ut":5,"v":1}]"#;
    assert_eq!(read("/3/0", text).unwrap(), [entry("/3/0/9", Value::Integer(1))]);
}

#[test]
fn a_reason_stays_short_whatever_was_sent() {
    let long = "é\n".repeat(20_000);
    for text in [
        format!(r#"[{{"n":"/3/0/9","v":{}}}]"#, json::quoted(&long)),
        format!(r#"[{{"n":"/3/0/9","vb":{}}}]"#, json::quoted(&long)),
        format!("[{}]", json::quoted(&long)),
        format!(r#"[{{"n":"/3/0/9","v":{}}}]"#, "9".repeat(60_000)),
        format!(r#"[{{"n":"/3/0/9","v":1,{0}:1,{0}:2}}]"#, json::quoted(&long)),
    ] {
        let reason = read("/3/0", &text).unwrap_err().to_string();
        assert!(reason.len() < 600, "{} bytes: {reason}", reason.len());
    }
}

#[test]
fn an_object_is_no_number_whatever_its_key() {
    let text = r#"[{"n":"/3/0/9","v":{"$serde_json::private::Number":"1"}}]"#;
    let reason = read("/3/0", text).unwrap_err().to_string();
    assert!(reason.starts_with("invalid type: map, expected a JSON number"), "{reason}");
}

#[test]
fn texts_with_escapes_are_read_and_half_pairs_refused() {
    for (written, text) in [
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u20AC\ud83d\uDE00x", "Aé€😀x"),
        ("ü", "ü"),
    ] {
        let pack = format!(r#"[{{"n":"\u002f3/0/9","\u0076s":"{written}"}}]"#);
        assert_eq!(read("/3/0", &pack).unwrap(), [entry("/3/0/9", Value::String(text.into()))], "{pack}");
    }
    for written in
        [r"\ud83d", r"\ud83d\n", r"\ud83dx", r"\ud83d\u0041", r"\ude00", r"\u12", r"\u12g4", r"\x", "\t"]
    {
        let pack = format!(r#"[{{"n":"/3/0/9","vs":"{written}"}}]"#);
        assert!(matches!(read("/3/0", &pack), Err(ContentError::NotJson { .. })), "{pack}");
    }
    let latin = b"[{\"n\":\"/3/0/9\",\"u\":\"\xb0C\",\"v\":1}]";
    let types = Types(None);
    assert_eq!(decode(path("/3/0"), latin, &context(&types)).unwrap(), [entry("/3/0/9", Value::Integer(1))]);
    let value = b"[{\"n\":\"/3/0/9\",\"vs\":\"\xb0C\"}]";
    let error = decode(path("/3/0"), value, &context(&types)).unwrap_err();
    assert_eq!(error.to_string(), "not JSON: line 1, column 22");
}
