//! The plain types that settings have in the program, and the one [`Value`] they all pass through.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use broker_core::topic::TopicName;
use sn_proto::topics::Predefined;

use super::group::GroupAddress;

/// A text that no log line, report or `Debug` output ever shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that has to check or send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What stands where a secret would be printed.
pub const REDACTED: &str = "<redacted>";

/// One local address to listen on; without a port of its own it takes the section's `port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// The local address; `0.0.0.0` and `::` mean every address of their family.
    pub ip: IpAddr,
    /// The port, where the entry names one.
    pub port: Option<u16>,
}

impl Bind {
    /// The socket address, given the port of the section.
    pub fn with_default_port(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(port))
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// A range of addresses, as `10.0.0.0/8` or a single `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// A network; `None` when the prefix is too long for the family or the address has bits behind it.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let network = Self { address, prefix_bits };
        let whole = Self::width(address);
        if prefix_bits > whole || Self::bits(address) & !Self::mask(prefix_bits, whole) != 0 {
            return None;
        }
        Some(network)
    }

    /// Whether `address` lies in this network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let whole = Self::width(self.address);
        Self::width(address) == whole
            && (Self::bits(address) ^ Self::bits(self.address)) & Self::mask(self.prefix_bits, whole) == 0
    }

    fn width(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }

    fn bits(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    fn mask(prefix_bits: u8, whole: u8) -> u128 {
        let all = if whole == 128 { u128::MAX } else { (1u128 << whole) - 1 };
        let host_bits = u32::from(whole.saturating_sub(prefix_bits));
        all & !(1u128.checked_shl(host_bits).map_or(u128::MAX, |one| one.wrapping_sub(1)))
    }
}

impl Network {
    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Leading bits that count.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == Self::width(self.address) {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_bits)
        }
    }
}

/// A checked value of any key, between text and the typed field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A count, a port or a number of bytes.
    Integer(u64),
    /// A duration.
    Duration(Duration),
    /// The word `"off"` of a duration that may be off.
    Off,
    /// A text that is set.
    Text(String),
    /// A secret that is set.
    Secret(Secret),
    /// A path, already made absolute.
    Path(PathBuf),
    /// An optional text, secret or path that is not set (`""`).
    Unset,
    /// Addresses to listen on.
    Binds(Vec<Bind>),
    /// Address ranges.
    Networks(Vec<Network>),
    /// Multicast groups and broadcast addresses.
    Groups(Vec<GroupAddress>),
    /// The word `"auto"` of groups.
    Auto,
    /// Addresses of others, with their ports.
    Peers(Vec<SocketAddr>),
    /// Predefined topic ids and their names.
    Topics(BTreeMap<u16, TopicName>),
    /// The same of single clients.
    ClientTopics(ClientTopics),
    /// A file of them, read.
    PredefinedFile(PredefinedFile),
}

/// Predefined topics by client.
pub type ClientTopics = BTreeMap<String, BTreeMap<u16, TopicName>>;

/// A file of predefined topics with what stood in it, so that a reload sees a change of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredefinedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What stood in it.
    pub table: Predefined,
}

/// A Rust type that a key can have.
pub(crate) trait Field: Sized {
    /// The typed value; `None` means that the schema row pairs a kind with the wrong type.
    fn from_value(value: &Value) -> Option<Self>;
    /// The way back, for `config show` and for comparing two configurations.
    fn to_value(&self) -> Value;
}

macro_rules! integer_fields {
    ($($type:ty),*) => { $(
        impl Field for $type {
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::Integer(n) = value { <$type>::try_from(*n).ok() } else { None }
            }
            fn to_value(&self) -> Value {
                Value::Integer(u64::try_from(*self).unwrap_or(u64::MAX))
            }
        }
    )* };
}
integer_fields!(u8, u16, u32, u64, usize);

macro_rules! plain_fields {
    ($($variant:ident($type:ty)),* $(,)?) => { $(
        impl Field for $type {
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::$variant(inner) = value { Some(inner.clone()) } else { None }
            }
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    )* };
}
plain_fields!(
    Bool(bool),
    Duration(Duration),
    Binds(Vec<Bind>),
    Networks(Vec<Network>),
    Peers(Vec<SocketAddr>),
    Topics(BTreeMap<u16, TopicName>),
    ClientTopics(ClientTopics),
);

macro_rules! optional_fields {
    ($($variant:ident($type:ty) or $none:ident),* $(,)?) => { $(
        impl Field for Option<$type> {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(inner) => Some(Some(inner.clone())),
                    Value::$none => Some(None),
                    _ => None,
                }
            }
            fn to_value(&self) -> Value {
                self.clone().map_or(Value::$none, Value::$variant)
            }
        }
    )* };
}
impl Field for Option<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(n) => u8::try_from(*n).ok().map(Some),
            Value::Off => Some(None),
            _ => None,
        }
    }
    fn to_value(&self) -> Value {
        self.map_or(Value::Off, |n| Value::Integer(u64::from(n)))
    }
}

impl Field for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Unset => Some(String::new()),
            _ => None,
        }
    }
    fn to_value(&self) -> Value {
        if self.is_empty() { Value::Unset } else { Value::Text(self.clone()) }
    }
}

optional_fields!(
    Duration(Duration) or Off,
    Text(String) or Unset,
    Secret(Secret) or Unset,
    Path(PathBuf) or Unset,
    Groups(Vec<GroupAddress>) or Auto,
    PredefinedFile(PredefinedFile) or Unset,
);

/// Declares an enum whose variants are the words of a `Kind::Choice`.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// The words of the configuration file, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this variant.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Field for $name {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $(Value::Text(word) if word == $word => Some(Self::$variant),)+
                    _ => None,
                }
            }
            fn to_value(&self) -> Value {
                Value::Text(self.as_str().to_owned())
            }
        }
    };
}

choice! {
    /// What a client gets whose overlapping filters match one message ([MQTT-3.3.5-1]).
    Overlapping {
        /// One copy at the highest granted QoS.
        Once = "once",
        /// One copy for each matching filter.
        Each = "each",
    }
}

choice! {
    /// What an LwM2M lifetime of 0 means.
    LifetimeZero {
        /// The registration does not expire.
        Infinite = "infinite",
        /// The longest lifetime.
        Max = "max",
    }
}

choice! {
    /// What happens when an LwM2M device updates its registration from another address.
    NewAddress {
        /// The registration goes on there.
        Accept = "accept",
        /// The device has to register anew.
        Refuse = "refuse",
    }
}

choice! {
    /// Which Updates of LwM2M devices are published.
    UpdateEvents {
        /// All.
        Always = "always",
        /// Those with an object list.
        ContainsObjectList = "contains_object_list",
    }
}

choice! {
    /// What a SUBACK says for a short topic name.
    SnShortSuback {
        /// 0.
        Zero = "zero",
        /// The two octets of the name.
        Name = "name",
    }
}

choice! {
    /// What CleanSession does in a CONNECT that ends a sleep.
    SnSleepConnectClean {
        /// Nothing: subscriptions and buffer stay.
        Keep = "keep",
        /// It wipes the session.
        Wipe = "wipe",
    }
}

choice! {
    /// From where a sleeping MQTT-SN device may wake by its client id.
    SnRebind {
        /// The IP address that it slept from.
        SameIp = "same-ip",
        /// Any address.
        Any = "any",
        /// No other address.
        Never = "never",
        /// Anywhere, with the same proven identity.
        Dtls = "dtls",
    }
}

choice! {
    /// Which MQTT-SN addresses must be validated.
    SnReflectGuard {
        /// Globally routable ones.
        Public = "public",
        /// All.
        All = "all",
        /// None.
        Off = "off",
    }
}

choice! {
    /// How much the program logs.
    LogLevel {
        /// Only what needs somebody's attention at once.
        Error = "error",
        /// And what is suspicious.
        Warn = "warn",
        /// And life-cycle events.
        Info = "info",
        /// And each refused or malformed packet.
        Debug = "debug",
        /// And each packet.
        Trace = "trace",
    }
}

choice! {
    /// The form of a log line.
    LogFormat {
        /// For people: `key=value`.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "<redacted> <redacted> Some(<redacted>)"
        );
        assert_eq!(format!("{:?}", Value::Secret(secret.clone())), "Secret(<redacted>)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn networks_contain_what_their_prefix_says() {
        let net = |text: &str, bits| Network::new(text.parse().unwrap(), bits).unwrap();
        assert!(net("10.0.0.0", 8).contains("10.255.0.1".parse().unwrap()));
        assert!(!net("10.0.0.0", 8).contains("11.0.0.1".parse().unwrap()));
        assert!(net("127.0.0.0", 8).contains("::ffff:127.0.0.1".parse().unwrap()));
        assert!(net("0.0.0.0", 0).contains("203.0.113.9".parse().unwrap()));
        assert!(!net("0.0.0.0", 0).contains("::1".parse().unwrap()));
        assert!(net("::", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(net("::1", 128).contains("::1".parse().unwrap()));
        assert!(net("fe80::", 10).contains("febf::1".parse().unwrap()));
        assert!(!net("fe80::", 10).contains("fec0::1".parse().unwrap()));
    }

    #[test]
    fn a_network_with_host_bits_or_a_long_prefix_is_refused() {
        assert_eq!(Network::new("10.0.0.1".parse().unwrap(), 8), None);
        assert_eq!(Network::new("10.0.0.0".parse().unwrap(), 33), None);
        assert_eq!(Network::new("::1".parse().unwrap(), 129), None);
        assert_eq!(Network::new("::1".parse().unwrap(), 64), None);
    }
}
