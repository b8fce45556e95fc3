//! PUBLISH (§3.3): the packet that costs, so decoding it takes one UTF-8 check, one scan and no copy.
use super::error::{DecodeError, EncodeError};
use super::fixed_header::{DUP, FirstByte, PacketType, RETAIN};
use super::reader::Reader;
use super::write;
use crate::message::{PacketId, QoS};
use crate::topic::{TopicError, TopicNameRef};

/// An application message on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Publish<'a> {
    /// Sent before ([MQTT-3.3.1-1]); never at QoS 0.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN.
    pub retain: bool,
    /// A topic name by the rules of MQTT; the operator's limits are not checked yet, see [`TopicNameRef::within`].
    pub topic: TopicNameRef<'a>,
    /// `Some` at QoS 1 and 2, `None` at QoS 0.
    pub packet_id: Option<PacketId>,
    /// The payload, possibly empty.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Decodes the body of a packet whose first byte is that of a PUBLISH.
    #[inline]
    pub fn decode(first: FirstByte, body: &'a [u8]) -> Result<Publish<'a>, DecodeError> {
        let mut reader = Reader::new(PacketType::Publish, body);
        let qos = first.qos()?;
        let topic = TopicNameRef::new(reader.utf8()?).map_err(topic_error)?;
        let packet_id = match qos {
            QoS::AtMostOnce => None, // [MQTT-2.3.1-5]
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(reader.packet_id()?),
        };
        let (dup, retain) = (first.dup(), first.retain());
        Ok(Publish { dup, qos, retain, topic, packet_id, payload: reader.rest() })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let topic = self.topic.as_str().as_bytes();
        encode_publish_header(
            out,
            topic,
            self.qos,
            self.packet_id,
            self.dup,
            self.retain,
            self.payload.len(),
        )?;
        out.extend_from_slice(self.payload);
        Ok(())
    }
}

#[cold]
fn topic_error(error: TopicError) -> DecodeError {
    if error == TopicError::Nul { DecodeError::Nul } else { DecodeError::Topic(error) }
}

/// Appends everything of a PUBLISH but its payload of `payload_len` bytes, which the caller appends or sends next.
///
/// `topic` holds the bytes of a valid topic name; the caller vouches for that, since a stored message keeps no type
/// for it. `dup` is left out at QoS 0 ([MQTT-3.3.1-2]).
#[inline]
pub fn encode_publish_header(
    out: &mut Vec<u8>,
    topic: &[u8],
    qos: QoS,
    packet_id: Option<PacketId>,
    dup: bool,
    retain: bool,
    payload_len: usize,
) -> Result<(), EncodeError> {
    let (id_len, dup) = match (qos, packet_id) {
        (QoS::AtMostOnce, None) => (0, 0),
        (QoS::AtLeastOnce | QoS::ExactlyOnce, Some(_)) => (2, if dup { DUP } else { 0 }),
        (QoS::AtMostOnce, Some(_)) | (QoS::AtLeastOnce | QoS::ExactlyOnce, None) => {
            return Err(EncodeError::PacketId);
        }
    };
    let head = 2 + usize::from(write::field_len(topic)?) + id_len;
    let remaining = write::remaining(head.saturating_add(payload_len))?;
    let flags = dup | ((qos as u8) << 1) | if retain { RETAIN } else { 0 };
    let first = PacketType::Publish.first_byte() | flags;
    let [high, low] = (topic.len() as u16).to_be_bytes();
    if remaining < 0x80 {
        out.reserve(2 + remaining as usize);
        out.extend_from_slice(&[first, remaining as u8, high, low]); // the usual small one, in one store
    } else {
        write::fixed_header(first, remaining, out);
        out.extend_from_slice(&[high, low]);
    }
    out.extend_from_slice(topic);
    if let Some(packet_id) = packet_id {
        out.extend_from_slice(&packet_id.get().to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_a_wire_form_leave_the_buffer_alone() {
        let id = PacketId::new(1);
        let long = vec![b'a'; 65_536];
        let mut out = vec![7];
        for (topic, qos, packet_id, payload_len, error) in [
            (&b"t"[..], QoS::AtLeastOnce, None, 0, EncodeError::PacketId),
            (b"t", QoS::ExactlyOnce, None, 0, EncodeError::PacketId),
            (b"t", QoS::AtMostOnce, id, 0, EncodeError::PacketId),
            (&long, QoS::AtMostOnce, None, 0, EncodeError::FieldTooLong),
            (b"t", QoS::AtMostOnce, None, 268_435_453, EncodeError::PacketTooLong),
            (b"t", QoS::AtMostOnce, None, usize::MAX, EncodeError::PacketTooLong),
        ] {
            let result = encode_publish_header(&mut out, topic, qos, packet_id, false, false, payload_len);
            assert_eq!(result, Err(error));
            assert_eq!(out, [7]);
        }
    }

    #[test]
    fn dup_is_never_written_at_qos_0() {
        let mut out = Vec::new();
        encode_publish_header(&mut out, b"t", QoS::AtMostOnce, None, true, true, 0).unwrap();
        assert_eq!(out, [0x31, 3, 0, 1, b't']);
    }
}
