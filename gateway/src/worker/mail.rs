//! What workers say to each other, in batches.
//!
//! ```text
//! owner ── connections, events, settings, stop ──► colleague     never waits: the byte credit of each link bounds it
//! owner ◄── requests (bounded), ends, reports ──── colleague     full: the colleague keeps its batch and stops reading
//! ```
//! Only one side may wait, and it does not wait either: a colleague whose batch is not taken goes on writing and
//! listening, and is woken when there is room.
use crate::settings::Settings;
use crate::stats::Stats;
use broker_core::link::Envelope;
use broker_core::mqtt::Counters;
use broker_core::{FromBroker, LinkId};
use mio::Waker;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError};
use tracing::error;

/// Batches that may wait for the owner.
pub(super) const BATCHES_MAX: usize = 64;
/// Requests in a batch; one read may bring a few more.
pub(super) const BATCH_REQUESTS: usize = 256;

/// From the owner of the broker.
#[derive(Debug)]
pub(super) enum ToColleague {
    /// A connection to serve.
    Stream(TcpStream, SocketAddr),
    /// What the broker says to its links.
    Events(Vec<(LinkId, FromBroker)>),
    /// New settings.
    Settings(Box<Settings>),
    /// Write what is held, close everything, end.
    Stop,
}

/// To the owner of the broker.
#[derive(Debug)]
pub(super) enum ToOwner {
    /// Requests of its links.
    Requests(Vec<Envelope>),
    /// Connections of this worker that have ended, by address.
    Ended(u8, Vec<IpAddr>),
    /// What it has counted since the start.
    Report(u8, Box<Report>),
    /// It has closed everything and ends.
    Stopped(u8),
}

/// What a worker has counted.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) counters: Counters,
    pub(super) stats: Stats,
    pub(super) open: usize,
    pub(super) blocked: usize,
}

impl Report {
    /// Adds another worker's.
    pub(super) fn add(&mut self, other: &Report) {
        self.counters.merge(&other.counters);
        self.stats.add(&other.stats);
        self.open += other.open;
        self.blocked += other.blocked;
    }
}

/// Wakes a worker; once until it has looked.
#[derive(Clone, Debug)]
pub(super) struct Bell {
    waker: Arc<Waker>,
    rung: Arc<AtomicBool>,
}

impl Bell {
    pub(super) fn new(waker: Waker) -> Self {
        Bell { waker: Arc::new(waker), rung: Arc::new(AtomicBool::new(false)) }
    }

    /// Wakes the worker, unless somebody has done so since it looked last.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            error!(%error, "cannot wake a worker");
        }
    }

    /// The worker is about to look.
    pub(super) fn answer(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

/// A colleague as the owner sees it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u8,
    pub(super) sender: Sender<ToColleague>,
    pub(super) bell: Bell,
    /// It has a batch that was not taken.
    pub(super) starved: Arc<AtomicBool>,
    /// Connections given to it and not ended.
    pub(super) connections: usize,
}

impl Line {
    /// Says something; a colleague that is gone hears nothing.
    pub(super) fn tell(&self, message: ToColleague) {
        if self.sender.send(message).is_ok() {
            self.bell.ring();
        }
    }
}

/// The owner as a colleague sees it.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) number: u8,
    pub(super) sender: SyncSender<ToOwner>,
    pub(super) bell: Bell,
    pub(super) starved: Arc<AtomicBool>,
    pub(super) mail: Receiver<ToColleague>,
    pub(super) own_bell: Bell,
}

impl Uplink {
    /// Hands `message` to the owner, or gives it back when there is no room. Then the owner rings when there is.
    pub(super) fn offer(&self, message: ToOwner) -> Result<(), ToOwner> {
        let message = match self.sender.try_send(message) {
            Ok(()) => {
                self.bell.ring();
                return Ok(());
            }
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => message,
        };
        // Said before the second try: an owner that makes room in between has seen it, or the try succeeds.
        self.starved.store(true, Ordering::SeqCst);
        match self.sender.try_send(message) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => Err(message),
        }
    }

    /// The next message of the owner.
    pub(super) fn next(&self) -> Option<ToColleague> {
        match self.mail.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Empty) => None,
            // The owner is gone, and with it the process.
            Err(TryRecvError::Disconnected) => Some(ToColleague::Stop),
        }
    }
}
