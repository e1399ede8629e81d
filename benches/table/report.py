"""Results as a table on the terminal, as JSON, and as the table of `docs/performance.md`."""

import dataclasses
import statistics

from programs.figures import spread

BEGIN = "<!-- written by benches/run --write -->"
END = "<!-- end of what benches/run --write has written -->"


@dataclasses.dataclass
class Result:
    """A measured row, as it is printed. `ratios` are of ours and the peer's, round by round, and the bar is for their median.
    Without them, the bar is for the median of ours."""

    key: str
    work: str
    unit: str
    ours: list[float]
    bar: float
    peer_name: str | None = None
    peer: list[float] | None = None
    ratios: list[float] | None = None
    drawn: bool = True
    details: dict = dataclasses.field(default_factory=dict)

    @property
    def met(self):
        return statistics.median(self.ratios or self.ours) <= self.bar

    @property
    def cells(self):
        """Work, peer, both values, ratio, bar, and whether it is met."""
        digits = 1 if statistics.median(self.ours) >= 1 else 2
        unit = self.unit
        return [
            self.work,
            self.peer_name or "",
            f"{spread(self.peer, digits)} {unit}" if self.peer else "",
            f"{spread(self.ours, digits)} {unit}",
            spread(self.ratios, 2) if self.ratios else "",
            f"≤ {self.bar:.3g}" + ("" if self.ratios else f" {unit}"),
            "yes" if self.met else "no",
        ]


HEAD = ["work", "peer", "the peer's", "ours", "ratio", "bar", "met"]


def of_comparison(measured):
    row, unit = measured.row, measured.group.unit
    sides = {"ours": measured.ours, "peer": measured.peer}
    return Result(
        row.key,
        row.work,
        unit,
        measured.values,
        row.bar,
        row.peer.name,
        measured.peer_values,
        measured.ratios,
        row.drawn,
        {side: [dataclasses.asdict(load) for load in loads] for side, loads in sides.items()},
    )


def of_figure(row, samples, peer):
    return Result(row.key, row.work, row.unit, samples, row.bar, row.peer and row.peer[0], peer)


def terminal(machine, results):
    """Lines of columns that are as wide as their widest cell."""
    rows = [["row", *HEAD]] + [[result.key, *result.cells] for result in results]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [f"{name}: {value}" for name, value in machine.items()] + [""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def json_of(machine, arguments, results):
    rows = [
        {
            "key": result.key,
            "work": result.work,
            "peer": result.peer_name,
            "unit": result.unit,
            "ours": summary(result.ours),
            "peers": summary(result.peer),
            "ratio": summary(result.ratios),
            "bar": result.bar,
            "met": result.met,
            "loads": result.details,
        }
        for result in results
    ]
    told = {name: getattr(arguments, name) for name in ("rounds", "seconds", "tokens")}
    return {"machine": machine, **told, "rows": rows}


def summary(values):
    return values and {"median": statistics.median(values), "min": min(values), "max": max(values)}


def markdown(machine, arguments, results):
    """The part of the page that a run writes, between its markers."""
    lines = [
        BEGIN,
        *(f"- {name}: {value}" for name, value in machine.items()),
        f"- rounds: {arguments.rounds} of {arguments.seconds} s, with {arguments.tokens:,} distinct tokens",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
        *("| " + " | ".join(result.cells) + " |" for result in results),
        END,
    ]
    return "\n".join(lines)


def replaced(page, part):
    """The page with this part between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the line {END if begin else BEGIN}")
    return before + part + after
