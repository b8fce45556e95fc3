//! Rules that tie keys together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use broker_core::topic::{TopicError, TopicLimits, TopicNameRef};
use sn_proto::topics::PredefinedError;

use super::kind::{bare_or_quoted, quote};
use super::problem::{Place, Problem};
use super::schema::Config;
use super::units::{format_duration, format_size};

/// Checks what no key can check alone. Rules about a key that failed are left out.
pub(crate) fn check(
    config: &Config,
    origins: &BTreeMap<String, Place>,
    failed: &BTreeSet<&'static str>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let sound = |names: &[&str]| names.iter().all(|name| !failed.contains(name));
    // The first of the keys that somebody set is the one to name.
    let place =
        |names: &[&str]| names.iter().find_map(|name| origins.get(*name)).cloned().unwrap_or(Place::Default);
    let (one, all) = (config.limits.queue_bytes, config.limits.queue_bytes_total);
    if one > all && sound(&["limits.queue_bytes", "limits.queue_bytes_total"]) {
        let (one, all) = (format_size(one), format_size(all));
        problems.push(Problem {
            place: place(&["limits.queue_bytes", "limits.queue_bytes_total"]),
            what: format!(
                "limits.queue_bytes = \"{one}\" is larger than limits.queue_bytes_total = \"{all}\""
            ),
            rule: "one client's share is at most the whole".to_owned(),
            advice: format!("limits.queue_bytes = \"{all}\", or a larger limits.queue_bytes_total"),
        });
    }

    let bounds = TopicLimits {
        levels_max: usize::try_from(config.limits.topic_levels).unwrap_or(usize::MAX),
        bytes_max: usize::try_from(config.limits.topic_bytes).unwrap_or(usize::MAX),
    };
    let predefined = &config.sn;
    let (file, name_of) = (&predefined.predefined_file, |client: Option<&str>, id: u16| match client {
        None => format!("mqtt.sn.predefined.topic.{id}"),
        Some(client) => format!("mqtt.sn.predefined.client.{}.topic.{id}", bare_or_quoted(client)),
    });
    if sound(&["limits.topic_levels", "limits.topic_bytes"]) {
        let over = |name: String, at: Place, error: TopicError| Problem {
            place: at,
            what: format!("{name} is over the limits of topics: {error}"),
            rule: format!(
                "limits.topic_levels = {}, limits.topic_bytes = \"{}\"",
                bounds.levels_max,
                format_size(u64::from(config.limits.topic_bytes))
            ),
            advice: "a shorter topic name, or higher limits".to_owned(),
        };
        for (client, id, topic) in predefined.own_topics() {
            if let Err(error) = topic.as_name().within(&bounds) {
                let name = name_of(client, id);
                problems.push(over(name.clone(), place(&[&name]), error));
            }
        }
        for (_, id, topic) in file.iter().flat_map(|file| file.table.iter()) {
            if let Err(error) = TopicNameRef::new_within(topic, &bounds) {
                let name = format!("the topic with id {id} of mqtt.sn.predefined_file");
                problems.push(over(name, place(&["mqtt.sn.predefined_file"]), error));
            }
        }
    }

    // The file first, then what the settings add to it, in the order of the ids.
    let mut table = file.as_ref().map(|file| file.table.clone()).unwrap_or_default();
    for (client, id, topic) in predefined.own_topics() {
        let Err(error) = table.add(client, id, topic.as_str()) else { continue };
        let name = name_of(client, id);
        let (what, rule, advice) = match &error {
            PredefinedError::NameTwice(_, first) => (
                format!("{name} = {} has the id {first} already", quote(topic.as_str())),
                "a topic has one predefined id",
                format!("remove one of the two ids, {first} or {id}"),
            ),
            PredefinedError::IdTwice(_, other) => (
                format!(
                    "{name} = {} and mqtt.sn.predefined_file has {} under this id",
                    quote(topic.as_str()),
                    quote(other)
                ),
                "a predefined id stands for one topic",
                "another id, or remove one of the two".to_owned(),
            ),
            PredefinedError::ReservedId(_)
            | PredefinedError::Topic(_)
            | PredefinedError::Format
            | PredefinedError::NotANumber
            | PredefinedError::NoClient => {
                (format!("{name}: {error}"), "a predefined topic", "remove it".to_owned())
            }
        };
        problems.push(Problem { place: place(&[&name]), what, rule: rule.to_owned(), advice });
    }

    let block = config.lwm2m.block_size;
    if sound(&["lwm2m.block_size"]) && !block.is_power_of_two() {
        problems.push(Problem {
            place: place(&["lwm2m.block_size"]),
            what: format!("lwm2m.block_size = {block} is no size that blocks have"),
            rule: "16, 32, 64, 128, 256, 512 or 1024 (RFC 7959 §2.2)".to_owned(),
            advice: format!("lwm2m.block_size = {}", (1_u16 << block.ilog2()).clamp(16, 1_024)),
        });
    }
    for (key, error) in config.lwm2m.leaves().bad_leaves() {
        let name = format!("lwm2m.topics.{key}");
        let usual = match key {
            "up" | "register" | "update" => "up/resp",
            "notify" => "up/notify",
            other => other,
        };
        if sound(&[&name]) {
            problems.push(Problem {
                place: place(&[&name]),
                what: format!("{name} is not a topic that can serve"),
                rule: error.to_string(),
                advice: format!("{name} = \"{usual}\""),
            });
        }
    }
    if sound(&["lwm2m.auto_observe"])
        && let Err(error) = config.lwm2m.observed()
    {
        problems.push(Problem {
            place: place(&["lwm2m.auto_observe"]),
            what: format!("lwm2m.auto_observe: {error}"),
            rule: "\"off\", \"all\", or object paths with commas between them".to_owned(),
            advice: "lwm2m.auto_observe = \"/3/0/9, /3303\"".to_owned(),
        });
    }

    problems.extend(discovery(config, &sound, &place));
    if sound(&["lwm2m.queue_awake_of"])
        && let Err(error) = config.lwm2m.awake_windows()
    {
        problems.push(Problem {
            place: place(&["lwm2m.queue_awake_of"]),
            what: format!("lwm2m.queue_awake_of: {error}"),
            rule: "NAME=DURATION, with commas between them; a NAME may end with *".to_owned(),
            advice: "lwm2m.queue_awake_of = \"nb-*=20s, meter-7=5s\"".to_owned(),
        });
    }
    let lifetimes = ["lwm2m.lifetime_min", "lwm2m.lifetime_max"];
    if config.lwm2m.lifetime_min > config.lwm2m.lifetime_max && sound(&lifetimes) {
        let (min, max) =
            (format_duration(config.lwm2m.lifetime_min), format_duration(config.lwm2m.lifetime_max));
        problems.push(Problem {
            place: place(&lifetimes),
            what: format!("lwm2m.lifetime_min = \"{min}\" is longer than lwm2m.lifetime_max = \"{max}\""),
            rule: "the shortest lifetime is at most the longest".to_owned(),
            advice: format!("lwm2m.lifetime_min = \"{max}\", or a longer lwm2m.lifetime_max"),
        });
    }

    let listen_keys = ["mqtt.bind", "mqtt.sn.bind", "lwm2m.bind"];
    if !sound(&listen_keys) || !sound(&["mqtt.port", "mqtt.sn.port", "lwm2m.port"]) {
        return problems;
    }
    let listeners = config.listeners();
    if listeners.is_empty() {
        problems.push(Problem {
            place: place(&listen_keys),
            what: "mqtt.bind, mqtt.sn.bind and lwm2m.bind are all empty: there is nothing to serve"
                .to_owned(),
            rule: "at least one listener".to_owned(),
            advice: "leave one of them out, or mqtt.bind = [\"127.0.0.1\", \"::1\"]".to_owned(),
        });
    }
    for (index, a) in listeners.iter().enumerate() {
        for b in listeners.iter().skip(index + 1) {
            if a.protocol.transport() != b.protocol.transport() || !collide(a.address, b.address) {
                continue;
            }
            let (a_port, b_port) = (a.protocol.port_key(), b.protocol.port_key());
            let keys = [b.protocol.bind_key(), b_port, a.protocol.bind_key(), a_port];
            problems.push(Problem {
                place: place(&keys),
                what: format!(
                    "{} {} and {} {} want the same {} port",
                    a.protocol.bind_key(),
                    a.address,
                    b.protocol.bind_key(),
                    b.address,
                    a.protocol.transport()
                ),
                rule: "each listener has an address and port of its own".to_owned(),
                advice: if a.protocol == b.protocol {
                    format!("remove one of the two from {}", b.protocol.bind_key())
                } else {
                    format!("a {b_port} that differs from {a_port}")
                },
            });
        }
    }
    problems
}

/// What discovery of MQTT-SN needs of other keys.
fn discovery(
    config: &Config,
    sound: &dyn Fn(&[&str]) -> bool,
    place: &dyn Fn(&[&str]) -> Place,
) -> Vec<Problem> {
    const GROUPS: &str = "mqtt.sn.groups";
    const STANDBY: &str = "mqtt.sn.standby_for";
    const TO_FORWARDERS: &str = "mqtt.sn.advertise_to_forwarders";
    let sn = &config.sn;
    let mut problems = Vec::new();
    if sn.standby_for == Some(sn.gateway_id) && sound(&[STANDBY, "mqtt.sn.gateway_id"]) {
        problems.push(Problem {
            place: place(&[STANDBY, "mqtt.sn.gateway_id"]),
            what: format!("{STANDBY} = {} is this gateway's own id", sn.gateway_id),
            rule: "a gateway stands by for another one".to_owned(),
            advice: "the other one's id, or another mqtt.sn.gateway_id for this one".to_owned(),
        });
    }
    let listening = |v4: bool| sn.bind.iter().any(|bind| bind.ip.is_ipv4() == v4);
    let unheard = |v4: bool| !sn.bind.is_empty() && !listening(v4) && sound(&["mqtt.sn.bind"]);
    let open = |v4: bool| if v4 { "\"0.0.0.0\"" } else { "\"::\"" };
    for group in sn.groups.iter().flatten().filter(|group| unheard(group.ip.is_ipv4())) {
        problems.push(Problem {
            place: place(&[GROUPS, "mqtt.sn.bind"]),
            what: format!("{GROUPS}: {group} has no address of its family in mqtt.sn.bind to answer from"),
            rule: "answers on a group leave from a port of mqtt.sn.bind".to_owned(),
            advice: format!("{} in mqtt.sn.bind, or {group} out of {GROUPS}", open(group.ip.is_ipv4())),
        });
    }
    for peer in &sn.advertise_to_forwarders {
        if !sn.forwarders.iter().any(|network| network.contains(peer.ip()))
            && sound(&["mqtt.sn.forwarders", TO_FORWARDERS])
        {
            problems.push(Problem {
                place: place(&[TO_FORWARDERS]),
                what: format!("{TO_FORWARDERS}: {} is no listed forwarder", peer.ip()),
                rule: "only what mqtt.sn.forwarders lists is believed".to_owned(),
                advice: format!("mqtt.sn.forwarders = [{}]", quote(&peer.ip().to_string())),
            });
        }
        if !sn.bind.is_empty() && sound(&["mqtt.sn.bind"]) && config.sn_listener_towards(*peer).is_none() {
            problems.push(Problem {
                place: place(&[TO_FORWARDERS, "mqtt.sn.bind"]),
                what: format!("{TO_FORWARDERS}: no address of mqtt.sn.bind leads to {peer}"),
                rule: "announcements leave from a port of mqtt.sn.bind".to_owned(),
                advice: format!("{} in mqtt.sn.bind, or {peer} out of {TO_FORWARDERS}", open(peer.is_ipv4())),
            });
        }
    }
    problems
}

/// What is allowed and yet seldom meant.
pub(crate) fn doubts(config: &Config, origins: &BTreeMap<String, Place>) -> Vec<Problem> {
    const PERIOD: &str = "mqtt.sn.advertise_duration";
    let seconds = config.sn.advertise_duration.as_secs();
    let mut doubts = Vec::new();
    if seconds > 32_767 {
        doubts.push(Problem {
            place: origins.get(PERIOD).cloned().unwrap_or(Place::Default),
            what: format!(
                "{PERIOD} = {seconds} is negative for clients that read it as a signed number (Zephyr)"
            ),
            rule: "a 16-bit number of seconds, which some clients take for signed".to_owned(),
            advice: format!("{PERIOD} = 32767 or less"),
        });
    }
    doubts
}

/// Whether the kernel cannot tell the two apart (`0.0.0.0` holds every IPv4 address, `::` every IPv6 one).
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && same_family && overlap
}
