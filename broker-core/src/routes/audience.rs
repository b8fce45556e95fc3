//! The subscribers of one filter: mostly one, sometimes 100 000, sometimes shared groups.
use super::SessionKey;
use crate::message::QoS;
use hashbrown::HashTable;
use slab::Slab;

/// A subscriber and what it was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub(super) key: SessionKey,
    pub(super) qos: QoS,
}

/// Subscribers of one filter in eight bytes: the usual single one inline, more of them in [`Audiences`].
#[derive(Debug, Default)]
pub(super) enum Subs {
    #[default]
    None,
    One(Member),
    Many(u32),
}

/// Above this many members a list gets an index; below it, a scan of at most 256 bytes is faster.
const INDEX_FROM: usize = 32;
/// Below this many it is dropped again; the gap keeps a list on the border from building it over and over.
const INDEX_UNTIL: usize = 16;

/// Members of a filter or of a group: a dense list for the fan-out, and an index once it is long.
#[derive(Default)]
pub(super) struct Members {
    list: Vec<Member>,
    index: Option<Box<HashTable<u32>>>,
}

/// Keys are our own slab numbers, not a stranger's choice: mixing is enough.
fn key_hash(key: SessionKey) -> u64 {
    u64::from(key.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Members {
    pub(super) fn as_slice(&self) -> &[Member] {
        &self.list
    }

    fn position(&self, key: SessionKey) -> Option<usize> {
        match &self.index {
            Some(index) => index
                .find(key_hash(key), |&at| self.list[at as usize].key == key)
                .map(|&position| position as usize),
            None => self.list.iter().position(|member| member.key == key),
        }
    }

    /// The QoS that was replaced, if the key was in already.
    fn insert(&mut self, member: Member) -> Option<QoS> {
        if let Some(position) = self.position(member.key) {
            let old = self.list[position].qos;
            self.list[position].qos = member.qos;
            return Some(old);
        }
        let position = self.list.len() as u32;
        self.list.push(member);
        let list = &self.list;
        let hasher = |&at: &u32| key_hash(list[at as usize].key);
        match &mut self.index {
            Some(index) => {
                index.insert_unique(key_hash(member.key), position, hasher);
            }
            None if list.len() > INDEX_FROM => {
                let mut index = HashTable::with_capacity(2 * list.len());
                for (at, member) in (0_u32..).zip(list) {
                    index.insert_unique(key_hash(member.key), at, hasher);
                }
                self.index = Some(Box::new(index));
            }
            None => {}
        }
        None
    }

    fn remove(&mut self, key: SessionKey) -> bool {
        let Some(position) = self.position(key) else { return false };
        let last = self.list.len() - 1;
        if let Some(index) = &mut self.index {
            if let Ok(entry) = index.find_entry(key_hash(key), |&at| at as usize == position) {
                entry.remove();
            }
            let moved = self.list[last].key;
            if let Some(at) = index.find_mut(key_hash(moved), |&at| at as usize == last) {
                *at = position as u32;
            }
        }
        self.list.swap_remove(position);
        if self.list.len() < INDEX_UNTIL {
            self.index = None;
        }
        if self.list.capacity() > 8 && self.list.capacity() > 4 * self.list.len() {
            self.list.shrink_to(2 * self.list.len());
        }
        true
    }
}

/// A group of a shared subscription.
struct Group {
    name: Box<str>,
    members: Members,
    /// Whose turn is next.
    turn: usize,
}

/// Subscribers of a filter that has more than one, or a shared group.
#[derive(Default)]
pub(super) struct Audience {
    direct: Members,
    /// Sorted by name.
    groups: Vec<Group>,
}

impl Audience {
    pub(super) fn direct(&self) -> &[Member] {
        self.direct.as_slice()
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }
}

/// All audiences of more than one.
#[derive(Default)]
pub(super) struct Audiences(Slab<Audience>);

impl Audiences {
    pub(super) fn get(&self, id: u32) -> Option<&Audience> {
        self.0.get(id as usize)
    }

    /// Puts a member in; the QoS that it had before, if it was in.
    pub(super) fn insert(&mut self, subs: &mut Subs, group: Option<&str>, member: Member) -> Option<QoS> {
        let id = match (&mut *subs, group) {
            (Subs::None, None) => {
                *subs = Subs::One(member);
                return None;
            }
            (Subs::One(only), None) if only.key == member.key => {
                return Some(std::mem::replace(&mut only.qos, member.qos));
            }
            (Subs::None, Some(_)) => self.promote(subs, None),
            (Subs::One(only), _) => {
                let only = *only;
                self.promote(subs, Some(only))
            }
            (Subs::Many(id), _) => *id,
        };
        let audience = &mut self.0[id as usize];
        let Some(name) = group else { return audience.direct.insert(member) };
        let at = match audience.groups.binary_search_by(|group| (*group.name).cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                audience
                    .groups
                    .insert(at, Group { name: Box::from(name), members: Members::default(), turn: 0 });
                at
            }
        };
        audience.groups[at].members.insert(member)
    }

    fn promote(&mut self, subs: &mut Subs, only: Option<Member>) -> u32 {
        let mut audience = Audience::default();
        audience.direct.list.extend(only);
        let id = self.0.insert(audience) as u32;
        *subs = Subs::Many(id);
        id
    }

    /// Takes a member out; false when it was not in. Leaves [`Subs::None`] behind the last one.
    pub(super) fn remove(&mut self, subs: &mut Subs, group: Option<&str>, key: SessionKey) -> bool {
        let id = match (&*subs, group) {
            (Subs::One(only), None) if only.key == key => {
                *subs = Subs::None;
                return true;
            }
            (Subs::None | Subs::One(_), _) => return false,
            (Subs::Many(id), _) => *id,
        };
        let audience = &mut self.0[id as usize];
        let removed = match group {
            None => audience.direct.remove(key),
            Some(name) => match audience.groups.binary_search_by(|group| (*group.name).cmp(name)) {
                Ok(at) => {
                    let removed = audience.groups[at].members.remove(key);
                    if audience.groups[at].members.list.is_empty() {
                        audience.groups.remove(at);
                    }
                    removed
                }
                Err(_) => false,
            },
        };
        if audience.groups.is_empty() && audience.direct.list.len() <= 1 {
            *subs = audience.direct.list.first().map_or(Subs::None, |&only| Subs::One(only));
            self.0.remove(id as usize);
            if self.0.is_empty() {
                self.0 = Slab::new(); // gives the memory of a past crowd back
            }
        }
        removed
    }

    /// The next member of a group for which `online` holds, or simply the next one.
    pub(super) fn pick(
        &mut self,
        subs: &Subs,
        group: u32,
        scan_max: usize,
        mut online: impl FnMut(SessionKey) -> bool,
    ) -> Option<Member> {
        let Subs::Many(id) = subs else { return None };
        let group = self.0.get_mut(*id as usize)?.groups.get_mut(group as usize)?;
        let list = group.members.as_slice();
        let count = list.len();
        let start = group.turn % count.max(1);
        let turns = (0..count.min(scan_max)).map(|step| (start + step) % count);
        let chosen = turns.clone().find(|&at| online(list[at].key));
        // With nobody online, those who were asked have had their turn, or the same ones would be asked for ever.
        group.turn = match chosen {
            Some(at) => at + 1,
            None if count > scan_max => start + scan_max,
            None => start + 1,
        };
        list.get(chosen.unwrap_or(start)).copied()
    }

    /// Everyone: group, session, QoS.
    pub(super) fn all<'a>(
        &'a self,
        subs: &'a Subs,
    ) -> impl Iterator<Item = (Option<&'a str>, SessionKey, QoS)> + 'a {
        let (one, many) = match subs {
            Subs::None => (None, None),
            Subs::One(only) => (Some(*only), None),
            Subs::Many(id) => (None, self.get(*id)),
        };
        let direct = many.map(Audience::direct).unwrap_or_default().iter().copied();
        let groups = many.map(|audience| audience.groups.as_slice()).unwrap_or_default().iter();
        let shared = groups.flat_map(|group| {
            group.members.as_slice().iter().map(|member| (Some(&*group.name), member.key, member.qos))
        });
        one.into_iter().chain(direct).map(|member| (None, member.key, member.qos)).chain(shared)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_of_a_filter_take_eight_bytes() {
        assert_eq!(size_of::<Subs>(), 8);
    }

    #[test]
    fn a_long_list_keeps_its_index_right() {
        let mut members = Members::default();
        let member = |key| Member { key: SessionKey(key), qos: QoS::AtMostOnce };
        for key in 0..1000 {
            assert_eq!(members.insert(member(key)), None);
        }
        assert_eq!(members.insert(Member { qos: QoS::ExactlyOnce, ..member(500) }), Some(QoS::AtMostOnce));
        assert!(members.index.is_some());
        for key in (0..1000).step_by(2) {
            assert!(members.remove(SessionKey(key)));
            assert!(!members.remove(SessionKey(key)));
        }
        for key in 0..1000 {
            let found = members.position(SessionKey(key)).map(|at| members.list[at].key);
            assert_eq!(found, (key % 2 == 1).then_some(SessionKey(key)));
        }
        for key in (1..1000).step_by(2) {
            assert!(members.remove(SessionKey(key)));
        }
        assert!(members.list.is_empty() && members.index.is_none() && members.list.capacity() <= 8);
    }
}
