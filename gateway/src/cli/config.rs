//! `turnstone config init | check | show`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SettingArgs, print, refuse};
use crate::config::{Sources, load, sample};
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print a file with every key, its meaning and its default
    Init,
    /// Check a file: "ok" and exit code 0, or every mistake and exit code 2
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Print the settings that hold, from file, environment and --set together
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Say where each value was set
    #[arg(long)]
    origin: bool,
    /// Print JSON: durations in seconds, sizes in bytes
    #[arg(long)]
    json: bool,
}

pub(super) fn config(command: ConfigCommand) -> Exit {
    match command {
        ConfigCommand::Init => print(&sample()),
        ConfigCommand::Check { file } => check(file),
        ConfigCommand::Show(arguments) => show(&arguments),
    }
}

/// The file alone: a variable that sets a key must not hide or add a mistake, only `${VAR}` is looked up.
fn check(file: PathBuf) -> Exit {
    let name = file.display().to_string();
    let process = Sources::of_process();
    match load(Sources { file: Some(file), ..process.without_key_variables() }) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{}", warning.as_warning());
            }
            print(&format!("{name}: ok\n"))
        }
        Err(problems) => refuse(&problems),
    }
}

fn show(arguments: &ShowArgs) -> Exit {
    match arguments.settings.load(std::iter::empty()) {
        Ok(loaded) => {
            let text = if arguments.json {
                loaded.show_json(arguments.origin)
            } else {
                loaded.show_toml(arguments.origin)
            };
            print(&text)
        }
        Err(problems) => refuse(&problems),
    }
}
