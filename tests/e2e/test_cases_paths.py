"""Cases 3, 12 to 16, 28 and 48 of docs/security-cases.md: one reading of a path, for the route and for the upstream.

The upstream keeps the request line as it came. Whatever it gets is what the route was chosen by, or there is a 400.
"""

import re

import pytest

from harness.client import ALICE, converse, exchange
from harness.config import PEOPLE, route
from harness.frames import Http2
from harness.gateway import ADMIN, run
from harness.raw_upstream import RawUpstream
from harness.tables import paths

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
    """`/open` is public, all else protected; `/names` allows encoded slashes, and `/names/open` is public, too."""
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


REQUEST_LINES = [
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
"""Targets of HTTP/1.1 that are no paths."""


def test_case_12_a_path_with_two_readings_is_a_400(gateway, open_side, closed_side):
    for target in paths("refused", "ambiguous") + REQUEST_LINES:
        assert arrived(gateway, target) == 400, target
        assert open_side.seen == closed_side.seen == open_side.rest == [], target


def test_case_12_a_path_with_two_readings_is_refused_over_http_2(gateway, open_side, closed_side):
    """h2 drops a fragment before the gateway sees it, so both sides see the path before it."""
    for target in paths("refused", "ambiguous") + ["/open#/admin"]:
        with Http2(gateway.url) as client:
            client.request(1, client.pairs(ALICE_IN_HTTP_2, path=target))
            outcome = client.outcome(1)
        if "#" in target:
            assert [request.target for request in open_side.seen] in ([], [target.split("#")[0]]), target
            open_side.forget()
        else:
            assert outcome in (400, "reset", "ended"), target
            assert open_side.seen == [], target
        assert closed_side.seen == [], target


PASSES = {
    "open": [*paths("open"), "/open/a?b=/../c"],
    "closed": [
        *paths("protected"),
        "/admin?/open",
        "/admin?x=/open/",
        "/a?",
        "/a?x=1&x=2&&y=%2F..%2f//../b",
        "/a?url=http://b/c?d",
    ],
}
"""What leads where, and arrives there byte for byte."""


@pytest.mark.parametrize("side", PASSES)
def test_case_12_what_chooses_the_route_is_what_the_upstream_gets(gateway, open_side, closed_side, side):
    got, other = (open_side, closed_side) if side == "open" else (closed_side, open_side)
    for target in PASSES[side]:
        got.forget()
        assert arrived(gateway, target, {}) == (200 if side == "open" else 401), target
        assert arrived(gateway, target) == 200, target
        assert [request.target for request in got.seen] == [target] * (2 if side == "open" else 1)
        assert other.seen == [], target


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


def test_case_12_an_encoded_slash_passes_only_where_both_readings_lead(gateway, open_side, closed_side):
    for target, side in SLASHES:
        open_side.forget()
        closed_side.forget()
        assert arrived(gateway, target) == (200 if side else 400), target
        assert [request.target for request in open_side.seen] == ([target] if side == "open" else [])
        assert [request.target for request in closed_side.seen] == ([target] if side == "closed" else [])


@pytest.mark.parametrize("prefix", ["/caf%C3%A9", "/caf%c3%a9", "/caf%C3%a9"])
def test_case_13_percent_encodings_compare_without_case(serve, open_side, closed_side, prefix):
    gateway = serve(PEOPLE + route(closed_side, "people", path=prefix) + route(open_side, more="public = true"))
    spellings = ["/caf%C3%A9", "/caf%c3%a9", "/c%61f%C3%a9/x", "/%63af%c3%A9/"]
    for spelling in spellings:
        assert arrived(gateway, spelling, {}) == 401, spelling
        assert arrived(gateway, spelling) == 200, spelling
    assert [request.target for request in closed_side.seen] == spellings
    assert open_side.seen == []


BEHIND = ["/admin?path=/open", "/admin?/open", "/admin?x#/open", "/admin%3F/open", "/admin/open"]


def test_case_15_nothing_behind_the_path_chooses_a_route(gateway, open_side):
    for target in BEHIND:
        assert arrived(gateway, target, {}) in (400, 401), target
        assert open_side.seen == [], target


PROBES = ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Consul Health Check", "Prometheus/3.0"]


def test_case_16_no_header_makes_a_request_a_health_check(gateway, closed_side):
    for target in ("/", "/livez", "/readyz", "/metrics", "/ping", "/ready", "/healthz"):
        for agent in PROBES:
            headers = {"User-Agent": agent, "X-Health-Check": "1", "Metadata-Flavor": "Google"}
            assert gateway.send(target, headers).status == 401, (target, agent)
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


@pytest.mark.parametrize("headers", [{}, ALICE, {"Accept": "text/html"}])
def test_case_28_no_response_redirects_elsewhere(gateway, headers):
    """The gateway tidies no path by a redirect, and a login has one check for where it leads back to."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for target in ELSEWHERE:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
        answer = converse(gateway.url, request.encode())
        assert re.match(rb"HTTP/1.1 (200|400|401) ", answer), (target, answer)
        assert b"\nlocation:" not in answer.lower(), target


PATTERNS = ["/admin/*", "/admin*", "/{x}", "/users/:id", "/^admin", "/admin$", "/admin/.*", "/(admin|root)", "/a/<id>", "/[ab]"]
PLACES = {
    "path": 'path = "{}"\npublic = true\nupstream = "http://127.0.0.1:1"',
    "upstream": 'path = "/"\npublic = true\nupstream = "http://127.0.0.1:1{}"',
    "authorize_with": 'path = "/"\nauthenticators = ["people"]\nupstream = "http://127.0.0.1:1"\nauthorize_with = "GET {}"',
    "upstream_credentials": 'path = "/"\nauthenticators = ["people"]\nupstream = "http://127.0.0.1:1"\n'
    'upstream_credentials = [{{ scheme = "token", requests = ["GET {}"] }}]',
}
MEANT = {("upstream_credentials", "/admin/*")}


@pytest.mark.parametrize("place", PLACES)
def test_case_48_a_pattern_where_a_path_is_literal_is_an_error(tmp_path, place):
    for pattern in PATTERNS:
        entry = PLACES[place].format(pattern)
        done = run("check", folder=tmp_path, config=f"{PEOPLE}[[routes]]\n{entry}\n")
        if (place, pattern) in MEANT:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode != 0, pattern
            assert f"routes[0].{place}" in done.stdout + done.stderr


@pytest.mark.parametrize("host", [".example.com", "_", "~^hub", "hub.*", "*", "a..b", "^hub$", "{sub}.example.com"])
def test_case_48_a_pattern_where_a_host_is_literal_is_an_error(tmp_path, host):
    entry = PLACES["path"].format("/") + f'\nhosts = ["{host}"]'
    done = run("check", folder=tmp_path, config=f"{PEOPLE}[[routes]]\n{entry}\n")
    assert done.returncode != 0
    assert "routes[0].hosts[0]" in done.stdout + done.stderr


def test_case_48_a_star_that_is_encoded_is_a_star(serve, raw_upstream):
    gateway = serve(PEOPLE + route(raw_upstream, "people", path="/a/%2A") + route(raw_upstream, path="/", more="public = true"))
    for target, status in [("/a/*", 401), ("/a/%2a/x", 401), ("/a/b", 200)]:
        assert gateway.send(target).status == status, target
