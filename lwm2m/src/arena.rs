//! [`Arena`]: a table of large entries by slot. It grows by pieces, so nothing is ever copied, and an entry costs no
//! more than itself.

/// Entries of one piece.
const PIECE: usize = 64;

/// Entries by slot. A slot is used again after its entry has gone; the memory stays.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    pieces: Vec<Box<[Option<T>; PIECE]>>,
    free: Vec<u32>,
    /// Slots that have been used once.
    used: u32,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Arena<T> {
        Arena { pieces: Vec::new(), free: Vec::new(), used: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.pieces.get(slot / PIECE)?.get(slot % PIECE)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.place(slot)?.as_mut()
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<T>> {
        let slot = slot as usize;
        self.pieces.get_mut(slot / PIECE)?.get_mut(slot % PIECE)
    }

    /// Adds an entry and returns its slot, the one that was left last if there is one.
    pub(crate) fn insert(&mut self, entry: T) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        if self.pieces.len() <= slot as usize / PIECE {
            self.pieces.push(Box::new([const { None }; PIECE]));
        }
        if let Some(place) = self.place(slot) {
            *place = Some(entry);
        }
        slot
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.place(slot)?.take()?;
        self.free.push(slot);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_where_they_are_and_slots_are_used_again() {
        let mut arena = Arena::new();
        let slots: Vec<u32> = (0..200).map(|n| arena.insert(n.to_string())).collect();
        assert_eq!(slots, (0..200).collect::<Vec<_>>());
        assert_eq!(
            (arena.remove(70), arena.remove(70), arena.remove(7)),
            (Some("70".into()), None, Some("7".into()))
        );
        assert_eq!(
            (arena.len(), arena.get(70), arena.get(200), arena.get(u32::MAX)),
            (198, None, None, None)
        );
        assert_eq!(
            (arena.insert("a".into()), arena.insert("b".into()), arena.insert("c".into())),
            (7, 70, 200)
        );
        arena.get_mut(7).unwrap().push('!');
        assert_eq!(arena.get(7).unwrap(), "a!");
        assert_eq!((arena.len(), arena.pieces.len()), (201, 4));
    }
}
