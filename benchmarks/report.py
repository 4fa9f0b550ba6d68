"""The table and the plot of what was measured."""

from collections.abc import Sequence
from pathlib import Path

from measuring import Row

BAR, WIDTH, LABEL = 26, 480, 460  # pixels


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write results.md and results.svg."""
    lines = [f"| {row.what} | {row.against} | {shown(row)} | {spread(row)} | {goal(row)} |" for row in rows]
    head = [
        "# What was measured",
        "",
        ABOUT,
        "",
        "| what | against | median | spread | goal |",
        "|---|---|---|---|---|",
    ]
    (folder / "results.md").write_text("\n".join([*head, *lines, "", "![The medians](results.svg)", ""]))
    (folder / "results.svg").write_text(plot([row for row in rows if not row.at_most]))


ABOUT = (
    "Written by `make bench`. Each figure is how much more of the same load the first bore than the second: both were "
    "measured in turn, one worker each, the servers on one core, wrk and the database on another. "
    "The peer is in peer_flask/, the floors in floors.py. Figures in seconds say something about this machine only."
)


def shown(row: Row) -> str:
    return f"{row.median:.2f}"


def spread(row: Row) -> str:
    return f"{min(row.ratios):.2f} to {max(row.ratios):.2f}"


def goal(row: Row) -> str:
    if not row.goal:
        return ""
    return f"{'at most' if row.at_most else 'at least'} {row.goal:g}: {'yes' if row.is_met else 'no'}"


def plot(rows: Sequence[Row]) -> str:
    """Draw a bar for each ratio, with its spread, and a line at 1."""
    longest = max([2.0, *(max(row.ratios) for row in rows)])
    scale = WIDTH / longest
    height = BAR * len(rows) + 20
    size = f'width="{LABEL + WIDTH + 20}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">']
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    for number, row in enumerate(rows):
        top, middle = 10 + number * BAR, 10 + number * BAR + BAR // 2
        label = f"{row.what} / {row.against}"
        parts.append(f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{label}</text>')
        colour = "#2a7" if row.is_met else "#c63"
        parts.append(
            f'<rect x="{LABEL}" y="{top + 4}" width="{row.median * scale:.1f}" height="{BAR - 8}" fill="{colour}"/>'
        )
        low, high = (LABEL + edge(row.ratios) * scale for edge in (min, max))
        parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222"/>')
    one = LABEL + scale
    parts.append(f'<path d="M{one:.1f} 5V{height - 5}" stroke="#222" stroke-dasharray="4"/></svg>')
    return "\n".join(parts) + "\n"
