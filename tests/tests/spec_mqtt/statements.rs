//! The index: which statements have a test.
use turnstone_tests::statements::{Breaker, STATEMENTS};

const SOURCES: &[&str] = &[
    include_str!("connack.rs"),
    include_str!("connect.rs"),
    include_str!("conventions.rs"),
    include_str!("disconnect.rs"),
    include_str!("operation.rs"),
    include_str!("publish.rs"),
    include_str!("subscribe.rs"),
    include_str!("topics.rs"),
];

/// Statements about a server that no single exchange can break; each with the reason.
const WITHOUT_TEST: &[(&str, &str)] = &[
    ("4.2.0-1", "TCP gives the ordered, lossless stream; the listener tests use it"),
    ("4.8.0-2", "an internal fault closes its connection: tested in the gateway, where panics are caught"),
    ("7.0.0-1", "conformance as client and server: the bridge comes later"),
    ("7.1.1-1", "the sum of all the others"),
    ("7.1.1-2", "nothing outside the specification is needed: every test here is a plain client"),
];

fn tested(prefix: &str) -> bool {
    SOURCES.iter().any(|source| {
        source
            .match_indices(&format!("fn {prefix}"))
            .any(|(at, _)| source[..at].trim_end().ends_with("#[test]"))
    })
}

#[test]
fn every_statement_that_a_server_can_break_has_a_test() {
    let missing: Vec<&str> = STATEMENTS
        .iter()
        .filter(|s| s.breaker == Breaker::Server)
        .filter(|s| !tested(&s.test_prefix()) && !WITHOUT_TEST.iter().any(|(id, _)| *id == s.id))
        .map(|s| s.id)
        .collect();
    assert!(missing.is_empty(), "statements without a test: {missing:?}");
}

#[test]
fn no_statement_is_excused_and_tested() {
    for (id, reason) in WITHOUT_TEST {
        let statement = STATEMENTS.iter().find(|s| s.id == *id).expect("a statement of the list");
        assert!(!tested(&statement.test_prefix()), "{id} has a test; its excuse ({reason}) can go");
    }
}

#[test]
fn every_spec_test_names_a_statement() {
    for source in SOURCES {
        for line in source.lines() {
            let Some(name) = line.strip_prefix("fn mqtt_") else { continue };
            let name = format!("mqtt_{name}");
            assert!(
                STATEMENTS.iter().any(|s| name.starts_with(&s.test_prefix())),
                "{name} names no statement"
            );
        }
    }
}
