"""Programs on one processor, and what they use of it and of memory."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SERVER, CLIENT = "0", "1"
"""The processors: one for the program that is measured, one for whatever loads and answers it."""


@dataclass
class Server:
    """A program that is measured."""

    name: str
    pid: int
    port: int

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"


def need(*tools):
    """Ends the benchmark when a program or a processor is missing."""
    for tool in tools:
        if not program(tool):
            sys.exit(f"{tool} is missing: apt-get install nginx haproxy wrk util-linux")
    if not {int(SERVER), int(CLIENT)} <= os.sched_getaffinity(0):
        sys.exit(f"a benchmark needs the processors {SERVER} and {CLIENT}")


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def allow_many_files():
    """Raises the limit on open files as far as it goes, for this process and those that it starts."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def pinned(command, log, processor=SERVER, **options):
    """A program on one processor for as long as the context lasts. Yields its process id."""
    with log.open("wb") as sink:
        command = ["taskset", "-c", processor, *map(str, command)]
        process = subprocess.Popen(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, **options)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def connects(name, port, log):
    """Waits until a program accepts connections. If it doesn't, the benchmark ends and shows its log."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    sys.exit(f"{name} didn't start:\n{log.read_text()}")


def processor_seconds(pid):
    """What a process has used so far, as user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_seconds():
    """What all processors together have worked since the machine started, and what other machines on the same hardware
    have taken from them."""
    user, nice, system, _, _, irq, softirq, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / TICK, stolen / TICK


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def answer(port, path="/", headers=()):
    """The whole answer to one request."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        lines = [f"GET {path} HTTP/1.1", "Host: x", *headers, "Connection: close", "", ""]
        client.sendall("\r\n".join(lines).encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def status_of(port, path="/", headers=()):
    """The status of one request."""
    return int(answer(port, path, headers).split(" ")[1])
