//! A lazy timer wheel: keep-alives and session timers of a million devices.
//!
//! ```text
//! level 0   64 slots of one tick          a slot of level n is spread over
//! level 1   64 slots of 64 ticks          the levels below when its time
//!   ...                                   begins: at most four moves for
//! level 4   64 slots of 64^4 ticks        an entry in all its life
//! ```
//! Nothing is ever taken out before its time. Whoever owns a deadline keeps a [`Timer`] in its own slot: moving the
//! deadline later, which is what every packet does to a keep-alive, only writes that slot; when the old entry comes
//! due, it is put back to where the deadline is by then. An entry costs eight bytes (with a `u32` id). A timer has one
//! entry, two after its deadline was moved nearer; those of still nearer moves are stale until their time and then gone.
//!
//! Times are milliseconds of the caller's monotonic clock; the wheel rounds up to ticks and never fires early.

/// Bits of a level's slot number.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 5;
/// Furthest entry, in ticks: short of a full turn of the top level. With ticks of 16 ms that is 195 days; a later
/// deadline is looked at again then.
const AHEAD_MAX: u64 = (1 << (BITS * LEVELS as u32)) - (1 << (BITS * (LEVELS as u32 - 1)));
/// Ticks of 16 ms: finer than any timer of the protocols, coarse enough for few wakes.
pub const TICK_BITS_DEFAULT: u32 = 4;
/// Slots with more room than this give it back when they are empty.
const KEPT_MAX: usize = 64;

/// No deadline.
pub const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry<K> {
    id: K,
    /// Lower half of its tick; the upper one follows from the wheel's time, which is never 2^31 ticks away.
    tick: u32,
}

/// An entry that came due. It is a question, not an answer: [`Timer::fired`] knows whether it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due<K> {
    /// Whose.
    pub id: K,
    tick: u32,
}

struct Level<K> {
    /// A bit for each slot that holds something.
    occupied: u64,
    slots: [Vec<Entry<K>>; SLOTS],
}

/// The wheel. `K` names a timer's owner: a slab index, say.
pub struct Wheel<K> {
    levels: [Level<K>; LEVELS],
    tick_bits: u32,
    /// Tick up to which all is done.
    elapsed: u64,
    len: usize,
}

impl<K: Copy> Wheel<K> {
    /// An empty wheel with ticks of 2^`tick_bits` milliseconds (at most 2^16), at time `now`.
    pub fn new(now: u64, tick_bits: u32) -> Self {
        let level = || Level { occupied: 0, slots: std::array::from_fn(|_| Vec::new()) };
        let tick_bits = tick_bits.min(16);
        Wheel { levels: std::array::from_fn(|_| level()), tick_bits, elapsed: now >> tick_bits, len: 0 }
    }

    /// Entries, stale ones among them.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No entry at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first tick that is not before `deadline`, within what the wheel can hold.
    #[inline]
    fn tick_of(&self, deadline: u64) -> u64 {
        let tick = (deadline >> self.tick_bits) + u64::from(deadline & ((1 << self.tick_bits) - 1) != 0);
        tick.clamp(self.elapsed, self.elapsed + AHEAD_MAX)
    }

    /// Adds an entry without a [`Timer`]: for what is set once and checked by its owner.
    pub fn set(&mut self, id: K, deadline: u64) {
        let tick = self.tick_of(deadline);
        self.insert(id, tick);
    }

    fn insert(&mut self, id: K, tick: u64) {
        self.len += 1;
        self.place(Entry { id, tick: tick as u32 }, tick);
    }

    /// Puts an entry of at most `AHEAD_MAX` ticks ahead into its slot.
    fn place(&mut self, entry: Entry<K>, tick: u64) {
        // The highest bit in which it differs from the present says on which level its slot is ahead of ours.
        let differing = (tick ^ self.elapsed) | 1;
        let level = (differing.ilog2() / BITS).min(LEVELS as u32 - 1);
        let slot = (tick >> (BITS * level)) as usize % SLOTS;
        if let Some(level) = self.levels.get_mut(level as usize)
            && let Some(entries) = level.slots.get_mut(slot)
        {
            entries.push(entry);
            level.occupied |= 1 << slot;
        }
    }

    /// The slot whose time begins first: its level, its number, and that time.
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        let mut first: Option<(usize, usize, u64)> = None;
        for (at, level) in self.levels.iter().enumerate() {
            if level.occupied == 0 {
                continue;
            }
            let shift = BITS * at as u32;
            let present = self.elapsed >> shift;
            let ahead = level.occupied.rotate_right((present % SLOTS as u64) as u32).trailing_zeros();
            let begins = ((present + u64::from(ahead)) << shift).max(self.elapsed);
            if first.is_none_or(|(_, _, tick)| begins < tick) {
                first = Some((at, (present + u64::from(ahead)) as usize % SLOTS, begins));
            }
        }
        first
    }

    /// When [`Wheel::expire`] should be called next; possibly earlier than the first entry, never later.
    pub fn next(&self) -> Option<u64> {
        self.first_slot().map(|(_, _, tick)| tick << self.tick_bits)
    }

    /// Moves what is due at `now` to `out`, and handles at most `budget` entries. True when nothing due is left.
    pub fn expire(&mut self, now: u64, budget: usize, out: &mut Vec<Due<K>>) -> bool {
        let now = now >> self.tick_bits;
        let mut budget = budget;
        while let Some((at, slot, begins)) = self.first_slot()
            && begins <= now
        {
            self.elapsed = begins;
            let Some(mut entries) = self.take_slot(at, slot) else { return true };
            while let Some(entry) = entries.last().copied() {
                if budget == 0 {
                    self.put_slot(at, slot, entries);
                    return false;
                }
                budget -= 1;
                entries.pop();
                let ahead = entry.tick.wrapping_sub(self.elapsed as u32) as i32;
                let tick = self.elapsed.saturating_add_signed(i64::from(ahead));
                if tick <= now {
                    self.len -= 1;
                    out.push(Due { id: entry.id, tick: entry.tick });
                } else {
                    self.place(entry, tick);
                }
            }
            if entries.capacity() <= KEPT_MAX {
                self.put_slot(at, slot, entries);
            }
        }
        self.elapsed = self.elapsed.max(now);
        true
    }

    fn take_slot(&mut self, level: usize, slot: usize) -> Option<Vec<Entry<K>>> {
        let level = self.levels.get_mut(level)?;
        level.occupied &= !(1 << slot);
        level.slots.get_mut(slot).map(std::mem::take)
    }

    /// Gives a slot its list back; nothing was put there meanwhile, since entries of a slot go to lower levels.
    fn put_slot(&mut self, level: usize, slot: usize, entries: Vec<Entry<K>>) {
        if let Some(level) = self.levels.get_mut(level)
            && let Some(room) = level.slots.get_mut(slot)
        {
            debug_assert!(room.is_empty(), "entries of a slot are spread over lower levels");
            if !entries.is_empty() {
                level.occupied |= 1 << slot;
            }
            *room = entries;
        }
    }
}

/// A deadline in its owner's slot: sixteen bytes.
///
/// One timer may stand for the nearest of several deadlines: the entry for a far one is remembered while a nearer one
/// is armed, so that going back and forth adds no entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    deadline: u64,
    /// Tick of the entry that wakes us first; `NONE` without one.
    armed: u32,
    /// Tick of a later entry that is still in the wheel.
    later: u32,
}

/// No entry. A tick whose lower half is this one is moved by one.
const NONE: u32 = 0;

impl Default for Timer {
    fn default() -> Self {
        Timer::new()
    }
}

impl Timer {
    /// A timer that is not set.
    pub const fn new() -> Timer {
        Timer { deadline: NEVER, armed: NONE, later: NONE }
    }

    /// The deadline; [`NEVER`] when it is not set.
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Sets or moves the deadline. Moving it later touches nothing but this timer.
    #[inline]
    pub fn set<K: Copy>(&mut self, wheel: &mut Wheel<K>, id: K, deadline: u64) {
        self.deadline = deadline;
        if deadline == NEVER {
            return;
        }
        let tick = wheel.tick_of(deadline);
        let ahead = |tick: u32| tick.wrapping_sub(wheel.elapsed as u32) as i32;
        if self.armed == NONE || ahead(self.armed) > ahead(tick as u32) {
            self.arm(wheel, id, tick);
        }
    }

    #[cold]
    fn arm<K: Copy>(&mut self, wheel: &mut Wheel<K>, id: K, tick: u64) {
        let tick = tick + u64::from(tick as u32 == NONE);
        if self.later == NONE {
            self.later = self.armed;
        }
        self.armed = tick as u32;
        wheel.insert(id, tick);
    }

    /// Forgets the deadline. Its entry stays in the wheel and will count for nothing.
    pub fn clear(&mut self) {
        self.deadline = NEVER;
    }

    /// What `due` means: true when the deadline is over, and then the timer is not set any more. Otherwise its entry
    /// goes back into the wheel where it is needed. `now` is that of [`Wheel::expire`].
    pub fn fired<K: Copy>(&mut self, wheel: &mut Wheel<K>, due: Due<K>, now: u64) -> bool {
        if due.tick == self.armed && self.armed != NONE {
            self.armed = std::mem::replace(&mut self.later, NONE);
        } else if due.tick == self.later && self.later != NONE {
            self.later = NONE;
        } else {
            return false; // of an earlier owner of this slot
        }
        if self.deadline <= now {
            self.deadline = NEVER;
            return true;
        }
        let deadline = self.deadline;
        self.set(wheel, due.id, deadline);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expire(wheel: &mut Wheel<u32>, timers: &mut [Timer], now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        let mut rounds = 0;
        while !wheel.expire(now, 3, &mut due) {
            rounds += 1;
            assert!(rounds < 100_000);
        }
        due.into_iter()
            .filter(|due| timers[due.id as usize].fired(wheel, *due, now))
            .map(|due| due.id)
            .collect()
    }

    #[test]
    fn a_deadline_fires_once_in_its_tick_and_never_early() {
        for start in [0, 5, (1 << 34) - 3, (1 << 36) - 17] {
            for delay in [0, 1, 15, 16, 17, 1000, 70_000, 5_000_000, 300_000_000, 20_000_000_000] {
                let mut wheel = Wheel::new(start, TICK_BITS_DEFAULT);
                let mut timers = [Timer::new()];
                timers[0].set(&mut wheel, 0, start + delay);
                let mut fired_at = None;
                for _ in 0..10_000 {
                    let Some(next) = wheel.next() else { break };
                    if !expire(&mut wheel, &mut timers, next).is_empty() {
                        assert_eq!(fired_at, None);
                        fired_at = Some(next);
                    }
                }
                let fired_at = fired_at.unwrap();
                // A deadline in the tick that has already begun waits for no later one than the next.
                let late = fired_at.saturating_sub(start + delay);
                assert!(fired_at + 16 > start + delay && late <= 32, "{start}+{delay}: {fired_at}");
                assert!(wheel.is_empty());
            }
        }
    }

    #[test]
    fn touching_a_timer_adds_no_entry() {
        let mut wheel = Wheel::new(0, TICK_BITS_DEFAULT);
        let mut timers = [Timer::new()];
        for now in 0..1000 {
            timers[0].set(&mut wheel, 0, now * 100 + 90_000);
        }
        assert_eq!(wheel.len(), 1);
        assert_eq!(expire(&mut wheel, &mut timers, 99_900), [0; 0]);
        assert_eq!(wheel.len(), 1, "put back to where the deadline is now");
        assert_eq!(expire(&mut wheel, &mut timers, 189_900 + 16), [0]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn near_and_far_deadlines_in_turn_keep_two_entries() {
        let mut wheel = Wheel::new(0, TICK_BITS_DEFAULT);
        let mut timers = [Timer::new()];
        let far = 1_000_000;
        timers[0].set(&mut wheel, 0, far);
        let mut fired = 0;
        for round in 0..100 {
            let now = round * 5000;
            timers[0].set(&mut wheel, 0, now + 1000); // a retransmission
            fired += expire(&mut wheel, &mut timers, now + 2000).len();
            timers[0].set(&mut wheel, 0, far); // the keep-alive
            assert!(wheel.len() <= 2, "round {round}: {}", wheel.len());
        }
        assert_eq!(fired, 100);
        assert_eq!(expire(&mut wheel, &mut timers, far + 16), [0]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_cleared_timer_is_silent_and_an_old_owners_entry_counts_for_nothing() {
        let mut wheel = Wheel::new(0, TICK_BITS_DEFAULT);
        let mut timers = [Timer::new(), Timer::new()];
        timers[0].set(&mut wheel, 0, 1000);
        timers[0].clear();
        timers[1].set(&mut wheel, 1, 1000);
        timers[1] = Timer::new(); // the slot has a new owner
        assert_eq!(expire(&mut wheel, &mut timers, 2000), [0; 0]);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_kept() {
        let mut wheel = Wheel::new(0, 0);
        let mut timers = [Timer::new()];
        let deadline = 5 << 30;
        timers[0].set(&mut wheel, 0, deadline);
        let mut now = 0;
        while timers[0].deadline() != NEVER {
            now = wheel.next().unwrap();
            expire(&mut wheel, &mut timers, now);
        }
        assert_eq!(now, deadline);
    }

    #[test]
    fn a_crowd_in_one_slot_is_handled_in_portions_and_its_memory_goes() {
        let mut wheel = Wheel::new(0, TICK_BITS_DEFAULT);
        for id in 0..100_000_u32 {
            wheel.set(id, 1_000_000);
        }
        let mut due = Vec::new();
        assert!(wheel.expire(900_000, 1_000_000, &mut due));
        let (mut rounds, mut most) = (0, 0);
        while let Some(next) = wheel.next() {
            let before = due.len();
            wheel.expire(next.max(1_000_000), 100, &mut due);
            most = most.max(due.len() - before);
            rounds += 1;
            assert!(rounds < 10_000);
        }
        assert_eq!(due.len(), 100_000);
        assert!(most <= 100);
        let kept: usize =
            wheel.levels.iter().flat_map(|level| &level.slots).map(|slot| slot.capacity()).sum();
        assert!(kept <= 1024, "{kept}");
    }

    #[test]
    fn after_a_long_pause_everything_is_due_at_once() {
        let mut wheel = Wheel::new(0, TICK_BITS_DEFAULT);
        let mut timers = vec![Timer::new(); 1000];
        for id in 0..1000_u32 {
            timers[id as usize].set(&mut wheel, id, u64::from(id) * 777_777);
        }
        let mut fired = expire(&mut wheel, &mut timers, 1 << 45); // a thousand years
        fired.sort_unstable();
        assert_eq!(fired, (0..1000).collect::<Vec<_>>());
    }

    #[derive(Clone, Debug)]
    enum Action {
        Set(u32, u64),
        Clear(u32),
        Pass(u64),
    }

    fn action() -> impl Strategy<Value = Action> {
        let time = || prop_oneof![0..100_u64, 0..10_000_u64, 0..10_000_000_u64, 0..1_u64 << 40];
        prop_oneof![
            4 => (0..8_u32, time()).prop_map(|(id, after)| Action::Set(id, after)),
            1 => (0..8_u32).prop_map(Action::Clear),
            4 => time().prop_map(Action::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn timers_agree_with_a_plain_list_of_deadlines(
            start in prop_oneof![Just(0), any::<u32>().prop_map(u64::from), Just((1 << 36) - 100)],
            tick_bits in 0..8_u32,
            actions in proptest::collection::vec(action(), 1..80),
        ) {
            let mut wheel = Wheel::new(start, tick_bits);
            let mut timers = vec![Timer::new(); 8];
            let mut plain = [NEVER; 8];
            let mut now = start;
            let tick = 1 << tick_bits;
            for action in actions {
                match action {
                    Action::Set(id, after) => {
                        timers[id as usize].set(&mut wheel, id, now + after);
                        plain[id as usize] = now + after;
                    }
                    Action::Clear(id) => {
                        timers[id as usize].clear();
                        plain[id as usize] = NEVER;
                    }
                    Action::Pass(time) => {
                        now += time;
                        for id in expire(&mut wheel, &mut timers, now) {
                            prop_assert!(plain[id as usize] <= now, "{} fired early", id);
                            plain[id as usize] = NEVER;
                        }
                        for (id, deadline) in plain.iter().enumerate() {
                            // Up to two ticks late: rounding, and a tick moved off the reserved number.
                            prop_assert!(deadline.saturating_add(2 * tick) > now, "{} is missed", id);
                        }
                    }
                }
                let earliest = plain.iter().copied().min().unwrap();
                if earliest != NEVER {
                    let next = wheel.next().unwrap();
                    prop_assert!(next < earliest.max(now) + 2 * tick, "wakes too late");
                }
            }
            now += 1 << 50;
            expire(&mut wheel, &mut timers, now);
            prop_assert!(wheel.is_empty());
        }
    }
}
