//! Fan-outs in slices, and what waits behind them.
use super::*;

fn crowd(limits: Limits, subscribers: u32, clean: bool) -> House {
    let mut house = House::with(limits);
    for slot in 0..subscribers {
        house.connect(slot, connect(&format!("s{slot}"), clean));
        house.subscribe(slot, "t", Q2);
    }
    house.client(1000, "p");
    house
}

#[test]
fn a_large_fan_out_goes_in_slices_and_its_ack_comes_last() {
    let mut house = crowd(Limits { slice_deliveries: 10, ..Limits::default() }, 35, true);
    house.publish(1000, "t", "x", Q1);
    let served = |house: &House| house.heard.values().filter(|events| !events.is_empty()).count();
    assert_eq!(served(&house), 10, "ten have it now");
    assert_eq!(house.heard(1000), []);
    assert!(house.broker.has_work());
    assert!(house.deliver(20));
    assert_eq!(served(&house), 30);
    assert!(!house.deliver(20));
    assert_eq!(
        house.heard(1000),
        [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Accepted }]
    );
    assert!(!house.deliver(20));
    for slot in 0..35 {
        assert_eq!(house.messages(slot), ["t=x/1"]);
    }
}

#[test]
fn what_is_published_meanwhile_waits_so_that_order_holds() {
    let mut house = crowd(Limits { slice_deliveries: 3, ..Limits::default() }, 10, true);
    house.client(50, "other");
    house.subscribe(50, "quick", Q0);
    house.publish(1000, "t", "1", Q0);
    house.publish(1000, "t", "2", Q0);
    house.publish(1000, "quick", "3", Q0);
    assert_eq!(house.heard(50), []);
    while house.deliver(3) {}
    for slot in 0..10 {
        assert_eq!(house.messages(slot), ["t=1/0", "t=2/0"]);
    }
    assert_eq!(house.messages(50), ["quick=3/0"]);
}

#[test]
fn a_backlog_is_bounded_by_making_publishers_wait() {
    let mut house = crowd(Limits { slice_deliveries: 2, backlog_max: 5, ..Limits::default() }, 10, true);
    for n in 0..7 {
        house.publish(1000, "t", &n.to_string(), Q0);
    }
    assert!(!house.broker.has_work(), "the call that exceeded it did all the work");
    for slot in 0..10 {
        assert_eq!(house.messages(slot).len(), 7);
    }
}

#[test]
fn a_session_that_ends_meanwhile_gets_nothing_nor_does_its_successor_in_the_slot() {
    let mut house = crowd(Limits { slice_deliveries: 2, ..Limits::default() }, 6, true);
    house.publish(1000, "t", "x", Q0);
    house.disconnect(5, Ending::Clean);
    house.client(70, "newcomer"); // takes the slot of s5
    while house.deliver(2) {}
    assert_eq!(house.heard(70), []);
    assert_eq!(house.messages(4), ["t=x/0"]);
}

#[test]
fn a_publisher_that_leaves_meanwhile_hears_nothing_stale() {
    let mut house = crowd(Limits { slice_deliveries: 2, ..Limits::default() }, 6, true);
    house.connect(60, connect("q", false));
    house.publish(60, "t", "x", Q2);
    house.heard(60);
    house.say(60, ToBroker::Pubrel(pid(1)));
    assert!(house.broker.has_work());
    house.disconnect(60, Ending::Abnormal);
    assert!(house.connect(61, connect("q", false)));
    while house.deliver(2) {}
    assert_eq!(house.heard(60), []);
    assert_eq!(house.heard(61), [], "it has not asked on this link");
    house.say(61, ToBroker::Pubrel(pid(1)));
    assert_eq!(house.heard(61), [FromBroker::Pubcomp(pid(1))]);
    for slot in 0..6 {
        assert_eq!(house.messages(slot), ["t=x/2"], "once");
    }
}

#[test]
fn a_qos_2_fan_out_to_durable_sessions_is_one_commit() {
    let mut house = crowd(Limits { slice_deliveries: 2, ..Limits::default() }, 6, false);
    house.connect(60, connect("q", false));
    house.publish(60, "t", "x", Q2);
    let before = house.commits.len();
    house.say(60, ToBroker::Pubrel(pid(1)));
    let commit = &house.commits[before];
    let queued = commit.iter().filter(|record| matches!(record, Record::Queued { .. })).count();
    let released = commit.iter().filter(|record| matches!(record, Record::ReceivedReleased { .. })).count();
    assert_eq!((queued, released), (6, 1), "a crash between slices would route it twice");
    house.assert_durable();
}

#[test]
fn wills_wait_their_turn_too() {
    let mut house = crowd(Limits { slice_deliveries: 2, ..Limits::default() }, 6, true);
    let mine = ConnectWill::Set(will("t", "will", Q0, false));
    house.connect(60, Connect { will: mine, ..connect("q", true) });
    house.publish(60, "t", "alive", Q0);
    house.disconnect(60, Ending::Abnormal);
    while house.deliver(1) {}
    for slot in 0..6 {
        assert_eq!(house.messages(slot), ["t=alive/0", "t=will/0"]);
    }
}
