//! Traces of endpoints.
use super::world::{Device, Does, Reply, World, address};
use coap_lite::{CoapOption, RequestType};

/// Lines since the last look: direction, message up to its token, verdict.
fn lines(world: &mut World) -> Vec<String> {
    world
        .server
        .take_traces()
        .map(|event| {
            let begin = event.message.split(" mid ").next().unwrap_or_default();
            let verdict = event.verdict.map(|verdict| format!(" [{verdict}]")).unwrap_or_default();
            format!("{} {} {begin}{verdict}", event.name, if event.verdict.is_some() { '<' } else { '>' })
        })
        .collect()
}

const READ: &str = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;

#[test]
fn a_followed_endpoint_is_told_of_wherever_it_is_until_nobody_reads() {
    let mut world = World::new();
    let (mut device, mut other) = (Device::new(56830), Device::new(56831));
    assert!(world.server.follow("m1"));
    other.register(&mut world, &["ep=m2", "lwm2m=1.1"], "</3/0>");
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    let registered = lines(&mut world);
    assert_eq!(registered, ["m1 < CON POST /rd?ep=m1&lwm2m=1.1 [handled]", "m1 > ACK 2.01 created"]);
    world.publish("lwm2m/m1/dn", READ);
    world.publish("lwm2m/m2/dn", READ);
    device.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
    other.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
    assert_eq!(lines(&mut world), ["m1 > CON GET /3/0/0", "m1 < ACK 2.05 content [handled]"]);
    // From another address, then a copy of a message, garbage, and what belongs to nothing.
    device.at = address(9);
    let location = device.location.clone();
    let update = device.packet(RequestType::Post, &location, &[], b"");
    for _ in 0..2 {
        device.send(&mut world, &update);
    }
    let at = device.at;
    world.datagram(at, &[0x40, 1, 0, 9, 0xff]);
    world.datagram(at, &[0x60, 0, 0, 9]);
    let path = format!("/{location}");
    assert_eq!(
        lines(&mut world),
        [
            format!("m1 < CON POST {path} [handled]"),
            "m1 > ACK 2.04 changed".into(),
            format!("m1 < CON POST {path} [duplicate]"),
            "m1 > ACK 2.04 changed".into(),
            "m1 < malformed: MarkerWithoutPayload [malformed]".into(),
            "m1 > RST empty".into(),
            "m1 < ACK empty [belongs to nothing]".into(),
        ]
    );
    // Its end is told, too; then it is a stranger that is refused.
    device.deregister(&mut world);
    assert_eq!(
        lines(&mut world),
        [format!("m1 < CON DELETE {path} [handled]"), "m1 > ACK 2.02 deleted".into()]
    );
    device.at = address(10);
    device.ask(&mut world, RequestType::Post, "/rd", &["ep=m1", "lwm2m=9.9"], b"</3/0>");
    assert_eq!(
        lines(&mut world),
        ["m1 < CON POST /rd?ep=m1&lwm2m=9.9 [handled]", "m1 > ACK 4.12 precondition failed"]
    );
    world.server.unfollow("m1");
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    assert!(!world.server.has_traces() && lines(&mut world).is_empty());
}

#[test]
fn a_trace_has_the_whole_of_a_message_in_words_and_its_first_bytes() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    world.server.follow("m1");
    let mut packet = device.packet(RequestType::Post, "/rd", &["ep=m1", "lwm2m=1.1"], b"</3/0>,</5/0>");
    packet.add_option(CoapOption::ContentFormat, vec![40]);
    packet.payload.extend_from_slice(&[b' '; 300]);
    device.send(&mut world, &packet);
    let event = world.server.take_traces().next().expect("an event");
    let text =
        "CON POST /rd?ep=m1&lwm2m=1.1 mid 101 token 0765 format 40 (link-format), 313 bytes \"</3/0>,</5/0>";
    assert!(event.message.starts_with(text) && event.message.ends_with("…\""), "{}", event.message);
    assert_eq!((event.bytes.len(), &event.bytes[..4]), (256, &[0x42, 2, 0, 101][..]));
    assert_eq!((event.address, event.verdict.is_some()), (device.at.remote, true));
}

#[test]
fn endpoints_and_events_of_traces_are_bounded() {
    let mut world = World::new();
    for n in 0..16 {
        assert!(world.server.follow(&format!("m{n}")));
    }
    assert!(!world.server.follow("m16") && world.server.follow("m3"));
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    for _ in 0..1_100 {
        world.datagram(device.at, &[0x40, 0, 0, 9]); // ping
    }
    assert_eq!(world.server.take_traces().count(), 1024);
    let resets = world.server.coap_counters().resets_out;
    assert_eq!(world.server.counters().traces_dropped, 2 + 1_100 + resets - 1024);
}
