"""Decisions that are reused: a request with the same values of all that a plugin read gets the same decision without a call."""

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import basic, bearer, send
from harness.config import PEOPLE, SESSION, route, tokens, whoami
from harness.gateway import ADMIN, LISTEN_ANYWHERE, run
from harness.process import eventually
from harness.upstream import values

LASTING = PEOPLE + "settings.valid_for = 3600\n"
LEEWAY = 60


def calls(gateway, name, verdict="grant"):
    return gateway.metric("portcullis_authenticator_calls_total", authenticator=name, verdict=verdict) or 0


def reused(gateway, name):
    return gateway.metric("portcullis_authenticator_reused_total", authenticator=name) or 0


@pytest.fixture
def gateway(serve, upstream, provider):
    return serve(ADMIN + tokens(provider) + route(upstream, "tokens"))


def test_a_repeated_token_is_verified_once(gateway, provider, upstream):
    token = bearer(provider.sign(provider.claims()))
    answers = [gateway.send("/", token) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert len({tuple(values(answer.json(), "x-forwarded-user")) for answer in answers}) == 1
    assert (calls(gateway, "tokens"), reused(gateway, "tokens")) == (1, 4)
    steps = [line["steps"] for line in gateway.logged(message="decision")]
    assert [" (reused, " in step for step in steps] == [False] + [True] * 4
    assert all("tokens: grant [header authorization]" in step for step in steps)


def test_a_forged_signature_is_refused_after_the_good_one(gateway, provider):
    good = provider.sign(provider.claims())
    head, _, signature = good.rpartition(".")
    other = provider.sign(provider.claims() | {"sub": "mallory"}).rpartition(".")[2]
    assert gateway.send("/", bearer(good)).status == 200
    for forged in (f"{head}.{other}", f"{head}.{signature[:-4]}AAAA", f"{head}."):
        assert gateway.send("/", bearer(forged)).status == 401, forged
    twice = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")]
    assert gateway.send("/", twice).status == 401
    assert gateway.send("/", bearer(good)).status == 200


def test_what_an_operator_revokes_is_decided_anew(serve, upstream, provider):
    """Also where there are no sessions."""
    secret = secrets.token_hex(32)
    gateway = serve(ADMIN + 'token = "env:SECRET"\n' + tokens(provider) + route(upstream, "tokens"), SECRET=secret)
    token = bearer(provider.sign(provider.claims()))
    for times, order in enumerate([None, {"user": "alice"}, {"authenticator": "tokens"}, {"all": True}], 1):
        if order:
            answer = send(gateway.admin_url, "/revocations", bearer(secret), "POST", json.dumps(order).encode())
            assert (answer.status, b"There are no sessions" in answer.body) == (200, True), answer.body
        assert [gateway.send("/", token).status for _ in range(2)] == [200, 200]
        assert calls(gateway, "tokens") == times


def test_a_token_is_refused_once_it_has_expired(gateway, provider):
    ends = int(time.time()) + 4 - LEEWAY
    token = bearer(provider.sign(provider.claims() | {"exp": ends}))
    assert gateway.send("/", token).status == 200
    eventually(lambda: gateway.send("/", token).status == 401, "the token expires")
    assert ends + LEEWAY <= time.time()


@pytest.mark.parametrize(("limits", "expected"), [('"0s"', 3), ('"1h"', 1), (None, 1)])
def test_the_operator_forbids_or_caps_it(serve, upstream, limits, expected):
    key = f"limits.reuse_decisions = {limits}\n" if limits else ""
    gateway = serve(ADMIN + LASTING + key + route(upstream, "people"))
    assert [gateway.send("/", basic("alice")).status for _ in range(3)] == [200] * 3
    assert calls(gateway, "people") == expected


def test_without_a_validity_every_request_is_a_call(serve, upstream):
    gateway = serve(ADMIN + PEOPLE + "settings.valid_for = 0\n" + route(upstream, "people"))
    assert [gateway.send("/", basic("alice")).status for _ in range(3)] == [200] * 3
    assert (calls(gateway, "people"), reused(gateway, "people")) == (3, 0)


def test_of_a_crowd_with_the_same_token_few_are_calls(gateway, provider):
    """The first of them shows what the plugin reads. Later, equal requests wait for one call."""
    first, second = (bearer(provider.sign(provider.claims() | {"jti": name})) for name in ("1", "2"))
    assert gateway.send("/", first).status == 200
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda _: gateway.send("/", second).status, range(64)))
    assert answers == [200] * 64
    assert calls(gateway, "tokens") == 2


def test_a_refusal_is_reused_for_a_second(gateway, provider):
    foreign = bearer(provider.sign(provider.claims() | {"aud": "another"}))
    answers = [gateway.send("/", foreign) for _ in range(2)]
    assert [(answer.status, answer.schemes()) for answer in answers] == [(401, ["Bearer"])] * 2

    def refused_twice():
        assert gateway.send("/", foreign).status == 401
        return calls(gateway, "tokens", "reject") > 1

    eventually(refused_twice, "the plugin is called again")
    assert reused(gateway, "tokens") > 0


def test_headers_of_a_grant_and_responses_of_a_plugin_are_not_reused(serve, upstream, scripted_component):
    config = f'[authenticators.script]\nplugin = "{scripted_component}"\n'
    gateway = serve(ADMIN + config + route(upstream, "script"))
    for script, status, verdict in [
        ("grant,x-nonce=1", 200, "grant"),
        ("respond 302,location=/login", 302, "respond"),
        ("unavailable", 503, "unavailable"),
    ]:
        for _ in range(3):
            assert gateway.send("/", {"Authorization": f"Script {script}"}).status == status
        assert calls(gateway, "script", verdict) == 3, script
    assert reused(gateway, "script") == 0


def test_two_authenticators_over_one_component_share_nothing(serve, upstream):
    strict = LASTING.replace("authenticators.people", "authenticators.strict") + 'settings.password = "secret"\n'
    gateway = serve(ADMIN + LASTING + strict + route(upstream, "people") + route(upstream, "strict", path="/strict"))
    assert gateway.send("/", basic("alice", "wrong")).status == 200
    assert gateway.send("/strict", basic("alice", "wrong")).status == 401
    assert gateway.send("/strict", basic("alice", "secret")).status == 200


def test_a_session_that_follows_is_no_longer_than_the_first_decision(serve, upstream, provider):
    gateway = serve(ADMIN + SESSION + tokens(provider) + route(upstream, "tokens"), KEY="0123456789abcdef" * 4)
    token = bearer(provider.sign(provider.claims() | {"exp": int(time.time()) + 100}))

    def session():
        cookie = gateway.send("/", token).header("set-cookie")
        return int(cookie.partition("Max-Age=")[2].partition(";")[0])

    first = session()
    eventually(lambda: session() < first, "the rest of the token's life gets shorter")
    assert calls(gateway, "tokens") == 1


@pytest.mark.parametrize(("settings", "said"), [("valid_for = 3600", "kept for 5m,"), ("valid_for = 100", "kept for 1m 40s,"), ("valid_for = 0", "")])
def test_explain_says_for_how_long_a_decision_is_kept(tmp_path, settings, said):
    config = LISTEN_ANYWHERE + PEOPLE + f"settings.{settings}\n" + whoami("people")
    header = "Authorization: " + basic("alice")["Authorization"]
    explained = run("explain", "GET", "http://app.test/", "-H", header, folder=tmp_path, config=config)
    assert explained.returncode == 0, explained.stderr
    assert [said in line for line in explained.stdout.splitlines() if "kept for" in line] == [True] * bool(said), explained.stdout
