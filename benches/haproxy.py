"""What one request with an RS256 token costs Portcullis and HAProxy, in microseconds of processor time.

Both check the token, then answer 200 themselves. They run by turns, pinned to one processor, while wrk sends many
distinct tokens from another. Run it by `benches/haproxy`.
"""

import contextlib
import statistics
import tempfile
from pathlib import Path

from common import AUTHENTICATOR, haproxy, load, needs, parse, portcullis, processor_seconds, refuses, write_tokens

PORTCULLIS = f"""
[server]
listen = "127.0.0.1:0"
{AUTHENTICATOR}
[[routes]]
path = "/"
authenticators = ["tokens"]
upstream = "portcullis:whoami"
"""


def main():
    arguments = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        bad = write_tokens(folder, arguments.tokens)
        ours, ports = stack.enter_context(portcullis(folder, arguments.portcullis, PORTCULLIS))
        servers = {
            "portcullis": (ours, ports["listening"]),
            "haproxy": stack.enter_context(haproxy(folder)),
        }
        for name, (_, port) in servers.items():
            refuses(name, port, bad)
        rounds = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):
            for name, (pid, port) in servers.items():
                before = processor_seconds(pid)
                rate, requests = load(folder, port, arguments.seconds)
                measured = rate, (processor_seconds(pid) - before) / requests * 1e6
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


def report(rounds):
    print(f"{'':12}{'requests/s':>12}{'CPU µs/request (median, min … max)':>40}")
    for name, measured in rounds.items():
        rates, costs = zip(*measured)
        cost = f"{statistics.median(costs):.1f} ({min(costs):.1f} … {max(costs):.1f})"
        print(f"{name:12}{statistics.median(rates):12.0f}{cost:>40}")
    ratios = [ours[1] / theirs[1] for ours, theirs in zip(*rounds.values())]
    print(f"CPU of portcullis / CPU of haproxy, round by round: median {statistics.median(ratios):.2f}"
          f" ({min(ratios):.2f} … {max(ratios):.2f})")


if __name__ == "__main__":
    needs("haproxy", "wrk", "taskset")
    main()
