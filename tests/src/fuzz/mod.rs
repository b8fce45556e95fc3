//! Fuzz targets: functions that no input may bring to a panic.
//!
//! Each is called by a program of `tests/fuzz/fuzz_targets` (cargo-fuzz), and by the test `fuzz_seeds`, which plays
//! the inputs of `tests/fuzz/seeds` on every test run. A new target is a function here, a row in [`TARGETS`], a file
//! of seeds and a program; the test says what is missing. What a fuzzer finds becomes a line of the seeds.
//!
//! A target does more than to survive: it asserts what must hold for every input (what was decoded can be encoded
//! again, who behaves is served in the end).

pub mod lwm2m;
pub mod mqtt;
pub mod sn;
pub mod topics;

use std::path::Path;

use crate::notation::{fill, parse};
use crate::sim::rng::Rng;

/// A target's name, which is that of its program and its seeds, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("sn_datagram", sn::datagram),
    ("sn_session", sn::session),
    ("mqtt_stream", mqtt::stream),
    ("topic_filter", topics::filter),
    ("coap_session", lwm2m::session),
    ("lwm2m_content", lwm2m::content),
    ("lwm2m_command", lwm2m::command),
    ("object_xml", lwm2m::object_xml),
];

/// The seeds of a target: one a line, in the notation of the hostile inputs; lines with `#` in front are comments.
/// Panics where they cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let path = folder.join(format!("{target}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| parse(line).and_then(|symbols| fill(&symbols, &[]));
    lines.map(|line| read(line).unwrap_or_else(|error| panic!("{target}, {line}: {error}"))).collect()
}

/// Changes an input a little: an octet, a bit, a piece left out or said twice.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = usize::try_from(rng.below(bytes.len() as u64 + 1)).expect("a length");
    let octet = u8::try_from(rng.below(256)).expect("an octet");
    let end = bytes.len().min(at + usize::from(octet % 16));
    match rng.below(8) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, octet),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            bytes.extend(piece);
        }
        4 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *rng.pick(&[0x00, 0x01, 0x02, 0x7F, 0x80, 0xFE, 0xFF]);
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (octet % 8);
            }
        }
    }
}

/// Reads an input in parts; at its end everything is zero or empty.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The whole input.
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One octet.
    pub fn octet(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// The next octets, `count` at most.
    pub fn octets(&mut self, count: usize) -> &'a [u8] {
        let (part, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        part
    }

    /// Octets behind a length of one octet.
    pub fn chunk(&mut self) -> &'a [u8] {
        let count = self.octet();
        self.octets(usize::from(count))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
