//! Topic ids (MQTT-SN §6.5, §6.7, §3): what a client and the gateway call a topic.
//!
//! Three kinds, whose number ranges do not overlap, so that a client that sets the wrong TopicIdType is
//! understood all the same:
//! * normal ids, handed out in a client's [`Registry`],
//! * predefined ids, from the configuration, in [`Predefined`],
//! * short names: two octets that are the topic ([`short_name`]).

pub mod memo;
pub mod predefined;
pub mod registry;

use std::sync::Arc;

use broker_core::topic::TopicNameRef;

pub use memo::{Change, Place, Update};
pub use predefined::{Predefined, PredefinedError};
pub use registry::{Entry, Origin, Registry, RegistryFull};

/// A short topic name (§3) as text, if its two octets can be a topic name at all.
pub fn short_name(octets: &[u8; 2]) -> Option<&str> {
    let text = core::str::from_utf8(octets).ok()?;
    TopicNameRef::new(text).ok().map(TopicNameRef::as_str)
}

/// A subscription that was not made by name: deliveries use the id type that the subscriber used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypedSubscription {
    /// By predefined topic id.
    Predefined(u16),
    /// By short topic name.
    Short([u8; 2]),
}

/// Shares equal topic names between clients: a cache of the names seen last, of fixed size.
#[derive(Debug)]
pub struct NameCache {
    names: Vec<Option<Arc<str>>>,
}

/// Names kept in a [`NameCache`]: popular ones stay, since they are asked for often.
const NAME_CACHE_SLOTS: usize = 1024;

impl Default for NameCache {
    fn default() -> Self {
        NameCache { names: vec![None; NAME_CACHE_SLOTS] }
    }
}

impl NameCache {
    /// An `Arc` of `name`, the same as last time if it is still there.
    pub fn share(&mut self, name: &str) -> Arc<str> {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        let slot = usize::try_from(hash >> 32).unwrap_or(0) % NAME_CACHE_SLOTS;
        let Some(kept) = self.names.get_mut(slot) else { return Arc::from(name) };
        match kept {
            Some(kept) if **kept == *name => Arc::clone(kept),
            Some(_) | None => {
                let fresh: Arc<str> = Arc::from(name);
                *kept = Some(Arc::clone(&fresh));
                fresh
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_topic_names_of_two_octets() {
        assert_eq!(short_name(b"ab"), Some("ab"));
        assert_eq!(short_name(b"/a"), Some("/a"));
        assert_eq!(short_name("é".as_bytes().first_chunk().expect("two octets")), Some("é"));
        for bad in [b"/#", b"+/", b"+#", b"a\0", b"\xff\xfe", b"\xc3a"] {
            assert_eq!(short_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn equal_names_share_one_allocation() {
        let mut cache = NameCache::default();
        let first = cache.share("a/b");
        assert!(Arc::ptr_eq(&first, &cache.share("a/b")));
        for number in 0..100_000 {
            cache.share(&number.to_string());
        }
        assert_eq!(&*cache.share("a/b"), "a/b", "forgotten names are made again");
    }
}
