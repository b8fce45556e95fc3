//! The durable form of a [`Registry`]: the memo that the broker keeps with the session.
//!
//! ```text
//! memo   = 01 first:u16 change*
//! change = kind:u8 length:u16 body
//!          01 topic            id:u16 made:u8 (1: by the client) name
//!          02 subscribed by predefined id    id:u16     03 no longer
//!          04 subscribed by short name       2 octets   05 no longer
//!          06 place            keep-alive:u16 sleep:u16 proven:u8 listener:u16 port:u16
//!                              ip local (each a length octet and 0, 4 or 16 octets) node
//! ```
//! A change is appended; when the changes outweigh what they say, the memo is written whole. Reading is
//! total: an unknown kind is skipped by its length, a broken one ignored, a cut end ignored.
#![deny(clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use broker_core::frontend::{Address, ListenerId};
use broker_core::topic::TopicNameRef;

use super::registry::{Entry, Registry};
use super::{NameCache, TypedSubscription};
use crate::client::Route;

const VERSION: u8 = 0x01;
const TOPIC: u8 = 0x01;
const PREDEFINED: u8 = 0x02;
const PREDEFINED_GONE: u8 = 0x03;
const SHORT: u8 = 0x04;
const SHORT_GONE: u8 = 0x05;
const PLACE: u8 = 0x06;
/// A memo is written whole when it is longer than this and twice what it would then be.
const COMPACT_FROM: u32 = 1024;

/// Where a client is and how it is supervised, so that it is found again after a restart, and so that another
/// worker can judge who may wake it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its way.
    pub route: Route,
    /// Keep-alive of its CONNECT, seconds.
    pub keep_alive: u16,
    /// Duration of its last sleep, seconds.
    pub sleep: u16,
    /// Its transport had proven who it is.
    pub proven: bool,
}

/// One change that the memo must hold before the client hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The topic with this id is new, or is now the client's own.
    Topic(u16),
    /// A subscription by predefined id or short name.
    Subscribed(TypedSubscription),
    /// It is gone.
    Unsubscribed(TypedSubscription),
    /// The place that the registry holds is new.
    Place,
}

/// What to tell the broker for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Add these octets.
    Append(Vec<u8>),
    /// These are the whole memo.
    Replace(Vec<u8>),
}

impl Registry {
    /// The memo update for `change`, which the registry already shows.
    pub fn memo_update(&mut self, change: Change) -> Update {
        let mut octets = Vec::with_capacity(48);
        if self.memo_bytes == 0 {
            self.write_header(&mut octets);
        }
        self.write_change(change, &mut octets);
        let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        self.memo_bytes = self.memo_bytes.saturating_add(length);
        if self.memo_bytes > COMPACT_FROM {
            let whole = self.whole_memo();
            let whole_length = u32::try_from(whole.len()).unwrap_or(u32::MAX);
            if self.memo_bytes / 2 > whole_length {
                self.memo_bytes = whole_length;
                return Update::Replace(whole);
            }
        }
        Update::Append(octets)
    }

    /// The whole memo.
    pub fn whole_memo(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        self.write_header(&mut octets);
        for entry in self.iter() {
            write_topic(entry, &mut octets);
        }
        for subscription in self.typed() {
            self.write_change(Change::Subscribed(*subscription), &mut octets);
        }
        self.write_change(Change::Place, &mut octets);
        octets
    }

    /// Reads a memo. An empty one, or one of an unknown version, gives an empty registry with `offset`.
    /// At most `max` topics and as many other subscriptions are taken; none of the topics is marked as known.
    pub fn from_memo(memo: &[u8], offset: u16, max: usize, names: &mut NameCache) -> Registry {
        let Some((first, mut rest)) = read_header(memo) else {
            return Registry::new(offset);
        };
        let mut restored = Registry::starting_at(first);
        restored.memo_bytes = u32::try_from(memo.len()).unwrap_or(u32::MAX);
        while let Some((kind, body, after)) = read_change(rest) {
            rest = after;
            restored.apply(kind, body, max, names);
        }
        restored
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.first().to_be_bytes());
    }

    fn write_change(&self, change: Change, out: &mut Vec<u8>) {
        match change {
            Change::Topic(id) => {
                if let Some(entry) = self.by_id(id) {
                    write_topic(entry, out);
                }
            }
            Change::Subscribed(TypedSubscription::Predefined(id)) => {
                write(PREDEFINED, &[&id.to_be_bytes()], out);
            }
            Change::Unsubscribed(TypedSubscription::Predefined(id)) => {
                write(PREDEFINED_GONE, &[&id.to_be_bytes()], out);
            }
            Change::Subscribed(TypedSubscription::Short(pair)) => write(SHORT, &[&pair], out),
            Change::Unsubscribed(TypedSubscription::Short(pair)) => write(SHORT_GONE, &[&pair], out),
            Change::Place => {
                if let Some(place) = &self.place {
                    write_place(place, out);
                }
            }
        }
    }

    fn apply(&mut self, kind: u8, body: &[u8], max: usize, names: &mut NameCache) {
        let pair = <[u8; 2]>::try_from(body).ok();
        match kind {
            TOPIC => {
                if let Some((id, client_made, name)) = read_topic(body)
                    && (self.len() < max || self.by_id(id).is_some())
                {
                    self.restore(names.share(name), id, client_made);
                }
            }
            PREDEFINED | PREDEFINED_GONE => {
                let Some(pair) = pair else { return };
                let subscription = TypedSubscription::Predefined(u16::from_be_bytes(pair));
                self.restore_typed(subscription, kind == PREDEFINED, max);
            }
            SHORT | SHORT_GONE => {
                let Some(pair) = pair else { return };
                self.restore_typed(TypedSubscription::Short(pair), kind == SHORT, max);
            }
            PLACE => {
                if let Some(place) = read_place(body) {
                    self.place = Some(Box::new(place));
                }
            }
            _unknown => {} // written by a later version of ours
        }
    }

    fn restore_typed(&mut self, subscription: TypedSubscription, there: bool, max: usize) {
        if there {
            self.add_typed(subscription, max);
        } else {
            self.remove_typed(subscription);
        }
    }
}

fn write_topic(entry: &Entry, out: &mut Vec<u8>) {
    let made = u8::from(entry.is_client_made());
    write(TOPIC, &[&entry.id().to_be_bytes(), &[made], entry.name().as_bytes()], out);
}

/// A body that does not fit its length is not written: topic names end at 65,535 octets less this header.
fn write(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let Ok(length) = u16::try_from(parts.iter().map(|part| part.len()).sum::<usize>()) else { return };
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn read_header(memo: &[u8]) -> Option<(u16, &[u8])> {
    let ([version, high, low], rest) = memo.split_first_chunk::<3>()?;
    (*version == VERSION).then_some((u16::from_be_bytes([*high, *low]), rest))
}

fn read_change(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([kind, high, low], rest) = octets.split_first_chunk::<3>()?;
    let (body, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((*kind, body, after))
}

fn read_topic(body: &[u8]) -> Option<(u16, bool, &str)> {
    let ([high, low, made], name) = body.split_first_chunk::<3>()?;
    let name = TopicNameRef::new(core::str::from_utf8(name).ok()?).ok()?;
    Some((u16::from_be_bytes([*high, *low]), *made == 1, name.as_str()))
}

fn write_place(place: &Place, out: &mut Vec<u8>) {
    let Address { remote, local, listener } = place.route.address();
    let mut octets = Vec::with_capacity(48);
    octets.extend_from_slice(&place.keep_alive.to_be_bytes());
    octets.extend_from_slice(&place.sleep.to_be_bytes());
    octets.push(u8::from(place.proven) | u8::from(place.route.node().is_some()) << 1);
    octets.extend_from_slice(&listener.0.to_be_bytes());
    octets.extend_from_slice(&remote.port().to_be_bytes());
    write_ip(Some(remote.ip()), &mut octets);
    write_ip(local, &mut octets);
    octets.extend_from_slice(place.route.node().unwrap_or_default());
    write(PLACE, &[&octets], out);
}

fn write_ip(ip: Option<IpAddr>, out: &mut Vec<u8>) {
    match ip {
        None => out.push(0),
        Some(IpAddr::V4(ip)) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            out.push(16);
            out.extend_from_slice(&ip.octets());
        }
    }
}

fn read_place(body: &[u8]) -> Option<Place> {
    let (
        [ka_high, ka_low, sleep_high, sleep_low, flags, listener_high, listener_low, port_high, port_low],
        rest,
    ) = body.split_first_chunk::<9>()?;
    let (ip, rest) = read_ip(rest)?;
    let (local, node) = read_ip(rest)?;
    let remote = SocketAddr::new(ip?, u16::from_be_bytes([*port_high, *port_low]));
    let listener = ListenerId(u16::from_be_bytes([*listener_high, *listener_low]));
    let node = (flags & 0b10 != 0).then_some(node);
    Some(Place {
        route: Route::new(Address { remote, local, listener }, node),
        keep_alive: u16::from_be_bytes([*ka_high, *ka_low]),
        sleep: u16::from_be_bytes([*sleep_high, *sleep_low]),
        proven: flags & 0b01 != 0,
    })
}

fn read_ip(octets: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let (length, rest) = octets.split_first()?;
    match length {
        0 => Some((None, rest)),
        4 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            Some((Some(IpAddr::V4(Ipv4Addr::from(*ip))), rest))
        }
        16 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            Some((Some(IpAddr::V6(Ipv6Addr::from(*ip))), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::Origin;
    use super::*;

    fn read(memo: &[u8]) -> Registry {
        Registry::from_memo(memo, 9, 1000, &mut NameCache::default())
    }

    fn contents(registry: &Registry) -> Vec<(u16, String, bool)> {
        registry.iter().map(|e| (e.id(), e.name().to_string(), e.is_client_made())).collect()
    }

    #[test]
    fn appended_changes_give_back_the_registry() {
        let mut registry = Registry::new(5);
        let mut memo = Vec::new();
        let mut note = |registry: &mut Registry, change| match registry.memo_update(change) {
            Update::Append(octets) => memo.extend(octets),
            Update::Replace(octets) => memo = octets,
        };
        for (name, origin) in [("a/b", Origin::Client), ("c", Origin::Gateway), ("c", Origin::Client)] {
            let (id, changed) = registry.register(&Arc::from(name), origin, 10, |_| false).expect("room");
            assert!(changed);
            note(&mut registry, Change::Topic(id));
        }
        let short = TypedSubscription::Short(*b"t1");
        for subscription in [TypedSubscription::Predefined(3), short, TypedSubscription::Predefined(4)] {
            registry.add_typed(subscription, 10);
            note(&mut registry, Change::Subscribed(subscription));
        }
        registry.remove_typed(short);
        note(&mut registry, Change::Unsubscribed(short));
        for (remote, local, node) in [
            ("192.0.2.1:1000", None, None),
            ("[2001:db8::1]:9", Some("2001:db8::2".parse().expect("ip")), Some(&b"node"[..])),
            ("192.0.2.2:65535", Some("192.0.2.3".parse().expect("ip")), Some(&b""[..])),
        ] {
            let address =
                Address { remote: remote.parse().expect("address"), local, listener: ListenerId(3) };
            let place = Place { route: Route::new(address, node), keep_alive: 60, sleep: 300, proven: true };
            registry.set_place(place.clone());
            note(&mut registry, Change::Place);
            assert_eq!(read(&registry.whole_memo()).place(), Some(&place));
        }

        let restored = read(&memo);
        assert_eq!(contents(&restored), contents(&registry));
        assert_eq!(restored.typed(), registry.typed());
        assert_eq!(restored.place(), registry.place());
        assert!(restored.iter().all(|entry| !entry.is_known()));
        let whole = read(&registry.whole_memo());
        assert_eq!(contents(&whole), contents(&registry));
        assert_eq!(whole.place(), registry.place());
    }

    #[test]
    fn ids_go_on_after_a_restart_where_they_ended() {
        let mut registry = Registry::new(5);
        registry.register(&Arc::from("a"), Origin::Client, 10, |_| false).expect("room");
        let mut restored = read(&registry.whole_memo());
        assert_eq!(restored.register(&Arc::from("b"), Origin::Client, 10, |_| false), Ok((1031, true)));
        assert_eq!(restored.by_name("a").map(Entry::id), Some(1030));
    }

    #[test]
    fn a_memo_of_many_changes_is_written_whole() {
        let mut registry = Registry::new(0);
        let mut longest = 0;
        let mut replaced = 0;
        let mut memo = Vec::new();
        for number in 0..2000 {
            let typed = TypedSubscription::Predefined(number % 7);
            let change = if registry.remove_typed(typed) {
                Change::Unsubscribed(typed)
            } else {
                registry.add_typed(typed, 10);
                Change::Subscribed(typed)
            };
            match registry.memo_update(change) {
                Update::Append(octets) => memo.extend(octets),
                Update::Replace(octets) => {
                    memo = octets;
                    replaced += 1;
                }
            }
            longest = longest.max(memo.len());
            let mut expected = registry.typed().to_vec();
            let mut got = read(&memo).typed().to_vec();
            expected.sort_by_key(|it| format!("{it:?}"));
            got.sort_by_key(|it| format!("{it:?}"));
            assert_eq!(got, expected);
        }
        assert!(replaced > 0 && longest <= 1100, "{replaced} times, {longest} octets");
    }

    #[test]
    fn broken_memos_give_what_can_be_read() {
        for memo in [&b""[..], b"\x01", b"\x02\x04\x01", b"\x01\xff\xff\x01"] {
            assert!(read(memo).is_empty());
        }
        assert_eq!(read(b"").first(), 1034);
        // an unknown kind, a topic with id 0, one with a wildcard, a good one, a cut one
        let memo = b"\x01\x04\x01\x77\x00\x01x\x01\x00\x04\x00\x00\x01a\x01\x00\x04\x04\x01\x01+\x01\x00\x04\x04\x02\x01b\x01\x00\x09\x04";
        assert_eq!(contents(&read(memo)), [(1026, "b".to_owned(), true)]);
    }

    proptest! {
        #[test]
        fn reading_is_total_and_bounded(memo in proptest::collection::vec(any::<u8>(), 0..400), max in 0..5usize) {
            let restored = Registry::from_memo(&memo, 0, max, &mut NameCache::default());
            prop_assert!(restored.len() <= max && restored.typed().len() <= max);
            let again = read(&restored.whole_memo());
            prop_assert_eq!(contents(&again), contents(&restored));
        }

        #[test]
        fn mutated_memos_never_panic(flips in proptest::collection::vec((0..80usize, any::<u8>()), 0..6)) {
            let mut registry = Registry::new(3);
            for name in ["a", "b/c", "dd", "e"] {
                registry.register(&Arc::from(name), Origin::Client, 10, |_| false).expect("room");
            }
            let mut memo = registry.whole_memo();
            for (at, octet) in flips {
                if let Some(place) = memo.get_mut(at) {
                    *place = octet;
                }
            }
            let restored = read(&memo);
            for entry in restored.iter() {
                prop_assert_eq!(restored.by_id(entry.id()).map(Entry::id), Some(entry.id()));
            }
        }
    }
}
