"""An HTTP client that sends requests byte for byte. It follows no redirects, stores no cookies and normalises nothing.

A library that tidies paths, joins headers or keeps cookies would hide what these tests are about.
"""

import base64
import http.client
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import websockets.exceptions
import websockets.sync.client

TIMEOUT_SECONDS = 30


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def all(self, name):
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def schemes(self):
        """The scheme of every challenge, one `WWW-Authenticate` header each."""
        return [value.split(" ")[0] for value in self.all("www-authenticate")]

    def set_cookies(self):
        """Name and value of every cookie that was set."""
        return dict(value.split(";")[0].split("=", 1) for value in self.all("set-cookie"))


def connect(base, context=None):
    """A connection to `base`. `context` is the TLS context for https."""
    address = urlsplit(base)
    if address.scheme == "https":
        return http.client.HTTPSConnection(address.hostname, address.port, timeout=TIMEOUT_SECONDS, context=context)
    return http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_SECONDS)


def begin(connection, method, target, headers):
    """Sends a request's head. `headers`: pairs, or a mapping; a value is `str` (Latin-1) or `bytes`."""
    connection.putrequest(method, target, skip_host=_names(headers, "host"), skip_accept_encoding=True)
    for name, value in _pairs(headers):
        connection.putheader(name, value)
    connection.endheaders()


def send(base, target="/", headers=(), method="GET", body=None, context=None):
    """One request on a new connection, and the whole answer."""
    connection = connect(base, context)
    try:
        headers = _pairs(headers)
        if body is not None:
            headers = [*headers, ("Content-Length", str(len(body)))]
        begin(connection, method, target, headers)
        if body:
            connection.send(body)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def send_over(wire, target="/", headers=(), before=b""):
    """One request over a connected socket, and the whole answer. `before` is sent first."""
    with wire:
        wire.settimeout(TIMEOUT_SECONDS)
        wire.sendall(before)
        connection = http.client.HTTPConnection("gateway.test")
        connection.sock = wire
        begin(connection, "GET", target, headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())


def open_unix(path):
    """A connection to a Unix socket."""
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(TIMEOUT_SECONDS)
    try:
        wire.connect(str(path))
    except OSError:
        wire.close()
        raise
    return wire


def open_tcp(address):
    """A connection to `HOST:PORT`, an IPv6 host in brackets."""
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT_SECONDS)


def received(wire):
    """Everything until the peer closes or resets the connection."""
    parts = []
    with suppress(ConnectionResetError):
        while part := wire.recv(65536):
            parts.append(part)
    return b"".join(parts)


def open_websocket(url, headers=(), **options):
    """A WebSocket to an address of http or https, once it is open."""
    address = "ws" + url.removeprefix("http")
    options |= {"additional_headers": dict(headers), "open_timeout": TIMEOUT_SECONDS, "proxy": None}
    return websockets.sync.client.connect(address, **options)


def is_closed(socket):
    """Whether the peer of a WebSocket, which sends nothing more, closes it within the time of the tests."""
    try:
        socket.recv(20)
    except websockets.exceptions.ConnectionClosed:
        return True
    except TimeoutError:
        return False
    raise AssertionError("a message came")


def exchange(base, request):
    """Sends raw bytes and returns the status of the answer, for requests that no client would send."""
    with open_tcp(urlsplit(base).netloc) as wire:
        wire.sendall(request)
        response = http.client.HTTPResponse(wire)
        response.begin()
        return response.status


def converse(base, request):
    """Sends raw bytes and returns everything until the peer closes the connection."""
    with open_tcp(urlsplit(base).netloc) as wire:
        wire.sendall(request)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def basic(user, password="", encoding="utf-8"):
    """A header with Basic credentials."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()}


ALICE = basic("alice")
"""Credentials of alice for the built-in `simple`."""


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def _pairs(headers):
    return list(headers.items()) if isinstance(headers, dict) else list(headers)


def _names(headers, wanted):
    return any(name.lower() == wanted for name, _ in _pairs(headers))
