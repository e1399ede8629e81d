"""Rows with figures of their own: memory, and the time of a start."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from programs.built_ins import built_ins
from programs.portcullis import CACHE, listening, portcullis
from programs.process import resident_bytes

from . import ours

CONNECTIONS = 3000


@dataclass(frozen=True)
class Figure:
    """A row: a figure that meets the bar if it is not above. `samples` measures it on a stage, once or in as many rounds;
    `peer` has a name and measures the same of another program."""

    key: str
    work: str
    unit: str
    bar: float
    samples: Callable
    peer: tuple[str, Callable] | None = None


def idle_connection(side):
    """KiB of a connection that has had one answer and waits for the next request."""

    def samples(stage, rounds):
        with side.start(stage) as running, contextlib.ExitStack() as held:
            server = running.server
            before = resident_bytes(server.pid)
            for _ in range(CONNECTIONS):
                client = held.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                client.recv(4096)
            return [(resident_bytes(server.pid) - before) / CONNECTIONS / 1024]

    return samples


def another_authenticator(stage, rounds):
    """KiB of each further authenticator over one component and the same settings."""

    def resident(count):
        with portcullis(stage.folder("portcullis"), stage.portcullis, ours.authenticators(count)) as server:
            return resident_bytes(server.pid)

    resident(1)  # fills the cache of compiled plugins
    most = ours.MOST_AUTHENTICATORS
    return [(resident(most) - resident(1)) / (most - 1) / 1024]


def start(stage, rounds):
    """Milliseconds from the start of the process until it listens, on all processors."""
    folder = stage.folder("portcullis")
    config, log = folder / "portcullis.toml", folder / "log"
    text = ours.SERVER + built_ins(folder)
    config.write_text(text)
    with portcullis(stage.folder("portcullis"), stage.portcullis, text):
        pass  # fills the cache of compiled plugins
    return [started(stage.portcullis, config, log) for _ in range(rounds + 1)][1:]


def started(binary, config, log):
    with log.open("wb") as sink:
        began = time.monotonic()
        command = [binary, "serve", "--config", config, "--log-format", "json"]
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env={"XDG_CACHE_HOME": str(CACHE)})
    try:
        listening(log, interval=0.0005)
        return (time.monotonic() - began) * 1000
    finally:
        process.kill()
        process.wait()
