//! [`Message`]: one published application message, shared by everyone who waits for it.
use crate::topic::TopicNameRef;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Quality of service (MQTT 3.1.1 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum QoS {
    /// 0: at most once.
    #[default]
    AtMostOnce = 0,
    /// 1: at least once.
    AtLeastOnce = 1,
    /// 2: exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level for its number on the wire; 3 and above are none.
    pub const fn from_u8(level: u8) -> Option<QoS> {
        match level {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            3..=u8::MAX => None,
        }
    }
}

/// A packet identifier: 1..=65535, never 0 ([MQTT-2.3.1-1]). MQTT-SN uses the broker's ids as its MsgIds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// `None` for 0.
    pub const fn new(id: u16) -> Option<PacketId> {
        match NonZeroU16::new(id) {
            Some(id) => Some(PacketId(id)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The id after this one, skipping 0.
    pub const fn next(self) -> PacketId {
        match NonZeroU16::new(self.0.get().wrapping_add(1)) {
            Some(id) => PacketId(id),
            None => PacketId(NonZeroU16::MIN),
        }
    }
}

/// One application message: topic, payload, and the publisher's own QoS and RETAIN flag.
///
/// All of it lies in one allocation that all receivers share; a clone costs a reference count, and a message sixteen
/// bytes wherever it is kept. The topic was validated as a topic name when the message was made (see [`crate::topic`]).
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Head, topic, payload.
    bytes: Arc<[u8]>,
}

/// Length of the topic, QoS, RETAIN.
const HEAD: usize = 4;

impl Message {
    /// A message with copies of `topic` and `payload`. The caller vouches that `topic` is a valid topic name of at
    /// most 65,535 bytes (a longer one is cut, which no validated topic can be).
    pub fn new(topic: &str, payload: &[u8], qos: QoS, retain: bool) -> Message {
        let topic_len = u16::try_from(topic.len()).unwrap_or(u16::MAX);
        let topic = topic.as_bytes().get(..usize::from(topic_len)).unwrap_or_default();
        // One allocation, cleared and then filled: cheaper than a second one, or than a byte-wise iterator.
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, HEAD + topic.len() + payload.len()).collect();
        if let Some(whole) = Arc::get_mut(&mut bytes)
            && let Some((head, rest)) = whole.split_first_chunk_mut::<HEAD>()
            && let Some((front, back)) = rest.split_at_mut_checked(topic.len())
        {
            let [high, low] = topic_len.to_be_bytes();
            *head = [high, low, qos as u8, u8::from(retain)];
            front.copy_from_slice(topic);
            back.copy_from_slice(payload);
        }
        Message { bytes }
    }

    fn head(&self) -> [u8; HEAD] {
        self.bytes.first_chunk().copied().unwrap_or_default()
    }

    /// Where the payload begins.
    fn payload_at(&self) -> usize {
        let [high, low, _, _] = self.head();
        HEAD + usize::from(u16::from_be_bytes([high, low]))
    }

    /// The topic's bytes: valid UTF-8.
    pub fn topic_bytes(&self) -> &[u8] {
        self.bytes.get(HEAD..self.payload_at()).unwrap_or_default()
    }

    /// The topic name.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// The topic name as the type that proves it.
    pub fn topic_name(&self) -> TopicNameRef<'_> {
        TopicNameRef::trusted(self.topic())
    }

    /// The payload, possibly empty.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at()..).unwrap_or_default()
    }

    /// The QoS that the publisher chose.
    pub fn qos(&self) -> QoS {
        let [_, _, qos, _] = self.head();
        QoS::from_u8(qos).unwrap_or_default()
    }

    /// The RETAIN flag as the publisher set it. What a receiver sees is the delivery's own flag.
    pub fn retain(&self) -> bool {
        let [_, _, _, retain] = self.head();
        retain != 0
    }

    /// Topic and payload bytes together: the unit of queue limits and of credit.
    pub fn cost(&self) -> usize {
        self.bytes.len() - HEAD
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Message({:?} {:?} retain={} {} B)",
            self.topic(),
            self.qos(),
            self.retain(),
            self.payload().len()
        )
    }
}

/// A will: the message that the broker publishes when its client is lost (MQTT 3.1.1 §3.1.2.5, MQTT-SN §6.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Will {
    /// Topic, payload, QoS and RETAIN of the will.
    pub message: Message,
}
