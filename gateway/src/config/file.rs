//! A TOML text as a list of dotted names with values and places; every syntax error and unknown name at once.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::{Kind, Raw, quote};
use super::problem::{Lines, Place, Problem};
use super::schema::{self, Key};
use super::suggest;

/// One key that the file sets.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: &'static Key,
    /// For a predefined topic, the text of its id.
    pub(crate) id: Option<String>,
    pub(crate) raw: Raw,
    pub(crate) place: Place,
}

/// Reads a whole file's text.
pub(crate) fn parse(path: &Path, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let lines = Lines::new(path.to_owned(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { lines: &lines, entries: Vec::new(), problems: Vec::new() };
    walk.table(table.get_ref(), "");
    let Walk { mut entries, mut problems, .. } = walk;

    // Behind a syntax error the parser guesses; what it guessed on that line is not the operator's mistake.
    let syntax: Vec<Problem> = errors.iter().map(|error| syntax_problem(&lines, text, error)).collect();
    let spoilt = |place: &Place| syntax.iter().any(|problem| line_of(&problem.place) == line_of(place));
    entries.retain(|entry| !spoilt(&entry.place));
    problems.retain(|problem| !spoilt(&problem.place));
    problems.extend(syntax);
    problems.dedup();
    (entries, problems)
}

fn line_of(place: &Place) -> Option<usize> {
    match place {
        Place::Text { line, .. } => Some(*line),
        Place::Default | Place::File(_) | Place::Variable(_) | Place::Argument(_) => None,
    }
}

struct Walk<'l, 't> {
    lines: &'l Lines<'t>,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Walk<'_, '_> {
    // The depth is bounded: the parser itself refuses tables nested deeper than 80.
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (name, value) in table {
            let own = name.get_ref().as_ref();
            let at = self.lines.place(name.span().start);
            let dotted = if prefix.is_empty() { own.to_owned() } else { format!("{prefix}.{own}") };
            if own.contains('.') || own.is_empty() {
                let meant = dotted.trim_matches('.').to_owned();
                let advice =
                    if schema::find(&meant).is_some() { meant } else { "the name without quotes".to_owned() };
                self.problem(
                    at,
                    format!("{} is one quoted name", quote(own)),
                    "dotted keys stand without quotes",
                    advice,
                );
                continue;
            }
            self.item(&dotted, at, value);
        }
    }

    fn item(&mut self, name: &str, at: Place, value: &Spanned<DeValue<'_>>) {
        match (schema::find(name), value.get_ref()) {
            (Some((key, None)), DeValue::Table(topics)) if matches!(key.kind, Kind::Topics) => {
                self.table(topics, name);
            }
            (Some((key, id)), raw) => self.entries.push(Entry {
                key,
                id: id.map(str::to_owned),
                raw: raw_of(raw),
                place: self.lines.place(value.span().start),
            }),
            (None, DeValue::Table(inner)) if suggest::is_section(name) => self.table(inner, name),
            (None, DeValue::Table(_)) => self.unknown_section(name, at),
            (None, _) if suggest::is_section(name) => self.problem(
                at,
                format!("{name} is a section, not a key"),
                "a section is written [NAME], its keys below it, or NAME.KEY = VALUE",
                format!("[{name}]"),
            ),
            (None, _) => self.unknown_key(name, at),
        }
    }

    fn unknown_key(&mut self, name: &str, at: Place) {
        let shown = shown_name(name);
        let inside = name.rsplit_once('.').and_then(|(above, _)| schema::find(above));
        let (rule, advice) = match (inside, suggest::nearest_key(name)) {
            (Some((key, _)), _) if !matches!(key.kind, Kind::Topics) => (
                format!("{} is a key: {}", key.name, key.kind.rule()),
                format!("{} = {}", key.name, key.default),
            ),
            (_, Some(nearest)) if name.ends_with(&format!(".{nearest}")) => (
                "below a [header] names are taken from that header on".to_owned(),
                format!("{nearest} above the first [header], or below its own"),
            ),
            (_, Some(nearest)) => (KNOWN_KEYS.to_owned(), nearest),
            (_, None) => (KNOWN_KEYS.to_owned(), LIST_KEYS.to_owned()),
        };
        self.problem(at, format!("unknown key {shown}"), &rule, advice);
    }

    fn unknown_section(&mut self, name: &str, at: Place) {
        let advice =
            match suggest::nearest_section(name).map(str::to_owned).or_else(|| suggest::nearest_key(name)) {
                Some(nearest) => format!("[{nearest}]"),
                None => LIST_KEYS.to_owned(),
            };
        self.problem(at, format!("unknown section {}", shown_name(name)), KNOWN_KEYS, advice);
    }

    fn problem(&mut self, place: Place, what: String, rule: &str, advice: String) {
        self.problems.push(Problem { place, what, rule: rule.to_owned(), advice });
    }
}

pub(crate) const KNOWN_KEYS: &str = "only keys of the schema are allowed";
pub(crate) const LIST_KEYS: &str = "`turnstone config init` lists every key";

/// A name as it can safely be printed.
pub(crate) fn shown_name(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() <= 100 && name.chars().all(plain) {
        name.to_owned()
    } else {
        Raw::Text(name.to_owned()).shown()
    }
}

/// A value that stands alone, as in the schema's defaults and after `--set`.
pub(crate) fn parse_value(text: &str) -> Option<Raw> {
    DeValue::parse(text).ok().map(|value| raw_of(value.get_ref()))
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            Raw::Integer(number.to_string(), i128::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => Raw::Float(number.to_string()),
        DeValue::Boolean(b) => Raw::Bool(*b),
        DeValue::Datetime(date) => Raw::Date(date.to_string()),
        DeValue::Array(items) => {
            Raw::List(items.iter().map(|item| (raw_of(item.get_ref()), item.span().start)).collect())
        }
        DeValue::Table(_) => Raw::Table,
    }
}

/// The parser's words with a next step; they never quote the text, which may be a secret.
fn syntax_problem(lines: &Lines<'_>, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let place = lines.place(span.start);
    let message = error.message();
    if message.starts_with("duplicate key") {
        let name = text.get(span).unwrap_or_default().trim();
        return Problem {
            place,
            what: format!("{} is set a second time", shown_name(name)),
            rule:
                "each key and each [section] stands once; a section begun with dotted keys goes on with them"
                    .to_owned(),
            advice: "remove one of the two, or write both with their full dotted names".to_owned(),
        };
    }
    let advice = if message.contains("string values must be quoted") {
        "put the text in quotes: KEY = \"text\"; true, false and numbers stand without"
    } else if message.contains("unclosed")
        || message.contains("invalid basic string")
        || message.contains("missing")
    {
        "close what was opened: \"text\", [list], [section]; write KEY = VALUE, one on a line"
    } else {
        "write KEY = VALUE, one on a line: mqtt.port = 1883, log.level = \"info\", mqtt.bind = [\"::1\"]"
    };
    Problem {
        place,
        what: format!("not TOML: {message}"),
        rule: "the file is TOML 1.0 (toml.io)".to_owned(),
        advice: advice.to_owned(),
    }
}
