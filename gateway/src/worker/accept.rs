//! [`Acceptor`]: who is let in. All listeners are the owner's, so that the bounds in all, for each address and for each
//! second hold exactly, whichever worker serves the connection.
use crate::log::{Limiter, Topic};
use crate::peers::Peers;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::tcp::{self, ACCEPT_RETRY, Accepted, ConnectRate, TcpPort};
use broker_core::{Instant, Now};
use mio::net::TcpStream;
use std::net::{IpAddr, SocketAddr};
use tracing::{debug, warn};

/// Connections accepted from one listener in a round.
const ACCEPTS_PER_ROUND: usize = 64;

/// The listeners and what is counted to bound them.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) listeners: Vec<TcpPort>,
    again: Option<Instant>,
    rate: ConnectRate,
    peers: Peers,
    open: usize,
}

impl Acceptor {
    pub(super) fn new(now: Now, settings: &Settings, listeners: Vec<TcpPort>) -> Self {
        let rate = ConnectRate::new(now.instant, settings.connects_per_second);
        Acceptor { listeners, again: None, rate, peers: Peers::default(), open: 0 }
    }

    /// Whether connections wait and may be accepted now.
    pub(super) fn has_work(&self) -> bool {
        self.again.is_none() && self.listeners.iter().any(|port| port.readable)
    }

    /// When accepting makes sense again.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.again
    }

    /// A connection has ended.
    pub(super) fn release(&mut self, ip: IpAddr) {
        self.open = self.open.saturating_sub(1);
        self.peers.release_ip(ip);
    }

    /// Accepts what waits, within the bounds, and hands each connection to `take`.
    pub(super) fn accept(
        &mut self,
        now: Now,
        settings: &Settings,
        stats: &mut Stats,
        limiter: &mut Limiter,
        mut take: impl FnMut(TcpStream, SocketAddr, &mut Stats),
    ) {
        if self.again.is_some_and(|again| now.instant < again) {
            return;
        }
        self.again = None;
        for index in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_PER_ROUND {
                let Some(port) = self.listeners.get_mut(index).filter(|port| port.readable) else { break };
                match tcp::accept(port) {
                    Accepted::Stream(stream, remote) => {
                        if self.admit(now, remote, settings, stats, limiter) {
                            // Without it small answers wait for the client's delayed ACK: 40 ms.
                            if let Err(error) = stream.set_nodelay(true) {
                                debug!(%error, %remote, "TCP_NODELAY");
                            }
                            stats.accepted += 1;
                            take(stream, remote, stats);
                        }
                    }
                    Accepted::Empty => break,
                    Accepted::Lost => {}
                    Accepted::Exhausted(error) => {
                        // Accepting fails until something is closed; trying again at once would spin.
                        stats.accept_pauses += 1;
                        self.again = Some(now.instant + ACCEPT_RETRY);
                        if limiter.allows(Topic::Connections, now.instant) {
                            warn!(%error, connections = self.open, "cannot accept connections, trying again");
                        }
                    }
                }
                if self.again.is_some() {
                    return;
                }
            }
        }
    }

    fn admit(
        &mut self,
        now: Now,
        remote: SocketAddr,
        settings: &Settings,
        stats: &mut Stats,
        limiter: &mut Limiter,
    ) -> bool {
        let exempt = settings.is_exempt(remote.ip());
        if !exempt && let Some(pause) = self.rate.take(now.instant, settings.connects_per_second) {
            stats.accept_rate_pauses += 1;
            self.again = Some(now.instant + pause);
        }
        if self.open >= settings.connections_max {
            stats.refused_total += 1;
            if limiter.allows(Topic::Connections, now.instant) {
                warn!(%remote, limit = settings.connections_max, "too many connections: limits.connections");
            }
            return false;
        }
        let max = (!exempt).then_some(settings.connections_per_ip_max);
        if self.peers.admit(remote.ip().to_canonical(), max).is_none() {
            stats.refused_per_ip += 1;
            if limiter.allows(Topic::Connections, now.instant) {
                let limit = settings.connections_per_ip_max;
                warn!(
                    %remote,
                    limit,
                    "too many connections of one address: limits.connections_per_ip, limits.exempt"
                );
            }
            return false;
        }
        self.open += 1;
        true
    }
}
