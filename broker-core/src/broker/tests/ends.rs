//! How sessions end: expiry, eviction, kick, shutdown.
use super::*;

#[test]
fn an_offline_session_ends_after_its_expiry_and_not_before() {
    let mut house =
        House::with(Limits { session_expiry: Some(Duration::from_secs(100)), ..Limits::default() });
    house.connect(1, connect("a", false));
    house.pass(Duration::from_secs(500));
    house.disconnect(1, Ending::Clean);
    house.pass(Duration::from_secs(99));
    assert!(house.connect(2, connect("a", false)), "counted from the disconnect");
    house.disconnect(2, Ending::Clean);
    house.pass(Duration::from_secs(99));
    assert_eq!(house.broker.status().sessions, 1);
    house.pass(Duration::from_secs(1));
    assert_eq!(house.broker.status().sessions, 0);
    assert_eq!(house.broker.counters().sessions_expired, 1);
    house.assert_durable();
}

#[test]
fn the_expiry_counts_over_a_restart_and_a_reload() {
    let mut house =
        House::with(Limits { session_expiry: Some(Duration::from_secs(100)), ..Limits::default() });
    house.connect(1, connect("a", false));
    house.disconnect(1, Ending::Clean);
    house.pass(Duration::from_secs(60));
    let mut later = House::around(house.replayed());
    later.now = house.now;
    later.pass(Duration::from_secs(39));
    assert_eq!(later.broker.status().sessions, 1);
    later.pass(Duration::from_secs(1));
    assert_eq!(later.broker.status().sessions, 0);
    let limits = Limits { session_expiry: Some(Duration::from_secs(30)), ..Limits::default() };
    house.broker.set_limits(house.now, limits, &mut house.out);
    house.pass(Duration::ZERO);
    assert_eq!(house.broker.status().sessions, 0, "60 s are more than 30 s");
}

#[test]
fn the_longest_offline_makes_room() {
    let mut house = House::with(Limits { offline_sessions_max: 2, ..Limits::default() });
    for (slot, id) in ["a", "b", "c"].into_iter().enumerate() {
        house.connect(slot as u32, connect(id, false));
    }
    house.disconnect(0, Ending::Clean);
    house.pass(Duration::from_secs(1));
    house.disconnect(1, Ending::Clean);
    house.connect(10, connect("a", false)); // it came back, so b is the oldest now
    house.pass(Duration::from_secs(1));
    house.disconnect(10, Ending::Clean);
    house.pass(Duration::from_secs(1));
    house.disconnect(2, Ending::Clean);
    let left: Vec<String> = house.broker.sessions(0).map(|view| view.name.as_str().to_owned()).collect();
    assert_eq!(left, ["a", "c"]);
    assert_eq!(house.broker.counters().sessions_evicted, 1);
    house.assert_durable();
    for slot in 100..1100 {
        house.connect(slot, connect("a", false));
        house.disconnect(slot, Ending::Clean);
    }
    assert_eq!(house.broker.status().sessions, 2);
    assert!(house.broker.offline_order.len() < 100, "coming and going leaves nothing behind");
}

#[test]
fn kick_and_close_offline_name_their_session() {
    let mut house = House::new();
    house.client(2, "w");
    house.subscribe(2, "will", Q0);
    let gone = ConnectWill::Set(will("will", "kicked", Q0, false));
    house.connect(1, Connect { will: gone, ..connect("a", false) });
    assert!(!house.broker.close_offline(house.now, &name("a"), &mut house.out), "it has a link");
    assert!(house.broker.kick(house.now, &name("a"), &mut house.out));
    house.sort_out();
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::Kicked)]);
    assert_eq!(house.messages(2), ["will=kicked/0"]);
    assert!(!house.broker.kick(house.now, &name("a"), &mut house.out), "it has none any more");
    assert!(house.broker.close_offline(house.now, &name("a"), &mut house.out));
    house.sort_out();
    assert_eq!(house.broker.status().sessions, 1);
    house.assert_durable();
}

#[test]
fn shutdown_publishes_mqtt_wills_and_lets_sleepers_sleep() {
    let mut house = House::new();
    house.connect(1, connect("keeper", false));
    house.subscribe(1, "will/#", Q1);
    house.disconnect(1, Ending::Clean);
    let set = |topic| ConnectWill::Set(will(topic, "bye", Q1, false));
    house.connect(2, Connect { will: set("will/mqtt"), ..connect("m", false) });
    house.connect(3, Connect { will: set("will/awake"), ..connect_sn("s1", false) });
    house.connect(4, Connect { will: set("will/asleep"), ..connect_sn("s2", true) });
    house.pause(4, 100);
    house.client(5, "c");
    house.broker.shutdown(house.now, &mut house.out);
    house.sort_out();
    for slot in 2..=5 {
        assert_eq!(house.heard(slot), [FromBroker::Closed(CloseReason::Shutdown)], "{slot}");
    }
    assert_eq!(house.broker.status().attached, 0);
    let mut later = House::around(house.replayed());
    later.now = house.now;
    later.connect(1, connect("keeper", false));
    assert_eq!(later.messages(1), ["will/mqtt=bye/1"]);
    later.broker.restored_events(&mut later.out);
    let attached: Vec<(String, bool, bool)> = later
        .out
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            FromBroker::Restored(r) => Some((r.name.as_str().to_owned(), r.attached, r.asleep.is_some())),
            _other => None,
        })
        .collect();
    assert_eq!(attached, [("s1".into(), true, false), ("s2".into(), false, true)]);
    later.pass(Duration::from_secs(100));
    assert_eq!(later.messages(1), ["will/asleep=bye/1"]);
}

#[test]
fn a_stopped_broker_finishes_what_was_cut_into_slices() {
    let mut house = House::with(Limits { slice_deliveries: 2, ..Limits::default() });
    for slot in 0..9 {
        house.client(slot, &format!("c{slot}"));
        house.subscribe(slot, "t", Q0);
    }
    house.publish(0, "t", "last words", Q0);
    house.broker.shutdown(house.now, &mut house.out);
    house.sort_out();
    for slot in 0..9 {
        assert_eq!(house.messages(slot), ["t=last words/0"]);
    }
}

#[test]
fn an_end_drops_and_counts_what_waited() {
    let mut house = House::new();
    house.connect(1, connect("a", false));
    house.subscribe(1, "t", Q1);
    house.disconnect(1, Ending::Clean);
    house.client(2, "p");
    house.publish(2, "t", "1", Q1);
    house.publish(2, "t", "2", Q1);
    assert_eq!(house.broker.status().held_messages, 2);
    house.connect(3, connect("a", true));
    assert_eq!(house.broker.status().held_messages, 0);
    assert_eq!(house.broker.status().held_bytes, 0);
    assert_eq!(house.broker.counters().drops.of(DropReason::SessionEnded), 2);
}
