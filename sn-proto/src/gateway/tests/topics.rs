//! Topic ids, predefined topics and short names; SUBSCRIBE and REGISTER (MQTT-SN §6.5, §6.9).

use std::sync::Arc;

use super::world::*;
use crate::config::{Config, Rebind, ShortSuback};
use crate::limits::Limits;
use crate::mountpoint::Mountpoint;
use crate::topics::Predefined;

const HELLO: &str = "/predefined/topic/name/hello";
const NICE: &str = "/predefined/topic/name/nice";

/// Settings with two predefined topics for all, and one for "c1" alone.
pub(super) fn predefined() -> Config {
    let mut predefined = Predefined::default();
    predefined.add(None, 1, HELLO).expect("good");
    predefined.add(None, 2, NICE).expect("good");
    predefined.add(Some("c1"), 3, "own").expect("good");
    Config { predefined: Arc::new(predefined), ..plain() }
}

fn world() -> World {
    let mut w = World::with(predefined());
    w.connect(A, "c1");
    w
}

#[test]
fn t_subscribe_by_name_assigns_an_id_and_ends_with_unsubscribe() {
    let mut w = world();
    w.send(A, "08 12 00 0001 612F62");
    assert_eq!(w.heard(A), ["SUBACK 1025 q0 #1 0"]);
    w.mqtt_publish("a/b", "1", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
    w.send(A, "08 14 00 0002 612F62");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
    w.mqtt_publish("a/b", "2", 1);
    assert!(w.heard(A).is_empty());
}

#[test]
fn t_subscribe_case01_register_and_subscribe_give_the_same_id() {
    let mut w = world();
    let id = w.register(A, "a/b");
    assert_eq!(w.subscribe(A, "a/b", 1), id);
    assert_eq!(w.register(A, "a/b"), id, "asked again, the same again");
    w.send(A, "08 14 00 0002 612F62");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
}

#[test]
fn t_subscribe_case02_register_of_a_predefined_name_gives_an_id_that_works() {
    let mut w = world();
    w.mqtt_subscribe("#");
    assert_eq!(w.register(A, HELLO), 1025, "a normal id, so that type 00 is right");
    w.send(A, "08 0C 00 0401 0000 31");
    w.send(A, "08 0C 00 0001 0000 32"); // the predefined id with type 00
    assert_eq!(w.mqtt_heard(), [format!("{HELLO} 1 q0"), format!("{HELLO} 2 q0")]);
}

#[test]
fn t_subscribe_case03_a_short_name_has_no_id() {
    let mut w = world();
    w.send(A, "07 12 42 0001 7431");
    assert_eq!(w.heard(A), ["SUBACK 0 q2 #1 0"]);
    w.mqtt_publish("t1", "x", 0);
    assert_eq!(w.heard(A), ["PUBLISH st1 q0 x"]);
    w.send(A, "07 14 02 0002 7431");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
    w.mqtt_publish("t1", "x", 0);
    assert!(w.heard(A).is_empty());
}

#[test]
fn a_short_name_in_suback_is_a_setting() {
    let mut w = World::with(Config { suback_short_topic_id: ShortSuback::Name, ..plain() });
    w.connect(A, "c1");
    w.send(A, "07 12 42 0001 7431");
    assert_eq!(w.heard_bytes(A), [hex("08 13 40 7431 0001 00")]);
    w.send(A, "07 12 02 0001 2F23");
    assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 0"], "a filter is no name");
}

#[test]
fn t_subscribe_case04_a_predefined_name_subscribed_by_name_is_delivered_with_a_normal_id() {
    let mut w = world();
    assert_eq!(w.subscribe(A, HELLO, 0), 1025);
    w.mqtt_publish(HELLO, "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
}

#[test]
fn t_subscribe_case05_filters_have_id_0_and_names_ids_in_sequence() {
    let mut w = world();
    assert_eq!(w.subscribe(A, "/a/#", 2), 0);
    assert_eq!(w.subscribe(A, "/+/b", 2), 0);
    assert_eq!(w.subscribe(A, "/a/b", 2), 1025);
    assert_eq!(w.subscribe(A, "/x", 2), 1026);
}

#[test]
fn t_subscribe_case06_register_of_a_filter_is_refused() {
    let mut w = world();
    for (msg_id, name) in [(1, "/a/#"), (2, "/+/b"), (3, "")] {
        w.say(A, register(msg_id, name));
        assert_eq!(w.heard(A), [format!("REGACK 0 #{msg_id} 3")]);
    }
    w.send(A, "08 0A 0000 0004 6100");
    w.send(A, "09 0A 0000 0005 EDA080");
    assert_eq!(w.heard(A), ["REGACK 0 #4 3", "REGACK 0 #5 3"]);
    assert_eq!(w.register(A, "/$sys/rain"), 1025);
}

#[test]
fn t_subscribe_case07_an_unknown_predefined_id_is_refused() {
    let mut w = world();
    w.send(A, "07 12 01 0001 0063");
    assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 2"]);
    w.send(A, "07 14 01 0002 0063");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
}

#[test]
fn t_subscribe_case08_reserved_and_malformed_topics_are_refused() {
    let mut w = world();
    for subscribe in [
        "07 12 03 0001 7431",
        "05 12 20 0001",
        "06 12 01 0001 01",
        "08 12 02 0001 743132",
        "07 12 60 0001 6162",
    ] {
        w.send(A, subscribe);
        assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 3"], "{subscribe}");
    }
    for unsubscribe in ["07 14 03 0001 7431", "05 14 00 0001", "06 14 01 0001 01"] {
        w.send(A, unsubscribe);
        assert_eq!(w.heard(A), ["UNSUBACK #1"], "{unsubscribe}");
    }
}

#[test]
fn t_subscribe_predefined_topic_uses_the_predefined_id_while_it_is_configured() {
    let mut w = world();
    w.send(A, "07 12 21 0001 0001");
    assert_eq!(w.heard(A), ["SUBACK 1 q1 #1 0"]);
    w.mqtt_publish(HELLO, "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH p1 q0 1"]);
    w.send(A, "07 14 01 0002 0001");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
    w.mqtt_publish(HELLO, "2", 0);
    assert!(w.heard(A).is_empty());
    w.gateway.handle_config(w.now, plain());
    w.send(A, "07 12 21 0001 0001");
    assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 2"], "gone from the configuration");
}

#[test]
fn a_clients_own_predefined_topic_is_nobody_elses() {
    let mut w = world();
    w.connect(B, "c2");
    w.send(A, "07 12 01 0001 0003");
    w.send(B, "07 12 01 0001 0003");
    assert_eq!(w.heard(A), ["SUBACK 3 q0 #1 0"]);
    assert_eq!(w.heard(B), ["SUBACK 0 q0 #1 2"]);
    w.mqtt_publish("own", "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH p3 q0 1"]);
}

#[test]
fn a_normal_id_with_type_predefined_works_in_publish_and_subscribe() {
    let mut w = world();
    w.mqtt_subscribe("#");
    w.register(A, "a/b");
    w.send(A, "08 0C 01 0401 0000 31");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q0"]);
    w.send(A, "07 12 01 0001 0401");
    assert_eq!(w.heard(A), ["SUBACK 1025 q0 #1 0"]);
    w.mqtt_publish("a/b", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2"]);
}

#[test]
fn a_predefined_id_that_comes_later_than_a_normal_one_of_its_number_is_told_by_the_type() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    assert_eq!(w.register(A, "a/b"), 1025);
    let mut predefined = Predefined::default();
    predefined.add(None, 1025, "pre/defined").expect("good");
    w.gateway.handle_config(w.now, Config { predefined: Arc::new(predefined), ..plain() });
    w.send(A, "08 0C 00 0401 0000 31");
    w.send(A, "08 0C 01 0401 0000 32");
    w.send(A, "08 0C 61 0401 0000 33");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q0", "pre/defined 2 q0", "pre/defined 3 q0"]);
    w.send(A, "07 12 01 0001 0401");
    assert_eq!(w.heard(A), ["SUBACK 1025 q0 #1 0"]);
    w.mqtt_publish("pre/defined", "4", 0);
    assert_eq!(w.heard(A), ["PUBLISH p1025 q0 4"]);
    assert_eq!(w.register(A, "c/d"), 1026, "and it is not handed out");
}

#[test]
fn the_id_type_of_a_delivery_is_the_one_subscribed_with() {
    let mut w = world();
    w.send(A, "07 12 01 0001 0001");
    assert_eq!(w.subscribe(A, HELLO, 0), 1025);
    w.mqtt_publish(HELLO, "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH p1 q0 1"], "predefined goes before normal");
    assert_eq!(w.subscribe(A, "#", 0), 0);
    w.mqtt_publish("ab", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH sab q0 2"], "two octets need no REGISTER");
    w.mqtt_publish("a", "3", 0);
    assert_eq!(w.heard(A), ["REGISTER 1026 a"], "one octet cannot be short");
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q0 3"]);
    w.mqtt_publish(NICE, "4", 0);
    assert_eq!(w.heard(A), [format!("REGISTER 1027 {NICE}")], "a filter says nothing of predefined ids");
    w.regack(A, 0);
    w.heard(A);
    assert_eq!(w.subscribe(A, "zz", 0), 1028);
    w.mqtt_publish("zz", "5", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1028 q0 5"], "subscribed by name");
    w.send(A, "07 12 02 0001 7A7A");
    w.heard(A);
    w.mqtt_publish("zz", "6", 0);
    assert_eq!(w.heard(A), ["PUBLISH szz q0 6"], "short goes before normal");
}

#[test]
fn subscriptions_by_id_type_survive_a_reconnect() {
    let mut w = World::with(predefined());
    w.connect_with(A, "c1", 0x00, 60);
    w.send(A, "07 12 01 0001 0001");
    w.send(A, "07 12 02 0001 7A7A");
    assert_eq!(w.subscribe(A, "zz", 0), 1025);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.mqtt_publish(HELLO, "1", 0);
    w.mqtt_publish("zz", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH p1 q0 1", "PUBLISH szz q0 2"], "neither needs a REGISTER");
}

#[test]
fn a_client_has_room_for_so_many_topics_and_then_hears_congestion() {
    let mut w = world();
    for number in 0..1000u16 {
        assert_eq!(w.register(A, &format!("{number:05}")), 1025 + number);
    }
    w.say(A, register(1, "one/more"));
    w.send(A, "0A 12 20 0001 7468697321");
    assert_eq!(w.heard(A), ["REGACK 0 #1 1", "SUBACK 0 q0 #1 1"]);
    assert_eq!(w.register(A, "00000"), 1025, "those that are there stay");
    assert_eq!(w.subscribe(A, "#", 1), 0);
    w.mqtt_publish("never/registered", "1", 1);
    w.mqtt_publish("00000", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"], "what has no id is dropped, and stops nothing");
    assert!(w.gateway.counters().registry_full >= 3);
}

#[test]
fn a_memo_over_its_limit_is_congestion_too() {
    let mut w = world();
    w.broker.set_limits(
        w.now,
        broker_core::Limits { memo_bytes_max: 20, ..broker_core::Limits::default() },
        &mut broker_core::Effects::default(),
    );
    assert_eq!(w.register(A, "a/b"), 1025);
    w.say(A, register(2, "this/is/longer/than/the/limit"));
    assert_eq!(w.heard(A), ["REGACK 0 #2 1"]);
    w.subscribe(A, "#", 1);
    w.mqtt_publish("too/long/for/the/memo", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
}

#[test]
fn msg_id_0_is_accepted_everywhere() {
    let mut w = world();
    w.mqtt_subscribe("#");
    w.say(A, register(0, "a/b"));
    w.send(A, "06 12 20 0000 61");
    w.send(A, "08 0C 20 0401 0000 31"); // QoS 1
    w.send(A, "08 0C 40 0401 0000 32"); // QoS 2
    w.send(A, "04 10 0000");
    w.send(A, "06 14 00 0000 61");
    assert_eq!(
        w.heard(A),
        [
            "REGACK 1025 #0 0",
            "SUBACK 1026 q1 #0 0",
            "PUBACK 1025 #0 0",
            "PUBREC #0",
            "PUBCOMP #0",
            "UNSUBACK #0"
        ]
    );
    assert_eq!(w.mqtt_heard(), ["a/b 1 q1", "a/b 2 q2"]);
}

#[test]
fn pipelined_requests_are_all_answered() {
    let mut w = world();
    for request in ["06 12 20 0001 61", "06 12 20 0002 62", "07 0A 0000 0003 63", "06 12 20 0001 61"] {
        w.send(A, request);
    }
    assert_eq!(
        w.heard(A),
        ["SUBACK 1025 q1 #1 0", "SUBACK 1026 q1 #2 0", "REGACK 1027 #3 0", "SUBACK 1025 q1 #1 0"]
    );
}

#[test]
fn retained_messages_follow_the_suback_with_their_flag() {
    let mut w = world();
    w.mqtt_publish_with("a/b", "kept", 1, true);
    w.send(A, "08 12 20 0001 612F62");
    assert_eq!(w.heard(A), ["SUBACK 1025 q1 #1 0", "PUBLISH n1025 q1 R kept"]);
    w.puback(A, 0);
    w.mqtt_publish_with("a/b", "fresh", 1, true);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 fresh"]);
    w.puback(A, 0);
    w.send(A, "08 12 A0 0001 612F62");
    assert_eq!(w.heard(A), ["SUBACK 1025 q1 #1 0", "PUBLISH n1025 q1 R fresh"], "a repeated SUBSCRIBE too");
}

#[test]
fn subscriptions_that_the_broker_refuses_are_refused() {
    let limits = Limits { topics_per_client_max: 5000, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.connect(A, "c1");
    w.send(A, "09 12 00 0001 612F232F"); // a/#/
    w.send(A, "07 12 00 0002 612B"); // a+
    w.send(A, "07 12 00 0003 6100");
    assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 3", "SUBACK 0 q0 #2 3", "SUBACK 0 q0 #3 3"]);
}

#[test]
fn t_publish_mountpoint_is_put_before_a_clients_topics_and_taken_off_again() {
    let mut w = World::with(Config { mountpoint: Mountpoint::new("site/1/").expect("good"), ..predefined() });
    w.mqtt_subscribe("site/1/#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 00 772F74");
    w.send(A, "05 09 627965");
    assert_eq!(w.subscribe(A, "a/b", 1), 1025);
    assert_eq!(w.subscribe(A, "$share/g/c/+", 1), 0);
    w.send(A, "08 0C 20 0401 0009 31");
    assert_eq!(w.heard(A), ["PUBACK 1025 #9 0", "PUBLISH n1025 q1 1"]);
    w.puback(A, 2);
    assert_eq!(w.heard(A), ["REGISTER 1025 a/b"]);
    w.regack(A, 0);
    w.heard(A);
    w.puback(A, 0);
    w.mqtt_publish("a/b", "elsewhere", 1);
    assert!(w.heard(A).is_empty());
    w.mqtt_publish("site/1/c/d", "2", 0);
    assert_eq!(w.heard(A), ["REGISTER 1026 c/d"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q0 2"]);
    w.send(A, "08 14 00 0002 612F62");
    assert_eq!(w.heard(A), ["UNSUBACK #2"]);
    w.mqtt_publish("site/1/a/b", "3", 1);
    assert!(w.heard(A).is_empty());
    w.send(B, "08 0C 62 7431 0000 34");
    w.mqtt_heard();
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["site/1/w/t bye q0"]);
}

#[test]
fn a_mountpoint_with_the_client_id_gives_each_client_a_part_of_its_own() {
    let mountpoint = Mountpoint::new("devices/%c/").expect("good");
    let mut w = World::with(Config { mountpoint, ..predefined() });
    w.mqtt_subscribe("#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 00 772F74");
    w.send(A, "05 09 627965");
    w.connect(B, "c2");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 0"]);
    assert_eq!(w.subscribe(A, "a/b", 0), 1025);
    assert_eq!(w.subscribe(B, "#", 0), 0);
    assert_eq!(w.register(B, "a/b"), 1025);
    w.send(B, "08 0C 00 0401 0000 31");
    assert_eq!(w.mqtt_heard(), ["devices/c2/a/b 1 q0"]);
    assert!(w.heard(A).is_empty(), "c1 hears nothing of c2");
    assert_eq!(w.heard(B), ["PUBLISH n1025 q0 1"]);
    w.mqtt_publish("devices/c1/a/b", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2"]);
    // QoS -1 of a client is its own; of a stranger it belongs nowhere.
    w.send(A, "08 0C 62 7431 0000 33");
    w.send("10.0.0.9:9", "08 0C 62 7431 0000 34");
    assert_eq!(w.mqtt_heard(), ["devices/c1/a/b 2 q0", "devices/c1/t1 3 q0"]);
    assert_eq!(w.gateway.counters().minus_one_dropped, 1);
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["devices/c1/w/t bye q0"]);
    // Names that would reach into another's part.
    for id in ["a/b", "+", "#"] {
        w.connect_with("10.0.0.8:8", id, 0x04, 60);
        assert_eq!(w.heard("10.0.0.8:8"), ["CONNACK 3"], "{id}");
    }
}

#[test]
fn a_mountpoint_with_the_address_has_the_one_of_the_last_connect() {
    let mountpoint = Mountpoint::new("at/${peerhost}/").expect("good");
    let mut w = World::with(Config { mountpoint, rebind: Rebind::Any, ..predefined() });
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    assert_eq!(w.subscribe(A, "+", 0), 0);
    let here = A.rsplit_once(':').expect("a port").0;
    w.send(A, "08 0C 02 7431 0000 31");
    assert_eq!(w.mqtt_heard(), [format!("at/{here}/t1 1 q0")]);
    assert_eq!(w.heard(A).last().map(String::as_str), Some("PUBLISH st1 q0 1"));
    // It sleeps and wakes up elsewhere: its topics stay.
    w.send(A, "04 18 0E10");
    let elsewhere = "10.77.0.9:9";
    w.send(elsewhere, "04 16 6331");
    w.mqtt_publish(&format!("at/{here}/t1"), "2", 0);
    w.mqtt_heard();
    w.send(elsewhere, "04 16 6331");
    assert!(w.heard(elsewhere).contains(&"PUBLISH st1 q0 2".to_owned()));
    // It connects there: now they are others, and what it had subscribed to is still its own.
    w.connect_with(elsewhere, "c1", 0x00, 60);
    w.send(elsewhere, "08 0C 02 7431 0000 33");
    w.mqtt_publish(&format!("at/{here}/t1"), "4", 0);
    assert_eq!(w.mqtt_heard(), ["at/10.77.0.9/t1 3 q0".to_owned(), format!("at/{here}/t1 4 q0")]);
    assert_eq!(w.heard(elsewhere).last().map(String::as_str), Some("PUBLISH st1 q0 4"));
    // A publish without a connection has an address too.
    w.send("10.0.0.9:9", "08 0C 62 7431 0000 35");
    assert_eq!(w.mqtt_heard(), ["at/10.0.0.9/t1 5 q0"]);
}

#[test]
fn a_client_that_publishes_by_an_id_knows_it_and_is_not_told_again() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.subscribe(A, "a/b", 0);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.send(A, "08 0C 00 0401 0000 31");
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
}

#[test]
fn unsubscribing_forgets_by_which_id_type_it_was() {
    let mut w = world();
    for (subscribe, unsubscribe, by_type, by_name) in [
        ("07 12 02 0001 7A7A", "07 14 02 0002 7A7A", "PUBLISH szz q0 m", "PUBLISH n1025 q0 m"),
        ("07 12 01 0001 0001", "07 14 01 0002 0001", "PUBLISH p1 q0 m", "PUBLISH n1026 q0 m"),
    ] {
        let topic = if by_type.contains("szz") { "zz" } else { HELLO };
        w.send(A, subscribe);
        w.heard(A);
        w.mqtt_publish(topic, "m", 0);
        assert_eq!(w.heard(A), [by_type]);
        w.send(A, unsubscribe);
        assert_eq!(w.heard(A), ["UNSUBACK #2"]);
        w.subscribe(A, topic, 0);
        w.mqtt_publish(topic, "m", 0);
        assert_eq!(w.heard(A), [by_name]);
    }
}
