//! Deadlines of exchanges: a heap with lazy deletion.
//!
//! An owner keeps its one current deadline itself; a heap entry that no longer equals it is dead and is dropped
//! when it comes up, or all at once when the dead outnumber the living. Peers that are idle have no entry.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use broker_core::time::Instant;

/// Whose deadline it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    /// An exchange of ours, by slot and serial.
    Exchange(u32, u32),
    /// A request of a peer, by slot and serial.
    Unanswered(u32, u32),
}

/// The deadlines.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Owner)>>,
}

impl Timers {
    /// Notes a deadline.
    pub(crate) fn set(&mut self, at: Instant, owner: Owner) {
        self.heap.push(Reverse((at, owner)));
    }

    /// The earliest entry, dead or alive.
    pub(crate) fn peek(&self) -> Option<(Instant, Owner)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Takes the earliest entry if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Owner)> {
        let (at, _) = self.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Takes the earliest entry, due or not: for dropping dead ones.
    pub(crate) fn pop(&mut self) {
        self.heap.pop();
    }

    /// Drops the dead when they are more than the living.
    pub(crate) fn shed(&mut self, living: usize, is_alive: impl Fn(Instant, Owner) -> bool) {
        if self.heap.len() > 2 * living + 1_024 {
            self.heap.retain(|Reverse((at, owner))| is_alive(*at, *owner));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_entries_come_in_order_and_dead_ones_are_shed() {
        let mut timers = Timers::default();
        let at = Instant::from_millis;
        for ms in (0..5_000).rev() {
            timers.set(at(ms), Owner::Exchange(ms as u32, 0));
        }
        assert_eq!(timers.pop_due(at(0)), Some((at(0), Owner::Exchange(0, 0))));
        assert_eq!(timers.pop_due(at(0)), None);
        timers.shed(10, |when, _| when.as_millis() % 500 == 0);
        assert_eq!(timers.len(), 9);
        assert_eq!(timers.peek().map(|(when, _)| when), Some(at(500)));
    }
}
