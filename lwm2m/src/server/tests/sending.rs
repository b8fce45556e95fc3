//! Send: values that a device sends by itself.
use super::world::{Device, UNIX_START_MS, World};
use coap_lite::{CoapOption, RequestType};

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
