//! The retained messages (MQTT 3.1.1 §3.3.1.3): one for each topic, in the order of their topics' bytes.
//!
//! A filter with wildcards is answered by leaps through that order: where a topic cannot match, the next one that
//! could is sought, so `site/7/#` costs what it finds and `+/state` one leap for each first level. The search is cut
//! into slices by a budget, and its [`RetainedCursor`] is a place in the order, not in memory: it stays good while
//! messages come and go. What is set behind the cursor is not seen by it; the subscriber gets that live.
//!
//! ```text
//! filter a/+/c      a/b/a ──seek a/b/c──► a/b/c match ─► a/b/d ──seek a/b0──► a/x/c match ─► b ──► done
//! ```
//! What happens when the store is full is the caller's decision: [`Retained::set`] refuses and says which bound.
use crate::message::Message;
use crate::topic::TopicFilterRef;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

/// What can be retained: something that knows its topic and its size.
pub trait HasTopic {
    /// The bytes of a valid topic name. Must never change while the message is retained.
    fn topic_bytes(&self) -> &[u8];
    /// Bytes to count for it, topic and payload.
    fn cost(&self) -> usize;
}

impl HasTopic for Message {
    fn topic_bytes(&self) -> &[u8] {
        Message::topic_bytes(self)
    }

    fn cost(&self) -> usize {
        Message::cost(self)
    }
}

/// Which bound of the retained store is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum RetainedFull {
    /// [`RetainedLimits::messages_max`].
    Messages,
    /// [`RetainedLimits::bytes_max`].
    Bytes,
}

impl fmt::Display for RetainedFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RetainedFull::Messages => "the number of retained messages is at its limit",
            RetainedFull::Bytes => "the bytes of retained messages are at their limit",
        })
    }
}

impl std::error::Error for RetainedFull {}

/// Bounds of the retained store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetainedLimits {
    /// Messages.
    pub messages_max: usize,
    /// Sum of their [`HasTopic::cost`].
    pub bytes_max: usize,
}

/// Never expires.
const NEVER: u64 = u64::MAX;

struct Entry<M> {
    message: M,
    /// Milliseconds of the caller's clock.
    expires: u64,
}

impl<M: HasTopic> Entry<M> {
    fn topic(&self) -> &[u8] {
        self.message.topic_bytes()
    }

    fn is_live(&self, now: u64) -> bool {
        self.expires > now
    }
}

impl<M: HasTopic> Borrow<[u8]> for Entry<M> {
    fn borrow(&self) -> &[u8] {
        self.topic()
    }
}

impl<M: HasTopic> PartialEq for Entry<M> {
    fn eq(&self, other: &Self) -> bool {
        self.topic() == other.topic()
    }
}

impl<M: HasTopic> Eq for Entry<M> {}

impl<M: HasTopic> PartialOrd for Entry<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M: HasTopic> Ord for Entry<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.topic().cmp(other.topic())
    }
}

/// Where a search goes on. Belongs to one filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RetainedCursor {
    /// The least topic not seen yet; `None` before the search began.
    from: Option<Vec<u8>>,
}

/// Retained messages by topic.
pub struct Retained<M> {
    entries: BTreeSet<Entry<M>>,
    limits: RetainedLimits,
    bytes: usize,
    /// Entries with an expiry: without any, there is nothing to sweep.
    expiring: usize,
    /// Where the next sweep begins.
    sweep_from: Vec<u8>,
}

impl<M: HasTopic> Retained<M> {
    /// Nothing retained.
    pub fn new(limits: RetainedLimits) -> Self {
        Retained { entries: BTreeSet::new(), limits, bytes: 0, expiring: 0, sweep_from: Vec::new() }
    }

    /// New bounds. What is stored stays, also when it is more.
    pub fn set_limits(&mut self, limits: RetainedLimits) {
        self.limits = limits;
    }

    /// Retains `message`, in place of the one with its topic, which is returned. `expires` is in milliseconds of the
    /// same clock as the `now` of the other calls; `None` for never. When a bound forbids it, nothing changes.
    pub fn set(&mut self, message: M, expires: Option<u64>) -> Result<Option<M>, RetainedFull> {
        let cost = message.cost();
        let limits = self.limits;
        let room = self.entries.len() < limits.messages_max
            && self.bytes.checked_add(cost).is_some_and(|bytes| bytes <= limits.bytes_max);
        // With room for one more, nothing has to be looked up before.
        if !room {
            let old_cost = self.entries.get(message.topic_bytes()).map(|old| old.message.cost());
            if old_cost.is_none() && self.entries.len() >= limits.messages_max {
                return Err(RetainedFull::Messages);
            }
            let others = self.bytes - old_cost.unwrap_or(0);
            // A smaller message may always replace a larger one.
            if others.saturating_add(cost) > limits.bytes_max && old_cost.is_none_or(|old| cost > old) {
                return Err(RetainedFull::Bytes);
            }
        }
        let expires = expires.unwrap_or(NEVER);
        self.expiring += usize::from(expires != NEVER);
        let old = self.entries.replace(Entry { message, expires });
        self.bytes = self.bytes - old.as_ref().map_or(0, |old| old.message.cost()) + cost;
        Ok(old.map(|old| {
            self.expiring -= usize::from(old.expires != NEVER);
            old.message
        }))
    }

    /// Takes the message of `topic` away (a retained PUBLISH with an empty payload, [MQTT-3.3.1-10]).
    pub fn remove(&mut self, topic: &[u8]) -> Option<M> {
        let old = self.entries.take(topic)?;
        self.bytes -= old.message.cost();
        self.expiring -= usize::from(old.expires != NEVER);
        Some(old.message)
    }

    /// The message of `topic`, unless it has expired.
    pub fn get(&self, topic: &[u8], now: u64) -> Option<&M> {
        self.entries.get(topic).filter(|entry| entry.is_live(now)).map(|entry| &entry.message)
    }

    /// Messages, expired ones that were not swept yet among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is retained.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sum of the costs of all messages.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Calls `visit` with the messages that match the pattern of `filter`, in the order of their topics, from
    /// `cursor` on, and looks at no more than `budget` topics. True when the search is over. `$`-topics stay out of
    /// leading wildcards ([MQTT-4.7.2-1]).
    pub fn matches(
        &self,
        filter: TopicFilterRef<'_>,
        cursor: &mut RetainedCursor,
        now: u64,
        budget: usize,
        mut visit: impl FnMut(&M),
    ) -> bool {
        let pattern = filter.pattern();
        let mut from = cursor.from.take().unwrap_or_else(|| literal_prefix(pattern).as_bytes().to_vec());
        let mut entries = self.entries_from(&from);
        let mut leap = false;
        let mut near = 0;
        for _ in 0..budget {
            let Some(entry) = entries.next() else { return true };
            let topic = entry.topic();
            if leap && topic < from.as_slice() {
                // The target of a leap is often a few topics away, which is cheaper to walk than to seek.
                near += 1;
                if near == NEAR_MAX {
                    entries = self.entries_from(&from);
                    (leap, near) = (false, 0);
                }
                continue;
            }
            (leap, near) = (false, 0);
            match compare(pattern, topic, &mut from) {
                Step::Match if entry.is_live(now) => visit(&entry.message),
                Step::Match | Step::Next => {}
                Step::Seek => {
                    leap = true;
                    continue;
                }
                Step::Done => return true,
            }
            // Not yet seen is what follows this topic at once.
            from.clear();
            from.extend_from_slice(topic);
            from.push(0);
        }
        cursor.from = Some(from);
        false
    }

    /// Calls `visit` with every message from `cursor` on, `$`-topics too, at most `budget` of them. True when all
    /// were seen.
    pub fn list(&self, cursor: &mut RetainedCursor, budget: usize, mut visit: impl FnMut(&M)) -> bool {
        let from = cursor.from.take().unwrap_or_default();
        let mut entries = self.entries_from(&from);
        let mut last = None;
        for _ in 0..budget {
            let Some(entry) = entries.next() else { return true };
            visit(&entry.message);
            last = Some(entry.topic());
        }
        cursor.from = Some(last.map_or(from, after));
        false
    }

    /// Looks at up to `budget` messages, going round, and moves the expired ones to `out`. A search never shows an
    /// expired message; this gives its memory back.
    pub fn sweep(&mut self, now: u64, budget: usize, out: &mut Vec<M>) {
        if self.expiring == 0 {
            return;
        }
        let mut expired: Vec<Vec<u8>> = Vec::new();
        let mut next = Vec::new();
        for (seen, entry) in self.entries_from(&self.sweep_from).enumerate() {
            if seen == budget {
                next.extend_from_slice(entry.topic());
                break;
            }
            if !entry.is_live(now) {
                expired.push(entry.topic().to_vec());
            }
        }
        self.sweep_from = next;
        out.extend(expired.iter().filter_map(|topic| self.remove(topic)));
    }

    fn entries_from(&self, from: &[u8]) -> impl Iterator<Item = &Entry<M>> + use<'_, M> {
        self.entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
    }
}

/// Topics walked over before a leap is done by a search from the top.
const NEAR_MAX: usize = 4;

/// The least byte string after `topic`.
fn after(topic: &[u8]) -> Vec<u8> {
    [topic, &[0]].concat()
}

/// The levels before the first wildcard: no matching topic comes before this text.
fn literal_prefix(pattern: &str) -> &str {
    match pattern.find(['+', '#']) {
        Some(wildcard) => pattern.get(..wildcard.saturating_sub(1)).unwrap_or_default(),
        None => pattern,
    }
}

/// What a topic tells a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// It matches.
    Match,
    /// It does not, and the next one may.
    Next,
    /// Nothing matches before the target.
    Seek,
    /// Nothing behind it matches.
    Done,
}

/// Compares a topic with a pattern. For [`Step::Seek`], `target` becomes the least text that may match.
fn compare(pattern: &str, topic: &[u8], target: &mut Vec<u8>) -> Step {
    let mut seek = |parts: [&[u8]; 3]| {
        target.clear();
        parts.into_iter().for_each(|part| target.extend_from_slice(part));
        Step::Seek
    };
    let dollar = topic.first() == Some(&b'$');
    // Where the present level of the topic begins; `None` behind the last one.
    let mut at = Some(0);
    let mut wanted = pattern.split('/').peekable();
    let mut first = true;
    while let Some(want) = wanted.next() {
        if first && dollar && (want == "#" || want == "+") {
            return seek([b"%", b"", b""]); // [MQTT-4.7.2-1]: % is the next character after $
        }
        first = false;
        if want == "#" {
            return Step::Match; // the parent level too
        }
        let Some(start) = at else { return Step::Next };
        let (before, rest) = topic.split_at_checked(start).unwrap_or((topic, b""));
        let level = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
        if want != "+" && want.as_bytes() != level {
            let want = want.as_bytes();
            // Topics between this one and the next candidate share `before`, and none of them has `want` there.
            return if rest < want {
                seek([before, want, b""])
            } else if wanted.peek().is_some()
                && rest.strip_prefix(want).is_some_and(|tail| tail < b"/".as_slice())
            {
                seek([before, want, b"/"]) // this one is want-x, which sorts before want/
            } else {
                match before.split_last() {
                    Some((_slash, parent)) => seek([parent, b"0", b""]), // 0 is the next character after /
                    None => Step::Done,
                }
            };
        }
        at = (level.len() < rest.len()).then_some(start + level.len() + 1);
    }
    match at {
        None => Step::Match,
        // Too deep: so is everything below this level.
        Some(start) => {
            let parent = topic.get(..start.saturating_sub(1)).unwrap_or_default();
            seek([parent, b"0", b""])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicNameRef;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A message of the tests: topic, and a number as its content.
    #[derive(Clone, PartialEq, Eq, Debug)]
    struct Note(String, u32);

    impl HasTopic for Note {
        fn topic_bytes(&self) -> &[u8] {
            self.0.as_bytes()
        }

        fn cost(&self) -> usize {
            self.0.len() + self.1 as usize
        }
    }

    const WIDE: RetainedLimits = RetainedLimits { messages_max: 1 << 20, bytes_max: 1 << 30 };

    fn retained(topics: &[&str]) -> Retained<Note> {
        let mut retained = Retained::new(WIDE);
        for topic in topics {
            retained.set(Note(topic.to_string(), 1), None).unwrap();
        }
        retained
    }

    fn found(retained: &Retained<Note>, filter: &str, budget: usize) -> Vec<String> {
        let filter = TopicFilterRef::new(filter).unwrap();
        let (mut cursor, mut found) = (RetainedCursor::default(), Vec::new());
        let mut rounds = 0;
        while !retained.matches(filter, &mut cursor, 0, budget, |note| found.push(note.0.clone())) {
            rounds += 1;
            assert!(rounds < 10_000, "the search goes on for ever");
        }
        found
    }

    #[test]
    fn wildcards_find_what_section_4_7_says() {
        let retained = retained(&["$SYS/a", "/", "a", "a-b", "a/", "a/b", "a/b/c", "a/c", "a0", "b/b"]);
        for (filter, topics) in [
            ("#", &["/", "a", "a-b", "a/", "a/b", "a/b/c", "a/c", "a0", "b/b"][..]),
            ("+", &["a", "a-b", "a0"]),
            ("a/#", &["a", "a/", "a/b", "a/b/c", "a/c"]),
            ("a/+", &["a/", "a/b", "a/c"]),
            ("+/b", &["a/b", "b/b"]),
            ("+/+", &["/", "a/", "a/b", "a/c", "b/b"]),
            ("+/b/#", &["a/b", "a/b/c", "b/b"]),
            ("/#", &["/"]),
            ("a/b", &["a/b"]),
            ("$SYS/#", &["$SYS/a"]),
            ("$SYS/+", &["$SYS/a"]),
            ("+/a", &[]),
            ("x/#", &[]),
            ("$share/g/a/+", &["a/", "a/b", "a/c"]),
        ] {
            for budget in [1, 2, 3, 100] {
                assert_eq!(found(&retained, filter, budget), topics, "{filter}, {budget} a slice");
            }
        }
    }

    #[test]
    fn a_search_leaps_over_what_cannot_match() {
        let mut retained = Retained::new(WIDE);
        for a in 0..100 {
            for b in 0..100 {
                retained.set(Note(format!("{a:03}/{b:03}/x"), 1), None).unwrap();
            }
        }
        let looked_at = |filter: &str| {
            let filter = TopicFilterRef::new(filter).unwrap();
            let mut found = 0;
            let budget = (0..20_000).find(|&budget| {
                found = 0;
                retained.matches(filter, &mut RetainedCursor::default(), 0, budget, |_| found += 1)
            });
            (budget.unwrap(), found)
        };
        let (budget, count) = looked_at("042/#");
        assert!(count == 100 && budget < 120, "{budget}");
        let (budget, count) = looked_at("+/050/x");
        assert!(count == 100 && budget < 1500, "{budget}");
        let (budget, count) = looked_at("zzz/+");
        assert!(count == 0 && budget < 5, "{budget}");
    }

    #[test]
    fn replaced_and_removed_messages_come_back() {
        let mut retained = Retained::new(WIDE);
        assert_eq!(retained.set(Note("a".into(), 1), None), Ok(None));
        assert_eq!(retained.set(Note("a".into(), 2), None), Ok(Some(Note("a".into(), 1))));
        assert_eq!((retained.len(), retained.bytes()), (1, 3));
        assert_eq!(retained.get(b"a", 0), Some(&Note("a".into(), 2)));
        assert_eq!(retained.remove(b"a"), Some(Note("a".into(), 2)));
        assert_eq!(retained.remove(b"a"), None);
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }

    #[test]
    fn the_bounds_refuse_and_change_nothing() {
        let mut retained = Retained::new(RetainedLimits { messages_max: 2, bytes_max: 10 });
        retained.set(Note("a".into(), 3), None).unwrap();
        retained.set(Note("b".into(), 3), None).unwrap();
        assert_eq!(retained.set(Note("c".into(), 0), None), Err(RetainedFull::Messages));
        assert_eq!(retained.set(Note("a".into(), 6), None), Err(RetainedFull::Bytes));
        assert_eq!(retained.get(b"a", 0), Some(&Note("a".into(), 3)));
        assert!(retained.set(Note("a".into(), 5), None).is_ok());
        assert_eq!(retained.bytes(), 10);
        // Lower bounds evict nothing, but a message may still shrink.
        retained.set_limits(RetainedLimits { messages_max: 1, bytes_max: 4 });
        assert_eq!(retained.set(Note("a".into(), 6), None), Err(RetainedFull::Bytes));
        assert!(retained.set(Note("a".into(), 4), None).is_ok());
        let mut small = Retained::new(RetainedLimits { messages_max: 9, bytes_max: 4 });
        assert_eq!(small.set(Note("a".into(), u32::MAX), None), Err(RetainedFull::Bytes));
        assert!(small.is_empty());
    }

    #[test]
    fn expired_messages_are_not_shown_and_are_swept_in_slices() {
        let mut retained = Retained::new(WIDE);
        for number in 0..10 {
            let expires = (number % 2 == 0).then_some(1000);
            retained.set(Note(format!("t{number}"), 1), expires).unwrap();
        }
        let all = TopicFilterRef::new("#").unwrap();
        let visible = |retained: &Retained<Note>, now| {
            let mut count = 0;
            assert!(retained.matches(all, &mut RetainedCursor::default(), now, 100, |_| count += 1));
            count
        };
        assert_eq!((visible(&retained, 999), visible(&retained, 1000)), (10, 5));
        assert!(retained.get(b"t0", 999).is_some() && retained.get(b"t0", 1000).is_none());
        let mut gone = Vec::new();
        retained.sweep(999, 100, &mut gone);
        assert!(gone.is_empty());
        for _ in 0..5 {
            retained.sweep(1000, 3, &mut gone);
        }
        assert_eq!((gone.len(), retained.len(), retained.expiring), (5, 5, 0));
        // A new message without expiry takes the old one's away.
        retained.set(Note("t1".into(), 1), Some(5)).unwrap();
        retained.set(Note("t1".into(), 1), None).unwrap();
        retained.sweep(1000, 100, &mut gone);
        assert_eq!(retained.len(), 5);
    }

    #[test]
    fn a_search_goes_on_while_messages_come_and_go() {
        let mut retained = retained(&["a", "b", "c", "d"]);
        let all = TopicFilterRef::new("#").unwrap();
        let (mut cursor, mut seen) = (RetainedCursor::default(), Vec::new());
        assert!(!retained.matches(all, &mut cursor, 0, 2, |note| seen.push(note.0.clone())));
        retained.remove(b"b");
        retained.remove(b"c");
        retained.set(Note("aa".into(), 1), None).unwrap();
        retained.set(Note("bb".into(), 1), None).unwrap();
        assert!(retained.matches(all, &mut cursor, 0, 9, |note| seen.push(note.0.clone())));
        assert_eq!(seen, ["a", "b", "bb", "d"]);
    }

    #[test]
    fn listing_sees_dollar_topics_too() {
        let retained = retained(&["$SYS/a", "a", "b"]);
        let (mut cursor, mut seen) = (RetainedCursor::default(), Vec::new());
        while !retained.list(&mut cursor, 2, |note| seen.push(note.0.clone())) {}
        assert_eq!(seen, ["$SYS/a", "a", "b"]);
    }

    fn level() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("a"), Just("a-"), Just("a0"), Just("b"), Just(""), Just("$s"), Just("%")]
    }

    fn topic() -> impl Strategy<Value = String> {
        proptest::collection::vec(level(), 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("a topic", |text| TopicNameRef::new(text).is_ok())
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![2 => level(), 1 => Just("+")];
        (proptest::collection::vec(level, 0..5), any::<bool>())
            .prop_map(|(mut levels, hash)| {
                if hash {
                    levels.push("#");
                }
                levels.join("/")
            })
            .prop_filter("a filter", |text| TopicFilterRef::new(text).is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn searches_agree_with_the_plain_comparison(
            changes in proptest::collection::vec((topic(), 0..4_u32), 1..80),
            filters in proptest::collection::vec(filter(), 1..10),
            budget in 1..20_usize,
        ) {
            let mut retained: Retained<Note> = Retained::new(WIDE);
            let mut oracle = BTreeMap::new();
            for (topic, number) in changes {
                if number == 0 {
                    let old = retained.remove(topic.as_bytes()).map(|note| note.1);
                    prop_assert_eq!(old, oracle.remove(&topic));
                } else {
                    let old = retained.set(Note(topic.clone(), number), None).unwrap().map(|note| note.1);
                    prop_assert_eq!(old, oracle.insert(topic, number));
                }
            }
            prop_assert_eq!(retained.len(), oracle.len());
            let bytes: usize = oracle.iter().map(|(topic, number)| topic.len() + *number as usize).sum();
            prop_assert_eq!(retained.bytes(), bytes);
            for text in filters {
                let filter = TopicFilterRef::new(&text).unwrap();
                let expected: Vec<_> = oracle
                    .keys()
                    .filter(|topic| filter.matches(TopicNameRef::new(topic).unwrap()))
                    .cloned()
                    .collect();
                prop_assert_eq!(found(&retained, &text, budget), expected, "{}", text);
            }
        }
    }
}
