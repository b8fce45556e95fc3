//! [`Colleague`]: a worker that serves streams and has the broker on another thread.
use super::looper::Looper;
use super::mail::{BATCH_REQUESTS, Report, ToColleague, ToOwner, Uplink};
use super::{BELL, DRAIN_MAX, FLUSH_AFTER_BYTES, FLUSHES_MAX, READS_PER_ROUND};
use crate::clock::Clock;
use crate::log::{Limiter, Topic};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::streams::{Requests, Streams};
use broker_core::link::Envelope;
use broker_core::mqtt::Shared;
use broker_core::{Instant, Now};
use mio::Poll;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use tracing::error;

/// A worker without a broker of its own.
#[derive(Debug)]
pub(super) struct Colleague {
    clock: Clock,
    settings: Settings,
    streams: Streams,
    shared: Rc<Shared>,
    requests: Requests,
    /// What the owner had no room for; while it is there, no stream is read.
    kept: Option<ToOwner>,
    uplink: Uplink,
    has_mail: bool,
    stats: Stats,
    limiter: Limiter,
    next_report: Option<Instant>,
    stopping: Option<Instant>,
}

impl Colleague {
    /// The whole life of the thread.
    ///
    /// # Errors
    /// When it cannot begin, or polling fails.
    pub(super) fn serve(
        clock: Clock,
        settings: Settings,
        seed: u64,
        poll: Poll,
        uplink: Uplink,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let now = clock.now();
        let shared = Shared::new(settings.limits.clone(), settings.idle_timeout, seed);
        let credit = settings.limits.stream_credit_bytes;
        let registry = poll.registry().try_clone()?;
        let colleague = Colleague {
            clock,
            streams: Streams::new(now, uplink.number, registry, Rc::clone(&shared), credit),
            next_report: settings.sys_interval.map(|interval| now.instant + interval / 2),
            settings,
            shared,
            requests: Requests::new(),
            kept: None,
            uplink,
            has_mail: true,
            stats: Stats::default(),
            limiter: Limiter::default(),
            stopping: None,
        };
        runtime.block_on(async { colleague.run(Looper::new(poll, clock)?).await })
    }

    async fn run(mut self, mut looper: Looper) -> io::Result<()> {
        loop {
            looper.wait(self.has_work(), self.next_timeout(), None).await?;
            for event in looper.events() {
                if event.token() == BELL {
                    self.has_mail = true;
                } else {
                    self.streams.on_event(event);
                }
            }
            let now = self.clock.now();
            if catch_unwind(AssertUnwindSafe(|| self.round(now))).is_err() {
                self.panicked(now, "a round");
            }
            for notice in self.streams.notices.drain(..) {
                self.limiter.notice(now.instant, &notice, |_| None); // it has no UDP listeners
            }
            if let Some(until) = self.stopping
                && (now.instant >= until || self.is_drained())
            {
                // Nobody waits for it longer than for the drain.
                let _ = self.uplink.offer(ToOwner::Stopped(self.uplink.number));
                return Ok(());
            }
        }
    }

    fn panicked(&mut self, now: Now, place: &str) {
        self.stats.panics += 1;
        if self.limiter.allows(Topic::Panics, now.instant) {
            error!(panics = self.stats.panics, "panic in {place}: a fault of this program, please report it");
        }
    }

    fn has_work(&self) -> bool {
        self.has_mail
            || self.streams.has_dirty()
            || (self.kept.is_none() && (self.streams.has_ready() || !self.requests.is_empty()))
    }

    fn next_timeout(&self) -> Option<Instant> {
        let own = [self.streams.next_timeout(), self.limiter.next(), self.next_report, self.stopping];
        own.into_iter().flatten().min()
    }

    fn round(&mut self, now: Now) {
        self.read_mail(now);
        if self.post(now) {
            self.read_streams(now);
        }
        self.flush(now);
        if self.streams.next_timeout().is_some_and(|deadline| deadline <= now.instant) {
            self.streams.handle_timeout(now, &mut self.requests);
            self.flush(now);
        }
        if self.next_report.is_some_and(|deadline| deadline <= now.instant) {
            self.report(now);
        }
        if self.limiter.next().is_some_and(|deadline| deadline <= now.instant) {
            self.limiter.flush(now.instant);
        }
        self.post(now);
    }

    fn read_mail(&mut self, now: Now) {
        if !self.has_mail {
            return;
        }
        self.uplink.own_bell.answer();
        self.has_mail = false;
        // What is there ends: the owner waits for credit that only comes after this.
        while let Some(message) = self.uplink.next() {
            match message {
                ToColleague::Stream(stream, remote) => {
                    let stream = mio::net::TcpStream::from_std(stream);
                    self.streams.insert(now, stream, remote, &mut self.stats);
                }
                ToColleague::Events(mut events) => {
                    for (link, event) in &mut events {
                        self.streams.handle_event(now, *link, event, &mut self.requests, &mut self.stats);
                    }
                }
                ToColleague::Settings(settings) => {
                    self.shared.set_limits(settings.limits.clone(), settings.idle_timeout);
                    self.streams.set_credit(settings.limits.stream_credit_bytes);
                    self.next_report = settings.sys_interval.map(|interval| now.instant + interval / 2);
                    self.settings = *settings;
                }
                ToColleague::Stop => {
                    if self.stopping.is_none() {
                        // The events before have closed every stream that the broker knows.
                        self.stopping = Some(now.instant + DRAIN_MAX);
                        self.streams.drain();
                    }
                    break;
                }
            }
        }
    }

    fn read_streams(&mut self, now: Now) {
        let mut bytes = 0;
        for _ in 0..self.streams.ready_len().min(READS_PER_ROUND) {
            let Some(key) = self.streams.next_ready() else { break };
            let read = catch_unwind(AssertUnwindSafe(|| {
                self.streams.read(now, key, &mut self.requests, &mut self.stats)
            }));
            match read {
                Ok(read) => bytes += read,
                Err(_) => {
                    self.panicked(now, "handling a connection, which is closed");
                    self.streams.abandon(now, key, &mut self.requests);
                }
            }
            if self.requests.len() >= BATCH_REQUESTS && !self.post(now) {
                break;
            }
            if bytes >= FLUSH_AFTER_BYTES {
                bytes = 0;
                self.flush(now);
            }
        }
    }

    fn flush(&mut self, now: Now) {
        for _ in 0..FLUSHES_MAX {
            if !self.streams.has_dirty() {
                break;
            }
            self.streams.flush_dirty(now, &mut self.requests, &mut self.stats);
        }
    }

    /// Hands the owner what is there for it. False: it has no room.
    fn post(&mut self, now: Now) -> bool {
        if let Some(kept) = self.kept.take()
            && let Err(kept) = self.uplink.offer(kept)
        {
            self.kept = Some(kept);
            return false;
        }
        if !self.requests.is_empty() {
            let batch =
                self.requests.drain(..).map(|(link, request)| Envelope { now, link, request }).collect();
            if !self.offer(ToOwner::Requests(batch)) {
                return false;
            }
        }
        if !self.streams.ended.is_empty() {
            let ended = std::mem::take(&mut self.streams.ended);
            return self.offer(ToOwner::Ended(self.uplink.number, ended));
        }
        true
    }

    fn offer(&mut self, message: ToOwner) -> bool {
        match self.uplink.offer(message) {
            Ok(()) => true,
            Err(message) => {
                self.kept = Some(message);
                false
            }
        }
    }

    fn report(&mut self, now: Now) {
        self.next_report = self.settings.sys_interval.map(|interval| now.instant + interval);
        if self.kept.is_none() {
            let report = Report {
                counters: self.shared.counters(),
                stats: self.stats.clone(),
                open: self.streams.len(),
                blocked: self.streams.blocked(),
            };
            self.offer(ToOwner::Report(self.uplink.number, Box::new(report)));
        }
    }

    fn is_drained(&self) -> bool {
        self.streams.len() == 0 && self.kept.is_none() && self.requests.is_empty()
    }
}
