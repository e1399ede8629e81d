"""Ten thousand idle connections, and no file descriptors left: open connections are served, and resources are freed."""

import contextlib
import resource

import psutil

from harness.client import ALICE, begin, connect, send
from harness.config import PEOPLE, protected, route, whoami
from harness.gateway import ADMIN
from harness.hostile import resident_mib
from harness.process import eventually

IDLE = 10_000
GET = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def files(most):
    """So many files may be open, here and in what is started meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def all_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def open_files(gateway):
    return psutil.Process(gateway.child.process.pid).num_fds()


def crowd(gateway, held):
    """Connections that have made a request each and now wait for nothing."""
    for _ in range(IDLE):
        client = held.enter_context(gateway.open())
        client.sendall(GET)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_ten_thousand_idle_connections_delay_no_request_and_their_memory_is_freed(serve, upstream):
    with files(all_files()):
        config = PEOPLE + whoami(path="/who") + route(upstream, "people")
        gateway = serve(config, server='keepalive_timeout = "10m"\nmax_connections = 10100\n')
        alone, files_alone = resident_mib(gateway), open_files(gateway)
        most = []
        for _ in range(2):
            with contextlib.ExitStack() as held:
                crowd(gateway, held)
                assert open_files(gateway) >= IDLE
                assert gateway.send("/", ALICE).status == 200
                most.append(resident_mib(gateway))
            eventually(lambda: open_files(gateway) <= files_alone + 20, "their files are closed", seconds=60)
        each_kib = (most[0] - alone) * 1024 / IDLE
        assert each_kib < 64, f"{each_kib:.0f} KiB for a connection"
        assert most[1] <= most[0] * 1.2, "the second crowd gets the memory of the first"

    def has_given_back():
        assert gateway.send("/", ALICE).status == 200
        return resident_mib(gateway) < (alone + max(most)) / 2

    eventually(has_given_back, "the memory is given back", seconds=60)


FEW = 200


def test_open_connections_are_served_when_files_run_out(serve, upstream):
    with files(FEW):
        gateway = serve(ADMIN + protected(upstream))
    there = connect(gateway.url)
    begin(there, "GET", "/", ALICE)
    assert there.getresponse().read()
    with contextlib.ExitStack() as held:
        for _ in range(2 * FEW):
            held.enter_context(gateway.open())
        eventually(lambda: open_files(gateway) >= FEW - 50, "the flood took what there is")
        begin(there, "GET", "/portcullis", ALICE)
        answer = there.getresponse()
        assert answer.status in (200, 502, 503), "whatever the upstream's connection takes, it is answered"
        answer.read()
    eventually(lambda: gateway.send("/", ALICE).status == 200, "all is well again", seconds=30)
    assert send(gateway.admin_url, "/livez").status == 200
    eventually(lambda: open_files(gateway) < FEW, "the flood's files are closed")


def test_a_request_that_finds_no_file_for_its_upstream_or_its_plugin_is_an_error(
    serve, upstream, fetch_servers, fetcher_component
):
    hub = fetch_servers()
    plugin = f'[authenticators.fetcher]\nplugin = "{fetcher_component}"\n[authenticators.fetcher.grants]\n'
    plugin += f'headers = ["x-url"]\nhttp = ["{hub.url}"]\n'
    gateway = serve(protected(upstream) + plugin + route(upstream, "fetcher", path="/plugin"))
    asking = {"X-Url": f"{hub.url}/"}
    there = connect(gateway.url)
    begin(there, "GET", "/nowhere", {})
    assert there.getresponse().read()
    process = psutil.Process(gateway.child.process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))
    begin(there, "GET", "/", ALICE)
    answer = there.getresponse()
    assert answer.status == 503
    answer.read()
    [line] = gateway.logged(message="the upstream gave no response")
    assert "files" in line["why"]
    begin(there, "GET", "/plugin", asking)
    answer = there.getresponse()
    assert answer.status == 502, "the plugin says that its request failed"
    answer.read()
    assert hub.seen == []
    process.rlimit(psutil.RLIMIT_NOFILE, before)
    for path, headers in [("/", ALICE), ("/plugin", asking)]:
        begin(there, "GET", path, headers)
        answer = there.getresponse()
        assert answer.status == 200
        answer.read()
