//! Streams over real sockets of the loopback, without a broker: the test plays it.
use super::*;
use broker_core::Limits;
use broker_core::link::{CloseReason, Delivery, Ending};
use broker_core::{Message, QoS};
use mio::{Events, Poll};
use std::io::{Read, Write};

const CONNECT: &[u8] = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02c1";

/// A worker's streams with one client, and what a worker does with them.
struct Bench {
    poll: Poll,
    streams: Streams,
    requests: Requests,
    stats: Stats,
    client: std::net::TcpStream,
    now: Now,
}

impl Bench {
    fn new() -> Bench {
        let poll = Poll::new().unwrap();
        let now = Now::new(Instant::from_millis(1_000), 0);
        let shared = Shared::new(Limits::default(), None, 1);
        let registry = poll.registry().try_clone().unwrap();
        let mut streams = Streams::new(now, 0, registry, shared, 256 << 10);
        let mut stats = Stats::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (stream, remote) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        streams.insert(now, TcpStream::from_std(stream), remote, &mut stats);
        Bench { poll, streams, requests: Requests::new(), stats, client, now }
    }

    fn connected() -> Bench {
        let mut bench = Bench::new();
        bench.client.write_all(CONNECT).unwrap();
        bench.turn();
        let link = bench.requests.pop_front().expect("a Connect").0;
        bench.event(
            link,
            FromBroker::Connack { session_present: false, memo: Default::default(), has_will: false },
        );
        bench.flush();
        let mut connack = [0; 4];
        bench.client.read_exact(&mut connack).unwrap();
        bench
    }

    /// Waits for events and reads until nothing is ready.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        for event in &events {
            self.streams.on_event(event);
        }
        while let Some(key) = self.streams.next_ready() {
            self.streams.read(self.now, key, &mut self.requests, &mut self.stats);
        }
    }

    fn event(&mut self, link: LinkId, mut event: FromBroker) {
        self.streams.handle_event(self.now, link, &mut event, &mut self.requests, &mut self.stats);
    }

    fn flush(&mut self) {
        self.streams.flush_dirty(self.now, &mut self.requests, &mut self.stats);
    }

    fn link(&self) -> LinkId {
        LinkId { slot: 0, generation: 1, frontend: FrontendId::Mqtt, worker: 0 }
    }

    fn requests(&mut self) -> Vec<ToBroker> {
        self.requests.drain(..).map(|(_, request)| request).collect()
    }
}

fn publish(payload: usize) -> FromBroker {
    FromBroker::Publish(Delivery {
        message: Message::new("t", &vec![7; payload], QoS::AtMostOnce, false),
        packet_id: None,
        qos: QoS::AtMostOnce,
        dup: false,
        retain: false,
        expires_unix_ms: 0,
    })
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut bench = Bench::connected();
    assert!(bench.streams.entries.iter().all(|(_, entry)| entry.io.is_none()));
    bench.client.write_all(b"\x30\x09\x00").unwrap();
    bench.turn();
    assert!(bench.streams.entries.iter().all(|(_, entry)| entry.io.is_some()), "half a packet is kept");
    bench.client.write_all(b"\x01t123456").unwrap();
    bench.turn();
    assert_eq!(bench.requests().len(), 1);
    assert!(bench.streams.entries.iter().all(|(_, entry)| entry.io.is_none()));
}

#[test]
fn credit_comes_back_with_each_write() {
    let mut bench = Bench::connected();
    let link = bench.link();
    bench.event(link, publish(10));
    bench.event(link, publish(10));
    assert_eq!(bench.requests(), []);
    bench.flush();
    assert_eq!(bench.requests(), [ToBroker::Credit { bytes: 2 * (1 + 10 + 16) }]);
    // A large out-buffer does not wait for the end of the round.
    bench.event(link, publish(FLUSH_BYTES));
    assert_eq!(bench.requests(), [ToBroker::Credit { bytes: (FLUSH_BYTES + 17) as u32 }]);
}

#[test]
fn what_the_socket_does_not_take_waits_for_it_and_then_goes_out_whole() {
    let mut bench = Bench::connected();
    let link = bench.link();
    let mut messages = 0;
    while bench.streams.blocked() == 0 {
        bench.event(link, publish(100_000));
        messages += 1;
        assert!(messages < 1000, "the socket takes everything");
    }
    let mut client = bench.client.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; messages * (100_000 + 7)];
        client.read_exact(&mut got).map(|()| got)
    });
    for _ in 0..10_000 {
        if bench.streams.blocked() == 0 && !bench.streams.has_dirty() {
            break;
        }
        bench.turn();
        bench.flush();
    }
    let got = reader.join().unwrap().unwrap();
    assert!(got.chunks(100_007).all(|packet| packet[0] == 0x30 && packet[7..].iter().all(|byte| *byte == 7)));
    let returned: u64 = bench
        .requests()
        .iter()
        .map(|request| match request {
            ToBroker::Credit { bytes } => u64::from(*bytes),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(returned, messages as u64 * (100_000 + 17), "all credit is back");
}

#[test]
fn an_event_for_a_connection_that_has_ended_is_dropped_and_counted() {
    let mut bench = Bench::connected();
    let link = bench.link();
    bench.event(LinkId { generation: 9, ..link }, publish(1));
    assert_eq!(bench.stats.stale_events, 1);
    bench.event(link, FromBroker::Closed(CloseReason::TakenOver));
    bench.flush();
    bench.event(link, publish(1));
    assert_eq!(bench.stats.stale_events, 2);
    assert_eq!(bench.streams.ended.len(), 1);
    assert_eq!(bench.client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_connection_whose_handling_panicked_is_closed_and_its_link_ends() {
    let mut bench = Bench::connected();
    // Half-said things of the call that panicked.
    bench.streams.out.requests.push(ToBroker::Wake);
    bench.streams.abandon(bench.now, (0, 1), &mut bench.requests);
    assert_eq!(bench.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
    assert_eq!((bench.streams.len(), bench.streams.ended.len()), (0, 1));
    assert_eq!(bench.client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn unread_input_keeps_a_keep_alive_from_lapsing() {
    let mut bench = Bench::connected();
    bench.client.write_all(b"\xc0\x00").unwrap();
    let mut events = Events::with_capacity(8);
    bench.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
    for event in &events {
        bench.streams.on_event(event);
    }
    // The process was stopped for an hour; the ping lies in the socket.
    bench.now = Now::new(Instant::from_millis(3_600_000), 0);
    bench.streams.handle_timeout(bench.now, &mut bench.requests);
    assert_eq!(bench.requests(), []);
    while let Some(key) = bench.streams.next_ready() {
        bench.streams.read(bench.now, key, &mut bench.requests, &mut bench.stats);
    }
    bench.now = Now::new(Instant::from_millis(3_600_000 + 89_000), 0);
    bench.streams.handle_timeout(bench.now, &mut bench.requests);
    assert_eq!(bench.requests(), [], "the ping has counted");
    bench.now = Now::new(Instant::from_millis(3_600_000 + 91_000), 0);
    bench.streams.handle_timeout(bench.now, &mut bench.requests);
    assert_eq!(bench.requests(), [ToBroker::Disconnect(Ending::Abnormal)]);
}
