//! The command line: what is asked for, and with which exit code it ends.

mod config;
mod sim;
mod sn;
mod version;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Argument, Loaded, Problems, Sources, load};
use crate::exit::Exit;
use crate::run;
use crate::tools::lwm2m;
use crate::tools::mqtt::{pub_tool, rc, status, sub_tool, trace};

/// MQTT-SN gateway, LwM2M bridge and MQTT 3.1.1 broker in one program.
#[derive(Debug, Parser)]
#[command(
    name = "turnstone",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 ok, 1 failure, 2 wrong command line or configuration, 3 cannot reach the gateway, \
                  4 timeout, 5 denied, 130 interrupted."
)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (this is what happens without a command)
    Run(RunArgs),
    /// Print, check and show settings
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Publish over MQTT, as mosquitto_pub
    Pub(pub_tool::PubArgs),
    /// Subscribe over MQTT and print, as mosquitto_sub
    Sub(sub_tool::SubArgs),
    /// How the gateway does
    Status(status::StatusArgs),
    /// What one MQTT-SN or LwM2M device says and hears, live
    Trace(trace::TraceArgs),
    /// Speak MQTT-SN with a gateway
    Sn {
        #[command(subcommand)]
        command: sn::SnCommand,
    },
    /// Read, write, execute, observe … on LwM2M devices, through a running gateway
    Lwm2m {
        #[command(subcommand)]
        command: lwm2m::Lwm2mCommand,
    },
    /// Simulate devices
    Sim {
        #[command(subcommand)]
        command: sim::SimCommand,
    },
    /// Print the version
    Version(version::VersionArgs),
}

/// Where settings come from.
#[derive(Debug, Args)]
struct SettingArgs {
    /// The configuration file; without it the built-in defaults hold
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, over the file and the environment; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The same as --set log.level=LEVEL
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// The same as --set log.format=FORMAT
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Does what the arguments (with the program's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = rc::with_defaults(arguments.into_iter().collect());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nobody is left to tell when this fails
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(arguments) => match arguments.load() {
            Ok(loaded) => run::run(loaded),
            Err(problems) => refuse(&problems),
        },
        Command::Config { command } => config::config(command),
        Command::Pub(arguments) => pub_tool::run(arguments),
        Command::Sub(arguments) => sub_tool::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Sn { command } => sn::sn(command),
        Command::Lwm2m { command } => lwm2m::run(command),
        Command::Sim { command } => sim::sim(command),
        Command::Version(arguments) => version::version(&arguments),
    }
}

impl RunArgs {
    fn load(&self) -> Result<Loaded, Problems> {
        let flags =
            [("--log-level", "log.level", &self.log_level), ("--log-format", "log.format", &self.log_format)];
        let flags = flags.into_iter().filter_map(|(flag, key, value)| {
            let value = value.clone()?;
            Some(Argument { shown: flag.to_owned(), key: key.to_owned(), value })
        });
        self.settings.load(flags)
    }
}

impl SettingArgs {
    /// Loads the settings of this process; `flags` are stronger than `--set`.
    fn load(&self, flags: impl Iterator<Item = Argument>) -> Result<Loaded, Problems> {
        let mut arguments = Vec::new();
        let mut malformed = Vec::new();
        for text in &self.set {
            match Argument::from_set(text) {
                Ok(argument) => arguments.push(argument),
                Err(problem) => malformed.push(problem),
            }
        }
        arguments.extend(flags);
        let loaded = load(Sources { file: self.config.clone(), arguments, ..Sources::of_process() });
        if malformed.is_empty() {
            return loaded;
        }
        let mut problems = loaded.err().map_or(Vec::new(), |problems| problems.0);
        problems.extend(malformed);
        Err(Problems(problems))
    }
}

/// Says what is wrong with the settings; nothing was started.
fn refuse(problems: &Problems) -> Exit {
    eprint!("{problems}");
    Exit::Usage
}

/// Prints a result. A reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            eprintln!("cannot write the result: {error}");
            Exit::Failure
        }
    }
}
