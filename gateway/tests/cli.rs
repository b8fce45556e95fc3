//! The program as a shell sees it: what it prints where, and its exit code.
#![allow(clippy::disallowed_methods)] // a test of the program starts the program

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the program in a folder of its own, with no variable but `variables`.
fn turnstone(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_turnstone"))
        .args(arguments)
        .current_dir(&folder.0)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file for the test");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // only untidy when it stays
    }
}

#[test]
fn config_init_prints_a_file_that_config_check_accepts() {
    let folder = Folder::new("init");
    let init = turnstone(&folder, &["config", "init"], &[]);
    assert_eq!(init.status.code(), Some(0));
    assert!(err(&init).is_empty());
    folder.file("turnstone.toml", &out(&init));
    let check = turnstone(&folder, &["config", "check", "turnstone.toml"], &[]);
    assert_eq!((check.status.code(), out(&check).as_str()), (Some(0), "turnstone.toml: ok\n"));
}

#[test]
fn config_check_prints_every_mistake_and_ends_with_2() {
    let folder = Folder::new("check");
    folder.file("bad.toml", "mqtt.prot = 1\nmqtt.port = 0\n");
    let check = turnstone(&folder, &["config", "check", "bad.toml"], &[]);
    assert_eq!(check.status.code(), Some(2));
    assert!(out(&check).is_empty());
    assert!(err(&check).starts_with("bad.toml:1:6: error: unknown key mqtt.prot\n"), "{}", err(&check));
    assert_eq!(err(&check).matches(": error: ").count(), 2);

    let missing = turnstone(&folder, &["config", "check", "nope.toml"], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).starts_with("nope.toml: error: cannot be read"), "{}", err(&missing));

    // A variable neither hides a mistake of the file nor is one of the file's.
    let variables = [("TURNSTONE__MQTT__PORT", "0")];
    folder.file("good.toml", "mqtt.port = 1883\n");
    assert_eq!(turnstone(&folder, &["config", "check", "good.toml"], &variables).status.code(), Some(0));
}

#[test]
fn config_check_warns_about_keys_without_effect_and_still_says_ok() {
    let folder = Folder::new("warn");
    folder.file("cert.pem", "");
    folder.file("t.toml", "lwm2m.certfile = \"cert.pem\"\n");
    let check = turnstone(&folder, &["config", "check", "t.toml"], &[]);
    assert_eq!((check.status.code(), out(&check).as_str()), (Some(0), "t.toml: ok\n"));
    assert!(err(&check).contains("DTLS is not built into this version; coaps on 5684 stays closed"));
}

#[test]
fn config_show_says_which_layer_won() {
    let folder = Folder::new("show");
    folder
        .file("t.toml", "mqtt.port = 1\nmqtt.sn.port = 1\nlwm2m.port = 1\nmqtt.sn.password = \"hunter2\"\n");
    let variables = [("TURNSTONE__MQTT__SN__PORT", "2"), ("TURNSTONE__LWM2M__PORT", "4")];
    let arguments = ["config", "show", "--config", "t.toml", "--origin", "--set", "lwm2m.port=3"];
    let show = turnstone(&folder, &arguments, &variables);
    assert_eq!(show.status.code(), Some(0), "{}", err(&show));
    let lines: Vec<String> =
        out(&show).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "mqtt.port = 1 # t.toml:1:13",
        "mqtt.sn.port = 2 # environment TURNSTONE__MQTT__SN__PORT",
        "lwm2m.port = 3 # --set lwm2m.port",
        "mqtt.sn.gateway_id = 1 # default",
        "mqtt.sn.password = \"<redacted>\" # t.toml:4:20",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line} is not in\n{}", out(&show));
    }
    assert!(!out(&show).contains("hunter2"));
    let json = turnstone(&folder, &["config", "show", "--config", "t.toml", "--json"], &variables);
    assert!(out(&json).contains("\"mqtt.sn.port\": 2"), "{}", out(&json));
}

#[test]
fn a_wrong_configuration_or_command_line_ends_with_2() {
    let folder = Folder::new("wrong");
    folder.file("bad.toml", "mqtt.port = 0\n");
    let cases: [&[&str]; 8] = [
        &["--config", "bad.toml"],
        &["run", "--config", "bad.toml"],
        &["--config", "nope.toml"],
        &["--set", "mqtt.prot=1"],
        &["--set", "mqtt.port"],
        &["--log-level", "loud"],
        &["--frobnicate"],
        &["config", "frobnicate"],
    ];
    for arguments in cases {
        let output = turnstone(&folder, arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            out(&output).is_empty() && err(&output).contains("error: "),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    let variable = turnstone(&folder, &["config", "show"], &[("TURNSTONE__MQTT__PROT", "1")]);
    assert_eq!(variable.status.code(), Some(2));
    assert!(err(&variable).contains("try:  TURNSTONE__MQTT__PORT"), "{}", err(&variable));
}

#[test]
fn version_and_help_end_with_0() {
    let folder = Folder::new("version");
    let version = env!("CARGO_PKG_VERSION");
    for arguments in [&["version"] as &[&str], &["--version"]] {
        let output = turnstone(&folder, arguments, &[]);
        assert_eq!((output.status.code(), out(&output)), (Some(0), format!("turnstone {version}\n")));
    }
    let json = turnstone(&folder, &["version", "--json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&out(&json)).expect("JSON");
    assert_eq!(json["version"], version);
    let help = turnstone(&folder, &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for word in ["run", "config", "version", "--set", "Exit codes"] {
        assert!(out(&help).contains(word), "{word}");
    }
}
