"""The command `benches/run`: what each request costs Portcullis and the programs beside it."""

import argparse
import json
import sys
from pathlib import Path

from programs.portcullis import RELEASE
from programs.process import ROOT, allow_many_files, need

from . import machine, plots, report
from .measure import Group, measure
from .rows import FIGURES, TABLE
from .stage import Stage

PAGE = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"


def main():
    keys = [row.key for group in TABLE for row in group.rows] + [row.key for row in FIGURES]
    arguments = parse(keys)
    chosen = arguments.rows or keys
    need("nginx", "haproxy", "wrk", "taskset")
    allow_many_files()
    results, head, disturbance = [], machine.describe(arguments.portcullis), machine.Disturbance()
    with Stage(arguments.portcullis, arguments.tokens) as stage:
        for group in TABLE:
            rows = [row for row in group.rows if row.key in chosen]
            if rows:
                said(rows)
                wanted = Group(rows, group.load, group.value, group.unit)
                results += map(report.of_comparison, measure(stage, wanted, arguments.rounds, arguments.seconds))
        for row in FIGURES:
            if row.key in chosen:
                said([row])
                peer = row.peer and row.peer[1](stage, arguments.rounds)
                results.append(report.of_figure(row, row.samples(stage, arguments.rounds), peer))
    head["meanwhile"] = str(disturbance)
    print(report.terminal(head, results))
    if arguments.json:
        arguments.json.write_text(json.dumps(report.json_of(head, arguments, results), indent=2, ensure_ascii=False) + "\n")
    if arguments.write:
        PAGE.write_text(report.replaced(PAGE.read_text(), report.markdown(head, arguments, results)))
        PLOTS.mkdir(exist_ok=True)
        for scheme in plots.SCHEMES:
            (PLOTS / f"ratios-{scheme}.svg").write_text(plots.svg(results, scheme))


def parse(keys):
    parser = argparse.ArgumentParser(prog="benches/run", description=__doc__, epilog=f"The rows: {', '.join(keys)}.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure only these rows")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side, after one that is dropped (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a round (default 2)")
    parser.add_argument("--tokens", type=int, default=4000, help="distinct tokens (default 4000)")
    parser.add_argument("--portcullis", type=Path, default=RELEASE, help="the binary; without this, a release is built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure into a file, too")
    parser.add_argument("--write", action="store_true", help="write the table and the plots of docs/performance.md, too")
    arguments = parser.parse_args()
    arguments.portcullis = arguments.portcullis.resolve()
    if unknown := sorted(set(arguments.rows) - set(keys)):
        parser.error(f"no row {', '.join(unknown)}: the rows are {', '.join(keys)}")
    if min(arguments.rounds, arguments.seconds, arguments.tokens) < 1:
        parser.error("--rounds, --seconds and --tokens are at least 1")
    if arguments.write and arguments.rows:
        parser.error("--write needs all rows: leave out their names")
    return arguments


def said(rows):
    print(", ".join(row.key for row in rows), "…", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
