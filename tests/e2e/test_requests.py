"""What a request may look like: a path with one reading arrives byte for byte, anything else is a 400.

A path or a framing that two programs read in two ways would let one in past the other.
"""

import pytest

from harness.client import basic, converse, exchange
from harness.config import PEOPLE, protected, route
from harness.upstream import values

ALICE = basic("alice")


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(protected(shared_upstream))


@pytest.fixture(scope="module")
def with_open_door(serve_module, shared_upstream):
    """A gateway that asks nobody under `/open`, and everybody elsewhere."""
    door = route(shared_upstream, path="/open", more="public = true")
    return serve_module(PEOPLE + door + route(shared_upstream, "people"))


KEPT = [
    "/",
    "/a/b/",
    "/a%20b/%61",
    "/caf%C3%A9",
    "/~user/a:b@c,d=e;f!g$h'(i)*+j",
    "/a?",
    "/a?x=1&x=2&&y=%2F..%2f//../b",
    "/a?url=http://b/c?d",
]


@pytest.mark.parametrize("target", KEPT)
def test_path_and_query_arrive_byte_for_byte(gateway, target):
    assert gateway.send(target, ALICE).json()["target"] == target


AMBIGUOUS = [
    "/open/../b",
    "/open/..",
    "/open/./b",
    "/open/%2e%2e/b",
    "/open/%2E./b",
    "/open/..%2fb",
    "/open/..%2Fb",
    "/open%2Fb",
    "/open/..%5cb",
    "/open/..\\b",
    "//b",
    "/open//b",
    "/open/..;/b",
    "/open/..;x=y/b",
    "/open/%00",
    "/open/%c0%ae%c0%ae/b",
    "/open/%2",
    "/open/%zz",
    "/open/%252e%252e/b",
    "/open;x=1/b",
    "/open%23/b",
    "/open%3fx",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
def test_a_path_that_two_programs_may_read_in_two_ways_is_a_400(with_open_door, upstream, target):
    assert with_open_door.send(target, ALICE).status == 400
    assert upstream.seen == []


HEAD = b"Host: x\r\nAuthorization: " + ALICE["Authorization"].encode() + b"\r\n"
MALFORMED = {
    "two lengths": b"POST / HTTP/1.1\r\n%bContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is no number": b"POST / HTTP/1.1\r\n%bContent-Length: +1\r\n\r\na",
    "an unknown coding": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\n%bX-A: 1\r\n 2\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\n%bX-A : 1\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n%bX-A: \x00\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n%bHost: y\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6\r\n\r\n",
    "no HTTP": b"HELO gateway\r\n%b\r\n",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_http_is_a_400(gateway, upstream, case):
    assert exchange(gateway.url, MALFORMED[case].replace(b"%b", HEAD)) == 400
    assert upstream.seen == []


def test_nothing_is_smuggled_behind_a_length_that_chunks_contradict(gateway, upstream):
    """The length doesn't count and doesn't go on, and the connection ends (RFC 9112, section 6.1)."""
    first = b"POST /first HTTP/1.1\r\n%bContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    second = b"GET /second HTTP/1.1\r\n%b\r\n"
    answer = converse(gateway.url, (first + second).replace(b"%b", HEAD))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [seen["target"] for seen in upstream.seen] in ([], ["/first"])
    assert all(values(seen, "content-length") == [] for seen in upstream.seen)
