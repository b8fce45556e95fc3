//! `$SYS/broker/#`: the broker's own figures as retained messages, under Mosquitto's names, so that its dashboards
//! and exporters work; packet and message counters also under EMQ's `$SYS/broker/metrics/#`.
//!
//! Only what changed since the last round is published.
use crate::broker::Broker;
use crate::counters::{IoCounters, PerQos};
use crate::link::{DropReason, Effects};
use crate::message::{Message, QoS};
use crate::time::{Instant, Now};
use std::time::Duration;

/// Names of the load averages, in the order of `loads`.
const LOADS: [&str; 9] = [
    "messages/received",
    "messages/sent",
    "publish/dropped",
    "publish/received",
    "publish/sent",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
];
/// Minutes of the three averages.
const MINUTES: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];
/// Control packets as EMQ names them: type, name, whether it goes both ways.
const PACKETS: [(usize, &str, bool); 14] = [
    (1, "connect", false),
    (2, "connack", false),
    (3, "publish", true),
    (4, "puback", true),
    (5, "pubrec", true),
    (6, "pubrel", true),
    (7, "pubcomp", true),
    (8, "subscribe", false),
    (9, "suback", false),
    (10, "unsubscribe", false),
    (11, "unsuback", false),
    (12, "pingreq", false),
    (13, "pingresp", false),
    (14, "disconnect", true),
];

/// What was published last, and the load averages.
#[derive(Debug, Default)]
pub(crate) struct SysTree {
    /// Topic and value, in the order in which they are made.
    published: Vec<(String, String)>,
    last: Option<(Instant, [u64; LOADS.len()])>,
    averages: [[f64; MINUTES.len()]; LOADS.len()],
}

impl SysTree {
    /// Moves the averages on, as Mosquitto does: per minute, decaying exponentially, begun with the first interval.
    fn update_loads(&mut self, now: Instant, totals: [u64; LOADS.len()]) {
        let (since, before, first) = match self.last {
            Some((since, before)) => (since, before, false),
            None => (Instant::ZERO, [0; LOADS.len()], true),
        };
        let seconds = now.saturating_since(since).as_secs_f64();
        if seconds < 0.001 {
            return;
        }
        self.last = Some((now, totals));
        for ((averages, total), before) in self.averages.iter_mut().zip(totals).zip(before) {
            let per_minute = total.saturating_sub(before) as f64 * 60.0 / seconds;
            for (average, (_, minutes)) in averages.iter_mut().zip(MINUTES) {
                let decay = (-seconds / (60.0 * minutes)).exp();
                *average = if first { per_minute } else { per_minute + decay * (*average - per_minute) };
            }
        }
    }

    /// The values that differ from those published last.
    fn changed(&mut self, values: Vec<(String, String)>) -> Vec<(String, String)> {
        let mut changed = Vec::new();
        for (at, value) in values.iter().enumerate() {
            if self.published.get(at) != Some(value) {
                changed.push(value.clone());
            }
        }
        self.published = values;
        changed
    }
}

impl Broker {
    /// Publishes what changed of `$SYS`, to be called every `sys.interval`. `version` is the text of
    /// `$SYS/broker/version`, `io` the sum of all workers' counters.
    pub fn publish_sys(
        &mut self,
        now: Now,
        version: &str,
        uptime: Duration,
        io: &IoCounters,
        out: &mut Effects,
    ) {
        let totals = self.load_totals(io);
        self.sys_tree().update_loads(now.instant, totals);
        let values = self.sys_values(version, uptime, io);
        for (topic, value) in self.sys_tree().changed(values) {
            self.publish(now, Message::new(&topic, value.as_bytes(), QoS::AtMostOnce, true), out);
        }
    }

    fn load_totals(&self, io: &IoCounters) -> [u64; LOADS.len()] {
        let counters = self.counters();
        [
            io.packets_received.iter().sum(),
            io.packets_sent.iter().sum(),
            counters.drops.missed(),
            counters.publish_received.total(),
            counters.publish_sent.total(),
            io.bytes_received,
            io.bytes_sent,
            io.sockets_opened,
            counters.connects,
        ]
    }

    fn sys_values(&mut self, version: &str, uptime: Duration, io: &IoCounters) -> Vec<(String, String)> {
        let mut values = Vec::with_capacity(128);
        let mut add = |name: &str, value: String| values.push((format!("$SYS/broker/{name}"), value));
        let (status, counters) = (self.status(), self.counters().clone());
        let stored = status.held_messages + status.retained;
        let stored_bytes = status.held_bytes + status.retained_bytes;
        add("version", version.to_owned());
        add("uptime", format!("{} seconds", uptime.as_secs()));
        for (name, value) in [
            ("clients/total", status.sessions as u64),
            ("clients/connected", status.attached as u64),
            ("clients/active", status.attached as u64),
            ("clients/disconnected", status.disconnected as u64),
            ("clients/inactive", status.disconnected as u64),
            ("clients/maximum", counters.clients_maximum),
            ("clients/expired", counters.sessions_expired),
            ("messages/received", io.packets_received.iter().sum()),
            ("messages/sent", io.packets_sent.iter().sum()),
            ("messages/stored", stored as u64),
            ("store/messages/count", stored as u64),
            ("store/messages/bytes", stored_bytes as u64),
            ("publish/messages/received", counters.publish_received.total()),
            ("publish/messages/sent", counters.publish_sent.total()),
            ("publish/messages/dropped", counters.drops.missed()),
            ("publish/bytes/received", counters.publish_bytes_received),
            ("publish/bytes/sent", counters.publish_bytes_sent),
            ("bytes/received", io.bytes_received),
            ("bytes/sent", io.bytes_sent),
            ("subscriptions/count", status.subscriptions as u64),
            ("shared_subscriptions/count", status.shared_subscriptions as u64),
        ] {
            add(name, value.to_string());
        }
        // The broker's own are counted too, as Mosquitto does.
        add("retained messages/count", status.retained.to_string());
        if let Some(heap) = io.heap_current {
            add("heap/current", heap.to_string());
        }
        if let Some(heap) = io.heap_maximum {
            add("heap/maximum", heap.to_string());
        }
        for (load, averages) in LOADS.iter().zip(self.sys_tree().averages) {
            for ((minutes, _), average) in MINUTES.iter().zip(averages) {
                add(&format!("load/{load}/{minutes}"), format!("{average:.2}"));
            }
        }
        for (name, value) in emq_metrics(&counters.publish_received, &counters.publish_sent, io) {
            add(&format!("metrics/{name}"), value.to_string());
        }
        add("metrics/messages/retained", status.retained.to_string());
        add("metrics/messages/dropped", counters.drops.missed().to_string());
        add("metrics/messages/expired", counters.drops.of(DropReason::Expired).to_string());
        values
    }
}

fn emq_metrics(received: &PerQos, sent: &PerQos, io: &IoCounters) -> Vec<(String, u64)> {
    let mut metrics = vec![
        ("bytes/received".to_owned(), io.bytes_received),
        ("bytes/sent".to_owned(), io.bytes_sent),
        ("packets/received".to_owned(), io.packets_received.iter().sum()),
        ("packets/sent".to_owned(), io.packets_sent.iter().sum()),
        ("messages/received".to_owned(), received.total()),
        ("messages/sent".to_owned(), sent.total()),
    ];
    for (level, qos) in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().enumerate() {
        metrics.push((format!("messages/qos{level}/received"), received.of(qos)));
        metrics.push((format!("messages/qos{level}/sent"), sent.of(qos)));
    }
    for (kind, name, both_ways) in PACKETS {
        let count = |counts: &[u64; 16]| counts.get(kind).copied().unwrap_or(0);
        let (received, sent) = (count(&io.packets_received), count(&io.packets_sent));
        if both_ways {
            metrics.push((format!("packets/{name}/received"), received));
            metrics.push((format!("packets/{name}/sent"), sent));
        } else {
            metrics.push((format!("packets/{name}"), received + sent));
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn loads_decay_as_mosquittos_do() {
        let mut tree = SysTree::default();
        let totals = |value: u64| {
            let mut totals = [0; LOADS.len()];
            totals[0] = value;
            totals
        };
        tree.update_loads(at(10), totals(100));
        assert_eq!(tree.averages[0], [600.0, 600.0, 600.0], "the first interval counts in full: 100 in 10 s");
        tree.update_loads(at(20), totals(100));
        let expected = [600.0 * (-10.0_f64 / 60.0).exp(), 600.0 * (-10.0_f64 / 300.0).exp()];
        assert!((tree.averages[0][0] - expected[0]).abs() < 1e-9);
        assert!((tree.averages[0][1] - expected[1]).abs() < 1e-9);
        assert_eq!(tree.averages[1], [0.0; 3]);
        tree.update_loads(at(20), totals(500));
        assert!((tree.averages[0][0] - expected[0]).abs() < 1e-9, "no time passed, nothing to say");
    }

    #[test]
    fn only_changes_are_named() {
        let mut tree = SysTree::default();
        let values = |a: &str| vec![("x".to_owned(), a.to_owned()), ("y".to_owned(), "1".to_owned())];
        assert_eq!(tree.changed(values("1")).len(), 2);
        assert_eq!(tree.changed(values("1")), []);
        assert_eq!(tree.changed(values("2")), [("x".to_owned(), "2".to_owned())]);
    }
}
