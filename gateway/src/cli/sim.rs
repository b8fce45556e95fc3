//! `turnstone sim sn | lwm2m`.

use clap::Subcommand;

use crate::exit::Exit;
use crate::tools::sim::{lwm2m, sn};

#[derive(Debug, Subcommand)]
pub(super) enum SimCommand {
    /// MQTT-SN devices: always-on, sleeper, beacon
    Sn(sn::SimSnArgs),
    /// LwM2M devices: meter, light, tracker, queue
    Lwm2m(lwm2m::SimLwm2mArgs),
}

pub(super) fn sim(command: SimCommand) -> Exit {
    match command {
        SimCommand::Sn(arguments) => sn::run(arguments),
        SimCommand::Lwm2m(arguments) => lwm2m::run(arguments),
    }
}
