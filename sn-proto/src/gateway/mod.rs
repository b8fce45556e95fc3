//! [`SnGateway`]: the MQTT-SN front-end. Datagrams and broker events in; datagrams and requests out.
//!
//! What a message does is in the file named after it; what it means in which state is the table in
//! [`crate::client::state`]. Nothing is kept here that the broker keeps: messages wait in the session's queue, the
//! link's credit lets one out at a time, and topic ids are in the session's memo before a client hears of them.

mod clients;
mod deliver;
mod discovery;
mod events;
mod forwarders;
mod guard;
mod memos;
mod on_ack;
mod on_connect;
mod on_disconnect;
mod on_pingreq;
mod on_publish;
mod on_register;
mod on_subscribe;
mod on_will;
mod publish_minus_one;
mod timeout;
mod trace;

#[cfg(test)]
mod tests;

use broker_core::frontend::{Actions, Address, Frontend, Peer};
use broker_core::link::{Credentials, FrontendId};
use broker_core::wheel::{Due, TICK_BITS_DEFAULT, Wheel};
use broker_core::{FromBroker, Instant, LinkId, Now, ToBroker};

use crate::client::{Client, Column, Legacy, Route, RouteRef, Rule, State, Weight, rule, weight};
use crate::config::{Config, Group};
use crate::counters::Counters;
use crate::discovery::Discovery;
use crate::rate::RateLimiter;
use crate::rng::Rng;
use crate::topics::NameCache;
use crate::wire::{Datagram, Envelope, Message, Qos, WireError};

use clients::Clients;
use publish_minus_one::MinusOne;
use trace::Tracer;

/// Link slot of the client in slot 0.
const FIRST_CLIENT_LINK: u32 = publish_minus_one::LINK_SLOT + 1;

/// The MQTT-SN gateway of one worker.
pub struct SnGateway {
    config: Config,
    worker: u8,
    clients: Clients,
    wheel: Wheel<u32>,
    /// Timers that came due, empty between calls.
    due: Vec<Due<u32>>,
    rng: Rng,
    names: NameCache,
    limiter: RateLimiter,
    discovery: Discovery,
    minus_one: MinusOne,
    /// Of the link that was taken over last, for its successor.
    legacy: Option<Legacy>,
    counters: Counters,
    tracer: Tracer,
}

impl core::fmt::Debug for SnGateway {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SnGateway").field("clients", &self.clients.len()).finish_non_exhaustive()
    }
}

/// One datagram being handled.
struct Turn<'a> {
    now: Now,
    peer: &'a Peer,
    /// Node id, behind a forwarder.
    node: Option<&'a [u8]>,
    /// Radius of the encapsulation, behind a forwarder.
    radius: u8,
    /// Octets received.
    received: usize,
    out: &'a mut Actions,
}

impl<'a> Turn<'a> {
    fn route(&self) -> RouteRef<'a> {
        RouteRef { address: self.peer.address, node: self.node }
    }

    /// Answers the sender, whoever that is.
    fn reply(&mut self, message: Message<'_>) {
        send(self.out, self.route(), message);
    }
}

/// Queues `message` for `route`. What is too long for any datagram is not queued.
fn send(out: &mut Actions, route: RouteRef<'_>, message: Message<'_>) {
    send_with(out, route.address, None, route.node.map(|node_id| Envelope { radius: 0, node_id }), message);
}

fn send_with(
    out: &mut Actions,
    to: Address,
    ttl: Option<u8>,
    envelope: Option<Envelope<'_>>,
    message: Message<'_>,
) {
    out.send_with_ttl(to, ttl, |wire| {
        // An error leaves nothing in the buffer, and so sends nothing: callers check lengths where it matters.
        let _too_long = Datagram { envelope, message }.encode(wire);
    });
}

impl SnGateway {
    /// A gateway without clients. `seed` makes its drawn numbers; it must differ from start to start.
    pub fn new(config: Config, worker: u8, seed: u64) -> Self {
        SnGateway {
            limiter: RateLimiter::new(config.rates),
            discovery: Discovery::new(&config),
            config,
            worker,
            clients: Clients::default(),
            wheel: Wheel::new(0, TICK_BITS_DEFAULT),
            due: Vec::new(),
            rng: Rng::new(seed),
            names: NameCache::default(),
            minus_one: MinusOne::default(),
            legacy: None,
            counters: Counters::default(),
            tracer: Tracer::default(),
        }
    }

    /// New settings. Clients stay; what they have agreed on with the old settings stays as well.
    pub fn handle_config(&mut self, now: Now, config: Config) {
        self.limiter.set_rates(config.rates);
        self.discovery.set_config(now.instant, &config);
        self.config = config;
    }

    /// Other destinations for discovery: an interface has come or gone. Those that are new hear of us at once.
    pub fn set_groups(&mut self, now: Now, groups: Vec<Group>) {
        let added = groups.iter().any(|group| !self.config.groups.contains(group));
        self.config.groups = groups;
        self.discovery.set_groups(now.instant, &self.config, added);
    }

    /// The next ADVERTISE is due at once: some destination could not be reached before.
    pub fn announce(&mut self, now: Now) {
        self.discovery.announce(now.instant);
    }

    /// Where discovery goes.
    pub fn groups(&self) -> &[Group] {
        &self.config.groups
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Clients that have an entry here, handshakes and known sleepers included.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Name, state and address of every client, for lists.
    pub fn client_list(&self) -> impl Iterator<Item = (&str, State, &Route)> {
        self.clients.iter().map(|(_, client)| (&*client.name, client.state, &client.route))
    }

    /// The link of a client. The first link slot belongs to publishes without a session.
    fn link(&self, slot: u32) -> LinkId {
        LinkId {
            slot: slot + FIRST_CLIENT_LINK,
            generation: self.clients.generation(slot),
            frontend: FrontendId::MqttSn,
            worker: self.worker,
        }
    }

    fn request(&self, slot: u32, request: ToBroker, out: &mut Actions) {
        out.request(self.link(slot), request);
    }

    /// Sends to a client where it is; nothing when that is not known.
    fn tell(&self, slot: u32, message: Message<'_>, out: &mut Actions) {
        if let Some(client) = self.clients.get(slot).filter(|client| client.routed) {
            send(out, client.route.as_ref(), message);
        }
    }

    fn credentials(&self, client: &Client) -> Credentials {
        Credentials {
            username: self.config.username.clone(),
            password: self.config.password.clone(),
            proven: client.identity.clone(),
            remote: Some(client.route.address().remote),
        }
    }

    /// Forgets a client here; its session is the broker's.
    fn forget(&mut self, slot: u32) {
        self.clients.remove(slot);
    }

    /// Ends a session's link and forgets the client.
    fn end(&mut self, slot: u32, ending: broker_core::link::Ending, out: &mut Actions) {
        if self.clients.get(slot).is_some_and(|client| client.linked) {
            self.tell_unsent(slot, out);
            self.request(slot, ToBroker::Disconnect(ending), out);
        }
        self.forget(slot);
    }

    /// DISCONNECT to somebody without a session, if the rate limits allow it.
    fn disconnect_stranger(&mut self, turn: &mut Turn<'_>) {
        let ip = turn.peer.address.remote.ip();
        if self.config.disconnect_unknown && self.limiter.answer(turn.now.instant, ip) {
            self.counters.strangers_disconnected += 1;
            turn.reply(Message::Disconnect(None));
        } else {
            self.counters.answers_suppressed += 1;
        }
    }

    /// A request in the will handshake of a client without a session: it takes itself for connected.
    fn abandon_handshake(&mut self, slot: u32, turn: &mut Turn<'_>) {
        self.counters.handshakes_abandoned += 1;
        self.forget(slot);
        self.disconnect_stranger(turn);
    }

    /// A message of a client that has an entry: notes the sign of life, and that a CONNECT is old news.
    fn note_heard(&mut self, slot: u32, message: &Message<'_>, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.state != State::Connecting {
            client.heard = turn.now.instant; // else its deadline counts from the CONNECT
        }
        self.credit_guard(slot, turn.received);
        if !matches!(message, Message::Disconnect(_)) {
            self.reopen(slot, turn.now, turn.out); // who says goodbye listens to nothing else
        }
        let Some(client) = self.clients.get_mut(slot) else { return };
        match weight(message) {
            Weight::Opening | Weight::Discovery => {}
            Weight::Ack => client.fresh = false,
            Weight::Request => {
                client.fresh = false;
                if client.state != State::Handshake {
                    // The CONNECT that began it was a late copy: the live session goes on (§6.3).
                    client.handshake = None;
                }
            }
        }
    }

    /// One datagram, past the doors that need no state: rate limits, encapsulation, groups.
    fn receive(&mut self, turn: &mut Turn<'_>, decoded: Result<Datagram<'_>, WireError>) {
        self.counters.datagrams += 1;
        let ip = turn.peer.address.remote.ip();
        self.tracer.verdict = "dropped, over a rate limit";
        let now = turn.now.instant;
        let allowed = if self.config.is_forwarder(ip) {
            self.limiter.forwarder(now, ip)
        } else {
            self.config.is_exempt(ip) || self.limiter.address(now, ip)
        };
        if !allowed {
            self.counters.rate_limited += 1;
            return;
        }
        let Datagram { envelope, message } = match decoded {
            Ok(datagram) => datagram,
            Err(error) => return self.counters.malformed(error),
        };
        if envelope.is_some() && !self.config.is_forwarder(ip) {
            self.tracer.verdict = "dropped, not a listed forwarder";
            self.counters.not_a_forwarder += 1;
            return;
        }
        if (turn.node.is_some() && !self.limiter.node(now, turn.route())) || !self.client_rate(turn) {
            self.counters.rate_limited += 1;
            return;
        }
        // Only discovery is spoken on groups; what else is heard there is not meant for one gateway. A forwarder
        // speaks for its nodes to the gateway alone.
        if turn.peer.group && (envelope.is_some() || weight(&message) != Weight::Discovery) {
            self.tracer.verdict = "dropped, heard on a group";
            self.counters.out_of_place += 1;
            return;
        }
        self.dispatch(turn, message);
    }

    /// Takes a datagram off the rate of whoever speaks.
    fn client_rate(&mut self, turn: &Turn<'_>) -> bool {
        if !self.limiter.limits_clients() {
            return true;
        }
        let client = self.clients.by_route(turn.route()).and_then(|slot| self.clients.get(slot));
        self.limiter.client(turn.now.instant, client.map(|client| &*client.name), turn.route())
    }

    fn dispatch(&mut self, turn: &mut Turn<'_>, message: Message<'_>) {
        let slot = self.clients.by_route(turn.route());
        let client = slot.and_then(|slot| self.clients.get(slot));
        let column = client.map_or(Column::Unknown, |client| Column::Known(client.state));
        let beside = client.is_some_and(|client| client.handshake.is_some() && column.listens());
        let unlinked = client.is_some_and(|client| client.state == State::Asleep && !client.linked);
        let answers_prompt = matches!(message, Message::WillTopic(_) | Message::WillMsg(_));
        let verdict = if beside && answers_prompt { Rule::Handle } else { rule(column, &message) };
        // A sleeper whose link the broker would not give back after a restart is a stranger in all but waking.
        let needs_link = match weight(&message) {
            Weight::Request => !matches!(message, Message::PingReq(_) | Message::Disconnect(_)),
            Weight::Ack => true,
            Weight::Opening | Weight::Discovery => false,
        };
        let verdict = if unlinked && needs_link { Rule::Disconnect } else { verdict };
        self.tracer.verdict = match verdict {
            Rule::Handle => "handled",
            Rule::Drop => "dropped, no meaning in this state",
            Rule::Disconnect => "answered as a stranger's",
            Rule::Abort => "ends the will handshake",
        };
        match (verdict, slot) {
            (Rule::Handle, None) => self.handle_stranger(turn, message),
            (Rule::Handle, Some(slot)) => {
                self.note_heard(slot, &message, turn);
                self.handle(slot, turn, message);
                self.arm(slot, turn.now.instant);
            }
            (Rule::Drop, slot) => {
                self.counters.out_of_place += 1;
                // A sleeper's or a connecting client's dropped message is a sign of life all the same.
                if let Some(client) = slot.and_then(|slot| self.clients.get_mut(slot))
                    && client.state != State::Connecting
                {
                    client.heard = turn.now.instant;
                }
            }
            (Rule::Disconnect, _) => {
                self.counters.out_of_place += 1;
                self.disconnect_stranger(turn);
            }
            (Rule::Abort, Some(slot)) => self.abandon_handshake(slot, turn),
            (Rule::Abort, None) => self.counters.out_of_place += 1,
        }
    }

    /// A message with a meaning from somebody without an entry.
    fn handle_stranger(&mut self, turn: &mut Turn<'_>, message: Message<'_>) {
        match message {
            Message::Connect(connect) => self.on_connect(None, turn, connect),
            Message::PingReq(client_id) => self.on_pingreq_of(turn, client_id),
            Message::Publish(publish) => self.on_publish_minus_one(turn, publish),
            Message::SearchGw(search) => self.on_searchgw(turn, search),
            Message::Advertise(advertise) => self.on_advertise(turn, advertise),
            Message::GwInfo(info) => self.on_gwinfo(turn, info),
            Message::ConnAck(_)
            | Message::WillTopicReq
            | Message::WillTopic(_)
            | Message::WillMsgReq
            | Message::WillMsg(_)
            | Message::Register(_)
            | Message::RegAck(_)
            | Message::PubAck(_)
            | Message::PubComp(_)
            | Message::PubRec(_)
            | Message::PubRel(_)
            | Message::Subscribe(_)
            | Message::SubAck(_)
            | Message::Unsubscribe(_)
            | Message::UnsubAck(_)
            | Message::PingResp
            | Message::Disconnect(_)
            | Message::WillTopicUpd(_)
            | Message::WillTopicResp(_)
            | Message::WillMsgUpd(_)
            | Message::WillMsgResp(_) => self.counters.out_of_place += 1,
        }
    }

    /// A message with a meaning from a client.
    fn handle(&mut self, slot: u32, turn: &mut Turn<'_>, message: Message<'_>) {
        match message {
            Message::Connect(connect) => self.on_connect(Some(slot), turn, connect),
            Message::WillTopic(topic) => self.on_willtopic(slot, turn, topic),
            Message::WillMsg(octets) => self.on_willmsg(slot, turn, octets),
            Message::WillTopicUpd(topic) => self.on_willtopicupd(slot, turn, topic),
            Message::WillMsgUpd(octets) => self.on_willmsgupd(slot, turn, octets),
            Message::Register(register) => self.on_register(slot, turn, register),
            Message::RegAck(ack) => self.on_regack(slot, turn, ack),
            Message::Publish(publish) => match self.has_session(slot) || publish.qos != Qos::MinusOne {
                true => self.on_publish(slot, turn, publish),
                false => self.on_publish_minus_one(turn, publish),
            },
            Message::PubAck(ack) => self.on_puback(slot, turn, ack),
            Message::PubRec(msg_id) => self.on_pubrec(slot, turn, msg_id),
            Message::PubComp(msg_id) => self.on_pubcomp(slot, turn, msg_id),
            Message::PubRel(msg_id) => self.on_pubrel(slot, turn, msg_id),
            Message::Subscribe(subscribe) => self.on_subscribe(slot, turn, subscribe),
            Message::Unsubscribe(unsubscribe) => self.on_unsubscribe(slot, turn, unsubscribe),
            Message::PingReq(client_id) => self.on_pingreq(slot, turn, client_id),
            Message::PingResp => {} // heard: that is all it says
            Message::Disconnect(duration) => self.on_disconnect(slot, turn, duration),
            Message::SearchGw(search) => self.on_searchgw(turn, search),
            Message::Advertise(advertise) => self.on_advertise(turn, advertise),
            Message::GwInfo(info) => self.on_gwinfo(turn, info),
            Message::ConnAck(_)
            | Message::WillTopicReq
            | Message::WillMsgReq
            | Message::SubAck(_)
            | Message::UnsubAck(_)
            | Message::WillTopicResp(_)
            | Message::WillMsgResp(_) => self.counters.out_of_place += 1,
        }
    }

    fn is_awake(&self, slot: u32) -> bool {
        self.clients.get(slot).is_some_and(|client| client.state == State::Awake)
    }

    fn has_session(&self, slot: u32) -> bool {
        self.clients.get(slot).is_some_and(|client| match client.state {
            State::Active | State::Asleep | State::Awake => true,
            State::Handshake | State::Connecting => false,
        })
    }
}

impl Frontend for SnGateway {
    fn handle_datagram(&mut self, now: Now, from: &Peer, datagram: &[u8], out: &mut Actions) {
        let before = out.datagrams.len();
        let decoded = Datagram::decode(datagram);
        let envelope = decoded.ok().and_then(|datagram| datagram.envelope);
        let mut turn = Turn {
            now,
            peer: from,
            node: envelope.map(|envelope| envelope.node_id),
            radius: envelope.map_or(0, |envelope| envelope.radius),
            received: datagram.len(),
            out,
        };
        self.receive(&mut turn, decoded);
        if !self.tracer.is_idle() {
            self.trace_received(&turn, datagram, &decoded);
            self.trace_sent(now, turn.out, before);
        }
    }

    fn handle_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions) {
        let before = out.datagrams.len();
        self.broker_event(now, link, event, out);
        self.trace_sent(now, out, before);
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Actions) {
        let before = out.datagrams.len();
        self.timeout(now, out);
        self.trace_sent(now, out, before);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let discovery = self.discovery.next_timeout();
        let minus_one = self.minus_one.next_timeout(&self.config);
        [self.wheel.next().map(Instant::from_millis), discovery, minus_one].into_iter().flatten().min()
    }
}
