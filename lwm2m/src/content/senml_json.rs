//! SenML JSON, content format 110, and SenML-ETCH JSON, 320 (RFC 8428 §5, RFC 8790; LwM2M 1.2.1 Core
//! §7.5.6).
//!
//! `[{"bn":"/3/0/","n":"0","vs":"ACME"},{"n":"9","v":95}]`, with `vlo` for object links and `vd` in
//! base 64 for URLs without padding. Numbers never pass through a double.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use bytes::Bytes;

use super::json_reader::{Fault, Read, Reader};
use super::senml::{Names, Record, Resolver, check_label, check_version};
use super::{ContentError, ContentFormat, Context, Entry, Unfit, in_given_order, json, steps};
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
fn read<'b, T>(
    bytes: &'b [u8],
    cx: &Context<'_>,
    mut resolve: impl FnMut(&mut Record<'b>) -> Result<Option<T>, ContentError>,
) -> Result<Vec<T>, ContentError> {
    json::read(bytes, cx.limits, |reader| {
        let (mut out, mut others, mut first) = (Vec::new(), Vec::new(), true);
        reader.array("an array of SenML records")?;
        while reader.element(&mut first)? {
            let mut record = Record::default();
            fill(reader, &mut record, &mut others)?;
            if let Some(resolved) = resolve(&mut record)? {
                out.push(resolved);
            }
        }
        Ok(out)
    })
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

/// Labels of RFC 8428 with `vlo` that mean something here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseValue,
    BaseSum,
    Name,
    Value,
    StringValue,
    BooleanValue,
    DataValue,
    ObjectLink,
    Sum,
    Time,
}

impl Label {
    fn of(text: &[u8]) -> Option<Label> {
        Some(match text {
            b"bver" => Label::BaseVersion,
            b"bn" => Label::BaseName,
            b"bt" => Label::BaseTime,
            b"bv" => Label::BaseValue,
            b"bs" => Label::BaseSum,
            b"n" => Label::Name,
            b"v" => Label::Value,
            b"vs" => Label::StringValue,
            b"vb" => Label::BooleanValue,
            b"vd" => Label::DataValue,
            b"vlo" => Label::ObjectLink,
            b"s" => Label::Sum,
            b"t" => Label::Time,
            _ => return None, // any other text
        })
    }
}

/// Other labels that a record needs to remember to notice a second one.
const OTHER_LABELS_MAX: usize = 16;

/// Reads one record. `others` is memory that its unknown labels use.
fn fill<'b>(reader: &mut Reader<'b>, record: &mut Record<'b>, others: &mut Vec<Cow<'b, str>>) -> Read<()> {
    let (mut known, mut first) = (0_u16, true);
    others.clear();
    reader.object("a SenML record")?;
    while let Some(text) = reader.key(&mut first)? {
        let Some(label) = Label::of(&text) else {
            let text = reader.as_text(text)?;
            unknown(reader, others, text)?;
            continue;
        };
        let bit = 1 << label as u16;
        if known & bit != 0 {
            return Err(twice(reader, &String::from_utf8_lossy(&text)));
        }
        known |= bit;
        reader.colon()?;
        field(reader, record, label)?;
    }
    Ok(())
}

#[cold]
fn twice(reader: &mut Reader<'_>, label: &str) -> Box<Fault> {
    reader.fault_in_object(format_args!("\"{}\" twice in one record", excerpt(label)))
}

fn unknown<'b>(reader: &mut Reader<'b>, others: &mut Vec<Cow<'b, str>>, label: Cow<'b, str>) -> Read<()> {
    steps::count(others.len());
    if others.contains(&label) {
        return Err(twice(reader, &label));
    }
    check_label(&label).map_err(|what| reader.fault_in_object(what))?;
    reader.colon()?;
    reader.skip()?;
    if others.len() < OTHER_LABELS_MAX {
        others.push(label);
    }
    Ok(())
}

fn field<'b>(reader: &mut Reader<'b>, record: &mut Record<'b>, label: Label) -> Read<()> {
    match label {
        Label::BaseName => record.base_name = Some(reader.text()?),
        Label::Name => record.name = Some(reader.text()?),
        Label::BaseTime => record.base_time = Some(reader.milliseconds()?),
        Label::Time => record.time = Some(reader.milliseconds()?),
        Label::BaseValue => record.base_value = Some(reader.number_value()?),
        Label::BaseSum => record.base_sum = Some(reader.number_value()?),
        Label::Sum => record.sum = Some(reader.number_value()?),
        Label::BaseVersion => {
            let version = decimal(reader)?.to_integer().ok().flatten().unwrap_or(i128::MAX);
            check_version(version).map_err(|what| reader.fault_in_object(what))?;
        }
        Label::Value | Label::StringValue | Label::BooleanValue | Label::DataValue | Label::ObjectLink => {
            if reader.null()? {
                return Ok(()); // no value (SenML-ETCH)
            }
            let value = value(reader, label)?;
            record.set_value(value).map_err(|what| reader.fault_in_object(what))?;
        }
    }
    Ok(())
}

fn decimal(reader: &mut Reader<'_>) -> Read<Decimal> {
    let number = reader.number(Decimal::parse_bytes)?;
    number.map_err(|error| reader.fault_in_object(error))
}

/// The value under one of the five value labels.
fn value(reader: &mut Reader<'_>, label: Label) -> Read<Value> {
    match label {
        Label::Value => reader.number_value(),
        Label::BooleanValue => Ok(Value::Boolean(reader.boolean()?)),
        Label::DataValue => match base64::decode(&reader.text()?) {
            Some(bytes) => Ok(Value::Opaque(Bytes::from(bytes))),
            None => Err(reader.fault_in_object("vd is not base 64")),
        },
        Label::ObjectLink => {
            let text = reader.text()?;
            Value::objlnk_of(&text).map_err(|error| reader.fault_in_object(format_args!("vlo: {error}")))
        }
        Label::StringValue
        | Label::BaseVersion
        | Label::BaseName
        | Label::BaseTime
        | Label::BaseValue
        | Label::BaseSum
        | Label::Name
        | Label::Sum
        | Label::Time => Ok(Value::String(reader.text()?.into_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
#[path = "senml_json_tests.rs"]
mod tests;
