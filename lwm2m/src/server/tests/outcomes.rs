//! Exactly one final answer to each command, whatever the device does.
use super::world::{Device, Does, Reply, World};
use crate::server::Config;
use std::time::Duration;

fn world_with(config: Config, query: &[&str]) -> (World, Device) {
    let mut world = World::with(config);
    let mut device = Device::new(56830);
    device.register(&mut world, query, "</1/0>,</3/0>");
    world.heard();
    (world, device)
}

fn plain() -> (World, Device) {
    world_with(Config::default(), &["ep=m1", "lt=86400", "lwm2m=1.1"])
}

const READ_A: &str = r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#;
const READ_B: &str = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;

/// All answers of both forms to one read each, when the device does this.
fn answers(does: impl Fn() -> Does, wait: u64) -> [String; 2] {
    let (mut world, mut device) = plain();
    [("lwm2m/m1/command", READ_A, "lwm2m/m1/response"), ("lwm2m/m1/dn", READ_B, "lwm2m/m1/up/resp")].map(
        |(topic, command, answer_topic)| {
            world.publish(topic, command);
            device.serve(&mut world, |_| does());
            let mut answers = world.on(answer_topic);
            for _ in 0..wait {
                world.pass(Duration::from_secs(1));
                device.serve(&mut world, |_| does());
                answers.extend(world.on(answer_topic));
            }
            assert_eq!(answers.len(), 1, "{answers:?}");
            answers.remove(0)
        },
    )
}

#[test]
fn what_a_device_does_not_answer_is_answered_for_it() {
    let a = |error: &str, reason: &str| {
        format!(r#"{{"CmdID":1,"Command":"Read","Error":"{error}","Reason":"{reason}"}}"#)
    };
    let b = |code: &str, message: &str, reason: &str| {
        format!(
            r#"{{"reqID":1,"msgType":"read","data":{{"reqPath":"/3/0/0","code":"{code}","codeMsg":"{message}","reason":"{reason}"}}}}"#
        )
    };
    let text = "the device rejected the request (RST)";
    let expected = [a("Bad Gateway", text), b("5.02", "bad_gateway", text)];
    assert_eq!(answers(|| Does::Reset, 0), expected);
    let text = "no acknowledgement after all retransmissions";
    let expected = [a("Timeout", text), b("5.04", "gateway_timeout", text)];
    assert_eq!(answers(|| Does::Silence, 94), expected, "within MAX_TRANSMIT_WAIT");
    let text = "acknowledged, but not answered in time";
    let expected = [a("Timeout", text), b("5.04", "gateway_timeout", text)];
    assert_eq!(answers(|| Does::OnlyAck, 62), expected, "within the response timeout");
}

#[test]
fn every_code_of_the_device_comes_through_with_its_diagnostic_text() {
    for (code, name) in [((4, 4), "Not Found"), ((4, 1), "Unauthorized"), ((5, 1), "Not Implemented")] {
        let reply =
            || Does::Answer(Reply { payload: b"no such object".to_vec(), ..Reply::code(code.0, code.1) });
        let [a, b] = answers(reply, 0);
        assert_eq!(
            a,
            format!(r#"{{"CmdID":1,"Command":"Read","Error":"{name}","Reason":"no such object"}}"#)
        );
        let number = format!(r#""code":"{}.{:02}""#, code.0, code.1);
        assert!(b.contains(&number) && b.contains(r#""reason":"no such object""#), "{b}");
    }
}

/// L31, L26: what cannot be decoded is an answer with the bytes.
#[test]
fn undecodable_answers_show_their_bytes() {
    for (reply, reason, raw) in [
        (Reply::content(65_000, "x"), "content format 65000 is not known here", "eA=="),
        (Reply::content(112, vec![0xff]), "", "/w=="),
        (Reply::content(11542, vec![0xc8, 0x00, 0xff]), "", "yAD/"),
        (Reply::content(110, "[[["), "", "W1tb"),
    ] {
        let [_, b] = answers(|| Does::Answer(reply.clone()), 0);
        assert!(b.contains(r#""code":"4.00","codeMsg":"bad_request""#), "{b}");
        assert!(b.contains(&format!(r#""raw":"{raw}","reason":"{reason}"#)), "{b}");
    }
}

/// Devices that name no format: what was asked for, or text for one value and TLV for many.
#[test]
fn an_answer_without_content_format_is_read_as_what_it_must_be() {
    let bare = |payload: &[u8]| Reply { payload: payload.to_vec(), ..Reply::code(2, 5) };
    for (version, path, payload, shown) in [
        ("lwm2m=1.0", "/3/0/0", &b"ACME"[..], r#""/3/0/0","value":"ACME""#),
        ("lwm2m=1.0", "/3/0/0", b"A1B", r#""/3/0/0","value":"A1B""#),
        ("lwm2m=1.0", "/3/0/9", b"64", r#""/3/0/9","value":64"#),
        ("lwm2m=1.0", "/3/0/9", &[0xc1, 0x09, 0x64], r#""/3/0/9","value":100"#),
        ("lwm2m=1.0", "/3/0", &[0xc1, 0x09, 0x64], r#""/3/0/9","value":100"#),
        ("lwm2m=1.1", "/3/0/0", b"ACME", r#""/3/0/0","value":"ACME""#),
        ("lwm2m=1.1", "/3/0", &[0xc1, 0x09, 0x64], r#""/3/0/9","value":100"#),
        (
            "lwm2m=1.1",
            "/3/0/9",
            &[0x81, 0xa2, 0x21, 0x66, b'/', b'3', b'/', b'0', b'/', b'9', 2, 5],
            r#"value":5"#,
        ),
    ] {
        let (mut world, mut device) = world_with(Config::default(), &["ep=m1", version]);
        world
            .publish("lwm2m/m1/dn", &format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{path}"}}}}"#));
        device.serve(&mut world, |_| Does::Answer(bare(payload)));
        let answers = world.on("lwm2m/m1/up/resp");
        assert!(answers.len() == 1 && answers[0].contains(shown), "{version} {path} {answers:?}");
    }
}

#[test]
fn emqx_compat_speaks_of_timeouts_and_resets_as_emqx_does() {
    let config = Config { emqx_compat: true, ..Config::default() };
    let (mut world, mut device) = world_with(config, &["ep=m1", "lt=86400"]);
    world.publish("lwm2m/m1/dn", READ_B);
    device.serve(&mut world, |_| Does::Reset);
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [r#"{"reqID":1,"msgType":"coap_reset","data":{"path":"/3/0/0"}}"#]
    );
    world.publish("lwm2m/m1/dn", READ_B);
    device.serve(&mut world, |_| Does::OnlyAck);
    assert_eq!(world.on("lwm2m/m1/up/resp"), [r#"{"reqID":1,"msgType":"ack","data":{"path":"/3/0/0"}}"#]);
    world.pass(Duration::from_secs(61));
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [r#"{"reqID":1,"msgType":"coap_timeout","data":{"path":"/3/0/0"}}"#]
    );
    world.publish("lwm2m/m1/command", READ_A);
    device.serve(&mut world, |_| Does::Reset);
    assert!(
        world.on("lwm2m/m1/response")[0].contains(r#""Error":"Bad Gateway""#),
        "form A has no such message"
    );
}

#[test]
fn commands_run_one_at_a_time_in_their_order() {
    let (mut world, mut device) = plain();
    for id in 1..=3 {
        world.publish(
            "lwm2m/m1/command",
            &format!(r#"{{"CmdID":{id},"Command":"Execute","BaseName":"/3/0/{id}"}}"#),
        );
    }
    let first: Vec<_> = world.inbox(device.at);
    assert_eq!(first.iter().map(|seen| seen.line()).collect::<Vec<_>>(), ["POST /3/0/1"]);
    device.do_with(&mut world, &first[0], Does::Answer(Reply::code(2, 4)));
    let rest = device.serve(&mut world, |_| Does::Answer(Reply::code(2, 4)));
    assert_eq!(rest, ["POST /3/0/2", "POST /3/0/3"]);
    let answers = world.on("lwm2m/m1/response");
    let expected = [1, 2, 3].map(|id| format!(r#"{{"CmdID":{id},"Command":"Execute","Result":"Changed"}}"#));
    assert_eq!(answers, expected);
}

#[test]
fn a_command_whose_device_leaves_is_answered_not_registered() {
    let (mut world, mut device) = plain();
    world.publish("lwm2m/m1/command", READ_A);
    world.publish("lwm2m/m1/command", &READ_A.replace(":1,", ":2,"));
    world.heard();
    device.deregister(&mut world);
    let answers = world.on("lwm2m/m1/response");
    let expected = [1, 2].map(|id| {
        let reason = "the registration ended before the command could be run";
        format!(r#"{{"CmdID":{id},"Command":"Read","Error":"Not Registered","Reason":"{reason}"}}"#)
    });
    assert_eq!(answers, expected);
}

#[test]
fn a_deregister_command_ends_the_registration() {
    let (mut world, mut device) = plain();
    world.publish("lwm2m/m1/dn", r#"{"reqID":28,"msgType":"deregister","data":{}}"#);
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [r#"{"reqID":28,"msgType":"deregister","data":{"reqPath":null,"code":"2.02","codeMsg":"deleted"}}"#]
    );
    assert_eq!(device.update(&mut world, &[], "").code(), "4.04");
}

/// L16: who has proven to be A does not register as B; without `ep` the identity is the name.
#[test]
fn a_proven_identity_is_the_endpoint() {
    let mut world = World::new();
    let mut device = Device::new(5684);
    let mut register = |world: &mut World, query: &[&str]| {
        let packet = device.packet(coap_lite::RequestType::Post, "/rd", query, b"</3/0>");
        world.datagram_with_identity(device.at, "meter-1", &packet.to_bytes().unwrap());
        world.inbox(device.at)[0].code()
    };
    assert_eq!(register(&mut world, &["ep=other"]), "4.03");
    assert_eq!(register(&mut world, &["lt=60"]), "2.01");
    assert_eq!(register(&mut world, &["ep=meter-1"]), "2.01");
    assert!(world.heard().iter().all(|heard| heard.topic.starts_with("lwm2m/meter-1/")));
}

#[test]
fn retained_commands_are_never_run() {
    let (mut world, mut device) = plain();
    let command = r#"{"CmdID":1,"Command":"Execute","BaseName":"/3/0/4"}"#;
    world.publish_as("lwm2m/m1/command", command.as_bytes(), broker_core::QoS::AtLeastOnce, true);
    assert_eq!(
        world.on("lwm2m/m1/response"),
        [r#"{"CmdID":1,"Command":"Execute","Error":"Bad Request","Reason":"retained commands are not run"}"#]
    );
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty());
    // Whoever clears it has not asked for anything.
    world.publish_as("lwm2m/m1/command", b"", broker_core::QoS::AtLeastOnce, true);
    assert!(world.on("lwm2m/m1/response").is_empty());
    world.publish_as("lwm2m/m1/command", command.as_bytes(), broker_core::QoS::AtLeastOnce, true);
    world.heard();
    // After a restart it is found again when subscribing, or by nobody at all: nothing runs.
    let mut again = world.restarted(Config::default());
    assert!(device.serve(&mut again, |_| Does::Silence).is_empty());
    assert!(again.on("lwm2m/m1/response").is_empty());
}
