//! Building a catalog: definitions of all files are collected, texts are kept once each, and what is wrong
//! with a file becomes one warning.
#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;

use super::xml::{self, XmlError};
use super::{Catalog, ObjectRow, Operations, ResourceRow, Span, Version};
use crate::limits::{CATALOG_FILES_MAX, CATALOG_OBJECTS_MAX, CATALOG_TEXT_MAX};
use crate::value::DataType;

/// An object version as a file or the table describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) id: u16,
    pub(super) version: Version,
    pub(super) lwm2m_version: Version,
    pub(super) name: String,
    pub(super) urn: String,
    pub(super) multiple: bool,
    pub(super) mandatory: bool,
    pub(super) resources: Vec<ResourceDefinition>,
}

/// A resource of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceDefinition {
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) operations: Operations,
    pub(super) multiple: bool,
    pub(super) mandatory: bool,
    pub(super) data_type: Option<DataType>,
    pub(super) range: String,
    pub(super) units: String,
}

/// Something that an operator should know about a file. At most one for a broken file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the file, as it was handed in.
    pub file: String,
    /// What about it.
    pub reason: Reason,
}

/// What is wrong with a file of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The file cannot be used and was skipped.
    Skipped(XmlError),
    /// It describes an object version that was described before; the first one holds.
    Duplicate {
        /// Object id.
        object: u16,
        /// Object version.
        version: Version,
        /// The file that holds.
        first: String,
        /// How many more such object versions the file has.
        others: usize,
    },
    /// Resources without a usable, single id were left out; the rest was loaded.
    ResourcesLeftOut(usize),
    /// More files than the limit: this one and those behind it were left out.
    TooManyFiles(usize),
    /// More object versions than the limit: those of this file were left out.
    TooManyObjects(usize),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match &self.reason {
            Reason::Skipped(error) => write!(f, "skipped: {error}"),
            Reason::Duplicate { object, version, first, others } => {
                write!(f, "object {object} version {version} is already described in {first}, which holds")?;
                if *others > 0 { write!(f, " ({others} more of this kind)") } else { Ok(()) }
            }
            Reason::ResourcesLeftOut(count) => {
                write!(f, "{count} resources without a usable ID were left out")
            }
            Reason::TooManyFiles(limit) => write!(f, "skipped with all that follow: more than {limit} files"),
            Reason::TooManyObjects(limit) => write!(f, "skipped: more than {limit} object versions in all"),
        }
    }
}

impl Catalog {
    /// Builds a catalog from XML files, given as name and bytes. A file that cannot be used is one warning
    /// and is skipped; the rest loads.
    pub fn load<N, B>(files: impl IntoIterator<Item = (N, B)>) -> (Catalog, Vec<Warning>)
    where
        N: Into<String>,
        B: AsRef<[u8]>,
    {
        Builder::default().load(files)
    }

    /// Like [`Catalog::load`], on top of [`Catalog::core`]: what a file describes replaces the core's
    /// definition of the same object and version.
    pub fn load_over_core<N, B>(files: impl IntoIterator<Item = (N, B)>) -> (Catalog, Vec<Warning>)
    where
        N: Into<String>,
        B: AsRef<[u8]>,
    {
        let mut builder = Builder::default();
        for definition in Catalog::core().definitions() {
            builder.core.insert((definition.id, definition.version), definition);
        }
        builder.load(files)
    }

    /// The catalog of these definitions; of two for the same object and version the first holds.
    pub(super) fn of(definitions: impl IntoIterator<Item = Definition>) -> Catalog {
        let mut builder = Builder::default();
        for definition in definitions {
            builder.add("", definition);
        }
        builder.finish()
    }

    /// The definitions again, for merging.
    fn definitions(&self) -> impl Iterator<Item = Definition> {
        self.objects().map(|object| Definition {
            id: object.id(),
            version: object.version(),
            lwm2m_version: object.lwm2m_version(),
            name: object.name().to_owned(),
            urn: object.urn().to_owned(),
            multiple: object.is_multiple(),
            mandatory: object.is_mandatory(),
            resources: object
                .resources()
                .map(|resource| ResourceDefinition {
                    id: resource.id(),
                    name: resource.name().to_owned(),
                    operations: resource.operations(),
                    multiple: resource.is_multiple(),
                    mandatory: resource.is_mandatory(),
                    data_type: resource.data_type(),
                    range: resource.range().to_owned(),
                    units: resource.units().to_owned(),
                })
                .collect(),
        })
    }
}

#[derive(Default)]
struct Builder {
    /// What files described, with the file's name.
    found: BTreeMap<(u16, Version), (String, Definition)>,
    /// What holds where no file says anything.
    core: BTreeMap<(u16, Version), Definition>,
    warnings: Vec<Warning>,
}

impl Builder {
    fn load<N, B>(mut self, files: impl IntoIterator<Item = (N, B)>) -> (Catalog, Vec<Warning>)
    where
        N: Into<String>,
        B: AsRef<[u8]>,
    {
        for (place, (name, bytes)) in files.into_iter().enumerate() {
            let file = name.into();
            if place >= CATALOG_FILES_MAX {
                self.warnings.push(Warning { file, reason: Reason::TooManyFiles(CATALOG_FILES_MAX) });
                break;
            }
            match xml::parse(bytes.as_ref()) {
                Ok(parsed) => self.add_file(file, parsed),
                Err(error) => self.warnings.push(Warning { file, reason: Reason::Skipped(error) }),
            }
        }
        let warnings = std::mem::take(&mut self.warnings);
        (self.finish(), warnings)
    }

    fn add_file(&mut self, file: String, parsed: xml::Parsed) {
        if self.found.len() + parsed.definitions.len() > CATALOG_OBJECTS_MAX {
            self.warnings.push(Warning { file, reason: Reason::TooManyObjects(CATALOG_OBJECTS_MAX) });
            return;
        }
        if parsed.left_out > 0 {
            let reason = Reason::ResourcesLeftOut(parsed.left_out);
            self.warnings.push(Warning { file: file.clone(), reason });
        }
        let mut duplicates =
            parsed.definitions.into_iter().filter_map(|d| self.add(&file, d)).collect::<Vec<_>>().into_iter();
        if let Some((object, version, first)) = duplicates.next() {
            let reason = Reason::Duplicate { object, version, first, others: duplicates.count() };
            self.warnings.push(Warning { file, reason });
        }
    }

    /// Keeps a definition, unless its object version is known: then that, with the file that has it.
    fn add(&mut self, file: &str, definition: Definition) -> Option<(u16, Version, String)> {
        let key = (definition.id, definition.version);
        if let Some((first, _)) = self.found.get(&key) {
            return Some((key.0, key.1, first.clone()));
        }
        self.found.insert(key, (file.to_owned(), definition));
        None
    }

    fn finish(self) -> Catalog {
        let mut all = self.core;
        all.extend(self.found.into_iter().map(|(key, (_, definition))| (key, definition)));
        let mut texts = Texts::default();
        let mut objects = Vec::with_capacity(all.len());
        let mut resources = Vec::new();
        for definition in all.into_values() {
            let first_resource = u32::try_from(resources.len()).unwrap_or(u32::MAX);
            resources.extend(definition.resources.iter().map(|resource| ResourceRow {
                id: resource.id,
                name: texts.keep(&resource.name),
                range: texts.keep(&resource.range),
                units: texts.keep(&resource.units),
                data_type: resource.data_type,
                operations: resource.operations,
                multiple: resource.multiple,
                mandatory: resource.mandatory,
            }));
            objects.push(ObjectRow {
                id: definition.id,
                version: definition.version,
                lwm2m_version: definition.lwm2m_version,
                name: texts.keep(&definition.name),
                urn: texts.keep(&definition.urn),
                multiple: definition.multiple,
                mandatory: definition.mandatory,
                first_resource,
                // Ids are 16 bits and single, and 65535 is none: the count fits.
                resource_count: u16::try_from(definition.resources.len()).unwrap_or(u16::MAX),
            });
        }
        Catalog {
            texts: texts.all.into_boxed_str(),
            objects: objects.into_boxed_slice(),
            resources: resources.into_boxed_slice(),
        }
    }
}

/// Keeps each text once.
#[derive(Default)]
struct Texts {
    all: String,
    known: BTreeMap<String, Span>,
}

impl Texts {
    fn keep(&mut self, text: &str) -> Span {
        let text = cut(text);
        if let Some(span) = self.known.get(text) {
            return *span;
        }
        let (Ok(start), Ok(length)) = (u32::try_from(self.all.len()), u16::try_from(text.len())) else {
            return Span::default(); // 4 GiB of names: the objects' limit ends long before
        };
        self.all.push_str(text);
        let span = Span { start, length };
        self.known.insert(text.to_owned(), span);
        span
    }
}

/// At most [`CATALOG_TEXT_MAX`] bytes, at a character's end.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(CATALOG_TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1; // ends at 0 at the latest, which is a boundary
    }
    text.get(..end).unwrap_or_default()
}
