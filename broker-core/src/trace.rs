//! Traces: what one device says and hears, as it happens, for people who look for a fault. What a front-end keeps for
//! that; how it knows whose a datagram is, is its own.
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Devices followed at a time. Beyond, the newest wish is refused.
const NAMES_MAX: usize = 16;
/// Events kept until they are taken. Beyond, the oldest is dropped and counted.
const EVENTS_MAX: usize = 1024;
/// Bytes of a datagram that are kept.
const BYTES_MAX: usize = 256;

/// One datagram of a traced device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Whose.
    pub name: Arc<str>,
    /// When, milliseconds since 1970.
    pub unix_ms: u64,
    /// Where the device is.
    pub address: SocketAddr,
    /// The datagram; its first 256 bytes are kept.
    pub bytes: Box<[u8]>,
    /// What it says in words, with text from the wire escaped.
    pub message: String,
    /// What became of a received one; `None`: it was sent to the device.
    pub verdict: Option<&'static str>,
}

/// Who is followed, where each was last (`P`: what a front-end calls a place), and what was seen.
#[derive(Debug)]
pub struct Tracer<P> {
    /// By name. A front-end moves them.
    pub places: BTreeMap<Arc<str>, Option<P>>,
    events: VecDeque<TraceEvent>,
    dropped: u64,
}

impl<P> Default for Tracer<P> {
    fn default() -> Tracer<P> {
        Tracer { places: BTreeMap::new(), events: VecDeque::new(), dropped: 0 }
    }
}

impl<P> Tracer<P> {
    /// Whether anybody is followed.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.places.is_empty()
    }

    /// Follows a device from now on, from the place that `find` knows. False when too many are followed already.
    pub fn follow(&mut self, name: &str, find: impl FnOnce() -> Option<P>) -> bool {
        if self.places.contains_key(name) {
            return true;
        }
        let room = self.places.len() < NAMES_MAX;
        if room {
            self.places.insert(Arc::from(name), find());
        }
        room
    }

    /// Follows it no longer.
    pub fn unfollow(&mut self, name: &str) {
        self.places.remove(name);
    }

    /// Keeps what was seen.
    pub fn push(&mut self, mut event: TraceEvent) {
        if let Some(first) = event.bytes.get(..BYTES_MAX) {
            event.bytes = first.into();
        }
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(event);
    }

    /// Whether events wait to be taken.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What was seen since the last call, and how much was dropped.
    pub fn take(&mut self) -> (VecDeque<TraceEvent>, u64) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, bytes: usize) -> TraceEvent {
        TraceEvent {
            name: "d".into(),
            unix_ms: 0,
            address: "192.0.2.1:1".parse().expect("an address"),
            bytes: vec![7; bytes].into(),
            message: message.into(),
            verdict: None,
        }
    }

    #[test]
    fn sixteen_are_followed_and_the_newest_1024_events_kept() {
        let mut tracer = Tracer::<u8>::default();
        assert!(!tracer.is_on());
        for n in 0..20 {
            assert_eq!(tracer.follow(&n.to_string(), || Some(1)), n < 16, "{n}");
        }
        assert!(tracer.follow("3", || Some(2)), "already followed");
        assert_eq!(tracer.places.get("3"), Some(&Some(1)));
        tracer.unfollow("3");
        assert!(tracer.follow("17", || None));
        (0..1030).for_each(|n| tracer.push(event(&n.to_string(), 300)));
        assert!(tracer.has_events());
        let (events, dropped) = tracer.take();
        assert_eq!((events.len(), dropped), (1024, 6));
        assert_eq!((&*events[0].message, events[0].bytes.len()), ("6", 256));
        assert_eq!((tracer.has_events(), tracer.take().1), (false, 0));
    }
}
