//! Who we talk with: the key of a peer and the state that exists only while something is going on with it.
//!
//! A peer that is idle for EXCHANGE_LIFETIME has no state at all. What must last longer (that an address is
//! validated, which observations run) belongs to the registration of the layer above.
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};

use broker_core::frontend::{Address, Peer};
use broker_core::time::Instant;
use hashbrown::HashTable;
use slab::Slab;

use super::sip::SipKey;
use crate::limits::EXCHANGE_LIFETIME_MS;

/// What names a peer: its address and the listener that it reached.
pub trait PeerKey: Copy + Eq + Hash + Ord + fmt::Debug {
    /// The network that the address belongs to, /24 for IPv4 and /56 for IPv6, as any injective number. `None`
    /// for this machine: nobody outside can write from there, and there is no victim.
    fn prefix(&self) -> Option<u64>;
}

impl PeerKey for Address {
    fn prefix(&self) -> Option<u64> {
        self.remote.prefix()
    }
}

impl PeerKey for SocketAddr {
    fn prefix(&self) -> Option<u64> {
        match self.ip().to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(v4) => Some(u64::from(v4.to_bits() >> 8)),
            // Bit 63 keeps both families apart: a /56 has 56 bits.
            IpAddr::V6(v6) => Some((v6.to_bits() >> 72) as u64 | 1 << 63),
        }
    }
}

/// Where a datagram came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<P> {
    /// The peer to answer to.
    pub peer: P,
    /// It was heard on a multicast group.
    pub group: bool,
    /// Its address is proven below CoAP (DTLS).
    pub proven: bool,
}

impl<P> Source<P> {
    /// A peer heard by unicast without DTLS.
    pub fn unicast(peer: P) -> Source<P> {
        Source { peer, group: false, proven: false }
    }
}

impl From<&Peer> for Source<Address> {
    fn from(peer: &Peer) -> Source<Address> {
        Source { peer: peer.address, group: peer.group, proven: peer.identity.is_some() }
    }
}

/// State of a peer with which something is going on.
#[derive(Debug)]
pub(crate) struct PeerState<P> {
    pub(crate) peer: P,
    next_mid: u16,
    /// It has shown that it receives what we send to this address.
    pub(crate) validated: bool,
    /// Requests of this peer that wait for an answer.
    pub(crate) unanswered: u16,
    /// Bytes that may still be sent to it while it is not validated.
    pub(crate) credit: u32,
    /// What we want from it.
    pub(crate) work: Option<Box<Work>>,
}

/// Our own exchanges with one peer, by slot.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The outstanding interaction (NSTART = 1, RFC 7252 §4.7).
    pub(crate) active: Option<u32>,
    /// Waiting for their turn.
    pub(crate) queue: VecDeque<u32>,
    /// Acknowledged requests that wait for their response, and separate responses on their way.
    pub(crate) open: Vec<u32>,
    /// When each sixteenth of the message ids was used last, in whole seconds plus one.
    used_at: [u32; 16],
}

impl Work {
    /// Every exchange of the peer.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.active.iter().chain(&self.open).chain(&self.queue).copied()
    }

    /// Those that have been sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = u32> {
        self.active.iter().chain(&self.open).copied()
    }

    fn is_idle(&self) -> bool {
        self.active.is_none() && self.queue.is_empty() && self.open.is_empty()
    }

    /// Takes an exchange out, wherever it is.
    pub(crate) fn forget(&mut self, exchange: u32) {
        if self.active == Some(exchange) {
            self.active = None;
        }
        self.queue.retain(|other| *other != exchange);
        self.open.retain(|other| *other != exchange);
    }
}

impl<P> PeerState<P> {
    /// The work, made when there was none.
    pub(crate) fn work_mut(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// The next message id, or `None` when all were used within EXCHANGE_LIFETIME (RFC 7252 §4.4).
    pub(crate) fn take_mid(&mut self, now: Instant) -> Option<u16> {
        let mid = self.next_mid;
        let lifetime_s = EXCHANGE_LIFETIME_MS.div_ceil(1_000) as u32 + 1;
        let now_s = (now.as_millis() / 1_000) as u32 + 1;
        let used_at = self.work_mut().used_at.get_mut(usize::from(mid >> 12))?;
        let entering = mid & 0x0fff == 0;
        if entering && *used_at != 0 && now_s < used_at.saturating_add(lifetime_s) {
            return None;
        }
        *used_at = now_s;
        self.next_mid = mid.wrapping_add(1);
        Some(mid)
    }

    /// Whether nothing of ours or theirs is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered == 0 && self.work.as_ref().is_none_or(|work| work.is_idle())
    }
}

/// The table of peers.
#[derive(Debug)]
pub(crate) struct Peers<P> {
    states: Slab<PeerState<P>>,
    index: HashTable<u32>,
    key: SipKey,
}

impl<P: PeerKey> Peers<P> {
    pub(crate) fn new(key: SipKey) -> Peers<P> {
        Peers { states: Slab::new(), index: HashTable::new(), key }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// The slot of a peer that has state.
    pub(crate) fn find(&self, peer: &P) -> Option<u32> {
        let same = |slot: &u32| self.states.get(*slot as usize).is_some_and(|state| state.peer == *peer);
        self.index.find(self.key.hash_one(peer), same).copied()
    }

    /// The slot of a peer, made with this first message id when it has none.
    pub(crate) fn find_or_insert(&mut self, peer: P, first_mid: impl FnOnce() -> u16) -> u32 {
        if let Some(slot) = self.find(&peer) {
            return slot;
        }
        let state =
            PeerState { peer, next_mid: first_mid(), validated: false, unanswered: 0, credit: 0, work: None };
        let slot = self.states.insert(state) as u32;
        let (states, key) = (&self.states, self.key);
        let rehash = |slot: &u32| states.get(*slot as usize).map_or(0, |state| key.hash_one(state.peer));
        self.index.insert_unique(key.hash_one(peer), slot, rehash);
        slot
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&PeerState<P>> {
        self.states.get(slot as usize)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut PeerState<P>> {
        self.states.get_mut(slot as usize)
    }

    /// Forgets a peer.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(state) = self.states.try_remove(slot as usize) else { return };
        let hash = self.key.hash_one(state.peer);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        // The table follows the number of peers down, so that a flood leaves no lasting trace.
        if self.index.capacity() > 4 * self.index.len() + 1_024 {
            let (states, key) = (&self.states, self.key);
            let rehash = |slot: &u32| states.get(*slot as usize).map_or(0, |state| key.hash_one(state.peer));
            self.index.shrink_to(2 * self.index.len(), rehash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_24_and_56_bits_and_families_do_not_meet() {
        assert_eq!(addr("10.1.2.3:1").prefix(), addr("10.1.2.255:9").prefix());
        assert_ne!(addr("10.1.2.3:1").prefix(), addr("10.1.3.3:1").prefix());
        assert_eq!(addr("[::ffff:10.1.2.3]:1").prefix(), addr("10.1.2.3:1").prefix());
        assert_eq!(addr("[2001:db8:0:ff::1]:1").prefix(), addr("[2001:db8:0:1::1]:1").prefix());
        assert_ne!(addr("[2001:db8:0:ff::1]:1").prefix(), addr("[2001:db8:0:100::1]:1").prefix());
        assert_ne!(addr("[::2]:1").prefix(), addr("0.0.0.0:1").prefix());
        assert_eq!([addr("127.0.0.9:1").prefix(), addr("[::1]:1").prefix()], [None, None]);
    }

    #[test]
    fn peers_are_found_again_and_their_slots_are_used_again() {
        let mut peers = Peers::new(SipKey::new(1, 2));
        for port in 1..=5_000_u32 {
            let slot = peers.find_or_insert(addr(&format!("10.0.0.1:{port}")), || 7);
            assert_eq!(port, slot + 1);
        }
        assert_eq!(peers.find(&addr("10.0.0.1:77")), Some(76));
        for slot in 0..5_000 {
            peers.remove(slot);
        }
        assert_eq!((peers.len(), peers.find(&addr("10.0.0.1:77"))), (0, None));
        assert!(peers.index.capacity() < 3_000);
    }

    #[test]
    fn a_message_id_is_not_used_again_within_the_exchange_lifetime() {
        let mut peers = Peers::new(SipKey::new(1, 2));
        let slot = peers.find_or_insert(addr("10.0.0.1:1"), || 0xfff0);
        let state = peers.get_mut(slot).unwrap();
        let mut at = |ms| state.take_mid(Instant::from_millis(ms));
        let mut seen = std::collections::HashSet::new();
        while let Some(mid) = at(0) {
            assert!(seen.insert(mid));
        }
        assert!(seen.len() > 61_000);
        assert_eq!(at(247_000), None);
        assert_eq!(at(249_000), Some(0xf000));
    }
}
