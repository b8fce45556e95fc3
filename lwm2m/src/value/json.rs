//! Values in the two JSON generations that people use over MQTT.
//!
//! Generation B (`reqID/msgType/data`) carries one `value`; generation A (`CmdID/Command`) has an element
//! with one of the keys `v` (number), `sv` (text), `bv` (boolean), `ov` (object link), as LwM2M JSON
//! (1.0 §6.4.4). Numbers keep all their digits: `serde_json` runs with arbitrary precision.
#![deny(clippy::indexing_slicing)]

use serde_json::{Map, Number, Value as Json};

use super::{DataType, Decimal, Float, Value, ValueError, ValueFault, base64};
use crate::limits::excerpt;

impl Value {
    /// The value of generation B: numbers with all their digits, "NaN" and "±Infinity" as text, Opaque in
    /// base 64, Objlnk as "66:0".
    pub fn to_json(&self) -> Json {
        match self {
            Value::Integer(v) | Value::Time(v) => Json::from(*v),
            Value::Unsigned(v) => Json::from(*v),
            Value::Number(number) => decimal_json(number),
            Value::Float(float) => float_json(float),
            Value::Boolean(v) => Json::from(*v),
            Value::String(text) | Value::Corelnk(text) => Json::from(text.as_str()),
            Value::Opaque(bytes) => Json::from(base64::encode(bytes)),
            Value::Objlnk(..) => Json::from(self.to_text()),
        }
    }

    /// Key and value of a generation A element: `("v", 15)`, `("sv", "ACME")`, `("bv", true)`,
    /// `("ov", "66:0")`. NaN and the infinities stay under `v`, as text.
    pub fn to_json_element(&self) -> (&'static str, Json) {
        let key = match self {
            Value::Integer(_) | Value::Time(_) | Value::Unsigned(_) | Value::Number(_) | Value::Float(_) => {
                "v"
            }
            Value::Boolean(_) => "bv",
            Value::String(_) | Value::Corelnk(_) | Value::Opaque(_) => "sv",
            Value::Objlnk(..) => "ov",
        };
        (key, self.to_json())
    }

    /// What a person wrote as generation B's `value`. With a type, the value must convert into it; without
    /// one, JSON decides: integer → Integer, other number → Float, text → String, true → Boolean.
    pub fn from_json(json: &Json, data_type: Option<DataType>) -> Result<Value, ValueError> {
        let value = match json {
            Json::Bool(value) => Value::Boolean(*value),
            Json::Number(number) => from_number(number, data_type)?,
            Json::String(text) => Value::String(text.clone()),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                let data_type = data_type.unwrap_or(DataType::String);
                return Err(ValueError::new(data_type, json_kind(json), ValueFault::NotA));
            }
        };
        match data_type {
            Some(data_type) => value.into_type(data_type),
            None => match value {
                Value::Number(number) => Ok(Value::Float(number.into())),
                other @ (Value::Integer(_)
                | Value::Unsigned(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::String(_)
                | Value::Opaque(_)
                | Value::Time(_)
                | Value::Objlnk(..)
                | Value::Corelnk(_)) => Ok(other),
            },
        }
    }

    /// What a person wrote as generation A's element: one of `v`, `sv`, `bv`, `ov`, or `t`, a time. Without
    /// a type, the key decides.
    pub fn from_json_element(
        element: &Map<String, Json>,
        data_type: Option<DataType>,
    ) -> Result<Value, ElementError> {
        let mut found = ["v", "sv", "bv", "ov"].iter().filter_map(|key| Some((*key, element.get(*key)?)));
        let (key, json) = match found.next() {
            Some(first) => first,
            None => ("t", element.get("t").ok_or(ElementError::NoValue)?),
        };
        if found.next().is_some() {
            return Err(ElementError::TwoValues);
        }
        let by_key = match key {
            "bv" => Some(DataType::Boolean),
            "ov" => Some(DataType::Objlnk),
            "t" => Some(DataType::Time),
            _ => None, // "v" and "sv" leave it to the JSON value
        };
        Value::from_json(json, data_type.or(by_key)).map_err(ElementError::Value)
    }

    /// The bytes of a hex text (EMQX's `"encoding":"hex"`), as Opaque. Odd or non-hex text is an error.
    pub fn from_hex(text: &str) -> Result<Value, ValueError> {
        let fault = || ValueError {
            data_type: DataType::Opaque,
            value: format!("hex \"{}\"", excerpt(text)),
            fault: ValueFault::NotA,
        };
        if !text.len().is_multiple_of(2) {
            return Err(fault());
        }
        let nibble = |b: &u8| char::from(*b).to_digit(16).map(|n| n as u8);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None, // the length is even, so there is no such pair
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.map(|bytes| Value::Opaque(bytes.into())).ok_or_else(fault)
    }
}

/// Why a generation A element has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementError {
    /// None of the value keys is there.
    NoValue,
    /// More than one is.
    TwoValues,
    /// The value does not fit its type.
    Value(ValueError),
}

impl std::fmt::Display for ElementError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ElementError::NoValue => f.write_str("an element needs one of v, sv, bv, ov"),
            ElementError::TwoValues => f.write_str("an element has only one of v, sv, bv, ov"),
            ElementError::Value(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ElementError {}

/// A JSON number in its exact digits; an error names the type that was asked for.
fn from_number(number: &Number, data_type: Option<DataType>) -> Result<Value, ValueError> {
    Value::from_number_text(number.as_str()).map_err(|error| ValueError {
        data_type: data_type.unwrap_or(error.data_type),
        value: error.value,
        fault: error.fault,
    })
}

fn decimal_json(number: &Decimal) -> Json {
    match number.as_str().parse::<Number>() {
        Ok(number) => Json::Number(number),
        Err(_) => Json::from(number.to_f64()), // a Decimal is a JSON number, so this is never taken
    }
}

fn float_json(float: &Float) -> Json {
    match float.to_decimal() {
        Some(number) => decimal_json(&number),
        None => Json::from(float.to_text()),
    }
}

fn json_kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn values_read_as_both_generations() {
        for (value, key, json) in [
            (Value::Integer(-7), "v", "-7"),
            (Value::Time(1_367_491_215), "v", "1367491215"),
            (Value::Unsigned(u64::MAX), "v", "18446744073709551615"),
            (Value::Number(Decimal::parse("3.14159265358979323846").unwrap()), "v", "3.14159265358979323846"),
            (Value::Float(0.1f32.into()), "v", "0.1"),
            (Value::Float(f64::NAN.into()), "v", "\"NaN\""),
            (Value::Float(f64::NEG_INFINITY.into()), "v", "\"-Infinity\""),
            (Value::Boolean(true), "bv", "true"),
            (Value::String("ACME".into()), "sv", "\"ACME\""),
            (Value::Corelnk("</3>".into()), "sv", "\"</3>\""),
            (Value::Objlnk(66, 0), "ov", "\"66:0\""),
            (Value::Opaque(Bytes::from_static(b"\x00\xff")), "sv", "\"AP8=\""),
        ] {
            let (k, element) = value.to_json_element();
            assert_eq!((k, element.to_string().as_str()), (key, json));
            assert_eq!(value.to_json().to_string(), json);
        }
    }

    #[test]
    fn what_people_write_becomes_the_catalog_type() {
        for (written, data_type, value) in [
            ("12345", Some(DataType::Integer), Value::Integer(12345)),
            ("\"12345\"", Some(DataType::Integer), Value::Integer(12345)),
            ("9007199254740993", Some(DataType::Integer), Value::Integer(9_007_199_254_740_993)),
            ("2", Some(DataType::Float), Value::Float(2.0.into())),
            ("true", Some(DataType::Boolean), Value::Boolean(true)),
            ("\"true\"", Some(DataType::Boolean), Value::Boolean(true)),
            ("\"66:0\"", Some(DataType::Objlnk), Value::Objlnk(66, 0)),
            ("2", None, Value::Integer(2)),
            ("2.5", None, Value::Float(2.5.into())),
            ("1e2", None, Value::Float(100.0.into())),
            ("\"x\"", None, Value::String("x".into())),
            ("false", None, Value::Boolean(false)),
        ] {
            assert_eq!(Value::from_json(&parse(written), data_type), Ok(value), "{written}");
        }
        for (written, data_type, reason) in [
            ("null", Some(DataType::Integer), "null is not an Integer"),
            ("[1]", None, "an array is not a String"),
            ("1e999", Some(DataType::Integer), "1e+999 is outside the range of Integer"),
            ("1e999", None, "1e+999 is outside the range of Float"),
        ] {
            assert_eq!(Value::from_json(&parse(written), data_type).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn elements_of_generation_a_have_exactly_one_value() {
        let read = |json: Json, data_type| Value::from_json_element(json.as_object().unwrap(), data_type);
        assert_eq!(read(json!({"n": "0", "v": 15}), None), Ok(Value::Integer(15)));
        assert_eq!(read(json!({"bv": "true"}), None), Ok(Value::Boolean(true)));
        assert_eq!(read(json!({"ov": "66:0"}), None), Ok(Value::Objlnk(66, 0)));
        assert_eq!(read(json!({"t": 12345}), None), Ok(Value::Time(12345)));
        assert_eq!(read(json!({"t": 12345}), Some(DataType::Integer)), Ok(Value::Integer(12345)));
        assert_eq!(read(json!({"v": 60, "t": 5}), Some(DataType::Integer)), Ok(Value::Integer(60)));
        let opaque = Value::Opaque(Bytes::from_static(&[0, 255]));
        assert_eq!(read(json!({"sv": "AP8="}), Some(DataType::Opaque)), Ok(opaque));
        assert_eq!(read(json!({"n": "0"}), None), Err(ElementError::NoValue));
        assert_eq!(read(json!({"v": 1, "sv": "1"}), None), Err(ElementError::TwoValues));
    }

    #[test]
    fn hex_text_is_opaque() {
        assert_eq!(Value::from_hex("00fF"), Ok(Value::Opaque(Bytes::from_static(&[0, 255]))));
        assert_eq!(Value::from_hex(""), Ok(Value::Opaque(Bytes::new())));
        for bad in ["0", "0g", "é", "0x00"] {
            assert!(Value::from_hex(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digits_survive_json_both_ways() {
        let text = "[0.1000000000000000055511151231257827,1E-5,123456789012345678901234567890]";
        for json in parse(text).as_array().unwrap() {
            let value = Value::from_json(json, Some(DataType::Float)).unwrap();
            assert_eq!(value.to_json().to_string().to_lowercase(), json.to_string().to_lowercase());
        }
    }
}
