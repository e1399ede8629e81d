"""https upstreams: trusted authorities, server names, and client certificates of the gateway."""

import datetime
import socket
import subprocess

import pytest

from harness.client import ALICE
from harness.config import PEOPLE, route, upstream
from harness.scripted import answers, tls_context
from harness.sockets import SocketServer


def why(gateway):
    """What the operator reads about the one request that failed."""
    [line] = gateway.logged(message="the upstream gave no response")
    return line["why"]


def test_a_server_with_a_certificate_of_the_authority_is_asked(serve, scripted_upstream, authority):
    server = scripted_upstream(answers(), tls=tls_context(authority.issue("server")))
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"'))
    assert [gateway.send("/", ALICE).body for _ in range(3)] == [b"ok"] * 3
    assert len(server.connections) == 1, "one connection serves them all"


@pytest.mark.parametrize(
    ("issuer", "host", "name", "reason"),
    [
        ("authority", "hub.example", "", "its certificate is for "),
        ("authority", "hub.example", 'server_name = "other.example"', "its certificate is for "),
        ("stranger", "localhost", "", "comes from no authority that is trusted here"),
    ],
    ids=["wrong address", "wrong name", "wrong authority"],
)
def test_a_server_that_is_not_the_one_is_never_asked(
    serve, scripted_upstream, authority, stranger, issuer, host, name, reason
):
    issuer = {"authority": authority, "stranger": stranger}[issuer]
    # The certificate is for 127.0.0.1 too, so that only a name can be wrong.
    server = scripted_upstream(answers(), tls=tls_context(issuer.issue("server", host)))
    url = server.url if name or issuer is stranger else server.url.replace("127.0.0.1", "localhost")
    config = upstream(server, more=f'ca = "{authority.ca}"\n{name}').replace(server.url, url)
    gateway = serve(config)
    answer = gateway.send("/", ALICE)
    assert answer.status == 502
    assert answer.json() == {"error": "The upstream can't be reached"}
    assert reason in why(gateway)
    assert server.connections == []


def test_a_server_may_be_known_by_another_name(serve, scripted_upstream, authority):
    names = []
    context = tls_context(authority.issue("server", "hub.example"))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = scripted_upstream(answers(), tls=context)
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"\nserver_name = "hub.example"'))
    assert gateway.send("/", ALICE).status == 200
    assert names == ["hub.example"]


def test_without_an_authority_the_systems_decide(serve, scripted_upstream, authority):
    server = scripted_upstream(answers(), tls=tls_context(authority.issue("server")))
    gateway = serve(PEOPLE + route(server, "people"))
    assert gateway.send("/", ALICE).status == 502
    assert "comes from no authority that is trusted here" in why(gateway)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_server_that_speaks_no_tls_is_never_asked(serve, scripted_upstream, authority, protocol):
    server = scripted_upstream(lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    server.url = server.url.replace("http:", "https:")
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"\nprotocol = "{protocol}"'))
    assert gateway.send("/", ALICE).status == 502
    assert "TLS" in why(gateway)


def test_the_gateway_shows_its_certificate(serve, scripted_upstream, authority, stranger):
    context = tls_context(authority.issue("server"), clients=authority)
    server = scripted_upstream(
        lambda connection: (server.seen.append(connection.wire.getpeercert()["subject"]), answers()(connection)),
        tls=context,
    )
    good, bad = authority.issue("gateway"), stranger.issue("gateway")

    def status(files):
        identity = f'certificate = "{files[0]}"\nkey = "{files[1]}"' if files else ""
        return serve(upstream(server, more=f'ca = "{authority.ca}"\n{identity}')).send("/", ALICE).status

    assert [status(good), status(None), status(bad)] == [200, 502, 502]
    assert server.seen == [((("commonName", "gateway"),),)]


@pytest.mark.parametrize(
    ("offered", "said"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], None), ([], None)],
    ids=["told", "agreed", "no word"],
)
def test_http_1_1_is_used_when_configured_or_negotiated(serve, scripted_upstream, authority, offered, said):
    server = scripted_upstream(answers(), tls=tls_context(authority.issue("server"), offered))
    protocol = f'protocol = "{said}"' if said else ""
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"\n{protocol}'))
    assert gateway.send("/", ALICE).body == b"ok"
    [line] = server.connections
    assert line.wire.selected_alpn_protocol() == ("http/1.1" if offered else None)


def test_a_handshake_that_never_ends_is_a_504(serve, scripted_upstream):
    server = scripted_upstream(lambda connection: connection.rest())
    server.url = server.url.replace("http:", "https:")
    gateway = serve(upstream(server, more='connect_timeout = "300ms"'))
    assert gateway.send("/", ALICE).status == 504
    assert why(gateway) == "it couldn't be reached in time"


def test_a_body_that_ends_with_its_connection_is_whole_only_if_tls_says_so(serve, scripted_upstream, authority):
    def cut(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        # The socket below TLS ends without TLS having said goodbye.
        socket.socket(fileno=connection.wire.detach()).close()

    def whole(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole")
        connection.wire.unwrap()

    server = scripted_upstream(whole, cut, tls=tls_context(authority.issue("server")))
    gateway = serve(upstream(server, more=f'ca = "{authority.ca}"'))
    assert gateway.send("/", ALICE).body == b"whole"
    with pytest.raises(Exception, match="IncompleteRead"):
        gateway.send("/", ALICE)


# Certificates that the operator names themselves (row A8 of the field reports)


def self_signed(folder, *extensions, days="1"):
    """A certificate as `openssl req -x509` makes it: its own authority, without a name unless extensions give it one."""
    certificate, key = folder / "self.pem", folder / "self.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=whatever", "-days", days]
    added = [word for extension in extensions for word in ("-addext", extension)]
    subprocess.run([*words, *added, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("extensions", [(), ("basicConstraints=critical,CA:FALSE",), ("extendedKeyUsage=clientAuth",)])
@pytest.mark.parametrize("protocol", ["", 'protocol = "http/1.1"'])
def test_a_certificate_that_is_named_itself_is_trusted_as_it_is(serve, scripted_upstream, tmp_path, extensions, protocol):
    pair = self_signed(tmp_path, *extensions)
    server = scripted_upstream(answers(), tls=tls_context(pair))
    gateway = serve(upstream(server, more=f'ca = "{pair[0]}"\n{protocol}'))
    assert gateway.send("/", ALICE).body == b"ok"


def test_a_named_certificate_vouches_for_no_other(serve, scripted_upstream, tmp_path, authority):
    named, _ = self_signed(tmp_path)
    server = scripted_upstream(answers(), tls=tls_context(authority.issue("server")))
    gateway = serve(upstream(server, more=f'ca = "{named}"'))
    assert gateway.send("/", ALICE).status == 502
    assert "comes from no authority that is trusted here" in why(gateway)


def test_a_named_certificate_that_has_expired_is_refused(serve, scripted_upstream, authority):
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    pair = authority.issue("old", between=(now - 2 * day, now - day))
    server = scripted_upstream(answers(), tls=tls_context(pair))
    gateway = serve(upstream(server, more=f'ca = "{pair[0]}"'))
    assert gateway.send("/", ALICE).status == 502
    assert "certificate has expired" in why(gateway)


def test_a_certificate_of_an_authority_is_explained(serve, scripted_upstream, tmp_path):
    server = scripted_upstream(answers(), tls=tls_context(self_signed(tmp_path)))
    other = tmp_path / "other"
    other.mkdir()
    gateway = serve(upstream(server, more=f'ca = "{self_signed(other)[0]}"'))
    assert gateway.send("/", ALICE).status == 502
    assert "name that certificate itself as ca" in why(gateway) or "name the authority's file as ca" in why(gateway)


class PlainServer(SocketServer):
    def serve(self, wire):
        wire.recv(100)
        wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_server_without_tls_is_explained(serve):
    with PlainServer() as server:
        gateway = serve(upstream(server).replace(server.url, f"https://{server.address}"))
        assert gateway.send("/", ALICE).status == 502
    assert "doesn't speak TLS at this port" in why(gateway)
