//! §3.3 PUBLISH, §3.6 PUBREL.
use super::*;
use turnstone_tests::sim::packet;

/// A publisher, and a subscriber to `filter` at `qos`.
fn pubsub(filter: &str, qos: u8) -> (World, Client, Client) {
    let mut world = world(1);
    let publisher = world.connect(&Connect::new("p"));
    let subscriber = world.connect(&Connect::new("s"));
    assert_eq!(world.subscribe(subscriber, &[(filter, qos)]), [qos]);
    (world, publisher, subscriber)
}

/// What a new subscriber of `filter` gets.
fn retained(world: &mut World, filter: &str) -> Vec<Publish> {
    let reader = world.connect(&Connect::new("reader"));
    world.subscribe(reader, &[(filter, 2)]);
    let messages = world.messages(reader);
    world.send(reader, &packet::DISCONNECT);
    messages
}

#[test]
fn mqtt_3_3_1_1_redelivery_has_dup_1() {
    for qos in [1, 2] {
        let mut world = world(1);
        let subscriber = world.connect(&Connect::new("s").persistent());
        world.subscribe(subscriber, &[("t", qos)]);
        world.send(subscriber, &Publish::new("t", "x", 1, 1).bytes());
        if qos == 2 {
            world.send(subscriber, &Publish::new("t", "x", 2, 2).bytes());
            world.send(subscriber, &packet::pubrel(2));
        }
        let first: Vec<Publish> = deliveries(world.received(subscriber));
        assert!(first.iter().all(|p| !p.dup), "{first:?}");
        world.cut(subscriber);
        let again = world.connect(&Connect::new("s").persistent());
        let second = deliveries(world.received(again));
        assert_eq!(second.len(), first.len());
        for (one, two) in first.iter().zip(&second) {
            assert_eq!(two, &one.clone().dup(), "same id, DUP set");
        }
    }
}

fn deliveries(packets: Vec<FromServer>) -> Vec<Publish> {
    packets.into_iter().filter_map(|p| if let FromServer::Publish(p) = p { Some(p) } else { None }).collect()
}

#[test]
fn mqtt_3_3_1_2_qos_0_has_dup_0() {
    let (mut world, publisher, subscriber) = pubsub("t", 0);
    world.send(publisher, &Publish::new("t", "x", 1, 4).dup().bytes());
    world.send(publisher, &Publish::new("t", "y", 0, 0).bytes());
    assert!(world.messages(subscriber).iter().all(|m| !m.dup && m.qos == 0));
    assert!(violates(&Publish::new("t", "x", 0, 0).dup().bytes()), "and a client must not send it");
}

#[test]
fn mqtt_3_3_1_3_outgoing_dup_is_not_the_incoming_one() {
    let (mut world, publisher, subscriber) = pubsub("t", 1);
    world.send(publisher, &Publish::new("t", "x", 1, 4).dup().bytes());
    assert!(!world.messages(subscriber)[0].dup);
}

#[test]
fn mqtt_3_3_1_4_qos_3_closes() {
    assert!(violates(&packet::packet(0x36, b"\0\x01t\0\x01x")));
}

#[test]
fn mqtt_3_3_1_5_retained_message_is_stored_with_its_qos() {
    for qos in [0, 1, 2] {
        let (mut world, publisher, _) = pubsub("other", 0);
        world.send(publisher, &Publish::new("t", "x", qos, 3).retained().bytes());
        world.send(publisher, &packet::pubrel(3));
        let stored = retained(&mut world, "t");
        assert_eq!(brief(&stored), [pair("t", "x")]);
        assert_eq!(stored[0].qos, qos);
    }
}

#[test]
fn mqtt_3_3_1_6_new_subscription_gets_the_last_retained_message() {
    let (mut world, publisher, _) = pubsub("other", 0);
    for (topic, payload) in [("a/1", "old"), ("a/1", "new"), ("a/2", "two"), ("b", "no")] {
        world.send(publisher, &Publish::new(topic, payload, 1, 1).retained().bytes());
    }
    let mut stored = brief(&retained(&mut world, "a/+"));
    stored.sort();
    assert_eq!(stored, [pair("a/1", "new"), pair("a/2", "two")]);
}

#[test]
fn mqtt_3_3_1_7_qos_0_retained_message_replaces_the_stored_one() {
    let (mut world, publisher, _) = pubsub("other", 0);
    world.send(publisher, &Publish::new("t", "old", 2, 1).retained().bytes());
    world.send(publisher, &packet::pubrel(1));
    world.send(publisher, &Publish::new("t", "new", 0, 0).retained().bytes());
    assert_eq!(brief(&retained(&mut world, "t")), [pair("t", "new")]);
}

#[test]
fn mqtt_3_3_1_8_retained_message_for_a_new_subscription_has_retain_1() {
    let (mut world, publisher, _) = pubsub("other", 0);
    world.send(publisher, &Publish::new("t", "x", 1, 1).retained().bytes());
    assert!(retained(&mut world, "t")[0].retain);
}

#[test]
fn mqtt_3_3_1_9_message_for_an_established_subscription_has_retain_0() {
    let (mut world, publisher, subscriber) = pubsub("t", 1);
    world.send(publisher, &Publish::new("t", "x", 1, 1).retained().bytes());
    let messages = world.messages(subscriber);
    assert_eq!(brief(&messages), [pair("t", "x")]);
    assert!(!messages[0].retain);
}

#[test]
fn mqtt_3_3_1_10_empty_retained_message_is_delivered_and_removes() {
    let (mut world, publisher, subscriber) = pubsub("t", 1);
    world.send(publisher, &Publish::new("t", "x", 1, 1).retained().bytes());
    world.send(publisher, &Publish::new("t", "", 1, 2).retained().bytes());
    assert_eq!(brief(&world.messages(subscriber)), [pair("t", "x"), pair("t", "")]);
    assert!(retained(&mut world, "t").is_empty());
}

#[test]
fn mqtt_3_3_1_11_empty_retained_message_is_not_stored() {
    let (mut world, publisher, _) = pubsub("other", 0);
    world.send(publisher, &Publish::new("never/there", "", 1, 1).retained().bytes());
    assert!(retained(&mut world, "never/there").is_empty());
}

#[test]
fn mqtt_3_3_1_12_retain_0_neither_stores_nor_replaces() {
    let (mut world, publisher, _) = pubsub("other", 0);
    world.send(publisher, &Publish::new("t", "kept", 1, 1).retained().bytes());
    world.send(publisher, &Publish::new("t", "passing", 1, 2).bytes());
    world.send(publisher, &Publish::new("t", "", 1, 3).bytes());
    world.send(publisher, &Publish::new("u", "passing", 1, 4).bytes());
    assert_eq!(brief(&retained(&mut world, "+")), [pair("t", "kept")]);
}

#[test]
fn mqtt_3_3_2_1_topic_name_is_the_first_field_and_utf8() {
    assert!(violates(&packet::packet(0x30, b"\0\x02\xC0\xAFx")));
    assert!(violates(&packet::packet(0x30, b"\0\x09t")), "longer than the packet");
    assert!(violates(&packet::packet(0x30, b"\0")), "no length");
}

#[test]
fn mqtt_3_3_2_2_wildcard_in_a_topic_name_closes() {
    for topic in ["+", "#", "a/+/b", "a/#", "+opic", "top#"] {
        assert!(violates(&Publish::new(topic, "x", 0, 0).bytes()), "{topic}");
    }
}

#[test]
fn mqtt_3_3_2_3_delivered_topic_matches_the_filter() {
    let (mut world, publisher, subscriber) = pubsub("a/+/c", 0);
    for topic in ["a/b/c", "a/b", "a/b/c/d", "a//c", "b/b/c", "/a/b/c", "A/b/c"] {
        world.send(publisher, &Publish::new(topic, topic, 0, 0).bytes());
    }
    assert_eq!(brief(&world.messages(subscriber)), [pair("a/b/c", "a/b/c"), pair("a//c", "a//c")]);
}

#[test]
fn mqtt_3_3_4_1_publish_is_answered_as_its_qos_says() {
    let (mut world, client) = connected();
    world.send(client, &Publish::new("t", "x", 0, 0).bytes());
    assert_eq!(world.received(client), []);
    world.send(client, &Publish::new("t", "x", 1, 5).bytes());
    assert_eq!(world.received(client), [FromServer::Puback(5)]);
    world.send(client, &Publish::new("t", "x", 2, 6).bytes());
    assert_eq!(world.received(client), [FromServer::Pubrec(6)]);
}

#[test]
fn mqtt_3_3_5_1_overlapping_subscriptions_deliver_at_the_highest_qos() {
    for filters in [[("a/#", 0), ("a/+", 2), ("a/b", 1)], [("a/b", 2), ("#", 0), ("a/+", 1)]] {
        let mut world = world(1);
        let publisher = world.connect(&Connect::new("p"));
        let subscriber = world.connect(&Connect::new("s"));
        world.subscribe(subscriber, &filters);
        world.send(publisher, &Publish::new("a/b", "x", 2, 1).bytes());
        world.send(publisher, &packet::pubrel(1));
        let messages = world.messages(subscriber);
        assert_eq!(messages.len(), 1, "one copy: {messages:?}");
        assert_eq!(messages[0].qos, 2);
    }
}

#[test]
fn mqtt_3_3_5_2_unauthorised_publish_is_acknowledged_and_goes_nowhere() {
    let (mut world, publisher, subscriber) = pubsub("$SYS/#", 2);
    world.messages(subscriber);
    world.send(publisher, &Publish::new("$SYS/broker/uptime", "forged", 1, 1).retained().bytes());
    world.send(publisher, &Publish::new("$SYS/x", "forged", 2, 2).bytes());
    world.send(publisher, &packet::pubrel(2));
    assert_eq!(
        world.received(publisher),
        [FromServer::Puback(1), FromServer::Pubrec(2), FromServer::Pubcomp(2)]
    );
    assert_eq!(world.closed(publisher), None);
    assert!(world.messages(subscriber).iter().all(|m| m.payload != b"forged"));
}

#[test]
fn mqtt_3_6_1_1_wrong_pubrel_flags_close() {
    for flags in (0..16u8).filter(|flags| *flags != 2) {
        assert!(violates(&packet::packet(0x60 | flags, &[0, 1])), "{flags}");
    }
}
