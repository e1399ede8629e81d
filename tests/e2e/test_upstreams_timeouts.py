"""How long each phase of a request may take, how many connections there may be, and what the client hears."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import ALICE, begin, connect
from harness.config import upstream
from harness.http2_upstream import Answer
from harness.played import OK, answers
from harness.process import eventually

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


def test_a_server_that_takes_no_connection_is_no_reason_to_wait_for_long(serve, full, played):
    gateway = serve(upstream(full, played(answers()), more='connect_timeout = "300ms"'))
    assert [gateway.send("/", ALICE, method="POST", body=b"x").status for _ in range(2)] == [200, 200]


def test_a_response_that_never_begins_is_a_504(serve, played):
    server = played(lambda line: line.rest())
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
def test_a_response_that_stands_still_is_broken_off(serve, played, head):
    server = played(lambda line: (line.head(), line.send(b"HTTP/1.1 200 OK\r\n" + head), line.rest(), server.seen.append(1)))
    gateway = serve(upstream(server, more='idle_timeout = "300ms"'))
    with pytest.raises(Exception, match="IncompleteRead"):
        gateway.send("/", ALICE)
    eventually(lambda: server.seen, "the upstream is told")
    assert gateway.logged(message="an exchange was cut off: there was no progress for the idle_timeout of its upstream")


def test_a_response_that_moves_takes_its_time(serve, played):
    moved = threading.Semaphore(0)

    def slowly(line):
        line.head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            # Not a wait for luck: the pause is the case.
            moved.acquire(timeout=0.2)
            line.send(b"x")
        line.rest()

    gateway = serve(upstream(played(slowly), more='idle_timeout = "1s"', route_more='timeout = "500ms"'))
    assert gateway.send("/", ALICE).body == b"xxxxxx"


def test_an_upgraded_connection_that_stands_still_ends(serve, played):
    def switch(line):
        line.head()
        line.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        line.send(line.read(5))
        line.rest()
        server.seen.append("ended")

    server = played(switch)
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


def test_no_more_connections_are_made_than_is_said(serve, played):
    let_go, both = threading.Event(), threading.Semaphore(0)

    def hold(line):
        while line.request():
            both.release()
            assert let_go.wait(30)
            line.send(OK)

    server = played(hold)
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
    assert len(server.lines) == 2


def test_who_waits_for_a_connection_gets_the_next_that_is_free(serve, played):
    let_go, come = threading.Event(), threading.Event()

    def hold(line):
        while line.request():
            come.set()
            assert let_go.wait(30)
            line.send(OK)

    server = played(hold)
    gateway = serve(upstream(server, more='max_connections = 1\nconnect_timeout = "30s"'))
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(gateway.send, "/", ALICE) for _ in range(8)]
        assert come.wait(20)
        let_go.set()
        assert [request.result().status for request in asked] == [200] * 8
    assert len(server.lines) == 1


def test_a_connection_of_an_upgrade_takes_a_place_until_it_ends(serve, played):
    def switch(line):
        line.head()
        line.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        line.rest()

    gateway = serve(upstream(played(switch, answers()), more='max_connections = 1\nconnect_timeout = "300ms"'))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", {**ALICE, **UPGRADE})
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    assert gateway.send("/", ALICE).status == 503
    connection.close()
    eventually(lambda: gateway.send("/", ALICE).status == 200, "the place is free")
