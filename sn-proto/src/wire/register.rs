//! REGISTER and REGACK (MQTT-SN §5.4.10, §5.4.11, §6.5), in both directions.

use super::{ReturnCode, WireError, cursor::Cursor};

/// Asks for a topic id (client), or announces one (gateway).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register<'a> {
    /// 0 from a client; the assigned id from a gateway.
    pub topic_id: u16,
    /// Pairs the REGACK with this; 0 is accepted, since clients send it.
    pub msg_id: u16,
    /// As received; validity is answered with a return code.
    pub topic_name: &'a [u8],
}

/// The answer to REGISTER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegAck {
    /// The id, from a gateway; an echo, from a client.
    pub topic_id: u16,
    /// MsgId of the REGISTER.
    pub msg_id: u16,
    /// Whether the id is good.
    pub return_code: ReturnCode,
}

impl<'a> Register<'a> {
    pub(super) fn body_len(&self) -> usize {
        4 + self.topic_name.len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        Ok(Register { topic_id: body.number()?, msg_id: body.number()?, topic_name: body.rest() })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.topic_id.to_be_bytes());
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        out.extend_from_slice(self.topic_name);
    }
}

impl RegAck {
    pub(super) const BODY: usize = 5;

    pub(super) fn decode(mut body: Cursor<'_>) -> Result<Self, WireError> {
        let ack = RegAck {
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
