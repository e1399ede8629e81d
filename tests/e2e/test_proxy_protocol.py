"""The PROXY protocol: trusted proxies give the client's address, and other peers are refused."""

import shutil
import socket
import ssl
import struct

import pytest

from harness.client import ALICE, open_tcp, open_unix, received, send_over
from harness.config import protected
from harness.gateway import ADMIN
from harness.process import Child, eventually, with_free_ports
from harness.upstream import values

TRUSTED = 'trusted_proxies = ["127.0.0.1"]\nproxy_protocol = true\n'
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client, family="TCP4"):
    return f"PROXY {family} {client} {client} 4711 443\r\n".encode()


def v2(client, command=1, more=b""):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    address = socket.inet_pton(family, client)
    rest = address * 2 + struct.pack("!HH", 4711, 443) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([0x20 | command, kind]) + struct.pack("!H", len(rest)) + rest


def v2_without_address(command=1, kind=0, rest=b""):
    return SIGNATURE + bytes([0x20 | command, kind]) + struct.pack("!H", len(rest)) + rest


def ask(gateway, header, headers=()):
    [address] = gateway.addresses()
    return send_over(open_tcp(address), "/", ALICE | dict(headers), before=header)


def refused(gateway, reason):
    """How many connections were refused for this reason."""
    return gateway.metric("portcullis_proxy_protocol_refused_total", reason=reason) or 0


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(ADMIN + protected(shared_upstream), server=TRUSTED)


@pytest.mark.parametrize(
    "header, client",
    [
        (v1("192.0.2.1"), "192.0.2.1"),
        (v1("2001:db8::1", "TCP6"), "2001:db8::1"),
        (v2("192.0.2.1"), "192.0.2.1"),
        (v2("2001:db8::1"), "2001:db8::1"),
        (v2("::ffff:192.0.2.1"), "192.0.2.1"),
        (v2("192.0.2.1", more=b"\x01\0\x02h2\x04\0\x40" + bytes(64)), "192.0.2.1"),
        (v2("192.0.2.1", command=0), "127.0.0.1"),
        (v2_without_address(command=0), "127.0.0.1"),
        (v2_without_address(), "unknown"),
        (v2_without_address(kind=0x31, rest=bytes(216)), "unknown"),
        (b"PROXY UNKNOWN\r\n", "unknown"),
    ],
)
def test_the_proxy_protocol_header_gives_the_client_address(gateway, upstream, header, client):
    assert ask(gateway, header).status == 200
    assert values(upstream.seen[0], "x-forwarded-for") == [client]
    assert gateway.logged(message="decision")[-1]["client"] == client


@pytest.mark.parametrize(
    "header, hops, client",
    [
        # Clients of the proxy are not trusted proxies unless they are listed, too.
        (v1("192.0.2.1"), "192.0.2.1", "192.0.2.1"),
        (v1("127.0.0.1"), "6.6.6.6, 127.0.0.1", "6.6.6.6"),
        (b"PROXY UNKNOWN\r\n", "unknown", "unknown"),
        # The proxy itself is one of them.
        (v2_without_address(command=0), "6.6.6.6, 127.0.0.1", "6.6.6.6"),
    ],
)
def test_x_forwarded_for_counts_from_trusted_proxies_only(gateway, upstream, header, hops, client):
    assert ask(gateway, header, {"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert values(upstream.seen[0], "x-forwarded-for") == [hops]
    assert gateway.logged(message="decision")[-1]["client"] == client


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        REQUEST,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.1 4711 443\n" + REQUEST,
        b"PROXY TCP4 192.0.2.1\r\n" + REQUEST,
        b"PROXY TCP4 localhost localhost 4711 443\r\n" + REQUEST,
        b"PROXY UNKNOWN " + b"x" * 93 + b"\r\n" + REQUEST,
        b"PROXY " + b"x" * 100_000,
        v1("192.0.2.1")[:-2] + b"\r\r\n" + REQUEST,
        v2("192.0.2.1", command=2) + REQUEST,
        v2_without_address(kind=0x12, rest=bytes(12)) + REQUEST,
        v2_without_address(kind=0x11, rest=bytes(11)) + REQUEST,
        v2_without_address(kind=0x51, rest=bytes(12)) + REQUEST,
        SIGNATURE + b"\x31\x11\0\x0c" + bytes(12) + REQUEST,
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(70_000) + REQUEST,
    ],
)
def test_a_connection_that_begins_otherwise_is_closed_unanswered(gateway, upstream, sent):
    [address] = gateway.addresses()
    before = refused(gateway, "malformed")
    wire = open_tcp(address)
    try:
        wire.sendall(sent)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert received(wire) == b""
    assert upstream.seen == []
    eventually(lambda: refused(gateway, "malformed") == before + 1, "it is counted")


@pytest.mark.parametrize("sent", [v1("192.0.2.1"), v2("192.0.2.1")])
def test_a_header_that_ends_too_early_is_no_header(gateway, upstream, sent):
    [address] = gateway.addresses()
    for end in (0, 1, 11, 12, 13, 16, len(sent) - 1):
        wire = open_tcp(address)
        wire.sendall(sent[:end])
        wire.shutdown(socket.SHUT_WR)
        assert received(wire) == b""
    assert upstream.seen == []


def test_a_header_may_come_byte_by_byte_and_the_request_with_it(gateway, upstream):
    [address] = gateway.addresses()
    for header in (v1("192.0.2.1"), v2("192.0.2.1")):
        wire = open_tcp(address)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header[:-1]:
            wire.sendall(bytes([byte]))
        assert send_over(wire, "/", ALICE, before=header[-1:]).status == 200
    assert [values(seen, "x-forwarded-for") for seen in upstream.seen] == [["192.0.2.1"]] * 2


def test_a_header_that_never_ends_is_given_up(serve, upstream):
    gateway = serve(ADMIN + protected(upstream), server=TRUSTED + 'header_timeout = "300ms"\n')
    [address] = gateway.addresses()
    for sent in (b"", b"PROXY TCP4 192", SIGNATURE + b"\x21\x11\0\x0c\0"):
        wire = open_tcp(address)
        wire.sendall(sent)
        assert received(wire) == b""
    eventually(lambda: refused(gateway, "late") == 3, "they are counted")


@pytest.mark.parametrize(
    "server",
    [
        'trusted_proxies = ["10.0.0.1"]\nproxy_protocol = true\n',
        'trusted_proxies = ["127.0.0.1"]\nproxy_protocol = ["10.0.0.1", "unix"]\n',
    ],
)
@pytest.mark.parametrize("header", [b"", v1("192.0.2.1"), v2("192.0.2.1"), v2_without_address(command=0)])
def test_connections_from_other_peers_are_closed(serve, upstream, server, header):
    gateway = serve(ADMIN + protected(upstream), server=server)
    [address] = gateway.addresses()
    wire = open_tcp(address)
    try:
        wire.sendall(header + REQUEST)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert received(wire) == b""
    assert upstream.seen == []
    eventually(lambda: refused(gateway, "peer") == 1, "it is counted")


def test_a_proxy_header_without_proxy_protocol_is_a_bad_request(serve, upstream):
    gateway = serve(protected(upstream), server='trusted_proxies = ["127.0.0.1"]\n')
    [address] = gateway.addresses()
    wire = open_tcp(address)
    wire.sendall(v1("192.0.2.1") + REQUEST)
    assert received(wire).startswith(b"HTTP/1.1 400 ")
    assert upstream.seen == []


def test_peers_of_the_proxy_protocol_are_not_trusted_proxies(serve, upstream):
    gateway = serve(protected(upstream), server='proxy_protocol = ["127.0.0.1"]\n')
    assert ask(gateway, v1("127.0.0.1"), {"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert values(upstream.seen[0], "x-forwarded-for") == ["127.0.0.1"]


def test_each_client_of_the_proxy_has_its_own_rate(serve, upstream):
    config = protected(upstream).replace('"simple"', '"simple"\nlimits.rate = "1/h"')
    gateway = serve(config, server=TRUSTED)
    statuses = [ask(gateway, v2(client)).status for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1")]
    assert statuses == [200, 429, 200, 429]


def test_tls_follows_the_proxy_header(serve, upstream, authority):
    cert, key = authority.issue("server")
    gateway = serve(protected(upstream), server=f'{TRUSTED}tls = {{ cert = "{cert}", key = "{key}" }}\n')
    [address] = gateway.addresses()
    context = ssl.create_default_context(cafile=authority.ca)
    for header in (v1("192.0.2.1"), v2("192.0.2.1")):
        wire = open_tcp(address)
        wire.sendall(header)
        assert send_over(context.wrap_socket(wire, server_hostname="localhost"), "/", ALICE).status == 200
    assert [values(seen, "x-forwarded-for") for seen in upstream.seen] == [["192.0.2.1"]] * 2


def test_a_proxy_may_come_by_a_unix_socket(serve, upstream, tmp_path):
    path = tmp_path / "gateway.sock"
    serve(protected(upstream), listen=f'"unix:{path}"', server='trusted_proxies = ["unix"]\nproxy_protocol = true\n')
    assert send_over(open_unix(path), "/", ALICE, before=v2("192.0.2.1")).status == 200
    assert values(upstream.seen[0], "x-forwarded-for") == ["192.0.2.1"]


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"])
def test_haproxy_sends_client_addresses(gateway, upstream, tmp_path, option):
    [address] = gateway.addresses()

    def start(port):
        file = tmp_path / "haproxy.cfg"
        file.write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
            f"listen gateway\n  bind 127.0.0.1:{port}\n  unique-id-format %[uuid()]\n"
            f"  server gateway {address} {option}\n"
        )
        program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        child = Child([program, "-f", file], tmp_path / "haproxy.log")
        child.wait_until(lambda: accepts(port), "HAProxy listens")
        return child, port

    child, port = with_free_ports(1, start)
    try:
        with socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.3", 0)) as wire:
            assert send_over(wire, "/", ALICE).status == 200
        assert values(upstream.seen[0], "x-forwarded-for") == ["127.0.0.3"]
    finally:
        child.kill()


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
