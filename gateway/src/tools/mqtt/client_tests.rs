//! The client against scripted brokers on loopback.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// A broker that plays `script` with its one client.
fn broker(script: impl FnOnce(TcpStream) + Send + 'static) -> (Login, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let player = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        script(stream);
    });
    let login = Login {
        host: "127.0.0.1".to_owned(),
        port,
        bind: None,
        client_id: "c".to_owned(),
        username: None,
        password: None,
        keep_alive: 0,
        clean: true,
        version: Version::V311,
        will: None,
        patience: Duration::from_millis(1500),
        debug: false,
    };
    (login, player)
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).expect("bytes from the client");
    assert_eq!(got, bytes);
}

const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c";
const CONNACK: &[u8] = &[0x20, 2, 0, 0];

fn connected(login: &Login) -> Client {
    Client::connect(login, Interrupt::default()).expect("connected").0
}

#[test]
fn a_publish_waits_for_the_acks_of_its_qos() {
    let (login, player) = broker(|mut stream| {
        expect(&mut stream, CONNECT);
        stream.write_all(CONNACK).expect("sent");
        expect(&mut stream, b"\x30\x04\x00\x01t0");
        expect(&mut stream, b"\x33\x06\x00\x01t\x00\x011");
        stream.write_all(&[0x40, 2, 0, 1]).expect("sent");
        expect(&mut stream, b"\x34\x06\x00\x01t\x00\x022");
        stream.write_all(&[0x50, 2, 0, 2]).expect("sent");
        expect(&mut stream, &[0x62, 2, 0, 2]);
        stream.write_all(&[0x70, 2, 0, 2]).expect("sent");
        expect(&mut stream, &[0xe0, 0]);
    });
    let mut client = connected(&login);
    client.publish("t", b"0", QoS::AtMostOnce, false).expect("QoS 0");
    client.publish("t", b"1", QoS::AtLeastOnce, true).expect("QoS 1");
    client.publish("t", b"2", QoS::ExactlyOnce, false).expect("QoS 2");
    client.disconnect();
    player.join().expect("the script was played");
}

#[test]
fn messages_are_acknowledged_and_a_copy_of_qos_2_is_no_second_message() {
    let (login, player) = broker(|mut stream| {
        expect(&mut stream, CONNECT);
        stream.write_all(CONNACK).expect("sent");
        expect(&mut stream, b"\x82\x06\x00\x01\x00\x01t\x02");
        stream.write_all(&[0x90, 3, 0, 1, 2]).expect("sent");
        // Cut inside of a packet: the rest comes later.
        stream.write_all(b"\x34\x06\x00\x01t\x00\x09").expect("sent");
        stream.write_all(b"x\x3c\x06\x00\x01t\x00\x09x\x32\x05\x00\x01t\x00\x0a").expect("sent");
        expect(&mut stream, &[0x50, 2, 0, 9, 0x50, 2, 0, 9, 0x40, 2, 0, 10]);
        stream.write_all(&[0x62, 2, 0, 9]).expect("sent");
        expect(&mut stream, &[0x70, 2, 0, 9]);
    });
    let mut client = connected(&login);
    client.subscribe_all(&[("t", QoS::ExactlyOnce)]).expect("subscribed");
    let deadline = Some(Instant::now() + Duration::from_secs(5));
    let first = client.receive(deadline).expect("running").expect("a message");
    let second = client.receive(deadline).expect("running").expect("a message");
    assert_eq!((first.payload.as_slice(), first.qos), (&b"x"[..], QoS::ExactlyOnce));
    assert_eq!((second.payload.as_slice(), second.qos), (&b""[..], QoS::AtLeastOnce));
    // The PUBREL is answered while waiting; then the script ends the connection.
    let end = client.receive(deadline).expect_err("closed");
    assert_eq!(end.exit, Exit::Failure);
    player.join().expect("the script was played");
}

#[test]
fn refusals_have_their_exit_codes() {
    for (answer, exit) in [
        (vec![0x20, 2, 0, 5], Exit::Denied),
        (vec![0x20, 2, 0, 4], Exit::Denied),
        (vec![0x20, 2, 0, 3], Exit::Failure),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Exit::Failure),
        (Vec::new(), Exit::Timeout),
    ] {
        let silent = answer.is_empty();
        let (mut login, player) = broker(move |mut stream| {
            expect(&mut stream, CONNECT);
            stream.write_all(&answer).expect("sent");
            let _ = stream.read(&mut [0; 1]); // until the client has gone
        });
        if silent {
            login.patience = Duration::from_millis(150);
        }
        let error = Client::connect(&login, Interrupt::default()).expect_err("refused");
        assert_eq!(error.exit, exit, "{error}");
        player.join().expect("the script was played");
    }
}

#[test]
fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (mut login, player) = broker(drop);
    TcpStream::connect(("127.0.0.1", login.port)).expect("the script wants its client");
    player.join().expect("the script was played");
    login.port = listener.local_addr().expect("an address").port();
    drop(listener);
    let error = Client::connect(&login, Interrupt::default()).expect_err("nobody listens");
    assert_eq!(error.exit, Exit::Unreachable, "{error}");
}

#[test]
fn a_refused_subscription_is_denied_and_a_lost_ack_is_a_time_out() {
    let (mut login, player) = broker(|mut stream| {
        expect(&mut stream, CONNECT);
        stream.write_all(CONNACK).expect("sent");
        expect(&mut stream, b"\x82\x06\x00\x01\x00\x01t\x00");
        stream.write_all(&[0x90, 3, 0, 1, 0x80]).expect("sent");
        expect(&mut stream, b"\x32\x05\x00\x01t\x00\x02");
        let _ = stream.read(&mut [0; 1]);
    });
    login.patience = Duration::from_millis(300);
    let mut client = connected(&login);
    let error = client.subscribe_all(&[("t", QoS::AtMostOnce)]).expect_err("refused");
    assert_eq!(error.exit, Exit::Denied);
    let error = client.publish("t", b"", QoS::AtLeastOnce, false).expect_err("no PUBACK");
    assert_eq!(error.exit, Exit::Timeout);
    drop(client);
    player.join().expect("the script was played");
}
