//! Predefined topic ids (MQTT-SN §3, §6.5): known to both sides by configuration, for all clients or for one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use broker_core::topic::{TopicError, TopicNameRef};

/// Names and ids of one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    by_id: BTreeMap<u16, Arc<str>>,
    by_name: BTreeMap<Arc<str>, u16>,
}

/// All predefined topics. A client's own entry goes before the common one, by id and by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Predefined {
    common: Table,
    per_client: BTreeMap<Box<str>, Table>,
}

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredefinedError {
    /// 0 and 65535 are reserved (§5.3.11).
    ReservedId(u16),
    /// Not a topic name.
    Topic(TopicError),
    /// The id stands for another topic already.
    IdTwice(u16, Arc<str>),
    /// The topic has another id already.
    NameTwice(Arc<str>, u16),
    /// A line that is not `ClientID,TopicName,TopicID`.
    Format,
    /// The last field is not a number from 1 to 65534.
    NotANumber,
    /// No client: neither a ClientId nor `*`.
    NoClient,
}

impl fmt::Display for PredefinedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PredefinedError::ReservedId(id) => write!(f, "topic id {id} is reserved, use 1 to 65534"),
            PredefinedError::Topic(error) => write!(f, "not a topic name: {error}"),
            PredefinedError::IdTwice(id, name) => write!(f, "topic id {id} is already {name:?}"),
            PredefinedError::NameTwice(name, id) => write!(f, "topic {name:?} already has the id {id}"),
            PredefinedError::Format => {
                f.write_str("expected ClientID,TopicName,TopicID (or * for all clients)")
            }
            PredefinedError::NotANumber => f.write_str("the topic id must be a number from 1 to 65534"),
            PredefinedError::NoClient => f.write_str("the client id is empty, use * for all clients"),
        }
    }
}

/// A refused line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: PredefinedError,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

impl Predefined {
    /// Adds one entry, for `client` or, with `None`, for all. An equal entry twice is no error.
    pub fn add(&mut self, client: Option<&str>, id: u16, topic: &str) -> Result<(), PredefinedError> {
        if id == 0 || id == u16::MAX {
            return Err(PredefinedError::ReservedId(id));
        }
        let topic = TopicNameRef::new(topic).map_err(PredefinedError::Topic)?.as_str();
        let table = match client {
            None => &mut self.common,
            Some("") => return Err(PredefinedError::NoClient),
            Some(client) => self.per_client.entry(Box::from(client)).or_default(),
        };
        if let Some(other) = table.by_id.get(&id) {
            return if **other == *topic {
                Ok(())
            } else {
                Err(PredefinedError::IdTwice(id, Arc::clone(other)))
            };
        }
        if let Some((name, other)) = table.by_name.get_key_value(topic) {
            return Err(PredefinedError::NameTwice(Arc::clone(name), *other));
        }
        let topic: Arc<str> = Arc::from(topic);
        table.by_id.insert(id, Arc::clone(&topic));
        table.by_name.insert(topic, id);
        Ok(())
    }

    /// Adds the entries of a file of lines `ClientID,TopicName,TopicID`, `*` for all clients, `#` comments: the
    /// format of the Paho gateway's predefinedTopic.conf. A topic name may hold commas, a ClientId may not.
    ///
    /// All bad lines are reported at once, and the good ones are taken all the same: the caller decides.
    pub fn add_lines(&mut self, text: &str) -> Result<(), Vec<LineError>> {
        let mut errors = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches('\u{feff}');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(error) = self.add_line(line) {
                errors.push(LineError { line: number + 1, error });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn add_line(&mut self, line: &str) -> Result<(), PredefinedError> {
        let (client, rest) = line.split_once(',').ok_or(PredefinedError::Format)?;
        let (topic, id) = rest.rsplit_once(',').ok_or(PredefinedError::Format)?;
        let id = id.trim().parse::<u16>().map_err(|_| PredefinedError::NotANumber)?;
        let client = match client.trim() {
            "*" => None,
            client => Some(client),
        };
        self.add(client, id, topic.trim())
    }

    /// The topic that `id` stands for in the eyes of `client` (`None`: without a session).
    pub fn topic(&self, client: Option<&str>, id: u16) -> Option<&Arc<str>> {
        let own = client.and_then(|client| self.per_client.get(client));
        own.and_then(|table| table.by_id.get(&id)).or_else(|| self.common.by_id.get(&id))
    }

    /// The id of `topic` in the eyes of `client`. A common id that the client has for another topic is none.
    pub fn id(&self, client: Option<&str>, topic: &str) -> Option<u16> {
        let own = client.and_then(|client| self.per_client.get(client));
        if let Some(id) = own.and_then(|table| table.by_name.get(topic)) {
            return Some(*id);
        }
        let id = *self.common.by_name.get(topic)?;
        let hidden = own.is_some_and(|table| table.by_id.contains_key(&id));
        (!hidden).then_some(id)
    }

    /// Whether `id` is predefined for `client`, so that no normal id may be equal to it.
    pub fn is_taken(&self, client: &str, id: u16) -> bool {
        self.topic(Some(client), id).is_some()
    }

    /// All entries: the client or, for all, `None`; the id; the topic.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, u16, &str)> {
        let common = self.common.by_id.iter().map(|(id, topic)| (None, *id, &**topic));
        let own = self.per_client.iter().flat_map(|(client, table)| {
            table.by_id.iter().map(move |(id, topic)| (Some(&**client), *id, &**topic))
        });
        common.chain(own)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.common.by_id.len() + self.per_client.values().map(|table| table.by_id.len()).sum::<usize>()
    }

    /// Whether nothing is predefined.
    pub fn is_empty(&self) -> bool {
        self.common.by_id.is_empty() && self.per_client.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_ids_go_before_the_common_ones() {
        let mut predefined = Predefined::default();
        predefined.add(None, 1, "all/one").expect("good");
        predefined.add(None, 2, "all/two").expect("good");
        predefined.add(Some("c1"), 1, "own/one").expect("good");
        predefined.add(Some("c1"), 7, "all/two").expect("good");
        let topic = |client, id| predefined.topic(client, id).map(|topic| topic.to_string());
        assert_eq!(topic(Some("c1"), 1), Some("own/one".into()));
        assert_eq!(topic(Some("c2"), 1), Some("all/one".into()));
        assert_eq!(topic(None, 1), Some("all/one".into()));
        assert_eq!(topic(Some("c1"), 2), Some("all/two".into()));
        assert_eq!(topic(Some("c1"), 3), None);
        assert_eq!(predefined.id(Some("c1"), "all/two"), Some(7));
        assert_eq!(predefined.id(Some("c2"), "all/two"), Some(2));
        assert_eq!(predefined.id(Some("c1"), "all/one"), None, "1 is own/one to this client");
        assert_eq!(predefined.id(Some("c2"), "own/one"), None);
        assert!(predefined.is_taken("c1", 7) && !predefined.is_taken("c2", 7));
        assert_eq!(predefined.len(), 4);
        let all: Vec<_> = predefined.iter().collect();
        assert_eq!(
            all,
            [
                (None, 1, "all/one"),
                (None, 2, "all/two"),
                (Some("c1"), 1, "own/one"),
                (Some("c1"), 7, "all/two")
            ]
        );
    }

    #[test]
    fn a_paho_file_is_read_and_all_its_errors_are_told() {
        let mut predefined = Predefined::default();
        let good =
            "# comment\r\n*,/predefined/topic/1, 1\r\n\r\n  GatewayTestClient,ty4tw/topic2,2\n*,a,b,3\n";
        assert_eq!(predefined.add_lines(good), Ok(()));
        assert_eq!(predefined.topic(None, 1).map(|topic| &**topic), Some("/predefined/topic/1"));
        assert_eq!(
            predefined.topic(Some("GatewayTestClient"), 2).map(|topic| &**topic),
            Some("ty4tw/topic2")
        );
        assert_eq!(predefined.topic(None, 2), None);
        assert_eq!(predefined.topic(None, 3).map(|topic| &**topic), Some("a,b"));

        let bad =
            "*,x\n*,t/9,9\n*,t/10,ten\n,t,4\n*,a/+,5\n*,,6\n*,t,0\n*,t,65535\n*,t,65536\n*,other,1\n*,t/9,11";
        let errors = predefined.add_lines(bad).expect_err("bad");
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(errors[8].to_string(), "line 10: topic id 1 is already \"/predefined/topic/1\"");
        assert_eq!(errors[9].error, PredefinedError::NameTwice(Arc::from("t/9"), 9));
        assert_eq!(predefined.topic(None, 9).map(|topic| &**topic), Some("t/9"), "good lines are taken");
    }
}
