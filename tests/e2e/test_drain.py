"""A gateway that stops finishes what it has accepted, within bounds."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import h2.config
import h2.connection
import pytest
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, PingFrame
from websockets.exceptions import ConnectionClosed

from harness.client import ALICE, begin, connect, open_tcp, open_unix, open_websocket, send, send_over
from harness.config import protected
from harness.gateway import ADMIN
from harness.process import eventually


def terminate(gateway):
    gateway.child.process.send_signal(signal.SIGTERM)


def ends(gateway, seconds=10):
    return gateway.child.process.wait(seconds) == 0


def is_listening(gateway):
    try:
        gateway.open().close()
    except ConnectionError:
        return False
    return True


def stopped_listening(gateway):
    return eventually(lambda: not is_listening(gateway), "it no longer listens")


def test_every_request_that_runs_gets_its_whole_response(serve, upstream):
    gateway = serve(protected(upstream))
    running = []
    for _ in range(50):
        connection = connect(gateway.url)
        begin(connection, "GET", "/stream/down", ALICE)
        response = connection.getresponse()
        assert response.readline() == b"first\n"
        running.append(response)
    terminate(gateway)
    stopped_listening(gateway)
    upstream.may_go_on.set()
    assert [response.read() for response in running] == [b"second\n"] * 50
    assert ends(gateway)


def test_an_upload_that_runs_arrives_whole(serve, upstream):
    gateway = serve(protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "POST", "/stream/up", ALICE | {"Content-Length": "8"})
    connection.send(b"four")
    assert upstream.chunks.get(timeout=10) == b"four"
    terminate(gateway)
    stopped_listening(gateway)
    connection.send(b"more")
    assert connection.getresponse().read() == b"got it all"
    assert ends(gateway)


def test_clients_that_never_pause_lose_nothing_while_it_drains(serve, upstream):
    """Each goes on over its connection until it is told that this was the last response."""
    gateway = serve(protected(upstream), server='drain_delay = "3s"\n')
    busy = threading.Barrier(17)

    def ask_until_the_last():
        connection = connect(gateway.url)
        for count in range(1, 100_000):
            begin(connection, "GET", "/", ALICE)
            response = connection.getresponse()
            assert (response.status, len(response.read())) == (200, int(response.getheader("content-length")))
            if count == 3:
                busy.wait(30)
            if response.getheader("connection") == "close":
                return count
        raise AssertionError("no response announced the shutdown")

    with ThreadPoolExecutor(16) as pool:
        counts = [pool.submit(ask_until_the_last) for _ in range(16)]
        busy.wait(30)
        terminate(gateway)
        answered = sum(count.result(60) for count in counts)
    assert answered == len(upstream.seen)
    assert ends(gateway)


def test_it_is_not_ready_at_once_and_listens_a_while(serve, upstream):
    gateway = serve(ADMIN + protected(upstream), server='drain_delay = "1h"\n')
    assert send(gateway.admin_url, "/readyz").status == 200
    terminate(gateway)
    eventually(lambda: send(gateway.admin_url, "/readyz").status == 503, "it is not ready")
    statuses = [gateway.send("/", ALICE).status for _ in range(20)]
    assert statuses == [200] * 20, "who doesn't know yet is served"
    terminate(gateway)
    assert ends(gateway), "the second signal ends it"


def test_a_request_that_never_ends_is_cut_off_in_time(serve, upstream):
    gateway = serve(protected(upstream), server='shutdown_timeout = "1s"\n')
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    connection.getresponse().readline()
    terminate(gateway)
    assert ends(gateway)


def test_an_idle_connection_does_not_delay_shutdown(serve, upstream):
    gateway = serve(protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", ALICE)
    assert connection.getresponse().read()
    terminate(gateway)
    assert ends(gateway)


def test_a_new_connection_is_still_served_while_the_gateway_stops(serve, upstream):
    gateway = serve(protected(upstream))
    wires = [gateway.open() for _ in range(20)]
    terminate(gateway)
    stopped_listening(gateway)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda wire: send_over(wire, "/", ALICE), wires))
    assert [answer.status for answer in answers] == [200] * 20
    assert {answer.header("connection") for answer in answers} == {"close"}
    assert ends(gateway)


@pytest.mark.parametrize("way", ["plain", "tls", "proxy"])
def test_a_silent_connection_does_not_delay_shutdown(serve, upstream, authority, way):
    cert, key = authority.issue("server")
    server = {
        "plain": "",
        "tls": f'tls = {{ cert = "{cert}", key = "{key}" }}\n',
        "proxy": 'proxy_protocol = ["127.0.0.1"]\n',
    }
    gateway = serve(protected(upstream), server='header_timeout = "1h"\n' + server[way])
    with gateway.open():
        terminate(gateway)
        assert ends(gateway)


@pytest.mark.parametrize("place", ["tcp", "unix"])
def test_connections_that_wait_in_the_systems_queue_have_their_turn(serve, upstream, tmp_path, place):
    """One request takes the only slot; others wait in the system's queue when the gateway is told to stop."""
    path = tmp_path / "gateway.sock"
    gateway = serve(protected(upstream), listen=f'["127.0.0.1:0", "unix:{path}"]', server="max_connections = 1\n")
    address, _ = gateway.addresses(2)
    running = connect(gateway.url)
    begin(running, "GET", "/stream/down", ALICE)
    response = running.getresponse()
    assert response.readline() == b"first\n"
    waiting = [open_tcp(address) if place == "tcp" else open_unix(path) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(send_over, wire, "/", ALICE) for wire in waiting]
        terminate(gateway)
        stopped_listening(gateway)
        upstream.may_go_on.set()
        assert response.read() == b"second\n"
        assert [answer.result(30).status for answer in answers] == [200] * 20
    assert ends(gateway)


def test_http2_gets_goaway_and_streams_finish(serve, upstream):
    gateway = serve(protected(upstream))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/stream/down")]
    client.send_headers(1, [*head, ("authorization", ALICE["Authorization"])], end_stream=True)
    with gateway.open() as wire:
        wire.sendall(client.data_to_send())
        frames = received_frames(wire)
        assert next(frame for frame in frames if isinstance(frame, DataFrame)).data == b"first\n"
        terminate(gateway)
        warning = next(frame for frame in frames if isinstance(frame, GoAwayFrame))
        assert warning.last_stream_id == 2**31 - 1, "streams that are on their way are taken"
        client.send_headers(3, [*head[:3], (":path", "/late"), ("authorization", ALICE["Authorization"])], end_stream=True)
        wire.sendall(client.data_to_send())
        upstream.may_go_on.set()
        rest = list(frames)
    body = {stream: b"" for stream in (1, 3)}
    for frame in rest:
        if isinstance(frame, DataFrame):
            body[frame.stream_id] += frame.data
    assert body[1] == b"second\n"
    assert b"/late" in body[3]
    assert [frame.last_stream_id for frame in rest if isinstance(frame, GoAwayFrame)] == [3]
    assert ends(gateway)


def received_frames(wire):
    """The frames that come, as an endless client reads them: h2's own gives up its streams at the first GOAWAY."""
    stream = wire.makefile("rb")
    while header := stream.read(9):
        frame, length = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(stream.read(length)))
        if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            # The last GOAWAY waits for the answer.
            wire.sendall(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
        yield frame


def test_a_websocket_goes_on_until_its_ends_close_it(serve, upstream):
    gateway = serve(protected(upstream))
    with open_websocket(f"{gateway.url}/websocket", ALICE) as socket:
        assert socket.recv(10) == "alice"
        terminate(gateway)
        stopped_listening(gateway)
        for message in ("still", "there"):
            socket.send(message)
            assert socket.recv(10) == message
    assert upstream.close_codes.get(timeout=10) == 1000
    assert ends(gateway)


@pytest.mark.parametrize("timeout, signals", [("1s", 1), ("1h", 2)])
def test_a_websocket_ends_at_the_timeout_or_at_the_second_signal(serve, upstream, timeout, signals):
    gateway = serve(protected(upstream), server=f'shutdown_timeout = "{timeout}"\n')
    with open_websocket(f"{gateway.url}/websocket", ALICE) as socket:
        assert socket.recv(10) == "alice"
        terminate(gateway)
        stopped_listening(gateway)
        socket.send("still")
        assert socket.recv(10) == "still"
        if signals == 2:
            terminate(gateway)
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
        assert ends(gateway)


def test_another_gateway_takes_over_the_port(serve, upstream):
    """The port is free once the first gateway no longer listens, while it still finishes requests."""
    first = serve(protected(upstream))
    [address] = first.addresses()
    connection = connect(first.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    terminate(first)
    stopped_listening(first)
    second = serve(protected(upstream), listen=f'"{address}"')
    assert second.send("/", ALICE).status == 200
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert ends(first)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2"])
def test_a_signal_that_asks_for_something_else_ends_no_request(serve, upstream, name):
    """Row A7 of the field reports: certbot's hooks, log rotation and closed terminals send them."""
    gateway = serve(protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    gateway.child.process.send_signal(getattr(signal, name))
    eventually(lambda: gateway.logged(signal=name, level="INFO"), "it is logged")
    upstream.may_go_on.set()
    assert response.read() == b"first\nsecond\n"
    assert gateway.send("/", ALICE).status == 200
