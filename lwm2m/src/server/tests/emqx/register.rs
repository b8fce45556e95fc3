//! EMQX's group `test_grp_0_register`, and what concerns the registration in its internal group.
use super::super::world::{Device, Does, Reply, World};
use super::{Bench, tlv};
use crate::server::{AutoObserve, Config, UpdateEvents};
use coap_lite::RequestType;
use std::time::Duration;

const FIVE: &str = "</1>, </2>, </3>, </4>, </5>";

/// `register` or `update` as EMQX has it: `lwm2m` as sent, `b` only when it was sent.
fn event(kind: &str, lt: u64, root: &str, objects: &str) -> String {
    format!(
        r#"{{"msgType":"{kind}","data":{{"ep":"urn:oma:lwm2m:oma:3","lt":{lt},"lwm2m":"1","alternatePath":"{root}","objectList":[{objects}]}}}}"#
    )
}

/// A Register with this query and these links: its code, and what was said of it.
fn refused(query: &[&str]) -> String {
    let mut world = World::new();
    let mut device = Device::new(5783);
    let answer = device.ask(&mut world, RequestType::Post, "/rd", query, FIVE.as_bytes());
    if !answer.code().starts_with('2') {
        assert!(world.heard().is_empty(), "nothing is said of who is refused");
        assert_eq!(world.server.devices(), 0);
    }
    answer.code()
}

fn hears_commands(bench: &mut Bench) -> bool {
    bench.world.heard();
    bench.send(r#"{"requestID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    let asked = bench.device.serve(&mut bench.world, |_| Does::Answer(Reply::text("x")));
    bench.world.heard();
    !asked.is_empty()
}

#[test]
fn case01_register() {
    let mut bench = Bench::new(FIVE);
    assert!(bench.device.location.starts_with("rd/"));
    assert!(hears_commands(&mut bench));
    assert_eq!(bench.device.deregister(&mut bench.world).code(), "2.02");
    assert!(!hears_commands(&mut bench));
}

#[test]
fn case01_update_not_restart_listener() {
    let mut bench = Bench::new(FIVE);
    bench.world.server.handle_config(Config { awake_window_ms: 20_000, ..Config::default() });
    assert!(hears_commands(&mut bench));
    assert_eq!(bench.device.deregister(&mut bench.world).code(), "2.02");
}

#[test]
fn case01_register_additional_opts() {
    let more = ["apn=psmA.eDRX0.ctnb", "cust_opt=shawn", "im=123", "ct=1.4", "mt=mdm9620", "mv=1.2"];
    let mut bench = Bench::with(Config::default(), &more, FIVE);
    bench.register(&more, FIVE);
    let told = bench.answers();
    assert_eq!(
        told,
        [
            r#"{"msgType":"register","data":{"ep":"urn:oma:lwm2m:oma:3","lt":345,"lwm2m":"1","apn":"psmA.eDRX0.ctnb","cust_opt":"shawn","im":"123","ct":"1.4","mt":"mdm9620","mv":"1.2","alternatePath":"/","objectList":["/1","/2","/3","/4","/5"]}}"#
        ]
    );
}

#[test]
fn case01_register_incorrect_opts() {
    assert_eq!(refused(&["ep=urn:oma:lwm2m:oma:3", "lt=345", "lwm2m=1", "incorrect_opt"]), "4.00");
}

#[test]
fn case01_register_report() {
    let mut bench = Bench::new(FIVE);
    bench.register(&[], FIVE);
    assert_eq!(bench.answers(), [event("register", 345, "/", r#""/1","/2","/3","/4","/5""#)]);
    bench.register(&["b=U", "sms=+331"], FIVE);
    let told = bench.answers();
    assert!(told[0].contains(r#""lwm2m":"1","b":"U","sms":"+331","alternatePath""#), "{told:?}");
}

#[test]
fn case02_update_deregister() {
    let secrets = ["password=public", "secret=top", "private_key=priv", "access_token=token"];
    let mut bench = Bench::with(Config::default(), &secrets, FIVE);
    bench.register(&secrets, FIVE);
    let objects = r#""/1","/2","/3","/4","/5""#;
    assert_eq!(bench.answers(), [event("register", 345, "/", objects)]);
    assert_eq!(bench.device.update(&mut bench.world, &[], "").code(), "2.04");
    assert_eq!(bench.answers(), [event("update", 345, "/", objects)]);
    assert_eq!(bench.device.update(&mut bench.world, &["lt=789"], "</1>, </2>, </6>").code(), "2.04");
    assert_eq!(bench.answers(), [event("update", 789, "/", r#""/1","/2","/6""#)]);
    assert_eq!(bench.device.deregister(&mut bench.world).code(), "2.02");
    assert!(!hears_commands(&mut bench));
}

#[test]
fn case02_update_no_lt() {
    let mut bench = Bench::new(FIVE);
    assert_eq!(
        bench.device.update(&mut bench.world, &[], "</1>, </2>, </3>, </4>, </5>, </6>").code(),
        "2.04"
    );
    assert_eq!(bench.answers(), [event("update", 345, "/", r#""/1","/2","/3","/4","/5","/6""#)]);
}

#[test]
fn case02_update_lifetime_zero() {
    let mut bench = Bench::new(FIVE);
    assert_eq!(bench.device.update(&mut bench.world, &["lt=0"], "</1>, </2>").code(), "2.04");
    assert_eq!(bench.answers(), [event("update", 0, "/", r#""/1","/2""#)]);
}

#[test]
fn case02_update_publish_condition() {
    let mut bench = Bench::new(FIVE);
    assert_eq!(bench.device.update(&mut bench.world, &["lt=789"], "").code(), "2.04");
    assert_eq!(bench.answers().len(), 1, "always, by default");
    let update_events = UpdateEvents::ContainsObjectList;
    bench.world.server.handle_config(Config { update_events, ..Config::default() });
    assert_eq!(bench.device.update(&mut bench.world, &["lt=789"], "").code(), "2.04");
    assert!(bench.answers().is_empty());
    assert_eq!(bench.device.update(&mut bench.world, &[], "</1>").code(), "2.04");
    assert_eq!(bench.answers().len(), 1);
}

/// EMQX says 4.00, which devices do not take as a hint to try a lower version.
#[test]
fn case03_register_wrong_version() {
    assert_eq!(refused(&["ep=a", "lt=345", "lwm2m=8.3"]), "4.12");
}

/// EMQX says 4.00; the parameter has a default.
#[test]
fn case03_register_missing_version() {
    let mut world = World::new();
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=a", "lt=345"], FIVE);
    assert!(world.on("lwm2m/a/up/resp")[0].contains(r#""lwm2m":"1.0""#));
}

#[test]
fn case03_register_version_1_1() {
    let mut world = World::new();
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=a", "lt=345", "lwm2m=1.1"], FIVE);
    assert!(world.on("lwm2m/a/up/resp")[0].contains(r#""lwm2m":"1.1""#));
}

#[test]
fn case04_register_and_lifetime_timeout() {
    let mut world = World::with(Config { lifetime_grace_ms: 0, ..Config::default() });
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=a", "lt=2", "lwm2m=1"], FIVE);
    world.publish("lwm2m/a/dn/dm", r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert_eq!(device.serve(&mut world, |_| Does::Answer(Reply::text("x"))).len(), 1);
    world.heard();
    world.pass(Duration::from_secs(4));
    world.publish("lwm2m/a/dn/dm", r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty());
    assert!(world.on("lwm2m/a/up/resp")[0].contains(r#""code":"4.04""#));
}

#[test]
fn case05_register_wrong_epn() {
    assert_eq!(refused(&["lt=345", "lwm2m=1.0"]), "4.00");
}

/// Disabled at EMQX too: a lifetime that is missing has a default, one that is wrong is an error.
#[test]
fn case06_register_wrong_lifetime() {
    let mut world = World::new();
    let mut device = Device::new(5783);
    device.register(&mut world, &["ep=a", "lwm2m=1"], FIVE);
    assert!(world.on("lwm2m/a/up/resp")[0].contains(r#""lt":86400"#));
    assert_eq!(refused(&["ep=a", "lt=x", "lwm2m=1"]), "4.00");
}

/// A root that is "/" with objects below another path: taken as it is, though none of them can be reached there.
#[test]
fn case07_register_alternate_path_01() {
    let links = r#"</>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>"#;
    let mut bench = Bench::new(FIVE);
    bench.register(&[], links);
    let told = bench.answers();
    assert!(told[0].contains(r#""alternatePath":"/""#), "{told:?}");
    assert!(hears_commands(&mut bench));
}

#[test]
fn case07_register_alternate_path_02() {
    let mut bench = Bench::new(FIVE);
    bench.register(&[], r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>"#);
    assert_eq!(bench.answers(), [event("register", 345, "/lwm2m", r#""/1/0","/2/0","/3/0""#)]);
    assert!(hears_commands(&mut bench));
}

#[test]
fn case07_register_alternate_path_unprefixed() {
    let mut bench = Bench::new(FIVE);
    bench.register(&[], r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</3/0>"#);
    assert_eq!(bench.answers(), [event("register", 345, "/lwm2m", r#""/1/0","/3/0""#)]);
}

#[test]
fn case08_reregister() {
    let links = r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>"#;
    let mut bench = Bench::new(links);
    let first = bench.device.location.clone();
    bench.world.pass(Duration::from_secs(1));
    bench.register(&[], links);
    assert_ne!(first, bench.device.location);
    assert_eq!(bench.answers(), [event("register", 345, "/lwm2m", r#""/1/0","/2/0","/3/0""#)]);
    assert!(hears_commands(&mut bench));
}

/// The lines of what a device is asked when it registers with automatic observations.
fn observed(auto_observe: AutoObserve, links: &str) -> Vec<String> {
    let mut bench = Bench::with(Config { auto_observe, ..Config::default() }, &[], links);
    bench.device.serve(&mut bench.world, |seen| {
        assert!(!seen.packet.get_token().is_empty());
        Does::Answer(tlv("C1 00 41").observed(0))
    })
}

fn list(paths: &[&str]) -> AutoObserve {
    AutoObserve::Paths(paths.iter().map(|path| path.parse().expect("a path")).collect())
}

/// EMQX leaves objects without definition alone; they are observed here.
#[test]
fn case09_auto_observe() {
    let links = r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>,</lwm2m/59102/0>"#;
    assert_eq!(
        observed(AutoObserve::All, links),
        ["GET /lwm2m/3/0 accept 11542 observe 0", "GET /lwm2m/59102/0 accept 11542 observe 0"]
    );
}

#[test]
fn case09_auto_observe_list() {
    assert_eq!(observed(list(&["/3/0"]), "</1>, </2>"), [""; 0]);
}

#[test]
fn case09_auto_observe_list_intersection() {
    assert_eq!(observed(list(&["/3/0"]), "</1/0>, </2>, </3/0>"), ["GET /3/0 accept 11542 observe 0"]);
}

#[test]
fn case09_auto_observe_list_no_intersection() {
    assert_eq!(observed(list(&["/3/0", "/6"]), "</1>, </2>"), [""; 0]);
}

#[test]
fn case09_auto_observe_list_explicit_ignored() {
    assert_eq!(
        observed(list(&["/1/0"]), "</1/0>, </2>, </3/0>"),
        ["GET /1/0 accept 11542 observe 0"],
        "a core object that is named is observed"
    );
}

#[test]
fn case09_auto_observe_list_multi_order() {
    let config = Config { auto_observe: list(&["/3/0", "/1/0"]), ..Config::default() };
    let mut bench = Bench::with(config, &[], "</1/0>, </3/0>");
    let mut tokens = Vec::new();
    let asked = bench.device.serve(&mut bench.world, |seen| {
        tokens.push(seen.packet.get_token().to_vec());
        let first = seen.line().starts_with("GET /3/0");
        Does::Answer(tlv(if first { "C1 00 41" } else { "C1 01 0A" }).observed(0))
    });
    assert_eq!(asked, ["GET /3/0 accept 11542 observe 0", "GET /1/0 accept 11542 observe 0"]);
    let observe = |content: &str, path: &str| {
        format!(
            r#"{{"msgType":"observe","is_auto_observe":true,"data":{{"reqPath":"{path}","code":"2.05","codeMsg":"content","content":[{content}]}}}}"#
        )
    };
    let first = observe(r#"{"path":"/3/0/0","value":"A"}"#, "/3/0");
    assert_eq!(bench.answers(), [first, observe(r#"{"path":"/1/0/1","value":10}"#, "/1/0")]);
    bench.device.notify(&mut bench.world, &tokens[0], &tlv("C1 00 42").observed(1));
    let topic = bench.topic("up/notify");
    assert_eq!(
        bench.world.on(&topic),
        [
            r#"{"msgType":"notify","seqNum":1,"is_auto_observe":true,"data":{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"B"}]}}"#
        ]
    );
}

#[test]
fn case113_request_invalid_paths() {
    let mut bench = Bench::new("</3/0>");
    for (method, path, code) in [
        (RequestType::Post, "/bad", "4.04"),
        (RequestType::Post, "/rd/bad", "4.04"),
        (RequestType::Delete, "/rd/bad", "4.04"),
        (RequestType::Get, "/rd", "4.04"),
        (RequestType::Put, "/rd", "4.04"),
    ] {
        assert_eq!(bench.device.ask(&mut bench.world, method, path, &[], b"").code(), code, "{path}");
    }
    assert!(hears_commands(&mut bench));
}

/// EMQX says 4.00; whom the security layer knows by another name is forbidden.
#[test]
fn case117_auth_failure() {
    let mut world = World::new();
    let mut device = Device::new(5684);
    let packet = device.packet(RequestType::Post, "/rd", &["ep=b", "lt=345", "lwm2m=1"], FIVE.as_bytes());
    world.datagram_with_identity(device.at, "a", &packet.to_bytes().unwrap());
    assert_eq!(world.inbox(device.at)[0].code(), "4.03");
    assert!(world.heard().is_empty());
}

/// EMQX says 4.00 when a session cannot be opened; 5.03 tells a device to come again, and when.
#[test]
fn case119_open_session_error() {
    let limits = broker_core::Limits { connections_max: 1, ..broker_core::Limits::default() };
    let mut world = World::with_limits(Config::default(), limits); // the client
    let mut device = Device::new(5783);
    let query = ["ep=a", "lt=345", "lwm2m=1"];
    let answer = device.ask(&mut world, RequestType::Post, "/rd", &query, FIVE.as_bytes());
    assert_eq!(answer.code(), "5.03");
    assert!(answer.number(coap_lite::CoapOption::MaxAge).is_some());
    assert_eq!(world.server.devices(), 0);
    assert!(world.heard().is_empty());
}

#[test]
fn case120_post_missing_uri_path() {
    let mut bench = Bench::new("</3/0>");
    let answer = bench.device.ask(&mut bench.world, RequestType::Post, "", &[], b"");
    assert_eq!(answer.code(), "4.04");
}

#[test]
fn case121_delete_missing_uri_path() {
    let mut bench = Bench::new("</3/0>");
    let answer = bench.device.ask(&mut bench.world, RequestType::Delete, "/rd", &[], b"");
    assert_eq!(answer.code(), "4.00");
    assert!(hears_commands(&mut bench));
}

/// A list with nothing but the root is no object list.
#[test]
fn case128_session_internal_branches_only_alternate_link() {
    let mut world = World::new();
    let mut device = Device::new(5783);
    let links = br#"</lwm2m>;rt="oma.lwm2m";ct=11543"#;
    let answer = device.ask(&mut world, RequestType::Post, "/rd", &["ep=a", "lt=345", "lwm2m=1"], links);
    assert_eq!(answer.code(), "4.00");
}

#[test]
fn case134_auto_observe_empty_list() {
    assert_eq!(observed(list(&[]), "</1/0>, </3/0>"), [""; 0]);
}

#[test]
fn case145_auto_observe_normalize_edges() {
    let off = observed(AutoObserve::Off, "</3/0>");
    assert_eq!(off, [""; 0]);
    let all = ["GET /3/0 accept 11542 observe 0", "GET /3303 accept 11542 observe 0"];
    assert_eq!(
        observed(AutoObserve::All, "</0>,</1/0>,</2>,</3/0>,</4/0>,</5>,</6>,</7>,</9>,</15>,</3303>"),
        all
    );
    // An object of the list covers its registered instances, an instance is covered by its registered object.
    assert_eq!(observed(list(&["/3"]), "</3/0>"), ["GET /3 accept 11542 observe 0"]);
    assert_eq!(observed(list(&["/3/0"]), "</3>"), ["GET /3/0 accept 11542 observe 0"]);
    // The same path twice is one observation.
    assert_eq!(observed(list(&["/3/0", "/3/0"]), "</3/0>").len(), 1);
}

/// EMQX's older name of the setting; the behaviour is that of `contains_object_list`.
#[test]
fn case136_update_publish_condition_legacy() {
    let config = Config { update_events: UpdateEvents::ContainsObjectList, ..Config::default() };
    let mut bench = Bench::with(config, &[], FIVE);
    bench.device.update(&mut bench.world, &["lt=60"], "");
    assert!(bench.answers().is_empty());
}
