//! Bringing the image to the device: pushed to /5/0/0, or fetched by the device from where /5/0/1 says.
use super::{number, resource};
use crate::coap::{Code, IncomingRequest, Options, Response};
use crate::command::{FirmwareSource, Item, Operation, WriteMode};
use crate::content::Entry;
use crate::registration::Location;
use crate::server::{Config, Lwm2mServer};
use crate::value::Value;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};
use bytes::Bytes;
use coap_lite::CoapOption;
use std::net::{IpAddr, SocketAddr};

/// URI schemes by their number in resource 8 of object 5.
const PROTOCOLS: [&str; 6] = ["coap", "coaps", "http", "https", "coap+tcp", "coaps+tcp"];

/// Whether the device fetches over the scheme of this URI. Without resource 8 it is CoAP (registry, object 5).
fn check_protocol(items: &[Item], uri: &str) -> Result<(), String> {
    let scheme = uri.split("://").next().unwrap_or_default().to_ascii_lowercase();
    let mut named: Vec<String> = items
        .iter()
        .filter(|item| resource(8).contains(item.entry.path))
        .map(|item| item.entry.value.to_text())
        .map(|number| {
            number.parse().ok().and_then(|n: usize| PROTOCOLS.get(n)).map_or(number, |p| (*p).into())
        })
        .collect();
    if named.is_empty() {
        named.push(PROTOCOLS[0].to_owned());
    }
    if named.contains(&scheme) {
        return Ok(());
    }
    Err(format!("the device does not fetch over {scheme}; it knows {}", named.join(", ")))
}

pub(super) fn write_uri(uri: &str) -> Operation {
    let entries = vec![Entry::new(resource(1), Value::String(uri.to_owned()))];
    Operation::Write { path: resource(1), mode: WriteMode::Replace, entries }
}

fn write_package(package: Bytes) -> Operation {
    let entries = vec![Entry::new(resource(0), Value::Opaque(package))];
    Operation::Write { path: resource(0), mode: WriteMode::Replace, entries }
}

/// What brings the device back to state 0: an empty URI, or where it takes none, a package of one zero byte.
pub(super) fn reset(push_only: bool) -> Operation {
    if push_only { write_package(Bytes::from_static(b"\0")) } else { write_uri("") }
}

/// Where a device at this address finds its image: the very address that it talks to.
fn fetch_uri(config: &Config, address: &Address, token: Location) -> Option<String> {
    let bound = config.listeners.get(usize::from(address.listener.0)).copied();
    let bound_ip = bound.map(|bound| bound.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
    let ip = address.local.or(bound_ip)?;
    let host = SocketAddr::new(ip.to_canonical(), bound?.port());
    let token = std::str::from_utf8(token.as_bytes()).ok()?;
    Some(format!("coap://{host}/fw/{token}"))
}

impl Lwm2mServer {
    /// The request that brings the image: the image itself, or where the device finds it.
    pub(super) fn loading(&mut self, slot: u32, items: &[Item]) -> Result<Operation, String> {
        let gone = || "the update is over".to_owned();
        let device = self.devices.get(slot).ok_or_else(gone)?;
        let saved = &device.firmware.as_ref().ok_or_else(gone)?.saved;
        if let FirmwareSource::Uri(uri) = &saved.source {
            check_protocol(items, uri)?;
            return Ok(write_uri(uri));
        }
        // Delivery: 0 pull only, 1 push only, 2 both; absent is push.
        let pull_only = number(items, 9) == Some(0);
        let uri = fetch_uri(&self.config, &device.address(), saved.token);
        let image = self.image_of(slot)?;
        if !pull_only {
            return Ok(write_package(image));
        }
        let uri = uri.ok_or("the device only fetches, and our address is not known: set lwm2m.bind to it")?;
        check_protocol(items, &uri)?;
        Ok(write_uri(&uri))
    }

    /// The image of a device's update. After a restart it is read again.
    fn image_of(&mut self, slot: u32) -> Result<Bytes, String> {
        let gone = || "the update is over".to_owned();
        let firmware =
            self.devices.get_mut(slot).and_then(|device| device.firmware.as_mut()).ok_or_else(gone)?;
        let FirmwareSource::File(name) = &firmware.saved.source else { return Err(gone()) };
        if !firmware.held {
            self.images.acquire(name).map_err(|fault| fault.answer().1)?;
            firmware.held = true;
        }
        self.images.admit(firmware.saved.token, slot);
        self.images.get(name).ok_or_else(gone)
    }

    /// A device that is on its way finds its image, also after a restart of ours.
    pub(super) fn admit_fetcher(&mut self, slot: u32) {
        let _image = self.image_of(slot); // without one the next GET is answered 4.04
    }

    /// GET /fw/<token>: a device fetches its image, from whatever port of its address: many open another socket for
    /// downloads. Its blocks are cut by the CoAP layer.
    pub(in crate::server) fn on_fetch(
        &mut self,
        now: Now,
        token: &[u8],
        request: &IncomingRequest<Address>,
        out: &mut Actions,
    ) {
        let slot = self.images.fetcher(token).filter(|slot| {
            let device = self.devices.get(*slot);
            device.is_some_and(|device| device.address().remote.ip() == request.peer.remote.ip())
        });
        let image = slot.and_then(|slot| match &self.devices.get(slot)?.firmware.as_ref()?.saved.source {
            FirmwareSource::File(name) => self.images.get(name),
            FirmwareSource::Uri(_) => None,
        });
        let (Some(slot), Some(image)) = (slot, image) else {
            return self.respond(now, request.id, Response::new(Code::NOT_FOUND));
        };
        // Who knows this name has received it from us, at this address.
        self.coap.trust(&request.peer);
        let block = request.options.uint(CoapOption::Block2).unwrap_or(0);
        let place = (block >> 4) as usize * (16 << (block & 7));
        let total = image.len();
        // The token changes with every update, so it names the representation too.
        let options = Options::new()
            .with(CoapOption::ETag, token.get(..8).unwrap_or(token))
            .with_uint(CoapOption::ContentFormat, 42);
        let response = Response::new(Code::CONTENT).with_options(options).with_payload(image);
        self.respond(now, request.id, response);
        self.tell_progress(now, slot, place, total, out);
    }
}
