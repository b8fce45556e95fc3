//! MQTT-SN 1.2 for Turnstone: wire format, topic ids, client state machine and gateway, without sockets or clocks.
//!
//! ```text
//!  datagram ─► wire::Datagram ─► gateway::SnGateway ─► ToBroker      client::state: the table
//!  datagram ◄─ wire::Message  ◄─        │  ▲         ◄─ FromBroker   topics: ids and names
//!                                       └──┴─ timers                 rate, discovery: pure decisions
//! ```
#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod counters;
pub mod describe;
pub mod discovery;
pub mod gateway;
pub mod limits;
pub mod mountpoint;
pub mod rate;
pub mod rng;
pub mod topics;
pub mod wire;

pub use config::Config;
pub use counters::Counters;
pub use gateway::SnGateway;
