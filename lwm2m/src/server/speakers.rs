//! Who speaks from an address. Mostly one device; an address may also be that of a simulator or of a gateway of another
//! kind, with several endpoints behind one socket, or one that a NAT has given to another device.
//!
//! A location, a token and an endpoint's name tell the device by themselves. Only Send has none of them.
use super::Lwm2mServer;
use crate::coap::{Event, IncomingRequest};
use crate::device::Device;
use crate::limits::{ADDRESS_REUSE_MS, ADDRESS_SHARERS_MAX};
use crate::path::ObjectPath;
use crate::registration::{Lifetime, Location};
use broker_core::Now;
use broker_core::frontend::Address;

/// What says who spoke: looked at before an event is handled, since handling it may end what it names.
pub(super) enum Speaker {
    /// This device.
    Slot(u32),
    /// Whoever has this name when its Register has been read.
    Name(Box<str>),
    /// The only one at this address, if there is only one.
    At(Address),
    /// Nobody spoke.
    Nobody,
}

impl Lwm2mServer {
    /// Who is behind an event of the CoAP endpoint.
    pub(super) fn speaker(&self, event: &Event<Address>) -> Speaker {
        let of_job = |tag: u64| {
            let job = self.jobs.by_tag(tag).and_then(|id| self.jobs.get(id));
            job.map(|job| job.device)
        };
        let known = match event {
            Event::Request(request) => return self.requester(request),
            Event::Acked { tag, peer, .. } => of_job(*tag).ok_or(peer),
            Event::Response(response) => of_job(response.tag).ok_or(&response.peer),
            Event::Notification(notification) | Event::ObservationEnded(notification) => {
                self.observation_at(notification).map(|(slot, _)| slot).ok_or(&notification.peer)
            }
            Event::Progress { .. } | Event::Failed { .. } | Event::NotificationUnwanted { .. } => {
                return Speaker::Nobody;
            }
        };
        known.map_or_else(|peer| Speaker::At(*peer), Speaker::Slot)
    }

    fn requester(&self, request: &IncomingRequest<Address>) -> Speaker {
        let mut path = request.options.path();
        match (path.next(), path.next()) {
            (Some(b"rd"), Some(location)) => Location::from_bytes(location)
                .and_then(|location| self.devices.by_location(location))
                .map_or(Speaker::Nobody, Speaker::Slot),
            (Some(b"rd"), None) => {
                let name = request.options.query().find_map(|query| query.strip_prefix(b"ep="));
                let name = name.and_then(|name| std::str::from_utf8(name).ok());
                name.map_or(Speaker::At(request.peer), |name| Speaker::Name(name.into()))
            }
            (Some(_) | None, _) => Speaker::At(request.peer),
        }
    }

    /// The device that has spoken, now that it was understood. One that was thought to have lost its address to
    /// another, and speaks from there, shares it.
    pub(super) fn heard_from(&mut self, speaker: Speaker, from: Option<Address>) -> Option<u32> {
        let slot = match speaker {
            Speaker::Slot(slot) => slot,
            Speaker::Name(name) => self.devices.by_name(&name)?,
            Speaker::At(address) => self.devices.only_at(&address)?,
            Speaker::Nobody => return None,
        };
        let is_there = self.devices.get(slot).is_some_and(|device| Some(device.address()) == from);
        if is_there {
            self.devices.appear(slot, ADDRESS_SHARERS_MAX);
        }
        is_there.then_some(slot)
    }

    /// A device has come to its address by a Register or an Update.
    ///
    /// Interpretation: LwM2M leaves open what it means that two endpoints have registered from one address. A NAT
    /// gives an address to another device only when its owner was silent for long (RFC 4787 REQ-5), so who registered
    /// or updated there a moment ago shares it, and who did longer ago has lost it, until it is heard from there again.
    pub(super) fn arrive(&mut self, now: Now, slot: u32) {
        let Some(address) = self.devices.get(slot).map(Device::address) else { return };
        let silent: Vec<u32> = self
            .devices
            .at(&address)
            .filter(|other| *other != slot && !self.spoke_lately(now, *other))
            .collect();
        for other in silent {
            self.devices.displace(other);
        }
        self.devices.appear(slot, ADDRESS_SHARERS_MAX);
    }

    /// Whether a device's last Register or Update is less than a NAT's patience ago.
    fn spoke_lately(&self, now: Now, slot: u32) -> bool {
        let Some(device) = self.devices.get(slot) else { return false };
        let Lifetime::Seconds(seconds) = device.registration.lifetime else { return false };
        let whole = u64::from(seconds) * 1_000 + self.config.lifetime_grace_ms;
        now.instant.as_millis() < device.expires.as_millis().saturating_sub(whole) + ADDRESS_REUSE_MS
    }

    /// Whose a Send is, by what it names. `Err` when several at this address could have sent it.
    ///
    /// Interpretation: a Send (1.1.1 Core §6.4.6) has neither a name nor a location; the peer's address says who sent
    /// it, and a base name in it is a path. Where several endpoints share the address, it is the one that has
    /// registered all that the Send names; if that holds for several, nobody's: values under a wrong name are worse
    /// than none, and the device hears of it.
    pub(super) fn sender(&self, sharers: &[u32], paths: &[ObjectPath]) -> Result<u32, ()> {
        let has_all = |slot: &&u32| {
            self.devices.get(**slot).is_some_and(|device| {
                let links = &device.registration.objects.links;
                paths.iter().all(|path| links.iter().any(|link| link.path.contains(*path)))
            })
        };
        let mut fitting = sharers.iter().filter(has_all);
        match (fitting.next(), fitting.next()) {
            // With so many, there may be more than are known.
            (Some(slot), None) if sharers.len() < ADDRESS_SHARERS_MAX => Ok(*slot),
            (Some(_) | None, _) => Err(()),
        }
    }
}
