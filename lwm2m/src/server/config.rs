//! Settings of the LwM2M front-end, with their defaults.
use super::topics::Topics;
use crate::coap;
use crate::limits::{
    AWAKE_WINDOW_MS, BODY_BYTES_MAX, COMMAND_TTL_S, DEVICES_MAX, LIFETIME_GRACE_MS, LIFETIME_MAX_S,
    LIFETIME_MIN_S, REGISTERS_PER_PREFIX_PER_SECOND, REGISTERS_PER_SECOND, RESPONSE_TIMEOUT_MS,
};
use crate::path::ObjectPath;
use crate::registration::LifetimeRule;
use std::net::SocketAddr;
use std::time::Duration;

/// What happens when an Update comes from another address than the Register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewAddress {
    /// The registration moves there: who knows its location is its device.
    Accept,
    /// Answered 4.04, so that the device registers anew (1.1.1 Transport §6.4.3 to the letter).
    Refuse,
}

/// Which paths are observed without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoObserve {
    /// None.
    Off,
    /// Every registered path but the core objects.
    All,
    /// Those of this list that are registered, in its order.
    Paths(Vec<ObjectPath>),
}

/// Whether an Update is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateEvents {
    /// Always.
    Always,
    /// Only when it carried an object list.
    ContainsObjectList,
}

/// Awake windows of devices whose network or radio needs another than the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwakeWindows(Vec<(Box<str>, u64)>);

impl AwakeWindows {
    /// Adds one for a name, or for all names that begin with what stands before a `*` at its end. Earlier ones win.
    pub fn add(&mut self, pattern: &str, window_ms: u64) {
        self.0.push((pattern.into(), window_ms));
    }

    /// The window of this endpoint, milliseconds.
    pub fn of(&self, endpoint: &str) -> Option<u64> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(begin) => endpoint.starts_with(begin),
            None => endpoint == pattern,
        };
        self.0.iter().find(|(pattern, _)| fits(pattern)).map(|(_, window_ms)| *window_ms)
    }
}

/// Settings. All can change while the server runs, but for the topics.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where commands come in and answers go out.
    pub topics: Topics,
    /// Bounds of lifetimes.
    pub lifetimes: LifetimeRule,
    /// Milliseconds between the end of a lifetime and the end of its registration.
    pub lifetime_grace_ms: u64,
    /// Milliseconds that a device with queue mode listens after its last message.
    pub awake_window_ms: u64,
    /// Other windows for devices by their names.
    pub awake_windows: AwakeWindows,
    /// Milliseconds from the acknowledgement of a command to its answer.
    pub response_timeout_ms: u64,
    /// Seconds that a command waits for a sleeping device when it does not say.
    pub command_ttl_s: u64,
    /// Largest body taken from a device, bytes.
    pub body_bytes_max: usize,
    /// Size of the blocks that devices are offered, both ways: 16 to 1024 bytes, a power of two. Those that ask for
    /// smaller ones get them.
    pub block_bytes: u16,
    /// Update from another address.
    pub new_address: NewAddress,
    /// Commands for unknown endpoints stay unanswered: another node may have them.
    pub transparent: bool,
    /// EMQX's own messages: `ack`, `coap_timeout`, `coap_reset`.
    pub emqx_compat: bool,
    /// `name`, `type` and `units` in every item of form B.
    pub content_details: bool,
    /// Each value also as a plain retained topic of its own.
    pub resource_topics: bool,
    /// Observe without being asked.
    pub auto_observe: AutoObserve,
    /// Which Updates are published.
    pub update_events: UpdateEvents,
    /// The addresses of the listeners by their number, for the URIs that devices fetch firmware from.
    pub listeners: Vec<SocketAddr>,
    /// A DTLS identity must be the endpoint's name.
    pub identity_is_endpoint: bool,
    /// Devices at a time.
    pub devices_max: usize,
    /// Registers per second, all and of one prefix; loopback is exempt.
    pub registers_per_second: (u32, u32),
}

impl Config {
    /// Settings of the CoAP endpoint.
    pub(crate) fn coap(&self) -> coap::Config {
        let szx = (self.block_bytes.clamp(16, 1_024).ilog2() - 4) as u8;
        coap::Config { body_bytes_max: self.body_bytes_max, szx, ..coap::Config::default() }
    }

    /// How long this device listens after its last message.
    pub(crate) fn awake_window(&self, endpoint: &str) -> Duration {
        Duration::from_millis(self.awake_windows.of(endpoint).unwrap_or(self.awake_window_ms))
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            topics: Topics::default(),
            lifetimes: LifetimeRule { min_s: LIFETIME_MIN_S, max_s: LIFETIME_MAX_S, zero_is_infinite: true },
            lifetime_grace_ms: LIFETIME_GRACE_MS,
            awake_window_ms: AWAKE_WINDOW_MS,
            awake_windows: AwakeWindows::default(),
            response_timeout_ms: RESPONSE_TIMEOUT_MS,
            command_ttl_s: COMMAND_TTL_S,
            body_bytes_max: BODY_BYTES_MAX,
            block_bytes: 1_024,
            new_address: NewAddress::Accept,
            transparent: false,
            emqx_compat: false,
            content_details: false,
            resource_topics: false,
            auto_observe: AutoObserve::Off,
            update_events: UpdateEvents::Always,
            listeners: Vec::new(),
            identity_is_endpoint: true,
            devices_max: DEVICES_MAX,
            registers_per_second: (REGISTERS_PER_SECOND, REGISTERS_PER_PREFIX_PER_SECOND),
        }
    }
}
