//! Fuzz targets: functions that no input may bring to a panic.
//!
//! Each is called by a program of `tests/fuzz/fuzz_targets` (cargo-fuzz), and by the test `fuzz_seeds`, which plays
//! the inputs of `tests/fuzz/seeds` on every test run. A new target is a function here, a row in [`TARGETS`], a file
//! of seeds and a program; the test says what is missing. What a fuzzer finds becomes a line of the seeds.
//!
//! A target does more than to survive: it asserts what must hold for every input (what was decoded can be encoded
//! again, who behaves is served in the end).

pub mod mqtt;
pub mod sn;
pub mod topics;

/// A target's name, which is that of its program and its seeds, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("sn_datagram", sn::datagram),
    ("sn_session", sn::session),
    ("mqtt_stream", mqtt::stream),
    ("topic_filter", topics::filter),
];

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
