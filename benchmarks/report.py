"""The table and the plot of what was measured."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from measuring import Row

BAR_HEIGHT, PLOT_WIDTH, LABEL_WIDTH = 26, 480, 460  # pixels
ABOUT = """# Results

Written by `make bench`. A figure is a ratio of requests per second unless its name says otherwise: how many times the
second thing's load the first one bears. Both are measured in turn, in every round, with one worker each; the servers
run on one core, wrk and the database on another. All requests carry the headers of a browser. The peer is in
`peer_flask/`, the floors (bare, empty) are in `floors.py`. Figures in seconds depend on the machine.

| what | compared with | median | worst to best round | goal |
|---|---|---|---|---|
"""


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write results.md and results.svg."""
    lines = [f"| {row.what} | {row.against} | {row.median:.2f} | {spread(row)} | {goal(row)} |\n" for row in rows]
    (folder / "results.md").write_text(ABOUT + "".join(lines) + "\n![The medians](results.svg)\n")
    (folder / "results.svg").write_text(plot([row for row in rows if row.against and not row.at_most]))


def label(row: Row) -> str:
    return f"{row.what} / {row.against}" if row.against else row.what


def spread(row: Row) -> str:
    if len(row.figures) == 1:
        return "measured once"
    worst, best = (max, min) if row.at_most else (min, max)
    return f"{worst(row.figures):.2f} to {best(row.figures):.2f}"


def goal(row: Row) -> str:
    if row.goal is None:
        return ""
    return f"{'at most' if row.at_most else 'at least'} {row.goal:g}: {'yes' if row.is_met else 'no'}"


def plot(rows: Sequence[Row]) -> str:
    """Draw a bar for each ratio, with its spread, and a line at 1."""
    scale = PLOT_WIDTH / max([2.0, *(max(row.figures) for row in rows)])
    height = BAR_HEIGHT * len(rows) + 20
    size = f'width="{LABEL_WIDTH + PLOT_WIDTH + 20}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">']
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    parts += [bar(row, top=10 + number * BAR_HEIGHT, scale=scale) for number, row in enumerate(rows)]
    one = LABEL_WIDTH + scale
    parts.append(f'<path d="M{one:.1f} 5V{height - 5}" stroke="#222" stroke-dasharray="4"/></svg>')
    return "\n".join(parts) + "\n"


def bar(row: Row, *, top: int, scale: float) -> str:
    middle, colour = top + BAR_HEIGHT // 2, "#2a7" if row.is_met else "#c63"
    low, high = (LABEL_WIDTH + edge(row.figures) * scale for edge in (min, max))
    size = f'width="{row.median * scale:.1f}" height="{BAR_HEIGHT - 8}"'
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{middle + 4}" text-anchor="end">{escape(label(row))}</text>\n'
        f'<rect x="{LABEL_WIDTH}" y="{top + 4}" {size} fill="{colour}"/>\n'
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222"/>'
    )
