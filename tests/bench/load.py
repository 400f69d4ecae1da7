"""Load far beyond an ordinary month: time, peak memory, and that an interrupted run goes on where it was. `python -m tests.bench.load`.

    ten-million     a month of 10,000,000 allocations and 1,000,000 payouts: log, store, facts, report, the analysts' tables
    miners          a month of 100,000 miners
    year            twelve months in one log: the twelfth beside the first
    wallets         10,000 watched wallets: following blocks, beside one wallet
    block           a block with 20,000 outputs of ours, from the node's bytes to the store
    freeze          a month of 1,000,000 allocations frozen: canonical CSV, facts, JSON, XLSX and PDF in three languages, the month's own DuckDB file
    verified        the same month with its chain's bytes, frozen in one language and verified: each check
    interrupted     filling a store, then freezing, is killed (-9, and by Ctrl-C) in the middle, and started again

Enters: names of those wanted (all when none is given), `--scale` to make all of it smaller. Leaves: a Markdown table. Every step runs in a process of
its own. Not part of the tests' time: the same things at a small size, judged for correctness, are `tests/integration/test_load.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import structlog

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.months import report_digest
from pipeline.assess.month import Assessment
from pipeline.enrich.month import enrich_month
from pipeline.model.months import Month
from pipeline.store import Store
from pipeline.store.facts import read_facts, write_enriched
from pipeline.store.ingest import Ingest

from . import crowd, freezing, month, verifying
from .measure import Measured, Measurements
from .synthetic import MONTH, RULES, Size, write_month, write_months

STEP_TIMEOUT_S = 7_200


def run_generate(directory: Path, size: Size) -> list[Measured]:
    """The log of one month."""
    measurements = Measurements()
    with measurements.step("generate") as step, SqliteLog(directory / "log.sqlite") as log:
        write_month(log, size)
        step.rows = size.allocations + size.payouts
    return measurements.taken


def run_ingest(directory: Path, size: Size) -> list[Measured]:
    """Log → store, with every batch told on standard error, as `esep ingest` tells it."""
    measurements = Measurements()
    path = directory / "store.duckdb"
    with SqliteLog(directory / "log.sqlite") as log, Store.open(path) as store, measurements.step("ingest") as step:
        ingest, total, batches = Ingest(log, store), sum(log.end().values()), 0
        print(f"goes on at {sum(store.positions().values())} of {total}", flush=True, file=sys.stderr)
        while True:
            taken = ingest.step()
            step.rows += taken.rows
            batches += 1
            print(f"{sum(taken.positions.values())} of {total}", flush=True, file=sys.stderr)
            if taken.at_end:
                break
        store.checkpoint()
    return measurements.taken


def run_tables(directory: Path, size: Size) -> list[Measured]:
    """What enrichment makes of the month, into the analysts' tables."""
    measurements = Measurements()
    with Store.open(directory / "store.duckdb") as store:
        enriched = enrich_month(read_facts(store.connection), MONTH, RULES)
        with measurements.step("analysts' tables") as step:
            write_enriched(store, str(MONTH), enriched)
            step.rows = enriched.report.height
    return measurements.taken


def run_year(directory: Path, size: Size) -> list[Measured]:
    """Twelve months in one log: taking in, and each judged month's cost, with all facts of the year in the store."""
    measurements = Measurements()
    months = _year()
    with SqliteLog(directory / "log.sqlite") as log, Store.open(directory / "store.duckdb") as store:
        with measurements.step("generate the year") as step:
            ends = write_months(log, size, months)
            step.rows = (size.allocations + size.payouts) * len(months)
        for number, (named, until) in enumerate(zip(months, ends, strict=True), 1):
            ingest = Ingest(log, store, until=until)
            if number not in (1, len(months)):
                ingest.catch_up()
                continue
            with measurements.step(f"month {number}: ingest") as step:
                step.rows = ingest.catch_up().rows
            with measurements.step(f"month {number}: facts") as step:
                facts = read_facts(store.connection)
                step.rows = facts.allocations.height
            with measurements.step(f"month {number}: enrich") as step:
                enriched = enrich_month(facts, named, RULES)
                step.rows = enriched.report.height
            assert enriched.issues.is_empty(), "the synthetic months raise no issue"
    return measurements.taken


def run_wallets(directory: Path, size: Size) -> list[Measured]:
    """Blocks followed with 10,000 wallets watched, and with one."""
    return crowd.measure_wallets(size.miners)


def run_block(directory: Path, size: Size) -> list[Measured]:
    """A block with 20,000 outputs of ours, from the node's bytes to the store and the proof of balances."""
    return crowd.measure_block(directory, size.miners)


def run_freeze(directory: Path, size: Size) -> list[Measured]:
    """The month frozen in every language, in a folder of copies: a frozen month would stay in the log."""
    taken, _ = freezing.freeze(_copies(directory))
    shutil.rmtree(directory / "freezing")
    return taken


def run_verify(directory: Path, size: Size) -> list[Measured]:
    """The month frozen in one language, by another process, and its bundle verified in this one: every check holds."""
    folder = _copies(directory)
    said, _ = freezing.start(folder, ("kk",)).communicate(timeout=STEP_TIMEOUT_S)
    taken, checks = verifying.verify(folder / "months" / str(MONTH) / "v1")
    assert all(check.holds for check in checks), [check for check in checks if not check.holds]
    shutil.rmtree(folder)
    return [Measured(**one) for one in json.loads(said)["taken"]] + taken


def _copies(directory: Path) -> Path:
    """The log and the store in a folder of their own, with nothing frozen."""
    folder = directory / "freezing"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("log.sqlite", "store.duckdb"):
        shutil.copyfile(directory / name, folder / name)
    return folder


def _year() -> list[Month]:
    months = [MONTH]
    while len(months) < 12:
        months.append(months[-1].next)
    return months


STEPS: dict[str, Callable[[Path, Size], list[Measured]]] = {
    "generate": run_generate,
    "ingest": run_ingest,
    "month": month.run_month,
    "tables": run_tables,
    "freeze": run_freeze,
    "verify": run_verify,
    "year": run_year,
    "wallets": run_wallets,
    "block": run_block,
}
LOADS: dict[str, tuple[Size, tuple[str, ...]]] = {
    "ten-million": (Size(10_000_000, 5_000), ("generate", "ingest", "month", "tables")),
    "miners": (Size(1_000_000, 100_000), ("generate", "ingest", "month")),
    "year": (Size(100_000, 1_000), ("year",)),
    "wallets": (Size(100_000, 10_000), ("wallets",)),
    "block": (Size(200_000, 20_000), ("block",)),
    "freeze": (Size(1_000_000, 5_000), ("generate", "ingest", "freeze")),
    "verified": (Size(1_000_000, 5_000, is_proven=True), ("generate", "ingest", "verify")),
    "interrupted": (Size(1_000_000, 5_000), ("generate",)),
}


def run_load(name: str, size: Size, directory: Path) -> list[Measured]:
    """Every step of one load, each in a process of its own; where the step's file is there already, it is not made again."""
    directory.mkdir(parents=True, exist_ok=True)
    taken: list[Measured] = []
    for step in LOADS[name][1]:
        if step == "generate" and (directory / "log.sqlite").exists():
            continue
        print(f"{name}: {step} ...", flush=True, file=sys.stderr)
        done = subprocess.run(_command(step, size, directory), stdout=subprocess.PIPE, text=True, check=True, timeout=STEP_TIMEOUT_S)
        taken += [Measured(**one) for one in json.loads(done.stdout)]
    return taken + (interrupt(size, directory) + interrupt_freeze(directory) if name == "interrupted" else [])


def interrupt(size: Size, directory: Path) -> list[Measured]:
    """Fill a store, stopped twice in the middle: the rest takes what is left, and the report is the same as of a run without a break."""
    taken = []
    for how in (signal.SIGKILL, signal.SIGINT):
        begun = time.perf_counter()
        process = subprocess.Popen(_command("ingest", size, directory), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        told = [process.stderr.readline().strip() for _ in range(3)]
        process.send_signal(how)
        process.communicate(timeout=STEP_TIMEOUT_S)
        taken.append(Measured(f"stopped by {how.name} ({told[0]}, then {told[-1]})", time.perf_counter() - begun))
    done = subprocess.run(_command("ingest", size, directory), capture_output=True, text=True, check=True, timeout=STEP_TIMEOUT_S)
    (last,) = [Measured(**one) for one in json.loads(done.stdout)]
    taken.append(replace(last, name=f"the rest ({done.stderr.splitlines()[0]})"))
    with SqliteLog(directory / "log.sqlite") as log, Store.open(directory / "store.duckdb") as store, Store.memory() as whole:
        Ingest(log, whole).catch_up()
        for table in ("raw_allocation", "raw_payment", "raw_output", "raw_event", "raw_position"):
            same = [
                one.connection.execute(f"SELECT count(*), sum(hash({table}))::VARCHAR FROM {table}").fetchall() for one in (store, whole)
            ]
            assert same[0] == same[1], f"{table} differs from that of a run without a break"
    return taken


def interrupt_freeze(directory: Path) -> list[Measured]:
    """Freeze the month in one language, stopped twice while its workbook is written: then it comes out whole, as without a break."""
    folder, taken = _copies(directory), []
    for how, halves in ((signal.SIGKILL, [".v1.building"]), (signal.SIGINT, [])):
        begun = time.perf_counter()
        told = freezing.stop(freezing.start(folder, ("kk",)), "report.xlsx: ", how, STEP_TIMEOUT_S)
        taken.append(Measured(f"freeze stopped by {how.name} ({told[-1]})", time.perf_counter() - begun))
        assert freezing.left_over(folder) == halves, "a process that was killed can't tidy up, one that was asked to stop does"
    begun = time.perf_counter()
    process = freezing.start(folder, ("kk",))
    said, _ = process.communicate(timeout=STEP_TIMEOUT_S)
    done = json.loads(said)
    parts = [Measured(**one) for one in done["taken"]]
    taken += [Measured("the freeze, again", time.perf_counter() - begun, peak_mib=max(part.peak_mib for part in parts)), *parts]
    assert freezing.left_over(folder) == [], "the next freeze builds anew what was left half done"
    with Store.open(directory / "store.duckdb") as store:
        whole = enrich_month(read_facts(store.connection), MONTH, RULES)
    assert done["digest"] == report_digest(Assessment(whole, []), RULES), "the report is that of a run without a break"
    assert freezing.changed_files(folder) == [], "every file is as the manifest says"
    shutil.rmtree(folder)
    return taken


def _command(step: str, size: Size, directory: Path) -> list[str]:
    options = ["--allocations", str(size.allocations), "--miners", str(size.miners), "--seed", str(size.seed)]
    options += ["--proven"] if size.is_proven else []
    return [sys.executable, "-m", "tests.bench.load", "--step", step, "--directory", str(directory), *options]


def table(name: str, size: Size, taken: list[Measured]) -> str:
    """The steps as Markdown."""
    head = f"**{name}**: {size.allocations:,} allocations, {size.payouts:,} payouts, {size.miners:,} miners; load average {os.getloadavg()[0]:.1f}"
    lines = ["| step | rows | s | rows/s | CPU s | peak MiB |", "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {one.name} | {one.rows:,} | {one.seconds:.1f} | {one.rows / one.seconds:,.0f} | {one.cpu_s:.1f} | {one.peak_mib:,.0f} |"
        for one in taken
    ]
    return "\n".join([head, "", *lines, ""])


def main(arguments: list[str] | None = None) -> None:
    """The command line; `--step` is how it starts its own processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description="Load far beyond an ordinary month.")
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=f"{', '.join(LOADS)} (default: all)")
    parser.add_argument("--scale", type=int, default=1, help="divide every size by this")
    parser.add_argument(
        "--directory", type=Path, help="keep logs and stores there, and take up what lies there (default: a temporary folder)"
    )
    for hidden, kind in (("--step", str), ("--allocations", int), ("--miners", int), ("--seed", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--proven", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if chosen.step:
        taken = STEPS[chosen.step](chosen.directory, Size(chosen.allocations, chosen.miners, chosen.seed, chosen.proven))
        print(json.dumps([asdict(one) for one in taken]))
        return
    if unknown := [name for name in chosen.loads if name not in LOADS]:
        parser.error(f"no load is called {', '.join(unknown)}")
    directory = chosen.directory or Path(tempfile.mkdtemp(prefix="esep-load-"))
    try:
        for name in chosen.loads or LOADS:
            full = LOADS[name][0]
            size = replace(full, allocations=full.allocations // chosen.scale, miners=full.miners // chosen.scale)
            print(table(name, size, run_load(name, size, directory / name)), flush=True)
    finally:
        if chosen.directory is None:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
