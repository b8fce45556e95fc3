//! Registration over the wire: the matrix, duplicates, moves, restarts, and the links between session and device.
use super::world::{Device, Does, Reply, World, address};
use crate::server::{Config, NewAddress, UpdateEvents};
use broker_core::QoS;
use coap_lite::RequestType;
use std::time::Duration;

fn register(query: &[&str], links: &[u8]) -> String {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let answer = device.ask(&mut world, RequestType::Post, "/rd", query, links);
    let code = answer.code();
    let heard = world.heard();
    assert_eq!(code == "2.01", !heard.is_empty(), "{query:?}: who is refused is not spoken of: {heard:?}");
    assert_eq!(code == "2.01", world.server.devices() == 1);
    code
}

#[test]
fn the_registration_matrix() {
    let links = b"</3/0>";
    for (query, code) in [
        (&["ep=a", "lt=60", "lwm2m=1"][..], "2.01"),
        (&["ep=a", "lwm2m=1.0"], "2.01"),
        (&["ep=a", "lwm2m=1.1"], "2.01"),
        (&["ep=a", "lwm2m=1.2"], "2.01"),
        (&["ep=a"], "2.01"),
        (&["ep=a", "lt=0"], "2.01"),
        (&["ep=a", "lt=99999999999999999999"], "2.01"),
        (&["ep=a", "b=UQ"], "2.01"),
        (&["ep=a", "Q"], "2.01"),
        (&["ep=a", "foo=bar"], "2.01"),
        (&["ep=a", "lwm2m=8.3"], "4.12"),
        (&["ep=a", "lwm2m=x"], "4.00"),
        (&["lt=60"], "4.00"),
        (&[], "4.00"),
        (&["ep=a", "foo"], "4.00"),
        (&["ep=a", "ep=b"], "4.00"),
        (&["ep=a", "lt=-1"], "4.00"),
        (&["ep=a", "lt=abc"], "4.00"),
        (&["ep=a", "lt=1", "lt=2"], "4.00"),
        (&["ep="], "4.00"),
        (&["ep=+/#"], "4.00"),
        (&["ep=a/b"], "4.00"),
        (&["ep=a\0b"], "4.00"),
        (&["ep=.."], "4.00"),
        (&["ep=$SYS"], "4.00"),
        (&["ep=a\r\n"], "4.00"),
        (&["ep=a\u{202e}b"], "4.00"),
    ] {
        assert_eq!(register(query, links), code, "{query:?}");
    }
    for (links, code) in [
        (&b""[..], "4.00"),
        (b"<<<>>>,,;;", "4.00"),
        (b"</1/0", "4.00"),
        (b"</99999999/1>", "4.00"),
        (b"</>;rt=\"oma.lwm2m\"", "4.00"),
        (b"</>;rt=\"oma.lwm2m\";ct=\"110 112\", </3/0> ,</5>;ver=\"1.1\"", "2.01"),
    ] {
        assert_eq!(register(&["ep=a"], links), code, "{}", String::from_utf8_lossy(links));
    }
}

/// L18.
#[test]
fn the_same_register_datagram_twenty_times_is_one_registration_with_one_answer() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let packet = device.packet(RequestType::Post, "/rd", &["ep=m1"], b"</3/0>");
    let first = device.send(&mut world, &packet);
    for _ in 0..19 {
        let again = device.send(&mut world, &packet);
        assert_eq!(again.packet.to_bytes().unwrap(), first.packet.to_bytes().unwrap());
    }
    assert_eq!(world.server.devices(), 1);
    let events = world.heard().into_iter().filter(|heard| heard.topic.ends_with("event")).count();
    assert_eq!(events, 1);
}

/// RFC 7252 §5.10.8: a condition that does not hold is no Register.
#[test]
fn conditions_that_do_not_hold_are_refused() {
    for (option, value, code) in [
        (coap_lite::CoapOption::IfMatch, &b""[..], "2.01"),
        (coap_lite::CoapOption::IfMatch, b"etag", "4.12"),
        (coap_lite::CoapOption::IfNoneMatch, b"", "4.12"),
    ] {
        let mut world = World::new();
        let mut device = Device::new(56830);
        let mut packet = device.packet(RequestType::Post, "/rd", &["ep=m1"], b"</3/0>");
        packet.add_option(option, value.to_vec());
        assert_eq!(device.send(&mut world, &packet).code(), code, "{option:?}");
        assert_eq!(world.server.devices(), usize::from(code == "2.01"));
    }
}

#[test]
fn registering_again_gives_a_new_location_and_the_old_one_is_nobodys() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1"], "</3/0>");
    let old = device.location.clone();
    device.register(&mut world, &["ep=m1"], "</3/0>");
    assert_ne!(old, device.location);
    assert_eq!(device.ask(&mut world, RequestType::Post, &old, &[], b"").code(), "4.04");
    assert_eq!(device.update(&mut world, &[], "").code(), "2.04");
    assert_eq!(world.server.devices(), 1);
}

#[test]
fn a_register_from_elsewhere_takes_the_device_along_and_its_command_too() {
    let mut world = World::new();
    let mut old = Device::new(1111);
    old.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
    assert_eq!(world.inbox(old.at).len(), 1);
    let mut new = Device::new(2222);
    new.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    let asked = new.serve(&mut world, |_| Does::Answer(Reply::text("x")));
    assert_eq!(asked, ["GET /3/0/0 accept 112"]);
    assert_eq!(world.on("lwm2m/m1/response").len(), 1);
    world.pass(Duration::from_secs(100));
    assert!(world.on("lwm2m/m1/response").is_empty(), "nothing of the old exchange is left");
}

#[test]
fn an_update_from_another_address_moves_the_device_or_not_by_policy() {
    for (policy, code) in [(NewAddress::Accept, "2.04"), (NewAddress::Refuse, "4.04")] {
        let mut world = World::with(Config { new_address: policy, ..Config::default() });
        let mut device = Device::new(1111);
        device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
        device.at = address(2222);
        assert_eq!(device.update(&mut world, &[], "").code(), code);
        world.publish("lwm2m/m1/command", r#"{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}"#);
        let there = !world.inbox(address(2222)).is_empty();
        assert_eq!(there, policy == NewAddress::Accept);
    }
}

#[test]
fn an_update_says_only_what_has_changed_and_the_event_says_all() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lt=300", "lwm2m=1.0", "foo=bar"], "</1/0>,</3/0>");
    let update = |world: &mut World, device: &mut Device, query: &[&str], links: &str| {
        world.heard();
        assert_eq!(device.update(world, query, links).code(), "2.04");
        world.on("lwm2m/m1/up/resp").remove(0)
    };
    let told = update(&mut world, &mut device, &[], "");
    assert!(
        told.contains(
            r#""lt":300,"lwm2m":"1.0","foo":"bar","alternatePath":"/","objectList":["/1/0","/3/0"]"#
        )
    );
    let told = update(&mut world, &mut device, &["lt=0"], "</3/0>,</5/0>");
    assert!(told.contains(r#""lt":0"#) && told.contains(r#""objectList":["/3/0","/5/0"]"#), "{told}");
    let told = update(&mut world, &mut device, &["b=UQ", "password=x"], "");
    assert!(told.contains(r#""b":"UQ""#) && !told.contains("password"), "{told}");
    for bad in [&["lt=x"][..], &["lt=1", "lt=1"]] {
        assert_eq!(device.update(&mut world, bad, "").code(), "4.00");
    }
    assert_eq!(device.update(&mut world, &[], "nonsense").code(), "4.00");
}

#[test]
fn emqx_may_want_to_hear_of_updates_with_objects_only() {
    let config = Config { update_events: UpdateEvents::ContainsObjectList, ..Config::default() };
    let mut world = World::with(config);
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1"], "</3/0>");
    world.heard();
    device.update(&mut world, &["lt=60"], "");
    assert!(world.on("lwm2m/m1/up/resp").is_empty());
    device.update(&mut world, &[], "</3/0>");
    assert_eq!(world.on("lwm2m/m1/up/resp").len(), 1);
}

#[test]
fn a_cut_lifetime_shows_both_numbers() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lt=4000000000"], "</3/0>");
    let events = world.on("lwm2m/m1/event");
    assert!(events[0].contains(r#""lt":2592000,"ltAsked":4000000000"#), "{events:?}");
}

#[test]
fn lifetime_0_never_ends() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lt=0"], "</3/0>");
    world.pass(Duration::from_secs(100 * 86_400));
    assert_eq!(device.update(&mut world, &[], "").code(), "2.04");
}

#[test]
fn a_register_in_blocks_is_one_register() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    let links: Vec<String> = (0..60).map(|n| format!("</{}/0>", 10_000 + n)).collect();
    let links = links.join(",");
    let blocks: Vec<&[u8]> = links.as_bytes().chunks(512).collect();
    for (number, block) in blocks.iter().enumerate() {
        let mut packet = device.packet(RequestType::Post, "/rd", &["ep=m1"], block);
        let more = number + 1 < blocks.len();
        let value = (number << 4 | usize::from(more) << 3 | 5) as u8;
        packet.add_option(coap_lite::CoapOption::Block1, vec![value]);
        let answer = device.send(&mut world, &packet);
        assert_eq!(answer.code(), if more { "2.31" } else { "2.01" });
    }
    assert!(world.on("lwm2m/m1/up/resp")[0].contains(r#""/10059/0"]"#));
}

/// L19: a storm of new names is slowed down, and those who are there stay served.
#[test]
fn a_storm_of_registers_is_limited_and_others_are_served() {
    let config = Config { registers_per_second: (100, 50), ..Config::default() };
    let mut world = World::with(config);
    let mut steady = Device::new(9);
    steady.register(&mut world, &["ep=steady"], "</3/0>");
    let mut refused = 0;
    for n in 0..200 {
        let mut device = Device::new(10_000 + n);
        let name = format!("ep=d{n}");
        let answer = device.ask(&mut world, RequestType::Post, "/rd", &[&name], b"</3/0>");
        if answer.code() == "5.03" {
            assert_eq!(answer.number(coap_lite::CoapOption::MaxAge), Some(10));
            refused += 1;
        }
    }
    assert_eq!(refused, 200 - 49);
    assert_eq!(steady.update(&mut world, &["lt=5"], "").code(), "2.04");
}

#[test]
fn too_many_devices_are_told_to_come_later() {
    let mut world = World::with(Config { devices_max: 1, ..Config::default() });
    let mut first = Device::new(1);
    first.register(&mut world, &["ep=a"], "</3/0>");
    let mut second = Device::new(2);
    let answer = second.ask(&mut world, RequestType::Post, "/rd", &["ep=b"], b"</3/0>");
    assert_eq!(answer.code(), "5.03");
    first.register(&mut world, &["ep=a"], "</3/0>");
    first.deregister(&mut world);
    second.register(&mut world, &["ep=b"], "</3/0>");
}

#[test]
fn a_device_that_comes_back_after_deregistering_starts_anew() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    world.publish("lwm2m/m1/dn", r#"{"reqID":1,"msgType":"observe","data":{"path":"/3/0/9"}}"#);
    device.serve(&mut world, |_| Does::Answer(Reply::text("5").observed(1)));
    device.deregister(&mut world);
    world.heard();
    device.register(&mut world, &["ep=m1", "lwm2m=1.1"], "</3/0>");
    assert!(device.serve(&mut world, |_| Does::Silence).is_empty(), "what was observed is forgotten");
    let mut restarted = world.restarted(Config::default());
    assert_eq!(device.update(&mut restarted, &[], "").code(), "2.04");
}

#[test]
fn who_is_refused_and_who_comes_and_goes_is_in_the_log() {
    let mut world = World::new();
    let mut device = Device::new(56830);
    device.ask(&mut world, RequestType::Post, "/rd", &["ep=m\u{1}1", "lwm2m=1.0"], b"</3/0>");
    device.ask(&mut world, RequestType::Post, "/rd", &["ep=m1", "lwm2m=1.x"], b"</3/0>");
    device.ask(&mut world, RequestType::Post, "/rd/0000000000", &[], b"");
    let lines = std::mem::take(&mut world.notices);
    assert!(lines[0].starts_with("m\u{fffd}1 registration refused with 4.00: ep"), "{lines:?}");
    assert!(lines[1].starts_with("m1 registration refused with 4.00: lwm2m"), "{lines:?}");
    assert_eq!(lines[2..], ["- update of an unknown registration refused with 4.04"]);
    device.register(&mut world, &["ep=m1", "lt=60"], "</3/0>");
    device.at = address(56831);
    device.update(&mut world, &[], "");
    device.deregister(&mut world);
    assert_eq!(
        world.notices,
        [
            "m1 registered 192.0.2.7:56830",
            "m1 moved to this address 192.0.2.7:56831",
            "m1 deregistered 192.0.2.7:56831"
        ]
    );
}

#[test]
fn each_topic_has_the_qos_that_is_set() {
    let mut config = Config::default();
    config.topics.register.qos = QoS::ExactlyOnce;
    config.topics.event.qos = QoS::AtLeastOnce;
    config.topics.status.qos = QoS::AtMostOnce;
    let mut world = World::with(config);
    Device::new(56830).register(&mut world, &["ep=m1"], "</3/0>");
    let mut heard: Vec<(String, QoS)> =
        world.heard().into_iter().map(|heard| (heard.topic, heard.qos)).collect();
    heard.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        heard,
        [
            ("lwm2m/m1/event".to_owned(), QoS::AtLeastOnce),
            ("lwm2m/m1/status".to_owned(), QoS::AtMostOnce),
            ("lwm2m/m1/up/resp".to_owned(), QoS::ExactlyOnce),
        ]
    );
}
