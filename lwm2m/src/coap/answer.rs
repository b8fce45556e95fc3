//! Responses to requests of ours: matching, later blocks, observations, the final event (RFC 7252 §5.3, RFC 7959
//! §2.4 to §2.7, RFC 7641 §3.1, RFC 9175 §2.3).
use std::mem;

use broker_core::time::Instant;
use coap_lite::CoapOption;

use super::block::Block;
use super::block1::UploadStep;
use super::block2::{Download, Fetched};
use super::check::{Head, Kind};
use super::client::{Exchange, ExchangeKind, Phase, Purpose};
use super::dedup::Memory;
use super::event::{Event, Failure, IncomingResponse, Observe, Observed, Output};
use super::message::{Code, ECHO, Options};
use super::observe::Observation;
use super::peer::{PeerKey, Source};
use super::pool::Holder;
use super::{Endpoint, notify};

impl<P: PeerKey> Endpoint<P> {
    /// The request that a response belongs to: same peer, same token, and for a piggybacked one the same message
    /// id (RFC 7252 §5.3.2).
    fn match_response(&self, slot: Option<u32>, head: &Head) -> Option<u32> {
        let work = self.peers.get(slot?)?.work.as_ref()?;
        work.sent().find(|index| match self.exchanges.get(*index as usize) {
            Some(Exchange { kind: ExchangeKind::Request(asked), mid, phase, .. }) => {
                let acknowledges = *mid == head.mid && *phase == Phase::Unacknowledged;
                asked.token == head.token && (head.kind != Kind::Acknowledgement || acknowledges)
            }
            Some(_) | None => false,
        })
    }

    /// A message with a response code.
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        source: &Source<P>,
        slot: Option<u32>,
        head: Head,
        datagram: &[u8],
        out: &mut Output<P>,
    ) {
        let (Some(index), Some(slot)) = (self.match_response(slot, &head), slot) else {
            return self.on_unrequested(now, source, slot, head, datagram, out);
        };
        let Some((mut options, payload)) = Options::decode(datagram) else { return };
        let cancelling = self.asked_mut(index).is_some_and(|asked| {
            matches!(asked.request.observe, Observe::Cancel(_)) && asked.download.is_none()
        });
        if cancelling && head.kind != Kind::Acknowledgement && options.has(CoapOption::Observe) {
            // A notification under the token that is being cancelled, not the answer to the cancel.
            return self.on_unrequested(now, source, Some(slot), head, datagram, out);
        }
        self.validate(slot);
        let fingerprint = self.secrets.table.hash_bytes(datagram) as u32;
        match head.kind {
            Kind::Confirmable => {
                self.send_ack(slot, head.mid, out);
                self.remember(now, slot, head.mid, fingerprint, Memory::Acknowledged);
            }
            Kind::NonConfirmable => self.remember(now, slot, head.mid, fingerprint, Memory::Silent),
            Kind::Acknowledgement | Kind::Reset => {}
        }
        if options.response_fault().is_some() {
            return self.fail(now, index, Failure::BadOption, out);
        }
        options.drop_unfit_electives();
        self.take_answer(now, slot, index, head, options, payload, out);
    }

    /// Moves a request on by its response.
    #[allow(clippy::too_many_arguments)] // The parts of one message; a struct would only be built to be taken apart.
    fn take_answer(
        &mut self,
        now: Instant,
        slot: u32,
        index: u32,
        head: Head,
        options: Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) {
        let code = Code(head.code);
        let id = self.id_of(index);
        let block = |option| options.first(option).map(Block::decode).transpose();
        let (Ok(block1), Ok(block2)) = (block(CoapOption::Block1), block(CoapOption::Block2)) else {
            return self.fail(now, index, Failure::BadBlock, out);
        };
        let Some(asked) = self.asked_mut(index) else { return };
        asked.rounds = 0;
        if code == Code::UNAUTHORIZED
            && asked.echo.is_none()
            && let Some(echo) = options.first(ECHO)
        {
            // RFC 9175 §2.3: repeat the request with the value that came.
            asked.echo = Some(echo.to_vec());
            return self.resume(now, slot, index, out);
        }
        if asked.download.is_none() {
            let before = asked.upload.sent();
            match asked.upload.on_response(code, block1) {
                UploadStep::Final => {}
                UploadStep::Broken => return self.fail(now, index, Failure::BadBlock, out),
                UploadStep::Send => {
                    let (sent, total) = (asked.upload.sent(), asked.request.payload.len());
                    if let Purpose::Caller(tag) = asked.purpose
                        && sent > before
                    {
                        out.events.push(Event::Progress { exchange: id, tag, sent, total });
                    }
                    return self.resume(now, slot, index, out);
                }
            }
            self.note_observation(now, index, head, &options, out);
        }
        let fetching = self.asked_mut(index).is_some_and(|asked| asked.download.is_some());
        let several = block2.is_some_and(|block| block.more || block.number > 0);
        if !code.is_success() || !(fetching || several) {
            return self.complete(now, index, code, options, payload, out);
        }
        let Some(asked) = self.asked_mut(index) else { return };
        let (limit, szx) = (asked.request.body_bytes_max, asked.request.szx);
        let download = asked.download.get_or_insert_with(|| Download::new(code, options.clone(), limit, szx));
        match download.on_block(block2, &options, &payload) {
            Fetched::Failed(reason) => self.fail(now, index, reason, out),
            Fetched::Next => {
                let (bytes, ticket) = (download.bytes(), download.ticket);
                let ticket = self.pool.hold(now, ticket, Holder::Fetching(id), bytes);
                self.set_download_ticket(id, ticket);
                self.resume(now, slot, index, out);
                self.shed_bodies(now, out);
            }
            Fetched::Complete => {
                let ticket = download.ticket.take();
                let (code, options, body) =
                    mem::replace(download, Download::new(code, Options::new(), 0, szx)).into_body();
                if let Some(ticket) = ticket {
                    self.pool.release(ticket);
                }
                self.complete(now, index, code, options, body, out);
            }
        }
    }

    /// Puts a request with more to send at the end of the queue.
    pub(crate) fn resume(&mut self, now: Instant, slot: u32, index: u32, out: &mut Output<P>) {
        if let Some(exchange) = self.exchanges.get_mut(index as usize) {
            exchange.phase = Phase::Waiting;
            exchange.deadline = None;
        }
        if let Some(state) = self.peers.get_mut(slot) {
            let work = state.work_mut();
            work.forget(index);
            work.queue.push_back(index);
        }
        self.start_next(now, slot, out);
    }

    /// Begins or ends an observation by the first response to its request (RFC 7641 §3.1, §3.6).
    fn note_observation(
        &mut self,
        now: Instant,
        index: u32,
        head: Head,
        options: &Options,
        out: &mut Output<P>,
    ) {
        let Some(asked) = self.asked_mut(index) else { return };
        let (Observe::Register(Some(token)) | Observe::Cancel(token)) = asked.request.observe else { return };
        let registers = matches!(asked.request.observe, Observe::Register(_));
        let sequence = options.uint(CoapOption::Observe);
        let accepted = registers && Code(head.code).is_success();
        let old = self.observations.remove(&token);
        if let Some(fetch) = old.and_then(|observation| observation.fetch) {
            self.cancel(now, fetch, out);
        }
        let (true, Some(sequence)) = (accepted, sequence) else { return };
        let Some(asked) = self.asked_mut(index) else { return };
        let Purpose::Caller(tag) = asked.purpose else { return };
        let request = notify::kept_request(&asked.request);
        asked.observed = Some(Observed { token, sequence });
        let peer = self.exchanges.get(index as usize).and_then(|exchange| self.peers.get(exchange.peer));
        let Some(peer) = peer.map(|state| state.peer) else { return };
        let mut observation = Observation::new(peer, tag, request);
        observation.begin(now, sequence, head.mid);
        if !self.observations.insert(token, observation) {
            self.counters.observations_refused += 1;
            if let Some(asked) = self.asked_mut(index) {
                asked.observed = None;
            }
        }
    }

    /// Ends a request with its response and goes on with the next.
    fn complete(
        &mut self,
        now: Instant,
        index: u32,
        code: Code,
        options: Options,
        payload: Vec<u8>,
        out: &mut Output<P>,
    ) {
        let id = self.id_of(index);
        let Some(exchange) = self.finish(index) else { return };
        let ExchangeKind::Request(asked) = exchange.kind else { return };
        let slot = exchange.peer;
        let Some(peer) = self.peers.get(slot).map(|state| state.peer) else { return };
        match asked.purpose {
            Purpose::Caller(tag) => out.events.push(Event::Response(IncomingResponse {
                exchange: id,
                tag,
                peer,
                code,
                options,
                payload: payload.into(),
                observed: asked.observed,
            })),
            Purpose::Notification(unfinished) => {
                self.finish_notification(unfinished, code, options, payload, out);
            }
        }
        self.start_next(now, slot, out);
        self.free_if_idle(slot);
    }
}
