//! What goes in and comes out of the endpoint: requests and responses of ours, events, datagrams.
use std::ops::Range;

use bytes::Bytes;

use super::message::{Code, Options};
use super::token::Token;
use crate::limits::{BODY_BYTES_MAX, RESPONSE_TIMEOUT_MS};

/// What the endpoint wants done. The caller owns it and empties it.
#[derive(Debug)]
pub struct Output<P> {
    /// The bytes of all datagrams, one after the other.
    pub wire: Vec<u8>,
    /// Receivers, with the place of the datagram in [`Output::wire`].
    pub datagrams: Vec<(P, Range<usize>)>,
    /// What happened, in order.
    pub events: Vec<Event<P>>,
}

impl<P> Default for Output<P> {
    fn default() -> Output<P> {
        Output { wire: Vec::new(), datagrams: Vec::new(), events: Vec::new() }
    }
}

impl<P: Copy> Output<P> {
    pub(crate) fn send(&mut self, to: P, datagram: &[u8]) {
        let start = self.wire.len();
        self.wire.extend_from_slice(datagram);
        self.datagrams.push((to, start..self.wire.len()));
    }

    /// The datagrams with their receivers.
    pub fn outgoing(&self) -> impl Iterator<Item = (P, &[u8])> {
        self.datagrams.iter().map(|(to, bytes)| (*to, self.wire.get(bytes.clone()).unwrap_or_default()))
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.wire.clear();
        self.datagrams.clear();
        self.events.clear();
    }
}

/// Names a request of ours. Never used twice within the life of the process's memory of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExchangeId {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

/// Names a request of a peer that waits for our answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RequestId {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

/// What a request has to do with observing (RFC 7641).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Observe {
    /// Nothing.
    #[default]
    No,
    /// Observe 0: register. With a token the observation keeps the one that it had (after a restart, or to renew
    /// it); otherwise it gets a random one, told in the response event.
    Register(Option<Token>),
    /// Observe 1 with the token of the observation: cancel.
    Cancel(Token),
}

/// A request of ours.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, PUT, DELETE, FETCH, PATCH or iPATCH.
    pub method: Code,
    /// Sent as Confirmable.
    pub confirmable: bool,
    /// Path, query, formats and so on. Block1, Block2, Size1, Observe and Echo are set by the endpoint.
    pub options: Options,
    /// The whole body; what does not fit one block goes by Block1.
    pub payload: Bytes,
    /// Observe option.
    pub observe: Observe,
    /// Largest body taken in the response, bytes; at most [`crate::limits::BODY_BYTES_OVERRIDE_MAX`].
    pub body_bytes_max: usize,
    /// Time from the Acknowledgement (or from sending, if Non-confirmable) to the response, milliseconds.
    pub response_timeout_ms: u64,
    /// Size exponent of the blocks to begin with, 0 to 6.
    pub szx: u8,
    /// The caller knows that the peer is reached at this address (a registration that was validated before).
    pub trusted: bool,
}

impl Request {
    /// A Confirmable request without payload.
    pub fn new(method: impl Into<Code>, options: Options) -> Request {
        Request {
            method: method.into(),
            confirmable: true,
            options,
            payload: Bytes::new(),
            observe: Observe::No,
            body_bytes_max: BODY_BYTES_MAX,
            response_timeout_ms: RESPONSE_TIMEOUT_MS,
            szx: super::block::SZX_MAX,
            trusted: false,
        }
    }

    /// The request with this body.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Bytes>) -> Request {
        self.payload = payload.into();
        self
    }

    /// The request with this Observe option.
    #[must_use]
    pub fn with_observe(mut self, observe: Observe) -> Request {
        self.observe = observe;
        self
    }
}

/// An answer of ours to a request of a peer.
#[derive(Clone, Debug)]
pub struct Response {
    /// A code of class 2, 4 or 5.
    pub code: Code,
    /// Location, Content-Format, ETag and so on. Block options, Size2 and Echo are set by the endpoint; an ETag is
    /// added to a body of several blocks that has none.
    pub options: Options,
    /// The whole body; the endpoint cuts the block that was asked for out of it. A shared image costs nothing.
    pub payload: Bytes,
    /// The caller knows that the peer is reached at this address.
    pub trusted: bool,
}

impl Response {
    /// An answer without options and payload.
    pub fn new(code: impl Into<Code>) -> Response {
        Response { code: code.into(), options: Options::new(), payload: Bytes::new(), trusted: false }
    }

    /// An error with a diagnostic text (RFC 7252 §5.5.2). It is left away where it would amplify.
    pub fn diagnostic(code: impl Into<Code>, text: &'static str) -> Response {
        Response { payload: Bytes::from_static(text.as_bytes()), ..Response::new(code) }
    }

    /// The answer with this body.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Bytes>) -> Response {
        self.payload = payload.into();
        self
    }

    /// The answer with these options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Response {
        self.options = options;
        self
    }
}

/// A request of a peer, with its whole body.
#[derive(Clone, Debug)]
pub struct IncomingRequest<P> {
    /// To be handed to `respond`.
    pub id: RequestId,
    /// Who asks.
    pub peer: P,
    /// The method.
    pub method: Code,
    /// Sent as Confirmable.
    pub confirmable: bool,
    /// Its token.
    pub token: Token,
    /// All options as received (with the block options of the last block).
    pub options: Options,
    /// The body.
    pub payload: Bytes,
    /// Heard on a group: only discovery gets here, and only a success is sent.
    pub group: bool,
    /// The peer has shown that it receives at this address.
    pub validated: bool,
}

/// A response to a request of ours, with its whole body.
#[derive(Clone, Debug)]
pub struct IncomingResponse<P> {
    /// The request.
    pub exchange: ExchangeId,
    /// The caller's tag of the request.
    pub tag: u64,
    /// Who answered.
    pub peer: P,
    /// The code, also an unknown one.
    pub code: Code,
    /// The options of the (first) response.
    pub options: Options,
    /// The body.
    pub payload: Bytes,
    /// The observation that this response begins.
    pub observed: Option<Observed>,
}

/// An observation that a peer has accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Its token for life.
    pub token: Token,
    /// Its first sequence number.
    pub sequence: u32,
}

/// A notification, with its whole body, newer than all before it.
#[derive(Clone, Debug)]
pub struct Notification<P> {
    /// Who notifies.
    pub peer: P,
    /// The token of the observation.
    pub token: Token,
    /// The caller's tag of the request that began it.
    pub tag: u64,
    /// The value of Observe, 24 bits; `None` in a message that ends the observation.
    pub sequence: Option<u32>,
    /// The code.
    pub code: Code,
    /// Its options.
    pub options: Options,
    /// The body.
    pub payload: Bytes,
    /// Seconds for which the representation is fresh (Max-Age, 60 when absent).
    pub max_age_s: u32,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<P> {
    /// A peer asks something; exactly one `respond` is expected.
    Request(IncomingRequest<P>),
    /// A peer has acknowledged a request of ours and will answer later.
    Acked {
        /// The request.
        exchange: ExchangeId,
        /// The caller's tag.
        tag: u64,
        /// The peer.
        peer: P,
    },
    /// A block of a body that we send has arrived.
    Progress {
        /// The request.
        exchange: ExchangeId,
        /// The caller's tag.
        tag: u64,
        /// Bytes that the peer has.
        sent: usize,
        /// Bytes in all.
        total: usize,
    },
    /// The final answer to a request of ours.
    Response(IncomingResponse<P>),
    /// A request of ours has come to its end without an answer.
    Failed {
        /// The request.
        exchange: ExchangeId,
        /// The caller's tag.
        tag: u64,
        /// The peer.
        peer: P,
        /// Why.
        reason: Failure,
    },
    /// A notification of a running observation.
    Notification(Notification<P>),
    /// The last message of an observation: an error, or a response without Observe. The observation is forgotten.
    ObservationEnded(Notification<P>),
    /// A Confirmable notification of ours was rejected or never acknowledged: the observer is to be forgotten
    /// (RFC 7641 §4.5).
    NotificationUnwanted {
        /// The observer.
        peer: P,
        /// The token of its observation.
        token: Token,
    },
}

/// Why a request of ours failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Failure {
    /// No Acknowledgement after all retransmissions.
    Timeout,
    /// Acknowledged, but no response in time.
    ResponseTimeout,
    /// The peer rejected the message with Reset.
    Reset,
    /// The response's body is larger than the limit.
    TooLarge,
    /// The representation changed while its blocks were fetched, twice.
    Changed,
    /// The peer broke the block-wise protocol.
    BadBlock,
    /// The response has a critical option that we do not know.
    BadOption,
    /// Too many unfinished bodies: this was the oldest.
    Overloaded,
    /// All message ids of the peer were used within EXCHANGE_LIFETIME.
    MessageIdsExhausted,
    /// The options do not fit a datagram.
    Encoding,
    /// The caller gave up the peer.
    Abandoned,
}

/// Why a request was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum RequestError {
    /// The peer has REQUESTS_PER_PEER_MAX requests waiting.
    PeerQueueFull,
    /// All peers together have EXCHANGES_MAX.
    TooManyExchanges,
    /// The method is none.
    NotAMethod,
    /// The body needs more blocks than there are numbers, the options do not fit a datagram, or the request is
    /// larger than what is kept with an observation.
    TooLarge,
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RequestError::PeerQueueFull => "too many requests wait for this peer",
            RequestError::TooManyExchanges => "too many exchanges",
            RequestError::NotAMethod => "the code is not a method",
            RequestError::TooLarge => "the request is too large",
        })
    }
}

impl std::error::Error for RequestError {}
