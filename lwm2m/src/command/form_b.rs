//! Generation B: `{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}`.
use super::answer::Answer;
use super::envelope::{Asker, Fields};
use super::members::{
    Placed, accept, arguments, attribute, checked_attributes, create, deletable, executable, firmware, flag,
    mode, path, paths, seconds, type_at,
};
use super::{ATTRIBUTES, AttributeChange, Command, Operation, TypeOf};
use crate::coap::Code;
use crate::content::Entry;
use crate::limits::{COMMAND_QUERY_BYTES_MAX, ENTRIES_MAX, excerpt};
use crate::path::ObjectPath;
use crate::value::{DataType, Value};
use serde_json::{Map, Value as Json};

/// Every `msgType` of form B that is a command.
const KNOWN: &str = "read, write, execute, discover, write-attr, create, delete, observe, cancel-observe, \
                     read-composite, write-composite, observe-composite, cancel-observe-composite, deregister, \
                     firmware";

/// Reads the members of a form B command.
pub(super) fn read(asker: Asker, fields: &Fields, type_of: TypeOf<'_>) -> Result<Command, Box<Answer>> {
    let refuse = |asker, reason: String| Box::new(Answer::failed(asker, Code::BAD_REQUEST, reason));
    let Some(name) = asker.operation() else {
        return Err(refuse(asker, "msgType is missing or not a text".into()));
    };
    let data = match fields.json("data") {
        Json::Object(data) => data,
        Json::Null => Map::new(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            return Err(refuse(asker, "data is not an object".into()));
        }
    };
    let hex = fields.json("encoding").as_str() == Some("hex");
    let operation = match (Data { data: &data, hex, type_of }).operation(&name) {
        Ok(Some(operation)) => operation,
        Ok(None) => {
            let reason = format!("unknown msgType; known: {KNOWN}");
            return Err(Box::new(Answer::bad_command(asker, reason)));
        }
        Err(reason) => return Err(refuse(asker, reason)),
    };
    let options = || -> Result<_, String> {
        Ok((
            ttl(fields)?,
            seconds("timeout", &fields.json("timeout"), 1)?,
            accept("accept", &fields.json("accept"))?,
        ))
    };
    match options() {
        Ok((ttl, timeout, accept)) => Ok(Command { asker, operation, ttl, timeout, accept }),
        Err(reason) => Err(refuse(asker, reason)),
    }
}

/// A value in hex: bytes as they are to be stored, so only for types that are bytes.
fn hex(text: &str, data_type: Option<DataType>) -> Result<Value, String> {
    let value = Value::from_hex(text).map_err(|error| error.to_string())?;
    match (data_type, value) {
        (None | Some(DataType::Opaque), value) => Ok(value),
        (Some(DataType::String), Value::Opaque(bytes)) => String::from_utf8(bytes.to_vec())
            .map(Value::String)
            .map_err(|_| "the hex of a String is not UTF-8".to_owned()),
        (Some(other), _) => Err(format!("hex is for Opaque and String, this is {other}")),
    }
}

/// `ttl`, or EMQX's `mheaders.ttl`.
fn ttl(fields: &Fields) -> Result<Option<u64>, String> {
    if let Some(ttl) = seconds("ttl", &fields.json("ttl"), 0)? {
        return Ok(Some(ttl));
    }
    match fields.json("mheaders") {
        Json::Object(headers) => seconds("mheaders.ttl", headers.get("ttl").unwrap_or(&Json::Null), 0),
        Json::Null => Ok(None),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err("mheaders is not an object".into())
        }
    }
}

/// The member `data` and how its values are to be read.
struct Data<'a> {
    data: &'a Map<String, Json>,
    hex: bool,
    type_of: TypeOf<'a>,
}

impl Data<'_> {
    fn operation(&self, name: &str) -> Result<Option<Operation>, String> {
        let paths = || paths("paths", self.member("paths"));
        let operation = match name {
            "read" => {
                let (path, query) = self.path_and_query()?;
                Operation::Read { path, query }
            }
            "discover" => {
                let (path, query) = self.path_and_query()?;
                Operation::Discover { path, query }
            }
            "observe" => Operation::Observe { path: self.path()? },
            "cancel-observe" => Operation::CancelObserve { path: self.path()? },
            "delete" => Operation::Delete { path: deletable(self.path()?, "path")? },
            "write" => self.write()?,
            "write-attr" => self.write_attributes()?,
            "execute" => {
                let path = executable(self.path()?, "path")?;
                Operation::Execute { path, arguments: arguments("args", self.member("args"))? }
            }
            "create" => {
                let base = path("basePath", self.either("basePath", "path"))?;
                let without_id = flag("withoutId", self.member("withoutId"), false)?;
                create(base, without_id, "basePath", |at| self.content(at))?
            }
            "read-composite" => Operation::ReadComposite { paths: paths()? },
            "observe-composite" => Operation::ObserveComposite { paths: paths()? },
            "cancel-observe-composite" => Operation::CancelObserveComposite { paths: paths()? },
            "write-composite" => {
                let entries = self.content(ObjectPath::ROOT)?;
                if entries.is_empty() {
                    return Err("content is missing or empty".into());
                }
                Operation::WriteComposite { entries, atomic: flag("atomic", self.member("atomic"), true)? }
            }
            "deregister" => Operation::Deregister,
            "firmware" => {
                let update = flag("update", self.member("update"), true)?;
                let cancel = flag("cancel", self.member("cancel"), false)?;
                firmware(["file", "uri"], self.member("file"), self.member("uri"), update, cancel)?
            }
            _ => return Ok(None), // not an enum: a name somebody made up
        };
        Ok(Some(operation))
    }

    fn member(&self, name: &str) -> &Json {
        self.data.get(name).unwrap_or(&Json::Null)
    }

    fn either(&self, first: &str, second: &str) -> &Json {
        self.data.get(first).unwrap_or_else(|| self.member(second))
    }

    fn path(&self) -> Result<ObjectPath, String> {
        self.path_and_query().map(|(path, _)| path)
    }

    fn path_and_query(&self) -> Result<(ObjectPath, Option<String>), String> {
        let text = match self.either("path", "basePath") {
            Json::String(text) => text,
            Json::Null => return Err("path is missing".into()),
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                return Err("path is not a text".into());
            }
        };
        let (bare, query) = match text.split_once('?') {
            Some((bare, query)) => (bare, Some(query).filter(|query| !query.is_empty())),
            None => (text.as_str(), None),
        };
        let path = ObjectPath::parse(bare).map_err(|error| format!("path {error}"))?;
        if query.is_some_and(|query| query.len() > COMMAND_QUERY_BYTES_MAX) {
            return Err(format!("the query of path has more than {COMMAND_QUERY_BYTES_MAX} bytes"));
        }
        Ok((path, query.map(str::to_owned)))
    }

    fn write(&self) -> Result<Operation, String> {
        let (base, entries) = match self.data.get("content") {
            None => {
                let path = self.path()?;
                if path.depth() < 3 {
                    return Err(format!(
                        "path {path} is no resource: name one, or use basePath with content"
                    ));
                }
                (path, vec![self.entry("", path, self.data)?])
            }
            Some(_) => {
                let base = path("basePath", self.either("basePath", "path"))?;
                (base, self.content(base)?)
            }
        };
        if entries.is_empty() {
            return Err("content is empty".into());
        }
        Ok(Operation::Write { path: base, mode: mode("mode", self.member("mode"), base)?, entries })
    }

    /// The list `content`, with paths made absolute below `base`.
    fn content(&self, base: ObjectPath) -> Result<Vec<Entry>, String> {
        let items = match self.member("content") {
            Json::Null => return Ok(Vec::new()),
            Json::Array(items) => items,
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => {
                return Err("content is not a list".into());
            }
        };
        if items.len() > ENTRIES_MAX {
            return Err(format!("content has {} items: at most {ENTRIES_MAX}", items.len()));
        }
        let mut placed = Placed::default();
        for (n, item) in items.iter().enumerate() {
            let item = item.as_object().ok_or_else(|| format!("content[{n}] is not an object"))?;
            let relative = match item.get("path") {
                None => "",
                Some(Json::String(text)) => text,
                Some(_) => return Err(format!("content[{n}].path is not a text")),
            };
            let path = base.join(relative).map_err(|error| format!("content[{n}].path {error}"))?;
            if path.depth() < 3 {
                return Err(format!("content[{n}].path {path} is no resource"));
            }
            placed.put(self.entry(&format!("content[{n}] "), path, item)?);
        }
        Ok(placed.into_entries())
    }

    fn entry(&self, at: &str, path: ObjectPath, item: &Map<String, Json>) -> Result<Entry, String> {
        let value = item.get("value").ok_or_else(|| format!("{at}{path}: value is missing"))?;
        let given = match item.get("type") {
            None | Some(Json::Null) => None,
            Some(Json::String(name)) => Some(DataType::from_name(name).ok_or_else(|| {
                let known: Vec<&str> = DataType::ALL.iter().map(|t| t.name()).collect();
                format!(r#"{at}{path}: unknown type "{}"; known: {}"#, excerpt(name), known.join(", "))
            })?),
            Some(_) => return Err(format!("{at}{path}: type is not a text")),
        };
        let known = type_at(path, given, self.type_of);
        if self.hex {
            let text = value.as_str().ok_or_else(|| format!("{at}{path}: a hex value is a text"))?;
            return Ok(Entry::new(path, hex(text, known).map_err(|reason| format!("{at}{path}: {reason}"))?));
        }
        // The catalog's type wins where the value converts, else the asker's own: devices differ from catalogs.
        let read = Value::from_json(value, known).or_else(|error| match given {
            Some(_) if given != known => Value::from_json(value, given).map_err(|_| error),
            Some(_) | None => Err(error),
        });
        let value = read.map_err(|error| format!("{at}{path}: {error}"))?;
        Ok(Entry::new(path, value))
    }

    /// null leaves an attribute alone (EMQX's clients send one for each that they do not mean), "" unsets it.
    fn write_attributes(&self) -> Result<Operation, String> {
        let path = self.path()?;
        let mut changes: Vec<AttributeChange> = Vec::new();
        for (name, json) in self.data.iter().filter(|(name, _)| *name != "path" && *name != "basePath") {
            match json {
                Json::Null if ATTRIBUTES.contains(&name.as_str()) => {}
                Json::String(text) => changes.push(attribute(name, Some(text))?),
                Json::Number(number) => changes.push(attribute(name, Some(&number.to_string()))?),
                Json::Bool(value) => changes.push(attribute(name, Some(if *value { "1" } else { "0" }))?),
                Json::Null | Json::Array(_) | Json::Object(_) => {
                    attribute(name, None)?; // an unknown name is told first
                    return Err(format!("{name} is not a number or text"));
                }
            }
        }
        Ok(Operation::WriteAttributes { path, attributes: checked_attributes(changes)? })
    }
}
