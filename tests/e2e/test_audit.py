"""What an operator finds out about one request (row E1 of the field reports): its id, who sent it or claims to have, and why
its session wasn't accepted.
"""

import re

import pytest

from harness import http2
from harness.check import check
from harness.client import ALICE, basic
from harness.config import PEOPLE, SESSION, drop, protected, route
from harness.fronts import subrequest
from harness.gateway import run
from harness.process import eventually
from harness.upstream import values

KEY, OTHER = "00112233" * 8, "44556677" * 8
PROXIES = 'trusted_proxies = ["127.0.0.1"]\n'
PASSWORD = """
[authenticators.people]
plugin = "simple"
settings.password = "env:PASSWORD"
"""


def decision(gateway, request_id):
    [line] = gateway.logged(message="decision", request_id=request_id)
    return line


def test_every_request_has_an_id_for_client_upstream_and_log(serve, upstream):
    gateway = serve(protected(upstream))
    ids = set()
    for headers, status in [(ALICE, 200), ({}, 401), (ALICE | {"X-Request-Id": "stranger"}, 200)]:
        answer = gateway.send("/", headers)
        assert answer.status == status
        request_id = answer.header("x-request-id")
        assert re.fullmatch("[0-9a-f]{32}", request_id)
        assert decision(gateway, request_id)["path"] == "/"
        if status == 200:
            assert values(upstream.seen[-1], "x-request-id") == [request_id]
        ids.add(request_id)
    assert len(ids) == 3
    port = int(gateway.url.rsplit(":", 1)[1])
    assert len(http2.send(port, "/").header("x-request-id")) == 32


@pytest.mark.parametrize("path", ["/a//b", "/nowhere", "/.portcullis/logout"])
def test_the_gateways_own_answers_have_an_id(serve, upstream, path):
    gateway = serve(PEOPLE + route(upstream, "people", path="/somewhere"))
    assert len(gateway.send(path).header("x-request-id")) == 32


def test_the_id_of_a_trusted_proxy_is_kept(serve, upstream):
    gateway = serve(protected(upstream), server=PROXIES)
    for given, kept in [("edge-1:2/3", True), ("a b", False), ("x" * 129, False)]:
        answer = gateway.send("/", ALICE | {"X-Request-Id": given})
        assert (answer.header("x-request-id") == given) == kept
        assert values(upstream.seen[-1], "x-request-id") == [answer.header("x-request-id")]


def test_the_id_of_a_front_is_in_the_log(serve, upstream):
    config = '[forward_auth]\n[ext_authz]\nlisten = "127.0.0.1:0"\n' + protected(upstream)
    gateway = serve(config, server=PROXIES)
    answer = gateway.send("/.portcullis/auth/traefik", subrequest("/a") | {"X-Request-Id": "front-1"})
    assert (answer.status, answer.header("x-request-id")) == (401, "front-1")
    assert decision(gateway, "front-1")["status"] == 401
    [line] = gateway.logged(message="listening for ext_authz")
    assert check(line["address"], "/a", [("x-request-id", "front-2")]) == 401
    assert decision(gateway, "front-2")["path"] == "/a"


def test_an_upstream_that_is_gone_is_logged_with_the_id(serve, unreachable):
    gateway = serve(protected(unreachable()))
    answer = gateway.send("/", ALICE)
    assert answer.status == 502
    [line] = gateway.logged(message="the upstream gave no response")
    assert line["request_id"] == answer.header("x-request-id")


def test_a_refusal_names_whom_the_credentials_name(serve, upstream):
    gateway = serve(PASSWORD + route(upstream, "people"), PASSWORD="open sesame")
    for headers, claimed in [
        (basic("alice", "guess-0815"), "alice"),
        (basic("sk_live_0123456789"), None),
        ({"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."}, None),
        ({}, None),
    ]:
        answer = gateway.send("/", headers)
        assert answer.status == 401
        line = decision(gateway, answer.header("x-request-id"))
        assert line.get("claimed_user") == claimed
        assert "user" not in line
    granted = gateway.send("/", basic("alice", "open sesame"))
    line = decision(gateway, granted.header("x-request-id"))
    assert (line["user"], line.get("claimed_user")) == ("alice", None)
    for secret in ["guess-0815", "sk_live", "eyJ"]:
        assert secret not in gateway.child.output()


def sealed(serve, upstream, key=KEY, more=""):
    gateway = serve(SESSION + more + PEOPLE + route(upstream, "people"), KEY=key)
    return gateway, f"portcullis={gateway.send('/', ALICE).set_cookies()['portcullis']}"


def test_the_log_says_why_a_session_was_not_accepted(serve, upstream):
    gateway, good = sealed(serve, upstream)
    _, foreign = sealed(serve, upstream, key=OTHER)
    for cookie, why in [
        (good, None),
        ("a=b", None),
        (foreign, "it wasn't sealed with one of the keys, or was changed"),
        (good[:-4], "it wasn't sealed with one of the keys, or was changed"),
        (f"{good}; {good}", "there are several session cookies"),
    ]:
        answer = gateway.send("/", {"Cookie": cookie})
        line = decision(gateway, answer.header("x-request-id"))
        assert line.get("session_refused") == why, cookie
        assert good.split("=")[1] not in gateway.child.output()


def test_the_log_says_that_a_session_has_expired(serve, upstream):
    gateway, cookie = sealed(serve, upstream, more='max_age = "1s"\n')
    headers = {"Cookie": cookie}
    while (answer := gateway.send("/", headers)).status == 200:
        pass
    assert decision(gateway, answer.header("x-request-id"))["session_refused"] == "it has expired"


def test_a_session_of_another_authenticator_is_explained(serve, upstream, tmp_path):
    config = SESSION + PEOPLE + PEOPLE.replace("people", "others") + route(upstream, "people")
    config += route(upstream, "others", path="/others")
    gateway = serve(config, KEY=KEY)
    cookie = f"portcullis={gateway.send('/', ALICE).set_cookies()['portcullis']}"
    answer = gateway.send("/others", {"Cookie": cookie})
    why = "its authenticator isn't on this route, is disabled, or has changed since"
    assert decision(gateway, answer.header("x-request-id"))["session_refused"] == why
    words = ["GET", "http://x/others", "-H", f"Cookie: {cookie}"]
    done = run("explain", *words, folder=tmp_path, config=config, KEY=KEY)
    assert f"session     is not accepted: {why}" in done.stdout


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("", ["a fact", "a worry"]),
        ('log = "trace"', ["a detail", "a fact", "a worry"]),
        ('log = "debug"', ["a detail", "a fact", "a worry"]),
        ('log = "info"', ["a fact", "a worry"]),
        ('log = "warn"', ["a worry"]),
        ('log = "error"', []),
    ],
)
def test_a_plugins_lines_name_their_request_and_have_a_level_of_their_own(
    serve, upstream, tmp_path, hostile_component, level, expected
):
    """Row H20 of the field reports."""
    plugins = drop(tmp_path, "hostile", hostile_component, level + '\n[grants]\nheaders = ["x-do"]\n')
    gateway = serve(plugins + route(upstream, "hostile"))
    answer = gateway.send("/", {"X-Do": "whisper"})
    assert answer.status == 200
    eventually(lambda: gateway.logged(message="decision"), "the request is logged")
    lines = gateway.logged(target="portcullis::plugin")
    assert [line["message"] for line in lines] == expected
    for line in lines:
        assert (line["request_id"], line["authenticator"]) == (answer.header("x-request-id"), "hostile")
        assert line.get("plugin_level") == ("DEBUG" if line["message"] == "a detail" else None)


def test_a_level_that_there_is_not_is_an_error(tmp_path, upstream):
    config = protected(upstream).replace('"simple"', '"simple"\nlog = "loud"')
    checked = run("check", folder=tmp_path, config=config)
    assert checked.returncode == 1
    assert 'is not a level: "error", "warn", "info", "debug" or "trace"' in checked.stderr
