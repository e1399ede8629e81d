"""`[[server.passthrough]]`: TLS connections for other hosts are forwarded byte for byte; all others are served.

A recording server takes the place of the TLS server, so that every byte can be compared.
"""

import os
import socket
import ssl

import pytest

from harness.client import received
from harness.config import protected, whoami
from harness.gateway import ADMIN, run
from harness.process import eventually
from harness.recording_server import RecordingServer

OTHER = "daskgateway-0123456789abcdef"


@pytest.fixture(scope="module")
def server(authority):
    cert, key = authority.issue("server")
    return f'header_timeout = "2s"\n[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'


@pytest.fixture
def other():
    with RecordingServer() as behind:
        yield behind


def passes(address, sni="daskgateway-*", more=""):
    return f'[[server.passthrough]]\nsni = "{sni}"\nupstream = "{address}"\n{more}\n'


@pytest.fixture
def gateway(serve, upstream, server, other):
    return serve(ADMIN + protected(upstream), server=server + passes(other.address))


def hello(name, tls12=False):
    """What OpenSSL says first to a host of this name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    said = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return said.read()


def split_into_records(whole, size):
    """The same ClientHello in records of this size (RFC 8446, section 5.1)."""
    body = whole[5:]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(whole[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def arrived(other, data, index=-1):
    taken = eventually(lambda: other.connections and other.connections[index], "a connection is passed on")
    eventually(lambda: len(taken.received) >= len(data), "all of it arrives")
    assert taken.received == data
    return taken


SHAPES = {
    "TLS 1.3": lambda: hello(OTHER),
    "TLS 1.2": lambda: hello(OTHER, tls12=True),
    "capitals": lambda: hello(OTHER.upper()),
    "records of 50 bytes": lambda: split_into_records(hello(OTHER), 50),
    "records of 1 byte": lambda: split_into_records(hello(OTHER), 1),
    "more behind it": lambda: hello(OTHER) + b"early",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_byte_goes_on_and_comes_back(gateway, upstream, other, shape):
    first = SHAPES[shape]()
    with gateway.open() as client:
        client.sendall(first)
        taken = arrived(other, first)
        taken.send(b"an answer")
        assert client.recv(100) == b"an answer"
        client.sendall(b"\x00more")
        arrived(other, first + b"\x00more")
    assert taken.ended.wait(10)
    assert upstream.seen == []


def test_a_hello_may_come_byte_by_byte(gateway, other):
    first = hello(OTHER)
    with gateway.open() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in first:
            client.sendall(bytes([byte]))
        arrived(other, first)


def test_each_side_may_end_before_the_other(gateway, other):
    first = hello(OTHER)
    with gateway.open() as client:
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        taken = arrived(other, first)
        assert taken.ended.wait(10)
        taken.send(b"late")
        taken.half_close()
        assert client.recv(100) == b"late"
        assert client.recv(100) == b""


def own(gateway, authority, name):
    """The status that the gateway itself answers with, on TLS to a host of this name."""
    context = ssl.create_default_context(cafile=authority.ca)
    context.check_hostname = False
    with context.wrap_socket(gateway.open(), server_hostname=name) as session:
        session.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return int(session.recv(65536).split()[1])


@pytest.mark.parametrize("name", ["localhost", None, "daskgateway", "x-daskgateway-1", "daskgatewa", "example.org"])
def test_other_names_are_the_gateways_own(gateway, authority, other, name):
    assert own(gateway, authority, name) == 401
    assert other.connections == []


@pytest.mark.parametrize(
    "sni, passed, kept",
    [
        ("db.example", ["db.example", "DB.example"], ["a.db.example", "db.example.org"]),
        ("*.db.example", ["a.db.example", "a.b.db.example"], ["db.example", "adb.example"]),
    ],
)
def test_names_may_be_exact_or_end_alike(serve, upstream, server, authority, other, sni, passed, kept):
    gateway = serve(protected(upstream), server=server + passes(other.address, sni))
    for index, name in enumerate(passed):
        with gateway.open() as client:
            client.sendall(hello(name))
            eventually(lambda count=index + 1: len(other.connections) == count, name)
    for name in kept:
        assert own(gateway, authority, name) == 401, name
    assert len(other.connections) == len(passed)


def mangled(first):
    """The same hello with an extension of the wrong length."""
    at = first.index(OTHER.encode())
    return first[: at - 2] + b"\xff\xff" + first[at:]


def long(first):
    """A hello that says to be 60,000 bytes long."""
    return b"\x16\x03\x01\x40\x00\x01\x00\xea\x60" + first[9:] + bytes(16_384)


GARBAGE = {
    "HTTP": lambda: b"GET / HTTP/1.1\r\nHost: " + OTHER.encode() + b"\r\n\r\n",
    "nothing": lambda: b"",
    "half a hello": lambda: hello(OTHER)[:100],
    "noise": lambda: os.urandom(3000),
    "a hello that lies": lambda: mangled(hello(OTHER)),
    "a hello without an end": lambda: long(hello(OTHER)),
    "SSH": lambda: b"SSH-2.0-OpenSSH_9.2\r\n",
    "an alert": lambda: b"\x15\x03\x01\x00\x02\x02\x28",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_goes_nowhere(gateway, upstream, authority, other, case):
    with gateway.open() as client:
        client.sendall(GARBAGE[case]())
        assert not received(client).startswith(b"HTTP")
    assert other.connections == [] and upstream.seen == []
    assert own(gateway, authority, "localhost") == 401


def test_passed_through_connections_are_logged_and_counted(gateway, other):
    with gateway.open() as client:
        client.sendall(hello(OTHER))
        eventually(lambda: other.connections, "it is passed on")
        [opened] = eventually(lambda: gateway.logged(message="passthrough opened"), "its beginning is written down")
        assert gateway.metric("portcullis_passthrough_open", sni="daskgateway-*") == 1
        assert opened["sni"] == OTHER and opened["client"] == "127.0.0.1" and opened["upstream"] == other.address
        other.connections[0].send(b"four")
        assert client.recv(4) == b"four"
        other.connections[0].half_close()
        client.recv(1)
    [closed] = eventually(lambda: gateway.logged(message="passthrough closed"), "its end is written down")
    assert (closed["sni"], closed["received"]) == (OTHER, 4)
    assert closed["sent"] == len(other.connections[0].received)
    name = "portcullis_passthrough_connections_total"
    assert gateway.metric(name, sni="daskgateway-*", outcome="opened") == 1
    eventually(lambda: gateway.metric("portcullis_passthrough_open", sni="daskgateway-*") == 0, "none is open")


def test_an_upstream_that_is_gone_ends_the_connection(serve, upstream, server, authority, unreachable):
    gateway = serve(ADMIN + protected(upstream), server=server + passes(unreachable().address))
    with gateway.open() as client:
        client.sendall(hello(OTHER))
        assert client.recv(100) == b""
    assert gateway.metric("portcullis_passthrough_connections_total", outcome="unreachable") == 1
    assert gateway.logged(message="a connection was not forwarded")
    assert own(gateway, authority, "localhost") == 401


def test_no_more_are_passed_on_than_there_are_places(serve, upstream, server, authority, other):
    gateway = serve(ADMIN + protected(upstream), server=server + passes(other.address, more="max_connections = 2"))
    clients = [gateway.open() for _ in range(2)]
    for client in clients:
        client.sendall(hello(OTHER))
    eventually(lambda: len(other.connections) == 2, "two are passed on")
    with gateway.open() as third:
        third.sendall(hello(OTHER))
        assert third.recv(100) == b""
    assert gateway.metric("portcullis_passthrough_connections_total", outcome="full") == 1
    assert own(gateway, authority, "localhost") == 401, "the others are served"
    for taken in other.connections:
        taken.half_close()
    for client in clients:
        client.close()
    eventually(lambda: gateway.metric("portcullis_passthrough_open") == 0, "the places are free again")
    with gateway.open() as fourth:
        fourth.sendall(hello(OTHER))
        eventually(lambda: len(other.connections) == 3, "another is passed on")


def test_passed_through_connections_end_with_the_gateway(serve, upstream, server, other):
    gateway = serve(protected(upstream), server='shutdown_timeout = "1s"\n' + server + passes(other.address))
    with gateway.open() as client:
        client.sendall(hello(OTHER))
        eventually(lambda: other.connections, "it is passed on")
        gateway.stop()
        assert other.connections[0].ended.wait(10)
        assert client.recv(100) == b""


def test_client_certificates_are_not_demanded_of_passed_through_connections(serve, upstream, authority, other):
    """The server behind demands them, if any does."""
    cert, key = authority.issue("demanding")
    tls = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\nclient_ca = "{authority.ca}"\n'
    gateway = serve(protected(upstream), server=tls + passes(other.address))
    with gateway.open() as client:
        first = hello(OTHER)
        client.sendall(first)
        arrived(other, first)
    assert upstream.seen == []


MISTAKES = [
    ("", "needs TLS on the listener"),
    ('sni = "*"', 'is not a host name, its beginning such as "daskgateway-*"'),
    ('upstream = "127.0.0.1"', "is not a host and a port"),
    ('upstream = "http://127.0.0.1:1"', "is not a host and a port"),
    ("max_connections = 0", "must be 1 to 10000"),
]


@pytest.mark.parametrize("lines, said", MISTAKES)
def test_mistakes_in_passthrough_are_reported(tmp_path, server, lines, said):
    good = {"sni": 'sni = "a.example"', "upstream": 'upstream = "127.0.0.1:1"'}
    listed = "\n".join(line for key, line in good.items() if not lines.startswith(key)) + "\n" + lines
    tls = "[server]\n" + ("" if lines == "" else server)
    config = f"{tls}\n[[server.passthrough]]\n{listed}\n"
    result = run("check", folder=tmp_path, config=config + whoami())
    assert result.returncode == 1
    assert "server.passthrough" in result.stderr and said in result.stderr


def test_the_server_behind_is_told_the_client(serve, upstream, server, other):
    """By a header of the PROXY protocol, version 2: `proxy-protocol.txt` of HAProxy, section 2.2."""
    gateway = serve(protected(upstream), server=server + passes(other.address, more="proxy_protocol = true"))
    first = hello(OTHER)
    with gateway.open() as client:
        client.sendall(first)
        address, port = socket.inet_aton("127.0.0.1"), int(other.address.rsplit(":", 1)[1])
        ends = address + address + (0).to_bytes(2, "big") + port.to_bytes(2, "big")
        arrived(other, b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\x0c" + ends + first)
