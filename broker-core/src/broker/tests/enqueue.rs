//! Memo, Enqueue and Fate: what service sessions and their devices live by.
use super::*;
use bytes::Bytes;

fn service() -> SessionName {
    SessionName::Service(Arc::from("commands"))
}

fn device() -> SessionName {
    SessionName::Endpoint(Arc::from("ep"))
}

/// A service session on link 1, a device on link 2 with a window of one, a client on link 3.
fn house_with_service() -> House {
    let mut house = House::new();
    let internal = |name, protocol| Connect {
        name,
        protocol,
        queue_qos0: QueueQos0::ALWAYS,
        window: 1,
        ..connect("", false)
    };
    house.connect(1, Connect { window: 32, ..internal(service(), Protocol::Internal) });
    house.subscribe(1, "cmd/+", Q1);
    house.connect(2, internal(device(), Protocol::Lwm2m));
    house.client(3, "p");
    house
}

fn enqueue(payload: &str, qos: QoS, expires: Option<u64>, tag: u64) -> Enqueue {
    Enqueue {
        session: device(),
        message: Message::new("cmd/ep", payload.as_bytes(), qos, false),
        expires: expires.map(Duration::from_secs),
        tag,
        acknowledges: None,
    }
}

fn fates(house: &mut House, slot: u32) -> Vec<(u64, MessageFate)> {
    let fate = |event| match event {
        FromBroker::Fate(fate) => Some((fate.tag, fate.fate)),
        _other => None,
    };
    house.heard(slot).into_iter().filter_map(fate).collect()
}

#[test]
fn a_command_is_the_services_or_the_devices_at_every_commit() {
    let mut house = house_with_service();
    house.publish(3, "cmd/ep", "read", Q1);
    assert_eq!(house.heard(3), [FromBroker::Puback { packet_id: pid(1), outcome: PublishOutcome::Accepted }]);
    let command = packet_ids(&house.heard(1))[0];
    let commits = house.commits.len();
    let request = Enqueue { acknowledges: Some(command), ..enqueue("read", Q1, Some(60), 5) };
    house.say(1, ToBroker::Enqueue(Box::new(request)));
    assert_eq!(house.commits.len(), commits + 1);
    let commit = house.commits.last().unwrap();
    assert!(commit.iter().any(|record| matches!(record, Record::Removed { .. })), "{commit:?}");
    assert!(
        commit.iter().any(|record| matches!(record, Record::Queued { asked: Some(_), .. })),
        "{commit:?}"
    );
    assert_eq!(house.broker.session(&service()).unwrap().in_flight, 0);
    let delivery = house.heard(2);
    let [FromBroker::Publish(Delivery { expires_unix_ms, packet_id: Some(id), .. })] = delivery[..] else {
        panic!("{delivery:?}")
    };
    assert_eq!(expires_unix_ms, house.now.unix_ms + 60_000);
    house.assert_durable();
    house.say(2, ToBroker::Puback(id));
    assert_eq!(fates(&mut house, 1), [(5, MessageFate::Delivered)]);
    house.assert_durable();
}

#[test]
fn every_command_ends_in_exactly_one_fate() {
    let mut house = house_with_service();
    house.disconnect(2, Ending::Clean);
    let say = |house: &mut House, request: Enqueue| house.say(1, ToBroker::Enqueue(Box::new(request)));
    say(&mut house, enqueue("a", Q1, Some(10), 1));
    say(&mut house, enqueue("b", Q0, None, 2));
    say(&mut house, enqueue("c", Q2, None, 3));
    say(&mut house, enqueue("d", Q1, None, 4));
    say(&mut house, Enqueue { session: name("nobody"), ..enqueue("e", Q1, None, 5) });
    assert_eq!(fates(&mut house, 1), [(5, MessageFate::NoSession)]);
    house.pass(Duration::from_secs(9));
    assert_eq!(fates(&mut house, 1), []);
    house.pass(Duration::from_secs(1));
    assert_eq!(fates(&mut house, 1), [(1, MessageFate::Expired)]);
    house.assert_durable();
    let back = Connect { name: device(), protocol: Protocol::Lwm2m, window: 1, ..connect("", false) };
    house.connect(4, back.clone());
    let events = house.heard(4);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["cmd/ep=b/0", "cmd/ep=c/2"]);
    assert_eq!(fates(&mut house, 1), [(2, MessageFate::Delivered)]);
    let id = packet_ids(&events)[0];
    house.say(4, ToBroker::Pubrec(id));
    house.assert_durable();
    house.heard(4);
    house.say(4, ToBroker::Pubcomp(id));
    assert_eq!(fates(&mut house, 1), [(3, MessageFate::Delivered)]);
    let id = packet_ids(&house.heard(4))[0];
    house.say(4, ToBroker::Reject(id));
    assert_eq!(fates(&mut house, 1), [(4, MessageFate::Dropped(DropReason::Rejected))]);
    say(&mut house, enqueue("f", Q1, None, 6));
    house.disconnect(4, Ending::Clean);
    house.connect(5, Connect { clean: true, ..back });
    assert_eq!(fates(&mut house, 1), [(6, MessageFate::Dropped(DropReason::SessionEnded))]);
    assert_eq!(house.broker.status().held_messages, 0);
    house.assert_durable();
}

#[test]
fn a_full_queue_answers_with_its_fate() {
    let mut house = house_with_service(); // hostile L30
    let limits = Limits { queue_messages_max: 2, ..Limits::default() };
    house.broker.set_limits(house.now, limits, &mut house.out);
    house.disconnect(2, Ending::Clean);
    for tag in 0..4 {
        house.say(1, ToBroker::Enqueue(Box::new(enqueue("x", Q1, None, tag))));
    }
    let full = MessageFate::Dropped(DropReason::QueueFull);
    assert_eq!(fates(&mut house, 1), [(2, full), (3, full)]);
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("x", Q1, Some(0), 9))));
    assert_eq!(fates(&mut house, 1), [(9, full)]);
}

#[test]
fn fates_and_expiries_go_on_after_a_restart() {
    let mut house = house_with_service();
    house.disconnect(2, Ending::Clean);
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(10), 1))));
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("b", Q1, Some(30), 2))));
    house.pass(Duration::from_secs(8));
    let now = Now::new(Instant::from_millis(77), house.now.unix_ms); // another monotonic clock
    let records = house.commits.iter().flatten().cloned();
    let mut later = House::around(Broker::restore(Limits::default(), 3, now, records));
    later.now = now;
    let back = |name, protocol| Connect { name, protocol, window: 1, ..connect("", false) };
    later.connect(1, back(service(), Protocol::Internal));
    later.pass(Duration::from_secs(1));
    assert_eq!(fates(&mut later, 1), []);
    later.pass(Duration::from_secs(1));
    assert_eq!(fates(&mut later, 1), [(1, MessageFate::Expired)]);
    later.connect(2, back(device(), Protocol::Lwm2m));
    let id = packet_ids(&later.heard(2))[0];
    later.say(2, ToBroker::Puback(id));
    assert_eq!(fates(&mut later, 1), [(2, MessageFate::Delivered)]);
}

#[test]
fn what_is_with_the_device_does_not_expire_but_what_is_given_up_does() {
    let mut house = house_with_service();
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(10), 1))));
    let id = packet_ids(&house.heard(2))[0];
    house.pass(Duration::from_secs(20));
    assert_eq!(fates(&mut house, 1), []);
    house.say(2, ToBroker::Park(id));
    house.say(2, ToBroker::Pause { duration: None });
    house.say(2, ToBroker::Drain { max: 5 });
    assert_eq!(house.heard(2), [FromBroker::Drained]);
    assert_eq!(fates(&mut house, 1), [(1, MessageFate::Expired)]);
    house.assert_durable();
}

#[test]
fn each_message_expires_at_its_own_time_wherever_it_stands() {
    let mut house = house_with_service();
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(50), 1))));
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("b", Q1, Some(20), 2))));
    house.disconnect(2, Ending::Abnormal); // "a" was sent, "b" was not
    for (seconds, told) in [(21, (2, MessageFate::Expired)), (30, (1, MessageFate::Expired))] {
        house.pass(Duration::from_secs(seconds));
        assert_eq!(fates(&mut house, 1), [told]);
    }
    house.assert_durable();
}

#[test]
fn what_a_sleeper_did_not_take_expires_while_it_sleeps() {
    // At the Pause itself, and at the end of a burst that another message ended.
    let mut house = house_with_service();
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(10), 1))));
    house.say(2, ToBroker::Pause { duration: None });
    house.pass(Duration::from_secs(11));
    assert_eq!(fates(&mut house, 1), [(1, MessageFate::Expired)]);

    let mut house = house_with_service();
    let device = Connect { name: device(), protocol: Protocol::Lwm2m, window: 2, ..connect("", false) };
    house.connect(4, device);
    house.say(4, ToBroker::Pause { duration: None });
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(10), 1))));
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("b", Q1, None, 2))));
    house.say(4, ToBroker::Drain { max: 5 });
    let ids = packet_ids(&house.heard(4));
    assert_eq!(ids.len(), 2);
    house.say(4, ToBroker::Park(ids[1]));
    assert_eq!(house.heard(4), [FromBroker::Drained]);
    house.pass(Duration::from_secs(11));
    assert_eq!(fates(&mut house, 1), [(1, MessageFate::Expired)]);
}

#[test]
fn a_burst_waits_for_nothing_that_expires_meanwhile() {
    let mut house = house_with_service();
    house.say(2, ToBroker::Pause { duration: None });
    house.connect(2, Connect { name: device(), protocol: Protocol::Lwm2m, credit: 0, ..connect("", false) });
    house.say(2, ToBroker::Pause { duration: None });
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, Some(10), 1))));
    house.say(2, ToBroker::Drain { max: 5 });
    assert_eq!(house.heard(2), [], "no credit");
    house.pass(Duration::from_secs(10));
    assert_eq!(house.heard(2), [FromBroker::Drained]);
}

#[test]
fn a_fate_without_a_hearer_is_counted() {
    let mut house = house_with_service();
    house.say(1, ToBroker::Enqueue(Box::new(enqueue("a", Q1, None, 1))));
    house.disconnect(1, Ending::Abnormal);
    let id = packet_ids(&house.heard(2))[0];
    house.say(2, ToBroker::Puback(id));
    assert_eq!(house.broker.counters().fates_unheard, 1);
}

#[test]
fn a_memo_is_kept_bounded_and_given_back() {
    let mut house = House::with(Limits { memo_bytes_max: 6, ..Limits::default() });
    house.connect(1, connect_sn("d", false));
    let stored = |tag, accepted| [FromBroker::MemoStored { tag, accepted }];
    let memo = |house: &mut House, update, tag| {
        house.say(1, ToBroker::Memo { update, tag });
        house.heard(1)
    };
    assert_eq!(memo(&mut house, MemoUpdate::Append(Bytes::from_static(b"abc")), 1), stored(1, true));
    assert_eq!(memo(&mut house, MemoUpdate::Append(Bytes::from_static(b"def")), 2), stored(2, true));
    assert_eq!(memo(&mut house, MemoUpdate::Append(Bytes::from_static(b"g")), 3), stored(3, false));
    house.assert_durable();
    let back = |house: &mut House, slot: u32| {
        house.say(slot, ToBroker::Connect(Box::new(connect_sn("d", false))));
        match house.heard(slot).remove(0) {
            FromBroker::Connack { memo, .. } => memo,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(back(&mut house, 2), "abcdef");
    assert_eq!(back(&mut House::around(house.replayed()), 2), "abcdef");
    house.say(2, ToBroker::Memo { update: MemoUpdate::Replace(Bytes::from_static(b"x")), tag: 4 });
    assert_eq!(house.heard(2), stored(4, true));
    assert_eq!(house.broker.counters().memo_refused, 1);
    house.assert_durable();
    house.connect(3, connect_sn("d", true));
    house.disconnect(3, Ending::Clean);
    assert_eq!(back(&mut house, 4), "", "gone with the session");
}
