//! `${VAR}` and `${file:PATH}` inside values. `$${` stands for `${` itself; a lone `$` needs no care.

use std::path::Path;

/// The longest value that may come out of a file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What came out of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Nothing was to be replaced (`$${` may have become `${`).
    Plain(String),
    /// Something was replaced: the text has no type of its own and may hold a secret.
    Replaced(String),
}

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) advice: String,
}

/// Replaces every `${...}` of `text`; paths are taken from `base`.
pub(crate) fn expand(
    text: &str,
    base: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, Failure> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut replaced = false;
    while let Some(dollar) = rest.find("${") {
        let (before, from) = rest.split_at(dollar);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let inner = from.get(2..).unwrap_or_default();
        let Some((name, after)) = inner.split_once('}') else {
            return Err(Failure {
                what: "has a ${ without }".to_owned(),
                advice: "${NAME}, ${file:PATH}, or $${ for the characters themselves".to_owned(),
            });
        };
        let value = match name.strip_prefix("file:") {
            Some(path) => from_file(&base.join(path))?,
            None => variable(name).ok_or_else(|| Failure {
                what: format!(
                    "needs the environment variable {}, which is not set",
                    super::file::shown_name(name)
                ),
                advice: "set it where the program is started, or write the value itself".to_owned(),
            })?,
        };
        out.push_str(&value);
        replaced = true;
        rest = after;
    }
    out.push_str(rest);
    Ok(if replaced { Expanded::Replaced(out) } else { Expanded::Plain(out) })
}

fn from_file(path: &Path) -> Result<String, Failure> {
    let failure = |why: String| Failure {
        what: format!("needs the file {}: {why}", path.display()),
        advice: "a readable text file; a relative path is taken from the folder of the configuration file"
            .to_owned(),
    };
    let about = std::fs::metadata(path).map_err(|error| failure(error.to_string()))?;
    if !about.is_file() {
        return Err(failure("not a plain file".to_owned()));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(failure(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let mut text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Expanded, Failure> {
        expand(text, Path::new("/nowhere"), &|name| (name == "PORT").then(|| "1883".to_owned()))
    }

    #[test]
    fn variables_are_replaced_and_dollars_left_alone() {
        assert_eq!(expanded("${PORT}").unwrap(), Expanded::Replaced("1883".into()));
        assert_eq!(expanded("a${PORT}b${PORT}").unwrap(), Expanded::Replaced("a1883b1883".into()));
        assert_eq!(expanded("pa$$word $HOME $").unwrap(), Expanded::Plain("pa$$word $HOME $".into()));
        assert_eq!(expanded("$${PORT}").unwrap(), Expanded::Plain("${PORT}".into()));
        assert_eq!(expanded("x$${PORT}${PORT}").unwrap(), Expanded::Replaced("x${PORT}1883".into()));
        assert_eq!(expanded("").unwrap(), Expanded::Plain(String::new()));
    }

    #[test]
    fn what_cannot_be_replaced_is_said() {
        assert!(expanded("${NOPE}").unwrap_err().what.contains("NOPE"));
        assert!(expanded("${PORT").unwrap_err().what.contains("without }"));
        assert!(expanded("${file:nope}").unwrap_err().what.contains("/nowhere/nope"));
        assert!(expanded("${}").is_err());
    }
}
