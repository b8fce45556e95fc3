//! `turnstone pub`: publishes, as `mosquitto_pub` does.
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker_core::QoS;
use clap::{ArgAction, Args};

use super::args::{BrokerArgs, WillArgs};
use super::client::{Client, topic};
use crate::exit::Exit;
use crate::tools::interrupt::{Interrupt, LOOK};
use crate::tools::{Outcome, ToolError, finish};

/// Largest payload from a file or standard input: MQTT's own limit.
const PAYLOAD_MAX: u64 = 268_435_455;

#[derive(Debug, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct PubArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    will: WillArgs,
    /// Topic to publish to
    #[arg(short, long)]
    topic: Option<String>,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Quality of service, 0 to 2
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Keep it as the topic's last message
    #[arg(short, long)]
    retain: bool,
    #[command(flatten)]
    manner: MannerArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// How often, and how silently; shared with `sn pub`.
#[derive(Clone, Debug, Args)]
pub(crate) struct MannerArgs {
    /// Publish it so many times
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) repeat: u32,
    /// Seconds between the repetitions
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    repeat_delay: f64,
    /// Say nothing but by the exit code
    #[arg(long)]
    quiet: bool,
}

impl MannerArgs {
    /// The time between two repetitions.
    pub(crate) fn pause(&self) -> Result<Duration, ToolError> {
        if (0.0..=86_400.0).contains(&self.repeat_delay) {
            return Ok(Duration::from_secs_f64(self.repeat_delay));
        }
        Err(ToolError::usage("--repeat-delay is not between 0 and 86400 seconds", "--repeat-delay 1"))
    }

    /// Ends the tool, with a word about what went wrong unless that is not wanted.
    pub(crate) fn finish(&self, outcome: Outcome) -> Exit {
        if self.quiet { outcome.unwrap_or_else(|error| error.exit) } else { finish(outcome) }
    }
}

/// What to publish; shared with `sn pub`.
#[derive(Clone, Debug, Args)]
#[group(multiple = false, required = true)]
pub(crate) struct PayloadArgs {
    /// The message
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// Publish a file
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Publish every line of standard input as a message of its own
    #[arg(short = 'l', long = "stdin-line")]
    pub(crate) stdin_line: bool,
    /// Publish standard input as one message
    #[arg(short = 's', long = "stdin-file")]
    pub(crate) stdin_file: bool,
    /// Publish an empty message
    #[arg(short = 'n', long = "null-message")]
    pub(crate) null_message: bool,
}

/// What was asked to be published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    One(Vec<u8>),
    Lines,
}

impl PayloadArgs {
    /// Reads what can be read before connecting.
    pub(crate) fn read(&self) -> Result<Payload, ToolError> {
        if self.stdin_line {
            return Ok(Payload::Lines);
        }
        let one = match (&self.message, &self.file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => read_file(path)?,
            (None, None) if self.stdin_file => read_all(std::io::stdin().lock(), "standard input")?,
            (None, None) => Vec::new(),
        };
        Ok(Payload::One(one))
    }
}

/// A file's bytes.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, ToolError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path)
        .map_err(|error| ToolError::usage(format!("{name} cannot be read: {error}"), "another file"))?;
    read_all(file, &name)
}

fn read_all(from: impl Read, name: &str) -> Result<Vec<u8>, ToolError> {
    let mut bytes = Vec::new();
    from.take(PAYLOAD_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ToolError::usage(format!("{name} cannot be read: {error}"), ""))?;
    if bytes.len() as u64 > PAYLOAD_MAX {
        return Err(ToolError::usage(
            format!("{name} is larger than a message of MQTT can be"),
            "a smaller one",
        ));
    }
    Ok(bytes)
}

/// The next line of standard input without its line break; `None` at its end.
pub(crate) fn next_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, ToolError> {
    let mut line = Vec::new();
    let read = input.take(PAYLOAD_MAX).read_until(b'\n', &mut line);
    match read {
        Ok(0) => Ok(None),
        Ok(_) => {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            Ok(Some(line))
        }
        Err(error) => {
            Err(ToolError::new(Exit::Failure, format!("standard input cannot be read: {error}"), ""))
        }
    }
}

/// `turnstone pub`.
pub(crate) fn run(arguments: PubArgs) -> Exit {
    let manner = arguments.manner.clone();
    manner.finish(publish(arguments))
}

fn publish(mut arguments: PubArgs) -> Outcome {
    let from_url = arguments.broker.apply_url()?;
    let Some(name) = arguments.topic.or(from_url) else {
        return Err(ToolError::usage("no topic", "-t TOPIC"));
    };
    topic(&name)?;
    let qos = QoS::from_u8(arguments.qos).unwrap_or_default();
    let pause = arguments.manner.pause()?;
    let payload = arguments.payload.read()?;
    let login = arguments.broker.login(Some(&arguments.will))?;
    let interrupt = Interrupt::watch();
    let (mut client, _) = Client::connect(&login, interrupt.clone())?;
    match payload {
        Payload::One(payload) => {
            for round in 0..arguments.manner.repeat {
                if round > 0 {
                    wait(&mut client, pause)?;
                }
                if interrupt.is_set() {
                    return Err(ToolError::interrupted());
                }
                client.publish(&name, &payload, qos, arguments.retain)?;
            }
        }
        Payload::Lines => {
            let mut input = std::io::stdin().lock();
            while let Some(line) = next_line(&mut input)? {
                client.publish(&name, &line, qos, arguments.retain)?;
            }
        }
    }
    client.disconnect();
    Ok(Exit::Ok)
}

/// Waits, and lets the connection live meanwhile.
fn wait(client: &mut Client, pause: Duration) -> Result<(), ToolError> {
    if pause < LOOK / 10 {
        std::thread::sleep(pause);
        return Ok(());
    }
    client.receive(Some(std::time::Instant::now() + pause)).map(|_| ())
}
