//! The program serving: its own process, real sockets, one worker and several.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]
mod bounds;
mod coap_device;
mod datagrams;
mod gateway;
mod lifecycle;
mod lwm2m_settings;
mod sn_device;
mod sn_settings;
mod streams;
