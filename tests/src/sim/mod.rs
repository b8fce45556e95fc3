//! The simulated world: virtual time, one seed, a broker with its front-ends, and peers that follow a script.
pub mod net;
pub mod rng;
