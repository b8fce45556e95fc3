//! The Flags octet (MQTT-SN §5.3.4), its QoS and TopicIdType fields, and the return codes (§5.3.10).
//!
//! ```text
//!   7     6 5    4       3      2        1 0
//!  DUP    QoS  Retain  Will  CleanSession  TopicIdType
//! ```
//! Each message uses some of these bits; the others are ignored on reception, since clients leak them.

use core::fmt;

pub(crate) const DUP: u8 = 0x80;
pub(crate) const RETAIN: u8 = 0x10;
pub(crate) const WILL: u8 = 0x08;
pub(crate) const CLEAN_SESSION: u8 = 0x04;
const QOS_SHIFT: u8 = 5;

/// The QoS field. `MinusOne` is a publish without a session (MQTT-SN §6.8) and means nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Qos {
    /// QoS −1, coded as binary 11.
    MinusOne,
    /// QoS 0: at most once.
    AtMostOnce,
    /// QoS 1: at least once.
    AtLeastOnce,
    /// QoS 2: exactly once.
    ExactlyOnce,
}

impl Qos {
    pub(crate) fn from_flags(flags: u8) -> Self {
        match flags >> QOS_SHIFT & 0b11 {
            0b00 => Qos::AtMostOnce,
            0b01 => Qos::AtLeastOnce,
            0b10 => Qos::ExactlyOnce,
            _ => Qos::MinusOne,
        }
    }

    pub(crate) fn to_flags(self) -> u8 {
        let field: u8 = match self {
            Qos::AtMostOnce => 0b00,
            Qos::AtLeastOnce => 0b01,
            Qos::ExactlyOnce => 0b10,
            Qos::MinusOne => 0b11,
        };
        field << QOS_SHIFT
    }
}

/// What a TopicId field holds (MQTT-SN §5.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicIdType {
    /// 00: an id that was registered, or in SUBSCRIBE and UNSUBSCRIBE a topic name.
    Normal,
    /// 01: an id that both sides have in their configuration.
    Predefined,
    /// 10: a topic name of exactly two octets.
    Short,
    /// 11: reserved. Kept, since the answer is a return code and not silence.
    Reserved,
}

impl TopicIdType {
    pub(crate) fn from_flags(flags: u8) -> Self {
        match flags & 0b11 {
            0b00 => TopicIdType::Normal,
            0b01 => TopicIdType::Predefined,
            0b10 => TopicIdType::Short,
            _ => TopicIdType::Reserved,
        }
    }

    pub(crate) fn to_flags(self) -> u8 {
        match self {
            TopicIdType::Normal => 0b00,
            TopicIdType::Predefined => 0b01,
            TopicIdType::Short => 0b10,
            TopicIdType::Reserved => 0b11,
        }
    }
}

/// ReturnCode (MQTT-SN §5.3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnCode {
    /// 0x00
    Accepted,
    /// 0x01: the client waits T_WAIT and tries again.
    Congestion,
    /// 0x02: the receiver does not know the topic id.
    InvalidTopicId,
    /// 0x03
    NotSupported,
    /// 0x04 to 0xFF, reserved; kept as received.
    Reserved(u8),
}

impl ReturnCode {
    pub(crate) fn from_octet(code: u8) -> Self {
        match code {
            0x00 => ReturnCode::Accepted,
            0x01 => ReturnCode::Congestion,
            0x02 => ReturnCode::InvalidTopicId,
            0x03 => ReturnCode::NotSupported,
            other => ReturnCode::Reserved(other),
        }
    }

    /// The code on the wire.
    pub fn octet(self) -> u8 {
        match self {
            ReturnCode::Accepted => 0x00,
            ReturnCode::Congestion => 0x01,
            ReturnCode::InvalidTopicId => 0x02,
            ReturnCode::NotSupported => 0x03,
            ReturnCode::Reserved(code) => code,
        }
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReturnCode::Accepted => f.write_str("accepted"),
            ReturnCode::Congestion => f.write_str("rejected: congestion"),
            ReturnCode::InvalidTopicId => f.write_str("rejected: invalid topic id"),
            ReturnCode::NotSupported => f.write_str("rejected: not supported"),
            ReturnCode::Reserved(code) => write!(f, "reserved return code 0x{code:02x}"),
        }
    }
}
