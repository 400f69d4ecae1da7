"""`python -m tests.bench`: everything that is measured, in one table; or one bench by itself.

    python -m tests.bench                       the table: what each step takes beside the least for it, in the same run
    python -m tests.bench --only month,import   some parts of it
    python -m tests.bench --record              appended to docs/benchmarks.md, and the plot of cost against size drawn anew
    python -m tests.bench month ...             one bench (month, years, chain, kafka, kafka_latency, evm, load, console, payers), with its own options

A part that can't run on this machine says why, and the others go on. Sizes are such that the table takes under five minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version

from . import plot
from .month import RECORD
from .parts import PARTS
from .row import HEAD, Row, as_markdown

BENCHES = ("month", "chain", "kafka", "kafka_latency", "evm", "load", "console", "payers", "years")
PART_TIMEOUT_S = 900
LIBRARIES = ("polars", "duckdb", "msgspec", "kafka-python", "xlsxwriter", "reportlab")


def main(arguments: list[str]) -> int:
    """Run the table, or the bench that is named first; the exit code."""
    if arguments and not arguments[0].startswith("-"):
        name, *options = arguments
        if name not in BENCHES:
            print(f"benches: {', '.join(BENCHES)}", file=sys.stderr)
            return 2
        return subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *options], check=False).returncode
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Every step beside the least for it, in one run and one table."
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas between them: {', '.join(PARTS)}")
    parser.add_argument("--record", action="store_true", help="append to docs/benchmarks.md and draw docs/benchmarks.svg anew")
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part is called {', '.join(unknown)}")
    begun, load_before = time.perf_counter(), os.getloadavg()[0]
    rows, reasons = run_parts(names)
    found = section(rows, reasons, time.perf_counter() - begun, load_before)
    print(found)
    if chosen.record:
        points = plot.measure(plot.SIZES)
        plot.draw(points, RECORD.with_suffix(".svg"))
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(f"\n{found}\n{plot.table(points)}")
    return 1 if any(reason.startswith("FAILED") for reason in reasons.values()) else 0


def run_parts(names: list[str]) -> tuple[list[Row], dict[str, str]]:
    """The rows of all parts, each run in a process of its own; and of those that gave none, why."""
    rows: list[Row] = []
    reasons: dict[str, str] = {}
    for name in names:
        print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
        begun = time.perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.parts", name], capture_output=True, text=True, timeout=PART_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            reasons[name] = f"FAILED: not done after {PART_TIMEOUT_S} s"
            continue
        if done.returncode:
            reasons[name] = f"FAILED: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"
        else:
            found = json.loads(done.stdout.splitlines()[-1])
            rows += [Row(**row) for row in found.get("rows", [])]
            if "reason" in found:
                reasons[name] = found["reason"]
        print(reasons.get(name, f"{time.perf_counter() - begun:.1f} s"), file=sys.stderr)
    return rows, reasons


def section(rows: list[Row], reasons: dict[str, str], took_s: float, load_before: float) -> str:
    """The table as a section of docs/benchmarks.md, with what it was taken on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {libraries}"
    load = f"load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    lines = [f"## Everything, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "", f"`make bench`, {took_s:.0f} s; {machine}; {load}.", ""]
    lines += [*HEAD, *map(as_markdown, rows), ""]
    lines += [f"Without a row: {name}: {reason}." for name, reason in reasons.items()]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
