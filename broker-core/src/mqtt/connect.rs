//! CONNECT (§3.1), of MQTT 3.1.1 and of MQTT 3.1 (protocol name `MQIsdp`, level 3).
use super::error::{DecodeError, EncodeError};
use super::fixed_header::{PacketType, RemainingLength};
use super::reader::Reader;
use super::write;
use crate::message::QoS;
use crate::topic::{TopicError, TopicNameRef};
use std::fmt;

/// The versions that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Version {
    /// MQTT 3.1: `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: `MQTT`, level 4.
    #[default]
    V311,
}

impl Version {
    /// Protocol name and level of its CONNECT.
    pub const fn name_and_level(self) -> (&'static str, u8) {
        match self {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
        }
    }
}

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL: u8 = 0x04;
const CLEAN_SESSION: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// The will of a CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectWill<'a> {
    /// Where it is published.
    pub topic: TopicNameRef<'a>,
    /// What is published.
    pub payload: &'a [u8],
    /// At which QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
}

/// A client's request to connect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// MQTT 3.1.1 or 3.1.
    pub version: Version,
    /// CleanSession.
    pub clean_session: bool,
    /// Keep Alive in seconds, 0 for none.
    pub keep_alive: u16,
    /// May be empty: the session judges that ([MQTT-3.1.3-8]; MQTT 3.1 wants 1 to 23 characters).
    pub client_id: &'a str,
    /// The will.
    pub will: Option<ConnectWill<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password; never printed.
    pub password: Option<&'a [u8]>,
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username)
            .field("password", &self.password.map(|_| "<secret>"))
            .finish()
    }
}

/// The checked connect flags (§3.1.2.3).
struct Flags {
    clean_session: bool,
    will: Option<(QoS, bool)>,
    username: bool,
    password: bool,
}

impl Flags {
    fn check(bits: u8, version: Version) -> Result<Flags, DecodeError> {
        // MQTT 3.1 §3.1 does not use bit 0.
        if bits & RESERVED != 0 && version == Version::V311 {
            return Err(DecodeError::ConnectReservedFlag); // [MQTT-3.1.2-3]
        }
        let will_qos = (bits >> 3) & 3;
        let will_retain = bits & WILL_RETAIN != 0;
        let will = if bits & WILL != 0 {
            Some((QoS::from_u8(will_qos).ok_or(DecodeError::WillQos3)?, will_retain)) // [MQTT-3.1.2-14]
        } else if will_qos != 0 || will_retain {
            return Err(DecodeError::WillFlagsWithoutWill); // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
        } else {
            None
        };
        let (username, password) = (bits & USERNAME != 0, bits & PASSWORD != 0);
        if password && !username {
            return Err(DecodeError::PasswordWithoutUsername); // [MQTT-3.1.2-22]
        }
        Ok(Flags { clean_session: bits & CLEAN_SESSION != 0, will, username, password })
    }
}

impl<'a> Connect<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Connect<'a>, DecodeError> {
        let mut reader = Reader::new(PacketType::Connect, body);
        let version = decode_version(&mut reader)?;
        let flags = Flags::check(reader.byte()?, version)?;
        let keep_alive = reader.u16()?;
        // [MQTT-3.1.3-1]: client identifier, will topic, will message, user name, password
        let client_id = reader.text()?;
        let will = match flags.will {
            Some((qos, retain)) => {
                let topic = TopicNameRef::new(reader.utf8()?).map_err(will_topic_error)?;
                Some(ConnectWill { topic, payload: reader.field()?, qos, retain })
            }
            None => None,
        };
        // MQTT 3.1 §3.1 lets the remaining length end a packet before the user name or password that its flags
        // announce, for the sake of older clients.
        let may_end_early = version == Version::V31;
        let username = match flags.username && !(may_end_early && reader.is_empty()) {
            true => Some(reader.text()?),
            false => None,
        };
        let password = match flags.password && !(may_end_early && reader.is_empty()) {
            true => Some(reader.field()?),
            false => None,
        };
        reader.finish()?;
        Ok(Connect {
            version,
            clean_session: flags.clean_session,
            keep_alive,
            client_id,
            will,
            username,
            password,
        })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (name, level) = self.version.name_and_level();
        let mut bits = if self.clean_session { CLEAN_SESSION } else { 0 };
        let mut length = 2 + name.len() + 1 + 1 + 2;
        let mut count = |field: &[u8]| -> Result<(), EncodeError> {
            length += 2 + usize::from(write::field_len(field)?);
            Ok(())
        };
        count(self.client_id.as_bytes())?;
        if let Some(will) = &self.will {
            bits |= WILL | ((will.qos as u8) << 3) | if will.retain { WILL_RETAIN } else { 0 };
            count(will.topic.as_str().as_bytes())?;
            count(will.payload)?;
        }
        if let Some(username) = self.username {
            bits |= USERNAME;
            count(username.as_bytes())?;
        }
        if let Some(password) = self.password {
            if self.username.is_none() {
                return Err(EncodeError::PasswordWithoutUsername); // [MQTT-3.1.2-22]
            }
            bits |= PASSWORD;
            count(password)?;
        }
        write::header_of(PacketType::Connect, write::remaining(length)?, out);
        write::field(name.as_bytes(), out);
        out.extend_from_slice(&[level, bits]);
        out.extend_from_slice(&self.keep_alive.to_be_bytes());
        write::field(self.client_id.as_bytes(), out);
        if let Some(will) = &self.will {
            write::field(will.topic.as_str().as_bytes(), out);
            write::field(will.payload, out);
        }
        if let Some(username) = self.username {
            write::field(username.as_bytes(), out);
        }
        if let Some(password) = self.password {
            write::field(password, out);
        }
        Ok(())
    }
}

fn will_topic_error(error: TopicError) -> DecodeError {
    if error == TopicError::Nul { DecodeError::Nul } else { DecodeError::WillTopic(error) }
}

/// Protocol name and level.
///
/// Interpretation: a known name at a level that does not belong to it (`MQTT` at 3 or 5, `MQIsdp` at 4, and
/// Mosquitto's private 0x83 and 0x84 of a bridge, which then tries again without) is a level that is not served
/// ([MQTT-3.1.2-2]); any other name is no MQTT ([MQTT-3.1.2-1]).
fn decode_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = reader.field()?;
    let version = match name {
        b"MQTT" => Version::V311,
        b"MQIsdp" => Version::V31,
        _ => return Err(DecodeError::ProtocolName),
    };
    let level = reader.byte()?;
    let (_, served) = version.name_and_level();
    if level == served { Ok(version) } else { Err(DecodeError::ProtocolLevel(level)) }
}

/// The client identifier of a CONNECT of any level, if it can be read: for the log line about a client whose level
/// is not served. Reads no further than the identifier, and trusts nothing.
pub fn peek_client_id(body: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(PacketType::Connect, body);
    let _name = reader.field().ok()?;
    let level = reader.byte().ok()?;
    let (_flags, _keep_alive) = (reader.byte().ok()?, reader.u16().ok()?);
    if level < 5 {
        return reader.text().ok();
    }
    // MQTT 5 §3.1.2.11: properties, with a variable length before them
    let rest = reader.rest();
    let length = RemainingLength::read(rest).ok()??;
    let behind = rest.get(usize::from(length.bytes)..)?.get(length.value as usize..)?;
    Reader::new(PacketType::Connect, behind).text().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_of_a_version_5_connect_can_be_read() {
        let plain = b"\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x02c5";
        let with_properties = b"\x00\x04MQTT\x05\x02\x00\x3C\x05\x11\x00\x00\x00\x0A\x00\x02c5";
        for body in [&plain[..], with_properties] {
            assert_eq!(Connect::decode(body), Err(DecodeError::ProtocolLevel(5)));
            assert_eq!(peek_client_id(body), Some("c5"));
        }
        let bridge = b"\x00\x04MQTT\x84\x02\x00\x3C\x00\x02br";
        assert_eq!(Connect::decode(bridge), Err(DecodeError::ProtocolLevel(0x84)));
        let whole = with_properties.len();
        for cut in 0..whole {
            assert_eq!(peek_client_id(with_properties.get(..cut).unwrap()), None, "{cut}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let connect = Connect {
            version: Version::V311,
            clean_session: true,
            keep_alive: 60,
            client_id: "c1",
            will: None,
            username: Some("ann"),
            password: Some(b"tops3cret"),
        };
        let text = format!("{connect:?}");
        assert!(text.contains("ann") && text.contains("<secret>"), "{text}");
        assert!(!text.contains("tops3cret") && !text.contains("116"), "{text}");
    }
}
