//! Hostile inputs on TCP and UDP, played against the program, and the tests of the runner itself.

// Starts the server as a process, opens sockets to it and watches it in /proc.
#![allow(clippy::disallowed_methods)]

mod hostile;

use hostile::play::play;
use hostile::rows::File;
use hostile::server::Server;
use hostile::{all_files, play_file};
use turnstone_tests::notation::{Symbol, fill, matches, parse};

#[test]
fn first_packets_are_judged_by_their_first_bytes() {
    play_file("mqtt_first_packet.toml");
}

#[test]
fn broken_connects_end_the_connection() {
    play_file("mqtt_connect.toml");
}

#[test]
fn slow_connects_meet_a_deadline() {
    play_file("mqtt_deadline.toml");
}

#[test]
fn broken_publishes_end_the_connection() {
    play_file("mqtt_publish.toml");
}

#[test]
fn broken_subscribes_end_the_connection() {
    play_file("mqtt_subscribe.toml");
}

#[test]
fn packets_out_of_place_leave_a_sane_state() {
    play_file("mqtt_state.toml");
}

#[test]
fn floods_stay_within_their_bounds() {
    play_file("mqtt_flood.toml");
}

#[test]
fn retained_messages_stay_within_their_quota() {
    play_file("mqtt_retained.toml");
}

#[test]
fn meaningless_mqtt_sn_datagrams_are_dropped_or_refused() {
    play_file("sn_datagram.toml");
}

#[test]
fn mqtt_sn_peers_that_mean_no_good_harm_nobody() {
    play_file("sn_session.toml");
}

#[test]
fn who_acknowledges_nothing_is_no_target_of_a_reflection() {
    play_file("sn_guard.toml");
}

#[test]
fn encapsulation_is_believed_from_forwarders_only() {
    play_file("sn_forwarder.toml");
}

#[test]
fn broken_coap_messages_are_dropped_or_reset() {
    play_file("coap_message.toml");
}

#[test]
fn registrations_that_mean_no_good_leave_nothing_behind() {
    play_file("coap_register.toml");
}

#[test]
fn devices_that_answer_wrongly_get_their_askers_one_answer() {
    play_file("lwm2m_device.toml");
}

#[test]
fn commands_that_mean_no_good_get_one_answer() {
    play_file("lwm2m_command.toml");
}

#[test]
fn more_commands_than_a_sleeper_can_hear_are_all_answered() {
    play_file("lwm2m_sleeper.toml");
}

/// Numbers of the list whose input cannot come over a loopback socket without TLS, with the test that has them.
const COAP_ELSEWHERE: [(&str, &str, &str); 2] = [
    (
        "L10",
        "a_group_hears_nothing_unless_discovery_is_switched_on",
        include_str!("../../lwm2m/src/coap/tests/wire.rs"),
    ),
    ("L16", "a_proven_identity_is_the_endpoint", include_str!("../../lwm2m/src/server/tests/outcomes.rs")),
];

#[test]
fn every_hostile_coap_input_of_the_list_has_its_row() {
    let files = all_files();
    let rows: Vec<String> = files
        .iter()
        .flat_map(|(_, text)| File::parse(text).expect("it can be read").row)
        .map(|row| row.id)
        .collect();
    for number in 1..=32 {
        let id = format!("L{number:02}");
        let elsewhere = COAP_ELSEWHERE
            .iter()
            .any(|(other, test, source)| *other == id && source.contains(&format!("fn {test}(")));
        assert!(elsewhere || rows.contains(&id), "{id} has no row");
    }
}

#[test]
fn every_data_file_can_be_read() {
    let files = all_files();
    assert!(!files.is_empty());
    for (name, text) in files {
        if let Err(error) = File::parse(&text) {
            panic!("{name}: {error}");
        }
    }
}

/// N01 to N37 of the list of hostile inputs for MQTT-SN.
#[test]
fn every_hostile_input_for_mqtt_sn_has_its_row() {
    let mut ids = std::collections::BTreeSet::new();
    for (name, text) in all_files() {
        let file = File::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        ids.extend(file.row.into_iter().map(|row| row.id));
    }
    let missing: Vec<String> =
        (1..=37).map(|number| format!("N{number:02}")).filter(|id| !ids.contains(id)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

#[test]
fn notation_of_bytes_is_read() {
    let sent = |text: &str| fill(&parse(text).expect("notation"), &[0xAA, 0xBB]).expect("bytes");
    assert_eq!(sent("10 0E0004 'MQ'"), [0x10, 0x0E, 0, 4, b'M', b'Q']);
    assert_eq!(sent("61*3 $1$0"), [0x61, 0x61, 0x61, 0xBB, 0xAA]);
    assert_eq!(sent("@connect(c1)"), sent("10 0E 0004 4D515454 04 02 003C 0002 6331"));
    assert_eq!(sent("AA [01 'b' [02]] <0C 00>"), [0xAA, 4, 1, b'b', 1, 2, 3, 0x0C, 0]);
    assert!(parse("[01").is_err());
    assert!(parse("01]").is_err());
    assert_eq!(sent("@sub(258,a/#,1)"), sent("82 08 0102 0003 'a/#' 01"));
    assert!(parse("1").is_err());
    assert!(parse("xy").is_err());
    assert!(parse("@nothing(1)").is_err());
}

#[test]
fn patterns_match_exactly_and_capture() {
    let pattern = parse("32 ?? ?? 'x'").expect("notation");
    assert_eq!(pattern.get(1), Some(&Symbol::Any));
    assert_eq!(matches(&pattern, &[0x32, 1, 2, b'x']), Some(vec![1, 2]));
    assert_eq!(matches(&pattern, &[0x32, 1, 2, b'x', 0]), None);
    let packet = parse("30 ## 0001 't' ...").expect("notation");
    assert!(matches(&packet, &[0x30, 3, 0, 1, b't']).is_some());
    assert!(matches(&packet, &[0x30, 0x83, 0x01, 0, 1, b't', 9]).is_some());
    assert_eq!(matches(&packet, &[0x30, 3, 0, 1, b'u']), None);
    assert_eq!(matches(&pattern, &[0x32, 1, 2]), None);
    assert_eq!(matches(&parse("60 82 ...").expect("notation"), &[0x60, 0x82, 1, 2]), Some(vec![]));
}

/// The failures of one row against the fake server, which takes every CONNECT and ends at unknown packets.
fn failures_against_the_fake(steps: &str) -> Vec<String> {
    let row = format!("proto = 'mqtt'\n[[row]]\nid = 'T'\ntitle = 't'\nsource = 's'\nsteps = [{steps}]");
    let file = File::parse(&row).expect("the row is in order");
    let server = Server::peer(hostile::fake::start(), None).expect("a folder can be made");
    play(&file, server).expect("the fake serves the bystander")
}

#[test]
fn runner_is_content_when_all_is_as_said() {
    let steps = "{ send = '@connect(a)' }, { recv = '@connack' }, { quiet = true }, { send = '@pub(t,x)' }, \
                 { either = ['close', '@pub(t,x)'] }, { settle = true }, { send = 'F0 00' }, { closed = [''] }";
    assert_eq!(failures_against_the_fake(steps), Vec::<String>::new());
}

#[test]
fn runner_notices_what_is_not_as_said() {
    for steps in [
        "{ send = '@connect(a)' }, { recv = '20 02 00 01' }", // another answer
        "{ send = '@connect(a) F0 00' }, { closed = [''] }",  // an answer where none was due
        "{ send = '@connect(a) F0 00' }, { closed = ['20 02 00 01'] }", // another answer before the end
        "{ send = '@connect(a)' }, { quiet = true }",         // an answer where silence was due
        "{ send = 'F0 00' }, { recv = '@connack' }",          // the end where an answer was due
        "{ send = 'F0 00' }, { settle = true }",              // the end where life was due
        "{ send = '@connect(a)' }, { either = ['close', '20 02 00 01'] }",
        "{ send = 'F0 00' }, { closed = [''], not_before_ms = 60000 }",
    ] {
        assert_eq!(failures_against_the_fake(steps).len(), 1, "{steps}");
    }
}
