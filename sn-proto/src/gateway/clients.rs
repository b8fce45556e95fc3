//! The table of clients: found by ClientId, which is who they are, and by route, which is only where they are.

use core::hash::BuildHasher;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use slab::Slab;

use crate::client::{Client, Route, RouteRef, State};
use crate::mountpoint::Mounted;

/// Slots that a list of nodes may hold beyond twice those in use.
const NODES_SLACK: usize = 64;

/// All clients of one front-end.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    slots: Slab<Client>,
    /// Generation of the link of each slot; outlives the client, so that a stale event is known.
    generations: Vec<u16>,
    by_name: HashTable<u32>,
    by_route: HashTable<u32>,
    hasher: DefaultHashBuilder,
    handshakes: usize,
    /// Clients behind each forwarder.
    nodes: BTreeMap<IpAddr, Nodes>,
    /// Where clients sent their last CONNECT from. Empty unless the mount point has that in it.
    hosts: HashMap<u32, IpAddr>,
}

/// The clients behind one forwarder.
#[derive(Debug, Default)]
struct Nodes {
    count: usize,
    /// Their slots in the order in which they came, but for those that were looked at. May hold slots of clients that
    /// are gone.
    by_age: VecDeque<u32>,
}

impl Clients {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Clients in a handshake or waiting for the broker, which have no session yet.
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Client)> {
        self.slots.iter().map(|(slot, client)| (slot_number(slot), client))
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Client> {
        self.slots.get(slot as usize)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Client> {
        self.slots.get_mut(slot as usize)
    }

    pub(crate) fn generation(&self, slot: u32) -> u16 {
        self.generations.get(slot as usize).copied().unwrap_or(0)
    }

    /// A new generation for the link of `slot`.
    pub(crate) fn next_generation(&mut self, slot: u32) -> u16 {
        match self.generations.get_mut(slot as usize) {
            Some(generation) => {
                *generation = generation.wrapping_add(1);
                *generation
            }
            None => 0,
        }
    }

    pub(crate) fn by_route(&self, route: RouteRef<'_>) -> Option<u32> {
        let hash = self.hasher.hash_one(route);
        let found = self.by_route.find(hash, |slot| {
            self.slots.get(*slot as usize).is_some_and(|client| client.route.as_ref() == route)
        });
        found.copied()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let found = self
            .by_name
            .find(hash, |slot| self.slots.get(*slot as usize).is_some_and(|client| *client.name == *name));
        found.copied()
    }

    /// Adds a client; its route is looked up from now on if it has one, its name only after [`Clients::own_name`].
    pub(crate) fn insert(&mut self, client: Client) -> u32 {
        self.handshakes += usize::from(is_handshake(client.state));
        let routed = client.routed;
        let slot = self.slots.insert(client);
        if self.generations.len() <= slot {
            self.generations.resize(slot + 1, 0);
        }
        let slot = slot_number(slot);
        self.count_node(slot);
        if routed {
            self.index_route(slot);
        }
        slot
    }

    /// Takes a client out of the table and all its indexes.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Client> {
        self.drop_route(slot);
        self.drop_name(slot);
        self.uncount_node(slot);
        self.hosts.remove(&slot);
        let client = self.slots.try_remove(slot as usize)?;
        self.handshakes -= usize::from(is_handshake(client.state));
        Some(client)
    }

    /// Changes the state of a client.
    pub(crate) fn set_state(&mut self, slot: u32, state: State) {
        let Some(client) = self.slots.get_mut(slot as usize) else { return };
        self.handshakes -= usize::from(is_handshake(client.state));
        self.handshakes += usize::from(is_handshake(state));
        client.state = state;
    }

    /// Interpretation: the address in a client's topics is the one that its last CONNECT came from, as another
    /// gateway has it. Waking up elsewhere changes no topic: subscriptions stay where they are.
    pub(crate) fn note_host(&mut self, slot: u32) {
        let host = self.get(slot).map(|client| client.route.address().remote.ip());
        self.hosts.extend(host.map(|host| (slot, host)));
    }

    /// What stands where the mount point has its placeholders. A client of before a restart is taken to have connected
    /// from where it is.
    pub(crate) fn mounted(&self, slot: u32) -> Option<Mounted<'_>> {
        let client = self.get(slot)?;
        let host = self.hosts.get(&slot).copied().unwrap_or(client.route.address().remote.ip());
        Some(Mounted { client: Some(&client.name), host })
    }

    /// From now on the name of this client leads to it; whoever had it before no longer does.
    pub(crate) fn own_name(&mut self, slot: u32) {
        let Some(name) = self.get(slot).map(|client| client.name.clone()) else { return };
        if let Some(other) = self.by_name(&name) {
            if other == slot {
                return;
            }
            self.drop_name(other);
        }
        let Clients { slots, by_name, hasher, .. } = self;
        by_name.insert_unique(hasher.hash_one(&*name), slot, |other| {
            slots.get(*other as usize).map_or(0, |client| hasher.hash_one(&*client.name))
        });
    }

    /// Moves a client to another route. Whoever is there must have been moved away before.
    pub(crate) fn move_to(&mut self, slot: u32, route: Route) {
        self.drop_route(slot);
        self.uncount_node(slot);
        if let Some(client) = self.slots.get_mut(slot as usize) {
            client.route = route;
            client.routed = true;
            self.count_node(slot);
            self.index_route(slot);
        }
    }

    /// The client is no longer where it was.
    pub(crate) fn drop_route(&mut self, slot: u32) {
        let Some(client) = self.slots.get_mut(slot as usize) else { return };
        client.routed = false;
        let hash = self.hasher.hash_one(client.route.as_ref());
        if let Ok(entry) = self.by_route.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    /// Clients behind the forwarder at `ip`.
    pub(crate) fn nodes_at(&self, ip: IpAddr) -> usize {
        self.nodes.get(&ip).map_or(0, |nodes| nodes.count)
    }

    /// The slot that came first behind the forwarder at `ip`, of those that this was not called for yet. It may be
    /// another client's by now.
    pub(crate) fn take_oldest_node(&mut self, ip: IpAddr) -> Option<u32> {
        self.nodes.get_mut(&ip)?.by_age.pop_front()
    }

    fn count_node(&mut self, slot: u32) {
        let Some(client) = self.slots.get(slot as usize) else { return };
        if client.route.node().is_some() {
            let ip = client.route.ip();
            let nodes = self.nodes.entry(ip).or_default();
            nodes.count += 1;
            nodes.by_age.push_back(slot);
            // Clients come and go: the list is cleaned before it is twice as long as it need be.
            if nodes.by_age.len() > 2 * nodes.count + NODES_SLACK {
                let is_here = |slot: &u32| {
                    self.slots
                        .get(*slot as usize)
                        .is_some_and(|client| client.route.node().is_some() && client.route.ip() == ip)
                };
                // A slot that was used again stands there twice: its client came last.
                let mut seen = HashSet::new();
                let newest_first = std::mem::take(&mut nodes.by_age).into_iter().rev();
                newest_first
                    .filter(|slot| is_here(slot) && seen.insert(*slot))
                    .for_each(|slot| nodes.by_age.push_front(slot));
            }
        }
    }

    fn uncount_node(&mut self, slot: u32) {
        let Some(client) = self.slots.get(slot as usize) else { return };
        if client.route.node().is_some() {
            let ip = client.route.ip();
            if let Some(nodes) = self.nodes.get_mut(&ip) {
                nodes.count -= 1;
                if nodes.count == 0 {
                    self.nodes.remove(&ip);
                }
            }
        }
    }

    fn drop_name(&mut self, slot: u32) {
        let Some(client) = self.slots.get(slot as usize) else { return };
        let hash = self.hasher.hash_one(&*client.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    fn index_route(&mut self, slot: u32) {
        let Clients { slots, by_route, hasher, .. } = self;
        let hash_of =
            |slot: &u32| slots.get(*slot as usize).map_or(0, |client| hasher.hash_one(client.route.as_ref()));
        by_route.insert_unique(hash_of(&slot), slot, hash_of);
    }
}

fn is_handshake(state: State) -> bool {
    match state {
        State::Handshake | State::Connecting => true,
        State::Active | State::Asleep | State::Awake => false,
    }
}

fn slot_number(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_core::Instant;
    use broker_core::frontend::{Address, ListenerId};
    use std::sync::Arc;

    #[test]
    fn a_forwarder_whose_nodes_have_all_gone_leaves_nothing_behind() {
        let remote = "10.0.0.1:1".parse().expect("a socket address");
        let address = Address { remote, local: None, listener: ListenerId(0) };
        let mut clients = Clients::default();
        let slots = [&b"a"[..], b"b"].map(|node| {
            let route = Route::new(address, Some(node));
            clients.insert(Client::new(Arc::from("c"), route, Instant::ZERO, State::Active))
        });
        assert_eq!(clients.nodes_at(remote.ip()), 2);
        clients.move_to(slots[0], Route::new(address, None));
        assert_eq!(clients.nodes_at(remote.ip()), 1);
        clients.remove(slots[1]);
        assert!(clients.nodes.is_empty());
    }
}
