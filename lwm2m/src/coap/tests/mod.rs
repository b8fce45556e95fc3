//! Scenarios for the endpoint: virtual time, a network that loses, doubles and reorders, hostile datagrams.
//!
//! A failing run prints its seed; `Sim::new(seed)` repeats it exactly.
mod blockwise;
mod exchange;
mod guard;
mod hostile;
mod observing;
mod sim;
mod wire;

use std::net::SocketAddr;

use broker_core::time::Instant;

use super::{Config, Endpoint, Event, Output, Source};

/// A peer's address by number; each in a /24 of its own.
fn peer(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, 1 + c / 128], 10_000 + u16::from(c)))
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits in {text}");
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// One endpoint, spoken to by hand.
struct Bench {
    endpoint: Endpoint<SocketAddr>,
    out: Output<SocketAddr>,
    now: u64,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Config::default())
    }

    fn with(config: Config) -> Bench {
        Bench { endpoint: Endpoint::new(config, [7; 32]), out: Output::default(), now: 0 }
    }

    /// Gives a datagram and returns what is sent.
    fn give(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.give_from(Source::unicast(from), datagram)
    }

    fn give_from(&mut self, source: Source<SocketAddr>, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.out.clear();
        self.endpoint.handle_datagram(at(self.now), source, datagram, &mut self.out);
        self.sent()
    }

    /// Lets time pass to a moment, timer by timer, and returns what is sent with its time.
    fn wait_until(&mut self, ms: u64) -> Vec<(u64, Vec<u8>)> {
        self.out.clear();
        let mut sent = Vec::new();
        for _ in 0..100_000 {
            match self.endpoint.next_timeout() {
                Some(due) if due <= at(ms) => {
                    self.now = due.as_millis().max(self.now);
                    self.endpoint.handle_timeout(at(self.now), &mut self.out);
                    sent.extend(self.out.outgoing().map(|(_, datagram)| (self.now, datagram.to_vec())));
                    self.out.datagrams.clear();
                    self.out.wire.clear();
                }
                Some(_) | None => {
                    self.now = ms;
                    return sent;
                }
            }
        }
        panic!("timers do not end");
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        self.out.outgoing().map(|(_, datagram)| datagram.to_vec()).collect()
    }

    fn events(&mut self) -> Vec<Event<SocketAddr>> {
        std::mem::take(&mut self.out.events)
    }

    /// The single request that the last datagram brought.
    fn asked(&mut self) -> super::IncomingRequest<SocketAddr> {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        match events.pop() {
            Some(Event::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, id: super::RequestId, response: super::Response) -> Vec<Vec<u8>> {
        self.out.clear();
        assert!(self.endpoint.respond(at(self.now), id, response, &mut self.out));
        self.sent()
    }

    /// Sends a request and returns its datagram.
    fn ask(&mut self, to: SocketAddr, request: super::Request, tag: u64) -> Vec<Vec<u8>> {
        self.out.clear();
        self.endpoint.request(at(self.now), to, request, tag, &mut self.out).expect("room for a request");
        self.sent()
    }
}

/// A GET that need not earn its way.
fn get(path: &str) -> super::Request {
    let options = super::Options::new().with_path(path);
    super::Request { trusted: true, ..super::Request::new(super::Code::GET, options) }
}

/// Message id of a datagram.
fn mid(datagram: &[u8]) -> u16 {
    u16::from_be_bytes([datagram[2], datagram[3]])
}

/// Token of a datagram.
fn token(datagram: &[u8]) -> &[u8] {
    &datagram[4..4 + usize::from(datagram[0] & 0x0f)]
}

/// A message made by hand: type (0 CON, 1 NON, 2 ACK, 3 RST), code, message id, token, then options and payload.
fn message(kind: u8, code: u8, mid: u16, token: &[u8], rest: &[u8]) -> Vec<u8> {
    let [high, low] = mid.to_be_bytes();
    let first = 0x40 | kind << 4 | token.len() as u8;
    [&[first, code, high, low], token, rest].concat()
}
