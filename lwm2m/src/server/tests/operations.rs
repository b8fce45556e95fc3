//! Every operation as a row: command, what the device is asked, what it answers, what the asker gets.
use super::world::{Device, Does, Reply, World};
use crate::server::Config;

const LINKS: &str = "</1/0>,</3/0>,</5/0>,</6/0>,</19/0>,</3303/0>,</3303/1>";

struct Row {
    topic: &'static str,
    command: &'static str,
    asked: &'static str,
    reply: Reply,
    answer: &'static str,
}

const A: &str = "lwm2m/m1/command";
const B: &str = "lwm2m/m1/dn";

fn row(
    topic: &'static str,
    command: &'static str,
    asked: &'static str,
    reply: Reply,
    answer: &'static str,
) -> Row {
    Row { topic, command, asked, reply, answer }
}

fn changed() -> Reply {
    Reply::code(2, 4)
}

fn play(query: &[&str], rows: Vec<Row>) {
    play_with(Config::default(), query, rows);
}

fn play_with(config: Config, query: &[&str], rows: Vec<Row>) {
    let mut world = World::with(config);
    let mut device = Device::new(56830);
    device.register(&mut world, query, LINKS);
    for row in rows {
        world.heard();
        world.publish(row.topic, row.command);
        let asked = device.serve(&mut world, |_| Does::Answer(row.reply.clone()));
        assert_eq!(asked, [row.asked], "{}", row.command);
        let answers = world.on(if row.topic == A { "lwm2m/m1/response" } else { "lwm2m/m1/up/resp" });
        assert_eq!(answers, [row.answer], "{}", row.command);
    }
}

const V1_0: &[&str] = &["ep=m1", "lwm2m=1.0"];
const V1_1: &[&str] = &["ep=m1", "lwm2m=1.1"];

#[test]
fn the_operations_of_form_a_go_to_a_1_0_device_in_tlv() {
    play(
        V1_0,
        vec![
            row(
                A,
                r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#,
                "GET /3/0/0 accept 11542",
                Reply::text("ACME"),
                r#"{"CmdID":1,"Command":"Read","Result":{"bn":"/3/0/0","e":[{"sv":"ACME"}]}}"#,
            ),
            row(
                A,
                r#"{"CmdID":2,"Command":"Read","BaseName":"/3/0"}"#,
                "GET /3/0 accept 11542",
                // 0 = "ACME", 6 = {0:1, 1:5}, 13 = 1367491215
                Reply::content(
                    11542,
                    [&[0xc4, 0x00][..], b"ACME", &[0x86, 0x06, 0x41, 0, 1, 0x41, 1, 5], &[0xc4, 0x0d, 0x51, 0x82, 0x42, 0x8f]]
                        .concat(),
                ),
                r#"{"CmdID":2,"Command":"Read","Result":{"bn":"/3/0","e":[{"n":"0","sv":"ACME"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"13","v":1367491215}]}}"#,
            ),
            row(
                A,
                r#"{"CmdID":3,"Command":"Write","Value":{"bn":"/3/0/13","e":[{"v":12345}]}}"#,
                "PUT /3/0/13 cf 11542 [c20d3039]",
                changed(),
                r#"{"CmdID":3,"Command":"Write","Result":"Changed"}"#,
            ),
            row(
                A,
                r#"{"CmdID":4,"Command":"Write","Value":{"bn":"/3/0/7","e":[{"n":"0","v":3800},{"n":"1","v":5000}]}}"#,
                "PUT /3/0/7 cf 11542 [880708 42000ed8 42011388]",
                changed(),
                r#"{"CmdID":4,"Command":"Write","Result":"Changed"}"#,
            ),
            row(
                A,
                r#"{"CmdID":5,"Command":"Write","Value":{"bn":"/3/0","e":[{"n":"13","v":12345},{"n":"14","sv":"+01:00"}]}}"#,
                "POST /3/0 cf 11542 [c20d3039 c60e2b30313a3030]",
                Reply::code(4, 0),
                r#"{"CmdID":5,"Command":"Write","Error":"Bad Request"}"#,
            ),
            row(
                A,
                r#"{"CmdID":7,"Command":"Execute","BaseName":"/3/0/4","Arguments":"2,7"}"#,
                "POST /3/0/4 cf 0 [322c37]",
                Reply::code(4, 1),
                r#"{"CmdID":7,"Command":"Execute","Error":"Unauthorized"}"#,
            ),
            row(
                A,
                r#"{"CmdID":8,"Command":"Discover","BaseName":"/3/0/7"}"#,
                "GET /3/0/7 accept 40",
                Reply::content(40, "</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2"),
                r#"{"CmdID":8,"Command":"Discover","Result":"</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2"}"#,
            ),
            row(
                A,
                r#"{"CmdID":9,"Command":"Write-Attributes","BaseName":"/3/0/9","Value":"pmin=5&pmax=60&lt=20"}"#,
                "PUT /3/0/9?pmin=5&pmax=60&lt=20",
                changed(),
                r#"{"CmdID":9,"Command":"Write-Attributes","Result":"Changed"}"#,
            ),
            row(
                A,
                r#"{"CmdID":20,"Command":"Write","Mode":"replace","Value":{"bn":"/3/0","e":[{"n":"14","sv":"+01:00"}]}}"#,
                "PUT /3/0 cf 11542 [c60e2b30313a3030]",
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
                r#"{"CmdID":22,"Command":"Create","Value":{"bn":"/3303","e":[{"n":"2/5700","v":1.5}]}}"#,
                "POST /3303 cf 11542 [0702 e416443fc00000]",
                Reply { location: vec!["3303", "2"], ..Reply::code(2, 1) },
                r#"{"CmdID":22,"Command":"Create","Result":"Created","Location":"/3303/2"}"#,
            ),
            row(
                A,
                r#"{"CmdID":23,"Command":"Delete","BaseName":"/3303/1"}"#,
                "DELETE /3303/1",
                Reply::code(2, 2),
                r#"{"CmdID":23,"Command":"Delete","Result":"Deleted"}"#,
            ),
            // LwM2M 1.0 has no name for a resource instance in a request.
            row(
                B,
                r#"{"reqID":21,"msgType":"write","data":{"path":"/3/0/7/1","type":"Integer","value":5000}}"#,
                "POST /3/0/7 cf 11542 [8407 42011388]",
                changed(),
                r#"{"reqID":21,"msgType":"write","data":{"reqPath":"/3/0/7/1","code":"2.04","codeMsg":"changed"}}"#,
            ),
        ]
        .into_iter()
        .map(|row| Row { asked: without_spaces_in_brackets(row.asked), ..row })
        .collect(),
    );
}

/// The hex in the tables is written in groups.
fn without_spaces_in_brackets(line: &'static str) -> &'static str {
    let Some((head, hex)) = line.split_once(" [") else { return line };
    Box::leak(format!("{head} [{}", hex.replace(' ', "")).into_boxed_str())
}

#[test]
fn the_operations_of_form_b_go_to_a_1_1_device_in_its_formats() {
    play(
        V1_1,
        vec![
            row(
                B,
                r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0?a=b&c"}}"#,
                "GET /3/0/0?a=b&c accept 112",
                Reply::text("ACME"),
                r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"}]}}"#,
            ),
            row(
                B,
                r#"{"reqID":2,"msgType":"discover","data":{"path":"/3/0"}}"#,
                "GET /3/0 accept 40",
                Reply::content(40, r#"</3/0>;pmin=10,</3/0/0>;obs,</3/0/6>;dim=2;title="a,b""#),
                r#"{"reqID":2,"msgType":"discover","data":{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":["</3/0>;pmin=10","</3/0/0>","</3/0/6>;dim=2;title=\"a,b\""]}}"#,
            ),
            row(
                B,
                r#"{"reqID":31,"msgType":"discover","data":{"path":"/3?depth=1"}}"#,
                "GET /3?depth=1 accept 40",
                Reply::content(40, "</3>,</3/0>"),
                r#"{"reqID":31,"msgType":"discover","data":{"reqPath":"/3","code":"2.05","codeMsg":"content","content":["</3>","</3/0>"]}}"#,
            ),
            row(
                B,
                r#"{"reqID":3,"msgType":"write","data":{"path":"/3/0/13","type":"Integer","value":12345}}"#,
                "PUT /3/0/13 cf 0 [3132333435]",
                changed(),
                r#"{"reqID":3,"msgType":"write","data":{"reqPath":"/3/0/13","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":21,"msgType":"write","data":{"path":"/3/0/7/1","type":"Integer","value":5000}}"#,
                "PUT /3/0/7/1 cf 0 [35303030]",
                changed(),
                r#"{"reqID":21,"msgType":"write","data":{"reqPath":"/3/0/7/1","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":5,"encoding":"hex","msgType":"write","data":{"path":"/5/0/0","type":"Opaque","value":"00ff"}}"#,
                "PUT /5/0/0 cf 42 [00ff]",
                changed(),
                r#"{"reqID":5,"encoding":"hex","msgType":"write","data":{"reqPath":"/5/0/0","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":4,"msgType":"write","data":{"basePath":"/3/0","content":[{"path":"14","type":"String","value":"+01:00"}]}}"#,
                // [{bn:"/3/0/", n:"14", vs:"+01:00"}] in CBOR
                "POST /3/0 cf 112 [81a3216 52f332f302f00623134036 62b30313a3030]",
                changed(),
                r#"{"reqID":4,"msgType":"write","data":{"reqPath":"/3/0","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":7,"msgType":"execute","data":{"path":"/3/0/4","args":"0='x',1"}}"#,
                "POST /3/0/4 cf 0 [303d2778272c31]",
                changed(),
                r#"{"reqID":7,"msgType":"execute","data":{"reqPath":"/3/0/4","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":7,"msgType":"execute","data":{"path":"/3/0/4","args":""}}"#,
                "POST /3/0/4",
                changed(),
                r#"{"reqID":7,"msgType":"execute","data":{"reqPath":"/3/0/4","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":8,"msgType":"create","data":{"basePath":"/5","content":[]}}"#,
                "POST /5",
                Reply::code(2, 1),
                r#"{"reqID":8,"msgType":"create","data":{"reqPath":"/5","code":"2.01","codeMsg":"created"}}"#,
            ),
            row(
                B,
                r#"{"reqID":23,"msgType":"create","data":{"basePath":"/3303","withoutId":true,"content":[{"path":"5700","value":1.5}]}}"#,
                "POST /3303 cf 11542 [e416443fc00000]",
                Reply { location: vec!["3303", "4"], ..Reply::code(2, 1) },
                r#"{"reqID":23,"msgType":"create","data":{"reqPath":"/3303","code":"2.01","codeMsg":"created","location":"/3303/4"}}"#,
            ),
            row(
                B,
                r#"{"reqID":9,"msgType":"delete","data":{"path":"/3303/1"}}"#,
                "DELETE /3303/1",
                Reply::code(2, 2),
                r#"{"reqID":9,"msgType":"delete","data":{"reqPath":"/3303/1","code":"2.02","codeMsg":"deleted"}}"#,
            ),
            row(
                B,
                r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/3303/0/5700"]}}"#,
                // [{n:"/3/0/0"},{n:"/3303/0/5700"}]
                "FETCH / accept 112 cf 112 [82a100662f332f302f30a1006c2f333330332f302f35373030]",
                Reply::content(110, r#"[{"n":"/3/0/0","vs":"ACME"},{"n":"/3303/0/5700","v":21.5}]"#),
                r#"{"reqID":24,"msgType":"read-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"},{"path":"/3303/0/5700","value":21.5}]}}"#,
            ),
            row(
                B,
                r#"{"reqID":25,"msgType":"write-composite","data":{"content":[{"path":"/1/0/1","value":60}]}}"#,
                "iPATCH / cf 112 [81a2 00662f312f302f31 02183c]",
                changed(),
                r#"{"reqID":25,"msgType":"write-composite","data":{"reqPath":"/","code":"2.04","codeMsg":"changed"}}"#,
            ),
            row(
                B,
                r#"{"reqID":9,"msgType":"read","data":{"path":"/9/0"}}"#,
                "GET /9/0 accept 112",
                Reply { payload: b"no such object".to_vec(), ..Reply::code(4, 4) },
                r#"{"reqID":9,"msgType":"read","data":{"reqPath":"/9/0","code":"4.04","codeMsg":"not_found","reason":"no such object"}}"#,
            ),
            row(
                B,
                r#"{"reqID":30,"msgType":"read","accept":110,"data":{"path":"/3/0"}}"#,
                "GET /3/0 accept 110",
                Reply::content(110, r#"[{"bn":"/3/0/","n":"9","v":5}]"#),
                r#"{"reqID":30,"msgType":"read","accept":110,"data":{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":5}]}}"#,
            ),
            row(
                A,
                r#"{"CmdID":27,"Command":"Observe-Composite","BaseNames":["/3/0/9"]}"#,
                "FETCH / accept 112 observe 0 cf 112 [81a100662f332f302f39]",
                Reply::content(110, r#"[{"n":"/3/0/9","v":5}]"#).observed(1),
                r#"{"CmdID":27,"Command":"Observe-Composite","Result":{"bn":"/","e":[{"n":"3/0/9","v":5}]}}"#,
            ),
            row(
                A,
                r#"{"CmdID":28,"Command":"Cancel-Observe-Composite","BaseNames":["/3/0/9"]}"#,
                "FETCH / accept 112 observe 1 cf 112 [81a100662f332f302f39]",
                Reply::content(110, r#"[{"n":"/3/0/9","v":6}]"#),
                r#"{"CmdID":28,"Command":"Cancel-Observe-Composite","Result":{"bn":"/","e":[{"n":"3/0/9","v":6}]}}"#,
            ),
            // EMQX's devices: a write answered with content.
            row(
                B,
                r#"{"reqID":3,"msgType":"write","data":{"path":"/3/0/13","value":1}}"#,
                "PUT /3/0/13 cf 0 [31]",
                Reply::code(2, 5),
                r#"{"reqID":3,"msgType":"write","data":{"reqPath":"/3/0/13","code":"4.05","codeMsg":"method_not_allowed"}}"#,
            ),
            // No model, typed by the format and said so.
            row(
                B,
                r#"{"reqID":3,"msgType":"read","data":{"path":"/32999/0/1"}}"#,
                "GET /32999/0/1 accept 112",
                Reply::text("x"),
                r#"{"reqID":3,"msgType":"read","data":{"reqPath":"/32999/0/1","code":"2.05","codeMsg":"content","content":[{"path":"/32999/0/1","value":"x","type":"String"}]}}"#,
            ),
        ]
        .into_iter()
        .map(|row| Row { asked: without_spaces_in_brackets(row.asked), ..row })
        .collect(),
    );
}

#[test]
fn the_alternate_path_stands_before_every_request_and_in_no_answer() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, r#"</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>,</lwm2m/3303/0>"#);
    let events = world.on("lwm2m/m1/up/resp");
    assert!(events[0].contains(r#""alternatePath":"/lwm2m","objectList":["/3/0","/3303/0"]"#), "{events:?}");
    for (command, reply, asked, part) in [
        (
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
            Reply::text("ACME"),
            "GET /lwm2m/3/0/0 accept 112",
            r#""content":[{"path":"/3/0/0","value":"ACME"}]"#,
        ),
        (
            r#"{"reqID":1,"msgType":"create","data":{"basePath":"/3303"}}"#,
            Reply { location: vec!["lwm2m", "3303", "1"], ..Reply::code(2, 1) },
            "POST /lwm2m/3303",
            r#""location":"/3303/1""#,
        ),
    ] {
        world.publish(B, command);
        assert_eq!(device.serve(&mut world, |_| Does::Answer(reply.clone())), [asked]);
        let answers = world.on("lwm2m/m1/up/resp");
        assert!(answers[0].contains(part), "{answers:?}");
    }
}

#[test]
fn details_and_value_topics_are_there_when_wanted() {
    let config = Config { content_details: true, resource_topics: true, ..Config::default() };
    let mut world = World::with(config);
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, LINKS);
    world.heard();
    world.publish(B, r#"{"reqID":1,"msgType":"read","data":{"path":"/3303/0"}}"#);
    let body = r#"[{"bn":"/3303/0/","n":"5700","v":21.5},{"n":"5701","vs":"Cel"}]"#;
    device.serve(&mut world, |_| Does::Answer(Reply::content(110, body)));
    let heard = world.heard();
    let of =
        |topic: &str| heard.iter().find(|heard| heard.topic == topic).unwrap_or_else(|| panic!("{heard:?}"));
    assert!(
        of("lwm2m/m1/up/resp")
            .payload
            .contains(r#"{"path":"/3303/0/5700","value":21.5,"name":"Sensor Value","type":"Float"}"#)
    );
    assert_eq!(of("lwm2m/m1/3303/0/5700").payload, "21.5");
    assert_eq!(of("lwm2m/m1/3303/0/5701").payload, "Cel");
    // Retained: after a restart they are still there for who subscribes.
    let mut again = world.restarted(Config::default());
    let found = again.heard();
    assert!(
        found.iter().any(|h| h.topic == "lwm2m/m1/3303/0/5700" && h.retain && h.payload == "21.5"),
        "{found:?}"
    );
}

#[test]
fn composite_reads_are_split_for_a_device_that_lacks_them_and_it_is_not_asked_again() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, LINKS);
    world.heard();
    let command = r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/9/0","/3/0/9"]}}"#;
    for first in [true, false] {
        world.publish(B, command);
        let asked = device.serve(&mut world, |seen| {
            Does::Answer(match seen.line() {
                line if line.starts_with("FETCH") => Reply::code(4, 5),
                line if line.starts_with("GET /3/0/0") => Reply::text("ACME"),
                line if line.starts_with("GET /3/0/9") => Reply::text("77"),
                _ => Reply::code(4, 4),
            })
        });
        let methods: Vec<&str> = asked.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let expected = if first { vec!["FETCH", "GET", "GET", "GET"] } else { vec!["GET", "GET", "GET"] };
        assert_eq!(methods, expected);
        assert_eq!(
            world.on("lwm2m/m1/up/resp"),
            [
                r#"{"reqID":24,"msgType":"read-composite","data":{"reqPath":"/","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"ACME"},{"path":"/3/0/9","value":77}],"split":true,"errors":[{"path":"/9/0","code":"4.04","codeMsg":"not_found"}]}}"#
            ]
        );
    }
    world.publish(B, r#"{"reqID":1,"msgType":"read-composite","data":{"paths":["/9/0","/8/0"]}}"#);
    device.serve(&mut world, |_| Does::Answer(Reply::code(4, 4)));
    let answers = world.on("lwm2m/m1/up/resp");
    assert!(answers[0].contains(r#""code":"4.04""#), "all failed: the first error's code: {answers:?}");
}

/// LwM2M 1.0 has no FETCH; what a device of 1.0 makes of one nobody knows.
#[test]
fn composite_reads_of_a_1_0_device_are_split_without_asking() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_0, LINKS);
    world.heard();
    world.publish(B, r#"{"reqID":24,"msgType":"read-composite","data":{"paths":["/3/0/0","/3/0/9"]}}"#);
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("5")));
    assert_eq!(asked, ["GET /3/0/0 accept 11542", "GET /3/0/9 accept 11542"]);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""split":true"#));
}

#[test]
fn composite_writes_are_split_only_when_asked() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, LINKS);
    world.heard();
    let content = r#""content":[{"path":"/3/0/14","value":"x"},{"path":"/1/0/1","value":60}]"#;
    world.publish(B, &format!(r#"{{"reqID":1,"msgType":"write-composite","data":{{{content}}}}}"#));
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::code(4, 5)));
    assert_eq!(asked.len(), 1);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""code":"4.05""#));
    world.publish(
        B,
        &format!(r#"{{"reqID":1,"msgType":"write-composite","data":{{"atomic":false,{content}}}}}"#),
    );
    let asked = device.serve(&mut world, |seen| {
        Does::Answer(if seen.code() == "iPATCH" { Reply::code(4, 5) } else { changed() })
    });
    assert_eq!(&asked[1..], ["PUT /3/0/14 cf 0 [78]", "PUT /1/0/1 cf 0 [3630]"]);
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [
            r#"{"reqID":1,"msgType":"write-composite","data":{"reqPath":"/","code":"2.04","codeMsg":"changed","split":true}}"#
        ]
    );
}

/// wakaama acknowledges FETCH and never answers it.
#[test]
fn a_composite_that_is_never_answered_is_split_after_the_response_timeout() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, LINKS);
    world.heard();
    world.publish(B, r#"{"reqID":24,"msgType":"read-composite","timeout":5,"data":{"paths":["/3/0/0"]}}"#);
    device.serve(&mut world, |_| Does::OnlyAck);
    assert!(world.on("lwm2m/m1/up/resp").is_empty());
    world.pass(std::time::Duration::from_secs(6));
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("ACME")));
    assert_eq!(asked, ["GET /3/0/0 accept 112"]);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""split":true"#));
}

#[test]
fn an_instance_without_id_gets_the_lowest_free_one_where_tlv_is_not_understood() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, V1_1, LINKS);
    world.heard();
    world.publish(
        B,
        r#"{"reqID":23,"msgType":"create","data":{"basePath":"/3303","withoutId":true,"content":[{"path":"5700","value":1.5}]}}"#,
    );
    let asked = device.serve(&mut world, |seen| {
        Does::Answer(if seen.line().contains("cf 11542") { Reply::code(4, 15) } else { Reply::code(2, 1) })
    });
    assert_eq!(asked.len(), 2);
    let name: String = "/3303/2/".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(asked[1].contains(&name) || asked[1].contains("332f"), "{asked:?}");
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""code":"2.01""#));
}
