//! Registrations: what a device says of itself, and how it is kept over a restart.
//!
//! | file | what |
//! |---|---|
//! | `endpoint.rs` | which endpoint names are acceptable |
//! | `parameters.rs` | the query of Register and Update |
//! | `links.rs` | the object list |
//! | `kinds.rs` | one copy of what many devices say |
//! | `memo.rs` | the registration as bytes |
//!
//! Sections: LwM2M 1.0 §5.3, 1.1.1 Core §6.2.1 and §6.2.2, Transport §6.4.3.
#![deny(clippy::indexing_slicing)]
mod bytes;
mod endpoint;
mod kinds;
mod links;
mod memo;
mod parameters;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests;

pub use endpoint::{NameFault, check_endpoint_name};
pub(crate) use kinds::Kinds;
pub use links::ObjectList;
pub(crate) use memo::MemoParts;
pub use memo::{Memo, SavedAsker, SavedObservation};
pub(crate) use parameters::default_lifetime;
pub use parameters::{LifetimeRule, Parameters};

use crate::catalog::Version;
use crate::path::ObjectPath;
use std::ops::Deref;
use std::sync::Arc;

/// Why a Register or Update is refused; the text goes out as diagnostic payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 4.00.
    BadRequest(&'static str),
    /// 4.12: the device may try a lower version (1.1.1 Core §6.2.1).
    UnsupportedVersion,
    /// 4.13.
    TooLarge(&'static str),
}

/// Letters and digits of a location.
pub const LOCATION_LEN: usize = 10;

/// The second segment of `/rd/<location>`: what a device is known by from Register on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location([u8; LOCATION_LEN]);

impl Location {
    /// A location out of 64 unpredictable bits.
    pub fn from_random(random: u64) -> Location {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut rest = random;
        let letters = [(); LOCATION_LEN].map(|()| {
            let letter = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
            rest /= 62;
            letter
        });
        Location(letters)
    }

    /// The location that these bytes of a Uri-Path or memo name; `None` when they cannot be one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Location> {
        let letters: [u8; LOCATION_LEN] = bytes.try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphanumeric).then_some(Location(letters))
    }

    /// Its letters.
    pub fn as_bytes(&self) -> &[u8; LOCATION_LEN] {
        &self.0
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Location(..)") // who knows it can end the registration
    }
}

/// How long a registration lives without an Update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So many seconds, at least 1.
    Seconds(u32),
    /// Until it is ended.
    Infinite,
}

/// An object or object instance of the list, with the version that the device gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectLink {
    /// One or two levels.
    pub path: ObjectPath,
    /// The `ver` attribute.
    pub version: Option<Version>,
}

/// What a device has registered: its name, and what is in common with many others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its name.
    pub endpoint: Arc<str>,
    /// All else; devices of a kind have it together.
    pub terms: Arc<Terms>,
}

impl Deref for Registration {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.terms
    }
}

/// What a device has said of itself but for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// LwM2M 1.0 to 1.2.
    pub version: Version,
    /// It said "1" for 1.0; EMQX's events show what was sent.
    pub version_is_short: bool,
    /// Its lifetime, within our bounds.
    pub lifetime: Lifetime,
    /// The lifetime in seconds that it asked for, as events show it.
    pub lifetime_asked: u64,
    /// `b` as sent; `None`: "U".
    pub binding: Option<Box<str>>,
    /// Queue mode: `Q`, or in 1.0 a Q in `b`.
    pub queue: bool,
    /// `sms` as sent.
    pub sms: Option<Box<str>>,
    /// Parameters that LwM2M does not know, for the event. Secrets are not among them.
    pub extras: Box<[(Box<str>, Box<str>)]>,
    /// Its objects.
    pub objects: Arc<ObjectList>,
}

impl Terms {
    /// The binding, "U" when it was not given.
    pub fn binding(&self) -> &str {
        self.binding.as_deref().unwrap_or("U")
    }

    /// What holds after an Update; what it does not name stays. `None` when nothing changes.
    pub fn updated(&self, parameters: Parameters, objects: Option<Arc<ObjectList>>) -> Option<Terms> {
        if objects.is_none() && parameters.says_nothing() {
            return None;
        }
        let mut terms = self.clone();
        if let Some((lifetime, asked)) = parameters.lifetime {
            (terms.lifetime, terms.lifetime_asked) = (lifetime, asked);
        }
        if let Some(binding) = parameters.binding {
            terms.queue = match terms.version {
                Version::V1_0 => binding.contains('Q'),
                Version { .. } => terms.queue || binding.contains('Q'),
            };
            terms.binding = Some(binding);
        }
        terms.queue |= parameters.queue;
        if parameters.sms.is_some() {
            terms.sms = parameters.sms;
        }
        if !parameters.extras.is_empty() {
            let mut extras = terms.extras.into_vec();
            extras.retain(|(name, _)| parameters.extras.iter().all(|(newer, _)| newer != name));
            extras.extend(parameters.extras);
            extras.truncate(crate::limits::EXTRA_PARAMETERS_MAX);
            terms.extras = extras.into();
        }
        if let Some(objects) = objects {
            terms.objects = objects;
        }
        (terms != *self).then_some(terms)
    }
}
