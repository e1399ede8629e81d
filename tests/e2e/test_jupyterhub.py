"""Authentication by a real JupyterHub: tokens of users and services, and access scopes.

The gateway asks the hub through configurable-http-proxy, as a service on another machine would.
"""

import signal

import pytest

from harness.client import basic
from harness.config import route
from harness.process import eventually
from harness.upstream import values

IDENTITY = '[routes.identity]\nadmin = "X-Forwarded-Admin"'


def config(upstream, api_url, settings='service_name = "dask-gateway"'):
    return f"""
[authenticators.hub]
plugin = "jupyterhub"
[authenticators.hub.settings]
api_url = "{api_url}"
{settings}
[authenticators.hub.grants]
http = ["{api_url.removesuffix("/hub/api")}"]
""" + route(upstream, "hub", more=IDENTITY)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, hub):
    return serve_module(config(shared_upstream, hub.public_api_url))


def token(text, scheme="jupyterhub"):
    return {"Authorization": f"{scheme} {text}"}


def user_headers(gateway, headers):
    """Name, groups and admin as the upstream saw them."""
    seen = gateway.send("/", headers).json()
    [name] = values(seen, "x-forwarded-user")
    [groups] = values(seen, "x-forwarded-groups") or [""]
    [admin] = values(seen, "x-forwarded-admin")
    return name, sorted(filter(None, groups.split(","))), admin


@pytest.mark.parametrize("scheme", ["jupyterhub", "JupyterHub", "token", "Bearer", "bearer"])
def test_a_scoped_user_comes_in_under_every_scheme(gateway, hub, scheme):
    assert user_headers(gateway, token(hub.token("alice"), scheme)) == ("alice", ["ml", "staff"], "false")


def test_an_administrator_is_marked_as_admin(gateway, hub):
    assert user_headers(gateway, token(hub.token("root-admin"))) == ("root-admin", [], "true")


def test_a_service_comes_in_under_the_name_of_its_kind(gateway, hub):
    assert user_headers(gateway, token(hub.service_tokens["etl"]))[0] == "service:etl"


def test_no_user_passes_for_a_service(gateway, hub):
    """A colon in a user's name is marked with the kind."""
    assert user_headers(gateway, token(hub.token("user:odd")))[0] == "user:user:odd"


def test_a_token_limited_to_this_service_is_enough(gateway, hub):
    limited = hub.token("alice", scopes=["access:services!service=dask-gateway"])
    assert user_headers(gateway, token(limited)) == ("alice", ["ml", "staff"], "false")


def test_a_user_without_the_scope_is_known_and_refused(gateway, hub, upstream):
    assert gateway.send("/", token(hub.token("bob"))).status == 403
    assert gateway.send("/", token(hub.service_tokens["stranger"])).status == 403
    assert upstream.seen == []


def test_a_token_limited_to_something_else_is_refused(gateway, hub):
    limited = hub.token("alice", scopes=["read:users:activity!user=alice"])
    assert gateway.send("/", token(limited)).status == 403


def test_a_revoked_token_is_refused(gateway, hub):
    text, token_id = hub.mint("carol")
    hub.revoke("carol", token_id)
    assert gateway.send("/", token(text)).status == 401


def test_an_expired_token_is_refused(gateway, hub):
    text = hub.token("carol", expires_in=1)
    eventually(lambda: hub.whoami(text)[0] == 403, "the hub calls the token expired")
    assert gateway.send("/", token(text)).status == 401


GARBAGE = ["garbage", "", " ", "a b", "a,b", "x" * 5000, "\xff\xfe", "%0d%0aX-Evil: 1"]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_a_401_with_a_challenge(gateway, text):
    answer = gateway.send("/", token(text))
    assert answer.status == 401
    assert "jupyterhub" in [scheme.lower() for scheme in answer.schemes()]


def test_credentials_of_another_kind_are_not_the_hubs(gateway):
    assert gateway.send("/", basic("alice")).status == 401


def test_the_token_stays_at_the_gateway(gateway, hub):
    text = hub.token("alice")
    assert text not in gateway.send("/", token(text)).body.decode()
    assert text not in gateway.child.output()


def test_allow_any_token_admits_every_user_of_the_hub(serve, upstream, hub):
    gateway = serve(config(upstream, hub.public_api_url, "allow_any_token = true"))
    assert user_headers(gateway, token(hub.token("bob"))) == ("bob", ["staff"], "false")


def test_a_service_of_the_hub_takes_its_settings_from_the_hubs_environment(serve, upstream, hub):
    settings = 'access_scopes = "env:JUPYTERHUB_OAUTH_ACCESS_SCOPES"'
    written = config(upstream, "HUB/hub/api", settings).replace('"HUB/hub/api"', '"env:JUPYTERHUB_API_URL"')
    gateway = serve(
        written.replace('["HUB"]', '["env:JUPYTERHUB_API_URL"]'),
        JUPYTERHUB_API_URL=hub.api_url,
        JUPYTERHUB_OAUTH_ACCESS_SCOPES='["access:services", "access:services!service=dask-gateway"]',
    )
    assert user_headers(gateway, token(hub.token("alice")))[0] == "alice"
    assert gateway.send("/", token(hub.token("bob"))).status == 403


def test_an_unreachable_hub_is_a_503(serve, upstream, unreachable):
    answer = serve(config(upstream, f"{unreachable().url}/hub/api")).send("/", token("any"))
    assert answer.status == 503
    assert upstream.seen == []


def test_a_hub_that_hangs_is_a_503_in_time(gateway, hub):
    """And a user whom the hub vouched for just now stays in."""
    known, fresh = hub.token("alice"), hub.token("carol")
    assert gateway.send("/", token(known)).status == 200
    hub.child.signal(signal.SIGSTOP)
    try:
        assert gateway.send("/", token(known)).status == 200
        assert gateway.send("/", token(fresh)).status == 503
    finally:
        hub.child.signal(signal.SIGCONT)
    assert gateway.send("/", token(fresh)).status == 200
