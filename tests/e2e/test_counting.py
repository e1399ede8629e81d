"""What metrics count: decisions by their outcome and who decides, sessions, and connections."""

import secrets

import pytest

from harness.client import ALICE, basic, open_tcp
from harness.config import PEOPLE, SESSION, route
from harness.gateway import ADMIN
from harness.process import eventually

DECISIONS = {
    # What is sent, and the route, the outcome and who decides.
    "a user": ("/", ALICE, ("/", "grant", "authenticator")),
    "nobody": ("/", {}, ("/", "unauthenticated", "authenticator")),
    "nobody where that is allowed": ("/free", {}, ("/free", "anonymous", "route")),
    "anybody": ("/open", {}, ("/open", "public", "route")),
    "a user who isn't meant": ("/bobs", ALICE, ("/bobs", "forbid", "route")),
    "a user whom the upstream refuses": ("/owned/403", ALICE, ("/owned", "forbid", "upstream")),
    "a path with two readings": ("/a%2fb", ALICE, ("", "unserved", "gateway")),
}


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    config = PEOPLE + route(shared_upstream, "people") + route(shared_upstream, "people", path="/free", more="optional = true")
    config += route(shared_upstream, path="/open", more="public = true")
    config += route(shared_upstream, "people", path="/bobs", more='[routes.require]\nusers = ["bob"]')
    config += route(shared_upstream, "people", path="/owned", more='authorize_with = "GET /status/{1}"')
    return serve_module(ADMIN + SESSION + config, KEY=secrets.token_hex(32))


def decisions(gateway, route, outcome, by):
    return gateway.metric("portcullis_decisions_total", route=route, outcome=outcome, by=by) or 0


@pytest.mark.parametrize("case", DECISIONS)
def test_a_decision_counts_once_by_its_outcome_and_who_decides(gateway, case):
    path, headers, labels = DECISIONS[case]
    before = decisions(gateway, *labels)
    gateway.send(path, headers)
    assert decisions(gateway, *labels) == before + 1


def test_sessions_that_begin_and_cookies_that_are_refused_count(gateway):
    started = lambda: gateway.metric("portcullis_sessions_started_total", authenticator="people") or 0  # noqa: E731
    before, by_session = started(), decisions(gateway, "/", "grant", "session")
    [(name, value)] = gateway.send("/", basic("carol")).set_cookies().items()
    assert started() == before + 1
    assert gateway.send("/", {"Cookie": f"{name}={value}"}).status == 200
    assert (started(), decisions(gateway, "/", "grant", "session")) == (before + 1, by_session + 1)
    assert gateway.send("/", {"Cookie": f"{name}={value[:-4]}AAAA"}).status == 401
    assert gateway.metric("portcullis_session_cookies_refused_total", reason="seal") == 1


def test_connections_count_while_they_are_open(gateway):
    count = lambda: gateway.metric("portcullis_connections", listener="server")  # noqa: E731
    eventually(lambda: count() == 0, "those of before are over")
    wires = [open_tcp(gateway.addresses()[0]) for _ in range(3)]
    eventually(lambda: count() == 3, "they are open")
    for wire in wires:
        wire.close()
    eventually(lambda: count() == 0, "they are closed")
    assert gateway.metric("portcullis_max_connections", listener="server") > 0
    assert gateway.metric("portcullis_max_connections", listener="forward_auth") == 0
