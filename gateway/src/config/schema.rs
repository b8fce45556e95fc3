//! The one table of every setting.
//!
//! A row is all there is to a key: from it come the typed field of [`Config`], the check, the default, the
//! environment name, `config init`, `config show`, the comparison on reload and the "did you mean".
//! To add a key, add a row:
//!
//! ```text
//! /// One or more lines for the sample file.
//! field: RustType, "dotted.name" = "default as in the file", KIND, Reload;
//! /// … with an example where the default says too little:
//! field: RustType, "dotted.name" = "…", KIND, Restart, example = "\"0.0.0.0\"";
//! /// … accepted, but with a warning until the feature is there:
//! field: RustType, "dotted.name" = "…", KIND, Restart, later = "what the operator must know";
//! ```
//! then write `conf/turnstone.toml` anew (`turnstone config init`; a test compares). Every key must do
//! something: a row whose feature is missing has `later`, and whoever builds the feature removes that word.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use broker_core::topic::TopicName;

use super::group::GroupAddress;
use super::kind::Kind;
use super::types::{
    Bind, ClientTopics, Field, LifetimeZero, LogFormat, LogLevel, Network, NewAddress, Overlapping,
    PredefinedFile, Secret, SnRebind, SnReflectGuard, SnShortSuback, SnSleepConnectClean, UpdateEvents,
    Value,
};

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// On SIGHUP, for what happens after it.
    Reload,
    /// Only when the program starts.
    Restart,
}

/// One row of the schema.
#[derive(Debug)]
pub struct Key {
    /// The dotted name; for [`Kind::Topics`] the part before the id, for [`Kind::ClientTopics`] that before the client.
    pub name: &'static str,
    /// The field of its section's struct.
    pub field: &'static str,
    /// The lines of documentation.
    pub doc: &'static [&'static str],
    /// The default, as it would stand in the file.
    pub default: &'static str,
    /// What values are allowed.
    pub kind: Kind,
    /// When a change takes effect.
    pub apply: Apply,
    /// A value worth showing beside the default, as it would stand in the file.
    pub example: Option<&'static str>,
    /// What setting the key does not do yet; the operator is told.
    pub later: Option<&'static str>,
    pub(crate) get: fn(&Config) -> Value,
    pub(crate) set: fn(&mut Config, &Value) -> bool,
}

/// One section of the schema, for the headings of the sample file.
#[derive(Debug)]
pub struct Section {
    /// What the section is about.
    pub doc: &'static [&'static str],
    /// Its keys, in the order of the table.
    pub keys: &'static [Key],
}

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

macro_rules! schema {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Type:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $FieldType:ty, $name:literal = $default:literal, $kind:expr, $apply:ident
                    $(, example = $example:literal)? $(, later = $later:literal)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Type {
                $( $(#[doc = $doc])+ pub $field: $FieldType, )+
            }
        )+

        /// Every setting, checked and with its plain type.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $( $(#[doc = $section_doc])+ pub $section: $Type, )+
        }

        /// The schema.
        pub static SECTIONS: &[Section] = &[$(
            Section {
                doc: &[$($section_doc),+],
                keys: &[$(
                    Key {
                        name: $name,
                        field: stringify!($field),
                        doc: &[$($doc),+],
                        default: $default,
                        kind: $kind,
                        apply: Apply::$apply,
                        example: optional!($($example)?),
                        later: optional!($($later)?),
                        get: |config| config.$section.$field.to_value(),
                        set: |config, value| match Field::from_value(value) {
                            Some(typed) => { config.$section.$field = typed; true }
                            None => false,
                        },
                    },
                )+],
            },
        )+];

        impl Config {
            /// Builds the typed settings from one checked value per key.
            pub(crate) fn from_values(values: &BTreeMap<&'static str, Value>) -> Self {
                Self { $(
                    $section: $Type { $(
                        $field: values
                            .get($name)
                            .and_then(Field::from_value)
                            .expect(concat!($name, ": the schema row pairs its kind with this type (tested)")),
                    )+ },
                )+ }
            }
        }
    };
}

const PORT: Kind = Kind::Port;
const SIXTEEN_BITS: Kind = Kind::Integer { min: 1, max: 65_535 };
const TOPIC: Kind = Kind::Text { max: 256 };
const QOS: Kind = Kind::Integer { min: 0, max: 2 };
const RATE: Kind = Kind::Integer { min: 0, max: 10_000_000 };
const COUNT: Kind = Kind::Integer { min: 1, max: 1_000_000_000 };
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The largest remaining length of MQTT 3.1.1 §2.2.3, rounded to a size that reads well.
const MQTT_PACKET_MAX: u64 = 256 * MIB;
const EXPIRY: Kind = Kind::Duration { min: SECOND, max: CENTURY, may_be_off: true, whole_seconds: true };

schema! {
    /// The process.
    process: ProcessConfig {
        /// Worker threads. One is enough for 100 000 devices and costs least for each message. With more, the
        /// first owns the broker and the UDP sides, and the others share the MQTT connections.
        workers: u16, "workers" = "1", Kind::Integer { min: 1, max: 64 }, Restart;
    }

    /// What is logged.
    log: LogConfig {
        /// The least serious event that is logged.
        level: LogLevel, "log.level" = "\"info\"", Kind::Choice(LogLevel::WORDS), Reload;
        /// One line of text for people, or one JSON object a line for machines.
        format: LogFormat, "log.format" = "\"text\"", Kind::Choice(LogFormat::WORDS), Restart;
    }

    /// The `$SYS` topics.
    sys: SysConfig {
        /// How often `$SYS/broker/...` is published.
        interval: Option<Duration>, "sys.interval" = "\"10s\"",
            Kind::Duration { min: SECOND, max: DAY, may_be_off: true, whole_seconds: true }, Reload,
            example = "\"off\"";
    }

    /// MQTT clients (3.1.1 and 3.1, TCP).
    mqtt: MqttConfig {
        /// TCP port.
        port: u16, "mqtt.port" = "1883", PORT, Restart;
        /// Local addresses, each with a port of its own if wanted. An empty list turns MQTT over TCP off.
        bind: Vec<Bind>, "mqtt.bind" = "[\"127.0.0.1\", \"::1\"]", Kind::Binds, Restart,
            example = "[\"0.0.0.0\", \"::\", \"127.0.0.1:11883\"]";
        /// What a client gets whose overlapping filters match one message: one copy at the highest QoS,
        /// or one copy for each filter.
        overlapping: Overlapping, "mqtt.overlapping" = "\"once\"", Kind::Choice(Overlapping::WORDS), Reload;
        /// The largest packet that is accepted from a client; a larger one ends the connection.
        max_packet_size: u64, "mqtt.max_packet_size" = "\"1MiB\"",
            Kind::Size { min: 128, max: MQTT_PACKET_MAX }, Reload;
        /// The largest CONNECT, where mqtt.max_packet_size is not smaller.
        max_connect_size: u64, "mqtt.max_connect_size" = "\"64KiB\"",
            Kind::Size { min: 128, max: MQTT_PACKET_MAX }, Reload;
        /// How long a new connection may take until its CONNECT is complete.
        connect_timeout: Duration, "mqtt.connect_timeout" = "\"10s\"",
            Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(3_600), may_be_off: false, whole_seconds: false },
            Reload;
        /// The longest keep-alive that a client may ask for; a longer one is refused.
        max_keepalive: Duration, "mqtt.max_keepalive" = "\"65535s\"",
            Kind::Duration { min: SECOND, max: Duration::from_secs(65_535), may_be_off: false, whole_seconds: true }, Reload;
        /// When a client with keep-alive 0 is closed that sends nothing at all (MQTT-SN too).
        idle_timeout: Option<Duration>, "mqtt.idle_timeout" = "\"24h\"", EXPIRY, Reload, example = "\"off\"";
        /// How long the broker keeps the session of a client that is away (every protocol).
        session_expiry: Option<Duration>, "mqtt.session_expiry" = "\"off\"", EXPIRY, Reload, example = "\"14d\"";
        /// Whether QoS 0 messages are kept for clients that are away.
        queue_qos0_offline: bool, "mqtt.queue_qos0_offline" = "false", Kind::Bool, Reload;
        /// How long a retained message is kept.
        retained_expiry: Option<Duration>, "mqtt.retained_expiry" = "\"off\"", EXPIRY, Reload, example = "\"30d\"";
    }

    /// MQTT-SN 1.2 devices (UDP).
    sn: SnConfig {
        /// UDP port.
        port: u16, "mqtt.sn.port" = "1884", PORT, Restart;
        /// Local addresses, each with a port of its own if wanted. An empty list turns MQTT-SN off.
        bind: Vec<Bind>, "mqtt.sn.bind" = "[\"127.0.0.1\", \"::1\"]", Kind::Binds, Restart,
            example = "[\"0.0.0.0\", \"::\"]";
        /// The gateway's id in ADVERTISE and GWINFO.
        gateway_id: u8, "mqtt.sn.gateway_id" = "1", Kind::Integer { min: 1, max: 255 }, Reload;
        /// Time between two ADVERTISE messages.
        advertise_duration: Duration, "mqtt.sn.advertise_duration" = "900",
            Kind::Duration { min: SECOND, max: Duration::from_secs(65_535), may_be_off: false, whole_seconds: true },
            Reload;
        /// Where the gateway announces itself and is looked for: multicast groups and broadcast addresses, each on
        /// one interface (%NAME) or on all that are up. "auto" is 225.1.1.1 for the addresses of mqtt.sn.bind that
        /// are open to the network, and nothing on loopback; [] is nowhere.
        groups: Option<Vec<GroupAddress>>, "mqtt.sn.groups" = "\"auto\"", Kind::Groups, Reload,
            example = "[\"225.1.1.1\", \"ff02::1%wpan0\", \"255.255.255.255:1884\"]";
        /// Port of groups that name none.
        group_port: u16, "mqtt.sn.group_port" = "1883", PORT, Reload;
        /// How many routers away groups are announced to (TTL, hop limit), and answered where a search has radius 0.
        group_ttl: u8, "mqtt.sn.group_ttl" = "1", Kind::Integer { min: 1, max: 255 }, Reload;
        /// Id of a gateway that this one stands by for: it keeps silent on groups as long as it hears that gateway
        /// there, and takes over when three of its announcements are missing.
        standby_for: Option<u8>, "mqtt.sn.standby_for" = "\"off\"", Kind::OptionalInteger { min: 0, max: 255 }, Reload,
            example = "7";
        /// Whether devices may publish without a connection (QoS -1, in flags QoS 3).
        enable_qos3: bool, "mqtt.sn.enable_qos3" = "true", Kind::Bool, Reload;
        /// The user name under which devices connect, since MQTT-SN 1.2 knows none.
        username: Option<String>, "mqtt.sn.username" = "\"\"", Kind::Text { max: 65_535 }, Reload,
            example = "\"mqtt_sn_user\"",
            later = "this version checks no passwords, so every device is let in, with or without it";
        /// The password for it; better as "${file:sn-password}" or "${SN_PASSWORD}".
        password: Option<Secret>, "mqtt.sn.password" = "\"\"", Kind::Secret { max: 65_535 }, Reload,
            example = "\"${file:sn-password}\"",
            later = "this version checks no passwords, so every device is let in, with or without it";
        /// Predefined topic ids (1 to 65534; 0 is reserved) that every device may use without REGISTER.
        predefined_topics: BTreeMap<u16, TopicName>, "mqtt.sn.predefined.topic" = "{}", Kind::Topics, Reload,
            example = "\"sensors/temperature\"";
        /// The same of single devices. A device's own ids and names go before those of all.
        predefined_clients: ClientTopics, "mqtt.sn.predefined.client" = "{}", Kind::ClientTopics, Reload,
            example = "\"meters/1/power\"";
        /// A file with more of both, as the Paho gateway has it; a reload reads it again.
        predefined_file: Option<PredefinedFile>, "mqtt.sn.predefined_file" = "\"\"", Kind::PredefinedFile, Reload,
            example = "\"predefinedTopic.conf\"";
        /// What stands before every topic that devices publish and subscribe to, and is taken off what they get. With
        /// %c each device has a part of its own; ids with / + # in them are refused then, and so are publishes
        /// without a connection, since nobody's id stands in them. %h is the IP address that a device connected from,
        /// or its forwarder.
        mountpoint: String, "mqtt.sn.mountpoint" = "\"\"", Kind::Mountpoint, Restart, example = "\"devices/%c/\"";
        /// Topic ids that one device may register.
        max_topics: u32, "mqtt.sn.max_topics" = "1000", Kind::Integer { min: 1, max: 60_000 }, Reload;
        /// Bytes of a device's client id; the specification says 23, devices use up to 200.
        max_client_id: u32, "mqtt.sn.max_client_id" = "255", Kind::Integer { min: 23, max: 65_535 }, Reload;
        /// Bytes of the largest datagram that is sent; a message that is longer is dropped and counted.
        max_datagram: u32, "mqtt.sn.max_datagram" = "65507", Kind::Integer { min: 64, max: 65_507 }, Reload;
        /// Whether QoS -1 may carry its topic name in front of the payload, as several clients do.
        inline_topic_names: bool, "mqtt.sn.inline_topic_names" = "true", Kind::Bool, Reload;
        /// How long an acknowledgement is waited for before a message is sent again.
        retry_interval: Duration, "mqtt.sn.retry_interval" = "10",
            Kind::Duration { min: SECOND, max: Duration::from_secs(600), may_be_off: false, whole_seconds: false }, Reload;
        /// How often it is sent again; then it waits for the next connection or wake-up.
        retry_count: u8, "mqtt.sn.retry_count" = "5", Kind::Integer { min: 0, max: 100 }, Reload;
        /// Whether topic ids are registered again before their first message after a reconnect.
        subs_resume: bool, "mqtt.sn.subs_resume" = "true", Kind::Bool, Reload;
        /// What a SUBACK says for a topic of two characters: 0, or its name as RIOT's emcute needs it.
        suback_short_topic_id: SnShortSuback, "mqtt.sn.suback_short_topic_id" = "\"zero\"",
            Kind::Choice(SnShortSuback::WORDS), Reload;
        /// Messages that a sleeping device gets at one wake-up.
        awake_limit: u32, "mqtt.sn.awake_limit" = "1000", Kind::Integer { min: 1, max: 1_000_000 }, Reload;
        /// Whether QoS 0 messages are kept for devices that sleep.
        queue_qos0: bool, "mqtt.sn.queue_qos0" = "true", Kind::Bool, Reload;
        /// Whether they are kept for devices that are away: lost or disconnected, with a session that stays.
        queue_qos0_parked: bool, "mqtt.sn.queue_qos0_parked" = "false", Kind::Bool, Reload;
        /// QoS 2 messages from one device that wait for their PUBREL. The next is answered with PUBACK "congestion".
        incoming_qos2: u16, "mqtt.sn.incoming_qos2" = "32", Kind::Integer { min: 1, max: 1_000 }, Reload;
        /// What CleanSession does in a CONNECT that ends a sleep: nothing ("keep", for clients that repeat their
        /// first CONNECT), or what the specification says ("wipe").
        sleep_connect_clean: SnSleepConnectClean, "mqtt.sn.sleep_connect_clean" = "\"keep\"",
            Kind::Choice(SnSleepConnectClean::WORDS), Reload;
        /// From where a sleeping device may wake by its client id: the address that it slept from with any port,
        /// "any" address, "never" another one, or only with the same DTLS identity.
        rebind: SnRebind, "mqtt.sn.rebind" = "\"same-ip\"", Kind::Choice(SnRebind::WORDS), Reload;
        /// Whether the same holds for a device that is awake and whose address translation changed.
        rebind_active: bool, "mqtt.sn.rebind_active" = "false", Kind::Bool, Reload;
        /// Whose deliveries are limited to three times what was received, until an address has shown that it is
        /// real: "public" ones, "all", or none ("off").
        reflect_guard: SnReflectGuard, "mqtt.sn.reflect_guard" = "\"public\"",
            Kind::Choice(SnReflectGuard::WORDS), Reload;
        /// Whether requests of unknown devices are answered with DISCONNECT, so that they connect again.
        disconnect_unknown: bool, "mqtt.sn.disconnect_unknown" = "true", Kind::Bool, Reload;
        /// Forwarders whose encapsulation is believed; none unless listed.
        forwarders: Vec<Network>, "mqtt.sn.forwarders" = "[]", Kind::Networks, Reload, example = "[\"10.1.2.0/28\"]";
        /// Which of them hear the announcements too, encapsulated, for the nodes behind them.
        advertise_to_forwarders: Vec<SocketAddr>, "mqtt.sn.advertise_to_forwarders" = "[]", Kind::Peers, Reload;
        /// Devices behind one forwarder. Beyond, the oldest that has done nothing but connect makes room; where there
        /// is none, the newcomer is answered with "congestion".
        nodes_per_forwarder: u32, "mqtt.sn.nodes_per_forwarder" = "10000", Kind::Integer { min: 1, max: 1_000_000 },
            Reload;
        /// Messages a second from one address that is no forwarder; what is more is dropped and counted. 0 is no
        /// limit. The networks of limits.exempt have none.
        rates_address: u32, "mqtt.sn.rates.address" = "0", RATE, Reload, example = "1000";
        /// As many at once; 0 is as many as in a second. The same holds for the bursts below.
        rates_address_burst: u32, "mqtt.sn.rates.address_burst" = "0", RATE, Reload;
        /// Messages a second of one device, wherever it is.
        rates_client: u32, "mqtt.sn.rates.client" = "0", RATE, Reload, example = "50";
        /// As many at once.
        rates_client_burst: u32, "mqtt.sn.rates.client_burst" = "0", RATE, Reload, example = "200";
        /// Messages a second of one node id behind a forwarder.
        rates_node: u32, "mqtt.sn.rates.node" = "0", RATE, Reload, example = "50";
        /// As many at once.
        rates_node_burst: u32, "mqtt.sn.rates.node_burst" = "0", RATE, Reload;
        /// Messages a second of one forwarder, all its nodes together.
        rates_forwarder: u32, "mqtt.sn.rates.forwarder" = "0", RATE, Reload, example = "5000";
        /// As many at once.
        rates_forwarder_burst: u32, "mqtt.sn.rates.forwarder_burst" = "0", RATE, Reload;
        /// CONNECTs a second from one address, or of one node id behind a forwarder; the next is answered with
        /// "congestion". 0 is no limit. The networks of limits.exempt have none.
        rates_connects: u32, "mqtt.sn.rates.connects" = "1000", RATE, Reload;
    }

    /// LwM2M devices (CoAP over UDP).
    lwm2m: Lwm2mConfig {
        /// UDP port.
        port: u16, "lwm2m.port" = "5683", PORT, Restart;
        /// Local addresses, each with a port of its own if wanted. An empty list turns LwM2M off.
        bind: Vec<Bind>, "lwm2m.bind" = "[\"127.0.0.1\", \"::1\"]", Kind::Binds, Restart,
            example = "[\"0.0.0.0\", \"::\"]";
        /// Certificate for DTLS (PEM).
        certfile: Option<PathBuf>, "lwm2m.certfile" = "\"\"", Kind::File, Restart,
            example = "\"cert.pem\"",
            later = "DTLS is not built into this version; coaps on 5684 stays closed";
        /// Private key for it (PEM).
        keyfile: Option<PathBuf>, "lwm2m.keyfile" = "\"\"", Kind::File, Restart,
            example = "\"key.pem\"",
            later = "DTLS is not built into this version; coaps on 5684 stays closed";
        /// Folder of the object descriptions (OMA XML), which go over those inside of the program. Not set:
        /// "xml_dir" in the working folder, else /usr/share/turnstone/xml_dir.
        xml_dir: Option<PathBuf>, "lwm2m.xml_dir" = "\"\"", Kind::Folder, Reload,
            example = "\"xml_dir\"";
        /// Folder of the firmware images that commands may name. Not set: only URIs can be named.
        firmware_dir: Option<PathBuf>, "lwm2m.firmware_dir" = "\"\"", Kind::Folder, Restart,
            example = "\"firmware\"";
        /// What stands before the topics of a device; %e is its endpoint name, a level of its own. %h, which need not
        /// be there, is the IP address that it registered from; it stays when the device moves, until it registers
        /// anew.
        mountpoint: String, "lwm2m.mountpoint" = "\"lwm2m/%e/\"", Kind::DeviceMountpoint, Restart,
            example = "\"site1/%e/\"";
        /// Topic, below the mount point, of commands in both forms (CmdID/Command and reqID/msgType).
        topic_command: String, "lwm2m.topics.command" = "\"command\"", TOPIC, Restart;
        /// Topic of their answers and notifications.
        topic_response: String, "lwm2m.topics.response" = "\"response\"", TOPIC, Restart;
        /// Topic of commands as EMQX has them, and of all levels below it.
        topic_downlink: String, "lwm2m.topics.dn" = "\"dn\"", TOPIC, Restart;
        /// Topic of the answers to those; "" for none.
        topic_uplink: String, "lwm2m.topics.up" = "\"up/resp\"", TOPIC, Restart;
        /// Topic of notifications and of what devices send by themselves; "" for none.
        topic_notify: String, "lwm2m.topics.notify" = "\"up/notify\"", TOPIC, Restart;
        /// Topic of EMQX's register messages; "" for none.
        topic_register: String, "lwm2m.topics.register" = "\"up/resp\"", TOPIC, Restart;
        /// Topic of EMQX's update messages; "" for none.
        topic_update: String, "lwm2m.topics.update" = "\"up/resp\"", TOPIC, Restart,
            example = "\"up/update\"";
        /// Topic of life-cycle and command events; "" for none.
        topic_event: String, "lwm2m.topics.event" = "\"event\"", TOPIC, Restart;
        /// Topic of the retained online/offline status; "" for none.
        topic_status: String, "lwm2m.topics.status" = "\"status\"", TOPIC, Restart;
        /// QoS of what is published on lwm2m.topics.response.
        qos_response: u8, "lwm2m.qos.response" = "0", QOS, Restart;
        /// The same of lwm2m.topics.up.
        qos_uplink: u8, "lwm2m.qos.up" = "0", QOS, Restart;
        /// The same of lwm2m.topics.notify.
        qos_notify: u8, "lwm2m.qos.notify" = "0", QOS, Restart;
        /// The same of lwm2m.topics.register.
        qos_register: u8, "lwm2m.qos.register" = "0", QOS, Restart;
        /// The same of lwm2m.topics.update.
        qos_update: u8, "lwm2m.qos.update" = "0", QOS, Restart;
        /// The same of lwm2m.topics.event.
        qos_event: u8, "lwm2m.qos.event" = "0", QOS, Restart;
        /// The same of lwm2m.topics.status.
        qos_status: u8, "lwm2m.qos.status" = "1", QOS, Restart;
        /// The shortest lifetime that a device gets; a shorter one, but for 0, is raised.
        lifetime_min: Duration, "lwm2m.lifetime_min" = "\"1s\"",
            Kind::Duration { min: SECOND, max: CENTURY, may_be_off: false, whole_seconds: true }, Reload,
            example = "\"15s\"";
        /// The longest lifetime that a device gets; a longer one is cut.
        lifetime_max: Duration, "lwm2m.lifetime_max" = "\"30d\"",
            Kind::Duration { min: SECOND, max: CENTURY, may_be_off: false, whole_seconds: true }, Reload;
        /// What a lifetime of 0 means: none at all, or the longest.
        lifetime_zero: LifetimeZero, "lwm2m.lifetime_zero" = "\"infinite\"", Kind::Choice(LifetimeZero::WORDS), Reload;
        /// How long a device with queue mode listens after its last message.
        queue_awake: Duration, "lwm2m.queue_awake" = "\"93s\"",
            Kind::Duration { min: SECOND, max: DAY, may_be_off: false, whole_seconds: false }, Reload;
        /// The same for devices by their endpoint names, or by how those begin (with a * at the end); the first
        /// that fits holds.
        queue_awake_of: String, "lwm2m.queue_awake_of" = "\"\"", Kind::Text { max: 4096 }, Reload,
            example = "\"nb-*=20s, meter-7=5s\"";
        /// How long a command waits for a sleeping device, if it does not say.
        command_ttl: Duration, "lwm2m.command_ttl" = "\"2h\"",
            Kind::Duration { min: SECOND, max: CENTURY, may_be_off: false, whole_seconds: true }, Reload;
        /// How long a device may take from its acknowledgement of a command to its answer.
        response_timeout: Duration, "lwm2m.response_timeout" = "\"60s\"",
            Kind::Duration { min: SECOND, max: DAY, may_be_off: false, whole_seconds: false }, Reload;
        /// The largest answer that is taken from a device, in blocks too.
        max_body_size: u64, "lwm2m.max_body_size" = "\"64KiB\"", Kind::Size { min: KIB, max: 4 * MIB }, Reload;
        /// Bytes of the blocks in which bodies go to devices and are asked for: 16, 32, 64, 128, 256, 512 or 1024. A
        /// device that wants smaller ones gets them. For networks that lose what does not fit one frame.
        block_size: u16, "lwm2m.block_size" = "1024", Kind::Integer { min: 16, max: 1_024 }, Reload, example = "64";
        /// Whether a registration follows its device to another address (NAT), or has to be made anew.
        new_address: NewAddress, "lwm2m.new_address" = "\"accept\"", Kind::Choice(NewAddress::WORDS), Reload;
        /// Whether commands for endpoints that are not registered here stay unanswered, since another node may
        /// have them.
        transparent: bool, "lwm2m.transparent" = "false", Kind::Bool, Reload;
        /// Whether EMQX's messages "ack", "coap_timeout" and "coap_reset" are sent, the latter two instead of
        /// answers with code 5.04 and 5.02.
        emqx_compat: bool, "lwm2m.emqx_compat" = "false", Kind::Bool, Reload;
        /// Whether every value comes with its name, type and units (form reqID/msgType).
        content_details: bool, "lwm2m.content_details" = "false", Kind::Bool, Reload;
        /// Whether each value is also published as a plain retained message, on .../3303/0/5700.
        resource_topics: bool, "lwm2m.resource_topics" = "false", Kind::Bool, Reload;
        /// What is observed without a command: "off", "all" (every registered path but the core objects), or
        /// paths with commas between them.
        auto_observe: String, "lwm2m.auto_observe" = "\"off\"", Kind::Text { max: 4096 }, Reload,
            example = "\"/3/0/9, /3303\"";
        /// Which Updates are published on the topic of answers.
        update_events: UpdateEvents, "lwm2m.update_events" = "\"always\"", Kind::Choice(UpdateEvents::WORDS), Reload,
            example = "\"contains_object_list\"";
    }

    /// Bounds, so that no client can take what the others need. What is over one is refused or dropped, and
    /// counted by reason under `$SYS`.
    limits: LimitsConfig {
        /// Connected clients and devices of all protocols. The next one is refused.
        connections: u32, "limits.connections" = "200000", COUNT, Reload;
        /// Connections from one address. The next one is refused.
        connections_per_ip: u32, "limits.connections_per_ip" = "1000", COUNT, Reload;
        /// New connections in a second. Those above wait.
        connects_per_second: u32, "limits.connects_per_second" = "1000", COUNT, Reload;
        /// Networks without a limit per address: this machine, and those behind a NAT or a forwarder.
        exempt: Vec<Network>, "limits.exempt" = "[\"127.0.0.0/8\", \"::1\"]", Kind::Networks, Reload,
            example = "[\"127.0.0.0/8\", \"::1\", \"10.0.0.0/8\"]";
        /// Sessions kept for clients that are away. Beyond, the one away longest ends.
        offline_sessions: u32, "limits.offline_sessions" = "200000", COUNT, Reload;
        /// Levels of a topic name or filter.
        topic_levels: u32, "limits.topic_levels" = "128", SIXTEEN_BITS, Reload;
        /// Length of a topic name or filter.
        topic_bytes: u32, "limits.topic_bytes" = "\"1KiB\"", Kind::Size { min: 1, max: 65_535 }, Reload;
        /// Length of a ClientId.
        client_id_bytes: u32, "limits.client_id_bytes" = "\"1KiB\"", Kind::Size { min: 23, max: 65_535 }, Reload;
        /// Subscriptions of one client.
        subscriptions: u32, "limits.subscriptions" = "1000", COUNT, Reload;
        /// Filters in one SUBSCRIBE or UNSUBSCRIBE.
        filters_per_packet: u32, "limits.filters_per_packet" = "256", SIXTEEN_BITS, Reload;
        /// QoS 1 and 2 messages on their way to one MQTT client.
        inflight: u16, "limits.inflight" = "32", SIXTEEN_BITS, Reload;
        /// QoS 2 messages from one client that wait for their PUBREL. Past it the connection ends; MQTT
        /// 3.1.1 cannot tell a client this number, and some send all they have at once.
        incoming_qos2: u16, "limits.incoming_qos2" = "1000", SIXTEEN_BITS, Reload;
        /// Bytes of QoS 2 messages from one client that wait for their PUBREL.
        incoming_qos2_bytes: u64, "limits.incoming_qos2_bytes" = "\"4MiB\"", Kind::Size { min: KIB, max: 4 * GIB }, Reload;
        /// Messages that wait for one client, asleep and away ones too. When it is full, QoS 0 goes first,
        /// then the newcomer.
        queue_messages: u32, "limits.queue_messages" = "1000", COUNT, Reload;
        /// Bytes that wait for one client.
        queue_bytes: u64, "limits.queue_bytes" = "\"1MiB\"", Kind::Size { min: KIB, max: 64 * GIB }, Reload;
        /// Bytes that wait for all clients together.
        queue_bytes_total: u64, "limits.queue_bytes_total" = "\"1GiB\"", Kind::Size { min: MIB, max: 1024 * GIB }, Reload;
        /// Bytes that may wait in the output of one TCP connection before its queue fills.
        stream_bytes: u32, "limits.stream_bytes" = "\"256KiB\"", Kind::Size { min: 4 * KIB, max: GIB }, Reload;
        /// How often a message that a device did not acknowledge is put back and tried again later.
        park_rounds: u8, "limits.park_rounds" = "3", Kind::Integer { min: 0, max: 255 }, Reload;
        /// Retained messages.
        retained_messages: u32, "limits.retained_messages" = "1000000", COUNT, Reload;
        /// Bytes of retained messages, topic and payload.
        retained_bytes: u64, "limits.retained_bytes" = "\"256MiB\"", Kind::Size { min: KIB, max: 1024 * GIB }, Reload;
        /// Bytes of a will.
        will_bytes: u64, "limits.will_bytes" = "\"64KiB\"", Kind::Size { min: 1, max: MQTT_PACKET_MAX }, Reload;
        /// Bytes that a protocol keeps with one session: topic ids, a registration, observations.
        memo_bytes: u64, "limits.memo_bytes" = "\"256KiB\"", Kind::Size { min: KIB, max: 64 * MIB }, Reload;
        /// Deliveries of one message before other work gets its turn.
        slice_deliveries: u32, "limits.slice_deliveries" = "1024", Kind::Integer { min: 1, max: 1_000_000 }, Reload;
    }
}

/// All keys, in the order of the table.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The row that a dotted name belongs to; for a member of a family also the rest of the name: the id of a predefined
/// topic, or `CLIENT.topic.N`.
pub fn find(name: &str) -> Option<(&'static Key, Option<&str>)> {
    keys().find_map(|key| {
        if key.name == name {
            return Some((key, None));
        }
        let rest = name.strip_prefix(key.name)?.strip_prefix('.')?;
        let is_member = match key.kind {
            Kind::Topics => !rest.contains('.'),
            Kind::ClientTopics => client_topic(rest).is_some(),
            _ => false,
        };
        is_member.then_some((key, Some(rest)))
    })
}

/// Takes `CLIENT.topic.N` apart. A ClientId may hold dots, an id may not.
pub(crate) fn client_topic(rest: &str) -> Option<(&str, &str)> {
    let (client, id) = rest.rsplit_once('.')?;
    let client = client.strip_suffix(".topic")?;
    (!client.is_empty()).then_some((client, id))
}
