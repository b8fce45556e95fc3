//! §4.1 to §4.8: session state, QoS flows, order, errors.
use super::*;
use turnstone_tests::sim::mqtt::world_with;
use turnstone_tests::sim::packet;

fn ids_of(packets: &[FromServer]) -> Vec<u16> {
    packets.iter().filter_map(|p| if let FromServer::Publish(p) = p { Some(p.id) } else { None }).collect()
}

/// A persistent subscriber of `t` at QoS 2 with `count` unacknowledged deliveries of this QoS, and their ids.
fn with_deliveries(qos: u8, count: u16) -> (World, Client, Vec<u16>) {
    let mut world = world(1);
    let publisher = world.connect(&Connect::new("p"));
    let subscriber = world.connect(&Connect::new("s").persistent());
    world.subscribe(subscriber, &[("t", 2)]);
    for n in 1..=count {
        world.send(publisher, &Publish::new("t", &n.to_string(), qos, n).bytes());
        world.send(publisher, &packet::pubrel(n));
    }
    let packets = world.received(subscriber);
    let ids = ids_of(&packets);
    assert_eq!(ids.len(), usize::from(count));
    (world, subscriber, ids)
}

#[test]
fn mqtt_4_1_0_1_session_state_is_kept_while_the_connection_lasts() {
    let mut world = world_with(
        1,
        Limits { session_expiry: Some(std::time::Duration::from_secs(1)), ..Limits::default() },
    );
    let client = world.connect(&Connect::new("c").persistent());
    world.subscribe(client, &[("t", 1)]);
    world.pass(std::time::Duration::from_secs(3600));
    world.send(client, &Publish::new("t", "x", 1, 1).bytes());
    assert_eq!(world.messages(client).len(), 1);
}

#[test]
fn mqtt_4_1_0_2_session_lasts_at_least_as_long_as_its_connection() {
    let mut world = world_with(1, Limits { offline_sessions_max: 1, ..Limits::default() });
    let client = world.connect(&Connect::new("c"));
    world.subscribe(client, &[("t", 1)]);
    for n in 0..10 {
        let passing = world.connect(&Connect::new(&format!("passing{n}")).persistent());
        world.cut(passing);
    }
    world.send(client, &Publish::new("t", "x", 1, 1).bytes());
    assert_eq!(world.messages(client).len(), 1, "making room never costs an attached session");
}

#[test]
fn mqtt_4_3_1_1_qos_0_is_sent_once() {
    let mut world = world(1);
    let client = world.connect(&Connect::new("c").persistent());
    world.subscribe(client, &[("t", 0)]);
    world.send(client, &Publish::new("t", "x", 1, 1).bytes());
    assert_eq!(world.messages(client).len(), 1);
    world.cut(client);
    let again = world.connect(&Connect::new("c").persistent());
    assert!(world.messages(again).is_empty());
}

#[test]
fn mqtt_4_3_2_1_qos_1_is_resent_until_puback() {
    let (mut world, subscriber, ids) = with_deliveries(1, 2);
    world.send(subscriber, &packet::puback(ids[0]));
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    let resent = world.received(again);
    assert_eq!(ids_of(&resent), [ids[1]]);
    world.send(again, &packet::puback(ids[1]));
    world.cut(again);
    let third = world.connect(&Connect::new("s").persistent());
    assert!(world.received(third).is_empty(), "acknowledged for good");
}

#[test]
fn mqtt_4_3_2_2_qos_1_with_a_free_id_is_a_new_message() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("t", 0)]);
    for _ in 0..2 {
        world.send(client, &Publish::new("t", "same id", 1, 5).bytes());
    }
    let packets = world.received(client);
    assert_eq!(packets.iter().filter(|p| **p == FromServer::Puback(5)).count(), 2);
    assert_eq!(packets.iter().filter(|p| matches!(p, FromServer::Publish(_))).count(), 2);
}

#[test]
fn mqtt_4_3_3_1_qos_2_delivery_goes_publish_pubrel_and_frees_its_id_last() {
    let (mut world, subscriber, ids) = with_deliveries(2, 1);
    world.send(subscriber, &packet::pubrec(ids[0]));
    assert_eq!(world.received(subscriber), [FromServer::Pubrel(ids[0])]);
    // Between PUBREC and PUBCOMP nothing but PUBREL is sent for it, also after a reconnect.
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    assert_eq!(world.received(again), [FromServer::Pubrel(ids[0])]);
    world.send(again, &packet::pubcomp(ids[0]));
    world.cut(again);
    let third = world.connect(&Connect::new("s").persistent());
    assert!(world.received(third).is_empty());
}

#[test]
fn mqtt_4_3_3_2_qos_2_message_is_routed_once() {
    let mut world = world(1);
    let watcher = world.connect(&Connect::new("watcher"));
    world.subscribe(watcher, &[("t", 0)]);
    let client = world.connect(&Connect::new("c").persistent());
    let publish = Publish::new("t", "once", 2, 9);
    world.send(client, &publish.bytes());
    world.send(client, &publish.clone().dup().bytes());
    world.cut(client);
    let again = world.connect(&Connect::new("c").persistent());
    world.send(again, &publish.clone().dup().bytes());
    assert_eq!(world.received(again), [FromServer::Pubrec(9)]);
    world.send(again, &packet::pubrel(9));
    world.send(again, &packet::pubrel(9));
    assert_eq!(world.received(again), [FromServer::Pubcomp(9), FromServer::Pubcomp(9)]);
    assert_eq!(world.messages(watcher).len(), 1);
    world.send(again, &publish.bytes());
    world.send(again, &packet::pubrel(9));
    assert_eq!(world.messages(watcher).len(), 1, "after PUBREL the id is free for a new message");
}

#[test]
fn mqtt_4_4_0_1_unacknowledged_packets_are_resent_with_their_ids() {
    let (mut world, subscriber, ids) = with_deliveries(2, 3);
    world.send(subscriber, &packet::pubrec(ids[1]));
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    let resent = world.received(again);
    assert_eq!(ids_of(&resent), [ids[0], ids[2]]);
    assert!(resent.contains(&FromServer::Pubrel(ids[1])), "{resent:?}");
}

#[test]
fn mqtt_4_5_0_1_every_matching_session_gets_the_message() {
    let mut world = world(1);
    let publisher = world.connect(&Connect::new("p"));
    let online: Vec<Client> = (0..20).map(|n| world.connect(&Connect::new(&format!("on{n}")))).collect();
    for (n, client) in online.iter().enumerate() {
        world.subscribe(*client, &[(["t", "+", "#"][n % 3], 1)]);
    }
    let offline = world.connect(&Connect::new("off").persistent());
    world.subscribe(offline, &[("t", 1)]);
    world.cut(offline);
    world.send(publisher, &Publish::new("t", "x", 1, 1).bytes());
    for client in online {
        assert_eq!(world.messages(client).len(), 1);
    }
    let back = world.connect(&Connect::new("off").persistent());
    assert_eq!(world.messages(back).len(), 1);
}

#[test]
fn mqtt_4_6_0_1_publishes_are_resent_in_their_order() {
    let (mut world, subscriber, ids) = with_deliveries(1, 10);
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    assert_eq!(ids_of(&world.received(again)), ids);
}

#[test]
fn mqtt_4_6_0_2_pubacks_come_in_the_order_of_the_publishes() {
    let (mut world, client) = connected();
    let ids = [9, 3, 700, 1, 65_535];
    let bytes: Vec<u8> = ids.iter().flat_map(|id| Publish::new("t", "x", 1, *id).bytes()).collect();
    world.send(client, &bytes);
    assert_eq!(world.received(client), ids.map(FromServer::Puback));
}

#[test]
fn mqtt_4_6_0_3_pubrecs_come_in_the_order_of_the_publishes() {
    let (mut world, client) = connected();
    let ids = [9, 3, 700, 1, 65_535];
    let bytes: Vec<u8> = ids.iter().flat_map(|id| Publish::new("t", "x", 2, *id).bytes()).collect();
    world.send(client, &bytes);
    assert_eq!(world.received(client), ids.map(FromServer::Pubrec));
}

#[test]
fn mqtt_4_6_0_4_pubrels_come_in_the_order_of_the_pubrecs() {
    let (mut world, subscriber, ids) = with_deliveries(2, 5);
    let bytes: Vec<u8> = ids.iter().flat_map(|id| packet::pubrec(*id)).collect();
    world.send(subscriber, &bytes);
    let expected: Vec<FromServer> = ids.iter().map(|id| FromServer::Pubrel(*id)).collect();
    assert_eq!(world.received(subscriber), expected);
    // And in the same order after a reconnect.
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    assert_eq!(world.received(again), expected);
}

#[test]
fn mqtt_4_6_0_5_topics_are_ordered_by_default() {
    for qos in [0, 1, 2] {
        let mut world = world(1);
        let publisher = world.connect(&Connect::new("p"));
        let subscriber = world.connect(&Connect::new("s"));
        world.subscribe(subscriber, &[("t", qos)]);
        let mut got = Vec::new();
        for n in 1..=300u16 {
            world.send(publisher, &Publish::new("t", &n.to_string(), qos, n).bytes());
            world.send(publisher, &packet::pubrel(n));
            if n % 70 == 0 {
                got.extend(world.messages(subscriber));
            }
        }
        got.extend(world.messages(subscriber));
        let numbers: Vec<u16> =
            got.iter().map(|m| String::from_utf8_lossy(&m.payload).parse().expect("a number")).collect();
        assert_eq!(numbers, (1..=300).collect::<Vec<u16>>(), "QoS {qos}");
    }
}

#[test]
fn mqtt_4_6_0_6_order_holds_through_an_offline_time() {
    let mut world = world(1);
    let publisher = world.connect(&Connect::new("p"));
    let subscriber = world.connect(&Connect::new("s").persistent());
    world.subscribe(subscriber, &[("t", 1)]);
    let mut current = subscriber;
    let mut seen: Vec<u16> = Vec::new();
    for n in 1..=200u16 {
        world.send(publisher, &Publish::new("t", &n.to_string(), 1, n).bytes());
        match n % 50 {
            20 => world.cut(current),
            40 => {
                current = world.connect(&Connect::new("s").persistent());
                for message in world.messages(current) {
                    let number: u16 = String::from_utf8_lossy(&message.payload).parse().expect("a number");
                    if !(message.dup && seen.contains(&number)) {
                        seen.push(number);
                    }
                }
            }
            _ => {}
        }
    }
    for message in world.messages(current) {
        seen.push(String::from_utf8_lossy(&message.payload).parse().expect("a number"));
    }
    assert_eq!(seen, (1..=200).collect::<Vec<u16>>());
}

#[test]
fn mqtt_4_8_0_1_violation_closes_only_the_connection_that_broke_it() {
    let mut world = world(1);
    let good = world.connect(&Connect::new("good"));
    let bad = world.connect(&Connect::new("bad"));
    world.send(bad, &[0xF0, 0]);
    assert_eq!(world.closed(bad), Some(StreamClose::Protocol));
    world.send(good, &packet::PINGREQ);
    assert_eq!(world.received(good), [FromServer::Pingresp]);
}
