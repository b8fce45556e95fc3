//! Timers: one entry for each session that has a deadline (expiry, sleep, messages that expire).
//!
//! A session's deadline may move later without touching anything here: when its entry fires too early, the session
//! is asked again. Only an earlier deadline makes a new entry.
use super::Broker;
use super::session::{Flow, Session, Slot};
use crate::link::Effects;
use crate::time::{Instant, Now};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Sessions looked at in one call of [`Broker::handle_timeout`]; the rest shows in `next_timeout`.
const TIMEOUTS_PER_CALL: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Slot)>>,
}

impl Timers {
    fn insert(&mut self, at: Instant, slot: Slot) {
        self.heap.push(Reverse((at, slot)));
    }

    fn pop_due(&mut self, now: Instant) -> Option<Slot> {
        let Reverse((at, slot)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some(slot)
    }

    fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

impl Session {
    /// Sees to it that the session is looked at when its next deadline comes.
    pub(super) fn arm(&mut self, timers: &mut Timers) {
        let at = self.next_deadline();
        if at < self.armed {
            self.armed = at;
            timers.insert(at, self.slot);
        }
    }
}

impl Broker {
    /// A deadline has come: sessions expire, sleepers are lost, messages time out. Work per call is bounded; what is
    /// left shows in [`Broker::next_timeout`].
    pub fn handle_timeout(&mut self, now: Now, out: &mut Effects) {
        self.ledger.now = now;
        for _ in 0..TIMEOUTS_PER_CALL {
            let Some(slot) = self.ledger.timers.pop_due(now.instant) else { break };
            self.look_at(slot, out);
        }
        self.sweep_retained(out);
        self.finish_call(out);
    }

    /// When to call [`Broker::handle_timeout`] next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let sweep = Some(self.retained.next_sweep()).filter(|at| *at != Instant::FAR_FUTURE);
        match (self.ledger.timers.next(), sweep) {
            (Some(timer), Some(sweep)) => Some(timer.min(sweep)),
            (timer, sweep) => timer.or(sweep),
        }
    }

    fn look_at(&mut self, slot: Slot, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.armed = Instant::FAR_FUTURE;
        let now = self.ledger.now.instant;
        if session.outgoing.as_ref().is_some_and(|outgoing| outgoing.first_expiry <= now) {
            session.expire_messages(&mut self.ledger, out);
        }
        if session.deadline <= now {
            session.deadline = Instant::FAR_FUTURE;
            match session.flow {
                Flow::Offline => return self.expire_session(slot, out),
                Flow::Asleep => return self.lose_sleeper(slot, out),
                Flow::Active | Flow::Draining => {}
            }
        }
        session.arm(&mut self.ledger.timers);
    }
}
