//! Which value converts into which type.
//!
//! Numbers convert by value and never lose digits silently; texts convert where they spell the value (people
//! and EMQX's clients write "12345" and "true"). Anything else is an error that names type and value.
#![deny(clippy::indexing_slicing)]

use bytes::Bytes;

use super::{DataType, Decimal, Float, NotWhole, Value, ValueError, ValueFault, base64};

impl Value {
    /// This value as `data_type`; unchanged when it already has it.
    pub fn into_type(self, data_type: DataType) -> Result<Value, ValueError> {
        self.converted(data_type).map_err(|(value, fault)| value.fault(data_type, fault))
    }

    /// What a device sent, in the catalog's type where it converts, else in its own: what the device says is
    /// shown rather than refused.
    pub fn read_as(self, data_type: Option<DataType>) -> Value {
        match data_type {
            Some(data_type) if data_type != self.data_type() || matches!(self, Value::Number(_)) => {
                self.converted(data_type).unwrap_or_else(|(value, _)| value)
            }
            Some(_) | None => self,
        }
    }

    /// The value in that type, or itself again with what is wrong: a hostile content has thousands that do not convert,
    /// and neither copies nor reasons are made for them.
    fn converted(self, data_type: DataType) -> Result<Value, (Value, ValueFault)> {
        let converted = match data_type {
            DataType::Integer => self.integer().map(Value::Integer),
            DataType::Time => self.integer().map(Value::Time),
            DataType::UnsignedInteger => self.integer().map(Value::Unsigned),
            DataType::Float => return self.into_float().map(Value::Float),
            DataType::Boolean => self.boolean().map(Value::Boolean),
            DataType::String => return self.into_string().map(Value::String),
            DataType::Corelnk => return self.into_string().map(Value::Corelnk),
            DataType::Opaque => return self.into_opaque().map(Value::Opaque),
            DataType::Objlnk => self.objlnk().map(|(object, instance)| Value::Objlnk(object, instance)),
        };
        converted.map_err(|fault| (self, fault))
    }

    /// The object link that a text names: "66:0".
    pub(crate) fn objlnk_of(text: &str) -> Result<Value, ValueError> {
        match parse_objlnk(text.trim()) {
            Some((object, instance)) => Ok(Value::Objlnk(object, instance)),
            None => Err(Value::String(text.to_owned()).fault(DataType::Objlnk, ValueFault::NotA)),
        }
    }

    /// The value in an error text.
    fn shown(&self) -> String {
        match self {
            Value::String(text) | Value::Corelnk(text) => format!("\"{}\"", crate::limits::excerpt(text)),
            Value::Boolean(value) => value.to_string(),
            Value::Opaque(bytes) => format!("opaque of {} bytes", bytes.len()),
            Value::Integer(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Time(_)
            | Value::Objlnk(..)
            | Value::Number(_) => self.to_text(),
        }
    }

    pub(crate) fn fault(&self, data_type: DataType, fault: ValueFault) -> ValueError {
        ValueError { data_type, value: self.shown(), fault }
    }

    fn integer<T: TryFrom<i128>>(&self) -> Result<T, ValueFault> {
        let integer = match self {
            Value::Integer(v) | Value::Time(v) => i128::from(*v),
            Value::Unsigned(v) => i128::from(*v),
            Value::Number(number) => whole(number)?,
            Value::Float(float) => whole(&float.to_decimal().ok_or(ValueFault::NotA)?)?,
            Value::String(text) => whole(&Decimal::read(text.trim())?)?,
            Value::Boolean(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {
                return Err(ValueFault::NotA);
            }
        };
        T::try_from(integer).map_err(|_| ValueFault::Range)
    }

    fn into_float(self) -> Result<Float, (Value, ValueFault)> {
        let read = match self {
            Value::Float(float) => return Ok(float),
            Value::Number(number) => return Ok(number.into()),
            Value::Integer(v) | Value::Time(v) => return Ok(Decimal::from(v).into()),
            Value::Unsigned(v) => return Ok(Decimal::from(v).into()),
            Value::String(ref text) => {
                let text = text.trim();
                match Float::from_special_name(text) {
                    Some(special) => Ok(special),
                    None => Decimal::read(text).map(Float::from),
                }
            }
            Value::Boolean(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {
                Err(ValueFault::NotA)
            }
        };
        read.map_err(|fault| (self, fault))
    }

    fn boolean(&self) -> Result<bool, ValueFault> {
        match self {
            Value::Boolean(value) => return Ok(*value),
            Value::String(text) => match text.trim() {
                "true" | "1" => return Ok(true),
                "false" | "0" => return Ok(false),
                _ => {} // any other text
            },
            Value::Integer(_) | Value::Unsigned(_) | Value::Number(_) => match self.integer::<i64>() {
                Ok(0) => return Ok(false),
                Ok(1) => return Ok(true),
                Ok(_) | Err(_) => {}
            },
            Value::Float(_) | Value::Time(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {}
        }
        Err(ValueFault::NotA)
    }

    fn into_string(self) -> Result<String, (Value, ValueFault)> {
        match self {
            Value::String(text) | Value::Corelnk(text) => Ok(text),
            Value::Boolean(value) => Ok(value.to_string()),
            Value::Integer(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Number(_)
            | Value::Time(_)
            | Value::Objlnk(..) => Ok(self.to_text()),
            Value::Opaque(_) => Err((self, ValueFault::NotA)),
        }
    }

    fn into_opaque(self) -> Result<Bytes, (Value, ValueFault)> {
        let read = match self {
            Value::Opaque(bytes) => return Ok(bytes),
            Value::String(ref text) => base64::decode(text.trim()).map(Bytes::from),
            Value::Integer(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Time(_)
            | Value::Objlnk(..)
            | Value::Corelnk(_) => None,
        };
        read.ok_or((self, ValueFault::NotA))
    }

    fn objlnk(&self) -> Result<(u16, u16), ValueFault> {
        match self {
            Value::Objlnk(object, instance) => Ok((*object, *instance)),
            Value::String(text) => parse_objlnk(text.trim()).ok_or(ValueFault::NotA),
            Value::Integer(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Opaque(_)
            | Value::Time(_)
            | Value::Corelnk(_) => Err(ValueFault::NotA),
        }
    }
}

fn whole(number: &Decimal) -> Result<i128, ValueFault> {
    match number.to_integer() {
        Ok(Some(integer)) => Ok(integer),
        Ok(None) => Err(ValueFault::Range),
        Err(NotWhole) => Err(ValueFault::NotWhole),
    }
}

/// "66:0": two decimal numbers of 16 bits.
pub(crate) fn parse_objlnk(text: &str) -> Option<(u16, u16)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (object, instance) = text.split_once(':')?;
    Some((number(object)?, number(instance)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn number(text: &str) -> Value {
        Value::from_decimal(Decimal::parse(text).unwrap())
    }

    #[test]
    fn numbers_become_the_type_that_the_catalog_names() {
        for (from, data_type, to) in [
            (number("12345"), DataType::Integer, Value::Integer(12345)),
            (number("12345.0"), DataType::Integer, Value::Integer(12345)),
            (number("1.2e4"), DataType::Time, Value::Time(12000)),
            (text("12345"), DataType::Integer, Value::Integer(12345)),
            (text(" -7 "), DataType::Integer, Value::Integer(-7)),
            (number("9223372036854775807"), DataType::Time, Value::Time(i64::MAX)),
            (number("18446744073709551615"), DataType::UnsignedInteger, Value::Unsigned(u64::MAX)),
            (Value::Float(2.0.into()), DataType::Integer, Value::Integer(2)),
            (number("2"), DataType::Float, Value::Float(2.0.into())),
            (text("2.5"), DataType::Float, Value::Float(2.5.into())),
            (text("NaN"), DataType::Float, Value::Float(f64::NAN.into())),
            (text("-Infinity"), DataType::Float, Value::Float(f64::NEG_INFINITY.into())),
            (text("true"), DataType::Boolean, Value::Boolean(true)),
            (number("0"), DataType::Boolean, Value::Boolean(false)),
            (number("5"), DataType::String, text("5")),
            (Value::Boolean(true), DataType::String, text("true")),
            (text("AAE="), DataType::Opaque, Value::Opaque(Bytes::from_static(&[0, 1]))),
            (text("66:0"), DataType::Objlnk, Value::Objlnk(66, 0)),
            (text("65535:65535"), DataType::Objlnk, Value::Objlnk(65535, 65535)),
            (text("</3/0>"), DataType::Corelnk, Value::Corelnk("</3/0>".to_owned())),
        ] {
            assert_eq!(from.clone().into_type(data_type), Ok(to), "{from:?} as {data_type}");
        }
    }

    #[test]
    fn errors_name_the_type_and_the_value() {
        for (from, data_type, reason) in [
            (text("abc"), DataType::Integer, "\"abc\" is not an Integer"),
            (number("1.5"), DataType::Integer, "1.5 is not a whole number, as Integer needs"),
            (number("-1"), DataType::UnsignedInteger, "-1 is outside the range of Unsigned Integer"),
            (
                number("9223372036854775808"),
                DataType::Integer,
                "9223372036854775808 is outside the range of Integer",
            ),
            (number("1e300"), DataType::Time, "1e300 is outside the range of Time"),
            (text("1e999"), DataType::Float, "\"1e999\" is outside the range of Float"),
            (Value::Boolean(true), DataType::Integer, "true is not an Integer"),
            (text("yes"), DataType::Boolean, "\"yes\" is not a Boolean (true or false)"),
            (number("2"), DataType::Boolean, "2 is not a Boolean (true or false)"),
            (text("a b"), DataType::Opaque, "\"a b\" is not Opaque (base 64)"),
            (text("66"), DataType::Objlnk, "\"66\" is not an Objlnk (\"object:instance\", each 0–65535)"),
            (
                text("65536:0"),
                DataType::Objlnk,
                "\"65536:0\" is not an Objlnk (\"object:instance\", each 0–65535)",
            ),
            (
                Value::Opaque(Bytes::from_static(&[0xff])),
                DataType::String,
                "opaque of 1 bytes is not a String",
            ),
        ] {
            assert_eq!(from.into_type(data_type).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_device_that_disagrees_with_the_catalog_is_shown_not_refused() {
        assert_eq!(number("3.7").read_as(Some(DataType::Integer)), number("3.7"));
        assert_eq!(text("n/a").read_as(Some(DataType::Float)), text("n/a"));
        assert_eq!(number("1").read_as(Some(DataType::Boolean)), Value::Boolean(true));
        assert_eq!(number("1").read_as(None), Value::Integer(1));
    }

    #[test]
    fn signs_and_spaces_are_no_object_link() {
        for text in ["+6:0", "6:-0", "6 :0", ":", "6:", ":0", "6:0:0", "６:0"] {
            assert_eq!(parse_objlnk(text), None, "{text}");
        }
    }
}
