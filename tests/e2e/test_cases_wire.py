"""Cases 37 and 44 of docs/security-cases.md: bytes that two programs could take for different requests.

Each case is spoken by hand. The upstream keeps what came to it, byte for byte, and nothing may be left over there.
"""

import pytest
from hyperframe.frame import HeadersFrame

from harness.client import ALICE, basic, bearer, converse
from harness.config import protected, route, tokens
from harness.frames import Ended, Http2

AUTHORIZATION = ALICE["Authorization"]
HEAD = f"Host: x\r\nAuthorization: {AUTHORIZATION}\r\n"


@pytest.fixture(scope="module")
def gateway(serve_module, shared_raw_upstream):
    return serve_module(protected(shared_raw_upstream))


def post(headers, body="", line="POST /first HTTP/1.1"):
    return f"{line}\r\n{HEAD}{headers}\r\n{body}"


SECOND = f"GET /second HTTP/1.1\r\n{HEAD}\r\n"
LAST = f"GET /second HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"

# Requests whose end two programs could see in two places. Each is followed by a second request.
DOUBTFUL = {
    "a length and chunks": post(f"Content-Length: 4\r\n{CHUNKED}", "0\r\n\r\n"),
    "chunks and a length": post(f"{CHUNKED}Content-Length: 4\r\n", "0\r\n\r\n"),
    "a length that fits the chunks": post(f"Content-Length: 5\r\n{CHUNKED}", "0\r\n\r\n"),
    "a length of nothing and chunks": post(f"Content-Length: 0\r\n{CHUNKED}", "0\r\n\r\n"),
    "a length and chunks in capitals": post("CONTENT-LENGTH: 4\r\nTRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"),
    "a length, chunks and close": post(f"Connection: close\r\nContent-Length: 4\r\n{CHUNKED}", "0\r\n\r\n"),
    "a length that Connection names, and chunks": post(
        f"Connection: Content-Length\r\nContent-Length: 4\r\n{CHUNKED}", "0\r\n\r\n"
    ),
    "two lengths": post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
    "the same length twice": post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"),
    "two lengths in one field": post("Content-Length: 2, 2\r\n", "ab"),
    "a length with a sign": post("Content-Length: +2\r\n", "ab"),
    "a negative length": post("Content-Length: -2\r\n", "ab"),
    "a length in hexadecimal": post("Content-Length: 0x2\r\n", "ab"),
    "a length with a space": post("Content-Length: 1 0\r\n", "ab"),
    "a length of nothing at all": post("Content-Length:\r\n", ""),
    "a length that overflows": post("Content-Length: 18446744073709551618\r\n", "ab"),
    "an unknown coding": post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    "a coding before chunks": post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    "a coding after chunks": post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    "chunks twice": post(CHUNKED * 2, "0\r\n\r\n"),
    "chunks twice in one field": post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    "identity": post("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "ab"),
    "a vertical tab before chunked": post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    "a quoted coding": post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"),
    "a parameter of the coding": post("Transfer-Encoding: chunked;x=1\r\n", "0\r\n\r\n"),
    "a space before the colon": post("Content-Length : 2\r\n", "ab"),
    "a tab before the colon": post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
    "a folded header": post("X-A: 1\r\n 2\r\n"),
    "a folded coding": post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    "a fold before the first header": f"GET / HTTP/1.1\r\n {HEAD}\r\n",
    "a header without a colon": post("X-A\r\n"),
    "a header without a name": post(": 1\r\n"),
    "NUL in a name": post("X\0A: 1\r\n"),
    "NUL in a value": post("X-A: 1\0\r\n"),
    "CR in a value": post("X-A: 1\r2\r\n"),
    "CR and a header in a value": post("X-A: 1\rX-Forwarded-User: mallory\r\n"),
    "LF without CR in the head": post("X-A: 1\nX-B: 2\r\n"),
    "LF without CR after the request line": f"GET /first HTTP/1.1\n{HEAD}\r\n",
    "LF without CR at the end": f"GET /first HTTP/1.1\r\n{HEAD}\n",
    "LF without CR throughout": f"GET /first HTTP/1.1\r\n{HEAD}\r\n".replace("\r", ""),
    "chunks in HTTP/1.0": post(CHUNKED, "0\r\n\r\n", "POST /first HTTP/1.0"),
    "two spaces in the request line": post("", line="GET  /first HTTP/1.1"),
    "a tab in the request line": post("", line="GET\t/first HTTP/1.1"),
    "a space in the target": post("", line="GET /first /other HTTP/1.1"),
    "a version of its own": post("", line="GET /first HTTP/1.2"),
    "a version in small letters": post("", line="GET /first http/1.1"),
    "no version": post("", line="GET /first"),
    "a fragment": post("", line="GET /first#/other HTTP/1.1"),
}


def statuses(answer):
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("case", DOUBTFUL)
@pytest.mark.parametrize("before", ["", SECOND.replace("/second", "/before")], ids=["first", "after another"])
def test_case_37_a_request_in_doubt_is_a_400_and_the_last(gateway, raw_upstream, case, before):
    answer = converse(gateway.url, (before + DOUBTFUL[case] + SECOND).encode("latin-1"))
    assert statuses(answer) == ([200, 400] if before else [400])
    assert [request.target for request in raw_upstream.seen] == (["/before"] if before else [])
    assert raw_upstream.rest == []


# Requests whose end is clear and whose host isn't: the connection may go on.
HOSTS = {
    "two hosts": post("Host: y\r\n"),
    "the same host twice": post("Host: x\r\n"),
    "a host that differs from the address": post("", line="GET http://y/first HTTP/1.1"),
    "an address with a user": post("", line="GET http://x@y/first HTTP/1.1"),
    "no host": f"GET /first HTTP/1.1\r\nAuthorization: {AUTHORIZATION}\r\n\r\n",
}


@pytest.mark.parametrize("case", HOSTS)
def test_case_37_a_request_for_two_hosts_or_none_is_a_400(gateway, raw_upstream, case):
    assert statuses(converse(gateway.url, (HOSTS[case] + LAST).encode())) == [400, 200]
    assert [request.target for request in raw_upstream.seen] == ["/second"]


# Bodies that are wrong behind a head that is right: the answer may have begun, but nothing of the body is a request.
BODIES = {
    "a size that overflows": "10000000000000002\r\nab\r\n0\r\n\r\n",
    "a size that is none": "x\r\nab\r\n0\r\n\r\n",
    "no size": "\r\nab\r\n0\r\n\r\n",
    "a negative size": "-2\r\nab\r\n0\r\n\r\n",
    "a size with a prefix": "0x2\r\nab\r\n0\r\n\r\n",
    "a size ended by LF": "2\nab\r\n0\r\n\r\n",
    "LF in an extension": "2;x\nab\r\n0\r\n\r\n",
    "a chunk longer than its size": "2\r\nabc\r\n0\r\n\r\n",
    "a chunk shorter than its size": "5\r\nab\r\n0\r\n\r\n",
    "a chunk ended by LF": "2\r\nab\n0\r\n\r\n",
    "the end ended by LF": "0\n\n",
    "extensions without end": f"2;{'x' * 20_000}\r\nab\r\n0\r\n\r\n",
    "extensions in every chunk": f"1;{'x' * 1000}\r\na\r\n" * 40 + "0\r\n\r\n",
    "trailers without end": f"0\r\n{'X-A: 1' * 4000}\r\n\r\n",
    "two thousand trailers": "0\r\n" + "X-A: 1\r\n" * 2000 + "\r\n",
    "a trailer without a colon": "0\r\nX-A\r\n\r\n",
    "a trailer with a space before the colon": "0\r\nX-A : 1\r\n\r\n",
}


@pytest.mark.parametrize("case", BODIES)
def test_case_37_a_broken_body_hides_no_request(gateway, raw_upstream, case):
    answer = converse(gateway.url, (post(CHUNKED, BODIES[case]) + SECOND).encode("latin-1"))
    assert statuses(answer) in ([], [400], [502], [200])
    assert [request.target for request in raw_upstream.seen] in ([], ["/first"])
    assert raw_upstream.rest in ([], [b""])


BOB = basic("bob")["Authorization"]
TRAILERS = f"2\r\nab\r\n0\r\nX-Forwarded-User: mallory\r\nAuthorization: {BOB}\r\nHost: y\r\n\r\n"


def test_case_37_trailers_are_no_headers(gateway, raw_upstream):
    first = post(CHUNKED + "Trailer: X-Forwarded-User\r\n", TRAILERS)
    answer = converse(gateway.url, (first + LAST).encode())
    assert statuses(answer) == [200, 200]
    first, second = raw_upstream.seen
    assert (first.body, first.trailers, second.target) == (b"ab", b"", "/second")
    for request in raw_upstream.seen:
        assert request.all("x-forwarded-user") == [b"alice"]
        assert request.all("host") == [b"x"]


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED\t"])
def test_case_37_chunks_alone_are_fine(gateway, raw_upstream, coding):
    body = "2;x=1\r\nab\r\n000003\r\ncde\r\n0\r\n\r\n"
    request = post(f"Transfer-Encoding: {coding}\r\n", body)
    assert statuses(converse(gateway.url, (request + request + LAST).encode())) == [200, 200, 200]
    assert [(request.target, request.body) for request in raw_upstream.seen] == [("/first", b"abcde")] * 2 + [
        ("/second", b"")
    ]


def test_case_37_a_body_that_looks_like_requests_is_a_body(gateway, raw_upstream):
    inner = "POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" + SECOND.replace("\r\n", "\n")
    requests = post(f"Content-Length: {len(inner)}\r\n", inner)
    requests += post(CHUNKED, f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n")
    requests += LAST
    assert statuses(converse(gateway.url, requests.encode())) == [200, 200, 200]
    assert [request.body for request in raw_upstream.seen] == [inner.encode()] * 2 + [b""]


@pytest.mark.parametrize("headers", ["X-A: 1\r\n" * 200, f"X-A: {'a' * 40_000}\r\n"], ids=["200 headers", "40 KB"])
def test_case_37_a_head_has_bounds(gateway, raw_upstream, headers):
    assert statuses(converse(gateway.url, (post(headers) + SECOND).encode())) == [431]
    assert raw_upstream.seen == []


# HTTP/2


def ask(gateway, pairs, body=None):
    with Http2(gateway.url) as client:
        client.request(1, pairs(client), end=body is None)
        if body is not None:
            client.data(1, body)
        outcome = client.outcome(1)
        client.request(3, client.pairs(AS_ALICE, path="/after"))
        return outcome, client.outcome(3)


AS_ALICE = [("authorization", AUTHORIZATION)]

# A head that RFC 9113, section 8, forbids.
MALFORMED = {
    "no method": lambda client: client.pairs(AS_ALICE, method=None),
    "no path": lambda client: client.pairs(AS_ALICE, path=None),
    "an empty path": lambda client: client.pairs(AS_ALICE, path=""),
    "a path without a slash": lambda client: client.pairs(AS_ALICE, path="first"),
    "two methods": lambda client: [(":method", "GET"), *client.pairs(AS_ALICE)],
    "two paths": lambda client: [(":path", "/x"), *client.pairs(AS_ALICE)],
    "two authorities": lambda client: [(":authority", "y"), *client.pairs(AS_ALICE)],
    "a pseudo-header after a header": lambda client: [*AS_ALICE, *client.pairs()],
    "an unknown pseudo-header": lambda client: [(":user", "mallory"), *client.pairs(AS_ALICE)],
    "a pseudo-header of responses": lambda client: [(":status", "200"), *client.pairs(AS_ALICE)],
    "a protocol without CONNECT": lambda client: [(":protocol", "websocket"), *client.pairs(AS_ALICE)],
    "a scheme of its own": lambda client: client.pairs(AS_ALICE, scheme="ftp"),
    "a scheme with a path": lambda client: client.pairs(AS_ALICE, scheme="http://x/?"),
    "a host that differs": lambda client: client.pairs([*AS_ALICE, ("host", "y")]),
    "two hosts": lambda client: client.pairs([*AS_ALICE, ("host", "x"), ("host", "y")], authority=None),
    "an authority with a user": lambda client: client.pairs(AS_ALICE, authority="x@y"),
    "an authority with a space": lambda client: client.pairs(AS_ALICE, authority="x y"),
    "an authority with a path": lambda client: client.pairs(AS_ALICE, authority="x/y"),
    "a method with a space": lambda client: client.pairs(AS_ALICE, method="GET /x HTTP/1.1"),
    "a method with a line break": lambda client: client.pairs(AS_ALICE, method="GET\r\n"),
    "a path with a space": lambda client: client.pairs(AS_ALICE, path="/ HTTP/1.1"),
    "a path with line breaks": lambda client: client.pairs(AS_ALICE, path="/ HTTP/1.1\r\nX-Evil: 1\r\n"),
    "a name in capitals": lambda client: client.pairs([*AS_ALICE, ("X-Upper", "1")]),
    "a name with a colon": lambda client: client.pairs([*AS_ALICE, ("x:y", "1")]),
    "a name with a space": lambda client: client.pairs([*AS_ALICE, ("x y", "1")]),
    "a name with a line break": lambda client: client.pairs([*AS_ALICE, ("x\r\nx-forwarded-user", "mallory")]),
    "no name": lambda client: client.pairs([*AS_ALICE, ("", "1")]),
    "connection": lambda client: client.pairs([*AS_ALICE, ("connection", "x-forwarded-user")]),
    "keep-alive": lambda client: client.pairs([*AS_ALICE, ("keep-alive", "timeout=5")]),
    "proxy-connection": lambda client: client.pairs([*AS_ALICE, ("proxy-connection", "close")]),
    "upgrade": lambda client: client.pairs([*AS_ALICE, ("upgrade", "websocket")]),
    "transfer-encoding": lambda client: client.pairs([*AS_ALICE, ("transfer-encoding", "chunked")]),
    "te": lambda client: client.pairs([*AS_ALICE, ("te", "gzip")]),
    "two lengths": lambda client: client.pairs([*AS_ALICE, ("content-length", "0"), ("content-length", "1")]),
    "CONNECT": lambda client: client.pairs(AS_ALICE, method="CONNECT", scheme=None, path=None, authority="x:443"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_case_37_a_malformed_request_of_http_2_reaches_no_upstream(gateway, raw_upstream, case):
    outcome, after = ask(gateway, MALFORMED[case])
    assert outcome in ("reset", "ended", 400, 405), outcome
    assert after in (200, "ended")
    assert [request.target for request in raw_upstream.seen] in ([], ["/after"])
    assert raw_upstream.rest == []


LENGTHS = [("4", b"ab"), ("1", b"ab"), ("0", b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"), ("+2", b"ab")]


@pytest.mark.parametrize("length, body", LENGTHS)
def test_case_37_a_length_that_the_frames_contradict_is_an_error(gateway, raw_upstream, length, body):
    outcome, _ = ask(gateway, lambda client: client.pairs([*AS_ALICE, ("content-length", length)], method="POST"), body)
    # A request of no length is whole with its head: it may be answered before the frame that contradicts it is there.
    assert outcome in ("reset", "ended", 400, 502) or (outcome, length) == (200, "0")
    assert all(request.target in ("/", "/after") for request in raw_upstream.seen)
    assert b"/second" not in b"".join(raw_upstream.rest)


def test_case_37_a_body_of_frames_is_framed_anew(gateway, raw_upstream):
    body = b"0\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n"
    outcome, after = ask(gateway, lambda client: client.pairs(AS_ALICE, method="POST", path="/first"), body)
    assert (outcome, after) == (200, 200)
    assert [(request.target, request.body) for request in raw_upstream.seen] == [("/first", body), ("/after", b"")]


def test_case_37_a_flood_of_continuations_ends_the_connection(gateway, raw_upstream):
    with Http2(gateway.url) as client:
        block = client.encode(client.pairs(AS_ALICE))
        client.send(HeadersFrame(1, data=block, flags=["END_STREAM"]))
        for number in range(3000):
            client.continuation(1, client.encode([(f"x-{number}", "a" * 200)]))
        assert client.outcome(1) in ("ended", "reset", 431)
    assert raw_upstream.seen == []
    assert gateway.send("/", ALICE).status == 200


def test_case_37_a_flood_of_empty_continuations_ends_the_connection(gateway, raw_upstream):
    with Http2(gateway.url) as client:
        client.send(HeadersFrame(1, data=client.encode(client.pairs(AS_ALICE)), flags=["END_STREAM"]))
        for _ in range(20_000):
            client.continuation(1, b"")
        assert client.outcome(1) in ("ended", "reset", 431)
    assert raw_upstream.seen == []


def test_case_37_a_flood_of_resets_ends_the_connection(gateway):
    """CVE-2023-44487: each request would be begun and thrown away."""
    with Http2(gateway.url) as client:
        with pytest.raises(Ended):
            for stream in range(1, 40_001, 2):
                client.request(stream, client.pairs(AS_ALICE))
                client.reset(stream)
            while True:
                client.frame()
    assert gateway.send("/", ALICE).status == 200


def test_case_37_a_head_of_http_2_has_bounds(gateway, raw_upstream):
    pairs = [(f"x-{number}", "a" * 500) for number in range(200)]
    outcome, _ = ask(gateway, lambda client: client.pairs([*AS_ALICE, *pairs]))
    assert outcome in (431, "reset", "ended")
    assert [request.target for request in raw_upstream.seen] in ([], ["/after"])


# Case 44: no value that a request, a token or a plugin brings becomes a line of its own at the upstream.

INJECTED = ["a\r\nx-forwarded-user: mallory", "a\nx-forwarded-user: mallory", "a\rb", "a\0b", "a\x7fb", "a\x01b"]


@pytest.mark.parametrize("value", INJECTED)
@pytest.mark.parametrize("name", ["x-a", "cookie", "x-forwarded-for", "authorization"])
def test_case_44_no_value_of_http_2_becomes_a_line(gateway, raw_upstream, name, value):
    outcome, _ = ask(gateway, lambda client: client.pairs([*AS_ALICE, (name, value)]))
    assert outcome in ("reset", "ended", 400, 401)
    assert [request.target for request in raw_upstream.seen] in ([], ["/after"])
    assert all(b"mallory" not in value for request in raw_upstream.seen for _, value in request.headers)


@pytest.mark.parametrize("value", [" a", "a ", "\ta", "a\t", " "])
def test_case_44_spaces_around_a_value_of_http_2_change_nothing(gateway, raw_upstream, value):
    """RFC 9113, section 8.2.1, forbids them. What of them passes is a value to the upstream, never a fold."""
    outcome, _ = ask(gateway, lambda client: client.pairs([*AS_ALICE, ("x-a", value)]))
    assert outcome in ("reset", "ended", 400, 200)
    assert all(request.all("x-a") in ([], [value.strip().encode()]) for request in raw_upstream.seen)


CLAIMS = ["sub", "email", "groups"]


@pytest.mark.parametrize("claim", CLAIMS)
def test_case_44_no_claim_becomes_a_line(serve, raw_upstream, provider, claim):
    settings = 'groups_claim = "groups"\nattributes = { email = "email" }\n[authenticators.tokens.grants]'
    config = tokens(provider).replace("[authenticators.tokens.grants]", settings)
    gateway = serve(config + route(raw_upstream, "tokens", more='[routes.identity]\nattributes = { email = "X-Mail" }'))
    for value in INJECTED:
        changes = {claim: [value] if claim == "groups" else value}
        answer = gateway.send("/", bearer(provider.sign(provider.claims(**changes))))
        assert answer.status in (401, 403), (claim, value)
    assert raw_upstream.seen == []
    assert gateway.send("/", bearer(provider.sign(provider.claims(email="m@x.test", groups=["g"])))).status == 200
