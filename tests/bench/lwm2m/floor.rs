//! Floors: minimal processes that move the same datagrams and messages and understand none of them. What a row costs
//! above its floor is ours; the rest is the kernel's.
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};

/// Which floor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor {
    /// Each datagram is answered by a short one.
    Echo,
    /// Each datagram goes to the TCP side as an MQTT message of QoS 0.
    Forward,
    /// Each TCP message goes out as a datagram; its answer goes back over TCP.
    RoundTrip,
}

impl Floor {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Floor::Echo => "echo",
            Floor::Forward => "forward",
            Floor::RoundTrip => "round-trip",
        }
    }
}

/// Plays a floor until it is killed: `name tcp udp`.
pub(crate) fn play(arguments: &[String]) -> io::Result<()> {
    let [name, tcp, udp] = arguments else { return Err(io::Error::other("--floor NAME TCP UDP")) };
    let udp = UdpSocket::bind(udp.as_str())?;
    let listener = TcpListener::bind(tcp.as_str())?;
    match name.as_str() {
        "echo" => echo(&udp),
        "forward" => forward(&listener, &udp),
        "round-trip" => round_trip(&listener, &udp),
        other => Err(io::Error::other(format!("no floor {other}"))),
    }
}

fn echo(udp: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = udp.recv_from(&mut buffer)?;
        // As long as a 2.01 with its location.
        udp.send_to(&buffer[..length.min(24)], from)?;
    }
}

/// A PUBLISH of QoS 0 with about the payload that a notification has as JSON.
fn message() -> Vec<u8> {
    let mut message = vec![0x30, 0x80 + 52, 1, 0, 7];
    message.extend_from_slice(b"a/topic");
    message.resize(3 + 180, b'x');
    message
}

fn forward(listener: &TcpListener, udp: &UdpSocket) -> io::Result<()> {
    let (mut stream, message, mut buffer) = (client(listener)?, message(), [0; 2048]);
    loop {
        udp.recv_from(&mut buffer)?;
        stream.write_all(&message)?;
    }
}

/// What comes in over TCP is a datagram each; the first datagram in told where to.
fn round_trip(listener: &TcpListener, udp: &UdpSocket) -> io::Result<()> {
    let (mut stream, message, mut buffer) = (client(listener)?, message(), [0; 65536]);
    let (_, device) = udp.recv_from(&mut buffer)?;
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        udp.send_to(&buffer[..length.min(40)], device)?;
        udp.recv_from(&mut buffer)?;
        stream.write_all(&message)?;
    }
}

/// The connection that stays: the first one only tried whether anybody listens.
fn client(listener: &TcpListener) -> io::Result<std::net::TcpStream> {
    listener.accept()?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
