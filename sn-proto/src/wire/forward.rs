//! The forwarder encapsulation (MQTT-SN §5.5): `[3+n] FE Ctrl NodeId×n` and then a whole message.

use super::{Message, MessageTooLong, WireError};

/// Message type of the encapsulation.
pub(super) const FRWDENCAP: u8 = 0xFE;
/// Octets of the encapsulation before the node id.
const FIXED: usize = 3;
const RADIUS: u8 = 0b11;

/// Whom a message behind a forwarder is from, or to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Broadcast radius, 0..=3 (two bits of Ctrl; the others are reserved and ignored).
    pub radius: u8,
    /// Wireless node id, 0..=252 octets, compared as a whole.
    pub node_id: &'a [u8],
}

/// One datagram: a message, encapsulated by a forwarder or bare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Present behind a forwarder.
    pub envelope: Option<Envelope<'a>>,
    /// The message itself, which by type cannot be another encapsulation.
    pub message: Message<'a>,
}

impl<'a> Datagram<'a> {
    /// Reads one datagram.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, WireError> {
        let Some((envelope, inner)) = split(datagram)? else {
            return Ok(Datagram { envelope: None, message: Message::decode(datagram)? });
        };
        if inner.is_empty() {
            return Err(WireError::EmptyEncapsulation);
        }
        match Message::decode(inner) {
            Ok(message) => Ok(Datagram { envelope: Some(envelope), message }),
            // The inner length of a nested encapsulation never fits, so ask for its type first.
            Err(_) if split(inner).is_ok_and(|nested| nested.is_some()) => {
                Err(WireError::NestedEncapsulation)
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the datagram to `out`; on error `out` is left as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageTooLong> {
        let before = out.len();
        if let Some(envelope) = &self.envelope {
            envelope.encode(out)?;
        }
        self.message.encode(out).inspect_err(|_| out.truncate(before))
    }
}

impl Envelope<'_> {
    /// Appends the encapsulation alone, for a message that is already encoded.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageTooLong> {
        let length = u8::try_from(FIXED + self.node_id.len()).map_err(|_| MessageTooLong)?;
        out.extend_from_slice(&[length, FRWDENCAP, self.radius & RADIUS]);
        out.extend_from_slice(self.node_id);
        Ok(())
    }
}

/// Takes the encapsulation off, if there is one. Its Length is a single octet (§5.5), so the 3-octet form
/// of it does not exist and is left to be refused as a reserved type.
fn split(datagram: &[u8]) -> Result<Option<(Envelope<'_>, &[u8])>, WireError> {
    let &[length, FRWDENCAP, ..] = datagram else { return Ok(None) };
    if length == 0x01 {
        return Ok(None);
    }
    let length = usize::from(length);
    if length < FIXED {
        return Err(WireError::TooShort);
    }
    let (head, inner) = datagram.split_at_checked(length).ok_or(WireError::LengthMismatch)?;
    let &[_, _, ctrl, ref node_id @ ..] = head else { return Err(WireError::TooShort) };
    Ok(Some((Envelope { radius: ctrl & RADIUS, node_id }, inner)))
}
