"""How long a step takes and how much memory it holds.

Enters: a block of code. Leaves: seconds by the clock, seconds of processor time, and the process's greatest resident memory while it ran (Linux: the kernel's
high-water mark is reset before each step; elsewhere the mark of the whole process so far).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Measured:
    """One step, measured once."""

    name: str
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of all threads: on a busy machine it says more than the clock."""
    peak_mib: float = 0.0
    rows: int = 0


class Measurements:
    """Steps measured one after another in this process."""

    def __init__(self) -> None:
        self.taken: list[Measured] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Measured]:
        """Measure the block; it may fill in `rows`."""
        measured = Measured(name)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        begun, begun_cpu = time.perf_counter(), time.process_time()
        yield measured
        measured.seconds, measured.cpu_s = time.perf_counter() - begun, time.process_time() - begun_cpu
        measured.peak_mib = _peak_mib()
        self.taken.append(measured)


def _peak_mib() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
