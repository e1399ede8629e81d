"""What the Python package costs. Run it by `benches/python`, with the name of a part or without:

decisions   microseconds of a decision, on asyncio and without it, by a fresh instance of a plugin and by a decision that is reused,
            and the memory of the process
loop        the longest time for which a ticker of 10 ms doesn't tick, alone and beside hostile plugins
dask        requests for the list of clusters that dask-gateway-server answers on one processor, and what each costs it: with dask's
            own authenticators, with the package in its process, and with the gateway in front. All run by turns: a ratio is of
            two rounds of the same turn
"""

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from harness import build
from harness.paths import PEERS, VENV_BIN
from programs.portcullis import listening
from programs.process import CLIENT, ROOT, SERVER, Server, answer, connects, free_port, need, pinned, processor_seconds, resident_bytes
from programs.wrk import wrk

PARTS = ("decisions", "loop", "dask")
BASIC = "Basic " + base64.b64encode(b"alice:secret").decode()


def main():
    arguments = parse()
    if arguments.inside:
        sys.path.insert(0, str(arguments.package))
        return INSIDE[arguments.inside](arguments)
    for part in arguments.parts or PARTS:
        if part == "dask":
            dask(arguments)
        else:
            # A process has one engine.
            words = [sys.executable, __file__, "--inside", part, "--package", arguments.package, "--seconds", arguments.seconds]
            subprocess.run([str(word) for word in words], check=True)
    return None


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--package", type=Path, default=ROOT / "target/python", help="the folder that has the package")
    parser.add_argument("--seconds", type=float, default=10, help="length of a measurement (default 10); wrk takes whole ones")
    parser.add_argument("--rounds", type=int, default=5, help="of each row of dask, after one that doesn't count (default 5)")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only the rows of dask that have this text")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # dask-gateway-server runs in a folder of its own.
    arguments.package = arguments.package.resolve()
    return arguments


# The parts within a process of their own.


def decisions(arguments):
    base = resident_bytes(os.getpid())
    from portcullis import Authenticator, Chain, Engine, Request, Sessions

    Engine()
    settings = {"password": "secret"}
    request = Request("GET", "/", headers={"Authorization": BASIC})
    whole = Chain(Authenticator("session", "simple", settings=settings), sessions=Sessions(Sessions.generate_key(), secure=False))
    [cookie] = [value for field, value in whole.decide_blocking(request).apply([]) if field == "set-cookie"]
    kinds = {
        "fresh": (Chain(Authenticator("fresh", "simple", settings=settings, limits={"reuse_decisions": "0s"})), request),
        "reused": (Chain(Authenticator("reused", "simple", settings=settings)), request),
        "session": (whole, Request("GET", "/", headers={"Cookie": cookie.partition(";")[0]})),
    }
    print(f"{'a decision':<12} {'one by one':>14} {'64 at once':>14} {'by a thread':>14}")
    for name, (chain, request) in kinds.items():
        costs = [
            asyncio.run(on_asyncio(chain, request, 1, arguments.seconds)),
            asyncio.run(on_asyncio(chain, request, 64, arguments.seconds)),
            by_a_thread(chain, request, arguments.seconds),
        ]
        print(f"{name:<12} " + " ".join(f"{cost * 1e6:>11.1f} µs" for cost in costs), flush=True)
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + arguments.seconds:
        Request("GET", "/", headers={"Authorization": BASIC})
        count += 1
    print(f"besides that, {(time.perf_counter() - start) / count * 1e6:.1f} µs to make a Request")
    print(f"memory: {base / 2**20:.0f} MiB before the import, {resident_bytes(os.getpid()) / 2**20:.0f} MiB at the end")


async def on_asyncio(chain, request, at_once, seconds):
    await asyncio.gather(*(chain.decide(request) for _ in range(1000)))
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        await asyncio.gather(*(chain.decide(request) for _ in range(at_once)))
        count += at_once
    return (time.perf_counter() - start) / count


def by_a_thread(chain, request, seconds):
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        chain.decide_blocking(request)
        count += 1
    return (time.perf_counter() - start) / count


HOSTILE = ["panic", "loop", "recurse", "eat memory", "nothing bad"]


def loop(arguments):
    from portcullis import Authenticator, Chain, Component, Request

    limits = {"deadline": "1s", "memory": "64MiB", "breaker": 0}
    component = Component(build.guest_component("hostile"))
    chain = Chain(Authenticator("hostile", component, grants={"headers": ["x-do"]}, limits=limits))
    # What the plugins say would fill the screen.
    logging.getLogger("portcullis").addHandler(logging.NullHandler())
    print(f"{'beside':<14} {'longest gap':>12} {'median gap':>12} {'ticks':>7} {'decisions':>10}")
    for words in [None, *HOSTILE, None]:
        request = Request("GET", "/", headers={"X-Do": words}) if words else None
        gaps, done = asyncio.run(ticker(chain, request, arguments.seconds))
        longest, median = max(gaps) * 1000, statistics.median(gaps) * 1000
        print(f"{words or 'nothing':<14} {longest:>9.1f} ms {median:>9.1f} ms {len(gaps):>7} {done:>10}", flush=True)


async def ticker(chain, request, seconds):
    """The gaps of a ticker of 10 ms, while four clients ask again and again. How many decisions they get."""
    done = 0

    async def ask():
        nonlocal done
        while True:
            await chain.decide(request)
            done += 1

    clients = [asyncio.create_task(ask()) for _ in range(4)] if request else []
    gaps, last, end = [], time.perf_counter(), time.perf_counter() + seconds
    while last < end:
        await asyncio.sleep(0.01)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return gaps, done


def fake_hub(arguments):
    """Answers like a hub about any token, with little work of its own."""
    body = json.dumps({"kind": "user", "name": "alice", "groups": ["staff"], "admin": False, "scopes": ["access:services"]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(head + body)
                await writer.drain()
        writer.close()

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", int(os.environ["HUB_PORT"])) as server:
            await server.serve_forever()

    asyncio.run(run())


INSIDE = {"decisions": decisions, "loop": loop, "hub": fake_hub}


# dask-gateway-server


def dask(arguments):
    need("wrk", "taskset")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        hub = free_port()
        command = [sys.executable, __file__, "--inside", "hub"]
        log = folder / "hub.log"
        stack.enter_context(pinned(command, log, CLIENT, env=os.environ | {"HUB_PORT": str(hub)}))
        connects("the hub", hub, log)
        chosen = [kind for kind in kinds(hub) if arguments.rows in kind[0]]
        sides = []
        for index, kind in enumerate(chosen):
            place = folder / str(index)
            place.mkdir()
            sides.append(stack.enter_context(started(*kind, place, arguments)))
        rounds = [[measure(side, arguments) for side in sides] for _ in range(arguments.rounds + 1)][1:]
    print(f"{'dask-gateway-server with':<46} {'requests/s':>11} {'cost':>9} {'beside the first':>24} {'p50':>8} {'p99':>8} {'memory':>8}")
    for index, side in enumerate(sides):
        own = [turn[index] for turn in rounds]
        ratios = [turn[index].cost / turn[0].cost for turn in rounds]
        rate, cost, front, p50, p99 = (statistics.median(each[place] for each in own) for place in range(5))
        shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"
        memory = max(each.memory for each in own)
        more = f", of which the gateway {front:.0f} µs" if front else ""
        print(f"{side.name:<46} {rate:>11.0f} {cost:>6.0f} µs {shown:>24} {p50:>5.1f} ms {p99:>5.1f} ms {memory:>4.0f} MiB{more}")


TOKEN = "Authorization: jupyterhub 0123456789abcdef"
PASSWORD = f"Authorization: {BASIC}"
PATH = "/api/v1/clusters/"
OURS = 'c.DaskGateway.authenticator_class = "portcullis.dask_gateway.WasmAuthenticator"\n'


def kinds(hub):
    """Each kind of authenticator: what it is called, the configuration of dask, and what requests have."""
    simple = 'c.SimpleAuthenticator.password = "secret"\n'
    own = f"""
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"
c.JupyterHubAuthenticator.jupyterhub_api_url = "http://127.0.0.1:{hub}/hub/api"
c.JupyterHubAuthenticator.jupyterhub_api_token = "0"
c.JupyterHubAuthenticator.jupyterhub_service_name = "dask-gateway"
"""
    ours = f"""{OURS}
c.WasmAuthenticator.plugin = "jupyterhub"
c.WasmAuthenticator.grants = {{"http": ["http://127.0.0.1:{hub}"]}}
c.WasmAuthenticator.settings = {{"api_url": "http://127.0.0.1:{hub}/hub/api", "service_name": "dask-gateway", "cache": CACHE}}
"""
    asks, fresh = ours.replace("CACHE", '"0"'), ours.replace("CACHE", '"5m"')
    never = 'c.WasmAuthenticator.limits = {"reuse_decisions": "0s"}\n'
    return [
        ("its own simple, each request", simple, [PASSWORD]),
        ("its own simple, with its cookie", simple, [PASSWORD, "cookie"]),
        ("its own jupyterhub, which asks the hub", own, [TOKEN]),
        ("its own jupyterhub, with its cookie", own, [TOKEN, "cookie"]),
        ("ours: jupyterhub, which asks the hub", asks + never, [TOKEN]),
        ("ours: jupyterhub, fresh, which knows the token", fresh + never, [TOKEN]),
        ("ours: jupyterhub, reused", fresh, [TOKEN]),
        ("ours: jupyterhub, with our cookie", fresh, ["only cookie", TOKEN]),
        ("the gateway in front: jupyterhub, fresh", hub, "0s"),
        ("the gateway in front: jupyterhub, reused", hub, "1m"),
    ]


class Side(NamedTuple):
    """One row: a server of dask, and perhaps the gateway before it."""

    name: str
    server: Server
    gateway: Server | None
    headers: list


class Round(NamedTuple):
    """What one round has measured. `cost` includes `front`, which is the gateway's; both are microseconds."""

    rate: float
    cost: float
    front: float
    p50: float
    p99: float
    memory: float


@contextlib.contextmanager
def started(name, config, prepare, folder, arguments):
    """Starts a row. For the gateway in front, `config` is the port of the hub and `prepare` for how long decisions are reused."""
    api, proxy = free_port(), free_port()
    behind = not isinstance(config, str)
    text = 'c.SimpleAuthenticator.password = "secret"\n' if behind else config
    (folder / "authenticator.py").write_text(text)
    log = folder / "dask.log"
    environment = os.environ | {
        "DASK_PORTS": f"{api} {proxy}",
        "DASK_COMMAND": str(VENV_BIN / "dask"),
        "DASK_AUTHENTICATOR": str(folder / "authenticator.py"),
        "PYTHONPATH": str(arguments.package),
    }
    command = [sys.executable, "-m", "dask_gateway_server", "-f", PEERS / "dask_in_process_config.py"]
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(pinned(command, log, SERVER, env=environment, cwd=folder))
        connects(name, api, log)
        server, headers = Server(name, pid, api), [TOKEN]
        gateway = stack.enter_context(in_front(folder, config, api, prepare, arguments)) if behind else None
        if not behind:
            headers = [field for field in prepare if ":" in field]
            if any("cookie" in field for field in prepare if ":" not in field):
                cookie = f"Cookie: {cookie_of(answer(api, PATH, headers))}"
                # Ours is used only without credentials, which take precedence.
                headers = [cookie] if "only cookie" in prepare else [*headers, cookie]
        yield Side(name, server, gateway, headers)


def measure(side, arguments):
    programs = [program for program in (side.server, side.gateway) if program]
    before = processor_seconds(side.gateway.pid) if side.gateway else 0
    url = (side.gateway or side.server).url(PATH)
    load = wrk(side.server, url, max(1, round(arguments.seconds)), headers=side.headers)
    front = (processor_seconds(side.gateway.pid) - before) / load.requests * 1e6 if side.gateway else 0
    memory = sum(resident_bytes(program.pid) for program in programs) / 2**20
    return Round(load.rate, load.cost + front, front, load.p50, load.p99, memory)


def cookie_of(text):
    [line] = [line for line in text.split("\r\n") if line.lower().startswith("set-cookie:")]
    return line.partition(":")[2].split(";")[0].strip()


@contextlib.contextmanager
def in_front(folder, hub, dask, reuse, arguments):
    """The gateway of the package, on the processor of dask's server: as if both were on a small machine."""
    config = folder / "portcullis.toml"
    config.write_text(f"""
[server]
listen = "127.0.0.1:0"
[authenticators.hub]
plugin = "jupyterhub"
settings = {{ api_url = "http://127.0.0.1:{hub}/hub/api", service_name = "dask-gateway" }}
grants.http = ["http://127.0.0.1:{hub}"]
limits.reuse_decisions = "{reuse}"
[[routes]]
path = "/"
authenticators = ["hub"]
upstream = "http://127.0.0.1:{dask}"
identity.basic_password = "env:PASSWORD"
""")
    log = folder / "portcullis.log"
    environment = os.environ | {"PYTHONPATH": str(arguments.package), "PASSWORD": "secret"}
    command = [sys.executable, "-m", "portcullis", "serve", "--config", config, "--log-format", "json"]
    with pinned(command, log, SERVER, env=environment) as pid:
        yield Server("portcullis", pid, listening(log))


if __name__ == "__main__":
    sys.exit(main())
