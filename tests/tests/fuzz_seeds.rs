//! The seeds of the fuzz targets, and mutations of them, played on every test run.

// Reads the seeds, and writes them for a fuzzer where the environment asks for that.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use turnstone_tests::fuzz::{TARGETS, Target, mutate, seeds};
use turnstone_tests::notation::hex;
use turnstone_tests::sim::rng::{Rng, seed};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Says which input it was when a target panics.
struct Playing<'a>(&'a str, &'a [u8]);

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let bytes: String = self.1.iter().map(|byte| format!("{byte:02X}")).collect();
            eprintln!("target {} on {}", self.0, if bytes.is_empty() { hex(self.1) } else { bytes });
        }
    }
}

fn play(target: &Target, bytes: &[u8]) {
    let _playing = Playing(target.0, bytes);
    target.1(bytes);
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let manifest =
        std::fs::read_to_string(folder().join("Cargo.toml")).expect("the manifest of the programs");
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty(), "{name} has no seeds");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no program");
        let program = folder().join("fuzz_targets").join(format!("{name}.rs"));
        let program = std::fs::read_to_string(program).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(program.contains("turnstone_tests::fuzz::"), "{name} plays its function");
    }
}

#[test]
fn no_seed_brings_its_target_down() {
    for target in TARGETS {
        play(target, &[]);
        for bytes in seeds(target.0) {
            play(target, &bytes);
        }
    }
}

/// Mutations of each target on a test run; `TURNSTONE_MUTATIONS` asks for more.
const MUTATIONS: u64 = 400;

#[test]
fn no_mutation_of_a_seed_brings_its_target_down() {
    let mutations = std::env::var("TURNSTONE_MUTATIONS").ok().and_then(|text| text.parse().ok());
    let first = seed(0x5EED);
    for target in TARGETS {
        let kept = seeds(target.0);
        for number in 0..mutations.unwrap_or(MUTATIONS) {
            let mut rng = Rng::new(first.wrapping_add(number));
            let mut bytes = rng.pick(&kept).clone();
            if rng.percent(40) {
                bytes.extend(rng.pick(&kept));
            }
            for _ in 0..=rng.below(6) {
                mutate(&mut rng, &mut bytes);
            }
            play(target, &bytes);
        }
    }
}

/// `TURNSTONE_CORPUS=folder` writes the seeds as files, in a folder for each target, as cargo-fuzz reads them.
#[test]
fn seeds_can_be_written_for_a_fuzzer() {
    let asked = std::env::var_os("TURNSTONE_CORPUS");
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = asked.map_or_else(|| scratch.path().to_path_buf(), PathBuf::from);
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the target");
        for (number, bytes) in seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), bytes).expect("a file for the seed");
        }
        let files = std::fs::read_dir(&folder).expect("the folder").count();
        assert!(files >= seeds(name).len());
    }
}
