//! MQTT clients of the load generator: one poll loop for all of them, packets written by hand.
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    next_id: u16,
    /// CONNACK has come.
    pub(crate) connected: bool,
    /// SUBACKs seen.
    pub(crate) subacks: usize,
    /// Application messages received.
    pub(crate) received: usize,
    /// QoS 1/2 messages of ours that were acknowledged to the end.
    pub(crate) acked: usize,
    /// Send times found in received payloads, as nanoseconds of delay.
    pub(crate) delays: Vec<u64>,
    stamp: bool,
}

/// All connections and their poll.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    /// The clients, by token.
    pub(crate) clients: Vec<Client>,
    epoch: Instant,
    scratch: Vec<u8>,
    dirty: Vec<usize>,
}

impl Fleet {
    /// No client yet.
    pub(crate) fn new() -> io::Result<Fleet> {
        Ok(Fleet {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            epoch: Instant::now(),
            scratch: vec![0; 256 << 10],
            dirty: Vec::new(),
        })
    }

    /// Opens `count` connections with CONNECT sent; `stamp`: read send times out of payloads.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        count: usize,
        prefix: &str,
        stamp: bool,
    ) -> io::Result<()> {
        let first = self.clients.len();
        for n in 0..count {
            let blocking = std::net::TcpStream::connect(address)?;
            blocking.set_nodelay(true)?;
            blocking.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(blocking);
            let at = self.clients.len();
            self.poll.registry().register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE)?;
            let mut client = Client {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                written: 0,
                next_id: 0,
                connected: false,
                subacks: 0,
                received: 0,
                acked: 0,
                delays: Vec::new(),
                stamp,
            };
            connect(&mut client.output, &format!("{prefix}{n}"));
            self.clients.push(client);
            self.flush(at)?;
            if n % 256 == 255 {
                self.step(Duration::ZERO)?;
            }
        }
        self.run_until(Duration::from_secs(60), "CONNACK", |fleet| {
            fleet.clients[first..].iter().all(|c| c.connected)
        })
    }

    /// Subscribes client `at` to `filters` and waits for the SUBACKs.
    pub(crate) fn subscribe(&mut self, at: usize, filters: &[String], qos: u8) -> io::Result<()> {
        for (n, chunk) in filters.chunks(200).enumerate() {
            let client = &mut self.clients[at];
            subscribe(&mut client.output, u16::try_from(n + 1).unwrap_or(1), chunk, qos);
            let expected = client.subacks + 1;
            self.flush(at)?;
            self.run_until(Duration::from_secs(60), "SUBACK", |fleet| fleet.clients[at].subacks >= expected)?;
        }
        Ok(())
    }

    /// Queues one PUBLISH of client `at`; sent at the next [`Fleet::flush`].
    pub(crate) fn publish(&mut self, at: usize, topic: &str, payload: &[u8], qos: u8) {
        let client = &mut self.clients[at];
        client.next_id = client.next_id.checked_add(1).unwrap_or(1);
        publish(&mut client.output, topic, payload, qos, client.next_id);
    }

    /// Readable when [`Fleet::step`] has something to do: to poll it with other files.
    pub(crate) fn fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Nanoseconds since the fleet began.
    pub(crate) fn stamp(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Writes what client `at` has to say.
    pub(crate) fn flush(&mut self, at: usize) -> io::Result<()> {
        self.clients[at].flush()
    }

    /// Handles what the kernel has within `wait`.
    pub(crate) fn step(&mut self, wait: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        self.dirty.clear();
        for event in &self.events {
            let at = event.token().0;
            if event.is_readable() {
                let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.clients[at].read(&mut self.scratch, now)?;
            }
            self.dirty.push(at);
        }
        for at in std::mem::take(&mut self.dirty) {
            self.clients[at].flush()?;
        }
        Ok(())
    }

    /// Steps until `done`, an error naming `what` after `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&Fleet) -> bool,
    ) -> io::Result<()> {
        let begun = Instant::now();
        while !done(self) {
            if begun.elapsed() > limit {
                return Err(io::Error::other(format!("no {what} within {limit:?}")));
            }
            self.step(Duration::from_millis(20))?;
        }
        Ok(())
    }
}

impl Client {
    fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::Error::other("closed by the broker")),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8], now: u64) -> io::Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::other("closed by the broker")),
                Ok(n) => {
                    self.input.extend_from_slice(&scratch[..n]);
                    self.packets(now);
                    if n < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn packets(&mut self, now: u64) {
        let mut at = 0;
        while let Some((header, length)) = frame(&self.input[at..]) {
            let Some(body) = self.input.get(at + header..at + header + length) else { break };
            let first = self.input[at];
            let id = |offset: usize| u16::from_be_bytes([body[offset], body[offset + 1]]);
            match first >> 4 {
                2 => self.connected = body[1] == 0,
                3 => {
                    self.received += 1;
                    let qos = (first >> 1) & 3;
                    let topic = usize::from(id(0));
                    let payload = 2 + topic + if qos > 0 { 2 } else { 0 };
                    if self.stamp && body.len() >= payload + 8 {
                        let mut sent = [0; 8];
                        sent.copy_from_slice(&body[payload..payload + 8]);
                        self.delays.push(now.saturating_sub(u64::from_be_bytes(sent)));
                    }
                    match qos {
                        1 => self.output.extend_from_slice(&[0x40, 2, body[2 + topic], body[3 + topic]]),
                        2 => self.output.extend_from_slice(&[0x50, 2, body[2 + topic], body[3 + topic]]),
                        _ => {}
                    }
                }
                4 | 7 => self.acked += 1,
                5 => self.output.extend_from_slice(&[0x62, 2, body[0], body[1]]),
                6 => self.output.extend_from_slice(&[0x70, 2, body[0], body[1]]),
                9 => self.subacks += 1,
                _ => {}
            }
            at += header + length;
        }
        self.input.drain(..at);
    }
}

/// Header and body length of the packet at the start of `bytes`.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (n, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return (bytes.len() >= n + 2 + length).then_some((n + 2, length));
        }
    }
    None
}

fn header(out: &mut Vec<u8>, first: u8, mut length: usize) {
    out.push(first);
    loop {
        let low = u8::try_from(length & 0x7F).unwrap_or(0);
        length >>= 7;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn connect(out: &mut Vec<u8>, id: &str) {
    header(out, 0x10, 12 + id.len());
    text(out, "MQTT");
    out.extend_from_slice(&[4, 2, 0, 0]);
    text(out, id);
}

fn subscribe(out: &mut Vec<u8>, id: u16, filters: &[String], qos: u8) {
    header(out, 0x82, 2 + filters.iter().map(|f| f.len() + 3).sum::<usize>());
    out.extend_from_slice(&id.to_be_bytes());
    for filter in filters {
        text(out, filter);
        out.push(qos);
    }
}

fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8], qos: u8, id: u16) {
    header(out, 0x30 | (qos << 1), 2 + topic.len() + payload.len() + if qos > 0 { 2 } else { 0 });
    text(out, topic);
    if qos > 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}
