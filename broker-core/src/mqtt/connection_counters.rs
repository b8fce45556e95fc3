//! [`Counters`]: what the MQTT connections of a worker have seen, for `$SYS` and the metrics. Messages are counted by
//! the broker, which sees those of every protocol.
use super::connack::ConnectReturnCode;
use super::error::DecodeError;
use super::fixed_header::PacketType;
use crate::frontend::StreamClose;

/// Why a packet was malformed or out of place, without its details: one counter each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "see the variants of DecodeError of the same names")]
pub enum Malformed {
    PacketType,
    WrongDirection,
    Flags,
    RemainingLength,
    NotConnectFirst,
    ConnectAgain,
    TooLarge,
    Truncated,
    TrailingBytes,
    Text,
    PacketId,
    Protocol,
    Will,
    Credentials,
    Topic,
    Filters,
}

impl Malformed {
    /// All reasons with their names, in the order of `Counters::malformed`.
    pub const NAMES: [&'static str; 16] = [
        "packet_type",
        "wrong_direction",
        "flags",
        "remaining_length",
        "not_connect_first",
        "connect_again",
        "too_large",
        "truncated",
        "trailing_bytes",
        "text",
        "packet_id",
        "protocol",
        "will",
        "credentials",
        "topic",
        "filters",
    ];
}

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Malformed {
        match error {
            DecodeError::ReservedType(_) => Malformed::PacketType,
            DecodeError::WrongDirection(_) => Malformed::WrongDirection,
            DecodeError::ReservedFlags(_)
            | DecodeError::PublishQos3
            | DecodeError::DupWithQos0
            | DecodeError::ConnectReservedFlag
            | DecodeError::ConnackFlags(_)
            | DecodeError::ConnackReturnCode(_)
            | DecodeError::ConnackSessionPresent => Malformed::Flags,
            DecodeError::RemainingLengthTooLong | DecodeError::WrongLength(_) => Malformed::RemainingLength,
            DecodeError::NotConnectFirst(_) => Malformed::NotConnectFirst,
            DecodeError::ConnectAgain => Malformed::ConnectAgain,
            DecodeError::ConnectTooLarge | DecodeError::PacketTooLarge(_) => Malformed::TooLarge,
            DecodeError::Truncated(_) => Malformed::Truncated,
            DecodeError::TrailingBytes(_) => Malformed::TrailingBytes,
            DecodeError::Utf8 | DecodeError::Nul => Malformed::Text,
            DecodeError::PacketIdZero => Malformed::PacketId,
            DecodeError::ProtocolName | DecodeError::ProtocolLevel(_) => Malformed::Protocol,
            DecodeError::WillQos3 | DecodeError::WillFlagsWithoutWill | DecodeError::WillTopic(_) => {
                Malformed::Will
            }
            DecodeError::PasswordWithoutUsername => Malformed::Credentials,
            DecodeError::Topic(_) => Malformed::Topic,
            DecodeError::NoFilter(_)
            | DecodeError::RequestedQos(_)
            | DecodeError::SubackReturnCode(_)
            | DecodeError::SubackEmpty => Malformed::Filters,
        }
    }
}

/// How connections ended; one counter each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "see StreamClose and CloseReason")]
pub enum ClosedBy {
    Disconnect,
    Refusal,
    Malformed,
    ConnectTimeout,
    KeepAlive,
    Broker,
    /// The stream ended without a DISCONNECT.
    Peer,
}

impl ClosedBy {
    /// All endings with their names, in the order of `Counters::closed`.
    pub const NAMES: [&'static str; 7] =
        ["disconnect", "refused", "protocol", "connect_timeout", "keep_alive", "broker", "peer"];
}

impl From<StreamClose> for ClosedBy {
    fn from(close: StreamClose) -> ClosedBy {
        match close {
            StreamClose::Disconnected => ClosedBy::Disconnect,
            StreamClose::Refused => ClosedBy::Refusal,
            StreamClose::Protocol => ClosedBy::Malformed,
            StreamClose::ConnectTimeout => ClosedBy::ConnectTimeout,
            StreamClose::KeepAlive => ClosedBy::KeepAlive,
            StreamClose::Broker(_) => ClosedBy::Broker,
        }
    }
}

/// Counts since the start. Those of several workers are added up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets from clients by type (index: [`PacketType`] as number).
    pub received: [u64; 16],
    /// Packets to clients by type.
    pub sent: [u64; 16],
    /// Bytes of whole packets from clients.
    pub bytes_received: u64,
    /// Bytes of packets to clients.
    pub bytes_sent: u64,
    /// Malformed and out-of-place packets, see [`Malformed::NAMES`].
    pub malformed: [u64; 16],
    /// Ended connections, see [`ClosedBy::NAMES`].
    pub closed: [u64; 7],
    /// Refused CONNECTs by CONNACK code.
    pub refused: [u64; 6],
}

fn bump(counters: &mut [u64], index: usize) {
    if let Some(counter) = counters.get_mut(index) {
        *counter += 1;
    }
}

impl Counters {
    pub(super) fn received(&mut self, packet: PacketType) {
        bump(&mut self.received, usize::from(packet as u8));
    }

    pub(super) fn sent(&mut self, packet: PacketType) {
        bump(&mut self.sent, usize::from(packet as u8));
    }

    pub(super) fn malformed(&mut self, error: DecodeError) {
        bump(&mut self.malformed, usize::from(Malformed::from(error) as u8));
    }

    pub(super) fn closed(&mut self, by: ClosedBy) {
        bump(&mut self.closed, usize::from(by as u8));
    }

    pub(super) fn refused(&mut self, code: ConnectReturnCode) {
        self.sent(PacketType::Connack);
        bump(&mut self.refused, usize::from(code as u8));
    }

    /// Adds another worker's counts.
    pub fn merge(&mut self, other: &Counters) {
        let pairs: [(&mut [u64], &[u64]); 5] = [
            (&mut self.received, &other.received),
            (&mut self.sent, &other.sent),
            (&mut self.malformed, &other.malformed),
            (&mut self.closed, &other.closed),
            (&mut self.refused, &other.refused),
        ];
        for (mine, theirs) in pairs {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_and_a_name() {
        assert_eq!(Malformed::Filters as usize + 1, Malformed::NAMES.len());
        assert_eq!(ClosedBy::Peer as usize + 1, ClosedBy::NAMES.len());
        let mut counters = Counters::default();
        counters.malformed(DecodeError::SubackEmpty);
        counters.closed(ClosedBy::Peer);
        counters.refused(ConnectReturnCode::NotAuthorized);
        counters.sent(PacketType::Disconnect);
        assert_eq!((counters.malformed[15], counters.closed[6], counters.refused[5]), (1, 1, 1));
        assert_eq!((counters.sent[2], counters.sent[14]), (1, 1));
    }

    #[test]
    fn merging_adds_every_field() {
        let mut one = Counters::default();
        one.received(PacketType::Publish);
        one.sent(PacketType::Puback);
        one.malformed(DecodeError::Utf8);
        one.closed(ClosedBy::KeepAlive);
        one.refused(ConnectReturnCode::IdentifierRejected);
        one.bytes_received = 3;
        one.bytes_sent = 4;
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.received[3], sum.sent[4]), (2, 2));
        assert_eq!((sum.malformed[9], sum.closed[4], sum.refused[2]), (2, 2, 2));
        assert_eq!((sum.bytes_received, sum.bytes_sent), (6, 8));
    }
}
