//! The settings as the pure crates take them.

use std::path::{Path, PathBuf};

use broker_core::Limits;
use sn_proto::topics::{Predefined, PredefinedError};

use super::schema::{Config, Lwm2mConfig, SnConfig};
use super::types::Overlapping;

impl Config {
    /// The bounds of the broker core.
    pub fn broker_limits(&self) -> Limits {
        let Self { mqtt, limits, .. } = self;
        Limits {
            connections_max: count(limits.connections),
            offline_sessions_max: count(limits.offline_sessions),
            session_expiry: mqtt.session_expiry,
            packet_bytes_max: bytes(mqtt.max_packet_size),
            connect_bytes_max: bytes(mqtt.max_connect_size.min(mqtt.max_packet_size)),
            connect_timeout: mqtt.connect_timeout,
            keep_alive_max: u16::try_from(mqtt.max_keepalive.as_secs()).unwrap_or(u16::MAX),
            topic_levels_max: count(limits.topic_levels),
            topic_bytes_max: count(limits.topic_bytes),
            client_id_bytes_max: count(limits.client_id_bytes),
            inflight_max: limits.inflight,
            incoming_qos2_max: usize::from(limits.incoming_qos2),
            incoming_qos2_bytes_max: bytes(limits.incoming_qos2_bytes),
            queue_messages_max: count(limits.queue_messages),
            queue_bytes_max: bytes(limits.queue_bytes),
            queue_bytes_total_max: bytes(limits.queue_bytes_total),
            queue_qos0_offline: mqtt.queue_qos0_offline,
            park_rounds_max: limits.park_rounds,
            subscriptions_max: count(limits.subscriptions),
            filters_per_packet_max: count(limits.filters_per_packet),
            retained_messages_max: count(limits.retained_messages),
            retained_bytes_max: bytes(limits.retained_bytes),
            retained_expiry: mqtt.retained_expiry,
            memo_bytes_max: bytes(limits.memo_bytes),
            will_bytes_max: bytes(limits.will_bytes),
            stream_credit_bytes: limits.stream_bytes,
            slice_deliveries: count(limits.slice_deliveries),
            overlapping_each: mqtt.overlapping == Overlapping::Each,
            backlog_max: Limits::default().backlog_max,
        }
    }
}

impl SnConfig {
    /// The table of predefined topics.
    ///
    /// # Errors
    /// None for settings that were loaded: loading refuses what the table refuses.
    pub fn predefined(&self) -> Result<Predefined, PredefinedError> {
        let mut table = Predefined::default();
        for (id, topic) in &self.predefined_topics {
            table.add(None, *id, topic.as_str())?;
        }
        Ok(table)
    }
}

impl Lwm2mConfig {
    /// The folder of the object descriptions: the one that is set, else the first that exists of `xml_dir` in
    /// `working_folder` and the one of the system package.
    pub fn xml_folder(&self, working_folder: &Path) -> Option<PathBuf> {
        let usual = [working_folder.join("xml_dir"), PathBuf::from("/usr/share/turnstone/xml_dir")];
        self.xml_dir.clone().or_else(|| usual.into_iter().find(|folder| folder.is_dir()))
    }
}

/// What does not fit the machine's own size is no limit on it.
fn count(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn bytes(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_broker_core() {
        assert_eq!(Config::default().broker_limits(), Limits::default());
    }
}
