//! MQTT-SN 1.2 for Turnstone: wire format and gateway, without sockets or clocks.
#![forbid(unsafe_code)]

pub mod topics;
pub mod wire;
