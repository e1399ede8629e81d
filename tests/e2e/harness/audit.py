"""Audit files: what is in them, and what somebody does to them who knows how they are made."""

import hashlib
import json
import threading

from .gateway import run
from .sockets import SocketServer

OPENED, CHECKPOINT, DROPPED = "audit log opened", "audit checkpoint", "audit lines were dropped"


def lines(*files):
    """The lines of files, as they are written."""
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]


def entries(*files):
    return [json.loads(line) for line in lines(*files)]


def messages(*files):
    return [entry["message"] for entry in entries(*files)]


def verify(folder, *arguments):
    """Runs the command, and returns whether the chain is whole, and what it says."""
    done = run("audit", "verify", *arguments, folder=folder)
    assert done.stderr == "", done.stderr
    assert ("the chain is whole\n" in done.stdout) == (done.returncode == 0), done.stdout
    return done.returncode == 0, done.stdout


def whole(folder, *arguments):
    """What is said of a chain that is whole."""
    is_whole, said = verify(folder, *arguments)
    assert is_whole, said
    return said


def broken(folder, *arguments):
    """What is said of a chain that isn't whole, without the summary."""
    is_whole, said = verify(folder, *arguments)
    assert not is_whole, said
    return said.partition("lines: ")[0]


def hashed_anew(sealed):
    """Lines whose hashes are those of their content, whatever it is now."""
    before, new = bytes(32), []
    for line in sealed:
        text = line[: line.rindex(b',"hash":"')]
        before = hashlib.sha256(before + text).digest()
        new.append(text + b',"hash":"' + before.hex().encode() + b'"}\n')
    return new


class Collector(SocketServer):
    """Reads what a gateway sends to a socket, while `reads` is set."""

    def __init__(self, path):
        self.received = []
        self.reads = threading.Event()
        super().__init__(unix=path)

    def serve(self, wire):
        part = len(self.received)
        self.received.append(b"")
        while self.reads.wait():
            got = wire.recv(65536)
            if not got:
                return
            self.received[part] += got

    def text(self):
        """Everything, in the order of the connections."""
        return b"".join(self.received)
