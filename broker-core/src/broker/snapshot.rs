//! [`Snapshot`]: the durable state in a form that can be compared and read: what the records must give back.
use super::Broker;
use super::retain::is_own;
use super::session::{Flow, Session};
use crate::link::{Protocol, QueueQos0, SessionName};
use crate::message::{Message, PacketId, QoS, Will};
use crate::record::QueueSeq;
use crate::retained::RetainedCursor;
use std::collections::BTreeMap;

/// The durable state of a broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// Sessions that survive a restart.
    pub sessions: BTreeMap<SessionName, SessionSnapshot>,
    /// Retained messages by topic, with when they were stored (milliseconds since 1970), without the broker's own.
    pub retained: BTreeMap<String, (Message, u64)>,
}

/// A message that waits or is in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldSnapshot {
    /// The message; `None` once PUBREC has come.
    pub message: Option<Message>,
    /// QoS of the delivery.
    pub qos: QoS,
    /// RETAIN of the delivery.
    pub retain: bool,
    /// Packet id once it was sent.
    pub packet_id: Option<PacketId>,
    /// PUBREC has come.
    pub released: bool,
    /// Wall-clock expiry, 0 for none.
    pub expires_unix_ms: u64,
    /// Who asked, and its tag.
    pub asked: Option<(SessionName, u64)>,
}

/// The durable state of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSnapshot {
    /// Its protocol.
    pub protocol: Protocol,
    /// Durable only since its device sleeps.
    pub clean: bool,
    /// When QoS 0 is queued.
    pub queue_qos0: QueueQos0,
    /// Its will outlives the connection.
    pub will_is_session_state: bool,
    /// Asleep for so many milliseconds in all.
    pub asleep_ms: Option<u64>,
    /// Filters and granted QoS.
    pub subscriptions: BTreeMap<String, QoS>,
    /// What waits or is in flight, by its place.
    pub held: BTreeMap<QueueSeq, HeldSnapshot>,
    /// QoS 2 messages that wait for PUBREL; `None`: denied.
    pub received: BTreeMap<PacketId, Option<Message>>,
    /// The stored will.
    pub will: Option<Will>,
    /// The front-end's memo.
    pub memo: Vec<u8>,
}

impl Broker {
    /// The durable state as it is now, fully ordered.
    pub fn snapshot(&self) -> Snapshot {
        let survives = |session: &&Session| {
            session.durable && (!session.clean || matches!(session.flow, Flow::Asleep | Flow::Draining))
        };
        let sessions = self
            .sessions
            .iter()
            .filter(survives)
            .map(|session| (session.name.clone(), self.session_snapshot(session, false)))
            .collect();
        let mut retained = BTreeMap::new();
        self.retained(&mut RetainedCursor::default(), usize::MAX, |message, since_unix_ms| {
            if !is_own(message) {
                retained.insert(message.topic().to_owned(), (message.clone(), since_unix_ms));
            }
        });
        Snapshot { sessions, retained }
    }

    /// What is held for one session, whether it is durable or not: for tests.
    #[cfg(test)]
    pub(super) fn snapshot_of(&self, name: &SessionName) -> SessionSnapshot {
        let slot = self.sessions.find(name).expect("a session of this name");
        self.session_snapshot(self.sessions.get(slot).expect("found"), true)
    }

    fn session_snapshot(&self, session: &Session, all: bool) -> SessionSnapshot {
        let mut held = BTreeMap::new();
        if let Some(outgoing) = &session.outgoing {
            for waiting in outgoing.queue.iter().filter(|waiting| all || waiting.recorded) {
                held.insert(
                    QueueSeq(waiting.seq),
                    HeldSnapshot {
                        message: Some(waiting.message.clone()),
                        qos: waiting.qos,
                        retain: waiting.retain,
                        packet_id: None,
                        released: false,
                        expires_unix_ms: self.ledger.unix_of(waiting.expires),
                        asked: waiting.asked.as_ref().map(|asked| (asked.by.clone(), asked.tag)),
                    },
                );
            }
            for flying in outgoing.flight.iter().filter(|flying| all || flying.recorded) {
                held.insert(
                    QueueSeq(flying.seq),
                    HeldSnapshot {
                        message: flying.message.clone(),
                        qos: flying.qos,
                        retain: flying.retain,
                        packet_id: flying.sent.then_some(flying.packet_id),
                        released: flying.released,
                        expires_unix_ms: self.ledger.unix_of(flying.expires),
                        asked: flying.asked.as_ref().map(|asked| (asked.by.clone(), asked.tag)),
                    },
                );
            }
        }
        let asleep = matches!(session.flow, Flow::Asleep | Flow::Draining);
        SessionSnapshot {
            protocol: session.protocol,
            clean: session.clean,
            queue_qos0: session.queue_qos0,
            will_is_session_state: session.will_is_session_state,
            asleep_ms: asleep.then_some(session.sleep_ms),
            subscriptions: session
                .subscriptions
                .iter()
                .map(|held| (held.filter.as_str().to_owned(), held.qos))
                .collect(),
            held,
            received: session
                .incoming
                .iter()
                .flat_map(|incoming| incoming.iter())
                .filter(|received| !received.routed)
                .map(|received| (received.packet_id, received.message.clone()))
                .collect(),
            will: session.will.as_ref().filter(|_| session.will_is_durable()).map(|held| held.will.clone()),
            memo: session.memo.to_vec(),
        }
    }
}
