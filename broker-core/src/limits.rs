//! Every bound of the broker core, with its default and its reason. The driver overrides them from the settings.
use std::time::Duration;

/// Bounds of the broker. All of them are settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sessions attached at a time, over all protocols. Beyond: CONNACK 3.
    pub connections_max: usize,
    /// Offline sessions kept. Beyond: the one offline longest ends, counted.
    pub offline_sessions_max: usize,
    /// An offline session ends after this; `None`: never (as Mosquitto's default).
    pub session_expiry: Option<Duration>,
    /// Largest control packet, bytes with header.
    pub packet_bytes_max: usize,
    /// Largest CONNECT, bytes with header: it comes from a stranger.
    pub connect_bytes_max: usize,
    /// A connection without a whole CONNECT ends after this.
    pub connect_timeout: Duration,
    /// Longest keep-alive that a client may ask for, seconds; beyond: CONNACK 2. 0 in a CONNECT means none.
    pub keep_alive_max: u16,
    /// Levels of a topic.
    pub topic_levels_max: usize,
    /// Bytes of a topic.
    pub topic_bytes_max: usize,
    /// Bytes of a ClientId.
    pub client_id_bytes_max: usize,
    /// QoS 1/2 deliveries in flight to one MQTT client.
    pub inflight_max: u16,
    /// QoS 2 messages of one client that wait for their PUBREL.
    pub incoming_qos2_max: usize,
    /// The same of an MQTT-SN client, over all its connections: one that loses its memory leaves some behind each time.
    /// Its front-end allows far fewer on one connection. Not the setting for MQTT, which an operator may make small.
    pub incoming_qos2_sn_max: usize,
    /// Their bytes.
    pub incoming_qos2_bytes_max: usize,
    /// Messages waiting for one session.
    pub queue_messages_max: usize,
    /// Their bytes.
    pub queue_bytes_max: usize,
    /// Bytes waiting for all sessions together.
    pub queue_bytes_total_max: usize,
    /// QoS 0 messages are queued for offline MQTT clients.
    pub queue_qos0_offline: bool,
    /// Rounds of Park after which a message is dropped.
    pub park_rounds_max: u8,
    /// Subscriptions of one session.
    pub subscriptions_max: usize,
    /// Filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_per_packet_max: usize,
    /// Retained messages.
    pub retained_messages_max: usize,
    /// Their bytes (topic and payload).
    pub retained_bytes_max: usize,
    /// A retained message ends after this; `None`: never.
    pub retained_expiry: Option<Duration>,
    /// Bytes of a session's memo.
    pub memo_bytes_max: usize,
    /// Bytes of a will (topic and payload).
    pub will_bytes_max: usize,
    /// Byte credit of an MQTT stream: what may wait in its out-buffer.
    pub stream_credit_bytes: u32,
    /// Deliveries made before other work gets its turn (a fan-out is cut into slices of this).
    pub slice_deliveries: usize,
    /// Publishes that may wait behind a fan-out that was cut. Beyond, the call that brings one more does all the work
    /// itself: publishers are slowed down, nothing is dropped.
    pub backlog_max: usize,
    /// Overlapping subscriptions of one client: `false`: one copy at the highest QoS ([MQTT-3.3.5-1]); `true`: one
    /// copy each.
    pub overlapping_each: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 200_000,
            offline_sessions_max: 200_000,
            session_expiry: None,
            packet_bytes_max: 1 << 20,
            connect_bytes_max: 64 << 10,
            connect_timeout: Duration::from_secs(10),
            keep_alive_max: u16::MAX,
            topic_levels_max: 128,
            topic_bytes_max: 1024,
            client_id_bytes_max: 1024,
            inflight_max: 32,
            incoming_qos2_max: 1000,
            incoming_qos2_sn_max: 1000,
            incoming_qos2_bytes_max: 4 << 20,
            queue_messages_max: 1000,
            queue_bytes_max: 1 << 20,
            queue_bytes_total_max: 1 << 30,
            queue_qos0_offline: false,
            park_rounds_max: 3,
            subscriptions_max: 1000,
            filters_per_packet_max: 256,
            retained_messages_max: 1_000_000,
            retained_bytes_max: 256 << 20,
            retained_expiry: None,
            memo_bytes_max: 256 << 10,
            will_bytes_max: 64 << 10,
            stream_credit_bytes: 256 << 10,
            slice_deliveries: 1024,
            backlog_max: 1024,
            overlapping_each: false,
        }
    }
}
