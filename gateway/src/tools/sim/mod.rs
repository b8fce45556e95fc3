//! `turnstone sim …`: devices that do not exist, many on one thread, the same again for the same seed.
//!
//! ```text
//! sn::SnDevice ────┐
//! lwm2m::Lwm2mDevice ┴─ Swarm: one UDP socket each, one poll, one heap of deadlines, loss and copies by chance
//! ```
pub(crate) mod args;
pub(crate) mod lwm2m;
pub(crate) mod rng;
pub(crate) mod sn;
mod sn_device;
pub(crate) mod swarm;
