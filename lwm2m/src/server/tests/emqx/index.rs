//! Which test shows which case of EMQX's three LwM2M suites. Tests bear the cases' own names where they are here; what
//! a codec or the catalog shows has its test there. What needs a part of the gateway beyond this crate is said so.

/// Where the tests are.
const SOURCES: &[&str] = &[
    include_str!("api.rs"),
    include_str!("observe.rs"),
    include_str!("read.rs"),
    include_str!("register.rs"),
    include_str!("robust.rs"),
    include_str!("write.rs"),
    include_str!("../../topics.rs"),
    include_str!("../../../catalog/tests.rs"),
    include_str!("../../../command/tests.rs"),
    include_str!("../../../content/tlv_tests.rs"),
];

/// Cases whose test has another name, or is shared.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("case102_mountpoint_peerhost_api", "case102_mountpoint"),
    ("case110_xml_object_helpers", "the_core_knows_every_object_in_little_memory"),
    ("case123_tlv_internal", "long_values_take_wider_lengths_and_ids_wider_numbers"),
    ("case124_cmd_code_internal", "every_code_has_its_names_in_both_forms"),
    ("case127_channel_internal_branches", "case112_channel_unexpected_messages"),
    ("case128_session_internal_branches", "case128_session_internal_branches_only_alternate_link"),
    ("case122_connect_hook_error", "case119_open_session_error"),
    ("case144_blockwise_consume_only", "case143_blockwise_busy_no_context"),
    ("case148_blockwise_downlink_limit_drains_queue", "case149_blockwise_busy_resumes_after_expiry"),
    ("case150_blockwise_abort_resumes_pending", "case149_blockwise_busy_resumes_after_expiry"),
    (
        "case151_active_blockwise_downlink_expiry_resumes_pending",
        "case149_blockwise_busy_resumes_after_expiry",
    ),
    ("case153_blockwise_reset_resumes_pending", "case149_blockwise_busy_resumes_after_expiry"),
    (
        "case154_blockwise_retransmission_failure_resumes_pending",
        "case149_blockwise_busy_resumes_after_expiry",
    ),
    ("t_lookup_discover_empty_object_list", "t_lookup_content_empty"),
    ("t_observe_enable", "t_observe"),
    ("emqx_tlv case01", TLV),
    ("emqx_tlv case02", TLV),
    ("emqx_tlv case03", TLV),
    ("emqx_tlv case03_0", TLV),
    ("emqx_tlv case04", TLV),
    ("emqx_tlv case05", TLV),
    ("emqx_tlv case06", TLV),
    ("emqx_tlv case07", TLV),
    ("emqx_tlv case08", TLV),
    ("emqx_tlv case09", TLV),
];

const TLV: &str = "the_examples_of_the_specification_read_and_write_byte_for_byte";

/// Cases whose test has their own name.
const OWN_NAMES: &[&str] = &[
    "case01_register",
    "case01_update_not_restart_listener",
    "case01_register_additional_opts",
    "case01_register_incorrect_opts",
    "case01_register_report",
    "case02_update_deregister",
    "case02_update_no_lt",
    "case02_update_lifetime_zero",
    "case02_update_publish_condition",
    "case03_register_wrong_version",
    "case03_register_missing_version",
    "case03_register_version_1_1",
    "case04_register_and_lifetime_timeout",
    "case05_register_wrong_epn",
    "case06_register_wrong_lifetime",
    "case07_register_alternate_path_01",
    "case07_register_alternate_path_02",
    "case07_register_alternate_path_unprefixed",
    "case08_reregister",
    "case09_auto_observe",
    "case09_auto_observe_list",
    "case09_auto_observe_list_intersection",
    "case09_auto_observe_list_no_intersection",
    "case09_auto_observe_list_explicit_ignored",
    "case09_auto_observe_list_multi_order",
    "case113_request_invalid_paths",
    "case117_auth_failure",
    "case119_open_session_error",
    "case120_post_missing_uri_path",
    "case121_delete_missing_uri_path",
    "case133_mountpoint_peerhost_placeholder",
    "case134_auto_observe_empty_list",
    "case145_auto_observe_normalize_edges",
    "case136_update_publish_condition_legacy",
    "case10_read",
    "case10_read_bad_request",
    "case10_read_separate_ack",
    "case11_read_object_tlv",
    "case11_read_object_json",
    "case12_read_resource_opaque",
    "case13_read_no_xml",
    "case14_read_text_types",
    "case15_read_tlv_types",
    "case16_read_tlv_object_instances",
    "case17_read_invalid_tlv",
    "case18_read_error_codes",
    "case19_read_text_invalid_basename",
    "case20_read_tlv_variants",
    "case20_write",
    "case20_single_write",
    "case21_write_object",
    "case22_write_error",
    "case23_write_multi_resource_instance",
    "case24_write_content_response",
    "case25_write_invalid_json",
    "case26_write_object_instance_mixed",
    "case27_write_hex_encoding",
    "case27_write_hex_encoding_invalid",
    "case129_write_hex_encoding",
    "case_create_basic",
    "case_create_with_content",
    "case_delete_basic",
    "case30_execute",
    "case31_execute_error",
    "case114_execute_args_undefined",
    "case40_discover",
    "case41_discover_error",
    "case50_write_attribute",
    "case51_write_attr_error",
    "case60_observe",
    "case61_observe_error",
    "case62_cancel_observe_error",
    "case63_observe_notify_object5",
    "case64_coap_reset",
    "case90_psm_mode",
    "case90_queue_mode",
    "case112_channel_unexpected_messages",
    "case116_command_headers",
    "case116_command_headers_invalid_mheaders",
    "case125_message_internal_errors",
    "case126_message_insert_resource",
    "case137_cmd_error_paths",
    "case138_blockwise_downlink_busy",
    "case139_block2_publish_once",
    "case140_block2_auto_tx_response",
    "case141_channel_blockwise_server_paths",
    "case142_clear_blockwise_downlink",
    "case143_blockwise_busy_no_context",
    "case146_deliver_unsupported_msg_type",
    "case147_cleanup_lwm2m_channels",
    "case149_blockwise_busy_resumes_after_expiry",
    "t_lookup_read",
    "t_lookup_discover",
    "t_lookup_discover_unknown_object",
    "t_lookup_discover_obj_instance",
    "t_lookup_operations_e",
    "t_lookup_content_empty",
    "t_lookup_missing_client",
    "t_observe",
    "t_read",
    "t_write",
    "t_send_cmd_missing_client",
];

/// Cases of settings: their tests have the cases' names and run the program, in this file. The crate of all tests
/// looks whether they are there.
const IN_THE_PROGRAM: &[(&str, &str)] = &[
    ("case111_gateway_error_paths", "gateway/tests/serve/lwm2m_settings.rs"),
    ("case132_coap_max_block_size", "gateway/tests/serve/lwm2m_settings.rs"),
];

/// Cases whose subject is not in this crate, or that the gateway does not have.
const ELSEWHERE: &[(&str, &str)] = &[
    ("case01_auth_expire", "credentials come with authentication"),
    ("case118_authorize_denied", "access rules come with authorization"),
    ("case148_subscribe_mountpoint_after_authorization", "access rules come with authorization"),
    (
        "case103_mountpoint_from_authn_client_attrs",
        "no authentication service exists, so none tells attributes",
    ),
    ("case100_clients_api", "HTTP interface"),
    ("case100_subscription_api", "HTTP interface"),
    ("case115_cmd_record_overflow", "there are no records of commands to overflow"),
    ("t_observe_enable_numeric", "HTTP interface: spellings of a query parameter"),
    ("t_observe_enable_types", "HTTP interface: spellings of a query parameter"),
];

#[test]
fn every_case_has_its_test() {
    let own = OWN_NAMES.iter().map(|case| (*case, *case));
    let all: Vec<(&str, &str)> = own.chain(OTHER_NAMES.iter().copied()).collect();
    for (case, test) in &all {
        let function = format!("#[test]\nfn {test}()");
        assert!(SOURCES.iter().any(|source| source.contains(&function)), "{case}: no test {test}");
    }
    let mut names: Vec<&str> = all.iter().map(|(case, _)| *case).collect();
    names.extend(ELSEWHERE.iter().chain(IN_THE_PROGRAM).map(|(case, _)| *case));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a case is named twice");
}

/// A test that no list names shows a case that nobody finds.
#[test]
fn every_test_here_is_in_the_lists() {
    let own: Vec<&str> =
        SOURCES[..6].iter().flat_map(|source| source.split("#[test]\nfn ").skip(1)).collect();
    for test in own.iter().filter_map(|rest| rest.split('(').next()) {
        let listed = OWN_NAMES.contains(&test) || OTHER_NAMES.iter().any(|(_, name)| *name == test);
        assert!(listed || test == "t_read_of_a_device_that_is_gone", "{test}");
    }
}
