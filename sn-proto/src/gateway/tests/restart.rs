//! The gateway ends and comes back with what was stored (the broker's records).

use super::world::*;
use crate::client::State;
use crate::config::{Config, Rebind};

const WAKE: &str = "04 16 6331";

#[test]
fn a_sleeper_survives_a_restart_with_its_queue_and_its_ids() {
    for clean in [0x00, 0x04] {
        let mut w = World::new();
        w.connect_with(A, "c1", clean, 60);
        w.heard(A);
        assert_eq!(w.subscribe(A, "a/b", 1), 1025);
        assert_eq!(w.register(A, "up"), 1026);
        w.send(A, "07 12 02 0001 7A7A");
        w.send(A, "04 18 0258");
        w.heard(A);
        w.mqtt_publish("a/b", "1", 1);
        w.mqtt_publish("zz", "2", 0);
        w.restart();
        assert_eq!(w.state("c1"), Some(State::Asleep));
        w.mqtt_publish("a/b", "3", 1);
        w.send(A2, WAKE);
        assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 1"], "without REGISTER: the device was never away");
        w.puback(A2, 0);
        assert_eq!(w.heard(A2), ["PUBLISH szz q0 2", "PUBLISH n1025 q1 3"]);
        w.puback(A2, 0);
        assert_eq!(w.heard(A2), ["PINGRESP"]);
        w.mqtt_subscribe("up");
        w.send(A2, "08 0C 00 0402 0000 31");
        assert_eq!(w.mqtt_heard(), ["up 1 q0"]);
    }
}

#[test]
fn a_sleeper_may_come_back_from_its_address_without_its_name() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.send(A, "04 18 0258");
    w.heard(A);
    w.mqtt_publish("a/b", "1", 0);
    w.restart();
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1", "PINGRESP"]);
}

#[test]
fn a_sleeper_may_come_back_from_sleep_by_connect_after_a_restart() {
    for (flags, place) in [(0x04, A), (0x00, A2), (0x04, B), (0x0C, A)] {
        let mut w = World::new();
        w.connect(A, "c1");
        w.subscribe(A, "a/b", 1);
        w.send(A, "04 18 0258");
        w.heard(A);
        w.mqtt_publish("a/b", "1", 0);
        w.restart();
        w.connect_with(place, "c1", flags, 60);
        if flags & 0x08 != 0 {
            assert_eq!(w.heard(place), ["WILLTOPICREQ"]);
            w.send(place, "02 07");
        }
        assert_eq!(w.heard(place), ["CONNACK 0", "PUBLISH n1025 q0 1"], "{flags:02x} {place}");
    }
}

#[test]
fn the_policy_of_waking_holds_over_a_restart() {
    let mut w = World::with(Config { rebind: Rebind::SameIp, ..plain() });
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.send(A, "04 18 0258");
    w.mqtt_publish("a/b", "secret", 0);
    w.restart();
    w.send(B, WAKE);
    assert_eq!(w.heard(B), ["DISCONNECT"]);
    w.heard(A);
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q0 secret", "PINGRESP"]);
}

#[test]
fn the_sleep_timer_begins_anew_and_ends_in_the_will() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.send(A, "04 18 0064");
    w.pass_seconds(140);
    w.restart();
    w.mqtt_subscribe("w/#");
    w.pass_seconds(140);
    assert!(w.mqtt_heard().is_empty(), "the downtime kills nobody");
    w.pass_seconds(20);
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
}

#[test]
fn an_active_client_does_not_notice_a_restart() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x08, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.heard(A);
    w.restart();
    w.mqtt_subscribe("w/#");
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"], "no CONNACK, no DISCONNECT");
    w.puback(A, 0);
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.pass_seconds(91);
    assert_eq!(w.heard(A), ["DISCONNECT"], "and is supervised");
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
}

#[test]
fn a_parked_session_keeps_its_ids_over_a_restart() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.subscribe(A, "a/b", 1);
    w.send(A, "02 18");
    w.restart();
    assert_eq!(w.gateway.clients(), 0, "nothing is kept here for who is away");
    w.mqtt_publish("a/b", "1", 1);
    w.heard(A);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["CONNACK 0", "REGISTER 1025 a/b"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    assert_eq!(w.register(A, "next"), 1026, "ids go on where they ended");
}

#[test]
fn an_active_client_may_move_where_that_is_allowed() {
    let mut w = World::with(Config { rebind_active: true, ..plain() });
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["PINGRESP"]);
    w.mqtt_publish("a/b", "1", 0);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q0 1"]);
    w.send(B, WAKE);
    assert_eq!(w.heard(B), ["DISCONNECT"]);
}

#[test]
fn requests_of_a_sleeper_are_answered_right_after_a_restart() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    w.register(A, "up");
    w.send(A, "04 18 0258");
    w.heard(A);
    w.restart();
    w.mqtt_subscribe("#");
    w.send(A, "08 0C 20 0401 0009 31");
    assert_eq!(w.heard(A), ["PUBACK 1025 #9 0"]);
    assert_eq!(w.mqtt_heard(), ["up 1 q1"]);
    assert_eq!(w.state("c1"), Some(State::Asleep));
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.broker.status().attached, 1, "its session ended: only the MQTT client is left");
}

#[test]
fn ids_that_only_the_gateway_made_are_told_again_after_a_restart() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "t/#", 1);
    w.mqtt_publish("t/x", "1", 0);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    w.send(A, "04 18 0258");
    w.heard(A);
    w.mqtt_publish("t/x", "2", 0);
    w.restart();
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"], "its REGACK may never have come before the gateway ended");
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2", "PINGRESP"]);
}
