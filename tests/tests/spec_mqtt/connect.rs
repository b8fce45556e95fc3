//! §3.1 CONNECT.
use super::*;
use broker_core::link::Notice;
use std::time::Duration;
use turnstone_tests::sim::packet;

const ACCEPTED: FromServer = FromServer::Connack { present: false, code: 0 };

/// A CONNECT with any flags byte and payload.
fn raw(flags: u8, fields: &[&str]) -> Vec<u8> {
    let mut body = packet::text("MQTT");
    body.extend([4, flags, 0, 0]);
    fields.iter().for_each(|field| body.extend(packet::text(field)));
    packet::packet(0x10, &body)
}

fn refused(code: u8) -> FromServer {
    FromServer::Connack { present: false, code }
}

/// A watcher of every topic, beside whatever the scenario does.
fn watched() -> (World, Client) {
    let mut world = world(2);
    let watcher = world.connect(&Connect::new("watcher"));
    world.subscribe(watcher, &[("#", 2)]);
    (world, watcher)
}

#[test]
fn mqtt_3_1_0_1_anything_before_connect_closes() {
    let firsts = [
        Publish::new("t", "x", 0, 0).bytes(),
        Publish::new("t", "x", 1, 1).bytes(),
        packet::puback(1),
        packet::pubrec(1),
        packet::pubrel(1),
        packet::pubcomp(1),
        packet::subscribe(1, &[("t", 0)]),
        packet::unsubscribe(1, &["t"]),
        packet::PINGREQ.to_vec(),
        packet::DISCONNECT.to_vec(),
    ];
    for first in firsts {
        assert!(closes_unanswered(&first), "{first:02x?}");
        assert!(closes_unanswered(&first[..1]), "its first byte alone: {:02x}", first[0]);
    }
}

#[test]
fn mqtt_3_1_0_2_second_connect_closes() {
    assert!(violates(&Connect::new("c").bytes()));
    assert!(violates(&Connect::new("other").bytes()));
}

#[test]
fn mqtt_3_1_2_1_wrong_protocol_name_closes() {
    for name in ["mqtt", "MQTU", "MQT", "MQTTT", "", "HTTP"] {
        let mut connect = Connect::new("c");
        connect.protocol = (name.into(), 4);
        assert!(closes_unanswered(&connect.bytes()), "{name:?}");
    }
}

#[test]
fn mqtt_3_1_2_2_unsupported_level_gets_connack_1_and_a_close() {
    for level in [0, 1, 2, 5, 6, 127, 255] {
        let mut world = world(1);
        let client = world.open();
        let mut connect = Connect::new("level-user");
        connect.protocol.1 = level;
        let mut bytes = connect.bytes();
        if level == 5 {
            // MQTT 5 has properties between keep-alive and payload.
            bytes[1] += 1;
            bytes.insert(12, 0);
        }
        world.send(client, &bytes);
        assert_eq!(world.received(client), [refused(1)], "level {level}");
        assert!(world.closed(client).is_some(), "level {level}");
        if level == 5 {
            let named = world.notices.iter().any(|n| match n {
                Notice::Peer { name, text, .. } => {
                    name.as_deref() == Some("level-user") || text.contains("level-user")
                }
                _ => false,
            });
            assert!(named, "a log line names the client: {:?}", world.notices);
        }
    }
}

#[test]
fn mqtt_3_1_2_3_reserved_connect_flag_closes() {
    assert!(closes_unanswered(&raw(0x03, &["c"])));
}

#[test]
fn mqtt_3_1_2_4_persistent_session_is_resumed() {
    let mut world = world(1);
    let first = world.connect(&Connect::new("c").persistent());
    world.subscribe(first, &[("t", 1)]);
    world.cut(first);
    let second = world.open();
    world.send(second, &Connect::new("c").persistent().bytes());
    assert_eq!(world.received(second), [FromServer::Connack { present: true, code: 0 }]);
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("t", "still subscribed", 1, 1).bytes());
    assert_eq!(brief(&world.messages(second)), [pair("t", "still subscribed")]);
}

#[test]
fn mqtt_3_1_2_5_offline_session_keeps_qos_1_and_2() {
    let mut world = world(1);
    let subscriber = world.connect(&Connect::new("c").persistent());
    world.subscribe(subscriber, &[("one", 1), ("two", 2)]);
    world.send(subscriber, &packet::DISCONNECT);
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("one", "a", 1, 1).bytes());
    world.send(publisher, &Publish::new("two", "b", 2, 2).bytes());
    world.send(publisher, &packet::pubrel(2));
    let back = world.connect(&Connect::new("c").persistent());
    let messages = world.messages(back);
    assert_eq!(brief(&messages), [pair("one", "a"), pair("two", "b")]);
    assert_eq!(messages.iter().map(|m| m.qos).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn mqtt_3_1_2_6_clean_session_discards_the_old_one_and_its_own() {
    let mut world = world(1);
    let old = world.connect(&Connect::new("c").persistent());
    world.subscribe(old, &[("t", 1)]);
    world.cut(old);
    let clean = world.connect(&Connect::new("c"));
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("t", "x", 1, 1).bytes());
    assert!(world.messages(clean).is_empty(), "the old subscription is gone");
    world.subscribe(clean, &[("t", 1)]);
    world.cut(clean);
    world.send(publisher, &Publish::new("t", "y", 1, 2).bytes());
    let again = world.open();
    world.send(again, &Connect::new("c").persistent().bytes());
    assert_eq!(world.received(again), [ACCEPTED], "and the clean one left nothing");
}

#[test]
fn mqtt_3_1_2_7_retained_messages_outlive_the_session() {
    let mut world = world(1);
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("t", "kept", 1, 1).retained().bytes());
    world.send(publisher, &packet::DISCONNECT);
    let reader = world.connect(&Connect::new("r"));
    world.subscribe(reader, &[("t", 1)]);
    assert_eq!(brief(&world.messages(reader)), [pair("t", "kept")]);
}

#[test]
fn mqtt_3_1_2_8_will_is_published_when_the_connection_is_lost() {
    for persistent in [false, true] {
        let (mut world, watcher) = watched();
        let mut connect = Connect::new("c").will("will/t", "gone", 0, false);
        connect.clean = !persistent;
        let client = world.connect(&connect);
        assert!(world.messages(watcher).is_empty());
        world.cut(client);
        assert_eq!(brief(&world.messages(watcher)), [pair("will/t", "gone")]);
    }
    // After a protocol error, too.
    let (mut world, watcher) = watched();
    let client = world.connect(&Connect::new("c").will("will/t", "broke it", 0, false));
    world.send(client, &Connect::new("c").bytes());
    assert_eq!(brief(&world.messages(watcher)), [pair("will/t", "broke it")]);
}

#[test]
fn mqtt_3_1_2_9_will_fields_follow_the_will_flag() {
    assert!(closes_unanswered(&raw(0x06, &["c"])), "no will fields");
    assert!(closes_unanswered(&raw(0x06, &["c", "topic"])), "no will message");
    let (mut world, watcher) = watched();
    let client = world.connect(&Connect::new("c").will("w", "m", 2, false));
    world.cut(client);
    let messages = world.messages(watcher);
    assert_eq!(messages.iter().map(|m| m.qos).collect::<Vec<_>>(), [2], "will QoS is used");
}

#[test]
fn mqtt_3_1_2_10_will_is_removed_once_published_or_on_disconnect() {
    let (mut world, watcher) = watched();
    let client = world.connect(&Connect::new("c").persistent().will("w", "once", 1, false));
    world.cut(client);
    assert_eq!(world.messages(watcher).len(), 1);
    let again = world.connect(&Connect::new("c").persistent());
    world.cut(again);
    assert!(world.messages(watcher).is_empty(), "published once");
    let third = world.connect(&Connect::new("c").persistent().will("w", "never", 1, false));
    world.send(third, &packet::DISCONNECT);
    let fourth = world.connect(&Connect::new("c").persistent());
    world.cut(fourth);
    assert!(world.messages(watcher).is_empty(), "removed by DISCONNECT");
}

#[test]
fn mqtt_3_1_2_11_will_bits_without_the_will_flag_close() {
    assert!(closes_unanswered(&raw(0x0A, &["c"])), "QoS 1");
    assert!(closes_unanswered(&raw(0x22, &["c"])), "retain");
    assert!(closes_unanswered(&raw(0x02, &["c", "topic", "message"])), "fields");
}

#[test]
fn mqtt_3_1_2_12_without_will_flag_no_will_is_published() {
    let (mut world, watcher) = watched();
    let client = world.connect(&Connect::new("c"));
    world.cut(client);
    assert!(world.messages(watcher).is_empty());
}

#[test]
fn mqtt_3_1_2_13_will_qos_without_the_will_flag_closes() {
    for qos in 1..4 {
        assert!(closes_unanswered(&raw(0x02 | qos << 3, &["c"])), "QoS {qos}");
    }
}

#[test]
fn mqtt_3_1_2_14_will_qos_3_closes() {
    assert!(closes_unanswered(&raw(0x1E, &["c", "w", "m"])));
}

#[test]
fn mqtt_3_1_2_15_will_retain_without_the_will_flag_closes() {
    assert!(closes_unanswered(&raw(0x22, &["c"])));
}

/// What a subscriber that comes after the will gets.
fn late_reader_of_will(retain: bool) -> Vec<Publish> {
    let mut world = world(1);
    let client = world.connect(&Connect::new("c").will("w", "m", 1, retain));
    world.cut(client);
    let reader = world.connect(&Connect::new("r"));
    world.subscribe(reader, &[("w", 1)]);
    world.messages(reader)
}

#[test]
fn mqtt_3_1_2_16_will_without_retain_is_not_retained() {
    assert!(late_reader_of_will(false).is_empty());
}

#[test]
fn mqtt_3_1_2_17_will_with_retain_is_retained() {
    let messages = late_reader_of_will(true);
    assert_eq!(brief(&messages), [pair("w", "m")]);
    assert!(messages[0].retain);
}

#[test]
fn mqtt_3_1_2_18_user_name_without_its_flag_closes() {
    assert!(closes_unanswered(&raw(0x02, &["c", "user"])));
}

#[test]
fn mqtt_3_1_2_19_user_name_flag_without_a_name_closes() {
    assert!(closes_unanswered(&raw(0x82, &["c"])));
    assert_eq!(stranger_sends(&raw(0x82, &["c", "user"])).0, [ACCEPTED]);
}

#[test]
fn mqtt_3_1_2_20_password_without_its_flag_closes() {
    assert!(closes_unanswered(&raw(0x82, &["c", "user", "password"])));
}

#[test]
fn mqtt_3_1_2_21_password_flag_without_a_password_closes() {
    assert!(closes_unanswered(&raw(0xC2, &["c", "user"])));
    assert_eq!(stranger_sends(&raw(0xC2, &["c", "user", "password"])).0, [ACCEPTED]);
}

#[test]
fn mqtt_3_1_2_22_password_without_user_name_closes() {
    assert!(closes_unanswered(&raw(0x42, &["c", "password"])));
}

#[test]
fn mqtt_3_1_2_24_one_and_a_half_keep_alives_of_silence_end_the_connection() {
    let mut world = world(1);
    let client = world.connect(&Connect::new("c").keep_alive(10).will("w", "m", 0, false));
    world.pass(Duration::from_millis(14_900));
    assert_eq!(world.closed(client), None);
    world.send(client, &packet::PINGREQ);
    world.pass(Duration::from_millis(14_900));
    assert_eq!(world.closed(client), None, "any packet counts");
    world.pass(Duration::from_millis(1_200));
    assert_eq!(world.closed(client), Some(StreamClose::KeepAlive));
    // And 0 means that nobody counts.
    let patient = world.connect(&Connect::new("p"));
    world.pass(Duration::from_secs(23 * 3600));
    assert_eq!(world.closed(patient), None);
}

#[test]
fn mqtt_3_1_3_1_payload_fields_are_read_in_their_order() {
    let (mut world, watcher) = watched();
    let client = world.open();
    world.send(
        client,
        &raw(0xC6, &["first-id", "second/topic", "third message", "fourth-user", "fifth-password"]),
    );
    assert_eq!(world.received(client), [ACCEPTED]);
    world.cut(client);
    assert_eq!(brief(&world.messages(watcher)), [pair("second/topic", "third message")]);
}

#[test]
fn mqtt_3_1_3_2_the_client_id_names_the_session() {
    let mut world = world(1);
    let one = world.connect(&Connect::new("one").persistent());
    world.subscribe(one, &[("t", 1)]);
    world.cut(one);
    for (id, present) in [("on", false), ("ones", false), ("ONE", false), ("one", true)] {
        let client = world.open();
        world.send(client, &Connect::new(id).persistent().bytes());
        assert_eq!(world.received(client), [FromServer::Connack { present, code: 0 }], "{id}");
    }
}

#[test]
fn mqtt_3_1_3_3_connect_without_client_id_closes() {
    assert!(closes_unanswered(&raw(0x02, &[])));
}

#[test]
fn mqtt_3_1_3_4_client_id_must_be_utf8() {
    let mut bytes = raw(0x02, &["abc"]);
    let last = bytes.len() - 1;
    bytes[last] = 0xFF;
    assert!(closes_unanswered(&bytes));
}

#[test]
fn mqtt_3_1_3_5_ids_of_1_to_23_letters_and_digits_are_allowed() {
    for length in 1..=23 {
        let id: String = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
            .chars()
            .cycle()
            .skip(length * 5)
            .take(length)
            .collect();
        assert_eq!(stranger_sends(&raw(0x02, &[&id])).0, [ACCEPTED], "{id}");
    }
}

#[test]
fn mqtt_3_1_3_6_zero_length_ids_get_unique_ones() {
    let mut world = world(1);
    let clients: Vec<Client> = (0..5).map(|_| world.connect(&Connect::new(""))).collect();
    assert!(clients.iter().all(|client| world.closed(*client).is_none()), "none takes over another");
}

#[test]
fn mqtt_3_1_3_8_zero_length_id_without_clean_session_gets_connack_2() {
    let (answer, closed) = stranger_sends(&raw(0x00, &[""]));
    assert_eq!(answer, [refused(2)]);
    assert!(closed.is_some());
}

#[test]
fn mqtt_3_1_3_9_refused_client_id_gets_connack_2_and_a_close() {
    let id = "x".repeat(Limits::default().client_id_bytes_max + 1);
    let (answer, closed) = stranger_sends(&raw(0x02, &[&id]));
    assert_eq!(answer, [refused(2)]);
    assert!(closed.is_some());
}

#[test]
fn mqtt_3_1_3_10_will_topic_must_be_utf8() {
    let mut body = packet::text("MQTT");
    body.extend([4, 0x06, 0, 0]);
    body.extend(packet::text("c"));
    body.extend([0, 2, 0xC0, 0xAF]);
    body.extend(packet::text("m"));
    assert!(closes_unanswered(&packet::packet(0x10, &body)));
}

#[test]
fn mqtt_3_1_3_11_user_name_must_be_utf8() {
    let mut body = packet::text("MQTT");
    body.extend([4, 0x82, 0, 0]);
    body.extend(packet::text("c"));
    body.extend([0, 3, 0xED, 0xA0, 0x80]);
    assert!(closes_unanswered(&packet::packet(0x10, &body)));
}

#[test]
fn mqtt_3_1_4_1_invalid_connect_is_closed_without_connack() {
    for bytes in
        [raw(0x02, &["c", "trailing"]), packet::packet(0x10, b"\0\x04MQTT"), packet::packet(0x10, b"")]
    {
        assert!(closes_unanswered(&bytes), "{bytes:02x?}");
    }
}

#[test]
fn mqtt_3_1_4_2_second_connection_of_a_client_id_ends_the_first() {
    let mut world = world(1);
    let first = world.connect(&Connect::new("c"));
    let second = world.connect(&Connect::new("c"));
    assert!(matches!(world.closed(first), Some(StreamClose::Broker(_))), "{:?}", world.closed(first));
    assert_eq!(world.closed(second), None);
}

#[test]
fn mqtt_3_1_4_3_clean_session_of_the_newcomer_decides() {
    for (newcomer_clean, expected) in [(false, true), (true, false)] {
        let mut world = world(1);
        let first = world.connect(&Connect::new("c").persistent());
        world.subscribe(first, &[("t", 0)]);
        let second = world.open();
        let mut connect = Connect::new("c");
        connect.clean = newcomer_clean;
        world.send(second, &connect.bytes());
        assert_eq!(world.received(second), [FromServer::Connack { present: expected, code: 0 }]);
    }
}

#[test]
fn mqtt_3_1_4_4_valid_connect_gets_connack_0() {
    assert_eq!(stranger_sends(&Connect::new("c").bytes()), (vec![ACCEPTED], None));
    let mut old = Connect::new("c");
    old.protocol = ("MQIsdp".into(), 3);
    assert_eq!(stranger_sends(&old.bytes()), (vec![ACCEPTED], None), "MQTT 3.1");
}

#[test]
fn mqtt_3_1_4_5_nothing_after_a_refused_connect_is_processed() {
    let (mut world, watcher) = watched();
    let client = world.open();
    let mut bytes = raw(0x00, &[""]);
    bytes.extend(Publish::new("t", "x", 1, 1).bytes());
    world.send(client, &bytes);
    assert_eq!(world.received(client), [refused(2)]);
    assert!(world.messages(watcher).is_empty());
}
