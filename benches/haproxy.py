"""What one request with an RS256 token costs Portcullis and HAProxy, in microseconds of processor time.

Both check the token, then answer 200 themselves. They run by turns, pinned to one processor, while wrk sends many
distinct tokens from another, each again and again. Portcullis is measured with its decisions reused, with its audit log in a
file, and with a call for every request. Run it by `benches/haproxy`.
"""

import contextlib
import tempfile
from pathlib import Path

from measure import need, portcullis, spread, wrk
from tokens import AUDIENCE, AUTHENTICATOR, ISSUER, haproxy, parse, refuses, write_tokens

PORTCULLIS = f"""
[server]
listen = "127.0.0.1:0"
{AUTHENTICATOR}
[[routes]]
path = "/"
authenticators = ["tokens"]
upstream = "portcullis:whoami"
"""

FRESH = '\n[authenticators.tokens.limits]\nreuse_decisions = "0s"\n'

QUIET = "warn,portcullis::serve=info"

VARIANTS = {
    # What is measured: the configuration, and the level of its log. HAProxy logs nothing.
    "reused": (PORTCULLIS, QUIET),
    "reused, audit log": (PORTCULLIS, "info"),
    "fresh": (PORTCULLIS + FRESH, QUIET),
}


def main():
    arguments = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        bad = write_tokens(folder, arguments.tokens)
        servers = {"haproxy": stack.enter_context(haproxy(folder))}
        for name, (config, level) in VARIANTS.items():
            own = folder / name
            own.mkdir()
            config = config.format(issuer=ISSUER, audience=AUDIENCE, folder=folder)
            servers[name] = stack.enter_context(portcullis(own, arguments.portcullis, config, level))
        for name, server in servers.items():
            refuses(name, server, bad)
        rounds = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):
            for name, server in servers.items():
                measured = wrk(server, server.url(), arguments.seconds, script=folder / "load.lua")
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


def report(rounds):
    print(f"{'':20}{'requests/s (median, min … max)':>34}{'CPU µs/request':>26}{'beside haproxy':>26}")
    for name, measured in rounds.items():
        rates, costs = spread([load.rate for load in measured], 0), spread([load.cost for load in measured])
        ratios = spread([ours.cost / theirs.cost for ours, theirs in zip(measured, rounds["haproxy"])], 2)
        print(f"{name:20}{rates:>34}{costs:>26}{ratios:>26}")


if __name__ == "__main__":
    need("haproxy", "wrk", "taskset")
    main()
