"""An HTTP/2 client without TLS that validates and normalises nothing."""

import socket

import h2.config
import h2.connection
import h2.events

from .client import TIMEOUT_SECONDS, Answer


def send(port, target="/", headers=(), method="GET", body=b"", authority="app.example", source=("127.0.0.1", 0)):
    """One request on a new connection. A stream that the peer resets is an answer with status 0."""
    configuration = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    connection = h2.connection.H2Connection(configuration)
    pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", target)]
    fields = [(name.lower(), value) for name, value in headers]
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS, source) as wire:
        connection.initiate_connection()
        connection.send_headers(1, [*pseudo, *fields], end_stream=not body)
        if body:
            connection.send_data(1, body, end_stream=True)
        wire.sendall(connection.data_to_send())
        return _answer(connection, wire)


def _answer(connection, wire):
    answer = Answer(0, [], b"")
    while received := wire.recv(65536):
        for event in connection.receive_data(received):
            match event:
                case h2.events.ResponseReceived(headers=headers):
                    answer.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
                    answer.status = int(answer.all(":status")[0])
                case h2.events.DataReceived(data=data):
                    answer.body += data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    return Answer(0, [], b"")
                case h2.events.StreamEnded():
                    return answer
        wire.sendall(connection.data_to_send())
    return Answer(0, [], b"")
