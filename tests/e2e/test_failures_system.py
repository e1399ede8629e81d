"""The machine fails: the clock steps, certificates expire, the log is not read, the disk is full."""

import contextlib
import datetime
import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest
from test_session_ends import TOKEN, revoke

from harness import client
from harness.client import ALICE, bearer
from harness.config import SESSION, protected, route, tokens
from harness.gateway import ADMIN, LISTEN_ANYWHERE, clean, write
from harness.paths import PORTCULLIS
from harness.process import eventually, free_ports

# The clock


@pytest.fixture
def clock(tmp_path):
    """Sets the time of a gateway that is started with `clock.environment`, and not of its timers: no step of a real
    clock moves those."""
    [library] = glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return Clock(tmp_path / "clock", library)


class Clock:
    def __init__(self, file, library):
        self._file = file
        self.step("+0")
        self.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, by):
        self._file.write_text(f"{by}\n")


def cookie(gateway):
    [(name, value)] = gateway.send("/", ALICE).set_cookies().items()
    return {"Cookie": f"{name}={value}"}


def test_sessions_expire_by_the_wall_clock(serve, upstream, clock):
    config = SESSION + 'max_age = "12h"\n' + protected(upstream)
    gateway = serve(config, KEY=secrets.token_hex(32), **clock.environment)
    session = cookie(gateway)
    assert gateway.send("/", session).status == 200
    clock.step("+1d")
    assert gateway.send("/", session).status == 401
    assert gateway.send("/", cookie(gateway)).status == 200, "a new one is good"
    clock.step("-1h")
    assert gateway.send("/", ALICE).status == 200
    assert gateway.send("/", session).status == 200, "it was sealed by us, and is not over"
    clock.step("+0")
    assert gateway.send("/", session).status == 200
    assert not gateway.logged(level="ERROR")


def test_a_clock_that_is_set_back_brings_no_revoked_session_back(serve, upstream, clock):
    """No session is older than it says, so those that begin before the revocation by the clock are over as well."""
    config = ADMIN + 'token = "env:TOKEN"\n' + SESSION + protected(upstream)
    gateway = serve(config, KEY=secrets.token_hex(32), TOKEN=TOKEN, **clock.environment)
    session = cookie(gateway)
    assert revoke(gateway, {"user": "alice"}).status == 200
    for step, counts in [("+0", True), ("-1h", False), ("+1m", True)]:
        clock.step(step)
        assert gateway.send("/", session).status == 401, step
        assert gateway.send("/", ALICE).status == 200, "credentials count"
        assert gateway.send("/", cookie(gateway)).status == (200 if counts else 401), step


def test_tokens_expire_by_the_wall_clock(serve, upstream, clock, provider):
    gateway = serve(tokens(provider) + route(upstream, "tokens"), **clock.environment)
    token = bearer(provider.sign(provider.claims()))
    for step, status in [("+0", 200), ("+1d", 401), ("+0", 200), ("-1d", 401), ("+0", 200)]:
        clock.step(step)
        assert gateway.send("/", token).status == status, step
    assert not gateway.logged(level="ERROR")


@pytest.mark.parametrize("step", ["+10d", "-10d"])
def test_timeouts_use_the_monotonic_clock(serve, upstream, clock, step):
    gateway = serve(protected(upstream), server='header_timeout = "1s"\nkeepalive_timeout = "4s"\n', **clock.environment)
    idle = client.connect(gateway.url)
    client.begin(idle, "GET", "/", ALICE)
    assert idle.getresponse().read()
    clock.step(step)
    client.begin(idle, "GET", "/", ALICE)
    assert idle.getresponse().read(), "it was not cut off"
    with gateway.open() as silent:
        assert silent.recv(1) == b"", "and this one is"
    assert idle.sock.recv(1) == b""


# Certificates


def tls(files):
    cert, key = files
    return f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n'


@pytest.mark.parametrize(
    "days, what", [((-20, -10), "has expired"), ((10, 20), "isn't valid yet"), ((-1, 5), "expires within")]
)
def test_a_certificate_outside_its_validity_is_logged_and_counted(serve, upstream, authority, days, what):
    now = datetime.datetime.now(datetime.UTC)
    files = authority.issue("server", between=[now + datetime.timedelta(days=day) for day in days])
    gateway = serve(ADMIN + protected(upstream), server=tls(files))
    [line] = eventually(lambda: gateway.logged(level="WARN", certificate=str(files[0])), "a warning")
    assert what in line["message"]
    until = gateway.metric("portcullis_certificate_expires_at_seconds", certificate=files[0])
    assert until == pytest.approx((now + datetime.timedelta(days=days[1])).timestamp(), abs=2)


def test_a_certificate_that_expires_at_run_time_is_logged_and_can_be_replaced(serve, upstream, authority):
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    files = authority.issue("server", between=[now - hour, now + datetime.timedelta(seconds=3)])
    gateway = serve(ADMIN + protected(upstream), server=tls(files))
    eventually(lambda: gateway.logged(message="a certificate has expired"), "a warning")
    context = ssl.create_default_context(cafile=authority.ca)
    with gateway.open() as wire, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(wire, server_hostname="localhost")
    for path, new in zip(files, authority.issue("renewed", between=[now - hour, now + 2000 * hour]), strict=True):
        path.write_bytes(new.read_bytes())

    def served():
        with contextlib.suppress(ssl.SSLError), gateway.open() as wire:
            return context.wrap_socket(wire, server_hostname="localhost")

    eventually(served, "the new certificate is served")
    eventually(lambda: gateway.logged(message="a certificate is valid again"), "it is logged")


# The log


@contextlib.contextmanager
def with_a_pipe(tmp_path, config, launcher=()):
    """A gateway whose log is a pipe; where it is, its first lines, and the end that the others are read from."""
    config = write(tmp_path, LISTEN_ANYWHERE + config)
    reader, writer = os.pipe()
    command = [*launcher, PORTCULLIS, "serve", "--config", config]
    process = subprocess.Popen(command, stderr=writer, env=clean({}), cwd=tmp_path)
    os.close(writer)
    try:
        with open(reader, "rb") as log:
            lines = []
            for line in log:
                lines.append(line)
                if b": listening " in line:
                    break
            yield process, address(lines[-1]), Log(lines, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    finally:
        process.kill()


def address(line):
    """Where a line of the log says that something listens."""
    return "http://" + re.search(r"address=(\S+)", line.decode())[1]


class Log:
    """What a gateway has logged, read only as it is asked for."""

    def __init__(self, lines, pipe):
        self.begun = lines
        self.pipe = pipe


def test_an_unread_log_delays_no_request(upstream, tmp_path):
    with with_a_pipe(tmp_path, protected(upstream)) as (_, url, log):
        for number in range(1000):
            assert client.send(url, f"/{number}", ALICE).status == 200
        decisions = (line for line in log.pipe if b"decision" in line)
        for number, line in zip(range(1000), decisions):
            assert f"path=/{number} ".encode() in line, "none is lost while they fit"


def test_a_full_log_does_not_delay_shutdown(upstream, tmp_path):
    with with_a_pipe(tmp_path, protected(upstream)) as (_, url, _):
        for number in range(500):
            assert client.send(url, f"/{number}{'x' * 1000}", ALICE).status == 200


def test_a_closed_log_delays_no_request(upstream, tmp_path):
    with with_a_pipe(tmp_path, ADMIN + protected(upstream)) as (_, url, log):
        log.pipe.close()
        for number in range(20):
            assert client.send(url, f"/{number}", ALICE).status == 200
        [admin] = [line for line in log.begun if b"admin listening" in line]
        metrics = client.send(address(admin), "/metrics").body.decode()
        assert float(metrics.split("portcullis_log_lines_lost_total ")[-1].split()[0]) >= 20


def test_a_log_on_a_full_disk_delays_no_request(upstream, tmp_path):
    [port] = free_ports(1)
    config = write(tmp_path, LISTEN_ANYWHERE.replace(":0", f":{port}") + protected(upstream))
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([PORTCULLIS, "serve", "--config", config], stderr=full, env=clean({}), cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"

    def answers():
        with contextlib.suppress(OSError):
            return client.send(url, "/", ALICE).status == 200

    eventually(answers, "it serves", seconds=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


# The disk


NO_SPACE = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes a program whose files can't grow beyond this, as on a disk that is full."""


def test_a_disk_without_space_for_compiled_plugins_costs_time_only(upstream, tmp_path):
    cache = f'[plugins]\ncache_directory = "{tmp_path}/cache"\n'
    with with_a_pipe(tmp_path, cache + protected(upstream), [sys.executable, "-c", NO_SPACE]) as (_, url, log):
        assert client.send(url, "/", ALICE).status == 200
        told = [line for line in log.begun if b"WARN" in line]
        assert told and b"cache" in told[0], told
    assert not list(Path(tmp_path, "cache").rglob("*.cwasm"))
