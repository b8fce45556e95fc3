//! The link: what a front-end and the broker say to each other about one device or client.
//!
//! A link speaks MQTT's control packets without the wire, plus the verbs that sleeping, slow and roaming devices
//! need. Requests go to [`crate::Broker::handle`]; events come back in [`Effects`]. Packet ids of deliveries are
//! the broker's. Nothing here knows a socket.
//!
//! ```text
//! front-end                                broker
//!   Connect ───────────────────────────────► attach session, take over an older link (it hears Closed)
//!           ◄─────────────────────────────── Connack (session_present, memo) | Refused
//!   Publish QoS1 ──────────────────────────► route, Record
//!           ◄─────────────────────────────── Puback
//!           ◄─────────────────────────────── Publish (packet_id)       needs byte credit, QoS 1/2 a window slot
//!   Puback  ───────────────────────────────► slot free, next delivery
//!   Credit(bytes) ─────────────────────────► what was sent is off the front-end's hands
//! ```
use crate::frontend::ListenerId;
use crate::message::{Message, PacketId, QoS, Will};
use crate::record::Record;
use crate::time::Now;
use crate::topic::{TopicError, TopicFilter};
use bytes::Bytes;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Which front-end of a worker owns a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum FrontendId {
    /// MQTT over a byte stream.
    Mqtt = 0,
    /// MQTT-SN.
    MqttSn = 1,
    /// LwM2M.
    Lwm2m = 2,
    /// The gateway's own: bridge, API, command line.
    Internal = 3,
}

/// Names one attachment of one front-end to the broker. Chosen by the caller; the generation makes a stale id
/// harmless: the broker drops what comes on a link that it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    /// The caller's own slab slot.
    pub slot: u32,
    /// Rises each time the slot is used again.
    pub generation: u16,
    /// The front-end within the worker.
    pub frontend: FrontendId,
    /// The worker thread.
    pub worker: u8,
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}.{}@{}", self.frontend, self.slot, self.generation, self.worker)
    }
}

/// Identity of a session: never an address. The enum keeps the name spaces apart, so that no MQTT client can take
/// an LwM2M endpoint by its name. MQTT and MQTT-SN clients share one space: a ClientId is one client.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionName {
    /// An MQTT or MQTT-SN client, by ClientId.
    Client(Arc<str>),
    /// An LwM2M endpoint, by endpoint client name.
    Endpoint(Arc<str>),
    /// A service of the gateway itself (command topics of LwM2M, the bridge).
    Service(Arc<str>),
}

impl SessionName {
    /// A session of the gateway itself: a service, or a name with U+0000 in front, which no client can have. Own
    /// sessions are judged like others but not counted as clients.
    pub fn is_own(&self) -> bool {
        match self {
            SessionName::Client(name) => name.starts_with('\0'),
            SessionName::Endpoint(_) => false,
            SessionName::Service(_) => true,
        }
    }

    /// The bare name without its kind.
    pub fn as_str(&self) -> &str {
        match self {
            SessionName::Client(name) | SessionName::Endpoint(name) | SessionName::Service(name) => name,
        }
    }
}

impl fmt::Debug for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionName::Client(name) => write!(f, "client {name:?}"),
            SessionName::Endpoint(name) => write!(f, "endpoint {name:?}"),
            SessionName::Service(name) => write!(f, "service {name:?}"),
        }
    }
}

/// The protocol that a session's device speaks; decides which front-end hears `Restored` and what lists show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Protocol {
    /// MQTT 3.1.1 (level 4) or 3.1 (level 3).
    Mqtt,
    /// MQTT-SN 1.2.
    MqttSn,
    /// LwM2M.
    Lwm2m,
    /// A service of the gateway.
    Internal,
}

/// What Connect says of the will.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectWill {
    /// Replace the stored will by this one.
    Set(Will),
    /// No will; a stored one is deleted.
    None,
    /// Keep the stored will and arm it again (MQTT-SN: CleanSession 0, Will 0).
    KeepStored,
}

/// What happens to the will of a session that another link takes over while it is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakeoverWill {
    /// Published: the old connection ended without DISCONNECT (MQTT).
    Publish,
    /// Published only when the newcomer starts clean (MQTT-SN: with Clean=0 the session goes on).
    PublishIfClean,
    /// Never (the front-end knows that it is the same device: a copy of its CONNECT).
    Keep,
}

/// Who is at the other end, for authentication, ACL and lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// User name, if one was given.
    pub username: Option<Arc<str>>,
    /// Password bytes; never printed.
    pub password: Option<Secret>,
    /// Identity that the transport has proven (PSK identity, certificate name).
    pub proven: Option<Arc<str>>,
    /// Remote address, where there is one.
    pub remote: Option<SocketAddr>,
}

/// Bytes that never show in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// When QoS 0 messages are kept for a session that is not awake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueQos0 {
    /// While its device sleeps, and so will come for them.
    pub asleep: bool,
    /// While it has no link.
    pub offline: bool,
}

impl QueueQos0 {
    /// They are dropped.
    pub const NEVER: QueueQos0 = QueueQos0 { asleep: false, offline: false };
    /// They are kept.
    pub const ALWAYS: QueueQos0 = QueueQos0 { asleep: true, offline: true };
}

/// Attach to a session, making it if needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    /// Whose session.
    pub name: SessionName,
    /// Protocol of the front-end.
    pub protocol: Protocol,
    /// Start clean, and end with the link (MQTT CleanSession, MQTT-SN CleanSession).
    pub clean: bool,
    /// The will.
    pub will: ConnectWill,
    /// The will belongs to the session (MQTT-SN §6.3), not to this connection (MQTT): a clean DISCONNECT then keeps
    /// it unarmed, and publishing it does not delete it.
    pub will_is_session_state: bool,
    /// What a takeover of an attached session does with the old will.
    pub takeover_will: TakeoverWill,
    /// QoS 1/2 deliveries that may be unacknowledged at a time (MQTT: inflight limit, MQTT-SN: 1).
    pub window: u16,
    /// First byte credit, see [`ToBroker::Credit`].
    pub credit: u32,
    /// When QoS 0 messages are kept for it.
    pub queue_qos0: QueueQos0,
    /// Who is asking.
    pub credentials: Credentials,
    /// Keep-alive in seconds as the client gave it, for lists only: the front-end supervises it.
    pub keep_alive: u16,
}

/// Attach to a sleeping session without a CONNECT (MQTT-SN PINGREQ with ClientId from a new place). Refused with
/// [`RefuseReason::NoSession`] when there is no such sleeping session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Whose session.
    pub name: SessionName,
    /// As in [`Connect::window`].
    pub window: u16,
    /// As in [`Connect::credit`].
    pub credit: u32,
    /// Who is asking.
    pub credentials: Credentials,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscribeFilter {
    /// The filter, or why it is none (answered with a refusal in its place).
    pub filter: Result<TopicFilter, TopicError>,
    /// Requested QoS.
    pub qos: QoS,
}

/// How a link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The client said DISCONNECT: no will.
    Clean,
    /// Lost, timed out, or broke the protocol: the will goes out.
    Abnormal,
}

/// A change of the stored will (MQTT-SN WILLTOPICUPD, WILLMSGUPD).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WillUpdate {
    /// Replace it whole.
    Replace(Will),
    /// New topic, QoS and RETAIN; the payload stays (empty when there was no will).
    Topic {
        /// A valid topic name.
        topic: Box<str>,
        /// QoS of the will.
        qos: QoS,
        /// RETAIN of the will.
        retain: bool,
    },
    /// New payload; refused when there is no will.
    Payload(Bytes),
    /// Delete topic and payload.
    Delete,
}

/// A change of the session's memo: the front-end's private, durable part of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemoUpdate {
    /// Add these bytes at the end.
    Append(Bytes),
    /// These bytes are the whole memo from now on.
    Replace(Bytes),
}

/// Put a message into a named session's queue, whoever owns its link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enqueue {
    /// Whose queue.
    pub session: SessionName,
    /// The message; delivered at its own QoS.
    pub message: Message,
    /// Dropped with [`MessageFate::Expired`] when this much time has passed before its delivery.
    pub expires: Option<Duration>,
    /// Comes back with the fate.
    pub tag: u64,
    /// A delivery to the *asking* link that is acknowledged in the same commit, so that a crash neither loses the
    /// command nor runs it twice.
    pub acknowledges: Option<PacketId>,
}

/// From a front-end to the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToBroker {
    /// Attach.
    Connect(Box<Connect>),
    /// Attach to a sleeping session.
    Resume(Box<Resume>),
    /// The answer to [`Ask::Authenticate`].
    Authenticated(Result<(), RefuseReason>),
    /// A message of this client. `packet_id` is present for QoS 1 and 2.
    Publish {
        /// Packet id of QoS 1/2.
        packet_id: Option<PacketId>,
        /// The DUP flag, informative.
        dup: bool,
        /// The message; its QoS is the publish's QoS.
        message: Message,
    },
    /// Acknowledges a QoS 1 delivery.
    Puback(PacketId),
    /// First answer to a QoS 2 delivery.
    Pubrec(PacketId),
    /// The client releases its QoS 2 message.
    Pubrel(PacketId),
    /// Ends a QoS 2 delivery.
    Pubcomp(PacketId),
    /// The device refuses this delivery for good (MQTT-SN PUBACK rc 3): removed and counted.
    Reject(PacketId),
    /// Given up after the last retry: keeps its place and state, leaves the window, is tried again at the next
    /// attach or Drain.
    Park(PacketId),
    /// This delivery has not left the front-end. Said before Park, Pause or Disconnect, it is no repetition when it is
    /// tried again, and has no DUP ([MQTT-3.3.1-1]).
    Unsent(PacketId),
    /// Subscribe; answered by one Suback, then retained messages.
    Subscribe {
        /// Id that comes back with Suback. The caller's own number space (MQTT-SN allows 0).
        packet_id: u16,
        /// In order.
        filters: Vec<SubscribeFilter>,
    },
    /// Unsubscribe; answered by one Unsuback.
    Unsubscribe {
        /// Id that comes back with Unsuback.
        packet_id: u16,
        /// In order.
        filters: Vec<TopicFilter>,
    },
    /// The link ends. Nothing comes back.
    Disconnect(Ending),
    /// `bytes` of earlier deliveries have left the front-end. A delivery of any QoS is made only while the link's
    /// byte credit is above zero, and then takes [`Message::cost`] + [`DELIVERY_OVERHEAD`] from it (possibly below
    /// zero: one message of any size passes). QoS 1/2 also needs a slot of the window. A QoS 0 message may
    /// overtake QoS 1/2 ones that lack a slot, never the reverse.
    Credit {
        /// Bytes returned.
        bytes: u32,
    },
    /// The device sleeps for `duration` (`None`: until it comes back): nothing is delivered. When the time is
    /// over, the broker publishes the will and ends the link (event Closed, [`CloseReason::SleepExpired`]), also when
    /// the front-end is gone. A sleeper's session is durable until then, whatever its clean flag.
    Pause {
        /// Until the will goes out. The front-end adds its tolerance.
        duration: Option<Duration>,
    },
    /// A sleeper is awake: deliver what waits now (at most `max` messages), then pause again and say Drained.
    Drain {
        /// Bound of this burst.
        max: u32,
    },
    /// The device is active again on its link (after Pause): deliver as usual. No answer.
    Wake,
    /// Another CleanSession than that of Connect holds from now on: whether the session ends with its link. What it
    /// has stays.
    Clean(bool),
    /// Change the stored will; answered by WillUpdated.
    Will(WillUpdate),
    /// Change the memo; answered by MemoStored once it is in a commit.
    Memo {
        /// The change.
        update: MemoUpdate,
        /// Comes back.
        tag: u64,
    },
    /// Put a message into a named session; answered by Fate.
    Enqueue(Box<Enqueue>),
}

/// Bytes that every delivery costs beside topic and payload: headers and bookkeeping.
pub const DELIVERY_OVERHEAD: usize = 16;

/// How the broker took a Publish; an MQTT 3.1.1 front-end acknowledges all but `Quota`, MQTT-SN has return codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublishOutcome {
    /// Routed (QoS 0/1), or stored (QoS 2).
    Accepted,
    /// Denied by the ACL: acknowledged but not forwarded.
    Denied,
    /// Too many unreleased QoS 2 messages, or over the session's byte limit.
    Quota,
}

/// Why an attach was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefuseReason {
    /// User name or password wrong (CONNACK 4).
    BadCredentials,
    /// Not allowed, or the name is not bound to this identity (CONNACK 5).
    NotAuthorized,
    /// Name not acceptable (CONNACK 2).
    IdentifierRejected,
    /// A limit is reached (CONNACK 3).
    Busy,
    /// Resume found no sleeping session.
    NoSession,
}

/// Why the broker ended a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CloseReason {
    /// Another link attached to the same session.
    TakenOver,
    /// The sleep duration is over; the will was published.
    SleepExpired,
    /// Removed by an administrator, or its permission ended.
    Kicked,
    /// The gateway stops.
    Shutdown,
    /// The link broke the contract (a request before Connect, say): a fault of the front-end or a hostile peer.
    Protocol,
}

/// A message on its way to a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The message, with the publisher's own QoS and RETAIN flag.
    pub message: Message,
    /// `Some` for QoS 1 and 2 deliveries.
    pub packet_id: Option<PacketId>,
    /// QoS of this delivery: the lower of the publish's and the granted one.
    pub qos: QoS,
    /// Sent before on this session.
    pub dup: bool,
    /// RETAIN of this delivery: set only when it answers a new subscription ([MQTT-3.3.1-8], [MQTT-3.3.1-9]).
    pub retain: bool,
    /// Wall-clock deadline of an Enqueue with expiry, milliseconds since 1970; 0 for none.
    pub expires_unix_ms: u64,
}

/// End of a message that was put into a session by Enqueue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageFate {
    /// Acknowledged by the device (QoS 1/2) or handed to it (QoS 0).
    Delivered,
    /// Its time was over before delivery.
    Expired,
    /// Dropped: queue full, rejected by the device, or its session ended.
    Dropped(DropReason),
    /// There is no such session.
    NoSession,
}

/// Why a message was dropped; each has a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// The session's queue is full.
    QueueFull,
    /// Larger than the session's queue may hold at all.
    TooLarge,
    /// The ACL forbids it.
    Denied,
    /// Expired in a queue.
    Expired,
    /// Nobody subscribes to the topic.
    NoSubscriber,
    /// QoS 0 for a session that is offline and keeps none.
    Offline,
    /// Rejected by the device.
    Rejected,
    /// Given up too many times.
    GivenUp,
    /// The session ended while it waited.
    SessionEnded,
    /// The retained store is full.
    RetainedFull,
    /// The global cap of queued bytes is reached.
    Memory,
}

/// The fate of an enqueued message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate {
    /// Tag of the Enqueue.
    pub tag: u64,
    /// Session it was meant for.
    pub session: SessionName,
    /// The message itself.
    pub message: Message,
    /// What became of it.
    pub fate: MessageFate,
}

/// A stored session, told to its front-end at start. MQTT sessions are not told: their front-end keeps nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Whose session.
    pub name: SessionName,
    /// The front-end's memo.
    pub memo: Bytes,
    /// Asleep for this much longer (timers start anew in full after a restart); `None` when it is not asleep.
    pub asleep: Option<Duration>,
    /// It had a link when the broker stopped: a front-end that knows where its device is may attach it again and
    /// supervise its keep-alive anew.
    pub attached: bool,
    /// Messages that wait for it.
    pub queued: u32,
}

/// From the broker to a front-end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromBroker {
    /// Attached.
    Connack {
        /// The session existed before.
        session_present: bool,
        /// The front-end's memo; empty for a new session.
        memo: Bytes,
        /// A will is stored and armed.
        has_will: bool,
    },
    /// Not attached; the link is gone.
    Refused(RefuseReason),
    /// A message for the device.
    Publish(Delivery),
    /// Answer to a QoS 1 Publish.
    Puback {
        /// Id of the Publish.
        packet_id: PacketId,
        /// How it was taken.
        outcome: PublishOutcome,
    },
    /// Answer to a QoS 2 Publish.
    Pubrec {
        /// Id of the Publish.
        packet_id: PacketId,
        /// How it was taken.
        outcome: PublishOutcome,
    },
    /// A QoS 0 Publish was not taken (there is no ack to carry it): MQTT-SN tells its client with PUBACK rc 3.
    PublishRefused {
        /// Denied or Quota.
        outcome: PublishOutcome,
    },
    /// The broker releases a QoS 2 delivery (also again after a reconnect).
    Pubrel(PacketId),
    /// Ends a QoS 2 Publish.
    Pubcomp(PacketId),
    /// Answer to Subscribe: one entry a filter.
    Suback {
        /// Id of the request.
        packet_id: u16,
        /// Granted QoS, or `None`: refused (0x80).
        granted: Vec<Option<QoS>>,
    },
    /// Answer to Unsubscribe.
    Unsuback {
        /// Id of the request.
        packet_id: u16,
    },
    /// The burst of a Drain is over: all delivered, dropped or expired and nothing in flight, or a message was
    /// parked. The session is paused again.
    Drained,
    /// Answer to Will.
    WillUpdated {
        /// False: there was no will to change, or it is too large.
        accepted: bool,
    },
    /// The memo change is in a commit.
    MemoStored {
        /// Tag of the request.
        tag: u64,
        /// False: over the memo limit, nothing changed.
        accepted: bool,
    },
    /// What became of an enqueued message. Comes to the link that asked, or to the service session's present link.
    Fate(Box<Fate>),
    /// The link is over; nothing more will come.
    Closed(CloseReason),
    /// At start, one for each stored session of this front-end (none for MQTT); its `LinkId` has slot `u32::MAX`.
    Restored(Box<Restored>),
}

/// Something that the broker needs from the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Check these credentials; answer with [`ToBroker::Authenticated`] on the same link.
    Authenticate {
        /// The link that waits.
        link: LinkId,
        /// The name that it wants.
        name: SessionName,
        /// What it offers.
        credentials: Credentials,
    },
}

/// Something worth a log line. The driver rate-limits and prints it; the names in it are not trusted text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A session was taken over by another link.
    TakenOver {
        /// Whose.
        name: SessionName,
        /// Where the newcomer is.
        remote: Option<SocketAddr>,
    },
    /// A client attached.
    Attached {
        /// Whose.
        name: SessionName,
        /// Its protocol.
        protocol: Protocol,
        /// Where it is.
        remote: Option<SocketAddr>,
        /// Session existed.
        session_present: bool,
    },
    /// A client's link ended.
    Detached {
        /// Whose.
        name: SessionName,
        /// How.
        ending: Ending,
    },
    /// An attach was refused.
    Refused {
        /// Whose.
        name: SessionName,
        /// Why.
        reason: RefuseReason,
        /// Where it is.
        remote: Option<SocketAddr>,
    },
    /// A peer was refused or broke the protocol; text for people.
    Peer {
        /// Where it is.
        remote: Option<SocketAddr>,
        /// Its name, if known.
        name: Option<Arc<str>>,
        /// What happened.
        text: Box<str>,
    },
    /// A device of a front-end came, went or moved; the front-end knows more of it than its link shows.
    Device {
        /// Whose.
        name: Arc<str>,
        /// Where it is.
        remote: SocketAddr,
        /// What happened.
        text: Box<str>,
    },
    /// Somebody looked for a gateway and was answered (MQTT-SN §6.1).
    Searched {
        /// Who.
        remote: SocketAddr,
        /// The gateway id in the answer.
        gateway_id: u8,
        /// The listener that the answer left from. Its port, with `local`, is what the searcher takes for our address.
        listener: ListenerId,
        /// Our address in the answer, where that is known.
        local: Option<IpAddr>,
        /// The group that heard the answer; `None`: the searcher alone.
        group: Option<SocketAddr>,
    },
    /// A gateway in stand-by took over, or stood down (MQTT-SN §6.1).
    Standby {
        /// The gateway that it stands by for.
        gateway_id: u8,
        /// Took over.
        active: bool,
    },
    /// An offline session's time is over.
    SessionExpired {
        /// Whose.
        name: SessionName,
    },
}

/// What a call to the broker leads to. The caller owns it, empties it, and hands it in again.
///
/// Order is meaning: outputs to one destination leave in this order, and none before the records of the same call
/// are committed.
#[derive(Debug, Default)]
pub struct Effects {
    /// Durable changes, in order. One call's records are one commit.
    pub records: Vec<Record>,
    /// Events, in order.
    pub events: Vec<(LinkId, FromBroker)>,
    /// Questions to the world.
    pub asks: Vec<Ask>,
    /// Log lines.
    pub notices: Vec<Notice>,
}

impl Effects {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty() && self.asks.is_empty() && self.notices.is_empty()
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.events.clear();
        self.asks.clear();
        self.notices.clear();
    }
}

/// A request with its moment and its link, as a worker hands it to the broker's thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// When it was made.
    pub now: Now,
    /// On which link.
    pub link: LinkId,
    /// The request.
    pub request: ToBroker,
}
