"""Socket activation and notifications as by systemd, without systemd."""

import contextlib
import os
import select
import socket
import sys

FIRST = 3
"""The first file that a service is passed (sd_listen_fds(3))."""

LAUNCHER = """
import os, sys
names, files, command = sys.argv[1], [int(file) for file in sys.argv[2].split(",")], sys.argv[3:]
# Above all of them first, so that none overwrites another.
above = max(files) + len(files) + 3
files = [os.dup2(file, above + place, inheritable=False) for place, file in enumerate(files)]
for place, file in enumerate(files):
    os.dup2(file, 3 + place)
# By default the sockets are for the process that this one becomes.
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ["LISTEN_FDS"] = str(len(files))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(command[0], command)
"""


def activation(**sockets):
    """Options of a `Gateway` that inherits these lists of sockets by name."""
    names = [name for name, each in sockets.items() for _ in each]
    files = [opened.fileno() for each in sockets.values() for opened in each]
    return launcher(":".join(names), files)


def launcher(names, files):
    """The same for names as they stand in the environment."""
    command = [sys.executable, "-c", LAUNCHER, names, ",".join(map(str, files))]
    return {"launcher": command, "pass_fds": files}


@contextlib.contextmanager
def opened(family=socket.AF_INET, address=("127.0.0.1", 0), listen=True):
    """A listening socket as a socket unit opens it."""
    with socket.socket(family) as created:
        created.bind(address)
        if listen:
            created.listen()
        yield created


class Manager:
    """Receives notifications of a service. `path` is for `NOTIFY_SOCKET`."""

    def __init__(self, path):
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def receive(self, seconds=20):
        """The lines of the next message."""
        ready, _, _ = select.select([self._socket], [], [], seconds)
        assert ready, f"nothing was said within {seconds} s"
        return self._socket.recv(65536).decode().splitlines()

    def receive_until(self, line):
        """Every line up to the message that has this one."""
        lines = []
        while line not in lines:
            lines += self.receive()
        return lines

    def is_empty(self):
        return select.select([self._socket], [], [], 0)[0] == []

    def close(self):
        self._socket.close()
        os.unlink(self.path)
