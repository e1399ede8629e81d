"""Every front proxy with its documented configuration, and clients that try to spoof identities and destinations.

The gateway decides, the front's own upstream serves; in between, each front passes on what it passes on.
"""

import pytest

from harness.client import basic, exchange
from harness.tables import claims, paths, spellings
from harness.upstream import values

ALICE = list(basic("alice").items())

IDENTITY = {"x-forwarded-user", "x-forwarded-groups"}

SPELLINGS = [spelling for name in ("X-Forwarded-User", "X-Forwarded-Groups") for spelling in spellings(name)]

CLAIMS = claims("/open", "open.example") | {
    "X-Forwarded-URI": "/open",
    "X_Forwarded_Uri": "/open",
    "X.Forwarded.Uri": "/open",
    "X_Original_URL": "http://app.example/open",
    "X-Original-URL": "http://app.example/open",
    "X-Http-Method-Override": "OPTIONS",
    "X-Portcullis-Token": "0" * 64,
    "X-Portcullis-Set": "x-forwarded-user",
    "X-Portcullis-Status": "200",
    "X-Envoy-Auth-Headers-To-Remove": "x",
    "X-Envoy-Original-Path": "/open",
    "X-Envoy-Expected-Rq-Timeout-Ms": "1",
    "User-Agent": "kube-probe/1.0",
}
"""One by one, and then all together."""

CONNECTION = (
    "X-Forwarded-For, X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Host, X-Forwarded-Proto, X-Original-URL, "
    "X-Original-Method, X-Forwarded-User, X-Forwarded-Groups, X-Portcullis-Token"
)
"""Names of headers that a front adds, as headers of one hop that it should drop (CVE-2025-48865)."""

PATHS = [
    *paths("refused", "ambiguous", "protected"),
    "/secret?/open",
    "/secret?x=/../open",
    "/secret#/open",
    "/../nginx",
    "/.portcullis/auth/nginx",
    "/.portcullis/auth/envoy/open",
    "/_portcullis",
]
"""None of these is what is open."""

RESOLVED = {
    "/../open": "/open",
    "/open/.": "/open/",
    "/open/./": "/open/",
    "/open/.;%3fadmin": "/open/",
    "/open/./admin": "/open/admin",
    "/open//../admin": "/open/admin",
}
"""What Envoy makes of some of them before it asks: then that is what is asked about, and what is sent on."""


def refused(answer):
    """HTTP/2 has 0 here for a stream that the front reset."""
    return answer.status == 0 or 400 <= answer.status < 600


def assert_refused(upstream, answer, what):
    assert upstream.seen == [], what
    assert refused(answer), (what, answer.status)


def claimed(seen):
    """What an upstream that is careless about spelling takes for its user's."""
    folded = lambda name: "".join(c if c.isalnum() else "-" for c in name.lower())
    return [value for name, value in seen["headers"] if folded(name) in IDENTITY]


def test_no_header_replaces_credentials(front, version, upstream):
    for name, value in CLAIMS.items():
        assert_refused(upstream, front.send("/secret", [(name, value)], version=version), name)
    assert_refused(upstream, front.send("/secret", list(CLAIMS.items()), version=version), "all")
    for method in ("POST", "HEAD", "OPTIONS", "DELETE"):
        answer = front.send("/secret", list(CLAIMS.items()), method=method, version=version)
        assert_refused(upstream, answer, method)


def test_identity_headers_of_a_client_are_not_believed(front, version, upstream):
    for spelling in SPELLINGS:
        assert_refused(upstream, front.send("/secret", [(spelling, "mallory")], version=version), spelling)


def test_a_client_cannot_replace_its_identity(front, version, upstream):
    for spelling in SPELLINGS:
        upstream.forget()
        answer = front.send("/secret", [*ALICE, (spelling, "mallory"), (spelling, "mallory2")], version=version)
        if refused(answer):
            assert upstream.seen == [], spelling
        else:
            assert claimed(upstream.seen[0]) == ["alice"], spelling
    upstream.forget()
    answer = front.send("/secret", [*ALICE, *CLAIMS.items()], version=version)
    if not refused(answer):
        assert claimed(upstream.seen[0]) == ["alice"]
        assert values(upstream.seen[0], "authorization") == []
        assert answer.json()["target"] == "/secret"


@pytest.mark.parametrize("path", ["/open", "/maybe"])
def test_anonymous_requests_carry_no_identity(front, version, upstream, path):
    for spelling in SPELLINGS:
        upstream.forget()
        answer = front.send(path, [(spelling, "mallory")], version=version)
        if refused(answer):
            assert upstream.seen == [], spelling
        else:
            assert claimed(upstream.seen[0]) == [], spelling


def test_a_connection_header_takes_nothing_away(front, upstream):
    answer = front.send("/secret", [("Connection", CONNECTION), *CLAIMS.items()])
    assert_refused(upstream, answer, "without credentials")
    answer = front.send("/secret", [*ALICE, ("Connection", CONNECTION), ("X-Forwarded-User", "mallory")])
    if not refused(answer):
        assert claimed(upstream.seen[0]) == ["alice"]


def test_no_path_is_read_in_two_ways(front, version, upstream):
    for path in PATHS:
        answer = front.send(path, version=version)
        if front.name.startswith("envoy") and path in RESOLVED:
            assert [seen["target"] for seen in upstream.seen] == [RESOLVED[path]], path
            upstream.forget()
        else:
            assert_refused(upstream, answer, path)


def test_what_is_judged_is_what_the_upstream_gets(front, front_gateway, version, upstream):
    """A front may normalise a path, but before it asks."""
    for path in ("/secret/door", "/secret/%61", "/secret/%7E%41", "/m%C3%BCller;x=1/y", "/a@b:c!d", "/a%20b"):
        upstream.forget()
        before = len(front_gateway.logged(message="decision"))
        answer = front.send(f"{path}?x=%2e%2e/y?z", ALICE, version=version)
        [line] = front_gateway.logged(message="decision")[before:]
        assert answer.status == 200, path
        assert answer.json()["target"] == line["path"] + "?x=%2e%2e/y?z", path


@pytest.mark.parametrize("host", ["open.example", "OPEN.example:80", "open.example."])
def test_a_host_has_routes_of_its_own(front, version, host):
    assert front.send("/secret", version=version, host=host).status == 200
    assert front.send("/secret", [("X-Forwarded-Host", host)], version=version).status == 401


def test_no_request_has_two_hosts(front, upstream):
    for request in (
        b"GET /secret HTTP/1.1\r\nHost: app.example\r\nHost: open.example\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: open.example\r\nHost: app.example\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: app.example, open.example\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: user@open.example\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: app.example/open\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /secret HTTP/1.0\r\n\r\n",
        b"GET http://app.example/secret HTTP/1.1\r\nHost: app.example\r\n\r\n",
        b"GET http://app.example/open/../secret HTTP/1.1\r\nHost: app.example\r\n\r\n",
    ):
        status = exchange(f"http://127.0.0.1:{front.http1}", request)
        assert 400 <= status < 600, request
        assert upstream.seen == [], request


def test_an_absolute_request_line_and_its_host_agree(front, upstream):
    """Where they don't, the one that was judged is the one that the upstream gets."""
    for line, host in (("open.example", "app.example"), ("app.example", "open.example")):
        upstream.forget()
        request = f"GET http://{line}/secret HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        status = exchange(f"http://127.0.0.1:{front.http1}", request)
        if status == 200:
            assert values(upstream.seen[0], "host") == ["open.example"], (line, host)
        else:
            assert upstream.seen == []


def test_two_hosts_of_http2_agree(upgrading_front, upstream):
    """`:authority` and `Host`: the one that was judged is the one that the upstream gets."""
    for authority, host in (("open.example", "app.example"), ("app.example", "open.example")):
        upstream.forget()
        answer = upgrading_front.send("/secret", [("host", host)], version=2, host=authority)
        if answer.status == 200:
            assert values(upstream.seen[0], "host") == ["open.example"], (authority, host)
        else:
            assert upstream.seen == []


def test_two_credentials_are_refused(front, version, upstream):
    bob = list(basic("bob").items())
    for headers in (ALICE + bob, bob + ALICE, ALICE + [("authorization", "Bearer x")]):
        answer = front.send("/secret", headers, version=version)
        if not refused(answer):
            # A front proxy may drop one of them, but must not check one and forward the other.
            [user] = claimed(upstream.seen[0])
            assert values(upstream.seen[0], "authorization") == [], user
            upstream.forget()


def test_the_client_address_is_the_one_that_the_front_proxy_sees(front, front_gateway, version, upstream):
    for forwarded in ("6.6.6.6", "6.6.6.6, 127.0.0.1", "127.0.0.1", "unknown"):
        before = len(front_gateway.logged(message="decision"))
        assert front.send("/secret", [*ALICE, ("X-Forwarded-For", forwarded)], version=version).status == 200
        [line] = front_gateway.logged(message="decision")[before:]
        assert line["client"] == "127.0.0.2", forwarded
        assert line["method"] == "GET"


def test_ambiguous_framing_smuggles_no_request(front, upstream):
    for framing in (
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ):
        smuggled = b"0\r\n\r\nGET /secret HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-User: mallory\r\n\r\n"
        request = b"POST /open HTTP/1.1\r\nHost: app.example\r\n" + framing + b"\r\n" + smuggled
        exchange(f"http://127.0.0.1:{front.http1}", request)
        for seen in upstream.seen:
            assert seen["target"] == "/open", framing
            assert claimed(seen) == []
        upstream.forget()
