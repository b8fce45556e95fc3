//! Firmware images: where they come from, and those that are in use.
use crate::coap::Code;
use crate::registration::Location;
use bytes::Bytes;
use std::collections::HashMap;

/// Why there is no image; the texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// Answered 4.04: there is no such image, or none can be had.
    Missing(String),
    /// Answered 4.13.
    TooLarge(String),
}

impl ImageFault {
    /// The code and the text of the answer.
    pub(super) fn answer(self) -> (Code, String) {
        match self {
            ImageFault::Missing(text) => (Code::NOT_FOUND, text),
            ImageFault::TooLarge(text) => (Code::REQUEST_ENTITY_TOO_LARGE, text),
        }
    }
}

/// Where images come from. The driver reads files.
pub trait Images: Send {
    /// The whole image of this plain file name.
    ///
    /// # Errors
    /// Why there is none.
    fn open(&self, name: &str) -> Result<Bytes, ImageFault>;
}

/// Images in use, each held once, and which device fetches under which name.
#[derive(Default)]
pub(in crate::server) struct Store {
    source: Option<Box<dyn Images>>,
    open: HashMap<Box<str>, (Bytes, usize)>,
    fetchers: HashMap<Location, u32>,
}

impl Store {
    pub(super) fn set_source(&mut self, source: Box<dyn Images>) {
        self.source = Some(source);
    }

    /// Takes an image into use.
    pub(super) fn acquire(&mut self, name: &str) -> Result<(), ImageFault> {
        if let Some((_, users)) = self.open.get_mut(name) {
            *users += 1;
            return Ok(());
        }
        let unset = || ImageFault::Missing("lwm2m.firmware_dir is not set".into());
        let image = self.source.as_ref().ok_or_else(unset)?.open(name)?;
        self.open.insert(name.into(), (image, 1));
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<Bytes> {
        self.open.get(name).map(|(image, _)| image.clone())
    }

    pub(super) fn release(&mut self, name: &str) {
        if let Some((_, users)) = self.open.get_mut(name) {
            *users -= 1;
            if *users == 0 {
                self.open.remove(name);
            }
        }
    }

    /// The device may fetch under this name.
    pub(super) fn admit(&mut self, token: Location, slot: u32) {
        self.fetchers.insert(token, slot);
    }

    pub(super) fn dismiss(&mut self, token: Location) {
        self.fetchers.remove(&token);
    }

    pub(super) fn fetcher(&self, token: &[u8]) -> Option<u32> {
        self.fetchers.get(&Location::from_bytes(token)?).copied()
    }
}
