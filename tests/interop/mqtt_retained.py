"""paho-mqtt: retained messages are set, replaced and deleted, and the RETAIN flag says why a message comes."""

from common import Got, case, check, equal, main


@case
def new_subscriber_gets_the_retained_message_with_the_flag(bench):
    """[MQTT-3.3.1-6], [MQTT-3.3.1-8]"""
    topic = bench.topic("t")
    publisher = bench.client("p")
    publisher.publish(topic, "kept", qos=1, retain=True)
    late = bench.client("late")
    late.subscribe(topic, qos=1)
    equal(late.next(), Got(topic, b"kept", 1, True))
    publisher.publish(topic, b"", retain=True)


@case
def present_subscriber_gets_it_without_the_flag(bench):
    """[MQTT-3.3.1-9]"""
    topic = bench.topic("t")
    client = bench.client()
    client.subscribe(topic, qos=1)
    client.publish(topic, "live", qos=1, retain=True)
    equal(client.next(), Got(topic, b"live", 1, False))
    client.publish(topic, b"", retain=True)


@case
def message_is_replaced_by_a_newer_one(bench):
    """[MQTT-3.3.1-5]"""
    topic = bench.topic("t")
    publisher = bench.client("p")
    for payload, qos in (("old", 2), ("newer", 1), ("newest", 0)):
        publisher.publish(topic, payload, qos=qos, retain=True)
        publisher.publish(bench.topic("barrier"), "", qos=1)
        late = bench.client(f"late-{payload}")
        late.subscribe(topic, qos=2)
        equal(late.next(), Got(topic, payload.encode(), qos, True))
    publisher.publish(topic, b"", retain=True)


@case
def empty_payload_deletes(bench):
    """[MQTT-3.3.1-10], [MQTT-3.3.1-11]"""
    topic, end = bench.topic("t"), bench.topic("end")
    publisher, present = bench.client("p"), bench.client("here")
    publisher.publish(topic, "kept", qos=1, retain=True)
    present.subscribe(topic, qos=1)
    equal(present.next(), Got(topic, b"kept", 1, True))
    publisher.publish(topic, b"", qos=1, retain=True)
    equal(present.next(), Got(topic, b"", 1, False), "the deleting message to a present subscriber")
    late = bench.client("late")
    late.subscribe(topic, end, qos=1)
    publisher.publish(end, "end", qos=1)
    equal(late.until(b"end"), [], "after deletion")


@case
def message_without_the_flag_does_not_touch_what_is_kept(bench):
    """[MQTT-3.3.1-12]"""
    topic = bench.topic("t")
    publisher = bench.client("p")
    publisher.publish(topic, "kept", qos=1, retain=True)
    publisher.publish(topic, "passing", qos=1)
    publisher.publish(topic, b"", qos=1)
    late = bench.client("late")
    late.subscribe(topic, qos=1)
    equal(late.next(), Got(topic, b"kept", 1, True))
    publisher.publish(topic, b"", retain=True)


@case
def wildcard_subscription_gets_all_that_match(bench):
    publisher = bench.client("p")
    names = [f"{a}/{b}" for a in "abc" for b in "12"]
    for name in names:
        publisher.publish(bench.topic(name), name, qos=1, retain=True)
    for pattern, wanted in (("#", names), ("+/1", ["a/1", "b/1", "c/1"]), ("b/#", ["b/1", "b/2"]), ("c/2", ["c/2"])):
        late = bench.client("late")
        late.subscribe(bench.topic(pattern), f"end-{bench.name}", qos=1)
        publisher.publish(f"end-{bench.name}", "end", qos=1)
        got = late.until(b"end")
        equal(sorted(m.payload.decode() for m in got), wanted, pattern)
        check(all(m.retain for m in got), f"{pattern}: RETAIN is missing")
        late.disconnect()
    for name in names:
        publisher.publish(bench.topic(name), b"", qos=1, retain=True)


@case
def subscribing_again_sends_it_again(bench):
    """[MQTT-3.8.4-3]"""
    topic = bench.topic("t")
    client = bench.client()
    client.publish(topic, "kept", qos=1, retain=True)
    for _ in range(3):
        client.subscribe(topic, qos=1)
        equal(client.next(), Got(topic, b"kept", 1, True))
    client.publish(topic, b"", retain=True)


@case
def retained_delivery_has_the_lower_qos(bench):
    topic = bench.topic("t")
    publisher = bench.client("p")
    publisher.publish(topic, "kept", qos=2, retain=True)
    for granted in (0, 1, 2):
        late = bench.client(f"late{granted}")
        late.subscribe(topic, qos=granted)
        equal(late.next(), Got(topic, b"kept", granted, True))
    publisher.publish(topic, b"", retain=True)


@case
def message_survives_its_publisher(bench):
    topic = bench.topic("t")
    publisher = bench.client("p")
    publisher.publish(topic, "kept", qos=1, retain=True)
    publisher.disconnect()
    late = bench.client("late")
    late.subscribe(topic, qos=1)
    equal(late.next(), Got(topic, b"kept", 1, True))
    late.publish(topic, b"", qos=1, retain=True)


@case(differs=["mosquitto"])
def shared_subscription_gets_no_retained_message(bench):
    topic, end = bench.topic("t"), bench.topic("end")
    client = bench.client()
    client.publish(topic, "kept", qos=1, retain=True)
    client.subscribe(f"$share/g-{bench.name}/{topic}", end, qos=1)
    client.publish(end, "end", qos=1)
    equal(client.until(b"end"), [])
    client.publish(topic, b"", qos=1, retain=True)


if __name__ == "__main__":
    main(__doc__)
