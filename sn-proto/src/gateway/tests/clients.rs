//! Clients that are in use, played byte for byte with what is odd about each of them. What they expect is said where
//! it is checked; none of them may end with less than its messages, or hold up anybody else's.

use super::topics::predefined;
use super::world::*;
use crate::client::State;
use crate::config::{Config, Network, ShortSuback};

/// The only datagram that has come.
fn only(w: &mut World, at: &str) -> Vec<u8> {
    let heard = w.heard_bytes(at);
    let [one] = heard.as_slice() else { panic!("{at} heard {heard:02x?}") };
    one.clone()
}

/// Sends `request`; the answer is exactly `answer`, `??` standing for any octet. Returns what stood there.
fn ask(w: &mut World, at: &str, request: &str, answer: &str) -> Vec<u8> {
    w.send(at, request);
    expect(w, at, answer)
}

fn expect(w: &mut World, at: &str, answer: &str) -> Vec<u8> {
    let heard = only(w, at);
    let wanted: Vec<char> = answer.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs: Vec<String> = wanted.chunks(2).map(|pair| pair.iter().collect()).collect();
    assert_eq!(heard.len(), pairs.len(), "{heard:02x?}, wanted {answer}");
    let mut any = Vec::new();
    for (octet, pair) in heard.iter().zip(&pairs) {
        if pair == "??" {
            any.push(*octet);
        } else {
            assert_eq!(format!("{octet:02x}"), pair.to_lowercase(), "{heard:02x?}, wanted {answer}");
        }
    }
    any
}

fn reply(w: &mut World, at: &str, head: &[u8], msg_id: &[u8], tail: &[u8]) {
    w.send_bytes(&peer(at), &[head, msg_id, tail].concat());
}

/// mqtt-sn-tools: no retransmission at all, the next datagram must be the answer, two octets of a topic are a short
/// name, PUBREC is never sent.
#[test]
fn mqtt_sn_tools_publishes_and_subscribes() {
    let mut w = World::with(predefined());
    w.mqtt_subscribe("#");
    // mqtt-sn-pub -t a/b -m x -q 1
    ask(&mut w, A, "08 04 04 01 000A 6331", "03 05 00");
    ask(&mut w, A, "09 0A 0000 0001 612F62", "07 0B 0401 0001 00");
    ask(&mut w, A, "08 0C 20 0401 0002 78", "07 0D 0401 0002 00");
    ask(&mut w, A, "02 18", "02 18");
    // -t t1: a short name without REGISTER; -t t: a normal one
    ask(&mut w, A, "08 04 04 01 000A 6331", "03 05 00");
    w.send(A, "08 0C 02 7431 0000 78");
    ask(&mut w, A, "07 0A 0000 0001 74", "07 0B 0401 0001 00");
    w.send(A, "08 0C 00 0401 0000 78");
    ask(&mut w, A, "02 18", "02 18");
    // -q -1 -T 1, and by short name: no CONNECT
    w.send(A, "08 0C 61 0001 0000 78");
    w.send(A, "08 0C 62 7432 0000 78");
    let hello = "/predefined/topic/name/hello x q0".to_owned();
    let texts = ["a/b x q1", "t1 x q0", "t x q0"].map(str::to_owned);
    assert_eq!(w.mqtt_heard(), [&texts[..], &[hello, "t2 x q0".into()]].concat());

    // mqtt-sn-sub -t # -q 2 -k 10
    ask(&mut w, A, "08 04 04 01 000A 6332", "03 05 00");
    ask(&mut w, A, "06 12 40 0001 23", "08 13 40 0000 0001 00");
    w.mqtt_publish("a/b", "two", 2);
    let msg_id = expect(&mut w, A, "09 0A 0401 ???? 612F62");
    reply(&mut w, A, &[0x07, 0x0B, 0x04, 0x01], &msg_id, &[0x00]);
    expect(&mut w, A, "0A 0C 40 0401 ???? 74776F");
    // It prints the message and never says PUBREC: QoS 0 passes after one retry, and its pings are answered.
    w.mqtt_publish("a/b", "nil", 0);
    for _ in 0..3 {
        w.pass_seconds(9);
        w.send(A, "02 16");
    }
    let heard = w.heard(A);
    assert_eq!(heard.iter().filter(|it| *it == "PINGRESP").count(), 3, "{heard:?}");
    assert!(heard.contains(&"PUBLISH n1025 q0 nil".to_owned()), "{heard:?}");
    assert!(!heard.contains(&"DISCONNECT".to_owned()), "it would end at that");
    // -e 30: sleeps at its end, and warns of a duration in the answer
    ask(&mut w, A, "04 18 001E", "02 18");
}

#[test]
fn mqtt_sn_tools_behind_its_own_encapsulation() {
    let network = Network { address: address(A).remote.ip(), prefix: 32 };
    let mut w = World::with(Config { forwarders: vec![network], ..plain() });
    // --fe: four octets of text as the node id, and every answer must be encapsulated.
    ask(&mut w, A, "07 FE 00 31413436 08 04 04 01 000A 6331", "07 FE 00 31413436 03 05 00");
    ask(&mut w, A, "07 FE 00 31413436 07 12 02 0001 7431", "07 FE 00 31413436 08 13 00 0000 0001 00");
    w.mqtt_publish("t1", "x", 0);
    expect(&mut w, A, "07 FE 00 31413436 08 0C 02 7431 0000 78");
    ask(&mut w, A, "07 FE 00 31413436 02 16", "07 FE 00 31413436 02 17");
    ask(&mut w, A, "07 FE 00 31413436 02 18", "07 FE 00 31413436 02 18");
}

/// mqtt-sn-12 (PyPI): reads exactly the packet that it waits for, wants id 0 in the SUBACK of a short name,
/// acknowledges no REGISTER above 32 767 and no message of QoS 1 or 2.
#[test]
fn mqtt_sn_12_subscribes_and_acknowledges_nothing() {
    let mut w = World::new();
    ask(&mut w, A, "08 04 04 01 001E 6331", "03 05 00");
    ask(&mut w, A, "07 12 22 0001 7431", "08 13 20 0000 0001 00");
    for round in 0..4 {
        w.mqtt_publish("t1", "one", 1);
        w.mqtt_publish("t1", "nil", 0);
        for _ in 0..3 {
            w.pass_seconds(25);
            w.send(A, "02 16");
        }
        let heard = w.heard(A);
        assert!(heard.contains(&"PUBLISH st1 q1 one".to_owned()), "round {round}: {heard:?}");
        assert_eq!(
            heard.iter().filter(|it| *it == "PUBLISH st1 q0 nil").count(),
            1,
            "round {round}: {heard:?}"
        );
        assert!(heard.iter().filter(|it| it.contains("one")).count() <= 6, "retries end: {heard:?}");
    }
    assert_eq!(w.state("c1"), Some(State::Active));
    assert_eq!(w.gateway.counters().parked, 4, "kept for its next CONNECT");
}

#[test]
fn mqtt_sn_12_leaves_a_will_and_changes_it() {
    let mut w = World::new();
    w.mqtt_subscribe("w/#");
    w.mqtt_publish_with("w/t", "retained", 1, true);
    w.mqtt_heard();
    ask(&mut w, A, "08 04 0C 01 001E 6331", "02 06");
    ask(&mut w, A, "06 07 10 772F74", "02 08");
    ask(&mut w, A, "05 09 627965", "03 05 00");
    ask(&mut w, A, "06 1A 20 772F75", "03 1B 00");
    ask(&mut w, A, "04 1C 6F6B", "03 1D 00");
    w.pass_seconds(46);
    assert_eq!(w.mqtt_heard(), ["w/u ok q1"]);
    expect(&mut w, A, "02 18");
}

/// mqttsn (PyPI, after RSMB's client): CleanSession leaks into the flags of other messages, MsgId 0 in REGISTER,
/// TopicId 0 in PUBACK, no REGACK, no PINGREQ.
#[test]
fn mqttsn_leaks_flags_and_never_pings() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    ask(&mut w, A, "08 04 04 01 001E 6331", "03 05 00");
    ask(&mut w, A, "09 0A 0000 0000 612F62", "07 0B 0401 0000 00");
    ask(&mut w, A, "08 0C 24 0401 0001 78", "07 0D 0401 0001 00");
    ask(&mut w, A, "08 0C 44 0401 0002 79", "04 0F 0002");
    ask(&mut w, A, "04 10 0002", "04 0E 0002");
    ask(&mut w, A, "08 12 24 0003 612F62", "08 13 20 0401 0003 00");
    w.mqtt_publish("a/b", "m", 1);
    let msg_id = expect(&mut w, A, "08 0C 20 0401 ???? 6D");
    reply(&mut w, A, &[0x07, 0x0D, 0x00, 0x00], &msg_id, &[0x00]);
    w.mqtt_publish("a/b", "n", 1);
    let msg_id = expect(&mut w, A, "08 0C 20 0401 ???? 6E");
    reply(&mut w, A, &[0x07, 0x0D, 0x00, 0x00], &msg_id, &[0x00]);
    // QoS -1 with the name in front of the payload, from a socket without a session.
    w.send(B, "11 0C 64 0003 0000 612F62 7061796C6F6164");
    assert_eq!(w.mqtt_heard(), ["a/b x q1", "a/b y q2", "a/b m q1", "a/b n q1", "a/b payload q0"]);
    assert_eq!(w.heard(A), ["PUBLISH n1025 q0 payload"]);
    // A filter: its REGISTER is never answered. What can be said without one still is.
    ask(&mut w, A, "06 12 04 0004 23", "08 13 00 0000 0004 00");
    w.mqtt_publish("c/d", "lost", 0);
    expect(&mut w, A, "09 0A 0402 ???? 632F64");
    w.mqtt_publish("t1", "short", 0);
    w.pass_seconds(11);
    let heard = w.heard(A);
    assert!(heard.contains(&"PUBLISH st1 q0 short".to_owned()), "{heard:?}");
    w.pass_seconds(35);
    assert_eq!(w.heard(A).last().map(String::as_str), Some("DISCONNECT"), "45 s without a word");
    assert_eq!(w.state("c1"), None);
}

/// RIOT emcute: repeats every request unchanged, knows no REGISTER, refuses DUP and QoS 2 with rc 3, forgets a
/// subscription whose SUBACK has id 0.
#[test]
fn emcute_repeats_its_requests_and_refuses_dup() {
    let mut w = World::with(Config { suback_short_topic_id: ShortSuback::Name, ..plain() });
    let connect = "08 04 0C 01 0168 6331";
    for _ in 0..3 {
        ask(&mut w, A, connect, "02 06");
    }
    for _ in 0..2 {
        ask(&mut w, A, "06 07 20 772F74", "02 08");
    }
    for _ in 0..2 {
        ask(&mut w, A, "05 09 627965", "03 05 00");
    }
    for _ in 0..2 {
        ask(&mut w, A, "08 12 20 0001 612F62", "08 13 20 0401 0001 00");
    }
    ask(&mut w, A, "07 12 22 0002 7431", "08 13 20 7431 0002 00");
    // A PUBACK is lost: the repetition with DUP is refused, which is the end of that message only.
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 1);
    expect(&mut w, A, "08 0C 20 0401 ???? 31");
    w.pass_seconds(10);
    let msg_id = expect(&mut w, A, "08 0C A0 0401 ???? 31");
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x03]);
    let msg_id = expect(&mut w, A, "08 0C 20 0401 ???? 32");
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x00]);
    // An id that it does not know, QoS 0: rc 2. Our REGISTER stays unanswered, and then the message goes all the same.
    w.mqtt_publish("a/b", "3", 0);
    expect(&mut w, A, "08 0C 00 0401 0000 33");
    w.send(A, "07 0D 0401 0000 02");
    w.mqtt_publish("a/b", "4", 0);
    w.pass_seconds(25);
    assert_eq!(w.heard(A), ["REGISTER 1025 a/b", "REGISTER 1025 a/b", "PUBLISH n1025 q0 4"]);
    ask(&mut w, A, "02 16", "02 17");
    ask(&mut w, A, "02 18", "02 18");
}

/// RIOT asymcute: predefined and short ids with swapped octets, no QoS 2, no REGISTER, ping retries.
#[test]
fn asymcute_swaps_octets_and_lives_on() {
    let mut w = World::with(predefined());
    ask(&mut w, A, "08 04 04 01 001E 6331", "03 05 00");
    ask(&mut w, A, "07 12 01 0001 0100", "08 13 00 0000 0001 02");
    ask(&mut w, A, "08 12 20 0002 612F62", "08 13 20 0401 0002 00");
    w.mqtt_publish("a/b", "2", 2);
    let msg_id = expect(&mut w, A, "08 0C 20 0401 ???? 32"); // as it subscribed
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x00]);
    for _ in 0..3 {
        ask(&mut w, A, "02 16", "02 17");
    }
    ask(&mut w, A, "07 14 01 0003 0100", "04 15 0003");
    ask(&mut w, A, "02 18", "02 18");
}

/// Zephyr: strict about lengths, drops an empty PUBLISH without a word, stores the id of the SUBACK for a predefined
/// topic, sends several requests at once, and in QoS 2 repeats PUBLISH where PUBREL is due.
#[test]
fn zephyr_pipelines_and_ignores_empty_messages() {
    let mut w = World::with(predefined());
    w.mqtt_subscribe("#");
    ask(&mut w, A, "08 04 04 01 003C 6331", "03 05 00");
    for request in ["07 12 21 0001 0001", "08 12 20 0002 612F62", "09 0A 0000 0003 632F64"] {
        w.send(A, request);
    }
    assert_eq!(
        w.heard_bytes(A),
        [hex("08 13 20 0001 0001 00"), hex("08 13 20 0401 0002 00"), hex("07 0B 0402 0003 00")]
    );
    w.send(A, "08 0C 40 0402 0004 78");
    w.send(A, "08 0C C0 0402 0004 78");
    w.send(A, "08 0C C0 0402 0004 78");
    assert_eq!(w.heard_bytes(A), vec![hex("04 0F 0004"); 3]);
    ask(&mut w, A, "04 10 0004", "04 0E 0004");
    assert_eq!(w.mqtt_heard(), ["c/d x q2"], "once");
    w.mqtt_publish_with("a/b", "", 1, true);
    w.mqtt_publish("a/b", "next", 1);
    expect(&mut w, A, "07 0C 20 0401 ????");
    let mut heard = Vec::new();
    for _ in 0..3 {
        w.pass_seconds(25);
        heard.extend(w.heard(A));
        w.send(A, "02 16");
        assert_eq!(w.heard(A).last().map(String::as_str), Some("PINGRESP"));
    }
    assert!(heard.contains(&"PUBLISH n1025 q1 next".to_owned()), "{heard:?}");
    let msg_id = w.msg_id(A).to_be_bytes();
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x00]);
    // It sleeps, and wakes by CONNECT.
    ask(&mut w, A, "04 18 0078", "02 18");
    w.mqtt_publish("/predefined/topic/name/hello", "p", 1);
    w.send(A, "08 04 04 01 003C 6331");
    // The empty message had only been parked; the one behind it waits for it once more, and comes.
    assert_eq!(w.heard(A), ["CONNACK 0", "PUBLISH n1025 q1 DUP "]);
    let mut heard = Vec::new();
    for _ in 0..3 {
        w.pass_seconds(25);
        w.send(A, "02 16");
        heard.extend(w.heard(A));
    }
    assert!(heard.contains(&"PUBLISH p1 q1 p".to_owned()), "{heard:?}");
}

fn paho_groups() -> Config {
    Config { groups: vec![group("225.1.1.1:1883", 0)], gateway_id: 1, ..predefined() }
}

/// Paho's GatewayTester: finds the gateway by multicast, subscribes to its list at once, pings without a ClientId
/// while it sleeps, and returns from sleep with Clean=1 and without subscribing again.
#[test]
fn paho_gateway_tester_runs_through_its_steps() {
    let mut w = World::with(paho_groups());
    w.mqtt_subscribe("#");
    let group = "225.1.1.1:1883";
    assert_eq!(w.heard_bytes(group), [hex("05 00 01 0384")]);
    let mut from_group = peer(A);
    from_group.group = true;
    w.send_bytes(&from_group, &hex("03 01 00"));
    assert_eq!(
        w.heard_bytes(group),
        [hex("03 02 01")],
        "from the service port, which it takes for the gateway's"
    );
    // CONNECT (resent before the answer is there), then its list of subscriptions without waiting.
    w.send(A, "08 04 04 01 003C 6331");
    w.send(A, "08 04 04 01 003C 6331");
    assert_eq!(w.heard_bytes(A), [hex("03 05 00"), hex("03 05 00")]);
    w.send(A, "08 12 00 0001 612F62");
    w.send(A, "08 12 20 0002 632F23");
    w.send(A, "07 12 22 0003 7431");
    w.send(A, "07 12 21 0004 0001");
    w.send(A, "07 12 21 0005 000A");
    assert_eq!(
        w.heard_bytes(A),
        [
            hex("08 13 00 0401 0001 00"),
            hex("08 13 20 0000 0002 00"),
            hex("08 13 20 0000 0003 00"),
            hex("08 13 20 0001 0004 00"),
            hex("08 13 00 0000 0005 02"),
        ],
        "the last is not defined"
    );
    // It hears what it publishes, until it unsubscribes.
    ask(&mut w, A, "09 0A 0000 0006 612F62", "07 0B 0401 0006 00");
    w.send(A, "08 0C 20 0401 0007 78");
    assert_eq!(w.heard(A), ["PUBACK 1025 #7 0", "PUBLISH n1025 q0 x"]);
    ask(&mut w, A, "08 14 00 0008 612F62", "04 15 0008");
    ask(&mut w, A, "08 0C 20 0401 0009 79", "07 0D 0401 0009 00");
    // Asleep; 2-octet PINGREQ; back by CONNECT with the flags of its first one.
    ask(&mut w, A, "04 18 003C", "02 18");
    w.mqtt_publish("t1", "1", 1);
    w.send(A, "02 16");
    let msg_id = expect(&mut w, A, "08 0C 22 7431 ???? 31");
    reply(&mut w, A, &[0x07, 0x0D, 0x74, 0x31], &msg_id, &[0x00]);
    expect(&mut w, A, "02 17");
    w.mqtt_publish("t1", "2", 1);
    w.mqtt_publish("c/d", "3", 1);
    w.send(A, "08 04 04 01 003C 6331");
    assert_eq!(w.heard(A), ["CONNACK 0", "PUBLISH st1 q1 2"]);
    w.puback(A, 0);
    assert_eq!(w.heard(A), ["REGISTER 1026 c/d"]);
    w.regack(A, 0);
    assert_eq!(w.heard(A), ["PUBLISH n1026 q1 3"], "its subscriptions hold although it said Clean=1");
    w.puback(A, 0);
    // Its PINGREQ is switched off: it is lost, and connects again when it wants to publish.
    w.pass_seconds(91);
    expect(&mut w, A, "02 18");
    ask(&mut w, A, "08 04 04 01 003C 6331", "03 05 00");
    ask(&mut w, A, "02 18", "02 18");
}

#[test]
fn paho_gateway_tester_in_forwarder_mode() {
    let network = Network { address: address(A).remote.ip(), prefix: 32 };
    let mut w = World::with(Config { forwarders: vec![network], ..plain() });
    let node = "07 FE 01 776E4964"; // "wnId"
    ask(&mut w, A, &format!("{node} 03 01 00"), "07 FE 01 776E4964 03 02 01");
    ask(&mut w, A, &format!("{node} 08 04 04 01 003C 6331"), "07 FE 00 776E4964 03 05 00");
    ask(&mut w, A, &format!("{node} 08 12 20 0001 612F62"), "07 FE 00 776E4964 08 13 20 0401 0001 00");
    ask(&mut w, A, &format!("{node} 04 18 003C"), "07 FE 00 776E4964 02 18");
    w.mqtt_publish("a/b", "x", 0);
    w.send(A, &format!("{node} 02 16"));
    assert_eq!(w.heard(A), ["[776e4964 0] PUBLISH n1025 q0 x", "[776e4964 0] PINGRESP"]);
}

/// Paho's samples: ClientIds with a blank and of 33 octets, a length that is wrong by two, DISCONNECT without
/// waiting, or none at all.
#[test]
fn paho_samples_connect_as_they_like() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    w.connect_with(A, "pub0sub1 MQTT-SN", 0x04, 20);
    expect(&mut w, A, "03 05 00");
    // pub0sub1: granted QoS 2, and PUBACK before its own echo.
    ask(&mut w, A, "0E 12 40 0001 737562737472656521", "08 13 40 0401 0001 00");
    w.send(A, "0E 0C 20 0401 0002 6D79207061796C");
    assert_eq!(w.heard(A), ["PUBACK 1025 #2 0", "PUBLISH n1025 q1 my payl"]);
    w.puback(A, 0);
    w.send(A, "02 18"); // and closes its socket
    w.heard(A);
    // qos0pub: 33 octets of ClientId, never a DISCONNECT.
    w.connect_with(B, "d:quickstart:udptest:9002f7f1ad23", 0x04, 10);
    expect(&mut w, B, "03 05 00");
    ask(&mut w, B, "09 0A 0000 0001 612F62", "07 0B 0401 0001 00");
    let mut wrong = hex("01 00FF 0C 00 0401 0000"); // 248 octets of payload: says 255, is 257
    wrong.resize(257, b'y');
    w.send_bytes(&peer(B), &wrong);
    assert_eq!(w.mqtt_heard().last().map(String::len), Some("a/b  q0".len() + 248));
    w.pass_seconds(16);
    expect(&mut w, B, "02 18");
    // qos-1pub and qos-1pub_extended
    w.send(B, "08 0C 62 7474 0000 78");
    w.send(B, "0E 0C 60 0006 0000 616263646566 78");
    assert_eq!(w.mqtt_heard(), ["tt x q0", "abcdef x q0"]);
}

/// cc.mqttsn.libs: in QoS 2 a repetition without DUP is ignored; unknown ids get rc 2, a REGISTER that it does not
/// like rc 3.
#[test]
fn cc_mqttsn_needs_dup_in_qos_2() {
    let mut w = World::new();
    ask(&mut w, A, "08 04 04 01 003C 6331", "03 05 00");
    ask(&mut w, A, "08 12 40 0001 612F2B", "08 13 40 0000 0001 00");
    w.mqtt_publish("a/b", "1", 2);
    let msg_id = expect(&mut w, A, "09 0A 0401 ???? 612F62");
    reply(&mut w, A, &[0x07, 0x0B, 0x04, 0x01], &msg_id, &[0x00]);
    let first = expect(&mut w, A, "08 0C 40 0401 ???? 31");
    w.pass_seconds(10);
    let again = expect(&mut w, A, "08 0C C0 0401 ???? 31");
    assert_eq!(first, again, "DUP, and the same MsgId");
    reply(&mut w, A, &[0x04, 0x0F], &again, &[]);
    assert_eq!(expect(&mut w, A, "04 10 ????"), first);
    w.pass_seconds(10);
    assert_eq!(expect(&mut w, A, "04 10 ????"), first, "until PUBCOMP");
    reply(&mut w, A, &[0x04, 0x0E], &first, &[]);
    // It has forgotten the id: rc 2 with a normal id asks for a REGISTER.
    w.mqtt_publish("a/b", "2", 2);
    let msg_id = expect(&mut w, A, "08 0C 40 0401 ???? 32");
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x02]);
    let register = expect(&mut w, A, "09 0A 0401 ???? 612F62");
    reply(&mut w, A, &[0x07, 0x0B, 0x04, 0x01], &register, &[0x00]);
    assert_eq!(expect(&mut w, A, "08 0C C0 0401 ???? 32"), msg_id);
    reply(&mut w, A, &[0x04, 0x0F], &msg_id, &[]);
    expect(&mut w, A, "04 10 ????");
    reply(&mut w, A, &[0x04, 0x0E], &msg_id, &[]);
    // A topic that it refuses is skipped.
    w.mqtt_publish("a/no", "3", 2);
    let register = expect(&mut w, A, "0A 0A 0402 ???? 612F6E6F");
    reply(&mut w, A, &[0x07, 0x0B, 0x04, 0x02], &register, &[0x03]);
    w.mqtt_publish("a/b", "4", 0);
    expect(&mut w, A, "08 0C 00 0401 0000 34");
}

/// simon622/mqtt-sn: a client whose registrations end with its sleep says rc 2 to the ids of before; each is told
/// again, and PINGRESP is still the last word.
#[test]
fn simon622_forgets_its_ids_when_it_sleeps() {
    let mut w = World::new();
    ask(&mut w, A, "08 04 00 01 003C 6331", "03 05 00");
    ask(&mut w, A, "08 12 20 0001 612F62", "08 13 20 0401 0001 00");
    ask(&mut w, A, "04 18 003C", "02 18");
    w.mqtt_publish("a/b", "1", 1);
    w.mqtt_publish("a/b", "2", 0);
    w.send(A, "04 16 6331");
    let msg_id = expect(&mut w, A, "08 0C 20 0401 ???? 31");
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x02]);
    let register = expect(&mut w, A, "09 0A 0401 ???? 612F62");
    reply(&mut w, A, &[0x07, 0x0B, 0x04, 0x01], &register, &[0x00]);
    assert_eq!(expect(&mut w, A, "08 0C A0 0401 ???? 31"), msg_id);
    reply(&mut w, A, &[0x07, 0x0D, 0x04, 0x01], &msg_id, &[0x00]);
    assert_eq!(w.heard_bytes(A), [hex("08 0C 00 0401 0000 32"), hex("02 17")]);
    // CONNECT with Clean=0 and its will: asked for in full, as 2.0 would, the session kept.
    ask(&mut w, A, "08 04 08 01 003C 6331", "02 06");
    ask(&mut w, A, "06 07 00 772F74", "02 08");
    ask(&mut w, A, "05 09 627965", "03 05 00");
    w.mqtt_publish("a/b", "3", 0);
    expect(&mut w, A, "08 0C 00 0401 0000 33");
}

/// LMqttsn on Arduino and ESP8266: as the GatewayTester, with QoS -1 beside it, a will, and CONNECT sent again
/// whenever it publishes while asleep.
#[test]
fn lmqttsn_publishes_from_sleep_by_a_connect() {
    let mut w = World::new();
    w.mqtt_subscribe("#");
    ask(&mut w, A, "08 04 0C 01 003C 6331", "02 06");
    ask(&mut w, A, "06 07 20 772F74", "02 08");
    ask(&mut w, A, "05 09 627965", "03 05 00");
    ask(&mut w, A, "08 12 20 0001 612F62", "08 13 20 0401 0001 00");
    ask(&mut w, A, "04 18 0E10", "02 18");
    w.pass_seconds(1000);
    w.mqtt_publish("a/b", "m", 1);
    w.mqtt_heard();
    // Awake to publish: the same CONNECT, with its will prompts again.
    ask(&mut w, A, "08 04 0C 01 003C 6331", "02 06");
    ask(&mut w, A, "06 07 20 772F74", "02 08");
    w.send(A, "05 09 627965");
    assert_eq!(w.heard(A), ["CONNACK 0", "PUBLISH n1025 q1 m"]);
    w.puback(A, 0);
    ask(&mut w, A, "08 0C 22 7431 0002 78", "07 0D 7431 0002 00");
    ask(&mut w, A, "04 18 0E10", "02 18");
    w.send(A, "08 0C 62 7432 0000 79");
    assert_eq!(w.mqtt_heard(), ["t1 x q1", "t2 y q0"], "and no will for all that");
    assert_eq!(w.state("c1"), Some(State::Asleep));
}

/// wolfMQTT and nRF5: will updates; nothing unasked-for while they wait, since nRF5 asserts on it.
#[test]
fn nrf5_hears_nothing_that_it_does_not_wait_for() {
    let mut w = World::with(paho_groups());
    ask(&mut w, A, "08 04 0C 01 003C 6331", "02 06");
    w.pass_seconds(5);
    assert!(w.heard(A).is_empty(), "the prompt is not repeated: asking again is the client's part");
    ask(&mut w, A, "06 07 20 772F74", "02 08");
    ask(&mut w, A, "05 09 627965", "03 05 00");
    ask(&mut w, A, "06 1A 20 772F75", "03 1B 00");
    ask(&mut w, A, "02 1A", "03 1B 00");
    ask(&mut w, A, "04 1C 6F6B", "03 1D 03");
    for _ in 0..40 {
        w.pass_seconds(50);
        ask(&mut w, A, "02 16", "02 17");
    }
}
