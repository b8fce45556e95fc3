//! `turnstone sn sub`: subscribes over MQTT-SN and prints, awake or as a sleeping client.
use std::time::{Duration, Instant};

use broker_core::QoS;
use broker_core::topic::TopicFilterRef;
use clap::{ArgAction, Args};
use sn_proto::wire::Qos;

use super::Link;
use super::args::{GatewayArgs, qos, topic};
use super::session::{Ask, Delivery, Topic};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::mqtt::args::WillArgs;
use crate::tools::mqtt::show::{Show, Style};
use crate::tools::mqtt::sub_tool::seconds;
use crate::tools::mqtt::{self};
use crate::tools::{Outcome, ToolError, finish, terminal};

#[derive(Debug, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct SnSubArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    will: WillArgs,
    /// Topic filter to subscribe to; may be given many times
    #[arg(short, long = "topic", value_name = "FILTER")]
    topic: Vec<String>,
    /// Predefined topic id to subscribe to; may be given many times
    #[arg(short = 'T', long, value_name = "ID")]
    topic_id: Vec<u16>,
    /// Quality of service, 0 to 2
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(i8).range(0..=2))]
    qos: i8,
    /// Sleep between looks for messages: wake up every so many seconds
    #[arg(long, value_name = "SECONDS")]
    sleep: Option<u16>,
    /// Print the topic too
    #[arg(short, long)]
    verbose: bool,
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
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sn sub`.
pub(crate) fn run(arguments: SnSubArgs) -> Exit {
    finish(subscribe(&arguments))
}

/// Prints messages and counts them.
struct Printer<'a> {
    show: Show,
    count: Option<u64>,
    printed: u64,
    link: &'a mut Link,
}

impl Printer<'_> {
    fn print(&mut self, delivery: Delivery) -> Result<(), ToolError> {
        if self.is_done() {
            return Ok(());
        }
        self.printed += 1;
        self.show.message(&mqtt::Delivery {
            topic: delivery.topic,
            payload: delivery.payload,
            qos: match delivery.qos {
                Qos::MinusOne | Qos::AtMostOnce => QoS::AtMostOnce,
                Qos::AtLeastOnce => QoS::AtLeastOnce,
                Qos::ExactlyOnce => QoS::ExactlyOnce,
            },
            retain: delivery.retain,
            packet_id: Some(delivery.msg_id),
        })
    }

    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.printed >= count)
    }

    /// Stays connected and prints what comes.
    fn awake(&mut self, deadline: Option<Instant>) -> Result<(), ToolError> {
        while !self.is_done() {
            let Some(delivery) = self.link.receive(deadline)? else { break };
            self.print(delivery)?;
        }
        Ok(())
    }

    /// Sleeps, wakes every `interval` and prints what was kept.
    fn asleep(
        &mut self,
        interval: u16,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
    ) -> Result<(), ToolError> {
        // Half as long again as we mean to sleep: a late wake-up is no death.
        let duration = interval.saturating_add(interval / 2).saturating_add(1);
        self.link.perform(Ask::Sleep(duration))?;
        loop {
            while let Some(delivery) = self.link.take_delivery() {
                self.print(delivery)?;
            }
            let now = Instant::now();
            if self.is_done() || interrupt.is_set() || deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(());
            }
            let wake = now + Duration::from_secs(interval.into());
            let wake = deadline.map_or(wake, |deadline| wake.min(deadline));
            while Instant::now() < wake && !interrupt.is_set() {
                std::thread::sleep(
                    wake.saturating_duration_since(Instant::now()).min(Duration::from_millis(100)),
                );
            }
            if !interrupt.is_set() {
                self.link.perform(Ask::Wake)?;
            }
        }
    }
}

fn subscribe(arguments: &SnSubArgs) -> Outcome {
    let names = arguments.topic.iter().map(|name| topic(Some(name), None));
    let ids = arguments.topic_id.iter().map(|id| topic(None, Some(*id)));
    let topics: Vec<Topic> = names.chain(ids).collect::<Result<_, _>>()?;
    if topics.is_empty() {
        return Err(ToolError::usage("no topic filter", "-t FILTER, or -T ID for a predefined topic"));
    }
    for topic in &topics {
        if let Topic::Name(name) = topic
            && let Err(error) = TopicFilterRef::new(name)
        {
            return Err(ToolError::usage(
                format!("{name:?} is no topic filter: {error}"),
                "'#' for everything, 'a/+/c' for one level",
            ));
        }
    }
    if arguments.sleep == Some(0) {
        return Err(ToolError::usage("--sleep 0 is no sleep", "--sleep 10"));
    }
    let deadline = seconds(arguments.timeout)?.map(|limit| Instant::now() + limit);
    let interrupt = Interrupt::watch();
    let settings = arguments.gateway.settings(Some(&arguments.will))?;
    let mut link = arguments.gateway.open(settings, &interrupt)?;
    link.perform(Ask::Connect)?;
    for topic in topics {
        link.perform(Ask::Subscribe { topic, qos: qos(arguments.qos) })?;
    }
    let show = Show {
        style: match (arguments.json, arguments.verbose) {
            (true, _) => Style::Json,
            (false, true) => Style::Verbose,
            (false, false) => Style::Payload,
        },
        newline: true,
        raw: arguments.raw || !terminal::out_is_terminal(),
    };
    let mut printer = Printer { show, count: arguments.count, printed: 0, link: &mut link };
    match arguments.sleep {
        None => printer.awake(deadline)?,
        Some(interval) => printer.asleep(interval, deadline, &interrupt)?,
    }
    let printed = printer.printed;
    // The messages are printed: that the goodbye got lost is no failure.
    let _ = link.perform(Ask::Disconnect);
    if printed == 0 && !interrupt.is_set() {
        return Err(ToolError::new(
            Exit::Timeout,
            "no message came in time",
            "a wider filter, or a longer -W",
        ));
    }
    Ok(Exit::Ok)
}
