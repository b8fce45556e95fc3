//! [`Streams`]: the TCP connections of a worker, from accept to close.
//!
//! ```text
//! readiness ─► ready list ─► read ─► Connection::handle_bytes ─► requests ─► hub ─► broker
//!                                                                                    │ events
//! one write a connection and round ◄─ dirty list ◄─ Connection::handle_event ◄───────┘
//! ```
//! An idle connection is one slab entry: it has no buffer, no task, and no timer entry of its own that moves.
//!
//! Sockets are edge-triggered: what is not read to its end stays on the ready list, what did not fit into the socket
//! waits for its writable event.
mod entry;
mod flow;
#[cfg(test)]
mod tests;

use crate::peers::Peers;
use crate::stats::Stats;
use crate::timers::{Key, Timers};
use broker_core::frontend::{StreamConnection, StreamOut};
use broker_core::link::{FrontendId, Notice};
use broker_core::mqtt::{Connection, Shared};
use broker_core::{FromBroker, Instant, LinkId, Now, ToBroker};
use entry::{Entry, Flags, Io};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slab::Slab;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

/// Requests on their way to the broker, in order.
pub(crate) type Requests = VecDeque<(LinkId, ToBroker)>;

/// Bytes taken from one stream at a time: many packets in one system call, few enough that the others' turn comes
/// soon.
const READ_BYTES: usize = 32 << 10;
/// Bytes taken at a time before CONNECT is through: what a stranger may make us hold.
const STRANGER_READ_BYTES: usize = 4 << 10;
/// The buffer that all streams read into; what is left of an incomplete packet goes in front when it fits.
const SCRATCH_BYTES: usize = 2 * READ_BYTES;
/// An out-buffer of this size is written at once and not at the end of the round.
const FLUSH_BYTES: usize = 64 << 10;
/// Beside what the broker may deliver into it (its byte credit), an out-buffer may hold answers of this size; then the
/// stream is not read until its client has read them.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a connection that we closed may take to read what is written.
const LINGER: Duration = Duration::from_secs(5);
/// Unread input keeps a keep-alive from lapsing: it is we who are late. Asked again after this.
const LATE_READ_GRACE: Duration = Duration::from_secs(1);
/// Buffers kept for reuse, and the largest that is.
const POOL_BUFFERS_MAX: usize = 256;
const POOL_BUFFER_BYTES_MAX: usize = 64 << 10;

/// The TCP connections of one worker.
#[derive(Debug)]
pub(crate) struct Streams {
    worker: u8,
    registry: Registry,
    entries: Slab<Entry>,
    generation: u16,
    shared: Rc<Shared>,
    peers: Peers,
    timers: Timers,
    ready: VecDeque<Key>,
    dirty: Vec<Key>,
    flushing: Vec<Key>,
    due: Vec<(Key, u64)>,
    /// Boxed, since they go in and out of entries, where they take eight bytes.
    #[expect(clippy::vec_box)]
    pool: Vec<Box<Io>>,
    scratch: Vec<u8>,
    out: StreamOut,
    /// Log lines, with the remote address filled in.
    pub(crate) notices: Vec<Notice>,
    /// Addresses of connections that have ended, for the bounds on accepting.
    pub(crate) ended: Vec<IpAddr>,
    /// Connections whose out-buffer the socket has not taken.
    blocked: usize,
    output_bytes_max: usize,
}

impl Streams {
    pub(crate) fn new(
        now: Now,
        worker: u8,
        registry: Registry,
        shared: Rc<Shared>,
        credit_bytes: u32,
    ) -> Self {
        Streams {
            worker,
            registry,
            entries: Slab::new(),
            generation: 0,
            shared,
            peers: Peers::default(),
            timers: Timers::new(now.instant),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            flushing: Vec::new(),
            due: Vec::new(),
            pool: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            out: StreamOut::default(),
            notices: Vec::new(),
            ended: Vec::new(),
            blocked: 0,
            output_bytes_max: credit_bytes as usize + ANSWER_BYTES_MAX,
        }
    }

    /// New bounds after a reload.
    pub(crate) fn set_credit(&mut self, credit_bytes: u32) {
        self.output_bytes_max = credit_bytes as usize + ANSWER_BYTES_MAX;
    }

    /// Connections there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether streams wait to be read.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether out-buffers wait to be written.
    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Connections whose client does not take what waits for it.
    pub(crate) fn blocked(&self) -> usize {
        self.blocked
    }

    /// Takes over an accepted connection. When the system refuses to watch it, it is closed.
    pub(crate) fn insert(&mut self, now: Now, stream: TcpStream, remote: SocketAddr, stats: &mut Stats) {
        let ip = remote.ip().to_canonical();
        if !self.try_insert(now, stream, remote) {
            stats.unwatched += 1;
            self.ended.push(ip);
        }
    }

    fn try_insert(&mut self, now: Now, mut stream: TcpStream, remote: SocketAddr) -> bool {
        let Some(peer) = self.peers.admit(remote.ip().to_canonical(), None) else { return false };
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let vacant = self.entries.vacant_entry();
        let slot = u32::try_from(vacant.key()).ok();
        let watched = slot.and_then(|slot| {
            let token = token_of((slot, generation));
            // Both interests from the start: edge-triggered, writability costs no wake-up until a write has failed.
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.registry.register(&mut stream, token, interest).ok().map(|()| slot)
        });
        let Some(slot) = watched else {
            self.peers.release(peer);
            return false;
        };
        let connection = Connection::new(now, Some(remote), None, Rc::clone(&self.shared));
        vacant.insert(Entry::new(stream, connection, peer, remote.port(), generation));
        self.arm((slot, generation));
        true
    }

    fn link(&self, (slot, generation): Key) -> LinkId {
        LinkId { slot, generation, frontend: FrontendId::Mqtt, worker: self.worker }
    }

    fn live(&mut self, (slot, generation): Key) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize).filter(|entry| entry.generation == generation)
    }

    /// The kernel says something about a stream.
    pub(crate) fn on_event(&mut self, event: &mio::event::Event) {
        let key = key_of(event.token());
        let Some(entry) = self.live(key) else { return };
        if event.is_read_closed() || event.is_error() {
            entry.flags.set(Flags::HUNG_UP);
        }
        let read = event.is_readable() || event.is_read_closed() || event.is_error();
        let write = event.is_writable() && entry.flags.has(Flags::BLOCKED);
        if read {
            entry.flags.set(Flags::READABLE);
            self.make_ready(key);
        }
        if write {
            self.unblock(key);
            self.make_dirty(key);
        }
    }

    fn unblock(&mut self, key: Key) {
        if let Some(entry) = self.live(key)
            && entry.flags.has(Flags::BLOCKED)
        {
            entry.flags.clear(Flags::BLOCKED);
            self.blocked -= 1;
        }
    }

    fn make_ready(&mut self, key: Key) {
        if let Some(entry) = self.live(key)
            && !entry.flags.has(Flags::IN_READY)
        {
            entry.flags.set(Flags::IN_READY);
            self.ready.push_back(key);
        }
    }

    fn make_dirty(&mut self, key: Key) {
        if let Some(entry) = self.live(key)
            && !entry.flags.has(Flags::DIRTY)
        {
            entry.flags.set(Flags::DIRTY);
            self.dirty.push(key);
        }
    }

    /// The broker says something about one of our links. `event` is left without its content.
    pub(crate) fn handle_event(
        &mut self,
        now: Now,
        link: LinkId,
        event: &mut FromBroker,
        requests: &mut Requests,
        stats: &mut Stats,
    ) {
        let key = (link.slot, link.generation);
        let Some(entry) = self.entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) else {
            stats.stale_events += 1;
            return;
        };
        let held = entry.connection.is_held();
        let pool = &mut self.pool;
        let io = entry.io.get_or_insert_with(|| pool.pop().unwrap_or_default());
        match event {
            // Nearly all events, and those of a fan-out one after the other: neither moved nor let go here.
            FromBroker::Publish(delivery) => {
                entry.connection.handle_delivery(delivery, &mut io.output, &mut self.out);
            }
            _ => {
                let event = std::mem::replace(event, FromBroker::Drained);
                entry.connection.handle_event(now, event, &mut io.output, &mut self.out);
            }
        }
        let waiting = io.output.len() - io.sent;
        let full = waiting >= FLUSH_BYTES && !entry.flags.has(Flags::BLOCKED);
        if waiting > 0 && !entry.flags.has(Flags::DIRTY) {
            entry.flags.set(Flags::DIRTY);
            self.dirty.push(key);
        }
        if held || !self.out.requests.is_empty() || self.out.close.is_some() || !self.out.notices.is_empty() {
            self.after(now, key, requests);
            if held {
                // What came behind the CONNECT can be handled now.
                self.make_ready(key);
            }
        }
        if full {
            self.flush(now, key, requests, stats);
        }
    }

    /// Takes up what a connection wants after a call: requests, log lines, its end, a nearer deadline.
    fn after(&mut self, _now: Now, key: Key, requests: &mut Requests) {
        let link = self.link(key);
        requests.extend(self.out.requests.drain(..).map(|request| (link, request)));
        if !self.out.notices.is_empty() {
            let remote = self.live(key).map(|entry| (entry.peer, entry.port));
            let remote =
                remote.and_then(|(peer, port)| self.peers.ip(peer).map(|ip| SocketAddr::new(ip, port)));
            for mut notice in self.out.notices.drain(..) {
                if let Notice::Peer { remote: place @ None, .. } = &mut notice {
                    *place = remote;
                }
                self.notices.push(notice);
            }
        }
        if self.out.close.take().is_some() {
            if let Some(entry) = self.live(key) {
                entry.flags.set(Flags::CLOSING);
                entry.armed = 0;
            }
            self.make_dirty(key);
        }
        self.arm(key);
    }

    /// Sets a timer when the connection's deadline is nearer than the one that is set.
    fn arm(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) else {
            return;
        };
        let deadline = match entry.flags.has(Flags::CLOSING) {
            true if entry.armed != 0 => return,
            true => self.timers.now() + LINGER,
            false => match entry.connection.next_timeout() {
                Some(deadline) => deadline,
                None => return,
            },
        };
        let tick = self.timers.tick_of(deadline);
        if entry.armed == 0 || tick < u64::from(entry.armed) {
            let tick = self.timers.set(key, deadline);
            entry.armed = u32::try_from(tick).unwrap_or(u32::MAX);
        }
    }

    /// When [`Streams::handle_timeout`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Handles the deadlines that have come.
    pub(crate) fn handle_timeout(&mut self, now: Now, requests: &mut Requests) {
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(now.instant, &mut due);
        for (key, tick) in due.drain(..) {
            self.on_timer(now, key, tick, requests);
        }
        self.due = due;
    }

    fn on_timer(&mut self, now: Now, key: Key, tick: u64, requests: &mut Requests) {
        let Some(entry) = self.entries.get_mut(key.0 as usize).filter(|e| e.generation == key.1) else {
            return;
        };
        if u64::from(entry.armed) != tick {
            return; // Set anew since.
        }
        entry.armed = 0;
        if entry.flags.has(Flags::CLOSING) {
            self.remove(key);
            return;
        }
        let Some(deadline) = entry.connection.next_timeout() else { return };
        let late = entry.flags.has(Flags::READABLE)
            && !entry.connection.is_held()
            && !entry.flags.has(Flags::BLOCKED);
        if deadline > now.instant {
            self.arm(key);
        } else if late {
            let tick = self.timers.set(key, now.instant + LATE_READ_GRACE);
            entry.armed = u32::try_from(tick).unwrap_or(u32::MAX);
        } else {
            let pool = &mut self.pool;
            let io = entry.io.get_or_insert_with(|| pool.pop().unwrap_or_default());
            entry.connection.handle_timeout(now, &mut io.output, &mut self.out);
            self.after(now, key, requests);
        }
    }

    /// Ends a connection without a word: its handling panicked.
    pub(crate) fn abandon(&mut self, now: Now, key: Key, requests: &mut Requests) {
        self.out = StreamOut::default();
        if let Some(entry) = self.live(key) {
            entry.connection.handle_closed(now, &mut StreamOut::default());
            let link = self.link(key);
            requests.push_back((link, ToBroker::Disconnect(broker_core::link::Ending::Abnormal)));
            self.remove(key);
        }
    }

    /// Closes the socket and forgets the connection.
    fn remove(&mut self, key: Key) {
        self.unblock(key);
        if self.live(key).is_some()
            && let Some(entry) = self.entries.try_remove(key.0 as usize)
        {
            self.ended.extend(self.peers.ip(entry.peer));
            self.peers.release(entry.peer);
            if let Some(io) = entry.io {
                self.recycle(io);
            }
            if self.entries.is_empty() {
                // After a stampede the memory goes back.
                self.entries.shrink_to_fit();
            }
        }
    }

    fn recycle(&mut self, mut io: Box<Io>) {
        if self.pool.len() < POOL_BUFFERS_MAX {
            io.reset(POOL_BUFFER_BYTES_MAX);
            self.pool.push(io);
        }
    }
}

fn token_of((slot, generation): Key) -> Token {
    Token(slot as usize | usize::from(generation) << 32)
}

fn key_of(token: Token) -> Key {
    (token.0 as u32, (token.0 >> 32) as u16)
}
