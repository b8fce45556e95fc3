//! Discovery, forwarders, groups, and the reflection guard (MQTT-SN §6.1, §5.5).

use broker_core::Now;
use broker_core::frontend::{Actions, Address, Frontend, ListenerId, Peer};
use broker_core::link::Notice;

use super::world::*;
use crate::client::State;
use crate::config::{Config, Network, Rate, Rates, ReflectGuard};
use crate::limits::Limits;

const GROUP: &str = "225.1.1.1:1883";
const FORWARDER: &str = "10.9.9.9:4000";
/// An address that is globally routable.
const PUBLIC: &str = "203.0.113.5:1000";

fn groups() -> Config {
    Config { groups: vec![group(GROUP, 9)], ..plain() }
}

/// Heard on the group that the listener with this number is for.
fn on_listener(from: &str, number: u16) -> Peer {
    let mut peer = Peer { group: true, ..peer(from) };
    peer.address.listener = ListenerId(number);
    peer
}

fn on_group(from: &str) -> Peer {
    on_listener(from, 9)
}

#[test]
fn t_broadcast_test1_a_unicast_search_is_answered_to_the_searcher() {
    let mut w = World::with(groups());
    w.send(A, "03 01 00");
    assert_eq!(w.heard_bytes(A), [hex("03 02 01")]);
    assert!(w.sent.iter().all(|(_, _, bytes)| bytes[1] != 0x02 || bytes.len() == 3));
    let mut w = World::with(Config { gateway_id: 7, ..plain() });
    w.connect(A, "c1");
    w.send(A, "03 01 00");
    assert_eq!(w.heard(A), ["GWINFO 7"], "clients may ask too");
    assert_eq!(w.state("c1"), Some(State::Active));
}

#[test]
fn advertise_goes_to_the_group_in_seconds_at_start_and_every_period() {
    let mut w = World::with(groups());
    assert_eq!(w.heard_bytes(GROUP), [hex("05 00 01 0384")]);
    w.pass_seconds(899);
    assert!(w.heard(GROUP).is_empty());
    w.pass_seconds(2);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 1 900"]);
    assert!(w.sent.iter().all(|(_, ttl, _)| *ttl == Some(1)));
}

#[test]
fn a_search_on_a_group_is_answered_to_the_group_with_its_radius_as_ttl() {
    let mut w = World::with(groups());
    w.heard(GROUP);
    w.send_bytes(&on_group(A), &hex("03 01 05"));
    assert_eq!(w.heard(GROUP), ["GWINFO 1"]);
    assert_eq!(w.sent.last().map(|(_, ttl, _)| *ttl), Some(Some(5)));
    w.send_bytes(&on_group(A), &hex("03 01 05"));
    assert!(w.heard(GROUP).is_empty(), "once in five seconds");
    assert_eq!(w.heard(A), ["GWINFO 1"], "and to the searcher in between");
    w.pass_seconds(5);
    w.send_bytes(&on_group(A), &hex("03 01 00"));
    assert_eq!(w.heard(GROUP), ["GWINFO 1"]);
    assert_eq!(w.sent.last().map(|(_, ttl, _)| *ttl), Some(Some(1)), "radius 0: the group's own TTL");
}

#[test]
fn a_flood_of_searches_is_answered_up_to_the_bucket() {
    let mut w = World::with(groups());
    w.heard(GROUP);
    for _ in 0..10_000 {
        w.gateway_only(&peer(PUBLIC), &hex("03 01 00"));
        w.gateway_only(&on_group(PUBLIC), &hex("03 01 00"));
    }
    w.run();
    assert_eq!(w.heard(PUBLIC).len(), 10);
    assert_eq!(w.heard(GROUP).len(), 1);
    for number in 0..10_000u32 {
        let from = format!("{}.{}.1.1:1000", 30 + number / 250, number % 250);
        w.gateway_only(&peer(&from), &hex("03 01 00"));
    }
    w.run();
    assert!(w.sent.len() < 1100, "{} over all addresses", w.sent.len());
}

#[test]
fn only_discovery_is_heard_on_a_group() {
    let mut w = World::with(groups());
    w.mqtt_subscribe("#");
    for message in ["08 04 04 01 003C 6331", "08 0C 62 7431 0000 31", "02 16", "02 18"] {
        w.send_bytes(&on_group(A), &hex(message));
    }
    assert!(w.heard(A).is_empty() && w.mqtt_heard().is_empty());
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn a_standby_gateway_is_silent_until_the_other_is_gone() {
    let mut w = World::with(Config { standby_for: Some(9), gateway_id: 2, ..groups() });
    assert!(w.heard(GROUP).is_empty());
    w.send_bytes(&on_group(B), &hex("05 00 09 0064"));
    w.send_bytes(&on_group(A), &hex("03 01 01"));
    assert!(w.heard(GROUP).is_empty() && w.heard(A).is_empty());
    w.send(A, "03 01 01");
    assert_eq!(w.heard(A), ["GWINFO 2"], "who asks it directly is answered");
    w.pass_seconds(299);
    assert!(w.heard(GROUP).is_empty());
    w.pass_seconds(2);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 2 900"]);
    w.connect(A, "c1");
    w.send_bytes(&on_group(B), &hex("05 00 09 0064"));
    w.send_bytes(&on_group(A2), &hex("03 01 01"));
    assert!(w.heard(GROUP).is_empty() && w.heard(A2).is_empty(), "back to stand-by");
    assert_eq!(w.state("c1"), Some(State::Active), "its clients stay");
}

#[test]
fn a_clients_gwinfo_on_behalf_of_the_other_gateway_is_no_sign_of_its_life() {
    let mut w = World::with(Config { standby_for: Some(9), gateway_id: 2, ..groups() });
    w.send_bytes(&on_group(B), &hex("05 00 09 0064"));
    w.pass_seconds(200);
    w.send_bytes(&on_group(A), &hex("05 02 09 C002")); // with GwAdd
    w.pass_seconds(101);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 2 900"]);
    assert_eq!(w.gateway.counters().standby_takeovers, 1);
    w.send_bytes(&on_group(B), &hex("03 02 09")); // its own
    w.send_bytes(&on_group(A), &hex("03 01 01"));
    assert!(w.heard(GROUP).is_empty(), "it is back");
    assert_eq!(w.gateway.counters().searches_left, 1);
}

#[test]
fn an_answer_goes_to_the_group_that_was_asked_and_leaves_from_the_service_listener() {
    let (v6, broadcast) = ("[ff03::1]:1883", "255.255.255.255:1884");
    let all = vec![group(GROUP, 9), group(v6, 10), group(broadcast, 11)];
    let mut w = World::with(Config { groups: all, ..plain() });
    for place in [GROUP, v6, broadcast] {
        assert_eq!(w.heard(place), ["ADVERTISE 1 900"]);
    }
    w.send_bytes(&on_listener(A, 11), &hex("03 01 00"));
    assert_eq!(w.heard(broadcast), ["GWINFO 1"]);
    w.send_bytes(&on_listener(A, 9), &hex("03 01 00"));
    assert_eq!(w.heard(GROUP), ["GWINFO 1"], "each group has five seconds of its own");
    assert!(w.heard(v6).is_empty() && w.heard(broadcast).is_empty() && w.heard(A).is_empty());
    w.send_bytes(&on_listener(A, 9), &hex("03 01 00"));
    assert_eq!(w.heard(A), ["GWINFO 1"]);
    assert!(w.sent.iter().all(|(to, ..)| to.listener == ListenerId(0)), "nobody sends from a group's port");
    w.send_bytes(&on_listener(A, 77), &hex("03 01 00"));
    assert_eq!(w.heard(A), ["GWINFO 1"], "a broadcast that no group was set up for");
}

#[test]
fn a_gateway_in_standby_believes_groups_and_forwarders_and_nobody_else() {
    let standby = Config { standby_for: Some(9), gateway_id: 2, ..forwarders() };
    let mut w = World::with(Config { groups: groups().groups, ..standby });
    w.send(A, "05 00 09 FFFF");
    w.send(A, "05 00 02 0384");
    w.pass_seconds(2699);
    assert!(w.heard(GROUP).is_empty());
    assert_eq!((w.gateway.counters().same_gateway_id, w.gateway.counters().out_of_place), (0, 2));
    w.send(FORWARDER, "03 FE 00 05 00 09 0010");
    w.pass_seconds(47);
    assert!(w.heard(GROUP).is_empty(), "through a forwarder it was heard");
    w.pass_seconds(2);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 2 900"]);
}

#[test]
fn a_forwarder_has_nothing_to_say_on_a_group() {
    let mut w = World::with(Config { groups: groups().groups, ..forwarders() });
    w.heard(GROUP);
    w.send_bytes(&on_group(FORWARDER), &hex("04 FE 01 AA 03 01 00"));
    assert!(w.heard(GROUP).is_empty() && w.heard(FORWARDER).is_empty());
}

#[test]
fn groups_that_could_not_be_reached_hear_of_us_again_when_asked_for() {
    let mut w = World::with(groups());
    assert_eq!(w.heard(GROUP).len(), 1);
    w.pass_seconds(5);
    let now = w.now;
    w.gateway.announce(now);
    w.pass_seconds(1);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 1 900"]);
    w.pass_seconds(898);
    assert!(w.heard(GROUP).is_empty(), "and from then on every period");
    let mut w = World::with(Config { standby_for: Some(9), gateway_id: 2, ..groups() });
    let now = w.now;
    w.gateway.announce(now);
    w.pass_seconds(1);
    assert!(w.heard(GROUP).is_empty(), "stand-by stays silent");
}

#[test]
fn groups_come_and_go_while_it_runs() {
    let mut w = World::new();
    w.pass_seconds(100);
    let now = w.now;
    w.gateway.set_groups(now, vec![group(GROUP, 9)]);
    w.pass_seconds(1);
    assert_eq!(w.heard(GROUP), ["ADVERTISE 1 900"], "at once");
    let now = w.now;
    w.gateway.set_groups(now, Vec::new());
    w.pass_seconds(2000);
    w.send_bytes(&on_group(A), &hex("03 01 00"));
    assert!(w.heard(GROUP).is_empty());
}

/// What the gateway has to say to the operator about this datagram.
fn notices(config: Config, from: &Peer, datagram: &str) -> Vec<Notice> {
    let mut gateway = crate::SnGateway::new(config, 0, 7);
    let mut out = Actions::default();
    let now = Now::new(broker_core::Instant::from_millis(1_000_000), 1_700_000_000_000);
    gateway.handle_datagram(now, from, &hex(datagram), &mut out);
    out.notices
}

#[test]
fn the_operator_hears_who_searched_and_where_the_answer_went() {
    let config = || Config { gateway_id: 7, ..groups() };
    let remote = address(A).remote;
    let searched = |group, listener, local| {
        [Notice::Searched { remote, gateway_id: 7, listener: ListenerId(listener), local, group }]
    };
    let group = Some(address(GROUP).remote);
    assert_eq!(notices(config(), &on_group(A), "03 01 00"), searched(group, 0, None));
    let local = Some("10.0.0.254".parse().expect("an address"));
    let mut from = peer(A);
    from.address = Address { local, listener: ListenerId(3), ..from.address };
    assert_eq!(notices(config(), &from, "03 01 00"), searched(None, 3, local));
}

#[test]
fn another_gateway_with_our_id_is_warned_of() {
    let mut w = World::with(groups());
    w.send_bytes(&on_group(B), &hex("05 00 02 0384"));
    w.send_bytes(&on_group(B), &hex("05 02 01 C002"));
    assert_eq!(w.gateway.counters().same_gateway_id, 0, "another id; a client that remembers us");
    w.send_bytes(&on_group(B), &hex("05 00 01 0384"));
    w.send_bytes(&on_group(B), &hex("03 02 01"));
    assert_eq!(w.gateway.counters().same_gateway_id, 2);
    assert!(matches!(&notices(groups(), &on_group(B), "05 00 01 0384")[..], [Notice::Peer { .. }]));
}

fn forwarders() -> Config {
    let network = Network { address: address(FORWARDER).remote.ip(), prefix: 32 };
    Config { forwarders: vec![network], ..plain() }
}

/// `message` from a node behind the forwarder.
fn node(w: &mut World, node: &str, message: &str) -> Vec<String> {
    let length = 3 + node.len() / 2;
    w.send(FORWARDER, &format!("{length:02x} FE 01 {node} {message}"));
    w.heard(FORWARDER)
}

#[test]
fn nodes_behind_a_forwarder_are_clients_of_their_own() {
    let mut w = World::with(forwarders());
    w.mqtt_subscribe("#");
    assert_eq!(node(&mut w, "aa", "08 04 04 01 003C 6331"), ["[aa 0] CONNACK 0"]);
    assert_eq!(node(&mut w, "bbbb", "08 04 04 01 003C 6332"), ["[bbbb 0] CONNACK 0"]);
    assert_eq!(node(&mut w, "", "08 04 04 01 003C 6333"), ["[ 0] CONNACK 0"], "an empty node id is one too");
    assert_eq!(node(&mut w, "aa", "06 12 20 0001 61"), ["[aa 0] SUBACK 1025 q1 #1 0"]);
    w.mqtt_publish("a", "1", 0);
    assert_eq!(w.heard(FORWARDER), ["[aa 0] PUBLISH n1025 q0 1"]);
    // Every feature works behind it: will prompts, sleep, QoS -1, discovery.
    assert_eq!(node(&mut w, "cc", "08 04 0C 01 003C 6334"), ["[cc 0] WILLTOPICREQ"]);
    assert_eq!(node(&mut w, "aa", "04 18 003C"), ["[aa 0] DISCONNECT"]);
    w.mqtt_publish("a", "2", 0);
    assert!(w.heard(FORWARDER).is_empty());
    assert_eq!(node(&mut w, "aa", "04 16 6331"), ["[aa 0] PUBLISH n1025 q0 2", "[aa 0] PINGRESP"]);
    assert!(node(&mut w, "dd", "08 0C 62 7431 0000 31").is_empty());
    assert_eq!(w.mqtt_heard(), ["a 1 q0", "a 2 q0", "t1 1 q0"]);
    assert_eq!(node(&mut w, "dd", "03 01 05"), ["[dd 3] GWINFO 1"]);
    assert_eq!(node(&mut w, "dd", "02 16"), ["[dd 0] DISCONNECT"]);
    // A keep-alive of its own, each.
    w.pass_seconds(60);
    node(&mut w, "bbbb", "02 16");
    w.pass_seconds(40);
    assert_eq!(w.state("c3"), None);
    assert_eq!(w.state("c2"), Some(State::Active));
}

#[test]
fn a_client_that_moves_to_another_node_takes_its_session_along() {
    let mut w = World::with(forwarders());
    node(&mut w, "aa", "08 04 00 01 003C 6331");
    node(&mut w, "aa", "06 12 20 0001 61");
    assert_eq!(node(&mut w, "bb", "08 04 00 01 003C 6331"), ["[aa 0] DISCONNECT", "[bb 0] CONNACK 0"]);
    w.mqtt_publish("a", "1", 0);
    assert_eq!(w.heard(FORWARDER), ["[bb 0] REGISTER 1025 a"]);
    node(&mut w, "bb", "04 18 003C");
    node(&mut w, "cc", "04 16 6331");
    assert_eq!(w.state("c1"), Some(State::Asleep), "and so a sleeper, by the same forwarder");
}

#[test]
fn encapsulation_is_believed_from_listed_forwarders_only() {
    let mut w = World::with(forwarders());
    w.send(A, "04 FE 01 AA 08 04 04 01 003C 6331");
    assert!(w.heard(A).is_empty());
    assert_eq!(w.gateway.counters().not_a_forwarder, 1);
    w.send(FORWARDER, "08 04 04 01 003C 6331");
    assert_eq!(w.heard(FORWARDER), ["CONNACK 0"], "a forwarder may be a client itself");
    w.send(FORWARDER, "04 FE 01 AA 03 FE 00 02 16");
    w.send(FORWARDER, "03 FE 00");
    assert!(w.heard(FORWARDER).is_empty());
}

#[test]
fn nodes_behind_one_forwarder_have_a_cap() {
    let limits = Limits { nodes_per_forwarder_max: 2, ..Limits::default() };
    let mut w = World::with(Config { limits, ..forwarders() });
    node(&mut w, "01", "08 04 04 01 003C 6331");
    node(&mut w, "02", "08 04 04 01 003C 6332");
    node(&mut w, "01", "02 16");
    node(&mut w, "02", "02 16");
    assert_eq!(node(&mut w, "03", "08 04 04 01 003C 6333"), ["[03 0] CONNACK 1"]);
    node(&mut w, "01", "02 18");
    assert_eq!(node(&mut w, "03", "08 04 04 01 003C 6333"), ["[03 0] CONNACK 0"]);
}

#[test]
fn advertise_goes_to_forwarders_with_an_empty_node_id() {
    let mut w = World::with(Config { advertise_to_forwarders: vec![address(FORWARDER)], ..forwarders() });
    assert_eq!(w.heard_bytes(FORWARDER), [hex("03 FE 00 05 00 01 0384")]);
}

#[test]
fn an_address_that_validates_nothing_gets_three_times_what_it_sent() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect(A, "c1");
    w.send(A, "06 12 00 0001 23"); // "#" at QoS 0
    let answers = w.heard_bytes(A).iter().map(Vec::len).sum::<usize>();
    let received = 8 + 6;
    for number in 0..2000 {
        w.mqtt_publish("ab", &format!("{number:04}{}", "x".repeat(1000)), 0);
    }
    let sent = w.heard_bytes(A).iter().map(Vec::len).sum::<usize>();
    assert!(sent + answers <= 3 * received + 1100, "{sent} octets, one message beyond the credit at most");
    assert!(sent > 0);
    w.send(A, "02 16");
    assert_eq!(w.heard(A)[0], "PINGRESP", "and more when it is heard again");
}

#[test]
fn a_validated_address_gets_all() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect_with(A, "c1", 0x04, 0);
    w.heard(A);
    w.subscribe(A, "ab", 1);
    w.mqtt_publish("ab", "1", 1);
    w.heard(A);
    w.puback(A, 0);
    for number in 0..200 {
        w.mqtt_publish("ab", &format!("{number:04}{}", "x".repeat(100)), 0);
    }
    assert_eq!(w.heard(A).len(), 200);
}

#[test]
fn a_qos_0_subscriber_is_asked_once_and_answers_to_get_all() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect_with(A, "c1", 0x04, 0);
    w.heard(A);
    assert_eq!(w.subscribe(A, "ab", 0), 1025);
    let mut heard = Vec::new();
    for number in 0..20 {
        w.mqtt_publish("ab", &number.to_string(), 0);
        heard.extend(w.heard(A));
    }
    let asked = heard.iter().filter(|line| *line == "REGISTER 1025 ab").count();
    assert_eq!(asked, 1, "{heard:?}");
    let before = heard.len();
    assert!(before < 20);
    w.regack(A, 0);
    let after = w.heard(A).len();
    assert_eq!(before - 1 + after, 20, "nothing was lost while it waited");
}

#[test]
fn the_guard_spares_local_networks_by_default_and_can_be_switched_off() {
    for (guard, place, guarded) in [
        (ReflectGuard::Public, A, false),
        (ReflectGuard::Public, PUBLIC, true),
        (ReflectGuard::Off, PUBLIC, false),
        (ReflectGuard::All, A, true),
    ] {
        let mut w = World::with(Config { reflect_guard: guard, ..plain() });
        w.connect_with(place, "c1", 0x04, 0);
        w.heard(place);
        w.subscribe(place, "#", 0);
        for _ in 0..50 {
            w.mqtt_publish("ab", "0123456789", 0);
        }
        assert_eq!(w.heard(place).len() < 50, guarded, "{guard:?} {place}");
    }
}

#[test]
fn rate_limits_hold_for_an_address_and_for_a_client() {
    let rates = Rates { client: Rate::per_second(5), ..Rates::default() };
    let mut w = World::with(Config { rates, rebind_active: true, ..plain() });
    w.connect(A, "c1");
    w.connect(A2, "c2");
    for _ in 0..20 {
        w.send(A, "02 16");
    }
    assert_eq!(w.heard(A).len(), 5, "the CONNECT was a stranger's");
    w.send(A2, "02 16");
    assert_eq!(w.heard(A2), ["PINGRESP"], "each for itself");
    assert_eq!(w.gateway.counters().rate_limited, 15);
    w.pass_seconds(1);
    w.send(A, "02 16");
    assert_eq!(w.heard(A), ["PINGRESP"]);
    let rates = Rates { address: Rate { per_second: 1, burst: 5 }, ..Rates::default() };
    let mut w = World::with(Config { rates, ..plain() });
    w.connect(A, "c1");
    for _ in 0..20 {
        w.send(A2, "03 01 00");
    }
    assert_eq!(w.heard(A2).len(), 4);
    w.pass_seconds(2);
    for _ in 0..20 {
        w.send(A2, "03 01 00");
    }
    assert_eq!(w.heard(A2).len(), 2, "a burst comes back slowly");
    let rates = Rates { connects: Rate::per_second(3), ..Rates::default() };
    let mut w = World::with(Config { rates, ..plain() });
    for number in 0..5 {
        w.connect_with(&format!("10.0.0.1:{}", 2000 + number), &format!("c{number}"), 0x04, 60);
    }
    assert_eq!(w.heard("10.0.0.1:2002"), ["CONNACK 0"]);
    assert_eq!(w.heard("10.0.0.1:2003"), ["CONNACK 1"]);
}

#[test]
fn a_client_takes_its_rate_along_to_another_address() {
    let rates = Rates { client: Rate::per_second(5), ..Rates::default() };
    let mut w = World::with(Config { rates, rebind_active: true, ..plain() });
    w.connect(A, "c1");
    for _ in 0..3 {
        w.send(A, "02 16");
    }
    w.heard(A);
    w.send(A2, "04 16 6331");
    for _ in 0..20 {
        w.send(A2, "02 16");
    }
    assert_eq!(w.heard(A2).len(), 3, "its move, and what was left");
}

#[test]
fn exempt_networks_have_no_limit_per_address() {
    let one = Rate::per_second(1);
    let rates = Rates { address: one, connects: one, ..Rates::default() };
    let exempt = Network { address: address(A).remote.ip(), prefix: 24 };
    let mut w = World::with(Config { rates, rates_exempt: vec![exempt], ..plain() });
    for place in [A, A2, "10.0.0.77:1"] {
        w.connect_with(place, place, 0x04, 60);
        assert_eq!(w.heard(place), ["CONNACK 0"]);
    }
    let other = "10.0.1.1:1";
    w.connect_with(other, "c1", 0x04, 60);
    w.connect_with(other, "c1", 0x04, 60);
    assert_eq!(w.heard(other), ["CONNACK 0"]);
}

#[test]
fn behind_a_forwarder_rates_hold_for_each_node_and_for_all_together() {
    let (one, many) = (Rate::per_second(1), Rate::per_second(8));
    let rates = Rates { address: one, connects: one, node: Rate::per_second(3), ..Rates::default() };
    let mut w = World::with(Config { rates, ..forwarders() });
    for id in ["01", "02", "03"] {
        assert_eq!(node(&mut w, id, &format!("08 04 04 01 003C 63{id}")), [format!("[{id} 0] CONNACK 0")]);
    }
    let heard = (0..10).map(|_| node(&mut w, "01", "02 16").len()).sum::<usize>();
    assert_eq!(heard, 2, "three with its CONNECT; the address's limit is not meant for forwarders");
    assert_eq!(node(&mut w, "02", "02 16"), ["[02 0] PINGRESP"]);
    let mut w = World::with(Config { rates: Rates { forwarder: many, ..Rates::default() }, ..forwarders() });
    let answered = (0..20).map(|n| node(&mut w, &format!("{n:02x}"), "03 01 00").len()).sum::<usize>();
    assert_eq!(answered, 8);
}

const NODES: usize = 50;

fn small() -> Config {
    Config { limits: Limits { nodes_per_forwarder_max: NODES, ..Limits::default() }, ..forwarders() }
}

/// CONNECTs with node ids and ClientIds of their own, with the given flags.
fn flood(w: &mut World, flags: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let id = |n: usize| format!("{n:06}").bytes().map(|octet| format!("{octet:02x}")).collect::<String>();
    let connect = |n: usize| format!("0C 04 {flags} 01 003C {}", id(n));
    numbers.flat_map(|n| node(w, &format!("{n:08x}"), &connect(n))).collect()
}

#[test]
fn n33_garbage_node_ids_make_room_for_newcomers_and_never_end_a_live_session() {
    for (flags, count) in [("04", 100_000), ("00", 2000), ("0C", 2000), ("08", 2000)] {
        let mut w = World::with(small());
        w.mqtt_subscribe("#");
        // Live: it subscribed; it came back to its session; it sleeps.
        node(&mut w, "aa", "08 04 04 01 0000 6331");
        node(&mut w, "aa", "06 12 20 0001 61");
        node(&mut w, "ab", "08 04 00 01 0000 6332");
        node(&mut w, "ab", "02 18");
        assert_eq!(node(&mut w, "ab", "08 04 00 01 0000 6332"), ["[ab 0] CONNACK 0"]);
        node(&mut w, "ac", "08 04 04 01 0000 6333");
        node(&mut w, "ac", "04 18 0000");
        node(&mut w, "ad", "08 04 0C 01 0000 6334");
        node(&mut w, "ad", "06 07 00 772F74");
        node(&mut w, "ad", "03 09 78");
        let answers = flood(&mut w, flags, 0..count);
        let refused = answers.iter().filter(|answer| answer.ends_with("CONNACK 1")).count();
        assert_eq!(refused, 0, "flags {flags}: newcomers are not turned away");
        assert!(w.gateway.clients() <= NODES, "{}", w.gateway.clients());
        assert!(w.gateway.counters().nodes_evicted > count as u64 * 9 / 10);
        assert_eq!(w.state("c1"), Some(State::Active), "flags {flags}");
        assert_eq!(w.state("c2"), Some(State::Active), "flags {flags}");
        assert!(w.state("c4") == Some(State::Active), "flags {flags}: one that has answered");
        w.mqtt_publish("a", "1", 0);
        assert!(w.heard(FORWARDER).contains(&"[aa 0] PUBLISH n1025 q0 1".to_owned()));
        assert_eq!(w.mqtt_heard(), ["a 1 q0"], "no will of anybody");
        assert!(flags != "04" || answers.iter().any(|answer| answer.ends_with("DISCONNECT")));
        // A device in the middle of it gets through, and what it then has is its own.
        let device = node(&mut w, "ba", "08 04 04 01 0000 6461");
        assert!(device.contains(&"[ba 0] CONNACK 0".to_owned()), "{device:?}");
        assert_eq!(node(&mut w, "ba", "06 12 20 0001 62"), ["[ba 0] SUBACK 1025 q1 #1 0"]);
        flood(&mut w, flags, count..count + 1000);
        assert_eq!(w.state("da"), Some(State::Active));
    }
}

#[test]
fn a_forwarder_full_of_live_sessions_turns_newcomers_away_and_does_not_touch_them() {
    let mut w = World::with(small());
    flood(&mut w, "04", 0..NODES);
    for n in 0..NODES {
        assert_eq!(node(&mut w, &format!("{n:08x}"), "02 16").len(), 1);
    }
    let answers = flood(&mut w, "04", 1000..1100);
    assert!(answers.iter().all(|answer| answer.ends_with("CONNACK 1")), "{answers:?}");
    assert_eq!((w.gateway.clients(), w.gateway.counters().nodes_evicted), (NODES, 0));
    assert_eq!(node(&mut w, "00000007", "02 18").len(), 1);
    let answers = flood(&mut w, "04", 1000..1001);
    assert_eq!(answers, ["[000003e8 0] CONNACK 0"]);
}

#[test]
fn devices_that_come_and_go_behind_a_forwarder_leave_nothing_behind() {
    let mut w = World::with(small());
    for n in 0..2000 {
        flood(&mut w, "04", n..n + 1);
        if n >= 10 {
            node(&mut w, &format!("{:08x}", n - 10), "02 18");
        }
    }
    assert_eq!((w.gateway.clients(), w.gateway.counters().nodes_evicted), (10, 0));
}

#[test]
fn credit_and_proof_of_one_address_do_not_count_at_another() {
    for proven in [false, true] {
        let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
        w.connect_with(A, "c1", 0x04, 0);
        w.subscribe(A, "ab", 1);
        // 60 kB of credit, and perhaps a proof by PUBACK.
        let mut large = hex("01 4E20 0C 02 7878 0000");
        large.resize(0x4E20, b'x');
        w.send_bytes(&peer(A), &large);
        w.mqtt_publish("ab", "first", 1);
        assert_eq!(w.heard(A), ["PUBLISH n1025 q1 first"]);
        if proven {
            w.puback(A, 0);
        }
        w.send(A, "04 18 0E10");
        w.heard(A);
        for _ in 0..50 {
            w.mqtt_publish("ab", &"y".repeat(500), 0);
        }
        w.send(A2, "04 16 6331");
        let octets: usize = w.heard_bytes(A2).iter().map(Vec::len).sum();
        assert!(octets <= 3 * 4 + 510, "{octets} octets to a new address, proven {proven}");
    }
}

#[test]
fn a_subscriber_that_never_answers_is_not_asked_for_ever() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect_with(A, "c1", 0x04, 0);
    w.subscribe(A, "ab", 0);
    let mut asked = 0;
    for _ in 0..60 {
        w.mqtt_publish("ab", "0123456789", 0);
        w.pass_seconds(5);
        w.send(A, "02 16");
        asked += w.heard(A).iter().filter(|it| it.starts_with("REGISTER")).count();
    }
    assert_eq!(asked, 2, "once, and once more after Tretry: some clients keep a table of what they are told");
}

#[test]
fn a_sleeper_whose_credit_ends_while_it_is_awake_is_asleep_again_in_the_end() {
    let mut w = World::with(Config { reflect_guard: ReflectGuard::All, ..plain() });
    w.connect_with(A, "c1", 0x04, 0);
    w.subscribe(A, "ab", 0);
    w.send(A, "04 18 0E10");
    w.heard(A);
    for _ in 0..20 {
        w.mqtt_publish("ab", &"y".repeat(100), 0);
    }
    w.send(A, "02 16");
    assert!(w.heard(A).len() < 20);
    assert_eq!(w.state("c1"), Some(State::Awake));
    w.pass_seconds(71);
    assert_eq!(w.state("c1"), Some(State::Asleep), "and its sleep timer runs");
    w.pass_seconds(3600 + 361);
    assert_eq!(w.state("c1"), None);
}
