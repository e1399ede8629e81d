"""Portcullis as a plain reverse proxy beside nginx and Envoy: requests per second, processor time for each, latency, and
the memory of idle connections.

All have one processor and the same upstream, an nginx on the other processor, where wrk is too, and run by turns. Beside
the public route, which is the work that the others do, Portcullis has one for tokens, whose decisions it reuses, and one for
sessions. Run it by
`benches/proxy`, with a release build.
"""

import argparse
import contextlib
import re
import resource
import secrets
import socket
import sys
import tempfile
from pathlib import Path

from measure import envoy, need, nginx, portcullis, resident_bytes, spread, status_of, wrk
from tokens import AUDIENCE, AUTHENTICATOR, BINARY, ISSUER, write_tokens

UPSTREAM = 'server { listen 127.0.0.1:{port}; keepalive_requests 1000000000; return 200 "ok"; }'

NGINX = """
upstream behind { server 127.0.0.1:%d; keepalive 64; keepalive_requests 1000000000; }
server {
    listen 127.0.0.1:{port};
    keepalive_requests 1000000000;
    location / {
        proxy_pass http://behind;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
"""

PORTCULLIS = f"""
[server]
listen = "127.0.0.1:0"
keepalive_timeout = "10m"
[session]
keys = ["env:KEY"]
secure = false
{AUTHENTICATOR}[authenticators.people]
plugin = "simple"
[[routes]]
path = "/public"
public = true
upstream = "http://127.0.0.1:{{upstream}}"
[[routes]]
path = "/token"
authenticators = ["tokens"]
upstream = "http://127.0.0.1:{{upstream}}"
[[routes]]
path = "/session"
authenticators = ["people"]
upstream = "http://127.0.0.1:{{upstream}}"
"""

BASIC = "Authorization: Basic YWxpY2U6"
PATHS = {"portcullis": "/public", "portcullis, tokens": "/token", "portcullis, sessions": "/session"}


def main():
    arguments = parse()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        write_tokens(folder, 1)
        token = (folder / "tokens").read_text().strip()
        upstream = stack.enter_context(nginx(folder, "upstream", UPSTREAM, processor="1"))
        config = PORTCULLIS.format(issuer=ISSUER, audience=AUDIENCE, folder=folder, upstream=upstream.port)
        gateway = stack.enter_context(portcullis(folder, arguments.portcullis, config, KEY=secrets.token_hex(32)))
        servers = {
            "nginx": stack.enter_context(nginx(folder, "nginx", NGINX % upstream.port)),
            "envoy": stack.enter_context(envoy(folder, upstream.port, "route: { cluster: service }")),
            **dict.fromkeys(PATHS, gateway),
        }
        for path in ("/token", "/session"):
            if status_of(gateway.port, path) != 401:
                sys.exit(f"{path} is open to anybody")
        headers = {"portcullis, tokens": [f"Authorization: Bearer {token}"], "portcullis, sessions": [cookie(gateway)]}
        rounds = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):
            for name, server in servers.items():
                url = server.url(PATHS.get(name, "/"))
                measured = wrk(server, url, arguments.seconds, arguments.connections, headers=headers.get(name, ()))
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)
        if arguments.idle:
            memory(servers, arguments.idle)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="length of a round (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--connections", type=int, default=32, help="connections at once (default 32)")
    parser.add_argument("--idle", type=int, default=5000, help="idle connections for their memory; 0: not measured (default 5000)")
    parser.add_argument("--portcullis", type=Path, default=BINARY)
    return parser.parse_args()


def cookie(gateway):
    """The session that a login leaves a client with."""
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
        client.sendall(f"GET /session HTTP/1.1\r\nHost: x\r\n{BASIC}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return "Cookie: " + re.search(r"(?i)set-cookie: ([^;]+)", answer)[1]


def report(rounds):
    print(f"{'':22}{'requests/s':>24}{'CPU µs/request':>28}{'p50 ms':>25}{'p99 ms':>25}")
    for name, loads in rounds.items():
        columns = [
            (spread([load.rate for load in loads], 0), 24),
            (spread([load.cost for load in loads]), 28),
            (spread([load.p50 for load in loads], 2), 25),
            (spread([load.p99 for load in loads], 2), 25),
        ]
        print(f"{name:22}" + "".join(f"{text:>{width}}" for text, width in columns))
    for name in PATHS:
        for other in ("nginx", "envoy"):
            pairs = list(zip(rounds[name], rounds[other], strict=True))
            rates = [ours.rate / theirs.rate for ours, theirs in pairs]
            costs = [ours.cost / theirs.cost for ours, theirs in pairs]
            late = [ours.p99 / theirs.p99 for ours, theirs in pairs]
            print(f"{name} / {other}, round by round: rate {spread(rates, 2)}, CPU {spread(costs, 2)}, p99 {spread(late, 2)}")


def memory(servers, count):
    """Resident memory of a connection that has had one answer and waits for the next request."""
    for name in ("portcullis", "nginx", "envoy"):
        server = servers[name]
        request = f"GET {PATHS.get(name, '/')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        before = resident_bytes(server.pid)
        with contextlib.ExitStack() as held:
            for _ in range(count):
                client = held.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
                client.sendall(request)
                client.recv(4096)
            each = (resident_bytes(server.pid) - before) / count
        print(f"{name}: {each / 1024:.1f} KiB for each of {count} idle connections")


if __name__ == "__main__":
    need("nginx", "wrk", "taskset")
    main()
