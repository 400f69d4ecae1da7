"""What a month costs against its size: processor time and peak memory from 10,000 allocations to 1,000,000, as one small SVG.

Enters: sizes. Leaves: `docs/benchmarks.svg`, two panels with both axes logarithmic, and the same numbers as a table. A line parallel to the
dotted one grows as the month does. Written by hand: no plotting library is needed for eleven points.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.log_sqlite.log import SqliteLog

from . import month
from .synthetic import Size, write_month

SIZES = (Size(10_000, 100), Size(30_000, 300), Size(100_000, 1_000), Size(300_000, 3_000), Size(1_000_000, 10_000))
SERIES = {"ingest": "#1b6ca8", "facts": "#7a8b99", "enrich": "#c1502e", "csv": "#3f8f5b"}
WIDTH, HEIGHT = 760, 320
PANEL_W, PANEL_H, LEFT, TOP, GAP = 280, 220, 60, 40, 90


@dataclass(frozen=True)
class Point:
    """A step of a month of some size."""

    step: str
    allocations: int
    cpu_s: float
    """Of all threads: what others do on the machine hardly shows in it."""
    peak_mib: float


def measure(sizes: Sequence[Size]) -> list[Point]:
    """Every step of the month at every size."""
    points = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="esep-bench-") as folder:
            with SqliteLog(Path(folder) / "log.sqlite") as log:
                write_month(log, size)
            taken = [one for part in ("ingest", "month") for one in month.run_apart(part, size, Path(folder))]
        points += [Point(one.name, size.allocations, one.cpu_s, one.peak_mib) for one in taken]
    return points


def table(points: Sequence[Point]) -> str:
    """The points as Markdown: a line a size, processor seconds and MiB of each step."""
    head = "| allocations | " + " | ".join(f"{step}, CPU s | MiB" for step in SERIES) + " |"
    lines = [head, "|--:" * (1 + 2 * len(SERIES)) + "|"]
    for allocations in sorted({point.allocations for point in points}):
        of = {point.step: point for point in points if point.allocations == allocations}
        lines.append(f"| {allocations:,} | " + " | ".join(f"{of[step].cpu_s:.2f} | {of[step].peak_mib:,.0f}" for step in SERIES) + " |")
    return "\n".join(["Cost against size (`benchmarks.svg`):", "", *lines, ""])


def draw(points: Sequence[Point], path: Path) -> None:
    """Write the SVG."""
    inner = _panel(points, "cpu_s", "CPU seconds", LEFT) + _panel(points, "peak_mib", "peak MiB", LEFT + PANEL_W + GAP)
    legend = "".join(
        f'<circle cx="{LEFT + 90 * n}" cy="{HEIGHT - 14}" r="4" fill="{colour}"/><text x="{LEFT + 90 * n + 9}" y="{HEIGHT - 10}">{step}</text>'
        for n, (step, colour) in enumerate(SERIES.items())
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{inner}{legend}'
        f'<text x="{LEFT + 90 * len(SERIES)}" y="{HEIGHT - 10}">dotted: as the month grows</text></svg>\n',
        encoding="utf-8",
    )


def _panel(points: Sequence[Point], quantity: str, title: str, left: int) -> str:
    """One panel: axes with a line for each power of ten, the series, and the slope of one."""
    values = [max(float(getattr(point, quantity)), 0.01) for point in points]
    x_low, x_high = _decades([point.allocations for point in points])
    y_low, y_high = _decades(values)

    def x(value: float) -> float:
        return left + PANEL_W * (math.log10(value) - x_low) / (x_high - x_low)

    def y(value: float) -> float:
        return TOP + PANEL_H * (1 - (math.log10(value) - y_low) / (y_high - y_low))

    parts = [f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}, by allocations</text>']
    for power in range(x_low, x_high + 1):
        parts.append(_line(x(10**power), TOP, x(10**power), TOP + PANEL_H, "#ddd"))
        parts.append(f'<text x="{x(10**power):.0f}" y="{TOP + PANEL_H + 16}" text-anchor="middle">{_short(10**power)}</text>')
    for power in range(y_low, y_high + 1):
        parts.append(_line(left, y(10.0**power), left + PANEL_W, y(10.0**power), "#ddd"))
        parts.append(f'<text x="{left - 6}" y="{y(10.0**power) + 4:.0f}" text-anchor="end">{_short(10.0**power)}</text>')
    decades = min(x_high - x_low, y_high - y_low)
    slope = _line(x(10**x_low), y(10.0**y_low), x(10 ** (x_low + decades)), y(10.0 ** (y_low + decades)), "#999")
    parts.append(slope.replace("/>", ' stroke-dasharray="2 4"/>'))
    for step, colour in SERIES.items():
        of = sorted((point.allocations, max(float(getattr(point, quantity)), 0.01)) for point in points if point.step == step)
        places = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in of)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for n, value in of]
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _short(value: float) -> str:
    """10k, 1M; small numbers as they are."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:g}"
