"""An LwM2M device played by aiocoap, run as a program so that scripts of any environment can use it.

    lwm2m_device.py --server coap://127.0.0.1:5683 --ep NAME [--tlv] [--lt 300] [--version 1.0] [--binding U] [--port N]
                    [--firmware 0|1|2] [--large BYTES]

It registers, then prints one line for everything that happens, and obeys lines on standard input:
    update [QUERY]      Update, with QUERY such as lt=60
    deregister          De-register
    set PATH VALUE      changes a resource; observers of it, or of what holds it, are notified
    quit
Without anybody to tell it something it stays until it is ended.
Objects: 1 (server), 3 (device), 3303 (temperature). Values are text; resource instances are lists. With --firmware
also 5, which takes its image by fetching it (0), by being sent it (1), or either way (2), and prints its hash.
"""

import argparse
import asyncio
import hashlib
import signal
import struct
import sys
import urllib.parse

import aiocoap
from aiocoap import Code, Message, resource

from common import die_with_parent, free_udp_port

TEXT, LINKS, OCTETS, TLV = 0, 40, 42, 11542
EXECUTABLE = {"/3/0/4", "/3/0/5", "/1/0/8"}
INTEGERS = {"/1/0/0", "/1/0/1", "/3/0/9", "/3/0/7", "/3/0/13", "/5/0/3", "/5/0/5", "/5/0/9"}
FLOATS = {"/3303/0/5700"}


def say(*words):
    print(*words, flush=True)


def parts(path):
    return [part for part in path.split("/") if part]


def tlv(kind, identifier, value):
    """One TLV record (LwM2M 1.0 §6.4.3); kind 0 object instance, 1 resource instance, 2 resource list, 3 resource."""
    head = kind << 6 | (0x20 if identifier > 0xFF else 0)
    length = len(value)
    size = 0 if length < 8 else 1 if length < 0x100 else 2 if length < 0x10000 else 3
    first = head | (length if size == 0 else size << 3)
    number = identifier.to_bytes(2 if identifier > 0xFF else 1, "big")
    return bytes([first]) + number + (length.to_bytes(size, "big") if size else b"") + value


def read_tlv(data):
    """(kind, identifier, value) of every record."""
    found, at = [], 0
    while at < len(data):
        first = data[at]
        id_size, len_size = 2 if first & 0x20 else 1, first >> 3 & 3
        identifier = int.from_bytes(data[at + 1:at + 1 + id_size], "big")
        at += 1 + id_size
        length = first & 7 if len_size == 0 else int.from_bytes(data[at:at + len_size], "big")
        at += len_size
        found.append((first >> 6, identifier, data[at:at + length]))
        at += length
    return found


class Objects(resource.ObservableResource, resource.PathCapable):
    """The device's object tree, as one resource that looks at the path itself."""

    def __init__(self, always_tlv):
        super().__init__()
        self.always_tlv = always_tlv
        self.watchers = []  # (path, observation)
        self.values = {
            "/1/0/0": "123", "/1/0/1": "300",
            "/3/0/0": "ACME", "/3/0/1": "sensor", "/3/0/2": "0815", "/3/0/7": ["3800", "5000"], "/3/0/9": "97",
            "/3/0/13": "1700000000", "/3/0/14": "+02:00", "/3303/0/5700": "21.5",
        }

    def encoded(self, path, value):
        if path in INTEGERS:
            number = int(value)
            size = next(s for s in (1, 2, 4, 8) if -(1 << (8 * s - 1)) <= number < 1 << (8 * s - 1))
            return number.to_bytes(size, "big", signed=True)
        if path in FLOATS:
            return struct.pack(">d", float(value))
        return value.encode()

    def decoded(self, path, raw):
        if path in INTEGERS:
            return str(int.from_bytes(raw, "big", signed=True))
        if path in FLOATS:
            return str(struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0])
        return raw.decode()

    def resource_tlv(self, path):
        value, identifier = self.values[path], int(parts(path)[2])
        if isinstance(value, list):
            inner = b"".join(tlv(1, number, self.encoded(path, item)) for number, item in enumerate(value))
            return tlv(2, identifier, inner)
        return tlv(3, identifier, self.encoded(path, value))

    def below(self, path):
        return [p for p in self.values if p == path or p.startswith(path + "/")]

    async def render_get(self, request):
        path, accept = "/" + "/".join(request.opt.uri_path), request.opt.accept
        say("GET", path, f"accept={None if accept is None else int(accept)}", f"observe={request.opt.observe}")
        if accept == LINKS:
            links = ",".join(f"<{p}>" for p in [path, *self.below(path)])
            return Message(payload=links.encode(), content_format=LINKS)
        found = self.below(path)
        if not found:
            return Message(code=Code.METHOD_NOT_ALLOWED if path in EXECUTABLE else Code.NOT_FOUND)
        depth = len(parts(path))
        if depth == 3 and not isinstance(self.values[path], list) and not (self.always_tlv or accept == TLV):
            return Message(payload=self.values[path].encode(), content_format=TEXT)
        body = b"".join(self.resource_tlv(p) for p in found)
        if depth == 1:
            body = tlv(0, 0, body)
        return Message(payload=body, content_format=TLV)

    async def write(self, request, method):
        path, form = "/" + "/".join(request.opt.uri_path), request.opt.content_format
        form = None if form is None else int(form)
        query = "&".join(request.opt.uri_query)
        if path in ("/5/0/0", "/5/0/1", "/5/0/2") and "/5/0/3" in self.values:
            return self.on_firmware(path, form, request.payload)
        say(method, path, f"cf={form}", f"query={query}", f"payload={request.payload.hex()}")
        depth = len(parts(path))
        if query:
            return Message(code=Code.CHANGED)
        if method == "POST" and path in EXECUTABLE:
            say("executed", path, request.payload.decode())
            return Message(code=Code.CHANGED)
        if depth == 3 and path not in self.values:
            return Message(code=Code.NOT_FOUND)
        if depth == 3 and form == TEXT:
            self.change(path, request.payload.decode())
        elif form == TLV and depth in (2, 3):
            instance = "/" + "/".join(parts(path)[:2])
            for kind, identifier, raw in read_tlv(request.payload):
                target = f"{instance}/{identifier}"
                if kind == 2:
                    self.change(target, [self.decoded(target, item) for _, _, item in read_tlv(raw)])
                else:
                    self.change(target, self.decoded(target, raw))
        elif method == "POST" and depth == 1:
            say("created", path)
            return Message(code=Code.CREATED, location_path=[parts(path)[0], "1"])
        else:
            return Message(code=Code.UNSUPPORTED_CONTENT_FORMAT)
        return Message(code=Code.CHANGED)

    def on_firmware(self, path, form, payload):
        state = self.values["/5/0/3"]
        if path == "/5/0/2":
            if state != "2":
                return Message(code=Code.METHOD_NOT_ALLOWED)
            self.change("/5/0/3", "3")
            asyncio.get_running_loop().call_later(0.2, self.updated)
        elif path == "/5/0/0" and form == OCTETS:
            self.take_image(payload)
        elif path == "/5/0/1" and form == TEXT:
            self.change("/5/0/3", "1" if payload else "0")
            if payload:
                self.fetching = asyncio.get_running_loop().create_task(self.fetch(payload.decode()))
        else:
            return Message(code=Code.UNSUPPORTED_CONTENT_FORMAT)
        return Message(code=Code.CHANGED)

    async def fetch(self, uri):
        say("fetches", uri)
        netloc = urllib.parse.urlsplit(self.server).netloc  # the way it registered, which may lead over a relay
        request = Message(code=Code.GET, uri=urllib.parse.urlsplit(uri)._replace(netloc=netloc).geturl())
        answer = await self.context.request(request).response
        if answer.code != Code.CONTENT:
            return say("fetch failed", answer.code)
        return self.take_image(answer.payload)

    def take_image(self, image):
        say("image", len(image), hashlib.sha256(image).hexdigest())
        self.change("/5/0/3", "2" if image else "0")

    def updated(self):
        self.change("/5/0/5", "1")
        self.change("/5/0/3", "0")

    async def render_put(self, request):
        return await self.write(request, "PUT")

    async def render_post(self, request):
        return await self.write(request, "POST")

    async def render_delete(self, request):
        say("DELETE", "/" + "/".join(request.opt.uri_path))
        return Message(code=Code.DELETED)

    async def add_observation(self, request, serverobservation):
        watcher = ("/" + "/".join(request.opt.uri_path), serverobservation)
        self.watchers.append(watcher)
        say("observed", watcher[0])

        def cancelled():
            self.watchers.remove(watcher)
            say("observe-cancelled", watcher[0])

        serverobservation.accept(cancelled)

    def change(self, path, value):
        self.values[path] = value
        say("changed", path, value)
        for watched, observation in self.watchers:
            if path == watched or path.startswith(watched + "/"):
                observation.trigger()


class Device:
    def __init__(self, args):
        self.args, self.location = args, None

    async def run(self):
        self.objects = Objects(self.args.tlv)
        self.objects.server = self.args.server
        if self.args.firmware is not None:
            self.objects.values |= {"/5/0/3": "0", "/5/0/5": "0", "/5/0/9": str(self.args.firmware)}
        if self.args.large:
            self.objects.values["/3303/0/5750"] = "".join(f"{n:08x}" for n in range(self.args.large // 8))
        here = ("127.0.0.1", self.args.port or free_udp_port())
        self.context = await aiocoap.Context.create_server_context(self.objects, bind=here, transports=["udp6"])
        self.objects.context = self.context
        links = "</1/0>,</3/0>,</3303/0>" + (",</5/0>" if self.args.firmware is not None else "")
        query = f"ep={self.args.ep}&lt={self.args.lt}&lwm2m={self.args.version}&b={self.args.binding}"
        answer = await self.ask(Code.POST, f"/rd?{query}", links.encode(), LINKS)
        if answer.code == Code.CREATED:
            self.location = "/" + "/".join(answer.opt.location_path)
        say("registered" if self.location else "refused", answer.code, self.location, answer.payload.decode())
        await self.obey(sys.stdin)
        await self.context.shutdown()

    async def obey(self, commands):
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), commands)
        except (OSError, ValueError):  # /dev/null or a file: nobody there
            await asyncio.Event().wait()
        while True:
            line = await reader.readline()
            if not line:
                await asyncio.Event().wait()
            command, *words = line.decode().split(maxsplit=2)
            if command == "update":
                answer = await self.ask(Code.POST, self.location + ("?" + words[0] if words else ""))
                say("updated", answer.code)
            elif command == "deregister":
                answer = await self.ask(Code.DELETE, self.location)
                say("deregistered", answer.code)
            elif command == "set":
                self.objects.change(*words)
            elif command == "quit":
                return

    async def ask(self, code, path, payload=b"", content_format=None):
        request = Message(code=code, uri=self.args.server + path, payload=payload, content_format=content_format)
        return await asyncio.wait_for(self.context.request(request).response, 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--ep", required=True)
    parser.add_argument("--lt", type=int, default=300)
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--binding", default="U")
    parser.add_argument("--port", type=int, help="the device's own UDP port; any free one if not given")
    parser.add_argument("--firmware", type=int, choices=(0, 1, 2), help="object 5, and how it takes its image")
    parser.add_argument("--large", type=int, default=0, help="bytes of the text /3303/0/5750")
    parser.add_argument("--tlv", action="store_true", help="answer single resources in TLV, not as text")
    die_with_parent()
    signal.alarm(300)  # a device that was forgotten ends by itself
    asyncio.run(Device(parser.parse_args()).run())


if __name__ == "__main__":
    main()
