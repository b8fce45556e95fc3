//! Link format, content format 40 (RFC 6690): the answers of Discover and the lists of Register.
//!
//! `</3/0>;ver=1.1,</3/0/7>;dim=8;pmin="10"`. A comma or semicolon inside quotes belongs to the value.
//! Read are also: spaces around separators, attributes without value, an attribute before the first link
//! (`lwm2m="1.0",</0>` of bootstrap discovery), and one alone.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::fmt;

use super::{ContentError, steps};
use crate::limits::{ContentLimits, LINK_ATTRIBUTES_MAX, LINK_BYTES_MAX};
use crate::path::{ObjectPath, PathError};

/// One link of a list, borrowed from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'t> {
    raw: &'t str,
    target: Option<&'t str>,
    /// The attributes as they came: a list of a thousand links with thirty each would take a megabyte otherwise.
    attributes: &'t str,
}

/// One attribute as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'t> {
    /// Name, without spaces.
    pub name: &'t str,
    /// What follows the "=", with its quotes; `None` without "=".
    pub raw_value: Option<&'t str>,
}

/// What a link names, seen from the device's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The root itself: "/" or the alternate path.
    Root,
    /// An object or something below it.
    Object(ObjectPath),
    /// Something that is none of LwM2M's business, such as `</sensors>`.
    Other,
}

impl<'t> Attribute<'t> {
    /// The value without quotes and escapes; `None` without "=".
    pub fn value(&self) -> Option<Cow<'t, str>> {
        let raw = self.raw_value?;
        let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Some(Cow::Borrowed(raw));
        };
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        let mut out = String::with_capacity(inner.len());
        let mut letters = inner.chars();
        while let Some(letter) = letters.next() {
            out.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
        Some(Cow::Owned(out))
    }
}

impl<'t> Link<'t> {
    /// The link as it came, for people: `</3/0/7>;dim=8`.
    pub fn as_str(&self) -> &'t str {
        self.raw
    }

    /// What stands between "<" and ">"; "" for attributes that belong to no link.
    pub fn target(&self) -> &'t str {
        self.target.unwrap_or_default()
    }

    /// The attributes in their order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'t>> + use<'t> {
        let mut scanner = Scanner { text: self.attributes, at: 0 };
        std::iter::from_fn(move || {
            scanner.skip_spaces();
            if scanner.peek() == Some(b';') {
                scanner.at += 1;
                scanner.skip_spaces();
            }
            scanner.peek()?;
            scanner.attribute().ok() // as it was when the link was read
        })
    }

    /// The first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'t>> {
        // Nearly all that is asked for is not there, which one look shows.
        if !self.attributes.contains(name) {
            return None;
        }
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// The value of the first attribute of this name; `None` when it is absent or has none.
    pub fn value(&self, name: &str) -> Option<Cow<'t, str>> {
        self.attribute(name)?.value()
    }

    /// True when `rt` says that this link is the root of LwM2M (1.0 §8.2.4): its values may be several.
    pub fn is_lwm2m_root(&self) -> bool {
        self.value("rt").is_some_and(|types| types.split(' ').any(|rt| rt == "oma.lwm2m"))
    }

    /// The numbers of the `ct` attribute, quoted or not; what is no number is passed over.
    pub fn content_formats(&self) -> Vec<u16> {
        let ct = self.value("ct").unwrap_or_default();
        ct.split([' ', ',']).filter_map(|number| number.parse().ok()).take(LINK_ATTRIBUTES_MAX).collect()
    }

    /// What the target means below `root`, the alternate path ("" or "/" for none). A target that begins
    /// with a number but is no path is an error.
    pub fn place(&self, root: &str) -> Result<Target, PathError> {
        let Some(target) = self.target else { return Ok(Target::Other) };
        let root = root.trim_end_matches('/');
        // Interpretation: links without the alternate path are taken as they are (some clients omit it).
        let own = match target.strip_prefix(root) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            Some(_) | None => target,
        };
        if own.is_empty() || own == "/" {
            return Ok(Target::Root);
        }
        if !own.trim_start_matches('/').starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Target::Other);
        }
        ObjectPath::parse(own).map(Target::Object)
    }

    /// The link without attributes that have no value, which some readers of MQTT answers trip over.
    pub fn without_bare_attributes(&self) -> String {
        let mut out = self.target.map(|target| format!("<{target}>")).unwrap_or_default();
        for attribute in self.attributes() {
            if let Some(value) = attribute.raw_value {
                let separator = if out.is_empty() { "" } else { ";" };
                out.push_str(&format!("{separator}{}={value}", attribute.name));
            }
        }
        out
    }
}

/// Shows the link as it came.
impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

/// The links of a list; none for an empty one.
pub fn decode<'t>(bytes: &'t [u8], limits: &ContentLimits) -> Result<Vec<Link<'t>>, ContentError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ContentError::Malformed { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut links = Vec::new();
    if text.trim().is_empty() {
        return Ok(links);
    }
    let mut scanner = Scanner { text, at: 0 };
    loop {
        if links.len() >= limits.links_max {
            return Err(ContentError::TooMany(limits.links_max));
        }
        links.push(scanner.link()?);
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(_) => return Err(scanner.malformed("a \",\" belongs between links")),
            None => return Ok(links),
        }
    }
}

/// The text of a list.
pub fn encode(links: &[Link<'_>]) -> String {
    links.iter().map(Link::as_str).collect::<Vec<_>>().join(",")
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn malformed(&self, what: &'static str) -> ContentError {
        ContentError::Malformed { at: self.at, what }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        // Nearly always there is none, and an ASCII octet settles it.
        if rest.as_bytes().first().is_some_and(u8::is_ascii_graphic) {
            return;
        }
        let spaces = rest.len() - rest.trim_start().len();
        steps::count(1 + spaces);
        self.at += spaces;
    }

    fn take(&mut self, length: usize) -> &'t str {
        steps::count(1 + length);
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// Octets before the first one of these, or all that are left.
    fn length_until(&self, ends: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest().as_bytes();
        rest.iter().position(|octet| ends(*octet)).unwrap_or(rest.len())
    }

    fn link(&mut self) -> Result<Link<'t>, ContentError> {
        self.skip_spaces();
        let start = self.at;
        let (mut target, mut attributes) = (None, 0);
        if self.peek() == Some(b'<') {
            self.at += 1;
            let end = self.length_until(|octet| matches!(octet, b'>' | b'<' | b'"'));
            if self.rest().as_bytes().get(end) != Some(&b'>') {
                return Err(self.malformed("a link without \">\""));
            }
            target = Some(self.take(end));
            self.at += 1;
        } else {
            // Interpretation: an attribute where a link should be describes the whole list.
            self.attribute()?;
            attributes = 1;
        }
        let attributes_start = if target.is_some() { self.at } else { start };
        loop {
            let end = self.at;
            self.skip_spaces();
            if end - start > LINK_BYTES_MAX {
                return Err(ContentError::TooLarge(LINK_BYTES_MAX));
            }
            if self.peek() != Some(b';') {
                let text = |from| self.text.get(from..end).unwrap_or_default().trim_end();
                return Ok(Link { raw: text(start), target, attributes: text(attributes_start) });
            }
            self.at += 1;
            self.skip_spaces();
            if attributes >= LINK_ATTRIBUTES_MAX {
                return Err(ContentError::TooMany(LINK_ATTRIBUTES_MAX));
            }
            self.attribute()?;
            attributes += 1;
        }
    }

    fn attribute(&mut self) -> Result<Attribute<'t>, ContentError> {
        let ends_name = |octet: u8| matches!(octet, b';' | b',' | b'=' | b'<' | b'>' | b'"' | 9..=13 | b' ');
        let end = self.length_until(|octet| ends_name(octet) || !octet.is_ascii());
        let name_end = match self.rest().as_bytes().get(end) {
            Some(octet) if !octet.is_ascii() => {
                let ends = |c: char| u8::try_from(c).is_ok_and(ends_name) || c.is_whitespace();
                self.rest().find(ends).unwrap_or(self.rest().len())
            }
            Some(_) | None => end,
        };
        let name = self.take(name_end);
        if name.is_empty() {
            return Err(self.malformed("a link or an attribute is missing"));
        }
        self.skip_spaces();
        if self.peek() != Some(b'=') {
            return Ok(Attribute { name, raw_value: None });
        }
        self.at += 1;
        self.skip_spaces();
        let length = match self.peek() {
            Some(b'"') => self.quoted_length()?,
            Some(_) | None => self.length_until(|octet| matches!(octet, b';' | b',' | b'<' | b'>' | b'"')),
        };
        let value = match self.take(length) {
            value if value.as_bytes().last().is_some_and(u8::is_ascii_graphic) => value,
            spaced => spaced.trim_end(),
        };
        Ok(Attribute { name, raw_value: Some(value) })
    }

    /// Length of the quoted string that starts here, both quotes counted.
    fn quoted_length(&self) -> Result<usize, ContentError> {
        let mut escaped = false;
        for (place, byte) in self.rest().bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(place + 1),
                _ => {} // any other byte
            }
        }
        Err(self.malformed("a quote without its end"))
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
#[path = "link_tests.rs"]
mod tests;
