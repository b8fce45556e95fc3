//! Traces: what one client says and hears, as it happens, for people who look for a fault.
//!
//! A client is followed by its name wherever it comes from; a stranger, by the ClientId that it gives.

use std::sync::Arc;

use broker_core::Now;
use broker_core::frontend::Actions;
use broker_core::trace::{self, TraceEvent};

use super::{SnGateway, Turn};
use crate::client::{Route, RouteRef};
use crate::wire::{Datagram, Message, WireError};

/// Who is followed, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    followed: trace::Tracer<Route>,
    /// What became of the datagram at hand.
    pub(super) verdict: &'static str,
}

impl Tracer {
    pub(super) fn is_idle(&self) -> bool {
        !self.followed.is_on()
    }

    /// Whether this datagram is to be traced, and for whom. A name in it moves the trace to its sender.
    fn whose(&mut self, route: RouteRef<'_>, message: Option<&Message<'_>>) -> Option<Arc<str>> {
        let named = match message {
            Some(Message::Connect(connect)) => connect.client_id,
            Some(Message::PingReq(client_id)) => client_id,
            Some(_) | None => b"",
        };
        let places = &mut self.followed.places;
        let named = core::str::from_utf8(named).ok().and_then(|name| places.get_key_value(name));
        if let Some(name) = named.map(|(name, _)| Arc::clone(name)) {
            places.insert(Arc::clone(&name), Some(route.to_route()));
            return Some(name);
        }
        let here = |place: &Option<Route>| place.as_ref().is_some_and(|place| place.as_ref() == route);
        places.iter().find(|(_, place)| here(place)).map(|(name, _)| Arc::clone(name))
    }
}

impl SnGateway {
    /// Follows a client from now on. False when too many are followed already.
    pub fn follow(&mut self, client: &str) -> bool {
        let SnGateway { tracer, clients, .. } = self;
        tracer.followed.follow(client, || {
            let known = clients.by_name(client).and_then(|slot| clients.get(slot));
            known.filter(|client| client.routed).map(|client| client.route.clone())
        })
    }

    /// Follows it no longer.
    pub fn unfollow(&mut self, client: &str) {
        self.tracer.followed.unfollow(client);
    }

    /// Whether events wait to be taken.
    pub fn has_traces(&self) -> bool {
        self.tracer.followed.has_events()
    }

    /// What traced clients said and heard since the last call.
    pub fn take_traces(&mut self) -> impl Iterator<Item = TraceEvent> + use<> {
        let (events, dropped) = self.tracer.followed.take();
        self.counters.traces_dropped += dropped;
        events.into_iter()
    }

    /// Notes a datagram from a peer, with what became of it.
    pub(super) fn trace_received(
        &mut self,
        turn: &Turn<'_>,
        datagram: &[u8],
        decoded: &Result<Datagram<'_>, WireError>,
    ) {
        let message = decoded.as_ref().ok().map(|datagram| &datagram.message);
        let Some(client) = self.tracer.whose(turn.route(), message) else { return };
        let (message, verdict) = match decoded {
            Ok(datagram) => (datagram.to_string(), self.tracer.verdict),
            Err(error) => (format!("malformed: {error}"), "dropped"),
        };
        self.tracer.followed.push(TraceEvent {
            name: client,
            unix_ms: turn.now.unix_ms,
            address: turn.peer.address.remote,
            bytes: datagram.into(),
            message,
            verdict: Some(verdict),
        });
    }

    /// Notes the datagrams of `out` from the given one on.
    pub(super) fn trace_sent(&mut self, now: Now, out: &Actions, from: usize) {
        if self.tracer.is_idle() {
            return;
        }
        for (datagram, bytes) in out.outgoing().skip(from) {
            let Ok(decoded) = Datagram::decode(bytes) else { continue };
            let node = decoded.envelope.map(|envelope| envelope.node_id);
            let Some(client) = self.tracer.whose(RouteRef { address: datagram.to, node }, None) else {
                continue;
            };
            self.tracer.followed.push(TraceEvent {
                name: client,
                unix_ms: now.unix_ms,
                address: datagram.to.remote,
                bytes: bytes.into(),
                message: decoded.to_string(),
                verdict: None,
            });
        }
    }
}
