"""The main job at scale: log → store → facts → enrichment → canonical report, each step beside its bare ceiling.

Enters: a size. Leaves: a table of seconds, rows a second, processor time, peak memory and ratios, printed, and with `--record` appended
to `docs/benchmarks.md`. Steps run in processes of their own; a step's peak is the process's resident memory while it ran.
A ceiling does the least that the step's work needs, with the same library on the same data: what is above it is ours.
It leaves out the rendering of XLSX and PDF.

    python -m tests.bench.month --allocations 1000000 --repeat 3
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from connectors.log_sqlite.log import SqliteLog
from pipeline.assess.printed import printed_parts
from pipeline.enrich.month import enrich_month
from pipeline.render.canonical import write_report_csv
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from . import bare
from .measure import Measured, Measurements
from .synthetic import MONTH, RULES, Size, write_month

RECORD = Path(__file__).parents[2] / "docs" / "benchmarks.md"
STEPS = ("ingest", "facts", "enrich", "csv")
CEILINGS = {
    "ingest": ("read log", "decode", "duckdb insert"),
    "facts": ("duckdb select",),
    "enrich": ("polars settle",),
    "csv": ("polars write",),
}
"""What must happen at the least for each step; their sum is its ceiling."""


def run_ingest(directory: Path, _: Size) -> list[Measured]:
    """Log → store, on disk and checkpointed."""
    measurements = Measurements()
    (directory / "store.duckdb").unlink(missing_ok=True)
    with SqliteLog(directory / "log.sqlite") as log, Store.open(directory / "store.duckdb") as store, measurements.step("ingest") as step:
        step.rows = Ingest(log, store).catch_up().rows
        store.checkpoint()
    return measurements.taken


def run_month(directory: Path, size: Size) -> list[Measured]:
    """Store → facts → enrichment → canonical CSV, checked against what the generator promised."""
    measurements = Measurements()
    with Store.open(directory / "store.duckdb") as store, measurements.step("facts") as step:
        facts = read_facts(store.connection)
        step.rows = facts.allocations.height + facts.payments.height + facts.outputs.height
    assert facts.allocations.height == size.allocations
    with measurements.step("enrich") as step:
        enriched = enrich_month(facts, MONTH, RULES)
        step.rows = size.allocations
    del facts
    assert enriched.issues.is_empty(), "the synthetic month raises no issue"
    assert enriched.transfers.height == size.payouts
    with measurements.step("csv") as step, (directory / "report.csv").open("wb") as file:
        write_report_csv(printed_parts(enriched, RULES), file)
        step.rows = enriched.report.height
    return measurements.taken


PARTS = {"ingest": run_ingest, "month": run_month, "bare-ingest": bare.run_ingest, "bare-month": bare.run_month}


TABLE_HEAD = (
    "| step | rows | s | rows/s | CPU s | peak MiB | bare ceiling | its s | its CPU s | ratio | CPU ratio |",
    "|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|",
)


@dataclass(frozen=True)
class Line:
    """A step of the whole way, over the repeats."""

    step: str
    rows: int
    seconds: float
    cpu_s: float
    peak_mib: float
    ceiling_s: float
    ceiling_cpu_s: float


def measure(size: Size, directory: Path, repeat: int) -> list[Line]:
    """Generate the log once, then run every part `repeat` times, each in a process of its own."""
    with _told(f"generate {size.allocations:,} allocations, {size.payouts:,} payouts"), SqliteLog(directory / "log.sqlite") as log:
        write_month(log, size)
    taken: dict[str, list[Measured]] = {}
    for n in range(repeat):
        for part in PARTS:
            with _told(f"{part} {n + 1}/{repeat}"):
                for one in run_apart(part, size, directory):
                    taken.setdefault(one.name, []).append(one)
    return [_line(step, taken) for step in STEPS]


def _line(step: str, taken: dict[str, list[Measured]]) -> Line:
    def median(name: str, quantity: str) -> float:
        return float(statistics.median(getattr(one, quantity) for one in taken[name]))

    return Line(
        step=step,
        rows=taken[step][0].rows,
        seconds=median(step, "seconds"),
        cpu_s=median(step, "cpu_s"),
        peak_mib=max(one.peak_mib for one in taken[step]),
        ceiling_s=sum(median(name, "seconds") for name in CEILINGS[step]),
        ceiling_cpu_s=sum(median(name, "cpu_s") for name in CEILINGS[step]),
    )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say on standard error what is being done, and how long it took."""
    print(f"{what} ...", end=" ", flush=True, file=sys.stderr)
    begun = time.perf_counter()
    yield
    print(f"{time.perf_counter() - begun:.1f} s", file=sys.stderr)


def run_apart(part: str, size: Size, directory: Path) -> list[Measured]:
    """One of `PARTS` in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.month", "--part", part, "--directory", str(directory)]
    command += ["--allocations", str(size.allocations), "--miners", str(size.miners), "--seed", str(size.seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [Measured(**one) for one in json.loads(done.stdout)]


def table(size: Size, lines: list[Line], repeat: int) -> str:
    """The measurements as a Markdown table, with what they were taken on."""
    sums = {name: sum(getattr(line, name) for line in lines) for name in ("seconds", "cpu_s", "ceiling_s", "ceiling_cpu_s")}
    whole = Line("whole way", size.allocations, peak_mib=max(line.peak_mib for line in lines), **sums)
    head = (
        f"{size.allocations:,} allocations, {size.payouts:,} payouts, {size.miners:,} miners, seed {size.seed}; "
        f"median of {repeat}; {os.cpu_count()} cores, Python {platform.python_version()}, polars {pl.__version__}, DuckDB {duckdb.__version__}"
    )
    rows = [
        f"| {line.step} | {line.rows:,} | {line.seconds:.2f} | {line.rows / line.seconds:,.0f} | {line.cpu_s:.2f} | {line.peak_mib:,.0f} | "
        f"{' + '.join(CEILINGS.get(line.step, ('all ceilings',)))} | {line.ceiling_s:.2f} | {line.ceiling_cpu_s:.2f} | "
        f"{line.seconds / line.ceiling_s:.2f} | {line.cpu_s / line.ceiling_cpu_s:.2f} |"
        for line in [*lines, whole]
    ]
    return "\n".join([head, "", *TABLE_HEAD, *rows, ""])


def main(arguments: list[str] | None = None) -> None:
    """The command line; `--part` is how the bench starts its own processes."""
    parser = argparse.ArgumentParser(description="Measure the month from log to canonical CSV, beside bare ceilings.")
    parser.add_argument("--allocations", type=int, default=1_000_000, help="a multiple of ten times the miners (default 1,000,000)")
    parser.add_argument("--miners", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1, help="medians of this many runs")
    parser.add_argument("--directory", type=Path, help="keep log, store and report there (default: a temporary folder)")
    parser.add_argument("--record", action="store_true", help="append the table to docs/benchmarks.md")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    size = Size(chosen.allocations, chosen.miners, chosen.seed)
    if chosen.part:
        taken: list[Any] = [vars(one) for one in PARTS[chosen.part](chosen.directory, size)]
        print(json.dumps(taken))
        return
    directory = chosen.directory or Path(tempfile.mkdtemp(prefix="esep-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        found = table(size, measure(size, directory, chosen.repeat), chosen.repeat)
    finally:
        if chosen.directory is None:
            shutil.rmtree(directory)
    print(found)
    if chosen.record:
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(f"\n## The month, log to canonical CSV, {datetime.now(UTC):%Y-%m-%d}\n\n{found}")


if __name__ == "__main__":
    main()
