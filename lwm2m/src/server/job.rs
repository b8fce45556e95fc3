//! [`Job`]: one thing that is being done with a device, from its first request to its final answer.
use super::formats::{Choice, Use};
use crate::coap::{ExchangeId, Token};
use crate::command::{Command, Item, PathFailure};
use crate::path::ObjectPath;
use broker_core::PacketId;
use slab::Slab;

/// Why a job runs, and what its end leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A command out of the device's queue: its answer frees the next.
    Queued {
        /// The delivery.
        packet_id: PacketId,
        /// What it took from the link's credit.
        cost: u32,
    },
    /// A command that would not wait (TTL 0).
    Direct,
    /// A step of a firmware update.
    Firmware,
    /// An observation that nobody asks for now: automatic, or issued again.
    Observation,
}

/// A composite operation that is done in single ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    /// The part that is being done.
    pub(crate) at: usize,
    /// What was read.
    pub(crate) items: Vec<Item>,
    /// What failed.
    pub(crate) failures: Vec<PathFailure>,
}

/// What is being asked for and in which format.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// What the format is for; `None`: there is no choice.
    pub(crate) what: Option<Use>,
    /// Formats to try, the present one first.
    pub(crate) choices: Vec<Choice>,
    /// The present one worked before.
    pub(crate) proven: bool,
    /// Where the answer's values must lie.
    pub(crate) base: ObjectPath,
}

impl Attempt {
    /// Nothing tried yet.
    pub(crate) fn none() -> Attempt {
        Attempt { what: None, choices: Vec::new(), proven: false, base: ObjectPath::ROOT }
    }
}

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) device: u32,
    pub(crate) serial: u32,
    pub(crate) origin: Origin,
    pub(crate) command: Command,
    pub(crate) exchange: Option<ExchangeId>,
    pub(crate) attempt: Attempt,
    pub(crate) split: Option<Split>,
    /// The observation that is issued, renewed or cancelled.
    pub(crate) token: Option<Token>,
}

/// All jobs, named by numbers that do not come again soon.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    slab: Slab<Job>,
    serial: u32,
}

impl Jobs {
    /// Takes a job in and numbers it.
    pub(crate) fn insert(&mut self, mut job: Job) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        job.serial = self.serial;
        self.slab.insert(job) as u32
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Job> {
        self.slab.get(id as usize)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Job> {
        self.slab.get_mut(id as usize)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Job> {
        self.slab.try_remove(id as usize)
    }

    /// The tag of a job's requests.
    pub(crate) fn tag(&self, id: u32) -> u64 {
        let serial = self.get(id).map_or(0, |job| job.serial);
        u64::from(serial) << 32 | u64::from(id)
    }

    /// The job of a tag, if it still runs.
    pub(crate) fn by_tag(&self, tag: u64) -> Option<u32> {
        let (id, serial) = (tag as u32, (tag >> 32) as u32);
        (self.get(id)?.serial == serial).then_some(id)
    }
}
