"""Child processes that never outlive the tests, however these end, and the one way to wait for a condition.

Each child leads a process group, gets SIGTERM when pytest dies, and is swept up with all its descendants at the end.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)
FIRST_PORT = 10_000


class Child:
    """A program that runs beside the tests. Its output goes to `log`, a file that stays for the diagnosis."""

    def __init__(self, command, log, **options):
        self.log = log
        with open(log, "ab") as sink:
            # It becomes the program, which then dies with the tests. Code of Python's own between fork and exec could
            # hang or crash, as there are threads.
            launcher = ["setpriv", "--pdeathsig", "TERM"]
            self.process = subprocess.Popen(
                [*launcher, *(str(word) for word in command)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                **options,
            )

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_until(self, condition, what, seconds=30):
        """Waits for `condition`; fails with the end of the log when the child ends before it holds."""

        def holds():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {what}:\n{self.output()[-4000:]}")
            return condition()

        try:
            return eventually(holds, what, seconds)
        except TimeoutError as late:
            raise AssertionError(f"{late}:\n{self.output()[-4000:]}") from None

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self, seconds=20):
        """Asks the program, not its whole group, to end, as an operator would. Returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"still there {seconds} s after SIGTERM:\n{self.output()[-4000:]}") from None

    def kill(self):
        """Ends the whole group at once, as a crash would."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()


def eventually(condition, what, seconds=15):
    """Returns what `condition` returns once that is true; raises `TimeoutError` when it isn't in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds} s: {what}")


def free_ports(count):
    """Ports that are free now, for programs that can't report their own.

    They lie below those that the system gives to outgoing connections and to port 0, so that only another program that
    asks for this very number could take one before it is used.
    """
    chosen = []
    while len(chosen) < count:
        port = random.randrange(FIRST_PORT, _first_ephemeral_port())
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("", port))
            except OSError:
                continue
        if port not in chosen:
            chosen.append(port)
    return chosen


def with_free_ports(count, start, attempts=3):
    """Calls `start(*ports)`, and again with other ports when it fails because another program took one of them."""
    for attempt in range(attempts):
        try:
            return start(*free_ports(count))
        except (AssertionError, OSError) as failure:
            if attempt + 1 == attempts or "address already in use" not in str(failure).lower():
                raise


def _first_ephemeral_port():
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


class Unreachable:
    """A server on `url` that refuses every connection: its port is taken, but nothing listens there."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def stop(self):
        self._socket.close()


def adopt_orphans():
    """From now on a child of a dead child becomes ours, so that `sweep` finds it."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def sweep():
    """Kills every descendant that is left."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
