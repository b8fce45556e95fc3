//! Message deduplication: which messages of a peer were handled lately, and what was answered (RFC 7252 §4.5).
//!
//! An entry lives EXCHANGE_LIFETIME, answers duplicates of a Confirmable message with the same bytes and swallows
//! those of a Non-confirmable one. Entries hang in two lists, one over all in the order of arrival and one per
//! peer; a peer with no entry costs nothing.
//!
//! Interpretation: a retransmission repeats the datagram byte for byte (§4.2). A message with a remembered id but
//! other bytes therefore is a new message of a device that lost its memory and counts from the same start again.
//! A fingerprint of 32 keyed bits tells them apart.
use broker_core::frontend::Address;
use broker_core::time::Instant;
use slab::Slab;

use super::peer::PeerState;
use crate::limits::{EXCHANGE_LIFETIME_MS, NON_LIFETIME_MS, REMEMBERED_BYTES_MAX, REMEMBERED_PER_PEER_MAX};

const NONE: u32 = u32::MAX;

/// What a duplicate gets.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) enum Memory {
    /// The cached reply.
    Reply(Box<[u8]>),
    /// An empty Acknowledgement (a separate response, or a request that is answered separately).
    Acknowledged,
    /// Nothing (Non-confirmable).
    Silent,
    /// The request is still with us, in this slot: it gets an empty Acknowledgement, as the peer repeats itself.
    Unanswered(u32),
    /// No message at all: it keeps the next message id of the peer alive, so that none is used twice.
    Guard,
}

impl Memory {
    fn cost(&self) -> usize {
        match self {
            // 16 bytes: the allocator's share.
            Memory::Reply(reply) => reply.len() + 16,
            Memory::Acknowledged | Memory::Silent | Memory::Unanswered(_) | Memory::Guard => 0,
        }
    }
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    memory: Memory,
    peer: u32,
    fingerprint: u32,
    older: u32,
    newer: u32,
    peer_older: u32,
    peer_newer: u32,
    mid: u16,
}

#[derive(Debug, Clone, Copy)]
struct PeerList {
    oldest: u32,
    newest: u32,
    count: u32,
    /// The message id of the newest entry, while the ids rise.
    highest: u16,
    /// Going round from the oldest entry's id, each one came after those before it, as a peer that counts sends them.
    rising: bool,
}

const EMPTY_LIST: PeerList = PeerList { oldest: NONE, newest: NONE, count: 0, highest: 0, rising: true };

/// What the memory says about a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// Never heard, or long ago.
    New,
    /// Heard before.
    Duplicate(&'a Memory),
}

/// The memory. Peers are named by their slot.
#[derive(Debug)]
pub(crate) struct Remembered {
    entries: Slab<Entry>,
    peers: Vec<PeerList>,
    oldest: u32,
    newest: u32,
    bytes: usize,
    /// Entries that went before their time because of a limit.
    pub(crate) evicted: u64,
}

impl Default for Remembered {
    fn default() -> Remembered {
        Remembered {
            entries: Slab::new(),
            peers: Vec::new(),
            oldest: NONE,
            newest: NONE,
            bytes: 0,
            evicted: 0,
        }
    }
}

/// Bytes that an entry costs beside its reply.
const ENTRY_BYTES: usize = size_of::<Entry>() + 8;
/// Bytes of a peer that is known for its entries only: its state, its list, its places in both tables.
const PEER_BYTES: usize = size_of::<PeerState<Address>>() + size_of::<PeerList>() + 12;

impl Remembered {
    /// Entries now.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Estimated bytes now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries a peer has.
    pub(crate) fn count(&self, peer: u32) -> u32 {
        self.peers.get(peer as usize).map_or(0, |list| list.count)
    }

    /// Whether an id lies behind all that a peer's list holds, going round from its oldest: nobody has it then.
    fn is_beyond(&self, list: &PeerList, mid: u16) -> bool {
        let Some(oldest) = self.entries.get(list.oldest as usize) else { return true };
        list.rising && mid.wrapping_sub(oldest.mid) > list.highest.wrapping_sub(oldest.mid)
    }

    fn find(&self, peer: u32, mid: u16) -> Option<u32> {
        let list = self.peers.get(peer as usize)?;
        if self.is_beyond(list, mid) {
            return None; // the usual case, without a walk through memory
        }
        let mut at = list.newest;
        // The list of a peer has at most REMEMBERED_PER_PEER_MAX entries.
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.mid == mid && entry.memory != Memory::Guard {
                return Some(at);
            }
            at = entry.peer_older;
        }
        None
    }

    /// Looks a message up. An entry under the same id that is not this message is forgotten; a peer left without
    /// an entry is pushed to `emptied`.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        peer: u32,
        mid: u16,
        fingerprint: u32,
        emptied: &mut Vec<u32>,
    ) -> Seen<'_> {
        let Some(index) = self.find(peer, mid) else { return Seen::New };
        let known = self.entries.get(index as usize).is_some_and(|entry| {
            let lifetime =
                if entry.memory == Memory::Silent { NON_LIFETIME_MS } else { EXCHANGE_LIFETIME_MS };
            entry.fingerprint == fingerprint && ((now - entry.at).as_millis() as u64) < lifetime
        });
        if !known {
            self.unlink(index);
            if self.count(peer) == 0 {
                emptied.push(peer);
            }
            return Seen::New;
        }
        match self.entries.get(index as usize) {
            Some(entry) => Seen::Duplicate(&entry.memory),
            None => Seen::New,
        }
    }

    /// Remembers a message. Slots of peers whose last entry went to make room are pushed to `emptied`.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        peer: u32,
        mid: u16,
        fingerprint: u32,
        memory: Memory,
        emptied: &mut Vec<u32>,
    ) {
        if self.peers.len() <= peer as usize {
            self.peers.resize(peer as usize + 1, EMPTY_LIST);
        }
        let list = self.peers.get(peer as usize).copied().unwrap_or(EMPTY_LIST);
        if list.count >= REMEMBERED_PER_PEER_MAX {
            self.unlink(list.oldest);
            self.evicted += 1;
        }
        let cost = memory.cost() + ENTRY_BYTES + if list.count == 0 { PEER_BYTES } else { 0 };
        while self.bytes + cost > REMEMBERED_BYTES_MAX && self.oldest != NONE {
            let Some(victim) = self.unlink(self.oldest) else { break };
            self.evicted += 1;
            if victim != peer && self.count(victim) == 0 {
                emptied.push(victim);
            }
        }
        self.link(Entry {
            at: now,
            memory,
            peer,
            fingerprint,
            older: self.newest,
            newer: NONE,
            peer_older: NONE,
            peer_newer: NONE,
            mid,
        });
    }

    /// Replaces what a duplicate of a message gets; nothing happens when the message is forgotten.
    pub(crate) fn set_memory(&mut self, peer: u32, mid: u16, memory: Memory) {
        let Some(index) = self.find(peer, mid) else { return };
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        self.bytes = self.bytes + memory.cost() - entry.memory.cost();
        entry.memory = memory;
    }

    /// Renews the guard of a peer's message ids.
    pub(crate) fn guard(&mut self, now: Instant, peer: u32, emptied: &mut Vec<u32>) {
        let mut at = self.peers.get(peer as usize).map_or(NONE, |list| list.newest);
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.memory == Memory::Guard {
                // A guard of the last second is as good; renewing it for every message would only cost time.
                if (now - entry.at).as_millis() < 1_000 {
                    return;
                }
                self.unlink(at);
                break;
            }
            at = entry.peer_older;
        }
        // Its id means nothing; the highest one keeps the list in order.
        let mid = self.peers.get(peer as usize).map_or(0, |list| list.highest);
        self.insert(now, peer, mid, 0, Memory::Guard, emptied);
    }

    /// When the oldest entry is over.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let entry = self.entries.get(self.oldest as usize)?;
        Some(Instant::from_millis(entry.at.as_millis().saturating_add(EXCHANGE_LIFETIME_MS)))
    }

    /// Forgets what is over, at most `most` entries; peers left without an entry are pushed to `emptied`.
    pub(crate) fn expire(&mut self, now: Instant, most: usize, emptied: &mut Vec<u32>) {
        for _ in 0..most {
            if self.next_expiry().is_none_or(|at| at > now) {
                return;
            }
            let Some(peer) = self.unlink(self.oldest) else { return };
            if self.count(peer) == 0 {
                emptied.push(peer);
            }
        }
    }

    fn link(&mut self, mut entry: Entry) {
        let peer = entry.peer as usize;
        self.bytes += entry.memory.cost() + ENTRY_BYTES;
        let rises = self.peers.get(peer).is_some_and(|list| self.is_beyond(list, entry.mid));
        let Some(list) = self.peers.get_mut(peer) else { return };
        list.rising = list.count == 0 || (list.rising && (rises || entry.memory == Memory::Guard));
        list.highest = entry.mid;
        if list.count == 0 {
            self.bytes += PEER_BYTES;
        }
        entry.peer_older = list.newest;
        let index = self.entries.vacant_key() as u32;
        let (older, peer_older) = (entry.older, entry.peer_older);
        if list.count == 0 {
            list.oldest = index;
        }
        list.newest = index;
        list.count += 1;
        self.entries.insert(entry);
        if let Some(previous) = self.entries.get_mut(older as usize) {
            previous.newer = index;
        } else {
            self.oldest = index;
        }
        if let Some(previous) = self.entries.get_mut(peer_older as usize) {
            previous.peer_newer = index;
        }
        self.newest = index;
    }

    /// Takes an entry out of both lists and returns its peer.
    fn unlink(&mut self, index: u32) -> Option<u32> {
        let entry = self.entries.try_remove(index as usize)?;
        self.bytes -= entry.memory.cost() + ENTRY_BYTES;
        match self.entries.get_mut(entry.older as usize) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
        match self.entries.get_mut(entry.newer as usize) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        if let Some(older) = self.entries.get_mut(entry.peer_older as usize) {
            older.peer_newer = entry.peer_newer;
        }
        if let Some(newer) = self.entries.get_mut(entry.peer_newer as usize) {
            newer.peer_older = entry.peer_older;
        }
        if let Some(list) = self.peers.get_mut(entry.peer as usize) {
            if list.oldest == index {
                list.oldest = entry.peer_newer;
            }
            if list.newest == index {
                list.newest = entry.peer_older;
            }
            list.count -= 1;
            if list.count == 0 {
                self.bytes -= PEER_BYTES;
            }
        }
        Some(entry.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn reply(bytes: &[u8]) -> Memory {
        Memory::Reply(bytes.into())
    }

    #[test]
    fn a_duplicate_finds_the_reply_until_the_exchange_lifetime_is_over() {
        let mut memory = Remembered::default();
        let mut emptied = Vec::new();
        memory.insert(at(0), 3, 7, 1, Memory::Unanswered(5), &mut emptied);
        assert_eq!(memory.look_up(at(1), 3, 7, 1, &mut Vec::new()), Seen::Duplicate(&Memory::Unanswered(5)));
        memory.set_memory(3, 7, reply(b"x"));
        assert_eq!(memory.look_up(at(246_999), 3, 7, 1, &mut Vec::new()), Seen::Duplicate(&reply(b"x")));
        assert_eq!(memory.look_up(at(1), 3, 8, 1, &mut Vec::new()), Seen::New);
        assert_eq!(memory.look_up(at(1), 2, 7, 1, &mut Vec::new()), Seen::New);
        assert_eq!(memory.look_up(at(247_000), 3, 7, 1, &mut Vec::new()), Seen::New);
        assert_eq!((memory.len(), memory.bytes()), (0, 0));
    }

    #[test]
    fn a_non_confirmable_message_is_remembered_for_non_lifetime() {
        let mut memory = Remembered::default();
        memory.insert(at(0), 0, 7, 1, Memory::Silent, &mut Vec::new());
        assert_eq!(memory.look_up(at(144_999), 0, 7, 1, &mut Vec::new()), Seen::Duplicate(&Memory::Silent));
        assert_eq!(memory.look_up(at(145_000), 0, 7, 1, &mut Vec::new()), Seen::New);
    }

    #[test]
    fn another_message_under_the_same_id_is_new() {
        let mut memory = Remembered::default();
        memory.insert(at(0), 0, 7, 1, reply(b"x"), &mut Vec::new());
        assert_eq!(memory.look_up(at(1), 0, 7, 2, &mut Vec::new()), Seen::New);
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_peer_keeps_its_64_newest() {
        let mut memory = Remembered::default();
        let mut emptied = Vec::new();
        for mid in 0..100 {
            memory.insert(at(mid.into()), 1, mid, 1, reply(b"x"), &mut emptied);
            memory.insert(at(mid.into()), 0, mid, 1, reply(b"y"), &mut emptied);
        }
        assert_eq!((memory.count(0), memory.count(1), memory.evicted), (64, 64, 72));
        assert_eq!(memory.look_up(at(100), 1, 35, 1, &mut Vec::new()), Seen::New);
        assert_eq!(memory.look_up(at(100), 1, 36, 1, &mut Vec::new()), Seen::Duplicate(&reply(b"x")));
        assert!(emptied.is_empty());
    }

    #[test]
    fn bytes_stay_under_the_total_and_the_oldest_peers_are_emptied_first() {
        let mut memory = Remembered::default();
        let mut emptied = Vec::new();
        for peer in 0..50_000 {
            memory.insert(at(peer.into()), peer, 1, 1, reply(&[0; 1_024]), &mut emptied);
            assert!(memory.bytes() <= REMEMBERED_BYTES_MAX);
        }
        assert_eq!(emptied, (0..memory.evicted as u32).collect::<Vec<_>>());
        assert_eq!(memory.len() as u64, 50_000 - memory.evicted);
        memory.expire(at(10_000_000), usize::MAX, &mut emptied);
        assert_eq!((memory.len(), memory.bytes(), emptied.len()), (0, 0, 50_000));
    }

    /// What a look-up finds is what a walk through all would find, for ids in any order, round the end and back.
    #[test]
    fn an_id_is_found_whatever_the_order_of_ids() {
        let mut random = 1_u32;
        let mut next = move |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        let (mut walked, mut found) = (0, 0);
        for _ in 0..2_000 {
            let mut memory = Remembered::default();
            let (mut mid, mut now) = (next(65_536) as u16, 0);
            for _ in 0..next(90) {
                now += u64::from(next(8_000));
                let mut emptied = Vec::new();
                memory.expire(at(now), usize::MAX, &mut emptied);
                mid = match next(20) {
                    0 => next(65_536) as u16,
                    1 => mid.wrapping_sub(next(4) as u16),
                    2 => mid.wrapping_add(next(40_000) as u16),
                    3..=19 | 20.. => mid.wrapping_add(1),
                };
                if next(10) == 0 {
                    memory.guard(at(now), 0, &mut emptied);
                }
                let has = |memory: &Remembered, mid: u16| {
                    memory.entries.iter().any(|(_, e)| e.mid == mid && e.memory != Memory::Guard)
                };
                for asked in [mid, mid.wrapping_sub(1), mid.wrapping_add(1), next(65_536) as u16] {
                    assert_eq!(memory.find(0, asked).is_some(), has(&memory, asked), "{asked} at {mid}");
                    found += usize::from(has(&memory, asked));
                }
                walked += usize::from(memory.peers.first().is_some_and(|list| !list.rising));
                if memory.find(0, mid).is_none() {
                    memory.insert(at(now), 0, mid, 1, Memory::Silent, &mut emptied);
                }
            }
        }
        assert!(found > 10_000 && walked > 10_000, "{found}, {walked}");
    }

    #[test]
    fn the_guard_of_a_peer_is_one_entry_and_answers_no_message() {
        let mut memory = Remembered::default();
        let mut emptied = Vec::new();
        memory.guard(at(0), 4, &mut emptied);
        memory.insert(at(1), 4, 9, 1, Memory::Silent, &mut emptied);
        memory.guard(at(500), 4, &mut emptied);
        memory.guard(at(5_000), 4, &mut emptied);
        assert_eq!(memory.count(4), 2);
        assert_eq!(memory.look_up(at(5_001), 4, 0, 0, &mut Vec::new()), Seen::New);
        memory.expire(at(251_999), 10, &mut emptied);
        assert!(emptied.is_empty());
        memory.expire(at(252_000), 10, &mut emptied);
        assert_eq!(emptied, [4]);
    }
}
