//! ADVERTISE, SEARCHGW and GWINFO (MQTT-SN §5.4.1–5.4.3, §6.1).

use super::{WireError, cursor::Cursor};

/// A gateway says that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertise {
    /// Id of the gateway that sends this.
    pub gateway_id: u8,
    /// Seconds until its next ADVERTISE.
    pub duration: u16,
}

/// A client looks for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchGw {
    /// How far the broadcast goes; 0 is the whole network.
    pub radius: u8,
}

/// The answer to SEARCHGW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GwInfo<'a> {
    /// Id of the gateway.
    pub gateway_id: u8,
    /// Its address, only when another client answers for it; empty from a gateway.
    pub gateway_address: &'a [u8],
}

impl Advertise {
    pub(super) const BODY: usize = 3;

    pub(super) fn decode(mut body: Cursor<'_>) -> Result<Self, WireError> {
        let advertise = Advertise { gateway_id: body.octet()?, duration: body.number()? };
        body.end()?;
        Ok(advertise)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.gateway_id);
        out.extend_from_slice(&self.duration.to_be_bytes());
    }
}

impl SearchGw {
    pub(super) const BODY: usize = 1;

    pub(super) fn decode(mut body: Cursor<'_>) -> Result<Self, WireError> {
        let search = SearchGw { radius: body.octet()? };
        body.end()?;
        Ok(search)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.radius);
    }
}

impl<'a> GwInfo<'a> {
    pub(super) fn body_len(&self) -> usize {
        1 + self.gateway_address.len()
    }

    pub(super) fn decode(mut body: Cursor<'a>) -> Result<Self, WireError> {
        Ok(GwInfo { gateway_id: body.octet()?, gateway_address: body.rest() })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.gateway_id);
        out.extend_from_slice(self.gateway_address);
    }
}
