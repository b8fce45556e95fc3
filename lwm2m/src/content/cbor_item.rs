//! Single CBOR data items (RFC 8949) for the formats built on CBOR: reading with a bound on nesting, and
//! writing in the shortest form.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use bytes::Bytes;
use minicbor::Encoder;

use super::{ContentError, steps};
use crate::limits::NUMBER_TEXT_MAX;
use crate::value::{DataType, Decimal, Float, Value};

/// Most tags in front of one value that are looked through.
const TAGS_MAX: usize = 4;

/// What an item is, by its first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Float,
    Boolean,
    /// null or undefined
    Null,
    Simple,
    Break,
    /// Reserved (RFC 8949 §3).
    Invalid,
}

impl Kind {
    fn of(first: u8) -> Kind {
        match first {
            0x00..=0x1b | 0x20..=0x3b => Kind::Integer,
            0x40..=0x5b | 0x5f => Kind::Bytes,
            0x60..=0x7b | 0x7f => Kind::Text,
            0x80..=0x9b | 0x9f => Kind::Array,
            0xa0..=0xbb | 0xbf => Kind::Map,
            0xc0..=0xdb => Kind::Tag,
            0xe0..=0xf3 | 0xf8 => Kind::Simple,
            0xf4 | 0xf5 => Kind::Boolean,
            0xf6 | 0xf7 => Kind::Null,
            0xf9..=0xfb => Kind::Float,
            0xff => Kind::Break,
            0x1c..=0x1f | 0x3c..=0x3f | 0x5c..=0x5e | 0x7c..=0x7e => Kind::Invalid,
            0x9c..=0x9e | 0xbc..=0xbe | 0xdc..=0xdf | 0xfc..=0xfe => Kind::Invalid,
        }
    }
}

/// Major types (RFC 8949 §3.1), as they stand in the first octet.
mod major {
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const TAG: u8 = 6;
}

/// Why an item is not what its place asks for.
const NOT_OF_THIS_FORMAT: &str = "not CBOR of this format";

/// A cursor over CBOR bytes.
pub(super) struct Items<'b> {
    bytes: &'b [u8],
    at: usize,
    depth_max: usize,
}

/// What an array or map says of its length: a count, or "until the break".
#[derive(Clone, Copy)]
pub(super) struct Length(Option<u64>);

impl<'b> Items<'b> {
    pub(super) fn new(bytes: &'b [u8], depth_max: usize) -> Self {
        Items { bytes, at: 0, depth_max }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn malformed(&self, what: &'static str) -> ContentError {
        ContentError::Malformed { at: self.at, what }
    }

    fn peek(&self) -> Result<u8, ContentError> {
        self.bytes.get(self.at).copied().ok_or(ContentError::Truncated(self.at))
    }

    /// What comes next; an error at the end of the bytes.
    pub(super) fn kind(&self) -> Result<Kind, ContentError> {
        steps::count(1);
        self.peek().map(Kind::of)
    }

    /// So many bytes, from here on.
    fn take(&mut self, length: usize) -> Result<&'b [u8], ContentError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or(ContentError::Truncated(self.at))?;
        steps::count(length);
        self.at += length;
        Ok(taken)
    }

    fn take_exactly<const N: usize>(&mut self) -> Result<[u8; N], ContentError> {
        let taken = self.take(N)?;
        taken.first_chunk().copied().ok_or(ContentError::Truncated(self.at))
    }

    /// The head of an item: its major type and its argument (RFC 8949 §3), which is `None` for "until the break".
    fn head(&mut self) -> Result<(u8, Option<u64>), ContentError> {
        steps::count(1);
        let at = self.at;
        let first = self.peek()?;
        self.at += 1;
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            24 => u64::from(u8::from_be_bytes(self.take_exactly()?)),
            25 => u64::from(u16::from_be_bytes(self.take_exactly()?)),
            26 => u64::from(u32::from_be_bytes(self.take_exactly()?)),
            27 => u64::from_be_bytes(self.take_exactly()?),
            31 => return Ok((first >> 5, None)),
            _ => return Err(ContentError::Malformed { at, what: NOT_OF_THIS_FORMAT }), // reserved
        };
        Ok((first >> 5, Some(argument)))
    }

    /// The argument of an item of this major type.
    fn head_of(&mut self, major: u8) -> Result<Option<u64>, ContentError> {
        if self.peek()? >> 5 != major {
            return Err(self.malformed(NOT_OF_THIS_FORMAT));
        }
        self.head().map(|(_, argument)| argument)
    }

    /// The bytes must be used up.
    pub(super) fn end(&self) -> Result<(), ContentError> {
        if self.at < self.bytes.len() {
            return Err(self.malformed("more bytes behind the end"));
        }
        Ok(())
    }

    pub(super) fn array(&mut self) -> Result<Length, ContentError> {
        self.head_of(major::ARRAY).map(Length)
    }

    pub(super) fn map(&mut self) -> Result<Length, ContentError> {
        self.head_of(major::MAP).map(Length)
    }

    /// True while the array or map has another element (for a map: another pair). Takes the break.
    pub(super) fn more(&mut self, length: &mut Length) -> Result<bool, ContentError> {
        match &mut length.0 {
            Some(0) => Ok(false),
            Some(rest) => {
                *rest -= 1;
                Ok(true)
            }
            None => self.more_until_break(),
        }
    }

    /// False when the break came, which is taken.
    fn more_until_break(&mut self) -> Result<bool, ContentError> {
        if self.peek()? != 0xff {
            return Ok(true);
        }
        self.at += 1;
        Ok(false)
    }

    /// Any integer of 64 bits and sign.
    pub(super) fn integer(&mut self) -> Result<i128, ContentError> {
        let at = self.at;
        if self.peek()? >= 0x40 {
            return Err(self.malformed(NOT_OF_THIS_FORMAT));
        }
        match self.head()? {
            (0, Some(argument)) => Ok(i128::from(argument)),
            (_, Some(argument)) => Ok(-1 - i128::from(argument)),
            (_, None) => Err(ContentError::Malformed { at, what: NOT_OF_THIS_FORMAT }),
        }
    }

    /// A string of this major type, definite: `None` in front of one in pieces, whose head is taken.
    fn piece(&mut self, major: u8) -> Result<Option<&'b [u8]>, ContentError> {
        match self.head_of(major)? {
            Some(length) => self.take(usize::try_from(length).unwrap_or(usize::MAX)).map(Some),
            None => Ok(None),
        }
    }

    /// Hands out a string of this major type, in one piece or more. The pieces lie in the input, so their sum is bounded
    /// by it.
    fn pieces(
        &mut self,
        major: u8,
        mut each: impl FnMut(&'b [u8]) -> Result<(), std::str::Utf8Error>,
    ) -> Result<(), ContentError> {
        let start = self.at;
        let wrong = |at| ContentError::Malformed { at, what: NOT_OF_THIS_FORMAT };
        if let Some(whole) = self.piece(major)? {
            return each(whole).map_err(|_| wrong(start));
        }
        while self.more_until_break()? {
            let at = self.at;
            let piece = self.piece(major)?.ok_or(wrong(at))?;
            each(piece).map_err(|_| wrong(at))?; // RFC 8949 §3.2.3: each piece is whole UTF-8
        }
        Ok(())
    }

    /// Text, definite or in pieces.
    pub(super) fn text(&mut self) -> Result<Cow<'b, str>, ContentError> {
        let mut text = Cow::Borrowed("");
        self.pieces(major::TEXT, |piece| {
            text += std::str::from_utf8(piece)?;
            Ok(())
        })?;
        Ok(text)
    }

    fn octets(&mut self) -> Result<Bytes, ContentError> {
        let mut whole: Option<Cow<'b, [u8]>> = None;
        self.pieces(major::BYTES, |piece| {
            match &mut whole {
                Some(whole) => whole.to_mut().extend_from_slice(piece),
                None => whole = Some(Cow::Borrowed(piece)),
            }
            Ok(())
        })?;
        Ok(whole.map_or_else(Bytes::new, |whole| Bytes::from(whole.into_owned())))
    }

    fn float(&mut self) -> Result<Float, ContentError> {
        let width = self.peek()?;
        self.at += 1;
        Ok(match width {
            0xf9 => single_of_half(u16::from_be_bytes(self.take_exactly()?)).into(),
            0xfa => f32::from_be_bytes(self.take_exactly()?).into(),
            _ => f64::from_be_bytes(self.take_exactly()?).into(), // 0xfb, the third kind of a float
        })
    }

    /// A value that is no array and no map, in CBOR's own type; `None` for null and undefined. Tag 1 makes
    /// an integer a Time, tag 4 is a decimal fraction; other tags are looked through.
    pub(super) fn scalar(&mut self) -> Result<Option<Value>, ContentError> {
        let mut is_time = false;
        for _ in 0..=TAGS_MAX {
            let value = match self.kind()? {
                Kind::Tag => {
                    match self.head_of(major::TAG)? {
                        Some(1) => is_time = true,
                        Some(4) => return self.decimal_fraction().map(Some),
                        Some(2 | 3) => return Err(self.malformed("integers beyond 64 bits are not taken")),
                        _ => {} // any other tag says nothing about the value that we need
                    }
                    continue;
                }
                Kind::Integer => Value::from_i128(self.integer()?),
                Kind::Float => Value::Float(self.float()?),
                Kind::Boolean => {
                    let value = self.peek()? == 0xf5;
                    self.at += 1;
                    Value::Boolean(value)
                }
                Kind::Text => Value::String(self.text()?.into_owned()),
                Kind::Bytes => Value::Opaque(self.octets()?),
                Kind::Null => {
                    self.at += 1;
                    return Ok(None);
                }
                Kind::Array | Kind::Map => {
                    return Err(self.malformed("an array or map where a value should be"));
                }
                Kind::Simple | Kind::Break | Kind::Invalid => {
                    return Err(self.malformed("no value"));
                }
            };
            return Ok(Some(if is_time { value.read_as(Some(DataType::Time)) } else { value }));
        }
        Err(self.malformed("too many tags"))
    }

    /// RFC 8949 §3.4.4: [exponent, mantissa].
    fn decimal_fraction(&mut self) -> Result<Value, ContentError> {
        let at = self.at;
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
            Kind::Array => {
                let mut length = self.array()?;
                while self.more(&mut length)? {
                    self.skip_at(depth + 1)?;
                }
                Ok(())
            }
            Kind::Map => {
                let mut length = self.map()?;
                while self.more(&mut length)? {
                    self.skip_at(depth + 1)?;
                    self.skip_at(depth + 1)?;
                }
                Ok(())
            }
            Kind::Tag => {
                self.head()?;
                self.skip_at(depth + 1)
            }
            Kind::Text => self.pieces(major::TEXT, |piece| std::str::from_utf8(piece).map(drop)),
            Kind::Bytes => self.pieces(major::BYTES, |_| Ok(())),
            Kind::Integer | Kind::Float | Kind::Boolean | Kind::Null | Kind::Simple => self.head().map(drop),
            Kind::Break | Kind::Invalid => Err(self.malformed("no value")),
        }
    }
}

/// RFC 8949 §3.3: a sign, five bits of exponent, ten bits of fraction. Every half is a single.
fn single_of_half(half: u16) -> f32 {
    let fraction = f32::from(half & 0x3ff);
    let size = match (half >> 10) & 0x1f {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if half & 0x8000 == 0 { size } else { -size }
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
