//! Generation A: `{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}`.
use super::answer::Answer;
use super::envelope::{Asker, Fields};
use super::members::{
    Placed, accept, arguments, attribute, checked_attributes, create, deletable, executable, firmware, flag,
    mode, path, paths, seconds, type_at,
};
use super::{AttributeChange, Command, Operation, TypeOf};
use crate::coap::Code;
use crate::content::Entry;
use crate::limits::ENTRIES_MAX;
use crate::path::ObjectPath;
use crate::value::Value;
use serde_json::{Map, Value as Json};

/// Every `Command` of form A.
const KNOWN: &str = "Read, Write, Execute, Discover, Write-Attributes, Create, Delete, Observe, Cancel-Observe, \
                     Read-Composite, Write-Composite, Observe-Composite, Cancel-Observe-Composite, Deregister, \
                     Firmware";

/// Reads the members of a form A command.
pub(super) fn read(asker: Asker, fields: &Fields, type_of: TypeOf<'_>) -> Result<Command, Box<Answer>> {
    let refuse = |asker, reason: String| Box::new(Answer::failed(asker, Code::BAD_REQUEST, reason));
    let Some(name) = asker.operation() else {
        return Err(refuse(asker, "Command is not a text".into()));
    };
    let operation = match operation(&name, fields, type_of) {
        Ok(Some(operation)) => operation,
        Ok(None) => {
            let reason = format!("unknown Command; known: {KNOWN}");
            return Err(Box::new(Answer::bad_command(asker, reason)));
        }
        Err(reason) => return Err(refuse(asker, reason)),
    };
    let options = || -> Result<_, String> {
        Ok((
            seconds("TTL", &fields.json("TTL"), 0)?,
            seconds("Timeout", &fields.json("Timeout"), 1)?,
            accept("Accept", &fields.json("Accept"))?,
        ))
    };
    match options() {
        Ok((ttl, timeout, accept)) => Ok(Command { asker, operation, ttl, timeout, accept }),
        Err(reason) => Err(refuse(asker, reason)),
    }
}

fn operation(name: &str, fields: &Fields, type_of: TypeOf<'_>) -> Result<Option<Operation>, String> {
    let base_names = || paths("BaseNames", &fields.json("BaseNames"));
    let operation = match name {
        "Read" => Operation::Read { path: base_name(fields)?, query: None },
        "Discover" => Operation::Discover { path: base_name(fields)?, query: None },
        "Observe" => Operation::Observe { path: base_name(fields)? },
        "Cancel-Observe" => Operation::CancelObserve { path: base_name(fields)? },
        "Delete" => Operation::Delete { path: deletable(base_name(fields)?, "BaseName")? },
        "Write" => write(fields, type_of)?,
        "Write-Attributes" => {
            let path = base_name(fields)?;
            let text = fields.json("Value");
            let text = text.as_str().ok_or(r#"Value is not a text like "pmin=5&pmax=60""#)?;
            Operation::WriteAttributes { path, attributes: attributes(text)? }
        }
        "Execute" => {
            let path = executable(base_name(fields)?, "BaseName")?;
            Operation::Execute { path, arguments: arguments("Arguments", &fields.json("Arguments"))? }
        }
        "Create" => {
            let value = fields.json("Value");
            let base = match value.get("bn") {
                Some(bn) => path("Value.bn", bn)?,
                None => base_name(fields)?,
            };
            let without_id = flag("WithoutID", &fields.json("WithoutID"), false)?;
            create(base, without_id, "Value.bn", |at| elements_below(at, &value, type_of))?
        }
        "Read-Composite" => Operation::ReadComposite { paths: base_names()? },
        "Observe-Composite" => Operation::ObserveComposite { paths: base_names()? },
        "Cancel-Observe-Composite" => Operation::CancelObserveComposite { paths: base_names()? },
        "Write-Composite" => {
            let value = fields.json("Value");
            let base = match value.get("bn") {
                Some(Json::String(text)) => {
                    ObjectPath::parse_composite(text).map_err(|error| format!("Value.bn {error}"))?
                }
                Some(_) => return Err("Value.bn is not a text".into()),
                None => ObjectPath::ROOT,
            };
            let entries = some(elements_below(base, &value, type_of)?)?;
            Operation::WriteComposite { entries, atomic: flag("Atomic", &fields.json("Atomic"), true)? }
        }
        "Deregister" => Operation::Deregister,
        "Firmware" => {
            let update = flag("Update", &fields.json("Update"), true)?;
            let cancel = flag("Cancel", &fields.json("Cancel"), false)?;
            firmware(["File", "Uri"], &fields.json("File"), &fields.json("Uri"), update, cancel)?
        }
        _ => return Ok(None), // not an enum: a name somebody made up
    };
    Ok(Some(operation))
}

fn base_name(fields: &Fields) -> Result<ObjectPath, String> {
    path("BaseName", &fields.json("BaseName"))
}

/// A query text of attributes: "pmin=5&pmax" sets one and unsets the other.
fn attributes(text: &str) -> Result<Vec<AttributeChange>, String> {
    let changes: Result<Vec<AttributeChange>, String> = text
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((name, value)) => attribute(name, Some(value)),
            None => attribute(part, None),
        })
        .collect();
    checked_attributes(changes?)
}

fn write(fields: &Fields, type_of: TypeOf<'_>) -> Result<Operation, String> {
    let value = fields.json("Value");
    let base = match value.get("bn") {
        Some(bn) => path("Value.bn", bn)?,
        None => base_name(fields)?,
    };
    let entries = some(elements_below(base, &value, type_of)?)?;
    Ok(Operation::Write { path: base, mode: mode("Mode", &fields.json("Mode"), base)?, entries })
}

fn some(entries: Vec<Entry>) -> Result<Vec<Entry>, String> {
    if entries.is_empty() { Err("Value.e has no element".into()) } else { Ok(entries) }
}

/// The elements of `Value.e`, with absolute paths.
fn elements_below(base: ObjectPath, value: &Json, type_of: TypeOf<'_>) -> Result<Vec<Entry>, String> {
    if !value.is_object() && !value.is_null() {
        return Err("Value is not an object with bn and e".into());
    }
    let elements = match value.get("e") {
        Some(Json::Array(elements)) => elements.as_slice(),
        None => &[],
        Some(_) => return Err("Value.e is not a list".into()),
    };
    if elements.len() > ENTRIES_MAX {
        return Err(format!("Value.e has {} elements: at most {ENTRIES_MAX}", elements.len()));
    }
    let mut placed = Placed::default();
    for (n, element) in elements.iter().enumerate() {
        placed.put(one(base, n, element, type_of)?);
    }
    Ok(placed.into_entries())
}

fn one(base: ObjectPath, n: usize, element: &Json, type_of: TypeOf<'_>) -> Result<Entry, String> {
    let map: &Map<String, Json> =
        element.as_object().ok_or_else(|| format!("Value.e[{n}] is not an object"))?;
    let name = match map.get("n") {
        None => "",
        Some(Json::String(text)) => text,
        Some(_) => return Err(format!("Value.e[{n}].n is not a text")),
    };
    let path = base.join(name).map_err(|error| format!("Value.e[{n}].n {error}"))?;
    if path.depth() < 3 {
        return Err(format!("Value.e[{n}]: {path} is no resource; n is missing or too short"));
    }
    let value = Value::from_json_element(map, type_at(path, None, type_of))
        .map_err(|error| format!("Value.e[{n}] {path}: {error}"))?;
    Ok(Entry::new(path, value))
}
