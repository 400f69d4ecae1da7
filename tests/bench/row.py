"""One line of the bench's table: what was done, how long it took, and what the least for it takes in the same run.

Enters: measurements. Leaves: `Row`s, as JSON between processes and as Markdown for people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time

from .measure import Measurements


class CannotRun(Exception):
    """A part of the bench can't run on this machine; the message says why."""


@dataclass
class Row:
    """A step beside what it is compared with."""

    part: str
    what: str
    amount: int
    unit: str
    seconds: float
    beside: str
    """What it is compared with, done in the same run on the same data."""
    beside_s: float
    """Seconds that this takes, or would take, for the same amount."""
    cpu_s: float | None = None
    peak_mib: float | None = None


HEAD = (
    "| part | what | amount | s | per s | CPU s | peak MiB | beside | its s | ratio |",
    "|---|---|--:|--:|--:|--:|--:|---|--:|--:|",
)


def as_markdown(row: Row) -> str:
    """The row's line under `HEAD`."""
    cpu = "" if row.cpu_s is None else f"{row.cpu_s:.2f}"
    peak = "" if row.peak_mib is None else f"{row.peak_mib:,.0f}"
    return (
        f"| {row.part} | {row.what} | {row.amount:,} {row.unit} | {row.seconds:.2f} | {row.amount / row.seconds:,.0f} | {cpu} | {peak} | "
        f"{row.beside} | {row.beside_s:.2f} | {row.seconds / row.beside_s:.2f} |"
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds by the clock."""
    begun = perf_counter()
    work()
    return perf_counter() - begun


def compared(part: str, what: str, amount: int, unit: str, work: Callable[[], object], beside: str, bare: Callable[[], object]) -> Row:
    """Do `bare`, then `work`, each once, and say what both took."""
    beside_s = timed(bare)
    measurements = Measurements()
    with measurements.step(what):
        work()
    (taken,) = measurements.taken
    return Row(part, what, amount, unit, taken.seconds, beside, beside_s, taken.cpu_s, taken.peak_mib)


def timed_with_cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of this process's processor time."""
    begun, begun_cpu = perf_counter(), process_time()
    work()
    return perf_counter() - begun, process_time() - begun_cpu
