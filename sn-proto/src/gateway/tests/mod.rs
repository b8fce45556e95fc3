//! The gateway with the real broker behind it, in virtual time.
#![allow(clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod first_light;
mod world;
