//! The whole way: Register, a Read by MQTT in both forms, Update, De-register.
use super::world::{Device, Does, Reply, UNIX_START_MS, World};
use coap_lite::RequestType;
use std::time::Duration;

const LINKS: &str = "</1/0>,</3/0>";

fn registered(world: &mut World) -> Device {
    let mut device = Device::new(56830);
    device.register(world, &["ep=m1", "lt=300", "lwm2m=1.1"], LINKS);
    device
}

#[test]
fn register_answers_with_a_random_location_and_tells_everyone() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let answer = device.ask(
        &mut world,
        RequestType::Post,
        "/rd",
        &["ep=urn:imei:1234", "lt=300", "lwm2m=1.0", "b=U", "sms=+331", "apn=x", "password=p"],
        b"</1/0>,</3/0>,</4>",
    );
    assert_eq!(answer.code(), "2.01");
    let location = answer.location();
    assert!(location.starts_with("rd/") && location.len() == 13, "{location}");
    let heard = world.heard();
    let lines: Vec<(&str, &str, bool)> =
        heard.iter().map(|heard| (&*heard.topic, &*heard.payload, heard.retain)).collect();
    assert_eq!(
        lines,
        [
            (
                "lwm2m/urn:imei:1234/up/resp",
                r#"{"msgType":"register","data":{"ep":"urn:imei:1234","lt":300,"lwm2m":"1.0","b":"U","sms":"+331","apn":"x","alternatePath":"/","objectList":["/1/0","/3/0","/4"]}}"#,
                false
            ),
            (
                "lwm2m/urn:imei:1234/event",
                &*format!(
                    r#"{{"event":"registered","ep":"urn:imei:1234","time":{UNIX_START_MS},"lt":300,"lwm2m":"1.0","b":"U","queue":false,"address":"192.0.2.7:56830","objects":["/1/0","/3/0","/4"]}}"#
                ),
                false
            ),
            (
                "lwm2m/urn:imei:1234/status",
                &*format!(r#"{{"status":"online","time":{UNIX_START_MS}}}"#),
                false
            ),
        ]
    );
}

#[test]
fn a_read_by_mqtt_is_answered_in_the_form_it_was_asked_in() {
    let mut world = World::new();
    let mut device = registered(&mut world);
    world.heard();
    for (topic, command, answer_topic, answer) in [
        (
            "lwm2m/m1/command",
            r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#,
            "lwm2m/m1/response",
            r#"{"CmdID":1,"Command":"Read","Result":{"bn":"/3/0/0","e":[{"sv":"ACME"}]}}"#,
        ),
        (
            "lwm2m/m1/command",
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
            "lwm2m/m1/response",
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
        ),
        (
            "lwm2m/m1/dn/read",
            r#"{"reqID":2,"msgType":"read","data":{"path":"3/0/0"}}"#,
            "lwm2m/m1/up/resp",
            r#"{"reqID":2,"msgType":"read","data":{"reqPath":"3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
        ),
    ] {
        world.publish(topic, command);
        let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
        assert_eq!(asked, ["GET /3/0/0 accept 112"]);
        assert_eq!(world.on(answer_topic), [answer], "{command}");
    }
}

#[test]
fn update_and_deregister_answer_at_the_location_only() {
    let mut world = World::new();
    let mut device = registered(&mut world);
    world.heard();
    assert_eq!(device.update(&mut world, &["lt=600"], "").code(), "2.04");
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [
            r#"{"msgType":"update","data":{"ep":"m1","lt":600,"lwm2m":"1.1","alternatePath":"/","objectList":["/1/0","/3/0"]}}"#
        ]
    );
    let other = device.ask(&mut world, RequestType::Delete, "/rd/m1", &[], b"");
    assert_eq!(other.code(), "4.04");
    assert_eq!(device.deregister(&mut world).code(), "2.02");
    let status = format!(r#"{{"status":"offline","time":{UNIX_START_MS},"reason":"deregistered"}}"#);
    assert_eq!(world.on("lwm2m/m1/status"), [status]);
    assert_eq!(device.update(&mut world, &[], "").code(), "4.04");
    assert_eq!(world.server.devices(), 0);
}

#[test]
fn a_lifetime_that_ends_ends_the_registration_after_its_grace() {
    let mut world = World::new();
    let mut device = registered(&mut world);
    world.pass(Duration::from_secs(305));
    assert_eq!(device.update(&mut world, &[], "").code(), "2.04", "within the grace");
    world.pass(Duration::from_secs(309));
    world.heard();
    world.pass(Duration::from_secs(2));
    assert!(world.on("lwm2m/m1/status")[0].contains(r#""reason":"expired""#));
    assert_eq!(device.update(&mut world, &[], "").code(), "4.04");
}

#[test]
fn a_command_for_nobody_is_answered() {
    let mut world = World::new();
    world.publish("lwm2m/nobody/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    assert_eq!(
        world.on("lwm2m/nobody/response"),
        [
            r#"{"CmdID":1,"Command":"Read","Error":"Not Registered","Reason":"no such endpoint is registered"}"#
        ]
    );
}

#[test]
fn a_restart_finds_the_registration_and_its_location_again() {
    let mut before = World::new();
    let mut device = registered(&mut before);
    let mut world = before.restarted(crate::server::Config::default());
    assert_eq!(world.server.devices(), 1);
    world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    device.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
    assert_eq!(world.on("lwm2m/m1/response").len(), 1);
    assert_eq!(device.update(&mut world, &["lt=60"], "").code(), "2.04");
}
