"""The contract's `outbound`: one complete exchange with another server, within the bounds and with a word for each failure.

Grants, addresses and stored responses are those of `wasi:http`: `test_hostile_network.py` tries both ways to each server, and
the guests with the SDK of `test_outbound.py` come this way.
"""

import pytest

from harness.config import whoami
from harness.fetch_server import FetchServer
from harness.hostile import LONG_DEADLINE, authenticator, instruct

MIB = 1 << 20

CASES = {
    # Path or URL, then what the prober is told: times, method, header, length of the body, timeout, largest body of the response.
    "complete": ("/", "1 GET URL - - - -", ["status 200", "bytes 8"]),
    "body": ("/echo", f"1 POST URL - {MIB} - -", ["status 200", f"bytes {MIB}"]),
    "header": ("/", "1 GET URL x-a - - -", ["status 200", "bytes 8"]),
    "as large as it may be": ("/large", f"1 GET URL - - - {MIB}", ["status 200", f"bytes {MIB}"]),
    "larger than it asked for": ("/large", f"1 GET URL - - - {MIB - 1}", [f"too large: {MIB - 1}"]),
    "larger than any may be": ("/huge", "1 GET URL - - - 4000000000", [f"too large: {8 * MIB}"]),
    "late": ("/gated", "1 GET URL - - 50 -", ["timeout"]),
    "no time": ("/", "1 POST URL - - 0 -", ["timeout"]),
    "user name": ("/", "1 GET URL - - - -", ["invalid: the URL has a user name"]),
    "no URL": ("", "1 GET - - - - -", ["invalid: the URL is malformed"]),
    "a fragment": ("/#a", "1 GET URL - - - -", ["invalid: the URL is malformed"]),
    "a path": ("/a", "1 GET URL - - - -", ["invalid: the URL is malformed"]),
    "another scheme": ("ftp://127.0.0.1/", "1 GET URL - - - -", ["invalid: the URL is malformed"]),
    "no method": ("/", "1 - URL - - - -", ["invalid: the method is malformed"]),
    "CONNECT": ("/", "1 CONNECT URL - - - -", ["invalid: the method can't be sent"]),
    "Host": ("/", "1 GET URL host - - -", ["invalid: a header has a name or a value that can't be sent"]),
    "framing": ("/", "1 GET URL Transfer-Encoding - - -", ["invalid: a header has a name or a value that can't be sent"]),
    "no header": ("/", "1 GET URL a:b - - -", ["invalid: a header has a name or a value that can't be sent"]),
    "not granted": ("http://127.0.0.1:1/", "1 GET URL - - - -", ["denied"]),
    "64 requests": ("/", "64 POST URL - - - -", ["status 200", "bytes 8"]),
    "65 requests": ("/", "65 POST URL - - - -", ["limited"]),
}
"""By name, the path or URL, what is sent, and what the plugin is told."""


@pytest.fixture(scope="module")
def server():
    server = FetchServer()
    server.answers |= {"/": b"answered", "/large": b"x" * MIB, "/huge": b"x" * (8 * MIB + 1)}
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(serve_module, prober_component, server):
    grants = f'headers = ["x-do"]\nhttp = ["{server.url}"]'
    limits = LONG_DEADLINE + '\nreuse_decisions = "0s"'
    return serve_module(authenticator("prober", prober_component, grants, limits) + whoami("prober"))


@pytest.mark.parametrize("name", CASES)
def test_each_exchange_ends_in_a_response_or_in_its_failure(gateway, server, name):
    end, words, expected = CASES[name]
    url = server.url + end if end.startswith("/") and name != "a path" else end
    url = url.replace("http://", "http://user@") if name == "user name" else url
    server.seen.clear()
    answer = gateway.send("/", instruct("exchange", words.replace("URL", url.encode().hex())))
    assert (answer.status, answer.json()["groups"]) == (200, expected)
    unsent = name == "no time" or expected[0].split(":")[0] in ("invalid", "denied")
    assert not (unsent and server.seen), "what is refused is not sent"
