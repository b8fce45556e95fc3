//! Hostile devices and clients, as far as they concern more than the CoAP layer, which has its own tables.
use super::world::{Device, Does, Reply, World, address};
use coap_lite::{CoapOption, MessageType, Packet, RequestType};
use std::time::Duration;

/// L15: no parameter changes who a device is, and no secret gets out.
#[test]
fn parameters_change_no_identity_and_secrets_stay_inside() {
    let mut world = World::new();
    let mut victim = Device::new(1);
    victim.register(&mut world, &["ep=B"], "</3/0>");
    world.heard();
    let mut device = Device::new(2);
    device.register(
        &mut world,
        &["ep=A", "device_id=B", "imei=B", "password=hunter2", "secret=hunter2", "Access_Token=hunter2"],
        "</3/0>",
    );
    let heard = world.heard();
    assert!(heard.iter().all(|heard| heard.topic.starts_with("lwm2m/A/")), "{heard:?}");
    assert!(heard.iter().all(|heard| !heard.payload.contains("hunter2")));
    assert_eq!(victim.update(&mut world, &[], "").code(), "2.04");
}

/// L22: an answer without end stops at the limit.
#[test]
fn an_endless_answer_is_too_large() {
    let mut world = World::new();
    let mut device = Device::new(1);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    for _ in 0..200 {
        let Some(seen) = world.inbox(device.at).pop() else { break };
        let number = seen.number(CoapOption::Block2).unwrap_or(0) >> 4;
        let mut packet = Packet::new();
        packet.header.message_id = seen.packet.header.message_id;
        packet.header.set_type(MessageType::Acknowledgement);
        packet.header.code = 0x45.into();
        packet.set_token(seen.packet.get_token().to_vec());
        let block = number << 4 | 8 | 6;
        let value = block.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        packet.add_option(CoapOption::Block2, value);
        packet.payload = vec![b'x'; 1024];
        world.datagram(device.at, &packet.to_bytes().unwrap());
    }
    let answers = world.on("lwm2m/m1/response");
    assert!(answers.len() == 1 && answers[0].contains("Request Entity Too Large"), "{answers:?}");
}

/// L23, L24: an answer counts only from the device's address with its token.
#[test]
fn answers_from_elsewhere_or_with_another_token_change_nothing() {
    let mut world = World::new();
    let mut device = Device::new(1);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    let asked = world.inbox(device.at).remove(0);
    let forged = |token: Vec<u8>, kind| {
        let mut packet = Packet::new();
        packet.header.message_id = asked.packet.header.message_id;
        packet.header.set_type(kind);
        packet.header.code = 0x45.into();
        packet.set_token(token);
        packet.payload = b"forged".to_vec();
        packet.to_bytes().unwrap()
    };
    let token = asked.packet.get_token().to_vec();
    world.datagram(address(666), &forged(token.clone(), MessageType::Acknowledgement));
    world.datagram(address(666), &forged(token, MessageType::NonConfirmable));
    world.datagram(device.at, &forged(vec![1, 2, 3], MessageType::Acknowledgement));
    assert!(world.on("lwm2m/m1/response").is_empty());
    device.do_with(&mut world, &asked, Does::Answer(Reply::text("true one")));
    assert!(world.on("lwm2m/m1/response")[0].contains("true one"));
}

/// L25: old, doubled and too many notifications.
#[test]
fn notifications_are_ordered_and_limited() {
    let mut world = World::new();
    let mut device = Device::new(1);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    let mut token = Vec::new();
    world.publish("lwm2m/m1/dn", r#"{"reqID":1,"msgType":"observe","data":{"path":"/3/0/9"}}"#);
    device.serve(&mut world, |seen| {
        token = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text("1").observed(10))
    });
    world.heard();
    for (sequence, heard) in [(11, 1), (11, 0), (9, 0), (12, 1), ((1 << 24) - 1, 0), (13, 1)] {
        device.notify(&mut world, &token, &Reply::text("2").observed(sequence));
        assert_eq!(world.on("lwm2m/m1/up/notify").len(), heard, "{sequence}");
    }
    world.pass(Duration::from_secs(2));
    for sequence in 14..2_014 {
        device.notify(&mut world, &token, &Reply::text("3").observed(sequence));
    }
    assert_eq!(world.on("lwm2m/m1/up/notify").len(), 100);
}

/// L11: the datagram that made other servers grow.
#[test]
fn a_register_without_name_leaves_nothing_behind() {
    let mut world = World::new();
    let bytes = [0x44, 0x02, 0xe6, 0xe2, 0xe2, 0xe6, 0x81, 0x67, 0xb2, 0x72, 0x64, 0x11];
    for n in 0..10_000u16 {
        let mut datagram = bytes;
        datagram[2..4].copy_from_slice(&n.to_be_bytes());
        world.datagram(address(1000 + n % 50), &datagram);
    }
    assert_eq!(world.server.devices(), 0);
    world.pass(Duration::from_secs(300));
    assert_eq!(world.server.coap_counters().peers, 0);
    assert!(world.heard().is_empty());
}

/// A Register that is followed by its De-register before the broker has answered either.
#[test]
fn any_order_of_registers_and_deregisters_leaves_one_or_none() {
    let mut world = World::new();
    let mut device = Device::new(1);
    for round in 0..50 {
        device.register(&mut world, &["ep=m1"], "</3/0>");
        if round % 3 == 0 {
            assert_eq!(device.deregister(&mut world).code(), "2.02");
            assert_eq!(device.deregister(&mut world).code(), "4.04");
        }
    }
    assert_eq!(world.server.devices(), 1);
    let answer = device.ask(&mut world, RequestType::Delete, "/rd/0000000000", &[], b"");
    assert_eq!(answer.code(), "4.04");
}
