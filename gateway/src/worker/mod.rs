//! The workers: one thread each, with a loop over sockets, timers and mail.
//!
//! ```text
//!            listeners, UDP ports, broker            streams
//! owner ─────┬───────────────────────────────────────┘        (alone: everything inline, nothing crosses a thread)
//!            │ connections, events      ▲ requests
//! colleague ─┴──────────────────────────┴─────────── streams  (with `workers` = W > 1: W − 1 of them serve the streams)
//! ```
//! wait (signals, sockets, deadline) ─► poll events ─► round: accept ─► mail ─► datagrams (≤ 64 a socket) ─► streams (one
//! read each) ─► settle ─► flush ─► deadlines. Edge-triggered: what was not read to its end stays on a list of ours, and
//! rounds follow each other without waiting until the lists are empty.
mod accept;
mod colleague;
mod looper;
mod mail;
mod owner;

pub(crate) use owner::Owner;

use mio::Token;
use std::time::Duration;

/// Streams read in a round.
const READS_PER_ROUND: usize = 64;
/// Input handled between two flushes: answers do not wait for the whole round.
const FLUSH_AFTER_BYTES: usize = 64 << 10;
/// Turns of flush, credit and delivery that end a round.
const FLUSHES_MAX: usize = 8;
/// How long a stopping gateway writes out what it holds.
const DRAIN_MAX: Duration = Duration::from_secs(4);

/// Tokens: those of streams are below, see [`crate::streams`].
const LISTENERS: usize = 1 << 60;
const PORTS: usize = 1 << 61;
const GROUPS: usize = 3 << 60;
const BELL: Token = Token(1 << 62);
