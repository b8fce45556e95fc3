//! [`Looper`]: how a worker waits, for its sockets, its deadlines and the operator at once.
//!
//! All device-facing sockets of the worker live in one `mio::Poll`, which sits inside tokio's `AsyncFd`: no task and no
//! waker per connection, and signals and timers are still tokio's. The inner poll is emptied before the outer
//! readiness is cleared, or it never wakes again.
use crate::clock::Clock;
use crate::signals::{Signals, Wish};
use crate::sys;
use broker_core::Instant;
use mio::{Events, Poll};
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;
/// Rounds without a look at signals and tokio's timers while there is work.
const ROUNDS_UNTIL_YIELD: u32 = 16;

/// What a worker waits with.
#[derive(Debug)]
pub(super) struct Looper {
    poll: AsyncFd<Poll>,
    clock: Clock,
    events: Events,
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Option<Instant>,
    busy_rounds: u32,
    /// The last wait brought events: more may have come in the meantime.
    lively: bool,
}

impl Looper {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses to watch the poll.
    pub(super) fn new(poll: Poll, clock: Clock) -> io::Result<Self> {
        Ok(Looper {
            poll: sys::watch(poll)?,
            clock,
            events: Events::with_capacity(EVENTS_MAX),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            sleeps_until: None,
            busy_rounds: 0,
            lively: false,
        })
    }

    /// Waits until a socket has an event, the operator a wish, or `deadline` has come; not at all when there is work
    /// (`busy`). What the sockets say is in [`Looper::events`] then.
    ///
    /// # Errors
    /// When polling fails, which leaves nothing to serve with.
    pub(super) async fn wait(
        &mut self,
        busy: bool,
        deadline: Option<Instant>,
        signals: Option<&mut Signals>,
    ) -> io::Result<Option<Wish>> {
        self.events.clear();
        if busy || self.lively {
            self.busy_rounds += 1;
            if self.busy_rounds < ROUNDS_UNTIL_YIELD {
                // Cheaper than the way through tokio; the outer readiness stays as it is, and is found stale later.
                self.poll.get_mut().poll(&mut self.events, Some(Duration::ZERO)).or_else(interrupted)?;
                self.lively = !self.events.is_empty();
                if busy || self.lively {
                    return Ok(None);
                }
            }
        }
        let yielding = busy || self.lively;
        self.busy_rounds = 0;
        self.arm(deadline);
        let wish = async {
            match signals {
                Some(signals) => signals.next().await,
                None => std::future::pending().await,
            }
        };
        let mut heard = None;
        tokio::select! {
            biased;
            wish = wish => heard = Some(wish),
            () = tokio::task::yield_now(), if yielding => {
                self.poll.get_mut().poll(&mut self.events, Some(Duration::ZERO)).or_else(interrupted)?;
            }
            guard = self.poll.readable_mut(), if !yielding => {
                let mut guard = guard?;
                guard.get_inner_mut().poll(&mut self.events, Some(Duration::ZERO)).or_else(interrupted)?;
                // Fewer than asked for: the inner poll is empty, and what comes from now on wakes the outer.
                if self.events.iter().count() < EVENTS_MAX {
                    guard.clear_ready();
                }
            }
            () = self.sleep.as_mut(), if self.sleeps_until.is_some() => self.sleeps_until = None,
        }
        self.lively = !self.events.is_empty();
        Ok(heard)
    }

    /// What the sockets said in the last wait.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Sets the one timer, if it is not set early enough. A timer that is early costs one empty round.
    fn arm(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.sleeps_until.is_some_and(|set| set <= deadline) {
            return;
        }
        // A millisecond later than the millisecond begins: our clock cuts off, and a round too early is a round lost.
        if let Some(system) = self.clock.to_system(deadline + Duration::from_millis(1)) {
            self.sleep.as_mut().reset(system.into());
            self.sleeps_until = Some(deadline);
        }
    }
}

fn interrupted(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}
