"""Servers for hostile plugins: one that misbehaves as the path says, and one that no plugin may reach."""

import socket
import threading
import time

from . import raw_upstream
from .sockets import SocketServer

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class ForbiddenPort:
    """A port on every address of this machine to which no connection may be made."""

    def __init__(self):
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        self.server = socket.create_server(("", 0), family=family, dualstack_ipv6=dual)
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]

    def visitor(self):
        """The address of a peer that connected, or `None`. The kernel queues connections, so none is missed."""
        try:
            connection, peer = self.server.accept()
        except BlockingIOError:
            return None
        connection.close()
        return peer

    def stop(self):
        self.server.close()


class TrapServer(SocketServer):
    """A server on `address`. `requests` has the first line of every request."""

    def __init__(self):
        self.requests = []
        self.redirect = ""
        self._stopped = threading.Event()
        super().__init__()

    def stop(self):
        self._stopped.set()
        super().stop()

    def serve(self, wire):
        wire.settimeout(60)
        head = raw_upstream.whole_head(wire)
        if not head:
            return
        line = head.split(b"\r\n")[0].decode()
        self.requests.append(line)
        path = line.split(" ")[1]
        for piece in getattr(self, "_" + path.strip("/").replace("-", "_"), self._fine)(wire):
            if self._stopped.is_set():
                return
            wire.sendall(piece)

    def _fine(self, _):
        yield HEAD + b"Content-Length: 4\r\n\r\nfine"

    def _elsewhere(self, _):
        yield f"HTTP/1.1 302 Found\r\nLocation: {self.redirect}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()

    def _silent(self, connection):
        while connection.recv(4096):
            yield b""

    def _swallow(self, connection):
        yield from self._silent(connection)

    def _deaf(self, _):
        while not self._stopped.wait(0.1):
            yield b""

    def _slow_head(self, _):
        for byte in CHUNKED:
            time.sleep(0.1)
            yield bytes([byte])

    def _slow_body(self, _):
        yield CHUNKED
        while True:
            time.sleep(0.1)
            yield b"1\r\nx\r\n"

    def _slow_length(self, _):
        yield HEAD + b"Content-Length: 1152921504606846976\r\n\r\n"
        while True:
            time.sleep(0.1)
            yield b"x"

    def _endless_body(self, _):
        yield CHUNKED
        while True:
            yield b"8000\r\n" + b"x" * 0x8000 + b"\r\n"

    def _endless_chunk_line(self, _):
        yield CHUNKED
        while True:
            yield b"1;" + b"x" * 4096

    def _endless_head(self, _):
        yield HEAD
        while True:
            yield b"X-More: " + b"x" * 4096 + b"\r\n"

    def _endless_line(self, _):
        yield HEAD + b"X-More: "
        while True:
            yield b"x" * 4096

    def _endless_trailers(self, _):
        yield CHUNKED + b"0\r\n"
        while True:
            yield b"X-More: " + b"x" * 4096 + b"\r\n"

    def _endless_hints(self, _):
        while True:
            yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    def _endless_rubbish(self, _):
        while True:
            yield bytes(range(256))

    def _broken_body(self, _):
        yield HEAD + b"Content-Length: 100\r\n\r\nhalf"

    def _two_lengths(self, _):
        yield HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nfine!"

    def _upgrade(self, connection):
        yield b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        yield from self._silent(connection)
