//! [`Record`]: one durable change. What must survive a crash is a record before its acknowledgement leaves.
//!
//! Replaying the records of a broker, in order and cut after any whole commit, into a fresh broker gives back
//! everything that was acknowledged until then.
use crate::link::{Protocol, QueueQos0, SessionName};
use crate::message::{Message, PacketId, QoS, Will};
use bytes::Bytes;

/// Number of a stored session, never used twice in a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// Place of a message in its session's queue: rises with every message queued, never used twice in a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueSeq(pub u64);

/// One durable change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A session that outlives its link begins (or a clean one becomes durable because its device sleeps).
    SessionOpened {
        /// Its number.
        session: SessionId,
        /// Whose it is.
        name: SessionName,
        /// The front-end that owns its memo.
        protocol: Protocol,
        /// A clean session that is durable only while its device sleeps.
        clean: bool,
        /// When QoS 0 is queued.
        queue_qos0: QueueQos0,
        /// The will outlives the connection (MQTT-SN).
        will_is_session_state: bool,
    },
    /// A session is gone with all that belongs to it.
    SessionEnded {
        /// Which.
        session: SessionId,
    },
    /// A link attached: the session is not offline. Timers of an offline session stop.
    Attached {
        /// Which.
        session: SessionId,
    },
    /// The link is gone; the session expiry counts from here.
    Detached {
        /// Which.
        session: SessionId,
        /// Milliseconds since 1970.
        since_unix_ms: u64,
    },
    /// The device sleeps; the will is due when `duration_ms` are over (anew in full after a restart). 0: no limit.
    Asleep {
        /// Which.
        session: SessionId,
        /// Milliseconds.
        duration_ms: u64,
    },
    /// The device is awake on a link.
    Awake {
        /// Which.
        session: SessionId,
    },
    /// A subscription was made or changed. The filter is as the client wrote it (with `$share/…`).
    Subscribed {
        /// Which.
        session: SessionId,
        /// Filter text.
        filter: Box<str>,
        /// Granted.
        qos: QoS,
    },
    /// A subscription is gone.
    Unsubscribed {
        /// Which.
        session: SessionId,
        /// Filter text.
        filter: Box<str>,
    },
    /// A message waits for this session.
    Queued {
        /// Which.
        session: SessionId,
        /// Its place.
        seq: QueueSeq,
        /// The message.
        message: Message,
        /// QoS of the delivery.
        qos: QoS,
        /// RETAIN of the delivery.
        retain: bool,
        /// Wall-clock expiry in milliseconds since 1970; 0 for none.
        expires_unix_ms: u64,
        /// Who asked by Enqueue: the asker's session and tag.
        asked: Option<(SessionName, u64)>,
    },
    /// A queued QoS 1/2 message was sent with this id.
    Sent {
        /// Which.
        session: SessionId,
        /// Its place.
        seq: QueueSeq,
        /// Its packet id.
        packet_id: PacketId,
    },
    /// PUBREC has come: from now on only PUBREL is sent.
    Released {
        /// Which.
        session: SessionId,
        /// Its place.
        seq: QueueSeq,
    },
    /// A message left the queue: delivered, dropped or expired.
    Removed {
        /// Which.
        session: SessionId,
        /// Its place.
        seq: QueueSeq,
    },
    /// A QoS 2 message of this client is stored, not yet routed.
    Received {
        /// Which.
        session: SessionId,
        /// The client's packet id.
        packet_id: PacketId,
        /// The message; `None` when the ACL denied it (acknowledged, never routed).
        message: Option<Message>,
    },
    /// PUBREL has come: the stored message was routed and its id is free.
    ReceivedReleased {
        /// Which.
        session: SessionId,
        /// The client's packet id.
        packet_id: PacketId,
    },
    /// A retained message replaces the one of its topic.
    Retained {
        /// The message.
        message: Message,
        /// When it was stored, milliseconds since 1970.
        since_unix_ms: u64,
    },
    /// The retained message of this topic is gone.
    RetainedRemoved {
        /// Its topic.
        topic: Box<str>,
    },
    /// The stored will of a session.
    WillStored {
        /// Which.
        session: SessionId,
        /// The will, or none.
        will: Option<Will>,
    },
    /// Bytes added to a session's memo.
    MemoAppended {
        /// Which.
        session: SessionId,
        /// The bytes.
        bytes: Bytes,
    },
    /// The whole memo of a session.
    MemoReplaced {
        /// Which.
        session: SessionId,
        /// The bytes.
        bytes: Bytes,
    },
}
