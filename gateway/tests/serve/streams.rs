//! What passes through a connection.
use crate::gateway::{Client, Gateway, connect_packet, publish_packet, subscribe_packet};
use std::io::Read;
use std::net::UdpSocket;

const WORKERS: [&str; 2] = ["workers=1", "workers=3"];

#[test]
fn messages_of_every_qos_cross_between_connections() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut subscriber = gateway.client("s");
        subscriber.subscribe("t", 2);
        let mut publisher = gateway.client("p");
        publisher
            .send(b"\x30\x04\x00\x01t0\x32\x06\x00\x01t\x00\x071\x34\x06\x00\x01t\x00\x082\x62\x02\x00\x08");
        publisher.expect(b"\x40\x02\x00\x07\x50\x02\x00\x08\x70\x02\x00\x08");
        subscriber.expect(b"\x30\x04\x00\x01t0\x32\x06\x00\x01t\x00\x011");
        subscriber.send(b"\x40\x02\x00\x01");
        subscriber.expect(b"\x34\x06\x00\x01t\x00\x022");
        subscriber.send(b"\x50\x02\x00\x02");
        subscriber.expect(b"\x62\x02\x00\x02");
        subscriber.send(b"\x70\x02\x00\x02");
        subscriber.ping();
    }
}

#[test]
fn what_comes_in_one_segment_with_connect_is_answered_in_order() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut client = gateway.connect();
        let mut bytes = connect_packet("one", 60);
        bytes.extend(subscribe_packet("t", 0));
        bytes.extend_from_slice(b"\x32\x06\x00\x01t\x00\x07x\xc0\x00");
        client.send(&bytes);
        client.expect(b"\x20\x02\x00\x00");
        // PINGRESP is the connection's own answer, the others are the broker's: only these have an order.
        let mut got = vec![0; 4 + 5 + 6 + 2];
        client.stream.read_exact(&mut got).unwrap();
        let at = got.windows(2).position(|window| window == b"\xd0\x00").unwrap();
        got.drain(at..at + 2);
        let suback = got.drain(..5).collect::<Vec<_>>();
        assert_eq!(suback, b"\x90\x03\x00\x01\x00", "{workers}");
        let (puback, delivery) = (&b"\x40\x02\x00\x07"[..], &b"\x30\x04\x00\x01tx"[..]);
        let either = [[puback, delivery].concat(), [delivery, puback].concat()];
        assert!(either.contains(&got), "{workers}: {got:02x?}");
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let gateway = Gateway::start(&[]);
    let mut client = gateway.connect();
    for byte in connect_packet("slow", 60) {
        client.send(&[byte]);
    }
    client.expect(b"\x20\x02\x00\x00");
    client.subscribe("t", 0);
    for byte in publish_packet("t", b"hello") {
        client.send(&[byte]);
    }
    client.expect(&publish_packet("t", b"hello"));
}

#[test]
fn a_large_packet_passes_and_a_larger_one_ends_the_connection_at_its_header() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut subscriber = gateway.client("s");
        subscriber.subscribe("t", 0);
        let mut publisher = gateway.client("p");
        let payload: Vec<u8> = (0..(1 << 20) - 7).map(|n: usize| (n % 251) as u8).collect();
        let packet = publish_packet("t", &payload);
        assert_eq!(packet.len(), 1 << 20);
        for _ in 0..3 {
            publisher.send(&packet);
            subscriber.expect(&packet);
        }
        publisher.ping();
        let too_large = publish_packet("t", &vec![0; (1 << 20) - 6]);
        publisher.send(too_large.get(..4).unwrap());
        assert_eq!(publisher.until_end(), b"");
        subscriber.ping();
    }
}

#[test]
fn many_small_packets_in_one_stream_all_arrive_in_order() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers, "limits.queue_messages=100000", "limits.queue_bytes=64MiB"]);
        let mut subscriber = gateway.client("s");
        subscriber.subscribe("t", 0);
        let mut publisher = gateway.client("p");
        let messages: u32 = 50_000;
        let sender = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            for n in 0..messages {
                bytes.extend(publish_packet("t", &n.to_be_bytes()));
            }
            publisher.send(&bytes);
            publisher
        });
        for n in 0..messages {
            subscriber.expect(&publish_packet("t", &n.to_be_bytes()));
        }
        sender.join().unwrap().ping();
    }
}

#[test]
fn a_malformed_stream_ends_and_its_will_goes_out() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut watcher = gateway.client("w");
        watcher.subscribe("will", 0);
        let mut client = gateway.connect();
        client.send(b"\x10\x18\x00\x04MQTT\x04\x06\x00\x3c\x00\x02c1\x00\x04will\x00\x02up");
        client.expect(b"\x20\x02\x00\x00");
        client.send(b"\x20\x02\x00\x00");
        assert_eq!(client.until_end(), b"");
        watcher.expect(b"\x30\x08\x00\x04willup");
        // A stranger with something else than CONNECT.
        let mut stranger = gateway.connect();
        stranger.send(b"\xc0");
        assert_eq!(stranger.until_end(), b"");
    }
}

#[test]
fn a_refused_client_reads_why_and_then_the_end() {
    let gateway = Gateway::start(&[]);
    let mut client = gateway.connect();
    // Level 5, with more behind it.
    client.send(b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02c5\xc0\x00\xc0\x00");
    assert_eq!(client.until_end(), b"\x20\x02\x00\x01");
    assert!(gateway.wait_for("MQTT 5").contains("\"c5\""));
    let mut client = gateway.connect();
    client.send(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00");
    assert_eq!(client.until_end(), b"\x20\x02\x00\x02");
}

#[test]
fn a_second_connection_with_the_same_client_id_ends_the_first() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut first = gateway.client("same");
        for _ in 0..5 {
            let second = gateway.client("same");
            assert_eq!(first.until_end(), b"");
            first = second;
        }
        first.ping();
    }
}

#[test]
fn silence_ends_a_connection_and_a_connection_that_never_begins() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers, "mqtt.connect_timeout=300ms"]);
        let mut client = gateway.connect();
        client.send(&connect_packet("k", 1));
        client.expect(b"\x20\x02\x00\x00");
        let mut nobody = gateway.connect();
        nobody.send(b"\x10");
        assert_eq!(nobody.until_end(), b"");
        assert_eq!(client.until_end(), b"", "one and a half keep-alives");
    }
}

#[test]
fn both_loopback_addresses_are_served_and_a_missing_one_is_no_failure() {
    let gateway = Gateway::start(&["mqtt.bind=[\"127.0.0.1\", \"::1\"]"]);
    gateway.client("four").ping();
    let v6 = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, gateway.mqtt.port()));
    if std::net::TcpStream::connect(v6).is_ok() {
        let mut client = Client::connect(v6);
        client.send(&connect_packet("six", 60));
        client.expect(b"\x20\x02\x00\x00");
    }
}

#[test]
fn a_device_on_udp_and_a_client_on_tcp_hear_each_other() {
    for workers in WORKERS {
        let gateway = Gateway::start(&[workers]);
        let mut client = gateway.client("c");
        client.subscribe("#", 0);
        let device = UdpSocket::bind("127.0.0.1:0").unwrap();
        device.connect(gateway.sn).unwrap();
        device.set_read_timeout(Some(crate::gateway::PATIENCE)).unwrap();
        let ask = |datagram: &[u8]| {
            device.send(datagram).unwrap();
            let mut answer = [0; 64];
            let length = device.recv(&mut answer).unwrap();
            answer.get(..length).unwrap().to_vec()
        };
        assert_eq!(ask(b"\x08\x04\x04\x01\x00\x3cd1"), b"\x03\x05\x00");
        // SUBSCRIBE to the short topic "ab", then PUBLISH to it at QoS 0.
        let suback = ask(b"\x07\x12\x02\x00\x02ab");
        assert_eq!((suback.first(), suback.get(1), suback.last()), (Some(&8), Some(&0x13), Some(&0)));
        assert_eq!(ask(b"\x09\x0c\x02ab\x00\x00hi"), b"\x09\x0c\x02ab\x00\x00hi");
        client.expect(b"\x30\x06\x00\x02abhi");
        client.send(&publish_packet("ab", b"yo"));
        let mut answer = [0; 64];
        let length = device.recv(&mut answer).unwrap();
        assert_eq!(answer.get(..length).unwrap(), b"\x09\x0c\x02ab\x00\x00yo");
    }
}
