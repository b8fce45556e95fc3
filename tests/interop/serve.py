"""Starts a server on free loopback ports, runs a command against it, ends both.

    serve.py --server target/release/turnstone [--set KEY=VALUE]... -- COMMAND ...

In the command, {host} {mqtt} {sn} {coap} {peer} are replaced. `--server mosquitto` runs Debian's mosquitto
instead, which shows that a script is right before it judges us. Exit code: that of the command; 99 when the
server could not be started or died.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from common import die_with_parent

HOST = "127.0.0.1"
MOSQUITTO_CONF = """listener {mqtt} {host}
allow_anonymous true
allow_duplicate_messages false
sys_interval 2
log_type all
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def start(server, settings, folder, log):
    """One try: (process, ports), or None when the process ended, which it does if a port was taken meanwhile."""
    ports = {
        "host": HOST,
        "mqtt": free_port(socket.SOCK_STREAM),
        "sn": free_port(socket.SOCK_DGRAM),
        "coap": free_port(socket.SOCK_DGRAM),
    }
    if os.path.basename(server) == "mosquitto":
        conf = os.path.join(folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(MOSQUITTO_CONF.format(**ports))
        command = [server, "-c", conf]
    else:
        keys = {"mqtt.port": ports["mqtt"], "mqtt.sn.port": ports["sn"], "lwm2m.port": ports["coap"]}
        command = [server, "run"]
        for setting in [f"{key}={value}" for key, value in keys.items()] + settings:
            command += ["--set", setting]
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
    )
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((HOST, ports["mqtt"]), 1).close()
            return process, ports
        except OSError:
            time.sleep(0.02)  # nothing announces a listener that is not there yet
    process.kill()
    process.wait()
    return None


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    split = sys.argv.index("--")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args(sys.argv[1:split])
    die_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(98))
    server = args.server if "/" not in args.server else os.path.abspath(args.server)
    peer = os.path.basename(server)
    if not shutil.which(server):
        sys.exit(f"{server} is not there")
    with tempfile.TemporaryDirectory(prefix="turnstone-") as folder, open(f"{folder}/log", "w+b") as log:
        started = next((s for s in (start(server, args.settings, folder, log) for _ in range(3)) if s), None)
        if started is None:
            print(f"{peer} did not start:\n{log_tail(log)}")
            sys.exit(99)
        process, ports = started
        try:
            command = sys.argv[split + 1:]
            for name, value in {**ports, "peer": peer}.items():
                command = [word.replace("{" + name + "}", str(value)) for word in command]
            status = subprocess.run(command, preexec_fn=die_with_parent, check=False).returncode
            died = process.poll()
            if status or died is not None:
                print(f"--- the last lines of {peer} ---\n{log_tail(log)}---")
            if died is not None:
                print(f"{peer} ended by itself with {died}")
                status = 99
        finally:
            if stop(process) is None:
                print(f"{peer} did not end on SIGTERM within 5 s")
                status = 99
    sys.exit(status)


def stop(process):
    """SIGTERM, and SIGKILL if the server does not drain and end within five seconds."""
    process.terminate()
    try:
        return process.wait(6)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def log_tail(log, lines=25):
    log.seek(0)
    return b"".join(log.readlines()[-lines:]).decode(errors="replace")


if __name__ == "__main__":
    main()
