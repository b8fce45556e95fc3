//! Peers that mean no good (hostile inputs N17, N24, N25, N30–N37 where they concern more than one datagram).

use super::world::*;
use crate::client::State;
use crate::config::{Config, Network, ReflectGuard};
use crate::limits::Limits;
use crate::rng::Rng;

/// Valid datagrams of every kind that a client may send, and some of a gateway's.
const CORPUS: &[&str] = &[
    "08 04 04 01 003C 6331",
    "08 04 00 01 003C 6331",
    "08 04 0C 01 003C 6332",
    "08 04 08 01 0001 6333",
    "06 07 20 772F74",
    "02 07",
    "05 09 627965",
    "06 1A 00 772F74",
    "02 1A",
    "03 1C 78",
    "02 09",
    "09 0A 0000 0001 612F63",
    "07 0B 0401 0001 00",
    "07 0B 0401 0001 02",
    "08 0C 00 0401 0000 31",
    "08 0C 20 0401 0009 31",
    "08 0C 40 0402 0009 31",
    "08 0C 42 7431 0009 31",
    "08 0C 62 7431 0000 31",
    "0B 0C 60 0003 0000 782F79 33",
    "07 0D 0401 0001 00",
    "07 0D 0401 0001 02",
    "07 0D 0401 0001 01",
    "04 0E 0001",
    "04 0F 0001",
    "04 10 0009",
    "08 12 20 0001 612F62",
    "06 12 40 0002 23",
    "07 12 22 0003 7431",
    "07 12 01 0001 0001",
    "08 14 00 0001 612F62",
    "02 16",
    "04 16 6331",
    "04 16 6332",
    "02 17",
    "02 18",
    "04 18 003C",
    "04 18 0001",
    "03 01 00",
    "05 00 09 0384",
    "03 02 09",
    "03 05 00",
    "01 0007 0C 00 0401 0000",
    "04 FE 01 AA 08 04 04 01 003C 6331",
    "04 FE 01 AA 02 16",
    "03 FE 00 02 18",
];

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.draw() % 4 {
        let at = usize::try_from(rng.draw()).unwrap_or(0) % (bytes.len() + 1);
        match rng.draw() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next_u16() as u8),
            _ => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet ^= 1 << (rng.draw() % 8);
                }
            }
        }
    }
    // Half of them with the right length, so that they get past the first door.
    if rng.draw().is_multiple_of(2)
        && let Ok(length) = u8::try_from(bytes.len())
        && length > 1
    {
        bytes[0] = length;
    }
}

/// N37. A million of them were run once; this many are run each time.
const MUTATIONS: u32 = 60_000;

#[test]
fn mutated_sessions_break_nothing() {
    let network = Network { address: address("10.0.0.0:0").remote.ip(), prefix: 8 };
    let config = Config { forwarders: vec![network], reflect_guard: ReflectGuard::All, ..plain() };
    let mut w = World::with(config);
    let mut rng = Rng::new(37);
    let places = [A, A2, B, "10.0.0.3:1", "[2001:db8::1]:7"];
    w.connect("10.1.1.1:1", "good");
    for step in 0..MUTATIONS {
        let mut bytes = hex(CORPUS[usize::try_from(rng.draw()).unwrap_or(0) % CORPUS.len()]);
        if !rng.draw().is_multiple_of(3) {
            mutate(&mut rng, &mut bytes);
        }
        let place = places[usize::try_from(rng.draw()).unwrap_or(0) % places.len()];
        w.send_bytes(&peer(place), &bytes);
        if step % 64 == 0 {
            w.mqtt_publish(["a/b", "a/c", "t1", "a"][usize::from(rng.next_u16()) % 4], "m", (step % 3) as u8);
            w.pass(std::time::Duration::from_millis(u64::from(rng.next_u16()) % 4000));
            w.send("10.1.1.1:1", "02 16");
            w.sent.clear();
        }
    }
    assert!(w.gateway.clients() <= 600, "{} clients", w.gateway.clients());
    for place in places {
        w.heard_bytes(place); // and all that was sent can be taken out again
    }
    w.heard("10.1.1.1:1");
    w.send("10.1.1.1:1", "02 16");
    assert_eq!(w.heard("10.1.1.1:1"), ["PINGRESP"], "who behaves is served");
    w.connect("10.7.7.7:7", "newcomer");
}

#[test]
fn n24_qos_2_without_pubrel_is_congestion_beyond_a_window_of_its_own() {
    let mut w = World::new();
    let mqtt = broker_core::Limits { incoming_qos2_max: 1, ..broker_core::Limits::default() };
    w.set_broker_limits(mqtt);
    w.connect(A, "c1");
    for msg_id in 1..=0xFFFFu16 {
        w.send(A, &format!("08 0C 42 6162 {msg_id:04x} 31"));
    }
    let heard = w.heard(A);
    assert_eq!(heard.iter().filter(|it| it.starts_with("PUBREC")).count(), 32);
    assert_eq!(heard.iter().filter(|it| it.ends_with(" 1")).count(), 0xFFFF - 32, "PUBACK congestion");
    assert_eq!(heard.last().map(String::as_str), Some("PUBACK 24930 #65535 1"));
    w.send(A, "04 10 0001");
    w.send(A, "08 0C 42 6162 FFFF 31");
    assert_eq!(w.heard(A), ["PUBCOMP #1", "PUBREC #65535"], "there is room again");
}

#[test]
fn n25_a_thousand_copies_are_each_answered_and_forwarded_as_the_level_says() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect(A, "c1");
    for _ in 0..1000 {
        w.send(A, "08 0C C2 7431 0009 31");
    }
    assert_eq!(w.heard(A), vec!["PUBREC #9"; 1000]);
    w.send(A, "04 10 0009");
    assert_eq!(w.mqtt_heard(), ["t1 1 q2"]);
    assert_eq!(w.heard(A), ["PUBCOMP #9"]);
    for _ in 0..1000 {
        w.send(A, "08 0C A2 7431 0009 31");
    }
    assert_eq!(w.heard(A), vec!["PUBACK 29745 #9 0"; 1000]);
}

#[test]
fn n35_a_huge_will_or_topic_is_refused() {
    let mut w = World::new();
    w.connect_with(A, "c1", 0x0C, 60);
    w.send(A, "06 07 00 772F74");
    let mut will = hex("01 FFDC 09");
    will.resize(0xFFDC, b'x');
    w.send_bytes(&peer(A), &will);
    assert_eq!(w.heard(A), ["WILLTOPICREQ", "WILLMSGREQ", "CONNACK 3"]);
    w.connect(A, "c1");
    let mut register = hex("01 FFDC 0A 0000 0001");
    register.resize(0xFFDC, b'x');
    w.send_bytes(&peer(A), &register);
    assert_eq!(w.heard(A), ["REGACK 0 #1 3"]);
    assert_eq!(w.gateway.clients(), 1);
}

#[test]
fn n36_the_largest_datagram_is_taken() {
    let mut w = World::new();
    w.connect(A, "c1");
    w.send(A, "07 12 02 0001 7431");
    w.heard(A);
    let mut publish = hex("01 FFE3 0C 02 7431 0000");
    publish.resize(65_507, b'x');
    w.send_bytes(&peer(A), &publish);
    assert_eq!(w.heard_bytes(A), [publish]);
}

#[test]
fn requests_beyond_what_the_broker_has_answered_are_congestion() {
    // The broker answers nothing here, since nothing carries the requests to it.
    let limits = Limits { requests_pending_max: 4, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    w.connect(A, "c1");
    for msg_id in 0..6u8 {
        w.gateway_only(&peer(A), &[0x08, 0x0C, 0x22, b't', b'1', 0, msg_id + 1, b'x']);
        w.gateway_only(&peer(A), &[0x07, 0x12, 0x22, 0, msg_id + 1, b't', b'1']);
    }
    w.run();
    let heard = w.heard(A);
    assert_eq!(heard.iter().filter(|it| it.ends_with(" 1")).count(), 8, "{heard:?}");
    assert_eq!(heard.iter().filter(|it| it.ends_with(" 0")).count(), 4, "{heard:?}");
    assert_eq!(w.state("c1"), Some(State::Active));
}

#[test]
fn a_storm_of_handshakes_is_bounded_and_goes_away() {
    let limits = Limits { handshakes_max: 100, ..Limits::default() };
    let mut w = World::with(Config { limits, ..plain() });
    for number in 0..1000u32 {
        let from = format!("10.0.{}.{}:1", number / 250, number % 250);
        w.gateway_only(&peer(&from), &hex("08 04 0C 01 003C 6331"));
    }
    w.run();
    assert_eq!(w.gateway.clients(), 100);
    w.pass_seconds(11);
    assert_eq!(w.gateway.clients(), 0);
}

#[test]
fn a_trace_tells_what_one_client_says_and_hears() {
    let mut w = World::new();
    assert!(w.gateway.follow("c1"));
    w.connect(A, "c1");
    w.connect(B, "c2");
    w.send(A, "08 0C 22 7431 0009 31");
    w.send(A, "02 17 00");
    w.send(A, "03 05 00");
    w.send(A, "02 18");
    let lines: Vec<String> = w
        .gateway
        .take_traces()
        .map(|event| {
            assert_eq!((&*event.name, event.address), ("c1", address(A).remote));
            let hex: String = event.bytes.iter().map(|octet| format!("{octet:02x}")).collect();
            let arrow = if event.verdict.is_some() { '<' } else { '>' };
            format!("{arrow} {hex} {} [{}]", event.message, event.verdict.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        lines,
        [
            "< 08040401003c6331 CONNECT \"c1\" keep-alive 60 s clean [handled]",
            "> 030500 CONNACK accepted []",
            "< 080c227431000931 PUBLISH qos 1 short \"t1\" msg 9, 1 bytes \"1\" [handled]",
            "> 070d7431000900 PUBACK id 29745 msg 9 []",
            "< 021700 malformed: length field differs from the datagram [dropped]",
            "< 030500 CONNACK accepted [dropped, no meaning in this state]",
            "< 0218 DISCONNECT [handled]",
            "> 0218 DISCONNECT []",
        ]
    );
    for _ in 0..2000 {
        w.send(A, "02 17"); // a stranger's by now, dropped, and yet from where the client is
    }
    assert_eq!((w.gateway.take_traces().count(), w.gateway.counters().traces_dropped), (1024, 976));
    w.gateway.unfollow("c1");
    w.heard(A);
    w.connect(A, "c1");
    assert_eq!(w.gateway.take_traces().count(), 0);
    for number in 0..20 {
        assert_eq!(w.gateway.follow(&number.to_string()), number < 16);
    }
}
