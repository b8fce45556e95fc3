//! [`GroupAddress`]: a multicast group or broadcast address on which MQTT-SN gateways are looked for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Longest name of an interface (IFNAMSIZ without its null).
const INTERFACE_BYTES_MAX: usize = 15;

/// A group, the interface that it is wanted on, and its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupAddress {
    /// Multicast, or the broadcast address of some IPv4 network.
    pub ip: IpAddr,
    /// Only on this interface; `None`: on every one that is up.
    pub interface: Option<String>,
    /// The port, where the entry names one.
    pub port: Option<u16>,
}

impl GroupAddress {
    /// The socket address, given the port for entries without one.
    pub fn with_default_port(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(port))
    }
}

impl fmt::Display for GroupAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = self.interface.as_ref().map_or(String::new(), |name| format!("%{name}"));
        match (self.ip, self.port) {
            (ip, None) => write!(f, "{ip}{interface}"),
            (IpAddr::V4(ip), Some(port)) => write!(f, "{ip}{interface}:{port}"),
            (IpAddr::V6(ip), Some(port)) => write!(f, "[{ip}{interface}]:{port}"),
        }
    }
}

/// Why a text is no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGroup {
    /// Not even an address.
    NoAddress,
    /// An address of one host.
    OneHost,
    /// No name that an interface can have.
    BadInterface,
    /// Not from 1 to 65535.
    BadPort,
}

impl fmt::Display for NoGroup {
    /// Stands behind "ADDRESS ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoGroup::NoAddress => "is not an address",
            NoGroup::OneHost => "is neither a multicast nor a broadcast address",
            NoGroup::BadInterface => "has no name of an interface behind its %",
            NoGroup::BadPort => "has a port that is none",
        })
    }
}

impl std::error::Error for NoGroup {}

impl FromStr for GroupAddress {
    type Err = NoGroup;

    /// `IP`, `IP%INTERFACE`, `IPV4:PORT`, `IPV4%INTERFACE:PORT`, `[IPV6]:PORT` or `[IPV6%INTERFACE]:PORT`.
    fn from_str(text: &str) -> Result<Self, NoGroup> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(NoGroup::NoAddress)?)),
                None => return Err(NoGroup::NoAddress),
            },
            // A colon more than one is IPv6's own.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                Some(_) | None => (text, None),
            },
        };
        let (ip, interface) = match host.split_once('%') {
            Some((ip, interface)) => (ip, Some(interface)),
            None => (host, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| NoGroup::NoAddress)?;
        if text.starts_with('[') && ip.is_ipv4() {
            return Err(NoGroup::NoAddress);
        }
        if let Some(name) = interface
            && !is_interface_name(name)
        {
            return Err(NoGroup::BadInterface);
        }
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse::<u16>().ok().filter(|port| *port > 0).ok_or(NoGroup::BadPort)?)
            }
            Some(_) => return Err(NoGroup::BadPort),
            None => None,
        };
        if !is_group(ip) {
            return Err(NoGroup::OneHost);
        }
        Ok(GroupAddress { ip, interface: interface.map(str::to_owned), port })
    }
}

/// Multicast, or what can be the broadcast address of an IPv4 network: all bits of the host are set, and there are at
/// least two.
fn is_group(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let broadcast = ip == Ipv4Addr::BROADCAST || (ip.octets()[0] < 224 && ip.to_bits() & 3 == 3);
            ip.is_multicast() || (broadcast && ip.octets()[0] != 0)
        }
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

fn is_interface_name(name: &str) -> bool {
    let fits = (1..=INTERFACE_BYTES_MAX).contains(&name.len());
    fits && name.chars().all(|c| c.is_ascii_graphic() && !"/:%[]\"'".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_and_written_in_every_form() {
        for (text, ip, interface, port) in [
            ("225.1.1.1", "225.1.1.1", None, None),
            ("225.1.1.1:1885", "225.1.1.1", None, Some(1885)),
            ("225.1.1.1%eth0", "225.1.1.1", Some("eth0"), None),
            ("225.1.1.1%eth0:1885", "225.1.1.1", Some("eth0"), Some(1885)),
            ("255.255.255.255:1884", "255.255.255.255", None, Some(1884)),
            ("192.168.7.255", "192.168.7.255", None, None),
            ("10.0.0.3", "10.0.0.3", None, None),
            ("127.255.255.255", "127.255.255.255", None, None),
            ("ff02::1%wpan0", "ff02::1", Some("wpan0"), None),
            ("ff03::1", "ff03::1", None, None),
            ("[ff03::1]:1883", "ff03::1", None, Some(1883)),
            ("[ff02::1%wpan0]:47193", "ff02::1", Some("wpan0"), Some(47193)),
        ] {
            let group: GroupAddress = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(group.ip, ip.parse::<IpAddr>().expect("an address"), "{text}");
            assert_eq!((group.interface.as_deref(), group.port), (interface, port), "{text}");
            assert_eq!(group.to_string(), text);
        }
        assert_eq!("[ff02::1]".parse::<GroupAddress>().expect("a group").to_string(), "ff02::1");
    }

    #[test]
    fn what_is_no_group_is_told_why() {
        for (text, why) in [
            ("", NoGroup::NoAddress),
            ("eth0", NoGroup::NoAddress),
            ("225.1.1", NoGroup::NoAddress),
            ("[225.1.1.1]:1883", NoGroup::NoAddress),
            ("[ff02::1", NoGroup::NoAddress),
            ("[ff02::1]1883", NoGroup::NoAddress),
            ("225.1.1.1:", NoGroup::BadPort),
            ("225.1.1.1:0", NoGroup::BadPort),
            ("225.1.1.1:65536", NoGroup::BadPort),
            ("225.1.1.1:+80", NoGroup::BadPort),
            ("225.1.1.1%", NoGroup::BadInterface),
            ("225.1.1.1%a/b", NoGroup::BadInterface),
            ("225.1.1.1%0123456789abcdef", NoGroup::BadInterface),
            ("0.0.0.0", NoGroup::OneHost),
            ("127.0.0.1", NoGroup::OneHost),
            ("192.168.7.1", NoGroup::OneHost),
            ("192.168.7.254", NoGroup::OneHost),
            ("::1", NoGroup::OneHost),
            ("fe80::1%eth0", NoGroup::OneHost),
        ] {
            assert_eq!(text.parse::<GroupAddress>(), Err(why), "{text}");
        }
    }
}
