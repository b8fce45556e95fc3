//! Devices as they are: one per default format, and after the captures of wakaama and Anjay.
use super::world::{Device, Does, Reply, Seen, World};
use coap_lite::CoapOption;

const B: &str = "lwm2m/m1/dn";

/// A device that speaks exactly one format, and says 4.06, 4.15 or even 5.00 to all others.
fn one_format(seen: &Seen, format: u32, refuse: Reply) -> Reply {
    let right = |option| seen.number(option) == Some(format);
    let single = seen.line().split(' ').nth(1).unwrap().split('/').count() == 4;
    match &*seen.code() {
        "GET" if !right(CoapOption::Accept) => refuse,
        "GET" => match (format, single) {
            (0, true) => Reply::text("5"),
            (11542, true) => Reply::content(11542, vec![0xc1, 0x09, 0x05]),
            (11542, false) => Reply::content(11542, vec![0xc1, 0x09, 0x05]),
            (110, _) => Reply::content(110, r#"[{"bn":"/3/0/","n":"9","v":5}]"#),
            (112, _) => Reply::content(
                112,
                vec![0x81, 0xa3, 0x21, 0x65, b'/', b'3', b'/', b'0', b'/', 0, 0x61, b'9', 2, 5],
            ),
            _ => refuse,
        },
        "PUT" | "POST" if right(CoapOption::ContentFormat) => Reply::code(2, 4),
        _ => Reply::code(4, 15),
    }
}

#[test]
fn the_format_that_a_device_takes_is_found_and_remembered() {
    for (version, format, refuse) in [
        ("lwm2m=1.0", 11542, Reply::code(4, 6)),
        ("lwm2m=1.1", 11542, Reply::code(4, 6)),
        ("lwm2m=1.1", 110, Reply::code(4, 6)),
        ("lwm2m=1.1", 110, Reply::code(5, 0)),
        ("lwm2m=1.1", 110, Reply::code(4, 2)),
        ("lwm2m=1.1", 112, Reply::code(4, 6)),
        ("lwm2m=1.2", 110, Reply::code(4, 6)),
    ] {
        let mut world = World::new();
        let mut device = Device::new(56830);
        device.register(&mut world, &["ep=m1", version], "</3/0>");
        for (command, part) in [
            (r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0"}}"#, r#""value":5"#),
            (r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/9"}}"#, r#""value":5"#),
            (r#"{"reqID":1,"msgType":"write","data":{"path":"/3/0/13","value":1}}"#, r#""code":"2.04""#),
            (
                r#"{"reqID":1,"msgType":"write","data":{"basePath":"/3/0","content":[{"path":"13","value":1}]}}"#,
                r#""code":"2.04""#,
            ),
        ] {
            for round in 0..2 {
                world.heard();
                world.publish(B, command);
                let asked =
                    device.serve(&mut world, |seen| Does::Answer(one_format(seen, format, refuse.clone())));
                let answers = world.on("lwm2m/m1/up/resp");
                assert!(answers.len() == 1 && answers[0].contains(part), "{version} {format} {answers:?}");
                assert!(round == 0 || asked.len() == 1, "remembered: {version} {format} {asked:?}");
            }
        }
    }
}

#[test]
fn a_device_that_refuses_every_format_says_so_in_the_end() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    world.publish(B, r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0"}}"#);
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::code(4, 6)));
    assert_eq!(asked, ["GET /3/0 accept 112", "GET /3/0 accept 110", "GET /3/0 accept 11542", "GET /3/0"]);
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""code":"4.06""#));
}

/// wakaama 1.1's client, after its captures: SenML JSON only, 5.00 without Accept, FETCH acknowledged and forgotten.
fn wakaama(seen: &Seen) -> Does {
    let accept = seen.number(CoapOption::Accept);
    let format = seen.number(CoapOption::ContentFormat);
    let line = seen.line();
    Does::Answer(match &*seen.code() {
        "FETCH" | "iPATCH" => return Does::OnlyAck,
        "GET" if line.starts_with("GET /0/") => Reply::code(4, 1),
        "GET" if accept == Some(40) => Reply::content(40, "</3>,</3/0/0>,</3/0/1>"),
        "GET" if seen.number(CoapOption::Observe) == Some(0) => Reply::text("100").observed(1),
        "GET" if line.starts_with("GET /3/0/9") && accept == Some(0) => Reply::text("100"),
        "GET" => match accept {
            Some(110) if line.starts_with("GET /3/0 ") => Reply::content(
                110,
                r#"[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"6/1","v":5}]"#,
            ),
            Some(110) => Reply::content(110, r#"[{"bn":"/3/0/0","vs":"Open Mobile Alliance"}]"#),
            None => Reply::code(5, 0),
            Some(_) => Reply::code(4, 6),
        },
        "PUT" if format.is_none() => Reply::code(2, 4),
        "PUT" | "POST" => match format {
            Some(0 | 110) => Reply::code(2, 4),
            None => Reply { location: vec!["31024", "20"], ..Reply::code(2, 1) },
            Some(_) => Reply::code(4, 6),
        },
        _ => Reply::code(2, 2),
    })
}

#[test]
fn wakaama_1_1_is_served() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(
        &mut world,
        &["lwm2m=1.1", "ep=m1", "b=U", "lt=300"],
        r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</6/0>,</7/0>,</31024>;ver=1.0,</31024/10>"#,
    );
    world.heard();
    for (command, asked, part) in [
        (
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0"}}"#,
            &["GET /3/0 accept 110"][..],
            r#"[{"path":"/3/0/0","value":"Open Mobile Alliance"},{"path":"/3/0/6/0","value":1},{"path":"/3/0/6/1","value":5}]"#,
        ),
        (
            r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#,
            &["GET /3/0/0 accept 110"],
            r#""value":"Open Mobile Alliance""#,
        ),
        (
            r#"{"reqID":1,"msgType":"read","data":{"path":"/0/0"}}"#,
            &["GET /0/0 accept 110"],
            r#""code":"4.01""#,
        ),
        (
            r#"{"reqID":1,"msgType":"write","data":{"path":"/3/0/14","value":"+02:00"}}"#,
            &["PUT /3/0/14 cf 0 [2b30323a3030]"],
            r#""code":"2.04""#,
        ),
        (
            r#"{"reqID":1,"msgType":"discover","data":{"path":"/3"}}"#,
            &["GET /3 accept 40"],
            r#"["</3>","</3/0/0>","</3/0/1>"]"#,
        ),
        (
            r#"{"reqID":1,"msgType":"create","data":{"basePath":"/31024"}}"#,
            &["POST /31024"],
            r#""location":"/31024/20""#,
        ),
        (
            r#"{"reqID":1,"msgType":"observe","data":{"path":"/3/0/9"}}"#,
            &["GET /3/0/9 accept 110 observe 0"],
            r#""value":100"#,
        ),
    ] {
        world.publish(B, command);
        assert_eq!(device.serve(&mut world, wakaama), asked, "{command}");
        let answers = world.on("lwm2m/m1/up/resp");
        assert!(answers.len() == 1 && answers[0].contains(part), "{command} {answers:?}");
    }
    // An Update may come with links and without a Content-Format.
    assert_eq!(device.update(&mut world, &["lt=600"], "</1/0>,</3/0>").code(), "2.04");
}

#[test]
fn anjay_is_served() {
    for (query, links) in [
        (&["lwm2m=1.1", "ep=m1", "lt=120", "Q"][..], "</1/1>,</2>,</3/0>,</10>;ver=1.1,</10/0>"),
        (&["lwm2m=1.0", "ep=m1", "lt=120", "b=UQ"], r#"</1/1>,</2>,</3/0>,</10>;ver="1.1",</10/0>"#),
        (&["lwm2m=1.2", "ep=m1", "lt=120"], "</1/1>,</2>,</3/0>,</10>;ver=1.1,</10/0>"),
    ] {
        let mut world = World::new();
        let mut device = Device::new(56830);
        device.register(&mut world, query, links);
        let old = query[0] == "lwm2m=1.0";
        world.heard();
        world.publish(B, r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
        // 1.2 with Accept 112 still answers LwM2M CBOR if it likes: the Content-Format of the answer counts.
        let body = vec![0xbf, 0x83, 3, 0, 0, 0x65, b'A', b'n', b'j', b'a', b'y', 0xff];
        let reply = match query[0] {
            "lwm2m=1.2" => Reply::content(11544, body),
            _ => Reply::text("Anjay"),
        };
        let asked = device.serve(&mut world, |_| Does::Answer(reply.clone()));
        assert_eq!(asked, [if old { "GET /3/0/0 accept 11542" } else { "GET /3/0/0 accept 112" }]);
        assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""value":"Anjay""#));
    }
}

#[test]
fn a_version_from_the_future_gets_4_12_so_that_the_device_tries_a_lower_one() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let answer =
        device.ask(&mut world, coap_lite::RequestType::Post, "/rd", &["lwm2m=1.3", "ep=m1"], b"</3/0>");
    assert_eq!(answer.code(), "4.12");
}
