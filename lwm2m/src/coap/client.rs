//! Requests of ours: their queue, their exchange with the peer, its timers (RFC 7252 §4.2, §4.7, §5.2, §5.3).
//!
//! ```text
//!              NSTART free        empty ACK                     response
//!   Waiting ────────────► Unacknowledged ────────► Acknowledged ────────► done, or Waiting with the next block
//!                             │  time-out ×5, RST        │ response time-out
//!                             └──────────► Failed ◄──────┘
//! ```
//! Between two blocks a request goes to the end of its peer's queue, so that a long transfer does not keep others
//! out. Two bodies of several blocks never run to one peer at the same time (RFC 7959 §2.5).
use std::mem;
use std::time::Duration;

use broker_core::time::Instant;
use bytes::Bytes;
use coap_lite::CoapOption;

use super::block::{Block, SZX_MAX};
use super::block1::Upload;
use super::block2::Download;
use super::check::Kind;
use super::event::{Event, ExchangeId, Failure, Observe, Observed, Output, Request, RequestError};
use super::message::{Code, ECHO, Options};
use super::peer::PeerKey;
use super::pool::Ticket;
use super::timer::Owner;
use super::token::Token;
use super::{Endpoint, notify};
use crate::limits::{
    ACK_TIMEOUT_LONGEST_MS, ACK_TIMEOUT_MS, BLOCK_ROUNDS_MAX, BODY_BYTES_OVERRIDE_MAX, EXCHANGES_MAX,
    MAX_RETRANSMIT, OBSERVE_REQUEST_BYTES_MAX, REQUESTS_PER_PEER_MAX,
};

/// Something Confirmable of ours on its way, or a request that waits.
#[derive(Debug)]
pub(crate) struct Exchange<P> {
    pub(crate) serial: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) peer: u32,
    pub(crate) kind: ExchangeKind<P>,
    pub(crate) phase: Phase,
    pub(crate) mid: u16,
    trusted: bool,
    sent: u8,
    timeout_ms: u64,
    datagram: Box<[u8]>,
}

#[derive(Debug)]
pub(crate) enum ExchangeKind<P> {
    Request(Box<Asked<P>>),
    /// A CoAP ping, to see whether an address that we owe no more bytes receives what we send.
    Probe,
    /// A separate response, or with a token, a notification of ours.
    Response(Option<Token>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Waiting,
    Unacknowledged,
    Acknowledged,
}

/// For whom a request runs.
#[derive(Debug)]
pub(crate) enum Purpose<P> {
    /// The layer above.
    Caller(u64),
    /// The later blocks of a notification.
    Notification(notify::Unfinished<P>),
}

/// A request of ours.
#[derive(Debug)]
pub(crate) struct Asked<P> {
    pub(crate) purpose: Purpose<P>,
    pub(crate) request: Request,
    /// The token of the message that is on its way.
    pub(crate) token: Token,
    pub(crate) upload: Upload,
    pub(crate) download: Option<Download>,
    pub(crate) echo: Option<Vec<u8>>,
    started: bool,
    /// Further rounds that the current block has had.
    pub(crate) rounds: u8,
    pub(crate) observed: Option<Observed>,
}

impl<P> Asked<P> {
    pub(crate) fn new(purpose: Purpose<P>, request: Request) -> Asked<P> {
        let upload = Upload::new(request.payload.len(), request.szx);
        Asked {
            purpose,
            request,
            token: Token::EMPTY,
            upload,
            download: None,
            echo: None,
            started: false,
            rounds: 0,
            observed: None,
        }
    }

    /// The options and the payload of the next message.
    fn compose(&self) -> (Options, Bytes) {
        let mut options = self.request.options.clone();
        if let Some(echo) = &self.echo {
            options.set(ECHO, echo.clone());
        }
        if let Some(download) = &self.download {
            // RFC 7959 §2.4, §3.3: later blocks go without Observe and without a body; only FETCH says by its body
            // what is asked for (RFC 8132 §2.1).
            if let Some(block) = download.next_block() {
                options.set_uint(CoapOption::Block2, block.encode());
            }
            let body =
                if self.request.method == Code::FETCH { self.request.payload.clone() } else { Bytes::new() };
            return (options, body);
        }
        match self.request.observe {
            Observe::No => {}
            Observe::Register(_) => options.set_uint(CoapOption::Observe, 0),
            Observe::Cancel(_) => options.set_uint(CoapOption::Observe, 1),
        }
        let asks = self.request.method == Code::GET || self.request.method == Code::FETCH;
        if asks && self.request.szx < SZX_MAX {
            // RFC 7959 §2.4: number 0 in a request says how large the blocks of the answer may be.
            let early = Block { number: 0, more: false, szx: self.request.szx };
            options.set_uint(CoapOption::Block2, early.encode());
        }
        let (block, range) = self.upload.current();
        if let Some(block) = block {
            options.set_uint(CoapOption::Block1, block.encode());
            if block.number == 0 {
                let total = u32::try_from(self.request.payload.len()).unwrap_or(u32::MAX);
                options.set_uint(CoapOption::Size1, total);
            }
        }
        (options, self.request.payload.slice(range))
    }

    /// The token that the next message must have, if it may not be a fresh one.
    fn fixed_token(&self) -> Option<Token> {
        match (&self.download, self.request.observe) {
            (None, Observe::Register(token)) => token,
            (None, Observe::Cancel(token)) => Some(token),
            (None, Observe::No) | (Some(_), _) => None,
        }
    }
}

impl<P: PeerKey> Endpoint<P> {
    /// Sends a request as soon as the peer's turn comes (NSTART is 1). The end is told by exactly one event,
    /// `Response` or `Failed`, with this tag.
    ///
    /// To an address that is neither validated nor trusted, nothing larger goes than it has earned by its own
    /// datagrams; where that is too little, an empty Confirmable message asks first whether anyone is there. Who
    /// talks to a server of his own choice sets [`Request::trusted`].
    ///
    /// # Errors
    /// When the request is impossible, or too many wait.
    pub fn request(
        &mut self,
        now: Instant,
        peer: P,
        mut request: Request,
        tag: u64,
        out: &mut Output<P>,
    ) -> Result<ExchangeId, RequestError> {
        if !request.method.is_known_method() {
            return Err(RequestError::NotAMethod);
        }
        if let Observe::Register(token) = request.observe {
            if request.payload.len() > OBSERVE_REQUEST_BYTES_MAX {
                return Err(RequestError::TooLarge);
            }
            request.observe = Observe::Register(Some(token.unwrap_or_else(|| self.secrets.token())));
        }
        request.body_bytes_max = request.body_bytes_max.min(BODY_BYTES_OVERRIDE_MAX);
        request.szx = request.szx.min(self.config.szx);
        let asked = Asked::new(Purpose::Caller(tag), request);
        if !asked.upload.is_possible() {
            return Err(RequestError::TooLarge);
        }
        self.enqueue(now, peer, asked, out)
    }

    /// Puts a request into its peer's queue and starts it if it can.
    pub(crate) fn enqueue(
        &mut self,
        now: Instant,
        peer: P,
        asked: Asked<P>,
        out: &mut Output<P>,
    ) -> Result<ExchangeId, RequestError> {
        if self.exchanges.len() >= EXCHANGES_MAX {
            return Err(RequestError::TooManyExchanges);
        }
        let slot = self.slot_of(peer);
        let open = self.peers.get(slot).and_then(|state| state.work.as_ref());
        if open.map_or(0, |work| work.all().count()) >= REQUESTS_PER_PEER_MAX {
            return Err(RequestError::PeerQueueFull);
        }
        let trusted = asked.request.trusted;
        let id = self.add_exchange(slot, ExchangeKind::Request(Box::new(asked)), trusted);
        if let Some(state) = self.peers.get_mut(slot) {
            state.work_mut().queue.push_back(id.slot);
        }
        self.start_next(now, slot, out);
        self.tidy();
        Ok(id)
    }

    /// Takes a request back, whatever its state. No event follows; a late response is rejected.
    pub fn cancel(&mut self, now: Instant, id: ExchangeId, out: &mut Output<P>) {
        if self.is_current(id)
            && let Some(peer) = self.finish(id.slot).map(|exchange| exchange.peer)
        {
            self.start_next(now, peer, out);
            self.free_if_idle(peer);
        }
        self.tidy();
    }

    /// Gives a peer up: every request fails with [`Failure::Abandoned`].
    pub fn abandon(&mut self, peer: &P, out: &mut Output<P>) {
        let Some(slot) = self.peers.find(peer) else { return };
        let work = self.peers.get(slot).and_then(|state| state.work.as_ref());
        let all: Vec<u32> = work.map_or_else(Vec::new, |work| work.all().collect());
        for index in all {
            self.end_failed(index, Failure::Abandoned, out);
        }
        self.free_if_idle(slot);
        self.tidy();
    }

    pub(crate) fn is_current(&self, id: ExchangeId) -> bool {
        self.exchanges.get(id.slot as usize).is_some_and(|exchange| exchange.serial == id.serial)
    }

    fn add_exchange(&mut self, peer: u32, kind: ExchangeKind<P>, trusted: bool) -> ExchangeId {
        let serial = self.next_serial();
        let slot = self.exchanges.insert(Exchange {
            serial,
            deadline: None,
            peer,
            kind,
            phase: Phase::Waiting,
            mid: 0,
            trusted,
            sent: 0,
            timeout_ms: 0,
            datagram: Box::default(),
        });
        ExchangeId { slot: slot as u32, serial }
    }

    pub(crate) fn asked_mut(&mut self, index: u32) -> Option<&mut Asked<P>> {
        match &mut self.exchanges.get_mut(index as usize)?.kind {
            ExchangeKind::Request(asked) => Some(asked),
            ExchangeKind::Probe | ExchangeKind::Response(_) => None,
        }
    }

    /// Notes a download's place in the account; `false` when the exchange is gone.
    pub(crate) fn set_download_ticket(&mut self, id: ExchangeId, ticket: Ticket) -> bool {
        if !self.is_current(id) {
            return false;
        }
        let download = self.asked_mut(id.slot).and_then(|asked| asked.download.as_mut());
        download.map(|download| download.ticket = Some(ticket)).is_some()
    }

    pub(crate) fn id_of(&self, index: u32) -> ExchangeId {
        let serial = self.exchanges.get(index as usize).map_or(0, |exchange| exchange.serial);
        ExchangeId { slot: index, serial }
    }

    /// Starts what waits for this peer, if nothing is outstanding.
    pub(crate) fn start_next(&mut self, now: Instant, slot: u32, out: &mut Output<P>) {
        // Each round starts one request or ends it, so the queue bounds the loop.
        while let Some(index) = self.pick(slot) {
            match self.launch(now, slot, index, out) {
                Ok(()) => return,
                Err(reason) => self.end_failed(index, reason, out),
            }
        }
    }

    /// Takes the first request out of the queue that may run now.
    fn pick(&mut self, slot: u32) -> Option<u32> {
        let work = self.peers.get(slot)?.work.as_ref()?;
        if work.active.is_some() {
            return None;
        }
        let uploads = |index: u32, started: bool| match self.exchanges.get(index as usize).map(|e| &e.kind) {
            Some(ExchangeKind::Request(asked)) => asked.upload.is_blockwise() && asked.started == started,
            Some(ExchangeKind::Probe | ExchangeKind::Response(_)) | None => false,
        };
        let uploading = work.all().any(|index| uploads(index, true));
        let at = work.queue.iter().position(|index| !(uploading && uploads(*index, false)))?;
        self.peers.get_mut(slot)?.work_mut().queue.remove(at)
    }

    /// Sends the next message of a request.
    fn launch(&mut self, now: Instant, slot: u32, index: u32, out: &mut Output<P>) -> Result<(), Failure> {
        let fresh = self.secrets.token();
        let Some(asked) = self.asked_mut(index) else { return Ok(()) };
        let (options, payload) = asked.compose();
        let token = asked.fixed_token().unwrap_or(fresh);
        let (method, confirmable) = (asked.request.method, asked.request.confirmable);
        let timeout_ms = asked.request.response_timeout_ms;
        asked.token = token;
        let kind = if confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
        let mid = self.take_mid(now, slot).ok_or(Failure::MessageIdsExhausted)?;
        let datagram = options.encode(kind, method, mid, token, &payload).ok_or(Failure::Encoding)?;
        let trusted = self.exchanges.get(index as usize).is_some_and(|exchange| exchange.trusted);
        if datagram.len() > self.allowance(slot, trusted) {
            return self.probe(now, slot, index, out);
        }
        if let Some(asked) = self.asked_mut(index) {
            asked.started = true;
        }
        if confirmable {
            self.transmit(now, index, mid, datagram.into_boxed_slice(), out);
        } else {
            self.send(slot, &datagram, out);
            if let Some(exchange) = self.exchanges.get_mut(index as usize) {
                exchange.mid = mid;
                exchange.phase = Phase::Acknowledged;
            }
            self.set_deadline(now, index, timeout_ms);
        }
        if let Some(state) = self.peers.get_mut(slot) {
            state.work_mut().active = Some(index);
        }
        Ok(())
    }

    /// Asks an address whether anyone is there before more is sent than it has earned.
    fn probe(&mut self, now: Instant, slot: u32, waiting: u32, out: &mut Output<P>) -> Result<(), Failure> {
        let mid = self.take_mid(now, slot).ok_or(Failure::MessageIdsExhausted)?;
        let probe = self.add_exchange(slot, ExchangeKind::Probe, true);
        if let Some(state) = self.peers.get_mut(slot) {
            let work = state.work_mut();
            work.queue.push_front(waiting);
            work.active = Some(probe.slot);
        }
        let [high, low] = mid.to_be_bytes();
        self.transmit(now, probe.slot, mid, Box::new([0x40, 0, high, low]), out);
        Ok(())
    }

    /// Sends a separate response reliably. It does not count for NSTART: the peer waits for it, and might not
    /// answer our own request before it has come.
    #[allow(clippy::too_many_arguments)] // One message and where it goes.
    pub(crate) fn send_separately(
        &mut self,
        now: Instant,
        slot: u32,
        mid: u16,
        datagram: Box<[u8]>,
        trusted: bool,
        notifies: Option<Token>,
        out: &mut Output<P>,
    ) {
        let id = self.add_exchange(slot, ExchangeKind::Response(notifies), trusted);
        if let Some(state) = self.peers.get_mut(slot) {
            state.work_mut().open.push(id.slot);
        }
        self.transmit(now, id.slot, mid, datagram, out);
    }

    /// First transmission of a Confirmable message (RFC 7252 §4.2).
    fn transmit(&mut self, now: Instant, index: u32, mid: u16, datagram: Box<[u8]>, out: &mut Output<P>) {
        let timeout_ms = self.secrets.between(ACK_TIMEOUT_MS, ACK_TIMEOUT_LONGEST_MS);
        let Some(exchange) = self.exchanges.get_mut(index as usize) else { return };
        let slot = exchange.peer;
        exchange.phase = Phase::Unacknowledged;
        exchange.mid = mid;
        exchange.sent = 1;
        exchange.timeout_ms = timeout_ms;
        exchange.datagram = datagram;
        let datagram = mem::take(&mut exchange.datagram);
        self.send(slot, &datagram, out);
        if let Some(exchange) = self.exchanges.get_mut(index as usize) {
            exchange.datagram = datagram;
        }
        self.set_deadline(now, index, timeout_ms);
    }

    fn set_deadline(&mut self, now: Instant, index: u32, in_ms: u64) {
        let at = now + Duration::from_millis(in_ms);
        if let Some(exchange) = self.exchanges.get_mut(index as usize) {
            exchange.deadline = Some(at);
            self.timers.set(at, Owner::Exchange(index, exchange.serial));
        }
    }

    pub(crate) fn on_exchange_timer(&mut self, now: Instant, index: u32, out: &mut Output<P>) {
        let Some(exchange) = self.exchanges.get_mut(index as usize) else { return };
        match exchange.phase {
            Phase::Waiting => {}
            Phase::Acknowledged => self.fail(now, index, Failure::ResponseTimeout, out),
            Phase::Unacknowledged if exchange.sent > MAX_RETRANSMIT => self.give_up(now, index, out),
            Phase::Unacknowledged => {
                exchange.sent += 1;
                exchange.timeout_ms *= 2;
                let (slot, timeout_ms, trusted) = (exchange.peer, exchange.timeout_ms, exchange.trusted);
                let datagram = mem::take(&mut exchange.datagram);
                if datagram.len() <= self.allowance(slot, trusted) {
                    self.counters.retransmissions += 1;
                    self.send(slot, &datagram, out);
                } else {
                    self.counters.retransmissions_withheld += 1;
                }
                if let Some(exchange) = self.exchanges.get_mut(index as usize) {
                    exchange.datagram = datagram;
                }
                self.set_deadline(now, index, timeout_ms);
            }
        }
    }

    /// Nobody acknowledged.
    fn give_up(&mut self, now: Instant, index: u32, out: &mut Output<P>) {
        let Some(exchange) = self.exchanges.get(index as usize) else { return };
        let slot = exchange.peer;
        match exchange.kind {
            ExchangeKind::Request(_) => {
                if self.try_block_again(index) {
                    self.resume(now, slot, index, out);
                } else {
                    self.fail(now, index, Failure::Timeout, out);
                }
            }
            ExchangeKind::Response(notifies) => self.lose_separate(slot, index, notifies, out),
            ExchangeKind::Probe => {
                self.finish(index);
                let work = self.peers.get(slot).and_then(|state| state.work.as_ref());
                if let Some(first) = work.and_then(|work| work.queue.front().copied()) {
                    self.fail(now, first, Failure::Timeout, out);
                }
            }
        }
    }

    /// Whether a block that nobody acknowledged is worth another round.
    ///
    /// A mebibyte has 1024 blocks. With a tenth of all datagrams lost, each of them fails by 2.5·10⁻⁴ and the whole
    /// by a fifth; with one more round it is one in sixteen thousand. Only blocks that do nothing by themselves:
    /// the last one of a body is the request proper, and it must not run twice.
    fn try_block_again(&mut self, index: u32) -> bool {
        let Some(asked) = self.asked_mut(index) else { return false };
        let harmless = match &asked.download {
            Some(_) => true,
            None => asked.upload.sent() > 0 && asked.upload.current().0.is_some_and(|block| block.more),
        };
        let again = harmless && asked.rounds < BLOCK_ROUNDS_MAX;
        asked.rounds += u8::from(again);
        again
    }

    /// Takes an exchange out of every list.
    pub(crate) fn finish(&mut self, index: u32) -> Option<Exchange<P>> {
        let exchange = self.exchanges.try_remove(index as usize)?;
        if let Some(work) = self.peers.get_mut(exchange.peer).and_then(|state| state.work.as_mut()) {
            work.forget(index);
        }
        if let ExchangeKind::Request(asked) = &exchange.kind
            && let Some(ticket) = asked.download.as_ref().and_then(|download| download.ticket)
        {
            self.pool.release(ticket);
        }
        Some(exchange)
    }

    /// Ends a request with a failure and goes on with the next.
    pub(crate) fn fail(&mut self, now: Instant, index: u32, reason: Failure, out: &mut Output<P>) {
        let Some(slot) = self.exchanges.get(index as usize).map(|exchange| exchange.peer) else { return };
        self.end_failed(index, reason, out);
        self.start_next(now, slot, out);
        self.free_if_idle(slot);
    }

    pub(crate) fn fail_by_id(&mut self, now: Instant, id: ExchangeId, reason: Failure, out: &mut Output<P>) {
        if self.is_current(id) {
            self.fail(now, id.slot, reason, out);
        }
    }

    fn end_failed(&mut self, index: u32, reason: Failure, out: &mut Output<P>) {
        let id = self.id_of(index);
        let Some(exchange) = self.finish(index) else { return };
        let ExchangeKind::Request(asked) = exchange.kind else { return };
        let Some(peer) = self.peers.get(exchange.peer).map(|state| state.peer) else { return };
        match asked.purpose {
            Purpose::Caller(tag) => {
                // The caller never learnt of an observation whose first body did not come whole.
                if let Some(observed) = asked.observed {
                    self.observations.remove(&observed.token);
                }
                out.events.push(Event::Failed { exchange: id, tag, peer, reason });
            }
            Purpose::Notification(unfinished) => self.drop_unfinished(&unfinished),
        }
    }

    fn sent_by_mid(&self, slot: Option<u32>, mid: u16) -> Option<u32> {
        let work = self.peers.get(slot?)?.work.as_ref()?;
        work.sent().find(|index| {
            self.exchanges.get(*index as usize).is_some_and(|exchange| {
                let answerable = match &exchange.kind {
                    ExchangeKind::Request(asked) if !asked.request.confirmable => true,
                    ExchangeKind::Request(_) | ExchangeKind::Probe | ExchangeKind::Response(_) => {
                        exchange.phase == Phase::Unacknowledged
                    }
                };
                answerable && exchange.mid == mid
            })
        })
    }

    /// An empty Acknowledgement: the response comes later, or our separate response has arrived.
    pub(crate) fn on_empty_ack(&mut self, now: Instant, slot: Option<u32>, mid: u16, out: &mut Output<P>) {
        let (Some(slot), Some(index)) = (slot, self.sent_by_mid(slot, mid)) else {
            self.counters.stray += 1;
            return;
        };
        let id = self.id_of(index);
        let Some(exchange) = self.exchanges.get_mut(index as usize) else { return };
        match &exchange.kind {
            ExchangeKind::Request(asked) => {
                if exchange.phase != Phase::Unacknowledged {
                    return;
                }
                exchange.phase = Phase::Acknowledged;
                exchange.datagram = Box::default();
                let timeout_ms = asked.request.response_timeout_ms;
                let Some(state) = self.peers.get_mut(slot) else { return };
                if let Purpose::Caller(tag) = asked.purpose {
                    out.events.push(Event::Acked { exchange: id, tag, peer: state.peer });
                }
                let work = state.work_mut();
                work.active = None;
                work.open.push(index);
                self.set_deadline(now, index, timeout_ms);
                self.start_next(now, slot, out);
            }
            // Some stacks acknowledge a ping; that is a sign of life as well as the Reset that is due.
            ExchangeKind::Probe => self.on_probe_answered(now, slot, index, out),
            ExchangeKind::Response(_) => {
                self.finish(index);
                self.free_if_idle(slot);
            }
        }
    }

    /// A Reset: the peer has no context for our message, or answers our ping.
    pub(crate) fn on_reset(&mut self, now: Instant, slot: Option<u32>, mid: u16, out: &mut Output<P>) {
        let (Some(slot), Some(index)) = (slot, self.sent_by_mid(slot, mid)) else {
            self.counters.stray += 1;
            return;
        };
        match self.exchanges.get(index as usize).map(|exchange| &exchange.kind) {
            Some(ExchangeKind::Request(_)) => self.fail(now, index, Failure::Reset, out),
            Some(ExchangeKind::Probe) => self.on_probe_answered(now, slot, index, out),
            Some(ExchangeKind::Response(notifies)) => {
                let notifies = *notifies;
                self.lose_separate(slot, index, notifies, out);
            }
            None => {}
        }
    }

    /// A separate response or a notification that the peer rejected, or never acknowledged.
    fn lose_separate(&mut self, slot: u32, index: u32, notifies: Option<Token>, out: &mut Output<P>) {
        self.counters.separate_lost += 1;
        self.finish(index);
        if let (Some(token), Some(state)) = (notifies, self.peers.get(slot)) {
            out.events.push(Event::NotificationUnwanted { peer: state.peer, token });
        }
        self.free_if_idle(slot);
    }

    fn on_probe_answered(&mut self, now: Instant, slot: u32, index: u32, out: &mut Output<P>) {
        self.finish(index);
        self.validate(slot);
        self.start_next(now, slot, out);
    }
}
