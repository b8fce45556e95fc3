//! Start, reload and end.
use crate::gateway::{Gateway, publish_packet};
use std::net::TcpListener;
use std::process::Command;

#[test]
fn a_taken_port_is_named_with_what_to_do_and_nothing_is_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_turnstone"))
        .env_clear()
        .args(["--set", "mqtt.bind=127.0.0.1", "--set", &format!("mqtt.port={port}")])
        .args(["--set", "mqtt.sn.bind=[]", "--set", "lwm2m.bind=[]"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("port {port} on 127.0.0.1 is in use")) && text.contains("try:"), "{text}");
    assert!(!text.contains("listening"), "{text}");
}

#[test]
fn a_second_gateway_on_the_same_ports_does_not_start() {
    let first = Gateway::start(&[]);
    let output = Command::new(env!("CARGO_BIN_EXE_turnstone"))
        .env_clear()
        .args(["--set", "mqtt.bind=[]", "--set", "lwm2m.bind=[]", "--set", "mqtt.sn.bind=127.0.0.1"])
        .args(["--set", &format!("mqtt.sn.port={}", first.sn.port())])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("MQTT-SN: port") && text.contains("is in use"), "{text}");
}

#[test]
fn sigterm_writes_out_what_is_held_and_ends_with_0() {
    // hostile F18
    for (workers, signal) in [("workers=1", "TERM"), ("workers=3", "INT")] {
        let mut gateway = Gateway::start(&[workers, "limits.queue_bytes=64MiB"]);
        let mut subscriber = gateway.client("s");
        subscriber.subscribe("t", 0);
        let mut publisher = gateway.client("p");
        let packet = publish_packet("t", &[7; 1000]);
        for _ in 0..150 {
            publisher.send(&packet);
        }
        // Acknowledged, so the broker has taken it and all before it.
        publisher.send(b"\x32\x05\x00\x01t\x00\x01");
        publisher.expect(b"\x40\x02\x00\x01");
        gateway.signal(signal);
        subscriber.expect(&packet.repeat(150));
        subscriber.expect(b"\x30\x03\x00\x01t");
        assert_eq!(subscriber.until_end(), b"");
        assert_eq!(publisher.until_end(), b"");
        assert_eq!(gateway.wait().code(), Some(0));
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_the_end_no_longer_than_the_limit_and_a_second_signal_ends_at_once() {
    let mut gateway = Gateway::start(&[]);
    let mut deaf = gateway.client("deaf");
    deaf.subscribe("t", 0);
    let mut publisher = gateway.client("p");
    for _ in 0..2000 {
        publisher.send(&publish_packet("t", &[7; 8000]));
    }
    publisher.ping();
    gateway.signal("TERM");
    gateway.wait_for("stopping");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn sighup_applies_what_it_can_and_keeps_connections_and_old_settings_after_a_mistake() {
    for workers in ["workers = 1", "workers = 2"] {
        let folder = std::env::temp_dir().join(format!(
            "turnstone-serve-{}-{}",
            std::process::id(),
            workers.len() + usize::from(workers.ends_with('2'))
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("t.toml");
        std::fs::write(&file, format!("{workers}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnstone"));
        command.arg("--config").arg(&file);
        let gateway = Gateway::start_with(command, &[]);
        let mut client = gateway.client("c");
        client.subscribe("t", 0);

        std::fs::write(&file, "mqtt.max_packet_size = \"tiny\"\n").unwrap();
        gateway.signal("HUP");
        gateway.wait_for("the settings from before stay");
        client.send(&publish_packet("t", &[1; 500]));
        client.expect(&publish_packet("t", &[1; 500]));

        std::fs::write(&file, format!("{workers}\nmqtt.max_packet_size = \"128B\"\nlog.format = \"json\"\n"))
            .unwrap();
        gateway.signal("HUP");
        gateway.wait_for("changed: mqtt.max_packet_size");
        gateway.wait_for("needs a restart: log.format");
        gateway.wait_for("configuration reloaded");
        client.send(&publish_packet("t", &[2; 50]));
        client.expect(&publish_packet("t", &[2; 50]));
        client.send(&publish_packet("t", &[2; 500]));
        assert_eq!(client.until_end(), b"", "the new bound holds for old connections");
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn sigusr1_and_sigusr2_are_answered_in_the_log() {
    let gateway = Gateway::start(&[]);
    let mut client = gateway.client("c");
    client.subscribe("a/+", 1);
    client.send(b"\x31\x06\x00\x03r/1x");
    client.ping();
    gateway.signal("USR1");
    gateway.wait_for("no store yet");
    gateway.signal("USR2");
    let line = gateway.wait_for("subscription: client \"c\"");
    assert!(line.contains("\"a/+\" QoS 1"), "{line}");
    assert!(gateway.wait_for("retained: \"r/1\"").contains("1 bytes"));
}
