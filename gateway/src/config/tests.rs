//! The schema, the sample file, the layers and the typed settings agree with each other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::load::load_with_text;
use super::schema::Key;
use super::*;
use lwm2m::server::Topics;

/// Loads `text` as if it stood in `t.toml` of this package's folder, with two variables set.
pub(super) fn loaded(text: &str) -> Result<Loaded, Problems> {
    load_with_text(sources(), Some(text))
}

pub(super) fn sources() -> Sources {
    Sources {
        file: Some("t.toml".into()),
        working_folder: here(),
        variables: vec![("PORT".into(), "2883".into()), ("WORD".into(), "hunter2".into())],
        ..Sources::default()
    }
}

/// The folder of this package.
fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn refused(text: &str) -> String {
    loaded(text).err().map_or_else(|| panic!("nobody minded {text}"), |problems| problems.to_string())
}

/// With one variable and one `--set`, neither if empty, over the file.
fn layered(text: &str, variables: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, Problems> {
    let mut sources = sources();
    sources
        .variables
        .extend(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    sources.arguments = sets.iter().map(|set| Argument::from_set(set).expect("KEY=VALUE")).collect();
    load_with_text(sources, Some(text))
}

fn single_keys() -> impl Iterator<Item = &'static Key> {
    schema::keys().filter(|key| !key.kind.is_family())
}

/// The sample with every line uncommented that is `prefix` and then a key.
fn uncommented(text: &str, prefix: &str) -> String {
    let is_key = |line: &&str| line.contains(" = ") && line.starts_with(|c: char| c.is_ascii_lowercase());
    text.lines()
        .filter_map(|line| line.strip_prefix(prefix))
        .filter(is_key)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// A folder of its own for one test, with the files that examples name.
fn folder_with_examples(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("turnstone-{test}-{}", std::process::id()));
    for inner in ["xml_dir", "firmware"] {
        std::fs::create_dir_all(folder.join(inner)).expect("a temporary folder");
    }
    for file in ["cert.pem", "key.pem"] {
        std::fs::write(folder.join(file), "not looked into").expect("a temporary file");
    }
    std::fs::write(folder.join("predefinedTopic.conf"), "# Paho\n*,all/30,30\nmeter-1,own/31,31\n")
        .expect("a temporary file");
    std::fs::write(folder.join("sn-password"), "hunter2\n").expect("a temporary file");
    folder
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
    assert_eq!(keys.lines().count(), single_keys().count(), "every key has a line of its own");
    assert_eq!(loaded(&keys).expect("its keys are right").config, Config::default());
}

#[test]
fn the_sample_names_every_key_with_its_documentation_and_rule() {
    let sample = sample();
    for key in schema::keys() {
        let names = [key.name.to_owned(), format!("{}.1", key.name), format!("{}.meter-1.topic.1", key.name)];
        let at = names.iter().find_map(|name| sample.find(&format!("{name} = ")));
        assert!(at.is_some(), "{}", key.name);
        assert!(key.doc.iter().all(|line| sample.contains(line)), "{}", key.name);
        assert!(sample.contains(&key.kind.rule()), "{}", key.name);
    }
}

#[test]
fn the_open_form_of_the_sample_opens_every_listener() {
    let open = uncommented(&sample(), "# ");
    let folder = folder_with_examples("open");
    let sources =
        Sources { file: Some("t.toml".into()), working_folder: folder.clone(), ..Sources::default() };
    let loaded = load_with_text(sources, Some(&open)).expect("the open form is right");
    assert_eq!(loaded.config.listeners().len(), 6);
    assert!(loaded.config.listeners().iter().all(|listener| listener.address.ip().is_unspecified()));
    assert_eq!(loaded.config.sn.password, Some(Secret::new("hunter2")));
    std::fs::remove_dir_all(folder).expect("the temporary folder goes");
}

#[test]
fn examples_are_values_and_what_show_prints_reads_back() {
    let folder = folder_with_examples("show");
    let text: String = schema::keys()
        .map(|key| match (key.kind, key.example) {
            (Kind::Topics, example) => {
                format!("{}.7 = {}\n", key.name, example.expect("a family has an example"))
            }
            (Kind::ClientTopics, example) => {
                let example = example.expect("a family has an example");
                format!("{0}.meter-1.topic.7 = {example}\n{0}.\"a.b c\".topic.8 = \"x\"\n", key.name)
            }
            (_, example) => format!("{} = {}\n", key.name, example.unwrap_or(key.default)),
        })
        .collect();
    let sources =
        Sources { file: Some("t.toml".into()), working_folder: folder.clone(), ..Sources::default() };
    let mut first = load_with_text(sources.clone(), Some(&text)).expect("examples are values");
    assert!(!first.config.sn.predefined_topics.is_empty());
    assert_ne!(first.config, Config::default());

    let shown = first.show_toml(true);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("mqtt.sn.password = \"<redacted>\""), "{shown}");
    assert!(shown.contains("# t.toml:"), "{shown}");
    let again = load_with_text(sources, Some(&shown)).expect("what show prints is a configuration");
    first.config.sn.password = Some(Secret::new(types::REDACTED));
    assert_eq!(again.config, first.config);

    let json: serde_json::Value = serde_json::from_str(&first.show_json(true)).expect("JSON");
    assert_eq!(json["mqtt.sn.predefined.topic.7"]["value"], "sensors/temperature");
    assert_eq!(json["mqtt.sn.predefined.client.\"a.b c\".topic.8"]["value"], "x");
    assert_eq!(json["mqtt.session_expiry"]["value"], 14 * 86_400);
    assert_eq!(json["mqtt.sn.password"]["value"], types::REDACTED);
    std::fs::remove_dir_all(folder).expect("the temporary folder goes");
}

#[test]
fn json_shows_every_key_with_plain_values() {
    let json: serde_json::Value =
        serde_json::from_str(&loaded("").unwrap_or_else(|p| panic!("{p}")).show_json(false)).expect("JSON");
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(single_keys().count()));
    assert_eq!(json["mqtt.connect_timeout"], 10);
    assert_eq!(json["mqtt.max_packet_size"], 1 << 20);
    assert_eq!(json["mqtt.session_expiry"], serde_json::Value::Null);
    assert_eq!(json["mqtt.bind"], serde_json::json!(["127.0.0.1", "::1"]));
}

#[test]
fn names_of_keys_are_unique_plain_and_none_is_the_beginning_of_another() {
    let names: Vec<_> = schema::keys().map(|key| key.name).collect();
    for (index, name) in names.iter().enumerate() {
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c)),
            "{name}"
        );
        assert!(!name.contains("__"), "{name}: the environment's separator");
        for other in names.iter().skip(index + 1) {
            assert_ne!(name, other);
            assert!(
                !other.starts_with(&format!("{name}.")) && !name.starts_with(&format!("{other}.")),
                "{name}"
            );
        }
    }
}

#[test]
fn names_and_defaults_of_the_earlier_product_hold() {
    let config = loaded(
        "mqtt.sn.port = 1884\nmqtt.sn.advertise_duration = 900\nmqtt.sn.gateway_id = 1\nmqtt.sn.enable_qos3 = false\n\
         mqtt.sn.username = \"mqtt_sn_user\"\nmqtt.sn.password = \"abc\"\nmqtt.sn.predefined.topic.1 = \"/a/hello\"\n\
         lwm2m.port = 5683\nlwm2m.certfile = \"Cargo.toml\"\nlwm2m.keyfile = \"Cargo.toml\"\nlwm2m.xml_dir = \"src\"\n",
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
    .config;
    let defaults = Config::default();
    assert_eq!((config.sn.port, config.lwm2m.port, config.sn.gateway_id), (1884, 5683, 1));
    assert_eq!((defaults.sn.port, defaults.lwm2m.port, defaults.sn.gateway_id), (1884, 5683, 1));
    assert_eq!(config.sn.advertise_duration, defaults.sn.advertise_duration);
    assert_eq!(config.sn.password.as_ref().map(Secret::expose), Some("abc"));
    assert_eq!(config.sn.predefined_topics.get(&1).map(|topic| topic.as_str()), Some("/a/hello"));
    assert_eq!(config.lwm2m.xml_dir.as_deref(), Some(here().join("src").as_path()));
}

#[test]
fn every_key_can_be_set_in_every_layer() {
    for key in single_keys() {
        let bare = key.default.trim_matches('"');
        let variable = variable_name(key.name);
        let set = format!("{}={bare}", key.name);
        let by_variable =
            layered("", &[(&variable, bare)], &[]).unwrap_or_else(|p| panic!("{variable}: {p}"));
        let by_set = layered("", &[], &[&set]).unwrap_or_else(|p| panic!("{set}: {p}"));
        assert_eq!(by_variable.config, Config::default());
        assert_eq!(by_variable.origins.get(key.name), Some(&Place::Variable(variable)));
        assert_eq!(by_set.config, Config::default());
        assert_eq!(by_set.origins.get(key.name), Some(&Place::Argument(format!("--set {}", key.name))));
    }
}

#[test]
fn arguments_beat_variables_beat_the_file_beats_defaults() {
    let port = |text: &str, variables: &[(&str, &str)], sets: &[&str]| {
        let loaded = layered(text, variables, sets).unwrap_or_else(|problems| panic!("{problems}"));
        let origin = loaded.origins.get("mqtt.sn.port").map(Place::to_string);
        (loaded.config.sn.port, origin.unwrap_or_default())
    };
    let file = "[mqtt.sn]\nport = 1\n";
    let variable = [("TURNSTONE__MQTT__SN__PORT", "2")];
    assert_eq!(port("", &[], &[]), (1884, String::new()));
    assert_eq!(port(file, &[], &[]), (1, "t.toml:2:8".into()));
    assert_eq!(port(file, &variable, &[]), (2, "environment TURNSTONE__MQTT__SN__PORT".into()));
    assert_eq!(port(file, &variable, &["mqtt.sn.port=3"]), (3, "--set mqtt.sn.port".into()));
    assert_eq!(port(file, &[], &["mqtt.sn.port=3", "mqtt.sn.port=4"]), (4, "--set mqtt.sn.port".into()));
}

#[test]
fn predefined_topics_of_all_layers_are_put_together() {
    let topics = "mqtt.sn.predefined.topic.1 = \"a\"\nmqtt.sn.predefined.topic.2 = \"b\"\n";
    let variables = [
        ("TURNSTONE__MQTT__SN__PREDEFINED__TOPIC__2", "c"),
        ("TURNSTONE__MQTT__SN__PREDEFINED__TOPIC__3", "d"),
    ];
    let loaded =
        layered(topics, &variables, &["mqtt.sn.predefined.topic.65534=e"]).unwrap_or_else(|p| panic!("{p}"));
    let shown: Vec<_> =
        loaded.config.sn.predefined_topics.iter().map(|(id, name)| (*id, name.as_str())).collect();
    assert_eq!(shown, [(1, "a"), (2, "c"), (3, "d"), (65_534, "e")]);
    assert!(loaded.config.sn.predefined().is_ok());
}

#[test]
fn predefined_topics_of_single_clients_and_of_a_file_go_together() {
    let folder = folder_with_examples("predefined");
    let at = |text: &str, sets: &[&str]| {
        let arguments = sets.iter().map(|set| Argument::from_set(set).expect("KEY=VALUE")).collect();
        let working_folder = folder.clone();
        let sources =
            Sources { file: Some("t.toml".into()), working_folder, arguments, ..Sources::default() };
        load_with_text(sources, Some(text))
    };
    let text = "mqtt.sn.predefined_file = \"predefinedTopic.conf\"\nmqtt.sn.predefined.topic.1 = \"a\"\n\
                [mqtt.sn.predefined.client.\"10.0.0.1 x\".topic]\n1 = \"own/1\"\n2 = \"own/2\"\n";
    let first = at(
        text,
        &["mqtt.sn.predefined.client.\"10.0.0.1 x\".topic.2=set", "mqtt.sn.predefined.client.M2.topic.5=b"],
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let table = first.config.sn.predefined().expect("loaded");
    let all: Vec<_> = table.iter().collect();
    assert_eq!(
        all,
        [
            (None, 1, "a"),
            (None, 30, "all/30"),
            (Some("10.0.0.1 x"), 1, "own/1"),
            (Some("10.0.0.1 x"), 2, "set"),
            (Some("M2"), 5, "b"),
            (Some("meter-1"), 31, "own/31"),
        ]
    );
    let shown = first.show_toml(true);
    assert!(shown.contains("mqtt.sn.predefined.client.\"10.0.0.1 x\".topic.1 = \"own/1\""), "{shown}");
    assert!(shown.contains("# --set mqtt.sn.predefined.client.M2.topic.5"), "{shown}");

    // A reload sees a change in the file, and refuses a bad one with all its lines.
    let path = folder.join("predefinedTopic.conf");
    std::fs::write(&path, "*,all/32,32\n").expect("a file");
    let second = at(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let changes: Vec<_> =
        first.config.diff(&second.config).reloadable.iter().map(ToString::to_string).collect();
    assert!(
        changes.iter().any(|change| change.ends_with("predefinedTopic.conf\" (with other contents)")),
        "{changes:?}"
    );
    std::fs::write(&path, "*,all/32,32\n*,x\n# fine\n*,a/+,5\n").expect("a file");
    let problems = at(text, &[]).err().expect("a bad file").to_string();
    let shown = problems.replace(&format!("{}/", folder.display()), "");
    assert_eq!(
        shown,
        "predefinedTopic.conf:2:1: error: mqtt.sn.predefined_file = \"predefinedTopic.conf\" has a bad line here: expected \
         ClientID,TopicName,TopicID (or * for all clients)\n  rule: the path of a file of lines \
         ClientID,TopicName,TopicID (* for all clients), in quotes, taken from the folder of the configuration \
         file\n  try:  *,sensors/temperature,1 for all clients, meter-1,t,2 for one\n\
         predefinedTopic.conf:4:1: error: mqtt.sn.predefined_file = \"predefinedTopic.conf\" has a bad line here: not a \
         topic name: wildcard in a topic name\n  rule: the path of a file of lines ClientID,TopicName,TopicID (* for \
         all clients), in quotes, taken from the folder of the configuration file\n  try:  *,sensors/temperature,1 \
         for all clients, meter-1,t,2 for one\n"
    );
    std::fs::remove_dir_all(folder).expect("the temporary folder goes");
}

#[test]
fn other_gateways_words_in_mount_points_are_no_variables() {
    for (client, text) in [("%c/", "mqtt.sn.mountpoint = \"${clientid}/\"\n"), ("", "")] {
        let loaded = loaded(text).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(loaded.config.sn.mountpoint, client);
    }
    let text =
        "mqtt.sn.mountpoint = \"${peerhost}/\"\nlwm2m.mountpoint = \"${peerhost}/${endpoint_name}/\"\n";
    let loaded = loaded(text).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!((&*loaded.config.sn.mountpoint, &*loaded.config.lwm2m.mountpoint), ("%h/", "%h/%e/"));
}

#[test]
fn a_bad_value_is_a_mistake_also_where_a_stronger_layer_hides_it() {
    let problems =
        layered("mqtt.port = 0\n", &[], &["mqtt.port=1883"]).err().map(|problems| problems.0.len());
    assert_eq!(problems, Some(1));
}

#[test]
fn lists_can_be_one_address_many_or_none() {
    let binds = |set: &str| {
        let loaded = layered("", &[], &[set]).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.mqtt.bind.iter().map(Bind::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(binds("mqtt.bind=0.0.0.0"), "0.0.0.0");
    assert_eq!(binds("mqtt.bind=0.0.0.0, ::"), "0.0.0.0 ::");
    assert_eq!(binds("mqtt.bind=[\"192.0.2.7:11883\", \"[::1]:2\"]"), "192.0.2.7:11883 [::1]:2");
    assert_eq!(binds("mqtt.bind=[]"), "");
    let one = loaded("mqtt.bind = \"::1\"").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(one.config.mqtt.bind.len(), 1);
}

#[test]
fn variables_and_files_stand_inside_values() {
    let folder = folder_with_examples("inside");
    let path = folder.join("sn-password");
    let text = format!(
        "mqtt.port = \"${{PORT}}\"\nmqtt.bind = [\"127.0.0.1:${{PORT}}\"]\nmqtt.sn.password = \"${{file:{}}}\"\n\
         mqtt.sn.username = \"a$b$${{c}}\"\n",
        path.display()
    );
    let config = loaded(&text).unwrap_or_else(|problems| panic!("{problems}")).config;
    assert_eq!(config.mqtt.port, 2883);
    assert_eq!(config.mqtt.bind.first().and_then(|bind| bind.port), Some(2883));
    assert_eq!(config.sn.password.as_ref().map(Secret::expose), Some("hunter2"), "without its newline");
    assert_eq!(config.sn.username.as_deref(), Some("a$b${c}"));
    std::fs::remove_dir_all(folder).expect("the temporary folder goes");
}

#[test]
fn no_secret_is_ever_printed() {
    for text in [
        "mqtt.sn.password = 7072\nmqtt.port = 0\n",
        "mqtt.sn.password = hunter2\n",
        "mqtt.sn.password = \"hunter2\n",
        "mqtt.sn.password = [\"hunter2\"]\n",
        "mqtt.sn.password = \"hunter2\\u0000\"\n",
        "mqtt.sn.password = \"hunter2${NOPE}\"\n",
        "mqtt.sn.password = \"hunter2${\"\n",
        "mqtt.sn.password = \"hunter2\\u0000${PORT}\"\n",
        "mqtt.sn.pasword = \"hunter2\"\n",
        "mqtt.port = \"${WORD}\"\n",
        "mqtt.bind = [\"${WORD}\"]\n",
        "log.level = \"${WORD}\"\n",
        "lwm2m.xml_dir = \"${WORD}\"\n",
        "mqtt.sn.password = \"hunter2\"\nmqtt.sn.password = \"hunter2\"\n",
    ] {
        let shown = refused(text);
        assert!(!shown.contains("hunter2") && !shown.contains("7072"), "{text}\n{shown}");
    }
    let set = layered("mqtt.sn.password = \"hunter2\"", &[], &["mqtt.port=0"]).err().map(|p| p.to_string());
    assert!(set.is_some_and(|shown| !shown.contains("hunter2")));
    let good = loaded("mqtt.sn.password = \"hunter2\"").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!good.show_toml(true).contains("hunter2") && !good.show_json(true).contains("hunter2"));
    assert!(!format!("{:?} {:?}", good.config, good.warnings).contains("hunter2"));
}

/// For which kinds a value is right.
type Usable = fn(Kind) -> bool;

/// Values of every type.
fn wrong_values() -> Vec<(&'static str, Usable)> {
    vec![
        ("true", |kind| matches!(kind, Kind::Bool)),
        ("-1", |_| false),
        ("3.5", |_| false),
        ("1979-05-27", |_| false),
        ("{ a = 1 }", |_| false),
        ("[[1]]", |_| false),
        ("[{}]", |_| false),
        ("99999999999999999999999999999999999999999999", |_| false),
        ("\"\\u0000\"", |_| false),
        ("\"no such word\"", |kind| {
            matches!(kind, Kind::Text { .. } | Kind::Secret { .. } | Kind::Topics | Kind::ClientTopics)
        }),
        ("77777777777", |kind| matches!(kind, Kind::Integer { .. } | Kind::Size { .. })),
    ]
}

#[test]
fn every_key_refuses_every_wrong_type_with_key_place_rule_and_a_way_out() {
    let mut mutants = 0;
    for key in schema::keys() {
        let name = match key.kind {
            Kind::Topics => format!("{}.1", key.name),
            Kind::ClientTopics => format!("{}.meter-1.topic.1", key.name),
            _ => key.name.to_owned(),
        };
        for (value, usable) in wrong_values() {
            if usable(key.kind) {
                continue;
            }
            mutants += 1;
            let shown = refused(&format!("# first line\n{name} = {value}\n"));
            assert!(shown.starts_with("t.toml:2:"), "{shown}");
            assert!(shown.contains(&name), "{name} = {value}\n{shown}");
            assert!(shown.contains(&format!("  rule: {}", key.kind.rule())), "{name} = {value}\n{shown}");
            let advice = shown.lines().find_map(|line| line.strip_prefix("  try:  ")).expect("a way out");
            // Texts with a grammar of their own: the advice puts quotes around, and the next one tells the grammar.
            let has_grammar =
                ["lwm2m.mountpoint", "lwm2m.auto_observe", "lwm2m.queue_awake_of", "mqtt.sn.mountpoint"]
                    .contains(&key.name);
            if has_grammar {
                let told = loaded(advice).err().map(|problems| problems.to_string());
                assert!(told.is_none_or(|told| told.contains(&format!("  try:  {}", key.name))), "{advice}");
                continue;
            }
            let follows = advice.starts_with(&name)
                && !advice.contains("${")
                && !matches!(key.kind, Kind::File | Kind::Folder | Kind::PredefinedFile);
            if follows {
                assert!(loaded(advice).is_ok(), "the advice for {name} = {value} is wrong: {advice}");
            } else {
                assert!(
                    matches!(
                        key.kind,
                        Kind::Secret { .. } | Kind::File | Kind::Folder | Kind::PredefinedFile
                    ),
                    "{name}: {advice}"
                );
            }
        }
    }
    assert!(mutants > 400, "{mutants}");
}

#[test]
fn a_key_without_effect_gives_a_warning_that_says_so() {
    let warnings = |text: &str| {
        let loaded = loaded(text).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.warnings.iter().map(Problem::as_warning).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("lwm2m.certfile = \"Cargo.toml\"\n"),
        [
            "t.toml:1:18: warning: lwm2m.certfile has no effect yet\n  rule: DTLS is not built into this version; coaps on \
          5684 stays closed\n  try:  leave it out until then"
        ]
    );
    assert!(warnings("lwm2m.certfile = \"\"\nmqtt.port = 1883\n").is_empty());
    assert_eq!(
        warnings("mqtt.sn.advertise_duration = \"10h\"\n"),
        [
            "t.toml:1:30: warning: mqtt.sn.advertise_duration = 36000 is negative for clients that read it as a signed \
             number (Zephyr)\n  rule: a 16-bit number of seconds, which some clients take for signed\n  try:  \
             mqtt.sn.advertise_duration = 32767 or less"
        ]
    );
    let near = layered("", &[("TURNSTONE_MQTT_PORT", "1"), ("TURNSTONE_HOME", "/")], &[])
        .unwrap_or_else(|p| panic!("{p}"));
    let near: Vec<_> =
        near.warnings.iter().map(|warning| format!("{}: {}", warning.place, warning.advice)).collect();
    assert_eq!(near, ["environment TURNSTONE_MQTT_PORT: TURNSTONE__MQTT__PORT"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_mistakes() {
    let loaded =
        loaded("\u{feff}mqtt.port = 1\r\n[mqtt.sn]\r\nport = 2\r\n").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!((loaded.config.mqtt.port, loaded.config.sn.port), (1, 2));
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let folder = folder_with_examples("paths");
    let file = folder.join("t.toml");
    std::fs::write(&file, "lwm2m.xml_dir = \"xml_dir\"\nmqtt.sn.password = \"${file:sn-password}\"\n")
        .expect("a file");
    let from_file = load(Sources { file: Some(file.clone()), working_folder: here(), ..Sources::default() });
    let from_file = from_file.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(from_file.config.lwm2m.xml_dir, Some(folder.join("xml_dir")));
    assert_eq!(from_file.config.lwm2m.xml_folder(Path::new("/")), Some(folder.join("xml_dir")));
    assert_eq!(from_file.source_line(), format!("configuration: {}", file.display()));

    let argument = Argument::from_set("lwm2m.xml_dir=src").expect("KEY=VALUE");
    let from_set = load(Sources { arguments: vec![argument], working_folder: here(), ..Sources::default() });
    let from_set = from_set.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(from_set.config.lwm2m.xml_dir, Some(here().join("src")));
    assert!(from_set.source_line().contains("built-in defaults"));
    assert_eq!(Config::default().lwm2m.xml_folder(&folder), Some(folder.join("xml_dir")));

    // A reload reads the file again and refuses a bad one without touching what holds.
    std::fs::write(&file, "mqtt.session_expiry = \"1d\"\n").expect("a file");
    let again = from_file.reload().unwrap_or_else(|problems| panic!("{problems}"));
    let changed: Vec<_> =
        from_file.config.diff(&again.config).reloadable.into_iter().map(|change| change.key).collect();
    assert_eq!(changed, ["mqtt.session_expiry", "mqtt.sn.password", "lwm2m.xml_dir"]);
    std::fs::write(&file, "mqtt.port = 0\n").expect("a file");
    assert!(from_file.reload().is_err());
    std::fs::remove_dir_all(folder).expect("the temporary folder goes");
}

/// The text of every source file of this crate outside `config` and `cli`.
fn sources_outside_config(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry of it").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && name != "config" && name != "cli" {
            text.push_str(&sources_outside_config(&path));
        } else if path.is_file() {
            text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
    text
}

#[test]
fn each_topic_of_lwm2m_has_its_own_name_and_qos() {
    let keys = ["response", "up", "notify", "register", "update", "event", "status"];
    let mut text = "[lwm2m.topics]\ncommand = \"c\"\ndn = \"d\"\n".to_owned();
    keys.iter().for_each(|key| text.push_str(&format!("{key} = \"x/{key}\"\n")));
    text.push_str("[lwm2m.qos]\n");
    keys.iter().enumerate().for_each(|(at, key)| text.push_str(&format!("{key} = {}\n", at % 3)));
    let topics = loaded(&text).expect("it is sound").config.lwm2m.topics().expect("mounted");
    assert_eq!((&*topics.command, &*topics.downlink), ("c", "d"));
    let Topics { response, uplink, notify, register, update, event, status, .. } = topics;
    let leaves = [response, uplink, notify, register, update, event, status];
    for ((at, key), leaf) in keys.iter().enumerate().zip(leaves) {
        assert_eq!((&*leaf.name, leaf.qos as usize), (&*format!("x/{key}"), at % 3));
    }
}

/// A key that nothing reads would be ignored without a word.
#[test]
fn every_key_is_read_by_the_program_or_says_that_it_is_not() {
    let mut text = sources_outside_config(&here().join("src"));
    if text.contains("not built yet: nothing is served") {
        return; // run.rs serves nothing, and says so, for every key alike
    }
    for helper in [
        "broker_limits",
        "predefined",
        "own_topics",
        "rates",
        "xml_folder",
        "server",
        "topics",
        "leaves",
        "observed",
        "awake_windows",
    ] {
        if text.contains(&format!(".{helper}(")) {
            let core = include_str!("core.rs");
            let body = core
                .split(&format!("pub fn {helper}("))
                .nth(1)
                .and_then(|rest| rest.split("\n    }\n").next());
            text.push_str(body.expect("the helper is in core.rs"));
        }
    }
    let reads = |field: &str| {
        let access = format!(".{field}");
        let uses = text.match_indices(&access).map(|(at, found)| text.get(at + found.len()..));
        uses.flatten().any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let listens = text.contains(".listeners()");
    let has_one_value = |kind: Kind| matches!(kind, Kind::Integer { min, max } if min == max);
    let unread: Vec<_> = schema::keys()
        .filter(|key| {
            key.later.is_none() && !(listens && (key.name.ends_with(".port") || key.name.ends_with(".bind")))
        })
        .filter(|key| !has_one_value(key.kind) && !reads(key.field))
        .map(|key| key.name)
        .collect();
    assert!(
        unread.is_empty(),
        "these keys do nothing: use them (see config/core.rs), or give their rows in config/schema.rs a `later`: \
         {unread:?}"
    );
}

#[test]
fn no_cut_and_no_slip_of_a_finger_makes_the_reader_panic_or_fall_silent() {
    let text = "mqtt.port = 1\nmqtt.bind = [\"::1\", \"127.0.0.1:2\"]\n[mqtt.sn]\npassword = \"a${PORT}\"\n\
                predefined.topic.7 = 'é'\nadvertise_duration = 9_0\n[limits]\nqueue_bytes = \"1MiB\"\n";
    assert!(loaded(text).is_ok());
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    for at in places {
        let (before, after) = text.split_at(at);
        let rest = after.chars().next().map_or("", |c| after.get(c.len_utf8()..).unwrap_or_default());
        let mut mutants = vec![before.to_owned(), format!("{before}{rest}")];
        mutants.extend("\"'[]{}=.#\n\\$\u{0}é9".chars().map(|slip| format!("{before}{slip}{rest}")));
        for mutant in mutants {
            if let Err(problems) = loaded(&mutant) {
                let shown = problems.to_string();
                assert!(!problems.0.is_empty(), "{mutant}");
                assert!(shown.starts_with("t.toml:") && shown.contains("\n  try:  "), "{mutant}\n{shown}");
            }
        }
    }
}
