//! Register: POST /rd (1.1.1 Core §6.2.1, Transport §6.4.3).
//!
//! The session is attached and the registration is in its memo before 2.01 goes out, so that a device that heard its
//! location finds it again after any restart of ours.
use super::{Lwm2mServer, location_path};
use crate::catalog::Version;
use crate::coap::{Code, IncomingRequest, Options, PeerKey, RequestId, Response};
use crate::device::{Cause, Device, EndReason, Phase};
use crate::few::Few;
use crate::limits::{SERVICE_BUSY_RETRY_S, excerpt};
use crate::registration::{
    Lifetime, Location, Parameters, Refusal, Registration, Terms, check_endpoint_name, default_lifetime,
};
use crate::server::formats::Learned;
use broker_core::frontend::{Actions, Address};
use broker_core::link::{Connect, ConnectWill, Credentials, Notice, Protocol, QueueQos0, TakeoverWill};
use broker_core::wheel::Timer;
use broker_core::{Instant, Now, SessionName, ToBroker};
use coap_lite::CoapOption;
use std::cmp::Ordering;
use std::sync::Arc;

/// Why a Register is not taken.
enum Denial {
    Refusal(Refusal),
    /// 4.03: the identity is not that endpoint's.
    Forbidden,
    /// 5.03: too many, too fast, or we are not ready.
    Busy,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Denial {
        Denial::Refusal(refusal)
    }
}

/// The answer to a refusal.
pub(super) fn refusal_response(refusal: Refusal) -> Response {
    match refusal {
        Refusal::BadRequest(text) => Response::diagnostic(Code::BAD_REQUEST, text),
        Refusal::UnsupportedVersion => {
            Response::diagnostic(Code::PRECONDITION_FAILED, "lwm2m: 1.0, 1.1, 1.2")
        }
        Refusal::TooLarge(text) => Response::diagnostic(Code::REQUEST_ENTITY_TOO_LARGE, text),
    }
}

pub(super) fn busy_response() -> Response {
    let options = Options::new().with_uint(CoapOption::MaxAge, SERVICE_BUSY_RETRY_S);
    Response::new(Code::SERVICE_UNAVAILABLE).with_options(options)
}

/// A log line for people who look for a device that does not come in.
pub(super) fn note_refused(
    request: &IncomingRequest<Address>,
    what: &str,
    response: &Response,
    out: &mut Actions,
) {
    let name = request.options.query().find_map(|query| query.strip_prefix(b"ep="));
    let why = String::from_utf8_lossy(&response.payload);
    let text = match &*why {
        "" => format!("{what} refused with {}", response.code),
        why => format!("{what} refused with {}: {why}", response.code),
    };
    out.notices.push(Notice::Peer {
        remote: Some(request.peer.remote),
        name: name.map(|name| excerpt(&String::from_utf8_lossy(name)).into()),
        text: text.into(),
    });
}

impl Lwm2mServer {
    pub(super) fn on_register(&mut self, now: Now, request: IncomingRequest<Address>, out: &mut Actions) {
        let registration = match self.read_register(now, &request) {
            Ok(registration) => registration,
            Err(denial) => {
                let response = match denial {
                    Denial::Refusal(refusal) => refusal_response(refusal),
                    Denial::Forbidden => Response::new(Code::FORBIDDEN),
                    Denial::Busy => busy_response(),
                };
                match response.code {
                    Code::SERVICE_UNAVAILABLE => self.counters.registers_limited += 1,
                    _ => self.counters.registers_refused += 1, // 4.xx
                }
                note_refused(&request, "registration", &response, out);
                return self.respond(now, request.id, response);
            }
        };
        self.warn_of_other_lifetime(&registration, &request.peer, out);
        let location = self.new_location();
        match self.devices.by_name(&registration.endpoint) {
            Some(slot) => self.register_again(now, slot, registration, location, &request, out),
            None => self.register_first(now, registration, location, &request, out),
        }
    }

    fn read_register(
        &mut self,
        now: Now,
        request: &IncomingRequest<Address>,
    ) -> Result<Registration, Denial> {
        let parameters = Parameters::parse(request.options.query(), self.config.lifetimes)?;
        let identity = self.identity.clone();
        let endpoint: Arc<str> = match (&parameters.endpoint, &identity) {
            (Some(name), _) => Arc::from(&**name),
            // 1.1.1 Core §6.2.1: the name may be left out when the security layer has told it.
            (None, Some(identity)) => identity.clone(),
            (None, None) => return Err(Refusal::BadRequest("ep is missing").into()),
        };
        check_endpoint_name(&endpoint).map_err(|fault| Refusal::BadRequest(fault.text()))?;
        if self.config.identity_is_endpoint && identity.is_some_and(|identity| identity != endpoint) {
            return Err(Denial::Forbidden); // hostile L16
        }
        let objects = self.kinds.read_list(&request.payload, &self.limits)?;
        let known = self.devices.by_name(&endpoint).is_some();
        let full = !known && self.devices.len() >= self.config.devices_max;
        if full || !self.is_serving() || !self.may_register(now, &request.peer) {
            return Err(Denial::Busy);
        }
        let (lifetime, lifetime_asked) =
            parameters.lifetime.unwrap_or_else(|| default_lifetime(self.config.lifetimes));
        let version = parameters.version.unwrap_or(Version::V1_0);
        let queue = parameters.wants_queue_mode();
        let terms = Terms {
            version,
            version_is_short: parameters.version_is_short,
            lifetime,
            lifetime_asked,
            binding: parameters.binding,
            queue,
            sms: parameters.sms,
            extras: parameters.extras.into(),
            objects,
        };
        Ok(Registration { endpoint, terms: self.kinds.share(terms) })
    }

    fn may_register(&mut self, now: Now, peer: &Address) -> bool {
        peer.remote.ip().is_loopback() || self.registers.take(now.instant, peer.prefix())
    }

    /// Says it when a device asked for a lifetime that is out of our bounds.
    pub(super) fn warn_of_other_lifetime(
        &mut self,
        registration: &Registration,
        peer: &Address,
        out: &mut Actions,
    ) {
        let asked = registration.lifetime_asked;
        let Lifetime::Seconds(granted) = registration.lifetime else { return };
        let done = match asked.cmp(&u64::from(granted)) {
            Ordering::Equal => return,
            Ordering::Less if asked == 0 => return, // the operator's own word for it
            Ordering::Less => "raised",
            Ordering::Greater => "cut",
        };
        self.counters.lifetimes_changed += 1;
        out.notices.push(Notice::Peer {
            remote: Some(peer.remote),
            name: Some(registration.endpoint.clone()),
            text: format!("lifetime of {asked} s {done} to {granted} s").into(),
        });
    }

    /// A location that no device has.
    fn new_location(&mut self) -> Location {
        loop {
            // 59 random bits: it ends at the first round but for one time in ten billion.
            let location = Location::from_random(self.coap.random());
            if self.devices.by_location(location).is_none() {
                return location;
            }
        }
    }

    /// When a lifetime that begins now is over, with grace.
    pub(super) fn expiry(&self, now: Now, lifetime: Lifetime) -> Instant {
        match lifetime {
            Lifetime::Seconds(seconds) => {
                let grace = self.config.lifetime_grace_ms;
                Instant::from_millis(now.instant.as_millis() + u64::from(seconds) * 1_000 + grace)
            }
            Lifetime::Infinite => Instant::FAR_FUTURE,
        }
    }

    fn register_first(
        &mut self,
        now: Now,
        registration: Registration,
        location: Location,
        request: &IncomingRequest<Address>,
        out: &mut Actions,
    ) {
        let device = Device {
            expires: self.expiry(now, registration.lifetime),
            registration,
            location,
            address: request.peer.into(),
            identity: self.identity.clone(),
            phase: Phase::Attaching(request.id),
            validated: request.validated,
            announced: false,
            asleep: false,
            granted: false,
            paused: false,
            learned: Learned::default(),
            awake_until: Instant::FAR_FUTURE,
            timer: Timer::new(),
            observations: Few::new(),
            firmware: None,
            jobs: Few::new(),
            waiting: 0,
        };
        let slot = self.devices.insert(device);
        self.arrive(now, slot);
        self.place_at(now, slot, &request.peer, out);
        self.attach(slot, out);
    }

    /// Attaches a device's session. It gets no commands before it has heard its location: the credit comes later.
    pub(super) fn attach(&mut self, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        let connect = Connect {
            name: SessionName::Endpoint(device.registration.endpoint.clone()),
            protocol: Protocol::Lwm2m,
            clean: false,
            will: ConnectWill::None,
            will_is_session_state: true,
            takeover_will: TakeoverWill::Keep,
            window: 1, // one command at a time
            credit: 0,
            queue_qos0: QueueQos0::ALWAYS,
            credentials: Credentials {
                username: None,
                password: None,
                proven: device.identity.clone(),
                remote: Some(device.address().remote),
            },
            keep_alive: 0,
        };
        self.request(slot, ToBroker::Connect(Box::new(connect)), out);
    }

    /// The device registers although it is registered: it has restarted, or lost our answer for good. It has
    /// forgotten what we asked of it (RFC 7641 §3.6 and 1.1.1 Core §6.4.1: observations end with the registration).
    fn register_again(
        &mut self,
        now: Now,
        slot: u32,
        registration: Registration,
        location: Location,
        request: &IncomingRequest<Address>,
        out: &mut Actions,
    ) {
        self.supersede(now, slot);
        self.drop_jobs(now, slot, out);
        self.move_device(now, slot, request.peer);
        self.arrive(now, slot);
        self.place_at(now, slot, &request.peer, out);
        self.devices.relocate(slot, location);
        let expires = self.expiry(now, registration.lifetime);
        let identity = self.identity.clone();
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.registration = registration;
        device.identity = identity;
        device.validated |= request.validated;
        device.expires = expires;
        device.learned = Learned::default(); // it may be another build
        for observation in device.observations.iter_mut() {
            observation.established = false;
        }
        match device.phase {
            // Its first Register is still with the broker: that goes on, for this one.
            Phase::Attaching(_) | Phase::Restoring => device.phase = Phase::Attaching(request.id),
            Phase::Storing(_) | Phase::Registered => {
                self.pause(slot, out);
                self.store(slot, request.id, Cause::Register, out);
            }
            Phase::Ending(_) => {} // hidden from the index of names, so it is not found here
        }
    }

    /// A request that waits for the broker is overtaken by a newer one: nobody waits for its answer any more.
    fn supersede(&mut self, now: Now, slot: u32) {
        let Some(device) = self.devices.get(slot) else { return };
        let waiting: Option<RequestId> = match device.phase {
            Phase::Attaching(request) => Some(request),
            Phase::Storing(store) => Some(store.request),
            Phase::Restoring | Phase::Registered | Phase::Ending(_) => None,
        };
        if let Some(request) = waiting {
            self.respond(now, request, busy_response());
        }
    }

    /// The registration is in a commit: the device may know.
    pub(super) fn answer_register(&mut self, now: Now, slot: u32, request: RequestId, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        let response = Response::new(Code::CREATED).with_options(location_path(device.location));
        self.counters.registers += 1;
        self.respond(now, request, response);
        self.settle(now, slot, out);
        self.announce_registered(now, slot, out);
        self.note_device(slot, "registered", out);
        self.resume(slot, out);
        self.plan_observations(slot);
        self.issue_observation(now, slot, out);
        self.look_at_firmware(now, slot, out);
    }

    /// The broker does not take the device.
    pub(super) fn refuse_device(&mut self, now: Now, slot: u32, code: Code, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        match device.phase {
            Phase::Attaching(request) | Phase::Ending(Some(request)) => {
                let response =
                    if code == Code::SERVICE_UNAVAILABLE { busy_response() } else { Response::new(code) };
                self.respond(now, request, response);
            }
            Phase::Storing(store) => self.respond(now, store.request, Response::new(code)),
            Phase::Restoring | Phase::Registered | Phase::Ending(None) => {}
        }
        self.counters.registers_refused += 1;
        self.forget(now, slot, EndReason::Refused, out);
    }
}
