"""Fixtures of all tests: gateways, upstreams, and the real peers, which start once and only when a test needs them."""

import secrets
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness import build, fronts, packages, process
from harness.certificates import Authority
from harness.collector import Collector
from harness.dask_server import DaskServer
from harness.dask_stack import DaskStack
from harness.fetch_server import FetchServer
from harness.gateway import Gateway
from harness.http2_upstream import Http2Upstream
from harness.hub import Hub
from harness.idp import Provider
from harness.image import Image
from harness.kdc import Kdc
from harness.raw_upstream import RawUpstream
from harness.scripted import ScriptedUpstream
from harness.upstream import Upstream


@pytest.fixture(scope="session", autouse=True)
def no_process_stays():
    process.adopt_orphans()
    yield
    process.sweep()


@pytest.fixture
def serve(tmp_path):
    """Starts gateways, and stops them and shows their logs after the test.

    `listen` is the key of that name in `[server]`, and `server` has further lines of that table. Other keyword arguments
    are environment variables, or options of `Gateway`.
    """
    with gateways(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory):
    """`serve` for a gateway that all tests of a module share."""
    with gateways(tmp_path_factory.mktemp("gateways")) as start:
        yield start


@contextmanager
def gateways(folder):
    running = []

    def start(config="", server="", listen='"127.0.0.1:0"', **options):
        own = folder / f"gateway-{len(running)}"
        own.mkdir(exist_ok=True)
        running.append(Gateway(own, f"[server]\nlisten = {listen}\n" + server + config, **options))
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
    """The upstream, with no requests of earlier tests in `seen`."""
    shared_upstream.forget()
    return shared_upstream


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    """The OpenID provider, for tests that do not change its keys."""
    peer = Provider(tmp_path_factory.mktemp("idp"))
    yield peer
    peer.stop()


@pytest.fixture
def own_provider(tmp_path):
    """An OpenID provider of this test alone, which it may reconfigure and stop."""
    peer = process.with_free_ports(1, lambda port: Provider(tmp_path, port))
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
def dask_stack(tmp_path_factory, hub, provider):
    """dask-gateway behind a gateway of its own, both configured as in the documentation."""
    whole = DaskStack(tmp_path_factory.mktemp("dask-whole"), hub, provider)
    yield whole
    whole.stop()


@pytest.fixture(scope="session")
def kdc(tmp_path_factory):
    peer = Kdc(tmp_path_factory.mktemp("kdc"))
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def keytab(kdc, tmp_path_factory):
    """The key of HTTP/localhost."""
    return kdc.keytab(tmp_path_factory.mktemp("keys") / "http.keytab", "HTTP/localhost")


@pytest.fixture(scope="session")
def python_component():
    return build.python_component()


@pytest.fixture(scope="session")
def javascript_component():
    return build.javascript_component()


@pytest.fixture(scope="session")
def api_key_component():
    return build.example_component("api_key")


@pytest.fixture(scope="session")
def scripted_component():
    return build.guest_component("scripted")


@pytest.fixture(scope="session")
def judge():
    return build.guest_component("judge")


@pytest.fixture(scope="session")
def hostile_component():
    return build.guest_component("hostile")


@pytest.fixture(scope="session")
def prober_component():
    return build.guest_component("prober")


@pytest.fixture(scope="session")
def fetcher_component():
    return build.guest_component("fetcher")


@pytest.fixture(scope="session")
def packaged_programs(tmp_path_factory):
    """The folder with what every package holds."""
    return packages.programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def package(tmp_path_factory, packaged_programs):
    """The Debian package, alone in its folder."""
    return packages.debian(tmp_path_factory.mktemp("debian"), packaged_programs)


@pytest.fixture(scope="session")
def image(tmp_path_factory, packaged_programs):
    """The container image."""
    built = Image(tmp_path_factory.mktemp("image"), packaged_programs)
    yield built
    built.remove()


@pytest.fixture
def scripted_upstream():
    """Starts upstreams that follow scripts, and stops them after the test, which fails if a script has failed."""
    with upstreams(ScriptedUpstream) as start:
        yield start


@pytest.fixture(scope="session")
def shared_raw_upstream():
    with RawUpstream() as server:
        yield server


@pytest.fixture
def raw_upstream(shared_raw_upstream):
    """An upstream that records requests byte for byte, with none of earlier tests in `seen`."""
    shared_raw_upstream.forget()
    return shared_raw_upstream


@pytest.fixture
def http2_upstreams():
    """Starts upstreams that speak HTTP/2, and stops them after the test."""
    with upstreams(Http2Upstream) as start:
        yield start


@pytest.fixture
def unreachable():
    """Makes servers that refuse every connection."""
    made = []

    def make():
        made.append(process.Unreachable())
        return made[-1]

    yield make
    for server in made:
        server.stop()


@contextmanager
def several(kind):
    """Starts servers of a kind, which it lists too, and stops them afterwards."""
    running = []

    def start(*arguments, **options):
        running.append(kind(*arguments, **options))
        return running[-1]

    yield start, running
    for server in running:
        server.stop()


@contextmanager
def upstreams(kind):
    with several(kind) as (start, running):
        yield start
    assert [server.failures for server in running] == [[]] * len(running)


@pytest.fixture
def fetch_servers():
    """Starts servers for the requests of plugins, and stops them after the test."""
    with several(FetchServer) as (start, _):
        yield start


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority that tests configure as trusted."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate authority that no test configures as trusted."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


# Telemetry


@pytest.fixture
def collectors():
    """Starts collectors, and stops them after the test."""
    with several(Collector) as (start, _):
        yield start


@pytest.fixture
def collector(collectors):
    return collectors()


# Fronts


def pytest_generate_tests(metafunc):
    """Runs each test of a front proxy with every one of them, and with HTTP/1.1 and HTTP/2 if it has a `version`."""
    [fixture] = {name for name in metafunc.fixturenames if name in FRONT_FIXTURES} or [None]
    if fixture is None:
        return
    names = {"upgrading_front": fronts.PROGRAMS, "front_that_fails_open": fronts.ENVOYS}.get(fixture, fronts.NAMES)
    if "version" in metafunc.fixturenames:
        # The replay of Traefik speaks HTTP/1.1 alone.
        pairs = [(name, version) for name in names for version in (1, 2) if (name, version) != ("traefik", 2)]
        ids = [f"{name}-http{version}" for name, version in pairs]
        metafunc.parametrize((fixture, "version"), pairs, ids=ids, indirect=[fixture], scope="session")
    else:
        metafunc.parametrize(fixture, names, indirect=True, scope="session")


FRONT_FIXTURES = {
    "front",
    "front_that_fails_open",
    "front_with_token",
    "front_with_wrong_token",
    "front_without_gateway",
    "upgrading_front",
}


@pytest.fixture(scope="session")
def front_gateway(tmp_path_factory, scripted_component):
    """The gateway behind all front proxies, which trusts them by their address."""
    folder = tmp_path_factory.mktemp("beside")
    gateway = fronts.FrontGateway(
        folder, fronts.routes(folder, scripted_component), PORTCULLIS_COOKIE_SECRET=secrets.token_hex(32)
    )
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def front_gateway_with_token(tmp_path_factory, scripted_component):
    """A gateway that trusts front proxies by a token."""
    folder = tmp_path_factory.mktemp("beside-with-token")
    gateway = fronts.FrontGateway(folder, fronts.routes(folder, scripted_component), token=secrets.token_hex(32))
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def front(request, tmp_path_factory, front_gateway, shared_upstream):
    """A front proxy with the configuration of the documentation."""
    with running_front(request, tmp_path_factory, front_gateway, shared_upstream) as running:
        yield running


@pytest.fixture(scope="session")
def upgrading_front(request, tmp_path_factory, front_gateway, shared_upstream):
    """A front proxy that supports upgrades, which the replay of Traefik does not."""
    with running_front(request, tmp_path_factory, front_gateway, shared_upstream) as running:
        yield running


@pytest.fixture(scope="session")
def front_that_fails_open(request, tmp_path_factory, front_gateway, shared_upstream):
    """A front proxy that is configured to let requests pass when the gateway fails."""

    def change(text):
        return text.replace("failure_mode_allow: false", "failure_mode_allow: true")

    with running_front(request, tmp_path_factory, front_gateway, shared_upstream, change=change) as running:
        yield running


@pytest.fixture(scope="session")
def front_with_token(request, tmp_path_factory, front_gateway_with_token, shared_upstream):
    token = front_gateway_with_token.token
    with running_front(request, tmp_path_factory, front_gateway_with_token, shared_upstream, token) as running:
        yield running


@pytest.fixture(scope="session")
def front_with_wrong_token(request, tmp_path_factory, front_gateway_with_token, shared_upstream):
    token = secrets.token_hex(32)
    with running_front(request, tmp_path_factory, front_gateway_with_token, shared_upstream, token) as running:
        yield running


@pytest.fixture(scope="session")
def front_without_gateway(request, tmp_path_factory, shared_upstream):
    closed = [process.Unreachable() for _ in range(3)]
    pages, forward_auth, ext_authz = (server.port for server in closed)
    absent = SimpleNamespace(pages=pages, forward_auth=forward_auth, ext_authz=ext_authz)
    with running_front(request, tmp_path_factory, absent, shared_upstream) as running:
        yield running
    for server in closed:
        server.stop()


@contextmanager
def running_front(request, tmp_path_factory, gateway, upstream, *arguments, **options):
    folder = tmp_path_factory.mktemp(request.param)
    running = fronts.Front(request.param, folder, gateway, upstream, *arguments, **options)
    yield running
    running.stop()
