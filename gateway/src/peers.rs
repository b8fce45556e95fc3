//! [`Peers`]: how many connections each address holds, and the bounds on them.
use hashbrown::HashMap;
use slab::Slab;
use std::net::IpAddr;

/// Number of an address in the table: four bytes in a connection instead of seventeen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerId(u32);

#[derive(Debug)]
struct Peer {
    ip: IpAddr,
    connections: u32,
}

/// The addresses that hold connections. Bounded by the number of connections.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_ip: HashMap<IpAddr, u32>,
    table: Slab<Peer>,
}

impl Peers {
    /// Counts one more connection of `ip`, unless it holds `max` already.
    pub(crate) fn admit(&mut self, ip: IpAddr, max: Option<u32>) -> Option<PeerId> {
        if let Some(&id) = self.by_ip.get(&ip)
            && let Some(peer) = self.table.get_mut(id as usize)
        {
            if max.is_some_and(|max| peer.connections >= max) {
                return None;
            }
            peer.connections += 1;
            return Some(PeerId(id));
        }
        if max == Some(0) {
            return None;
        }
        let id = u32::try_from(self.table.insert(Peer { ip, connections: 1 })).ok()?;
        self.by_ip.insert(ip, id);
        Some(PeerId(id))
    }

    /// One connection of this address has ended.
    pub(crate) fn release(&mut self, id: PeerId) {
        let Some(peer) = self.table.get_mut(id.0 as usize) else { return };
        peer.connections = peer.connections.saturating_sub(1);
        if peer.connections == 0 {
            self.by_ip.remove(&peer.ip);
            self.table.remove(id.0 as usize);
        }
    }

    /// One connection of this address has ended.
    pub(crate) fn release_ip(&mut self, ip: IpAddr) {
        if let Some(&id) = self.by_ip.get(&ip) {
            self.release(PeerId(id));
        }
    }

    /// The address behind a number.
    pub(crate) fn ip(&self, id: PeerId) -> Option<IpAddr> {
        self.table.get(id.0 as usize).map(|peer| peer.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_at_its_limit_is_refused_until_one_of_its_connections_ends() {
        let mut peers = Peers::default();
        let a = IpAddr::from([192, 0, 2, 1]);
        let b = IpAddr::from([192, 0, 2, 2]);
        let first = peers.admit(a, Some(2)).expect("below the limit");
        assert_eq!(peers.admit(a, Some(2)), Some(first));
        assert_eq!(peers.admit(a, Some(2)), None);
        assert_eq!(peers.admit(a, None), Some(first), "an exempt address has no limit");
        let other = peers.admit(b, Some(2)).expect("another address has its own count");
        assert_eq!(peers.ip(other), Some(b));
        peers.release(first);
        peers.release(first);
        assert!(peers.admit(a, Some(2)).is_some());
    }

    #[test]
    fn addresses_without_connections_take_no_memory() {
        let mut peers = Peers::default();
        for n in 0..1000u32 {
            let id = peers.admit(IpAddr::from(n.to_be_bytes()), Some(1)).expect("below the limit");
            peers.release(id);
        }
        assert_eq!(peers.table.len(), 0);
        assert!(peers.by_ip.is_empty());
        assert!(peers.table.capacity() < 16);
    }
}
