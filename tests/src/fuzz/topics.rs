//! Topic names and filters, against a matcher that is simple enough to be right.

use broker_core::QoS;
use broker_core::routes::{Matches, Routes, SessionKey};
use broker_core::topic::{TopicFilterRef, TopicNameRef};

/// A topic, U+0000, and up to four filters with U+0000 between them: the table of routes and the filters themselves
/// agree with the simple matcher.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split('\0');
    let topic = parts.next().unwrap_or_default();
    assert_eq!(TopicNameRef::new(topic).is_ok(), is_topic(topic), "{topic:?} as a topic");
    let filters: Vec<&str> = parts.take(4).collect();
    for filter in &filters {
        let read = TopicFilterRef::new(filter);
        if !filter.starts_with("$share/") {
            assert_eq!(read.is_ok(), is_filter(filter), "{filter:?} as a filter");
        }
        if let Ok(read) = read {
            assert!(is_filter(read.pattern()), "{filter:?} has the pattern {:?}", read.pattern());
        }
    }
    let Ok(topic) = TopicNameRef::new(topic) else { return };
    let filters: Vec<TopicFilterRef<'_>> =
        filters.iter().filter_map(|filter| TopicFilterRef::new(filter).ok()).collect();
    let mut routes = Routes::new(7);
    let mut expected = 0;
    for (number, filter) in filters.iter().enumerate() {
        let fits = matches(filter.pattern(), topic.as_str());
        assert_eq!(filter.matches(topic), fits, "{filter:?} and {topic:?}");
        let key = SessionKey(u32::try_from(number).expect("four at most"));
        assert_eq!(routes.subscribe(*filter, key, QoS::AtMostOnce).replaced, None);
        if filter.group().is_none() {
            expected += usize::from(fits);
        }
    }
    let mut found = Matches::default();
    routes.matches(topic, &mut found);
    assert_eq!(found.direct().len(), expected, "{filters:?} and {topic:?}");
    for (number, filter) in filters.iter().enumerate() {
        assert!(routes.unsubscribe(*filter, SessionKey(u32::try_from(number).expect("four at most"))));
    }
    assert!(routes.is_empty());
}

fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= 65_535 && !text.contains(['+', '#', '\0'])
}

/// MQTT §4.7.1: `#` stands last and alone in its level, `+` alone in its level.
fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    !text.is_empty()
        && text.len() <= 65_535
        && !text.contains('\0')
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "#" => at == last,
            "+" => true,
            other => !other.contains(['+', '#']),
        })
}

fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    fits(&filter, &topic)
}

fn fits(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (Some((&"#", _)), _) => true,
        (Some((&want, filter)), Some((&level, topic))) => {
            (want == "+" || want == level) && fits(filter, topic)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
