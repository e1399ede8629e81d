"""The ratios as bars, in SVG: one file for light pages and one for dark ones."""

import statistics
from html import escape

SCHEMES = {
    "light": {"text": "#1f2328", "faint": "#59636e", "line": "#d1d9e0", "met": "#2da44e", "missed": "#bf8700", "bar": "#1f2328"},
    "dark": {"text": "#e6edf3", "faint": "#9198a1", "line": "#3d444d", "met": "#3fb950", "missed": "#d29922", "bar": "#e6edf3"},
}
WIDTH, LEFT, RIGHT, STEP, TOP = 880, 400, 70, 30, 44


def svg(results, scheme):
    """A bar for each ratio, a mark at what it is to reach, and a line where both sides cost the same."""
    colours, results = SCHEMES[scheme], [result for result in results if result.ratios and result.drawn]
    most = max([1.0] + [max(statistics.median(result.ratios), result.bar) for result in results])
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + STEP * len(results) + 12
    same = LEFT + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        "<title>The cost of a request in Portcullis, relative to the same work elsewhere</title>",
        f'<line x1="{same:.1f}" y1="{TOP - 8}" x2="{same:.1f}" y2="{height - 8}" stroke="{colours["line"]}"/>',
        text(same, TOP - 14, "the other program = 1", colours["faint"], "middle"),
        text(LEFT - 10, TOP - 14, "shorter is cheaper; the mark is the bar to reach", colours["faint"], "end"),
    ]
    for index, result in enumerate(results):
        middle, ratio = TOP + STEP * index + STEP / 2, statistics.median(result.ratios)
        mark = LEFT + result.bar * scale
        work = result.work.replace("`", "")
        beside = result.peer_name.replace("`", "")
        parts += [
            text(LEFT - 10, middle - 1, work, colours["text"], "end"),
            text(LEFT - 10, middle + 11, f"beside {beside}", colours["faint"], "end", 10),
            f'<rect x="{LEFT}" y="{middle - 7}" width="{ratio * scale:.1f}" height="14" rx="2"'
            f' fill="{colours["met" if result.met else "missed"]}"/>',
            f'<line x1="{mark:.1f}" y1="{middle - 11}" x2="{mark:.1f}" y2="{middle + 11}" stroke="{colours["bar"]}" stroke-width="2"/>',
            text(LEFT + max(ratio, result.bar) * scale + 8, middle + 4, f"{ratio:.2f}", colours["text"], "start"),
        ]
    return "\n".join([*parts, "</svg>", ""])


def text(x, y, words, colour, anchor, size=None):
    sized = f' font-size="{size}"' if size else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"{sized}>{escape(words)}</text>'
