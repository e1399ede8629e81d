"""An upstream that does with each connection what a test says, byte by byte."""

import socket
import threading
from contextlib import suppress


class RudeUpstream:
    """A server on `url`. `behave(connection)` has each connection after the head of its request; `ended` counts those
    whose other side went away while it was waited for."""

    def __init__(self, behave):
        self._behave = behave
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.heads = []
        self.ended = 0
        self.received = 0
        """Bytes that came while the end was waited for."""
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self._server.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            connection.settimeout(60)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            self.heads.append(head)
            self._behave(self, connection)

    def until_it_ends(self, connection):
        """Waits until the other side is gone, and notes it."""
        with suppress(OSError):
            while more := connection.recv(65536):
                self.received += len(more)
        self.ended += 1


def says(answer, then_ends=True):
    """Sends bytes, then ends the connection or holds it."""

    def behave(upstream, connection):
        connection.sendall(answer)
        if not then_ends:
            upstream.until_it_ends(connection)

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
