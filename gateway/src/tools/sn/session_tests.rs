//! The session against a gateway that the test writes, in virtual time.
use super::*;

fn settings() -> Settings {
    Settings {
        client_id: "d1".to_owned(),
        keep_alive: 60,
        clean: true,
        will: None,
        retry: Duration::from_secs(10),
        retries: 2,
        node_id: None,
    }
}

struct Bench {
    now: Instant,
    session: Session,
    out: Out,
}

impl Bench {
    fn new(settings: Settings) -> Bench {
        Bench { now: Instant::now(), session: Session::new(settings), out: Out::default() }
    }

    /// A session that is connected.
    fn connected() -> Bench {
        let mut bench = Bench::new(settings());
        bench.ask(Ask::Connect);
        bench.hear(&[3, 5, 0]);
        bench.out = Out::default();
        bench
    }

    fn ask(&mut self, ask: Ask) {
        self.session.ask(self.now, ask, &mut self.out);
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.session.handle_datagram(self.now, bytes, &mut self.out);
    }

    /// Goes to the next deadline.
    fn wait(&mut self) {
        self.now = self.session.next_timeout().expect("a deadline");
        self.session.handle_timeout(self.now, &mut self.out);
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out.datagrams)
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }

    fn done(&mut self) -> bool {
        matches!(self.events().as_slice(), [Event::Done(..)])
    }
}

fn name(text: &str) -> Topic {
    Topic::Name(text.to_owned())
}

fn publish(topic: Topic, payload: &[u8], qos: Qos) -> Ask {
    Ask::Publish { topic, payload: payload.to_vec(), qos, retain: false }
}

#[test]
fn connects_with_a_will() {
    let will = Will { topic: "w".to_owned(), payload: b"gone".to_vec(), qos: Qos::AtLeastOnce, retain: true };
    let mut bench = Bench::new(Settings { will: Some(will), ..settings() });
    bench.ask(Ask::Connect);
    assert_eq!(bench.sent(), [b"\x08\x04\x0c\x01\x00\x3cd1".to_vec()]);
    bench.hear(&[2, 6]);
    assert_eq!(bench.sent(), [b"\x04\x07\x30w".to_vec()]);
    bench.wait();
    assert_eq!(bench.sent(), [b"\x04\x07\x30w".to_vec()], "the will topic is sent again, not the CONNECT");
    bench.hear(&[2, 8]);
    assert_eq!(bench.sent(), [b"\x06\x09gone".to_vec()]);
    bench.hear(&[3, 5, 0]);
    assert!(bench.done());
    assert_eq!(bench.session.state, State::Active);
}

#[test]
fn a_refused_connect_fails() {
    let mut bench = Bench::new(settings());
    bench.ask(Ask::Connect);
    bench.hear(&[3, 5, 1]);
    assert_eq!(bench.events(), [Event::Failed(Ask::Connect, Failure::Refused(ReturnCode::Congestion))]);
    assert_eq!(bench.session.state, State::Off);
}

#[test]
fn a_name_is_registered_once_and_then_published_to() {
    let mut bench = Bench::connected();
    bench.ask(publish(name("a/b"), b"1", Qos::AtLeastOnce));
    bench.ask(publish(name("a/b"), b"2", Qos::AtMostOnce));
    assert_eq!(bench.sent(), [b"\x09\x0a\x00\x00\x00\x01a/b".to_vec()], "the second one waits");
    bench.hear(&[7, 0x0b, 4, 1, 0, 1, 0]);
    assert_eq!(bench.sent(), [b"\x08\x0c\x20\x04\x01\x00\x021".to_vec()]);
    bench.wait();
    assert_eq!(bench.sent(), [b"\x08\x0c\xa0\x04\x01\x00\x021".to_vec()], "the copy has DUP");
    bench.hear(&[7, 0x0d, 4, 1, 0, 2, 0]);
    assert_eq!(bench.sent(), [b"\x08\x0c\x00\x04\x01\x00\x002".to_vec()]);
    assert_eq!(bench.events().len(), 2);
    assert_eq!(bench.session.retransmissions, 1);
}

#[test]
fn qos_2_is_released() {
    let mut bench = Bench::connected();
    bench.ask(publish(Topic::Predefined(7), b"x", Qos::ExactlyOnce));
    assert_eq!(bench.sent(), [b"\x08\x0c\x41\x00\x07\x00\x01x".to_vec()]);
    bench.hear(&[4, 0x0f, 0, 1]);
    bench.hear(&[4, 0x0f, 0, 1]);
    assert_eq!(bench.sent(), [[4, 0x10, 0, 1], [4, 0x10, 0, 1]]);
    bench.hear(&[4, 0x0e, 0, 9]);
    assert!(bench.events().is_empty(), "another message's PUBCOMP");
    bench.hear(&[4, 0x0e, 0, 1]);
    assert!(bench.done());
}

#[test]
fn a_forgotten_topic_id_is_registered_anew_once() {
    let mut bench = Bench::connected();
    bench.ask(publish(name("abc"), b"1", Qos::AtLeastOnce));
    bench.hear(&[7, 0x0b, 4, 1, 0, 1, 0]);
    bench.sent();
    bench.hear(&[7, 0x0d, 4, 1, 0, 2, 2]);
    assert_eq!(bench.sent(), [b"\x09\x0a\x00\x00\x00\x03abc".to_vec()]);
    bench.hear(&[7, 0x0b, 4, 2, 0, 3, 0]);
    assert_eq!(bench.sent(), [b"\x08\x0c\x20\x04\x02\x00\x041".to_vec()]);
    bench.hear(&[7, 0x0d, 4, 2, 0, 4, 2]);
    let [Event::Failed(_, Failure::Refused(ReturnCode::InvalidTopicId))] = bench.events()[..] else {
        panic!("refused for good")
    };
}

#[test]
fn what_is_never_answered_is_given_up() {
    let mut bench = Bench::connected();
    bench.ask(Ask::Subscribe { topic: name("a/#"), qos: Qos::AtLeastOnce });
    for _ in 0..3 {
        bench.wait();
    }
    let sent = bench.sent();
    let fresh = b"\x08\x12\x20\x00\x01a/#".to_vec();
    let copy = b"\x08\x12\xa0\x00\x01a/#".to_vec();
    assert_eq!(sent, [fresh, copy.clone(), copy]);
    assert!(matches!(bench.events()[..], [Event::Failed(_, Failure::NoAnswer)]));
}

#[test]
fn minus_one_needs_no_session_and_may_carry_its_name() {
    let mut bench = Bench::new(settings());
    bench.ask(publish(name("a/b"), b"hi", Qos::MinusOne));
    bench.ask(publish(Topic::Short(*b"ab"), b"", Qos::MinusOne));
    assert_eq!(
        bench.sent(),
        [b"\x0c\x0c\x60\x00\x03\x00\x00a/bhi".to_vec(), b"\x07\x0c\x62ab\x00\x00".to_vec()]
    );
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn deliveries_are_resolved_acknowledged_and_given_once() {
    let mut bench = Bench::connected();
    bench.hear(b"\x09\x0a\x04\x01\x00\x05a/b");
    assert_eq!(bench.sent(), [[7, 0x0b, 4, 1, 0, 5, 0]]);
    bench.hear(b"\x08\x0c\x40\x04\x01\x00\x09x");
    bench.hear(b"\x08\x0c\xc0\x04\x01\x00\x09x");
    bench.hear(&[4, 0x10, 0, 9]);
    assert_eq!(bench.sent(), [[4, 0x0f, 0, 9], [4, 0x0f, 0, 9], [4, 0x0e, 0, 9]]);
    let events = bench.events();
    let [Event::Delivery(delivery)] = &events[..] else { panic!("once: {events:?}") };
    assert_eq!((delivery.topic.as_str(), delivery.payload.as_slice()), ("a/b", &b"x"[..]));
    // An id that nobody told us.
    bench.hear(b"\x08\x0c\x20\x08\x01\x00\x0ax");
    assert_eq!(bench.sent(), [[7, 0x0d, 8, 1, 0, 10, 2]]);
    assert!(bench.events().is_empty());
}

#[test]
fn a_sleeper_wakes_by_its_name() {
    let mut bench = Bench::connected();
    bench.ask(Ask::Sleep(30));
    assert_eq!(bench.sent(), [[4, 0x18, 0, 30]]);
    bench.hear(&[2, 0x18]);
    assert!(bench.done());
    assert_eq!((bench.session.state, bench.session.next_timeout()), (State::Asleep, None));
    bench.ask(Ask::Wake);
    assert_eq!(bench.sent(), [b"\x04\x16d1"]);
    bench.hear(b"\x08\x0c\x02ab\x00\x00x");
    bench.hear(&[2, 0x17]);
    let events = bench.events();
    assert!(matches!(&events[..], [Event::Delivery(d), Event::Done(Ask::Wake, _)] if d.topic == "ab"));
}

#[test]
fn silence_is_broken_by_a_ping_and_its_loss_ends_the_session() {
    let mut bench = Bench::connected();
    bench.wait();
    assert_eq!(bench.sent(), [[2, 0x16]]);
    bench.hear(&[2, 0x17]);
    assert!(bench.events().is_empty(), "nobody asked for it");
    for _ in 0..4 {
        bench.wait();
    }
    assert_eq!(bench.events(), [Event::Ended]);
}

#[test]
fn a_disconnect_of_the_gateway_ends_everything() {
    let mut bench = Bench::connected();
    bench.ask(Ask::Ping);
    bench.hear(&[2, 0x18]);
    assert_eq!(bench.events(), [Event::Failed(Ask::Ping, Failure::Ended), Event::Ended]);
    assert_eq!(bench.session.state, State::Off);
}

#[test]
fn a_copy_of_the_goodbye_ends_nothing() {
    let mut bench = Bench::connected();
    bench.ask(Ask::Sleep(9));
    bench.hear(&[2, 0x18]);
    bench.hear(&[2, 0x18]);
    assert_eq!((bench.events().len(), bench.session.state), (1, State::Asleep));
    bench.ask(Ask::Disconnect);
    bench.hear(&[2, 0x18]);
    bench.ask(Ask::Connect);
    bench.hear(&[2, 0x18]);
    bench.hear(&[3, 5, 0]);
    let events = bench.events();
    assert!(matches!(&events[..], [Event::Done(Ask::Disconnect, _), Event::Done(Ask::Connect, _)]));
}

#[test]
fn behind_a_forwarder_everything_is_encapsulated() {
    let mut bench = Bench::new(Settings { node_id: Some(vec![0, 0xa1]), ..settings() });
    bench.ask(Ask::Connect);
    assert_eq!(bench.sent(), [b"\x05\xfe\x00\x00\xa1\x08\x04\x04\x01\x00\x3cd1".to_vec()]);
    bench.hear(&[3, 5, 0]);
    bench.hear(&[5, 0xfe, 0, 0, 0xa2, 3, 5, 0]);
    assert!(bench.events().is_empty(), "not for this node");
    bench.hear(&[5, 0xfe, 0, 0, 0xa1, 3, 5, 0]);
    assert!(bench.done());
}
