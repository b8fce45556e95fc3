//! Every bound of the MQTT-SN gateway, with its default, its reason, and what happens beyond it.

use std::time::Duration;

/// Bounds of one front-end (one worker).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Clients with a link, and sleepers known. Beyond: CONNACK "congestion".
    pub clients_max: usize,
    /// Clients in the will handshake that have no session yet: strangers, so few. Beyond: CONNACK "congestion".
    pub handshakes_max: usize,
    /// A client with keep-alive 0 that was not heard for so long is lost; `None`: never. A CONNECT costs a stranger
    /// nothing, so each must end some day.
    pub idle_timeout: Option<Duration>,
    /// A will handshake ends after this, silently.
    pub handshake_timeout: Duration,
    /// Octets of a ClientId. Beyond: CONNACK "not supported". The specification says 23, clients use 196.
    pub client_id_bytes_max: usize,
    /// Octets of a will, topic and message. Beyond: CONNACK or …RESP "not supported".
    pub will_bytes_max: usize,
    /// Topics with a normal id of one client. Beyond: REGACK and SUBACK "congestion", deliveries dropped.
    pub topics_per_client_max: usize,
    /// Subscriptions of one client by predefined id or short name whose id type is remembered.
    pub typed_subscriptions_max: usize,
    /// Requests of one client that the broker has not answered. Beyond: "congestion".
    pub requests_pending_max: usize,
    /// Largest datagram sent. Beyond: the message is dropped (MQTT-SN §6.10) and counted.
    pub datagram_bytes_max: usize,
    /// QoS 2 messages of one client that wait for their PUBREL. Beyond: PUBACK "congestion" (hostile input N24).
    pub unreleased_max: usize,
    /// QoS 2 MsgIds of one client that were released lately, kept to know a late copy of their PUBLISH.
    pub released_ids_max: usize,
    /// How often a message is registered anew since the client said "invalid topic id". Beyond: rejected.
    pub reregister_max: u8,
    /// Tries of a REGISTER for a topic that the client itself once registered; then the PUBLISH goes all the same,
    /// for clients that never answer REGISTER.
    pub register_tries_known: u8,
    /// Timers handled in one call; the rest follows at once in the next.
    pub timers_per_call_max: usize,
    /// Node ids behind one forwarder address. Beyond: the oldest that has shown nothing makes room, else CONNACK
    /// "congestion".
    pub nodes_per_forwarder_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            clients_max: 200_000,
            handshakes_max: 10_000,
            idle_timeout: Some(Duration::from_secs(24 * 3600)),
            handshake_timeout: Duration::from_secs(10),
            client_id_bytes_max: 255,
            will_bytes_max: 4096,
            topics_per_client_max: 1000,
            typed_subscriptions_max: 256,
            requests_pending_max: 32,
            datagram_bytes_max: 65_507,
            unreleased_max: 32,
            released_ids_max: 8,
            reregister_max: 3,
            register_tries_known: 2,
            timers_per_call_max: 4096,
            nodes_per_forwarder_max: 10_000,
        }
    }
}

/// Credit that a link gets: one message of any size at a time, so that a message without a slot of its own waits in
/// the broker's queue and nowhere else.
pub const LINK_CREDIT: u32 = 1;
/// QoS 1/2 deliveries in flight to one client (MQTT-SN §6.10 knows one).
pub const WINDOW: u16 = 1;
/// How long a client that said "congestion" is left alone (T_WAIT, §7.2).
pub const T_WAIT: Duration = Duration::from_secs(300);
