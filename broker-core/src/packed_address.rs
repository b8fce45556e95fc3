//! [`PackedAddress`]: an [`Address`] as it is kept for every device.
use crate::frontend::{Address, ListenerId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;

/// An address, and what belongs to it for a few devices only. IPv4 with the default of `E` takes 16 octets instead of
/// 56; everything else takes a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedAddress<E = ()>(Form<E>);

/// Each address has one form only, so equal addresses are equal here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form<E> {
    V4 {
        remote: Ipv4Addr,
        /// `None`: not told. The address 0.0.0.0, which no datagram is sent to, is kept in the other form.
        local: Option<NonZero<u32>>,
        port: u16,
        listener: u16,
    },
    Other(Box<(Address, E)>),
}

impl From<Address> for PackedAddress {
    fn from(address: Address) -> PackedAddress {
        PackedAddress::new(address, ())
    }
}

impl<E: Default + PartialEq> PackedAddress<E> {
    /// Packs both.
    pub fn new(address: Address, extra: E) -> PackedAddress<E> {
        let small = if extra == E::default() { pack(address) } else { None };
        PackedAddress(small.unwrap_or_else(|| Form::Other(Box::new((address, extra)))))
    }

    /// The peer's address, and the listener and local address that it used.
    pub fn address(&self) -> Address {
        match &self.0 {
            Form::V4 { remote, local, port, listener } => Address {
                remote: SocketAddr::new(IpAddr::V4(*remote), *port),
                local: local.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits.get()))),
                listener: ListenerId(*listener),
            },
            Form::Other(both) => both.0,
        }
    }

    /// The peer's address without its port.
    pub fn ip(&self) -> IpAddr {
        match &self.0 {
            Form::V4 { remote, .. } => IpAddr::V4(*remote),
            Form::Other(both) => both.0.remote.ip(),
        }
    }

    /// What belongs to it; `None` also when that is the default.
    pub fn extra(&self) -> Option<&E> {
        match &self.0 {
            Form::V4 { .. } => None,
            Form::Other(both) => Some(&both.1),
        }
    }
}

fn pack<E>(address: Address) -> Option<Form<E>> {
    let SocketAddr::V4(remote) = address.remote else { return None };
    let local = match address.local {
        None => None,
        Some(IpAddr::V4(local)) => Some(NonZero::new(local.to_bits())?),
        Some(IpAddr::V6(_)) => return None,
    };
    Some(Form::V4 { remote: *remote.ip(), local, port: remote.port(), listener: address.listener.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_comes_back_as_it_was_and_plain_ipv4_is_small() {
        assert_eq!((size_of::<PackedAddress>(), size_of::<PackedAddress<Option<Box<[u8]>>>>()), (16, 16));
        let locals = [None, Some("192.0.2.9"), Some("0.0.0.0"), Some("2001:db8::9")];
        for remote in ["192.0.2.1:1884", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::1%7]:1884"] {
            for local in locals.map(|local| local.map(|text| text.parse().expect("an address"))) {
                let remote = remote.parse().expect("a socket address");
                let address = Address { remote, local, listener: ListenerId(0x8001) };
                let kept = PackedAddress::from(address);
                assert_eq!((kept.address(), kept.ip()), (address, remote.ip()));
                assert_eq!(kept, PackedAddress::from(address));
                assert_ne!(kept, PackedAddress::from(Address { listener: ListenerId(1), ..address }));
                let more = PackedAddress::new(address, 7);
                assert_eq!((more.address(), more.extra()), (address, Some(&7)));
                assert_ne!(more, PackedAddress::new(address, 8));
            }
        }
    }
}
