"""Listeners: several addresses, IPv6 and Unix sockets, and the client's address on each."""

import secrets
import stat

import pytest

from harness.client import ALICE, open_tcp, open_unix, send, send_over
from harness.config import protected
from harness.gateway import Gateway, run
from harness.process import eventually, with_free_ports
from harness.upstream import values


def is_served(wire, headers=()):
    return send_over(wire, "/", ALICE | dict(headers)).status == 200


def test_one_gateway_listens_in_several_places(serve, upstream, tmp_path):
    path = tmp_path / "gateway.sock"
    gateway = serve(protected(upstream), listen=f'["127.0.0.1:0", "[::1]:0", "127.0.0.2:0", "unix:{path}"]')
    *tcp, unix = gateway.addresses(4)
    assert [address.rsplit(":", 1)[0] for address in tcp] == ["127.0.0.1", "[::1]", "127.0.0.2"]
    assert unix == f"unix:{path}"
    assert all(is_served(open_tcp(address)) for address in tcp)
    assert is_served(open_unix(path))
    hops = [values(seen, "x-forwarded-for") for seen in upstream.seen]
    assert hops[:2] == [["127.0.0.1"], ["::1"]]


def test_no_place_keeps_a_slot_from_the_others(serve, upstream, tmp_path):
    path = tmp_path / "gateway.sock"
    listen = f'["127.0.0.1:0", "127.0.0.2:0", "unix:{path}"]'
    gateway = serve(protected(upstream), listen=listen, server="max_connections = 1\n")
    one, two, _ = gateway.addresses(3)
    for _ in range(3):
        for wire in (open_tcp(one), open_tcp(two), open_unix(path)):
            assert is_served(wire)


def test_every_address_of_ipv6_is_every_address(serve, upstream):
    gateway = serve(protected(upstream), listen='"[::]:0"')
    [address] = gateway.addresses()
    port = address.rsplit(":", 1)[1]
    assert is_served(open_tcp(f"[::1]:{port}"))
    assert is_served(open_tcp(f"127.0.0.1:{port}"))
    hops = [values(seen, "x-forwarded-for") for seen in upstream.seen]
    assert hops == [["::1"], ["127.0.0.1"]], "IPv4 is shown as IPv4"


def test_ipv4_may_have_a_socket_of_its_own(serve, upstream):
    def start(port):
        return serve(protected(upstream), listen=f'["[::]:{port}", "0.0.0.0:{port}"]'), port

    gateway, port = with_free_ports(1, start)
    assert gateway.addresses(2) == [f"[::]:{port}", f"0.0.0.0:{port}"]
    assert is_served(open_tcp(f"[::1]:{port}"))
    assert is_served(open_tcp(f"127.0.0.1:{port}"))


@pytest.mark.parametrize("more, mode", [("", 0o600), ('unix_mode = "0660"\n', 0o660), ('unix_mode = "666"\n', 0o666)])
def test_a_unix_socket_has_its_mode_while_the_gateway_runs(serve, upstream, tmp_path, more, mode):
    path = tmp_path / "gateway.sock"
    gateway = serve(protected(upstream), listen=f'"unix:{path}"', server=more)
    status = path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == mode
    gateway.stop()
    assert not path.exists()


def test_the_socket_of_a_gateway_that_was_killed_is_replaced(serve, upstream, tmp_path):
    path = tmp_path / "gateway.sock"
    serve_there = {"config": protected(upstream), "listen": f'["127.0.0.1:0", "unix:{path}"]'}
    killed = serve(**serve_there)
    killed.child.kill()
    assert path.exists()
    with pytest.raises(ConnectionRefusedError):
        open_unix(path)
    killed.stop = lambda: None
    serve(**serve_there)
    assert is_served(open_unix(path))


def test_the_socket_of_a_gateway_that_runs_is_left_alone(serve, upstream, tmp_path):
    path = tmp_path / "gateway.sock"
    serve(protected(upstream), listen=f'["127.0.0.1:0", "unix:{path}"]')
    result = run("serve", "--listen", f"unix:{path}", folder=tmp_path)
    assert result.returncode == 1
    assert f"can't listen on unix:{path}: " in result.stderr and "another process listens there" in result.stderr
    assert is_served(open_unix(path))


def test_another_file_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("content")
    result = run("serve", "--listen", f"unix:{tmp_path}/precious", folder=tmp_path)
    assert result.returncode == 1
    assert "is no socket" in result.stderr
    assert (tmp_path / "precious").read_text() == "content"


@pytest.mark.parametrize(
    "trusted, sent, hops, client",
    [
        ("", {}, "unknown", "unknown"),
        ("", {"X-Forwarded-For": "192.0.2.1"}, "unknown", "unknown"),
        ('trusted_proxies = ["127.0.0.0/8", "::/1", "8000::/1"]', {"X-Forwarded-For": "192.0.2.1"}, "unknown", "unknown"),
        ('trusted_proxies = ["unix"]', {}, "unknown", "unknown"),
        ('trusted_proxies = ["unix"]', {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1, unknown", "192.0.2.1"),
        (
            'trusted_proxies = ["unix", "10.0.0.0/8"]',
            {"X-Forwarded-For": "192.0.2.2, 192.0.2.1, 10.0.0.1"},
            "192.0.2.2, 192.0.2.1, 10.0.0.1, unknown",
            "192.0.2.1",
        ),
    ],
)
def test_unix_socket_peers_are_trusted_only_when_configured(serve, upstream, tmp_path, trusted, sent, hops, client):
    path = tmp_path / "gateway.sock"
    gateway = serve(protected(upstream), listen=f'"unix:{path}"', server=trusted + "\n")
    assert is_served(open_unix(path), sent)
    assert values(upstream.seen[0], "x-forwarded-for") == [hops]
    assert gateway.logged(message="decision")[0]["client"] == client


def test_trusting_unix_sockets_trusts_no_tcp_peer(serve, upstream, tmp_path):
    gateway = serve(protected(upstream), server='trusted_proxies = ["unix"]\n')
    assert gateway.send("/", ALICE | {"X-Forwarded-For": "192.0.2.1"}).status == 200
    assert values(upstream.seen[0], "x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize(
    "trusted, token, status", [(["unix"], None, 200), (["127.0.0.1"], None, 403), (["127.0.0.1"], "right", 200)]
)
def test_a_front_may_ask_over_a_unix_socket(serve, upstream, tmp_path, trusted, token, status):
    path = tmp_path / "front.sock"
    environment = {}
    headers = {
        "X-Original-Method": "GET",
        "X-Original-Url": "https://app.example/",
        "X-Forwarded-For": "192.0.2.1",
    }
    if token:
        environment["PORTCULLIS_PROXY_TOKEN"] = headers["X-Portcullis-Token"] = secrets.token_hex(32)
    section = f'[forward_auth]\nlisten = "unix:{path}"\n'
    gateway = serve(protected(upstream) + section, server=f"trusted_proxies = {trusted}\n".replace("'", '"'), **environment)
    assert gateway.addresses(message="listening for forward-auth") == [f"unix:{path}"]
    answer = send_over(open_unix(path), "/.portcullis/auth/nginx", ALICE | headers)
    assert answer.status == status
    if status == 200:
        assert gateway.logged(message="decision")[0]["client"] == "192.0.2.1"


def test_the_admin_listener_may_be_a_unix_socket(serve, upstream, tmp_path):
    path = tmp_path / "admin.sock"
    serve(protected(upstream) + f'[admin]\nlisten = "unix:{path}"\n')
    assert send_over(open_unix(path), "/readyz").json() == {"status": "ready", "problems": []}


def test_listen_comes_from_the_command_line_or_the_environment(tmp_path):
    path = tmp_path / "gateway.sock"
    for name, arguments, environment in [
        ("arguments", ["--listen", f"127.0.0.1:0,unix:{path}"], {}),
        ("environment", [], {"PORTCULLIS_LISTEN": f"127.0.0.1:0,unix:{path}", "PORTCULLIS_LOG_FORMAT": "json"}),
    ]:
        folder = tmp_path / name
        folder.mkdir()
        gateway = Gateway(folder, arguments=arguments, **environment)
        try:
            assert send(gateway.url, "/", ALICE).status == 200
            assert send_over(open_unix(path), "/", ALICE).status == 200
        finally:
            gateway.stop()


@pytest.mark.parametrize("environment", [{"PORTCULLIS_LISTEN": "localhost"}, {"PORTCULLIS_LOG_FORMAT": "xml"}])
def test_an_environment_that_is_wrong_is_named(tmp_path, environment):
    result = run("serve", folder=tmp_path, **environment)
    assert result.returncode == 2
    [value] = environment.values()
    assert value in result.stderr


def test_a_second_gateway_on_the_same_port_fails_with_a_hint(serve, upstream, tmp_path):
    gateway = serve(protected(upstream))
    [address] = gateway.addresses()
    result = run("serve", "--listen", address, folder=tmp_path)
    assert result.returncode == 1
    assert f"can't listen on {address}: " in result.stderr and "another process listens there" in result.stderr
    assert gateway.send("/", ALICE).status == 200


def test_an_address_that_is_not_there_is_named(tmp_path):
    result = run("serve", "--listen", "[2001:db8::1]:1234", folder=tmp_path)
    assert result.returncode == 1
    assert "can't listen on [2001:db8::1]:1234: " in result.stderr


def test_two_processes_share_a_port_if_both_say_so(serve, upstream, tmp_path):
    """The next version starts before this one stops, and nobody finds the port closed."""
    config, shares = protected(upstream), "reuse_port = true\n"
    first = serve(config, server=shares)
    address = first.url.removeprefix("http://")
    done = run("serve", folder=tmp_path, config=f'[server]\nlisten = "{address}"\n' + config)
    assert done.returncode == 1 and "in use" in done.stderr
    second = serve(config, listen=f'"{address}"', server=shares)
    assert {first.send("/", ALICE).status for _ in range(20)} == {200}
    eventually(lambda: first.send("/", ALICE).status and all(one.logged(message="decision") for one in (first, second)), "both answer")
    first.stop()
    assert {second.send("/", ALICE).status for _ in range(20)} == {200}
