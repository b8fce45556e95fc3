//! Connections to the server under test: TCP streams and UDP sockets behind one set of calls.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::rows::Proto;
use turnstone_tests::notation::{Symbol, hex, matches};

/// How long an answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// One connection, with what its last wildcards captured.
pub(crate) struct Link {
    socket: Socket,
    proto: Proto,
    pub(crate) captured: Vec<u8>,
    /// A probe's number, so that an old answer is not taken for a new one.
    probes: u16,
}

enum Socket {
    Tcp { stream: TcpStream, unread: Vec<u8>, ended: bool },
    Udp(UdpSocket),
}

impl Link {
    pub(crate) fn open(proto: Proto, server: SocketAddr) -> Result<Self, String> {
        Self::open_at(proto, server, Ipv4Addr::LOCALHOST)
    }

    /// As [`Link::open`], from this address of the host.
    pub(crate) fn open_at(proto: Proto, server: SocketAddr, from: Ipv4Addr) -> Result<Self, String> {
        let socket = match proto {
            Proto::Mqtt => {
                let stream =
                    TcpStream::connect_timeout(&server, PATIENCE).map_err(|e| format!("connect: {e}"))?;
                let prepared =
                    stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                prepared.map_err(|e| e.to_string())?;
                Socket::Tcp { stream, unread: Vec::new(), ended: false }
            }
            Proto::Sn | Proto::Coap => {
                let udp = UdpSocket::bind((from, 0)).and_then(|udp| udp.connect(server).map(|()| udp));
                Socket::Udp(udp.map_err(|e| e.to_string())?)
            }
        };
        Ok(Self { socket, proto, captured: Vec::new(), probes: 0 })
    }

    /// Sends; `Ok(false)` when the server has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<bool, String> {
        match &mut self.socket {
            Socket::Udp(udp) => udp.send(bytes).map(|_| true).map_err(|e| format!("send: {e}")),
            Socket::Tcp { stream, .. } => match stream.write_all(bytes) {
                Ok(()) => Ok(true),
                Err(error) if is_closed(error.kind()) => Ok(false),
                Err(error) => Err(format!("send: {error}")),
            },
        }
    }

    /// Receives what the pattern describes: exactly so many bytes, one datagram, or with `...` at its end one MQTT
    /// packet.
    pub(crate) fn recv(&mut self, pattern: &[Symbol]) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let known = self.captured.clone();
        let pattern: Vec<Symbol> = pattern.iter().map(|symbol| resolved(*symbol, &known)).collect();
        let pattern = pattern.as_slice();
        let found = match self.socket {
            Socket::Udp(_) => self.datagram(end)?.ok_or("no answer")?,
            Socket::Tcp { .. } if pattern.last() == Some(&Symbol::Rest) => {
                self.mqtt_packet(end)?.unwrap_or_default()
            }
            Socket::Tcp { .. } => {
                let wanted = pattern.iter().filter(|symbol| **symbol != Symbol::Rest).count();
                while self.unread().len() < wanted && self.read_more(end)? {}
                let length = self.unread().len().min(wanted);
                self.unread().drain(..length).collect()
            }
        };
        let captured = matches(pattern, &found).ok_or_else(|| format!("received {}", hex(&found)))?;
        if !captured.is_empty() {
            self.captured = captured;
        }
        Ok(())
    }

    /// Waits for the end of the connection (TCP); returns what still came.
    pub(crate) fn until_closed(&mut self) -> Result<Vec<u8>, String> {
        let end = Instant::now() + PATIENCE;
        while self.read_more(end)? {
            if self.unread().len() > 1 << 20 {
                return Err("the server talks on".into());
            }
        }
        if !self.is_ended() {
            let came = hex(self.unread());
            return Err(format!("the connection stays open, {came} was received"));
        }
        Ok(std::mem::take(self.unread()))
    }

    /// What comes next, as soon as it matches one of the patterns; else all that came within the time.
    pub(crate) fn next(&mut self, patterns: &[Vec<Symbol>]) -> Result<Vec<u8>, String> {
        let end = Instant::now() + PATIENCE;
        if matches!(self.socket, Socket::Udp(_)) {
            return Ok(self.datagram(end)?.unwrap_or_default());
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        loop {
            let unread = self.unread();
            let done = patterns.iter().any(|pattern| matches(pattern, unread).is_some());
            if done || unread.len() > longest || !self.read_more(end)? {
                return Ok(std::mem::take(self.unread()));
            }
        }
    }

    pub(crate) fn is_udp(&self) -> bool {
        matches!(self.socket, Socket::Udp(_))
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.socket, Socket::Tcp { ended: true, .. })
    }

    /// Asks something harmless; the first thing that comes must be its answer.
    pub(crate) fn expect_quiet(&mut self) -> Result<(), String> {
        // Twice where the answer may overtake others that were asked for in the same instant.
        for _ in 0..if self.is_udp() { 2 } else { 1 } {
            let (question, answer) = self.probe();
            if !self.send(&question)? {
                return Err("the connection is closed".into());
            }
            self.recv(&answer).map_err(|error| format!("{error} where a probe's answer was due"))?;
        }
        Ok(())
    }

    /// Asks something harmless and reads until its answer; `Ok(false)` when the connection ended instead.
    pub(crate) fn settle(&mut self) -> Result<bool, String> {
        let (question, answer) = self.probe();
        // Who floods a server with questions uses up its answers to strangers, and asks again.
        let tries = if self.is_udp() { 20 } else { 1 };
        for _ in 0..tries {
            let end = Instant::now() + PATIENCE * 4 / tries;
            if !self.send(&question)? {
                return Ok(false);
            }
            loop {
                let found = match self.socket {
                    Socket::Udp(_) => self.datagram(end)?,
                    Socket::Tcp { .. } => self.mqtt_packet(end)?,
                };
                match found {
                    Some(found) if matches(&answer, &found).is_some() => return Ok(true),
                    Some(_) => {}
                    None if self.is_ended() => return Ok(false),
                    None => break,
                }
            }
        }
        Err("the server does not answer any more".into())
    }

    /// Waits for `least` datagrams, and takes all that come before the answer to something harmless.
    pub(crate) fn collect(&mut self, least: usize) -> Result<Vec<Vec<u8>>, String> {
        let end = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while all.len() < least {
            match self.datagram(end)? {
                Some(datagram) => all.push(datagram),
                None => return Ok(all),
            }
        }
        let (question, answer) = self.probe();
        self.send(&question)?;
        loop {
            let found = self.datagram(end)?.ok_or("the server does not answer any more")?;
            if matches(&answer, &found).is_some() {
                return Ok(all);
            }
            all.push(found);
        }
    }

    /// The next MQTT packet that comes within `time`.
    pub(crate) fn packet(&mut self, time: Duration) -> Result<Option<Vec<u8>>, String> {
        self.mqtt_packet(Instant::now() + time)
    }

    /// Reads away what has come, without waiting.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        if let Socket::Tcp { stream, unread, ended } = &mut self.socket {
            stream.set_nonblocking(true).map_err(|e| e.to_string())?;
            let mut buffer = [0; 16_384];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => {
                        *ended = true;
                        break;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {
                        *ended = true;
                        break;
                    }
                }
            }
            unread.clear();
            stream.set_nonblocking(false).map_err(|e| e.to_string())?;
        }
        if let Socket::Udp(udp) = &self.socket {
            udp.set_nonblocking(true).map_err(|e| e.to_string())?;
            let mut buffer = [0; 16];
            // A datagram is taken whole however small the buffer; what fails shows at the next step.
            while udp.recv(&mut buffer).is_ok() {}
            udp.set_nonblocking(false).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) -> Result<(), String> {
        if let Socket::Tcp { stream, .. } = &self.socket {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn probe(&mut self) -> (Vec<u8>, Vec<Symbol>) {
        self.probes += 1;
        let exactly = |bytes: &[u8]| bytes.iter().map(|byte| Symbol::Byte(*byte)).collect();
        match self.proto {
            Proto::Mqtt => (vec![0xC0, 0], exactly(&[0xD0, 0])),
            Proto::Sn => (vec![3, 1, 0], vec![Symbol::Byte(3), Symbol::Byte(2), Symbol::Any]),
            Proto::Coap => {
                let [high, low] = (0xF000 + self.probes).to_be_bytes();
                (vec![0x40, 0, high, low], exactly(&[0x70, 0, high, low]))
            }
        }
    }

    fn unread(&mut self) -> &mut Vec<u8> {
        match &mut self.socket {
            Socket::Tcp { unread, .. } => unread,
            Socket::Udp(_) => panic!("only TCP has a stream; the data file asks UDP for one"),
        }
    }

    /// Reads what comes next; `Ok(false)` at the end of the connection or of the time.
    fn read_more(&mut self, end: Instant) -> Result<bool, String> {
        let Socket::Tcp { stream, unread, ended } = &mut self.socket else {
            return Err("UDP has no connection".into());
        };
        let left = end.saturating_duration_since(Instant::now());
        if *ended || left.is_zero() {
            return Ok(false);
        }
        stream.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
        let mut buffer = [0; 16_384];
        match stream.read(&mut buffer) {
            Ok(0) => *ended = true,
            Ok(count) => unread.extend(buffer.iter().take(count)),
            Err(error) if is_closed(error.kind()) => *ended = true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) => return Err(format!("recv: {error}")),
        }
        Ok(!*ended)
    }

    fn datagram(&mut self, end: Instant) -> Result<Option<Vec<u8>>, String> {
        let Socket::Udp(udp) = &self.socket else { return Err("TCP has no datagrams".into()) };
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        udp.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
        let mut buffer = vec![0; 65_536];
        match udp.recv(&mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                Ok(Some(buffer))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(format!("recv: {error}")),
        }
    }

    /// The next whole MQTT packet of the stream.
    fn mqtt_packet(&mut self, end: Instant) -> Result<Option<Vec<u8>>, String> {
        loop {
            if let Some(length) = packet_length(self.unread()) {
                return Ok(Some(self.unread().drain(..length).collect()));
            }
            if !self.read_more(end)? {
                return Ok(None);
            }
        }
    }
}

/// What the last wildcards met takes the place of `$n`.
fn resolved(symbol: Symbol, captured: &[u8]) -> Symbol {
    match symbol {
        Symbol::Captured(n) => captured.get(n).map_or(symbol, |byte| Symbol::Byte(*byte)),
        Symbol::Byte(_) | Symbol::Any | Symbol::Length | Symbol::Rest => symbol,
    }
}

/// The length of the packet at the start of `bytes`, once all of it is there.
fn packet_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let whole = index + 2 + length;
            return (bytes.len() >= whole).then_some(whole);
        }
    }
    None
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
