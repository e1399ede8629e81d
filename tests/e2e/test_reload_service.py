"""Hot reload and the service manager: systemd's sockets and notifications, and stops that come at the same moment."""

import re
import time

import pytest
from test_drain import ends, stopped_listening, terminate
from test_reload_listeners import Kept
from test_systemd import manager  # noqa: F401

from harness import raw_plugins, systemd
from harness.client import ALICE, begin, connect, open_tcp, send_over
from harness.config import PEOPLE, protected, route, whoami
from harness.hostile import authenticator
from harness.process import eventually
from harness.reload import configure, hang_up, refused, reload, start


def test_systemds_sockets_stay_and_may_be_given_up_and_taken_again(serve, upstream):
    """A client that connects meanwhile waits in the queue, and is served by whoever takes the socket next."""
    with systemd.opened() as one, systemd.opened() as two:
        first, second = (f"127.0.0.1:{opened.getsockname()[1]}" for opened in (one, two))
        both, alone = '["systemd:http", "systemd:extra"]', '"systemd:http"'
        gateway = start(serve, protected(upstream), listen=both, **systemd.activation(http=[one], extra=[two]))
        kept, other = Kept(f"http://{first}"), Kept(f"http://{second}")
        assert (kept.status(), other.status()) == (200, 200)
        for _ in range(3):
            assert reload(gateway, protected(upstream), listen=alone) == ["~server: listen"]
            assert other.ends()
            eventually(lambda: not open_tcp(second).close() and queued(second), "the queue is systemd's")
            waiting = open_tcp(second)
            assert reload(gateway, protected(upstream), listen=both) == ["~server: listen"]
            assert send_over(waiting, "/", ALICE).status == 200
            other = Kept(f"http://{second}")
            assert other.status() == 200
        assert kept.status() == 200, "over the same connection"
        assert "systemd:https" in refused(gateway, protected(upstream), listen='"systemd:https"')
        assert kept.status() == 200


def queued(address):
    """Whether nobody accepts at an address."""
    wire = open_tcp(address)
    with wire:
        wire.settimeout(0.3)
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return wire.recv(1) == b"never"
        except TimeoutError:
            return True


@pytest.mark.parametrize("kind", ["applied", "unchanged", "failed"])
def test_a_reload_is_notified_from_its_begin_to_its_end(serve, upstream, manager, kind):  # noqa: F811
    gateway = start(serve, protected(upstream), NOTIFY_SOCKET=manager.path)
    [address] = gateway.addresses()
    assert manager.receive() == ["READY=1", f"STATUS=serving on {address}"]
    more = {"applied": whoami(path="/more"), "unchanged": "# A comment.\n", "failed": "[[["}[kind]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    configure(gateway, protected(upstream) + more)
    hang_up(gateway)
    reloading, usec = manager.receive()
    assert reloading == "RELOADING=1"
    assert before <= int(usec.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    failure = "; the last reload failed: see the log" if kind == "failed" else ""
    assert manager.receive() == ["READY=1", f"STATUS=serving on {address}{failure}"]
    terminate(gateway)
    assert manager.receive_until("STOPPING=1")[-2:][0] == "STOPPING=1"
    assert ends(gateway)


def test_the_status_has_the_new_addresses(serve, upstream, manager):  # noqa: F811
    gateway = start(serve, protected(upstream), NOTIFY_SOCKET=manager.path)
    manager.receive()
    reload(gateway, protected(upstream), listen='["127.0.0.1:0", "127.0.0.2:0"]')
    lines = manager.receive_until("RELOADING=1") + manager.receive_until("READY=1")
    status = [line for line in lines if line.startswith("STATUS=")][-1]
    assert re.fullmatch(r"STATUS=serving on 127\.0\.0\.1:\d+, 127\.0\.0\.2:\d+", status)


def test_a_stop_right_after_a_signal_to_reload_is_a_stop(serve, upstream):
    for _ in range(10):
        gateway = start(serve, protected(upstream))
        configure(gateway, protected(upstream) + whoami(path="/more"))
        hang_up(gateway)
        terminate(gateway)
        assert ends(gateway)


def test_a_stop_does_not_wait_for_a_reload(serve, upstream):
    gateway = start(serve, protected(upstream))
    slow = raw_plugins.component(configure=raw_plugins.LOOP)
    late = authenticator("late", slow, "", 'deadline = "60s"\nmemory = "16MiB"') + whoami("late", path="/late")
    configure(gateway, late + protected(upstream))
    hang_up(gateway)
    assert gateway.send("/", ALICE).status == 200
    terminate(gateway)
    assert ends(gateway)


def test_signals_to_reload_do_not_prolong_a_drain(serve, upstream):
    gateway = start(serve, protected(upstream), 'drain_delay = "1s"\n')
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    reload(gateway, protected(upstream) + whoami(path="/more"), 'drain_delay = "1s"\n')
    terminate(gateway)
    configure(gateway, protected(upstream), 'drain_delay = "1h"\n')

    def closed():
        hang_up(gateway)
        try:
            gateway.open().close()
        except ConnectionError:
            return True

    eventually(closed, "it no longer listens")
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert ends(gateway)


def test_the_drain_is_as_long_as_the_last_configuration_says(serve, upstream):
    gateway = start(serve, protected(upstream), 'drain_delay = "1h"\n')
    assert reload(gateway, protected(upstream), 'drain_delay = "0s"\n') == ["~server: drain_delay"]
    terminate(gateway)
    assert ends(gateway)


def test_requests_of_before_and_after_a_reload_end_whole_when_it_stops(serve, upstream):
    gateway = start(serve, protected(upstream))
    running = []
    for turn in range(5):
        connection = connect(gateway.url)
        begin(connection, "GET", "/stream/down", ALICE)
        running.append(connection.getresponse())
        assert running[-1].readline() == b"first\n"
        reload(gateway, PEOPLE + f"settings.valid_for = {turn}\n" + route(upstream, "people"))
    terminate(gateway)
    stopped_listening(gateway)
    upstream.may_go_on.set()
    assert [response.read() for response in running] == [b"second\n"] * 5
    assert ends(gateway)
