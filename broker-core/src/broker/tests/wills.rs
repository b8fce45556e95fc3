//! Wills: when they go out, when not, and how they are changed.
use super::*;

fn watched() -> House {
    let mut house = House::new();
    house.client(9, "w");
    house.subscribe(9, "#", Q2);
    house
}

fn with_will(base: Connect) -> Connect {
    Connect { will: ConnectWill::Set(will("w", "gone", Q1, false)), ..base }
}

#[test]
fn a_will_goes_out_at_every_bad_end_and_at_no_good_one() {
    let cases: [(Ending, &[&str]); 2] = [(Ending::Clean, &[]), (Ending::Abnormal, &["w=gone/1"])];
    for (ending, expected) in cases {
        for clean in [true, false] {
            let mut house = watched();
            house.connect(1, with_will(connect("a", clean)));
            house.disconnect(1, ending);
            assert_eq!(house.messages(9), expected);
            house.connect(2, connect("a", clean));
            house.disconnect(2, Ending::Abnormal);
            assert_eq!(
                house.messages(9),
                Vec::<String>::new(),
                "it is gone with its connection ([MQTT-3.1.2-10])"
            );
        }
    }
}

#[test]
fn a_takeover_decides_by_the_newcomers_word() {
    use TakeoverWill::{Keep, Publish, PublishIfClean};
    for (takeover_will, clean, expected) in [
        (Publish, false, 1),
        (Publish, true, 1),
        (PublishIfClean, false, 0),
        (PublishIfClean, true, 1),
        (Keep, true, 0),
    ] {
        let mut house = watched();
        house.connect(1, with_will(connect("a", false)));
        house.connect(2, Connect { takeover_will, ..connect("a", clean) });
        assert_eq!(house.messages(9).len(), expected, "{takeover_will:?} clean={clean}");
        house.disconnect(2, Ending::Abnormal);
        assert_eq!(house.messages(9).len(), 0, "the newcomer has no will");
    }
}

#[test]
fn a_sleepers_will_does_not_go_out_when_it_is_taken_over() {
    let mut house = watched();
    house.connect(1, with_will(connect_sn("a", true)));
    house.pause(1, 100);
    house.connect(2, connect_sn("a", true));
    assert_eq!(house.messages(9), Vec::<String>::new());
}

#[test]
fn a_will_of_the_session_is_published_once_for_each_time_it_is_armed() {
    let mut house = watched();
    house.connect(1, with_will(connect_sn("a", false)));
    house.disconnect(1, Ending::Abnormal);
    assert_eq!(house.messages(9), ["w=gone/1"]);
    house.connect(2, Connect { will: ConnectWill::KeepStored, ..connect_sn("a", false) });
    house.disconnect(2, Ending::Clean);
    assert_eq!(house.messages(9), Vec::<String>::new());
    let mut later = House::around(house.replayed());
    later.now = house.now;
    later.client(9, "w");
    later.subscribe(9, "#", Q2);
    for house in [&mut house, &mut later] {
        house.say(
            3,
            ToBroker::Connect(Box::new(Connect { will: ConnectWill::KeepStored, ..connect_sn("a", false) })),
        );
        assert!(matches!(house.heard(3)[..], [FromBroker::Connack { has_will: true, .. }]));
        house.disconnect(3, Ending::Abnormal);
        assert_eq!(house.messages(9), ["w=gone/1"]);
        house.connect(4, Connect { will: ConnectWill::None, ..connect_sn("a", false) });
        house.disconnect(4, Ending::Abnormal);
        assert_eq!(house.messages(9), Vec::<String>::new(), "deleted");
    }
}

#[test]
fn a_will_is_changed_in_parts() {
    let mut house = watched();
    house.connect(1, connect_sn("a", false));
    let update = |house: &mut House, update| {
        house.say(1, ToBroker::Will(update));
        house.heard(1)
    };
    let said = |accepted| [FromBroker::WillUpdated { accepted }];
    assert_eq!(update(&mut house, WillUpdate::Payload("x".into())), said(false), "there is none");
    let topic = |qos| WillUpdate::Topic { topic: "new".into(), qos, retain: true };
    assert_eq!(update(&mut house, topic(Q0)), said(true));
    assert_eq!(update(&mut house, WillUpdate::Payload("p".into())), said(true));
    assert_eq!(update(&mut house, topic(Q1)), said(true));
    house.assert_durable();
    let huge = WillUpdate::Payload(vec![0; 1 << 20].into());
    assert_eq!(update(&mut house, huge), said(false));
    house.disconnect(1, Ending::Abnormal);
    assert_eq!(house.messages(9), ["new=p/1"]);
    assert_eq!(house.broker.status().retained, 1, "a retained will");
    house.connect(2, Connect { will: ConnectWill::KeepStored, ..connect_sn("a", false) });
    house.say(2, ToBroker::Will(WillUpdate::Delete));
    house.disconnect(2, Ending::Abnormal);
    assert_eq!(house.messages(9), Vec::<String>::new());
    house.assert_durable();
}

#[test]
fn a_will_is_a_publish_under_the_acl() {
    let mut house = watched(); // hostile M25, N14
    house.subscribe(9, "$SYS/#", Q2);
    let forged = ConnectWill::Set(will("$SYS/x", "forged", Q1, true));
    house.connect(1, Connect { will: forged, ..connect("a", true) });
    house.disconnect(1, Ending::Abnormal);
    assert_eq!(house.heard(9), []);
    assert_eq!(house.broker.counters().publishes_denied, 1);
    assert_eq!(house.broker.counters().wills_published, 0);
}

#[test]
fn a_client_with_a_session_gets_its_own_will_later() {
    let mut house = House::new();
    house.connect(1, with_will(connect("a", false)));
    house.subscribe(1, "w", Q1);
    house.disconnect(1, Ending::Abnormal);
    house.connect(2, with_will(connect("a", false)));
    let events = house.heard(2);
    assert_eq!(events.iter().filter_map(shown).collect::<Vec<_>>(), ["w=gone/1"]);
    house.say(2, ToBroker::Puback(packet_ids(&events)[0]));
    house.connect(3, connect("a", false)); // a takeover
    assert_eq!(house.messages(3), ["w=gone/1"], "not before its Connack, and no repeat of anything");
}
