//! The CoAP endpoint: message layer, request and response layer, block-wise transfer and observing, client and
//! server at once, without sockets, clocks or randomness of its own.
//!
//! RFC 7252 (CoAP), 7641 (Observe), 7959 (Block), 8132 (FETCH, PATCH, iPATCH), 9175 (Echo, Request-Tag).
//!
//! ```text
//!   datagram ─► check ─► dedup ─┬─ request ──► block1 (gather) ─► Event::Request ─► respond ─► block2 (cut) ─┐
//!              (Reset)  (reply) │                                                                           │
//!                               ├─ response ─► exchange ─► block1 / block2 ─► Event::Response                │
//!                               │             └ observation ─► order ─► Event::Notification                  │
//!                               └─ empty ACK, RST ─► exchange                         amplification guard ◄──┘
//!   request ─► queue of the peer (NSTART 1) ─► exchange ─► datagram, timer                     └─► datagram
//! ```
//!
//! A peer has state only while something is open with it or a message of it is remembered. Garbage is counted and
//! never returned as an error. To an address that has not shown that it receives what we send, at most three
//! bytes go out for each one that came in, and at most one for an error (see [`Endpoint::respond`]).
mod answer;
mod block;
mod block1;
mod block2;
mod check;
mod client;
mod counters;
mod dedup;
mod describe;
mod echo;
mod event;
mod message;
mod notify;
mod observe;
mod peer;
mod pool;
mod ratelimit;
mod server;
mod sip;
#[cfg(test)]
mod tests;
mod timer;
mod token;

use broker_core::time::Instant;
use hashbrown::HashMap;
use slab::Slab;

pub use block::Block;
pub use check::Malformed;
pub use coap_lite::CoapOption;
pub use counters::Counters;
pub use describe::describe;
pub use event::{
    Event, ExchangeId, Failure, IncomingRequest, IncomingResponse, Notification, Observe, Observed, Output,
    Request, RequestError, RequestId, Response,
};
pub use message::{Code, ECHO, Options, REQUEST_TAG};
pub use peer::{PeerKey, Source};
pub use token::Token;

use check::{Checked, Head, Kind};
use client::Exchange;
use dedup::{Memory, Remembered, Seen};
use peer::Peers;
use pool::{BodyKey, Holder, Pool};
use server::{KeptAnswer, Unanswered};
use timer::{Owner, Timers};

pub(crate) use describe::register_name;
pub(crate) use ratelimit::Budget;
pub(crate) use sip::SipKey;

use crate::limits::{
    AMPLIFICATION_MAX, BODY_BYTES_MAX, ERROR_REPLIES_PER_PREFIX_PER_SECOND, ERROR_REPLIES_PER_SECOND,
    TIMERS_PER_CALL,
};

/// Settings of an endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest request body taken from a peer, bytes. Beyond: 4.13.
    pub body_bytes_max: usize,
    /// Size exponent of the largest blocks of ours, 0 to 6, both ways: 6 is 1024 bytes.
    pub szx: u8,
    /// Answer `GET /.well-known/core` that was sent to a group; everything else to a group is ignored anyway.
    pub answer_group_discovery: bool,
    /// Guard unvalidated addresses against being flooded by our answers. Off only in closed networks.
    pub amplification_guard: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            body_bytes_max: BODY_BYTES_MAX,
            szx: block::SZX_MAX,
            answer_group_discovery: false,
            amplification_guard: true,
        }
    }
}

/// A CoAP endpoint that talks with peers named by `P`.
#[derive(Debug)]
pub struct Endpoint<P> {
    config: Config,
    secrets: token::Secrets,
    peers: Peers<P>,
    remembered: Remembered,
    exchanges: Slab<Exchange<P>>,
    unanswered: Slab<Unanswered>,
    gatherings: block1::Gatherings<P>,
    kept: HashMap<BodyKey<P>, KeptAnswer, SipKey>,
    pool: Pool<P>,
    observations: observe::Observations<P>,
    timers: Timers,
    budget: Budget,
    counters: Counters,
    serial: u32,
    /// Peers whose last memory went; looked through at the end of each call.
    emptied: Vec<u32>,
}

impl<P: PeerKey> Endpoint<P> {
    /// An endpoint with 32 secret random bytes, from which tokens, message ids and Echo keys come.
    pub fn new(config: Config, seed: [u8; 32]) -> Endpoint<P> {
        let secrets = token::Secrets::new(seed);
        let table = secrets.table;
        Endpoint {
            config,
            peers: Peers::new(table),
            remembered: Remembered::default(),
            exchanges: Slab::new(),
            unanswered: Slab::new(),
            gatherings: block1::Gatherings::new(table),
            kept: HashMap::with_hasher(table),
            pool: Pool::new(),
            observations: observe::Observations::new(table),
            timers: Timers::default(),
            budget: Budget::new(table, ERROR_REPLIES_PER_SECOND, ERROR_REPLIES_PER_PREFIX_PER_SECOND),
            counters: Counters::default(),
            serial: 0,
            emptied: Vec::new(),
            secrets,
        }
    }

    /// New settings, for what begins from now on.
    pub fn handle_config(&mut self, config: Config) {
        self.config = config;
    }

    /// What happened so far, and how much is held now.
    pub fn counters(&self) -> Counters {
        Counters {
            peers: self.peers.len(),
            exchanges: self.exchanges.len(),
            unanswered: self.unanswered.len(),
            remembered: self.remembered.len(),
            remembered_bytes: self.remembered.bytes(),
            remembered_evicted: self.remembered.evicted,
            pending_body_bytes: self.pool.bytes(),
            bodies_incoming: self.gatherings.len(),
            observations: self.observations.len(),
            ..self.counters.clone()
        }
    }

    /// 64 unpredictable bits, for names that a peer must not guess.
    pub(crate) fn random(&mut self) -> u64 {
        self.secrets.next_u64()
    }

    /// A secret key for tables that peers fill.
    pub(crate) fn table_key(&self) -> SipKey {
        self.secrets.table
    }

    /// A datagram has come.
    pub fn handle_datagram(&mut self, now: Instant, source: Source<P>, datagram: &[u8], out: &mut Output<P>) {
        self.counters.datagrams_in += 1;
        match check::check(datagram) {
            Checked::Drop(reason) => self.counters.malformed(reason),
            Checked::Reset(mid, reason) => {
                self.counters.malformed(reason);
                self.send_reset(now, &source, mid, out);
            }
            Checked::Message(head) => self.handle_message(now, source, head, datagram, out),
        }
        self.tidy();
    }

    fn handle_message(
        &mut self,
        now: Instant,
        source: Source<P>,
        head: Head,
        datagram: &[u8],
        out: &mut Output<P>,
    ) {
        let slot = self.peers.find(&source.peer);
        if let Some(slot) = slot {
            self.note_received(slot, &source, datagram.len());
        }
        let code = Code(head.code);
        match (head.kind, code.class(), code == Code::EMPTY) {
            (Kind::Acknowledgement, _, true) => self.on_empty_ack(now, slot, head.mid, out),
            (Kind::Reset, _, _) => self.on_reset(now, slot, head.mid, out),
            (Kind::Acknowledgement, _, false) => self.on_response(now, &source, slot, head, datagram, out),
            // RFC 7252 §4.3: an empty Confirmable message asks for a Reset ("CoAP ping").
            (Kind::Confirmable, _, true) => self.send_reset(now, &source, head.mid, out),
            (Kind::NonConfirmable, _, true) => self.counters.empty_non += 1,
            (Kind::Confirmable | Kind::NonConfirmable, class, false) => {
                let fingerprint = self.secrets.table.hash_bytes(datagram) as u32;
                if slot.is_some_and(|slot| self.answer_duplicate(now, slot, head, fingerprint, out)) {
                    return;
                }
                if class == 0 {
                    self.on_request(now, &source, head, fingerprint, datagram, out);
                } else {
                    self.on_response(now, &source, slot, head, datagram, out);
                }
            }
        }
    }

    /// [`Endpoint::next_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Output<P>) {
        for _ in 0..TIMERS_PER_CALL {
            let Some((at, owner)) = self.timers.pop_due(now) else { break };
            if !self.is_alive(at, owner) {
                continue;
            }
            match owner {
                Owner::Exchange(slot, _) => self.on_exchange_timer(now, slot, out),
                Owner::Unanswered(slot, _) => self.on_unanswered_timer(now, slot, out),
            }
        }
        self.remembered.expire(now, TIMERS_PER_CALL, &mut self.emptied);
        for _ in 0..TIMERS_PER_CALL {
            let Some(holder) = self.pool.expired(now) else { break };
            self.counters.bodies_expired += 1;
            self.drop_body(now, holder, out);
        }
        self.tidy();
    }

    /// When to call [`Endpoint::handle_timeout`] next.
    ///
    /// Deadlines of exchanges are exact. What is only cleaning up waits for the next full second, so that a busy
    /// endpoint is not woken for each message that it forgets.
    pub fn next_timeout(&self) -> Option<Instant> {
        let cleaning = [self.remembered.next_expiry(), self.pool.next_expiry()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| Instant::from_millis(at.as_millis().saturating_add(999) / 1_000 * 1_000));
        [self.timers.peek().map(|(at, _)| at), cleaning].into_iter().flatten().min()
    }

    /// Whether the peer has shown lately that it receives at its address. Forgotten with the peer's state, so
    /// that the registration should keep it.
    pub fn is_validated(&self, peer: &P) -> bool {
        self.peers.find(peer).and_then(|slot| self.peers.get(slot)).is_some_and(|state| state.validated)
    }

    fn note_received(&mut self, slot: u32, source: &Source<P>, bytes: usize) {
        let Some(state) = self.peers.get_mut(slot) else { return };
        state.validated |= source.proven;
        if !state.validated {
            state.credit = state.credit.saturating_add((bytes as u32).saturating_mul(AMPLIFICATION_MAX));
        }
    }

    /// The layer above has other proof that what we send to this peer is received by who speaks from there.
    pub fn trust(&mut self, peer: &P) {
        if let Some(slot) = self.peers.find(peer) {
            self.validate(slot);
        }
    }

    fn validate(&mut self, slot: u32) {
        if let Some(state) = self.peers.get_mut(slot) {
            state.validated = true;
        }
    }

    /// Bytes that may go to a peer now.
    fn allowance(&self, slot: u32, trusted: bool) -> usize {
        match self.peers.get(slot) {
            Some(state) if self.config.amplification_guard && !state.validated && !trusted => {
                state.credit as usize
            }
            Some(_) | None => usize::MAX,
        }
    }

    /// Sends to a peer that has state.
    fn send(&mut self, slot: u32, datagram: &[u8], out: &mut Output<P>) {
        let Some(state) = self.peers.get_mut(slot) else { return };
        state.credit = state.credit.saturating_sub(datagram.len() as u32);
        self.counters.datagrams_out += 1;
        out.send(state.peer, datagram);
    }

    /// Sends an empty message: an Acknowledgement to a peer whose message it answers.
    fn send_ack(&mut self, slot: u32, mid: u16, out: &mut Output<P>) {
        let [high, low] = mid.to_be_bytes();
        self.send(slot, &[0x60, 0, high, low], out);
    }

    /// Sends a Reset, if the budget allows and nobody else would hear the question.
    fn send_reset(&mut self, now: Instant, source: &Source<P>, mid: u16, out: &mut Output<P>) {
        if source.group || !self.may_answer_stranger(now, source) {
            self.counters.replies_withheld += 1;
            return;
        }
        let [high, low] = mid.to_be_bytes();
        self.counters.resets_out += 1;
        self.counters.datagrams_out += 1;
        out.send(source.peer, &[0x70, 0, high, low]);
    }

    /// Takes one error reply from the budget; validated peers need none.
    fn may_answer_stranger(&mut self, now: Instant, source: &Source<P>) -> bool {
        source.proven || self.is_validated(&source.peer) || self.budget.take(now, source.peer.prefix())
    }

    /// Gives a duplicate what the first copy got; `false` when it is none.
    fn answer_duplicate(
        &mut self,
        now: Instant,
        slot: u32,
        head: Head,
        fingerprint: u32,
        out: &mut Output<P>,
    ) -> bool {
        let allowance = self.allowance(slot, false);
        let emptied = &mut self.emptied;
        let seen = self.remembered.look_up(now, slot, head.mid, fingerprint, emptied);
        let Seen::Duplicate(memory) = seen else { return false };
        self.counters.duplicates += 1;
        match memory {
            Memory::Reply(reply) if reply.len() <= allowance => {
                let reply = reply.clone();
                self.send(slot, &reply, out);
            }
            Memory::Reply(_) => self.counters.replies_withheld += 1,
            Memory::Acknowledged => self.send_ack(slot, head.mid, out),
            Memory::Unanswered(index) => {
                if head.kind == Kind::Confirmable {
                    let index = *index;
                    self.acknowledge_unanswered(index, out);
                }
            }
            Memory::Silent | Memory::Guard => {}
        }
        true
    }

    fn remember(&mut self, now: Instant, slot: u32, mid: u16, fingerprint: u32, memory: Memory) {
        self.remembered.insert(now, slot, mid, fingerprint, memory, &mut self.emptied);
    }

    /// The next message id for a peer; keeps the peer's state alive for as long as the id must not come again.
    fn take_mid(&mut self, now: Instant, slot: u32) -> Option<u16> {
        let mid = self.peers.get_mut(slot)?.take_mid(now)?;
        self.remembered.guard(now, slot, &mut self.emptied);
        Some(mid)
    }

    fn slot_of(&mut self, peer: P) -> u32 {
        let secrets = &mut self.secrets;
        self.peers.find_or_insert(peer, || secrets.first_mid())
    }

    fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    fn drop_body(&mut self, now: Instant, holder: Holder<P>, out: &mut Output<P>) {
        match holder {
            Holder::Gathering(key) => {
                self.gatherings.remove(&key);
            }
            Holder::Kept(key) => {
                self.kept.remove(&key);
            }
            Holder::Fetching(id) => self.fail_by_id(now, id, Failure::Overloaded, out),
        }
    }

    /// Gives up the oldest bodies until the rest fits.
    fn shed_bodies(&mut self, now: Instant, out: &mut Output<P>) {
        // Each round strikes one body off the account, so it ends.
        while let Some(holder) = self.pool.overflow() {
            self.counters.bodies_shed += 1;
            self.drop_body(now, holder, out);
        }
    }

    fn is_alive(&self, at: Instant, owner: Owner) -> bool {
        match owner {
            Owner::Exchange(slot, serial) => self
                .exchanges
                .get(slot as usize)
                .is_some_and(|exchange| exchange.serial == serial && exchange.deadline == Some(at)),
            Owner::Unanswered(slot, serial) => self
                .unanswered
                .get(slot as usize)
                .is_some_and(|request| request.serial == serial && request.deadline == at),
        }
    }

    /// Frees peers with which nothing is going on and drops dead timers.
    fn tidy(&mut self) {
        while let Some(slot) = self.emptied.pop() {
            self.free_if_idle(slot);
        }
        while let Some((at, owner)) = self.timers.peek() {
            if self.is_alive(at, owner) {
                break;
            }
            self.timers.pop();
        }
        let living = self.exchanges.len() + self.unanswered.len();
        let mut timers = std::mem::take(&mut self.timers);
        timers.shed(living, |at, owner| self.is_alive(at, owner));
        self.timers = timers;
    }

    fn free_if_idle(&mut self, slot: u32) {
        let idle = self.peers.get(slot).is_some_and(|state| state.is_idle());
        if idle && self.remembered.count(slot) == 0 {
            self.peers.remove(slot);
        }
    }
}
