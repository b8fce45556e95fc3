//! The states of a client as the gateway sees it, and what each message means in each of them.
//!
//! ```text
//!                     CONNECT(Will=1)                 WILLTOPIC, WILLMSG
//!        ┌───────── Unknown ──────────► Handshake ─────────────────────┐
//!        │             ▲   CONNECT(Will=0)                             ▼
//!        │             │  └──────────────────────────────────────► Connecting ──┐ broker: refused
//!        │   lost, DISCONNECT, taken over                              │        ▼
//!        │             │                        broker: attached,CONNACK    (forgotten)
//!        │             │                                               ▼
//!        │             └───────────────────────────────────────────  Active ◄──────────┐
//!        │                                                             │ DISCONNECT(d) │ CONNECT
//!        │ PINGREQ(id of a sleeper)                                    ▼               │
//!        └───────────────────────────────► Awake ◄───── PINGREQ ──── Asleep ───────────┘
//!                                            └─ all sent: PINGRESP ──► ▲
//! ```
//! *Unknown* is every address and name that has no entry here; a session without a link is parked in the broker.
//! A will handshake on a live session runs beside its state and is no state of its own.

use crate::wire::{Message, Qos};

/// Where a client stands (MQTT-SN §6.14, figure 4, and the steps of §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Asked for its will; there is no session yet.
    Handshake,
    /// The broker was asked to attach it.
    Connecting,
    /// Connected, supervised by its keep-alive.
    Active,
    /// Asleep, supervised by the broker's sleep timer.
    Asleep,
    /// Awake for as long as its messages take.
    Awake,
}

/// The column of the table: a state, or nobody that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// No entry for this address.
    Unknown,
    /// An entry in this state.
    Known(State),
}

impl Column {
    /// Whether a prompt for the will may be answered in this state.
    pub fn listens(self) -> bool {
        match self {
            Column::Known(State::Handshake | State::Active | State::Asleep | State::Awake) => true,
            Column::Unknown | Column::Known(State::Connecting) => false,
        }
    }

    /// Every column, for tests that walk the table.
    pub const ALL: [Column; 6] = [
        Column::Unknown,
        Column::Known(State::Handshake),
        Column::Known(State::Connecting),
        Column::Known(State::Active),
        Column::Known(State::Asleep),
        Column::Known(State::Awake),
    ];
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// It has a meaning here: its own `on_…`.
    Handle,
    /// It has none: counted, no answer.
    Drop,
    /// A stranger's request: DISCONNECT, rate-limited, so that the stranger connects again (§5.4.21).
    Disconnect,
    /// A request in the will handshake: DISCONNECT, and the handshake ends.
    Abort,
}

/// The table: every message in every state, each pair written out.
pub fn rule(column: Column, message: &Message<'_>) -> Rule {
    use Column::{Known, Unknown};
    use Rule::{Abort, Disconnect, Drop, Handle};
    use State::{Active, Asleep, Awake, Connecting, Handshake};
    match message {
        Message::Connect(_) => match column {
            Unknown | Known(Handshake | Connecting | Active | Asleep | Awake) => Handle,
        },
        // Beside a live session these belong to its handshake, which is asked before this table.
        Message::WillTopic(Some(_)) => match column {
            Known(Handshake) => Handle,
            Unknown | Known(Connecting | Active | Asleep | Awake) => Drop,
        },
        // The empty form ends a handshake at once, so its copy comes when the client is active.
        Message::WillTopic(None) | Message::WillMsg(_) => match column {
            Known(Handshake | Active) => Handle,
            Unknown | Known(Connecting | Asleep | Awake) => Drop,
        },
        Message::Register(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::PubRel(_)
        | Message::WillTopicUpd(Some(_)) => match column {
            Unknown => Disconnect,
            Known(Handshake) => Abort,
            Known(Connecting) => Drop,
            Known(Active | Asleep | Awake) => Handle,
        },
        Message::Publish(publish) => match publish.qos {
            Qos::MinusOne => match column {
                Unknown | Known(Handshake | Connecting | Active | Asleep | Awake) => Handle,
            },
            Qos::AtMostOnce | Qos::AtLeastOnce | Qos::ExactlyOnce => match column {
                Unknown => Disconnect,
                Known(Handshake) => Abort,
                Known(Connecting) => Drop,
                Known(Active | Asleep | Awake) => Handle,
            },
        },
        // Two octets are too easily sent to be answered to a stranger.
        Message::WillTopicUpd(None) => match column {
            Unknown | Known(Connecting) => Drop,
            Known(Handshake) => Abort,
            Known(Active | Asleep | Awake) => Handle,
        },
        Message::WillMsgUpd(octets) => match column {
            Unknown if octets.is_empty() => Drop,
            Unknown => Disconnect,
            Known(Handshake) => Abort,
            Known(Connecting) => Drop,
            Known(Active | Asleep | Awake) => Handle,
        },
        Message::PubAck(_) | Message::PubRec(_) | Message::PubComp(_) | Message::RegAck(_) => match column {
            Unknown | Known(Handshake | Connecting) => Drop,
            Known(Active | Asleep | Awake) => Handle,
        },
        Message::PingReq(client_id) => match column {
            Unknown if client_id.is_empty() => Disconnect,
            Known(Handshake) if client_id.is_empty() => Abort,
            Unknown | Known(Handshake | Active | Asleep | Awake) => Handle,
            Known(Connecting) => Drop,
        },
        Message::PingResp => match column {
            Known(Active) => Handle,
            Unknown | Known(Handshake | Connecting | Asleep | Awake) => Drop,
        },
        Message::Disconnect(_) => match column {
            Unknown => Disconnect,
            Known(Handshake) => Abort,
            Known(Connecting | Active | Asleep | Awake) => Handle,
        },
        Message::SearchGw(_) | Message::Advertise(_) | Message::GwInfo(_) => match column {
            Unknown | Known(Handshake | Connecting | Active | Asleep | Awake) => Handle,
        },
        Message::ConnAck(_)
        | Message::WillTopicReq
        | Message::WillMsgReq
        | Message::SubAck(_)
        | Message::UnsubAck(_)
        | Message::WillTopicResp(_)
        | Message::WillMsgResp(_) => match column {
            Unknown | Known(Handshake | Connecting | Active | Asleep | Awake) => Drop,
        },
    }
}

/// What a message says about the CONNECT before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Belongs to the opening of a connection, and may be a copy.
    Opening,
    /// An answer to the gateway, maybe a late one.
    Ack,
    /// Shows that the client takes itself for connected.
    Request,
    /// About gateways, not about connections.
    Discovery,
}

/// The [`Weight`] of each message.
pub fn weight(message: &Message<'_>) -> Weight {
    match message {
        Message::Connect(_) | Message::WillTopic(_) | Message::WillMsg(_) => Weight::Opening,
        Message::PubAck(_)
        | Message::PubRec(_)
        | Message::PubComp(_)
        | Message::RegAck(_)
        | Message::PingResp => Weight::Ack,
        Message::Register(_)
        | Message::Publish(_)
        | Message::PubRel(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::PingReq(_)
        | Message::Disconnect(_)
        | Message::WillTopicUpd(_)
        | Message::WillMsgUpd(_) => Weight::Request,
        Message::Advertise(_) | Message::SearchGw(_) | Message::GwInfo(_) => Weight::Discovery,
        // A gateway's own messages come from no client.
        Message::ConnAck(_)
        | Message::WillTopicReq
        | Message::WillMsgReq
        | Message::SubAck(_)
        | Message::UnsubAck(_)
        | Message::WillTopicResp(_)
        | Message::WillMsgResp(_) => Weight::Opening,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_for_the_will_is_answered_by_whoever_has_an_entry_that_waits_for_nothing() {
        let listening: Vec<Column> = Column::ALL.into_iter().filter(|column| column.listens()).collect();
        let states = [State::Handshake, State::Active, State::Asleep, State::Awake];
        assert_eq!(listening, states.map(Column::Known));
    }
}
