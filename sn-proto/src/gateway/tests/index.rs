//! Which test shows which behaviour: the test list of EMQX's gateway by its own names, and the verdicts where peers
//! disagree or real clients need something. What waits for another part of the gateway is said by name.

/// All test files of the gateway.
const SOURCES: &[&str] = &[
    include_str!("clients.rs"),
    include_str!("connect.rs"),
    include_str!("deliver.rs"),
    include_str!("first_light.rs"),
    include_str!("hostile.rs"),
    include_str!("lossy.rs"),
    include_str!("lossy_many.rs"),
    include_str!("places.rs"),
    include_str!("publish.rs"),
    include_str!("restart.rs"),
    include_str!("sleep.rs"),
    include_str!("table.rs"),
    include_str!("topics.rs"),
    include_str!("will.rs"),
    include_str!("workers.rs"),
    include_str!("../../wire/tests.rs"),
    include_str!("../../discovery.rs"),
];

/// Tests of EMQX's protocol suite, and ours that shows the same (or what is right instead).
const EMQX: &[(&str, &str)] = &[
    ("t_connect", "t_connect_is_accepted_from_any_socket_with_and_without_a_will"),
    ("t_duplicate_connect", "t_duplicate_connect_is_answered_again_and_the_session_kept"),
    ("t_disconnect_during_will_handshake", "t_disconnect_during_will_handshake_ends_it"),
    ("t_register_during_will_handshake", "t_register_and_publish_and_subscribe_during_will_handshake_end_it"),
    ("t_publish_during_will_handshake", "t_register_and_publish_and_subscribe_during_will_handshake_end_it"),
    ("t_willmsg_before_willtopic", "t_willmsg_before_willtopic_ends_the_handshake"),
    ("t_first_disconnect", "t_first_disconnect_of_a_stranger_is_answered"),
    ("t_subscribe", "t_subscribe_by_name_assigns_an_id_and_ends_with_unsubscribe"),
    ("t_subscribe_case01", "t_subscribe_case01_register_and_subscribe_give_the_same_id"),
    ("t_subscribe_case02", "t_subscribe_case02_register_of_a_predefined_name_gives_an_id_that_works"),
    ("t_subscribe_case03", "t_subscribe_case03_a_short_name_has_no_id"),
    (
        "t_subscribe_case04",
        "t_subscribe_case04_a_predefined_name_subscribed_by_name_is_delivered_with_a_normal_id",
    ),
    ("t_subscribe_case05", "t_subscribe_case05_filters_have_id_0_and_names_ids_in_sequence"),
    ("t_subscribe_case06", "t_subscribe_case06_register_of_a_filter_is_refused"),
    ("t_subscribe_case07", "t_subscribe_case07_an_unknown_predefined_id_is_refused"),
    ("t_subscribe_case08", "t_subscribe_case08_reserved_and_malformed_topics_are_refused"),
    (
        "t_subscribe_predefined_topic",
        "t_subscribe_predefined_topic_uses_the_predefined_id_while_it_is_configured",
    ),
    ("t_publish_negqos_enabled", "t_publish_negqos_enabled_a_connected_client_may_use_qos_minus_one"),
    ("t_publish_negqos_disabled", "t_publish_negqos_disabled_is_dropped_silently"),
    ("t_publish_mountpoint", "t_publish_mountpoint_is_put_before_a_clients_topics_and_taken_off_again"),
    ("t_publish_qos0_case01", "t_publish_qos0_case01_predefined_both_ways"),
    (
        "t_publish_qos0_case02",
        "t_publish_qos0_case02_predefined_publish_reaches_a_name_subscriber_by_its_normal_id",
    ),
    ("t_publish_qos0_case3", "t_publish_qos0_case3_predefined_flag_with_a_normal_id"),
    ("t_publish_qos0_case05", "t_publish_qos0_case05_a_short_filter_may_be_subscribed"),
    ("t_publish_qos0_case06", "t_publish_qos0_case06_a_normal_id_is_delivered_with_msg_id_0"),
    ("t_publish_qos1_case01", "t_publish_qos1_case01_puback_goes_before_the_echo"),
    ("t_publish_qos1_case02", "t_publish_qos1_case02_to_06_return_codes"),
    ("t_publish_qos1_case03", "t_publish_qos1_case02_to_06_return_codes"),
    ("t_publish_qos1_case04", "t_publish_qos1_case02_to_06_return_codes"),
    ("t_publish_qos1_case05", "t_publish_qos1_case02_to_06_return_codes"),
    ("t_publish_qos1_case06", "t_publish_qos1_case02_to_06_return_codes"),
    ("t_publish_qos2_case01", "t_publish_qos2_case01_to_03_the_echo_comes_before_pubcomp"),
    ("t_publish_qos2_case02", "t_publish_qos2_case01_to_03_the_echo_comes_before_pubcomp"),
    ("t_publish_qos2_case03", "t_publish_qos2_case01_to_03_the_echo_comes_before_pubcomp"),
    (
        "t_delivery_qos1_register_invalid_topic_id",
        "t_delivery_qos1_register_invalid_topic_id_registers_again_and_resends",
    ),
    ("t_will_case01", "t_will_case01_a_lost_client_leaves_its_will_and_hears_disconnect"),
    ("t_will_publish_denied_by_authz", "a_will_that_the_acl_denies_is_not_published"),
    ("t_will_publish_allowed_by_authz", "t_will_case01_a_lost_client_leaves_its_will_and_hears_disconnect"),
    ("t_will_test2", "t_will_test2_qos_2_and_retain_are_the_wills_own"),
    ("t_will_test3", "t_will_test3_an_empty_willtopic_is_no_will"),
    ("t_will_test4", "t_will_test4_topic_and_message_are_updated_apart"),
    ("t_will_test5", "t_will_test5_an_empty_willtopicupd_deletes_topic_and_message"),
    ("t_willmsgupd_without_will_topic", "t_willmsgupd_without_will_topic_is_refused"),
    ("t_will_case06", "t_will_case06_with_clean_session_off_the_session_is_parked"),
    ("t_takeover_on_udp_port_reuse", "t_takeover_on_udp_port_reuse_starts_a_session_of_its_own"),
    (
        "t_disconnected_same_proxy_same_clientid_reconnect",
        "t_disconnected_same_proxy_same_clientid_reconnect_works_at_once",
    ),
    (
        "t_disconnected_same_source_tuple_reused_by_other_clientid",
        "t_disconnected_same_source_tuple_reused_by_other_clientid_keeps_the_parked_session",
    ),
    ("t_asleep_test01_timeout", "t_asleep_test01_timeout_publishes_the_will_and_sends_nothing"),
    ("t_asleep_test02_to_awake_and_back", "t_asleep_test02_to_awake_and_back_with_nothing_buffered"),
    (
        "t_asleep_test03_to_awake_qos1_dl_msg",
        "t_asleep_test03_and_05_buffered_messages_come_one_by_one_before_pingresp",
    ),
    (
        "t_asleep_pingreq_after_source_tuple_change",
        "t_asleep_pingreq_after_source_tuple_change_moves_the_session",
    ),
    (
        "t_connected_pingreq_after_source_tuple_change",
        "t_connected_pingreq_after_source_tuple_change_is_a_strangers",
    ),
    (
        "t_asleep_same_source_tuple_reused_by_other_clientid",
        "t_asleep_same_source_tuple_reused_by_other_clientid_keeps_the_sleeper",
    ),
    (
        "t_connected_same_source_tuple_reused_by_other_clientid",
        "t_connected_same_source_tuple_reused_lets_the_silent_one_be_lost",
    ),
    (
        "t_awake_same_source_tuple_reused_by_other_clientid",
        "t_awake_same_source_tuple_reused_by_other_clientid",
    ),
    (
        "t_connected_clean_session_false_same_source_tuple_reused_preserves_session",
        "t_connected_clean_session_false_same_source_tuple_reused_preserves_session",
    ),
    ("t_asleep_test04", "t_asleep_test04_a_filter_needs_regack_before_publish_also_when_awake"),
    ("t_asleep_test05", "t_asleep_test03_and_05_buffered_messages_come_one_by_one_before_pingresp"),
    ("t_asleep_test06", "t_asleep_test06_pingresp_waits_for_pubcomp"),
    ("t_asleep_test07", "t_asleep_test07_connect_ends_the_sleep_and_keeps_subscriptions_and_buffer"),
    ("t_asleep_test08", "t_asleep_test08_disconnect_ends_the_sleep_without_will"),
    ("t_asleep_test09", "t_asleep_test09_what_was_acknowledged_is_not_sent_at_the_next_wake_up"),
    ("t_awake_test01_to_connected", "t_awake_test01_connect_while_awake_goes_on_with_the_burst"),
    ("t_awake_test02_to_disconnected", "t_awake_test02_disconnect_while_awake"),
    ("t_broadcast_test1", "t_broadcast_test1_a_unicast_search_is_answered_to_the_searcher"),
    ("t_register_subs_resume_on", "t_register_subs_resume_on_tells_each_id_again_before_its_first_message"),
    (
        "t_register_subs_resume_on_same_source_tuple",
        "t_register_subs_resume_on_tells_each_id_again_before_its_first_message",
    ),
    ("t_register_subs_resume_off", "t_register_subs_resume_off_publishes_at_once_and_corrects"),
    ("t_register_skip_failure_topic_name_and_reach_max_retry_times", "t_register_skip_failure_topic_name"),
    (
        "t_register_enqueue_delivering_messages",
        "t_register_subs_resume_on_tells_each_id_again_before_its_first_message",
    ),
];

/// More of what EMQX tests: the second half of a test above, and what its other suites show.
const EMQX_BESIDE: &[(&str, &str)] = &[
    (
        "t_register_skip_failure_topic_name_and_reach_max_retry_times (silence)",
        "t_register_reach_max_retry_times_parks_the_message_and_keeps_the_session",
    ),
    ("t_pub_sub_allowed_by_ipaddr_rule (the delivery)", "t_pub_sub_short_name_to_a_filter_needs_no_register"),
    (
        "t_publish_negqos_idle (its identity)",
        "t_publish_negqos_of_a_stranger_goes_under_an_identity_of_its_own",
    ),
    ("t_publish_negqos_idle (its access rules)", "t_publish_negqos_goes_through_the_acl"),
    (
        "registry: ids never again in a session",
        "t_subscribe_case05_filters_have_id_0_and_names_ids_in_sequence",
    ),
    ("registry: t_reach_maximum", "a_client_has_room_for_so_many_topics_and_then_hears_congestion"),
    ("frame: t_random_test", "mutated_sessions_break_nothing"),
    (
        "cluster: t_asleep_pingreq_reroutes_across_nodes_and_retires_old_proxy",
        "a_sleeper_wakes_at_another_worker",
    ),
];

/// Protocol tests of that suite that come with the security of the gateway: DTLS, credentials for each client, access
/// rules by address.
const LATER_SECURITY: &[&str] = &[
    "t_connect_dtls",
    "t_publish_negqos_idle_requires_authn",
    "t_publish_negqos_idle_allows_authn",
    "t_publish_negqos_idle_rejects_bad_authn_in_hardened_profile",
    "t_pub_sub_allowed_by_ipaddr_rule",
    "t_publish_mountpoint_from_authn_client_attrs",
];

/// Where peers disagree: what is right, and the test that holds us to it.
const VERDICTS: &[(&str, &str)] = &[
    (
        "1 CONNECT repeated while connected: CONNACK",
        "t_duplicate_connect_is_answered_again_and_the_session_kept",
    ),
    (
        "2 topic ids stay on a Clean=0 reconnect",
        "t_register_subs_resume_on_tells_each_id_again_before_its_first_message",
    ),
    ("3 PUBLISH waits for REGACK", "a_wildcard_subscriber_is_told_each_topic_before_its_first_message"),
    ("4 PINGRESP last", "t_asleep_test03_and_05_buffered_messages_come_one_by_one_before_pingresp"),
    ("5 will when a sleep expires", "t_asleep_test01_timeout_publishes_the_will_and_sends_nothing"),
    ("6 no will on DISCONNECT", "the_will_is_part_of_a_persistent_session"),
    ("7 SUBACK id of a short name is a setting", "a_short_name_in_suback_is_a_setting"),
    ("8 a topic of one octet cannot be short", "the_id_type_of_a_delivery_is_the_one_subscribed_with"),
    (
        "9 predefined delivery to a name subscriber",
        "t_subscribe_case04_a_predefined_name_subscribed_by_name_is_delivered_with_a_normal_id",
    ),
    ("10 RETAIN only at SUBSCRIBE", "retained_messages_follow_the_suback_with_their_flag"),
    ("11 DUP on retransmission", "a_message_is_sent_again_with_dup_and_then_parked"),
    ("12 WILLTOPICUPD, WILLMSGUPD", "t_will_test4_topic_and_message_are_updated_apart"),
    ("13 unknown and short frames are dropped", "garbage_in_every_state_is_dropped"),
    ("14 forwarder encapsulation", "nodes_behind_a_forwarder_are_clients_of_their_own"),
    (
        "15 GWINFO where the search was heard",
        "a_search_on_a_group_is_answered_to_the_group_with_its_radius_as_ttl",
    ),
    ("16 keep-alive times 1.5", "a_silent_device_is_lost_after_one_and_a_half_keep_alives"),
    ("17 PUBACK rc 2 at any QoS", "t_publish_qos1_case02_to_06_return_codes"),
    ("18 PUBACK echoes the id", "t_publish_qos1_case02_to_06_return_codes"),
    (
        "19 PINGREQ(id) from a new address moves a sleeper",
        "t_asleep_pingreq_after_source_tuple_change_moves_the_session",
    ),
    ("20 bounded retransmission, then parked", "a_message_is_sent_again_with_dup_and_then_parked"),
    ("21 a sleeper's messages are kept until it acks", "what_was_in_flight_comes_again_at_the_wake_up"),
    ("22 long client ids", "refusals_of_connect_say_why"),
    ("23 a bad ClientId is refused before the will prompts", "refusals_of_connect_say_why"),
];

/// What real clients need of a gateway.
const CLIENTS: &[(&str, &str)] = &[
    ("1 replies from the address that was hit", "answers_leave_from_the_address_that_was_hit"),
    ("2 every duplicate is answered again", "copies_do_not_break_the_will_handshake"),
    ("3 the 1-octet form up to 255", "the_one_octet_form_is_used_up_to_255_octets"),
    ("4 unused flag bits are ignored", "unused_flag_bits_and_a_msg_id_at_qos_0_are_ignored"),
    ("5 acks are matched by MsgId", "a_regack_with_a_wrong_topic_id_is_matched_by_its_msg_id"),
    ("6 MsgId 0", "msg_id_0_is_accepted_everywhere"),
    (
        "7 rc 2 registers again, rc 1 waits, rc 3 ends",
        "a_refusal_by_rc3_ends_the_message_and_rc1_makes_it_wait",
    ),
    ("8 bounded retries, no stall", "a_client_that_never_acks_gets_all_its_qos_0_messages"),
    (
        "9 DISCONNECT is always two octets, and repeated",
        "a_repeated_disconnect_with_duration_is_answered_and_sets_the_timer_anew",
    ),
    ("10 PINGREQ by address and by ClientId", "pingreq_without_client_id_from_the_known_address_wakes_too"),
    ("11 no unicast ADVERTISE", "the_gateway_says_nothing_unasked_to_an_idle_client"),
    ("12 no PINGREQ of the gateway's", "the_gateway_says_nothing_unasked_to_an_idle_client"),
    ("13 PINGRESP after the last handshake", "t_asleep_test06_pingresp_waits_for_pubcomp"),
    ("14 SUBACK before retained", "retained_messages_follow_the_suback_with_their_flag"),
    ("15 PUBACK before the echo", "t_publish_qos1_case01_puback_goes_before_the_echo"),
    ("16 id ranges that do not overlap", "a_normal_id_with_type_predefined_works_in_publish_and_subscribe"),
    ("17 empty payloads", "an_empty_message_that_a_client_never_acks_stops_nothing_for_ever"),
    ("18 client ids up to 255 octets", "client_ids_may_hold_all_but_nul_and_bad_utf8"),
    ("19 topic names are checked", "t_subscribe_case06_register_of_a_filter_is_refused"),
    ("20 a will is octets", "a_will_message_is_octets"),
];

/// The table of states and messages, cell by cell and beside it.
const STATES: &[(&str, &str)] = &[
    ("every cell", "every_message_in_every_state_has_its_answer"),
    ("the rules say the same", "the_table_of_rules_says_the_same"),
    ("U: parked, lost, gone", "the_address_of_a_session_that_is_parked_lost_or_gone_is_a_strangers"),
    (
        "H beside a live session",
        "beside_a_live_session_a_request_ends_the_handshake_and_the_live_state_answers",
    ),
    ("H: time-out", "a_handshake_that_is_not_finished_leaves_nothing"),
    (
        "CONNECT of another ClientId (rule 3)",
        "another_client_id_at_the_address_of_one_in_any_state_gets_a_session_of_its_own",
    ),
    ("signs of life", "every_message_of_an_active_client_is_a_sign_of_life"),
    ("signs of life of a sleeper", "every_request_of_a_sleeper_sets_its_timer_anew"),
    ("dropped and counted", "what_means_nothing_is_counted"),
    ("malformed", "garbage_in_every_state_is_dropped"),
];

/// Clients that are in use, byte for byte.
const SCRIPTS: &[(&str, &str)] = &[
    ("mqtt-sn-tools", "mqtt_sn_tools_publishes_and_subscribes"),
    ("mqtt-sn-tools --fe", "mqtt_sn_tools_behind_its_own_encapsulation"),
    ("mqtt-sn-12", "mqtt_sn_12_subscribes_and_acknowledges_nothing"),
    ("mqtt-sn-12, wills", "mqtt_sn_12_leaves_a_will_and_changes_it"),
    ("mqttsn", "mqttsn_leaks_flags_and_never_pings"),
    ("RIOT emcute", "emcute_repeats_its_requests_and_refuses_dup"),
    ("RIOT asymcute", "asymcute_swaps_octets_and_lives_on"),
    ("Zephyr", "zephyr_pipelines_and_ignores_empty_messages"),
    ("Paho GatewayTester", "paho_gateway_tester_runs_through_its_steps"),
    ("Paho GatewayTester -f", "paho_gateway_tester_in_forwarder_mode"),
    ("Paho samples", "paho_samples_connect_as_they_like"),
    ("cc.mqttsn.libs", "cc_mqttsn_needs_dup_in_qos_2"),
    ("simon622/mqtt-sn", "simon622_forgets_its_ids_when_it_sleeps"),
    ("LMqttsn", "lmqttsn_publishes_from_sleep_by_a_connect"),
    ("wolfMQTT, nRF5", "nrf5_hears_nothing_that_it_does_not_wait_for"),
];

#[test]
fn every_behaviour_has_its_test() {
    let mut names: Vec<&str> =
        EMQX.iter().map(|(name, _)| *name).chain(LATER_SECURITY.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), VERDICTS.len(), CLIENTS.len()), (76, 23, 20));
    let lists = [EMQX, EMQX_BESIDE, VERDICTS, CLIENTS, STATES, SCRIPTS];
    for (behaviour, test) in lists.into_iter().flatten() {
        let function = format!("fn {test}(");
        assert!(SOURCES.iter().any(|source| source.contains(&function)), "{behaviour}: no test {test}");
    }
    for name in LATER_SECURITY {
        assert!(EMQX.iter().all(|(other, _)| other != name), "{name} is here and later");
    }
}
