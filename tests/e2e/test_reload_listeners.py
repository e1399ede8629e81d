"""Hot reload of listeners: addresses come, go and move, and only the connections of those that are gone end."""

import socket
import threading

import pytest

from harness.client import ALICE, begin, connect, open_tcp, open_unix, send, send_over
from harness.config import protected
from harness.fronts import subrequest
from harness.process import eventually, free_ports
from harness.reload import refused, reload, start

FRONT = "/.portcullis/auth/caddy"
TRUSTING = 'trusted_proxies = ["127.0.0.1"]\n'


class Kept:
    """One connection with requests on it, one after the other."""

    def __init__(self, url):
        self._connection = connect(url)
        self._connection.connect()
        self._wire = self._connection.sock

    def status(self, target="/", headers=ALICE):
        assert self._connection.sock is self._wire, "the connection was closed"
        begin(self._connection, "GET", target, headers)
        response = self._connection.getresponse()
        response.read()
        return response.status

    def ends(self):
        """Waits until the gateway closes it."""
        return self._wire.recv(1) == b""

    def close(self):
        self._connection.close()


def refuses(port):
    try:
        open_tcp(f"127.0.0.1:{port}").close()
    except ConnectionRefusedError:
        return True
    return False


def listed(*ports):
    return str([f"127.0.0.1:{port}" for port in ports])


def test_an_address_comes_and_goes_and_the_others_stay(serve, upstream):
    stays, goes = free_ports(2)
    gateway = start(serve, protected(upstream), listen=listed(stays, goes))
    kept, idle = Kept(f"http://127.0.0.1:{stays}"), Kept(f"http://127.0.0.1:{goes}")
    assert (kept.status(), idle.status()) == (200, 200)
    running = connect(f"http://127.0.0.1:{goes}")
    begin(running, "GET", "/stream/down", ALICE)
    response = running.getresponse()
    assert response.readline() == b"first\n"

    assert reload(gateway, protected(upstream), listen=listed(stays)) == ["~server: listen"]
    eventually(lambda: refuses(goes), "it no longer listens there")
    assert idle.ends()
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    [line] = gateway.logged(message="no longer listening")
    assert line["address"] == f"127.0.0.1:{goes}"

    assert reload(gateway, protected(upstream), listen=listed(goes, stays)) == ["~server: listen"]
    assert send(f"http://127.0.0.1:{goes}", "/", ALICE).status == 200
    assert kept.status() == 200, "over the same connection"


def test_a_port_of_the_systems_choice_stays(serve, upstream):
    gateway = start(serve, protected(upstream))
    kept = Kept(gateway.url)
    for turn in range(3):
        assert reload(gateway, protected(upstream), f"max_headers = {100 + turn}\n") == ["~server: max_headers"]
        assert kept.status() == 200
    assert len(gateway.logged(message="listening")) == 1
    assert gateway.send("/", ALICE).status == 200


def test_an_address_moves_to_another_section_and_back(serve, upstream):
    """Not for a moment is a connection refused."""
    public, moves = free_ports(2)
    gateway = start(serve, protected(upstream), TRUSTING, listed(public, moves))
    idle, stopped, refusals = Kept(f"http://127.0.0.1:{moves}"), threading.Event(), []
    assert idle.status() == 200

    def watch():
        while not stopped.is_set():
            if refuses(moves):
                refusals.append(1)

    watching = threading.Thread(target=watch)
    watching.start()
    for _ in range(5):
        section = f'[forward_auth]\nlisten = "127.0.0.1:{moves}"\n'
        changes = reload(gateway, section + protected(upstream), TRUSTING, listed(public))
        assert changes == ["+forward_auth", "~server: listen"]
        eventually(lambda: send(f"http://127.0.0.1:{moves}", "/", ALICE).status == 404, "it is for fronts")
        assert send(f"http://127.0.0.1:{moves}", FRONT, subrequest("/a") | ALICE).status == 200
        changes = reload(gateway, protected(upstream), TRUSTING, listed(public, moves))
        assert changes == ["-forward_auth", "~server: listen"]
        eventually(lambda: send(f"http://127.0.0.1:{moves}", "/", ALICE).status == 200, "it is for clients again")
    assert idle.ends()
    stopped.set()
    watching.join()
    assert refusals == []


def test_a_unix_socket_comes_changes_its_mode_and_goes(serve, upstream, tmp_path):
    path, [port] = tmp_path / "gateway.sock", free_ports(1)
    tcp, both = listed(port), f'["127.0.0.1:{port}", "unix:{path}"]'
    gateway = start(serve, protected(upstream), listen=tcp)
    assert not path.exists()
    assert reload(gateway, protected(upstream), listen=both) == ["~server: listen"]
    assert send_over(open_unix(path), "/", ALICE).status == 200
    before = path.stat()
    assert before.st_mode & 0o777 == 0o600
    assert reload(gateway, protected(upstream), 'unix_mode = "0666"\n', both) == ["~server: unix_mode"]
    assert (path.stat().st_mode & 0o777, path.stat().st_ino) == (0o666, before.st_ino)
    assert send_over(open_unix(path), "/", ALICE).status == 200
    assert reload(gateway, protected(upstream), listen=tcp) != []
    eventually(lambda: not path.exists(), "the file is gone")


def test_a_link_in_place_of_a_unix_socket_is_left_alone(serve, upstream, tmp_path):
    path, foreign, [port] = tmp_path / "gateway.sock", tmp_path / "foreign", free_ports(1)
    both = f'["127.0.0.1:{port}", "unix:{path}"]'
    gateway = start(serve, protected(upstream), listen=both)
    foreign.write_text("")
    foreign.chmod(0o600)
    path.unlink()
    path.symlink_to(foreign)
    said = refused(gateway, protected(upstream), server='unix_mode = "0666"\n', listen=both)
    assert str(path) in said and "replaced or removed" in said
    assert foreign.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("before", "after"),
    [('"127.0.0.1:{}"', '"0.0.0.0:{}"'), ('["[::]:{0}", "127.0.0.1:{0}"]', '"[::]:{}"'), ('"[::]:{}"', '["[::]:{0}", "127.0.0.1:{0}"]')],
)
def test_addresses_that_overlap_need_a_restart(serve, upstream, before, after):
    [port] = free_ports(1)
    gateway = start(serve, protected(upstream), listen=before.format(port))
    said = refused(gateway, protected(upstream), listen=after.format(port))
    assert "restart it" in said, said
    assert send(f"http://127.0.0.1:{port}", "/", ALICE).status == 200


SECTIONS = {
    "listening for forward-auth": ("", "[forward_auth]\n{}", "+forward_auth", "-forward_auth"),
    "listening for ext_authz": ("", "[ext_authz]\n{}", "+ext_authz", "-ext_authz"),
    "redirecting to https": ("redirect = {{ {}, https_port = 443 }}\n", "", "~server: redirect", "~server: redirect"),
}


@pytest.mark.parametrize("message", SECTIONS)
def test_listeners_of_other_kinds_come_and_go(serve, upstream, message):
    server, section, added, removed = SECTIONS[message]
    [port] = free_ports(1)
    server, section = (place.format(f'listen = "127.0.0.1:{port}"') + "\n" for place in (server, section))
    gateway = start(serve, protected(upstream), TRUSTING)
    for _ in range(2):
        [change] = reload(gateway, section + protected(upstream), TRUSTING + server)
        assert change.startswith(added)
        open_tcp(f"127.0.0.1:{port}").close()
        [change] = reload(gateway, protected(upstream), TRUSTING)
        assert change.startswith(removed)
        eventually(lambda: refuses(port), "it is gone")
    eventually(lambda: len(gateway.logged(message=message)) == 2, "both are logged")
    assert {line["address"] for line in gateway.logged(message=message)} == {f"127.0.0.1:{port}"}


def test_the_number_of_connections_is_raised_and_lowered(serve, upstream):
    config = protected(upstream)
    gateway = start(serve, config, "max_connections = 1\n")
    first = Kept(gateway.url)
    assert first.status() == 200
    second = Kept(gateway.url)
    reload(gateway, config, "max_connections = 2\n")
    assert second.status() == 200, "there is a place for it now"
    reload(gateway, config, "max_connections = 1\n")
    third = gateway.open()
    third.sendall(b"GET /third HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    first.close()
    third.settimeout(0.5)
    with pytest.raises(TimeoutError):
        third.recv(1)
    second.close()
    third.settimeout(20)
    assert third.recv(12) == b"HTTP/1.1 401"


def test_an_address_that_is_taken_leaves_everything_as_it_was(serve, upstream):
    stays, free = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        gateway = start(serve, protected(upstream), listen=listed(stays))
        kept = Kept(f"http://127.0.0.1:{stays}")
        assert kept.status() == 200
        said = refused(gateway, protected(upstream), listen=listed(free, stays, taken))
        assert f"127.0.0.1:{taken}" in said and "in use" in said
        assert refuses(free), "what was opened is closed again"
        assert kept.status() == 200
    assert reload(gateway) == ["~server: listen"]
    assert [send(f"http://127.0.0.1:{port}", "/", ALICE).status for port in (free, stays, taken)] == [200] * 3
    assert kept.status() == 200
