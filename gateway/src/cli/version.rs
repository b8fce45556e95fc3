//! `turnstone version`.

use clap::Args;

use super::print;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn version(arguments: &VersionArgs) -> Exit {
    if arguments.json {
        print(&format!("{{\"name\":\"turnstone\",\"version\":\"{VERSION}\"}}\n"))
    } else {
        print(&format!("turnstone {VERSION}\n"))
    }
}
