//! The will topic of WILLTOPIC and WILLTOPICUPD (MQTT-SN §5.4.7, §5.4.23). Will messages are plain octets.

use super::{Qos, WireError, cursor::Cursor, flags};

/// Where a will goes. Its absence (the 2-octet form) deletes the will, topic and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WillTopic<'a> {
    /// QoS of the will; `MinusOne` is invalid here and refused by the state machine.
    pub qos: Qos,
    /// The will becomes a retained message.
    pub retain: bool,
    /// Topic name as received; never empty after decoding.
    pub topic: &'a [u8],
}

impl<'a> WillTopic<'a> {
    pub(super) fn body_len(topic: &Option<Self>) -> usize {
        topic.as_ref().map_or(0, |topic| 1 + topic.topic.len())
    }

    /// Interpretation: flags without a name (3 octets in all) are the empty form too; there is nothing
    /// else that such a message could mean.
    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Option<Self>, WireError> {
        if body.is_empty() {
            return Ok(None);
        }
        let flags = body.octet()?;
        let topic = body.rest();
        if topic.is_empty() {
            return Ok(None);
        }
        Ok(Some(WillTopic { qos: Qos::from_flags(flags), retain: flags & flags::RETAIN != 0, topic }))
    }

    pub(super) fn encode(topic: &Option<Self>, out: &mut Vec<u8>) {
        let Some(topic) = topic else { return };
        let mut flags = topic.qos.to_flags();
        if topic.retain {
            flags |= flags::RETAIN;
        }
        out.push(flags);
        out.extend_from_slice(topic.topic);
    }
}
