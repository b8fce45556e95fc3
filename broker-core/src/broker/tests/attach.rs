//! Connect, names, takeover, authentication, the limits of an attach.
use super::*;

#[test]
fn a_clean_session_begins_and_ends_with_its_link() {
    let mut house = House::new();
    assert!(!house.connect(1, connect("a", true)));
    house.subscribe(1, "t", Q1);
    house.disconnect(1, Ending::Clean);
    assert_eq!(house.broker.status().sessions, 0);
    assert_eq!(house.broker.status().subscriptions, 0);
    assert!(!house.connect(2, connect("a", false)));
}

#[test]
fn a_persistent_session_is_present_the_second_time() {
    let mut house = House::new();
    assert!(!house.connect(1, connect("a", false)));
    house.subscribe(1, "t", Q1);
    house.disconnect(1, Ending::Clean);
    house.client(2, "p");
    house.publish(2, "t", "1", Q1);
    house.publish(2, "t", "lost", Q0);
    assert!(house.connect(3, connect("a", false)));
    assert_eq!(house.messages(3), ["t=1/1"]);
    // [MQTT-3.1.2-6]: a clean one discards it
    assert!(!house.connect(4, connect("a", true)));
    house.assert_durable();
    // and leaves nothing behind for a persistent one
    assert!(!house.connect(5, connect("a", false)));
    house.publish(2, "t", "2", Q1);
    assert_eq!(house.messages(5), Vec::<String>::new());
    house.assert_durable();
}

#[test]
fn a_takeover_closes_the_old_link_and_drops_what_still_comes_on_it() {
    let mut house = House::new();
    house.connect(1, connect("a", false));
    house.subscribe(1, "t", Q1);
    assert!(house.connect(2, connect("a", false)));
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::TakenOver)]);
    house.publish(1, "t", "stale", Q1);
    assert_eq!(house.heard(1), []);
    assert_eq!(house.heard(2), []);
    assert_eq!(house.broker.counters().stale_requests, 1);
    assert_eq!(house.broker.counters().takeovers, 1);
    assert_eq!(house.broker.status().attached, 1);
}

#[test]
fn a_thousand_takeovers_leave_one_session() {
    let mut house = House::new(); // hostile M30
    for slot in 0..1000 {
        house.connect(slot, connect("a", slot % 3 == 0));
        house.subscribe(slot, "t", Q1);
    }
    assert_eq!(house.broker.status().sessions, 1);
    assert_eq!(house.broker.status().attached, 1);
    assert_eq!(house.broker.status().subscriptions, 1);
    house.client(2000, "p");
    house.publish(2000, "t", "x", Q1);
    assert_eq!(house.messages(999), ["t=x/1"]);
    house.assert_durable();
}

#[test]
fn a_second_connect_on_a_link_begins_the_session_anew_or_takes_another_name() {
    let mut house = House::new();
    house.connect(1, connect("a", false));
    house.subscribe(1, "t", Q1);
    assert!(house.connect(1, connect("a", false)));
    assert_eq!(house.heard(1), [], "no Closed: it is the same link");
    house.client(2, "w");
    house.subscribe(2, "will", Q0);
    let will = ConnectWill::Set(will("will", "a left", Q0, false));
    house.connect(1, Connect { will, ..connect("a", false) });
    assert!(!house.connect(1, connect("b", true)));
    assert_eq!(house.messages(2), ["will=a left/0"]);
    assert_eq!(house.broker.status().attached, 2);
    assert_eq!(house.broker.session(&name("a")).unwrap().link, None);
}

#[test]
fn a_request_before_connect_closes_the_link() {
    let mut house = House::new();
    house.publish(1, "t", "1", Q0);
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::Protocol)]);
    house.publish(1, "t", "1", Q0);
    assert_eq!(house.heard(1), [], "one Closed is enough");
    // what may come from a link that never was, without harm
    house.say(2, ToBroker::Credit { bytes: 5 });
    house.disconnect(2, Ending::Abnormal);
    assert_eq!(house.heard(2), []);
}

#[test]
fn a_client_without_a_name_gets_one_only_if_it_starts_clean() {
    let mut house = House::new();
    house.client(1, "");
    house.client(2, "");
    assert_eq!(house.broker.status().sessions, 2, "two names ([MQTT-3.1.3-6])");
    house.say(3, ToBroker::Connect(Box::new(connect("", false))));
    assert_eq!(house.heard(3), [FromBroker::Refused(RefuseReason::IdentifierRejected)], "[MQTT-3.1.3-8]");
}

#[test]
fn kinds_of_names_do_not_meet() {
    let mut house = House::new();
    house.client(1, "x");
    let endpoint = SessionName::Endpoint(Arc::from("x"));
    house.connect(2, Connect { name: endpoint, protocol: Protocol::Lwm2m, ..connect("x", true) });
    assert_eq!(house.broker.status().attached, 2);
    assert_eq!(house.heard(1), []);
}

#[test]
fn limits_of_an_attach_refuse_it() {
    let limits = Limits {
        connections_max: 2,
        client_id_bytes_max: 4,
        keep_alive_max: 100,
        will_bytes_max: 8,
        ..Limits::default()
    };
    let mut house = House::with(limits);
    let refusals = [
        (connect("abcde", true), RefuseReason::IdentifierRejected),
        (Connect { keep_alive: 101, ..connect("a", true) }, RefuseReason::IdentifierRejected),
        (
            Connect { will: ConnectWill::Set(will("12345", "6789", Q0, false)), ..connect("a", true) },
            RefuseReason::NotAuthorized,
        ),
    ];
    for (slot, (connect, reason)) in refusals.into_iter().enumerate() {
        house.say(slot as u32, ToBroker::Connect(Box::new(connect)));
        assert_eq!(house.heard(slot as u32), [FromBroker::Refused(reason)]);
    }
    house.connect(10, Connect { keep_alive: 0, ..connect("a", true) });
    house.client(11, "b");
    house.say(12, ToBroker::Connect(Box::new(connect("c", true))));
    assert_eq!(house.heard(12), [FromBroker::Refused(RefuseReason::Busy)]);
    house.connect(13, connect("b", true)); // a takeover needs no room
    let absurd = LinkId { slot: u32::MAX, ..link(0) };
    house.disconnect(13, Ending::Clean);
    house.say_on(absurd, ToBroker::Connect(Box::new(connect("d", true))));
    assert_eq!(house.heard.remove(&absurd), Some(vec![FromBroker::Refused(RefuseReason::Busy)]));
    assert_eq!(house.broker.counters().connects_refused, 5);
}

#[test]
fn credentials_are_asked_about_before_anything_happens() {
    let mut house = House::new();
    house.broker.set_authentication(true);
    let ask = |house: &mut House, slot: u32, id: &str| {
        let request = ToBroker::Connect(Box::new(connect(id, false)));
        house.broker.handle(house.now, link(slot), request, &mut house.out);
        assert!(matches!(&house.out.asks[..], [Ask::Authenticate { name: asked, .. }] if *asked == name(id)));
        assert!(house.out.events.is_empty() && house.out.records.is_empty());
        house.out.clear();
    };
    ask(&mut house, 1, "a");
    house.say(1, ToBroker::Authenticated(Ok(())));
    assert!(matches!(house.heard(1)[..], [FromBroker::Connack { session_present: false, .. }]));
    ask(&mut house, 2, "a");
    assert_eq!(house.heard(1), [], "no takeover without the credential");
    house.say(2, ToBroker::Authenticated(Err(RefuseReason::BadCredentials)));
    assert_eq!(house.heard(2), [FromBroker::Refused(RefuseReason::BadCredentials)]);
    assert_eq!(house.heard(1), []);
    // gone, or too early, while the answer was on its way
    ask(&mut house, 3, "b");
    house.disconnect(3, Ending::Abnormal);
    house.say(3, ToBroker::Authenticated(Ok(())));
    assert_eq!(house.heard(3), []);
    // a CONNECT again on an attached link: the former attachment holds until the answer
    ask(&mut house, 1, "a");
    house.publish(1, "t", "x", Q1);
    assert_eq!(house.heard(1).len(), 1);
    house.say(1, ToBroker::Authenticated(Ok(())));
    assert!(matches!(house.heard(1)[..], [FromBroker::Connack { session_present: true, .. }]));
    ask(&mut house, 4, "c");
    house.publish(4, "t", "x", Q0);
    assert_eq!(house.heard(4), [FromBroker::Closed(CloseReason::Protocol)]);
    house.say(4, ToBroker::Authenticated(Ok(())));
    assert_eq!(house.broker.status().sessions, 1);
}

#[test]
fn what_waits_for_authentication_counts_as_connected() {
    let mut house = House::with(Limits { connections_max: 2, ..Limits::default() });
    house.broker.set_authentication(true);
    for slot in 0..5 {
        let request = ToBroker::Connect(Box::new(connect(&format!("c{slot}"), true)));
        house.broker.handle(house.now, link(slot), request, &mut house.out);
    }
    assert_eq!(house.out.asks.len(), 2);
    assert_eq!(house.out.events.len(), 3);
}
