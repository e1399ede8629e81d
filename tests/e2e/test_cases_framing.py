"""Case 46 of docs/security-cases.md: a message is framed by what was read of it. No body is cut off in silence, and none
runs into the next message.
"""

import pytest

from harness import http2
from harness.client import ALICE, begin, connect, received
from harness.config import PEOPLE, protected, route, upstream, whoami
from harness.http2_upstream import Answer
from harness.misbehaving import MisbehavingUpstream, sends
from harness.process import eventually
from harness.raw_upstream import head

BODY = b"a body that is longer than twelve bytes"
LENGTH = str(len(BODY))
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
CHUNKED, SHORT, EXACT = "Transfer-Encoding: chunked", "Content-Length: 12", f"Content-Length: {LENGTH}"
OK, OLD = "HTTP/1.1 200 OK", "HTTP/1.0 200 OK"

# What the upstream says, the body as it sends it, whether the client gets the whole body or a 502, and the length that a
# response to HEAD may name.
RESPONSES = {
    "a length": ([OK, EXACT], BODY, True, LENGTH),
    "a length, named by Connection": ([OK, EXACT, "Connection: content-length, close"], BODY, True, LENGTH),
    "the same length twice": ([OK, EXACT, EXACT], BODY, True, LENGTH),
    "the same length twice in one field": ([OK, f"{EXACT}, {LENGTH}"], BODY, True, LENGTH),
    "no length": ([OK], BODY, True, None),
    "HTTP/1.0 and a length": ([OLD, EXACT], BODY, True, LENGTH),
    "HTTP/1.0 and no length": ([OLD], BODY, True, None),
    "chunks": ([OK, CHUNKED], CHUNKS, True, None),
    "chunks in capitals": ([OK, CHUNKED.upper()], CHUNKS, True, None),
    "a short length and chunks": ([OK, SHORT, CHUNKED], CHUNKS, True, None),
    "chunks and a short length": ([OK, CHUNKED, SHORT], CHUNKS, True, None),
    "a long length and chunks": ([OK, "Content-Length: 999", CHUNKED], CHUNKS, True, None),
    "the length and chunks": ([OK, EXACT, CHUNKED], CHUNKS, True, None),
    "no length, of nothing, and chunks": ([OK, "Content-Length: 0", CHUNKED], CHUNKS, True, None),
    "a length of letters and chunks": ([OK, "Content-Length: x", CHUNKED], CHUNKS, True, None),
    "two lengths and chunks": ([OK, SHORT, EXACT, CHUNKED], CHUNKS, True, None),
    "HTTP/1.0 and chunks": ([OLD, CHUNKED], CHUNKS, False, None),
    "HTTP/1.0, a length and chunks": ([OLD, SHORT, CHUNKED], CHUNKS, False, None),
    "two lengths": ([OK, SHORT, EXACT], BODY, False, None),
    "a length of letters": ([OK, "Content-Length: x"], BODY, False, None),
    "a coding": ([OK, "Transfer-Encoding: gzip"], BODY, False, None),
    "a coding and a length": ([OK, SHORT, "Transfer-Encoding: gzip"], BODY, False, None),
    "a coding and chunks": ([OK, "Transfer-Encoding: gzip, chunked"], CHUNKS, False, None),
    "a coding and chunks in two fields": ([OK, "Transfer-Encoding: gzip", CHUNKED], CHUNKS, False, None),
    "chunks twice": ([OK, CHUNKED, CHUNKED], CHUNKS, False, None),
    "identity": ([OK, EXACT, "Transfer-Encoding: identity"], BODY, False, None),
    "an empty coding": ([OK, EXACT, "Transfer-Encoding:"], BODY, False, None),
}
EMPTY = {
    "204": (["HTTP/1.1 204 No Content"], None),
    "204 with a length": (["HTTP/1.1 204 No Content", SHORT], None),
    "204 with chunks": (["HTTP/1.1 204 No Content", CHUNKED], None),
    "304": (["HTTP/1.1 304 Not Modified"], None),
    "304 with a length": (["HTTP/1.1 304 Not Modified", SHORT], "12"),
    "304 with a length and chunks": (["HTTP/1.1 304 Not Modified", SHORT, CHUNKED], None),
    "304 with two lengths": (["HTTP/1.1 304 Not Modified", SHORT, EXACT], None),
    "a length of nothing": ([OK, "Content-Length: 0"], "0"),
}


def answering(lines, body):
    """Sends a response, without its body if HEAD was asked for."""
    head = "\r\n".join([*lines, "", ""]).encode()

    def behave(upstream, connection):
        sends(head if upstream.heads[-1].startswith(b"HEAD ") else head + body)(upstream, connection)

    return behave


@pytest.fixture(scope="module")
def misbehaving():
    with MisbehavingUpstream(sends(b"")) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(serve_module, misbehaving):
    return serve_module(PEOPLE + whoami(path="/next") + route(misbehaving, "people"))


def port(gateway):
    return int(gateway.url.rsplit(":", 1)[1])


def over_http_1_0(gateway, method):
    """Status, lengths and body over HTTP/1.0, where the connection's end may be the body's."""
    with gateway.open() as wire:
        wire.sendall(f"{method} / HTTP/1.0\r\nHost: x\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n".encode())
        head, _, body = received(wire).partition(b"\r\n\r\n")
    if not head:
        return 0, [], b""
    line, *fields = head.decode("latin-1").split("\r\n")
    pairs = [field.split(": ", 1) for field in fields]
    assert not [name for name, _ in pairs if name.lower() == "transfer-encoding"]
    lengths = [value for name, value in pairs if name.lower() == "content-length"]
    return int(line.split(" ")[1]), lengths, body


def over_http_1_1(gateway, method):
    """The same over HTTP/1.1. A second request on the connection shows that it is at the right place."""
    connection = connect(gateway.url)
    try:
        begin(connection, method, "/", ALICE)
        response = connection.getresponse()
        body = response.read()
        begin(connection, "GET", "/next", {})
        following = connection.getresponse()
        assert (following.status, following.read()[:1]) == (200, b"{")
        return response.status, response.headers.get_all("content-length") or [], body
    finally:
        connection.close()


def over_http_2(gateway, method):
    answer = http2.send(port(gateway), "/", ALICE.items(), method=method)
    return answer.status, answer.all("content-length"), answer.body


CLIENTS = {"1.0": over_http_1_0, "1.1": over_http_1_1, "2": over_http_2}


def ask(gateway, misbehaving, version, method):
    """The upstream closes each connection without a word, and a POST that meets such a connection can't be sent again."""
    eventually(lambda: gateway.connections(misbehaving.port) == 0, "the connection of the last request is closed")
    return CLIENTS[version](gateway, method)


@pytest.mark.parametrize("version", CLIENTS)
@pytest.mark.parametrize("case", RESPONSES)
def test_case_46_a_body_arrives_whole_or_not_at_all(gateway, misbehaving, case, version):
    lines, body, is_whole, named = RESPONSES[case]
    misbehaving.behave = answering(lines, body)
    for method in ["GET", "POST"]:
        status, lengths, arrived = ask(gateway, misbehaving, version, method)
        if is_whole:
            assert (status, arrived) == (200, BODY), method
            assert lengths in ([], [LENGTH])
        else:
            assert (status, lengths) == (502, [str(len(arrived))]), method
    status, lengths, arrived = ask(gateway, misbehaving, version, "HEAD")
    assert arrived == b""
    assert status == 502 or lengths in ([], [named]), lengths


@pytest.mark.parametrize("version", CLIENTS)
@pytest.mark.parametrize("case", EMPTY)
def test_case_46_a_response_without_a_body_has_none(gateway, misbehaving, case, version):
    lines, named = EMPTY[case]
    misbehaving.behave = answering(lines, b"")
    for method in ["GET", "POST", "HEAD"]:
        status, lengths, arrived = ask(gateway, misbehaving, version, method)
        assert (status, arrived) == (int(lines[0].split(" ")[1]), b""), method
        assert lengths in ([], [named]), method


HTTP_2 = {
    "no length": (Answer(body=BODY), BODY),
    "a length": (Answer(body=BODY, headers=[("content-length", LENGTH)]), BODY),
    "a short length": (Answer(body=BODY, headers=[("content-length", "12")]), None),
    "a long length": (Answer(body=BODY, headers=[("content-length", "999")]), None),
    "two lengths": (Answer(body=BODY, headers=[("content-length", "12"), ("content-length", LENGTH)]), None),
    "trailers": (Answer(body=BODY, trailers=[("grpc-status", "0")]), BODY),
    "chunks": (Answer(body=BODY, headers=[("transfer-encoding", "chunked")]), None),
    "204 with a length": (Answer(status=204, body=b"", headers=[("content-length", "0")]), b""),
}


@pytest.mark.parametrize("case", HTTP_2)
def test_case_46_no_body_of_http_2_is_cut_off_in_silence(serve, http2_upstreams, case):
    answer, whole = HTTP_2[case]
    server = http2_upstreams(lambda _: answer)
    gateway = serve(upstream(server, more='protocol = "h2"'))
    for client in [over_http_1_0, over_http_2]:
        status, lengths, body = client(gateway, "GET")
        if whole is None:
            is_cut = lengths != [] and len(body) < int(lengths[0])
            assert status in (0, 502) or is_cut or body == BODY, "the client sees that something is missing"
        else:
            assert (status, body) == (answer.status, whole)
            assert lengths in ([], [str(len(whole))])


# Requests: how the client frames its body, and what it says besides.

SENT = b"a body of the client"
REQUESTS = {
    "a length": [("Content-Length", str(len(SENT)))],
    "chunks": [("Transfer-Encoding", "chunked")],
    "a length, named by Connection": [("Content-Length", str(len(SENT))), ("Connection", "content-length")],
    "chunks, named by Connection": [("Transfer-Encoding", "chunked"), ("Connection", "transfer-encoding")],
}
METHODS = ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"]


def sent_over_http_1_1(gateway, method, framing):
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SENT), SENT)
    with gateway.open() as wire, wire.makefile("rb") as stream:
        fields = [("Host", "x"), *ALICE.items(), *framing]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        body = chunks if "chunked" in lines else SENT
        wire.sendall(f"{method} / HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return int(head(stream)[0].split(b" ")[1])


@pytest.mark.parametrize("method", METHODS)
def test_case_46_a_requests_body_arrives_whole(serve, raw_upstream, http2_upstreams, method):
    other = http2_upstreams()
    for server, config in [(raw_upstream, protected(raw_upstream)), (other, upstream(other, more='protocol = "h2"'))]:
        gateway = serve(config)
        for case, framing in REQUESTS.items():
            assert sent_over_http_1_1(gateway, method, framing) == 200, case
            assert server.seen.pop().body == SENT, case
        for framing in [[], REQUESTS["a length"]]:
            pairs = [*ALICE.items(), *framing]
            assert http2.send(port(gateway), "/", pairs, method=method, body=SENT).status == 200
            assert server.seen.pop().body == SENT
        assert getattr(server, "rest", []) == []
