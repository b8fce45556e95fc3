//! The MQTT wire: bytes ⇄ packets of MQTT 3.1.1 and 3.1, both directions, strict and borrowed.
//!
//! ```text
//! stream ─► frame::split ─► Frame (first byte checked, body whole) ─► Frame::decode ─► Packet<'_>
//!           refuses by type, flags and length, before the body is here
//! ```
//! Nothing is copied or allocated while decoding; nothing but the caller's buffer grows while encoding. What a peer
//! may not send is a [`DecodeError`] that names the rule. What a *session* must judge (an empty client id without
//! CleanSession, a filter that is no filter, limits) is not decided here.
//!
//! One file per family: `connect`, `connack`, `publish`, `ack` (PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK),
//! `subscribe` (with UNSUBSCRIBE), `suback`. PINGREQ, PINGRESP and DISCONNECT have no body and live in `packet`.
#![deny(clippy::indexing_slicing)]

mod ack;
mod connack;
mod connect;
mod connection;
mod connection_counters;
mod error;
mod fixed_header;
pub mod frame;
mod packet;
mod publish;
mod reader;
mod suback;
mod subscribe;
#[cfg(test)]
mod wire_table;
mod write;

pub use ack::{AckKind, encode_ack};
pub use connack::{Connack, ConnectReturnCode};
pub use connect::{Connect, ConnectWill, Version, peek_client_id};
pub use connection::{Connection, Shared};
pub use connection_counters::{ClosedBy, Counters, Malformed};
pub use error::{DecodeError, EncodeError};
pub use fixed_header::{Direction, FirstByte, PacketType, REMAINING_LENGTH_MAX, RemainingLength};
pub use frame::{Frame, FrameRules, Split};
pub use packet::{Packet, decode, encode_disconnect, encode_pingreq, encode_pingresp};
pub use publish::{Publish, encode_publish_header};
pub use suback::{Suback, encode_suback};
pub use subscribe::{
    Filters, RequestedFilter, RequestedFilters, Subscribe, Unsubscribe, encode_subscribe, encode_unsubscribe,
};
