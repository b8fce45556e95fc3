//! A cursor over the body of one packet: every read is checked, nothing is indexed.
use super::error::DecodeError;
use super::fixed_header::PacketType;
use crate::message::PacketId;

/// What is left of a packet's body.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    packet_type: PacketType,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(packet_type: PacketType, body: &'a [u8]) -> Self {
        Reader { rest: body, packet_type }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated(self.packet_type))?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (bytes, rest) =
            self.rest.split_first_chunk::<2>().ok_or(DecodeError::Truncated(self.packet_type))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::PacketIdZero) // [MQTT-2.3.1-1]
    }

    /// A field with a length of two bytes before it (§1.5.3, and binary fields).
    #[inline]
    pub(super) fn field(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        let (field, rest) = self
            .rest
            .split_at_checked(usize::from(length))
            .ok_or(DecodeError::Truncated(self.packet_type))?;
        self.rest = rest;
        Ok(field)
    }

    /// UTF-8 without judging U+0000: for fields that are checked for it on their own.
    #[inline]
    pub(super) fn utf8(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.field()?).map_err(|_| DecodeError::Utf8) // [MQTT-1.5.3-1]
    }

    /// A text (§1.5.3).
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let text = self.utf8()?;
        if text.bytes().fold(false, |nul, byte| nul | (byte == 0)) {
            return Err(DecodeError::Nul); // [MQTT-1.5.3-2]
        }
        Ok(text)
    }

    /// Everything that is left.
    #[inline]
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// The packet must end here.
    #[inline]
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.packet_type)) }
    }
}
