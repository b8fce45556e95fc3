//! Requests of peers and our answers (RFC 7252 §5.2, §5.4, §8; RFC 7959 §2; RFC 9175 §2).
//!
//! A request waits in a slot until the layer above answers. An answer within [`PIGGYBACK_WINDOW_MS`] goes in the
//! Acknowledgement; after that, or when the peer repeats itself, an empty Acknowledgement goes first and the answer
//! follows as a separate response.
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use broker_core::time::Instant;
use bytes::Bytes;
use coap_lite::CoapOption;

use super::Endpoint;
use super::block::{BadBlock, Block};
use super::block1::Gathered;
use super::block2::{Cut, cut};
use super::check::{Head, Kind};
use super::dedup::Memory;
use super::echo;
use super::event::{Event, IncomingRequest, Output, RequestId, Response};
use super::message::{Code, ECHO, Options};
use super::peer::{PeerKey, Source};
use super::pool::{BodyKey, Holder, Ticket};
use super::sip::SipKey;
use super::timer::Owner;
use super::token::Token;
use crate::limits::{
    AMPLIFICATION_MAX, ANSWER_TIMEOUT_MS, BODY_BYTES_MAX, DEFAULT_LEISURE_MS, PIGGYBACK_WINDOW_MS,
    UNANSWERED_MAX, UNANSWERED_PER_PEER_MAX,
};

/// A request that waits for our answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) serial: u32,
    pub(crate) deadline: Instant,
    /// When the layer above has been too slow.
    expires: Instant,
    question: Question,
    method: Code,
    body_hash: u64,
    block1: Option<Block>,
    block2: Option<Block>,
    /// The answer to a group request, which waits for its random delay.
    delayed: Option<Box<[u8]>>,
}

/// What an answer must fit.
#[derive(Debug, Clone, Copy)]
struct Question {
    peer: u32,
    mid: u16,
    token: Token,
    confirmable: bool,
    acknowledged: bool,
    group: bool,
    received: usize,
}

/// An answer to a request that is not safe, kept for its later blocks: asking again must not do it again.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    code: Code,
    options: Options,
    payload: Bytes,
    ticket: Ticket,
}

/// The cache key of a request without its block options (RFC 7252 §5.6, RFC 7959 §2, RFC 9175 §3.3).
fn request_hash(key: SipKey, method: Code, options: &Options) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write_u8(method.0);
    for (number, value) in options.iter() {
        let no_cache_key = number & 0x1e == 0x1c;
        if !no_cache_key && number != u16::from(CoapOption::Block1) && number != u16::from(CoapOption::Block2)
        {
            hasher.write_u64((value.len() as u64) << 16 | u64::from(number));
            hasher.write(value);
        }
    }
    hasher.finish()
}

fn is_discovery(method: Code, options: &Options) -> bool {
    method == Code::GET && options.path().eq([&b".well-known"[..], b"core"])
}

impl<P: PeerKey> Endpoint<P> {
    /// A request that is not a duplicate.
    pub(crate) fn on_request(
        &mut self,
        now: Instant,
        source: &Source<P>,
        head: Head,
        fingerprint: u32,
        datagram: &[u8],
        out: &mut Output<P>,
    ) {
        let confirmable = head.kind == Kind::Confirmable;
        // RFC 7252 §8.1: requests to a group are Non-confirmable.
        if source.group && (confirmable || !self.config.answer_group_discovery) {
            self.counters.group_ignored += 1;
            return;
        }
        let Some((mut options, payload)) = Options::decode(datagram) else { return };
        let method = Code(head.code);
        let block = |option| options.first(option).map(Block::decode).transpose();
        let (block1, block2) = match (block(CoapOption::Block1), block(CoapOption::Block2)) {
            _ if !method.is_known_method() => {
                return self.refuse(now, source, head, Code::METHOD_NOT_ALLOWED, out);
            }
            _ if options.request_fault().is_some() => {
                let code = options.request_fault().unwrap_or(Code::BAD_OPTION);
                return self.refuse(now, source, head, code, out);
            }
            (Err(BadBlock::Length), _) | (_, Err(BadBlock::Length)) => {
                return self.refuse(now, source, head, Code::BAD_OPTION, out);
            }
            (Err(BadBlock::Reserved), _) | (_, Err(BadBlock::Reserved)) => {
                return self.refuse(now, source, head, Code::BAD_REQUEST, out);
            }
            (Ok(block1), Ok(block2)) => (block1, block2),
        };
        if source.group && !is_discovery(method, &options) {
            self.counters.group_ignored += 1;
            return;
        }
        options.drop_unfit_electives();
        let slot = match self.peers.find(&source.peer) {
            Some(slot) => slot,
            None => {
                let slot = self.slot_of(source.peer);
                self.note_received(slot, source, datagram.len());
                slot
            }
        };
        if options
            .first(ECHO)
            .is_some_and(|value| echo::is_fresh(self.secrets.echo, &source.peer, now, value))
        {
            self.validate(slot);
        }
        let question = Question {
            peer: slot,
            mid: head.mid,
            token: head.token,
            confirmable,
            acknowledged: false,
            group: source.group,
            received: datagram.len(),
        };
        self.remember(now, slot, head.mid, fingerprint, Memory::Silent);
        let body_hash = request_hash(self.secrets.table, method, &options);
        let key = BodyKey { peer: source.peer, hash: body_hash };
        let body = match block1 {
            None if payload.len() > self.config.body_bytes_max => {
                return self.refuse_body(now, question, None, Code::REQUEST_ENTITY_TOO_LARGE, out);
            }
            None => payload,
            Some(block1) => match self.gather(now, question, key, block1, &options, payload, out) {
                Some(body) => body,
                None => return,
            },
        };
        if let Some(block2) = block2
            && block2.number > 0
            && !method.is_safe_method()
        {
            return self.answer_from_kept(now, question, key, block2, out);
        }
        let mine = self.peers.get(slot).map_or(0, |state| state.unanswered);
        if self.unanswered.len() >= UNANSWERED_MAX || mine >= UNANSWERED_PER_PEER_MAX {
            self.counters.overloaded += 1;
            let answer = Response::new(Code::SERVICE_UNAVAILABLE);
            return self.deliver(now, question, answer, out);
        }
        let id = self.add_unanswered(now, question, method, body_hash, block1, block2);
        if confirmable {
            self.remembered.set_memory(slot, head.mid, Memory::Unanswered(id.slot));
        }
        self.counters.requests_in += 1;
        out.events.push(Event::Request(IncomingRequest {
            id,
            peer: source.peer,
            method,
            confirmable,
            token: head.token,
            options,
            payload: body.into(),
            group: source.group,
            validated: self.allowance(slot, false) == usize::MAX,
        }));
    }

    fn add_unanswered(
        &mut self,
        now: Instant,
        question: Question,
        method: Code,
        body_hash: u64,
        block1: Option<Block>,
        block2: Option<Block>,
    ) -> RequestId {
        let expires = now + Duration::from_millis(ANSWER_TIMEOUT_MS);
        let window = now + Duration::from_millis(PIGGYBACK_WINDOW_MS);
        let deadline = if question.confirmable { window } else { expires };
        let serial = self.next_serial();
        let slot = self.unanswered.insert(Unanswered {
            serial,
            deadline,
            expires,
            question,
            method,
            body_hash,
            block1,
            block2,
            delayed: None,
        }) as u32;
        if let Some(state) = self.peers.get_mut(question.peer) {
            state.unanswered += 1;
        }
        self.timers.set(deadline, Owner::Unanswered(slot, serial));
        RequestId { slot, serial }
    }

    fn take_unanswered(&mut self, slot: u32) -> Option<Unanswered> {
        let request = self.unanswered.try_remove(slot as usize)?;
        if let Some(state) = self.peers.get_mut(request.question.peer) {
            state.unanswered = state.unanswered.saturating_sub(1);
        }
        Some(request)
    }

    /// Refuses a request without keeping anything for its peer. The reply has no option and no payload, so it is
    /// never longer than the request.
    fn refuse(&mut self, now: Instant, source: &Source<P>, head: Head, code: Code, out: &mut Output<P>) {
        self.counters.refused += 1;
        // RFC 7252 §5.4.1: an unknown critical option in a Non-confirmable request ends it silently.
        let silent = head.kind == Kind::NonConfirmable && code == Code::BAD_OPTION;
        if silent || source.group || !self.may_answer_stranger(now, source) {
            self.counters.replies_withheld += 1;
            return;
        }
        let (kind, mid) = match head.kind {
            Kind::Confirmable => (Kind::Acknowledgement, head.mid),
            Kind::NonConfirmable | Kind::Acknowledgement | Kind::Reset => {
                let slot = self.peers.find(&source.peer);
                let mid = slot.and_then(|slot| self.take_mid(now, slot));
                (Kind::NonConfirmable, mid.unwrap_or_else(|| self.secrets.first_mid()))
            }
        };
        if let Some(reply) = Options::new().encode(kind, code, mid, head.token, &[]) {
            self.counters.datagrams_out += 1;
            out.send(source.peer, &reply);
        }
    }

    /// Puts a block to its body. Returns the body when it is whole; otherwise the answer has been sent.
    #[allow(clippy::too_many_arguments)] // The parts of one request.
    fn gather(
        &mut self,
        now: Instant,
        question: Question,
        key: BodyKey<P>,
        block: Block,
        options: &Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) -> Option<Vec<u8>> {
        let limit = self.config.body_bytes_max;
        let announced = options.uint(CoapOption::Size1).map_or(0, |size| size as usize);
        let mut released = None;
        let gathered = if announced > limit {
            released = self.gatherings.remove(&key);
            Gathered::TooLarge
        } else {
            let pool = &mut self.pool;
            let ticket = |bytes| pool.hold(now, None, Holder::Gathering(key), bytes);
            self.gatherings.on_block(key, block, &payload, limit, ticket, &mut released)
        };
        if let Some(ticket) = released {
            self.pool.release(ticket);
        }
        match gathered {
            Gathered::Complete(body) => return Some(body),
            Gathered::Continue(bytes) => {
                if let Some(ticket) = self.gatherings.ticket_mut(&key) {
                    *ticket = self.pool.hold(now, Some(*ticket), Holder::Gathering(key), bytes);
                }
                self.shed_bodies(now, out);
                // §2.3: a smaller size in the answer asks for smaller blocks from the next on.
                let taken = Block { szx: block.szx.min(self.config.szx), ..block };
                let options = Options::new().with_uint(CoapOption::Block1, taken.encode());
                self.deliver(now, question, Response::new(Code::CONTINUE).with_options(options), out);
            }
            Gathered::Missing => {
                self.refuse_body(now, question, Some(block), Code::REQUEST_ENTITY_INCOMPLETE, out);
            }
            Gathered::TooLarge => {
                self.refuse_body(now, question, Some(block), Code::REQUEST_ENTITY_TOO_LARGE, out);
            }
            Gathered::WrongLength => {
                self.refuse_body(now, question, Some(block), Code::BAD_REQUEST, out);
            }
        }
        None
    }

    fn refuse_body(
        &mut self,
        now: Instant,
        question: Question,
        block: Option<Block>,
        code: Code,
        out: &mut Output<P>,
    ) {
        self.counters.bodies_refused += 1;
        let mut options = Options::new();
        if let Some(block) = block {
            options.set_uint(CoapOption::Block1, block.encode());
        }
        if code == Code::REQUEST_ENTITY_TOO_LARGE {
            // RFC 7959 §4: the size that would have been taken.
            options
                .set_uint(CoapOption::Size1, u32::try_from(self.config.body_bytes_max).unwrap_or(u32::MAX));
        }
        self.deliver(now, question, Response::new(code).with_options(options), out);
    }

    /// A later block of an answer to a request that must not be done again (RFC 7959 §3.3).
    fn answer_from_kept(
        &mut self,
        now: Instant,
        question: Question,
        key: BodyKey<P>,
        block: Block,
        out: &mut Output<P>,
    ) {
        let Some(kept) = self.kept.get(&key) else {
            let answer = Response::new(Code::REQUEST_ENTITY_INCOMPLETE);
            return self.deliver(now, question, answer, out);
        };
        let mut answer = Response::new(kept.code).with_options(kept.options.clone());
        answer.payload = kept.payload.clone();
        let is_last = match self.cut_answer(&mut answer, Some(block)) {
            Some(block) => !block.more,
            None => false,
        };
        if is_last && let Some(kept) = self.kept.remove(&key) {
            self.pool.release(kept.ticket);
        }
        self.deliver(now, question, answer, out);
    }

    /// Answers a request; `false` when it does not wait any more.
    ///
    /// To an address that has not been validated, a success longer than three times the request is replaced by
    /// 4.01 with Echo (RFC 9175 §2.4), or by a bare 4.01 where the request was too short for that, and an error is
    /// cut down to the length of the request. The peer then repeats the request, which comes up as a new one; so
    /// nothing that is not safe should answer at length to strangers.
    pub fn respond(&mut self, now: Instant, id: RequestId, response: Response, out: &mut Output<P>) -> bool {
        let waits = self
            .unanswered
            .get(id.slot as usize)
            .is_some_and(|request| request.serial == id.serial && request.delayed.is_none());
        if !waits {
            return false;
        }
        if self.unanswered.get(id.slot as usize).is_some_and(|request| request.question.group) {
            self.answer_group(now, id.slot, response, out);
        } else if let Some(request) = self.take_unanswered(id.slot) {
            self.answer(now, request, response, out);
        }
        self.tidy();
        true
    }

    fn answer(&mut self, now: Instant, request: Unanswered, mut response: Response, out: &mut Output<P>) {
        let question = request.question;
        // Only an answer that is cut is kept whole.
        let in_blocks = request.block2.is_some() || response.payload.len() > 16 << self.config.szx;
        let whole = (in_blocks && !request.method.is_safe_method())
            .then(|| (response.code, response.options.clone(), response.payload.clone()));
        let block = self.cut_answer(&mut response, request.block2);
        if let Some(block1) = request.block1 {
            let last = Block { more: false, ..block1 };
            response.options.set_uint(CoapOption::Block1, last.encode());
        }
        if block.is_some_and(|block| block.more)
            && let Some((code, options, whole)) = whole
            && let Some(peer) = self.peers.get(question.peer).map(|state| state.peer)
        {
            let key = BodyKey { peer, hash: request.body_hash };
            self.keep_answer(now, key, code, options, whole, out);
        }
        self.deliver(now, question, response, out);
        self.free_if_idle(question.peer);
    }

    fn keep_answer(
        &mut self,
        now: Instant,
        key: BodyKey<P>,
        code: Code,
        options: Options,
        payload: Bytes,
        out: &mut Output<P>,
    ) {
        let ticket = self.pool.hold(now, None, Holder::Kept(key), payload.len());
        if let Some(old) = self.kept.insert(key, KeptAnswer { code, options, payload, ticket }) {
            self.pool.release(old.ticket);
        }
        self.shed_bodies(now, out);
    }

    /// Cuts the block that was asked for out of an answer and says which it is.
    pub(crate) fn cut_answer(&self, response: &mut Response, asked: Option<Block>) -> Option<Block> {
        if !response.code.is_success() {
            // A diagnostic is for people; it is never sent in blocks.
            response.payload.truncate(16 << self.config.szx);
            return None;
        }
        let total = response.payload.len();
        match cut(total, asked, self.config.szx) {
            Cut::Whole => None,
            Cut::Behind => {
                *response = Response { trusted: response.trusted, ..Response::new(Code::BAD_REQUEST) };
                None
            }
            Cut::Part(block, range) => {
                let several = block.more || block.number > 0;
                if several && !response.options.has(CoapOption::ETag) && total <= BODY_BYTES_MAX {
                    let etag = self.secrets.table.hash_bytes(&response.payload).to_be_bytes();
                    response.options.set(CoapOption::ETag, etag);
                }
                if block.number == 0 && block.more {
                    response.options.set_uint(CoapOption::Size2, u32::try_from(total).unwrap_or(u32::MAX));
                }
                response.options.set_uint(CoapOption::Block2, block.encode());
                response.payload = response.payload.slice(range);
                Some(block)
            }
        }
    }

    /// Sends an answer in the form that the question asks for, as far as the address has earned it.
    fn deliver(&mut self, now: Instant, question: Question, response: Response, out: &mut Output<P>) {
        let piggybacked = question.confirmable && !question.acknowledged;
        let kind = match (piggybacked, question.confirmable) {
            (true, _) => Kind::Acknowledgement,
            (false, true) => Kind::Confirmable,
            (false, false) => Kind::NonConfirmable,
        };
        let mid = if piggybacked { Some(question.mid) } else { self.take_mid(now, question.peer) };
        let Some(mid) = mid else {
            self.counters.replies_withheld += 1;
            return;
        };
        let trusted = response.trusted;
        let Some(reply) = self.fit(now, question, kind, mid, response) else {
            self.counters.replies_withheld += 1;
            return;
        };
        match kind {
            Kind::Confirmable => {
                self.remembered.set_memory(question.peer, question.mid, Memory::Acknowledged);
                self.send_separately(now, question.peer, mid, reply, trusted, None, out);
            }
            Kind::Acknowledgement => {
                self.send(question.peer, &reply, out);
                self.remembered.set_memory(question.peer, question.mid, Memory::Reply(reply));
            }
            Kind::NonConfirmable | Kind::Reset => self.send(question.peer, &reply, out),
        }
    }

    /// The answer, or what may stand for it towards an address that has not been validated.
    fn fit(
        &mut self,
        now: Instant,
        question: Question,
        kind: Kind,
        mid: u16,
        response: Response,
    ) -> Option<Box<[u8]>> {
        let earned = self.allowance(question.peer, response.trusted);
        let strange = earned != usize::MAX;
        let three_times = question.received.saturating_mul(AMPLIFICATION_MAX as usize);
        let most = if strange { earned.min(three_times) } else { usize::MAX };
        let (code, token) = (response.code, question.token);
        let encode = |options: Options, code, payload: &[u8]| {
            options.encode(kind, code, mid, token, payload).map(Vec::into_boxed_slice)
        };
        if code.is_error() {
            let most = if strange { most.min(question.received) } else { most };
            let try_out =
                |options, payload: &[u8]| encode(options, code, payload).filter(|reply| reply.len() <= most);
            return try_out(response.options.clone(), &response.payload)
                .or_else(|| try_out(response.options, &[]))
                .or_else(|| try_out(Options::new(), &[]));
        }
        let Some(full) = encode(response.options, code, &response.payload) else {
            return encode(Options::new(), Code::INTERNAL_SERVER_ERROR, &[]);
        };
        if full.len() <= most {
            return Some(full);
        }
        if question.group {
            return None;
        }
        self.counters.challenges += 1;
        let peer = self.peers.get(question.peer)?.peer;
        let value = echo::value(self.secrets.echo, &peer, now);
        let challenge = encode(Options::new().with(ECHO, value), Code::UNAUTHORIZED, &[]);
        match challenge.filter(|reply| reply.len() <= most) {
            Some(challenge) if self.budget.take(now, peer.prefix()) => Some(challenge),
            Some(_) => None,
            None => encode(Options::new(), Code::UNAUTHORIZED, &[]).filter(|reply| reply.len() <= most),
        }
    }

    /// RFC 7252 §8.2: an answer to a group waits a random time, and only a success is worth one.
    fn answer_group(&mut self, now: Instant, slot: u32, mut response: Response, _out: &mut Output<P>) {
        let delay = self.secrets.between(0, DEFAULT_LEISURE_MS);
        let Some(request) = self.unanswered.get(slot as usize) else { return };
        let (question, block2, serial) = (request.question, request.block2, request.serial);
        self.cut_answer(&mut response, block2);
        let mid = self.take_mid(now, question.peer);
        let reply = match mid {
            Some(mid) if response.code.is_success() => {
                self.fit(now, question, Kind::NonConfirmable, mid, response)
            }
            Some(_) | None => None,
        };
        if reply.is_none() {
            self.counters.replies_withheld += 1;
            self.take_unanswered(slot);
            self.free_if_idle(question.peer);
            return;
        }
        if let Some(request) = self.unanswered.get_mut(slot as usize) {
            request.delayed = reply;
            request.deadline = now + Duration::from_millis(delay);
            self.timers.set(request.deadline, Owner::Unanswered(slot, serial));
        }
    }

    /// Sends the empty Acknowledgement that promises a separate response.
    pub(crate) fn acknowledge_unanswered(&mut self, slot: u32, out: &mut Output<P>) {
        let Some(request) = self.unanswered.get_mut(slot as usize) else { return };
        request.question.acknowledged = true;
        request.deadline = request.expires;
        let question = request.question;
        self.timers.set(request.expires, Owner::Unanswered(slot, request.serial));
        self.send_ack(question.peer, question.mid, out);
    }

    pub(crate) fn on_unanswered_timer(&mut self, now: Instant, slot: u32, out: &mut Output<P>) {
        let Some(request) = self.unanswered.get_mut(slot as usize) else { return };
        if let Some(reply) = request.delayed.take() {
            let peer = request.question.peer;
            self.take_unanswered(slot);
            self.send(peer, &reply, out);
            self.free_if_idle(peer);
        } else if now < request.expires {
            self.acknowledge_unanswered(slot, out);
        } else if let Some(request) = self.take_unanswered(slot) {
            self.counters.never_answered += 1;
            self.answer(now, request, Response::new(Code::SERVICE_UNAVAILABLE), out);
        }
    }
}
