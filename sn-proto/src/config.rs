//! Settings of the MQTT-SN gateway, as values; where they come from is the binary's business.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use broker_core::frontend::{Address, ListenerId};
use broker_core::link::{QueueQos0, Secret};
use broker_core::topic::TopicLimits;

use crate::limits::Limits;
use crate::mountpoint::Mountpoint;
use crate::topics::Predefined;

/// All settings. [`Config::default`] is what an empty configuration file means.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our GwId in ADVERTISE and GWINFO.
    pub gateway_id: u8,
    /// Seconds between two ADVERTISE (and the Duration in them); 0: none is sent.
    pub advertise_duration: u16,
    /// Where ADVERTISE, and GWINFO for a SEARCHGW heard on a group, go. Sent from the service listener.
    pub groups: Vec<Group>,
    /// ADVERTISE goes to each listed forwarder too, encapsulated with an empty node id.
    pub advertise_to_forwarders: Vec<Address>,
    /// We stand by for the gateway with this id (§6.1).
    pub standby_for: Option<u8>,
    /// This worker answers discovery on groups and advertises. With several workers only one does.
    pub primary: bool,
    /// User name for every client, since MQTT-SN 1.2 knows none.
    pub username: Option<Arc<str>>,
    /// The password for it.
    pub password: Option<Secret>,
    /// Predefined topics.
    pub predefined: Arc<Predefined>,
    /// Publishes without a session (QoS −1) are taken.
    pub qos_minus_one: bool,
    /// QoS −1 with the topic name in front of the payload is taken.
    pub inline_topic_names: bool,
    /// Tretry: time until a message that was not answered is sent again.
    pub retry_interval: Duration,
    /// Nretry: how often it is sent again.
    pub retry_count: u8,
    /// Messages of one wake-up at most.
    pub awake_limit: u32,
    /// What CleanSession in a CONNECT from sleep does.
    pub sleep_connect_clean: SleepConnectClean,
    /// After a reconnect, ids are registered with the client again before their first PUBLISH.
    pub subs_resume: bool,
    /// The TopicId of a SUBACK for a short topic name.
    pub suback_short_topic_id: ShortSuback,
    /// Which addresses may wake a sleeper by its ClientId.
    pub rebind: Rebind,
    /// The same policy also lets an active client move by a PINGREQ with its ClientId. Off by default: without
    /// DTLS, a stranger behind the same address could take a session.
    pub rebind_active: bool,
    /// Other workers serve the same port, so that a sleeper's PINGREQ may come to one that does not know it.
    pub more_workers: bool,
    /// Whose deliveries are limited until an address is validated.
    pub reflect_guard: ReflectGuard,
    /// A stranger's request is answered with DISCONNECT (rate-limited).
    pub disconnect_unknown: bool,
    /// When QoS 0 messages are kept.
    pub queue_qos0: QueueQos0,
    /// Addresses whose forwarder encapsulation is believed; none by default.
    pub forwarders: Vec<Network>,
    /// Normal topic ids start at a drawn offset. Off only in tests that quote fixed numbers.
    pub random_topic_ids: bool,
    /// Put before every topic and filter of a client, and taken off what is delivered to it. Publishes without a
    /// session are dropped where it has the ClientId in it.
    pub mountpoint: Mountpoint,
    /// Bounds of topic names and filters.
    pub topic_limits: TopicLimits,
    /// Rate limits.
    pub rates: Rates,
    /// Networks without a limit per address.
    pub rates_exempt: Vec<Network>,
    /// All other bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            gateway_id: 1,
            advertise_duration: 900,
            groups: Vec::new(),
            advertise_to_forwarders: Vec::new(),
            standby_for: None,
            primary: true,
            username: None,
            password: None,
            predefined: Arc::default(),
            qos_minus_one: true,
            inline_topic_names: true,
            retry_interval: Duration::from_secs(10),
            retry_count: 5,
            awake_limit: 1000,
            sleep_connect_clean: SleepConnectClean::Keep,
            subs_resume: true,
            suback_short_topic_id: ShortSuback::Zero,
            rebind: Rebind::SameIp,
            rebind_active: false,
            more_workers: false,
            reflect_guard: ReflectGuard::Public,
            disconnect_unknown: true,
            queue_qos0: QueueQos0 { asleep: true, offline: false },
            forwarders: Vec::new(),
            random_topic_ids: true,
            mountpoint: Mountpoint::default(),
            topic_limits: TopicLimits::default(),
            rates: Rates::default(),
            rates_exempt: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Whether encapsulated messages from `ip` are believed.
    pub fn is_forwarder(&self, ip: IpAddr) -> bool {
        self.forwarders.iter().any(|network| network.contains(ip))
    }

    /// Whether `ip` has no limit of its own.
    pub(crate) fn is_exempt(&self, ip: IpAddr) -> bool {
        self.rates_exempt.iter().any(|network| network.contains(ip))
    }
}

/// A multicast group or broadcast address that hears us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Number of the listener that hears this group. Each group, on each of its interfaces, has one of its own, so
    /// that an answer goes where the question was heard.
    pub heard_on: ListenerId,
    /// Destination, and the service listener to send from.
    pub to: Address,
    /// TTL or hop limit; `None`: the listener's.
    pub ttl: Option<u8>,
}

/// CleanSession in a CONNECT that ends a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SleepConnectClean {
    /// Subscriptions and buffer stay: a common client repeats the flag of its first CONNECT and does not subscribe
    /// again.
    Keep,
    /// The letter of §6.3.
    Wipe,
}

/// What a SUBACK says for a short topic name, where the specification calls the field "not relevant".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortSuback {
    /// 0000, as most clients expect.
    Zero,
    /// The two octets of the name, as RIOT's emcute needs it.
    Name,
}

/// Who may wake a sleeper by a PINGREQ with its ClientId.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebind {
    /// The IP address that it went to sleep from, any port; a DTLS session, its identity from anywhere.
    SameIp,
    /// Anyone.
    Any,
    /// Only the very address that it went to sleep from.
    Never,
    /// Only a proven identity, the same as before.
    Dtls,
}

/// Which addresses are limited until they are validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReflectGuard {
    /// Globally routable ones.
    Public,
    /// All but listed forwarders and DTLS peers.
    All,
    /// None.
    Off,
}

/// A block of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// Leading bits that count, at most 32 or 128.
    pub prefix: u8,
}

impl Network {
    /// Whether `ip` lies in it. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address.to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let bits = 32 - u32::from(self.prefix.min(32));
                let mask = u32::MAX.checked_shl(bits).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let bits = 128 - u32::from(self.prefix.min(128));
                let mask = u128::MAX.checked_shl(bits).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A token bucket. The default is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// So many in a second; 0 is no limit.
    pub per_second: u32,
    /// So many at once; 0 is as many as in a second.
    pub burst: u32,
}

impl Rate {
    /// So many in a second, and at once.
    pub const fn per_second(per_second: u32) -> Rate {
        Rate { per_second, burst: 0 }
    }
}

/// Rate limits. What is over one is dropped and counted; a CONNECT is answered with "congestion".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Datagrams from one IP address that is no listed forwarder.
    pub address: Rate,
    /// Datagrams of one client, wherever it is; of a stranger: from one address and port.
    pub client: Rate,
    /// Datagrams of one node id behind a forwarder.
    pub node: Rate,
    /// Datagrams from one listed forwarder.
    pub forwarder: Rate,
    /// CONNECTs from one IP address, or of one node id behind a forwarder.
    pub connects: Rate,
    /// Unasked-for answers (DISCONNECT to strangers, GWINFO) over all addresses.
    pub answers_total: u32,
    /// The same to one /24 or /56.
    pub answers_per_prefix: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            address: Rate::default(),
            client: Rate::default(),
            node: Rate::default(),
            forwarder: Rate::default(),
            connects: Rate::per_second(1000),
            answers_total: 1000,
            answers_per_prefix: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_compare_their_prefix() {
        let network = |text: &str, prefix| Network { address: text.parse().expect("ip"), prefix };
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        assert!(network("10.1.2.0", 24).contains(ip("10.1.2.255")));
        assert!(!network("10.1.2.0", 24).contains(ip("10.1.3.0")));
        assert!(network("10.1.2.3", 32).contains(ip("::ffff:10.1.2.3")));
        assert!(network("0.0.0.0", 0).contains(ip("8.8.8.8")));
        assert!(!network("0.0.0.0", 0).contains(ip("2001:db8::1")));
        assert!(network("2001:db8::", 32).contains(ip("2001:db8:1::1")));
        assert!(!network("2001:db8::", 32).contains(ip("2001:db9::1")));
    }
}
