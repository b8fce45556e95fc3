//! CONNACK (§3.2).
use super::error::DecodeError;
use super::fixed_header::PacketType;
use super::reader::Reader;

/// How a CONNECT was taken (§3.2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum ConnectReturnCode {
    /// 0: accepted.
    Accepted = 0,
    /// 1: the protocol level is not served.
    UnacceptableProtocolVersion = 1,
    /// 2: the client identifier is not allowed.
    IdentifierRejected = 2,
    /// 3: the service is unavailable.
    ServerUnavailable = 3,
    /// 4: user name or password is malformed (or wrong).
    BadUsernameOrPassword = 4,
    /// 5: not authorized to connect.
    NotAuthorized = 5,
}

impl ConnectReturnCode {
    /// The code for its number; 6 and above are reserved.
    pub const fn from_u8(value: u8) -> Option<ConnectReturnCode> {
        Some(match value {
            0 => ConnectReturnCode::Accepted,
            1 => ConnectReturnCode::UnacceptableProtocolVersion,
            2 => ConnectReturnCode::IdentifierRejected,
            3 => ConnectReturnCode::ServerUnavailable,
            4 => ConnectReturnCode::BadUsernameOrPassword,
            5 => ConnectReturnCode::NotAuthorized,
            6..=u8::MAX => return None,
        })
    }
}

/// The answer to CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Connack {
    /// The server has a session of this client ([MQTT-3.2.2-2]). To a 3.1 client the bit is reserved: send false.
    pub session_present: bool,
    /// How the CONNECT was taken.
    pub code: ConnectReturnCode,
}

impl Connack {
    /// The client is in.
    pub const fn accepted(session_present: bool) -> Connack {
        Connack { session_present, code: ConnectReturnCode::Accepted }
    }

    /// A refusal, never with a session ([MQTT-3.2.2-4]).
    pub const fn refused(code: ConnectReturnCode) -> Connack {
        Connack { session_present: false, code }
    }

    /// Appends the packet: four bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // [MQTT-3.2.2-4]
        let present = self.session_present && self.code == ConnectReturnCode::Accepted;
        let first = PacketType::Connack.first_byte();
        out.extend_from_slice(&[first, 2, u8::from(present), self.code as u8]);
    }

    pub(super) fn decode(body: &[u8]) -> Result<Connack, DecodeError> {
        let mut reader = Reader::new(PacketType::Connack, body);
        let (flags, code) = (reader.byte()?, reader.byte()?);
        reader.finish()?;
        let code = ConnectReturnCode::from_u8(code).ok_or(DecodeError::ConnackReturnCode(code))?;
        match (flags, code) {
            (2..=u8::MAX, _) => Err(DecodeError::ConnackFlags(flags)),
            (1, ConnectReturnCode::Accepted) => Ok(Connack::accepted(true)),
            (1, _) => Err(DecodeError::ConnackSessionPresent),
            (0, code) => Ok(Connack { session_present: false, code }),
        }
    }
}
