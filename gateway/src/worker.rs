//! [`Worker`]: one thread's loop over its sockets, its timers and its broker.
//!
//! All device-facing sockets of the worker live in one `mio::Poll`, which sits inside tokio's `AsyncFd`: no task and no
//! waker per connection, and signals and timers are still tokio's.
//!
//! ```text
//! wait (signals | sockets | deadline) ─► poll events ─► round:
//!     accept ─► datagrams (≤ 64 a socket) ─► streams (one read each) ─► settle ─► flush ─► deadlines
//! ```
//! Edge-triggered: what was not read to its end stays on a list of ours, and rounds follow each other without waiting
//! until the lists are empty. The inner poll is emptied before the outer readiness is cleared, or it never wakes again.
use crate::clock::Clock;
use crate::dump;
use crate::hub::Hub;
use crate::log::{Limiter, Topic};
use crate::run::Control;
use crate::settings::Settings;
use crate::signals::{Signals, Wish};
use crate::stats::Stats;
use crate::streams::Streams;
use crate::sys;
use crate::sys_topics::{self, SysTopics};
use crate::tcp::{self, ACCEPT_RETRY, Accepted, ConnectRate, TcpPort};
use crate::udp::UdpPort;
use broker_core::{Broker, Instant, Now};
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tracing::{debug, error, info, warn};

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;
/// Connections accepted from one listener in a round.
const ACCEPTS_PER_ROUND: usize = 64;
/// Streams read in a round.
const READS_PER_ROUND: usize = 64;
/// Input handled between two flushes: answers do not wait for the whole round.
const FLUSH_AFTER_BYTES: usize = 64 << 10;
/// Turns of flush, credit and delivery that end a round.
const FLUSHES_MAX: usize = 8;
/// Rounds without a look at signals while there is work.
const ROUNDS_UNTIL_YIELD: u32 = 16;
/// How long a stopping gateway writes out what it holds.
const DRAIN_MAX: Duration = Duration::from_secs(4);
/// The first `$SYS` after the start.
const SYS_FIRST: Duration = Duration::from_millis(100);

const LISTENERS: usize = 1 << 60;
const PORTS: usize = 1 << 61;

/// One worker. The only one there is owns the broker.
#[derive(Debug)]
pub(crate) struct Worker {
    clock: Clock,
    settings: Settings,
    hub: Hub,
    streams: Streams,
    shared: Rc<broker_core::mqtt::Shared>,
    listeners: Vec<TcpPort>,
    accept_again: Option<Instant>,
    rate: ConnectRate,
    stats: Stats,
    limiter: Limiter,
    next_sys: Option<Instant>,
    sys: SysTopics,
    started: Now,
}

impl Worker {
    /// A worker with its sockets, and the poll that watches them.
    ///
    /// # Errors
    /// When the system refuses to watch a socket.
    pub(crate) fn new(
        clock: Clock,
        settings: Settings,
        seed: u64,
        listeners: Vec<TcpPort>,
        ports: Vec<UdpPort>,
    ) -> io::Result<(Self, Poll)> {
        let poll = Poll::new()?;
        let now = clock.now();
        let shared = broker_core::mqtt::Shared::new(
            settings.limits.clone(),
            settings.idle_timeout,
            seed.rotate_left(17),
        );
        let credit = settings.limits.stream_credit_bytes;
        let streams = Streams::new(now, 0, poll.registry().try_clone()?, Rc::clone(&shared), credit);
        let mut hub = Hub::new(Broker::new(settings.limits.clone(), seed));
        hub.ports = ports;
        for front in settings.fronts.fronts(0, seed.rotate_left(31)) {
            hub.set_front(front);
        }
        let mut worker = Worker {
            clock,
            rate: ConnectRate::new(now.instant, settings.connects_per_second),
            next_sys: settings.sys_interval.map(|_| now.instant + SYS_FIRST),
            sys: SysTopics::default(),
            settings,
            hub,
            streams,
            shared,
            listeners,
            accept_again: None,
            stats: Stats::default(),
            limiter: Limiter::default(),
            started: now,
        };
        for (index, port) in worker.listeners.iter_mut().enumerate() {
            poll.registry().register(&mut port.listener, Token(LISTENERS + index), Interest::READABLE)?;
        }
        for (index, port) in worker.hub.ports.iter_mut().enumerate() {
            poll.registry().register(&mut port.socket, Token(PORTS + index), Interest::READABLE)?;
        }
        Ok((worker, poll))
    }

    /// Serves until a signal ends it.
    ///
    /// # Errors
    /// When polling itself fails, which leaves nothing to serve with.
    pub(crate) async fn run(
        mut self,
        poll: Poll,
        signals: &mut Signals,
        control: &mut Control,
    ) -> io::Result<()> {
        let mut poll = sys::watch(poll)?;
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut sleep = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let mut sleeps_until = None;
        let mut busy_rounds = 0u32;
        let mut stopping: Option<Instant> = None;
        loop {
            let mut wish = None;
            if self.has_work() {
                busy_rounds += 1;
                if busy_rounds >= ROUNDS_UNTIL_YIELD {
                    busy_rounds = 0;
                    tokio::select! {
                        biased;
                        next = signals.next() => wish = Some(next),
                        () = tokio::task::yield_now() => {}
                    }
                }
                poll.get_mut().poll(&mut events, Some(Duration::ZERO)).or_else(interrupted)?;
            } else {
                busy_rounds = 0;
                let deadline = self.next_timeout().into_iter().chain(stopping).min();
                self.arm(sleep.as_mut(), &mut sleeps_until, deadline);
                tokio::select! {
                    biased;
                    next = signals.next() => wish = Some(next),
                    guard = poll.readable_mut() => {
                        let mut guard = guard?;
                        guard.get_inner_mut().poll(&mut events, Some(Duration::ZERO)).or_else(interrupted)?;
                        // Fewer than asked for: the inner poll is empty, and what comes from now on wakes the outer.
                        if events.iter().count() < EVENTS_MAX {
                            guard.clear_ready();
                        }
                    }
                    () = sleep.as_mut(), if sleeps_until.is_some() => sleeps_until = None,
                }
            }
            for event in &events {
                self.on_event(event);
            }
            events.clear();
            let now = self.clock.now();
            match wish {
                Some(Wish::Stop) if stopping.is_some() => {
                    info!("second signal: stopping now");
                    return Ok(());
                }
                Some(Wish::Stop) => {
                    info!(connections = self.streams.len(), "stopping");
                    stopping = Some(now.instant + DRAIN_MAX);
                    self.listeners.clear();
                    self.hub.ports.iter_mut().for_each(|port| port.readable = false);
                    // Every link hears Closed, and every connection ends behind what is written to it.
                    self.hub.with_broker(now, &mut self.streams, &mut self.stats, |broker, out| {
                        broker.shutdown(now, out);
                    });
                }
                Some(Wish::Reload) => self.reload(now, control),
                Some(Wish::Store) => info!("SIGUSR1: there is no store yet, nothing to write"),
                Some(Wish::Dump) => self.dump(),
                None => {}
            }
            if let Some(until) = stopping {
                if self.drained(now) || now.instant >= until {
                    info!("stopped");
                    return Ok(());
                }
            } else {
                self.guarded_round(now);
            }
        }
    }

    /// Sets the one timer of the loop, if it is not set early enough. A timer that is early costs one empty round.
    fn arm(
        &self,
        sleep: Pin<&mut tokio::time::Sleep>,
        sleeps_until: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        let Some(deadline) = deadline else { return };
        if sleeps_until.is_some_and(|set| set <= deadline) {
            return;
        }
        // A millisecond later than the millisecond begins: our clock cuts off, and a round too early is a round lost.
        if let Some(system) = self.clock.to_system(deadline + Duration::from_millis(1)) {
            sleep.reset(system.into());
            *sleeps_until = Some(deadline);
        }
    }

    fn has_work(&self) -> bool {
        self.hub.has_work()
            || self.streams.has_ready()
            || self.streams.has_dirty()
            || self.hub.has_datagrams()
            || (self.accept_again.is_none() && self.listeners.iter().any(|port| port.readable))
    }

    fn next_timeout(&self) -> Option<Instant> {
        let own = [self.streams.next_timeout(), self.hub.next_timeout(), self.next_sys];
        own.into_iter().flatten().chain(self.accept_again).chain(self.limiter.next()).min()
    }

    fn on_event(&mut self, event: &mio::event::Event) {
        let Token(token) = event.token();
        if let Some(index) = token.checked_sub(PORTS) {
            if let Some(port) = self.hub.ports.get_mut(index) {
                port.readable = true;
            }
        } else if let Some(index) = token.checked_sub(LISTENERS) {
            if let Some(port) = self.listeners.get_mut(index) {
                port.readable = true;
            }
        } else {
            self.streams.on_event(event);
        }
    }

    /// One round, in which a panic costs what it touched and not the process.
    fn guarded_round(&mut self, now: Now) {
        if catch_unwind(AssertUnwindSafe(|| self.round(now))).is_err() {
            self.panicked(now, "a round");
        }
        for notice in self.hub.notices.drain(..).chain(self.streams.notices.drain(..)) {
            self.limiter.notice(now.instant, &notice);
        }
    }

    fn panicked(&mut self, now: Now, place: &str) {
        self.stats.panics += 1;
        self.hub.after_panic();
        if self.limiter.allows(Topic::Panics, now.instant) {
            error!(
                panics_total = self.stats.panics,
                "panic in {place}: a fault of this program, please report it"
            );
        }
    }

    fn round(&mut self, now: Now) {
        self.accept(now);
        if self.hub.broker.has_work() {
            // A large delivery is under way: no new input before it is done, so that its messages stay in bounds.
            let slice = self.settings.limits.slice_deliveries;
            self.hub.deliver(now, slice, &mut self.streams, &mut self.stats);
        } else {
            self.hub.receive(now, &mut self.streams, &mut self.stats);
            self.read_streams(now);
        }
        self.flush(now);
        self.on_deadlines(now);
        self.flush(now);
    }

    fn read_streams(&mut self, now: Now) {
        let mut bytes = 0;
        // Streams that have more come to the end of the list: each has one turn in a round.
        for _ in 0..self.streams.ready_len().min(READS_PER_ROUND) {
            let Some(key) = self.streams.next_ready() else { break };
            let read = catch_unwind(AssertUnwindSafe(|| {
                let read = self.streams.read(now, key, &mut self.hub.requests, &mut self.stats);
                self.hub.settle(now, &mut self.streams, &mut self.stats);
                read
            }));
            match read {
                Ok(read) => bytes += read,
                Err(_) => {
                    self.panicked(now, "handling a connection, which is closed");
                    self.streams.abandon(now, key, &mut self.hub.requests);
                }
            }
            if bytes >= FLUSH_AFTER_BYTES {
                bytes = 0;
                self.flush(now);
            }
            if self.hub.broker.has_work() {
                break;
            }
        }
    }

    /// Writes what is written; the credit that this frees brings the next deliveries.
    fn flush(&mut self, now: Now) {
        for _ in 0..FLUSHES_MAX {
            self.streams.flush_dirty(now, &mut self.hub.requests, &mut self.stats);
            if self.hub.requests.is_empty() {
                break;
            }
            self.hub.settle(now, &mut self.streams, &mut self.stats);
        }
        self.hub.flush_datagrams(&mut self.stats);
    }

    fn on_deadlines(&mut self, now: Now) {
        if self.streams.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.streams.handle_timeout(now, &mut self.hub.requests);
            self.hub.settle(now, &mut self.streams, &mut self.stats);
        }
        if self.hub.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.hub.handle_timeout(now, &mut self.streams, &mut self.stats);
        }
        if self.next_sys.is_some_and(|deadline| deadline <= now.instant) {
            self.publish_sys(now);
        }
        if self.limiter.next().is_some_and(|deadline| deadline <= now.instant) {
            self.limiter.flush(now.instant);
        }
    }

    fn accept(&mut self, now: Now) {
        if let Some(again) = self.accept_again {
            if now.instant < again {
                return;
            }
            self.accept_again = None;
        }
        for index in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_PER_ROUND {
                let Some(port) = self.listeners.get_mut(index).filter(|port| port.readable) else { break };
                match tcp::accept(port) {
                    Accepted::Stream(stream, remote) => self.admit(now, stream, remote),
                    Accepted::Empty => break,
                    Accepted::Lost => {}
                    Accepted::Exhausted(error) => {
                        // Accepting fails until something is closed; trying again at once would spin.
                        self.stats.accept_pauses += 1;
                        self.accept_again = Some(now.instant + ACCEPT_RETRY);
                        if self.limiter.allows(Topic::Connections, now.instant) {
                            warn!(%error, connections = self.streams.len(), "cannot accept connections, trying again");
                        }
                    }
                }
                if self.accept_again.is_some() {
                    return;
                }
            }
        }
    }

    fn admit(&mut self, now: Now, stream: mio::net::TcpStream, remote: std::net::SocketAddr) {
        let exempt = self.settings.is_exempt(remote.ip());
        if !exempt && let Some(pause) = self.rate.take(now.instant, self.settings.connects_per_second) {
            self.stats.accept_rate_pauses += 1;
            self.accept_again = Some(now.instant + pause);
        }
        if self.streams.len() >= self.settings.connections_max {
            self.stats.refused_total += 1;
            if self.limiter.allows(Topic::Connections, now.instant) {
                warn!(%remote, limit = self.settings.connections_max, "too many connections: limits.connections");
            }
            return;
        }
        let max = (!exempt).then_some(self.settings.connections_per_ip_max);
        let Some(peer) = self.streams.admit(remote, max) else {
            self.stats.refused_per_ip += 1;
            if self.limiter.allows(Topic::Connections, now.instant) {
                warn!(
                    %remote,
                    limit = self.settings.connections_per_ip_max,
                    "too many connections of one address: limits.connections_per_ip, limits.exempt"
                );
            }
            return;
        };
        // Without it small answers wait for the client's delayed ACK: 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, %remote, "TCP_NODELAY");
        }
        match self.streams.insert(now, stream, remote, peer) {
            Ok(()) => self.stats.accepted += 1,
            Err(error) => {
                if self.limiter.allows(Topic::Connections, now.instant) {
                    warn!(%error, %remote, "cannot watch a connection");
                }
            }
        }
    }

    /// What is held is written out and the streams are closed; true when none is left.
    fn drained(&mut self, now: Now) -> bool {
        self.hub.settle(now, &mut self.streams, &mut self.stats);
        if self.hub.has_work() {
            let slice = self.settings.limits.slice_deliveries;
            self.hub.deliver(now, slice, &mut self.streams, &mut self.stats);
        } else {
            // Those that the broker has not closed: no CONNECT yet.
            self.streams.drain();
        }
        self.flush(now);
        self.streams.handle_timeout(now, &mut self.hub.requests);
        self.streams.len() == 0
    }

    fn publish_sys(&mut self, now: Now) {
        self.next_sys = self.settings.sys_interval.map(|interval| now.instant + interval);
        let uptime = now.instant.saturating_since(self.started.instant);
        let counters = self.shared.counters();
        let io = sys_topics::io_counters(&counters, &self.stats);
        let (open, blocked) = (self.streams.len(), self.streams.blocked());
        let changed = self.sys.changed(&counters, &self.stats, open, blocked, self.hub.fronts());
        self.hub.with_broker(now, &mut self.streams, &mut self.stats, |broker, out| {
            broker.publish_sys(now, sys_topics::VERSION, uptime, &io, out);
            for message in changed {
                broker.publish(now, message, out);
            }
        });
    }

    fn reload(&mut self, now: Now, control: &mut Control) {
        let Some(settings) = control.reload() else { return };
        self.shared.set_limits(settings.limits.clone(), settings.idle_timeout);
        self.streams.set_credit(settings.limits.stream_credit_bytes);
        self.hub.handle_config(now, &settings.fronts);
        let limits = settings.limits.clone();
        self.hub.with_broker(now, &mut self.streams, &mut self.stats, |broker, out| {
            broker.set_limits(now, limits, out);
        });
        self.next_sys = settings.sys_interval.map(|interval| now.instant + interval);
        self.settings = settings;
    }

    fn dump(&self) {
        let status = self.hub.broker.status();
        info!(connections = self.streams.len(), "SIGUSR2: {status:?}");
        dump::subscriptions(&self.hub.broker);
        dump::retained(&self.hub.broker);
    }
}

fn interrupted(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}
