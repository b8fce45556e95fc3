//! EMQX's groups of writing, creating, deleting, executing, discovering and attributes.
use super::super::world::{Does, Reply};
use super::{Bench, changed, code};

const FIVE: &str = "</1>, </2>, </3/0>, </4>, </5>";

/// The catalog knows /3/0/13 as a Time, so that is what goes out; where it knows nothing, the given type counts.
#[test]
fn case20_write() {
    let mut bench = Bench::new(FIVE);
    bench.ask(
        "write",
        r#"{"basePath":"/3/0/13","content":[{"type":"Float","value":"12345.0"}]}"#,
        "PUT /3/0/13 cf 11542 [C2 0D 3039]",
        &changed(),
        &code("/3/0/13", "2.04", "changed"),
    );
    bench.ask(
        "write",
        r#"{"basePath":"/33333/0/13","content":[{"type":"Float","value":"12345.678"}]}"#,
        "PUT /33333/0/13 cf 11542 [C8 0D 08 40C81CD6C8B43958]",
        &changed(),
        &code("/33333/0/13", "2.04", "changed"),
    );
}

#[test]
fn case20_single_write() {
    let mut bench = Bench::new(FIVE);
    bench.ask(
        "write",
        r#"{"path":"/3/0/13","type":"Integer","value":"12345"}"#,
        "PUT /3/0/13 cf 11542 [C2 0D 3039]",
        &changed(),
        &code("/3/0/13", "2.04", "changed"),
    );
    // EMQX writes 200 as one byte, which a device reads as -56.
    for (value, bytes) in
        [("200", "C2 0D 00C8"), ("-129", "C2 0D FF7F"), ("70000", "C4 0D 00011170"), ("-1", "C1 0D FF")]
    {
        bench.ask(
            "write",
            &format!(r#"{{"path":"/3/0/13","type":"Integer","value":{value}}}"#),
            &format!("PUT /3/0/13 cf 11542 [{bytes}]"),
            &changed(),
            &code("/3/0/13", "2.04", "changed"),
        );
    }
}

/// `reqPath` is what the asker wrote, the slash at its end too.
#[test]
fn case21_write_object() {
    Bench::new(FIVE).ask(
        "write",
        r#"{"basePath":"/3/0/","content":[{"path":"13","type":"Integer","value":"12345"},{"path":"14","type":"String","value":"87x"},{"path":"6/0","type":"Integer","value":"1"}]}"#,
        "POST /3/0 cf 11542 [C2 0D 3039 C3 0E 383778 83 06 41 00 01]",
        &changed(),
        &code("/3/0/", "2.04", "changed"),
    );
}

#[test]
fn case22_write_error() {
    Bench::new(FIVE).ask(
        "write",
        r#"{"basePath":"/3/0/1","content":[{"type":"Integer","value":"12345"}]}"#,
        "PUT /3/0/1 cf 11542 [C5 01 3132333435]",
        &Reply::code(4, 0),
        &code("/3/0/1", "4.00", "bad_request"),
    );
}

/// EMQX sends a command with ttl 0 past its queue and without waiting; here it is sent at once to who is awake.
#[test]
fn case23_write_multi_resource_instance() {
    Bench::new(FIVE).ask_with(
        r#""mheaders":{"ttl":0},"#,
        "write",
        r#"{"basePath":"/3/0/22","content":[{"path":"0","type":"Objlnk","value":"1:2"},{"path":"1","type":"Objlnk","value":"1:3"},{"path":"1","type":"Objlnk","value":"1:4"}]}"#,
        "PUT /3/0/22 cf 11542 [88 16 0C 44 00 00010002 44 01 00010004]",
        &changed(),
        &code("/3/0/22", "2.04", "changed"),
    );
}

#[test]
fn case24_write_content_response() {
    let mut bench = Bench::new(FIVE);
    for (payload, number, name) in [("", "4.05", "method_not_allowed"), ("OK", "2.04", "changed")] {
        bench.ask(
            "write",
            r#"{"path":"/3/0/13","type":"Integer","value":"1"}"#,
            "PUT /3/0/13 cf 11542 [C1 0D 01]",
            &Reply::text(payload),
            &code("/3/0/13", number, name),
        );
    }
}

/// EMQX ignores it; here it is answered.
#[test]
fn case25_write_invalid_json() {
    let mut bench = Bench::new(FIVE);
    bench.send("{bad json");
    assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
    assert_eq!(
        bench.answers(),
        [
            r#"{"reqID":null,"msgType":null,"data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"not JSON: line 1, column 2"}}"#
        ]
    );
}

/// Values that do not convert into the catalog's type go in the type that the asker gave.
#[test]
fn case26_write_object_instance_mixed() {
    let large = crate::value::base64::encode(&[b'B'; 256]);
    let hex = "42".repeat(256);
    Bench::new(FIVE).ask(
        "write",
        &format!(
            r#"{{"basePath":"/3/0","content":[{{"path":"/6/0","type":"Integer","value":1}},{{"path":"6/1","type":"Integer","value":2}},{{"path":"13","type":"Time","value":10}},{{"path":"13","type":"Time","value":11}},{{"path":"11","type":"Boolean","value":"true"}},{{"path":"12","type":"Boolean","value":"false"}},{{"path":"14","type":"Float","value":1.5}},{{"path":"300","type":"Opaque","value":"{large}"}}]}}"#
        ),
        &format!(
            "POST /3/0 cf 11542 [86 06 41 00 01 41 01 02 C1 0D 0B C1 0B 01 C1 0C 00 C3 0E 312E35 F0 012C 0100 {hex}]"
        ),
        &changed(),
        &code("/3/0", "2.04", "changed"),
    );
}

#[test]
fn case27_write_hex_encoding() {
    Bench::new(FIVE).ask_with(
        r#""encoding":"hex","#,
        "write",
        r#"{"path":"/3/0/1","type":"String","value":"48656C6C6F"}"#,
        "PUT /3/0/1 cf 11542 [C5 01 48656C6C6F]",
        &changed(),
        &code("/3/0/1", "2.04", "changed"),
    );
}

#[test]
fn case27_write_hex_encoding_invalid() {
    for value in ["ZZ", "4", "4 ", "+1"] {
        let mut bench = Bench::new(FIVE);
        bench.send(&format!(
            r#"{{"requestID":1,"cacheID":1,"msgType":"write","encoding":"hex","data":{{"path":"/3/0/1","type":"String","value":"{value}"}}}}"#
        ));
        assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
        let answers = bench.answers();
        let expected = r#"{"requestID":1,"cacheID":1,"msgType":"write","encoding":"hex","data":{"reqPath":"/3/0/1","code":"4.00","codeMsg":"bad_request","reason":""#;
        assert!(answers.len() == 1 && answers[0].starts_with(expected), "{answers:?}");
    }
}

#[test]
fn case129_write_hex_encoding() {
    let mut bench = Bench::new(FIVE);
    for (path, hex, tlv) in [
        ("/5/0/0", "00ff", "C2 00 00FF"),
        ("/5/0/0", "00FF", "C2 00 00FF"),
        ("/5/0/0", "", "C0 00"),
        ("/3/0/14", "2b30323a3030", "C6 0E 2B30323A3030"),
        ("/33333/0/1", "DEADBEEF", "C4 01 DEADBEEF"),
    ] {
        bench.ask_with(
            r#""encoding":"hex","#,
            "write",
            &format!(r#"{{"path":"{path}","value":"{hex}"}}"#),
            &format!("PUT {path} cf 11542 [{tlv}]"),
            &changed(),
            &code(path, "2.04", "changed"),
        );
    }
}

#[test]
fn case_create_basic() {
    let mut bench = Bench::new("</1>, </2>, </3/0>, </4>");
    let created = code("/5", "2.01", "created");
    bench.ask("create", r#"{"content":[],"basePath":"/5"}"#, "POST /5", &Reply::code(2, 1), &created);
    // Ours tells where the instance is, if the device does.
    bench.ask(
        "create",
        r#"{"content":[],"basePath":"/5"}"#,
        "POST /5",
        &Reply { location: vec!["5", "3"], ..Reply::code(2, 1) },
        r#"{"reqPath":"/5","code":"2.01","codeMsg":"created","location":"/5/3"}"#,
    );
}

/// Two instances in one Create.
#[test]
fn case_create_with_content() {
    Bench::new("</1>, </2>, </3/0>, </4>").ask(
        "create",
        r#"{"content":[{"path":"0/0","type":"Float","value":"1.5"},{"path":"0/4","type":"Opaque","value":"AQID"},{"path":"0/21","type":"Integer","value":"-129"},{"path":"1/0","type":"Float","value":"2.5"}],"basePath":"/6"}"#,
        "POST /6 cf 11542 [08 00 0F C4 00 3FC00000 C3 04 010203 C2 15 FF7F 06 01 C4 00 40200000]",
        &Reply::code(2, 1),
        &code("/6", "2.01", "created"),
    );
}

#[test]
fn case_delete_basic() {
    Bench::new("</1>, </2>, </3/0>, </4>, </5>, </5/0>").ask(
        "delete",
        r#"{"path":"/5/0"}"#,
        "DELETE /5/0",
        &Reply::code(2, 2),
        &code("/5/0", "2.02", "deleted"),
    );
}

#[test]
fn case30_execute() {
    let mut bench = Bench::new(FIVE);
    let answer = code("/3/0/4", "2.04", "changed");
    let data = r#"{"path":"/3/0/4","args":"undefined"}"#;
    bench.ask("execute", data, "POST /3/0/4", &changed(), &answer);
    let data = r#"{"path":"/3/0/4","args":"0"}"#;
    bench.ask("execute", data, "POST /3/0/4 cf 0 [30]", &changed(), &answer);
}

#[test]
fn case31_execute_error() {
    Bench::new(FIVE).ask(
        "execute",
        r#"{"path":"/3/0/4","args":"2,7"}"#,
        "POST /3/0/4 cf 0 [322C37]",
        &Reply::code(4, 1),
        &code("/3/0/4", "4.01", "unauthorized"),
    );
}

#[test]
fn case114_execute_args_undefined() {
    let mut bench = Bench::new("</3/0>");
    for data in [r#"{"path":"/3/0/4"}"#, r#"{"path":"/3/0/4","args":""}"#, r#"{"path":"/3/0/4","args":null}"#]
    {
        bench.ask("execute", data, "POST /3/0/4", &changed(), &code("/3/0/4", "2.04", "changed"));
    }
}

#[test]
fn case40_discover() {
    Bench::new(FIVE).ask(
        "discover",
        r#"{"path":"/3/0/7"}"#,
        "GET /3/0/7 accept 40",
        &Reply::content(40, "</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2,</3/0/8>"),
        r#"{"reqPath":"/3/0/7","code":"2.05","codeMsg":"content","content":["</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2","</3/0/8>"]}"#,
    );
}

#[test]
fn case41_discover_error() {
    Bench::new("</1>, </3/0>").ask(
        "discover",
        r#"{"path":"/3/0/7"}"#,
        "GET /3/0/7 accept 40",
        &Reply::code(4, 4),
        &code("/3/0/7", "4.04", "not_found"),
    );
}

/// EMQX drops keys that it does not know; here they are an error, and "" unsets.
#[test]
fn case50_write_attribute() {
    let mut bench = Bench::new(FIVE);
    bench.ask(
        "write-attr",
        r#"{"path":"/3/0/9","pmin":"1","pmax":"5","lt":"5","st":null}"#,
        "PUT /3/0/9?pmin=1&pmax=5&lt=5",
        &changed(),
        &code("/3/0/9", "2.04", "changed"),
    );
    bench.ask(
        "write-attr",
        r#"{"path":"/3/0/9","pmin":1,"gt":-2.5,"st":""}"#,
        "PUT /3/0/9?pmin=1&gt=-2.5&st",
        &changed(),
        &code("/3/0/9", "2.04", "changed"),
    );
    bench.ask(
        "write-attr",
        r#"{"path":"/3/0/9","pmin":"1","ignored":"1"}"#,
        "",
        &changed(),
        r#"{"reqPath":"/3/0/9","code":"4.00","codeMsg":"bad_request","reason":"unknown attribute \"ignored\"; known: pmin, pmax, gt, lt, st, epmin, epmax, edge, con, hqmax"}"#,
    );
}

#[test]
fn case51_write_attr_error() {
    Bench::new("</1>, </2>, </3/0>").ask(
        "write-attr",
        r#"{"path":"/3/0/9","pmin":"1"}"#,
        "PUT /3/0/9?pmin=1",
        &Reply::code(4, 0),
        &code("/3/0/9", "4.00", "bad_request"),
    );
}
