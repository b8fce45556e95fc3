//! [`UdpPort`]: one bound UDP socket and what the kernel says about it.
use super::mmsg::{BATCH, Batch, Received, drops, set_option};
use broker_core::frontend::{Actions, Address, DatagramOut, ListenerId};
use broker_core::link::FrontendId;
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

/// Receive buffer asked for: the kernel's default holds 280 small datagrams, which one burst of wake-ups fills.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Send calls for one flush of one socket, over those that the number of datagrams needs: each failing datagram costs
/// one more.
const SEND_FAILURES_MAX: usize = 256;

/// What happened on the UDP sockets of a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UdpCounters {
    pub(crate) datagrams_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) bytes_sent: u64,
    /// Not sent: the socket's buffer was full.
    pub(crate) send_full: u64,
    /// Not sent: no route, refused by a filter, too large.
    pub(crate) send_failed: u64,
    /// Dropped by the kernel since our buffer was full.
    pub(crate) kernel_drops: u64,
    /// Cut, or without a usable sender.
    pub(crate) unusable: u64,
    /// Our own, brought back by a group.
    pub(crate) own_heard: u64,
}

/// A bound UDP socket.
#[derive(Debug)]
pub(crate) struct UdpPort {
    pub(crate) socket: UdpSocket,
    pub(crate) listener: ListenerId,
    pub(crate) frontend: FrontendId,
    /// Not read to its end yet: edge-triggered, so nobody will say it again.
    pub(crate) readable: bool,
    /// Datagrams for groups that the kernel refused, for the log.
    pub(crate) group_failures: Vec<(Address, io::Error)>,
    v6: bool,
    kernel_drops_seen: u32,
}

/// Binds a UDP socket, exclusively: without SO_REUSEADDR and SO_REUSEPORT a second gateway cannot share the port.
///
/// # Errors
/// What the system reports.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    inform(socket.as_raw_fd(), address.is_ipv6())?;
    let fd = socket.as_raw_fd();
    // As root beyond rmem_max; else as much as rmem_max lets through.
    let wanted = RECEIVE_BUFFER_BYTES as libc::c_int;
    if !set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, wanted) {
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    if !set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, wanted) {
        socket.set_send_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Has the kernel say with each datagram what it hit and on which interface, and how many were dropped.
///
/// # Errors
/// What the system reports.
pub(super) fn inform(fd: RawFd, v6: bool) -> io::Result<()> {
    // Best effort: without it the kernel's drops are not counted, everything else works.
    let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    let informed = match v6 {
        false => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        true => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    };
    if informed { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the operator should know when `socket` got less room for what comes in than was asked for.
pub(crate) fn shortfall(socket: &Socket) -> Option<String> {
    // The kernel books twice the size, for its own overhead, and says so.
    too_little(socket.recv_buffer_size().ok()? / 2)
}

fn too_little(got: usize) -> Option<String> {
    (got < RECEIVE_BUFFER_BYTES).then(|| {
        format!(
            "the kernel gives each UDP socket {} KiB for what comes in instead of {} KiB, so bursts of devices may be \
             lost; try: sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}",
            got >> 10,
            RECEIVE_BUFFER_BYTES >> 10
        )
    })
}

impl UdpPort {
    pub(crate) fn new(socket: Socket, listener: ListenerId, frontend: FrontendId, v6: bool) -> Self {
        let socket = UdpSocket::from_std(socket.into());
        let group_failures = Vec::new();
        UdpPort { socket, listener, frontend, readable: true, group_failures, v6, kernel_drops_seen: 0 }
    }

    /// Takes one batch of datagrams and hands each to `each`. What is left shows in `readable`.
    pub(crate) fn receive(
        &mut self,
        batch: &mut Batch,
        counters: &mut UdpCounters,
        mut each: impl FnMut(Received<'_>),
    ) {
        for index in 0..self.fill(batch, counters) {
            match batch.datagram(index, self.listener) {
                Some(received) => each(received),
                None => counters.unusable += 1,
            }
        }
    }

    /// Takes one batch of datagrams; says how many. What is left shows in `readable`.
    pub(crate) fn fill(&mut self, batch: &mut Batch, counters: &mut UdpCounters) -> usize {
        match batch.receive(self.socket.as_raw_fd()) {
            Ok(report) => {
                // A full batch may have left some behind; anything less has emptied the socket.
                self.readable = report.datagrams == BATCH;
                counters.datagrams_received += report.datagrams as u64;
                counters.bytes_received += report.bytes;
                if let Some(drops) = report.kernel_drops {
                    self.note_drops(drops, counters);
                }
                return report.datagrams;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // WouldBlock, or a pending error of the socket, which reading has cleared.
            Err(error) => {
                self.readable = error.kind() != io::ErrorKind::WouldBlock && self.readable && retry(&error)
            }
        }
        0
    }

    /// Asks how many datagrams the kernel has dropped: what comes with a datagram is the count when it was queued, so
    /// the last of a burst would show with the next burst only.
    pub(crate) fn count_drops(&mut self, counters: &mut UdpCounters) {
        if let Some(drops) = drops(self.socket.as_raw_fd()) {
            self.note_drops(drops, counters);
        }
    }

    /// Takes a running count that wraps around; one that is older than what is known says nothing.
    fn note_drops(&mut self, drops: u32, counters: &mut UdpCounters) {
        let more = drops.wrapping_sub(self.kernel_drops_seen);
        if more <= u32::MAX / 2 {
            counters.kernel_drops += u64::from(more);
            self.kernel_drops_seen = drops;
        }
    }

    /// Sends `datagrams` of `actions`, in order. What the kernel does not take is dropped and counted: UDP promises
    /// nothing, and the protocols above send again.
    pub(crate) fn send(
        &mut self,
        batch: &mut Batch,
        counters: &mut UdpCounters,
        actions: &Actions,
        mut datagrams: &[&DatagramOut],
    ) {
        let mut calls_left = datagrams.len() / BATCH + SEND_FAILURES_MAX;
        while !datagrams.is_empty() && calls_left > 0 {
            calls_left -= 1;
            match batch.send(self.socket.as_raw_fd(), self.v6, actions, datagrams) {
                Ok(0) => break,
                Ok(sent) => {
                    let (gone, rest) = datagrams.split_at_checked(sent).unwrap_or((datagrams, &[]));
                    counters.datagrams_sent += gone.len() as u64;
                    counters.bytes_sent +=
                        gone.iter().map(|datagram| datagram.bytes.len() as u64).sum::<u64>();
                    datagrams = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    counters.send_full += datagrams.len() as u64;
                    return;
                }
                Err(error) => {
                    // The error is about the first one (no route, filtered, too large): the others still go.
                    counters.send_failed += 1;
                    if let Some(first) = datagrams.first().filter(|it| it.ttl.is_some()) {
                        self.group_failures.push((first.to, error));
                    }
                    datagrams = datagrams.split_first().map(|(_, rest)| rest).unwrap_or_default();
                }
            }
        }
        counters.send_failed += datagrams.len() as u64;
    }
}

/// Whether reading the socket once more may work: errors that ICMP left on it are reported once.
fn retry(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn port(address: SocketAddr) -> (UdpPort, SocketAddr) {
        let socket = bind(address).expect("the loopback address can be bound");
        let local = socket.local_addr().ok().and_then(|a| a.as_socket()).expect("it is bound");
        (UdpPort::new(socket, ListenerId(3), FrontendId::MqttSn, address.is_ipv6()), local)
    }

    fn receive_all(port: &mut UdpPort, batch: &mut Batch, wanted: usize) -> Vec<(Address, bool, Vec<u8>)> {
        let mut counters = UdpCounters::default();
        let mut got = Vec::new();
        // Loopback datagrams are in the socket when send returns; the bound covers several batches.
        for _ in 0..100 {
            port.readable = true;
            port.receive(batch, &mut counters, |r| got.push((r.from, r.group, r.bytes.to_vec())));
            if got.len() >= wanted {
                break;
            }
        }
        assert_eq!(counters.datagrams_received as usize, wanted);
        got
    }

    #[test]
    fn datagrams_come_with_sender_and_local_address_and_replies_leave_from_there() {
        let mut batch = Batch::new();
        let mut counters = UdpCounters::default();
        // Bound to every address; the client talks to 127.0.0.2 and must be answered from there.
        let (mut server, local) = port(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let hit = SocketAddr::new(IpAddr::from([127, 0, 0, 2]), local.port());
        for n in 0..100u8 {
            client.send_to(&[n; 3], hit).expect("loopback");
        }
        let got = receive_all(&mut server, &mut batch, 100);
        for (n, (from, group, bytes)) in got.iter().enumerate() {
            assert_eq!(from.remote, client.local_addr().expect("bound"));
            assert_eq!(from.local, Some(hit.ip()));
            assert_eq!(from.listener, ListenerId(3));
            assert!(!group);
            assert_eq!(bytes, &[n as u8; 3]);
        }
        let mut actions = Actions::default();
        for n in 0..100u8 {
            let to = got.first().expect("some came").0;
            actions.send_with_ttl(to, (n % 2 == 0).then_some(3), |wire| wire.extend_from_slice(&[n, n]));
        }
        let datagrams: Vec<_> = actions.datagrams.iter().collect();
        server.send(&mut batch, &mut counters, &actions, &datagrams);
        assert_eq!((counters.datagrams_sent, counters.bytes_sent, counters.send_failed), (100, 200, 0));
        let mut buffer = [0; 16];
        for n in 0..100u8 {
            let (length, from) = client.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], from), (&[n, n][..], hit));
        }
    }

    #[test]
    fn one_unsendable_datagram_does_not_hold_up_the_others() {
        let mut batch = Batch::new();
        let mut counters = UdpCounters::default();
        let (mut server, _) = port(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let good = client.local_addr().expect("bound");
        let mut actions = Actions::default();
        for n in 0..3u8 {
            // A socket bound to loopback has no route to a documentation address' network or refuses it.
            let remote = if n == 1 { SocketAddr::from(([127, 0, 0, 1], 0)) } else { good };
            let to = Address { remote, local: None, listener: ListenerId(3) };
            actions.send(to, |wire| wire.push(n));
        }
        let datagrams: Vec<_> = actions.datagrams.iter().collect();
        server.send(&mut batch, &mut counters, &actions, &datagrams);
        assert_eq!((counters.datagrams_sent, counters.send_failed), (2, 1));
        let mut buffer = [0; 16];
        assert_eq!(client.recv_from(&mut buffer).expect("the first").0, 1);
        assert_eq!(buffer[0], 0);
        assert_eq!(client.recv_from(&mut buffer).expect("the third").0, 1);
        assert_eq!(buffer[0], 2);
    }

    #[test]
    fn ipv6_datagrams_carry_their_local_address_too() {
        let Ok(client) = std::net::UdpSocket::bind("[::1]:0") else {
            // The machine has no IPv6: nothing can be shown here.
            return;
        };
        let mut batch = Batch::new();
        let mut counters = UdpCounters::default();
        let (mut server, local) = port(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0));
        client
            .send_to(b"hello", SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), local.port()))
            .expect("loopback");
        let got = receive_all(&mut server, &mut batch, 1);
        let (from, group, bytes) = got.first().expect("it came");
        assert_eq!(
            (from.local, *group, bytes.as_slice()),
            (Some(IpAddr::V6(Ipv6Addr::LOCALHOST)), false, &b"hello"[..])
        );
        let mut actions = Actions::default();
        actions.send_with_ttl(*from, Some(2), |wire| wire.extend_from_slice(b"back"));
        server.send(&mut batch, &mut counters, &actions, &[actions.datagrams.first().expect("queued")]);
        let mut buffer = [0; 16];
        let (length, _) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], b"back");
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
        // Room for a few datagrams only; the kernel's smallest.
        socket.set_recv_buffer_size(1).expect("a buffer");
        let local = socket.local_addr().ok().and_then(|a| a.as_socket()).expect("it is bound");
        let mut server = UdpPort::new(socket, ListenerId(3), FrontendId::MqttSn, false);
        let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let (mut batch, mut counters) = (Batch::new(), UdpCounters::default());
        for _ in 0..500 {
            client.send_to(b"0123456789", local).expect("loopback");
        }
        for _ in 0..20 {
            server.receive(&mut batch, &mut counters, |_| {});
        }
        server.count_drops(&mut counters);
        assert!(counters.kernel_drops > 0 && counters.datagrams_received < 500);
        assert_eq!(counters.datagrams_received + counters.kernel_drops, 500);
        // The count also comes with the next datagram, and is not taken twice.
        client.send_to(b"one more", local).expect("loopback");
        server.readable = true;
        server.receive(&mut batch, &mut counters, |_| {});
        assert_eq!(counters.datagrams_received + counters.kernel_drops, 501);
        server.kernel_drops_seen += 100;
        server.count_drops(&mut counters);
        assert_eq!(counters.datagrams_received + counters.kernel_drops, 501, "an older count is no news");
    }

    #[test]
    fn a_receive_buffer_that_is_too_small_is_told_with_the_way_out() {
        assert_eq!(too_little(RECEIVE_BUFFER_BYTES), None);
        let text = too_little(212_992).expect("too little");
        assert!(
            text.contains(" 208 KiB ")
                && text.contains("instead of 4096 KiB")
                && text.contains("rmem_max=4194304"),
            "{text}"
        );
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
        socket.set_recv_buffer_size(65_536).expect("a buffer");
        assert!(shortfall(&socket).is_some_and(|text| text.contains(" 64 KiB ")));
    }

    #[test]
    fn a_port_cannot_be_bound_twice() {
        let (_first, local) = port(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let second = bind(local).expect_err("taken");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
