//! `turnstone sn ping`: connects, and measures PINGREQ to PINGRESP.
use std::time::{Duration, Instant};

use clap::{ArgAction, Args};

use super::args::GatewayArgs;
use super::session::Ask;
use crate::exit::Exit;
use crate::tools::histogram::Histogram;
use crate::tools::interrupt::{Interrupt, LOOK};
use crate::tools::{Outcome, ToolError, finish, terminal};

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SnPingArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Pings to send
    #[arg(short = 'C', long, default_value_t = 4)]
    count: u32,
    /// Seconds between two pings
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    interval: f64,
    /// Seconds to wait for each answer
    #[arg(short = 'W', long, default_value_t = 5.0, value_name = "SECONDS")]
    timeout: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sn ping`.
pub(crate) fn run(arguments: SnPingArgs) -> Exit {
    finish(ping(arguments))
}

fn ping(arguments: SnPingArgs) -> Outcome {
    let usable = |seconds: f64| (0.0..=3600.0).contains(&seconds);
    if !usable(arguments.interval) || !usable(arguments.timeout) || arguments.timeout < 0.01 {
        return Err(ToolError::usage("--interval and -W are seconds, up to 3600", "-W 5 --interval 1"));
    }
    let interrupt = Interrupt::watch();
    let mut settings = arguments.gateway.settings(None)?;
    // A lost ping is what is to be seen, so it is not sent again.
    settings.retry = Duration::from_secs_f64(arguments.timeout);
    settings.retries = 0;
    let at = format!("{}:{}", arguments.gateway.host, arguments.gateway.port);
    let mut link = arguments.gateway.open(settings, &interrupt)?;
    let connect = link.perform(Ask::Connect)?;
    let mut times = Histogram::default();
    let mut sent = 0;
    if !arguments.json {
        terminal::line(&format!("CONNACK from {at}: {:.2} ms", connect.as_secs_f64() * 1000.0))?;
    }
    for round in 0..arguments.count {
        if round > 0 {
            pause(Duration::from_secs_f64(arguments.interval), &interrupt);
        }
        if interrupt.is_set() {
            break;
        }
        sent += 1;
        match link.perform(Ask::Ping) {
            Ok(took) => {
                times.add(took);
                if !arguments.json {
                    terminal::line(&format!("PINGRESP from {at}: {:.2} ms", took.as_secs_f64() * 1000.0))?;
                }
            }
            Err(error) if error.exit == Exit::Timeout => {
                if !arguments.json {
                    terminal::line(&format!("no answer within {} s", arguments.timeout))?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    let _ = link.perform(Ask::Disconnect); // the answers are counted already
    let answered = times.count();
    if arguments.json {
        let report = serde_json::json!({
            "gateway": at,
            "connect_ms": connect.as_secs_f64() * 1000.0,
            "sent": sent,
            "answered": answered,
            "latency": times.to_json(),
        });
        terminal::line(&terminal::json(&report))?;
    } else {
        terminal::line(&format!("{answered} of {sent} answered; {}", times.summary()))?;
    }
    Ok(if answered < sent { Exit::Timeout } else { Exit::Ok })
}

fn pause(interval: Duration, interrupt: &Interrupt) {
    let until = Instant::now() + interval;
    while Instant::now() < until && !interrupt.is_set() {
        std::thread::sleep(until.saturating_duration_since(Instant::now()).min(LOOK));
    }
}
