//! §3.2 CONNACK.
use super::*;
use turnstone_tests::sim::packet;

fn connack_of(world: &mut World, connect: &Connect) -> FromServer {
    let client = world.open();
    world.send(client, &connect.bytes());
    let answer = world.received(client);
    assert_eq!(answer.len(), 1, "{answer:?}");
    world.cut(client);
    answer.into_iter().next().expect("one packet")
}

#[test]
fn mqtt_3_2_0_1_connack_comes_first() {
    let mut world = world(1);
    let first = world.connect(&Connect::new("c").persistent());
    world.subscribe(first, &[("t", 1)]);
    world.cut(first);
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("t", "waits", 1, 1).bytes());
    let second = world.open();
    let mut bytes = Connect::new("c").persistent().bytes();
    bytes.extend(packet::PINGREQ);
    bytes.extend(packet::subscribe(5, &[("u", 0)]));
    world.send(second, &bytes);
    let answer = world.received(second);
    assert_eq!(answer[0], FromServer::Connack { present: true, code: 0 });
    assert_eq!(answer.len(), 4, "the queued message, PINGRESP and SUBACK follow: {answer:?}");
}

#[test]
fn mqtt_3_2_2_1_clean_session_has_session_present_0() {
    let mut world = world(1);
    connack_of(&mut world, &Connect::new("c").persistent());
    assert_eq!(connack_of(&mut world, &Connect::new("c")), FromServer::Connack { present: false, code: 0 });
}

#[test]
fn mqtt_3_2_2_2_stored_session_has_session_present_1() {
    let mut world = world(1);
    connack_of(&mut world, &Connect::new("c").persistent());
    let again = connack_of(&mut world, &Connect::new("c").persistent());
    assert_eq!(again, FromServer::Connack { present: true, code: 0 });
}

#[test]
fn mqtt_3_2_2_3_no_stored_session_has_session_present_0() {
    let mut world = world(1);
    let first = connack_of(&mut world, &Connect::new("c").persistent());
    assert_eq!(first, FromServer::Connack { present: false, code: 0 });
}

#[test]
fn mqtt_3_2_2_4_refusal_has_session_present_0() {
    let mut world = world(1);
    connack_of(&mut world, &Connect::new("c").persistent());
    let mut wrong_level = Connect::new("c").persistent();
    wrong_level.protocol.1 = 9;
    assert_eq!(connack_of(&mut world, &wrong_level), FromServer::Connack { present: false, code: 1 });
}

#[test]
fn mqtt_3_2_2_5_refusal_closes() {
    let mut world = world(1);
    let client = world.open();
    let mut wrong_level = Connect::new("c");
    wrong_level.protocol.1 = 9;
    world.send(client, &wrong_level.bytes());
    assert_eq!(world.closed(client), Some(StreamClose::Refused));
}

#[test]
fn mqtt_3_2_2_6_where_no_code_fits_the_stream_closes_silently() {
    assert!(closes_unanswered(&packet::packet(0x10, b"\0\x04MQTT\x04\x02\0\0")));
}
