//! The Turnstone gateway: settings, command line, and the loop that serves sockets.
//!
//! This is the only crate that touches the world (clocks, files, sockets, the environment), so the lints that
//! keep the pure crates pure are off here.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(unsafe_code)]

pub mod cli;
pub mod config;
pub mod exit;
pub mod run;
