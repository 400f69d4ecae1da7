"""Charts as SVG made by the server: a month's days as bars, and a flow that adds up (ADR 24). They need no script and print.

Enters: whole base units with the words beside them. Leaves: SVG as markup, everything in it escaped; a table with the same numbers stands beside each. Only heights are computed here, of no
use as amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

WIDTH: Final = 960
_LEAST: Final = 2.0
"""Height of a stream that is too small to be seen."""


class Bars(NamedTuple):
    """One day: its words, and two amounts."""

    label: str
    one: int
    two: int
    told: str
    """Both amounts in words, for who points at them."""


class Band(NamedTuple):
    """One stream of a flow."""

    name: str
    amount: int
    printed: str
    kind: str = ""


def day_chart(bars: Sequence[Bars], *, title: str, description: str) -> Markup:
    """Two bars a day; heights to one scale."""
    height, base, top = 190, 160.0, 8.0
    most = max((max(bar.one, bar.two) for bar in bars), default=0) or 1
    slot = WIDTH / max(len(bars), 1)
    width = max(slot * 0.36, 1)
    parts = [_open(height, title, description), f'<line class="axis" x1="0" y1="{base}" x2="{WIDTH}" y2="{base}"/>']
    for number, bar in enumerate(bars):
        x = number * slot + slot * 0.1
        one, two = ((base - top) * value / most for value in (bar.one, bar.two))
        parts.append(f"<g><title>{escape(bar.label)}: {escape(bar.told)}</title>")
        parts.append(f'<rect class="hit" x="{number * slot:.1f}" y="0" width="{slot:.1f}" height="{base}"/>')
        parts.append(f'<rect class="one" x="{x:.1f}" y="{base - one:.1f}" width="{width:.1f}" height="{one:.1f}"/>')
        parts.append(f'<rect class="two" x="{x + width + 1:.1f}" y="{base - two:.1f}" width="{width:.1f}" height="{two:.1f}"/></g>')
        if number % 5 == 0 or number == len(bars) - 1:
            parts.append(f'<text x="{number * slot + slot / 2:.1f}" y="{base + 18}" text-anchor="middle">{escape(bar.label)}</text>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def flow_chart(came: Sequence[Band], went: Sequence[Band], *, title: str, description: str) -> Markup:
    """Streams from the left into one bar, and out of it to the right; heights to one scale, small ones are drawn as thin lines."""
    gap, row = 10.0, 22.0
    total = max(sum(max(band.amount, 0) for band in came), sum(max(band.amount, 0) for band in went)) or 1
    height = max(max(len(came), len(went)) * (row + gap) + 40, 220)
    scale = (height - 2 * gap - row * max(len(came), len(went))) * 0.7 / total
    left, middle, right = WIDTH * 0.30, WIDTH * 0.5, WIDTH * 0.68
    parts = [_open(int(height), title, description)]
    whole = max(total * scale, _LEAST)
    start = (height - whole) / 2
    parts.append(f'<rect class="hub" x="{middle - 5}" y="{start:.1f}" width="10" height="{whole:.1f}"/>')
    for bands, outer, is_left in ((came, left, True), (went, right, False)):
        sizes = [max(band.amount, 0) * scale for band in bands]
        places = sum(max(size, row) for size in sizes) + gap * max(len(bands) - 1, 0)
        y, inner = (height - places) / 2, start
        for band, size in zip(bands, sizes, strict=True):
            slot, drawn = max(size, row), max(size, _LEAST)
            own = y + (slot - drawn) / 2
            ends = (outer, own, middle - 5, inner) if is_left else (middle + 5, inner, outer, own)
            anchor, text = ("end", outer - 10) if is_left else ("start", outer + 10)
            centre = y + slot / 2 + 4
            parts.append(
                f'<g class="band {escape(band.kind)}"><title>{escape(band.name)}: {escape(band.printed)}</title>{_ribbon(*ends, drawn)}'
            )
            parts.append(f'<text x="{text:.1f}" y="{centre:.1f}" text-anchor="{anchor}"><tspan class="name">{escape(band.name)}</tspan>')
            parts.append(f'<tspan dx="8">{escape(band.printed)}</tspan></text></g>')
            y += slot + gap
            inner += size
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _open(height: int, title: str, description: str) -> str:
    name = f"{escape(title)}. {escape(description)}"
    return f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{name}"><desc>{escape(description)}</desc>'


def _ribbon(x1: float, y1: float, x2: float, y2: float, size: float) -> str:
    bend = (x1 + x2) / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}'
        f'L{x2:.1f} {y2 + size:.1f}C{bend:.1f} {y2 + size:.1f} {bend:.1f} {y1 + size:.1f} {x1:.1f} {y1 + size:.1f}Z"/>'
    )
