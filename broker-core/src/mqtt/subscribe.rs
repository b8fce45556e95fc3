//! SUBSCRIBE (§3.8) and UNSUBSCRIBE (§3.10).
//!
//! Decoding checks the structure and the text of every filter; whether a text *is* a filter is judged for each one
//! by [`crate::topic::TopicFilter`], so that the session can refuse one with 0x80 and grant the others.
use super::error::{DecodeError, EncodeError};
use super::fixed_header::PacketType;
use super::reader::Reader;
use super::write;
use crate::message::{PacketId, QoS};

/// One entry of a SUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestedFilter<'a> {
    /// Well-formed text without U+0000; not yet known to be a filter.
    pub filter: &'a str,
    /// The QoS that is asked for.
    pub qos: QoS,
}

/// A request for subscriptions; at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscribe<'a> {
    /// Id of the answer.
    pub packet_id: PacketId,
    /// The entries, checked.
    pub filters: RequestedFilters<'a>,
}

/// A request to end subscriptions; at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsubscribe<'a> {
    /// Id of the answer.
    pub packet_id: PacketId,
    /// The filters, checked.
    pub filters: Filters<'a>,
}

/// The entries of a SUBSCRIBE in their order, decoded as they are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestedFilters<'a> {
    rest: &'a [u8],
    count: usize,
}

/// The filters of an UNSUBSCRIBE in their order, decoded as they are taken. Well-formed text without U+0000 each,
/// not yet known to be filters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filters<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> RequestedFilters<'a> {
    /// Checks all of them ([MQTT-3.8.3-1], [MQTT-3.8.3-3], [MQTT-3-8.3-4]).
    fn check(rest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(PacketType::Subscribe, rest);
        let mut count = 0;
        while !reader.is_empty() {
            requested(&mut reader)?;
            count += 1;
        }
        if count == 0 {
            return Err(DecodeError::NoFilter(PacketType::Subscribe)); // [MQTT-3.8.3-3]
        }
        Ok(RequestedFilters { rest, count })
    }
}

impl<'a> Iterator for RequestedFilters<'a> {
    type Item = RequestedFilter<'a>;

    fn next(&mut self) -> Option<RequestedFilter<'a>> {
        let mut reader = Reader::new(PacketType::Subscribe, self.rest);
        let entry = requested(&mut reader).ok()?;
        self.rest = reader.rest();
        self.count -= 1;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for RequestedFilters<'_> {}

fn requested<'a>(reader: &mut Reader<'a>) -> Result<RequestedFilter<'a>, DecodeError> {
    let filter = reader.text()?;
    let qos = reader.byte()?;
    let qos = QoS::from_u8(qos).ok_or(DecodeError::RequestedQos(qos))?; // [MQTT-3-8.3-4]
    Ok(RequestedFilter { filter, qos })
}

impl<'a> Filters<'a> {
    fn check(rest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(PacketType::Unsubscribe, rest);
        let mut count = 0;
        while !reader.is_empty() {
            reader.text()?; // [MQTT-3.10.3-1]
            count += 1;
        }
        if count == 0 {
            return Err(DecodeError::NoFilter(PacketType::Unsubscribe)); // [MQTT-3.10.3-2]
        }
        Ok(Filters { rest, count })
    }
}

impl<'a> Iterator for Filters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut reader = Reader::new(PacketType::Unsubscribe, self.rest);
        let filter = reader.text().ok()?;
        self.rest = reader.rest();
        self.count -= 1;
        Some(filter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Filters<'_> {}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(PacketType::Subscribe, body);
        let packet_id = reader.packet_id()?;
        Ok(Subscribe { packet_id, filters: RequestedFilters::check(reader.rest())? })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(PacketType::Unsubscribe, body);
        let packet_id = reader.packet_id()?;
        Ok(Unsubscribe { packet_id, filters: Filters::check(reader.rest())? })
    }
}

/// Appends a SUBSCRIBE for `filters`.
pub fn encode_subscribe(
    packet_id: PacketId,
    filters: &[(&str, QoS)],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut length = 2;
    for (filter, _) in filters {
        length += 2 + usize::from(write::field_len(filter.as_bytes())?) + 1;
    }
    if filters.is_empty() {
        return Err(EncodeError::NoEntries); // [MQTT-3.8.3-3]
    }
    write::header_of(PacketType::Subscribe, write::remaining(length)?, out);
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    for (filter, qos) in filters {
        write::field(filter.as_bytes(), out);
        out.push(*qos as u8);
    }
    Ok(())
}

/// Appends an UNSUBSCRIBE for `filters`.
pub fn encode_unsubscribe(
    packet_id: PacketId,
    filters: &[&str],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut length = 2;
    for filter in filters {
        length += 2 + usize::from(write::field_len(filter.as_bytes())?);
    }
    if filters.is_empty() {
        return Err(EncodeError::NoEntries); // [MQTT-3.10.3-2]
    }
    write::header_of(PacketType::Unsubscribe, write::remaining(length)?, out);
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    for filter in filters {
        write::field(filter.as_bytes(), out);
    }
    Ok(())
}
