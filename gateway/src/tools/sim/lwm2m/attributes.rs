//! Attributes that a server writes (LwM2M 1.1.1 Core §5.1.2), and when a value is worth a notification.
use std::collections::BTreeMap;

use lwm2m::content::Entry;
use lwm2m::path::ObjectPath;
use lwm2m::value::Value;

/// Paths that carry attributes. Reaction: 4.00.
const PATHS_MAX: usize = 64;

/// The names that are known, with whether they are numbers of seconds.
const NAMES: [(&str, bool); 10] = [
    ("pmin", true),
    ("pmax", true),
    ("gt", false),
    ("lt", false),
    ("st", false),
    ("epmin", true),
    ("epmax", true),
    ("edge", true),
    ("con", true),
    ("hqmax", true),
];

/// Attributes by path, as texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    by_path: BTreeMap<Vec<u16>, BTreeMap<String, String>>,
}

impl Attributes {
    /// Takes the arguments of a Write-Attributes: `pmin=5` sets, `pmin` unsets. False: one is unknown or no number,
    /// and none was taken.
    pub(super) fn write<'q>(&mut self, at: ObjectPath, query: impl Iterator<Item = &'q [u8]>) -> bool {
        let mut changes = Vec::new();
        for argument in query {
            let Ok(text) = std::str::from_utf8(argument) else { return false };
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let Some((_, seconds)) = NAMES.iter().find(|(known, _)| *known == name) else { return false };
            let fits = match value {
                None => true,
                Some(value) if *seconds => value.parse::<u32>().is_ok(),
                Some(value) => value.parse::<f64>().is_ok_and(f64::is_finite),
            };
            if !fits {
                return false;
            }
            changes.push((name.to_owned(), value.map(str::to_owned)));
        }
        let key = at.ids().to_vec();
        if self.by_path.len() >= PATHS_MAX && !self.by_path.contains_key(&key) {
            return false;
        }
        let held = self.by_path.entry(key.clone()).or_default();
        for (name, value) in changes {
            match value {
                Some(value) => held.insert(name, value),
                None => held.remove(&name),
            };
        }
        if held.is_empty() {
            self.by_path.remove(&key);
        }
        true
    }

    /// `</3/0/9>;pmin=5`, with what is set at this very path.
    pub(super) fn link(&self, at: ObjectPath) -> String {
        let mut link = format!("<{at}>");
        for (name, value) in self.by_path.get(at.ids()).into_iter().flatten() {
            link.push_str(&format!(";{name}={value}"));
        }
        link
    }

    /// An attribute at this path or inherited from above it.
    pub(super) fn number(&self, at: ObjectPath, name: &str) -> Option<f64> {
        (0..=at.depth())
            .rev()
            .filter_map(|depth| self.by_path.get(at.ancestor(depth).ids())?.get(name))
            .find_map(|value| value.parse().ok())
    }

    /// Whether going from the values told last to those of now is worth telling: every change, but for one number
    /// with `gt`, `lt` or `st` only a crossing or a step.
    pub(super) fn is_worth_telling(&self, at: ObjectPath, told: &[Entry], now: &[Entry]) -> bool {
        if told == now {
            return false;
        }
        let (Some(before), Some(after)) = (one_number(told), one_number(now)) else { return true };
        let bounds = [self.number(at, "gt"), self.number(at, "lt")];
        let step = self.number(at, "st");
        if bounds == [None, None] && step.is_none() {
            return true;
        }
        let crossed = bounds.into_iter().flatten().any(|bound| (before > bound) != (after > bound));
        crossed || step.is_some_and(|step| (after - before).abs() >= step)
    }
}

fn one_number(entries: &[Entry]) -> Option<f64> {
    match entries {
        [Entry { value: Value::Integer(number) | Value::Time(number), .. }] => Some(*number as f64),
        [Entry { value: Value::Unsigned(number), .. }] => Some(*number as f64),
        [Entry { value: Value::Float(number), .. }] => Some(number.to_f64()),
        _ => None, // several, none, or no number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ObjectPath {
        ObjectPath::parse(text).expect("a path")
    }

    fn write(attributes: &mut Attributes, path: &str, query: &[&str]) -> bool {
        attributes.write(at(path), query.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn attributes_are_set_unset_inherited_and_refused_as_a_whole() {
        let mut attributes = Attributes::default();
        assert!(write(&mut attributes, "/3/0", &["pmin=5", "pmax=60"]));
        assert!(write(&mut attributes, "/3/0/9", &["pmin=1"]));
        assert!(!write(&mut attributes, "/3/0/9", &["pmax=9", "nope=1"]));
        assert!(!write(&mut attributes, "/3/0/9", &["pmin=x"]));
        assert_eq!(attributes.number(at("/3/0/9"), "pmin"), Some(1.0));
        assert_eq!(attributes.number(at("/3/0/9"), "pmax"), Some(60.0));
        assert_eq!(attributes.link(at("/3/0")), "</3/0>;pmax=60;pmin=5");
        assert!(write(&mut attributes, "/3/0", &["pmin", "pmax"]));
        assert_eq!(attributes.link(at("/3/0")), "</3/0>");
    }

    #[test]
    fn a_number_with_bounds_tells_only_when_it_crosses_one() {
        let mut attributes = Attributes::default();
        let path = at("/3303/0/5700");
        let value = |number: f64| [Entry::new(path, Value::Float(number.into()))];
        assert!(attributes.is_worth_telling(path, &value(1.0), &value(1.1)));
        assert!(!attributes.is_worth_telling(path, &value(1.0), &value(1.0)));
        assert!(write(&mut attributes, "/3303/0/5700", &["gt=20", "st=5"]));
        assert!(!attributes.is_worth_telling(path, &value(10.0), &value(14.0)));
        assert!(attributes.is_worth_telling(path, &value(10.0), &value(15.0)));
        assert!(attributes.is_worth_telling(path, &value(19.0), &value(21.0)));
        assert!(!attributes.is_worth_telling(path, &value(21.0), &value(23.0)));
        assert!(attributes.is_worth_telling(path, &value(21.0), &value(19.0)));
    }
}
