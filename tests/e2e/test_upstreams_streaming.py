"""Bodies between a client and an upstream of HTTP/1.1, byte by byte and unbuffered, and what becomes of broken ones."""

import threading
from contextlib import contextmanager

import pytest

from harness.client import ALICE, begin, connect, converse
from harness.config import upstream
from harness.played import OK, answers

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


def test_a_request_arrives_byte_by_byte(serve, played):
    came = threading.Semaphore(0)

    def read(line):
        line.head()
        for byte in (b"a", b"b", b"c"):
            assert (line.line(), line.read(1), line.line()) == (b"1\r\n", byte, b"\r\n")
            came.release()
        line.send(OK)

    gateway = serve(upstream(played(read)))
    with opened(gateway, "POST", headers={"Transfer-Encoding": "chunked"}) as connection:
        for byte in (b"a", b"b", b"c"):
            connection.send(chunk(byte))
            assert came.acquire(timeout=20)
        connection.send(b"0\r\n\r\n")
        assert connection.getresponse().read() == b"ok"


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"], ids=["chunks", "a length"])
def test_a_response_arrives_byte_by_byte(serve, played, head):
    next_one = threading.Semaphore(0)

    def write(line):
        line.head()
        line.send(head)
        for byte in (b"a", b"b", b"c"):
            assert next_one.acquire(timeout=20)
            line.send(chunk(byte) if head == CHUNKED else byte)
        line.send(b"0\r\n\r\n" if head == CHUNKED else b"")
        line.rest()

    gateway = serve(upstream(played(write)))
    with opened(gateway) as connection:
        response = connection.getresponse()
        for byte in (b"a", b"b", b"c"):
            next_one.release()
            assert response.read(1) == byte
        assert response.read() == b""


def test_both_bodies_move_at_once(serve, played):
    def echo(line):
        line.head()
        line.send(CHUNKED)
        while size := int(line.line(), 16):
            data = line.read(size)
            line.line()
            line.send(chunk(data))
        line.line()
        line.send(b"0\r\n\r\n")
        line.rest()

    gateway = serve(upstream(played(echo)))
    with opened(gateway, "POST", headers={"Transfer-Encoding": "chunked"}) as connection:
        connection.send(chunk(b"first"))
        response = connection.getresponse()
        assert response.read(5) == b"first"
        connection.send(chunk(b"second"))
        assert response.read(6) == b"second"
        connection.send(b"0\r\n\r\n")
        assert response.read() == b""


def test_events_arrive_when_they_happen(serve, played):
    happens = threading.Semaphore(0)

    def tell(line):
        line.head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            assert happens.acquire(timeout=20)
            line.send(chunk(b"data: %d\n\n" % number))
        line.rest()

    gateway = serve(upstream(played(tell)))
    with opened(gateway) as connection:
        response = connection.getresponse()
        assert response.getheader("content-type") == "text/event-stream"
        for number in range(3):
            happens.release()
            assert (response.readline(), response.readline()) == (b"data: %d\n" % number, b"\n")


def test_a_poll_is_answered_when_something_happens_and_forgotten_when_its_client_leaves(serve, played):
    waits, happens, left = threading.Event(), threading.Event(), threading.Event()

    def wait(line):
        line.head()
        waits.set()
        assert happens.wait(20)
        line.send(OK)
        line.rest()

    def forget(line):
        line.head()
        happens.set()
        line.rest()
        left.set()

    gateway = serve(upstream(played(wait, forget)))
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


def test_a_client_that_asks_hears_what_the_upstream_says(serve, played):
    asked, willing = threading.Event(), threading.Event()

    def allow(line):
        request = line.head()
        assert request.all("expect") == [b"100-continue"]
        asked.set()
        assert willing.wait(20)
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        line.seen = line.read(5)
        line.send(OK)

    server = played(allow)
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
    assert server.lines[0].seen == b"hello"


def test_an_upstream_that_refuses_gets_no_body(serve, played):
    left = threading.Event()

    def refuse(line):
        line.head()
        line.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        line.seen = line.wire.recv(1000)
        left.set()

    server = played(refuse)
    gateway = serve(upstream(server))
    with expecting(gateway) as connection:
        assert first_line(connection).startswith(b"HTTP/1.1 413 ")
        assert left.wait(20)
    assert server.lines[0].seen == b""


def test_an_upstream_that_never_heard_of_it_gets_the_body_all_the_same(serve, played):
    gateway = serve(upstream(played(answers())))
    with expecting(gateway) as connection:
        assert first_line(connection) == b"HTTP/1.1 100 Continue"
        connection.send(b"hello")
        assert first_line(connection) == b"HTTP/1.1 200 OK"


def test_early_hints_are_left_out_and_the_response_arrives(serve, played):
    def hint(line):
        line.request()
        line.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + OK)
        line.rest()

    gateway = serve(upstream(played(hint)))
    answer = gateway.send("/", ALICE)
    assert (answer.status, answer.body, answer.all("link")) == (200, b"ok", [])


def test_large_headers_arrive_whole(serve, played):
    head = b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * 60_000 + b"\r\nContent-Length: 2\r\n\r\n"

    gateway = serve(upstream(played(answers(head + b"ok"))))
    request = f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n"
    assert b"x" * 60_000 in converse(gateway.url, request.encode())


# Unix sockets


def test_a_unix_socket_is_an_upstream(serve, played, tmp_path):
    server = played(lambda line: (server.seen.append(line.request()), line.send(OK)), unix=tmp_path / "app.sock")
    gateway = serve(upstream(server))
    assert gateway.send("/a?b=c", {**ALICE, "Host": "app.example"}).body == b"ok"
    [request] = server.seen
    assert (request.target, request.all("host")) == ("/a?b=c", [b"app.example"])
    assert request.all("x-forwarded-user") == [b"alice"]


def test_a_unix_socket_that_nobody_listens_on_is_a_502(serve, tmp_path):
    nobody = type("Nobody", (), {"url": f"unix:{tmp_path / 'absent.sock'}"})
    assert serve(upstream(nobody)).send("/", ALICE).status == 502


# Connections that are used again


@pytest.mark.parametrize(
    "more",
    [OK.replace(b"ok", b"no"), b"no", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["a response", "bytes", "a line", "an interim response"],
)
def test_what_comes_after_a_response_is_nobodys_answer(serve, played, more):
    """An upstream that says more than it was asked, whether it was tricked or is broken, says it to nobody."""

    def speak(line):
        line.request()
        line.send(OK + more)
        if line.request():
            line.send(OK)
            line.rest()

    gateway = serve(upstream(played(speak)))
    assert [gateway.send(f"/{number}", ALICE).body for number in range(10)] == [b"ok"] * 10


def test_a_response_that_a_client_left_is_not_the_next_ones(serve, played):
    left = threading.Event()

    def half(line):
        line.head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        line.rest()
        left.set()

    server = played(half, answers())
    gateway = serve(upstream(server))
    with opened(gateway) as connection:
        assert connection.getresponse().read(4) == b"half"
    assert left.wait(20)
    assert gateway.send("/", ALICE).body == b"ok"
    assert len(server.lines) == 2
