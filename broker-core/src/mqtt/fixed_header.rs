//! The fixed header (§2.2): packet type, flags, remaining length.
use super::connect::Version;
use super::error::DecodeError;
use crate::message::QoS;
use std::fmt;

/// Largest remaining length that four bytes can say (§2.2.3).
pub const REMAINING_LENGTH_MAX: u32 = 268_435_455;

/// Which way a packet travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// From a client to a server: what a broker reads.
    ToServer,
    /// From a server to a client: what a client reads.
    ToClient,
}

/// The control packets (§2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum PacketType {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Pingreq = 12,
    Pingresp = 13,
    Disconnect = 14,
}

impl PacketType {
    /// The type for the upper half of a first byte; `None` for 0 and 15, which are reserved.
    pub const fn from_u8(value: u8) -> Option<PacketType> {
        Some(match value {
            1 => PacketType::Connect,
            2 => PacketType::Connack,
            3 => PacketType::Publish,
            4 => PacketType::Puback,
            5 => PacketType::Pubrec,
            6 => PacketType::Pubrel,
            7 => PacketType::Pubcomp,
            8 => PacketType::Subscribe,
            9 => PacketType::Suback,
            10 => PacketType::Unsubscribe,
            11 => PacketType::Unsuback,
            12 => PacketType::Pingreq,
            13 => PacketType::Pingresp,
            14 => PacketType::Disconnect,
            0 | 15..=u8::MAX => return None,
        })
    }

    /// Whether this packet may travel in `direction` (§2.2.1).
    pub const fn may_go(self, direction: Direction) -> bool {
        match self {
            PacketType::Publish
            | PacketType::Puback
            | PacketType::Pubrec
            | PacketType::Pubrel
            | PacketType::Pubcomp => true,
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::Pingreq
            | PacketType::Disconnect => matches!(direction, Direction::ToServer),
            PacketType::Connack | PacketType::Suback | PacketType::Unsuback | PacketType::Pingresp => {
                matches!(direction, Direction::ToClient)
            }
        }
    }

    /// The prescribed flags; `None` for PUBLISH, whose flags mean something ([MQTT-2.2.2-1]).
    pub(super) const fn fixed_flags(self) -> Option<u8> {
        match self {
            PacketType::Publish => None,
            PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe => Some(0b0010),
            PacketType::Connect
            | PacketType::Connack
            | PacketType::Puback
            | PacketType::Pubrec
            | PacketType::Pubcomp
            | PacketType::Suback
            | PacketType::Unsuback
            | PacketType::Pingreq
            | PacketType::Pingresp
            | PacketType::Disconnect => Some(0),
        }
    }

    /// The remaining length of packets that have only one.
    const fn fixed_length(self) -> Option<u32> {
        match self {
            PacketType::Connack
            | PacketType::Puback
            | PacketType::Pubrec
            | PacketType::Pubrel
            | PacketType::Pubcomp
            | PacketType::Unsuback => Some(2),
            PacketType::Pingreq | PacketType::Pingresp | PacketType::Disconnect => Some(0),
            PacketType::Connect
            | PacketType::Publish
            | PacketType::Subscribe
            | PacketType::Suback
            | PacketType::Unsubscribe => None,
        }
    }

    /// Refuses a remaining length that this packet cannot have.
    pub(super) fn check_length(self, remaining: u32) -> Result<(), DecodeError> {
        match self.fixed_length() {
            Some(length) if length != remaining => Err(DecodeError::WrongLength(self)),
            Some(_) | None => Ok(()),
        }
    }

    /// The first byte of such a packet when its flags are the prescribed ones.
    pub(super) const fn first_byte(self) -> u8 {
        let flags = match self.fixed_flags() {
            Some(flags) => flags,
            None => 0,
        };
        ((self as u8) << 4) | flags
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PacketType::Connect => "CONNECT",
            PacketType::Connack => "CONNACK",
            PacketType::Publish => "PUBLISH",
            PacketType::Puback => "PUBACK",
            PacketType::Pubrec => "PUBREC",
            PacketType::Pubrel => "PUBREL",
            PacketType::Pubcomp => "PUBCOMP",
            PacketType::Subscribe => "SUBSCRIBE",
            PacketType::Suback => "SUBACK",
            PacketType::Unsubscribe => "UNSUBSCRIBE",
            PacketType::Unsuback => "UNSUBACK",
            PacketType::Pingreq => "PINGREQ",
            PacketType::Pingresp => "PINGRESP",
            PacketType::Disconnect => "DISCONNECT",
        })
    }
}

/// DUP bit of a PUBLISH's first byte.
pub(super) const DUP: u8 = 0b1000;
/// RETAIN bit of a PUBLISH's first byte.
pub(super) const RETAIN: u8 = 0b0001;

/// A checked first byte: the type may travel this way, and the flags are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FirstByte {
    packet_type: PacketType,
    flags: u8,
}

impl FirstByte {
    /// Checks the first byte of a packet: enough to refuse most garbage before a second byte is here.
    #[inline]
    pub fn new(byte: u8, direction: Direction, version: Version) -> Result<FirstByte, DecodeError> {
        let (upper, flags) = (byte >> 4, byte & 0x0F);
        let packet_type = PacketType::from_u8(upper).ok_or(DecodeError::ReservedType(upper))?;
        if !packet_type.may_go(direction) {
            return Err(DecodeError::WrongDirection(packet_type));
        }
        match packet_type.fixed_flags() {
            None if (flags >> 1) & 3 == 3 => return Err(DecodeError::PublishQos3), // [MQTT-3.3.1-4]
            None if flags & DUP != 0 && (flags >> 1) & 3 == 0 => return Err(DecodeError::DupWithQos0), // [MQTT-3.3.1-2]
            // MQTT 3.1 §2.1 calls the flags of other packets unused, and has DUP on a PUBREL or SUBSCRIBE sent again.
            Some(fixed) if fixed != flags && version == Version::V311 => {
                return Err(DecodeError::ReservedFlags(packet_type)); // [MQTT-2.2.2-2]
            }
            None | Some(_) => {}
        }
        Ok(FirstByte { packet_type, flags })
    }

    /// The type.
    pub const fn packet_type(self) -> PacketType {
        self.packet_type
    }

    /// DUP of a PUBLISH.
    pub(super) const fn dup(self) -> bool {
        self.flags & DUP != 0
    }

    /// RETAIN of a PUBLISH.
    pub(super) const fn retain(self) -> bool {
        self.flags & RETAIN != 0
    }

    /// QoS of a PUBLISH.
    pub(super) fn qos(self) -> Result<QoS, DecodeError> {
        QoS::from_u8((self.flags >> 1) & 3).ok_or(DecodeError::PublishQos3)
    }
}

/// A remaining length as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemainingLength {
    /// The length, 0..=268,435,455.
    pub value: u32,
    /// Bytes that say so, 1..=4.
    pub bytes: u8,
}

impl RemainingLength {
    /// Reads the bytes behind the first one; `None` when more of them are needed.
    ///
    /// A length written with more bytes than needed (`80 00`) is accepted: MQTT 3.1.1 does not forbid it.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Option<RemainingLength>, DecodeError> {
        let mut value = 0;
        for (at, &byte) in (0_u8..4).zip(bytes) {
            value |= u32::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(Some(RemainingLength { value, bytes: at + 1 }));
            }
        }
        if bytes.len() < 4 { Ok(None) } else { Err(DecodeError::RemainingLengthTooLong) }
    }

    /// Appends `value`, which must not be above [`REMAINING_LENGTH_MAX`], in its shortest form.
    pub(super) fn write(mut value: u32, out: &mut Vec<u8>) {
        debug_assert!(value <= REMAINING_LENGTH_MAX, "encoders check their length first");
        while value > 0x7F {
            out.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_length_follows_table_2_4() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (321, &[0xC1, 0x02]),
            (16_383, &[0xFF, 0x7F]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xFF, 0xFF, 0x7F]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (REMAINING_LENGTH_MAX, &[0xFF, 0xFF, 0xFF, 0x7F]),
        ] {
            let mut out = Vec::new();
            RemainingLength::write(value, &mut out);
            assert_eq!(out, bytes);
            let expected = RemainingLength { value, bytes: bytes.len() as u8 };
            assert_eq!(RemainingLength::read(bytes), Ok(Some(expected)));
            for cut in 0..bytes.len() {
                assert_eq!(RemainingLength::read(bytes.get(..cut).unwrap()), Ok(None), "{value}");
            }
        }
    }

    #[test]
    fn a_fifth_length_byte_is_refused() {
        for bytes in
            [&[0xFF, 0xFF, 0xFF, 0xFF][..], &[0xFF, 0xFF, 0xFF, 0xFF, 0x7F], &[0x80, 0x80, 0x80, 0x80]]
        {
            assert_eq!(RemainingLength::read(bytes), Err(DecodeError::RemainingLengthTooLong));
        }
    }

    #[test]
    fn a_long_form_of_a_short_length_is_accepted() {
        assert_eq!(RemainingLength::read(&[0x80, 0x00]), Ok(Some(RemainingLength { value: 0, bytes: 2 })));
        assert_eq!(
            RemainingLength::read(&[0x82, 0x80, 0x80, 0x00]),
            Ok(Some(RemainingLength { value: 2, bytes: 4 }))
        );
    }

    #[test]
    fn first_byte_allows_exactly_the_bytes_of_section_2_2() {
        use Direction::{ToClient, ToServer};
        let publish = [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D];
        let both = [0x40, 0x50, 0x62, 0x70];
        let to_server = [0x10, 0x82, 0xA2, 0xC0, 0xE0];
        let to_client = [0x20, 0x90, 0xB0, 0xD0];
        for byte in 0..=u8::MAX {
            let shared = publish.contains(&byte) || both.contains(&byte);
            let server = FirstByte::new(byte, ToServer, Version::V311).is_ok();
            let client = FirstByte::new(byte, ToClient, Version::V311).is_ok();
            assert_eq!(server, shared || to_server.contains(&byte), "{byte:02x}");
            assert_eq!(client, shared || to_client.contains(&byte), "{byte:02x}");
        }
    }

    #[test]
    fn mqtt_3_1_does_not_look_at_unused_flags() {
        for byte in [0x8A, 0x6A, 0xAA, 0x80, 0xC1] {
            assert!(FirstByte::new(byte, Direction::ToServer, Version::V31).is_ok(), "{byte:02x}");
            assert!(FirstByte::new(byte, Direction::ToServer, Version::V311).is_err(), "{byte:02x}");
        }
        let version = Version::V31;
        assert_eq!(FirstByte::new(0x36, Direction::ToServer, version), Err(DecodeError::PublishQos3));
        assert_eq!(FirstByte::new(0xF0, Direction::ToServer, version), Err(DecodeError::ReservedType(15)));
    }
}
