//! Small helpers of the encoders: lengths are checked first, then bytes are appended.
use super::error::EncodeError;
use super::fixed_header::{PacketType, REMAINING_LENGTH_MAX, RemainingLength};

/// Length of a field that gets two bytes of length.
pub(super) fn field_len(field: &[u8]) -> Result<u16, EncodeError> {
    u16::try_from(field.len()).map_err(|_| EncodeError::FieldTooLong)
}

/// A remaining length, if the wire can say it.
pub(super) fn remaining(length: usize) -> Result<u32, EncodeError> {
    match u32::try_from(length) {
        Ok(length) if length <= REMAINING_LENGTH_MAX => Ok(length),
        Ok(_) | Err(_) => Err(EncodeError::PacketTooLong),
    }
}

/// Appends the fixed header, with room for the packet.
pub(super) fn fixed_header(first_byte: u8, remaining: u32, out: &mut Vec<u8>) {
    out.reserve(5 + remaining as usize);
    out.push(first_byte);
    RemainingLength::write(remaining, out);
}

/// Appends the fixed header of a packet whose flags are prescribed.
pub(super) fn header_of(packet_type: PacketType, remaining: u32, out: &mut Vec<u8>) {
    fixed_header(packet_type.first_byte(), remaining, out);
}

/// Appends a field whose length the caller has checked with [`field_len`].
pub(super) fn field(bytes: &[u8], out: &mut Vec<u8>) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "checked by field_len");
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}
