//! SenML JSON, content format 110, and SenML-ETCH JSON, 320 (RFC 8428 §5, RFC 8790; LwM2M 1.2.1 Core
//! §7.5.6).
//!
//! `[{"bn":"/3/0/","n":"0","vs":"ACME"},{"n":"9","v":95}]`, with `vlo` for object links and `vd` in
//! base 64 for URLs without padding. Numbers never pass through a double.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::senml::{Names, Record, Resolver, check_label, check_version, milliseconds};
use super::{ContentError, ContentFormat, Context, Entry, Unfit, in_given_order, json};
use crate::limits::excerpt;
use crate::path::ObjectPath;
use crate::value::{Decimal, Value, base64};

/// The values of a pack, inside of `base`. Records without a value are passed over.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    let mut resolver = Resolver::new(base, cx);
    read(bytes, cx, |record| resolver.entry(record))
}

/// The paths that the records name, in their order.
pub fn decode_paths(bytes: &[u8], cx: &Context<'_>) -> Result<Vec<ObjectPath>, ContentError> {
    let mut resolver = Resolver::new(ObjectPath::ROOT, cx);
    read(bytes, cx, |record| resolver.bare_path(record))
}

/// Resolves record by record, so that a hostile pack is never held as a whole.
fn read<T>(
    bytes: &[u8],
    cx: &Context<'_>,
    mut resolve: impl FnMut(Record) -> Result<Option<T>, ContentError>,
) -> Result<Vec<T>, ContentError> {
    let (mut out, mut failure) = (Vec::new(), None);
    let mut sink = |record| match resolve(record) {
        Ok(resolved) => {
            out.extend(resolved);
            true
        }
        Err(error) => {
            failure = Some(error);
            false
        }
    };
    let read = json::read(bytes, cx.limits, Pack(&mut sink));
    match (failure, read) {
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(())) => Ok(out),
    }
}

/// The pack that carries `entries` to `base`; full names when `base` is the root.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let all = in_given_order(base, entries)?;
    let names = Names::new(base, &all, cx);
    let mut out = String::from("[");
    let mut base_name = names.base_name.clone();
    for (place, entry) in all.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let mut fields = Vec::new();
        if let Some(base_name) = base_name.take() {
            fields.push(format!("\"bn\":{}", json::quoted(&base_name)));
        }
        if let Some(name) = names.name(entry.path) {
            fields.push(format!("\"n\":{}", json::quoted(&name)));
        }
        fields.push(value_field(&cx.typed(entry)?)?);
        if let Some(time) = entry.time {
            fields.push(format!("\"t\":{}", json::seconds(time)));
        }
        out.push('{');
        out.push_str(&fields.join(","));
        out.push('}');
    }
    out.push(']');
    Ok(out.into_bytes())
}

/// The payload of a composite read: records of full names.
pub fn encode_paths(paths: &[ObjectPath], cx: &Context<'_>) -> Vec<u8> {
    let record =
        |path: &ObjectPath| format!("{{\"n\":{}}}", json::quoted(&format!("{}{path}", cx.alternate_path)));
    let records: Vec<String> = paths.iter().map(record).collect();
    format!("[{}]", records.join(",")).into_bytes()
}

fn value_field(value: &Value) -> Result<String, ContentError> {
    Ok(match value {
        Value::Integer(_) | Value::Unsigned(_) | Value::Time(_) | Value::Number(_) | Value::Float(_) => {
            match json::number(value) {
                Some(number) => format!("\"v\":{number}"),
                None => {
                    let format = ContentFormat::SenmlJson;
                    return Err(ContentError::Unfit { format, why: Unfit::NoSuchValue });
                }
            }
        }
        Value::Boolean(value) => format!("\"vb\":{value}"),
        Value::String(text) | Value::Corelnk(text) => format!("\"vs\":{}", json::quoted(text)),
        Value::Opaque(bytes) => format!("\"vd\":\"{}\"", base64::encode_url(bytes)),
        Value::Objlnk(object, instance) => format!("\"vlo\":\"{object}:{instance}\""),
    })
}

/// The array of records, each handed to the function; `false` from it ends the reading.
struct Pack<'s>(&'s mut dyn FnMut(Record) -> bool);

impl<'de> DeserializeSeed<'de> for Pack<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of SenML records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(record) = seq.next_element_seed(RecordSeed)? {
            if !(self.0)(record) {
                return Err(A::Error::custom("refused")); // the reason lies with the function
            }
        }
        Ok(())
    }
}

struct RecordSeed;

impl<'de> DeserializeSeed<'de> for RecordSeed {
    type Value = Record;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Record, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        let (mut known, mut others) = (0_u16, Vec::new());
        while let Some(label) = map.next_key_seed(LabelSeed)? {
            let again = match &label {
                Ok(place) => known >> place & 1 == 1,
                Err(other) => others.contains(other),
            };
            let text = match &label {
                Ok(place) => LABELS.get(*place).copied().unwrap_or_default(),
                Err(other) => other,
            };
            if again {
                return Err(A::Error::custom(format_args!("\"{}\" twice in one record", excerpt(text))));
            }
            match text {
                "bn" => record.base_name = Some(map.next_value()?),
                "n" => record.name = Some(map.next_value()?),
                "bt" => record.base_time = Some(time(&mut map)?),
                "t" => record.time = Some(time(&mut map)?),
                "bv" => record.base_value = Some(decimal(&mut map)?),
                "bs" => record.base_sum = Some(decimal(&mut map)?),
                "s" => record.sum = Some(decimal(&mut map)?),
                "bver" => {
                    let version = decimal(&mut map)?.to_integer().ok().flatten().unwrap_or(i128::MAX);
                    check_version(version).map_err(A::Error::custom)?;
                }
                "v" | "vs" | "vb" | "vd" | "vlo" => {
                    if let Some(value) = value(text, &mut map)? {
                        record.set_value(value).map_err(A::Error::custom)?;
                    }
                }
                other => {
                    check_label(other).map_err(A::Error::custom)?;
                    map.next_value::<IgnoredAny>()?;
                }
            }
            match label {
                Ok(place) => known |= 1 << place,
                Err(other) if others.len() < OTHER_LABELS_MAX => others.push(other),
                Err(_) => {}
            }
        }
        Ok(record)
    }
}

/// Labels of RFC 8428 with `vlo` that mean something here.
const LABELS: [&str; 13] = ["n", "v", "vs", "bn", "vb", "vd", "vlo", "t", "bt", "bv", "bs", "s", "bver"];

/// Other labels that a record needs to remember to notice a second one.
const OTHER_LABELS_MAX: usize = 16;

/// A label: its place in [`LABELS`], or another one's text.
struct LabelSeed;

impl<'de> DeserializeSeed<'de> for LabelSeed {
    type Value = Result<usize, Box<str>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for LabelSeed {
    type Value = Result<usize, Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(LABELS.iter().position(|label| *label == text).ok_or_else(|| Box::from(text)))
    }
}

fn decimal<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Decimal, A::Error> {
    let number: Number = map.next_value()?;
    Decimal::parse(number.as_str()).map_err(A::Error::custom)
}

fn time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<i64, A::Error> {
    let number = decimal(map)?;
    milliseconds(&number).ok_or_else(|| A::Error::custom("a time outside the range of 64 bits"))
}

/// The value under one of the five value labels; null is none (SenML-ETCH).
fn value<'de, A: MapAccess<'de>>(label: &str, map: &mut A) -> Result<Option<Value>, A::Error> {
    if label == "v" {
        let Some(number) = map.next_value::<Option<Number>>()? else { return Ok(None) };
        return Value::from_number_text(number.as_str()).map(Some).map_err(A::Error::custom);
    }
    if label == "vb" {
        return Ok(map.next_value::<Option<bool>>()?.map(Value::Boolean));
    }
    let Some(text) = map.next_value::<Option<String>>()? else { return Ok(None) };
    match label {
        "vd" => match base64::decode(&text) {
            Some(bytes) => Ok(Some(Value::Opaque(Bytes::from(bytes)))),
            None => Err(A::Error::custom("vd is not base 64")),
        },
        "vlo" => Value::String(text)
            .into_type(crate::value::DataType::Objlnk)
            .map(Some)
            .map_err(|error| A::Error::custom(format_args!("vlo: {error}"))),
        _ => Ok(Some(Value::String(text))), // "vs", the last of the five
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
#[path = "senml_json_tests.rs"]
mod tests;
