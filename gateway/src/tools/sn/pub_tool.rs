//! `turnstone sn pub`: publishes over MQTT-SN.
use broker_core::topic::TopicNameRef;
use clap::{ArgAction, Args};
use sn_proto::wire::Qos;

use super::Link;
use super::args::{GatewayArgs, qos, topic};
use super::session::{Ask, Topic};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::mqtt::args::WillArgs;
use crate::tools::mqtt::pub_tool::{MannerArgs, Payload, PayloadArgs, next_line};
use crate::tools::{Outcome, ToolError};

#[derive(Debug, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct SnPubArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    will: WillArgs,
    /// Topic to publish to; one of two characters needs no registration
    #[arg(short, long)]
    topic: Option<String>,
    /// Predefined topic id to publish to, instead of a name
    #[arg(short = 'T', long, value_name = "ID")]
    topic_id: Option<u16>,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Quality of service, -1 to 2; -1 needs no connection
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-1..=2))]
    qos: i8,
    /// Keep it as the topic's last message
    #[arg(short, long)]
    retain: bool,
    #[command(flatten)]
    manner: MannerArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sn pub`.
pub(crate) fn run(arguments: SnPubArgs) -> Exit {
    arguments.manner.finish(publish(&arguments))
}

fn publish(arguments: &SnPubArgs) -> Outcome {
    let topic = topic(arguments.topic.as_deref(), arguments.topic_id)?;
    if let Topic::Name(name) = &topic
        && let Err(error) = TopicNameRef::new(name)
    {
        return Err(ToolError::usage(
            format!("{name:?} is no topic to publish to: {error}"),
            "a topic without + and #",
        ));
    }
    let qos = qos(arguments.qos);
    let pause = arguments.manner.pause()?;
    let payload = arguments.payload.read()?;
    let interrupt = Interrupt::watch();
    let settings = arguments.gateway.settings(Some(&arguments.will))?;
    let mut link = arguments.gateway.open(settings, &interrupt)?;
    let session = qos != Qos::MinusOne;
    if session {
        link.perform(Ask::Connect)?;
    }
    let send = |link: &mut Link, payload: Vec<u8>| -> Result<(), ToolError> {
        let ask = Ask::Publish { topic: topic.clone(), payload, qos, retain: arguments.retain };
        link.perform(ask).map(|_| ())
    };
    match payload {
        Payload::One(payload) => {
            for round in 0..arguments.manner.repeat {
                if round > 0 && !link.stay(pause)? {
                    return Err(ToolError::interrupted());
                }
                send(&mut link, payload.clone())?;
            }
        }
        Payload::Lines => {
            let mut input = std::io::stdin().lock();
            while let Some(line) = next_line(&mut input)? {
                send(&mut link, line)?;
            }
        }
    }
    if session {
        // What was published is published: that the goodbye got lost is no failure.
        let _ = link.perform(Ask::Disconnect);
    }
    match link.rejection() {
        Some(rejection) => Err(rejection),
        None => Ok(Exit::Ok),
    }
}
