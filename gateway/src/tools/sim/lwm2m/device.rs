//! [`Lwm2mDevice`]: registration, updates, requests, notifications, sleep and firmware of a simulated device.
//!
//! ```text
//! Off ─► Registering ─► Registered ◄─► (update, requests, notifications)      queue mode: deaf between
//!  ▲          │ failed      │ 4.04, reboot                                    awake window and next update
//!  └──────────┴─────────────┘
//! ```
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::time::Instant as Tick;
use lwm2m::catalog::Catalog;
use lwm2m::coap::{
    self, CoapOption, Code, Endpoint, Event, IncomingRequest, IncomingResponse, Options, Output, Request,
    Response, Source,
};
use lwm2m::content::{self, ContentFormat, Context};
use lwm2m::limits::ContentLimits;
use lwm2m::path::ObjectPath;
use lwm2m::value::Value;
use std::net::SocketAddr;

use super::attributes::Attributes;
use super::firmware::FirmwareHabits;
use super::objects::{Definitions, Tree, path};
use super::observe::Observations;
use super::profile::{self, Profile};
use super::requests::{Desk, Effect, target};
use crate::tools::histogram::Histogram;
use crate::tools::sim::rng::Rng;
use crate::tools::sim::swarm::{Device, Wire};
use crate::tools::terminal::unix_ms;

/// Largest body that a device takes: a firmware image.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;
/// Until the next Register after a failure; doubled up to the longest.
const BACK_OFF: Duration = Duration::from_secs(2);
const BACK_OFF_MAX: Duration = Duration::from_secs(120);
/// How long starting anew, and running a new firmware, takes.
const REBOOT: Duration = Duration::from_secs(1);
const UPDATE_FIRMWARE: Duration = Duration::from_secs(2);
/// Time between two looks whether an observer is to be told something.
const LOOK: Duration = Duration::from_millis(500);

const REGISTER: u64 = 1;
const UPDATE: u64 = 2;
const DEREGISTER: u64 = 3;
const SEND: u64 = 4;
pub(super) const PULL: u64 = 5;

/// What all devices did together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) registers: u64,
    pub(crate) register_failures: u64,
    pub(crate) updates: u64,
    pub(crate) update_failures: u64,
    pub(crate) deregisters: u64,
    pub(crate) requests: u64,
    pub(crate) notifications: u64,
    pub(crate) sends: u64,
    pub(crate) firmware_updates: u64,
    pub(crate) missed_asleep: u64,
    pub(crate) register: Histogram,
    pub(crate) update: Histogram,
}

/// What distinguishes one run's devices from another's.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) profile: Profile,
    pub(crate) interval: Duration,
    pub(crate) lifetime_s: u32,
    /// How long a device in queue mode listens after it said something.
    pub(crate) awake: Duration,
    /// `1.0`, `1.1` or `1.2`, as the device claims.
    pub(crate) version: String,
    pub(crate) gateway: SocketAddr,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) firmware: FirmwareHabits,
    /// Bytes of a value in object 19, for large reads.
    pub(crate) data_bytes: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    Registering,
    Registered,
    Deregistering,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Lwm2mDevice {
    name: String,
    pub(super) number: u32,
    pub(super) habits: Habits,
    endpoint: Endpoint<SocketAddr>,
    output: Output<SocketAddr>,
    origin: Instant,
    rng: Rng,
    pub(super) tree: Tree,
    attributes: Attributes,
    observations: Observations,
    phase: Phase,
    location: Vec<Vec<u8>>,
    /// When Register or Update was sent.
    asked_at: Instant,
    /// A request of ours is open: the next one waits.
    pub(super) busy: bool,
    links_changed: bool,
    back_off: Duration,
    register_at: Option<Instant>,
    update_at: Option<Instant>,
    values_at: Option<Instant>,
    look_at: Option<Instant>,
    firmware_at: Option<Instant>,
    asleep_at: Option<Instant>,
    asleep: bool,
}

impl Lwm2mDevice {
    pub(crate) fn new(name: String, number: u32, habits: Habits, mut rng: Rng) -> Lwm2mDevice {
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes());
        }
        let config = coap::Config {
            body_bytes_max: BODY_BYTES_MAX,
            // A device talks to the server that it chose, and to nobody else.
            amplification_guard: false,
            ..coap::Config::default()
        };
        let mut tree = profile::objects(habits.profile, number, habits.lifetime_s, &mut rng);
        habits.firmware.describe(&mut tree);
        if let Some(bytes) = habits.data_bytes {
            let data: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            tree.set_one(19, 0, 0, 0, Value::Opaque(data.into()));
        }
        Lwm2mDevice {
            name,
            number,
            endpoint: Endpoint::new(config, seed),
            output: Output::default(),
            origin: Instant::now(),
            rng,
            tree,
            attributes: Attributes::default(),
            observations: Observations::default(),
            phase: Phase::Off,
            location: Vec::new(),
            asked_at: Instant::now(),
            busy: false,
            links_changed: false,
            back_off: BACK_OFF,
            register_at: None,
            update_at: None,
            values_at: None,
            look_at: None,
            firmware_at: None,
            asleep_at: None,
            asleep: false,
            habits,
        }
    }

    fn tick(&self, now: Instant) -> Tick {
        let since = now.saturating_duration_since(self.origin).as_millis();
        Tick::from_millis(u64::try_from(since).unwrap_or(u64::MAX))
    }

    pub(super) fn request(&mut self, now: Instant, request: Request, tag: u64) -> bool {
        let tick = self.tick(now);
        let to = self.habits.gateway;
        self.endpoint.request(tick, to, request, tag, &mut self.output).is_ok()
    }

    fn register(&mut self, now: Instant) {
        self.register_at = None;
        self.asleep = false;
        self.asleep_at = None;
        let mut options = Options::new().with_path("/rd");
        options.set_uint(CoapOption::ContentFormat, ContentFormat::Link.number().into());
        for query in self.queries() {
            options.add(CoapOption::UriQuery, query);
        }
        let request = Request::new(Code::POST, options).with_payload(self.links());
        if self.request(now, request, REGISTER) {
            self.phase = Phase::Registering;
            self.asked_at = now;
            self.links_changed = false;
        } else {
            self.register_again(now);
        }
    }

    fn queries(&self) -> Vec<String> {
        let queue = self.habits.profile.is_queue_mode();
        let lifetime = self.tree.integer(1, 0, 1).unwrap_or(self.habits.lifetime_s.into());
        let mut queries = vec![
            format!("ep={}", self.name),
            format!("lt={lifetime}"),
            format!("lwm2m={}", self.habits.version),
        ];
        match (queue, self.habits.version.as_str()) {
            (true, "1.0") => queries.push("b=UQ".to_owned()),
            (true, _) => queries.extend(["b=U".to_owned(), "Q".to_owned()]),
            (false, _) => queries.push("b=U".to_owned()),
        }
        queries
    }

    /// What the device has, as link format.
    fn links(&self) -> String {
        let mut links = vec!["</>;rt=\"oma.lwm2m\";ct=\"110 112 11542\"".to_owned()];
        links.extend(
            self.tree
                .instances()
                .filter(|(object, _)| *object != 0)
                .map(|(object, instance)| format!("<{}>", path(&[object, instance]))),
        );
        links.join(",")
    }

    fn update(&mut self, now: Instant) {
        if self.phase != Phase::Registered || self.busy {
            return;
        }
        self.asleep = false;
        let mut options = self.location_options();
        let lifetime = self.tree.integer(1, 0, 1).unwrap_or(0);
        if lifetime != i64::from(self.habits.lifetime_s) {
            options.add(CoapOption::UriQuery, format!("lt={lifetime}"));
        }
        let mut request = Request::new(Code::POST, Options::new());
        if self.links_changed {
            options.set_uint(CoapOption::ContentFormat, ContentFormat::Link.number().into());
            request = request.with_payload(self.links());
        }
        request.options = options;
        if self.request(now, request, UPDATE) {
            self.busy = true;
            self.links_changed = false;
            self.asked_at = now;
        }
        self.update_at = Some(now + self.update_period());
    }

    fn location_options(&self) -> Options {
        let mut options = Options::new();
        for segment in &self.location {
            options.add(CoapOption::UriPath, segment.clone());
        }
        options
    }

    fn update_period(&self) -> Duration {
        if self.habits.profile.is_queue_mode() {
            return self.habits.awake + self.habits.interval;
        }
        let lifetime = self.tree.integer(1, 0, 1).and_then(|s| u32::try_from(s).ok()).unwrap_or(300);
        Duration::from_secs(u64::from(lifetime.max(2))).mul_f64(0.8)
    }

    /// A registration failed or is gone: the next try after a while.
    fn register_again(&mut self, now: Instant) {
        self.phase = Phase::Off;
        self.busy = false;
        self.observations.clear();
        let pause = self.back_off.mul_f64(0.5 + self.rng.unit());
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        self.register_at = Some(now + pause);
    }

    fn stay_awake(&mut self, now: Instant) {
        if self.habits.profile.is_queue_mode() {
            self.asleep_at = Some(now + self.habits.awake);
        }
    }

    /// Hands out what the endpoint wants sent and takes up what happened, until nothing happens any more.
    fn settle(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        for _ in 0..64 {
            wire.extend(self.output.outgoing().map(|(_, bytes)| bytes.to_vec()));
            let events = std::mem::take(&mut self.output.events);
            self.output.clear();
            if events.is_empty() {
                return;
            }
            for event in events {
                self.on_event(now, event, stats);
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event<SocketAddr>, stats: &mut Stats) {
        match event {
            Event::Request(request) => {
                stats.requests += 1;
                self.stay_awake(now);
                self.on_request(now, &request, stats);
            }
            Event::Response(response) => self.on_response(now, &response, stats),
            Event::Failed { tag, .. } => self.on_failed(now, tag, stats),
            Event::NotificationUnwanted { token, .. } => self.observations.cancel(token),
            // This device observes nobody.
            Event::Acked { .. }
            | Event::Progress { .. }
            | Event::Notification(_)
            | Event::ObservationEnded(_) => {}
        }
    }

    fn on_response(&mut self, now: Instant, response: &IncomingResponse<SocketAddr>, stats: &mut Stats) {
        let good = response.code.is_success();
        match response.tag {
            REGISTER if good => {
                stats.registers += 1;
                stats.register.add(now.saturating_duration_since(self.asked_at));
                self.location = response.options.all(CoapOption::LocationPath).map(<[u8]>::to_vec).collect();
                self.phase = Phase::Registered;
                self.back_off = BACK_OFF;
                self.update_at = Some(now + self.update_period());
                self.stay_awake(now);
            }
            REGISTER => {
                stats.register_failures += 1;
                self.register_again(now);
            }
            UPDATE if good => {
                self.busy = false;
                stats.updates += 1;
                stats.update.add(now.saturating_duration_since(self.asked_at));
                self.stay_awake(now);
            }
            UPDATE => {
                stats.update_failures += 1;
                self.observations.clear();
                self.register(now);
                self.busy = false;
            }
            DEREGISTER => {
                stats.deregisters += 1;
                self.phase = Phase::Gone;
            }
            SEND => {
                self.busy = false;
                stats.sends += u64::from(good);
            }
            PULL => self.on_pulled(good),
            _ => {} // no tag of ours
        }
    }

    fn on_failed(&mut self, now: Instant, tag: u64, stats: &mut Stats) {
        self.busy = false;
        match tag {
            REGISTER => {
                stats.register_failures += 1;
                self.register_again(now);
            }
            UPDATE => {
                stats.update_failures += 1;
                self.register_again(now);
            }
            DEREGISTER => self.phase = Phase::Gone,
            PULL => self.on_pull_failed(),
            _ => {} // SEND: the next one tells newer values
        }
    }

    fn on_request(&mut self, now: Instant, request: &IncomingRequest<SocketAddr>, stats: &mut Stats) {
        let catalog = Arc::clone(&self.habits.catalog);
        let mut desk = Desk {
            catalog: &catalog,
            tree: &mut self.tree,
            attributes: &mut self.attributes,
            effects: Vec::new(),
        };
        let mut response = desk.answer(request.method, &request.options, &request.payload);
        let observable = matches!(request.method, Code::GET | Code::FETCH) && response.code.is_success();
        match request.options.uint(CoapOption::Observe) {
            Some(0) if observable && request.options.accept() != Some(ContentFormat::Link.number()) => {
                let composite = request.method == Code::FETCH;
                let paths = if composite {
                    desk.paths(&request.options, &request.payload).map(|(paths, _)| paths).unwrap_or_default()
                } else {
                    target(&request.options).into_iter().collect()
                };
                let told = desk.entries_of(&paths);
                let accept = response.options.content_format();
                let number = self.observations.register(now, request.token, paths, composite, accept, told);
                if let Some(number) = number {
                    response.options.set_uint(CoapOption::Observe, number);
                }
            }
            Some(1) => self.observations.cancel(request.token),
            Some(_) | None => {}
        }
        let effects = desk.effects;
        let tick = self.tick(now);
        self.endpoint.respond(tick, request.id, response, &mut self.output);
        for effect in effects {
            self.on_effect(now, effect, stats);
        }
    }

    fn on_effect(&mut self, now: Instant, effect: Effect, stats: &mut Stats) {
        match effect {
            Effect::Written(paths) => {
                if paths.iter().any(|path| path.ids() == [1, 0, 1]) {
                    self.update_at = Some(now + LOOK);
                }
                if paths.iter().any(|path| path.ids() == [5, 0, 0]) {
                    self.on_package();
                }
                if paths.iter().any(|path| path.ids() == [5, 0, 1]) {
                    self.on_package_uri(now);
                }
            }
            Effect::Instances => {
                self.links_changed = true;
                self.update_at = Some(now + LOOK);
            }
            Effect::Update => self.update_at = Some(now),
            Effect::Reboot => self.reboot(now),
            Effect::RunFirmware => {
                stats.firmware_updates += 1;
                self.set_firmware(3, 0);
                self.firmware_at = Some(now + UPDATE_FIRMWARE);
            }
        }
    }

    /// The device forgets what it holds only in memory, and registers anew.
    fn reboot(&mut self, now: Instant) {
        self.observations.clear();
        self.phase = Phase::Off;
        self.busy = false;
        self.update_at = None;
        self.register_at = Some(now + REBOOT);
    }

    /// Tells observers what is new.
    fn notify(&mut self, now: Instant, stats: &mut Stats) {
        if self.phase != Phase::Registered || self.asleep {
            return;
        }
        let catalog = Arc::clone(&self.habits.catalog);
        let mut nothing = Attributes::default();
        let tick = self.tick(now);
        let desk =
            Desk { catalog: &catalog, tree: &mut self.tree, attributes: &mut nothing, effects: Vec::new() };
        for (observation, entries) in
            self.observations.due(now, &self.attributes, |paths| desk.entries_of(paths))
        {
            let at = match observation.paths.as_slice() {
                [one] if !observation.composite => *one,
                _ => ObjectPath::ROOT, // several paths, each named in full
            };
            let response = match desk.content(at, &entries, observation.accept) {
                Ok(mut response) => {
                    response.options.set_uint(CoapOption::Observe, observation.sequence);
                    response
                }
                Err(code) => Response::new(code),
            };
            // Every tenth is Confirmable, so that an observer who is gone is noticed (RFC 7641 §4.5).
            let confirmable = observation.sequence % 10 == 0 || !response.code.is_success();
            let to = self.habits.gateway;
            if self.endpoint.notify(tick, to, observation.token, confirmable, response, &mut self.output) {
                stats.notifications += 1;
            }
        }
    }

    /// The tracker sends its position by itself (1.1 Core §6.4.4).
    fn send_position(&mut self, now: Instant) {
        if self.phase != Phase::Registered || self.busy || self.habits.version == "1.0" {
            return;
        }
        let definitions = Definitions(&self.habits.catalog);
        let limits = ContentLimits::default();
        let cx = Context { model: &definitions, limits: &limits, now_unix_ms: unix_ms(), alternate_path: "" };
        let entries = self.tree.entries(path(&[6, 0]), definitions);
        let format = ContentFormat::SenmlCbor;
        let Ok(payload) = content::encode(format, ObjectPath::ROOT, &entries, &cx) else { return };
        let options =
            Options::new().with_path("/dp").with_uint(CoapOption::ContentFormat, format.number().into());
        self.busy = self.request(now, Request::new(Code::POST, options).with_payload(payload), SEND);
    }

    fn pass_time(&mut self, now: Instant) {
        let seconds = self.habits.interval.as_secs_f64();
        profile::drift(self.habits.profile, &mut self.tree, &mut self.rng, seconds);
        self.values_at = Some(now + self.habits.interval);
        if self.habits.profile == Profile::Tracker {
            self.send_position(now);
        }
    }

    /// What is due by the device's own clock.
    fn on_deadlines(&mut self, now: Instant, stats: &mut Stats) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.register_at) {
            self.register(now);
        }
        if is_due(self.firmware_at) {
            self.firmware_at = None;
            self.on_installed();
            self.reboot(now);
        }
        if is_due(self.update_at) {
            self.update_at = None;
            self.update(now);
        }
        if is_due(self.values_at) {
            self.pass_time(now);
        }
        if is_due(self.asleep_at) {
            self.asleep_at = None;
            self.asleep = !self.busy;
        }
        if is_due(self.look_at) {
            self.look_at = None;
        }
        self.notify(now, stats);
        if self.look_at.is_none() && !self.observations.is_empty() {
            self.look_at = Some(now + LOOK);
        }
    }
}

impl Device for Lwm2mDevice {
    type Stats = Stats;

    fn start(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        self.origin = now;
        self.values_at = Some(now + self.habits.interval.mul_f64(self.rng.unit()));
        self.register(now);
        self.settle(now, wire, stats);
    }

    fn handle_datagram(&mut self, now: Instant, bytes: &[u8], wire: &mut Wire, stats: &mut Stats) {
        if self.asleep {
            stats.missed_asleep += 1;
            return;
        }
        let tick = self.tick(now);
        let source = Source::unicast(self.habits.gateway);
        self.endpoint.handle_datagram(tick, source, bytes, &mut self.output);
        self.settle(now, wire, stats);
        self.notify(now, stats);
        self.settle(now, wire, stats);
        if self.look_at.is_none() && !self.observations.is_empty() {
            self.look_at = Some(now + LOOK);
        }
    }

    fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        let tick = self.tick(now);
        if self.endpoint.next_timeout().is_some_and(|due| due <= tick) {
            self.endpoint.handle_timeout(tick, &mut self.output);
        }
        if !matches!(self.phase, Phase::Deregistering | Phase::Gone) {
            self.on_deadlines(now, stats);
        }
        self.settle(now, wire, stats);
    }

    fn next_timeout(&self) -> Option<Instant> {
        // A millisecond later than its millisecond begins: the endpoint's clock cuts off.
        let of_endpoint = self
            .endpoint
            .next_timeout()
            .map(|due| self.origin + Duration::from_millis(due.as_millis().saturating_add(1)));
        if matches!(self.phase, Phase::Deregistering | Phase::Gone) {
            return of_endpoint;
        }
        let own = [
            self.register_at,
            self.update_at,
            self.values_at,
            self.look_at,
            self.firmware_at,
            self.asleep_at,
            of_endpoint,
        ];
        own.into_iter().flatten().min()
    }

    fn stop(&mut self, now: Instant, wire: &mut Wire, stats: &mut Stats) {
        if self.phase != Phase::Registered {
            self.phase = Phase::Gone;
            return;
        }
        self.phase = Phase::Deregistering;
        self.asleep = false;
        let request = Request::new(Code::DELETE, self.location_options());
        if !self.request(now, request, DEREGISTER) {
            self.phase = Phase::Gone;
        }
        self.settle(now, wire, stats);
    }

    fn is_stopped(&self) -> bool {
        self.phase == Phase::Gone
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
