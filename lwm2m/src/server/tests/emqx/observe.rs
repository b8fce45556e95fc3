//! EMQX's groups of observing and of queue mode.
use super::super::world::{Does, Reply};
use super::{Bench, code, content, envelope, item};
use crate::server::Config;
use std::time::Duration;

const FIVE: &str = "</1>, </2>, </3/0>, </4>, </5>";

fn observe(bench: &mut Bench, path: &str, first: &str) -> Vec<u8> {
    let mut token = Vec::new();
    bench.send(&envelope("", "observe", &format!(r#"{{"path":"{path}"}}"#)));
    let asked = bench.device.serve(&mut bench.world, |seen| {
        token = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text(first).observed(0))
    });
    assert_eq!(asked, [format!("GET {path} accept 11542 observe 0")]);
    token
}

/// EMQX cancels under a fresh token; here it is the observation's own, as RFC 7641 §3.6 has it.
#[test]
fn case60_observe() {
    let mut bench = Bench::new(FIVE);
    let token = observe(&mut bench, "/3/0/10", "2048");
    let values = |value: &str| content("/3/0/10", &item("/3/0/10", value));
    assert_eq!(bench.answers(), [envelope("", "observe", &values("2048"))], "no seqNum in the first answer");
    bench.device.notify(&mut bench.world, &token, &Reply::text("4096").observed(3));
    let topic = bench.topic("up/notify");
    let notify = format!(
        r#"{{"requestID":206,"cacheID":206,"msgType":"notify","seqNum":3,"data":{}}}"#,
        values("4096")
    );
    assert_eq!(bench.world.on(&topic), [notify]);
    bench.send(&envelope("", "cancel-observe", r#"{"path":"/3/0/10"}"#));
    let mut cancelled = Vec::new();
    let asked = bench.device.serve(&mut bench.world, |seen| {
        cancelled = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text("1150"))
    });
    assert_eq!(asked, ["GET /3/0/10 accept 11542 observe 1"]);
    assert_eq!(cancelled, token);
    assert_eq!(bench.answers(), [envelope("", "cancel-observe", &values("1150"))]);
}

#[test]
fn case61_observe_error() {
    let mut bench = Bench::new(FIVE);
    bench.ask(
        "observe",
        r#"{"path":"/3/0/10"}"#,
        "GET /3/0/10 accept 11542 observe 0",
        &Reply::code(4, 1),
        &code("/3/0/10", "4.01", "unauthorized"),
    );
    assert_eq!(bench.world.server.coap_counters().observations, 0);
}

/// Nothing is observed there, so the device is asked for the value only.
#[test]
fn case62_cancel_observe_error() {
    Bench::new("</1>, </3/0>, </5/0>").ask(
        "cancel-observe",
        r#"{"path":"/3/0/10"}"#,
        "GET /3/0/10 accept 11542",
        &Reply::code(4, 4),
        &code("/3/0/10", "4.04", "not_found"),
    );
}

/// EMQX publishes those of object 5 elsewhere; here they are notifications as any other.
#[test]
fn case63_observe_notify_object5() {
    let mut bench = Bench::new("</5/0>");
    let token = observe(&mut bench, "/5/0/3", "1");
    bench.world.heard();
    let acknowledged =
        bench.device.notify_confirmably(&mut bench.world, &token, &Reply::text("2").observed(1));
    assert_eq!(acknowledged.len(), 1);
    let heard = bench.world.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].topic, bench.topic("up/notify"));
    assert!(heard[0].payload.contains(r#""msgType":"notify","seqNum":1,"#), "{heard:?}");
}

/// EMQX has a message of its own for it; here the command is answered 5.02, and EMQX's way with `emqx_compat`.
#[test]
fn case64_coap_reset() {
    for (emqx_compat, expected) in [
        (
            false,
            envelope(
                "",
                "read",
                r#"{"reqPath":"/3/0/0","code":"5.02","codeMsg":"bad_gateway","reason":"the device rejected the request (RST)"}"#,
            ),
        ),
        (true, envelope("", "coap_reset", r#"{"path":"/3/0/0"}"#)),
    ] {
        let mut bench = Bench::with(Config { emqx_compat, ..Config::default() }, &[], "</1>, </3/0>");
        bench.send(&envelope("", "read", r#"{"path":"/3/0/0"}"#));
        bench.device.serve(&mut bench.world, |_| Does::Reset);
        assert_eq!(bench.answers(), [expected]);
    }
}

fn server_cache_mode(more: &str) {
    let config = Config { awake_window_ms: 2_000, ..Config::default() };
    let mut bench = Bench::with(config, &[more], FIVE);
    let read = |bench: &mut Bench, id: u32| {
        bench.send(&format!(
            r#"{{"requestID":{id},"cacheID":{id},"msgType":"read","data":{{"path":"/3/0/{id}"}}}}"#
        ));
    };
    let answer = |id: u32| {
        format!(
            r#"{{"requestID":{id},"cacheID":{id},"msgType":"read","data":{}}}"#,
            content(&format!("/3/0/{id}"), &item(&format!("/3/0/{id}"), r#""EMQ""#))
        )
    };
    read(&mut bench, 0);
    bench.device.serve(&mut bench.world, |_| Does::Answer(Reply::text("EMQ")));
    assert_eq!(bench.answers(), [answer(0)], "it is awake after its Register");
    bench.world.pass(Duration::from_millis(2_500));
    for id in 1..=3 {
        read(&mut bench, id);
    }
    assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
    bench.world.heard();
    assert_eq!(bench.device.update(&mut bench.world, &[], "").code(), "2.04");
    bench.answers();
    let asked = bench.device.serve(&mut bench.world, |_| Does::Answer(Reply::text("EMQ")));
    assert_eq!(asked, [1, 2, 3].map(|id| format!("GET /3/0/{id} accept 11542")));
    assert_eq!(bench.answers(), [answer(1), answer(2), answer(3)]);
}

#[test]
fn case90_psm_mode() {
    server_cache_mode("apn=psmA.eDRX0.ctnb");
}

#[test]
fn case90_queue_mode() {
    server_cache_mode("b=UQ");
}
