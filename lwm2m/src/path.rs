//! Object paths: `/object/instance/resource/resource instance`, each level a number.
//!
//! The grammar is stricter than most peers' (no sign, no leading zero, ASCII digits only), so that one
//! resource has exactly one spelling besides its optional slashes. The empty path, `/`, exists only for
//! composite operations. Sections: LwM2M 1.0 §6.1, 1.1.1 Core §7.1.
#![deny(clippy::indexing_slicing)]

use std::cmp::Ordering;
use std::fmt;

use crate::limits::excerpt;

/// Levels of the deepest path.
pub const DEPTH_MAX: usize = 4;

/// Highest object id.
pub const OBJECT_ID_MAX: u16 = 65_535;

/// Highest id of an instance, resource or resource instance; 65535 is reserved (MAX_ID).
pub const LOWER_ID_MAX: u16 = 65_534;

/// A path of 0 to 4 ids. Holding one proves that its ids are legal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectPath {
    ids: [u16; DEPTH_MAX],
    depth: u8,
}

/// Why a text or a list of ids is no path. `Display` is for people: `"/3/x": "x" is not a number 0–65534`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// The whole path as it came, shortened when very long.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// Nothing there, or "/" where only composite operations may say so.
    Empty,
    /// A segment is no number of its level's range; holds the segment and the highest legal id.
    Segment(String, u16),
    /// More than four segments.
    TooDeep,
    /// The path does not start with the device's alternate path.
    OutsideAlternatePath,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": ", self.path)?;
        match &self.fault {
            PathFault::Empty => f.write_str("no object is named"),
            PathFault::Segment(segment, max) => write!(f, "\"{segment}\" is not a number 0–{max}"),
            PathFault::TooDeep => f.write_str("a path has at most 4 numbers"),
            PathFault::OutsideAlternatePath => f.write_str("is not below the device's own root"),
        }
    }
}

impl std::error::Error for PathError {}

impl ObjectPath {
    /// The empty path, "/", which only composite operations use.
    pub const ROOT: ObjectPath = ObjectPath { ids: [0; DEPTH_MAX], depth: 0 };

    /// `/object`.
    pub const fn object(object: u16) -> Self {
        ObjectPath { ids: [object, 0, 0, 0], depth: 1 }
    }

    /// The path of these ids, checked.
    pub fn from_ids(ids: &[u16]) -> Result<Self, PathError> {
        ids.iter().try_fold(Self::ROOT, |path, &id| path.child(id))
    }

    /// Reads a path of 1 to 4 segments, with one optional "/" before and after.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = Self::parse_composite(text)?;
        if path.is_root() {
            return Err(PathError { path: excerpt(text), fault: PathFault::Empty });
        }
        Ok(path)
    }

    /// Reads a path of 0 to 4 segments: like [`ObjectPath::parse`], and "/" alone is the root.
    pub fn parse_composite(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError { path: String::new(), fault: PathFault::Empty });
        }
        Self::ROOT.join(text)
    }

    /// This path with a relative one behind it: exactly one "/" between, whether `relative` starts with one
    /// or not; one more is allowed at its end. An empty `relative` or "/" gives the path itself.
    pub fn join(self, relative: &str) -> Result<Self, PathError> {
        let inner = relative.strip_prefix('/').unwrap_or(relative);
        if inner.is_empty() {
            return Ok(self);
        }
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if let Some(path) = self.joined(inner.as_bytes()) {
            return Ok(path);
        }
        let mut path = self;
        for segment in inner.split('/') {
            let max = path.id_max().ok_or_else(|| self.fault(relative, PathFault::TooDeep))?;
            let id = parse_id(segment, max)
                .ok_or_else(|| self.fault(relative, PathFault::Segment(excerpt(segment), max)))?;
            path = path.child(id).map_err(|_| self.fault(relative, PathFault::TooDeep))?;
        }
        Ok(path)
    }

    /// Reads segments without a look back: contents name thousands of paths. `None` where one is wrong; what is wrong
    /// is found by reading it again.
    fn joined(self, segments: &[u8]) -> Option<Self> {
        let mut path = self;
        let mut rest = segments.iter();
        loop {
            let max = u32::from(path.id_max()?);
            let mut id = match rest.next()? {
                digit @ b'0'..=b'9' => u32::from(digit - b'0'),
                _ => return None, // any other octet
            };
            let leading_zero = id == 0;
            let ends = loop {
                match rest.next() {
                    None => break true,
                    Some(b'/') => break false,
                    Some(digit @ b'0'..=b'9') if !leading_zero && id <= max => {
                        id = id * 10 + u32::from(digit - b'0');
                    }
                    Some(_) => return None,
                }
            };
            if id > max {
                return None;
            }
            *path.ids.get_mut(usize::from(path.depth))? = u16::try_from(id).ok()?;
            path.depth += 1;
            if ends {
                return Some(path);
            }
        }
    }

    fn fault(self, relative: &str, fault: PathFault) -> PathError {
        PathError { path: excerpt(relative), fault }
    }

    /// Highest id that a child may have; `None` below the last level.
    fn id_max(self) -> Option<u16> {
        match self.depth {
            0 => Some(OBJECT_ID_MAX),
            1..=3 => Some(LOWER_ID_MAX),
            _ => None, // not an enum of ours: the depth is at most 4
        }
    }

    /// The path one level down, or an error when this is the last level or `id` is reserved there.
    pub fn child(self, id: u16) -> Result<Self, PathError> {
        let fault = |fault| PathError { path: format!("{self}/{id}"), fault };
        let max = self.id_max().ok_or_else(|| fault(PathFault::TooDeep))?;
        if id > max {
            return Err(fault(PathFault::Segment(id.to_string(), max)));
        }
        let mut path = self;
        if let Some(slot) = path.ids.get_mut(usize::from(self.depth)) {
            *slot = id;
        }
        path.depth += 1;
        Ok(path)
    }

    /// The path one level up; `None` for the root.
    pub fn parent(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(self.cut(depth))
    }

    /// The first `depth` levels of this path, or all of it when it has fewer.
    pub fn ancestor(self, depth: usize) -> Self {
        if depth >= self.depth() { self } else { self.cut(depth as u8) }
    }

    /// Keeps the first levels and clears the ids behind them, so that equal paths are equal in every byte.
    fn cut(self, depth: u8) -> Self {
        let mut path = ObjectPath { ids: [0; DEPTH_MAX], depth };
        for (to, from) in path.ids.iter_mut().zip(self.ids.iter().take(usize::from(depth))) {
            *to = *from;
        }
        path
    }

    /// Number of levels, 0 to 4.
    pub fn depth(self) -> usize {
        usize::from(self.depth)
    }

    /// True for "/".
    pub fn is_root(self) -> bool {
        self.depth == 0
    }

    /// The ids, from the object down.
    pub fn ids(&self) -> &[u16] {
        self.ids.get(..self.depth()).unwrap_or_default()
    }

    fn level(self, level: usize) -> Option<u16> {
        self.ids().get(level).copied()
    }

    /// The object id.
    pub fn object_id(self) -> Option<u16> {
        self.level(0)
    }

    /// The object instance id.
    pub fn instance_id(self) -> Option<u16> {
        self.level(1)
    }

    /// The resource id.
    pub fn resource_id(self) -> Option<u16> {
        self.level(2)
    }

    /// The resource instance id.
    pub fn resource_instance_id(self) -> Option<u16> {
        self.level(3)
    }

    /// True when both name a resource of one object, whatever the instances: they have one definition.
    pub(crate) fn is_of_same_type(self, other: ObjectPath) -> bool {
        let [object, _, resource, _] = self.ids;
        let [other_object, _, other_resource, _] = other.ids;
        (object, resource) == (other_object, other_resource) && (self.depth >= 3) == (other.depth >= 3)
    }

    /// True when `other` is this path or lies below it. The root contains everything.
    pub fn contains(self, other: ObjectPath) -> bool {
        other.ids().starts_with(self.ids())
    }

    /// The ids of `self` below `base`; `None` when `self` is not inside of it.
    pub fn below(&self, base: ObjectPath) -> Option<&[u16]> {
        self.ids().strip_prefix(base.ids())
    }
}

/// One segment: ASCII digits without sign or leading zero, at most `max`.
fn parse_id(segment: &str, max: u16) -> Option<u16> {
    let digits = segment.as_bytes();
    let leading_zero = digits.len() > 1 && digits.first() == Some(&b'0');
    if digits.is_empty() || digits.len() > 5 || leading_zero || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    segment.parse().ok().filter(|id| *id <= max)
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.ids().iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl fmt::Debug for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ObjectPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// Order of a tree walk: a path comes before what lies below it.
impl Ord for ObjectPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ids().cmp(other.ids())
    }
}

impl PartialOrd for ObjectPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ObjectPath {
        ObjectPath::parse(text).unwrap()
    }

    #[test]
    fn reads_one_to_four_segments_with_optional_slashes() {
        for (text, shown) in [
            ("/3", "/3"),
            ("3", "/3"),
            ("3/0/", "/3/0"),
            ("/3/0/9", "/3/0/9"),
            ("/3/0/7/1/", "/3/0/7/1"),
            ("/65535/65534/65534/65534", "/65535/65534/65534/65534"),
            ("0/0", "/0/0"),
        ] {
            assert_eq!(path(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_path() {
        for (text, reason) in [
            ("/3/x", "\"/3/x\": \"x\" is not a number 0–65534"),
            ("", "\"\": no object is named"),
            ("/", "\"/\": no object is named"),
            ("//", "\"//\": \"\" is not a number 0–65535"),
            ("/3//", "\"/3//\": \"\" is not a number 0–65534"),
            ("//3", "\"//3\": \"\" is not a number 0–65535"),
            ("/3/../0", "\"/3/../0\": \"..\" is not a number 0–65534"),
            ("/-1", "\"/-1\": \"-1\" is not a number 0–65535"),
            ("/+1", "\"/+1\": \"+1\" is not a number 0–65535"),
            ("/65536", "\"/65536\": \"65536\" is not a number 0–65535"),
            ("/3/65535", "\"/3/65535\": \"65535\" is not a number 0–65534"),
            ("/03", "\"/03\": \"03\" is not a number 0–65535"),
            ("/3/00", "\"/3/00\": \"00\" is not a number 0–65534"),
            ("/3/0/1/2/3", "\"/3/0/1/2/3\": a path has at most 4 numbers"),
            ("/３", "\"/３\": \"３\" is not a number 0–65535"),
            ("/3 ", "\"/3 \": \"3 \" is not a number 0–65535"),
        ] {
            assert_eq!(ObjectPath::parse(text).unwrap_err().to_string(), reason, "{text}");
        }
        let long = ObjectPath::parse(&"9".repeat(10_000_000)).unwrap_err().to_string();
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn the_root_exists_only_for_composite_operations() {
        assert_eq!(ObjectPath::parse_composite("/").unwrap(), ObjectPath::ROOT);
        assert_eq!(ObjectPath::parse_composite("/3/0").unwrap(), path("/3/0"));
        assert!(ObjectPath::parse_composite("").is_err());
        assert_eq!(ObjectPath::ROOT.to_string(), "/");
    }

    #[test]
    fn joins_with_exactly_one_slash() {
        for (base, relative, joined) in [
            ("/6/0/", "1", "/6/0/1"),
            ("/3303", "/1/5700", "/3303/1/5700"),
            ("/3/0", "7/1", "/3/0/7/1"),
            ("/3/0/7", "", "/3/0/7"),
            ("/3/0/7", "/", "/3/0/7"),
        ] {
            assert_eq!(path(base).join(relative).unwrap(), path(joined));
        }
        let reason = path("/3/0").join("7/1/2").unwrap_err().to_string();
        assert_eq!(reason, "\"7/1/2\": a path has at most 4 numbers");
        assert!(path("/3/0").join("65535").is_err());
    }

    #[test]
    fn walks_up_and_down() {
        let resource = path("/3/0/7");
        assert_eq!(resource.parent(), Some(path("/3/0")));
        assert_eq!(resource.child(1).unwrap(), path("/3/0/7/1"));
        assert_eq!(ObjectPath::ROOT.parent(), None);
        assert_eq!(resource.ancestor(1), path("/3"));
        assert_eq!(resource.ancestor(9), resource);
        assert!(path("/3/0/7/1").child(0).is_err());
        assert!(resource.child(65_535).is_err());
        assert!(path("/3").contains(resource) && resource.contains(resource));
        assert!(!path("/3/1").contains(resource) && !resource.contains(path("/3")));
        assert!(!path("/3/0/7").contains(path("/3/0/70")));
        assert!(ObjectPath::ROOT.contains(resource));
        assert_eq!(resource.below(path("/3")), Some(&[0, 7][..]));
        assert_eq!(resource.parent().unwrap(), ObjectPath::from_ids(&[3, 0]).unwrap());
        assert_eq!(
            [resource.object_id(), resource.instance_id(), resource.resource_id()],
            [Some(3), Some(0), Some(7)]
        );
        assert_eq!(resource.resource_instance_id(), None);
    }

    #[test]
    fn sorts_as_a_tree_walk() {
        let mut paths = ["/3/0/7/1", "/3/0", "/10", "/3/0/7", "/3/0/6"].map(path);
        paths.sort();
        assert_eq!(paths.map(|p| p.to_string()), ["/3/0", "/3/0/6", "/3/0/7", "/3/0/7/1", "/10"]);
    }
}
