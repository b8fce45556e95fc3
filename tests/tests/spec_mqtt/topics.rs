//! §4.7 topic names and filters.
use super::*;
use turnstone_tests::sim::mqtt::world_with;
use turnstone_tests::sim::packet;

#[test]
fn mqtt_4_7_1_1_wildcards_live_in_filters_only() {
    assert!(violates(&Publish::new("a/+", "x", 0, 0).bytes()));
    let (mut world, client) = connected();
    assert_eq!(world.subscribe(client, &[("a/+", 0)]), [0]);
}

#[test]
fn mqtt_4_7_1_2_multi_level_wildcard_stands_last_and_alone() {
    let (mut world, client) = connected();
    assert_eq!(
        world.subscribe(client, &[("sport/#", 0), ("#", 0), ("sport#", 0), ("sport/#/x", 0)]),
        [0, 0, 0x80, 0x80]
    );
    let (mut world, client) = connected();
    world.subscribe(client, &[("sport/tennis/#", 0)]);
    for topic in ["sport/tennis", "sport/tennis/x", "sport/tennis/x/y", "sport/tennisx", "sport"] {
        world.send(client, &Publish::new(topic, "", 0, 0).bytes());
    }
    let topics: Vec<String> = world.messages(client).into_iter().map(|m| m.topic).collect();
    assert_eq!(topics, ["sport/tennis", "sport/tennis/x", "sport/tennis/x/y"]);
}

#[test]
fn mqtt_4_7_1_3_single_level_wildcard_stands_alone() {
    let (mut world, client) = connected();
    assert_eq!(
        world.subscribe(client, &[("+", 0), ("+/a/#", 0), ("a/+/b", 0), ("a+", 0), ("a/b+", 0)]),
        [0, 0, 0, 0x80, 0x80]
    );
    let (mut world, client) = connected();
    world.subscribe(client, &[("+/x", 0), ("y/+", 0)]);
    for topic in ["/x", "a/x", "a/b/x", "y", "y/", "y/z", "y/z/z"] {
        world.send(client, &Publish::new(topic, "", 0, 0).bytes());
    }
    let topics: Vec<String> = world.messages(client).into_iter().map(|m| m.topic).collect();
    assert_eq!(topics, ["/x", "a/x", "y/", "y/z"]);
}

#[test]
fn mqtt_4_7_2_1_leading_wildcards_do_not_match_dollar_topics() {
    let mut world = world(1);
    let all = world.connect(&Connect::new("all"));
    let sys = world.connect(&Connect::new("sys"));
    world.subscribe(all, &[("#", 0), ("+/broker/#", 0)]);
    world.subscribe(sys, &[("$SYS/#", 0)]);
    let message = broker_core::Message::new("$SYS/broker/x", b"1", broker_core::QoS::AtMostOnce, true);
    let mut effects = broker_core::Effects::default();
    world.broker.publish(world.now, message, &mut effects);
    world.take(effects);
    assert_eq!(world.messages(sys).len(), 1);
    assert!(world.messages(all).is_empty());
    // Neither does the retained copy.
    let late = world.connect(&Connect::new("late"));
    world.subscribe(late, &[("#", 0)]);
    assert!(world.messages(late).is_empty());
}

#[test]
fn mqtt_4_7_3_1_topics_and_filters_have_a_character() {
    assert!(violates(&Publish::new("", "x", 0, 0).bytes()));
    let (mut world, client) = connected();
    world.send(client, &packet::subscribe(1, &[("", 0)]));
    let refused = world.received(client) == [FromServer::Suback(1, vec![0x80])];
    assert!(refused || world.closed(client) == Some(StreamClose::Protocol));
}

#[test]
fn mqtt_4_7_3_2_topics_and_filters_have_no_null() {
    assert!(violates(&Publish::new("a\0", "x", 0, 0).bytes()));
    assert!(violates(&packet::subscribe(1, &[("a\0/#", 0)])));
}

#[test]
fn mqtt_4_7_3_3_topics_of_65535_bytes_pass_where_the_limits_allow() {
    let mut world = world_with(1, wide_limits());
    let client = world.connect(&Connect::new("c"));
    let long = "t".repeat(65_535);
    world.subscribe(client, &[(&long, 0)]);
    world.send(client, &Publish::new(&long, "x", 0, 0).bytes());
    assert_eq!(world.messages(client).len(), 1);
}

#[test]
fn mqtt_4_7_3_4_topics_are_compared_without_normalisation() {
    let (mut world, client) = connected();
    // The same letter composed and decomposed, case, empty levels, blanks.
    world.subscribe(client, &[("\u{E9}", 0), ("a//b", 0), ("c ", 0)]);
    for topic in ["e\u{301}", "\u{E9}", "a/b", "a//b", "c", "c ", "C "] {
        world.send(client, &Publish::new(topic, "", 0, 0).bytes());
    }
    let topics: Vec<String> = world.messages(client).into_iter().map(|m| m.topic).collect();
    assert_eq!(topics, ["\u{E9}", "a//b", "c "]);
}
