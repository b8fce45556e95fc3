//! Members that both forms have, under whatever name: paths, flags, numbers, attributes, firmware sources. Every
//! error names the member, for the `Reason` of the answer.
use super::{ATTRIBUTES, AttributeChange, FirmwareOrder, FirmwareSource, Operation, TypeOf, WriteMode};
use crate::content::Entry;
use crate::limits::{COMMAND_ATTRIBUTES_MAX, COMMAND_TTL_S_MAX, ENTRIES_MAX, EXECUTE_BYTES_MAX, excerpt};
use crate::path::ObjectPath;
use crate::value::DataType;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A path of 1 to 4 segments in the member `name`.
pub(super) fn path(name: &str, json: &Json) -> Result<ObjectPath, String> {
    let text = json.as_str().ok_or_else(|| format!("{name} is missing or not a text"))?;
    ObjectPath::parse(text).map_err(|error| format!("{name} {error}"))
}

/// The paths of a composite operation; "/" is everything.
pub(super) fn paths(name: &str, json: &Json) -> Result<Vec<ObjectPath>, String> {
    let items = json.as_array().ok_or_else(|| format!("{name} is missing or not a list of paths"))?;
    if items.is_empty() || items.len() > ENTRIES_MAX {
        return Err(format!("{name} has {} paths: 1 to {ENTRIES_MAX} are possible", items.len()));
    }
    let one = |item: &Json| match item.as_str() {
        Some(text) => ObjectPath::parse_composite(text).map_err(|error| format!("{name} {error}")),
        None => Err(format!("{name} has an item that is not a text")),
    };
    items.iter().map(one).collect()
}

/// Only object instances can be deleted, and resource instances from 1.2 on.
pub(super) fn deletable(path: ObjectPath, name: &str) -> Result<ObjectPath, String> {
    if path.depth() == 2 || path.depth() == 4 {
        Ok(path)
    } else {
        Err(format!("{name} {path}: only an object instance (or a resource instance) can be deleted"))
    }
}

/// Only resources run.
pub(super) fn executable(path: ObjectPath, name: &str) -> Result<ObjectPath, String> {
    if path.depth() == 3 { Ok(path) } else { Err(format!("{name} {path}: only a resource can be executed")) }
}

/// A member that is true or false; `default` when absent.
pub(super) fn flag(name: &str, json: &Json, default: bool) -> Result<bool, String> {
    match json {
        Json::Null => Ok(default),
        Json::Bool(value) => Ok(*value),
        Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            Err(format!("{name} is true or false"))
        }
    }
}

/// Resource → PUT, instance and object → POST, unless the asker says otherwise.
pub(super) fn mode(name: &str, json: &Json, path: ObjectPath) -> Result<WriteMode, String> {
    match json {
        Json::Null if path.depth() >= 3 => Ok(WriteMode::Replace),
        Json::Null => Ok(WriteMode::Update),
        Json::String(mode) if mode == "replace" => Ok(WriteMode::Replace),
        Json::String(mode) if mode == "update" => Ok(WriteMode::Update),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            Err(format!(r#"{name} is "replace" or "update""#))
        }
    }
}

/// A member in whole seconds.
pub(super) fn seconds(name: &str, json: &Json, least: u64) -> Result<Option<u64>, String> {
    let wrong = || format!("{name} is not a whole number of seconds from {least} to {COMMAND_TTL_S_MAX}");
    let number = match json {
        Json::Null => return Ok(None),
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.parse().ok(),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    };
    number.filter(|seconds| (least..=COMMAND_TTL_S_MAX).contains(seconds)).map(Some).ok_or_else(wrong)
}

/// A Content-Format number.
pub(super) fn accept(name: &str, json: &Json) -> Result<Option<u16>, String> {
    match json {
        Json::Null => Ok(None),
        Json::Number(_) | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            let number = json.as_u64().and_then(|number| u16::try_from(number).ok());
            number.map(Some).ok_or_else(|| format!("{name} is not a Content-Format number from 0 to 65535"))
        }
    }
}

/// Execute arguments: digits, each with a quoted text or without, and commas between them (LwM2M 1.0 §5.4.5, 1.1.1
/// Core §6.3.5). EMQX's clients write "undefined" for none.
pub(super) fn arguments(name: &str, json: &Json) -> Result<String, String> {
    let text = match json {
        Json::Null => return Ok(String::new()),
        Json::String(text) if text == "undefined" => return Ok(String::new()),
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => return Err(format!("{name} is not a text")),
    };
    if text.len() > EXECUTE_BYTES_MAX {
        return Err(format!("{name} has {} bytes: at most {EXECUTE_BYTES_MAX}", text.len()));
    }
    match argument_fault(&text) {
        None => Ok(text),
        Some(rest) => Err(format!(
            "{name}: \"{}\" is not a digit, or a digit='text', with commas between them: 0='on',5",
            excerpt(rest)
        )),
    }
}

/// What does not fit the grammar of Execute arguments, from there on.
///
/// Interpretation: between the quotes anything goes but quotes and control characters; devices judge the rest.
fn argument_fault(text: &str) -> Option<&str> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    // Each round takes at least a digit, so it ends.
    loop {
        let argument = rest;
        let after = rest.strip_prefix(|c: char| c.is_ascii_digit());
        let Some(mut after) = after else { return Some(argument) };
        if let Some(quoted) = after.strip_prefix("='") {
            let Some((value, behind)) = quoted.split_once('\'') else { return Some(argument) };
            if value.contains(char::is_control) {
                return Some(argument);
            }
            after = behind;
        }
        if after.is_empty() {
            return None;
        }
        let Some(next) = after.strip_prefix(',') else { return Some(argument) };
        rest = next;
    }
}

/// A firmware command, from the members that name a file or a URI.
pub(super) fn firmware(
    names: [&str; 2],
    file: &Json,
    uri: &Json,
    update: bool,
    cancel: bool,
) -> Result<Operation, String> {
    let [file_name, uri_name] = names;
    let source = match (file, uri) {
        (Json::Null, Json::Null) if cancel => return Ok(Operation::Firmware(FirmwareOrder::Cancel)),
        (Json::String(file), Json::Null) => {
            let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
            if !plain {
                let file = excerpt(file);
                return Err(format!(
                    r#"{file_name} "{file}" is not a plain file name in lwm2m.firmware_dir"#
                ));
            }
            FirmwareSource::File(file.clone())
        }
        // The Package URI is a text of 0 to 255 bytes (object 5, resource 1).
        (Json::Null, Json::String(uri)) if uri.len() <= 255 && uri.contains("://") => {
            FirmwareSource::Uri(uri.clone())
        }
        (Json::Null, Json::String(_)) => return Err(format!("{uri_name} is no URI of at most 255 bytes")),
        _ => return Err(format!("one of {file_name} and {uri_name} is needed, as a text")),
    };
    Ok(Operation::Firmware(FirmwareOrder::Load { source, update }))
}

/// One attribute with a value that fits it, or `None` to unset.
pub(super) fn attribute(name: &str, value: Option<&str>) -> Result<AttributeChange, String> {
    let Some(name) = ATTRIBUTES.iter().copied().find(|known| *known == name) else {
        let name = excerpt(name);
        return Err(format!(r#"unknown attribute "{name}"; known: {}"#, ATTRIBUTES.join(", ")));
    };
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(AttributeChange { name, value: None });
    };
    let digits = value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit());
    let (fits, rule) = match name {
        "pmin" | "pmax" | "epmin" | "epmax" | "hqmax" => (digits, "a whole number from 0 on"),
        "con" | "edge" => (value == "0" || value == "1", "0 or 1"),
        "st" => (is_decimal(value) && !value.starts_with('-'), "a number from 0 on"),
        _ => (is_decimal(value), "a number"), // gt and lt
    };
    if !fits {
        return Err(format!(r#"{name} "{}" is not {rule}"#, excerpt(value)));
    }
    Ok(AttributeChange { name, value: Some(value.to_owned()) })
}

/// At least one attribute, none twice, not more than there are.
pub(super) fn checked_attributes(changes: Vec<AttributeChange>) -> Result<Vec<AttributeChange>, String> {
    if changes.is_empty() {
        return Err("no attribute is named".into());
    }
    if changes.len() > COMMAND_ATTRIBUTES_MAX {
        return Err(format!("{} attributes are too many", changes.len()));
    }
    for (at, change) in changes.iter().enumerate() {
        if changes.iter().take(at).any(|earlier| earlier.name == change.name) {
            return Err(format!("{} is named twice", change.name));
        }
    }
    Ok(changes)
}

/// Digits, one point, a sign, an exponent: what JSON calls a number, and finite.
fn is_decimal(text: &str) -> bool {
    text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_digit() || b".-+eE".contains(&b))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The type that a value is read in: the catalog's, else the one given.
pub(super) fn type_at(path: ObjectPath, given: Option<DataType>, type_of: TypeOf<'_>) -> Option<DataType> {
    if path.depth() < 3 {
        return given;
    }
    type_of(path.ancestor(3)).or(given)
}

/// Values in the order of their first mention. A later one of the same place replaces an earlier one, as EMQX does;
/// it is found by its path and not by looking through all (hostile L27, L28).
#[derive(Debug, Default)]
pub(super) struct Placed {
    entries: Vec<Entry>,
    places: BTreeMap<ObjectPath, usize>,
}

impl Placed {
    pub(super) fn put(&mut self, entry: Entry) {
        let known = self.places.get(&entry.path).and_then(|place| self.entries.get_mut(*place));
        match known {
            Some(earlier) => *earlier = entry,
            None => {
                self.places.insert(entry.path, self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

/// A Create below `base`, an object or a named instance. `values` reads the values below a path.
pub(super) fn create(
    base: ObjectPath,
    without_id: bool,
    name: &str,
    values: impl Fn(ObjectPath) -> Result<Vec<Entry>, String>,
) -> Result<Operation, String> {
    let object = base.ancestor(1);
    match (base.depth(), without_id) {
        (1, true) => {
            let relative = object.child(0).map_err(|error| error.to_string())?;
            Ok(Operation::Create { object, instance: None, entries: values(relative)? })
        }
        (1, false) => {
            // Several instances may be made at once (LwM2M 1.0 §5.4.7): the values say which.
            let entries = values(base)?;
            let instance = entries.first().and_then(|entry| entry.path.instance_id());
            Ok(Operation::Create { object, instance, entries })
        }
        (2, false) => Ok(Operation::Create { object, instance: base.instance_id(), entries: values(base)? }),
        _ => Err(format!("{name} {base}: Create takes an object, or an instance of one")),
    }
}
