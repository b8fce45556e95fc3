//! De-register: DELETE `/rd/<location>` (1.1.1 Core §6.2.3).
use super::Lwm2mServer;
use crate::coap::{Code, IncomingRequest, Response};
use crate::device::EndReason;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};

impl Lwm2mServer {
    pub(super) fn on_deregister(
        &mut self,
        now: Now,
        location: &[u8],
        request: IncomingRequest<Address>,
        out: &mut Actions,
    ) {
        let Some(slot) = self.located(location) else {
            return self.respond(now, request.id, Response::new(Code::NOT_FOUND));
        };
        self.counters.deregisters += 1;
        self.end(now, slot, EndReason::Deregistered, Some(request.id), out);
    }
}
