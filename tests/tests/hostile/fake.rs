//! A server of a few lines, to show that the runner tells right from wrong.
//!
//! It knows CONNECT, SUBSCRIBE, PINGREQ and PUBLISH QoS 0, sends every message back to its publisher, and ends the
//! connection at anything else. Its threads end with their connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// Starts it; returns its address.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener knows its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(64) {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> Option<()> {
    loop {
        let mut head = [0; 2]; // its packets are shorter than 128 bytes
        stream.read_exact(&mut head).ok()?;
        let [kind, length] = head;
        let mut body = vec![0; usize::from(length)];
        stream.read_exact(&mut body).ok()?;
        let answer = match kind {
            0x10 => vec![0x20, 2, 0, 0],
            0x82 => vec![0x90, 3, *body.first()?, *body.get(1)?, 0],
            0xC0 => vec![0xD0, 0],
            0x30 => [&head[..], &body].concat(),
            _ => return None,
        };
        stream.write_all(&answer).ok()?;
    }
}
