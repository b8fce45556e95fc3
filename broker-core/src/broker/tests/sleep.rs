//! Sleepers: Pause, Drain, Park, Wake, Resume, and what survives a restart.
use super::*;

fn sleeper(house: &mut House, clean: bool) {
    house.connect(1, connect_sn("d", clean));
    house.subscribe(1, "t/#", Q2);
    house.client(2, "p");
    house.pause(1, 100);
}

fn ack_all(house: &mut House, slot: u32) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        let events = house.heard(slot);
        if events.is_empty() {
            return got;
        }
        for event in events {
            got.extend(shown(&event));
            match event {
                FromBroker::Publish(Delivery { packet_id: Some(id), qos, .. }) => {
                    house.say(slot, if qos == Q1 { ToBroker::Puback(id) } else { ToBroker::Pubrec(id) });
                }
                FromBroker::Pubrel(id) => house.say(slot, ToBroker::Pubcomp(id)),
                FromBroker::Drained => got.push("drained".into()),
                FromBroker::Closed(reason) => got.push(format!("{reason:?}")),
                _other => {}
            }
        }
    }
}

#[test]
fn a_sleeper_collects_in_one_burst_what_waited_when_it_woke() {
    let mut house = House::new();
    sleeper(&mut house, true);
    house.publish(2, "t/1", "a", Q1);
    house.publish(2, "t/2", "b", Q0);
    house.publish(2, "t/3", "c", Q1);
    assert_eq!(house.heard(1), []);
    house.assert_durable();
    house.say(1, ToBroker::Drain { max: 100 });
    house.publish(2, "t/4", "late", Q0);
    assert_eq!(ack_all(&mut house, 1), ["t/1=a/1", "t/2=b/0", "t/3=c/1", "drained"]);
    house.say(1, ToBroker::Drain { max: 100 });
    assert_eq!(ack_all(&mut house, 1), ["t/4=late/0", "drained"]);
    house.say(1, ToBroker::Drain { max: 100 });
    assert_eq!(ack_all(&mut house, 1), ["drained"]);
    house.assert_durable();
}

#[test]
fn a_burst_ends_after_max_messages_or_when_one_is_given_up() {
    let mut house = House::new();
    sleeper(&mut house, false);
    for n in 0..5 {
        house.publish(2, &format!("t/{n}"), "x", Q1);
    }
    house.say(1, ToBroker::Drain { max: 2 });
    assert_eq!(ack_all(&mut house, 1), ["t/0=x/1", "t/1=x/1", "drained"]);
    house.say(1, ToBroker::Drain { max: 2 });
    let events = house.heard(1);
    house.say(1, ToBroker::Park(packet_ids(&events)[0]));
    assert_eq!(ack_all(&mut house, 1), ["drained"]);
    house.say(1, ToBroker::Drain { max: 2 });
    assert_eq!(ack_all(&mut house, 1), ["t/2=x/1 dup", "t/3=x/1", "drained"]);
    house.assert_durable();
}

#[test]
fn a_message_given_up_too_often_is_dropped() {
    let mut house = House::new();
    sleeper(&mut house, false);
    house.publish(2, "t/1", "x", Q1);
    for _ in 0..3 {
        house.say(1, ToBroker::Drain { max: 9 });
        let events = house.heard(1);
        house.say(1, ToBroker::Park(packet_ids(&events)[0]));
        assert_eq!(house.heard(1), [FromBroker::Drained]);
    }
    assert_eq!(house.broker.counters().drops.of(DropReason::GivenUp), 1);
    house.say(1, ToBroker::Drain { max: 9 });
    assert_eq!(house.heard(1), [FromBroker::Drained]);
    assert_eq!(house.broker.status().held_messages, 0);
}

#[test]
fn parking_lets_the_next_message_go_on() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "#", Q1);
    house.client(2, "p");
    for text in ["a", "b", "c"] {
        house.publish(2, "t", text, Q1);
    }
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t=a/1"], "a window of one");
    house.say(1, ToBroker::Park(packet_ids(&events)[0]));
    assert_eq!(ack_all(&mut house, 1), ["t=b/1", "t=c/1"]);
    assert!(house.connect(3, connect_sn("d", false)));
    assert_eq!(ack_all(&mut house, 3), ["t=a/1 dup"], "tried again at the next attach");
}

#[test]
fn what_never_left_is_no_repetition() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "#", Q2);
    house.client(2, "p");
    for (text, qos) in [("a", Q1), ("b", Q2), ("c", Q1)] {
        house.publish(2, "t", text, qos);
        if qos == Q2 {
            house.say(2, ToBroker::Pubrel(pid(1)));
        }
    }
    let a = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Unsent(a));
    house.say(1, ToBroker::Unsent(a));
    assert_eq!(house.broker.counters().acks_unexpected, 1, "once is enough");
    house.say(1, ToBroker::Park(a));
    house.assert_durable();
    let b = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Unsent(b));
    house.disconnect(1, Ending::Clean);
    house.assert_durable();
    house.connect(3, connect_sn("d", false));
    let events = house.heard(3);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t=a/1"]);
    assert_eq!(packet_ids(&events), [a], "the id stays");
    house.assert_durable();
    house.pause(3, 10);
    house.say(3, ToBroker::Drain { max: 9 });
    assert_eq!(ack_all(&mut house, 3), ["t=a/1 dup", "t=b/2", "t=c/1", "drained"]);
    house.say(3, ToBroker::Unsent(b));
    assert_eq!(house.broker.counters().acks_unexpected, 2, "it is gone");
    house.assert_durable();
}

#[test]
fn after_a_restart_what_never_left_is_sent_for_the_first_time() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "#", Q2);
    house.client(2, "p");
    for text in ["a", "b"] {
        house.publish(2, "t", text, Q1);
    }
    let a = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Unsent(a));
    house.say(1, ToBroker::Park(a));
    let records: Vec<Record> = house.commits.concat();
    let broker = Broker::restore(Limits::default(), 1, house.now, records);
    let mut house = House::around(broker);
    house.connect(4, connect_sn("d", false));
    assert_eq!(ack_all(&mut house, 4), ["t=b/1 dup", "t=a/1"]);
}

#[test]
fn the_broker_ends_a_sleep_by_itself_and_publishes_the_will() {
    for clean in [true, false] {
        let mut house = House::new();
        house.client(2, "p");
        house.subscribe(2, "will", Q1);
        let will = ConnectWill::Set(will("will", "gone", Q1, false));
        house.connect(1, Connect { will, ..connect_sn("d", clean) });
        house.pause(1, 100);
        house.pass(Duration::from_secs(99));
        assert_eq!(house.heard(1), []);
        house.say(1, ToBroker::Drain { max: 1 });
        house.pass(Duration::from_secs(99));
        assert_eq!(house.heard(1), [FromBroker::Drained], "the time starts anew after a burst");
        house.pass(Duration::from_secs(1));
        assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::SleepExpired)]);
        assert_eq!(house.messages(2), ["will=gone/1"]);
        assert_eq!(house.broker.status().sessions, if clean { 1 } else { 2 });
        house.assert_durable();
    }
}

#[test]
fn a_sleep_ends_after_a_restart_too_with_its_full_time() {
    let mut house = House::new();
    let stored = ConnectWill::Set(will("will", "gone", Q1, true));
    house.connect(1, Connect { will: stored, ..connect_sn("d", true) });
    house.subscribe(1, "t", Q1);
    house.pause(1, 100);
    house.client(2, "p");
    house.publish(2, "t", "kept", Q1);
    house.pass(Duration::from_secs(90));
    let mut later = House::around(house.replayed());
    later.now = house.now;
    later.broker.restored_events(&mut later.out);
    let (link, FromBroker::Restored(restored)) = &later.out.events[0] else { panic!("{:?}", later.out) };
    assert_eq!(link.frontend, FrontendId::MqttSn);
    assert_eq!((restored.asleep, restored.queued), (Some(Duration::from_secs(100)), 1));
    later.pass(Duration::from_secs(99));
    assert_eq!(later.broker.status().sessions, 1);
    later.pass(Duration::from_secs(1));
    assert_eq!(later.broker.status().sessions, 0, "a clean one ends");
    assert_eq!(later.broker.status().retained, 1, "the will went out");
}

#[test]
fn resume_finds_the_sleeper_from_a_new_place() {
    let mut house = House::new();
    sleeper(&mut house, true);
    house.publish(2, "t/1", "a", Q2);
    house.say(2, ToBroker::Pubrel(pid(1)));
    let resume = |id: &str| {
        let (name, credentials) = (name(id), Credentials::default());
        ToBroker::Resume(Box::new(Resume { name, window: 1, credit: 1000, credentials }))
    };
    house.say(5, resume("d"));
    assert_eq!(house.heard(1), [FromBroker::Closed(CloseReason::TakenOver)]);
    assert!(matches!(house.heard(5)[..], [FromBroker::Connack { session_present: true, .. }]));
    house.disconnect(1, Ending::Clean); // the old link has no say any more
    house.say(5, ToBroker::Drain { max: 10 });
    assert_eq!(ack_all(&mut house, 5), ["t/1=a/2", "drained"]);
    house.say(6, resume("nobody"));
    assert_eq!(house.heard(6), [FromBroker::Refused(RefuseReason::NoSession)]);
    house.say(5, ToBroker::Wake);
    house.say(7, resume("d"));
    assert_eq!(house.heard(7), [FromBroker::Refused(RefuseReason::NoSession)], "it is awake");
    house.publish(2, "t/2", "b", Q0);
    assert_eq!(house.messages(5), ["t/2=b/0"]);
}

#[test]
fn what_was_in_flight_at_the_pause_is_repeated_at_the_wake_up() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "t", Q2);
    house.client(2, "p");
    house.publish(2, "t", "a", Q2);
    house.say(2, ToBroker::Pubrel(pid(1)));
    let first = house.heard(1);
    let id = packet_ids(&first)[0];
    house.pause(1, 10);
    house.say(1, ToBroker::Drain { max: 5 });
    let again = house.heard(1);
    assert_eq!(packet_ids(&again), [id]);
    assert_eq!(again.iter().filter_map(shown).collect::<Vec<_>>(), ["t=a/2 dup"]);
    house.say(1, ToBroker::Pubrec(id));
    assert_eq!(house.heard(1), [FromBroker::Pubrel(id)]);
    house.pause(1, 10); // before PUBCOMP
    house.say(1, ToBroker::Drain { max: 0 });
    assert_eq!(house.heard(1), [FromBroker::Pubrel(id)], "no message, so not bound by max");
    house.say(1, ToBroker::Pubcomp(id));
    assert_eq!(house.heard(1), [FromBroker::Drained]);
    house.assert_durable();
}

#[test]
fn a_clean_device_awake_at_the_crash_is_not_brought_back() {
    let mut house = House::new();
    sleeper(&mut house, true);
    house.say(1, ToBroker::Wake);
    house.assert_durable();
    let mut later = House::around(house.replayed());
    assert_eq!(later.broker.status().sessions, 0);
    later.broker.restored_events(&mut later.out);
    assert!(matches!(later.out.records[..], [Record::SessionEnded { .. }]), "{:?}", later.out.records);
}

#[test]
fn requests_of_a_sleeper_are_answered_and_leave_it_asleep() {
    let mut house = House::new();
    sleeper(&mut house, false);
    house.publish(1, "t/own", "x", Q1);
    assert_eq!(house.heard(1), [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    house.unsubscribe(1, "t/#");
    house.say(1, ToBroker::Drain { max: 9 });
    assert_eq!(ack_all(&mut house, 1), ["t/own=x/1", "drained"]);
}

#[test]
fn qos_0_is_kept_for_the_asleep_and_for_the_offline_as_each_switch_says() {
    for (asleep, offline) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut house = House::new();
        let queue_qos0 = QueueQos0 { asleep, offline };
        house.connect(1, Connect { queue_qos0, ..connect_sn("d", false) });
        house.subscribe(1, "t", Q2);
        house.client(2, "p");
        house.pause(1, 100);
        house.publish(2, "t", "asleep", Q0);
        house.assert_durable();
        house.say(1, ToBroker::Drain { max: 100 });
        house.publish(2, "t", "draining", Q0);
        let mut expected = vec![];
        if asleep {
            expected.push("t=asleep/0");
        }
        assert_eq!(house.messages(1), expected, "{queue_qos0:?}");
        house.say(1, ToBroker::Wake);
        assert_eq!(house.messages(1), if asleep { vec!["t=draining/0"] } else { vec![] }, "{queue_qos0:?}");
        house.disconnect(1, Ending::Clean);
        house.publish(2, "t", "offline", Q0);
        house.assert_durable();
        house.connect(3, Connect { queue_qos0, ..connect_sn("d", false) });
        assert_eq!(house.messages(3), if offline { vec!["t=offline/0"] } else { vec![] }, "{queue_qos0:?}");
    }
}

#[test]
fn whether_a_session_outlives_its_link_may_change() {
    for (first, slept) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut house = House::new();
        house.connect(1, connect_sn("d", first));
        house.subscribe(1, "t", Q1);
        house.client(2, "p");
        if slept {
            house.pause(1, 10);
            house.say(1, ToBroker::Wake);
        }
        house.publish(2, "t", "a", Q1);
        house.say(1, ToBroker::Clean(first));
        house.say(1, ToBroker::Clean(!first));
        assert_eq!(ack_all(&mut house, 1), ["t=a/1"], "nothing is wiped");
        house.assert_durable();
        house.say(1, ToBroker::Clean(first));
        house.assert_durable();
        house.say(1, ToBroker::Clean(!first));
        house.assert_durable();
        house.disconnect(1, Ending::Clean);
        house.assert_durable();
        assert_eq!(house.connect(3, connect_sn("d", false)), first, "first {first}, slept {slept}");
    }
}

#[test]
fn a_burst_goes_on_when_the_device_stays_awake() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "t", Q1);
    house.client(2, "p");
    house.pause(1, 10);
    for text in ["a", "b"] {
        house.publish(2, "t", text, Q1);
    }
    house.say(1, ToBroker::Drain { max: 9 });
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t=a/1"]);
    house.say(1, ToBroker::Wake);
    assert!(house.heard(1).is_empty(), "what is on its way is not sent twice");
    house.say(1, ToBroker::Puback(packet_ids(&events)[0]));
    assert_eq!(ack_all(&mut house, 1), ["t=b/1"]);
    house.publish(2, "t", "c", Q1);
    assert_eq!(ack_all(&mut house, 1), ["t=c/1"]);
    house.assert_durable();
}

#[test]
fn repetitions_count_for_the_bound_of_a_burst() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "t", Q1);
    house.client(2, "p");
    house.publish(2, "t", "a", Q1);
    let a = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Park(a));
    house.publish(2, "t", "b", Q1);
    assert_eq!(house.messages(1), ["t=b/1"]);
    house.pause(1, 10);
    for text in ["t=a/1 dup", "t=b/1 dup"] {
        house.say(1, ToBroker::Drain { max: 1 });
        assert_eq!(ack_all(&mut house, 1), [text, "drained"]);
    }
}

#[test]
fn what_only_waited_for_credit_is_stored_when_the_device_falls_asleep() {
    let mut house = House::new();
    house.connect(1, Connect { credit: 1, ..connect_sn("d", false) });
    house.subscribe(1, "t", Q0);
    house.client(2, "p");
    house.publish(2, "t", "takes the credit", Q0);
    house.publish(2, "t", "waits", Q0);
    assert_eq!(house.messages(1), ["t=takes the credit/0"]);
    house.pause(1, 10);
    let restored = house.replayed();
    assert_eq!(restored.snapshot().sessions[&name("d")].held.len(), 1);
    assert_eq!(restored.snapshot(), house.broker.snapshot());
}

#[test]
fn a_stranger_cannot_guess_the_packet_ids_of_an_sn_session_after_a_restart_either() {
    let mut house = House::new();
    house.connect(1, connect_sn("d", false));
    house.subscribe(1, "t", Q1);
    let mut first = std::collections::BTreeSet::new();
    for seed in 1..=8 {
        let records: Vec<Record> = house.commits.concat();
        let mut again = House::around(Broker::restore(Limits::default(), seed, house.now, records));
        again.connect(1, connect_sn("d", false));
        again.client(2, "p");
        again.publish(2, "t", "a", Q1);
        first.insert(packet_ids(&again.heard(1))[0]);
    }
    assert_eq!(first.len(), 8, "another one after each start: {first:?}");
}
