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
        let score = strsim::normalized_damerau_levenshtein(&word, candidate);
        if score >= SIMILAR_ENOUGH && best.is_none_or(|(_, best_score)| score > best_score) {
            best = Some((candidate, score));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// The dotted name of the key most like `name`.
pub(super) fn nearest_key(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.is_empty() {
        return None;
    }
    let known: Vec<String> = schema::keys()
        .map(|key| match key.kind {
            Kind::Topics => format!("{}.{last}", key.name),
            _ => key.name.to_owned(),
        })
        .collect();
    let exact = known.iter().find(|key| **key == name);
    // A key below the wrong [header] (log.mqtt.port), or one without its section (sn.port).
    let misplaced = || {
        let under_header =
            known.iter().filter(|key| name.ends_with(&format!(".{key}"))).max_by_key(|key| key.len());
        under_header.or_else(|| {
            let mut ending = known.iter().filter(|key| key.ends_with(&format!(".{name}")));
            ending.next().filter(|_| ending.next().is_none())
        })
    };
    let spelled = || {
        let word = nearest(&name, known.iter().map(String::as_str))?;
        known.iter().find(|key| *key == word)
    };
    // The right section and the beginning of the key's own name.
    let begun = || {
        let section = name.strip_suffix(last)?;
        known
            .iter()
            .filter_map(|key| {
                let own = key.strip_prefix(section)?;
                let score = strsim::jaro_winkler(last, own);
                (score >= 0.85).then_some((key, score))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(key, _)| key)
    };
    exact.or_else(misplaced).or_else(spelled).or_else(begun).cloned()
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
        ] {
            assert_eq!(nearest_key(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(nearest_key("completely.different"), None);
        assert_eq!(nearest_key(""), None);
    }

    #[test]
    fn sections_are_every_beginning_of_a_key() {
        assert!(is_section("mqtt") && is_section("mqtt.sn") && is_section("mqtt.sn.predefined"));
        assert!(!is_section("mqtt.port") && !is_section("mq") && !is_section(""));
        assert_eq!(nearest_section("lwm2n"), Some("lwm2m"));
        assert_eq!(nearest_section("zigbee"), None);
    }
}
