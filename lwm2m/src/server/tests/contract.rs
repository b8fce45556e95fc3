//! The contract of the MQTT side, letter for letter: which form on which topic, every operation of both forms, every
//! outcome in both forms, paths and values.
use super::world::{Device, Does, Reply, Seen, World};
use crate::server::Config;
use coap_lite::CoapOption;
use std::time::Duration;

const A: &str = "lwm2m/m1/command";
const B: &str = "lwm2m/m1/dn";
const TO_A: &str = "lwm2m/m1/response";
const TO_B: &str = "lwm2m/m1/up/resp";

/// A device that takes SenML JSON, so that its requests can be read here.
fn house() -> (World, Device) {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let links = r#"</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</5/0>,</3303/0>,</3303/1>"#;
    device.register(&mut world, &["ep=m1", "lt=86400", "lwm2m=1.1"], links);
    world.heard();
    (world, device)
}

/// What a device is asked, a payload as text.
fn line(seen: &Seen) -> String {
    let line = seen.line();
    let head = line.split(" [").next().unwrap_or_default().to_owned();
    if seen.packet.payload.is_empty() { head } else { format!("{head} {}", seen.text()) }
}

struct Row {
    topic: &'static str,
    command: &'static str,
    asked: &'static str,
    reply: Reply,
    answer: &'static str,
}

/// Plays rows: the device is asked exactly this, and exactly one answer comes, on the topic that belongs to the
/// command's, with nothing on any other topic but events.
fn play(rows: &[Row]) {
    let (mut world, mut device) = house();
    for row in rows {
        world.publish(row.topic, row.command);
        let mut asked = Vec::new();
        device.serve(&mut world, |seen| {
            asked.push(line(seen));
            Does::Answer(row.reply.clone())
        });
        assert_eq!(asked.join(" | "), row.asked, "{}", row.command);
        let mut heard = world.heard();
        heard.retain(|heard| heard.topic != "lwm2m/m1/event");
        let heard: Vec<(&str, &str)> = heard.iter().map(|h| (&*h.topic, &*h.payload)).collect();
        let to = if row.topic == A { TO_A } else { TO_B };
        assert_eq!(heard, [(to, row.answer)], "{}", row.command);
    }
}

fn row(
    topic: &'static str,
    command: &'static str,
    asked: &'static str,
    reply: Reply,
    answer: &'static str,
) -> Row {
    Row { topic, command, asked, reply, answer }
}

fn senml(text: &str) -> Reply {
    Reply::content(110, text)
}

fn changed() -> Reply {
    Reply::code(2, 4)
}

#[test]
fn the_topic_tells_the_channel_and_the_keys_tell_the_form() {
    let acme = || Reply::text("ACME");
    play(&[
        row(
            A,
            r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#,
            "GET /3/0/0 accept 110",
            acme(),
            r#"{"CmdID":1,"Command":"Read","Result":{"bn":"/3/0/0","e":[{"sv":"ACME"}]}}"#,
        ),
        row(
            A,
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
            "GET /3/0/0 accept 110",
            acme(),
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
        ),
        row(
            B,
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
            "GET /3/0/0 accept 110",
            acme(),
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
        ),
        // Any level below dn, and `Command` is not looked at there: it is echoed like any other member.
        row(
            "lwm2m/m1/dn/a/b",
            r#"{"reqID":1,"Command":"Execute","msgType":"read","data":{"path":"/3/0/0"}}"#,
            "GET /3/0/0 accept 110",
            acme(),
            r#"{"reqID":1,"Command":"Execute","msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
        ),
        row(
            B,
            r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#,
            "",
            acme(),
            r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0","msgType":null,"data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"msgType is missing or not a text"}}"#,
        ),
    ]);
}

#[test]
fn what_is_neither_form_is_answered_in_form_a_on_command_and_in_form_b_on_dn() {
    let error_a = |payload: &'static str, answer: &'static str| row(A, payload, "", changed(), answer);
    let error_b = |payload: &'static str, answer: &'static str| row(B, payload, "", changed(), answer);
    play(&[
        error_a(
            "{oops",
            r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not JSON: line 1, column 2"}"#,
        ),
        error_a("[]", r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not a JSON object"}"#),
        error_a("7", r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"not a JSON object"}"#),
        error_a(
            "{}",
            r#"{"CmdID":null,"Command":null,"Error":"Bad Request","Reason":"neither Command nor msgType"}"#,
        ),
        error_a(
            r#"{"CmdID":1,"Command":"Read","msgType":"read"}"#,
            r#"{"CmdID":1,"Command":"Read","Error":"Bad Request","Reason":"both Command and msgType: use one"}"#,
        ),
        // Keys are case-sensitive.
        error_a(
            r#"{"CmdID":1,"command":"Read","basename":"/3/0/0"}"#,
            r#"{"CmdID":1,"Command":null,"Error":"Bad Request","Reason":"neither Command nor msgType"}"#,
        ),
        error_a(
            r#"{"CmdID":7,"Command":"Frobnicate"}"#,
            r#"{"CmdID":7,"Command":"Frobnicate","Error":"Bad Command","Reason":"unknown Command; known: Read, Write, Execute, Discover, Write-Attributes, Create, Delete, Observe, Cancel-Observe, Read-Composite, Write-Composite, Observe-Composite, Cancel-Observe-Composite, Deregister, Firmware"}"#,
        ),
        error_a(
            r#"{"CmdID":8,"Command":"Read","BaseName":"/3/x"}"#,
            r#"{"CmdID":8,"Command":"Read","Error":"Bad Request","Reason":"BaseName \"/3/x\": \"x\" is not a number 0–65534"}"#,
        ),
        error_b(
            "{oops",
            r#"{"reqID":null,"msgType":null,"data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"not JSON: line 1, column 2"}}"#,
        ),
        row(
            B,
            r#"{"reqID":9,"msgType":"read","data":{"path":"/9/0"}}"#,
            "GET /9/0 accept 110",
            Reply { payload: b"no such object".to_vec(), ..Reply::code(4, 4) },
            r#"{"reqID":9,"msgType":"read","data":{"reqPath":"/9/0","code":"4.04","codeMsg":"not_found","reason":"no such object"}}"#,
        ),
    ]);
}

#[test]
fn ids_come_back_with_their_very_text_and_what_is_absent_stays_absent() {
    let (mut world, mut device) = house();
    for id in [
        "1e308",
        "18446744073709551616",
        r#""a""#,
        "null",
        "0.10",
        "-0",
        r#"{"b":[1, 2]}"#,
        "[]",
        "true",
        r#""\u00e4\n""#,
    ] {
        world.publish(A, &format!(r#"{{"CmdID":{id},"Command":"Execute","BaseName":"/3/0/4"}}"#));
        device.serve(&mut world, |_| Does::Answer(changed()));
        assert_eq!(world.on(TO_A), [format!(r#"{{"CmdID":{id},"Command":"Execute","Result":"Changed"}}"#)]);
        world.publish(B, &format!(r#"{{"reqID":{id},"msgType":"execute","data":{{"path":"/3/0/4"}}}}"#));
        device.serve(&mut world, |_| Does::Answer(changed()));
        let data = r#"{"reqPath":"/3/0/4","code":"2.04","codeMsg":"changed"}"#;
        assert_eq!(world.on(TO_B), [format!(r#"{{"reqID":{id},"msgType":"execute","data":{data}}}"#)]);
        let event = format!(r#""id":{id},"#);
        world.publish(A, &format!(r#"{{"CmdID":{id},"Command":"Execute","BaseName":"/3/0/4"}}"#));
        device.serve(&mut world, |_| Does::Answer(changed()));
        assert!(world.on("lwm2m/m1/event").iter().all(|text| text.contains(&event)), "{id}");
    }
    world.publish(A, r#"{"Command":"Execute","BaseName":"/3/0/4"}"#);
    device.serve(&mut world, |_| Does::Answer(changed()));
    assert_eq!(world.on(TO_A), [r#"{"Command":"Execute","Result":"Changed"}"#]);
    world.publish(B, r#"{"msgType":"execute","data":{"path":"/3/0/4"}}"#);
    device.serve(&mut world, |_| Does::Answer(changed()));
    assert_eq!(
        world.on(TO_B),
        [r#"{"msgType":"execute","data":{"reqPath":"/3/0/4","code":"2.04","codeMsg":"changed"}}"#]
    );
}

#[test]
fn the_operations_that_emqx_lacks_in_form_b() {
    play(&[
        row(
            B,
            r#"{"reqID":20,"msgType":"write","data":{"basePath":"/3/0","mode":"replace","content":[{"path":"14","value":"+01:00"}]}}"#,
            r#"PUT /3/0 cf 110 [{"bn":"/3/0/","n":"14","vs":"+01:00"}]"#,
            changed(),
            r#"{"reqID":20,"msgType":"write","data":{"reqPath":"/3/0","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":20,"msgType":"write","data":{"basePath":"/3/0","mode":"update","content":[{"path":"14","value":"+01:00"}]}}"#,
            r#"POST /3/0 cf 110 [{"bn":"/3/0/","n":"14","vs":"+01:00"}]"#,
            changed(),
            r#"{"reqID":20,"msgType":"write","data":{"reqPath":"/3/0","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":21,"msgType":"write","data":{"path":"/3/0/7/1","type":"Integer","value":5000}}"#,
            "PUT /3/0/7/1 cf 0 5000",
            changed(),
            r#"{"reqID":21,"msgType":"write","data":{"reqPath":"/3/0/7/1","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":22,"msgType":"write-attr","data":{"path":"/3/0/9","pmin":5,"pmax":"","st":null}}"#,
            "PUT /3/0/9?pmin=5&pmax",
            changed(),
            r#"{"reqID":22,"msgType":"write-attr","data":{"reqPath":"/3/0/9","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":22,"msgType":"write-attr","data":{"path":"/3/0/9","epmin":"1","epmax":2,"edge":1,"con":0,"hqmax":10}}"#,
            "PUT /3/0/9?epmin=1&epmax=2&edge=1&con=0&hqmax=10",
            changed(),
            r#"{"reqID":22,"msgType":"write-attr","data":{"reqPath":"/3/0/9","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/3303/0/5700"]}}"#,
            r#"FETCH / accept 110 cf 110 [{"n":"/3/0/0"},{"n":"/3303/0/5700"}]"#,
            senml(r#"[{"n":"/3/0/0","vs":"ACME"},{"n":"/3303/0/5700","v":21.5}]"#),
            r#"{"reqID":24,"msgType":"read-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"},{"path":"/3303/0/5700","value":21.5}]}}"#,
        ),
        row(
            B,
            r#"{"reqID":25,"msgType":"write-composite","data":{"content":[{"path":"/3/0/14","value":"+01:00"},{"path":"/1/0/1","value":60}]}}"#,
            r#"iPATCH / cf 110 [{"n":"/3/0/14","vs":"+01:00"},{"n":"/1/0/1","v":60}]"#,
            changed(),
            r#"{"reqID":25,"msgType":"write-composite","data":{"reqPath":"/","code":"2.04","codeMsg":"changed"}}"#,
        ),
        row(
            B,
            r#"{"reqID":26,"msgType":"observe-composite","data":{"paths":["/3/0/9","/3303/0/5700"]}}"#,
            r#"FETCH / accept 110 observe 0 cf 110 [{"n":"/3/0/9"},{"n":"/3303/0/5700"}]"#,
            senml(r#"[{"n":"/3/0/9","v":5},{"n":"/3303/0/5700","v":21.5}]"#).observed(1),
            r#"{"reqID":26,"msgType":"observe-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":5},{"path":"/3303/0/5700","value":21.5}]}}"#,
        ),
        row(
            B,
            r#"{"reqID":27,"msgType":"cancel-observe-composite","data":{"paths":["/3/0/9","/3303/0/5700"]}}"#,
            r#"FETCH / accept 110 observe 1 cf 110 [{"n":"/3/0/9"},{"n":"/3303/0/5700"}]"#,
            senml(r#"[{"n":"/3/0/9","v":5}]"#),
            r#"{"reqID":27,"msgType":"cancel-observe-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":5}]}}"#,
        ),
        row(
            B,
            r#"{"reqID":30,"msgType":"read","ttl":600,"timeout":20,"accept":112,"data":{"path":"/3/0"}}"#,
            "GET /3/0 accept 112",
            senml(r#"[{"bn":"/3/0/","n":"9","v":5}]"#),
            r#"{"reqID":30,"msgType":"read","ttl":600,"timeout":20,"accept":112,"data":{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":5}]}}"#,
        ),
        row(
            B,
            r#"{"reqID":29,"msgType":"firmware","data":{"file":"../x"}}"#,
            "",
            changed(),
            r#"{"reqID":29,"msgType":"firmware","data":{"reqPath":"/5/0","code":"4.00","codeMsg":"bad_request","reason":"file \"../x\" is not a plain file name in lwm2m.firmware_dir"}}"#,
        ),
    ]);
}

/// TLV alone leaves the id to the device.
#[test]
fn an_instance_is_created_with_and_without_an_id() {
    for (command, asked, reply, answer) in [
        (
            r#"{"reqID":23,"msgType":"create","data":{"basePath":"/3303","withoutId":true,"content":[{"path":"5700","value":1.5}]}}"#,
            "POST /3303 cf 11542 [e416443fc00000]",
            Reply { location: vec!["3303", "4"], ..Reply::code(2, 1) },
            r#"{"reqID":23,"msgType":"create","data":{"reqPath":"/3303","code":"2.01","codeMsg":"created","location":"/3303/4"}}"#,
        ),
        (
            r#"{"reqID":23,"msgType":"create","data":{"basePath":"/3303","content":[{"path":"4/5700","value":1.5}]}}"#,
            r#"POST /3303 cf 110 [5b7b22626e223a222f333330332f222c226e223a22342f35373030222c2276223a312e357d5d]"#,
            Reply::code(2, 1),
            // The device need not say what it was told.
            r#"{"reqID":23,"msgType":"create","data":{"reqPath":"/3303","code":"2.01","codeMsg":"created","location":"/3303/4"}}"#,
        ),
    ] {
        let (mut world, mut device) = house();
        world.publish(B, command);
        let seen = device.serve(&mut world, |_| Does::Answer(reply.clone()));
        assert_eq!(seen, [asked], "{command}");
        assert_eq!(world.on(TO_B), [answer], "{command}");
    }
}

#[test]
fn the_operations_that_emqx_lacks_in_form_a() {
    play(&[
        row(
            A,
            r#"{"CmdID":20,"Command":"Write","Mode":"replace","Value":{"bn":"/3/0","e":[{"n":"14","sv":"+01:00"}]}}"#,
            r#"PUT /3/0 cf 110 [{"bn":"/3/0/","n":"14","vs":"+01:00"}]"#,
            changed(),
            r#"{"CmdID":20,"Command":"Write","Result":"Changed"}"#,
        ),
        row(
            A,
            r#"{"CmdID":21,"Command":"Write-Attributes","BaseName":"/3/0/9","Value":"pmin=5&pmax"}"#,
            "PUT /3/0/9?pmin=5&pmax",
            changed(),
            r#"{"CmdID":21,"Command":"Write-Attributes","Result":"Changed"}"#,
        ),
        row(
            A,
            r#"{"CmdID":22,"Command":"Create","Value":{"bn":"/3303","e":[{"n":"1/5700","v":1.5}]}}"#,
            r#"POST /3303 cf 110 [{"bn":"/3303/","n":"1/5700","v":1.5}]"#,
            Reply { location: vec!["3303", "1"], ..Reply::code(2, 1) },
            r#"{"CmdID":22,"Command":"Create","Result":"Created","Location":"/3303/1"}"#,
        ),
        row(
            A,
            r#"{"CmdID":22,"Command":"Create","Value":{"bn":"/3303","e":[{"n":"9/5700","v":1.5}]}}"#,
            r#"POST /3303 cf 110 [{"bn":"/3303/","n":"9/5700","v":1.5}]"#,
            Reply::code(2, 1),
            r#"{"CmdID":22,"Command":"Create","Result":"Created","Location":"/3303/9"}"#,
        ),
        row(
            A,
            r#"{"CmdID":23,"Command":"Delete","BaseName":"/3303/1"}"#,
            "DELETE /3303/1",
            Reply::code(2, 2),
            r#"{"CmdID":23,"Command":"Delete","Result":"Deleted"}"#,
        ),
        row(
            A,
            r#"{"CmdID":24,"Command":"Cancel-Observe","BaseName":"/3/0/10"}"#,
            "GET /3/0/10 accept 110",
            Reply::text("15"),
            r#"{"CmdID":24,"Command":"Cancel-Observe","Result":{"bn":"/3/0/10","e":[{"v":15}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":25,"Command":"Read-Composite","BaseNames":["/3/0/0","/1/0/1"]}"#,
            r#"FETCH / accept 110 cf 110 [{"n":"/3/0/0"},{"n":"/1/0/1"}]"#,
            senml(r#"[{"n":"/3/0/0","vs":"ACME"},{"n":"/1/0/1","v":60}]"#),
            r#"{"CmdID":25,"Command":"Read-Composite","Result":{"bn":"/","e":[{"n":"3/0/0","sv":"ACME"},{"n":"1/0/1","v":60}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":26,"Command":"Write-Composite","Value":{"bn":"/","e":[{"n":"3/0/14","sv":"+01:00"}]}}"#,
            r#"iPATCH / cf 110 [{"n":"/3/0/14","vs":"+01:00"}]"#,
            changed(),
            r#"{"CmdID":26,"Command":"Write-Composite","Result":"Changed"}"#,
        ),
        row(
            A,
            r#"{"CmdID":27,"Command":"Observe-Composite","BaseNames":["/3/0/9"]}"#,
            r#"FETCH / accept 110 observe 0 cf 110 [{"n":"/3/0/9"}]"#,
            senml(r#"[{"n":"/3/0/9","v":5}]"#).observed(1),
            r#"{"CmdID":27,"Command":"Observe-Composite","Result":{"bn":"/","e":[{"n":"3/0/9","v":5}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":27,"Command":"Cancel-Observe-Composite","BaseNames":["/3/0/9"]}"#,
            r#"FETCH / accept 110 observe 1 cf 110 [{"n":"/3/0/9"}]"#,
            senml(r#"[{"n":"/3/0/9","v":5}]"#),
            r#"{"CmdID":27,"Command":"Cancel-Observe-Composite","Result":{"bn":"/","e":[{"n":"3/0/9","v":5}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0","TTL":60,"Timeout":5,"Accept":112}"#,
            "GET /3/0 accept 112",
            senml(r#"[{"bn":"/3/0/","n":"9","v":5},{"n":"0","vs":"ACME"}]"#),
            r#"{"CmdID":1,"Command":"Read","Result":{"bn":"/3/0","e":[{"n":"9","v":5},{"n":"0","sv":"ACME"}]}}"#,
        ),
    ]);
}

/// The commands of the first generation, with the base names of its answers.
#[test]
fn the_examples_of_the_first_generation() {
    play(&[
        row(
            A,
            r#"{"CmdID":2,"Command":"Read","BaseName":"/3/0"}"#,
            "GET /3/0 accept 110",
            senml(
                r#"[{"bn":"/3/0/","n":"0","vs":"ACME"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","vs":"+02:00"}]"#,
            ),
            r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/3/0","e":[{"n":"0","sv":"ACME"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","sv":"+02:00"}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":2,"Command":"Read","BaseName":"/2"}"#,
            "GET /2 accept 110",
            senml(r#"[{"bn":"/2/","n":"0/0","v":1},{"n":"0/2/127","v":7},{"n":"2/0","v":3}]"#),
            r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/2","e":[{"n":"0/0","v":1},{"n":"0/2/127","v":7},{"n":"2/0","v":3}]}}"#,
        ),
        // An object with one instance: the base is the instance.
        row(
            A,
            r#"{"CmdID":2,"Command":"Read","BaseName":"/3"}"#,
            "GET /3 accept 110",
            senml(r#"[{"bn":"/3/0/","n":"0","vs":"ACME"},{"n":"9","v":5}]"#),
            r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/3/0","e":[{"n":"0","sv":"ACME"},{"n":"9","v":5}]}}"#,
        ),
        // A multiple resource: the base is its instance.
        row(
            A,
            r#"{"CmdID":2,"Command":"Read","BaseName":"/3/0/7"}"#,
            "GET /3/0/7 accept 110",
            senml(r#"[{"bn":"/3/0/7/","n":"0","v":3800},{"n":"1","v":5000}]"#),
            r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/3/0","e":[{"n":"7/0","v":3800},{"n":"7/1","v":5000}]}}"#,
        ),
        // An instance that answers with one resource: as a resource.
        row(
            A,
            r#"{"CmdID":2,"Command":"Read","BaseName":"/3/0"}"#,
            "GET /3/0 accept 110",
            senml(r#"[{"bn":"/3/0/","n":"0","vs":"ACME"}]"#),
            r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/3/0/0","e":[{"sv":"ACME"}]}}"#,
        ),
        row(
            A,
            r#"{"CmdID":6,"Command":"Write","Value":{"bn":"/3","e":[{"n":"0/13","v":12345},{"n":"0/7/1","v":5000}]}}"#,
            r#"POST /3 cf 110 [{"bn":"/3/","n":"0/13","v":12345},{"n":"0/7/1","v":5000}]"#,
            changed(),
            r#"{"CmdID":6,"Command":"Write","Result":"Changed"}"#,
        ),
        row(
            A,
            r#"{"CmdID":7,"Command":"Execute","BaseName":"/3/0/4"}"#,
            "POST /3/0/4",
            Reply::code(4, 1),
            r#"{"CmdID":7,"Command":"Execute","Error":"Unauthorized"}"#,
        ),
        row(
            A,
            r#"{"CmdID":8,"Command":"Discover","BaseName":"3/0/7/"}"#,
            "GET /3/0/7 accept 40",
            Reply::content(40, "</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2"),
            r#"{"CmdID":8,"Command":"Discover","Result":"</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2"}"#,
        ),
        row(
            A,
            r#"{"CmdID":10,"Command":"Observe","BaseName":"/3/0/10"}"#,
            "GET /3/0/10 accept 110 observe 0",
            Reply::text("15").observed(1),
            r#"{"CmdID":10,"Command":"Observe","Result":{"bn":"/3/0/10","e":[{"v":15}]}}"#,
        ),
    ]);
}

/// Whatever becomes of it, `reqPath` of a composite command is "/".
#[test]
fn composite_commands_that_fail_name_the_root() {
    play(&[
        row(
            B,
            r#"{"reqID":24,"msgType":"read-composite","data":{"paths":[]}}"#,
            "",
            changed(),
            r#"{"reqID":24,"msgType":"read-composite","data":{"reqPath":"/","code":"4.00","codeMsg":"bad_request","reason":"paths has 0 paths: 1 to 4096 are possible"}}"#,
        ),
        row(
            B,
            r#"{"reqID":25,"msgType":"write-composite","data":{"content":[{"path":"/3/0/14","value":"x"}]}}"#,
            r#"iPATCH / cf 110 [{"n":"/3/0/14","vs":"x"}]"#,
            Reply::code(4, 4),
            r#"{"reqID":25,"msgType":"write-composite","data":{"reqPath":"/","code":"4.04","codeMsg":"not_found"}}"#,
        ),
    ]);
    let mut world = World::new();
    world.publish(B, r#"{"reqID":26,"msgType":"observe-composite","data":{"paths":["/3/0/9"]}}"#);
    assert_eq!(
        world.on(TO_B),
        [
            r#"{"reqID":26,"msgType":"observe-composite","data":{"reqPath":"/","code":"4.04","codeMsg":"not_found","reason":"no such endpoint is registered"}}"#
        ]
    );
}

#[test]
fn deregister_is_answered_in_both_forms_and_the_device_must_register_anew() {
    for (topic, command, to, answer) in [
        (
            B,
            r#"{"reqID":28,"msgType":"deregister","data":{}}"#,
            TO_B,
            r#"{"reqID":28,"msgType":"deregister","data":{"reqPath":null,"code":"2.02","codeMsg":"deleted"}}"#,
        ),
        (
            A,
            r#"{"CmdID":28,"Command":"Deregister"}"#,
            TO_A,
            r#"{"CmdID":28,"Command":"Deregister","Result":"Deleted"}"#,
        ),
    ] {
        let (mut world, mut device) = house();
        world.publish(topic, command);
        assert_eq!(world.on(to), [answer]);
        assert_eq!(device.update(&mut world, &[], "").code(), "4.04");
    }
}

/// One read by this device in both forms: both answers.
fn both(does: impl Fn(&Seen) -> Does, seconds: u64) -> [String; 2] {
    let (mut world, mut device) = house();
    [
        (A, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#, TO_A),
        (B, r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#, TO_B),
    ]
    .map(|(topic, command, to)| {
        world.publish(topic, command);
        let mut answers = Vec::new();
        for _ in 0..=seconds {
            device.serve(&mut world, &does);
            answers.extend(world.on(to));
            world.pass(Duration::from_secs(1));
        }
        assert_eq!(answers.len(), 1, "exactly one answer: {answers:?}");
        answers.remove(0)
    })
}

fn error(name: &str, code: &str, message: &str, raw: Option<&str>, reason: &str) -> [String; 2] {
    let raw_a = raw.map(|raw| format!(r#","Raw":"{raw}""#)).unwrap_or_default();
    let raw_b = raw.map(|raw| format!(r#","raw":"{raw}""#)).unwrap_or_default();
    let (reason_a, reason_b) = match reason {
        "" => (String::new(), String::new()),
        reason => (format!(r#","Reason":"{reason}""#), format!(r#","reason":"{reason}""#)),
    };
    [
        format!(r#"{{"CmdID":1,"Command":"Read","Error":"{name}"{raw_a}{reason_a}}}"#),
        format!(
            r#"{{"reqID":1,"msgType":"read","data":{{"reqPath":"/3/0/0","code":"{code}","codeMsg":"{message}"{raw_b}{reason_b}}}}}"#
        ),
    ]
}

#[test]
fn every_outcome_in_both_forms() {
    let text = "no acknowledgement after all retransmissions";
    assert_eq!(both(|_| Does::Silence, 94), error("Timeout", "5.04", "gateway_timeout", None, text));
    let text = "acknowledged, but not answered in time";
    assert_eq!(both(|_| Does::OnlyAck, 61), error("Timeout", "5.04", "gateway_timeout", None, text));
    let text = "the device rejected the request (RST)";
    assert_eq!(both(|_| Does::Reset, 0), error("Bad Gateway", "5.02", "bad_gateway", None, text));
    let unknown = || Does::Answer(Reply::content(65_000, "x"));
    let text = "content format 65000 is not known here";
    assert_eq!(both(|_| unknown(), 0), error("Bad Request", "4.00", "bad_request", Some("eA=="), text));
    let [a, b] = both(|_| Does::Answer(Reply::content(65_000, vec![b'x'; 1_024])), 0);
    assert!(a.contains(r#""Raw":""#) && b.contains(r#""raw":""#), "1 KiB is shown");
    let large = both(|_| Does::Answer(Reply::content(65_000, vec![b'x'; 1_025])), 0);
    assert_eq!(large, error("Bad Request", "4.00", "bad_request", None, text), "more is not");
    let endless = |seen: &Seen| {
        let number = seen.number(CoapOption::Block2).unwrap_or(0) >> 4;
        Does::Answer(Reply { block2: Some(number << 4 | 8 | 6), ..Reply::content(0, vec![b'x'; 1_024]) })
    };
    let text = "the answer is larger than lwm2m.max_body_size";
    let expected = error("Request Entity Too Large", "4.13", "request_entity_too_large", None, text);
    assert_eq!(both(endless, 0), expected);
}

#[test]
fn every_code_of_a_device_has_its_name_in_both_forms() {
    for (class, detail, name, message) in [
        (4, 0, "Bad Request", "bad_request"),
        (4, 1, "Unauthorized", "unauthorized"),
        (4, 3, "Forbidden", "forbidden"),
        (4, 4, "Not Found", "not_found"),
        (4, 5, "Method Not Allowed", "method_not_allowed"),
        (4, 6, "Not Acceptable", "not_acceptable"),
        (4, 8, "Request Entity Incomplete", "request_entity_incomplete"),
        (4, 9, "Conflict", "conflict"),
        (4, 12, "Precondition Failed", "precondition_failed"),
        (4, 13, "Request Entity Too Large", "request_entity_too_large"),
        (4, 15, "Unsupported Content Format", "unsupported_content_format"),
        (4, 22, "Unprocessable Entity", "unprocessable_entity"),
        (4, 2, "Bad Option", "bad_option"),
        (5, 0, "Internal Server Error", "internal_server_error"),
        (5, 1, "Not Implemented", "not_implemented"),
        (5, 2, "Bad Gateway", "bad_gateway"),
        (5, 3, "Service Unavailable", "service_unavailable"),
        (5, 4, "Timeout", "gateway_timeout"),
        (5, 5, "Proxying Not Supported", "proxying_not_supported"),
        (4, 29, "4.29", "unknown"),
        (5, 31, "5.31", "unknown"),
    ] {
        let code = format!("{class}.{detail:02}");
        let answers = both(|_| Does::Answer(Reply::code(class, detail)), 0);
        assert_eq!(answers, error(name, &code, message, None, ""));
    }
}

#[test]
fn commands_that_never_reach_their_device_are_answered_in_both_forms() {
    let text = "no such endpoint is registered";
    let mut world = World::new();
    let [a, b] = error("Not Registered", "4.04", "not_found", None, text);
    world.publish(A, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    assert_eq!(world.on(TO_A), [a]);
    world.publish(B, r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert_eq!(world.on(TO_B), [b]);

    // A sleeper: its queue full, the time over, TTL 0, and gone while they wait.
    let mut device = Device::new(56830);
    let limits = broker_core::Limits { queue_messages_max: 2, ..broker_core::Limits::default() };
    let mut world = World::with_limits(Config::default(), limits);
    device.register(&mut world, &["ep=m1", "lt=86400", "lwm2m=1.1", "Q"], "</3/0>");
    world.pass(Duration::from_secs(94));
    world.heard();
    let read_a = |ttl: &str| format!(r#"{{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"{ttl}}}"#);
    let read_b = |ttl: &str| format!(r#"{{"reqID":1,"msgType":"read",{ttl}"data":{{"path":"/3/0/0"}}}}"#);
    let zero = error("Timeout", "5.04", "gateway_timeout", None, "the device sleeps, and TTL is 0");
    world.publish(A, &read_a(r#","TTL":0"#));
    assert_eq!(world.on(TO_A), [zero[0].clone()]);
    world.publish(A, &read_a(r#","TTL":5"#));
    world.publish(B, &read_b(r#""ttl":5,"#));
    assert!(world.on(TO_A).is_empty());
    let full =
        error("Service Unavailable", "5.03", "service_unavailable", None, "the device's queue is full");
    world.publish(A, &read_a(""));
    assert_eq!(world.on(TO_A), [full[0].clone()]);
    world.publish(B, &read_b(""));
    assert_eq!(world.on(TO_B), [full[1].clone()]);
    world.pass(Duration::from_secs(6));
    let text = "its time was over before the device could be reached";
    let [a, b] = error("Timeout", "5.04", "gateway_timeout", None, text);
    let b = b.replace(r#""msgType":"read","#, r#""msgType":"read","ttl":5,"#);
    let heard: Vec<(String, String)> = world
        .heard()
        .into_iter()
        .filter(|heard| heard.topic != "lwm2m/m1/event")
        .map(|heard| (heard.topic, heard.payload))
        .collect();
    assert_eq!(heard, [(TO_A.to_owned(), a), (TO_B.to_owned(), b)]);
    world.publish(A, &read_a(""));
    world.publish(B, &read_b(""));
    world.heard();
    device.deregister(&mut world);
    let text = "the registration ended before the command could be run";
    let [a, b] = error("Not Registered", "4.04", "not_found", None, text);
    let heard: Vec<String> = world
        .heard()
        .into_iter()
        .filter(|heard| heard.topic == TO_A || heard.topic == TO_B)
        .map(|heard| heard.payload)
        .collect();
    assert_eq!(heard, [a, b]);
}

#[test]
fn paths_are_one_to_four_numbers_with_an_optional_slash_before_and_after() {
    let (mut world, mut device) = house();
    let mut asked = |path: &str| {
        world.publish(B, &format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{path}"}}}}"#));
        let asked = device.serve(&mut world, |_| Does::Answer(Reply::code(4, 4)));
        assert_eq!(world.on(TO_B).len(), 1, "{path}");
        asked.first().map(|line| line.replace(" accept 110", ""))
    };
    for (path, line) in [
        ("/3", "GET /3"),
        ("3", "GET /3"),
        ("/3/", "GET /3"),
        ("3/0/", "GET /3/0"),
        ("/3/0/7/1", "GET /3/0/7/1"),
        ("/65535/65534/65534/65534", "GET /65535/65534/65534/65534"),
        ("0/0/0/0", "GET /0/0/0/0"),
        ("/3/0?depth=1", "GET /3/0?depth=1"),
    ] {
        assert_eq!(asked(path).as_deref(), Some(line), "{path}");
    }
    for path in [
        "",
        "/",
        "//",
        "//3",
        "3//",
        "/3//0",
        "/03",
        "/+3",
        "/-1",
        "/3/65535",
        "/65536",
        "/3/0/1/2/3",
        "/3/../0",
        "/3/0 ",
        " /3",
        "/３",
        "/a",
        "/3/0/0x1",
        "?x",
    ] {
        assert_eq!(asked(path), None, "{path}");
    }
}

/// Values as they are shown and as they are written, in both forms.
#[test]
fn values_keep_all_their_digits() {
    let (mut world, mut device) = house();
    for (path, senml_value, shown_b, shown_a) in [
        ("/3/0/13", r#""v":9223372036854775807"#, "9223372036854775807", r#""v":9223372036854775807"#),
        ("/3/0/9", r#""v":-9223372036854775808"#, "-9223372036854775808", r#""v":-9223372036854775808"#),
        ("/3303/0/5700", r#""v":21.5"#, "21.5", r#""v":21.5"#),
        ("/3303/0/5700", r#""v":0.1"#, "0.1", r#""v":0.1"#),
        ("/3303/0/5700", r#""v":-0.000001"#, "-0.000001", r#""v":-0.000001"#),
        ("/1/0/6", r#""vb":true"#, "true", r#""bv":true"#),
        ("/3/0/0", r#""vs":"ACME \"1\"""#, r#""ACME \"1\"""#, r#""sv":"ACME \"1\"""#),
        ("/3/0/22/0", r#""vlo":"66:0""#, r#""66:0""#, r#""ov":"66:0""#),
        ("/5/0/0", r#""vd":"-_8""#, r#""+/8=""#, r#""sv":"+/8=""#),
        ("/33333/0/1", r#""v":5"#, r#"5,"type":"Integer""#, r#""v":5"#),
    ] {
        let reply = senml(&format!(r#"[{{"n":"{path}",{senml_value}}}]"#));
        world.publish(B, &format!(r#"{{"reqID":1,"msgType":"read","data":{{"path":"{path}"}}}}"#));
        device.serve(&mut world, |_| Does::Answer(reply.clone()));
        let answers = world.on(TO_B);
        let item = format!(r#""content":[{{"path":"{path}","value":{shown_b}}}]"#);
        assert!(answers.len() == 1 && answers[0].contains(&item), "{item} {answers:?}");
        world.publish(A, &format!(r#"{{"CmdID":1,"Command":"Read","BaseName":"{path}"}}"#));
        device.serve(&mut world, |_| Does::Answer(reply.clone()));
        let answers = world.on(TO_A);
        assert!(answers.len() == 1 && answers[0].contains(shown_a), "{shown_a} {answers:?}");
    }
}

#[test]
fn values_may_be_written_as_numbers_booleans_or_texts() {
    let (mut world, mut device) = house();
    for (path, values, written) in [
        ("/3/0/13", &["12345", r#""12345""#, "12345.0", r#"" 12345 ""#, "1.2345e4"][..], "12345"),
        ("/3303/0/5700", &["21.5", r#""21.5""#], "21.5"),
        ("/1/0/6", &["true", r#""true""#, r#""1""#, "1"], "1"),
        ("/1/0/6", &["false", r#""false""#, r#""0""#, "0"], "0"),
        ("/3/0/14", &[r#""+01:00""#], "+01:00"),
        ("/3/0/14", &["5", r#""5""#], "5"),
        ("/3/0/22/0", &[r#""66:0""#], "66:0"),
        ("/33333/0/1", &["5", r#""5""#], "5"),
    ] {
        for value in values {
            world.publish(
                B,
                &format!(r#"{{"reqID":1,"msgType":"write","data":{{"path":"{path}","value":{value}}}}}"#),
            );
            let mut asked = Vec::new();
            device.serve(&mut world, |seen| {
                asked.push(line(seen));
                Does::Answer(changed())
            });
            assert_eq!(asked, [format!("PUT {path} cf 0 {written}")], "{value}");
            let key = if value.starts_with('"') {
                "sv"
            } else if value.starts_with(['t', 'f']) {
                "bv"
            } else {
                "v"
            };
            world.publish(
                A,
                &format!(
                    r#"{{"CmdID":1,"Command":"Write","Value":{{"bn":"{path}","e":[{{"{key}":{value}}}]}}}}"#
                ),
            );
            let mut asked = Vec::new();
            device.serve(&mut world, |seen| {
                asked.push(line(seen));
                Does::Answer(changed())
            });
            assert_eq!(asked, [format!("PUT {path} cf 0 {written}")], "form A: {key} {value}");
        }
    }
}

/// Commands with members that are missing, of the wrong type, or too many, in both forms: one answer each, and the
/// device hears nothing of what is wrong.
#[test]
fn members_of_the_wrong_type_are_refused_and_strange_ones_ignored() {
    let (mut world, mut device) = house();
    let mut refused = |topic: &str, command: &str| {
        world.publish(topic, command);
        assert!(device.serve(&mut world, |_| Does::Answer(changed())).is_empty(), "{command}");
        let answers = world.on(if topic == A { TO_A } else { TO_B });
        assert_eq!(answers.len(), 1, "{command}");
        assert!(answers[0].contains("eason\":\""), "{command} {answers:?}");
    };
    for members in [
        r#""Command":"Read""#,
        r#""Command":"Read","BaseName":3"#,
        r#""Command":"Read","BaseName":null"#,
        r#""Command":"Read","BaseName":["/3/0/0"]"#,
        r#""Command":"Read","BaseName":"/3/0/0","TTL":"x""#,
        r#""Command":"Read","BaseName":"/3/0/0","Timeout":0"#,
        r#""Command":"Read","BaseName":"/3/0/0","Accept":"senml""#,
        r#""Command":"Write","Value":"pmin=1""#,
        r#""Command":"Write","Value":{"bn":"/3/0"}"#,
        r#""Command":"Write","Value":{"bn":"/3/0","e":[]}"#,
        r#""Command":"Write","Value":{"bn":"/3/0","e":[{"v":1}]}"#,
        r#""Command":"Write","Value":{"bn":"/3/0/13","e":[{}]}"#,
        r#""Command":"Write","Value":{"bn":"/3/0/13","e":{"v":1}}"#,
        r#""Command":"Write-Attributes","BaseName":"/3/0/9","Value":{"pmin":1}"#,
        r#""Command":"Write-Attributes","BaseName":"/3/0/9","Value":"""#,
        r#""Command":"Write-Attributes","BaseName":"/3/0/9","Value":"pmin=1&pmin=2""#,
        r#""Command":"Execute","BaseName":"/3/0/4","Arguments":{}"#,
        r#""Command":"Execute","BaseName":"/3/0""#,
        r#""Command":"Create","BaseName":"/3/0/1""#,
        r#""Command":"Delete","BaseName":"/3""#,
        r#""Command":"Read-Composite","BaseNames":"/3""#,
        r#""Command":"Read-Composite","BaseNames":[3]"#,
        r#""Command":"Write-Composite","Value":{"bn":"/","e":[{"n":"3","v":1}]}"#,
        r#""Command":"Firmware","File":7"#,
        r#""Command":"Firmware""#,
        r#""Command":null"#,
        r#""Command":["Read"]"#,
    ] {
        refused(A, &format!(r#"{{"CmdID":1,{members}}}"#));
    }
    for members in [
        r#""msgType":"read""#,
        r#""msgType":"read","data":null"#,
        r#""msgType":"read","data":"/3/0/0""#,
        r#""msgType":"read","data":{"path":3}"#,
        r#""msgType":"read","ttl":-1,"data":{"path":"/3/0/0"}"#,
        r#""msgType":"read","mheaders":[],"data":{"path":"/3/0/0"}"#,
        r#""msgType":"write","data":{"path":"/3/0/13"}"#,
        r#""msgType":"write","data":{"path":"/3/0/13","value":null}"#,
        r#""msgType":"write","data":{"path":"/3/0/13","value":{}}"#,
        r#""msgType":"write","data":{"path":"/3/0/13","type":7,"value":1}"#,
        r#""msgType":"write","data":{"path":"/3/0/13","type":"Number","value":1}"#,
        r#""msgType":"write","data":{"basePath":"/3/0","content":[7]}"#,
        r#""msgType":"write","data":{"basePath":"/3/0","content":[{"path":7,"value":1}]}"#,
        r#""msgType":"write","data":{"basePath":"/3/0","mode":1,"content":[{"path":"13","value":1}]}"#,
        r#""msgType":"write-attr","data":{"path":"/3/0/9"}"#,
        r#""msgType":"write-attr","data":{"path":"/3/0/9","pmin":"a"}"#,
        r#""msgType":"execute","data":{"path":"/3/0/4","args":[1]}"#,
        r#""msgType":"create","data":{"basePath":"/3","withoutId":"yes"}"#,
        r#""msgType":"delete","data":{"path":"/3/0/1"}"#,
        r#""msgType":"observe","data":{"path":""}"#,
        r#""msgType":"read-composite","data":{"paths":{}}"#,
        r#""msgType":7,"data":{"path":"/3/0/0"}"#,
        r#""data":{"path":"/3/0/0"}"#,
    ] {
        refused(B, &format!(r#"{{"reqID":1,{members}}}"#));
    }
    let (mut world, mut device) = house();
    for (topic, command) in [
        (A, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/9","Nonsense":{"a":[]},"Value":7}"#),
        (B, r#"{"reqID":1,"msgType":"read","nonsense":{"a":[]},"data":{"path":"/3/0/9","x":7}}"#),
        (B, "\n\t {\"reqID\":1,\"msgType\":\"read\",\"data\":{\"path\":\"\\u002f3/0/9\"}}\r\n"),
    ] {
        world.publish(topic, command);
        assert_eq!(device.serve(&mut world, |_| Does::Answer(Reply::text("5"))).len(), 1, "{command}");
    }
}
