//! CONNECT (MQTT-SN §5.4.4) and the rules for a ClientId (§5.3.1).

use core::fmt;

use super::{WireError, cursor::Cursor, flags};

/// The only ProtocolId of MQTT-SN 1.2 (§5.3.8).
pub const PROTOCOL_ID: u8 = 0x01;

/// A client opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The client has a will and wants to be asked for it.
    pub will: bool,
    /// Forget subscriptions and will of the session before.
    pub clean_session: bool,
    /// [`PROTOCOL_ID`] in 1.2; anything else is answered with a return code, so it is kept.
    pub protocol_id: u8,
    /// Keep-alive in seconds; 0 switches supervision off.
    pub duration: u16,
    /// As received, checked by [`client_id`]; may be empty, which is answered with a return code.
    pub client_id: &'a [u8],
}

impl<'a> Connect<'a> {
    pub(super) fn body_len(&self) -> usize {
        4 + self.client_id.len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        let flags = body.octet()?;
        Ok(Connect {
            will: flags & flags::WILL != 0,
            clean_session: flags & flags::CLEAN_SESSION != 0,
            protocol_id: body.octet()?,
            duration: body.number()?,
            client_id: body.rest(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.will {
            flags |= flags::WILL;
        }
        if self.clean_session {
            flags |= flags::CLEAN_SESSION;
        }
        out.extend_from_slice(&[flags, self.protocol_id]);
        out.extend_from_slice(&self.duration.to_be_bytes());
        out.extend_from_slice(self.client_id);
    }
}

/// Why a ClientId is refused with "not supported".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientIdError {
    /// §5.3.1 wants at least one character.
    Empty,
    /// Longer than the configured maximum.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// U+0000 in it.
    Nul,
}

impl fmt::Display for ClientIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientIdError::Empty => "empty client id",
            ClientIdError::TooLong => "client id too long",
            ClientIdError::NotUtf8 => "client id is not UTF-8",
            ClientIdError::Nul => "client id contains U+0000",
        })
    }
}

/// Checks a ClientId as received.
///
/// Deviation: §5.3.1 ends at 23 characters; real clients use up to 196 octets, so the limit is
/// `max_bytes` (65535 at most, by default 255). Spaces and control characters are allowed.
pub fn client_id(bytes: &[u8], max_bytes: usize) -> Result<&str, ClientIdError> {
    if bytes.is_empty() {
        return Err(ClientIdError::Empty);
    }
    if bytes.len() > max_bytes {
        return Err(ClientIdError::TooLong);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| ClientIdError::NotUtf8)?;
    if text.contains('\0') { Err(ClientIdError::Nul) } else { Ok(text) }
}
