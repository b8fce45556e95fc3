//! Cutting a byte stream into packets, refusing as early as the header allows.
//!
//! A hostile peer must not make us wait, or hold memory, for a body that will be refused anyway: the type is judged
//! on the first byte, the length as soon as it can be read, and nothing is reserved from a declared length.
use super::connect::Version;
use super::error::DecodeError;
use super::fixed_header::{Direction, FirstByte, PacketType, RemainingLength};
use super::packet::{self, Packet};

/// What may come next on a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRules {
    /// Which side we read from.
    pub direction: Direction,
    /// The connection's version; before CONNECT it is [`Version::V311`].
    pub version: Version,
    /// CONNECT (for a client: CONNACK) has been read.
    pub connected: bool,
    /// Largest CONNECT, bytes with header.
    pub connect_bytes_max: usize,
    /// Largest other packet, bytes with header.
    pub packet_bytes_max: usize,
}

impl FrameRules {
    /// Judges a first byte.
    #[inline]
    pub fn first_byte(&self, byte: u8) -> Result<FirstByte, DecodeError> {
        let first = FirstByte::new(byte, self.direction, self.version)?;
        let packet_type = first.packet_type();
        let opens = matches!(packet_type, PacketType::Connect | PacketType::Connack);
        match (self.connected, opens) {
            (false, false) => Err(DecodeError::NotConnectFirst(packet_type)), // [MQTT-3.1.0-1], [MQTT-3.2.0-1]
            (true, true) => Err(DecodeError::ConnectAgain),                   // [MQTT-3.1.0-2]
            (false, true) | (true, false) => Ok(first),
        }
    }

    /// Judges a packet's size.
    fn size(&self, packet_type: PacketType, bytes: usize) -> Result<(), DecodeError> {
        if packet_type == PacketType::Connect && bytes > self.connect_bytes_max {
            Err(DecodeError::ConnectTooLarge)
        } else if bytes > self.packet_bytes_max {
            Err(DecodeError::PacketTooLarge(packet_type))
        } else {
            Ok(())
        }
    }
}

/// One whole packet, still undecoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Type and flags.
    pub first: FirstByte,
    /// What the remaining length counts.
    pub body: &'a [u8],
    /// Bytes of the packet with its header: what the caller takes off its buffer.
    pub len: usize,
}

impl<'a> Frame<'a> {
    /// Decodes the body.
    #[inline]
    pub fn decode(&self) -> Result<Packet<'a>, DecodeError> {
        packet::decode_body(self.first, self.body)
    }
}

/// Result of [`split`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split<'a> {
    /// A whole packet stands at the front of the buffer.
    Frame(Frame<'a>),
    /// More bytes are needed.
    Incomplete {
        /// Asking again makes no sense before the buffer holds this many bytes.
        bytes_wanted: usize,
    },
}

/// Looks at the front of `buffer`: a packet, a reason to wait, or a reason to close.
#[inline]
pub fn split<'a>(buffer: &'a [u8], rules: &FrameRules) -> Result<Split<'a>, DecodeError> {
    let Some((&byte, behind)) = buffer.split_first() else {
        return Ok(Split::Incomplete { bytes_wanted: 2 });
    };
    let first = rules.first_byte(byte)?;
    let Some(remaining) = RemainingLength::read(behind)? else {
        return Ok(Split::Incomplete { bytes_wanted: buffer.len() + 1 });
    };
    let (header, body) = (1 + usize::from(remaining.bytes), remaining.value as usize);
    let len = header + body;
    rules.size(first.packet_type(), len)?;
    first.packet_type().check_length(remaining.value)?;
    match buffer.get(header..len) {
        Some(body) => Ok(Split::Frame(Frame { first, body, len })),
        None => Ok(Split::Incomplete { bytes_wanted: len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: FrameRules = FrameRules {
        direction: Direction::ToServer,
        version: Version::V311,
        connected: false,
        connect_bytes_max: 64 << 10,
        packet_bytes_max: 1 << 20,
    };
    const CLIENT: FrameRules = FrameRules { connected: true, ..STRANGER };

    #[test]
    fn a_wrong_first_packet_is_refused_on_its_first_byte() {
        // hostile M01, M05
        for byte in (0x20..=0xFF).step_by(0x10) {
            assert!(split(&[byte], &STRANGER).is_err(), "{byte:02x}");
        }
        assert_eq!(split(&[0x30], &STRANGER), Err(DecodeError::NotConnectFirst(PacketType::Publish)));
        assert_eq!(split(&[0x82], &STRANGER), Err(DecodeError::NotConnectFirst(PacketType::Subscribe)));
        for byte in [0x00, 0x01, 0x0F] {
            assert_eq!(split(&[byte], &STRANGER), Err(DecodeError::ReservedType(0)));
            assert_eq!(split(&[byte], &CLIENT), Err(DecodeError::ReservedType(0)));
        }
        assert_eq!(split(&[0xF0, 0x00], &CLIENT), Err(DecodeError::ReservedType(15)));
        assert_eq!(split(&[0x10], &STRANGER), Ok(Split::Incomplete { bytes_wanted: 2 }));
    }

    #[test]
    fn a_second_connect_is_refused_on_its_first_byte() {
        assert_eq!(split(&[0x10], &CLIENT), Err(DecodeError::ConnectAgain));
    }

    #[test]
    fn a_server_must_begin_with_connack() {
        let rules = FrameRules { direction: Direction::ToClient, ..STRANGER };
        assert_eq!(split(&[0x30], &rules), Err(DecodeError::NotConnectFirst(PacketType::Publish)));
        assert!(matches!(split(&[0x20, 2, 0, 0], &rules), Ok(Split::Frame(_))));
    }

    #[test]
    fn too_large_is_refused_at_the_header() {
        // hostile M02, M04
        assert_eq!(split(&[0x10, 0xFF, 0xFF, 0xFF, 0x7F], &STRANGER), Err(DecodeError::ConnectTooLarge));
        assert_eq!(
            split(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1], &CLIENT),
            Err(DecodeError::PacketTooLarge(PacketType::Publish))
        );
        // 64 KiB with header passes, one byte more does not
        let body = (64 << 10) - 4;
        let header = |body: u32| {
            let mut bytes = vec![0x10];
            RemainingLength::write(body, &mut bytes);
            bytes
        };
        assert_eq!(split(&header(body), &STRANGER), Ok(Split::Incomplete { bytes_wanted: 64 << 10 }));
        assert_eq!(split(&header(body + 1), &STRANGER), Err(DecodeError::ConnectTooLarge));
    }

    #[test]
    fn a_five_byte_length_is_refused() {
        // hostile M03
        let bytes = [0x10, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(split(&bytes, &STRANGER), Err(DecodeError::RemainingLengthTooLong));
        let four = bytes.get(..4).unwrap();
        assert_eq!(split(four, &STRANGER), Ok(Split::Incomplete { bytes_wanted: 5 }));
    }

    #[test]
    fn fixed_sizes_are_checked_at_the_header() {
        for bytes in [&[0xC0, 1][..], &[0x40, 3], &[0x62, 0], &[0xE0, 0xFF, 0x7F]] {
            assert!(matches!(split(bytes, &CLIENT), Err(DecodeError::WrongLength(_))), "{bytes:02x?}");
        }
    }

    #[test]
    fn packets_are_cut_at_every_boundary() {
        let stream = [0x30, 4, 0, 1, b't', b'x', 0xC0, 0, 0x40, 2, 0, 7];
        for cut in 0..6 {
            let Ok(Split::Incomplete { bytes_wanted }) = split(stream.get(..cut).unwrap(), &CLIENT) else {
                panic!("{cut} bytes are no packet");
            };
            assert!(bytes_wanted > cut && bytes_wanted <= 6);
        }
        let mut rest = &stream[..];
        let mut lengths = Vec::new();
        while !rest.is_empty() {
            let Ok(Split::Frame(frame)) = split(rest, &CLIENT) else { panic!("three whole packets") };
            lengths.push((frame.first.packet_type(), frame.len));
            rest = rest.get(frame.len..).unwrap();
        }
        assert_eq!(lengths, [(PacketType::Publish, 6), (PacketType::Pingreq, 2), (PacketType::Puback, 4)]);
    }
}
