//! Who reads what is made for readers only: topics below one prefix, each named in full.
//!
//! A trace costs work for every datagram of its client, so it is made only while somebody who may read it is there:
//! subscribed, with a link, on this machine.
use super::Broker;
use super::session::Slot;
use crate::topic::{TopicFilter, TopicFilterRef};

/// Sessions that may have such subscriptions at a time. Beyond: the subscription is refused. People at a screen, so few.
pub(super) const READERS_MAX: usize = 64;

/// The sessions that have subscriptions below the prefix.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Empty: nothing is watched.
    prefix: Box<str>,
    /// May hold some that have none any more, until the next count.
    slots: Vec<Slot>,
    changed: bool,
}

impl Watch {
    /// The rest behind the prefix, of a filter that names one topic.
    fn rest<'f>(&self, filter: TopicFilterRef<'f>) -> Option<&'f str> {
        if self.prefix.is_empty() || filter.has_wildcard() {
            return None;
        }
        filter.pattern().strip_prefix(&*self.prefix).filter(|rest| !rest.is_empty())
    }

    /// Whether the session may subscribe so.
    #[inline]
    pub(super) fn has_room(&self, slot: Slot, filter: &TopicFilter) -> bool {
        self.slots.len() < READERS_MAX
            || self.slots.contains(&slot)
            || self.rest(filter.as_filter()).is_none()
    }

    /// The session has this subscription.
    pub(super) fn note(&mut self, slot: Slot, filter: &TopicFilter) {
        if self.rest(filter.as_filter()).is_some() {
            self.changed = true;
            if !self.slots.contains(&slot) {
                self.slots.push(slot);
            }
        }
    }

    /// Some session no longer has it.
    pub(super) fn note_end(&mut self, filter: &TopicFilter) {
        self.changed |= self.rest(filter.as_filter()).is_some();
    }

    /// The session has a link now, or no longer.
    pub(super) fn note_link(&mut self, slot: Slot) {
        self.changed |= self.slots.contains(&slot);
    }
}

impl Broker {
    /// Watches who reads topics below `prefix`: [`Broker::watched`] tells.
    pub fn set_watch(&mut self, prefix: &str) {
        self.watch = Watch { prefix: Box::from(prefix), slots: Vec::new(), changed: true };
        for session in self.sessions.iter() {
            session.subscriptions.iter().for_each(|held| self.watch.note(session.slot, &held.filter));
        }
    }

    /// What is read below the watched prefix, when that may have changed since the last call: the rests of the topics
    /// behind it, in order, each once. Only readers that are there and may read local topics count.
    pub fn watched(&mut self) -> Option<Vec<Box<str>>> {
        if !std::mem::take(&mut self.watch.changed) {
            return None;
        }
        let mut rests: Vec<Box<str>> = Vec::new();
        let mut slots = std::mem::take(&mut self.watch.slots);
        slots.retain(|slot| {
            let Some(session) = self.sessions.get(*slot) else { return false };
            let own =
                session.subscriptions.iter().filter_map(|held| self.watch.rest(held.filter.as_filter()));
            let before = rests.len();
            rests.extend(own.map(Box::from));
            let any = rests.len() > before;
            if session.link.is_none() || !session.is_local() {
                rests.truncate(before);
            }
            any
        });
        self.watch.slots = slots;
        rests.sort_unstable();
        rests.dedup();
        Some(rests)
    }
}
