//! Ends of registrations: by the device, by its lifetime, by a command, by the broker.
//!
//! A session is ended by attaching to it clean and leaving: all that waited in it is dropped, and each dropped command
//! is answered by its fate.
use super::Lwm2mServer;
use crate::coap::{Code, RequestId, Response};
use crate::device::{EndReason, Phase};
use broker_core::frontend::Actions;
use broker_core::link::{
    CloseReason, Connect, ConnectWill, Credentials, Ending, Protocol, QueueQos0, TakeoverWill,
};
use broker_core::{Now, SessionName, ToBroker};

impl Lwm2mServer {
    /// Ends a registration and its session. The request is answered when the session is gone.
    pub(super) fn end(
        &mut self,
        now: Now,
        slot: u32,
        reason: EndReason,
        request: Option<RequestId>,
        out: &mut Actions,
    ) {
        let Some(device) = self.devices.get(slot) else { return };
        match device.phase {
            Phase::Attaching(waiting) => self.respond(now, waiting, Response::new(Code::NOT_FOUND)),
            Phase::Storing(store) => self.respond(now, store.request, Response::new(Code::NOT_FOUND)),
            Phase::Ending(_) => return,
            Phase::Restoring | Phase::Registered => {}
        }
        self.leave(now, slot, reason, out);
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.phase = Phase::Ending(request);
        let connect = Connect {
            name: SessionName::Endpoint(device.registration.endpoint.clone()),
            protocol: Protocol::Lwm2m,
            clean: true,
            will: ConnectWill::None,
            will_is_session_state: true,
            takeover_will: TakeoverWill::Keep,
            window: 1,
            credit: 0,
            queue_qos0: QueueQos0::NEVER,
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

    /// The old session is gone: so is the device.
    pub(super) fn on_ended(&mut self, now: Now, slot: u32, request: Option<RequestId>, out: &mut Actions) {
        self.request(slot, ToBroker::Disconnect(Ending::Clean), out);
        if let Some(request) = request {
            self.respond(now, request, Response::new(Code::DELETED));
        }
        self.remove_device(slot);
    }

    /// The device is nowhere to be found from now on: its jobs and observations end, and its events go out.
    fn leave(&mut self, now: Now, slot: u32, reason: EndReason, out: &mut Actions) {
        self.drop_jobs(now, slot, out);
        let gone = "the registration ended before the update did";
        self.end_firmware(now, slot, Code::NOT_FOUND, Some(gone), out);
        let Some(device) = self.devices.get_mut(slot) else { return };
        let tokens: Vec<_> = std::mem::take(&mut device.observations)
            .into_iter()
            .map(|observation| observation.saved.token)
            .collect();
        for token in tokens {
            self.coap.forget_observation(now.instant, &token, &mut self.coap_out);
        }
        self.devices.hide(slot);
        self.announce_ended(now, slot, reason, out);
    }

    /// The device's link is over, or was never made; its session, if there is one, stays as it is.
    pub(super) fn forget(&mut self, now: Now, slot: u32, reason: EndReason, out: &mut Actions) {
        self.leave(now, slot, reason, out);
        self.remove_device(slot);
    }

    /// The broker has ended a device's link.
    pub(super) fn on_closed(&mut self, now: Now, slot: u32, reason: CloseReason, out: &mut Actions) {
        let Some(phase) = self.devices.get(slot).map(|device| device.phase) else { return };
        if let Phase::Ending(request) = phase {
            // A newer Register took the session over before we had left it.
            if let Some(request) = request {
                self.respond(now, request, Response::new(Code::DELETED));
            }
            self.remove_device(slot);
            return;
        }
        match reason {
            // The registration is in the memo; the next start finds it.
            CloseReason::Shutdown => {}
            CloseReason::TakenOver
            | CloseReason::SleepExpired
            | CloseReason::Kicked
            | CloseReason::Protocol => {
                match phase {
                    Phase::Attaching(request) => {
                        self.respond(now, request, Response::new(Code::SERVICE_UNAVAILABLE))
                    }
                    Phase::Storing(store) => {
                        self.respond(now, store.request, Response::new(Code::SERVICE_UNAVAILABLE));
                    }
                    Phase::Restoring | Phase::Registered | Phase::Ending(_) => {}
                }
                self.forget(now, slot, EndReason::Kicked, out);
            }
        }
    }
}
