"""The traits of a server's configuration and the one engine of its process, which the configuration may have started before."""

import json
import os

import pytest

from harness import python_package

PROGRAM = """
import json, sys
from portcullis import ConfigurationError, Engine, Request
from portcullis._traits import PluginTraits
class Server(PluginTraits):
    pass
started, servers = json.loads(sys.argv[1])
if started is not None:
    Engine(**started)
for traits in servers:
    try:
        chain = Server(plugin="simple", **traits).load_plugins()
        decision = chain.decide_blocking(Request("GET", "/", headers={"Authorization": "Basic YWxpY2U6"}))
        print(json.dumps(decision.user.name))
    except ConfigurationError as error:
        print(json.dumps(list(error.mistakes)))
"""

CACHE = str(python_package.CACHE)
HOST = {"registry.example": {"plain_http": True}}


def told(started, *servers):
    """What servers in one process say, one after the other: the user whom their plugin knows, or their mistakes."""
    done = python_package.run(PROGRAM, json.dumps([started, servers]))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "started, traits",
    [
        (None, {}),
        (None, {"cache_directory": CACHE, "registries": HOST, "lock_file": "portcullis.lock"}),
        ({"memory": 1 << 30}, {}),
        ({"cache_directory": CACHE, "registries": HOST, "lock_file": "portcullis.lock"}, {}),
        ({"cache_directory": CACHE, "registries": HOST}, {"cache_directory": os.path.relpath(CACHE), "registries": HOST}),
        ({"cache_directory": CACHE}, {"store_directory": f"{CACHE}/registry"}),
    ],
)
def test_a_server_uses_the_engine_of_its_process(started, traits):
    assert told(started, traits) == ["alice"]


def differs(key, asked, has):
    return f'{key}: is "{asked}", but the engine of this process was started before, {has}: leave the key out, or set it there'


@pytest.mark.parametrize(
    "started, traits, mistakes",
    [
        ({}, {"cache_directory": "/a"}, [differs("cache_directory", "/a", "without one")]),
        ({"cache_directory": CACHE}, {"cache_directory": "/a"}, [differs("cache_directory", "/a", f'with "{CACHE}"')]),
        ({"cache_directory": CACHE}, {"store_directory": "/a"}, [differs("store_directory", "/a", f'with "{CACHE}/registry"')]),
        (
            {"registries": HOST},
            {"registries": {"registry.example": {}}, "lock_file": "a.lock"},
            [
                differs("lock_file", "a.lock", "without one"),
                "registries: differ from those of the engine of this process, which was started before: leave the key out, "
                "or set it there",
            ],
        ),
        (
            None,
            {"registries": {"registry.example": {"usrname": "robot"}}},
            ['registries."registry.example".usrname: unknown key; did you mean "username"?'],
        ),
    ],
)
def test_a_trait_that_contradicts_the_engine_is_a_mistake(started, traits, mistakes):
    assert told(started, traits) == [mistakes]


def test_two_servers_in_a_process_share_its_engine():
    assert told(None, {"cache_directory": CACHE}, {"cache_directory": CACHE}, {}, {"lock_file": "a.lock"}) == [
        "alice",
        "alice",
        "alice",
        [differs("lock_file", "a.lock", "without one")],
    ]


METRICS = """
import sys
from portcullis import Engine, Request
from portcullis._traits import PluginTraits
class Server(PluginTraits):
    pass
def operators(name, *_):
    seen.setdefault("operator", set()).add(name)
def servers(name, *_):
    seen.setdefault("server", set()).add(name)
seen = {}
Engine(metrics=operators if sys.argv[1] == "operator" else None)
for _ in range(2):
    chain = Server(plugin="simple").load_plugins(metrics=servers)
assert chain.decide_blocking(Request("GET", "/")).user is None
Engine.current().close()
assert list(seen) == [sys.argv[1]], seen
assert "portcullis_authenticator_calls_total" in seen[sys.argv[1]], seen
"""


@pytest.mark.parametrize("receiver", ["operator", "server"])
def test_metrics_go_to_the_server_unless_the_operator_has_sent_them_elsewhere(receiver):
    done = python_package.run(METRICS, receiver)
    assert done.returncode == 0, done.stderr
