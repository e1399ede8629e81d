"""An authenticator in Python that does what the header `X-Do` says. What it finds becomes the attribute `found`."""

import json
import os
import random
import secrets
import socket
import sys
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.portcullis_auth_types import Grant, Refusal_NotMine, User


configured = None
"""What the deed that the setting `configure` names has found."""


class Authenticator(exports.Authenticator):
    def settings_schema(self):
        return json.dumps({"properties": {"fail": {"type": "string"}, "configure": {"type": "string"}}})

    def configure(self, settings):
        global configured
        settings = json.loads(settings)
        if "fail" in settings:
            raise ValueError(settings["fail"])
        if "configure" in settings:
            configured = DEEDS[settings["configure"]]()

    def authenticate(self, request):
        words = b"".join(request.header("x-do")).decode().split()
        if words in ([], ["not-mine"]):
            raise Err(Refusal_NotMine(None))
        deed, *arguments = words
        try:
            found = json.dumps(DEEDS[deed](*arguments))
        except OSError as error:
            found = f"denied: {type(error).__name__}"
        return Grant(User("prober", [], False, [("found", found)]), None, [])


def connect(port):
    with socket.socket() as client:
        client.connect(("127.0.0.1", int(port)))


def send(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", int(port)))


def fail(*why):
    raise ValueError(" ".join(why))


def say(*what):
    print(*what)
    print(*what, file=sys.stderr)


def write(path):
    with open(path, "w") as file:
        file.write("x")


DEEDS = {
    "connect": connect,
    "send": send,
    "resolve": lambda name: socket.getaddrinfo(name.encode(), 80),
    "read": lambda path: open(path).read(10),
    "write": write,
    "list": os.listdir,
    "environment": lambda: dict(os.environ),
    "configured": lambda: [configured, secrets.token_hex(8)],
    "random": lambda: [random.getrandbits(64), os.urandom(8).hex()],
    "time": time.time,
    "fail": fail,
    "say": say,
}
