//! "Did you mean": the known name nearest to an unknown one.

use super::kind::Kind;
use super::schema;

/// Below this similarity (0 to 1) a guess confuses more than it helps.
const SIMILAR_ENOUGH: f64 = 0.7;

/// The word most like `word`, if any is like it at all.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let mut best: Option<(&str, f64)> = None;
    for candidate in candidates {
        // `warning` for warn, `err` for error
        let shorter = word.len().min(candidate.len());
        let begins = shorter >= 3 && (word.starts_with(candidate) || candidate.starts_with(&word));
        let score =
            strsim::normalized_damerau_levenshtein(&word, candidate).max(if begins { 0.9 } else { 0.0 });
        if score >= SIMILAR_ENOUGH && best.is_none_or(|(_, best_score)| score > best_score) {
            best = Some((candidate, score));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// What other brokers call a thing that has a key here (mosquitto.conf, the EMQ X plugins).
const ELSEWHERE: &[(&str, &str)] = &[
    ("listener", "mqtt.port"),
    ("bind_address", "mqtt.bind"),
    ("max_connections", "limits.connections"),
    ("max_inflight_messages", "limits.inflight"),
    ("max_queued_messages", "limits.queue_messages"),
    ("max_queued_bytes", "limits.queue_bytes"),
    ("message_size_limit", "mqtt.max_packet_size"),
    ("queue_qos0_messages", "mqtt.queue_qos0_offline"),
    ("persistent_client_expiration", "mqtt.session_expiry"),
    ("allow_duplicate_messages", "mqtt.overlapping"),
    ("sys_interval", "sys.interval"),
    ("log_type", "log.level"),
    ("multicast_groups", "mqtt.sn.groups"),
    ("mqtt.sn.broadcast", "mqtt.sn.groups"),
    ("mqtt.sn.multicast_join", "mqtt.sn.groups"),
    ("lwm2m.bind.udp.1", "lwm2m.bind"),
    ("lwm2m.qmode_time_window", "lwm2m.queue_awake"),
    ("lwm2m.update_msg_publish_condition", "lwm2m.update_events"),
    ("lwm2m.blockwise.max_body_size", "lwm2m.max_body_size"),
];

/// The dotted name of the key most like `name`.
pub(super) fn nearest_key(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.is_empty() {
        return None;
    }
    if let Some((_, here)) = ELSEWHERE.iter().find(|(there, _)| *there == name) {
        return Some((*here).to_owned());
    }
    let section = name.strip_suffix(last).unwrap_or_default();
    let known: Vec<String> = schema::keys()
        .map(|key| match key.kind {
            Kind::Topics => format!("{}.{last}", key.name),
            Kind::ClientTopics => format!("{}.meter-1.topic.{last}", key.name),
            _ => key.name.to_owned(),
        })
        .collect();
    let exact = known.iter().find(|key| **key == name);
    // A key below the wrong [header], as log.mqtt.port.
    let under_header = || {
        let ends = known.iter().filter(|key| name.ends_with(&format!(".{key}")));
        ends.max_by_key(|key| key.len())
    };
    // A key without its section, as sn.gateway_id; it must be the only one.
    let unsectioned = || {
        let ending = format!(".{name}");
        let mut ends = schema::keys().filter(|key| key.name.ends_with(&ending));
        ends.next()
            .filter(|_| ends.next().is_none())
            .and_then(|key| known.iter().find(|name| *name == key.name))
    };
    let spelled = || {
        let scored = known.iter().map(|key| {
            let whole = strsim::normalized_damerau_levenshtein(&name, key);
            // In the right section only the key's own name counts: a long section makes everything alike.
            let own = key.strip_prefix(section).filter(|own| !section.is_empty() && !own.contains('.'));
            (key, own.map_or(whole, |own| strsim::normalized_damerau_levenshtein(last, own)))
        });
        let best = scored.filter(|(_, score)| *score >= SIMILAR_ENOUGH).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(key, _)| key)
    };
    // The right section and the beginning of the key's own name.
    let begun = || {
        let begins = |key: &&String| {
            key.strip_prefix(section)
                .is_some_and(|own| last.len() >= 4 && (own.starts_with(last) || last.starts_with(own)))
        };
        known.iter().find(begins)
    };
    exact.or_else(under_header).or_else(unsectioned).or_else(spelled).or_else(begun).cloned()
}

/// Whether `name` is the beginning of some key, so that a table may stand there.
pub(super) fn is_section(name: &str) -> bool {
    schema::keys().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The section most like `name`.
pub(super) fn nearest_section(name: &str) -> Option<&'static str> {
    nearest(name, sections())
}

/// Every dotted beginning of a key.
fn sections() -> impl Iterator<Item = &'static str> {
    schema::keys().flat_map(|key| key.name.match_indices('.').filter_map(|(dot, _)| key.name.get(..dot)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_find_their_neighbour() {
        for (wrong, right) in [
            ("mqtt.prot", "mqtt.port"),
            ("mqtt.sn.gateway-id", "mqtt.sn.gateway_id"),
            ("MQTT.Port", "mqtt.port"),
            ("log.mqtt.sn.port", "mqtt.sn.port"),
            ("sn.gateway_id", "mqtt.sn.gateway_id"),
            ("mqtt.sn.advertise", "mqtt.sn.advertise_duration"),
            ("mqtt.sn.predefined.topics.3", "mqtt.sn.predefined.topic.3"),
            ("lwm2m.cert_file", "lwm2m.certfile"),
            ("limits.topic_level", "limits.topic_levels"),
            ("max_queued_messages", "limits.queue_messages"),
        ] {
            assert_eq!(nearest_key(wrong).as_deref(), Some(right), "{wrong}");
        }
        for unlike in
            ["completely.different", "", "allow_anonymous", "mqtt.sn.enable_stats", "zigbee", "port"]
        {
            assert_eq!(nearest_key(unlike), None, "{unlike}");
        }
        for (_, here) in ELSEWHERE {
            assert!(schema::find(here).is_some(), "{here}");
        }
    }

    #[test]
    fn sections_are_every_beginning_of_a_key() {
        assert!(is_section("mqtt") && is_section("mqtt.sn") && is_section("mqtt.sn.predefined"));
        assert!(!is_section("mqtt.port") && !is_section("mq") && !is_section(""));
        assert_eq!(nearest_section("lwm2n"), Some("lwm2m"));
        assert_eq!(nearest_section("zigbee"), None);
    }
}
