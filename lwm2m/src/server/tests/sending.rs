//! Send: values that a device sends by itself.
use super::world::{Device, Does, Reply, UNIX_START_MS, World, address};
use coap_lite::{CoapOption, RequestType};
use std::time::Duration;

fn send(world: &mut World, device: &mut Device, format: u16, payload: &[u8], token: &[u8]) -> String {
    let mut packet = device.packet(RequestType::Post, "/dp", &[], payload);
    packet.set_token(token.to_vec());
    packet.add_option(
        CoapOption::ContentFormat,
        format.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect(),
    );
    device.send(world, &packet).code()
}

#[test]
fn values_are_published_whatever_the_shape_of_their_names() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>,</3303/0>");
    // wakaama: bn ends with "/", empty token. Anjay: n begins with "/", in CBOR, with a base time.
    let anjay = [
        &[0x82, 0xa4, 0x21, 0x64][..],
        b"/3/0",
        &[0x00, 0x62],
        b"/0",
        &[0x22, 0xfb],
        &1_600_000_000_f64.to_be_bytes(),
        &[0x03, 0x65],
        b"Anjay",
        &[0xa2, 0x00, 0x62],
        b"/9",
        &[0x02, 0x00],
    ]
    .concat();
    for (format, payload, content) in [
        (
            110,
            br#"[{"bn":"/3303/0/","n":"5700","v":21.5}]"#.to_vec(),
            r#"[{"path":"/3303/0/5700","value":21.5}]"#.to_owned(),
        ),
        (
            112,
            anjay,
            r#"[{"path":"/3/0/0","value":"Anjay","time":1600000000000},{"path":"/3/0/9","value":0,"time":1600000000000}]"#
                .to_owned(),
        ),
        (
            110,
            br#"[{"n":"/3303/0/5700","v":1,"t":-5},{"n":"/32999/0/1","vs":"x"}]"#.to_vec(),
            format!(
                r#"[{{"path":"/3303/0/5700","value":1,"time":{}}},{{"path":"/32999/0/1","value":"x","type":"String"}}]"#,
                UNIX_START_MS - 5_000
            ),
        ),
    ] {
        world.heard();
        assert_eq!(send(&mut world, &mut device, format, &payload, &[]), "2.04");
        assert_eq!(
            world.on("lwm2m/m1/up/notify"),
            [format!(r#"{{"msgType":"send","data":{{"content":{content}}}}}"#)]
        );
    }
}

/// L32.
#[test]
fn strangers_and_nonsense_are_refused() {
    let mut world = World::new();
    let mut stranger = Device::new(1);
    let body = br#"[{"n":"/3303/0/5700","v":1}]"#;
    assert_eq!(send(&mut world, &mut stranger, 110, body, &[1]), "4.04");
    let mut device = Device::new(2);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    for (format, payload, code) in [
        (110, &b"[[["[..], "4.00"),
        (110, b"[]", "4.00"),
        (0, b"5", "4.00"),
        (40, b"</3>", "4.00"),
        (65_000, b"x", "4.15"),
    ] {
        assert_eq!(send(&mut world, &mut device, format, payload, &[1]), code, "{format} {payload:?}");
    }
    assert!(world.heard().is_empty());
    for (method, path, code) in [
        (RequestType::Post, "/bs", "4.04"),
        (RequestType::Get, "/rd", "4.04"),
        (RequestType::Delete, "/rd", "4.00"),
        (RequestType::Delete, "/rd/0000000000", "4.04"),
        (RequestType::Post, "/rd/m1/x", "4.04"),
        (RequestType::Put, "/rd", "4.04"),
        (RequestType::Post, "/", "4.04"),
        (RequestType::Get, "/.well-known/core", "4.04"),
    ] {
        assert_eq!(device.ask(&mut world, method, path, &["ep=x"], b"</3/0>").code(), code, "{path}");
    }
}

const BATTERY: &[u8] = br#"[{"bn":"/3/0/","n":"9","v":55}]"#;
const WARMTH: &[u8] = br#"[{"bn":"/3303/0/","n":"5700","v":21}]"#;

/// Endpoints that registered one after the other from one socket.
fn behind_one_socket(world: &mut World, endpoints: &[(&str, &str)]) -> Device {
    let mut device = Device::new(56830);
    for (name, links) in endpoints {
        device.register(world, &[&format!("ep={name}"), "lwm2m=1.1", "lt=3600"], links);
    }
    world.heard();
    device
}

/// Topics on which values of a Send came.
fn sent_for(world: &mut World) -> Vec<String> {
    let mut heard = world.heard();
    heard.retain(|heard| heard.payload.contains(r#""msgType":"send""#));
    heard.into_iter().map(|heard| heard.topic).collect()
}

#[test]
fn of_two_endpoints_behind_one_socket_the_one_that_has_the_objects_has_sent() {
    let mut world = World::new();
    let mut device = behind_one_socket(&mut world, &[("a", "</3/0>"), ("b", "</3303>")]);
    for (payload, topic) in [(BATTERY, "lwm2m/a/up/notify"), (WARMTH, "lwm2m/b/up/notify")] {
        assert_eq!(send(&mut world, &mut device, 110, payload, &[1]), "2.04");
        assert_eq!(sent_for(&mut world), [topic]);
    }
    // What neither has alone, and what nobody has.
    for payload in
        [&br#"[{"n":"/3/0/9","v":1},{"n":"/3303/0/5700","v":1}]"#[..], br#"[{"n":"/6/0/0","v":1}]"#]
    {
        assert_eq!(send(&mut world, &mut device, 110, payload, &[1]), "4.00");
    }
    assert_eq!((sent_for(&mut world).len(), world.server.counters().sends_ambiguous), (0, 2));
}

#[test]
fn what_two_endpoints_behind_one_socket_may_have_sent_is_nobodys() {
    let mut world = World::new();
    let mut device = behind_one_socket(&mut world, &[("a", "</3/0>"), ("b", "</3/0>,</3303/0>")]);
    assert_eq!(send(&mut world, &mut device, 110, BATTERY, &[1]), "4.00");
    assert!(sent_for(&mut world).is_empty());
    assert_eq!(send(&mut world, &mut device, 110, WARMTH, &[1]), "2.04");
    assert_eq!(sent_for(&mut world), ["lwm2m/b/up/notify"]);
    // One is gone, and nothing is doubtful any more.
    assert_eq!(device.deregister(&mut world).code(), "2.02");
    assert_eq!(send(&mut world, &mut device, 110, BATTERY, &[1]), "2.04");
    assert_eq!(sent_for(&mut world), ["lwm2m/a/up/notify"]);
}

/// A NAT gives the address of a device that was silent to another of the same kind.
#[test]
fn an_address_that_was_given_to_another_device_is_its() {
    let mut world = World::new();
    let mut old = behind_one_socket(&mut world, &[("old", "</3/0>")]);
    world.pass(Duration::from_secs(40));
    let mut new = behind_one_socket(&mut world, &[("new", "</3/0>")]);
    assert_eq!(send(&mut world, &mut new, 110, BATTERY, &[1]), "2.04");
    assert_eq!(sent_for(&mut world), ["lwm2m/new/up/notify"]);
    // The old one is heard from there after all: two share it.
    assert_eq!(old.update(&mut world, &[], "").code(), "2.04");
    assert_eq!(send(&mut world, &mut new, 110, BATTERY, &[1]), "4.00");
    // It goes elsewhere, and each has an address of its own.
    old.at = address(9);
    assert_eq!(old.update(&mut world, &[], "").code(), "2.04");
    world.heard();
    assert_eq!(send(&mut world, &mut new, 110, BATTERY, &[1]), "2.04");
    assert_eq!(send(&mut world, &mut old, 110, BATTERY, &[1]), "2.04");
    assert_eq!(sent_for(&mut world), ["lwm2m/new/up/notify", "lwm2m/old/up/notify"]);
}

#[test]
fn a_crowd_behind_one_socket_cannot_send_and_costs_no_more_than_a_few() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    for n in 0..200 {
        device.register(&mut world, &[&format!("ep=d{n}"), "lwm2m=1.1"], &format!("</3/0>,</3303/{n}>"));
    }
    world.heard();
    let only_the_last_has_it = br#"[{"n":"/3303/199/5700","v":1}]"#;
    assert_eq!(send(&mut world, &mut device, 110, only_the_last_has_it, &[1]), "4.00");
    assert!(sent_for(&mut world).is_empty());
    assert_eq!(world.server.devices(), 200);
}

/// Tokens and locations tell two endpoints at one address apart: commands, and who is awake.
#[test]
fn commands_and_wake_ups_of_two_endpoints_behind_one_socket_are_not_mixed_up() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let mut locations = Vec::new();
    for name in ["a", "b"] {
        device.register(&mut world, &[&format!("ep={name}"), "lwm2m=1.1", "b=UQ", "lt=3600"], "</3/0>");
        locations.push(device.location.clone());
    }
    let ask = |world: &mut World, name: &str| {
        let command = format!(r#"{{"reqID":"{name}","msgType":"read","data":{{"path":"/3/0/0"}}}}"#);
        world.publish(&format!("lwm2m/{name}/dn"), &command);
    };
    ask(&mut world, "a");
    ask(&mut world, "b");
    let mut answers = ["for a", "for b"].iter();
    device.serve(&mut world, |_| Does::Answer(Reply::text(answers.next().unwrap())));
    for name in ["a", "b"] {
        let heard = world.heard.iter().filter(|heard| heard.topic == format!("lwm2m/{name}/up/resp"));
        let values: Vec<bool> = heard
            .filter(|heard| heard.payload.contains(r#""msgType":"read""#))
            .map(|heard| heard.payload.contains(&format!("for {name}")))
            .collect();
        assert_eq!(values, [true], "{name}");
    }
    // Both sleep; the Update of one wakes nobody else.
    world.pass(Duration::from_secs(100));
    world.heard();
    ask(&mut world, "a");
    ask(&mut world, "b");
    assert!(world.inbox(device.at).is_empty());
    for (name, location) in ["a", "b"].iter().zip(&locations) {
        device.location.clone_from(location);
        world.heard();
        assert_eq!(device.update(&mut world, &[], "").code(), "2.04");
        let seen = device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
        assert_eq!(seen.len(), 1, "{name}");
        let awake: Vec<String> = world
            .heard()
            .into_iter()
            .filter(|heard| heard.payload.contains(r#""event":"awake""#))
            .map(|heard| heard.topic)
            .collect();
        assert_eq!(awake, [format!("lwm2m/{name}/event")]);
    }
}
