//! A TOML text as a list of dotted names with values and places; every syntax error and unknown name at once.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::{Advice, Kind, Raw, bare_or_quoted, quote};
use super::problem::{Lines, Place, Problem};
use super::schema::{self, Key};
use super::suggest;

/// One key that the file sets.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: &'static Key,
    /// For a predefined topic, the text of its id; for that of a client, `CLIENT.topic.N`.
    pub(crate) id: Option<String>,
    pub(crate) raw: Raw,
    pub(crate) place: Place,
}

/// Reads a whole file's text.
pub(crate) fn parse(path: &Path, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let lines = Lines::new(path.to_owned(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { lines: &lines, entries: Vec::new(), problems: Vec::new(), values: Vec::new() };
    walk.table(table.get_ref(), "");

    // Behind a syntax error the parser guesses. Only its first complaint about a value or a line is the
    // operator's mistake, and nothing that it guessed there.
    let spoilt = |spans: &[Range<usize>], offset: usize| spans.iter().any(|span| span.contains(&offset));
    let mut bad: Vec<Range<usize>> = Vec::new();
    let mut syntax: Vec<(usize, &toml::de::Error)> =
        errors.iter().map(|error| (error.span().map_or(0, |span| span.start), error)).collect();
    syntax.sort_by_key(|(offset, _)| *offset);
    for (offset, error) in syntax {
        if spoilt(&bad, offset) {
            continue;
        }
        let value = walk.values.iter().find(|value| value.span.start <= offset && offset <= value.span.end);
        let line = line_around(text, offset);
        bad.push(match value {
            Some(value) => line_around(text, value.span.start).start..value.span.end.max(line.end) + 1,
            // What follows an unclosed [header is taken for a part of it.
            None if error.message().contains("unclosed table") => line.start..line_around(text, line.end).end,
            None => line,
        });
        walk.problems.push((offset, syntax_problem(&lines, text, (offset, error), value)));
    }
    let entries =
        walk.entries.into_iter().filter(|(offset, _)| !spoilt(&bad, *offset)).map(|(_, entry)| entry);
    let problems = walk.problems.into_iter().filter(|(offset, problem)| {
        problem.rule == TOML_RULE || problem.rule == ONCE_RULE || !spoilt(&bad, *offset)
    });
    (entries.collect(), problems.map(|(_, problem)| problem).collect())
}

/// The line that holds a byte, with its end.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let offset = offset.min(text.len());
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end =
        text.get(offset..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| offset + newline);
    start..end + 1
}

struct Walk<'l, 't> {
    lines: &'l Lines<'t>,
    /// Each with the offset of its key.
    entries: Vec<(usize, Entry)>,
    problems: Vec<(usize, Problem)>,
    /// All values that are no tables.
    values: Vec<Written>,
}

/// A value that is no table: where it stands and what it was taken for.
struct Written {
    span: Range<usize>,
    name: String,
    raw: Raw,
}

impl Walk<'_, '_> {
    // The depth is bounded: the parser itself refuses tables nested deeper than 80.
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (name, value) in table {
            let own = name.get_ref().as_ref();
            let at = name.span().start;
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

    fn item(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            self.values.push(Written {
                span: value.span(),
                name: name.to_owned(),
                raw: raw_of(value.get_ref()),
            });
        }
        match (schema::find(name), value.get_ref()) {
            (Some((key, None)), DeValue::Table(topics)) if matches!(key.kind, Kind::Topics) => {
                self.table(topics, name);
            }
            (Some((key, None)), DeValue::Table(clients)) if matches!(key.kind, Kind::ClientTopics) => {
                self.clients(key, clients);
            }
            (Some((key, id)), raw) => {
                let place = self.lines.place(value.span().start);
                self.entries.push((at, Entry { key, id: id.map(str::to_owned), raw: raw_of(raw), place }));
            }
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

    /// `[KEY.CLIENT.topic] N = "name"`: a ClientId may hold dots, so these names are not put together and looked up.
    fn clients(&mut self, key: &'static Key, clients: &DeTable<'_>) {
        for (client, inner) in clients {
            let own = client.get_ref().as_ref();
            let name = format!("{}.{}", key.name, bare_or_quoted(own));
            let DeValue::Table(inner) = inner.get_ref() else {
                self.not_of_a_client(client.span().start, &name, key);
                continue;
            };
            if own.is_empty() || own.contains('\0') {
                self.not_of_a_client(client.span().start, &name, key);
                continue;
            }
            for (word, topics) in inner {
                match topics.get_ref() {
                    DeValue::Table(topics) if word.get_ref() == "topic" => {
                        for (id, value) in topics {
                            self.values.push(Written {
                                span: value.span(),
                                name: key.name.to_owned(),
                                raw: raw_of(value.get_ref()),
                            });
                            let place = self.lines.place(value.span().start);
                            let id_text = Some(format!("{own}.topic.{}", id.get_ref()));
                            let entry = Entry { key, id: id_text, raw: raw_of(value.get_ref()), place };
                            self.entries.push((id.span().start, entry));
                        }
                    }
                    _ => {
                        let name = format!("{name}.{}", bare_or_quoted(word.get_ref()));
                        self.not_of_a_client(word.span().start, &name, key);
                    }
                }
            }
        }
    }

    fn not_of_a_client(&mut self, at: usize, name: &str, key: &Key) {
        let advice = format!("{}.meter-1.topic.1 = {}", key.name, key.example.unwrap_or(key.default));
        self.problem(at, format!("unknown key {name}"), &key.kind.rule(), advice);
    }

    fn unknown_key(&mut self, name: &str, at: usize) {
        let shown = shown_name(name);
        let inside = name.rsplit_once('.').and_then(|(above, _)| schema::find(above));
        let (rule, advice) = match (inside, suggest::nearest_key(name)) {
            (Some((key, _)), _) if !key.kind.is_family() => (
                format!("{} is a key: {}", key.name, key.kind.rule()),
                format!("{} = {}", key.name, key.default),
            ),
            (_, Some(nearest)) if name.ends_with(&format!(".{nearest}")) => {
                (BELOW_HEADER.to_owned(), format!("{nearest} above the first [header], or below its own"))
            }
            (_, Some(nearest)) => (KNOWN_KEYS.to_owned(), nearest),
            (_, None) => (KNOWN_KEYS.to_owned(), LIST_KEYS.to_owned()),
        };
        self.problem(at, format!("unknown key {shown}"), &rule, advice);
    }

    fn unknown_section(&mut self, name: &str, at: usize) {
        let below = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let misplaced = below.into_iter().find(|rest| suggest::is_section(rest));
        let nearest = || {
            let section = suggest::nearest_section(name).map(str::to_owned);
            section.or_else(|| suggest::nearest_key(name)).map(|nearest| format!("[{nearest}]"))
        };
        let (rule, advice) = match misplaced {
            Some(section) => (BELOW_HEADER, format!("the {section}. names above the first [header]")),
            None => (KNOWN_KEYS, nearest().unwrap_or_else(|| LIST_KEYS.to_owned())),
        };
        self.problem(at, format!("unknown section {}", shown_name(name)), rule, advice);
    }

    fn problem(&mut self, offset: usize, what: String, rule: &str, advice: String) {
        let place = self.lines.place(offset);
        self.problems.push((offset, Problem { place, what, rule: rule.to_owned(), advice }));
    }
}

const BELOW_HEADER: &str = "below a [header] names are taken from that header on";
const TOML_RULE: &str = "the file is TOML 1.0 (toml.io)";
const ONCE_RULE: &str =
    "each key and each [section] stands once; a section begun with dotted keys goes on with them";
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

/// The parser's words with a next step; they never quote a value, which may be a secret.
fn syntax_problem(
    lines: &Lines<'_>,
    text: &str,
    (offset, error): (usize, &toml::de::Error),
    value: Option<&Written>,
) -> Problem {
    let message = error.message();
    let line = text.get(line_around(text, offset)).or_else(|| text.get(line_around(text, offset).start..));
    let line = line.unwrap_or_default().trim();
    if message.starts_with("duplicate key") {
        let name = match line.split_once('=') {
            Some((name, _)) => shown_name(name.trim()),
            None => format!("[{}]", shown_name(line.trim_matches(['[', ']']))),
        };
        return Problem {
            place: lines.place(offset),
            what: format!("{name} is set a second time"),
            rule: ONCE_RULE.to_owned(),
            advice: "remove one of the two, or write both with their full dotted names".to_owned(),
        };
    }
    let not_toml = |offset: usize, what: &str, advice: String| Problem {
        place: lines.place(offset),
        what: format!("not TOML: {what}"),
        rule: TOML_RULE.to_owned(),
        advice,
    };
    let rest = text.get(offset..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim_start();
    match value {
        Some(list) if matches!(list.raw, Raw::List(_)) => not_toml(
            list.span.start,
            message,
            "[\"one\", \"two\"]: a comma between the items and a ] at the end".to_owned(),
        ),
        _ if message.contains("must be quoted") && (rest.is_empty() || rest.starts_with('#')) => {
            not_toml(offset, "a key without a value", WRITE_PAIRS.to_owned())
        }
        Some(word) if message.contains("must be quoted") => not_toml(offset, message, quoted(word)),
        Some(_) | None if message.contains("string") => {
            not_toml(offset, message, "close the quotes: KEY = \"text\"".to_owned())
        }
        Some(_) | None => not_toml(offset, message, WRITE_PAIRS.to_owned()),
    }
}

const WRITE_PAIRS: &str =
    "write KEY = VALUE, one on a line: mqtt.port = 1883, log.level = \"info\", mqtt.bind = [\"::1\"]";

/// What was meant by a word without quotes, where its key tells.
fn quoted(word: &Written) -> String {
    let general =
        || "put the text in quotes: KEY = \"text\"; true, false and numbers stand without".to_owned();
    let Some((key, _)) = schema::find(&word.name).filter(|(key, _)| !key.kind.is_secret()) else {
        return general();
    };
    match key.kind.read(&word.raw, Path::new("")) {
        Ok(_) => format!("{} = {}", word.name, word.raw.shown()),
        Err(faults) => match faults.into_iter().find_map(|fault| fault.advice) {
            Some(Advice::Value(value)) => format!("{} = {value}", word.name),
            Some(Advice::Step(_)) | None => general(),
        },
    }
}
