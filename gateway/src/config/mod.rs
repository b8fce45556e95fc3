//! Settings: one schema, four layers, every mistake named with its place.
//!
//! ```text
//! --set KEY=VALUE, flags  >  TURNSTONE__SECTION__KEY  >  file  >  defaults
//! ```
//! [`schema`] holds the one table of keys. [`load()`] reads the layers, checks every value of every layer (a bad
//! value is a mistake also where a higher layer hides it) and returns typed settings or all problems at once.
//! Nothing here opens a socket.

mod core;
mod diff;
mod expand;
mod file;
pub mod group;
pub mod kind;
mod listen;
mod load;
pub mod problem;
mod read;
mod rules;
mod sample;
pub mod schema;
mod show;
mod suggest;
pub mod types;
pub mod units;

pub use diff::{Change, Changes};
pub use listen::{Listener, Protocol};
pub use load::{Argument, Loaded, Sources, VARIABLE_PREFIX, load, variable_name};
pub use problem::{Place, Problem, Problems};
pub use sample::sample;
pub use schema::{
    Apply, Config, LimitsConfig, LogConfig, Lwm2mConfig, MqttConfig, ProcessConfig, SnConfig, SysConfig,
};
pub use types::{
    Bind, ClientTopics, LifetimeZero, LogFormat, LogLevel, Network, NewAddress, Overlapping, PredefinedFile,
    Secret, SnRebind, SnReflectGuard, SnShortSuback, SnSleepConnectClean, UpdateEvents,
};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
