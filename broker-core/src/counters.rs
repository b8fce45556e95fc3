//! Counters: plain numbers that only rise, read for `$SYS`, metrics and tests.
//!
//! The broker keeps [`Counters`] itself. What only the transports know, bytes and control packets on the wire, is
//! [`IoCounters`]: each worker keeps one, the driver adds them up and hands the sum to
//! [`crate::Broker::publish_sys`].
use crate::link::DropReason;
use crate::message::QoS;

/// Number of [`DropReason`]s.
const DROP_REASONS: usize = 11;

/// Messages dropped, by reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drops([u64; DROP_REASONS]);

impl Drops {
    /// All reasons, in the order of their declaration.
    pub const REASONS: [DropReason; DROP_REASONS] = [
        DropReason::QueueFull,
        DropReason::TooLarge,
        DropReason::Denied,
        DropReason::Expired,
        DropReason::NoSubscriber,
        DropReason::Offline,
        DropReason::Rejected,
        DropReason::GivenUp,
        DropReason::SessionEnded,
        DropReason::RetainedFull,
        DropReason::Memory,
    ];

    /// Counts one.
    pub fn add(&mut self, reason: DropReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// How many for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Deliveries that a subscriber missed: all drops but those of messages without subscriber, those refused by the
    /// ACL, and those only not retained. This is Mosquitto's `publish/messages/dropped`.
    pub fn missed(&self) -> u64 {
        Drops::REASONS
            .iter()
            .filter(|reason| {
                !matches!(reason, DropReason::NoSubscriber | DropReason::Denied | DropReason::RetainedFull)
            })
            .map(|reason| self.of(*reason))
            .sum()
    }
}

/// One number for each QoS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PerQos([u64; 3]);

impl PerQos {
    /// Counts one.
    #[inline]
    pub fn add(&mut self, qos: QoS) {
        if let Some(count) = self.0.get_mut(qos as usize) {
            *count += 1;
        }
    }

    /// The number of this QoS.
    pub fn of(&self, qos: QoS) -> u64 {
        self.0.get(qos as usize).copied().unwrap_or(0)
    }

    /// All three.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What the broker counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages published to the broker by its links (wills included, a QoS 2 message once), by QoS.
    pub publish_received: PerQos,
    /// Their payload bytes.
    pub publish_bytes_received: u64,
    /// Deliveries handed to links, repeats included, by QoS of the delivery.
    pub publish_sent: PerQos,
    /// Their payload bytes.
    pub publish_bytes_sent: u64,
    /// Messages dropped.
    pub drops: Drops,
    /// Attachments that were granted.
    pub connects: u64,
    /// Attachments that were refused.
    pub connects_refused: u64,
    /// Sessions taken over by another link while attached.
    pub takeovers: u64,
    /// Requests on links that are over: dropped.
    pub stale_requests: u64,
    /// Links closed since they broke the contract.
    pub protocol_closes: u64,
    /// Acknowledgements for nothing in flight, or of the wrong kind: ignored.
    pub acks_unexpected: u64,
    /// Publishes and wills denied by the ACL.
    pub publishes_denied: u64,
    /// Filters refused: malformed, denied, or over a limit.
    pub subscribes_refused: u64,
    /// QoS 2 publishes refused over the limits of the receive store.
    pub qos2_quota: u64,
    /// Wills published.
    pub wills_published: u64,
    /// Offline sessions that ended by their expiry.
    pub sessions_expired: u64,
    /// Offline sessions that ended to make room for newer ones.
    pub sessions_evicted: u64,
    /// Retained messages that ended by their expiry.
    pub retained_expired: u64,
    /// Sleepers that did not come back in time.
    pub sleeps_expired: u64,
    /// Memo changes refused over the limit.
    pub memo_refused: u64,
    /// Fates that nobody was there to hear.
    pub fates_unheard: u64,
    /// Most clients attached at a time.
    pub clients_maximum: u64,
}

/// What a worker's transports count: the sum over workers is handed to the broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IoCounters {
    /// Bytes read from streams and datagrams.
    pub bytes_received: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// MQTT control packets received, indexed by packet type (1 CONNECT … 14 DISCONNECT).
    pub packets_received: [u64; 16],
    /// MQTT control packets sent, likewise.
    pub packets_sent: [u64; 16],
    /// Connections accepted.
    pub sockets_opened: u64,
    /// Current heap use in bytes, where the driver knows it.
    pub heap_current: Option<u64>,
    /// Largest heap use in bytes, where the driver knows it.
    pub heap_maximum: Option<u64>,
}

impl IoCounters {
    /// Counts a control packet received. `packet_type` is the high nibble of its first byte.
    #[inline]
    pub fn packet_received(&mut self, packet_type: u8) {
        if let Some(count) = self.packets_received.get_mut(usize::from(packet_type)) {
            *count += 1;
        }
    }

    /// Counts a control packet sent. `packet_type` is the high nibble of its first byte.
    #[inline]
    pub fn packet_sent(&mut self, packet_type: u8) {
        if let Some(count) = self.packets_sent.get_mut(usize::from(packet_type)) {
            *count += 1;
        }
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: &IoCounters) {
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        for (mine, theirs) in self.packets_received.iter_mut().zip(other.packets_received) {
            *mine += theirs;
        }
        for (mine, theirs) in self.packets_sent.iter_mut().zip(other.packets_sent) {
            *mine += theirs;
        }
        self.sockets_opened += other.sockets_opened;
        self.heap_current = self.heap_current.or(other.heap_current);
        self.heap_maximum = self.heap_maximum.or(other.heap_maximum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drop_reason_has_its_own_place() {
        let mut drops = Drops::default();
        for (times, reason) in Drops::REASONS.into_iter().enumerate() {
            for _ in 0..=times {
                drops.add(reason);
            }
        }
        for (times, reason) in Drops::REASONS.into_iter().enumerate() {
            assert_eq!(drops.of(reason), times as u64 + 1, "{reason:?}");
        }
    }

    #[test]
    fn workers_add_up() {
        let mut one = IoCounters { bytes_received: 5, heap_current: None, ..IoCounters::default() };
        one.packet_received(3);
        one.packet_received(200); // no such type: not counted, no panic
        let mut two = IoCounters { bytes_received: 7, heap_current: Some(9), ..IoCounters::default() };
        two.packet_received(3);
        two.packet_sent(4);
        one.add(&two);
        assert_eq!((one.bytes_received, one.packets_received[3], one.packets_sent[4]), (12, 2, 1));
        assert_eq!(one.heap_current, Some(9));
    }
}
