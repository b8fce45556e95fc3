"""paho-mqtt: the broker tells about itself below $SYS/broker, with Mosquitto's names and some of EMQ's."""

import re
import time

from common import Failed, case, check, equal, main

NUMBERS = [
    "clients/total", "clients/connected", "clients/disconnected", "clients/maximum", "clients/expired",
    "messages/received", "messages/sent", "messages/stored", "bytes/received", "bytes/sent",
    "publish/messages/received", "publish/messages/sent", "publish/messages/dropped",
    "publish/bytes/received", "publish/bytes/sent",
    "subscriptions/count", "shared_subscriptions/count", "retained messages/count",
]
LOADS = [f"load/{kind}/{span}" for kind in ("messages/received", "messages/sent", "bytes/received", "connections",
                                            "publish/received", "sockets") for span in ("1min", "5min", "15min")]
EMQ = ["packets/received", "packets/sent", "messages/received", "messages/sent"]


def tree(client, wanted, timeout=30):
    """Collects $SYS/broker/# until all `wanted` names are there."""
    found, end = {}, time.monotonic() + timeout
    client.subscribe("$SYS/broker/#")
    while not all(name in found for name in wanted):
        left = end - time.monotonic()
        missing = [name for name in wanted if name not in found]
        check(left > 0, f"missing below $SYS/broker: {missing}")
        try:
            got = client.next(left)
        except Failed:
            raise Failed(f"missing below $SYS/broker: {missing}") from None
        found[got.topic.removeprefix("$SYS/broker/")] = got.payload.decode()
    return found


def until_value(client, name, holds, timeout=30):
    """Waits until a value below $SYS/broker is as wanted; the broker writes them at intervals."""
    last, end = None, time.monotonic() + timeout
    client.subscribe(f"$SYS/broker/{name}")
    while time.monotonic() < end:
        got = client.next(max(0.1, end - time.monotonic()))
        if got.topic == f"$SYS/broker/{name}":
            last = int(got.payload)
            if holds(last):
                return
    raise Failed(f"{name} is {last} after {timeout} s")


@case
def mosquittos_names_are_there_with_plain_values(bench):
    found = tree(bench.client(), ["version", "uptime", *NUMBERS])
    check(found["version"], "version is empty")
    check(re.fullmatch(r"\d+ seconds", found["uptime"]), f"uptime is {found['uptime']!r}")
    for name in NUMBERS:
        check(re.fullmatch(r"-?\d+", found[name]), f"{name} is {found[name]!r}")


@case
def connected_clients_are_counted(bench):
    clients = [bench.client(f"c{number}") for number in range(5)]
    until_value(clients[0], "clients/connected", lambda value: value >= 5)



@case
def load_averages_are_there(bench):
    found = tree(bench.client(), LOADS)
    for name in LOADS:
        check(re.fullmatch(r"\d+\.\d\d", found[name]), f"{name} is {found[name]!r}")


@case(differs=["mosquitto"])
def emqs_counters_are_there(bench):
    names = [f"metrics/{name}" for name in EMQ]
    found = tree(bench.client(), names)
    for name in names:
        check(found[name].isdigit(), f"{name} is {found[name]!r}")


@case
def counters_count(bench):
    publisher, watcher = bench.client("p"), bench.client("w")
    topic = "publish/messages/received"
    before = int(tree(watcher, [topic])[topic])
    for number in range(20):
        publisher.publish(bench.topic("n"), str(number), qos=1)
    until_value(watcher, topic, lambda value: value >= before + 20)


@case
def leading_wildcards_do_not_match_it(bench):
    """[MQTT-4.7.2-1]"""
    client = bench.client()
    client.subscribe("#", "+/broker/uptime", qos=1)
    client.publish(bench.topic("end"), "end", qos=1)
    equal([got.topic for got in client.until(b"end") if got.topic.startswith("$")], [])


if __name__ == "__main__":
    main(__doc__)
