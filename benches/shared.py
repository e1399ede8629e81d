"""What a request costs whose plugin looks into its cache, and how soon a session is over at each gateway:

own     the cache of the gateway alone
near    a cache that gateways share, with a value that is young enough to be taken from the gateway's memory
far     the same, asked for with each request

The cost is processor time of the gateway for each request. All sides run by turns, a ratio is of two rounds of the same turn, and the
table has the median of all turns. The second table has the times from an operator's order to the first refusal. Run it by
`benches/shared`.
"""

import argparse
import contextlib
import http.client
import json
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from harness import build
from harness.redis import Redis
from programs.portcullis import QUIET, RELEASE, listening, portcullis
from programs.process import need, status_of
from programs.wrk import wrk

RECALL, REMEMBER = "X-Do: recall k", "X-Do: remember k"
BASIC = "Basic YWxpY2U6"  # alice, without a password

CONFIG = """
[server]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"
token = "env:TOKEN"

[session]
keys = ["env:KEY"]

[authenticators.prober]
plugin = "{prober}"
grants.headers = ["x-do"]

[authenticators.people]
plugin = "simple"

[[routes]]
path = "/"
authenticators = ["people"]
upstream = "portcullis:whoami"

[[routes]]
path = "/cache"
authenticators = ["prober"]
upstream = "portcullis:whoami"
"""

SIDES = {"own": None, "near": "1h", "far": "0s"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portcullis", type=Path, default=RELEASE, help="a release")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="after one that doesn't count (default 5)")
    parser.add_argument("--revocations", type=int, default=20, help="how many sessions are revoked (default 20)")
    arguments = parser.parse_args()
    need("wrk", "taskset", "redis-server")
    prober = build.guest_component("prober")
    secret = {"KEY": secrets.token_hex(32), "TOKEN": secrets.token_hex(32)}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = Redis(folder / "redis")
        stack.callback(redis.stop)
        sides = {name: stack.enter_context(started(folder / name, arguments.portcullis, prober, redis, near, secret)) for name, near in SIDES.items()}
        costs(sides, arguments)
        revocations(folder, sides["near"], sides["far"], secret["TOKEN"], arguments.revocations)


@contextlib.contextmanager
def started(folder, binary, prober, redis, near, secret):
    folder.mkdir()
    config = CONFIG.format(prober=prober)
    if near:
        config += f'[shared_state]\nurl = "{redis.url}"\nnear = "{near}"\n'
    with portcullis(folder, binary, config, QUIET.replace("warn", "info"), STATE_DIRECTORY=str(folder / "state"), **secret) as server:
        assert status_of(server.port, "/cache", [REMEMBER]) == 200
        assert status_of(server.port, "/cache", [RECALL]) == 200
        yield server


def costs(sides, arguments):
    found = {name: [] for name in sides}
    for turn in range(arguments.rounds + 1):
        for name, server in sides.items():
            load = wrk(server, server.url("/cache"), arguments.seconds, headers=[RECALL])
            if turn > 0:
                found[name].append(load)
    print(f"{'cache':<6} {'µs a request':>13} {'beside own':>11} {'ms, median':>11} {'99 %':>6}")
    for name, loads in found.items():
        cost = statistics.median(load.cost for load in loads)
        ratio = statistics.median(load.cost / own.cost for load, own in zip(loads, found["own"], strict=True))
        p50, p99 = (statistics.median(getattr(load, rank) for load in loads) for rank in ("p50", "p99"))
        print(f"{name:<6} {cost:>13.1f} {ratio:>11.2f} {p50:>11.2f} {p99:>6.2f}")


def revocations(folder, one, other, token, count):
    """Sessions that are ended at one gateway, looked at there and at another one."""
    admin = listening(folder / "near/portcullis.log", "admin listening")
    times = {"the same gateway": [], "another gateway": []}
    for n in range(count):
        cookie = ask(one.port, {"Authorization": BASIC}).headers["set-cookie"].partition(";")[0]
        session = {"Cookie": cookie}
        assert ask(other.port, session).status == 200
        ordered = time.monotonic()
        ask(admin, {"Authorization": f"Bearer {token}"}, "POST", "/revocations", json.dumps({"user": "alice"}))
        for where, port in zip(times, (one.port, other.port), strict=True):
            while ask(port, session).status != 401:
                assert time.monotonic() < ordered + 10, f"the session goes on at {where}"
            times[where].append((time.monotonic() - ordered) * 1000)
        time.sleep(0.01)
    print(f"\n{'a session is over at':<22} {'ms, median':>11} {'at most':>8}")
    for where, taken in times.items():
        print(f"{where:<22} {statistics.median(taken):>11.1f} {max(taken):>8.1f}")


def ask(port, headers, method="GET", path="/", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


if __name__ == "__main__":
    main()
