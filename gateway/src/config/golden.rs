//! What the operator reads after each of the usual mistakes, to the letter.

use std::ffi::OsString;

use super::load::load_with_text;
use super::tests::sources;
use super::{Argument, Sources};

/// The text of `t.toml`, and all that is said about it.
type InFile = (&'static str, &'static str, &'static str);

const IN_A_FILE: &[InFile] = &[
    (
        "a_typo_in_a_key",
        "mqtt.prot = 1883\n",
        r#"
t.toml:1:6: error: unknown key mqtt.prot
  rule: only keys of the schema are allowed
  try:  mqtt.port"#,
    ),
    (
        "a_typo_in_a_secret_key",
        "mqtt.sn.pasword = \"hunter2\"\n",
        r#"
t.toml:1:9: error: unknown key mqtt.sn.pasword
  rule: only keys of the schema are allowed
  try:  mqtt.sn.password"#,
    ),
    (
        "a_key_of_another_product",
        "allow_anonymous = true\n",
        r#"
t.toml:1:1: error: unknown key allow_anonymous
  rule: only keys of the schema are allowed
  try:  `turnstone config init` lists every key"#,
    ),
    (
        "an_unknown_section",
        "[mqtts]\nport = 8883\n",
        r#"
t.toml:1:2: error: unknown section mqtts
  rule: only keys of the schema are allowed
  try:  [mqtt]"#,
    ),
    (
        "a_section_that_is_a_key",
        "[mqtt.port]\nnumber = 1883\n",
        r#"
t.toml:1:1: error: mqtt.port = { ... } is a table, not a whole number
  rule: a port number from 1 to 65535
  try:  mqtt.port = 1883"#,
    ),
    (
        "a_key_that_is_a_section",
        "mqtt = 1883\n",
        r#"
t.toml:1:1: error: mqtt is a section, not a key
  rule: a section is written [NAME], its keys below it, or NAME.KEY = VALUE
  try:  [mqtt]"#,
    ),
    (
        "a_section_as_a_list",
        "[[lwm2m]]\nport = 5683\n",
        r#"
t.toml:1:3: error: lwm2m is a section, not a key
  rule: a section is written [NAME], its keys below it, or NAME.KEY = VALUE
  try:  [lwm2m]"#,
    ),
    (
        "a_dotted_name_below_a_header",
        "[log]\nlevel = \"info\"\nmqtt.sn.port = 1884\n",
        r#"
t.toml:3:1: error: unknown section log.mqtt
  rule: below a [header] names are taken from that header on
  try:  the mqtt. names above the first [header]"#,
    ),
    (
        "a_quoted_dotted_name",
        "\"mqtt.port\" = 1883\n",
        r#"
t.toml:1:1: error: "mqtt.port" is one quoted name
  rule: dotted keys stand without quotes
  try:  mqtt.port"#,
    ),
    (
        "a_word_without_quotes",
        "mqtt.sn.enable_qos3 = off\n",
        r#"
t.toml:1:23: error: not TOML: string values must be quoted, expected literal string
  rule: the file is TOML 1.0 (toml.io)
  try:  mqtt.sn.enable_qos3 = false"#,
    ),
    (
        "a_boolean_in_quotes",
        "mqtt.sn.enable_qos3 = \"on\"\n",
        r#"
t.toml:1:23: error: mqtt.sn.enable_qos3 = "on" is a text, not true or false
  rule: true or false, without quotes
  try:  mqtt.sn.enable_qos3 = true"#,
    ),
    (
        "a_number_in_quotes",
        "mqtt.sn.gateway_id = \"7\"\n",
        r#"
t.toml:1:22: error: mqtt.sn.gateway_id = "7" is a text, not a whole number
  rule: a whole number from 1 to 255
  try:  mqtt.sn.gateway_id = 7"#,
    ),
    (
        "a_text_without_quotes",
        "log.level = debug\n",
        r#"
t.toml:1:13: error: not TOML: string values must be quoted, expected literal string
  rule: the file is TOML 1.0 (toml.io)
  try:  log.level = "debug""#,
    ),
    (
        "port_zero",
        "mqtt.sn.port = 0\n",
        r#"
t.toml:1:16: error: mqtt.sn.port = 0 is out of range
  rule: a port number from 1 to 65535
  try:  mqtt.sn.port = 1884"#,
    ),
    (
        "a_port_above_65535",
        "lwm2m.port = 70000\n",
        r#"
t.toml:1:14: error: lwm2m.port = 70000 is out of range
  rule: a port number from 1 to 65535
  try:  lwm2m.port = 5683"#,
    ),
    (
        "an_address_where_a_port_is_meant",
        "mqtt.sn.port = \"0.0.0.0:1884\"\n",
        r#"
t.toml:1:16: error: mqtt.sn.port = "0.0.0.0:1884" is a text, not a whole number
  rule: a port number from 1 to 65535
  try:  mqtt.sn.port = 1884"#,
    ),
    (
        "a_gateway_id_out_of_range",
        "mqtt.sn.gateway_id = 256\n",
        r#"
t.toml:1:22: error: mqtt.sn.gateway_id = 256 is out of range
  rule: a whole number from 1 to 255
  try:  mqtt.sn.gateway_id = 1"#,
    ),
    (
        "a_key_set_twice",
        "mqtt.port = 1883\nmqtt.port = 1884\n",
        r#"
t.toml:2:6: error: mqtt.port is set a second time
  rule: each key and each [section] stands once; a section begun with dotted keys goes on with them
  try:  remove one of the two, or write both with their full dotted names"#,
    ),
    (
        "a_section_begun_with_dots_and_then_a_header",
        "mqtt.sn.port = 1884\n\n[mqtt]\nport = 1883\n",
        r#"
t.toml:3:2: error: [mqtt] is set a second time
  rule: each key and each [section] stands once; a section begun with dotted keys goes on with them
  try:  remove one of the two, or write both with their full dotted names"#,
    ),
    (
        "a_missing_equals_sign",
        "mqtt.port 1883\n",
        r#"
t.toml:1:11: error: not TOML: key with no value, expected `=`
  rule: the file is TOML 1.0 (toml.io)
  try:  write KEY = VALUE, one on a line: mqtt.port = 1883, log.level = "info", mqtt.bind = ["::1"]"#,
    ),
    (
        "a_missing_value",
        "mqtt.port =\n",
        r#"
t.toml:1:12: error: not TOML: a key without a value
  rule: the file is TOML 1.0 (toml.io)
  try:  write KEY = VALUE, one on a line: mqtt.port = 1883, log.level = "info", mqtt.bind = ["::1"]"#,
    ),
    (
        "an_unclosed_text",
        "log.level = \"info\nmqtt.port = 1883\n",
        r#"
t.toml:1:18: error: not TOML: invalid basic string, expected `"`
  rule: the file is TOML 1.0 (toml.io)
  try:  close the quotes: KEY = "text""#,
    ),
    (
        "an_unclosed_list",
        "mqtt.bind = [\"127.0.0.1\", \"::1\"\nmqtt.port = 1883\n",
        r#"
t.toml:1:13: error: not TOML: missing comma between array elements, expected `,`
  rule: the file is TOML 1.0 (toml.io)
  try:  ["one", "two"]: a comma between the items and a ] at the end"#,
    ),
    (
        "an_unclosed_header",
        "[mqtt\nport = 1883\n",
        r#"
t.toml:1:6: error: not TOML: unclosed table, expected `]`
  rule: the file is TOML 1.0 (toml.io)
  try:  write KEY = VALUE, one on a line: mqtt.port = 1883, log.level = "info", mqtt.bind = ["::1"]"#,
    ),
    (
        "predefined_topic_zero",
        "mqtt.sn.predefined.topic.0 = \"/predefined/topic/name/hello\"\n",
        r#"
t.toml:1:30: error: mqtt.sn.predefined.topic.0 = "/predefined/topic/name/hello" stands under a reserved topic id
  rule: KEY.N = "topic/name", N from 1 to 65534 (0 is reserved), the name without + and #
  try:  mqtt.sn.predefined.topic.1 = "sensors/temperature""#,
    ),
    (
        "a_predefined_topic_without_a_number",
        "mqtt.sn.predefined.topic.hello = \"/name\"\n",
        r#"
t.toml:1:34: error: mqtt.sn.predefined.topic.hello = "/name" stands under a name that is no topic id
  rule: KEY.N = "topic/name", N from 1 to 65534 (0 is reserved), the name without + and #
  try:  mqtt.sn.predefined.topic.1 = "sensors/temperature""#,
    ),
    (
        "a_predefined_topic_with_a_wildcard",
        "mqtt.sn.predefined.topic.7 = \"sensors/#\"\n",
        r#"
t.toml:1:30: error: mqtt.sn.predefined.topic.7 = "sensors/#" is no topic name: wildcard in a topic name
  rule: KEY.N = "topic/name", N from 1 to 65534 (0 is reserved), the name without + and #
  try:  mqtt.sn.predefined.topic.7 = "sensors/temperature""#,
    ),
    (
        "an_empty_predefined_topic",
        "mqtt.sn.predefined.topic.7 = \"\"\n",
        r#"
t.toml:1:30: error: mqtt.sn.predefined.topic.7 = "" is no topic name: empty
  rule: KEY.N = "topic/name", N from 1 to 65534 (0 is reserved), the name without + and #
  try:  mqtt.sn.predefined.topic.7 = "sensors/temperature""#,
    ),
    (
        "a_predefined_topic_over_the_limit",
        "limits.topic_levels = 2\nmqtt.sn.predefined.topic.7 = \"a/b/c\"\n",
        r#"
t.toml:2:30: error: mqtt.sn.predefined.topic.7 is over the limits of topics: more levels than allowed
  rule: limits.topic_levels = 2, limits.topic_bytes = "1KiB"
  try:  a shorter topic name, or higher limits"#,
    ),
    (
        "a_topic_of_one_client_under_two_ids_and_under_none",
        "[mqtt.sn.predefined.client.\"a.b\"]\ntopic.1 = \"a\"\ntopic.2 = \"a\"\ntopic.0 = \"b\"\nid.3 = \"c\"\n",
        r#"
t.toml:4:11: error: mqtt.sn.predefined.client."a.b".topic.0 = "b" stands under a reserved topic id
  rule: KEY.CLIENT.topic.N = "topic/name", CLIENT the client id, in quotes unless it is of letters, digits, - and _
  try:  mqtt.sn.predefined.client."a.b".topic.1 = "meters/1/power"
t.toml:5:1: error: unknown key mqtt.sn.predefined.client."a.b".id
  rule: KEY.CLIENT.topic.N = "topic/name", CLIENT the client id, in quotes unless it is of letters, digits, - and _
  try:  mqtt.sn.predefined.client.meter-1.topic.1 = "meters/1/power"
t.toml:3:11: error: mqtt.sn.predefined.client."a.b".topic.2 = "a" has the id 1 already
  rule: a topic has one predefined id
  try:  remove one of the two ids, 1 or 2"#,
    ),
    (
        "topics_of_lwm2m_that_cannot_serve",
        "[lwm2m.topics]\ncommand = \"\"\nresponse = \"a/#\"\nup = \"dn/resp\"\n",
        r#"
t.toml:2:11: error: lwm2m.topics.command is not a topic that can serve
  rule: commands need a topic to come in by
  try:  lwm2m.topics.command = "command"
t.toml:3:12: error: lwm2m.topics.response is not a topic that can serve
  rule: a topic has no + and # in it
  try:  lwm2m.topics.response = "response"
t.toml:4:6: error: lwm2m.topics.up is not a topic that can serve
  rule: commands come in on topics of their own
  try:  lwm2m.topics.up = "up/resp""#,
    ),
    (
        "a_mount_point_without_a_slash",
        "mqtt.sn.mountpoint = \"site1\"\n",
        r#"
t.toml:1:22: error: mqtt.sn.mountpoint = "site1" is no mount point: it does not end with /
  rule: a topic prefix in quotes that ends with /, without + and #; %c is the client id and %h its IP address, each a level of its own
  try:  mqtt.sn.mountpoint = "devices/%c/""#,
    ),
    (
        "a_predefined_topic_under_two_ids",
        "[mqtt.sn.predefined.topic]\n1 = \"a\"\n2 = \"a\"\n",
        r#"
t.toml:3:5: error: mqtt.sn.predefined.topic.2 = "a" has the id 1 already
  rule: a topic has one predefined id
  try:  remove one of the two ids, 1 or 2"#,
    ),
    (
        "an_empty_address",
        "mqtt.bind = \"\"\n",
        r#"
t.toml:1:13: error: mqtt.bind = "" is empty, not an address
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  mqtt.bind = ["127.0.0.1", "::1"]"#,
    ),
    (
        "a_host_name_as_an_address",
        "mqtt.sn.bind = [\"localhost:1884\"]\n",
        r#"
t.toml:1:17: error: mqtt.sn.bind = "localhost:1884" is a name; listeners take addresses
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  mqtt.sn.bind = ["127.0.0.1:1884", "[::1]:1884"]"#,
    ),
    (
        "a_star_as_an_address",
        "lwm2m.bind = \"*\"\n",
        r#"
t.toml:1:14: error: lwm2m.bind = "*" is not an address
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  lwm2m.bind = ["0.0.0.0", "::"]"#,
    ),
    (
        "an_address_that_is_none",
        "mqtt.bind = [\"127.0.0.1\", \"300.1.1.1\"]\n",
        r#"
t.toml:1:27: error: mqtt.bind = "300.1.1.1" is not an address
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  mqtt.bind = ["127.0.0.1", "::1"]"#,
    ),
    (
        "an_address_listed_twice",
        "mqtt.bind = [\"::1\", \"::1\"]\n",
        r#"
t.toml:1:21: error: mqtt.bind = "::1" is listed twice
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  mqtt.bind = ["127.0.0.1", "::1"]"#,
    ),
    (
        "an_address_with_port_zero",
        "mqtt.bind = [\"127.0.0.1:0\"]\n",
        r#"
t.toml:1:14: error: mqtt.bind = "127.0.0.1:0" has port 0
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  mqtt.bind = ["127.0.0.1", "::1"]"#,
    ),
    (
        "a_duration_in_words",
        "mqtt.connect_timeout = \"10 seconds\"\n",
        r#"
t.toml:1:24: error: mqtt.connect_timeout = "10 seconds" is a text, not a duration
  rule: a duration from 100ms to 1h, as "30s", "15m", "1h30m", "500ms" or plain seconds
  try:  mqtt.connect_timeout = "10s""#,
    ),
    (
        "a_duration_out_of_range",
        "mqtt.sn.advertise_duration = \"20h\"\n",
        r#"
t.toml:1:30: error: mqtt.sn.advertise_duration = "20h" is out of range
  rule: a duration from 1s to 18h12m15s, as "30s", "15m", "1h30m" or plain seconds
  try:  mqtt.sn.advertise_duration = 900"#,
    ),
    (
        "a_group_that_is_one_host",
        "mqtt.sn.groups = [\"225.1.1.1\", \"192.168.1.8\", \"eth0\"]\n",
        r#"
t.toml:1:32: error: mqtt.sn.groups = "192.168.1.8" is neither a multicast nor a broadcast address
  rule: "auto", or a list of multicast or broadcast addresses, as ["225.1.1.1", "225.1.1.1%eth0:1883", "ff02::1%wpan0", "[ff03::1]:1883", "255.255.255.255"]
  try:  mqtt.sn.groups = "auto"
t.toml:1:47: error: mqtt.sn.groups = "eth0" is not an address
  rule: "auto", or a list of multicast or broadcast addresses, as ["225.1.1.1", "225.1.1.1%eth0:1883", "ff02::1%wpan0", "[ff03::1]:1883", "255.255.255.255"]
  try:  mqtt.sn.groups = "auto""#,
    ),
    (
        "a_group_without_a_listener_of_its_family",
        "mqtt.sn.bind = \"0.0.0.0\"\nmqtt.sn.groups = [\"225.1.1.1\", \"ff02::1%wpan0\"]\n",
        r#"
t.toml:2:18: error: mqtt.sn.groups: ff02::1%wpan0 has no address of its family in mqtt.sn.bind to answer from
  rule: answers on a group leave from a port of mqtt.sn.bind
  try:  "::" in mqtt.sn.bind, or ff02::1%wpan0 out of mqtt.sn.groups"#,
    ),
    (
        "a_gateway_that_stands_by_for_itself",
        "mqtt.sn.gateway_id = 7\nmqtt.sn.standby_for = 7\n",
        r#"
t.toml:2:23: error: mqtt.sn.standby_for = 7 is this gateway's own id
  rule: a gateway stands by for another one
  try:  the other one's id, or another mqtt.sn.gateway_id for this one"#,
    ),
    (
        "announcements_to_a_forwarder_that_is_not_believed",
        "mqtt.sn.advertise_to_forwarders = [\"127.0.0.9:4000\", \"10.1.1.1\"]\nmqtt.sn.forwarders = [\"10.1.0.0/16\"]\n",
        r#"
t.toml:1:54: error: mqtt.sn.advertise_to_forwarders = "10.1.1.1" has no port
  rule: a list of addresses with their ports, as ["192.0.2.7:1884", "[2001:db8::7]:1884"]
  try:  mqtt.sn.advertise_to_forwarders = ["10.1.1.1:1884"]"#,
    ),
    (
        "announcements_to_a_forwarder_that_is_not_listed",
        "mqtt.sn.advertise_to_forwarders = [\"127.0.0.9:4000\"]\nmqtt.sn.forwarders = [\"10.1.0.0/16\"]\n",
        r#"
t.toml:1:35: error: mqtt.sn.advertise_to_forwarders: 127.0.0.9 is no listed forwarder
  rule: only what mqtt.sn.forwarders lists is believed
  try:  mqtt.sn.forwarders = ["127.0.0.9"]"#,
    ),
    (
        "a_duration_of_zero_for_off",
        "mqtt.session_expiry = 0\n",
        r#"
t.toml:1:23: error: mqtt.session_expiry = 0 is no duration; to turn it off say so
  rule: a duration from 1s to 36500d, as "30s", "15m", "1h30m" or plain seconds, or "off"
  try:  mqtt.session_expiry = "off""#,
    ),
    (
        "a_fraction_of_a_second",
        "mqtt.max_keepalive = \"1500ms\"\n",
        r#"
t.toml:1:22: error: mqtt.max_keepalive = "1500ms" is not in whole seconds
  rule: a duration from 1s to 18h12m15s, as "30s", "15m", "1h30m" or plain seconds
  try:  mqtt.max_keepalive = "65535s""#,
    ),
    (
        "a_size_in_another_spelling",
        "mqtt.max_packet_size = \"2M\"\n",
        r#"
t.toml:1:24: error: mqtt.max_packet_size = "2M" is a text, not a size
  rule: a size from 128B to 256MiB, as "64KiB", "1MiB" or plain bytes
  try:  mqtt.max_packet_size = "2MiB""#,
    ),
    (
        "a_size_out_of_range",
        "mqtt.max_packet_size = \"1GiB\"\n",
        r#"
t.toml:1:24: error: mqtt.max_packet_size = "1GiB" is out of range
  rule: a size from 128B to 256MiB, as "64KiB", "1MiB" or plain bytes
  try:  mqtt.max_packet_size = "1MiB""#,
    ),
    (
        "a_number_too_large_for_any_machine",
        "limits.connections = 99999999999999999999\n",
        r#"
t.toml:1:22: error: limits.connections = 99999999999999999999 is out of range
  rule: a whole number from 1 to 1000000000
  try:  limits.connections = 200000"#,
    ),
    (
        "a_negative_number",
        "limits.inflight = -1\n",
        r#"
t.toml:1:19: error: limits.inflight = -1 is out of range
  rule: a whole number from 1 to 65535
  try:  limits.inflight = 32"#,
    ),
    (
        "a_number_with_a_fraction",
        "limits.inflight = 1.5\n",
        r#"
t.toml:1:19: error: limits.inflight = 1.5 is a number with a fraction, not a whole number
  rule: a whole number from 1 to 65535
  try:  limits.inflight = 32"#,
    ),
    (
        "a_word_that_is_not_one_of_the_choices",
        "log.level = \"warning\"\nmqtt.overlapping = \"twice\"\n",
        r#"
t.toml:1:13: error: log.level = "warning" is not one of the words
  rule: one of "error", "warn", "info", "debug", "trace"
  try:  log.level = "warn"
t.toml:2:20: error: mqtt.overlapping = "twice" is not one of the words
  rule: one of "once", "each"
  try:  mqtt.overlapping = "once""#,
    ),
    (
        "a_network_with_host_bits",
        "limits.exempt = [\"10.0.0.1/8\"]\n",
        r#"
t.toml:1:18: error: limits.exempt = "10.0.0.1/8" has bits set behind its /8
  rule: a list of networks, as ["127.0.0.0/8", "::1", "10.0.0.0/8"]
  try:  limits.exempt = ["127.0.0.0/8", "::1"]"#,
    ),
    (
        "a_network_with_a_long_prefix",
        "limits.exempt = [\"10.0.0.0/33\", \"lan\"]\n",
        r#"
t.toml:1:18: error: limits.exempt = "10.0.0.0/33" has a prefix longer than 32
  rule: a list of networks, as ["127.0.0.0/8", "::1", "10.0.0.0/8"]
  try:  limits.exempt = ["127.0.0.0/8", "::1"]
t.toml:1:33: error: limits.exempt = "lan" is not a network
  rule: a list of networks, as ["127.0.0.0/8", "::1", "10.0.0.0/8"]
  try:  limits.exempt = ["127.0.0.0/8", "::1"]"#,
    ),
    (
        "a_file_that_is_missing",
        "lwm2m.certfile = \"nope.pem\"\n",
        r#"
t.toml:1:18: error: lwm2m.certfile = "nope.pem" does not exist (looked for FOLDER/nope.pem)
  rule: the path of a file, in quotes, taken from the folder of the configuration file
  try:  lwm2m.certfile = "cert.pem""#,
    ),
    (
        "a_folder_that_is_a_file",
        "lwm2m.xml_dir = \"Cargo.toml\"\n",
        r#"
t.toml:1:17: error: lwm2m.xml_dir = "Cargo.toml" is not a folder (looked for FOLDER/Cargo.toml)
  rule: the path of a folder, in quotes, taken from the folder of the configuration file
  try:  lwm2m.xml_dir = "xml_dir""#,
    ),
    (
        "a_variable_that_is_not_set",
        "mqtt.sn.password = \"${SN_PASSWORD}\"\n",
        r#"
t.toml:1:20: error: mqtt.sn.password = <redacted> needs the environment variable SN_PASSWORD, which is not set
  rule: a text in quotes, at most 65535 bytes; "${file:PATH}" reads it from a file
  try:  set it where the program is started, or write the value itself"#,
    ),
    (
        "a_variable_of_the_wrong_form",
        "mqtt.port = \"${HOMEWORD}\"\n",
        r#"
t.toml:1:13: error: mqtt.port = "${HOMEWORD}" is not a whole number
  rule: a port number from 1 to 65535
  try:  mqtt.port = 1883"#,
    ),
    (
        "an_unclosed_variable",
        "mqtt.sn.username = \"${SN_USER\"\n",
        r#"
t.toml:1:20: error: mqtt.sn.username = "${SN_USER" has a ${ without }
  rule: a text in quotes, at most 65535 bytes, no control characters
  try:  ${NAME}, ${file:PATH}, or $${ for the characters themselves"#,
    ),
    (
        "a_secret_of_the_wrong_type",
        "mqtt.sn.password = 12345\n",
        r#"
t.toml:1:20: error: mqtt.sn.password = <redacted> is a number, not a text
  rule: a text in quotes, at most 65535 bytes; "${file:PATH}" reads it from a file
  try:  mqtt.sn.password = "${file:sn-password}""#,
    ),
    (
        "two_listeners_on_one_port",
        "lwm2m.port = 1884\nlwm2m.bind = \"::1\"\n",
        r#"
t.toml:2:14: error: mqtt.sn.bind [::1]:1884 and lwm2m.bind [::1]:1884 want the same UDP port
  rule: each listener has an address and port of its own
  try:  a lwm2m.port that differs from mqtt.sn.port"#,
    ),
    (
        "nothing_to_serve",
        "mqtt.bind = []\nmqtt.sn.bind = []\nlwm2m.bind = []\n",
        r#"
t.toml:1:13: error: mqtt.bind, mqtt.sn.bind and lwm2m.bind are all empty: there is nothing to serve
  rule: at least one listener
  try:  leave one of them out, or mqtt.bind = ["127.0.0.1", "::1"]"#,
    ),
    (
        "one_share_larger_than_the_whole",
        "limits.queue_bytes = \"2GiB\"\n",
        r#"
t.toml:1:22: error: limits.queue_bytes = "2GiB" is larger than limits.queue_bytes_total = "1GiB"
  rule: one client's share is at most the whole
  try:  limits.queue_bytes = "1GiB", or a larger limits.queue_bytes_total"#,
    ),
    (
        "a_key_of_mosquitto",
        "max_queued_messages = 100\n",
        r#"
t.toml:1:1: error: unknown key max_queued_messages
  rule: only keys of the schema are allowed
  try:  limits.queue_messages"#,
    ),
    (
        "a_name_with_control_characters",
        "\"mqtt.\\u001b[31mred\" = 1\n",
        r#"
t.toml:1:1: error: "mqtt.\u001B[31mred" is one quoted name
  rule: dotted keys stand without quotes
  try:  the name without quotes"#,
    ),
    (
        "many_mistakes_at_once",
        "mqtt.prot = 1\nmqtt.port = 0\nlog.level = loud\nmqtt.sn.gateway_id = 0\n[zigbee]\n",
        r#"
t.toml:1:6: error: unknown key mqtt.prot
  rule: only keys of the schema are allowed
  try:  mqtt.port
t.toml:2:13: error: mqtt.port = 0 is out of range
  rule: a port number from 1 to 65535
  try:  mqtt.port = 1883
t.toml:3:13: error: not TOML: string values must be quoted, expected literal string
  rule: the file is TOML 1.0 (toml.io)
  try:  put the text in quotes: KEY = "text"; true, false and numbers stand without
t.toml:4:22: error: mqtt.sn.gateway_id = 0 is out of range
  rule: a whole number from 1 to 255
  try:  mqtt.sn.gateway_id = 1
t.toml:5:2: error: unknown section zigbee
  rule: only keys of the schema are allowed
  try:  `turnstone config init` lists every key"#,
    ),
];

/// A variable, a `--set`, and all that is said about them.
type Around = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str], &'static str);

const AROUND_THE_FILE: &[Around] = &[
    (
        "a_typo_in_a_variable",
        &[("TURNSTONE__MQTT__PROT", "1883")],
        &[],
        r#"
environment TURNSTONE__MQTT__PROT: error: no key has this name
  rule: TURNSTONE__ and the key in capitals, __ for each dot
  try:  TURNSTONE__MQTT__PORT"#,
    ),
    (
        "a_variable_in_small_letters",
        &[("TURNSTONE__mqtt__port", "1883")],
        &[],
        r#"
environment TURNSTONE__mqtt__port: error: no key has this name
  rule: TURNSTONE__ and the key in capitals, __ for each dot
  try:  TURNSTONE__MQTT__PORT"#,
    ),
    (
        "a_bad_value_in_a_variable",
        &[("TURNSTONE__MQTT__SN__PORT", "many")],
        &[],
        r#"
environment TURNSTONE__MQTT__SN__PORT: error: mqtt.sn.port = "many" is not a whole number
  rule: a port number from 1 to 65535
  try:  TURNSTONE__MQTT__SN__PORT=1884"#,
    ),
    (
        "a_bad_secret_in_a_variable",
        &[("TURNSTONE__MQTT__SN__PASSWORD", "hunter2\n")],
        &[],
        r#"
environment TURNSTONE__MQTT__SN__PASSWORD: error: mqtt.sn.password = <redacted> has a control character
  rule: a text in quotes, at most 65535 bytes; "${file:PATH}" reads it from a file
  try:  TURNSTONE__MQTT__SN__PASSWORD='${file:sn-password}'"#,
    ),
    (
        "a_typo_in_an_argument",
        &[],
        &["mqtt.sn.gatewayid=3"],
        r#"
--set mqtt.sn.gatewayid: error: unknown key mqtt.sn.gatewayid
  rule: only keys of the schema are allowed
  try:  --set mqtt.sn.gateway_id=VALUE"#,
    ),
    (
        "a_bad_value_in_an_argument",
        &[],
        &["mqtt.bind=localhost"],
        r#"
--set mqtt.bind: error: mqtt.bind = "localhost" is a name; listeners take addresses
  rule: an address or a list of addresses, as "127.0.0.1", "::1", "0.0.0.0", "192.0.2.7:1883" or "[::1]:1883"
  try:  --set mqtt.bind=127.0.0.1,::1"#,
    ),
    (
        "a_bad_duration_in_an_argument",
        &[],
        &["mqtt.session_expiry=1 week"],
        r#"
--set mqtt.session_expiry: error: mqtt.session_expiry = "1 week" is not a duration
  rule: a duration from 1s to 36500d, as "30s", "15m", "1h30m" or plain seconds, or "off"
  try:  --set mqtt.session_expiry=7d"#,
    ),
];

/// The folder stands for this package's own, which the texts cannot know.
fn shown(sources: Sources, text: &str) -> String {
    let folder = format!("{}/", sources.working_folder.display());
    let problems =
        load_with_text(sources, Some(text)).err().map_or_else(String::new, |problems| problems.to_string());
    problems.replace(&folder, "FOLDER/")
}

fn check(name: &str, shown: &str, expected: &str) {
    assert_eq!(shown.trim_end(), expected.trim_start(), "{name}");
    let ways_out = shown.lines().filter(|line| line.starts_with("  try:  ")).count();
    assert_eq!(ways_out, shown.matches(": error: ").count(), "{name}: each problem has a way out");
}

#[test]
fn mistakes_in_a_file_are_explained() {
    for (name, text, expected) in IN_A_FILE {
        let mut sources = sources();
        sources.variables.push(("HOMEWORD".into(), "many".into()));
        let shown = shown(sources, text);
        check(name, &shown, expected);
        for line in shown.lines().filter(|line| line.contains(": error: ")) {
            assert!(line.starts_with("t.toml:"), "{name}: {line}");
            assert!(
                line.split(':').skip(1).take(2).all(|part| part.parse::<u32>().is_ok()),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn mistakes_around_the_file_are_explained() {
    for (name, variables, sets, expected) in AROUND_THE_FILE {
        let mut sources = sources();
        sources
            .variables
            .extend(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        sources.arguments = sets.iter().map(|set| Argument::from_set(set).expect("KEY=VALUE")).collect();
        check(name, &shown(sources, ""), expected);
    }
}
