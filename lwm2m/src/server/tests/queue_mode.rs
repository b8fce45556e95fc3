//! Queue mode: commands wait for a sleeper and reach it one at a time, or their time ends.
use super::world::{Device, Does, Reply, World};
use crate::server::{AwakeWindows, Config};
use std::time::Duration;

const A: &str = "lwm2m/m1/command";

fn sleeper(query: &[&str]) -> (World, Device) {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, query, "</1/0>,</3/0>");
    world.pass(Duration::from_secs(94));
    let events = world.on("lwm2m/m1/event");
    assert!(events.last().unwrap().contains(r#""event":"asleep""#), "{events:?}");
    (world, device)
}

fn read(id: u32) -> String {
    format!(r#"{{"CmdID":{id},"Command":"Read","BaseName":"/3/0/{id}"}}"#)
}

#[test]
fn commands_wait_for_a_sleeper_and_are_delivered_in_order_on_update() {
    for query in [
        &["ep=m1", "lwm2m=1.0", "b=UQ"][..],
        &["ep=m1", "lwm2m=1.1", "Q"],
        &["ep=m1", "lwm2m=1.0", "apn=psmA.eDRX0.ctnb"],
    ] {
        let (mut world, mut device) = sleeper(query);
        for id in 1..=3 {
            world.publish(A, &read(id));
        }
        assert!(world.inbox(device.at).is_empty());
        let queued = world.on("lwm2m/m1/event");
        assert_eq!(queued.len(), 3);
        assert!(queued[2].contains(r#""id":3,"state":"queued","waiting":3"#), "{queued:?}");
        assert_eq!(device.update(&mut world, &[], "").code(), "2.04");
        let first = world.inbox(device.at);
        assert_eq!(first.len(), 1, "one at a time");
        device.do_with(&mut world, &first[0], Does::Answer(Reply::text("x")));
        let rest = device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
        assert_eq!(rest.len(), 2);
        let answers: Vec<String> = world.on("lwm2m/m1/response");
        let ids: Vec<&str> = answers.iter().map(|answer| &answer[9..10]).collect();
        assert_eq!(ids, ["1", "2", "3"]);
    }
}

#[test]
fn a_bad_command_for_a_sleeper_is_answered_at_once() {
    let (mut world, _device) = sleeper(&["ep=m1", "lwm2m=1.1", "Q"]);
    world.publish(A, r#"{"CmdID":1,"Command":"Read","BaseName":"/x"}"#);
    assert_eq!(world.on("lwm2m/m1/response").len(), 1);
}

#[test]
fn a_command_whose_time_ends_is_answered_and_never_run() {
    let (mut world, mut device) = sleeper(&["ep=m1", "lwm2m=1.1", "Q"]);
    world.publish(A, r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0","TTL":1}"#);
    world.publish(A, r#"{"CmdID":2,"Command":"Read","BaseName":"/3/0/0","TTL":600}"#);
    world.heard();
    world.pass(Duration::from_secs(2));
    let heard = world.heard();
    let answers: Vec<&str> =
        heard.iter().filter(|h| h.topic == "lwm2m/m1/response").map(|h| &*h.payload).collect();
    assert_eq!(
        answers,
        [
            r#"{"CmdID":1,"Command":"Read","Error":"Timeout","Reason":"its time was over before the device could be reached"}"#
        ]
    );
    assert!(heard.iter().any(|h| h.payload.contains(r#""id":1,"state":"expired""#)));
    device.update(&mut world, &[], "");
    assert_eq!(device.serve(&mut world, |_| Does::Answer(Reply::text("x"))).len(), 1);
}

#[test]
fn ttl_0_is_sent_at_once_to_who_listens_and_refused_for_a_sleeper() {
    let command = r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0","TTL":0}"#;
    let (mut world, mut device) = sleeper(&["ep=m1", "lwm2m=1.1", "Q"]);
    world.publish(A, command);
    assert!(world.on("lwm2m/m1/response")[0].contains(r#""Error":"Timeout""#));
    device.update(&mut world, &[], "");
    world.publish(A, command);
    device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
    assert_eq!(world.on("lwm2m/m1/response").len(), 1);
}

#[test]
fn any_message_keeps_the_device_awake_for_another_window() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1", "Q"], "</3/0>");
    world.pass(Duration::from_secs(90));
    device.update(&mut world, &[], "");
    world.pass(Duration::from_secs(90));
    assert!(!world.on("lwm2m/m1/event").iter().any(|event| event.contains("asleep")));
    world.pass(Duration::from_secs(4));
    assert!(world.on("lwm2m/m1/event").iter().any(|event| event.contains("asleep")));
}

#[test]
fn a_device_may_have_an_awake_window_of_its_own() {
    let mut awake_windows = AwakeWindows::default();
    awake_windows.add("m1", 5_000);
    awake_windows.add("m*", 20_000);
    let mut world = World::with(Config { awake_windows, ..Config::default() });
    for (number, name) in [(1, "m1"), (2, "m2"), (3, "x1")] {
        let ep = format!("ep={name}");
        Device::new(56830 + number).register(&mut world, &[&ep, "lwm2m=1.1", "Q"], "</3/0>");
    }
    let mut asleep = Vec::new();
    for second in 1..100 {
        world.pass(Duration::from_secs(1));
        let heard = world.heard();
        let sleeps = heard.iter().filter(|heard| heard.payload.contains(r#""event":"asleep""#));
        asleep.extend(sleeps.map(|heard| (heard.topic.clone(), second)));
    }
    let at = |name: &str| {
        let topic = format!("lwm2m/{name}/event");
        asleep.iter().find(|(heard, _)| *heard == topic).map(|(_, second)| *second)
    };
    // The wheel's tick is a second.
    assert!(
        matches!((at("m1"), at("m2"), at("x1")), (Some(5..=6), Some(20..=21), Some(93..=94))),
        "{asleep:?}"
    );
}

#[test]
fn no_acknowledgement_within_the_window_puts_the_command_back_to_the_head() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1", "Q", "lt=86400"], "</3/0>");
    world.publish(A, &read(1));
    world.publish(A, &read(2));
    world.pass(Duration::from_secs(94));
    assert!(world.on("lwm2m/m1/response").is_empty(), "it sleeps; the command waits");
    world.inbox(device.at);
    device.update(&mut world, &[], "");
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("GET /3/0/1 ") && asked[1].starts_with("GET /3/0/2 "), "{asked:?}");
}

#[test]
fn what_may_have_run_is_not_repeated() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1", "Q", "lt=86400"], "</3/0>");
    world.publish(A, r#"{"CmdID":1,"Command":"Execute","BaseName":"/3/0/4"}"#);
    world.pass(Duration::from_secs(94));
    let answers = world.on("lwm2m/m1/response");
    assert!(answers.len() == 1 && answers[0].contains(r#""Error":"Timeout""#), "{answers:?}");
    world.inbox(device.at);
    device.update(&mut world, &[], "");
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty());
}

#[test]
fn commands_for_a_sleeper_survive_a_restart() {
    let (mut before, mut device) = sleeper(&["ep=m1", "lwm2m=1.1", "Q", "lt=86400"]);
    before.publish(A, &read(1));
    before.publish_as(A, read(2).as_bytes(), broker_core::QoS::AtMostOnce, false);
    let mut world = before.restarted(Config::default());
    device.update(&mut world, &[], "");
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(world.on("lwm2m/m1/response").len(), 2);
}

/// L30: exactly one final answer each.
#[test]
fn ten_thousand_commands_for_a_sleeper_get_one_answer_each() {
    let (mut world, mut device) = sleeper(&["ep=m1", "lwm2m=1.1", "Q", "lt=86400"]);
    for id in 0..10_000 {
        world.publish(A, &format!(r#"{{"CmdID":{id},"Command":"Read","BaseName":"/3/0/0","TTL":60}}"#));
    }
    let full = world.on("lwm2m/m1/response");
    assert!(full.len() > 8_000, "{}", full.len());
    assert!(full.iter().all(|answer| answer.contains(r#""Error":"Service Unavailable""#)));
    world.pass(Duration::from_secs(61));
    let expired = world.on("lwm2m/m1/response");
    assert_eq!(full.len() + expired.len(), 10_000);
    device.update(&mut world, &[], "");
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty());
}
