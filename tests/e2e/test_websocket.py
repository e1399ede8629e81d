"""WebSockets through the gateway. The upgrade is authenticated first, as any request is."""

import base64
import time

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from harness.client import basic, open_websocket
from harness.config import protected, route
from harness.gateway import LISTEN_ANYWHERE, run


def dial(gateway, headers, **options):
    return open_websocket(f"{gateway.url}/websocket", headers, **options)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(protected(shared_upstream))


def test_messages_pass_both_ways(gateway):
    with dial(gateway, basic("alice"), subprotocols=["echo"]) as socket:
        assert socket.subprotocol == "echo"
        assert socket.recv(10) == "alice"
        for message in ("text", b"\x00\xff", "x" * 100_000):
            socket.send(message)
            assert socket.recv(10) == message


def test_the_close_code_reaches_the_upstream(gateway, upstream):
    with dial(gateway, basic("alice")) as socket:
        socket.recv(10)
        socket.close(4000, "enough")
    assert upstream.close_codes.get(timeout=10) == 4000


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic !!!"}, {"X-Forwarded-User": "mallory"}])
def test_an_upgrade_without_a_user_never_reaches_the_upstream(gateway, upstream, headers):
    with pytest.raises(InvalidStatus) as refused:
        dial(gateway, headers)
    assert refused.value.response.status_code == 401
    assert upstream.seen == []


def test_an_upgrade_carries_no_identity_of_the_clients_making(gateway):
    with dial(gateway, basic("alice") | {"X_Forwarded_User": "mallory"}) as socket:
        assert socket.recv(10) == "alice"


SECRET = "0123456789abcdef" * 4
PLAIN, ENCODED = "token.", "base64url.bearer.authorization.k8s.io."
JWT = f"""
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "https://id.example", audiences = ["gateway"], secret = "{SECRET}" }}]
"""


def token(name="alice", secret=SECRET):
    claims = {"iss": "https://id.example", "aud": "gateway", "sub": name, "exp": int(time.time()) + 300}
    return jwt.encode(claims, secret, algorithm="HS256")


def offered(prefix, text):
    return prefix + (base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") if prefix == ENCODED else text)


@pytest.fixture(scope="module", params=[PLAIN, ENCODED])
def by_subprotocol(request, serve_module, shared_upstream):
    config = JWT + route(shared_upstream, "tokens", more=f'websocket_token = "{request.param}"')
    return serve_module(config), request.param


def test_a_subprotocol_can_carry_a_token(by_subprotocol, upstream):
    """Row C11: a browser can't set `Authorization` for a WebSocket. The token doesn't reach the upstream."""
    gateway, prefix = by_subprotocol
    with dial(gateway, {}, subprotocols=[offered(prefix, token()), "echo"]) as socket:
        assert socket.subprotocol == "echo"
        assert socket.recv(10) == "alice"
    [seen] = upstream.seen
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert headers["sec-websocket-protocol"] == "echo"
    assert "authorization" not in headers
    assert token("x").split(".")[0] not in str(gateway.log())


def test_a_subprotocol_that_is_only_the_token_is_answered(by_subprotocol, upstream):
    gateway, prefix = by_subprotocol
    carrier = offered(prefix, token())
    with dial(gateway, {}, subprotocols=[carrier]) as socket:
        assert socket.subprotocol == carrier
        assert socket.recv(10) == "alice"
    [seen] = upstream.seen
    assert "sec-websocket-protocol" not in [name.lower() for name, _ in seen["headers"]]


def test_what_a_subprotocol_carries_is_verified(by_subprotocol, upstream):
    gateway, prefix = by_subprotocol
    forged = token(secret="x" * 64)
    for protocols, headers, status in [
        ([offered(prefix, forged)], {}, 401),
        (["echo"], {}, 401),
        ([offered(prefix, token()), offered(prefix, token("bob"))], {}, 400),
        ([offered(prefix, token())], {"Authorization": f"Bearer {forged}"}, 401),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            dial(gateway, headers, subprotocols=protocols)
        assert refused.value.response.status_code == status, protocols
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('websocket_token = "a, b"', "the start of a subprotocol"),
        ('websocket_token = ""', "the start of a subprotocol"),
        ("websocket_token = true", "websocket_token"),
        ('public = true\nwebsocket_token = "token."', "a public route has none"),
    ],
)
def test_a_prefix_that_no_subprotocol_can_have_is_an_error(tmp_path, upstream, more, complaint):
    asked = [] if "public" in more else ["tokens"]
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + JWT + route(upstream, *asked, more=more))
    assert checked.returncode == 1
    assert complaint in checked.stderr
