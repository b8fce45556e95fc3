//! Retained messages on their way to a new subscription, in slices and at the pace of the subscriber.
//!
//! A replay reads the retained store as it is when its turn comes, so what it sends is never older than what was
//! published meanwhile. While the subscriber's queue is not empty or its credit is used up, its replay waits: a `#`
//! over a million retained messages fills no queue.
use super::Broker;
use super::ledger::Ledger;
use super::session::{Flow, Session, Slot};
use crate::link::{DropReason, Effects};
use crate::message::{Message, QoS};
use crate::retained::RetainedCursor;
use crate::topic::TopicFilter;
use std::collections::VecDeque;

/// Topics looked at in one search of the store.
const SEARCH_TOPICS: usize = 32;

/// A subscription whose retained messages are to be sent.
#[derive(Debug)]
pub(super) struct Replay {
    filter: TopicFilter,
    granted: QoS,
    cursor: RetainedCursor,
    /// Found and not sent yet: at most one search's.
    found: VecDeque<Message>,
    /// The search is over.
    searched: bool,
}

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SliceEnd {
    /// All is sent.
    Done,
    /// The budget is used up.
    Budget,
    /// The subscriber has no room.
    NoRoom,
    /// Another one of the same subscriber comes first.
    Behind,
}

impl Broker {
    /// Sends what is retained for a new subscription, and keeps for later what does not go at once.
    pub(super) fn start_replay(
        &mut self,
        slot: Slot,
        filter: TopicFilter,
        granted: QoS,
        budget: &mut usize,
        out: &mut Effects,
    ) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let mut busy = false;
        if let Some(outgoing) = &mut session.outgoing {
            outgoing.replays.retain(|replay| replay.filter != filter); // a new SUBSCRIBE starts it anew
            busy = !outgoing.replays.is_empty();
        }
        let (cursor, found) = Default::default();
        let mut replay = Replay { filter, granted, cursor, found, searched: false };
        let end = if busy { SliceEnd::Behind } else { self.run(slot, &mut replay, budget, out) };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        match end {
            SliceEnd::Done => return,
            SliceEnd::Behind => {}
            SliceEnd::NoRoom => session.replaying = true,
            SliceEnd::Budget => self.ledger.replays_ready.push(slot),
        }
        session.outgoing_mut(&mut self.ledger).replays.push_back(replay);
    }

    pub(super) fn stop_replay(&mut self, slot: Slot, filter: &TopicFilter) {
        if let Some(outgoing) = self.sessions.get_mut(slot).and_then(|session| session.outgoing.as_mut()) {
            outgoing.replays.retain(|replay| replay.filter != *filter);
        }
        self.with(slot, Session::tidy_outgoing);
    }

    /// Goes on with the replays that have room; looks at `budget` retained messages over all.
    pub(super) fn go_on_replaying(&mut self, mut budget: usize, out: &mut Effects) {
        let mut ready = std::mem::take(&mut self.ledger.replays_ready).into_iter();
        while budget > 0
            && let Some(slot) = ready.next()
        {
            match self.replay_slice(slot, &mut budget, out) {
                SliceEnd::Done | SliceEnd::Behind => {}
                SliceEnd::Budget => self.ledger.replays_ready.push(slot),
                SliceEnd::NoRoom => self.with(slot, |session, _| session.replaying = true),
            }
        }
        self.ledger.replays_ready.extend(ready);
    }

    fn replay_slice(&mut self, slot: Slot, budget: &mut usize, out: &mut Effects) -> SliceEnd {
        loop {
            let outgoing = self.sessions.get_mut(slot).and_then(|session| session.outgoing.as_mut());
            let Some(mut replay) = outgoing.and_then(|outgoing| outgoing.replays.pop_front()) else {
                self.with(slot, Session::tidy_outgoing);
                return SliceEnd::Done;
            };
            let end = self.run(slot, &mut replay, budget, out);
            if end != SliceEnd::Done {
                self.with(slot, |session, ledger| {
                    session.outgoing_mut(ledger).replays.push_front(replay);
                });
                return end;
            }
        }
    }

    fn run(&mut self, slot: Slot, replay: &mut Replay, budget: &mut usize, out: &mut Effects) -> SliceEnd {
        let Some(session) = self.sessions.get_mut(slot) else { return SliceEnd::Done };
        let now = self.ledger.now.instant;
        let mut fresh = false; // what was found in an earlier call may have been replaced since
        loop {
            while let Some(message) = replay.found.front() {
                if !session.has_room_for_replay() {
                    return SliceEnd::NoRoom;
                }
                let message = match fresh {
                    true => Some(message.clone()),
                    false => self.retained.get(message.topic_bytes(), now).cloned(),
                };
                replay.found.pop_front();
                if let Some(message) = message {
                    session.offer_retained(&mut self.ledger, out, &message, replay.granted);
                }
            }
            if replay.searched {
                return SliceEnd::Done;
            }
            if *budget == 0 {
                return SliceEnd::Budget;
            }
            let topics = SEARCH_TOPICS.min(*budget);
            *budget -= topics;
            let found = &mut replay.found;
            let visit = |message: &Message| found.push_back(message.clone());
            replay.searched = self.retained.matches(&replay.filter, &mut replay.cursor, now, topics, visit);
            fresh = true;
        }
    }
}

impl Session {
    fn offer_retained(&mut self, ledger: &mut Ledger, out: &mut Effects, message: &Message, granted: QoS) {
        if ledger.acl.may_receive(&self.name, self.username(), || self.is_local(), message) {
            self.offer(ledger, out, message, granted.min(message.qos()), true); // [MQTT-3.3.1-8]
        } else {
            ledger.counters.drops.add(DropReason::Denied);
        }
    }

    /// One that reads is not to be overrun; one that sleeps or is offline takes what its queue takes, and drops the
    /// rest there.
    fn has_room_for_replay(&self) -> bool {
        let Some(outgoing) = &self.outgoing else { return true };
        match self.flow {
            Flow::Active => self.credit > 0 && outgoing.queue.is_empty() && outgoing.flight.idle() == 0,
            Flow::Asleep | Flow::Draining | Flow::Offline => true,
        }
    }

    /// The device reads no more for now: what its replay still has goes into the queue, as far as that takes it.
    pub(super) fn replay_into_queue(&mut self, ledger: &mut Ledger) {
        if std::mem::take(&mut self.replaying) {
            ledger.replays_ready.push(self.slot);
        }
    }

    /// The replay that waits for room may go on, if there is room.
    pub(super) fn ask_for_replay(&mut self, ledger: &mut Ledger) {
        if self.replaying && self.has_room_for_replay() {
            self.replaying = false;
            ledger.replays_ready.push(self.slot);
        }
    }
}
