//! Edges of the state machine, each with a test of its own: no larger test fails when one of these steps is missing.

use broker_core::frontend::{Actions, Frontend};
use broker_core::link::{FrontendId, PublishOutcome};
use broker_core::{FromBroker, LinkId, Message as AppMessage, Now, PacketId, QoS, ToBroker};

use super::topics::predefined;
use super::world::*;
use crate::client::State;
use crate::config::{Config, Network, ReflectGuard};
use crate::gateway::SnGateway;

/// A gateway without a broker: what it asks for is looked at, and answered by hand.
struct Alone {
    gateway: SnGateway,
    out: Actions,
}

const NOW: Now = Now::new(broker_core::Instant::from_millis(1_000_000), 1_700_000_000_000);

impl Alone {
    /// With the client "c1" at [`A`], connected. QoS −1 has its link.
    fn connected() -> (Alone, LinkId) {
        let mut alone = Alone { gateway: SnGateway::new(plain(), 0, 7), out: Actions::default() };
        alone.say(A, "08 04 04 01 003C 6331");
        let (link, _) = alone.out.requests.pop().expect("a Connect");
        alone.hear(
            link,
            FromBroker::Connack { session_present: false, memo: bytes::Bytes::new(), has_will: false },
        );
        assert_eq!(alone.sent(), [hex("03 05 00")]);
        alone.out.clear();
        (alone, link)
    }

    fn say(&mut self, from: &str, datagram: &str) {
        self.gateway.handle_datagram(NOW, &peer(from), &hex(datagram), &mut self.out);
    }

    fn hear(&mut self, link: LinkId, event: FromBroker) {
        self.gateway.handle_event(NOW, link, event, &mut self.out);
    }

    /// What was asked of the broker since the last time.
    fn asked(&mut self) -> Vec<ToBroker> {
        self.out.requests.drain(..).map(|(_, request)| request).collect()
    }

    /// What was sent since the last time.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let sent = self.out.outgoing().map(|(_, bytes)| bytes.to_vec()).collect();
        self.out.clear();
        sent
    }
}

fn delivery(packet: u16, qos: QoS) -> FromBroker {
    FromBroker::Publish(broker_core::link::Delivery {
        message: AppMessage::new("ab", b"1", qos, false),
        packet_id: PacketId::new(packet),
        qos,
        dup: false,
        retain: false,
        expires_unix_ms: 0,
    })
}

#[test]
fn an_event_for_a_client_that_is_gone_leads_to_nothing() {
    let (mut alone, link) = Alone::connected();
    alone.say(A, "02 18");
    assert!(matches!(alone.asked()[..], [ToBroker::Disconnect(_)]));
    alone.hear(link, delivery(1, QoS::AtMostOnce));
    assert!(alone.asked().is_empty());
}

#[test]
fn a_second_pubrec_before_the_brokers_word_is_not_passed_on() {
    let (mut alone, link) = Alone::connected();
    alone.hear(link, delivery(1, QoS::ExactlyOnce));
    assert_eq!(alone.sent(), [hex("08 0C 42 6162 0001 31")]);
    alone.say(A, "04 0F 0001");
    alone.say(A, "04 0F 0001");
    assert_eq!(alone.asked(), [ToBroker::Pubrec(PacketId::new(1).expect("not 0"))]);
    alone.hear(link, FromBroker::Pubrel(PacketId::new(1).expect("not 0")));
    assert_eq!(alone.sent(), [hex("04 10 0001")]);
}

#[test]
fn a_subscribe_behind_a_refused_qos_2_message_gets_its_own_answer() {
    let (mut alone, link) = Alone::connected();
    let packet_id = PacketId::new(9).expect("not 0");
    alone.say(A, "08 0C 42 6162 0009 31");
    alone.hear(link, FromBroker::Pubrec { packet_id, outcome: PublishOutcome::Denied });
    alone.say(A, "07 12 02 000A 6162");
    assert_eq!(alone.sent(), [hex("07 0D 6162 0009 03")]);
    alone.hear(link, FromBroker::Suback { packet_id: 10, granted: vec![Some(QoS::AtMostOnce)] });
    assert_eq!(alone.sent(), [hex("08 13 00 0000 000A 00")]);
    alone.hear(link, FromBroker::Pubcomp(packet_id));
    assert!(alone.sent().is_empty(), "nobody waits for this PUBCOMP");
}

#[test]
fn the_first_publish_without_a_session_asks_for_the_link_itself() {
    let mut alone = Alone { gateway: SnGateway::new(plain(), 0, 7), out: Actions::default() };
    alone.say(A, "08 0C 62 7431 0000 31");
    assert!(matches!(alone.asked()[..], [ToBroker::Connect(_), ToBroker::Publish { .. }]));
    alone.say(A, "08 0C 62 7431 0000 32");
    assert!(matches!(alone.asked()[..], [ToBroker::Publish { .. }]));
    let link = LinkId { slot: 0, generation: 1, frontend: FrontendId::MqttSn, worker: 0 };
    alone.hear(link, FromBroker::Refused(broker_core::link::RefuseReason::Busy));
    alone.say(A, "08 0C 62 7431 0000 33");
    assert!(alone.asked().is_empty(), "not at once again");
}

#[test]
fn the_link_for_publishes_without_a_session_is_asked_for_again_as_another_one() {
    let mut alone = Alone { gateway: SnGateway::new(plain(), 0, 7), out: Actions::default() };
    alone.gateway.handle_timeout(NOW, &mut alone.out);
    let (first, _) = alone.out.requests.pop().expect("a Connect");
    alone.hear(first, FromBroker::Refused(broker_core::link::RefuseReason::Busy));
    let again = alone.gateway.next_timeout().expect("it is tried again");
    assert_eq!(again, NOW.instant + std::time::Duration::from_secs(30));
    alone.gateway.handle_timeout(Now::new(again, NOW.unix_ms + 30_000), &mut alone.out);
    let (second, _) = alone.out.requests.pop().expect("a Connect");
    assert_ne!(first, second, "a link that is over stays over");
    alone.hear(first, FromBroker::Closed(broker_core::link::CloseReason::Kicked));
    alone.say(A, "08 0C 62 7431 0000 31");
    assert!(matches!(alone.asked()[..], [ToBroker::Publish { .. }]), "word of the first one means nothing");
}

#[test]
fn a_pingreq_of_a_sleeper_ends_the_handshake_of_whoever_has_the_address_now() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.send(A, "04 18 003C");
    w.connect_with(A2, "c2", 0x0C, 60);
    w.heard(A);
    assert_eq!(w.heard(A2), ["WILLTOPICREQ"]);
    w.send(A2, "04 16 6331");
    assert_eq!(w.heard(A2), ["PINGRESP"]);
    assert_eq!((w.state("c1"), w.state("c2")), (Some(State::Asleep), None));
}

#[test]
fn a_clean_connect_from_elsewhere_is_the_death_of_an_active_client() {
    // mqtt-sn-tools after a crash: another port, Clean=1 (§6.3).
    for (flags, died) in [(0x04, true), (0x00, false)] {
        let mut w = World::new();
        w.mqtt_subscribe("w/#");
        w.connect_with(A, "c1", 0x08, 60);
        w.send(A, "06 07 20 772F74");
        w.send(A, "05 09 627965");
        assert_eq!(w.heard(A).last().map(String::as_str), Some("CONNACK 0"));
        w.connect_with(A2, "c1", flags, 60);
        assert_eq!(w.heard(A2), ["CONNACK 0"]);
        assert_eq!(w.mqtt_heard().len(), usize::from(died), "flags {flags:#x}");
    }
}

#[test]
fn an_unsubscribed_predefined_topic_stays_so_over_a_restart() {
    for unsubscribe in [false, true] {
        let mut w = World::with(predefined());
        w.connect_with(A, "c1", 0x00, 0);
        w.send(A, "07 12 21 0001 0001");
        if unsubscribe {
            w.send(A, "07 14 01 0002 0001");
        }
        w.heard(A);
        w.restart();
        w.subscribe(A, "#", 1);
        w.mqtt_publish("/predefined/topic/name/hello", "1", 1);
        let first = w.heard(A);
        let expected =
            if unsubscribe { "REGISTER 1025 /predefined/topic/name/hello" } else { "PUBLISH p1 q1 1" };
        assert_eq!(first, [expected]);
    }
}

#[test]
fn who_slept_with_a_proven_identity_is_not_woken_without_it_after_a_restart() {
    let mut w = World::new();
    let mut proven = peer(A);
    proven.identity = Some("id".into());
    w.send_bytes(&proven, &hex("08 04 00 01 003C 6331"));
    w.send_bytes(&proven, &hex("04 18 003C"));
    assert_eq!(w.heard(A), ["CONNACK 0", "DISCONNECT"]);
    w.restart();
    w.send(A2, "04 16 6331");
    assert_eq!(w.heard(A2), ["DISCONNECT"]);
    assert_eq!(w.gateway.counters().rebind_refused, 1);
    proven.address = address(B);
    w.send_bytes(&proven, &hex("04 16 6331"));
    assert_eq!(w.heard(B), ["PINGRESP"]);
}

#[test]
fn the_guard_trusts_the_nodes_of_a_listed_forwarder_and_not_its_address() {
    let network = Network { address: address(A).remote.ip(), prefix: 32 };
    let config = Config { forwarders: vec![network], reflect_guard: ReflectGuard::All, ..plain() };
    for (connect, subscribe, guarded) in [
        ("05 FE 00 3131 08 04 04 01 0000 6331", "05 FE 00 3131 06 12 00 0007 23", false),
        ("08 04 04 01 0000 6331", "06 12 00 0007 23", true),
    ] {
        let mut w = World::with(config.clone());
        w.send(A, connect);
        w.send(A, subscribe);
        w.heard(A);
        for _ in 0..50 {
            w.mqtt_publish("ab", "0123456789", 0);
        }
        assert_eq!(w.heard(A).len() < 50, guarded, "{connect}");
    }
}

#[test]
fn who_has_moved_is_asked_again_to_show_that_it_is_there() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect(A, "c1");
    assert_eq!(w.subscribe(A, "ab", 0), 1025);
    for number in 0..20 {
        w.mqtt_publish("ab", &number.to_string(), 0);
    }
    let asked = |heard: Vec<String>| heard.iter().filter(|line| *line == "REGISTER 1025 ab").count();
    assert_eq!(asked(w.heard(A)), 1);
    w.send(A, "04 18 003C");
    w.send(A2, "04 16 6331");
    assert_eq!(asked(w.heard(A2)), 1, "another address");
}

#[test]
fn an_id_that_could_not_be_stored_is_not_handed_out_later() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.set_broker_limits(broker_core::Limits { memo_bytes_max: 1, ..broker_core::Limits::default() });
    for msg_id in [1, 2] {
        w.say(A, register(msg_id, "a/b"));
        assert_eq!(w.heard(A), [format!("REGACK 0 #{msg_id} 1")]);
    }
    w.set_broker_limits(broker_core::Limits::default());
    w.say(A, register(3, "a/b"));
    let heard = w.heard(A);
    assert!(heard[0].ends_with("#3 0"), "{heard:?}");
    w.restart();
    w.send(A, "06 12 00 0004 23");
    w.heard(A);
    w.mqtt_publish("a/b", "1", 0);
    assert!(w.heard(A)[0].starts_with("PUBLISH n"), "it is stored");
}

#[test]
fn a_session_that_has_its_address_back_gets_its_messages_again() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.subscribe(A, "ab", 1);
    w.connect(A, "c2"); // the port has a new owner
    w.send(A, "02 18");
    w.broker.set_authentication(true);
    w.connect_with(A, "c1", 0x00, 60);
    w.heard(A);
    w.refuse_authentication();
    assert_eq!(w.heard(A), ["CONNACK 3"]);
    w.send(A, "02 16");
    w.mqtt_publish("ab", "1", 1);
    assert_eq!(w.heard(A), ["PINGRESP", "PUBLISH n1025 q1 1"]);
}

#[test]
fn what_the_old_connection_sent_while_the_new_one_was_checked_is_a_repetition() {
    for place in [A, B] {
        let mut w = World::new();
        w.connect_with(A, "c1", 0x00, 60);
        w.subscribe(A, "t/+", 1);
        w.mqtt_publish("t/x", "1", 1);
        assert_eq!(w.heard(A), ["REGISTER 1025 t/x"]);
        w.broker.set_authentication(true);
        w.connect_with(place, "c1", 0x00, 60);
        if place == B {
            w.regack(A, 0);
            assert_eq!(w.heard(A), ["PUBLISH n1025 q1 1"]);
        }
        w.mqtt_publish("t/x", "2", 1);
        w.accept_authentication();
        w.heard(place);
        w.regack(place, 0);
        let dup = if place == B { "PUBLISH n1025 q1 DUP 1" } else { "PUBLISH n1025 q1 1" };
        assert_eq!(w.heard(place), [dup]);
        w.puback(place, 0);
        assert_eq!(w.heard(place), ["PUBLISH n1025 q1 2"]);
    }
}

#[test]
fn after_a_restart_an_active_client_is_where_it_had_moved_to() {
    let mut w = World::with(Config { rebind_active: true, ..plain() });
    w.connect_with(A, "c1", 0x00, 0);
    w.subscribe(A, "ab", 1);
    w.send(A2, "04 16 6331");
    w.heard(A);
    assert_eq!(w.heard(A2), ["PINGRESP"]);
    w.restart();
    w.mqtt_publish("ab", "1", 1);
    assert!(w.heard(A).is_empty(), "whoever is there now is nobody's business");
    assert_eq!(w.heard(A2), ["PUBLISH n1025 q1 1"]);
}

#[test]
fn a_client_without_keep_alive_is_lost_when_it_is_not_heard_for_a_day() {
    for idle_timeout in [Some(std::time::Duration::from_secs(24 * 3600)), None] {
        let limits = crate::limits::Limits { idle_timeout, ..crate::limits::Limits::default() };
        let mut w = World::with(Config { limits, ..plain() });
        w.mqtt_subscribe("w/#");
        w.connect_with(A, "c1", 0x08, 0);
        w.send(A, "06 07 20 772F74");
        w.send(A, "05 09 627965");
        w.pass_seconds(23 * 3600);
        w.send(A, "02 17"); // anything
        w.pass_seconds(23 * 3600);
        assert_eq!(w.state("c1"), Some(State::Active));
        w.heard(A);
        w.pass_seconds(3601);
        let lost = idle_timeout.is_some();
        assert_eq!(w.state("c1").is_none(), lost);
        assert_eq!(w.mqtt_heard().len(), usize::from(lost), "its will");
        assert_eq!(w.heard(A).len(), usize::from(lost), "DISCONNECT");
    }
}

#[test]
fn one_port_with_many_client_ids_leaves_no_sessions_behind() {
    let mut w = World::new();
    let before = w.broker.status().sessions;
    for number in 0..500 {
        w.connect_with(A, &format!("flood{number}"), 0x04, 0);
    }
    assert_eq!(w.gateway.clients(), 1);
    assert_eq!(w.broker.status().sessions, before + 1);
    // Who has something in it stays, for it may be heard from elsewhere.
    w.subscribe(A, "ab", 1);
    w.connect_with(A, "another", 0x04, 0);
    assert_eq!(w.gateway.clients(), 2);
}

/// Two persistent clients, of which the second has taken the address of the first, which is owed "1".
fn displaced(config: Config, flags: u8, keep_alive: u16) -> World {
    let mut w = World::with(config);
    w.connect_with(A, "c1", flags, keep_alive);
    w.subscribe(A, "ab", 1);
    w.mqtt_publish("ab", "1", 1);
    w.heard(A);
    w.connect_with(A, "c2", 0x00, 0);
    w.subscribe(A, "cd", 1);
    w.heard(A);
    w
}

#[test]
fn after_a_restart_an_address_belongs_to_who_used_it_last() {
    let config = Config { rebind_active: true, rebind: crate::config::Rebind::Any, ..plain() };
    for first in ["ab", "cd"] {
        let mut w = displaced(config.clone(), 0x00, 0);
        w.restart();
        w.heard(A);
        for topic in [first, if first == "ab" { "cd" } else { "ab" }] {
            w.mqtt_publish(topic, "2", 1);
        }
        assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"], "c2's");
        w.puback(A, 0);
        assert!(w.heard(A).is_empty());
        w.send(B, "04 16 6331");
        let mut got = w.heard(B);
        for _ in 0..2 {
            w.puback(B, 0);
            got.extend(w.heard(B));
        }
        assert_eq!(got, ["PUBLISH n1025 q1 DUP 1", "PUBLISH n1025 q1 2", "PINGRESP"]);
    }
}

#[test]
fn a_client_without_an_address_ends_by_its_keep_alive_also_after_a_restart() {
    for (flags, offline) in [(0x04, 0), (0x00, 1)] {
        let mut w = displaced(plain(), flags, 60);
        w.restart();
        w.pass_seconds(80);
        let before = w.broker.status();
        w.pass_seconds(20);
        assert!(w.state("c1").is_none(), "flags {flags:#x}");
        let after = w.broker.status();
        assert_eq!((before.sessions - after.sessions, after.disconnected), (1 - offline, offline), "parked");
    }
}

#[test]
fn goodbye_is_answered_by_goodbye_alone() {
    for goodbye in ["02 18", "04 18 003C"] {
        let mut w = World::new();
        w.connect_with(A, "c1", 0x00, 0);
        w.subscribe(A, "t/+", 1);
        w.mqtt_publish("t/x", "1", 1);
        w.heard(A);
        w.regack(A, 1); // busy; but it will need the topic itself
        w.register(A, "t/x");
        w.send(A, goodbye);
        assert_eq!(w.heard(A), ["DISCONNECT"], "{goodbye}");
    }
}

#[test]
fn two_messages_that_never_left_are_no_repetitions_for_the_third_connection_either() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.subscribe(A, "t/+", 1);
    w.mqtt_publish("t/x", "1", 1);
    w.mqtt_publish("t/y", "2", 1);
    w.pass_seconds(65); // "1" is given up, "2" is under way
    for place in [B, A2] {
        w.connect_with(place, "c1", 0x00, 0);
    }
    w.heard(A2);
    let mut got = Vec::new();
    for _ in 0..4 {
        w.regack(A2, 0);
        got.extend(w.heard(A2).into_iter().filter(|it| it.starts_with("PUBLISH")));
        w.puback(A2, 0);
        got.extend(w.heard(A2).into_iter().filter(|it| it.starts_with("PUBLISH")));
    }
    assert_eq!(got, ["PUBLISH n1025 q1 1", "PUBLISH n1026 q1 2"]);
}

#[test]
fn what_came_while_a_refused_connect_was_checked_is_delivered() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x00, 0);
    w.subscribe(A, "ab", 1);
    w.broker.set_authentication(true);
    w.connect_with(A, "c1", 0x04, 60);
    w.mqtt_publish("ab", "1", 1);
    w.heard(A);
    w.refuse_authentication();
    assert_eq!(w.heard(A), ["CONNACK 3", "PUBLISH n1025 q1 1"]);
    w.puback(A, 0);
    w.mqtt_publish("ab", "2", 1);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q1 2"]);
}
