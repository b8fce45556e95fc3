//! Scenarios in virtual time: scripted devices over CoAP's wire bytes, the real broker, an MQTT client that hears all.
mod first_light;
mod observing;
mod outcomes;
mod world;
