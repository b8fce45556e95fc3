//! What values a key may have, how they are described and written. How they are read: `read`.

use std::time::Duration;

use super::problem::Place;
use super::types::{REDACTED, Value};
use super::units;

/// The allowed values of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A whole number, or `"off"`.
    OptionalInteger {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A TCP or UDP port.
    Port,
    /// A duration.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
        /// Whether `"off"` is a value.
        may_be_off: bool,
        /// Whether parts of a second are refused.
        whole_seconds: bool,
    },
    /// A number of bytes.
    Size {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A text, `""` being "not set".
    Text {
        /// The longest, in bytes of UTF-8.
        max: usize,
    },
    /// A text that is never shown, `""` being "not set".
    Secret {
        /// The longest, in bytes of UTF-8.
        max: usize,
    },
    /// The path of a file that exists, `""` being "not set".
    File,
    /// The path of a folder that exists, `""` being "not set".
    Folder,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Addresses to listen on.
    Binds,
    /// Address ranges.
    Networks,
    /// Multicast groups and broadcast addresses, or `"auto"`.
    Groups,
    /// Addresses of others, with their ports.
    Peers,
    /// Topic names under numbers: a family of keys.
    Topics,
    /// The same under the names of clients: `KEY.CLIENT.topic.N`.
    ClientTopics,
    /// The path of a file of predefined topics, which is read at once, `""` being "not set".
    PredefinedFile,
    /// What stands before the topics of MQTT-SN clients.
    Mountpoint,
    /// What stands before the topics of LwM2M devices.
    DeviceMountpoint,
}

/// A value as it stands in a file, a variable or on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// `true` or `false`.
    Bool(bool),
    /// A number; `None` when it does not even fit 128 bits.
    Integer(String, Option<i128>),
    /// A number with a fraction or an exponent.
    Float(String),
    /// A text.
    Text(String),
    /// A text without a type of its own: a variable, an argument, or the result of `${...}`.
    Untyped(String),
    /// A list, each item with its place in the file.
    List(Vec<(Raw, usize)>),
    /// A date or time.
    Date(String),
    /// A table where a value should be.
    Table,
}

/// One thing wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, to stand behind "KEY = VALUE ".
    pub what: String,
    /// The value, or the item of the list, that is meant.
    pub shown: String,
    /// What would be right, where it can be guessed.
    pub advice: Option<Advice>,
    /// More about it, left out where the value came out of `${...}` and may be somebody's secret.
    pub detail: Option<Box<str>>,
    /// Where an item of a list begins, in bytes from the start of the file.
    pub offset: Option<usize>,
    /// Where it is, when that is in a file which the value names.
    pub place: Option<Box<Place>>,
}

/// The way out of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// This value, as it would stand in the file.
    Value(String),
    /// Something else, in words.
    Step(String),
}

impl Kind {
    /// The rule in words, to stand behind "rule: ".
    pub fn rule(&self) -> String {
        match self {
            Self::Bool => "true or false, without quotes".to_owned(),
            Self::Integer { min, max } if min == max => format!("this version takes {min} only"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::OptionalInteger { min, max } => format!("a whole number from {min} to {max}, or \"off\""),
            Self::Port => "a port number from 1 to 65535".to_owned(),
            Self::Duration { min, max, may_be_off, whole_seconds } => format!(
                "a duration from {} to {}, as \"30s\", \"15m\", \"1h30m\"{} or plain seconds{}",
                units::format_duration(*min),
                units::format_duration(*max),
                if *whole_seconds { "" } else { ", \"500ms\"" },
                if *may_be_off { ", or \"off\"" } else { "" },
            ),
            Self::Size { min, max } => format!(
                "a size from {} to {}, as \"64KiB\", \"1MiB\" or plain bytes",
                units::format_size(*min),
                units::format_size(*max)
            ),
            Self::Text { max } => format!("a text in quotes, at most {max} bytes, no control characters"),
            Self::Secret { max } => format!("a text in quotes, at most {max} bytes; \"${{file:PATH}}\" reads it from a file"),
            Self::File => "the path of a file, in quotes, taken from the folder of the configuration file".to_owned(),
            Self::Folder => "the path of a folder, in quotes, taken from the folder of the configuration file".to_owned(),
            Self::Choice(words) => {
                format!("one of {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", "))
            }
            Self::Binds => "an address or a list of addresses, as \"127.0.0.1\", \"::1\", \"0.0.0.0\", \"192.0.2.7:1883\" \
                            or \"[::1]:1883\""
                .to_owned(),
            Self::Networks => "a list of networks, as [\"127.0.0.0/8\", \"::1\", \"10.0.0.0/8\"]".to_owned(),
            Self::Groups => "\"auto\", or a list of multicast or broadcast addresses, as [\"225.1.1.1\", \"225.1.1.1%eth0:1883\", \
                             \"ff02::1%wpan0\", \"[ff03::1]:1883\", \"255.255.255.255\"]"
                .to_owned(),
            Self::Peers => "a list of addresses with their ports, as [\"192.0.2.7:1884\", \"[2001:db8::7]:1884\"]".to_owned(),
            Self::Topics => "KEY.N = \"topic/name\", N from 1 to 65534 (0 is reserved), the name without + and #".to_owned(),
            Self::ClientTopics => {
                "KEY.CLIENT.topic.N = \"topic/name\", CLIENT the client id, in quotes unless it is of letters, digits, - and _"
                    .to_owned()
            }
            Self::PredefinedFile => "the path of a file of lines ClientID,TopicName,TopicID (* for all clients), in quotes, \
                                     taken from the folder of the configuration file"
                .to_owned(),
            Self::Mountpoint => "a topic prefix in quotes that ends with /, without + and #; %c is the client id and %h its IP \
                                 address, each a level of its own"
                .to_owned(),
            Self::DeviceMountpoint => "a topic prefix in quotes that ends with /, without + and #; %e is the endpoint name and \
                                       %h the device's IP address, each a level of its own"
                .to_owned(),
        }
    }

    /// Whether this is a family of keys, each with a name of its own below the row's.
    pub fn is_family(&self) -> bool {
        matches!(self, Self::Topics | Self::ClientTopics)
    }

    /// Whether this is a mount point, whose placeholders may be written as other gateways do.
    pub fn is_mountpoint(&self) -> bool {
        matches!(self, Self::Mountpoint | Self::DeviceMountpoint)
    }

    /// Whether values of this kind must not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }

    /// The value as it would stand in the file; secrets are not shown.
    pub fn write(&self, value: &Value) -> String {
        match value {
            Value::Bool(b) => b.to_string(),
            Value::Integer(n) if matches!(self, Self::Size { .. }) => quote(&units::format_size(*n)),
            Value::Integer(n) => n.to_string(),
            Value::Duration(d) => quote(&units::format_duration(*d)),
            Value::Off => quote("off"),
            Value::Text(text) => quote(text),
            Value::Secret(_) => quote(REDACTED),
            Value::Path(path) => quote(&path.to_string_lossy()),
            Value::Unset => quote(""),
            Value::Binds(binds) => list(binds),
            Value::Networks(networks) => list(networks),
            Value::Groups(groups) => list(groups),
            Value::Auto => quote("auto"),
            Value::Peers(peers) => list(peers),
            Value::Topics(topics) => {
                let entries: Vec<_> =
                    topics.iter().map(|(id, name)| format!("{id} = {}", quote(name.as_str()))).collect();
                if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
            }
            Value::ClientTopics(clients) => {
                let entries: Vec<_> = clients
                    .iter()
                    .map(|(client, topics)| {
                        let topics = Self::Topics.write(&Value::Topics(topics.clone()));
                        format!("{} = {{ topic = {topics} }}", bare_or_quoted(client))
                    })
                    .collect();
                if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
            }
            Value::PredefinedFile(file) => quote(&file.path.to_string_lossy()),
        }
    }
}

impl Raw {
    /// The value as somebody wrote it, shortened and without control characters.
    pub fn shown(&self) -> String {
        match self {
            Self::Bool(b) => b.to_string(),
            Self::Integer(text, _) | Self::Float(text) | Self::Date(text) => shorten(text),
            Self::Text(text) | Self::Untyped(text) => quote(&shorten(text)),
            Self::List(items) => shorten(&format!(
                "[{}]",
                items.iter().map(|(item, _)| item.shown()).collect::<Vec<_>>().join(", ")
            )),
            Self::Table => "{ ... }".to_owned(),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Some(text),
            Self::Bool(_)
            | Self::Integer(..)
            | Self::Float(_)
            | Self::List(_)
            | Self::Date(_)
            | Self::Table => None,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(..) => "a number",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) | Self::Untyped(_) => "a text",
            Self::List(_) => "a list",
            Self::Date(_) => "a date",
            Self::Table => "a table",
        }
    }
}

/// A part of a dotted name: in quotes where TOML wants them.
pub(crate) fn bare_or_quoted(part: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !part.is_empty() && part.chars().all(bare) { part.to_owned() } else { quote(part) }
}

/// A text in TOML's quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(|item| quote(&item.to_string())).collect::<Vec<_>>().join(", "))
}
