//! The simulated world: virtual time, one seed, a broker with its front-ends, and peers that follow a script.
pub mod mqtt;
pub mod net;
pub mod packet;
pub mod rng;
pub mod sn_device;
pub mod world;
