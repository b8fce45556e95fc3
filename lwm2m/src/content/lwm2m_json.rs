//! LwM2M JSON of 1.0, content format 11543 (and 1543 before registration), LwM2M 1.0 §6.4.4.
//!
//! `{"bn":"/3/0/","e":[{"n":"0","sv":"ACME"},{"n":"22","ov":"66:0"}],"bt":25462634}`: `v` number, `sv` text
//! (Opaque in base 64), `bv` boolean, `ov` object link; `t` is a time offset, not a value.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use super::json_reader::{Read, Reader};
use super::{ContentError, ContentFormat, Context, Entry, TypeMemo, Unfit, in_order, json, steps};
use crate::path::ObjectPath;
use crate::value::Value;

/// Times below 2^28 seconds are relative to now, as in SenML.
const RELATIVE_BELOW_MS: i64 = (1 << 28) * 1000;

/// The values of a document, inside of `base`. Without `bn`, names are relative to `base`.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    let document = json::read(bytes, cx.limits, |reader| document(reader, cx.limits.entries_max))?;
    let parent = match &document.base_name {
        Some(name) => base_path(name, cx.alternate_path)?,
        None => base,
    };
    let (base_time, mut types) = (document.base_time, TypeMemo::new(cx));
    let resolve = |element: Element<'_>| {
        let Some(value) = element.value else { return Ok(None) };
        // Interpretation: "/3/0" and "/3/0/" as base name mean the same; clients differ.
        let name = element.name.as_deref().unwrap_or_default();
        steps::count(1 + name.len());
        let path = parent.join(name)?;
        super::check_place(base, path)?;
        let time = time(base_time, element.time, cx)?;
        Ok(Some(Entry { path, value: value.read_as(types.of(path)), time }))
    };
    // An element is not smaller than its entry, so the entries take the elements' memory.
    document.elements.into_iter().map(resolve).filter_map(Result::transpose).collect()
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
struct Document<'b> {
    base_name: Option<Cow<'b, str>>,
    base_time: Option<i64>,
    elements: Vec<Element<'b>>,
}

#[derive(Default)]
struct Element<'b> {
    name: Option<Cow<'b, str>>,
    value: Option<Value>,
    time: Option<i64>,
}

/// Reads an object whose known keys come once each: `place` numbers them, and `field` takes the value of one.
fn once<'b>(
    reader: &mut Reader<'b>,
    expected: &str,
    place: impl Fn(&[u8]) -> Option<u8>,
    mut field: impl FnMut(u8, &mut Reader<'b>) -> Read<()>,
) -> Read<()> {
    let (mut seen, mut first) = (0_u8, true);
    reader.object(expected)?;
    while let Some(key) = reader.key(&mut first)? {
        let Some(place) = place(&key) else {
            reader.as_text(key)?;
            reader.colon()?;
            reader.skip()?;
            continue;
        };
        if seen >> place & 1 == 1 {
            let key = reader.as_text(key)?;
            return Err(reader.fault_in_object(format_args!("\"{key}\" twice")));
        }
        seen |= 1 << place;
        reader.colon()?;
        field(place, reader)?;
    }
    Ok(())
}

fn document<'b>(reader: &mut Reader<'b>, elements_max: usize) -> Read<Document<'b>> {
    let mut document = Document::default();
    let mut found = false;
    let place = |key: &[u8]| match key {
        b"bn" => Some(0),
        b"bt" => Some(1),
        b"e" => Some(2),
        _ => None, // any other text
    };
    once(reader, "an object with \"e\"", place, |key, reader| {
        match key {
            0 => document.base_name = Some(reader.text()?),
            1 => document.base_time = Some(reader.milliseconds()?),
            _ => {
                // "e", the last of the three
                document.elements = elements(reader, elements_max)?;
                found = true;
            }
        }
        Ok(())
    })?;
    if !found {
        return Err(reader.fault_at_end("\"e\" is missing"));
    }
    Ok(document)
}

fn elements<'b>(reader: &mut Reader<'b>, elements_max: usize) -> Read<Vec<Element<'b>>> {
    let (mut elements, mut first) = (Vec::new(), true);
    reader.array("an array of elements")?;
    while reader.element(&mut first)? {
        let element = element(reader)?;
        if elements.len() >= elements_max {
            return Err(reader.fault_in_array(format_args!("more than {elements_max} items")));
        }
        elements.push(element);
    }
    Ok(elements)
}

fn element<'b>(reader: &mut Reader<'b>) -> Read<Element<'b>> {
    let mut element = Element::default();
    let place = |key: &[u8]| match key {
        b"n" => Some(0),
        b"v" => Some(1),
        b"t" => Some(2),
        b"sv" => Some(3),
        b"bv" => Some(4),
        b"ov" => Some(5),
        _ => None, // any other text
    };
    once(reader, "an element", place, |key, reader| {
        let value = match key {
            0 => {
                element.name = Some(reader.text()?);
                return Ok(());
            }
            2 => {
                element.time = Some(reader.milliseconds()?);
                return Ok(());
            }
            1 => reader.number_value()?,
            3 => Value::String(reader.text()?.into_owned()),
            4 => Value::Boolean(reader.boolean()?),
            _ => {
                // "ov", the last of the six
                let text = reader.text()?;
                Value::objlnk_of(&text)
                    .map_err(|error| reader.fault_in_object(format_args!("ov: {error}")))?
            }
        };
        match element.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(reader.fault_in_object("an element has only one of v, sv, bv, ov")),
        }
    })?;
    Ok(element)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::fuzz::{NOW_MS, Types, context};
    use crate::value::DataType;

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
