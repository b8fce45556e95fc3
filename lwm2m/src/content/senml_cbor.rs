//! SenML CBOR, content format 112, and SenML-ETCH CBOR, 322 (RFC 8428 §6, RFC 8790): the records of
//! [`super::senml_json`] with integer labels.
#![deny(clippy::indexing_slicing)]

use super::cbor_item::{Items, Kind, Writer};
use super::senml::{Names, Record, Resolver, check_label, check_version, milliseconds};
use super::{ContentError, Context, Entry, in_given_order, steps};
use crate::path::ObjectPath;
use crate::value::{Float, Value};

/// Labels of RFC 8428 §6, table 4; object links (`vlo`) have a text label.
mod label {
    pub(super) const BASE_VERSION: i128 = -1;
    pub(super) const BASE_NAME: i128 = -2;
    pub(super) const BASE_TIME: i128 = -3;
    pub(super) const BASE_VALUE: i128 = -5;
    pub(super) const BASE_SUM: i128 = -6;
    pub(super) const NAME: i128 = 0;
    pub(super) const VALUE: i128 = 2;
    pub(super) const STRING_VALUE: i128 = 3;
    pub(super) const BOOLEAN_VALUE: i128 = 4;
    pub(super) const SUM: i128 = 5;
    pub(super) const TIME: i128 = 6;
    pub(super) const DATA_VALUE: i128 = 8;
    pub(super) const OBJECT_LINK: &str = "vlo";
}

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

fn read<'b, T>(
    bytes: &'b [u8],
    cx: &Context<'_>,
    mut resolve: impl FnMut(&mut Record<'b>) -> Result<Option<T>, ContentError>,
) -> Result<Vec<T>, ContentError> {
    let mut items = Items::new(bytes, cx.limits.cbor_depth_max);
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    let mut records = items.array()?;
    // Each record takes a byte at least and the resolver counts them, so this ends.
    while items.more(&mut records)? {
        let mut record = Record::default();
        fill(&mut items, &mut record, &mut seen)?;
        if let Some(resolved) = resolve(&mut record)? {
            out.push(resolved);
        }
    }
    items.end()?;
    Ok(out)
}

/// Longest record in fields: RFC 8428 has 15. More would be unknown ones, which cost a byte each.
const FIELDS_MAX: usize = 64;

/// Reads one record. `seen` is memory for its labels.
fn fill<'b>(
    items: &mut Items<'b>,
    record: &mut Record<'b>,
    seen: &mut Vec<i128>,
) -> Result<(), ContentError> {
    seen.clear();
    let mut fields = items.map()?;
    while items.more(&mut fields)? {
        if items.kind()? == Kind::Text {
            text_field(items, record)?;
            continue;
        }
        let label = items.integer()?;
        steps::count(seen.len());
        if seen.contains(&label) {
            return Err(items.malformed("a field twice in one record"));
        }
        if seen.len() >= FIELDS_MAX {
            return Err(ContentError::TooMany(FIELDS_MAX));
        }
        seen.push(label);
        field(items, record, label)?;
    }
    Ok(())
}

fn text_field(items: &mut Items<'_>, record: &mut Record<'_>) -> Result<(), ContentError> {
    let at = items.at();
    let malformed = |what| ContentError::Malformed { at, what };
    let label = items.text()?;
    if label != label::OBJECT_LINK {
        check_label(&label).map_err(malformed)?;
        return items.skip();
    }
    let link =
        Value::objlnk_of(&items.text()?).map_err(|error| ContentError::Shape(format!("vlo: {error}")))?;
    record.set_value(link).map_err(malformed)
}

fn field<'b>(items: &mut Items<'b>, record: &mut Record<'b>, label: i128) -> Result<(), ContentError> {
    let at = items.at();
    let malformed = |what| ContentError::Malformed { at, what };
    match label {
        label::BASE_NAME => record.base_name = Some(items.text()?),
        label::NAME => record.name = Some(items.text()?),
        label::BASE_TIME => record.base_time = Some(time(items)?),
        label::TIME => record.time = Some(time(items)?),
        label::BASE_VALUE => record.base_value = Some(number(items)?),
        label::BASE_SUM => record.base_sum = Some(number(items)?),
        label::SUM => record.sum = Some(number(items)?),
        label::BASE_VERSION => check_version(items.integer()?).map_err(malformed)?,
        label::VALUE | label::STRING_VALUE | label::BOOLEAN_VALUE | label::DATA_VALUE => {
            let Some(value) = items.scalar()? else { return Ok(()) };
            if !is_of(label, &value) {
                return Err(malformed("a value of another kind than its label says"));
            }
            record.set_value(value).map_err(malformed)?;
        }
        _ => items.skip()?, // units and update times say nothing to LwM2M, others are unknown
    }
    Ok(())
}

fn is_of(label: i128, value: &Value) -> bool {
    match value {
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Number(_) | Value::Time(_) => {
            label == label::VALUE
        }
        Value::String(_) => label == label::STRING_VALUE,
        Value::Boolean(_) => label == label::BOOLEAN_VALUE,
        Value::Opaque(_) => label == label::DATA_VALUE,
        Value::Objlnk(..) | Value::Corelnk(_) => false, // no CBOR item reads as one
    }
}

/// A finite number.
fn number(items: &mut Items<'_>) -> Result<Value, ContentError> {
    let at = items.at();
    match items.scalar()? {
        Some(Value::Time(v)) => Ok(Value::Integer(v)),
        Some(number @ (Value::Integer(_) | Value::Unsigned(_) | Value::Number(_))) => Ok(number),
        Some(Value::Float(float)) if float.to_f64().is_finite() => Ok(Value::Float(float)),
        Some(
            Value::Float(_)
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Opaque(_)
            | Value::Objlnk(..)
            | Value::Corelnk(_),
        )
        | None => Err(ContentError::Malformed { at, what: "no finite number" }),
    }
}

fn time(items: &mut Items<'_>) -> Result<i64, ContentError> {
    let at = items.at();
    let fault = |what| ContentError::Malformed { at, what };
    let seconds = match items.scalar()? {
        Some(Value::Integer(v) | Value::Time(v)) => v.checked_mul(1000),
        Some(Value::Unsigned(_)) => None, // what needs 64 bits without sign in seconds is more in milliseconds
        Some(Value::Number(number)) => milliseconds(&number),
        Some(Value::Float(float)) if float.to_f64().is_finite() => float.milliseconds(),
        Some(
            Value::Float(_)
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Opaque(_)
            | Value::Objlnk(..)
            | Value::Corelnk(_),
        )
        | None => return Err(fault("no finite number")),
    };
    seconds.ok_or(fault("a time outside the range of 64 bits"))
}

/// The pack that carries `entries` to `base`; full names when `base` is the root.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let all = in_given_order(base, entries)?;
    let names = Names::new(base, &all, cx);
    let mut base_name = names.base_name.clone();
    let mut writer = Writer::new();
    writer.array(all.len());
    for entry in all {
        let base_name = base_name.take();
        let name = names.name(entry.path);
        let fields = [base_name.is_some(), name.is_some(), true, entry.time.is_some()];
        writer.map(fields.into_iter().filter(|there| *there).count());
        if let Some(base_name) = base_name {
            put_label(&mut writer, label::BASE_NAME);
            writer.text(&base_name);
        }
        if let Some(name) = name {
            put_label(&mut writer, label::NAME);
            writer.text(&name);
        }
        put_value(&mut writer, &cx.typed(entry)?);
        if let Some(time) = entry.time {
            put_label(&mut writer, label::TIME);
            put_seconds(&mut writer, time);
        }
    }
    Ok(writer.into_bytes())
}

/// The payload of a composite read: records of full names.
pub fn encode_paths(paths: &[ObjectPath], cx: &Context<'_>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(paths.len());
    for path in paths {
        writer.map(1);
        put_label(&mut writer, label::NAME);
        writer.text(&format!("{}{path}", cx.alternate_path));
    }
    writer.into_bytes()
}

fn put_label(writer: &mut Writer, label: i128) {
    writer.signed(label as i64);
}

fn put_value(writer: &mut Writer, value: &Value) {
    match value {
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Time(_) | Value::Number(_) => {
            put_label(writer, label::VALUE);
        }
        Value::String(_) | Value::Corelnk(_) => put_label(writer, label::STRING_VALUE),
        Value::Boolean(_) => put_label(writer, label::BOOLEAN_VALUE),
        Value::Opaque(_) => put_label(writer, label::DATA_VALUE),
        Value::Objlnk(..) => writer.text(label::OBJECT_LINK),
    }
    writer.value(value);
}

/// Seconds: an integer when whole, else a double, which holds milliseconds of any real time exactly enough.
fn put_seconds(writer: &mut Writer, milliseconds: i64) {
    if milliseconds % 1000 == 0 {
        writer.signed(milliseconds / 1000);
    } else {
        writer.value(&Value::Float(Float::from(milliseconds as f64 / 1000.0)));
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
#[path = "senml_cbor_tests.rs"]
mod tests;
