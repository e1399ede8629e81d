"""`upstream_credentials`: credentials that the upstream verifies itself pass on the methods and paths that the route lists.

They are forwarded anonymously: without identity, secrets, or anything else that could be taken for a user's.
"""

import pytest

from harness.client import basic
from harness.config import PEOPLE, route
from harness.fronts import subrequest
from harness.gateway import run
from harness.upstream import values

LEFT = """upstream_credentials = [
  { scheme = "token", requests = ["POST /api/clusters/*/heartbeat", "DELETE /api/clusters/*", "GET /answer-headers"] },
]
"""
SECRETS = """
[routes.identity]
basic_password = "env:PASSWORD"
shared_secret = { X-Our-Secret = "env:SECRET" }
"""
TOKEN = {"Authorization": "token of-a-cluster"}


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    config = PEOPLE + route(shared_upstream, "people", more='cookies = "pass"\n' + LEFT + SECRETS)
    return serve_module(config, PASSWORD="open sesame", SECRET="s" * 32, PORTCULLIS_COOKIE_SECRET="00112233" * 8)


@pytest.mark.parametrize("method, path", [("POST", "/api/clusters/a/heartbeat?x=1"), ("DELETE", "/api/clusters/a")])
def test_a_listed_request_is_forwarded_without_an_identity(gateway, upstream, method, path):
    session = gateway.send("/", basic("alice")).set_cookies()["portcullis"]
    upstream.forget()
    confusing = {
        "Cookie": f"portcullis={session}; dask-gateway-1=alices",
        "X-Forwarded-User": "mallory",
        "X_Our.Secret": "s" * 32,
        "Proxy-Authorization": "Basic eDp5",
    }
    assert gateway.send(path, TOKEN | confusing, method=method, body=b"{}").status == 200
    [seen] = upstream.seen
    assert (seen["method"], seen["target"]) == (method, path)
    assert values(seen, "authorization") == ["token of-a-cluster"]
    names = {name.lower() for name, _ in seen["headers"]}
    forwarded = {f"x-forwarded-{name}" for name in ["for", "host", "port", "proto"]}
    assert names <= {"authorization", "host", "content-length", "x-request-id"} | forwarded
    [line] = gateway.logged(outcome="upstream_credentials", method=method)[-1:]
    assert line["scheme"] == "token"
    assert "of-a-cluster" not in gateway.child.output()


OTHERS = [
    ("GET", "/api/clusters/a", TOKEN),
    ("POST", "/api/clusters/a", TOKEN),
    ("POST", "/api/clusters/a/scale", TOKEN),
    ("DELETE", "/api/clusters/a/heartbeat", TOKEN),
    ("DELETE", "/api/clusters/", TOKEN),
    ("DELETE", "/api/clusters/a/", TOKEN),
    ("DELETE", "/api/clusters/a;x", TOKEN),
    ("DELETE", "/api/clusters/a%3Fx", TOKEN),
    ("DELETE", "/", TOKEN),
    ("GET", "/api/v1/routes", TOKEN),
    ("DELETE", "/api/clusters/a", {}),
    ("DELETE", "/api/clusters/a", {"Authorization": "token"}),
    ("DELETE", "/api/clusters/a", {"Authorization": "Bearer of-a-cluster"}),
    ("DELETE", "/api/clusters/a", {"Authorization": "tokens of-a-cluster"}),
    ("DELETE", "/api/clusters/a", [("Authorization", "token a"), ("Authorization", "token b")]),
    ("DELETE", "/api/clusters/a", {"X-Authorization": "token of-a-cluster"}),
    ("DELETE", "/api/clusters/a", {"Cookie": "token=of-a-cluster"}),
]


@pytest.mark.parametrize("method, path, headers", OTHERS)
def test_everything_else_is_authenticated(gateway, upstream, method, path, headers):
    assert gateway.send(path, headers, method=method).status == 401
    assert upstream.seen == []


def test_a_user_is_a_user_on_the_same_path(gateway, upstream):
    assert gateway.send("/api/clusters/a", basic("alice"), method="DELETE").status == 200
    assert values(upstream.seen[0], "x-forwarded-user") == ["alice"]
    assert values(upstream.seen[0], "x-our-secret") == ["s" * 32]


def test_such_a_request_gets_no_session_and_no_cookie(gateway):
    answer = gateway.send("/answer-headers?Set-Cookie=a%3D1&X-Other=2", TOKEN)
    assert (answer.status, answer.all("set-cookie"), answer.header("x-other")) == (200, [], "2")


def test_a_front_proxy_gets_the_same_answer(serve, upstream):
    config = "[forward_auth]\n" + PEOPLE + route(upstream, "people", more=LEFT)
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n')
    for method, uri, status in [("DELETE", "/api/clusters/a", 200), ("GET", "/api/clusters/a", 401)]:
        asked = subrequest(uri, method) | TOKEN | {"Cookie": "a=1"}
        answer = gateway.send("/.portcullis/auth/caddy", asked)
        assert answer.status == status, uri
        if status == 200:
            assert answer.header("authorization") == "token of-a-cluster"
            assert answer.all("cookie") == [] and answer.all("x-forwarded-user") == []


def test_envoy_is_told_to_remove_cookies_that_it_did_not_show(serve, upstream):
    config = "[forward_auth]\n" + PEOPLE + route(upstream, "people", more=LEFT)
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n')
    asked = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    for method, credentials, dropped in [("DELETE", TOKEN, True), ("GET", basic("alice"), False)]:
        answer = gateway.send("/.portcullis/auth/envoy/api/clusters/a", asked | credentials, method=method)
        assert answer.status == 200, method
        removed = (answer.header("x-envoy-auth-headers-to-remove") or "").lower().split(",")
        assert ("cookie" in [name.strip() for name in removed]) == dropped, method


def test_explain_shows_that_the_upstream_verifies_the_credentials(upstream, tmp_path):
    config = PEOPLE + route(upstream, "people", more=LEFT)
    words = ["explain", "DELETE", "http://app.example/api/clusters/a", "-H", f"Authorization: {TOKEN['Authorization']}"]
    said = run(*words, folder=tmp_path, config=config).stdout
    assert "forwarded   without a user" in said
    assert "if          the upstream accepts the credentials (scheme token)" in said
    assert "of-a-cluster" not in said and upstream.seen == []
