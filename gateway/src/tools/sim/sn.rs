//! `turnstone sim sn`: simulated MQTT-SN devices.
use std::time::Duration;

use clap::{ArgAction, Args};
use serde_json::json;
use sn_proto::wire::Qos;

use super::args::SwarmArgs;
use super::rng::Rng;
use super::sn_device::{Habits, Profile, SnDevice, Stats};
use super::swarm::{self, Traffic};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::sn::args::{qos, topic};
use crate::tools::sn::session::Settings;
use crate::tools::{Outcome, ToolError, finish, terminal};

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimSnArgs {
    #[command(flatten)]
    swarm: SwarmArgs,
    /// The gateway's port
    #[arg(short, long, default_value_t = 1884)]
    port: u16,
    /// What the devices do
    #[arg(long, default_value = "always-on")]
    profile: Profile,
    /// Topic to publish to; {id} is the device's name, {n} its number
    #[arg(short, long, default_value = "sim/sn/{id}/value", conflicts_with = "topic_id")]
    topic: String,
    /// Predefined topic id to publish to
    #[arg(short = 'T', long, value_name = "ID")]
    topic_id: Option<u16>,
    /// Topic filter to listen to; empty for none
    #[arg(long, default_value = "sim/sn/{id}/set", value_name = "FILTER")]
    listen: String,
    /// Quality of service of messages, 0 to 2; a beacon has -1
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(i8).range(0..=2))]
    qos: i8,
    /// Payload; {id}, {seq}, {value} and {time} are filled in
    #[arg(short, long)]
    message: Option<String>,
    /// Keep-alive in seconds
    #[arg(short, long, default_value_t = 60, value_name = "SECONDS")]
    keepalive: u16,
    /// Seconds until a message that was not answered is sent again
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    retry: f64,
    /// How often it is sent again
    #[arg(long, default_value_t = 4, value_name = "COUNT")]
    retries: u8,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sim sn`.
pub(crate) fn run(arguments: SimSnArgs) -> Exit {
    finish(simulate(&arguments))
}

fn simulate(arguments: &SimSnArgs) -> Outcome {
    let plan = arguments.swarm.plan(arguments.port)?;
    if !(0.01..=3600.0).contains(&arguments.retry) {
        return Err(ToolError::usage(format!("--retry {} is no useful time", arguments.retry), "--retry 5"));
    }
    let devices = (0..arguments.swarm.count)
        .map(|number| device(arguments, number))
        .collect::<Result<Vec<SnDevice>, ToolError>>()?;
    let interrupt = Interrupt::watch();
    if !arguments.swarm.json {
        let what = format!(
            "{} MQTT-SN devices ({}) at {}; {}",
            devices.len(),
            profile_name(arguments.profile),
            plan.to,
            if plan.duration.is_some() { "Ctrl-C ends it early" } else { "Ctrl-C ends it" }
        );
        eprintln!("{what}");
    }
    let mut stats = Stats::default();
    let (devices, traffic) = swarm::run(&plan, devices, &mut stats, &interrupt)?;
    let retransmissions = devices.iter().map(SnDevice::retransmissions).sum();
    let report = report(arguments, &stats, &traffic, retransmissions);
    terminal::write_out(report.as_bytes())?;
    if stats.connects == 0 && arguments.profile != Profile::Beacon {
        let exit = if traffic.refused > 0 { Exit::Unreachable } else { Exit::Timeout };
        return Err(ToolError::new(
            exit,
            format!("no device could connect to {}", plan.to),
            "`turnstone sn search` looks for gateways; `turnstone run` starts one",
        ));
    }
    Ok(Exit::Ok)
}

fn device(arguments: &SimSnArgs, number: u32) -> Result<SnDevice, ToolError> {
    let name = arguments.swarm.name(number);
    let fill = |pattern: &str| pattern.replace("{id}", &name).replace("{n}", &number.to_string());
    let topic_name = arguments.topic_id.is_none().then(|| fill(&arguments.topic));
    let listen = Some(fill(&arguments.listen)).filter(|filter| !filter.is_empty());
    let habits = Habits {
        profile: arguments.profile,
        interval: arguments.swarm.every()?,
        topic: topic(topic_name.as_deref(), arguments.topic_id)?,
        listen,
        qos: if arguments.profile == Profile::Beacon { Qos::MinusOne } else { qos(arguments.qos) },
        payload: arguments.message.clone(),
    };
    let settings = Settings {
        client_id: name,
        keep_alive: arguments.keepalive,
        clean: true,
        will: None,
        retry: Duration::from_secs_f64(arguments.retry),
        retries: arguments.retries,
        node_id: None,
    };
    let rng = Rng::new(arguments.swarm.seed.wrapping_mul(0x1_0000_0001).wrapping_add(u64::from(number)));
    Ok(SnDevice::new(settings, habits, rng))
}

fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AlwaysOn => "always-on",
        Profile::Sleeper => "sleeper",
        Profile::Beacon => "beacon",
    }
}

fn report(arguments: &SimSnArgs, stats: &Stats, traffic: &Traffic, retransmissions: u64) -> String {
    if arguments.swarm.json {
        let report = json!({
            "devices": arguments.swarm.count,
            "profile": profile_name(arguments.profile),
            "seed": arguments.swarm.seed,
            "seconds": traffic.ran.as_secs_f64(),
            "connects": stats.connects,
            "connect_failures": stats.connect_failures,
            "published": stats.published,
            "publish_failures": stats.publish_failures,
            "delivered": stats.delivered,
            "wakes": stats.wakes,
            "sessions_lost": stats.sessions_lost,
            "given_up": stats.given_up,
            "skipped": stats.skipped,
            "retransmissions": retransmissions,
            "datagrams": traffic_json(traffic),
            "latency": {
                "connect": stats.connect.to_json(),
                "publish": stats.publish.to_json(),
                "wake": stats.wake.to_json(),
            },
        });
        return terminal::json(&report) + "\n";
    }
    let rows = [
        ("devices", format!("{}, {:.1} s", arguments.swarm.count, traffic.ran.as_secs_f64())),
        ("connects", format!("{} ({} failed)", stats.connects, stats.connect_failures)),
        ("published", format!("{} ({} failed)", stats.published, stats.publish_failures)),
        ("delivered", stats.delivered.to_string()),
        ("wake-ups", stats.wakes.to_string()),
        (
            "trouble",
            format!(
                "{} sent again, {} given up, {} sessions lost, {} rounds skipped",
                retransmissions, stats.given_up, stats.sessions_lost, stats.skipped
            ),
        ),
        ("datagrams", traffic_line(traffic)),
        ("CONNECT to CONNACK", stats.connect.summary()),
        ("PUBLISH to its end", stats.publish.summary()),
        ("PINGREQ to PINGRESP", stats.wake.summary()),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    terminal::table(&rows)
}

/// The traffic in one line of a report.
pub(super) fn traffic_line(traffic: &Traffic) -> String {
    format!(
        "{} out, {} in, {} lost, {} doubled and {} late on purpose, {} refused",
        traffic.sent, traffic.received, traffic.lost, traffic.doubled, traffic.late, traffic.refused
    )
}

/// The traffic as JSON.
pub(super) fn traffic_json(traffic: &Traffic) -> serde_json::Value {
    json!({
        "sent": traffic.sent,
        "received": traffic.received,
        "lost": traffic.lost,
        "doubled": traffic.doubled,
        "late": traffic.late,
        "refused": traffic.refused,
    })
}
