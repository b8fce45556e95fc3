//! TLV, content format 11542 (and 1542 before registration), LwM2M 1.0 §6.4.3.
//!
//! ```text
//!  7 6   5    4 3     2 1 0
//! ┌─────┬───┬───────┬────────┐┌──────────┐┌─────────────┐┌───────┐
//! │kind │id │length │ length ││id 8 or 16││length 8…24  ││ value │
//! └─────┴───┴───────┴────────┘└──────────┘└─────────────┘└───────┘
//! kind: 00 object instance ⊃ resources, 10 multiple resource ⊃ 01 resource instances, 11 resource
//! ```
//! The nesting is the grammar's, so recursion is three deep. Integers are signed and minimal (1, 2, 4 or 8
//! bytes); odd lengths are read sign-extended.
#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{ContentError, ContentFormat, Context, Entry, TypeMemo, Unfit, in_order, steps};
use crate::path::ObjectPath;
use crate::value::{DataType, Value, ValueError, ValueFault};

/// What a record is: bits 7 and 6 of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Instance,
    ResourceInstance,
    MultipleResource,
    Resource,
}

/// One record, its value still bytes.
struct Record<'b> {
    kind: Kind,
    id: u16,
    value: &'b [u8],
    /// Offset of the record, for error texts.
    at: usize,
    /// Offset of its value.
    value_at: usize,
}

/// Reads records one after another; `offset` is where the slice lies in the whole content.
struct Records<'b> {
    rest: &'b [u8],
    offset: usize,
}

impl<'b> Records<'b> {
    fn take(&mut self, length: usize, from: usize) -> Result<&'b [u8], ContentError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ContentError::Truncated(from))?;
        self.rest = rest;
        self.offset += length;
        Ok(taken)
    }

    fn number(&mut self, width: usize, from: usize) -> Result<usize, ContentError> {
        Ok(self.take(width, from)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn next(&mut self) -> Result<Option<Record<'b>>, ContentError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        steps::count(1);
        let at = self.offset;
        let head = self.number(1, at)?;
        let kind = match head >> 6 {
            0 => Kind::Instance,
            1 => Kind::ResourceInstance,
            2 => Kind::MultipleResource,
            _ => Kind::Resource, // two bits: this is 3
        };
        let id = self.number(if head & 0x20 == 0 { 1 } else { 2 }, at)?;
        let id = u16::try_from(id).map_err(|_| ContentError::Truncated(at))?;
        let length = match (head >> 3) & 3 {
            0 => head & 7,
            width => self.number(width, at)?,
        };
        let value_at = self.offset;
        let value = self.take(length, at)?;
        Ok(Some(Record { kind, id, value, at, value_at }))
    }
}

/// The values of `base`, an object or anything below it. An instance may come with or without its 00
/// record. Without a model every value is Opaque.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    if base.is_root() {
        return Err(ContentError::Unfit { format: ContentFormat::Tlv, why: Unfit::OneObject });
    }
    if bytes.is_empty() && base.depth() >= 3 {
        return Err(ContentError::Truncated(0));
    }
    let mut reader =
        Reader { base, cx, types: TypeMemo::new(cx), bare_parent: None, holders: 0, entries: Vec::new() };
    let mut records = Records { rest: bytes, offset: 0 };
    while let Some(record) = records.next()? {
        match record.kind {
            Kind::Instance => reader.instance(&record)?,
            Kind::Resource | Kind::MultipleResource => {
                let parent = reader.instance_of_bare_resources(&record)?;
                reader.resource(parent, &record)?;
            }
            Kind::ResourceInstance if base.depth() >= 3 => {
                reader.value(base.ancestor(3).child(record.id)?, &record)?;
            }
            Kind::ResourceInstance => return Err(misplaced(&record)),
        }
    }
    if reader.entries.is_empty() && base.depth() > 3 {
        return Err(ContentError::Truncated(bytes.len())); // a resource instance has one value
    }
    Ok(reader.entries)
}

fn misplaced(record: &Record<'_>) -> ContentError {
    let what = match record.kind {
        Kind::Instance => "an object instance does not belong here",
        Kind::ResourceInstance => "a resource instance does not belong here",
        Kind::MultipleResource | Kind::Resource => "a resource does not belong here",
    };
    ContentError::Malformed { at: record.at, what }
}

struct Reader<'a> {
    base: ObjectPath,
    cx: &'a Context<'a>,
    types: TypeMemo<'a>,
    /// The instance that resources without one belong to, once it was looked up.
    bare_parent: Option<ObjectPath>,
    /// Instances and multiple resources that came.
    holders: usize,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    /// Resources at the top belong to the instance asked for; on an object read only to one that can have
    /// but instance 0.
    fn instance_of_bare_resources(&mut self, record: &Record<'_>) -> Result<ObjectPath, ContentError> {
        if let Some(known) = self.bare_parent {
            return Ok(known);
        }
        steps::count(1);
        let parent = match self.base.object_id() {
            Some(_) if self.base.depth() >= 2 => self.base.ancestor(2),
            Some(object) if self.cx.model.is_single_instance(object) => self.base.child(0)?,
            Some(_) | None => return Err(misplaced(record)),
        };
        self.bare_parent = Some(parent);
        Ok(parent)
    }

    /// What holds values must lie on the way to the place asked for, or below it, also when it is empty; and there
    /// are no more of it than there may be values.
    fn check_way(&mut self, path: ObjectPath) -> Result<(), ContentError> {
        let base = self.base.ancestor(path.depth());
        self.holders += 1;
        if self.holders > self.cx.limits.entries_max {
            return Err(ContentError::TooMany(self.cx.limits.entries_max));
        }
        if base.contains(path) { Ok(()) } else { Err(ContentError::Outside { path, base }) }
    }

    fn instance(&mut self, record: &Record<'_>) -> Result<(), ContentError> {
        let path = self.base.ancestor(1).child(record.id)?;
        self.check_way(path)?;
        let mut records = Records { rest: record.value, offset: record.value_at };
        while let Some(inner) = records.next()? {
            match inner.kind {
                Kind::Resource | Kind::MultipleResource => self.resource(path, &inner)?,
                Kind::Instance | Kind::ResourceInstance => return Err(misplaced(&inner)),
            }
        }
        Ok(())
    }

    fn resource(&mut self, instance: ObjectPath, record: &Record<'_>) -> Result<(), ContentError> {
        let path = instance.child(record.id)?;
        if record.kind == Kind::Resource {
            return self.value(path, record);
        }
        self.check_way(path)?;
        let mut records = Records { rest: record.value, offset: record.value_at };
        while let Some(inner) = records.next()? {
            match inner.kind {
                Kind::ResourceInstance => self.value(path.child(inner.id)?, &inner)?,
                Kind::Instance | Kind::MultipleResource | Kind::Resource => return Err(misplaced(&inner)),
            }
        }
        Ok(())
    }

    fn value(&mut self, path: ObjectPath, record: &Record<'_>) -> Result<(), ContentError> {
        super::check_place(self.base, path)?;
        if self.entries.len() >= self.cx.limits.entries_max {
            return Err(ContentError::TooMany(self.cx.limits.entries_max));
        }
        steps::count(record.value.len());
        let value = decode_value(record.value, self.types.of(path))
            .map_err(|error| ContentError::Value { path, error })?;
        self.entries.push(Entry::new(path, value));
        Ok(())
    }
}

/// The value in these bytes; Opaque when no type is known.
fn decode_value(bytes: &[u8], data_type: Option<DataType>) -> Result<Value, ValueError> {
    let Some(data_type) = data_type else { return Ok(Value::Opaque(Bytes::copy_from_slice(bytes))) };
    let length = || ValueError::length(data_type, bytes.len());
    match data_type {
        DataType::Integer => signed(bytes).map(Value::Integer).ok_or_else(length),
        DataType::Time => signed(bytes).map(Value::Time).ok_or_else(length),
        DataType::UnsignedInteger => unsigned(bytes).map(Value::Unsigned).ok_or_else(length),
        DataType::Float => match *bytes {
            [a, b, c, d] => Ok(Value::Float(f32::from_be_bytes([a, b, c, d]).into())),
            [a, b, c, d, e, f, g, h] => Ok(Value::Float(f64::from_be_bytes([a, b, c, d, e, f, g, h]).into())),
            _ => Err(length()), // any other length
        },
        DataType::Boolean => match bytes {
            [0] => Ok(Value::Boolean(false)),
            [1] => Ok(Value::Boolean(true)),
            [other] => Err(ValueError::new(data_type, &format!("{other:#04x}"), ValueFault::NotA)),
            [] | [_, _, ..] => Err(length()),
        },
        DataType::Objlnk => match *bytes {
            [a, b, c, d] => Ok(Value::Objlnk(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
            _ => Err(length()), // any other length
        },
        DataType::String => utf8(bytes, data_type).map(Value::String),
        DataType::Corelnk => utf8(bytes, data_type).map(Value::Corelnk),
        DataType::Opaque => Ok(Value::Opaque(Bytes::copy_from_slice(bytes))),
    }
}

fn utf8(bytes: &[u8], data_type: DataType) -> Result<String, ValueError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ValueError::new(data_type, "text that is not UTF-8", ValueFault::NotA)),
    }
}

/// Two's complement of 1 to 8 bytes, sign-extended.
fn signed(bytes: &[u8]) -> Option<i64> {
    let first = bytes.first()?;
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    (bytes.len() <= 8).then(|| bytes.iter().fold(start, |value: i64, byte| value << 8 | i64::from(*byte)))
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&bytes.len());
    fits.then(|| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The content that writes `entries` to `base`. An object takes 00 records, an instance its resources
/// without wrapper (so a Create without id too), a multiple resource one 10 record, a resource instance one
/// 01 record. No entries for a resource is an empty multiple resource.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    in_order(base, entries)?;
    let sorted = in_groups(entries);
    let mut out = Vec::new();
    match base.depth() {
        0 => return Err(ContentError::Unfit { format: ContentFormat::Tlv, why: Unfit::OneObject }),
        1 => {
            for instance in sorted.chunk_by(|a, b| a.path.ancestor(2) == b.path.ancestor(2)) {
                let id = instance.first().and_then(|entry| entry.path.instance_id());
                put(&mut out, Kind::Instance, id, &resources(instance, cx)?)?;
            }
        }
        3 if sorted.is_empty() => put(&mut out, Kind::MultipleResource, base.resource_id(), &[])?,
        2 | 3 => out = resources(&sorted, cx)?,
        _ => out = resource_instances(&sorted, cx)?, // depth 4, the last
    }
    Ok(out)
}

/// The order given, with what belongs to one instance and to one resource brought together at its first.
fn in_groups(entries: &[Entry]) -> Vec<&Entry> {
    let mut first = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        for depth in [2, 3] {
            first.entry(entry.path.ancestor(depth)).or_insert(place);
        }
    }
    let place = |entry: &Entry, depth| first.get(&entry.path.ancestor(depth)).copied();
    let mut grouped: Vec<&Entry> = entries.iter().collect();
    grouped.sort_by_key(|entry| (place(entry, 2), place(entry, 3)));
    grouped
}

/// The records of one instance's resources.
fn resources(entries: &[&Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let mut out = Vec::new();
    for resource in entries.chunk_by(|a, b| a.path.ancestor(3) == b.path.ancestor(3)) {
        match resource {
            [single] if single.path.depth() == 3 => {
                put(&mut out, Kind::Resource, single.path.resource_id(), &value_bytes(single, cx)?)?;
            }
            instances => {
                let id = instances.first().and_then(|entry| entry.path.resource_id());
                put(&mut out, Kind::MultipleResource, id, &resource_instances(instances, cx)?)?;
            }
        }
    }
    Ok(out)
}

fn resource_instances(entries: &[&Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let mut out = Vec::new();
    for entry in entries {
        let id = entry.path.resource_instance_id();
        put(&mut out, Kind::ResourceInstance, id, &value_bytes(entry, cx)?)?;
    }
    Ok(out)
}

/// Appends one record in its shortest form. `id` is there for every path that `in_order` let through.
fn put(out: &mut Vec<u8>, kind: Kind, id: Option<u16>, value: &[u8]) -> Result<(), ContentError> {
    const LENGTH_MAX: usize = 0xff_ffff;
    let id = id.ok_or(ContentError::NotAResource(ObjectPath::ROOT))?;
    let kind = match kind {
        Kind::Instance => 0u8,
        Kind::ResourceInstance => 0x40,
        Kind::MultipleResource => 0x80,
        Kind::Resource => 0xc0,
    };
    let [high, low] = id.to_be_bytes();
    let id_bit = if high == 0 { 0 } else { 0x20 };
    let length = u32::try_from(value.len()).map_err(|_| ContentError::TooLarge(LENGTH_MAX))?;
    let [_, l3, l2, l1] = length.to_be_bytes();
    let (length_bits, length_bytes): (u8, &[u8]) = match length {
        0..=7 => (l1, &[]),
        8..=0xff => (0x08, &[l1]),
        0x100..=0xffff => (0x10, &[l2, l1]),
        0x1_0000..=0xff_ffff => (0x18, &[l3, l2, l1]),
        0x100_0000.. => return Err(ContentError::TooLarge(LENGTH_MAX)),
    };
    out.push(kind | id_bit | length_bits);
    if high != 0 {
        out.push(high);
    }
    out.push(low);
    out.extend_from_slice(length_bytes);
    out.extend_from_slice(value);
    Ok(())
}

/// The bytes of a value in its model's type: integers minimal, floats in 4 bytes when that is exact.
fn value_bytes(entry: &Entry, cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    Ok(match cx.typed(entry)? {
        Value::Integer(value) | Value::Time(value) => signed_bytes(value),
        Value::Unsigned(value) => unsigned_bytes(value),
        Value::Float(float) => match float.to_f32_exact() {
            Some(single) => single.to_be_bytes().to_vec(),
            None => float.to_f64().to_be_bytes().to_vec(),
        },
        Value::Number(number) => number.to_f64().to_be_bytes().to_vec(),
        Value::Boolean(value) => vec![u8::from(value)],
        Value::String(text) | Value::Corelnk(text) => text.into_bytes(),
        Value::Opaque(bytes) => bytes.to_vec(),
        Value::Objlnk(object, instance) => {
            let ([a, b], [c, d]) = (object.to_be_bytes(), instance.to_be_bytes());
            vec![a, b, c, d]
        }
    })
}

fn signed_bytes(value: i64) -> Vec<u8> {
    if let Ok(v) = i8::try_from(value) {
        v.to_be_bytes().to_vec()
    } else if let Ok(v) = i16::try_from(value) {
        v.to_be_bytes().to_vec()
    } else if let Ok(v) = i32::try_from(value) {
        v.to_be_bytes().to_vec()
    } else {
        value.to_be_bytes().to_vec()
    }
}

fn unsigned_bytes(value: u64) -> Vec<u8> {
    if let Ok(v) = u8::try_from(value) {
        v.to_be_bytes().to_vec()
    } else if let Ok(v) = u16::try_from(value) {
        v.to_be_bytes().to_vec()
    } else if let Ok(v) = u32::try_from(value) {
        v.to_be_bytes().to_vec()
    } else {
        value.to_be_bytes().to_vec()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
#[path = "tlv_tests.rs"]
mod tests;
