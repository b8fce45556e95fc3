//! `turnstone lwm2m …`: commands to devices, by name or number, over the gateway's MQTT interface.
//!
//! ```text
//! args ─► names (path by name) ─► ask: lwm2m/EP/dn ──► gateway ──► device
//!                                      lwm2m/EP/up/resp, up/notify, event ◄──┘ ─► show (names, units)
//! ```
mod args;
mod ask;
mod commands;
mod ls;
mod names;
mod show;
mod values;

use clap::Subcommand;

use crate::exit::Exit;
use crate::tools::finish;

#[derive(Debug, Subcommand)]
pub(crate) enum Lwm2mCommand {
    /// Devices that the gateway knows, and whether they are there
    Ls(args::LsArgs),
    /// Read values: turnstone lwm2m read meter-1 Device/0/Manufacturer
    Read(args::ReadArgs),
    /// Write one value, or several of an instance: … write meter-1 /3/0/14 +02:00
    Write(args::WriteArgs),
    /// Execute a resource: … exec meter-1 Device/0/Reboot
    Exec(args::ExecArgs),
    /// Print values whenever the device reports them
    Observe(args::ObserveArgs),
    /// What a device has: … discover meter-1 /3
    Discover(args::DiscoverArgs),
    /// Create an instance: … create meter-1 Temperature 5701=Cel
    Create(args::CreateArgs),
    /// Delete an instance: … delete meter-1 /3303/1
    Delete(args::DeleteArgs),
    /// Update the firmware, from an image in the gateway's lwm2m.firmware_dir or from a coap:// address
    Fw(args::FwArgs),
}

/// `turnstone lwm2m`.
pub(crate) fn run(command: Lwm2mCommand) -> Exit {
    finish(match command {
        Lwm2mCommand::Ls(arguments) => ls::ls(arguments),
        Lwm2mCommand::Read(arguments) => commands::read(arguments),
        Lwm2mCommand::Write(arguments) => commands::write(arguments),
        Lwm2mCommand::Exec(arguments) => commands::exec(arguments),
        Lwm2mCommand::Observe(arguments) => commands::observe(arguments),
        Lwm2mCommand::Discover(arguments) => commands::discover(arguments),
        Lwm2mCommand::Create(arguments) => commands::create(arguments),
        Lwm2mCommand::Delete(arguments) => commands::delete(arguments),
        Lwm2mCommand::Fw(arguments) => commands::firmware(arguments),
    })
}
