//! The layers, from the weakest to the strongest, put together into one [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use broker_core::topic::TopicName;

use super::expand::{self, Expanded};
use super::file::{self, Entry, KNOWN_KEYS, LIST_KEYS, shown_name};
use super::kind::{Advice, Fault, Kind, Raw, bare_or_quoted, quote};
use super::problem::{Lines, Place, Problem, Problems};
use super::read;
use super::schema::{self, Config, Key};
use super::suggest;
use super::types::{ClientTopics, REDACTED, Value};

/// What stands before every environment variable of a key.
pub const VARIABLE_PREFIX: &str = "TURNSTONE__";

/// The largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One `--set KEY=VALUE` or flag.
#[derive(Clone)]
pub struct Argument {
    /// How messages call it: `--set mqtt.port` or `--log-level`.
    pub shown: String,
    /// The dotted name.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Argument {
    /// Takes `KEY=VALUE` apart.
    pub fn from_set(text: &str) -> Result<Self, Problem> {
        match text.split_once('=') {
            Some((key, value)) => {
                let key = key.trim().to_owned();
                Ok(Self { shown: format!("--set {}", shown_name(&key)), key, value: value.trim().to_owned() })
            }
            None => {
                let name = shown_name(text);
                Err(Problem {
                    place: Place::Argument(format!("--set {name}")),
                    what: "has no value".to_owned(),
                    rule: "--set KEY=VALUE".to_owned(),
                    advice: match schema::find(text) {
                        Some((key, _)) => format!("--set {text}={}", shell_word(key.default)),
                        None => "--set mqtt.port=1883".to_owned(),
                    },
                })
            }
        }
    }
}

/// Where settings come from; kept for a reload. Has no `Debug`, since the environment may hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, whole: `${VAR}` may name any of it.
    pub variables: Vec<(OsString, OsString)>,
    /// Flags and `--set`, the last one of a key wins.
    pub arguments: Vec<Argument>,
    /// What relative paths of variables and arguments are taken from.
    pub working_folder: PathBuf,
}

impl Sources {
    /// The environment and working folder of this process, without a file.
    pub fn of_process() -> Self {
        Self {
            file: None,
            variables: std::env::vars_os().collect(),
            arguments: Vec::new(),
            working_folder: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// The same without the variables that set keys: what `${VAR}` may still name.
    pub fn without_key_variables(mut self) -> Self {
        self.variables.retain(|(name, _)| !name.to_string_lossy().starts_with(VARIABLE_PREFIX));
        self
    }
}

/// Checked settings, and where each came from.
#[derive(Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each key was set, by dotted name; a key that is missing has its default.
    pub origins: BTreeMap<String, Place>,
    /// What the operator should know but need not change.
    pub warnings: Vec<Problem>,
    /// What it was loaded from.
    pub sources: Sources,
}

impl Loaded {
    /// Reads the same sources again; after a mistake the old settings stay.
    pub fn reload(&self) -> Result<Self, Problems> {
        load(self.sources.clone())
    }

    /// The line for the start of the log.
    pub fn source_line(&self) -> String {
        match &self.sources.file {
            Some(path) => format!("configuration: {}", path.display()),
            None => "configuration: built-in defaults, no file given (--config FILE; `turnstone config init` prints one)"
                .to_owned(),
        }
    }
}

/// Reads every layer and checks everything.
///
/// # Errors
/// All problems, in the order file, environment, arguments.
pub fn load(sources: Sources) -> Result<Loaded, Problems> {
    let text = match &sources.file {
        Some(path) => Some(read_file(path).map_err(|problem| Problems(vec![problem]))?),
        None => None,
    };
    load_with_text(sources, text.as_deref())
}

/// As [`load`], with the text of the file already read.
pub(crate) fn load_with_text(sources: Sources, text: Option<&str>) -> Result<Loaded, Problems> {
    let mut layers = Layers::new(&sources);
    if let (Some(path), Some(text)) = (&sources.file, text) {
        layers.file(path, text);
    }
    layers.environment();
    for argument in &sources.arguments {
        layers.argument(argument);
    }
    let Layers { values, topics, client_topics, origins, mut warnings, mut problems, failed, .. } = layers;
    let mut all = defaults();
    all.extend(values);
    for key in schema::keys().filter(|key| matches!(key.kind, Kind::Topics)) {
        let mine = topics.iter().filter(|((name, _), _)| *name == key.name);
        all.insert(key.name, Value::Topics(mine.map(|((_, id), topic)| (*id, topic.clone())).collect()));
    }
    for key in schema::keys().filter(|key| matches!(key.kind, Kind::ClientTopics)) {
        all.insert(key.name, Value::ClientTopics(client_topics.clone()));
    }
    let config = Config::from_values(&all);
    problems.extend(super::rules::check(&config, &origins, &failed));
    warnings.extend(super::rules::doubts(&config, &origins));
    if problems.is_empty() {
        Ok(Loaded { config, origins, warnings, sources })
    } else {
        Err(Problems(problems))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::from_values(&defaults())
    }
}

fn defaults() -> BTreeMap<&'static str, Value> {
    schema::keys().map(|key| (key.name, default_value(key))).collect()
}

fn default_value(key: &Key) -> Value {
    if matches!(key.kind, Kind::Topics) {
        return Value::Topics(BTreeMap::new());
    }
    if matches!(key.kind, Kind::ClientTopics) {
        return Value::ClientTopics(BTreeMap::new());
    }
    file::parse_value(key.default)
        .and_then(|raw| key.kind.read(&raw, Path::new("")).ok())
        .expect("every default of the schema is a value of its key (tested)")
}

fn read_file(path: &Path) -> Result<String, Problem> {
    let unreadable = |why: String| Problem {
        place: Place::File(path.to_owned()),
        what: format!("cannot be read: {why}"),
        rule: "the configuration is one TOML file".to_owned(),
        advice: "`turnstone config init > FILE` writes one; no --config at all means the defaults".to_owned(),
    };
    let about = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if about.is_dir() {
        return Err(unreadable("it is a folder".to_owned()));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(unreadable(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        Problem {
            place: Lines::new(path.to_owned(), &text).place(valid),
            what: "a byte that is not UTF-8".to_owned(),
            rule: "the file is UTF-8 text".to_owned(),
            advice: "save the file as UTF-8, or write the character as \"\\u00E9\"".to_owned(),
        }
    })
}

struct Layers<'s> {
    sources: &'s Sources,
    values: BTreeMap<&'static str, Value>,
    topics: BTreeMap<(&'static str, u16), TopicName>,
    client_topics: ClientTopics,
    origins: BTreeMap<String, Place>,
    warnings: Vec<Problem>,
    problems: Vec<Problem>,
    /// Keys with a bad value, whose default must not be blamed for anything.
    failed: BTreeSet<&'static str>,
}

impl<'s> Layers<'s> {
    fn new(sources: &'s Sources) -> Self {
        Self {
            sources,
            values: BTreeMap::new(),
            topics: BTreeMap::new(),
            client_topics: BTreeMap::new(),
            origins: BTreeMap::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
            failed: BTreeSet::new(),
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let (entries, problems) = file::parse(path, text);
        self.problems.extend(problems);
        let folder = path.parent().unwrap_or(Path::new(""));
        let base = self.sources.working_folder.join(folder);
        let lines = Lines::new(path.to_owned(), text);
        for entry in entries {
            self.entry(entry, &base, Some(&lines));
        }
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
    }

    fn environment(&mut self) {
        let sources = self.sources;
        let mut variables: Vec<_> = sources.variables.iter().collect();
        variables.sort(); // the system's order is no order
        for (name, value) in variables {
            let name = name.to_string_lossy();
            let Some(path) = name.strip_prefix(VARIABLE_PREFIX) else {
                self.near_miss(&name);
                continue;
            };
            let place = Place::Variable(shown_name(&name));
            let dotted = path.replace("__", ".").to_ascii_lowercase();
            // Names of variables have no small letters, which those of clients need.
            let found = schema::find(&dotted)
                .filter(|(key, _)| variable_name(&dotted) == name && !matches!(key.kind, Kind::ClientTopics));
            let Some((key, id)) = found else {
                self.problems.push(Problem {
                    place,
                    what: "no key has this name".to_owned(),
                    rule: format!("{VARIABLE_PREFIX} and the key in capitals, __ for each dot"),
                    advice: suggest::nearest_key(&dotted)
                        .map_or(LIST_KEYS.to_owned(), |key| variable_name(&key)),
                });
                continue;
            };
            let Some(value) = value.to_str() else {
                self.problems.push(Problem {
                    place,
                    what: "the value is not UTF-8".to_owned(),
                    rule: key.kind.rule(),
                    advice: format!("{}={}", variable_name(&dotted), key.default),
                });
                continue;
            };
            let raw = untyped(&key.kind, value, false);
            let entry = Entry { key, id: id.map(str::to_owned), raw, place };
            self.entry(entry, &sources.working_folder, None);
        }
    }

    /// `TURNSTONE_MQTT_PORT` would be ignored without a word.
    fn near_miss(&mut self, name: &str) {
        let Some(rest) = name.strip_prefix("TURNSTONE_") else { return };
        let flat = |text: &str| text.replace(['.', '_'], "").to_ascii_lowercase();
        if let Some(key) = schema::keys().find(|key| flat(key.name) == flat(rest)) {
            self.warnings.push(Problem {
                place: Place::Variable(shown_name(name)),
                what: "this variable is not read".to_owned(),
                rule: format!("{VARIABLE_PREFIX} and the key in capitals, __ for each dot"),
                advice: variable_name(key.name),
            });
        }
    }

    fn argument(&mut self, argument: &Argument) {
        let place = Place::Argument(argument.shown.clone());
        let Some((key, id)) = schema::find(&argument.key) else {
            self.problems.push(Problem {
                place,
                what: format!("unknown key {}", shown_name(&argument.key)),
                rule: KNOWN_KEYS.to_owned(),
                advice: suggest::nearest_key(&argument.key)
                    .map_or(LIST_KEYS.to_owned(), |key| format!("--set {key}=VALUE")),
            });
            return;
        };
        let raw = untyped(&key.kind, &argument.value, true);
        let folder = &self.sources.working_folder;
        let id = id.map(|id| match (&key.kind, schema::client_topic(id)) {
            (Kind::ClientTopics, Some((client, topic))) => {
                let unquoted = client.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                format!("{}.topic.{topic}", unquoted.unwrap_or(client))
            }
            _ => id.to_owned(),
        });
        self.entry(Entry { key, id, raw, place }, folder, None);
    }

    /// Checks one value of one layer and keeps it, over that of a weaker layer.
    fn entry(&mut self, entry: Entry, base: &Path, lines: Option<&Lines<'_>>) {
        let Entry { key, id, raw, place } = entry;
        let name = match &id {
            Some(id) => member_name(key, id),
            None => key.name.to_owned(),
        };
        let raw = match raw {
            // What other gateways write there is no variable.
            Raw::Text(text) if key.kind.is_mountpoint() => Raw::Text(our_placeholders(&text)),
            Raw::Untyped(text) if key.kind.is_mountpoint() => Raw::Untyped(our_placeholders(&text)),
            raw => raw,
        };
        let outcome = self.expanded(&raw, base).and_then(|(expanded, from)| {
            let result = match (&key.kind, &id) {
                (Kind::Topics, Some(id)) => read_topic(id, &expanded).map(Kept::Topic),
                (Kind::ClientTopics, Some(rest)) => {
                    let (client, id) = schema::client_topic(rest).unwrap_or((rest, ""));
                    read_topic(id, &expanded).map(|topic| Kept::ClientTopic(client.to_owned(), topic))
                }
                _ => key.kind.read(&expanded, base).map(Kept::Value),
            };
            result.map_err(|faults| match from {
                Some(template) => faults.into_iter().map(|fault| hidden(fault, &template)).collect(),
                None => faults,
            })
        });
        match outcome {
            Ok(kept) => {
                if let (Some(later), false) = (key.later, matches!(kept, Kept::Value(Value::Unset))) {
                    self.warnings.push(Problem {
                        place: place.clone(),
                        what: format!("{name} has no effect yet"),
                        rule: later.to_owned(),
                        advice: "leave it out until then".to_owned(),
                    });
                }
                match kept {
                    Kept::Value(Value::Topics(_)) => {}
                    Kept::Value(value) => {
                        self.values.insert(key.name, value);
                    }
                    Kept::Topic((id, topic)) => {
                        self.topics.insert((key.name, id), topic);
                    }
                    Kept::ClientTopic(client, (id, topic)) => {
                        self.client_topics.entry(client).or_default().insert(id, topic);
                    }
                }
                self.origins.insert(name, place);
            }
            Err(faults) => {
                self.failed.insert(key.name);
                for fault in faults {
                    let at = match (&fault.place, lines, fault.offset) {
                        (Some(inside), ..) => (**inside).clone(),
                        (None, Some(lines), Some(offset)) => lines.place(offset),
                        (None, ..) => place.clone(),
                    };
                    self.problems.push(value_problem(key, &name, at, fault));
                }
            }
        }
    }

    /// Replaces `${...}` in a text or in the items of a list; also gives the text before, if there was one.
    fn expanded(&self, raw: &Raw, base: &Path) -> Result<(Raw, Option<String>), Vec<Fault>> {
        match raw {
            Raw::Text(text) | Raw::Untyped(text) => {
                match expand::expand(text, base, &|name| self.variable(name)) {
                    Ok(Expanded::Plain(plain)) if matches!(raw, Raw::Text(_)) => Ok((Raw::Text(plain), None)),
                    Ok(Expanded::Plain(plain)) => Ok((Raw::Untyped(plain), None)),
                    Ok(Expanded::Replaced(new)) => Ok((Raw::Untyped(new), Some(text.clone()))),
                    Err(failure) => Err(vec![Fault {
                        advice: Some(Advice::Step(failure.advice)),
                        ..Fault::new(raw, failure.what)
                    }]),
                }
            }
            Raw::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                let mut template = None;
                let mut faults = Vec::new();
                for (item, offset) in items {
                    match self.expanded(item, base) {
                        Ok((item, from)) => {
                            template = template.or(from);
                            out.push((item, *offset));
                        }
                        Err(more) => {
                            faults.extend(more.into_iter().map(|f| Fault { offset: Some(*offset), ..f }))
                        }
                    }
                }
                if faults.is_empty() { Ok((Raw::List(out), template)) } else { Err(faults) }
            }
            Raw::Bool(_) | Raw::Integer(..) | Raw::Float(_) | Raw::Date(_) | Raw::Table => {
                Ok((raw.clone(), None))
            }
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let found = self.sources.variables.iter().find(|(key, _)| key.to_str() == Some(name));
        found.and_then(|(_, value)| value.to_str()).map(str::to_owned)
    }
}

enum Kept {
    Value(Value),
    Topic((u16, TopicName)),
    ClientTopic(String, (u16, TopicName)),
}

/// The whole name of a member of a family, as it can stand in a file.
pub(super) fn member_name(key: &Key, rest: &str) -> String {
    match (&key.kind, schema::client_topic(rest)) {
        (Kind::ClientTopics, Some((client, id))) => {
            format!("{}.{}.topic.{}", key.name, bare_or_quoted(client), bare_or_quoted(id))
        }
        _ => format!("{}.{rest}", key.name),
    }
}

/// A value from outside a file. A list may be written as in the file; after `--set` so may a quoted text.
fn untyped(kind: &Kind, text: &str, may_be_quoted: bool) -> Raw {
    let listed =
        text.starts_with('[') && matches!(kind, Kind::Binds | Kind::Networks | Kind::Groups | Kind::Peers);
    let quoted = may_be_quoted && !kind.is_secret() && text.starts_with(['"', '\'']);
    let typed = if listed || quoted { file::parse_value(text) } else { None };
    match typed {
        Some(Raw::Text(inner)) => Raw::Untyped(inner),
        Some(Raw::List(items)) => Raw::List(items),
        Some(
            Raw::Bool(_) | Raw::Integer(..) | Raw::Float(_) | Raw::Untyped(_) | Raw::Date(_) | Raw::Table,
        )
        | None => Raw::Untyped(text.to_owned()),
    }
}

fn read_topic(id: &str, raw: &Raw) -> Result<(u16, TopicName), Vec<Fault>> {
    match (topic_id(id), read::read_topic(raw)) {
        (Ok(id), Ok(topic)) => Ok((id, topic)),
        (id, topic) => {
            let id_fault = id.err().map(|what| Fault::new(raw, what));
            Err(id_fault.into_iter().chain(topic.err()).collect())
        }
    }
}

/// A predefined topic id (MQTT-SN §5.3.11: 0x0000 and 0xFFFF are reserved), or what is wrong with it.
fn topic_id(text: &str) -> Result<u16, &'static str> {
    match text.parse::<u16>() {
        Ok(0 | u16::MAX) => Err("stands under a reserved topic id"),
        Ok(id) if id.to_string() == text => Ok(id),
        Ok(_) | Err(_) => Err("stands under a name that is no topic id"),
    }
}

/// A fault of a value that came out of `${...}`: it shows the template, never what came out.
fn hidden(fault: Fault, template: &str) -> Fault {
    Fault { shown: quote(template), advice: None, detail: None, ..fault }
}

fn value_problem(key: &Key, name: &str, place: Place, mut fault: Fault) -> Problem {
    if key.kind.is_secret() {
        fault.shown = REDACTED.to_owned();
        fault.detail = None;
        fault.advice = fault.advice.filter(|advice| matches!(advice, Advice::Step(_)));
    }
    let detail = fault.detail.map_or(String::new(), |detail| format!(" ({detail})"));
    let advice = match fault.advice {
        Some(Advice::Step(step)) => step,
        Some(Advice::Value(better)) => assignment(&place, name, &better),
        None => {
            // A bad id is no example to follow.
            let id = name.strip_prefix(key.name).and_then(|rest| rest.rsplit_once('.')).map(|(_, id)| id);
            let name = match (id, &key.kind) {
                (Some(id), _) if topic_id(id).is_ok() => name.to_owned(),
                (Some(_), Kind::ClientTopics) => {
                    format!("{}.1", name.rsplit_once('.').map_or(name, |it| it.0))
                }
                (None, Kind::ClientTopics) => format!("{}.meter-1.topic.1", key.name),
                (_, Kind::Topics) => format!("{}.1", key.name),
                (Some(_) | None, _) => name.to_owned(),
            };
            let usable = |text: &&str| *text != "\"\"" && *text != "{}";
            let value = Some(key.default).filter(usable).or(key.example).unwrap_or(key.default);
            assignment(&place, &name, value)
        }
    };
    Problem {
        place,
        what: format!("{name} = {} {}{detail}", fault.shown, fault.what),
        rule: key.kind.rule(),
        advice,
    }
}

/// How the value is set in that layer.
fn assignment(place: &Place, name: &str, value: &str) -> String {
    match place {
        Place::Variable(_) => format!("{}={}", variable_name(name), shell_word(value)),
        Place::Argument(shown) if shown.starts_with("--set") => format!("--set {name}={}", shell_word(value)),
        Place::Argument(flag) => format!("{flag} {}", shell_word(value)),
        Place::Default | Place::File(_) | Place::Text { .. } => format!("{name} = {value}"),
    }
}

/// A value of the file as a word of a shell.
fn shell_word(value: &str) -> String {
    let bare = value.trim_matches(['"']);
    if value.starts_with('[') {
        return value.trim_matches(['[', ']']).replace([' ', '"'], "");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-:,".contains(c);
    if !bare.is_empty() && bare.chars().all(plain) { bare.to_owned() } else { format!("'{bare}'") }
}

/// The environment variable of a key.
pub fn variable_name(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}
/// A mount point with another gateway's placeholders in our words.
fn our_placeholders(text: &str) -> String {
    [("${clientid}", "%c"), ("${endpoint_name}", "%e"), ("${peerhost}", "%h")]
        .iter()
        .fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}
