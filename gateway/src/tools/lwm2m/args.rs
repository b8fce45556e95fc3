//! The arguments of `turnstone lwm2m …`.
use clap::{ArgAction, Args};

use crate::tools::mqtt::BrokerArgs;

/// Where to ask, and how the answer is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(super) broker: BrokerArgs,
    /// Begin of the gateway's LwM2M topics
    #[arg(long, default_value = "lwm2m", value_name = "TOPIC", help_heading = "Connection")]
    pub(super) mount: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// How long a command may take, and how the device is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct PatienceArgs {
    /// Seconds to wait for the answer
    #[arg(short = 'W', long = "wait", default_value_t = 70.0, value_name = "SECONDS")]
    pub(super) wait: f64,
    /// Seconds that the command may wait for a sleeping device
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl: Option<u32>,
    /// Content format to ask the device for, by number
    #[arg(long, value_name = "NUMBER")]
    pub(super) accept: Option<u16>,
}

/// Which device is asked, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) patience: PatienceArgs,
    /// The device's endpoint name
    pub(super) endpoint: String,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Only those that are there
    #[arg(long)]
    pub(super) online: bool,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// What to read, such as /3/0 or "Device/0/Battery Level"; several are read at once
    #[arg(required = true)]
    pub(super) path: Vec<String>,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// A resource, or an instance for several values
    pub(super) path: String,
    /// The value of a resource; for an instance RESOURCE=VALUE, several times. @FILE is a file's bytes
    #[arg(required = true, allow_negative_numbers = true)]
    pub(super) values: Vec<String>,
    /// The type, for objects that the catalog does not know
    #[arg(long, value_name = "TYPE")]
    pub(super) r#type: Option<String>,
    /// Replace the instance or resource as a whole instead of updating it
    #[arg(long)]
    pub(super) replace: bool,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// The resource, such as "Device/0/Reboot"
    pub(super) path: String,
    /// Its arguments, such as 0='x',1
    pub(super) arguments: Option<String>,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ObserveArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// What to observe
    pub(super) path: String,
    /// End after so many reports
    #[arg(short = 'C', long)]
    pub(super) count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(super) duration: Option<f64>,
    /// Leave the observation in place at the end
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct DiscoverArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// An object, an instance or a resource
    pub(super) path: String,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// The object, such as 3303 or Temperature
    pub(super) object: String,
    /// Its values: RESOURCE=VALUE
    #[arg(allow_negative_numbers = true)]
    pub(super) values: Vec<String>,
    /// Id of the new instance [default: the device chooses]
    #[arg(long, value_name = "ID")]
    pub(super) instance: Option<u16>,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// The instance
    pub(super) path: String,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct FwArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// The device's endpoint name
    pub(super) endpoint: String,
    /// Name of an image in the gateway's lwm2m.firmware_dir, or a coap:// or coaps:// address
    #[arg(required_unless_present = "cancel")]
    pub(super) image: Option<String>,
    /// Stop the update that runs
    #[arg(long, conflicts_with_all = ["image", "no_update"])]
    pub(super) cancel: bool,
    /// Download only: the update itself is not run
    #[arg(long)]
    pub(super) no_update: bool,
    /// Seconds to wait for the end
    #[arg(short = 'W', long = "wait", default_value_t = 3600.0, value_name = "SECONDS")]
    pub(super) wait: f64,
}
