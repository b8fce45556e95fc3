//! CPU per message, memory per connection and latency of the broker, beside Debian's mosquitto in the same run.
//!
//! `cargo bench -p turnstone-tests --bench broker [-- --quick] [--only NAME]`. Figures of a shared machine wander, so
//! each row also gives the ratio to mosquitto. CPU is what the kernel charged to the broker's threads
//! (`/proc/PID/task/*/schedstat`), so the load generator's own work does not count.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
#[allow(dead_code, reason = "the other benches use the rest")]
mod client;
#[allow(dead_code, reason = "the other benches use the rest")]
mod peer;
mod scenario;

use peer::{Kind, Peer};
use scenario::{Row, Scale};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let only = arguments.iter().position(|a| a == "--only").and_then(|at| arguments.get(at + 1)).cloned();
    let scale = if quick { Scale::QUICK } else { Scale::FULL };
    peer::raise_file_limit();
    println!(
        "{:<28} {:>12} {:>12} {:>7} {:>7} {:>7} {:>9}  unit",
        "row", "turnstone", "mosquitto", "bar", "goal", "ratio", "ratio bar"
    );
    let mut missed = 0;
    for row in scenario::ROWS {
        if only.as_ref().is_some_and(|name| !row.name.contains(name.as_str())) {
            continue;
        }
        let ours = measure(row, Kind::Turnstone, scale);
        let theirs = measure(row, Kind::Mosquitto, scale);
        missed += usize::from(!report(row, ours, theirs));
    }
    println!("{missed} rows over their bar (absolute; a noisy machine moves it: look at the ratio)");
}

fn measure(row: &Row, kind: Kind, scale: Scale) -> Option<f64> {
    let peer = match Peer::start(kind) {
        Ok(peer) => peer,
        Err(error) => {
            eprintln!("{}: {kind:?} did not start: {error}", row.name);
            return None;
        }
    };
    match (row.run)(&peer, scale) {
        Ok(figure) => Some(figure),
        Err(error) => {
            eprintln!("{}: {kind:?}: {error}", row.name);
            None
        }
    }
}

fn report(row: &Row, ours: Option<f64>, theirs: Option<f64>) -> bool {
    let text = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.3}"));
    let ratio = ours.zip(theirs).map(|(o, t)| o / t);
    println!(
        "{:<28} {:>12} {:>12} {:>7} {:>7} {:>7} {:>9}  {}",
        row.name,
        text(ours),
        text(theirs),
        text(row.bar),
        text(row.goal),
        text(ratio),
        text(row.ratio),
        row.unit
    );
    row.bar.is_none_or(|bar| ours.is_some_and(|o| o <= bar))
}
