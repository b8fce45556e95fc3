//! What one peer cannot take from the others.
use crate::gateway::{Gateway, connect_packet, publish_packet};
use std::io::{ErrorKind, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

#[test]
fn connections_of_one_address_are_bounded_and_an_ended_one_makes_room() {
    for workers in ["workers=1", "workers=2"] {
        let gateway = Gateway::start(&[workers, "limits.exempt=[]", "limits.connections_per_ip=3"]);
        let mut clients: Vec<_> = ["a", "b", "c"].into_iter().map(|id| gateway.client(id)).collect();
        assert_eq!(gateway.connect().until_end(), b"", "the fourth is closed at once");
        assert!(
            gateway.wait_for("too many connections of one address").contains("limits.connections_per_ip")
        );
        let mut gone = clients.pop().unwrap();
        gone.send(b"\xe0\x00");
        assert_eq!(gone.until_end(), b"");
        // The end may be counted a moment after the client has seen it.
        let until = Instant::now() + crate::gateway::PATIENCE;
        loop {
            let mut client = gateway.connect();
            if client.stream.write_all(&connect_packet("d", 60)).is_ok()
                && client.until_answer() == Some([0x20, 2, 0, 0])
            {
                break;
            }
            assert!(Instant::now() < until, "no room again");
        }
        clients.iter_mut().for_each(|client| client.ping());
    }
}

#[test]
fn connections_in_all_are_bounded() {
    let gateway = Gateway::start(&["limits.connections=2", "mqtt.sn.bind=[]", "lwm2m.bind=[]"]);
    let (_a, mut b) = (gateway.client("a"), gateway.client("b"));
    assert_eq!(gateway.connect().until_end(), b"");
    gateway.wait_for("too many connections: limits.connections");
    b.ping();
}

#[test]
fn without_file_descriptors_accepting_pauses_without_spinning_and_the_rest_goes_on() {
    // hostile F16
    for workers in ["workers=1", "workers=2"] {
        let gateway = Gateway::start_with_files(40, &[workers]);
        let mut served = gateway.client("first");
        let crowd: Vec<_> = (0..60).map(|_| gateway.connect()).collect();
        gateway.wait_for("cannot accept connections");
        let (cpu, since) = (gateway.cpu(), Instant::now());
        let device = UdpSocket::bind("127.0.0.1:0").unwrap();
        device.connect(gateway.sn).unwrap();
        device.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut answers = 0;
        while since.elapsed() < Duration::from_secs(1) {
            device.send(b"\x02\x16").unwrap();
            let mut answer = [0; 16];
            match device.recv(&mut answer) {
                Ok(_) => answers += 1,
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            }
            served.ping();
        }
        assert!(answers > 0, "UDP is served");
        // Thousands of pings and datagrams are in it, too; spinning would take all of the second.
        let spent = gateway.cpu() - cpu;
        assert!(spent < since.elapsed() * 9 / 10, "{spent:?} of CPU in {:?}", since.elapsed());
        drop(crowd);
        let begun = Instant::now();
        gateway.client("second").ping();
        assert!(begun.elapsed() < Duration::from_secs(5), "served again after {:?}", begun.elapsed());
    }
}

#[test]
fn a_client_that_does_not_read_costs_a_bounded_buffer_and_holds_up_nobody() {
    // hostile M31, F15
    for workers in ["workers=1", "workers=2"] {
        let gateway = Gateway::start(&[workers]);
        let mut deaf = gateway.client("deaf");
        deaf.subscribe("t", 0);
        let mut reader = gateway.client("reader");
        reader.subscribe("echo", 0);
        let mut publisher = gateway.client("p");
        let before = gateway.rss();
        let packet = publish_packet("t", &[0; 8000]);
        for round in 0..100u32 {
            for _ in 0..100 {
                publisher.send(&packet);
            }
            let echo = publish_packet("echo", &round.to_be_bytes());
            publisher.send(&echo);
            reader.expect(&echo);
        }
        let grown = gateway.rss().saturating_sub(before);
        // 80 MB were published; its queue of 1 MiB, its credit and the buffers on the way may be held.
        assert!(grown < 8 << 20, "{grown} bytes more");
    }
}

#[test]
fn a_client_that_asks_but_does_not_read_the_answers_is_not_read_any_more() {
    let gateway = Gateway::start(&[]);
    let mut asker = gateway.client("asker");
    asker.stream.set_nonblocking(true).unwrap();
    let pings = [0xc0, 0].repeat(32 << 10);
    let mut sent = 0usize;
    let mut since = Instant::now();
    // Both socket buffers and our own bound fill; then writing blocks for good.
    while since.elapsed() < Duration::from_millis(500) {
        match asker.stream.write(pings.get(sent % 2..).unwrap()) {
            Ok(count) => {
                sent += count;
                since = Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(sent < 256 << 20, "it reads without end");
    }
    assert!(gateway.rss() < 40 << 20);
    gateway.client("other").ping();
    // It reads at last: every ping is answered.
    asker.stream.set_nonblocking(false).unwrap();
    let mut left = sent / 2;
    while left > 0 {
        let some = left.min(10_000);
        asker.expect(&[0xd0, 0].repeat(some));
        left -= some;
    }
}

#[test]
fn a_declared_length_takes_no_memory() {
    // hostile M02, M04: headers that announce much and bring little.
    let gateway = Gateway::start(&[]);
    let before = gateway.rss();
    let held: Vec<_> = (0..200)
        .map(|n| {
            let mut client = gateway.client(&format!("c{n}"));
            client.send(b"\x30\xf0\xff\x3f\x00\x01t");
            client.ping_is_not_answered();
            client
        })
        .collect();
    let grown = gateway.rss().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for {} packets of 1 MiB announced", held.len());
}

#[test]
fn connections_reset_in_any_state_leave_nothing_behind() {
    // hostile M39
    for workers in ["workers=1", "workers=2"] {
        let gateway = Gateway::start(&[workers]);
        let mut watcher = gateway.client("watcher");
        let (files, connect) = (gateway.files(), connect_packet("victim", 60));
        let subscribe = crate::gateway::subscribe_packet("watched/#", 1);
        let whole =
            [&connect[..], &subscribe[..], b"\x32\x0c\x00\x09watched/1\x00\x01", b"\xc0\x00"].concat();
        for cut in (0..=whole.len()).cycle().take(400) {
            let mut client = gateway.connect();
            client.send(whole.get(..cut).unwrap());
            // Zero linger: closing sends a reset, whatever state the other side is in.
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let until = Instant::now() + crate::gateway::PATIENCE;
        while gateway.files() > files {
            watcher.ping();
            assert!(Instant::now() < until, "{} files, {files} before", gateway.files());
        }
        // No session is left that would take a message: the one of a clean client ends with its link.
        let mut same = gateway.client("victim");
        same.ping();
        same.send(b"\xe0\x00");
        assert_eq!(same.until_end(), b"");
    }
}
