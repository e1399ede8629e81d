"""Policies in Rego and in CEL, as plugins from outside the project: each a crate against the SDK, dropped into the plugin directory."""

import re

import pytest

from harness.build import example_component
from harness.client import basic
from harness.config import PEOPLE, drop, whoami
from harness.gateway import run
from harness.paths import ROOT

EXAMPLES = ROOT / "examples" / "authorizers"


def page(name):
    """The page of an example."""
    return (EXAMPLES / name / "README.md").read_text()


def block(name, start):
    """The indented lines of the page that begin with this one."""
    blocks = re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", page(name))
    [found] = [text for text in blocks if text.strip().startswith(start)]
    return re.sub(r"(?m)^    ", "", found)


def serving(serve, upstream, folder, name, description):
    plugins = drop(folder, name, example_component(f"authorizers/{name}"), description)
    return serve(
        f'''{plugins}{PEOPLE}
[[routes]]
path = "/"
authenticators = ["people"]
authorizers = ["{name}"]
upstream = "{upstream.url}"
'''
    )


def test_a_policy_in_rego_decides(serve, upstream, tmp_path):
    (tmp_path / "policy.rego").write_text(block("rego", "package portcullis"))
    (tmp_path / "teams.json").write_text('{"teams": {"alice": ["physics"]}}')
    gateway = serving(serve, upstream, tmp_path, "rego", block("rego", "[settings]"))
    for method, path, user, status in [
        ("GET", "/any", "bob", 200),
        ("POST", "/teams/physics/x", "alice", 200),
        ("POST", "/teams/physics/x", "bob", 403),
        ("POST", "/teams/maths", "alice", 403),
    ]:
        assert gateway.send(path, basic(user), method=method).status == status, (method, path, user)


def test_a_rule_in_cel_decides(serve, upstream, tmp_path):
    description = block("cel", "[settings]").replace("'editors' in groups", "user == 'alice'")
    gateway = serving(serve, upstream, tmp_path, "cel", description)
    for method, user, status in [("GET", "bob", 200), ("POST", "bob", 403), ("POST", "alice", 200)]:
        assert gateway.send("/", basic(user), method=method).status == status, (method, user)


@pytest.mark.parametrize(
    "name, settings, expected",
    [("rego", 'policy = "allow {"', "policy: "), ("cel", 'rule = "metod == 1"', "rule: there is no metod")],
)
def test_a_mistake_is_told_with_its_place(upstream, tmp_path, name, settings, expected):
    (tmp_path / "plugins").mkdir()
    plugins = drop(tmp_path / "plugins", name, example_component(f"authorizers/{name}"), f"[settings]\n{settings}\n")
    found = run("check", folder=tmp_path, config=plugins + PEOPLE + whoami("people") + f'authorizers = ["{name}"]\n')
    assert found.returncode == 1
    assert f"{name}.toml:2: settings.{expected}" in found.stderr, found.stderr
