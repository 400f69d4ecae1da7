"""What a look at a month costs after years: month 2 and month 36 from a checkpoint, beside a log that has that one month alone (ADR 25).

Enters: rows a month, how many months. Leaves: rows of the bench's table, in processor seconds, since the machine may be busy: from the month's own checkpoint, from that of the month before
(while its last 15 days may still change), and from the whole history. Each is checked to give the same report. Besides, by a log that ends with the month: its events taken in, the analysts'
copy published again with one new row, the month, looked at before, frozen (one language) and its bundle verified.

    python -m tests.bench years --allocations 20000 --months 36 [--proven]

`--proven`: the steps alone, in a log that has each block's header and each transaction's bytes and branch, as one has that was followed from a node: the bundles pass.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from connectors.log_sqlite.log import SqliteLog
from pipeline.app.app import App
from pipeline.enrich.enriched import Enriched
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import make_opening
from pipeline.log.protocol import Positions
from pipeline.model.months import Month
from pipeline.store import Store
from pipeline.store.checkpoints import drop_checkpoints, read_checkpoint, write_checkpoint
from pipeline.store.facts import read_facts, read_facts_since
from pipeline.store.ingest import Ingest
from pipeline.store.publish import publish_copy

from . import freezing
from .row import HEAD, Row, as_markdown, timed_with_cpu
from .synthetic import RULES, Size, write_months

ALLOCATIONS, MINERS, MONTHS = 20_000, 2_000, 36
FIRST = Month(2025, 1)
"""The synthetic registry holds from here to the end of 2027: earlier months would have no rows."""


def run_years(size: Size, months: int) -> list[Row]:
    """The rows of month 2 and of the last month."""
    named = _named(months)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="esep-bench-") as folder,
        SqliteLog(Path(folder) / "log.sqlite") as log,
        Store.open(Path(folder) / "store.duckdb") as store,
    ):
        ends = write_months(log, size, named)
        for number in (2, months):
            month = named[number - 1]
            with SqliteLog(Path(folder) / f"alone-{number}.sqlite") as alone:
                write_months(alone, size, [month])
                bare = _alone(alone, Path(folder) / f"alone-{number}.duckdb", month)
            rows += _of_month(log, store, ends[number - 1], month, number, size, bare)
    return rows


def _named(months: int) -> list[Month]:
    """So many months one after another."""
    named = [FIRST]
    while len(named) < months:
        named.append(named[-1].next)
    return named


def run_steps(size: Size, months: int) -> list[Row]:
    """What else is done for month 2 and for the last month, each in a log that ends with it, beside a log that has that month alone."""
    named = _named(months)
    rows: list[Row] = []
    for number in (2, months):
        alone, took = _steps(size, [named[number - 1]]), _steps(size, named[:number])
        rows += [
            Row("years", f"month {number}: {step} (CPU s)", size.allocations, "rows", took[step], "CPU s of the month alone", alone[step])
            for step in took
        ]
    return rows


def _steps(size: Size, months: list[Month]) -> dict[str, float]:
    """Processor seconds of each step for the last of the months; the store is filled with those before, and the copy published, beforehand."""
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="esep-bench-") as name:
        folder, month = Path(name), months[-1]
        with SqliteLog(folder / "log.sqlite") as log, Store.open(folder / "store.duckdb") as store:
            ends = write_months(log, size, months)
            if len(months) > 1:
                Ingest(log, store, until=ends[-2]).catch_up()
            took["its events taken in"] = timed_with_cpu(lambda: Ingest(log, store).catch_up())[1]
            for day in (1, 2, 3):  # the first two are whole
                store.connection.execute("INSERT INTO raw_complete VALUES (make_date(2000, 1, $day))", {"day": day})
                took["the copy published again"] = cpu_of_all(lambda: publish_copy(store, folder / "published.duckdb"))
            store.connection.execute("DELETE FROM raw_complete WHERE through < DATE '2001-01-01'")
        _look(folder, month)
        took["frozen"] = timed_with_cpu(lambda: freezing.freeze(folder, ("kk",), month=month))[1]
        bundle = folder / "months" / str(month) / "v1"
        verifying = [sys.executable, "-m", "pipeline.verify", str(bundle)]
        took["its bundle verified"] = cpu_of_all(lambda: subprocess.run(verifying, capture_output=True, check=False))
    return took


def _look(folder: Path, month: Month) -> None:
    """The month assessed, as `esep run` has done long before the freeze: what it begins with is kept."""
    with App(freezing.settings(folder, ("kk",)), lambda: month.end_at + 3 * 86_400) as app, app.stores.current() as store:
        app.months.assess(store, month)


def cpu_of_all(work: Callable[[], object]) -> float:
    """Processor seconds of this process and of the programs that it ran to their end."""

    def used() -> float:
        return sum(
            one.ru_utime + one.ru_stime for one in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )

    begun = used()
    work()
    return used() - begun


def _alone(log: SqliteLog, path: Path, month: Month) -> float:
    """Processor seconds of the month where there is nothing else."""
    with Store.open(path) as store:
        Ingest(log, store).catch_up()
        enrich_month(read_facts(store.connection), month, RULES)  # once before it is measured
        return timed_with_cpu(lambda: enrich_month(read_facts(store.connection), month, RULES))[1]


def _of_month(log: SqliteLog, store: Store, until: Positions, month: Month, number: int, size: Size, bare: float) -> list[Row]:
    Ingest(log, store, until=until).catch_up()
    drop_checkpoints(store)
    made: dict[str, Enriched] = {}

    def whole() -> None:
        made["the whole history"] = enrich_month(read_facts(store.connection), month, RULES)

    def from_checkpoint(name: str) -> Callable[[], None]:
        def work() -> None:
            opening = read_checkpoint(store, month, RULES)
            assert opening is not None
            made[name] = enrich_month(read_facts_since(store.connection, opening, month), month, RULES, opening)

        return work

    took = {"the whole history": timed_with_cpu(whole)[1]}
    for name, since in (("the checkpoint of the month before", month.previous), ("its own checkpoint", month)):
        if since != FIRST:  # nothing lies before the first month
            _keep(store, since)
            took[name] = timed_with_cpu(from_checkpoint(name))[1]
    reports = [one.report for one in made.values()]
    assert reports[0].height >= size.allocations, "every allocation of the month is a row"
    assert all(report.equals(reports[0]) for report in reports), "the report depends on the checkpoint"
    beside = "CPU s of the month alone"
    return [Row("years", f"month {number} from {name} (CPU s)", size.allocations, "rows", cpu, beside, bare) for name, cpu in took.items()]


def _keep(store: Store, month: Month) -> None:
    """Make the month's checkpoint, from the whole history."""
    facts = read_facts(store.connection)
    enriched = enrich_month(facts, month, RULES)
    opening = make_opening(facts, month, RULES, enriched.opening_line, enriched.starts_at)
    assert opening is not None, "the synthetic months can be cut"
    write_checkpoint(store, opening, RULES)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure a look at month 2 and at a month years later.")
    parser.add_argument("--allocations", type=int, default=ALLOCATIONS, help="a month; a multiple of ten times the miners")
    parser.add_argument("--miners", type=int, default=MINERS)
    parser.add_argument("--months", type=int, default=MONTHS)
    parser.add_argument("--proven", action="store_true", help="freeze and verify months whose transfers are proven; no looks")
    chosen = parser.parse_args(arguments)
    size = Size(chosen.allocations, chosen.miners, is_proven=chosen.proven)
    rows = ([] if chosen.proven else run_years(size, chosen.months)) + run_steps(size, chosen.months)
    print("\n".join([*HEAD, *map(as_markdown, rows)]))


if __name__ == "__main__":
    main()
