"""What every test may ask for: a gateway, an upstream, and the real peers, which start once and only when needed."""

from contextlib import contextmanager

import pytest

from harness import build, process
from harness.dask_server import DaskServer
from harness.gateway import LISTEN_ANYWHERE, Gateway
from harness.hub import Hub
from harness.idp import Provider
from harness.upstream import Upstream


@pytest.fixture(scope="session", autouse=True)
def no_process_stays():
    process.adopt_orphans()
    yield
    process.sweep()


@pytest.fixture
def serve(tmp_path):
    """Starts a gateway with a configuration, and in the end stops it and shows its log.

    `[server]` is there already; `server` has further lines of it.
    """
    with gateways(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory):
    """`serve` for a gateway that a whole module shares."""
    with gateways(tmp_path_factory.mktemp("gateways")) as start:
        yield start


@contextmanager
def gateways(folder):
    running = []

    def start(config="", server="", **environment):
        own = folder / f"gateway-{len(running)}"
        own.mkdir()
        running.append(Gateway(own, LISTEN_ANYWHERE + server + config, **environment))
        return running[-1]

    yield start
    for gateway in running:
        print(gateway.child.output()[-8000:])
        gateway.stop()


@pytest.fixture(scope="session")
def shared_upstream():
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def upstream(shared_upstream):
    """The upstream, which has seen nothing yet in this test."""
    shared_upstream.forget()
    return shared_upstream


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    """The OpenID provider, for tests that leave its keys alone."""
    peer = Provider(tmp_path_factory.mktemp("idp"))
    yield peer
    peer.stop()


@pytest.fixture
def own_provider(tmp_path):
    """An OpenID provider that this test may rotate and stop."""
    peer = Provider(tmp_path)
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    peer = Hub(tmp_path_factory.mktemp("hub"))
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def dask_server(tmp_path_factory):
    peer = DaskServer(tmp_path_factory.mktemp("dask"))
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def python_component():
    return build.python_component()


@pytest.fixture(scope="session")
def api_key_component():
    return build.example_component("api_key")


@pytest.fixture(scope="session")
def hostile_component():
    return build.guest_component("hostile")


@pytest.fixture(scope="session")
def prober_component():
    return build.guest_component("prober")
