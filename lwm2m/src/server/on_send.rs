//! Send: POST /dp (1.1.1 Core §6.4.6): values that a device sends by itself.
use super::Lwm2mServer;
use crate::coap::{Code, IncomingRequest, Response};
use crate::content::{self, ContentFormat};
use crate::device::Phase;
use crate::path::ObjectPath;
use broker_core::Now;
use broker_core::frontend::{Actions, Address};

impl Lwm2mServer {
    pub(super) fn on_send(&mut self, now: Now, request: IncomingRequest<Address>, out: &mut Actions) {
        let slot = self.devices.by_address(&request.peer).filter(|slot| {
            self.devices
                .get(*slot)
                .is_some_and(|device| matches!(device.phase, Phase::Registered | Phase::Storing(_)))
        });
        let (Some(slot), true) = (slot, self.is_serving()) else {
            self.counters.sends_refused += 1; // hostile L32
            return self.respond(now, request.id, Response::new(Code::NOT_FOUND));
        };
        let format = request.options.content_format().map(ContentFormat::from_number);
        let Some(Ok(format)) = format else {
            self.counters.sends_refused += 1;
            return self.respond(now, request.id, Response::new(Code::UNSUPPORTED_CONTENT_FORMAT));
        };
        let decoded = self
            .with_context(now, slot, |cx| content::decode(format, ObjectPath::ROOT, &request.payload, cx));
        match decoded {
            Some(Ok(entries)) if !entries.is_empty() => {
                self.counters.sends += 1;
                self.respond(now, request.id, Response::new(Code::CHANGED));
                let items = self.items(slot, entries);
                self.publish_send(slot, &items, out);
                self.publish_values(slot, &items, out);
            }
            Some(Ok(_)) => {
                self.counters.sends_refused += 1;
                self.respond(now, request.id, Response::diagnostic(Code::BAD_REQUEST, "no values"));
            }
            Some(Err(_)) | None => {
                self.counters.undecodable += 1;
                self.respond(now, request.id, Response::diagnostic(Code::BAD_REQUEST, "undecodable"));
            }
        }
    }
}
