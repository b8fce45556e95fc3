//! [`Packet`]: any control packet, borrowed from the bytes it was decoded from.
use super::ack::{AckKind, decode_ack};
use super::connack::Connack;
use super::connect::{Connect, Version};
use super::error::DecodeError;
use super::fixed_header::{Direction, FirstByte, PacketType};
use super::publish::Publish;
use super::suback::Suback;
use super::subscribe::{Subscribe, Unsubscribe};
use crate::message::PacketId;

/// A control packet of MQTT 3.1.1 or 3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    Connack(Connack),
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK.
    Ack(AckKind, PacketId),
    Subscribe(Subscribe<'a>),
    Suback(Suback<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Pingreq,
    Pingresp,
    Disconnect,
}

/// Decodes one whole MQTT 3.1.1 packet that was cut from its stream by other means (a test, a capture). Streams use
/// [`super::frame::split`], which also knows the connection's version and limits.
pub fn decode(first_byte: u8, body: &[u8], direction: Direction) -> Result<Packet<'_>, DecodeError> {
    let first = FirstByte::new(first_byte, direction, Version::V311)?;
    decode_body(first, body)
}

#[inline]
pub(super) fn decode_body(first: FirstByte, body: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let packet_type = first.packet_type();
    packet_type.check_length(u32::try_from(body.len()).unwrap_or(u32::MAX))?;
    let ack = |kind| decode_ack(packet_type, body).map(|packet_id| Packet::Ack(kind, packet_id));
    match packet_type {
        PacketType::Publish => Publish::decode(first, body).map(Packet::Publish),
        PacketType::Puback => ack(AckKind::Puback),
        PacketType::Pubrec => ack(AckKind::Pubrec),
        PacketType::Pubrel => ack(AckKind::Pubrel),
        PacketType::Pubcomp => ack(AckKind::Pubcomp),
        PacketType::Unsuback => ack(AckKind::Unsuback),
        PacketType::Connect => Connect::decode(body).map(Packet::Connect),
        PacketType::Connack => Connack::decode(body).map(Packet::Connack),
        PacketType::Subscribe => Subscribe::decode(body).map(Packet::Subscribe),
        PacketType::Suback => Suback::decode(body).map(Packet::Suback),
        PacketType::Unsubscribe => Unsubscribe::decode(body).map(Packet::Unsubscribe),
        PacketType::Pingreq => Ok(Packet::Pingreq),
        PacketType::Pingresp => Ok(Packet::Pingresp),
        PacketType::Disconnect => Ok(Packet::Disconnect),
    }
}

/// Appends a PINGREQ.
pub fn encode_pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[PacketType::Pingreq.first_byte(), 0]);
}

/// Appends a PINGRESP.
pub fn encode_pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[PacketType::Pingresp.first_byte(), 0]);
}

/// Appends a DISCONNECT.
pub fn encode_disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[PacketType::Disconnect.first_byte(), 0]);
}
