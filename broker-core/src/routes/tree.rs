//! Filters with wildcards: a trie of levels.
//!
//! ```text
//!   root ──"site"──► node ──"+"──► node ──"temp"──► node     here:  site/+/temp
//!                     └ below: site/#
//! ```
//! A node holds the subscribers of the filter that ends at it (*here*) and of the one that goes on with `#` (*below*),
//! so `#` costs no node. A single literal child is linked directly; several are found through one hash table for all
//! nodes, keyed by parent and word. A node that holds nothing and has no children is removed.
//!
//! A walk goes level by level with all nodes that are still possible, not depth first: the loads of one level do not
//! wait for each other, which halves the time of large trees.
use super::audience::{Audiences, Subs};
use super::hash::Seed;
use super::matches::Matches;
use super::probe::Probe;
use super::words::{WordId, Words};
use super::{FilterId, Site};
use crate::topic::TopicNameRef;
use slab::Slab;

/// Where a filter's subscribers are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: u32,
    /// The filter goes on with `#` behind this node.
    pub(super) below: bool,
}

/// No node.
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
/// The word of `+` children, which is in no table.
const PLUS: WordId = WordId(u32::MAX);

/// Literal children of a node, in four bytes: none, one by its number, or a count of those in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Children(u32);

enum ChildrenKind {
    None,
    One(u32),
    /// This many, in the table. Stays so until the last one goes.
    Many(u32),
}

impl Children {
    const NONE: Children = Children(NONE);
    const MANY: u32 = 1 << 31;

    #[inline]
    fn kind(self) -> ChildrenKind {
        match self.0 {
            NONE => ChildrenKind::None,
            packed if packed & Self::MANY != 0 => ChildrenKind::Many(packed & !Self::MANY),
            child => ChildrenKind::One(child),
        }
    }

    fn many(count: u32) -> Children {
        Children(Self::MANY | count)
    }
}

struct Node {
    word: WordId,
    parent: u32,
    /// The child for `+`.
    plus: u32,
    children: Children,
    here: Subs,
    below: Subs,
}

impl Node {
    fn new(word: WordId, parent: u32) -> Node {
        Node { word, parent, plus: NONE, children: Children::NONE, here: Subs::None, below: Subs::None }
    }

    fn holds_nothing(&self) -> bool {
        matches!(self, Node { plus: NONE, children: Children::NONE, here: Subs::None, below: Subs::None, .. })
    }
}

pub(super) struct Tree {
    nodes: Slab<Node>,
    /// Literal children of nodes that have several, by parent and word.
    edges: Probe,
    words: Words,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::new(PLUS, NONE));
        Tree { nodes, edges: Probe::default(), words: Words::default() }
    }

    #[inline]
    fn node(&self, id: u32) -> &Node {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// The literal child of `parent` for `word`.
    #[inline]
    fn child(&self, parent: u32, children: Children, word: WordId, seed: &Seed) -> Option<u32> {
        match children.kind() {
            ChildrenKind::None => None,
            ChildrenKind::One(child) => (self.node(child).word == word).then_some(child),
            ChildrenKind::Many(_) => self.edges.find(seed.mix(parent, word.0), |child| {
                let node = self.node(child);
                node.parent == parent && node.word == word
            }),
        }
    }

    pub(super) fn find(&self, pattern: &str, seed: &Seed) -> Option<Place> {
        let mut node = ROOT;
        for level in pattern.split('/') {
            node = match level {
                "#" => return Some(Place { node, below: true }),
                "+" => Some(self.node(node).plus).filter(|&plus| plus != NONE)?,
                level => {
                    let word = self.words.find(level, seed)?;
                    self.child(node, self.node(node).children, word, seed)?
                }
            };
        }
        Some(Place { node, below: false })
    }

    /// The place of a filter, made when there is none; the caller puts a subscriber into it.
    pub(super) fn insert(&mut self, pattern: &str, seed: &Seed) -> Place {
        let mut node = ROOT;
        for level in pattern.split('/') {
            node = match level {
                "#" => return Place { node, below: true },
                "+" => self.plus_or_new(node),
                level => {
                    let known = self.words.find(level, seed);
                    let child = known.and_then(|word| self.child(node, self.node(node).children, word, seed));
                    child.unwrap_or_else(|| self.add_child(node, level, seed))
                }
            };
        }
        Place { node, below: false }
    }

    fn plus_or_new(&mut self, parent: u32) -> u32 {
        let plus = self.node(parent).plus;
        if plus != NONE {
            return plus;
        }
        let child = self.nodes.insert(Node::new(PLUS, parent)) as u32;
        self.node_mut(parent).plus = child;
        child
    }

    fn add_child(&mut self, parent: u32, level: &str, seed: &Seed) -> u32 {
        let word = self.words.acquire(level, seed);
        let child = self.nodes.insert(Node::new(word, parent)) as u32;
        let children = match self.node(parent).children.kind() {
            ChildrenKind::None => Children(child),
            ChildrenKind::One(first) => {
                self.add_edge(first, seed);
                self.add_edge(child, seed);
                Children::many(2)
            }
            ChildrenKind::Many(count) => {
                self.add_edge(child, seed);
                Children::many(count + 1)
            }
        };
        self.node_mut(parent).children = children;
        child
    }

    fn add_edge(&mut self, child: u32, seed: &Seed) {
        let &Node { parent, word, .. } = self.node(child);
        self.edges.insert(seed.mix(parent, word.0), child);
    }

    /// Removes `node` and its ancestors as far as they hold nothing.
    pub(super) fn prune(&mut self, mut node: u32, seed: &Seed) {
        // Bounded by the depth of the tree: every round goes one level up.
        while node != ROOT && self.node(node).holds_nothing() {
            let &Node { parent, word, .. } = self.node(node);
            if self.node(parent).plus == node {
                self.node_mut(parent).plus = NONE;
            } else {
                let children = match self.node(parent).children.kind() {
                    ChildrenKind::Many(count) => {
                        self.edges.remove(seed.mix(parent, word.0), node);
                        if count == 1 { Children::NONE } else { Children::many(count - 1) }
                    }
                    ChildrenKind::One(_) | ChildrenKind::None => Children::NONE,
                };
                self.node_mut(parent).children = children;
                self.words.release(word, seed);
            }
            self.nodes.remove(node as usize);
            node = parent;
        }
        if self.nodes.len() == 1 && self.node(ROOT).holds_nothing() {
            *self = Tree::new(); // gives the memory of a past crowd back
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Subs> {
        let node = self.nodes.get(place.node as usize)?;
        Some(if place.below { &node.below } else { &node.here })
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Subs> {
        let node = self.nodes.get_mut(place.node as usize)?;
        Some(if place.below { &mut node.below } else { &mut node.here })
    }

    pub(super) fn subs_mut(&mut self, place: Place) -> &mut Subs {
        let node = self.node_mut(place.node);
        if place.below { &mut node.below } else { &mut node.here }
    }

    /// The text of the filter at `place`.
    pub(super) fn text(&self, place: Place) -> Option<String> {
        let mut levels = if place.below { vec!["#"] } else { Vec::new() };
        let mut id = place.node;
        while id != ROOT {
            let node = self.nodes.get(id as usize)?;
            levels.push(if node.word == PLUS { "+" } else { self.words.text(node.word)? });
            id = node.parent;
        }
        levels.reverse();
        Some(levels.join("/"))
    }

    /// Nodes beside the root.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Slots to look at for a listing, free ones among them.
    pub(super) fn slots(&self) -> usize {
        self.nodes.capacity()
    }

    /// Adds every filter that matches `topic`.
    ///
    /// Each node is visited at most once, since it has one path from the root, and the walk ends where the tree ends,
    /// however many levels the topic has.
    pub(super) fn walk(
        &self,
        topic: TopicNameRef<'_>,
        seed: &Seed,
        audiences: &Audiences,
        out: &mut Matches,
    ) {
        let (mut current, mut next) = out.take_frontiers();
        current.push(ROOT);
        let mut wild = !topic.is_dollar(); // [MQTT-4.7.2-1]
        let mut levels = topic.levels();
        while !current.is_empty() {
            let level = levels.next();
            let mut word = Sought::Unknown;
            for &id in &current {
                let node = self.node(id);
                if wild && !matches!(node.below, Subs::None) {
                    out.add(
                        &node.below,
                        FilterId::pack(Site::Tree(Place { node: id, below: true })),
                        audiences,
                    );
                }
                let Some(level) = level else {
                    let place = Place { node: id, below: false };
                    out.add(&node.here, FilterId::pack(Site::Tree(place)), audiences);
                    continue;
                };
                if wild && node.plus != NONE {
                    next.push(node.plus);
                }
                if node.children == Children::NONE {
                    continue;
                }
                if matches!(word, Sought::Unknown) {
                    word = self.words.find(level, seed).map_or(Sought::Unused, Sought::Known);
                }
                if let Sought::Known(word) = word {
                    next.extend(self.child(id, node.children, word, seed));
                }
            }
            wild = true;
            current.clear();
            std::mem::swap(&mut current, &mut next);
        }
        out.put_frontiers(current, next);
    }
}

/// The word of the level that a walk is at: looked up when the first node has literal children.
#[derive(Clone, Copy)]
enum Sought {
    Unknown,
    /// No filter has this level.
    Unused,
    Known(WordId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_fit_a_cache_line() {
        assert_eq!(size_of::<Node>(), 32);
    }
}
