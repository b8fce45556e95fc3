//! Room for newcomers, and who leaves for them behind a forwarder (hostile input N33).
//!
//! Node ids cost a stranger nothing, so those of one forwarder have a cap, and beyond it the oldest that has shown
//! nothing makes room: a handshake that goes on, or a session without anything in it whose CONNECT is the last that
//! was heard of it. What is lived in stays, whatever strangers send.

use std::net::IpAddr;

use broker_core::frontend::Actions;
use broker_core::link::Ending;

use super::{SnGateway, Turn};
use crate::client::{Client, Intent, State};
use crate::wire::Message;

impl SnGateway {
    /// Whether no more clients, or no more handshakes, are taken.
    pub(super) fn is_full(&self) -> bool {
        let limits = &self.config.limits;
        self.clients.len() >= limits.clients_max || self.clients.handshakes() >= limits.handshakes_max
    }

    /// Whether there is room for one more client, after somebody has left for it if need be.
    pub(super) fn has_room(&mut self, turn: &mut Turn<'_>) -> bool {
        if turn.node.is_none() {
            return !self.is_full();
        }
        let ip = turn.peer.address.remote.ip();
        let max = self.config.limits.nodes_per_forwarder_max;
        let crowded = |gateway: &Self| gateway.is_full() || gateway.clients.nodes_at(ip) >= max;
        if crowded(self) {
            self.evict_node(ip, turn.out);
        }
        !crowded(self)
    }

    /// Ends the oldest client behind this forwarder that has shown nothing, if there is one.
    fn evict_node(&mut self, ip: IpAddr, out: &mut Actions) {
        // Each is looked at once: whoever is lived in does not come back to the list.
        while let Some(slot) = self.clients.take_oldest_node(ip) {
            if self.clients.get(slot).is_some_and(|client| self.is_vacant(client, ip)) {
                self.counters.nodes_evicted += 1;
                self.tell(slot, Message::Disconnect(None), out); // a device that is real connects again
                return self.end(slot, Ending::Clean, out);
            }
        }
    }

    fn is_vacant(&self, client: &Client, ip: IpAddr) -> bool {
        // Else its slot is another's by now.
        client.route.node().is_some() && client.route.ip() == ip && self.has_shown_nothing(client)
    }

    /// Whether nothing is lost with this client: no session yet, or one without anything in it.
    pub(super) fn has_shown_nothing(&self, client: &Client) -> bool {
        match client.state {
            State::Handshake => true,
            // Beside a session that it is to replace, it is that session's.
            State::Connecting => {
                client.intent == Intent::Connect && self.clients.by_name(&client.name).is_none()
            }
            State::Active => {
                let has_topics = client
                    .topics
                    .as_ref()
                    .is_some_and(|topics| !topics.is_empty() || !topics.typed().is_empty());
                let known = client.resumed || client.prompted || client.identity.is_some();
                client.fresh && !known && !has_topics
            }
            State::Asleep | State::Awake => false,
        }
    }
}
