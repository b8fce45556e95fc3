//! Values as people write them on a command line, in the type of the catalog.
use std::path::Path;

use lwm2m::catalog::Catalog;
use lwm2m::path::ObjectPath;
use lwm2m::value::{DataType, Value, base64};
use serde_json::Value as Json;

use crate::tools::ToolError;
use crate::tools::mqtt::pub_tool::read_file;
use crate::tools::terminal::{from_hex, unix_ms};

/// The type of `--type`.
pub(super) fn data_type(name: Option<&str>) -> Result<Option<DataType>, ToolError> {
    let Some(name) = name else { return Ok(None) };
    match DataType::from_name(name) {
        Some(data_type) => Ok(Some(data_type)),
        None => Err(ToolError::usage(
            format!("--type {name} is no type"),
            DataType::ALL.map(DataType::name).join(", "),
        )),
    }
}

/// A value for JSON. The catalog's type wins over `given`; without either, what looks like JSON's numbers and
/// booleans is one.
pub(super) fn parse(
    catalog: &Catalog,
    path: ObjectPath,
    text: &str,
    given: Option<DataType>,
) -> Result<(Json, Option<DataType>), ToolError> {
    let known = path
        .object_id()
        .zip(path.resource_id())
        .and_then(|(object, resource)| catalog.resource(object, None, resource)?.data_type());
    let data_type = known.or(given);
    if let Some(file) = text.strip_prefix('@') {
        let bytes = read_file(Path::new(file))?;
        let json = match (data_type, String::from_utf8(bytes)) {
            (Some(DataType::Opaque) | None, Ok(text)) => Json::from(base64::encode(text.as_bytes())),
            (Some(_), Ok(text)) => Json::from(text),
            (Some(DataType::Opaque) | None, Err(error)) => Json::from(base64::encode(error.as_bytes())),
            (Some(other), Err(_)) => {
                return Err(ToolError::usage(
                    format!("{file} holds bytes, and {path} is {}", other.name()),
                    "",
                ));
            }
        };
        return Ok((json, data_type.or(Some(DataType::Opaque))));
    }
    let Some(data_type) = data_type else {
        let json = match serde_json::from_str::<Json>(text) {
            Ok(value @ (Json::Number(_) | Json::Bool(_))) => value,
            Ok(_) | Err(_) => Json::from(text),
        };
        return Ok((json, None));
    };
    let written = match (data_type, text.to_ascii_lowercase().as_str()) {
        (DataType::Boolean, "on" | "yes") => Json::Bool(true),
        (DataType::Boolean, "off" | "no") => Json::Bool(false),
        (DataType::Time, "now") => Json::from(unix_ms() / 1000),
        (DataType::Opaque, hex) if hex.starts_with("hex:") => match from_hex(&hex["hex:".len()..]) {
            Some(bytes) => Json::from(base64::encode(&bytes)),
            None => return Err(ToolError::usage(format!("{path}: {text} is no hex"), "hex:00ff")),
        },
        (_, _) => Json::from(text),
    };
    match Value::from_json(&written, Some(data_type)) {
        Ok(value) => Ok((value.to_json(), Some(data_type))),
        Err(error) => Err(ToolError::usage(format!("{path}: {error}"), example(data_type))),
    }
}

fn example(data_type: DataType) -> &'static str {
    match data_type {
        DataType::String => "any text",
        DataType::Integer => "a whole number, such as 60",
        DataType::UnsignedInteger => "a whole number from 0",
        DataType::Float => "a number, such as 21.5",
        DataType::Boolean => "true or false",
        DataType::Opaque => "base64, hex:00ff or @FILE",
        DataType::Time => "seconds since 1970, or now",
        DataType::Objlnk => "OBJECT:INSTANCE, such as 66:0",
        DataType::Corelnk => "</3/0>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(path: &str, text: &str) -> Result<String, ToolError> {
        let path = ObjectPath::parse(path).expect("a path");
        parse(&Catalog::core(), path, text, None).map(|(json, _)| json.to_string())
    }

    #[test]
    fn values_have_the_type_of_the_catalog() {
        for (path, text, value) in [
            ("/3/0/14", "+02:00", "\"+02:00\""),
            ("/3/0/14", "7", "\"7\""),
            ("/1/0/1", "60", "60"),
            ("/3303/0/5601", "-1.50", "-1.50"),
            ("/3311/0/5850", "on", "true"),
            ("/3311/0/5850", "false", "false"),
            ("/5/0/0", "hex:00FF", "\"AP8=\""),
            ("/64999/0/1", "7", "7"),
            ("/64999/0/1", "seven", "\"seven\""),
        ] {
            assert_eq!(json(path, text).as_deref(), Ok(value), "{path} {text}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_before_it_is_sent() {
        for (path, text) in
            [("/1/0/1", "soon"), ("/3311/0/5850", "perhaps"), ("/5/0/0", "hex:0"), ("/1/0/1", "1.5")]
        {
            let error = json(path, text).expect_err(text).to_string();
            assert!(error.contains(path) && error.contains("; try: "), "{error}");
        }
        assert!(data_type(Some("number")).is_err());
        assert_eq!(data_type(Some("unsigned")), Ok(Some(DataType::UnsignedInteger)));
    }
}
