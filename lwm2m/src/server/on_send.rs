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
        let there = self.devices.at(&request.peer).filter(|slot| {
            self.devices
                .get(*slot)
                .is_some_and(|device| matches!(device.phase, Phase::Registered | Phase::Storing(_)))
        });
        let sharers: Vec<u32> = there.collect();
        let (Some(slot), true) = (sharers.first().copied(), self.is_serving()) else {
            self.counters.sends_refused += 1; // hostile L32
            return self.respond(now, request.id, Response::new(Code::NOT_FOUND));
        };
        let format = request.options.content_format().map(ContentFormat::from_number);
        let Some(Ok(format)) = format else {
            self.counters.sends_refused += 1;
            return self.respond(now, request.id, Response::new(Code::UNSUPPORTED_CONTENT_FORMAT));
        };
        let decode = |server: &mut Self, slot| {
            server
                .with_context(now, slot, |cx| content::decode(format, ObjectPath::ROOT, &request.payload, cx))
        };
        let mut decoded = decode(self, slot);
        let mut slot = slot;
        if sharers.len() > 1
            && let Some(Ok(entries)) = &decoded
        {
            let paths: Vec<ObjectPath> = entries.iter().map(|entry| entry.path).collect();
            match self.sender(&sharers, &paths) {
                Ok(sender) if sender != slot => {
                    slot = sender;
                    decoded = decode(self, slot); // with the types of its objects
                }
                Ok(_) => {}
                Err(()) => {
                    self.counters.sends_ambiguous += 1;
                    let text = "several endpoints at this address may have sent this";
                    return self.respond(now, request.id, Response::diagnostic(Code::BAD_REQUEST, text));
                }
            }
        }
        match decoded {
            Some(Ok(entries)) if !entries.is_empty() => {
                self.counters.sends += 1;
                self.on_heard(now, slot, out);
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
