//! Test machinery of Turnstone: a simulated network with virtual time, scripted peers, fuzz targets, lists of
//! normative statements.
//!
//! This crate touches the world (it starts programs and reads the environment), so the lints that keep the pure
//! crates pure are off here.
#![allow(clippy::disallowed_methods)]
pub mod bodies;
pub mod fuzz;
pub mod notation;
pub mod sim;
pub mod statements;
