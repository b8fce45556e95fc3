//! EMQX's group `test_grp_11_internal`, as far as it shows from outside: headers, errors, block-wise transfers.
use super::super::world::{Device, Does, Reply, Seen, World};
use super::{Bench, changed, code, content, envelope, item};
use crate::server::{Config, Topics};
use coap_lite::{CoapOption, RequestType};
use std::net::SocketAddr;
use std::time::Duration;

const FIVE: &str = "</1>, </2>, </3/0>, </4>, </5>";

/// Events of a link that is no more change nothing.
#[test]
fn case112_channel_unexpected_messages() {
    let mut bench = Bench::new("</1>, </3/0>");
    let before = bench.world.server.counters().stale_events;
    for slot in [0, 1, 2, 4_000_000_000] {
        let link = broker_core::LinkId { slot, generation: 9, ..bench.world.lwm2m_link() };
        bench.world.event(link, broker_core::FromBroker::Drained);
        bench.world.event(link, broker_core::FromBroker::Closed(broker_core::link::CloseReason::Kicked));
    }
    assert_eq!(bench.world.server.counters().stale_events, before + 8);
    let answer = content("/3/0/9", &item("/3/0/9", "5"));
    bench.ask("read", r#"{"path":"/3/0/9"}"#, "GET /3/0/9 accept 11542", &Reply::text("5"), &answer);
}

#[test]
fn case116_command_headers() {
    let config = Config { awake_window_ms: 2_000, ..Config::default() };
    let mut bench = Bench::with(config, &["b=UQ"], FIVE);
    bench.world.pass(Duration::from_secs(3));
    bench.world.heard();
    let command =
        |ttl: &str| envelope(&format!(r#""mheaders":{{"ttl":{ttl}}},"#), "read", r#"{"path":"/3/0/0"}"#);
    bench.send(&command("5"));
    bench.send(&command("7200"));
    bench.world.pass(Duration::from_secs(6));
    let answers = bench.answers();
    assert!(answers.len() == 1 && answers[0].contains(r#""code":"5.04""#), "{answers:?}");
    assert!(answers[0].contains(r#""mheaders":{"ttl":5}"#), "{answers:?}");
    bench.device.update(&mut bench.world, &[], "");
    assert_eq!(bench.device.serve(&mut bench.world, |_| Does::Answer(Reply::text("x"))).len(), 1);
}

#[test]
fn case116_command_headers_invalid_mheaders() {
    let mut bench = Bench::new(FIVE);
    for (headers, reason) in [
        ("7", "mheaders is not an object"),
        (r#"{"ttl":-1}"#, "mheaders.ttl is not a whole number of seconds from 0 to 31536000"),
        (r#"{"ttl":"x"}"#, "mheaders.ttl is not a whole number of seconds from 0 to 31536000"),
    ] {
        bench.ask_with(
            &format!(r#""mheaders":{headers},"#),
            "read",
            r#"{"path":"/3/0/0"}"#,
            "",
            &changed(),
            &format!(r#"{{"reqPath":"/3/0/0","code":"4.00","codeMsg":"bad_request","reason":"{reason}"}}"#),
        );
    }
}

/// What a device answers beside the rules, and what cannot be made into a request.
#[test]
fn case125_message_internal_errors() {
    let mut bench = Bench::new(FIVE);
    for (data, reason) in [
        (r#"{"path":"/3/0/9","type":"Integer","value":"abc"}"#, r#"/3/0/9: \"abc\" is not an Integer"#),
        (r#"{"path":"/6/0/4","value":"no base 64"}"#, r#"/6/0/4: \"no base 64\" is not Opaque (base 64)"#),
        (
            r#"{"path":"/3/0/22","value":"1-2"}"#,
            r#"/3/0/22: \"1-2\" is not an Objlnk (\"object:instance\", each 0–65535)"#,
        ),
        (r#"{"path":"/3/0/9","type":"Integer"}"#, "/3/0/9: value is missing"),
    ] {
        let path = data.split('"').nth(3).unwrap();
        let answer =
            format!(r#"{{"reqPath":"{path}","code":"4.00","codeMsg":"bad_request","reason":"{reason}"}}"#);
        bench.ask("write", data, "", &changed(), &answer);
    }
}

#[test]
fn case126_message_insert_resource() {
    Bench::new(FIVE).ask(
        "write",
        r#"{"basePath":"/3/0","content":[{"path":"7/1","value":1},{"path":"13","value":1},{"path":"7/0","value":2},{"path":"7/1","value":3}]}"#,
        "POST /3/0 cf 11542 [86 07 41 01 03 41 00 02 C1 0D 01]",
        &changed(),
        &code("/3/0", "2.04", "changed"),
    );
}

#[test]
fn case146_deliver_unsupported_msg_type() {
    let mut bench = Bench::new(FIVE);
    for kind in ["unsupported", "notify", "register", "READ", "ack", ""] {
        bench.send(&envelope("", kind, r#"{"path":"/3/0/0"}"#));
        let expected = envelope(
            "",
            kind,
            r#"{"reqPath":"/3/0/0","code":"4.00","codeMsg":"bad_request","reason":"unknown msgType; known: read, write, execute, discover, write-attr, create, delete, observe, cancel-observe, read-composite, write-composite, observe-composite, cancel-observe-composite, deregister, firmware"}"#,
        );
        assert_eq!(bench.answers(), [expected]);
    }
    assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
}

#[test]
fn case137_cmd_error_paths() {
    let mut bench = Bench::new(FIVE);
    for (kind, data, reason) in [
        ("read", "{}", "path is missing"),
        ("read", r#"{"path":""}"#, r#"path \"\": no object is named"#),
        ("read", r#"{"path":"/a"}"#, r#"path \"/a\": \"a\" is not a number 0–65535"#),
        ("execute", r#"{"path":"/3/0"}"#, "path /3/0: only a resource can be executed"),
        ("create", "{}", "basePath is missing or not a text"),
        ("write", r#"{"basePath":"/3/0","content":{}}"#, "content is not a list"),
        ("write-attr", r#"{"path":"/3/0/9","pmin":[]}"#, "pmin is not a number or text"),
    ] {
        bench.send(&envelope("", kind, data));
        let answers = bench.answers();
        let end = format!(r#""code":"4.00","codeMsg":"bad_request","reason":"{reason}"}}}}"#);
        assert!(answers.len() == 1 && answers[0].ends_with(&end), "{answers:?}\n{end}");
    }
    assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
}

/// A mount point with other levels before and behind the name.
#[test]
fn case102_mountpoint() {
    let topics = Topics::default().mounted_at("site/a/${endpoint_name}/v1/").unwrap();
    let mut world = World::with(Config { topics, ..Config::default() });
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=m1", "lwm2m=1"], "</3/0>");
    assert!(world.heard().iter().all(|heard| heard.topic.starts_with("site/a/m1/v1/")));
    world.publish("site/a/m1/v1/dn/dm", r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert_eq!(device.serve(&mut world, |_| Does::Answer(Reply::text("x"))).len(), 1);
    assert_eq!(world.on("site/a/m1/v1/up/resp").len(), 1);
    world.publish("lwm2m/m1/dn/dm", r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty());
}

/// The device's IP address as a level, as it was when it registered: an Update from elsewhere changes no topic, nor
/// does a restart of the gateway; a new Register does.
#[test]
fn case133_mountpoint_peerhost_placeholder() {
    let config = || Config {
        topics: Topics::default().mounted_at("at/${peerhost}/${endpoint_name}/").unwrap(),
        ..Config::default()
    };
    let topics = |world: &mut World| -> Vec<String> {
        world.heard().into_iter().map(|heard| format!("{} {}", heard.topic, heard.payload)).collect()
    };
    let read = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let mut world = World::with(config());
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    let heard = topics(&mut world);
    assert!(heard.len() == 3 && heard.iter().all(|line| line.starts_with("at/192.0.2.7/m1/")), "{heard:?}");

    // It moves, and so does nothing else.
    device.at.remote = SocketAddr::from(([198, 51, 100, 1], 9));
    assert_eq!(device.update(&mut world, &[], "").code(), "2.04");
    let heard = topics(&mut world);
    assert!(heard.iter().all(|line| line.starts_with("at/192.0.2.7/m1/")), "{heard:?}");
    let ask = |world: &mut World, device: &mut Device, host: &str, served: usize, answer: &str| {
        world.publish(&format!("at/{host}/m1/dn"), read);
        let seen = device.serve(world, |_| Does::Answer(Reply::text("x")));
        assert_eq!(seen.len(), served, "{host}");
        let answers = world.on(&format!("at/{host}/m1/up/resp"));
        assert!(answers.len() == 1 && answers[0].contains(answer), "{host} {answers:?}");
    };
    ask(&mut world, &mut device, "192.0.2.7", 1, r#""value":"x""#);
    ask(&mut world, &mut device, "198.51.100.1", 0, r#""code":"4.04""#);
    let mut world = world.restarted(config());
    ask(&mut world, &mut device, "192.0.2.7", 1, r#""value":"x""#);
    ask(&mut world, &mut device, "198.51.100.1", 0, r#""code":"4.04""#);

    // It registers there, over IPv6 this time.
    device.at.remote = "[2001:db8::7]:5783".parse().unwrap();
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    let heard = topics(&mut world);
    let (old, new): (Vec<_>, Vec<_>) = heard.iter().partition(|line| line.starts_with("at/192.0.2.7/m1/"));
    assert!(old.len() == 1 && old[0].contains(r#"status {"status":"offline""#), "{old:?}");
    assert!(old[0].contains(r#""reason":"moved""#), "{old:?}");
    assert!(new.len() == 3 && new.iter().all(|line| line.starts_with("at/2001:db8::7/m1/")), "{new:?}");
    ask(&mut world, &mut device, "2001:db8::7", 1, r#""value":"x""#);
    ask(&mut world, &mut device, "192.0.2.7", 0, r#""code":"4.04""#);
    assert_eq!(device.deregister(&mut world).code(), "2.02");
    assert!(topics(&mut world).iter().all(|line| line.starts_with("at/2001:db8::7/m1/")));
    ask(&mut world, &mut device, "2001:db8::7", 0, r#""code":"4.04""#);
}

/// Everything of a device that is kicked out goes: its commands are answered, its address means nothing any more.
#[test]
fn case147_cleanup_lwm2m_channels() {
    let mut bench = Bench::new(FIVE);
    bench.send(&envelope("", "read", r#"{"path":"/3/0/0"}"#));
    bench.send(&envelope("", "deregister", "{}"));
    let answers = bench.answers();
    assert!(answers.contains(&envelope(
        "",
        "deregister",
        r#"{"reqPath":null,"code":"2.02","codeMsg":"deleted"}"#
    )));
    assert_eq!(answers.iter().filter(|answer| answer.contains(r#""code":"4.04""#)).count(), 1, "{answers:?}");
    assert_eq!(bench.world.server.devices(), 0);
    bench.world.pass(Duration::from_secs(300));
    assert_eq!(bench.world.server.coap_counters().peers, 0);
    assert!(bench.answers().is_empty(), "one answer to each");
}

/// A device that takes a body in blocks of 64 bytes.
fn in_blocks(taken: &mut Vec<u8>, seen: &Seen) -> Reply {
    let Some(block) = seen.number(CoapOption::Block1) else {
        return Reply { block1: Some(2), ..Reply::code(4, 13) };
    };
    let (number, more, szx) = (block >> 4, block & 8 != 0, block & 7);
    assert_eq!(number << (szx + 4), taken.len() as u32, "in order");
    taken.extend_from_slice(&seen.packet.payload);
    let reply = if more { Reply::code(2, 31) } else { Reply::code(2, 4) };
    Reply { block1: Some(block), ..reply }
}

fn big_write(id: u32) -> String {
    let value = format!("{id}").repeat(300);
    format!(
        r#"{{"requestID":{id},"cacheID":{id},"msgType":"write","data":{{"path":"/3/0/14","type":"String","value":"{value}"}}}}"#
    )
}

#[test]
fn case138_blockwise_downlink_busy() {
    let mut bench = Bench::new(FIVE);
    bench.send(&big_write(1));
    bench.send(&big_write(2));
    let mut bodies = vec![Vec::new()];
    bench.device.serve(&mut bench.world, |seen| {
        let block = seen.number(CoapOption::Block1).unwrap_or(0);
        if block >> 4 == 0 && bodies.last().is_some_and(|body| !body.is_empty()) {
            bodies.push(Vec::new());
        }
        Does::Answer(in_blocks(bodies.last_mut().unwrap(), seen))
    });
    assert_eq!(bodies.len(), 2, "one after the other");
    let whole =
        |body: &[u8], digit: u8| body.len() == 304 && body.iter().filter(|b| **b == digit).count() == 300;
    assert!(whole(&bodies[0], b'1') && whole(&bodies[1], b'2'));
    let expected = [1, 2].map(|id| {
        let data = code("/3/0/14", "2.04", "changed");
        format!(r#"{{"requestID":{id},"cacheID":{id},"msgType":"write","data":{data}}}"#)
    });
    assert_eq!(bench.answers(), expected);
}

/// Serves a text in blocks of 64 bytes.
fn block2_of(text: &str, seen: &Seen) -> Reply {
    let asked = seen.number(CoapOption::Block2).unwrap_or(2);
    let szx = (asked & 7).min(2);
    let start = ((asked >> 4) as usize) << ((asked & 7) + 4);
    let end = text.len().min(start + (16 << szx));
    let number = (start >> (szx + 4)) as u32;
    let more = u32::from(end < text.len());
    let part = text.as_bytes()[start..end].to_vec();
    Reply { block2: Some(number << 4 | more << 3 | szx), ..Reply::content(0, part) }
}

#[test]
fn case139_block2_publish_once() {
    let mut bench = Bench::new(FIVE);
    let text = "0123456789".repeat(40);
    bench.send(&envelope("", "read", r#"{"path":"/3/0/0"}"#));
    let mut rounds = 0;
    bench.device.serve(&mut bench.world, |seen| {
        rounds += 1;
        Does::Answer(block2_of(&text, seen))
    });
    assert_eq!(rounds, 7);
    let expected = content("/3/0/0", &item("/3/0/0", &format!(r#""{text}""#)));
    assert_eq!(bench.answers(), [envelope("", "read", &expected)]);
}

#[test]
fn case140_block2_auto_tx_response() {
    let mut bench = Bench::new(FIVE);
    let text = "x".repeat(150);
    bench.send(&envelope("", "read", r#"{"path":"/3/0/0"}"#));
    let mut blocks = Vec::new();
    bench.device.serve(&mut bench.world, |seen| {
        blocks.push(seen.number(CoapOption::Block2));
        Does::Answer(block2_of(&text, seen))
    });
    assert_eq!(blocks, [None, Some(1 << 4 | 2), Some(2 << 4 | 2)], "in the size that the device chose");
    assert_eq!(bench.answers().len(), 1);
}

/// A block of a Register: number, more, size, and what it holds.
fn register_block(bench: &mut Bench, block: &[u8], payload: &[u8]) -> Seen {
    let mut packet = bench.device.packet(RequestType::Post, "/rd", &["ep=b", "lt=345", "lwm2m=1"], payload);
    packet.add_option(CoapOption::Block1, block.to_vec());
    bench.device.send(&mut bench.world, &packet)
}

#[test]
fn case141_channel_blockwise_server_paths() {
    let mut bench = Bench::new(FIVE);
    let first = register_block(&mut bench, &[0x08], b"</1>,</2>,</3/0>");
    assert_eq!((first.code().as_str(), first.number(CoapOption::Block1)), ("2.31", Some(0x08)));
    assert_eq!(register_block(&mut bench, &[0x30], b",</6>").code(), "4.08", "a gap");
    assert_eq!(register_block(&mut bench, &[0x10], b",</6>").code(), "4.08", "what was gathered is gone");
    assert_eq!(register_block(&mut bench, &[0x0f], b",</6>").code(), "4.00", "size 7 is reserved");
    assert_eq!(
        register_block(&mut bench, &[0, 0, 0, 0], b",</6>").code(),
        "4.02",
        "four bytes are no Block1"
    );
    assert_eq!(register_block(&mut bench, &[0x08], b"</1>,</2>,</3/0>").code(), "2.31");
    let last = register_block(&mut bench, &[0x10], b",</6>");
    assert_eq!((last.code().as_str(), last.number(CoapOption::Block1)), ("2.01", Some(0x10)));
    assert!(bench.world.on("lwm2m/b/up/resp")[0].contains(r#"["/1","/2","/3/0","/6"]"#));
}

/// A transfer that its device leaves in the middle leaves nothing behind, and the command has its answer.
#[test]
fn case142_clear_blockwise_downlink() {
    let mut bench = Bench::new(FIVE);
    let body = "1".repeat(3_000);
    bench.send(&envelope("", "write", &format!(r#"{{"path":"/3/0/14","type":"String","value":"{body}"}}"#)));
    let mut blocks = Vec::new();
    bench.device.serve(&mut bench.world, |seen| {
        let block = seen.number(CoapOption::Block1);
        blocks.push(block.unwrap_or(0) >> 4);
        match blocks.len() {
            1 => Does::Answer(Reply { block1: block, ..Reply::code(2, 31) }),
            _ => Does::Silence,
        }
    });
    assert_eq!(blocks, [0, 1]);
    assert_eq!(bench.device.deregister(&mut bench.world).code(), "2.02");
    let answers = bench.answers();
    assert!(answers.len() == 1 && answers[0].contains(r#""code":"4.04""#), "{answers:?}");
    bench.world.pass(Duration::from_secs(300));
    assert!(bench.world.inbox(bench.device.at).is_empty());
    assert_eq!(bench.world.server.coap_counters().peers, 0);
}

/// Blocks that nobody asked for.
#[test]
fn case143_blockwise_busy_no_context() {
    let mut bench = Bench::new(FIVE);
    let mut stray = block2_of(&"x".repeat(200), &bench.device.asked_of_nobody());
    stray.observe = None;
    let rejected = bench.device.notify(&mut bench.world, &[9, 9], &stray);
    assert_eq!(rejected.len(), 1, "RST");
    assert!(bench.world.heard().is_empty());
    let answer = content("/3/0/9", &item("/3/0/9", "5"));
    bench.ask("read", r#"{"path":"/3/0/9"}"#, "GET /3/0/9 accept 11542", &Reply::text("5"), &answer);
}

/// Whatever ends a transfer early, the next command is served: silence, RST, an error, an answer without Block1.
#[test]
fn case149_blockwise_busy_resumes_after_expiry() {
    type End = (fn() -> Does, &'static str);
    let ends: [End; 5] = [
        (|| Does::Silence, "5.04"),
        (|| Does::OnlyAck, "5.04"),
        (|| Does::Reset, "5.02"),
        (|| Does::Answer(Reply::code(4, 13)), "4.13"),
        (|| Does::Answer(Reply::code(2, 4)), "5.00"),
    ];
    for (end, code) in ends {
        let mut bench = Bench::new(FIVE);
        let body = "1".repeat(3_000);
        bench.send(&envelope(
            "",
            "write",
            &format!(r#"{{"path":"/3/0/14","type":"String","value":"{body}"}}"#),
        ));
        bench.send(&envelope("", "read", r#"{"path":"/3/0/9"}"#));
        let mut answers = Vec::new();
        for _ in 0..400 {
            bench.device.serve(&mut bench.world, |seen| match seen.code().as_str() {
                "GET" => Does::Answer(Reply::text("5")),
                _ if seen.number(CoapOption::Block1).is_some_and(|block| block >> 4 == 0) => {
                    Does::Answer(Reply { block1: seen.number(CoapOption::Block1), ..Reply::code(2, 31) })
                }
                _ => end(),
            });
            answers.extend(bench.answers());
            if answers.len() == 2 {
                break;
            }
            bench.world.pass(Duration::from_secs(1));
        }
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert!(answers[0].contains(&format!(r#""code":"{code}""#)), "{answers:?}");
        assert!(answers[1].contains(r#""value":5"#), "{answers:?}");
    }
}
