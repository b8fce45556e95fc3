"""paho-mqtt: publish and subscribe at every QoS, filters, shared subscriptions, client ids, refused versions."""

from common import CONNACK, Client, Got, case, check, connect_packet, equal, main, publish_packet, subscribe_packet


@case
def delivery_has_the_lower_of_published_and_granted_qos(bench):
    """[MQTT-3.8.4-6]"""
    publisher = bench.client("p")
    for granted in (0, 1, 2):
        subscriber = bench.client(f"s{granted}")
        topic = bench.topic(f"min/{granted}")
        equal(subscriber.subscribe(topic, qos=granted), [granted], "SUBACK")
        for qos in (0, 1, 2):
            publisher.publish(topic, f"qos {qos}", qos)
            equal(subscriber.next(), Got(topic, f"qos {qos}".encode(), min(qos, granted), False))


@case
def one_client_publishes_to_itself_at_every_qos(bench):
    client = bench.client()
    topic = bench.topic("self")
    client.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        client.publish(topic, bytes([qos]), qos)
        equal(client.next(), Got(topic, bytes([qos]), qos, False))


@case
def payloads_arrive_byte_for_byte(bench):
    client = bench.client()
    topic = bench.topic("bytes")
    client.subscribe(topic, qos=2)
    for payload in (b"", b"\0", bytes(range(256)), "sn\u00f6 \u2603".encode(), b"x" * 127, b"y" * 200_000):
        for qos in (0, 1, 2):
            client.publish(topic, payload, qos)
            equal(client.next().payload == payload, True, f"{len(payload)} bytes at QoS {qos}")


@case
def messages_of_one_publisher_keep_their_order(bench):
    """[MQTT-4.6.0-6]"""
    publisher, subscriber = bench.client("p"), bench.client("s")
    for qos in (0, 1, 2):
        topic = bench.topic(f"order/{qos}")
        subscriber.subscribe(topic, qos=2)
        for number in range(200):
            publisher.paho.publish(topic, str(number), qos)
        equal([int(got.payload) for got in subscriber.take(200)], list(range(200)), f"order at QoS {qos}")


@case
def wildcards_match_whole_levels(bench):
    """MQTT §4.7.1"""
    publisher = bench.client("p")
    root = bench.topic("w")
    wanted = {
        f"{root}/#": ["", "/a", "/a/b", "//b", "/"],
        f"{root}/+": ["/a", "/"],
        f"{root}/+/b": ["/a/b", "//b"],
        f"{root}//+": ["//b"],
        f"{root}": [""],
    }
    for number, (pattern, endings) in enumerate(wanted.items()):
        subscriber = bench.client(f"s{number}")
        subscriber.subscribe(pattern, f"{root}-end")
        for ending in ("", "/a", "/a/b", "//b", "/"):
            publisher.publish(root + ending, "x", qos=1)
        publisher.publish(f"{root}-end", "end", qos=1)
        equal([got.topic for got in subscriber.until(b"end")], [root + ending for ending in endings], pattern)


@case(differs=["mosquitto"])
def overlapping_filters_deliver_once_at_the_highest_qos(bench):
    """[MQTT-3.3.5-1]"""
    client = bench.client()
    topic = bench.topic("o/a")
    client.subscribe((bench.topic("o/#"), 0), (bench.topic("o/+"), 2), (topic, 1))
    client.publish(topic, "once", qos=2)
    client.publish(topic, "end", qos=2)
    equal(client.until(b"end"), [Got(topic, b"once", 2, False)], "deliveries")


@case
def shared_subscription_gives_each_message_to_one_member(bench):
    publisher, outsider = bench.client("p"), bench.client("o")
    topic = bench.topic("share/t")
    members = [bench.client(f"m{number}") for number in range(3)]
    for member in members:
        equal(member.subscribe(f"$share/group-{bench.name}/{topic}", bench.topic("end"), qos=1), [1, 1], "SUBACK")
    outsider.subscribe(topic, qos=1)
    wanted = [str(number).encode() for number in range(60)]
    for payload in wanted:
        publisher.publish(topic, payload, qos=1)
    publisher.publish(bench.topic("end"), "end", qos=1)
    got = [[m.payload for m in member.until(b"end")] for member in members]
    equal(sorted(sum(got, []), key=int), wanted, "what the group got")
    check(all(got), f"every member gets some: {[len(g) for g in got]}")
    equal([m.payload for m in outsider.take(60)], wanted, "what the subscriber outside the group got")


@case
def shared_group_goes_on_when_a_member_leaves(bench):
    publisher, stays, leaves = bench.client("p"), bench.client("a"), bench.client("b")
    topic = bench.topic("leave")
    for member in (stays, leaves):
        member.subscribe(f"$share/g-{bench.name}/{topic}", qos=1)
    leaves.disconnect()
    for number in range(10):
        publisher.publish(topic, str(number), qos=1)
    equal([int(m.payload) for m in stays.take(10)], list(range(10)))


@case
def unsubscribe_ends_delivery(bench):
    client = bench.client()
    client.subscribe(bench.topic("u"), bench.topic("end"), qos=1)
    client.unsubscribe(bench.topic("u"), bench.topic("never-subscribed"))
    client.publish(bench.topic("u"), "late", qos=1)
    client.publish(bench.topic("end"), "end", qos=1)
    equal(client.until(b"end"), [])


@case
def zero_length_client_id_is_given_a_name(bench):
    """[MQTT-3.1.3-6], [MQTT-3.1.3-7]"""
    nameless = [Client(bench, "") for _ in range(2)]
    for client in nameless:
        bench.callback(client.end)
        client.connect()
        equal(client.reason.value, 0, "CONNACK")
        equal(client.session_present, False, "session present")
    topic = bench.topic("nameless")
    for client in nameless:
        client.subscribe(topic)
    nameless[0].publish(topic, "both")
    for client in nameless:
        equal(client.next().payload, b"both")


@case
def zero_length_client_id_without_clean_session_is_refused(bench):
    """[MQTT-3.1.3-8]"""
    raw = bench.raw(client_id="", clean=False)
    equal(raw.expect_closed().hex(), "20020002", "CONNACK")


@case(differs=["mosquitto"])
def protocol_level_5_is_refused_on_the_wire(bench):
    """[MQTT-3.1.2-2]"""
    raw = bench.raw(client_id=bench.client_id("five"), level=5)
    equal(raw.expect_closed().hex(), "20020001", "CONNACK")


@case(differs=["mosquitto"])
def protocol_level_5_is_refused_as_paho_sees_it(bench):
    import paho.mqtt.client as paho

    client = Client(bench, bench.client_id("five"), protocol=paho.MQTTv5)
    bench.callback(client.end)
    client.connect()
    equal(client.reason.getName(), "Unsupported protocol version")
    check(client.gone.wait(10), "the connection stays open after the refusal")


@case
def protocol_3_1_still_connects(bench):
    raw = bench.raw(client_id=bench.client_id("31")[:23], level=3, name="MQIsdp")
    raw.expect(CONNACK, "CONNACK")
    raw.send(b"\xc0\0")
    raw.expect(b"\xd0\0", "PINGRESP")


@case
def several_packets_in_one_segment_are_all_answered(bench):
    topic = bench.topic("burst")
    raw = bench.raw(connect=False)
    raw.send(
        connect_packet(bench.client_id("burst"))
        + subscribe_packet(1, (topic, 1))
        + publish_packet(topic, b"x", qos=1, packet_id=2)
        + b"\xc0\0"
    )
    found = [raw.packet() for _ in range(5)]
    equal(found[0], CONNACK, "first answer")
    kinds = sorted(p[0] >> 4 for p in found)
    equal(kinds, [2, 3, 4, 9, 13], "kinds of packets")


if __name__ == "__main__":
    main(__doc__)
