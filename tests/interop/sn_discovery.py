"""Discovery of MQTT-SN gateways in a network of its own: multicast, broadcast, IPv6 groups, stand-by, forwarders.

    sn_discovery.py --server target/release/turnstone

Makes two network namespaces with a cable between them, so that nothing outside is needed or disturbed: this
script, the devices, in one (dev0), the gateway in the other (gw0). Exit code 77 where the kernel forbids that.
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from common import (
    CONNACK, WAIT, Failed, RawMqtt, case, check, connect_packet, die_with_parent, equal, main, publish_packet,
    run_program, server_argument, subscribe_packet,
)

SERVER = server_argument()
INSIDE = "TURNSTONE_TEST_NETWORK"  # set for the run within the namespace
DEVICE, GATEWAY = "10.77.0.2", "10.77.0.1"
GATEWAY_2 = "10.77.0.11"  # a second address of the same gateway
DEVICE_6, GATEWAY_6, GATEWAY_LOCAL_6 = "fd77::2", "fd77::1", "fe80::1"
GROUP, PORT = ("225.1.1.1", 1883), 1884
QUIET = 0.7  # seconds in which nothing may come; what is wrong comes at once


# the network -----------------------------------------------------------------------------------------------------


def skip(reason):
    print(f"no network of its own: {reason}")
    sys.stdout.flush()
    os._exit(77)


def enter_own_network():
    """Runs this script again in a new network namespace."""
    flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
    command = ["unshare", *flags, "--"]
    try:
        probe = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, timeout=WAIT)
    except OSError as error:
        skip(str(error))
    if probe.returncode:
        skip((probe.stderr or probe.stdout).decode(errors="replace").strip() or "unshare fails")
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, os.path.abspath(__file__), "--server", SERVER, *sys.argv[1:]])


class Network:
    """The other namespace, and the cable to it."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "-n", "--", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        self.holder.stdout.readline()
        self.there = ["nsenter", "-t", str(self.holder.pid), "-n", "--"]
        for namespace in ([], self.there):
            self.ip("link set lo up", namespace)
        # Made first, so that the system's own routes for groups lead there: wrong for all that is meant for gw0.
        self.cable("decoy0", ["10.79.0.2/24", "fe80::12/64"], "decoy1", ["10.79.0.1/24", "fe80::11/64"])
        self.cable("dev0", [f"{DEVICE}/24", f"{DEVICE_6}/64", "fe80::2/64"],
                   "gw0", [f"{GATEWAY}/24", f"{GATEWAY_2}/24", f"{GATEWAY_6}/64", f"{GATEWAY_LOCAL_6}/64"])

    def ip(self, command, namespace=()):
        return subprocess.run(
            [*namespace, "ip", *command.split()], capture_output=True, timeout=WAIT, check=True
        ).stdout.decode()

    def cable(self, here, own, there, others):
        """A cable with addresses on both ends; the addresses are usable at once."""
        self.ip(f"link add {here} type veth peer name {there} netns {self.holder.pid}")
        for name, addresses, namespace in ((here, own, []), (there, others, self.there)):
            self.ip(f"link set {name} addrgenmode none", namespace)
            self.ip(f"link set {name} up", namespace)
            for address in addresses:
                options = "nodad" if ":" in address else "brd +"
                self.ip(f"addr add {address} dev {name} {options}", namespace)

    def cut(self, here):
        self.ip(f"link del {here}")


NETWORK = None


class Gateway:
    """A running gateway: on the other end of the cable, or here."""

    def __init__(self, bench, *settings, here=False, bind=("0.0.0.0", "::"), config=None):
        command = [*([] if here else NETWORK.there), SERVER, "run"]
        if config:
            command += ["--config", config]
        listeners = [f"mqtt.sn.bind={','.join(bind)}"] if bind else []
        for setting in (*listeners, *settings):
            command += ["--set", setting]
        self.log = bench.spawn(*command)
        self.process = self.log.process
        self.log.line("listening: MQTT-SN on UDP")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.log.wait(), 0, "exit code")

    def is_up(self):
        equal(self.process.poll(), None, "exit code of a gateway that should run")


# sockets ---------------------------------------------------------------------------------------------------------


class Heard:
    """One datagram."""

    def __init__(self, data, source, ttl):
        self.data, self.host, self.port, self.ttl = data, source[0].split("%")[0], source[1], ttl

    def __repr__(self):
        return f"{self.data.hex()} from {self.host}:{self.port} with TTL {self.ttl}"


class Ear:
    """A UDP socket that hears with TTL; joins its address when that is a multicast group."""

    def __init__(self, bench, address, interface="dev0", bind=None):
        self.v6 = ":" in address[0]
        index = socket.if_nametoindex(interface)
        self.socket = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_DGRAM)
        bench.callback(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        host, port = address
        if host.endswith("255"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        if self.v6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            self.socket.bind((bind or host, port, 0, index))
            if host.startswith("ff"):
                member = socket.inet_pton(socket.AF_INET6, host) + struct.pack("@I", index)
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
            member = struct.pack("@4s4si", socket.inet_aton(host), bytes(4), index)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + member[8:])
            self.socket.bind((bind or host, port))
            if 224 <= int(host.split(".")[0]) < 240:
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)

    def send(self, data, to, ttl=8):
        """Sends; to a group or broadcast with this TTL."""
        if self.v6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
            to = (*to, 0, socket.if_nametoindex("dev0"))
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        self.socket.sendto(bytes.fromhex(data), to)

    def hear(self, timeout=WAIT, where=lambda heard: True):
        """The next datagram that `where` accepts."""
        end, others = time.monotonic() + timeout, []
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, control, _, source = self.socket.recvmsg(2048, 256)
            except TimeoutError:
                break
            ttl = next((struct.unpack("@i", value[:4])[0] for level, kind, value in control
                        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL),
                                             (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT))), None)
            heard = Heard(data, source, ttl)
            if where(heard):
                return heard
            others.append(heard)
        raise Failed(f"not heard in {timeout:.1f} s; others: {others[-5:]}")

    def all_of(self, seconds, where):
        """Everything that `where` accepts within this time."""
        found, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(Failed):
                found.append(self.hear(left, where))
        return found

    def quiet(self, where, seconds=QUIET):
        equal(self.all_of(seconds, where), [], "what should not have been heard")


def advertise(heard):
    return len(heard.data) == 5 and heard.data[:2] == b"\x05\x00"


def gwinfo(heard):
    return len(heard.data) == 3 and heard.data[:2] == b"\x03\x02"


def search_and_answer(bench, group, gateway, radius=5, interface="dev0"):
    """Searches on a group that hears nothing yet: answered on the group, then to us alone. Gives the group's ear."""
    ear = Ear(bench, group, interface)
    own = {"ff": "::", "22": "0.0.0.0"}.get(group[0][:2], DEVICE)  # a source chooses the interface of a broadcast
    asker = Ear(bench, (own, 0), interface)
    start = time.monotonic()
    asker.send(f"0301{radius:02x}", group)
    answer = ear.hear(where=gwinfo)
    equal((answer.data.hex(), answer.host, answer.port), ("030207", gateway, PORT), f"GWINFO on {group}")
    if radius:
        equal(answer.ttl, radius, "TTL of the answer: the radius of the search")
    asker.quiet(gwinfo, 0.2)
    asker.send(f"0301{radius:02x}", group)
    answer = asker.hear(where=gwinfo)
    equal((answer.data.hex(), answer.host, answer.port), ("030207", gateway, PORT), "GWINFO to the searcher")
    ear.quiet(gwinfo)
    check(time.monotonic() - start < 5, "the machine is too slow to tell what happens within five seconds")
    return ear, asker, start


def watch(bench, topic):
    """An MQTT client of the gateway that runs here, subscribed to this topic."""
    watcher = RawMqtt("127.0.0.1", 1883)
    bench.callback(watcher.close)
    watcher.send(connect_packet("watcher"))
    watcher.expect(CONNACK, "CONNACK")
    watcher.send(subscribe_packet(1, (topic, 0)))
    watcher.expect(bytes.fromhex("9003000100"), "SUBACK")
    return watcher


# cases -----------------------------------------------------------------------------------------------------------


@case
def advertise_is_heard_at_the_start_and_every_period_from_the_service_port(bench):
    ear = Ear(bench, GROUP)
    period, ttl = "mqtt.sn.advertise_duration=2", "mqtt.sn.group_ttl=3"
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7", period, ttl, "workers=3")  # one of which announces
    gateway.log.line(r"listening: MQTT-SN discovery on 225\.1\.1\.1:1883 \(decoy1, gw0, lo\)")
    times = []
    for _ in range(3):
        heard = ear.hear(5, advertise)
        times.append(time.monotonic())
        equal((heard.data.hex(), heard.host, heard.port, heard.ttl), ("0500070002", GATEWAY, PORT, 3), "ADVERTISE")
    for early, late in zip(times, times[1:]):
        check(1.8 < late - early < 3, f"{late - early:.2f} s between two, 2 s are set")


@case
def a_gateway_on_loopback_announces_nothing_unless_it_is_told_to(bench):
    ears = [Ear(bench, GROUP, "lo"), Ear(bench, GROUP, "dev0")]
    shy = Gateway(bench, "mqtt.sn.advertise_duration=1", here=True, bind=None)
    for ear in ears:
        ear.quiet(advertise, 1.3)
    shy.stop()
    Gateway(bench, "mqtt.sn.groups=225.1.1.1", "mqtt.sn.advertise_duration=1", here=True, bind=("127.0.0.1",))
    heard = ears[0].hear(where=advertise)
    equal((heard.host, heard.port), ("127.0.0.1", PORT), "source of ADVERTISE on loopback")


@case
def a_search_on_the_group_is_answered_on_it_once_in_five_seconds(bench):
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7", "mqtt.sn.group_ttl=2")
    gateway.log.line("discovery on")
    ear, asker, start = search_and_answer(bench, GROUP, GATEWAY)
    said = rf"SEARCHGW from {re.escape(DEVICE)}:\d+ answered with GWINFO id 7"
    said += rf" from {re.escape(GATEWAY)}:{PORT}"
    gateway.log.line(said + r" on group 225\.1\.1\.1:1883")
    gateway.log.line(said + ", to it alone")
    time.sleep(max(0.0, start + 5.1 - time.monotonic()))  # the passing of time is the point here
    asker.send("030100", GROUP)
    answer = ear.hear(where=gwinfo)
    equal((answer.host, answer.ttl), (GATEWAY, 2), "after five seconds the group again; radius 0 is the TTL that is set")


@case
def a_unicast_search_is_answered_from_the_address_that_was_asked(bench):
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7")
    gateway.log.line("discovery on")
    group = Ear(bench, GROUP)
    group.all_of(QUIET, advertise)  # the first announcements
    for host, any_host in ((GATEWAY, "0.0.0.0"), (GATEWAY_2, "0.0.0.0"), (GATEWAY_6, "::"), (GATEWAY_LOCAL_6, "::")):
        asker = Ear(bench, (any_host, 0))
        asker.send("030105", (host, PORT))
        answer = asker.hear()
        equal((answer.data.hex(), answer.host, answer.port), ("030207", host, PORT), f"GWINFO asked of {host}")
        source = re.escape(DEVICE) if any_host == "0.0.0.0" else "(fd77|fe80)::2"
        gateway.log.line(rf"SEARCHGW from \[?{source}.*answered with GWINFO id 7 from \[?{re.escape(host)}\]?:{PORT}, to it alone")
    group.quiet(gwinfo)


@case
def coap_is_answered_from_the_address_that_was_asked_too(bench):
    Gateway(bench, "lwm2m.bind=0.0.0.0,::")
    for host, any_host in ((GATEWAY_2, "0.0.0.0"), (GATEWAY, "0.0.0.0"), (GATEWAY_6, "::"), (GATEWAY_LOCAL_6, "::")):
        asker = Ear(bench, (any_host, 0))
        asker.send("4000beef", (host, 5683))  # CoAP ping: an empty confirmable message
        answer = asker.hear()
        equal((answer.data.hex(), answer.host, answer.port), ("7000beef", host, 5683), f"reset from {host}")


@case
def ipv6_groups_are_served_the_same_way(bench):
    ears = [Ear(bench, ("ff02::1", 1883)), Ear(bench, ("ff03::7", 5000))]
    gateway = Gateway(
        bench, "mqtt.sn.gateway_id=7", "mqtt.sn.groups=ff02::1%gw0,[ff03::7]:5000", "mqtt.sn.advertise_duration=1",
        bind=("::",),
    )
    gateway.log.line(r"discovery on \[ff02::1\]:1883 \(gw0\)")
    for ear, source in zip(ears, (GATEWAY_LOCAL_6, GATEWAY_6)):
        for _ in range(2):
            heard = ear.hear(where=advertise)
            equal((heard.data.hex(), heard.host, heard.port, heard.ttl), ("0500070001", source, PORT, 1), "ADVERTISE")
    search_and_answer(bench, ("ff02::1", 1883), GATEWAY_LOCAL_6)
    search_and_answer(bench, ("ff03::7", 5000), GATEWAY_6, radius=9)


@case
def broadcasts_are_groups_too(bench):
    everyone, network = Ear(bench, ("255.255.255.255", 1883)), Ear(bench, ("10.77.0.255", 1885))
    gateway = Gateway(
        bench, "mqtt.sn.gateway_id=7", "mqtt.sn.groups=255.255.255.255,10.77.0.255:1885", bind=("0.0.0.0",)
    )
    gateway.log.line("discovery on 10.77.0.255:1885")
    for ear in (everyone, network):
        heard = ear.hear(where=advertise)
        equal((heard.data.hex(), heard.host, heard.port), ("0500070384", GATEWAY, PORT), "ADVERTISE")
    search_and_answer(bench, ("255.255.255.255", 1883), GATEWAY)
    search_and_answer(bench, ("10.77.0.255", 1885), GATEWAY)


@case
def a_group_on_the_service_port_itself_works(bench):
    groups = "255.255.255.255:1884,225.1.1.1:1884,[ff02::1%gw0]:1884"
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7", f"mqtt.sn.groups={groups}")
    gateway.log.line(r"discovery on \[ff02::1\]:1884")
    search_and_answer(bench, ("255.255.255.255", PORT), GATEWAY)
    search_and_answer(bench, ("225.1.1.1", PORT), GATEWAY)
    search_and_answer(bench, ("ff02::1", PORT), GATEWAY_LOCAL_6)


@case
def only_discovery_is_heard_on_a_group(bench):
    gateway = Gateway(bench, here=True, bind=(DEVICE,))
    gateway.log.line("discovery on")
    watcher = watch(bench, "ab")
    asker = Ear(bench, (DEVICE, 0))
    for number, to in ((1, GROUP), (2, (DEVICE, PORT))):
        asker.send("080c62" + b"ab".hex() + f"0000{number:02x}", to)  # PUBLISH, QoS -1, short name
        asker.quiet(lambda heard: True)
    equal(watcher.packet(), publish_packet("ab", b"\2"), "what was published")
    asker.send("08040401003c6331", GROUP)  # CONNECT
    asker.quiet(lambda heard: True)
    asker.send("08040401003c6331", (DEVICE, PORT))
    equal(asker.hear().data.hex(), "030500", "CONNACK")


@case
def a_standby_gateway_takes_over_and_gives_back(bench):
    ear = Ear(bench, GROUP)
    period = "mqtt.sn.advertise_duration=1"
    first = Gateway(bench, "mqtt.sn.gateway_id=1", period)
    ear.hear(where=advertise)
    standby = Gateway(bench, "mqtt.sn.gateway_id=2", "mqtt.sn.standby_for=1", period, here=True, bind=(DEVICE,))
    standby.log.line("discovery on")
    ids = {heard.data[2] for heard in ear.all_of(2.5, advertise)}
    equal(ids, {1}, "gateways that announce themselves while the first is there")
    asker = Ear(bench, ("0.0.0.0", 0))
    asker.send("030101", GROUP)
    equal(ear.hear(where=gwinfo).data.hex(), "030201", "GWINFO on the group")
    ear.quiet(lambda heard: gwinfo(heard) and heard.data[2] == 2)
    asker.send("030101", (DEVICE, PORT))
    equal(asker.hear(where=gwinfo).data.hex(), "030202", "who asks the one in stand-by is answered")

    first.stop()
    gone = time.monotonic()
    taken = ear.hear(6, lambda heard: advertise(heard) and heard.data[2] == 2)
    check(time.monotonic() - gone > 1.5, f"took over {time.monotonic() - gone:.2f} s after the first was gone")
    equal((taken.host, taken.port), (DEVICE, PORT), "source of the ADVERTISE")
    standby.log.line("gateway 1 is not heard any more: this one takes over")
    asker.send("030101", GROUP)
    equal(ear.hear(where=gwinfo).data.hex(), "030202", "GWINFO on the group after the change")

    Gateway(bench, "mqtt.sn.gateway_id=1", period)
    standby.log.line("gateway 1 is heard again: this one stands by")
    ear.all_of(0.3, advertise)
    ids = {heard.data[2] for heard in ear.all_of(2.5, advertise)}
    equal(ids, {1}, "gateways that announce themselves after the first came back")


@case
def forwarders_hear_announcements_and_searches_behind_them_are_answered(bench):
    forwarder = Ear(bench, (DEVICE, 4000))
    Gateway(
        bench, "mqtt.sn.gateway_id=7", f"mqtt.sn.forwarders={DEVICE}", "mqtt.sn.advertise_duration=1",
        f"mqtt.sn.advertise_to_forwarders={DEVICE}:4000", "mqtt.sn.groups=[]",
    )
    for _ in range(2):
        heard = forwarder.hear()
        equal((heard.data.hex(), heard.host, heard.port), ("03fe000500070001", GATEWAY, PORT), "ADVERTISE in FE")
    forwarder.send("05fe01aabb 030102", (GATEWAY, PORT))
    answer = forwarder.hear(where=lambda heard: heard.data[1] == 0xFE and heard.data[-3:-1] == b"\x03\x02")
    equal(answer.data.hex(), "05fe02aabb030207", "GWINFO in FE")
    Ear(bench, GROUP).quiet(advertise, 1.3)


@case
def pahos_gateway_tester_finds_the_gateway_also_on_the_same_machine(bench):
    """It searches from a socket on the group's port itself, hears its own question there, and talks to the source
    of the GWINFO; it supervises ADVERTISE and subscribes to a list right after CONNACK."""
    for here, gateway_at in ((False, GATEWAY), (True, DEVICE)):
        bind = (gateway_at,)
        gateway = Gateway(bench, "mqtt.sn.gateway_id=7", "mqtt.sn.advertise_duration=1", here=here, bind=bind)
        gateway.log.line("discovery on")
        tester = Ear(bench, GROUP, bind="0.0.0.0")
        tester.send("030100", GROUP)
        own = tester.hear(where=lambda heard: heard.data.hex() == "030100")
        equal(own.host, DEVICE, "its own question, heard back")
        info = tester.hear(where=gwinfo)
        equal((info.data.hex(), info.host, info.port), ("030207", gateway_at, PORT), "GWINFO")
        device = Ear(bench, (DEVICE, 0))
        there = (info.host, info.port)
        device.send("0e0404010384" + b"tester-1".hex(), there)
        equal(device.hear().data.hex(), "030500", "CONNACK")
        device.send("0c12200001" + b"aa/bb/c".hex(), there)
        device.send("0712220002" + b"cc".hex(), there)
        name, short = device.hear().data.hex(), device.hear().data.hex()
        equal((name[:6], name[-6:]), ("081320", "000100"), "SUBACK of a name")
        equal(short, "0813200000000200", "SUBACK of a short name")
        for _ in range(2):
            heard = tester.hear(1.6, advertise)
            equal((heard.host, heard.port), there, "source of ADVERTISE: the gateway that it knows")
        device.send("0418000a", there)  # sleep
        equal(device.hear().data.hex(), "0218", "DISCONNECT")
        device.send("0216", there)
        equal(device.hear().data.hex(), "0217", "PINGRESP to its short PINGREQ, asleep")
        gateway.stop()


@case
def an_interface_may_come_late_and_go(bench):
    gateway = Gateway(
        bench, "mqtt.sn.gateway_id=7", "mqtt.sn.groups=225.1.1.1%late1,225.1.1.1%gw0:1900", "mqtt.sn.advertise_duration=1"
    )
    gateway.log.line(r"group 225\.1\.1\.1%late1: there is no interface late1 that is up; tried again every 5 s")
    other = Ear(bench, ("225.1.1.1", 1900))
    other.hear(where=advertise)
    NETWORK.cable("late0", ["10.78.0.2/24"], "late1", ["10.78.0.1/24"])
    bench.callback(lambda: "late0" in NETWORK.ip("link") and NETWORK.cut("late0"))
    ear = Ear(bench, GROUP, "late0")
    heard = ear.hear(8, advertise)
    equal((heard.host, heard.port), ("10.78.0.1", PORT), "source of ADVERTISE on the new interface")
    gateway.log.line(r"discovery on 225\.1\.1\.1:1883 \(late1\)")
    NETWORK.cut("late0")
    gateway.log.line(r"group 225\.1\.1\.1:1883: late1 is gone")
    other.all_of(0.1, advertise)
    other.hear(where=advertise)
    gateway.is_up()


@case
def a_group_without_a_route_is_one_line_and_is_tried_again(bench):
    route = "ff00::/8 dev gw0 table local"
    NETWORK.ip(f"-6 route del multicast {route}", NETWORK.there)
    bench.callback(lambda: "ff00::" in NETWORK.ip("-6 route show table local dev gw0", NETWORK.there)
                   or NETWORK.ip(f"-6 route add multicast {route}", NETWORK.there))
    ear = Ear(bench, ("ff02::1", 1883))
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7", "mqtt.sn.groups=ff02::1%gw0")
    gateway.log.line(r"group \[ff02::1\]:1883 on gw0: cannot send, to be tried again: Network is unreachable")
    ear.quiet(advertise)
    NETWORK.ip(f"-6 route add multicast {route}", NETWORK.there)
    equal(ear.hear(17, advertise).host, GATEWAY_LOCAL_6, "source of ADVERTISE, 15 minutes before it is due")
    gateway.stop()
    lines = list(iter(gateway.log.lines.get, None))
    equal([line for line in lines if "cannot send" in line], [], "further lines about it")


@case
def what_the_kernel_drops_is_counted_under_sys(bench):
    gateway = Gateway(bench, "sys.interval=1", here=True, bind=("127.0.0.1",))
    watcher = watch(bench, "$SYS/gateway/udp/dropped/kernel")
    check(watcher.packet().endswith(b"/kernel0"), "something was dropped before")
    flood = Ear(bench, ("127.0.0.1", 0), "lo")
    for port in (PORT, 5683):
        gateway.process.send_signal(signal.SIGSTOP)
        for _ in range(30_000):  # the buffer of 4 MiB holds some 10 000
            flood.send("ffff", ("127.0.0.1", port))
        gateway.process.send_signal(signal.SIGCONT)
        dropped = int(watcher.packet().rsplit(b"kernel", 1)[1])
        check(1_000 < dropped < 60_000, f"{dropped} dropped")


@case
def a_port_that_somebody_does_not_share_is_named_and_tried_again(bench):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind(GROUP)
        gateway = Gateway(bench, "mqtt.sn.gateway_id=7", here=True, bind=(DEVICE,))
        gateway.log.line(r"group 225\.1\.1\.1:1883 on dev0: port 1883 is held by a program that does not share it; try")
        asker = Ear(bench, (DEVICE, 0))
        asker.send("030100", (DEVICE, PORT))
        equal(asker.hear().data.hex(), "030207", "GWINFO of a gateway without its group")
    gateway.log.line(r"discovery on 225\.1\.1\.1:1883 \(dev0\)")
    Ear(bench, GROUP)
    search_and_answer(bench, GROUP, DEVICE)


@case
def another_gateway_with_our_id_is_warned_of_and_we_ourselves_are_not(bench):
    gateway = Gateway(bench, "mqtt.sn.gateway_id=7", "mqtt.sn.advertise_duration=1")
    ear = Ear(bench, GROUP)
    for _ in range(2):
        ear.hear(where=advertise)
    forger = Ear(bench, (DEVICE, 2000))
    forger.send("0500080384", GROUP)
    forger.send("0500070384", GROUP)
    seen = gateway.log.line("own gateway id")
    check(f"{DEVICE}:2000" in seen and " WARN " in seen, f"the first line about it: {seen!r}")


@case
def groups_follow_a_reload(bench):
    with tempfile.TemporaryDirectory(prefix="turnstone-") as folder:
        config = os.path.join(folder, "t.toml")

        def write(groups):
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"mqtt.sn.groups = {json.dumps(groups)}\nmqtt.sn.advertise_duration = 1\n")

        write(["225.1.1.1"])
        old, new = Ear(bench, GROUP), Ear(bench, ("225.1.1.9", 1883))
        gateway = Gateway(bench, config=config)
        old.hear(where=advertise)
        write(["225.1.1.9"])
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.line(r"discovery on 225\.1\.1\.9:1883")
        new.hear(where=advertise)
        old.all_of(0.2, advertise)
        old.quiet(advertise, 1.3)
        write(["225.1.1.9", "10.0.0.1", "eth0"])
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.line("10.0.0.1.*neither a multicast nor a broadcast")
        gateway.log.line("eth0.*is not an address")
        gateway.log.line("the settings from before stay")
        new.all_of(0.2, advertise)
        new.hear(where=advertise)


@case
def the_search_tool_lists_every_gateway(bench):
    Gateway(bench, "mqtt.sn.gateway_id=7", "mqtt.sn.groups=225.1.1.1,255.255.255.255:1884,ff02::1%gw0,10.77.0.255")
    last = Gateway(bench, "mqtt.sn.gateway_id=9", here=True, bind=(DEVICE,))
    last.log.line("discovery on")

    def search(*options):
        lines = run_program(SERVER, "sn", "ls", "--timeout", "1", "--json", *options).splitlines()
        return sorted((found["gateway_id"], found["address"]) for found in map(json.loads, lines))

    both = [(7, f"{GATEWAY}:{PORT}"), (9, f"{DEVICE}:{PORT}")]
    decoy = (7, f"10.79.0.1:{PORT}")  # the same gateway, by the other cable
    equal(search("--group", "225.1.1.1"), sorted([*both, decoy]), "gateways on multicast")
    equal(search("--group", "225.1.1.1%dev0", "--radius", "0"), both, "at once again: answered to the tool alone")
    equal(search("--group", "255.255.255.255:1884"), sorted([both[0], decoy]), "gateways on broadcast")
    equal(search("--group", "10.77.0.255"), both[:1], "gateways on the network's broadcast address")
    equal(search("--group", "ff02::1%dev0"), [(7, f"[fe80::1%{socket.if_nametoindex('dev0')}]:{PORT}")], "on IPv6")
    equal(search("-h", GATEWAY), both[:1], "the gateway that is asked alone")
    run_program(SERVER, "sn", "search", "--timeout", "0.3", "--group", "225.9.9.9", status=4)
    run_program(SERVER, "sn", "search", "--timeout", "0.3", "--group", "225.9.9.9%nope0", status=3)
    run_program(SERVER, "sn", "search", "--timeout", "0.3", "--group", "10.0.0.1", status=2)


if __name__ == "__main__":
    if not os.environ.get(INSIDE):
        enter_own_network()
    try:
        NETWORK = Network()
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        skip(f"{error} {output.decode(errors='replace').strip()}")
    main(__doc__, limit=240)
