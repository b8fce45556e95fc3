//! From the gateway to a client: REGISTER before PUBLISH, retransmission, giving up (MQTT-SN §6.10, §6.13).

use broker_core::link::QueueQos0;

use super::topics::predefined;
use super::world::*;
use crate::client::State;
use crate::config::Config;
use crate::limits::Limits;

fn world() -> World {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x04, 0);
    w.heard(A);
    w
}

#[test]
fn t_delivery_qos1_register_invalid_topic_id_registers_again_and_resends() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    let first = w.msg_id(A);
    w.puback(A, 2);
    assert_eq!(w.heard(A), ["REGISTER 1025 a/b"], "the same id");
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
    assert_eq!(w.msg_id(A), first, "the same MsgId");
    w.puback(A, 0);
    w.mqtt_publish("a/b", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
}

#[test]
fn a_client_that_never_knows_the_id_loses_the_message_and_nothing_else() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    for _ in 0..3 {
        w.heard(A);
        w.puback(A, 2);
        assert_eq!(w.heard(A), ["REGISTER 1025 a/b"]);
        w.regack(A, 0);
    }
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
    w.puback(A, 2);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
}

#[test]
fn an_unknown_predefined_id_cannot_be_registered_anew() {
    let mut w = World::with(predefined());
    w.connect(A, "c1");
    w.send(A, "07 12 21 0001 0001");
    w.heard(A);
    w.mqtt_publish("/predefined/topic/name/hello", "1", 1);
    assert_eq!(w.heard(A), ["PUBLISH p1 q1 1"]);
    w.puback(A, 2);
    assert!(w.heard(A).is_empty());
    w.mqtt_publish("/predefined/topic/name/hello", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH p1 q1 2"], "the next one gets its chance");
}

#[test]
fn a_puback_with_rc2_for_qos_0_has_the_id_registered_before_the_next_message() {
    let mut w = world();
    w.subscribe(A, "a/b", 0);
    w.mqtt_publish("a/b", "1", 0);
    w.heard(A);
    w.send(A, "07 0D 0401 0000 02");
    w.mqtt_publish("a/b", "2", 0);
    assert_eq!(w.heard(A), ["REGISTER 1025 a/b"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 2"]);
}

#[test]
fn a_message_is_sent_again_with_dup_and_then_parked() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.pass_seconds(9);
    assert!(w.heard(A).is_empty());
    for _ in 0..5 {
        w.pass_seconds(10);
        assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
    }
    w.pass_seconds(10);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"], "parked: those behind it go on");
    assert_eq!(w.state("c1"), Some(State::Active), "and the session lives");
    w.puback(A, 0);
    w.mqtt_publish("a/b", "3", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 3"]);
    w.puback(A, 0);
    w.pass_seconds(60);
    assert!(w.heard(A).is_empty());
    assert_eq!(w.gateway.counters().parked, 1);
}

#[test]
fn a_parked_message_comes_again_at_the_next_connect_three_times() {
    let mut w = World::new();
    for round in 0..4 {
        w.connect_with(A, "c1", 0x00, 0);
        let heard = w.heard(A);
        match round {
            0 => {
                w.subscribe(A, "ab", 1);
                w.mqtt_publish("ab", "1", 1);
                assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
            }
            1 | 2 => {
                assert_eq!(heard, ["CONNACK 0", "REGISTER 1025 ab"]);
                w.regack(A, 0);
                assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
            }
            _ => assert_eq!(heard, ["CONNACK 0"], "after three rounds it is dropped"),
        }
        w.pass_seconds(70);
        w.heard(A);
        w.send(A, "02 18");
        w.heard(A);
    }
}

#[test]
fn an_ack_that_comes_after_the_message_was_parked_counts() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.heard(A);
    w.subscribe(A, "ab", 1);
    w.mqtt_publish("ab", "1", 1);
    w.heard(A);
    w.pass_seconds(70);
    w.heard(A);
    w.puback(A, 0);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x00, 0);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0"]);
}

#[test]
fn qos_0_waits_behind_an_unacknowledged_message_for_one_retry_only() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
    w.pass_seconds(11);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1", "PUBLISH n1025 q0 2"]);
    w.mqtt_publish("a/b", "3", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 3"], "and no longer while it hangs");
}

#[test]
fn a_client_that_never_acks_gets_all_its_qos_0_messages() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    for round in 0..20 {
        w.mqtt_publish("a/b", "one", 1);
        w.mqtt_publish("a/b", "zero", 0);
        w.pass_seconds(70);
        let heard = w.heard(A);
        assert!(heard.contains(&"PUBLISH n1025 q0 zero".to_owned()), "round {round}: {heard:?}");
    }
}

#[test]
fn qos_2_is_resent_until_pubrec_and_pubrel_until_pubcomp() {
    let mut w = world();
    w.subscribe(A, "a/b", 2);
    w.mqtt_publish("a/b", "1", 2);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 1"]);
    w.pass_seconds(11);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 DUP 1"]);
    w.msg_id_only(A, 0x0F);
    assert_eq!(w.heard(A), ["PUBREL"]);
    w.msg_id_only(A, 0x0F);
    assert_eq!(w.heard(A), ["PUBREL"], "asked again");
    w.pass_seconds(11);
    assert_eq!(w.heard(A), ["PUBREL"], "and by itself");
    w.msg_id_only(A, 0x0E);
    w.pass_seconds(60);
    assert!(w.heard(A).is_empty());
}

#[test]
fn wrong_acknowledgements_change_nothing() {
    let mut w = world();
    w.subscribe(A, "a/b", 2);
    w.mqtt_publish("a/b", "1", 1);
    w.heard(A);
    w.msg_id_only(A, 0x0F); // PUBREC for QoS 1
    w.msg_id_only(A, 0x0E);
    w.send(A, "07 0B 0401 9999 00");
    w.send(A, "07 0D 0401 9999 00");
    w.send(A, "04 0E 9999");
    w.pass_seconds(11);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 1"]);
    w.puback(A, 0);
    w.mqtt_publish("a/b", "2", 2);
    w.heard(A);
    w.puback(A, 0); // PUBACK for QoS 2
    w.pass_seconds(11);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q2 DUP 2"]);
    w.send(A, "04 0F 9999");
    assert_eq!(w.heard(A), ["PUBREL"], "an unknown PUBREC: the client must not wait for ever");
}

#[test]
fn a_pubrec_that_comes_after_a_reconnect_keeps_qos_2_exactly_once() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.heard(A);
    w.send(A, "07 12 42 0001 6162");
    w.mqtt_publish("ab", "1", 2);
    assert_eq!(w.heard(A), ["SUBACK 0 q2 #1 0", "PUBLISH sab q2 1"]);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x00, 0);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "PUBLISH sab q2 DUP 1"]);
    w.msg_id_only(A, 0x0F);
    assert_eq!(w.heard(A), ["PUBREL"]);
    w.send(A, "02 18");
    w.connect_with(A, "c1", 0x00, 0);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "PUBREL"], "only PUBREL after PUBREC");
    w.msg_id_only(A, 0x0E);
    w.pass_seconds(60);
    assert!(w.heard(A).is_empty());
}

#[test]
fn a_refusal_by_rc3_ends_the_message_and_rc1_makes_it_wait() {
    let mut w = world();
    w.subscribe(A, "a/b", 1);
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    w.heard(A);
    w.puback(A, 3);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
    w.puback(A, 1);
    w.pass_seconds(299);
    assert!(w.heard(A).is_empty(), "T_WAIT");
    w.mqtt_publish("a/b", "3", 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 3"], "QoS 0 passes");
    w.pass_seconds(2);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP 2"]);
}

#[test]
fn t_register_skip_failure_topic_name() {
    let mut w = world();
    w.subscribe(A, "#", 1);
    w.mqtt_publish("t/x", "1", 1);
    w.mqtt_publish("t/y", "2", 1);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 2);
    assert_eq!(w.heard(A), ["REGISTER 1026 t/y"], "a refused topic is skipped, the filter remains");
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q1 2"]);
    w.puback(A, 0);
    w.mqtt_publish("t/x", "3", 1);
    assert!(w.heard(A).is_empty());
    assert_eq!(w.subscribe(A, "t/x", 1), 1025, "until the client asks for it by name");
    w.mqtt_publish("t/x", "4", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 4"]);
}

#[test]
fn t_register_reach_max_retry_times_parks_the_message_and_keeps_the_session() {
    let mut w = world();
    w.subscribe(A, "#", 1);
    w.mqtt_publish("t/x", "1", 1);
    for _ in 0..6 {
        assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
        w.pass_seconds(10);
    }
    assert!(w.heard(A).is_empty());
    assert_eq!(w.state("c1"), Some(State::Active));
    w.mqtt_publish("ab", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH sab q1 2"], "others go on");
}

#[test]
fn a_regack_with_a_wrong_topic_id_is_matched_by_its_msg_id() {
    let mut w = world();
    w.subscribe(A, "#", 1);
    w.mqtt_publish("t/x", "1", 0);
    w.heard(A);
    let id = w.msg_id(A).to_be_bytes();
    w.send_bytes(&peer(A), &[0x07, 0x0B, 0xAB, 0xCD, id[0], id[1], 0]);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 1"]);
}

#[test]
fn t_register_subs_resume_on_tells_each_id_again_before_its_first_message() {
    let mut w = World::with(Config { queue_qos0: QueueQos0::ALWAYS, ..plain() });
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.subscribe(A, "t/1", 1);
    w.subscribe(A, "t/2", 1);
    w.subscribe(A, "t/3", 1);
    w.send(A, "02 18");
    w.mqtt_publish("t/1", "m1", 0);
    w.mqtt_publish("t/2", "m2", 1);
    w.mqtt_publish("t/1", "m3", 1);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "REGISTER 1025 t/1"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 m1", "REGISTER 1026 t/2"]);
    w.mqtt_publish("t/3", "m4", 0);
    assert!(w.heard(A).is_empty(), "t_register_enqueue_delivering_messages: newcomers queue behind it");
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q1 m2"]);
    w.puback(A, 0);
    let heard = w.heard(A);
    assert_eq!(heard, ["PUBLISH n1025 q1 m3"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["REGISTER 1027 t/3"]);
}

#[test]
fn t_register_subs_resume_off_publishes_at_once_and_corrects() {
    let mut w = World::with(Config { subs_resume: false, ..plain() });
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.subscribe(A, "t/1", 2);
    w.mqtt_publish("t/1", "m0", 2);
    w.heard(A);
    w.msg_id_only(A, 0x0F);
    let released = w.msg_id(A);
    w.heard(A);
    w.send(A, "02 18");
    w.mqtt_publish("t/1", "m1", 1);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "PUBREL"], "with the same id");
    assert_eq!(w.msg_id(A), released);
    w.msg_id_only(A, 0x0E);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 m1"], "one in flight");
    w.puback(A, 2);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/1"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 DUP m1"]);
}

#[test]
fn a_client_that_answers_no_register_gets_the_topics_it_asked_for_all_the_same() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.heard(A);
    w.subscribe(A, "t/1", 1);
    w.send(A, "02 18");
    w.mqtt_publish("t/1", "m1", 1);
    w.connect_with(A, "c1", 0x00, 0);
    assert_eq!(w.heard(A), ["DISCONNECT", "CONNACK 0", "REGISTER 1025 t/1"]);
    w.pass_seconds(21);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/1", "PUBLISH n1025 q1 m1"]);
    w.puback(A, 0);
    w.mqtt_publish("t/1", "m2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 m2"], "and is not asked again");
}

#[test]
fn a_message_too_long_for_the_link_is_abandoned_silently() {
    let limits = Limits { datagram_bytes_max: 20, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.connect(A, "c1");
    w.subscribe(A, "#", 1);
    w.mqtt_publish("ab", "0123456789abcdef", 1);
    w.mqtt_publish("ab", "0123456789abcdef", 0);
    w.mqtt_publish("this/topic/is/too/long", "1", 1);
    w.mqtt_publish("this/topic/is/too/long", "1", 0);
    w.mqtt_publish("ab", "0123456789abc", 1);
    assert_eq!(w.heard(A), ["PUBLISH sab q1 0123456789abc"]);
    assert!(w.gateway.counters().oversize >= 4);
}

#[test]
fn an_empty_message_that_a_client_never_acks_stops_nothing_for_ever() {
    let mut w = world();
    w.subscribe(A, "ab", 1);
    w.mqtt_publish("ab", "", 1);
    w.mqtt_publish("ab", "next", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 "]);
    w.pass_seconds(61);
    assert_eq!(w.heard(A).last().map(String::as_str), Some("PUBLISH n1025 q1 next"));
}

#[test]
fn a_thousand_queued_messages_arrive_in_order() {
    let mut w = World::with(Config { queue_qos0: QueueQos0::ALWAYS, ..plain() });
    w.connect_with(A, "c1", 0x00, 0);
    w.heard(A);
    w.send(A, "07 12 22 0001 6162");
    w.send(A, "02 18");
    w.heard(A);
    for number in 0..900 {
        w.mqtt_publish("ab", &number.to_string(), u8::from(number % 3 != 0));
    }
    w.connect_with(A, "c1", 0x00, 0);
    let mut got = Vec::new();
    loop {
        let heard = w.heard(A);
        if heard.is_empty() {
            break;
        }
        got.extend(heard.into_iter().filter(|line| line.starts_with("PUBLISH")));
        w.puback(A, 0);
    }
    let numbers: Vec<u32> = got
        .iter()
        .map(|line| line.rsplit(' ').next().and_then(|it| it.parse().ok()).expect("a number"))
        .collect();
    assert_eq!(numbers, (0..900).collect::<Vec<_>>());
}

#[test]
fn qos_0_waits_for_the_asleep_but_not_for_the_parked_unless_asked_to() {
    for (queue_qos0, expected) in [
        (Config::default().queue_qos0, (true, false)),
        (QueueQos0::ALWAYS, (true, true)),
        (QueueQos0 { asleep: false, offline: true }, (false, true)),
    ] {
        let mut w = World::with(Config { queue_qos0, ..plain() });
        w.connect_with(A, "c1", 0x00, 60);
        w.heard(A);
        w.send(A, "07 12 02 0001 6162"); // short topic "ab"
        w.send(A, "04 18 003C");
        w.heard(A);
        w.mqtt_publish("ab", "1", 0);
        w.send(A, "02 16");
        let asleep = w.heard(A).len() == 2;
        w.send(A, "02 18");
        w.heard(A);
        w.mqtt_publish("ab", "2", 0);
        w.connect_with(A, "c1", 0x00, 60);
        assert_eq!((asleep, w.heard(A).len() == 2), expected, "{queue_qos0:?}");
    }
}

#[test]
fn the_msg_ids_of_registers_go_on_over_a_reconnect_so_that_a_late_regack_fits_none() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "1", 1);
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    let first = w.msg_id(A);
    w.connect_with(A, "c1", 0x00, 60);
    assert_eq!(w.heard(A), ["CONNACK 0", "REGISTER 1025 t/x"]);
    let second = w.msg_id(A);
    assert_eq!(second, first + 1);
    let id = first.to_be_bytes();
    w.send_bytes(&peer(A), &[0x07, 0x0B, 0x04, 0x01, id[0], id[1], 0]);
    assert!(w.heard(A).is_empty(), "the client of before the restart may have known the id");
    let id = second.to_be_bytes();
    w.send_bytes(&peer(A), &[0x07, 0x0B, 0x04, 0x01, id[0], id[1], 0]);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
}

#[test]
fn a_message_parked_behind_its_register_comes_without_dup() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.subscribe(A, "#", 1);
    w.send(A, "04 18 0E10");
    w.mqtt_publish("t/x", "1", 1);
    w.heard(A);
    w.send(A, "02 16");
    w.pass_seconds(70);
    let heard = w.heard(A);
    assert_eq!((heard.len(), heard.last().map(String::as_str)), (7, Some("PINGRESP")), "{heard:?}");
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"], "it is sent for the first time");
}
