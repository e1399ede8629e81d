"""An authenticator from outside the project: a crate against the SDK alone, dropped into the plugin directory.

`NAME.wasm` with `NAME.toml` beside it makes the authenticator `NAME` at the next start.
"""

import shutil

import pytest
from harness.config import PEOPLE, route
from harness.client import basic
from harness.upstream import values


def drop(folder, name, component, description):
    """Puts a plugin into a directory, and returns the configuration that looks there."""
    shutil.copy(component, folder / f"{name}.wasm")
    (folder / f"{name}.toml").write_text(description)
    return f'[plugins]\ndirectory = "{folder}"\n'


DESCRIPTION = """
[settings]
keys = { "k-123" = "robot" }
[grants]
headers = ["x-api-key"]
"""


@pytest.fixture
def gateway(serve, upstream, tmp_path, api_key_component):
    plugins = drop(tmp_path, "door-keys", api_key_component, DESCRIPTION)
    return serve(plugins + PEOPLE + route(upstream, "door-keys", "people"))


def test_a_dropped_plugin_is_an_authenticator(gateway):
    seen = gateway.send("/", {"X-Api-Key": "k-123"}).json()
    assert values(seen, "x-forwarded-user") == ["robot"]
    assert values(seen, "x-api-key") == [], "the credential stays at the gateway"


def test_its_refusal_ends_the_chain(gateway, upstream):
    assert gateway.send("/", basic("alice") | {"X-Api-Key": "wrong"}).status == 401
    assert upstream.seen == []


def test_the_next_one_is_asked_when_the_request_is_not_its_own(gateway):
    assert values(gateway.send("/", basic("alice")).json(), "x-forwarded-user") == ["alice"]


def test_every_authenticator_of_the_route_has_its_challenge(gateway):
    assert "Basic" in gateway.send("/").schemes()


def test_a_header_that_was_not_granted_is_not_there(serve, upstream, tmp_path, api_key_component):
    plugins = drop(tmp_path, "door-keys", api_key_component, DESCRIPTION.replace("x-api-key", "x-other"))
    gateway = serve(plugins + route(upstream, "door-keys"))
    assert gateway.send("/", {"X-Api-Key": "k-123"}).status == 401
