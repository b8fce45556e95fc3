//! The topic ids of one client (MQTT-SN §6.5, §6.10, §7.3).
//!
//! Ids rise from 1025 plus an offset that is drawn for each session, so that a late PUBLISH of the client that
//! had this address before names no topic of this one; 0000 and FFFF are never handed out, and no id twice
//! within a session. Whether the client knows an id is remembered for each: after a reconnect it must be told
//! again before its first PUBLISH.

use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{TypedSubscription, memo::Place};
use core::hash::BuildHasher;

/// First normal id: those below are for predefined ones.
pub const FIRST_ID: u16 = 1025;
/// Last normal id; FFFF is reserved (§5.3.11).
pub const LAST_ID: u16 = 0xFFFE;
/// Offsets are drawn below this.
pub const OFFSETS: u16 = 1024;
/// Number of normal ids.
const RANGE: u16 = LAST_ID - FIRST_ID + 1;
/// Up to this many names are searched one by one; beyond, an index is built.
const LINEAR_MAX: usize = 16;

/// No id left, or as many names as one client may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryFull;

/// Who asked for an id first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client, by REGISTER or SUBSCRIBE: it learns the id from our answer.
    Client,
    /// The gateway, for a delivery: the client knows it after its REGACK.
    Gateway,
}

const CLIENT_MADE: u8 = 0b001;
const KNOWN: u8 = 0b010;
const REJECTED: u8 = 0b100;

/// One topic of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: Arc<str>,
    id: u16,
    flags: u8,
}

impl Entry {
    /// The topic name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its id.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The client knows the id in this connection.
    pub fn is_known(&self) -> bool {
        self.flags & KNOWN != 0
    }

    /// The client got the id by its own REGISTER or SUBSCRIBE at some time.
    pub fn is_client_made(&self) -> bool {
        self.flags & CLIENT_MADE != 0
    }

    /// The client refused the id by REGACK: it does not want this topic.
    pub fn is_rejected(&self) -> bool {
        self.flags & REJECTED != 0
    }
}

/// An index from names to positions, for clients with many topics.
#[derive(Debug, Default)]
struct Index {
    hasher: DefaultHashBuilder,
    positions: HashTable<u16>,
}

/// The topic ids of one client, and which subscriptions it made by another id type.
#[derive(Debug)]
pub struct Registry {
    /// In the order of allocation, which is the order of ids from `first` on, around the end of the range.
    entries: Vec<Entry>,
    index: Option<Box<Index>>,
    typed: Vec<TypedSubscription>,
    first: u16,
    /// Distance of the next candidate from `first`; [`RANGE`] when all are used up.
    used: u16,
    /// Bytes of memo written so far, to know when a whole one is due.
    pub(super) memo_bytes: u32,
    pub(super) place: Option<Box<Place>>,
}

impl Registry {
    /// An empty registry whose ids start at `offset` (taken modulo [`OFFSETS`]) above [`FIRST_ID`].
    pub fn new(offset: u16) -> Self {
        Registry::starting_at(FIRST_ID + offset % OFFSETS)
    }

    pub(super) fn starting_at(first: u16) -> Self {
        let first = first.clamp(FIRST_ID, LAST_ID);
        Registry {
            entries: Vec::new(),
            index: None,
            typed: Vec::new(),
            first,
            used: 0,
            memo_bytes: 0,
            place: None,
        }
    }

    /// Where this session's ids begin.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Where the client was when that was noted last, if it ever was.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_deref()
    }

    /// Notes where the client is; false when that is known already.
    pub fn set_place(&mut self, place: Place) -> bool {
        if self.place.as_deref() == Some(&place) {
            return false;
        }
        self.place = Some(Box::new(place));
        true
    }

    /// Number of topics.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no topic.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All topics, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The topic of an id.
    pub fn by_id(&self, id: u16) -> Option<&Entry> {
        self.position(id).and_then(|position| self.entries.get(position))
    }

    /// The id of a topic.
    pub fn by_name(&self, name: &str) -> Option<&Entry> {
        let position = match &self.index {
            None => self.entries.iter().position(|entry| *entry.name == *name),
            Some(index) => {
                let hash = index.hasher.hash_one(name);
                let found = index.positions.find(hash, |&position| {
                    self.entries.get(usize::from(position)).is_some_and(|entry| *entry.name == *name)
                });
                found.map(|&position| usize::from(position))
            }
        };
        position.and_then(|position| self.entries.get(position))
    }

    /// The id for `name`, a new one if it has none; `true` when it is new or changed and the memo must say so.
    ///
    /// `taken` names ids that predefined topics occupy; `max` bounds the topics of this client.
    pub fn register(
        &mut self,
        name: &Arc<str>,
        origin: Origin,
        max: usize,
        taken: impl Fn(u16) -> bool,
    ) -> Result<(u16, bool), RegistryFull> {
        if let Some(id) = self.by_name(name).map(Entry::id) {
            let changed = self.adopt(id, origin);
            return Ok((id, changed));
        }
        if self.entries.len() >= max.min(usize::from(RANGE)) {
            return Err(RegistryFull);
        }
        while self.used < RANGE {
            let id = self.id_at(self.used);
            self.used += 1;
            if !taken(id) {
                let flags = match origin {
                    Origin::Client => CLIENT_MADE | KNOWN,
                    Origin::Gateway => 0,
                };
                self.push(Entry { name: Arc::clone(name), id, flags });
                return Ok((id, true));
            }
        }
        Err(RegistryFull)
    }

    /// The client asked for a topic that has an id already: it will know it from our answer.
    fn adopt(&mut self, id: u16, origin: Origin) -> bool {
        let Some(entry) = self.entry_mut(id) else { return false };
        match origin {
            Origin::Gateway => false,
            Origin::Client => {
                let changed = entry.flags & CLIENT_MADE == 0;
                entry.flags = CLIENT_MADE | KNOWN;
                changed
            }
        }
    }

    /// Takes an id back that the client never heard of. It is not handed out again.
    pub fn forget(&mut self, id: u16) {
        let Some(position) = self.position(id) else { return };
        self.entries.remove(position);
        self.index = None;
        self.index_if_large();
    }

    /// The client has shown that it knows `id` (REGACK, or a PUBLISH of its own with it).
    pub fn mark_known(&mut self, id: u16) {
        if let Some(entry) = self.entry_mut(id) {
            entry.flags |= KNOWN;
        }
    }

    /// The client says that it does not know `id` (PUBACK with "invalid topic id").
    pub fn mark_unknown(&mut self, id: u16) {
        if let Some(entry) = self.entry_mut(id) {
            entry.flags &= !KNOWN;
        }
    }

    /// The client refused `id` by REGACK.
    pub fn mark_rejected(&mut self, id: u16) {
        if let Some(entry) = self.entry_mut(id) {
            entry.flags = (entry.flags | REJECTED) & !KNOWN;
        }
    }

    /// A new connection of a client that may have forgotten its ids (§6.10): each must be told again.
    pub fn mark_all_unknown(&mut self) {
        for entry in &mut self.entries {
            entry.flags &= !(KNOWN | REJECTED);
        }
    }

    /// Ids are not registered again after a reconnect: the client is trusted to know them all, until it says no.
    pub fn mark_all_known(&mut self) {
        for entry in &mut self.entries {
            entry.flags |= KNOWN;
        }
    }

    /// The gateway was started again, but the client was not: it knows what it once asked for.
    pub fn mark_client_made_known(&mut self) {
        for entry in &mut self.entries {
            if entry.is_client_made() {
                entry.flags |= KNOWN;
            }
        }
    }

    /// Whether the client subscribed in this way.
    pub fn has_typed(&self, subscription: TypedSubscription) -> bool {
        self.typed.contains(&subscription)
    }

    /// Subscriptions by predefined id or short name.
    pub fn typed(&self) -> &[TypedSubscription] {
        &self.typed
    }

    /// Notes a subscription by predefined id or short name; `true` when it is new. At most `max` are kept,
    /// beyond that deliveries use another id type.
    pub fn add_typed(&mut self, subscription: TypedSubscription, max: usize) -> bool {
        if self.has_typed(subscription) || self.typed.len() >= max {
            return false;
        }
        self.typed.reserve_exact(1);
        self.typed.push(subscription);
        true
    }

    /// Forgets it again; `true` when it was there.
    pub fn remove_typed(&mut self, subscription: TypedSubscription) -> bool {
        let before = self.typed.len();
        self.typed.retain(|kept| *kept != subscription);
        self.typed.len() != before
    }

    /// A topic as the memo has it. Ids out of order or range are refused: the memo is not ours alone to trust.
    pub(super) fn restore(&mut self, name: Arc<str>, id: u16, client_made: bool) -> bool {
        if !(FIRST_ID..=LAST_ID).contains(&id) {
            return false;
        }
        let flags = if client_made { CLIENT_MADE } else { 0 };
        if let Some(entry) = self.entry_mut(id) {
            entry.flags |= flags;
            return *entry.name == *name;
        }
        let distance = self.distance(id);
        if distance < self.used || self.by_name(&name).is_some() {
            return false;
        }
        self.used = distance + 1;
        self.push(Entry { name, id, flags });
        true
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() < LINEAR_MAX {
            self.entries.reserve_exact(1); // most clients have one or two topics for ever
        }
        self.entries.push(entry);
        match &mut self.index {
            None => self.index_if_large(),
            Some(index) => {
                let position = self.entries.len() - 1;
                if let Some(entry) = self.entries.last() {
                    insert(index, &self.entries, position, &entry.name);
                }
            }
        }
    }

    fn index_if_large(&mut self) {
        if self.entries.len() <= LINEAR_MAX {
            return;
        }
        let mut index = Box::<Index>::default();
        for (position, entry) in self.entries.iter().enumerate() {
            insert(&mut index, &self.entries, position, &entry.name);
        }
        self.index = Some(index);
    }

    fn id_at(&self, distance: u16) -> u16 {
        let offset = (u32::from(self.first - FIRST_ID) + u32::from(distance)) % u32::from(RANGE);
        FIRST_ID + u16::try_from(offset).unwrap_or(0)
    }

    fn distance(&self, id: u16) -> u16 {
        let range = u32::from(RANGE);
        let offset = u32::from(id.saturating_sub(FIRST_ID)) + range - u32::from(self.first - FIRST_ID);
        u16::try_from(offset % range).unwrap_or(0)
    }

    fn position(&self, id: u16) -> Option<usize> {
        if !(FIRST_ID..=LAST_ID).contains(&id) {
            return None;
        }
        let distance = self.distance(id);
        self.entries.binary_search_by_key(&distance, |entry| self.distance(entry.id)).ok()
    }

    fn entry_mut(&mut self, id: u16) -> Option<&mut Entry> {
        let position = self.position(id)?;
        self.entries.get_mut(position)
    }
}

fn insert(index: &mut Index, entries: &[Entry], position: usize, name: &str) {
    let Ok(position) = u16::try_from(position) else { return };
    let Index { hasher, positions } = index;
    positions.insert_unique(hasher.hash_one(name), position, |&other| {
        entries.get(usize::from(other)).map_or(0, |entry| hasher.hash_one(&*entry.name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    fn register(registry: &mut Registry, text: &str) -> Result<(u16, bool), RegistryFull> {
        registry.register(&name(text), Origin::Client, 1000, |_| false)
    }

    #[test]
    fn ids_start_at_1025_and_are_the_same_for_the_same_name() {
        let mut registry = Registry::new(0);
        assert_eq!(register(&mut registry, "a"), Ok((1025, true)));
        assert_eq!(register(&mut registry, "b"), Ok((1026, true)));
        assert_eq!(register(&mut registry, "a"), Ok((1025, false)));
        assert_eq!(registry.by_id(1026).map(|entry| &**entry.name()), Some("b"));
        assert_eq!(registry.by_id(1027), None);
        assert_eq!(registry.by_id(0), None);
        assert_eq!(registry.by_id(0xFFFF), None);
        assert_eq!(Registry::new(1023).first(), 2048);
        assert_eq!(Registry::new(1024).first(), 1025);
    }

    #[test]
    fn the_cap_holds_and_what_was_registered_stays() {
        let mut registry = Registry::new(7);
        for number in 0..1000u16 {
            assert_eq!(register(&mut registry, &number.to_string()), Ok((1032 + number, true)));
        }
        assert_eq!(register(&mut registry, "1000"), Err(RegistryFull));
        for number in 0..1000u16 {
            assert_eq!(register(&mut registry, &number.to_string()), Ok((1032 + number, false)));
            assert_eq!(registry.by_id(1032 + number).map(|e| e.name().to_string()), Some(number.to_string()));
        }
    }

    #[test]
    fn ids_wrap_within_their_range_and_are_never_used_twice() {
        let mut registry = Registry::starting_at(LAST_ID - 1);
        assert_eq!(register(&mut registry, "a"), Ok((0xFFFD, true)));
        assert_eq!(register(&mut registry, "b"), Ok((0xFFFE, true)));
        assert_eq!(register(&mut registry, "c"), Ok((1025, true)), "0000 and FFFF are left out");
        registry.forget(0xFFFE);
        assert_eq!(registry.by_name("b"), None);
        assert_eq!(register(&mut registry, "b"), Ok((1026, true)), "a new id, not the old one");
        assert_eq!(registry.by_id(1025).map(|entry| &**entry.name()), Some("c"));

        let mut registry = Registry::starting_at(FIRST_ID);
        let mut last = 0;
        for number in 0..usize::from(RANGE) {
            let (id, _) = registry
                .register(&name(&number.to_string()), Origin::Client, usize::MAX, |_| false)
                .expect("in range");
            assert!(id > last && id != 0xFFFF);
            last = id;
        }
        assert_eq!(last, LAST_ID);
        assert_eq!(registry.register(&name("x"), Origin::Client, usize::MAX, |_| false), Err(RegistryFull));
    }

    #[test]
    fn ids_of_predefined_topics_are_skipped() {
        let mut registry = Registry::new(0);
        let taken = |id| id == 1025 || id == 1027;
        assert_eq!(registry.register(&name("a"), Origin::Client, 10, taken), Ok((1026, true)));
        assert_eq!(registry.register(&name("b"), Origin::Client, 10, taken), Ok((1028, true)));
        assert_eq!(registry.by_id(1027), None);
        assert_eq!(registry.by_id(1028).map(|entry| &**entry.name()), Some("b"));
    }

    #[test]
    fn what_the_client_knows_is_kept_for_each_id() {
        let mut registry = Registry::new(0);
        let (ours, _) = registry.register(&name("w"), Origin::Gateway, 10, |_| false).expect("room");
        let (theirs, _) = register(&mut registry, "n").expect("room");
        let known = |registry: &Registry, id| registry.by_id(id).expect("there").is_known();
        assert!(!known(&registry, ours) && known(&registry, theirs));
        registry.mark_known(ours);
        assert!(known(&registry, ours));
        registry.mark_all_unknown();
        assert!(!known(&registry, ours) && !known(&registry, theirs));
        registry.mark_client_made_known();
        assert!(!known(&registry, ours) && known(&registry, theirs));
        registry.mark_unknown(theirs);
        assert!(!known(&registry, theirs));
        registry.mark_rejected(ours);
        assert!(registry.by_id(ours).expect("there").is_rejected());
        assert_eq!(register(&mut registry, "w"), Ok((ours, true)), "the client wants it after all");
        assert!(known(&registry, ours) && !registry.by_id(ours).expect("there").is_rejected());
        assert_eq!(register(&mut registry, "w"), Ok((ours, false)));
    }

    #[test]
    fn typed_subscriptions_are_a_bounded_set() {
        let mut registry = Registry::new(0);
        assert!(registry.add_typed(TypedSubscription::Predefined(1), 2));
        assert!(!registry.add_typed(TypedSubscription::Predefined(1), 2));
        assert!(registry.add_typed(TypedSubscription::Short(*b"ab"), 2));
        assert!(!registry.add_typed(TypedSubscription::Predefined(3), 2));
        assert!(registry.remove_typed(TypedSubscription::Predefined(1)));
        assert!(!registry.remove_typed(TypedSubscription::Predefined(1)));
        assert_eq!(registry.typed(), [TypedSubscription::Short(*b"ab")]);
    }
}
