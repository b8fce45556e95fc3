//! The main job: CONNECT, REGISTER, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT.

use super::world::*;
use crate::client::State;

#[test]
fn a_message_goes_from_a_device_to_mqtt_at_each_qos() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    assert_eq!(w.register(A, "a/b"), 1025);
    w.send(A, "0A 0C 00 0401 0000 686F6C"); // QoS 0
    w.send(A, "08 0C 20 0401 0009 69"); // QoS 1
    assert_eq!(w.heard(A), ["PUBACK 1025 #9 0"]);
    w.send(A, "08 0C 40 0401 000A 6A"); // QoS 2
    assert_eq!(w.heard(A), ["PUBREC #10"]);
    assert_eq!(w.mqtt_heard(), ["a/b hol q0", "a/b i q1"]);
    w.send(A, "04 10 000A");
    assert_eq!(w.heard(A), ["PUBCOMP #10"]);
    assert_eq!(w.mqtt_heard(), ["a/b j q2"]);
}

#[test]
fn a_message_goes_from_mqtt_to_a_device_at_each_qos() {
    let mut w = World::new();
    w.connect(A, "c1");
    assert_eq!(w.subscribe(A, "a/b", 2), 1025);
    w.mqtt_publish("a/b", "zero", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 zero"]);
    w.mqtt_publish("a/b", "one", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 one"]);
    w.mqtt_publish("a/b", "two", 2);
    assert!(w.heard(A).is_empty(), "one in flight");
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 two"]);
    w.msg_id_only(A, 0x0F);
    assert_eq!(w.heard(A), ["PUBREL"]);
    w.mqtt_publish("a/b", "end", 0);
    assert!(w.heard(A).is_empty(), "QoS 0 keeps its place");
    w.msg_id_only(A, 0x0E);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 end"]);
    w.pass_seconds(40);
    assert!(w.heard(A).is_empty(), "nothing is open");
}

#[test]
fn a_wildcard_subscriber_is_told_each_topic_before_its_first_message() {
    let mut w = World::new();
    w.connect(A, "c1");
    assert_eq!(w.subscribe(A, "t/#", 1), 0);
    w.mqtt_publish("t/x", "1", 1);
    w.mqtt_publish("t/x", "2", 1);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
    w.puback(A, 0);
    w.mqtt_publish("t/y", "3", 0);
    assert_eq!(w.heard(A), ["REGISTER 1026 t/y"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q0 3"]);
}

#[test]
fn a_device_pings_and_disconnects() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PINGRESP"]);
    assert_eq!(w.state("c1"), Some(State::Active));
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.gateway.clients(), 0);
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["DISCONNECT"], "asked again, answered again");
}

#[test]
fn a_silent_device_is_lost_after_one_and_a_half_keep_alives() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x04, 10);
    w.heard(A);
    w.pass_seconds(14);
    w.send(A, "02 16");
    w.pass_seconds(14);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.pass_seconds(2);
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn a_stranger_is_told_to_connect() {
    let mut w = World::new();
    for request in ["08 0C 20 0401 0009 69", "07 0A 0000 0001 61", "06 12 00 0001 61", "02 16"] {
        w.send(A, request);
        assert_eq!(w.heard(A), ["DISCONNECT"], "{request}");
    }
    for drop in ["07 0D 0401 0001 00", "02 17", "03 05 00", "02 07", "02 1A", ""] {
        w.send(A, drop);
        assert!(w.heard(A).is_empty(), "{drop}");
    }
}

#[test]
fn a_sleeper_gets_its_messages_on_pingreq_then_pingresp() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.send(A, "04 18 003C");
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 0);
    w.mqtt_publish("a/b", "3", 1);
    assert!(w.heard(A).is_empty());
    w.send(A2, "04 16 6331");
    assert!(w.heard(A).is_empty());
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 1"], "at its new port");
    w.puback(A2, 0);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q0 2", "PUBLISH n1025 q1 3"]);
    w.puback(A2, 0);
    assert_eq!(w.heard(A2), ["PINGRESP"]);
    assert_eq!(w.state("c1"), Some(State::Asleep));
}

#[test]
fn a_client_that_connects_elsewhere_takes_its_session_along() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.subscribe(A, "a/b", 1);
    w.connect_with(B, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.heard(B), ["CONNACK 0"]);
    w.mqtt_publish("a/b", "1", 1);
    assert_eq!(w.heard(B), ["REGISTER 1025 a/b"], "the same id, told again");
    w.regack(B, 0);
    assert_eq!(w.heard(B), ["PUBLISH n1025 q1 1"]);
    assert!(w.heard(A).is_empty());
}
