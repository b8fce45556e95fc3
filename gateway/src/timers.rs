//! [`Timers`]: the deadlines of a worker's streams, on a coarse lazy wheel.
//!
//! An entry is not moved when its deadline moves (each packet moves a keep-alive); when it comes up, its owner is
//! asked for the present deadline and put back. Deadlines beyond one turn are put at the end of the turn and come up
//! early, with the same answer. Nothing fires before its time; it may fire one tick late.
use broker_core::Instant;

/// Width of one slot of the wheel.
const TICK_MS: u64 = 128;
/// Slots: one turn is 131 s, longer than the 90 s of the usual keep-alive.
const SLOTS: usize = 1024;
const WORDS: usize = SLOTS / 64;

/// Owner of a timer: slot and generation of a stream.
pub(crate) type Key = (u32, u16);

/// A wheel of timers. Each owner may have several entries; stale ones are recognised by their owner.
#[derive(Debug)]
pub(crate) struct Timers {
    slots: Vec<Vec<Key>>,
    /// Which slots hold something.
    occupied: [u64; WORDS],
    /// The first tick not yet handed out.
    current: u64,
}

impl Timers {
    pub(crate) fn new(now: Instant) -> Self {
        Timers { slots: vec![Vec::new(); SLOTS], occupied: [0; WORDS], current: now.as_millis() / TICK_MS }
    }

    /// The first moment that is not yet handed out.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.current * TICK_MS)
    }

    /// The tick at which an entry for `deadline` set now would come up.
    pub(crate) fn tick_of(&self, deadline: Instant) -> u64 {
        let tick = deadline.as_millis().div_ceil(TICK_MS);
        tick.clamp(self.current, self.current + SLOTS as u64 - 1)
    }

    /// Puts `key` up for `deadline`; says the tick at which it will come up.
    pub(crate) fn set(&mut self, key: Key, deadline: Instant) -> u64 {
        let tick = self.tick_of(deadline);
        let slot = slot_of(tick);
        if let (Some(entries), Some(word)) = (self.slots.get_mut(slot), self.occupied.get_mut(slot / 64)) {
            entries.push(key);
            *word |= 1 << (slot % 64);
        }
        tick
    }

    /// When to call [`Timers::expire`] next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let start = slot_of(self.current);
        // The first word is looked at twice: its upper part now, its lower part at the end of the turn.
        for step in 0..=WORDS {
            let index = (start / 64 + step) % WORDS;
            let mut word = self.occupied.get(index).copied().unwrap_or(0);
            if step == 0 {
                word &= u64::MAX << (start % 64);
            } else if step == WORDS {
                word &= !(u64::MAX << (start % 64));
            }
            if word != 0 {
                let slot = (index * 64 + word.trailing_zeros() as usize) as u64;
                let ahead = (slot + SLOTS as u64 - start as u64) % SLOTS as u64;
                return Some(Instant::from_millis((self.current + ahead) * TICK_MS));
            }
        }
        None
    }

    /// Moves all entries that are due into `due`, with the tick that they were set for.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<(Key, u64)>) {
        let until = now.as_millis() / TICK_MS;
        // After a long stop one turn visits every slot; more would visit them again.
        let first = self.current.max(until.saturating_sub(SLOTS as u64 - 1));
        if first > self.current {
            // Slots skipped by the jump hold entries of the turn before: all due.
            for tick in self.current..first.min(self.current + SLOTS as u64) {
                self.take(tick, due);
            }
        }
        for tick in first..=until {
            self.take(tick, due);
        }
        self.current = self.current.max(until + 1);
    }

    fn take(&mut self, tick: u64, due: &mut Vec<(Key, u64)>) {
        let slot = slot_of(tick);
        let bit = 1u64 << (slot % 64);
        let Some(word) = self.occupied.get_mut(slot / 64) else { return };
        if *word & bit == 0 {
            return;
        }
        *word &= !bit;
        if let Some(entries) = self.slots.get_mut(slot) {
            due.extend(entries.drain(..).map(|key| (key, tick)));
            // A stampede must not leave its memory behind.
            entries.shrink_to(64);
        }
    }
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn an_entry_comes_up_once_and_not_before_its_time() {
        let mut timers = Timers::new(at(1000));
        let tick = timers.set((7, 1), at(11_000));
        let next = timers.next().expect("one entry is set");
        assert!(next >= at(11_000) && next <= at(11_000 + TICK_MS));
        let mut due = Vec::new();
        timers.expire(at(10_999), &mut due);
        assert_eq!(due, []);
        timers.expire(next, &mut due);
        assert_eq!(due, [((7, 1), tick)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_far_deadline_comes_up_at_the_end_of_a_turn() {
        let mut timers = Timers::new(at(0));
        timers.set((1, 1), Instant::FAR_FUTURE);
        let next = timers.next().expect("one entry is set");
        assert_eq!(next, at((SLOTS as u64 - 1) * TICK_MS));
        let mut due = Vec::new();
        timers.expire(next, &mut due);
        assert_eq!(due.len(), 1);
    }

    #[test]
    fn entries_all_around_the_turn_come_up_in_order_and_after_a_long_stop_all_at_once() {
        for start in [0u64, 63, 64, 1023, 5000] {
            let mut timers = Timers::new(at(start * TICK_MS));
            for n in 0..SLOTS as u64 {
                timers.set((n as u32, 0), at((start + n) * TICK_MS));
            }
            let mut due = Vec::new();
            for n in 0..10u64 {
                assert_eq!(timers.next(), Some(at((start + n) * TICK_MS)), "start {start}");
                timers.expire(at((start + n) * TICK_MS), &mut due);
                assert_eq!(due.pop().map(|(key, _)| key), Some((n as u32, 0)));
                assert_eq!(due, []);
            }
            timers.expire(at((start + 10 * SLOTS as u64) * TICK_MS), &mut due);
            assert_eq!(due.len(), SLOTS - 10);
            assert_eq!(timers.next(), None);
            // The wheel goes on after the jump.
            timers.set((1, 1), at((start + 10 * SLOTS as u64 + 5) * TICK_MS));
            assert_eq!(timers.next(), Some(at((start + 10 * SLOTS as u64 + 5) * TICK_MS)));
        }
    }
}
