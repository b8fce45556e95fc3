//! [`ToolError`]: why a tool ends, what to do about it, and with which exit code.
use std::fmt;

use crate::exit::Exit;
use crate::tools::terminal::escape;

/// How a tool ended.
pub(crate) type Outcome<T = Exit> = Result<T, ToolError>;

/// One clear line, the next step, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolError {
    pub(crate) exit: Exit,
    text: String,
    advice: String,
}

impl ToolError {
    /// An error. Both texts are escaped when they are shown; `advice` may be empty.
    pub(crate) fn new(exit: Exit, text: impl Into<String>, advice: impl Into<String>) -> Self {
        ToolError { exit, text: text.into(), advice: advice.into() }
    }

    /// An end without words, for instance since the reader of our output has gone away.
    pub(crate) fn silent(exit: Exit) -> Self {
        ToolError::new(exit, "", "")
    }

    /// A command line that cannot be followed.
    pub(crate) fn usage(text: impl Into<String>, advice: impl Into<String>) -> Self {
        ToolError::new(Exit::Usage, text, advice)
    }

    /// The user has pressed Ctrl-C where that is not the normal end.
    pub(crate) fn interrupted() -> Self {
        ToolError::silent(Exit::Interrupted)
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", escape(&self.text))?;
        if !self.advice.is_empty() {
            write!(f, "; try: {}", escape(&self.advice))?;
        }
        Ok(())
    }
}

/// Says on standard error why a tool failed, and hands out its exit code.
pub(crate) fn finish(outcome: Outcome) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(error) => {
            if !error.text.is_empty() {
                eprintln!("{error}");
            }
            error.exit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_advice() {
        let error = ToolError::new(Exit::Denied, "refused\nby \u{1b}[2Jpeer", "turnstone sub -u NAME");
        assert_eq!(error.to_string(), "error: refused\\nby \\u{1b}[2Jpeer; try: turnstone sub -u NAME");
        assert_eq!(finish(Err(error)), Exit::Denied);
        assert_eq!(ToolError::usage("x", "").to_string(), "error: x");
    }
}
