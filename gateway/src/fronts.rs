//! [`Front`]: the datagram front-ends, made from the settings. An enum and not a trait object, so that a reload and
//! `$SYS` reach what the [`Frontend`] trait does not speak of.
use crate::config::{Config, Network, SnRebind, SnReflectGuard, SnShortSuback, SnSleepConnectClean};
use crate::images::Folder;
use broker_core::frontend::{Actions, Address, Frontend, ListenerId, Peer};
use broker_core::link::{FrontendId, QueueQos0, Secret};
use broker_core::topic::{TopicFilter, TopicLimits};
use broker_core::{FromBroker, Instant, LinkId, Now};
use bytes::Bytes;
use lwm2m::Lwm2mServer;
use lwm2m::catalog::Catalog;
use sn_proto::SnGateway;
use sn_proto::mountpoint::Mountpoint;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

/// A protocol over datagrams.
#[derive(Debug)]
pub(crate) enum Front {
    /// MQTT-SN.
    Sn(Box<SnGateway>),
    /// LwM2M.
    Lwm2m(Box<Lwm2mServer>),
}

/// The settings of all datagram front-ends.
#[derive(Clone, Debug)]
pub(crate) struct FrontSettings {
    sn: sn_proto::Config,
    lwm2m: lwm2m::Config,
    catalog: Arc<Catalog>,
    /// Folder of firmware images.
    images: Option<PathBuf>,
}

impl FrontSettings {
    pub(crate) fn from_config(config: &Config) -> Self {
        Self::with_objects(config, crate::objects::load(&config.lwm2m))
    }

    /// Those of the start, with the object definitions inside of the program only: reading files takes its time.
    pub(crate) fn of_the_start(config: &Config) -> Self {
        Self::with_objects(config, Catalog::core())
    }

    fn with_objects(config: &Config, catalog: Catalog) -> Self {
        let catalog = Arc::new(catalog);
        // A listener's number is its place in this list.
        let listeners = config.listeners().iter().map(|listener| listener.address).collect();
        let lwm2m = lwm2m::Config { listeners, ..config.lwm2m.server() };
        FrontSettings { sn: sn(config), lwm2m, catalog, images: config.lwm2m.firmware_dir.clone() }
    }

    /// Topics of LwM2M that only the gateway may publish to.
    pub(crate) fn closed_topics(&self) -> Vec<TopicFilter> {
        self.lwm2m.topics.closed()
    }

    /// The front-end of this protocol, for the worker with this number.
    pub(crate) fn front(&self, id: FrontendId, worker: u8, seed: u64) -> Option<Front> {
        match id {
            FrontendId::MqttSn => Some(Front::Sn(Box::new(SnGateway::new(self.sn.clone(), worker, seed)))),
            FrontendId::Lwm2m => {
                let (config, catalog) = (self.lwm2m.clone(), Arc::clone(&self.catalog));
                let mut server = Lwm2mServer::new(config, catalog, worker, secret());
                if let Some(folder) = &self.images {
                    server.set_images(Box::new(Folder::new(folder.clone())));
                }
                Some(Front::Lwm2m(Box::new(server)))
            }
            FrontendId::Mqtt | FrontendId::Internal => None,
        }
    }
}

impl Front {
    /// Which links are this front-end's.
    pub(crate) fn id(&self) -> FrontendId {
        match self {
            Front::Sn(_) => FrontendId::MqttSn,
            Front::Lwm2m(_) => FrontendId::Lwm2m,
        }
    }

    /// Follows a client or endpoint from now on. False when too many are followed already.
    pub(crate) fn follow(&mut self, name: &str) -> bool {
        match self {
            Front::Sn(gateway) => gateway.follow(name),
            Front::Lwm2m(server) => server.follow(name),
        }
    }

    /// Follows it no longer.
    pub(crate) fn unfollow(&mut self, name: &str) {
        match self {
            Front::Sn(gateway) => gateway.unfollow(name),
            Front::Lwm2m(server) => server.unfollow(name),
        }
    }

    /// New settings, after a reload.
    pub(crate) fn handle_config(&mut self, now: Now, settings: &FrontSettings) {
        match self {
            Front::Sn(gateway) => {
                // Groups follow the interfaces, see `Hub::refresh_groups`.
                let groups = gateway.groups().to_vec();
                gateway.handle_config(now, sn_proto::Config { groups, ..settings.sn.clone() });
            }
            Front::Lwm2m(server) => {
                server.handle_config(settings.lwm2m.clone());
                server.set_catalog(Arc::clone(&settings.catalog));
            }
        }
    }

    /// Calls `add` with the name and value of every counter, always in the same order.
    pub(crate) fn counters(&self, add: &mut dyn FnMut(&str, u64)) {
        match self {
            Front::Sn(gateway) => sn_counters(gateway, add),
            Front::Lwm2m(server) => {
                server.each_counter(&mut |name, value| add(&format!("lwm2m/{name}"), value))
            }
        }
    }
}

impl Frontend for Front {
    fn handle_datagram(&mut self, now: Now, from: &Peer, datagram: &[u8], out: &mut Actions) {
        match self {
            Front::Sn(gateway) => gateway.handle_datagram(now, from, datagram, out),
            Front::Lwm2m(server) => server.handle_datagram(now, from, datagram, out),
        }
    }

    fn handle_event(&mut self, now: Now, link: LinkId, event: FromBroker, out: &mut Actions) {
        match self {
            Front::Sn(gateway) => gateway.handle_event(now, link, event, out),
            Front::Lwm2m(server) => server.handle_event(now, link, event, out),
        }
    }

    fn handle_timeout(&mut self, now: Now, out: &mut Actions) {
        match self {
            Front::Sn(gateway) => gateway.handle_timeout(now, out),
            Front::Lwm2m(server) => server.handle_timeout(now, out),
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        match self {
            Front::Sn(gateway) => gateway.next_timeout(),
            Front::Lwm2m(server) => server.next_timeout(),
        }
    }
}

/// 32 bytes that nobody outside can know: tokens and locations come from them. `RandomState` is keyed by the system's
/// random numbers.
fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    for (number, word) in secret.chunks_mut(8).enumerate() {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_usize(number);
        word.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    secret
}

fn sn(config: &Config) -> sn_proto::Config {
    let (sn, limits) = (&config.sn, &config.limits);
    sn_proto::Config {
        gateway_id: sn.gateway_id,
        advertise_duration: u16::try_from(sn.advertise_duration.as_secs()).unwrap_or(u16::MAX),
        username: sn.username.as_deref().map(Arc::from),
        password: sn
            .password
            .as_ref()
            .map(|password| Secret(Bytes::copy_from_slice(password.expose().as_bytes()))),
        // Loading has refused what the table refuses; an empty one then says nothing wrong.
        predefined: Arc::new(sn.predefined().unwrap_or_default()),
        qos_minus_one: sn.enable_qos3,
        topic_limits: TopicLimits {
            levels_max: limits.topic_levels as usize,
            bytes_max: limits.topic_bytes as usize,
        },
        inline_topic_names: sn.inline_topic_names,
        retry_interval: sn.retry_interval,
        retry_count: sn.retry_count,
        subs_resume: sn.subs_resume,
        suback_short_topic_id: match sn.suback_short_topic_id {
            SnShortSuback::Zero => sn_proto::config::ShortSuback::Zero,
            SnShortSuback::Name => sn_proto::config::ShortSuback::Name,
        },
        awake_limit: sn.awake_limit,
        queue_qos0: QueueQos0 { asleep: sn.queue_qos0, offline: sn.queue_qos0_parked },
        // Loading has refused what is no mount point.
        mountpoint: Mountpoint::new(&sn.mountpoint).unwrap_or_default(),
        rates: sn.rates(),
        rates_exempt: networks(&limits.exempt),
        more_workers: config.process.workers > 1,
        sleep_connect_clean: match sn.sleep_connect_clean {
            SnSleepConnectClean::Keep => sn_proto::config::SleepConnectClean::Keep,
            SnSleepConnectClean::Wipe => sn_proto::config::SleepConnectClean::Wipe,
        },
        rebind: match sn.rebind {
            SnRebind::SameIp => sn_proto::config::Rebind::SameIp,
            SnRebind::Any => sn_proto::config::Rebind::Any,
            SnRebind::Never => sn_proto::config::Rebind::Never,
            SnRebind::Dtls => sn_proto::config::Rebind::Dtls,
        },
        rebind_active: sn.rebind_active,
        reflect_guard: match sn.reflect_guard {
            SnReflectGuard::Public => sn_proto::config::ReflectGuard::Public,
            SnReflectGuard::All => sn_proto::config::ReflectGuard::All,
            SnReflectGuard::Off => sn_proto::config::ReflectGuard::Off,
        },
        disconnect_unknown: sn.disconnect_unknown,
        standby_for: sn.standby_for,
        // Loading has refused those that no listener leads to.
        advertise_to_forwarders: sn
            .advertise_to_forwarders
            .iter()
            .filter_map(|peer| {
                let listener = ListenerId(config.sn_listener_towards(*peer)?);
                Some(Address { remote: *peer, local: None, listener })
            })
            .collect(),
        forwarders: networks(&sn.forwarders),
        limits: sn_proto::limits::Limits {
            clients_max: limits.connections as usize,
            idle_timeout: config.mqtt.idle_timeout,
            topics_per_client_max: sn.max_topics as usize,
            client_id_bytes_max: sn.max_client_id as usize,
            datagram_bytes_max: sn.max_datagram as usize,
            unreleased_max: usize::from(sn.incoming_qos2),
            nodes_per_forwarder_max: sn.nodes_per_forwarder as usize,
            ..sn_proto::limits::Limits::default()
        },
        ..sn_proto::Config::default()
    }
}

fn networks(networks: &[Network]) -> Vec<sn_proto::config::Network> {
    let network = |network: &Network| sn_proto::config::Network {
        address: network.address(),
        prefix: network.prefix_bits(),
    };
    networks.iter().map(network).collect()
}

/// Names of the reasons in [`sn_proto::Counters::malformed`].
const SN_MALFORMED: [&str; sn_proto::wire::WireError::REASONS] = [
    "too_short",
    "too_long",
    "length_mismatch",
    "reserved_type",
    "empty_encapsulation",
    "nested_encapsulation",
];

fn sn_counters(gateway: &SnGateway, add: &mut dyn FnMut(&str, u64)) {
    let counters = gateway.counters();
    add("sn/clients", gateway.clients() as u64);
    for (name, value) in SN_MALFORMED.iter().zip(counters.malformed) {
        add(&format!("sn/malformed/{name}"), value);
    }
    for (name, value) in [
        ("datagrams", counters.datagrams),
        ("out_of_place", counters.out_of_place),
        ("rate_limited", counters.rate_limited),
        ("not_a_forwarder", counters.not_a_forwarder),
        ("strangers_disconnected", counters.strangers_disconnected),
        ("answers_suppressed", counters.answers_suppressed),
        ("connects/accepted", counters.connects_accepted),
        ("connects/refused", counters.connects_refused),
        ("handshakes_abandoned", counters.handshakes_abandoned),
        ("keep_alive_lapsed", counters.keep_alive_lapsed),
        ("sleeps_expired", counters.sleeps_expired),
        ("sleepers_moved", counters.sleepers_moved),
        ("rebind_refused", counters.rebind_refused),
        ("retransmissions", counters.retransmissions),
        ("parked", counters.parked),
        ("registers_unanswered", counters.registers_unanswered),
        ("dropped/topic_refused", counters.topic_refused),
        ("dropped/registry_full", counters.registry_full),
        ("dropped/register_busy", counters.register_busy),
        ("dropped/oversize", counters.oversize),
        ("dropped/rejected", counters.rejected),
        ("minus_one/accepted", counters.minus_one_accepted),
        ("minus_one/dropped", counters.minus_one_dropped),
        ("publish_refused", counters.publish_refused),
        ("late_copies", counters.late_copies),
        ("guarded", counters.guarded),
        ("same_gateway_id", counters.same_gateway_id),
        ("searches_answered", counters.searches_answered),
        ("searches_left", counters.searches_left),
        ("advertises", counters.advertises),
        ("standby_takeovers", counters.standby_takeovers),
        ("nodes_evicted", counters.nodes_evicted),
        ("traces_dropped", counters.traces_dropped),
    ] {
        add(&format!("sn/{name}"), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_a_front_end_has_a_name_of_its_own() {
        let settings = FrontSettings::from_config(&Config::default());
        for front in
            [FrontendId::MqttSn, FrontendId::Lwm2m].into_iter().filter_map(|id| settings.front(id, 0, 1))
        {
            let mut names = Vec::new();
            front.counters(&mut |name, _| names.push(name.to_owned()));
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!((all, names.is_empty()), (names.len(), false), "{:?}", front.id());
        }
    }
}
