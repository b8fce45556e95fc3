//! `turnstone status`: how the gateway does, from its `$SYS` topics.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use broker_core::QoS;
use clap::{ArgAction, Args};
use serde_json::{Map, Value as Json};

use super::{BrokerArgs, Client};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::{Outcome, ToolError, finish, terminal};

/// Retained messages have all come when nothing came for this long.
const QUIET: Duration = Duration::from_millis(300);
/// Longest wait for the first one: `$SYS` begins soon after the start.
const FIRST: Duration = Duration::from_secs(2);
/// Topics taken. The gateway has some hundreds.
const TOPICS_MAX: usize = 10_000;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Every figure there is, by its topic
    #[arg(long)]
    all: bool,
    /// Print JSON: topic and value
    #[arg(long)]
    json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone status`.
pub(crate) fn run(arguments: StatusArgs) -> Exit {
    finish(status(arguments))
}

fn status(mut arguments: StatusArgs) -> Outcome {
    arguments.broker.apply_url()?;
    let mut client = arguments.broker.connect(&Interrupt::watch())?;
    client.subscribe_all(&[("$SYS/#", QoS::AtMostOnce)])?;
    let values = collect_retained(&mut client)?;
    client.disconnect();
    let values: BTreeMap<String, String> = values
        .into_iter()
        .map(|(topic, payload)| (topic, String::from_utf8_lossy(&payload).into_owned()))
        .collect();
    if values.is_empty() {
        return Err(ToolError::new(
            Exit::Failure,
            "the gateway publishes no $SYS topics",
            "sys.interval in its configuration",
        ));
    }
    if arguments.json {
        terminal::line(&terminal::json(&to_json(&values)))?;
    } else if arguments.all {
        let rows: Vec<Vec<String>> = values.into_iter().map(|(topic, value)| vec![topic, value]).collect();
        terminal::write_out(terminal::table(&rows).as_bytes())?;
    } else {
        terminal::write_out(terminal::table(&summary(&values)).as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// The retained messages of the subscriptions just made.
pub(crate) fn collect_retained(client: &mut Client) -> Result<BTreeMap<String, Vec<u8>>, ToolError> {
    let mut values = BTreeMap::new();
    let mut deadline = Instant::now() + FIRST;
    while let Some(message) = client.receive(Some(deadline))? {
        // Live ones come too, and are newer.
        values.insert(message.topic, message.payload);
        if values.len() >= TOPICS_MAX {
            break;
        }
        if message.retain {
            deadline = Instant::now() + QUIET;
        }
    }
    Ok(values)
}

fn to_json(values: &BTreeMap<String, String>) -> Json {
    let mut object = Map::new();
    for (topic, text) in values {
        let value = match serde_json::from_str::<Json>(text) {
            Ok(number @ Json::Number(_)) => number,
            Ok(_) | Err(_) => Json::from(text.as_str()),
        };
        object.insert(topic.clone(), value);
    }
    Json::Object(object)
}

fn summary(values: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let broker = |name: &str| values.get(&format!("$SYS/broker/{name}")).map_or("?", String::as_str);
    let gateway = |name: &str| values.get(&format!("$SYS/gateway/{name}")).map(String::as_str);
    let sum = |prefix: &str| -> u64 {
        let of_prefix = values.iter().filter(|(topic, _)| topic.starts_with(prefix));
        of_prefix.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    };
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    row("version", broker("version").to_owned());
    row("uptime", uptime(broker("uptime")));
    row(
        "clients",
        format!(
            "{} connected, {} known, {} at most",
            broker("clients/connected"),
            broker("clients/total"),
            broker("clients/maximum")
        ),
    );
    row("subscriptions", broker("subscriptions/count").to_owned());
    row("retained", format!("{} messages", broker("retained messages/count")));
    row(
        "messages",
        format!(
            "{} in, {} out, {} dropped",
            broker("publish/messages/received"),
            broker("publish/messages/sent"),
            broker("publish/messages/dropped")
        ),
    );
    row(
        "per minute",
        format!(
            "{} in, {} out (1 min), {} in, {} out (15 min)",
            broker("load/publish/received/1min"),
            broker("load/publish/sent/1min"),
            broker("load/publish/received/15min"),
            broker("load/publish/sent/15min")
        ),
    );
    row("bytes", format!("{} in, {} out", broker("bytes/received"), broker("bytes/sent")));
    if let Some(received) = gateway("udp/datagrams/received") {
        let sent = gateway("udp/datagrams/sent").unwrap_or("?");
        let dropped = gateway("udp/dropped/kernel").unwrap_or("?");
        row("datagrams", format!("{received} in, {sent} out, {dropped} dropped by the kernel"));
    }
    let malformed = values
        .keys()
        .filter_map(|topic| topic.get(..topic.find("/malformed/")? + "/malformed/".len()))
        .collect::<std::collections::BTreeSet<_>>();
    row("malformed", malformed.into_iter().map(sum).sum::<u64>().to_string());
    if gateway("panics").is_some_and(|panics| panics != "0") {
        row("faults", format!("{} panics: please report the log", gateway("panics").unwrap_or("?")));
    }
    rows
}

/// `3661 seconds` as `1 h 1 min 1 s`.
fn uptime(text: &str) -> String {
    let Some(seconds) = text.split(' ').next().and_then(|number| number.parse::<u64>().ok()) else {
        return text.to_owned();
    };
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min")];
    let mut out: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    out.push(format!("{} s", seconds % 60));
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_is_there_and_marks_what_is_not() {
        let values: BTreeMap<String, String> = [
            ("$SYS/broker/uptime", "93784 seconds"),
            ("$SYS/broker/clients/connected", "3"),
            ("$SYS/gateway/mqtt/malformed/a", "2"),
            ("$SYS/gateway/sn/malformed/b", "5"),
            ("$SYS/gateway/panics", "0"),
        ]
        .map(|(topic, value)| (topic.to_owned(), value.to_owned()))
        .into();
        let rows = summary(&values);
        let of = |name: &str| rows.iter().find(|row| row[0] == name).map(|row| row[1].clone());
        assert_eq!(of("uptime").as_deref(), Some("1 d 2 h 3 min 4 s"));
        assert_eq!(of("clients").as_deref(), Some("3 connected, ? known, ? at most"));
        assert_eq!(of("malformed").as_deref(), Some("7"));
        assert_eq!(of("faults"), None);
        assert_eq!(to_json(&values)["$SYS/broker/clients/connected"], 3);
    }
}
