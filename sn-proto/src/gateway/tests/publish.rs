//! PUBLISH from a client, and without one (MQTT-SN §6.6–6.8).

use super::topics::predefined;
use super::world::*;
use crate::config::Config;

fn world() -> World {
    let mut w = World::with(predefined());
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    w
}

const HELLO: &str = "/predefined/topic/name/hello";

#[test]
fn t_publish_qos0_case01_predefined_both_ways() {
    let mut w = world();
    w.send(A, "07 12 01 0001 0001");
    w.heard(A);
    w.send(A, "08 0C 01 0001 0000 31");
    assert_eq!(w.heard(A), ["PUBLISH p1 q0 1"]);
    assert_eq!(w.mqtt_heard(), [format!("{HELLO} 1 q0")]);
}

#[test]
fn t_publish_qos0_case02_predefined_publish_reaches_a_name_subscriber_by_its_normal_id() {
    let mut w = world();
    w.subscribe(A, HELLO, 0);
    w.send(A, "08 0C 01 0001 0000 31");
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
}

#[test]
fn t_publish_qos0_case3_predefined_flag_with_a_normal_id() {
    let mut w = world();
    w.register(A, "a/b");
    w.send(A, "08 0C 01 0401 0000 31");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q0"]);
}

#[test]
fn t_publish_qos0_case05_a_short_filter_may_be_subscribed() {
    let mut w = world();
    w.send(A, "07 12 02 0001 2F23"); // "/#"
    assert_eq!(w.heard(A), ["SUBACK 0 q0 #1 0"]);
    w.mqtt_publish("/a", "1", 0);
    assert_eq!(w.heard(A), ["PUBLISH s/a q0 1"]);
}

#[test]
fn t_publish_qos0_case06_a_normal_id_is_delivered_with_msg_id_0() {
    let mut w = world();
    w.subscribe(A, "a/b", 0);
    w.send(A, "08 0C 00 0401 0000 31");
    assert_eq!(w.heard_bytes(A), [hex("08 0C 00 0401 0000 31")]);
}

#[test]
fn t_publish_qos1_case01_puback_goes_before_the_echo() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.send(A, "08 0C 20 0401 0009 31");
    assert_eq!(w.heard(A), ["PUBACK 1025 #9 0", "PUBLISH n1025 q1 1"]);
}

#[test]
fn t_publish_qos1_case02_to_06_return_codes() {
    let mut w = world();
    w.send(A, "08 0C 21 0001 0009 31");
    assert_eq!(w.heard(A), ["PUBACK 1 #9 0"], "predefined");
    w.send(A, "08 0C 21 0063 000A 31");
    assert_eq!(w.heard(A), ["PUBACK 99 #10 2"], "unknown predefined");
    w.send(A, "08 0C 22 7431 000B 31");
    assert_eq!(w.heard_bytes(A), [hex("07 0D 7431 000B 00")], "the two octets come back");
    w.send(A, "08 0C 22 2F23 000C 31");
    w.send(A, "08 0C 22 2F2B 000D 31");
    w.send(A, "08 0C 22 6100 000E 31");
    w.send(A, "08 0C 23 7431 000F 31");
    assert_eq!(
        w.heard(A),
        ["PUBACK 12067 #12 3", "PUBACK 12075 #13 3", "PUBACK 24832 #14 3", "PUBACK 29745 #15 3"]
    );
    w.send(A, "08 0C 03 7431 0000 31");
    w.send(A, "08 0C 02 2F23 0000 31");
    assert!(w.heard(A).is_empty(), "nobody waits for an answer at QoS 0");
    w.send(A, "08 0C 40 0900 000E 31");
    w.send(A, "08 0C 00 0900 0000 31");
    assert_eq!(w.heard(A), ["PUBACK 2304 #14 2", "PUBACK 2304 #0 2"], "an unknown id is told at any QoS");
    assert_eq!(w.mqtt_heard(), [format!("{HELLO} 1 q1"), "t1 1 q1".into()]);
}

#[test]
fn t_publish_qos2_case01_to_03_the_echo_comes_before_pubcomp() {
    for (subscribe, publish, echo) in [
        ("06 12 40 0001 61", "08 0C 40 0401 0009 31", "PUBLISH n1025 q2 1"),
        ("07 12 41 0001 0001", "08 0C 41 0001 0009 31", "PUBLISH p1 q2 1"),
        ("07 12 42 0001 7431", "08 0C 42 7431 0009 31", "PUBLISH st1 q2 1"),
    ] {
        let mut w = world();
        w.send(A, subscribe);
        w.heard(A);
        w.send(A, publish);
        assert_eq!(w.heard(A), ["PUBREC #9"]);
        w.send(A, "04 10 0009");
        assert_eq!(w.heard(A), [echo, "PUBCOMP #9"]);
    }
}

#[test]
fn qos_2_is_exactly_once_whatever_is_repeated() {
    let mut w = world();
    w.register(A, "a/b");
    let publish = "08 0C 40 0401 0009 31";
    let again = "08 0C C0 0401 0009 31";
    for message in [publish, again, again, "04 10 0009", "04 10 0009", again, "04 10 0009"] {
        w.send(A, message);
    }
    assert_eq!(
        w.heard(A),
        ["PUBREC #9", "PUBREC #9", "PUBREC #9", "PUBCOMP #9", "PUBCOMP #9", "PUBREC #9", "PUBCOMP #9"]
    );
    assert_eq!(w.mqtt_heard(), ["a/b 1 q2"], "a copy after PUBREL is known too");
    w.send(A, "08 0C 40 0401 0009 32");
    w.send(A, "04 10 0009");
    assert_eq!(w.mqtt_heard(), ["a/b 2 q2"], "the same MsgId with another payload is another message");
    w.pass_seconds(11);
    w.send(A, publish);
    w.send(A, "04 10 0009");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q2"], "a copy is not as late as that");
}

#[test]
fn a_client_keeps_no_memory_for_messages_that_are_done() {
    let mut w = World::new();
    w.mqtt_subscribe("ab");
    w.connect(A, "c1");
    w.subscribe(A, "a/b", 2);
    let holds = |w: &World| {
        let (_, client) = w.gateway.clients.iter().find(|(_, it)| &*it.name == "c1").expect("it is there");
        (client.incoming.is_some(), client.outgoing.is_some(), client.released.until().is_some())
    };
    assert_eq!(holds(&w), (false, false, false));
    w.send(A, "08 0C 22 6162 0001 31");
    assert_eq!(w.heard(A), ["PUBACK 24930 #1 0"]);
    assert_eq!(holds(&w), (false, false, false));
    w.send(A, "08 0C 42 6162 0002 31");
    assert_eq!(holds(&w), (true, false, false));
    w.send(A, "04 10 0002");
    assert_eq!(w.heard(A), ["PUBREC #2", "PUBCOMP #2"]);
    assert_eq!(holds(&w), (false, false, true), "a late copy is known for a while");
    w.pass_seconds(11);
    assert_eq!(holds(&w), (false, false, false));
    w.mqtt_publish("a/b", "1", 2);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 1"]);
    assert_eq!(holds(&w), (false, true, false));
    w.msg_id_only(A, 0x0F);
    w.msg_id_only(A, 0x0E);
    assert_eq!(holds(&w), (false, false, false));
}

#[test]
fn released_msg_ids_are_forgotten_at_connect() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    for _ in 0..2 {
        w.connect(A, "c1");
        w.send(A, "08 0C 42 6162 0001 31");
        w.send(A, "04 10 0001");
        w.heard(A);
        assert_eq!(w.mqtt_heard(), ["ab 1 q2"]);
    }
}

#[test]
fn too_many_unreleased_qos_2_messages_are_congestion() {
    let mut w = world();
    w.broker.set_limits(
        w.now,
        broker_core::Limits { incoming_qos2_max: 32, ..broker_core::Limits::default() },
        &mut broker_core::Effects::default(),
    );
    w.register(A, "a/b");
    for msg_id in 1..=40u16 {
        let id = msg_id.to_be_bytes();
        w.send_bytes(&peer(A), &[0x08, 0x0C, 0x40, 0x04, 0x01, id[0], id[1], b'x']);
    }
    let heard = w.heard(A);
    assert_eq!(heard[31], "PUBREC #32");
    assert_eq!(heard[32], "PUBACK 1025 #33 1");
    assert_eq!(heard.len(), 40);
}

#[test]
fn pubrel_of_an_unknown_msg_id_is_answered() {
    let mut w = world();
    w.send(A, "04 10 1234");
    assert_eq!(w.heard(A), [format!("PUBCOMP #{}", 0x1234)]);
}

#[test]
fn a_message_may_be_empty_and_retained() {
    let mut w = world();
    w.register(A, "a/b");
    w.send(A, "08 0C 30 0401 0001 31");
    w.mqtt_subscribe("a/b");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q1", "a/b 1 q1 R"]);
    w.send(A, "07 0C 30 0401 0002");
    assert_eq!(w.heard(A), ["PUBACK 1025 #1 0", "PUBACK 1025 #2 0"]);
    w.mqtt_heard();
    w.mqtt_subscribe("a/b");
    assert!(w.mqtt_heard().is_empty(), "deleted");
}

#[test]
fn a_long_message_uses_the_long_form_both_ways() {
    let mut w = world();
    w.subscribe(A, "a/b", 0);
    let mut publish = hex("01 0800 0C 00 0401 0000");
    publish.resize(0x800, b'x');
    w.send_bytes(&peer(A), &publish);
    assert_eq!(w.heard_bytes(A), [publish]);
    let mut paho = hex("01 00FF 0C 00 0401 0000"); // says 255, is 257
    paho.resize(257, b'y');
    w.send_bytes(&peer(A), &paho);
    assert_eq!(w.heard_bytes(A)[0].len(), 255, "and ours is right");
}

#[test]
fn t_publish_negqos_enabled_a_connected_client_may_use_qos_minus_one() {
    let mut w = world();
    w.register(A, "a/b");
    w.send(A, "08 0C 60 0401 0000 31");
    w.send(A, "08 0C 61 0001 0000 32");
    w.send(A, "08 0C 62 7431 0000 33");
    w.send(A, "0C 0C 60 0003 0000 782F79 3434");
    assert_eq!(
        w.mqtt_heard(),
        ["a/b 1 q0".into(), format!("{HELLO} 2 q0"), "t1 3 q0".into(), "x/y 44 q0".into()]
    );
    assert!(w.heard(A).is_empty());
    w.send(A, "08 0C 60 0999 0000 31");
    assert!(w.heard(A).is_empty(), "and nobody waits for an answer");
}

#[test]
fn t_publish_negqos_of_a_stranger_goes_under_an_identity_of_its_own() {
    let mut w = world();
    w.send(B, "08 0C 61 0001 0000 31");
    w.send(B, "08 0C 62 7431 0000 32");
    w.send(B, "0B 0C 60 0003 0000 782F79 33"); // inline name
    assert_eq!(w.mqtt_heard(), [format!("{HELLO} 1 q0"), "t1 2 q0".into(), "x/y 3 q0".into()]);
    for drop in [
        "08 0C 61 0063 0000 31",
        "08 0C 61 0003 0000 31",
        "08 0C 62 2B23 0000 31",
        "09 0C 60 FFFF 0000 6162",
        "08 0C 63 7431 0000 31",
        "0B 0C 60 0003 0000 782F23 33",
    ] {
        w.send(B, drop);
    }
    assert!(w.mqtt_heard().is_empty() && w.heard(B).is_empty());
    assert_eq!(w.gateway.counters().minus_one_dropped, 6);
    assert_eq!(w.gateway.clients(), 1, "and leaves no trace");
}

#[test]
fn t_publish_negqos_disabled_is_dropped_silently() {
    let mut w = World::with(Config { qos_minus_one: false, ..predefined() });
    w.mqtt_subscribe("#");
    w.send(B, "08 0C 61 0001 0000 31");
    assert!(w.mqtt_heard().is_empty() && w.heard(B).is_empty());
    assert_eq!(w.gateway.counters().minus_one_dropped, 1);
}

#[test]
fn t_publish_negqos_goes_through_the_acl() {
    let mut w = world();
    w.mqtt_subscribe("$SYS/x");
    w.send(B, "0E 0C 60 0006 0000 245359532F78 33");
    assert!(w.mqtt_heard().is_empty());
    assert_eq!(w.broker.counters().publishes_denied, 1);
}

#[test]
fn a_denied_publish_is_refused_where_somebody_waits() {
    let mut w = world();
    let id = w.register(A, "$SYS/x");
    assert_eq!(id, 1025);
    w.send(A, "08 0C 00 0401 0000 31");
    w.send(A, "08 0C 20 0401 0001 31");
    w.send(A, "08 0C 40 0401 0002 31");
    assert_eq!(w.heard(A), ["PUBACK 1025 #1 3", "PUBACK 1025 #2 3"]);
    assert!(w.mqtt_heard().is_empty());
    for msg_id in 3..=200u8 {
        w.send_bytes(&peer(A), &[0x08, 0x0C, 0x40, 0x04, 0x01, 0, msg_id, b'x']);
        assert_eq!(w.heard(A), [format!("PUBACK 1025 #{msg_id} 3")], "denied ones fill no window");
    }
}

#[test]
fn t_pub_sub_short_name_to_a_filter_needs_no_register() {
    let mut w = world();
    w.subscribe(A, "#", 0);
    w.send(A, "08 0C 02 7431 0000 31");
    assert_eq!(w.heard(A), ["PUBLISH st1 q0 1"]);
}

#[test]
fn unused_flag_bits_and_a_msg_id_at_qos_0_are_ignored() {
    let mut w = world();
    w.register(A, "a/b");
    w.send(A, "08 0C 0C 0401 1234 31");
    assert_eq!(w.mqtt_heard(), ["a/b 1 q0"]);
    assert!(w.heard(A).is_empty());
}

/// PUBLISH QoS 2 to "ab" with this MsgId and payload.
fn exactly_once(msg_id: u16, payload: u8) -> Vec<u8> {
    let id = msg_id.to_be_bytes();
    vec![0x08, 0x0C, 0x42, b'a', b'b', id[0], id[1], payload]
}

#[test]
fn msg_id_0_and_65535_are_two_messages() {
    let mut w = world();
    w.send_bytes(&peer(A), &exactly_once(0xFFFF, b'1'));
    w.send_bytes(&peer(A), &exactly_once(0, b'2'));
    assert_eq!(w.heard(A), ["PUBREC #65535", "PUBREC #0"]);
    w.send(A, "04 10 FFFF");
    w.send(A, "04 10 0000");
    assert_eq!(w.heard(A), ["PUBCOMP #65535", "PUBCOMP #0"]);
    assert_eq!(w.mqtt_heard(), ["ab 1 q2", "ab 2 q2"]);
}

#[test]
fn msg_id_0_and_32768_are_two_messages_one_after_the_other() {
    for (first, second) in [(0, 0x8000), (0x8000, 0)] {
        let mut w = world();
        w.send_bytes(&peer(A), &exactly_once(first, b'1'));
        assert_eq!(w.heard(A), [format!("PUBREC #{first}")]);
        w.send_bytes(&peer(A), &exactly_once(second, b'2'));
        assert_eq!(w.heard(A), [format!("PUBACK 24930 #{second} 1")], "it comes again");
        assert_eq!(
            w.mqtt_heard(),
            ["ab 1 q2"],
            "the older one does not wait for a PUBREL that may never come"
        );
        w.send_bytes(&peer(A), &exactly_once(first, b'1'));
        w.send_bytes(&peer(A), &exactly_once(second, b'2'));
        assert_eq!(w.heard(A), [format!("PUBREC #{first}"), format!("PUBREC #{second}")]);
        for msg_id in [first, second] {
            let id = u16::to_be_bytes(msg_id);
            w.send_bytes(&peer(A), &[0x04, 0x10, id[0], id[1]]);
            assert_eq!(w.heard(A), [format!("PUBCOMP #{msg_id}")]);
        }
        assert_eq!(w.mqtt_heard(), ["ab 2 q2"]);
    }
}

#[test]
fn msg_id_0_stays_apart_from_32768_over_a_new_connection() {
    for from in [A, B] {
        let mut w = world();
        w.connect_with(A, "c1", 0, 60);
        w.send_bytes(&peer(A), &exactly_once(0, b'1'));
        w.heard(A);
        w.send(A, "02 16");
        w.connect_with(from, "c1", 0, 60);
        w.heard(from);
        w.send_bytes(&peer(from), &exactly_once(0x8000, b'2'));
        assert_eq!(w.heard(from), ["PUBACK 24930 #32768 1"]);
        w.send_bytes(&peer(from), &exactly_once(0x8000, b'2'));
        w.send(from, "04 10 0000");
        w.send(from, "04 10 8000");
        assert_eq!(w.heard(from), ["PUBREC #32768", "PUBCOMP #0", "PUBCOMP #32768"]);
        assert_eq!(w.mqtt_heard(), ["ab 1 q2", "ab 2 q2"]);
    }
}

#[test]
fn pubrel_of_msg_id_0_is_answered_with_it_after_a_new_connection() {
    let mut w = world();
    w.connect_with(A, "c1", 0, 60);
    w.send_bytes(&peer(A), &exactly_once(0, b'1'));
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0, 60);
    w.heard(A);
    w.send_bytes(&peer(A), &exactly_once(0, b'1'));
    w.send(A, "04 10 0000");
    w.send(A, "04 10 0000");
    assert_eq!(w.heard(A), ["PUBREC #0", "PUBCOMP #0", "PUBCOMP #0"]);
    assert_eq!(w.mqtt_heard(), ["ab 1 q2"]);
}

#[test]
fn msg_id_0_at_qos_1_does_not_get_the_answer_of_another() {
    let mut w = world();
    for message in ["08 0C 22 6162 0000 31", "08 0C 22 6162 8000 32", "08 0C 22 6162 FFFF 33"] {
        w.gateway_only(&peer(A), &hex(message));
    }
    w.run();
    assert_eq!(w.heard(A), ["PUBACK 24930 #0 0", "PUBACK 24930 #32768 0", "PUBACK 24930 #65535 0"]);
    w.gateway_only(&peer(A), &exactly_once(0, b'4'));
    w.gateway_only(&peer(A), &hex("08 0C 22 6162 8000 35"));
    w.run();
    let mut heard = w.heard(A);
    heard.sort();
    assert_eq!(heard, ["PUBACK 24930 #32768 0", "PUBREC #0"]);
}
