//! `turnstone trace NAME`: what one device says and hears over MQTT-SN or CoAP, live, from `$SYS/turnstone/trace/NAME`.
use std::time::Instant;

use broker_core::QoS;
use broker_core::topic::TopicNameRef;
use clap::{ArgAction, Args};
use serde_json::Value as Json;

use super::BrokerArgs;
use super::sub_tool::seconds;
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::terminal::{escape, json, line, utc};
use crate::tools::{Outcome, ToolError, finish};
use crate::trace::PREFIX;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    /// The client id of an MQTT-SN device, or the endpoint name of an LwM2M device
    client: String,
    /// End after so many messages
    #[arg(short = 'C', long, value_name = "COUNT")]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(short = 'W', long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Leave the bytes out
    #[arg(long)]
    no_hex: bool,
    /// Print JSON as it comes
    #[arg(long)]
    json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone trace`.
pub(crate) fn run(arguments: TraceArgs) -> Exit {
    finish(trace(arguments))
}

fn trace(mut arguments: TraceArgs) -> Outcome {
    arguments.broker.apply_url()?;
    let topic = format!("{PREFIX}{}", arguments.client);
    if TopicNameRef::new(&topic).is_err() || arguments.client.is_empty() {
        return Err(ToolError::usage(
            format!("{:?} can be no client's name", arguments.client),
            "a client id without + and #",
        ));
    }
    let deadline = seconds(arguments.timeout)?.map(|limit| Instant::now() + limit);
    let interrupt = Interrupt::watch();
    let mut client = arguments.broker.connect(&interrupt)?;
    client.subscribe_all(&[(&topic, QoS::AtMostOnce)]).map_err(|error| match error.exit {
        Exit::Denied => ToolError::new(
            Exit::Denied,
            "the gateway does not show traces here",
            "on the gateway's own machine, -h 127.0.0.1: traces are read over loopback only",
        ),
        _ => error,
    })?;
    eprintln!("tracing {}; Ctrl-C ends it", escape(&arguments.client));
    let mut printed = 0;
    while arguments.count.is_none_or(|count| printed < count) {
        let Some(message) = client.receive(deadline)? else { break };
        printed += 1;
        match serde_json::from_slice::<Json>(&message.payload) {
            Ok(event) if arguments.json => line(&json(&event))?,
            Ok(event) => line(&shown(&event, !arguments.no_hex))?,
            Err(_) => line(&crate::tools::terminal::payload(&message.payload))?,
        }
    }
    client.disconnect();
    if printed == 0 && !interrupt.is_set() {
        return Err(ToolError::new(
            Exit::Timeout,
            "nothing was said in time",
            "a longer -W, or `turnstone status` to see whether datagrams come at all",
        ));
    }
    Ok(Exit::Ok)
}

/// One event: `12:00:00.123 <- 127.0.0.1:5000  CONNECT …  [verdict]` and the bytes on a line of their own.
fn shown(event: &Json, with_hex: bool) -> String {
    let text = |key: &str| escape(event.get(key).and_then(Json::as_str).unwrap_or("?")).into_owned();
    let time = event.get("time").and_then(Json::as_u64).map(utc).unwrap_or_default();
    let time = time.get(11..23).unwrap_or("--:--:--.---");
    let mut out = match event.get("direction").and_then(Json::as_str) {
        Some("out") => format!("{time} -> {}  {}", text("address"), text("message")),
        Some(_) => format!("{time} <- {}  {}", text("address"), text("message")),
        None => format!("{time}    {}", text("message")), // a word of the gateway's own
    };
    if let Some(count) = event.get("left_out").and_then(Json::as_u64) {
        out = format!("… {count} messages left out: more in a second than a trace shows\n{out}");
    }
    if event.get("verdict").is_some() {
        out.push_str(&format!("  [{}]", text("verdict")));
    }
    if with_hex && let Some(hex) = event.get("hex").and_then(Json::as_str) {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        let bytes: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
        for row in bytes.chunks(24) {
            out.push_str(&format!("\n             {}", row.join(" ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_and_its_bytes() {
        let event = serde_json::json!({
            "time": 1_000, "direction": "in", "address": "127.0.0.1:5", "message": "PINGREQ \u{1b}x",
            "verdict": "taken", "hex": "0216",
        });
        assert_eq!(
            shown(&event, true),
            "00:00:01.000 <- 127.0.0.1:5  PINGREQ \\u{1b}x  [taken]\n             02 16"
        );
        assert_eq!(shown(&serde_json::json!({"direction": "out"}), true), "--:--:--.--- -> ?  ?");
        let note = serde_json::json!({"time": 0, "message": "not traced", "left_out": 3});
        assert_eq!(
            shown(&note, true),
            "… 3 messages left out: more in a second than a trace shows\n00:00:00.000    not traced"
        );
    }
}
