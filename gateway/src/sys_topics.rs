//! `$SYS/gateway/#`: what the gateway itself counts, beside the broker's `$SYS/broker/#`. Only what changed since the
//! last round is published.
use crate::fronts::Front;
use crate::stats::Stats;
use broker_core::mqtt::{ClosedBy, Counters, Malformed};
use broker_core::{IoCounters, Message, QoS};

/// The text of `$SYS/broker/version`.
pub(crate) const VERSION: &str = concat!("turnstone version ", env!("CARGO_PKG_VERSION"));

/// Names of the CONNACK codes that refuse, by their number.
const REFUSALS: [&str; 6] =
    ["accepted", "protocol", "identifier", "unavailable", "credentials", "authorization"];

/// What was published last.
#[derive(Debug, Default)]
pub(crate) struct SysTopics {
    published: Vec<u64>,
}

impl SysTopics {
    /// The messages for the values that differ from those published last. `connections` are open now, `blocked` of
    /// them with a client that does not read.
    pub(crate) fn changed<'a>(
        &mut self,
        counters: &Counters,
        stats: &Stats,
        connections: usize,
        blocked: usize,
        fronts: impl Iterator<Item = &'a Front>,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut values = Vec::with_capacity(self.published.len());
        let mut add = |topic: &dyn Fn() -> String, value: u64| {
            if self.published.get(values.len()) != Some(&value) {
                let topic = format!("$SYS/gateway/{}", topic());
                messages.push(Message::new(&topic, value.to_string().as_bytes(), QoS::AtMostOnce, true));
            }
            values.push(value);
        };
        let udp = &stats.udp;
        for (name, value) in [
            ("panics", stats.panics),
            ("tcp/connections", connections as u64),
            ("tcp/blocked", blocked as u64),
            ("tcp/accepted", stats.accepted),
            ("tcp/refused/limit", stats.refused_total),
            ("tcp/refused/per_ip", stats.refused_per_ip),
            ("tcp/refused/unwatched", stats.unwatched),
            ("tcp/accept_pauses/resources", stats.accept_pauses),
            ("tcp/accept_pauses/rate", stats.accept_rate_pauses),
            ("tcp/bytes/received", stats.stream_bytes_received),
            ("tcp/bytes/sent", stats.stream_bytes_sent),
            ("udp/datagrams/received", udp.datagrams_received),
            ("udp/datagrams/sent", udp.datagrams_sent),
            ("udp/bytes/received", udp.bytes_received),
            ("udp/bytes/sent", udp.bytes_sent),
            ("udp/dropped/kernel", udp.kernel_drops),
            ("udp/dropped/unusable", udp.unusable),
            ("udp/dropped/own", udp.own_heard),
            ("udp/dropped/send_full", udp.send_full),
            ("udp/dropped/send_failed", udp.send_failed),
            ("links/stale_events", stats.stale_events),
            ("trace/published", stats.traces),
            ("trace/left_out", stats.traces_left_out),
            ("trace/refused", stats.traces_refused),
        ] {
            add(&|| name.to_owned(), value);
        }
        for (name, value) in Malformed::NAMES.iter().zip(counters.malformed) {
            add(&|| format!("mqtt/malformed/{name}"), value);
        }
        for (name, value) in ClosedBy::NAMES.iter().zip(counters.closed) {
            add(&|| format!("mqtt/closed/{name}"), value);
        }
        for (name, value) in REFUSALS.iter().zip(counters.refused).skip(1) {
            add(&|| format!("mqtt/refused/{name}"), value);
        }
        for front in fronts {
            front.counters(&mut |name, value| add(&|| name.to_owned(), value));
        }
        self.published = values;
        messages
    }
}

/// What the broker wants to know of the transports.
pub(crate) fn io_counters(counters: &Counters, stats: &Stats) -> IoCounters {
    IoCounters {
        bytes_received: stats.stream_bytes_received + stats.udp.bytes_received,
        bytes_sent: stats.stream_bytes_sent + stats.udp.bytes_sent,
        packets_received: counters.received,
        packets_sent: counters.sent,
        sockets_opened: stats.accepted,
        heap_current: None,
        heap_maximum: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_values_are_published() {
        let mut sys = SysTopics::default();
        let (counters, mut stats) = (Counters::default(), Stats::default());
        let first = sys.changed(&counters, &stats, 0, 0, std::iter::empty());
        assert!(
            first.iter().any(|m| m.topic() == "$SYS/gateway/mqtt/malformed/too_large" && m.payload() == b"0")
        );
        assert!(first.iter().all(Message::retain));
        assert!(sys.changed(&counters, &stats, 0, 0, std::iter::empty()).is_empty());
        stats.udp.kernel_drops = 7;
        let second = sys.changed(&counters, &stats, 1, 0, std::iter::empty());
        let topics: Vec<_> = second.iter().map(|m| (m.topic(), m.payload())).collect();
        assert_eq!(
            topics,
            [("$SYS/gateway/tcp/connections", &b"1"[..]), ("$SYS/gateway/udp/dropped/kernel", b"7")]
        );
    }
}
