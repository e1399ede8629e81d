"""Requests that are lost while a certificate changes a hundred times under load, by Portcullis and by nginx.

Two kinds of clients ask over TLS all the time: some keep their connection, others make a new one for each request. A new
certificate is put in place as soon as the one before is served, to nginx with `nginx -s reload`. Lost is what was sent and
not answered with 200. A client whose connection is closed between two requests has lost nothing. Run it by
`benches/tls_reload`, with a release build.
"""

import argparse
import contextlib
import os
import shutil
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

from programs.nginx import nginx
from programs.portcullis import RELEASE, portcullis
from programs.process import CLIENT, ROOT, need
from programs.tls_clients import Clients, connect, context

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from harness.certificates import Authority

NGINX = """
server {{
    listen 127.0.0.1:{{port}} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    return 200 "ok";
}}
"""

PORTCULLIS = """
[server]
listen = "127.0.0.1:0"
tls = {{ cert = "{cert}", key = "{key}" }}
[[routes]]
path = "/"
public = true
upstream = "portcullis:whoami"
"""

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main():
    arguments = parse()
    os.sched_setaffinity(0, {int(CLIENT)})
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        authority = Authority(folder)
        pairs = [authority.issue(f"turn-{turn}") for turn in range(2)]
        for name, start, reload in (("portcullis", start_portcullis, None), ("nginx", start_nginx, reload_nginx)):
            served = place(folder / f"{name}-served", pairs[0])
            with start(folder, arguments, served) as server:
                clients = Clients(server, authority, arguments.clients, exchange, failed="lost")
                began = time.monotonic()
                for turn in range(1, arguments.reloads + 1):
                    place(served[0].parent, pairs[turn % 2])
                    if reload:
                        reload(server)
                    wait_for(server, authority, pairs[turn % 2][0])
                elapsed = time.monotonic() - began
                report(name, arguments.reloads, elapsed, clients.stop())


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=100, help="how often the certificate changes (default 100)")
    parser.add_argument("--clients", type=int, default=4, help="clients of each kind (default 4)")
    parser.add_argument("--portcullis", type=Path, default=RELEASE)
    return parser.parse_args()


def place(folder, pair):
    """Puts a certificate and its key where they are served from, each at once."""
    folder.mkdir(exist_ok=True)
    placed = folder / "cert.pem", folder / "key.pem"
    for source, target in zip(pair, placed, strict=True):
        shutil.copy(source, f"{target}.new")
        os.replace(f"{target}.new", target)
    return placed


def start_portcullis(folder, arguments, served):
    config = PORTCULLIS.format(cert=served[0], key=served[1])
    return portcullis(folder, arguments.portcullis, config)


def start_nginx(folder, _, served):
    return nginx(folder, NGINX.format(cert=served[0], key=served[1]), reloads=True)


def reload_nginx(server):
    os.kill(server.pid, signal.SIGHUP)


def exchange(connection, _):
    connection.sendall(REQUEST)
    return connection.recv(65536)


def wait_for(server, authority, certificate):
    wanted = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    for _ in range(3000):
        with contextlib.suppress(OSError), connect(server, context(authority)) as connection:
            if connection.getpeercert(binary_form=True) == wanted:
                return
        time.sleep(0.02)
    sys.exit(f"{server.name} doesn't serve the new certificate")


def report(name, reloads, elapsed, counts):
    rest = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if what not in ("answered", "lost"))
    print(f"{name}: {counts['lost']} of {counts['answered'] + counts['lost']} requests lost in {reloads} reloads,"
          f" {elapsed:.0f} s{'; ' + rest if rest else ''}")


if __name__ == "__main__":
    need("nginx", "taskset")
    main()
