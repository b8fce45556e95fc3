//! A hash table of numbers, made for one thing: a lookup costs one cache miss, also among millions.
//!
//! A general table looks at its control bytes, then at a bucket, then at what the bucket names. Here a slot of eight
//! bytes holds half of the hash beside the number, and probing is linear: the first look nearly always decides. The
//! caller keeps what the numbers name, and compares it only when 32 bits of hash agree.

/// Numbers by hash. The caller hashes with a secret seed, so nobody can choose texts that crowd one place.
#[derive(Default)]
pub(super) struct Probe {
    /// A power of two of slots, or none at all.
    slots: Box<[Slot]>,
    len: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    /// `FREE` when nothing is here.
    number: u32,
}

const FREE: u32 = u32::MAX;
const FREE_SLOT: Slot = Slot { hash: 0, number: FREE };
const FIRST: usize = 8;

impl Probe {
    /// The number with this hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // Ends at a free slot, of which there is always one.
        loop {
            let slot = self.slots[at & mask];
            if slot.number == FREE {
                return None;
            }
            if slot.hash == hash && is_it(slot.number) {
                return Some(slot.number);
            }
            at += 1;
        }
    }

    /// Adds a number that is not in yet.
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        // At most two thirds are taken: beyond, runs of taken slots grow long.
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            self.resize((self.slots.len() * 2).max(FIRST));
        }
        self.len += 1;
        put(&mut self.slots, Slot { hash, number });
    }

    /// Takes a number out, if it is in with this hash.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let mut hole = hash as usize & mask;
        while self.slots[hole].number != number {
            if self.slots[hole].number == FREE {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        // What follows in the run moves up, unless it already stands where its hash wants it.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.number == FREE {
                break;
            }
            let wants = slot.hash as usize & mask;
            let moved_by = at.wrapping_sub(wants) & mask;
            let hole_behind = at.wrapping_sub(hole) & mask;
            if moved_by >= hole_behind {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = FREE_SLOT;
        if self.slots.len() > FIRST && self.len * 8 < self.slots.len() {
            self.resize(self.slots.len() / 4);
        }
    }

    /// Sequential over the old slots and, since homes keep their order, nearly so over the new ones.
    fn resize(&mut self, count: usize) {
        let old = std::mem::replace(&mut self.slots, vec![FREE_SLOT; count.max(FIRST)].into());
        old.iter().filter(|slot| slot.number != FREE).for_each(|&slot| put(&mut self.slots, slot));
    }
}

fn put(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut at = slot.hash as usize & mask;
    while slots[at].number != FREE {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_agrees_with_a_map_also_when_hashes_collide(
            // Few hashes, some at the end of the table, so that runs are long and wrap.
            changes in proptest::collection::vec((any::<bool>(), 0..60_u32), 1..400),
            spread in prop_oneof![Just(1_u32), Just(3), Just(0x9E37_79B9)],
        ) {
            let hash = |number: u32| (number % 7).wrapping_mul(spread).wrapping_sub(2);
            let (mut probe, mut plain) = (Probe::default(), BTreeMap::new());
            for (insert, number) in changes {
                if insert {
                    if plain.insert(number, ()).is_none() {
                        probe.insert(hash(number), number);
                    }
                } else {
                    plain.remove(&number);
                    probe.remove(hash(number), number);
                }
                prop_assert_eq!(probe.len, plain.len());
                for number in 0..60 {
                    let found = probe.find(hash(number), |found| found == number);
                    prop_assert_eq!(found.is_some(), plain.contains_key(&number));
                }
            }
            let rest: Vec<_> = plain.into_keys().collect();
            for number in rest {
                probe.remove(hash(number), number);
            }
            prop_assert_eq!(probe.len, 0);
            prop_assert!(probe.slots.len() <= FIRST * 4);
        }
    }
}
