//! Where a device's topics are: its name, and the address that it registered from where the mount point has one.
use super::topics::Place;
use super::{Leaf, Lwm2mServer};
use crate::json_text::JsonText;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};
use std::collections::HashMap;

/// The addresses that devices registered from, by slot. Empty unless the mount point has them.
pub(super) type Hosts = HashMap<u32, Box<str>>;

/// The IP address as text: an IPv4 device is one on a socket for both families too.
fn host_of(address: &Address) -> Box<str> {
    address.remote.ip().to_canonical().to_string().into()
}

impl Lwm2mServer {
    /// The device has registered from here, or was found there after a restart.
    pub(super) fn place_at(&mut self, now: Now, slot: u32, address: &Address, out: &mut Actions) {
        if !self.config.topics.has_host() {
            return;
        }
        let host = host_of(address);
        if self.hosts.get(&slot).is_some_and(|before| *before != host) {
            // Nothing more comes where it was; the retained word there must not say "online" for ever.
            let status = JsonText::object()
                .text("status", "offline")
                .number("time", now.unix_ms)
                .text("reason", "moved")
                .end();
            self.publish_status(slot, &status, out);
        }
        self.hosts.insert(slot, host);
    }

    /// A session from before the start says where its topics were.
    pub(super) fn restore_place(&mut self, slot: u32, host: Option<Box<str>>, address: &Address) {
        if self.config.topics.has_host() {
            self.hosts.insert(slot, host.unwrap_or_else(|| host_of(address)));
        }
    }

    /// Takes a device out, with its place.
    pub(super) fn remove_device(&mut self, slot: u32) {
        self.hosts.remove(&slot);
        self.devices.remove(slot);
    }

    /// A device's place; `None` when the slot is free.
    pub(super) fn place(&self, slot: u32) -> Option<Place<'_>> {
        let endpoint = &*self.devices.get(slot)?.registration.endpoint;
        Some(Place { endpoint, host: self.hosts.get(&slot).map_or("", |host| host) })
    }

    /// A device's topic; `None` where nothing is to be published.
    pub(super) fn topic(&self, slot: u32, leaf: &Leaf) -> Option<String> {
        let place = self.place(slot).filter(|_| !leaf.name.is_empty())?;
        Some(self.config.topics.of(place, &leaf.name))
    }

    /// The device that a command topic leads to.
    pub(super) fn at_place(&self, place: Place<'_>) -> Option<u32> {
        self.devices.by_name(place.endpoint).filter(|slot| self.place(*slot) == Some(place))
    }
}
