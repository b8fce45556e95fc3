//! PINGREQ (MQTT-SN §6.11, §6.14): a sign of life, or a sleeper that wants its messages.

use broker_core::frontend::Actions;
use broker_core::{Now, ToBroker};

use super::{SnGateway, Turn};
use crate::client::{Intent, State};
use crate::config::Rebind;
use crate::wire::Message;

impl SnGateway {
    /// PINGREQ from the address of a client.
    pub(super) fn on_pingreq(&mut self, slot: u32, turn: &mut Turn<'_>, client_id: &[u8]) {
        let Some(client) = self.clients.get(slot) else { return };
        let own = client_id.is_empty() || client.name.as_bytes() == client_id;
        match (client.state, own) {
            (State::Active, true) => turn.reply(Message::PingResp),
            (State::Asleep, true) => self.wake(slot, turn.now, turn.out),
            // §1.9 of a repeated PINGREQ: what is open is sent again, and the burst goes on.
            (State::Awake, true) => self.resend_open(slot, turn.now, turn.out),
            (State::Handshake | State::Connecting, true) => self.disconnect_stranger(turn),
            (State::Handshake | State::Active | State::Asleep | State::Awake | State::Connecting, false) => {
                self.on_pingreq_of(turn, client_id);
            }
        }
    }

    /// PINGREQ with a ClientId from an address that is not that client's.
    pub(super) fn on_pingreq_of(&mut self, turn: &mut Turn<'_>, client_id: &[u8]) {
        let name = core::str::from_utf8(client_id).ok();
        let slot = name.and_then(|name| self.clients.by_name(name));
        let sleeper = slot.filter(|slot| {
            self.clients.get(*slot).is_some_and(|client| match client.state {
                State::Asleep | State::Awake => true,
                State::Handshake | State::Connecting | State::Active => false,
            })
        });
        let Some(slot) = sleeper else { return self.disconnect_stranger(turn) };
        if !self.may_rebind(slot, turn) {
            self.counters.rebind_refused += 1;
            return self.disconnect_stranger(turn);
        }
        self.counters.sleepers_moved += 1;
        self.move_client(slot, turn);
        match self.clients.get(slot).map(|client| client.state) {
            Some(State::Asleep) => self.wake(slot, turn.now, turn.out),
            Some(State::Awake) => self.resend_open(slot, turn.now, turn.out),
            Some(State::Handshake | State::Connecting | State::Active) | None => {}
        }
        self.arm(slot, turn.now.instant);
    }

    /// Whether the sender may take this sleeper's place (`rebind`).
    pub(super) fn may_rebind(&self, slot: u32, turn: &Turn<'_>) -> bool {
        let Some(client) = self.clients.get(slot) else { return false };
        let proven = client.identity.is_some() && client.identity == turn.peer.identity;
        // Who has proven an identity is never replaced by somebody who has not.
        if client.identity.is_some() && !proven {
            return false;
        }
        match self.config.rebind {
            Rebind::Any => true,
            Rebind::SameIp => proven || client.route.address.remote.ip() == turn.peer.address.remote.ip(),
            Rebind::Never => false,
            Rebind::Dtls => proven,
        }
    }

    /// The client is where this datagram came from.
    pub(super) fn move_client(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if let Some(other) = self.clients.by_route(turn.route())
            && other != slot
        {
            self.leave_address(other, turn);
        }
        let validated = !self.needs_validation(turn);
        self.clients.move_to(slot, turn.route().to_route());
        if let Some(client) = self.clients.get_mut(slot) {
            client.heard = turn.now.instant;
            client.validated = validated;
            client.probed = false;
            client.guard_credit = 0;
        }
        self.credit_guard(slot, turn.received);
    }

    /// A sleeper is awake: what was open before it slept, then what waits, then PINGRESP.
    pub(super) fn wake(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get(slot) else { return };
        if !client.linked {
            return self.resume(slot, Intent::Wake, out);
        }
        self.clients.set_state(slot, State::Awake);
        self.request(slot, ToBroker::Drain { max: self.config.awake_limit }, out);
        self.arm(slot, now.instant);
    }

    /// The broker has nothing more for this burst.
    pub(super) fn broker_drained(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot).filter(|client| client.state == State::Awake) else {
            return;
        };
        client.drained = true;
        self.end_burst(slot, out);
        self.arm(slot, now.instant);
    }

    /// PINGRESP ends a burst, once the last REGISTER of it is answered too. The broker has paused by itself.
    pub(super) fn end_burst(&mut self, slot: u32, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let open = client
            .outgoing
            .as_ref()
            .is_some_and(|it| it.flight.is_some() || it.register.is_some() || it.deferred.is_some());
        if client.state == State::Awake && client.drained && !open {
            client.drained = false;
            self.clients.set_state(slot, State::Asleep);
            self.tell(slot, Message::PingResp, out);
        }
    }
}
