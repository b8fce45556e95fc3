//! The broker core of Turnstone: MQTT 3.1.1 semantics as a pure state machine.
//!
//! No socket, no clock, no file, no randomness of its own: bytes, `now` and seeds come in as arguments, records and
//! events go out through buffers that the caller owns. A device of any protocol is a session here, named by its
//! ClientId and never by its address.
//!
//! ```text
//!   bytes ──► mqtt::Connection ──┐                        ┌──► Record  (committed before any ack leaves)
//!   datagrams ► other Frontends ─┴► ToBroker ► Broker ► Effects ─► FromBroker ► front-ends
//! ```
#![forbid(unsafe_code)]

pub mod acl;
pub mod broker;
pub mod counters;
pub mod frontend;
pub mod limits;
pub mod link;
pub mod message;
pub mod mqtt;
mod packed_address;
pub mod record;
pub mod retained;
pub mod routes;
pub mod sys;
pub mod time;
pub mod topic;
pub mod trace;
pub mod wheel;

pub use acl::Acl;
pub use broker::Broker;
pub use counters::{Counters, IoCounters};
pub use limits::Limits;
pub use link::{Effects, FromBroker, LinkId, SessionName, ToBroker};
pub use message::{Message, PacketId, QoS, Will};
pub use record::Record;
pub use time::{Instant, Now};
