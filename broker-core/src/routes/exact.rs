//! Filters without wildcards: one hash table by the whole text.
use super::audience::Subs;
use super::hash::{Seed, Slot, spread};
use hashbrown::HashTable;
use slab::Slab;

struct Exact {
    topic: Box<str>,
    subs: Subs,
}

#[derive(Default)]
pub(super) struct ExactTable {
    table: HashTable<Slot>,
    entries: Slab<Exact>,
}

impl ExactTable {
    #[inline]
    pub(super) fn find(&self, topic: &str, seed: &Seed) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        let hash = seed.hash32(topic);
        let found = self.table.find(spread(hash), |slot| {
            slot.hash == hash
                && self.entries.get(slot.index as usize).is_some_and(|entry| &*entry.topic == topic)
        });
        found.map(|slot| slot.index)
    }

    /// The entry of `topic`, made when there is none; the caller puts a subscriber into it.
    pub(super) fn insert(&mut self, topic: &str, seed: &Seed) -> u32 {
        if let Some(index) = self.find(topic, seed) {
            return index;
        }
        let index = self.entries.insert(Exact { topic: Box::from(topic), subs: Subs::None }) as u32;
        let hash = seed.hash32(topic);
        self.table.insert_unique(spread(hash), Slot { hash, index }, |slot| spread(slot.hash));
        index
    }

    pub(super) fn remove(&mut self, index: u32, seed: &Seed) {
        let Some(entry) = self.entries.try_remove(index as usize) else { return };
        let hash = seed.hash32(&entry.topic);
        if let Ok(slot) = self.table.find_entry(spread(hash), |slot| slot.index == index) {
            slot.remove();
        }
        if self.entries.is_empty() {
            *self = ExactTable::default(); // gives the memory of a past crowd back
        }
    }

    pub(super) fn subs(&self, index: u32) -> &Subs {
        &self.entries[index as usize].subs
    }

    pub(super) fn subs_mut(&mut self, index: u32) -> &mut Subs {
        &mut self.entries[index as usize].subs
    }

    pub(super) fn get(&self, index: u32) -> Option<&Subs> {
        self.entries.get(index as usize).map(|entry| &entry.subs)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Subs> {
        self.entries.get_mut(index as usize).map(|entry| &mut entry.subs)
    }

    pub(super) fn text(&self, index: u32) -> Option<&str> {
        self.entries.get(index as usize).map(|entry| &*entry.topic)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Slots to look at for a listing, free ones among them.
    pub(super) fn slots(&self) -> usize {
        self.entries.capacity()
    }
}
