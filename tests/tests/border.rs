//! The border of the pure crates: what they may depend on, directly or through others.
#![allow(clippy::disallowed_methods)]
use std::path::Path;
use std::process::Command;

/// Crates that reach for sockets, clocks, files, threads or randomness. None may stand below a pure crate.
const WORLDLY: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "libc",
    "nix",
    "rustix",
    "openssl",
    "openssl-sys",
    "rand",
    "rand_core",
    "getrandom",
    "chrono",
    "time",
    "rumqttc",
    "async-std",
    "smol",
    "futures",
    "crossbeam",
    "rayon",
    "tempfile",
    "num_cpus",
    "tracing-subscriber",
    "clap",
    "redb",
    "axum",
    "hyper",
    "reqwest",
];

/// What each pure crate may name in its manifest.
const ALLOWED: &[(&str, &[&str])] = &[
    ("broker-core", &["bytes", "foldhash", "hashbrown", "memchr", "slab"]),
    ("sn-proto", &["broker-core", "bytes", "foldhash", "hashbrown", "slab"]),
    (
        "lwm2m",
        &[
            "broker-core",
            "bytes",
            "coap-lite",
            "foldhash",
            "hashbrown",
            "itoa",
            "minicbor",
            "quick-xml",
            "serde",
            "serde_json",
            "siphasher",
            "slab",
            "zmij",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace")
}

fn tree(package: &str, depth: Option<&str>) -> Vec<String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none"]);
    command.args(["--package", package]);
    if let Some(depth) = depth {
        command.args(["--depth", depth]);
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn nothing_worldly_stands_below_a_pure_crate() {
    for (package, _) in ALLOWED {
        let below = tree(package, None);
        assert!(below.len() > 1, "{package}: cargo tree says something: {below:?}");
        let worldly: Vec<&String> = below.iter().filter(|name| WORLDLY.contains(&name.as_str())).collect();
        assert!(worldly.is_empty(), "{package} reaches {worldly:?}");
    }
}

#[test]
fn pure_crates_name_only_what_they_may() {
    for (package, allowed) in ALLOWED {
        for name in tree(package, Some("1")) {
            assert!(
                name == *package || allowed.contains(&name.as_str()),
                "{package} depends on {name}: pure crates take no new dependency without a look at it here"
            );
        }
    }
}

#[test]
fn front_ends_do_not_know_each_other() {
    assert!(!tree("sn-proto", None).contains(&"lwm2m".to_owned()));
    assert!(!tree("lwm2m", None).contains(&"sn-proto".to_owned()));
    assert!(!tree("broker-core", None).iter().any(|name| name == "sn-proto" || name == "lwm2m"));
}

#[test]
fn pure_crates_forbid_unsafe_code() {
    for (package, _) in ALLOWED {
        let source = std::fs::read_to_string(root().join(package).join("src/lib.rs")).expect("a lib.rs");
        assert!(source.contains("#![forbid(unsafe_code)]"), "{package}");
    }
}
