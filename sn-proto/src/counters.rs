//! What the gateway counts. Plain numbers that only rise; the driver reads them for metrics.

use crate::wire::WireError;

/// All counters of one front-end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams: u64,
    /// Datagrams that are no message, by [`WireError::index`].
    pub malformed: [u64; WireError::REASONS],
    /// Messages that mean nothing in their sender's state.
    pub out_of_place: u64,
    /// Datagrams over a rate limit.
    pub rate_limited: u64,
    /// Encapsulated messages from an address that is no listed forwarder.
    pub not_a_forwarder: u64,
    /// Requests of strangers answered with DISCONNECT.
    pub strangers_disconnected: u64,
    /// Answers to strangers that a rate limit kept back.
    pub answers_suppressed: u64,
    /// CONNECTs refused, by us or by the broker.
    pub connects_refused: u64,
    /// CONNACKs sent with "accepted".
    pub connects_accepted: u64,
    /// Will handshakes that ended without a session.
    pub handshakes_abandoned: u64,
    /// Clients lost since nothing was heard from them.
    pub keep_alive_lapsed: u64,
    /// Sleepers that did not come back in time.
    pub sleeps_expired: u64,
    /// Sleepers woken from another address.
    pub sleepers_moved: u64,
    /// Sleepers that another address was not allowed to wake.
    pub rebind_refused: u64,
    /// PUBLISH, PUBREL or REGISTER sent again.
    pub retransmissions: u64,
    /// QoS 1/2 messages parked after the last try.
    pub parked: u64,
    /// REGISTERs that were never answered.
    pub registers_unanswered: u64,
    /// Messages dropped since the client refused their topic, or knows no id for it.
    pub topic_refused: u64,
    /// Messages dropped since the client's registry is full.
    pub registry_full: u64,
    /// QoS 0 messages dropped since another REGISTER was in the way.
    pub register_busy: u64,
    /// Messages dropped since they are too long for a datagram.
    pub oversize: u64,
    /// Messages that the client refused for good.
    pub rejected: u64,
    /// Publishes without a session that were taken.
    pub minus_one_accepted: u64,
    /// Publishes without a session that were dropped.
    pub minus_one_dropped: u64,
    /// PUBLISHes of clients that were refused: unknown id, bad topic, congestion.
    pub publish_refused: u64,
    /// Late copies of a released QoS 2 message.
    pub late_copies: u64,
    /// Deliveries that waited for an address to be validated.
    pub guarded: u64,
    /// ADVERTISEs and GWINFOs with our own GwId from another gateway.
    pub same_gateway_id: u64,
    /// SEARCHGWs answered.
    pub searches_answered: u64,
    /// SEARCHGWs on a group that were not answered, since we stand by.
    pub searches_left: u64,
    /// ADVERTISEs sent, one for each destination.
    pub advertises: u64,
    /// Times that the gateway we stand by for was gone.
    pub standby_takeovers: u64,
    /// Clients behind a forwarder that made room for another one.
    pub nodes_evicted: u64,
    /// Trace events dropped since nobody has taken those before.
    pub traces_dropped: u64,
}

impl Counters {
    pub(crate) fn malformed(&mut self, error: WireError) {
        if let Some(count) = self.malformed.get_mut(error.index()) {
            *count += 1;
        }
    }
}
