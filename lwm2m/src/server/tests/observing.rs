//! Observe, notifications to every asker, Cancel, and observations that outlive a Register and a restart.
use super::world::{Device, Does, Reply, Seen, World};
use crate::server::{AutoObserve, Config};

fn registered(config: Config, links: &str) -> (World, Device) {
    let mut world = World::with(config);
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lt=86400", "lwm2m=1.1"], links);
    (world, device)
}

const OBSERVE_A: &str = r#"{"CmdID":10,"Command":"Observe","BaseName":"/3/0/9"}"#;
const OBSERVE_B: &str = r#"{"reqID":1e1,"msgType":"observe","data":{"path":"/3/0/9"}}"#;

fn observe(world: &mut World, device: &mut Device, topic: &str, command: &str) -> Vec<u8> {
    let mut token = Vec::new();
    world.publish(topic, command);
    device.serve(world, |seen: &Seen| {
        token = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text("100").observed(5))
    });
    token
}

#[test]
fn a_notification_goes_to_every_topic_that_asked_with_its_own_id() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    let token = observe(&mut world, &mut device, "lwm2m/m1/command", OBSERVE_A);
    assert_eq!(
        world.on("lwm2m/m1/response"),
        [r#"{"CmdID":10,"Command":"Observe","Result":{"bn":"/3/0/9","e":[{"v":100}]}}"#]
    );
    let again = observe(&mut world, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    assert_eq!(token, again, "one observation for one path");
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [
            r#"{"reqID":1e1,"msgType":"observe","data":{"reqPath":"/3/0/9","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":100}]}}"#
        ]
    );
    device.notify(&mut world, &token, &Reply::text("99").observed(12));
    let heard: Vec<(String, String)> =
        world.heard().into_iter().map(|heard| (heard.topic, heard.payload)).collect();
    let to_a = r#"{"CmdID":10,"Command":"Observe","Result":{"bn":"/3/0/9","e":[{"v":99}]}}"#;
    let to_b = r#"{"reqID":1e1,"msgType":"notify","seqNum":12,"data":{"reqPath":"/3/0/9","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":99}]}}"#;
    assert_eq!(
        heard,
        [
            ("lwm2m/m1/response".to_owned(), to_a.to_owned()),
            ("lwm2m/m1/up/notify".to_owned(), to_b.to_owned())
        ]
    );
}

/// Two endpoints behind one socket, as simulators and gateways of another kind have them.
#[test]
fn notifications_of_two_devices_at_one_address_go_to_their_own_askers() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let mut tokens = Vec::new();
    for name in ["a", "b"] {
        device.register(&mut world, &[&format!("ep={name}"), "lwm2m=1.1"], "</3/0>");
        world.publish(
            &format!("lwm2m/{name}/dn"),
            &format!(r#"{{"reqID":"{name}","msgType":"observe","data":{{"path":"/3/0/9"}}}}"#),
        );
        device.serve(&mut world, |seen: &Seen| {
            tokens.push(seen.packet.get_token().to_vec());
            Does::Answer(Reply::text("100").observed(5))
        });
    }
    let check = |world: &mut World, device: &mut Device, sequence| {
        for (name, token) in ["a", "b"].iter().zip(&tokens) {
            world.heard();
            device.notify(world, token, &Reply::text("99").observed(sequence));
            let heard = world.heard();
            assert_eq!(heard.len(), 1, "{name}");
            assert_eq!(heard[0].topic, format!("lwm2m/{name}/up/notify"));
            assert!(heard[0].payload.starts_with(&format!(r#"{{"reqID":"{name}""#)), "{heard:?}");
        }
    };
    check(&mut world, &mut device, 6);
    check(&mut world.restarted(Config::default()), &mut device, 7);
    // The end of one leaves what is done with the other alone.
    world.publish("lwm2m/a/dn", r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#);
    assert_eq!(world.inbox(device.at).len(), 1);
    world.publish("lwm2m/b/dn", r#"{"reqID":1,"msgType":"deregister","data":{}}"#);
    world.pass(std::time::Duration::from_secs(20));
    world.heard();
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("x")));
    assert!(!asked.is_empty());
    assert_eq!(world.on("lwm2m/a/up/resp").len(), 1);
}

#[test]
fn the_device_hears_of_a_cancel_when_the_last_asker_goes() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    let token = observe(&mut world, &mut device, "lwm2m/m1/command", OBSERVE_A);
    observe(&mut world, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    world.heard();
    world.publish("lwm2m/m1/command", r#"{"CmdID":11,"Command":"Cancel-Observe","BaseName":"/3/0/9"}"#);
    let asked = device.serve(&mut world, |_| Does::Answer(Reply::text("98")));
    assert_eq!(asked, ["GET /3/0/9 accept 112"], "others still observe: only a read");
    assert_eq!(
        world.on("lwm2m/m1/response"),
        [r#"{"CmdID":11,"Command":"Cancel-Observe","Result":{"bn":"/3/0/9","e":[{"v":98}]}}"#]
    );
    device.notify(&mut world, &token, &Reply::text("97").observed(20));
    let topics: Vec<String> = world.heard().into_iter().map(|heard| heard.topic).collect();
    assert_eq!(topics, ["lwm2m/m1/up/notify"]);
    world.publish("lwm2m/m1/dn", r#"{"reqID":11,"msgType":"cancel-observe","data":{"path":"/3/0/9"}}"#);
    let mut cancelled_with = Vec::new();
    let asked = device.serve(&mut world, |seen| {
        cancelled_with = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text("96"))
    });
    assert_eq!(asked, ["GET /3/0/9 accept 112 observe 1"]);
    assert_eq!(cancelled_with, token, "the observation's own token");
    assert_eq!(world.on("lwm2m/m1/up/resp").len(), 1);
    let rejected = device.notify(&mut world, &token, &Reply::text("95").observed(21));
    assert_eq!(rejected.len(), 1, "a late notification is rejected");
    assert!(world.heard().is_empty());
}

#[test]
fn a_cancel_that_is_answered_without_a_value_has_worked() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    observe(&mut world, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    world.heard();
    world.publish("lwm2m/m1/dn", r#"{"reqID":11,"msgType":"cancel-observe","data":{"path":"/3/0/9"}}"#);
    device.serve(&mut world, |_| Does::Answer(Reply::content(112, "")));
    assert_eq!(
        world.on("lwm2m/m1/up/resp"),
        [
            r#"{"reqID":11,"msgType":"cancel-observe","data":{"reqPath":"/3/0/9","code":"2.05","codeMsg":"content"}}"#
        ]
    );
}

#[test]
fn observations_are_issued_again_after_a_register_and_keep_their_ids() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    observe(&mut world, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    world.heard();
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    let mut token = Vec::new();
    let asked = device.serve(&mut world, |seen| {
        token = seen.packet.get_token().to_vec();
        Does::Answer(Reply::text("50").observed(1))
    });
    assert_eq!(asked, ["GET /3/0/9 accept 112 observe 0"]);
    let told = world.on("lwm2m/m1/up/notify");
    assert!(told[0].starts_with(r#"{"reqID":1e1,"msgType":"notify","seqNum":1,"#), "{told:?}");
    device.notify(&mut world, &token, &Reply::text("51").observed(2));
    assert_eq!(world.on("lwm2m/m1/up/notify").len(), 1);
}

#[test]
fn an_observation_that_the_device_refuses_to_take_up_again_is_gone_with_one_message() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    observe(&mut world, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.heard();
    device.serve(&mut world, |_| Does::Answer(Reply::code(4, 4)));
    let told = world.on("lwm2m/m1/up/notify");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains(r#""code":"4.04""#), "{told:?}");
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty(), "nothing is issued any more");
}

#[test]
fn notifications_after_a_restart_carry_the_same_id() {
    let (mut before, mut device) = registered(Config::default(), "</3/0>");
    let token = observe(&mut before, &mut device, "lwm2m/m1/dn", OBSERVE_B);
    let mut world = before.restarted(Config::default());
    device.notify(&mut world, &token, &Reply::text("42").observed(30));
    let told = world.on("lwm2m/m1/up/notify");
    assert!(told[0].starts_with(r#"{"reqID":1e1,"msgType":"notify","seqNum":30,"#), "{told:?}");
}

#[test]
fn an_error_from_the_device_ends_an_observation() {
    let (mut world, mut device) = registered(Config::default(), "</3/0>");
    let token = observe(&mut world, &mut device, "lwm2m/m1/command", OBSERVE_A);
    world.heard();
    device.notify(&mut world, &token, &Reply::code(4, 4));
    assert_eq!(world.on("lwm2m/m1/response"), [r#"{"CmdID":10,"Command":"Observe","Error":"Not Found"}"#]);
    let rejected = device.notify(&mut world, &token, &Reply::text("1").observed(9));
    assert_eq!(rejected.len(), 1);
    assert!(world.heard().is_empty());
}

#[test]
fn automatic_observations_run_one_after_the_other_without_an_id() {
    let links = "</1/0>,</3/0>,</3303/0>,</4>";
    let (mut world, mut device) =
        registered(Config { auto_observe: AutoObserve::All, ..Config::default() }, links);
    world.heard();
    let mut tokens = Vec::new();
    let asked = device.serve(&mut world, |seen| {
        assert!(!seen.packet.get_token().is_empty());
        tokens.push(seen.packet.get_token().to_vec());
        Does::Answer(Reply::content(110, r#"[{"bn":"/3303/0/","n":"5700","v":20.5}]"#).observed(1))
    });
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("GET /3/0 "), "{asked:?}");
    assert_eq!(asked[1], "GET /3303/0 accept 112 observe 0");
    let answers = world.on("lwm2m/m1/up/resp");
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(
        answers[1],
        r#"{"msgType":"observe","is_auto_observe":true,"data":{"reqPath":"/3303/0","code":"2.05","codeMsg":"content","content":[{"path":"/3303/0/5700","value":20.5}]}}"#
    );
    let reply = Reply::content(110, r#"[{"bn":"/3303/0/","n":"5700","v":21}]"#).observed(2);
    device.notify(&mut world, &tokens[1], &reply);
    assert_eq!(
        world.on("lwm2m/m1/up/notify"),
        [
            r#"{"msgType":"notify","seqNum":2,"is_auto_observe":true,"data":{"reqPath":"/3303/0","code":"2.05","codeMsg":"content","content":[{"path":"/3303/0/5700","value":21}]}}"#
        ]
    );
}
