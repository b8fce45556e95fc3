//! Filters without wildcards: one hash table by the whole text.
use super::audience::Subs;
use super::hash::Seed;
use super::probe::Probe;
use super::text::Text;
use slab::Slab;

/// Topics up to this long lie inside their entry: most of them, at 48 bytes an entry.
const INLINE: usize = 38;

struct Exact {
    topic: Text<INLINE>,
    subs: Subs,
}

#[derive(Default)]
pub(super) struct ExactTable {
    table: Probe,
    entries: Slab<Exact>,
}

impl ExactTable {
    #[inline]
    pub(super) fn find(&self, topic: &str, seed: &Seed) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        self.table.find(seed.hash32(topic), |index| self.entries[index as usize].topic.is(topic))
    }

    /// The entry of `topic`, made when there is none; the caller puts a subscriber into it.
    pub(super) fn insert(&mut self, topic: &str, seed: &Seed) -> u32 {
        if let Some(index) = self.find(topic, seed) {
            return index;
        }
        let index = self.entries.insert(Exact { topic: Text::new(topic), subs: Subs::None }) as u32;
        self.table.insert(seed.hash32(topic), index);
        index
    }

    pub(super) fn remove(&mut self, index: u32, seed: &Seed) {
        let Some(entry) = self.entries.try_remove(index as usize) else { return };
        self.table.remove(seed.hash32(entry.topic.as_str()), index);
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
        self.entries.get(index as usize).map(|entry| entry.topic.as_str())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Slots to look at for a listing, free ones among them.
    pub(super) fn slots(&self) -> usize {
        self.entries.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_filter_takes_48_bytes() {
        assert_eq!(size_of::<Exact>(), 48);
    }
}
