"""The base of the tests' own servers. Each connection has a thread, and ends with its server."""

import socket
import threading
from contextlib import suppress


class SocketServer:
    """Listens on `url`, over TCP or on a Unix socket, with TLS or without. Subclasses implement `serve`, and call this
    constructor last: connections may arrive at once."""

    def __init__(self, address=("127.0.0.1", 0), unix=None, tls=None):
        self._tls = tls
        self._open = set()
        if unix:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(unix))
            self._socket.listen()
            self.url = f"unix:{unix}"
        else:
            self._socket = socket.create_server(address, backlog=512)
            self.port = self._socket.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
            self.url = f"{'https' if tls else 'http'}://{self.address}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def serve(self, wire):
        """Serves one connection. Exceptions of a connection that ends are ignored."""
        raise NotImplementedError

    def stop(self):
        """Stops listening, and ends every connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join(10)
        for wire in list(self._open):
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                wire, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=[wire], daemon=True).start()

    def _run(self, wire):
        with suppress(OSError, EOFError):
            if self._tls:
                wire = self._tls.wrap_socket(wire, server_side=True)
            self._open.add(wire)
            try:
                with wire:
                    self.serve(wire)
            finally:
                self._open.discard(wire)
