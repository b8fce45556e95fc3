//! §3.8 SUBSCRIBE, §3.9 SUBACK, §3.10 UNSUBSCRIBE.
use super::*;
use turnstone_tests::sim::packet;

#[test]
fn mqtt_3_8_1_1_wrong_subscribe_flags_close() {
    for flags in (0..16u8).filter(|flags| *flags != 2) {
        assert!(violates(&packet::packet(0x80 | flags, b"\0\x01\0\x01t\0")), "{flags}");
    }
}

#[test]
fn mqtt_3_8_3_1_filters_must_be_utf8() {
    assert!(violates(&packet::packet(0x82, b"\0\x01\0\x02\xC0\xAF\0")));
}

#[test]
fn mqtt_3_8_3_2_wildcards_are_supported() {
    let (mut world, client) = connected();
    assert_eq!(world.subscribe(client, &[("+", 1), ("#", 1), ("a/+/#", 1)]), [1, 1, 1]);
}

#[test]
fn mqtt_3_8_3_3_subscribe_without_filter_closes() {
    assert!(violates(&packet::packet(0x82, b"\0\x01")));
}

#[test]
fn mqtt_3_8_3_4_reserved_qos_bits_close() {
    for options in [3u8, 4, 0x80, 0xFF] {
        assert!(violates(&packet::packet(0x82, &[0, 1, 0, 1, b't', options])), "{options:#04x}");
    }
}

#[test]
fn mqtt_3_8_4_1_subscribe_is_answered_by_suback() {
    let (mut world, client) = connected();
    world.send(client, &packet::subscribe(9, &[("t", 0)]));
    assert_eq!(world.received(client), [FromServer::Suback(9, vec![0])]);
}

#[test]
fn mqtt_3_8_4_2_suback_has_the_id_of_its_subscribe() {
    let (mut world, client) = connected();
    for id in [1, 255, 256, 65_535] {
        world.send(client, &packet::subscribe(id, &[("t", 1)]));
        assert_eq!(world.received(client), [FromServer::Suback(id, vec![1])]);
    }
}

#[test]
fn mqtt_3_8_4_3_identical_filter_replaces_and_resends_retained() {
    let (mut world, client) = connected();
    world.send(client, &Publish::new("t", "kept", 1, 1).retained().bytes());
    world.received(client);
    world.subscribe(client, &[("t", 0)]);
    assert_eq!(brief(&world.messages(client)), [pair("t", "kept")]);
    world.subscribe(client, &[("t", 1)]);
    let again = world.messages(client);
    assert_eq!(brief(&again), [pair("t", "kept")]);
    assert_eq!(again[0].qos, 1, "the new QoS counts");
    world.send(client, &Publish::new("t", "live", 1, 2).bytes());
    assert_eq!(brief(&world.messages(client)), [pair("t", "live")], "one subscription, one copy");
}

#[test]
fn mqtt_3_8_4_4_several_filters_count_as_several_subscribes() {
    let (mut world, client) = connected();
    world.send(client, &packet::subscribe(4, &[("a", 0), ("b", 1), ("c", 2)]));
    assert_eq!(world.received(client), [FromServer::Suback(4, vec![0, 1, 2])]);
    for (n, topic) in ["a", "b", "c"].iter().enumerate() {
        world.send(client, &Publish::new(topic, "x", 1, n as u16 + 1).bytes());
    }
    assert_eq!(world.messages(client).len(), 3);
}

#[test]
fn mqtt_3_8_4_5_suback_has_a_code_for_each_filter() {
    let (mut world, client) = connected();
    let codes = world.subscribe(client, &[("a", 1), ("b/#/c", 1), ("d+", 0), ("e", 2)]);
    assert_eq!(codes, [1, 0x80, 0x80, 2], "a bad filter is refused in its place");
    assert_eq!(world.closed(client), None);
}

#[test]
fn mqtt_3_8_4_6_delivery_has_the_lower_qos() {
    for published in 0..3u8 {
        for granted in 0..3u8 {
            let (mut world, client) = connected();
            world.subscribe(client, &[("t", granted)]);
            world.send(client, &Publish::new("t", "x", published, 1).bytes());
            world.send(client, &packet::pubrel(1));
            let messages = world.messages(client);
            assert_eq!(messages.len(), 1, "published {published}, granted {granted}");
            assert_eq!(messages[0].qos, published.min(granted));
        }
    }
}

#[test]
fn mqtt_3_9_3_1_codes_stand_in_the_order_of_the_filters() {
    let (mut world, client) = connected();
    let filters: Vec<(String, u8)> = (0..200u16).map(|n| (format!("f/{n}"), (n % 3) as u8)).collect();
    let borrowed: Vec<(&str, u8)> = filters.iter().map(|(f, q)| (f.as_str(), *q)).collect();
    let expected: Vec<u8> = filters.iter().map(|(_, q)| *q).collect();
    assert_eq!(world.subscribe(client, &borrowed), expected);
}

#[test]
fn mqtt_3_9_3_2_codes_are_0_1_2_or_128() {
    let (mut world, client) = connected();
    let filters =
        [("a", 0), ("b", 1), ("c", 2), ("#x", 0), ("$share/g", 1), ("$share//t", 1), ("$share/+/t", 1)];
    let codes = world.subscribe(client, &filters);
    assert_eq!(codes, [0, 1, 2, 0x80, 0x80, 0x80, 0x80]);
}

#[test]
fn mqtt_3_10_1_1_wrong_unsubscribe_flags_close() {
    for flags in (0..16u8).filter(|flags| *flags != 2) {
        assert!(violates(&packet::packet(0xA0 | flags, b"\0\x01\0\x01t")), "{flags}");
    }
}

#[test]
fn mqtt_3_10_3_1_unsubscribe_filters_must_be_utf8() {
    assert!(violates(&packet::packet(0xA2, b"\0\x01\0\x02\xED\xA0")));
}

#[test]
fn mqtt_3_10_3_2_unsubscribe_without_filter_closes() {
    assert!(violates(&packet::packet(0xA2, b"\0\x01")));
}

#[test]
fn mqtt_3_10_4_1_unsubscribe_removes_exactly_the_same_filter() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("a/+", 0), ("a/b", 0), ("A/B", 0)]);
    world.send(client, &packet::unsubscribe(1, &["a/b", "a/#", "+/b"]));
    world.received(client);
    world.send(client, &Publish::new("a/b", "x", 0, 0).bytes());
    world.send(client, &Publish::new("A/B", "y", 0, 0).bytes());
    assert_eq!(brief(&world.messages(client)), [pair("a/b", "x"), pair("A/B", "y")], "a/+ and A/B stay");
}

#[test]
fn mqtt_3_10_4_2_no_new_message_after_unsubscribe() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("t", 1)]);
    world.send(client, &packet::unsubscribe(1, &["t"]));
    world.send(client, &Publish::new("t", "x", 1, 2).bytes());
    assert!(world.messages(client).is_empty());
}

#[test]
fn mqtt_3_10_4_3_deliveries_under_way_are_completed() {
    let mut world = world(1);
    let subscriber = world.connect(&Connect::new("s").persistent());
    world.subscribe(subscriber, &[("t", 2)]);
    world.send(subscriber, &Publish::new("t", "x", 2, 1).bytes());
    world.send(subscriber, &packet::pubrel(1));
    let delivered = world.received(subscriber).into_iter().find_map(|p| match p {
        FromServer::Publish(p) => Some(p),
        _ => None,
    });
    let delivered = delivered.expect("the delivery has begun");
    world.send(subscriber, &packet::unsubscribe(2, &["t"]));
    world.received(subscriber);
    world.cut(subscriber);
    let again = world.connect(&Connect::new("s").persistent());
    assert_eq!(world.received(again), [FromServer::Publish(delivered.clone().dup())]);
    world.send(again, &packet::pubrec(delivered.id));
    assert_eq!(world.received(again), [FromServer::Pubrel(delivered.id)]);
}

#[test]
fn mqtt_3_10_4_4_unsuback_has_the_id_of_its_unsubscribe() {
    let (mut world, client) = connected();
    world.send(client, &packet::unsubscribe(300, &["t"]));
    assert_eq!(world.received(client), [FromServer::Unsuback(300)]);
}

#[test]
fn mqtt_3_10_4_5_unsuback_comes_even_when_nothing_was_removed() {
    let (mut world, client) = connected();
    world.send(client, &packet::unsubscribe(1, &["never", "there/#"]));
    assert_eq!(world.received(client), [FromServer::Unsuback(1)]);
}

#[test]
fn mqtt_3_10_4_6_several_filters_count_as_several_unsubscribes() {
    let (mut world, client) = connected();
    world.subscribe(client, &[("a", 0), ("b", 0), ("c", 0)]);
    world.send(client, &packet::unsubscribe(1, &["a", "c"]));
    assert_eq!(world.received(client), [FromServer::Unsuback(1)]);
    for topic in ["a", "b", "c"] {
        world.send(client, &Publish::new(topic, "x", 0, 0).bytes());
    }
    assert_eq!(brief(&world.messages(client)), [pair("b", "x")]);
}
