"""Copies for others: read while the live store is written, whole at every moment, and a month's own file."""

from __future__ import annotations

import multiprocessing
import re
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipeline.model.errors import StoreError
from pipeline.store import Store
from pipeline.store.dictionary import data_dictionary
from pipeline.store.ingest import Ingest
from pipeline.store.publish import export_month, export_statements, publish_copy

from ..unit.store.streams import Delivery, allocations, example_events
from .example_store import fill

QUERIES = sorted((Path(__file__).parents[2] / "docs" / "queries").glob("*.sql"))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory):
    with Store.open(tmp_path_factory.mktemp("example") / "store.duckdb") as store:
        fill(store)
        yield store


@pytest.fixture(scope="module")
def published(example: Store, tmp_path_factory: pytest.TempPathFactory):
    path = publish_copy(example, tmp_path_factory.mktemp("published") / "esep.duckdb")
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def exported(example: Store, tmp_path_factory: pytest.TempPathFactory):
    path = export_month(example.connection, "2026-10", tmp_path_factory.mktemp("month") / "month.duckdb")
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for (name,) in names}


def test_the_copy_has_every_row_view_and_comment(example: Store, published):
    assert _counts(published) == _counts(example.connection)
    assert data_dictionary(published) == data_dictionary(example.connection)


def _follow(path: str, stop, counts) -> None:
    """An analyst: opens the copy read-only again and again, and counts what must belong together."""
    while not stop.is_set():
        with duckdb.connect(path, read_only=True) as connection:
            counts.append(
                connection.execute(
                    "SELECT (SELECT count(*) FROM allocations), (SELECT next_offset FROM log_positions WHERE place = 'ledger/0')"
                ).fetchall()[0]
            )


def test_another_process_reads_the_copy_while_the_live_store_is_written(tmp_path: Path):
    delivery = Delivery(count=1)
    with Store.open(tmp_path / "store.duckdb") as store, multiprocessing.get_context("spawn").Manager() as manager:
        ingest = Ingest(delivery, store)
        delivery.tell("ledger", [allocations(range(100))])
        ingest.catch_up()
        path = publish_copy(store, tmp_path / "esep.duckdb")
        stop, counts = manager.Event(), manager.list()
        analyst = multiprocessing.get_context("spawn").Process(target=_follow, args=(str(path), stop, counts))
        analyst.start()
        rounds = 1
        while len(counts) < 5 or rounds < 6:  # publish on while it reads
            assert analyst.is_alive()
            delivery.tell("ledger", [allocations(range(rounds * 100, rounds * 100 + 100))])
            rounds += 1
            ingest.catch_up()
            publish_copy(store, path)
        stop.set()
        analyst.join(60)
        assert analyst.exitcode == 0
        assert all(rows == 100 * offset for rows, offset in counts)
        assert list(counts) == sorted(counts)


def test_publishing_does_not_let_go_of_the_live_store(tmp_path: Path):
    """Closing any descriptor of a file drops the process's locks on it: so the copy must not be taken by this process."""
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        publish_copy(store, tmp_path / "esep.duckdb")
        other = subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"], capture_output=True, text=True)
        assert "Conflicting lock" in other.stderr


def test_the_copys_mode_is_the_owners_or_the_groups(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb") as store:
        for mode in (0o600, 0o640):
            path = publish_copy(store, tmp_path / "esep.duckdb", mode=mode)
            assert stat.S_IMODE(path.stat().st_mode) == mode
        assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".esep.duckdb.former") == [
            "esep.duckdb",
            "esep.duckdb.wal",
            "store.duckdb",
        ]


def test_a_copy_that_fails_leaves_the_former_one(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb") as store:
        path = publish_copy(store, tmp_path / "esep.duckdb")
        before = path.read_bytes()
        (tmp_path / ".esep.duckdb.part").write_bytes(b"left by a killed process")
        publish_copy(store, path)
        with pytest.raises(StoreError, match="absent"):
            publish_copy(store, tmp_path / "absent" / "esep.duckdb")
        assert path.read_bytes() == before
    with Store.memory() as memory, pytest.raises(StoreError, match="no file"):
        publish_copy(memory, path)


# --- the example queries


def test_there_are_ten_example_queries():
    assert len(QUERIES) == 10


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_an_example_query_answers_its_question_on_the_copy_and_on_the_months_file(path: Path, published, exported):
    text = path.read_text("utf-8")
    question, *rest = text.splitlines()
    assert re.fullmatch(r"-- [A-Z].*\?", question)
    statement = "\n".join(rest)
    assert statement.count(";") == 1
    assert statement.rstrip().endswith(";")
    rows = published.execute(text).fetchall()
    assert rows or path.stem in ("09-stale-blocks",), "the example month has an answer"
    assert exported.execute(text).fetchall() == rows or path.stem in ("06-payments-missing-on-chain", "08-daily-allocations")


def test_example_queries_use_the_views_for_analysts_alone(published):
    tables = {name for (name,) in published.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()}
    views = {name for (name,) in published.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    hidden = (tables | {view for view in views if view.startswith("core_")}) - {"out_asset"}
    for path in QUERIES:
        assert not hidden & set(re.findall(r"\w+", path.read_text("utf-8"))), path


# --- a month's own file


def test_every_table_of_the_store_is_exported_or_left_out_on_purpose(example: Store):
    left_out = {
        "store_version",
        "raw_event",
        "raw_bad_event",
        "raw_stream",
        "raw_signed",
        "raw_source_row",
        "raw_source_look",
        "out_checkpoint",
    }
    assert set(export_statements()) | left_out == set(_counts(example.connection))


def test_the_months_file_holds_its_results_and_no_one_elses(example: Store, exported):
    mine, whole = _counts(exported), _counts(example.connection)
    for table in ("out_report", "out_outflow", "out_balance", "out_issue", "out_totals"):
        assert mine[table] == whole[table] > 0
    assert 0 < mine["raw_block"] < whole["raw_block"]
    assert 0 < mine["raw_allocation"] < whole["raw_allocation"]
    assert exported.execute("SELECT count(*) FROM miners WHERE miner_id NOT IN (SELECT miner_id FROM report)").fetchall() == [(0,)]
    assert exported.execute(
        "SELECT count(*) FROM report r WHERE txid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM transactions t WHERE t.txid = r.txid)"
    ).fetchall() == [(0,)]
    assert exported.execute("SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL").fetchall() == [(0,)]
    assert (
        exported.execute("SELECT * FROM report ORDER BY n").fetchall()
        == example.connection.execute("SELECT * FROM report ORDER BY n").fetchall()
    )


def test_a_month_without_results_is_not_exported(example: Store, tmp_path: Path):
    with pytest.raises(StoreError, match="2027-01 has no results"):
        export_month(example.connection, "2027-01", tmp_path / "month.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_the_views_work_on_a_store_with_reorganisations(tmp_path: Path):
    delivery = Delivery()
    for topic, events in example_events().items():
        delivery.tell(topic, events)
    with Store.memory() as store:
        Ingest(delivery, store).catch_up()
        ((chain, height, stale, main, *_),) = store.connection.execute(QUERIES[8].read_text("utf-8")).fetchall()
        assert (chain, height) == ("bitcoin", 6)
        assert stale != main
