//! Time as a value: the pure crates never look at a clock, they are told.
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point of monotonic time: milliseconds since an origin that the driver chose.
///
/// Only differences mean anything. Eight bytes, so that per-device state stays small; a millisecond is finer
/// than any timer of the protocols served here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ZERO: Instant = Instant(0);
    /// Further away than any timer: "never".
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// The instant `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Instant(millis)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved by `by`, ending at [`Instant::FAR_FUTURE`].
    pub fn saturating_add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        self.saturating_add(by)
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

/// The present, as the driver hands it to every call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic time: timers, keep-alives, retransmissions.
    pub instant: Instant,
    /// Wall clock in milliseconds since 1970: what people read, and what must mean something after a restart.
    pub unix_ms: u64,
}

impl Now {
    /// A present made of both clocks.
    pub const fn new(instant: Instant, unix_ms: u64) -> Self {
        Now { instant, unix_ms }
    }
}
