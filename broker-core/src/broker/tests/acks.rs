//! Packet ids and acknowledgements, the right ones and the wrong ones, over several links.
use super::*;

/// A subscriber on link 1 with this window, and a publisher on link 2.
fn pair(window: u16) -> House {
    let mut house = House::new();
    house.connect(1, Connect { window, credit: u32::MAX, ..connect("s", false) });
    house.subscribe(1, "t/#", Q2);
    house.client(2, "p");
    house
}

fn publish_whole(house: &mut House, topic: &str, payload: &str, qos: QoS) {
    house.publish(2, topic, payload, qos);
    house.say(2, ToBroker::Pubrel(pid(1)));
    house.heard(2);
}

#[test]
fn the_window_bounds_what_is_in_flight_and_acks_open_it() {
    let mut house = pair(2);
    for n in 0..5 {
        house.publish(2, "t/x", &n.to_string(), Q1);
    }
    let first = house.heard(1);
    assert_eq!(first.iter().filter_map(shown).collect::<Vec<_>>(), ["t/x=0/1", "t/x=1/1"]);
    let ids = packet_ids(&first);
    house.say(1, ToBroker::Puback(ids[1])); // out of order is fine
    assert_eq!(house.messages(1), ["t/x=2/1"]);
    house.say(1, ToBroker::Puback(ids[0]));
    assert_eq!(house.messages(1), ["t/x=3/1"]);
    house.say(1, ToBroker::Puback(ids[0])); // a copy frees nothing
    assert_eq!(house.messages(1), Vec::<String>::new());
    assert_eq!(house.broker.counters().acks_unexpected, 1);
    house.assert_durable();
}

#[test]
fn a_wrong_acknowledgement_changes_nothing() {
    let mut house = pair(10); // hostile M27
    house.publish(2, "t/1", "a", Q1);
    publish_whole(&mut house, "t/2", "b", Q2);
    let ids = packet_ids(&house.heard(1));
    house.say(1, ToBroker::Pubrec(ids[0]));
    house.say(1, ToBroker::Pubcomp(ids[0]));
    house.say(1, ToBroker::Puback(ids[1]));
    house.say(1, ToBroker::Pubcomp(ids[1])); // before PUBREC
    house.say(1, ToBroker::Puback(pid(999)));
    house.say(1, ToBroker::Pubcomp(pid(999)));
    house.say(1, ToBroker::Park(pid(999)));
    house.say(1, ToBroker::Reject(pid(999)));
    assert_eq!(house.heard(1), []);
    assert_eq!(house.broker.counters().acks_unexpected, 8);
    house.say(1, ToBroker::Pubrec(pid(999)));
    assert_eq!(house.heard(1), [FromBroker::Pubrel(pid(999))], "lets a client finish what we do not know");
    assert_eq!(house.broker.session(&name("s")).unwrap().in_flight, 2);
    house.say(1, ToBroker::Puback(ids[0]));
    house.say(1, ToBroker::Pubrec(ids[1]));
    house.say(1, ToBroker::Pubrec(ids[1]));
    assert_eq!(house.heard(1), [FromBroker::Pubrel(ids[1]), FromBroker::Pubrel(ids[1])]);
    house.say(1, ToBroker::Puback(ids[1])); // after PUBREC
    assert_eq!(house.broker.session(&name("s")).unwrap().in_flight, 1);
    house.say(1, ToBroker::Pubcomp(ids[1]));
    assert_eq!(house.broker.session(&name("s")).unwrap().in_flight, 0);
    assert_eq!(house.broker.status().held_messages, 0);
    house.assert_durable();
}

#[test]
fn a_new_link_gets_pubrels_in_their_order_then_publishes_in_theirs() {
    let mut house = pair(10);
    for n in 0..4 {
        publish_whole(&mut house, "t/x", &n.to_string(), Q2);
    }
    house.publish(2, "t/x", "4", Q1);
    let ids = packet_ids(&house.heard(1));
    house.say(1, ToBroker::Pubrec(ids[2]));
    house.say(1, ToBroker::Pubrec(ids[0]));
    house.heard(1);
    house.disconnect(1, Ending::Abnormal);
    house.publish(2, "t/x", "5", Q1);
    house.assert_durable();
    // the same from a restarted broker
    let mut later = House::around(house.replayed());
    later.now = house.now;
    for house in [&mut house, &mut later] {
        assert!(house.connect(5, connect("s", false)));
        let events = house.heard(5);
        assert_eq!(events[..2], [FromBroker::Pubrel(ids[2]), FromBroker::Pubrel(ids[0])]); // [MQTT-4.6.0-4]
        let publishes: Vec<String> = events.iter().filter_map(shown).collect();
        assert_eq!(publishes, ["t/x=1/2 dup", "t/x=3/2 dup", "t/x=4/1 dup", "t/x=5/1"]); // [MQTT-4.6.0-1]
        let again = packet_ids(&events);
        assert_eq!(again[..3], [ids[1], ids[3], ids[4]], "[MQTT-4.4.0-1]: the original ids");
        assert!(!ids.contains(&again[3]), "never one in flight");
    }
}

#[test]
fn ids_are_not_used_again_while_in_flight() {
    let mut house = pair(100);
    publish_whole(&mut house, "t/stuck", "a", Q2);
    publish_whole(&mut house, "t/stuck", "b", Q2);
    let stuck = packet_ids(&house.heard(1));
    house.say(1, ToBroker::Pubrec(stuck[1]));
    house.heard(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..70_000 {
        house.publish(2, "t/x", "", Q1);
        house.commits.clear();
        let ids = packet_ids(&house.heard(1));
        house.heard(2);
        assert!(!stuck.contains(&ids[0]), "{ids:?}");
        seen.insert(ids[0]);
        house.say(1, ToBroker::Puback(ids[0]));
    }
    assert_eq!(seen.len(), 65_533, "all others are used");
}

#[test]
fn a_copy_of_a_qos_2_publish_is_stored_once() {
    let mut house = pair(10); // hostile M28
    let limits = Limits { incoming_qos2_max: 32, ..Limits::default() };
    house.broker.set_limits(house.now, limits, &mut house.out);
    for _ in 0..1000 {
        house.publish(2, "t/x", "once", Q2);
    }
    assert!(
        house
            .heard(2)
            .iter()
            .all(|event| matches!(event, FromBroker::Pubrec { outcome: PublishOutcome::Accepted, .. }))
    );
    house.say(2, ToBroker::Pubrel(pid(1)));
    house.say(2, ToBroker::Pubrel(pid(1)));
    assert_eq!(house.heard(2), [FromBroker::Pubcomp(pid(1)), FromBroker::Pubcomp(pid(1))]);
    assert_eq!(house.messages(1), ["t/x=once/2"]);
    // 65,535 ids without PUBREL: a bounded store
    let mut accepted = 0;
    for id in 1..=u16::MAX {
        let message = Message::new("t/x", b"x", Q2, false);
        house.say(2, ToBroker::Publish { packet_id: Some(pid(id)), dup: false, message });
        match house.heard(2)[..] {
            [FromBroker::Pubrec { outcome: PublishOutcome::Accepted, .. }] => accepted += 1,
            [FromBroker::Pubrec { outcome: PublishOutcome::Quota, .. }] => {}
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted, 32);
    assert_eq!(house.broker.counters().qos2_quota, 65_535 - 32);
    assert_eq!(house.broker.session(&name("p")).unwrap().unreleased, 32);
    assert_eq!(house.broker.status().held_messages, 32 + 1);
    house.disconnect(2, Ending::Abnormal);
    assert_eq!(house.broker.status().held_messages, 1, "only the subscriber's");
}

#[test]
fn a_stored_qos_2_message_survives_its_publishers_link_and_the_broker() {
    let mut house = House::new(); // hostile M29
    house.connect(1, connect("p", false));
    house.connect(2, connect("s", false));
    house.subscribe(2, "t", Q2);
    house.publish(1, "t", "x", Q2);
    house.disconnect(1, Ending::Abnormal);
    let mut later = House::around(house.replayed());
    later.now = house.now;
    for house in [&mut house, &mut later] {
        house.connect(2, connect("s", false));
        assert!(house.connect(3, connect("p", false)));
        let message = Message::new("t", b"x", Q2, false);
        house.say(3, ToBroker::Publish { packet_id: Some(pid(1)), dup: true, message });
        house.say(3, ToBroker::Pubrel(pid(1)));
        house.say(3, ToBroker::Pubrel(pid(1)));
        let events = house.heard(3);
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(house.messages(2), ["t=x/2"], "exactly once");
    }
}

#[test]
fn a_rejected_delivery_is_gone_and_counted() {
    let mut house = pair(1);
    house.publish(2, "t/a", "1", Q1);
    house.publish(2, "t/b", "2", Q1);
    let ids = packet_ids(&house.heard(1));
    house.say(1, ToBroker::Reject(ids[0]));
    assert_eq!(house.messages(1), ["t/b=2/1"]);
    assert_eq!(house.broker.counters().drops.of(DropReason::Rejected), 1);
    house.assert_durable();
}

#[test]
fn mqtt_sn_ids_begin_where_nobody_guesses() {
    let first_id = |seed: u64, id: &str| {
        let mut house = House::around(Broker::new(Limits::default(), seed));
        house.connect(1, connect_sn(id, true));
        house.subscribe(1, "t", Q1);
        house.publish(1, "t", "x", Q1);
        packet_ids(&house.heard(1))[0].get()
    };
    let ids: std::collections::BTreeSet<u16> = (0..20).map(|seed| first_id(seed, "a")).collect();
    assert!(ids.len() > 15, "{ids:?}");
}

#[test]
fn the_store_for_mqtt_sn_is_not_bounded_by_the_setting_for_mqtt() {
    let limits = Limits { incoming_qos2_max: 1, incoming_qos2_sn_max: 2, ..Limits::default() };
    let mut house = House::with(limits);
    house.connect(1, connect("m", false));
    house.connect(2, connect_sn("s", false));
    for slot in [1, 2] {
        for id in 1..=3 {
            let message = Message::new("t", b"x", Q2, false);
            house.say(slot, ToBroker::Publish { packet_id: Some(pid(id)), dup: false, message });
        }
    }
    let accepted = |events: Vec<FromBroker>| {
        let accepted = |event: &&FromBroker| {
            matches!(event, FromBroker::Pubrec { outcome: PublishOutcome::Accepted, .. })
        };
        events.iter().filter(accepted).count()
    };
    assert_eq!(accepted(house.heard(1)), 1);
    assert_eq!(accepted(house.heard(2)), 2);
}
