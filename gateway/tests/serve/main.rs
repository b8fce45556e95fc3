//! The program serving: its own process, real sockets, one worker and several.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]
mod bounds;
mod datagrams;
mod gateway;
mod lifecycle;
mod sn_device;
mod sn_settings;
mod streams;
