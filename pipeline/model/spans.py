"""Runs of whole numbers: what some of them leave open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Span = tuple[int, int]
"""The first and the last number of a run."""


def gaps(spans: Iterable[Span], first: int, last: int) -> Iterator[Span]:
    """The runs from `first` to `last` that none of the spans covers, in order. The spans may overlap, in any order."""
    for begin, end in sorted(spans):
        if end < first:
            continue
        if begin > last:
            break
        if begin > first:
            yield first, begin - 1
        first = end + 1
    if first <= last:
        yield first, last
