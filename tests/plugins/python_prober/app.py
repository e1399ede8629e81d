"""An authenticator in Python that does what the header `X-Do` says. What it finds becomes the attribute `found`."""

import importlib
import json
import os
import random
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass

import portcullis
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.portcullis_auth_types import Grant, Refusal_NotMine, User


def imported(name):
    try:
        return importlib.import_module(name)
    except Exception as error:
        return type(error).__name__


MODULES = {name: imported(name) for name in ("ctypes", "mmap", "multiprocessing", "ssl", "subprocess")}
"""Modules that lead out, or why they can't be imported. They are imported when the component is built: there are no files
later."""

configured = None
"""What the deed that the setting `configure` names has found."""


class Plugin(exports.Plugin):
    def settings_schema(self):
        return json.dumps({"properties": {"fail": {"type": "string"}, "configure": {"type": "string"}}})

    def configure(self, settings):
        global configured
        settings = json.loads(settings)
        if "fail" in settings:
            raise ValueError(settings["fail"])
        if "configure" in settings:
            configured = DEEDS[settings["configure"]]()


class Authenticator(exports.Authenticator):
    def authenticate(self, request):
        words = b"".join(request.header("x-do")).decode().split()
        if words in ([], ["not-mine"]):
            raise Err(Refusal_NotMine(None))
        deed, *arguments = words
        if deed in ("basic", "bearer"):
            arguments = [request]
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


def basic(request):
    credentials = portcullis.basic(request, portcullis.challenge("Basic", realm="prober"))
    return [credentials.user, credentials.password, repr(credentials)]


def bearer(request):
    token = portcullis.bearer(request)
    return [token[:40], len(token)]


@dataclass
class Settings:
    text: str = portcullis.setting("A text.")
    secret: portcullis.Secret = portcullis.setting("A secret.")
    whole: int = portcullis.setting("A whole number.", default=3)
    number: float = portcullis.setting("A number.", default=0.5)
    flag: bool = portcullis.setting("A flag.", default=False)
    wait: portcullis.Duration = portcullis.setting("A duration.", default="90s", requests=2)
    many: list[str] = portcullis.setting("Texts.", default=["a"])
    map: dict[str, int] = portcullis.setting("Numbers by name.", default={})
    maybe: str | None = portcullis.setting("A URL, or none.", default=None, grant="http")


def settings(text):
    try:
        read = portcullis.read_settings(Settings, text)
    except portcullis.SettingsError as error:
        return str(error)
    shown = {name: getattr(read, name) for name in ("text", "whole", "number", "flag", "wait", "many", "map", "maybe")}
    return shown | {"secret": str(read.secret), "exposed": read.secret.expose()}


def way(number, path, port):
    """What came of the way out with this number."""
    try:
        return f"reached: {list(ways_out(path, int(port)).values())[int(number)]()!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def ways_out(path, port):
    """Every way that Python has out of the sandbox."""

    def listen(kind):
        with socket.socket(socket.AF_INET, kind) as server:
            server.bind(("127.0.0.1", 0))
            return server.getsockname()

    def import_from(folder):
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        return importlib.import_module("stranger")

    return {
        "open": lambda: open(path).read(),
        "open by descriptor": lambda: os.read(os.open(path, os.O_RDONLY), 10),
        "open from a folder": lambda: os.open("x", os.O_RDONLY, dir_fd=3),
        "read descriptor 3": lambda: os.read(3, 10),
        "read descriptor 4": lambda: os.read(4, 10),
        "read standard input": lambda: {b"": 1 / 0}.get(os.read(0, 10)),
        "write": lambda: open(f"{path}.new", "w").write("x"),
        "list /": lambda: os.listdir("/"),
        "list .": lambda: os.listdir("."),
        "list /proc/self/fd": lambda: os.listdir("/proc/self/fd"),
        "stat": lambda: os.stat(path),
        "stat /": lambda: os.stat("/"),
        "link": lambda: os.symlink(path, "/link"),
        "rename": lambda: os.rename(path, "/renamed"),
        "remove": lambda: os.remove(path),
        "make a folder": lambda: os.mkdir("/folder"),
        "make a temporary file": lambda: tempfile.TemporaryFile(),
        "copy": lambda: shutil.copy(path, "/copy"),
        "change the folder": lambda: os.chdir("/etc"),
        "the environment of the process": lambda: open("/proc/self/environ").read(),
        "a device": lambda: open("/dev/null").read(),
        "map a file": lambda: MODULES["mmap"].mmap(3, 10),
        "run": lambda: MODULES["subprocess"].run(["/bin/true"]),
        "run in a shell": lambda: {0: "ran"}[os.system("true")],
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "fork": lambda: os.fork(),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "another process": lambda: MODULES["multiprocessing"].Process(target=print).start(),
        "a thread": lambda: threading.Thread(target=print).start(),
        "kill": lambda: os.kill(1, 15),
        "load a library": lambda: MODULES["ctypes"].CDLL("libc.so.6"),
        "import from a folder": lambda: import_from(path.rpartition("/")[0]),
        "import what isn't built in": lambda: importlib.import_module("numpy"),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 1),
        "connect by name": lambda: socket.create_connection(("localhost", port), 1),
        "connect over IPv6": lambda: socket.create_connection(("::1", port), 1),
        "send a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
        "listen": lambda: listen(socket.SOCK_STREAM),
        "receive datagrams": lambda: listen(socket.SOCK_DGRAM),
        "a socket of a file": lambda: socket.socket(socket.AF_UNIX).connect(path),
        "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW),
        "resolve": lambda: socket.getaddrinfo("example.org", 80),
        "the host's name": lambda: socket.gethostbyname(socket.gethostname()),
        "urllib": lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1),
        "urllib with a file": lambda: urllib.request.urlopen(f"file://{path}"),
        "a server that isn't granted": lambda: portcullis.fetch(f"http://127.0.0.1:{port}/"),
        "an environment variable": lambda: os.environ["PROBER_SECRET"],
        "the user": lambda: os.getlogin(),
    }


DEEDS = {
    "basic": basic,
    "bearer": bearer,
    "settings": settings,
    "schema": lambda: json.loads(portcullis.settings_schema(Settings)),
    "ways": lambda: list(ways_out("", 0)),
    "way": way,
    "log": portcullis.log,
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
