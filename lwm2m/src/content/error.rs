//! Why a content could not be read or written, for people and for counters.

use std::fmt;

use super::ContentFormat;
use crate::path::{ObjectPath, PathError};
use crate::value::ValueError;

/// Why bytes are no content, or entries do not go into a format. `Display` is the reason in JSON answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentError {
    /// No format of ours has this number.
    UnknownFormat(u16),
    /// The format cannot carry this.
    Unfit {
        /// The format asked for.
        format: ContentFormat,
        /// What it cannot do.
        why: Unfit,
    },
    /// The bytes end inside of something that starts at this offset.
    Truncated(usize),
    /// More bytes than the limit.
    TooLarge(usize),
    /// Deeper nesting than the limit.
    TooDeep(usize),
    /// More values, paths or links than the limit.
    TooMany(usize),
    /// The bytes at this offset are not of the format.
    Malformed {
        /// Offset in bytes.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The text is no JSON, from this line and column (both from 1) on.
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON or CBOR of another shape than the format has.
    Shape(String),
    /// A name is no path.
    Path(PathError),
    /// A value lies outside of what was asked.
    Outside {
        /// Path of the value.
        path: ObjectPath,
        /// What was asked.
        base: ObjectPath,
    },
    /// A value at a path that is no resource.
    NotAResource(ObjectPath),
    /// Two values for one resource.
    Twice(ObjectPath),
    /// A value that does not fit the type of its resource.
    Value {
        /// Path of the value.
        path: ObjectPath,
        /// Type and value.
        error: ValueError,
    },
}

/// What a format cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It holds no values (link format).
    NoValues,
    /// It holds no bare paths.
    NoPaths,
    /// It holds exactly one value of one resource.
    OneResource,
    /// It holds values of one object only.
    OneObject,
    /// It has no form for this value (NaN in JSON, text in octet-stream).
    NoSuchValue,
    /// It cannot name the root.
    NoRoot,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentError::UnknownFormat(number) => write!(f, "content format {number} is not known here"),
            ContentError::Unfit { format, why } => {
                f.write_str(format.name())?;
                f.write_str(match why {
                    Unfit::NoValues => " carries no values",
                    Unfit::NoPaths => " carries no list of paths",
                    Unfit::OneResource => " carries exactly one resource",
                    Unfit::OneObject => " carries values of one object only",
                    Unfit::NoSuchValue => " has no form for this value",
                    Unfit::NoRoot => " cannot name \"/\"",
                })
            }
            ContentError::Truncated(at) => write!(f, "ends too early: what starts at byte {at} is not whole"),
            ContentError::TooLarge(limit) => write!(f, "more than {limit} bytes"),
            ContentError::TooDeep(limit) => write!(f, "nested deeper than {limit} levels"),
            ContentError::TooMany(limit) => write!(f, "more than {limit} items"),
            ContentError::Malformed { at, what } => write!(f, "byte {at}: {what}"),
            ContentError::NotJson { line, column } => write!(f, "not JSON: line {line}, column {column}"),
            ContentError::Shape(what) => f.write_str(what),
            ContentError::Path(error) => error.fmt(f),
            ContentError::Outside { path, base } => write!(f, "{path} is not part of {base}"),
            ContentError::NotAResource(path) => write!(f, "{path} has a value but is no resource"),
            ContentError::Twice(path) => write!(f, "{path} comes twice"),
            ContentError::Value { path, error } => write!(f, "{path}: {error}"),
        }
    }
}

impl std::error::Error for ContentError {}

impl From<PathError> for ContentError {
    fn from(error: PathError) -> Self {
        ContentError::Path(error)
    }
}
