//! What a PUBLISH with RETAIN does, at any QoS: it sets, replaces or, when empty, deletes the retained message of its
//! topic ([MQTT-3.3.1-5], [MQTT-3.3.1-10], [MQTT-3.3.1-11]). And the end of retained messages by time.
//!
//! Expiry runs on the monotonic clock: a wall clock that is set does not wipe the store.
use super::Broker;
use crate::limits::Limits;
use crate::link::{DropReason, Effects};
use crate::message::Message;
use crate::record::Record;
use crate::retained::{HasTopic, Retained, RetainedCursor, RetainedFull, RetainedLimits};
use crate::time::{Instant, Now};
use crate::topic::TopicFilter;
use std::time::Duration;

/// Time between two rounds of the sweep that gives the memory of expired messages back.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Messages looked at in one round.
const SWEEP_BUDGET: usize = 4096;

/// A retained message and when it was stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) message: Message,
    pub(super) since_unix_ms: u64,
}

impl HasTopic for Kept {
    fn topic_bytes(&self) -> &[u8] {
        self.message.topic_bytes()
    }

    fn cost(&self) -> usize {
        self.message.cost()
    }
}

/// What the broker says of itself is not stored: it is said anew after a restart.
pub(super) fn is_own(message: &Message) -> bool {
    message.topic_bytes().starts_with(b"$SYS/")
}

fn bounds(limits: &Limits) -> RetainedLimits {
    RetainedLimits { messages_max: limits.retained_messages_max, bytes_max: limits.retained_bytes_max }
}

/// The retained messages, with their expiry.
pub(super) struct RetainedStore {
    kept: Retained<Kept>,
    expiry: Option<Duration>,
    next_sweep: Instant,
}

impl RetainedStore {
    pub(super) fn new(limits: &Limits) -> RetainedStore {
        RetainedStore {
            kept: Retained::new(bounds(limits)),
            expiry: limits.retained_expiry,
            next_sweep: Instant::FAR_FUTURE,
        }
    }

    /// New limits; a new expiry counts for what is set from now on.
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.kept.set_limits(bounds(limits));
        self.expiry = limits.retained_expiry;
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    pub(super) fn insert(
        &mut self,
        message: &Message,
        since_unix_ms: u64,
        now: Now,
    ) -> Result<(), RetainedFull> {
        let expires = self.expiry.filter(|_| !is_own(message)).map(|expiry| {
            let age = Duration::from_millis(now.unix_ms.saturating_sub(since_unix_ms));
            (now.instant + expiry.saturating_sub(age)).as_millis()
        });
        if expires.is_some() {
            self.next_sweep = self.next_sweep.min(now.instant + SWEEP_INTERVAL);
        }
        self.kept.set(Kept { message: message.clone(), since_unix_ms }, expires).map(|_old| ())
    }

    pub(super) fn remove(&mut self, topic: &[u8]) -> bool {
        self.kept.remove(topic).is_some()
    }

    pub(super) fn get(&self, topic: &[u8], now: Instant) -> Option<&Message> {
        self.kept.get(topic, now.as_millis()).map(|kept| &kept.message)
    }

    pub(super) fn list(&self, cursor: &mut RetainedCursor, budget: usize, visit: impl FnMut(&Kept)) -> bool {
        self.kept.list(cursor, budget, visit)
    }

    /// The messages that match, from the cursor on; true when these were all.
    pub(super) fn matches(
        &self,
        filter: &TopicFilter,
        cursor: &mut RetainedCursor,
        now: Instant,
        budget: usize,
        mut visit: impl FnMut(&Message),
    ) -> bool {
        self.kept.matches(filter.as_filter(), cursor, now.as_millis(), budget, |kept| visit(&kept.message))
    }

    pub(super) fn next_sweep(&self) -> Instant {
        self.next_sweep
    }
}

impl Broker {
    /// Stores, replaces or deletes the retained message of a topic.
    pub(super) fn keep_retained(&mut self, message: &Message, out: &mut Effects) {
        let recording = self.ledger.recording && !is_own(message);
        if message.payload().is_empty() {
            if self.retained.remove(message.topic_bytes()) && recording {
                out.records.push(Record::RetainedRemoved { topic: Box::from(message.topic()) });
            }
            return;
        }
        let since_unix_ms = self.ledger.now.unix_ms;
        match self.retained.insert(message, since_unix_ms, self.ledger.now) {
            Ok(()) if recording => {
                out.records.push(Record::Retained { message: message.clone(), since_unix_ms });
            }
            Ok(()) => {}
            // Full: delivered all the same, only not kept.
            Err(RetainedFull::Messages | RetainedFull::Bytes) => {
                self.ledger.counters.drops.add(DropReason::RetainedFull);
            }
        }
    }

    /// Ends retained messages whose time is over, a bounded number a call.
    pub(super) fn sweep_retained(&mut self, out: &mut Effects) {
        let now = self.ledger.now.instant;
        if self.retained.next_sweep > now {
            return;
        }
        let mut ended = Vec::new();
        self.retained.kept.sweep(now.as_millis(), SWEEP_BUDGET, &mut ended);
        self.ledger.counters.retained_expired += ended.len() as u64;
        if self.ledger.recording {
            out.records.extend(
                ended.iter().map(|kept| Record::RetainedRemoved { topic: Box::from(kept.message.topic()) }),
            );
        }
        self.retained.next_sweep = if self.retained.expiry.is_some() && self.retained.len() > 0 {
            now + SWEEP_INTERVAL
        } else {
            Instant::FAR_FUTURE
        };
    }
}
