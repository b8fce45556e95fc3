//! Traces: what one client says and hears, as it happens, for people who look for a fault.
//!
//! A client is followed by its name wherever it comes from; a stranger, by the ClientId that it gives.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use broker_core::Now;
use broker_core::frontend::Actions;

use super::{SnGateway, Turn};
use crate::client::{Route, RouteRef};
use crate::wire::{Datagram, Message, WireError};

/// Clients followed at a time. Beyond, the newest wish is refused.
const CLIENTS_MAX: usize = 16;
/// Events kept until they are taken. Beyond, the oldest is dropped.
const EVENTS_MAX: usize = 1024;
/// Octets of a datagram that are kept.
const OCTETS_MAX: usize = 256;

/// One datagram of a traced client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Whose.
    pub client: Arc<str>,
    /// When, milliseconds since 1970.
    pub unix_ms: u64,
    /// From the client, or to it.
    pub received: bool,
    /// Where the client is.
    pub address: SocketAddr,
    /// The first octets of the datagram.
    pub octets: Box<[u8]>,
    /// Its fields in words, with text from the wire escaped.
    pub message: String,
    /// What became of a received one.
    pub verdict: Option<&'static str>,
}

/// Who is followed, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    clients: BTreeMap<Arc<str>, Option<Route>>,
    events: VecDeque<TraceEvent>,
    dropped: u64,
    /// What became of the datagram at hand.
    pub(super) verdict: &'static str,
}

impl Tracer {
    pub(super) fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whether this datagram is to be traced, and for whom. A name in it moves the trace to its sender.
    fn whose(&mut self, route: RouteRef<'_>, message: Option<&Message<'_>>) -> Option<Arc<str>> {
        let named = match message {
            Some(Message::Connect(connect)) => connect.client_id,
            Some(Message::PingReq(client_id)) => client_id,
            Some(_) | None => b"",
        };
        let named = core::str::from_utf8(named).ok().and_then(|name| self.clients.get_key_value(name));
        if let Some(name) = named.map(|(name, _)| Arc::clone(name)) {
            self.clients.insert(Arc::clone(&name), Some(route.to_route()));
            return Some(name);
        }
        let here = |place: &Option<Route>| place.as_ref().is_some_and(|place| place.as_ref() == route);
        self.clients.iter().find(|(_, place)| here(place)).map(|(name, _)| Arc::clone(name))
    }

    fn push(&mut self, event: TraceEvent) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(event);
    }
}

impl SnGateway {
    /// Follows a client from now on, or no longer. False when too many are followed already.
    pub fn trace(&mut self, client: &str, on: bool) -> bool {
        if !on {
            self.tracer.clients.remove(client);
            return true;
        }
        if self.tracer.clients.contains_key(client) {
            return true;
        }
        if self.tracer.clients.len() >= CLIENTS_MAX {
            return false;
        }
        let slot = self.clients.by_name(client).and_then(|slot| self.clients.get(slot));
        let place = slot.filter(|client| client.routed).map(|client| client.route.clone());
        self.tracer.clients.insert(Arc::from(client), place);
        true
    }

    /// Whether events wait to be taken.
    pub fn has_traces(&self) -> bool {
        !self.tracer.events.is_empty()
    }

    /// What traced clients said and heard since the last call.
    pub fn take_traces(&mut self) -> impl Iterator<Item = TraceEvent> {
        self.counters.traces_dropped += std::mem::take(&mut self.tracer.dropped);
        std::mem::take(&mut self.tracer.events).into_iter()
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
        self.tracer.push(TraceEvent {
            client,
            unix_ms: turn.now.unix_ms,
            received: true,
            address: turn.peer.address.remote,
            octets: first_octets(datagram),
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
            self.tracer.push(TraceEvent {
                client,
                unix_ms: now.unix_ms,
                received: false,
                address: datagram.to.remote,
                octets: first_octets(bytes),
                message: decoded.to_string(),
                verdict: None,
            });
        }
    }
}

fn first_octets(bytes: &[u8]) -> Box<[u8]> {
    Box::from(bytes.get(..OCTETS_MAX).unwrap_or(bytes))
}
