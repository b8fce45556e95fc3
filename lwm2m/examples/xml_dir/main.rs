//! Rewrites `xml_dir/*.xml` from its two tables: `cargo run -p lwm2m --example xml_dir`.
//!
//! Files of object versions that left the table are deleted, so that the folder always equals the tables.
#![allow(clippy::disallowed_methods, reason = "a developer's tool that writes files")]

mod generate;

use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xml_dir");
    let objects = fs::read_to_string(folder.join("objects.tsv"))?;
    let descriptions = fs::read_to_string(folder.join("descriptions.tsv"))?;
    let files = generate::files(&objects, &descriptions)?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".xml") && !files.contains_key(&name) {
            fs::remove_file(&path)?;
        }
    }
    for (name, text) in &files {
        fs::write(folder.join(name), text)?;
    }
    println!("{} files written to {}", files.len(), folder.display());
    Ok(())
}
