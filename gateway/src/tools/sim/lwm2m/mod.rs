//! `turnstone sim lwm2m`: simulated LwM2M devices over the CoAP endpoint that the gateway has too.
mod attributes;
mod device;
mod firmware;
mod objects;
mod observe;
mod profile;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use lwm2m::catalog::Catalog;
use serde_json::json;

use self::device::{Habits, Lwm2mDevice, Stats};
use self::firmware::{Delivery, FirmwareHabits};
use self::profile::Profile;
use super::args::SwarmArgs;
use super::rng::Rng;
use super::sn::{traffic_json, traffic_line};
use super::swarm::{self, Traffic};
use crate::exit::Exit;
use crate::tools::interrupt::Interrupt;
use crate::tools::{Outcome, ToolError, finish, terminal};

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimLwm2mArgs {
    #[command(flatten)]
    swarm: SwarmArgs,
    /// The gateway's port
    #[arg(short, long, default_value_t = 5683)]
    port: u16,
    /// What the devices are
    #[arg(long, default_value = "meter")]
    profile: Profile,
    /// Name of the only device, instead of --prefix and a number
    #[arg(short, long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Lifetime of registrations, seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(2..=86_400_000))]
    lifetime: u32,
    /// How long a device in queue mode listens after it said something, seconds
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    awake: f64,
    /// The LwM2M version that the devices claim
    #[arg(long, default_value = "1.1", value_parser = ["1.0", "1.1", "1.2"])]
    lwm2m: String,
    /// How the devices take a firmware image
    #[arg(long, default_value = "both")]
    delivery: Delivery,
    /// How installing it ends: the result in object 5, of which 1 is success
    #[arg(long, default_value_t = 1, value_name = "RESULT")]
    update_result: u8,
    /// Give each device a value of so many bytes, /19/0/0/0
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=4_194_304))]
    data: Option<u32>,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `turnstone sim lwm2m`.
pub(crate) fn run(arguments: SimLwm2mArgs) -> Exit {
    finish(simulate(&arguments))
}

fn simulate(arguments: &SimLwm2mArgs) -> Outcome {
    let plan = arguments.swarm.plan(arguments.port)?;
    if arguments.endpoint.is_some() && arguments.swarm.count != 1 {
        return Err(ToolError::usage("--endpoint names one device", "--prefix for several"));
    }
    if !(0.01..=3600.0).contains(&arguments.awake) {
        return Err(ToolError::usage(format!("--awake {} is no useful time", arguments.awake), "--awake 3"));
    }
    let habits = Habits {
        profile: arguments.profile,
        interval: arguments.swarm.every()?,
        lifetime_s: arguments.lifetime,
        awake: Duration::from_secs_f64(arguments.awake),
        version: arguments.lwm2m.clone(),
        gateway: plan.to,
        catalog: Arc::new(Catalog::core()),
        firmware: FirmwareHabits { delivery: arguments.delivery, result: arguments.update_result },
        data_bytes: arguments.data,
    };
    let devices: Vec<Lwm2mDevice> = (0..arguments.swarm.count)
        .map(|number| {
            let name = arguments.endpoint.clone().unwrap_or_else(|| arguments.swarm.name(number));
            let seed = arguments.swarm.seed.wrapping_mul(0x1_0000_0001).wrapping_add(u64::from(number));
            Lwm2mDevice::new(name, number, habits.clone(), Rng::new(seed))
        })
        .collect();
    let interrupt = Interrupt::watch();
    if !arguments.swarm.json {
        let end = if plan.duration.is_some() { "Ctrl-C ends it early" } else { "Ctrl-C ends it" };
        let what = arguments.profile.name();
        eprintln!("{} LwM2M devices ({what}) at {}; {end}", devices.len(), plan.to);
    }
    let mut stats = Stats::default();
    let (_, traffic) = swarm::run(&plan, devices, &mut stats, &interrupt)?;
    terminal::write_out(report(arguments, &stats, &traffic).as_bytes())?;
    if stats.registers == 0 {
        let exit = match (stats.register_failures, traffic.received, traffic.refused) {
            (1.., 1.., _) => Exit::Denied,
            (_, _, 1..) => Exit::Unreachable,
            (_, _, 0) => Exit::Timeout,
        };
        return Err(ToolError::new(
            exit,
            format!("no device could register at {}", plan.to),
            "`turnstone run` starts a gateway; its log says why it refuses a device",
        ));
    }
    Ok(Exit::Ok)
}

fn report(arguments: &SimLwm2mArgs, stats: &Stats, traffic: &Traffic) -> String {
    if arguments.swarm.json {
        let report = json!({
            "devices": arguments.swarm.count,
            "profile": arguments.profile.name(),
            "seed": arguments.swarm.seed,
            "seconds": traffic.ran.as_secs_f64(),
            "registers": stats.registers,
            "register_failures": stats.register_failures,
            "updates": stats.updates,
            "update_failures": stats.update_failures,
            "deregisters": stats.deregisters,
            "requests": stats.requests,
            "notifications": stats.notifications,
            "sends": stats.sends,
            "firmware_updates": stats.firmware_updates,
            "missed_asleep": stats.missed_asleep,
            "datagrams": traffic_json(traffic),
            "latency": {"register": stats.register.to_json(), "update": stats.update.to_json()},
        });
        return terminal::json(&report) + "\n";
    }
    let rows = [
        ("devices", format!("{}, {:.1} s", arguments.swarm.count, traffic.ran.as_secs_f64())),
        ("registered", format!("{} ({} failed)", stats.registers, stats.register_failures)),
        ("updated", format!("{} ({} failed)", stats.updates, stats.update_failures)),
        ("deregistered", stats.deregisters.to_string()),
        ("requests answered", stats.requests.to_string()),
        ("notifications", format!("{}, and {} sent unasked", stats.notifications, stats.sends)),
        ("firmware updates", stats.firmware_updates.to_string()),
        ("missed asleep", format!("{} datagrams", stats.missed_asleep)),
        ("datagrams", traffic_line(traffic)),
        ("Register to answer", stats.register.summary()),
        ("Update to answer", stats.update.summary()),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    terminal::table(&rows)
}
