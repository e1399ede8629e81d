"""Bounds that follow from open files, processors and memory. Each is logged and can be configured."""

import sys

import pytest

from harness.client import ALICE, open_tcp, send_over
from harness.config import drop, protected, route
from harness.gateway import ADMIN
from harness.paths import PORTCULLIS
from harness.process import eventually

LIMITED = """
import os, resource, sys
soft, hard, processors, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
if processors:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(processors)])
os.execv(command[0], command)
"""


def limited(soft=1024, hard=1024, processors=""):
    return [sys.executable, "-c", LIMITED, str(soft), str(hard), str(processors)]


def bounds(gateway):
    [line] = gateway.logged(message="bounds")
    return line


@pytest.mark.parametrize("soft, hard, open_files, connections", [(1024, 1024, 1024, 384), (256, 4096, 4096, 1920)])
def test_connections_leave_files_for_upstreams(serve, upstream, soft, hard, open_files, connections):
    gateway = serve(protected(upstream), launcher=limited(soft, hard))
    found = bounds(gateway)
    assert (found["open_files"], found["max_connections"]) == (open_files, connections)


def test_further_listeners_take_their_share(serve, upstream):
    config = protected(upstream) + '[forward_auth]\nlisten = "127.0.0.1:0"\n'
    gateway = serve(config, server='trusted_proxies = ["127.0.0.1"]\n', launcher=limited())
    assert bounds(gateway)["max_connections"] == 256


@pytest.mark.parametrize("connections, warned", [(384, 0), (385, 1)])
def test_more_connections_than_files_are_warned_of(serve, upstream, connections, warned):
    gateway = serve(protected(upstream), server=f"max_connections = {connections}\n", launcher=limited())
    assert bounds(gateway)["max_connections"] == connections
    warnings = [line for line in gateway.log() if "LimitNOFILE=" in line["message"]]
    assert len(warnings) == warned


def test_one_connection_too_many_waits(serve, upstream):
    gateway = serve(protected(upstream), server="max_connections = 2\n")
    [address] = gateway.addresses()
    first, second = open_tcp(address), open_tcp(address)
    third = open_tcp(address)
    third.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + ALICE["Authorization"].encode() + b"\r\n\r\n")
    # The others have both been taken when they are answered, and then the third is the one that waits.
    assert send_over(first.dup(), "/", ALICE).status == 200
    assert len(upstream.seen) == 1
    third.settimeout(0.3)
    with pytest.raises(TimeoutError):
        third.recv(1)
    first.close()
    eventually(lambda: len(upstream.seen) == 2, "it has its turn")
    third.settimeout(30)
    assert third.recv(65536).startswith(b"HTTP/1.1 200 ")
    for wire in (second, third):
        wire.close()


@pytest.mark.parametrize("processors, environment, threads", [(1, {}, 1), ("", {"PORTCULLIS_WORKER_THREADS": "3"}, 3)])
def test_worker_threads_default_to_the_processors(serve, upstream, processors, environment, threads):
    gateway = serve(protected(upstream), launcher=limited(processors=processors), **environment)
    assert bounds(gateway)["worker_threads"] == threads
    assert gateway.send("/", ALICE).status == 200


def test_plugins_have_half_of_the_memory_by_default(serve, upstream):
    found = bounds(serve(protected(upstream)))
    assert found["plugin_memory"] == found["available_memory"] // 2


def test_plugins_memory_bounds_all_plugins_together(serve, upstream, tmp_path, hostile_component):
    description = '[grants]\nheaders = ["x-do"]\n[limits]\nmemory = "512MiB"\ndeadline = "20s"\n'
    plugins = drop(tmp_path, "hostile", hostile_component, description) + 'memory = "16MiB"\n'
    config = ADMIN + plugins + protected(upstream) + route(upstream, "hostile", path="/hostile")
    gateway = serve(config)
    assert bounds(gateway)["plugin_memory"] == 16 << 20
    for count in (1, 2):
        assert gateway.send("/hostile", {"X-Do": "eat memory"}).status == 503
        errors = gateway.metric("portcullis_authenticator_errors_total", authenticator="hostile", reason="memory")
        assert errors == count
        assert gateway.send("/", ALICE).status == 200, "what it had is free again"
    why = gateway.logged(message="an authenticator could not decide")[0]["why"]
    assert "plugins.memory" in why


@pytest.mark.parametrize("kibibytes", [420_000, 4_000_000])
def test_a_small_address_space_is_enough_and_is_named_where_it_is_not(
    serve, upstream, tmp_path, hostile_component, kibibytes
):
    """Row H19 of the field reports: as by `ulimit -v` in a login shell or a batch system, where no pool of sandboxes can be reserved.
    Besides these, there is room for the program itself, which is large where it isn't optimised."""
    plugins = drop(tmp_path, "hostile", hostile_component, '[grants]\nheaders = ["x-do"]\n[limits]\nmemory = "1GiB"\n')
    config = ADMIN + plugins + 'memory = "8GiB"\n' + protected(upstream) + route(upstream, "hostile", path="/hostile")
    program = PORTCULLIS.stat().st_size // 1024
    shell = ["sh", "-c", f'ulimit -v {kibibytes + program} && exec "$@"', "sh"]
    gateway = serve(config, launcher=shell)
    assert [line["level"] for line in gateway.log() if "ulimit -v" in line["message"]] == ["WARN"]
    assert gateway.send("/", ALICE).status == 200
    if kibibytes < 1_000_000:
        answer = gateway.send("/hostile", {"X-Do": "eat memory"})
        assert answer.status == 503
        [line] = eventually(lambda: gateway.logged(message="an authenticator could not decide"), "the failure is logged")
        assert "no address space" in line["why"]
        assert gateway.send("/", ALICE).status == 200
