"""The PyPI client mqttsn, quirks included: Clean bit in every flags octet, REGISTER MsgId 0, PUBACK TopicId 0."""

import contextlib
import io
import queue
import socket

from common import MosquittoSub, case, equal, main, mosquitto_pub, wait_for


class Device:
    """mqttsn.client.Client with a queue for what arrives; it prints every packet, which is kept away."""

    def __init__(self, bench, name):
        from mqttsn.client import Callback, Client

        class Inbox(Callback):
            def message_arrived(inbox, topic_name, payload, qos, retained, msgid):
                self.inbox.put((payload, qos))
                return True

            def published(inbox, msgid):
                self.done.put(msgid)

        self.inbox, self.done = queue.Queue(), queue.Queue()
        socket.setdefaulttimeout(30)  # its reads have no limit of their own
        self.client = Client(name.encode(), bench.host, bench.sn_port)
        self.client.register_callback(Inbox())
        self.client.connect()

    def publish(self, topic, payload, qos=0):
        with contextlib.redirect_stdout(io.StringIO()):
            sent = self.client.publish(topic, payload, qos)
        if qos:
            equal(wait_for(self.done, f"end of the QoS {qos} handshake"), sent, "message id")


@case
def publishes_at_every_qos_by_registered_topic(bench):
    sub = MosquittoSub(bench, "-t", bench.topic("#"), "-q", "2", "-F", "%t %q %p")
    device = Device(bench, "craggs-pub")
    for qos in (0, 1, 2):
        topic_id = device.client.register(bench.topic(str(qos)).encode())
        device.publish(topic_id, f"qos {qos}", qos)
        equal(sub.line(), f"{bench.topic(str(qos))} {qos} qos {qos}")


@case
def publishes_by_short_topic(bench):
    sub = MosquittoSub(bench, "-t", "cd")
    Device(bench, "craggs-short").publish("cd", "short")
    equal(sub.line(), "cd short")


@case
def publishes_without_a_connection_with_the_name_in_front(bench):
    """Its helper of QoS -1: the topic id field holds the length of the name."""
    from mqttsn.client import publish

    sub = MosquittoSub(bench, "-t", bench.topic("#"), "-t", "gh", "-q", "2", "-F", "%t %q %p")
    publish(bench.topic("inline"), "beacon", port=bench.sn_port, host=bench.host)
    equal(sub.line(), f"{bench.topic('inline')} 0 beacon")
    publish("gh", "short beacon", port=bench.sn_port, host=bench.host)
    equal(sub.line(), "gh 0 short beacon")


@case
def receives_by_short_topic(bench):
    device = Device(bench, "craggs-sub0")
    equal(device.client.subscribe("ef", 0)[0], 0, "SUBACK")
    mosquitto_pub(bench, "-t", "ef", "-m", "down")
    equal(wait_for(device.inbox, "message"), (b"down", 0))


@case
def receives_qos_1_and_2_although_its_acks_are_odd(bench):
    """Its PUBACK has topic id 0, so it must be matched by message id alone."""
    for qos in (1, 2):
        device = Device(bench, f"craggs-sub{qos}")
        topic = bench.topic(f"down/{qos}")
        equal(device.client.subscribe(topic, qos)[0], 0, "SUBACK")
        for number in range(5):
            mosquitto_pub(bench, "-t", topic, "-q", str(qos), "-m", str(number))
        got = [wait_for(device.inbox, "message") for _ in range(5)]
        equal(got, [(str(number).encode(), qos) for number in range(5)])


if __name__ == "__main__":
    main(__doc__)
