"""What Kerberos tokens cost Portcullis and Apache's mod_auth_gssapi: accepts per second, and how long each takes.

Both have the same key and a replay cache on disk, and answer by themselves. They run by turns on the same KDC's tickets, and
each token is sent once, on connections that stay open. Run it by `benches/kerberos`.
"""

import argparse
import contextlib
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "target/release/portcullis"


def main():
    arguments = parse()
    os.environ["PORTCULLIS_BIN"] = str(arguments.portcullis.absolute())
    # What the tests are run with; it looks for the binary when it is imported.
    from harness.apache import Apache
    from harness.gateway import Gateway
    from harness.kdc import KRB5, SPNEGO, Kdc
    from harness.kerberos import acceptor, authenticator

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        kdc = started(stack, Kdc(made(folder / "kdc")))
        keytab = kdc.keytab(folder / "http.keytab", "HTTP/localhost")
        more = f"workers = {arguments.workers}"
        route = '[[routes]]\npath = "/"\nauthenticators = ["kerberos"]\nupstream = "portcullis:whoami"\n'
        listen = '[server]\nlisten = "127.0.0.1:0"\n'
        config = listen + acceptor(keytab, more=more) + authenticator() + route
        servers = {
            "portcullis": started(stack, Gateway(made(folder / "gateway"), config)).url,
            "apache": started(stack, Apache(folder / "apache.log", keytab)).url,
        }
        mech = {"krb5": KRB5, "spnego": SPNEGO}[arguments.mech]
        rounds = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):
            for name, url in servers.items():
                requests = [request(kdc.token(mech=mech)) for _ in range(arguments.tokens)]
                measured = load(name, url, requests, arguments.connections)
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=2000, help="tokens of a round (default 2000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--connections", type=int, default=4, help="connections at once (default 4)")
    parser.add_argument("--workers", type=int, default=2, help="helpers of Portcullis (default 2)")
    parser.add_argument("--mech", choices=["krb5", "spnego"], default="spnego")
    parser.add_argument("--portcullis", type=Path, default=BINARY)
    return parser.parse_args()


def made(folder):
    folder.mkdir()
    return folder


def started(stack, server):
    stack.callback(server.stop)
    return server


def request(token):
    from harness.kerberos import negotiate

    [(name, value)] = negotiate(token).items()
    return f"GET / HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n\r\n".encode()


def load(name, url, requests, connections):
    """Accepts per second, and the milliseconds that each took."""
    took, wrong = [], []
    threads = [
        threading.Thread(target=send_all, args=(url, requests[each::connections], took, wrong)) for each in range(connections)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    if wrong or len(took) != len(requests):
        sys.exit(f"{name} didn't accept a good token: {wrong[:1]}")
    return len(requests) / elapsed, took


def send_all(url, requests, took, wrong):
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in requests:
            begun = time.perf_counter()
            connection.sendall(each)
            answer = receive(connection)
            took.append((time.perf_counter() - begun) * 1e3)
            if not answer.startswith(b"HTTP/1.1 200 "):
                wrong.append(answer)
                return


def receive(connection):
    """One answer that has a length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536) or sys.exit("a connection ended")
    head, _, body = answer.partition(b"\r\n\r\n")
    [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(length.split(b":")[1]):
        body += connection.recv(65536)
    return answer


def report(rounds):
    print(f"{'':12}{'accepts/s (median, min … max)':>36}{'ms median':>12}{'ms 99 %':>12}")
    for name, measured in rounds.items():
        rates = [rate for rate, _ in measured]
        took = sorted(each for _, round in measured for each in round)
        rate = f"{statistics.median(rates):.0f} ({min(rates):.0f} … {max(rates):.0f})"
        print(f"{name:12}{rate:>36}{statistics.median(took):12.2f}{took[len(took) * 99 // 100]:12.2f}")


if __name__ == "__main__":
    main()
