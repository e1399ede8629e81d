"""An authenticator from outside the project: a crate against the SDK alone, dropped into the plugin directory.

`NAME.wasm` with `NAME.toml` beside it makes the authenticator `NAME`.
"""

import pytest

from harness.client import basic
from harness.config import PEOPLE, drop, route, whoami
from harness.gateway import run
from harness.upstream import values

DESCRIPTION = """
[settings]
key = "env:DOOR_KEY"
[grants]
headers = ["x-api-key"]
"""


@pytest.fixture
def gateway(serve, upstream, tmp_path, api_key_component):
    plugins = drop(tmp_path, "door-key", api_key_component, DESCRIPTION)
    return serve(plugins + PEOPLE + route(upstream, "door-key", "people"), DOOR_KEY="open sesame")


def test_a_dropped_plugin_is_an_authenticator(gateway):
    seen = gateway.send("/", {"X-Api-Key": "open sesame"}).json()
    assert values(seen, "x-forwarded-user") == ["api"]
    assert values(seen, "x-api-key") == [], "the credential stays at the gateway"


def test_its_refusal_ends_the_chain(gateway, upstream):
    assert gateway.send("/", basic("alice") | {"X-Api-Key": "wrong"}).status == 401
    assert upstream.seen == []


def test_the_next_one_is_asked_when_the_request_is_not_its_own(gateway):
    assert values(gateway.send("/", basic("alice")).json(), "x-forwarded-user") == ["alice"]


def test_every_authenticator_of_the_route_has_its_challenge(gateway):
    assert "Basic" in gateway.send("/").schemes()


def test_a_header_that_was_not_granted_is_not_there(serve, upstream, tmp_path, api_key_component):
    plugins = drop(tmp_path, "door-key", api_key_component, DESCRIPTION.replace("x-api-key", "x-other"))
    gateway = serve(plugins + route(upstream, "door-key"), DOOR_KEY="open sesame")
    assert gateway.send("/", {"X-Api-Key": "open sesame"}).status == 401


def test_without_a_description_the_error_says_how_to_start_one(tmp_path, api_key_component):
    """Row D9 of the field reports: the plugin needs settings, and no file has them."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    plugins = drop(folder, "door-key", api_key_component)
    component = folder / "door-key.wasm"
    found = run("check", folder=tmp_path, config=plugins + whoami("door-key"))
    assert found.returncode == 1
    assert found.stderr == (
        f'{component}: the key "key" is missing: settings are in {component.with_suffix(".toml")}, which doesn\'t exist. '
        f"`portcullis plugin inspect {component}` prints one to start from\n"
    )
