"""Imports of a large ledger file: processor time beside that of polars reading the same file in the same process, run by run.

Enters: how many rows, how often. Leaves: a line a run. `python -m tests.bench.importing --rows 1000000 --runs 3`; `tests.bench.parts` measures one run by the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl

from connectors.files import ReadOptions, import_ledger
from connectors.log_sqlite.log import SqliteLog
from pipeline.app.kept import Kept
from pipeline.validate.review import ReviewContext

from .row import timed_with_cpu
from .synthetic import RULES

LEDGER_ROWS, RUNS = 1_000_000, 3


def write_ledger(path: Path, count: int) -> None:
    """A CSV of allocations to 5,000 accounts in October 2026."""
    n = pl.int_range(count)
    pl.select(
        allocation_id=pl.format("A{}", n),
        account=pl.format("worker-{}", n % 5_000),
        asset=pl.lit("BTC"),
        allocated_at=pl.format("2026-10-{}T{}:{}:00+05:00", *[part.cast(pl.String).str.zfill(2) for part in (n % 31 + 1, n % 24, n % 60)]),
        amount=pl.format("0.0{}", (1_000_000 + n).cast(pl.String)),
    ).write_csv(path)


def take(log: SqliteLog, path: Path, kept: Path) -> None:
    """Import it, as `esep import` does."""
    known, reading = ReviewContext(int(time.time() * 1_000_000)), ReadOptions(RULES.assets, RULES.network)
    import_ledger(log, "pool", path, "allocations", reading, known=known, seen=Kept(kept, None))


def read_bare(path: Path) -> None:
    """What an import is compared with."""
    pl.read_csv(path, infer_schema=False)


def main(rows: int, runs: int) -> None:
    """Print the processor seconds of each run."""
    with tempfile.TemporaryDirectory(prefix="esep-bench-") as folder:
        path = Path(folder) / "allocations.csv"
        write_ledger(path, rows)
        for run in range(runs):
            bare_s = timed_with_cpu(lambda: read_bare(path))[1]
            file, kept = Path(folder) / f"log{run}.sqlite", Path(folder) / f"kept{run}"
            with SqliteLog(file) as log:
                first_s, again_s = (timed_with_cpu(lambda log=log, kept=kept: take(log, path, kept))[1] for _ in range(2))  # type: ignore[misc]
            print(
                f"{rows:,} rows: import {first_s:.2f} s of CPU, again {again_s:.2f}; polars reads the file {bare_s:.2f}; ratios {first_s / bare_s:.1f}, {again_s / bare_s:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=LEDGER_ROWS)
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args()
    main(given.rows, given.runs)
