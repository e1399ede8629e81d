"""An upstream that a test plays connection by connection, byte by byte: over TCP or a Unix socket, with TLS or without."""

import socket
import ssl
import struct
from contextlib import suppress

from . import raw_upstream
from .sockets import SocketServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Line:
    """A connection that was accepted, and what the test does with it."""

    def __init__(self, wire):
        self.wire = wire
        self._stream = wire.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()

    def head(self):
        """The next request without its body; none when the other side has left."""
        lines = raw_upstream.head(self._stream)
        if not lines:
            return None
        line, *fields, _end = lines
        pairs = [field.split(b":", 1) for field in fields]
        return raw_upstream.Request(line.rstrip(b"\r\n"), [(name, value.strip()) for name, value in pairs])

    def request(self):
        """The next request with its body; none when the other side has left."""
        lines = raw_upstream.head(self._stream)
        return raw_upstream.read(lines, self._stream) if lines else None

    def read(self, count):
        return self._stream.read(count)

    def line(self):
        return self._stream.readline()

    def rest(self):
        """Waits until the other side has left."""
        with suppress(ConnectionError):
            while self._stream.read(65536):
                pass

    def send(self, data):
        self.wire.sendall(data)

    def reset(self):
        """Ends the connection with a reset instead of an end."""
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(response=OK):
    """A play: every request is answered with this."""

    def play(line):
        while line.request():
            line.send(response)

    return play


class Played(SocketServer):
    """A server on `url`. The first connection is played by the first of `plays` and so on, and those after the last by
    the last. `lines` has what was accepted, `seen` what plays put there."""

    def __init__(self, *plays, **options):
        self._plays = plays
        self.lines = []
        self.seen = []
        self.failures = []
        """What went wrong in a play that wasn't that the other side had left."""
        super().__init__(**options)

    def serve(self, wire):
        try:
            with Line(wire) as line:
                self.lines.append(line)
                play = self._plays[min(len(self.lines), len(self._plays)) - 1]
                play(line)
        except (OSError, EOFError):
            raise
        except BaseException as failure:
            self.failures.append(failure)
            raise


def tls_context(files, protocols=(), clients=None):
    """TLS of a server with this certificate; with `clients`, one that demands a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if clients:
        context.load_verify_locations(clients.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
