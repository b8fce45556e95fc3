//! Observations of a server, and what is due to be told.
use std::time::{Duration, Instant};

use lwm2m::coap::Token;
use lwm2m::content::Entry;
use lwm2m::path::ObjectPath;

use super::attributes::Attributes;

/// Observations of one device. Reaction: the next one is answered as a plain read.
const OBSERVATIONS_MAX: usize = 32;

/// One path, or several at once, that a server wants to hear of.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) token: Token,
    pub(super) paths: Vec<ObjectPath>,
    pub(super) composite: bool,
    pub(super) accept: Option<u16>,
    pub(super) sequence: u32,
    told: Vec<Entry>,
    told_at: Instant,
}

/// All of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Observations(Vec<Observation>);

impl Observations {
    /// Takes one up, in place of an older one of the same paths or token. The first sequence number, or `None` when
    /// there are too many.
    pub(super) fn register(
        &mut self,
        now: Instant,
        token: Token,
        paths: Vec<ObjectPath>,
        composite: bool,
        accept: Option<u16>,
        told: Vec<Entry>,
    ) -> Option<u32> {
        self.0.retain(|old| old.token != token && (old.paths != paths || old.composite != composite));
        if self.0.len() >= OBSERVATIONS_MAX {
            return None;
        }
        let sequence = 1;
        self.0.push(Observation { token, paths, composite, accept, sequence, told, told_at: now });
        Some(sequence)
    }

    /// Ends the one with this token.
    pub(super) fn cancel(&mut self, token: Token) {
        self.0.retain(|observation| observation.token != token);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are to be notified now, counted as told. `read` gives the entries of some paths.
    pub(super) fn due(
        &mut self,
        now: Instant,
        attributes: &Attributes,
        read: impl Fn(&[ObjectPath]) -> Vec<Entry>,
    ) -> Vec<(Observation, Vec<Entry>)> {
        let mut due = Vec::new();
        for observation in &mut self.0 {
            let at = match observation.paths.as_slice() {
                [one] => *one,
                _ => ObjectPath::ROOT, // several, or none: only attributes of everything
            };
            let period =
                |name| attributes.number(at, name).map(|s| Duration::from_secs_f64(s.clamp(0.0, 1e9)));
            let silent = now.saturating_duration_since(observation.told_at);
            if silent < period("pmin").unwrap_or_default() {
                continue;
            }
            let entries = read(&observation.paths);
            let overdue = period("pmax").is_some_and(|pmax| pmax > Duration::ZERO && silent >= pmax);
            if overdue || attributes.is_worth_telling(at, &observation.told, &entries) {
                observation.sequence = (observation.sequence + 1) & 0xff_ffff;
                observation.told.clone_from(&entries);
                observation.told_at = now;
                due.push((observation.clone(), entries));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lwm2m::value::Value;

    #[test]
    fn a_change_waits_for_pmin_and_silence_ends_at_pmax() {
        let begin = Instant::now();
        let path = ObjectPath::parse("/3/0/9").expect("a path");
        let mut attributes = Attributes::default();
        assert!(attributes.write(path, [&b"pmin=10"[..], b"pmax=60"].into_iter()));
        let value = |number| vec![Entry::new(path, Value::Integer(number))];
        let token = Token::new(&[1]).expect("a token");
        let mut all = Observations::default();
        assert_eq!(all.register(begin, token, vec![path], false, None, value(97)), Some(1));
        let mut told = |seconds, number| {
            let now = begin + Duration::from_secs(seconds);
            let due = all.due(now, &attributes, |_| value(number));
            due.into_iter().map(|(observation, _)| observation.sequence).collect::<Vec<_>>()
        };
        assert_eq!(told(5, 96), [0; 0], "before pmin");
        assert_eq!(told(10, 96), [2]);
        assert_eq!(told(30, 96), [0; 0], "nothing new");
        assert_eq!(told(70, 96), [3], "pmax");
    }

    #[test]
    fn there_is_one_for_each_path_and_not_too_many() {
        let now = Instant::now();
        let mut all = Observations::default();
        for number in 0..40 {
            let path = ObjectPath::object(number);
            let token = Token::new(&number.to_be_bytes()).expect("a token");
            let taken = all.register(now, token, vec![path], false, None, Vec::new()).is_some();
            assert_eq!(taken, usize::from(number) < OBSERVATIONS_MAX);
        }
        let again = Token::new(b"again").expect("a token");
        all.register(now, again, vec![ObjectPath::object(3)], false, None, Vec::new());
        assert_eq!(all.0.len(), OBSERVATIONS_MAX);
        all.cancel(again);
        assert_eq!(all.0.len(), OBSERVATIONS_MAX - 1);
        all.clear();
        assert!(all.is_empty());
    }
}
