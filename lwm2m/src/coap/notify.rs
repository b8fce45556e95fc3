//! Notifications as they come in, and the calls around observations (RFC 7641 §3, RFC 7959 §3.4).
use broker_core::time::Instant;
use coap_lite::CoapOption;

use super::Endpoint;
use super::block::Block;
use super::block2::{Download, Fetched};
use super::check::{Head, Kind};
use super::client::{Asked, Purpose};
use super::event::{Event, ExchangeId, Notification, Observe, Output, Request, Response};
use super::message::{Code, Options};
use super::observe::{MAX_AGE_DEFAULT_S, Observation, Order};
use super::peer::{PeerKey, Source};
use super::pool::Holder;
use super::token::Token;
use crate::limits::{BODY_BYTES_MAX, REQUESTS_PER_PEER_MAX};

/// A notification whose later blocks are on their way.
#[derive(Debug)]
pub(crate) struct Unfinished<P> {
    peer: P,
    token: Token,
    tag: u64,
    sequence: u32,
}

/// A request as kept with its observation: a message without Observe and without token.
pub(crate) fn kept_request(request: &Request) -> Box<[u8]> {
    let options = request.options.clone();
    let whole = options.encode(Kind::Confirmable, request.method, 0, Token::EMPTY, &request.payload);
    whole.unwrap_or_default().into_boxed_slice()
}

fn request_of(kept: &[u8]) -> Option<Request> {
    let method = Code(*kept.get(1)?);
    let (options, payload) = Options::decode(kept)?;
    Some(Request { body_bytes_max: BODY_BYTES_MAX, ..Request::new(method, options).with_payload(payload) })
}

impl<P: PeerKey> Endpoint<P> {
    /// Sends a notification, as a device does to those that observe it. The Observe option is the caller's; of a
    /// body that needs several blocks the first is sent, the others are asked for by plain requests. `false`: too
    /// much is on its way to this peer, or it has not earned that much.
    pub fn notify(
        &mut self,
        now: Instant,
        peer: P,
        token: Token,
        confirmable: bool,
        mut notification: Response,
        out: &mut Output<P>,
    ) -> bool {
        let slot = self.slot_of(peer);
        let open = self.peers.get(slot).and_then(|state| state.work.as_ref());
        let crowded = open.map_or(0, |work| work.all().count()) >= REQUESTS_PER_PEER_MAX;
        let mid = if crowded { None } else { self.take_mid(now, slot) };
        self.cut_answer(&mut notification, None);
        let kind = if confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
        let Response { code, options, payload, trusted } = notification;
        let datagram = mid.and_then(|mid| Some((mid, options.encode(kind, code, mid, token, &payload)?)));
        let sent = match datagram {
            Some((mid, datagram)) if datagram.len() <= self.allowance(slot, trusted) => {
                if confirmable {
                    self.send_separately(now, slot, mid, datagram.into(), trusted, Some(token), out);
                } else {
                    self.send(slot, &datagram, out);
                }
                true
            }
            Some(_) | None => false,
        };
        self.free_if_idle(slot);
        self.tidy();
        sent
    }

    /// Takes up an observation from before a restart: its notifications are accepted again.
    pub fn restore_observation(&mut self, peer: P, token: Token, tag: u64, request: &Request) {
        let observation = Observation::new(peer, tag, kept_request(request));
        if !self.observations.insert(token, observation) {
            self.counters.observations_refused += 1;
        }
    }

    /// Forgets an observation: its next notification is rejected with Reset, which cancels it at the peer
    /// (RFC 7641 §3.6). Returns whether there was one.
    pub fn forget_observation(&mut self, now: Instant, token: &Token, out: &mut Output<P>) -> bool {
        let Some(observation) = self.observations.remove(token) else { return false };
        if let Some(fetch) = observation.fetch {
            self.cancel(now, fetch, out);
        }
        true
    }

    /// Its notifications bear this tag from now on. Returns whether there is such an observation.
    pub fn tag_observation(&mut self, token: &Token, tag: u64) -> bool {
        let Some(observation) = self.observations.by_token_mut(token) else { return false };
        observation.tag = tag;
        true
    }

    /// The device of an observation has a new address. Returns whether there was one.
    pub fn move_observation(&mut self, token: &Token, to: P) -> bool {
        let Some(observation) = self.observations.by_token_mut(token) else { return false };
        observation.peer = to;
        true
    }

    /// A response that answers no open request: a notification, or nothing of ours.
    pub(crate) fn on_unrequested(
        &mut self,
        now: Instant,
        source: &Source<P>,
        slot: Option<u32>,
        head: Head,
        datagram: &[u8],
        out: &mut Output<P>,
    ) {
        if head.kind == Kind::Acknowledgement {
            self.counters.stray += 1;
            return;
        }
        if self.observations.get_mut(&source.peer, &head.token).is_some() {
            return self.on_notification(now, source, slot, head, datagram, out);
        }
        // RFC 7641 §3.2: a notification under an unknown token is rejected, Non-confirmable ones too.
        self.counters.unknown_responses += 1;
        self.send_reset(now, source, head.mid, out);
    }

    fn on_notification(
        &mut self,
        now: Instant,
        source: &Source<P>,
        slot: Option<u32>,
        head: Head,
        datagram: &[u8],
        out: &mut Output<P>,
    ) {
        let Some((mut options, payload)) = Options::decode(datagram) else { return };
        if options.response_fault().is_some() {
            // RFC 7252 §5.4.1: a Confirmable response with an unknown critical option is rejected.
            self.counters.notifications_dropped += 1;
            if head.kind == Kind::Confirmable {
                self.send_reset(now, source, head.mid, out);
            }
            return;
        }
        if let Some(slot) = slot {
            // The token is a secret between the device and us.
            self.validate(slot);
        }
        if head.kind == Kind::Confirmable {
            let [high, low] = head.mid.to_be_bytes();
            self.counters.datagrams_out += 1;
            out.send(source.peer, &[0x60, 0, high, low]);
        }
        options.drop_unfit_electives();
        let code = Code(head.code);
        let Some(observation) = self.observations.get_mut(&source.peer, &head.token) else { return };
        let tag = observation.tag;
        let Some(sequence) = options.uint(CoapOption::Observe).filter(|_| !code.is_error()) else {
            // §4.2: an error, or a response without Observe, is the last.
            self.forget_observation(now, &head.token, out);
            let last = Notification {
                peer: source.peer,
                token: head.token,
                tag,
                sequence: None,
                code,
                max_age_s: max_age(&options),
                options,
                payload: payload.into(),
            };
            out.events.push(Event::ObservationEnded(last));
            return;
        };
        match observation.judge(now, sequence, head.mid) {
            Order::Stale => self.counters.notifications_stale += 1,
            Order::TooMany => self.counters.notifications_dropped += 1,
            Order::Fresh => {
                let unfinished = Unfinished { peer: source.peer, token: head.token, tag, sequence };
                self.on_fresh_notification(now, unfinished, code, options, payload, out);
            }
        }
    }

    fn on_fresh_notification(
        &mut self,
        now: Instant,
        unfinished: Unfinished<P>,
        code: Code,
        options: Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) {
        let before = self.observations.get_mut(&unfinished.peer, &unfinished.token).map(|o| o.fetch.take());
        if let Some(fetch) = before.flatten() {
            // What is being fetched is old now.
            self.counters.notifications_dropped += 1;
            self.cancel(now, fetch, out);
        }
        match options.first(CoapOption::Block2).map(Block::decode).transpose() {
            Ok(Some(block)) if block.more => {
                self.fetch_rest(now, unfinished, block, code, options, payload, out);
            }
            Ok(_) => self.finish_notification(unfinished, code, options, payload, out),
            Err(_) => self.counters.notifications_dropped += 1,
        }
    }

    /// RFC 7959 §3.4: the first block comes with the notification, the others are fetched by plain requests.
    #[allow(clippy::too_many_arguments)] // The parts of one message.
    fn fetch_rest(
        &mut self,
        now: Instant,
        unfinished: Unfinished<P>,
        block: Block,
        code: Code,
        options: Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) {
        let (peer, token) = (unfinished.peer, unfinished.token);
        let kept = self.observations.get_mut(&peer, &token).and_then(|o| request_of(&o.request));
        let Some(mut request) = kept else { return };
        request.observe = Observe::No;
        request.trusted = true;
        let mut download = Download::new(code, options.clone(), request.body_bytes_max, self.config.szx);
        if download.on_block(Some(block), &options, &payload) != Fetched::Next {
            self.counters.notifications_dropped += 1;
            return;
        }
        let bytes = download.bytes();
        let mut asked = Asked::new(Purpose::Notification(unfinished), request);
        asked.download = Some(download);
        match self.enqueue(now, peer, asked, out) {
            Ok(id) => self.note_fetch(now, peer, token, id, bytes, out),
            Err(_) => self.counters.notifications_dropped += 1,
        }
    }

    fn note_fetch(
        &mut self,
        now: Instant,
        peer: P,
        token: Token,
        id: ExchangeId,
        bytes: usize,
        out: &mut Output<P>,
    ) {
        let Some(observation) = self.observations.get_mut(&peer, &token) else { return };
        observation.fetch = Some(id);
        let ticket = self.pool.hold(now, None, Holder::Fetching(id), bytes);
        if !self.set_download_ticket(id, ticket) {
            self.pool.release(ticket);
        }
        self.shed_bodies(now, out);
    }

    /// The notification is whole.
    pub(crate) fn finish_notification(
        &mut self,
        unfinished: Unfinished<P>,
        code: Code,
        options: Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) {
        let Unfinished { peer, token, tag, sequence } = unfinished;
        let Some(observation) = self.observations.get_mut(&peer, &token) else { return };
        observation.fetch = None;
        if code.is_error() {
            self.counters.notifications_dropped += 1;
            return;
        }
        out.events.push(Event::Notification(Notification {
            peer,
            token,
            tag,
            sequence: Some(sequence),
            code,
            max_age_s: max_age(&options),
            options,
            payload: payload.into(),
        }));
    }

    /// The later blocks could not be had.
    pub(crate) fn drop_unfinished(&mut self, unfinished: &Unfinished<P>) {
        self.counters.notifications_dropped += 1;
        if let Some(observation) = self.observations.get_mut(&unfinished.peer, &unfinished.token) {
            observation.fetch = None;
        }
    }
}

fn max_age(options: &Options) -> u32 {
    options.uint(CoapOption::MaxAge).unwrap_or(MAX_AGE_DEFAULT_S)
}
