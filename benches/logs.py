"""What a request costs with each log and with traces, beside what it costs with none:

none      no line for a request
access    the access log
audit     the audit log, in the log
file      the audit file, and nothing in the log
signed    the same with signed checkpoints, one a second
all       the access log, the audit log and the signed audit file
context   no trace is sampled; each request has its context only
traces    traces as they are configured by default, at most a hundred a second
each      a trace of each request

The cost is processor time for each request, the threads that write included. All sides run by turns, a ratio is of two rounds of the
same turn, and the table has the median of all turns. Run it by `benches/logs`.
"""

import argparse
import contextlib
import http.server
import os
import secrets
import statistics
import sys
import tempfile
import threading
from pathlib import Path

from programs.portcullis import AUDIT, QUIET, RELEASE, portcullis
from programs.process import CLIENT, need, status_of
from programs.wrk import wrk

BASIC = "Authorization: Basic YWxpY2U6"  # alice, without a password

CONFIG = """
[server]
listen = "127.0.0.1:0"

[authenticators.people]
plugin = "simple"

[[routes]]
path = "/"
authenticators = ["people"]
upstream = "portcullis:whoami"
"""

ACCESS = "[access_log]\n"
FILE = '[audit]\nfile = "{folder}/audit.jsonl"\n'
SIGNED = FILE + 'checkpoint = "1s"\nkey = "env:AUDIT_KEY"\n'
TRACES = '[telemetry]\nprotocol = "http/protobuf"\nendpoint = "http://127.0.0.1:{collector}"\n'

SIDES = {
    "none": ("", QUIET),
    "access": (ACCESS, QUIET),
    "audit": ("", AUDIT),
    "file": (FILE, QUIET),
    "signed": (SIGNED, QUIET),
    "all": (ACCESS + SIGNED, AUDIT),
    "context": (TRACES + "sampling = 0.0\n", QUIET),
    "traces": (TRACES, QUIET),
    "each": (TRACES + "max_traces = 100_000\nqueue = 1_000_000\n", QUIET),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portcullis", type=Path, default=RELEASE, help="a release")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="after one that doesn't count (default 5)")
    arguments = parser.parse_args()
    need("wrk", "taskset")
    os.sched_setaffinity(0, {int(CLIENT)})
    costs = {name: [] for name in SIDES}
    served = dict.fromkeys(SIDES, 1)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(started(arguments.portcullis, name, served)) for name in SIDES}
        for turn in range(arguments.rounds + 1):
            for name, server in servers.items():
                load = wrk(server, server.url(), arguments.seconds, headers=[BASIC])
                served[name] += load.requests
                if turn > 0:
                    costs[name].append(load.cost)
    print(f"{'logs':<8} {'µs a request':>13} {'beside none':>12}")
    for name, values in costs.items():
        ratio = statistics.median(own / none for own, none in zip(values, costs["none"], strict=True))
        print(f"{name:<8} {statistics.median(values):>13.1f} {ratio:>12.2f}")


@contextlib.contextmanager
def started(binary, name, served):
    sections, level = SIDES[name]
    with tempfile.TemporaryDirectory() as folder, collector() as received:
        config = CONFIG + sections.format(folder=folder, collector=received.port)
        with portcullis(Path(folder), binary, config, level, AUDIT_KEY=secrets.token_hex(32)) as server:
            assert status_of(server.port, "/", [BASIC]) == 200
            yield server
            if "[audit]" in sections:
                lines = Path(folder, "audit.jsonl").read_bytes().count(b'"message":"decision"')
                # What was dropped has cost less than a line.
                print(f"{name}: {lines} lines of {served[name]} requests", file=sys.stderr)
                assert lines > 0, "the file has no line"
            if "[telemetry]" in sections:
                is_sampled = "sampling" not in sections
                assert (received.bytes > 0) == is_sampled, f"the collector got {received.bytes} bytes"


@contextlib.contextmanager
def collector():
    """A collector that takes everything and keeps nothing, on the processor of the clients."""

    class Collector(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.server.bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
            # A response of OTLP without a field has no bytes.
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.port, server.bytes = server.server_address[1], 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
