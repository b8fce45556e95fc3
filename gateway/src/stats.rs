//! [`Stats`]: what a worker counts beside the protocols' own counters.
use crate::udp::UdpCounters;

/// Counts since the start. Those of several workers are added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Connections accepted.
    pub(crate) accepted: u64,
    /// Closed at once: too many connections in all.
    pub(crate) refused_total: u64,
    /// Closed at once: too many connections from this address.
    pub(crate) refused_per_ip: u64,
    /// Times that accepting paused: no file descriptor or memory left.
    pub(crate) accept_pauses: u64,
    /// Times that accepting paused: more new connections than allowed in a second.
    pub(crate) accept_rate_pauses: u64,
    /// Closed at once: the system refused to watch them.
    pub(crate) unwatched: u64,
    /// Events for connections that had ended.
    pub(crate) stale_events: u64,
    /// Panics caught. Always zero, or we have a fault.
    pub(crate) panics: u64,
    /// Bytes read from streams.
    pub(crate) stream_bytes_received: u64,
    /// Bytes written to streams.
    pub(crate) stream_bytes_sent: u64,
    /// Trace messages published.
    pub(crate) traces: u64,
    /// Trace messages left out: more in a second than allowed.
    pub(crate) traces_left_out: u64,
    /// Wishes to trace one device more than can be traced.
    pub(crate) traces_refused: u64,
    /// The UDP sockets.
    pub(crate) udp: UdpCounters,
}

impl Stats {
    /// Adds what a colleague has counted; it has no listeners and no UDP sockets.
    pub(crate) fn add(&mut self, other: &Stats) {
        self.unwatched += other.unwatched;
        self.stale_events += other.stale_events;
        self.panics += other.panics;
        self.stream_bytes_received += other.stream_bytes_received;
        self.stream_bytes_sent += other.stream_bytes_sent;
    }
}
