"""Cases 1, 2, 6, 17 and 21 to 24 of docs/security-cases.md: what a client says in headers about itself and its way.

`simple` says who the user is. The upstream keeps every header as it came, and the log says which client was seen.
"""

import pytest

from harness.client import ALICE, basic, exchange
from harness.config import PEOPLE, protected, route, tokens
from harness.frames import Http2
from harness.tables import IDENTITY, claims, spellings

TRUSTED = 'trusted_proxies = ["127.0.0.1"]\n'


ROUTES = """
[[routes]]
path = "/open"
public = true
upstream = "{url}"
[[routes]]
path = "/"
authenticators = ["people"]
upstream = "{url}"
[[routes]]
path = "/"
hosts = ["hub.test"]
authenticators = ["people"]
upstream = "{url}/hub"
"""


@pytest.fixture(scope="module")
def gateway(serve_module, shared_raw_upstream):
    """It has no trusted proxies."""
    return serve_module(PEOPLE + ROUTES.format(url=shared_raw_upstream.url))


@pytest.fixture(scope="module")
def behind(serve_module, shared_raw_upstream):
    """It trusts the tests as a proxy."""
    return serve_module(PEOPLE + ROUTES.format(url=shared_raw_upstream.url), server=TRUSTED)


# Case 1: what a client says of another request doesn't change this one.

CLAIMS = claims()


def test_case_01_what_a_client_claims_changes_nothing(gateway, raw_upstream):
    host = gateway.url.removeprefix("http://").encode()
    ours = {
        b"host": host,
        b"x-forwarded-for": b"127.0.0.1",
        b"x-forwarded-host": host,
        b"x-forwarded-proto": b"http",
    }
    for name, theirs in CLAIMS.items():
        raw_upstream.forget()
        headers = [(spelling, theirs) for spelling in spellings(name)]
        assert gateway.send("/admin", headers).status == 401, name
        assert gateway.send("/admin", [*ALICE.items(), *headers]).status == 200, name
        [request] = raw_upstream.seen
        assert request.line == b"GET /admin HTTP/1.1"
        said = {key.lower(): value for key, value in request.headers}
        assert ours.items() <= said.items(), name
        assert theirs.encode() not in said.values(), name


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"])
def test_case_02_a_trusted_proxys_headers_have_one_spelling(behind, raw_upstream, name):
    """What it doesn't remove because it doesn't know the spelling comes from its client."""
    aliases = [spelling for spelling in spellings(name) if spelling.lower() != name.lower()]
    headers = [(spelling, CLAIMS[name]) for spelling in aliases]
    if name == "Forwarded":
        headers = [(name, CLAIMS[name])]
    assert behind.send("/", [*ALICE.items(), *headers]).status == 200
    [request] = raw_upstream.seen
    assert CLAIMS[name].encode() not in [value for _, value in request.headers]
    assert behind.logged(message="decision")[-1]["client"] == "127.0.0.1"


INVENTED = [(spelling, "mallory") for name in IDENTITY for spelling in spellings(name)]


@pytest.mark.parametrize("trusted", [False, True])
def test_case_02_no_peer_names_the_user(gateway, behind, raw_upstream, trusted):
    """A trusted proxy speaks for the client's address, not for who the client is."""
    for target in ("/open", "/"):
        (behind if trusted else gateway).send(target, [*ALICE.items(), *INVENTED])
    assert len(raw_upstream.seen) == 2
    assert all(b"mallory" not in value for request in raw_upstream.seen for _, value in request.headers)


def test_case_02_no_spelling_passes_over_http_2(gateway, raw_upstream):
    with Http2(gateway.url) as client:
        headers = [(spelling.lower(), value) for spelling, value in INVENTED]
        client.request(1, client.pairs([("authorization", ALICE["Authorization"]), *headers]))
        assert client.outcome(1) == 200
    [request] = raw_upstream.seen
    assert all(b"mallory" not in value for _, value in request.headers)
    assert request.all("x-forwarded-user") == [b"alice"]


@pytest.mark.parametrize("more", ["public = true", "optional = true"])
def test_case_06_an_anonymous_request_carries_no_identity(serve, raw_upstream, more):
    gateway = serve(PEOPLE + route(raw_upstream, *([] if "public" in more else ["people"]), more=more))
    assert gateway.send("/", INVENTED).status == 200
    upgrade = [("Connection", "upgrade"), ("Upgrade", "websocket")]
    assert gateway.send("/", INVENTED + upgrade).status == 200
    assert len(raw_upstream.seen) == 2
    assert all(b"mallory" not in value for request in raw_upstream.seen for _, value in request.headers)


def test_case_06_an_error_reaches_no_upstream_and_repeats_no_claim(gateway, raw_upstream):
    for target, headers in [("/", {}), ("/", {"Authorization": "Basic !!!"}), ("/a/../b", ALICE)]:
        answer = gateway.send(target, headers | {"X-Forwarded-User": "mallory", "X-Forwarded-Host": "evil.test"})
        assert answer.status in (400, 401)
        assert b"mallory" not in answer.body and "evil.test" not in str(answer.headers)
    assert raw_upstream.seen == []


@pytest.mark.parametrize("claim", ["https", "HTTPS", "http, https", "wss", "https\t"])
def test_case_17_only_a_trusted_proxy_overrides_the_scheme(gateway, behind, raw_upstream, claim):
    for asked in (gateway, behind):
        asked.send("/", ALICE | {"X-Forwarded-Proto": claim})
    untrusted, trusted = raw_upstream.seen
    assert untrusted.all("x-forwarded-proto") == [b"http"]
    assert trusted.all("x-forwarded-proto") == [b"http" if claim == "wss" else b"https"]


# Case 21: the client is the rightmost address that no trusted proxy has.

HOPS = [
    (["6.6.6.6"], "6.6.6.6"),
    (["9.9.9.9, 6.6.6.6"], "6.6.6.6"),
    (["9.9.9.9", "6.6.6.6"], "6.6.6.6"),
    (["6.6.6.6, 127.0.0.1"], "6.6.6.6"),
    (["6.6.6.6, unknown"], "127.0.0.1"),
    (["6.6.6.6, unknown, 127.0.0.1"], "127.0.0.1"),
    (["6.6.6.6,"], "127.0.0.1"),
    (["::ffff:6.6.6.6"], "6.6.6.6"),
    (["[2001:db8::1]:4711"], "2001:db8::1"),
    (["6.6.6.6:4711"], "6.6.6.6"),
    (["06.6.6.6"], "127.0.0.1"),
    (["\xff, 6.6.6.6"], "127.0.0.1"),
]


@pytest.mark.parametrize("values, client", HOPS)
def test_case_21_the_client_is_the_rightmost_that_is_no_proxy(gateway, behind, raw_upstream, values, client):
    headers = [*ALICE.items(), *(("X-Forwarded-For", value) for value in values), ("X-Real-IP", "7.7.7.7")]
    for asked, expected in [(gateway, "127.0.0.1"), (behind, client)]:
        assert asked.send("/", headers).status == 200
        assert asked.logged(message="decision")[-1]["client"] == expected


@pytest.mark.parametrize("host", ["hub.test", "HUB.test", "hub.test.", "Hub.Test.:8000", "hub.test:443", "hub.test:"])
def test_case_22_a_host_is_the_same_in_every_spelling(gateway, raw_upstream, host):
    request = f"GET /x HTTP/1.1\r\nHost: {host}\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n"
    assert exchange(gateway.url, request.encode()) == 200
    assert [request.target for request in raw_upstream.seen] == ["/hub/x"]


OTHERS = ["hub.test.evil", "evil-hub.test", "hub.test@evil", "hub.test/", "hub.test, x", "hub.test\\"]


@pytest.mark.parametrize("host", OTHERS)
def test_case_22_no_other_host_matches(gateway, raw_upstream, host):
    request = f"GET /x HTTP/1.1\r\nHost: {host}\r\nAuthorization: {ALICE['Authorization']}\r\n\r\n"
    assert exchange(gateway.url, request.encode()) in (200, 400)
    assert [request.target for request in raw_upstream.seen] in ([], ["/x"])


BOB = basic("bob")["Authorization"]
TWICE = {
    "two fields": [("authorization", ALICE["Authorization"]), ("authorization", BOB)],
    "the same field twice": [("authorization", BOB), ("authorization", BOB)],
    "one field of two": [("authorization", f"{ALICE['Authorization']}, {BOB}")],
    "another scheme first": [("authorization", "Bearer x"), ("authorization", BOB)],
    "another scheme last": [("authorization", BOB), ("authorization", "Bearer x")],
    "an empty one first": [("authorization", ""), ("authorization", BOB)],
    "an empty one last": [("authorization", BOB), ("authorization", "")],
}


@pytest.mark.parametrize("case", TWICE)
def test_case_23_repeated_credentials_are_refused(gateway, raw_upstream, case):
    assert gateway.send("/", TWICE[case]).status == 401
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(TWICE[case]))
        assert client.outcome(1) == 401
    assert raw_upstream.seen == []


def test_case_23_two_tokens_are_refused(serve, raw_upstream, provider):
    gateway = serve(tokens(provider) + route(raw_upstream, "tokens"))
    good = ("authorization", f"Bearer {provider.sign(provider.claims())}")
    assert gateway.send("/", [good]).status == 200
    for other in [good, ("authorization", "Bearer x"), ("AUTHORIZATION", "bearer x"), ("authorization", BOB)]:
        assert gateway.send("/", [good, other]).status == 401
        assert gateway.send("/", [other, good]).status == 401
    assert len(raw_upstream.seen) == 1


def test_case_23_crumbs_of_cookies_are_one_field(gateway, raw_upstream):
    """RFC 9113, section 8.2.3: HTTP/2 may cut the field, and HTTP/1.1 has one."""
    crumbs = [("authorization", ALICE["Authorization"]), ("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "")]
    with Http2(gateway.url) as client:
        client.request(1, client.pairs(crumbs))
        assert client.outcome(1) == 200
    assert gateway.send("/", crumbs).status == 200
    assert [request.all("cookie") for request in raw_upstream.seen] == [[b"a=1; b=2; c=3"]] * 2


FORWARDED = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-user"]
OURS = [*FORWARDED, "host", "authorization", "cookie"]


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_case_24_no_connection_header_takes_away_what_we_add(serve, raw_upstream, spell):
    more = 'cookies = "pass"\n[routes.identity]\nbasic_password = "env:UPSTREAM_PASSWORD"'
    gateway = serve(protected(raw_upstream, more), UPSTREAM_PASSWORD="open sesame")
    named = [("Connection", f"close, {spell(name)}") for name in OURS]
    gateway.send("/", [*ALICE.items(), *named, ("X-Forwarded-For", "6.6.6.6")])
    gateway.send("/", [*ALICE.items(), ("Connection", ",".join(map(spell, OURS)))])
    assert len(raw_upstream.seen) == 2
    for request in raw_upstream.seen:
        assert request.all("authorization") == [basic("alice", "open sesame")["Authorization"].encode()]
        assert request.all("x-forwarded-for") == [b"127.0.0.1"]
        assert all(len(request.all(name)) == 1 for name in OURS if name != "cookie")
        assert request.all("connection") == []
