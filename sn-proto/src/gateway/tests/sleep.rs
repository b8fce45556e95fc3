//! Sleeping clients (MQTT-SN §6.14).

use std::sync::Arc;

use super::world::*;
use crate::client::State;
use crate::config::{Config, Rebind, SleepConnectClean};

/// A client that subscribed to "a/b" at QoS 2 and sleeps for `seconds`.
fn sleeper(seconds: u16) -> World {
    sleeper_with(plain(), seconds)
}

fn sleeper_with(config: Config, seconds: u16) -> World {
    let mut w = World::with(config);
    w.connect(A, "c1");
    assert_eq!(w.subscribe(A, "a/b", 2), 1025);
    sleep(&mut w, seconds);
    w
}

fn sleep(w: &mut World, seconds: u16) {
    let duration = seconds.to_be_bytes();
    w.send_bytes(&peer(A), &[0x04, 0x18, duration[0], duration[1]]);
    assert_eq!(w.heard_bytes(A), [hex("02 18")], "without a duration");
    assert_eq!(w.state("c1"), Some(State::Asleep));
}

const WAKE: &str = "04 16 6331";

#[test]
fn t_asleep_test01_timeout_publishes_the_will_and_sends_nothing() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.heard(A);
    sleep(&mut w, 100);
    w.pass_seconds(149);
    assert!(w.mqtt_heard().is_empty(), "the keep-alive does not count, the sleep has its tolerance");
    w.pass_seconds(2);
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
    assert!(w.heard(A).is_empty());
    assert_eq!(w.state("c1"), None);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["DISCONNECT"]);
}

#[test]
fn t_asleep_test02_to_awake_and_back_with_nothing_buffered() {
    let mut w = sleeper(60);
    for _ in 0..3 {
        w.pass_seconds(60);
        w.send(A, WAKE);
        assert_eq!(w.heard(A), ["PINGRESP"]);
        assert_eq!(w.state("c1"), Some(State::Asleep), "and the sleep timer begins anew");
    }
}

#[test]
fn t_asleep_test03_and_05_buffered_messages_come_one_by_one_before_pingresp() {
    let mut w = sleeper(60);
    for payload in ["1", "2", "3"] {
        w.mqtt_publish("a/b", payload, 1);
    }
    assert!(w.heard(A).is_empty());
    w.send(A, WAKE);
    for payload in ["1", "2", "3"] {
        assert_eq!(w.heard(A), [format!("PUBLISH n1025 q1 {payload}")]);
        assert_eq!(w.state("c1"), Some(State::Awake));
        w.puback(A, 0);
    }
    assert_eq!(w.heard(A), ["PINGRESP"]);
    assert_eq!(w.state("c1"), Some(State::Asleep));
}

#[test]
fn t_asleep_test04_a_filter_needs_regack_before_publish_also_when_awake() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "t/+", 1);
    sleep(&mut w, 60);
    w.mqtt_publish("t/x", "1", 1);
    w.mqtt_publish("t/x", "2", 0);
    w.mqtt_publish("t/y", "3", 0);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2", "REGISTER 1026 t/y"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q0 3", "PINGRESP"], "PINGRESP last");
}

#[test]
fn t_asleep_test06_pingresp_waits_for_pubcomp() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 2);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 1"]);
    w.msg_id_only(A, 0x0F);
    assert_eq!(w.heard(A), ["PUBREL"]);
    w.msg_id_only(A, 0x0E);
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn t_asleep_test07_connect_ends_the_sleep_and_keeps_subscriptions_and_buffer() {
    for (address, flags) in [(A, 0x04), (A, 0x00), (A2, 0x04), (A2, 0x00)] {
        let mut w = sleeper(60);
        w.mqtt_publish("a/b", "1", 1);
        w.connect_with(address, "c1", flags, 60);
        assert_eq!(w.heard(address), ["CONNACK 0", "PUBLISH n1025 q1 1"], "{address} {flags:02x}");
        w.puback(address, 0);
        w.mqtt_publish("a/b", "2", 1);
        assert_eq!(w.heard(address), ["PUBLISH n1025 q1 2"]);
        assert_eq!(w.state("c1"), Some(State::Active));
    }
}

#[test]
fn a_connect_from_sleep_elsewhere_keeps_all_by_way_of_the_broker() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.connect_with(B, "c1", 0x04, 60);
    assert_eq!(w.heard(B), ["CONNACK 0", "PUBLISH n1025 q1 1"]);
    assert!(w.heard(A).is_empty(), "a sleeper hears nothing");
    assert_eq!(w.gateway.clients(), 1);
    assert_eq!(w.state("c1"), Some(State::Active));
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["DISCONNECT"]);
}

#[test]
fn the_letter_of_clean_session_at_the_end_of_a_sleep_is_a_setting() {
    let wipe = Config { sleep_connect_clean: SleepConnectClean::Wipe, ..plain() };
    let mut w = sleeper_with(wipe, 60);
    w.mqtt_publish("a/b", "1", 1);
    w.connect_with(A, "c1", 0x04, 60);
    assert_eq!(w.heard(A), ["CONNACK 0"]);
    w.mqtt_publish("a/b", "2", 1);
    assert!(w.heard(A).is_empty());
}

#[test]
fn a_connect_with_will_ends_the_sleep_after_the_prompts_and_replaces_the_will() {
    for place in [A, A2, B] {
        let mut w = sleeper(60);
        w.mqtt_subscribe("w/#");
        w.mqtt_publish("a/b", "1", 1);
        w.connect_with(place, "c1", 0x0C, 1);
        assert_eq!(w.heard(place), ["WILLTOPICREQ"]);
        w.send(place, "06 07 20 772F74");
        assert_eq!(w.heard(place), ["WILLMSGREQ"]);
        w.send(place, "05 09 627965");
        assert_eq!(w.heard(place), ["CONNACK 0", "PUBLISH n1025 q1 1"], "{place}");
        w.pass_seconds(2);
        assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
    }
}

#[test]
fn t_asleep_test08_disconnect_ends_the_sleep_without_will() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.heard(A);
    sleep(&mut w, 60);
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    w.pass_seconds(1000);
    assert!(w.mqtt_heard().is_empty());
    assert_eq!(w.state("c1"), None);
}

#[test]
fn t_asleep_test09_what_was_acknowledged_is_not_sent_at_the_next_wake_up() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    w.heard(A);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn t_awake_test01_connect_while_awake_goes_on_with_the_burst() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.connect_with(A, "c1", 0x04, 60);
    assert_eq!(w.heard(A)[0], "CONNACK 0");
    w.puback(A, 0);
    assert_eq!(w.heard(A).last().map(String::as_str), Some("PUBLISH n1025 q1 2"));
    w.puback(A, 0);
    assert!(w.heard(A).is_empty(), "no PINGRESP: it is active");
    assert_eq!(w.state("c1"), Some(State::Active));
}

#[test]
fn t_awake_test02_disconnect_while_awake() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    w.heard(A);
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["DISCONNECT"]);
    assert_eq!(w.state("c1"), None);
}

#[test]
fn disconnect_with_duration_while_awake_stops_the_burst_and_the_rest_stays() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    sleep(&mut w, 100);
    w.pass_seconds(100);
    assert!(w.heard(A).is_empty());
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"], "what was open comes again with DUP");
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn a_repeated_disconnect_with_duration_is_answered_and_sets_the_timer_anew() {
    let mut w = sleeper(60);
    w.pass_seconds(80);
    sleep(&mut w, 60);
    w.pass_seconds(80);
    assert_eq!(w.state("c1"), Some(State::Asleep));
    w.pass_seconds(11);
    assert_eq!(w.state("c1"), None);
}

#[test]
fn t_asleep_pingreq_after_source_tuple_change_moves_the_session() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 1"]);
    w.puback(A2, 0);
    assert_eq!(w.heard(A2), ["PINGRESP"]);
    assert!(w.heard(A).is_empty());
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["DISCONNECT"], "the old address is a stranger's");
    assert_eq!(w.state("c1"), Some(State::Asleep), "and harms nobody");
}

#[test]
fn who_may_wake_a_sleeper_is_a_setting() {
    for (rebind, same_host, elsewhere) in [
        (Rebind::SameIp, true, false),
        (Rebind::Any, true, true),
        (Rebind::Never, false, false),
        (Rebind::Dtls, false, false),
    ] {
        for (place, allowed) in [(A2, same_host), (B, elsewhere)] {
            let mut w = sleeper_with(Config { rebind, ..plain() }, 60);
            w.mqtt_publish("a/b", "secret", 0);
            w.send(place, WAKE);
            let heard = w.heard(place);
            w.send(A, "02 16");
            let own = w.heard(A);
            let (all, none) = (["PUBLISH n1025 q0 secret", "PINGRESP"], ["DISCONNECT"]);
            // Never to both.
            assert_eq!(heard, if allowed { &all[..] } else { &none[..] }, "{rebind:?} {place}");
            assert_eq!(own, if allowed { &none[..] } else { &all[..] }, "{rebind:?} {place}");
        }
    }
}

#[test]
fn a_proven_identity_wakes_its_own_sleeper_from_anywhere_and_nobody_elses() {
    let at = |place: &str, identity: &str| {
        let mut peer = peer(place);
        peer.identity = Some(Arc::from(identity));
        peer
    };
    let mut w = World::new();
    w.send_bytes(&at(A, "psk-1"), &hex("08 04 04 01 003C 6331"));
    w.send_bytes(&at(A, "psk-1"), &hex("04 18 003C"));
    assert_eq!(w.heard(A), ["CONNACK 0", "DISCONNECT"]);
    w.send_bytes(&at(A2, "psk-2"), &hex(WAKE));
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["DISCONNECT", "DISCONNECT"], "the same host is not enough");
    w.send_bytes(&at(B, "psk-1"), &hex(WAKE));
    assert_eq!(w.heard(B), ["PINGRESP"]);
}

#[test]
fn t_connected_pingreq_after_source_tuple_change_is_a_strangers() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["DISCONNECT"]);
    assert_eq!(w.state("c1"), Some(State::Active));
}

#[test]
fn pingreq_without_client_id_from_the_known_address_wakes_too() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 0);
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1", "PINGRESP"]);
}

#[test]
fn a_repeated_pingreq_resends_what_is_open_and_goes_on() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    w.send(A, WAKE);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1", "PUBLISH n1025 q1 DUP 1"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn newcomers_wait_for_the_next_wake_up() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    w.mqtt_publish("a/b", "late", 1);
    w.heard(A);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 late"]);
}

#[test]
fn a_burst_has_a_limit() {
    let mut w = sleeper_with(Config { awake_limit: 2, ..plain() }, 60);
    for payload in ["1", "2", "3"] {
        w.mqtt_publish("a/b", payload, 0);
    }
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1", "PUBLISH n1025 q0 2", "PINGRESP"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 3", "PINGRESP"]);
}

#[test]
fn a_message_given_up_ends_the_burst_and_the_rest_stays_queued() {
    let mut w = sleeper(1000);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    w.send(A, WAKE);
    w.pass_seconds(61);
    let heard = w.heard(A);
    assert_eq!(heard.last().map(String::as_str), Some("PINGRESP"));
    assert_eq!(heard.len(), 7, "{heard:?}");
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"], "and it is tried again");
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
}

#[test]
fn a_register_that_is_never_answered_ends_the_burst_too() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "t/+", 1);
    sleep(&mut w, 1000);
    w.mqtt_publish("t/x", "1", 0);
    w.send(A, WAKE);
    w.pass_seconds(70);
    let heard = w.heard(A);
    assert_eq!(heard.iter().filter(|it| *it == "REGISTER 1025 t/x").count(), 6);
    assert_eq!(heard.last().map(String::as_str), Some("PINGRESP"));
    assert_eq!(w.state("c1"), Some(State::Asleep));
}

#[test]
fn requests_of_a_sleeper_are_answered_and_set_its_timer_anew() {
    let mut w = sleeper(60);
    w.mqtt_subscribe("#");
    for (request, answer) in [
        ("08 0C 20 0401 0009 31", "PUBACK 1025 #9 0"),
        ("07 0A 0000 0001 61", "REGACK 1026 #1 0"),
        ("06 12 20 0002 62", "SUBACK 1027 q1 #2 0"),
        ("06 14 20 0003 62", "UNSUBACK #3"),
        ("04 10 0004", "PUBCOMP #4"),
    ] {
        w.pass_seconds(80);
        w.send(A, request);
        assert_eq!(w.heard(A), [answer]);
        assert_eq!(w.state("c1"), Some(State::Asleep));
    }
    assert_eq!(w.mqtt_heard(), ["a/b 1 q1"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"], "its own message waited with the others");
}

#[test]
fn an_ack_that_comes_after_falling_asleep_counts() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.heard(A);
    sleep(&mut w, 60);
    w.puback(A, 0);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn what_was_in_flight_comes_again_at_the_wake_up() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    sleep(&mut w, 600);
    w.pass_seconds(100);
    assert!(w.heard(A).is_empty(), "a sleeper is left alone");
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
}

#[test]
fn t_asleep_same_source_tuple_reused_by_other_clientid_keeps_the_sleeper() {
    let mut w = sleeper(60);
    w.connect(A, "c2");
    w.mqtt_publish("a/b", "1", 1);
    assert!(w.heard(A).is_empty());
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 1"]);
    assert_eq!(w.state("c2"), Some(State::Active));
}

#[test]
fn t_awake_same_source_tuple_reused_by_other_clientid() {
    let mut w = sleeper(60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.connect(A, "c2");
    assert_eq!(w.state("c1"), Some(State::Asleep));
    w.pass_seconds(20);
    assert!(w.heard(A).is_empty());
    w.send(A2, WAKE);
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 DUP 1"]);
}

#[test]
fn a_sleepers_queue_has_a_limit_and_drops_are_counted() {
    let mut w = sleeper(0xFFFF);
    for number in 0..3000 {
        w.mqtt_publish("a/b", &number.to_string(), 1);
    }
    w.send(A, WAKE);
    let mut got = 0;
    loop {
        let heard = w.heard(A);
        match heard.first().map(String::as_str) {
            Some("PINGRESP") | None => break,
            Some(_) => got += 1,
        }
        w.puback(A, 0);
    }
    assert_eq!(got, 1000);
    assert_eq!(w.broker.counters().drops.of(broker_core::link::DropReason::QueueFull), 2000);
}

#[test]
fn a_sleeper_that_vanishes_while_awake_is_lost_in_the_end() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.subscribe(A, "a/b", 1);
    sleep(&mut w, 60);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    w.pass_seconds(300);
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
    assert_eq!(w.state("c1"), None);
}

#[test]
fn a_client_that_is_congested_while_awake_goes_back_to_sleep_and_loses_nothing() {
    let mut w = sleeper(600);
    w.mqtt_publish("a/b", "1", 1);
    w.send(A, WAKE);
    w.heard(A);
    w.puback(A, 1);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
    w.puback(A, 0);
    w.heard(A);
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "2", 1);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1026 t/x"]);
    w.regack(A, 1);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1026 t/x"]);
}

#[test]
fn a_copy_of_the_connect_that_ended_a_sleep_ends_nothing_else() {
    for (first, second) in [(0x04, 0x00), (0x00, 0x04), (0x04, 0x04), (0x00, 0x00)] {
        let mut w = World::new();
        w.connect_with(A, "c1", first, 60);
        w.subscribe(A, "a/b", 1);
        sleep(&mut w, 60);
        w.connect_with(A, "c1", second, 60);
        w.connect_with(A, "c1", second, 60); // the CONNACK was lost
        assert_eq!(w.heard(A), ["CONNACK 0", "CONNACK 0"]);
        w.mqtt_publish("a/b", "1", 1);
        assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"], "{first:02x} {second:02x}");
    }
}

#[test]
fn asking_again_and_again_does_not_use_the_tries_up() {
    let mut w = sleeper(600);
    w.mqtt_publish("a/b", "1", 1);
    for _ in 0..20 {
        w.send(A, WAKE);
    }
    w.pass_seconds(11);
    let heard = w.heard(A);
    assert!(heard.iter().all(|it| it.starts_with("PUBLISH")), "{heard:?}");
    assert_eq!(heard.len(), 21);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "2", 1);
    for _ in 0..20 {
        w.send(A, WAKE);
    }
    w.pass_seconds(11);
    assert_eq!(w.heard(A), vec!["REGISTER 1026 t/x"; 21]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q1 2"]);
}

#[test]
fn dup_is_said_of_a_message_that_was_sent_before_and_of_no_other() {
    // §5.3.4; emcute refuses a message with DUP.
    for (place, flags) in [(A, 0x00), (A2, 0x00), (B, 0x00), (A, 0x08)] {
        let mut w = World::new();
        w.connect_with(A, "c1", 0x00, 60);
        w.subscribe(A, "t/+", 1);
        w.mqtt_publish("t/x", "1", 1);
        assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
        w.connect_with(place, "c1", flags, 60);
        if flags & 0x08 != 0 {
            w.send(place, "02 07");
        }
        assert_eq!(w.heard(place).last().map(String::as_str), Some("REGISTER 1025 t/x"));
        w.regack(place, 0);
        assert_eq!(w.heard(place), ["PUBLISH n1025 q1 1"], "{place}: it never left");
        w.connect_with(place, "c1", 0x00, 60);
        w.regack(place, 0);
        w.heard(place);
        w.pass_seconds(11);
        assert!(w.heard(place).iter().all(|it| it.starts_with("REGISTER") || it == "PUBLISH n1025 q1 DUP 1"));
    }
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "1", 1);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    sleep(&mut w, 60);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    sleep(&mut w, 60);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"], "now it did");
}

#[test]
fn what_never_left_before_a_disconnect_has_no_dup_after_it() {
    for parked in [false, true] {
        let mut w = World::new();
        w.connect_with(A, "c1", 0x00, 0);
        w.subscribe(A, "t/+", 1);
        w.mqtt_publish("t/x", "1", 1);
        w.mqtt_publish("t/y", "2", 1);
        assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
        if parked {
            w.pass_seconds(60); // the first is given up, its REGISTER was not answered
            assert_eq!(w.heard(A).last().map(String::as_str), Some("REGISTER 1026 t/y"));
            w.pass_seconds(60);
            w.heard(A);
        }
        w.send(A, "02 18");
        w.connect_with(A, "c1", 0x00, 0);
        assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "REGISTER 1025 t/x"]);
        w.regack(A, 0);
        assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"], "parked: {parked}");
        w.puback(A, 0);
        assert_eq!(w.heard(A), ["REGISTER 1026 t/y"]);
        w.regack(A, 0);
        assert_eq!(w.heard(A), ["PUBLISH n1026 q1 2"]);
        w.send(A, "02 18");
        w.connect_with(A, "c1", 0x00, 0);
        assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "REGISTER 1026 t/y"]);
        w.regack(A, 0);
        assert_eq!(w.heard(A), ["PUBLISH n1026 q1 DUP 2"], "now it did");
    }
}

#[test]
fn several_messages_that_never_left_before_a_sleep_have_no_dup_after_it() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "1", 1);
    w.mqtt_publish("t/y", "2", 1);
    w.pass_seconds(59);
    w.send(A, "02 16");
    w.pass_seconds(59);
    w.heard(A);
    sleep(&mut w, 60);
    w.send(A, WAKE);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["REGISTER 1026 t/y"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q1 2"]);
}

#[test]
fn the_last_connect_says_whether_the_session_outlives_the_connection() {
    // §6.3, §6.12. The CONNECT that ends a sleep wipes nothing (see `sleep_connect_clean`), but its flag holds.
    for (first, later, restart) in [
        (0x04, 0x00, false),
        (0x04, 0x00, true),
        (0x00, 0x04, false),
        (0x00, 0x04, true),
        (0x04, 0x08, false),
    ] {
        let case = format!("{first:#x}, then {later:#x}, restart {restart}");
        let mut w = World::new();
        w.connect_with(A, "c1", first, 60);
        w.subscribe(A, "ab", 1);
        sleep(&mut w, 60);
        w.mqtt_publish("ab", "1", 1);
        w.connect_with(A, "c1", later, 60);
        if later & 0x08 != 0 {
            w.send(A, "02 07");
        }
        assert_eq!(w.heard(A).last().map(String::as_str), Some("PUBLISH n1025 q1 1"), "{case}: all is kept");
        w.puback(A, 0);
        if restart {
            w.restart();
        } else {
            w.send(A, "02 18");
        }
        let persistent = later & 0x04 == 0;
        w.mqtt_publish("ab", "2", 1);
        assert_eq!(w.state("c1").is_some(), persistent && restart, "{case}");
        w.heard(A);
        w.connect_with(A, "c1", 0x00, 60);
        w.regack(A, 0);
        let got = w.heard(A).iter().any(|it| it == "PUBLISH n1025 q1 2" || it == "PUBLISH n1025 q1 DUP 2");
        w.regack(A, 0);
        let got = got || w.heard(A).iter().any(|it| it.ends_with(" 2"));
        assert_eq!(got, persistent, "{case}");
    }
}
