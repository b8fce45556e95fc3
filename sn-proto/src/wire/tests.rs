//! Wire tables: bytes ⇄ value, bytes → error, and properties over all messages.

#![allow(clippy::indexing_slicing)] // a wrong index fails the test, as it should

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn encoded(message: Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).expect("fits");
    out
}

/// Canonical encodings: each line decodes to the value and the value encodes to the line.
#[test]
fn every_message_has_one_canonical_encoding() {
    let will = Some(WillTopic { qos: Qos::AtLeastOnce, retain: true, topic: b"w/t" });
    let table: &[(&str, Message<'_>)] = &[
        ("05 00 01 0384", Message::Advertise(Advertise { gateway_id: 1, duration: 900 })),
        ("03 01 00", Message::SearchGw(SearchGw { radius: 0 })),
        ("03 02 01", Message::GwInfo(GwInfo { gateway_id: 1, gateway_address: b"" })),
        ("07 02 01 7F000001", Message::GwInfo(GwInfo { gateway_id: 1, gateway_address: &[127, 0, 0, 1] })),
        (
            "08 04 04 01 003C 6331",
            Message::Connect(Connect {
                will: false,
                clean_session: true,
                protocol_id: 1,
                duration: 60,
                client_id: b"c1",
            }),
        ),
        (
            "08 04 0C 01 003C 6331",
            Message::Connect(Connect {
                will: true,
                clean_session: true,
                protocol_id: 1,
                duration: 60,
                client_id: b"c1",
            }),
        ),
        (
            "06 04 00 01 003C", // N08: answered CONNACK rc 3, hence decoded
            Message::Connect(Connect {
                will: false,
                clean_session: false,
                protocol_id: 1,
                duration: 60,
                client_id: b"",
            }),
        ),
        (
            "08 04 04 02 003C 6331", // N09: another protocol id
            Message::Connect(Connect {
                will: false,
                clean_session: true,
                protocol_id: 2,
                duration: 60,
                client_id: b"c1",
            }),
        ),
        ("03 05 00", Message::ConnAck(ReturnCode::Accepted)),
        ("03 05 03", Message::ConnAck(ReturnCode::NotSupported)),
        ("03 05 80", Message::ConnAck(ReturnCode::Reserved(0x80))),
        ("02 06", Message::WillTopicReq),
        ("06 07 30 772F74", Message::WillTopic(will)),
        ("02 07", Message::WillTopic(None)),
        ("02 08", Message::WillMsgReq),
        ("05 09 00FF41", Message::WillMsg(&[0x00, 0xFF, 0x41])),
        ("02 09", Message::WillMsg(b"")),
        (
            "09 0A 0000 0001 612F62",
            Message::Register(Register { topic_id: 0, msg_id: 1, topic_name: b"a/b" }),
        ),
        ("06 0A 0000 0001", Message::Register(Register { topic_id: 0, msg_id: 1, topic_name: b"" })), // N18
        (
            "07 0B 0401 0001 00",
            Message::RegAck(RegAck { topic_id: 1025, msg_id: 1, return_code: ReturnCode::Accepted }),
        ),
        (
            "09 0C 62 0001 0000 6162",
            Message::Publish(Publish {
                dup: false,
                qos: Qos::MinusOne,
                retain: false,
                topic_id_type: TopicIdType::Short,
                topic_id: 1,
                msg_id: 0,
                data: b"ab",
            }),
        ),
        (
            "07 0C B1 0001 0007",
            Message::Publish(Publish {
                dup: true,
                qos: Qos::AtLeastOnce,
                retain: true,
                topic_id_type: TopicIdType::Predefined,
                topic_id: 1,
                msg_id: 7,
                data: b"",
            }),
        ),
        (
            "08 0C 03 6162 0000 78", // N20: reserved topic id type, left to the state machine
            Message::Publish(Publish {
                dup: false,
                qos: Qos::AtMostOnce,
                retain: false,
                topic_id_type: TopicIdType::Reserved,
                topic_id: 0x6162,
                msg_id: 0,
                data: b"x",
            }),
        ),
        (
            "09 0C 60 FFFF 0000 6162", // N21: QoS −1 whose topic id would be a length of 65535
            Message::Publish(Publish {
                dup: false,
                qos: Qos::MinusOne,
                retain: false,
                topic_id_type: TopicIdType::Normal,
                topic_id: 0xFFFF,
                msg_id: 0,
                data: b"ab",
            }),
        ),
        (
            "07 0D 0000 0007 00",
            Message::PubAck(PubAck { topic_id: 0, msg_id: 7, return_code: ReturnCode::Accepted }),
        ),
        (
            "07 0D 1234 0000 02",
            Message::PubAck(PubAck { topic_id: 0x1234, msg_id: 0, return_code: ReturnCode::InvalidTopicId }),
        ),
        ("04 0E 0102", Message::PubComp(0x0102)),
        ("04 0F 0102", Message::PubRec(0x0102)),
        ("04 10 0102", Message::PubRel(0x0102)),
        (
            "08 12 20 0001 612F62",
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtLeastOnce,
                msg_id: 1,
                topic: TopicRef::Name(b"a/b"),
            }),
        ),
        (
            "07 12 C1 0001 0005",
            Message::Subscribe(Subscribe {
                dup: true,
                qos: Qos::ExactlyOnce,
                msg_id: 1,
                topic: TopicRef::Predefined(5),
            }),
        ),
        (
            "07 12 02 0000 7431",
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtMostOnce,
                msg_id: 0,
                topic: TopicRef::Short(*b"t1"),
            }),
        ),
        (
            "05 12 20 0001", // N16: no topic
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtLeastOnce,
                msg_id: 1,
                topic: TopicRef::Invalid(TopicIdType::Normal, b""),
            }),
        ),
        (
            "07 12 03 0001 7431",
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtMostOnce,
                msg_id: 1,
                topic: TopicRef::Invalid(TopicIdType::Reserved, b"t1"),
            }),
        ),
        (
            "08 12 01 0001 000102",
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtMostOnce,
                msg_id: 1,
                topic: TopicRef::Invalid(TopicIdType::Predefined, &[0, 1, 2]),
            }),
        ),
        (
            "06 12 02 0001 74",
            Message::Subscribe(Subscribe {
                dup: false,
                qos: Qos::AtMostOnce,
                msg_id: 1,
                topic: TopicRef::Invalid(TopicIdType::Short, b"t"),
            }),
        ),
        (
            "08 13 40 0401 0001 00",
            Message::SubAck(SubAck {
                qos: Qos::ExactlyOnce,
                topic_id: 1025,
                msg_id: 1,
                return_code: ReturnCode::Accepted,
            }),
        ),
        ("06 14 00 0001 61", Message::Unsubscribe(Unsubscribe { msg_id: 1, topic: TopicRef::Name(b"a") })),
        (
            "05 14 00 0001", // N16
            Message::Unsubscribe(Unsubscribe {
                msg_id: 1,
                topic: TopicRef::Invalid(TopicIdType::Normal, b""),
            }),
        ),
        ("04 15 0001", Message::UnsubAck(1)),
        ("02 16", Message::PingReq(b"")),
        ("07 16 6869 6A31 32", Message::PingReq(b"hij12")),
        ("02 17", Message::PingResp),
        ("02 18", Message::Disconnect(None)),
        ("04 18 001E", Message::Disconnect(Some(30))),
        ("04 18 0000", Message::Disconnect(Some(0))),
        ("06 1A 30 772F74", Message::WillTopicUpd(will)),
        ("02 1A", Message::WillTopicUpd(None)),
        ("03 1B 00", Message::WillTopicResp(ReturnCode::Accepted)),
        ("03 1C 78", Message::WillMsgUpd(b"x")),
        ("03 1D 01", Message::WillMsgResp(ReturnCode::Congestion)),
    ];
    for (text, message) in table {
        let bytes = hex(text);
        assert_eq!(Message::decode(&bytes), Ok(*message), "{text}");
        assert_eq!(encoded(*message), bytes, "{text}");
        assert_eq!(message.encoded_len(), bytes.len(), "{text}");
        assert_eq!(message.kind(), bytes[1], "{text}");
    }
    let mut kinds: Vec<u8> = table.iter().map(|(_, message)| message.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 27, "every message type of 1.2 stands in the table");
}

/// Encodings that decode to the same value as the canonical one beside them.
#[test]
fn tolerated_encodings_decode_to_the_canonical_value() {
    for (seen, canonical) in [
        ("01 0004 17", "02 17"), // 3-octet form of a short message
        ("01 000A 04 04 01 003C 6331", "08 04 04 01 003C 6331"), // the same of CONNECT
        ("08 04 F7 01 003C 6331", "08 04 04 01 003C 6331"), // unused flags of CONNECT
        ("08 12 24 0001 612F62", "08 12 20 0001 612F62"), // CleanSession leaks into SUBSCRIBE
        ("09 0C 6C 0001 0000 6162", "09 0C 60 0001 0000 6162"), // and into PUBLISH
        ("06 14 FC 0001 61", "06 14 00 0001 61"), // and into UNSUBSCRIBE
        ("08 13 DF 0401 0001 00", "08 13 40 0401 0001 00"), // and into SUBACK
        ("06 07 BF 772F74", "06 07 30 772F74"), // and into WILLTOPIC
        ("03 07 30", "02 07"),   // flags without a will topic
        ("03 1A 00", "02 1A"),
    ] {
        let seen = hex(seen);
        assert_eq!(Message::decode(&seen), Message::decode(&hex(canonical)));
        assert_eq!(encoded(Message::decode(&seen).expect("tolerated")), hex(canonical));
    }
}

#[test]
fn malformed_datagrams_are_refused_with_their_reason() {
    use WireError::*;
    for (row, text, error) in [
        ("N01", "", TooShort),
        ("N01", "00", TooShort),
        ("N01", "01", TooShort),
        ("N02", "01 00", TooShort),
        ("N02", "01 04", TooShort),
        ("N02", "01 00 02", TooShort),
        ("N02", "01 0003 17", LengthMismatch),
        ("N03", "00 0C", LengthMismatch),
        ("N03", "02 0C", TooShort),
        ("N04", "03 04 04", TooShort),
        ("N04", "05 04 04 01 00", TooShort),
        ("N05", "FF 04 04 01 00 3C 63 31", LengthMismatch),
        ("N06", "01 00FF 0C 00 0001 0000 78", LengthMismatch),
        ("N15", "02 0A", TooShort),
        ("N15", "03 0C 20", TooShort),
        ("N15", "03 12 00", TooShort),
        ("N15", "02 0D", TooShort),
        ("N15", "04 0B 00 01", TooShort),
        ("", "05 0A 00 00 00", TooShort),
        ("", "06 0C 00 0001 00", TooShort),
        ("", "04 14 00 00", TooShort),
        ("", "08 0B 0401 0001 00 00", TooLong),
        ("", "08 0D 0401 0001 00 00", TooLong),
        ("", "03 0E 01", TooShort),
        ("", "05 10 0001 00", TooLong),
        ("", "03 18 01", TooShort),
        ("", "05 18 0001 00", TooLong),
        ("", "02 01", TooShort),
        ("", "04 01 00 00", TooLong),
        ("", "04 00 01 03", TooShort),
        ("", "06 00 01 0384 00", TooLong),
        ("", "02 02", TooShort),
        ("", "02 05", TooShort),
        ("", "04 05 00 00", TooLong),
        ("", "03 06 00", TooLong),
        ("", "03 08 00", TooLong),
        ("", "03 17 00", TooLong),
        ("", "07 13 00 0401 0001", TooShort),
        ("", "02 17 00", LengthMismatch),
        ("", "03 17", LengthMismatch),
        ("", "02 03", ReservedType(0x03)),
        ("", "02 11", ReservedType(0x11)),
        ("", "02 19", ReservedType(0x19)),
        ("", "02 1E", ReservedType(0x1E)),
        ("", "02 FD", ReservedType(0xFD)),
        ("", "02 FF", ReservedType(0xFF)),
        ("N32", "03 FE 00", EmptyEncapsulation),
        ("N32", "04 FE 00 41", EmptyEncapsulation),
        ("N32", "03 FE 00 03 FE 00 02 17", NestedEncapsulation),
        ("N32", "04 FE 00 41 05 FE 00 42 43 02 17", NestedEncapsulation),
        ("N32", "03 FE 00 03 FE 00", NestedEncapsulation),
        ("N32", "03 FE 00 02 0C", TooShort),
        ("N32", "03 FE 00 09 17", LengthMismatch),
        ("N32", "02 FE", TooShort),
        ("N32", "00 FE 00", TooShort),
        ("N32", "09 FE 00 D4 3E", LengthMismatch),
        ("N32", "01 0007 FE 00 02 17", ReservedType(0xFE)),
    ] {
        assert_eq!(Datagram::decode(&hex(text)), Err(error), "{row} {text}");
    }
}

/// N03: two octets of every type. Only messages that can be empty are any.
#[test]
fn two_octet_datagrams_are_messages_only_where_a_body_may_be_empty() {
    for kind in 0..=u8::MAX {
        let bytes = [0x02, kind];
        let allowed = [0x06, 0x07, 0x08, 0x09, 0x16, 0x17, 0x18, 0x1A, 0x1C].contains(&kind);
        assert_eq!(Datagram::decode(&bytes).is_ok(), allowed, "02 {kind:02x}");
        assert!(Datagram::decode(&[0x00, kind]).is_err(), "00 {kind:02x}");
    }
}

/// N06: a payload of 248 octets, whose Length the Paho client gets wrong by two.
#[test]
fn length_255_in_three_octets_is_taken_for_a_datagram_of_257() {
    let mut bytes = hex("01 00FF 0C 00 0001 0000");
    bytes.resize(257, b'x');
    let Ok(Message::Publish(publish)) = Message::decode(&bytes) else { panic!("refused") };
    assert_eq!(publish.data.len(), 248);
    bytes.push(b'x');
    assert_eq!(Message::decode(&bytes), Err(WireError::LengthMismatch));
    bytes.truncate(256);
    assert_eq!(Message::decode(&bytes), Err(WireError::LengthMismatch));
    bytes.truncate(255); // and the honest one
    assert!(Message::decode(&bytes).is_ok());
}

/// N07: a long ClientId arrives whole; whether it is too long is for [`client_id`] to say.
#[test]
fn long_client_id_is_not_truncated() {
    let mut bytes = hex("CE 04 04 01 003C");
    bytes.resize(206, b'A');
    let Ok(Message::Connect(connect)) = Message::decode(&bytes) else { panic!("refused") };
    assert_eq!(connect.client_id, [b'A'; 200]);
    assert_eq!(client_id(connect.client_id, 255), Ok("A".repeat(200).as_str()));
    assert_eq!(client_id(connect.client_id, 199), Err(ClientIdError::TooLong));
}

/// N10 and §6.10 item 18.
#[test]
fn client_ids_may_hold_all_but_nul_and_bad_utf8() {
    for good in ["c", "pub0sub1 MQTT-SN", "d:quickstart:udptest:9002f7f1ad23", "a/b+#", "\u{1b}[31m", "é"] {
        assert_eq!(client_id(good.as_bytes(), 255), Ok(good));
    }
    assert_eq!(client_id(b"", 255), Err(ClientIdError::Empty));
    assert_eq!(client_id(b"a\0b", 255), Err(ClientIdError::Nul));
    for bad in [&b"\xFF"[..], b"\xED\xA0\x80", b"\xC0\xAF", b"a\xC3"] {
        assert_eq!(client_id(bad, 255), Err(ClientIdError::NotUtf8));
    }
}

/// N32 and N36: a CONNECT behind a forwarder, and the largest datagram that UDP carries.
#[test]
fn encapsulated_and_huge_datagrams_are_read_in_place() {
    let bytes = hex("09 FE 02 D43E276E03C3 08 04 04 01 003C 6331");
    let datagram = Datagram::decode(&bytes).expect("accepted");
    let envelope = datagram.envelope.expect("encapsulated");
    assert_eq!((envelope.radius, envelope.node_id), (2, &hex("D43E276E03C3")[..]));
    assert_eq!(datagram.message.name(), "CONNECT");
    let mut again = Vec::new();
    datagram.encode(&mut again).expect("fits");
    assert_eq!(again, bytes);

    let mut huge = hex("01 FFE3 0C 00 0401 0000");
    huge.resize(65_507, 0xA5);
    let Ok(Message::Publish(publish)) = Message::decode(&huge) else { panic!("refused") };
    assert_eq!(publish.data.len(), 65_507 - 9);
    assert!(core::ptr::eq(publish.data.as_ptr(), huge[9..].as_ptr()), "borrowed, not copied");
}

#[test]
fn the_one_octet_form_is_used_up_to_255_octets() {
    let payload = vec![0; 70_000];
    let publish = |length: usize| {
        Message::Publish(Publish {
            dup: false,
            qos: Qos::AtMostOnce,
            retain: false,
            topic_id_type: TopicIdType::Normal,
            topic_id: 1025,
            msg_id: 0,
            data: &payload[..length],
        })
    };
    assert_eq!(&encoded(publish(247))[..2], &[0xFE, 0x0C]);
    assert_eq!(&encoded(publish(248))[..2], &[0xFF, 0x0C]);
    assert_eq!(&encoded(publish(249))[..4], &[0x01, 0x01, 0x02, 0x0C]);
    assert_eq!(encoded(publish(65_535 - 9)).len(), MESSAGE_MAX);
    let mut out = vec![1, 2, 3];
    assert_eq!(publish(65_536 - 9).encode(&mut out), Err(MessageTooLong));
    let envelope = Some(Envelope { radius: 0, node_id: &payload[..253] });
    assert_eq!(Datagram { envelope, message: Message::PingResp }.encode(&mut out), Err(MessageTooLong));
    let envelope = Some(Envelope { radius: 0, node_id: &payload[..252] });
    assert_eq!(Datagram { envelope, message: publish(66_000) }.encode(&mut out), Err(MessageTooLong));
    assert_eq!(out, [1, 2, 3], "a failed encoding leaves no trace");
}

/// A message that owns its octets, for the properties.
#[derive(Debug, Clone)]
struct Sample {
    kind: u8,
    numbers: [u16; 2],
    octet: u8,
    bits: [bool; 3],
    qos: Qos,
    id_type: TopicIdType,
    octets: Vec<u8>,
}

impl Sample {
    fn message(&self) -> Message<'_> {
        let [a, b] = self.numbers;
        let [x, y, _] = self.bits;
        let octets = &self.octets[..];
        let code = ReturnCode::from_octet(self.octet);
        let pair = a.to_be_bytes();
        let topic = match self.id_type {
            TopicIdType::Normal if octets.is_empty() => TopicRef::Invalid(TopicIdType::Normal, octets),
            TopicIdType::Normal => TopicRef::Name(octets),
            TopicIdType::Predefined => TopicRef::Predefined(a),
            TopicIdType::Short => TopicRef::Short(pair),
            TopicIdType::Reserved => TopicRef::Invalid(TopicIdType::Reserved, octets),
        };
        let will = (!octets.is_empty()).then_some(WillTopic { qos: self.qos, retain: x, topic: octets });
        match self.kind {
            0 => Message::Advertise(Advertise { gateway_id: self.octet, duration: a }),
            1 => Message::SearchGw(SearchGw { radius: self.octet }),
            2 => Message::GwInfo(GwInfo { gateway_id: self.octet, gateway_address: octets }),
            3 => Message::Connect(Connect {
                will: x,
                clean_session: y,
                protocol_id: self.octet,
                duration: a,
                client_id: octets,
            }),
            4 => Message::ConnAck(code),
            5 => Message::WillTopicReq,
            6 => Message::WillTopic(will),
            7 => Message::WillMsgReq,
            8 => Message::WillMsg(octets),
            9 => Message::Register(Register { topic_id: a, msg_id: b, topic_name: octets }),
            10 => Message::RegAck(RegAck { topic_id: a, msg_id: b, return_code: code }),
            11 => Message::Publish(Publish {
                dup: x,
                qos: self.qos,
                retain: y,
                topic_id_type: self.id_type,
                topic_id: a,
                msg_id: b,
                data: octets,
            }),
            12 => Message::PubAck(PubAck { topic_id: a, msg_id: b, return_code: code }),
            13 => Message::PubComp(a),
            14 => Message::PubRec(a),
            15 => Message::PubRel(a),
            16 => Message::Subscribe(Subscribe { dup: x, qos: self.qos, msg_id: b, topic }),
            17 => Message::SubAck(SubAck { qos: self.qos, topic_id: a, msg_id: b, return_code: code }),
            18 => Message::Unsubscribe(Unsubscribe { msg_id: b, topic }),
            19 => Message::UnsubAck(a),
            20 => Message::PingReq(octets),
            21 => Message::PingResp,
            22 => Message::Disconnect(x.then_some(a)),
            23 => Message::WillTopicUpd(will),
            24 => Message::WillTopicResp(code),
            25 => Message::WillMsgUpd(octets),
            _ => Message::WillMsgResp(code),
        }
    }
}

fn samples() -> impl Strategy<Value = Sample> {
    let qos = prop_oneof![
        Just(Qos::MinusOne),
        Just(Qos::AtMostOnce),
        Just(Qos::AtLeastOnce),
        Just(Qos::ExactlyOnce)
    ];
    let id_type = prop_oneof![
        Just(TopicIdType::Normal),
        Just(TopicIdType::Predefined),
        Just(TopicIdType::Short),
        Just(TopicIdType::Reserved)
    ];
    let octets = proptest::collection::vec(any::<u8>(), 0..400);
    (0..27u8, any::<[u16; 2]>(), any::<u8>(), any::<[bool; 3]>(), qos, id_type, octets).prop_map(
        |(kind, numbers, octet, bits, qos, id_type, octets)| Sample {
            kind,
            numbers,
            octet,
            bits,
            qos,
            id_type,
            octets,
        },
    )
}

proptest! {
    #[test]
    fn what_was_encoded_decodes_to_itself(sample in samples(), node in proptest::collection::vec(any::<u8>(), 0..253)) {
        let message = sample.message();
        let bytes = encoded(message);
        prop_assert_eq!(bytes.len(), message.encoded_len());
        // The one ambiguity: 257 octets never start with 01 00 FF, so the tolerance cannot misread ours.
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
        let datagram = Datagram { envelope: Some(Envelope { radius: sample.octet & 3, node_id: &node }), message };
        let mut wrapped = Vec::new();
        datagram.encode(&mut wrapped).expect("fits");
        prop_assert_eq!(Datagram::decode(&wrapped), Ok(datagram));
    }

    #[test]
    fn arbitrary_octets_never_panic_and_are_stable(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(datagram) = Datagram::decode(&bytes) {
            let mut out = Vec::new();
            datagram.encode(&mut out).expect("what was decoded fits");
            prop_assert_eq!(Datagram::decode(&out), Ok(datagram));
        }
    }

    #[test]
    fn bodies_of_every_type_never_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = vec![u8::try_from(body.len() + 2).expect("short"), kind];
        bytes.extend_from_slice(&body);
        if let Ok(message) = Message::decode(&bytes) {
            let again = encoded(message);
            prop_assert_eq!(Message::decode(&again), Ok(message));
        }
    }

    #[test]
    fn a_cut_message_is_never_taken_for_a_whole_one(sample in samples(), cut in 1..8usize) {
        let bytes = encoded(sample.message());
        let short = &bytes[..bytes.len().saturating_sub(cut)];
        prop_assert!(Message::decode(short).is_err());
    }
}
