"""Session cookies: a login is kept in a sealed cookie, and credentials take precedence over it.

Any number of gateways share a session by sharing a key; a ring of keys rotates without ending sessions.
"""

import base64
import secrets

import pytest

from harness.client import ALICE, basic
from harness.config import SESSION, protected
from harness.gateway import run
from harness.process import eventually
from harness.upstream import values


def session(*keys, more=""):
    return f"[session]\nkeys = {list(keys)}\n{more}\n"


@pytest.fixture(scope="module")
def key():
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, key):
    return serve_module(session("env:OURS") + protected(shared_upstream), OURS=key)


def log_in(gateway, headers=ALICE):
    """The cookie header that a login leaves a browser with."""
    [(name, value)] = gateway.send("/", headers).set_cookies().items()
    return {"Cookie": f"{name}={value}"}


def user(gateway, headers):
    return values(gateway.send("/", headers).json(), "x-forwarded-user")


def test_a_login_starts_a_session(gateway):
    assert user(gateway, log_in(gateway)) == ["alice"]


def test_the_cookie_is_for_this_host_and_no_script(gateway):
    [cookie] = gateway.send("/", ALICE).all("set-cookie")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"path=/", "httponly", "samesite=lax"} <= attributes
    assert not any(part.startswith("domain") for part in attributes)


def test_the_cookie_tells_nothing(gateway):
    value = log_in(gateway)["Cookie"].split("=", 1)[1]
    assert b"alice" not in base64.urlsafe_b64decode(value.replace(".", "") + "==")
    assert log_in(gateway) != log_in(gateway)


def test_the_cookie_stays_at_the_gateway(gateway):
    seen = gateway.send("/", {"Cookie": log_in(gateway)["Cookie"] + "; theirs=1"}).json()
    assert values(seen, "cookie") == ["theirs=1"]


def test_a_session_is_not_sealed_anew_with_every_request(gateway):
    assert gateway.send("/", log_in(gateway)).all("set-cookie") == []


def test_credentials_count_more_than_a_session(gateway):
    alices = log_in(gateway)
    assert user(gateway, alices | basic("bob")) == ["bob"]
    assert gateway.send("/", alices | {"Authorization": "Basic !!!"}).status == 401


def test_a_refusal_leaves_no_session(gateway):
    assert gateway.send("/", {"Authorization": "Basic !!!"}).all("set-cookie") == []
    assert gateway.send("/").all("set-cookie") == []


def flipped(value, at):
    return value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]


def test_a_changed_cookie_is_no_session(gateway, upstream):
    name, value = log_in(gateway)["Cookie"].split("=", 1)
    upstream.forget()
    changed = [flipped(value, at) for at in range(0, len(value), 7)]
    changed += ["", "x", value[:20], value[:-4], value + "AAAA", value * 2, value.lower(), "\xff", "x" * 6000]
    for text in changed:
        assert gateway.send("/", {"Cookie": f"{name}={text}"}).status == 401, text
    assert upstream.seen == []


def test_two_session_cookies_are_refused(gateway):
    """An attacker could have set one of them."""
    alice, bob = log_in(gateway)["Cookie"], log_in(gateway, basic("bob"))["Cookie"]
    assert gateway.send("/", {"Cookie": f"{alice}; {bob}"}).status == 401


def test_a_session_holds_at_every_gateway_with_the_key_and_at_no_other(serve, upstream, gateway, key):
    cookie = log_in(gateway)
    rotated = serve(session("env:NEW", "env:OURS") + protected(upstream), NEW=secrets.token_hex(32), OURS=key)
    stranger = serve(session("env:NEW") + protected(upstream), NEW=secrets.token_hex(32))
    assert user(rotated, cookie) == ["alice"]
    assert stranger.send("/", cookie).status == 401
    assert gateway.send("/", log_in(rotated)).status == 401, "the first key of the ring seals"


def test_a_session_ends_in_time(serve, upstream, key):
    gateway = serve(session("env:OURS", more='max_age = "3s"') + protected(upstream), OURS=key)
    cookie = log_in(gateway)
    assert user(gateway, cookie) == ["alice"]
    eventually(lambda: gateway.send("/", cookie).status == 401, "the session is over", seconds=10)


def test_logging_out_takes_the_cookie_back(gateway):
    answer = gateway.send("/.portcullis/logout", log_in(gateway), method="POST")
    assert answer.status in (200, 204, 303)
    [cookie] = answer.all("set-cookie")
    assert "max-age=0" in cookie.lower()
    assert answer.set_cookies().popitem()[1] == ""


@pytest.mark.parametrize("variable", ["PORTCULLIS_COOKIE_SECRET", "DASK_GATEWAY_COOKIE_SECRET"])
def test_the_environment_gives_the_key(serve, upstream, gateway, key, variable):
    """The second is what dask-gateway called it."""
    other = serve(protected(upstream), **{variable: key})
    assert user(other, log_in(gateway)) == ["alice"]


def test_no_session_without_a_key(serve, upstream):
    assert serve(protected(upstream)).send("/", ALICE).all("set-cookie") == []


# Cookies for subdomains and frames (row C5 of the field reports)


@pytest.mark.parametrize(
    ("lines", "name", "attributes"),
    [
        ("", "__Host-portcullis", {"SameSite=Lax"}),
        ('domain = "example.org"', "__Secure-portcullis", {"Domain=example.org", "SameSite=Lax"}),
        ('domain = ".Example.org"\nsame_site = "strict"', "__Secure-portcullis", {"Domain=example.org", "SameSite=Strict"}),
        ('same_site = "none"\npartitioned = true', "__Host-portcullis", {"SameSite=None", "Partitioned"}),
    ],
)
def test_the_cookies_attributes_are_configured(serve, upstream, lines, name, attributes):
    gateway = serve(SESSION + f"secure = true\n{lines}\n" + protected(upstream), KEY="00112233" * 8)
    [cookie] = gateway.send("/", ALICE).all("set-cookie")
    own, *found = cookie.split("; ")
    assert own.split("=")[0] == name
    found = {attribute for attribute in found if not attribute.startswith("Max-Age=")}
    assert found == attributes | {"HttpOnly", "Secure", "Path=/"}
    assert gateway.send("/", {"Cookie": own}).status == 200
    upstream.forget()
    gateway.send("/", {"Cookie": f"{own}; a=b"})
    assert values(upstream.seen[0], "cookie") == ["a=b"], "the upstream never gets it"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('same_site = "none"\nsecure = false', "contradict each other"),
        ("partitioned = true\nsecure = false", "contradict each other"),
        ('same_site = "none"', "need a secure cookie"),
        ('same_site = "lazy"', 'is not "lax", "strict" or "none"'),
        ('domain = "localhost"', "is not a domain with a dot"),
        ('domain = "10.0.0.1"', "is not a domain with a dot"),
        ('domain = "*.example.org"', "is not a domain with a dot"),
        ("domain = true", "session.domain"),
    ],
)
def test_mistakes_in_the_cookies_attributes_are_reported(tmp_path, upstream, lines, why):
    done = run("check", folder=tmp_path, config=SESSION + f"{lines}\n" + protected(upstream), KEY="00112233" * 8)
    assert done.returncode == 1
    assert why in done.stderr
