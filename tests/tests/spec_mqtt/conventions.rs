//! §1.5 data representations, §2 packet format.
use super::*;
use turnstone_tests::sim::mqtt::world_with;
use turnstone_tests::sim::packet;

/// A CONNECT whose ClientId is these bytes.
fn connect_with_id(id: &[u8]) -> Vec<u8> {
    let mut body = packet::text("MQTT");
    body.extend([4, 2, 0, 0]);
    body.extend(u16::try_from(id.len()).expect("short").to_be_bytes());
    body.extend(id);
    packet::packet(0x10, &body)
}

/// A QoS 0 PUBLISH to a topic of these bytes.
fn publish_to(topic: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).expect("short").to_be_bytes().to_vec();
    body.extend(topic);
    packet::packet(0x30, &body)
}

#[test]
fn mqtt_1_5_3_1_ill_formed_utf8_closes() {
    let ill_formed: [&[u8]; 5] =
        [&[0xED, 0xA0, 0x80], &[0xC0, 0xAF], &[0xFF], &[0xE2, 0x82], &[0xF4, 0x90, 0x80, 0x80]];
    for bytes in ill_formed {
        assert!(closes_unanswered(&connect_with_id(bytes)), "ClientId {bytes:02x?}");
        assert!(violates(&publish_to(bytes)), "topic {bytes:02x?}");
    }
}

#[test]
fn mqtt_1_5_3_2_null_character_closes() {
    assert!(closes_unanswered(&connect_with_id(b"a\0b")));
    assert!(violates(&publish_to(b"a\0b")));
    let (mut world, client) = connected();
    world.send(client, &packet::subscribe(1, &[("a\0b", 0)]));
    assert_eq!(world.closed(client), Some(StreamClose::Protocol));
}

#[test]
fn mqtt_1_5_3_3_zero_width_no_break_space_is_kept() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("\u{FEFF}t", 0), ("t", 1)]);
    world.send(client, &Publish::new("\u{FEFF}t", "with", 0, 0).bytes());
    world.send(client, &Publish::new("t", "without", 0, 0).bytes());
    assert_eq!(brief(&world.messages(client)), [pair("\u{FEFF}t", "with"), pair("t", "without")]);
}

#[test]
fn mqtt_2_2_2_1_what_we_send_has_the_listed_flags() {
    // The scripted reader accepts only the listed flags, so everything received here proves them.
    let (mut world, client) = connected();
    world.subscribe(client, &[("t", 2)]);
    world.send(client, &Publish::new("t", "x", 2, 9).bytes());
    world.send(client, &packet::pubrel(9));
    let packets = world.received(client);
    assert!(
        packets.contains(&FromServer::Pubrec(9)) && packets.contains(&FromServer::Pubcomp(9)),
        "{packets:?}"
    );
    let id = packets.iter().find_map(|p| if let FromServer::Publish(p) = p { Some(p.id) } else { None });
    world.send(client, &packet::pubrec(id.expect("the delivery")));
    assert_eq!(world.received(client), [FromServer::Pubrel(id.expect("the delivery"))]);
    world.send(client, &packet::PINGREQ);
    world.send(client, &packet::unsubscribe(3, &["t"]));
    assert_eq!(world.received(client), [FromServer::Pingresp, FromServer::Unsuback(3)]);
}

#[test]
fn mqtt_2_2_2_2_wrong_flags_close() {
    for flags in 1..16u8 {
        let mut connect = Connect::new("x").bytes();
        connect[0] |= flags;
        assert!(closes_unanswered(&connect), "CONNECT flags {flags}");
        for (first, body) in
            [(0x40, vec![0, 1]), (0x50, vec![0, 1]), (0x70, vec![0, 1]), (0xC0, vec![]), (0xE0, vec![])]
        {
            assert!(violates(&packet::packet(first | flags, &body)), "first byte {:#04x}", first | flags);
        }
    }
    for flags in (0..16u8).filter(|flags| *flags != 2) {
        assert!(violates(&packet::packet(0x60 | flags, &[0, 1])), "PUBREL flags {flags}");
        assert!(violates(&packet::packet(0x80 | flags, &[0, 1, 0, 1, b't', 0])), "SUBSCRIBE flags {flags}");
        assert!(violates(&packet::packet(0xA0 | flags, &[0, 1, 0, 1, b't'])), "UNSUBSCRIBE flags {flags}");
    }
}

#[test]
fn mqtt_2_3_1_1_packet_id_zero_closes() {
    assert!(violates(&packet::subscribe(0, &[("t", 0)])));
    assert!(violates(&packet::unsubscribe(0, &["t"])));
    assert!(violates(&Publish::new("t", "x", 1, 0).bytes()));
    assert!(violates(&Publish::new("t", "x", 2, 0).bytes()));
}

#[test]
fn mqtt_2_3_1_4_ids_of_deliveries_are_unused_and_not_zero() {
    let mut world = world_with(3, Limits { inflight_max: 20, ..Limits::default() });
    let (publisher, subscriber) = (world.connect(&Connect::new("p")), world.connect(&Connect::new("s")));
    world.subscribe(subscriber, &[("t", 1)]);
    let mut open: Vec<u16> = Vec::new();
    for n in 0..400u16 {
        world.send(publisher, &Publish::new("t", "x", 1, n + 1).bytes());
        for packet in world.received(subscriber) {
            let FromServer::Publish(publish) = packet else { panic!("{packet:?}") };
            assert_ne!(publish.id, 0);
            assert!(!open.contains(&publish.id), "id {} is in flight", publish.id);
            open.push(publish.id);
        }
        // Acknowledge out of order, keeping some in flight, so that a plain counter would collide in time.
        if open.len() > 10 {
            world.send(subscriber, &packet::puback(open.remove(usize::from(n) % open.len())));
        }
    }
}

#[test]
fn mqtt_2_3_1_5_qos_0_has_no_packet_id() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("t", 2)]);
    // The body after the topic is payload, both in and out: 00 07 must arrive as two bytes of payload.
    let sent = Publish { payload: vec![0, 7], ..Publish::new("t", "", 0, 0) };
    world.send(client, &sent.bytes());
    assert_eq!(world.received(client), [FromServer::Publish(sent)]);
}

#[test]
fn mqtt_2_3_1_6_acks_carry_the_id_of_their_publish() {
    let (mut world, client) = connected();
    world.send(client, &Publish::new("t", "x", 1, 77).bytes());
    world.send(client, &Publish::new("t", "x", 2, 65_535).bytes());
    world.send(client, &packet::pubrel(65_535));
    assert_eq!(
        world.received(client),
        [FromServer::Puback(77), FromServer::Pubrec(65_535), FromServer::Pubcomp(65_535)]
    );
}

#[test]
fn mqtt_2_3_1_7_suback_and_unsuback_carry_the_id_of_their_request() {
    let (mut world, client) = connected();
    world.send(client, &packet::subscribe(258, &[("t", 1)]));
    world.send(client, &packet::unsubscribe(772, &["t"]));
    assert_eq!(world.received(client), [FromServer::Suback(258, vec![1]), FromServer::Unsuback(772)]);
}
