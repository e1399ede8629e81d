"""Names of upstreams: a name with several addresses is several servers, and a name that moves is followed (row A9 of the
field reports). The gateway runs with a resolver of the tests' own: see `tests/peers/rebind.c`.
"""

from contextlib import ExitStack

import pytest

from harness import build
from harness.client import ALICE
from harness.config import PEOPLE
from harness.process import eventually
from harness.raw_upstream import head
from harness.sockets import SocketServer


class AddressedServer(SocketServer):
    """A server that answers with its address. `connections` counts those that were made, and `ended` those that are over."""

    def __init__(self, host, port):
        self.host = host
        self.connections = self.ended = 0
        super().__init__((host, port))

    def serve(self, wire):
        self.connections += 1
        body = self.host.encode()
        with wire.makefile("rb") as stream:
            while head(stream):
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.ended += 1


class Service:
    """Servers at several addresses and one port, and what the name of the service stands for."""

    def __init__(self, folder, hosts):
        self._stack = ExitStack()
        self.servers = {}
        port = 0
        for host in hosts:
            self.servers[host] = self._stack.enter_context(AddressedServer(host, port))
            port = self.servers[host].port
        self.url = f"http://service.rebind.test:{port}"
        self._script, log = folder / "script", folder / "looked-up"
        log.touch()
        self.environment = {
            "LD_PRELOAD": str(build.rebinder()),
            "REBIND_SCRIPT": str(self._script),
            "REBIND_LOG": str(log),
            "REBIND_PUBLIC_ADDRESS": "192.0.2.1",
            "REBIND_PUBLIC_PORT": "1",
        }

    def is_at(self, *hosts):
        self._script.write_text(f"service.rebind.test {','.join(hosts)}\n" if hosts else "")

    def stop(self):
        self._stack.close()


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    yield service
    service.stop()


@pytest.fixture
def through(serve, service):
    def start(more=""):
        config = f'''
[upstreams.app]
servers = ["{service.url}"]
resolve_interval = "1s"
{more}
[[routes]]
path = "/"
upstream = "app"
authenticators = ["people"]
'''
        return serve(PEOPLE + config, **service.environment)

    return start


def bodies(gateway, count):
    answers = [gateway.send("/", ALICE) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return [answer.body.decode() for answer in answers]


def test_every_address_of_a_name_gets_requests(service, through):
    hosts = list(service.servers)
    service.is_at(*hosts)
    gateway = through()
    eventually(lambda: set(bodies(gateway, 6)) == set(hosts), "all addresses are known")
    asked = bodies(gateway, 60)
    assert all(asked.count(host) >= 10 for host in hosts), asked


def test_an_address_that_is_gone_costs_no_request(service, through):
    service.is_at("127.0.0.1", "127.0.0.4")
    gateway = through("max_fails = 1")
    eventually(lambda: set(bodies(gateway, 5)) == {"127.0.0.1"} and gateway.logged(level="WARN"), "the other is avoided")
    [line, *_] = gateway.logged(message="a server fails and gets no requests for a while")
    assert "(127.0.0.4)" in line["server"]
    assert set(bodies(gateway, 20)) == {"127.0.0.1"}


def test_a_name_that_moves_is_followed(service, through):
    service.is_at("127.0.0.1")
    gateway = through()
    assert bodies(gateway, 5) == ["127.0.0.1"] * 5
    service.is_at("127.0.0.2")
    eventually(lambda: bodies(gateway, 1) == ["127.0.0.2"], "the new address is used")
    assert set(bodies(gateway, 10)) == {"127.0.0.2"}
    old = service.servers["127.0.0.1"]
    eventually(lambda: old.ended == old.connections, "no connection is kept to the old address")


def test_a_name_that_cant_be_looked_up_keeps_its_addresses(service, through):
    service.is_at("127.0.0.1")
    gateway = through()
    bodies(gateway, 1)
    service.is_at()
    eventually(lambda: gateway.logged(message="a name can't be looked up", upstream="app"), "it is logged")
    assert set(bodies(gateway, 5)) == {"127.0.0.1"}


def test_a_name_that_is_unknown_at_first_is_found_later(service, through):
    service.is_at()
    gateway = through()
    assert gateway.send("/", ALICE).status == 502
    service.is_at("127.0.0.3")
    eventually(lambda: gateway.send("/", ALICE).body == b"127.0.0.3", "it is found")


def test_a_connection_is_used_until_its_greatest_age(service, through):
    service.is_at("127.0.0.1")
    gateway = through('max_connection_age = "2s"')
    server = service.servers["127.0.0.1"]
    eventually(lambda: bodies(gateway, 1) and server.connections > server.ended, "it is asked")
    before = server.connections
    eventually(lambda: bodies(gateway, 1) and server.connections > before, "a new connection is made")
    eventually(lambda: server.ended >= before, "the old one is closed")


@pytest.mark.parametrize(("timeout", "reused"), [("0s", False), ("1m", True)])
def test_whether_connections_are_kept_is_configured(service, through, timeout, reused):
    service.is_at("127.0.0.1")
    gateway = through(f'keepalive_timeout = "{timeout}"')
    server = service.servers["127.0.0.1"]
    bodies(gateway, 10)
    assert (server.connections <= 2) == reused, "the first connection may be older than the first lookup"
    assert (server.connections == 10) != reused
