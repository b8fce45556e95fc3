"""The library and command line of emqxlwm2m 0.6.0, unchanged, against a device played by aiocoap.

Runs in an environment of its own (older paho); DEVICE_PYTHON names the Python that has aiocoap.
"""

import logging
import subprocess
import sys

from common import case, check, equal, main, run_program, start_device


class Session:
    """An emqxlwm2m engine with one endpoint."""

    def __init__(self, bench, ep):
        from emqxlwm2m.engines.emqx import EMQxEngine

        self.engine = EMQxEngine.via_mqtt(host=bench.host, port=bench.mqtt_port, timeout=10)
        bench.enter_context(self.engine)
        self.endpoint = self.engine.endpoint(ep)


def session(bench, name, *options):
    device, ep = start_device(bench, name, *options)
    return device, Session(bench, ep).endpoint


@case
def read_resource_and_instance(bench):
    _, endpoint = session(bench, "read")
    equal(endpoint.read("/3/0/0").value, "ACME")
    values = endpoint.read("/3/0").data
    equal(values["/3/0/0"], "ACME")
    equal(values["/3/0/9"], 97)


@case
def write_resource_and_several(bench):
    device, endpoint = session(bench, "write")
    endpoint.write("/3/0/14", "+01:00").check()
    device.line(r"^changed /3/0/14 \+01:00")
    endpoint.write("/1/0/1", 60).check()
    device.line(r"^changed /1/0/1 60")
    endpoint.write("", {"/3/0/13": 1800000000, "/3/0/14": "Z"}).check()
    device.line(r"^changed /3/0/14 Z")


@case
def write_attributes_leaves_unnamed_ones_alone(bench):
    device, endpoint = session(bench, "attr")
    endpoint.write_attr("/3/0/9", pmin=60, st=5.5).check()
    line = device.line(r"^PUT /3/0/9 ")
    check("pmin=60" in line and "st=5.5" in line, line)
    check("pmax" not in line and "gt" not in line and "lt" not in line, line)


@case
def execute_discover_create_delete(bench):
    device, endpoint = session(bench, "ops")
    endpoint.execute("/3/0/4", "2,7").check()
    device.line(r"^executed /3/0/4 2,7")
    check("/3/0/9" in endpoint.discover("/3/0").data, "Discover lacks /3/0/9")
    endpoint.create("", {"/3303/1/5700": 1.5}).check()
    device.line(r"^created /3303")
    endpoint.delete("/3303/1").check()
    device.line(r"^DELETE /3303/1")


@case
def observe_brings_notifications_until_cancelled(bench):
    device, endpoint = session(bench, "observe")
    response = endpoint.observe("/3/0/9")
    equal(response.value, 97)
    for value in (80, 70):
        device.tell(f"set /3/0/9 {value}")
        notification = response.notifications.get(timeout=10)
        equal(notification.value, value)
    endpoint.cancel_observe("/3/0/9").check()
    device.line(r"^observe-cancelled /3/0/9")


@case
def registrations_and_updates_are_events(bench):
    device, endpoint = session(bench, "events")
    updates = endpoint.updates()
    device.tell("update lt=120")
    update = updates.get(timeout=10)
    equal(int(update.lt), 120)
    check("/3/0" in [str(path) for path in update.object_list], f"object list is {update.object_list}")


@case
def error_codes_are_understood(bench):
    from emqxlwm2m import ResponseError

    _, endpoint = session(bench, "errors")
    equal(endpoint.read("/3/0/99").code.value, "4.04")
    try:
        endpoint.read("/3/0/99").check()
    except ResponseError:
        return
    check(False, "4.04 passed for a success")


@case
def command_line_reads(bench):
    _, ep = start_device(bench, "cli")
    where = ("--host", bench.host, "--port", str(bench.mqtt_port), "--timeout", "10")
    try:
        output = run_program(sys.executable, "-m", "emqxlwm2m", *where, "read", ep, "/3/0/0", timeout=30)
    except subprocess.TimeoutExpired as error:
        check(False, f"emqxlwm2m did not end: {error.output}")
    check("ACME" in output, f"emqxlwm2m printed {output!r}")


if __name__ == "__main__":
    # It subscribes to all topics of the endpoint and logs a traceback for each message that EMQX does not know.
    logging.disable(logging.CRITICAL)
    main(__doc__, limit=240)
