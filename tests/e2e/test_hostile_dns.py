"""Names whose answers change. The gateway runs with a resolver of the tests' own, which follows a script: see
`tests/peers/rebind.c`. What it takes for the internet is a server on this machine."""

import pytest

from harness import build
from harness.hostile import (
    LONG_DEADLINE,
    SHORT_DEADLINE,
    assert_contained,
    authenticator,
    configuration,
    instruct,
    send_all,
)
from harness.trap_servers import ForbiddenPort, TrapServer

PUBLIC = "93.184.215.14"
"""No address that is special; connections to it end at the tests' own server."""

SPECIAL = """
    127.0.0.1 127.8.9.10 0.0.0.0 10.1.2.3 172.20.0.1 192.168.1.1 169.254.169.254 100.64.0.1 192.0.0.1 198.18.0.1 224.0.0.1
    240.0.0.1 255.255.255.255 ::1 :: ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a9fe:a9fe::1 fd00::1 fe80::1 ff02::1 fec0::1 100::1 2001:db8::1 2001::1
""".split()
"""Each is the only answer for a name of its own."""

SCRIPT = {
    "steady": [PUBLIC],
    "turning": [PUBLIC, "127.0.0.1"],
    "turning-back": ["127.0.0.1", PUBLIC],
    "turning-at-once": [PUBLIC, "127.0.0.1", PUBLIC, "::1", PUBLIC, "::ffff:127.0.0.1"],
    "mixed": [f"127.0.0.1,{PUBLIC},::1"],
    "mixed-later": [f"{PUBLIC},127.0.0.1"],
    "crowd": [",".join(["127.0.0.1"] * 100)],
    "slow": ["never"],
} | {f"special-{n}": [address] for n, address in enumerate(SPECIAL)}


class Rebinding:
    """The gateway, and what it looked up and connected to."""

    def __init__(self, gateway, forbidden_port, log):
        self.gateway, self.forbidden_port, self.log = gateway, forbidden_port, log

    def target(self, name):
        return f"http|{name}.rebind.test:{self.forbidden_port.port}|/fine"

    def ask(self, name):
        return self.gateway.send("/patient", instruct("fetch", self.target(name))).status

    def looked_up(self, name):
        """How often."""
        return self.log.read_text().splitlines().count(f"resolve {name}.rebind.test")

    def connected(self):
        """The addresses of the port that is granted."""
        noted = [line.split(" ") for line in self.log.read_text().splitlines()]
        return {words[1] for words in noted if words[0] == "connect" and words[2] == str(self.forbidden_port.port)}


@pytest.fixture(scope="module")
def public():
    with TrapServer() as server:
        yield server


@pytest.fixture(scope="module")
def forbidden_port():
    server = ForbiddenPort()
    yield server
    server.stop()


@pytest.fixture
def rebinding(serve, upstream, prober_component, public, forbidden_port, tmp_path):
    script, log = tmp_path / "script", tmp_path / "looked-up"
    lines = [f"{name}.rebind.test {answer}" for name, answers in SCRIPT.items() for answer in answers]
    script.write_text("\n".join(lines) + "\n")
    log.touch()
    grants = f'headers = ["x-do"]\nhttp = ["http://*.rebind.test:{forbidden_port.port}"]'
    limits = {"prober": SHORT_DEADLINE, "patient": LONG_DEADLINE}
    plugins = {name: authenticator(name, prober_component, grants, own) for name, own in limits.items()}
    gateway = serve(
        configuration(upstream, plugins),
        LD_PRELOAD=str(build.rebinder()),
        REBIND_SCRIPT=str(script),
        REBIND_LOG=str(log),
        REBIND_PUBLIC_ADDRESS=PUBLIC,
        REBIND_PUBLIC_PORT=str(public.port),
    )
    public.requests.clear()
    yield Rebinding(gateway, forbidden_port, log)
    assert forbidden_port.visitor() is None


def test_the_script_is_what_the_gateway_resolves_by(rebinding, public):
    """Otherwise the tests below would prove nothing."""
    assert rebinding.ask("steady") == 200
    assert len(public.requests) == 1
    assert rebinding.looked_up("steady") == 1
    assert rebinding.connected() == {PUBLIC}


def test_dns_rebinding_reaches_no_private_address(rebinding, public):
    """From public to loopback, and once more: what is connected to is what was checked."""
    assert rebinding.ask("turning") == 200
    assert rebinding.ask("turning") == 503
    assert rebinding.ask("turning-back") == 503
    assert rebinding.ask("turning-back") == 200
    assert len(public.requests) == 2
    assert rebinding.connected() == {PUBLIC}


def test_one_request_is_one_dns_lookup(rebinding, public):
    """A second one between check and use would get the other answer."""
    statuses = [rebinding.ask("turning-at-once") for _ in range(6)]
    assert rebinding.looked_up("turning-at-once") == 6
    assert statuses == [200, 503, 200, 503, 200, 503]
    assert len(public.requests) == 3


@pytest.mark.parametrize("name", ["mixed", "mixed-later"])
def test_mixed_dns_answers_never_reach_this_machine(rebinding, public, name):
    assert rebinding.ask(name) in (200, 503)
    assert rebinding.connected() <= {PUBLIC}


def test_no_special_answer_is_connected_to(rebinding, upstream):
    for n, _ in enumerate(SPECIAL):
        assert_contained(rebinding.gateway, upstream, "/patient", instruct("fetch", rebinding.target(f"special-{n}")))
    assert_contained(rebinding.gateway, upstream, "/patient", instruct("fetch", rebinding.target("crowd")))
    assert rebinding.looked_up("crowd") == 1
    assert rebinding.connected() == set()


def test_a_resolver_that_never_answers_is_contained(rebinding, upstream):
    """And the gateway stops all the same, which the fixture sees to."""
    for _ in range(3):
        assert_contained(rebinding.gateway, upstream, "/prober", instruct("fetch", rebinding.target("slow")), "deadline")


def test_hanging_dns_lookups_delay_no_other_authenticator(rebinding):
    """More of them than the gateway has threads for look-ups."""
    flood = [("/prober", instruct("fan-out", rebinding.target("slow")))] * 12
    assert set(send_all(rebinding.gateway, flood)) == {503}
    assert rebinding.ask("steady") == 200
