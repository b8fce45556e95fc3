//! MQTT-SN 1.2 on the wire (§5): bytes to values that borrow from them, and back.
//!
//! One file for each message family. Decoding is strict (a Length that is not the datagram's is refused)
//! but for one bug of a common client, see `split_header`. What the specification answers with a return code
//! (an empty topic name, a reserved topic id type, an unknown protocol id) is decoded and left to the
//! state machine; what it cannot answer is a [`WireError`]. Both directions are here, since tools, the
//! simulator and the tests play the client.
#![deny(clippy::indexing_slicing)]

mod connect;
mod cursor;
mod discovery;
mod error;
mod flags;
mod forward;
mod publish;
mod register;
mod subscribe;
#[cfg(test)]
mod tests;
mod will;

pub use connect::{ClientIdError, Connect, PROTOCOL_ID, client_id};
pub use discovery::{Advertise, GwInfo, SearchGw};
pub use error::{MessageTooLong, WireError};
pub use flags::{Qos, ReturnCode, TopicIdType};
pub use forward::{Datagram, Envelope};
pub use publish::{PubAck, Publish};
pub use register::{RegAck, Register};
pub use subscribe::{SubAck, Subscribe, TopicRef, Unsubscribe};
pub use will::WillTopic;

use cursor::Cursor;

/// First octet of the 3-octet Length form (§5.2.1).
const LONG_FORM: u8 = 0x01;
/// Length octets and type octet of the 1-octet form.
const SHORT_HEADER: usize = 2;
/// The same of the 3-octet form.
const LONG_HEADER: usize = 4;
/// Longest message that the 1-octet form can say.
const SHORT_MAX: usize = 255;
/// Longest message of all.
pub const MESSAGE_MAX: usize = 65_535;

/// Every message of MQTT-SN 1.2 but the forwarder encapsulation, which is an [`Envelope`] around one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// 0x00
    Advertise(Advertise),
    /// 0x01
    SearchGw(SearchGw),
    /// 0x02
    GwInfo(GwInfo<'a>),
    /// 0x04
    Connect(Connect<'a>),
    /// 0x05
    ConnAck(ReturnCode),
    /// 0x06
    WillTopicReq,
    /// 0x07; `None` deletes the will
    WillTopic(Option<WillTopic<'a>>),
    /// 0x08
    WillMsgReq,
    /// 0x09
    WillMsg(&'a [u8]),
    /// 0x0A
    Register(Register<'a>),
    /// 0x0B
    RegAck(RegAck),
    /// 0x0C
    Publish(Publish<'a>),
    /// 0x0D
    PubAck(PubAck),
    /// 0x0E, with its MsgId
    PubComp(u16),
    /// 0x0F, with its MsgId
    PubRec(u16),
    /// 0x10, with its MsgId
    PubRel(u16),
    /// 0x12
    Subscribe(Subscribe<'a>),
    /// 0x13
    SubAck(SubAck),
    /// 0x14
    Unsubscribe(Unsubscribe<'a>),
    /// 0x15, with its MsgId
    UnsubAck(u16),
    /// 0x16; the ClientId as received, empty when there is none
    PingReq(&'a [u8]),
    /// 0x17
    PingResp,
    /// 0x18; seconds of sleep, or `None`
    Disconnect(Option<u16>),
    /// 0x1A; `None` deletes the will
    WillTopicUpd(Option<WillTopic<'a>>),
    /// 0x1B
    WillTopicResp(ReturnCode),
    /// 0x1C
    WillMsgUpd(&'a [u8]),
    /// 0x1D
    WillMsgResp(ReturnCode),
}

impl<'a> Message<'a> {
    /// Reads one message that fills `datagram` exactly.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, WireError> {
        let (kind, body) = split_header(datagram)?;
        let mut body = Cursor::new(body);
        Ok(match kind {
            0x00 => Message::Advertise(Advertise::decode(body)?),
            0x01 => Message::SearchGw(SearchGw::decode(body)?),
            0x02 => Message::GwInfo(GwInfo::decode(body)?),
            0x04 => Message::Connect(Connect::decode(body)?),
            0x05 => Message::ConnAck(decode_return_code(body)?),
            0x06 => {
                body.end()?;
                Message::WillTopicReq
            }
            0x07 => Message::WillTopic(WillTopic::decode(body)?),
            0x08 => {
                body.end()?;
                Message::WillMsgReq
            }
            0x09 => Message::WillMsg(body.rest()),
            0x0A => Message::Register(Register::decode(body)?),
            0x0B => Message::RegAck(RegAck::decode(body)?),
            0x0C => Message::Publish(Publish::decode(body)?),
            0x0D => Message::PubAck(PubAck::decode(body)?),
            0x0E => Message::PubComp(publish::decode_msg_id(body)?),
            0x0F => Message::PubRec(publish::decode_msg_id(body)?),
            0x10 => Message::PubRel(publish::decode_msg_id(body)?),
            0x12 => Message::Subscribe(Subscribe::decode(body)?),
            0x13 => Message::SubAck(SubAck::decode(body)?),
            0x14 => Message::Unsubscribe(Unsubscribe::decode(body)?),
            0x15 => Message::UnsubAck(publish::decode_msg_id(body)?),
            0x16 => Message::PingReq(body.rest()),
            0x17 => {
                body.end()?;
                Message::PingResp
            }
            0x18 => Message::Disconnect(if body.is_empty() {
                None
            } else {
                let duration = body.number()?;
                body.end()?;
                Some(duration)
            }),
            0x1A => Message::WillTopicUpd(WillTopic::decode(body)?),
            0x1B => Message::WillTopicResp(decode_return_code(body)?),
            0x1C => Message::WillMsgUpd(body.rest()),
            0x1D => Message::WillMsgResp(decode_return_code(body)?),
            reserved => return Err(WireError::ReservedType(reserved)),
        })
    }

    /// Appends the message to `out`, in the 1-octet form whenever it fits (many clients know no other).
    ///
    /// On error, which needs more than [`MESSAGE_MAX`] octets, `out` is left as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageTooLong> {
        let total = self.encoded_len();
        if total <= SHORT_MAX {
            out.push(u8::try_from(total).map_err(|_| MessageTooLong)?);
        } else {
            let total = u16::try_from(total).map_err(|_| MessageTooLong)?;
            out.push(LONG_FORM);
            out.extend_from_slice(&total.to_be_bytes());
        }
        out.push(self.kind());
        self.encode_body(out);
        Ok(())
    }

    /// Octets that [`Message::encode`] writes; over [`MESSAGE_MAX`] if it cannot.
    pub fn encoded_len(&self) -> usize {
        let body = self.body_len();
        if SHORT_HEADER + body <= SHORT_MAX { SHORT_HEADER + body } else { LONG_HEADER + body }
    }

    /// The message type octet (§5.2.2).
    pub fn kind(&self) -> u8 {
        match self {
            Message::Advertise(_) => 0x00,
            Message::SearchGw(_) => 0x01,
            Message::GwInfo(_) => 0x02,
            Message::Connect(_) => 0x04,
            Message::ConnAck(_) => 0x05,
            Message::WillTopicReq => 0x06,
            Message::WillTopic(_) => 0x07,
            Message::WillMsgReq => 0x08,
            Message::WillMsg(_) => 0x09,
            Message::Register(_) => 0x0A,
            Message::RegAck(_) => 0x0B,
            Message::Publish(_) => 0x0C,
            Message::PubAck(_) => 0x0D,
            Message::PubComp(_) => 0x0E,
            Message::PubRec(_) => 0x0F,
            Message::PubRel(_) => 0x10,
            Message::Subscribe(_) => 0x12,
            Message::SubAck(_) => 0x13,
            Message::Unsubscribe(_) => 0x14,
            Message::UnsubAck(_) => 0x15,
            Message::PingReq(_) => 0x16,
            Message::PingResp => 0x17,
            Message::Disconnect(_) => 0x18,
            Message::WillTopicUpd(_) => 0x1A,
            Message::WillTopicResp(_) => 0x1B,
            Message::WillMsgUpd(_) => 0x1C,
            Message::WillMsgResp(_) => 0x1D,
        }
    }

    /// The name of the message in the specification.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Advertise(_) => "ADVERTISE",
            Message::SearchGw(_) => "SEARCHGW",
            Message::GwInfo(_) => "GWINFO",
            Message::Connect(_) => "CONNECT",
            Message::ConnAck(_) => "CONNACK",
            Message::WillTopicReq => "WILLTOPICREQ",
            Message::WillTopic(_) => "WILLTOPIC",
            Message::WillMsgReq => "WILLMSGREQ",
            Message::WillMsg(_) => "WILLMSG",
            Message::Register(_) => "REGISTER",
            Message::RegAck(_) => "REGACK",
            Message::Publish(_) => "PUBLISH",
            Message::PubAck(_) => "PUBACK",
            Message::PubComp(_) => "PUBCOMP",
            Message::PubRec(_) => "PUBREC",
            Message::PubRel(_) => "PUBREL",
            Message::Subscribe(_) => "SUBSCRIBE",
            Message::SubAck(_) => "SUBACK",
            Message::Unsubscribe(_) => "UNSUBSCRIBE",
            Message::UnsubAck(_) => "UNSUBACK",
            Message::PingReq(_) => "PINGREQ",
            Message::PingResp => "PINGRESP",
            Message::Disconnect(_) => "DISCONNECT",
            Message::WillTopicUpd(_) => "WILLTOPICUPD",
            Message::WillTopicResp(_) => "WILLTOPICRESP",
            Message::WillMsgUpd(_) => "WILLMSGUPD",
            Message::WillMsgResp(_) => "WILLMSGRESP",
        }
    }

    fn body_len(&self) -> usize {
        match self {
            Message::Advertise(_) => Advertise::BODY,
            Message::SearchGw(_) => SearchGw::BODY,
            Message::GwInfo(info) => info.body_len(),
            Message::Connect(connect) => connect.body_len(),
            Message::ConnAck(_) | Message::WillTopicResp(_) | Message::WillMsgResp(_) => 1,
            Message::WillTopicReq | Message::WillMsgReq | Message::PingResp => 0,
            Message::WillTopic(topic) | Message::WillTopicUpd(topic) => WillTopic::body_len(topic),
            Message::WillMsg(octets) | Message::WillMsgUpd(octets) | Message::PingReq(octets) => octets.len(),
            Message::Register(register) => register.body_len(),
            Message::RegAck(_) => RegAck::BODY,
            Message::Publish(publish) => publish.body_len(),
            Message::PubAck(_) => PubAck::BODY,
            Message::PubComp(_) | Message::PubRec(_) | Message::PubRel(_) | Message::UnsubAck(_) => 2,
            Message::Subscribe(subscribe) => subscribe.body_len(),
            Message::SubAck(_) => SubAck::BODY,
            Message::Unsubscribe(unsubscribe) => unsubscribe.body_len(),
            Message::Disconnect(None) => 0,
            Message::Disconnect(Some(_)) => 2,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Message::Advertise(advertise) => advertise.encode(out),
            Message::SearchGw(search) => search.encode(out),
            Message::GwInfo(info) => info.encode(out),
            Message::Connect(connect) => connect.encode(out),
            Message::ConnAck(code) | Message::WillTopicResp(code) | Message::WillMsgResp(code) => {
                out.push(code.octet());
            }
            Message::WillTopicReq | Message::WillMsgReq | Message::PingResp => {}
            Message::WillTopic(topic) | Message::WillTopicUpd(topic) => WillTopic::encode(topic, out),
            Message::WillMsg(octets) | Message::WillMsgUpd(octets) | Message::PingReq(octets) => {
                out.extend_from_slice(octets);
            }
            Message::Register(register) => register.encode(out),
            Message::RegAck(ack) => ack.encode(out),
            Message::Publish(publish) => publish.encode(out),
            Message::PubAck(ack) => ack.encode(out),
            Message::PubComp(msg_id)
            | Message::PubRec(msg_id)
            | Message::PubRel(msg_id)
            | Message::UnsubAck(msg_id) => out.extend_from_slice(&msg_id.to_be_bytes()),
            Message::Subscribe(subscribe) => subscribe.encode(out),
            Message::SubAck(ack) => ack.encode(out),
            Message::Unsubscribe(unsubscribe) => unsubscribe.encode(out),
            Message::Disconnect(duration) => {
                if let Some(seconds) = duration {
                    out.extend_from_slice(&seconds.to_be_bytes());
                }
            }
        }
    }
}

/// The message type and the octets after it.
fn split_header(datagram: &[u8]) -> Result<(u8, &[u8]), WireError> {
    match *datagram {
        [LONG_FORM, high, low, kind, ref body @ ..] => {
            let declared = usize::from(u16::from_be_bytes([high, low]));
            // Deviation: the Paho client decides for the 3-octet form after it has added the two octets of
            // it to the length, or rather before: with a payload of 248 octets it says 255 and sends 257.
            if declared == datagram.len() || (declared == 255 && datagram.len() == 257) {
                Ok((kind, body))
            } else {
                Err(WireError::LengthMismatch)
            }
        }
        [] | [_] | [LONG_FORM, ..] => Err(WireError::TooShort),
        [declared, kind, ref body @ ..] if usize::from(declared) == datagram.len() => Ok((kind, body)),
        [_, _, ..] => Err(WireError::LengthMismatch),
    }
}

fn decode_return_code(mut body: Cursor<'_>) -> Result<ReturnCode, WireError> {
    let code = ReturnCode::from_octet(body.octet()?);
    body.end()?;
    Ok(code)
}
