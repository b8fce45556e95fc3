//! Reading object definitions in OMA's XML (schemas LWM2M.xsd 1.0 and LWM2M-v1_1.xsd).
//!
//! `LWM2M > Object > Name, ObjectID, …, Resources > Item > Name, Operations, …`. Several objects in one
//! file, a byte order mark, CRLF, CDATA, missing elements and missing versions are all taken; what names no
//! object is an error. A DTD is refused before anything could expand.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::build::{Definition, ResourceDefinition};
use super::{Operations, Version};
use crate::limits::{CATALOG_DEPTH_MAX, CATALOG_FILE_BYTES_MAX, excerpt};
use crate::path::LOWER_ID_MAX;
use crate::value::DataType;

/// Why a file holds no object definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// More bytes than the limit.
    TooLarge(usize),
    /// UTF-16: the file must be saved as UTF-8.
    Utf16,
    /// Not UTF-8, from this byte on; with the encoding that the file declares, if it does.
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Another encoding is declared, and the file is not plain ASCII.
    Encoding(String),
    /// It has a document type definition.
    Dtd,
    /// Elements nest deeper than the limit.
    TooDeep(usize),
    /// Not well-formed, at this line.
    Syntax {
        /// Line, from 1.
        line: usize,
        /// The parser's own words.
        what: String,
    },
    /// The outermost element is another one (or there is none).
    NotLwM2m(String),
    /// No `Object` inside.
    NoObject,
    /// An `Object` without a usable `ObjectID`; holds the text found.
    ObjectId(String),
    /// A version that is none; holds the text found.
    Version(String),
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            XmlError::TooLarge(limit) => write!(f, "larger than {limit} bytes"),
            XmlError::Utf16 => f.write_str("is UTF-16; save it as UTF-8"),
            XmlError::NotUtf8 { at } => write!(f, "is not UTF-8 (byte {at})"),
            XmlError::Encoding(name) => write!(f, "declares the encoding {name}; save it as UTF-8"),
            XmlError::Dtd => f.write_str("has a DTD (<!DOCTYPE …>), which is not taken"),
            XmlError::TooDeep(limit) => write!(f, "elements nest deeper than {limit} levels"),
            XmlError::Syntax { line, what } => write!(f, "line {line}: {what}"),
            XmlError::NotLwM2m(root) if root.is_empty() => f.write_str("has no element at all"),
            XmlError::NotLwM2m(root) => write!(f, "is no object definition but <{root}>"),
            XmlError::NoObject => f.write_str("has no <Object>"),
            XmlError::ObjectId(text) => write!(f, "ObjectID \"{text}\" is not a number 0–65535"),
            XmlError::Version(text) => write!(f, "\"{text}\" is not a version"),
        }
    }
}

impl std::error::Error for XmlError {}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Parsed {
    /// At least one, resources sorted by id.
    pub(super) definitions: Vec<Definition>,
    /// Resources left out because their id is missing, no number, or there twice.
    pub(super) left_out: usize,
}

/// Reads one file.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, XmlError> {
    if bytes.len() > CATALOG_FILE_BYTES_MAX {
        return Err(XmlError::TooLarge(CATALOG_FILE_BYTES_MAX));
    }
    let is_utf16 = [[0xff, 0xfe], [0xfe, 0xff], [b'<', 0], [0, b'<']].iter().any(|m| bytes.starts_with(m));
    if is_utf16 {
        return Err(XmlError::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| XmlError::NotUtf8 { at: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Parser::default().run(text)
}

#[derive(Default)]
struct Parser {
    /// Local names of the open elements.
    open: Vec<String>,
    /// Text of the innermost open element so far.
    text: String,
    object: ObjectDraft,
    item: ItemDraft,
    root: Option<String>,
    definitions: Vec<Definition>,
    left_out: usize,
}

#[derive(Default)]
struct ObjectDraft {
    name: String,
    id: String,
    urn: String,
    lwm2m_version: String,
    version: String,
    instances: String,
    mandatory: String,
    resources: Vec<ResourceDefinition>,
}

#[derive(Default)]
struct ItemDraft {
    id: String,
    name: String,
    operations: String,
    instances: String,
    mandatory: String,
    data_type: String,
    range: String,
    units: String,
}

impl Parser {
    fn run(mut self, text: &str) -> Result<Parsed, XmlError> {
        let mut reader = Reader::from_str(text);
        // Empty elements come as start and end, so that <Units/> and <Units></Units> are one case.
        reader.config_mut().expand_empty_elements = true;
        loop {
            // Every turn consumes text, so this ends with it.
            let event = reader
                .read_event()
                .map_err(|error| syntax(text, reader.error_position(), error.to_string()))?;
            match event {
                Event::Start(start) => self.start(&start)?,
                Event::End(_) => self.end()?,
                Event::Text(piece) => self.text.push_str(&piece.xml10_content()),
                Event::CData(piece) => self.text.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) => {
                    let letter = resolve(&reference).ok_or_else(|| {
                        let what = format!("entity &{}; is not known", excerpt(&reference));
                        syntax(text, reader.buffer_position(), what)
                    })?;
                    self.text.push(letter);
                }
                Event::Decl(declaration) => {
                    if let Some(Ok(encoding)) = declaration.encoding() {
                        check_encoding(&encoding, text)?;
                    }
                }
                Event::DocType(_) => return Err(XmlError::Dtd),
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
                Event::Eof => break,
            }
        }
        if let Some(name) = self.open.last() {
            return Err(syntax(text, text.len() as u64, format!("<{}> is not closed", excerpt(name))));
        }
        match self.root {
            None => Err(XmlError::NotLwM2m(String::new())),
            Some(root) if root != "LWM2M" => Err(XmlError::NotLwM2m(excerpt(&root))),
            Some(_) if self.definitions.is_empty() => Err(XmlError::NoObject),
            Some(_) => Ok(Parsed { definitions: self.definitions, left_out: self.left_out }),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if self.open.len() >= CATALOG_DEPTH_MAX {
            return Err(XmlError::TooDeep(CATALOG_DEPTH_MAX));
        }
        let name = start.local_name().as_ref().to_owned();
        self.root.get_or_insert_with(|| name.clone());
        self.open.push(name);
        self.text.clear();
        let place: Vec<&str> = self.open.iter().map(String::as_str).collect();
        match place.as_slice() {
            ["LWM2M", "Object"] => self.object = ObjectDraft::default(),
            ["LWM2M", "Object", "Resources", "Item"] => {
                let id = start.try_get_attribute("ID").ok().flatten();
                let id = id.map(|attribute| attribute.value.trim().to_owned()).unwrap_or_default();
                self.item = ItemDraft { id, ..ItemDraft::default() };
            }
            _ => {} // any other element
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let text = squeeze(&std::mem::take(&mut self.text));
        let place: Vec<&str> = self.open.iter().map(String::as_str).collect();
        match place.as_slice() {
            ["LWM2M", "Object", field] => self.object.set(field, text),
            ["LWM2M", "Object", "Resources", "Item", field] => self.item.set(field, text),
            ["LWM2M", "Object", "Resources", "Item"] => match std::mem::take(&mut self.item).finish() {
                Some(resource) => self.object.resources.push(resource),
                None => self.left_out += 1,
            },
            ["LWM2M", "Object"] => {
                let (definition, left_out) = std::mem::take(&mut self.object).finish()?;
                self.left_out += left_out;
                self.definitions.push(definition);
            }
            _ => {} // any other element
        }
        self.open.pop();
        Ok(())
    }
}

impl ObjectDraft {
    fn set(&mut self, field: &str, text: String) {
        let slot = match field {
            "Name" => &mut self.name,
            "ObjectID" => &mut self.id,
            "ObjectURN" => &mut self.urn,
            "LWM2MVersion" => &mut self.lwm2m_version,
            "ObjectVersion" => &mut self.version,
            "MultipleInstances" => &mut self.instances,
            "Mandatory" => &mut self.mandatory,
            _ => return, // descriptions and what we do not know
        };
        *slot = text;
    }

    /// The definition, and how many resources came twice.
    fn finish(mut self) -> Result<(Definition, usize), XmlError> {
        let id = self.id.parse().map_err(|_| XmlError::ObjectId(excerpt(&self.id)))?;
        self.resources.sort_by_key(|resource| resource.id);
        let before = self.resources.len();
        self.resources.dedup_by_key(|resource| resource.id);
        let left_out = before - self.resources.len();
        let definition = Definition {
            id,
            version: version(&self.version)?,
            lwm2m_version: version(&self.lwm2m_version)?,
            name: self.name,
            urn: self.urn,
            // Missing is "several": then nothing is concluded from the object having one.
            multiple: !self.instances.eq_ignore_ascii_case("Single"),
            mandatory: self.mandatory.eq_ignore_ascii_case("Mandatory"),
            resources: self.resources,
        };
        Ok((definition, left_out))
    }
}

impl ItemDraft {
    fn set(&mut self, field: &str, text: String) {
        let slot = match field {
            "Name" => &mut self.name,
            "Operations" => &mut self.operations,
            "MultipleInstances" => &mut self.instances,
            "Mandatory" => &mut self.mandatory,
            "Type" => &mut self.data_type,
            "RangeEnumeration" => &mut self.range,
            "Units" => &mut self.units,
            _ => return, // the description and what we do not know
        };
        *slot = text;
    }

    fn finish(self) -> Option<ResourceDefinition> {
        let id: u16 = self.id.parse().ok().filter(|id| *id <= LOWER_ID_MAX)?;
        Some(ResourceDefinition {
            id,
            name: self.name,
            operations: Operations::parse(&self.operations),
            multiple: self.instances.eq_ignore_ascii_case("Multiple"),
            mandatory: self.mandatory.eq_ignore_ascii_case("Mandatory"),
            data_type: DataType::from_name(&self.data_type),
            range: self.range,
            units: self.units,
        })
    }
}

/// A missing or empty version is 1.0.
fn version(text: &str) -> Result<Version, XmlError> {
    if text.is_empty() {
        return Ok(Version::V1_0);
    }
    Version::parse(text).ok_or_else(|| XmlError::Version(excerpt(text)))
}

/// Text without outer white space, inner runs of it as one space.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The character behind a reference: a numeric one, or one of XML's five names.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    match reference.resolve_char_ref() {
        Ok(Some(letter)) => Some(letter),
        Ok(None) => match &**reference {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => None, // an entity that only a DTD could define
        },
        Err(_) => None,
    }
}

/// Another declared encoding than UTF-8 matters only where bytes beyond ASCII are.
fn check_encoding(name: &str, text: &str) -> Result<(), XmlError> {
    let is_ours = ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|own| name.eq_ignore_ascii_case(own));
    if is_ours || text.is_ascii() { Ok(()) } else { Err(XmlError::Encoding(excerpt(name))) }
}

fn syntax(text: &str, position: u64, what: String) -> XmlError {
    let end = usize::try_from(position).unwrap_or(usize::MAX).min(text.len());
    let before = text.as_bytes().get(..end).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    XmlError::Syntax { line, what }
}
