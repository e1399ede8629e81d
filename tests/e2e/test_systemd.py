"""Socket activation and notifications, with systemd simulated by the tests."""

import signal
import socket

import pytest

from harness import systemd
from harness.client import ALICE, begin, connect, open_tcp, open_unix, send_over
from harness.config import protected
from harness.gateway import run
from harness.upstream import values


@pytest.fixture
def manager(tmp_path):
    manager = systemd.Manager(tmp_path / "notify")
    yield manager
    manager.close()


def test_sockets_are_taken_by_name(serve, upstream, tmp_path):
    path = str(tmp_path / "passed.sock")
    with (
        systemd.opened() as one,
        systemd.opened(socket.AF_INET6, ("::1", 0)) as two,
        systemd.opened(socket.AF_UNIX, path) as unix,
        systemd.opened() as admin,
    ):
        gateway = serve(
            protected(upstream) + '[admin]\nlisten = "systemd:admin"\n',
            listen='["systemd:public", "systemd:local"]',
            **systemd.activation(local=[unix], admin=[admin], public=[one, two]),
        )
        ports = [opened.getsockname()[1] for opened in (one, two, admin)]
        assert gateway.addresses(3) == [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"unix:{path}"]
        assert gateway.addresses(message="admin listening") == [f"127.0.0.1:{ports[2]}"]
        for wire in (open_tcp(f"127.0.0.1:{ports[0]}"), open_tcp(f"[::1]:{ports[1]}"), open_unix(path)):
            assert send_over(wire, "/", ALICE).status == 200
        assert [values(seen, "x-forwarded-for") for seen in upstream.seen] == [["127.0.0.1"], ["::1"], ["unknown"]]
        gateway.stop()
        assert (tmp_path / "passed.sock").exists(), "the file is systemd's"


def test_a_restart_loses_no_connection(serve, upstream):
    """The socket stays open, so clients that connect between two gateways are served by the second."""
    with systemd.opened() as passed:
        options = {"listen": '"systemd:unknown"', **systemd.launcher("", [passed.fileno()])}
        first = serve(protected(upstream), **options)
        address = "127.0.0.1:%d" % passed.getsockname()[1]
        assert send_over(open_tcp(address), "/", ALICE).status == 200
        first.stop()
        waiting = open_tcp(address)
        serve(protected(upstream), **options)
        assert send_over(waiting, "/", ALICE).status == 200


@pytest.mark.parametrize(
    "names, listen, environment, expected",
    [
        ("http", "systemd:https", {}, "systemd passed no socket of that name, it passed others: http"),
        ("http", "systemd:http", {"LISTEN_PID": "1"}, "it passed no socket at all"),
        ("http", "systemd:http", {"LISTEN_PID": ""}, "it passed no socket at all"),
    ],
)
def test_a_socket_that_was_not_passed_is_named(tmp_path, names, listen, environment, expected):
    with systemd.opened() as passed:
        options = systemd.launcher(names, [passed.fileno()])
        result = run("serve", "--listen", listen, folder=tmp_path, **options, **environment)
    assert result.returncode == 1
    assert f"can't listen on {listen}: " in result.stderr and expected in result.stderr


def test_systemd_sockets_need_systemd(tmp_path):
    result = run("serve", "--listen", "systemd:http", folder=tmp_path)
    assert result.returncode == 1
    assert "start the gateway by its socket unit" in result.stderr


@pytest.mark.parametrize("kind", ["connected", "datagrams", "file"])
def test_a_file_that_is_no_listening_socket_is_refused(tmp_path, kind):
    ours, other = socket.socketpair()
    with ours, other, socket.socket(type=socket.SOCK_DGRAM) as datagrams, open(tmp_path / "file", "w") as file:
        passed = {"connected": ours, "datagrams": datagrams, "file": file}[kind]
        options = systemd.launcher("http", [passed.fileno()])
        result = run("serve", "--listen", "systemd:http", folder=tmp_path, **options)
    reason = "it isn't listening" if kind == "connected" else "it is no stream socket"
    assert result.returncode == 1
    assert f"can't listen on systemd:http: {reason}" in result.stderr


def test_an_unused_systemd_socket_is_logged(serve, upstream):
    with systemd.opened() as one, systemd.opened() as two:
        gateway = serve(protected(upstream), **systemd.activation(http=[one], other=[two]))
    names = [line["name"] for line in gateway.logged(message="systemd passed a socket that no listen names")]
    assert names == ["http", "other"]


def test_ready_and_stopping_are_notified(serve, upstream, manager):
    gateway = serve(protected(upstream), NOTIFY_SOCKET=manager.path)
    [address] = gateway.addresses()
    assert manager.receive() == ["READY=1", f"STATUS=serving on {address}"]
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    assert manager.is_empty(), "the watchdog is off"
    gateway.child.process.send_signal(signal.SIGTERM)
    assert manager.receive() == ["STOPPING=1", "STATUS=stopping: running requests are finished"]
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert gateway.child.process.wait(10) == 0


def test_a_gateway_that_cannot_start_notifies_nothing(tmp_path, manager):
    result = run("serve", "--listen", "[2001:db8::1]:1", folder=tmp_path, NOTIFY_SOCKET=manager.path)
    assert result.returncode == 1
    assert manager.is_empty()


def test_watchdog_messages_are_sent_until_the_end(serve, upstream, manager):
    gateway = serve(protected(upstream), NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="200000")
    manager.receive_until("READY=1")
    for _ in range(3):
        assert manager.receive_until("WATCHDOG=1")
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    gateway.child.process.send_signal(signal.SIGTERM)
    manager.receive_until("STOPPING=1")
    for _ in range(3):
        assert manager.receive_until("WATCHDOG=1")
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert gateway.child.process.wait(10) == 0


def test_watchdog_pid_of_another_process_disables_the_watchdog(serve, upstream, manager):
    gateway = serve(protected(upstream), NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="200000", WATCHDOG_PID="1")
    assert manager.receive()[0] == "READY=1"
    gateway.child.process.send_signal(signal.SIGTERM)
    assert manager.receive()[0] == "STOPPING=1"


def test_a_missing_notify_socket_affects_no_request(serve, upstream, tmp_path):
    gateway = serve(protected(upstream), NOTIFY_SOCKET=str(tmp_path / "nobody"))
    assert gateway.send("/", ALICE).status == 200
    assert gateway.logged(message="the state can't be reported to systemd")
