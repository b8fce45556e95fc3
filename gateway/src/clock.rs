//! [`Clock`]: where the present comes from. One origin for all threads of the process.
use broker_core::{Instant, Now};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Both clocks of the process: monotonic since its start, and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose [`Instant::ZERO`] is this moment.
    pub fn start() -> Self {
        Clock { origin: std::time::Instant::now() }
    }

    /// The present. A wall clock before 1970 reads as 1970.
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now::new(Instant::from_millis(millis(self.origin.elapsed())), millis(unix))
    }

    /// `instant` as the operating system counts it, for tokio's timers. `None` when it is too far away to be
    /// expressed.
    pub fn to_system(self, instant: Instant) -> Option<std::time::Instant> {
        self.origin.checked_add(Duration::from_millis(instant.as_millis()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
