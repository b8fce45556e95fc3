//! Between a device and its session: attach, memo, restart.
use super::Lwm2mServer;
use crate::coap::{Code, Request, RequestId};
use crate::device::{Cause, Device, Observation, Phase, Store};
use crate::few::Few;
use crate::registration::{Memo, MemoParts};
use crate::server::firmware::Firmware;
use crate::server::formats::Learned;
use broker_core::frontend::{Actions, Address};
use broker_core::link::{MemoUpdate, RefuseReason, Restored};
use broker_core::wheel::Timer;
use broker_core::{Instant, Now, ToBroker};
use std::sync::Arc;

impl Lwm2mServer {
    /// Everything of a device that a restart must find again.
    fn memo(&self, slot: u32, device: &Device) -> MemoUpdate {
        let memo = MemoParts {
            registration: &device.registration,
            location: device.location,
            address: device.address(),
            validated: device.validated,
            learned: device.learned.0,
            observations: device.observations.iter().map(|observation| &observation.saved),
            firmware: device.firmware.as_ref().map(|firmware| &firmware.saved),
            host: self.hosts.get(&slot).map(|host| &**host),
        };
        // Boxed: as many bytes as it has, and no room behind them for as long as the session lives.
        MemoUpdate::Replace(memo.encode().into_boxed_slice().into())
    }

    /// Puts the device into its memo; the request is answered when that is in a commit.
    pub(super) fn store(&mut self, slot: u32, request: RequestId, cause: Cause, out: &mut Actions) {
        self.store_tag = self.store_tag.wrapping_add(1).max(1);
        let tag = self.store_tag;
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.phase = Phase::Storing(Store { tag, request, cause });
        let Some(device) = self.devices.get(slot) else { return };
        let update = self.memo(slot, device);
        self.request(slot, ToBroker::Memo { update, tag: u64::from(tag) }, out);
    }

    /// Puts the device into its memo; nobody waits for that.
    pub(super) fn keep(&self, slot: u32, out: &mut Actions) {
        let Some(device) = self.devices.get(slot) else { return };
        if matches!(device.phase, Phase::Registered | Phase::Storing(_)) {
            let update = self.memo(slot, device);
            self.request(slot, ToBroker::Memo { update, tag: 0 }, out);
        }
    }

    /// The device's session is attached.
    pub(super) fn on_attached(&mut self, now: Now, slot: u32, memo: &[u8], out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        match device.phase {
            Phase::Attaching(request) => {
                if device.observations.is_empty()
                    && device.firmware.is_none()
                    && let Some(before) = Memo::decode(device.registration.endpoint.clone(), memo)
                {
                    // The endpoint was here before: what is observed of it goes on.
                    device.observations = before
                        .observations
                        .into_iter()
                        .map(|saved| Observation { saved, established: false, sequence: 0 })
                        .collect();
                    device.firmware = before.firmware.map(|saved| Box::new(Firmware::restored(saved, now)));
                }
                self.store(slot, request, Cause::Register, out);
            }
            Phase::Restoring => {
                device.phase = Phase::Registered;
                self.resume(slot, out);
                self.settle(now, slot, out);
                self.look_at_firmware(now, slot, out);
            }
            Phase::Ending(request) => self.on_ended(now, slot, request, out),
            Phase::Storing(_) | Phase::Registered => {}
        }
    }

    /// A memo is in a commit.
    pub(super) fn on_stored(&mut self, now: Now, slot: u32, tag: u64, accepted: bool, out: &mut Actions) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        let Phase::Storing(store) = device.phase else { return };
        if u64::from(store.tag) != tag {
            return;
        }
        if !accepted {
            // Too large for the memo: what cannot be kept is not promised.
            self.counters.memos_lost += 1;
            return self.refuse_device(now, slot, Code::REQUEST_ENTITY_TOO_LARGE, out);
        }
        device.phase = Phase::Registered;
        match store.cause {
            Cause::Register => self.answer_register(now, slot, store.request, out),
            Cause::Update { with_links } => self.answer_update(now, slot, store.request, with_links, out),
        }
    }

    pub(super) fn on_refused(&mut self, now: Now, slot: u32, reason: RefuseReason, out: &mut Actions) {
        let code = match reason {
            RefuseReason::Busy => Code::SERVICE_UNAVAILABLE,
            RefuseReason::BadCredentials
            | RefuseReason::NotAuthorized
            | RefuseReason::IdentifierRejected
            | RefuseReason::NoSession => Code::FORBIDDEN,
        };
        self.refuse_device(now, slot, code, out);
    }

    /// A session from before the start: its device is registered, and is where it was. Its lifetime begins anew.
    pub(super) fn on_restored(&mut self, now: Now, restored: Restored, out: &mut Actions) {
        let broker_core::SessionName::Endpoint(endpoint) = restored.name else { return };
        let Some(memo) = Memo::decode(endpoint, &restored.memo) else {
            self.counters.memos_lost += 1;
            return;
        };
        if self.devices.by_name(&memo.registration.endpoint).is_some() {
            return; // it was faster
        }
        let Memo { mut registration, location, address, validated, learned, observations, firmware, host } =
            memo;
        registration.terms = self.kinds.share_restored(Arc::unwrap_or_clone(registration.terms));
        let root = registration.objects.root.clone();
        for saved in &observations {
            let request = restored_request(&root, saved);
            self.coap.restore_observation(address, saved.token, 0, &request);
        }
        let observations = observations
            .into_iter()
            .map(|saved| Observation { established: saved.token.wire_len() > 0, saved, sequence: 0 })
            .collect();
        let device = Device {
            expires: self.expiry(now, registration.lifetime),
            registration,
            location,
            address: address.into(),
            identity: None,
            phase: Phase::Restoring,
            validated,
            announced: true,
            asleep: false,
            granted: false,
            paused: restored.asleep.is_some(),
            learned: Learned(learned),
            awake_until: Instant::FAR_FUTURE,
            timer: Timer::new(),
            observations,
            firmware: firmware.map(|saved| Box::new(Firmware::restored(saved, now))),
            jobs: Few::new(),
            waiting: restored.queued,
        };
        let tokens: Vec<_> = device.observations.iter().map(|observation| observation.saved.token).collect();
        let slot = self.devices.insert(device);
        self.restore_place(slot, host, &address);
        self.arrive(now, slot);
        for token in tokens {
            self.own_observation(slot, &token);
        }
        self.attach(slot, out);
    }

    /// The device is found at another address from now on.
    pub(super) fn move_device(&mut self, now: Now, slot: u32, address: Address) {
        let Some(device) = self.devices.get_mut(slot) else { return };
        if device.address() == address {
            return;
        }
        let before = device.address();
        device.validated = false;
        let tokens: Vec<_> = device.observations.iter().map(|observation| observation.saved.token).collect();
        for token in tokens {
            self.coap.move_observation(&token, address);
        }
        if self.devices.at(&before).all(|other| other == slot) {
            self.coap.abandon(&before, &mut self.coap_out); // nobody else is known there
        }
        self.devices.move_to(slot, address);
        self.arrive(now, slot);
    }
}

/// The request of an observation, to fetch later blocks of its notifications.
fn restored_request(root: &str, saved: &crate::registration::SavedObservation) -> Request {
    let mut options = crate::coap::Options::new().with_path(root);
    if let ([path], false) = (saved.paths.as_slice(), saved.composite) {
        options = options.with_path(&path.to_string());
    }
    if let Some(accept) = saved.accept {
        options = options.with_uint(coap_lite::CoapOption::Accept, u32::from(accept));
    }
    Request::new(if saved.composite { Code::FETCH } else { Code::GET }, options)
}
