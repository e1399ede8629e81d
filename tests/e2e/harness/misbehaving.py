"""An upstream that misbehaves on each connection as the test defines."""

import socket
import struct
import threading
from contextlib import suppress

from . import raw_upstream
from .sockets import SocketServer


class MisbehavingUpstream(SocketServer):
    """A server on `url`. `behave(upstream, connection)` is called once the head of a request has arrived. `ended` counts
    connections that the peer closed while `behave` waited for that."""

    def __init__(self, behave):
        self.behave = behave
        self.heads = []
        self.ended = 0
        self.received = 0
        """Bytes that arrived during `wait_for_end`."""
        self.stopped = threading.Event()
        super().__init__()

    def stop(self):
        self.stopped.set()
        super().stop()

    def serve(self, wire):
        wire.settimeout(60)
        if head := raw_upstream.whole_head(wire):
            self.heads.append(head)
            self.behave(self, wire)

    def wait_for_end(self, connection):
        """Waits until the peer closes the connection, and counts it."""
        with suppress(OSError):
            while more := connection.recv(65536):
                self.received += len(more)
        self.ended += 1


def sends(answer, then_ends=True, resets=False):
    """Sends bytes, then closes, resets or holds the connection."""

    def behave(upstream, connection):
        connection.sendall(answer)
        if resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif not then_ends:
            upstream.wait_for_end(connection)

    return behave


def repeats(head, piece):
    """Sends a head, and then the same piece without end."""

    def behave(upstream, connection):
        connection.sendall(head)
        while not upstream.stopped.is_set():
            try:
                connection.sendall(piece)
            except OSError:
                upstream.ended += 1
                return

    return behave
