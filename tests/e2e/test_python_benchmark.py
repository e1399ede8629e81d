"""The benchmark of the Python package runs, and says what it measured. What comes out is not judged: that depends on the machine."""

import os
import re
import subprocess

import pytest

from harness import python_package
from harness.paths import ROOT


def bench(*arguments):
    """The lines that it prints, each in its columns."""
    command = [ROOT / "benches/python", *arguments, "--package", python_package.folder(), "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [re.split(r" {2,}", line) for line in done.stdout.splitlines()]


def amount(text, unit):
    """The number of a column."""
    number = re.fullmatch(rf"([\d.]+) {unit}", text)
    assert number, text
    return float(number[1])


def test_a_decision_is_measured_in_each_way():
    heads, *rows, request, memory = bench("decisions")
    assert heads == ["a decision", "one by one", "64 at once", "by a thread"]
    assert [name for name, *_ in rows] == ["fresh", "reused", "session"]
    assert all(amount(cost, "µs") > 0 for _, *costs in rows for cost in costs)
    assert re.fullmatch(r"besides that, [\d.]+ µs to make a Request", *request)
    assert re.fullmatch(r"memory: \d+ MiB before the import, \d+ MiB at the end", *memory)


def test_the_event_loop_is_measured_alone_and_beside_each_hostile_plugin():
    heads, *rows = bench("loop")
    assert heads == ["beside", "longest gap", "median gap", "ticks", "decisions"]
    assert [row[0] for row in rows] == ["nothing", "panic", "loop", "recurse", "eat memory", "nothing bad", "nothing"]
    for name, longest, median, ticks, decisions in rows:
        assert amount(longest, "ms") >= amount(median, "ms") > 0 and int(ticks) > 0, name
        assert int(decisions) == 0 or name != "nothing"
    assert int(rows[5][4]) > 0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a benchmark needs two processors")
def test_dask_gateway_is_measured_with_the_gateway_in_front_and_without():
    for only, more in (("ours: jupyterhub, reused", ""), ("the gateway in front: jupyterhub, reused", r", of which the gateway \d+ µs")):
        heads, row = bench("dask", "--rows", only, "--rounds", "1")
        assert heads == ["dask-gateway-server with", "requests/s", "cost", "beside the first", "p50", "p99", "memory"]
        name, *numbers = row
        form = r"(\d+) (\d+) µs 1\.00 \(1\.00 … 1\.00\) ([\d.]+) ms ([\d.]+) ms (\d+) MiB" + more
        measured = re.fullmatch(form, " ".join(numbers))
        assert name == only and measured, row
        rate, cost, p50, p99, memory = map(float, measured.groups())
        assert rate > 0 and cost > 0 and 0 < p50 <= p99 and memory > 0
