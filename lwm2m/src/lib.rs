//! LwM2M over CoAP for Turnstone: message layer, object catalog, content formats and the JSON bridge.
#![forbid(unsafe_code)]

mod arena;
pub mod catalog;
pub mod coap;
pub mod command;
pub mod content;
mod device;
mod devices;
mod few;
mod json_text;
pub mod limits;
pub mod path;
pub mod registration;
pub mod server;
pub mod value;

pub use server::{Config, Lwm2mServer};
