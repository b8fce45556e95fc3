"""libcoap's coap-client and bare datagrams against the LwM2M listener."""

import os
import socket

from common import WAIT, case, check, equal, find_program, main, run_program


def coap(bench, method, path, *options, payload=None):
    """What coap-client prints for one request."""
    program = find_program("coap-client-notls", "coap-client")
    extra = () if payload is None else ("-e", payload)
    url = f"coap://{bench.host}:{bench.coap_port}{path}"
    return run_program(program, "-v", "6", "-B", "5", "-m", method, *options, *extra, url)


def exchange(bench, datagram):
    """The answer to one datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(WAIT)
        udp.connect((bench.host, bench.coap_port))
        udp.send(datagram)
        return udp.recv(2048)


@case
def ping_is_answered_with_reset(bench):
    """RFC 7252 §4.3"""
    equal(exchange(bench, bytes.fromhex("40001234")).hex(), "70001234")


@case
def unknown_path_is_not_found(bench):
    output = coap(bench, "get", "/nothing/here")
    check("4.04" in output, f"coap-client printed {output!r}")


@case
def well_known_core_is_answered(bench):
    output = coap(bench, "get", "/.well-known/core")
    check("4.04" in output or "2.05" in output, f"coap-client printed {output!r}")


@case
def registration_by_coap_client(bench):
    ep = f"libcoap-{os.getpid()}"
    output = coap(bench, "post", f"/rd?ep={ep}&lt=60&lwm2m=1.1&b=U", "-t", "40", payload="</1/0>,</3/0>")
    check("2.01" in output, f"coap-client printed {output!r}")
    check("Location-Path" in output, f"no Location-Path in {output!r}")


@case
def registration_without_a_name_is_refused(bench):
    output = coap(bench, "post", "/rd?lt=60&lwm2m=1.1", "-t", "40", payload="</3/0>")
    check("4.00" in output, f"coap-client printed {output!r}")


@case
def get_of_the_directory_is_refused(bench):
    output = coap(bench, "get", "/rd")
    check("4.0" in output, f"coap-client printed {output!r}")


if __name__ == "__main__":
    main(__doc__)
