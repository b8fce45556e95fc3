//! What can be wrong with bytes from a peer, one variant a rule, and with values that we are asked to encode.
use super::fixed_header::PacketType;
use crate::topic::TopicError;
use std::fmt;

/// Why bytes from a peer are no acceptable MQTT packet. The peer is to blame; the connection ends ([MQTT-4.8.0-1]).
///
/// Only [`DecodeError::ProtocolLevel`] is answered before that, with CONNACK 0x01 ([MQTT-3.1.2-2]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DecodeError {
    /// Packet type 0 or 15 (§2.2.1).
    ReservedType(u8),
    /// A packet that only the other side may send (§2.2.1).
    WrongDirection(PacketType),
    /// Fixed header flags that are not those prescribed ([MQTT-2.2.2-2]).
    ReservedFlags(PacketType),
    /// PUBLISH with both QoS bits set ([MQTT-3.3.1-4]).
    PublishQos3,
    /// PUBLISH at QoS 0 with DUP ([MQTT-3.3.1-2]).
    DupWithQos0,
    /// Remaining length of more than four bytes (§2.2.3).
    RemainingLengthTooLong,
    /// The connection does not begin with CONNECT, or CONNACK from a server ([MQTT-3.1.0-1], [MQTT-3.2.0-1]).
    NotConnectFirst(PacketType),
    /// A second CONNECT or CONNACK ([MQTT-3.1.0-2]).
    ConnectAgain,
    /// CONNECT larger than [`super::FrameRules::connect_bytes_max`].
    ConnectTooLarge,
    /// Packet larger than [`super::FrameRules::packet_bytes_max`].
    PacketTooLarge(PacketType),
    /// A packet of fixed size with another remaining length.
    WrongLength(PacketType),
    /// A field runs past the end of the packet.
    Truncated(PacketType),
    /// Bytes behind the last field.
    TrailingBytes(PacketType),
    /// Ill-formed UTF-8, surrogates included ([MQTT-1.5.3-1]).
    Utf8,
    /// U+0000 in a text ([MQTT-1.5.3-2]).
    Nul,
    /// Packet identifier 0 ([MQTT-2.3.1-1]).
    PacketIdZero,
    /// CONNECT with a protocol name that is neither `MQTT` nor `MQIsdp` ([MQTT-3.1.2-1]).
    ProtocolName,
    /// CONNECT at a level that is not served; answer CONNACK 0x01 ([MQTT-3.1.2-2]).
    /// [`super::peek_client_id`] may tell who it is.
    ProtocolLevel(u8),
    /// CONNECT with the reserved flag ([MQTT-3.1.2-3]).
    ConnectReservedFlag,
    /// CONNECT with will QoS 3 ([MQTT-3.1.2-14]).
    WillQos3,
    /// CONNECT with a will QoS or will RETAIN but no will ([MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15]).
    WillFlagsWithoutWill,
    /// CONNECT with a password but no user name ([MQTT-3.1.2-22]).
    PasswordWithoutUsername,
    /// The will topic is no topic name ([MQTT-3.1.3-10], §4.7).
    WillTopic(TopicError),
    /// The topic of a PUBLISH is no topic name ([MQTT-3.3.2-1], [MQTT-3.3.2-2], [MQTT-4.7.3-1]).
    Topic(TopicError),
    /// SUBSCRIBE or UNSUBSCRIBE without a filter ([MQTT-3.8.3-3], [MQTT-3.10.3-2]).
    NoFilter(PacketType),
    /// SUBSCRIBE with a requested QoS byte above 2 ([MQTT-3-8.3-4]).
    RequestedQos(u8),
    /// CONNACK with reserved acknowledge flags (§3.2.2.1).
    ConnackFlags(u8),
    /// CONNACK with a return code above 5 (§3.2.2.3).
    ConnackReturnCode(u8),
    /// CONNACK that refuses and yet has a session ([MQTT-3.2.2-4]).
    ConnackSessionPresent,
    /// SUBACK with a return code other than 0, 1, 2, 0x80 ([MQTT-3.9.3-2]).
    SubackReturnCode(u8),
    /// SUBACK without a return code (§3.9.3).
    SubackEmpty,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::ReservedType(value) => write!(f, "reserved packet type {value}"),
            DecodeError::WrongDirection(kind) => write!(f, "{kind} from the wrong side"),
            DecodeError::ReservedFlags(kind) => write!(f, "{kind} with reserved flags"),
            DecodeError::PublishQos3 => f.write_str("PUBLISH with QoS 3"),
            DecodeError::DupWithQos0 => f.write_str("PUBLISH with DUP at QoS 0"),
            DecodeError::RemainingLengthTooLong => f.write_str("remaining length of more than 4 bytes"),
            DecodeError::NotConnectFirst(kind) => write!(f, "{kind} as the first packet"),
            DecodeError::ConnectAgain => f.write_str("second CONNECT or CONNACK"),
            DecodeError::ConnectTooLarge => f.write_str("CONNECT over the size limit"),
            DecodeError::PacketTooLarge(kind) => write!(f, "{kind} over the size limit"),
            DecodeError::WrongLength(kind) => write!(f, "{kind} with a wrong remaining length"),
            DecodeError::Truncated(kind) => write!(f, "{kind}: a field runs past the end"),
            DecodeError::TrailingBytes(kind) => write!(f, "{kind} with bytes behind its last field"),
            DecodeError::Utf8 => f.write_str("ill-formed UTF-8"),
            DecodeError::Nul => f.write_str("U+0000 in a text"),
            DecodeError::PacketIdZero => f.write_str("packet identifier 0"),
            DecodeError::ProtocolName => f.write_str("unknown protocol name"),
            DecodeError::ProtocolLevel(level) => write!(f, "protocol level {level} is not served"),
            DecodeError::ConnectReservedFlag => f.write_str("CONNECT with the reserved flag"),
            DecodeError::WillQos3 => f.write_str("will QoS 3"),
            DecodeError::WillFlagsWithoutWill => f.write_str("will QoS or RETAIN without a will"),
            DecodeError::PasswordWithoutUsername => f.write_str("password without user name"),
            DecodeError::WillTopic(error) => write!(f, "will topic: {error}"),
            DecodeError::Topic(error) => write!(f, "topic: {error}"),
            DecodeError::NoFilter(kind) => write!(f, "{kind} without a filter"),
            DecodeError::RequestedQos(value) => write!(f, "requested QoS byte {value:#04x}"),
            DecodeError::ConnackFlags(value) => write!(f, "CONNACK flags {value:#04x}"),
            DecodeError::ConnackReturnCode(value) => write!(f, "CONNACK return code {value}"),
            DecodeError::ConnackSessionPresent => f.write_str("CONNACK refuses with a session present"),
            DecodeError::SubackReturnCode(value) => write!(f, "SUBACK return code {value:#04x}"),
            DecodeError::SubackEmpty => f.write_str("SUBACK without a return code"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a value has no wire form; the output is as before the call. The caller is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum EncodeError {
    /// A text or a binary field has more than 65,535 bytes.
    FieldTooLong,
    /// The packet would have more than 268,435,455 bytes behind its fixed header.
    PacketTooLong,
    /// QoS 1 or 2 without a packet identifier, or QoS 0 with one ([MQTT-2.3.1-5]).
    PacketId,
    /// A SUBSCRIBE, UNSUBSCRIBE or SUBACK without an entry.
    NoEntries,
    /// A password without a user name ([MQTT-3.1.2-22]).
    PasswordWithoutUsername,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::FieldTooLong => "field of more than 65535 bytes",
            EncodeError::PacketTooLong => "packet of more than 268435455 bytes",
            EncodeError::PacketId => "packet identifier does not fit the QoS",
            EncodeError::NoEntries => "packet without an entry",
            EncodeError::PasswordWithoutUsername => "password without user name",
        })
    }
}

impl std::error::Error for EncodeError {}
