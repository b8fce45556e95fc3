//! Traces: what one endpoint says and hears over CoAP, as it happens, for people who look for a fault.
//!
//! An endpoint is followed by its name wherever it is; one that is not registered, by the name in its Register. Where
//! several share an address, each of them that is followed shows all that is said there.
use super::Lwm2mServer;
use crate::coap::{self, describe};
use broker_core::Now;
use broker_core::frontend::Address;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Endpoints followed at a time. Beyond, the newest wish is refused.
const ENDPOINTS_MAX: usize = 16;
/// Events kept until they are taken. Beyond, the oldest is dropped and counted.
const EVENTS_MAX: usize = 1024;
/// Bytes of a datagram that are kept.
const BYTES_MAX: usize = 256;

/// One datagram of a traced endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Whose.
    pub endpoint: Arc<str>,
    /// When, milliseconds since 1970.
    pub unix_ms: u64,
    /// From the endpoint, or to it.
    pub received: bool,
    /// Where the endpoint is.
    pub address: SocketAddr,
    /// The first bytes of the datagram.
    pub bytes: Box<[u8]>,
    /// Its type, code, ids, options and payload in words, with text from the wire escaped.
    pub message: String,
    /// What became of a received one.
    pub verdict: Option<&'static str>,
}

/// Who is followed, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    /// With where each was last.
    endpoints: BTreeMap<Arc<str>, Option<Address>>,
    events: VecDeque<TraceEvent>,
    /// What was sent since the last look, until it is known to whom.
    sent: Vec<(Address, Box<[u8]>)>,
}

impl Tracer {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Notes a datagram that goes out.
    #[cold]
    pub(super) fn note_sent(&mut self, to: Address, datagram: &[u8]) {
        self.sent.push((to, datagram.into()));
    }
}

impl Lwm2mServer {
    /// Follows an endpoint from now on, or no longer. False when too many are followed already.
    pub fn trace(&mut self, endpoint: &str, on: bool) -> bool {
        let endpoints = &mut self.tracer.endpoints;
        if !on {
            endpoints.remove(endpoint);
            return true;
        }
        if !endpoints.contains_key(endpoint) {
            if endpoints.len() >= ENDPOINTS_MAX {
                return false;
            }
            endpoints.insert(Arc::from(endpoint), None);
        }
        true
    }

    /// Whether events wait to be taken.
    pub fn has_traces(&self) -> bool {
        !self.tracer.events.is_empty()
    }

    /// What traced endpoints said and heard since the last call.
    pub fn take_traces(&mut self) -> impl Iterator<Item = TraceEvent> {
        std::mem::take(&mut self.tracer.events).into_iter()
    }

    /// Notes a datagram that has been handled, then what was sent in answer.
    #[cold]
    pub(super) fn trace_received(
        &mut self,
        now: Now,
        from: Address,
        datagram: &[u8],
        before: &coap::Counters,
    ) {
        self.find_traced();
        let named = coap::register_name(datagram);
        let whose: Vec<Arc<str>> = self
            .tracer
            .endpoints
            .iter_mut()
            .filter_map(|(name, place)| {
                if named.as_deref() == Some(name.as_bytes()) {
                    *place = Some(from);
                }
                (*place == Some(from)).then(|| name.clone())
            })
            .collect();
        if !whose.is_empty() {
            let (message, verdict) = (describe(datagram), verdict(before, &self.coap.counters()));
            for endpoint in whose {
                self.push_trace(endpoint, now, from, datagram, &message, Some(verdict));
            }
        }
        self.trace_sent(now);
    }

    /// Notes what was sent since the last look.
    #[cold]
    pub(super) fn trace_sent(&mut self, now: Now) {
        self.find_traced();
        for (to, datagram) in std::mem::take(&mut self.tracer.sent) {
            let there =
                |(name, place): (&Arc<str>, &Option<Address>)| (*place == Some(to)).then(|| name.clone());
            let whose: Vec<Arc<str>> = self.tracer.endpoints.iter().filter_map(there).collect();
            for endpoint in whose {
                self.push_trace(endpoint, now, to, &datagram, &describe(&datagram), None);
            }
        }
    }

    /// Looks where those are who are followed. Who has just gone stays where it was: its last answer goes there.
    fn find_traced(&mut self) {
        let Lwm2mServer { tracer, devices, .. } = self;
        for (name, place) in &mut tracer.endpoints {
            let device = devices.by_name(name).and_then(|slot| devices.get(slot));
            *place = device.map(|device| device.address()).or(*place);
        }
    }

    fn push_trace(
        &mut self,
        endpoint: Arc<str>,
        now: Now,
        at: Address,
        datagram: &[u8],
        message: &str,
        verdict: Option<&'static str>,
    ) {
        if self.tracer.events.len() >= EVENTS_MAX {
            self.tracer.events.pop_front();
            self.counters.traces_dropped += 1;
        }
        self.tracer.events.push_back(TraceEvent {
            endpoint,
            unix_ms: now.unix_ms,
            received: verdict.is_some(),
            address: at.remote,
            bytes: datagram.get(..BYTES_MAX).unwrap_or(datagram).into(),
            message: message.to_owned(),
            verdict,
        });
    }
}

/// What became of a datagram, by what was counted meanwhile.
fn verdict(before: &coap::Counters, after: &coap::Counters) -> &'static str {
    let rose = |of: fn(&coap::Counters) -> u64| of(after) > of(before);
    if rose(|c| c.malformed.values().sum()) {
        "malformed"
    } else if rose(|c| c.duplicates) {
        "duplicate"
    } else if rose(|c| c.replies_withheld) {
        "answer withheld"
    } else if rose(|c| c.challenges) {
        "challenged"
    } else if rose(|c| c.stray + c.unknown_responses) {
        "belongs to nothing"
    } else if rose(|c| c.notifications_stale) {
        "older than what is known"
    } else if rose(|c| c.notifications_dropped + c.group_ignored + c.empty_non) {
        "ignored"
    } else if rose(|c| c.refused + c.overloaded + c.bodies_refused) {
        "refused"
    } else {
        "handled"
    }
}
