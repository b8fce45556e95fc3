//! Test helpers of the formats, and the property that every decoder is total.

use proptest::prelude::*;

use super::*;
use crate::catalog::Model;
use crate::value::Float;

/// The time that relative times refer to in tests.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;

/// A model that gives every resource the same type.
pub(super) struct Types(pub(super) Option<DataType>);

impl Model for Types {
    fn data_type(&self, _object: u16, _resource: u16) -> Option<DataType> {
        self.0
    }
    fn is_single_instance(&self, object: u16) -> bool {
        object == 3
    }
}

/// A model that knows the types of a few resources.
pub(super) struct Table(pub(super) &'static [(u16, u16, DataType)]);

impl Model for Table {
    fn data_type(&self, object: u16, resource: u16) -> Option<DataType> {
        self.0.iter().find(|(o, r, _)| (*o, *r) == (object, resource)).map(|(_, _, data_type)| *data_type)
    }
    fn is_single_instance(&self, object: u16) -> bool {
        object == 3
    }
}

static LIMITS: std::sync::LazyLock<ContentLimits> = std::sync::LazyLock::new(ContentLimits::default);

pub(super) fn context(model: &dyn Model) -> Context<'_> {
    Context { model, limits: &LIMITS, now_unix_ms: NOW_MS, alternate_path: "" }
}

/// Bytes of a hex text with spaces; a quoted part is text.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (place, part) in text.split('"').enumerate() {
        if place % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        for pair in digits.chunks(2) {
            out.push(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        }
    }
    out
}

fn any_type() -> impl Strategy<Value = Option<DataType>> {
    prop::option::of(prop::sample::select(&DataType::ALL[..]))
}

fn any_base() -> impl Strategy<Value = ObjectPath> {
    prop::sample::select(&["/", "/3", "/3/0", "/3/0/7", "/3/0/7/1", "/65535/65534/65534"][..])
        .prop_map(|text| ObjectPath::parse_composite(text).unwrap())
}

/// Contents that mean something in some format, to be damaged.
const SEEDS: &[&str] = &[
    "C800 14 \"Open Mobile Alliance\" 8606 41 00 01 41 01 05 88 0708 42000ED842011388",
    "08000E C10001 C10100 8302417F07 C1037F",
    "A1 82 19 0CE7 00 A2 19 1644 FA 41A40000 19 1645 63 43656C",
    "BF 83 03 00 00 65 416E6A6179 FF",
    "82A421\"d/3/0\"00\"b/0\"22FB41D954FC4000000003\"eAnjay\"A200\"b/9\"0200",
    "\"[{'bn':'/3/0/','n':'0','vs':'ACME','bt':1700000000},{'n':'9','v':95,'t':-5}]\"",
    "\"{'bn':'/3/0/','e':[{'n':'0','sv':'x'},{'n':'9','v':1},{'n':'11/0','v':0},{'n':'22','ov':'66:0'}]}\"",
    "\"</3/0>;ver=1.1;pmin='10',</3/0/7>;dim=8;ct='110 112',</4>\"",
    "\"21.5\"",
    "C4 82 21 19 6AB3",
    "9F 9F 9F BF FF",
];

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..6);
    (prop::sample::select(SEEDS), damage).prop_map(|(seed, damage)| {
        let mut bytes: Vec<u8> = hex(seed).into_iter().map(|b| if b == b'\'' { b'"' } else { b }).collect();
        for (place, byte, kind) in damage {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => drop(bytes.remove(place)),
                _ => bytes.truncate(place),
            }
        }
        bytes
    })
}

/// Every decoder on the same bytes: entries within bounds, or an error with a reason of bounded length.
fn all_decoders(base: ObjectPath, bytes: &[u8], data_type: Option<DataType>) {
    let types = Types(data_type);
    let cx = context(&types);
    for format in ContentFormat::ALL {
        match decode(format, base, bytes, &cx) {
            Ok(entries) => {
                assert!(entries.len() <= cx.limits.entries_max);
                for entry in &entries {
                    assert!(base.contains(entry.path) && entry.path.depth() >= 3);
                    let _ = (entry.value.to_json(), entry.value.to_text());
                }
                // What was read can be written again, unless a value has no form in the format.
                let _ = encode(format, base, &entries, &cx);
            }
            Err(error) => {
                let reason = error.to_string();
                assert!(!reason.is_empty() && reason.len() < 1000, "{reason}");
            }
        }
        if let Ok(paths) = decode_paths(format, bytes, &cx) {
            assert!(paths.len() <= cx.limits.entries_max);
        }
    }
    if let Ok(links) = link::decode(bytes, cx.limits) {
        for link in &links {
            let _ = (link.place("/lwm2m"), link.content_formats(), link.without_bare_attributes());
            assert!(link.attributes().all(|attribute| !attribute.name.is_empty()));
        }
        let again = link::encode(&links);
        assert_eq!(link::decode(again.as_bytes(), cx.limits).unwrap(), links);
    }
}

fn any_value(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Integer => any::<i64>().prop_map(Value::Integer).boxed(),
        DataType::UnsignedInteger => any::<u64>().prop_map(Value::Unsigned).boxed(),
        DataType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        DataType::Float => {
            let finite = any::<f64>().prop_filter("JSON has no NaN", |v| v.is_finite());
            // A single's shortest digits are another double, so singles would not compare equal.
            prop_oneof![finite, (-1e6f32..1e6).prop_map(f64::from)]
                .prop_map(Float::from)
                .prop_map(Value::Float)
                .boxed()
        }
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::String => any::<String>().prop_map(Value::String).boxed(),
        DataType::Corelnk => any::<String>().prop_map(Value::Corelnk).boxed(),
        DataType::Opaque => any::<Vec<u8>>().prop_map(|v| Value::Opaque(v.into())).boxed(),
        DataType::Objlnk => any::<(u16, u16)>().prop_map(|(o, i)| Value::Objlnk(o, i)).boxed(),
    }
}

/// Entries of instances of one object: some single resources, some multiple ones.
fn any_entries() -> impl Strategy<Value = (DataType, Vec<Entry>)> {
    prop::sample::select(&DataType::ALL[..]).prop_flat_map(|data_type| {
        let place = (0u16..3, 0u16..300, prop::option::of(0u16..400));
        let entries = prop::collection::vec((place, any_value(data_type)), 1..12);
        entries.prop_map(move |entries| {
            let mut entries: Vec<Entry> = entries
                .into_iter()
                .map(|((instance, resource, ri), value)| {
                    // Even resources are single, odd ones multiple: never both.
                    let ri = (resource % 2 == 1).then_some(ri.unwrap_or(7));
                    let ids: Vec<u16> = [3303, instance, resource].into_iter().chain(ri).collect();
                    Entry::new(ObjectPath::from_ids(&ids).unwrap(), value)
                })
                .collect();
            entries.sort_by_key(|entry| entry.path);
            entries.dedup_by_key(|entry| entry.path);
            (data_type, entries)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_never_panic_and_stay_in_bounds(
        base in any_base(), data_type in any_type(), bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        all_decoders(base, &bytes, data_type);
    }

    #[test]
    fn damaged_contents_never_panic_and_stay_in_bounds(
        base in any_base(), data_type in any_type(), bytes in damaged(),
    ) {
        all_decoders(base, &bytes, data_type);
    }

    #[test]
    fn every_format_of_many_values_brings_all_of_them_back((data_type, entries) in any_entries()) {
        let types = Types(Some(data_type));
        let cx = context(&types);
        let object = ObjectPath::object(3303);
        for format in ContentFormat::ALL {
            if format.is_single_value() || format == ContentFormat::Link {
                continue;
            }
            let bytes = encode(format, object, &entries, &cx).unwrap();
            let back = decode(format, object, &bytes, &cx).unwrap();
            prop_assert_eq!(&back, &entries, "{}", format.name());
        }
    }

    #[test]
    fn every_format_of_one_value_brings_it_back(
        (data_type, value) in prop::sample::select(&DataType::ALL[..])
            .prop_flat_map(|data_type| (Just(data_type), any_value(data_type))),
        base in prop::sample::select(&["/3303/0/5700", "/3303/0/5700/300"][..]),
    ) {
        let types = Types(Some(data_type));
        let cx = context(&types);
        let base = ObjectPath::parse(base).unwrap();
        let entries = [Entry::new(base, value)];
        for format in ContentFormat::ALL {
            if format == ContentFormat::Link || (format == ContentFormat::Opaque && data_type != DataType::Opaque) {
                continue;
            }
            let bytes = encode(format, base, &entries, &cx).unwrap();
            let back = decode(format, base, &bytes, &cx).unwrap();
            prop_assert_eq!(&back[..], &entries[..], "{}", format.name());
        }
    }

    #[test]
    fn times_survive_senml(milliseconds in (1i64 << 28) * 1000..4_000_000_000_000) {
        let types = Types(None);
        let cx = context(&types);
        let base = ObjectPath::parse("/3/0/9").unwrap();
        let entries = [Entry { path: base, value: Value::Integer(1), time: Some(milliseconds) }];
        for format in [ContentFormat::SenmlJson, ContentFormat::SenmlCbor, ContentFormat::Json] {
            let bytes = encode(format, base, &entries, &cx).unwrap();
            prop_assert_eq!(&decode(format, base, &bytes, &cx).unwrap()[..], &entries[..]);
        }
    }
}

#[test]
fn hostile_documents_are_answered_with_a_reason() {
    // Cases L26, L27 and L31 of the hostile list.
    let base = ObjectPath::parse("/3/0").unwrap();
    let types = Types(Some(DataType::Integer));
    let cx = context(&types);
    let json_deep = "[".repeat(10_000);
    let many_records = format!("[{}]", ["{}"; 5000].join(","));
    let many_tags = [vec![0x81, 0xa2, 0x00, 0x61, 0x39, 0x02], vec![0xc1; 10_000]].concat();
    let unknown_deep = [vec![0x81, 0xa1, 0x18, 0x63], vec![0x9f; 10_000]].concat();
    for (format, bytes, reason) in [
        (ContentFormat::Tlv, hex("C800FF"), "ends too early: what starts at byte 0 is not whole"),
        (ContentFormat::Tlv, hex("D800FFFFFF00"), "ends too early: what starts at byte 0 is not whole"),
        (ContentFormat::Tlv, hex("C009"), "/3/0/9: no bytes where a value of type Integer should be"),
        (ContentFormat::SenmlCbor, vec![0x9f; 10_000], "byte 1: not CBOR of this format"),
        (ContentFormat::SenmlCbor, hex("BBFFFFFFFFFFFFFFFF"), "byte 0: not CBOR of this format"),
        (
            ContentFormat::SenmlCbor,
            hex("81A1007AFFFFFFFF2F"),
            "ends too early: what starts at byte 8 is not whole",
        ),
        (ContentFormat::SenmlCbor, many_tags, "byte 11: too many tags"),
        (ContentFormat::SenmlCbor, unknown_deep, "nested deeper than 16 levels"),
        (ContentFormat::SenmlJson, json_deep.into_bytes(), "nested deeper than 32 levels"),
        (ContentFormat::SenmlJson, many_records.into_bytes(), "more than 4096 items"),
        (
            ContentFormat::SenmlJson,
            br#"[{"n":"9","v":1e999}]"#.to_vec(),
            "1e+999 is outside the range of Float at line 1 column 20",
        ),
        (
            ContentFormat::SenmlJson,
            br#"[{"n":"9","n":"8","v":1}]"#.to_vec(),
            "\"n\" twice in one record at line 1 column 13",
        ),
        (ContentFormat::Text, b"1".to_vec(), "text/plain carries exactly one resource"),
        (ContentFormat::SenmlJson, vec![], "not JSON: line 1, column 0"),
    ] {
        let error = decode(format, base, &bytes, &cx).unwrap_err();
        assert_eq!(error.to_string(), reason, "{}", format.name());
    }
}
