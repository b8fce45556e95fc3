//! Topic names and filters (MQTT 3.1.1 §4.7), validated once: after that the type is the proof.

/// Why a text is no topic name or filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopicError {
    /// No character at all ([MQTT-4.7.3-1]).
    Empty,
}

/// A valid topic filter, as the client wrote it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TopicFilter(Box<str>);

impl TopicFilter {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
