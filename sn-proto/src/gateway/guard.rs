//! The reflection guard (hostile inputs P4, P5, N26): an address that nobody has validated gets at most three times
//! the octets that it sent, and one message more.
//!
//! A client that only subscribes at QoS 0 acknowledges nothing, so it would fall silent; before that it is asked,
//! once, to acknowledge a REGISTER of a topic that it subscribed to itself.

use broker_core::Now;
use broker_core::frontend::Actions;

use super::{SnGateway, Turn};
use crate::client::{RouteRef, State};
use crate::config::ReflectGuard;
use crate::rate::is_public;
use crate::wire::Message;

/// Octets to an address for each octet from it.
const FACTOR: i64 = 3;
/// Credit that can be saved up.
const CREDIT_MAX: i64 = 64 << 10;
/// Below this, the client is asked for an acknowledgement.
const NEAR_END: i32 = 64;

impl SnGateway {
    /// Whether the sender must show that it is where it says.
    pub(super) fn needs_validation(&self, turn: &Turn<'_>) -> bool {
        self.is_guarded(turn.route(), turn.peer.identity.is_some())
    }

    /// Whether a client at this place must show that it is there.
    pub(super) fn is_guarded(&self, route: RouteRef<'_>, proven: bool) -> bool {
        let ip = route.address.remote.ip();
        let vouched = proven || (route.node.is_some() && self.config.is_forwarder(ip));
        match self.config.reflect_guard {
            ReflectGuard::Off => false,
            ReflectGuard::All => !vouched,
            ReflectGuard::Public => !vouched && is_public(ip),
        }
    }

    /// `received` octets came from the client.
    pub(super) fn credit_guard(&mut self, slot: u32, received: usize) {
        let Some(client) = self.clients.get_mut(slot).filter(|client| !client.validated) else { return };
        let gained = i64::try_from(received).unwrap_or(0).saturating_mul(FACTOR);
        let credit = i64::from(client.guard_credit).saturating_add(gained).min(CREDIT_MAX);
        client.guard_credit = i32::try_from(credit).unwrap_or(0);
    }

    /// The client has answered with a MsgId that it can only know from us.
    pub(super) fn validate(&mut self, slot: u32) {
        if let Some(client) = self.clients.get_mut(slot) {
            client.validated = true;
        }
    }

    /// Whether the address has had its share.
    pub(super) fn guard_holds(&self, slot: u32) -> bool {
        self.clients.get(slot).is_some_and(|client| !client.validated && client.guard_credit <= 0)
    }

    /// Sends a delivery, or a REGISTER for one, if the client listens and the guard allows it.
    pub(super) fn tell_guarded(&mut self, slot: u32, message: Message<'_>, out: &mut Actions) -> bool {
        let listens = self.clients.get(slot).is_some_and(|client| match client.state {
            State::Active | State::Awake => client.routed,
            State::Handshake | State::Connecting | State::Asleep => false,
        });
        if !listens {
            return false;
        }
        if self.guard_holds(slot) {
            self.counters.guarded += 1;
            return false;
        }
        self.spend_guard(slot, message.encoded_len());
        self.tell(slot, message, out);
        true
    }

    fn spend_guard(&mut self, slot: u32, octets: usize) {
        if let Some(client) = self.clients.get_mut(slot).filter(|client| !client.validated) {
            client.guard_credit =
                client.guard_credit.saturating_sub(i32::try_from(octets).unwrap_or(i32::MAX));
        }
    }

    /// Asks for an acknowledgement before the credit is used up, once for an address.
    pub(super) fn probe(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let busy = client.outgoing.as_ref().is_some_and(|it| it.flight.is_some() || it.register.is_some());
        if client.validated || client.probed || busy || client.guard_credit > NEAR_END {
            return;
        }
        let topics = client.topics.as_ref();
        let Some(id) = topics.and_then(|it| it.iter().find(|entry| entry.is_client_made())).map(|it| it.id())
        else {
            return;
        };
        client.probed = true;
        // The question itself may take the last of the credit, and is not kept back by it.
        client.guard_credit = client.guard_credit.max(1);
        self.start_register(slot, id, true, now, out);
    }

    /// The client was heard: what waited for credit may go on.
    pub(super) fn reopen(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get(slot) else { return };
        let Some(outgoing) = client.outgoing.as_ref() else { return };
        if self.guard_holds(slot) {
            return;
        }
        if outgoing.flight.as_ref().is_some_and(|flight| flight.tries == 0) {
            self.send_flight(slot, now, out);
        } else if outgoing.flight.is_none() && outgoing.register.is_none() && outgoing.held_credit > 0 {
            self.release_credit(slot, out);
            if let Some(client) = self.clients.get_mut(slot) {
                client.tidy();
            }
        }
    }
}
