"""Clients that are slow, disconnect, or send too much: each is cut off in time, logged and counted, and the next is served."""

import time

import pytest
from hyperframe.frame import SettingsFrame

from harness.client import ALICE, begin, connect, converse, received
from harness.config import PEOPLE, protected, route
from harness.frames import Http2
from harness.gateway import ADMIN
from harness.misbehaving import MisbehavingUpstream, repeats, sends
from harness.process import eventually

AUTHORIZATION = ALICE["Authorization"]
HEAD = f"Host: x\r\nAuthorization: {AUTHORIZATION}\r\n"
AS_ALICE = [("authorization", AUTHORIZATION)]

SHORT = """
header_timeout = "1s"
keepalive_timeout = "1500ms"
body_timeout = "1s"
send_timeout = "1s"
"""
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"


def faults(gateway, bound):
    return gateway.metric("portcullis_client_faults_total", bound=bound) or 0


def is_logged(gateway, bound):
    return gateway.logged(message="a client was cut off", bound=bound, client="127.0.0.1")


@pytest.fixture
def short_timeouts(serve, upstream):
    # The upstream has less time than a client's body, which doesn't count as long as it is the client that is waited for.
    uploads = route(upstream, "people", path="/stream/up", more='timeout = "500ms"')
    return serve(ADMIN + protected(upstream) + uploads, server=SHORT)


# Slow


@pytest.mark.parametrize("before", ["", f"GET /before HTTP/1.1\r\n{HEAD}\r\n"], ids=["first", "after another"])
def test_a_head_sent_slowly_is_cut_off(short_timeouts, before):
    with short_timeouts.open() as client:
        client.sendall(before.encode())
        if before:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(200):
                client.sendall(b"X-A: 1\r\n")
                time.sleep(0.05)
    eventually(lambda: faults(short_timeouts, "header_timeout") == 1, "it is counted")
    eventually(lambda: is_logged(short_timeouts, "header_timeout"), "it is logged")
    assert short_timeouts.send("/", ALICE).status == 200


@pytest.mark.parametrize("version", [1, 2])
def test_a_connection_without_requests_ends_and_one_with_requests_stays(short_timeouts, version):
    connection = connect(short_timeouts.url) if version == 1 else Http2(short_timeouts.url)
    for turn in range(8):  # longer than the time-out, with pauses that are far shorter
        if version == 1:
            begin(connection, "GET", "/", ALICE)
            assert connection.getresponse().read()
            wire = connection.sock
        else:
            connection.request(2 * turn + 1, connection.pairs(AS_ALICE))
            assert connection.outcome(2 * turn + 1) == 200
        time.sleep(0.3)
    if version == 1:
        assert received(wire) == b""
    else:
        assert connection.outcome(99) == "ended"
        assert connection.farewell, "it was told before"
    assert faults(short_timeouts, "header_timeout") == 0, "that is no fault"


SLOW_BODIES = {
    "of a length": ("Content-Length: 10\r\n", b"hello"),
    "in chunks": ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"),
    "that never begins": ("Content-Length: 10\r\n", b""),
}


@pytest.mark.parametrize("case", SLOW_BODIES)
def test_a_body_that_stands_still_is_a_408(short_timeouts, case):
    headers, body = SLOW_BODIES[case]
    answer = converse(short_timeouts.url, f"POST /stream/up HTTP/1.1\r\n{HEAD}{headers}\r\n".encode() + body)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"connection: close" in answer.lower()
    assert faults(short_timeouts, "body_timeout") == 1
    assert short_timeouts.logged(message="a request's body ended early")


def test_a_body_of_http_2_that_stands_still_is_a_408_and_the_others_go_on(short_timeouts):
    with Http2(short_timeouts.url) as client:
        client.request(1, client.pairs(AS_ALICE, method="POST", path="/stream/up"), end=False)
        client.data(1, b"hello", end=False)
        client.request(3, client.pairs(AS_ALICE))
        assert client.outcome(3) == 200
        client.request(5, client.pairs(AS_ALICE))
        assert client.outcome(1) == 408
        client.request(7, client.pairs(AS_ALICE))
        assert client.outcome(7) == 200


def test_a_body_that_moves_takes_the_time_that_it_needs(short_timeouts, upstream):
    connection = connect(short_timeouts.url)
    begin(connection, "POST", "/stream/up", ALICE | {"Content-Length": "12"})
    for _ in range(12):
        connection.send(b"x")
        time.sleep(0.15)
    assert connection.getresponse().read() == b"got it all"


def test_a_client_that_reads_nothing_is_cut_off_and_so_is_the_upstream(serve):
    with MisbehavingUpstream(repeats(LARGE, b"x" * 65536)) as upstream:
        gateway = serve(ADMIN + protected(upstream), server=SHORT)
        with gateway.open() as client:
            client.sendall(f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode())
            eventually(lambda: faults(gateway, "send_timeout") == 1, "it is counted")
            eventually(lambda: upstream.ended == 1, "the upstream needs not go on")
        eventually(lambda: is_logged(gateway, "send_timeout"), "it is logged")


@pytest.mark.parametrize("window", ["closed", "used up"])
def test_a_stream_that_is_not_read_is_reset_and_the_others_go_on(serve, shared_upstream, window):
    """Flow control lets a client of HTTP/2 hold answers back while its connection is fine (CVE-2019-9511, 9517)."""
    with MisbehavingUpstream(repeats(LARGE, b"x" * 65536)) as large:
        routes = route(large, "people", path="/large") + route(shared_upstream, "people")
        gateway = serve(ADMIN + PEOPLE + routes, server=SHORT)
        with Http2(gateway.url) as client:
            if window == "closed":
                client.settings({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
            client.request(1, client.pairs(AS_ALICE, path="/large"))
            assert client.outcome(1) == 200
            assert client.outcome(1) == "reset"
            eventually(lambda: large.ended == 1, "the upstream needs not go on")
            eventually(lambda: faults(gateway, "send_timeout") == 1, "it is counted")
            eventually(lambda: is_logged(gateway, "send_timeout"), "it is logged")
            client.request(3, client.pairs(AS_ALICE, method="HEAD"))
            assert client.outcome(3) == 200


# Too much

ABOVE = 64 * 1024 + 1
CHUNK = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"


@pytest.fixture
def small_bodies(serve, upstream):
    return serve(ADMIN + protected(upstream, 'max_body_size = "64KiB"'))


@pytest.mark.parametrize("sent", [0, 128 * ABOVE], ids=["only its length", "all of it"])
def test_a_body_of_too_great_a_length_is_a_413_that_the_upstream_never_sees(small_bodies, upstream, sent):
    """The answer arrives also while the client still sends: no reset overtakes it."""
    head = f"POST /stream/up HTTP/1.1\r\n{HEAD}Content-Length: {max(sent, ABOVE)}\r\n\r\n"
    answer = converse(small_bodies.url, head.encode() + b"x" * sent)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert upstream.seen == []
    assert faults(small_bodies, "max_body_size") == 1
    assert small_bodies.logged(message="request refused", status=413)


@pytest.mark.parametrize("version", [1, 2])
def test_a_body_that_grows_too_large_is_a_413_and_the_upstream_is_left(serve, version):
    with MisbehavingUpstream(sends(b"", then_ends=False)) as upstream:
        gateway = serve(ADMIN + protected(upstream, 'max_body_size = "40KiB"'))
        if version == 1:
            with gateway.open() as client:
                client.sendall(f"POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + CHUNK * 8)
                eventually(lambda: upstream.heads, "the request is there")
                client.sendall(CHUNK * 12 + b"0\r\n\r\n")
                assert received(client).startswith(b"HTTP/1.1 413 ")
        else:
            with Http2(gateway.url) as client:
                client.request(1, client.pairs(AS_ALICE, method="POST"), end=False)
                client.data(1, b"x" * 0x4000, end=False)
                eventually(lambda: upstream.heads, "the request is there")
                client.data(1, b"x" * 0x4000, end=False)
                client.data(1, b"x" * 0x4000, end=False)
                assert client.outcome(1) == 413
        assert faults(gateway, "max_body_size") == 1
        eventually(lambda: upstream.ended == 1, "the upstream is left")
        assert upstream.received < 50_000


def test_a_body_may_be_as_large_as_its_bound_and_without_one_any_size(serve):
    small = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    for more, length, status in [
        ('max_body_size = "64KiB"', ABOVE - 1, b"200"),
        ('max_body_size = "64KiB"', ABOVE, b"413"),
        ("", 1 << 30, b"200"),
        ("", (1 << 30) + 1, b"413"),
        ('max_body_size = "none"', 1 << 40, b"200"),
    ]:
        with MisbehavingUpstream(sends(small)) as upstream:
            gateway = serve(protected(upstream, more))
            answer = converse(gateway.url, f"POST / HTTP/1.1\r\n{HEAD}Content-Length: {length}\r\n\r\n".encode())
            assert answer.split(b" ")[1] == status, (more, length)
            assert len(upstream.heads) == (status == b"200")


HEADER = "X-A: 1\r\n"
BOUNDED_HEADS = {
    "a request line": f"GET /{'x' * 40_000} HTTP/1.1\r\n{HEAD}\r\n",
    "a header": f"GET / HTTP/1.1\r\n{HEAD}X-A: {'x' * 40_000}\r\n\r\n",
    "a name": f"GET / HTTP/1.1\r\n{HEAD}{'x' * 40_000}: 1\r\n\r\n",
    "headers": f"GET / HTTP/1.1\r\n{HEAD}{HEADER * 200}\r\n",
    "a head without end": f"GET / HTTP/1.1\r\n{HEAD}{HEADER * 400_000}",
}


@pytest.mark.parametrize("case", BOUNDED_HEADS)
def test_too_much_of_a_head_is_refused(small_bodies, upstream, case):
    answer = converse(small_bodies.url, BOUNDED_HEADS[case].encode())
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 414", b"HTTP/1.1 400"), answer
    assert upstream.seen == []


# Gone


def test_a_client_that_leaves_while_it_downloads_takes_the_upstream_along(serve):
    with MisbehavingUpstream(repeats(LARGE, b"x" * 65536)) as upstream:
        gateway = serve(protected(upstream))
        with gateway.open() as client:
            client.sendall(f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode())
            assert client.recv(65536)
        eventually(lambda: upstream.ended == 1, "the upstream is left")


def test_a_client_that_leaves_while_it_waits_takes_the_upstream_along(serve):
    with MisbehavingUpstream(sends(b"", then_ends=False)) as upstream:
        gateway = serve(protected(upstream))
        with gateway.open() as client:
            client.sendall(f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode())
            eventually(lambda: upstream.heads, "the request is there")
        eventually(lambda: upstream.ended == 1, "the upstream is left")


@pytest.mark.parametrize("version", [1, 2])
def test_a_client_that_leaves_while_it_uploads_leaves_no_whole_request(serve, version):
    with MisbehavingUpstream(sends(b"", then_ends=False)) as upstream:
        gateway = serve(protected(upstream))
        if version == 1:
            with gateway.open() as client:
                client.sendall(f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 10\r\n\r\nhello".encode())
                eventually(lambda: upstream.heads, "the request is there")
        else:
            with Http2(gateway.url) as client:
                client.request(1, client.pairs(AS_ALICE, method="POST"), end=False)
                client.data(1, b"hello", end=False)
                eventually(lambda: upstream.heads, "the request is there")
                client.reset(1)
                eventually(lambda: upstream.ended == 1, "the upstream is left, while the connection stays")
        eventually(lambda: upstream.ended == 1, "the upstream is left")
        assert gateway.send("/livez").status == 401


def test_a_client_that_leaves_while_a_plugin_waits_frees_its_place(serve, upstream, fetch_servers, fetcher_component):
    """With one call at a time, the next is served only once the first has ended. A plugin isn't stopped in mid-air, so
    that is at its deadline."""
    hub = fetch_servers()
    plugin = f'''
[authenticators.slow]
plugin = "{fetcher_component}"
[authenticators.slow.grants]
headers = ["x-url"]
http = ["{hub.url}"]
[authenticators.slow.limits]
deadline = "2s"
concurrency = 1
'''
    gateway = serve(plugin + route(upstream, "slow"))
    with gateway.open() as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nX-Url: {hub.url}/gated\r\n\r\n".encode())
        eventually(lambda: hub.seen, "the plugin waits")
        assert gateway.send("/", {"X-Url": f"{hub.url}/"}).status == 503, "there is no place"
    eventually(lambda: gateway.send("/", {"X-Url": f"{hub.url}/"}).status == 200, "a place is free, at the deadline")
