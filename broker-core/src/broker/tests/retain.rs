//! Retained messages: what stores them, who gets them, in which portions.
use super::*;

#[test]
fn a_retained_message_is_set_replaced_and_deleted() {
    let mut house = House::new();
    house.client(1, "p");
    house.client(2, "s");
    house.publish_flags(1, "t", "1", Q0, true); // QoS 0 too
    house.publish_flags(1, "t", "2", Q1, true);
    house.subscribe(2, "t", Q1);
    assert_eq!(house.messages(2), ["t=2/1 retain"]);
    house.publish_flags(1, "t", "3", Q1, true);
    assert_eq!(house.messages(2), ["t=3/1"], "a live delivery has no RETAIN ([MQTT-3.3.1-9])");
    house.publish_flags(1, "t", "", Q0, true);
    assert_eq!(house.messages(2), ["t=/0"]);
    house.subscribe(2, "t", Q1);
    assert_eq!(house.messages(2), Vec::<String>::new());
    assert_eq!(house.broker.status().retained, 0);
    house.assert_durable();
}

#[test]
fn each_subscribe_brings_the_retained_messages_again() {
    let mut house = House::new();
    house.client(1, "p");
    house.publish_flags(1, "a/b", "1", Q1, true);
    house.publish_flags(1, "$SYS/x", "forged", Q1, true);
    house.subscribe(1, "a/+", Q0);
    assert_eq!(house.messages(1), ["a/b=1/0 retain"]);
    house.subscribe(1, "a/+", Q1); // [MQTT-3.8.4-3]
    assert_eq!(house.messages(1), ["a/b=1/1 retain"]);
    house.subscribe(1, "$share/g/a/+", Q1);
    assert_eq!(house.messages(1), Vec::<String>::new(), "a shared subscription gets none");
    house.subscribe(1, "#", Q0);
    assert_eq!(house.messages(1), ["a/b=1/0 retain"]);
}

#[test]
fn suback_comes_before_the_retained_messages() {
    let mut house = House::new();
    house.client(1, "p");
    house.publish_flags(1, "a", "1", Q0, true);
    let filters = vec![SubscribeFilter { filter: TopicFilter::new("a"), qos: Q0 }];
    house.say(1, ToBroker::Subscribe { packet_id: 0, filters });
    let events = house.heard(1);
    assert!(matches!(events[0], FromBroker::Suback { packet_id: 0, .. }), "{events:?}");
    assert_eq!(events.len(), 2);
}

#[test]
fn many_retained_messages_come_in_slices_and_at_the_subscribers_pace() {
    let mut house = House::with(Limits { slice_deliveries: 64, queue_messages_max: 10, ..Limits::default() });
    house.client(1, "p");
    for n in 0..1000 {
        house.publish_flags(1, &format!("t/{n:04}"), "x", Q0, true);
    }
    let cost = 7 + DELIVERY_OVERHEAD as u32;
    house.connect(2, Connect { credit: 100 * cost, ..connect("s", true) });
    house.subscribe(2, "t/#", Q1);
    let mut got = house.messages(2);
    assert_eq!(got.len(), 64, "one slice in the call itself");
    while house.deliver(64) {}
    got.extend(house.messages(2));
    assert_eq!(got.len(), 100, "credit ends it, nothing is queued or dropped");
    // one that changed and one that went meanwhile: never an old value after a new one
    house.publish_flags(1, "t/0100", "new", Q0, true);
    assert_eq!(house.messages(2), Vec::<String>::new());
    for _ in 0..50 {
        house.say(2, ToBroker::Credit { bytes: 30 * cost });
        while house.deliver(64) {}
    }
    got.extend(house.messages(2));
    assert_eq!(got.len(), 1001);
    assert_eq!(got.iter().filter(|message| message.contains("retain")).count(), 1000);
    assert_eq!(
        got.iter().filter(|message| message.starts_with("t/0100=")).collect::<Vec<_>>(),
        ["t/0100=new/0", "t/0100=new/0 retain"]
    );
    assert_eq!(house.broker.counters().drops.missed(), 0);
}

#[test]
fn a_full_store_still_delivers() {
    let mut house = House::with(Limits { retained_messages_max: 1, ..Limits::default() });
    house.client(1, "p");
    house.subscribe(1, "#", Q0);
    house.publish_flags(1, "a", "1", Q0, true);
    house.publish_flags(1, "b", "1", Q0, true);
    assert_eq!(house.messages(1), ["a=1/0", "b=1/0"]);
    assert_eq!(house.broker.status().retained, 1);
    assert_eq!(house.broker.counters().drops.of(DropReason::RetainedFull), 1);
    house.publish_flags(1, "a", "", Q0, true);
    house.publish_flags(1, "b", "2", Q0, true);
    assert_eq!(house.broker.status().retained, 1, "a deleted one makes room");
    house.assert_durable();
}

#[test]
fn retained_messages_expire_and_their_end_is_recorded() {
    let limits = Limits { retained_expiry: Some(Duration::from_secs(60)), ..Limits::default() };
    let mut house = House::with(limits);
    house.client(1, "p");
    house.publish_flags(1, "a", "1", Q0, true);
    house.pass(Duration::from_secs(30));
    house.publish_flags(1, "b", "1", Q0, true);
    house.pass(Duration::from_secs(29));
    house.subscribe(1, "#", Q0);
    assert_eq!(house.messages(1), ["a=1/0 retain", "b=1/0 retain"]);
    house.pass(Duration::from_secs(1));
    house.subscribe(1, "#", Q0);
    assert_eq!(house.messages(1), ["b=1/0 retain"]);
    house.pass(Duration::from_secs(2));
    assert_eq!(house.broker.status().retained, 1, "swept");
    assert_eq!(house.broker.counters().retained_expired, 1);
    house.assert_durable();
    let mut later = House::around(house.replayed());
    later.now = house.now;
    later.pass(Duration::from_secs(29));
    assert_eq!(later.broker.status().retained, 0, "its age counts over a restart");
}
