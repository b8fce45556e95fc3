"""What the interop scripts share: arguments, cases, time limits, an MQTT client with queues, a raw MQTT socket.

A script defines functions marked with @case and ends with `main(__doc__)`. Nothing here sleeps where an event
can be awaited: every wait has a limit, and "nothing more came" is shown by a marker message, not by time.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import faulthandler
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

WAIT = 10.0  # seconds that an answer may take on a busy machine
CASES = []


class Failed(Exception):
    """The server did something else than the case demands."""


def case(function=None, *, differs=()):
    """Marks a case. `differs` names peers that are known to do otherwise; it is not run against those."""
    if function is None:
        return lambda f: case(f, differs=differs)
    CASES.append((function, tuple(differs)))
    return function


def check(condition, text):
    if not condition:
        raise Failed(text)


def equal(found, wanted, what="value"):
    if found != wanted:
        raise Failed(f"{what}: got {found!r}, wanted {wanted!r}")


def server_argument():
    """Takes --server out of the arguments of a script that starts its own; the rest is for `main`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--server", default="target/release/turnstone")
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return os.path.abspath(known.server)


def main(doc, limit=120):
    """Runs the cases of the script; exit code 1 if one fails. The whole script ends after `limit` seconds."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--mqtt-port", type=int, default=1883)
    parser.add_argument("--sn-port", type=int, default=1884)
    parser.add_argument("--coap-port", type=int, default=5683)
    parser.add_argument("--peer", default="turnstone", help="the server under test, for its known differences")
    parser.add_argument("--only", help="run only the cases whose name matches this regular expression")
    args = parser.parse_args()
    die_with_parent()
    faulthandler.dump_traceback_later(limit, exit=True)
    failed = run = 0
    for function, differs in CASES:
        if args.only and not re.search(args.only, function.__name__):
            continue
        if args.peer in differs:
            print(f"  --  {function.__name__}: {args.peer} is known to differ")
            continue
        run += 1
        start = time.monotonic()
        try:
            with Bench(args, function.__name__) as bench:
                function(bench)
            print(f"  ok  {function.__name__} ({time.monotonic() - start:.2f} s)", flush=True)
        except Exception as error:  # a case may fail in any way; the others still run
            failed += 1
            where = "" if isinstance(error, Failed) else "\n" + traceback.format_exc()
            line = traceback.extract_tb(error.__traceback__)
            spot = next((f.lineno for f in reversed(line) if f.name == function.__name__), "?")
            print(f"FAIL  {function.__name__}, line {spot}: {type(error).__name__}: {error}{where}", flush=True)
    print(f"{os.path.basename(sys.argv[0])}: {run - failed} of {run} cases hold")
    sys.stdout.flush()
    os._exit(1 if failed or not run else 0)  # client threads must not hold the script up


def die_with_parent():
    """The kernel ends this process when its parent ends, however that happens (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Bench(contextlib.ExitStack):
    """One case's place: the server's addresses, names of its own, and everything that must be closed after it."""

    def __init__(self, args, name):
        super().__init__()
        self.args = args
        self.host, self.mqtt_port = args.host, args.mqtt_port
        self.sn_port, self.coap_port = args.sn_port, args.coap_port
        self.name = f"{name}-{os.getpid()}"

    def topic(self, rest):
        return f"it/{self.name}/{rest}"

    def client_id(self, short):
        return f"{short}-{self.name}"

    def client(self, short="c", **options):
        """A connected paho client (see Client)."""
        client = Client(self, self.client_id(short), **options)
        self.callback(client.end)
        client.connect()
        return client

    def raw(self, **options):
        """A TCP connection that speaks MQTT byte by byte; connects unless connect=False."""
        raw = RawMqtt(self.host, self.mqtt_port)
        self.callback(raw.close)
        if options.pop("connect", True):
            raw.send(connect_packet(**options))
        return raw

    def spawn(self, *command, **options):
        """Starts a program whose lines can be awaited; it is ended with the case."""
        program = Program(*command, **options)
        self.callback(program.end)
        return program


@dataclasses.dataclass(frozen=True)
class Got:
    topic: str
    payload: bytes
    qos: int
    retain: bool


class Client:
    """paho-mqtt (API version 2, MQTT 3.1.1), with calls that wait for the server's answer."""

    def __init__(self, bench, client_id, *, clean=True, keepalive=60, will=None, manual_ack=False, protocol=None):
        import paho.mqtt.client as paho

        protocol = protocol or paho.MQTTv311
        options = {} if protocol == paho.MQTTv5 else {"clean_session": clean}
        self.bench, self.keepalive = bench, keepalive
        self.inbox, self.acks, self.granted = queue.Queue(), queue.Queue(), queue.Queue()
        self.gone = threading.Event()
        self.paho = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, manual_ack=manual_ack,
            reconnect_on_failure=False, **options,
        )
        self.paho.on_message = lambda _c, _u, message: self.inbox.put(message)
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.acks.put((flags, reason))
        self.paho.on_subscribe = lambda _c, _u, _mid, reasons, _p: self.granted.put([r.value for r in reasons])
        self.paho.on_unsubscribe = lambda _c, _u, _mid, _reasons, _p: self.granted.put("unsuback")
        self.paho.on_disconnect = lambda *_: self.gone.set()
        if will:
            topic, payload, qos, retain = will
            self.paho.will_set(topic, payload, qos, retain)

    def connect(self):
        self.paho.connect(self.bench.host, self.bench.mqtt_port, self.keepalive)
        self.paho.loop_start()
        flags, reason = wait_for(self.acks, "CONNACK")
        self.reason, self.session_present = reason, getattr(flags, "session_present", False)
        return self

    def subscribe(self, *filters, qos=0):
        """Subscribes in one packet; returns the granted codes."""
        pairs = [f if isinstance(f, tuple) else (f, qos) for f in filters]
        self.paho.subscribe(pairs)
        return wait_for(self.granted, "SUBACK")

    def unsubscribe(self, *filters):
        self.paho.unsubscribe(list(filters))
        wait_for(self.granted, "UNSUBACK")

    def publish(self, topic, payload=b"", qos=0, retain=False):
        """Publishes and waits until the handshake of its QoS is over."""
        info = self.paho.publish(topic, payload, qos, retain)
        info.wait_for_publish(WAIT)
        check(info.is_published(), f"PUBLISH QoS {qos} to {topic} was not acknowledged")

    def message(self, timeout=WAIT):
        """The next message as paho has it (with dup and mid)."""
        return wait_for(self.inbox, "PUBLISH", timeout)

    def next(self, timeout=WAIT):
        m = self.message(timeout)
        return Got(m.topic, m.payload, m.qos, bool(m.retain))

    def take(self, count):
        return [self.next() for _ in range(count)]

    def until(self, payload, timeout=WAIT):
        """All messages before the one with this payload, which is the last."""
        found = []
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            got = self.next(max(0.1, end - time.monotonic()))
            if got.payload == payload:
                return found
            found.append(got)
        raise Failed(f"no message {payload!r}")

    def cut(self):
        """Ends the TCP connection without DISCONNECT."""
        with contextlib.suppress(OSError):
            self.paho.socket().shutdown(socket.SHUT_RDWR)
        check(self.gone.wait(WAIT), "the client did not see its connection end")
        self.paho.loop_stop()

    def disconnect(self):
        self.paho.disconnect()
        check(self.gone.wait(WAIT), "DISCONNECT did not end the connection")
        self.paho.loop_stop()

    def end(self):
        with contextlib.suppress(Exception):
            self.paho.disconnect()
        with contextlib.suppress(Exception):
            self.paho.loop_stop()


def wait_for(inbox, what, timeout=WAIT):
    try:
        return inbox.get(timeout=timeout)
    except queue.Empty:
        raise Failed(f"no {what} within {timeout:.1f} s") from None


# MQTT by hand ----------------------------------------------------------------------------------------------------


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first_byte, body):
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([first_byte]) + length + body


def connect_packet(client_id="", *, clean=True, keepalive=60, level=4, name="MQTT", will=None):
    flags, payload = (0x02 if clean else 0), text(client_id)
    if will:
        topic, message, qos, retain = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        payload += text(topic) + text(message)
    properties = b"\0" if level == 5 else b""
    return packet(0x10, text(name) + bytes([level, flags]) + keepalive.to_bytes(2, "big") + properties + payload)


def publish_packet(topic, payload=b"", *, qos=0, packet_id=None, dup=False, retain=False):
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    return packet(0x30 | dup << 3 | qos << 1 | retain, text(topic) + identifier + payload)


def subscribe_packet(packet_id, *filters):
    return packet(0x82, packet_id.to_bytes(2, "big") + b"".join(text(f) + bytes([qos]) for f, qos in filters))


class RawMqtt:
    """A TCP connection; packets are bytes."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), WAIT)
        self.socket.settimeout(WAIT)

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError(f"connection closed after {data.hex() or 'nothing'}")
            data += piece
        return data

    def packet(self):
        """The next whole packet."""
        head, length, shift = self.exactly(1), 0, 0
        raw = head
        for _ in range(4):
            digit = self.exactly(1)
            raw += digit
            length |= (digit[0] & 0x7F) << shift
            shift += 7
            if not digit[0] & 0x80:
                break
        return raw + self.exactly(length)

    def expect(self, wanted, what="packet"):
        found = self.packet()
        check(found == wanted, f"{what}: got {found.hex()}, wanted {wanted.hex()}")

    def expect_quiet(self, seconds):
        """The connection stays open and nothing comes for this long (the passing of time is the point here)."""
        self.socket.settimeout(seconds)
        try:
            piece = self.socket.recv(4096)
        except TimeoutError:
            self.socket.settimeout(WAIT)
            return
        raise Failed(f"got {piece.hex()}" if piece else "the server closed the connection")

    def expect_closed(self, timeout=WAIT):
        """Waits for the end of the connection; returns what still came before it."""
        self.socket.settimeout(timeout)
        rest = b""
        try:
            while piece := self.socket.recv(4096):
                rest += piece
        except ConnectionError:
            pass
        except TimeoutError:
            raise Failed(f"the server kept the connection open for {timeout} s") from None
        return rest

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


CONNACK = bytes.fromhex("20020000")
CONNACK_PRESENT = bytes.fromhex("20020100")


# programs --------------------------------------------------------------------------------------------------------


def find_program(*names):
    """The first of these programs that is installed, in the script's own environment or on the path."""
    here = os.path.dirname(sys.executable)
    for name in names:
        found = shutil.which(name, path=here) or shutil.which(name)
        if found:
            return found
    raise Failed(f"none of {', '.join(names)} is installed")


def run_program(*command, timeout=WAIT, stdin=None, status=0):
    """Runs a program to its end; returns what it printed."""
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, preexec_fn=die_with_parent)
    output = (done.stdout + done.stderr).decode(errors="replace")
    if status is not None and done.returncode != status:
        raise Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: {output.strip()}")
    return output


class Program:
    """A running program; its lines (stdout and stderr) can be awaited, and told ones if it `listens`."""

    def __init__(self, *command, drop=None, listens=False):
        self.command = os.path.basename(command[0])
        self.lines = queue.Queue()
        self.drop = re.compile(drop) if drop else None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE if listens else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent, env=dict(os.environ, PYTHONUNBUFFERED="1"),
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\n"))
        self.lines.put(None)

    def line(self, pattern=None, timeout=WAIT):
        """The next line; with a pattern, the next that matches it. Lines that match `drop` are passed over."""
        seen, end = [], time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{self.command} printed no {pattern or 'line'} in {timeout} s, but {seen[-4:]}") from None
            if line is None:
                self.lines.put(None)
                raise Failed(f"{self.command} ended with {self.process.wait()}, having printed at last {seen[-4:]}")
            seen.append(line)
            if pattern is not None:
                if re.search(pattern, line):
                    return line
            elif not (self.drop and self.drop.search(line)):
                return line

    def tell(self, line):
        """Writes a line to the program's standard input."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, timeout=WAIT):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.command} did not end within {timeout} s") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.kill()


class MosquittoSub(Program):
    """mosquitto_sub -v, subscribed when the constructor returns; `line()` gives "topic payload"."""

    def __init__(self, bench, *options):
        port = str(bench.mqtt_port)
        command = [find_program("mosquitto_sub"), "-h", bench.host, "-p", port, "-d", "-v", *options]
        if shutil.which("stdbuf"):
            command[:0] = ["stdbuf", "-oL"]
        super().__init__(*command, drop=r"^(Client |Subscribed )")
        bench.callback(self.end)
        self.line(r"^Subscribed ")


def mosquitto_pub(bench, *options, **run_options):
    """mosquitto_pub with the server's address."""
    program = find_program("mosquitto_pub")
    return run_program(program, "-h", bench.host, "-p", str(bench.mqtt_port), *options, **run_options)


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_device(bench, name, *options):
    """A device that has registered; returns it and its endpoint name."""
    ep = f"{name}-{os.getpid()}"
    server = f"coap://{bench.host}:{bench.coap_port}"
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lwm2m_device.py")
    command = [os.environ.get("DEVICE_PYTHON", sys.executable), program, "--server", server, "--ep", ep]
    device = bench.spawn(*command, *options, listens=True)
    line = device.line(r"^(registered|refused)")
    check(line.startswith("registered"), f"the device was {line}")
    return device, ep
