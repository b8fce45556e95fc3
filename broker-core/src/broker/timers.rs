//! Timers: one for each session that has a deadline (expiry, sleep, messages that expire), in a lazy wheel.
use super::Broker;
use super::session::{Flow, Session, Slot};
use crate::link::Effects;
use crate::time::{Instant, Now};
use crate::wheel::{Due, TICK_BITS_DEFAULT, Timer, Wheel};

/// Entries looked at in one call of [`Broker::handle_timeout`]; the rest shows in `next_timeout`.
const TIMEOUTS_PER_CALL: usize = 1024;

/// The wheel, made at the first deadline: it must be told the time when it is made.
#[derive(Default)]
pub(super) struct Timers {
    wheel: Option<Wheel<Slot>>,
    due: Vec<Due<Slot>>,
}

impl Timers {
    fn set(&mut self, now: Instant, timer: &mut Timer, slot: Slot, at: Instant) {
        if at == Instant::FAR_FUTURE {
            timer.clear();
            return;
        }
        let wheel = self.wheel.get_or_insert_with(|| Wheel::new(now.as_millis(), TICK_BITS_DEFAULT));
        timer.set(wheel, slot, at.as_millis());
    }

    fn next(&self) -> Option<Instant> {
        self.wheel.as_ref().and_then(Wheel::next).map(Instant::from_millis)
    }
}

impl Session {
    /// Sees to it that the session is looked at when its next deadline comes.
    pub(super) fn arm(&mut self, now: Instant, timers: &mut Timers) {
        let at = self.next_deadline();
        timers.set(now, &mut self.timer, self.slot, at);
    }

    /// The earliest of its deadlines.
    fn next_deadline(&self) -> Instant {
        match &self.outgoing {
            Some(outgoing) => self.deadline.min(outgoing.first_expiry),
            None => self.deadline,
        }
    }
}

impl Broker {
    /// A deadline has come: sessions expire, sleepers are lost, messages time out. Work per call is bounded; what is
    /// left shows in [`Broker::next_timeout`].
    pub fn handle_timeout(&mut self, now: Now, out: &mut Effects) {
        self.ledger.now = now;
        let mut due = std::mem::take(&mut self.ledger.timers.due);
        if let Some(wheel) = &mut self.ledger.timers.wheel {
            wheel.expire(now.instant.as_millis(), TIMEOUTS_PER_CALL, &mut due);
        }
        for due in due.drain(..) {
            let Some(wheel) = &mut self.ledger.timers.wheel else { break };
            let Some(session) = self.sessions.get_mut(due.id) else { continue };
            if session.timer.fired(wheel, due, now.instant.as_millis()) {
                self.look_at(due.id, out);
            }
        }
        self.ledger.timers.due = due;
        self.sweep_retained(out);
        self.finish_call(out);
    }

    /// When to call [`Broker::handle_timeout`] next. May be too early, never too late.
    pub fn next_timeout(&self) -> Option<Instant> {
        let sweep = Some(self.retained.next_sweep()).filter(|at| *at != Instant::FAR_FUTURE);
        match (self.ledger.timers.next(), sweep) {
            (Some(timer), Some(sweep)) => Some(timer.min(sweep)),
            (timer, sweep) => timer.or(sweep),
        }
    }

    fn look_at(&mut self, slot: Slot, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
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
        session.arm(now, &mut self.ledger.timers);
    }
}
