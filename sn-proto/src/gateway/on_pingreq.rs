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
            // It takes itself for connected, with its ClientId or without.
            (State::Handshake, true) => self.abandon_handshake(slot, turn),
            (State::Connecting, true) => self.counters.out_of_place += 1,
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
        let Some(slot) = sleeper else {
            return match (slot, name) {
                (None, Some(name)) if !name.is_empty() && self.config.more_workers => {
                    self.wake_from_elsewhere(turn, name);
                }
                (Some(slot), _) if self.config.rebind_active && self.may_rebind(slot, turn) => {
                    self.active_client_moved(slot, turn);
                }
                (None | Some(_), _) => self.disconnect_stranger(turn),
            };
        };
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

    /// Whether the sender may take this client's place (`rebind`).
    pub(super) fn may_rebind(&self, slot: u32, turn: &Turn<'_>) -> bool {
        let Some(client) = self.clients.get(slot) else { return false };
        let noted = client.topics.as_ref().and_then(|topics| topics.place());
        let was_proven = client.identity.is_some() || noted.is_some_and(|place| place.proven);
        let proven = match &client.identity {
            Some(identity) => turn.peer.identity.as_ref() == Some(identity),
            // Known from before a restart: that its name belongs to this identity is for the broker to check.
            None => was_proven && turn.peer.identity.is_some(),
        };
        let same_ip = client.route.ip() == turn.peer.address.remote.ip();
        self.rebind_allows(was_proven, proven, same_ip)
    }

    fn rebind_allows(&self, was_proven: bool, proven: bool, same_ip: bool) -> bool {
        // Who has proven an identity is never replaced by somebody who has not.
        if was_proven && !proven {
            return false;
        }
        match self.config.rebind {
            Rebind::Any => true,
            Rebind::SameIp => proven || same_ip,
            Rebind::Never => false,
            Rebind::Dtls => proven,
        }
    }

    /// A PINGREQ with the ClientId of nobody here: perhaps a sleeper of another worker, whose socket this
    /// datagram did not reach. The broker knows.
    fn wake_from_elsewhere(&mut self, turn: &mut Turn<'_>, name: &str) {
        if self.is_full()
            || self.clients.by_route(turn.route()).is_some()
            || self.config.rebind == Rebind::Never
            || !self.connect_rate(turn)
        {
            return self.disconnect_stranger(turn);
        }
        let slot = self.insert_newcomer(turn, name, State::Connecting);
        self.resume(slot, Intent::Wake, turn.out);
    }

    /// Whether the policy lets a sleeper wake where its PINGREQ came from, now that its memo is here.
    pub(super) fn may_wake_here(&self, slot: u32) -> bool {
        let Some(client) = self.clients.get(slot) else { return false };
        let Some(place) = client.topics.as_ref().and_then(|topics| topics.place()) else {
            return self.config.rebind == Rebind::Any;
        };
        let same_ip = place.route.ip() == client.route.ip();
        client.route == place.route || self.rebind_allows(place.proven, client.identity.is_some(), same_ip)
    }

    /// It may not: it sleeps on, here, where it said that it is.
    pub(super) fn refuse_wake(&mut self, slot: u32, out: &mut Actions) {
        self.counters.rebind_refused += 1;
        self.tell(slot, Message::Disconnect(None), out);
        self.clients.drop_route(slot);
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.identity = None;
        if let Some(place) = client.topics.as_ref().and_then(|topics| topics.place()) {
            client.route = place.route.clone();
        }
        self.fall_asleep(slot, out);
    }

    /// An active client whose address translation changed (`rebind_active`).
    fn active_client_moved(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if self.clients.get(slot).is_none_or(|client| client.state != State::Active) {
            return self.disconnect_stranger(turn);
        }
        self.counters.sleepers_moved += 1;
        let was_routed = self.clients.get(slot).is_some_and(|client| client.routed);
        self.move_client(slot, turn);
        if self.clients.get(slot).is_some_and(|client| !client.clean) {
            self.note_place(slot, turn.out); // a restart would send to where it was
        }
        turn.reply(Message::PingResp);
        if was_routed {
            self.resend_open(slot, turn.now, turn.out);
        } else {
            self.request(slot, ToBroker::Wake, turn.out);
        }
        self.arm(slot, turn.now.instant);
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
