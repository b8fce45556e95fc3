//! Which test shows what real clients need, what was to be tested first, and the vectors of the content formats.

/// Where the tests are.
const SOURCES: &[&str] = &[
    include_str!("contract.rs"),
    include_str!("devices.rs"),
    include_str!("first_light.rs"),
    include_str!("hostile.rs"),
    include_str!("lossy/firmware.rs"),
    include_str!("lossy/runs.rs"),
    include_str!("observing.rs"),
    include_str!("operations.rs"),
    include_str!("outcomes.rs"),
    include_str!("queue_mode.rs"),
    include_str!("registering.rs"),
    include_str!("sending.rs"),
    include_str!("../../catalog/tests.rs"),
    include_str!("../../coap/tests/blockwise.rs"),
    include_str!("../../coap/tests/exchange.rs"),
    include_str!("../../coap/tests/observing.rs"),
    include_str!("../../coap/tests/wire.rs"),
    include_str!("../../command/tests.rs"),
    include_str!("../../content/link_tests.rs"),
    include_str!("../../content/lwm2m_cbor.rs"),
    include_str!("../../content/senml_cbor_tests.rs"),
    include_str!("../../content/senml_json_tests.rs"),
    include_str!("../../content/tlv_tests.rs"),
];

/// What the captured clients need.
const CLIENTS: &[(&str, &str)] = &[
    ("1 Accept, and another format where one is refused", FORMATS),
    ("2 writes in a format that the device takes", FORMATS),
    ("3 a location of two segments", "register_answers_with_a_random_location_and_tells_everyone"),
    ("4 lists as clients write them", "registrations_of_real_clients_are_read"),
    (
        "5 4.12 for versions from the future",
        "a_version_from_the_future_gets_4_12_so_that_the_device_tries_a_lower_one",
    ),
    ("6 empty tokens", "non_confirmable_and_tokenless_requests_are_served"),
    (
        "7 one request at a time, and separate responses",
        "one_request_is_outstanding_per_peer_and_an_empty_acknowledgement_lets_the_next_go",
    ),
    (
        "8 the same datagram twice",
        "the_same_register_datagram_twenty_times_is_one_registration_with_one_answer",
    ),
    ("9 all of it over a good network", "captured_clients_are_served_over_a_good_network"),
    ("10 all of it over a bad network", "captured_clients_are_served_over_a_bad_network"),
];

const FORMATS: &str = "the_format_that_a_device_takes_is_found_and_remembered";

/// Tests worth writing first.
const FIRST: &[(&str, &str)] = &[
    ("1 TLV vectors", "the_examples_of_the_specification_read_and_write_byte_for_byte"),
    ("1 TLV integers", "integers_are_signed_and_minimal"),
    ("1 TLV that is broken", "damaged_records_are_refused_with_a_reason"),
    ("2 registration matrix", "the_registration_matrix"),
    ("2 a Register in blocks", "a_register_in_blocks_is_one_register"),
    ("2 Updates", "an_update_says_only_what_has_changed_and_the_event_says_all"),
    ("3 both forms to one device", "the_topic_tells_the_channel_and_the_keys_tell_the_form"),
    ("4 a device for each format", FORMATS),
    ("5 commands for a sleeper", "commands_wait_for_a_sleeper_and_are_delivered_in_order_on_update"),
    ("5 their time ends", "a_command_whose_time_ends_is_answered_and_never_run"),
    ("5 a restart meanwhile", "commands_for_a_sleeper_survive_a_restart"),
    ("5 no sign of life", "no_acknowledgement_within_the_window_puts_the_command_back_to_the_head"),
    ("6 silence, RST, an empty ACK", "what_a_device_does_not_answer_is_answered_for_it"),
    (
        "6 an empty ACK and a separate response",
        "a_separate_response_counts_even_if_the_acknowledgement_was_lost",
    ),
    ("7 order of notifications", "notifications_are_ordered_and_limited"),
    ("7 an unknown token", "a_notification_nobody_asked_for_is_reset"),
    ("7 cancel under the same token", "the_device_hears_of_a_cancel_when_the_last_asker_goes"),
    ("7 observations after a Register", "observations_are_issued_again_after_a_register_and_keep_their_ids"),
    ("8 Send", "values_are_published_whatever_the_shape_of_their_names"),
    ("10 retained commands", "retained_commands_are_never_run"),
    ("10 two askers of one path", "a_notification_goes_to_every_topic_that_asked_with_its_own_id"),
    ("11 a folder of definitions", "a_bad_file_is_one_warning_and_the_rest_loads"),
    ("11 byte order marks and line ends", "odd_but_honest_files_load"),
    ("11 several objects and versions", "several_objects_in_a_file_and_several_versions_load"),
];

/// Bytes of SenML and LwM2M CBOR, both ways.
const VECTORS: &[(&str, &str)] = &[
    ("SenML CBOR of Anjay's Send", "a_send_of_anjay_is_read"),
    ("SenML CBOR of every type", "every_type_reads_and_writes_byte_for_byte"),
    ("SenML JSON", "an_instance_reads_and_writes_byte_for_byte"),
    ("base and name verbatim", "base_name_and_name_are_put_together_verbatim"),
    ("relative times", "times_below_two_to_the_28_are_relative_to_now"),
    ("64 bits", "sixty_four_bits_pass_without_loss"),
    ("lists of paths in LwM2M CBOR", "paths_stand_with_null"),
    ("a mebibyte by Block1", "a_mebibyte_is_pushed_whole_though_a_tenth_is_lost_each_way"),
    ("a mebibyte by pull", "a_mebibyte_is_pulled_whole_though_a_tenth_is_lost_each_way"),
];

#[test]
fn everything_that_was_to_be_shown_has_its_test() {
    for (what, test) in CLIENTS.iter().chain(FIRST).chain(VECTORS) {
        let function = format!("#[test]\nfn {test}()");
        let indented = format!("#[test]\n    fn {test}()");
        let found = SOURCES.iter().any(|source| source.contains(&function) || source.contains(&indented));
        assert!(found, "{what}: no test {test}");
    }
    // The vectors themselves stand in the sources.
    let bytes = ["A1 82 19 0CE7 00 A2 19 1644 FA 41A40000", "A1 19 0CE7 A1 00 A1 19 1644 FA 41A40000"];
    for vector in bytes
        .into_iter()
        .chain(["A1 83 03 00 07 A2 00 19 0ED8 01 19 1388", "BF 83 03 00 00 65 416E6A6179 FF"])
    {
        assert!(SOURCES.iter().any(|source| source.contains(vector)), "{vector}");
    }
}
