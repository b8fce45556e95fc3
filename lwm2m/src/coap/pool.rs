//! Memory of unfinished bodies: who holds how much, oldest first.
//!
//! Bodies that a peer sends us, bodies that we fetch and answers kept for their later blocks share one bound. When
//! it is reached, the body that was touched longest ago is given up.
use std::collections::BTreeMap;

use broker_core::time::Instant;

use super::event::ExchangeId;
use crate::limits::{EXCHANGE_LIFETIME_MS, PENDING_BODY_BYTES_MAX};

/// Names a body by its peer and a keyed hash of what identifies the request (its cache key, RFC 7252 §5.6, with
/// Request-Tag, RFC 9175 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct BodyKey<P> {
    pub(crate) peer: P,
    pub(crate) hash: u64,
}

/// Whose bytes they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder<P> {
    /// A request body coming in by Block1.
    Gathering(BodyKey<P>),
    /// An answer kept for Block2.
    Kept(BodyKey<P>),
    /// A response body coming in by Block2.
    Fetching(ExchangeId),
}

/// A place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket(u64);

/// Bytes that a body costs beside its content: its entry here, in its table, and the table's slack.
const OVERHEAD_BYTES: usize = 256;

/// The account.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    order: BTreeMap<u64, (Holder<P>, usize, Instant)>,
    bytes: usize,
    next: u64,
}

impl<P: Copy> Pool<P> {
    pub(crate) fn new() -> Pool<P> {
        Pool { order: BTreeMap::new(), bytes: 0, next: 0 }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Books a body, or moves it to the young end with its new size.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        before: Option<Ticket>,
        holder: Holder<P>,
        bytes: usize,
    ) -> Ticket {
        if let Some(ticket) = before {
            self.release(ticket);
        }
        self.next += 1;
        self.bytes += bytes + OVERHEAD_BYTES;
        self.order.insert(self.next, (holder, bytes + OVERHEAD_BYTES, now));
        Ticket(self.next)
    }

    /// Strikes a body off.
    pub(crate) fn release(&mut self, ticket: Ticket) {
        if let Some((_, bytes, _)) = self.order.remove(&ticket.0) {
            self.bytes -= bytes;
        }
    }

    /// The oldest body, struck off, when there are too many bytes.
    pub(crate) fn overflow(&mut self) -> Option<Holder<P>> {
        if self.bytes <= PENDING_BODY_BYTES_MAX {
            return None;
        }
        self.pop()
    }

    /// When the oldest body is over.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let (_, (_, _, at)) = self.order.first_key_value()?;
        Some(Instant::from_millis(at.as_millis().saturating_add(EXCHANGE_LIFETIME_MS)))
    }

    /// The oldest body, struck off, when nobody touched it for EXCHANGE_LIFETIME.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Holder<P>> {
        if self.next_expiry().is_none_or(|at| at > now) {
            return None;
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<Holder<P>> {
        let (_, (holder, bytes, _)) = self.order.pop_first()?;
        self.bytes -= bytes;
        Some(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_touched_longest_ago_goes_first() {
        let mut pool = Pool::new();
        let at = Instant::from_millis;
        let holder = |hash| Holder::Kept(BodyKey { peer: 0_u8, hash });
        let half = PENDING_BODY_BYTES_MAX / 2 - OVERHEAD_BYTES;
        let first = pool.hold(at(0), None, holder(1), half);
        let second = pool.hold(at(1), None, holder(2), half);
        assert_eq!(pool.overflow(), None);
        pool.hold(at(2), Some(first), holder(1), half);
        pool.hold(at(3), None, holder(3), 1);
        assert_eq!(pool.overflow(), Some(holder(2)));
        assert_eq!(pool.overflow(), None);
        pool.release(second);
        assert_eq!(pool.expired(at(247_001)), None);
        assert_eq!(pool.expired(at(247_002)), Some(holder(1)));
        assert_eq!(pool.expired(at(999_999)), Some(holder(3)));
        assert_eq!((pool.bytes(), pool.next_expiry()), (0, None));
    }
}
