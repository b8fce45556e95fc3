//! The flags that all simulators share.
use std::time::Duration;

use clap::Args;

use super::swarm::Plan;
use crate::tools::mqtt::sub_tool::seconds;
use crate::tools::{ToolError, net};

/// Devices of one simulator: beyond that, start several.
const COUNT_MAX: u32 = 200_000;

/// How many devices, for how long, over which kind of network.
#[derive(Clone, Debug, Args)]
pub(crate) struct SwarmArgs {
    /// The gateway's host
    #[arg(short = 'h', long, default_value = "localhost")]
    pub(crate) host: String,
    /// Devices
    #[arg(short = 'n', long, default_value_t = 1)]
    pub(crate) count: u32,
    /// Begin of every device's name [default: sim-]
    #[arg(long, default_value = "sim-", value_name = "TEXT")]
    pub(crate) prefix: String,
    /// Seconds between two messages of a device
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(crate) interval: f64,
    /// End after so many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// Devices that start in a second
    #[arg(long, default_value_t = 1000.0, value_name = "COUNT")]
    pub(crate) rate: f64,
    /// Same seed, same devices and same losses
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Share of datagrams that get lost, each way, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) loss: f64,
    /// Share of datagrams that arrive twice, each way, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) duplicate: f64,
    /// Share of datagrams that come late, behind others, each way, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) reorder: f64,
    /// Give every device an address of its own, 127.x.y.z (to a gateway on this machine)
    #[arg(long)]
    pub(crate) spread: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl SwarmArgs {
    /// The checked flags, for a gateway at `port`.
    pub(crate) fn plan(&self, port: u16) -> Result<Plan, ToolError> {
        let share = |name: &str, value: f64| {
            if (0.0..=1.0).contains(&value) {
                return Ok(value);
            }
            Err(ToolError::usage(format!("{name} {value} is no share"), format!("{name} 0.1 for a tenth")))
        };
        if self.count == 0 || self.count > COUNT_MAX {
            return Err(ToolError::usage(
                format!("--count {} is not between 1 and {COUNT_MAX}", self.count),
                "several simulators with a --prefix each",
            ));
        }
        if !(0.001..=1_000_000.0).contains(&self.rate) {
            return Err(ToolError::usage(format!("--rate {} is no useful rate", self.rate), "--rate 1000"));
        }
        self.every()?;
        let to = net::resolve(&self.host, port)?.into_iter().next();
        let to = to.ok_or_else(|| ToolError::usage(format!("{} has no address", self.host), "-h HOST"))?;
        if self.spread && !(to.is_ipv4() && to.ip().is_loopback()) {
            return Err(ToolError::usage(
                format!("--spread gives addresses of 127.0.0.0/8, which cannot reach {to}"),
                "-h 127.0.0.1, or without --spread",
            ));
        }
        Ok(Plan {
            to,
            duration: seconds(self.duration)?,
            rate: self.rate,
            seed: self.seed,
            loss: share("--loss", self.loss)?,
            duplicate: share("--duplicate", self.duplicate)?,
            reorder: share("--reorder", self.reorder)?,
            spread: self.spread,
        })
    }

    /// The time between two messages of a device.
    pub(crate) fn every(&self) -> Result<Duration, ToolError> {
        if (0.001..=86_400.0).contains(&self.interval) {
            return Ok(Duration::from_secs_f64(self.interval));
        }
        Err(ToolError::usage(format!("--interval {} is no useful time", self.interval), "--interval 5"))
    }

    /// The name of a device, which tells its number.
    pub(crate) fn name(&self, number: u32) -> String {
        format!("{}{number}", self.prefix)
    }
}
