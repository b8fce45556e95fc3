"""mosquitto_pub and mosquitto_sub, unchanged, end to end."""

from common import MosquittoSub, case, check, equal, find_program, main, mosquitto_pub, run_program


def subscribe_once(bench, *options, status=0):
    """mosquitto_sub that ends by itself."""
    where = ("-h", bench.host, "-p", str(bench.mqtt_port))
    return run_program(find_program("mosquitto_sub"), *where, *options, status=status)


@case
def subscriber_of_everything_sees_a_message(bench):
    sub = MosquittoSub(bench, "-t", "#")
    mosquitto_pub(bench, "-t", bench.topic("hello"), "-m", "world")
    equal(sub.line(), f"{bench.topic('hello')} world")


@case
def every_qos_goes_through(bench):
    sub = MosquittoSub(bench, "-t", bench.topic("#"), "-q", "2", "-F", "%t %q %p")
    for qos in "012":
        mosquitto_pub(bench, "-t", bench.topic(qos), "-q", qos, "-m", f"qos {qos}")
        equal(sub.line(), f"{bench.topic(qos)} {qos} qos {qos}")


@case
def lines_of_a_file_come_in_order(bench):
    sub = MosquittoSub(bench, "-t", bench.topic("l"), "-q", "1")
    lines = [f"line {number}" for number in range(100)]
    mosquitto_pub(bench, "-t", bench.topic("l"), "-q", "1", "-l", stdin="\n".join(lines).encode() + b"\n")
    equal([sub.line() for _ in lines], [f"{bench.topic('l')} {line}" for line in lines])


@case
def retained_message_greets_a_later_subscriber(bench):
    topic = bench.topic("r")
    mosquitto_pub(bench, "-t", topic, "-q", "1", "-r", "-m", "kept")
    equal(subscribe_once(bench, "-t", topic, "-C", "1", "-W", "8", "-F", "%r %p"), "1 kept\n")
    mosquitto_pub(bench, "-t", topic, "-q", "1", "-r", "-n")
    # exit code 27: nothing came within -W
    equal(subscribe_once(bench, "-t", topic, "-C", "1", "-W", "1", status=27).replace("Timed out\n", ""), "")


@case
def killed_subscriber_leaves_its_will(bench):
    topic = bench.topic("w")
    sub = MosquittoSub(bench, "-t", topic)
    victim = MosquittoSub(bench, "-t", "x", "--will-topic", topic, "--will-payload", "died", "--will-qos", "1")
    victim.kill()
    equal(sub.line(), f"{topic} died")


@case
def persistent_subscriber_finds_its_queue(bench):
    topic, name = bench.topic("p"), bench.client_id("sub")
    keep = ("-c", "-i", name, "-q", "1", "-t", topic)
    subscribe_once(bench, *keep, "-E")
    for number in range(5):
        mosquitto_pub(bench, "-t", topic, "-q", "1", "-m", str(number))
    equal(subscribe_once(bench, *keep, "-C", "5", "-W", "8").split(), list("01234"))


@case
def large_message_is_whole(bench):
    topic, payload = bench.topic("big"), b"0123456789" * 20_000
    sub = MosquittoSub(bench, "-t", topic, "-q", "1", "-C", "1")
    mosquitto_pub(bench, "-t", topic, "-q", "1", "-s", stdin=payload)
    check(sub.line() == f"{topic} {payload.decode()}", "200,000 bytes came out changed")


@case
def version_3_1_speaks_too(bench):
    sub = MosquittoSub(bench, "-t", bench.topic("v"), "-V", "mqttv31")
    mosquitto_pub(bench, "-V", "mqttv31", "-t", bench.topic("v"), "-m", "old")
    equal(sub.line(), f"{bench.topic('v')} old")


@case(differs=["mosquitto"])
def version_5_is_told_no(bench):
    output = mosquitto_pub(bench, "-V", "mqttv5", "-t", bench.topic("v"), "-m", "new", status=None)
    check("protocol version" in output.lower() or "refused" in output.lower(), f"mosquitto_pub said {output!r}")


if __name__ == "__main__":
    main(__doc__)
