//! The texts of levels, each kept once: the trie compares numbers.
use super::hash::Seed;
use super::probe::Probe;
use super::text::Text;
use slab::Slab;

/// The number of a level's text, as long as a node uses it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WordId(pub(super) u32);

/// Levels up to this long lie inside their entry, of 24 bytes.
const INLINE: usize = 14;

struct Word {
    text: Text<INLINE>,
    uses: u32,
}

#[derive(Default)]
pub(super) struct Words {
    table: Probe,
    entries: Slab<Word>,
}

impl Words {
    /// The number of `text`; `None` when no node uses it, so no literal child can match.
    #[inline]
    pub(super) fn find(&self, text: &str, seed: &Seed) -> Option<WordId> {
        self.table.find(seed.hash32(text), |index| self.entries[index as usize].text.is(text)).map(WordId)
    }

    /// One more node uses `text`.
    pub(super) fn acquire(&mut self, text: &str, seed: &Seed) -> WordId {
        if let Some(id) = self.find(text, seed) {
            self.entries[id.0 as usize].uses += 1;
            return id;
        }
        let index = self.entries.insert(Word { text: Text::new(text), uses: 1 }) as u32;
        self.table.insert(seed.hash32(text), index);
        WordId(index)
    }

    /// One node less uses it; the last one frees it.
    pub(super) fn release(&mut self, id: WordId, seed: &Seed) {
        let Some(word) = self.entries.get_mut(id.0 as usize) else { return };
        word.uses -= 1;
        if word.uses == 0 {
            self.table.remove(seed.hash32(word.text.as_str()), id.0);
            self.entries.remove(id.0 as usize);
        }
    }

    pub(super) fn text(&self, id: WordId) -> Option<&str> {
        self.entries.get(id.0 as usize).map(|word| word.text.as_str())
    }
}
