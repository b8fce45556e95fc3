//! Who gets a session, and whose it is (MQTT-SN §6.2, §6.12).

use super::world::*;
use crate::client::State;
use crate::config::Config;
use crate::limits::Limits;

/// CONNECT with the will flag, CleanSession and ClientId "c1".
const CW: &str = "08 04 0C 01 003C 6331";
/// The same without the will flag.
const C: &str = "08 04 04 01 003C 6331";

#[test]
fn t_connect_is_accepted_from_any_socket_with_and_without_a_will() {
    let mut w = World::new();
    w.send(A, C);
    assert_eq!(w.heard_bytes(A), [hex("03 05 00")]);
    w.send(A, "02 18");
    assert_eq!(w.heard_bytes(A), [hex("02 18")]);
    w.send(B, CW);
    assert_eq!(w.heard_bytes(B), [hex("02 06")]);
    w.send(B, "06 07 20 772F74");
    assert_eq!(w.heard_bytes(B), [hex("02 08")]);
    w.send(B, "05 09 627965");
    assert_eq!(w.heard_bytes(B), [hex("03 05 00")]);
    w.send(B, "02 18");
    assert_eq!(w.heard_bytes(B), [hex("02 18")]);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn t_duplicate_connect_is_answered_again_and_the_session_kept() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.send(A, C);
    w.send(A, C);
    assert_eq!(w.heard(A), ["CONNACK 0", "CONNACK 0"]);
    assert_eq!(w.broker.counters().takeovers, 0, "a copy starts no new session");
    assert!(w.mqtt_heard().is_empty());
}

#[test]
fn copies_of_a_connect_that_come_before_its_answer_are_answered_too() {
    let mut w = World::new();
    for (from, flags, before) in [(A, 0x04, None), (B, 0x00, None), (A2, 0x00, Some("04 18 003C"))] {
        if let Some(sleep) = before {
            w.connect_with(from, "c1", flags, 60);
            w.send(from, sleep);
            w.heard(from);
        }
        for _ in 0..3 {
            w.gateway_only(&peer(from), &[0x08, 0x04, flags, 0x01, 0x00, 0x3C, b'c', b'1']);
        }
        w.run();
        assert_eq!(w.heard(from), ["CONNACK 0"; 3], "{from}");
        assert_eq!(w.state("c1"), Some(State::Active));
    }
    let takeovers = w.broker.counters().takeovers;
    w.gateway_only(&peer(A2), &hex("08 04 00 01 003C 6331"));
    w.gateway_only(&peer(A2), &hex("08 04 00 01 003C 6331"));
    w.run();
    assert_eq!(w.heard(A2), ["CONNACK 0"; 2]);
    assert_eq!(w.broker.counters().takeovers, takeovers, "copies start no session");
}

#[test]
fn a_reboot_starts_anew_with_clean_session_and_goes_on_without() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    for (flags, expected_will) in [(0x0C, vec!["w/t bye q1"]), (0x08, vec![])] {
        w.connect_with(A, "c1", flags, 60);
        w.send(A, "06 07 20 772F74");
        w.send(A, "05 09 627965");
        w.subscribe(A, "x/y", 0);
        w.heard(A);
        w.mqtt_heard();
        // Power comes back: a CONNECT that follows other requests.
        w.connect_with(A, "c1", flags & !0x08, 60);
        assert_eq!(w.heard(A), ["CONNACK 0"]);
        assert_eq!(w.mqtt_heard(), expected_will, "§6.3: with Clean=0 the session goes on");
        w.mqtt_publish("x/y", "1", 0);
        let got = w.heard(A);
        if flags & 0x04 != 0 {
            assert!(got.is_empty(), "{got:?}");
        } else {
            assert_eq!(got, ["REGISTER 1025 x/y"], "the device may have forgotten the id");
        }
    }
}

#[test]
fn t_disconnect_during_will_handshake_ends_it() {
    let mut w = World::new();
    w.send(A, CW);
    w.send(A, "02 18");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "DISCONNECT"]);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn t_register_and_publish_and_subscribe_during_will_handshake_end_it() {
    for request in [
        "07 0A 0000 0001 61",
        "08 0C 20 0401 0009 69",
        "08 0C 00 0401 0000 69",
        "06 12 00 0001 61",
        "06 14 00 0001 61",
        "04 10 0001",
        "02 16",
        "04 16 6331",
        "04 18 001E",
        "03 1C 78",
        "06 1A 30 772F74",
        "02 1A",
    ] {
        let mut w = World::new();
        w.send(A, CW);
        w.send(A, request);
        assert_eq!(w.heard(A), ["WILLTOPICREQ", "DISCONNECT"], "{request}");
        assert_eq!(w.gateway.clients(), 0);
        w.send(A, "06 07 20 772F74");
        assert!(w.heard(A).is_empty(), "no half a handshake is left");
    }
}

#[test]
fn t_willmsg_before_willtopic_ends_the_handshake() {
    let mut w = World::new();
    w.send(A, CW);
    w.send(A, "05 09 627965");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "DISCONNECT"]);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn t_first_disconnect_of_a_stranger_is_answered() {
    let mut w = World::new();
    w.send(A, "02 18");
    w.send(A, "04 18 001E");
    assert_eq!(w.heard(A), ["DISCONNECT", "DISCONNECT"]);
}

#[test]
fn copies_do_not_break_the_will_handshake() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    for message in [CW, CW, "06 07 20 772F74", "06 07 20 772F74", CW, "05 09 627965", "05 09 627965"] {
        w.send(A, message);
    }
    assert_eq!(
        w.heard(A),
        [
            "WILLTOPICREQ",
            "WILLTOPICREQ",
            "WILLMSGREQ",
            "WILLMSGREQ",
            "WILLTOPICREQ",
            "CONNACK 0",
            "CONNACK 0"
        ],
        "a will topic that came stays valid, and a lost CONNACK is said again"
    );
    w.send(A, "02 16");
    w.send(A, "05 09 627965");
    assert_eq!(w.heard(A), ["PINGRESP"], "too late for a copy");
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
}

#[test]
fn a_repeated_empty_willtopic_gets_its_connack_again() {
    let mut w = World::new();
    w.send(A, CW);
    w.send(A, "02 07");
    w.send(A, "02 07");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "CONNACK 0", "CONNACK 0"]);
    w.connect(B, "c2");
    w.send(B, "02 07");
    assert!(w.heard(B).is_empty(), "there was no handshake");
}

#[test]
fn a_handshake_on_a_live_session_changes_nothing_until_its_connack() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.send(A, CW);
    w.send(A, "06 07 00 772F31"); // will topic w/1
    w.send(A, "03 09 31");
    w.subscribe(A, "x/y", 0);
    w.heard(A);
    w.send(A, CW);
    w.send(A, "06 07 00 772F32");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ"]);
    w.mqtt_publish("x/y", "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"], "the old session lives");
    // Any other request shows that the CONNECT was a late copy.
    w.send(A, "02 16");
    w.send(A, "03 09 32");
    assert_eq!(w.heard(A), ["PINGRESP"]);
    w.send(A, CW);
    w.pass_seconds(11);
    w.send(A, "03 09 32");
    assert_eq!(w.heard(A), ["WILLTOPICREQ"], "its time-out changes nothing either");
    w.mqtt_publish("x/y", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2"]);
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["w/1 1 q0"], "the old will");
}

#[test]
fn a_completed_handshake_on_a_live_session_replaces_the_will() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    for (topic, message) in [("31", "31"), ("32", "32")] {
        w.send(A, "08 04 08 01 003C 6331"); // Clean=0
        w.send(A, &format!("06 07 00 772F{topic}"));
        w.send(A, &format!("03 09 {message}"));
        assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 0"]);
        w.send(A, "02 16");
        w.heard(A);
    }
    assert!(w.mqtt_heard().is_empty());
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["w/2 2 q0"]);
}

#[test]
fn a_handshake_that_is_not_finished_leaves_nothing() {
    let mut w = World::new();
    w.send(A, CW);
    w.pass_seconds(9);
    assert_eq!(w.gateway.clients(), 1);
    w.pass_seconds(2);
    assert_eq!(w.gateway.clients(), 0);
    assert_eq!(w.heard(A), ["WILLTOPICREQ"], "silently");
}

#[test]
fn t_disconnected_same_proxy_same_clientid_reconnect_works_at_once() {
    let mut w = World::new();
    for _ in 0..3 {
        w.connect_with(A, "c1", 0x00, 60);
        assert_eq!(w.heard(A), ["CONNACK 0"]);
        w.send(A, "02 18");
        assert_eq!(w.heard(A), ["DISCONNECT"]);
    }
}

#[test]
fn t_takeover_on_udp_port_reuse_starts_a_session_of_its_own() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    assert_eq!(w.subscribe(A, "x/y", 1), 1025);
    w.connect(A, "c2");
    w.mqtt_publish("x/y", "1", 1);
    assert!(w.heard(A).is_empty(), "what is for c1 does not reach c2");
    assert_eq!(w.state("c2"), Some(State::Active));
    w.connect_with(B, "c1", 0x00, 60);
    assert_eq!(w.heard(B), ["CONNACK 0", "REGISTER 1025 x/y"], "c1 kept its session");
    w.regack(B, 0);
    assert_eq!(w.heard(B), ["PUBLISH n1025 q1 1"]);
    assert_eq!(w.state("c2"), Some(State::Active), "and c2 its own");
}

#[test]
fn t_disconnected_same_source_tuple_reused_by_other_clientid_keeps_the_parked_session() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.subscribe(A, "x/y", 1);
    w.send(A, "02 18");
    w.heard(A);
    w.connect(A, "c2");
    w.mqtt_publish("x/y", "1", 1);
    assert!(w.heard(A).is_empty());
    w.send(A, "02 18");
    w.heard(A);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["CONNACK 0", "REGISTER 1025 x/y"]);
}

#[test]
fn t_connected_same_source_tuple_reused_lets_the_silent_one_be_lost() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.send(A, CW);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.heard(A);
    w.connect(A, "c2");
    for _ in 0..3 {
        w.pass_seconds(31);
        w.send(A, "02 16");
    }
    assert_eq!(w.heard(A), ["PINGRESP", "PINGRESP", "PINGRESP"], "no DISCONNECT of c1 lands here");
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
    assert_eq!(w.gateway.clients(), 1);
}

#[test]
fn a_late_publish_of_the_former_owner_of_a_port_names_no_topic_of_the_new_one() {
    // Ids start at a drawn offset, so the two sessions hardly share one.
    let mut w = World::with(Config::default());
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    let old = w.register(A, "secret");
    w.send(A, "02 18");
    w.heard(A);
    w.connect(A, "c2");
    let new = w.register(A, "open");
    assert_ne!(old, new);
    let id = old.to_be_bytes();
    w.send_bytes(&peer(A), &[0x08, 0x0C, 0x20, id[0], id[1], 0, 9, b'x']);
    assert_eq!(w.heard(A), [format!("PUBACK {old} #9 2")]);
    assert!(w.mqtt_heard().is_empty());
}

#[test]
fn client_ids_of_strangers_do_not_match_by_prefix() {
    let mut w = World::new();
    w.connect(A, "hij12");
    w.connect(B, "hij1");
    assert_eq!((w.state("hij12"), w.state("hij1")), (Some(State::Active), Some(State::Active)));
}

#[test]
fn refusals_of_connect_say_why() {
    let mut w = World::new();
    w.send(A, "08 04 04 02 003C 6331"); // protocol 2
    w.send(A, "06 04 04 01 003C"); // no ClientId
    w.send(A, "08 04 04 01 003C 6300"); // NUL
    w.send(A, "08 04 04 01 003C FFFE"); // no UTF-8
    assert_eq!(w.heard(A), ["CONNACK 3"; 4]);
    let mut long = hex("01 0106 04 04 01 003C");
    long.resize(0x106, b'A');
    w.send_bytes(&peer(A), &long);
    assert_eq!(w.heard(A), ["CONNACK 0"], "254 octets");
    w.send(A, "02 18");
    let mut long = hex("01 0108 04 04 01 003C");
    long.resize(0x108, b'A');
    w.send_bytes(&peer(A), &long);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 3"], "256 octets");
    for id in ["a/b", "+#", "\u{1b}[31m", "pub0sub1 MQTT-SN"] {
        w.connect(B, id);
        w.send(B, "02 18");
        w.heard(B);
    }
}

#[test]
fn a_full_gateway_says_congestion() {
    let limits = Limits { clients_max: 1, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.connect(A, "c1");
    w.connect_with(B, "c2", 0x04, 60);
    assert_eq!(w.heard(B), ["CONNACK 1"]);
    w.send(A, C);
    assert_eq!(w.heard(A), ["CONNACK 0"], "who is here may stay");
    let limits = Limits { handshakes_max: 1, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.send(A, CW);
    w.connect_with(B, "c2", 0x04, 60);
    assert_eq!(w.heard(B), ["CONNACK 1"]);
}

#[test]
fn a_client_that_connects_from_two_places_in_turn_has_one_session() {
    let mut w = World::new();
    for _ in 0..500 {
        w.connect_with(A, "c1", 0x00, 60);
        w.connect_with(B, "c1", 0x00, 60);
    }
    assert_eq!(w.gateway.clients(), 1);
    assert_eq!(w.broker.status().attached, 2, "c1 and the MQTT client");
}

#[test]
fn keep_alive_zero_is_not_supervised_for_a_day() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x04, 0);
    assert_eq!(w.heard(A), ["CONNACK 0"]);
    w.pass_seconds(86_399);
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PINGRESP"]);
}

#[test]
fn an_mqtt_client_of_the_same_name_takes_the_session_over() {
    let mut w = World::new();
    w.connect(A, "mqtt");
    w.mqtt_publish("x", "1", 0);
    assert!(w.heard(A).is_empty());
    assert_eq!(w.state("mqtt"), Some(State::Active));
}

#[test]
fn t_connected_clean_session_false_same_source_tuple_reused_preserves_session() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.subscribe(A, "x/y", 1);
    w.connect(A, "c2");
    w.mqtt_publish("x/y", "1", 1);
    w.pass_seconds(89);
    w.send(A, "02 16");
    w.heard(A);
    w.pass_seconds(2); // c1 is lost, its session stays
    w.connect_with(B, "c1", 0x00, 60);
    assert_eq!(w.heard(B), ["CONNACK 0", "REGISTER 1025 x/y"]);
}

#[test]
fn answers_leave_from_the_address_that_was_hit() {
    let mut w = World::new();
    for (local, listener) in [("192.0.2.1", 3), ("192.0.2.2", 3), ("2001:db8::1", 4)] {
        let mut from = peer(A);
        from.address.local = Some(local.parse().expect("ip"));
        from.address.listener = broker_core::frontend::ListenerId(listener);
        for message in ["02 18", "03 01 00"] {
            w.send_bytes(&from, &hex(message));
            assert_eq!(w.sent.last().map(|(to, ..)| *to), Some(from.address));
        }
        w.send_bytes(&from, &hex("08 04 04 01 003C 6331"));
        w.send_bytes(&from, &hex("06 12 00 0001 61"));
        w.mqtt_publish("a", "1", 0);
        assert_eq!(w.sent.last().map(|(to, ..)| *to), Some(from.address), "deliveries too");
    }
}

#[test]
fn the_gateway_says_nothing_unasked_to_an_idle_client() {
    let groups = vec![group("225.1.1.1:1883", 0)];
    let mut w = World::with(Config { groups, ..plain() });
    w.connect_with(A, "c1", 0x04, 0);
    w.heard(A);
    w.pass_seconds(80_000);
    assert!(w.heard(A).is_empty(), "no ADVERTISE, no PINGREQ");
}

#[test]
fn a_refused_second_connect_leaves_the_first_session_as_it_was() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 20 772F74");
    w.send(A, "05 09 627965");
    w.subscribe(A, "x/y", 0);
    w.heard(A);
    w.broker.set_authentication(true);
    w.connect_with(A, "c1", 0x04, 60);
    w.refuse_authentication();
    assert_eq!(w.heard(A), ["CONNACK 3"]);
    w.mqtt_publish("x/y", "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
    w.connect_with(A, "c1", 0x04, 60);
    w.pass_seconds(11); // nobody answers for the credentials
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PINGRESP"]);
    assert_eq!(w.gateway.clients(), 1);
    w.pass_seconds(91);
    assert_eq!(w.mqtt_heard(), ["w/t bye q1"]);
}

#[test]
fn a_connect_that_nobody_answers_for_leaves_nothing() {
    let mut w = World::new();
    w.broker.set_authentication(true);
    for number in 0..10 {
        w.connect_with(&format!("10.0.0.7:{}", 1000 + number), &format!("c{number}"), 0x04, 60);
    }
    assert_eq!(w.gateway.clients(), 10);
    w.pass_seconds(11);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn a_repeated_will_handshake_on_the_same_connection_publishes_no_will() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    for _ in 0..2 {
        w.send(A, CW);
        w.send(A, "06 07 20 772F74");
        w.send(A, "05 09 627965");
        assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 0"]);
    }
    assert!(w.mqtt_heard().is_empty(), "the CONNACK was lost: nobody died");
    assert_eq!(w.gateway.clients(), 1);
}

#[test]
fn a_slow_handshake_has_its_time_anew_with_each_of_its_messages() {
    let mut w = World::new();
    w.send(A, CW);
    w.pass_seconds(9);
    w.send(A, "06 07 20 772F74");
    w.pass_seconds(9);
    w.send(A, "05 09 627965");
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 0"]);
}

#[test]
fn a_connect_after_an_acknowledgement_is_no_copy() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.subscribe(A, "t/1", 1);
    w.send(A, "02 18");
    w.mqtt_publish("t/1", "m", 1);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "REGISTER 1025 t/1"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 m"]);
    // It restarts, and has forgotten the id again.
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["CONNACK 0", "REGISTER 1025 t/1"]);
}
