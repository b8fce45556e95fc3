//! The routes against the plain comparison of every filter with every topic.
use super::*;
use crate::topic::{TopicFilter, TopicNameRef};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn filter(text: &str) -> TopicFilterRef<'_> {
    TopicFilterRef::new(text).unwrap()
}

fn topic(text: &str) -> TopicNameRef<'_> {
    TopicNameRef::new(text).unwrap()
}

fn matched(routes: &Routes, text: &str) -> Vec<(u32, QoS)> {
    let mut out = Matches::new();
    routes.matches(topic(text), &mut out);
    let mut found: Vec<_> = out.direct().iter().map(|found| (found.key.0, found.qos)).collect();
    found.sort();
    found
}

fn merged(routes: &Routes, text: &str) -> Vec<(u32, QoS)> {
    let mut out = Matches::new();
    routes.matches(topic(text), &mut out);
    out.merge_overlaps();
    let mut found: Vec<_> = out.direct().iter().map(|found| (found.key.0, found.qos)).collect();
    found.sort();
    found
}

#[test]
fn overlapping_filters_are_merged_at_the_highest_qos() {
    let mut routes = Routes::new(1);
    for (text, key, qos) in [
        ("a/b", 1, QoS::AtMostOnce),
        ("a/+", 1, QoS::ExactlyOnce),
        ("#", 1, QoS::AtLeastOnce),
        ("a/#", 2, QoS::AtLeastOnce),
        ("+/+", 3, QoS::AtMostOnce),
    ] {
        assert_eq!(routes.subscribe(filter(text), SessionKey(key), qos).replaced, None);
    }
    assert_eq!(matched(&routes, "a/b").len(), 5);
    let once = [(1, QoS::ExactlyOnce), (2, QoS::AtLeastOnce), (3, QoS::AtMostOnce)];
    assert_eq!(merged(&routes, "a/b"), once); // [MQTT-3.3.5-1]
}

#[test]
fn a_crowd_of_overlaps_is_merged_too() {
    let mut routes = Routes::new(1);
    for key in 0..5000 {
        for text in ["a/b", "a/+", "+/b", "#"] {
            let qos = if text == "+/b" && key % 2 == 0 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
            routes.subscribe(filter(text), SessionKey(key), qos);
        }
    }
    assert_eq!(matched(&routes, "a/b").len(), 20_000);
    let expected: Vec<_> =
        (0..5000).map(|key| (key, if key % 2 == 0 { QoS::ExactlyOnce } else { QoS::AtLeastOnce })).collect();
    assert_eq!(merged(&routes, "a/b"), expected);
}

#[test]
fn a_second_subscription_to_the_same_filter_replaces_the_first() {
    // [MQTT-3.8.4-3]
    let mut routes = Routes::new(1);
    for text in ["a/b", "a/+", "$share/g/a/b"] {
        let first = routes.subscribe(filter(text), SessionKey(1), QoS::AtMostOnce);
        let second = routes.subscribe(filter(text), SessionKey(1), QoS::ExactlyOnce);
        assert_eq!((second.filter, second.replaced), (first.filter, Some(QoS::AtMostOnce)));
    }
    assert_eq!((routes.len(), routes.shared_len()), (3, 1));
    assert_eq!(merged(&routes, "a/b"), [(1, QoS::ExactlyOnce)]);
}

#[test]
fn dollar_topics_stay_out_of_leading_wildcards() {
    // [MQTT-4.7.2-1]
    let mut routes = Routes::new(1);
    for (key, text) in (0..).zip(["#", "+/x", "+", "$SYS/#", "$SYS/+", "$SYS/x", "+/#"]) {
        routes.subscribe(filter(text), SessionKey(key), QoS::AtMostOnce);
    }
    let keys = |text| matched(&routes, text).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("$SYS/x"), [3, 4, 5]);
    assert_eq!(keys("$SYS"), [3]);
    assert_eq!(keys("$other"), [0; 0]);
    assert_eq!(keys("a/x"), [0, 1, 6]);
}

#[test]
fn a_topic_deeper_than_every_filter_matches_only_hashes() {
    let mut routes = Routes::new(1);
    for (key, text) in (0..).zip(["a/+", "a/#", "+/b/#", "a/+/+"]) {
        routes.subscribe(filter(text), SessionKey(key), QoS::AtMostOnce);
    }
    let deep = format!("a/b{}", "/x".repeat(30_000));
    let keys: Vec<_> = matched(&routes, &deep).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [1, 2]);
}

#[test]
fn shared_groups_take_turns_and_prefer_who_is_online() {
    let mut routes = Routes::new(1);
    for key in 0..3 {
        routes.subscribe(filter("$share/g/t/+"), SessionKey(key), QoS::AtLeastOnce);
    }
    routes.subscribe(filter("$share/h/t/x"), SessionKey(9), QoS::AtMostOnce);
    routes.subscribe(filter("t/x"), SessionKey(5), QoS::AtMostOnce);
    let mut out = Matches::new();
    routes.matches(topic("t/x"), &mut out);
    assert_eq!(out.direct().len(), 1);
    assert_eq!(out.groups().len(), 2);
    let g = *out.groups().iter().find(|group| routes.filter_text(group.filter).unwrap() == "t/+").unwrap();
    let mut pick = |online: fn(SessionKey) -> bool| routes.pick(g, online).unwrap().key.0;
    assert_eq!([pick(|_| true), pick(|_| true), pick(|_| true), pick(|_| true)], [0, 1, 2, 0]);
    assert_eq!([pick(|key| key.0 == 0), pick(|key| key.0 == 0)], [0, 0]);
    // Nobody online: still in turn, so that queues fill evenly.
    assert_eq!([pick(|_| false), pick(|_| false), pick(|_| false)], [1, 2, 0]);
    for key in 0..3 {
        assert!(routes.unsubscribe(filter("$share/g/t/+"), SessionKey(key)));
    }
    assert_eq!(routes.pick(g, |_| true), None);
    assert_eq!(routes.shared_len(), 1);
}

#[test]
fn a_large_sleeping_group_is_asked_in_portions() {
    let mut routes = Routes::new(1);
    let count = 3 * GROUP_SCAN_MAX as u32;
    for key in 0..count {
        routes.subscribe(filter("$share/g/t"), SessionKey(key), QoS::AtLeastOnce);
    }
    let mut out = Matches::new();
    routes.matches(topic("t"), &mut out);
    let group = out.groups()[0];
    let awake = SessionKey(count - 1);
    let mut asked = 0;
    let picked: Vec<_> = (0..3)
        .map(|_| {
            let online = |key| {
                asked += 1;
                key == awake
            };
            routes.pick(group, online).unwrap().key
        })
        .collect();
    assert_eq!(asked, count);
    assert_eq!(picked, [SessionKey(0), SessionKey(GROUP_SCAN_MAX as u32), awake]);
}

#[test]
fn ids_name_filters_and_end_subscriptions() {
    let mut routes = Routes::new(1);
    for text in ["a/b", "a/+/c", "a/#", "#", "+", "/", "//+", "a/long level of more than twenty-two bytes/+"]
    {
        let id = routes.subscribe(filter(text), SessionKey(7), QoS::AtMostOnce).filter;
        assert_eq!(routes.filter_text(id).as_deref(), Some(text));
        assert!(!routes.unsubscribe_id(id, SessionKey(8)));
        assert!(routes.unsubscribe_id(id, SessionKey(7)));
        assert!(!routes.unsubscribe_id(id, SessionKey(7)));
        assert_eq!(routes.sizes(), (0, 0), "{text}");
    }
}

#[test]
fn listing_sees_every_subscription_within_its_budget() {
    let mut routes = Routes::new(1);
    let mut expected = Vec::new();
    for key in 0..50 {
        for text in
            [format!("site/{key}/x"), format!("site/{key}/+"), "all/#".into(), "$share/g/all/#".into()]
        {
            routes.subscribe(filter(&text), SessionKey(key), QoS::AtMostOnce);
            expected.push((text, key));
        }
    }
    let (mut cursor, mut listed, mut rounds) = (ListCursor::default(), Vec::new(), 0);
    loop {
        let mut visited = 0;
        let done = routes.list(&mut cursor, 7, |text, members| {
            visited += 1;
            for (group, key, _) in members {
                let text = group.map_or(text.to_owned(), |group| format!("$share/{group}/{text}"));
                listed.push((text, key.0));
            }
        });
        assert!(visited <= 7);
        rounds += 1;
        if done {
            break;
        }
    }
    assert!(rounds > 10);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn sixteen_levels_of_x_and_plus_all_match() {
    // hostile M21, at a size for every test run: 2^12 filters
    let mut routes = Routes::new(1);
    for bits in 0..1_u32 << 12 {
        let text: Vec<_> = (0..12).map(|bit| if bits >> bit & 1 == 0 { "x" } else { "+" }).collect();
        routes.subscribe(filter(&text.join("/")), SessionKey(bits % 66), QoS::AtMostOnce);
    }
    let text = ["x"; 12].join("/");
    assert_eq!(matched(&routes, &text).len(), 1 << 12);
    assert_eq!(merged(&routes, &text).len(), 66);
}

/// What a subscription is, to the oracle.
type Oracle = BTreeMap<(TopicFilter, u32), QoS>;

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just(""),
        Just("$s"),
        Just("a level that is longer than a node's room")
    ]
}

fn any_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    (proptest::collection::vec(level, 0..5), any::<bool>(), 0..6)
        .prop_map(|(mut levels, hash, share)| {
            if hash {
                levels.push("#");
            }
            let text = levels.join("/");
            match share {
                0 => format!("$share/g/{text}"),
                1 => format!("$share/h/{text}"),
                _ => text,
            }
        })
        .prop_filter("a filter", |text| TopicFilterRef::new(text).is_ok())
}

fn any_topic() -> impl Strategy<Value = String> {
    proptest::collection::vec(level(), 1..6)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic", |text| TopicNameRef::new(text).is_ok())
}

fn any_qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn agree(routes: &Routes, oracle: &Oracle, text: &str) -> Result<(), TestCaseError> {
    let name = topic(text);
    let wanted = oracle.iter().filter(|((filter, _), _)| filter.matches(name));
    let (shared, direct): (Vec<_>, Vec<_>) =
        wanted.partition(|((filter, _), _)| filter.as_filter().group().is_some());
    let mut expected: Vec<_> = direct.iter().map(|((_, key), qos)| (*key, **qos)).collect();
    expected.sort();
    prop_assert_eq!(matched(routes, text), expected.clone(), "{}", text);

    let mut highest = BTreeMap::new();
    for (key, qos) in expected {
        let best = highest.entry(key).or_insert(qos);
        *best = qos.max(*best);
    }
    prop_assert_eq!(merged(routes, text), highest.into_iter().collect::<Vec<_>>());

    let mut out = Matches::new();
    routes.matches(name, &mut out);
    let mut groups: Vec<_> = shared.iter().map(|((filter, _), _)| filter.as_str()).collect();
    groups.dedup();
    prop_assert_eq!(out.groups().len(), groups.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn routes_agree_with_the_plain_comparison_under_churn(
        changes in proptest::collection::vec((any_filter(), 0..40_u32, any_qos(), 0..3), 1..120),
        topics in proptest::collection::vec(any_topic(), 1..12),
        seed: u64,
    ) {
        let mut routes = Routes::new(seed);
        let mut oracle = Oracle::new();
        for (text, key, qos, action) in &changes {
            let owned = TopicFilter::new(text).unwrap();
            if *action > 0 {
                let subscribed = routes.subscribe(filter(text), SessionKey(*key), *qos);
                prop_assert_eq!(subscribed.replaced, oracle.insert((owned, *key), *qos));
            } else {
                // Either this very pair, or any that exists.
                let victim = match oracle.keys().nth(*key as usize % oracle.len().max(1)) {
                    Some(existing) if key % 2 == 0 => existing.clone(),
                    Some(_) | None => (owned, *key),
                };
                let gone = routes.unsubscribe(victim.0.as_filter(), SessionKey(victim.1));
                prop_assert_eq!(gone, oracle.remove(&victim).is_some());
            }
            prop_assert_eq!(routes.len(), oracle.len());
        }
        for text in &topics {
            agree(&routes, &oracle, text)?;
        }
        let rest: Vec<_> = oracle.keys().cloned().collect();
        for (owned, key) in rest {
            prop_assert!(routes.unsubscribe(owned.as_filter(), SessionKey(key)));
        }
        prop_assert!(routes.is_empty());
        prop_assert_eq!((routes.sizes(), routes.audiences.len(), routes.tree.slots()), ((0, 0), 0, Tree::new().slots()));
    }

    #[test]
    fn a_crowd_at_one_filter_agrees_with_a_map(
        changes in proptest::collection::vec((0..90_u32, any::<bool>(), any_qos()), 1..400),
    ) {
        let mut routes = Routes::new(3);
        let mut oracle = BTreeMap::new();
        for (key, subscribe, qos) in changes {
            if subscribe {
                let replaced = routes.subscribe(filter("a/b"), SessionKey(key), qos).replaced;
                prop_assert_eq!(replaced, oracle.insert(key, qos));
            } else {
                prop_assert_eq!(routes.unsubscribe(filter("a/b"), SessionKey(key)), oracle.remove(&key).is_some());
            }
        }
        prop_assert_eq!(matched(&routes, "a/b"), oracle.into_iter().collect::<Vec<_>>());
    }
}
