"""An upstream that speaks HTTP/2, in plain text or over TLS, with responses that the test defines."""

from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import GoAwayFrame

from .scripted import ScriptedUpstream


@dataclass
class ReceivedRequest:
    """A received request, with its pseudo-headers."""

    fields: list
    body: bytes = b""
    trailers: list = field(default_factory=list)

    def all(self, name):
        return [value for key, value in self.fields if key == name]


@dataclass
class Answer:
    """How to answer a request: with a response, by resetting the stream with the code `reset`, or by closing the connection.
    With `half`, the reset or the close comes after the body."""

    status: int = 200
    headers: list = field(default_factory=list)
    body: bytes = b"ok"
    trailers: list = field(default_factory=list)
    reset: int | None = None
    close: bool = False
    half: bool = False
    goodbye: int | None = None
    """Sends GOAWAY whose last stream is this many streams before the current one."""


class Http2Upstream(ScriptedUpstream):
    """A server on `url`. `seen` has every request; `answer` is called for each response."""

    def __init__(self, answer=lambda request: Answer(), tls=None):
        self.answer = answer
        super().__init__(self._speak, tls=tls)

    def _speak(self, connection):
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        protocol.initiate_connection()
        connection.send(protocol.data_to_send())
        streams = {}
        while received := connection.wire.recv(65536):
            for event in protocol.receive_data(received):
                match event:
                    case h2.events.RequestReceived():
                        streams[event.stream_id] = ReceivedRequest([tuple(pair) for pair in event.headers])
                    case h2.events.DataReceived():
                        streams[event.stream_id].body += event.data
                        protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    case h2.events.TrailersReceived():
                        streams[event.stream_id].trailers = [tuple(pair) for pair in event.headers]
                    case h2.events.StreamEnded():
                        request = streams.pop(event.stream_id)
                        self.seen.append(request)
                        answer = self.answer(request)
                        if answer.goodbye is not None:
                            last = max(event.stream_id - 2 * answer.goodbye, 0)
                            connection.send(GoAwayFrame(last_stream_id=last).serialize())
                        goes_on = answer.goodbye or self._reply(protocol, event.stream_id, answer)
                        connection.send(protocol.data_to_send())
                        if answer.goodbye is not None:
                            connection.rest()
                        if not goes_on or answer.goodbye is not None:
                            return
            connection.send(protocol.data_to_send())

    @staticmethod
    def _reply(connection, stream, answer):
        if not answer.half and (answer.close or answer.reset is not None):
            return _end(connection, stream, answer)
        connection.send_headers(stream, [(":status", str(answer.status)), *answer.headers])
        connection.send_data(stream, answer.body, end_stream=not answer.trailers and not answer.half)
        if answer.half:
            return _end(connection, stream, answer)
        if answer.trailers:
            connection.send_headers(stream, answer.trailers, end_stream=True)
        return True


def _end(connection, stream, answer):
    """Ends a stream or the connection. Returns whether the connection goes on."""
    if answer.reset is not None:
        connection.reset_stream(stream, answer.reset)
    return not answer.close
