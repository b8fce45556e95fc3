//! What differs between two configurations, for a reload.

use std::fmt;

use super::schema::{self, Apply, Config};

/// One key with another value. Secrets show as `<redacted>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The dotted name.
    pub key: String,
    /// The value before, as in the file.
    pub old: String,
    /// The value now.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// All changed keys, in the order of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that a reload applies.
    pub reloadable: Vec<Change>,
    /// Those that wait for the next start.
    pub restart: Vec<Change>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.reloadable.is_empty() && self.restart.is_empty()
    }
}

impl Config {
    /// What `new` changes.
    pub fn diff(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for key in schema::keys() {
            let (before, after) = ((key.get)(self), (key.get)(new));
            if before == after {
                continue;
            }
            let (old, mut new) = (key.kind.write(&before), key.kind.write(&after));
            if old == new {
                new.push_str(" (with other contents)");
            }
            let change = Change { key: key.name.to_owned(), old, new };
            match key.apply {
                Apply::Reload => changes.reloadable.push(change),
                Apply::Restart => changes.restart.push(change),
            }
        }
        changes
    }

    /// These settings with the reloadable ones of `new`: what holds after a reload.
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut config = self.clone();
        for key in schema::keys().filter(|key| key.apply == Apply::Reload) {
            let fits = (key.set)(&mut config, &(key.get)(new));
            debug_assert!(fits, "{}: its own value fits its own field", key.name);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::types::Secret;
    use super::*;

    #[test]
    fn a_reload_takes_what_it_can_and_names_the_rest() {
        let old = Config::default();
        let mut new = old.clone();
        new.mqtt.port = 2883;
        new.mqtt.session_expiry = Some(Duration::from_secs(86_400));
        new.sn.password = Some(Secret::new("hunter2"));
        let changes = old.diff(&new);
        let shown = |list: &[Change]| list.iter().map(Change::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown(&changes.reloadable),
            ["mqtt.session_expiry: \"off\" -> \"1d\"", "mqtt.sn.password: \"\" -> \"<redacted>\""]
        );
        assert_eq!(shown(&changes.restart), ["mqtt.port: 1883 -> 2883"]);

        let running = old.reloaded(&new);
        assert_eq!(running.mqtt.port, 1883);
        assert_eq!(running.mqtt.session_expiry, new.mqtt.session_expiry);
        assert!(running.diff(&new).reloadable.is_empty());
        assert!(old.diff(&old.clone()).is_empty());
    }
}
