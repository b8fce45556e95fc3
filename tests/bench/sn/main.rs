//! What MQTT-SN costs: CPU per message from end to end over real sockets, memory of many devices, and the gateway's
//! behaviour under a flood.
//!
//! `cargo bench -p turnstone-tests --bench sn [-- --quick] [--only NAME]`. There is no packaged peer to compare with
//! (RSMB and Eclipse Paho's gateway are built from source), so each figure of CPU stands beside that of a floor: a
//! relay that makes the same system calls and nothing else, see [`floor`]. On another machine the ratio is what
//! can be compared. The MQTT figures of `--bench broker` tell what mosquitto takes for the same without MQTT-SN.
//! Needs root for the enlarged socket buffers.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
#[path = "../client.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod client;
mod crowd;
mod datagrams;
mod devices;
mod fairness;
mod floor;
mod flow;
#[path = "../peer.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod peer;

use flow::Side;
use peer::{Kind, Peer};
use std::io;
use std::process::Command;
use std::time::Duration;

/// A row of CPU per message: name, ends, QoS, bar and goal in microseconds.
type Row = (&'static str, Side, Side, u8, f64, f64);

/// Subscribers that speak MQTT-SN have the bars of those that do not.
const ROWS: [Row; 9] = [
    ("sn to mqtt qos0", Side::Sn, Side::Mqtt, 0, 5.0, 3.5),
    ("sn to mqtt qos1", Side::Sn, Side::Mqtt, 1, 8.0, 5.3),
    ("sn to mqtt qos2", Side::Sn, Side::Mqtt, 2, 14.0, 11.0),
    ("mqtt to sn qos0", Side::Mqtt, Side::Sn, 0, 5.0, 3.5),
    ("mqtt to sn qos1", Side::Mqtt, Side::Sn, 1, 8.0, 5.3),
    ("mqtt to sn qos2", Side::Mqtt, Side::Sn, 2, 14.0, 11.0),
    ("sn to sn qos0", Side::Sn, Side::Sn, 0, 5.0, 3.5),
    ("sn to sn qos1", Side::Sn, Side::Sn, 1, 8.0, 5.3),
    ("sn to sn qos2", Side::Sn, Side::Sn, 2, 14.0, 11.0),
];

struct Scale {
    messages: usize,
    devices: usize,
    flood: Duration,
}

const FULL: Scale = Scale { messages: 200_000, devices: 100_000, flood: Duration::from_secs(10) };
const QUICK: Scale = Scale { messages: 20_000, devices: 10_000, flood: Duration::from_secs(2) };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(ports) = after("--floor") {
        let ended = ports.split_once(',').and_then(|(tcp, udp)| Some((tcp.parse().ok()?, udp.parse().ok()?)));
        let (tcp, udp) = ended.expect("two ports");
        floor::serve(tcp, udp).expect("the floor serves");
        return;
    }
    peer::raise_file_limit();
    let scale = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let only = after("--only");
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut missed = 0;
    println!(
        "{:<44} {:>10} {:>10} {:>7} {:>7} {:>7}  unit",
        "row", "turnstone", "floor", "ratio", "bar", "goal"
    );
    for row in ROWS.iter().filter(|row| wanted(row.0)) {
        missed += cpu(row, &scale);
    }
    if wanted("sn crowd") {
        missed += report("sn crowd", |peer, line| crowd::crowd(peer, scale.devices, line));
    }
    if wanted("sn flood") {
        missed += report("sn flood", |peer, line| fairness::fairness(peer, scale.flood, line));
    }
    println!("{missed} figures over their bar (absolute; a noisy machine moves it: look at the ratio)");
}

/// Measures a row on both; 1 when it is over its bar.
fn cpu(&(name, from, to, qos, bar, goal): &Row, scale: &Scale) -> usize {
    let messages = scale.messages / (1 + usize::from(qos));
    let measure = |peer: io::Result<Peer>| peer.and_then(|peer| flow::flow(&peer, messages, from, to, qos));
    let (ours, theirs) = (measure(Peer::start(Kind::Turnstone)), measure(start_floor()));
    for (who, result) in [("turnstone", &ours), ("floor", &theirs)] {
        if let Err(error) = result {
            eprintln!("{name}: {who}: {error}");
        }
    }
    let ratio = ours.as_ref().ok().zip(theirs.as_ref().ok()).map(|(ours, theirs)| ours / theirs);
    let text = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
    println!(
        "{name:<44} {:>10} {:>10} {:>7} {bar:>7.1} {goal:>7.1}  CPU us/message",
        text(ours.as_ref().ok().copied()),
        text(theirs.ok()),
        text(ratio),
    );
    usize::from(ours.map_or(true, |ours| ours > bar))
}

/// Runs a scenario with a report of its own; the number of figures over their bars.
fn report(name: &str, run: impl FnOnce(&Peer, crowd::Line<'_>) -> io::Result<()>) -> usize {
    let mut missed = 0;
    let mut line = |what: &str, value: f64, unit: &str, bar: Option<f64>| {
        missed += usize::from(bar.is_some_and(|bar| value > bar));
        let bar = bar.map_or(String::new(), |bar| format!("{bar:.1}"));
        println!("{:<44} {value:>10.2} {:>10} {:>7} {bar:>7} {:>7}  {unit}", what, "", "", "");
    };
    println!("{name}:");
    let ended = Peer::start(Kind::Turnstone).and_then(|peer| run(&peer, &mut line));
    if let Err(error) = ended {
        eprintln!("{name}: {error}");
        missed += 1;
    }
    missed
}

fn start_floor() -> io::Result<Peer> {
    let (tcp, udp) = (peer::free_port()?, peer::free_udp_port()?);
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--floor").arg(format!("{tcp},{udp}"));
    Peer::spawn(command, tcp, udp, None)
}
