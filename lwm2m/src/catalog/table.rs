//! The compact form of the catalog: a table of tab-separated lines.
//!
//! ```text
//! O  id  version  LwM2M version  name  URN  Multiple|Single  Mandatory|Optional
//! R  id  name  operations  Multiple|Single  Mandatory|Optional  type  range  units
//! ```
//! An O line is followed by the R lines of its resources. Lines that begin with "#" are comments.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::build::{Definition, ResourceDefinition};
use super::{Catalog, Operations, Version};
use crate::value::DataType;

/// A line of the table that is none. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableError {
    /// Number of the line.
    pub line: usize,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is neither an object nor a resource", self.line)
    }
}

impl std::error::Error for TableError {}

impl Catalog {
    /// The catalog of a table. Stops at the first line that is none.
    pub fn from_table(table: &str) -> Result<Catalog, TableError> {
        let mut definitions: Vec<Definition> = Vec::new();
        for (place, line) in table.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let read = match fields.as_slice() {
                ["O", fields @ ..] => object(fields).map(|definition| definitions.push(definition)),
                ["R", fields @ ..] => resource(fields).and_then(|resource| {
                    let resources = &mut definitions.last_mut()?.resources;
                    // Kept sorted, so that ids can be searched; one that comes twice is a fault.
                    let place = resources.binary_search_by_key(&resource.id, |known| known.id).err()?;
                    resources.insert(place, resource);
                    Some(())
                }),
                _ => None, // no such line
            };
            read.ok_or(TableError { line: place + 1 })?;
        }
        Ok(Catalog::of(definitions))
    }
}

fn object(fields: &[&str]) -> Option<Definition> {
    let [id, version, lwm2m_version, name, urn, instances, mandatory] = fields else { return None };
    Some(Definition {
        id: id.parse().ok()?,
        version: Version::parse(version)?,
        lwm2m_version: Version::parse(lwm2m_version)?,
        name: (*name).to_owned(),
        urn: (*urn).to_owned(),
        multiple: either(instances, "Multiple", "Single")?,
        mandatory: either(mandatory, "Mandatory", "Optional")?,
        resources: Vec::new(),
    })
}

fn resource(fields: &[&str]) -> Option<ResourceDefinition> {
    let [id, name, operations, instances, mandatory, data_type, range, units] = fields else { return None };
    Some(ResourceDefinition {
        id: id.parse().ok()?,
        name: (*name).to_owned(),
        operations: Operations::parse(operations),
        multiple: either(instances, "Multiple", "Single")?,
        mandatory: either(mandatory, "Mandatory", "Optional")?,
        data_type: match *data_type {
            "" => None,
            name => Some(DataType::from_name(name)?),
        },
        range: (*range).to_owned(),
        units: (*units).to_owned(),
    })
}

fn either(text: &str, yes: &str, no: &str) -> Option<bool> {
    if text == yes {
        Some(true)
    } else if text == no {
        Some(false)
    } else {
        None
    }
}
