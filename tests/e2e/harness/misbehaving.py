"""An upstream that does with each connection what a test says, byte by byte."""

import socket
import struct
import threading
from contextlib import suppress

from . import raw_upstream
from .sockets import SocketServer


class MisbehavingUpstream(SocketServer):
    """A server on `url`. `behave(connection)` has each connection after the head of its request; `ended` counts those
    whose other side went away while it was waited for."""

    def __init__(self, behave):
        self.behave = behave
        self.heads = []
        self.ended = 0
        self.received = 0
        """Bytes that came while the end was waited for."""
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
        """Waits until the other side is gone, and notes it."""
        with suppress(OSError):
            while more := connection.recv(65536):
                self.received += len(more)
        self.ended += 1


def sends(answer, then_ends=True, resets=False):
    """Sends bytes, then ends the connection, resets or holds it."""

    def behave(upstream, connection):
        connection.sendall(answer)
        if resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif not then_ends:
            upstream.wait_for_end(connection)

    return behave


def repeats(head, piece):
    """Sends a head, and then a piece of something for ever."""

    def behave(upstream, connection):
        connection.sendall(head)
        while not upstream.stopped.is_set():
            try:
                connection.sendall(piece)
            except OSError:
                upstream.ended += 1
                return

    return behave
