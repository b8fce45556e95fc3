//! Values of resources: the data types of LwM2M (1.1.1 Core appendix C) and what converts into what.
//!
//! Decoders make a [`Value`] of the format's own type; [`Value::into_type`] turns it into the type that the
//! catalog names. The same conversion serves values that people write in JSON.
#![deny(clippy::indexing_slicing)]

pub mod base64;
mod convert;
mod decimal;
mod digits;
mod float;
mod json;

use std::fmt;

use bytes::Bytes;

pub use self::decimal::{Decimal, NotWhole};
pub(crate) use self::digits::Parts;
pub use self::float::Float;
pub use self::json::ElementError;
use crate::limits::excerpt;

/// The data types of LwM2M resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// UTF-8 text.
    String,
    /// Signed, 64 bits.
    Integer,
    /// Unsigned, 64 bits (1.1).
    UnsignedInteger,
    /// 32 or 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Bytes.
    Opaque,
    /// Seconds since 1970, signed.
    Time,
    /// A pair of object id and instance id.
    Objlnk,
    /// RFC 6690 link text (1.1).
    Corelnk,
}

impl DataType {
    /// All of them.
    pub const ALL: [DataType; 9] = [
        DataType::String,
        DataType::Integer,
        DataType::UnsignedInteger,
        DataType::Float,
        DataType::Boolean,
        DataType::Opaque,
        DataType::Time,
        DataType::Objlnk,
        DataType::Corelnk,
    ];

    /// The name in object definitions: "Unsigned Integer".
    pub const fn name(self) -> &'static str {
        match self {
            DataType::String => "String",
            DataType::Integer => "Integer",
            DataType::UnsignedInteger => "Unsigned Integer",
            DataType::Float => "Float",
            DataType::Boolean => "Boolean",
            DataType::Opaque => "Opaque",
            DataType::Time => "Time",
            DataType::Objlnk => "Objlnk",
            DataType::Corelnk => "Corelnk",
        }
    }

    /// The type of this name, whatever its case and spaces ("UnsignedInteger", "unsigned" too).
    pub fn from_name(name: &str) -> Option<DataType> {
        let folded: String =
            name.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
        match folded.as_str() {
            "string" => Some(DataType::String),
            "integer" => Some(DataType::Integer),
            "unsignedinteger" | "unsigned" => Some(DataType::UnsignedInteger),
            "float" => Some(DataType::Float),
            "boolean" => Some(DataType::Boolean),
            "opaque" => Some(DataType::Opaque),
            "time" => Some(DataType::Time),
            "objlnk" => Some(DataType::Objlnk),
            "corelnk" => Some(DataType::Corelnk),
            _ => None, // any other text
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value of a resource or resource instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating point number, in the width or with the digits that it came in.
    Float(Float),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(String),
    /// Bytes.
    Opaque(Bytes),
    /// Seconds since 1970.
    Time(i64),
    /// Object id and instance id; 65535:65535 is the null link.
    Objlnk(u16, u16),
    /// Link text.
    Corelnk(String),
    /// A decimal number of a format that names no type, where no integer type holds it.
    Number(Decimal),
}

impl Value {
    /// The type that this value has by itself. A decimal without type counts as Float.
    pub const fn data_type(&self) -> DataType {
        match self {
            Value::Integer(_) => DataType::Integer,
            Value::Unsigned(_) => DataType::UnsignedInteger,
            Value::Float(_) | Value::Number(_) => DataType::Float,
            Value::Boolean(_) => DataType::Boolean,
            Value::String(_) => DataType::String,
            Value::Opaque(_) => DataType::Opaque,
            Value::Time(_) => DataType::Time,
            Value::Objlnk(..) => DataType::Objlnk,
            Value::Corelnk(_) => DataType::Corelnk,
        }
    }

    /// A decimal of a format without types: an integer where its text is one, else a number.
    pub fn from_decimal(number: Decimal) -> Value {
        if number.is_integer_text() {
            if let Ok(integer) = number.as_str().parse() {
                return Value::Integer(integer);
            }
            if let Ok(unsigned) = number.as_str().parse() {
                return Value::Unsigned(unsigned);
            }
        }
        Value::Number(number)
    }

    /// A decimal whose text is no integer.
    pub(crate) fn from_number(number: Decimal) -> Value {
        Value::Number(number)
    }

    /// The same from the text of a JSON number.
    ///
    /// # Errors
    /// As [`Decimal::parse`].
    pub fn from_number_text(text: &str) -> Result<Value, ValueError> {
        Value::from_number_bytes(text.as_bytes())
    }

    pub(crate) fn from_number_bytes(text: &[u8]) -> Result<Value, ValueError> {
        // Nearly all are short integers, and need no decimal in between.
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if (1..=18).contains(&digits.len()) && (digits.first() != Some(&b'0') || digits == b"0") {
            let read = digits.iter().try_fold(0i64, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
            });
            if let Some(number) = read {
                return Ok(Value::Integer(if negative { -number } else { number }));
            }
        }
        Decimal::read_bytes(text).map(Value::from_decimal).map_err(|fault| number_fault(text, fault))
    }

    /// Milliseconds of a JSON number of seconds; `None` beyond 64 bits.
    ///
    /// # Errors
    /// As [`Decimal::parse`].
    pub(crate) fn milliseconds_of(text: &[u8]) -> Result<Option<i64>, ValueError> {
        let parts = Parts::checked(text).map_err(|fault| number_fault(text, fault))?;
        Ok(parts.and_then(|parts| parts.scaled(3)).and_then(|ms| i64::try_from(ms).ok()))
    }

    /// An integer of a format without types; beyond 64 bits it stays a decimal.
    pub fn from_i128(integer: i128) -> Value {
        if let Ok(signed) = i64::try_from(integer) {
            return Value::Integer(signed);
        }
        match u64::try_from(integer) {
            Ok(unsigned) => Value::Unsigned(unsigned),
            Err(_) => match Decimal::from_parts(integer, 0) {
                Some(number) => Value::Number(number),
                None => Value::Float(Float::from(integer as f64)), // 39 digits at most: never taken
            },
        }
    }

    /// The value as people read it on a command line and as text/plain carries it (1.0 §6.4.1): Boolean as
    /// 1 or 0, Opaque in base 64, Time in seconds.
    pub fn to_text(&self) -> String {
        match self {
            Value::Integer(v) | Value::Time(v) => Decimal::from(*v).as_str().to_owned(),
            Value::Unsigned(v) => v.to_string(),
            Value::Float(v) => v.to_text(),
            Value::Number(v) => v.as_str().to_owned(),
            Value::Boolean(v) => if *v { "1" } else { "0" }.to_owned(),
            Value::String(v) | Value::Corelnk(v) => v.clone(),
            Value::Opaque(v) => base64::encode(v),
            Value::Objlnk(object, instance) => {
                let [object, instance] = [object, instance].map(|id| Decimal::from(i64::from(*id)));
                [object.as_str(), ":", instance.as_str()].concat()
            }
        }
    }
}

#[cold]
fn number_fault(text: &[u8], fault: ValueFault) -> ValueError {
    ValueError::new(DataType::Float, &String::from_utf8_lossy(text), fault)
}

/// A value that does not fit its type. `Display` names both, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// The type asked for.
    pub data_type: DataType,
    /// The value as it came, shortened when long; texts in quotes.
    pub value: String,
    /// What is wrong.
    pub fault: ValueFault,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// It is of another kind.
    NotA,
    /// A number beyond the limits of the type.
    Range,
    /// A fraction where a whole number is needed.
    NotWhole,
    /// A number of more digits than we take.
    TooLong,
    /// A wire length that the type does not have.
    Length(usize),
}

impl ValueError {
    pub(crate) fn new(data_type: DataType, value: &str, fault: ValueFault) -> Self {
        ValueError { data_type, value: excerpt(value), fault }
    }

    /// A wire value whose `length` in bytes its type does not have.
    pub fn length(data_type: DataType, length: usize) -> Self {
        ValueError { data_type, value: String::new(), fault: ValueFault::Length(length) }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ValueError { data_type, value, fault } = self;
        match fault {
            ValueFault::NotA => match data_type {
                DataType::Opaque => write!(f, "{value} is not Opaque (base 64)"),
                DataType::Objlnk => {
                    write!(f, "{value} is not an Objlnk (\"object:instance\", each 0–65535)")
                }
                DataType::Boolean => write!(f, "{value} is not a Boolean (true or false)"),
                DataType::Integer | DataType::UnsignedInteger => write!(f, "{value} is not an {data_type}"),
                DataType::String | DataType::Float | DataType::Time | DataType::Corelnk => {
                    write!(f, "{value} is not a {data_type}")
                }
            },
            ValueFault::Range => write!(f, "{value} is outside the range of {data_type}"),
            ValueFault::NotWhole => write!(f, "{value} is not a whole number, as {data_type} needs"),
            ValueFault::TooLong => write!(f, "{value} has too many digits"),
            ValueFault::Length(0) => write!(f, "no bytes where a value of type {data_type} should be"),
            ValueFault::Length(length) => write!(f, "{length} bytes are no value of type {data_type}"),
        }
    }
}

impl std::error::Error for ValueError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_are_found_in_any_case() {
        for data_type in DataType::ALL {
            assert_eq!(DataType::from_name(data_type.name()), Some(data_type));
            assert_eq!(DataType::from_name(&data_type.name().to_uppercase()), Some(data_type));
        }
        assert_eq!(DataType::from_name("UnsignedInteger"), Some(DataType::UnsignedInteger));
        assert_eq!(DataType::from_name("double"), None);
        assert_eq!(DataType::from_name(""), None);
    }

    #[test]
    fn the_text_of_a_number_is_read_as_its_decimal_is() {
        for text in [
            "0",
            "-0",
            "7",
            "-7",
            "00",
            "01",
            "-01",
            "+1",
            "-",
            "",
            "1.0",
            "1e3",
            "-1.5E-2",
            "1x",
            " 1",
            "999999999999999999",
            "-999999999999999999",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e999",
        ] {
            let decimal = Decimal::parse(text).map(Value::from_decimal);
            assert_eq!(Value::from_number_text(text), decimal, "{text:?}");
        }
    }

    #[test]
    fn a_value_stays_small() {
        assert!(size_of::<Value>() <= 40, "{}", size_of::<Value>());
    }
}
