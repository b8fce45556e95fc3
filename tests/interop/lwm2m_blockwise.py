"""Large bodies between the program and an aiocoap device: firmware sent by Block1 and fetched by Block2, a large Read.

Starts its own servers: lwm2m_blockwise.py --server target/release/turnstone [--loss PERCENT] [--seed N] [--kib N]
Between device and server is a relay that loses datagrams both ways; by default it loses none, since each lost one
costs two to three seconds.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import selectors
import socket
import sys
import tempfile
import threading

from common import Failed, MosquittoSub, case, check, equal, main, mosquitto_pub, server_argument, start_device
from serve import HOST, log_tail, start, stop

PATIENCE = 900  # seconds for one body at the highest loss; a good network needs two


class Relay:
    """Passes datagrams on between devices and the server, each device from a socket of its own."""

    def __init__(self, server, loss, seed):
        self.server, self.loss, self.random = server, loss, random.Random(seed)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind((HOST, 0))
        self.port = self.front.getsockname()[1]
        self.sockets, self.passed, self.lost = {}, 0, 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                with contextlib.suppress(ConnectionError):
                    self._pass_on(key.fileobj, key.data)

    def _pass_on(self, source, device):
        datagram, sender = source.recvfrom(65535)
        if self.random.random() * 100 < self.loss:
            self.lost += 1
            return
        self.passed += 1
        if device is not None:
            self.front.sendto(datagram, device)
            return
        if sender not in self.sockets:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self.server)
            self.sockets[sender] = back
            self.selector.register(back, selectors.EVENT_READ, sender)
        self.sockets[sender].send(datagram)


@contextlib.contextmanager
def running(bench, *settings):
    """A server with an image to give away and a relay before it; yields (image, relay)."""
    image = random.Random(OPTIONS.seed).randbytes(OPTIONS.kib << 10)
    with tempfile.TemporaryDirectory(prefix="turnstone-") as folder, open(f"{folder}/log", "w+b") as log:
        os.mkdir(f"{folder}/images")
        with open(f"{folder}/images/new.bin", "wb") as file:
            file.write(image)
        asked = [f"lwm2m.firmware_dir={folder}/images", *settings]
        started = next((s for s in (start(SERVER, asked, folder, log) for _ in range(3)) if s), None)
        check(started, "the server does not start")
        process, ports = started
        relay = Relay((HOST, ports["coap"]), OPTIONS.loss, OPTIONS.seed)
        bench.mqtt_port, bench.coap_port = ports["mqtt"], relay.port
        try:
            yield image, relay
        except Failed:
            print(f"--- the server's last lines ---\n{log_tail(log)}---", flush=True)
            raise
        finally:
            print(f"      seed {OPTIONS.seed}: {relay.passed} datagrams passed, {relay.lost} lost", flush=True)
            stop(process)


def answer_of(sub, leaf):
    topic, _, payload = sub.line(f"/{leaf} ", PATIENCE).partition(" ")
    check(topic.endswith(leaf), topic)
    return json.loads(payload)


def update_firmware(bench, delivery, wanted):
    """One update to its end; the device must have been asked for it in the wanted way."""
    with running(bench) as (image, _):
        device, ep = start_device(bench, f"firmware{delivery}", "--firmware", str(delivery), "--version", "1.1")
        sub = MosquittoSub(bench, "-t", f"lwm2m/{ep}/up/resp", "-t", f"lwm2m/{ep}/event")
        command = {"reqID": 29, "msgType": "firmware", "data": {"file": "new.bin"}}
        mosquitto_pub(bench, "-t", f"lwm2m/{ep}/dn", "-q", "1", "-m", json.dumps(command))
        if wanted:
            device.line(wanted, PATIENCE)
        line = device.line("^image ", PATIENCE)
        equal(line, f"image {len(image)} {hashlib.sha256(image).hexdigest()}")
        states = []
        while not states or states[-1] not in ("updated", "failed", "cancelled"):
            event = answer_of(sub, "event")
            if event["event"] == "firmware" and event["state"] not in states[-1:]:
                states.append(event["state"])
        equal(states, ["downloading", "downloaded", "updating", "updated"], "what was told of it")


@case
def firmware_is_sent_by_block1(bench):
    update_firmware(bench, 1, None)


@case
def firmware_is_fetched_by_block2(bench):
    update_firmware(bench, 0, r"^fetches coap://127\.0\.0\.1:\d+/fw/")


def read_large(bench, ep):
    sub = MosquittoSub(bench, "-t", f"lwm2m/{ep}/response")
    command = {"CmdID": 1, "Command": "Read", "BaseName": "/3303/0/5750"}
    mosquitto_pub(bench, "-t", f"lwm2m/{ep}/command", "-q", "1", "-m", json.dumps(command))
    return answer_of(sub, "response")


LARGE = 200 << 10


@case
def large_read_comes_whole_where_the_limit_allows_it(bench):
    with running(bench, "lwm2m.max_body_size=256KiB"):
        _, ep = start_device(bench, "large", "--large", str(LARGE))
        answer = read_large(bench, ep)
        equal(answer["Result"]["bn"], "/3303/0/5750")
        value = answer["Result"]["e"][0]["sv"]
        check(value == "".join(f"{n:08x}" for n in range(LARGE // 8)), f"{len(value)} characters came, changed")


@case
def large_read_is_refused_at_the_default_limit(bench):
    with running(bench):
        _, ep = start_device(bench, "refused", "--large", str(LARGE))
        answer = read_large(bench, ep)
        equal((answer["CmdID"], answer["Command"], answer["Error"]), (1, "Read", "Request Entity Too Large"))
        check("Result" not in answer, answer)
        sub = MosquittoSub(bench, "-t", f"lwm2m/{ep}/up/resp")
        command = {"reqID": 2, "msgType": "read", "data": {"path": "/3303/0/5750"}}
        mosquitto_pub(bench, "-t", f"lwm2m/{ep}/dn", "-q", "1", "-m", json.dumps(command))
        data = answer_of(sub, "up/resp")["data"]
        equal((data["reqPath"], data["code"], data["codeMsg"]), ("/3303/0/5750", "4.13", "request_entity_too_large"))


def options():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kib", type=int, default=256)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return known


SERVER = server_argument()
OPTIONS = options()

if __name__ == "__main__":
    main(__doc__, 120 if OPTIONS.loss == 0 else 3600)
