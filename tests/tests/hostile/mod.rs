//! Hostile inputs as data: `tests/hostile/*.toml` says what is sent and what must happen, this plays it.
//!
//! Beside what a row asks for, every row is judged by what it does to the server: another client's message still
//! comes at once, memory does not grow beyond the row's bound, and all descriptors are given back.

pub(crate) mod fake;
pub(crate) mod generate;
pub(crate) mod link;
pub(crate) mod play;
pub(crate) mod rows;
pub(crate) mod server;

/// Where the data files are.
fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile")
}

/// Plays one data file.
pub(crate) fn play_file(name: &str) {
    let text = std::fs::read_to_string(folder().join(name)).expect("the data file is there");
    let file = rows::File::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let server = server::Server::start(&file.set).unwrap_or_else(|error| panic!("{name}: {error}"));
    let failures = play::play(&file, server).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(failures.is_empty(), "{} failures in {name}:\n{}", failures.len(), failures.join("\n"));
}

/// The names and texts of all data files.
pub(crate) fn all_files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder()).expect("tests/hostile is there");
    entries
        .map(|entry| {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a data file is text"))
        })
        .collect()
}
