"""How many threads DuckDB works a file with."""

from __future__ import annotations

from pathlib import Path

SMALL_BYTES = 32 << 20
"""A store whose file is smaller is worked by one thread: of small tables, handing work from thread to thread took 4 to 9 % of all that was done (docs/benchmarks.md)."""


def threads_for(place: Path) -> dict[str, str | bool | int | float | list[str]]:
    """DuckDB's setting of how many threads work on the file at `place`, which may be absent: one where it is small; none, so all of them, where it is large."""
    try:
        is_small = place.stat().st_size < SMALL_BYTES
    except OSError:
        is_small = True
    return {"threads": "1"} if is_small else {}
