"""Load balancing, and passive and active health checks."""

import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import ALICE, received
from harness.config import upstream
from harness.gateway import ADMIN
from harness.http2_upstream import Answer
from harness.process import eventually, free_ports
from harness.scripted import OK, answers, tls_context

DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ndown"


def named(name):
    return answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))


def who(gateway, times=1):
    """How often each server answers."""
    return Counter(gateway.send("/", ALICE).body for _ in range(times))


def healthy(gateway, server):
    name = server.url.split("://")[-1]
    return gateway.metric("portcullis_upstream_healthy", upstream="app", server=name)


def test_requests_are_balanced_over_servers(serve, scripted_upstream):
    gateway = serve(upstream(*(scripted_upstream(named(name)) for name in (b"a", b"b", b"c"))))
    assert who(gateway, 30) == {b"a": 10, b"b": 10, b"c": 10}


def test_a_busy_server_gets_fewer_requests(serve, scripted_upstream):
    let_go = threading.Event()

    def slow(connection):
        while request := connection.request():
            first.seen.append(request)
            assert let_go.wait(30)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

    first = scripted_upstream(slow)
    gateway = serve(upstream(first, scripted_upstream(named(b"b"))))
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(who, gateway) for _ in range(4)]
        # One that is still on its way to the other server would count there.
        eventually(lambda: len(first.seen) + sum(request.done() for request in waiting) == 4, "the others are answered")
        held = len(first.seen)
        assert who(gateway, 10) == {b"b": 10}
        let_go.set()
        assert sum((request.result() for request in waiting), Counter())[b"a"] == held >= 1


# Passive checks


def test_a_dead_server_is_ejected_and_found_again(serve, scripted_upstream):
    [port] = free_ports(1)
    mortal, other = scripted_upstream(named(b"a"), address=("127.0.0.1", port)), scripted_upstream(named(b"b"))
    gateway = serve(ADMIN + upstream(mortal, other, more='max_fails = 2\nfail_timeout = "300ms"'))
    assert set(who(gateway, 4)) == {b"a", b"b"}
    mortal.stop()
    assert who(gateway, 12) == {b"b": 12}, "no client notices"
    assert healthy(gateway, mortal) == 0
    assert healthy(gateway, other) == 1
    [line] = gateway.logged(message="a server fails and gets no requests for a while")[:1]
    assert (line["upstream"], line["server"], line["level"]) == ("app", f"127.0.0.1:{port}", "WARN")
    scripted_upstream(named(b"a"), address=("127.0.0.1", port))
    eventually(lambda: b"a" in who(gateway), "the server is found again")
    assert healthy(gateway, mortal) == 1
    eventually(lambda: gateway.logged(message="a server answers again", server=f"127.0.0.1:{port}"), "it is logged")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_answers_as_a_failing_gateway_is_ejected(serve, scripted_upstream, status):
    failing = scripted_upstream(answers(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status))
    gateway = serve(ADMIN + upstream(failing, scripted_upstream(named(b"b")), more="max_fails = 2"))
    found = who(gateway, 20)
    assert found == {b"no": 2, b"b": 18}
    assert healthy(gateway, failing) == 0


@pytest.mark.parametrize("status", [404, 429, 500, 501])
def test_an_answer_is_no_failure_of_its_server(serve, scripted_upstream, status):
    strange = scripted_upstream(answers(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status))
    gateway = serve(ADMIN + upstream(strange, scripted_upstream(named(b"b")), more="max_fails = 1"))
    assert who(gateway, 20) == {b"no": 10, b"b": 10}
    assert healthy(gateway, strange) == 1


def test_when_every_server_fails_all_of_them_are_tried(serve, scripted_upstream):
    servers = [scripted_upstream(answers(DOWN)) for _ in range(2)]
    gateway = serve(ADMIN + upstream(*servers, more='max_fails = 1\nfail_timeout = "1h"'))
    assert who(gateway, 10) == {b"down": 10}
    assert [healthy(gateway, server) for server in servers] == [0, 0]


def test_the_only_server_is_never_ejected(serve, scripted_upstream):
    answer = [DOWN]
    server = scripted_upstream(lambda connection: [connection.send(answer[0]) for _ in iter(connection.request, None)])
    gateway = serve(ADMIN + upstream(server, more='max_fails = 1\nfail_timeout = "1h"'))
    assert who(gateway, 5) == {b"down": 5}
    answer[0] = OK
    assert who(gateway) == {b"ok": 1}
    assert healthy(gateway, server) == 1


# Active checks

HEALTH = 'health = { path = "/healthz?deep=1", interval = "100ms", timeout = "1s", healthy = 2, unhealthy = 2 }'


class CheckedServer:
    """Answers checks with `status`, and requests with its name; counts both."""

    def __init__(self, name):
        self.name, self.status, self.checks, self.requests = name, 200, [], 0

    def __call__(self, connection):
        while request := connection.request():
            if request.target.startswith("/healthz"):
                self.checks.append(request)
                connection.send(b"HTTP/1.1 %d Now\r\nContent-Length: 0\r\n\r\n" % self.status)
            else:
                self.requests += 1
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + self.name)


def test_a_server_that_fails_its_checks_gets_nothing_until_it_passes_them(serve, scripted_upstream):
    first, second = CheckedServer(b"a"), CheckedServer(b"b")
    servers = [scripted_upstream(first), scripted_upstream(second)]
    gateway = serve(ADMIN + upstream(*servers, more=HEALTH))
    assert who(gateway, 10) == {b"a": 5, b"b": 5}
    first.status = 500
    eventually(lambda: healthy(gateway, servers[0]) == 0, "the checks have failed")
    assert who(gateway, 10) == {b"b": 10}
    [line] = gateway.logged(message="a server is not healthy")
    assert line["why"] == "it answered 500"
    first.status = 204
    eventually(lambda: healthy(gateway, servers[0]) == 1, "the checks go well")
    assert who(gateway, 10) == {b"a": 5, b"b": 5}
    eventually(lambda: len(gateway.logged(message="a server is healthy again")) == 1, "it is logged once")
    check = first.checks[0]
    assert check.line == b"GET /healthz?deep=1 HTTP/1.1"
    assert check.all("host") == [servers[0].url.removeprefix("http://").encode()]
    assert check.all("user-agent") == [b"portcullis-health"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (lambda connection: connection.rest(), "it didn't answer in time"),
        (lambda connection: connection.head(), "connection closed before message completed"),
        (lambda connection: (connection.head(), connection.send(b"SSH-2.0-x\r\n")), "invalid HTTP version parsed"),
        (answers(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "it answered 302"),
        (answers(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), "message head is too large"),
    ],
    ids=["silence", "an end", "garbage", "a redirect", "a huge header"],
)
def test_a_check_fails_when_no_good_answer_comes(serve, scripted_upstream, script, why):
    server = scripted_upstream(script)
    gateway = serve(ADMIN + upstream(server, scripted_upstream(named(b"b")), more=HEALTH))
    eventually(lambda: healthy(gateway, server) == 0, "the checks have failed")
    [line, *_] = eventually(lambda: gateway.logged(message="a server is not healthy"), "it is logged")
    assert why in line["why"]
    assert who(gateway, 4) == {b"b": 4}


def test_the_head_of_an_answer_to_a_check_is_enough(serve, scripted_upstream):
    def endless(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        connection.rest()
        server.seen.append("left")

    server = scripted_upstream(endless)
    gateway = serve(ADMIN + upstream(server, more=HEALTH))
    eventually(lambda: len(server.seen) > 3, "checks have come and gone")
    assert healthy(gateway, server) == 1


def test_checks_speak_what_the_server_speaks(serve, http2_upstreams, authority):
    server = http2_upstreams(tls=tls_context(authority.issue("server"), ["h2"]))
    gateway = serve(ADMIN + upstream(server, more=f'ca = "{authority.ca}"\n{HEALTH}'))
    eventually(lambda: len(server.seen) > 1, "checks have come")
    asked = server.seen[0]
    assert (asked.all(":path"), asked.all(":scheme")) == (["/healthz?deep=1"], ["https"])
    server.answer = lambda asked: Answer(status=500)
    eventually(lambda: healthy(gateway, server) == 0, "the checks have failed")


def test_when_no_server_passes_its_checks_all_of_them_are_tried(serve, scripted_upstream):
    patients = [CheckedServer(b"a"), CheckedServer(b"b")]
    servers = [scripted_upstream(patient) for patient in patients]
    for patient in patients:
        patient.status = 500
    gateway = serve(ADMIN + upstream(*servers, more=HEALTH))
    eventually(lambda: [healthy(gateway, server) for server in servers] == [0, 0], "the checks have failed")
    assert who(gateway, 10) == {b"a": 5, b"b": 5}


def test_a_clients_errors_do_not_count_against_the_server(serve, scripted_upstream):
    """What a client breaks off or writes wrongly is not its upstream's fault."""
    server = scripted_upstream(answers())
    gateway = serve(ADMIN + upstream(server, scripted_upstream(answers()), more="max_fails = 1"))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['Authorization']}\r\n"
    for spoilt in ("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nno size\r\n", "Content-Length: 9\r\n\r\nhalf"):
        for _ in range(4):
            with gateway.open() as wire:
                wire.sendall((head + spoilt).encode())
                wire.shutdown(socket.SHUT_WR)
                received(wire)
    assert who(gateway, 4) == {b"ok": 4}
    assert gateway.logged(message="a server fails and gets no requests for a while") == []
