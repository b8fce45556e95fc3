//! Single CBOR data items (RFC 8949) for the formats built on CBOR: reading with a bound on nesting, and
//! writing in the shortest form.
#![deny(clippy::indexing_slicing)]

use bytes::Bytes;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::ContentError;
use crate::limits::NUMBER_TEXT_MAX;
use crate::value::{DataType, Decimal, Float, Value};

/// Most tags in front of one value that are looked through.
const TAGS_MAX: usize = 4;

/// A cursor over CBOR bytes.
pub(super) struct Items<'b> {
    decoder: Decoder<'b>,
    depth_max: usize,
}

/// What an array or map says of its length: a count, or "until the break".
#[derive(Clone, Copy)]
pub(super) struct Length(Option<u64>);

impl<'b> Items<'b> {
    pub(super) fn new(bytes: &'b [u8], depth_max: usize) -> Self {
        Items { decoder: Decoder::new(bytes), depth_max }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.decoder.position()
    }

    pub(super) fn malformed(&self, what: &'static str) -> ContentError {
        ContentError::Malformed { at: self.at(), what }
    }

    /// What comes next; an error at the end of the bytes.
    pub(super) fn kind(&self) -> Result<Type, ContentError> {
        self.decoder.datatype().map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &minicbor::decode::Error) -> ContentError {
        let at = error.position().unwrap_or_else(|| self.at());
        if error.is_end_of_input() {
            ContentError::Truncated(at)
        } else {
            ContentError::Malformed { at, what: "not CBOR of this format" }
        }
    }

    fn run<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, ContentError> {
        read(&mut self.decoder).map_err(|error| self.fault(&error))
    }

    /// The bytes must be used up.
    pub(super) fn end(&self) -> Result<(), ContentError> {
        if self.at() < self.decoder.input().len() {
            return Err(self.malformed("more bytes behind the end"));
        }
        Ok(())
    }

    pub(super) fn array(&mut self) -> Result<Length, ContentError> {
        self.run(Decoder::array).map(Length)
    }

    pub(super) fn map(&mut self) -> Result<Length, ContentError> {
        self.run(Decoder::map).map(Length)
    }

    /// True while the array or map has another element (for a map: another pair). Takes the break.
    pub(super) fn more(&mut self, length: &mut Length) -> Result<bool, ContentError> {
        match &mut length.0 {
            Some(0) => Ok(false),
            Some(rest) => {
                *rest -= 1;
                Ok(true)
            }
            None if self.kind()? == Type::Break => {
                self.decoder.set_position(self.at() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Any integer of 64 bits and sign.
    pub(super) fn integer(&mut self) -> Result<i128, ContentError> {
        self.run(|decoder| decoder.int().map(i128::from))
    }

    /// Text, definite or in pieces.
    pub(super) fn text(&mut self) -> Result<String, ContentError> {
        // The pieces lie in the input, so their sum is bounded by it.
        self.run(|decoder| decoder.str_iter()?.collect())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, ContentError> {
        self.run(|decoder| {
            let mut out = Vec::new();
            for piece in decoder.bytes_iter()? {
                out.extend_from_slice(piece?);
            }
            Ok(out)
        })
    }

    /// A value that is no array and no map, in CBOR's own type; `None` for null and undefined. Tag 1 makes
    /// an integer a Time, tag 4 is a decimal fraction; other tags are looked through.
    pub(super) fn scalar(&mut self) -> Result<Option<Value>, ContentError> {
        let mut is_time = false;
        for _ in 0..=TAGS_MAX {
            let value = match self.kind()? {
                Type::Tag => {
                    match self.run(Decoder::tag)?.as_u64() {
                        1 => is_time = true,
                        4 => return self.decimal_fraction().map(Some),
                        2 | 3 => return Err(self.malformed("integers beyond 64 bits are not taken")),
                        _ => {} // any other tag says nothing about the value that we need
                    }
                    continue;
                }
                Type::U8
                | Type::U16
                | Type::U32
                | Type::U64
                | Type::I8
                | Type::I16
                | Type::I32
                | Type::I64
                | Type::Int => Value::from_i128(self.integer()?),
                Type::F16 | Type::F32 => Value::Float(self.run(Decoder::f32)?.into()),
                Type::F64 => Value::Float(self.run(Decoder::f64)?.into()),
                Type::Bool => Value::Boolean(self.run(Decoder::bool)?),
                Type::String | Type::StringIndef => Value::String(self.text()?),
                Type::Bytes | Type::BytesIndef => Value::Opaque(Bytes::from(self.bytes()?)),
                Type::Null => {
                    self.run(Decoder::null)?;
                    return Ok(None);
                }
                Type::Undefined => {
                    self.run(Decoder::undefined)?;
                    return Ok(None);
                }
                Type::Array | Type::ArrayIndef | Type::Map | Type::MapIndef => {
                    return Err(self.malformed("an array or map where a value should be"));
                }
                Type::Simple | Type::Break | Type::Unknown(_) => {
                    return Err(self.malformed("no value"));
                }
            };
            return Ok(Some(if is_time { value.read_as(Some(DataType::Time)) } else { value }));
        }
        Err(self.malformed("too many tags"))
    }

    /// RFC 8949 §3.4.4: [exponent, mantissa].
    fn decimal_fraction(&mut self) -> Result<Value, ContentError> {
        let at = self.at();
        let fault = |what| ContentError::Malformed { at, what };
        let mut length = self.array()?;
        let mut parts = [0i128; 2];
        for part in &mut parts {
            if !self.more(&mut length)? {
                return Err(fault("a decimal fraction has two parts"));
            }
            *part = self.integer()?;
        }
        if self.more(&mut length)? {
            return Err(fault("a decimal fraction has two parts"));
        }
        let [exponent, mantissa] = parts;
        i32::try_from(exponent)
            .ok()
            .filter(|e| e.unsigned_abs() as usize <= NUMBER_TEXT_MAX * 4)
            .and_then(|exponent| Decimal::from_parts(mantissa, exponent))
            .map(Value::Number)
            .ok_or_else(|| fault("a decimal fraction outside the range of Float"))
    }

    /// Passes over any item, bounded in depth and by the bytes that are there.
    pub(super) fn skip(&mut self) -> Result<(), ContentError> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: usize) -> Result<(), ContentError> {
        if depth > self.depth_max {
            return Err(ContentError::TooDeep(self.depth_max));
        }
        match self.kind()? {
            Type::Array | Type::ArrayIndef => {
                let mut length = self.array()?;
                while self.more(&mut length)? {
                    self.skip_at(depth + 1)?;
                }
                Ok(())
            }
            Type::Map | Type::MapIndef => {
                let mut length = self.map()?;
                while self.more(&mut length)? {
                    self.skip_at(depth + 1)?;
                    self.skip_at(depth + 1)?;
                }
                Ok(())
            }
            Type::Tag => {
                self.run(Decoder::tag)?;
                self.skip_at(depth + 1)
            }
            Type::Simple => self.run(Decoder::simple).map(drop),
            Type::Bool
            | Type::Null
            | Type::Undefined
            | Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int
            | Type::F16
            | Type::F32
            | Type::F64
            | Type::Bytes
            | Type::BytesIndef
            | Type::String
            | Type::StringIndef => self.scalar().map(drop),
            Type::Break | Type::Unknown(_) => Err(self.malformed("no value")),
        }
    }
}

/// Writes into a `Vec`, which cannot fail.
pub(super) struct Writer(Encoder<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Self {
        Writer(Encoder::new(Vec::new()))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }

    fn put(
        &mut self,
        write: impl FnOnce(
            &mut Encoder<Vec<u8>>,
        )
            -> Result<&mut Encoder<Vec<u8>>, minicbor::encode::Error<std::convert::Infallible>>,
    ) {
        let written = write(&mut self.0).is_ok();
        debug_assert!(written, "writing into a Vec cannot fail");
    }

    pub(super) fn array(&mut self, length: usize) {
        self.put(|e| e.array(length as u64));
    }

    pub(super) fn map(&mut self, pairs: usize) {
        self.put(|e| e.map(pairs as u64));
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.put(|e| e.i64(value));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.put(|e| e.str(text));
    }

    pub(super) fn null(&mut self) {
        self.put(|e| e.null());
    }

    /// A value in CBOR's own type; Objlnk as text "66:0", Time as plain integer. Floats take 4 bytes when
    /// that is exact.
    // Interpretation: tag 1 in front of a Time is legal for readers, but a client that takes no tags would
    // refuse it, and none is known that insists on it.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Integer(v) | Value::Time(v) => self.signed(*v),
            Value::Unsigned(v) => self.put(|e| e.u64(*v)),
            Value::Float(float) => self.float(float),
            Value::Number(number) => self.float(&Float::from(number.clone())),
            Value::Boolean(v) => self.put(|e| e.bool(*v)),
            Value::String(text) | Value::Corelnk(text) => self.text(text),
            Value::Opaque(bytes) => self.put(|e| e.bytes(bytes)),
            Value::Objlnk(..) => self.text(&value.to_text()),
        }
    }

    fn float(&mut self, float: &Float) {
        match float.to_f32_exact() {
            Some(single) => self.put(|e| e.f32(single)),
            None => self.put(|e| e.f64(float.to_f64())),
        }
    }
}
