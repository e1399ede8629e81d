"""Plugins that try to reach servers without a grant, and servers that never finish a response."""

import pytest

from harness.client import basic, begin, connect
from harness.gateway import run
from harness.hostile import (
    LONG_DEADLINE,
    MAX_GROWTH_MIB,
    assert_contained,
    assert_settles,
    authenticator,
    configuration,
    instruct,
    resident_mib,
    send_all,
)
from harness.process import eventually
from harness.trap_servers import ForbiddenPort, TrapServer

SPELLINGS = """
    127.0.0.1:T 127.0.0.1.:T 127.0.0.2:T 127.1:T 127.0.1:T 127.255.255.254:T 0.0.0.0:T 0:T 0.0.0.1:T
    2130706433:T 02130706433:T 0x7f000001:T 0X7F000001:T 0x7f.0.0.1:T 0x7f.0x0.0x0.0x1:T 0x7f.1:T
    017700000001:T 0177.0.0.1:T 0177.0000.0000.0001:T 00000177.0.0.1:T 127.000.000.001:T 0177.0x0.0.1:T
    425.510.425.510:T 127.0.0.1.0:T 127..0.0.1:T
    localhost:T localhost.:T LOCALHOST:T LocalHost:T a.localhost:T a.b.localhost:T localhost.localdomain:T
    ip6-localhost:T ip6-loopback:T localhost6:T
    [::1]:T [::]:T [::1.]:T [0:0:0:0:0:0:0:1]:T [0000:0000:0000:0000:0000:0000:0000:0001]:T [::0001]:T [0::1]:T
    [::ffff:127.0.0.1]:T [::ffff:7f00:1]:T [::FFFF:127.0.0.1]:T [0:0:0:0:0:ffff:127.0.0.1]:T [::127.0.0.1]:T
    [::7f00:1]:T [64:ff9b::127.0.0.1]:T [64:ff9b::7f00:1]:T [64:ff9b:1::7f00:1]:T [2002:7f00:1::]:T
    [2002:7f00:0001::1]:T [2001:0:7f00:1::]:T [::ffff:0:127.0.0.1]:T [::ffff:0.0.0.0]:T [::ffff:169.254.169.254]:80
    [::1%lo]:T [::1%25lo]:T [::1%1]:T [fe80::1%25lo]:T [fe80::1]:T [fec0::1]:T [fc00::1]:T [ff02::1]:T [v1.x]:T ::1:T
    [::1:T [[::1]]:T [127.0.0.1]:T []:T
    169.254.169.254:80 169.254.169.254.:80 2852039166:80 0xa9fea9fe:80 0251.0376.0251.0376:80 169.254.43518:80
    [fd00:ec2::254]:80 metadata.google.internal:80 metadata:80 instance-data:80 100.100.100.200:80
    10.0.0.1:80 172.16.0.1:80 192.168.0.1:80 224.0.0.1:80 255.255.255.255:80
    user@127.0.0.1:T user:word@127.0.0.1:T @127.0.0.1:T G@127.0.0.1:T 127.0.0.1@127.0.0.1:T
    127.0.0.1:T@127.0.0.1:G G#@127.0.0.1:T G?@127.0.0.1:T G/@127.0.0.1:T G\\@127.0.0.1:T G;@127.0.0.1:T
    G%40127.0.0.1:T G%2f@127.0.0.1:T G%00@127.0.0.1:T G%0d%0a@127.0.0.1:T G,127.0.0.1:T G&@127.0.0.1:T
    127.0.0.1:T#G 127.0.0.1:T?G 127.0.0.1:T/G 127.0.0.1:T\\G 127.0.0.1:T%23G 127.0.0.1:T:G 127.0.0.1:0T
    127.0.0.1:+T 127.0.0.1:-T 127.0.0.1:65536T 127.0.0.1: 127.0.0.1 127.0.0.1:http :T :
    127%2e0%2e0%2e1:T %31%32%37.0.0.1:T 127.0.0.1%00:T 127.0.0.1%20:T %6c%6f%63alhost:T localhost%2e:T
    ①②⑦.⓪.⓪.①:T １２７.0.0.1:T 127。0。0。1:T 127．0．0．1:T ⓛocalhost:T ｌocalhost:T loc\u00adalhost:T
    loc\u200balhost:T xn--localhost:T localhoſt:T 127.0.0.1\u2024nip.io:T
""".split()
"""Authorities. T is the port that must stay silent, G the authority that is granted."""

MALFORMED = [
    "127.0.0.1:T\r\nX: ",
    "127.0.0.1 :T",
    "127.0.0.1:T ",
    " 127.0.0.1:T",
    "127.0.0.1\t:T",
    "127.0.0.1\0:T",
    "",
    "\0",
]

SCHEMES = """
    ftp file gopher dict ldap ldaps jar netdoc unix ws wss tcp tls smtp data javascript http+unix HTTP Http hTTp h2c httpx
""".split()

NAMES = """
    localhost localhost. LOCALHOST a.localhost 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 0
    127.000.000.001
""".split()
"""This machine, in spellings that no grant may have."""

GRANTED_NAMES = ["ip6-localhost", "localhost.localdomain"]
"""Names that a grant may have: what they resolve to is special, and stays refused."""

TRAPS = """
    silent slow-head slow-body slow-length endless-body endless-chunk-line endless-head endless-line endless-trailers
    endless-hints endless-rubbish broken-body two-lengths
""".split()


@pytest.fixture(scope="module")
def forbidden_port():
    server = ForbiddenPort()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def trap_server():
    with TrapServer() as server:
        yield server


@pytest.fixture(scope="module")
def crowded():
    """A trap server that many connections wait at: the gateway keeps some that were made for nothing, for later requests."""
    with TrapServer() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, prober_component, forbidden_port, trap_server, crowded):
    """`prober` and `patient` are granted the trap server by address; `named` the forbidden port by names that lead there."""
    narrow = f'headers = ["x-do"]\nhttp = ["http://{trap_server.address}", "http://{crowded.address}"]'
    names = ", ".join(f'"http://{name}:{forbidden_port.port}"' for name in GRANTED_NAMES + ["*.localdomain"])
    below = f'headers = ["x-do"]\nhttp = ["http://{trap_server.address}/api"]'
    plugins = {
        "prober": authenticator("prober", prober_component, narrow),
        "patient": authenticator("patient", prober_component, narrow, LONG_DEADLINE),
        "named": authenticator("named", prober_component, f'headers = ["x-do"]\nhttp = [{names}]', LONG_DEADLINE),
        "below": authenticator("below", prober_component, below, LONG_DEADLINE),
    }
    return serve_module(configuration(shared_upstream, plugins))


def fetching(scheme, authority, path="/fine"):
    return instruct("fetch-hex", f"{scheme}|{authority}|{path}".encode().hex())


def test_the_granted_server_answers(gateway, upstream, trap_server):
    """Otherwise the tests below would prove nothing."""
    trap_server.requests.clear()
    assert gateway.send("/patient", instruct("fetch", f"http|{trap_server.address}|/fine")).status == 200
    assert gateway.send("/patient", fetching("http", trap_server.address)).status == 200
    assert gateway.send("/below", fetching("http", trap_server.address, "/api/fine")).status == 200
    assert len(trap_server.requests) == 3


def spelt(text, forbidden_port, trap_server):
    return text.replace("T", str(forbidden_port.port)).replace("G", trap_server.address)


@pytest.mark.parametrize("spelling", SPELLINGS + MALFORMED)
def test_no_spelling_reaches_an_address_that_is_not_granted(gateway, upstream, forbidden_port, trap_server, spelling):
    trap_server.requests.clear()
    assert_contained(gateway, upstream, "/patient", fetching("http", spelt(spelling, forbidden_port, trap_server)))
    assert_contained(gateway, upstream, "/named", fetching("http", spelt(spelling, forbidden_port, trap_server)))
    assert forbidden_port.visitor() is None
    assert trap_server.requests == []


@pytest.mark.parametrize("spelling", SPELLINGS + MALFORMED)
def test_no_url_reaches_an_address_that_is_not_granted(gateway, forbidden_port, trap_server, spelling):
    """As a whole URL, some of these name the granted server, which `G` stands for."""
    for scheme in ("http", "HTTP", "http+unix"):
        url = f"{scheme}://{spelt(spelling, forbidden_port, trap_server)}/fine"
        for path in ("/patient", "/named"):
            answer = gateway.send(path, instruct(f"exchange 1 GET {url.encode().hex()} - - - -"))
            assert answer.status == 200, "the plugin is told why"
    assert forbidden_port.visitor() is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_other_scheme_reaches_a_server(gateway, upstream, forbidden_port, trap_server, scheme):
    trap_server.requests.clear()
    assert_contained(gateway, upstream, "/patient", fetching(scheme, f"127.0.0.1:{forbidden_port.port}"))
    assert_contained(gateway, upstream, "/patient", fetching(scheme, trap_server.address))
    assert forbidden_port.visitor() is None
    assert trap_server.requests == []


def test_no_grant_spells_this_machine_in_another_way(prober_component, tmp_path):
    names = ", ".join(f'"http://{name}"' for name in [*NAMES, "*.localhost"])
    config = authenticator("named", prober_component, f"http = [{names}]")
    result = run("check", folder=tmp_path, config=config)
    assert result.returncode == 1
    for index in range(len(NAMES) + 1):
        assert f"authenticators.named.grants.http[{index}]: " in result.stderr, [*NAMES, "*.localhost"][index]


@pytest.mark.parametrize("name", GRANTED_NAMES)
def test_a_name_that_was_granted_leads_to_no_special_address(gateway, upstream, forbidden_port, name):
    assert_contained(gateway, upstream, "/named", fetching("http", f"{name}:{forbidden_port.port}"))
    assert forbidden_port.visitor() is None


PATHS = "http://127.0.0.1:T/ //127.0.0.1:T/ /\\127.0.0.1:T/ @127.0.0.1:T/ :T/ /../ *".split()


@pytest.mark.parametrize("path", PATHS)
def test_no_path_reaches_another_server(gateway, forbidden_port, trap_server, path):
    """The granted server may be asked for anything."""
    gateway.send("/patient", fetching("http", trap_server.address, spelt(path, forbidden_port, trap_server)))
    assert forbidden_port.visitor() is None


BELOW = """
    /admin / /apiary /api/../admin /api/./../admin /api/%2e%2e/admin /api/%2E%2E/admin /api/..%2fadmin /api/..%5cadmin
    /api/..\\admin /api/.. /api/%2e%2e //api /API /api%2f..%2fadmin /api/x/../../admin ?/api
""".split()


@pytest.mark.parametrize("path", BELOW)
def test_a_grant_below_a_path_ends_there(gateway, upstream, trap_server, path):
    trap_server.requests.clear()
    assert_contained(gateway, upstream, "/below", fetching("http", trap_server.address, path))
    assert trap_server.requests == []


def test_a_scan_of_ports_finds_nothing(gateway, upstream, forbidden_port, trap_server, crowded):
    """An open port looks like a closed one."""
    granted = {trap_server.address, crowded.address}
    trap_server.requests.clear()
    ports = [22, 80, 443, 8080, forbidden_port.port, *range(forbidden_port.port - 120, forbidden_port.port + 120)]
    said = set()
    for start in range(0, len(ports), 25):
        scanned = {f"127.0.0.1:{port}" for port in ports[start : start + 25] if 0 < port < 65536} - granted
        targets = [f"http|{address}|/" for address in sorted(scanned)]
        lines = assert_contained(gateway, upstream, "/patient", instruct("fetch", *targets))
        [why] = [line["why"] for line in lines if line["message"] == "an authenticator could not decide"]
        said |= set(why.split(", "))
    assert forbidden_port.visitor() is None
    assert trap_server.requests == []
    assert said == {"HttpRequestDenied"}


REDIRECTS = """
    http://127.0.0.1:T/ http://localhost:T/ http://[::1]:T/ http://2130706433:T/ https://G/fine http://169.254.169.254/
    file:///etc/passwd //127.0.0.1:T/ http://G@127.0.0.1:T/
""".split()


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_out_of_the_grant_is_not_followed(gateway, upstream, forbidden_port, trap_server, location):
    """Neither by the gateway nor, though it tries, by the plugin."""
    trap_server.requests.clear()
    trap_server.redirect = spelt(location, forbidden_port, trap_server)
    assert gateway.send("/patient", fetching("http", trap_server.address, "/elsewhere")).status == 200
    assert len(trap_server.requests) == 1, "the gateway itself follows nothing"
    assert_contained(gateway, upstream, "/patient", instruct("follow", f"http|{trap_server.address}|/elsewhere"))
    assert forbidden_port.visitor() is None
    assert len(trap_server.requests) == 2


def test_a_redirect_within_the_grant_is_the_plugins_to_follow(gateway, upstream, trap_server):
    trap_server.redirect = f"http://{trap_server.address}/fine"
    assert gateway.send("/patient", instruct("follow", f"http|{trap_server.address}|/elsewhere")).status == 200


@pytest.mark.parametrize("trap_name", TRAPS)
def test_a_server_that_never_ends_is_contained(gateway, upstream, trap_server, trap_name):
    assert_contained(gateway, upstream, "/prober", fetching("http", trap_server.address, f"/{trap_name}"))
    eventually(lambda: gateway.connections(trap_server.port) == 0, "the connection is closed with the call")


def test_a_server_that_switches_protocols_is_disconnected(gateway, trap_server):
    gateway.send("/prober", fetching("http", trap_server.address, "/upgrade"))
    eventually(lambda: gateway.connections(trap_server.port) == 0, "the connection is closed with the call")


UPLOADS = ["swallow", "deaf", "silent", "endless-body"]


@pytest.mark.parametrize("trap_name", UPLOADS)
def test_a_body_that_never_ends_is_contained(gateway, upstream, trap_server, trap_name):
    """What the other side leaves unread is given up too, some time after the call."""
    assert_contained(gateway, upstream, "/prober", instruct("upload", f"http|{trap_server.address}|/{trap_name}"))


@pytest.mark.parametrize("trap_name", UPLOADS)
def test_requests_without_end_are_contained(gateway, upstream, crowded, trap_name):
    assert_contained(gateway, upstream, "/prober", instruct("fan-out", f"http|{crowded.address}|/{trap_name}"))
    eventually(lambda: gateway.connections(crowded.port) <= 64, "no more connections than requests that one call may send")


def test_disconnected_clients_leave_nothing_behind(gateway, trap_server):
    for trap_name in TRAPS:
        for word in ("fetch", "upload"):
            connection = connect(gateway.url)
            begin(connection, "GET", "/prober", instruct(word, f"http|{trap_server.address}|/{trap_name}"))
            connection.close()
    assert gateway.send("/patient", fetching("http", trap_server.address)).status == 200


def test_memory_is_freed(gateway, trap_server):
    targets = [f"http|{trap_server.address}|/{trap_name}" for trap_name in TRAPS]
    requests = [("/prober", instruct(word, target)) for target in targets for word in ("fetch", "upload")]
    assert set(send_all(gateway, requests, at_once=8)) == {503}
    warm = resident_mib(gateway)
    for _ in range(2):
        assert set(send_all(gateway, requests, at_once=8)) == {503}
    assert_settles(gateway, warm + MAX_GROWTH_MIB)
    eventually(lambda: gateway.connections(trap_server.port) == 0, "every connection is closed", seconds=60)
    assert gateway.send("/elsewhere", basic("carol")).status == 200
