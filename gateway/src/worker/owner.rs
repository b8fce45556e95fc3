//! [`Owner`]: the worker that owns the broker, the UDP ports and the listeners; alone, or with colleagues that serve
//! the streams.
use super::accept::Acceptor;
use super::colleague::Colleague;
use super::looper::Looper;
use super::mail::{BATCHES_MAX, Bell, Line, Report, ToColleague, ToOwner, Uplink};
use super::{BELL, DRAIN_MAX, FLUSH_AFTER_BYTES, FLUSHES_MAX, GROUPS, LISTENERS, PORTS, READS_PER_ROUND};
use crate::clock::Clock;
use crate::dump;
use crate::hub::Hub;
use crate::log::{Limiter, Topic};
use crate::reload::Control;
use crate::settings::Settings;
use crate::signals::{Signals, Wish};
use crate::stats::Stats;
use crate::streams::Streams;
use crate::sys_topics::{self, SysTopics};
use crate::tcp::TcpPort;
use crate::trace;
use crate::udp::{Groups, UdpPort};
use broker_core::acl::Acl;
use broker_core::link::FrontendId;
use broker_core::mqtt::Shared;
use broker_core::{Broker, Instant, Now};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token, Waker};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::Duration;
use tracing::{error, info};

/// The first `$SYS` after the start.
const SYS_FIRST: Duration = Duration::from_millis(100);
/// Batches of colleagues taken in a round.
const MAIL_PER_ROUND: usize = BATCHES_MAX;

/// The worker that owns the broker.
#[derive(Debug)]
pub(crate) struct Owner {
    clock: Clock,
    settings: Settings,
    hub: Hub,
    streams: Streams,
    shared: Rc<Shared>,
    acceptor: Acceptor,
    lines: Vec<Line>,
    mail: Receiver<ToOwner>,
    bell: Bell,
    /// Mail may wait.
    has_mail: bool,
    /// The last word of each colleague.
    reports: Vec<Report>,
    stats: Stats,
    limiter: Limiter,
    next_sys: Option<Instant>,
    sys: SysTopics,
    started: Now,
}

impl Owner {
    /// The owner with its sockets, the poll that watches them, and its colleagues at work.
    ///
    /// # Errors
    /// When the system refuses to watch a socket or to start a thread.
    pub(crate) fn new(
        clock: Clock,
        settings: Settings,
        seed: u64,
        listeners: Vec<TcpPort>,
        ports: Vec<UdpPort>,
    ) -> io::Result<(Self, Poll)> {
        let poll = Poll::new()?;
        let now = clock.now();
        let shared =
            Shared::new(settings.limits.clone(), settings.idle_timeout, worker_seed(seed, settings.workers));
        let credit = settings.limits.stream_credit_bytes;
        let streams = Streams::new(now, 0, poll.registry().try_clone()?, Rc::clone(&shared), credit);
        let groups = Groups::new(poll.registry().try_clone()?, GROUPS, settings.groups.clone());
        let broker = Broker::new(settings.limits.clone(), seed);
        let mut hub = Hub::new(broker, usize::from(settings.workers), groups);
        for port in ports {
            // A protocol without a port has no front-end, and no session of its own at the broker.
            if !hub.has_front(port.frontend)
                && let Some(front) = settings.fronts.front(port.frontend, 0, seed.rotate_left(31))
            {
                hub.set_front(front);
            }
            hub.ports.push(port);
        }
        close_topics(&mut hub, &settings);
        let bell = Bell::new(Waker::new(poll.registry(), BELL)?);
        let (sender, mail) = sync_channel(BATCHES_MAX);
        let mut lines = Vec::new();
        for number in 1..settings.workers {
            let starved = Arc::new(AtomicBool::new(false));
            let (line_sender, line_mail) = channel();
            let poll = Poll::new()?;
            let line_bell = Bell::new(Waker::new(poll.registry(), BELL)?);
            let uplink = Uplink {
                number,
                sender: sender.clone(),
                bell: bell.clone(),
                starved: Arc::clone(&starved),
                mail: line_mail,
                own_bell: line_bell.clone(),
            };
            let (settings, seed) = (settings.clone(), worker_seed(seed, number));
            std::thread::Builder::new().name(format!("worker {number}")).spawn(move || {
                if let Err(error) = Colleague::serve(clock, settings, seed, poll, uplink) {
                    error!(%error, "worker {number} has ended; its connections are lost");
                }
            })?;
            lines.push(Line { number, sender: line_sender, bell: line_bell, starved, connections: 0 });
        }
        let mut owner = Owner {
            clock,
            acceptor: Acceptor::new(now, &settings, listeners),
            next_sys: settings.sys_interval.map(|_| now.instant + SYS_FIRST),
            sys: SysTopics::default(),
            reports: lines.iter().map(|_| Report::default()).collect(),
            settings,
            hub,
            streams,
            shared,
            lines,
            mail,
            bell,
            has_mail: false,
            stats: Stats::default(),
            limiter: Limiter::default(),
            started: now,
        };
        for (index, port) in owner.acceptor.listeners.iter_mut().enumerate() {
            poll.registry().register(&mut port.listener, Token(LISTENERS + index), Interest::READABLE)?;
        }
        for (index, port) in owner.hub.ports.iter_mut().enumerate() {
            poll.registry().register(&mut port.socket, Token(PORTS + index), Interest::READABLE)?;
        }
        Ok((owner, poll))
    }

    /// Serves until a signal ends it.
    ///
    /// # Errors
    /// When polling itself fails, which leaves nothing to serve with.
    pub(crate) async fn run(
        mut self,
        poll: Poll,
        signals: &mut Signals,
        mut control: Control,
    ) -> io::Result<()> {
        let bell = self.bell.clone();
        control.on_done(move || bell.ring());
        let mut looper = Looper::new(poll, self.clock)?;
        let mut stopping: Option<Instant> = None;
        // The front-ends' own sessions, before any datagram is read: the first device is not turned away.
        self.on_deadlines(self.clock.now());
        control.read_objects();
        loop {
            let deadline = self.next_timeout().into_iter().chain(stopping).min();
            let wish = looper.wait(self.has_work(), deadline, Some(signals)).await?;
            for event in looper.events() {
                self.on_event(event);
            }
            let now = self.clock.now();
            match wish {
                Some(Wish::Stop) if stopping.is_some() => {
                    info!("second signal: stopping now");
                    return Ok(());
                }
                Some(Wish::Stop) => {
                    stopping = Some(now.instant + DRAIN_MAX);
                    self.begin_stop(now);
                }
                Some(Wish::Reload) => control.begin(),
                Some(Wish::Store) => info!("SIGUSR1: there is no store yet, nothing to write"),
                Some(Wish::Dump) => self.dump(),
                None => {}
            }
            if self.has_mail
                && let Some(reload) = control.result()
            {
                if reload.is_of_the_start() {
                    self.settings.fronts = reload.settings.fronts.clone();
                    self.hub.handle_config(now, &self.settings.fronts);
                } else {
                    self.apply(now, reload.settings.clone());
                }
                control.applied(*reload);
            }
            match stopping {
                Some(until) if self.drained(now) || now.instant >= until => {
                    info!("stopped");
                    return Ok(());
                }
                Some(_) => {}
                None => self.guarded_round(now),
            }
        }
    }

    fn has_work(&self) -> bool {
        self.hub.has_work()
            || self.has_mail
            || self.streams.has_ready()
            || self.streams.has_dirty()
            || self.hub.has_datagrams()
            || self.acceptor.has_work()
    }

    fn next_timeout(&self) -> Option<Instant> {
        let own = [
            self.streams.next_timeout(),
            self.hub.next_timeout(),
            self.hub.groups.next_timeout(),
            self.next_sys,
            self.acceptor.next_timeout(),
            self.limiter.next(),
        ];
        own.into_iter().flatten().min()
    }

    fn on_event(&mut self, event: &mio::event::Event) {
        let token = event.token();
        if token == BELL {
            self.has_mail = true;
        } else if token.0 >= GROUPS {
            self.hub.groups.on_event(token.0);
        } else if let Some(index) = token.0.checked_sub(PORTS) {
            if let Some(port) = self.hub.ports.get_mut(index) {
                port.readable = true;
            }
        } else if let Some(index) = token.0.checked_sub(LISTENERS) {
            if let Some(port) = self.acceptor.listeners.get_mut(index) {
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
        let ports = &self.hub.ports;
        let bound = |listener| {
            let port = ports.iter().find(|port| port.listener == listener)?;
            port.socket.local_addr().ok()
        };
        for notice in self.hub.notices.drain(..).chain(self.streams.notices.drain(..)) {
            self.limiter.notice(now.instant, &notice, bound);
        }
    }

    fn panicked(&mut self, now: Now, place: &str) {
        self.stats.panics += 1;
        self.hub.after_panic();
        if self.limiter.allows(Topic::Panics, now.instant) {
            error!(panics = self.stats.panics, "panic in {place}: a fault of this program, please report it");
        }
    }

    fn round(&mut self, now: Now) {
        self.accept(now);
        if self.hub.has_work() {
            // A large delivery is under way, or more was asked than a round answers: no new input before that is done,
            // so that what waits stays in bounds.
            let slice = self.settings.limits.slice_deliveries;
            self.hub.deliver(now, slice, &mut self.streams, &mut self.stats);
        } else {
            self.read_mail(now);
            self.hub.receive(now, &mut self.streams, &mut self.stats);
            self.read_streams(now);
        }
        self.flush(now);
        self.on_deadlines(now);
        self.flush(now);
    }

    fn accept(&mut self, now: Now) {
        let Owner { acceptor, streams, lines, settings, stats, limiter, .. } = self;
        acceptor.accept(now, settings, stats, limiter, |stream, remote, stats| {
            give(now, streams, lines, stream, remote, stats);
        });
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
            if self.hub.has_work() {
                break;
            }
        }
    }

    /// Takes up what colleagues have sent.
    fn read_mail(&mut self, now: Now) {
        if !self.has_mail {
            return;
        }
        self.bell.answer();
        self.has_mail = false;
        for turn in 0..=MAIL_PER_ROUND {
            if turn == MAIL_PER_ROUND {
                self.has_mail = true; // There may be more.
                break;
            }
            let Ok(message) = self.mail.try_recv() else { break };
            match message {
                ToOwner::Requests(batch) => {
                    for envelope in batch {
                        self.hub.requests.push_back((envelope.link, envelope.request));
                    }
                    self.hub.settle(now, &mut self.streams, &mut self.stats);
                    if self.hub.has_work() {
                        self.has_mail = true;
                        break;
                    }
                }
                ToOwner::Ended(number, addresses) => {
                    if let Some(line) = self.lines.iter_mut().find(|line| line.number == number) {
                        line.connections = line.connections.saturating_sub(addresses.len());
                    }
                    addresses.into_iter().for_each(|ip| self.acceptor.release(ip));
                }
                ToOwner::Report(number, report) => {
                    if let Some(place) = self.reports.get_mut(usize::from(number).wrapping_sub(1)) {
                        *place = *report;
                    }
                }
                ToOwner::Stopped(number) => self.lines.retain(|line| line.number != number),
            }
        }
        // There is room again.
        for line in &self.lines {
            if line.starved.swap(false, Ordering::SeqCst) {
                line.bell.ring();
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
        for line in &self.lines {
            if let Some(events) = self.hub.take_abroad(line.number) {
                line.tell(ToColleague::Events(events));
            }
        }
        for ip in self.streams.ended.drain(..) {
            self.acceptor.release(ip);
        }
    }

    fn on_deadlines(&mut self, now: Now) {
        if self.streams.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.streams.handle_timeout(now, &mut self.hub.requests);
            self.hub.settle(now, &mut self.streams, &mut self.stats);
        }
        if self.hub.groups.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.hub.refresh_groups(now);
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

    fn begin_stop(&mut self, now: Now) {
        info!("stopping");
        self.acceptor.listeners.clear();
        // Every link hears Closed, and every connection ends behind what is written to it.
        self.hub
            .with_broker(now, &mut self.streams, &mut self.stats, |broker, out| broker.shutdown(now, out));
        self.flush(now);
        // The front-ends' farewell is sent.
        self.hub.ports.clear();
        self.hub.groups.close();
        self.lines.iter().for_each(|line| line.tell(ToColleague::Stop));
    }

    /// What is held is written out and the streams are closed, here and at the colleagues; true when none is left.
    fn drained(&mut self, now: Now) -> bool {
        self.read_mail(now);
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
        self.streams.len() == 0 && self.lines.is_empty()
    }

    fn publish_sys(&mut self, now: Now) {
        self.next_sys = self.settings.sys_interval.map(|interval| now.instant + interval);
        self.hub.count_drops(&mut self.stats);
        let uptime = now.instant.saturating_since(self.started.instant);
        let mut sum = Report {
            counters: self.shared.counters(),
            stats: self.stats.clone(),
            open: self.streams.len(),
            blocked: self.streams.blocked(),
        };
        self.reports.iter().for_each(|report| sum.add(report));
        let io = sys_topics::io_counters(&sum.counters, &sum.stats);
        let changed = self.sys.changed(&sum.counters, &sum.stats, sum.open, sum.blocked, self.hub.fronts());
        self.hub.with_broker(now, &mut self.streams, &mut self.stats, |broker, out| {
            broker.publish_sys(now, sys_topics::VERSION, uptime, &io, out);
            for message in changed {
                broker.publish(now, message, out);
            }
        });
    }

    /// New settings, after a reload.
    fn apply(&mut self, now: Now, settings: Settings) {
        self.shared.set_limits(settings.limits.clone(), settings.idle_timeout);
        self.streams.set_credit(settings.limits.stream_credit_bytes);
        self.hub.handle_config(now, &settings.fronts);
        self.hub.groups.set_settings(now.instant, settings.groups.clone());
        close_topics(&mut self.hub, &settings);
        let limits = settings.limits.clone();
        self.hub.with_broker(now, &mut self.streams, &mut self.stats, |broker, out| {
            broker.set_limits(now, limits, out);
        });
        for line in &self.lines {
            line.tell(ToColleague::Settings(Box::new(settings.clone())));
        }
        self.next_sys = settings.sys_interval.map(|interval| now.instant + interval);
        self.settings = settings;
    }

    fn dump(&self) {
        info!("SIGUSR2: {:?}", self.hub.broker.status());
        dump::subscriptions(&self.hub.broker);
        dump::retained(&self.hub.broker);
    }
}

/// Gives a connection to the colleague with the fewest, or keeps it where there is none.
fn give(
    now: Now,
    streams: &mut Streams,
    lines: &mut [Line],
    stream: TcpStream,
    remote: SocketAddr,
    stats: &mut Stats,
) {
    match lines.iter_mut().min_by_key(|line| line.connections) {
        Some(line) => {
            line.connections += 1;
            line.tell(ToColleague::Stream(stream.into(), remote));
        }
        None => streams.insert(now, stream, remote, stats),
    }
}

/// A seed for each worker's generated client ids; the owner's is that of a number that no colleague has.
fn worker_seed(seed: u64, number: u8) -> u64 {
    seed ^ (u64::from(number) + 1).wrapping_mul(0xD1B5_4A32_D192_ED03)
}

/// While LwM2M is on, its answers, events and states come from the gateway alone: a forged one would be believed.
/// Traces are read on this machine alone: they show what others say.
fn close_topics(hub: &mut Hub, settings: &Settings) {
    let closed = if hub.has_front(FrontendId::Lwm2m) { settings.fronts.closed_topics() } else { Vec::new() };
    hub.broker.set_acl(trace::kept_local(Acl::new(closed, None)));
}
