//! The link against a scripted gateway on loopback.
use super::super::session::Topic;
use super::*;
use sn_proto::wire::Qos;

fn gateway(script: impl FnOnce(UdpSocket) + Send + 'static) -> (u16, std::thread::JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let port = socket.local_addr().expect("an address").port();
    (port, std::thread::spawn(move || script(socket)))
}

fn expect(socket: &UdpSocket, bytes: &[u8]) -> SocketAddr {
    let mut got = [0; 2048];
    let (length, from) = socket.recv_from(&mut got).expect("a datagram");
    assert_eq!(&got[..length], bytes);
    from
}

fn link(port: u16, retry_ms: u64) -> Link {
    let settings = Settings {
        client_id: "d1".to_owned(),
        keep_alive: 60,
        clean: true,
        will: None,
        retry: Duration::from_millis(retry_ms),
        retries: 1,
        node_id: None,
    };
    Link::open("127.0.0.1", port, settings, Interrupt::default(), false).expect("a socket")
}

#[test]
fn a_session_from_connect_to_disconnect() {
    let (port, player) = gateway(|socket| {
        let client = expect(&socket, b"\x08\x04\x04\x01\x00\x3cd1");
        let say = |bytes: &[u8]| assert_eq!(socket.send_to(bytes, client).expect("sent"), bytes.len());
        say(&[3, 5, 0]);
        expect(&socket, b"\x07\x12\x22\x00\x01ab");
        say(&[8, 0x13, 0x20, 0, 0, 0, 1, 0]);
        say(b"\x08\x0c\x22ab\x00\x07x");
        expect(&socket, b"\x07\x0d\x61\x62\x00\x07\x00");
        expect(
            &socket,
            b"\x08\x0c\x20\x00\x07\x00\x02y".map(|b| if b == 0x20 { 0x21 } else { b }).as_slice(),
        );
        say(&[7, 0x0d, 0, 7, 0, 2, 3]);
        expect(&socket, &[2, 0x18]);
        say(&[2, 0x18]);
    });
    let mut link = link(port, 5_000);
    link.perform(Ask::Connect).expect("connected");
    link.perform(Ask::Subscribe { topic: Topic::Short(*b"ab"), qos: Qos::AtLeastOnce }).expect("subscribed");
    let delivery = link.receive(Some(Instant::now() + Duration::from_secs(5))).expect("running");
    assert_eq!(delivery.expect("a message").payload, b"x");
    let publish = Ask::Publish {
        topic: Topic::Predefined(7),
        payload: b"y".to_vec(),
        qos: Qos::AtLeastOnce,
        retain: false,
    };
    let error = link.perform(publish).expect_err("refused");
    assert_eq!(error.exit, Exit::Denied, "{error}");
    link.perform(Ask::Disconnect).expect("answered");
    player.join().expect("the script was played");
}

#[test]
fn a_silent_gateway_is_a_time_out_and_a_closed_port_is_unreachable() {
    let (port, player) = gateway(|socket| {
        expect(&socket, b"\x08\x04\x04\x01\x00\x3cd1");
        expect(&socket, b"\x08\x04\x04\x01\x00\x3cd1");
    });
    let error = link(port, 60).perform(Ask::Connect).expect_err("silence");
    assert_eq!(error.exit, Exit::Timeout, "{error}");
    player.join().expect("the script was played");
    let error = link(port, 2_000).perform(Ask::Connect).expect_err("nobody is there");
    assert_eq!(error.exit, Exit::Unreachable, "{error}");
}
