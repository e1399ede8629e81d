"""Wrong configurations: every mistake at once, each with file, line, key and what would be right.

`check` says so with exit code 1, and `serve` before it opens a port. The mistakes that the file alone shows are tested with the
configuration itself; these here need a plugin, or stand for the rest.
"""

import hashlib

import pytest

from harness.gateway import run

UPSTREAM = "http://127.0.0.1:9"

RIGHT = f"""
[server]
listen = "127.0.0.1:0"
[session]
keys = ["env:KEY"]
[authenticators.people]
plugin = "simple"
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "https://idp.test", audiences = ["us"], discovery = true }}]
[authenticators.tokens.grants]
http = ["https://idp.test"]
[[routes]]
path = "/"
authenticators = ["people", "tokens"]
upstream = "{UPSTREAM}"
[routes.identity]
user = "X-Forwarded-User"
"""
KEY = hashlib.sha256(b"a key").hexdigest()

GUARDED = '[[routes]]\npath = "/"\nauthenticators = ["people", "tokens"]'

# What replaces a piece of the right configuration, and what the complaint about it must contain.
WRONG = {
    "an unknown key": ("listen =", "lisen =", ["server.lisen", '"listen"']),
    "no such plugin": ('"simple"', '"simpel"', ["authenticators.people.plugin", '"simple"']),
    "no such file": ('"simple"', '"./gone.wasm"', ["authenticators.people.plugin", "gone.wasm"]),
    "a setting that the plugin doesn't know": ("issuers =", "issuer =", ["settings.issuer", '"issuers"']),
    "a setting of another type": ('audiences = ["us"]', "audiences = 1", ["audiences", "expected a list"]),
    "a setting of none of its forms": ("discovery = true", "jwks = 1", ["issuers[0].jwks: expected a table or text"]),
    "a choice that there isn't": (
        "discovery = true",
        'audience_match = "some"',
        ['issuers[0].audience_match: expected "all" or "any"'],
    ),
    "an issuer that takes any audience": ('audiences = ["us"]', "audiences = []", ["audiences"]),
    "a secret in the file": ('"env:KEY"', f'"{KEY}"', ["session.keys[0]", "env:"]),
    "a route that nobody guards": (GUARDED, GUARDED.splitlines()[0] + '\npath = "/"', ["routes[0]", "public"]),
}


def check(folder, config):
    return run("check", folder=folder, config=config, KEY=KEY)


def line_of(piece):
    return RIGHT[: RIGHT.index(piece)].count("\n") + 1


def test_the_right_configuration_is_right(tmp_path):
    result = check(tmp_path, RIGHT)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_place(tmp_path, case):
    right, wrong, expected = WRONG[case]
    assert RIGHT.count(right) == 1, "the piece to replace is unique"
    result = check(tmp_path, RIGHT.replace(right, wrong))
    assert result.returncode == 1
    assert f"portcullis.toml:{line_of(right)}" in result.stderr
    for text in expected:
        assert text in result.stderr
    assert KEY not in result.stderr


def test_every_mistake_is_named_at_once(tmp_path):
    cases = ["an unknown key", "no such plugin", "a setting of another type", "a secret in the file"]
    config = RIGHT
    for case in cases:
        right, wrong, _ = WRONG[case]
        config = config.replace(right, wrong)
    result = check(tmp_path, config)
    assert result.returncode == 1
    for case in cases:
        assert WRONG[case][2][0] in result.stderr


def test_serve_refuses_as_check_does_and_opens_no_port(tmp_path):
    right, wrong, expected = WRONG["an unknown key"]
    result = run("serve", "--log-format", "json", folder=tmp_path, config=RIGHT.replace(right, wrong), KEY=KEY)
    assert result.returncode == 1
    assert expected[0] in result.stdout + result.stderr
    assert "listening" not in result.stdout + result.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    result = run("check", "--config", tmp_path / "gone.toml", folder=tmp_path)
    assert result.returncode == 1
    assert "gone.toml" in result.stderr
