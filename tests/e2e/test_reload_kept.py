"""Hot reload: what didn't change lives on with everything that it has learnt, and what did change starts anew."""

import json

import pytest
from test_outbound_keys import ISSUER, Signer
from test_overload import DESCRIPTION, TRUSTING, told

from harness.client import ALICE, bearer, begin, connect
from harness.config import PEOPLE, drop, route, upstream, whoami
from harness.process import eventually, free_ports
from harness.reload import reload, start
from harness.scripted import answers
from harness.upstream import values

MORE = whoami(path="/more")
"""A change that has nothing to do with the rest of a configuration."""


def named(name):
    return answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))


@pytest.mark.parametrize("kind", ["named", "inline"])
def test_connections_to_an_upstream_stay_until_it_changes(serve, scripted_upstream, kind):
    server = scripted_upstream(answers())
    config = upstream(server) if kind == "named" else PEOPLE + route(server, "people")
    gateway = start(serve, config)
    for _ in range(3):
        assert gateway.send("/", ALICE).status == 200
    assert reload(gateway, config + MORE) == ["+route /more"]
    for _ in range(3):
        assert gateway.send("/", ALICE).status == 200
    assert len(server.connections) == 1
    if kind == "named":
        assert reload(gateway, upstream(server, more="max_fails = 7\n")) == ["-route /more", "~upstream app: max_fails"]
        for _ in range(3):
            assert gateway.send("/", ALICE).status == 200
        assert len(server.connections) == 2


def test_the_health_of_servers_is_known_until_their_upstream_changes(serve, scripted_upstream):
    [port] = free_ports(1)
    mortal, other = scripted_upstream(named(b"a"), address=("127.0.0.1", port)), scripted_upstream(named(b"b"))
    config = upstream(mortal, other, more='max_fails = 1\nfail_timeout = "1h"\n')
    gateway = start(serve, config)
    mortal.stop()

    def ejections():
        return len(gateway.logged(message="a server fails and gets no requests for a while"))

    assert {gateway.send("/", ALICE).body for _ in range(4)} == {b"b"}
    assert ejections() == 1
    scripted_upstream(named(b"a"), address=("127.0.0.1", port))
    assert reload(gateway, config + MORE) == ["+route /more"]
    assert gateway.metric("portcullis_upstream_healthy", upstream="app", server=mortal.address) == 0
    assert {gateway.send("/", ALICE).body for _ in range(4)} == {b"b"}
    assert reload(gateway, config.replace("1h", "30m") + MORE) == ["~upstream app: fail_timeout"]
    assert {gateway.send("/", ALICE).body for _ in range(4)} == {b"a", b"b"}
    assert gateway.metric("portcullis_upstream_healthy", upstream="app", server=mortal.address) == 1


def test_a_rate_goes_on_until_its_authenticator_changes(serve):
    people = PEOPLE + 'limits.rate = "2/h"\n'
    gateway = start(serve, people + whoami("people"))
    assert [gateway.send("/", ALICE).status for _ in range(2)] == [200, 200]
    assert reload(gateway, people + whoami("people") + MORE) == ["+route /more"]
    assert gateway.send("/", ALICE).status == 429
    changed = people.replace("2/h", "1/h") + whoami("people") + MORE
    assert reload(gateway, changed) == ["~authenticator people: limits.rate"]
    assert [gateway.send("/", ALICE).status for _ in range(2)] == [200, 429]


def test_an_open_breaker_stays_open_until_its_authenticator_changes(serve, upstream, tmp_path, hostile_component):
    config = drop(tmp_path, "hostile", hostile_component, DESCRIPTION) + route(upstream, "hostile")
    gateway = start(serve, config, server=TRUSTING)
    fine, opened = told("nothing bad", client="192.0.2.9"), {"authenticator": "hostile"}

    def break_it(*clients):
        for client in clients:
            for _ in range(5):
                gateway.send("/", told("panic", client))
        return gateway.metric("portcullis_authenticator_breaker_open", **opened)

    assert break_it("192.0.2.1", "192.0.2.2", "2001:db8::1") == 1
    assert reload(gateway, config + MORE, server=TRUSTING) == ["+route /more"]
    assert gateway.metric("portcullis_authenticator_breaker_open", **opened) == 1
    eventually(lambda: gateway.send("/", fine).status == 200, "a good try")
    eventually(lambda: len(gateway.logged(message="breaker closed for all clients")) == 1, "by the good try")

    assert break_it("192.0.2.3", "192.0.2.4", "2001:db8:1::1") == 1
    (tmp_path / "hostile.toml").write_text(DESCRIPTION + 'rate = "1000/s"\n')
    assert reload(gateway) == ["~plugin hostile: limits.rate"]
    assert gateway.metric("portcullis_authenticator_breaker_open", **opened) == 0
    assert gateway.send("/", fine).status == 200, "at once"


def test_decisions_are_reused_until_their_authenticator_changes(serve, upstream):
    people = PEOPLE + "settings.valid_for = 3600\n"
    gateway = start(serve, people + route(upstream, "people"))

    def calls():
        assert gateway.send("/", ALICE).status == 200
        return gateway.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="grant")

    assert [calls(), calls()] == [1, 1]
    assert reload(gateway, people + route(upstream, "people") + MORE) == ["+route /more"]
    assert calls() == 1
    changed = people.replace("3600", "3000")
    assert reload(gateway, changed + route(upstream, "people") + MORE) == ["~authenticator people: settings.valid_for"]
    assert [calls(), calls()] == [2, 2]


def test_keys_are_fetched_again_only_if_their_authenticator_changes(serve, upstream, fetch_servers):
    provider, signer = fetch_servers(), Signer("one")
    keys = f"{provider.url}/keys?Cache-Control=max-age%3D3600"
    provider.answers["/keys"] = json.dumps({"keys": [signer.jwk]}).encode()
    config = f"""
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "{ISSUER}", audiences = ["gateway"], jwks_url = "{keys}" }}]
[authenticators.tokens.grants]
http = ["{provider.url}"]
""" + route(upstream, "tokens")
    gateway = start(serve, config)
    assert gateway.send("/", bearer(signer.token())).status == 200
    assert len(provider.seen) == 1
    assert reload(gateway, config + MORE) == ["+route /more"]
    assert gateway.send("/", bearer(signer.token())).status == 200
    assert len(provider.seen) == 1
    changed = config.replace('["gateway"]', '["gateway", "b"]') + MORE
    assert reload(gateway, changed) == ["~authenticator tokens: settings.issuers"]
    assert gateway.send("/", bearer(signer.token())).status == 200
    assert len(provider.seen) == 2


def test_answers_about_a_user_are_forgotten_with_their_upstream(serve, scripted_upstream):
    """The first upstream lets alice in, and the second doesn't."""
    generous = scripted_upstream(answers())
    strict = scripted_upstream(answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    asks = 'authorize_with = "GET /ask/{1}"\nauthorize_cache = "1m"\n'
    gateway = start(serve, PEOPLE + route(generous, "people", path="/owned", more=asks))
    assert gateway.send("/owned/1", ALICE).status == 200
    assert reload(gateway, PEOPLE + route(strict, "people", path="/owned", more=asks)) == ["~route /owned: upstream"]
    assert gateway.send("/owned/1", ALICE).status == 403
    assert len(strict.connections) == 1


# Sessions

KEYS = '[session]\nkeys = ["env:{}"]\n'
RING = '[session]\nkeys = ["env:NEW", "env:OLD"]\n'
CONTINUE = KEYS.format("OLD") + 'after_change = "continue"\n'
CHANGED = PEOPLE + "settings.valid_for = 1000\n"
OLD = KEYS.format("OLD")

SESSIONS = {
    # The sections before and after, the authenticator after, and what a session of before is worth.
    "nothing else changes": (OLD, OLD, PEOPLE, 200),
    "its authenticator changes": (OLD, OLD, CHANGED, 401),
    "its authenticator changes, and it may continue": (CONTINUE, CONTINUE, CHANGED, 200),
    "a limit of its authenticator changes": (OLD, OLD, PEOPLE + 'limits.rate = "1000/s"\n', 200),
    "the key changes": (OLD, KEYS.format("NEW"), PEOPLE, 401),
    "a key is added": (OLD, RING, PEOPLE, 200),
    "the age of new sessions changes": (OLD, OLD + 'max_age = "3h"\n', PEOPLE, 200),
    "sessions are given up": (OLD, "", PEOPLE, 401),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_is_worth_what_the_configuration_says(serve, upstream, name):
    before, after, people, expected = SESSIONS[name]
    gateway = start(serve, before + PEOPLE + route(upstream, "people"), OLD="0001" * 16, NEW="0002" * 16)
    [(cookie, value)] = gateway.send("/", ALICE).set_cookies().items()
    session = {"Cookie": f"{cookie}={value}"}
    assert values(gateway.send("/", session).json(), "x-forwarded-user") == ["alice"]
    assert reload(gateway, after + people + route(upstream, "people") + MORE) != []
    assert gateway.send("/", session).status == expected


# Routes


def test_a_route_that_is_closed_refuses_on_open_connections(serve, upstream):
    gateway = start(serve, PEOPLE + route(upstream, path="/", more="public = true"))
    connection = connect(gateway.url)
    wires = []

    def status(headers=()):
        begin(connection, "GET", "/", headers)
        response = connection.getresponse()
        response.read()
        wires.append(connection.sock)
        return response.status

    assert status() == 200
    assert reload(gateway, PEOPLE + route(upstream, "people")) == ["~route /: authenticators, public"]
    assert [status(), status(ALICE)] == [401, 200]
    assert len(set(wires)) == 1, "over one connection"
