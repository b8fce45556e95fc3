//! [`Ledger`]: what the work on any one session reads and writes beside that session: limits, counters, the bytes
//! held for all, the present, and what is to be told to others afterwards.
use super::outgoing::Spares;
use super::session::Slot;
use super::timers::Timers;
use crate::acl::Acl;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::link::{Fate, SessionName};
use crate::time::{Instant, Now};
use std::time::Duration;

pub(super) struct Ledger {
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) acl: Acl,
    /// Records are wanted.
    pub(super) recording: bool,
    pub(super) now: Now,
    /// Messages that wait or are in flight, over all sessions.
    pub(super) held_messages: usize,
    /// Their bytes; a message is counted for every session that holds it.
    pub(super) held_bytes: usize,
    /// Place of the next message in its queue. It rises over all sessions, so that none needs to keep its own.
    next_seq: u64,
    pub(super) spares: Spares,
    pub(super) timers: Timers,
    /// Fates to be told to those who asked.
    pub(super) fates: Vec<(SessionName, Fate)>,
    /// Sessions with retained messages to come and room for them.
    pub(super) replays_ready: Vec<Slot>,
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Ledger {
        Ledger {
            limits,
            counters: Counters::default(),
            acl: Acl::default(),
            recording: false,
            now: Now::default(),
            held_messages: 0,
            held_bytes: 0,
            next_seq: 1,
            spares: Spares::default(),
            timers: Timers::default(),
            fates: Vec::new(),
            replays_ready: Vec::new(),
        }
    }

    /// A place behind all that wait anywhere.
    #[inline]
    pub(super) fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// The place of the next message: what waits now has smaller ones.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// A stored message has this place.
    pub(super) fn seq_is_taken(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq.saturating_add(1));
    }

    /// A message of `cost` bytes is held for one more session.
    #[inline]
    pub(super) fn hold(&mut self, cost: usize) {
        self.held_messages += 1;
        self.held_bytes += cost;
    }

    /// A message of `cost` bytes is no longer held for one session.
    #[inline]
    pub(super) fn let_go(&mut self, cost: usize) {
        self.held_messages = self.held_messages.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(cost);
    }

    /// The wall-clock form of a deadline; 0 for none.
    pub(super) fn unix_of(&self, at: Instant) -> u64 {
        if at == Instant::FAR_FUTURE {
            return 0;
        }
        let ahead = u64::try_from(at.saturating_since(self.now.instant).as_millis()).unwrap_or(u64::MAX);
        let behind = u64::try_from(self.now.instant.saturating_since(at).as_millis()).unwrap_or(u64::MAX);
        // Never 0, which would mean "none".
        self.now.unix_ms.saturating_add(ahead).saturating_sub(behind).max(1)
    }

    /// The deadline for a wall-clock moment; 0 is none.
    pub(super) fn instant_of(&self, unix_ms: u64) -> Instant {
        if unix_ms == 0 {
            return Instant::FAR_FUTURE;
        }
        let ago = self.now.unix_ms.saturating_sub(unix_ms);
        let present = Instant::from_millis(self.now.instant.as_millis().saturating_sub(ago));
        present + Duration::from_millis(unix_ms.saturating_sub(self.now.unix_ms))
    }
}
