//! Scenarios across protocols: MQTT clients and devices at one broker, in virtual time.
#![allow(clippy::disallowed_methods)]
use broker_core::link::FrontendId;
use sn_proto::{Config, SnGateway};
use std::net::SocketAddr;
use std::time::Duration;
use turnstone_tests::sim::mqtt::world;
use turnstone_tests::sim::net::Weather;
use turnstone_tests::sim::packet::{self, Connect, Publish};
use turnstone_tests::sim::rng::{SeedGuard, seed};
use turnstone_tests::sim::sn_device::{SnDevice, Step};
use turnstone_tests::sim::world::World;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn gateway() -> SocketAddr {
    address("127.0.0.1:1884")
}

/// A world with an MQTT-SN gateway.
fn sn_world(seed: u64) -> World {
    let mut world = world(seed);
    let gateway_config = Config { advertise_duration: 0, ..Config::default() };
    world.add_frontend(FrontendId::MqttSn, gateway(), Box::new(SnGateway::new(gateway_config, 0, seed)));
    world
}

/// Lets `time` pass while these devices act. The world also stops where a device has something to do.
fn pass(world: &mut World, time: Duration, devices: &mut [SnDevice]) {
    let end = world.now.instant + time;
    for _ in 0..1_000_000 {
        devices.iter_mut().for_each(|device| device.act(world));
        let next = devices.iter().filter_map(SnDevice::next_timeout).min().unwrap_or(end).min(end);
        let step = next.saturating_since(world.now.instant).max(Duration::from_millis(1));
        world.pass_with(step, |world| devices.iter_mut().for_each(|device| device.act(world)));
        if world.now.instant >= end {
            return;
        }
    }
    panic!("the devices never rest");
}

fn pass_until_done(world: &mut World, limit: Duration, devices: &mut [SnDevice]) {
    let end = world.now.instant + limit;
    while !devices.iter().all(SnDevice::is_done) {
        assert!(world.now.instant < end, "not done within {limit:?}: {devices:?}");
        pass(world, Duration::from_secs(1), devices);
    }
}

#[test]
fn a_sensor_and_an_mqtt_client_hear_each_other() {
    let mut world = sn_world(1);
    let client = world.connect(&Connect::new("dashboard"));
    world.subscribe(client, &[("up/#", 1)]);
    let mut devices = [SnDevice::new("sensor", address("127.0.1.1:4000"), gateway())];
    devices[0].then([
        Step::Connect(true, 60),
        Step::Subscribe("down/sensor", 1),
        Step::Register("up/temp"),
        Step::Publish("21.5".into()),
    ]);
    pass_until_done(&mut world, Duration::from_secs(5), &mut devices);
    world.send(client, &Publish::new("down/sensor", "faster", 1, 9).bytes());
    pass(&mut world, Duration::from_secs(1), &mut devices);
    let heard = world.messages(client);
    assert_eq!(
        heard.iter().map(|m| (m.topic.as_str(), m.payload.as_slice())).collect::<Vec<_>>(),
        [("up/temp", b"21.5".as_slice())]
    );
    assert_eq!(devices[0].received, [("down/sensor".to_owned(), "faster".to_owned())]);
}

#[test]
fn in_a_storm_every_qos_1_message_arrives_both_ways() {
    for run in 0..40 {
        let number = seed(run);
        let _guard = SeedGuard(number);
        let mut world = sn_world(number);
        let client = world.connect(&Connect::new("dashboard").persistent());
        world.subscribe(client, &[("up/#", 1)]);
        let mut devices = [SnDevice::new("sensor", address("127.0.1.1:4000"), gateway())];
        // Clean=0: a copy of CONNECT that the storm holds back must not end the session.
        devices[0].then([
            Step::Connect(false, 120),
            Step::Subscribe("down/sensor", 1),
            Step::Register("up/temp"),
        ]);
        pass_until_done(&mut world, Duration::from_secs(60), &mut devices);
        world.net.set_weather(Weather::STORM);
        devices[0].then((0..20).map(|n| Step::Publish(n.to_string())));
        for n in 0..20u16 {
            world.send(client, &Publish::new("down/sensor", &n.to_string(), 1, n + 1).bytes());
        }
        pass_until_done(&mut world, Duration::from_secs(3600), &mut devices);
        pass(&mut world, Duration::from_secs(600), &mut devices);
        // What the gateway has given up is tried again at the next CONNECT.
        world.net.set_weather(Weather::CLEAR);
        devices[0].then([Step::Connect(false, 120)]);
        pass_until_done(&mut world, Duration::from_secs(60), &mut devices);
        pass(&mut world, Duration::from_secs(60), &mut devices);
        let up: Vec<String> =
            world.messages(client).iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect();
        let down: Vec<&str> = devices[0].received.iter().map(|(_, payload)| payload.as_str()).collect();
        for n in 0..20 {
            let n = n.to_string();
            assert!(up.contains(&n), "up {n} is missing: {up:?}");
            assert!(down.contains(&n.as_str()), "down {n} is missing: {down:?}");
        }
        assert!(world.net.stats.lost > 0 && devices[0].repeats > 0, "it was a storm: {:?}", world.net.stats);
    }
}

#[test]
fn a_sleeper_collects_from_another_port_what_mqtt_clients_sent_meanwhile() {
    let mut world = sn_world(3);
    let client = world.connect(&Connect::new("dashboard"));
    let mut devices = [SnDevice::new("sleeper", address("127.0.1.1:4000"), gateway())];
    devices[0].then([Step::Connect(true, 60), Step::Subscribe("down/#", 1), Step::Sleep(300)]);
    pass_until_done(&mut world, Duration::from_secs(5), &mut devices);
    for (n, payload) in ["one", "two", "three"].iter().enumerate() {
        world.send(client, &Publish::new("down/x", payload, 1, n as u16 + 1).bytes());
    }
    pass(&mut world, Duration::from_secs(100), &mut devices);
    assert!(devices[0].received.is_empty(), "asleep");
    devices[0].move_to(address("127.0.1.1:5000"));
    devices[0].then([Step::Wake]);
    pass_until_done(&mut world, Duration::from_secs(60), &mut devices);
    let payloads: Vec<&str> = devices[0].received.iter().map(|(_, payload)| payload.as_str()).collect();
    assert_eq!(payloads, ["one", "two", "three"]);
    assert_eq!(devices[0].pingresps, 1, "PINGRESP once, at the end");
}

#[test]
fn one_client_id_is_one_session_whatever_it_speaks() {
    let mut world = sn_world(4);
    let mut devices = [SnDevice::new("both", address("127.0.1.1:4000"), gateway())];
    devices[0].then([Step::Connect(false, 60), Step::Subscribe("t", 1), Step::Disconnect]);
    pass_until_done(&mut world, Duration::from_secs(5), &mut devices);
    let publisher = world.connect(&Connect::new("p"));
    world.send(publisher, &Publish::new("t", "kept", 1, 1).bytes());
    let moved = world.open();
    world.send(moved, &Connect::new("both").persistent().bytes());
    let messages = world.messages(moved);
    assert_eq!(messages.len(), 1, "the subscription and its queue moved along: {messages:?}");
    assert_eq!(messages[0].payload, b"kept");
    world.send(moved, &packet::DISCONNECT);
}
