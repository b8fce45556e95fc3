//! LwM2M over CoAP for Turnstone: message layer, object catalog, content formats and the JSON bridge.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod coap;
pub mod command;
pub mod content;
pub mod limits;
pub mod path;
pub mod value;
