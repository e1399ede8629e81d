"""Clients that are slow, disconnect, or send too much: each is cut off in time, logged and counted, and the next is served."""

import json
import subprocess
import time

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame

from harness import http2
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
REJECTED_HEADS = {
    "a long request line": (f"GET /{'x' * 40_000} HTTP/1.1\r\n{HEAD}\r\n", 431, "max_header_size"),
    "a large header": (f"GET / HTTP/1.1\r\n{HEAD}X-A: {'x' * 40_000}\r\n\r\n", 431, "max_header_size"),
    "a long name": (f"GET / HTTP/1.1\r\n{HEAD}{'x' * 40_000}: 1\r\n\r\n", 431, "max_header_size"),
    "101 headers": (f"GET / HTTP/1.1\r\n{HEAD}{HEADER * 99}\r\n", 431, "max_header_size"),
    "a head without end": (f"GET / HTTP/1.1\r\n{HEAD}{HEADER * 400_000}", 431, "max_header_size"),
    "no HTTP": ("HELO gateway\r\n\r\n", 400, "malformed_head"),
    "another version": (f"GET / HTTP/9.9\r\n{HEAD}\r\n", 400, "malformed_head"),
    "a space in the target": (f"GET /a b HTTP/1.1\r\n{HEAD}\r\n", 400, "malformed_head"),
    "a control character in the target": (f"GET /a\x7f HTTP/1.1\r\n{HEAD}\r\n", 400, "malformed_head"),
    "a method of brackets": (f"(GET) / HTTP/1.1\r\n{HEAD}\r\n", 400, "malformed_head"),
    "a space before a colon": (f"GET / HTTP/1.1\r\n{HEAD}X-A : 1\r\n\r\n", 400, "malformed_head"),
    "NUL in a value": (f"GET / HTTP/1.1\r\n{HEAD}X-A: \0\r\n\r\n", 400, "malformed_head"),
    "a folded header": (f"GET / HTTP/1.1\r\n{HEAD}X-A: 1\r\n 2\r\n\r\n", 400, "malformed_head"),
    "a negative length": (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: -1\r\n\r\n", 400, "malformed_head"),
    "two lengths": (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed_head"),
    "chunks over HTTP/1.0": (f"POST / HTTP/1.0\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n", 400, "malformed_head"),
}
MESSAGES = {400: "Malformed request", 431: "The request head is too large"}


@pytest.fixture(scope="module")
def heads(serve_module, shared_upstream):
    config = ADMIN + '[forward_auth]\n' + protected(shared_upstream)
    return serve_module(config, server='trusted_proxies = ["127.0.0.1"]\n')


@pytest.mark.parametrize("before", ["", f"GET /before HTTP/1.1\r\n{HEAD}\r\n"], ids=["first", "after another"])
@pytest.mark.parametrize("case", REJECTED_HEADS)
def test_a_rejected_head_is_answered_logged_and_counted(heads, upstream, case, before):
    """Row A6 of the field reports."""
    head, status, bound = REJECTED_HEADS[case]
    counted = faults(heads, bound)
    logged = len(is_logged(heads, bound))
    answer = converse(heads.url, (before + head).encode("latin-1"))
    answer = answer[answer.rindex(b"HTTP/1.1 "):]
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert lines.startswith(b"HTTP/1.1 %d " % status), answer
    assert json.loads(body) == {"error": MESSAGES[status]}
    for field in [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]:
        assert field in lines
    assert [seen["target"] for seen in upstream.seen] == (["/before"] if before else [])
    eventually(lambda: len(is_logged(heads, bound)) == logged + 1, "it is logged")
    assert faults(heads, bound) == counted + 1


def test_a_response_to_a_rejected_head_request_has_no_body(heads):
    answer = converse(heads.url, f"HEAD / HTTP/1.1\r\n{HEAD}{HEADER * 200}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 431 ") and answer.endswith(b"\r\n\r\n")


FRONTS_HEAR = {"nginx": 403, "traefik": 431, "caddy": 431, "haproxy": 431, "envoy": 431}


@pytest.mark.parametrize("dialect", FRONTS_HEAR)
def test_a_front_hears_of_a_rejected_head_what_it_can_take(heads, dialect):
    """nginx takes any other status than 401 and 403 for a failure, and answers 500."""
    request = f"GET /.portcullis/auth/{dialect} HTTP/1.1\r\nHost: x\r\n{HEADER * 200}\r\n"
    answer = converse(heads.url, request.encode())
    assert answer.startswith(b"HTTP/1.1 %d " % FRONTS_HEAR[dialect]), answer
    assert (b"x-portcullis-status: 431" in answer) == (dialect == "nginx")


def test_a_head_over_http_2_has_the_same_limits(serve, upstream):
    # A gateway of its own: a fault over HTTP/1.1 is counted after its response, so one of an earlier test could be
    # counted in this one.
    gateway = serve(ADMIN + protected(upstream))
    for headers, status in [(100, 431), (99, 200)]:
        with Http2(gateway.url) as client:
            client.request(1, client.pairs([*AS_ALICE, *[(f"x-a-{n}", "1") for n in range(headers)]]))
            assert client.answer(1)[0] == status
        assert faults(gateway, "max_header_size") == 1
    large = [(f"x-a-{n}", "x" * 1000) for n in range(33)]
    answer = http2.send(int(gateway.url.rsplit(":", 1)[1]), "/", [*AS_ALICE, *large])
    assert (answer.status, answer.json()) == (431, {"error": MESSAGES[431]})


def test_the_number_of_headers_can_be_raised(serve, raw_upstream):
    gateway = serve(protected(raw_upstream), server="max_headers = 300\n")
    for headers, status in [(250, 200), (310, 431)]:
        fields = [(f"x-a-{n}", "1") for n in range(headers)]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        answer = converse(gateway.url, f"GET / HTTP/1.1\r\n{HEAD}Connection: close\r\n{lines}\r\n".encode())
        assert answer.split(b" ")[1] == b"%d" % status
        with Http2(gateway.url) as client:
            client.request(1, client.pairs([*AS_ALICE, *fields]))
            assert client.answer(1)[0] == status


# Answered before the body came


@pytest.mark.parametrize("refused", ["401", "413"])
def test_a_client_reads_an_early_response_over_http_2(serve, upstream, tmp_path, refused):
    """Row A5 of the field reports: curl up to 8.1 loses a response after which its stream is reset."""
    small = route(upstream, "people", path="/small", more='max_body_size = "1KiB"')
    gateway = serve(protected(upstream) + small)
    body = tmp_path / "body"
    body.write_bytes(b"x" * 1_000_000)
    credentials = ["-u", "alice:"] if refused == "413" else []
    curl = ["curl", "-sS", "--http2-prior-knowledge", "--data-binary", f"@{body}", "-w", "%{http_code}", "-o", "/dev/null"]
    for _ in range(20):
        done = subprocess.run([*curl, *credentials, f"{gateway.url}/{'small' if refused == '413' else ''}"], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, refused, "")


def test_an_early_response_over_http_2_resets_no_stream_while_the_body_comes(serve, upstream):
    gateway = serve(protected(upstream))
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(method="POST"), end=False)
        assert client.answer(1)[0] == 401
        for _ in range(20):
            client.data(1, b"x" * 1000, end=False)
        client.data(1, b"x")
        client.request(3, client.pairs(AS_ALICE))
        frames = []
        while not frames or not (isinstance(frames[-1], HeadersFrame) and frames[-1].stream_id == 3):
            frames.append(client.frame())
        assert not [frame for frame in frames if isinstance(frame, RstStreamFrame)]


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
