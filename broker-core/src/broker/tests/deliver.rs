//! Publishing: the exchanges, the QoS of a delivery, who gets how many copies, denials.
use super::*;
use crate::acl::{Access, Acl, Rule, Who};

#[test]
fn each_qos_runs_its_exchange() {
    let mut house = House::new();
    house.client(1, "s");
    house.client(2, "p");
    house.subscribe(1, "t/#", Q2);
    house.publish(2, "t/0", "a", Q0);
    assert_eq!(house.messages(1), ["t/0=a/0"]);
    assert_eq!(house.heard(2), []);

    house.publish(2, "t/1", "b", Q1);
    assert_eq!(house.heard(2), [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t/1=b/1"]);
    house.say(1, ToBroker::Puback(packet_ids(&events)[0]));

    house.publish(2, "t/2", "c", Q2);
    assert_eq!(house.heard(2), [FromBroker::Pubrec { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    assert_eq!(house.heard(1), [], "routed at PUBREL");
    house.say(2, ToBroker::Pubrel(pid(1)));
    assert_eq!(house.heard(2), [FromBroker::Pubcomp(pid(1))]);
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t/2=c/2"]);
    let id = packet_ids(&events)[0];
    house.say(1, ToBroker::Pubrec(id));
    assert_eq!(house.heard(1), [FromBroker::Pubrel(id)]);
    house.say(1, ToBroker::Pubcomp(id));
    assert_eq!(house.heard(1), []);
    assert_eq!(house.broker.status().held_messages, 0);
    assert_eq!(house.broker.counters().acks_unexpected, 0);
}

#[test]
fn a_delivery_has_the_lower_of_both_qos() {
    for (granted, published, delivered) in
        [(Q0, Q2, 0), (Q1, Q2, 1), (Q2, Q1, 1), (Q1, Q0, 0), (Q2, Q0, 0), (Q0, Q1, 0), (Q2, Q2, 2)]
    {
        let mut house = House::new();
        house.client(1, "s");
        house.client(2, "p");
        house.subscribe(1, "t", granted);
        house.publish(2, "t", "x", published);
        house.say(2, ToBroker::Pubrel(pid(1)));
        assert_eq!(house.messages(1), [format!("t=x/{delivered}")], "{granted:?} {published:?}");
    }
}

#[test]
fn an_echo_comes_before_pubcomp() {
    let mut house = House::new();
    house.client(1, "a");
    house.subscribe(1, "t", Q0);
    house.publish(1, "t", "x", Q2);
    house.heard(1);
    house.say(1, ToBroker::Pubrel(pid(1)));
    let events = house.heard(1);
    assert!(matches!(events[..], [FromBroker::Publish(_), FromBroker::Pubcomp(_)]), "{events:?}");
}

#[test]
fn overlapping_filters_give_one_copy_at_the_highest_qos_or_one_each() {
    for (each, expected) in [(false, vec!["t/1=x/2"]), (true, vec!["t/1=x/0", "t/1=x/1", "t/1=x/2"])] {
        let mut house = House::with(Limits { overlapping_each: each, ..Limits::default() });
        house.client(1, "s");
        house.subscribe(1, "t/1", Q1);
        house.subscribe(1, "t/#", Q2);
        house.subscribe(1, "+/1", Q0);
        house.client(2, "p");
        house.publish(2, "t/1", "x", Q2);
        house.say(2, ToBroker::Pubrel(pid(1)));
        let mut got = house.messages(1);
        got.sort();
        assert_eq!(got, expected); // [MQTT-3.3.5-1]
    }
}

#[test]
fn a_shared_group_gets_one_copy_and_prefers_who_is_there() {
    let mut house = House::new();
    for (slot, id) in [(1, "a"), (2, "b"), (3, "c")] {
        house.connect(slot, connect(id, false));
        house.subscribe(slot, "$share/g/t", Q1);
    }
    house.client(9, "p");
    house.disconnect(2, Ending::Clean);
    for n in 0..10 {
        house.publish(9, "t", &n.to_string(), Q1);
    }
    let (a, c) = (house.messages(1), house.messages(3));
    assert_eq!((a.len(), c.len()), (5, 5), "{a:?} {c:?}");
    house.connect(4, connect("b", false));
    assert_eq!(house.messages(4), Vec::<String>::new());
    house.disconnect(1, Ending::Clean);
    house.disconnect(4, Ending::Clean);
    house.disconnect(3, Ending::Clean);
    house.publish(9, "t", "kept", Q1);
    assert_eq!(house.broker.status().held_messages, 10 + 1, "one of them keeps it");
}

#[test]
fn a_wrong_filter_is_refused_in_its_place_and_limits_count() {
    let limits = Limits { subscriptions_max: 2, filters_per_packet_max: 4, ..Limits::default() };
    let mut house = House::with(limits);
    house.client(1, "s");
    let subscribe = |filters: &[&str]| ToBroker::Subscribe {
        packet_id: 3,
        filters: filters
            .iter()
            .map(|text| SubscribeFilter { filter: TopicFilter::new(text), qos: Q1 })
            .collect(),
    };
    house.say(1, subscribe(&["a", "a/#/b", "b", "c", "d"]));
    let granted = vec![Some(Q1), None, Some(Q1), None, None];
    assert_eq!(house.heard(1), [FromBroker::Suback { packet_id: 3, granted }]);
    house.say(1, subscribe(&["a"])); // not a new one
    assert_eq!(house.heard(1), [FromBroker::Suback { packet_id: 3, granted: vec![Some(Q1)] }]);
    assert_eq!(house.broker.counters().subscribes_refused, 3);
    house.unsubscribe(1, "nothing"); // [MQTT-3.10.4-5]
    house.unsubscribe(1, "a");
    house.publish(1, "a", "x", Q0);
    assert_eq!(house.heard(1), []);
}

#[test]
fn a_client_may_not_speak_for_the_broker() {
    let mut house = House::new(); // hostile M25, L29
    let closed = ["lwm2m/+/response", "lwm2m/+/up/#"].map(|text| TopicFilter::new(text).unwrap()).to_vec();
    house.broker.set_acl(Acl::new(closed, None));
    house.client(1, "c");
    house.subscribe(1, "$SYS/#", Q0);
    house.subscribe(1, "#", Q0);
    for topic in ["$SYS/broker/uptime", "$CONTROL/x", "$foo", "lwm2m/ep/response", "lwm2m/ep/up/resp"] {
        house.publish_flags(1, topic, "forged", Q0, true);
        assert_eq!(house.heard(1), [FromBroker::PublishRefused { outcome: PublishOutcome::Denied }]);
        house.publish_flags(1, topic, "forged", Q1, true);
        assert_eq!(
            house.heard(1),
            [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Denied }]
        );
        house.publish_flags(1, topic, "forged", Q2, true);
        assert_eq!(
            house.heard(1),
            [FromBroker::Pubrec { packet_id: pid(1), outcome: PublishOutcome::Denied }]
        );
        house.say(1, ToBroker::Pubrel(pid(1)));
        assert_eq!(house.heard(1), [FromBroker::Pubcomp(pid(1))]);
    }
    assert_eq!(house.broker.counters().publishes_denied, 15);
    assert_eq!(house.broker.status().retained, 0);
    // the gateway's own may
    let service = SessionName::Service(Arc::from("lwm2m"));
    house.connect(2, Connect { name: service, protocol: Protocol::Lwm2m, ..connect("", true) });
    house.publish(2, "lwm2m/ep/response", "true", Q0);
    assert_eq!(house.messages(1), ["lwm2m/ep/response=true/0"]);
}

#[test]
fn a_revoked_right_holds_for_what_is_queued_retained_and_subscribed() {
    let mut house = House::new(); // hostile M33
    house.connect(1, connect("s", false));
    house.subscribe(1, "secret", Q1);
    house.client(2, "p");
    house.disconnect(1, Ending::Clean);
    house.publish_flags(2, "secret", "queued", Q1, true);
    let rule = |who, access, filter: &str, allow| Rule {
        who,
        access,
        filter: TopicFilter::new(filter).unwrap(),
        allow,
    };
    let rules = vec![
        rule(Who::Client(Arc::from("s")), Access::Subscribe, "secret", false),
        rule(Who::Everyone, Access::Both, "#", true),
    ];
    house.broker.set_acl(Acl::new(Vec::new(), Some(rules)));
    house.connect(3, connect("s", false));
    house.publish(2, "secret", "live", Q1);
    assert_eq!(house.messages(3), Vec::<String>::new());
    house.subscribe(3, "#", Q1);
    assert_eq!(house.messages(3), Vec::<String>::new(), "not as retained either");
    let filters = vec![SubscribeFilter { filter: TopicFilter::new("secret"), qos: Q1 }];
    house.say(3, ToBroker::Subscribe { packet_id: 1, filters });
    assert_eq!(house.heard(3), [FromBroker::Suback { packet_id: 1, granted: vec![None] }]);
    assert_eq!(house.broker.counters().drops.of(DropReason::Denied), 3);
    house.assert_durable();
}

#[test]
fn nobody_to_hear_is_counted_and_acknowledged() {
    let mut house = House::new();
    house.client(1, "p");
    house.publish(1, "t", "x", Q1);
    assert_eq!(house.heard(1).len(), 1);
    assert_eq!(house.broker.counters().drops.of(DropReason::NoSubscriber), 1);
    assert_eq!(house.broker.counters().drops.missed(), 0);
}

#[test]
fn a_qos_1_publish_without_an_id_is_the_front_ends_fault() {
    let mut house = House::new();
    house.client(1, "p");
    let message = Message::new("t", b"x", Q1, false);
    house.say(1, ToBroker::Publish { packet_id: None, dup: false, message });
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::Protocol)]);
    assert_eq!(house.broker.status().sessions, 0);
}

#[test]
fn the_broker_and_the_gateway_publish_too() {
    let mut house = House::new();
    house.client(1, "s");
    house.subscribe(1, "$gateway/x", Q1);
    house.broker.publish(house.now, Message::new("$gateway/x", b"own", Q1, true), &mut house.out);
    house.sort_out();
    assert_eq!(house.messages(1), ["$gateway/x=own/1"]);
    assert_eq!(house.broker.status().retained, 1);
}

#[test]
fn the_same_seed_and_calls_give_the_same_effects() {
    let run = || {
        let mut broker = Broker::new(Limits::default(), 7);
        broker.set_recording(true);
        let mut out = Effects::default();
        let now = Now::new(Instant::from_millis(5), 6);
        for slot in 0..50u32 {
            let request = Connect { name: name(""), ..connect_sn("", slot % 2 == 0) };
            let request =
                if slot % 2 == 0 { request } else { Connect { name: name(&format!("p{slot}")), ..request } };
            broker.handle(now, link(slot), ToBroker::Connect(Box::new(request)), &mut out);
            let filters = vec![SubscribeFilter { filter: TopicFilter::new("$share/g/t"), qos: Q1 }];
            broker.handle(now, link(slot), ToBroker::Subscribe { packet_id: 1, filters }, &mut out);
            let message = Message::new("t", b"x", Q1, false);
            let packet_id = Some(pid(1));
            broker.handle(now, link(slot), ToBroker::Publish { packet_id, dup: false, message }, &mut out);
        }
        format!("{:?} {:?}", out.events, out.records)
    };
    assert_eq!(run(), run());
}
