//! What is wrong with a configuration, said so that the reader can put it right.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nowhere: it is the default.
    Default,
    /// A whole file.
    File(PathBuf),
    /// A place in a file, line and column counted from 1, the column in characters.
    Text {
        /// The file as it was named.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// An environment variable.
    Variable(String),
    /// An argument: `--set KEY` or a flag, without its value.
    Argument(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Argument(argument) => f.write_str(argument),
        }
    }
}

/// One problem: where, what, the rule, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, with the key and the value unless that is secret.
    pub what: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to write or do instead.
    pub advice: String,
}

impl Problem {
    /// The problem as `PLACE: error: ...`, then the rule and the advice, without a newline at the end.
    pub fn as_error(&self) -> String {
        self.render("error")
    }

    /// The same as a warning.
    pub fn as_warning(&self) -> String {
        self.render("warning")
    }

    fn render(&self, severity: &str) -> String {
        format!("{}: {severity}: {}\n  rule: {}\n  try:  {}", self.place, self.what, self.rule, self.advice)
    }
}

/// All problems of one configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// More than this many are counted only.
const PRINTED: usize = 50;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.0.iter().take(PRINTED) {
            writeln!(f, "{}", problem.as_error())?;
        }
        if let Some(more) = self.0.len().checked_sub(PRINTED).filter(|more| *more > 0) {
            writeln!(f, "and {more} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Turns byte offsets of a text into lines and columns.
#[derive(Debug)]
pub struct Lines<'t> {
    path: PathBuf,
    text: &'t str,
}

impl<'t> Lines<'t> {
    /// For the text of the file `path`.
    pub fn new(path: PathBuf, text: &'t str) -> Self {
        Self { path, text }
    }

    /// The place of a byte; one behind the end, or inside a character, is the next place before it.
    pub fn place(&self, offset: usize) -> Place {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(..end).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Place::Text { path: self.path.clone(), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let lines = Lines::new("t.toml".into(), "a = 1\nä = 2\n");
        let at = |offset| lines.place(offset).to_string();
        assert_eq!(at(0), "t.toml:1:1");
        assert_eq!(at(6), "t.toml:2:1");
        assert_eq!(at(7), "t.toml:2:1", "inside the two bytes of ä");
        assert_eq!(at(8), "t.toml:2:2");
        assert_eq!(at(13), "t.toml:3:1");
        assert_eq!(at(99), "t.toml:3:1");
    }

    #[test]
    fn a_flood_of_problems_is_cut_with_a_count() {
        let one = Problem { place: Place::Default, what: "w".into(), rule: "r".into(), advice: "a".into() };
        let text = Problems(vec![one; PRINTED + 7]).to_string();
        assert!(text.ends_with("and 7 more\n"), "{text}");
        assert_eq!(text.matches("error:").count(), PRINTED);
    }
}
