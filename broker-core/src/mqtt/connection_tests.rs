//! Scripted byte tests of [`Connection`], and the table of every state with every packet and every event.
#![allow(clippy::indexing_slicing)] // a test may panic: that is how it fails
use super::*;
use crate::link::{CloseReason, Fate, MessageFate, QueueQos0, Restored, Secret, SubscribeFilter};
use crate::topic::TopicError;

const CONNECT_C1: &[u8] = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02c1";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";

fn at(ms: u64) -> Now {
    Now::new(Instant::from_millis(ms), 1_700_000_000_000 + ms)
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

/// A connection with the buffers that a driver would hold.
struct Script {
    connection: Connection,
    now: Now,
    wire: Vec<u8>,
    out: StreamOut,
    shared: Rc<Shared>,
}

impl Script {
    fn with(limits: Limits) -> Script {
        let shared = Shared::new(limits, Some(Duration::from_secs(86_400)), 7);
        let remote = "192.0.2.1:4711".parse().ok();
        let connection = Connection::new(at(1_000), remote, None, Rc::clone(&shared));
        Script { connection, now: at(1_000), wire: Vec::new(), out: StreamOut::default(), shared }
    }

    fn new() -> Script {
        Script::with(Limits::default())
    }

    fn connected() -> Script {
        let mut script = Script::new();
        script.connect();
        script
    }

    fn connect(&mut self) {
        assert_eq!(self.input(CONNECT_C1), CONNECT_C1.len());
        assert!(matches!(self.requests()[..], [ToBroker::Connect(_)]));
        self.event(connack(false));
        assert_eq!(self.wire, CONNACK);
        assert_eq!(self.flush(), []);
    }

    fn input(&mut self, bytes: &[u8]) -> usize {
        self.connection.handle_bytes(self.now, bytes, &mut self.wire, &mut self.out)
    }

    fn event(&mut self, event: FromBroker) {
        self.connection.handle_event(self.now, event, &mut self.wire, &mut self.out);
    }

    fn timeout(&mut self) {
        self.connection.handle_timeout(self.now, &mut self.wire, &mut self.out);
    }

    fn requests(&mut self) -> Vec<ToBroker> {
        std::mem::take(&mut self.out.requests)
    }

    fn written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire)
    }

    fn closed(&mut self) -> Option<StreamClose> {
        self.out.close.take()
    }

    /// What a driver does with the out-buffer: all of it goes out.
    fn flush(&mut self) -> Vec<ToBroker> {
        let written = self.written().len();
        self.connection.handle_flushed(self.now, written, &mut self.out);
        self.requests()
    }

    fn texts(&mut self) -> Vec<(Option<String>, String)> {
        let notices = std::mem::take(&mut self.out.notices);
        let text = |notice| match notice {
            Notice::Peer { name, text, .. } => (name.map(|name| name.to_string()), text.to_string()),
            other => panic!("not a notice of a connection: {other:?}"),
        };
        notices.into_iter().map(text).collect()
    }
}

fn connack(session_present: bool) -> FromBroker {
    FromBroker::Connack { session_present, memo: Bytes::new(), has_will: false }
}

fn delivery(qos: QoS, packet_id: Option<u16>) -> Delivery {
    Delivery {
        message: Message::new("t", b"x", QoS::ExactlyOnce, true),
        packet_id: packet_id.and_then(PacketId::new),
        qos,
        dup: false,
        retain: false,
        expires_unix_ms: 0,
    }
}

#[test]
fn connect_is_asked_and_answered() {
    let mut script = Script::new();
    // Clean session, will QoS 1 retained, user name and password.
    let packet = b"\x10\x20\x00\x04MQTT\x04\xee\x00\x3c\x00\x02c1\x00\x01w\x00\x04gone\x00\x03ann\x00\x02pw";
    assert_eq!(script.input(packet), packet.len());
    let [ToBroker::Connect(connect)] = &script.requests()[..] else { panic!("one Connect") };
    assert_eq!(
        **connect,
        link::Connect {
            name: SessionName::Client("c1".into()),
            protocol: Protocol::Mqtt,
            clean: true,
            will: ConnectWill::Set(Will { message: Message::new("w", b"gone", QoS::AtLeastOnce, true) }),
            will_is_session_state: false,
            takeover_will: TakeoverWill::Publish,
            window: 32,
            credit: 256 << 10,
            queue_qos0: QueueQos0 { asleep: true, offline: false },
            credentials: Credentials {
                username: Some("ann".into()),
                password: Some(Secret(Bytes::from_static(b"pw"))),
                proven: None,
                remote: "192.0.2.1:4711".parse().ok(),
            },
            keep_alive: 60,
        }
    );
    assert!(script.connection.is_held());
    assert_eq!(script.written(), b"");
    script.event(connack(true));
    assert_eq!(script.written(), b"\x20\x02\x01\x00");
    assert!(!script.connection.is_held());
    assert_eq!(script.connection.client_id(), Some("c1"));
}

#[test]
fn mqtt_3_1_is_served_without_the_session_present_bit() {
    let mut script = Script::new();
    script.input(b"\x10\x10\x00\x06MQIsdp\x03\x00\x00\x00\x00\x02c3");
    assert!(matches!(&script.requests()[..], [ToBroker::Connect(connect)] if !connect.clean));
    script.event(connack(true));
    assert_eq!(script.written(), CONNACK);
}

#[test]
fn a_connect_of_another_level_gets_code_1_and_a_line_that_names_the_client() {
    // [MQTT-3.1.2-2]; hostile M10
    for (packet, level) in [
        (&b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02c5"[..], "MQTT 5"),
        (b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x02c5", "protocol level 6"),
    ] {
        let mut script = Script::new();
        script.input(packet);
        assert_eq!(script.written(), b"\x20\x02\x00\x01");
        assert_eq!(script.closed(), Some(StreamClose::Refused));
        assert_eq!(script.requests(), []);
        let texts = script.texts();
        let [(name, text)] = &texts[..] else { panic!("one line: {texts:?}") };
        assert!(text.contains(level), "{text}");
        if level == "MQTT 5" {
            assert_eq!(name.as_deref(), Some("c5"));
        }
        assert_eq!(script.shared.counters().refused[1], 1);
    }
}

#[test]
fn an_unknown_protocol_name_is_closed_without_an_answer() {
    let mut script = Script::new();
    script.input(b"\x10\x0e\x00\x04MQTU\x04\x02\x00\x3c\x00\x02c1");
    assert_eq!((script.written(), script.closed()), (vec![], Some(StreamClose::Protocol)));
}

#[test]
fn an_empty_client_id_is_generated_for_a_clean_session_and_refused_for_another() {
    // [MQTT-3.1.3-6], [MQTT-3.1.3-8]; hostile M06
    let mut names = Vec::new();
    for seed in [1, 1, 2] {
        let shared = Shared::new(Limits::default(), None, seed);
        for _ in 0..2 {
            let mut script = Script::new();
            script.connection = Connection::new(at(0), None, None, Rc::clone(&shared));
            script.input(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00");
            let [ToBroker::Connect(connect)] = &script.requests()[..] else { panic!("one Connect") };
            names.push(connect.name.as_str().to_owned());
        }
    }
    assert_eq!(names[0..2], names[2..4], "the seed decides");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "no name comes twice");
    assert!(names.iter().all(|name| name.len() == 37 && name.starts_with("auto-")));

    for packet in [
        &b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00"[..],
        b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00",
    ] {
        let mut script = Script::new();
        script.input(packet);
        assert_eq!(script.written(), b"\x20\x02\x00\x02");
        assert_eq!(script.closed(), Some(StreamClose::Refused));
    }
}

#[test]
fn what_exceeds_a_limit_in_a_connect_is_refused() {
    let limits = Limits { keep_alive_max: 59, ..Limits::default() };
    let will = b"\x10\x17\x00\x04MQTT\x04\x06\x00\x3c\x00\x02c1\x00\x01w\x00\x04gone";
    for (limits, packet, code) in [
        (limits, CONNECT_C1, 2),
        (Limits { client_id_bytes_max: 1, ..Limits::default() }, CONNECT_C1, 2),
        (Limits { will_bytes_max: 4, ..Limits::default() }, &will[..], 3),
        (Limits { topic_bytes_max: 0, ..Limits::default() }, &will[..], 3),
    ] {
        let mut script = Script::with(limits);
        script.input(packet);
        assert_eq!(script.written(), [0x20, 2, 0, code]);
        assert_eq!(script.closed(), Some(StreamClose::Refused));
        assert_eq!(script.texts().len(), 1);
    }
}

#[test]
fn the_broker_s_refusal_becomes_a_connack_code_and_the_end() {
    for (reason, code) in [
        (RefuseReason::IdentifierRejected, 2),
        (RefuseReason::Busy, 3),
        (RefuseReason::NoSession, 3),
        (RefuseReason::BadCredentials, 4),
        (RefuseReason::NotAuthorized, 5),
    ] {
        let mut script = Script::new();
        script.input(CONNECT_C1);
        script.requests();
        script.event(FromBroker::Refused(reason));
        assert_eq!(script.written(), [0x20, 2, 0, code]);
        assert_eq!(script.closed(), Some(StreamClose::Refused));
        assert_eq!(script.requests(), [], "the link is over already");
    }
}

#[test]
fn packets_behind_connect_wait_for_the_connack() {
    // §3.1.4; hostile M12
    let mut script = Script::new();
    let mut input = CONNECT_C1.to_vec();
    input.extend_from_slice(b"\x32\x08\x00\x03111\x00\x013\xc0\x00");
    assert_eq!(script.input(&input), CONNECT_C1.len());
    assert_eq!(script.requests().len(), 1);
    let rest = &input[CONNECT_C1.len()..];
    assert_eq!(script.input(rest), 0, "nothing is taken before the answer");
    assert_eq!((script.requests().len(), script.written()), (0, vec![]));
    script.event(connack(false));
    assert_eq!(script.input(rest), rest.len());
    let message = Message::new("111", b"3", QoS::AtLeastOnce, false);
    assert_eq!(script.requests(), [ToBroker::Publish { packet_id: Some(id(1)), dup: false, message }]);
    assert_eq!(script.written(), [CONNACK, b"\xd0\x00"].concat());
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let stream =
        [CONNECT_C1, b"\x32\x06\x00\x01t\x00\x07x\x82\x06\x00\x08\x00\x01t\x01\xc0\x00\xe0\x00"].concat();
    for step in 1..stream.len() {
        let mut script = Script::new();
        let mut held = Vec::new();
        let mut requests = Vec::new();
        let mut from = 0;
        // The driver: what is not taken is handed in again with what follows.
        while from < stream.len() || (!held.is_empty() && !script.connection.is_held()) {
            let until = (from + step).min(stream.len());
            held.extend_from_slice(&stream[from..until]);
            from = until;
            let taken = script.input(&held);
            held.drain(..taken);
            requests.extend(script.requests());
            if script.connection.is_held() {
                script.event(connack(false));
            }
            if from == stream.len() && taken == 0 {
                break;
            }
        }
        assert_eq!(requests.len(), 4, "step {step}: {requests:?}");
        assert_eq!(requests[3], ToBroker::Disconnect(Ending::Clean));
        assert_eq!(script.closed(), Some(StreamClose::Disconnected), "step {step}");
    }
}

#[test]
fn a_stranger_s_large_or_foreign_packet_ends_at_its_header() {
    // hostile M01, M02, M03, M05
    for bytes in [
        &b"\x20"[..],
        b"\x30",
        b"\x00",
        b"\xf0",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\xff\x7f",
        b"\x10\xff\xff\x03\x00\x04MQTT", // 65,535 bytes and the header
        b"\x11",
    ] {
        let mut script = Script::new();
        assert_eq!(script.input(bytes), bytes.len(), "the end takes everything");
        assert_eq!(script.closed(), Some(StreamClose::Protocol), "{bytes:02x?}");
        assert_eq!((script.requests(), script.written()), (vec![], vec![]));
        assert_eq!(script.shared.counters().malformed.iter().sum::<u64>(), 1);
    }
}

#[test]
fn a_large_packet_ends_at_its_header_and_the_will_is_due() {
    // hostile M04
    let mut script = Script::connected();
    script.input(b"\x30\xff\xff\xff\x7f\x00\x01t");
    assert_eq!(script.closed(), Some(StreamClose::Protocol));
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
}

#[test]
fn publish_of_every_qos_reaches_the_broker_and_is_acknowledged_by_it() {
    let mut script = Script::connected();
    script.input(b"\x31\x04\x00\x01tx\x3a\x06\x00\x01t\x00\x07x\x34\x06\x00\x01t\x00\x08x\x62\x02\x00\x08");
    let message = |qos, retain| Message::new("t", b"x", qos, retain);
    assert_eq!(
        script.requests(),
        [
            ToBroker::Publish { packet_id: None, dup: false, message: message(QoS::AtMostOnce, true) },
            ToBroker::Publish {
                packet_id: Some(id(7)),
                dup: true,
                message: message(QoS::AtLeastOnce, false)
            },
            ToBroker::Publish {
                packet_id: Some(id(8)),
                dup: false,
                message: message(QoS::ExactlyOnce, false)
            },
            ToBroker::Pubrel(id(8)),
        ]
    );
    script.event(FromBroker::Puback { packet_id: id(7), outcome: PublishOutcome::Accepted });
    script.event(FromBroker::Pubrec { packet_id: id(8), outcome: PublishOutcome::Denied });
    script.event(FromBroker::Pubcomp(id(8)));
    assert_eq!(script.written(), b"\x40\x02\x00\x07\x50\x02\x00\x08\x70\x02\x00\x08");
    script.event(FromBroker::PublishRefused { outcome: PublishOutcome::Denied });
    assert_eq!((script.written(), script.closed()), (vec![], None));
    script.event(FromBroker::Pubrec { packet_id: id(9), outcome: PublishOutcome::Quota });
    assert_eq!((script.written(), script.closed()), (vec![], Some(StreamClose::Protocol)));
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
}

#[test]
fn a_topic_over_the_operator_s_limit_ends_the_connection() {
    let mut script = Script::with(Limits { topic_levels_max: 2, ..Limits::default() });
    script.connect();
    script.input(b"\x30\x05\x00\x03a/b");
    assert_eq!(script.requests().len(), 1);
    script.input(b"\x30\x07\x00\x05a/b/c");
    assert_eq!(script.closed(), Some(StreamClose::Protocol));
    assert_eq!(script.texts(), [(Some("c1".to_owned()), "topic: more levels than allowed".to_owned())]);
}

#[test]
fn deliveries_are_written_and_their_credit_comes_back_when_they_are_flushed() {
    let mut script = Script::connected();
    script.event(FromBroker::Publish(delivery(QoS::AtMostOnce, None)));
    script.event(FromBroker::Publish(Delivery {
        dup: true,
        retain: true,
        ..delivery(QoS::ExactlyOnce, Some(9))
    }));
    assert_eq!(script.wire, b"\x30\x04\x00\x01tx\x3d\x06\x00\x01t\x00\x09x");
    // Two messages of two bytes, with sixteen for each.
    assert_eq!(script.flush(), [ToBroker::Credit { bytes: 36 }]);
    assert_eq!(script.flush(), [], "nothing more to give back");
    // An answer takes no credit.
    script.input(b"\xc0\x00");
    assert_eq!(script.flush(), []);
}

#[test]
fn a_partial_flush_gives_back_no_more_than_went_out() {
    let mut script = Script::connected();
    let message = Message::new("t", &[0; 999], QoS::AtMostOnce, false);
    script.event(FromBroker::Publish(Delivery { message, ..delivery(QoS::AtMostOnce, None) }));
    assert_eq!(script.wire.len(), 1005);
    for (flushed, bytes) in [(400, 400), (600, 600), (5, 16)] {
        script.connection.handle_flushed(script.now, flushed, &mut script.out);
        assert_eq!(script.requests(), [ToBroker::Credit { bytes }]);
    }
}

#[test]
fn a_delivery_that_mqtt_cannot_carry_is_rejected_and_its_credit_returned() {
    let mut script = Script::connected();
    // QoS 1 without an id, and 0 with one, have no wire form: stands for a message of more than 256 MiB.
    script.event(FromBroker::Publish(delivery(QoS::AtLeastOnce, None)));
    assert_eq!((script.written(), script.closed()), (vec![], None));
    assert_eq!(script.requests(), [ToBroker::Credit { bytes: 18 }]);
    script.event(FromBroker::Publish(delivery(QoS::AtMostOnce, Some(3))));
    assert_eq!(script.requests(), [ToBroker::Reject(id(3)), ToBroker::Credit { bytes: 18 }]);
}

#[test]
fn acks_of_deliveries_reach_the_broker() {
    let mut script = Script::connected();
    script.input(b"\x40\x02\x00\x01\x50\x02\x00\x02\x70\x02\x00\x03");
    assert_eq!(
        script.requests(),
        [ToBroker::Puback(id(1)), ToBroker::Pubrec(id(2)), ToBroker::Pubcomp(id(3))]
    );
    script.event(FromBroker::Pubrel(id(2)));
    assert_eq!(script.written(), b"\x62\x02\x00\x02");
}

#[test]
fn subscribe_and_unsubscribe_keep_their_order_and_their_refusals() {
    let mut script = Script::connected();
    script.input(b"\x82\x0c\x12\x34\x00\x01t\x01\x00\x03a#b\x02");
    let [ToBroker::Subscribe { packet_id: 0x1234, filters }] = &script.requests()[..] else { panic!("one") };
    let [SubscribeFilter { filter: Ok(filter), qos: QoS::AtLeastOnce }, second] = &filters[..] else {
        panic!("two filters: {filters:?}")
    };
    assert_eq!(filter.as_str(), "t");
    assert_eq!(*second, SubscribeFilter { filter: Err(TopicError::MisplacedHash), qos: QoS::ExactlyOnce });
    script.event(FromBroker::Suback { packet_id: 0x1234, granted: vec![Some(QoS::AtLeastOnce), None] });
    assert_eq!(script.written(), b"\x90\x04\x12\x34\x01\x80");

    script.input(b"\xa2\x0a\x12\x35\x00\x01t\x00\x03a#b");
    let [ToBroker::Unsubscribe { packet_id: 0x1235, filters }] = &script.requests()[..] else {
        panic!("one")
    };
    assert_eq!(filters.iter().map(TopicFilter::as_str).collect::<Vec<_>>(), ["t"]);
    script.event(FromBroker::Unsuback { packet_id: 0x1235 });
    assert_eq!(script.written(), b"\xb0\x02\x12\x35");
}

#[test]
fn more_filters_than_allowed_end_the_connection() {
    // hostile M22
    for packet in [&b"\x82\x0a\x00\x01\x00\x01a\x00\x00\x01b\x00"[..], b"\xa2\x08\x00\x01\x00\x01a\x00\x01b"]
    {
        let mut script = Script::with(Limits { filters_per_packet_max: 1, ..Limits::default() });
        script.connect();
        script.input(packet);
        assert_eq!(script.closed(), Some(StreamClose::Protocol));
        assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
    }
}

#[test]
fn disconnect_ends_cleanly_and_nothing_behind_it_is_read() {
    // [MQTT-3.14.4-1]
    let mut script = Script::connected();
    let bytes = b"\xe0\x00\x30\x04\x00\x01tx";
    assert_eq!(script.input(bytes), bytes.len());
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Clean)]);
    assert_eq!(script.closed(), Some(StreamClose::Disconnected));
}

#[test]
fn the_end_of_the_stream_is_abnormal_once() {
    let mut script = Script::connected();
    script.connection.handle_closed(script.now, &mut script.out);
    script.connection.handle_closed(script.now, &mut script.out);
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
    assert_eq!(script.shared.counters().closed[ClosedBy::Peer as usize], 1);

    let mut script = Script::new();
    script.connection.handle_closed(script.now, &mut script.out);
    assert_eq!(script.requests(), [], "there was no link yet");
}

#[test]
fn no_connect_in_time_ends_the_stream() {
    // hostile M13: single bytes do not help.
    let mut script = Script::new();
    script.input(b"\x10");
    assert_eq!(script.connection.next_timeout(), Some(Instant::from_millis(11_000)));
    script.now = at(10_999);
    script.timeout();
    assert_eq!(script.closed(), None);
    script.now = at(11_000);
    script.timeout();
    assert_eq!(script.closed(), Some(StreamClose::ConnectTimeout));
    assert_eq!((script.requests(), script.written()), (vec![], vec![]));
    assert_eq!(script.connection.next_timeout(), None);
}

#[test]
fn no_answer_to_connect_in_time_ends_stream_and_link() {
    let mut script = Script::new();
    script.now = at(5_000);
    script.input(CONNECT_C1);
    script.requests();
    assert_eq!(script.connection.next_timeout(), Some(Instant::from_millis(15_000)));
    script.now = at(15_000);
    script.timeout();
    assert_eq!(script.closed(), Some(StreamClose::ConnectTimeout));
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    // [MQTT-3.1.2-24]
    let mut script = Script::connected();
    assert_eq!(script.connection.next_timeout(), Some(Instant::from_millis(91_000)));
    // Any packet counts, half of one does not.
    script.now = at(50_000);
    script.input(b"\x40\x02\x00\x01");
    assert_eq!(script.connection.next_timeout(), Some(Instant::from_millis(140_000)));
    script.now = at(100_000);
    script.input(b"\x40\x02");
    script.requests();
    script.now = at(139_999);
    script.timeout();
    assert_eq!(script.closed(), None);
    script.now = at(140_000);
    script.timeout();
    assert_eq!(script.closed(), Some(StreamClose::KeepAlive));
    assert_eq!(script.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
}

#[test]
fn keep_alive_0_knows_only_the_idle_timeout() {
    for (idle, deadline) in
        [(Some(Duration::from_secs(3600)), Some(Instant::from_millis(3_600_000))), (None, None)]
    {
        let shared = Shared::new(Limits::default(), idle, 1);
        let mut script = Script::new();
        script.now = at(0);
        script.connection = Connection::new(script.now, None, None, shared);
        script.input(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02c1");
        script.event(connack(false));
        assert_eq!(script.connection.next_timeout(), deadline);
    }
}

#[test]
fn new_limits_hold_for_connections_that_there_are() {
    let mut script = Script::connected();
    script.shared.set_limits(Limits { topic_bytes_max: 1, ..Limits::default() }, None);
    script.input(b"\x30\x04\x00\x01tx");
    assert_eq!((script.requests().len(), script.closed()), (1, None));
    script.input(b"\x30\x04\x00\x02tx");
    assert_eq!(script.closed(), Some(StreamClose::Protocol));
}

#[test]
fn a_packet_that_the_broker_disowns_closes_without_another_disconnect() {
    for reason in [CloseReason::TakenOver, CloseReason::Kicked, CloseReason::Shutdown, CloseReason::Protocol]
    {
        for held in [false, true] {
            let mut script = if held { Script::new() } else { Script::connected() };
            if held {
                script.input(CONNECT_C1);
                script.requests();
            }
            script.event(FromBroker::Closed(reason));
            assert_eq!(script.closed(), Some(StreamClose::Broker(reason)));
            assert_eq!((script.requests(), script.written()), (vec![], vec![]));
        }
    }
}

#[test]
fn packets_and_bytes_are_counted_by_type_and_direction() {
    let mut script = Script::connected();
    script.input(b"\xc0\x00\x30\x04\x00\x01tx\x40\x02\x00\x01\x30");
    script.event(FromBroker::Publish(delivery(QoS::AtMostOnce, None)));
    script.event(FromBroker::Pubrel(id(1)));
    let counters = script.shared.counters();
    let received: Vec<_> = [1, 3, 4, 12].map(|packet: usize| counters.received[packet]).to_vec();
    assert_eq!(received, [1, 1, 1, 1]);
    let sent: Vec<_> = [2, 3, 6, 13].map(|packet: usize| counters.sent[packet]).to_vec();
    assert_eq!(sent, [1, 1, 1, 1]);
    assert_eq!(counters.bytes_received, CONNECT_C1.len() as u64 + 2 + 6 + 4);
    assert_eq!(counters.bytes_sent, 4 + 2 + 6 + 4);
}

/// What a pair of state and packet, or state and event, must come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Requests to the broker.
    Asks,
    /// Bytes to the client.
    Writes,
    /// Closed as a protocol error; `Ends`: with the link's abnormal end.
    Closes,
    ClosesAndEnds,
    /// Closed after DISCONNECT, or by the broker or its refusal.
    Ends,
    /// Closed without another word to the broker.
    Stops,
    /// A CONNACK that refuses, then closed.
    Refuses,
    /// Not taken from the buffer.
    Held,
    /// Taken, nothing happens.
    Nothing,
}
use Outcome::{Asks, Closes, ClosesAndEnds, Ends, Held, Nothing, Refuses, Stops, Writes};

const STATES: [State; 4] = [State::AwaitConnect, State::Connecting, State::Connected, State::Closing];

fn script_in(state: State) -> Script {
    let mut script = match state {
        State::AwaitConnect => Script::new(),
        State::Connecting => {
            let mut script = Script::new();
            script.input(CONNECT_C1);
            script
        }
        State::Connected => Script::connected(),
        State::Closing => {
            let mut script = Script::connected();
            script.input(b"\xe0\x00");
            script
        }
    };
    assert_eq!(script.connection.state, state);
    script.written();
    script.requests();
    script.closed();
    script
}

fn outcome(script: &mut Script, taken: bool) -> Outcome {
    let (requests, written, closed) = (script.requests(), script.written(), script.closed());
    match (&requests[..], &written[..], closed) {
        ([], [], None) if taken => Nothing,
        ([], [], None) => Held,
        ([], [_, ..], None) => Writes,
        ([_, ..], [], None) => Asks,
        ([], [], Some(StreamClose::Protocol)) => Closes,
        ([ToBroker::Disconnect(Ending::Abnormal)], [], Some(StreamClose::Protocol)) => ClosesAndEnds,
        ([ToBroker::Disconnect(Ending::Clean)], [], Some(StreamClose::Disconnected)) => Ends,
        ([], [], Some(StreamClose::Broker(_))) => Stops,
        ([], [0x20, 2, 0, 1..=5], Some(StreamClose::Refused)) => Refuses,
        other => panic!("no known outcome: {other:?}"),
    }
}

/// Every packet type of both directions, by its bytes, against every state.
#[test]
fn every_state_with_every_packet() {
    #[rustfmt::skip]
    let table: &[(&str, &[u8], [Outcome; 4])] = &[
        //                                                          AwaitConnect, Connecting, Connected, Closing
        ("reserved 0",  b"\x00\x00",                                [Closes, Held, ClosesAndEnds, Nothing]),
        ("CONNECT",     CONNECT_C1,                                 [Asks,   Held, ClosesAndEnds, Nothing]), // [MQTT-3.1.0-2]
        ("CONNACK",     b"\x20\x02\x00\x00",                        [Closes, Held, ClosesAndEnds, Nothing]), // hostile M26
        ("PUBLISH 0",   b"\x30\x04\x00\x01tx",                      [Closes, Held, Asks,          Nothing]),
        ("PUBLISH 1",   b"\x32\x06\x00\x01t\x00\x01x",              [Closes, Held, Asks,          Nothing]),
        ("PUBLISH 2",   b"\x34\x06\x00\x01t\x00\x01x",              [Closes, Held, Asks,          Nothing]),
        ("PUBLISH 3",   b"\x36\x06\x00\x01t\x00\x01x",              [Closes, Held, ClosesAndEnds, Nothing]),
        ("PUBACK",      b"\x40\x02\x00\x01",                        [Closes, Held, Asks,          Nothing]),
        ("PUBREC",      b"\x50\x02\x00\x01",                        [Closes, Held, Asks,          Nothing]),
        ("PUBREL",      b"\x62\x02\x00\x01",                        [Closes, Held, Asks,          Nothing]),
        ("PUBCOMP",     b"\x70\x02\x00\x01",                        [Closes, Held, Asks,          Nothing]),
        ("SUBSCRIBE",   b"\x82\x06\x00\x01\x00\x01t\x00",           [Closes, Held, Asks,          Nothing]),
        ("SUBACK",      b"\x90\x03\x00\x01\x00",                    [Closes, Held, ClosesAndEnds, Nothing]),
        ("UNSUBSCRIBE", b"\xa2\x05\x00\x01\x00\x01t",               [Closes, Held, Asks,          Nothing]),
        ("UNSUBACK",    b"\xb0\x02\x00\x01",                        [Closes, Held, ClosesAndEnds, Nothing]),
        ("PINGREQ",     b"\xc0\x00",                                [Closes, Held, Writes,        Nothing]),
        ("PINGRESP",    b"\xd0\x00",                                [Closes, Held, ClosesAndEnds, Nothing]),
        ("DISCONNECT",  b"\xe0\x00",                                [Closes, Held, Ends,          Nothing]),
        ("reserved 15", b"\xf0\x00",                                [Closes, Held, ClosesAndEnds, Nothing]),
    ];
    let types: std::collections::BTreeSet<u8> =
        table.iter().filter_map(|(_, bytes, _)| bytes.first()).map(|byte| byte >> 4).collect();
    assert_eq!(types.len(), 16, "every packet type is in the table");
    for (name, bytes, expected) in table {
        for (state, expected) in STATES.into_iter().zip(*expected) {
            let mut script = script_in(state);
            let taken = script.input(bytes);
            assert_eq!(outcome(&mut script, taken == bytes.len()), expected, "{name} in {state:?}");
        }
    }
}

/// Everything that the broker may say, against every state.
#[test]
fn every_state_with_every_event() {
    let message = || Message::new("t", b"x", QoS::AtMostOnce, false);
    let fate = || {
        let session = SessionName::Client("c1".into());
        FromBroker::Fate(Box::new(Fate { tag: 1, session, message: message(), fate: MessageFate::Delivered }))
    };
    let restored = || {
        let name = SessionName::Client("c1".into());
        FromBroker::Restored(Box::new(Restored {
            name,
            memo: Bytes::new(),
            asleep: None,
            attached: false,
            queued: 0,
        }))
    };
    let accepted = PublishOutcome::Accepted;
    let quota = PublishOutcome::Quota;
    #[rustfmt::skip]
    let table: Vec<(FromBroker, [Outcome; 4])> = vec![
        //                                                                   AwaitConnect, Connecting, Connected, Closing
        (connack(true),                                                       [Nothing, Writes,  Nothing,       Nothing]),
        (FromBroker::Refused(RefuseReason::Busy),                             [Nothing, Refuses, Nothing,       Nothing]),
        (FromBroker::Publish(delivery(QoS::AtMostOnce, None)),                [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Publish(delivery(QoS::AtLeastOnce, Some(1))),            [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Puback { packet_id: id(1), outcome: accepted },          [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Puback { packet_id: id(1), outcome: quota },             [Nothing, Nothing, ClosesAndEnds, Nothing]),
        (FromBroker::Pubrec { packet_id: id(1), outcome: accepted },          [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Pubrec { packet_id: id(1), outcome: quota },             [Nothing, Nothing, ClosesAndEnds, Nothing]),
        (FromBroker::PublishRefused { outcome: PublishOutcome::Denied },      [Nothing, Nothing, Nothing,       Nothing]),
        (FromBroker::Pubrel(id(1)),                                           [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Pubcomp(id(1)),                                          [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Suback { packet_id: 1, granted: vec![None] },            [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Suback { packet_id: 0, granted: vec![None] },            [Nothing, Nothing, Nothing,       Nothing]),
        (FromBroker::Unsuback { packet_id: 1 },                               [Nothing, Nothing, Writes,        Nothing]),
        (FromBroker::Drained,                                                 [Nothing, Nothing, Nothing,       Nothing]),
        (FromBroker::WillUpdated { accepted: true },                          [Nothing, Nothing, Nothing,       Nothing]),
        (FromBroker::MemoStored { tag: 1, accepted: true },                   [Nothing, Nothing, Nothing,       Nothing]),
        (fate(),                                                              [Nothing, Nothing, Nothing,       Nothing]),
        (FromBroker::Closed(CloseReason::Kicked),                             [Nothing, Stops,   Stops,         Nothing]),
        (restored(),                                                          [Nothing, Nothing, Nothing,       Nothing]),
    ];
    for (event, expected) in table {
        for (state, expected) in STATES.into_iter().zip(expected) {
            let mut script = script_in(state);
            script.event(event.clone());
            assert_eq!(outcome(&mut script, true), expected, "{event:?} in {state:?}");
        }
    }
}
