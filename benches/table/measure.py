"""Measures comparisons: both sides take turns in every round, so that what happens to the machine happens to both."""

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from programs.process import status_of
from programs.wrk import Load, wrk

from .side import Side

PACED_CONNECTIONS = 128

PACED = """
local most = %f
delay = function() return math.random(0, most) end
"""


@dataclass(frozen=True)
class Comparison:
    """A row: our cost over the peer's, which meets the bar if it is not above."""

    key: str
    work: str
    ours: Side
    peer: Side
    bar: float
    drawn: bool = True


def full_load(measured, seconds):
    """A round with requests as fast as the side answers them."""
    return lambda running: load(running, seconds)


def half_load(measured, seconds):
    """A round at half the rate that the first side can do, on connections that pause between requests."""
    rate = load(measured[0], seconds).rate / 2
    # The answers take some of the interval of a connection, and are short beside it.
    most = 2 * PACED_CONNECTIONS / rate * 1000

    def paced(running):
        script = running.script.with_name("paced.lua")
        script.write_text(running.script.read_text() + PACED % most)
        return load(running, seconds, script, PACED_CONNECTIONS)

    return paced


@dataclass(frozen=True)
class Group:
    """Rows that are measured by turns. `load`: makes a round from the sides, peers first; `value`: what counts of it."""

    rows: list[Comparison]
    load: Callable = full_load
    value: Callable = lambda load: load.cost
    unit: str = "µs"


@dataclass
class Measured:
    """The rounds of both sides of a row, and what counts of each."""

    row: Comparison
    group: Group
    ours: list[Load] = field(default_factory=list)
    peer: list[Load] = field(default_factory=list)

    @property
    def values(self):
        return [self.group.value(load) for load in self.ours]

    @property
    def peer_values(self):
        return [self.group.value(load) for load in self.peer]

    @property
    def ratios(self):
        return [ours / peer for ours, peer in zip(self.values, self.peer_values, strict=True)]


def measure(stage, group, rounds, seconds):
    """Starts every side of the group once, warms it up, and measures round by round."""
    sides = dict.fromkeys([row.peer for row in group.rows] + [row.ours for row in group.rows])
    with contextlib.ExitStack() as stack:
        for side in sides:
            sides[side] = stack.enter_context(side.start(stage))
            check(side, sides[side])
            warm_up(sides[side], seconds)
        measured = group.load(list(sides.values()), seconds)
        loads = {side: [] for side in sides}
        for turn in range(rounds + 1):
            for side, running in sides.items():
                load = measured(running)
                if turn > 0:  # the first turn warms up
                    loads[side].append(load)
    return [Measured(row, group, loads[row.ours], loads[row.peer]) for row in group.rows]


def check(side, running):
    if running.refused is None:
        return
    path = "/" + running.url.split("/", 3)[3]
    port = int(running.url.split("/")[2].rpartition(":")[2])
    status = status_of(port, path, running.refused)
    if status != 401:
        sys.exit(f"{side.name} answers a forged credential with {status}")


def warm_up(running, seconds):
    """The requests that come before what is measured holds, in one round, as each begins with the first request again."""
    while running.warm_up > (sent := load(running, seconds, running.warm_up_script).requests):
        seconds *= math.ceil(1.2 * running.warm_up / sent)
    running.settle()


def load(running, seconds, script=None, connections=32):
    return wrk(running.server, running.url, seconds, connections, script or running.script, running.headers)
