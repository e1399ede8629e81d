"""What the tests of hostile plugins share: limits, configuration, and what containment means."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .client import basic
from .config import PEOPLE, route
from .process import eventually
from .upstream import values

SHORT_DEADLINE = """
deadline = "400ms"
memory = "16MiB"
breaker = 0
"""
"""Keys of `[authenticators.X.limits]` for a plugin that only its deadline ends."""

LONG_DEADLINE = SHORT_DEADLINE.replace("400ms", "20s")
"""The same for a plugin that has to end by something else, which may take a while on a busy machine."""

MAX_GROWTH_MIB = 96
"""How much more the gateway may hold after many rounds than after the first. One leaked memory of every call would be
hundreds of MiB; the allocator, the logs' buffers and the pool's resident pages are well below."""


def authenticator(name, component, grants='headers = ["x-do"]', limits=SHORT_DEADLINE):
    """The configuration of a hostile plugin."""
    return f"""
[authenticators.{name}]
plugin = "{component}"
[authenticators.{name}.grants]
{grants}
[authenticators.{name}.limits]
{limits}
"""


def instruct(*words):
    """The header that tells a guest what to do."""
    return {"X-Do": " ".join(words)}


def configuration(upstream, plugins):
    """A gateway's configuration. The route of each plugin is its name, and falls back to `simple`."""
    routes = [route(upstream, name, "people", path=f"/{name}") for name in plugins]
    return "".join(plugins.values()) + PEOPLE + "".join(routes) + route(upstream, "people")


def send_misbehaving(gateway, upstream, path, headers=()):
    """Sends a request to a misbehaving plugin and at the same time one to a good plugin, which must be served.

    Returns the first answer, and the log lines about its authenticator.
    """
    upstream.forget()
    before = len(gateway.log())
    with ThreadPoolExecutor(1) as pool:
        bad = pool.submit(gateway.send, path, dict(headers) | basic("bob"))
        good = gateway.send("/elsewhere", basic("carol"))
        answer = bad.result()
    assert good.status == 200
    assert values(good.json(), "x-forwarded-user") == ["carol"]
    assert [seen["target"] for seen in upstream.seen] == ["/elsewhere"], (
        "the request was refused, and no other authenticator was asked"
    )
    name = path.strip("/")
    return answer, [line for line in gateway.log()[before:] if line.get("authenticator") == name]


def assert_contained(gateway, upstream, path, headers=(), why=""):
    """Misbehaviour is a 503 without details; the log names the plugin and the reason."""
    answer, lines = send_misbehaving(gateway, upstream, path, headers)
    assert answer.status == 503, answer
    assert list(answer.json()) == ["error"]
    assert answer.all("x-evil") == answer.all("set-cookie") == []
    [line] = [line for line in lines if line["message"] == "an authenticator could not decide"]
    assert line["level"] == "WARN"
    assert re.search(why, line["why"]), line["why"]
    assert len(line["why"]) < 2000
    assert not any(ord(c) < 32 for c in line["why"])
    return lines


def resident_mib(gateway):
    """The gateway's resident memory."""
    statm = Path(f"/proc/{gateway.child.process.pid}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def peak_mib(gateway):
    """The gateway's peak resident memory."""
    status = Path(f"/proc/{gateway.child.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def assert_settles(gateway, peak_mib):
    """Waits until the gateway's resident memory is at most this."""
    try:
        eventually(lambda: resident_mib(gateway) <= peak_mib, f"at most {peak_mib:.0f} MiB", seconds=20)
    except TimeoutError as late:
        raise AssertionError(f"{late}: {resident_mib(gateway):.0f} MiB are held") from None


def send_all(gateway, requests, at_once=16):
    """Sends requests, `at_once` at a time, and returns their statuses."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda request: gateway.send(*request).status, requests))
