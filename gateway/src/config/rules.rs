//! Rules that tie keys together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::problem::{Place, Problem};
use super::schema::Config;
use super::units::format_size;

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
    for (small, small_name, large, large_name) in [
        (
            config.mqtt.max_connect_size,
            "mqtt.max_connect_size",
            config.mqtt.max_packet_size,
            "mqtt.max_packet_size",
        ),
        (
            config.limits.queue_bytes,
            "limits.queue_bytes",
            config.limits.queue_bytes_total,
            "limits.queue_bytes_total",
        ),
    ] {
        if small > large && sound(&[small_name, large_name]) {
            problems.push(Problem {
                place: place(&[small_name, large_name]),
                what: format!(
                    "{small_name} = \"{}\" is larger than {large_name} = \"{}\"",
                    format_size(small),
                    format_size(large)
                ),
                rule: format!("{small_name} is at most {large_name}"),
                advice: format!("{small_name} = \"{}\", or a larger {large_name}", format_size(large)),
            });
        }
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

/// Whether the kernel cannot tell the two apart (`0.0.0.0` holds every IPv4 address, `::` every IPv6 one).
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && same_family && overlap
}
