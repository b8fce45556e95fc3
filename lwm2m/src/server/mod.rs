//! [`Lwm2mServer`]: the LwM2M front-end. CoAP datagrams and broker events in; datagrams and requests out.
//!
//! ```text
//!   device ─ CoAP ─► on_register on_update on_deregister on_send   registrations, values that come by themselves
//!                    responses ─► notifications                    what commands and observations bring
//!   MQTT ── service session ─► commands ── Enqueue ─► the device's session ─► deliveries ─► run ─► CoAP
//!                    answers ◄─────────────────────────────────────────────── responses ◄───┘
//! ```
//! Nothing is queued here that the broker can queue: a command waits in its device's session (window 1, so one runs
//! at a time), its fate comes back with the message, and the message is the command's own topic and payload. What a
//! restart must find again is in the session's memo before a device or an asker hears of it.
mod commands;
mod config;
mod counters;
mod deliveries;
mod ending;
pub mod firmware;
pub mod formats;
mod job;
mod lifecycle;
mod memos;
mod notifications;
mod observations;
mod on_deregister;
mod on_register;
mod on_send;
mod on_update;
mod places;
mod queue_mode;
mod requests;
mod responses;
mod run;
mod service;
mod speakers;
#[cfg(test)]
mod tests;
mod timeout;
mod topics;
mod trace;

use crate::catalog::{Catalog, DeviceModel, Version};
use crate::coap::{
    self, Budget, Code, Endpoint, Event, IncomingRequest, Options, RequestId, Response, Source,
};
use crate::device::Device;
use crate::devices::Devices;
use crate::limits::{ContentLimits, EVENT_ROUNDS_MAX, EVENTS_KEPT};
use crate::registration::Kinds;
use broker_core::frontend::{Actions, Address, Frontend, Peer};
use broker_core::link::FrontendId;
use broker_core::wheel::{Due, TICK_BITS_DEFAULT, Wheel};
use broker_core::{FromBroker, Instant, LinkId, Now, ToBroker};
use coap_lite::CoapOption;
use std::sync::Arc;

pub use config::{AutoObserve, AwakeWindows, Config, NewAddress, UpdateEvents};
pub use counters::Counters;
pub use firmware::{ImageFault, Images};
pub use topics::{BadLeaf, BadMountpoint, Leaf, Place, Topics};

use job::Jobs;
use service::Service;

/// Link slot of the service session; devices follow.
const SERVICE_LINK: u32 = 0;

/// The LwM2M server of one worker.
pub struct Lwm2mServer {
    config: Config,
    worker: u8,
    catalog: Arc<Catalog>,
    limits: ContentLimits,
    coap: Endpoint<Address>,
    coap_out: coap::Output<Address>,
    /// Memory for what CoAP has to say, empty between calls.
    events: Vec<Event<Address>>,
    devices: Devices,
    hosts: places::Hosts,
    kinds: Kinds,
    jobs: Jobs,
    images: firmware::Store,
    service: Service,
    wheel: Wheel<u32>,
    /// Timers that came due, empty between calls.
    due: Vec<Due<u32>>,
    registers: Budget,
    store_tag: u32,
    /// Memory for the topics and texts that every registration publishes.
    topic: String,
    text: String,
    /// Identity that the transport of the datagram at hand has proven.
    identity: Option<Arc<str>>,
    counters: Counters,
    tracer: trace::Tracer,
}

impl std::fmt::Debug for Lwm2mServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lwm2mServer").field("devices", &self.devices.len()).finish_non_exhaustive()
    }
}

impl Lwm2mServer {
    /// A server without devices. The seed, 32 secret random bytes, makes tokens, message ids and locations.
    pub fn new(config: Config, catalog: Arc<Catalog>, worker: u8, seed: [u8; 32]) -> Lwm2mServer {
        let coap = Endpoint::new(config.coap(), seed);
        let (per_second, per_prefix) = config.registers_per_second;
        Lwm2mServer {
            devices: Devices::new(coap.table_key()),
            hosts: places::Hosts::new(),
            kinds: Kinds::new(coap.table_key()),
            registers: Budget::new(coap.table_key(), per_second, per_prefix),
            coap,
            coap_out: coap::Output::default(),
            events: Vec::new(),
            config,
            worker,
            catalog,
            limits: ContentLimits::default(),
            jobs: Jobs::default(),
            images: firmware::Store::default(),
            service: Service::default(),
            wheel: Wheel::new(0, TICK_BITS_DEFAULT),
            due: Vec::new(),
            store_tag: 0,
            topic: String::new(),
            text: String::new(),
            identity: None,
            counters: Counters::default(),
            tracer: trace::Tracer::default(),
        }
    }

    /// New settings, but for the topics; devices stay.
    pub fn handle_config(&mut self, config: Config) {
        let topics = std::mem::take(&mut self.config.topics);
        self.config = Config { topics, ..config };
        self.coap.handle_config(self.config.coap());
    }

    /// New object definitions.
    pub fn set_catalog(&mut self, catalog: Arc<Catalog>) {
        self.catalog = catalog;
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the CoAP endpoint has counted.
    pub fn coap_counters(&self) -> coap::Counters {
        self.coap.counters()
    }

    /// Calls `add` with the name and value of every counter, always in the same order.
    pub fn each_counter(&self, add: &mut dyn FnMut(&str, u64)) {
        add("devices", self.devices.len() as u64);
        self.counters.each(add);
        let coap = self.coap.counters();
        for (name, value) in [
            ("coap/datagrams_in", coap.datagrams_in),
            ("coap/datagrams_out", coap.datagrams_out),
            ("coap/duplicates", coap.duplicates),
            ("coap/resets_out", coap.resets_out),
            ("coap/replies_withheld", coap.replies_withheld),
            ("coap/challenges", coap.challenges),
            ("coap/stray", coap.stray),
            ("coap/unknown_responses", coap.unknown_responses),
            ("coap/never_answered", coap.never_answered),
            ("coap/bodies_refused", coap.bodies_refused),
            ("coap/bodies_shed", coap.bodies_shed),
            ("coap/bodies_expired", coap.bodies_expired),
            ("coap/notifications_stale", coap.notifications_stale),
            ("coap/notifications_dropped", coap.notifications_dropped),
            ("coap/peers", coap.peers as u64),
            ("coap/observations", coap.observations as u64),
            ("coap/remembered_bytes", coap.remembered_bytes as u64),
        ] {
            add(name, value);
        }
    }

    /// Devices that have an entry here.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// The link of a device. The first link slot is the service session's.
    fn link(&self, slot: u32) -> LinkId {
        LinkId {
            slot: slot + SERVICE_LINK + 1,
            generation: self.devices.generation(slot),
            frontend: FrontendId::Lwm2m,
            worker: self.worker,
        }
    }

    /// A request on a device's link.
    fn request(&self, slot: u32, request: ToBroker, out: &mut Actions) {
        out.request(self.link(slot), request);
    }

    /// Answers a device's request.
    fn respond(&mut self, now: Now, id: RequestId, response: Response) {
        self.coap.respond(now.instant, id, response, &mut self.coap_out);
    }

    /// The object versions of a device, for [`Lwm2mServer::model`].
    fn versions(device: Option<&Device>) -> Vec<(u16, Version)> {
        device.map(|device| device.registration.objects.versions()).unwrap_or_default()
    }

    /// What is known of the resources of a device with these object versions.
    fn model<'a>(&'a self, device: Option<&Device>, versions: &'a [(u16, Version)]) -> DeviceModel<'a> {
        let lwm2m = device.map_or(Version::V1_0, |device| device.registration.version);
        DeviceModel { catalog: &self.catalog, versions, lwm2m }
    }

    /// Handles what CoAP has to say until it is quiet, then hands its datagrams out.
    fn pump(&mut self, now: Now, out: &mut Actions) {
        let mut events = std::mem::take(&mut self.events);
        for _ in 0..EVENT_ROUNDS_MAX {
            if self.coap_out.events.is_empty() {
                break;
            }
            std::mem::swap(&mut events, &mut self.coap_out.events);
            for event in events.drain(..) {
                self.on_coap_event(now, event, out);
            }
        }
        // What grew for many at once goes back.
        events.shrink_to(EVENTS_KEPT);
        self.coap_out.events.shrink_to(EVENTS_KEPT);
        self.events = events;
        for (to, datagram) in self.coap_out.outgoing() {
            if self.tracer.is_on() {
                self.tracer.note_sent(to, datagram);
            }
            out.send(to, |wire| wire.extend_from_slice(datagram));
        }
        self.coap_out.wire.clear();
        self.coap_out.datagrams.clear();
    }

    fn on_coap_event(&mut self, now: Now, event: Event<Address>, out: &mut Actions) {
        let from = match &event {
            Event::Request(request) => Some(request.peer),
            Event::Acked { peer, .. } => Some(*peer),
            Event::Response(response) => Some(response.peer),
            Event::Notification(notification) | Event::ObservationEnded(notification) => {
                Some(notification.peer)
            }
            Event::Progress { .. } | Event::Failed { .. } | Event::NotificationUnwanted { .. } => None,
        };
        let speaker = self.speaker(&event);
        match event {
            Event::Request(request) => self.on_request(now, request, out),
            Event::Acked { tag, .. } => self.on_acked(tag, out),
            Event::Progress { tag, sent, total, .. } => self.on_progress(now, tag, sent, total, out),
            Event::NotificationUnwanted { .. } => {} // nobody observes us
            Event::Response(response) => self.on_response(now, response, out),
            Event::Failed { tag, reason, .. } => self.on_failed(now, tag, reason, out),
            Event::Notification(notification) => self.on_notification(now, notification, out),
            Event::ObservationEnded(notification) => self.on_observation_ended(now, notification, out),
        }
        if let Some(slot) = self.heard_from(speaker, from) {
            self.on_heard(now, slot, out);
        }
    }

    /// A request of a device: the registration interface and Send; there is nothing else here.
    fn on_request(&mut self, now: Now, request: IncomingRequest<Address>, out: &mut Actions) {
        let mut segments = [&b""[..]; 4];
        let mut count = 0;
        for (place, segment) in segments.iter_mut().zip(request.options.path()) {
            (*place, count) = (segment, count + 1);
        }
        let path = segments.get(..count).unwrap_or_default();
        // RFC 7252 §5.10.8: nothing here has an ETag, and what is there exists.
        let unmet = request.options.has(CoapOption::IfNoneMatch)
            || request.options.all(CoapOption::IfMatch).any(|etag| !etag.is_empty());
        if unmet && matches!(path, [b"rd" | b"dp", ..]) {
            return self.respond(now, request.id, Response::new(Code::PRECONDITION_FAILED));
        }
        match (request.method, path) {
            (Code::POST, [b"rd"]) => self.on_register(now, request, out),
            (Code::POST, [b"rd", location]) => {
                let location = location.to_vec();
                self.on_update(now, &location, request, out);
            }
            (Code::DELETE, [b"rd", location]) => {
                let location = location.to_vec();
                self.on_deregister(now, &location, request, out);
            }
            (Code::DELETE, [b"rd"]) => self.respond(now, request.id, Response::new(Code::BAD_REQUEST)),
            (Code::POST, [b"dp"]) => self.on_send(now, request, out),
            (Code::GET, [b"fw", token]) => {
                let token = token.to_vec();
                self.on_fetch(now, &token, &request, out);
            }
            _ => self.respond(now, request.id, Response::new(Code::NOT_FOUND)), // any other path
        }
    }

    /// An event on a device's link.
    fn on_link_event(&mut self, now: Now, slot: u32, event: FromBroker, out: &mut Actions) {
        match event {
            FromBroker::Connack { memo, .. } => self.on_attached(now, slot, &memo, out),
            FromBroker::Refused(reason) => self.on_refused(now, slot, reason, out),
            FromBroker::MemoStored { tag, accepted } => self.on_stored(now, slot, tag, accepted, out),
            FromBroker::Publish(delivery) => self.on_delivery(now, slot, delivery, out),
            FromBroker::Closed(reason) => self.on_closed(now, slot, reason, out),
            FromBroker::Restored(_)
            | FromBroker::Fate(_)
            | FromBroker::Puback { .. }
            | FromBroker::Pubrec { .. }
            | FromBroker::PublishRefused { .. }
            | FromBroker::Pubrel(_)
            | FromBroker::Pubcomp(_)
            | FromBroker::Suback { .. }
            | FromBroker::Unsuback { .. }
            | FromBroker::Drained
            | FromBroker::WillUpdated { .. } => {} // nothing of ours leads to these on a device's link
        }
    }
}

impl Frontend for Lwm2mServer {
    fn handle_datagram(&mut self, now: Now, from: &Peer, datagram: &[u8], out: &mut Actions) {
        self.start_service(now, out);
        self.identity.clone_from(&from.identity);
        let source = Source { peer: from.address, group: from.group, proven: from.identity.is_some() };
        let before = self.tracer.is_on().then(|| self.coap.counters());
        self.coap.handle_datagram(now.instant, source, datagram, &mut self.coap_out);
        self.pump(now, out);
        self.identity = None;
        if let Some(before) = before {
            self.trace_received(now, from.address, datagram, &before);
        }
    }

    fn handle_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions) {
        self.start_service(now, out);
        if let FromBroker::Restored(restored) = event {
            self.on_restored(now, *restored, out);
        } else if link.slot == SERVICE_LINK {
            self.on_service_event(now, link, event, out);
        } else {
            let slot = link.slot - SERVICE_LINK - 1;
            if self.link(slot) == link && self.devices.get(slot).is_some() {
                self.on_link_event(now, slot, event, out);
            } else {
                self.counters.stale_events += 1;
            }
        }
        self.pump(now, out);
        if self.tracer.is_on() {
            self.trace_sent(now);
        }
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Actions) {
        self.start_service(now, out);
        self.coap.handle_timeout(now.instant, &mut self.coap_out);
        self.pump(now, out);
        self.on_timers(now, out);
        self.pump(now, out);
        if self.tracer.is_on() {
            self.trace_sent(now);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let own = self.wheel.next().map(Instant::from_millis);
        [own, self.coap.next_timeout(), self.service.next_timeout()].into_iter().flatten().min()
    }
}

/// The segments of a Location-Path.
fn location_path(location: crate::registration::Location) -> Options {
    // Two options, not one with a slash: some clients repeat exactly what they got.
    Options::new()
        .with(CoapOption::LocationPath, b"rd".to_vec())
        .with(CoapOption::LocationPath, location.as_bytes().to_vec())
}
