//! Traces: what one endpoint says and hears over CoAP, as it happens, for people who look for a fault.
//!
//! An endpoint is followed by its name wherever it is; one that is not registered, by the name in its Register. Where
//! several share an address, each of them that is followed shows all that is said there.
use super::Lwm2mServer;
use crate::coap::{self, describe};
use broker_core::Now;
use broker_core::frontend::Address;
use broker_core::trace::{self, TraceEvent};
use std::sync::Arc;

/// Who is followed, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    followed: trace::Tracer<Address>,
    /// What was sent since the last look, until it is known to whom.
    sent: Vec<(Address, Box<[u8]>)>,
}

impl Tracer {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.followed.is_on()
    }

    /// Notes a datagram that goes out.
    #[cold]
    pub(super) fn note_sent(&mut self, to: Address, datagram: &[u8]) {
        self.sent.push((to, datagram.into()));
    }
}

impl Lwm2mServer {
    /// Follows an endpoint from now on. False when too many are followed already.
    pub fn follow(&mut self, endpoint: &str) -> bool {
        self.tracer.followed.follow(endpoint, || None)
    }

    /// Follows it no longer.
    pub fn unfollow(&mut self, endpoint: &str) {
        self.tracer.followed.unfollow(endpoint);
    }

    /// Whether events wait to be taken.
    pub fn has_traces(&self) -> bool {
        self.tracer.followed.has_events()
    }

    /// What traced endpoints said and heard since the last call.
    pub fn take_traces(&mut self) -> impl Iterator<Item = TraceEvent> + use<> {
        let (events, dropped) = self.tracer.followed.take();
        self.counters.traces_dropped += dropped;
        events.into_iter()
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
            .followed
            .places
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
            let whose: Vec<Arc<str>> = self.tracer.followed.places.iter().filter_map(there).collect();
            for endpoint in whose {
                self.push_trace(endpoint, now, to, &datagram, &describe(&datagram), None);
            }
        }
    }

    /// Looks where those are who are followed. Who has just gone stays where it was: its last answer goes there.
    fn find_traced(&mut self) {
        let Lwm2mServer { tracer, devices, .. } = self;
        for (name, place) in &mut tracer.followed.places {
            let device = devices.by_name(name).and_then(|slot| devices.get(slot));
            *place = device.map(|device| device.address()).or(*place);
        }
    }

    fn push_trace(
        &mut self,
        name: Arc<str>,
        now: Now,
        at: Address,
        datagram: &[u8],
        message: &str,
        verdict: Option<&'static str>,
    ) {
        self.tracer.followed.push(TraceEvent {
            name,
            unix_ms: now.unix_ms,
            address: at.remote,
            bytes: datagram.into(),
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
