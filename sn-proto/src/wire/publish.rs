//! PUBLISH and PUBACK (MQTT-SN §5.4.12, §5.4.13), and the bare MsgId of PUBREC, PUBREL and PUBCOMP (§5.4.14).

use super::{Qos, ReturnCode, TopicIdType, WireError, cursor::Cursor, flags};

/// An application message, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before.
    pub dup: bool,
    /// Level of delivery.
    pub qos: Qos,
    /// To be retained (from a client); delivered because it was retained (from a gateway).
    pub retain: bool,
    /// What `topic` holds.
    pub topic_id_type: TopicIdType,
    /// The TopicId field as it stands: an id, or two octets of a short name.
    pub topic_id: u16,
    /// 0 for QoS 0 and −1 (other values are ignored there).
    pub msg_id: u16,
    /// Payload; may be empty.
    pub data: &'a [u8],
}

/// Acknowledges a PUBLISH of QoS 1, or refuses one of any QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubAck {
    /// The TopicId field of the PUBLISH, octet by octet. Some clients send 0, so it is only a hint.
    pub topic_id: u16,
    /// MsgId of the PUBLISH.
    pub msg_id: u16,
    /// Whether it was taken.
    pub return_code: ReturnCode,
}

impl<'a> Publish<'a> {
    pub(super) fn body_len(&self) -> usize {
        5 + self.data.len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        let flags = body.octet()?;
        Ok(Publish {
            dup: flags & flags::DUP != 0,
            qos: Qos::from_flags(flags),
            retain: flags & flags::RETAIN != 0,
            topic_id_type: TopicIdType::from_flags(flags),
            topic_id: body.number()?,
            msg_id: body.number()?,
            data: body.rest(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut flags = self.qos.to_flags() | self.topic_id_type.to_flags();
        if self.dup {
            flags |= flags::DUP;
        }
        if self.retain {
            flags |= flags::RETAIN;
        }
        out.push(flags);
        out.extend_from_slice(&self.topic_id.to_be_bytes());
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

impl PubAck {
    pub(super) const BODY: usize = 5;

    pub(super) fn decode(mut body: Cursor<'_>) -> Result<Self, WireError> {
        let ack = PubAck {
            topic_id: body.number()?,
            msg_id: body.number()?,
            return_code: ReturnCode::from_octet(body.octet()?),
        };
        body.end()?;
        Ok(ack)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.topic_id.to_be_bytes());
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        out.push(self.return_code.octet());
    }
}

/// The body of PUBREC, PUBREL, PUBCOMP and UNSUBACK: a MsgId and nothing else.
pub(super) fn decode_msg_id(mut body: Cursor<'_>) -> Result<u16, WireError> {
    let msg_id = body.number()?;
    body.end()?;
    Ok(msg_id)
}
