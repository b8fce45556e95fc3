//! The effective settings as text: TOML that reads back, or JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use broker_core::topic::TopicName;
use serde_json::{Map, Value as Json};

use super::kind::Kind;
use super::load::{Loaded, member_name};
use super::problem::Place;
use super::schema::{self, Key};
use super::types::Value;
use super::units;

/// One key (or one predefined topic) with its value.
struct Row {
    name: String,
    key: &'static Key,
    value: Value,
}

fn rows(loaded: &Loaded) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in schema::keys() {
        match (key.get)(&loaded.config) {
            Value::Topics(topics) => rows.extend(topics.into_iter().map(|(id, name)| Row {
                name: format!("{}.{id}", key.name),
                key,
                value: Value::Text(name.as_str().to_owned()),
            })),
            Value::ClientTopics(clients) => rows.extend(clients.into_iter().flat_map(|(client, topics)| {
                topics.into_iter().map(move |(id, name)| Row {
                    name: member_name(key, &format!("{client}.topic.{id}")),
                    key,
                    value: Value::Text(name.as_str().to_owned()),
                })
            })),
            value @ (Value::Bool(_)
            | Value::Integer(_)
            | Value::Duration(_)
            | Value::Off
            | Value::Text(_)
            | Value::Secret(_)
            | Value::Path(_)
            | Value::Unset
            | Value::Binds(_)
            | Value::Networks(_)
            | Value::Groups(_)
            | Value::Auto
            | Value::Peers(_)
            | Value::PredefinedFile(_)) => rows.push(Row { name: key.name.to_owned(), key, value }),
        }
    }
    rows
}

impl Loaded {
    fn origin(&self, name: &str) -> &Place {
        self.origins.get(name).unwrap_or(&Place::Default)
    }

    /// `key = value` lines; with `origin`, where each was set, as a comment.
    pub fn show_toml(&self, origin: bool) -> String {
        let rows = rows(self);
        let lines: Vec<(String, &Row)> = rows
            .iter()
            .map(|row| (format!("{} = {}", row.name, row.key.kind.write(&row.value)), row))
            .collect();
        let width = lines
            .iter()
            .map(|(line, _)| line.chars().count())
            .filter(|width| *width <= 60)
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (line, row) in lines {
            text.push_str(&line);
            if origin {
                let gap = width.saturating_sub(line.chars().count());
                let _ = write!(text, "{:gap$}  # {}", "", self.origin(&row.name));
            }
            text.push('\n');
        }
        text
    }

    /// One object: dotted name to value, or with `origin` to `{"value": ..., "origin": ...}`. Durations are
    /// seconds, sizes bytes, what is off or not set `null`.
    pub fn show_json(&self, origin: bool) -> String {
        let mut object = Map::new();
        for row in rows(self) {
            let value = json(&row.value);
            let shown = if origin {
                let mut both = Map::new();
                both.insert("value".to_owned(), value);
                both.insert("origin".to_owned(), Json::String(self.origin(&row.name).to_string()));
                Json::Object(both)
            } else {
                value
            };
            object.insert(row.name, shown);
        }
        format!("{:#}\n", Json::Object(object))
    }
}

fn json(value: &Value) -> Json {
    let text = |kind: Kind| Json::String(kind.write(value).trim_matches('"').to_owned());
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Integer(n) => Json::from(*n),
        Value::Duration(d) if d.subsec_nanos() == 0 => Json::from(d.as_secs()),
        Value::Duration(d) => serde_json::Number::from_f64(d.as_secs_f64())
            .map_or_else(|| Json::String(units::format_duration(*d)), Json::Number),
        Value::Off | Value::Unset => Json::Null,
        Value::Text(t) => Json::String(t.clone()),
        Value::Secret(_) => text(Kind::Secret { max: 0 }),
        Value::Path(path) => Json::String(path.to_string_lossy().into_owned()),
        Value::Binds(binds) => list(binds),
        Value::Networks(networks) => list(networks),
        Value::Groups(groups) => list(groups),
        Value::Auto => Json::String("auto".to_owned()),
        Value::Peers(peers) => list(peers),
        Value::Topics(topics) => topics_json(topics),
        Value::ClientTopics(clients) => Json::Object(
            clients.iter().map(|(client, topics)| (client.clone(), topics_json(topics))).collect(),
        ),
        Value::PredefinedFile(file) => Json::String(file.path.to_string_lossy().into_owned()),
    }
}

fn list<T: ToString>(items: &[T]) -> Json {
    Json::Array(items.iter().map(|item| Json::String(item.to_string())).collect())
}

fn topics_json(topics: &BTreeMap<u16, TopicName>) -> Json {
    let topic = |(id, name): (&u16, &TopicName)| (id.to_string(), Json::String(name.as_str().to_owned()));
    Json::Object(topics.iter().map(topic).collect())
}
