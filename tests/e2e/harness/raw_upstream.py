"""An upstream that records requests byte for byte, for tests of what HTTP libraries hide."""

from dataclasses import dataclass

from .sockets import SocketServer


@dataclass
class Request:
    line: bytes
    headers: list
    body: bytes = b""
    trailers: bytes = b""

    @property
    def target(self):
        return self.line.split(b" ")[1].decode("latin-1")

    def all(self, name):
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.encode()]


class RawUpstream(SocketServer):
    """A server on `url`. `seen` has every request; `rest` has bytes that are no request."""

    def __init__(self):
        self.forget()
        super().__init__()

    def forget(self):
        self.seen = []
        self.rest = []

    def serve(self, wire):
        with wire.makefile("rb") as stream:
            while lines := head(stream):
                request = read(lines, stream)
                if request is None:
                    self.rest.append(b"".join(lines))
                    return
                self.seen.append(request)
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def head(stream):
    """The lines up to an empty one, or fewer if the connection ends."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            break
    return lines


def whole_head(wire):
    """All bytes received until there is an empty line, or nothing if the connection ends before."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = wire.recv(65536)
        if not more:
            return b""
        received += more
    return received


def read(lines, stream):
    """The request whose head these lines are, or `None` if it is malformed."""
    line, *fields, end = lines
    if end != b"\r\n" or not line.endswith(b" HTTP/1.1\r\n") or not all(b":" in field for field in fields):
        return None
    pairs = [field.split(b":", 1) for field in fields]
    request = Request(line.rstrip(b"\r\n"), [(name, value.strip()) for name, value in pairs])
    lengths, codings = request.all("content-length"), request.all("transfer-encoding")
    if len(lengths) + len(codings) > 1 or codings not in ([], [b"chunked"]):
        return None
    if lengths:
        request.body = _exactly(stream, int(lengths[0]))
    while codings:
        size = int(_line(stream), 16)
        if size == 0:
            request.trailers = b"".join(iter(lambda: _line(stream), b"\r\n"))
            break
        request.body += _exactly(stream, size)
        _line(stream)
    return request


def _line(stream):
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    return line


def _exactly(stream, length):
    read = stream.read(length)
    if len(read) < length:
        raise EOFError
    return read
