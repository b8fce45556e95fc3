//! Connect, takeover, Disconnect, expiry.
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
fn a_request_before_connect_closes_the_link() {
    let mut house = House::new();
    house.publish(1, "t", "1", Q0);
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::Protocol)]);
    house.publish(1, "t", "1", Q0);
    assert_eq!(house.heard(1), [], "one Closed is enough");
}
