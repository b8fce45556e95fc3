//! §3.12 PINGREQ, §3.14 DISCONNECT.
use super::*;
use turnstone_tests::sim::packet;

#[test]
fn mqtt_3_12_4_1_pingreq_is_answered() {
    let (mut world, client) = connected();
    world.send(client, &packet::PINGREQ);
    assert_eq!(world.received(client), [FromServer::Pingresp]);
}

#[test]
fn mqtt_3_14_1_1_disconnect_with_flags_is_a_violation() {
    for flags in 1..16u8 {
        let mut world = world(1);
        let watcher = world.connect(&Connect::new("watcher"));
        world.subscribe(watcher, &[("w", 0)]);
        let client = world.connect(&Connect::new("c").will("w", "m", 0, false));
        world.send(client, &[0xE0 | flags, 0]);
        assert_eq!(world.closed(client), Some(StreamClose::Protocol), "{flags}");
        assert_eq!(brief(&world.messages(watcher)), [pair("w", "m")], "so the will goes out");
    }
}

#[test]
fn mqtt_3_14_4_3_disconnect_discards_the_will() {
    let mut world = world(1);
    let watcher = world.connect(&Connect::new("watcher"));
    world.subscribe(watcher, &[("w", 0)]);
    let client = world.connect(&Connect::new("c").will("w", "m", 0, false));
    world.send(client, &packet::DISCONNECT);
    assert_eq!(world.closed(client), Some(StreamClose::Disconnected));
    world.cut(client);
    assert!(world.messages(watcher).is_empty());
}
