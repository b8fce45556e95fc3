//! The table of devices: a slab, and three indexes that cost five bytes an entry.
use crate::arena::Arena;
use crate::coap::SipKey;
use crate::device::Device;
use crate::registration::Location;
use broker_core::frontend::Address;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// All devices, by slot, name, location and address. A device is in the index of names from its Register to its end;
/// in that of addresses, while it is believed to be at its address.
#[derive(Debug)]
pub(crate) struct Devices {
    slots: Arena<Device>,
    /// Rises with each use of a slot, so that a stale link leads nowhere.
    generations: Vec<u16>,
    by_name: HashTable<u32>,
    by_location: HashTable<u32>,
    by_address: HashTable<u32>,
    key: SipKey,
}

/// Which index.
#[derive(Clone, Copy)]
enum Index {
    Name,
    Location,
    Address,
}

impl Devices {
    pub(crate) fn new(key: SipKey) -> Devices {
        Devices {
            slots: Arena::new(),
            generations: Vec::new(),
            by_name: HashTable::new(),
            by_location: HashTable::new(),
            by_address: HashTable::new(),
            key,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Device> {
        self.slots.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Device> {
        self.slots.get_mut(slot)
    }

    /// The generation of a slot's present use.
    pub(crate) fn generation(&self, slot: u32) -> u16 {
        self.generations.get(slot as usize).copied().unwrap_or(0)
    }

    fn hash_of(&self, index: Index, device: &Device) -> u64 {
        hash(self.key, index, device)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<u32> {
        let same = |slot: &u32| self.get(*slot).is_some_and(|device| *device.registration.endpoint == *name);
        self.by_name.find(self.key.hash_one(name), same).copied()
    }

    pub(crate) fn by_location(&self, location: Location) -> Option<u32> {
        let same = |slot: &u32| self.get(*slot).is_some_and(|device| device.location == location);
        self.by_location.find(self.key.hash_one(location), same).copied()
    }

    /// The devices that are believed to be at this address.
    pub(crate) fn at(&self, address: &Address) -> impl Iterator<Item = u32> {
        let same = |slot: &u32| self.get(*slot).is_some_and(|device| device.address() == *address);
        self.by_address.iter_hash(self.key.hash_one(address)).copied().filter(same)
    }

    /// The device at this address, if it is the only one.
    pub(crate) fn only_at(&self, address: &Address) -> Option<u32> {
        let mut there = self.at(address);
        let first = there.next()?;
        there.next().is_none().then_some(first)
    }

    /// The device is believed to be at its address, with at most so many in all: where there are more, one of the
    /// others is not found there any more.
    pub(crate) fn appear(&mut self, slot: u32, sharers_max: usize) {
        let Some(address) = self.get(slot).map(Device::address) else { return };
        let (mut count, mut other) = (0, None);
        for there in self.at(&address) {
            if there == slot {
                return;
            }
            count += 1;
            other = other.or(Some(there));
        }
        if let Some(other) = other.filter(|_| count >= sharers_max) {
            self.unindex(Index::Address, other);
        }
        self.index(Index::Address, slot);
    }

    /// The device has lost its address to another.
    pub(crate) fn displace(&mut self, slot: u32) {
        self.unindex(Index::Address, slot);
    }

    /// Adds a device under its name and location. At its address it is found when it has appeared there.
    pub(crate) fn insert(&mut self, device: Device) -> u32 {
        let slot = self.slots.insert(device);
        if self.generations.len() <= slot as usize {
            self.generations.resize(slot as usize + 1, 0);
        }
        for index in [Index::Name, Index::Location] {
            self.index(index, slot);
        }
        slot
    }

    /// Takes a device out; its links are stale from now on.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Device> {
        self.hide(slot);
        let device = self.slots.remove(slot)?;
        if let Some(generation) = self.generations.get_mut(slot as usize) {
            *generation = generation.wrapping_add(1);
        }
        Some(device)
    }

    /// No message finds this device any more; its slot stays until the broker has let go of it.
    pub(crate) fn hide(&mut self, slot: u32) {
        for index in [Index::Name, Index::Location, Index::Address] {
            self.unindex(index, slot);
        }
    }

    /// The device has left its address for another; it is found there when it has appeared.
    pub(crate) fn move_to(&mut self, slot: u32, address: Address) {
        self.unindex(Index::Address, slot);
        if let Some(device) = self.get_mut(slot) {
            device.address = address.into();
        }
    }

    /// The device has a new location.
    pub(crate) fn relocate(&mut self, slot: u32, location: Location) {
        self.unindex(Index::Location, slot);
        if let Some(device) = self.get_mut(slot) {
            device.location = location;
        }
        self.index(Index::Location, slot);
    }

    fn index(&mut self, index: Index, slot: u32) {
        let Some(hash) = self.get(slot).map(|device| self.hash_of(index, device)) else { return };
        let Devices { slots, by_name, by_location, by_address, key, .. } = self;
        let rehash = |slot: &u32| slots.get(*slot).map_or(0, |device| self::hash(*key, index, device));
        let table = match index {
            Index::Name => by_name,
            Index::Location => by_location,
            Index::Address => by_address,
        };
        table.insert_unique(hash, slot, rehash);
    }

    /// Takes the entry of exactly this slot out, if there is one.
    fn unindex(&mut self, index: Index, slot: u32) {
        let Some(hash) = self.get(slot).map(|device| self.hash_of(index, device)) else { return };
        let Devices { slots, by_name, by_location, by_address, key, .. } = self;
        let table = match index {
            Index::Name => by_name,
            Index::Location => by_location,
            Index::Address => by_address,
        };
        if let Ok(entry) = table.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if table.capacity() > 4 * table.len() + 1_024 {
            let rehash = |slot: &u32| slots.get(*slot).map_or(0, |device| self::hash(*key, index, device));
            table.shrink_to(2 * table.len(), rehash);
        }
    }
}

fn hash(key: SipKey, index: Index, device: &Device) -> u64 {
    match index {
        Index::Name => key.hash_one(&*device.registration.endpoint),
        Index::Location => key.hash_one(device.location),
        Index::Address => key.hash_one(device.address()),
    }
}
