//! The settings of LwM2M, each seen from outside by a device.
use crate::coap_device::{BLOCK1, BLOCK2, Device};
use crate::gateway::{Gateway, publish_packet};
use std::net::UdpSocket;
use std::process::{Command, Output};

/// Runs the program to its end.
fn refused(settings: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstone"));
    command.env_clear().args(["--set", "mqtt.bind=[]", "--set", "mqtt.sn.bind=[]"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// EMQX's case: a folder that is not there and a port that is taken are told with what to do, and nothing starts.
#[test]
fn case111_gateway_error_paths() {
    let (code, told) = refused(&["lwm2m.xml_dir=/nowhere/xml_dir"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("lwm2m.xml_dir") && told.contains("/nowhere/xml_dir"), "{told}");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, told) = refused(&["lwm2m.bind=127.0.0.1", &format!("lwm2m.port={port}")]);
    assert!(code.is_some_and(|code| code != 0), "{told}");
    assert!(told.contains(&format!("LwM2M: port {port} on 127.0.0.1 is in use")), "{told}");
    drop(taken);
    let (code, told) = refused(&["lwm2m.mountpoint=lwm2m/${peerhost}/"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("lwm2m.mountpoint"), "{told}");
}

/// EMQX's case of `coap_max_block_size`: no block of ours is larger than `lwm2m.block_size`, in neither direction.
#[test]
fn case132_coap_max_block_size() {
    let (code, told) = refused(&["lwm2m.block_size=100"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("lwm2m.block_size = 100") && told.contains("lwm2m.block_size = 64"), "{told}");

    let gateway = Gateway::start(&["lwm2m.block_size=64"]);
    let mut client = gateway.client("c");
    let mut device = Device::registered(&gateway, "m1", "</3/0>");
    let number = |block: u32, more: bool, szx: u32| Some(block << 4 | u32::from(more) << 3 | szx);
    // A Read asks for such blocks, and goes on with them where the device sends a larger one.
    client.send(&publish_packet("lwm2m/m1/dn", br#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#));
    let read = device.hear();
    assert_eq!((read.path().as_str(), read.number(BLOCK2)), ("/3/0/0", number(0, false, 2)));
    device.send(&read.answer(0x45).with(12, b"").with(BLOCK2, &[0x0b]).with_payload(&[b'x'; 128]));
    let next = device.hear();
    assert_eq!(next.number(BLOCK2), number(2, false, 2));
    client.subscribe("lwm2m/m1/up/resp", 0);
    device.send(&next.answer(0x45).with(12, b"").with(BLOCK2, &[0x22]).with_payload(b"y"));
    let value = format!("{}y", "x".repeat(128));
    let answer = format!(
        r#"{{"reqID":1,"msgType":"read","data":{{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{{"path":"/3/0/0","value":"{value}"}}]}}}}"#
    );
    client.expect(&publish_packet("lwm2m/m1/up/resp", answer.as_bytes()));
    // A Write goes out in them.
    let write = format!(
        r#"{{"reqID":2,"msgType":"write","data":{{"path":"/3/0/14","type":"String","value":"{}"}}}}"#,
        "z".repeat(300)
    );
    client.send(&publish_packet("lwm2m/m1/dn", write.as_bytes()));
    let write = device.hear();
    assert_eq!((write.number(BLOCK1), write.payload.len()), (number(0, true, 2), 64));
    // A Register in larger ones is asked for such from the next on.
    let first = device.post("/rd", &["ep=m2", "lwm2m=1.1"], &[b' '; 1024]).with(BLOCK1, &[0x0e]);
    let taken = device.ask(&first);
    assert_eq!((taken.code, taken.number(BLOCK1)), (0x5f, number(0, true, 2)));
}
