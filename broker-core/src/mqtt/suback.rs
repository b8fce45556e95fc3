//! SUBACK (§3.9).
use super::error::{DecodeError, EncodeError};
use super::fixed_header::PacketType;
use super::reader::Reader;
use super::write;
use crate::message::{PacketId, QoS};

/// Return code of a refused filter.
const FAILURE: u8 = 0x80;

/// The answer to SUBSCRIBE: one return code for each filter, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suback<'a> {
    /// Id of the SUBSCRIBE.
    pub packet_id: PacketId,
    codes: &'a [u8],
}

impl<'a> Suback<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(PacketType::Suback, body);
        let packet_id = reader.packet_id()?;
        let codes = reader.rest();
        match codes.iter().find(|code| **code > 2 && **code != FAILURE) {
            Some(code) => Err(DecodeError::SubackReturnCode(*code)), // [MQTT-3.9.3-2]
            None if codes.is_empty() => Err(DecodeError::SubackEmpty),
            None => Ok(Suback { packet_id, codes }),
        }
    }

    /// What was granted for each filter; `None` is a refusal (0x80).
    pub fn granted(&self) -> impl ExactSizeIterator<Item = Option<QoS>> {
        self.codes.iter().map(|&code| QoS::from_u8(code))
    }
}

/// Appends a SUBACK; `None` in `granted` is a refusal (0x80).
pub fn encode_suback(
    packet_id: PacketId,
    granted: &[Option<QoS>],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if granted.is_empty() {
        return Err(EncodeError::NoEntries);
    }
    write::header_of(PacketType::Suback, write::remaining(2 + granted.len())?, out);
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    out.extend(granted.iter().map(|granted| granted.map_or(FAILURE, |qos| qos as u8)));
    Ok(())
}
