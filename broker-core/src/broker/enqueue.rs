//! Enqueue: a message for one named session, and the fate that comes back to who asked.
use super::Broker;
use super::outgoing::Asked;
use super::queue::Offer;
use super::session::Slot;
use crate::link::{Effects, Enqueue, Fate, FromBroker, MessageFate};
use crate::time::Instant;

impl Broker {
    pub(super) fn on_enqueue(&mut self, asker: Slot, enqueue: Enqueue, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(asker) else { return };
        let by = session.name.clone();
        if let Some(packet_id) = enqueue.acknowledges {
            // The same call, the same commit: the command is either still the asker's, or in the device's queue.
            session.acknowledge(&mut self.ledger, out, packet_id);
        }
        let target = self.sessions.find(&enqueue.session).and_then(|slot| self.sessions.get_mut(slot));
        let Some(target) = target else {
            let Enqueue { session, message, tag, .. } = enqueue;
            self.ledger.fates.push((by, Fate { tag, session, message, fate: MessageFate::NoSession }));
            return;
        };
        let expires = match enqueue.expires {
            Some(after) => self.ledger.now.instant + after,
            None => Instant::FAR_FUTURE,
        };
        let offer = Offer {
            qos: enqueue.message.qos(),
            message: enqueue.message,
            retain: false,
            expires,
            asked: Some(Box::new(Asked { by, tag: enqueue.tag })),
        };
        target.hold(&mut self.ledger, out, offer);
        target.pump(&mut self.ledger, out);
    }

    /// Fates go to the present link of the session that asked.
    pub(super) fn tell_fates(&mut self, out: &mut Effects) {
        for (asker, fate) in std::mem::take(&mut self.ledger.fates) {
            let link = self.sessions.find(&asker).and_then(|slot| self.sessions.get(slot)?.link);
            match link {
                Some(link) => out.events.push((link, FromBroker::Fate(Box::new(fate)))),
                None => self.ledger.counters.fates_unheard += 1,
            }
        }
    }
}
