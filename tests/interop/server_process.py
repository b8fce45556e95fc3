"""The program as an operator meets it: how fast and small it starts, what signals do, what a taken port says.

Starts its own servers: server_process.py --server target/release/turnstone
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from common import (
    CONNACK, RawMqtt, case, check, connect_packet, die_with_parent, equal, main, publish_packet, server_argument,
)
from serve import HOST, free_port

START_MS = 300  # to the first connection; the best of five starts, since other work may share the machine
IDLE_RSS_KIB = 15 * 1024
DRAIN_SECONDS = 5
SERVER = server_argument()


@contextlib.contextmanager
def running(*settings):
    """A server of its own: yields (process, MQTT port, seconds until it took a connection, log file)."""
    ports = {"mqtt.port": free_port(socket.SOCK_STREAM), "mqtt.sn.port": free_port(socket.SOCK_DGRAM),
             "lwm2m.port": free_port(socket.SOCK_DGRAM)}
    command = [SERVER, "run"]
    for setting in [*(f"{key}={value}" for key, value in ports.items()), *settings]:
        command += ["--set", setting]
    with tempfile.TemporaryDirectory(prefix="turnstone-") as folder, open(f"{folder}/log", "w+b") as log:
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
        )
        try:
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection((HOST, ports["mqtt.port"]), 1).close()
                    break
                check(process.poll() is None, f"ended at its start with {process.returncode}")
                check(time.monotonic() - start < 10, "does not listen after 10 s")
                time.sleep(0.001)
            yield process, ports["mqtt.port"], time.monotonic() - start, log
        finally:
            process.kill()
            process.wait()


def connected(port, name, **options):
    raw = RawMqtt(HOST, port)
    raw.send(connect_packet(name, **options))
    raw.expect(CONNACK, "CONNACK")
    return raw


@case
def starts_within_its_budget(_bench):
    times = []
    for _ in range(5):
        with running() as (_, _, seconds, _):
            times.append(seconds * 1000)
    print(f"      start: {', '.join(f'{t:.0f}' for t in times)} ms, budget {START_MS} ms")
    check(min(times) <= START_MS, f"the fastest start took {min(times):.0f} ms")


@case
def idle_server_is_small(_bench):
    with running() as (process, port, _, _):
        raw = connected(port, "one")
        raw.send(b"\xc0\0")
        raw.expect(b"\xd0\0", "PINGRESP")
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    print(f"      idle RSS: {rss} KiB, budget {IDLE_RSS_KIB} KiB")
    check(rss <= IDLE_RSS_KIB, f"{rss} KiB")


@case
def term_and_int_end_it_with_0_under_load(_bench):
    for number in (signal.SIGTERM, signal.SIGINT):
        with running() as (process, port, _, _):
            publisher = connected(port, "p")
            publisher.socket.settimeout(DRAIN_SECONDS)
            publisher.send(publish_packet("load", b"x" * 1000) * 1000)
            process.send_signal(number)
            start = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - start < DRAIN_SECONDS:
                    publisher.send(publish_packet("load", b"x" * 1000))
            equal(process.wait(DRAIN_SECONDS + 1), 0, f"exit code after {number.name}")
            check(time.monotonic() - start <= DRAIN_SECONDS, f"took {time.monotonic() - start:.1f} s")


@case
def hup_usr1_and_usr2_disturb_nobody(_bench):
    with running() as (process, port, _, _):
        raw = connected(port, "steady")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            for _ in range(3):
                raw.send(b"\xc0\0")
                raw.expect(b"\xd0\0", "PINGRESP")
            equal(process.poll(), None, f"exit code after {number.name}")


@case
def taken_port_is_named(_bench):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [SERVER, "run", "--set", f"mqtt.port={port}", "--set", f"mqtt.sn.port={free_port(socket.SOCK_DGRAM)}",
             "--set", f"lwm2m.port={free_port(socket.SOCK_DGRAM)}"],
            capture_output=True, timeout=10, check=False, preexec_fn=die_with_parent,
        )
    output = (done.stdout + done.stderr).decode()
    check(done.returncode != 0, "a taken port passed for success")
    check(str(port) in output, f"the message does not name the port: {output!r}")


@case
def unknown_setting_is_refused_before_any_socket(_bench):
    done = subprocess.run(
        [SERVER, "run", "--set", "mqtt.prot=1"], capture_output=True, timeout=10, check=False,
        preexec_fn=die_with_parent,
    )
    equal(done.returncode, 2, "exit code")
    check(b"mqtt.port" in done.stderr, f"no nearest name in {done.stderr!r}")


if __name__ == "__main__":
    main(__doc__)
