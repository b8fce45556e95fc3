//! The index of EMQX's LwM2M cases names tests that run the program, which no crate of the protocols can look at:
//! here they are looked for.
#![allow(clippy::disallowed_methods)] // reads sources
use std::path::Path;

const INDEX: &str = include_str!("../../lwm2m/src/server/tests/emqx/index.rs");

#[test]
fn every_case_in_the_program_has_its_test() {
    let (_, list) = INDEX.split_once("const IN_THE_PROGRAM").expect("the list");
    let (list, _) = list.split_once("];").expect("its end");
    let cases: Vec<(&str, &str)> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),")?.split_once("\", \""))
        .collect();
    assert_eq!(cases.len(), list.matches(".rs\"").count(), "each is read");
    assert!(!cases.is_empty());
    for (case, file) in cases {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("#[test]\nfn {case}()")), "{file} has no test {case}");
    }
}
