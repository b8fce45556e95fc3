//! Object definitions in OMA's XML, made from the tables in `xml_dir/`. Pure: text in, text out.

use std::collections::BTreeMap;

use lwm2m::catalog::{Catalog, ObjectInfo, ResourceInfo};

/// File names and contents for every object version of `objects`, with the sentences of `descriptions`.
///
/// The newest version of an object is `<id>.xml`, older ones are `<id>-<major>_<minor>.xml`.
pub(crate) fn files(objects: &str, descriptions: &str) -> Result<BTreeMap<String, String>, String> {
    let catalog = Catalog::from_table(objects).map_err(|error| format!("objects.tsv: {error}"))?;
    let sentences = sentences(descriptions)?;
    for (object, resource) in sentences.keys() {
        let known = match resource {
            Some(resource) => catalog.versions(*object).any(|o| o.resource(*resource).is_some()),
            None => catalog.object(*object, None).is_some(),
        };
        if !known {
            return Err(format!("descriptions.tsv: object {object} has no {resource:?}"));
        }
    }
    Ok(catalog.objects().map(|object| (file_name(&catalog, &object), file(&object, &sentences))).collect())
}

type Sentences<'t> = BTreeMap<(u16, Option<u16>), &'t str>;

fn sentences(table: &str) -> Result<Sentences<'_>, String> {
    let mut out = BTreeMap::new();
    for (place, line) in table.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let fault = || format!("descriptions.tsv: line {}", place + 1);
        let mut fields = line.split('\t');
        let (object, resource, text) = match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(object), Some(resource), Some(text), None) if !text.is_empty() => (object, resource, text),
            _ => return Err(fault()), // fields are missing or too many
        };
        let object = object.parse().map_err(|_| fault())?;
        let resource = match resource {
            "-" => None,
            number => Some(number.parse().map_err(|_| fault())?),
        };
        if out.insert((object, resource), text).is_some() {
            return Err(fault());
        }
    }
    Ok(out)
}

fn file_name(catalog: &Catalog, object: &ObjectInfo<'_>) -> String {
    let newest = catalog.object(object.id(), None).map(|newest| newest.version());
    if newest == Some(object.version()) {
        return format!("{}.xml", object.id());
    }
    format!("{}-{}_{}.xml", object.id(), object.version().major, object.version().minor)
}

fn file(object: &ObjectInfo<'_>, sentences: &Sentences<'_>) -> String {
    let mut out = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Written by Turnstone's own generator from facts in objects.tsv and sentences in descriptions.tsv.
     Do not edit: change the tables and run the example "xml_dir" of the crate "lwm2m".
     SPDX-License-Identifier: MIT OR Apache-2.0 -->
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.openmobilealliance.org/tech/profiles/LWM2M-v1_1.xsd">
	<Object ObjectType="MODefinition">
"#,
    );
    let mut line = |depth: usize, name: &str, text: &str| {
        out.push_str(&format!("{}<{name}>{}</{name}>\n", "\t".repeat(depth), escaped(text)));
    };
    let sentence = |resource: Option<u16>| sentences.get(&(object.id(), resource)).copied().unwrap_or("");
    line(2, "Name", object.name());
    line(2, "Description1", sentence(None));
    line(2, "ObjectID", &object.id().to_string());
    line(2, "ObjectURN", object.urn());
    line(2, "LWM2MVersion", &object.lwm2m_version().to_string());
    line(2, "ObjectVersion", &object.version().to_string());
    line(2, "MultipleInstances", if object.is_multiple() { "Multiple" } else { "Single" });
    line(2, "Mandatory", if object.is_mandatory() { "Mandatory" } else { "Optional" });
    out.push_str("\t\t<Resources>\n");
    for resource in object.resources() {
        out.push_str(&item(&resource, sentence(Some(resource.id()))));
    }
    out.push_str("\t\t</Resources>\n\t\t<Description2></Description2>\n\t</Object>\n</LWM2M>\n");
    out
}

fn item(resource: &ResourceInfo<'_>, sentence: &str) -> String {
    let mut out = format!("\t\t\t<Item ID=\"{}\">\n", resource.id());
    for (name, text) in [
        ("Name", resource.name()),
        ("Operations", &resource.operations().to_string()),
        ("MultipleInstances", if resource.is_multiple() { "Multiple" } else { "Single" }),
        ("Mandatory", if resource.is_mandatory() { "Mandatory" } else { "Optional" }),
        ("Type", resource.data_type().map_or("", |data_type| data_type.name())),
        ("RangeEnumeration", resource.range()),
        ("Units", resource.units()),
        ("Description", sentence),
    ] {
        out.push_str(&format!("\t\t\t\t<{name}>{}</{name}>\n", escaped(text)));
    }
    out.push_str("\t\t\t</Item>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
