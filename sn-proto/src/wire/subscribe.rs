//! SUBSCRIBE, SUBACK and UNSUBSCRIBE (MQTT-SN §5.4.15–5.4.17, §6.9).

use super::{Qos, ReturnCode, TopicIdType, WireError, cursor::Cursor, flags};

/// What a SUBSCRIBE or UNSUBSCRIBE names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// A topic name or filter, of at least one octet; validity is answered with a return code.
    Name(&'a [u8]),
    /// A predefined topic id.
    Predefined(u16),
    /// A topic name of exactly two octets.
    Short([u8; 2]),
    /// No topic at all: reserved TopicIdType, an empty name, or an id that is not of two octets.
    Invalid(TopicIdType, &'a [u8]),
}

impl<'a> TopicRef<'a> {
    fn decode(topic_id_type: TopicIdType, field: &'a [u8]) -> Self {
        let pair = <[u8; 2]>::try_from(field).ok();
        match (topic_id_type, pair) {
            (TopicIdType::Normal, _) if !field.is_empty() => TopicRef::Name(field),
            (TopicIdType::Predefined, Some(pair)) => TopicRef::Predefined(u16::from_be_bytes(pair)),
            (TopicIdType::Short, Some(pair)) => TopicRef::Short(pair),
            (
                TopicIdType::Normal | TopicIdType::Predefined | TopicIdType::Short | TopicIdType::Reserved,
                _,
            ) => TopicRef::Invalid(topic_id_type, field),
        }
    }

    fn topic_id_type(&self) -> TopicIdType {
        match *self {
            TopicRef::Name(_) => TopicIdType::Normal,
            TopicRef::Predefined(_) => TopicIdType::Predefined,
            TopicRef::Short(_) => TopicIdType::Short,
            TopicRef::Invalid(topic_id_type, _) => topic_id_type,
        }
    }

    fn body_len(&self) -> usize {
        match self {
            TopicRef::Name(field) | TopicRef::Invalid(_, field) => field.len(),
            TopicRef::Predefined(_) | TopicRef::Short(_) => 2,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            TopicRef::Name(field) | TopicRef::Invalid(_, field) => out.extend_from_slice(field),
            TopicRef::Predefined(id) => out.extend_from_slice(&id.to_be_bytes()),
            TopicRef::Short(pair) => out.extend_from_slice(pair),
        }
    }
}

/// A client wants the messages of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Sent before.
    pub dup: bool,
    /// Highest QoS wanted; `MinusOne` is refused by the state machine.
    pub qos: Qos,
    /// Pairs the SUBACK with this.
    pub msg_id: u16,
    /// What is subscribed.
    pub topic: TopicRef<'a>,
}

/// A client no longer wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Pairs the UNSUBACK with this.
    pub msg_id: u16,
    /// What was subscribed.
    pub topic: TopicRef<'a>,
}

/// The answer to SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck {
    /// QoS granted.
    pub qos: Qos,
    /// Id that PUBLISHes will carry; 0 for a filter with wildcards and (by default) a short name.
    pub topic_id: u16,
    /// MsgId of the SUBSCRIBE.
    pub msg_id: u16,
    /// Whether it was accepted.
    pub return_code: ReturnCode,
}

impl<'a> Subscribe<'a> {
    pub(super) fn body_len(&self) -> usize {
        3 + self.topic.body_len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        let flags = body.octet()?;
        Ok(Subscribe {
            dup: flags & flags::DUP != 0,
            qos: Qos::from_flags(flags),
            msg_id: body.number()?,
            topic: TopicRef::decode(TopicIdType::from_flags(flags), body.rest()),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut flags = self.qos.to_flags() | self.topic.topic_id_type().to_flags();
        if self.dup {
            flags |= flags::DUP;
        }
        out.push(flags);
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        self.topic.encode(out);
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn body_len(&self) -> usize {
        3 + self.topic.body_len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        let flags = body.octet()?;
        Ok(Unsubscribe {
            msg_id: body.number()?,
            topic: TopicRef::decode(TopicIdType::from_flags(flags), body.rest()),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.topic.topic_id_type().to_flags());
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        self.topic.encode(out);
    }
}

impl SubAck {
    pub(super) const BODY: usize = 6;

    pub(super) fn decode(mut body: Cursor<'_>) -> Result<Self, WireError> {
        let ack = SubAck {
            qos: Qos::from_flags(body.octet()?),
            topic_id: body.number()?,
            msg_id: body.number()?,
            return_code: ReturnCode::from_octet(body.octet()?),
        };
        body.end()?;
        Ok(ack)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.qos.to_flags());
        out.extend_from_slice(&self.topic_id.to_be_bytes());
        out.extend_from_slice(&self.msg_id.to_be_bytes());
        out.push(self.return_code.octet());
    }
}
