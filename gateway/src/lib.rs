//! The Turnstone program: the only crate that touches the world.
//!
//! ```text
//!   cli ─► config ─► run ──► signals, listeners (tcp, udp), log
//!                     └► worker (one thread) ──► streams (TCP connections) ┐
//!                                           ──► udp ports ─► front-ends   ─┴─► hub ─► Broker
//! ```
//!
//! Here live sockets, clocks, files, threads and the environment, so the lints that keep the pure crates pure are
//! off. What a protocol means is decided in the pure crates; this one carries bytes to them and their answers away.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod exit;
mod images;
pub mod log;
pub mod run;

mod dump;
mod fronts;
mod hub;
mod objects;
mod peers;
mod reload;
mod settings;
mod signals;
mod stats;
mod streams;
mod sys;
mod sys_topics;
mod tcp;
mod timers;
mod tools;
mod trace;
mod udp;
mod worker;
