//! From records back to a broker, at start.
//!
//! The records may be cut after any commit. Afterwards: sleepers sleep on, with their full time; whoever was attached
//! is offline from now on, its deliveries to be repeated; a clean session that was awake is gone.
use super::Broker;
use super::inflight::{Flying, Stage};
use super::memo::Memo;
use super::outgoing::Asked;
use super::publish::Received;
use super::queue::Waiting;
use super::session::{Flow, Session, Slot, StoredWill, Subscription};
use crate::limits::Limits;
use crate::link::{Effects, FromBroker, FrontendId, LinkId, Protocol, Restored};
use crate::message::Message;
use crate::record::{Record, SessionId};
use crate::retained::RetainedFull;
use crate::routes::SessionKey;
use crate::time::Now;
use crate::topic::TopicFilter;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slot of the links of `Restored` events.
const RESTORED_SLOT: u32 = u32::MAX;

impl Broker {
    /// The broker that `records` describe. `now` is when timers begin anew.
    pub fn restore(limits: Limits, seed: u64, now: Now, records: impl IntoIterator<Item = Record>) -> Broker {
        let mut broker = Broker::new(limits, seed);
        broker.ledger.now = now;
        let mut slots = BTreeMap::new();
        for record in records {
            broker.replay(&mut slots, record);
        }
        broker.settle();
        broker
    }

    /// What the front-ends and the store are to know after [`Broker::restore`]: `Restored` for every session of a
    /// front-end that keeps memos (not MQTT), and the changes that the restart itself made.
    pub fn restored_events(&self, out: &mut Effects) {
        if self.ledger.recording {
            for session in &self.not_restored {
                out.records.push(Record::SessionEnded { session: *session });
            }
        }
        for session in self.sessions.iter() {
            if self.ledger.recording && session.was_attached {
                let (session, since_unix_ms) = (session.id, session.since_unix_ms);
                out.records.push(Record::Detached { session, since_unix_ms });
            }
            let frontend = match session.protocol {
                Protocol::Mqtt => continue,
                Protocol::MqttSn => FrontendId::MqttSn,
                Protocol::Lwm2m => FrontendId::Lwm2m,
                Protocol::Internal => FrontendId::Internal,
            };
            let asleep = match (session.flow, session.sleep_ms) {
                (Flow::Asleep | Flow::Draining, 0) => Some(Duration::MAX),
                (Flow::Asleep | Flow::Draining, sleep) => Some(Duration::from_millis(sleep)),
                (Flow::Active | Flow::Offline, _) => None,
            };
            let held = session.outgoing.as_ref().map_or(0, |o| o.queue.len() + o.flight.iter().count());
            let link = LinkId { slot: RESTORED_SLOT, generation: 0, frontend, worker: 0 };
            let restored = Restored {
                name: session.name.clone(),
                memo: session.memo_bytes(),
                asleep,
                attached: session.was_attached,
                queued: u32::try_from(held).unwrap_or(u32::MAX),
            };
            out.events.push((link, FromBroker::Restored(Box::new(restored))));
        }
    }

    fn replay(&mut self, slots: &mut BTreeMap<SessionId, Slot>, record: Record) {
        let id = match &record {
            Record::SessionOpened { session, .. }
            | Record::SessionEnded { session }
            | Record::Attached { session }
            | Record::Detached { session, .. }
            | Record::Asleep { session, .. }
            | Record::Awake { session }
            | Record::Subscribed { session, .. }
            | Record::Unsubscribed { session, .. }
            | Record::Queued { session, .. }
            | Record::Sent { session, .. }
            | Record::Released { session, .. }
            | Record::Removed { session, .. }
            | Record::Received { session, .. }
            | Record::ReceivedReleased { session, .. }
            | Record::WillStored { session, .. }
            | Record::MemoAppended { session, .. }
            | Record::MemoReplaced { session, .. } => *session,
            Record::Retained { message, since_unix_ms } => {
                let _: Result<(), RetainedFull> =
                    self.retained.insert(message, *since_unix_ms, self.ledger.now);
                return;
            }
            Record::RetainedRemoved { topic } => {
                self.retained.remove(topic.as_bytes());
                return;
            }
        };
        if let Record::SessionOpened { .. } = &record {
            return self.replay_opened(slots, id, record);
        }
        let Some(slot) = slots.get(&id).copied() else { return };
        if let Record::SessionEnded { .. } = record {
            slots.remove(&id);
            self.forget_session(slot);
        } else if let Some(session) = self.sessions.get_mut(slot) {
            // What a record has no place for is skipped: a store is a file, and files can be wrong.
            let _: Option<()> = session.replay(&mut self.ledger, record);
        }
    }

    fn replay_opened(&mut self, slots: &mut BTreeMap<SessionId, Slot>, id: SessionId, record: Record) {
        let Record::SessionOpened { name, protocol, clean, queue_qos0, will_is_session_state, .. } = record
        else {
            return;
        };
        let slot = match slots.get(&id) {
            Some(slot) => *slot,
            None => {
                if let Some(old) = self.sessions.find(&name) {
                    self.forget_session(old); // one name, one session: the later one counts
                }
                let slot = self.sessions.insert(Session::new(
                    name,
                    id,
                    protocol,
                    self.first_packet_id(protocol, id),
                ));
                slots.insert(id, slot);
                self.next_session = self.next_session.max(id.0.saturating_add(1));
                slot
            }
        };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.protocol = protocol;
        session.clean = clean;
        session.durable = true;
        session.queue_qos0 = queue_qos0;
        session.will_is_session_state = will_is_session_state;
    }

    /// Takes a session out without a record or a count.
    fn forget_session(&mut self, slot: Slot) {
        let Some(mut session) = self.sessions.remove(slot) else { return };
        if let Some(incoming) = &mut session.incoming {
            incoming.drop_all(&mut self.ledger);
        }
        let Some(outgoing) = &mut session.outgoing else { return };
        while let Some(waiting) = outgoing.queue.pop() {
            self.ledger.let_go(waiting.message.cost());
        }
        for message in outgoing.flight.take_all().filter_map(|flying| flying.message) {
            self.ledger.let_go(message.cost());
        }
    }

    /// All records are read: sessions take up the state that a restart leaves them in.
    fn settle(&mut self) {
        let mut offline = Vec::new();
        for slot in self.sessions.slots() {
            let Some(session) = self.sessions.get_mut(slot) else { continue };
            if session.flow == Flow::Active && session.clean {
                self.not_restored.push(session.id);
                self.forget_session(slot);
                continue;
            }
            match session.flow {
                Flow::Active => {
                    session.was_attached = true;
                    session.flow = Flow::Offline;
                    session.since_unix_ms = self.ledger.now.unix_ms;
                }
                Flow::Asleep | Flow::Draining => session.start_sleep_timer(&mut self.ledger),
                Flow::Offline => {}
            }
            // The will of an MQTT connection ended with the connection; one of the session waits for its next one.
            if session.flow == Flow::Offline {
                if session.will_is_session_state {
                    if let Some(will) = &mut session.will {
                        will.armed = false;
                    }
                } else {
                    session.will = None;
                }
                offline.push((session.since_unix_ms, slot));
            }
            session.arm(self.ledger.now.instant, &mut self.ledger.timers); // messages that expire
            for held in &session.subscriptions {
                self.routes.subscribe(held.filter.as_filter(), SessionKey(slot), held.qos);
            }
        }
        offline.sort_unstable();
        for (_, slot) in offline {
            self.restore_offline(slot);
        }
    }
}

impl Session {
    fn replay(&mut self, ledger: &mut super::ledger::Ledger, record: Record) -> Option<()> {
        match record {
            Record::Attached { .. } | Record::Awake { .. } => self.flow = Flow::Active,
            Record::Detached { since_unix_ms, .. } => {
                self.flow = Flow::Offline;
                self.since_unix_ms = since_unix_ms;
            }
            Record::Asleep { duration_ms, .. } => {
                self.flow = Flow::Asleep;
                self.sleep_ms = duration_ms;
            }
            Record::Subscribed { filter, qos, .. } => {
                let filter = TopicFilter::new(&filter).ok()?;
                match self.find_subscription(filter.as_str()) {
                    Ok(at) => self.subscriptions.get_mut(at)?.qos = qos,
                    Err(at) => self.subscriptions.insert(at, Subscription { filter, qos }),
                }
            }
            Record::Unsubscribed { filter, .. } => {
                let at = self.find_subscription(&filter).ok()?;
                self.subscriptions.remove(at);
            }
            Record::Queued { seq, message, qos, retain, expires_unix_ms, asked, .. } => {
                ledger.hold(message.cost());
                let expires = ledger.instant_of(expires_unix_ms);
                ledger.seq_is_taken(seq.0);
                let outgoing = self.outgoing_mut(ledger);
                outgoing.first_expiry = outgoing.first_expiry.min(expires);
                let asked = asked.map(|(by, tag)| Box::new(Asked { by, tag }));
                let seq = seq.0;
                outgoing.queue.insert(Waiting { seq, message, expires, asked, qos, retain, recorded: true });
            }
            Record::Sent { seq, packet_id, .. } => {
                let outgoing = self.outgoing.as_mut()?;
                let waiting = outgoing.queue.remove(seq.0)?;
                self.packet_ids.continue_after(packet_id);
                outgoing.flight.restore(Flying {
                    seq: waiting.seq,
                    message: Some(waiting.message),
                    expires: waiting.expires,
                    asked: waiting.asked,
                    release: 0,
                    packet_id,
                    qos: waiting.qos,
                    retain: waiting.retain,
                    recorded: true,
                    released: false,
                    sent: true,
                    stage: Stage::Idle,
                    rounds: 0,
                });
            }
            Record::Released { seq, .. } => {
                if let Some(message) = self.outgoing.as_mut()?.flight.restore_release(seq.0) {
                    ledger.let_go(message.cost());
                }
            }
            Record::Removed { seq, .. } => {
                let outgoing = self.outgoing.as_mut()?;
                let message = match outgoing.queue.remove(seq.0) {
                    Some(waiting) => Some(waiting.message),
                    None => outgoing.flight.remove_seq(seq.0)?.message,
                };
                ledger.let_go(message.as_ref().map(Message::cost)?);
            }
            Record::Received { packet_id, message, .. } => {
                let incoming = self.incoming.get_or_insert_with(Default::default);
                incoming.remove(ledger, packet_id);
                incoming.insert(ledger, Received::stored(packet_id, message));
            }
            Record::ReceivedReleased { packet_id, .. } => {
                self.incoming.as_mut()?.remove(ledger, packet_id);
            }
            Record::WillStored { will, .. } => {
                self.will = will.map(|will| Box::new(StoredWill { will, armed: true }));
            }
            Record::MemoAppended { bytes, .. } => {
                self.memo.append(&bytes);
            }
            Record::MemoReplaced { bytes, .. } => self.memo = Memo::new(&bytes),
            Record::SessionOpened { .. }
            | Record::SessionEnded { .. }
            | Record::Retained { .. }
            | Record::RetainedRemoved { .. } => {}
        }
        Some(())
    }
}
