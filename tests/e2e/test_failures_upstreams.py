"""Upstreams that are slow, close in the middle of a response, or answer garbage: no client takes a truncated response for
complete, and the next request is served.
"""

import contextlib

import pytest

from harness import http2
from harness.client import ALICE, begin, connect, converse, received
from harness.config import PEOPLE, protected, route, whoami
from harness.misbehaving import MisbehavingUpstream, repeats, sends
from harness.process import eventually

OK = b"HTTP/1.1 200 OK\r\n"
WELL = whoami(path="/well")
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def through(serve, upstream, more=""):
    """A gateway whose one route leads to a misbehaving upstream, and beside it one that shows that the gateway is well."""
    return serve(PEOPLE + WELL + route(upstream, "people", more=more))


@pytest.fixture(scope="module")
def misbehaving():
    """An upstream that each test tells how to misbehave."""
    with MisbehavingUpstream(sends(b"")) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(serve_module, misbehaving):
    return through(serve_module, misbehaving)


def is_well(gateway):
    return gateway.send("/well").status == 200


def port(gateway):
    return int(gateway.url.rsplit(":", 1)[1])


# Answers that no client may get as they are: a 502, or one that is clearly broken off.

GARBAGE = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "binary rubbish": bytes(range(256)) * 16,
    "zeros": bytes(1000),
    "HTTP/0.9": b"<html>hello</html>\n",
    "the version of another protocol": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "another version": b"HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no status": b"HTTP/1.1\r\nContent-Length: 2\r\n\r\nok",
    "a status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "a status of 99": b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "two lengths in one field": OK + b"Content-Length: 2, 3\r\n\r\nok!",
    "a length of letters": OK + b"Content-Length: two\r\n\r\nok",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "a length that overflows": OK + b"Content-Length: 18446744073709551618\r\n\r\nok",
    "NUL in a value": OK + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "NUL in a name": OK + b"X\0A: b\r\nContent-Length: 2\r\n\r\nok",
    "a name with spaces": OK + b"Name With Space: x\r\n\r\n",
    "a header without a colon": OK + b"X-A\r\nContent-Length: 2\r\n\r\nok",
    "a space before the colon": OK + b"X-A : 1\r\nContent-Length: 2\r\n\r\nok",
    "a folded header": OK + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
    "half a head": OK + b"Content-Len",
    "a large header": OK + b"X-A: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "a huge header": OK + b"X-A: " + b"x" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "200 headers": OK + b"X-A: 1\r\n" * 200 + b"Content-Length: 2\r\n\r\nok",
    "many headers": OK + b"X-A: 1\r\n" * 5000 + b"Content-Length: 2\r\n\r\nok",
    "an upgrade that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_a_502(gateway, misbehaving, case):
    misbehaving.behave = sends(GARBAGE[case])
    before = len(gateway.log())
    for version in (1, 2):
        answer = gateway.send("/", ALICE) if version == 1 else http2.send(port(gateway), "/", ALICE.items())
        assert answer.status == 502, answer
        assert answer.json() == {"error": "The upstream can't be reached"}
    lines = [line for line in gateway.log()[before:] if line["message"] == "the upstream gave no response"]
    assert [(line["level"], line["route"], bool(line["why"])) for line in lines] == [("WARN", "/", True)] * 2
    assert is_well(gateway)


ENDLESS = {
    "rubbish": (b"", bytes(range(256)) * 64),
    "a line": (OK + b"X-A: ", b"x" * 65536),
    "headers": (OK, b"X-A: 1\r\n" * 4096),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 64),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_head_without_end_is_given_up(serve, case):
    with MisbehavingUpstream(repeats(*ENDLESS[case])) as upstream:
        gateway = through(serve, upstream, 'timeout = "2s"')
        answer = gateway.send("/", ALICE)
        assert answer.status in (502, 504), answer
        eventually(lambda: upstream.ended >= 1, "the upstream is left")
        assert is_well(gateway)


# Answers that end before they should

HALVES = {
    "of a length": OK + b"Content-Length: 10\r\n\r\nhello",
    "in chunks": CHUNKED + b"5\r\nhello\r\n",
    "in the middle of a chunk": CHUNKED + b"a\r\nhello",
    "before the end": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "before the end of the trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: 1\r\n",
    "with a chunk of rubbish": CHUNKED + b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "with a chunk that overflows": CHUNKED + b"5\r\nhello\r\n10000000000000000\r\nx\r\n0\r\n\r\n",
    "with a chunk longer than its size": CHUNKED + b"5\r\nhello world\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("resets", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("case", HALVES)
def test_a_truncated_response_is_never_passed_off_as_complete(gateway, misbehaving, case, resets):
    misbehaving.behave = sends(HALVES[case], resets=resets)
    with gateway.open() as wire:
        wire.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n".encode())
        answer = received(wire)
    if answer.startswith(b"HTTP/1.1 502 "):
        assert resets or "rubbish" in case or "overflows" in case, "only a reset may overtake the head"
    else:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        if b"transfer-encoding: chunked" in head:
            assert not body.endswith(b"0\r\n\r\n")
        else:
            assert b"content-length: 10" in head and len(body) < 10
    answer = http2.send(port(gateway), "/", ALICE.items())
    assert answer.status in (0, 502), "the stream was reset"
    assert is_well(gateway)


def test_an_answer_of_http_1_0_ends_with_its_connection(gateway, misbehaving):
    misbehaving.behave = sends(b"HTTP/1.0 200 OK\r\n\r\nhello")
    answer = gateway.send("/", ALICE)
    assert (answer.status, answer.body) == (200, b"hello")


# Slow


def test_a_silent_upstream_is_a_504(serve):
    with MisbehavingUpstream(sends(b"", then_ends=False)) as upstream:
        gateway = through(serve, upstream, 'timeout = "300ms"')
        assert gateway.send("/", ALICE).status == 504
        eventually(lambda: upstream.ended == 1, "the upstream is left")
        eventually(lambda: gateway.logged(message="the upstream gave no response", level="WARN"), "it is logged")
        assert is_well(gateway)


def test_an_upstream_that_reads_nothing_is_a_504(serve):
    def deaf(upstream, _):
        upstream.stopped.wait(60)

    with MisbehavingUpstream(deaf) as upstream:
        config = PEOPLE + WELL + route(upstream, "people", more='timeout = "500ms"')
        gateway = serve(config, server='keepalive_timeout = "1s"\n')
        connection = connect(gateway.url)
        begin(connection, "POST", "/", ALICE | {"Content-Length": "100000000"})
        connection.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                connection.sock.sendall(b"x" * 65536)
        connection.sock.settimeout(20)
        assert connection.getresponse().status == 504
        with contextlib.suppress(ConnectionResetError):
            assert connection.sock.recv(1) == b"", "the connection ends"
        assert is_well(gateway)


def test_many_slow_requests_delay_no_other_request(serve, upstream):
    with MisbehavingUpstream(sends(b"", then_ends=False)) as slow:
        gateway = serve(PEOPLE + route(slow, "people", path="/slow") + route(upstream, "people"))
        waiting = [connect(gateway.url) for _ in range(200)]
        for connection in waiting:
            begin(connection, "GET", "/slow", ALICE)
        eventually(lambda: len(slow.heads) == 200, "all wait at once")
        assert gateway.send("/", ALICE).status == 200
        for connection in waiting:
            connection.close()
        eventually(lambda: slow.ended == 200, "the upstream is left")


def test_an_early_response_of_an_upstream_reaches_the_client(serve):
    """Row A11 of the field reports: what it says may be that it wants no body."""
    with MisbehavingUpstream(
        sends(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    ) as upstream:
        gateway = serve(protected(upstream))
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['Authorization']}\r\nContent-Length: 10000000\r\n\r\n"
        answer = converse(gateway.url, head.encode() + b"x" * 100_000)
        assert answer.startswith(b"HTTP/1.1 403 ") and answer.endswith(b"no"), answer
