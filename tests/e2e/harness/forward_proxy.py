"""A forward proxy, as networks have them that let nothing else out. It takes every name for a server of the test."""

import base64
import socket
import threading
from contextlib import suppress

from . import raw_upstream
from .sockets import SocketServer


class ForwardProxy(SocketServer):
    """A proxy on `url` that sends everything to `target`, a host and a port. `seen` has the head of each request."""

    def __init__(self, target, credentials=None):
        self.target = target
        self.seen = []
        self._expected = credentials and "Basic " + base64.b64encode(credentials.encode()).decode()
        super().__init__()

    def serve(self, wire):
        while received := raw_upstream.whole_head(wire):
            head = received.decode("latin-1")
            self.seen.append(head)
            line, *fields = head.split("\r\n")
            allowed = self._expected is None or f"proxy-authorization: {self._expected}".lower() in head.lower()
            if not allowed:
                wire.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                continue
            with socket.create_connection(self.target) as server:
                if line.startswith("CONNECT "):
                    wire.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    method, uri, version = line.split(" ")
                    path = "/" + uri.split("/", 3)[3]
                    server.sendall("\r\n".join([f"{method} {path} {version}", *fields]).encode("latin-1"))
                self._join(wire, server)
            return

    @staticmethod
    def _join(one, other):
        def copy(source, sink):
            with suppress(OSError):
                while piece := source.recv(65536):
                    sink.sendall(piece)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=[other, one], daemon=True)
        back.start()
        copy(one, other)
        back.join(10)
