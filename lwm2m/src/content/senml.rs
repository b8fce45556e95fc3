//! SenML records (RFC 8428 §4) for both of its encodings: base values carry over, names are concatenated
//! verbatim, relative times refer to now.
#![deny(clippy::indexing_slicing)]

use super::{ContentError, Context, Entry, TypeMemo, check_place, steps};
use crate::path::{ObjectPath, PathError, PathFault};
use crate::value::{Decimal, Parts, Value};
use std::borrow::Cow;

/// Times below 2^28 seconds are relative to now (RFC 8428 §4.5.3).
const RELATIVE_BELOW_MS: i64 = (1 << 28) * 1000;

/// Longest base name with name, in bytes: an alternate path and four numbers need far less.
const NAME_BYTES_MAX: usize = 512;

/// Version of SenML that is understood (RFC 8428 §4.4).
const VERSION_MAX: i128 = 10;

/// One record as it came. Numbers stay decimal, times are milliseconds.
#[derive(Default)]
pub(super) struct Record<'b> {
    pub(super) base_name: Option<Cow<'b, str>>,
    pub(super) base_time: Option<i64>,
    /// A number, as are the two below.
    pub(super) base_value: Option<Value>,
    pub(super) base_sum: Option<Value>,
    pub(super) name: Option<Cow<'b, str>>,
    pub(super) value: Option<Value>,
    pub(super) sum: Option<Value>,
    pub(super) time: Option<i64>,
}

impl Record<'_> {
    /// Sets the value; a second one in the same record is an error.
    pub(super) fn set_value(&mut self, value: Value) -> Result<(), &'static str> {
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err("a record has only one of v, vs, vb, vd, vlo"),
        }
    }
}

/// Refuses a version that came after ours.
pub(super) fn check_version(version: i128) -> Result<(), &'static str> {
    if version > VERSION_MAX { Err("a SenML version that is not known here") } else { Ok(()) }
}

/// Labels that end in "_" must be understood (RFC 8428 §4.4); others may be passed over.
pub(super) fn check_label(label: &str) -> Result<(), &'static str> {
    if label.ends_with('_') { Err("a field that must be understood and is not") } else { Ok(()) }
}

/// A decimal number of seconds as milliseconds.
pub(super) fn milliseconds(seconds: &Decimal) -> Option<i64> {
    seconds.scaled(3).and_then(|ms| i64::try_from(ms).ok())
}

/// A base value or base sum. It is taken apart once, when something is added to it.
struct BaseNumber {
    number: Value,
    parts: Option<Option<Parts>>,
    double: Option<f64>,
}

impl From<Value> for BaseNumber {
    fn from(number: Value) -> Self {
        BaseNumber { number, parts: None, double: None }
    }
}

/// Turns records, one after another, into places, values and times.
pub(super) struct Resolver<'a> {
    base: ObjectPath,
    cx: &'a Context<'a>,
    types: TypeMemo<'a>,
    /// The base name, and room behind it for the name of a record.
    whole_name: String,
    base_name_bytes: usize,
    /// What the base name alone names, once a record has asked.
    base_path: Option<ObjectPath>,
    base_time: Option<i64>,
    base_value: Option<BaseNumber>,
    base_sum: Option<BaseNumber>,
    records: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(base: ObjectPath, cx: &'a Context<'a>) -> Self {
        Resolver {
            base,
            cx,
            types: TypeMemo::new(cx),
            whole_name: String::new(),
            base_name_bytes: 0,
            base_path: None,
            base_time: None,
            base_value: None,
            base_sum: None,
            records: 0,
        }
    }

    /// The entry of a record; `None` for one without value (a bare path, or only base values).
    pub(super) fn entry(&mut self, record: &mut Record<'_>) -> Result<Option<Entry>, ContentError> {
        self.keep_base(record)?;
        let value = match (record.value.take(), record.sum.take()) {
            (Some(value), _) => add(value, self.base_value.as_mut())?,
            (None, Some(sum)) => add(sum, self.base_sum.as_mut())?,
            (None, None) => return Ok(None),
        };
        let path = self.path(record.name.as_deref())?;
        check_place(self.base, path)?;
        let time = self.time(record.time)?;
        Ok(Some(Entry { path, value: value.read_as(self.types.of(path)), time }))
    }

    /// The path of a record in a composite request, whatever its value.
    pub(super) fn bare_path(&mut self, record: &mut Record<'_>) -> Result<Option<ObjectPath>, ContentError> {
        self.keep_base(record)?;
        if record.name.is_none() && record.value.is_none() && self.base_name_bytes == 0 {
            return Ok(None); // a record of base values only
        }
        self.path(record.name.as_deref()).map(Some)
    }

    fn keep_base(&mut self, record: &mut Record<'_>) -> Result<(), ContentError> {
        self.records += 1;
        if self.records > self.cx.limits.entries_max {
            return Err(ContentError::TooMany(self.cx.limits.entries_max));
        }
        if let Some(name) = record.base_name.take() {
            self.base_path = None;
            self.base_name_bytes = name.len();
            self.whole_name.clear();
            // A longer one is refused as soon as a path is made of it.
            if name.len() <= NAME_BYTES_MAX {
                steps::count(name.len());
                self.whole_name.push_str(&name);
            }
        }
        self.base_time = record.base_time.or(self.base_time);
        if let Some(number) = record.base_value.take() {
            self.base_value = Some(number.into());
        }
        if let Some(number) = record.base_sum.take() {
            self.base_sum = Some(number.into());
        }
        Ok(())
    }

    /// Base name and name, verbatim one behind the other: clients differ in where they put the "/".
    fn path(&mut self, name: Option<&str>) -> Result<ObjectPath, ContentError> {
        let Some(name) = name else {
            if let Some(known) = self.base_path {
                return Ok(known);
            }
            let path = self.joined("")?;
            self.base_path = Some(path);
            return Ok(path);
        };
        self.joined(name)
    }

    fn joined(&mut self, name: &str) -> Result<ObjectPath, ContentError> {
        if self.base_name_bytes + name.len() > NAME_BYTES_MAX {
            return Err(ContentError::TooLarge(NAME_BYTES_MAX));
        }
        self.whole_name.truncate(self.base_name_bytes);
        self.whole_name.push_str(name);
        let whole = self.whole_name.as_str();
        steps::count(whole.len());
        let alternate = self.cx.alternate_path;
        // Interpretation: 1.2 devices write the alternate path in front, 1.1 devices do not; both are read.
        let own = match whole.strip_prefix(alternate) {
            Some(rest) if !alternate.is_empty() && (rest.is_empty() || rest.starts_with('/')) => rest,
            Some(_) | None => whole,
        };
        let own = if own.is_empty() && !whole.is_empty() { "/" } else { own };
        ObjectPath::parse_composite(own).map_err(|error| {
            // A name in words below another root is better called that than "no number".
            let words = whole.trim_start_matches('/').starts_with(|c: char| c.is_alphabetic());
            match words {
                true if !alternate.is_empty() => {
                    PathError { path: error.path, fault: PathFault::OutsideAlternatePath }.into()
                }
                true | false => error.into(),
            }
        })
    }

    /// Milliseconds since 1970, when the pack gave any time at all.
    fn time(&self, time: Option<i64>) -> Result<Option<i64>, ContentError> {
        if self.base_time.is_none() && time.is_none() {
            return Ok(None);
        }
        let out_of_range = || ContentError::Shape("a time outside the range of 64 bits".to_owned());
        let sum = self.base_time.unwrap_or(0).checked_add(time.unwrap_or(0)).ok_or_else(out_of_range)?;
        if sum >= RELATIVE_BELOW_MS {
            return Ok(Some(sum));
        }
        let now = i64::try_from(self.cx.now_unix_ms).unwrap_or(i64::MAX);
        now.checked_add(sum).map(Some).ok_or_else(out_of_range)
    }
}

/// The digits of a number; `None` for other values, and for numbers of too many digits.
fn parts(value: &Value) -> Option<Parts> {
    match value {
        Value::Integer(v) | Value::Time(v) => Some(Parts::from(*v)),
        Value::Unsigned(v) => Some(Parts::from(*v)),
        Value::Number(number) => number.parts(),
        Value::Float(float) => float.parts(),
        Value::Boolean(_) | Value::String(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {
            None
        }
    }
}

/// The double of a number; `None` for other values and for what is not finite.
fn double(value: &Value) -> Option<f64> {
    let double = match value {
        Value::Integer(v) | Value::Time(v) => *v as f64,
        Value::Unsigned(v) => *v as f64,
        Value::Number(number) => number.quick_double(),
        Value::Float(float) => float.to_f64(),
        Value::Boolean(_) | Value::String(_) | Value::Opaque(_) | Value::Objlnk(..) | Value::Corelnk(_) => {
            return None;
        }
    };
    Some(double).filter(|double| double.is_finite())
}

/// Adds a base value to a number; other values stay as they are.
fn add(value: Value, base: Option<&mut BaseNumber>) -> Result<Value, ContentError> {
    let Some(base) = base else { return Ok(value) };
    let base_parts = *base.parts.get_or_insert_with(|| parts(&base.number));
    if let Some(base) = base_parts
        && let Some(number) = parts(&value)
        && let Some(sum) = number.sum(base).and_then(Parts::to_value)
    {
        return Ok(sum);
    }
    // No number, or the exact sum has too many digits, so it is that of the doubles.
    let Some(number) = double(&value) else { return Ok(value) };
    let base_double = *base.double.get_or_insert_with(|| double(&base.number).unwrap_or(f64::NAN));
    match Decimal::from_f64(number + base_double) {
        Some(sum) => Ok(Value::Number(sum)), // a point or an exponent is in its text
        None => {
            let (number, base) = (value.to_text(), base.number.to_text());
            let what = format!("{number} with the base value {base} is outside the range of Float");
            Err(ContentError::Shape(what))
        }
    }
}

/// How a writer names entries: the base name of the first record, and where a name starts in the full one.
pub(super) struct Names {
    base: ObjectPath,
    prefix: String,
    /// Full names without base name (composite), or base name plus relative names.
    pub(super) base_name: Option<String>,
}

impl Names {
    /// Names for `entries` of `base`. One entry that *is* `base` gets the base name alone.
    pub(super) fn new(base: ObjectPath, entries: &[&Entry], cx: &Context<'_>) -> Self {
        let prefix = cx.alternate_path.to_owned();
        let base_name = match entries {
            _ if base.is_root() => None,
            [one] if one.path == base => Some(format!("{prefix}{base}")),
            _ => Some(format!("{prefix}{base}/")),
        };
        Names { base, prefix, base_name }
    }

    /// The `n` of an entry; `None` when the base name is all of it.
    pub(super) fn name(&self, path: ObjectPath) -> Option<String> {
        if self.base_name.is_none() {
            return Some(format!("{}{path}", self.prefix));
        }
        let below = path.below(self.base).unwrap_or_default();
        let parts: Vec<String> = below.iter().map(u16::to_string).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    }
}
