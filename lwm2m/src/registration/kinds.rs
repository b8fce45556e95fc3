//! [`Kinds`]: a thousand meters of a kind register the same, and one copy of that is kept.
use super::{ObjectList, Refusal, Terms};
use crate::coap::SipKey;
use crate::limits::{ContentLimits, KEPT_TEXT_BYTES_MAX, KEPT_TEXTS};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Values below which nothing is swept.
const SWEEP_MIN: usize = 64;

/// Values in use, each once.
#[derive(Debug)]
struct Shared<T> {
    values: HashTable<Arc<T>>,
    /// So many values are looked through for those that no device has any more.
    sweep_at: usize,
}

impl<T: Eq> Shared<T> {
    fn new() -> Shared<T> {
        Shared { values: HashTable::new(), sweep_at: SWEEP_MIN }
    }

    /// The one copy of this value.
    fn share(&mut self, value: T, hash: impl Fn(&T) -> u64) -> Arc<T> {
        let Shared { values, sweep_at } = self;
        let place = hash(&value);
        if let Some(known) = values.find(place, |known| **known == value) {
            return Arc::clone(known);
        }
        if values.len() >= *sweep_at {
            // At twice what was left last time: a value is looked at twice in its life, more or less.
            values.retain(|value| Arc::strong_count(value) > 1);
            *sweep_at = (2 * values.len()).max(SWEEP_MIN);
            let most = *sweep_at;
            values.shrink_to(most, |value| hash(value));
        }
        let value = Arc::new(value);
        values.insert_unique(place, Arc::clone(&value), |value| hash(value));
        value
    }
}

/// An object list as it came, and what it says.
type Read = (Box<[u8]>, Arc<ObjectList>);

/// What devices register, each once.
#[derive(Debug)]
pub(crate) struct Kinds {
    lists: Shared<ObjectList>,
    terms: Shared<Terms>,
    /// Texts read lately, each in the one place that its hash gives it: the devices of a kind send the same text.
    texts: Box<[Option<Read>]>,
    key: SipKey,
}

impl Kinds {
    pub(crate) fn new(key: SipKey) -> Kinds {
        let texts = std::iter::repeat_with(|| None).take(KEPT_TEXTS).collect();
        Kinds { lists: Shared::new(), terms: Shared::new(), texts, key }
    }

    /// Reads an object list, unless the same text was read before.
    pub(crate) fn read_list(
        &mut self,
        text: &[u8],
        limits: &ContentLimits,
    ) -> Result<Arc<ObjectList>, Refusal> {
        let place = self.key.hash_bytes(text) as usize % KEPT_TEXTS;
        if let Some(Some((known, list))) = self.texts.get(place)
            && **known == *text
        {
            return Ok(Arc::clone(list));
        }
        let list = self.share_list(ObjectList::parse(text, limits)?);
        if text.len() <= KEPT_TEXT_BYTES_MAX
            && let Some(kept) = self.texts.get_mut(place)
        {
            *kept = Some((text.into(), Arc::clone(&list)));
        }
        Ok(list)
    }

    /// The one copy of this list.
    fn share_list(&mut self, list: ObjectList) -> Arc<ObjectList> {
        let Kinds { lists, key, .. } = self;
        lists.share(list, |list| key.hash_one(list))
    }

    /// The one copy of these terms, whose list was not read here.
    pub(crate) fn share_restored(&mut self, terms: Terms) -> Arc<Terms> {
        let objects = self.share_list(Arc::unwrap_or_clone(terms.objects));
        self.share(Terms { objects, ..terms })
    }

    /// The one copy of these terms, whose list is one of [`Kinds::read_list`].
    pub(crate) fn share(&mut self, terms: Terms) -> Arc<Terms> {
        let Kinds { terms: known, key, .. } = self;
        known.share(terms, |terms| terms_hash(*key, terms))
    }
}

fn terms_hash(key: SipKey, terms: &Terms) -> u64 {
    let Terms { version, version_is_short: _, lifetime: _, lifetime_asked, queue: _, .. } = terms;
    let Terms { binding, sms, extras, objects, .. } = terms;
    let mut hasher = key.build_hasher();
    hasher.write_u64(*lifetime_asked);
    hasher.write_u32(u32::from(version.major) << 16 | u32::from(version.minor));
    // There is one copy of each list.
    hasher.write_usize(Arc::as_ptr(objects).addr());
    if binding.is_some() || sms.is_some() || !extras.is_empty() {
        (binding, sms, extras).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Version;
    use crate::registration::Lifetime;

    fn kinds() -> Kinds {
        let endpoint =
            crate::coap::Endpoint::<std::net::SocketAddr>::new(crate::coap::Config::default(), [7; 32]);
        Kinds::new(endpoint.table_key())
    }

    fn read(kinds: &mut Kinds, text: &str) -> Arc<ObjectList> {
        kinds.read_list(text.as_bytes(), &ContentLimits::default()).unwrap()
    }

    fn terms(objects: &Arc<ObjectList>, lifetime: u32) -> Terms {
        Terms {
            version: Version::V1_1,
            version_is_short: false,
            lifetime: Lifetime::Seconds(lifetime),
            lifetime_asked: lifetime.into(),
            binding: Some("U".into()),
            queue: false,
            sms: None,
            extras: Box::default(),
            objects: Arc::clone(objects),
        }
    }

    #[test]
    fn equal_lists_are_one_and_unused_ones_go() {
        let mut kinds = kinds();
        let first = read(&mut kinds, "</3/0>,</4/0>");
        assert!(Arc::ptr_eq(&first, &read(&mut kinds, "</3/0>,</4/0>")));
        assert!(Arc::ptr_eq(&first, &read(&mut kinds, "</3/0>, </4/0>")), "another text that says the same");
        assert!(!Arc::ptr_eq(&first, &read(&mut kinds, "</4/0>,</3/0>")), "the order is the device's");
        for n in 0..1_000 {
            read(&mut kinds, &format!("</3303/{n}>"));
        }
        let unused = KEPT_TEXTS + SWEEP_MIN;
        assert!(kinds.lists.values.len() <= 2 * unused, "{}", kinds.lists.values.len());
        assert!(Arc::ptr_eq(&first, &read(&mut kinds, "</3/0>,</4/0>")), "what is used stays");
        let kept: Vec<_> = (0..500).map(|n| read(&mut kinds, &format!("</3304/{n}>"))).collect();
        assert!(kinds.lists.values.len() >= kept.len());
    }

    #[test]
    fn a_text_that_is_no_list_is_refused_each_time_and_a_long_one_is_not_kept() {
        let mut kinds = kinds();
        let limits = ContentLimits::default();
        for _ in 0..2 {
            kinds.read_list(b"</3/0", &limits).unwrap_err();
        }
        let long = format!("</3/0>;title=\"{}\"", "x".repeat(KEPT_TEXT_BYTES_MAX));
        read(&mut kinds, &long);
        assert!(kinds.texts.iter().all(Option::is_none));
        read(&mut kinds, "</3/0>");
        assert_eq!(kinds.texts.iter().flatten().count(), 1);
    }

    #[test]
    fn equal_terms_are_one_and_unused_ones_go() {
        let mut kinds = kinds();
        let (list, other) = (read(&mut kinds, "</3/0>"), read(&mut kinds, "</4/0>"));
        let first = kinds.share(terms(&list, 60));
        assert!(Arc::ptr_eq(&first, &kinds.share(terms(&list, 60))));
        for different in [
            terms(&list, 61),
            terms(&other, 60),
            Terms { binding: None, ..terms(&list, 60) },
            Terms { queue: true, ..terms(&list, 60) },
            Terms { sms: Some("1".into()), ..terms(&list, 60) },
            Terms { extras: [("a".into(), "b".into())].into(), ..terms(&list, 60) },
            Terms { version_is_short: true, ..terms(&list, 60) },
            Terms { version: Version::V1_0, ..terms(&list, 60) },
        ] {
            assert_eq!(*kinds.share(different.clone()), different);
            assert!(!Arc::ptr_eq(&first, &kinds.share(different)));
        }
        (0..1_000).for_each(|n| drop(kinds.share(terms(&list, n))));
        assert!(kinds.terms.values.len() <= 2 * SWEEP_MIN);
        assert!(Arc::ptr_eq(&first, &kinds.share(terms(&list, 60))), "what is used stays");
    }
}
