//! The gateway with the real broker behind it, in virtual time.
#![allow(clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod clients;
mod connect;
mod deliver;
mod edges;
mod first_light;
mod hostile;
mod index;
mod lossy;
mod lossy_many;
mod places;
mod publish;
mod restart;
mod sleep;
mod table;
mod topics;
mod will;
mod workers;
mod world;
