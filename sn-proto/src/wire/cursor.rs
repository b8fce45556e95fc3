//! Reads fields off the front of a borrowed body; running out of octets is an error, never a panic.

use super::WireError;

/// What is left to read of a message body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Cursor { left: body }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn octet(&mut self) -> Result<u8, WireError> {
        let (&first, left) = self.left.split_first().ok_or(WireError::TooShort)?;
        self.left = left;
        Ok(first)
    }

    pub(crate) fn pair(&mut self) -> Result<[u8; 2], WireError> {
        let (pair, left) = self.left.split_first_chunk::<2>().ok_or(WireError::TooShort)?;
        self.left = left;
        Ok(*pair)
    }

    /// A 16 bit number, most significant octet first (MQTT-SN §5.3 and RFC-style throughout).
    pub(crate) fn number(&mut self) -> Result<u16, WireError> {
        self.pair().map(u16::from_be_bytes)
    }

    /// All that is left; may be empty.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.left
    }

    /// Asserts that a message of fixed size ends here.
    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.left.is_empty() { Ok(()) } else { Err(WireError::TooLong) }
    }
}
