//! Timers of a client: keep-alive, will handshake, retransmission (MQTT-SN §6.11, §6.13, §7.2).
//!
//! Each client has one timer, armed for the earliest of its deadlines; a deadline that has moved later meanwhile is
//! found out when it fires.

use std::sync::Arc;
use std::time::Duration;

use broker_core::frontend::Actions;
use broker_core::link::Ending;
use broker_core::{Instant, Now};

use super::SnGateway;
use crate::client::{Client, Stage, State};
use crate::config::Config;
use crate::wire::Message;

impl SnGateway {
    pub(super) fn timeout(&mut self, now: Now, out: &mut Actions) {
        self.attach_minus_one(now, out);
        self.advertise(now, out);
        let mut due = std::mem::take(&mut self.due);
        let millis = now.instant.as_millis();
        // What is left over shows in `next_timeout`.
        let _all = self.wheel.expire(millis, self.config.limits.timers_per_call_max, &mut due);
        for due in due.drain(..) {
            let Some(client) = self.clients.get_mut(due.id) else { continue };
            if client.timer.fired(&mut self.wheel, due, millis) {
                self.client_timeout(due.id, now, out);
                self.arm(due.id, now.instant);
            }
        }
        self.due = due;
    }

    fn client_timeout(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.handshake.as_ref().is_some_and(|it| it.will && it.deadline <= now.instant)
            && client.state != State::Connecting
        {
            client.handshake = None; // beside a live session it changes nothing
            if client.state == State::Handshake {
                self.counters.handshakes_abandoned += 1;
                return self.forget(slot);
            }
        }
        if let Some(client) = self.clients.get_mut(slot) {
            client.released.expire(now.instant);
            client.tidy();
        }
        let Some(client) = self.clients.get(slot) else { return };
        if self.connecting_deadline(client).is_some_and(|deadline| deadline <= now.instant) {
            // The broker, or who checks credentials for it, does not answer.
            self.counters.handshakes_abandoned += 1;
            let (name, route) = (Arc::clone(&client.name), client.route.clone());
            self.end(slot, Ending::Clean, out);
            return self.return_address(&name, route, out);
        }
        if keep_alive_deadline(client, &self.config).is_some_and(|deadline| deadline <= now.instant) {
            self.counters.keep_alive_lapsed += 1;
            self.tell(slot, Message::Disconnect(None), out);
            return self.end(slot, Ending::Abnormal, out);
        }
        if awake_deadline(client, &self.config).is_some_and(|deadline| deadline <= now.instant) {
            return self.fall_asleep(slot, out); // it went back to sleep without hearing all
        }
        if !is_sending(client) {
            return;
        }
        if self.register(slot).is_some_and(|register| register.due <= now.instant) {
            self.retry_register(slot, now, out);
        }
        if self.flight(slot).is_some_and(|flight| flight.due <= now.instant) {
            self.retry_flight(slot, now, out);
        }
    }

    fn retry_register(&mut self, slot: u32, now: Now, out: &mut Actions) {
        // What waits behind it has waited for one Tretry: QoS 0 passes from now on.
        self.release_credit(slot, out);
        let retries = self.config.retry_count;
        let few = self.config.limits.register_tries_known;
        let Some(client) = self.clients.get(slot) else { return };
        let Some(register) = client.outgoing.as_ref().and_then(|it| it.register.as_ref()) else { return };
        let topic_id = register.topic_id;
        let entry = client.topics.as_ref().and_then(|topics| topics.by_id(topic_id));
        let client_made = entry.is_some_and(|entry| entry.is_client_made());
        if client_made && register.tries >= few {
            // Some clients answer no REGISTER; but this id they once asked for themselves.
            self.counters.registers_unanswered += 1;
            self.topic_known(slot, topic_id, now, out);
        } else if register.tries > retries {
            self.counters.registers_unanswered += 1;
            self.give_up_register(slot, topic_id, now, out);
        } else {
            self.counters.retransmissions += 1;
            self.send_register(slot, now, out);
        }
    }

    /// A REGISTER that is never answered: its QoS 0 message is dropped, its QoS 1/2 message is parked.
    pub(super) fn give_up_register(&mut self, slot: u32, topic_id: u16, now: Now, out: &mut Actions) {
        if let Some(outgoing) = self.clients.get_mut(slot).and_then(|client| client.outgoing.as_mut()) {
            outgoing.register = None;
        }
        if self.flight(slot).is_some_and(|flight| flight.stage == Stage::Register(topic_id)) {
            self.park_flight(slot, out);
        }
        self.after_register(slot, now, out);
    }

    fn retry_flight(&mut self, slot: u32, now: Now, out: &mut Actions) {
        self.release_credit(slot, out);
        let retries = self.config.retry_count;
        let Some(flight) = self.flight(slot) else { return };
        match flight.stage {
            Stage::Publish | Stage::Release if flight.tries > retries => self.park_flight(slot, out),
            Stage::Publish | Stage::Release => {
                self.counters.retransmissions += 1;
                self.send_flight(slot, now, out);
            }
            // The REGISTER's timer counts; the broker answers by itself.
            Stage::Register(_) | Stage::Received => flight.due = Instant::FAR_FUTURE,
        }
    }

    /// Until when the broker must have answered.
    fn connecting_deadline(&self, client: &Client) -> Option<Instant> {
        match client.state {
            State::Connecting => Some(client.heard + self.config.limits.handshake_timeout),
            State::Active | State::Handshake | State::Asleep | State::Awake => None,
        }
    }

    /// Arms the timer of a client for its earliest deadline.
    pub(super) fn arm(&mut self, slot: u32, now: Instant) {
        let Some(client) = self.clients.get(slot) else { return };
        let connecting = self.connecting_deadline(client);
        let Some(client) = self.clients.get_mut(slot) else { return };
        let handshake = client.handshake.as_ref().filter(|it| it.will).map(|it| it.deadline);
        let handshake = handshake.filter(|_| client.state != State::Connecting);
        let outgoing = client.outgoing.as_ref().filter(|_| is_sending(client));
        let register = outgoing.and_then(|it| it.register.as_ref()).map(|it| it.due);
        let flight = outgoing.and_then(|it| it.flight.as_ref()).map(|it| it.due);
        let awake = awake_deadline(client, &self.config);
        let released = client.released.until();
        let keep_alive = keep_alive_deadline(client, &self.config);
        let deadlines = [handshake, keep_alive, awake, register, flight, released, connecting];
        let earliest = deadlines.into_iter().flatten().filter(|it| *it != Instant::FAR_FUTURE).min();
        if let Some(earliest) = earliest {
            let deadline = earliest.max(now + Duration::from_millis(1));
            client.timer.set(&mut self.wheel, slot, deadline.as_millis());
        }
    }
}

/// Deliveries are under way and answered only while the client listens.
fn is_sending(client: &Client) -> bool {
    match client.state {
        State::Active => client.routed,
        State::Awake => true,
        State::Handshake | State::Connecting | State::Asleep => false,
    }
}

/// One and a half times the Duration of CONNECT: wide enough for both tolerances of §7.2. A client that asked for no
/// supervision gets that of its idleness.
pub(super) fn supervision(client: &Client, config: &Config) -> Option<Duration> {
    match client.keep_alive {
        0 => config.limits.idle_timeout,
        seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
    }
}

fn keep_alive_deadline(client: &Client, config: &Config) -> Option<Instant> {
    match client.state {
        State::Active => supervision(client, config).map(|time| client.heard + time),
        State::Handshake | State::Connecting | State::Asleep | State::Awake => None,
    }
}

/// A client that is awake and not heard for longer than all tries of one message take.
fn awake_deadline(client: &Client, config: &Config) -> Option<Instant> {
    match client.state {
        State::Awake => Some(client.heard + config.retry_interval * (u32::from(config.retry_count) + 2)),
        State::Active | State::Handshake | State::Connecting | State::Asleep => None,
    }
}
