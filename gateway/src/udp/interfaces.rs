//! [`Interfaces`]: which network interfaces there are, and their addresses (getifaddrs).
//!
//! Its unsafe code walks the list that the system hands out: entries are only read, between `getifaddrs` and the
//! `freeifaddrs` that ends their life, and names and addresses are copied out.
#![allow(unsafe_code)]
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of all interfaces together that are looked at. Reaction: further ones are passed over.
const ADDRESSES_MAX: usize = 4096;

/// One interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) loopback: bool,
    /// Says of itself that it can do multicast; loopback can, and does not say so.
    pub(crate) multicast: bool,
    /// IPv4 addresses, each with the broadcast address of its network.
    pub(crate) v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    pub(crate) v6: Vec<Ipv6Addr>,
}

impl Interface {
    /// Whether `ip` is an address of this interface.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.iter().any(|(own, _)| *own == ip),
            IpAddr::V6(ip) => self.v6.contains(&ip),
        }
    }
}

/// The interfaces that are up, ordered by name.
///
/// # Errors
/// What `getifaddrs` reports.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer is to a live pointer, which the call sets.
    if unsafe { libc::getifaddrs(&mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut next = head;
    for _ in 0..ADDRESSES_MAX {
        if next.is_null() {
            break;
        }
        // SAFETY: `next` is an entry of the list, which lives until `freeifaddrs` below.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        add(&mut interfaces, entry);
    }
    // SAFETY: `head` came from getifaddrs and is freed once; nothing of the list is used from here on.
    unsafe { libc::freeifaddrs(head) };
    interfaces.retain(|interface| interface.index != 0);
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(interfaces)
}

fn add(interfaces: &mut Vec<Interface>, entry: &libc::ifaddrs) {
    let flag = |flag: libc::c_int| entry.ifa_flags & flag as libc::c_uint != 0;
    if entry.ifa_name.is_null() || !flag(libc::IFF_UP) {
        return;
    }
    // SAFETY: the name of an entry is a string that ends with null and lives as long as the entry.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) };
    let Ok(text) = name.to_str() else { return };
    let place = match interfaces.iter().position(|known| known.name == text) {
        Some(place) => place,
        None => {
            interfaces.push(Interface {
                // SAFETY: the name is a string that ends with null; the call only reads it.
                index: unsafe { libc::if_nametoindex(entry.ifa_name) },
                name: text.to_owned(),
                loopback: flag(libc::IFF_LOOPBACK),
                multicast: flag(libc::IFF_MULTICAST),
                v4: Vec::new(),
                v6: Vec::new(),
            });
            interfaces.len() - 1
        }
    };
    let Some(interface) = interfaces.get_mut(place) else { return };
    match (read_ip(entry.ifa_addr), read_ip(entry.ifa_netmask)) {
        (Some(IpAddr::V4(ip)), Some(IpAddr::V4(mask))) => {
            interface.v4.push((ip, Ipv4Addr::from_bits(ip.to_bits() | !mask.to_bits())));
        }
        (Some(IpAddr::V6(ip)), _) => interface.v6.push(ip),
        (_, _) => {} // no address of these families: a packet socket's, or none yet
    }
}

fn read_ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: a non-null address of an entry is a sockaddr of the size that its family says, and lives as long as it;
    // it is read unaligned, since nothing promises more.
    unsafe {
        match libc::c_int::from((&raw const (*address).sa_family).read_unaligned()) {
            libc::AF_INET => {
                let raw = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(raw.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let raw = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(raw.sin6_addr.s6_addr)))
            }
            _ => None, // the system's families are no enum of ours
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_with_its_index_address_and_broadcast() {
        let interfaces = list().expect("the system lists its interfaces");
        let lo = interfaces.iter().find(|interface| interface.loopback).expect("loopback is up");
        assert!(lo.index > 0 && lo.has(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(lo.v4.contains(&(Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 255, 255, 255))));
        assert!(!lo.has(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))));
    }
}
