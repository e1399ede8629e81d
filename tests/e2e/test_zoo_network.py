"""Plugins that want where they were not granted, by every spelling, and servers that never let go of them."""

import pytest

from harness.client import basic, begin, connect
from harness.gateway import run
from harness.process import eventually
from harness.snares import Snares, Trap
from harness.zoo import ENOUGH_MIB, PATIENT, authenticator, contained, resident_mib, round_of, settles, told, zoo

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

RUDE = ["127.0.0.1:T\r\nX: ", "127.0.0.1 :T", "127.0.0.1:T ", " 127.0.0.1:T", "127.0.0.1\t:T", "127.0.0.1\0:T", "", "\0"]

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

SNARES = """
    silent slow-head slow-body slow-length endless-body endless-chunk-line endless-head endless-line endless-trailers
    endless-hints endless-rubbish broken-body two-lengths
""".split()


@pytest.fixture(scope="module")
def trap():
    server = Trap()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def snares():
    with Snares() as server:
        yield server


@pytest.fixture(scope="module")
def crowded():
    """Snares that many connections wait at: the gateway keeps some that were made for nothing, for later requests."""
    with Snares() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, prober_component, trap, snares, crowded):
    """`prober` and `patient` are granted the snares by address; `named` the trap by names that lead there."""
    narrow = f'headers = ["x-do"]\nhttp = ["http://{snares.address}", "http://{crowded.address}"]'
    names = ", ".join(f'"http://{name}:{trap.port}"' for name in GRANTED_NAMES + ["*.localdomain"])
    below = f'headers = ["x-do"]\nhttp = ["http://{snares.address}/api"]'
    plugins = {
        "prober": authenticator("prober", prober_component, narrow),
        "patient": authenticator("patient", prober_component, narrow, PATIENT),
        "named": authenticator("named", prober_component, f'headers = ["x-do"]\nhttp = [{names}]', PATIENT),
        "below": authenticator("below", prober_component, below, PATIENT),
    }
    return serve_module(zoo(shared_upstream, plugins))


def fetching(scheme, authority, path="/fine"):
    return told("fetch-hex", f"{scheme}|{authority}|{path}".encode().hex())


def test_the_granted_server_answers(gateway, upstream, snares):
    """Else the tests below would show nothing."""
    snares.heard.clear()
    assert gateway.send("/patient", told("fetch", f"http|{snares.address}|/fine")).status == 200
    assert gateway.send("/patient", fetching("http", snares.address)).status == 200
    assert gateway.send("/below", fetching("http", snares.address, "/api/fine")).status == 200
    assert len(snares.heard) == 3


def spelt(text, trap, snares):
    return text.replace("T", str(trap.port)).replace("G", snares.address)


@pytest.mark.parametrize("spelling", SPELLINGS + RUDE)
def test_no_spelling_leads_there(gateway, upstream, trap, snares, spelling):
    snares.heard.clear()
    contained(gateway, upstream, "/patient", fetching("http", spelt(spelling, trap, snares)))
    contained(gateway, upstream, "/named", fetching("http", spelt(spelling, trap, snares)))
    assert trap.sprung() is None
    assert snares.heard == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_other_scheme_leads_there(gateway, upstream, trap, snares, scheme):
    snares.heard.clear()
    contained(gateway, upstream, "/patient", fetching(scheme, f"127.0.0.1:{trap.port}"))
    contained(gateway, upstream, "/patient", fetching(scheme, snares.address))
    assert trap.sprung() is None
    assert snares.heard == []


def test_no_grant_spells_this_machine_in_another_way(prober_component, tmp_path):
    names = ", ".join(f'"http://{name}"' for name in [*NAMES, "*.localhost"])
    config = authenticator("named", prober_component, f"http = [{names}]")
    result = run("check", folder=tmp_path, config=config)
    assert result.returncode == 1
    for index in range(len(NAMES) + 1):
        assert f"authenticators.named.grants.http[{index}]: " in result.stderr, [*NAMES, "*.localhost"][index]


@pytest.mark.parametrize("name", GRANTED_NAMES)
def test_a_name_that_was_granted_leads_to_no_special_address(gateway, upstream, trap, name):
    contained(gateway, upstream, "/named", fetching("http", f"{name}:{trap.port}"))
    assert trap.sprung() is None


PATHS = "http://127.0.0.1:T/ //127.0.0.1:T/ /\\127.0.0.1:T/ @127.0.0.1:T/ :T/ /../ *".split()


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_elsewhere(gateway, trap, snares, path):
    """The granted server may be asked for anything."""
    gateway.send("/patient", fetching("http", snares.address, spelt(path, trap, snares)))
    assert trap.sprung() is None


BELOW = """
    /admin / /apiary /api/../admin /api/./../admin /api/%2e%2e/admin /api/%2E%2E/admin /api/..%2fadmin /api/..%5cadmin
    /api/..\\admin /api/.. /api/%2e%2e //api /API /api%2f..%2fadmin /api/x/../../admin ?/api
""".split()


@pytest.mark.parametrize("path", BELOW)
def test_a_grant_below_a_path_ends_there(gateway, upstream, snares, path):
    snares.heard.clear()
    contained(gateway, upstream, "/below", fetching("http", snares.address, path))
    assert snares.heard == []


def test_a_scan_of_ports_finds_nothing(gateway, upstream, trap, snares):
    """An open port looks like a closed one."""
    snares.heard.clear()
    ports = [22, 80, 443, 8080, trap.port, *range(trap.port - 120, trap.port + 120)]
    said = set()
    for start in range(0, len(ports), 25):
        targets = [f"http|127.0.0.1:{port}|/" for port in ports[start : start + 25] if 0 < port < 65536]
        lines = contained(gateway, upstream, "/patient", told("fetch", *[t for t in targets if snares.address not in t]))
        [why] = [line["why"] for line in lines if line["message"] == "an authenticator could not decide"]
        said |= set(why.split(", "))
    assert trap.sprung() is None
    assert snares.heard == []
    assert said == {"HttpRequestDenied"}


REDIRECTS = """
    http://127.0.0.1:T/ http://localhost:T/ http://[::1]:T/ http://2130706433:T/ https://G/fine http://169.254.169.254/
    file:///etc/passwd //127.0.0.1:T/ http://G@127.0.0.1:T/
""".split()


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_out_of_the_grant_is_not_followed(gateway, upstream, trap, snares, location):
    """Neither by the gateway nor, though it tries, by the plugin."""
    snares.heard.clear()
    snares.redirect = spelt(location, trap, snares)
    assert gateway.send("/patient", fetching("http", snares.address, "/elsewhere")).status == 200
    assert len(snares.heard) == 1, "the gateway itself follows nothing"
    contained(gateway, upstream, "/patient", told("follow", f"http|{snares.address}|/elsewhere"))
    assert trap.sprung() is None
    assert len(snares.heard) == 2


def test_a_redirect_within_the_grant_is_the_plugins_to_follow(gateway, upstream, snares):
    snares.redirect = f"http://{snares.address}/fine"
    assert gateway.send("/patient", told("follow", f"http|{snares.address}|/elsewhere")).status == 200


@pytest.mark.parametrize("snare", SNARES)
def test_a_server_that_never_ends_is_contained(gateway, upstream, snares, snare):
    contained(gateway, upstream, "/prober", fetching("http", snares.address, f"/{snare}"))
    eventually(lambda: gateway.connections(snares.port) == 0, "the connection is closed with the call")


def test_a_server_that_speaks_another_protocol_at_once_is_let_go(gateway, snares):
    gateway.send("/prober", fetching("http", snares.address, "/upgrade"))
    eventually(lambda: gateway.connections(snares.port) == 0, "the connection is closed with the call")


UPLOADS = ["swallow", "deaf", "silent", "endless-body"]


@pytest.mark.parametrize("snare", UPLOADS)
def test_a_body_that_never_ends_is_contained(gateway, upstream, snares, snare):
    """What the other side leaves unread is given up too, some time after the call."""
    contained(gateway, upstream, "/prober", told("upload", f"http|{snares.address}|/{snare}"))


@pytest.mark.parametrize("snare", UPLOADS)
def test_requests_without_end_are_contained(gateway, upstream, crowded, snare):
    contained(gateway, upstream, "/prober", told("fan-out", f"http|{crowded.address}|/{snare}"))
    eventually(lambda: gateway.connections(crowded.port) <= 64, "no more connections than requests that one call may send")


def test_nothing_stays_when_clients_leave(gateway, snares):
    for snare in SNARES:
        for word in ("fetch", "upload"):
            connection = connect(gateway.url)
            begin(connection, "GET", "/prober", told(word, f"http|{snares.address}|/{snare}"))
            connection.close()
    assert gateway.send("/patient", fetching("http", snares.address)).status == 200


def test_memory_returns(gateway, snares):
    targets = [f"http|{snares.address}|/{snare}" for snare in SNARES]
    requests = [("/prober", told(word, target)) for target in targets for word in ("fetch", "upload")]
    assert set(round_of(gateway, requests, at_once=8)) == {503}
    warm = resident_mib(gateway)
    for _ in range(2):
        assert set(round_of(gateway, requests, at_once=8)) == {503}
    settles(gateway, warm + ENOUGH_MIB)
    eventually(lambda: gateway.connections(snares.port) == 0, "every connection is closed", seconds=60)
    assert gateway.send("/elsewhere", basic("carol")).status == 200
