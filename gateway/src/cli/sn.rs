//! `turnstone sn pub | sub | search | ping`.

use clap::Subcommand;

use crate::exit::Exit;
use crate::tools::sn::{ping, pub_tool, search, sub_tool};

#[derive(Debug, Subcommand)]
pub(super) enum SnCommand {
    /// Publish
    Pub(pub_tool::SnPubArgs),
    /// Subscribe and print, awake or asleep
    Sub(sub_tool::SnSubArgs),
    /// Look for gateways
    #[command(visible_alias = "ls")]
    Search(search::SnSearchArgs),
    /// Measure how fast a gateway answers
    Ping(ping::SnPingArgs),
}

pub(super) fn sn(command: SnCommand) -> Exit {
    match command {
        SnCommand::Pub(arguments) => pub_tool::run(arguments),
        SnCommand::Sub(arguments) => sub_tool::run(arguments),
        SnCommand::Search(arguments) => search::run(arguments),
        SnCommand::Ping(arguments) => ping::run(arguments),
    }
}
