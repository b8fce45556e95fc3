//! MQTT 3.1.1: a stream of bytes against the broker's front-end.

use crate::sim::mqtt::world;
use crate::sim::packet::{Connect, FromServer, Publish};

use super::Input;

/// Octets of input that are played.
const PLAYED_MAX: usize = 16_384;

/// The first octet cuts the stream in pieces; the rest is what the client sends. The pieces make no difference, and
/// another client is served as before.
pub fn stream(bytes: &[u8]) {
    let mut input = Input::new(bytes.get(..PLAYED_MAX).unwrap_or(bytes));
    let piece = usize::from(input.octet()) + 1;
    let stream = input.rest();
    let (pieces, closed) = answers(stream, piece);
    let (whole, closed_as_well) = answers(stream, stream.len().max(1));
    assert_eq!(closed, closed_as_well, "cut in pieces of {piece}");
    // A stream that ends at once leaves no time for all its answers.
    if !closed {
        assert_eq!(sorted(pieces), sorted(whole), "cut in pieces of {piece}");
    }
}

/// Deliveries may stand before acknowledgements or behind them.
fn sorted(answers: Vec<FromServer>) -> Vec<String> {
    let mut lines: Vec<String> = answers.iter().map(|answer| format!("{answer:?}")).collect();
    lines.sort();
    lines
}

/// What the server says to the stream, and whether it closes.
fn answers(stream: &[u8], piece: usize) -> (Vec<FromServer>, bool) {
    let mut world = world(7);
    let other = world.connect(&Connect::new("other"));
    world.subscribe(other, &[("other/#", 0)]);
    let client = world.open();
    for piece in stream.chunks(piece) {
        world.send(client, piece);
    }
    let answers = world.received(client);
    for answer in &answers {
        assert!(!matches!(answer, FromServer::Wrong(_)), "no server may send {answer:?}");
    }
    let closed = world.closed(client).is_some();
    if world.closed(other).is_none() {
        // The stream may have taken the other's name, but not its voice.
        world.received(other);
        world.send(other, &Publish::new("other/t", "well", 0, 0).bytes());
        let heard = world.received(other);
        assert!(
            heard.iter().any(|it| matches!(it, FromServer::Publish(publish) if publish.payload == b"well")),
            "another client heard {heard:?}"
        );
    }
    (answers, closed)
}
