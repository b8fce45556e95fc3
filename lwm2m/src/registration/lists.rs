//! [`SharedLists`]: a thousand meters of a kind register the same objects, and one list of them is kept.
use super::ObjectList;
use crate::coap::SipKey;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Lists below which nothing is swept.
const SWEEP_MIN: usize = 64;

/// Object lists in use, each once.
#[derive(Debug)]
pub(crate) struct SharedLists {
    lists: HashTable<Arc<ObjectList>>,
    key: SipKey,
    /// So many lists are looked through for those that no device has any more.
    sweep_at: usize,
}

impl SharedLists {
    pub(crate) fn new(key: SipKey) -> SharedLists {
        SharedLists { lists: HashTable::new(), key, sweep_at: SWEEP_MIN }
    }

    /// The one copy of this list.
    pub(crate) fn share(&mut self, list: ObjectList) -> Arc<ObjectList> {
        let SharedLists { lists, key, sweep_at } = self;
        let hash = key.hash_one(&list);
        if let Some(known) = lists.find(hash, |known| **known == list) {
            return Arc::clone(known);
        }
        if lists.len() >= *sweep_at {
            // At twice what was left last time: a list is looked at twice in its life, more or less.
            lists.retain(|list| Arc::strong_count(list) > 1);
            *sweep_at = (2 * lists.len()).max(SWEEP_MIN);
            let most = *sweep_at;
            lists.shrink_to(most, |list| key.hash_one(&**list));
        }
        let list = Arc::new(list);
        lists.insert_unique(hash, Arc::clone(&list), |list| key.hash_one(&**list));
        list
    }

    /// Lists that are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lists.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ContentLimits;

    fn list(text: &str) -> ObjectList {
        ObjectList::parse(text.as_bytes(), &ContentLimits::default()).unwrap()
    }

    #[test]
    fn equal_lists_are_one_and_unused_ones_go() {
        let key = crate::coap::Endpoint::<std::net::SocketAddr>::new(crate::coap::Config::default(), [7; 32])
            .table_key();
        let mut lists = SharedLists::new(key);
        let first = lists.share(list("</3/0>,</4/0>"));
        assert!(Arc::ptr_eq(&first, &lists.share(list("</3/0>,</4/0>"))));
        assert!(!Arc::ptr_eq(&first, &lists.share(list("</4/0>,</3/0>"))), "the order is the device's");
        for n in 0..1_000 {
            lists.share(list(&format!("</3303/{n}>")));
        }
        assert!(lists.len() <= SWEEP_MIN, "{}", lists.len());
        assert!(Arc::ptr_eq(&first, &lists.share(list("</3/0>,</4/0>"))), "what is used stays");
        let kept: Vec<_> = (0..500).map(|n| lists.share(list(&format!("</3304/{n}>")))).collect();
        assert!(lists.len() >= kept.len());
    }
}
