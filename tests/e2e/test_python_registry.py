"""Plugins from a registry in a Python program, by the same code as the gateway's: Debian's registry, a tag that moves, a store that
outlives the registry, signatures, and what is refused."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from harness import python_package
from harness.certificates import Authority
from harness.gateway import run
from harness.hostile_registry import sha256
from harness.minisign import Key
from harness.registry import PASSWORD, USER, Registry

PROGRAM = """
import json, sys
from portcullis import Authenticator, Chain, Component, ConfigurationError, Engine, LoadError, Request
given = json.loads(sys.argv[1])
try:
    Engine(**given["engine"])
    component = Component(given["plugin"], **given["keys"])
    chain = Chain(Authenticator("guard", component, grants={"headers": ["authorization"]}))
    decision = chain.decide_blocking(Request("GET", "/", headers={"Authorization": "Script grant"}))
    print(json.dumps({"user": decision.user.name, "digest": component.digest}))
except (ConfigurationError, LoadError) as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    peer = Registry(tmp_path_factory.mktemp("registry"), Authority(tmp_path_factory.mktemp("authority")))
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def versions(tmp_path_factory, scripted_component):
    """Two components of the same behaviour: the second has one more custom section, which nothing reads."""
    place = tmp_path_factory.mktemp("versions")
    one, two = place / "one.wasm", place / "two.wasm"
    one.write_bytes(scripted_component.read_bytes())
    two.write_bytes(scripted_component.read_bytes() + b"\0\x05\x01xyzz")
    return one, two


def push(place, registry, file, name):
    """Pushes a component, and returns the reference that never changes."""
    done = run("plugin", "push", file, registry.reference(name), folder=place, config=registry.section())
    assert done.returncode == 0, done.stderr
    return re.search(r"^pinned by (\S+)$", done.stdout, re.M)[1]


def engine(registry, **more):
    """The keywords of an engine that knows the registry."""
    host = {"ca": str(registry.authority.ca), "username": USER, "password": f"file:{registry.secret}"}
    own = {"cache_directory": str(python_package.CACHE), "registries": {registry.host: host}}
    return own | {name: str(value) for name, value in more.items()}


def told(engine, plugin, **keys):
    """What a program prints that asks this plugin."""
    given = json.dumps({"engine": engine, "plugin": plugin, "keys": keys})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, given], env=python_package.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def digest(file):
    return sha256(file.read_bytes()).removeprefix("sha256:")


def test_a_plugin_that_was_pulled_needs_no_registry_at_the_next_start(tmp_path, versions):
    place = tmp_path / "registry"
    place.mkdir()
    own = Registry(place, Authority(tmp_path))
    try:
        pinned = push(tmp_path, own, versions[0], "team/guard")
        stored = engine(own, store_directory=tmp_path / "store")
        assert told(stored, pinned)["digest"] == digest(versions[0])
    finally:
        own.stop()
    assert told(stored, pinned)["digest"] == digest(versions[0])
    assert "127.0.0.1" in told(engine(own, store_directory=tmp_path / "empty"), pinned)["error"]


def test_a_tag_stays_what_it_was_when_it_was_first_used(tmp_path, registry, versions):
    reference, lock = registry.reference("team/moving"), tmp_path / "portcullis.lock"
    first = push(tmp_path, registry, versions[0], "team/moving")
    keeps = engine(registry, lock_file=lock, store_directory=tmp_path / "store")
    assert told(keeps, reference)["digest"] == digest(versions[0])
    [entry] = tomllib.loads(lock.read_text())["plugins"]
    assert entry == {
        "reference": reference,
        "manifest": first.rpartition("@")[2],
        "component": f"sha256:{digest(versions[0])}",
    }
    push(tmp_path, registry, versions[1], "team/moving")
    assert told(keeps, reference)["digest"] == digest(versions[0])
    assert told(keeps, reference, sha256=digest(versions[1]))["error"].startswith("LoadError: ")


def test_a_signature_in_the_registry_is_verified(tmp_path, registry, versions):
    vendor, stranger = Key(tmp_path, "vendor"), Key(tmp_path, "stranger")
    signed = tmp_path / "signed.wasm"
    signed.write_bytes(versions[0].read_bytes())
    vendor.sign(signed)
    pinned = push(tmp_path, registry, signed, "team/signed")
    knows = engine(registry, store_directory=tmp_path / "store")
    assert told(knows, pinned, trust=[f"file:{vendor.public}"])["user"] == "alice"
    error = told(knows, pinned, trust=[f"file:{stranger.public}"])["error"]
    assert "its signature in the registry" in error


@pytest.mark.parametrize(
    "change, plugin, expected",
    [
        ({}, "oci://{host}/team/refused:1.0", "LoadError: oci://{host}/team/refused:1.0: names a tag, whose meaning can change: "),
        ({}, "oci://{host}/team/nowhere@sha256:" + "0" * 64, "LoadError: oci://{host}/team/nowhere@sha256:"),
        (
            {"registries": {"registry.example": {"usrname": "robot"}}},
            "simple",
            'ConfigurationError: Engine.registries."registry.example".usrname: unknown key; did you mean "username"?',
        ),
        ({"registries": {"a/b": {}}}, "simple", 'ConfigurationError: Engine.registries."a/b": "a/b" is no registry'),
        ({"registries": [1]}, "simple", "TypeError"),
    ],
)
def test_what_is_refused_says_why(registry, change, plugin, expected):
    if expected == "TypeError":
        with pytest.raises(AssertionError, match="TypeError"):
            told(engine(registry) | change, plugin)
        return
    error = told(engine(registry) | change, plugin.format(host=registry.host))["error"]
    assert error.startswith(expected.format(host=registry.host)) and PASSWORD not in error, error
