//! The routes: which sessions want a message on a topic.
//!
//! Filters without wildcards, usually most of them, lie in one hash table by their whole text; the others in a trie
//! of levels. A match looks into the table once and walks the trie level by level without recursion, so its work is
//! bounded by the filters that fit and is the same for a thousand filters and for a million:
//!
//! ```text
//! topic ─┬─► exact table ── hash of the whole topic ──► audience ─┐
//!        └─► trie: literal child, + child, # of each node ────────┴─► Matches ─► merge_overlaps ─► deliveries
//! ```
//! `$`-topics stay out of leading wildcards ([MQTT-4.7.2-1]). Shared subscriptions `$share/<group>/<filter>` live at
//! the same filters; a message goes to one member of each group, in turn. All hashes are seeded by the caller, so
//! that a stranger cannot choose texts that collide.
//!
//! Bounds: the caller limits subscriptions (per session, and sessions) and the levels of a filter
//! ([`crate::topic::TopicLimits`]); nothing here grows by what is published.
mod audience;
mod exact;
mod hash;
mod matches;
mod probe;
mod text;
mod tree;
mod words;

use crate::message::QoS;
use crate::topic::{TopicFilterRef, TopicNameRef};
use audience::{Audiences, Member, Subs};
use exact::ExactTable;
use hash::Seed;
use tree::{Place, Tree};

pub use matches::{GroupMatch, Match, Matches};

/// Members of a shared group that one message asks whether they are online before it takes any: bounds the work for
/// a group whose members all sleep. The next message goes on where this one stopped.
pub const GROUP_SCAN_MAX: usize = 1024;

/// A subscriber: the broker's own number for a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionKey(pub u32);

/// Names a filter as long as it has a subscriber.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FilterId(u32);

/// Where a filter's subscribers are kept; packed into a [`FilterId`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Site {
    Exact(u32),
    Tree(Place),
}

const KIND_SHIFT: u32 = 30;
const INDEX_MASK: u32 = (1 << KIND_SHIFT) - 1;

impl FilterId {
    fn pack(site: Site) -> FilterId {
        let (kind, index) = match site {
            Site::Exact(index) => (0, index),
            Site::Tree(Place { node, below: false }) => (1, node),
            Site::Tree(Place { node, below: true }) => (2, node),
        };
        debug_assert!(index <= INDEX_MASK, "a billion filters do not fit the memory");
        FilterId(kind << KIND_SHIFT | index)
    }

    fn unpack(self) -> Site {
        let index = self.0 & INDEX_MASK;
        match self.0 >> KIND_SHIFT {
            0 => Site::Exact(index),
            kind => Site::Tree(Place { node: index, below: kind == 2 }),
        }
    }
}

/// Result of [`Routes::subscribe`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscribed {
    /// The filter's id.
    pub filter: FilterId,
    /// The QoS of the subscription that this one replaced ([MQTT-3.8.4-3]); `None` for a new one.
    pub replaced: Option<QoS>,
}

/// Where [`Routes::list`] goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListCursor(usize);

/// All subscriptions of the broker.
pub struct Routes {
    exact: ExactTable,
    tree: Tree,
    audiences: Audiences,
    seed: Seed,
    direct: usize,
    shared: usize,
}

impl Routes {
    /// No subscriptions. `seed` should be random and secret.
    pub fn new(seed: u64) -> Self {
        Routes {
            exact: ExactTable::default(),
            tree: Tree::new(),
            audiences: Audiences::default(),
            seed: Seed::new(seed),
            direct: 0,
            shared: 0,
        }
    }

    /// Subscribes `key` to `filter`, or gives an existing subscription a new QoS.
    pub fn subscribe(&mut self, filter: TopicFilterRef<'_>, key: SessionKey, qos: QoS) -> Subscribed {
        let group = filter.group();
        let (site, subs) = if filter.has_wildcard() {
            let place = self.tree.insert(filter.pattern(), &self.seed);
            (Site::Tree(place), self.tree.subs_mut(place))
        } else {
            let index = self.exact.insert(filter.pattern(), &self.seed);
            (Site::Exact(index), self.exact.subs_mut(index))
        };
        let replaced = self.audiences.insert(subs, group, Member { key, qos });
        if replaced.is_none() {
            *self.counter(group) += 1;
        }
        Subscribed { filter: FilterId::pack(site), replaced }
    }

    /// Ends a subscription; false when there was none.
    pub fn unsubscribe(&mut self, filter: TopicFilterRef<'_>, key: SessionKey) -> bool {
        let site = if filter.has_wildcard() {
            self.tree.find(filter.pattern(), &self.seed).map(Site::Tree)
        } else {
            self.exact.find(filter.pattern(), &self.seed).map(Site::Exact)
        };
        site.is_some_and(|site| self.remove(site, filter.group(), key))
    }

    /// Ends a direct (not shared) subscription by the id that [`Routes::subscribe`] gave; false when there was none.
    pub fn unsubscribe_id(&mut self, filter: FilterId, key: SessionKey) -> bool {
        self.remove(filter.unpack(), None, key)
    }

    fn remove(&mut self, site: Site, group: Option<&str>, key: SessionKey) -> bool {
        let subs = match site {
            Site::Exact(index) => self.exact.get_mut(index),
            Site::Tree(place) => self.tree.get_mut(place),
        };
        let Some(subs) = subs else { return false };
        if !self.audiences.remove(subs, group, key) {
            return false;
        }
        if matches!(subs, Subs::None) {
            match site {
                Site::Exact(index) => self.exact.remove(index, &self.seed),
                Site::Tree(place) => self.tree.prune(place.node, &self.seed),
            }
        }
        *self.counter(group) -= 1;
        true
    }

    fn counter(&mut self, group: Option<&str>) -> &mut usize {
        match group {
            Some(_) => &mut self.shared,
            None => &mut self.direct,
        }
    }

    /// Collects every subscription and every shared group that wants a message on `topic`; `out` is emptied first.
    pub fn matches(&self, topic: TopicNameRef<'_>, out: &mut Matches) {
        out.clear();
        if let Some(index) = self.exact.find(topic.as_str(), &self.seed) {
            out.add(self.exact.subs(index), FilterId::pack(Site::Exact(index)), &self.audiences);
        }
        self.tree.walk(topic, &self.seed, &self.audiences, out);
    }

    /// Chooses the member of a shared group that gets this message: the next one in turn for which `online` holds,
    /// or, when there is none, simply the next one. `None` only when the group is gone since the match.
    pub fn pick(&mut self, group: GroupMatch, online: impl FnMut(SessionKey) -> bool) -> Option<Match> {
        let subs = match group.filter.unpack() {
            Site::Exact(index) => self.exact.get_mut(index)?,
            Site::Tree(place) => self.tree.get_mut(place)?,
        };
        let member = self.audiences.pick(subs, group.group, GROUP_SCAN_MAX, online)?;
        Some(Match { key: member.key, qos: member.qos, filter: group.filter })
    }

    /// Subscriptions, members of shared groups among them (Mosquitto's `$SYS/broker/subscriptions/count`).
    pub fn len(&self) -> usize {
        self.direct + self.shared
    }

    /// No subscription at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Members of shared groups (Mosquitto's `$SYS/broker/shared_subscriptions/count`).
    pub fn shared_len(&self) -> usize {
        self.shared
    }

    /// Distinct filters without wildcards, and nodes of the trie: what memory goes by.
    pub fn sizes(&self) -> (usize, usize) {
        (self.exact.len(), self.tree.len())
    }

    /// The text of a filter without its group, as long as it has a subscriber.
    pub fn filter_text(&self, filter: FilterId) -> Option<String> {
        match filter.unpack() {
            Site::Exact(index) => self.exact.text(index).map(str::to_owned),
            Site::Tree(place) => self.tree.text(place),
        }
    }

    /// Looks at up to `budget` slots from `cursor` on and calls `visit` with each filter that has subscribers and
    /// with those: group, session, QoS. True when all were seen. Changes between two calls may hide or repeat some.
    pub fn list(
        &self,
        cursor: &mut ListCursor,
        budget: usize,
        mut visit: impl FnMut(&str, &mut dyn Iterator<Item = (Option<&str>, SessionKey, QoS)>),
    ) -> bool {
        let (exact_slots, tree_slots) = (self.exact.slots(), self.tree.slots());
        let end = exact_slots + 2 * tree_slots;
        let stop = cursor.0.saturating_add(budget).min(end);
        for slot in cursor.0..stop {
            let site = match slot.checked_sub(exact_slots) {
                None => Site::Exact(slot as u32),
                Some(slot) => Site::Tree(Place { node: (slot / 2) as u32, below: slot % 2 == 1 }),
            };
            let subs = match site {
                Site::Exact(index) => self.exact.get(index),
                Site::Tree(place) => self.tree.get(place),
            };
            let Some(subs) = subs.filter(|subs| !matches!(subs, Subs::None)) else { continue };
            let text = self.filter_text(FilterId::pack(site)).unwrap_or_default();
            visit(&text, &mut self.audiences.all(subs));
        }
        cursor.0 = stop;
        stop == end
    }
}

#[cfg(test)]
mod tests;
