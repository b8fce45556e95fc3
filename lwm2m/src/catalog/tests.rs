//! The catalog: what its XML survives and refuses, and which definition a lookup finds.

use proptest::prelude::*;

use super::*;
use crate::limits::{CATALOG_FILE_BYTES_MAX, CATALOG_FILES_MAX};

/// An object of one resource.
fn definition(id: &str, version: &str, item: &str) -> String {
    format!(
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>Lamp</Name><Description1/>\
         <ObjectID>{id}</ObjectID><ObjectURN>urn:x:{id}</ObjectURN><LWM2MVersion>1.1</LWM2MVersion>\
         <ObjectVersion>{version}</ObjectVersion><MultipleInstances>Single</MultipleInstances>\
         <Mandatory>Optional</Mandatory><Resources>{item}</Resources><Description2/></Object></LWM2M>"
    )
}

fn item(id: &str, name: &str, data_type: &str) -> String {
    format!(
        "<Item ID=\"{id}\"><Name>{name}</Name><Operations>RW</Operations>\
         <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>\
         <Type>{data_type}</Type><RangeEnumeration>0..5</RangeEnumeration><Units>V</Units>\
         <Description>x</Description></Item>"
    )
}

fn load(files: &[(&str, &[u8])]) -> (Catalog, Vec<String>) {
    let (catalog, warnings) = Catalog::load(files.iter().copied());
    (catalog, warnings.iter().map(Warning::to_string).collect())
}

/// The one warning about a file that is skipped.
fn refusal(bytes: &[u8]) -> String {
    let (catalog, warnings) = load(&[("bad.xml", bytes)]);
    assert_eq!(catalog.objects().count(), 0);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    warning.clone()
}

#[test]
fn a_definition_is_read_in_all_its_fields() {
    let xml = definition("3333", "1.2", &item("5", "Level", "Float"));
    let (catalog, warnings) = load(&[("3333.xml", xml.as_bytes())]);
    assert!(warnings.is_empty());
    let object = catalog.object(3333, None).unwrap();
    assert_eq!((object.id(), object.version(), object.lwm2m_version()), (3333, Version::V1_2, Version::V1_1));
    assert_eq!((object.name(), object.urn()), ("Lamp", "urn:x:3333"));
    assert!(!object.is_multiple() && !object.is_mandatory());
    let level = object.resource(5).unwrap();
    assert_eq!((level.name(), level.data_type()), ("Level", Some(DataType::Float)));
    assert_eq!(
        (level.range(), level.units(), level.operations().to_string()),
        ("0..5", "V", "RW".to_owned())
    );
    assert!(level.is_mandatory() && !level.is_multiple());
}

#[test]
fn odd_but_honest_files_load() {
    let plain = definition("3333", "1.0", &item("5", "Level", "Float"));
    let with_bom =
        format!("\u{feff}<?xml version='1.0' encoding='UTF-8'?>\r\n{plain}").replace("><", ">\r\n<");
    let with_cdata = plain.replace("Level", "<![CDATA[Le]]>ve<![CDATA[l]]>");
    let with_entities = plain.replace("Level", "&#76;evel").replace("0..5", "&lt;7 to &gt;12.5 &amp;&#x41;");
    let with_spaces = plain.replace("Level", "\n   Level\t ").replace(">V<", "> V\n <");
    let without_versions = plain
        .replace("<LWM2MVersion>1.1</LWM2MVersion>", "")
        .replace("<ObjectVersion>1.0</ObjectVersion>", "<ObjectVersion/>");
    let with_namespace = plain.replace("<LWM2M>", "<!-- & --><LWM2M xmlns:xsi=\"x\" xsi:y=\"z\"><?pi?>");
    let ascii_latin1 = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{plain}");
    for text in [
        plain,
        with_bom,
        with_cdata,
        with_entities,
        with_spaces,
        without_versions,
        with_namespace,
        ascii_latin1,
    ] {
        let (catalog, warnings) = load(&[("3333.xml", text.as_bytes())]);
        assert!(warnings.is_empty(), "{warnings:?}");
        let object = catalog.object(3333, Some(Version::V1_0)).unwrap();
        assert_eq!(object.version(), Version::V1_0);
        let level = object.resource(5).unwrap();
        assert_eq!((level.name(), level.units()), ("Level", "V"), "{text}");
        assert!(level.range() == "0..5" || level.range() == "<7 to >12.5 &A");
    }
}

#[test]
fn missing_elements_leave_defaults() {
    let xml = b"<LWM2M><Object><ObjectID>9</ObjectID><Resources><Item ID='1'/><Item ID='2'><Type>Foo</Type>\
        </Item></Resources></Object></LWM2M>";
    let (catalog, warnings) = load(&[("9.xml", xml)]);
    assert!(warnings.is_empty());
    let object = catalog.object(9, None).unwrap();
    assert_eq!((object.name(), object.version(), object.is_multiple()), ("", Version::V1_0, true));
    let resources: Vec<_> = object.resources().map(|r| (r.id(), r.name(), r.data_type())).collect();
    assert_eq!(resources, [(1, "", None), (2, "", None)]);
}

#[test]
fn several_objects_in_a_file_and_several_versions_load() {
    let one = definition("3333", "1.0", &item("5", "Old", "Integer"));
    let two = definition("3333", "1.1", &item("5", "New", "Float"));
    let both = format!("{}{}", one.strip_suffix("</LWM2M>").unwrap(), two.strip_prefix("<LWM2M>").unwrap());
    let other = definition("3334", "1.0", "");
    let (catalog, warnings) = load(&[("both.xml", both.as_bytes()), ("3334.xml", other.as_bytes())]);
    assert!(warnings.is_empty());
    assert_eq!(
        catalog.objects().map(|o| (o.id(), o.version().minor)).collect::<Vec<_>>(),
        [(3333, 0), (3333, 1), (3334, 0)]
    );
}

#[test]
fn a_bad_file_is_one_warning_and_the_rest_loads() {
    let good = definition("3333", "1.0", &item("5", "Level", "Float"));
    let bad = good.replace("</Name>", "</Nam>");
    let (catalog, warnings) =
        load(&[("a.xml", bad.as_bytes()), ("b.xml", good.as_bytes()), ("c.xml", b"\xff\xfe<\0")]);
    assert_eq!(catalog.objects().count(), 1);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("a.xml: skipped: line 1: "), "{warnings:?}");
    assert_eq!(warnings[1], "c.xml: skipped: is UTF-16; save it as UTF-8");
}

#[test]
fn what_is_no_definition_is_refused_by_name_and_reason() {
    let good = definition("3333", "1.0", "");
    let dtd = format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{good}");
    let deep = format!("<LWM2M>{}", "<a>".repeat(40));
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1 = [b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><LWM2M>".as_slice(), &[0xe9]].concat();
    let declared = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><LWM2M>é</LWM2M>";
    for (bytes, reason) in [
        (Vec::new(), "bad.xml: skipped: has no element at all"),
        (b"hello".to_vec(), "bad.xml: skipped: has no element at all"),
        (b"<CommonResources/>".to_vec(), "bad.xml: skipped: is no object definition but <CommonResources>"),
        (b"<LWM2M></LWM2M>".to_vec(), "bad.xml: skipped: has no <Object>"),
        (b"<LWM2M>\n<Object>".to_vec(), "bad.xml: skipped: line 2: <Object> is not closed"),
        (dtd.into_bytes(), "bad.xml: skipped: has a DTD (<!DOCTYPE …>), which is not taken"),
        (deep.into_bytes(), "bad.xml: skipped: elements nest deeper than 32 levels"),
        (utf16, "bad.xml: skipped: is UTF-16; save it as UTF-8"),
        (latin1, "bad.xml: skipped: is not UTF-8 (byte 50)"),
        (
            declared.as_bytes().to_vec(),
            "bad.xml: skipped: declares the encoding ISO-8859-1; save it as UTF-8",
        ),
        (good.replace("Lamp", "&lamp;").into_bytes(), "bad.xml: skipped: line 1: entity &lamp; is not known"),
        (
            good.replace(">3333<", "><").into_bytes(),
            "bad.xml: skipped: ObjectID \"\" is not a number 0–65535",
        ),
        (
            good.replace(">3333<", ">70000<").into_bytes(),
            "bad.xml: skipped: ObjectID \"70000\" is not a number 0–65535",
        ),
        (good.replace(">1.0<", ">new<").into_bytes(), "bad.xml: skipped: \"new\" is not a version"),
        (vec![b' '; CATALOG_FILE_BYTES_MAX + 1], "bad.xml: skipped: larger than 4194304 bytes"),
    ] {
        assert_eq!(refusal(&bytes), reason);
    }
}

#[test]
fn resources_without_a_single_id_are_left_out_with_a_warning() {
    let items = [item("5", "A", "Float"), item("", "B", "Float"), item("65535", "C", ""), item("5", "D", "")];
    let (catalog, warnings) = load(&[("3333.xml", definition("3333", "1.0", &items.concat()).as_bytes())]);
    assert_eq!(warnings, ["3333.xml: 3 resources without a usable ID were left out"]);
    let names: Vec<_> = catalog.object(3333, None).unwrap().resources().map(|r| r.name()).collect();
    assert_eq!(names, ["A"]);
}

#[test]
fn the_first_of_two_definitions_holds() {
    let first = definition("3333", "1.0", &item("5", "First", "Float"));
    let second = definition("3333", "1.0", &item("5", "Second", "Float"));
    let (catalog, warnings) = load(&[("a.xml", first.as_bytes()), ("b.xml", second.as_bytes())]);
    assert_eq!(warnings, ["b.xml: object 3333 version 1.0 is already described in a.xml, which holds"]);
    assert_eq!(catalog.resource(3333, None, 5).unwrap().name(), "First");
    let again = first.replace("</LWM2M>", "").repeat(3).replacen("<LWM2M>", "", 3);
    let (_, warnings) = load(&[("a.xml", format!("<LWM2M>{again}</LWM2M>").as_bytes())]);
    let reason =
        "a.xml: object 3333 version 1.0 is already described in a.xml, which holds (1 more of this kind)";
    assert_eq!(warnings, [reason]);
}

#[test]
fn more_files_than_the_limit_are_one_warning() {
    let good = definition("3333", "1.0", "");
    let files =
        (0..CATALOG_FILES_MAX + 10).map(|n| (format!("{n}.xml"), if n == 0 { good.as_str() } else { "" }));
    let (catalog, warnings) = Catalog::load(files);
    assert_eq!(catalog.objects().count(), 1);
    let last = warnings.last().unwrap().to_string();
    assert_eq!(last, "4096.xml: skipped with all that follow: more than 4096 files");
}

#[test]
fn a_file_replaces_the_definition_of_the_core() {
    let own = definition("3", "1.0", &item("9", "My Battery", "Float"));
    let (catalog, warnings) = Catalog::load_over_core([("mine.xml", own)]);
    assert!(warnings.is_empty());
    assert_eq!(catalog.resource(3, Some(Version::V1_0), 9).unwrap().name(), "My Battery");
    assert_eq!(catalog.resource(3, Some(Version::V1_1), 9).unwrap().name(), "Battery Level");
    assert_eq!(catalog.objects().count(), Catalog::core().objects().count());
}

#[test]
fn the_core_knows_every_object_in_little_memory() {
    let core = Catalog::core();
    assert_eq!((core.objects().count(), core.resources.len()), (424, 4506));
    assert!(core.heap_bytes() < 400_000, "{}", core.heap_bytes());
    let battery = core.resource(3, Some(Version::V1_2), 9).unwrap();
    assert_eq!((battery.name(), battery.units(), battery.range()), ("Battery Level", "/100", "0..100"));
    assert_eq!(battery.data_type(), Some(DataType::Integer));
    assert_eq!(core.resource(3303, None, 5700).unwrap().data_type(), Some(DataType::Float));
    assert_eq!(core.resource(5, None, 2).unwrap().data_type(), None);
}

#[test]
fn an_unknown_version_falls_back_to_the_nearest_of_the_same_major_then_to_the_newest() {
    let lines: Vec<String> = ["1.0", "1.1", "1.4", "2.0", "2.3"]
        .iter()
        .map(|v| format!("O\t9\t{v}\t1.0\tThing\turn\tMultiple\tOptional\n"))
        .collect();
    let catalog = Catalog::from_table(&lines.concat()).unwrap();
    let found = |text| catalog.object(9, Version::parse(text)).unwrap().version().to_string();
    assert_eq!(found("1.1"), "1.1");
    assert_eq!(found("1.2"), "1.1");
    assert_eq!(found("1.3"), "1.4");
    assert_eq!(found("1.9"), "1.4");
    assert_eq!(found("2.1"), "2.0");
    assert_eq!(found("3.0"), "2.3");
    assert_eq!(found("0.9"), "2.3");
    assert_eq!(catalog.object(9, None).unwrap().version().to_string(), "2.3");
    assert!(catalog.object(10, Some(Version::V1_0)).is_none());
}

#[test]
fn a_resource_is_looked_up_in_near_versions_but_never_in_other_objects_or_majors() {
    let table = "O\t9\t1.0\t1.0\tThing\turn\tMultiple\tOptional\n\
        R\t1\tOld\tR\tSingle\tOptional\tInteger\t\t\n\
        O\t9\t1.1\t1.0\tThing\turn\tMultiple\tOptional\n\
        R\t2\tNew\tR\tSingle\tOptional\tFloat\t\t\n\
        O\t9\t2.0\t1.0\tThing\turn\tMultiple\tOptional\n\
        R\t3\tOther\tR\tSingle\tOptional\tString\t\t\n\
        O\t10\t1.0\t1.0\tElse\turn\tMultiple\tOptional\n\
        R\t5700\tValue\tR\tSingle\tOptional\tFloat\t\t\n";
    let catalog = Catalog::from_table(table).unwrap();
    let name = |version, resource| catalog.resource(9, version, resource).map(|r| r.name());
    assert_eq!(name(Some(Version::V1_0), 1), Some("Old"));
    assert_eq!(name(Some(Version::V1_0), 2), Some("New"));
    assert_eq!(name(Some(Version::V1_2), 1), Some("Old"));
    assert_eq!(name(Some(Version::V1_1), 3), None);
    assert_eq!(name(None, 3), Some("Other"));
    assert_eq!(name(None, 1), None);
    assert_eq!(name(Some(Version::V1_0), 5700), None);
}

#[test]
fn names_are_found_whatever_their_case_and_spaces() {
    let core = Catalog::core();
    for name in ["Temperature", "temperature", "TEMPERATURE ", "3303"] {
        assert_eq!(core.object_by_name(name).map(|o| o.id()), Some(3303), "{name}");
    }
    let device = core.object_by_name("device").unwrap();
    assert_eq!((device.id(), device.version()), (3, Version::V1_2));
    for name in ["powerSourceVoltage", "power-source voltage", "7"] {
        assert_eq!(device.resource_by_name(name).map(|r| r.id()), Some(7), "{name}");
    }
    assert!(core.object_by_name("").is_none() && core.object_by_name("no such thing").is_none());
    assert!(device.resource_by_name("-").is_none() && device.resource_by_name("77").is_none());
}

#[test]
fn a_device_model_uses_the_versions_of_the_registration() {
    let core = Catalog::core();
    // In object 1 version 1.0 the resource 13 does not exist; 3 is single, 2 is multiple.
    let model = DeviceModel { catalog: &core, versions: &[(3303, Version::V1_1)], lwm2m: Version::V1_1 };
    assert_eq!(model.version(3303), Version::V1_1);
    assert_eq!(model.version(4), Version::V1_2);
    assert_eq!(model.data_type(3, 13), Some(DataType::Time));
    assert_eq!(model.data_type(3, 4), None);
    assert_eq!(model.data_type(31024, 0), None);
    assert!(model.is_single_instance(3) && !model.is_single_instance(2) && !model.is_single_instance(31024));
}

#[test]
fn the_table_stops_at_the_first_line_that_is_none() {
    let error = |table: &str| Catalog::from_table(table).unwrap_err().to_string();
    assert_eq!(error("# x\n\nX\t1"), "line 3 is neither an object nor a resource");
    assert_eq!(
        error("R\t1\tA\tR\tSingle\tOptional\tInteger\t\t"),
        "line 1 is neither an object nor a resource"
    );
    let object = "O\t9\t1.0\t1.0\tThing\turn\tMultiple\tOptional\n";
    let resource = "R\t1\tA\tR\tSingle\tOptional\tInteger\t\t\n";
    assert!(Catalog::from_table(&format!("{object}{resource}")).is_ok());
    assert!(Catalog::from_table(&format!("{object}{resource}{resource}")).is_err());
    assert!(Catalog::from_table(&format!("{object}{}", resource.replace("Integer", "Int"))).is_err());
    assert!(Catalog::from_table(&object.replace("Multiple", "Many")).is_err());
}

#[test]
fn the_catalog_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<std::sync::Arc<Catalog>>();
}

proptest! {
    #[test]
    fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Catalog::load([("x.xml", bytes)]);
    }

    #[test]
    fn no_damaged_definition_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8),
    ) {
        let mut bytes = definition("3333", "1.0", &item("5", "<![CDATA[x]]>&amp;", "Float")).into_bytes();
        for (place, byte, insert) in damage {
            let place = place.index(bytes.len());
            if insert {
                bytes.insert(place, byte);
            } else {
                bytes[place] = byte;
            }
        }
        let (catalog, warnings) = Catalog::load([("x.xml", bytes)]);
        prop_assert!(catalog.objects().count() == 1 || warnings.len() == 1);
    }
}
