//! The schema and the sample file agree with each other and with the typed settings.

use std::path::PathBuf;

use super::kind::Kind;
use super::load::load_with_text;
use super::*;

/// Loads `text` as if it stood in `t.toml` of the working folder.
pub(super) fn loaded(text: &str) -> Result<Loaded, Problems> {
    load_with_text(sources(), Some(text))
}

pub(super) fn sources() -> Sources {
    Sources { file: Some("t.toml".into()), working_folder: here(), ..Sources::default() }
}

/// The folder of this package, where cargo runs its tests.
pub(super) fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sample with every line uncommented that begins with `prefix` and then a key.
fn uncommented(text: &str, prefix: &str) -> String {
    let is_key = |line: &&str| line.contains(" = ") && line.starts_with(|c: char| c.is_ascii_lowercase());
    text.lines()
        .filter_map(|line| line.strip_prefix(prefix))
        .filter(is_key)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_shipped_file_is_what_config_init_prints() {
    let path = here().join("../conf/turnstone.toml");
    let shipped = std::fs::read_to_string(&path).expect("conf/turnstone.toml is there");
    assert_eq!(shipped, sample(), "run: cargo run -- config init > conf/turnstone.toml");
}

#[test]
fn the_sample_says_the_defaults_with_and_without_its_comment_signs() {
    assert_eq!(loaded(&sample()).expect("the sample is right").config, Config::default());

    let keys = uncommented(&sample(), "#");
    let count = schema::keys().filter(|key| !matches!(key.kind, Kind::Topics)).count();
    assert_eq!(keys.lines().count(), count, "every key has a line of its own");
    assert_eq!(loaded(&keys).expect("its keys are right").config, Config::default());
}
