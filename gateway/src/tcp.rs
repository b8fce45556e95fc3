//! TCP listeners: binding them exclusively, and accepting without ever spinning.
use broker_core::Instant;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How long accepting pauses when the process has no file descriptor or memory left.
pub(crate) const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// A bound, listening socket.
#[derive(Debug)]
pub(crate) struct TcpPort {
    pub(crate) listener: TcpListener,
    /// May have connections to accept: edge-triggered, so nobody will say it again.
    pub(crate) readable: bool,
}

/// Binds and listens. `shared` lets the listeners of several workers of ours share the port; the caller has probed it
/// with `shared == false` before, since SO_REUSEPORT would let a second gateway in.
///
/// # Errors
/// What the system reports.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Lets us bind while connections of an earlier run are in TIME_WAIT; a listener of another process still
    // makes this fail.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

impl TcpPort {
    pub(crate) fn new(socket: Socket) -> Self {
        TcpPort { listener: TcpListener::from_std(socket.into()), readable: true }
    }
}

/// What [`accept`] came to.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection.
    Stream(TcpStream, SocketAddr),
    /// None waits.
    Empty,
    /// This one was gone before we had it; there may be more.
    Lost,
    /// No file descriptor or memory left, or an error that will not go by itself: accepting makes sense again later,
    /// not now.
    Exhausted(io::Error),
}

/// Accepts one connection.
pub(crate) fn accept(port: &mut TcpPort) -> Accepted {
    match port.listener.accept() {
        Ok((stream, remote)) => Accepted::Stream(stream, remote),
        Err(error) => match error.raw_os_error() {
            _ if error.kind() == io::ErrorKind::WouldBlock => {
                port.readable = false;
                Accepted::Empty
            }
            // One connection that came to nothing: also what Linux hands on from the new socket (accept(2)).
            Some(
                libc::ECONNABORTED
                | libc::EINTR
                | libc::EPROTO
                | libc::EPERM
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP,
            ) => Accepted::Lost,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM, and what nobody expects: trying again at once would spin.
            Some(_) | None => Accepted::Exhausted(error),
        },
    }
}

/// How many new connections a second are let in; connections of exempt addresses do not count.
#[derive(Debug)]
pub(crate) struct ConnectRate {
    tokens: f64,
    since: Instant,
}

impl ConnectRate {
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        ConnectRate { tokens: f64::from(per_second), since: now }
    }

    /// Counts one connection; says how long accepting pauses when this was the last for now.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32) -> Option<Duration> {
        let rate = f64::from(per_second.max(1));
        self.tokens = (self.tokens + now.saturating_since(self.since).as_secs_f64() * rate).min(rate);
        self.since = now;
        self.tokens -= 1.0;
        // A tenth of a second's worth at a time, at least one.
        (self.tokens < 1.0).then(|| Duration::from_secs_f64((0.1f64).max(1.0 / rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_listens_on_cannot_be_bound_but_shared() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0)), true).expect("loopback");
        let address = first.local_addr().ok().and_then(|a| a.as_socket()).expect("bound");
        let error = bind(address, false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(bind(address, true).is_ok());
    }

    #[test]
    fn a_burst_of_a_second_s_worth_passes_then_the_rate_holds() {
        let start = Instant::from_millis(1_000);
        let mut rate = ConnectRate::new(start, 1000);
        let burst = (0..5000).take_while(|_| rate.take(start, 1000).is_none()).count();
        assert_eq!(burst, 999);
        let mut now = start;
        let mut accepted = 0;
        while now < start + Duration::from_secs(10) {
            match rate.take(now, 1000) {
                None => accepted += 1,
                Some(pause) => {
                    accepted += 1;
                    now = now + pause;
                }
            }
        }
        assert!((9_000..=11_000).contains(&accepted), "{accepted} in ten seconds");
    }
}
