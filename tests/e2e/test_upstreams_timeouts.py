"""Timeouts of each phase of a request, bounds on connections, and the responses of the client."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import ALICE, begin, connect
from harness.config import upstream
from harness.http2_upstream import Answer
from harness.process import eventually
from harness.scripted import OK, answers

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}
LATE = {"error": "The upstream did not answer in time"}


@pytest.fixture
def full():
    """A server that takes no more connections: the system keeps them waiting."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(8):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(listener.getsockname())
    yield type("Full", (), {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"})
    for connection in [*waiting, listener]:
        connection.close()


def why(gateway):
    [line] = gateway.logged(message="the upstream gave no response")
    return line["why"]


def test_a_connection_that_is_never_made_is_a_504(serve, full):
    gateway = serve(upstream(full, more='connect_timeout = "300ms"'))
    answer = gateway.send("/", ALICE)
    assert (answer.status, answer.json()) == (504, LATE)


def test_a_server_that_takes_no_connection_is_no_reason_to_wait_for_long(serve, full, scripted_upstream):
    gateway = serve(upstream(full, scripted_upstream(answers()), more='connect_timeout = "300ms"'))
    assert [gateway.send("/", ALICE, method="POST", body=b"x").status for _ in range(2)] == [200, 200]


def test_a_response_that_never_begins_is_a_504(serve, scripted_upstream):
    server = scripted_upstream(lambda connection: connection.rest())
    gateway = serve(upstream(server, route_more='timeout = "300ms"'))
    answer = gateway.send("/", ALICE)
    assert (answer.status, answer.json()) == (504, LATE)
    assert why(gateway) == "its response didn't begin in time"


def test_a_response_that_never_begins_is_a_504_over_http_2(serve, http2_upstreams):
    forever = threading.Event()
    server = http2_upstreams(lambda asked: forever.wait(20) and Answer())
    gateway = serve(upstream(server, more='protocol = "h2"', route_more='timeout = "300ms"'))
    assert gateway.send("/", ALICE).status == 504
    forever.set()


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"Content-Length: 8\r\n\r\nhalf"])
def test_a_response_that_stands_still_is_broken_off(serve, scripted_upstream, head):
    server = scripted_upstream(
        lambda connection: (
            connection.head(),
            connection.send(b"HTTP/1.1 200 OK\r\n" + head),
            connection.rest(),
            server.seen.append(1),
        )
    )
    gateway = serve(upstream(server, more='idle_timeout = "300ms"'))
    with pytest.raises(Exception, match="IncompleteRead"):
        gateway.send("/", ALICE)
    eventually(lambda: server.seen, "the upstream is told")
    eventually(
        lambda: gateway.logged(message="an exchange was cut off: there was no progress for the idle_timeout of its upstream"),
        "it is logged",
    )


def test_a_response_that_moves_takes_its_time(serve, scripted_upstream):
    moved = threading.Semaphore(0)

    def slowly(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            # Not a wait for luck: the pause is the case.
            moved.acquire(timeout=0.2)
            connection.send(b"x")
        connection.rest()

    gateway = serve(upstream(scripted_upstream(slowly), more='idle_timeout = "1s"', route_more='timeout = "500ms"'))
    assert gateway.send("/", ALICE).body == b"xxxxxx"


def test_an_upgraded_connection_that_stands_still_ends(serve, scripted_upstream):
    def switch(connection):
        connection.head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.send(connection.read(5))
        connection.rest()
        server.seen.append("ended")

    server = scripted_upstream(switch)
    gateway = serve(upstream(server, more='idle_timeout = "300ms"'))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", {**ALICE, **UPGRADE})
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    connection.send(b"hello")
    assert connection.sock.recv(5) == b"hello"
    assert connection.sock.recv(5) == b""
    connection.close()
    eventually(lambda: server.seen, "the upstream is told")


# Connections


def test_max_connections_bounds_connections_to_a_server(serve, scripted_upstream):
    let_go, both = threading.Event(), threading.Semaphore(0)

    def hold(connection):
        while connection.request():
            both.release()
            assert let_go.wait(30)
            connection.send(OK)

    server = scripted_upstream(hold)
    gateway = serve(upstream(server, more='max_connections = 2\nconnect_timeout = "500ms"'))
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(gateway.send, "/", ALICE) for _ in range(2)]
        assert both.acquire(timeout=20) and both.acquire(timeout=20)
        answer = gateway.send("/", ALICE, method="POST", body=b"x")
        assert (answer.status, answer.header("retry-after")) == (503, "5")
        assert answer.json() == {"error": "The upstream is busy"}
        let_go.set()
        assert [request.result().status for request in held] == [200, 200]
    assert [gateway.send("/", ALICE).status for _ in range(3)] == [200] * 3
    assert len(server.connections) == 2


def test_a_waiting_request_gets_the_next_free_connection(serve, scripted_upstream):
    let_go, come = threading.Event(), threading.Event()

    def hold(connection):
        while connection.request():
            come.set()
            assert let_go.wait(30)
            connection.send(OK)

    server = scripted_upstream(hold)
    gateway = serve(upstream(server, more='max_connections = 1\nconnect_timeout = "30s"'))
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(gateway.send, "/", ALICE) for _ in range(8)]
        assert come.wait(20)
        let_go.set()
        assert [request.result().status for request in asked] == [200] * 8
    assert len(server.connections) == 1


def test_a_connection_of_an_upgrade_takes_a_place_until_it_ends(serve, scripted_upstream):
    def switch(connection):
        connection.head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.rest()

    gateway = serve(upstream(scripted_upstream(switch, answers()), more='max_connections = 1\nconnect_timeout = "300ms"'))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", {**ALICE, **UPGRADE})
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    assert gateway.send("/", ALICE).status == 503
    connection.close()
    eventually(lambda: gateway.send("/", ALICE).status == 200, "the place is free")
