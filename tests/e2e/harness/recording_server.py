"""A TCP server that records bytes, for connections that the gateway passes through."""

import socket
import threading
from contextlib import suppress

from .sockets import SocketServer


class RecordingServer(SocketServer):
    """Listens on `address`. `connections` has the accepted connections in order."""

    def __init__(self):
        self.connections = []
        self._stopped = threading.Event()
        super().__init__()

    def stop(self):
        self._stopped.set()
        super().stop()

    def serve(self, wire):
        taken = RecordedConnection(wire)
        self.connections.append(taken)
        taken.read()
        # The other direction may still be open.
        self._stopped.wait()


class RecordedConnection:
    """One connection: `received` grows until `ended`."""

    def __init__(self, wire):
        self.received = b""
        self.ended = threading.Event()
        self._wire = wire

    def send(self, data):
        self._wire.sendall(data)

    def half_close(self):
        self._wire.shutdown(socket.SHUT_WR)

    def read(self):
        with suppress(OSError):
            while more := self._wire.recv(65536):
                self.received += more
        self.ended.set()
