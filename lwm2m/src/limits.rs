//! Bounds of the LwM2M side: every loop, queue and buffer that a device or a file could stretch.
//!
//! Each constant names its unit, its reason and what happens when it is reached. The structs bundle those
//! that an operator may change; their `Default` is the constant.

/// Longest JSON document that is read from a device, in bytes. A full Device instance is under 2 KiB, so
/// this is room for large objects. Reaction: the content is refused as too large.
pub const JSON_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of arrays and objects in JSON. SenML needs 2, the old JSON 3. Reaction: the content is
/// refused before anything is built.
pub const JSON_DEPTH_MAX: usize = 32;

/// Deepest nesting in CBOR, tags counted. LwM2M CBOR needs 6 at most. Reaction: the content is refused.
pub const CBOR_DEPTH_MAX: usize = 16;

/// Most values (or paths) in one content. Real objects stay under 200. Reaction: the content is refused.
pub const ENTRIES_MAX: usize = 4096;

/// Longest decimal number, in characters: more than any device prints, less than hurts. Reaction: the
/// value is refused.
pub const NUMBER_TEXT_MAX: usize = 128;

/// Longest excerpt of foreign text inside one of our error texts, in characters. Reaction: cut with "…".
pub const EXCERPT_MAX: usize = 64;

/// Most links in one link-format list: a device with more than a thousand object instances is not a
/// device. Reaction: refused as too large (4.13 for a registration).
pub const LINKS_MAX: usize = 1024;

/// Most attributes of one link. The specifications know eleven. Reaction: refused.
pub const LINK_ATTRIBUTES_MAX: usize = 32;

/// Longest single link with its attributes, in bytes. Reaction: refused as too large.
pub const LINK_BYTES_MAX: usize = 2048;

/// Largest XML file of the object catalog, in bytes; the largest of the registry has 33 KB. Reaction: one
/// warning, the file is skipped.
pub const CATALOG_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deepest nesting of elements in a catalog file; the schema has 5 levels. Reaction: as above.
pub const CATALOG_DEPTH_MAX: usize = 32;

/// Most files that one load of the catalog reads; the whole registry with its history has 754. Reaction:
/// one warning, the rest is left out.
pub const CATALOG_FILES_MAX: usize = 4096;

/// Most object versions in the catalog. Reaction: one warning per file that brings more, which is skipped.
pub const CATALOG_OBJECTS_MAX: usize = 8192;

/// Longest text (name, units, range) that the catalog keeps of one element, in bytes. Reaction: cut.
pub const CATALOG_TEXT_MAX: usize = 512;

/// What a content decoder may spend on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// See [`JSON_BYTES_MAX`].
    pub json_bytes_max: usize,
    /// See [`JSON_DEPTH_MAX`].
    pub json_depth_max: usize,
    /// See [`CBOR_DEPTH_MAX`].
    pub cbor_depth_max: usize,
    /// See [`ENTRIES_MAX`].
    pub entries_max: usize,
    /// See [`LINKS_MAX`].
    pub links_max: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        ContentLimits {
            json_bytes_max: JSON_BYTES_MAX,
            json_depth_max: JSON_DEPTH_MAX,
            cbor_depth_max: CBOR_DEPTH_MAX,
            entries_max: ENTRIES_MAX,
            links_max: LINKS_MAX,
        }
    }
}

/// Foreign text for an error message: at most [`EXCERPT_MAX`] characters, control characters replaced.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out: String =
        text.chars().take(EXCERPT_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(EXCERPT_MAX).is_some() {
        out.push('…');
    }
    out
}

// ---- CoAP transmission parameters (RFC 7252 §4.8, §4.8.2), in milliseconds where they are times ----

/// First time-out of a Confirmable message, before the random share.
pub const ACK_TIMEOUT_MS: u64 = 2_000;
/// The first time-out is drawn between ACK_TIMEOUT and this (ACK_RANDOM_FACTOR 1.5).
pub const ACK_TIMEOUT_LONGEST_MS: u64 = 3_000;
/// Retransmissions of a Confirmable message; then the exchange fails with a time-out.
pub const MAX_RETRANSMIT: u8 = 4;
/// A message id is remembered, and not used again, for this long.
pub const EXCHANGE_LIFETIME_MS: u64 = 247_000;
/// The same for Non-confirmable messages.
pub const NON_LIFETIME_MS: u64 = 145_000;
/// Longest random delay before the answer to a group request.
pub const DEFAULT_LEISURE_MS: u64 = 5_000;
/// A notification counts as newer than the last one after this, whatever its number (RFC 7641 §3.4).
pub const OBSERVE_FRESH_MS: u64 = 128_000;

// ---- CoAP bounds ----

/// Options in one message. A Register has about ten; more than this is rejected as malformed, since every option
/// costs more memory than wire.
pub const OPTIONS_PER_MESSAGE_MAX: usize = 128;
/// Remembered messages of one peer (as Californium). Beyond: the peer's oldest goes, counted.
pub const REMEMBERED_PER_PEER_MAX: u32 = 64;
/// Bytes of all remembered messages with their replies. Beyond: the oldest go, counted.
pub const REMEMBERED_BYTES_MAX: usize = 32 << 20;
/// Body taken together from Block1 or Block2. Beyond: 4.13, or the request fails as too large.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// The most that one request may raise its own limit to (a firmware image).
pub const BODY_BYTES_OVERRIDE_MAX: usize = 4 << 20;
/// Bytes of all unfinished bodies. Beyond: the oldest is dropped, counted.
pub const PENDING_BODY_BYTES_MAX: usize = 8 << 20;
/// Requests of ours that wait or run for one peer. The queue proper is the device's session; this only has to
/// take what is on its way. Beyond: the caller gets an error.
pub const REQUESTS_PER_PEER_MAX: usize = 16;
/// Exchanges of ours for all peers. Beyond: the caller gets an error.
pub const EXCHANGES_MAX: usize = 262_144;
/// Requests of peers that wait for our answer. Beyond: 5.03.
pub const UNANSWERED_MAX: usize = 16_384;
/// Requests of one peer that wait for our answer. Beyond: 5.03.
pub const UNANSWERED_PER_PEER_MAX: u16 = 16;
/// A request not answered within this gets an empty Acknowledgement, so that the peer does not repeat it.
pub const PIGGYBACK_WINDOW_MS: u64 = 1_000;
/// A request of a peer not answered by us within this gets 5.03, counted: it would be our fault.
pub const ANSWER_TIMEOUT_MS: u64 = 60_000;
/// A response not come within this after the empty Acknowledgement: the request fails. wakaama acknowledges
/// FETCH and never answers; EXCHANGE_LIFETIME would be too long to wait for people.
pub const RESPONSE_TIMEOUT_MS: u64 = 60_000;
/// Further rounds of retransmission for a block in the middle of a transfer. Beyond: the transfer fails with a
/// time-out.
pub const BLOCK_ROUNDS_MAX: u8 = 2;
/// Observations held at all peers. Beyond: the response is delivered, later notifications are rejected.
pub const OBSERVATIONS_MAX: usize = 1_000_000;
/// Notifications delivered per second and observation. Beyond: acknowledged and dropped, counted.
pub const NOTIFICATIONS_PER_SECOND_MAX: u16 = 100;
/// Bytes of a request kept with its observation, to fetch the later blocks of a notification. Beyond: the request
/// is refused.
pub const OBSERVE_REQUEST_BYTES_MAX: usize = 1_024;
/// Resets, self-made error replies and Echo challenges per second to strangers.
pub const ERROR_REPLIES_PER_SECOND: u32 = 1_000;
/// The same to one /24 (IPv4) or /56 (IPv6).
pub const ERROR_REPLIES_PER_PREFIX_PER_SECOND: u32 = 10;
/// Buckets for prefixes: a fixed table, 16 bytes each; prefixes that meet in one bucket share it.
pub const ERROR_REPLY_BUCKETS: usize = 4_096;
/// Bytes that may go to an unvalidated address for each byte received from it (RFC 9175 §2.6, RFC 9000 §8.1).
pub const AMPLIFICATION_MAX: u32 = 3;
/// An Echo value is good for one to two of these.
pub const ECHO_WINDOW_MS: u64 = 60_000;
/// Timers run in one call; the rest follow in the next, which is due at once.
pub const TIMERS_PER_CALL: usize = 4_096;

// ---- Commands over MQTT ----

/// Longest command, in bytes of JSON: room for a written certificate chain. Reaction: answered 4.00.
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;
/// Longest time that a command may wait for a sleeping device, in seconds: a year. Reaction: answered 4.00.
pub const COMMAND_TTL_S_MAX: u64 = 31_536_000;
/// Longest query behind a path, in bytes: four Uri-Query options. Reaction: answered 4.00.
pub const COMMAND_QUERY_BYTES_MAX: usize = 1024;
/// Most attributes of one Write-Attributes; there are ten. Reaction: answered 4.00.
pub const COMMAND_ATTRIBUTES_MAX: usize = 16;
/// Longest arguments of Execute, in bytes: one datagram. Reaction: answered 4.00.
pub const EXECUTE_BYTES_MAX: usize = 1024;

// ---- Registrations ----

/// Longest endpoint name, in bytes. Reaction: 4.00.
pub const ENDPOINT_BYTES_MAX: usize = 255;
/// Lifetime of a Register without `lt` (1.1.1 Core §6.2.1).
pub const LIFETIME_DEFAULT_S: u32 = 86_400;
/// Longest lifetime granted by default: 30 days. Reaction: cut, one warning, the event shows both.
pub const LIFETIME_MAX_S: u32 = 30 * 86_400;
/// Shortest lifetime granted, seconds: as asked for. A shorter one is raised.
pub const LIFETIME_MIN_S: u32 = 1;
/// Time between the end of a lifetime and the end of its registration: an Update on its way.
pub const LIFETIME_GRACE_MS: u64 = 10_000;
/// Parameters of a registration that LwM2M does not know. Reaction: 4.00.
pub const EXTRA_PARAMETERS_MAX: usize = 16;
/// Longest name or value of one, in bytes. Reaction: 4.00.
pub const EXTRA_BYTES_MAX: usize = 128;
/// Longest alternate path, in bytes. Reaction: 4.00.
pub const ROOT_BYTES_MAX: usize = 64;
/// Object lists kept as they came, so that the next device of a kind costs a comparison. Beyond: the list is read.
pub const KEPT_TEXTS: usize = 64;
/// Longest of them, in bytes.
pub const KEPT_TEXT_BYTES_MAX: usize = 1_024;
/// Content-Formats kept of a registration's `ct`. Beyond: passed over.
pub const CONTENT_FORMATS_MAX: usize = 16;
/// Devices registered at a time. Beyond: 5.03.
pub const DEVICES_MAX: usize = 1_000_000;
/// Endpoints known to share one address. Beyond: the one known longest is found by name and location only, and a Send
/// from there is refused.
pub const ADDRESS_SHARERS_MAX: usize = 8;
/// A NAT that gives an address to another device has heard nothing from its owner for as long, milliseconds. RFC 4787
/// REQ-5 asks for two minutes; some forget after half of one.
pub const ADDRESS_REUSE_MS: u64 = 30_000;
/// Registers of new endpoints per second. Beyond: 5.03 with Max-Age.
pub const REGISTERS_PER_SECOND: u32 = 2_000;
/// The same for one /24 (IPv4) or /56 (IPv6).
pub const REGISTERS_PER_PREFIX_PER_SECOND: u32 = 200;
/// Observations of one device. Beyond: the command is answered 5.03.
pub const OBSERVATIONS_PER_DEVICE_MAX: usize = 128;
/// Bytes of one asker kept with an observation (ids and other members that come back). Beyond: only the id is kept.
pub const ASKER_BYTES_MAX: usize = 512;
/// Commands of one device that run past its queue (TTL 0). Beyond: answered 5.03.
pub const DIRECT_JOBS_MAX: usize = 8;
/// Time that a command waits for a sleeping device when it does not say, in seconds.
pub const COMMAND_TTL_S: u64 = 7_200;
/// Time after its last message in which a device with queue mode counts as awake: MAX_TRANSMIT_WAIT (1.1.1 Transport
/// §6.5), milliseconds.
pub const AWAKE_WINDOW_MS: u64 = 93_000;
/// Commands handed to the LwM2M service before it has to acknowledge some.
pub const SERVICE_WINDOW: u16 = 1_024;
/// Bytes of them.
pub const SERVICE_CREDIT: u32 = 8 << 20;
/// Byte credit of a device: its window is one command of any size.
pub const DEVICE_CREDIT: u32 = 1 << 20;
/// Largest undecodable answer that is shown in base 64, in bytes.
pub const RAW_BYTES_MAX: usize = 1_024;
/// Longest diagnostic text of a device that is shown, in bytes. Beyond: cut.
pub const DIAGNOSTIC_BYTES_MAX: usize = 256;
/// Time between two looks at a device that updates its firmware, milliseconds.
pub const FIRMWARE_POLL_MS: u64 = 5_000;
/// The same while it tells by itself when something changes: only for the notification that was lost.
pub const FIRMWARE_WATCHED_POLL_MS: u64 = 60_000;
/// The same after it did not answer: it may be rebooting.
pub const FIRMWARE_RETRY_MS: u64 = 30_000;
/// Times that a step of a firmware update is begun anew. Beyond: answered 5.00.
pub const FIRMWARE_TRIES_MAX: u8 = 5;
/// A firmware update is given up after this, milliseconds: a day. Reaction: answered 5.04.
pub const FIRMWARE_DEADLINE_MS: u64 = 86_400_000;
/// Rounds of events in one call; the rest follow in the next.
pub const EVENT_ROUNDS_MAX: usize = 1_024;
/// Events for which memory is kept between two calls.
pub const EVENTS_KEPT: usize = 64;
/// Messages of the service that wait until it is attached. Beyond: dropped, counted.
pub const SERVICE_HELD_MAX: usize = 1 << 20;
/// Time until the service session is attached again after it was lost, milliseconds.
pub const SERVICE_RETRY_MS: u64 = 1_000;
/// Max-Age of 5.03 for a Register that is not taken now, seconds.
pub const SERVICE_BUSY_RETRY_S: u32 = 10;
