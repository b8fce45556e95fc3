//! How a client is reached: an address and, behind a forwarder, a node id. Kept small, since every client has one.
use broker_core::frontend::{Address, PackedAddress};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// A way that is kept. IPv4 without a forwarder takes 16 octets instead of 72.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(PackedAddress<Option<Box<[u8]>>>);

impl Route {
    /// The way over an address, to a node behind it if one is named.
    pub fn new(address: Address, node: Option<&[u8]>) -> Route {
        Route(PackedAddress::new(address, node.map(Box::from)))
    }

    /// The peer's address, and the listener and local address that it used.
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// The address without the port.
    pub fn ip(&self) -> IpAddr {
        self.0.ip()
    }

    /// Wireless node id.
    pub fn node(&self) -> Option<&[u8]> {
        self.0.extra()?.as_deref()
    }

    /// The borrowed form.
    pub fn as_ref(&self) -> RouteRef<'_> {
        RouteRef { address: self.address(), node: self.node() }
    }
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
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
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
    use broker_core::frontend::ListenerId;

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
