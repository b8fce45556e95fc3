"""mqtt_sn_pub and mqtt_sn_sub (PyPI mqtt-sn-12) through the gateway, seen by mosquitto_sub."""

from common import MosquittoSub, case, check, equal, find_program, main, mosquitto_pub, run_program


def sn_pub(bench, *options, **run_options):
    program = find_program("mqtt_sn_pub")
    where = ("-h", bench.host, "-p", str(bench.sn_port), "--timeout", "8")
    return run_program(program, *where, *options, **run_options)


def sn_sub(bench, *options):
    """mqtt_sn_sub, subscribed when this returns: its debug output tells when SUBACK is there.

    A thread of it logs while another prints, so a payload's line may go on with a log message.
    """
    where = ("-h", bench.host, "-p", str(bench.sn_port), "--timeout", "8")
    program = bench.spawn(find_program("mqtt_sn_sub"), *where, "-d", *options)
    program.line(r"(?i)suback")
    return program


@case
def subscriber_of_everything_sees_a_message_from_mqtt_sn_pub(bench):
    sub = MosquittoSub(bench, "-t", "#")
    sn_pub(bench, "-t", bench.topic("hello"), "-m", "from a sensor")
    equal(sub.line(), f"{bench.topic('hello')} from a sensor")


@case
def every_qos_goes_through(bench):
    sub = MosquittoSub(bench, "-t", bench.topic("#"), "-q", "2", "-F", "%t %q %p")
    for qos in "012":
        sn_pub(bench, "-t", bench.topic(qos), "-q", qos, "-m", f"qos {qos}")
        equal(sub.line(), f"{bench.topic(qos)} {qos} qos {qos}")


@case
def short_topic_needs_no_registration(bench):
    sub = MosquittoSub(bench, "-t", "ab", "-q", "1")
    sn_pub(bench, "-t", "ab", "-q", "1", "-m", "short")
    equal(sub.line(), "ab short")


@case
def predefined_topic_needs_no_registration(bench):
    """The server has mqtt.sn.predefined.topic.7 = "predefined/seven"."""
    sub = MosquittoSub(bench, "-t", "predefined/#", "-q", "2", "-F", "%t %q %p")
    for qos in "012":
        sn_pub(bench, "-T", "7", "-q", qos, "-m", f"qos {qos}")
        equal(sub.line(), f"predefined/seven {qos} qos {qos}")


@case
def subscriber_by_predefined_id_hears_its_topic(bench):
    sub = sn_sub(bench, "-T", "7", "-q", "1", "-1")
    mosquitto_pub(bench, "-t", "predefined/seven", "-q", "1", "-m", "by number")
    sub.line(r"^by number")


@case
def publishing_without_a_connection_goes_through(bench):
    """QoS -1, MQTT-SN §6.8: by predefined id and by short topic"""
    sub = MosquittoSub(bench, "-t", "predefined/seven", "-t", "qm", "-q", "2", "-F", "%t %q %p")
    sn_pub(bench, "-T", "7", "-q", "-1", "-m", "beacon")
    equal(sub.line(), "predefined/seven 0 beacon")
    sn_pub(bench, "-t", "qm", "-q", "-1", "-m", "short beacon")
    equal(sub.line(), "qm 0 short beacon")


@case
def retained_message_is_kept(bench):
    topic = bench.topic("kept")
    sn_pub(bench, "-t", topic, "-q", "1", "-r", "-m", "state")
    sub = MosquittoSub(bench, "-t", topic, "-q", "1", "-F", "%r %p")
    equal(sub.line(), "1 state")
    mosquitto_pub(bench, "-t", topic, "-r", "-n")


@case
def long_payload_uses_the_long_header(bench):
    """MQTT-SN §5.2.1: three octets of length above 255 octets"""
    sub = MosquittoSub(bench, "-t", bench.topic("long"))
    for size in (247, 249, 1000):
        sn_pub(bench, "-t", bench.topic("long"), "-m", "x" * size)
        equal(sub.line(), f"{bench.topic('long')} {'x' * size}")


@case
def subscriber_gets_what_mqtt_clients_publish(bench):
    sub = sn_sub(bench, "-t", bench.topic("down"), "-1")
    mosquitto_pub(bench, "-t", bench.topic("down"), "-m", "to the device")
    sub.line(r"^to the device")
    equal(sub.wait(), 0, "exit code")


@case
def wildcard_subscriber_is_told_the_topic_first(bench):
    """MQTT-SN §6.10: REGISTER before PUBLISH"""
    sub = sn_sub(bench, "-t", bench.topic("w/#"), "-1")
    mosquitto_pub(bench, "-t", bench.topic("w/deep/down"), "-m", "matched")
    sub.line(r"^matched")
    equal(sub.wait(), 0, "exit code")


@case
def device_talks_to_device(bench):
    sub = sn_sub(bench, "-t", bench.topic("d2d"), "-1")
    sn_pub(bench, "-t", bench.topic("d2d"), "-q", "1", "-m", "between devices")
    sub.line(r"^between devices")


@case
def will_handshake_comes_to_an_end(bench):
    """MQTT-SN §6.3; a clean DISCONNECT publishes no will"""
    witness = MosquittoSub(bench, "-t", bench.topic("#"), "-q", "1")
    will = ("--will-topic", bench.topic("will"), "--will-payload", "gone", "--will-qos", "1")
    sn_pub(bench, "-i", "willing", *will, "-t", bench.topic("t"), "-q", "1", "-m", "first")
    equal(witness.line(), f"{bench.topic('t')} first")
    sn_pub(bench, "-t", bench.topic("end"), "-q", "1", "-m", "end")
    equal(witness.line(), f"{bench.topic('end')} end")


@case
def will_goes_out_when_a_device_falls_silent(bench):
    witness = MosquittoSub(bench, "-t", bench.topic("will"), "-q", "1", "-F", "%t %q %p")
    will = ("--will-topic", bench.topic("will"), "--will-payload", "gone", "--will-qos", "1")
    device = sn_sub(bench, "-i", "silent", "-k", "2", *will, "-t", bench.topic("any"))
    device.kill()
    equal(witness.line(), f"{bench.topic('will')} 1 gone")


@case
def sleep_on_disconnect_is_answered(bench):
    """MQTT-SN §6.14"""
    output = sn_pub(bench, "-i", "sleeper", "-t", bench.topic("s"), "-q", "1", "-m", "x", "-e", "30", "-d")
    check("Gateway returned duration" not in output, "DISCONNECT came back with a duration")


if __name__ == "__main__":
    main(__doc__)
