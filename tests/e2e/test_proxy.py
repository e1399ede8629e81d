"""The proxy between a client and the upstream: what passes unchanged, what is set, and what never arrives.

`simple` says who the user is here; the upstream answers with what it saw.
"""

import pytest

from harness.client import ALICE, basic, bearer, begin, connect
from harness.config import PEOPLE, protected, route, tokens
from harness.tables import IDENTITY, spellings
from harness.upstream import values


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(protected(shared_upstream))


def test_the_upstream_gets_the_user(gateway):
    seen = gateway.send("/", ALICE).json()
    assert values(seen, "x-forwarded-user") == ["alice"]


def test_a_name_arrives_in_utf_8(gateway):
    [name] = values(gateway.send("/", basic("müller")).json(), "x-forwarded-user")
    assert name.encode("latin-1").decode() == "müller"


def test_the_credentials_stay_at_the_gateway(gateway):
    seen = gateway.send("/", ALICE).json()
    assert values(seen, "authorization") == []


def test_requests_without_credentials_are_refused(gateway, upstream):
    answer = gateway.send("/")
    assert answer.status == 401
    assert answer.header("content-type") == "application/json"
    assert list(answer.json()) == ["error"]
    assert upstream.seen == []


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00\xff" * 500_000], ids=["empty", "short", "a megabyte"])
def test_a_body_arrives_as_it_was_sent(gateway, body):
    answer = gateway.send("/", ALICE, method="POST", body=body)
    assert answer.json()["body"].encode("latin-1") == body


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_method_arrives_as_it_was_sent(gateway, method):
    assert gateway.send("/", ALICE, method=method).json()["method"] == method


def test_the_upstreams_own_errors_pass(gateway):
    for status in (401, 404, 418, 500):
        answer = gateway.send(f"/status/{status}", ALICE)
        assert (answer.status, answer.body) == (status, b"the upstream's own words")


def test_an_upstream_that_is_down_is_a_502(serve, unreachable):
    answer = serve(protected(unreachable())).send("/", ALICE)
    assert answer.status == 502
    assert list(answer.json()) == ["error"]


# Identity headers


@pytest.fixture(params=["protected", "public", "optional"])
def any_route(request, serve, upstream):
    """A gateway with one route of each kind, and an identity header for an attribute that no user has."""
    more = {"protected": "", "public": "public = true", "optional": "optional = true"}[request.param]
    asked = [] if request.param == "public" else ["people"]
    identity = '[routes.identity]\nattributes = { email = "X-Mail" }'
    gateway = serve(PEOPLE + route(upstream, *asked, more=f"{more}\n{identity}"))
    return gateway, ALICE if request.param == "protected" else {}


def test_no_client_names_itself_in_any_spelling(any_route):
    gateway, credentials = any_route
    for spelling in (spelling for name in [*IDENTITY, "X-Mail"] for spelling in spellings(name)):
        seen = gateway.send("/", [*credentials.items(), (spelling, "mallory"), (spelling, "mallory2")]).json()
        assert "mallory" not in str(seen["headers"]), spelling


def test_a_connection_header_takes_no_identity_away(gateway):
    seen = gateway.send("/", ALICE | {"Connection": "X-Forwarded-User, close"}).json()
    assert values(seen, "x-forwarded-user") == ["alice"]


def test_the_route_names_the_identity_headers(serve, upstream):
    gateway = serve(protected(upstream, '[routes.identity]\nuser = "Remote-User"\ngroups = "Remote-Groups"'))
    seen = gateway.send("/", ALICE | {"Remote_User": "mallory"}).json()
    assert values(seen, "remote-user") == ["alice"]
    assert "mallory" not in str(seen)


def test_an_optional_route_accepts_anonymous_requests_but_no_bad_credentials(serve, upstream):
    gateway = serve(PEOPLE + route(upstream, "people", more="optional = true"))
    assert values(gateway.send("/", ALICE).json(), "x-forwarded-user") == ["alice"]
    assert gateway.send("/").status == 200
    assert gateway.send("/", {"Authorization": "Basic !!!"}).status == 401


def test_a_public_route_needs_no_credentials(serve, upstream):
    gateway = serve(PEOPLE + route(upstream, path="/open", more="public = true") + route(upstream, "people"))
    assert gateway.send("/open/door", {"Authorization": "Basic !!!"}).status == 200
    assert gateway.send("/opened").status == 401
    assert gateway.send("/").status == 401


def test_a_path_without_a_route_is_a_404(serve, upstream):
    gateway = serve(PEOPLE + route(upstream, "people", path="/in"))
    assert gateway.send("/in", ALICE).status == 200
    assert gateway.send("/out", ALICE).status == 404


# The password that the upstream trusts


@pytest.mark.parametrize("mode", [0o600, 0o440])
def test_the_upstream_gets_the_user_with_its_own_password(serve, upstream, tmp_path, mode):
    (tmp_path / "secret").write_text("open sesame\n")
    (tmp_path / "secret").chmod(mode)
    gateway = serve(protected(upstream, f'[routes.identity]\nbasic_password = "file:{tmp_path}/secret"'))
    seen = gateway.send("/", basic("alice", "what alice typed")).json()
    assert values(seen, "authorization") == [basic("alice", "open sesame")["Authorization"]]


def test_the_password_may_come_from_the_environment(serve, upstream):
    config = protected(upstream, '[routes.identity]\nbasic_password = "env:UPSTREAM_PASSWORD"')
    gateway = serve(config, UPSTREAM_PASSWORD="open sesame")
    for name in ("alice", "müller"):
        seen = gateway.send("/", basic(name)).json()
        assert values(seen, "authorization") == [basic(name, "open sesame")["Authorization"]]


def test_no_user_is_split_in_two_by_the_password(serve, upstream, provider):
    """RFC 7617 ends the name at the first colon: `alice:x` would be alice for the upstream."""
    more = '[routes.identity]\nbasic_password = "env:UPSTREAM_PASSWORD"'
    gateway = serve(tokens(provider) + route(upstream, "tokens", more=more), UPSTREAM_PASSWORD="open sesame")
    answer = gateway.send("/", bearer(provider.sign(provider.claims(sub="alice:x"))))
    assert 400 <= answer.status < 600
    assert upstream.seen == []


@pytest.mark.parametrize(
    "more, passes",
    [
        ("", True),
        ('cookies = "drop"', False),
        ('cookies = "pass"', True),
        ('[routes.identity]\nbasic_password = "env:UPSTREAM_PASSWORD"', False),
        ('cookies = "pass"\n[routes.identity]\nbasic_password = "env:UPSTREAM_PASSWORD"', True),
    ],
)
def test_cookies_pass_unless_the_upstream_trusts_us_for_the_user(serve, upstream, more, passes):
    gateway = serve(protected(upstream, more), UPSTREAM_PASSWORD="open sesame")
    seen = gateway.send("/", ALICE | {"Cookie": "a=1"}).json()
    assert values(seen, "cookie") == (["a=1"] if passes else [])
    answer = gateway.send("/answer-headers?Set-Cookie=b%3D2", ALICE)
    assert answer.all("set-cookie") == (["b=2"] if passes else [])


# Headers of one hop


def test_headers_of_one_hop_end_there(gateway):
    hop = {
        "Connection": "close, X-Mine",
        "X-Mine": "1",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "Proxy-Authorization": "Basic eDp5",
        "Proxy-Connection": "close",
    }
    seen = gateway.send("/", ALICE | hop).json()
    arrived = {name.lower() for name, _ in seen["headers"]}
    assert arrived.isdisjoint({"x-mine", "keep-alive", "te", "proxy-authorization", "proxy-connection"})

    answer = gateway.send("/answer-headers?Connection=x-theirs&X-Theirs=1&Keep-Alive=timeout%3D5&X-End=1", ALICE)
    assert answer.all("x-theirs") == answer.all("keep-alive") == []
    assert answer.all("x-end") == ["1"]


def test_a_client_invents_no_proxy_before_us(gateway):
    invented = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil.test",
        "Forwarded": "for=6.6.6.6;host=evil.test",
    }
    seen = str(gateway.send("/", ALICE | invented).json()["headers"])
    assert "6.6.6.6" not in seen
    assert "evil.test" not in seen


# Streams


def test_a_response_streams(gateway, upstream):
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    upstream.may_go_on.set()
    assert response.read() == b"second\n"


def test_a_request_streams(gateway, upstream):
    connection = connect(gateway.url)
    begin(connection, "POST", "/stream/up", ALICE | {"Transfer-Encoding": "chunked"})
    for chunk in (b"first", b"second"):
        connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        assert upstream.chunks.get(timeout=10) == chunk
    connection.send(b"0\r\n\r\n")
    assert connection.getresponse().read() == b"got it all"
    assert upstream.chunks.get(timeout=10) is None
