//! One client: its state and the parts that it has only while it needs them.

mod route;
pub mod state;

use std::collections::VecDeque;
use std::sync::Arc;

use broker_core::link::Delivery;
use broker_core::wheel::Timer;
use broker_core::{Instant, PacketId, QoS};

use crate::topics::{Registry, TypedSubscription};

pub use route::{Route, RouteRef};
pub use state::{Column, Rule, State, Weight, rule, weight};

/// One client with an entry here. Everything that most clients lack most of the time is boxed.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: Arc<str>,
    pub(crate) route: Route,
    /// Proven by the transport when it connected.
    pub(crate) identity: Option<Arc<str>>,
    /// When it was last heard: its keep-alive counts from here.
    pub(crate) heard: Instant,
    /// Its earliest deadline.
    pub(crate) timer: Timer,
    pub(crate) topics: Option<Box<Registry>>,
    pub(crate) outgoing: Option<Box<Outgoing>>,
    pub(crate) incoming: Option<Box<Incoming>>,
    pub(crate) released: Released,
    pub(crate) handshake: Option<Box<Handshake>>,
    /// Octets that may still be sent to an address that is not validated; below zero by one message at most.
    pub(crate) guard_credit: i32,
    /// Keep-alive in seconds, 0 for none.
    pub(crate) keep_alive: u16,
    /// Duration of its sleep in seconds.
    pub(crate) sleep: u16,
    /// MsgId of the last REGISTER, or where to begin.
    pub(crate) next_msg_id: u16,
    /// What [`Client::unsent_packets`] named when the link before was taken over, too late to tell the broker: it comes
    /// again with DUP, and is no repetition.
    pub(crate) unsent: Option<PacketId>,
    /// Copies of its CONNECT that came before the broker's answer: each gets its CONNACK (§6.13).
    pub(crate) copies: u8,
    pub(crate) state: State,
    /// What an answer to Connect or Resume is for.
    pub(crate) intent: Intent,
    /// The broker knows this client's present link.
    pub(crate) linked: bool,
    /// `route` is where it is, not only where it was.
    pub(crate) routed: bool,
    /// CleanSession of its last CONNECT.
    pub(crate) clean: bool,
    /// Nothing but copies of its CONNECT was handled since the last CONNACK.
    pub(crate) fresh: bool,
    /// The last CONNACK ended a will handshake.
    pub(crate) prompted: bool,
    /// This link replaces another one of the same connection.
    pub(crate) same_connection: bool,
    /// Its address was validated, or needs not be.
    pub(crate) validated: bool,
    /// The broker has nothing more for this wake-up; PINGRESP waits for a REGACK.
    pub(crate) drained: bool,
    /// The guard has asked this address for a REGACK.
    pub(crate) probed: bool,
    /// Its session was there before its CONNECT.
    pub(crate) resumed: bool,
    /// Whose QoS 2 message the broker has as packet [`ZERO_PACKET`].
    pub(crate) zero_packet: ZeroPacket,
    /// The last PUBREL for packet [`ZERO_PACKET`] came with MsgId 0.
    pub(crate) zero_released: bool,
}

impl Client {
    pub(crate) fn new(name: Arc<str>, route: Route, now: Instant, state: State) -> Self {
        Client {
            name,
            route,
            identity: None,
            heard: now,
            timer: Timer::new(),
            topics: None,
            outgoing: None,
            incoming: None,
            released: Released::default(),
            handshake: None,
            guard_credit: 0,
            keep_alive: 0,
            sleep: 0,
            next_msg_id: 0,
            unsent: None,
            copies: 0,
            state,
            intent: Intent::Connect,
            linked: false,
            routed: true,
            clean: false,
            fresh: false,
            prompted: false,
            same_connection: false,
            validated: false,
            drained: false,
            probed: false,
            resumed: false,
            zero_packet: ZeroPacket::Nobodys,
            zero_released: false,
        }
    }

    /// QoS 1/2 messages that the broker takes for sent, but that have not left: the next try is no repetition, and DUP
    /// would be wrong (§5.3.4). The window lets one of them be.
    pub(crate) fn unsent_packets(&self) -> impl Iterator<Item = PacketId> + use<> {
        let outgoing = self.outgoing.as_ref();
        let flight = outgoing.and_then(|it| it.flight.as_ref()).filter(|it| !it.dup && it.delivery.is_some());
        let deferred = outgoing.and_then(|it| it.deferred.as_ref()).filter(|it| !it.dup);
        [flight.map(|it| it.packet), deferred.and_then(|it| it.packet_id), self.unsent].into_iter().flatten()
    }

    /// A MsgId for a REGISTER.
    pub(crate) fn draw_msg_id(&mut self) -> u16 {
        self.next_msg_id = msg_id_after(self.next_msg_id);
        self.next_msg_id
    }

    pub(crate) fn outgoing(&mut self) -> &mut Outgoing {
        self.outgoing.get_or_insert_default()
    }

    pub(crate) fn incoming(&mut self) -> &mut Incoming {
        self.incoming.get_or_insert_default()
    }

    /// Gives the memory of parts back that hold nothing.
    pub(crate) fn tidy(&mut self) {
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_idle()) {
            self.outgoing = None;
        }
        if self.incoming.as_ref().is_some_and(|incoming| incoming.is_idle()) {
            self.incoming = None;
        }
    }
}

/// What the broker knows MsgId 0 as: 0 is no packet id of MQTT's, and not legal at QoS 1 and 2, but clients use it, most
/// of them when their count has come around. Then its neighbours 65535 and 1 may be open at the same time, and the
/// one half-way around is not.
pub(crate) const ZERO_PACKET: u16 = 0x8000;

/// Which of the two MsgIds that share a packet id has a QoS 2 message that waits for its PUBREL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZeroPacket {
    /// Neither, or not known: a restart leaves only the id.
    Nobodys,
    /// MsgId 0.
    Zeros,
    /// MsgId 32768 itself.
    Own,
}

impl ZeroPacket {
    /// That of this MsgId.
    pub(crate) fn of(msg_id: u16) -> ZeroPacket {
        if msg_id == 0 { ZeroPacket::Zeros } else { ZeroPacket::Own }
    }

    /// The MsgId that has it, when that is not this one.
    pub(crate) fn other_than(self, msg_id: u16) -> Option<u16> {
        let holder = match self {
            ZeroPacket::Nobodys => return None,
            ZeroPacket::Zeros => 0,
            ZeroPacket::Own => ZERO_PACKET,
        };
        (holder != msg_id).then_some(holder)
    }
}

/// What a link leaves to the one that takes the session over, as far as the broker does not know it.
#[derive(Debug)]
pub(crate) struct Legacy {
    pub(crate) name: Arc<str>,
    pub(crate) unsent: Option<PacketId>,
    pub(crate) zero_packet: ZeroPacket,
}

/// What was asked of the broker, and so what its answer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// CONNECT: CONNACK follows.
    Connect,
    /// PINGREQ of a sleeper whose link was not here: its messages and PINGRESP follow.
    Wake,
    /// CONNECT of a sleeper whose link was not here: its sleep ends, CONNACK follows.
    EndSleep,
    /// The gateway was started again: the client goes on as if nothing had been.
    Restore,
    /// The same, and it sleeps on.
    RestoreAsleep,
}

/// A will handshake, on its own or beside a live session (MQTT-SN §6.3).
#[derive(Debug)]
pub(crate) struct Handshake {
    /// The CONNECT had the will flag. Without it this only holds a CONNECT that waits for its session.
    pub(crate) will: bool,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    /// The will topic, once it has come: it stays valid when CONNECT is repeated.
    pub(crate) topic: Option<WillTopicOwned>,
    pub(crate) deadline: Instant,
}

/// A will topic that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WillTopicOwned {
    pub(crate) topic: Box<str>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// What is on its way to the client.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// The QoS 1/2 message in flight.
    pub(crate) flight: Option<InFlight>,
    /// The REGISTER in flight.
    pub(crate) register: Option<Registering>,
    /// Credit that goes back to the broker when these are done, or after one Tretry.
    pub(crate) held_credit: u32,
    /// A delivery that came while the broker owed the client the answer to its own PUBLISH: that one goes first,
    /// since simple clients take the next message for their PUBACK.
    pub(crate) deferred: Option<Delivery>,
}

impl Outgoing {
    fn is_idle(&self) -> bool {
        self.flight.is_none() && self.register.is_none() && self.held_credit == 0 && self.deferred.is_none()
    }
}

/// A QoS 1/2 message in flight to the client.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) packet: PacketId,
    pub(crate) stage: Stage,
    /// The message; none when only PUBREL is left to be said.
    pub(crate) delivery: Option<Delivery>,
    /// How often this stage was sent.
    pub(crate) tries: u8,
    /// How often the client said that it does not know the topic id.
    pub(crate) registered_anew: u8,
    /// It was sent in this session before.
    pub(crate) dup: bool,
    pub(crate) due: Instant,
}

/// What is awaited for a message in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The REGACK of this topic id.
    Register(u16),
    /// PUBACK or PUBREC.
    Publish,
    /// The broker's word after PUBREC.
    Received,
    /// PUBCOMP.
    Release,
}

/// A REGISTER in flight to the client.
#[derive(Debug)]
pub(crate) struct Registering {
    pub(crate) topic_id: u16,
    pub(crate) msg_id: u16,
    pub(crate) tries: u8,
    pub(crate) due: Instant,
    /// The broker has the id in the memo, so that it may be said.
    pub(crate) stored: bool,
    /// The QoS 0 message that waits for it.
    pub(crate) waiting: Option<Delivery>,
}

/// What came from the client and is not finished.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Requests that the broker has not answered, oldest first.
    pub(crate) pending: VecDeque<Pending>,
    /// QoS 2 messages that wait for PUBREL: MsgId and hash.
    pub(crate) open: Vec<(u16, u32)>,
}

impl Incoming {
    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.open.is_empty()
    }
}

/// QoS 2 messages of a client that were released lately: MsgId, hash, and until when they are remembered. Apart from
/// [`Incoming`], since it outlives that by seconds in every client that publishes.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Oldest first, without room to spare: most clients have one or none.
    list: Box<[(u16, u32, Instant)]>,
}

impl Released {
    /// Remembers one more, at most `max` in all.
    pub(crate) fn note(&mut self, msg_id: u16, hash: u32, until: Instant, max: usize) {
        let new = (msg_id, hash, until);
        if self.list.len() < max {
            let mut longer = std::mem::take(&mut self.list).into_vec();
            longer.reserve_exact(1);
            longer.push(new);
            self.list = longer.into_boxed_slice();
        } else if let Some(oldest) = self.list.first_mut() {
            *oldest = new;
            self.list.rotate_left(1);
        }
    }

    /// Forgets all when the time of the last one is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.until().is_some_and(|until| until <= now) {
            *self = Released::default();
        }
    }

    /// Whether this one was released and is remembered at `now`.
    pub(crate) fn knows(&self, msg_id: u16, hash: impl Fn() -> u32, now: Instant) -> bool {
        self.list.iter().any(|(id, kept, until)| *until > now && *id == msg_id && *kept == hash())
    }

    /// Until when the last one is remembered.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.list.last().map(|(_, _, until)| *until)
    }
}

/// A request that the broker has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// PUBLISH QoS 1 or 2.
    Publish { packet: PacketId, topic_id: u16, msg_id: u16 },
    /// SUBSCRIBE.
    Subscribe { msg_id: u16, topic_id: u16, typed: Option<TypedSubscription>, added: bool },
    /// WILLTOPICUPD.
    WillTopic,
    /// WILLMSGUPD.
    WillMessage,
    /// The will of a CONNECT that ends a sleep.
    EndSleep,
    /// PUBREC for what is not in flight: its PUBREL is said once.
    LateReceived(PacketId),
    /// PUBREL of a QoS 2 message that the client was told is refused: nobody waits for its PUBCOMP.
    Refused(PacketId),
}

/// The MsgId of a REGISTER after `last`.
///
/// Deviation: never above 32 767, for the client mqtt-sn-12, which packs the ids of its REGACK as signed numbers and
/// goes away at a larger one.
const fn msg_id_after(last: u16) -> u16 {
    last % 0x7FFF + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_stays_small() {
        assert!(size_of::<Client>() <= 152, "{}", size_of::<Client>());
    }

    #[test]
    fn a_released_message_is_known_until_its_time_is_over() {
        let at = Instant::from_millis;
        let mut released = Released::default();
        released.note(1, 11, at(100), 2);
        released.note(2, 22, at(200), 2);
        for (now, known) in [(99, true), (100, false)] {
            assert_eq!(released.knows(1, || 11, at(now)), known, "at {now}");
        }
        assert!(!released.knows(1, || 22, at(50)) && !released.knows(2, || 11, at(50)));
        released.note(3, 33, at(300), 2);
        assert!(!released.knows(1, || 11, at(50)), "the oldest makes room");
        assert!(released.knows(2, || 22, at(50)) && released.knows(3, || 33, at(50)));
        released.expire(at(299));
        assert_eq!(released.until(), Some(at(300)));
        released.expire(at(300));
        assert_eq!(released.until(), None);
    }

    #[test]
    fn msg_ids_of_registers_fit_15_bits_and_are_never_0() {
        for (last, next) in [(0, 1), (1, 2), (0x7FFE, 0x7FFF), (0x7FFF, 1), (0x8000, 2), (0xFFFF, 2)] {
            assert_eq!(msg_id_after(last), next, "after {last}");
        }
    }
}
