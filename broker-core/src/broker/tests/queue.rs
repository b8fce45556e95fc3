//! The one queue: credit, order, what happens when it is full.
use super::super::attach::mix;
use super::*;

const COST: u32 = 2 + DELIVERY_OVERHEAD as u32; // topic "t", one byte of payload

#[test]
fn nothing_goes_without_credit_and_one_message_may_overdraw_it() {
    let mut house = House::new();
    house.connect(1, Connect { credit: 1, ..connect("s", true) });
    house.subscribe(1, "t", Q1);
    for n in 0..4 {
        house.publish(1, "t", &n.to_string(), if n % 2 == 0 { Q0 } else { Q1 });
    }
    assert_eq!(house.messages(1), ["t=0/0"]);
    house.say(1, ToBroker::Credit { bytes: COST - 1 });
    assert_eq!(house.messages(1), Vec::<String>::new(), "still at zero");
    house.say(1, ToBroker::Credit { bytes: 1 });
    assert_eq!(house.messages(1), ["t=1/1"]);
    house.say(1, ToBroker::Credit { bytes: 10 * COST });
    assert_eq!(house.messages(1), ["t=2/0", "t=3/1"]);
}

#[test]
fn only_qos_0_overtakes_and_only_what_lacks_a_slot() {
    let mut house = House::new();
    house.connect(1, Connect { window: 1, ..connect("s", true) });
    house.subscribe(1, "t", Q1);
    house.publish(1, "t", "1", Q1);
    house.publish(1, "t", "2", Q1);
    house.publish(1, "t", "3", Q0);
    let events = house.heard(1);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["t=1/1", "t=3/0"]);
    house.say(1, ToBroker::Puback(packet_ids(&events)[0]));
    assert_eq!(house.messages(1), ["t=2/1"]);
}

/// Random traffic, credit and acks: a QoS 1/2 message never passes an older QoS 0 one, each list keeps its order, and
/// nothing is lost while the queue is large enough.
#[test]
fn order_holds_whatever_the_credit_and_the_window() {
    for seed in 0..200 {
        let mut count = 0;
        let mut dice = |n: u64| {
            count += 1;
            mix(seed, count) % n
        };
        let mut house = House::new();
        let (window, credit) = (1 + dice(3) as u16, dice(100) as u32);
        house.connect(1, Connect { window, credit, ..connect("s", true) });
        house.subscribe(1, "t", Q1);
        house.client(2, "p");
        let (mut sent, mut got, mut unacked) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..300u32 {
            match dice(4) {
                0 | 1 => {
                    let qos = if dice(2) == 0 { Q0 } else { Q1 };
                    house.publish(2, "t", &n.to_string(), qos);
                    sent.push((n, qos));
                }
                2 => house.say(1, ToBroker::Credit { bytes: dice(60) as u32 }),
                _ => {
                    if !unacked.is_empty() {
                        let at = dice(unacked.len() as u64) as usize;
                        house.say(1, ToBroker::Puback(unacked.remove(at)));
                    }
                }
            }
            for event in house.heard(1) {
                if let FromBroker::Publish(delivery) = event {
                    let number: u32 =
                        std::str::from_utf8(delivery.message.payload()).unwrap().parse().unwrap();
                    unacked.extend(delivery.packet_id);
                    got.push((number, delivery.qos));
                }
            }
        }
        house.say(1, ToBroker::Credit { bytes: 1 << 20 });
        for _ in 0..300 {
            for event in house.heard(1) {
                if let FromBroker::Publish(delivery) = event {
                    let number: u32 =
                        std::str::from_utf8(delivery.message.payload()).unwrap().parse().unwrap();
                    unacked.extend(delivery.packet_id);
                    got.push((number, delivery.qos));
                }
            }
            if let Some(packet_id) = unacked.pop() {
                house.say(1, ToBroker::Puback(packet_id));
            }
        }
        for qos in [Q0, Q1] {
            let of = |list: &[(u32, QoS)]| -> Vec<u32> {
                list.iter().filter(|(_, of)| *of == qos).map(|(number, _)| *number).collect()
            };
            assert_eq!(of(&got), of(&sent), "seed {seed} {qos:?}");
        }
        for (at, (number, qos)) in got.iter().enumerate() {
            let overtaken = got[at + 1..].iter().any(|(later, of)| later < number && *of == Q0);
            assert!(*qos == Q0 || !overtaken, "seed {seed}: {number} passed an older QoS 0 message: {got:?}");
        }
    }
}

#[test]
fn a_full_queue_drops_qos_0_first_and_then_the_newcomer() {
    let limits = Limits { queue_messages_max: 3, queue_qos0_offline: true, ..Limits::default() };
    let mut house = House::with(limits);
    house.connect(1, Connect { queue_qos0: QueueQos0::ALWAYS, ..connect("s", false) });
    house.subscribe(1, "t", Q1);
    house.disconnect(1, Ending::Clean);
    house.client(2, "p");
    for (payload, qos) in [("a", Q0), ("b", Q1), ("c", Q0), ("d", Q0), ("e", Q1), ("f", Q1), ("g", Q1)] {
        house.publish(2, "t", payload, qos);
    }
    assert_eq!(house.broker.counters().drops.of(DropReason::QueueFull), 4); // d, a, c, g
    house.assert_durable();
    house.connect(3, Connect { queue_qos0: QueueQos0::ALWAYS, ..connect("s", false) });
    assert_eq!(house.messages(3), ["t=b/1", "t=e/1", "t=f/1"]);
}

#[test]
fn bytes_are_bounded_per_session_and_over_all() {
    let limits = Limits { queue_bytes_max: 1000, queue_bytes_total_max: 1500, ..Limits::default() };
    let mut house = House::with(limits);
    for (slot, id) in [(1, "a"), (2, "b")] {
        house.connect(slot, connect(id, false));
        house.subscribe(slot, id, Q1);
        house.disconnect(slot, Ending::Clean);
    }
    house.client(3, "p");
    let payload = "x".repeat(399);
    for _ in 0..3 {
        house.publish(3, "a", &payload, Q1);
    }
    assert_eq!(house.broker.counters().drops.of(DropReason::QueueFull), 1);
    house.publish(3, "b", &payload, Q1);
    house.publish(3, "b", &payload, Q1);
    assert_eq!(house.broker.counters().drops.of(DropReason::Memory), 1);
    house.publish(3, "b", &"x".repeat(1000), Q1);
    assert_eq!(house.broker.counters().drops.of(DropReason::TooLarge), 1);
    assert_eq!(house.broker.status().held_bytes, 1200);
    house.connect(4, connect("a", false));
    house.connect(5, connect("b", false));
    assert_eq!(house.messages(4).len() + house.messages(5).len(), 3);
    assert_eq!(house.broker.counters().drops.missed(), 3);
}

#[test]
fn a_reader_that_never_acknowledges_holds_bounded_bytes_in_flight() {
    let mut house = House::with(Limits { queue_bytes_max: 10_000, ..Limits::default() });
    house.connect(1, Connect { credit: u32::MAX, ..connect("s", true) });
    house.subscribe(1, "t", Q1);
    house.client(2, "p");
    for _ in 0..32 {
        house.publish(2, "t", &"x".repeat(6_000), Q1);
    }
    assert_eq!(house.messages(1).len(), 1, "a second one would exceed the bytes");
    assert!(house.broker.status().held_bytes <= 2 * 10_000);
    let limits = Limits { queue_bytes_total_max: 13_000, ..Limits::default() };
    house.broker.set_limits(house.now, limits, &mut house.out);
    house.connect(4, Connect { credit: u32::MAX, ..connect("s3", true) });
    house.subscribe(4, "u", Q1);
    house.publish(2, "u", &"x".repeat(6_000), Q1);
    assert_eq!(house.messages(4).len(), 0, "over the bytes of all");
    assert_eq!(house.broker.counters().drops.of(DropReason::Memory), 1);
    let limits = Limits { queue_bytes_max: 10_000, ..Limits::default() };
    house.broker.set_limits(house.now, limits, &mut house.out);
    // one of any size passes when nothing else is in flight
    house.connect(3, Connect { credit: u32::MAX, ..connect("s2", true) });
    house.subscribe(3, "big", Q1);
    house.publish(2, "big", &"x".repeat(20_000), Q1);
    assert_eq!(house.messages(3).len(), 1);
}

#[test]
fn qos_0_of_a_slow_reader_goes_with_its_link_unless_it_is_to_be_kept() {
    for keep in [false, true] {
        let mut house = House::new();
        let slow = || Connect {
            credit: 0,
            queue_qos0: QueueQos0 { asleep: keep, offline: keep },
            ..connect("s", false)
        };
        house.connect(1, slow());
        house.subscribe(1, "t", Q1);
        house.client(2, "p");
        house.publish(2, "t", "0", Q0);
        house.publish(2, "t", "1", Q1);
        house.disconnect(1, Ending::Abnormal);
        house.publish(2, "t", "2", Q0);
        house.assert_durable();
        let mut later = House::around(house.replayed());
        later.now = house.now;
        for house in [&mut house, &mut later] {
            house.connect(3, Connect { credit: 1000, ..slow() });
            let expected = if keep { vec!["t=0/0", "t=1/1", "t=2/0"] } else { vec!["t=1/1"] };
            assert_eq!(house.messages(3), expected);
        }
        let dropped = house.broker.counters().drops.of(DropReason::Offline);
        assert_eq!(dropped, if keep { 0 } else { 2 });
    }
}

#[test]
fn a_session_keeps_no_memory_for_messages_that_are_done() {
    let mut house = House::new();
    house.connect(1, Connect { queue_qos0: QueueQos0::ALWAYS, ..connect("s", false) });
    house.subscribe(1, "t", Q2);
    house.client(2, "p");
    let holds = |house: &House| {
        let slot = house.broker.sessions.find(&name("s")).expect("it is there");
        let session = house.broker.sessions.get(slot).expect("it is there");
        (session.outgoing.is_some(), session.incoming.is_some())
    };
    assert_eq!(holds(&house), (false, false));
    // To the session, at each QoS.
    house.publish(2, "t", "a", Q1);
    assert_eq!(holds(&house), (true, false));
    let id = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Puback(id));
    assert_eq!(holds(&house), (false, false));
    house.publish(2, "t", "b", Q2);
    house.say(2, ToBroker::Pubrel(pid(1)));
    let id = packet_ids(&house.heard(1))[0];
    house.say(1, ToBroker::Pubrec(id));
    assert_eq!(holds(&house), (true, false));
    house.say(1, ToBroker::Pubcomp(id));
    assert_eq!(holds(&house), (false, false));
    // From the session.
    house.publish(1, "other", "c", Q2);
    assert_eq!(holds(&house), (false, true));
    house.say(1, ToBroker::Pubrel(pid(1)));
    assert_eq!(holds(&house), (false, false));
    // From its queue.
    house.pause(1, 60);
    house.publish(2, "t", "d", Q0);
    assert_eq!(holds(&house), (true, false));
    house.heard(1);
    house.say(1, ToBroker::Drain { max: 10 });
    assert_eq!(house.messages(1), ["t=d/0"]);
    assert_eq!(holds(&house), (false, false));
    house.assert_durable();
}

#[test]
fn messages_keep_their_order_across_sessions_that_take_turns_with_the_same_memory() {
    let mut house = House::new();
    for slot in 1..=3 {
        house.connect(slot, Connect { window: 1, ..connect(&format!("s{slot}"), false) });
        house.subscribe(slot, &format!("t{slot}"), Q1);
    }
    house.client(9, "p");
    for round in 0..20 {
        for slot in [1, 2, 3, 2, 1] {
            house.publish(9, &format!("t{slot}"), &round.to_string(), Q1);
        }
        for slot in 1..=3 {
            let expected = if slot == 3 { 1 } else { 2 };
            for _ in 0..expected {
                let heard = house.heard(slot);
                assert_eq!(
                    heard.iter().filter_map(shown).collect::<Vec<_>>(),
                    [format!("t{slot}={round}/1")]
                );
                house.say(slot, ToBroker::Puback(packet_ids(&heard)[0]));
            }
            assert_eq!(house.messages(slot), Vec::<String>::new());
        }
    }
    house.assert_durable();
}
