//! [`Session`]: everything the broker knows of one ClientId, and [`Sessions`], where they live.
//!
//! ```text
//!            Connect                     Pause                    Drain
//!   (none) ──────────► Active ─────────────────────► Asleep ◄────────────► Draining
//!                       │  ▲        Wake, Connect      │ │    Drained          │
//!            Disconnect │  │◄──────────────────────────┼─┴─────────────────────┘
//!                       ▼  │ Connect                   │ sleep time over, Disconnect
//!                      Offline ◄───────────────────────┘
//!                         │ expiry, eviction          (a clean session ends where others go offline)
//!                         ▼
//!                       (none)
//! ```
//! An idle session costs this struct, its name and 16 bytes of tables; queue, in-flight, will and memo are made when
//! first needed.
use super::inflight::PacketIds;
use super::ledger::Ledger;
use super::memo::Memo;
use super::outgoing::Outgoing;
use super::publish::Incoming;
use crate::link::{LinkId, Protocol, QueueQos0, SessionName};
use crate::message::{QoS, Will};
use crate::record::{Record, SessionId};
use crate::time::Instant;
use crate::topic::TopicFilter;
use crate::wheel::Timer;
use hashbrown::HashTable;
use slab::Slab;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

/// Where a session lives in [`Sessions`]. May be used again after the session's end.
pub(super) type Slot = u32;

/// What may be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// No link; a persistent session waits.
    Offline,
    /// Attached and awake.
    Active,
    /// The device sleeps: nothing is delivered. Has a link or, after a restart, none.
    Asleep,
    /// A sleeper collects what waited when it woke.
    Draining,
}

/// A will and whether it goes out when the link is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoredWill {
    pub(super) will: Will,
    pub(super) armed: bool,
}

/// Who stands behind the ClientId.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) username: Option<Arc<str>>,
    pub(super) proven: Option<Arc<str>>,
}

/// A remote address in 16 bytes instead of 32: there is one in every session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Remote {
    #[default]
    Unknown,
    V4([u8; 4], u16),
    V6(Box<SocketAddrV6>),
}

impl Remote {
    pub(super) fn new(address: Option<SocketAddr>) -> Remote {
        match address {
            None => Remote::Unknown,
            Some(SocketAddr::V4(v4)) => Remote::V4(v4.ip().octets(), v4.port()),
            Some(SocketAddr::V6(v6)) => Remote::V6(Box::new(v6)),
        }
    }

    fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.ip().to_canonical().is_loopback())
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Remote::Unknown => None,
            Remote::V4(octets, port) => Some(SocketAddr::new(IpAddr::from(*octets), *port)),
            Remote::V6(v6) => Some(SocketAddr::V6(**v6)),
        }
    }
}

/// One subscription of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Subscription {
    pub(super) filter: TopicFilter,
    pub(super) qos: QoS,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: SessionName,
    pub(super) id: SessionId,
    /// Where it lives.
    pub(super) slot: Slot,
    /// QoS 1/2 deliveries that wait for an acknowledgement on the present link.
    pub(super) in_flight: u16,
    /// How many may.
    pub(super) window: u16,
    pub(super) link: Option<LinkId>,
    /// Byte credit, see [`crate::ToBroker::Credit`].
    pub(super) credit: i32,
    pub(super) packet_ids: PacketIds,
    pub(super) keep_alive: u16,
    pub(super) flow: Flow,
    pub(super) protocol: Protocol,
    /// Ends with its link.
    pub(super) clean: bool,
    /// Its changes are records: a persistent session, or one that sleeps.
    pub(super) durable: bool,
    pub(super) queue_qos0: QueueQos0,
    pub(super) will_is_session_state: bool,
    /// It was attached when the broker stopped.
    pub(super) was_attached: bool,
    /// Retained messages are still to be sent, see [`super::replay`].
    pub(super) replaying: bool,
    /// Its place among the offline sessions, while it is one.
    pub(super) offline_place: u32,
    /// How long it sleeps, milliseconds; 0: no limit.
    pub(super) sleep_ms: u64,
    /// When it ends (offline), or is lost (asleep).
    pub(super) deadline: Instant,
    pub(super) timer: Timer,
    /// Attached or offline since, milliseconds since 1970.
    pub(super) since_unix_ms: u64,
    pub(super) remote: Remote,
    pub(super) outgoing: Option<Box<Outgoing>>,
    pub(super) incoming: Option<Box<Incoming>>,
    /// Sorted by filter text.
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) will: Option<Box<StoredWill>>,
    pub(super) memo: Memo,
    pub(super) identity: Option<Box<Identity>>,
}

impl Session {
    /// A session without link and without anything in it.
    pub(super) fn new(name: SessionName, id: SessionId, protocol: Protocol, first_packet_id: u16) -> Session {
        Session {
            name,
            id,
            slot: 0,
            in_flight: 0,
            window: 0,
            link: None,
            credit: 0,
            packet_ids: PacketIds::starting_at(first_packet_id),
            keep_alive: 0,
            flow: Flow::Offline,
            protocol,
            clean: true,
            durable: false,
            queue_qos0: QueueQos0::NEVER,
            will_is_session_state: false,
            was_attached: false,
            replaying: false,
            offline_place: 0,
            sleep_ms: 0,
            deadline: Instant::FAR_FUTURE,
            timer: Timer::new(),
            since_unix_ms: 0,
            remote: Remote::Unknown,
            outgoing: None,
            incoming: None,
            subscriptions: Vec::new(),
            will: None,
            memo: Memo::default(),
            identity: None,
        }
    }

    /// Its changes are to be recorded.
    #[inline]
    pub(super) fn records(&self, ledger: &Ledger) -> bool {
        self.durable && ledger.recording
    }

    /// The user name it attached with.
    pub(super) fn username(&self) -> Option<&str> {
        self.identity.as_ref().and_then(|identity| identity.username.as_deref())
    }

    /// Its client is a program on this machine that speaks MQTT. MQTT-SN does not count: a trace of MQTT-SN that is read
    /// over MQTT-SN would trace itself.
    pub(super) fn is_local(&self) -> bool {
        self.protocol == Protocol::Mqtt && self.remote.is_loopback()
    }

    /// Where `filter` is, or belongs, among the subscriptions.
    pub(super) fn find_subscription(&self, filter: &str) -> Result<usize, usize> {
        self.subscriptions.binary_search_by(|held| held.filter.as_str().cmp(filter))
    }

    /// The will belongs in the records: it is part of the session (MQTT-SN §6.3), or its device sleeps. A will of an
    /// MQTT connection ends with the connection, and so with the broker.
    pub(super) fn will_is_durable(&self) -> bool {
        self.durable && (self.will_is_session_state || matches!(self.flow, Flow::Asleep | Flow::Draining))
    }

    /// The record that opens this session, or changes its properties.
    pub(super) fn opened(&self) -> Record {
        Record::SessionOpened {
            session: self.id,
            name: self.name.clone(),
            protocol: self.protocol,
            clean: self.clean,
            queue_qos0: self.queue_qos0,
            will_is_session_state: self.will_is_session_state,
        }
    }
}

/// All sessions, by slot and by name.
#[derive(Debug)]
pub(super) struct Sessions {
    slab: Slab<Session>,
    names: HashTable<Slot>,
    seed: u64,
}

impl Sessions {
    pub(super) fn new(seed: u64) -> Sessions {
        Sessions { slab: Slab::new(), names: HashTable::new(), seed }
    }

    fn hash(seed: u64, name: &SessionName) -> u64 {
        // Names are the peers' choice: the seed keeps them from choosing names that collide.
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        name.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Session> {
        self.slab.get(slot as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Session> {
        self.slab.get_mut(slot as usize)
    }

    /// The session in `slot` if it still is the one called `id`.
    #[inline]
    pub(super) fn get_same(&mut self, slot: Slot, id: SessionId) -> Option<&mut Session> {
        self.slab.get_mut(slot as usize).filter(|session| session.id == id)
    }

    /// Its device is there and awake.
    pub(super) fn is_active(&self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|session| session.flow == Flow::Active)
    }

    pub(super) fn find(&self, name: &SessionName) -> Option<Slot> {
        let slab = &self.slab;
        self.names
            .find(Self::hash(self.seed, name), |slot| {
                slab.get(*slot as usize).is_some_and(|session| session.name == *name)
            })
            .copied()
    }

    /// Takes in a session whose name is not there yet.
    pub(super) fn insert(&mut self, mut session: Session) -> Slot {
        let hash = Self::hash(self.seed, &session.name);
        let entry = self.slab.vacant_entry();
        let slot = Slot::try_from(entry.key()).expect("sessions are limited to far fewer than 2^32");
        session.slot = slot;
        entry.insert(session);
        let (slab, seed) = (&self.slab, self.seed);
        self.names.insert_unique(hash, slot, |slot| match slab.get(*slot as usize) {
            Some(session) => Self::hash(seed, &session.name),
            None => 0,
        });
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Session> {
        let session = self.slab.try_remove(slot as usize)?;
        if let Ok(entry) =
            self.names.find_entry(Self::hash(self.seed, &session.name), |candidate| *candidate == slot)
        {
            entry.remove();
        }
        Some(session)
    }

    /// All sessions from `slot` on, in the order of their slots.
    pub(super) fn iter_from(&self, slot: Slot) -> impl Iterator<Item = &Session> {
        let end = self.slab.capacity();
        (slot as usize..end).filter_map(|slot| self.slab.get(slot))
    }

    /// All sessions.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slab.iter().map(|(_, session)| session)
    }

    /// All slots in use: for walks that change sessions.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.slab.iter().map(|(_, session)| session.slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_stays_small() {
        // With the name (16 B of Arc header and the text), 8 B in the name table and 8 B in the link table an idle
        // session stays under 256 B. The memo lies in it: in a box of its own it would cost each device 24 B more.
        assert!(size_of::<Session>() <= 200, "{}", size_of::<Session>());
    }

    #[test]
    fn names_find_their_session_and_slots_are_used_again() {
        let mut sessions = Sessions::new(7);
        let name = |n: u32| SessionName::Client(Arc::from(format!("c{n}")));
        let session = |n: u32| Session::new(name(n), SessionId(u64::from(n)), Protocol::Mqtt, 1);
        let slots: Vec<Slot> = (0..1000).map(|n| sessions.insert(session(n))).collect();
        for n in 0..1000 {
            assert_eq!(sessions.find(&name(n)), Some(slots[n as usize]));
        }
        assert_eq!(sessions.find(&SessionName::Endpoint(Arc::from("c1"))), None);
        assert!(sessions.remove(slots[5]).is_some());
        assert_eq!(sessions.find(&name(5)), None);
        assert!(sessions.remove(slots[5]).is_none());
        assert_eq!(sessions.insert(session(2000)), slots[5]);
        assert!(sessions.get_same(slots[5], SessionId(5)).is_none());
        assert!(sessions.get_same(slots[5], SessionId(2000)).is_some());
    }

    #[test]
    fn a_remote_address_survives_its_packing() {
        for text in ["127.0.0.1:1883", "[2001:db8::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Remote::new(Some(address)).address(), Some(address));
        }
        assert_eq!(Remote::new(None).address(), None);
    }
}
