"""Start and stop: a port that is taken is named, and a running request ends before the gateway does."""

import signal
import socket

from harness.client import ALICE, begin, connect
from harness.config import protected
from harness.gateway import run
from harness.process import eventually


def is_listening(gateway):
    connection = connect(gateway.url)
    try:
        connection.connect()
    except ConnectionError:
        return False
    finally:
        connection.close()
    return True


def test_a_running_request_ends_before_the_gateway(serve, upstream):
    gateway = serve(protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    gateway.child.process.send_signal(signal.SIGTERM)
    eventually(lambda: not is_listening(gateway), "nobody new comes in")
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert gateway.child.process.wait(10) == 0


def test_a_connection_that_waits_doesnt_keep_it(serve, upstream):
    gateway = serve(protected(upstream))
    connection = connect(gateway.url)
    begin(connection, "GET", "/", ALICE)
    assert connection.getresponse().read()
    gateway.child.process.send_signal(signal.SIGTERM)
    assert gateway.child.process.wait(10) == 0


def test_a_request_that_never_ends_is_cut_off_in_time(serve, upstream):
    gateway = serve(protected(upstream), server='shutdown_timeout = "1s"\n')
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    connection.getresponse().readline()
    gateway.child.process.send_signal(signal.SIGTERM)
    assert gateway.child.process.wait(10) == 0


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("serve", "--listen", address, folder=tmp_path)
    assert result.returncode == 1
    assert address in result.stderr
