"""What a request to a good plugin takes, in milliseconds, alone and beside each hostile guest of the tests' hostile.

Both get requests at a steady rate that does not wait for answers, and a latency counts from when its request was due.
The good plugin is `simple`; "alone" is measured before, between and after the guests. Run it by `benches/hostile`.
"""

import argparse
import asyncio
import base64
import collections
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent

RAW = """
    loop in authenticate, loop in configure, loop at the start, loop after the answer, trap in authenticate, endless filling,
    recursion, memory bomb, two memory bombs, table bomb, name of 2 MiB, endless questions
"""
FLOODS = """
    sleep, watch-the-clock, poll-many, keep-pollables, hoard-fields, hoard-bodies, random-forever, ask-everything,
    crumble-the-cache, fill-the-cache, log-forever
"""
TRAPS = "fetch silent, fetch slow-body, fetch endless-body, fetch endless-head, upload deaf, upload swallow, fan-out silent"
DENIED = "fetch http|127.0.0.1:1|/"


def main():
    arguments = parse()
    os.environ["PORTCULLIS_BIN"] = str(arguments.portcullis.resolve())
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import test_hostile_answers
    import test_hostile_floods
    import test_hostile_loading
    import test_hostile_network
    import test_hostile_raw
    from harness import build, hostile, raw_plugins
    from harness.gateway import LISTEN_ANYWHERE, Gateway
    from harness.trap_servers import TrapServer
    from harness.upstream import Upstream

    trap_server, upstream = TrapServer(), Upstream()
    granted = f'headers = ["x-do"]\nhttp = ["http://{trap_server.address}"]'
    plugins = {"prober": hostile.authenticator("prober", build.guest_component("prober"), granted, arguments.limits)}
    guests = []
    for name in words(RAW):
        component = raw_plugins.component(**test_hostile_raw.MISBEHAVIOURS[name][1])
        slug = test_hostile_raw.slug(name)
        plugins[slug] = hostile.authenticator(slug, component, limits=arguments.limits)
        guests.append((name, f"/{slug}", "x"))
    guests += [(name, "/prober", name) for name in words(FLOODS)]
    for name in words(TRAPS):
        word, trap = name.split(" ")
        guests.append((name, "/prober", f"{word} http|{trap_server.address}|/{trap}"))
    guests.append(("fetch what is denied", "/prober", DENIED))
    if arguments.only:
        guests = [guest for guest in guests if arguments.only in guest[0]]

    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), LISTEN_ANYWHERE + hostile.configuration(upstream, plugins))
        base = hostile.resident_mib(gateway)
        alone, rows = [], []
        measure(gateway.url, arguments)  # warms up
        for index, guest in enumerate(guests):
            if index % 5 == 0:
                alone += measure(gateway.url, arguments)[0]
            before = hostile.resident_mib(gateway)
            latencies, statuses = measure(gateway.url, arguments, guest)
            rows.append((guest[0], latencies, statuses, before, hostile.resident_mib(gateway)))
        alone += measure(gateway.url, arguments)[0]
        report(alone, rows)
        print(f"memory: {base:.0f} MiB at the start, {hostile.resident_mib(gateway):.0f} MiB at the end,"
              f" {hostile.peak_mib(gateway):.0f} MiB at most")
        gateway.stop()
    load = len(test_hostile_loading.BAD | test_hostile_loading.TEXTS)
    calls = len(test_hostile_raw.MISBEHAVIOURS) + len(test_hostile_answers.ANSWERS) + len(test_hostile_floods.FLOODS)
    network = test_hostile_network
    spellings = len(network.SPELLINGS) + len(network.MALFORMED) + len(network.SCHEMES) + len(network.NAMES)
    print(f"the tests: {load} plugins that don't load, {calls} kinds of misbehaviour in a call, {len(network.TRAPS)} servers that never"
          f" end, {spellings} spellings of where no plugin may go")
    trap_server.stop()
    upstream.stop()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portcullis", type=Path, default=ROOT / "target/release/portcullis")
    parser.add_argument("--seconds", type=float, default=6, help="length of a round (default 6)")
    parser.add_argument("--rate", type=float, default=100, help="requests per second of each kind (default 100)")
    parser.add_argument("--limits", default="", help="keys of the hostile plugins' limits (default none)")
    parser.add_argument("--only", help="only the guests with this in their name")
    return parser.parse_args()


def words(text):
    return [word.strip() for word in text.replace("\n", " ").split(",")]


def measure(url, arguments, guest=None):
    """Latencies of the good plugin in milliseconds, and how often the guest got which status."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    attack = multiprocessing.Process(target=attacking, args=(url, arguments, guest, writer))
    if guest:
        attack.start()
        time.sleep(1)  # until the first of its calls are under way
    good = "Authorization: Basic " + base64.b64encode(b"carol:").decode()
    answers = asyncio.run(steadily(url, "/good", good, arguments.rate, arguments.seconds))
    assert {status for _, status in answers} == {200}, collections.Counter(status for _, status in answers)
    statuses = collections.Counter()
    if guest:
        statuses = reader.recv()
        attack.join()
    return [latency * 1000 for latency, _ in answers], statuses


def attacking(url, arguments, guest, writer):
    _, path, told = guest
    answers = asyncio.run(steadily(url, path, f"X-Do: {told}", arguments.rate, arguments.seconds + 1))
    writer.send(collections.Counter(status for _, status in answers))


async def steadily(url, path, header, rate, seconds):
    """Sends requests at their times, and waits for all their answers in the end."""
    start, asked = time.monotonic(), []
    for turn in range(int(rate * seconds)):
        due = start + turn / rate
        await asyncio.sleep(max(0, due - time.monotonic()))
        asked.append(asyncio.create_task(once(url, path, header, due)))
    return await asyncio.gather(*asked)


async def once(url, path, header, due):
    address = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return time.monotonic() - due, int(answer.split(b" ", 2)[1])
    except (OSError, IndexError) as error:
        return time.monotonic() - due, type(error).__name__


def report(alone, rows):
    median, p99 = statistics.median(alone), percentile(alone)
    print(f"{'':26}{'median ms':>10}{'p99 ms':>9}{'× alone':>9}{'× alone':>9}  {'MiB before, after':>18}  the guest got")
    print(f"{'alone':26}{median:10.2f}{p99:9.2f}")
    for name, latencies, statuses, before, after in rows:
        its_median, its_p99 = statistics.median(latencies), percentile(latencies)
        got = ", ".join(f"{count}× {status}" for status, count in statuses.most_common())
        print(f"{name:26}{its_median:10.2f}{its_p99:9.2f}{its_median / median:9.2f}{its_p99 / p99:9.2f}"
              f"  {before:8.0f}, {after:8.0f}  {got}")
    worst = max(rows, key=lambda row: statistics.median(row[1]))
    ratios = [statistics.median(row[1]) / median for row in rows], [percentile(row[1]) / p99 for row in rows]
    print(f"{len(rows)} guests: median of the ratios of medians {statistics.median(ratios[0]):.2f}, of p99"
          f" {statistics.median(ratios[1]):.2f}; worst {max(ratios[0]):.2f} ({worst[0]}), {max(ratios[1]):.2f}")


def percentile(latencies):
    return statistics.quantiles(latencies, n=100)[98]


if __name__ == "__main__":
    main()
