"""Large bodies and WebSocket messages through Portcullis and nginx: bytes and messages per second, and the processor time
that they take.

Both stream, have one processor, and lead to the same upstream, which shares the other processor with the client. Run it
by `benches/streams`, with a release build.
"""

import argparse
import contextlib
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from pathlib import Path

from programs.figures import spread
from programs.nginx import nginx
from programs.portcullis import RELEASE, portcullis
from programs.process import CLIENT, need, processor_seconds

NGINX = """
client_max_body_size 0;
server {
    listen 127.0.0.1:{port};
    location / {
        proxy_pass http://127.0.0.1:%d;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
    }
}
"""

PORTCULLIS = """
[server]
listen = "127.0.0.1:0"
[[routes]]
path = "/"
public = true
max_body_size = "none"
upstream = "http://127.0.0.1:{upstream}"
"""

PIECE = bytes(256 * 1024)
MESSAGE = b"\x82\xe4\0\0\0\0" + bytes(100)
"""A binary WebSocket message of 100 bytes from a client (RFC 6455, section 5.2), under a mask that changes nothing."""
WINDOW = 64
"""Messages under way at once."""
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


def main():
    arguments = parse()
    os.sched_setaffinity(0, {int(CLIENT)})
    upstream = socket.create_server(("127.0.0.1", 0), backlog=64)
    serving = multiprocessing.Process(target=serve, args=[upstream], daemon=True)
    serving.start()
    port = upstream.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        servers = [
            stack.enter_context(portcullis(folder, arguments.portcullis, PORTCULLIS.format(upstream=port))),
            stack.enter_context(nginx(folder, NGINX % port)),
        ]
        size, count = arguments.mebibytes << 20, arguments.messages
        works = {
            "download, MiB": (download, size, 1 << 20),
            "upload, MiB": (upload, size, 1 << 20),
            "WebSocket, messages": (messages, count, 1),
        }
        for name, (work, amount, unit) in works.items():
            rounds = {server.name: [] for server in servers}
            for turn in range(arguments.rounds + 1):
                for server in servers:
                    measured = measure(server, work, amount, unit)
                    if turn > 0:  # the first turn warms up
                        rounds[server.name].append(measured)
            report(name, rounds)
    serving.kill()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of a body (default 1024)")
    parser.add_argument("--messages", type=int, default=200_000, help="messages of a round (default 200000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--portcullis", type=Path, default=RELEASE)
    return parser.parse_args()


def measure(server, work, amount, unit):
    """Units per second, and microseconds of processor time for each."""
    before, began = processor_seconds(server.pid), time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        work(client, amount)
    elapsed = time.monotonic() - began
    used = processor_seconds(server.pid) - before
    return amount / unit / elapsed, used / (amount / unit) * 1e6


def download(client, amount):
    client.sendall(f"GET /down/{amount} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    rest = head(client)[1]
    swallow(client, amount - len(rest))


def upload(client, amount):
    client.sendall(f"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {amount}\r\n\r\n".encode())
    for _ in range(amount // len(PIECE)):
        client.sendall(PIECE)
    assert head(client)[0].startswith(b"HTTP/1.1 200 ")


def messages(client, amount):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"GET /websocket HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n")
    begun, rest = head(client)
    assert begun.startswith(b"HTTP/1.1 101 "), begun
    swallow(client, -len(rest))
    places = threading.Semaphore(WINDOW)

    def send():
        for _ in range(amount):
            places.acquire()
            client.sendall(MESSAGE)

    sender = threading.Thread(target=send)
    sender.start()
    whole = received = 0
    while whole < amount:
        received += len(client.recv(65536))
        done = received // len(MESSAGE)
        places.release(done - whole) if done > whole else None
        whole = done
    sender.join()


def head(connection):
    """The head of a message, and what came behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise EOFError(received)
        received += more
    begun, _, rest = received.partition(b"\r\n\r\n")
    return begun, rest


def swallow(connection, amount):
    space = bytearray(1 << 20)
    while amount > 0:
        received = connection.recv_into(space, min(amount, len(space)))
        if not received:
            raise EOFError(amount)
        amount -= received


def serve(listener):
    """The upstream: sends as much as the path says, takes what comes, or gives back what it gets."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=[connection], daemon=True).start()


def answer(connection):
    with connection, contextlib.suppress(EOFError, OSError):
        while True:
            begun, rest = head(connection)
            path = begun.split(b" ")[1].decode()
            if path.startswith("/down/"):
                amount = int(path.rsplit("/", 1)[1])
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {amount}\r\n\r\n".encode())
                for _ in range(amount // len(PIECE)):
                    connection.sendall(PIECE)
            elif path == "/up":
                fields = dict(line.lower().split(b": ", 1) for line in begun.split(b"\r\n")[1:])
                swallow(connection, int(fields[b"content-length"]) - len(rest))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                connection.sendall(agreed + rest)
                while received := connection.recv(65536):
                    connection.sendall(received)
                return


def report(name, rounds):
    print(f"{name:24}{'a second':>30}{'CPU µs for each':>30}")
    for server, measured in rounds.items():
        rates, costs = zip(*measured, strict=True)
        print(f"  {server:22}{spread(rates, 0):>30}{spread(costs, 2):>30}")
    ours, theirs = rounds.values()
    rates = [a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]
    costs = [a[1] / b[1] for a, b in zip(ours, theirs, strict=True) if b[1]]
    print(f"  portcullis / nginx, round by round: rate {spread(rates, 2)}", end="")
    print(f", CPU {spread(costs, 2)}" if costs else "")


if __name__ == "__main__":
    need("nginx", "taskset")
    main()
