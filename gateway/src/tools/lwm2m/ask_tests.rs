//! The asker and the commands against a broker that plays the gateway.
use std::net::TcpListener;
use std::thread::JoinHandle;

use broker_core::mqtt::frame::{FrameRules, Split, split};
use broker_core::mqtt::{AckKind, Direction, Packet, Publish, Version, encode_ack, encode_suback};
use broker_core::topic::TopicNameRef;
use clap::Parser;
use std::io::{Read, Write};

use super::super::Lwm2mCommand;
use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Lwm2mCommand,
}

/// A broker for one client that answers each command with what `answer` makes of it.
fn gateway(
    answer: impl Fn(&Json) -> Vec<(&'static str, Json)> + Send + 'static,
) -> (u16, JoinHandle<Vec<Json>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let patience = Some(Duration::from_secs(10));
    socket2::SockRef::from(&listener).set_read_timeout(patience).expect("a time-out of accept");
    let player = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        let mut rules = FrameRules {
            direction: Direction::ToServer,
            version: Version::V311,
            connected: false,
            connect_bytes_max: 1000,
            packet_bytes_max: 100_000,
        };
        let (mut input, mut commands) = (Vec::new(), Vec::new());
        loop {
            let mut out = Vec::new();
            let taken = match split(&input, &rules).expect("MQTT") {
                Split::Incomplete { .. } => 0,
                Split::Frame(frame) => {
                    match frame.decode().expect("a packet") {
                        Packet::Connect(_) => {
                            rules.connected = true;
                            out.extend([0x20, 2, 0, 0]);
                        }
                        Packet::Subscribe(subscribe) => {
                            let granted: Vec<_> = subscribe.filters.map(|filter| Some(filter.qos)).collect();
                            encode_suback(subscribe.packet_id, &granted, &mut out).expect("a packet");
                        }
                        Packet::Publish(publish) => {
                            if let Some(id) = publish.packet_id {
                                encode_ack(AckKind::Puback, id, &mut out);
                            }
                            assert!(publish.topic.as_str().ends_with("/dn"), "{:?}", publish.topic);
                            let command: Json = serde_json::from_slice(publish.payload).expect("JSON");
                            for (leaf, message) in answer(&command) {
                                let topic = format!("lwm2m/m1/{leaf}");
                                let payload = message.to_string().into_bytes();
                                let publish = Publish {
                                    dup: false,
                                    qos: QoS::AtMostOnce,
                                    retain: false,
                                    topic: TopicNameRef::new(&topic).expect("a topic"),
                                    packet_id: None,
                                    payload: &payload,
                                };
                                publish.encode(&mut out).expect("a packet");
                            }
                            commands.push(command);
                        }
                        Packet::Disconnect => return commands,
                        other => panic!("{other:?}"),
                    }
                    frame.len
                }
            };
            input.drain(..taken);
            stream.write_all(&out).expect("sent");
            if taken == 0 {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => return commands,
                    Ok(length) => input.extend_from_slice(&chunk[..length]),
                }
            }
        }
    });
    (port, player)
}

/// Runs a command line against such a gateway: exit code and the commands that the gateway got.
fn run(
    arguments: &[&str],
    answer: impl Fn(&Json) -> Vec<(&'static str, Json)> + Send + 'static,
) -> (Exit, Vec<Json>) {
    let (port, player) = gateway(answer);
    let port = port.to_string();
    let (verb, rest) = arguments.split_first().expect("a verb");
    let line = [&["x", verb, "-h", "127.0.0.1", "-p", port.as_str()][..], rest].concat();
    let line = Line::try_parse_from(line).expect("a command line");
    let exit = super::super::run(line.command);
    (exit, player.join().expect("the gateway was played"))
}

fn answered(command: &Json, data: Json) -> Vec<(&'static str, Json)> {
    let other = json!({"reqID": 1, "msgType": "read", "data": {"code": "4.04"}});
    let ack = json!({"reqID": command["reqID"], "msgType": "ack", "data": {}});
    let answer = json!({"reqID": command["reqID"], "msgType": command["msgType"], "data": data});
    vec![("up/resp", other), ("up/resp", ack), ("up/resp", answer)]
}

fn ok(command: &Json) -> Vec<(&'static str, Json)> {
    answered(command, json!({"reqPath": "/", "code": "2.05", "codeMsg": "content", "content": []}))
}

#[test]
fn each_command_is_the_message_of_the_interface() {
    let rows: [(&[&str], Json); 10] = [
        (&["read", "m1", "Device/0/Manufacturer"], json!({"msgType": "read", "data": {"path": "/3/0/0"}})),
        (
            &["read", "m1", "/3/0/0", "/1/0/1"],
            json!({"msgType": "read-composite", "data": {"paths": ["/3/0/0", "/1/0/1"]}}),
        ),
        (
            &["write", "m1", "/1/0/1", "60"],
            json!({"msgType": "write", "data": {"path": "/1/0/1", "value": 60, "type": "Integer"}}),
        ),
        (
            &["write", "m1", "/3/0", "UTC Offset=+02:00", "15=Europe/Berlin", "--replace"],
            json!({"msgType": "write", "data": {"basePath": "/3/0", "mode": "replace", "content": [
                {"value": "+02:00", "type": "String", "path": "14"},
                {"value": "Europe/Berlin", "type": "String", "path": "15"},
            ]}}),
        ),
        (
            &["exec", "m1", "/3/0/4", "0='x'"],
            json!({"msgType": "execute", "data": {"path": "/3/0/4", "args": "0='x'"}}),
        ),
        (&["discover", "m1", "Device"], json!({"msgType": "discover", "data": {"path": "/3"}})),
        (
            &["create", "m1", "3303", "5701=Cel"],
            json!({"msgType": "create", "data": {"basePath": "/3303", "withoutId": true, "content": [
                {"value": "Cel", "type": "String", "path": "5701"},
            ]}}),
        ),
        (
            &["create", "m1", "3303", "--instance", "2", "5701=Cel"],
            json!({"msgType": "create", "data": {"basePath": "/3303", "content": [
                {"value": "Cel", "type": "String", "path": "2/5701"},
            ]}}),
        ),
        (&["delete", "m1", "/3303/2"], json!({"msgType": "delete", "data": {"path": "/3303/2"}})),
        (
            &["fw", "m1", "meter-2.bin", "--no-update"],
            json!({"msgType": "firmware", "data": {"file": "meter-2.bin", "update": false}}),
        ),
    ];
    for (arguments, expected) in rows {
        let (exit, commands) = run(arguments, ok);
        assert_eq!(exit, Exit::Ok, "{arguments:?}");
        let [command] = &commands[..] else { panic!("{arguments:?}: {commands:?}") };
        assert!(command["reqID"].is_u64());
        assert_eq!(command["msgType"], expected["msgType"], "{arguments:?}");
        assert_eq!(command["data"], expected["data"], "{arguments:?}");
    }
    let (_, commands) = run(&["read", "m1", "/3", "--ttl", "600", "--accept", "112"], ok);
    assert_eq!((&commands[0]["ttl"], &commands[0]["accept"]), (&json!(600), &json!(112)));
}

#[test]
fn answers_have_their_exit_codes() {
    for (code, exit) in [
        ("2.05", Exit::Ok),
        ("4.01", Exit::Denied),
        ("4.04", Exit::Failure),
        ("5.04", Exit::Timeout),
        ("5.00", Exit::Failure),
    ] {
        let (got, _) = run(&["read", "m1", "/3/0/0"], move |command| {
            answered(command, json!({"code": code, "codeMsg": "x", "content": []}))
        });
        assert_eq!(got, exit, "{code}");
    }
    let silent = run(&["read", "m1", "/3/0/0", "-W", "0.2"], |_| Vec::new());
    assert_eq!(silent.0, Exit::Timeout);
    let reset = run(&["read", "m1", "/3/0/0"], |command| {
        vec![("up/resp", json!({"reqID": command["reqID"], "msgType": "coap_reset", "data": {}}))]
    });
    assert_eq!(reset.0, Exit::Failure);
}

#[test]
fn an_observation_ends_after_its_count_and_is_cancelled() {
    let notify = |command: &Json| {
        let mut messages = ok(command);
        if command["msgType"] == "observe" {
            for number in 0..5 {
                let data = json!({"code": "2.05", "content": [{"path": "/3/0/9", "value": number}]});
                let message =
                    json!({"reqID": command["reqID"], "msgType": "notify", "seqNum": number, "data": data});
                messages.push(("up/notify", message));
            }
        }
        messages
    };
    let (exit, commands) = run(&["observe", "m1", "/3/0/9", "-C", "3"], notify);
    assert_eq!(exit, Exit::Ok);
    let kinds: Vec<&Json> = commands.iter().map(|command| &command["msgType"]).collect();
    assert_eq!(kinds, ["observe", "cancel-observe"]);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    for arguments in [
        &["read", "m/1", "/3"][..],
        &["read", "m1", "/3/x"],
        &["write", "m1", "/1/0/1", "soon"],
        &["write", "m1", "/1/0", "60"],
        &["exec", "m1", "/3/0"],
        &["create", "m1", "/3303/1"],
        &["create", "m1", "3303", "--instance", "1"],
    ] {
        let line = [&["x", arguments[0], "-h", "127.0.0.1", "-p", "1"][..], &arguments[1..]].concat();
        let line = Line::try_parse_from(line).expect("a command line");
        assert_eq!(super::super::run(line.command), Exit::Usage, "{arguments:?}");
    }
}
