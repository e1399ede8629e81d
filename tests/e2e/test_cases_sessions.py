"""Cases 18 to 20, 29, 32 and 43 of docs/security-cases.md: what outlives a request is for whom it was made, or nothing."""

import secrets

import pytest

from harness.client import ALICE, basic, bearer
from harness.config import PEOPLE, SESSION, protected, route
from harness.upstream import values


@pytest.fixture(scope="module")
def key():
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, key):
    return serve_module(SESSION + protected(shared_upstream), KEY=key)


def log_in(gateway, headers=ALICE, target="/"):
    [(name, value)] = gateway.send(target, headers).set_cookies().items()
    return name, value


def two_audiences(provider):
    """Two authenticators for tokens of one provider, each for an audience of its own."""
    config = ""
    for name in ("first", "second"):
        config += f"""
[authenticators.{name}]
plugin = "jwt"
[authenticators.{name}.settings]
issuers = [{{ issuer = "{provider.issuer}", audiences = ["https://{name}.test"], discovery = true }}]
[authenticators.{name}.grants]
http = ["{provider.issuer}"]
"""
    return config


def test_case_18_a_decision_of_one_route_is_none_of_another(serve, upstream, provider, key):
    """Neither what was decided before nor the session that it left leads past the other route's authenticator."""
    routes = route(upstream, "first", path="/first") + route(upstream, "second", path="/second")
    gateway = serve(SESSION + two_audiences(provider) + routes, KEY=key)
    token = bearer(provider.sign(provider.claims(aud="https://first.test")))
    for _ in range(3):
        assert gateway.send("/first", token).status == 200
        assert gateway.send("/second", token).status == 401
    name, value = log_in(gateway, token, "/first")
    assert gateway.send("/first", {"Cookie": f"{name}={value}"}).status == 200
    assert gateway.send("/second", {"Cookie": f"{name}={value}"}).status == 401


def test_case_18_a_header_that_the_plugin_asks_for_counts_each_time(gateway):
    for name in ("alice", "bob", "alice"):
        assert values(gateway.send("/", basic(name)).json(), "x-forwarded-user") == [name]
    assert gateway.send("/").status == 401


def test_case_19_a_session_is_bound_to_its_cookie_and_its_authenticator(serve, upstream, gateway, key):
    """The same key, and another cookie's name or other settings of the authenticator."""
    _, value = log_in(gateway)
    renamed = serve(SESSION + 'cookie = "other"\n' + protected(upstream), KEY=key)
    own_name, own_value = log_in(renamed)
    assert renamed.send("/", {"Cookie": f"{own_name}={own_value}"}).status == 200
    assert renamed.send("/", {"Cookie": f"{own_name}={value}"}).status == 401
    strict = PEOPLE + '[authenticators.people.settings]\npassword = "env:WORD"\n' + route(upstream, "people")
    strict = serve(SESSION + strict, KEY=key, WORD="a password that alice does not know")
    name, value = log_in(gateway)
    assert strict.send("/", {"Cookie": f"{name}={value}"}).status == 401


def malformed(name, value):
    """Cookie fields around a good session that say something else than the session."""
    return {
        "an empty field": [""],
        "semicolons": [";;;; ; ;"],
        "a name alone": [name],
        "an empty value": [f"{name}="],
        "a quoted value": [f'{name}="{value}"'],
        "a value with a space": [f"{name}={value[:20]} {value[20:]}"],
        "a value that is encoded": [f"{name}=%{ord(value[0]):02x}{value[1:]}"],
        "padding": [f"{name}={value}="],
        "twice": [f"{name}={value}; {name}={value}"],
        "in two fields": [f"{name}={value}", f"{name}={value}"],
        "first empty": [f"{name}=; {name}={value}"],
        "a comma": [f"a=1, {name}={value}"],
        "another case": [f"{name.upper()}={value}"],
        "a prefix": [f"__Host-{name}={value}"],
        "attributes": [f"$Version=1; x{name}={value}; $Path=/"],
        "no text": [b"\xff\xfe=" + value.encode(), b"\x80"],
        "no text in the value": [f"{name}=".encode() + b"\xff" + value.encode()],
        "eight kilobytes": [f"{name}={'A' * 9000}"],
        "twenty kilobytes": [f"{name}={'A' * 20000}"],
        "a thousand": ["; ".join(f"{name}={number}" for number in range(1000))],
        "a good one after a thousand others": ["; ".join(["a=1"] * 1000), f"x{name}={value}"],
    }


CASES = list(malformed("name", "value" * 9))


@pytest.mark.parametrize("case", CASES)
def test_case_20_a_malformed_cookie_is_no_session(gateway, upstream, case):
    name, value = log_in(gateway)
    upstream.forget()
    fields = malformed(name, value)[case]
    answer = gateway.send("/", [("Cookie", field) for field in fields])
    assert answer.status == 401
    assert answer.all("set-cookie") == []
    assert upstream.seen == []
    assert gateway.send("/", {"Cookie": f"{name}={value}"}).status == 200


def test_case_29_a_session_has_no_chunks(gateway, upstream):
    """Other programs cut a session over several cookies and believe their number."""
    name, value = log_in(gateway)
    upstream.forget()
    half = len(value) // 2
    for cookie in [
        f"{name}.chunks=99999999",
        f"{name}_chunks=2; {name}_0={value[:half]}; {name}_1={value[half:]}",
        f"{name}0={value[:half]}; {name}1={value[half:]}",
        f"{name}-1={value}",
        f"{name}={value[:half]}; {name}_1={value[half:]}",
        f"{name}.chunks=-1; {name}={value[:half]}",
    ]:
        assert gateway.send("/", {"Cookie": cookie}).status == 401, cookie
    assert upstream.seen == []


def test_case_32_a_login_replaces_the_session_that_was_planted(gateway):
    """Planting a session in another browser gains nothing: every login seals a new one."""
    name, mallorys = log_in(gateway, basic("mallory"))
    planted = {"Cookie": f"{name}={mallorys}"}
    answer = gateway.send("/", ALICE | planted)
    assert values(answer.json(), "x-forwarded-user") == ["alice"]
    alices = answer.set_cookies()[name]
    assert alices != mallorys
    assert values(gateway.send("/", {"Cookie": f"{name}={alices}"}).json(), "x-forwarded-user") == ["alice"]
    assert values(gateway.send("/", planted).json(), "x-forwarded-user") == ["mallory"]


@pytest.mark.parametrize("cookie", ["", "{name}=x", "{name}={value}x"])
def test_case_43_an_upgrade_is_asked_for_credentials_as_any_request(gateway, upstream, cookie):
    name, value = log_in(gateway)
    upstream.forget()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Cookie": cookie.format(name=name, value=value),
    }
    assert gateway.send("/websocket", headers).status == 401
    assert upstream.seen == []
