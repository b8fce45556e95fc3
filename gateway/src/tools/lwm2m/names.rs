//! Paths by name: `Device/0/Battery Level` is `/3/0/9`, and the other way round.
use lwm2m::catalog::{Catalog, ObjectInfo};
use lwm2m::path::ObjectPath;

use crate::tools::ToolError;

/// Reads a path whose object and resource may be names, whatever their case and spaces.
pub(super) fn resolve(catalog: &Catalog, text: &str) -> Result<ObjectPath, ToolError> {
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let mut path = ObjectPath::ROOT;
    let mut rest = Some(inner);
    // Each level takes a segment, so it ends.
    for level in 0.. {
        let Some(here) = rest else { break };
        let (segment, after) = match here.split_once('/') {
            // A resource's name may have a slash in it: On/Off.
            Some(_) if level == 2 && named(catalog, path, here).is_some() => (here, None),
            Some((segment, after)) => (segment, Some(after)),
            None => (here, None),
        };
        rest = after;
        let segment = segment.trim();
        let id = match level {
            0 => object_id(catalog, text, segment)?,
            2 => resource_id(catalog, text, path, segment)?,
            _ => number(text, segment)?, // instances have no names
        };
        path = path.child(id).map_err(|error| {
            ToolError::usage(format!("{text}: {error}"), "at most /OBJECT/INSTANCE/RESOURCE/INDEX")
        })?;
    }
    Ok(path)
}

/// A resource below an instance, `7/0` or by name.
pub(super) fn resolve_below(
    catalog: &Catalog,
    base: ObjectPath,
    text: &str,
) -> Result<ObjectPath, ToolError> {
    let (resource, index) = match text.rsplit_once('/') {
        Some(_) if named(catalog, base, text).is_some() => (text, None),
        Some((resource, index)) => (resource, Some(number(text, index)?)),
        None => (text, None),
    };
    let id = resource_id(catalog, text, base, resource.trim())?;
    let path = base.child(id).and_then(|path| index.map_or(Ok(path), |index| path.child(index)));
    path.map_err(|error| ToolError::usage(format!("{text}: {error}"), "RESOURCE=VALUE, such as 5701=Cel"))
}

fn number(text: &str, segment: &str) -> Result<u16, ToolError> {
    segment.parse().map_err(|_| {
        ToolError::usage(
            format!("{text}: \"{segment}\" is no number of an instance"),
            "a path such as /3/0/9",
        )
    })
}

fn object_id(catalog: &Catalog, text: &str, segment: &str) -> Result<u16, ToolError> {
    if let Ok(id) = segment.parse() {
        return Ok(id); // an object that the catalog does not know is the device's business
    }
    match catalog.object_by_name(segment) {
        Some(object) => Ok(object.id()),
        None => Err(ToolError::usage(
            format!("{text}: no object is called \"{segment}\""),
            nearest(segment, catalog.objects().map(|object| object.name())),
        )),
    }
}

fn resource_id(catalog: &Catalog, text: &str, base: ObjectPath, segment: &str) -> Result<u16, ToolError> {
    if let Ok(id) = segment.parse() {
        return Ok(id);
    }
    let object = base.object_id().and_then(|id| catalog.object(id, None));
    match named(catalog, base, segment) {
        Some(id) => Ok(id),
        None => Err(ToolError::usage(
            format!("{text}: no resource of {base} is called \"{segment}\""),
            object.map_or_else(|| "its number".to_owned(), |object| nearest_resource(segment, object)),
        )),
    }
}

/// The resource of this name below an instance.
fn named(catalog: &Catalog, base: ObjectPath, name: &str) -> Option<u16> {
    let object = catalog.object(base.object_id()?, None)?;
    object.resource_by_name(name).map(|resource| resource.id())
}

fn nearest_resource(name: &str, object: ObjectInfo<'_>) -> String {
    nearest(name, object.resources().map(|resource| resource.name()))
}

/// The known name that looks most like this one.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let wanted = name.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75)
        .map_or_else(|| "its number".to_owned(), |(_, known)| format!("\"{known}\""))
}

/// `Battery Level` for /3/0/9, `Device` for /3 and /3/0; "" when the catalog does not know.
pub(super) fn label(catalog: &Catalog, path: ObjectPath) -> String {
    let Some(object) = path.object_id() else { return String::new() };
    let name = match path.resource_id() {
        Some(resource) => catalog.resource(object, None, resource).map(|resource| resource.name()),
        None => catalog.object(object, None).map(|object| object.name()),
    };
    let name = name.unwrap_or_default();
    match path.resource_instance_id() {
        Some(index) if !name.is_empty() => format!("{name} [{index}]"),
        Some(_) | None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same_path() {
        let catalog = Catalog::core();
        for text in
            ["/3/0/9", "3/0/9/", "Device/0/Battery Level", "device/0/batterylevel", "3/0/Battery Level"]
        {
            assert_eq!(resolve(&catalog, text).expect(text).to_string(), "/3/0/9", "{text}");
        }
        assert_eq!(
            resolve(&catalog, "Temperature/0/Sensor Value").expect("a path").to_string(),
            "/3303/0/5700"
        );
        assert_eq!(resolve(&catalog, "Light Control/0/On/Off").expect("a path").to_string(), "/3311/0/5850");
        assert_eq!(resolve(&catalog, "/65000/1/2/3").expect("a path").to_string(), "/65000/1/2/3");
        let base = ObjectPath::parse("/3/0").expect("a path");
        let below = |text| resolve_below(&catalog, base, text).expect(text).to_string();
        assert_eq!(below("UTC Offset"), "/3/0/14");
        assert_eq!(below("7/1"), "/3/0/7/1");
    }

    #[test]
    fn a_wrong_name_brings_the_nearest_one() {
        let catalog = Catalog::core();
        let error = resolve(&catalog, "Device/0/Batery Levl").expect_err("no such name").to_string();
        assert!(error.ends_with("; try: \"Battery Level\""), "{error}");
        let error = resolve(&catalog, "Temprature").expect_err("no such name").to_string();
        assert!(error.ends_with("; try: \"Temperature\""), "{error}");
        for text in ["/3/x/9", "/3/0/9/0/1", "", "/65536", "/3/65535"] {
            assert!(resolve(&catalog, text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_have_labels() {
        let catalog = Catalog::core();
        let of = |text| label(&catalog, ObjectPath::parse(text).expect("a path"));
        assert_eq!(of("/3/0/9"), "Battery Level");
        assert_eq!(of("/3/0"), "Device");
        assert!(of("/3/0/7/1").ends_with(" [1]"));
        assert_eq!(of("/64999/0/1"), "");
    }
}
