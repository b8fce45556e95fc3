//! EMQX's group `test_grp_1_read`.
use super::super::world::{Does, Reply};
use super::{Bench, bytes, code, content, item, tlv};
use crate::server::Config;
use crate::value::base64;

const FIVE: &str = "</1>, </2>, </3/0>, </4>, </5>";
const THREE: &str = "</1/0>, </3/0>, </6/0>";

fn read(bench: &mut Bench, path: &str, reply: &Reply, items: &str) {
    let bare = path.split('?').next().unwrap_or_default();
    bench.ask(
        "read",
        &format!(r#"{{"path":"{path}"}}"#),
        &format!("GET {path} accept 11542"),
        reply,
        &content(bare, items),
    );
}

#[test]
fn case10_read() {
    let links = r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>"#;
    Bench::new(links).ask(
        "read",
        r#"{"path":"/3/0/0"}"#,
        "GET /lwm2m/3/0/0 accept 11542",
        &Reply::text("EMQ"),
        &content("/3/0/0", &item("/3/0/0", r#""EMQ""#)),
    );
}

/// EMQX says 4.00 for an object that it has no definition of; here the format gives the type.
#[test]
fn case10_read_bad_request() {
    let links = r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/2/0>,</lwm2m/3/0>"#;
    Bench::new(links).ask(
        "read",
        r#"{"path":"/33333/0/0"}"#,
        "GET /lwm2m/33333/0/0 accept 11542",
        &Reply::text("EMQ"),
        &content("/33333/0/0", r#"{"path":"/33333/0/0","value":"EMQ","type":"String"}"#),
    );
}

/// EMQX tells of the empty acknowledgement; here only with `emqx_compat`.
#[test]
fn case10_read_separate_ack() {
    for emqx_compat in [false, true] {
        let mut bench = Bench::with(Config { emqx_compat, ..Config::default() }, &[], FIVE);
        bench.send(r#"{"requestID":206,"cacheID":206,"msgType":"read","data":{"path":"/3/0/0"}}"#);
        let asked = bench.world.inbox(bench.device.at).remove(0);
        bench.device.do_with(&mut bench.world, &asked, Does::OnlyAck);
        let ack = r#"{"requestID":206,"cacheID":206,"msgType":"ack","data":{"path":"/3/0/0"}}"#;
        assert_eq!(bench.answers(), Vec::from_iter(emqx_compat.then_some(ack)));
        let acknowledged = bench.device.separate(&mut bench.world, &asked, &Reply::text("EMQ"), true);
        assert_eq!(acknowledged.len(), 1, "the separate response is acknowledged");
        assert_eq!(
            bench.answers(),
            [
                r#"{"requestID":206,"cacheID":206,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"EMQ"}]}}"#
            ]
        );
    }
}

#[test]
fn case11_read_object_tlv() {
    let body = "08 00 3C C8 00 14 4F70656E204D6F62696C6520416C6C69616E6365
        C8 01 16 4C69676874776569676874204D324D20436C69656E74 C8 02 09 333435303030313233";
    let items = [
        item("/3/0/0", r#""Open Mobile Alliance""#),
        item("/3/0/1", r#""Lightweight M2M Client""#),
        item("/3/0/2", r#""345000123""#),
    ];
    read(&mut Bench::new(FIVE), "/3/0", &tlv(body), &items.join(","));
}

/// `t` is the time of a value and no value, so an element that has nothing else is none; EMQX shows 123 and null.
#[test]
fn case11_read_object_json() {
    let json = r#"{"bn":"/3/0","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"1","sv":"Lightweight M2M Client"},
        {"n":"2","sv":"345000123"},{"n":"13","v":1700000000},{"n":"6","bv":true},{"n":"22","ov":"1:2"},
        {"n":"15","t":123},{"n":"99"}]}"#;
    let items = [
        item("/3/0/0", r#""Open Mobile Alliance""#),
        item("/3/0/1", r#""Lightweight M2M Client""#),
        item("/3/0/2", r#""345000123""#),
        item("/3/0/13", "1700000000"),
        item("/3/0/6", "true"),
        item("/3/0/22", r#""1:2""#),
    ];
    read(&mut Bench::new(FIVE), "/3/0", &Reply::content(11543, json), &items.join(","));
}

#[test]
fn case12_read_resource_opaque() {
    let opaque = [20, 21, 22, 23];
    let shown = format!(r#""{}""#, base64::encode(&opaque));
    read(&mut Bench::new(FIVE), "/3/0/8", &Reply::content(42, opaque), &item("/3/0/8", &shown));
}

/// As `case10_read_bad_request`.
#[test]
fn case13_read_no_xml() {
    let item = r#"{"path":"/9723/0/0","value":"EMQ","type":"String"}"#;
    read(&mut Bench::new(FIVE), "/9723/0/0", &Reply::text("EMQ"), item);
}

#[test]
fn case14_read_text_types() {
    let mut bench = Bench::new("</1>, </3/0>, </6/0>");
    for (path, text, shown) in [
        ("/1/0/6", "true", "true"),
        ("/1/0/6", "false", "false"),
        ("/1/0/6", "1", "true"),
        ("/1/0/6", "0", "false"),
        // Opaque stands in base 64 in text (LwM2M 1.0 §6.4.1); what is none is taken as it is, as EMQX does.
        ("/6/0/4", "YWJj", r#""YWJj""#),
        ("/6/0/4", "abc", r#""YWJj""#),
        ("/6/0/0?foo=bar&baz=1", "12.5", "12.5"),
        ("/3/0/22/0", "1:2", r#""1:2""#),
        ("/3/0/13", "1700000000", "1700000000"),
    ] {
        let bare = path.split('?').next().unwrap();
        read(&mut bench, path, &Reply::text(text), &item(bare, shown));
    }
}

#[test]
fn case15_read_tlv_types() {
    let mut bench = Bench::new(THREE);
    read(&mut bench, "/1/0", &tlv("C1 06 01"), &item("/1/0/6", "true"));
    let device = "C4 0D 0000000A 88 16 0C 44 00 00010002 44 01 00010003";
    let items =
        [item("/3/0/13", "10"), item("/3/0/22/0", r#""1:2""#), item("/3/0/22/1", r#""1:3""#)].join(",");
    read(&mut bench, "/3/0", &tlv(device), &items);
    let location = "C4 00 3FC00000 C3 04 010203 C4 05 00000014";
    let items = [item("/6/0/0", "1.5"), item("/6/0/4", r#""AQID""#), item("/6/0/5", "20")].join(",");
    read(&mut bench, "/6/0", &tlv(location), &items);
}

/// EMQX forgets the first slash; here all paths begin with one.
#[test]
fn case16_read_tlv_object_instances() {
    let items = [item("/3/0/0", r#""A""#), item("/3/1/0", r#""B""#)].join(",");
    read(&mut Bench::new(FIVE), "/3", &tlv("03 00 C1 00 41 03 01 C1 00 42"), &items);
}

#[test]
fn case17_read_invalid_tlv() {
    let mut bench = Bench::new(FIVE);
    for hex in ["C8 00 FF", "C2 0D 30", "E1 01", "C0 0A", "85 06 C3 00 0102"] {
        bench.send(r#"{"requestID":206,"cacheID":206,"msgType":"read","data":{"path":"/3/0"}}"#);
        bench.device.serve(&mut bench.world, |_| Does::Answer(tlv(hex)));
        let answers = bench.answers();
        let raw = format!(r#""raw":"{}","reason":""#, base64::encode(&bytes(hex)));
        let expected = r#"{"requestID":206,"cacheID":206,"msgType":"read","data":{"reqPath":"/3/0","code":"4.00","codeMsg":"bad_request","#;
        assert!(
            answers.len() == 1 && answers[0].starts_with(expected) && answers[0].contains(&raw),
            "{answers:?}"
        );
    }
    // A resource that the object does not have is no broken TLV: it is shown as it came.
    let shown = r#"{"path":"/3/0/300","value":"AQ==","type":"Opaque"}"#;
    read(&mut bench, "/3/0", &tlv("E1 012C 01"), shown);
    read(&mut bench, "/3/0/9", &tlv("C1 09 64"), &item("/3/0/9", "100"));
}

/// A code that may be about the format makes the gateway try the next one, so that one is asked for by name.
#[test]
fn case18_read_error_codes() {
    let mut bench = Bench::new("</1>, </3/0>");
    for (class, detail, name) in [
        (4, 0, "bad_request"),
        (4, 1, "unauthorized"),
        (4, 2, "bad_option"),
        (4, 3, "forbidden"),
        (4, 4, "not_found"),
        (4, 5, "method_not_allowed"),
        (4, 6, "not_acceptable"),
        (4, 8, "request_entity_incomplete"),
        (4, 9, "conflict"),
        (4, 12, "precondition_failed"),
        (4, 13, "request_entity_too_large"),
        (4, 15, "unsupported_content_format"),
        (4, 22, "unprocessable_entity"),
        (5, 0, "internal_server_error"),
        (5, 1, "not_implemented"),
        (5, 2, "bad_gateway"),
        (5, 3, "service_unavailable"),
        (5, 4, "gateway_timeout"),
        (5, 5, "proxying_not_supported"),
        (4, 29, "unknown"),
    ] {
        bench.ask_with(
            r#""accept":11542,"#,
            "read",
            r#"{"path":"/3/0/0"}"#,
            "GET /3/0/0 accept 11542",
            &Reply::code(class, detail),
            &code("/3/0/0", &format!("{class}.{detail:02}"), name),
        );
    }
}

#[test]
fn case19_read_text_invalid_basename() {
    let mut bench = Bench::new("</1>, </3/0>");
    bench.ask(
        "read",
        r#"{"path":"/3"}"#,
        "GET /3 accept 11542",
        &Reply::text("1"),
        r#"{"reqPath":"/3","code":"4.00","codeMsg":"bad_request","raw":"MQ==","reason":"text/plain carries exactly one resource"}"#,
    );
}

#[test]
fn case20_read_tlv_variants() {
    let mut bench = Bench::new("</1/0>, </3/0>");
    let two = [item("/3/0/6/0", "1"), item("/3/0/6/1", "2")].join(",");
    for (path, hex, items) in [
        ("/1/0/6", "C1 06 00".to_owned(), item("/1/0/6", "false")),
        ("/3/0/6", "C2 06 002A".to_owned(), item("/3/0/6", "42")),
        ("/3/0/6", "86 06 41 00 01 41 01 02".to_owned(), two),
        ("/3", "06 00 C4 00 41434D45".to_owned(), item("/3/0/0", r#""ACME""#)),
        ("/3/0/6/0", "41 00 01".to_owned(), item("/3/0/6/0", "1")),
        (
            "/3/0/0",
            format!("D0 00 0100 {}", "41 ".repeat(256)),
            item("/3/0/0", &format!(r#""{}""#, "A".repeat(256))),
        ),
    ] {
        read(&mut bench, path, &tlv(&hex), &items);
    }
    // Instances of an object are no answer to the read of one resource instance.
    bench.send(r#"{"requestID":206,"cacheID":206,"msgType":"read","data":{"path":"/3/0/6/0"}}"#);
    bench.device.serve(&mut bench.world, |_| Does::Answer(tlv("06 00 C4 00 41434D45 06 01 C4 00 41434D45")));
    let answers = bench.answers();
    assert!(answers.len() == 1 && answers[0].contains(r#""code":"4.00""#), "{answers:?}");
}
