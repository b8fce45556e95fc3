//! CONNECT and CONNACK (MQTT-SN §5.4.4, §6.2): who gets a link, and when the answer leaves.

use std::sync::Arc;

use broker_core::frontend::Actions;
use broker_core::link::{
    Connect as Attach, ConnectWill, Protocol, RefuseReason, Resume, TakeoverWill, WillUpdate,
};
use broker_core::{Now, SessionName, ToBroker, Will};

use super::timeout::supervision;
use super::{SnGateway, Turn};
use crate::client::{Client, Handshake, Intent, Pending, Released, Route, State, ZeroPacket};
use crate::config::SleepConnectClean;
use crate::limits::{LINK_CREDIT, WINDOW};
use crate::wire::{Connect, Message, PROTOCOL_ID, ReturnCode, client_id};

impl SnGateway {
    /// `slot` is whoever is known at the sender's address.
    pub(super) fn on_connect(&mut self, slot: Option<u32>, turn: &mut Turn<'_>, connect: Connect<'_>) {
        let name = match self.check_connect(turn, &connect) {
            Ok(name) => name,
            Err(code) => {
                self.counters.connects_refused += 1;
                return turn.reply(Message::ConnAck(code));
            }
        };
        let here = slot.and_then(|slot| Some((slot, self.clients.get(slot)?)));
        match here {
            Some((slot, client)) if *client.name == *name => match client.state {
                State::Connecting => self.count_copy(slot, &connect),
                State::Handshake => self.begin_handshake(slot, turn, &connect),
                State::Active => self.connect_again(slot, turn, &connect),
                State::Asleep | State::Awake => self.connect_from_sleep(slot, turn, &connect),
            },
            Some((slot, _)) => {
                self.leave_address(slot, turn);
                self.connect_newcomer(turn, name, &connect);
            }
            None => self.connect_newcomer(turn, name, &connect),
        }
    }

    /// What is refused before anything is kept (MQTT-SN §5.3.1, §5.3.8).
    fn check_connect<'a>(
        &mut self,
        turn: &mut Turn<'_>,
        connect: &Connect<'a>,
    ) -> Result<&'a str, ReturnCode> {
        if !self.connect_rate(turn) {
            return Err(ReturnCode::Congestion);
        }
        if connect.protocol_id != PROTOCOL_ID {
            return Err(ReturnCode::NotSupported);
        }
        let limits = &self.config.limits;
        let name =
            client_id(connect.client_id, limits.client_id_bytes_max).map_err(|_| ReturnCode::NotSupported)?;
        if !self.config.mountpoint.admits(name) {
            return Err(ReturnCode::NotSupported);
        }
        if self.clients.by_route(turn.route()).is_some() || self.has_room(turn) {
            return Ok(name);
        }
        Err(ReturnCode::Congestion)
    }

    /// Takes a CONNECT off the rate of its place.
    pub(super) fn connect_rate(&mut self, turn: &Turn<'_>) -> bool {
        let exempt = turn.node.is_none() && self.config.is_exempt(turn.peer.address.remote.ip());
        exempt || self.limiter.connect(turn.now.instant, turn.route())
    }

    /// Another ClientId speaks from the address of this client: the port has a new owner. The old session is not
    /// merged with the new one; it goes on without an address until its keep-alive or sleep ends, or it is heard
    /// from elsewhere. One with nothing in it ends: else one port could leave any number of them behind.
    pub(super) fn leave_address(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.handshake = None;
        let Some(client) = self.clients.get(slot) else { return };
        match client.state {
            State::Active if self.has_shown_nothing(client) => {
                self.end(slot, broker_core::link::Ending::Clean, turn.out);
            }
            State::Handshake => self.forget(slot),
            State::Connecting => self.end(slot, broker_core::link::Ending::Clean, turn.out),
            State::Active => {
                self.clients.drop_route(slot);
                self.note_displaced(slot, turn.out);
                self.pause_displaced(slot, turn.out);
            }
            State::Asleep => {
                self.clients.drop_route(slot);
                self.note_displaced(slot, turn.out);
            }
            State::Awake => {
                self.clients.drop_route(slot);
                self.note_displaced(slot, turn.out);
                self.fall_asleep(slot, turn.out);
            }
        }
    }

    /// Nothing is delivered to an active client without an address. Should the gateway be gone meanwhile, the broker
    /// ends it when its keep-alive would have.
    fn pause_displaced(&mut self, slot: u32, out: &mut Actions) {
        self.ground(slot, out);
        let Some(client) = self.clients.get(slot) else { return };
        let duration = supervision(client, &self.config);
        self.request(slot, ToBroker::Pause { duration }, out);
    }

    /// A CONNECT from an address where nobody is known.
    fn connect_newcomer(&mut self, turn: &mut Turn<'_>, name: &str, connect: &Connect<'_>) {
        let sleeper = self.clients.by_name(name).filter(|slot| {
            self.clients.get(*slot).is_some_and(|client| match client.state {
                State::Asleep | State::Awake => true,
                State::Handshake | State::Connecting | State::Active => false,
            })
        });
        if let Some(slot) = sleeper
            && self.may_rebind(slot, turn)
        {
            self.counters.sleepers_moved += 1;
            self.move_client(slot, turn);
            return self.connect_from_sleep(slot, turn, connect);
        }
        let slot = self.insert_newcomer(turn, name, State::Handshake);
        if sleeper.is_some() && self.config.sleep_connect_clean == SleepConnectClean::Keep {
            // It sleeps elsewhere by a policy that does not let this address simply take it: the broker checks
            // who asks, and hands the session over with all that it holds.
            self.defer(slot, connect, turn);
        } else if connect.will {
            self.begin_handshake(slot, turn, connect);
        } else {
            let will = stored_or_no_will(connect.clean_session);
            self.attach(slot, connect.clean_session, connect.duration, will, turn.out);
        }
        self.arm(slot, turn.now.instant);
    }

    /// An entry for somebody at an address where nobody is known.
    pub(super) fn insert_newcomer(&mut self, turn: &Turn<'_>, name: &str, state: State) -> u32 {
        let mut client = Client::new(Arc::from(name), turn.route().to_route(), turn.now.instant, state);
        client.identity = turn.peer.identity.clone();
        client.next_msg_id = self.rng.next_u16();
        client.validated = !self.needs_validation(turn);
        let slot = self.clients.insert(client);
        self.credit_guard(slot, turn.received);
        slot
    }

    fn note_host(&mut self, slot: u32) {
        if self.config.mountpoint.has_host() {
            self.clients.note_host(slot);
        }
    }

    /// CONNECT of a client whose first one the broker has not answered. With other flags it is no copy: the client
    /// will say it again.
    fn count_copy(&mut self, slot: u32, connect: &Connect<'_>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let same = client.intent == Intent::Connect && client.clean == connect.clean_session && !connect.will;
        client.copies = client.copies.saturating_add(u8::from(same));
    }

    /// CONNECT of a client that is active at this very address.
    fn connect_again(&mut self, slot: u32, turn: &mut Turn<'_>, connect: &Connect<'_>) {
        if connect.will {
            return self.begin_handshake(slot, turn, connect);
        }
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.handshake = None;
        if client.fresh && !client.prompted && client.clean == connect.clean_session {
            // A copy, or the client missed our CONNACK (§6.13).
            client.keep_alive = connect.duration;
            return turn.reply(Message::ConnAck(ReturnCode::Accepted));
        }
        client.prompted = false;
        let will = stored_or_no_will(connect.clean_session);
        self.attach_anew(slot, connect.clean_session, connect.duration, will, turn.now, turn.out);
    }

    /// CONNECT of a sleeper. Subscriptions, topic ids and buffer stay whatever CleanSession says.
    ///
    /// Deviation from the letter of §6.3, unless `sleep_connect_clean = wipe`: a common client repeats the flags
    /// of its first CONNECT here and does not subscribe again.
    fn connect_from_sleep(&mut self, slot: u32, turn: &mut Turn<'_>, connect: &Connect<'_>) {
        self.note_host(slot);
        let wipe = connect.clean_session && self.config.sleep_connect_clean == SleepConnectClean::Wipe;
        let Some(client) = self.clients.get_mut(slot) else { return };
        if !wipe && !client.linked {
            return self.defer(slot, connect, turn);
        }
        if connect.will {
            return self.begin_handshake(slot, turn, connect);
        }
        client.handshake = None;
        if wipe {
            client.prompted = false;
            return self.attach_anew(slot, true, connect.duration, ConnectWill::None, turn.now, turn.out);
        }
        client.keep_alive = connect.duration;
        client.clean = connect.clean_session; // so that a copy of this CONNECT is known for one
        client.prompted = false;
        self.end_sleep_without_will(slot, connect.clean_session, turn.now, turn.out);
    }

    /// The CONNECT of a sleeper whose link is not here waits for the broker to hand the session over.
    fn defer(&mut self, slot: u32, connect: &Connect<'_>, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.handshake = Some(handshake(connect, turn.now, &self.config.limits));
        self.resume(slot, Intent::EndSleep, turn.out);
    }

    /// The session was handed over: its CONNECT goes on.
    fn go_on(&mut self, slot: u32, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(mut handshake) = client.handshake.take() else { return };
        if handshake.will {
            handshake.deadline = now.instant + self.config.limits.handshake_timeout;
            client.handshake = Some(handshake);
            return self.tell(slot, Message::WillTopicReq, out);
        }
        client.keep_alive = handshake.keep_alive;
        client.clean = handshake.clean;
        client.prompted = false;
        self.end_sleep_without_will(slot, handshake.clean, now, out);
    }

    /// With Clean=1 the stored will is dropped, as §6.3 has it; with Clean=0 it stays.
    fn end_sleep_without_will(&mut self, slot: u32, clean: bool, now: Now, out: &mut Actions) {
        if clean {
            self.push_pending(slot, Pending::EndSleep);
            self.request(slot, ToBroker::Will(WillUpdate::Delete), out);
        } else {
            self.end_sleep(slot, now, out);
        }
    }

    /// Asks for the will, once more if need be. A will topic that has come stays valid.
    fn begin_handshake(&mut self, slot: u32, turn: &mut Turn<'_>, connect: &Connect<'_>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if !connect.will && client.state == State::Handshake {
            // The client changed its mind between two CONNECTs.
            let will = stored_or_no_will(connect.clean_session);
            return self.attach(slot, connect.clean_session, connect.duration, will, turn.out);
        }
        let mut fresh = handshake(connect, turn.now, &self.config.limits);
        fresh.topic = client.handshake.take().and_then(|old| old.topic);
        client.handshake = Some(fresh);
        turn.reply(Message::WillTopicReq);
        self.arm(slot, turn.now.instant);
    }

    /// The handshake is complete: `will` is what the client wants, `None` for the empty WILLTOPIC.
    pub(super) fn finish_handshake(&mut self, slot: u32, will: Option<Will>, now: Now, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(handshake) = client.handshake.take() else { return };
        client.prompted = true;
        let wipe = handshake.clean && self.config.sleep_connect_clean == SleepConnectClean::Wipe;
        match client.state {
            State::Asleep | State::Awake if !wipe && client.linked => {
                client.keep_alive = handshake.keep_alive;
                client.clean = handshake.clean;
                let update = will.map_or(WillUpdate::Delete, WillUpdate::Replace);
                self.push_pending(slot, Pending::EndSleep);
                self.request(slot, ToBroker::Will(update), out);
            }
            State::Handshake => {
                let will = will.map_or(ConnectWill::None, ConnectWill::Set);
                self.attach(slot, handshake.clean, handshake.keep_alive, will, out);
                self.arm(slot, now.instant);
            }
            State::Active | State::Asleep | State::Awake => {
                let will = will.map_or(ConnectWill::None, ConnectWill::Set);
                self.attach_anew(slot, handshake.clean, handshake.keep_alive, will, now, out);
            }
            State::Connecting => {}
        }
    }

    /// A client with a live session starts a new connection from the same address. It gets an entry and a link of
    /// its own: until the broker has attached it, the old session and its will hold, and if the broker refuses, they
    /// go on holding.
    fn attach_anew(
        &mut self,
        slot: u32,
        clean: bool,
        keep_alive: u16,
        will: ConnectWill,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(old) = self.clients.get(slot) else { return };
        let mut fresh = Client::new(Arc::clone(&old.name), old.route.clone(), now.instant, State::Handshake);
        fresh.identity = old.identity.clone();
        fresh.next_msg_id = old.next_msg_id;
        fresh.validated = old.validated;
        fresh.guard_credit = old.guard_credit;
        fresh.probed = old.probed;
        fresh.prompted = old.prompted;
        // Nothing but copies since the last CONNACK: it is the same connection, and nobody died.
        fresh.same_connection = old.fresh;
        self.clients.drop_route(slot);
        let slot = self.clients.insert(fresh);
        self.attach(slot, clean, keep_alive, will, out);
        self.arm(slot, now.instant);
    }

    /// The broker would not attach a newcomer of that name: the session that it wanted to replace has its address
    /// back, and its messages if they were stopped when it had lost it.
    pub(super) fn return_address(&mut self, name: &str, route: Route, out: &mut Actions) {
        let old = self.clients.by_name(name).filter(|slot| {
            self.clients.get(*slot).is_some_and(|client| !client.routed && client.route == route)
        });
        if let Some(old) = old
            && self.clients.by_route(route.as_ref()).is_none()
        {
            self.clients.move_to(old, route);
            if self.clients.get(old).is_some_and(|client| client.state == State::Active) {
                // What came for it meanwhile was not taken, and is to come again.
                self.pause_displaced(old, out);
                self.request(old, ToBroker::Wake, out);
            }
        }
    }

    /// Asks the broker for a session. What was in flight on the link before comes again from the broker.
    pub(super) fn attach(
        &mut self,
        slot: u32,
        clean: bool,
        keep_alive: u16,
        will: ConnectWill,
        out: &mut Actions,
    ) {
        self.clients.next_generation(slot);
        self.clients.set_state(slot, State::Connecting);
        self.note_host(slot);
        let queue_qos0 = self.config.queue_qos0;
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.intent = Intent::Connect;
        client.linked = true;
        client.copies = 0;
        client.clean = clean;
        client.keep_alive = keep_alive;
        client.outgoing = None;
        client.incoming = None;
        client.released = Released::default();
        client.drained = false;
        client.handshake = None;
        let attach = Attach {
            name: SessionName::Client(Arc::clone(&client.name)),
            protocol: Protocol::MqttSn,
            clean,
            will,
            will_is_session_state: true,
            // §6.3: with Clean=0 the session goes on, so nobody died.
            takeover_will: if client.same_connection {
                TakeoverWill::Keep
            } else {
                TakeoverWill::PublishIfClean
            },
            window: WINDOW,
            credit: LINK_CREDIT,
            queue_qos0,
            keep_alive,
            credentials: broker_core::link::Credentials::default(),
        };
        let attach =
            self.clients.get(slot).map(|client| Attach { credentials: self.credentials(client), ..attach });
        if let Some(attach) = attach {
            self.request(slot, ToBroker::Connect(Box::new(attach)), out);
        }
    }

    /// Asks the broker for the session of a sleeper whose link is not here.
    pub(super) fn resume(&mut self, slot: u32, intent: Intent, out: &mut Actions) {
        self.clients.next_generation(slot);
        self.clients.set_state(slot, State::Connecting);
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.intent = intent;
        client.linked = true;
        let name = SessionName::Client(Arc::clone(&client.name));
        let Some(client) = self.clients.get(slot) else { return };
        let resume =
            Resume { name, window: WINDOW, credit: LINK_CREDIT, credentials: self.credentials(client) };
        self.request(slot, ToBroker::Resume(Box::new(resume)), out);
    }

    /// The broker has attached this client.
    pub(super) fn broker_connack(
        &mut self,
        slot: u32,
        present: bool,
        memo: &[u8],
        now: Now,
        out: &mut Actions,
    ) {
        let Some(client) = self.clients.get(slot) else { return };
        if client.state != State::Connecting {
            return;
        }
        let intent = client.intent;
        self.restore_topics(slot, memo, intent);
        self.clients.own_name(slot);
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.heard = now.instant;
        client.resumed |= present;
        // The broker says Closed to the link before in the same breath.
        let legacy = self.legacy.take().filter(|legacy| present && legacy.name == client.name);
        client.unsent = legacy.as_ref().and_then(|legacy| legacy.unsent);
        client.zero_packet = legacy.map_or(ZeroPacket::Nobodys, |legacy| legacy.zero_packet);
        match intent {
            Intent::Connect => {
                let clean = client.clean;
                self.clients.set_state(slot, State::Active);
                if !clean {
                    self.note_place(slot, out);
                }
                self.accept(slot, out);
            }
            Intent::Restore => {
                let routed = client.routed;
                self.clients.set_state(slot, State::Active);
                if !routed {
                    self.pause_displaced(slot, out); // somebody else is where it was
                }
            }
            Intent::RestoreAsleep => self.clients.set_state(slot, State::Asleep),
            Intent::Wake => {
                self.clients.set_state(slot, State::Asleep);
                if self.may_wake_here(slot) {
                    self.wake(slot, now, out);
                } else {
                    self.refuse_wake(slot, out);
                }
            }
            Intent::EndSleep => {
                self.clients.set_state(slot, State::Asleep);
                self.go_on(slot, now, out);
            }
        }
        self.arm(slot, now.instant);
    }

    /// Sleep is over: CONNACK, then what was buffered. Nothing is wiped, but whether the session outlives its connection
    /// is for the last CONNECT to say (§6.12).
    pub(super) fn end_sleep(&mut self, slot: u32, now: Now, out: &mut Actions) {
        self.clients.set_state(slot, State::Active);
        let Some(client) = self.clients.get(slot) else { return };
        let clean = client.clean;
        self.request(slot, ToBroker::Clean(clean), out);
        if !clean {
            self.note_place(slot, out);
        }
        self.accept(slot, out); // CONNACK before what was buffered
        self.request(slot, ToBroker::Wake, out);
        self.arm(slot, now.instant);
    }

    fn accept(&mut self, slot: u32, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.fresh = true;
        self.counters.connects_accepted += 1;
        for _ in 0..=std::mem::take(&mut client.copies) {
            self.tell(slot, Message::ConnAck(ReturnCode::Accepted), out);
        }
    }

    /// The broker will not attach this client.
    pub(super) fn broker_refused(&mut self, slot: u32, reason: RefuseReason, out: &mut Actions) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.linked = false;
        if client.intent == Intent::RestoreAsleep {
            // It sleeps on without a link; it will say itself who it is.
            return self.clients.set_state(slot, State::Asleep);
        }
        let answer = match (client.intent, reason) {
            // The sleeper is gone: its PINGREQ is a stranger's.
            (Intent::Wake | Intent::Restore | Intent::RestoreAsleep, _) => Message::Disconnect(None),
            (Intent::Connect | Intent::EndSleep, RefuseReason::Busy) => {
                Message::ConnAck(ReturnCode::Congestion)
            }
            (Intent::EndSleep, RefuseReason::NoSession) => {
                // It sleeps no more: an ordinary CONNECT, with what it said.
                let Some(handshake) = client.handshake.take() else { return self.forget(slot) };
                if handshake.will {
                    client.handshake = Some(handshake);
                    self.clients.set_state(slot, State::Handshake);
                    return self.tell(slot, Message::WillTopicReq, out);
                }
                let will = stored_or_no_will(handshake.clean);
                return self.attach(slot, handshake.clean, handshake.keep_alive, will, out);
            }
            (
                Intent::Connect | Intent::EndSleep,
                RefuseReason::BadCredentials
                | RefuseReason::NotAuthorized
                | RefuseReason::IdentifierRejected
                | RefuseReason::NoSession,
            ) => Message::ConnAck(ReturnCode::NotSupported),
        };
        self.counters.connects_refused += 1;
        self.tell(slot, answer, out);
        let place = self.clients.get(slot).map(|client| (Arc::clone(&client.name), client.route.clone()));
        self.forget(slot);
        if let Some((name, route)) = place {
            self.return_address(&name, route, out);
        }
    }
}

fn handshake(connect: &Connect<'_>, now: Now, limits: &crate::limits::Limits) -> Box<Handshake> {
    Box::new(Handshake {
        will: connect.will,
        clean: connect.clean_session,
        keep_alive: connect.duration,
        topic: None,
        deadline: now.instant + limits.handshake_timeout,
    })
}

/// The will of a CONNECT without the will flag (§6.3): dropped with Clean=1, kept with Clean=0.
fn stored_or_no_will(clean: bool) -> ConnectWill {
    if clean { ConnectWill::None } else { ConnectWill::KeepStored }
}
