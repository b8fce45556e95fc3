//! From a value as somebody wrote it to a checked one, or to what is wrong with it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker_core::topic::TopicName;
use lwm2m::server::Topics;
use sn_proto::mountpoint::Mountpoint;
use sn_proto::topics::Predefined;

use super::group::{GroupAddress, NoGroup};
use super::kind::{Advice, Fault, Kind, Raw, quote};
use super::problem::Place;
use super::types::{Bind, Network, PredefinedFile, Secret, Value};
use super::{suggest, units};

impl Kind {
    /// Reads a value. Relative paths are taken from `base`.
    pub fn read(&self, raw: &Raw, base: &Path) -> Result<Value, Vec<Fault>> {
        match self {
            Self::Binds => return read_list(raw, read_bind).map(Value::Binds),
            Self::Networks => return read_list(raw, read_network).map(Value::Networks),
            Self::Groups if raw.as_text() == Some("auto") => return Ok(Value::Auto),
            Self::Groups => return read_list(raw, read_group).map(Value::Groups),
            Self::Peers => return read_list(raw, read_peer).map(Value::Peers),
            Self::Topics => {
                return match raw {
                    Raw::List(items) if items.is_empty() => Ok(Value::Topics(BTreeMap::new())),
                    _ => Err(vec![Fault::new(raw, "is not a table of topics")]),
                };
            }
            Self::ClientTopics => return Err(vec![Fault::new(raw, "is not a table of clients")]),
            Self::PredefinedFile => return read_predefined(raw, base),
            Self::Bool
            | Self::Integer { .. }
            | Self::OptionalInteger { .. }
            | Self::Port
            | Self::Duration { .. }
            | Self::Size { .. }
            | Self::Text { .. }
            | Self::Secret { .. }
            | Self::File
            | Self::Folder
            | Self::Mountpoint
            | Self::DeviceMountpoint
            | Self::Choice(_) => {}
        }
        self.read_one(raw, base).map_err(|fault| vec![fault])
    }

    fn read_one(&self, raw: &Raw, base: &Path) -> Result<Value, Fault> {
        match *self {
            Self::Bool => read_bool(raw),
            Self::Integer { min, max } => read_integer(raw, min, max).map(Value::Integer),
            Self::OptionalInteger { min, max } => match raw {
                Raw::Text(word) | Raw::Untyped(word) if word == "off" => Ok(Value::Off),
                Raw::Bool(false) => Err(wrong_type(raw, "a whole number").better(quote("off"))),
                Raw::Bool(true)
                | Raw::Integer(..)
                | Raw::Float(_)
                | Raw::Text(_)
                | Raw::Untyped(_)
                | Raw::List(_)
                | Raw::Date(_)
                | Raw::Table => read_integer(raw, min, max).map(Value::Integer),
            },
            Self::Port => read_integer(raw, 1, 65_535).map(Value::Integer),
            Self::Duration { min, max, may_be_off, whole_seconds } => {
                read_duration(raw, min, max, may_be_off, whole_seconds)
            }
            Self::Size { min, max } => read_size(raw, min, max).map(Value::Integer),
            Self::Text { max } => Ok(match read_text(raw, max)? {
                "" => Value::Unset,
                text => Value::Text(text.to_owned()),
            }),
            Self::Secret { max } => Ok(match read_text(raw, max)? {
                "" => Value::Unset,
                text => Value::Secret(Secret::new(text)),
            }),
            Self::File => read_path(raw, base, "file", Path::is_file),
            Self::Folder => read_path(raw, base, "folder", Path::is_dir),
            Self::Choice(words) => read_choice(raw, words),
            Self::DeviceMountpoint => {
                let text = read_text(raw, 256)?;
                match Topics::default().mounted_at(text) {
                    Ok(_) => Ok(Value::Text(text.to_owned())),
                    Err(error) => Err(Fault::new(raw, format!("is no mount point: {error}"))),
                }
            }
            Self::Mountpoint => Ok(match read_text(raw, 256)? {
                "" => Value::Unset,
                text => match Mountpoint::new(text) {
                    Ok(_) => Value::Text(text.to_owned()),
                    Err(error) => return Err(Fault::new(raw, format!("is no mount point: {error}"))),
                },
            }),
            Self::Binds
            | Self::Networks
            | Self::Groups
            | Self::Peers
            | Self::Topics
            | Self::ClientTopics
            | Self::PredefinedFile => Err(Fault::new(raw, "is a list")),
        }
    }
}

impl Fault {
    pub(crate) fn new(raw: &Raw, what: impl Into<String>) -> Self {
        Self { what: what.into(), shown: raw.shown(), advice: None, detail: None, offset: None, place: None }
    }

    fn better(mut self, value: impl Into<String>) -> Self {
        self.advice = Some(Advice::Value(value.into()));
        self
    }
}

/// Reads the name of a predefined topic: one that can be published to (MQTT-SN §6.5).
pub(crate) fn read_topic(raw: &Raw) -> Result<TopicName, Fault> {
    let text = raw.as_text().ok_or_else(|| wrong_type(raw, "a text"))?;
    if text.chars().any(char::is_control) {
        return Err(Fault::new(raw, "has a control character"));
    }
    TopicName::new(text).map_err(|error| Fault::new(raw, format!("is no topic name: {error}")))
}

fn wrong_type(raw: &Raw, wanted: &str) -> Fault {
    match raw {
        Raw::Untyped(_) => Fault::new(raw, format!("is not {wanted}")),
        Raw::Bool(_)
        | Raw::Integer(..)
        | Raw::Float(_)
        | Raw::Text(_)
        | Raw::List(_)
        | Raw::Date(_)
        | Raw::Table => Fault::new(raw, format!("is {}, not {wanted}", raw.type_name())),
    }
}

fn read_bool(raw: &Raw) -> Result<Value, Fault> {
    let word = match raw {
        Raw::Bool(b) => return Ok(Value::Bool(*b)),
        Raw::Integer(text, _) | Raw::Text(text) | Raw::Untyped(text) => text.to_ascii_lowercase(),
        Raw::Float(_) | Raw::List(_) | Raw::Date(_) | Raw::Table => {
            return Err(wrong_type(raw, "true or false"));
        }
    };
    let meant = match word.as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    };
    match (raw, meant) {
        (Raw::Untyped(_), Some(b)) => Ok(Value::Bool(b)),
        (_, Some(b)) => Err(wrong_type(raw, "true or false").better(b.to_string())),
        (_, None) => Err(wrong_type(raw, "true or false")),
    }
}

fn read_integer(raw: &Raw, min: u64, max: u64) -> Result<u64, Fault> {
    let number = match raw {
        Raw::Integer(_, number) => *number,
        Raw::Untyped(text) => match text.trim().parse::<i128>() {
            Ok(number) => Some(number),
            Err(_) => return Err(wrong_type(raw, "a whole number")),
        },
        Raw::Text(text) => {
            let fault = wrong_type(raw, "a whole number");
            let meant = text.trim().parse::<u64>().ok().filter(|n| (min..=max).contains(n));
            return Err(match meant {
                Some(n) => fault.better(n.to_string()),
                None => fault,
            });
        }
        Raw::Bool(_) | Raw::Float(_) | Raw::List(_) | Raw::Date(_) | Raw::Table => {
            return Err(wrong_type(raw, "a whole number"));
        }
    };
    number
        .and_then(|n| u64::try_from(n).ok())
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| Fault::new(raw, "is out of range"))
}

fn read_duration(
    raw: &Raw,
    min: Duration,
    max: Duration,
    may_be_off: bool,
    whole_seconds: bool,
) -> Result<Value, Fault> {
    let duration = match raw {
        Raw::Integer(_, number) => {
            let seconds = number.and_then(|n| u64::try_from(n).ok());
            seconds.map(Duration::from_secs).ok_or_else(|| Fault::new(raw, "is out of range"))?
        }
        Raw::Text(text) | Raw::Untyped(text) => {
            if may_be_off && text == "off" {
                return Ok(Value::Off);
            }
            units::parse_duration(text).ok_or_else(|| {
                let fault = wrong_type(raw, "a duration");
                match units::guess_duration(text).filter(|d| (min..=max).contains(d)) {
                    Some(meant) => fault.better(quote(&units::format_duration(meant))),
                    None => fault,
                }
            })?
        }
        Raw::Bool(false) if may_be_off => return Err(wrong_type(raw, "a duration").better(quote("off"))),
        Raw::Bool(_) | Raw::Float(_) | Raw::List(_) | Raw::Date(_) | Raw::Table => {
            return Err(wrong_type(raw, "a duration"));
        }
    };
    if duration.is_zero() && may_be_off {
        return Err(Fault::new(raw, "is no duration; to turn it off say so").better(quote("off")));
    }
    if !(min..=max).contains(&duration) {
        return Err(Fault::new(raw, "is out of range"));
    }
    if whole_seconds && duration.subsec_nanos() != 0 {
        return Err(Fault::new(raw, "is not in whole seconds"));
    }
    Ok(Value::Duration(duration))
}

fn read_size(raw: &Raw, min: u64, max: u64) -> Result<u64, Fault> {
    let size = match raw {
        Raw::Integer(_, number) => {
            number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| Fault::new(raw, "is out of range"))?
        }
        Raw::Text(text) | Raw::Untyped(text) => units::parse_size(text).ok_or_else(|| {
            let fault = wrong_type(raw, "a size");
            match units::guess_size(text).filter(|n| (min..=max).contains(n)) {
                Some(meant) => fault.better(quote(&units::format_size(meant))),
                None => fault,
            }
        })?,
        Raw::Bool(_) | Raw::Float(_) | Raw::List(_) | Raw::Date(_) | Raw::Table => {
            return Err(wrong_type(raw, "a size"));
        }
    };
    if (min..=max).contains(&size) { Ok(size) } else { Err(Fault::new(raw, "is out of range")) }
}

fn read_text(raw: &Raw, max: usize) -> Result<&str, Fault> {
    let text = raw.as_text().ok_or_else(|| {
        let fault = wrong_type(raw, "a text");
        match raw {
            Raw::Bool(_) | Raw::Integer(..) | Raw::Float(_) | Raw::Date(_) => {
                let better = quote(&raw.shown());
                fault.better(better)
            }
            Raw::Text(_) | Raw::Untyped(_) | Raw::List(_) | Raw::Table => fault,
        }
    })?;
    if text.len() > max {
        return Err(Fault::new(raw, format!("is {} bytes long, {max} are allowed", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::new(raw, "has a control character"));
    }
    Ok(text)
}

fn read_choice(raw: &Raw, words: &'static [&'static str]) -> Result<Value, Fault> {
    let text = raw.as_text().ok_or_else(|| wrong_type(raw, "one of the words"))?;
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let fault = Fault::new(raw, "is not one of the words");
    Err(match suggest::nearest(text, words.iter().copied()) {
        Some(word) => fault.better(quote(word)),
        None => fault,
    })
}

fn read_path(raw: &Raw, base: &Path, what: &str, exists: fn(&Path) -> bool) -> Result<Value, Fault> {
    let text = read_text(raw, 4_096)?;
    if text.is_empty() {
        return Ok(Value::Unset);
    }
    let path: PathBuf = base.join(text);
    if exists(&path) {
        return Ok(Value::Path(path));
    }
    let found = if path.exists() { format!("is not a {what}") } else { "does not exist".to_owned() };
    Err(Fault { detail: Some(format!("looked for {}", path.display()).into()), ..Fault::new(raw, found) })
}

/// The largest file of predefined topics, bytes.
const PREDEFINED_BYTES_MAX: u64 = 1 << 20;

/// Reads the file that the value names; every bad line of it is a fault with a place of its own.
fn read_predefined(raw: &Raw, base: &Path) -> Result<Value, Vec<Fault>> {
    let path = match read_path(raw, base, "file", Path::is_file).map_err(|fault| vec![fault])? {
        Value::Path(path) => path,
        other => return Ok(other),
    };
    let unreadable = |why: String| vec![Fault::new(raw, format!("cannot be read: {why}"))];
    let size = std::fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > PREDEFINED_BYTES_MAX {
        return Err(unreadable(format!("larger than {PREDEFINED_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    let mut table = Predefined::default();
    match table.add_lines(&text) {
        Ok(()) => Ok(Value::PredefinedFile(PredefinedFile { path, table })),
        Err(errors) => Err(errors
            .into_iter()
            .map(|bad| Fault {
                advice: Some(Advice::Step(
                    "*,sensors/temperature,1 for all clients, meter-1,t,2 for one".to_owned(),
                )),
                place: Some(Box::new(Place::Text { path: path.clone(), line: bad.line, column: 1 })),
                ..Fault::new(raw, format!("has a bad line here: {}", bad.error))
            })
            .collect()),
    }
}

/// Reads a list, or one item in its place; an untyped text may hold several with commas between.
fn read_list<T: PartialEq>(
    raw: &Raw,
    read: fn(&Raw, &str) -> Result<T, Fault>,
) -> Result<Vec<T>, Vec<Fault>> {
    let untyped: Vec<(Raw, Option<usize>)>;
    let items = match raw {
        Raw::List(items) => items.iter().map(|(item, offset)| (item.clone(), Some(*offset))).collect(),
        Raw::Text(_) => vec![(raw.clone(), None)],
        Raw::Untyped(text) => {
            untyped = text.split(',').map(|part| (Raw::Untyped(part.trim().to_owned()), None)).collect();
            untyped
        }
        Raw::Bool(_) | Raw::Integer(..) | Raw::Float(_) | Raw::Date(_) | Raw::Table => {
            return Err(vec![wrong_type(raw, "an address or a list of them")]);
        }
    };
    let mut values: Vec<T> = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (item, offset) in &items {
        let result = match item.as_text() {
            Some(text) => read(item, text),
            None => Err(wrong_type(item, "an address in quotes")),
        };
        match result {
            Ok(value) if values.contains(&value) => {
                faults.push(Fault { offset: *offset, ..Fault::new(item, "is listed twice") });
            }
            Ok(value) => values.push(value),
            Err(fault) => faults.push(Fault { offset: *offset, ..fault }),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

fn read_bind(raw: &Raw, text: &str) -> Result<Bind, Fault> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Bind { ip, port: None });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return Err(Fault::new(raw, "has port 0"));
        }
        return Ok(Bind { ip: address.ip(), port: Some(address.port()) });
    }
    if text.is_empty() {
        return Err(Fault::new(raw, "is empty, not an address").better("[\"127.0.0.1\", \"::1\"]"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, format!(":{port}")),
        _ => (text, String::new()),
    };
    let with_port = |v4: &str, v6: &str| {
        if port.is_empty() {
            format!("[\"{v4}\", \"{v6}\"]")
        } else {
            format!("[\"{v4}{port}\", \"[{v6}]{port}\"]")
        }
    };
    let fault = Fault::new(raw, "is not an address");
    Err(match host {
        "localhost" => Fault { what: "is a name; listeners take addresses".to_owned(), ..fault }
            .better(with_port("127.0.0.1", "::1")),
        "*" | "" | "any" | "all" => fault.better(with_port("0.0.0.0", "::")),
        _ => fault,
    })
}

fn read_group(raw: &Raw, text: &str) -> Result<GroupAddress, Fault> {
    text.parse().map_err(|error: NoGroup| Fault::new(raw, error.to_string()))
}

fn read_peer(raw: &Raw, text: &str) -> Result<SocketAddr, Fault> {
    match (text.parse::<SocketAddr>(), text.parse::<IpAddr>()) {
        (Ok(peer), _) if peer.port() == 0 => Err(Fault::new(raw, "has port 0")),
        (Ok(peer), _) => Ok(peer),
        (Err(_), Ok(ip)) => {
            let better = format!("[{}]", quote(&SocketAddr::new(ip, 1884).to_string()));
            Err(Fault::new(raw, "has no port").better(better))
        }
        (Err(_), Err(_)) => Err(Fault::new(raw, "is not an address with a port")),
    }
}

fn read_network(raw: &Raw, text: &str) -> Result<Network, Fault> {
    let not_a_network = || Fault::new(raw, "is not a network");
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| not_a_network())?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| not_a_network())?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(whole);
    if bits > whole {
        return Err(Fault::new(raw, format!("has a prefix longer than {whole}")));
    }
    Network::new(address, bits).ok_or_else(|| Fault::new(raw, format!("has bits set behind its /{bits}")))
}
