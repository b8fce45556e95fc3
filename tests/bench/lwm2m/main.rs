//! CPU per LwM2M message, memory per endpoint, and round trips of the gateway, each beside a floor in the same run.
//!
//! `cargo bench -p turnstone-tests --bench lwm2m [-- --quick] [--only NAME]`. CPU is what the kernel charged to the
//! process (its CPU clock), so the load generator's own work does not count. Durability: no store;
//! nothing is written to disk.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]
#[path = "../client.rs"]
#[allow(dead_code, reason = "shared with the broker's bench")]
mod client;
mod devices;
mod floor;
mod hostile;
mod process;
mod rows;

use rows::{ROWS, Scale};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--floor") {
        if let Err(error) = floor::play(&arguments[at + 1..]) {
            eprintln!("floor: {error}");
        }
        return;
    }
    let scale = if arguments.iter().any(|a| a == "--quick") { Scale::QUICK } else { Scale::FULL };
    let only = arguments.iter().position(|a| a == "--only").and_then(|at| arguments.get(at + 1));
    println!("durability: none (no store)");
    println!("{:<34} {:>10} {:>7} {:>7} {:>9}  unit", "row", "turnstone", "bar", "goal", "floor");
    let mut missed = 0;
    for row in ROWS {
        if only.is_some_and(|name| !row.name.contains(name.as_str())) {
            continue;
        }
        let figure = told(row.name, (row.run)(scale));
        let floor = row.floor.and_then(|floor| told(row.name, floor(scale)));
        let text = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.1}"));
        println!(
            "{:<34} {:>10} {:>7} {:>7} {:>9}  {}",
            row.name,
            text(figure),
            text(row.bar),
            text(row.goal),
            text(floor),
            row.unit
        );
        missed += usize::from(row.bar.is_some_and(|bar| figure.is_none_or(|figure| figure > bar)));
    }
    println!("{missed} rows over their bar");
}

fn told(row: &str, figure: std::io::Result<f64>) -> Option<f64> {
    figure.inspect_err(|error| eprintln!("{row}: {error}")).ok()
}
