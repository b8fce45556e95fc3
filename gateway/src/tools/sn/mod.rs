//! The client's side of MQTT-SN, and the tools `turnstone sn …`.
pub(crate) mod args;
mod link;
pub(crate) mod ping;
pub(crate) mod pub_tool;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod sub_tool;

pub(crate) use link::Link;
