"""An upstream that authenticates connections, as IIS does with NTLM and Negotiate."""

import threading
from contextlib import contextmanager

from . import raw_upstream
from .sockets import SocketServer


class ConnectionAuthUpstream(SocketServer):
    """A server on `url` that answers with the name of the connection's user. `users` has the users of open connections,
    `None` for those that are not authenticated."""

    def __init__(self):
        self.users = {}
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, wire):
        with self._connection() as connection, wire.makefile("rb") as stream:
            while lines := raw_upstream.head(stream):
                request = raw_upstream.read(lines, stream)
                credentials = b"".join(request.all("authorization")).decode()
                wire.sendall(self._answer(connection, request, *credentials.split(" ")))
                if request.all("upgrade") and isinstance(self.users[connection], str):
                    while echoed := wire.recv(65536):
                        wire.sendall(echoed)
                    return

    @contextmanager
    def _connection(self):
        connection = object()
        with self._lock:
            self.users[connection] = None
        try:
            yield connection
        finally:
            with self._lock:
                del self.users[connection]

    def _answer(self, connection, request, scheme, message=""):
        match scheme, message.partition("-"):
            case "NTLM", ("hello", _, user):
                self.users[connection] = ("challenged", user)
                return _response("401 Unauthorized", "WWW-Authenticate: NTLM challenge")
            case "NTLM", ("proof", _, user) if self.users[connection] == ("challenged", user):
                self.users[connection] = user
            case "Negotiate", ("token", _, user):
                self.users[connection] = user
                if not request.all("upgrade"):
                    return _response("200 OK", "WWW-Authenticate: Negotiate done\r\nPersistent-Auth: true", user)
        if not isinstance(self.users[connection], str):
            return _response("401 Unauthorized", "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM")
        if request.all("upgrade"):
            return b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        return _response("200 OK", "X-Kept: 1", self.users[connection])


def _response(status, field, body="nobody"):
    return f"HTTP/1.1 {status}\r\n{field}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
