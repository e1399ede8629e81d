"""TLS of the gateway's listeners: SNI, certificate reload, and client certificates."""

import os
import shutil
import socket
import ssl
import subprocess

import pytest
from cryptography import x509

from harness.client import basic, open_tcp, received
from harness.config import PEOPLE, protected, route, whoami
from harness.fronts import subrequest
from harness.gateway import ADMIN, run
from harness.process import eventually
from harness.upstream import values


def tls(files, more=""):
    cert, key = files
    return f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n{more}\n'


class Session:
    """A TLS connection to a gateway, with a request on it."""

    def __init__(self, gateway, authority, name="localhost", client=None, protocols=("http/1.1",), address=None):
        context = ssl.create_default_context(cafile=authority.ca)
        context.check_hostname = False
        context.set_alpn_protocols(list(protocols))
        if client:
            context.load_cert_chain(*client)
        wire = open_tcp(address) if address else gateway.open()
        self._socket = context.wrap_socket(wire, server_hostname=name)
        self.protocol = self._socket.selected_alpn_protocol()
        certificate = x509.load_der_x509_certificate(self._socket.getpeercert(binary_form=True))
        self.certificate = certificate.subject.rfc4514_string()

    def get(self, headers=(), path="/"):
        """The status of the answer, and everything that it says."""
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in dict(headers).items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while not _is_whole(received):
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionResetError
            received += more
        return int(received.split()[1]), received.decode()

    def close(self):
        self._socket.close()


def _is_whole(received):
    head, end, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0].split(b":")[1])


def served(gateway, authority, name="localhost"):
    """The subject of the certificate that a new client gets."""
    session = Session(gateway, authority, name)
    session.close()
    return session.certificate


def test_a_request_over_tls_is_one_over_https(serve, upstream, authority):
    gateway = serve(protected(upstream), server=tls(authority.issue("server")))
    session = Session(gateway, authority, protocols=("h2", "http/1.1"))
    assert session.protocol == "h2"
    session = Session(gateway, authority)
    assert session.protocol == "http/1.1"
    assert session.get()[0] == 401
    assert session.get(basic("alice"))[0] == 200
    assert values(upstream.seen[-1], "x-forwarded-proto") == ["https"]
    assert values(upstream.seen[-1], "x-forwarded-user") == ["alice"]


def test_a_client_gets_the_certificate_of_the_host_that_it_names(serve, upstream, authority):
    one, other, wild = (
        authority.issue("one"),
        authority.issue("other", "other.test"),
        authority.issue("wild", "*.wild.test"),
    )
    listed = ", ".join(f'{{ cert = "{cert}", key = "{key}" }}' for cert, key in (other, wild))
    gateway = serve(protected(upstream), server=tls(one, f"certificates = [{listed}]"))
    for name, subject in [
        ("localhost", "CN=one"),
        ("other.test", "CN=other"),
        ("OTHER.test", "CN=other"),
        ("a.wild.test", "CN=wild"),
        ("a.b.wild.test", "CN=one"),
        ("unknown.test", "CN=one"),
        (None, "CN=one"),
    ]:
        assert served(gateway, authority, name) == subject, name


def replace_file(files, new):
    for path, content in zip(files, new, strict=True):
        shutil.copy(content, path)


def replace_link(files, new):
    """As certbot does it, and as Kubernetes: a link that suddenly leads elsewhere."""
    for path, content in zip(files, new, strict=True):
        os.symlink(content, f"{path}.new")
        os.replace(f"{path}.new", path)


@pytest.mark.parametrize("replace", [replace_file, replace_link])
def test_a_new_certificate_is_served_and_open_connections_stay(serve, upstream, authority, replace):
    files = authority.issue("server")
    gateway = serve(protected(upstream), server=tls(files))
    old = Session(gateway, authority)
    assert old.get(basic("alice"))[0] == 200
    replace(files, authority.issue("renewed"))
    eventually(lambda: served(gateway, authority) == "CN=renewed", "the new certificate is served")
    assert old.certificate == "CN=server"
    assert old.get(basic("alice"))[0] == 200, "on the connection that was there before"
    assert gateway.logged(message="a new certificate is served")


@pytest.mark.parametrize("wrong", ["rubbish", "another key", "missing"])
def test_a_bad_new_certificate_is_logged_and_the_old_one_stays(serve, upstream, authority, wrong):
    cert, key = files = authority.issue("server")
    gateway = serve(protected(upstream), server=tls(files))
    match wrong:
        case "rubbish":
            cert.write_text("rubbish")
        case "another key":
            shutil.copy(authority.issue("another")[1], key)
        case "missing":
            key.unlink()
    message = "a certificate changed and can't be used; the old one is served"
    eventually(lambda: gateway.logged(message=message), "the operator is told")
    assert served(gateway, authority) == "CN=server"
    assert len(gateway.logged(message=message)) == 1
    replace_file(files, authority.issue("mended"))
    eventually(lambda: served(gateway, authority) == "CN=mended", "the mended certificate is served")


def with_clients(authority, demand):
    return tls(authority.issue("server"), f'client_ca = "{authority.ca}"\nclient_certificates = "{demand}"')


def test_clients_without_a_trusted_certificate_are_refused(serve, upstream, authority, stranger):
    gateway = serve(protected(upstream), server=with_clients(authority, "required"))
    assert Session(gateway, authority, client=authority.issue("alice")).get(basic("alice"))[0] == 200
    for client in (None, stranger.issue("mallory")):
        with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
            Session(gateway, authority, client=client).get(basic("alice"))
    assert len(upstream.seen) == 1
    assert Session(gateway, authority, client=authority.issue("bob")).get()[0] == 401, "a certificate is no user"


CERTIFICATE = """
[authenticators.prober]
plugin = "{component}"
[authenticators.prober.grants]
headers = ["x-do"]
client_certificate = {granted}
"""


@pytest.mark.parametrize("granted", ["true", "false"])
@pytest.mark.parametrize("server, shown", [("", True), ('trusted_proxies = ["127.0.0.1"]\n', False)])
def test_a_plugin_sees_the_clients_certificate_if_it_may(
    serve, upstream, authority, prober_component, granted, server, shown
):
    """A trusted proxy's certificate is not its client's."""
    config = CERTIFICATE.format(component=prober_component, granted=granted) + route(upstream, "prober")
    gateway = serve(config, server=server + with_clients(authority, "optional"))
    alice = authority.issue("alice")
    for client in (alice, None):
        status, _ = Session(gateway, authority, client=client).get({"X-Do": f"see {upstream.url}"})
        assert status == 200
        expected = client is alice and granted == "true" and shown
        assert f"certificate {str(expected).lower()}" in str(upstream.seen[-1])


def test_the_listeners_for_fronts_speak_tls_too(serve, upstream, authority):
    cert, key = authority.issue("front")
    own = f'listen = "127.0.0.1:0"\ntls = {{ cert = "{cert}", key = "{key}" }}\n'
    config = f"[forward_auth]\n{own}[ext_authz]\n{own}" + protected(upstream)
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n')
    for message, protocol in [("listening for forward-auth", "http/1.1"), ("listening for ext_authz", "h2")]:
        [line] = gateway.logged(message=message)
        session = Session(gateway, authority, protocols=(protocol,), address=line["address"])
        assert (session.certificate, session.protocol) == ("CN=front", protocol)
        session.close()


def test_a_front_may_be_known_by_its_certificate(serve, upstream, authority):
    cert, key = authority.issue("server")
    own = f'listen = "127.0.0.1:0"\ntls = {{ cert = "{cert}", key = "{key}", client_ca = "{authority.ca}" }}\n'
    gateway = serve("[forward_auth]\n" + own + protected(upstream))
    [line] = gateway.logged(message="listening for forward-auth")
    asked = subrequest("/a")
    path = "/.portcullis/auth/caddy"
    front = Session(gateway, authority, client=authority.issue("front"), address=line["address"])
    assert front.get(asked, path)[0] == 401
    status, answer = front.get(asked | basic("alice"), path)
    assert (status, "x-forwarded-user: alice" in answer) == (200, True)
    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        Session(gateway, authority, address=line["address"]).get(asked | basic("alice"), path)
    assert gateway.send(path, asked | basic("alice")).status in (403, 404), "the public listener has no such endpoint"


def test_a_failed_handshake_is_logged_and_counted(serve, upstream, authority, stranger):
    """Row C16 of the field reports."""
    gateway = serve(ADMIN + protected(upstream), server=with_clients(authority, "required"))
    port = int(gateway.url.rsplit(":", 1)[1])

    def distrustful():
        context = ssl.create_default_context(cafile=stranger.ca)
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port)) as wire:
            context.wrap_socket(wire, server_hostname="localhost")

    def plain():
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received(wire)

    def without_certificate():
        context = ssl.create_default_context(cafile=authority.ca)
        with socket.create_connection(("127.0.0.1", port)) as wire:
            with pytest.raises(OSError):
                context.wrap_socket(wire, server_hostname="localhost").recv(1)

    for fail, reason, words in [
        (distrustful, "alert", "doesn't accept the gateway's certificate"),
        (plain, "not_tls", "uses http:// for this port"),
        (without_certificate, "client_certificate", "showed no certificate"),
    ]:
        fail()
        lines = eventually(lambda reason=reason: gateway.logged(message="a TLS handshake failed", reason=reason), reason)
        assert words in lines[0]["why"]
        assert lines[0]["client"] == "127.0.0.1"
        assert gateway.metric("portcullis_tls_handshake_failures_total", reason=reason) == 1


def test_plain_http_on_a_tls_port_is_closed_unanswered(serve, upstream, authority):
    gateway = serve(protected(upstream), server='header_timeout = "1s"\n' + tls(authority.issue("server")))
    for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"\x16\x03\x01", os.urandom(2000)):
        with gateway.open() as wire:
            wire.sendall(sent)
            assert not received(wire).startswith(b"HTTP")
    assert Session(gateway, authority).get(basic("alice"))[0] == 200
    assert len(upstream.seen) == 1


def openssl(folder, name, *key_options):
    """A self-signed certificate with a key that openssl makes, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    generate = ["openssl", "genpkey", *key_options, "-out", key]
    sign = ["openssl", "req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-out", certificate]
    for words in generate, sign:
        subprocess.run(words, check=True, capture_output=True)
    return certificate, key


def test_mistakes_in_tls_are_reported(authority, tmp_path):
    (cert, key), (_, other) = authority.issue("server"), authority.issue("other")
    short = openssl(tmp_path, "short", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    curve = openssl(tmp_path, "curve", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1")
    encrypted = [tmp_path / "encrypted.key", tmp_path / "traditional.key"]
    for file, form in zip(encrypted, [[], ["-traditional"]], strict=True):
        words = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", *form, "-out", file]
        subprocess.run(words, check=True, capture_output=True)
        file.chmod(0o600)
    reversed_chain = tmp_path / "reversed.pem"
    reversed_chain.write_bytes(authority.ca.read_bytes() + cert.read_bytes())
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    open_key = tmp_path / "open.key"
    shutil.copy(key, open_key)
    open_key.chmod(0o644)
    for lines, words in [
        (f'cert = "{cert}"', ["server.tls.cert", "set key"]),
        (f'key = "{key}"', ["server.tls.key", "set cert"]),
        ("", ["server.tls", "set cert and key"]),
        (f'cert = "{rubbish}"\nkey = "{key}"', ["server.tls.cert", "rubbish.pem"]),
        (f'cert = "{cert}"\nkey = "{rubbish}"', ["rubbish.pem"]),
        (f'cert = "{cert}"\nkey = "{other}"', ["server.pem", "other.key", "together", "belongs to another certificate"]),
        (f'cert = "{reversed_chain}"\nkey = "{key}"', ["reversed.pem", "belongs to certificate 2", "must come first"]),
        (f'cert = "{short[0]}"\nkey = "{short[1]}"', ["short.pem", "the RSA key has 1024 bits, and 2048 are needed"]),
        (f'cert = "{curve[0]}"\nkey = "{curve[1]}"', ["curve.pem", "the key is on the curve 1.3.132.0.10"]),
        (f'cert = "{cert}"\nkey = "{encrypted[0]}"', ["encrypted.key", "decrypt it: openssl pkey"]),
        (f'cert = "{cert}"\nkey = "{encrypted[1]}"', ["traditional.key", "decrypt it: openssl pkey"]),
        (f'cert = "{cert}"\nkey = "{open_key}"', ["open.key", "chmod 600"]),
        (f'cert = "{cert}"\nkey = "{key}"\nclient_certificates = "required"', ["client_ca"]),
        (f'cert = "{cert}"\nkey = "{key}"\nclient_ca = "{rubbish}"', ["server.tls.client_ca", "rubbish.pem"]),
        (f'cert = "{cert}"\nkey = "{key}"\nclient_ca = "{cert}"\nclient_certificates = "some"', ["optional"]),
    ]:
        result = run("check", folder=tmp_path, config=f"[server.tls]\n{lines}\n{PEOPLE}" + whoami("people"))
        assert result.returncode == 1, lines
        assert all(word in result.stderr for word in words), (lines, result.stderr)
        assert "PRIVATE KEY" not in result.stderr


def test_check_doubts_a_chain_that_clients_may_not_accept(authority, tmp_path):
    """Row C18 of the field reports."""
    cert, key = authority.issue("server")
    whole = tmp_path / "whole.pem"
    whole.write_bytes(cert.read_bytes() + authority.ca.read_bytes())
    nameless = openssl(tmp_path, "nameless", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    for certificate, private, words in [
        (cert, key, ["server's own certificate only", "CN=authority", "append its certificate"]),
        (whole, key, []),
        (*nameless, ["no subjectAltName"]),
    ]:
        lines = f'[server.tls]\ncert = "{certificate}"\nkey = "{private}"\n'
        done = run("check", folder=tmp_path, config=lines + PEOPLE + whoami("people"))
        assert done.returncode == 0, done.stderr
        assert all(word in done.stdout for word in words), done.stdout
        assert ("certificate" in done.stdout or "subjectAltName" in done.stdout) == bool(words)
