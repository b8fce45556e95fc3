//! The settings as the pure crates take them.

use std::path::{Path, PathBuf};

use broker_core::topic::TopicName;
use broker_core::{Limits, QoS};
use lwm2m::path::ObjectPath;
use lwm2m::registration::LifetimeRule;
use lwm2m::server::{self as lw, AutoObserve, AwakeWindows, BadMountpoint, Leaf, Topics};
use sn_proto::config::{Rate, Rates};
use sn_proto::topics::{Predefined, PredefinedError};

use super::kind::quote;
use super::schema::{Config, Lwm2mConfig, SnConfig};
use super::types::{LifetimeZero, NewAddress, Overlapping, UpdateEvents};
use super::units::parse_duration;

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
            incoming_qos2_sn_max: Limits::default().incoming_qos2_sn_max,
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
        let mut table = self.predefined_file.as_ref().map(|file| file.table.clone()).unwrap_or_default();
        for (client, id, topic) in self.own_topics() {
            table.add(client, id, topic.as_str())?;
        }
        Ok(table)
    }

    /// The predefined topics of the settings, without those of the file: of all clients, then of single ones.
    pub fn own_topics(&self) -> impl Iterator<Item = (Option<&str>, u16, &TopicName)> {
        let common = self.predefined_topics.iter().map(|(id, topic)| (None, *id, topic));
        let own = self.predefined_clients.iter().flat_map(|(client, topics)| {
            topics.iter().map(move |(id, topic)| (Some(client.as_str()), *id, topic))
        });
        common.chain(own)
    }

    /// The rate limits.
    pub fn rates(&self) -> Rates {
        let rate = |per_second, burst| Rate { per_second, burst };
        Rates {
            address: rate(self.rates_address, self.rates_address_burst),
            client: rate(self.rates_client, self.rates_client_burst),
            node: rate(self.rates_node, self.rates_node_burst),
            forwarder: rate(self.rates_forwarder, self.rates_forwarder_burst),
            connects: rate(self.rates_connects, 0),
            ..Rates::default()
        }
    }
}

impl Lwm2mConfig {
    /// Where the topics of devices are.
    ///
    /// # Errors
    /// When the mount point is none.
    pub fn topics(&self) -> Result<Topics, BadMountpoint> {
        self.leaves().mounted_at(&self.mountpoint)
    }

    /// What stands below the mount point.
    pub fn leaves(&self) -> Topics {
        let leaf = |name: &str, qos| Leaf { name: name.into(), qos: QoS::from_u8(qos).unwrap_or_default() };
        let mut topics = Topics::default();
        topics.command = self.topic_command.as_str().into();
        topics.downlink = self.topic_downlink.as_str().into();
        topics.response = leaf(&self.topic_response, self.qos_response);
        topics.uplink = leaf(&self.topic_uplink, self.qos_uplink);
        topics.notify = leaf(&self.topic_notify, self.qos_notify);
        topics.register = leaf(&self.topic_register, self.qos_register);
        topics.update = leaf(&self.topic_update, self.qos_update);
        topics.event = leaf(&self.topic_event, self.qos_event);
        topics.status = leaf(&self.topic_status, self.qos_status);
        topics
    }

    /// What is observed without a command.
    ///
    /// # Errors
    /// The item that is no path, and why.
    pub fn observed(&self) -> Result<AutoObserve, String> {
        match self.auto_observe.trim() {
            "" | "off" | "false" => return Ok(AutoObserve::Off),
            "all" | "on" | "true" => return Ok(AutoObserve::All),
            _ => {} // a list
        }
        let path = |item: &str| ObjectPath::parse(item.trim()).map_err(|error| error.to_string());
        self.auto_observe.split(',').map(path).collect::<Result<_, _>>().map(AutoObserve::Paths)
    }

    /// Awake windows of devices by their names.
    ///
    /// # Errors
    /// The item that is none, and why.
    pub fn awake_windows(&self) -> Result<AwakeWindows, String> {
        let mut windows = AwakeWindows::default();
        let items = self.queue_awake_of.split(',').map(str::trim).filter(|item| !item.is_empty());
        for item in items {
            let (pattern, window) =
                item.rsplit_once('=').ok_or_else(|| format!("{} has no =", quote(item)))?;
            let (pattern, window) = (pattern.trim(), window.trim());
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            if pattern.is_empty() || name.contains(['*', '/', '+', '#']) {
                return Err(format!("{} is no endpoint name, nor the begin of one with a *", quote(pattern)));
            }
            let window = parse_duration(window).ok_or_else(|| format!("{} is no duration", quote(window)))?;
            let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            windows.add(pattern, millis.max(1));
        }
        Ok(windows)
    }

    /// The settings of the LwM2M server, but for the addresses of its listeners. For what loading refuses, the defaults stand.
    pub fn server(&self) -> lw::Config {
        let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        lw::Config {
            topics: self.topics().unwrap_or_default(),
            lifetimes: LifetimeRule {
                min_s: u32::try_from(self.lifetime_min.as_secs()).unwrap_or(u32::MAX),
                max_s: u32::try_from(self.lifetime_max.as_secs()).unwrap_or(u32::MAX),
                zero_is_infinite: match self.lifetime_zero {
                    LifetimeZero::Infinite => true,
                    LifetimeZero::Max => false,
                },
            },
            awake_window_ms: millis(self.queue_awake),
            awake_windows: self.awake_windows().unwrap_or_default(),
            response_timeout_ms: millis(self.response_timeout),
            command_ttl_s: self.command_ttl.as_secs(),
            body_bytes_max: bytes(self.max_body_size),
            block_bytes: self.block_size,
            new_address: match self.new_address {
                NewAddress::Accept => lw::NewAddress::Accept,
                NewAddress::Refuse => lw::NewAddress::Refuse,
            },
            transparent: self.transparent,
            emqx_compat: self.emqx_compat,
            content_details: self.content_details,
            resource_topics: self.resource_topics,
            auto_observe: self.observed().unwrap_or(AutoObserve::Off),
            update_events: match self.update_events {
                UpdateEvents::Always => lw::UpdateEvents::Always,
                UpdateEvents::ContainsObjectList => lw::UpdateEvents::ContainsObjectList,
            },
            ..lw::Config::default()
        }
    }

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

    #[test]
    fn the_default_rates_are_those_of_the_mqtt_sn_gateway() {
        assert_eq!(Config::default().sn.rates(), Rates::default());
    }

    #[test]
    fn the_defaults_are_those_of_the_lwm2m_server() {
        let server = Config::default().lwm2m.server();
        assert_eq!(format!("{server:?}"), format!("{:?}", lw::Config::default()));
    }
}
