//! The object catalog: what objects and resources are called, and of which type they are.
//!
//! It is built from XML object definitions ([`Catalog::load`]) or from the table inside this binary
//! ([`Catalog::core`]), and never changes afterwards: a reload builds another one and swaps the `Arc`. Keyed
//! by object id and version; a version that is not there falls back to the nearest of the same object,
//! never to a resource of another object.
//!
//! The texts of all definitions lie once each in one string, the rest in two flat tables, so that the whole
//! registry takes about 210 KB. Descriptions are not kept: nothing asks for them.
#![deny(clippy::indexing_slicing)]

mod build;
mod model;
mod table;
mod version;
mod xml;

use std::fmt;

pub use self::build::{Reason, Warning};
pub use self::model::{DeviceModel, Model, NoModel};
pub use self::table::TableError;
pub use self::version::Version;
pub use self::xml::XmlError;
use crate::value::DataType;

/// All object definitions. Shared by `Arc`; `Send + Sync`.
#[derive(Clone, Default)]
pub struct Catalog {
    /// Every text once, one behind the other.
    texts: Box<str>,
    /// Sorted by id and version.
    objects: Box<[ObjectRow]>,
    /// The resources of each object, sorted by id, objects one behind the other.
    resources: Box<[ResourceRow]>,
}

/// A text inside of `Catalog::texts`.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u16,
}

#[derive(Clone, Copy)]
struct ObjectRow {
    id: u16,
    version: Version,
    lwm2m_version: Version,
    name: Span,
    urn: Span,
    multiple: bool,
    mandatory: bool,
    first_resource: u32,
    resource_count: u16,
}

#[derive(Clone, Copy)]
struct ResourceRow {
    id: u16,
    name: Span,
    range: Span,
    units: Span,
    data_type: Option<DataType>,
    operations: Operations,
    multiple: bool,
    mandatory: bool,
}

/// What a server may do with a resource. Displayed as in object definitions: "RW", "E", "".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Read and Observe.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

impl Operations {
    /// Reads the letters R, W and E in any order; others are passed over. "" is for bootstrap only.
    pub fn parse(text: &str) -> Operations {
        let has = |letter: char| text.chars().any(|c| c.eq_ignore_ascii_case(&letter));
        Operations { read: has('R'), write: has('W'), execute: has('E') }
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, there) in [("R", self.read), ("W", self.write), ("E", self.execute)] {
            f.write_str(if there { letter } else { "" })?;
        }
        Ok(())
    }
}

/// One version of an object.
#[derive(Clone, Copy)]
pub struct ObjectInfo<'c> {
    catalog: &'c Catalog,
    row: &'c ObjectRow,
}

/// One resource of an object version.
#[derive(Clone, Copy)]
pub struct ResourceInfo<'c> {
    catalog: &'c Catalog,
    row: &'c ResourceRow,
}

impl Catalog {
    /// The objects that come inside of the binary: every object and version of the public registry.
    pub fn core() -> Catalog {
        Catalog::from_table(include_str!("../../../xml_dir/objects.tsv"))
            .expect("a test reads this very table")
    }

    /// All object versions, by id, then by version.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = ObjectInfo<'_>> + Clone {
        self.objects.iter().map(|row| ObjectInfo { catalog: self, row })
    }

    /// The versions of one object, oldest first.
    pub fn versions(&self, object: u16) -> impl DoubleEndedIterator<Item = ObjectInfo<'_>> + Clone {
        self.infos(self.rows_of(object))
    }

    /// The rows of one object; there are few, so that its end is not searched for.
    fn rows_of(&self, object: u16) -> &[ObjectRow] {
        let start = self.objects.partition_point(|row| row.id < object);
        let rows = self.objects.get(start..).unwrap_or_default();
        let count = rows.iter().take_while(|row| row.id == object).count();
        rows.get(..count).unwrap_or_default()
    }

    fn infos<'c>(
        &'c self,
        rows: &'c [ObjectRow],
    ) -> impl DoubleEndedIterator<Item = ObjectInfo<'c>> + Clone + use<'c> {
        rows.iter().map(|row| ObjectInfo { catalog: self, row })
    }

    /// The definition of an object: this version, else the nearest of the same major number, else the
    /// newest. Without a version the newest.
    pub fn object(&self, object: u16, version: Option<Version>) -> Option<ObjectInfo<'_>> {
        self.chosen(self.rows_of(object), version)
    }

    fn chosen<'c>(&'c self, rows: &'c [ObjectRow], version: Option<Version>) -> Option<ObjectInfo<'c>> {
        let near = version.and_then(|version| self.nearest(rows, version, |_| true));
        near.or_else(|| self.infos(rows).next_back())
    }

    /// The definition of a resource. When the chosen version of the object does not have it, the other
    /// versions of the same major number are asked, the nearest first: within one major number an id keeps
    /// its meaning. Other objects are never asked, not even for a reusable resource.
    pub fn resource(&self, object: u16, version: Option<Version>, resource: u16) -> Option<ResourceInfo<'_>> {
        let rows = self.rows_of(object);
        let chosen = self.chosen(rows, version)?;
        chosen.resource(resource).or_else(|| match rows {
            [] | [_] => None,
            [_, _, ..] => {
                let has = |info: &ObjectInfo<'_>| info.resource(resource).is_some();
                self.nearest(rows, chosen.version(), has)?.resource(resource)
            }
        })
    }

    /// The nearest version of the same major number that will do; of two equally near the newer.
    fn nearest<'c>(
        &'c self,
        rows: &'c [ObjectRow],
        version: Version,
        will_do: impl Fn(&ObjectInfo<'c>) -> bool,
    ) -> Option<ObjectInfo<'c>> {
        let newest_first = self.infos(rows).rev();
        let of_major = newest_first.filter(|info| info.version().major == version.major && will_do(info));
        of_major.min_by_key(|info| info.version().minor.abs_diff(version.minor))
    }

    /// The newest version of the object with this name, whatever its case, spaces and punctuation; a number
    /// is taken as the id.
    pub fn object_by_name(&self, name: &str) -> Option<ObjectInfo<'_>> {
        if let Ok(id) = name.parse() {
            return self.object(id, None);
        }
        let found = self.objects().rev().find(|info| same_name(info.name(), name))?;
        self.object(found.id(), None)
    }

    /// Bytes of memory that the catalog holds.
    pub fn heap_bytes(&self) -> usize {
        self.texts.len() + size_of_val(&*self.objects) + size_of_val(&*self.resources)
    }

    fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.texts.get(start..start + usize::from(span.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, resources) = (self.objects.len(), self.resources.len());
        f.debug_struct("Catalog").field("objects", &objects).field("resources", &resources).finish()
    }
}

/// Names compare by their letters and digits alone: "power source voltage" is "PowerSourceVoltage".
fn same_name(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (letters(a), letters(b));
    !a.is_empty() && a == b
}

impl<'c> ObjectInfo<'c> {
    /// Object id.
    pub fn id(&self) -> u16 {
        self.row.id
    }

    /// Version of the object.
    pub fn version(&self) -> Version {
        self.row.version
    }

    /// The LwM2M version that the definition was made for.
    pub fn lwm2m_version(&self) -> Version {
        self.row.lwm2m_version
    }

    /// Name for people.
    pub fn name(&self) -> &'c str {
        self.catalog.text(self.row.name)
    }

    /// `urn:oma:lwm2m:…`.
    pub fn urn(&self) -> &'c str {
        self.catalog.text(self.row.urn)
    }

    /// True when the object may have several instances.
    pub fn is_multiple(&self) -> bool {
        self.row.multiple
    }

    /// True when every device must have it.
    pub fn is_mandatory(&self) -> bool {
        self.row.mandatory
    }

    fn rows(&self) -> &'c [ResourceRow] {
        let start = self.row.first_resource as usize;
        let end = start + usize::from(self.row.resource_count);
        self.catalog.resources.get(start..end).unwrap_or_default()
    }

    /// The resources, by id.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = ResourceInfo<'c>> + use<'c> {
        let catalog = self.catalog;
        self.rows().iter().map(move |row| ResourceInfo { catalog, row })
    }

    /// The resource of this id, in this very version.
    pub fn resource(&self, resource: u16) -> Option<ResourceInfo<'c>> {
        let rows = self.rows();
        let place = rows.binary_search_by_key(&resource, |row| row.id).ok()?;
        rows.get(place).map(|row| ResourceInfo { catalog: self.catalog, row })
    }

    /// The resource with this name, whatever its case, spaces and punctuation; a number is taken as the id.
    pub fn resource_by_name(&self, name: &str) -> Option<ResourceInfo<'c>> {
        if let Ok(id) = name.parse() {
            return self.resource(id);
        }
        self.resources().find(|resource| same_name(resource.name(), name))
    }
}

impl fmt::Debug for ObjectInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} \"{}\"", self.id(), self.version(), self.name())
    }
}

impl<'c> ResourceInfo<'c> {
    /// Resource id.
    pub fn id(&self) -> u16 {
        self.row.id
    }

    /// Name for people.
    pub fn name(&self) -> &'c str {
        self.catalog.text(self.row.name)
    }

    /// The type of its values; `None` for executables and where the definition names none that is known.
    pub fn data_type(&self) -> Option<DataType> {
        self.row.data_type
    }

    /// What a server may do with it.
    pub fn operations(&self) -> Operations {
        self.row.operations
    }

    /// True when it may have several instances.
    pub fn is_multiple(&self) -> bool {
        self.row.multiple
    }

    /// True when every instance of the object must have it.
    pub fn is_mandatory(&self) -> bool {
        self.row.mandatory
    }

    /// Range or enumeration as the definition words it: free text, never a hard limit.
    pub fn range(&self) -> &'c str {
        self.catalog.text(self.row.range)
    }

    /// Unit of the values, "" when there is none.
    pub fn units(&self) -> &'c str {
        self.catalog.text(self.row.units)
    }
}

impl fmt::Debug for ResourceInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\" {:?}", self.id(), self.name(), self.data_type())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests;
