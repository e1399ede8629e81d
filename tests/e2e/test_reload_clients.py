"""Hot reload of what lets clients in: who was let in by other rules is asked again, and all others stay connected."""

import secrets
import ssl

import pytest
from test_passthrough import OTHER, arrived, hello, passes
from test_reload_listeners import TRUSTING, Kept
from test_tls import Session, tls

from harness.client import ALICE
from harness.config import protected
from harness.fronts import subrequest
from harness.process import eventually, free_ports
from harness.recording_server import RecordingServer
from harness.reload import put_secret, reload, start

FRONT = "/.portcullis/auth/caddy"


def test_tls_is_turned_on_and_off(serve, upstream, authority):
    gateway = start(serve, protected(upstream))
    plain = Kept(gateway.url)
    assert plain.status() == 200
    secure = tls(authority.issue("server"))
    assert all(change.startswith("~server: tls") for change in reload(gateway, protected(upstream), secure))
    assert plain.ends()
    eventually(lambda: Session(gateway, authority).get(ALICE)[0] == 200, "TLS is spoken")
    session = Session(gateway, authority)
    assert session.get(ALICE)[0] == 200
    reload(gateway, protected(upstream), secure + "# A comment.\n")
    assert session.get(ALICE)[0] == 200, "nothing has changed"
    reload(gateway, protected(upstream))
    with pytest.raises((ConnectionError, ssl.SSLError)):
        for _ in range(1000):
            assert session.get(ALICE)[0] in (200, 421)
    assert gateway.send("/", ALICE).status == 200


def test_a_front_without_a_certificate_is_not_admitted_on_an_old_connection(serve, upstream, authority):
    """Not even by a request that is on its way at that moment."""
    cert, key = authority.issue("front")
    [port] = free_ports(1)
    section = f'[forward_auth]\nlisten = "127.0.0.1:{port}"\ntls = {{ cert = "{cert}", key = "{key}"'
    free, strict = section + " }\n", section + f', client_ca = "{authority.ca}" }}\n'
    gateway = start(serve, free + protected(upstream), TRUSTING)
    address = f"127.0.0.1:{port}"
    for _ in range(5):
        fronts = [Session(gateway, authority, address=address) for _ in range(10)]
        assert [front.get(subrequest("/a") | ALICE, FRONT)[0] for front in fronts] == [200] * 10
        assert reload(gateway, strict + protected(upstream), TRUSTING) == ["~forward_auth: tls.client_ca"]
        for front in fronts:
            try:
                assert front.get(subrequest("/a") | ALICE, FRONT)[0] in (403, 421)
            except (ConnectionError, ssl.SSLError):
                pass
        known = Session(gateway, authority, address=address, client=authority.issue("known"))
        assert known.get(subrequest("/a") | ALICE, FRONT)[0] == 200
        reload(gateway, free + protected(upstream), TRUSTING)


@pytest.mark.parametrize("has_asked", [True, False])
def test_a_client_that_other_rules_let_in_begins_no_request(serve, upstream, authority, has_asked):
    """Neither on a connection that is used, nor on one that is still waited for."""
    files = authority.issue("server")
    strict = tls(files, f'client_ca = "{authority.ca}"')
    gateway = start(serve, protected(upstream), tls(files))
    for _ in range(5):
        sessions = [Session(gateway, authority) for _ in range(10)]
        if has_asked:
            assert [session.get(ALICE)[0] for session in sessions] == [200] * 10
        assert reload(gateway, protected(upstream), strict) == ["~server: tls.client_ca"]
        known = Session(gateway, authority, client=authority.issue("known"))
        assert known.get(ALICE)[0] == 200, "the new rules are in effect"
        for session in sessions:
            try:
                assert session.get(ALICE)[0] == 421
            except (ConnectionError, ssl.SSLError):
                pass
        reload(gateway, protected(upstream), tls(files))


def test_another_token_of_a_front_counts_at_once_on_open_connections(serve, upstream, tmp_path):
    one, two = secrets.token_hex(32), secrets.token_hex(32)
    token = put_secret(tmp_path / "token", one)
    config = f'[forward_auth]\nproxy_token = "file:{token}"\n' + protected(upstream)
    gateway = start(serve, config)
    kept = Kept(gateway.url)

    def statuses():
        return [kept.status(FRONT, subrequest("/a") | ALICE | {"X-Portcullis-Token": sent}) for sent in (one, two)]

    assert statuses() == [200, 403]
    put_secret(token, two)
    assert reload(gateway) == ["~forward_auth: proxy_token"]
    assert statuses() == [403, 200]
    assert two not in gateway.child.output() and one not in gateway.child.output()


def test_a_passthrough_that_is_gone_ends_no_tunnel_and_begins_none(serve, upstream, authority):
    server = tls(authority.issue("server"))
    with RecordingServer() as other, RecordingServer() as another:
        gateway = start(serve, protected(upstream), server + passes(other.address))
        first = hello(OTHER)
        with gateway.open() as tunnel, gateway.open() as second:
            tunnel.sendall(first)
            taken = arrived(other, first)
            assert reload(gateway, protected(upstream), server + passes(another.address)) == ["~server: passthrough"]
            second.sendall(first)
            arrived(another, first)
            reload(gateway, protected(upstream), server)
            assert Session(gateway, authority, name=OTHER).get(ALICE)[0] == 200, "the gateway's own"
            taken.send(b"still")
            assert tunnel.recv(100) == b"still"
        assert (len(other.connections), len(another.connections)) == (1, 1)
