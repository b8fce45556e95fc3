//! Test machinery of Turnstone: a simulated network with virtual time, scripted peers, lists of normative
//! statements.
//!
//! This crate touches the world (it starts programs and reads the environment), so the lints that keep the pure
//! crates pure are off here.
#![allow(clippy::disallowed_methods)]
pub mod sim;
pub mod statements;
