"""Cases 3, 12 to 16 and 28 of docs/security-cases.md: one reading of a path, for the route and for the upstream.

The upstream keeps the request line as it came. Whatever it gets is what the route was chosen by, or there is a 400.
"""

import re

import pytest

from harness.client import ALICE, converse, exchange
from harness.config import PEOPLE, route
from harness.gateway import ADMIN
from harness.frames import Http2
from harness.raw_upstream import RawUpstream

ALICE_IN_HTTP_2 = [("authorization", ALICE["Authorization"])]


@pytest.fixture(scope="module")
def open_side():
    with RawUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def closed_side():
    with RawUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(serve_module, open_side, closed_side):
    """Nobody is asked under `/open`, everybody elsewhere; `/names` takes encoded slashes, `/names/open` asks nobody."""
    routes = route(open_side, path="/open", more="public = true")
    routes += route(closed_side, "people", path="/names", more="allow_encoded_slash = true")
    routes += route(open_side, path="/names/open", more="public = true\nallow_encoded_slash = true")
    return serve_module(ADMIN + PEOPLE + routes + route(closed_side, "people"))


@pytest.fixture(autouse=True)
def nothing_seen(open_side, closed_side):
    open_side.forget()
    closed_side.forget()


def arrived(gateway, target, headers=ALICE):
    """The status of a request whose line is sent as it stands."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return exchange(gateway.url, f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1"))


# From the open route to anywhere else, in every spelling that some server reads so.
CLIMBS = [
    "/open/../admin",
    "/open/..",
    "/open/./admin",
    "/open/.",
    "/open/%2e%2e/admin",
    "/open/%2E%2E/admin",
    "/open/%2E./admin",
    "/open/.%2e/admin",
    "/open/..%2fadmin",
    "/open/..%2Fadmin",
    "/open%2f..%2fadmin",
    "/open/%2e%2e%2fadmin",
    "/open%2F",
    "/open%2fadmin",
    "/open/..%5cadmin",
    "/open/..%5Cadmin",
    "/open/..\\admin",
    "/open\\..\\admin",
    "/\\open",
    "//open",
    "//admin",
    "///admin",
    "/open//../admin",
    "/open//admin",
    "/open/;/admin",
    "/open/..;/admin",
    "/open/..;x=../admin",
    "/open/..%3b/admin",
    "/open/%2e%2e;x/admin",
    "/open/.../admin",
    "/open/..%20/admin",
    "/open/.%20./admin",
    "/open/%20/admin",
    "/open/%00/admin",
    "/open%00",
    "/open/..%00/admin",
    "/open/%0d%0aX:%201",
    "/open/%c0%ae%c0%ae/admin",
    "/open/%c0%af..%c0%afadmin",
    "/open/%e0%80%ae%e0%80%ae/admin",
    "/open/%f0%80%80%ae/admin",
    "/open/%ff",
    "/open/%u002e%u002e/admin",
    "/open/%",
    "/open/%2",
    "/open/%zz",
    "/open/%252e%252e/admin",
    "/open/%25%32%65%25%32%65/admin",
    "/open/%252%65%252%65/admin",
    "/open/%252fadmin",
    "/open;x=1/admin",
    "/open;/../admin",
    "/open.",
    "/open%20",
    "/open./admin",
    "/open%23/admin",
    "/open%3fadmin",
    "/open%3Fadmin",
    "/open/..%3Fx",
    "/open/..%23/admin",
    "/open/.;%3fadmin",
    "/open#/admin",
    "http://x//admin",
    "http://x/open/../admin",
    "http://other/open",
    "http://x@other/open",
    "https://x:443/open",
    "open",
    "open/../admin",
    "*",
]


@pytest.mark.parametrize("target", CLIMBS)
def test_case_12_a_path_with_two_readings_is_a_400(gateway, open_side, closed_side, target):
    assert arrived(gateway, target) == 400
    assert open_side.seen == closed_side.seen == open_side.rest == []


@pytest.mark.parametrize("target", [target for target in CLIMBS if target.startswith("/")])
def test_case_12_and_over_http_2_too(gateway, open_side, closed_side, target):
    """h2 drops a fragment before anybody sees it, so such a path is the one before it on both sides."""
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(ALICE_IN_HTTP_2, path=target))
        outcome = client.outcome(1)
    if "#" in target:
        assert [request.target for request in open_side.seen] in ([], ["/open"])
    else:
        assert outcome in (400, "reset", "ended")
        assert open_side.seen == []
    assert closed_side.seen == []


# What the route is chosen by, what the upstream gets, and whether anybody is asked.
PASSES = [
    ("/open", "open"),
    ("/open/", "open"),
    ("/open/a?b=/../c", "open"),
    ("/%6fpen/a", "open"),
    ("/%6Fpen/a", "open"),
    ("/open/a;x=1/b", "open"),
    ("/open/a.", "open"),
    ("/open/a%20", "open"),
    ("/open/a%23b", "open"),
    ("/open/100%25", "open"),
    ("/open/caf%C3%A9/caf%c3%a9", "open"),
    ("/opened", "closed"),
    ("/OPEN", "closed"),
    ("/%4fpen", "closed"),
    ("/admin/open", "closed"),
    ("/admin?/open", "closed"),
    ("/admin?x=/open/", "closed"),
    ("/admin/..x/.y", "closed"),
]


@pytest.mark.parametrize("target, side", PASSES)
def test_case_12_what_chooses_the_route_is_what_the_upstream_gets(gateway, open_side, closed_side, target, side):
    assert arrived(gateway, target, {}) == (200 if side == "open" else 401)
    assert arrived(gateway, target) == 200
    got, other = (open_side, closed_side) if side == "open" else (closed_side, open_side)
    assert [request.target for request in got.seen] == [target] * (2 if side == "open" else 1)
    assert other.seen == []


def test_case_12_an_absolute_address_is_its_path(gateway, open_side):
    assert arrived(gateway, "http://x/open/a?b", {}) == 200
    [request] = open_side.seen
    assert (request.target, request.all("host")) == ("/open/a?b", [b"x"])


# Encoded slashes on a route that takes them: the same route in both readings, or a 400.
SLASHES = [
    ("/names/a%2Fb", "closed"),
    ("/names/a%2fb/c", "closed"),
    ("/names/group%2Fproject/raw?ref=x%2Fy", "closed"),
    ("/names/a%2F", "closed"),
    ("/names/open/a%2Fb", "open"),
    ("/names/open%2Fb", None),
    ("/names%2Fopen", None),
    ("/names%2Fa", None),
    ("/names%2F", None),
    ("/names/x%2F..%2Fopen", None),
    ("/names/..%2Fopen", None),
    ("/names/%2e%2e%2fopen", None),
    ("/names/%2F", None),
    ("/names/%2Fa", None),
    ("/names/a%2F%2Fb", "closed"),
    ("/names/tls%3A%2F%2fhost%3A1/", "closed"),
    ("/names/open/a%2F%2Fb", "open"),
    ("/names%2F%2Fopen/a", None),
    ("/names/%2F%2Fopen", None),
    ("/names/x%2F%2F..%2Fopen", None),
    ("/names/a%2F%2F/b", None),
    ("/names/a%2F/b", None),
    ("/names/a%2F.", None),
    ("/names/a%2F;x", None),
    ("/names/a%252Fb", None),
    ("/names/a%5Cb", None),
    ("/names/open;%2Fx", None),
    ("/.portcullis%2Flogout", None),
    ("/other/a%2Fb", None),
]


@pytest.mark.parametrize("target, side", SLASHES)
def test_case_12_an_encoded_slash_passes_only_where_both_readings_lead(gateway, open_side, closed_side, target, side):
    assert arrived(gateway, target) == (200 if side else 400)
    assert [request.target for request in open_side.seen] == ([target] if side == "open" else [])
    assert [request.target for request in closed_side.seen] == ([target] if side == "closed" else [])


@pytest.mark.parametrize("prefix", ["/caf%C3%A9", "/caf%c3%a9", "/caf%C3%a9"])
def test_case_13_the_case_of_an_encoding_is_none(serve, open_side, closed_side, prefix):
    gateway = serve(PEOPLE + route(closed_side, "people", path=prefix) + route(open_side, more="public = true"))
    spellings = ["/caf%C3%A9", "/caf%c3%a9", "/c%61f%C3%a9/x", "/%63af%c3%A9/"]
    for spelling in spellings:
        assert arrived(gateway, spelling, {}) == 401, spelling
        assert arrived(gateway, spelling) == 200, spelling
    assert [request.target for request in closed_side.seen] == spellings
    assert open_side.seen == []


@pytest.mark.parametrize("target", ["//open/x", "//x/open", "//x:80/open", "//x@open/open", "///open"])
def test_case_14_two_slashes_are_no_authority(gateway, open_side, closed_side, target):
    assert arrived(gateway, target) == 400
    assert open_side.seen == closed_side.seen == []


BEHIND = ["/admin?path=/open", "/admin?/open", "/admin?x#/open", "/admin%3F/open", "/admin/open"]


@pytest.mark.parametrize("target", BEHIND)
def test_case_15_nothing_behind_the_path_chooses_a_route(gateway, open_side, target):
    assert arrived(gateway, target, {}) in (400, 401)
    assert open_side.seen == []


PROBES = ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Consul Health Check", "Prometheus/3.0"]


@pytest.mark.parametrize("target", ["/", "/livez", "/readyz", "/metrics", "/ping", "/ready", "/healthz"])
def test_case_16_no_header_makes_a_request_a_health_check(gateway, closed_side, target):
    for agent in PROBES:
        headers = {"User-Agent": agent, "X-Health-Check": "1", "Metadata-Flavor": "Google"}
        assert gateway.send(target, headers).status == 401, agent
    assert closed_side.seen == []


ELSEWHERE = [
    "//evil.test",
    "/\\evil.test",
    "/%09/evil.test",
    "/./\\evil.test",
    "https:evil.test",
    "/%0d%0aLocation:%20//evil.test",
    "/open?rd=//evil.test",
    "/?url=https://evil.test",
    "/open/%2e%2e",
]


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("headers", [{}, ALICE, {"Accept": "text/html"}])
def test_case_28_nobody_is_sent_elsewhere(gateway, target, headers):
    """The gateway tidies no path by a redirect, and has no address to come back to from a login."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
    answer = converse(gateway.url, request.encode())
    assert re.match(rb"HTTP/1.1 (200|400|401) ", answer), answer
    assert b"\nlocation:" not in answer.lower()
