"""Bodies between a client and an upstream of HTTP/1.1, byte by byte and unbuffered, and what becomes of broken ones."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness.client import ALICE, begin, connect, converse
from harness.config import upstream
from harness.scripted import OK, answers

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def opened(gateway, method="GET", target="/", headers=()):
    """A connection with the head of a request on it."""
    connection = connect(gateway.url)
    try:
        begin(connection, method, target, {**ALICE, **dict(headers)})
        yield connection
    finally:
        connection.close()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


# One byte at a time: the other side answers each before the next is sent, so that a buffer anywhere would be the end.


def test_a_request_arrives_byte_by_byte(serve, scripted_upstream):
    came = threading.Semaphore(0)

    def read(connection):
        connection.head()
        for byte in (b"a", b"b", b"c"):
            assert (connection.line(), connection.read(1), connection.line()) == (b"1\r\n", byte, b"\r\n")
            came.release()
        connection.send(OK)

    gateway = serve(upstream(scripted_upstream(read)))
    with opened(gateway, "POST", headers={"Transfer-Encoding": "chunked"}) as connection:
        for byte in (b"a", b"b", b"c"):
            connection.send(chunk(byte))
            assert came.acquire(timeout=20)
        connection.send(b"0\r\n\r\n")
        assert connection.getresponse().read() == b"ok"


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"], ids=["chunks", "a length"])
def test_a_response_arrives_byte_by_byte(serve, scripted_upstream, head):
    next_one = threading.Semaphore(0)

    def write(connection):
        connection.head()
        connection.send(head)
        for byte in (b"a", b"b", b"c"):
            assert next_one.acquire(timeout=20)
            connection.send(chunk(byte) if head == CHUNKED else byte)
        connection.send(b"0\r\n\r\n" if head == CHUNKED else b"")
        connection.rest()

    gateway = serve(upstream(scripted_upstream(write)))
    with opened(gateway) as connection:
        response = connection.getresponse()
        for byte in (b"a", b"b", b"c"):
            next_one.release()
            assert response.read(1) == byte
        assert response.read() == b""


def test_both_bodies_move_at_once(serve, scripted_upstream):
    def echo(connection):
        connection.head()
        connection.send(CHUNKED)
        while size := int(connection.line(), 16):
            data = connection.read(size)
            connection.line()
            connection.send(chunk(data))
        connection.line()
        connection.send(b"0\r\n\r\n")
        connection.rest()

    gateway = serve(upstream(scripted_upstream(echo)))
    with opened(gateway, "POST", headers={"Transfer-Encoding": "chunked"}) as connection:
        connection.send(chunk(b"first"))
        response = connection.getresponse()
        assert response.read(5) == b"first"
        connection.send(chunk(b"second"))
        assert response.read(6) == b"second"
        connection.send(b"0\r\n\r\n")
        assert response.read() == b""


def test_events_arrive_when_they_happen(serve, scripted_upstream):
    happens = threading.Semaphore(0)

    def tell(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            assert happens.acquire(timeout=20)
            connection.send(chunk(b"data: %d\n\n" % number))
        connection.rest()

    gateway = serve(upstream(scripted_upstream(tell)))
    with opened(gateway) as connection:
        response = connection.getresponse()
        assert response.getheader("content-type") == "text/event-stream"
        for number in range(3):
            happens.release()
            assert (response.readline(), response.readline()) == (b"data: %d\n" % number, b"\n")


def test_a_poll_is_answered_when_something_happens_and_forgotten_when_its_client_leaves(serve, scripted_upstream):
    waits, happens, left = threading.Event(), threading.Event(), threading.Event()

    def wait(connection):
        connection.head()
        waits.set()
        assert happens.wait(20)
        connection.send(OK)
        connection.rest()

    def forget(connection):
        connection.head()
        happens.set()
        connection.rest()
        left.set()

    gateway = serve(upstream(scripted_upstream(wait, forget)))
    with opened(gateway) as first:
        assert waits.wait(20)
        with opened(gateway):
            assert happens.wait(20)
        assert left.wait(20)
        assert first.getresponse().read() == b"ok"


# Expect: 100-continue


def expecting(gateway, length=5):
    return opened(gateway, "POST", headers={"Expect": "100-continue", "Content-Length": str(length)})


def first_line(connection):
    return connection.sock.recv(1000).split(b"\r\n")[0]


def test_expect_100_continue_is_answered_by_the_upstream(serve, scripted_upstream):
    asked, willing = threading.Event(), threading.Event()

    def allow(connection):
        request = connection.head()
        assert request.all("expect") == [b"100-continue"]
        asked.set()
        assert willing.wait(20)
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.seen = connection.read(5)
        connection.send(OK)

    server = scripted_upstream(allow)
    gateway = serve(upstream(server))
    with expecting(gateway) as connection:
        assert asked.wait(20)
        connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1000)
        connection.sock.settimeout(20)
        willing.set()
        assert first_line(connection) == b"HTTP/1.1 100 Continue"
        connection.send(b"hello")
        assert b"200 OK" in first_line(connection)
    assert server.connections[0].seen == b"hello"


def test_an_upstream_that_refuses_gets_no_body(serve, scripted_upstream):
    left = threading.Event()

    def refuse(connection):
        connection.head()
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        connection.seen = connection.wire.recv(1000)
        left.set()

    server = scripted_upstream(refuse)
    gateway = serve(upstream(server))
    with expecting(gateway) as connection:
        assert first_line(connection).startswith(b"HTTP/1.1 413 ")
        assert left.wait(20)
    assert server.connections[0].seen == b""


def test_an_upstream_without_100_continue_gets_the_body(serve, scripted_upstream):
    gateway = serve(upstream(scripted_upstream(answers())))
    with expecting(gateway) as connection:
        assert first_line(connection) == b"HTTP/1.1 100 Continue"
        connection.send(b"hello")
        assert first_line(connection) == b"HTTP/1.1 200 OK"


def test_early_hints_are_left_out_and_the_response_arrives(serve, scripted_upstream):
    def hint(connection):
        connection.request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + OK)
        connection.rest()

    gateway = serve(upstream(scripted_upstream(hint)))
    answer = gateway.send("/", ALICE)
    assert (answer.status, answer.body, answer.all("link")) == (200, b"ok", [])


def test_large_headers_arrive_whole(serve, scripted_upstream):
    head = b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * 60_000 + b"\r\nContent-Length: 2\r\n\r\n"

    gateway = serve(upstream(scripted_upstream(answers(head + b"ok"))))
    request = f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n"
    assert b"x" * 60_000 in converse(gateway.url, request.encode())


# Unix sockets


def test_a_unix_socket_is_an_upstream(serve, scripted_upstream, tmp_path):
    server = scripted_upstream(
        lambda connection: (server.seen.append(connection.request()), connection.send(OK)), unix=tmp_path / "app.sock"
    )
    gateway = serve(upstream(server))
    assert gateway.send("/a?b=c", {**ALICE, "Host": "app.example"}).body == b"ok"
    [request] = server.seen
    assert (request.target, request.all("host")) == ("/a?b=c", [b"app.example"])
    assert request.all("x-forwarded-user") == [b"alice"]


def test_a_unix_socket_without_a_listener_is_a_502(serve, tmp_path):
    absent = SimpleNamespace(url=f"unix:{tmp_path / 'absent.sock'}")
    assert serve(upstream(absent)).send("/", ALICE).status == 502


# Connections that are used again


@pytest.mark.parametrize(
    "more",
    [OK.replace(b"ok", b"no"), b"no", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["a response", "bytes", "a line", "an interim response"],
)
def test_bytes_after_a_response_are_never_another_response(serve, scripted_upstream, more):
    """Surplus bytes of a broken or tricked upstream reach no client."""

    def speak(connection):
        connection.request()
        connection.send(OK + more)
        if connection.request():
            connection.send(OK)
            connection.rest()

    gateway = serve(upstream(scripted_upstream(speak)))
    assert [gateway.send(f"/{number}", ALICE).body for number in range(10)] == [b"ok"] * 10


def test_a_response_that_a_client_left_is_not_the_next_ones(serve, scripted_upstream):
    left = threading.Event()

    def half(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        connection.rest()
        left.set()

    server = scripted_upstream(half, answers())
    gateway = serve(upstream(server))
    with opened(gateway) as connection:
        assert connection.getresponse().read(4) == b"half"
    assert left.wait(20)
    assert gateway.send("/", ALICE).body == b"ok"
    assert len(server.connections) == 2
