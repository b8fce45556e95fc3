//! [`Link`]: a [`Session`] on a socket, driven by the calling thread.
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::session::{Ask, Delivery, Event, Failure, Out, Session, Settings};
use crate::exit::Exit;
use crate::tools::interrupt::{Interrupt, LOOK};
use crate::tools::{ToolError, net};

/// Messages that may wait while a request is open. Reaction: the tool gives up.
const INBOX_MAX: usize = 100_000;
/// Largest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// A client on a socket of its own.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UdpSocket,
    at: String,
    session: Session,
    out: Out,
    inbox: VecDeque<Delivery>,
    /// The gateway's refusal of something that has no answer of its own.
    rejected: Option<ToolError>,
    ended: bool,
    interrupt: Interrupt,
    debug: bool,
    give_up: Duration,
}

impl Link {
    /// Opens a socket towards `host`; nothing is sent yet.
    pub(crate) fn open(
        host: &str,
        port: u16,
        settings: Settings,
        interrupt: Interrupt,
        debug: bool,
    ) -> Result<Link, ToolError> {
        let at = format!("{host}:{port}");
        let to = net::resolve(host, port)?.first().copied();
        let socket = to
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::AddrNotAvailable))
            .and_then(connected)
            .map_err(|error| net::unreachable("the gateway", &at, &error))?;
        let give_up = settings.retry * (u32::from(settings.retries) + 1);
        Ok(Link {
            socket,
            at,
            session: Session::new(settings),
            out: Out::default(),
            inbox: VecDeque::new(),
            rejected: None,
            ended: false,
            interrupt,
            debug,
            give_up,
        })
    }

    /// Does one request to its end and says how long it took.
    pub(crate) fn perform(&mut self, ask: Ask) -> Result<Duration, ToolError> {
        let gone = matches!(ask, Ask::Disconnect);
        self.session.ask(Instant::now(), ask.clone(), &mut self.out);
        loop {
            if let Some(result) = self.take_result(&ask)? {
                return match result {
                    Ok(took) => Ok(took),
                    Err(failure) => Err(self.explain(&ask, failure)),
                };
            }
            if self.interrupt.is_set() && !gone {
                return Err(ToolError::interrupted());
            }
            self.turn(Instant::now() + LOOK)?;
        }
    }

    /// The next message; `None` when `deadline` comes first or the user wants to end.
    pub(crate) fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Delivery>, ToolError> {
        loop {
            if let Some(delivery) = self.inbox.pop_front() {
                return Ok(Some(delivery));
            }
            if self.ended {
                return Err(ToolError::new(
                    Exit::Failure,
                    format!("{} has ended the session", self.at),
                    "its log, which says why",
                ));
            }
            let now = Instant::now();
            if self.interrupt.is_set() || deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            self.turn(deadline.unwrap_or(now + LOOK).min(now + LOOK))?;
            self.sort_events();
        }
    }

    /// Lets the session live for a while. False: the user wants to end.
    pub(crate) fn stay(&mut self, pause: Duration) -> Result<bool, ToolError> {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.interrupt.is_set() {
            self.turn(until.min(Instant::now() + LOOK))?;
            self.sort_events();
        }
        Ok(!self.interrupt.is_set())
    }

    /// A message that has already come.
    pub(crate) fn take_delivery(&mut self) -> Option<Delivery> {
        self.inbox.pop_front()
    }

    /// A refusal of a PUBLISH that needs no answer, if one has come.
    pub(crate) fn rejection(&mut self) -> Option<ToolError> {
        self.rejected.take()
    }

    /// Sends what is to be sent, waits for a datagram or a deadline, and handles it.
    fn turn(&mut self, until: Instant) -> Result<(), ToolError> {
        self.flush()?;
        let now = Instant::now();
        let until = self.session.next_timeout().map_or(until, |due| due.min(until));
        let wait = until.saturating_duration_since(now).clamp(Duration::from_millis(1), LOOK);
        let lost = |error: &std::io::Error| net::unreachable("the gateway", &self.at, error);
        self.socket.set_read_timeout(Some(wait)).map_err(|error| lost(&error))?;
        let mut bytes = vec![0; DATAGRAM_MAX];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                let bytes = bytes.get(..length).unwrap_or_default();
                self.note("<-", bytes);
                self.session.handle_datagram(Instant::now(), bytes, &mut self.out);
            }
            Err(error) if net::is_pause(&error) => {}
            Err(error) => return Err(lost(&error)),
        }
        let now = Instant::now();
        if self.session.next_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now, &mut self.out);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ToolError> {
        for bytes in std::mem::take(&mut self.out.datagrams) {
            self.note("->", &bytes);
            match self.socket.send(&bytes) {
                Ok(_) => {}
                Err(error) if net::is_pause(&error) => {} // as if lost on the way
                Err(error) => return Err(net::unreachable("the gateway", &self.at, &error)),
            }
        }
        Ok(())
    }

    /// The outcome of the open request, if it is there.
    fn take_result(&mut self, ask: &Ask) -> Result<Option<Result<Duration, Failure>>, ToolError> {
        let mut result = None;
        let mut rest = Vec::new();
        for event in self.out.events.drain(..) {
            match event {
                Event::Done(done, took) if done == *ask => result = Some(Ok(took)),
                Event::Failed(failed, failure) if failed == *ask => result = Some(Err(failure)),
                other => rest.push(other),
            }
        }
        self.out.events = rest;
        self.sort_events();
        if self.inbox.len() > INBOX_MAX {
            return Err(ToolError::new(
                Exit::Failure,
                format!("more than {INBOX_MAX} messages came while an answer was awaited"),
                "a narrower filter with -t",
            ));
        }
        if result.is_some() {
            self.flush()?;
        }
        Ok(result)
    }

    fn sort_events(&mut self) {
        for event in self.out.events.drain(..) {
            match event {
                Event::Delivery(delivery) => self.inbox.push_back(delivery),
                Event::Rejected(code) => {
                    self.rejected = Some(ToolError::new(
                        Exit::Denied,
                        format!("the gateway did not take the message: {code}"),
                        "another topic, or -q 1 for an answer to each message",
                    ));
                }
                Event::Ended => self.ended = true,
                Event::Done(..) | Event::Failed(..) => {}
            }
        }
    }

    fn explain(&self, ask: &Ask, failure: Failure) -> ToolError {
        let what = name(ask);
        match failure {
            Failure::Refused(code) => ToolError::new(
                Exit::Denied,
                format!("the gateway refuses {what}: {code}"),
                match ask {
                    Ask::Connect => "another client id with -i",
                    Ask::Subscribe { .. } | Ask::Publish { .. } => {
                        "another topic; -T ID needs an id that the gateway's configuration names"
                    }
                    Ask::Ping | Ask::Sleep(_) | Ask::Wake | Ask::Disconnect => "its log, which says why",
                },
            ),
            Failure::NoAnswer => ToolError::new(
                Exit::Timeout,
                format!("{} did not answer {what} within {:.1} s", self.at, self.give_up.as_secs_f64()),
                "is this an MQTT-SN port? `turnstone sn search` looks for gateways",
            ),
            Failure::Ended => ToolError::new(
                Exit::Failure,
                format!("{} has ended the session instead of answering {what}", self.at),
                "its log, which says why",
            ),
            Failure::Impossible => ToolError::usage(
                format!("{what} does not fit a message of MQTT-SN"),
                "a shorter topic or payload",
            ),
        }
    }

    fn note(&self, direction: &str, bytes: &[u8]) {
        if self.debug {
            eprintln!("{direction} {}", sn_proto::describe::describe(bytes));
        }
    }
}

fn name(ask: &Ask) -> &'static str {
    match ask {
        Ask::Connect => "CONNECT",
        Ask::Publish { .. } => "PUBLISH",
        Ask::Subscribe { .. } => "SUBSCRIBE",
        Ask::Ping | Ask::Wake => "PINGREQ",
        Ask::Sleep(_) | Ask::Disconnect => "DISCONNECT",
    }
}

fn connected(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = if to.is_ipv6() { ([0u16; 8], 0).into() } else { ([0u8; 4], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
