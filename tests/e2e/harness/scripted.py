"""An upstream that follows a script of the test, connection by connection: over TCP or a Unix socket, with TLS or without."""

import socket
import ssl
import struct
from contextlib import suppress

from . import raw_upstream
from .sockets import SocketServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Connection:
    """An accepted connection, with what a script can do with it."""

    def __init__(self, wire):
        self.wire = wire
        self._stream = wire.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()

    def head(self):
        """The next request without its body, or `None` when the peer has closed the connection."""
        lines = raw_upstream.head(self._stream)
        if not lines:
            return None
        line, *fields, _end = lines
        pairs = [field.split(b":", 1) for field in fields]
        return raw_upstream.Request(line.rstrip(b"\r\n"), [(name, value.strip()) for name, value in pairs])

    def request(self):
        """The next request with its body, or `None` when the peer has closed the connection."""
        lines = raw_upstream.head(self._stream)
        return raw_upstream.read(lines, self._stream) if lines else None

    def read(self, count):
        return self._stream.read(count)

    def line(self):
        return self._stream.readline()

    def rest(self):
        """Waits until the peer closes the connection."""
        with suppress(ConnectionError):
            while self._stream.read(65536):
                pass

    def send(self, data):
        self.wire.sendall(data)

    def reset(self):
        """Makes the connection end with a reset."""
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(response=OK):
    """A script that answers every request with this response."""

    def script(connection):
        while connection.request():
            connection.send(response)

    return script


class ScriptedUpstream(SocketServer):
    """A server on `url`. The first connection follows the first of `scripts` and so on; further ones follow the last.
    `connections` has the accepted connections, `seen` what scripts put there."""

    def __init__(self, *scripts, **options):
        self._scripts = scripts
        self.connections = []
        self.seen = []
        self.failures = []
        """Exceptions of scripts, other than that the peer closed the connection."""
        super().__init__(**options)

    def serve(self, wire):
        try:
            with Connection(wire) as connection:
                self.connections.append(connection)
                script = self._scripts[min(len(self.connections), len(self._scripts)) - 1]
                script(connection)
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
