//! Wills: kept with the session, published when the client is lost ([MQTT-3.1.2-8]), never after a DISCONNECT
//! ([MQTT-3.14.4-3]).
//!
//! An MQTT will belongs to the connection: published or not, it is gone with it. An MQTT-SN will belongs to the
//! session (MQTT-SN §6.3): it is *armed* while the device is there, and only disarmed by its end.
use super::Broker;
use super::ledger::Ledger;
use super::route::{Answer, Publication};
use super::session::{Session, Slot, StoredWill};
use crate::link::{Effects, FromBroker, LinkId, WillUpdate};
use crate::message::{Message, Will};
use crate::record::Record;

impl Session {
    /// Stores or deletes the will, with its record.
    pub(super) fn set_will(&mut self, ledger: &Ledger, out: &mut Effects, will: Option<Will>) {
        let unchanged = match (&self.will, &will) {
            (Some(held), Some(new)) => held.will == *new,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.will = will.map(|will| Box::new(StoredWill { will, armed: true }));
        if !unchanged {
            self.record_will(ledger, out);
        }
    }

    /// Records the will as it is, if it is durable.
    pub(super) fn record_will(&self, ledger: &Ledger, out: &mut Effects) {
        if ledger.recording && self.will_is_durable() {
            let will = self.will.as_ref().map(|held| held.will.clone());
            out.records.push(Record::WillStored { session: self.id, will });
        }
    }

    /// A stored will goes out again when this attachment is lost.
    pub(super) fn arm_will(&mut self) {
        if let Some(will) = &mut self.will {
            will.armed = true;
        }
    }

    /// The attachment ends: the will that goes out if it ended badly. Afterwards the will is disarmed, or gone.
    pub(super) fn end_will(&mut self, ledger: &Ledger, out: &mut Effects) -> Option<Message> {
        if self.will_is_session_state {
            let held = self.will.as_mut().filter(|held| held.armed)?;
            held.armed = false;
            return Some(held.will.message.clone());
        }
        let recorded = ledger.recording && self.will_is_durable();
        let held = self.will.take()?;
        if recorded {
            out.records.push(Record::WillStored { session: self.id, will: None });
        }
        held.armed.then_some(held.will.message)
    }
}

impl Broker {
    /// What the ACL says of this session's will. To be asked before the session is gone.
    pub(super) fn allowed_will(&mut self, slot: Slot, will: Option<Message>) -> Option<Message> {
        let will = will?;
        let session = self.sessions.get(slot)?;
        if self.ledger.acl.may_publish(&session.name, session.username(), will.topic_bytes()).is_ok() {
            return Some(will);
        }
        self.ledger.count_denied(); // hostile M25, N14: a will is a publish like any other
        None
    }

    pub(super) fn publish_will(&mut self, will: Option<Message>, out: &mut Effects) {
        let Some(message) = will else { return };
        self.ledger.counters.wills_published += 1;
        self.ledger.counters.publish_received.add(message.qos());
        self.ledger.counters.publish_bytes_received += message.payload().len() as u64;
        self.submit(Publication { message, answer: Answer::None }, out);
    }

    pub(super) fn on_will(&mut self, slot: Slot, link: LinkId, update: WillUpdate, out: &mut Effects) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let held = session.will.as_ref().map(|held| &held.will.message);
        let will = match update {
            WillUpdate::Replace(will) => Some(will),
            WillUpdate::Topic { topic, qos, retain } => {
                let payload = held.map_or(&[][..], Message::payload);
                Some(Will { message: Message::new(&topic, payload, qos, retain) })
            }
            WillUpdate::Payload(payload) => match held {
                Some(held) => {
                    Some(Will { message: Message::new(held.topic(), &payload, held.qos(), held.retain()) })
                }
                None => {
                    out.events.push((link, FromBroker::WillUpdated { accepted: false }));
                    return;
                }
            },
            WillUpdate::Delete => None,
        };
        let accepted =
            will.as_ref().is_none_or(|will| will.message.cost() <= self.ledger.limits.will_bytes_max);
        if accepted {
            session.set_will(&self.ledger, out, will);
        }
        out.events.push((link, FromBroker::WillUpdated { accepted }));
    }
}
