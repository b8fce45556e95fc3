//! The contract that every protocol shares: datagrams or bytes in, requests and datagrams out, events back.
//!
//! Handling fills an out-buffer that the caller owns; nobody calls back, and no `Result` comes back, since a peer
//! cannot make a front-end fail.
use crate::link::{CloseReason, FromBroker, LinkId, Notice, ToBroker};
pub use crate::packed_address::PackedAddress;
use crate::time::{Instant, Now};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

/// Number of a listener in the driver's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct ListenerId(pub u16);

/// One way to reach a device: its address, and the listener and local address that it used. Replies leave from
/// there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// The other end.
    pub remote: SocketAddr,
    /// The local address that was hit, when the socket is bound to more than one.
    pub local: Option<IpAddr>,
    /// The listener.
    pub listener: ListenerId,
}

impl Hash for Address {
    /// Made for every datagram, so of few words. Peers that differ in our own address only are rare, and found by
    /// comparing.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Address { remote, local: _, listener } = self;
        let ports = u64::from(remote.port()) << 16 | u64::from(listener.0);
        match remote.ip() {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 32 | ports),
            IpAddr::V6(ip) => {
                state.write_u128(ip.to_bits());
                state.write_u64(ports);
            }
        }
    }
}

/// Where a datagram came from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    /// The address to answer to.
    pub address: Address,
    /// Heard on a multicast or broadcast group rather than unicast.
    pub group: bool,
    /// Identity proven by the transport (DTLS).
    pub identity: Option<Arc<str>>,
}

/// A datagram to send. Its bytes lie in [`Actions::wire`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatagramOut {
    /// Destination, and the listener and local address to send from. A group is a destination like any other.
    pub to: Address,
    /// TTL or hop limit for group destinations; `None`: the listener's own.
    pub ttl: Option<u8>,
    /// Its bytes within [`Actions::wire`].
    pub bytes: Range<usize>,
}

/// What a datagram front-end wants done. The caller owns it and empties it.
#[derive(Debug, Default)]
pub struct Actions {
    /// All datagrams' bytes, one after the other.
    pub wire: Vec<u8>,
    /// Datagrams in sending order.
    pub datagrams: Vec<DatagramOut>,
    /// Requests to the broker, in order.
    pub requests: Vec<(LinkId, ToBroker)>,
    /// Log lines.
    pub notices: Vec<Notice>,
}

impl Actions {
    /// Queues the datagram that `encode` appends to the buffer. Nothing is queued when it appends nothing.
    pub fn send(&mut self, to: Address, encode: impl FnOnce(&mut Vec<u8>)) {
        self.send_with_ttl(to, None, encode);
    }

    /// As [`Actions::send`], with a TTL for a group destination.
    pub fn send_with_ttl(&mut self, to: Address, ttl: Option<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.wire.len();
        encode(&mut self.wire);
        if self.wire.len() > start {
            self.datagrams.push(DatagramOut { to, ttl, bytes: start..self.wire.len() });
        }
    }

    /// Queues a request.
    pub fn request(&mut self, link: LinkId, request: ToBroker) {
        self.requests.push((link, request));
    }

    /// The datagrams with their bytes.
    pub fn outgoing(&self) -> impl Iterator<Item = (&DatagramOut, &[u8])> {
        self.datagrams.iter().map(|d| (d, self.wire.get(d.bytes.clone()).unwrap_or_default()))
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.requests.is_empty() && self.notices.is_empty()
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.wire.clear();
        self.datagrams.clear();
        self.requests.clear();
        self.notices.clear();
    }
}

/// A protocol over datagrams.
pub trait Frontend {
    /// A datagram has come.
    fn handle_datagram(&mut self, now: Now, from: &Peer, datagram: &[u8], out: &mut Actions);
    /// The broker says something about a link of this front-end.
    fn handle_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions);
    /// [`Frontend::next_timeout`] has come. Work per call is bounded; what is left shows in `next_timeout`.
    fn handle_timeout(&mut self, now: Now, out: &mut Actions);
    /// When to call `handle_timeout` next.
    fn next_timeout(&self) -> Option<Instant>;
}

/// What a stream connection wants done. Shared by all connections of a worker and emptied after each call.
#[derive(Debug, Default)]
pub struct StreamOut {
    /// Requests to the broker on this connection's link, in order.
    pub requests: Vec<ToBroker>,
    /// Flush what is written, then close. Set once.
    pub close: Option<StreamClose>,
    /// Log lines.
    pub notices: Vec<Notice>,
}

/// Why a front-end closes its stream; each has a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum StreamClose {
    /// The client said DISCONNECT.
    Disconnected,
    /// CONNECT was refused (after its CONNACK).
    Refused,
    /// Malformed or out-of-place packet.
    Protocol,
    /// No CONNECT within the deadline.
    ConnectTimeout,
    /// Keep-alive lapsed.
    KeepAlive,
    /// The broker ended the link.
    Broker(CloseReason),
}

/// One connection of a protocol over a byte stream. The driver owns the stream and its two buffers.
pub trait StreamConnection {
    /// Bytes have come: handles every whole packet in `input` and says how many bytes that took; the rest is handed
    /// in again, with what follows it. Answers are appended to `wire`.
    fn handle_bytes(&mut self, now: Now, input: &[u8], wire: &mut Vec<u8>, out: &mut StreamOut) -> usize;
    /// The broker says something about this connection's link.
    fn handle_event(&mut self, now: Now, event: FromBroker, wire: &mut Vec<u8>, out: &mut StreamOut);
    /// `flushed` bytes of `wire` are with the kernel: credit goes back to the broker.
    fn handle_flushed(&mut self, now: Now, flushed: usize, out: &mut StreamOut);
    /// The stream ended without our doing (EOF, reset, error).
    fn handle_closed(&mut self, now: Now, out: &mut StreamOut);
    /// A deadline has come.
    fn handle_timeout(&mut self, now: Now, wire: &mut Vec<u8>, out: &mut StreamOut);
    /// The next deadline. May move later without notice (keep-alive): the driver's wheel asks again when it fires.
    fn next_timeout(&self) -> Option<Instant>;
}
