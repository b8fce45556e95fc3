//! Content formats: bytes of a CoAP payload ⇄ values with their paths. One file a format.
//!
//! Every decoder is total: any bytes give entries or a [`ContentError`] with a reason for people, within
//! [`ContentLimits`]. No decoder allocates from a declared length. Sections: LwM2M 1.0 §6.4, 1.1.1 Core
//! §7.4, 1.2.1 Core §7.5.
//!
//! | number | file | carries |
//! |---|---|---|
//! | 0 | `text` | one value |
//! | 40 | `link` | links (Discover, Register) |
//! | 42 | `opaque` | one value |
//! | 60 | `cbor` | one value |
//! | 110, 320 | `senml_json` | any number of values, or of paths |
//! | 112, 322 | `senml_cbor` | same |
//! | 11542, 1542 | `tlv` | values of one object |
//! | 11543, 1543 | `lwm2m_json` | values of one object |
//! | 11544 | `lwm2m_cbor` | any number of values, or of paths |
#![deny(clippy::indexing_slicing)]

pub mod cbor;
mod cbor_item;
mod error;
mod json;
mod json_reader;
pub mod link;
pub mod lwm2m_cbor;
pub mod lwm2m_json;
pub mod opaque;
mod senml;
pub mod senml_cbor;
pub mod senml_json;
pub(crate) mod steps;
pub mod text;
pub mod tlv;

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod cost_tests;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod fuzz;

pub use self::error::{ContentError, Unfit};
use crate::catalog::Model;
use crate::limits::ContentLimits;
use crate::path::ObjectPath;
use crate::value::{DataType, Value};

/// A value with its place, and its time when the format gave one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path of the resource or resource instance.
    pub path: ObjectPath,
    /// The value, in the model's type where it converts.
    pub value: Value,
    /// Milliseconds since 1970; `None` when the format carried no time.
    pub time: Option<i64>,
}

impl Entry {
    /// An entry without time.
    pub fn new(path: ObjectPath, value: Value) -> Self {
        Entry { path, value, time: None }
    }
}

/// What decoding and encoding depend on besides the bytes.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Types of the resources.
    pub model: &'a dyn Model,
    /// What one message may cost.
    pub limits: &'a ContentLimits,
    /// Milliseconds since 1970: what relative times refer to.
    pub now_unix_ms: u64,
    /// The device's alternate path without slash at the end, "" when it has none: SenML names of 1.2 devices
    /// start with it (1.2 Transport §6.4.1).
    pub alternate_path: &'a str,
}

impl Context<'_> {
    fn data_type(&self, path: ObjectPath) -> Option<DataType> {
        self.model.data_type(path.object_id()?, path.resource_id()?)
    }

    /// The value in the model's type, for a writer; in its own where it does not convert. (Commands were checked
    /// when they were read: only who names a type may differ from the model.)
    fn typed(&self, entry: &Entry) -> Result<Value, ContentError> {
        Ok(entry.value.clone().read_as(self.data_type(entry.path)))
    }
}

/// Types of resources, asked again only when the next value is of another resource.
struct TypeMemo<'a> {
    cx: &'a Context<'a>,
    last: Option<(ObjectPath, Option<DataType>)>,
}

impl<'a> TypeMemo<'a> {
    fn new(cx: &'a Context<'a>) -> Self {
        TypeMemo { cx, last: None }
    }

    fn of(&mut self, path: ObjectPath) -> Option<DataType> {
        match self.last {
            Some((known, data_type)) if known.is_of_same_type(path) => data_type,
            Some(_) | None => {
                steps::count(1);
                let data_type = self.cx.data_type(path);
                self.last = Some((path, data_type));
                data_type
            }
        }
    }
}

/// The content formats of LwM2M (CoAP Content-Formats registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentFormat {
    /// text/plain, 0.
    Text,
    /// application/link-format, 40.
    Link,
    /// application/octet-stream, 42.
    Opaque,
    /// application/cbor, 60.
    Cbor,
    /// application/senml+json, 110.
    SenmlJson,
    /// application/senml+cbor, 112.
    SenmlCbor,
    /// application/senml-etch+json, 320.
    SenmlEtchJson,
    /// application/senml-etch+cbor, 322.
    SenmlEtchCbor,
    /// application/vnd.oma.lwm2m+tlv, 11542.
    Tlv,
    /// application/vnd.oma.lwm2m+json, 11543.
    Json,
    /// application/vnd.oma.lwm2m+cbor, 11544.
    LwM2mCbor,
    /// TLV under its number before registration, 1542.
    LegacyTlv,
    /// JSON under its number before registration, 1543.
    LegacyJson,
}

impl ContentFormat {
    /// All of them.
    pub const ALL: [ContentFormat; 13] = [
        ContentFormat::Text,
        ContentFormat::Link,
        ContentFormat::Opaque,
        ContentFormat::Cbor,
        ContentFormat::SenmlJson,
        ContentFormat::SenmlCbor,
        ContentFormat::SenmlEtchJson,
        ContentFormat::SenmlEtchCbor,
        ContentFormat::Tlv,
        ContentFormat::Json,
        ContentFormat::LwM2mCbor,
        ContentFormat::LegacyTlv,
        ContentFormat::LegacyJson,
    ];

    /// The number in the Content-Format and Accept options.
    pub const fn number(self) -> u16 {
        match self {
            ContentFormat::Text => 0,
            ContentFormat::Link => 40,
            ContentFormat::Opaque => 42,
            ContentFormat::Cbor => 60,
            ContentFormat::SenmlJson => 110,
            ContentFormat::SenmlCbor => 112,
            ContentFormat::SenmlEtchJson => 320,
            ContentFormat::SenmlEtchCbor => 322,
            ContentFormat::Tlv => 11542,
            ContentFormat::Json => 11543,
            ContentFormat::LwM2mCbor => 11544,
            ContentFormat::LegacyTlv => 1542,
            ContentFormat::LegacyJson => 1543,
        }
    }

    /// The format of this number; an error that names the number when we do not know it.
    pub fn from_number(number: u16) -> Result<Self, ContentError> {
        Self::ALL
            .into_iter()
            .find(|format| format.number() == number)
            .ok_or(ContentError::UnknownFormat(number))
    }

    /// Short name for people.
    pub const fn name(self) -> &'static str {
        match self {
            ContentFormat::Text => "text/plain",
            ContentFormat::Link => "link-format",
            ContentFormat::Opaque => "octet-stream",
            ContentFormat::Cbor => "CBOR",
            ContentFormat::SenmlJson => "SenML JSON",
            ContentFormat::SenmlCbor => "SenML CBOR",
            ContentFormat::SenmlEtchJson => "SenML-ETCH JSON",
            ContentFormat::SenmlEtchCbor => "SenML-ETCH CBOR",
            ContentFormat::Tlv | ContentFormat::LegacyTlv => "TLV",
            ContentFormat::Json | ContentFormat::LegacyJson => "LwM2M JSON",
            ContentFormat::LwM2mCbor => "LwM2M CBOR",
        }
    }

    /// True for the formats that hold exactly one value (and so only a resource or resource instance).
    pub const fn is_single_value(self) -> bool {
        match self {
            ContentFormat::Text | ContentFormat::Opaque | ContentFormat::Cbor => true,
            ContentFormat::Link
            | ContentFormat::SenmlJson
            | ContentFormat::SenmlCbor
            | ContentFormat::SenmlEtchJson
            | ContentFormat::SenmlEtchCbor
            | ContentFormat::Tlv
            | ContentFormat::Json
            | ContentFormat::LwM2mCbor
            | ContentFormat::LegacyTlv
            | ContentFormat::LegacyJson => false,
        }
    }
}

/// The values in `bytes`, which answer a request for `base` (the root for composite reads and Send). Entries
/// outside of `base` are an error. Link format holds no values: use [`link::decode`].
pub fn decode(
    format: ContentFormat,
    base: ObjectPath,
    bytes: &[u8],
    cx: &Context<'_>,
) -> Result<Vec<Entry>, ContentError> {
    match format {
        ContentFormat::Text => text::decode(base, bytes, cx),
        ContentFormat::Link => Err(ContentError::Unfit { format, why: Unfit::NoValues }),
        ContentFormat::Opaque => opaque::decode(base, bytes),
        ContentFormat::Cbor => cbor::decode(base, bytes, cx),
        ContentFormat::SenmlJson | ContentFormat::SenmlEtchJson => senml_json::decode(base, bytes, cx),
        ContentFormat::SenmlCbor | ContentFormat::SenmlEtchCbor => senml_cbor::decode(base, bytes, cx),
        ContentFormat::Tlv | ContentFormat::LegacyTlv => tlv::decode(base, bytes, cx),
        ContentFormat::Json | ContentFormat::LegacyJson => lwm2m_json::decode(base, bytes, cx),
        ContentFormat::LwM2mCbor => lwm2m_cbor::decode(base, bytes, cx),
    }
}

/// The payload that carries `entries` to `base`. Values are written in the model's type; one that does not
/// convert, lies outside of `base` or comes twice is an error.
pub fn encode(
    format: ContentFormat,
    base: ObjectPath,
    entries: &[Entry],
    cx: &Context<'_>,
) -> Result<Vec<u8>, ContentError> {
    match format {
        ContentFormat::Text => text::encode(base, entries, cx),
        ContentFormat::Link => Err(ContentError::Unfit { format, why: Unfit::NoValues }),
        ContentFormat::Opaque => opaque::encode(base, entries, cx),
        ContentFormat::Cbor => cbor::encode(base, entries, cx),
        ContentFormat::SenmlJson | ContentFormat::SenmlEtchJson => senml_json::encode(base, entries, cx),
        ContentFormat::SenmlCbor | ContentFormat::SenmlEtchCbor => senml_cbor::encode(base, entries, cx),
        ContentFormat::Tlv | ContentFormat::LegacyTlv => tlv::encode(base, entries, cx),
        ContentFormat::Json | ContentFormat::LegacyJson => lwm2m_json::encode(base, entries, cx),
        ContentFormat::LwM2mCbor => lwm2m_cbor::encode(base, entries, cx),
    }
}

/// The paths that a composite request names (the payload of FETCH), in their order.
pub fn decode_paths(
    format: ContentFormat,
    bytes: &[u8],
    cx: &Context<'_>,
) -> Result<Vec<ObjectPath>, ContentError> {
    match format {
        ContentFormat::SenmlJson | ContentFormat::SenmlEtchJson => senml_json::decode_paths(bytes, cx),
        ContentFormat::SenmlCbor | ContentFormat::SenmlEtchCbor => senml_cbor::decode_paths(bytes, cx),
        ContentFormat::LwM2mCbor => lwm2m_cbor::decode_paths(bytes, cx),
        ContentFormat::Text
        | ContentFormat::Link
        | ContentFormat::Opaque
        | ContentFormat::Cbor
        | ContentFormat::Tlv
        | ContentFormat::Json
        | ContentFormat::LegacyTlv
        | ContentFormat::LegacyJson => Err(ContentError::Unfit { format, why: Unfit::NoPaths }),
    }
}

/// The payload of a composite read or observation of these paths.
pub fn encode_paths(
    format: ContentFormat,
    paths: &[ObjectPath],
    cx: &Context<'_>,
) -> Result<Vec<u8>, ContentError> {
    match format {
        ContentFormat::SenmlJson | ContentFormat::SenmlEtchJson => Ok(senml_json::encode_paths(paths, cx)),
        ContentFormat::SenmlCbor | ContentFormat::SenmlEtchCbor => Ok(senml_cbor::encode_paths(paths, cx)),
        ContentFormat::LwM2mCbor => lwm2m_cbor::encode_paths(paths),
        ContentFormat::Text
        | ContentFormat::Link
        | ContentFormat::Opaque
        | ContentFormat::Cbor
        | ContentFormat::Tlv
        | ContentFormat::Json
        | ContentFormat::LegacyTlv
        | ContentFormat::LegacyJson => Err(ContentError::Unfit { format, why: Unfit::NoPaths }),
    }
}

/// Refuses what no format of several values can carry: entries outside of `base`, above the resource level,
/// or twice. Returns them in the order of a tree walk.
fn in_order(base: ObjectPath, entries: &[Entry]) -> Result<Vec<&Entry>, ContentError> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.path);
    for entry in &sorted {
        check_place(base, entry.path)?;
    }
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.path.contains(second.path)
        {
            return Err(ContentError::Twice(second.path));
        }
    }
    Ok(sorted)
}

/// Entries in the order they came, for formats with times: only values without a time must not come twice.
fn in_given_order(base: ObjectPath, entries: &[Entry]) -> Result<Vec<&Entry>, ContentError> {
    let timeless: Vec<Entry> = entries
        .iter()
        .filter(|e| e.time.is_none())
        .map(|e| Entry::new(e.path, Value::Boolean(true)))
        .collect();
    in_order(base, &timeless)?;
    for entry in entries {
        check_place(base, entry.path)?;
    }
    Ok(entries.iter().collect())
}

/// A value's path must be a resource or resource instance inside of what was asked.
fn check_place(base: ObjectPath, path: ObjectPath) -> Result<(), ContentError> {
    if path.depth() < 3 {
        return Err(ContentError::NotAResource(path));
    }
    if !base.contains(path) {
        return Err(ContentError::Outside { path, base });
    }
    Ok(())
}

/// The one entry of a format that holds one value: exactly `base`, which is a resource or its instance.
fn single(format: ContentFormat, base: ObjectPath, entries: &[Entry]) -> Result<&Entry, ContentError> {
    match entries {
        [entry] => {
            check_place(base, entry.path)?;
            if entry.path != base {
                return Err(ContentError::Unfit { format, why: Unfit::OneResource });
            }
            Ok(entry)
        }
        [] | [_, _, ..] => Err(ContentError::Unfit { format, why: Unfit::OneResource }),
    }
}

/// The base of a format that holds one value must name a resource or resource instance.
fn check_single_base(format: ContentFormat, base: ObjectPath) -> Result<(), ContentError> {
    if base.depth() < 3 {
        return Err(ContentError::Unfit { format, why: Unfit::OneResource });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::NoModel;

    #[test]
    fn numbers_and_formats_belong_together() {
        for format in ContentFormat::ALL {
            assert_eq!(ContentFormat::from_number(format.number()), Ok(format));
        }
        let error = ContentFormat::from_number(65000).unwrap_err();
        assert_eq!(error.to_string(), "content format 65000 is not known here");
    }

    #[test]
    fn formats_refuse_what_they_cannot_carry() {
        let limits = ContentLimits::default();
        let cx = Context { model: &NoModel, limits: &limits, now_unix_ms: 0, alternate_path: "" };
        let object = ObjectPath::object(3);
        let reason = |format, base| decode(format, base, b"1", &cx).unwrap_err().to_string();
        assert_eq!(reason(ContentFormat::Text, object), "text/plain carries exactly one resource");
        assert_eq!(reason(ContentFormat::Opaque, object), "octet-stream carries exactly one resource");
        assert_eq!(reason(ContentFormat::Link, object), "link-format carries no values");
        for format in ContentFormat::ALL {
            assert!(encode(format, object, &[Entry::new(object, Value::Integer(1))], &cx).is_err());
            let two = [Value::Integer(1), Value::Integer(2)]
                .map(|v| Entry::new(ObjectPath::parse("/3/0/9").unwrap(), v));
            assert!(encode(format, object, &two, &cx).is_err());
        }
        assert!(encode_paths(ContentFormat::Tlv, &[object], &cx).is_err());
        assert!(decode_paths(ContentFormat::Text, b"", &cx).is_err());
    }
}
