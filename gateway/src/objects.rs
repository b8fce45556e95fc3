//! The object definitions: those inside of the program, and over them the XML files of `lwm2m.xml_dir`.
use crate::config::Lwm2mConfig;
use lwm2m::catalog::Catalog;
use lwm2m::limits::{CATALOG_FILE_BYTES_MAX, CATALOG_FILES_MAX};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use tracing::warn;

/// Whether there is a folder to read.
pub(crate) fn has_files(config: &Lwm2mConfig) -> bool {
    config.xml_folder(&std::env::current_dir().unwrap_or_default()).is_some()
}

/// Reads the definitions. A file that cannot be read or understood is one warning.
pub(crate) fn load(config: &Lwm2mConfig) -> Catalog {
    let working_folder = std::env::current_dir().unwrap_or_default();
    let Some(folder) = config.xml_folder(&working_folder) else { return Catalog::core() };
    let files = xml_files(&folder).into_iter().filter_map(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match read(&path) {
            Ok(bytes) => Some((name, bytes)),
            Err(error) => {
                warn!("lwm2m.xml_dir: {name}: {error}; skipped");
                None
            }
        }
    });
    let (catalog, warnings) = Catalog::load_over_core(files);
    for warning in warnings {
        warn!("lwm2m.xml_dir: {warning}");
    }
    catalog
}

/// At most one byte more than a definition may have: the catalog then says that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(CATALOG_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn xml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            warn!("lwm2m.xml_dir: {error}; only the definitions inside of the program are used");
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")))
        .take(CATALOG_FILES_MAX + 1)
        .collect();
    files.sort();
    files
}
