"""An HTTP/2 client that sends any frames, also those that the protocol forbids."""

import socket
from urllib.parse import urlsplit

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from .client import TIMEOUT_SECONDS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Reset(Exception):
    """The gateway ended the stream without an answer."""


class Ended(Exception):
    """The gateway ended the connection."""


class Http2:
    """A connection. Its user numbers the streams: 1, 3, 5 and so on."""

    def __init__(self, base):
        address = urlsplit(base)
        self._authority = address.netloc
        self._socket = socket.create_connection((address.hostname, address.port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._received = b""
        self.farewell = False
        """Whether the gateway said that it ends the connection."""
        self.send(PREFACE, SettingsFrame(0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, *parts):
        """Sends frames, or bytes as they are. If the connection has ended, only `answer` reports it."""
        data = b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def pairs(self, headers=(), **pseudo):
        """The pseudo-headers of a GET, with changes, before further headers; a change to `None` leaves one out."""
        good = {"method": "GET", "scheme": "http", "authority": self._authority, "path": "/"} | pseudo
        return [(f":{name}", value) for name, value in good.items() if value is not None] + list(headers)

    def encode(self, pairs):
        """The block that the pairs make, none of them changed."""
        return self._encoder.encode(pairs)

    def request(self, stream, pairs, *, end=True):
        """Sends the head of a request, and ends the stream unless `end` is false."""
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        self.send(HeadersFrame(stream, data=self.encode(pairs), flags=flags))

    def data(self, stream, data, *, end=True):
        self.send(DataFrame(stream, data=data, flags=["END_STREAM"] if end else []))

    def settings(self, values):
        self.send(SettingsFrame(0, settings=values))

    def reset(self, stream):
        self.send(RstStreamFrame(stream, error_code=8))

    def continuation(self, stream, data):
        self.send(ContinuationFrame(stream, data=data))

    def answer(self, stream):
        """The status and headers of a stream's answer; raises `Reset` or `Ended` when none comes."""
        while True:
            frame = self.frame()
            if isinstance(frame, HeadersFrame):
                fields = self._decoder.decode(frame.data)
                if frame.stream_id == stream:
                    return int(dict(fields)[":status"]), fields
            if isinstance(frame, RstStreamFrame) and frame.stream_id == stream:
                raise Reset(frame.error_code)

    def decode(self, frame):
        """The fields of a frame with headers. Frames are decoded in the order in which they came, and each once."""
        return [tuple(pair) for pair in self._decoder.decode(frame.data)]

    def outcome(self, stream):
        """The status of the answer, "reset" or "ended"."""
        try:
            return self.answer(stream)[0]
        except Reset:
            return "reset"
        except Ended:
            return "ended"

    def frame(self):
        """The next frame. Settings and pings are not acknowledged, which the gateway tolerates for a while."""
        head = self._take(9)
        frame, length = Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(self._take(length)))
        self.farewell |= isinstance(frame, GoAwayFrame)
        return frame

    def _take(self, length):
        while len(self._received) < length:
            try:
                more = self._socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Ended
            self._received += more
        taken, self._received = self._received[:length], self._received[length:]
        return taken
