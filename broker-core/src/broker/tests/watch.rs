//! Readers of what is made for readers only.
use super::*;
use crate::acl::Acl;
use crate::broker::watch::READERS_MAX;

const PREFIX: &str = "$SYS/trace/";

fn from(id: &str, clean: bool, remote: &str) -> Connect {
    let credentials = Credentials { remote: remote.parse().ok(), ..Credentials::default() };
    Connect { credentials, ..connect(id, clean) }
}

fn house() -> House {
    let mut house = House::new();
    house.broker.set_watch(PREFIX);
    let local = TopicFilter::new("$SYS/trace/#").unwrap();
    house.broker.set_acl(Acl::default().with_local(vec![local]));
    assert_eq!(house.broker.watched(), Some(Vec::new()));
    house
}

fn watched(house: &mut House) -> Option<Vec<String>> {
    house.broker.watched().map(|rests| rests.iter().map(ToString::to_string).collect())
}

fn granted(house: &mut House, slot: u32, filter: &str) -> bool {
    let filters = vec![SubscribeFilter { filter: TopicFilter::new(filter), qos: Q0 }];
    house.say(slot, ToBroker::Subscribe { packet_id: 7, filters });
    match house.heard(slot).first() {
        Some(FromBroker::Suback { granted, .. }) => granted == &vec![Some(Q0)],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_is_watched_while_a_local_reader_of_it_is_there() {
    let mut house = house();
    house.connect(1, from("a", true, "127.0.0.1:1000"));
    house.connect(2, from("b", false, "[::1]:1000"));
    assert_eq!(watched(&mut house), None);
    assert!(granted(&mut house, 1, "$SYS/trace/d1"));
    assert_eq!(watched(&mut house), Some(vec!["d1".to_owned()]));
    assert!(granted(&mut house, 2, "$SYS/trace/d1"));
    assert!(granted(&mut house, 2, "$SYS/trace/d/2"));
    assert!(granted(&mut house, 2, "t/#"));
    assert_eq!(watched(&mut house), Some(vec!["d/2".to_owned(), "d1".to_owned()]));
    house.unsubscribe(2, "$SYS/trace/d1");
    assert_eq!(watched(&mut house), Some(vec!["d/2".to_owned(), "d1".to_owned()]));
    house.disconnect(1, Ending::Abnormal);
    assert_eq!(watched(&mut house), Some(vec!["d/2".to_owned()]), "a clean session is gone");
    house.disconnect(2, Ending::Clean);
    assert_eq!(watched(&mut house), Some(Vec::new()), "a persistent one reads nothing while it is away");
    house.connect(3, from("b", false, "127.0.0.1:1001"));
    assert_eq!(watched(&mut house), Some(vec!["d/2".to_owned()]));
    house.connect(4, from("b", false, "192.0.2.1:1001"));
    assert_eq!(watched(&mut house), Some(Vec::new()), "it has moved to another machine");
    assert_eq!(watched(&mut house), None);
}

#[test]
fn wildcards_and_topics_elsewhere_watch_nothing() {
    let mut house = house();
    house.connect(1, from("a", true, "127.0.0.1:1000"));
    for filter in ["$SYS/trace/#", "$SYS/trace/+", "$SYS/#", "#", "$SYS/traces", "$SYS/trace/"] {
        assert!(granted(&mut house, 1, filter), "{filter}");
    }
    assert_eq!(watched(&mut house), None);
}

#[test]
fn who_is_elsewhere_is_refused_and_gets_nothing_through_a_wider_filter() {
    let mut house = house();
    house.connect(1, from("a", true, "192.0.2.1:1000"));
    house.connect(2, connect_sn("sn", true));
    house.connect(3, from("b", true, "127.0.0.1:1000"));
    for slot in [1, 2] {
        assert!(!granted(&mut house, slot, "$SYS/trace/d1"));
        assert!(!granted(&mut house, slot, "$share/g/$SYS/trace/d1"));
        assert!(granted(&mut house, slot, "$SYS/#"));
    }
    assert!(granted(&mut house, 3, "$SYS/#"));
    let message = Message::new("$SYS/trace/d1", b"x", Q0, false);
    let House { broker, now, out, .. } = &mut house;
    broker.publish(*now, message, out);
    house.say(3, ToBroker::Credit { bytes: 0 });
    assert_eq!(house.messages(1), Vec::<String>::new());
    assert_eq!(house.messages(2), Vec::<String>::new());
    assert_eq!(house.messages(3), ["$SYS/trace/d1=x/0"]);
    assert_eq!(house.broker.counters().drops.of(DropReason::Denied), 2);
}

#[test]
fn readers_are_limited_and_a_restored_session_is_known() {
    let mut house = house();
    let last = u32::try_from(READERS_MAX).unwrap();
    for slot in 0..=last {
        house.connect(slot, from(&format!("r{slot}"), false, "127.0.0.1:1000"));
        assert_eq!(granted(&mut house, slot, "$SYS/trace/d1"), slot < last, "{slot}");
    }
    assert!(granted(&mut house, 0, "$SYS/trace/d2"), "who reads already may read more");
    assert!(granted(&mut house, last, "t"));
    let mut restored = house.replayed();
    restored.set_watch(PREFIX);
    assert_eq!(restored.watched(), Some(Vec::new()), "nobody is there yet");
    house.broker = restored;
    house.connect(0, from("r0", false, "127.0.0.1:1000"));
    assert_eq!(watched(&mut house), Some(vec!["d1".to_owned(), "d2".to_owned()]));
}
