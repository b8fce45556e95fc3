//! A small blocking MQTT 3.1.1 client over TCP, and the tools that are nothing more than that.
pub(crate) mod args;
mod client;
pub(crate) mod pub_tool;
pub(crate) mod rc;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod sub_tool;
pub(crate) mod trace;

pub(crate) use args::BrokerArgs;
pub(crate) use client::{Client, Delivery};
