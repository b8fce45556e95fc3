"""Sleeping MQTT-SN devices that wake from another port, by raw datagrams, on a gateway with several workers.

A device is its ClientId and not its address (MQTT-SN 1.2 §6.14): whichever socket, and whichever worker, hears its
PINGREQ, it gets what waited for it, once and in order, PINGRESP last, and nothing goes to where it was before.
"""

import socket
import struct

from common import WAIT, case, check, equal, main

DEVICES = 48
CONNACK, REGISTER, REGACK, PUBLISH, PUBACK = 0x05, 0x0A, 0x0B, 0x0C, 0x0D
SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x13, 0x16, 0x17, 0x18


class Port:
    """A UDP socket of a device, connected to the gateway."""

    def __init__(self, bench):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(WAIT)
        self.socket.connect((bench.host, bench.sn_port))

    def close(self):
        self.socket.close()

    def say(self, kind, body=b""):
        self.socket.send(bytes((2 + len(body), kind)) + body)

    def hear(self):
        """(type, body) of the next message."""
        data = self.socket.recv(2048)
        equal(data[0], len(data), "length octet")
        return data[1], data[2:]

    def expect(self, kind):
        heard, body = self.hear()
        equal(hex(heard), hex(kind), "message type")
        return body

    def is_silent(self):
        """Nothing has come: what was sent to us before an answer to somebody else is here before that answer."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(2048)
            return False
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(WAIT)

    def connect(self, client, clean=True, keep_alive=0):
        self.say(0x04, bytes((0x04 if clean else 0, 1)) + struct.pack(">H", keep_alive) + client.encode())
        equal(self.expect(CONNACK), b"\0", "CONNACK")

    def subscribe(self, topic, qos=1):
        """The topic id."""
        self.say(0x12, bytes((qos << 5,)) + struct.pack(">H", 7) + topic.encode())
        flags, topic_id, msg_id, code = struct.unpack(">BHHB", self.expect(SUBACK))
        equal((flags >> 5, msg_id, code), (qos, 7, 0), "SUBACK")
        return topic_id

    def sleep(self, seconds=60):
        self.say(DISCONNECT, struct.pack(">H", seconds))
        equal(self.expect(DISCONNECT), b"", "DISCONNECT")

    def wake(self, client):
        """Payloads up to PINGRESP, each acknowledged; REGISTERs are accepted."""
        self.say(PINGREQ, client.encode())
        return self.burst()

    def burst(self):
        got = []
        while True:
            kind, body = self.hear()
            if kind == PINGRESP:
                return got
            if kind == REGISTER:
                self.say(REGACK, body[:4] + b"\0")
                continue
            equal(hex(kind), hex(PUBLISH), "message of a burst")
            flags, topic_id, msg_id = struct.unpack(">BHH", body[:5])
            if flags & 0x60:
                self.say(PUBACK, struct.pack(">HHB", topic_id, msg_id, 0))
            got.append(body[5:].decode())


def ports(bench, count):
    opened = [Port(bench) for _ in range(count)]
    for port in opened:
        bench.callback(port.close)
    return opened


@case
def each_of_many_devices_wakes_from_another_port_and_gets_its_own(bench):
    names = [bench.client_id(f"d{number}") for number in range(DEVICES)]
    homes, elsewhere = ports(bench, DEVICES), ports(bench, DEVICES)
    publishers = [bench.client(f"p{number}") for number in range(6)]  # on several workers
    for number, (name, home) in enumerate(zip(names, homes)):
        home.connect(name, keep_alive=60)
        home.subscribe(bench.topic(f"to/{number}"))
        home.sleep()
    for round_number in range(3):
        for number in range(DEVICES):
            publisher = publishers[number % len(publishers)]
            publisher.publish(bench.topic(f"to/{number}"), f"{number}.{round_number}", qos=1)
    for number, (name, home, port) in enumerate(zip(names, homes, elsewhere)):
        equal(port.wake(name), [f"{number}.{round_number}" for round_number in range(3)], name)
        check(home.is_silent(), f"{name}: something went to where it was before")
        equal(port.wake(name), [], "a second time")
    # The place is known from now on: without the name, and the old one is a stranger's.
    for number in range(0, DEVICES, 8):
        publishers[0].publish(bench.topic(f"to/{number}"), "later", qos=1)
        elsewhere[number].say(PINGREQ)
        equal(elsewhere[number].burst(), ["later"])
        homes[number].say(PINGREQ)
        homes[number].expect(DISCONNECT)


@case
def a_device_may_wake_from_a_new_port_each_time(bench):
    name = bench.client_id("nomad")
    publisher = bench.client("p")
    (home,) = ports(bench, 1)
    home.connect(name, clean=False)
    home.subscribe(bench.topic("nomad/#"))
    home.sleep()
    for number, port in enumerate(ports(bench, 32)):
        publisher.publish(bench.topic(f"nomad/{number % 4}"), str(number), qos=1)
        equal(port.wake(name), [str(number)], f"wake-up {number}")
    last = port
    (port,) = ports(bench, 1)
    publisher.publish(bench.topic("nomad/x"), "awake", qos=1)
    port.connect(name, clean=False)
    kind, body = port.hear()
    if kind == REGISTER:
        port.say(REGACK, body[:4] + b"\0")
        body = port.expect(PUBLISH)
    equal(body[5:], b"awake", "what waited, after a CONNECT from yet another port")
    port.say(PUBACK, body[1:5] + b"\0")
    check(last.is_silent(), "something went to where it was before")


@case
def a_name_that_nobody_has_wakes_nobody(bench):
    for number, port in enumerate(ports(bench, 16)):
        port.say(PINGREQ, bench.client_id(f"nobody{number}").encode())
        equal(port.expect(DISCONNECT), b"", "PINGREQ of an unknown ClientId")


if __name__ == "__main__":
    main(__doc__)
