//! How a client is reached: an address and, behind a forwarder, a node id. Kept small, since every client has one.
use broker_core::frontend::{Address, ListenerId};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;

/// A way that is kept. IPv4 without a forwarder takes 16 octets instead of 72.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(Packed);

/// Each way has one form only, so equal ways are equal here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Packed {
    V4 {
        remote: Ipv4Addr,
        /// `None`: not told. The address 0.0.0.0, which no datagram is sent to, is kept in the other form.
        local: Option<NonZero<u32>>,
        port: u16,
        listener: u16,
    },
    Other(Box<(Address, Option<Box<[u8]>>)>),
}

impl Route {
    /// The way over an address, to a node behind it if one is named.
    pub fn new(address: Address, node: Option<&[u8]>) -> Route {
        let packed = if node.is_none() { pack(address) } else { None };
        Route(packed.unwrap_or_else(|| Packed::Other(Box::new((address, node.map(Box::from))))))
    }

    /// The peer's address, and the listener and local address that it used.
    pub fn address(&self) -> Address {
        match &self.0 {
            Packed::V4 { remote, local, port, listener } => Address {
                remote: SocketAddr::new(IpAddr::V4(*remote), *port),
                local: local.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits.get()))),
                listener: ListenerId(*listener),
            },
            Packed::Other(way) => way.0,
        }
    }

    /// The address without the port.
    pub fn ip(&self) -> IpAddr {
        match &self.0 {
            Packed::V4 { remote, .. } => IpAddr::V4(*remote),
            Packed::Other(way) => way.0.remote.ip(),
        }
    }

    /// Wireless node id.
    pub fn node(&self) -> Option<&[u8]> {
        match &self.0 {
            Packed::V4 { .. } => None,
            Packed::Other(way) => way.1.as_deref(),
        }
    }

    /// The borrowed form.
    pub fn as_ref(&self) -> RouteRef<'_> {
        RouteRef { address: self.address(), node: self.node() }
    }
}

fn pack(address: Address) -> Option<Packed> {
    let SocketAddr::V4(remote) = address.remote else { return None };
    let local = match address.local {
        None => None,
        Some(IpAddr::V4(local)) => Some(NonZero::new(local.to_bits())?),
        Some(IpAddr::V6(_)) => return None,
    };
    Some(Packed::V4 { remote: *remote.ip(), local, port: remote.port(), listener: address.listener.0 })
}

/// A [`Route`] that borrows the node id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRef<'a> {
    /// The peer's address, and the listener and local address that it used.
    pub address: Address,
    /// Wireless node id.
    pub node: Option<&'a [u8]>,
}

impl Hash for RouteRef<'_> {
    /// Made for every datagram, so of few words. Peers that differ in our own address only are rare, and found by
    /// comparing.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Address { remote, local: _, listener } = self.address;
        let ports = u64::from(remote.port()) << 16 | u64::from(listener.0);
        match remote.ip() {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 32 | ports),
            IpAddr::V6(ip) => {
                state.write_u128(ip.to_bits());
                state.write_u64(ports);
            }
        }
        if let Some(node) = self.node {
            state.write(node);
        }
    }
}

impl RouteRef<'_> {
    /// An owned copy.
    pub fn to_route(self) -> Route {
        Route::new(self.address, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_peers_apart() {
        use std::collections::BTreeSet;
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let mut seen = BTreeSet::new();
        for remote in [
            "192.0.2.1:1",
            "192.0.2.1:2",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
            "[2001:db8::1]:2",
            "[2001:db8::2]:1",
        ] {
            for listener in [0, 1] {
                for node in [None, Some(&b"a"[..]), Some(b"b")] {
                    let remote = remote.parse().expect("a socket address");
                    let way = Address { remote, local: None, listener: ListenerId(listener) };
                    let hash = BuildHasherDefault::<DefaultHasher>::default()
                        .hash_one(RouteRef { address: way, node });
                    assert!(seen.insert(hash), "{way:?} {node:?}");
                }
            }
        }
    }

    #[test]
    fn every_way_comes_back_as_it_was_and_plain_ipv4_is_small() {
        assert_eq!(size_of::<Route>(), 16);
        let locals = [None, Some("192.0.2.9"), Some("0.0.0.0"), Some("2001:db8::9")];
        for remote in ["192.0.2.1:1884", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::1%7]:1884"] {
            for local in locals.map(|local| local.map(|text| text.parse().expect("an address"))) {
                for node in [None, Some(&b""[..]), Some(b"node")] {
                    let remote = remote.parse().expect("a socket address");
                    let address = Address { remote, local, listener: ListenerId(0x8001) };
                    let way = RouteRef { address, node };
                    let kept = way.to_route();
                    assert_eq!(kept.as_ref(), way);
                    assert_eq!((kept.address(), kept.ip(), kept.node()), (address, remote.ip(), node));
                    let elsewhere = Address { listener: ListenerId(1), ..address };
                    assert_ne!(kept, Route::new(elsewhere, node));
                    assert_ne!(kept, Route::new(address, Some(b"another")));
                }
            }
        }
    }
}
