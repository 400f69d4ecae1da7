"""Crowds at a size that a test can bear, judged for correctness: thousands of outputs in one block, of wallets watched, of miners, a year of months.

The same at full size, with times and memory: `python -m tests.bench.load`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from connectors.log_kafka import KafkaSettings
from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.app.app import App
from pipeline.enrich.balance import prove_balances
from pipeline.enrich.month import enrich_month
from pipeline.log.events.chain import WatchedWallet
from pipeline.log.protocol import advance
from pipeline.store import Store
from pipeline.store.facts import read_facts, write_enriched
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month
from pipeline.store.store import PASSING_MIB, THREAD_MIB

from ..bench import crowd, freezing
from ..bench.synthetic import MONTH, RULES, Size, write_month, write_months

OUTPUTS = 20_000
WALLETS = 10_000


def test_a_block_with_twenty_thousand_outputs_of_ours_is_told_stored_and_balances(tmp_path: Path) -> None:
    world = crowd.Crowd(OUTPUTS)
    one_wallet = [WatchedWallet(name="pool", descriptors=[f"raw({script.hex()})" for script in crowd.scripts(OUTPUTS)])]
    with SqliteLog(tmp_path / "log.sqlite") as log, Store.open(tmp_path / "store.duckdb") as store:
        crowd.follow(log, world, one_wallet)
        records, positions = [], {}
        while some := log.read(positions):
            records += some
            positions = advance(positions, some)
        largest = max(len(record.value) for record in records)
        assert 1 << 20 < largest < KafkaSettings(("127.0.0.1:1",), "t").max_event_bytes, "the block's event fits a topic as it is set up"
        Ingest(log, store).catch_up()
        facts = read_facts(store.connection)
        told = facts.outputs.filter(pl.col("txid") == world.payout.txid).sort("vout")
        assert told["value"].to_list() == [value for value, _ in world.payout.pays]
        assert told["address"].n_unique() == OUTPUTS
        assert set(told["wallet"]) == {"pool"}
        (balance,) = prove_balances(facts, world.month, crowd.RULES).iter_rows(named=True)
        assert (balance["fault"], balance["closing"], balance["fee"]) == (None, crowd.REWARD_SAT - crowd.FEE_SAT, crowd.FEE_SAT)
        enriched = enrich_month(facts, world.month, crowd.RULES)
        assert dict(enriched.outflows["class"].value_counts().iter_rows()) == {"internal": OUTPUTS + 1, "fee": 1, "reward": 1}
        write_enriched(store, str(world.month), enriched)
        assert store.connection.execute("SELECT count(*), sum(amount) FROM out_outflow WHERE class = 'internal'").fetchall() == [
            (OUTPUTS + 1, crowd.REWARD_SAT - crowd.FEE_SAT)
        ]


def test_ten_thousand_wallets_are_watched_and_each_gets_its_own() -> None:
    world = crowd.Crowd(WALLETS)
    log = MemoryLog()
    crowd.follow(log, world, crowd.wallets(WALLETS))
    with Store.memory() as store:
        Ingest(log, store).catch_up()
        facts = read_facts(store.connection)
    assert facts.pool_wallets.height == WALLETS
    balances = prove_balances(facts, world.month, crowd.RULES).sort("wallet")
    assert balances["fault"].null_count() == balances.height == WALLETS
    expected = [value for value, _ in world.paid]
    expected[0] += world.change_sat
    assert balances["closing"].to_list() == expected, "the first wallet paid all others, and holds the change"


def test_thousands_of_miners_settle_alike_in_ranges_of_any_size(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "log.sqlite") as log, Store.memory() as store:
        write_month(log, Size(20_000, miners=2_000))
        Ingest(log, store).catch_up()
        facts = read_facts(store.connection)
    whole = enrich_month(facts, MONTH, RULES, allocations_at_once=1_000_000)
    parts = enrich_month(facts, MONTH, RULES, allocations_at_once=700)
    assert whole.issues.is_empty()
    assert whole.report["miner_id"].n_unique() == 2_000
    assert whole.report.equals(parts.report)
    assert pl.concat(whole.reported.slices(999)).equals(whole.report), "the report is the same in slices of any size"
    assert whole.debts.equals(parts.debts)
    assert whole.totals == parts.totals


def test_the_twelfth_month_of_a_year_is_what_it_is_alone(tmp_path: Path) -> None:
    """Its debts begin where the eleventh's end; what was frozen before does not change as the log grows."""
    months = [MONTH]
    while len(months) < 12:
        months.append(months[-1].next)
    judged = [months[0], months[1], months[10], months[11]]
    frozen = {}
    with SqliteLog(tmp_path / "log.sqlite") as log:
        ends = write_months(log, Size(1_000, miners=50), months)
        with Store.open(tmp_path / "store.duckdb") as store:
            for month, until in zip(months, ends, strict=True):
                Ingest(log, store, until=until).catch_up()
                if month in judged:
                    frozen[month] = enrich_month(read_facts(store.connection), month, RULES)
            facts = read_facts(store.connection)
    assert facts.allocations.height == 12_000
    before = None
    for month in judged:
        again = enrich_month(facts, month, RULES)
        assert again.issues.is_empty()
        assert again.report.equals(frozen[month].report), f"{month} does not change when later months come"
        assert again.totals == frozen[month].totals
        assert again.reported.count_carried() == again.report["is_carried"].sum()
        if month in (months[1], months[11]):
            assert before is not None
            opened = again.debts.filter(pl.col("opening") > 0).select("miner_id", pl.col("opening").alias("owed"))
            closed = before.filter(pl.col("closing") > 0).select("miner_id", pl.col("closing").alias("owed"))
            assert opened.equals(closed), f"{month} opens with what the month before closed with"
        before = again.debts


def test_filling_a_store_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """The reader is killed (-9) once it told of a committed batch; what is there is whole, and the rest is only what was left."""
    with SqliteLog(tmp_path / "log.sqlite") as log:
        write_month(log, Size(10_000, miners=100))
        total = sum(log.end().values())
        process = subprocess.Popen([sys.executable, "-c", _FILL, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        with Store.open(tmp_path / "store.duckdb") as store, Store.memory() as whole:
            there = sum(store.positions().values())
            assert told <= there <= total
            assert Ingest(log, store).catch_up().events == total - there
            Ingest(log, whole).catch_up()
            facts = read_facts(store.connection)
            for name, frame in vars(read_facts(whole.connection)).items():
                assert getattr(facts, name).equals(frame), name


def test_a_freeze_that_is_stopped_amid_its_documents_goes_on_to_the_same_report(tmp_path: Path) -> None:
    """Killed (-9) when its workbook begins, then stopped by Ctrl-C when its PDF does; the next one leaves one whole version and one event."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    for folder in (stopped, whole):
        folder.mkdir()
        with SqliteLog(folder / "log.sqlite") as log:
            write_month(log, Size(1_000, miners=50))
    told = freezing.stop(freezing.start(stopped, ("kk",), wait_at="report.xlsx"), "report.xlsx", signal.SIGKILL, 120)
    assert told[0] == "enrich"
    assert {f"report.{name}: 1,050 of 1,050 rows" for name in ("csv", "json")} <= set(told), "long parts tell how far they are"
    assert freezing.left_over(stopped) == [".v1.building"], "a process that was killed can't tidy up"
    freezing.stop(freezing.start(stopped, ("kk",), wait_at="report.pdf"), "report.pdf", signal.SIGINT, 120)
    assert freezing.left_over(stopped) == [], "one that was asked to stop does, and what the killed one left is gone, too"
    assert not (stopped / "months" / str(MONTH) / "v1").exists()
    digests = []
    for folder in (stopped, whole):
        taken, digest = freezing.freeze(folder, ("kk",))
        digests.append(digest)
        assert [one.name for one in taken][-1] == "freeze: manifest"
        assert freezing.changed_files(folder) == []
        assert freezing.left_over(folder) == []
        with SqliteLog(folder / "log.sqlite") as log:
            assert [record.id for record in log.read({}, topics=["months"])] == [f"frozen:{MONTH}:1"]
    assert digests[0] == digests[1]


def test_the_months_own_database_is_written_with_less_memory_for_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a freeze and in a replay: the month stands in memory beside the store's sort. Afterwards the store has what it had."""
    limits, limit = [], "SELECT parse_formatted_bytes(current_setting('memory_limit')) >> 20, current_setting('threads')"

    def export(connection: duckdb.DuckDBPyConnection, month: str, path: Path) -> Path:
        limits.extend(connection.execute(limit).fetchall())
        return export_month(connection, month, path)

    monkeypatch.setattr("pipeline.store.publish.export_month", export)
    with SqliteLog(tmp_path / "log.sqlite") as log:
        write_month(log, Size(1_000, miners=50))
    freezing.freeze(tmp_path, ("kk",))
    with App(freezing.settings(tmp_path, ("kk",)), lambda: MONTH.end_at + 3 * 86_400) as app:
        (event,) = app.months.frozen(MONTH)
        assert app.months.replay(event).is_same
    ((during, threads), again) = limits
    assert (during, threads) == again == (max(PASSING_MIB, threads * THREAD_MIB), threads)


_FILL = """
import sys
from pathlib import Path
from connectors.log_sqlite import SqliteLog
from pipeline.log.events.chain import WatchedWallet
from pipeline.store.ingest import Ingest
from pipeline.store import Store
folder = Path(sys.argv[1])
with SqliteLog(folder / "log.sqlite") as log, Store.open(folder / "store.duckdb") as store:
    ingest = Ingest(log, store, limit_bytes=100_000)
    while not (step := ingest.step()).at_end:
        print(sum(step.positions.values()), flush=True)
"""
