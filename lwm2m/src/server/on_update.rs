//! Update: POST `/rd/<location>` (1.1.1 Core §6.2.2, Transport §6.4.3).
use super::on_register::{note_refused, refusal_response};
use super::{Lwm2mServer, NewAddress};
use crate::coap::{Code, IncomingRequest, RequestId, Response};
use crate::device::{Cause, Phase};
use crate::registration::{Location, ObjectList, Parameters, Refusal};
use broker_core::Now;
use broker_core::frontend::{Actions, Address};
use std::sync::Arc;

impl Lwm2mServer {
    /// The device that this location belongs to, if this peer may speak for it.
    pub(super) fn located(&self, location: &[u8]) -> Option<u32> {
        let slot = self.devices.by_location(Location::from_bytes(location)?)?;
        let device = self.devices.get(slot)?;
        // What was registered under an identity is only changed under it.
        (device.identity == self.identity).then_some(slot)
    }

    pub(super) fn on_update(
        &mut self,
        now: Now,
        location: &[u8],
        request: IncomingRequest<Address>,
        out: &mut Actions,
    ) {
        let slot = self.located(location).filter(|slot| {
            let Some(device) = self.devices.get(*slot) else { return false };
            let moved = device.address() != request.peer;
            let refused = moved && self.identity.is_none() && self.config.new_address == NewAddress::Refuse;
            matches!(device.phase, Phase::Registered | Phase::Storing(_)) && !refused
        });
        let Some(slot) = slot else {
            self.counters.updates_refused += 1;
            let response = Response::new(Code::NOT_FOUND);
            note_refused(&request, "update of an unknown registration", &response, out);
            return self.respond(now, request.id, response);
        };
        let (parameters, objects) = match self.read_update(&request) {
            Ok(read) => read,
            Err(refusal) => {
                self.counters.updates_refused += 1;
                let response = refusal_response(refusal);
                note_refused(&request, "update", &response, out);
                return self.respond(now, request.id, response);
            }
        };
        let with_links = objects.is_some();
        let moved = self.devices.get(slot).is_some_and(|device| device.address() != request.peer);
        if moved {
            self.counters.moved += 1;
            self.restart_jobs(now, slot, out);
            self.move_device(now, slot, request.peer);
            self.note_device(slot, "moved to this address", out);
        }
        let Some(device) = self.devices.get_mut(slot) else { return };
        device.validated |= request.validated;
        let terms = device.registration.updated(parameters, objects).map(|terms| self.kinds.share(terms));
        let changed = terms.is_some();
        if let Some(terms) = terms {
            device.registration.terms = terms;
        }
        let changed_registration = changed.then(|| device.registration.clone());
        let lifetime = device.registration.lifetime;
        let expires = self.expiry(now, lifetime);
        if let Some(device) = self.devices.get_mut(slot) {
            device.expires = expires;
        }
        self.counters.updates += 1;
        let storing = self.devices.get(slot).is_some_and(|device| matches!(device.phase, Phase::Storing(_)));
        if changed || moved {
            if let Some(registration) = &changed_registration {
                self.warn_of_other_lifetime(registration, &request.peer, out);
            }
            if let Some(Phase::Storing(store)) = self.devices.get(slot).map(|device| device.phase) {
                // The newest state is what is stored; both requests are answered by their own store.
                self.answer_update(now, slot, store.request, false, out);
            }
            self.store(slot, request.id, Cause::Update { with_links }, out);
        } else if storing {
            self.respond(now, request.id, Response::new(Code::CHANGED));
        } else {
            // Nothing to keep: lifetimes begin anew after a restart.
            self.answer_update(now, slot, request.id, with_links, out);
        }
    }

    /// The new state is in a commit, or there was none.
    pub(super) fn answer_update(
        &mut self,
        now: Now,
        slot: u32,
        request: RequestId,
        with_links: bool,
        out: &mut Actions,
    ) {
        self.respond(now, request, Response::new(Code::CHANGED));
        self.settle(now, slot, out);
        self.announce_updated(now, slot, with_links, out);
        self.plan_observations(slot);
        self.issue_observation(now, slot, out);
    }

    fn read_update(
        &mut self,
        request: &IncomingRequest<Address>,
    ) -> Result<(Parameters, Option<Arc<ObjectList>>), Refusal> {
        let parameters = Parameters::parse(request.options.query(), self.config.lifetimes)?;
        // wakaama sends links without a Content-Format.
        let given = !request.payload.is_empty();
        let objects = if given { Some(self.kinds.read_list(&request.payload, &self.limits)?) } else { None };
        Ok((parameters, objects))
    }
}
