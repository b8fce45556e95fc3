"""paho-mqtt and bare sockets: the will is published on every abnormal end, and never after DISCONNECT."""

from common import CONNACK, Got, case, equal, main


def with_will(bench, short, qos=0, retain=False, **options):
    topic = bench.topic(f"will/{short}")
    return topic, dict(will=(topic, f"{short} is gone", qos, retain), **options)


@case
def closed_socket_publishes_the_will_at_its_qos(bench):
    """[MQTT-3.1.2-8]"""
    witness = bench.client("w")
    witness.subscribe(bench.topic("will/#"), qos=2)
    for qos in (0, 1, 2):
        topic, options = with_will(bench, f"q{qos}", qos)
        bench.client(f"q{qos}", **options).cut()
        equal(witness.next(), Got(topic, f"q{qos} is gone".encode(), qos, False))


@case
def reset_connection_publishes_the_will(bench):
    witness = bench.client("w")
    topic, options = with_will(bench, "rst", 1)
    witness.subscribe(topic, qos=1)
    raw = bench.raw(client_id=bench.client_id("rst"), **options)
    raw.expect(CONNACK)
    raw.reset()
    equal(witness.next(), Got(topic, b"rst is gone", 1, False))


@case
def silence_publishes_the_will(bench):
    """[MQTT-3.1.2-24]"""
    witness = bench.client("w")
    topic, options = with_will(bench, "mute", 1)
    witness.subscribe(topic, qos=1)
    raw = bench.raw(client_id=bench.client_id("mute"), keepalive=1, **options)
    raw.expect(CONNACK)
    equal(witness.next(), Got(topic, b"mute is gone", 1, False))
    raw.expect_closed()


@case
def protocol_error_publishes_the_will(bench):
    """[MQTT-4.8.0-1]"""
    witness = bench.client("w")
    topic, options = with_will(bench, "broken", 1)
    witness.subscribe(topic, qos=1)
    raw = bench.raw(client_id=bench.client_id("broken"), **options)
    raw.expect(CONNACK)
    raw.send(b"\xf0\0")
    raw.expect_closed()
    equal(witness.next(), Got(topic, b"broken is gone", 1, False))


@case
def takeover_publishes_the_will_of_the_old_connection(bench):
    witness = bench.client("w")
    topic, options = with_will(bench, "same", 1)
    witness.subscribe(topic, qos=1)
    bench.client("same", **options)
    bench.client("same")
    equal(witness.next(), Got(topic, b"same is gone", 1, False))


@case
def disconnect_forgets_the_will(bench):
    """[MQTT-3.14.4-3]"""
    witness = bench.client("w")
    topic, options = with_will(bench, "polite", 1, retain=True)
    witness.subscribe(topic, qos=1)
    raw = bench.raw(client_id=bench.client_id("polite"), **options)
    raw.expect(CONNACK)
    raw.send(b"\xe0\0")
    equal(raw.expect_closed(), b"", "answer to DISCONNECT")  # the server has handled it
    bench.client("p").publish(topic, "end", qos=1)
    equal(witness.until(b"end"), [])


@case
def retained_will_is_kept_for_later_subscribers(bench):
    """[MQTT-3.1.2-17]"""
    witness = bench.client("w")
    topic, options = with_will(bench, "kept", 1, retain=True)
    witness.subscribe(topic, qos=1)
    bench.client("kept", **options).cut()
    equal(witness.next(), Got(topic, b"kept is gone", 1, False), "to a subscriber that was there")
    late = bench.client("late")
    late.subscribe(topic, qos=1)
    equal(late.next(), Got(topic, b"kept is gone", 1, True), "to a later subscriber")
    late.publish(topic, b"", retain=True)


@case
def will_without_retain_leaves_the_retained_message_alone(bench):
    topic, options = with_will(bench, "plain", 1)
    owner = bench.client("o")
    owner.publish(topic, "state", qos=1, retain=True)
    owner.subscribe(topic, qos=1)
    equal(owner.next().payload, b"state")
    bench.client("plain", **options).cut()
    equal(owner.next().payload, b"plain is gone")
    late = bench.client("late")
    late.subscribe(topic, qos=1)
    equal(late.next(), Got(topic, b"state", 1, True))
    late.publish(topic, b"", retain=True)


@case
def empty_and_binary_wills_are_published_as_they_are(bench):
    witness = bench.client("w")
    witness.subscribe(bench.topic("will/#"), qos=1)
    for number, payload in enumerate((b"", bytes(range(256)))):
        topic = bench.topic(f"will/{number}")
        bench.client(f"c{number}", will=(topic, payload, 1, False)).cut()
        equal(witness.next(), Got(topic, payload, 1, False))


if __name__ == "__main__":
    main(__doc__)
