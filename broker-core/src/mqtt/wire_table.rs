//! The wire as a table: bytes ⇄ value, and bytes → error. A finding of the fuzzer becomes a line here.
use super::frame::{FrameRules, Split, split};
use super::*;
use crate::message::{PacketId, QoS};
use crate::topic::{TopicError, TopicNameRef};
use proptest::prelude::*;

/// Bytes of a spaced hex dump.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|digit| (digit as char).to_digit(16).expect("a hex digit") as u8)
        .collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => high << 4 | low,
            _ => unreachable!("the length is even"),
        })
        .collect()
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn name(text: &str) -> TopicNameRef<'_> {
    TopicNameRef::new(text).unwrap()
}

/// Encodes any packet, as tests and scripted peers do.
fn encode(packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::Connect(connect) => connect.encode(out).unwrap(),
        Packet::Connack(connack) => connack.encode(out),
        Packet::Publish(publish) => publish.encode(out).unwrap(),
        Packet::Ack(kind, packet_id) => encode_ack(*kind, *packet_id, out),
        Packet::Subscribe(subscribe) => {
            let filters: Vec<_> = subscribe.filters.map(|entry| (entry.filter, entry.qos)).collect();
            encode_subscribe(subscribe.packet_id, &filters, out).unwrap();
        }
        Packet::Suback(suback) => {
            let granted: Vec<_> = suback.granted().collect();
            encode_suback(suback.packet_id, &granted, out).unwrap();
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<_> = unsubscribe.filters.collect();
            encode_unsubscribe(unsubscribe.packet_id, &filters, out).unwrap();
        }
        Packet::Pingreq => encode_pingreq(out),
        Packet::Pingresp => encode_pingresp(out),
        Packet::Disconnect => encode_disconnect(out),
    }
}

/// Splits with the widest rules that let `bytes` through by their first byte, then decodes.
fn read(bytes: &[u8], direction: Direction, version: Version) -> Result<Packet<'_>, DecodeError> {
    let opens = matches!(bytes.first().map(|byte| byte >> 4), Some(1 | 2));
    let (connected, connect_bytes_max, packet_bytes_max) = (!opens, 64 << 10, 1 << 20);
    let rules = FrameRules { direction, version, connected, connect_bytes_max, packet_bytes_max };
    match split(bytes, &rules)? {
        Split::Frame(frame) => {
            assert_eq!(frame.len, bytes.len(), "the table holds one packet a line");
            frame.decode()
        }
        Split::Incomplete { bytes_wanted } => panic!("incomplete: {bytes_wanted} of {}", bytes.len()),
    }
}

fn connect(client_id: &str) -> Connect<'_> {
    Connect {
        version: Version::V311,
        clean_session: true,
        keep_alive: 60,
        client_id,
        will: None,
        username: None,
        password: None,
    }
}

#[test]
fn packets_and_their_bytes() {
    use Direction::{ToClient, ToServer};
    let will = ConnectWill { topic: name("w"), payload: b"gone", qos: QoS::ExactlyOnce, retain: true };
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: name("a/b"),
        packet_id: None,
        payload: b"x",
    };
    let empty_will = ConnectWill { payload: b"", qos: QoS::AtMostOnce, retain: false, ..will };
    let cases: &[(&str, Direction, Packet<'_>)] = &[
        ("10 0E 0004 4D515454 04 02 003C 0002 6331", ToServer, Packet::Connect(connect("c1"))),
        ("10 0C 0004 4D515454 04 02 003C 0000", ToServer, Packet::Connect(connect(""))),
        (
            "10 0C 0004 4D515454 04 00 000A 0000",
            ToServer,
            Packet::Connect(Connect { clean_session: false, keep_alive: 10, ..connect("") }),
        ),
        (
            "10 10 0006 4D5149736470 03 02 003C 0002 6331",
            ToServer,
            Packet::Connect(Connect { version: Version::V31, ..connect("c1") }),
        ),
        (
            "10 21 0004 4D515454 04 F6 FFFF 0002 6331 0001 77 0004 676F6E65 0003 616E6E 0003 00FF01",
            ToServer,
            Packet::Connect(Connect {
                keep_alive: 65_535,
                will: Some(will),
                username: Some("ann"),
                password: Some(&[0, 255, 1]),
                ..connect("c1")
            }),
        ),
        (
            "10 15 0004 4D515454 04 86 003C 0002 6331 0001 77 0000 0000",
            ToServer,
            Packet::Connect(Connect { will: Some(empty_will), username: Some(""), ..connect("c1") }),
        ),
        ("20 02 01 00", ToClient, Packet::Connack(Connack::accepted(true))),
        ("20 02 00 00", ToClient, Packet::Connack(Connack::accepted(false))),
        ("20 02 00 05", ToClient, Packet::Connack(Connack::refused(ConnectReturnCode::NotAuthorized))),
        ("30 06 0003 612F62 78", ToServer, Packet::Publish(publish)),
        ("31 05 0003 612F62", ToClient, Packet::Publish(Publish { retain: true, payload: b"", ..publish })),
        (
            "3A 08 0003 612F62 1234 78",
            ToServer,
            Packet::Publish(Publish {
                dup: true,
                qos: QoS::AtLeastOnce,
                packet_id: Some(id(0x1234)),
                ..publish
            }),
        ),
        (
            "3D 07 0003 612F62 FFFF",
            ToClient,
            Packet::Publish(Publish {
                dup: true,
                qos: QoS::ExactlyOnce,
                retain: true,
                packet_id: Some(id(0xFFFF)),
                payload: b"",
                ..publish
            }),
        ),
        // hostile M12: the legal one of the two
        (
            "32 08 0003 313131 0001 33",
            ToServer,
            Packet::Publish(Publish {
                qos: QoS::AtLeastOnce,
                topic: name("111"),
                packet_id: Some(id(1)),
                payload: b"3",
                ..publish
            }),
        ),
        // [MQTT-1.5.3-3]: U+FEFF stays
        (
            "30 06 0004 EFBBBF61",
            ToServer,
            Packet::Publish(Publish { topic: name("\u{feff}a"), payload: b"", ..publish }),
        ),
        // control and non-characters are let through
        (
            "30 08 0006 01 1F 7F EFBFBF",
            ToServer,
            Packet::Publish(Publish { topic: name("\u{1}\u{1f}\u{7f}\u{ffff}"), payload: b"", ..publish }),
        ),
        ("40 02 0001", ToServer, Packet::Ack(AckKind::Puback, id(1))),
        ("50 02 0001", ToClient, Packet::Ack(AckKind::Pubrec, id(1))),
        ("62 02 FFFF", ToServer, Packet::Ack(AckKind::Pubrel, id(0xFFFF))),
        ("70 02 0100", ToClient, Packet::Ack(AckKind::Pubcomp, id(256))),
        ("B0 02 0007", ToClient, Packet::Ack(AckKind::Unsuback, id(7))),
        ("C0 00", ToServer, Packet::Pingreq),
        ("D0 00", ToClient, Packet::Pingresp),
        ("E0 00", ToServer, Packet::Disconnect),
    ];
    for (text, direction, packet) in cases {
        let bytes = hex(text);
        assert_eq!(read(&bytes, *direction, Version::V311).as_ref(), Ok(packet), "{text}");
        let mut out = Vec::new();
        encode(packet, &mut out);
        assert_eq!(out, bytes, "{text}");
    }
}

#[test]
fn subscriptions_and_their_bytes() {
    let bytes = hex("82 0F 1234 0001 23 02 0000 01 0003 612F2B 00");
    let Ok(Packet::Subscribe(subscribe)) = read(&bytes, Direction::ToServer, Version::V311) else {
        panic!("a SUBSCRIBE");
    };
    assert_eq!((subscribe.packet_id, subscribe.filters.len()), (id(0x1234), 3));
    // The empty text is no filter; that is for the session to say, with 0x80.
    let entries: Vec<_> = subscribe.filters.map(|entry| (entry.filter, entry.qos)).collect();
    assert_eq!(entries, [("#", QoS::ExactlyOnce), ("", QoS::AtLeastOnce), ("a/+", QoS::AtMostOnce)]);
    let mut out = Vec::new();
    encode_subscribe(id(0x1234), &entries, &mut out).unwrap();
    assert_eq!(out, bytes);

    let bytes = hex("A2 0A 0001 0001 23 0003 612F2B");
    let Ok(Packet::Unsubscribe(unsubscribe)) = read(&bytes, Direction::ToServer, Version::V311) else {
        panic!("an UNSUBSCRIBE");
    };
    assert_eq!(unsubscribe.filters.len(), 2);
    assert_eq!(unsubscribe.filters.collect::<Vec<_>>(), ["#", "a/+"]);
    let mut out = Vec::new();
    encode_unsubscribe(id(1), &["#", "a/+"], &mut out).unwrap();
    assert_eq!(out, bytes);

    let bytes = hex("90 06 0001 00 01 02 80");
    let Ok(Packet::Suback(suback)) = read(&bytes, Direction::ToClient, Version::V311) else {
        panic!("a SUBACK");
    };
    let granted = [Some(QoS::AtMostOnce), Some(QoS::AtLeastOnce), Some(QoS::ExactlyOnce), None];
    assert_eq!(suback.granted().collect::<Vec<_>>(), granted);
    let mut out = Vec::new();
    encode_suback(id(1), &granted, &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn what_has_no_wire_form_is_refused_and_writes_nothing() {
    let long = "a".repeat(65_536);
    let mut out = Vec::new();
    assert_eq!(connect(&long).encode(&mut out), Err(EncodeError::FieldTooLong));
    let orphan = Connect { password: Some(b"x"), ..connect("c") };
    assert_eq!(orphan.encode(&mut out), Err(EncodeError::PasswordWithoutUsername));
    assert_eq!(encode_subscribe(id(1), &[], &mut out), Err(EncodeError::NoEntries));
    assert_eq!(
        encode_subscribe(id(1), &[(&long, QoS::AtMostOnce)], &mut out),
        Err(EncodeError::FieldTooLong)
    );
    assert_eq!(encode_unsubscribe(id(1), &[], &mut out), Err(EncodeError::NoEntries));
    assert_eq!(encode_unsubscribe(id(1), &[&long], &mut out), Err(EncodeError::FieldTooLong));
    assert_eq!(encode_suback(id(1), &[], &mut out), Err(EncodeError::NoEntries));
    assert!(out.is_empty());
    let liar = Connack { session_present: true, code: ConnectReturnCode::ServerUnavailable };
    liar.encode(&mut out);
    assert_eq!(out, hex("20 02 00 03")); // [MQTT-3.2.2-4]
}

#[test]
fn malformed_bytes_and_their_errors() {
    use DecodeError as E;
    use Direction::{ToClient, ToServer};
    use PacketType as P;
    // M18: QoS 1, ends right after its topic, remaining length 1024
    let m18 = format!("32 80 08 03FE {}", "61".repeat(1022));
    let m18_19 = format!("82 80 08 1234 03FC {}", "61".repeat(1020));
    let cases: &[(&str, Direction, DecodeError)] = &[
        // fixed header: M03, M05, M17, M26
        ("10 FF FF FF FF 7F 0004", ToServer, E::RemainingLengthTooLong),
        ("00 00", ToServer, E::ReservedType(0)),
        ("01 00", ToServer, E::ReservedType(0)),
        ("0F 00", ToServer, E::ReservedType(0)),
        ("F0 00", ToServer, E::ReservedType(15)),
        ("FF 00", ToClient, E::ReservedType(15)),
        ("20 02 0000", ToServer, E::WrongDirection(P::Connack)),
        ("90 03 0001 00", ToServer, E::WrongDirection(P::Suback)),
        ("B0 02 0001", ToServer, E::WrongDirection(P::Unsuback)),
        ("D0 00", ToServer, E::WrongDirection(P::Pingresp)),
        ("10 0E 0004 4D515454 04 02 003C 0002 6331", ToClient, E::WrongDirection(P::Connect)),
        ("82 06 0001 0001 61 00", ToClient, E::WrongDirection(P::Subscribe)),
        ("A2 05 0001 0001 61", ToClient, E::WrongDirection(P::Unsubscribe)),
        ("C0 00", ToClient, E::WrongDirection(P::Pingreq)),
        ("E0 00", ToClient, E::WrongDirection(P::Disconnect)),
        ("11 0E 0004 4D515454 04 02 003C 0002 6331", ToServer, E::ReservedFlags(P::Connect)),
        ("80 06 0001 0001 61 00", ToServer, E::ReservedFlags(P::Subscribe)),
        ("8A 06 0001 0001 61 00", ToServer, E::ReservedFlags(P::Subscribe)),
        ("A0 05 0001 0001 61", ToServer, E::ReservedFlags(P::Unsubscribe)),
        ("60 02 0001", ToServer, E::ReservedFlags(P::Pubrel)),
        ("41 02 0001", ToServer, E::ReservedFlags(P::Puback)),
        ("C1 00", ToServer, E::ReservedFlags(P::Pingreq)),
        ("E8 00", ToServer, E::ReservedFlags(P::Disconnect)),
        ("36 07 0003 612F62 0001", ToServer, E::PublishQos3),
        ("38 05 0003 612F62", ToServer, E::DupWithQos0),
        // fixed sizes
        ("40 03 0001 00", ToServer, E::WrongLength(P::Puback)),
        ("50 01 00", ToServer, E::WrongLength(P::Pubrec)),
        ("62 00", ToServer, E::WrongLength(P::Pubrel)),
        ("70 04 0001 0000", ToServer, E::WrongLength(P::Pubcomp)),
        ("C0 01 00", ToServer, E::WrongLength(P::Pingreq)),
        ("E0 02 0000", ToServer, E::WrongLength(P::Disconnect)),
        ("20 03 00 00 00", ToClient, E::WrongLength(P::Connack)),
        ("B0 03 0001 00", ToClient, E::WrongLength(P::Unsuback)),
        ("40 02 0000", ToServer, E::PacketIdZero),
        ("50 02 0000", ToServer, E::PacketIdZero),
        ("62 02 0000", ToServer, E::PacketIdZero),
        ("70 02 0000", ToServer, E::PacketIdZero),
        // CONNECT: M06 to M10
        ("10 00", ToServer, E::Truncated(P::Connect)),
        ("10 0A 0004 4D515454 04 02 000A", ToServer, E::Truncated(P::Connect)),
        ("10 0E 0004 4D515455 04 02 003C 0002 6331", ToServer, E::ProtocolName),
        ("10 0D 0003 4D5154 04 02 003C 0002 6331", ToServer, E::ProtocolName),
        ("10 0E 0004 6D717474 04 02 003C 0002 6331", ToServer, E::ProtocolName),
        ("10 0A 0000 04 02 003C 0002 6331", ToServer, E::ProtocolName),
        ("10 0E 0004 4D515454 02 02 003C 0002 6331", ToServer, E::ProtocolLevel(2)),
        ("10 0E 0004 4D515454 03 02 003C 0002 6331", ToServer, E::ProtocolLevel(3)),
        ("10 0F 0004 4D515454 05 02 003C 00 0002 6331", ToServer, E::ProtocolLevel(5)),
        ("10 0E 0004 4D515454 06 02 003C 0002 6331", ToServer, E::ProtocolLevel(6)),
        ("10 10 0006 4D5149736470 04 02 003C 0002 6331", ToServer, E::ProtocolLevel(4)),
        ("10 0E 0004 4D515454 84 02 003C 0002 6331", ToServer, E::ProtocolLevel(0x84)),
        ("10 0E 0004 4D515454 04 03 003C 0002 6331", ToServer, E::ConnectReservedFlag),
        ("10 0E 0004 4D515454 04 0A 003C 0002 6331", ToServer, E::WillFlagsWithoutWill),
        ("10 0E 0004 4D515454 04 12 003C 0002 6331", ToServer, E::WillFlagsWithoutWill),
        ("10 0E 0004 4D515454 04 22 003C 0002 6331", ToServer, E::WillFlagsWithoutWill),
        ("10 0E 0004 4D515454 04 1A 003C 0002 6331", ToServer, E::WillFlagsWithoutWill),
        ("10 13 0004 4D515454 04 1E 003C 0002 6331 0001 77 0000", ToServer, E::WillQos3),
        ("10 10 0004 4D515454 04 42 003C 0002 6331 0000", ToServer, E::PasswordWithoutUsername),
        ("10 0E 0004 4D515454 04 06 003C 0002 6331", ToServer, E::Truncated(P::Connect)),
        ("10 11 0004 4D515454 04 06 003C 0002 6331 0001 77", ToServer, E::Truncated(P::Connect)),
        ("10 0E 0004 4D515454 04 82 003C 0002 6331", ToServer, E::Truncated(P::Connect)),
        ("10 10 0004 4D515454 04 C2 003C 0002 6331 0000", ToServer, E::Truncated(P::Connect)),
        ("10 0F 0004 4D515454 04 C2 003C 000B 616263", ToServer, E::Truncated(P::Connect)),
        ("10 0E 0004 4D515454 04 02 003C 0003 6331", ToServer, E::Truncated(P::Connect)),
        ("10 0F 0004 4D515454 04 02 003C 0002 6331 00", ToServer, E::TrailingBytes(P::Connect)),
        ("10 0F 0004 4D515454 04 02 003C 0002 633100", ToServer, E::TrailingBytes(P::Connect)),
        ("10 0F 0004 4D515454 04 02 003C 0003 633100", ToServer, E::Nul),
        ("10 0F 0004 4D515454 04 02 003C 0003 EDA080", ToServer, E::Utf8),
        ("10 0E 0004 4D515454 04 02 003C 0002 C0AF", ToServer, E::Utf8),
        ("10 0D 0004 4D515454 04 02 003C 0001 FF", ToServer, E::Utf8),
        ("10 13 0004 4D515454 04 06 003C 0002 6331 0001 00 0000", ToServer, E::Nul),
        ("10 14 0004 4D515454 04 06 003C 0002 6331 0002 C0AF 0000", ToServer, E::Utf8),
        ("10 12 0004 4D515454 04 06 003C 0002 6331 0000 0000", ToServer, E::WillTopic(TopicError::Empty)),
        (
            "10 13 0004 4D515454 04 06 003C 0002 6331 0001 23 0000",
            ToServer,
            E::WillTopic(TopicError::WildcardInName),
        ),
        ("10 11 0004 4D515454 04 82 003C 0002 6331 0001 00", ToServer, E::Nul),
        ("10 13 0004 4D515454 04 82 003C 0002 6331 0003 EDA080", ToServer, E::Utf8),
        // PUBLISH: M12, M15 to M18
        ("30 00", ToServer, E::Truncated(P::Publish)),
        ("30 03 0003 61", ToServer, E::Truncated(P::Publish)),
        ("32 08 0003 313100 0001 33", ToServer, E::Nul),
        ("30 09 0000 7061796C6F6164", ToServer, E::Topic(TopicError::Empty)),
        ("30 07 0005 2B6F706963", ToServer, E::Topic(TopicError::WildcardInName)),
        ("30 07 0005 236F706963", ToServer, E::Topic(TopicError::WildcardInName)),
        ("31 05 0003 612F23", ToClient, E::Topic(TopicError::WildcardInName)),
        ("30 05 0003 EDA080", ToServer, E::Utf8),
        ("30 04 0002 C0AF", ToServer, E::Utf8),
        ("32 09 0005 746F706963 0000", ToServer, E::PacketIdZero),
        ("34 09 0005 746F706963 0000", ToServer, E::PacketIdZero),
        ("32 08 0005 746F706963 00", ToServer, E::Truncated(P::Publish)),
        (&m18, ToServer, E::Truncated(P::Publish)),
        // SUBSCRIBE, UNSUBSCRIBE: M19
        ("82 05 1234 0001 70", ToServer, E::Truncated(P::Subscribe)),
        (&m18_19, ToServer, E::Truncated(P::Subscribe)),
        ("82 02 1234", ToServer, E::NoFilter(P::Subscribe)),
        ("82 01 12", ToServer, E::Truncated(P::Subscribe)),
        ("82 00", ToServer, E::Truncated(P::Subscribe)),
        ("82 06 1234 0001 70 03", ToServer, E::RequestedQos(3)),
        ("82 06 1234 0001 70 80", ToServer, E::RequestedQos(0x80)),
        ("82 06 1234 0001 70 04", ToServer, E::RequestedQos(4)),
        ("82 06 0000 0001 70 00", ToServer, E::PacketIdZero),
        ("82 06 1234 0001 00 00", ToServer, E::Nul),
        ("82 08 1234 0003 EDA080 00", ToServer, E::Utf8),
        ("82 07 1234 0001 70 00 00", ToServer, E::Truncated(P::Subscribe)),
        ("A2 02 1234", ToServer, E::NoFilter(P::Unsubscribe)),
        ("A2 05 0000 0001 70", ToServer, E::PacketIdZero),
        ("A2 06 1234 0001 70 00", ToServer, E::Truncated(P::Unsubscribe)),
        ("A2 05 1234 0001 00", ToServer, E::Nul),
        ("A2 06 1234 0002 C0AF", ToServer, E::Utf8),
        // what a hostile server sends: M40
        ("20 02 02 00", ToClient, E::ConnackFlags(2)),
        ("20 02 00 06", ToClient, E::ConnackReturnCode(6)),
        ("20 02 01 05", ToClient, E::ConnackSessionPresent),
        ("20 01 00", ToClient, E::WrongLength(P::Connack)),
        ("90 02 0001", ToClient, E::SubackEmpty),
        ("90 03 0001 03", ToClient, E::SubackReturnCode(3)),
        ("90 03 0000 00", ToClient, E::PacketIdZero),
    ];
    for (text, direction, error) in cases {
        assert_eq!(read(&hex(text), *direction, Version::V311), Err(*error), "{text:.80}");
    }
}

#[test]
fn mqtt_3_1_may_omit_announced_credentials_and_set_dup_on_requests() {
    let flags_c2 = hex("10 10 0006 4D5149736470 03 C2 003C 0002 6331");
    let read_31 = |bytes| match read(bytes, Direction::ToServer, Version::V31) {
        Ok(Packet::Connect(connect)) => (connect.username, connect.password),
        other => panic!("{other:?}"),
    };
    assert_eq!(read_31(&flags_c2), (None, None));
    let name_only = hex("10 15 0006 4D5149736470 03 C2 003C 0002 6331 0003 616E6E");
    assert_eq!(read_31(&name_only), (Some("ann"), None));
    // bit 0 of the connect flags is unused there
    assert_eq!(read_31(&hex("10 10 0006 4D5149736470 03 03 003C 0002 6331")), (None, None));
    let cut = hex("10 13 0006 4D5149736470 03 C2 003C 0002 6331 0003 61");
    let error = Err(DecodeError::Truncated(PacketType::Connect));
    assert_eq!(read(&cut, Direction::ToServer, Version::V31), error);
    for again in ["6A 02 0001", "8A 06 0001 0001 61 00", "AA 05 0001 0001 61"] {
        assert!(read(&hex(again), Direction::ToServer, Version::V31).is_ok(), "{again}");
    }
}

/// Text of up to `max` characters, wildcards, slashes and control characters among them.
fn text(max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![Just('/'), Just('+'), Just('#'), Just('$'), Just('a'), Just('\u{feff}'), any::<char>()],
        0..max,
    )
    .prop_map(|characters| characters.into_iter().filter(|character| *character != '\0').collect())
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        first in any::<u8>(),
        to_server: bool,
    ) {
        let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
        for version in [Version::V31, Version::V311] {
            for connected in [false, true] {
                let rules = FrameRules {
                    direction, version, connected, connect_bytes_max: 64 << 10, packet_bytes_max: 1 << 20,
                };
                if let Ok(Split::Frame(frame)) = split(&bytes, &rules) {
                    prop_assert!(frame.len <= bytes.len());
                    let _ = frame.decode();
                }
            }
        }
        let _ = peek_client_id(&bytes);
        if let Ok(packet) = decode(first, &bytes, direction) {
            // Whatever is accepted is written back byte for byte: nothing was skipped or guessed.
            let mut out = Vec::new();
            encode(&packet, &mut out);
            prop_assert_eq!(out.first(), Some(&first));
            prop_assert!(out.ends_with(&bytes));
        }
    }

    #[test]
    fn connect_survives_the_wire(
        client_id in text(30), clean_session: bool, keep_alive: u16, v31: bool,
        will in proptest::option::of((text(20), proptest::collection::vec(any::<u8>(), 0..20), qos(), any::<bool>())),
        login in proptest::option::of((text(10), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)))),
    ) {
        let will = match &will {
            Some((topic, payload, qos, retain)) => TopicNameRef::new(topic)
                .ok()
                .map(|topic| ConnectWill { topic, payload, qos: *qos, retain: *retain }),
            None => None,
        };
        let username = login.as_ref().map(|(username, _)| username.as_str());
        let password = login.as_ref().and_then(|(_, password)| password.as_deref());
        let version = if v31 { Version::V31 } else { Version::V311 };
        let connect =
            Connect { version, clean_session, keep_alive, client_id: &client_id, will, username, password };
        let mut bytes = Vec::new();
        connect.encode(&mut bytes).unwrap();
        prop_assert_eq!(read(&bytes, Direction::ToServer, version), Ok(Packet::Connect(connect)));
        // No prefix of the body is a CONNECT (of 3.1.1, where nothing may be missing).
        if version == Version::V311 {
            let header = 1 + usize::from(RemainingLength::read(bytes.get(1..).unwrap()).unwrap().unwrap().bytes);
            let cut = bytes.get(header..bytes.len() - 1).unwrap();
            prop_assert!(decode(0x10, cut, Direction::ToServer).is_err());
        }
    }

    #[test]
    fn publish_survives_the_wire(
        topic in text(40), payload in proptest::collection::vec(any::<u8>(), 0..300),
        qos in qos(), packet_id in 1..=u16::MAX, dup: bool, retain: bool,
    ) {
        let topic = format!("t{}", topic.replace(['+', '#'], "/"));
        let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(packet_id) };
        let dup = dup && qos != QoS::AtMostOnce;
        let publish = Publish { dup, qos, retain, topic: name(&topic), packet_id, payload: &payload };
        let mut bytes = Vec::new();
        publish.encode(&mut bytes).unwrap();
        for direction in [Direction::ToServer, Direction::ToClient] {
            prop_assert_eq!(read(&bytes, direction, Version::V311), Ok(Packet::Publish(publish)));
        }
    }

    #[test]
    fn subscribe_survives_the_wire(
        filters in proptest::collection::vec((text(20), qos()), 1..20), packet_id in 1..=u16::MAX,
    ) {
        let entries: Vec<_> = filters.iter().map(|(filter, qos)| (filter.as_str(), *qos)).collect();
        let mut bytes = Vec::new();
        encode_subscribe(id(packet_id), &entries, &mut bytes).unwrap();
        let Ok(Packet::Subscribe(subscribe)) = read(&bytes, Direction::ToServer, Version::V311) else {
            return Err(TestCaseError::fail("a SUBSCRIBE"));
        };
        let back: Vec<_> = subscribe.filters.map(|entry| (entry.filter, entry.qos)).collect();
        prop_assert_eq!(back, entries);
    }
}
