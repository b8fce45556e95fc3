"""Runs the commands of a README as a reader would, in order, and checks what they print.

Every fenced block marked `sh` needs a comment on the line before it, which a reader of the page does not see:
    <!-- run -->                       run it; it must succeed
    <!-- run background NAME -->       start it; it stays until the end
    <!-- run background NAME ready PORT -->    and wait until that TCP port of 127.0.0.1 is open
    <!-- run until NAME REGEX -->      run it, again if need be, until NAME has printed a line that matches
    <!-- run expect REGEX -->          run it; its output must match
    <!-- skip REASON -->               not run here (it installs packages, say)
The commands use the program's own ports, so this runs in a network namespace of its own where the kernel gives
one: readme.py --namespace. Exit code 77: no namespace and the ports are taken.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from common import die_with_parent

BLOCK = re.compile(
    r"(?:^<!--\s*(?P<mark>[^\n]*?)\s*-->\n+)?^```(?:sh|console|bash|shell)\n(?P<body>.*?)^```", re.M | re.S
)
TRIES = 10


class Background:
    def __init__(self, body, root):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["bash", "-ec", body], cwd=root, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=die_with_parent,
        )

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def end(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(6)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def port_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def run(body, root, limit=60):
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", body], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=limit, preexec_fn=die_with_parent, check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def wait_until(condition, limit):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)  # a port or a log file tells nobody that it changed
    return False


def execute(mark, body, root, running):
    """Runs one block; returns what is wrong, or None."""
    words = mark.split(maxsplit=3)
    if words[0] == "skip" and len(words) > 1:
        return None
    if words[0] != "run":
        return f"unknown mark {mark!r}"
    if words[1:2] == ["background"]:
        name = words[2]
        running[name] = Background(body, root)
        if len(words) == 3:
            return None
        port = int(words[3].removeprefix("ready "))
        process = running[name].process
        wait_until(lambda: port_open(port) or process.poll() is not None, 600)
        return None if port_open(port) else f"{name} does not listen on {port}:\n{running[name].output()}"
    if words[1:2] == ["until"]:
        name, pattern = words[2], words[3]
        for _ in range(TRIES):
            status, output = run(body, root)
            if status:
                return f"ended with {status}:\n{output}"
            if wait_until(lambda: re.search(pattern, running[name].output(), re.M), 1):
                return None
        return f"{name} printed no {pattern!r} but:\n{running[name].output()}"
    status, output = run(body, root)
    if status:
        return f"ended with {status}:\n{output}"
    if words[1:2] == ["expect"]:
        pattern = mark.split(maxsplit=2)[2]
        if not re.search(pattern, output, re.M):
            return f"printed no {pattern!r} but:\n{output}"
    return None


def enter_namespace():
    """Starts this script again in a network namespace of its own, with loopback up; False where that is forbidden."""
    inside = ["bash", "-c", 'ip link set lo up && exec "$@"', "readme", sys.executable, os.path.abspath(__file__)]
    for flags in (["--net"], ["--net", "--user", "--map-root-user"]):
        if subprocess.run(["unshare", *flags, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0:
            arguments = [word for word in sys.argv[1:] if word != "--namespace"]
            sys.exit(subprocess.run(["unshare", *flags, *inside, *arguments]).returncode)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readme")
    parser.add_argument("--root", default=".")
    parser.add_argument("--namespace", action="store_true")
    args = parser.parse_args()
    die_with_parent()
    if args.namespace:
        enter_namespace()
        print("note: the kernel gives no network namespace here; using the host's ports")
        if port_open(1883):
            print("port 1883 is taken")
            sys.exit(77)
    with open(args.readme, encoding="utf-8") as file:
        page = file.read()
    running, failed, ran = {}, 0, 0
    try:
        for block in BLOCK.finditer(page):
            line = page.count("\n", 0, block.start("body"))
            body = re.sub(r"^\$ ", "", block["body"], flags=re.M)
            shown = body.strip().splitlines()[0] if body.strip() else "(empty)"
            problem = execute(block["mark"], body, args.root, running) if block["mark"] else "the block has no mark"
            ran += 1
            failed += problem is not None
            print(f"{'FAIL' if problem else '  ok'}  line {line}: {shown}", flush=True)
            if problem:
                print(problem, flush=True)
    finally:
        for process in running.values():
            process.end()
    print(f"readme.py: {ran - failed} of {ran} blocks hold")
    sys.exit(1 if failed or not ran else 0)


if __name__ == "__main__":
    main()
