//! [`Matches`]: who wants a message, and the work space of the search.
use super::audience::{Audiences, Subs};
use super::{FilterId, SessionKey};
use crate::message::QoS;
use hashbrown::HashTable;

/// A subscription that wants the message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Match {
    /// Who.
    pub key: SessionKey,
    /// The QoS that was granted.
    pub qos: QoS,
    /// By which filter.
    pub filter: FilterId,
}

/// A shared group that wants the message; [`super::Routes::pick`] chooses the member. Valid until the next change
/// of the routes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupMatch {
    /// The filter behind `$share/<group>/`.
    pub filter: FilterId,
    pub(super) group: u32,
}

/// The result of a match, kept by the caller and used again, so that a match allocates nothing.
#[derive(Default)]
pub struct Matches {
    direct: Vec<Match>,
    groups: Vec<GroupMatch>,
    filters: usize,
    frontiers: (Vec<u32>, Vec<u32>),
    seen: HashTable<u32>,
}

/// Up to this many matches, looking through the list beats a hash table.
const SCAN_MAX: usize = 16;
/// Entries of work space kept for the next match; the memory of a larger crowd is given back.
const KEPT_MAX: usize = 1 << 16;

impl Matches {
    /// Nothing yet.
    pub fn new() -> Self {
        Matches::default()
    }

    /// Direct subscriptions. Before [`Matches::merge_overlaps`] a session is named once for each of its filters.
    pub fn direct(&self) -> &[Match] {
        &self.direct
    }

    /// Shared groups, each of which gets one copy.
    pub fn groups(&self) -> &[GroupMatch] {
        &self.groups
    }

    pub(super) fn clear(&mut self) {
        self.direct.clear();
        self.groups.clear();
        self.filters = 0;
        if self.direct.capacity() > KEPT_MAX {
            self.direct.shrink_to(KEPT_MAX);
        }
    }

    /// Two empty lists of nodes for a walk.
    #[inline]
    pub(super) fn take_frontiers(&mut self) -> (Vec<u32>, Vec<u32>) {
        std::mem::take(&mut self.frontiers)
    }

    /// Keeps the room of both lists for the next walk.
    #[inline]
    pub(super) fn put_frontiers(&mut self, mut a: Vec<u32>, mut b: Vec<u32>) {
        for list in [&mut a, &mut b] {
            list.clear();
            if list.capacity() > KEPT_MAX {
                *list = Vec::new();
            }
        }
        self.frontiers = (a, b);
    }

    #[inline]
    pub(super) fn add(&mut self, subs: &Subs, filter: FilterId, audiences: &Audiences) {
        match subs {
            Subs::None => {}
            Subs::One(only) => {
                self.filters += 1;
                self.direct.push(Match { key: only.key, qos: only.qos, filter });
            }
            Subs::Many(id) => {
                let Some(audience) = audiences.get(*id) else { return };
                self.filters += 1;
                self.direct.extend(audience.direct().iter().map(|member| Match {
                    key: member.key,
                    qos: member.qos,
                    filter,
                }));
                self.groups
                    .extend((0..audience.group_count() as u32).map(|group| GroupMatch { filter, group }));
            }
        }
    }

    /// Leaves each session once, at the highest QoS of its overlapping filters ([MQTT-3.3.5-1]). Leave this out for
    /// one copy each, which MQTT 3.1.1 §3.3.5 allows too.
    pub fn merge_overlaps(&mut self) {
        if self.filters < 2 {
            return; // one filter names nobody twice
        }
        if self.direct.len() <= SCAN_MAX {
            self.merge_by_scan();
        } else {
            self.merge_by_table();
        }
        self.filters = 1;
    }

    fn merge_by_scan(&mut self) {
        let mut kept = 0;
        for at in 0..self.direct.len() {
            let new = self.direct[at];
            match self.direct[..kept].iter_mut().find(|old| old.key == new.key) {
                Some(old) => keep_higher(old, new),
                None => {
                    self.direct[kept] = new;
                    kept += 1;
                }
            }
        }
        self.direct.truncate(kept);
    }

    fn merge_by_table(&mut self) {
        let hash = |key: SessionKey| u64::from(key.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut kept = 0;
        for at in 0..self.direct.len() {
            let new = self.direct[at];
            let (done, _) = self.direct.split_at_mut(at);
            match self.seen.find(hash(new.key), |&old| done[old as usize].key == new.key) {
                Some(&old) => keep_higher(&mut done[old as usize], new),
                None => {
                    self.direct[kept] = new;
                    let direct = &self.direct;
                    self.seen
                        .insert_unique(hash(new.key), kept as u32, |&old| hash(direct[old as usize].key));
                    kept += 1;
                }
            }
        }
        self.direct.truncate(kept);
        if self.seen.capacity() > KEPT_MAX {
            self.seen = HashTable::new();
        } else {
            self.seen.clear();
        }
    }
}

fn keep_higher(old: &mut Match, new: Match) {
    if new.qos > old.qos {
        *old = new;
    }
}
