//! Command-line tools that talk to a running gateway over its own protocols, and the simulators.
//!
//! ```text
//! mqtt::Client  ── pub, sub, status, trace, lwm2m …      one blocking connection, MQTT 3.1.1
//! sn::Session   ── sn pub | sub | ping, sim sn           MQTT-SN's client side, without sockets
//! sim::Swarm    ── sim sn, sim lwm2m                     many devices on one poll
//! ```
//! Nothing here shares state with a gateway in the same process: a tool is a client like any other. What peers send is
//! escaped before it reaches a terminal.
pub(crate) mod error;
pub(crate) mod histogram;
pub(crate) mod interrupt;
pub(crate) mod lwm2m;
pub(crate) mod mqtt;
pub(crate) mod net;
pub(crate) mod sim;
pub(crate) mod sn;
pub(crate) mod terminal;

pub(crate) use error::{Outcome, ToolError, finish};
