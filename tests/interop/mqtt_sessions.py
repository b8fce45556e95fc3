"""paho-mqtt and bare sockets: persistent sessions, offline queues, resending, takeover, keep-alive."""

import time

from common import CONNACK, CONNACK_PRESENT, case, check, equal, main, packet, publish_packet, subscribe_packet


@case
def session_present_tells_whether_state_is_left(bench):
    """[MQTT-3.2.2-1] to [MQTT-3.2.2-3]"""
    wanted = [(True, False), (False, False), (False, True), (True, False), (False, False)]
    for number, (clean, present) in enumerate(wanted):
        client = bench.client("one", clean=clean)
        equal(client.session_present, present, f"session present of connection {number}, clean {clean}")
        client.disconnect()


@case
def offline_queue_keeps_qos_1_and_2_in_order(bench):
    """[MQTT-3.1.2-5]"""
    topic = bench.topic("q")
    sleeper = bench.client("sleeper", clean=False)
    sleeper.subscribe(topic, qos=2)
    sleeper.disconnect()
    publisher = bench.client("p")
    for number in range(50):
        publisher.publish(topic, str(number), qos=1 + number % 2)
    sleeper = bench.client("sleeper", clean=False)
    equal(sleeper.session_present, True, "session present")
    got = sleeper.take(50)
    for qos in (1, 2):  # order holds per publisher, topic and QoS
        wanted = [number for number in range(50) if 1 + number % 2 == qos]
        equal([int(m.payload) for m in got if m.qos == qos], wanted, f"what came with QoS {qos}")


@case
def subscriptions_outlive_the_connection_until_a_clean_start(bench):
    topic, end = bench.topic("s"), bench.topic("end")
    first = bench.client("one", clean=False)
    first.subscribe(topic, qos=1)
    first.cut()
    again = bench.client("one", clean=False)
    again.publish(topic, "there", qos=1)
    equal(again.next().payload, b"there")
    again.disconnect()
    fresh = bench.client("one", clean=True)
    fresh.subscribe(end, qos=1)
    fresh.publish(topic, "lost", qos=1)
    fresh.publish(end, "end", qos=1)
    equal(fresh.until(b"end"), [], "what a clean session got")


@case
def unacknowledged_qos_1_comes_again_with_dup(bench):
    """[MQTT-4.4.0-1], [MQTT-3.3.1-1]"""
    topic = bench.topic("dup")
    silent = bench.client("silent", clean=False, manual_ack=True)
    silent.subscribe(topic, qos=1)
    bench.client("p").publish(topic, "again", qos=1)
    first = silent.message()
    equal(first.dup, False, "DUP of the first delivery")
    silent.cut()
    back = bench.client("silent", clean=False)
    second = back.message()
    equal((second.payload, second.dup, second.mid), (b"again", True, first.mid), "payload, DUP and id")


@case
def pubrel_comes_again_after_a_cut(bench):
    """[MQTT-4.4.0-1]: QoS 2, PUBREC sent, connection cut, session resumed"""
    topic, name = bench.topic("rel"), bench.client_id("q2")
    raw = bench.raw(client_id=name, clean=False)
    raw.expect(CONNACK)
    raw.send(subscribe_packet(1, (topic, 2)))
    raw.expect(bytes.fromhex("9003000102"), "SUBACK")
    bench.client("p").publish(topic, "two", qos=2)
    publish = raw.packet()
    packet_id = publish[4 + len(topic):6 + len(topic)]
    equal(publish, publish_packet(topic, b"two", qos=2, packet_id=int.from_bytes(packet_id, "big")), "PUBLISH")
    raw.send(b"\x50\x02" + packet_id)
    raw.expect(b"\x62\x02" + packet_id, "PUBREL")
    raw.reset()
    raw = bench.raw(client_id=name, clean=False)
    raw.expect(CONNACK_PRESENT, "CONNACK")
    raw.expect(b"\x62\x02" + packet_id, "PUBREL after the cut")
    raw.send(b"\x70\x02" + packet_id + b"\xc0\0")
    raw.expect(b"\xd0\0", "PINGRESP")


@case
def qos_2_publish_sent_again_after_a_cut_is_delivered_once(bench):
    """[MQTT-4.3.3-2]"""
    topic, name = bench.topic("once"), bench.client_id("pub")
    witness = bench.client("w")
    witness.subscribe(topic, qos=2)
    raw = bench.raw(client_id=name, clean=False)
    raw.expect(CONNACK)
    raw.send(publish_packet(topic, b"once", qos=2, packet_id=7))
    raw.expect(bytes.fromhex("50020007"), "PUBREC")
    raw.reset()
    raw = bench.raw(client_id=name, clean=False)
    raw.expect(CONNACK_PRESENT)
    raw.send(publish_packet(topic, b"once", qos=2, packet_id=7, dup=True))
    raw.expect(bytes.fromhex("50020007"), "PUBREC of the copy")
    raw.send(bytes.fromhex("62020007"))
    raw.expect(bytes.fromhex("70020007"), "PUBCOMP")
    raw.send(bytes.fromhex("62020007"))
    raw.expect(bytes.fromhex("70020007"), "PUBCOMP of an id that is free")
    bench.client("p").publish(topic, "end", qos=2)
    equal([m.payload for m in witness.until(b"end")], [b"once"])


@case
def in_flight_window_never_reuses_an_id(bench):
    """[MQTT-2.3.1-4]"""
    topic, name = bench.topic("ids"), bench.client_id("window")
    raw = bench.raw(client_id=name, clean=False)
    raw.expect(CONNACK)
    raw.send(subscribe_packet(1, (topic, 1)))
    raw.expect(bytes.fromhex("9003000101"), "SUBACK")
    publisher = bench.client("p")
    for number in range(100):
        publisher.publish(topic, b"%03d" % number, qos=1)
    open_ids, payloads = [], []
    for _ in range(100):
        publish = raw.packet()
        packet_id = publish[4 + len(topic):6 + len(topic)]
        check(packet_id not in open_ids, f"id {packet_id.hex()} is in flight twice")
        open_ids.append(packet_id)
        payloads.append(int(publish[-3:]))
        if len(open_ids) >= 10:  # leave nine open all the time
            raw.send(b"\x40\x02" + open_ids.pop(0))
    equal(payloads, list(range(100)), "order")


@case
def second_connection_takes_the_session_over(bench):
    """[MQTT-3.1.4-2]"""
    topic = bench.topic("take")
    old = bench.client("same", clean=False)
    old.subscribe(topic, qos=1)
    new = bench.client("same", clean=False)
    equal(new.session_present, True, "session present")
    check(old.gone.wait(10), "the old connection stays open")
    bench.client("p").publish(topic, "new", qos=1)
    equal(new.next().payload, b"new")
    check(old.inbox.empty(), "the old connection got the message")


@case
def silence_of_one_and_a_half_keep_alive_ends_the_connection(bench):
    """[MQTT-3.1.2-24]"""
    raw = bench.raw(client_id=bench.client_id("mute"), keepalive=1)
    raw.expect(CONNACK)
    start = time.monotonic()
    equal(raw.expect_closed(), b"", "bytes before the end")
    lasted = time.monotonic() - start
    limit = 3.5 if bench.args.peer == "turnstone" else 9
    check(1.4 <= lasted <= limit, f"closed after {lasted:.2f} s, keep-alive 1 s")


@case
def pings_keep_the_connection(bench):
    raw = bench.raw(client_id=bench.client_id("lively"), keepalive=1)
    raw.expect(CONNACK)
    for _ in range(4):
        raw.expect_quiet(1)
        raw.send(b"\xc0\0")
        raw.expect(b"\xd0\0", "PINGRESP")


@case
def keep_alive_zero_never_expires(bench):
    raw = bench.raw(client_id=bench.client_id("zero"), keepalive=0)
    raw.expect(CONNACK)
    raw.expect_quiet(2.5)
    raw.send(b"\xc0\0")
    raw.expect(b"\xd0\0", "PINGRESP")


@case
def second_connect_on_a_connection_ends_it(bench):
    """[MQTT-3.1.0-2]"""
    raw = bench.raw(client_id=bench.client_id("twice"))
    raw.expect(CONNACK)
    raw.send(packet(0x10, bytes.fromhex("00044d5154540402003c00027878")))
    equal(raw.expect_closed(), b"", "answer to a second CONNECT")


if __name__ == "__main__":
    main(__doc__)
