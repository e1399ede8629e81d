"""A plugin that is called often is configured once: each call begins with a copy of a configured instance, if nothing tells
the copies from instances that were configured for themselves."""

import json

import pytest

from harness import build
from harness.client import begin, connect
from harness.config import whoami
from harness.process import eventually

pytestmark = pytest.mark.timeout(500)
"""The copy of a plugin in JavaScript takes over a minute of one processor in a debug build."""

CALLS = 1001
"""The calls after which a plugin's copy is made."""

RANDOM = "its function configure uses random numbers"
CASES = {
    "rust-nothing": None,
    "rust-time": None,
    "rust-hash": None,
    "rust-memory": None,
    "rust-crypto": None,
    "rust-pause": None,
    "rust-random": RANDOM,
    "rust-cache": "its function configure uses the cache",
    "rust-negotiate": "its function configure uses negotiate",
    "rust-http": "its function configure uses requests to other servers",
    "rust-fields": "its function configure uses requests to other servers",
    "rust-say": "its function configure keeps a handle",
    "rust-pollable": "its function configure keeps a handle",
    # componentize-py seeds the module `random` at the first call of an instance.
    "python-time": RANDOM,
    "python-random": RANDOM,
    "javascript-time": None,
    "javascript-random": RANDOM,
}
"""By language and what `configure` does, why no copy is made. `None`: there is one."""

COPIED = "each call begins with a configured copy of the plugin"
NOT_COPIED = "each call configures the plugin, because it can't be copied"


def authenticator(name, component):
    return f"""
[authenticators.{name}]
plugin = "{component}"
settings.configure = "{name.partition("-")[2]}"
grants.headers = ["x-do"]
limits.memory = "128MiB"
limits.deadline = "30s"
limits.reuse_decisions = "0s"
"""


def ask(connection, path, command):
    begin(connection, "GET", path, {"X-Do": command})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def gateway(serve_module, prober_component):
    """A gateway whose plugins were called so often that each has its copy, or none forever."""
    components = {
        "rust": prober_component,
        "python": build.python_component("python_prober"),
        "javascript": build.javascript_component("javascript_prober"),
    }

    gateway = serve_module(
        "".join(authenticator(name, components[name.partition("-")[0]]) for name in CASES)
        + whoami(*CASES)
        + "".join(whoami(name, path=f"/{name}") for name in CASES)
    )
    connection = connect(gateway.url)
    for _ in range(CALLS):
        # All of them are asked: none says that the request is its own.
        assert ask(connection, "/", "not-mine")[0] == 401
    eventually(lambda: len(fates(gateway)) == len(CASES), "all are copied, or it is known why not", seconds=450)
    return gateway


def fates(gateway):
    """The line about its copy by authenticator."""
    told = (line for line in gateway.log() if line["message"] in {COPIED, NOT_COPIED})
    return {line["authenticator"]: line for line in told}


@pytest.mark.parametrize("name", CASES)
def test_what_configure_does_decides(gateway, name):
    line = fates(gateway)[name]
    if CASES[name] is None:
        assert line["message"] == COPIED and line["bytes"] > 100_000
    else:
        assert line["message"] == NOT_COPIED and line["why"] == CASES[name]


def found(gateway, name):
    """What `configure` found, how many calls the instance has seen, and what it has drawn since."""
    in_rust = name.startswith("rust")
    status, body = ask(connect(gateway.url), f"/{name}", "found" if in_rust else "configured")
    assert status == 200, (name, body)
    user = json.loads(body)
    if in_rust:
        words = dict(group.split(" ", 1) for group in user["groups"])
        return words["found"], words["calls"], words["random"]
    configured, drawn = json.loads(user["attributes"]["found"])
    return str(configured), "1", str(drawn[0]) if name.startswith("javascript") else drawn


@pytest.mark.parametrize("name", CASES)
def test_calls_share_no_memory_and_no_random_numbers(gateway, name):
    configured, calls, drawn = (set(values) for values in zip(*(found(gateway, name) for _ in range(4))))
    assert calls == {"1"}, "an instance is called once"
    assert len(drawn) == 4, "no number is drawn twice"
    if CASES[name] is None:
        assert len(configured) == 1, "it was configured once"
    elif name.endswith("-random"):
        assert len(configured) == 4, "nothing that was drawn is copied"
