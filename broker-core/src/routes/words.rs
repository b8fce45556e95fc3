//! The texts of levels, each kept once: the trie compares numbers.
use super::hash::{Seed, Slot, spread};
use hashbrown::HashTable;
use slab::Slab;

/// The number of a level's text, as long as a node uses it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WordId(pub(super) u32);

struct Word {
    text: Box<str>,
    uses: u32,
}

#[derive(Default)]
pub(super) struct Words {
    table: HashTable<Slot>,
    entries: Slab<Word>,
}

impl Words {
    /// The number of `text`; `None` when no node uses it, so no literal child can match.
    #[inline]
    pub(super) fn find(&self, text: &str, seed: &Seed) -> Option<WordId> {
        let hash = seed.hash32(text);
        let found = self.table.find(spread(hash), |slot| {
            slot.hash == hash && self.entries.get(slot.index as usize).is_some_and(|word| &*word.text == text)
        });
        found.map(|slot| WordId(slot.index))
    }

    /// One more node uses `text`.
    pub(super) fn acquire(&mut self, text: &str, seed: &Seed) -> WordId {
        if let Some(id) = self.find(text, seed) {
            self.entries[id.0 as usize].uses += 1;
            return id;
        }
        let index = self.entries.insert(Word { text: Box::from(text), uses: 1 }) as u32;
        let hash = seed.hash32(text);
        self.table.insert_unique(spread(hash), Slot { hash, index }, |slot| spread(slot.hash));
        WordId(index)
    }

    /// One node less uses it; the last one frees it.
    pub(super) fn release(&mut self, id: WordId, seed: &Seed) {
        let Some(word) = self.entries.get_mut(id.0 as usize) else { return };
        word.uses -= 1;
        if word.uses > 0 {
            return;
        }
        let hash = seed.hash32(&word.text);
        if let Ok(slot) = self.table.find_entry(spread(hash), |slot| slot.index == id.0) {
            slot.remove();
        }
        self.entries.remove(id.0 as usize);
    }

    pub(super) fn text(&self, id: WordId) -> Option<&str> {
        self.entries.get(id.0 as usize).map(|word| &*word.text)
    }
}
