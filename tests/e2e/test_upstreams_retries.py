"""Retries over HTTP/1.1: which requests are sent again, to another server or to the same one, and which never are."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import ALICE, begin, connect
from harness.config import upstream
from harness.gateway import ADMIN
from harness.process import eventually
from harness.scripted import OK, answers


def faulty(fault, seen):
    """A script in which the first request to any server fails."""

    def script(connection):
        while request := connection.request():
            seen.append(request)
            if len(seen) > 1:
                connection.send(OK)
                continue
            if fault == "reset":
                connection.reset()
            elif fault != "end":
                connection.send(fault)
            return

    return script


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
def test_what_is_sent_to_a_second_server(serve, scripted_upstream, method, body, fault, times, status):
    seen = []
    script = faulty(fault, seen)
    servers = [scripted_upstream(script), scripted_upstream(script)]
    gateway = serve(upstream(*servers, more="max_fails = 100"))
    answer = gateway.send("/a?b=c", {**ALICE, "X-Kept": "1"}, method=method, body=body)
    assert (answer.status, len(seen)) == (status, times)
    assert sorted(len(server.connections) for server in servers) == ([1, 1] if times == 2 else [0, 1])
    for request in seen:
        assert request.target == "/a?b=c"
        assert request.all("x-forwarded-user") == [b"alice"]
        assert (request.all("x-kept"), request.all("authorization")) == ([b"1"], [])
    if times == 2:
        assert seen[0] == seen[1]


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"hello"), ("PATCH", b"x" * 500_000)])
def test_a_server_that_takes_no_connection_costs_no_request(serve, scripted_upstream, unreachable, method, body):
    server = scripted_upstream(
        lambda connection: [
            (server.seen.append(request), connection.send(OK)) for request in iter(connection.request, None)
        ]
    )
    gateway = serve(ADMIN + upstream(unreachable(), server, more="max_fails = 1000"))
    for _ in range(6):
        assert gateway.send("/", ALICE, method=method, body=body).status == 200
    assert [request.body for request in server.seen] == [body or b""] * 6
    assert gateway.metric("portcullis_upstream_retries_total", upstream="app") == 3


def test_there_may_be_no_second_try(serve, scripted_upstream, unreachable):
    gateway = serve(upstream(unreachable(), scripted_upstream(answers()), more="retries = 0\nmax_fails = 1000"))
    assert sorted(gateway.send("/", ALICE).status for _ in range(4)) == [200, 200, 502, 502]


def test_retries_bounds_how_many_servers_are_tried(serve, scripted_upstream, unreachable):
    down = [unreachable() for _ in range(3)]
    for retries, expected in ((2, {200, 502}), (3, {200})):
        gateway = serve(upstream(*down, scripted_upstream(answers()), more=f"retries = {retries}\nmax_fails = 1000"))
        assert {gateway.send("/", ALICE).status for _ in range(12)} == expected


def test_an_only_server_that_takes_no_connection_is_asked_once(serve, unreachable):
    gateway = serve(ADMIN + upstream(unreachable(), more="retries = 5"))
    assert gateway.send("/", ALICE).status == 502
    assert gateway.metric("portcullis_upstream_requests_total", outcome="failed") == 1


# A server may close a connection that it had kept open just when a request is on its way there.


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
def test_a_connection_that_ends_with_a_request_on_it(serve, scripted_upstream, method, status):
    def once(connection):
        connection.request()
        connection.send(OK)
        server.seen.append(connection.request())

    server = scripted_upstream(once, answers())
    gateway = serve(upstream(server))
    assert gateway.send("/", ALICE).status == 200
    assert gateway.send("/", ALICE, method=method).status == status
    assert len(server.seen) == 1


def test_an_idle_connection_that_the_server_closed_costs_no_request(serve, scripted_upstream):
    ended = threading.Event()

    def once(connection):
        connection.request()
        connection.send(OK)
        connection.wire.shutdown(2)
        ended.set()

    server = scripted_upstream(once)
    gateway = serve(upstream(server, more="retries = 0"))
    for _ in range(3):
        ended.clear()
        assert gateway.send("/", ALICE, method="POST", body=b"hello").status == 200
        assert ended.wait(20)


def test_a_response_that_broke_off_is_never_sent_again(serve, scripted_upstream):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
    servers = [scripted_upstream(lambda connection: (connection.request(), connection.send(half))) for _ in range(2)]
    gateway = serve(upstream(*servers))
    with pytest.raises(Exception, match="IncompleteRead"):
        gateway.send("/", ALICE)
    assert sum(len(server.connections) for server in servers) == 1


def test_a_request_that_takes_too_long_is_never_sent_again(serve, scripted_upstream):
    servers = [scripted_upstream(lambda connection: connection.rest()) for _ in range(2)]
    gateway = serve(upstream(*servers, route_more='timeout = "300ms"'))
    assert gateway.send("/", ALICE).status == 504
    assert sum(len(server.connections) for server in servers) == 1


def test_an_upgrade_is_never_sent_again_once_it_was_seen(serve, scripted_upstream):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}
    servers = [scripted_upstream(lambda connection: connection.head()) for _ in range(2)]
    gateway = serve(upstream(*servers))
    assert gateway.send("/", {**ALICE, **upgrade}).status == 502
    assert sum(len(server.connections) for server in servers) == 1


def test_not_everything_is_sent_twice_at_once(serve, scripted_upstream):
    """When all servers break off what they are asked, they get a little more to do and not twice as much."""
    count, at_once = 60, 60 // 5
    seen, together, let_go = [], threading.Event(), threading.Event()

    def fail(connection):
        connection.request()
        seen.append(1)
        # Each second attempt is held, so that none of them makes room for another.
        assert (together if len(seen) <= count else let_go).wait(30)

    servers = [scripted_upstream(fail) for _ in range(2)]
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


def test_a_body_that_was_begun_is_not_begun_anew(serve, scripted_upstream):
    """The first server closes in the middle of an upload, which is not buffered."""

    def hear_half(connection):
        connection.head()
        connection.read(5)

    servers = [scripted_upstream(hear_half) for _ in range(2)]
    gateway = serve(upstream(*servers))
    connection = connect(gateway.url)
    begin(connection, "PUT", "/", {**ALICE, "Content-Length": "10"})
    connection.send(b"hello")
    assert connection.getresponse().status == 502
    connection.close()
    assert sum(len(server.connections) for server in servers) == 1
