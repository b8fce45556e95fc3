//! Bounds of the LwM2M side: every loop, queue and buffer that a device or a file could stretch.
//!
//! Each constant names its unit, its reason and what happens when it is reached. The structs bundle those
//! that an operator may change; their `Default` is the constant.

/// Longest JSON document that is read from a device, in bytes. A full Device instance is under 2 KiB, so
/// this is room for large objects. Reaction: the content is refused as too large.
pub const JSON_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of arrays and objects in JSON. SenML needs 2, the old JSON 3. Reaction: the content is
/// refused before anything is built.
pub const JSON_DEPTH_MAX: usize = 32;

/// Deepest nesting in CBOR, tags counted. LwM2M CBOR needs 6 at most. Reaction: the content is refused.
pub const CBOR_DEPTH_MAX: usize = 16;

/// Most values (or paths) in one content. Real objects stay under 200. Reaction: the content is refused.
pub const ENTRIES_MAX: usize = 4096;

/// Longest decimal number, in characters: more than any device prints, less than hurts. Reaction: the
/// value is refused.
pub const NUMBER_TEXT_MAX: usize = 128;

/// Longest excerpt of foreign text inside one of our error texts, in characters. Reaction: cut with "…".
pub const EXCERPT_MAX: usize = 64;

/// Most links in one link-format list: a device with more than a thousand object instances is not a
/// device. Reaction: refused as too large (4.13 for a registration).
pub const LINKS_MAX: usize = 1024;

/// Most attributes of one link. The specifications know eleven. Reaction: refused.
pub const LINK_ATTRIBUTES_MAX: usize = 32;

/// Longest single link with its attributes, in bytes. Reaction: refused as too large.
pub const LINK_BYTES_MAX: usize = 2048;

/// Largest XML file of the object catalog, in bytes; the largest of the registry has 33 KB. Reaction: one
/// warning, the file is skipped.
pub const CATALOG_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deepest nesting of elements in a catalog file; the schema has 5 levels. Reaction: as above.
pub const CATALOG_DEPTH_MAX: usize = 32;

/// Most files that one load of the catalog reads; the whole registry with its history has 754. Reaction:
/// one warning, the rest is left out.
pub const CATALOG_FILES_MAX: usize = 4096;

/// Most object versions in the catalog. Reaction: one warning per file that brings more, which is skipped.
pub const CATALOG_OBJECTS_MAX: usize = 8192;

/// Longest text (name, units, range) that the catalog keeps of one element, in bytes. Reaction: cut.
pub const CATALOG_TEXT_MAX: usize = 512;

/// What a content decoder may spend on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// See [`JSON_BYTES_MAX`].
    pub json_bytes_max: usize,
    /// See [`JSON_DEPTH_MAX`].
    pub json_depth_max: usize,
    /// See [`CBOR_DEPTH_MAX`].
    pub cbor_depth_max: usize,
    /// See [`ENTRIES_MAX`].
    pub entries_max: usize,
    /// See [`LINKS_MAX`].
    pub links_max: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        ContentLimits {
            json_bytes_max: JSON_BYTES_MAX,
            json_depth_max: JSON_DEPTH_MAX,
            cbor_depth_max: CBOR_DEPTH_MAX,
            entries_max: ENTRIES_MAX,
            links_max: LINKS_MAX,
        }
    }
}

/// Foreign text for an error message: at most [`EXCERPT_MAX`] characters, control characters replaced.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out: String =
        text.chars().take(EXCERPT_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(EXCERPT_MAX).is_some() {
        out.push('…');
    }
    out
}
