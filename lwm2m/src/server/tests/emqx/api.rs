//! EMQX's suite of its HTTP interface, as far as the same can be had over MQTT: what a read or a discover shows, and
//! what becomes of commands for endpoints that are not there.
use super::super::world::{Device, Does, Reply, World};
use super::{Bench, changed, code, content, envelope, item};
use crate::server::Config;

fn detailed() -> Bench {
    Bench::with(Config { content_details: true, ..Config::default() }, &[], "</1>, </2>, </3/0>, </4>, </5>")
}

/// Name and type of the object definition stand beside the value.
#[test]
fn t_lookup_read() {
    let mut bench = detailed();
    bench.ask(
        "read",
        r#"{"path":"/3/0/0"}"#,
        "GET /3/0/0 accept 11542",
        &Reply::text("EMQ"),
        &content("/3/0/0", r#"{"path":"/3/0/0","value":"EMQ","name":"Manufacturer","type":"String"}"#),
    );
    bench.ask(
        "read",
        r#"{"path":"/3/0/7/0"}"#,
        "GET /3/0/7/0 accept 11542",
        &Reply::text("3800"),
        &content(
            "/3/0/7/0",
            r#"{"path":"/3/0/7/0","value":3800,"name":"Power Source Voltage","type":"Integer","units":"mV"}"#,
        ),
    );
}

fn discover(path: &str, links: &str, shown: &str) {
    detailed().ask(
        "discover",
        &format!(r#"{{"path":"{path}"}}"#),
        &format!("GET {path} accept 40"),
        &Reply::content(40, links),
        &format!(r#"{{"reqPath":"{path}","code":"2.05","codeMsg":"content","content":[{shown}]}}"#),
    );
}

#[test]
fn t_lookup_discover() {
    discover(
        "/3/0/7",
        "</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2,</3/0/8>",
        r#""</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2","</3/0/8>""#,
    );
}

#[test]
fn t_lookup_discover_unknown_object() {
    discover("/33333/0", "</33333/0>,</33333/0/1>", r#""</33333/0>","</33333/0/1>""#);
}

#[test]
fn t_lookup_discover_obj_instance() {
    discover("/3", "</3>;pmin=10,</3/0>", r#""</3>;pmin=10","</3/0>""#);
}

#[test]
fn t_lookup_operations_e() {
    discover("/3/0/4", "</3/0/4>", r#""</3/0/4>""#);
}

#[test]
fn t_lookup_content_empty() {
    discover("/3/0/7", "", "");
}

#[test]
fn t_lookup_missing_client() {
    let mut world = World::new();
    world.publish("lwm2m/nobody/dn/dm", &envelope("", "read", r#"{"path":"/3/0/0"}"#));
    assert_eq!(
        world.on("lwm2m/nobody/up/resp"),
        [envelope(
            "",
            "read",
            r#"{"reqPath":"/3/0/0","code":"4.04","codeMsg":"not_found","reason":"no such endpoint is registered"}"#
        )]
    );
}

/// In transparent mode another node may hold the endpoint.
#[test]
fn t_send_cmd_missing_client() {
    let mut world = World::with(Config { transparent: true, ..Config::default() });
    world.publish("lwm2m/nobody/dn/dm", &envelope("", "read", r#"{"path":"/3/0/0"}"#));
    assert!(world.heard().is_empty());
    let mut device = Device::new(1);
    device.register(&mut world, &["ep=m1"], "</3/0>");
    world.heard();
    world.publish("lwm2m/m1/dn/dm", &envelope("", "read", r#"{"path":"/x"}"#));
    assert_eq!(world.on("lwm2m/m1/up/resp").len(), 1, "who is here is answered");
    world.publish("lwm2m/nobody/dn/dm", "{oops");
    assert_eq!(world.on("lwm2m/nobody/up/resp").len(), 0, "whoever has it will say that");
}

#[test]
fn t_observe() {
    let mut bench = detailed();
    let value = r#"{"path":"/3/0/9","value":5,"name":"Battery Level","type":"Integer","units":"%"}"#;
    let shown = content("/3/0/9", value);
    let reply = Reply::text("5");
    let data = r#"{"path":"/3/0/9"}"#;
    bench.ask("observe", data, "GET /3/0/9 accept 11542 observe 0", &reply.clone().observed(1), &shown);
    // Again is the same observation, and a cancel ends it.
    bench.ask("observe", data, "GET /3/0/9 accept 11542 observe 0", &reply.clone().observed(2), &shown);
    assert_eq!(bench.world.server.coap_counters().observations, 1);
    bench.ask("cancel-observe", data, "GET /3/0/9 accept 11542 observe 1", &reply, &shown);
    assert_eq!(bench.world.server.coap_counters().observations, 0);
}

#[test]
fn t_read() {
    let mut bench = Bench::new("</3/0>");
    let shown = content("3/0/0", &item("/3/0/0", r#""x""#));
    bench.ask("read", r#"{"path":"3/0/0"}"#, "GET /3/0/0 accept 11542", &Reply::text("x"), &shown);
}

#[test]
fn t_write() {
    Bench::new("</3/0>").ask(
        "write",
        r#"{"path":"/3/0/13","type":"Integer","value":"1"}"#,
        "PUT /3/0/13 cf 11542 [C1 0D 01]",
        &changed(),
        &code("/3/0/13", "2.04", "changed"),
    );
}

/// A client of the interface sees at once that a device rejects what it asks.
#[test]
fn t_read_of_a_device_that_is_gone() {
    let mut bench = Bench::new("</3/0>");
    bench.device.deregister(&mut bench.world);
    bench.answers();
    bench.send(&envelope("", "read", r#"{"path":"/3/0/0"}"#));
    assert!(bench.device.serve(&mut bench.world, |_| Does::Silence).is_empty());
    assert!(bench.answers()[0].contains(r#""code":"4.04""#));
}
