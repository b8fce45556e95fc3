//! LwM2M JSON of 1.0, content format 11543 (and 1543 before registration), LwM2M 1.0 §6.4.4.
//!
//! `{"bn":"/3/0/","e":[{"n":"0","sv":"ACME"},{"n":"22","ov":"66:0"}],"bt":25462634}`: `v` number, `sv` text
//! (Opaque in base 64), `bv` boolean, `ov` object link; `t` is a time offset, not a value.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::senml::milliseconds;
use super::{ContentError, ContentFormat, Context, Entry, Unfit, in_order, json};
use crate::limits::excerpt;
use crate::path::ObjectPath;
use crate::value::{DataType, Decimal, Value};

/// Times below 2^28 seconds are relative to now, as in SenML.
const RELATIVE_BELOW_MS: i64 = (1 << 28) * 1000;

/// The values of a document, inside of `base`. Without `bn`, names are relative to `base`.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    let document = json::read(bytes, cx.limits, DocumentSeed { elements_max: cx.limits.entries_max })?;
    let parent = match &document.base_name {
        Some(name) => base_path(name, cx.alternate_path)?,
        None => base,
    };
    let mut entries = Vec::with_capacity(document.elements.len());
    for element in document.elements {
        let Some(value) = element.value else { continue };
        // Interpretation: "/3/0" and "/3/0/" as base name mean the same; clients differ.
        let path = parent.join(element.name.as_deref().unwrap_or_default())?;
        super::check_place(base, path)?;
        let time = time(document.base_time, element.time, cx)?;
        entries.push(Entry { path, value: value.read_as(cx.data_type(path)), time });
    }
    Ok(entries)
}

/// The base name as a path; the alternate path in front of it is cut.
fn base_path(name: &str, alternate: &str) -> Result<ObjectPath, ContentError> {
    let own = match name.strip_prefix(alternate) {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => name,
    };
    if own.is_empty() {
        return Ok(ObjectPath::ROOT);
    }
    Ok(ObjectPath::parse_composite(own)?)
}

fn time(base: Option<i64>, own: Option<i64>, cx: &Context<'_>) -> Result<Option<i64>, ContentError> {
    if base.is_none() && own.is_none() {
        return Ok(None);
    }
    let now = i64::try_from(cx.now_unix_ms).unwrap_or(i64::MAX);
    let sum = base.unwrap_or(0).checked_add(own.unwrap_or(0));
    let absolute = sum.and_then(|sum| if sum < RELATIVE_BELOW_MS { now.checked_add(sum) } else { Some(sum) });
    match absolute {
        Some(time) => Ok(Some(time)),
        None => Err(ContentError::Shape("a time outside the range of 64 bits".to_owned())),
    }
}

/// The document that carries `entries` to `base`.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    if base.is_root() {
        return Err(ContentError::Unfit { format: ContentFormat::Json, why: Unfit::OneObject });
    }
    let sorted = in_order(base, entries)?;
    let base_name = match sorted.as_slice() {
        [one] if one.path == base => base.to_string(),
        _ => format!("{base}/"), // names follow
    };
    let mut elements = Vec::new();
    for entry in sorted {
        let mut fields = Vec::new();
        let below: Vec<String> =
            entry.path.below(base).unwrap_or_default().iter().map(u16::to_string).collect();
        if !below.is_empty() {
            fields.push(format!("\"n\":\"{}\"", below.join("/")));
        }
        fields.push(value_field(&cx.typed(entry)?)?);
        if let Some(time) = entry.time {
            fields.push(format!("\"t\":{}", json::seconds(time)));
        }
        elements.push(format!("{{{}}}", fields.join(",")));
    }
    Ok(format!("{{\"bn\":\"{base_name}\",\"e\":[{}]}}", elements.join(",")).into_bytes())
}

fn value_field(value: &Value) -> Result<String, ContentError> {
    let (key, element) = value.to_json_element();
    if let Value::Float(float) = value
        && !float.to_f64().is_finite()
    {
        return Err(ContentError::Unfit { format: ContentFormat::Json, why: Unfit::NoSuchValue });
    }
    Ok(format!("\"{key}\":{element}"))
}

#[derive(Default)]
struct Document {
    base_name: Option<String>,
    base_time: Option<i64>,
    elements: Vec<Element>,
}

#[derive(Default)]
struct Element {
    name: Option<String>,
    value: Option<Value>,
    time: Option<i64>,
}

/// Reads an object whose keys come once each; `field` takes the value of a key.
fn once<'de, A: MapAccess<'de>>(
    map: &mut A,
    known: &'static [&'static str],
    mut field: impl FnMut(&'static str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut seen = vec![false; known.len()];
    while let Some(key) = map.next_key::<String>()? {
        let Some((name, seen)) = known.iter().zip(&mut seen).find(|(name, _)| **name == key) else {
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        if std::mem::replace(seen, true) {
            return Err(A::Error::custom(format_args!("\"{}\" twice", excerpt(&key))));
        }
        field(name, map)?;
    }
    Ok(())
}

fn milliseconds_of<'de, A: MapAccess<'de>>(map: &mut A) -> Result<i64, A::Error> {
    let number: Number = map.next_value()?;
    let seconds = Decimal::parse(number.as_str()).map_err(A::Error::custom)?;
    milliseconds(&seconds).ok_or_else(|| A::Error::custom("a time outside the range of 64 bits"))
}

struct DocumentSeed {
    elements_max: usize,
}

impl<'de> DeserializeSeed<'de> for DocumentSeed {
    type Value = Document;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"e\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        let mut found = false;
        once(&mut map, &["bn", "bt", "e"], |key, map| {
            match key {
                "bn" => document.base_name = Some(map.next_value()?),
                "bt" => document.base_time = Some(milliseconds_of(map)?),
                _ => {
                    // "e", the last of the three
                    document.elements = map.next_value_seed(Elements { max: self.elements_max })?;
                    found = true;
                }
            }
            Ok(())
        })?;
        if !found {
            return Err(A::Error::custom("\"e\" is missing"));
        }
        Ok(document)
    }
}

struct Elements {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = Vec<Element>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Element>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Element>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Element>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(ElementSeed)? {
            if elements.len() >= self.max {
                return Err(A::Error::custom(format_args!("more than {} items", self.max)));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

struct ElementSeed;

impl<'de> DeserializeSeed<'de> for ElementSeed {
    type Value = Element;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut element = Element::default();
        once(&mut map, &["n", "t", "v", "sv", "bv", "ov"], |key, map| {
            let value = match key {
                "n" => {
                    element.name = Some(map.next_value()?);
                    return Ok(());
                }
                "t" => {
                    element.time = Some(milliseconds_of(map)?);
                    return Ok(());
                }
                "v" => {
                    let number: Number = map.next_value()?;
                    Value::from_number_text(number.as_str()).map_err(A::Error::custom)?
                }
                "bv" => Value::Boolean(map.next_value()?),
                "ov" => Value::String(map.next_value()?)
                    .into_type(DataType::Objlnk)
                    .map_err(|error| A::Error::custom(format_args!("ov: {error}")))?,
                _ => Value::String(map.next_value()?), // "sv", the last of the six
            };
            match element.value.replace(value) {
                None => Ok(()),
                Some(_) => Err(A::Error::custom("an element has only one of v, sv, bv, ov")),
            }
        })?;
        Ok(element)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::fuzz::{NOW_MS, Types, context};

    fn path(text: &str) -> ObjectPath {
        ObjectPath::parse(text).unwrap()
    }

    fn entry(at: &str, value: Value) -> Entry {
        Entry::new(path(at), value)
    }

    #[test]
    fn an_instance_reads_and_writes_byte_for_byte() {
        let types = Types(None);
        let cx = context(&types);
        let text = concat!(
            r#"{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"9","v":100},"#,
            r#"{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"20","bv":true},{"n":"22","ov":"66:0"}]}"#
        );
        let entries = decode(path("/3/0"), text.as_bytes(), &cx).unwrap();
        assert_eq!(
            entries,
            [
                entry("/3/0/0", Value::String("Open Mobile Alliance".into())),
                entry("/3/0/9", Value::Integer(100)),
                entry("/3/0/11/0", Value::Integer(0)),
                entry("/3/0/13", Value::Integer(1_367_491_215)),
                entry("/3/0/20", Value::Boolean(true)),
                entry("/3/0/22", Value::Objlnk(66, 0)),
            ]
        );
        assert_eq!(encode(path("/3/0"), &entries, &cx).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_single_resource_has_no_name() {
        let types = Types(Some(DataType::Opaque));
        let cx = context(&types);
        let text = br#"{"bn":"/5/0/0","e":[{"sv":"AP8="}]}"#;
        let entries = decode(path("/5/0/0"), text, &cx).unwrap();
        assert_eq!(entries, [entry("/5/0/0", Value::Opaque(Bytes::from_static(&[0, 255])))]);
        assert_eq!(encode(path("/5/0/0"), &entries, &cx).unwrap(), text);
    }

    #[test]
    fn names_join_whatever_slashes_the_client_writes() {
        let types = Types(None);
        for text in [
            r#"{"bn":"/3/0/","e":[{"n":"9","v":1}]}"#,
            r#"{"bn":"/3/0","e":[{"n":"9","v":1}]}"#,
            r#"{"bn":"/3/0","e":[{"n":"/9","v":1}]}"#,
            r#"{"bn":"/","e":[{"n":"3/0/9","v":1}]}"#,
            r#"{"bn":"","e":[{"n":"3/0/9","v":1}]}"#,
            r#"{"e":[{"n":"9","v":1}]}"#,
            r#"{"bn":"/3/0/9","e":[{"n":"","v":1}]}"#,
        ] {
            let entries = decode(path("/3/0"), text.as_bytes(), &context(&types)).unwrap();
            assert_eq!(entries, [entry("/3/0/9", Value::Integer(1))], "{text}");
        }
    }

    #[test]
    fn times_are_offsets_to_the_base_time_or_to_now() {
        let types = Types(None);
        for (text, time) in [
            (r#"{"e":[{"v":1,"t":-5}]}"#, NOW_MS as i64 - 5000),
            (r#"{"bt":1700000000,"e":[{"v":1,"t":-5}]}"#, 1_699_999_995_000),
            (r#"{"bt":1700000000.25,"e":[{"v":1}]}"#, 1_700_000_000_250),
        ] {
            let entries = decode(path("/3/0/9"), text.as_bytes(), &context(&types)).unwrap();
            assert_eq!(entries.first().unwrap().time, Some(time), "{text}");
        }
    }

    #[test]
    fn faults_have_reasons() {
        let types = Types(None);
        for (text, reason) in [
            ("", "not JSON: line 1, column 0"),
            ("{oops", "not JSON: line 1, column 2"),
            ("[]", "invalid type: sequence, expected an object with \"e\" at line 1 column 0"),
            ("{}", "\"e\" is missing at line 1 column 2"),
            (r#"{"e":[{"n":"9","n":"9","v":1}]}"#, "\"n\" twice at line 1 column 18"),
            (r#"{"e":[],"e":[]}"#, "\"e\" twice at line 1 column 11"),
            (
                r#"{"e":[{"n":"9","v":1,"sv":""}]}"#,
                "an element has only one of v, sv, bv, ov at line 1 column 29",
            ),
            (r#"{"e":[{"n":"9","v":1e999}]}"#, "1e+999 is outside the range of Float at line 1 column 25"),
            (r#"{"e":[{"n":"x","v":1}]}"#, "\"x\": \"x\" is not a number 0–65534"),
            (r#"{"bn":"/4/0/","e":[{"n":"9","v":1}]}"#, "/4/0/9 is not part of /3/0"),
            (r#"{"bn":"/3/0","e":[{"v":1}]}"#, "/3/0 has a value but is no resource"),
        ] {
            let error = decode(path("/3/0"), text.as_bytes(), &context(&types)).unwrap_err();
            assert_eq!(error.to_string(), reason, "{text}");
        }
    }
}
