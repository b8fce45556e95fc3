//! [`Device`]: one registered device as the server holds it between two messages.
//!
//! ```text
//!             Register                     Connack                MemoStored
//!   (nothing) ────────► Attaching ───────────────────► Storing ─────────────► Registered ◄─┐
//!                                    Restored: straight to Registered          │  │  └─────┘ Register, Update: Storing
//!                             De-register, lifetime over, deregister command   │  ▼
//!   (nothing) ◄──────────────────────── Connack ──────────────────────────── Ending
//! ```
use crate::coap::RequestId;
use crate::few::Few;
use crate::registration::{Location, Registration, SavedObservation};
use crate::server::firmware::Firmware;
use crate::server::formats::Learned;
use broker_core::Instant;
use broker_core::frontend::{Address, PackedAddress};
use broker_core::wheel::Timer;
use std::sync::Arc;

/// Why a registration ends, as events and logs say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The device said so.
    Deregistered,
    /// Its lifetime is over.
    Expired,
    /// A `deregister` command.
    Commanded,
    /// The broker ended its link (an administrator).
    Kicked,
    /// Its registration could not be kept.
    Refused,
}

impl EndReason {
    /// The word in `status` messages.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            EndReason::Deregistered | EndReason::Commanded => "deregistered",
            EndReason::Expired => "expired",
            EndReason::Kicked => "kicked",
            EndReason::Refused => "refused",
        }
    }
}

/// Where a device stands between CoAP and the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connect is with the broker; the Register waits.
    Attaching(RequestId),
    /// The memo is with the broker; what is to be answered waits.
    Storing(Store),
    /// Connect is with the broker after a restart; nobody waits.
    Restoring,
    /// At rest.
    Registered,
    /// The session's end is with the broker; a De-register may wait.
    Ending(Option<RequestId>),
}

/// What is answered when the memo is in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) tag: u32,
    pub(crate) request: RequestId,
    pub(crate) cause: Cause,
}

/// Which request a stored memo answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Register.
    Register,
    /// Update; with an object list or without.
    Update { with_links: bool },
}

/// An observation at a device.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) saved: SavedObservation,
    /// The device holds it; otherwise it is to be issued (again).
    pub(crate) established: bool,
    /// Last sequence number.
    pub(crate) sequence: u32,
}

/// A registered device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) registration: Registration,
    pub(crate) location: Location,
    pub(crate) address: PackedAddress,
    /// Identity that the transport has proven.
    pub(crate) identity: Option<Arc<str>>,
    pub(crate) phase: Phase,
    /// Its address has shown that it receives.
    pub(crate) validated: bool,
    /// Its registered event has gone out.
    pub(crate) announced: bool,
    /// Queue mode: it does not listen now.
    pub(crate) asleep: bool,
    /// Its link has its credit.
    pub(crate) granted: bool,
    /// Its link is paused.
    pub(crate) paused: bool,
    pub(crate) learned: Learned,
    /// End of its lifetime with grace.
    pub(crate) expires: Instant,
    /// Queue mode: it listens until then.
    pub(crate) awake_until: Instant,
    pub(crate) timer: Timer,
    pub(crate) observations: Few<Observation>,
    /// A firmware update that runs.
    pub(crate) firmware: Option<Box<Firmware>>,
    /// What is being done with it now.
    pub(crate) jobs: Few<u32>,
    /// Commands that wait for it or are being run.
    pub(crate) waiting: u32,
}

impl Device {
    /// Where it was last.
    pub(crate) fn address(&self) -> Address {
        self.address.address()
    }

    /// Whether it may be sent something.
    pub(crate) fn is_ready(&self) -> bool {
        match self.phase {
            Phase::Registered => !self.asleep,
            Phase::Attaching(_) | Phase::Storing(_) | Phase::Restoring | Phase::Ending(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There are a hundred thousand of them.
    #[test]
    fn a_device_is_small() {
        assert!(size_of::<Option<Device>>() <= 160, "{}", size_of::<Option<Device>>());
    }
}
