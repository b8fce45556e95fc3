//! LwM2M CBOR, content format 11544 (LwM2M 1.2.1 Core §7.5.7): maps nested by id.
//!
//! A key is an id or an array of ids, and the keys on the way down make the path of a value, so
//! `{[3303,0]:{5700:20.5}}`, `{3303:{0:{5700:20.5}}}` and `{[3303,0,5700]:20.5}` are the same. Written is
//! one key for the base and one map a level below it; null stands for "this path", without a value.
#![deny(clippy::indexing_slicing)]

use super::cbor_item::{Items, Kind, Writer};
use super::{ContentError, ContentFormat, Context, Entry, TypeMemo, Unfit, check_place, in_order};
use crate::path::ObjectPath;
use crate::value::Value;

/// The values of a document, inside of `base`. Paths without a value (null) are passed over.
pub fn decode(base: ObjectPath, bytes: &[u8], cx: &Context<'_>) -> Result<Vec<Entry>, ContentError> {
    let (mut entries, mut types) = (Vec::new(), TypeMemo::new(cx));
    read(bytes, cx, &mut |path, value| {
        let Some(value) = value else { return Ok(()) };
        check_place(base, path)?;
        entries.push(Entry::new(path, value.read_as(types.of(path))));
        Ok(())
    })?;
    Ok(entries)
}

/// The paths that a document names, with or without values, in their order.
pub fn decode_paths(bytes: &[u8], cx: &Context<'_>) -> Result<Vec<ObjectPath>, ContentError> {
    let mut paths = Vec::new();
    read(bytes, cx, &mut |path, _| {
        paths.push(path);
        Ok(())
    })?;
    Ok(paths)
}

/// Takes one path with its value, if it has one.
type Sink<'s> = &'s mut dyn FnMut(ObjectPath, Option<Value>) -> Result<(), ContentError>;

fn read(bytes: &[u8], cx: &Context<'_>, sink: Sink<'_>) -> Result<(), ContentError> {
    let mut items = Items::new(bytes, cx.limits.cbor_depth_max);
    let mut budget = cx.limits.entries_max;
    read_map(&mut items, ObjectPath::ROOT, &mut budget, sink)
        .map_err(|error| if budget == 0 { ContentError::TooMany(cx.limits.entries_max) } else { error })?;
    items.end()
}

/// One map below `parent`. Each key adds a level at least, so the recursion is five deep at most.
fn read_map(
    items: &mut Items<'_>,
    parent: ObjectPath,
    budget: &mut usize,
    sink: Sink<'_>,
) -> Result<(), ContentError> {
    let mut pairs = items.map()?;
    while items.more(&mut pairs)? {
        *budget = budget.checked_sub(1).ok_or(ContentError::TooMany(0))?;
        let path = read_key(items, parent)?;
        match items.kind()? {
            Kind::Map => read_map(items, path, budget, sink)?,
            Kind::Array => return Err(items.malformed("an array is no value")),
            Kind::Integer
            | Kind::Bytes
            | Kind::Text
            | Kind::Tag
            | Kind::Float
            | Kind::Boolean
            | Kind::Null
            | Kind::Simple
            | Kind::Break
            | Kind::Invalid => {
                let value = items.scalar()?;
                sink(path, value)?;
            }
        }
    }
    Ok(())
}

/// A key: one id, or an array of one to four.
fn read_key(items: &mut Items<'_>, parent: ObjectPath) -> Result<ObjectPath, ContentError> {
    match items.kind()? {
        Kind::Array => {
            let at = items.at();
            let mut ids = items.array()?;
            let mut path = parent;
            while items.more(&mut ids)? {
                path = path.child(read_id(items)?)?;
            }
            if path == parent {
                return Err(ContentError::Malformed { at, what: "a key without an id" });
            }
            Ok(path)
        }
        Kind::Text => Err(items.malformed("a key in words is not taken")),
        Kind::Integer
        | Kind::Bytes
        | Kind::Map
        | Kind::Tag
        | Kind::Float
        | Kind::Boolean
        | Kind::Null
        | Kind::Simple
        | Kind::Break
        | Kind::Invalid => Ok(parent.child(read_id(items)?)?),
    }
}

fn read_id(items: &mut Items<'_>) -> Result<u16, ContentError> {
    let at = items.at();
    let what = "an id is a number 0–65535";
    let id = items.integer().map_err(|error| match error {
        ContentError::Malformed { .. } => ContentError::Malformed { at, what },
        other => other, // the bytes end here
    })?;
    u16::try_from(id).map_err(|_| ContentError::Malformed { at, what })
}

/// The document that carries `entries` to `base`; one key a value when `base` is the root.
pub fn encode(base: ObjectPath, entries: &[Entry], cx: &Context<'_>) -> Result<Vec<u8>, ContentError> {
    let sorted = in_order(base, entries)?;
    let mut writer = Writer::new();
    if base.is_root() {
        writer.map(sorted.len());
        for entry in sorted {
            put_key(&mut writer, entry.path);
            writer.value(&cx.typed(entry)?);
        }
        return Ok(writer.into_bytes());
    }
    writer.map(1);
    put_key(&mut writer, base);
    put_below(&mut writer, base, &sorted, cx)?;
    Ok(writer.into_bytes())
}

/// The value of `parent`, or the map of what lies below it.
fn put_below(
    writer: &mut Writer,
    parent: ObjectPath,
    entries: &[&Entry],
    cx: &Context<'_>,
) -> Result<(), ContentError> {
    if let [one] = entries
        && one.path == parent
    {
        writer.value(&cx.typed(one)?);
        return Ok(());
    }
    let level = parent.depth() + 1;
    let same_child = |a: &&Entry, b: &&Entry| a.path.ancestor(level) == b.path.ancestor(level);
    writer.map(entries.chunk_by(same_child).count());
    for children in entries.chunk_by(same_child) {
        let Some(child) = children.first().map(|entry| entry.path.ancestor(level)) else { continue };
        writer.signed(child.ids().last().copied().unwrap_or_default().into());
        put_below(writer, child, children, cx)?;
    }
    Ok(())
}

/// An object's id alone, or the array of all ids.
fn put_key(writer: &mut Writer, path: ObjectPath) {
    if path.depth() > 1 {
        writer.array(path.depth());
    }
    for id in path.ids() {
        writer.signed(i64::from(*id));
    }
}

/// The payload of a composite read: each path with null.
pub fn encode_paths(paths: &[ObjectPath]) -> Result<Vec<u8>, ContentError> {
    let mut writer = Writer::new();
    writer.map(paths.len());
    for path in paths {
        if path.is_root() {
            return Err(ContentError::Unfit { format: ContentFormat::LwM2mCbor, why: Unfit::NoRoot });
        }
        put_key(&mut writer, *path);
        writer.null();
    }
    Ok(writer.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::fuzz::{Types, context, hex};
    use crate::value::{DataType, Decimal};

    fn path(text: &str) -> ObjectPath {
        ObjectPath::parse_composite(text).unwrap()
    }

    fn entry(at: &str, value: Value) -> Entry {
        Entry::new(path(at), value)
    }

    #[test]
    fn vectors_read_and_write_byte_for_byte() {
        let temperature = || entry("/3303/0/5700", Value::Float(20.5f32.into()));
        let unit = || entry("/3303/0/5701", Value::String("Cel".into()));
        let power = [("/3/0/7/0", 3800), ("/3/0/7/1", 5000)].map(|(at, v)| entry(at, Value::Integer(v)));
        for (base, bytes, entries) in [
            (
                "/3303/0",
                "A1 82 19 0CE7 00 A2 19 1644 FA 41A40000 19 1645 63 43656C",
                vec![temperature(), unit()],
            ),
            ("/3303", "A1 19 0CE7 A1 00 A1 19 1644 FA 41A40000", vec![temperature()]),
            ("/3/0/7", "A1 83 03 00 07 A2 00 19 0ED8 01 19 1388", power.to_vec()),
            ("/3/0/0", "A1 83 03 00 00 65 416E6A6179", vec![entry("/3/0/0", Value::String("Anjay".into()))]),
            ("/", "A1 83 19 0CE7 00 19 1644 FA 41A40000", vec![temperature()]),
        ] {
            let types = Types(None);
            let cx = context(&types);
            assert_eq!(decode(path(base), &hex(bytes), &cx).unwrap(), entries, "{bytes}");
            assert_eq!(encode(path(base), &entries, &cx).unwrap(), hex(bytes));
        }
    }

    #[test]
    fn any_split_of_the_path_and_indefinite_forms_are_read() {
        let types = Types(None);
        for (bytes, entries) in [
            ("BF 83 03 00 00 65 416E6A6179 FF", vec![entry("/3/0/0", Value::String("Anjay".into()))]),
            ("A1 03 A1 82 00 09 05", vec![entry("/3/0/9", Value::Integer(5))]),
            ("BF 9F 03 00 FF BF 09 05 FF FF", vec![entry("/3/0/9", Value::Integer(5))]),
            ("A1 84 03 00 07 01 05", vec![entry("/3/0/7/1", Value::Integer(5))]),
            ("A1 83 03 00 0D C1 05", vec![entry("/3/0/13", Value::Time(5))]),
            (
                "A1 83 03 00 09 C4 82 21 19 6AB3",
                vec![entry("/3/0/9", Value::Number(Decimal::parse("273.15").unwrap()))],
            ),
            ("A1 82 03 00 A2 09 F6 0A 05", vec![entry("/3/0/10", Value::Integer(5))]),
            ("A1 82 03 00 A0", vec![]),
        ] {
            assert_eq!(decode(path("/"), &hex(bytes), &context(&types)).unwrap(), entries, "{bytes}");
        }
    }

    #[test]
    fn object_links_are_text() {
        let types = Types(Some(DataType::Objlnk));
        let cx = context(&types);
        let entries = [entry("/3/0/22/0", Value::Objlnk(66, 0))];
        let bytes = encode(path("/3/0/22/0"), &entries, &cx).unwrap();
        assert_eq!(bytes, hex("A1 84 03 00 16 00 64 36363A30"));
        assert_eq!(decode(path("/3/0/22"), &bytes, &cx).unwrap(), entries);
    }

    #[test]
    fn paths_stand_with_null() {
        let types = Types(None);
        let cx = context(&types);
        let paths = ["/3/0/0", "/3303/0/5700", "/1"].map(path);
        let bytes = encode_paths(&paths).unwrap();
        assert_eq!(bytes, hex("A3 83 03 00 00 F6 83 19 0CE7 00 19 1644 F6 01 F6"));
        assert_eq!(decode_paths(&bytes, &cx).unwrap(), paths);
        assert!(encode_paths(&[ObjectPath::ROOT]).is_err());
    }

    #[test]
    fn faults_have_reasons() {
        let types = Types(None);
        for (base, bytes, reason) in [
            ("/", "", "ends too early: what starts at byte 0 is not whole"),
            ("/", "80", "byte 0: not CBOR of this format"),
            ("/", "A1 85 03 00 07 01 02 05", "\"/3/0/7/1/2\": a path has at most 4 numbers"),
            ("/", "A1 84 03 00 07 01 A1 02 05", "\"/3/0/7/1/2\": a path has at most 4 numbers"),
            ("/", "A1 1A 00010000 05", "byte 1: an id is a number 0–65535"),
            ("/", "A1 20 05", "byte 1: an id is a number 0–65535"),
            ("/", "A1 82 03 19 FFFF 05", "\"/3/65535\": \"65535\" is not a number 0–65534"),
            ("/", "A1 80 05", "byte 1: a key without an id"),
            ("/", "A1 61 33 05", "byte 1: a key in words is not taken"),
            ("/", "A1 83 03 00 09 81 05", "byte 5: an array is no value"),
            ("/", "A1 82 03 00 05", "/3/0 has a value but is no resource"),
            ("/4", "A1 83 03 00 09 05", "/3/0/9 is not part of /4"),
            ("/", "A1 83 03 00 09 05 00", "byte 6: more bytes behind the end"),
            ("/", "BB FFFFFFFFFFFFFFFF", "ends too early: what starts at byte 9 is not whole"),
        ] {
            let error = decode(path(base), &hex(bytes), &context(&types)).unwrap_err();
            assert_eq!(error.to_string(), reason, "{bytes}");
        }
    }
}
