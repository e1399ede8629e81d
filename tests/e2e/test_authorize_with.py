"""`authorize_with`: the gateway checks with the upstream as the user before it forwards a request, and any error is a refusal.

The tests' upstream answers `/status/N` with the status N, so a path says what the upstream is going to say.
"""

import socket
from contextlib import closing
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus

from harness.client import basic, bearer, open_websocket
from harness.config import PEOPLE, route, tokens
from harness.fronts import subrequest
from harness.gateway import run
from harness.upstream import values

ALICE, BOB = basic("alice"), basic("bob")
ASKS = 'authorize_with = "GET /status/{1}"\n'


def owned(upstream, more="", path="/owned", asks=ASKS):
    return PEOPLE + route(upstream, "people", path=path, more=asks + more)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    """Keeps no answer, so that every test sees its own question."""
    return serve_module(owned(shared_upstream, 'authorize_cache = "0s"'))


def questions(upstream):
    return [seen for seen in upstream.seen if seen["target"].startswith("/status/")]


def forwarded(upstream):
    return [seen["target"] for seen in upstream.seen if not seen["target"].startswith("/status/")]


ANSWERS = {200: 200, 204: 200, 206: 200, 401: 403, 403: 403, 404: 404, 302: 503, 400: 503, 410: 503, 429: 503, 500: 503}


@pytest.mark.parametrize("said, status", ANSWERS.items())
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_answer_of_the_upstream_decides(gateway, upstream, said, status, method):
    path = f"/owned/{said}/page?x=1"
    answer = gateway.send(path, ALICE, method=method)
    assert answer.status == status
    assert forwarded(upstream) == ([path] if status == 200 else [])
    assert [(seen["method"], seen["target"]) for seen in questions(upstream)] == [("GET", f"/status/{said}")]
    if status != 200:
        assert list(answer.json()) == ["error"], "the gateway's own words"
        [line] = gateway.logged(message="the user was denied", path=f"/owned/{said}/page", method=method)
        assert (line["user"], line["status"], line["asked"]) == ("alice", status, f"GET /status/{said}")


def test_unauthenticated_requests_are_not_checked(gateway, upstream):
    for headers in ({}, {"Authorization": "Basic !!!"}, {"X-Forwarded-User": "alice"}):
        assert gateway.send("/owned/200", headers).status == 401
        assert gateway.send("/owned", headers).status == 401
    assert upstream.seen == []


PATHS = {
    "/owned": 404,
    "/owned/": 404,
    "/owned/200;x": 400,
    "/owned/200;x/page": 400,
    "/owned/200%3Fx": 400,
    "/owned/200%23/page": 400,
    "/owned/200.": 400,
    "/owned/200%20/page": 400,
    "/owned/200%2F..%2F403": 400,
    "/owned/200%2Fx": 400,
    "/owned/../owned/200": 400,
    "/owned//200": 400,
    "/owned/%2e%2e/200": 400,
    "/owned/403/..;/200": 400,
    "/owned/%32%30%30/page": 200,
    "/%6fwned/200/page": 200,
    "/owned/200/a;b=c": 200,
    "/owned/200/a%3Fb": 200,
}


@pytest.mark.parametrize("path, status", PATHS.items())
def test_a_path_asks_about_one_thing_or_is_refused(gateway, upstream, path, status):
    assert gateway.send(path, ALICE).status == status
    assert [seen["target"] for seen in questions(upstream)] == (["/status/200"] if status == 200 else [])


@pytest.mark.parametrize("segment", ["a b", "a?b=c", "a#b", "a&b", "a:b@c", "müller", "a%b", "{1}"])
def test_no_segment_escapes_its_place(serve, upstream, segment):
    """Those that are read in two ways are refused; the others arrive as one segment with the same meaning."""
    from urllib.parse import quote, unquote

    gateway = serve(owned(upstream, asks='authorize_with = "GET /ask/{1}/end"\n'))
    answer = gateway.send(f"/owned/{quote(segment, safe='')}/x", ALICE)
    if any(mark in segment for mark in "?#"):
        assert (answer.status, upstream.seen) == (400, [])
        return
    assert answer.status == 200
    place = upstream.seen[0]["target"].removeprefix("/ask/").removesuffix("/end")
    assert unquote(place) == segment and not set(place) & set("/?#;&:@ ")


def test_the_question_is_the_users_and_carries_nothing_of_the_clients(serve, upstream):
    secrets = 'basic_password = "env:PASSWORD"\nshared_secret = { X-Our-Secret = "env:SECRET" }\nadmin = "X-Admin"'
    config = owned(upstream, f"[routes.identity]\n{secrets}", path="/owned")
    gateway = serve(config, PASSWORD="open sesame", SECRET="s" * 32)
    sent = ALICE | {"Cookie": "a=1", "X-Custom": "1", "X-Our_Secret": "mallory", "Content-Type": "text/plain"}
    assert gateway.send("/owned/200/page", sent, method="POST", body=b"hello").status == 200
    asked, passed = upstream.seen
    names = sorted(name.lower() for name, _ in asked["headers"])
    ours = ["x-admin", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-user", "x-our-secret"]
    assert names == ["accept", "authorization", "host", *ours]
    assert values(asked, "authorization") == [basic("alice", "open sesame")["Authorization"]]
    assert values(asked, "x-our-secret") == ["s" * 32]
    assert values(asked, "x-forwarded-user") == values(passed, "x-forwarded-user") == ["alice"]
    # What is behind such a path may be the users' own.
    assert "authorization" not in str(passed).lower() and "secret" not in str(passed).lower()
    assert values(passed, "cookie") == []
    assert (values(passed, "x-custom"), passed["target"]) == (["1"], "/owned/200/page")
    log = gateway.child.output()
    assert "open sesame" not in log and "s" * 32 not in log


def test_an_answer_is_kept_for_a_while_and_for_one_user_and_path_alone(serve, upstream):
    gateway = serve(owned(upstream))
    for path in ("/owned/200", "/owned/200/page", "/owned/200/x/y?z"):
        assert gateway.send(path, ALICE).status == 200
    assert len(questions(upstream)) == 1
    assert gateway.send("/owned/200", BOB).status == 200
    assert len(questions(upstream)) == 2
    assert gateway.send("/owned/204", ALICE).status == 200
    assert len(questions(upstream)) == 3
    gateway.send("/owned/200", ALICE | {"Host": "other.example"})
    assert len(questions(upstream)) == 4, "the upstream hears which host was asked for"
    assert len(forwarded(upstream)) == 6


def test_a_failure_is_not_kept(serve, upstream):
    gateway = serve(owned(upstream))
    for _ in range(3):
        assert gateway.send("/owned/500", ALICE).status == 503
    assert len(questions(upstream)) == 3


def test_cached_checks_depend_on_the_groups(serve, upstream, provider):
    config = tokens(provider).replace("settings]\n", 'settings]\ngroups_claim = "groups"\n')
    gateway = serve(config + route(upstream, "tokens", path="/owned", more=ASKS))
    for groups, asked in [(["staff"], 1), (["staff"], 1), (["staff", "ml"], 2), ([], 3)]:
        token = provider.sign(provider.claims(groups=groups))
        assert gateway.send("/owned/200", bearer(token)).status == 200
        assert len(questions(upstream)) == asked, groups


def test_a_session_is_asked_about_like_its_user(serve, upstream):
    gateway = serve(owned(upstream, 'authorize_cache = "0s"'), PORTCULLIS_COOKIE_SECRET="00112233" * 8)
    answer = gateway.send("/owned/403", ALICE)
    assert answer.status == 403
    [cookie] = answer.set_cookies().items()
    session = {"Cookie": "=".join(cookie)}
    assert gateway.send("/owned/200", session).status == 200
    assert gateway.send("/owned/403", session).status == 403
    assert all(values(seen, "x-forwarded-user") == ["alice"] for seen in upstream.seen)
    assert "portcullis=" not in str(upstream.seen)


@pytest.mark.parametrize("said, opens", [(200, True), (403, False), (500, False)])
def test_a_websocket_is_asked_about_before_it_opens(serve, upstream, said, opens):
    gateway = serve(owned(upstream, path="/websocket", asks=f'authorize_with = "GET /status/{said}"\n'))
    if opens:
        with open_websocket(f"{gateway.url}/websocket", ALICE) as ws:
            assert ws.recv(10) == "alice"
        return
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(f"{gateway.url}/websocket", ALICE)
    assert refused.value.response.status_code == ANSWERS[said]
    assert forwarded(upstream) == []


@pytest.mark.parametrize("said, status", [(200, 200), (403, 403), (404, 404), (500, 503)])
def test_a_front_proxy_gets_the_same_answer(serve, upstream, said, status):
    gateway = serve("[forward_auth]\n" + owned(upstream), server='trusted_proxies = ["127.0.0.1"]\n')
    asked = subrequest(f"/owned/{said}/page")
    assert gateway.send("/.portcullis/auth/caddy", asked | ALICE).status == status
    assert [seen["target"] for seen in upstream.seen] == [f"/status/{said}"]


def test_an_upstream_that_is_gone_is_a_503(serve, unreachable):
    answer = serve(owned(unreachable())).send("/owned/200", ALICE)
    assert answer.status == 503
    assert answer.header("retry-after")


def test_an_upstream_that_hangs_is_a_503(serve):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        hanging = SimpleNamespace(url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        gateway = serve(owned(hanging))
        assert gateway.send("/owned/200", ALICE).status == 503
        assert gateway.logged(message="the authorization request failed")


def test_checks_are_counted(serve, upstream):
    gateway = serve('[admin]\nlisten = "127.0.0.1:0"\n' + owned(upstream))
    for path in ("/owned/200", "/owned/200", "/owned/403", "/owned/500"):
        gateway.send(path, ALICE)
    count = "portcullis_route_authorizations_total"
    for verdict, kept in [("allow", "true"), ("allow", "false"), ("forbid", "false"), ("unavailable", "false")]:
        assert gateway.metric(count, route="/owned", verdict=verdict, kept=kept) == 1, (verdict, kept)


def test_explain_shows_the_check_without_sending_it(upstream, tmp_path):
    def explained(path):
        words = ["explain", "GET", f"http://app.example{path}", "-H", f"Authorization: {ALICE['Authorization']}"]
        result = run(*words, folder=tmp_path, config=owned(upstream))
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert f"if          GET {upstream.url}/status/403 is answered 2xx for this user" in explained("/owned/403/page")
    assert "answer      404" in explained("/owned")
    assert "answer      400" in explained("/owned/a;b")
    assert upstream.seen == []
