//! Looking at the broker: numbers, and lists of sessions, subscriptions and retained messages, read lazily so that
//! the caller bounds them by taking no more than it wants.
use super::Broker;
use super::session::{Flow, Session};
use crate::link::{LinkId, Protocol, SessionName};
use crate::message::{Message, QoS};
use crate::retained::RetainedCursor;
use std::net::SocketAddr;

/// What a session's device is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkStatus {
    /// Attached and awake.
    Active,
    /// Asleep, or collecting its messages.
    Asleep,
    /// Gone.
    Offline,
}

/// One session, for lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Whose.
    pub name: SessionName,
    /// Where the list goes on after this one: see [`Broker::sessions`].
    pub place: u32,
    /// Its protocol.
    pub protocol: Protocol,
    /// What its device is doing.
    pub status: LinkStatus,
    /// Its present link.
    pub link: Option<LinkId>,
    /// Address of its last link.
    pub remote: Option<SocketAddr>,
    /// User name of its last link.
    pub username: Option<String>,
    /// Identity that the transport of its last link has proven.
    pub proven: Option<String>,
    /// Ends with its link.
    pub clean: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// Attached or offline since, milliseconds since 1970.
    pub since_unix_ms: u64,
    /// How many subscriptions.
    pub subscriptions: usize,
    /// Messages that wait.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// QoS 1/2 deliveries that wait for an acknowledgement.
    pub in_flight: usize,
    /// QoS 2 messages that wait for their PUBREL.
    pub unreleased: usize,
    /// A will is stored.
    pub has_will: bool,
    /// Bytes of the memo.
    pub memo_bytes: usize,
}

/// The broker in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BrokerStatus {
    /// Sessions.
    pub sessions: usize,
    /// Sessions with a link, sleepers included.
    pub attached: usize,
    /// Sessions without a link.
    pub disconnected: usize,
    /// Subscriptions, shared ones included.
    pub subscriptions: usize,
    /// Shared subscriptions.
    pub shared_subscriptions: usize,
    /// Retained messages, the broker's own among them.
    pub retained: usize,
    /// Their bytes.
    pub retained_bytes: usize,
    /// Messages that wait or are in flight, counted for each session.
    pub held_messages: usize,
    /// Their bytes.
    pub held_bytes: usize,
}

impl SessionView {
    fn of(session: &Session) -> SessionView {
        let outgoing = session.outgoing.as_deref();
        SessionView {
            name: session.name.clone(),
            place: session.slot + 1,
            protocol: session.protocol,
            status: match session.flow {
                Flow::Active => LinkStatus::Active,
                Flow::Asleep | Flow::Draining => LinkStatus::Asleep,
                Flow::Offline => LinkStatus::Offline,
            },
            link: session.link,
            remote: session.remote.address(),
            username: session.username().map(str::to_owned),
            proven: session
                .identity
                .as_ref()
                .and_then(|identity| Some(identity.proven.as_ref()?.to_string())),
            clean: session.clean,
            keep_alive: session.keep_alive,
            since_unix_ms: session.since_unix_ms,
            subscriptions: session.subscriptions.len(),
            queued: outgoing.map_or(0, |outgoing| outgoing.waiting()),
            queued_bytes: outgoing.map_or(0, |outgoing| outgoing.waiting_bytes()),
            in_flight: usize::from(session.in_flight),
            unreleased: session.incoming.as_ref().map_or(0, |incoming| incoming.len()),
            has_will: session.will.is_some(),
            memo_bytes: session.memo.len(),
        }
    }
}

impl Broker {
    /// The broker in numbers.
    pub fn status(&self) -> BrokerStatus {
        BrokerStatus {
            sessions: self.sessions.len(),
            attached: self.attached,
            disconnected: self.sessions.len() - self.attached - self.attached_own,
            subscriptions: self.routes.len(),
            shared_subscriptions: self.routes.shared_len(),
            retained: self.retained.len(),
            retained_bytes: self.retained.bytes(),
            held_messages: self.ledger.held_messages,
            held_bytes: self.ledger.held_bytes,
        }
    }

    /// Sessions from `place` on (0, then [`SessionView::place`] of the last one seen), in a stable order.
    pub fn sessions(&self, place: u32) -> impl Iterator<Item = SessionView> {
        self.sessions.iter_from(place).map(SessionView::of)
    }

    /// One session by its name.
    pub fn session(&self, name: &SessionName) -> Option<SessionView> {
        Some(SessionView::of(self.sessions.get(self.sessions.find(name)?)?))
    }

    /// Subscriptions of the sessions from `place` on: name, filter, granted QoS.
    pub fn subscriptions(&self, place: u32) -> impl Iterator<Item = (&SessionName, &str, QoS)> {
        self.sessions.iter_from(place).flat_map(|session| {
            session.subscriptions.iter().map(|held| (&session.name, held.filter.as_str(), held.qos))
        })
    }

    /// Calls `visit` with the retained messages from `cursor` on, at most `budget` of them, and with when each was
    /// stored (milliseconds since 1970). True when all were seen.
    pub fn retained(
        &self,
        cursor: &mut RetainedCursor,
        budget: usize,
        mut visit: impl FnMut(&Message, u64),
    ) -> bool {
        self.retained.list(cursor, budget, |kept| visit(&kept.message, kept.since_unix_ms))
    }
}
