//! PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK: a packet identifier and nothing else (§3.4 to §3.7, §3.11).
use super::error::DecodeError;
use super::fixed_header::PacketType;
use super::reader::Reader;
use crate::message::PacketId;

/// The packets that are no more than a packet identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum AckKind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Unsuback,
}

impl AckKind {
    /// Its packet type.
    pub const fn packet_type(self) -> PacketType {
        match self {
            AckKind::Puback => PacketType::Puback,
            AckKind::Pubrec => PacketType::Pubrec,
            AckKind::Pubrel => PacketType::Pubrel,
            AckKind::Pubcomp => PacketType::Pubcomp,
            AckKind::Unsuback => PacketType::Unsuback,
        }
    }
}

/// Appends such a packet: four bytes.
#[inline]
pub fn encode_ack(kind: AckKind, packet_id: PacketId, out: &mut Vec<u8>) {
    let [high, low] = packet_id.get().to_be_bytes();
    out.extend_from_slice(&[kind.packet_type().first_byte(), 2, high, low]);
}

pub(super) fn decode_ack(packet_type: PacketType, body: &[u8]) -> Result<PacketId, DecodeError> {
    let mut reader = Reader::new(packet_type, body);
    let packet_id = reader.packet_id()?;
    reader.finish()?;
    Ok(packet_id)
}
