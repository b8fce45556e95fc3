//! `turnstone sub`: subscribes and prints, as `mosquitto_sub` does.
use std::time::{Duration, Instant};

use broker_core::QoS;
use broker_core::topic::{TopicFilter, TopicNameRef};
use clap::{ArgAction, Args};

use super::args::{BrokerArgs, WillArgs};
use super::client::Client;
use super::show::{Show, Style};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::{Outcome, ToolError, finish, terminal};

#[derive(Debug, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct SubArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    will: WillArgs,
    /// Topic filters to subscribe to (also with -t)
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Topic filter to subscribe to; may be given many times
    #[arg(short, long = "topic", value_name = "FILTER")]
    topic: Vec<String>,
    /// Leave messages out whose topic fits this filter
    #[arg(short = 'T', long = "filter-out", value_name = "FILTER")]
    filter_out: Vec<String>,
    /// Unsubscribe from this filter first
    #[arg(short = 'U', long, value_name = "FILTER")]
    unsubscribe: Vec<String>,
    /// Quality of service, 0 to 2
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Print the topic too
    #[arg(short, long)]
    verbose: bool,
    /// No line break behind a message
    #[arg(short = 'N')]
    no_newline: bool,
    /// Print each message in this format: %t topic, %p payload, %x hex, %q QoS, %r retain, %l length, %j JSON, %I time
    #[arg(short = 'F', long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<String>,
    /// Print each message as a line of JSON
    #[arg(long)]
    json: bool,
    /// Bytes as they came, on a terminal too
    #[arg(long)]
    raw: bool,
    /// End after so many messages
    #[arg(short = 'C', long, value_name = "COUNT")]
    count: Option<u64>,
    /// End after so many seconds: exit code 4 when no message came
    #[arg(short = 'W', long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// End as soon as the subscription is made
    #[arg(short = 'E')]
    exit_after_subscribe: bool,
    /// Leave retained messages from before the subscription out
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_retained: bool,
    /// Only retained messages from before the subscription; end at the first other one
    #[arg(long)]
    retained_only: bool,
    /// Say nothing but messages, and by the exit code
    #[arg(long)]
    quiet: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sub`.
pub(crate) fn run(arguments: SubArgs) -> Exit {
    let quiet = arguments.quiet;
    let outcome = subscribe(arguments);
    if quiet { outcome.unwrap_or_else(|error| error.exit) } else { finish(outcome) }
}

fn subscribe(mut arguments: SubArgs) -> Outcome {
    let from_url = arguments.broker.apply_url()?;
    let filters: Vec<String> =
        arguments.topic.drain(..).chain(arguments.filters.drain(..)).chain(from_url).collect();
    if filters.is_empty() {
        return Err(ToolError::usage("no topic filter", "-t FILTER, for instance turnstone sub -v -t '#'"));
    }
    let all = filters.iter().chain(&arguments.unsubscribe);
    for text in all {
        filter(text)?;
    }
    let hidden: Vec<TopicFilter> =
        arguments.filter_out.iter().map(|text| filter(text)).collect::<Result<_, _>>()?;
    let deadline = seconds(arguments.timeout)?.map(|limit| Instant::now() + limit);
    let show = Show {
        style: match (&arguments.format, arguments.json, arguments.verbose) {
            (Some(format), _, _) => Style::Format(format.clone()),
            (None, true, _) => Style::Json,
            (None, false, true) => Style::Verbose,
            (None, false, false) => Style::Payload,
        },
        newline: !arguments.no_newline && arguments.format.as_ref().is_none_or(|f| !f.ends_with("\\n")),
        raw: arguments.raw || !terminal::out_is_terminal(),
    };
    let interrupt = Interrupt::watch();
    let login = arguments.broker.login(Some(&arguments.will))?;
    let (mut client, _) = Client::connect(&login, interrupt.clone())?;
    if !arguments.unsubscribe.is_empty() {
        let names: Vec<&str> = arguments.unsubscribe.iter().map(String::as_str).collect();
        client.unsubscribe(&names)?;
    }
    let qos = QoS::from_u8(arguments.qos).unwrap_or_default();
    let wanted: Vec<(&str, QoS)> = filters.iter().map(|text| (text.as_str(), qos)).collect();
    client.subscribe_all(&wanted)?;
    if arguments.exit_after_subscribe {
        client.disconnect();
        return Ok(Exit::Ok);
    }
    let mut printed = 0;
    while arguments.count.is_none_or(|count| printed < count) {
        let Some(message) = client.receive(deadline)? else { break };
        if arguments.retained_only && !message.retain {
            break;
        }
        let hide = (arguments.no_retained && message.retain)
            || TopicNameRef::new(&message.topic).is_ok_and(|name| hidden.iter().any(|f| f.matches(name)));
        if !hide {
            show.message(&message)?;
            printed += 1;
        }
    }
    client.disconnect();
    if interrupt.is_set() || printed > 0 || arguments.retained_only {
        return Ok(Exit::Ok);
    }
    Err(ToolError::new(Exit::Timeout, "no message came in time", "a wider filter, or a longer -W"))
}

fn filter(text: &str) -> Result<TopicFilter, ToolError> {
    TopicFilter::new(text).map_err(|error| {
        ToolError::usage(
            format!("{text:?} is no topic filter: {error}"),
            "'#' for everything, 'a/+/c' for one level",
        )
    })
}

/// A limit given in seconds.
pub(crate) fn seconds(limit: Option<f64>) -> Result<Option<Duration>, ToolError> {
    match limit {
        None => Ok(None),
        Some(limit) if limit > 0.0 && limit <= 31_536_000.0 => Ok(Some(Duration::from_secs_f64(limit))),
        Some(limit) => Err(ToolError::usage(format!("{limit} is no number of seconds to wait"), "-W 10")),
    }
}
