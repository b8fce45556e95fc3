//! One test per normative statement of MQTT 3.1.1 that a server can break, on the real front-end and broker in
//! virtual time. A test's name carries the statement's number.
#![allow(clippy::disallowed_methods)]

mod connack;
mod connect;
mod conventions;
mod disconnect;
mod operation;
mod publish;
mod statements;
mod subscribe;
mod topics;

use broker_core::Limits;
use broker_core::frontend::StreamClose;
use turnstone_tests::sim::mqtt::world;
use turnstone_tests::sim::packet::{Connect, FromServer, Publish};
use turnstone_tests::sim::world::{Client, World};

/// A world and a clean client named `c` in it.
fn connected() -> (World, Client) {
    let mut world = world(1);
    let client = world.connect(&Connect::new("c"));
    (world, client)
}

/// What a stranger gets for `bytes`: the packets, and why the stream was closed.
fn stranger_sends(bytes: &[u8]) -> (Vec<FromServer>, Option<StreamClose>) {
    let mut world = world(1);
    let client = world.open();
    world.send(client, bytes);
    (world.received(client), world.closed(client))
}

/// Whether a stranger's `bytes` close the stream without any answer.
fn closes_unanswered(bytes: &[u8]) -> bool {
    let (answer, closed) = stranger_sends(bytes);
    answer.is_empty() && closed.is_some()
}

/// Whether `bytes` of a connected client close its stream as a protocol error, without any answer.
fn violates(bytes: &[u8]) -> bool {
    let (mut world, client) = connected();
    world.send(client, bytes);
    world.received(client).is_empty() && world.closed(client) == Some(StreamClose::Protocol)
}

/// Topic and payload of each message.
fn brief(messages: &[Publish]) -> Vec<(String, String)> {
    messages.iter().map(|m| (m.topic.clone(), String::from_utf8_lossy(&m.payload).into_owned())).collect()
}

/// One expected message.
fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

/// Limits under which strange but legal strings pass.
fn wide_limits() -> Limits {
    Limits { topic_bytes_max: 65_535, client_id_bytes_max: 65_535, ..Limits::default() }
}
