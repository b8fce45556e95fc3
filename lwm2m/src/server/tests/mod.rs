//! Scenarios in virtual time: scripted devices over CoAP's wire bytes, the real broker, an MQTT client that hears all.
mod contract;
mod devices;
mod emqx;
mod firmware;
mod first_light;
mod hostile;
mod index;
mod lossy;
mod observing;
mod operations;
mod outcomes;
mod queue_mode;
mod registering;
mod sending;
mod tracing;
mod world;
