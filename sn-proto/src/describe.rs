//! A datagram in one line for people: `PUBLISH qos 1 dup id 1025 msg 7, 4 bytes "21.5"`.
//!
//! For traces, debug output and logs. Names and payloads come from peers, so they are quoted with every control and
//! unprintable character escaped, and cut; the line never holds a line break.

use core::fmt::{self, Display, Formatter};

use crate::wire::{Datagram, Message, Publish, Qos, ReturnCode, TopicIdType, TopicRef, WillTopic};

/// Octets of a payload or name that are shown; a line stays readable, the bytes themselves are elsewhere.
const SHOWN_MAX: usize = 64;

/// The line of a datagram as received; what is wrong with it when it is none.
pub fn describe(datagram: &[u8]) -> String {
    match Datagram::decode(datagram) {
        Ok(datagram) => datagram.to_string(),
        Err(error) => format!("malformed: {error}"),
    }
}

impl Display for Datagram<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(envelope) = &self.envelope {
            f.write_str("[node ")?;
            envelope.node_id.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
            if envelope.radius > 0 {
                write!(f, " radius {}", envelope.radius)?;
            }
            f.write_str("] ")?;
        }
        self.message.fmt(f)
    }
}

impl Display for Message<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Message::Advertise(m) => write!(f, " gateway {} next in {} s", m.gateway_id, m.duration),
            Message::SearchGw(m) => write!(f, " radius {}", m.radius),
            Message::GwInfo(m) => {
                write!(f, " gateway {}", m.gateway_id)?;
                if m.gateway_address.is_empty() {
                    return Ok(());
                }
                f.write_str(" at ")?;
                m.gateway_address.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Message::Connect(m) => {
                write!(f, " {} keep-alive {} s", Text(m.client_id), m.duration)?;
                flag(f, " clean", m.clean_session)?;
                flag(f, " will", m.will)?;
                match m.protocol_id {
                    crate::wire::PROTOCOL_ID => Ok(()),
                    other => write!(f, " protocol {other}"),
                }
            }
            Message::ConnAck(code) | Message::WillTopicResp(code) | Message::WillMsgResp(code) => {
                write!(f, " {code}")
            }
            Message::WillTopicReq | Message::WillMsgReq | Message::PingResp => Ok(()),
            Message::WillTopic(topic) | Message::WillTopicUpd(topic) => will_topic(f, topic.as_ref()),
            Message::WillMsg(payload) | Message::WillMsgUpd(payload) => write!(f, " {}", Payload(payload)),
            Message::Register(m) => {
                write!(f, " {} id {} msg {}", Text(m.topic_name), m.topic_id, m.msg_id)
            }
            Message::RegAck(m) => write!(f, " id {} msg {} {}", m.topic_id, m.msg_id, m.return_code),
            Message::Publish(m) => publish(f, m),
            Message::PubAck(m) => match m.return_code {
                ReturnCode::Accepted => write!(f, " id {} msg {}", m.topic_id, m.msg_id),
                ReturnCode::Congestion
                | ReturnCode::InvalidTopicId
                | ReturnCode::NotSupported
                | ReturnCode::Reserved(_) => {
                    write!(f, " id {} msg {} {}", m.topic_id, m.msg_id, m.return_code)
                }
            },
            Message::PubComp(msg) | Message::PubRec(msg) | Message::PubRel(msg) | Message::UnsubAck(msg) => {
                write!(f, " msg {msg}")
            }
            Message::Subscribe(m) => {
                write!(f, " {} qos {} msg {}", m.topic, m.qos, m.msg_id)?;
                flag(f, " dup", m.dup)
            }
            Message::SubAck(m) => {
                write!(f, " id {} msg {} qos {} {}", m.topic_id, m.msg_id, m.qos, m.return_code)
            }
            Message::Unsubscribe(m) => write!(f, " {} msg {}", m.topic, m.msg_id),
            Message::PingReq([]) | Message::Disconnect(None) => Ok(()),
            Message::PingReq(client_id) => write!(f, " {}", Text(client_id)),
            Message::Disconnect(Some(seconds)) => write!(f, " sleep {seconds} s"),
        }
    }
}

impl Display for Qos {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Qos::MinusOne => "-1",
            Qos::AtMostOnce => "0",
            Qos::AtLeastOnce => "1",
            Qos::ExactlyOnce => "2",
        })
    }
}

impl Display for TopicRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TopicRef::Name(name) => Text(name).fmt(f),
            TopicRef::Predefined(id) => write!(f, "predefined {id}"),
            TopicRef::Short(name) => write!(f, "short {}", Text(name)),
            TopicRef::Invalid(_, field) => write!(f, "no topic: {}", Text(field)),
        }
    }
}

fn publish(f: &mut Formatter<'_>, m: &Publish<'_>) -> fmt::Result {
    write!(f, " qos {}", m.qos)?;
    flag(f, " dup", m.dup)?;
    flag(f, " retain", m.retain)?;
    match m.topic_id_type {
        // The octets of a name in front of the payload, if there is no session.
        TopicIdType::Normal => write!(f, " id {}", m.topic_id)?,
        TopicIdType::Predefined => write!(f, " predefined {}", m.topic_id)?,
        TopicIdType::Short => write!(f, " short {}", Text(&m.topic_id.to_be_bytes()))?,
        TopicIdType::Reserved => write!(f, " reserved id type, id {}", m.topic_id)?,
    }
    if m.msg_id != 0 {
        write!(f, " msg {}", m.msg_id)?;
    }
    write!(f, ", {}", Payload(m.data))
}

fn will_topic(f: &mut Formatter<'_>, topic: Option<&WillTopic<'_>>) -> fmt::Result {
    match topic {
        None => f.write_str(" none"),
        Some(will) => {
            write!(f, " {} qos {}", Text(will.topic), will.qos)?;
            flag(f, " retain", will.retain)
        }
    }
}

fn flag(f: &mut Formatter<'_>, name: &str, set: bool) -> fmt::Result {
    f.write_str(if set { name } else { "" })
}

/// A name from a peer, in quotes.
struct Text<'a>(&'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (shown, more) = cut(self.0);
        f.write_str("\"")?;
        for chunk in shown.utf8_chunks() {
            chunk.valid().escape_debug().fmt(f)?;
            chunk.invalid().iter().try_for_each(|octet| write!(f, "\\x{octet:02x}"))?;
        }
        f.write_str(if more { "…\"" } else { "\"" })
    }
}

/// A payload: its length, and text or hex.
struct Payload<'a>(&'a [u8]);

impl Display for Payload<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (shown, more) = cut(self.0);
        write!(f, "{} bytes", self.0.len())?;
        let text = core::str::from_utf8(shown).is_ok_and(|text| !text.contains(char::is_control));
        match (shown, text) {
            ([], _) => Ok(()),
            (_, true) => write!(f, " {}", Text(self.0)),
            (_, false) => {
                f.write_str(" ")?;
                shown.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
                f.write_str(if more { "…" } else { "" })
            }
        }
    }
}

/// The octets that are shown, cut between two characters where the text has some, and whether there are more.
fn cut(octets: &[u8]) -> (&[u8], bool) {
    let Some(head) = octets.get(..SHOWN_MAX).filter(|_| octets.len() > SHOWN_MAX) else {
        return (octets, false);
    };
    let whole = match core::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => head.get(..error.valid_up_to()).unwrap_or(head),
        Ok(_) | Err(_) => head,
    };
    (whole, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Connect, Envelope, RegAck, Register};

    #[test]
    fn messages_have_their_fields_in_one_line() {
        let rows: [(&[u8], &str); 14] = [
            (&[5, 0, 1, 3, 0x84], "ADVERTISE gateway 1 next in 900 s"),
            (&[3, 1, 0], "SEARCHGW radius 0"),
            (&[3, 2, 7], "GWINFO gateway 7"),
            (b"\x08\x04\x0c\x01\x00\x3cd1", "CONNECT \"d1\" keep-alive 60 s clean will"),
            (&[3, 5, 3], "CONNACK rejected: not supported"),
            (b"\x0b\x0c\xa0\x04\x01\x00\x0721.5", "PUBLISH qos 1 dup id 1025 msg 7, 4 bytes \"21.5\""),
            (b"\x09\x0c\x72ab\x00\x00\x01\xff", "PUBLISH qos -1 retain short \"ab\", 2 bytes 01ff"),
            (&[7, 0x0d, 0, 1, 0, 2, 0], "PUBACK id 1 msg 2"),
            (&[7, 0x0d, 0, 1, 0, 2, 2], "PUBACK id 1 msg 2 rejected: invalid topic id"),
            (b"\x08\x12\x20\x00\x02a/#", "SUBSCRIBE \"a/#\" qos 1 msg 2"),
            (&[8, 0x13, 0x20, 4, 1, 0, 2, 0], "SUBACK id 1025 msg 2 qos 1 accepted"),
            (b"\x04\x16d1", "PINGREQ \"d1\""),
            (&[4, 0x18, 0, 60], "DISCONNECT sleep 60 s"),
            (&[3, 3, 0], "malformed: reserved message type 0x03"),
        ];
        for (bytes, line) in rows {
            assert_eq!(describe(bytes), line);
        }
    }

    #[test]
    fn a_forwarded_message_names_its_node() {
        let message = Message::PingResp;
        let envelope = Some(Envelope { radius: 1, node_id: &[0, 0xab] });
        assert_eq!(Datagram { envelope, message }.to_string(), "[node 00ab radius 1] PINGRESP");
    }

    #[test]
    fn nothing_of_a_peer_ends_the_line_or_starts_an_escape_sequence() {
        let hostile = "d\n\r\u{1b}[2J\u{202e}\u{9b}\"";
        for message in [
            Message::Connect(Connect {
                will: false,
                clean_session: false,
                protocol_id: 1,
                duration: 0,
                client_id: hostile.as_bytes(),
            }),
            Message::Register(Register { topic_id: 0, msg_id: 1, topic_name: hostile.as_bytes() }),
            Message::WillMsg(hostile.as_bytes()),
            Message::PingReq(b"\xff\xc3"),
        ] {
            let line = message.to_string();
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        }
        assert_eq!(Message::PingReq(b"\xffa").to_string(), "PINGREQ \"\\xffa\"");
    }

    #[test]
    fn long_names_and_payloads_are_cut() {
        let long = "é".repeat(5_000);
        let line = Message::WillMsg(long.as_bytes()).to_string();
        assert!(line.starts_with("WILLMSG 10000 bytes \"éé") && line.ends_with("é…\""), "{line}");
        assert!(line.chars().count() < 80, "{line}");
        let ack = RegAck { topic_id: 1, msg_id: 2, return_code: ReturnCode::Reserved(9) };
        assert_eq!(Message::RegAck(ack).to_string(), "REGACK id 1 msg 2 reserved return code 0x09");
    }
}
