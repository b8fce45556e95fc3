//! Every message in every state: the table of [`crate::client::state`], and what comes out of the gateway.

use super::world::*;
use crate::client::{Column, Rule, State, Weight, rule, weight};
use crate::wire::Message;

/// Every message type, with the answer in each state: unknown, handshake, connecting, active, asleep, awake.
/// `D` is DISCONNECT, `-` silence, `H…` is handled with the answer given.
const TABLE: &[(&str, [&str; 6])] = &[
    ("05 00 09 0384", ["-", "-", "-", "-", "-", "-"]), // ADVERTISE
    ("03 01 00", ["GWINFO 1"; 6]),                     // SEARCHGW
    ("03 02 09", ["-"; 6]),                            // GWINFO
    ("08 04 00 01 003C 6331", ["CONNACK 0", "CONNACK 0", "-", "CONNACK 0", "CONNACK 0", "CONNACK 0"]),
    (
        "08 04 0C 01 003C 6331",
        ["WILLTOPICREQ", "WILLTOPICREQ", "-", "WILLTOPICREQ", "WILLTOPICREQ", "WILLTOPICREQ"],
    ),
    ("03 05 00", ["-"; 6]),                                       // CONNACK
    ("02 06", ["-"; 6]),                                          // WILLTOPICREQ
    ("06 07 00 772F74", ["-", "WILLMSGREQ", "-", "-", "-", "-"]), // WILLTOPIC
    ("02 07", ["-", "CONNACK 0", "-", "-", "-", "-"]),            // WILLTOPIC, empty
    ("02 08", ["-"; 6]),                                          // WILLMSGREQ
    ("05 09 627965", ["-", "D", "-", "-", "-", "-"]),             // WILLMSG
    ("09 0A 0000 0001 612F63", ["D", "D", "-", "REGACK 1027 #1 0", "REGACK 1027 #1 0", "REGACK 1027 #1 0"]),
    ("07 0B 0401 0001 00", ["-"; 6]),                          // REGACK
    ("08 0C 00 0402 0000 31", ["D", "D", "-", "-", "-", "-"]), // PUBLISH QoS 0
    ("08 0C 20 0402 0009 31", ["D", "D", "-", "PUBACK 1026 #9 0", "PUBACK 1026 #9 0", "PUBACK 1026 #9 0"]),
    ("08 0C 40 0402 0009 31", ["D", "D", "-", "PUBREC #9", "PUBREC #9", "PUBREC #9"]),
    ("08 0C 62 7431 0000 31", ["-"; 6]), // PUBLISH QoS -1
    ("07 0D 0401 0001 00", ["-"; 6]),    // PUBACK
    ("04 0E 0001", ["-"; 6]),            // PUBCOMP
    ("04 0F 0001", ["-", "-", "-", "PUBREL", "PUBREL", "PUBREL"]), // PUBREC
    ("04 10 0009", ["D", "D", "-", "PUBCOMP #9", "PUBCOMP #9", "PUBCOMP #9"]), // PUBREL
    (
        "06 12 20 0001 64",
        ["D", "D", "-", "SUBACK 1027 q1 #1 0", "SUBACK 1027 q1 #1 0", "SUBACK 1027 q1 #1 0"],
    ),
    ("08 13 00 0000 0001 00", ["-"; 6]), // SUBACK
    ("06 14 00 0001 64", ["D", "D", "-", "UNSUBACK #1", "UNSUBACK #1", "UNSUBACK #1"]),
    ("04 15 0001", ["-"; 6]),                                   // UNSUBACK
    ("02 16", ["D", "D", "-", "PINGRESP", "WAKE", "DUP"]),      // PINGREQ
    ("04 16 6331", ["D", "D", "-", "PINGRESP", "WAKE", "DUP"]), // PINGREQ(own id)
    ("04 16 7878", ["D", "D", "-", "D", "D", "D"]),             // PINGREQ(another id)
    ("02 17", ["-"; 6]),                                        // PINGRESP
    ("02 18", ["D"; 6]),                                        // DISCONNECT
    ("04 18 003C", ["D"; 6]),                                   // DISCONNECT(d)
    ("06 1A 00 772F74", ["D", "D", "-", "WILLTOPICRESP 0", "WILLTOPICRESP 0", "WILLTOPICRESP 0"]),
    ("02 1A", ["-", "D", "-", "WILLTOPICRESP 0", "WILLTOPICRESP 0", "WILLTOPICRESP 0"]),
    ("03 1B 00", ["-"; 6]), // WILLTOPICRESP
    ("03 1C 78", ["D", "D", "-", "WILLMSGRESP 3", "WILLMSGRESP 3", "WILLMSGRESP 3"]),
    ("02 1C", ["-", "D", "-", "WILLMSGRESP 3", "WILLMSGRESP 3", "WILLMSGRESP 3"]),
    ("03 1D 00", ["-"; 6]), // WILLMSGRESP
];

/// A client "c1" at [`A`] in this state, subscribed to "a/b" (id 1025), with "z" (id 1026)
/// registered, and with a message waiting or open where that can be.
fn in_state(column: Column) -> World {
    let mut w = World::new();
    let Column::Known(state) = column else { return w };
    match state {
        State::Handshake => w.send(A, "08 04 0C 01 003C 6331"),
        State::Connecting => {
            // The broker asks about credentials, and nobody answers.
            w.broker.set_authentication(true);
            w.send(A, "08 04 04 01 003C 6331");
        }
        State::Active | State::Asleep | State::Awake => {
            w.connect_with(A, "c1", 0x00, 60);
            w.subscribe(A, "a/b", 1);
            w.register(A, "z");
            w.send(A, "02 16"); // so that nothing counts as a copy of the CONNECT
        }
    }
    if matches!(state, State::Asleep | State::Awake) {
        w.send(A, "04 18 003C");
        w.mqtt_publish("a/b", "m", 1);
    }
    if state == State::Awake {
        w.send(A, "02 16");
    }
    w.heard(A);
    assert_eq!(w.state("c1"), Some(state));
    w
}

#[test]
fn every_message_in_every_state_has_its_answer() {
    for (message, answers) in TABLE {
        for (column, answer) in Column::ALL.into_iter().zip(answers) {
            let mut w = in_state(column);
            w.send(A, message);
            let heard = w.heard(A);
            let first = heard.first().map_or("-", String::as_str);
            let expected = match *answer {
                "D" => "DISCONNECT",
                "WAKE" => "PUBLISH n1025 q1 m",
                "DUP" => "PUBLISH n1025 q1 DUP m",
                other => other,
            };
            assert_eq!(first, expected, "{message} in {column:?}: {heard:?}");
            // Whatever it was: the gateway lives on, and the next client is served.
            w.pass_seconds(200);
            w.broker.set_authentication(false);
            w.connect(B, "other");
        }
    }
}

/// What an address hears first that sends `message`, `D` and the like written out.
fn first_answer(w: &mut World, message: &str) -> String {
    w.send(A, message);
    w.heard(A).into_iter().next().unwrap_or_else(|| "-".into())
}

#[test]
fn the_address_of_a_session_that_is_parked_lost_or_gone_is_a_strangers() {
    for (message, answers) in TABLE {
        let expected = if answers[0] == "D" { "DISCONNECT" } else { answers[0] };
        for (clean, lost) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut w = World::new();
            w.connect_with(A, "c1", if clean { 0x04 } else { 0x00 }, 60);
            w.subscribe(A, "a/b", 1);
            if lost {
                w.pass_seconds(91);
            } else {
                w.send(A, "02 18");
            }
            assert_eq!(w.heard(A), ["DISCONNECT"]);
            assert_eq!(first_answer(&mut w, message), expected, "{message}, clean {clean}, lost {lost}");
        }
        // A sleeper that did not come back in time hears nothing of it, and is a stranger too.
        let mut w = in_state(Column::Known(State::Asleep));
        w.pass_seconds(91);
        assert!(w.heard(A).is_empty());
        assert_eq!(first_answer(&mut w, message), expected, "{message} after a sleep");
    }
}

#[test]
fn beside_a_live_session_a_request_ends_the_handshake_and_the_live_state_answers() {
    for (message, answers) in TABLE {
        let kind = hex(message)[1];
        for (at, state) in [(3, State::Active), (4, State::Asleep), (5, State::Awake)] {
            let mut w = in_state(Column::Known(state));
            w.send(A, "08 04 08 01 003C 6331");
            w.send(A, "06 07 00 772F74");
            assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ"]);
            let expected = match answers[at] {
                // The handshake's own messages go on with it.
                _ if message.starts_with("06 07") => "WILLMSGREQ",
                _ if kind == 0x07 || kind == 0x09 => "CONNACK 0",
                "D" => "DISCONNECT",
                "WAKE" => "PUBLISH n1025 q1 m",
                "DUP" => "PUBLISH n1025 q1 DUP m",
                other => other,
            };
            assert_eq!(first_answer(&mut w, message), expected, "{message} beside {state:?}");
            let is_request = weight(&Message::decode(&hex(message)).expect("good")) == Weight::Request;
            if is_request && w.state("c1").is_some() {
                w.heard(A);
                assert_eq!(first_answer(&mut w, "05 09 627965"), "-", "{message} ended it");
            }
        }
    }
}

#[test]
fn every_message_of_an_active_client_is_a_sign_of_life() {
    for (message, _) in TABLE {
        let kind = hex(message)[1];
        if matches!(kind, 0x04 | 0x18) {
            continue; // CONNECT and DISCONNECT begin and end the supervision
        }
        let mut w = in_state(Column::Known(State::Active));
        w.pass_seconds(80);
        w.send(A, message);
        w.pass_seconds(80);
        assert_eq!(w.state("c1"), Some(State::Active), "{message}");
        w.pass_seconds(11);
        assert_eq!(w.state("c1"), None, "{message}: and it counts once");
    }
}

#[test]
fn every_request_of_a_sleeper_sets_its_timer_anew() {
    for (message, answers) in TABLE {
        let kind = hex(message)[1];
        if matches!(kind, 0x04 | 0x18) || *message == "04 16 7878" || answers[4] == "-" || kind == 0x01 {
            continue;
        }
        let mut w = in_state(Column::Known(State::Asleep));
        w.pass_seconds(80);
        w.send(A, message);
        w.pass_seconds(80);
        assert!(matches!(w.state("c1"), Some(State::Asleep | State::Awake)), "{message}");
    }
}

#[test]
fn what_means_nothing_is_counted() {
    for (message, _) in TABLE {
        let bytes = hex(message);
        let message = Message::decode(&bytes).expect("good");
        for column in Column::ALL.into_iter().filter(|column| rule(*column, &message) == Rule::Drop) {
            let mut w = in_state(column);
            let before = w.gateway.counters().out_of_place;
            w.send_bytes(&peer(A), &bytes);
            assert_eq!(w.gateway.counters().out_of_place, before + 1, "{message:?} in {column:?}");
        }
    }
}

#[test]
fn another_client_id_at_the_address_of_one_in_any_state_gets_a_session_of_its_own() {
    for column in Column::ALL {
        let mut w = in_state(column);
        if column == Column::Known(State::Connecting) {
            w.broker.set_authentication(false);
        }
        w.connect_with(A, "c2", 0x04, 60);
        assert_eq!(w.heard(A), ["CONNACK 0"], "{column:?}");
        assert_eq!(w.state("c2"), Some(State::Active), "{column:?}");
        w.mqtt_publish("a/b", "for c1", 1);
        assert!(w.heard(A).is_empty(), "{column:?}");
        w.send(A, "02 16");
        assert_eq!(w.heard(A), ["PINGRESP"], "{column:?}");
    }
}

#[test]
fn the_table_of_rules_says_the_same() {
    for (text, answers) in TABLE {
        let bytes = hex(text);
        let message = Message::decode(&bytes).expect("good");
        for (column, answer) in Column::ALL.into_iter().zip(answers) {
            match rule(column, &message) {
                Rule::Drop => assert_eq!(*answer, "-", "{text} in {column:?}"),
                Rule::Disconnect | Rule::Abort => assert_eq!(*answer, "D", "{text} in {column:?}"),
                Rule::Handle => {}
            }
        }
    }
    let kinds: std::collections::BTreeSet<u8> = TABLE.iter().map(|(text, _)| hex(text)[1]).collect();
    assert_eq!(kinds.len(), 27, "every message type stands in the table");
}

#[test]
fn garbage_in_every_state_is_dropped() {
    for column in Column::ALL {
        for garbage in [
            "",
            "00",
            "01",
            "01 00",
            "02 0C",
            "FF 04 04 01",
            "02 03",
            "02 19",
            "02 1E",
            "02 FF",
            "03 FE 00",
            "03 04 04",
        ] {
            let mut w = in_state(column);
            w.send(A, garbage);
            assert!(w.heard(A).is_empty(), "{garbage} in {column:?}");
            if let Column::Known(state) = column {
                assert_eq!(w.state("c1"), Some(state));
            }
        }
    }
}
