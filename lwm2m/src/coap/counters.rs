//! What the endpoint counts.
use std::collections::BTreeMap;

use super::check::Malformed;

/// Counters since the start, and gauges of what is held now. Each bound of [`crate::limits`] shows in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that were no CoAP message, by reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Requests handed up.
    pub requests_in: u64,
    /// Duplicates answered from memory.
    pub duplicates: u64,
    /// Retransmissions of ours.
    pub retransmissions: u64,
    /// Retransmissions left out because the address is not validated.
    pub retransmissions_withheld: u64,
    /// Resets sent.
    pub resets_out: u64,
    /// Replies not sent: over the budget for strangers, to a group, or over the allowance of an address.
    pub replies_withheld: u64,
    /// Answers replaced by an Echo challenge, or by a bare 4.01 where not even that was allowed.
    pub challenges: u64,
    /// Requests refused by the endpoint itself: unknown critical option, method, proxying, bad block.
    pub refused: u64,
    /// Requests to a group that were ignored.
    pub group_ignored: u64,
    /// Requests answered 5.03 because too many wait for an answer.
    pub overloaded: u64,
    /// Requests never answered by the layer above.
    pub never_answered: u64,
    /// Acknowledgements and Resets that belong to nothing.
    pub stray: u64,
    /// Empty Non-confirmable messages.
    pub empty_non: u64,
    /// Responses that belong to no request and no observation.
    pub unknown_responses: u64,
    /// Separate responses that were never acknowledged, or rejected.
    pub separate_lost: u64,
    /// Notifications older than what we have, or copies.
    pub notifications_stale: u64,
    /// Notifications over the rate, or whose later blocks could not be fetched.
    pub notifications_dropped: u64,
    /// Observations not kept because there are too many.
    pub observations_refused: u64,
    /// Request bodies ended by 4.08 or 4.13.
    pub bodies_refused: u64,
    /// Unfinished bodies given up for newer ones.
    pub bodies_shed: u64,
    /// Unfinished bodies that nobody went on with.
    pub bodies_expired: u64,
    /// Remembered messages that went before their time.
    pub remembered_evicted: u64,
    /// Peers with state now.
    pub peers: usize,
    /// Requests and separate responses of ours that are open now.
    pub exchanges: usize,
    /// Requests that wait for our answer now.
    pub unanswered: usize,
    /// Messages remembered now.
    pub remembered: usize,
    /// Their bytes.
    pub remembered_bytes: usize,
    /// Bytes of unfinished bodies now.
    pub pending_body_bytes: usize,
    /// Request bodies on their way in now.
    pub bodies_incoming: usize,
    /// Observations held now.
    pub observations: usize,
}

impl Counters {
    pub(crate) fn malformed(&mut self, reason: Malformed) {
        *self.malformed.entry(reason).or_default() += 1;
    }
}
