//! [`Links`]: from a [`LinkId`] to the slot of its session, in two array steps.
use super::session::Slot;
use crate::link::LinkId;

/// Slots that one front-end of one worker may use: far above any number of sockets. Beyond, an attach is refused.
const LINK_SLOTS_MAX: usize = 1 << 22;
const NO_SESSION: Slot = Slot::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    session: Slot,
    generation: u16,
    used: bool,
}

const UNUSED: Entry = Entry { session: NO_SESSION, generation: 0, used: false };

/// What a link is to the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkState {
    /// Attached to the session in this slot.
    Attached(Slot),
    /// It was attached, or refused, and is over.
    Over,
    /// Never seen in this generation.
    Unknown,
}

/// All links that are or were attached, one table for each front-end of each worker.
#[derive(Debug, Default)]
pub(super) struct Links {
    tables: Vec<Vec<Entry>>,
}

impl Links {
    #[inline]
    fn table_of(link: LinkId) -> usize {
        usize::from(link.worker) * 4 + link.frontend as usize
    }

    #[inline]
    pub(super) fn state(&self, link: LinkId) -> LinkState {
        let entry = self.tables.get(Self::table_of(link)).and_then(|table| table.get(link.slot as usize));
        match entry {
            Some(entry) if entry.generation == link.generation && entry.used => match entry.session {
                NO_SESSION => LinkState::Over,
                session => LinkState::Attached(session),
            },
            // An older generation than the one seen last; generations wrap.
            Some(entry) if entry.used && entry.generation.wrapping_sub(link.generation) < 0x8000 => {
                LinkState::Over
            }
            Some(_) | None => LinkState::Unknown,
        }
    }

    /// The session of a link.
    #[inline]
    pub(super) fn session(&self, link: LinkId) -> Option<Slot> {
        match self.state(link) {
            LinkState::Attached(slot) => Some(slot),
            LinkState::Over | LinkState::Unknown => None,
        }
    }

    /// Whether the link's slot is one that this table takes.
    pub(super) fn acceptable(link: LinkId) -> bool {
        (link.slot as usize) < LINK_SLOTS_MAX
    }

    fn entry(&mut self, link: LinkId) -> Option<&mut Entry> {
        if !Self::acceptable(link) {
            return None;
        }
        let table = Self::table_of(link);
        if self.tables.len() <= table {
            self.tables.resize_with(table + 1, Vec::new);
        }
        let table = self.tables.get_mut(table)?;
        let slot = link.slot as usize;
        if table.len() <= slot {
            table.resize(slot + 1, UNUSED);
        }
        table.get_mut(slot)
    }

    pub(super) fn attach(&mut self, link: LinkId, session: Slot) {
        if let Some(entry) = self.entry(link) {
            *entry = Entry { session, generation: link.generation, used: true };
        }
    }

    /// The link is over: what still comes on it is dropped.
    pub(super) fn end(&mut self, link: LinkId) {
        if let Some(entry) = self.entry(link) {
            *entry = Entry { session: NO_SESSION, generation: link.generation, used: true };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::FrontendId;

    fn link(slot: u32, generation: u16) -> LinkId {
        LinkId { slot, generation, frontend: FrontendId::MqttSn, worker: 3 }
    }

    #[test]
    fn a_link_is_known_by_slot_and_generation() {
        let mut links = Links::default();
        assert_eq!(links.state(link(5, 1)), LinkState::Unknown);
        links.attach(link(5, 1), 77);
        assert_eq!(links.state(link(5, 1)), LinkState::Attached(77));
        assert_eq!(links.state(link(5, 2)), LinkState::Unknown);
        assert_eq!(links.state(link(5, 0)), LinkState::Over);
        assert_eq!(links.state(LinkId { worker: 2, ..link(5, 1) }), LinkState::Unknown);
        links.end(link(5, 1));
        assert_eq!(links.state(link(5, 1)), LinkState::Over);
        links.attach(link(5, u16::MAX), 1);
        assert_eq!(links.state(link(5, 0)), LinkState::Unknown, "generations wrap");
    }

    #[test]
    fn workers_do_not_touch_each_others_links() {
        let mut links = Links::default();
        let of = |worker| LinkId { worker, ..link(5, 1) };
        for (worker, session) in [(3, 33), (0, 0), (7, 77), (1, 11)] {
            links.attach(of(worker), session);
        }
        for (worker, session) in [(3, 33), (0, 0), (7, 77), (1, 11)] {
            assert_eq!(links.session(of(worker)), Some(session), "worker {worker}");
        }
    }

    #[test]
    fn an_absurd_slot_takes_no_memory() {
        let mut links = Links::default();
        assert!(!Links::acceptable(link(u32::MAX, 0)));
        links.attach(link(u32::MAX, 0), 1);
        assert_eq!(links.session(link(u32::MAX, 0)), None);
    }
}
