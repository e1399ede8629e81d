"""A helper in the place of portcullis-negotiate, which does what a token tells it: `crash`, `hang`, or be a principal.

It notes what it was asked, and with which environment it was started, in `helper.log` beside it.
"""

import os
import signal
import socket
import struct
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))


def say(kind, content=b""):
    frame = bytes([kind]) + content
    gateway.sendall(struct.pack(">I", len(frame)) + frame)


def field(content):
    return struct.pack(">I", len(content)) + content


def receive(count):
    content = b""
    while len(content) < count:
        more = gateway.recv(count - len(content))
        if not more:
            raise SystemExit(0)
        content += more
    return content


def note(line):
    with open(f"{FOLDER}/helper.log", "a") as log:
        print(line, file=log)


gateway = socket.socket(fileno=0)
note(f"started {sorted(os.environ)}")
if os.path.exists(f"{FOLDER}/no-start"):
    print("cannot open shared object file\x1b[31m", file=sys.stderr, flush=True)
    raise SystemExit(127)
if os.path.exists(f"{FOLDER}/slow-start"):
    time.sleep(1)
say(3)
while True:
    frame = receive(*struct.unpack(">I", receive(4)))
    token = frame[5:] if frame[0] == 0 else frame[5 + struct.unpack(">I", frame[1:5])[0] + 4 :]
    word = token.decode("latin-1").split(" ")[0]
    note(word)
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "hang":
        time.sleep(3600)
    elif word == "slow":
        time.sleep(0.3)
        say(0, field(b"slow@EXAMPLE.TEST") + struct.pack(">QB", 3600, 0) + b"\0")
    elif word == "garbage":
        say(77, b"\xff")
    elif word == "huge":
        gateway.sendall(b"\xff\xff\xff\xff")
    elif word == "half":
        gateway.sendall(b"\0\0\0\x09\0")
        raise SystemExit(0)
    elif word == "words":
        os.write(2, token + b"\n\x1b[31m\xff")
        say(2, field(b"see \x1b[31m\nstandard error"))
    else:
        say(0, field(f"{word}@EXAMPLE.TEST".encode()) + struct.pack(">QB", 3600, 0) + b"\0")
