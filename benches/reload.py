"""Hot reload under load: what fails, how much memory is kept, and how long it takes until a change is in use.

Files of a running gateway change in turn: a component in the plugin directory, a route, a secret, a certificate. Each
change is made as soon as the one before is in use. Meanwhile two kinds of clients ask all the time: some keep their
connection, others make a new one for each request. Failed is what was sent and not answered with 200. A client whose
connection is closed between two requests has lost nothing. Run it by `benches/reload`, with a release build.
"""

import argparse
import base64
import contextlib
import os
import re
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from programs.portcullis import RELEASE, portcullis
from programs.process import CLIENT, ROOT, need
from programs.tls_clients import Clients, connect, context

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from harness import build
from harness.certificates import Authority

CONFIG = """
[server]
listen = "127.0.0.1:0"
tls = {{ cert = "{folder}/cert.pem", key = "{folder}/key.pem" }}
[plugins]
directory = "{folder}/plugins"
[authenticators.secret]
plugin = "simple"
settings.password = "file:{folder}/secret"
[[routes]]
path = "/open"
public = true
upstream = "portcullis:whoami"
[[routes]]
path = "/plugin"
authenticators = ["guest"]
upstream = "portcullis:whoami"
[[routes]]
path = "/secret"
authenticators = ["secret"]
upstream = "portcullis:whoami"
[[routes]]
path = "/turn/{turn}"
public = true
upstream = "portcullis:whoami"
"""

GUEST = '[grants]\nheaders = ["authorization", "x-do"]\n'
BOTH = "Authorization: Script grant\r\nX-Do: nothing\r\n"
"""What either build of the component grants. One of them answers `ONE` differently."""
ONE = "Authorization: Script grant\r\n"

KINDS = ("component", "route", "secret", "certificate")

WARM = 40
"""After how many changes memory is looked at first: ten of each kind."""

REQUESTS = [("/open", ""), ("/plugin", BOTH)]
"""What the clients ask for."""


def main():
    arguments = parse()
    os.sched_setaffinity(0, {int(CLIENT)})
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        config = CONFIG.format(folder=folder, turn=0)
        with portcullis(Path(folder), arguments.portcullis, config) as server:
            files.check(server)
            clients = Clients(server, files.authority, arguments.clients, exchange)
            changes = {kind: getattr(files, f"change_{kind}") for kind in arguments.kinds}
            times, memory = {kind: [] for kind in changes}, {}
            # The first changes fill what is bounded: caches, pools, the stacks of threads.
            warm = min(WARM, arguments.reloads // 2)
            for turn in range(1, arguments.reloads + 1):
                time.sleep(arguments.pause)
                kind = arguments.kinds[turn % len(arguments.kinds)]
                changed, is_used = changes[kind](server, turn)
                times[kind].append(wait_for(is_used) - changed)
                if turn in (warm, arguments.reloads) or turn % max(arguments.reloads // 10, 1) == 0:
                    memory[turn] = settled(server.pid)
            counts = clients.stop()
            report(times, memory, warm, counts, Path(folder) / "portcullis.log")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=1000, help="how many changes are made (default 1000)")
    parser.add_argument("--clients", type=int, default=2, help="clients of each kind (default 2)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what changes (default: all, in turn)")
    parser.add_argument("--pause", type=float, default=0, help="seconds between two changes (default 0): 60 and 60 reloads take an hour")
    parser.add_argument("--portcullis", type=Path, default=RELEASE)
    return parser.parse_args()


class Files:
    """The files that change. Each change returns when it was made, and what tells that it is in use."""

    def __init__(self, folder):
        self._folder = folder
        self.authority = Authority(folder)
        self._pairs = [self.authority.issue(f"turn-{turn}") for turn in range(2)]
        self._guests = [build.guest_component(name) for name in ("scripted", "prober")]
        self._current = Counter()
        (folder / "plugins").mkdir()
        (folder / "plugins" / "guest.toml").write_text(GUEST)
        self._place("plugins/guest.wasm", self._guests[0].read_bytes())
        self._place("secret", b"0")
        for name, source in zip(("cert.pem", "key.pem"), self._pairs[0], strict=True):
            self._place(name, source.read_bytes())

    def change_component(self, server, turn):
        index = self._next("component")
        # The one that reads `Authorization` grants it, and the other one refuses what isn't a command of its own.
        wanted = [200, 503][index]
        changed = self._place("plugins/guest.wasm", self._guests[index].read_bytes())
        return changed, lambda: status(server, self.authority, "/plugin", ONE) == wanted

    def change_route(self, server, turn):
        changed = self._place("config/portcullis.toml", CONFIG.format(folder=self._folder, turn=turn).encode())
        return changed, lambda: status(server, self.authority, f"/turn/{turn}") == 200

    def change_secret(self, server, turn):
        credentials = base64.b64encode(f"alice:{turn}".encode()).decode()
        changed = self._place("secret", str(turn).encode())
        fields = f"Authorization: Basic {credentials}\r\n"
        return changed, lambda: status(server, self.authority, "/secret", fields) == 200

    def change_certificate(self, server, turn):
        pair = self._pairs[self._next("certificate")]
        wanted = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
        self._place("key.pem", pair[1].read_bytes())
        changed = self._place("cert.pem", pair[0].read_bytes())
        return changed, lambda: certificate(server, self.authority) == wanted

    def check(self, server):
        if status(server, self.authority, "/plugin", BOTH) != 200:
            sys.exit("the plugin doesn't grant what it should")

    def _next(self, kind):
        self._current[kind] += 1
        return self._current[kind] % 2

    def _place(self, name, content):
        """Replaces a file at once, and returns when."""
        beside = self._folder / "beside"
        beside.write_bytes(content)
        beside.chmod(0o600)
        changed = time.monotonic()
        os.replace(beside, self._folder / name)
        return changed


def ask(connection, path, fields=""):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
    received = connection.recv(65536)
    while received and not is_whole(received):
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("half an answer")
        received += more
    return received


def exchange(connection, turn):
    return ask(connection, *REQUESTS[turn % len(REQUESTS)])


def is_whole(received):
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and (length is None or len(body) >= int(length[1]))


def status(server, authority, path, fields=""):
    with connect(server, context(authority)) as connection:
        return int(ask(connection, path, fields).split()[1])


def certificate(server, authority):
    with connect(server, context(authority)) as connection:
        return connection.getpeercert(binary_form=True)


def settled(pid):
    """The memory of the process, in bytes, once what a change has replaced is freed: the least of some looks at it, since the
    clients go on. How much of it is anonymous, and how much belongs to files.

    The allocator keeps what is freed for a while, so that it grows in steps and falls again. With MIMALLOC_PURGE_DELAY=0 in the
    environment it gives back at once: what is left then is in use.
    """
    looks = []
    for _ in range(10):
        time.sleep(0.2)
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        of = {name: int(kib) << 10 for name, kib in re.findall(r"(?m)^(\w+): +(\d+) kB$", rollup)}
        looks.append((of["Rss"], of["Anonymous"], of["Rss"] - of["Anonymous"]))
    return min(looks)


def wait_for(is_used):
    """When a change was in use."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if is_used():
                return time.monotonic()
        time.sleep(0.005)
    sys.exit("a change wasn't taken up")


def report(times, memory, warm, counts, log):
    print(f"{'change':12} {'times':>6} {'median':>9} {'longest':>9}")
    for kind, each in times.items():
        if each:
            longest, median = max(each), statistics.median(each)
            print(f"{kind:12} {len(each):6} {median * 1000:6.0f} ms {longest * 1000:6.0f} ms")
    print(f"{counts['failed']} of {counts['answered'] + counts['failed']} requests failed")
    for what, count in sorted(counts.items()):
        if what not in ("answered", "failed"):
            print(f"  {count} {what}")
    for turn, (whole, anonymous, of_files) in memory.items():
        parts = f"{anonymous / (1 << 20):.1f} MiB anonymous, {of_files / (1 << 20):.1f} MiB of files"
        print(f"{whole / (1 << 20):6.1f} MiB after {turn} changes ({parts})")
    before, after = memory[warm][0], memory[max(memory)][0]
    print(f"{(after - before) / before * 100:+.1f} % from {warm} to {max(memory)} changes")
    lines = log.read_text(errors="replace").splitlines()
    mistakes = [line for line in lines if '"level":"ERROR"' in line or "panicked" in line]
    print(f"{len(mistakes)} errors in the log", *mistakes[:5], sep="\n  ")


if __name__ == "__main__":
    need("taskset")
    main()
