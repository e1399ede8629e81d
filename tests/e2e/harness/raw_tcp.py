"""A server that takes bytes and keeps them, for connections that the gateway passes on without a look inside."""

import socket
import threading


class RawTcp:
    """Listens on `address`. `connections` are those that came, in order."""

    def __init__(self):
        self.connections = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._socket.close()
        for each in self.connections:
            each.close()

    def _accept(self):
        while True:
            try:
                self.connections.append(Taken(self._socket.accept()[0]))
            except OSError:
                return


class Taken:
    """One connection: `received` grows until `ended`."""

    def __init__(self, connection):
        self.received = b""
        self.ended = threading.Event()
        self._socket = connection
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, data):
        self._socket.sendall(data)

    def half_close(self):
        self._socket.shutdown(socket.SHUT_WR)

    def close(self):
        self._socket.close()

    def _read(self):
        try:
            while more := self._socket.recv(65536):
                self.received += more
        except OSError:
            pass
        self.ended.set()
