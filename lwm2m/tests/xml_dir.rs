//! The shipped object definitions: equal to what the generator makes of the tables, in the schema's order,
//! and, read back, equal to the table field by field.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test reads the shipped files")]

#[path = "../examples/xml_dir/generate.rs"]
mod generate;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lwm2m::catalog::{Catalog, Version};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../xml_dir")
}

fn table(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn shipped() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let xml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "xml"));
    xml.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    })
    .collect()
}

#[test]
fn the_shipped_files_are_those_of_the_generator_byte_for_byte() {
    let made = generate::files(&table("objects.tsv"), &table("descriptions.tsv")).unwrap();
    let shipped = shipped();
    assert!(made.keys().eq(shipped.keys()), "run: cargo run -p lwm2m --example xml_dir");
    for (name, text) in &made {
        assert_eq!(text, &shipped[name], "{name}: run cargo run -p lwm2m --example xml_dir");
    }
    assert_eq!(made.len(), 424);
}

#[test]
fn the_shipped_files_read_back_equal_the_table_field_by_field() {
    let (catalog, warnings) = Catalog::load(shipped());
    assert_eq!(warnings, []);
    let (mut object, mut objects, mut resources) = (None, 0, 0);
    for line in table("objects.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        if let ["O", id, version, ..] = fields.as_slice() {
            let found = catalog.object(id.parse().unwrap(), Version::parse(version)).unwrap();
            let multiple = if found.is_multiple() { "Multiple" } else { "Single" };
            let mandatory = if found.is_mandatory() { "Mandatory" } else { "Optional" };
            let read = [
                "O",
                &found.id().to_string(),
                &found.version().to_string(),
                &found.lwm2m_version().to_string(),
                found.name(),
                found.urn(),
                multiple,
                mandatory,
            ]
            .join("\t");
            assert_eq!(read, line);
            (object, objects) = (Some(found), objects + 1);
        } else {
            let found = object.unwrap().resource(fields[1].parse().unwrap()).unwrap();
            let multiple = if found.is_multiple() { "Multiple" } else { "Single" };
            let mandatory = if found.is_mandatory() { "Mandatory" } else { "Optional" };
            let read = [
                "R",
                &found.id().to_string(),
                found.name(),
                &found.operations().to_string(),
                multiple,
                mandatory,
                found.data_type().map_or("", |data_type| data_type.name()),
                found.range(),
                found.units(),
            ]
            .join("\t");
            assert_eq!(read, line);
            resources += 1;
        }
    }
    assert_eq!((objects, resources), (424, 4506));
    assert_eq!(catalog.objects().count(), objects);
    assert_eq!(catalog.objects().map(|object| object.resources().len()).sum::<usize>(), resources);
}

/// Names of the elements in the order of their start, from the file's text alone.
fn elements(text: &str) -> Vec<&str> {
    let starts = text.split('<').skip(1).filter(|piece| !piece.starts_with(['/', '?', '!']));
    starts.map(|piece| piece.split([' ', '>', '/']).next().unwrap()).collect()
}

#[test]
fn every_file_has_the_elements_in_the_order_of_the_schema() {
    const HEAD: [&str; 11] = [
        "LWM2M",
        "Object",
        "Name",
        "Description1",
        "ObjectID",
        "ObjectURN",
        "LWM2MVersion",
        "ObjectVersion",
        "MultipleInstances",
        "Mandatory",
        "Resources",
    ];
    const ITEM: [&str; 9] = [
        "Item",
        "Name",
        "Operations",
        "MultipleInstances",
        "Mandatory",
        "Type",
        "RangeEnumeration",
        "Units",
        "Description",
    ];
    for (name, text) in shipped() {
        let found = elements(&text);
        let items = text.matches("<Item ").count();
        let mut expected = HEAD.to_vec();
        expected.extend(std::iter::repeat_n(ITEM, items).flatten());
        expected.push("Description2");
        assert_eq!(found, expected, "{name}");
        assert!(text.contains("SPDX-License-Identifier: MIT OR Apache-2.0"), "{name}");
    }
}

#[test]
fn core_objects_have_a_sentence_for_everything_and_others_have_none() {
    for (name, text) in shipped() {
        let id: u16 = name.split(['-', '.']).next().unwrap().parse().unwrap();
        let empty = ["<Description1></Description1>", "<Description></Description>"];
        let empties: usize = empty.iter().map(|empty| text.matches(empty).count()).sum();
        let all = text.matches("<Description1>").count() + text.matches("<Description>").count();
        assert_eq!(empties, if id <= 7 { 0 } else { all }, "{name}");
    }
}

#[test]
fn the_catalog_in_the_binary_is_the_shipped_one() {
    let (shipped, _) = Catalog::load(shipped());
    let core = Catalog::core();
    assert_eq!(core.heap_bytes(), shipped.heap_bytes());
    for (a, b) in core.objects().zip(shipped.objects()) {
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        assert!(a.resources().map(|r| format!("{r:?}")).eq(b.resources().map(|r| format!("{r:?}"))));
    }
}

#[test]
fn the_generator_refuses_sentences_about_nothing() {
    let objects = table("objects.tsv");
    for bad in
        ["3\t-", "x\t-\tText", "3\t999\tText", "9999\t-\tText", "3\t0\t", "3\t0\tA\n3\t0\tB", "3\t0\tA\tB"]
    {
        assert!(generate::files(&objects, bad).is_err(), "{bad}");
    }
}
