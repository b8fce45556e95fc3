//! Defaults from `mosquitto_pub`'s and `mosquitto_sub`'s own files, so that a user's habits move over.
use std::ffi::OsString;
use std::path::PathBuf;

/// Longest file that is read: these files have a few lines.
const BYTES_MAX: u64 = 64 << 10;

/// The arguments with those of `~/.config/mosquitto_pub` (or `_sub`) put behind `pub` (or `sub`). What the command
/// line says comes later and wins.
pub(crate) fn with_defaults(arguments: Vec<OsString>) -> Vec<OsString> {
    let name = match arguments.get(1).and_then(|word| word.to_str()) {
        Some("pub") => "mosquitto_pub",
        Some("sub") => "mosquitto_sub",
        Some(_) | None => return arguments,
    };
    let Some(text) = folder().and_then(|folder| read(folder.join(name))) else { return arguments };
    splice(arguments, &text)
}

fn splice(mut arguments: Vec<OsString>, text: &str) -> Vec<OsString> {
    let at = arguments.len().min(2);
    arguments.splice(at..at, words(text).map(OsString::from));
    arguments
}

/// One option a line; what follows the first space is its value.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).filter(|line| line.starts_with('-')).flat_map(|line| {
        let (flag, value) = match line.split_once(char::is_whitespace) {
            Some((flag, value)) => (flag, Some(value.trim())),
            None => (line, None),
        };
        [Some(flag.to_owned()), value.map(str::to_owned)].into_iter().flatten()
    })
}

fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")))
}

fn read(path: PathBuf) -> Option<String> {
    let length = std::fs::metadata(&path).ok().filter(|file| file.is_file())?.len();
    (length <= BYTES_MAX).then(|| std::fs::read_to_string(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_file_come_before_those_of_the_command_line() {
        let arguments = ["turnstone", "pub", "-h", "b"].map(OsString::from).to_vec();
        let merged = splice(arguments, "# habits\n-h  a\n\n--pw two words\n-d\n");
        let merged: Vec<&str> = merged.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(merged, ["turnstone", "pub", "-h", "a", "--pw", "two words", "-d", "-h", "b"]);
    }

    #[test]
    fn other_commands_are_left_alone() {
        let arguments = ["turnstone", "status", "-h", "b"].map(OsString::from).to_vec();
        assert_eq!(with_defaults(arguments.clone()), arguments);
    }
}
