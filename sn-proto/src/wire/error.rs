//! Why a datagram is no MQTT-SN message, or a message no datagram.

use core::fmt;

/// The reason why a datagram was refused. Always the sender's fault: it is counted and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireError {
    /// Fewer octets than the header or the fixed fields of this message type need.
    TooShort,
    /// More octets than a message type of fixed size can have.
    TooLong,
    /// The Length field differs from the number of octets received (MQTT-SN §5.2.1).
    LengthMismatch,
    /// A message type that MQTT-SN 1.2 reserves (§5.2.2, table 3).
    ReservedType(u8),
    /// A forwarder encapsulation without a message in it (§5.5).
    EmptyEncapsulation,
    /// A forwarder encapsulation inside a forwarder encapsulation.
    NestedEncapsulation,
}

impl WireError {
    /// Number of distinct reasons, for an array of counters.
    pub const REASONS: usize = 6;

    /// Position of this reason in an array of counters, below [`WireError::REASONS`].
    pub fn index(self) -> usize {
        match self {
            WireError::TooShort => 0,
            WireError::TooLong => 1,
            WireError::LengthMismatch => 2,
            WireError::ReservedType(_) => 3,
            WireError::EmptyEncapsulation => 4,
            WireError::NestedEncapsulation => 5,
        }
    }

    /// The reason as a metric label, by the same numbering as [`WireError::index`].
    pub fn label(self) -> &'static str {
        match self {
            WireError::TooShort => "too_short",
            WireError::TooLong => "too_long",
            WireError::LengthMismatch => "length_mismatch",
            WireError::ReservedType(_) => "reserved_type",
            WireError::EmptyEncapsulation => "empty_encapsulation",
            WireError::NestedEncapsulation => "nested_encapsulation",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooShort => f.write_str("too short for its type"),
            WireError::TooLong => f.write_str("too long for its type"),
            WireError::LengthMismatch => f.write_str("length field differs from the datagram"),
            WireError::ReservedType(code) => write!(f, "reserved message type 0x{code:02x}"),
            WireError::EmptyEncapsulation => f.write_str("encapsulation without a message"),
            WireError::NestedEncapsulation => f.write_str("encapsulation inside an encapsulation"),
        }
    }
}

impl std::error::Error for WireError {}

/// A message whose total length does not fit the 16 bit Length field, or a node id over 252 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageTooLong;

impl fmt::Display for MessageTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("message longer than MQTT-SN's Length field can say")
    }
}

impl std::error::Error for MessageTooLong {}
