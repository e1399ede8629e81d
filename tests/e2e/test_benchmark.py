"""The benchmark runs, and says what it measured. What comes out is not judged: that depends on the machine."""

import json
import os
import subprocess
import sys

import pytest

from harness.paths import PORTCULLIS, ROOT

KEYS = ["proxy-nginx", "proxy-envoy", "idle"]


def bench(*arguments):
    """Runs `python -m table`, as `benches/run` does once everything is installed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benches")}
    command = [sys.executable, "-m", "table", "--portcullis", PORTCULLIS, *arguments]
    return subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a benchmark needs two processors")
def test_rows_are_measured_by_turns_and_reported(tmp_path):
    ran = bench(*KEYS, "--rounds", 2, "--seconds", 1, "--json", tmp_path / "out.json")
    assert ran.returncode == 0, ran.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert {"processor", "system", "haproxy", "nginx", "envoy"} <= written["machine"].keys()
    assert [row["key"] for row in written["rows"]] == KEYS
    nginx, envoy, idle = written["rows"]
    assert nginx["peers"] != envoy["peers"] and nginx["ours"] == envoy["ours"], "one side of both rows is one side"
    for row in (nginx, envoy):
        ours, peers = ([load["cost"] for load in row["loads"][side]] for side in ("ours", "peer"))
        ratios = [a / b for a, b in zip(ours, peers, strict=True)]
        assert len(ratios) == 2
        assert (row["ratio"]["min"], row["ratio"]["max"]) == (min(ratios), max(ratios))
        assert row["met"] == (row["ratio"]["median"] <= row["bar"])
    assert idle["ratio"] is None and idle["ours"]["median"] > 0
    [*_, last] = ran.stdout.splitlines()
    assert last.startswith("idle ") and " KiB " in last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rs-256"], "no row rs-256: the rows are rs256-repeated, "),
        (["idle", "--write"], "--write needs all rows"),
        (["--seconds", "0"], "at least 1"),
    ],
)
def test_what_can_not_be_measured_is_an_error(arguments, said):
    ran = bench(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_every_row_is_on_the_page_with_its_plots(monkeypatch):
    """A row that is added or named anew has to be measured and written."""
    # Only for this test: the folder has modules that are named like packages.
    monkeypatch.syspath_prepend(ROOT / "benches")
    from table import plots, report
    from table.rows import FIGURES, TABLE

    page = (ROOT / "docs/performance.md").read_text()
    rows = [row for group in TABLE for row in group.rows]
    for row in [*rows, *FIGURES]:
        assert f"| {row.work} |" in page, row.key
    assert report.BEGIN in page and report.END in page
    for scheme in plots.SCHEMES:
        drawn = (ROOT / f"docs/performance/ratios-{scheme}.svg").read_text()
        assert drawn.count("<rect") == sum(row.drawn for row in rows)
