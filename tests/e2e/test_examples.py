"""The examples do what their pages say: they are built from their folders and used with the configuration there."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import build
from harness.client import ALICE, basic, bearer
from harness.config import PEOPLE, drop, route
from harness.gateway import LISTEN_ANYWHERE, run
from harness.paths import ROOT
from harness.upstream import values


def settings_of(example):
    """The configuration that the example's page tells to put beside the plugin."""
    page = (ROOT / "examples" / example / "README.md").read_text()
    block = re.search(r"(?m)^    \[settings\]\n(?:(?:    .*)?\n)+", page).group()
    return re.sub(r"(?m)^    ", "", block)


def test_htpasswd(serve, upstream, tmp_path):
    people = tmp_path / "users.htpasswd"
    subprocess.run(["htpasswd", "-B", "-b", "-c", people, "alice", "wonderland"], check=True, capture_output=True)
    plugins = drop(tmp_path, "htpasswd", build.example_component("htpasswd"), settings_of("htpasswd"))
    gateway = serve(plugins + route(upstream, "htpasswd"))
    for credentials, status in [
        (basic("alice", "wonderland"), 200),
        (basic("alice", "builder"), 401),
        (basic("bob", "wonderland"), 401),
        ({}, 401),
    ]:
        assert gateway.send("/", credentials).status == status, credentials
    assert [values(request, "x-forwarded-user") for request in upstream.seen] == [["alice"]]


def test_guesses_of_passwords_delay_nobody_else(serve, upstream, tmp_path):
    """The hash costs half a second of a processor, of which there are two: the guesses may use one."""
    people = tmp_path / "users.htpasswd"
    subprocess.run(["htpasswd", "-B", "-C", "13", "-b", "-c", people, "alice", "wonderland"], check=True, capture_output=True)
    beside = settings_of("htpasswd") + '[limits]\ndeadline = "1m"\n'
    plugins = drop(tmp_path, "htpasswd", build.example_component("htpasswd"), beside)
    gateway = serve(plugins + PEOPLE + route(upstream, "htpasswd", path="/hashed") + route(upstream, "people"))
    with ThreadPoolExecutor(6) as pool:
        guesses = [pool.submit(gateway.send, "/hashed", basic("alice", f"guess-{n}")) for n in range(6)]
        served = 0
        while not all(guess.done() for guess in guesses):
            assert gateway.send("/", ALICE).status == 200
            served += 1
        assert [guess.result().status for guess in guesses] == [401] * 6
    assert served > 6, "others are served between two guesses"
    assert gateway.send("/hashed", basic("alice", "wonderland")).status == 200


def test_a_hash_that_costs_too_much_is_not_computed(serve, upstream, tmp_path):
    people = tmp_path / "users.htpasswd"
    people.write_text("alice:$2y$31$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie")
    plugins = drop(tmp_path, "htpasswd", build.example_component("htpasswd"), settings_of("htpasswd"))
    gateway = serve(plugins + route(upstream, "htpasswd"))
    assert gateway.send("/", basic("alice", "wonderland")).status == 503
    [line] = gateway.logged(message="decision")
    assert "the cost of the hash is 31, and at most 15 is accepted" in line["steps"]


def test_htpasswd_of_a_weak_format(upstream, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    people = folder / "users.htpasswd"
    subprocess.run(["htpasswd", "-s", "-b", "-c", people, "alice", "wonderland"], check=True, capture_output=True)
    plugins = drop(folder, "htpasswd", build.example_component("htpasswd"), settings_of("htpasswd"))
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + plugins + route(upstream, "htpasswd"))
    assert checked.returncode != 0
    mistake = "settings.users: line 1 has no bcrypt hash; write it with htpasswd -B"
    assert checked.stderr == f"{folder}/htpasswd.toml:2: {mistake}\n"


def test_introspection(serve, upstream, tmp_path, own_provider):
    beside = settings_of("introspection")
    for written, used in [
        ("https://id.example.org/oauth/introspect", f"{own_provider.issuer}/token/introspection"),
        ("https://id.example.org", own_provider.issuer),
        ('"gateway"', '"RS256"'),
        ("https://api.example.org", own_provider.opaque_audience),
    ]:
        assert written in beside
        beside = beside.replace(written, used)
    plugins = drop(tmp_path, "introspection", build.example_component("introspection"), beside)
    gateway = serve(plugins + route(upstream, "introspection"), INTROSPECTION_SECRET="secret-of-RS256")
    token = own_provider.user_token("alice", resource=own_provider.opaque_audience)
    assert "." not in token, "it is opaque"
    for _ in range(2):
        assert values(gateway.send("/", bearer(token)).json(), "x-forwarded-user") == ["alice"]
    assert own_provider.hits("/token/introspection") == 1
    assert gateway.send("/", bearer("unknown")).status == 401
    own_provider.stop()
    assert gateway.send("/", bearer(token)).status == 200, "the answer is remembered"
    assert gateway.send("/", bearer("another")).status == 503


@pytest.mark.parametrize("path, status", [("/", 200), ("/admin", 403)])
def test_jwt(serve, upstream, provider, path, status):
    config = (ROOT / "examples/jwt/portcullis.toml").read_text()
    for written, used in [
        ("https://id.example.org", provider.issuer),
        ("https://api.example.org", provider.audience),
        ("http://127.0.0.1:9000", upstream.url),
        ('[server]\nlisten = ["127.0.0.1:8000"]\n', ""),
    ]:
        assert written in config
        config = config.replace(written, used)
    answer = serve(config).send(path, bearer(provider.user_token("alice")))
    assert answer.status == status
    if status == 200:
        seen = answer.json()
        assert values(seen, "x-forwarded-user") == ["alice"]
        assert values(seen, "x-forwarded-groups") == ["staff,ml"]
        assert values(seen, "x-forwarded-email") == ["alice@example.test"]
