//! Wills: asked for, kept, changed, published (MQTT-SN §6.3, §6.4, §6.14).

use super::world::*;
use crate::client::State;
use crate::config::Config;
use crate::limits::Limits;

fn connect_with_will(w: &mut World, flags: u8, will_flags: u8) {
    w.connect_with(A, "c1", flags | 0x08, 1);
    w.send(A, &format!("06 07 {will_flags:02x} 772F74"));
    w.send(A, "05 09 627965");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 0"]);
}

#[test]
fn t_will_case01_a_lost_client_leaves_its_will_and_hears_disconnect() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x04, 0x00);
    w.pass_seconds(2);
    assert_eq!(w.mqtt_heard(), ["w/t bye q0"]);
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.state("c1"), None);
}

#[test]
fn t_will_test2_qos_2_and_retain_are_the_wills_own() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x04, 0x50);
    w.pass_seconds(2);
    assert_eq!(w.mqtt_heard(), ["w/t bye q2"]);
    w.mqtt_subscribe("w/t");
    assert_eq!(w.mqtt_heard(), ["w/t bye q2 R"]);
}

#[test]
fn t_will_test3_an_empty_willtopic_is_no_will() {
    for empty in ["02 07", "03 07 00"] {
        let mut w = World::new();
        w.mqtt_subscribe("#");
        w.connect_with(A, "c1", 0x0C, 1);
        w.send(A, empty);
        assert_eq!(w.heard(A), ["WILLTOPICREQ", "CONNACK 0"]);
        w.pass_seconds(2);
        assert!(w.mqtt_heard().is_empty());
    }
}

#[test]
fn t_will_test4_topic_and_message_are_updated_apart() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x04, 0x00);
    w.send(A, "06 1A 20 6E2F74");
    w.send(A, "04 1C 6E6F");
    assert_eq!(w.heard(A), ["WILLTOPICRESP 0", "WILLMSGRESP 0"]);
    w.pass_seconds(2);
    assert_eq!(w.mqtt_heard(), ["n/t no q1"]);
}

#[test]
fn t_will_test5_an_empty_willtopicupd_deletes_topic_and_message() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x04, 0x00);
    w.send(A, "02 1A");
    assert_eq!(w.heard(A), ["WILLTOPICRESP 0"]);
    w.pass_seconds(2);
    assert!(w.mqtt_heard().is_empty());
}

#[test]
fn t_willmsgupd_without_will_topic_is_refused() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.send(A, "03 1C 78");
    assert_eq!(w.heard(A), ["WILLMSGRESP 3"]);
    w.send(A, "02 1A");
    assert_eq!(w.heard(A), ["WILLTOPICRESP 0"]);
    w.send(A, "06 1A 00 772F74");
    assert_eq!(w.heard(A), ["WILLTOPICRESP 0"], "a will with an empty message");
    w.send(A, "03 1C 78");
    assert_eq!(w.heard(A), ["WILLMSGRESP 0"]);
}

#[test]
fn t_will_case06_with_clean_session_off_the_session_is_parked() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x00, 0x00);
    w.subscribe(A, "x/y", 1);
    w.pass_seconds(2);
    assert_eq!(w.mqtt_heard(), ["w/t bye q0"]);
    w.heard(A);
    w.mqtt_publish("x/y", "1", 1);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["CONNACK 0", "REGISTER 1025 x/y"]);
}

#[test]
fn the_will_is_part_of_a_persistent_session() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    connect_with_will(&mut w, 0x00, 0x00);
    w.send(A, "02 18");
    w.pass_seconds(5);
    assert!(w.mqtt_heard().is_empty(), "no will after DISCONNECT");
    for _ in 0..2 {
        // Clean=0, Will=0: the stored will is armed again, also after it was published.
        w.connect_with(A, "c1", 0x00, 1);
        w.pass_seconds(2);
        assert_eq!(w.mqtt_heard(), ["w/t bye q0"]);
    }
    w.connect_with(A, "c1", 0x04, 1); // Clean=1, Will=0 drops it
    w.pass_seconds(2);
    assert!(w.mqtt_heard().is_empty());
    w.connect_with(A, "c1", 0x00, 1);
    w.pass_seconds(2);
    assert!(w.mqtt_heard().is_empty(), "for good");
}

#[test]
fn an_empty_willtopic_deletes_the_will_of_a_persistent_session() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    connect_with_will(&mut w, 0x00, 0x00);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x08, 1);
    w.send(A, "02 07");
    w.pass_seconds(2);
    assert!(w.mqtt_heard().is_empty());
}

#[test]
fn bad_wills_are_refused() {
    for (topic, why) in [
        ("06 07 00 772F23", "wildcard"),
        ("06 07 00 770074", "NUL"),
        ("06 07 00 77FF74", "no UTF-8"),
        ("06 07 60 772F74", "QoS bits 11"),
    ] {
        let mut w = World::new();
        w.connect_with(A, "c1", 0x0C, 60);
        w.send(A, topic);
        assert_eq!(w.heard(A), ["WILLTOPICREQ", "CONNACK 3"], "{why}");
        assert_eq!(w.gateway.clients(), 0);
        w.connect(A, "c1");
        w.send(A, &topic.replacen("07", "1A", 1));
        assert_eq!(w.heard(A), ["WILLTOPICRESP 3"], "{why}");
    }
    let limits = Limits { will_bytes_max: 6, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 00 772F74");
    w.send(A, "06 09 62796521");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 3"]);
}

#[test]
fn a_will_message_is_octets() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x0C, 1);
    w.send(A, "05 07 10 7731");
    w.send(A, "05 09 00FF00");
    w.connect_with(B, "c2", 0x04, 60);
    w.send(B, "07 12 02 0001 7731"); // short name w1
    w.heard(B);
    w.pass_seconds(2);
    assert_eq!(w.heard_bytes(B), [hex("0A 0C 02 7731 0000 00FF00")]);
}

#[test]
fn a_will_that_the_acl_denies_is_not_published() {
    let mut w = World::new();
    w.mqtt_subscribe("$SYS/x");
    w.connect_with(A, "c1", 0x0C, 1);
    w.send(A, "09 07 00 245359532F78");
    w.send(A, "05 09 627965");
    w.pass_seconds(2);
    assert!(w.mqtt_heard().is_empty());
    assert_eq!(w.state("c1"), None);
}

#[test]
fn a_will_update_of_a_sleeper_is_answered_and_it_sleeps_on() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    connect_with_will(&mut w, 0x04, 0x00);
    w.send(A, "04 18 000A");
    w.send(A, "04 1C 6E6F");
    assert_eq!(w.heard(A), ["DISCONNECT", "WILLMSGRESP 0"]);
    assert_eq!(w.state("c1"), Some(State::Asleep));
    w.pass_seconds(16);
    assert_eq!(w.mqtt_heard(), ["w/t no q0"]);
}
