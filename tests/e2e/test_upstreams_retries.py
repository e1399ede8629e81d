"""What is sent to a second server, or again to the only one, over HTTP/1.1, and what never is: a request that a server may
have acted on is sent twice only where twice does no harm."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import ALICE, begin, connect
from harness.config import upstream
from harness.gateway import ADMIN
from harness.played import OK, answers
from harness.process import eventually


def faulty(fault, seen):
    """A play: the first request that comes to any server is not answered but spoilt."""

    def play(line):
        while request := line.request():
            seen.append(request)
            if len(seen) > 1:
                line.send(OK)
                continue
            if fault == "reset":
                line.reset()
            elif fault != "end":
                line.send(fault)
            return

    return play


@pytest.mark.parametrize(
    ("method", "body", "fault", "times", "status"),
    [
        ("GET", None, "end", 2, 200),
        ("GET", None, "reset", 2, 200),
        ("HEAD", None, "end", 2, 200),
        ("OPTIONS", None, "end", 2, 200),
        ("PUT", None, "end", 2, 200),
        ("PUT", b"", "end", 2, 200),
        ("DELETE", None, "end", 2, 200),
        # Twice might do harm.
        ("POST", None, "end", 1, 502),
        ("POST", b"", "end", 1, 502),
        ("PATCH", b"x", "end", 1, 502),
        ("PROPFIND", None, "end", 1, 502),
        ("get", None, "end", 1, 502),
        # The body is gone.
        ("PUT", b"hello", "end", 1, 502),
        ("DELETE", b"hello", "reset", 1, 502),
        # Something was answered.
        ("GET", None, b"H", 1, 502),
        ("GET", None, b"HTTP/1.1 200 OK\r\n", 1, 502),
        ("GET", None, b"HTTP/1.1 103 Early Hints\r\n\r\n", 1, 502),
        ("GET", None, b"nonsense\r\n\r\n", 1, 502),
        ("GET", None, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 1, 503),
        ("GET", None, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 1, 502),
    ],
)
def test_what_is_sent_to_a_second_server(serve, played, method, body, fault, times, status):
    seen = []
    play = faulty(fault, seen)
    servers = [played(play), played(play)]
    gateway = serve(upstream(*servers, more="max_fails = 100"))
    answer = gateway.send("/a?b=c", {**ALICE, "X-Kept": "1"}, method=method, body=body)
    assert (answer.status, len(seen)) == (status, times)
    assert sorted(len(server.lines) for server in servers) == ([1, 1] if times == 2 else [0, 1])
    for request in seen:
        assert request.target == "/a?b=c"
        assert request.all("x-forwarded-user") == [b"alice"]
        assert (request.all("x-kept"), request.all("authorization")) == ([b"1"], [])
    if times == 2:
        assert seen[0] == seen[1]


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"hello"), ("PATCH", b"x" * 500_000)])
def test_a_server_that_takes_no_connection_costs_no_request(serve, played, unreachable, method, body):
    server = played(lambda line: [(server.seen.append(request), line.send(OK)) for request in iter(line.request, None)])
    gateway = serve(ADMIN + upstream(unreachable(), server, more="max_fails = 1000"))
    for _ in range(6):
        assert gateway.send("/", ALICE, method=method, body=body).status == 200
    assert [request.body for request in server.seen] == [body or b""] * 6
    assert gateway.metric("portcullis_upstream_retries_total", upstream="app") == 3


def test_there_may_be_no_second_try(serve, played, unreachable):
    gateway = serve(upstream(unreachable(), played(answers()), more="retries = 0\nmax_fails = 1000"))
    assert sorted(gateway.send("/", ALICE).status for _ in range(4)) == [200, 200, 502, 502]


def test_as_many_servers_are_tried_as_is_said(serve, played, unreachable):
    down = [unreachable() for _ in range(3)]
    for retries, expected in ((2, {200, 502}), (3, {200})):
        gateway = serve(upstream(*down, played(answers()), more=f"retries = {retries}\nmax_fails = 1000"))
        assert {gateway.send("/", ALICE).status for _ in range(12)} == expected


def test_an_only_server_that_takes_no_connection_is_asked_once(serve, unreachable):
    gateway = serve(ADMIN + upstream(unreachable(), more="retries = 5"))
    assert gateway.send("/", ALICE).status == 502
    assert gateway.metric("portcullis_upstream_requests_total", outcome="failed") == 1


# A server may close a connection that it had kept open just when a request is on its way there.


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
def test_a_connection_that_ends_with_a_request_on_it(serve, played, method, status):
    def once(line):
        line.request()
        line.send(OK)
        server.seen.append(line.request())

    server = played(once, answers())
    gateway = serve(upstream(server))
    assert gateway.send("/", ALICE).status == 200
    assert gateway.send("/", ALICE, method=method).status == status
    assert len(server.seen) == 1


def test_a_connection_that_ended_meanwhile_costs_nothing(serve, played):
    ended = threading.Event()

    def once(line):
        line.request()
        line.send(OK)
        line.wire.shutdown(2)
        ended.set()

    server = played(once)
    gateway = serve(upstream(server, more="retries = 0"))
    for _ in range(3):
        ended.clear()
        assert gateway.send("/", ALICE, method="POST", body=b"hello").status == 200
        assert ended.wait(20)


def test_a_response_that_broke_off_is_never_sent_again(serve, played):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
    servers = [played(lambda line: (line.request(), line.send(half))) for _ in range(2)]
    gateway = serve(upstream(*servers))
    with pytest.raises(Exception, match="IncompleteRead"):
        gateway.send("/", ALICE)
    assert sum(len(server.lines) for server in servers) == 1


def test_a_request_that_takes_too_long_is_never_sent_again(serve, played):
    servers = [played(lambda line: line.rest()) for _ in range(2)]
    gateway = serve(upstream(*servers, route_more='timeout = "300ms"'))
    assert gateway.send("/", ALICE).status == 504
    assert sum(len(server.lines) for server in servers) == 1


def test_an_upgrade_is_never_sent_again_once_it_was_seen(serve, played):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}
    servers = [played(lambda line: line.head()) for _ in range(2)]
    gateway = serve(upstream(*servers))
    assert gateway.send("/", {**ALICE, **upgrade}).status == 502
    assert sum(len(server.lines) for server in servers) == 1


def test_not_everything_is_sent_twice_at_once(serve, played):
    """When all servers break off what they are asked, they get a little more to do and not twice as much."""
    count, at_once = 60, 60 // 5
    seen, together, let_go = [], threading.Event(), threading.Event()

    def fail(line):
        line.request()
        seen.append(1)
        # Each second attempt is held, so that none of them makes room for another.
        assert (together if len(seen) <= count else let_go).wait(30)

    servers = [played(fail) for _ in range(2)]
    gateway = serve(upstream(*servers, more="max_fails = 1000"))
    with ThreadPoolExecutor(count) as threads:
        asked = [threads.submit(gateway.send, "/", ALICE) for _ in range(count)]
        eventually(lambda: len(seen) == count, "all requests have come")
        together.set()
        eventually(lambda: sum(request.done() for request in asked) >= count - at_once, "most are given up")
        eventually(lambda: len(seen) + sum(request.done() for request in asked) == 2 * count, "the others are held")
        let_go.set()
        assert [request.result().status for request in asked] == [502] * count
    assert count < len(seen) <= count + at_once, "a fifth of them at once"


def test_a_body_that_was_begun_is_not_begun_anew(serve, played):
    """The first server breaks off in the middle of an upload, which nobody has kept."""

    def hear_half(line):
        line.head()
        line.read(5)

    servers = [played(hear_half) for _ in range(2)]
    gateway = serve(upstream(*servers))
    connection = connect(gateway.url)
    begin(connection, "PUT", "/", {**ALICE, "Content-Length": "10"})
    connection.send(b"hello")
    assert connection.getresponse().status == 502
    connection.close()
    assert sum(len(server.lines) for server in servers) == 1
