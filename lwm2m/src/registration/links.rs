//! The object list of Register and Update (1.1.1 Core §6.2.1, Transport §6.4.1).
use super::{ObjectLink, Refusal};
use crate::catalog::Version;
use crate::content::{ContentError, link};
use crate::json_text::path_list;
use crate::limits::{CONTENT_FORMATS_MAX, ContentLimits, ROOT_BYTES_MAX};
use crate::path::ObjectPath;

/// What a device has, and how it is reached there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectList {
    /// The alternate path without slash at its end; "" for none.
    pub root: Box<str>,
    /// Content-Formats of the root link's `ct`.
    pub formats: Box<[u16]>,
    /// Objects and instances in the order given.
    pub links: Box<[ObjectLink]>,
    /// Their paths as a JSON list, which stands in two messages for each Register and Update.
    json: Box<str>,
}

impl ObjectList {
    /// A list of these links.
    pub fn new(root: &str, formats: Vec<u16>, links: Vec<ObjectLink>) -> ObjectList {
        let json = path_list(links.iter().map(|link| link.path)).into();
        ObjectList { root: root.into(), formats: formats.into(), links: links.into(), json }
    }

    /// The paths as a JSON list.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Reads a list in link format.
    ///
    /// # Errors
    /// When it is malformed, names no object, or is too large.
    pub fn parse(payload: &[u8], limits: &ContentLimits) -> Result<ObjectList, Refusal> {
        let read = link::decode(payload, limits).map_err(|error| match error {
            ContentError::TooLarge(_) | ContentError::TooMany(_) => Refusal::TooLarge("too many links"),
            ContentError::UnknownFormat(_)
            | ContentError::Unfit { .. }
            | ContentError::Truncated(_)
            | ContentError::TooDeep(_)
            | ContentError::Malformed { .. }
            | ContentError::NotJson { .. }
            | ContentError::Shape(_)
            | ContentError::Path(_)
            | ContentError::Outside { .. }
            | ContentError::NotAResource(_)
            | ContentError::Twice(_)
            | ContentError::Value { .. } => Refusal::BadRequest("the object list is not in link format"),
        })?;
        // Interpretation: "</>;ct=110" without rt is meant as the root too.
        let root_link = read
            .iter()
            .find(|link| link.is_lwm2m_root())
            .or_else(|| read.iter().find(|link| link.target() == "/"));
        let root = root_link.map_or("", |link| link.target().trim_end_matches('/'));
        if root.len() > ROOT_BYTES_MAX || root.chars().any(char::is_control) {
            return Err(Refusal::BadRequest("the alternate path is too long"));
        }
        let formats = root_link.map(link::Link::content_formats).unwrap_or_default();
        let mut links: Vec<ObjectLink> = Vec::with_capacity(read.len());
        let mut elsewhere = false;
        for link in &read {
            match link.place(root) {
                Ok(link::Target::Object(path)) => links.extend(listed(path, link)),
                // Interpretation: objects below a path that no root link names are a list, though not one of ours
                // can be reached by it (EMQX case07_register_alternate_path_01).
                Ok(link::Target::Other) => elsewhere |= ends_in_a_number(link.target()),
                Ok(link::Target::Root) => {}
                Err(_) => return Err(Refusal::BadRequest("a link is no object path")),
            }
        }
        let links = each_once(links);
        if links.is_empty() && !elsewhere {
            return Err(Refusal::BadRequest("the object list is empty"));
        }
        Ok(ObjectList::new(root, formats.into_iter().take(CONTENT_FORMATS_MAX).collect(), links))
    }

    /// Whether the device has this object (any instance of it), or this instance.
    pub fn has(&self, path: ObjectPath) -> bool {
        self.links.iter().any(|link| path.contains(link.path) || link.path == path.ancestor(1))
    }

    /// `ver` of each object that has one.
    pub fn versions(&self) -> Vec<(u16, Version)> {
        self.links.iter().filter_map(|link| Some((link.path.object_id()?, link.version?))).collect()
    }

    /// The lowest instance id that the list does not name.
    pub fn free_instance(&self, object: ObjectPath) -> u16 {
        let taken = |id: &u16| object.child(*id).is_ok_and(|path| self.links.iter().any(|l| l.path == path));
        (0..u16::MAX).find(|id| !taken(id)).unwrap_or(0)
    }
}

/// Whether a target looks like an object or instance below some path.
fn ends_in_a_number(target: &str) -> bool {
    let last = target.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// An object or instance as it is kept. Security and OSCORE objects are never listed (1.1.1 Core §6.2.1); what lies
/// below an instance is not an object of its own.
fn listed(path: ObjectPath, link: &link::Link<'_>) -> Option<ObjectLink> {
    let secret = matches!(path.object_id(), Some(0 | 21));
    if secret || path.depth() > 2 {
        return None;
    }
    let version = link.value("ver").and_then(|text| Version::parse(text.trim()));
    Some(ObjectLink { path, version })
}

/// Of several links to one place the first one stays, with the first version that any of them names. Sorted, so that
/// a list of a thousand costs ten thousand comparisons and not half a million.
fn each_once(mut links: Vec<ObjectLink>) -> Vec<ObjectLink> {
    let mut order: Vec<usize> = (0..links.len()).collect();
    order.sort_by_key(|place| links.get(*place).map(|link| link.path)); // stable: the first one of each path first
    let mut later: Vec<usize> = Vec::new();
    let mut first: Option<usize> = None;
    for place in order {
        let Some(link) = links.get(place).copied() else { continue };
        match first.and_then(|first| links.get_mut(first)).filter(|known| known.path == link.path) {
            Some(known) => {
                known.version = known.version.or(link.version);
                later.push(place);
            }
            None => first = Some(place),
        }
    }
    if !later.is_empty() {
        later.sort_unstable();
        let mut place = 0..;
        links.retain(|_| place.next().is_some_and(|place| later.binary_search(&place).is_err()));
    }
    links
}
