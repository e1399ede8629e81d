"""How many calls that compute for long get done, from half to four times what the machine can do.

Requests come at a steady rate that does not wait for answers. "Turned away" were answered 503 within a second, "late" after
that: work in vain. Beside them, requests to an idle authenticator. Run it by `benches/overload`.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS = '[grants]\nheaders = ["x-do"]\n[limits]\nbreaker = 0\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portcullis", type=Path, default=ROOT / "target" / "release" / "portcullis")
    parser.add_argument("--amount", type=int, default=150, help="about as many milliseconds of computing in a call")
    parser.add_argument("--seconds", type=int, default=20, help="for how long each load comes")
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 1, 1.5, 2, 3, 4])
    arguments = parser.parse_args()
    os.environ["PORTCULLIS_BIN"] = str(arguments.portcullis.resolve())
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from harness import build
    from harness.config import drop, whoami
    from harness.gateway import LISTEN_ANYWHERE, Gateway

    folder = Path(tempfile.mkdtemp())
    (folder / "plugins").mkdir()
    hostile = build.guest_component("hostile")
    plugins = [drop(folder / "plugins", name, hostile, LIMITS) for name in ("busy", "idle")]
    config = LISTEN_ANYWHERE + plugins[0] + whoami("busy", path="/busy") + whoami("idle", path="/idle")
    gateway = Gateway(folder, config)
    address = gateway.url.removeprefix("http://").split(":")
    try:
        asyncio.run(measure(address, arguments))
    finally:
        gateway.stop()


async def measure(address, arguments):
    compute = f"compute {arguments.amount}"
    alone = [(await ask(address, "/busy", compute))[1] for _ in range(10)]
    cost = statistics.median(alone)
    # One processor stays free for short calls.
    capacity = max(os.cpu_count() - 1, 1) / cost
    print(f"one call takes {cost * 1000:.0f} ms, so {capacity:.1f} can be done in a second")
    print(f"{'load':>5} {'good/s':>7} {'turned away':>12} {'late':>5} {'idle: good':>11} {'longest':>8}")
    for load in arguments.loads:
        busy, idle, start = [], [], time.monotonic()
        while (now := time.monotonic()) < start + arguments.seconds:
            busy.append(asyncio.create_task(ask(address, "/busy", compute)))
            if len(busy) % 5 == 0:
                idle.append(asyncio.create_task(ask(address, "/idle", "nothing bad")))
            await asyncio.sleep(max(0, start + len(busy) / (capacity * load) - now))
        busy, idle = await asyncio.gather(*busy), await asyncio.gather(*idle)
        took = time.monotonic() - start
        good = sum(status == 200 for status, _ in busy)
        turned_away = sum(status == 503 and time < 1 for status, time in busy)
        served = sum(status == 200 for status, _ in idle)
        print(
            f"{load:>5} {good / took:>7.2f} {turned_away:>12} {len(busy) - good - turned_away:>5} "
            f"{f'{served} of {len(idle)}':>11} {max(time for _, time in idle) * 1000:>5.0f} ms",
            flush=True,
        )


async def ask(address, path, deed):
    """The status of an answer, and how long it took."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Do: {deed}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer[9:12]), time.monotonic() - start


if __name__ == "__main__":
    main()
