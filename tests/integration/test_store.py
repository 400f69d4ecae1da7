"""The store on disk: opened once, told apart from what it is not, filled with a real month, and read back exactly."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipeline.enrich.frames import SHAPES
from pipeline.model.errors import StoreError, StoreLocked
from pipeline.store import STORE_VERSION, Store
from pipeline.store.facts import read_facts, write_enriched
from pipeline.store.queries import block_at, chain_state, complete_through, proofs, registry, waivers
from pipeline.store.store import MEMORY_MIB, PASSING_MIB, THREAD_MIB, lay_empty, prepare
from pipeline.store.threads import SMALL_BYTES

from ..reference.capture import Capture
from .example_store import MONTH, fill


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory):
    with Store.open(tmp_path_factory.mktemp("example") / "store.duckdb") as store:
        capture, enriched = fill(store)
        yield store, capture, enriched


# --- opening


def test_a_new_store_is_for_the_owner_alone_and_has_nothing_in_it(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb") as store:
        assert store.positions() == {}
        assert stat.S_IMODE((tmp_path / "store.duckdb").stat().st_mode) == 0o600
        assert store.connection.execute("SELECT version FROM store_version").fetchall() == [(STORE_VERSION,)]
        assert store.connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def catalogue(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """Every table, view and column with its type and comment, and the view's statement."""
    columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    views = "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    return connection.execute(columns).fetchall() + connection.execute(views).fetchall()


def test_a_store_begun_as_a_copy_of_an_empty_one_is_what_its_statements_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with duckdb.connect(":memory:") as connection:
        prepare(connection, ":memory:")
        wanted = catalogue(connection)
    for name in ("first", "second"):
        with Store.open(tmp_path / name) as store:
            assert catalogue(store.connection) == wanted

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "this file system has no links")

    monkeypatch.setattr(os, "link", no_links)
    with Store.open(tmp_path / "third") as store:
        assert catalogue(store.connection) == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second", "third"]


def test_an_empty_file_is_not_laid_over_what_another_process_made_meanwhile(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store, store.transaction() as connection:
        connection.execute("INSERT INTO raw_position VALUES ('chain/0', 1)")
    lay_empty(path)
    with Store.open(path) as store:
        assert store.positions() == {"chain/0": 1}


def test_a_second_opener_is_told_who_has_it(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    script = "import sys; from pipeline.store import Store; Store.open(sys.argv[1])"
    with Store.open(path) as store:
        with pytest.raises(StoreLocked, match="already open in this process"):
            Store.open(path)
        other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
        assert "StoreLocked" in other.stderr
        assert "published copy" in other.stderr
        assert store.positions() == {}
    Store.open(path).close()


@pytest.mark.parametrize("content", [b"not a database at all " * 500, b""])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "store.duckdb"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.duckdb.*delete it.*rebuilt from the log"):
        Store.open(path)
    assert path.read_bytes() == content


def test_a_damaged_file_is_told(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xa5" * (len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="rebuilt from the log"):
        Store.open(path)


def test_a_database_of_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(StoreError, match="something else"):
        Store.open(path)


def test_a_store_of_a_newer_program_is_refused(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        store.connection.execute("UPDATE store_version SET version = version + 1")
    with pytest.raises(StoreError, match="upgrade the program"):
        Store.open(path)


def test_views_of_another_program_version_are_made_anew(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        store.connection.execute("DROP VIEW report")
        store.connection.execute("CREATE VIEW gone AS SELECT 1 AS a")
        store.connection.execute("UPDATE store_version SET views_digest = 'older'")
    with Store.open(path) as store:
        views = {name for (name,) in store.connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        assert "report" in views
        assert "gone" not in views
        assert store.connection.execute("SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL").fetchall() == [(0,)]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(StoreError, match="check the folder"):
        Store.open(tmp_path / "absent" / "store.duckdb")


def test_a_failure_within_a_transaction_leaves_nothing(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb") as store:
        with pytest.raises(ZeroDivisionError), store.transaction() as connection:
            connection.execute("INSERT INTO raw_position VALUES ('chain/0', 1)")
            raise ZeroDivisionError
        with pytest.raises(StoreError, match="no_such_table"), store.transaction() as connection:
            connection.execute("INSERT INTO raw_position VALUES ('chain/0', 1)")
            connection.execute("SELECT * FROM no_such_table")
        assert store.positions() == {}


def test_memory_that_runs_out_is_told_and_nothing_of_the_step_stays(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb", memory_limit="40MB", threads=1) as store:
        store.connection.execute("SET temp_directory = ''")
        with pytest.raises(StoreError, match="free disk space or memory"), store.transaction() as connection:
            connection.execute("INSERT INTO raw_position SELECT range::VARCHAR || repeat('x', 100), range FROM range(3000000)")
        assert store.positions() == {}


def limit_mib(store: Store) -> int:
    """DuckDB's memory limit in whole MiB."""
    return store.connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()[0][0] >> 20


def test_less_memory_is_let_go_of_at_once_and_comes_back_however_the_block_ends(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb", threads=2) as store:
        with pytest.raises(ZeroDivisionError), store.less_memory():
            assert limit_mib(store) == PASSING_MIB
            raise ZeroDivisionError
        assert limit_mib(store) == MEMORY_MIB
        store.connection.execute("CREATE TEMP TABLE held AS SELECT repeat(range::VARCHAR, 20) AS text FROM range(6000000)")
        used = "SELECT sum(memory_usage_bytes) >> 20 FROM duckdb_memory()"
        before = store.connection.execute(used).fetchall()[0][0]
        assert before > PASSING_MIB, "the table is too small to show anything"
        with store.less_memory():
            assert store.connection.execute(used).fetchall()[0][0] <= PASSING_MIB
            assert store.connection.execute("SELECT count(*) FROM held").fetchall() == [(6_000_000,)]


def test_less_memory_is_no_fault_where_it_can_not_be_had(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb", threads=2) as store:
        store.connection.execute("SET temp_directory = ''")
        store.connection.execute("CREATE TEMP TABLE held AS SELECT repeat(range::VARCHAR, 20) AS text FROM range(6000000)")
        with store.less_memory():
            assert limit_mib(store) == MEMORY_MIB
    with Store.open(tmp_path / "store.duckdb", memory_limit="300MiB") as store, store.less_memory():
        assert limit_mib(store) == 300, "the opener's own limit stays"


def test_each_thread_keeps_the_least_that_it_needs_where_memory_is_less(tmp_path: Path):
    with Store.open(tmp_path / "store.duckdb", threads=6) as store, store.less_memory():
        assert limit_mib(store) == 6 * THREAD_MIB


def thread_count(store: Store) -> int:
    return store.connection.execute("SELECT current_setting('threads')").fetchall()[0][0]


def test_a_small_store_is_worked_by_one_thread_and_a_grown_one_by_all(tmp_path: Path):
    with duckdb.connect(":memory:") as connection:
        ((every,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    with Store.open(tmp_path / "store.duckdb") as store:
        assert thread_count(store) == 1
        with store.transaction() as connection:
            connection.execute("CREATE TABLE filling AS SELECT hash(range) AS a, hash(range + 1) AS b FROM range(4000000)")
        store.checkpoint()
        assert store.path is not None and store.path.stat().st_size >= SMALL_BYTES, "the file is too small to show anything"
        with store.transaction() as connection:
            connection.execute("INSERT INTO raw_position VALUES ('chain/0', 1)")
        assert thread_count(store) == every
        assert limit_mib(store) == max(MEMORY_MIB, every * THREAD_MIB)
    with Store.open(tmp_path / "store.duckdb") as store:
        assert thread_count(store) == every, "a large one from the start"
    with Store.open(tmp_path / "other.duckdb", threads=3) as store, store.transaction():
        assert thread_count(store) == 3, "the opener's own number stays"


@pytest.mark.parametrize("thread_mib", [300, 1024])
def test_a_store_that_grows_large_with_less_memory_has_the_limits_of_all_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread_mib: int
):
    monkeypatch.setattr("pipeline.store.store.THREAD_MIB", thread_mib)  # so that two threads need more than one
    with Store.open(tmp_path / "store.duckdb") as store:
        with store.less_memory():
            with store.transaction() as connection:
                connection.execute("CREATE TABLE filling AS SELECT hash(range) AS a, hash(range + 1) AS b FROM range(4000000)")
            store.checkpoint()
            with store.transaction() as connection:
                connection.execute("INSERT INTO raw_position VALUES ('chain/0', 1)")
            every = thread_count(store)
            assert limit_mib(store) == max(PASSING_MIB, every * thread_mib)
        assert limit_mib(store) == max(MEMORY_MIB, every * thread_mib)


# --- a real month


def test_facts_come_back_exactly_as_they_were_read_plainly(example):
    store, capture, _ = example
    assert isinstance(capture, Capture)
    facts = read_facts(store.connection)
    for name, shape in SHAPES.items():
        frame: pl.DataFrame = getattr(facts, name)
        assert dict(frame.schema) == shape, name
        expected = pl.DataFrame(capture.facts.get(name, []), schema=shape, orient="row")
        keys = list(shape)
        assert frame.sort(keys).equals(expected.sort(keys)), name
        assert frame.equals(getattr(read_facts(store.connection), name)), "the order is always the same"


def test_facts_have_their_shapes_even_when_there_are_none():
    with Store.memory() as store:
        facts = read_facts(store.connection)
        for name, shape in SHAPES.items():
            assert dict(getattr(facts, name).schema) == shape
            assert getattr(facts, name).height == 0


def test_what_was_worked_out_shows_in_the_views(example):
    store, _, enriched = example
    counted = {view: store.connection.execute(f"SELECT count(*) FROM {view} WHERE month = '2026-10'").fetchall()[0][0] for view in
               ("report", "outflows", "balances", "issues")}  # fmt: skip
    assert counted == {
        "report": enriched.report.height,
        "outflows": enriched.outflows.height,
        "balances": enriched.balances.height,
        "issues": enriched.issues.height,
    }
    in_month = enriched.transfers.filter(pl.col("date").is_between(MONTH.first, MONTH.last))
    assert store.connection.execute("SELECT count(*), sum(amount) FROM transfers").fetchall() == [
        (in_month.height, int(in_month["amount"].sum()))
    ]
    first = store.connection.execute("SELECT amount_printed, transfer_amount_printed FROM report WHERE n = 1").fetchall()
    assert first == [("0.00237505", "0.01294317")]
    ((month, frozen, rows, blocking),) = store.connection.execute(
        "SELECT month, is_frozen, row_count, blocking_count FROM months"
    ).fetchall()
    assert (month, frozen, rows, blocking) == ("2026-10", False, enriched.report.height, 1)


def test_working_a_month_out_again_replaces_its_rows_alone(example):
    store, _, enriched = example
    write_enriched(store, "2026-09", enriched)
    write_enriched(store, "2026-09", enriched)
    assert store.connection.execute("SELECT month, count(*) FROM out_report GROUP BY ALL ORDER BY ALL").fetchall() == [
        ("2026-09", enriched.report.height),
        ("2026-10", enriched.report.height),
    ]
    assert store.connection.execute("SELECT count(*) FROM out_asset").fetchall() == [(1,)]
    for table in ("report", "outflow", "transfer", "balance", "issue", "totals"):
        store.connection.execute(f"DELETE FROM out_{table} WHERE month = '2026-09'")


def test_a_frame_out_of_shape_is_refused_and_the_month_stays(example):
    store, _, enriched = example
    with pytest.raises(StoreError, match="out_balance"):
        write_enriched(store, "2026-10", replace(enriched, balances=enriched.balances.drop("unspent")))
    assert store.connection.execute("SELECT count(*) FROM out_report").fetchall() == [(enriched.report.height,)]


def test_the_programs_own_questions(example):
    store, capture, _ = example
    tip = chain_state(store.connection)["bitcoin"]
    last = capture.facts["blocks"][-1]
    assert (tip.height, tip.hash, tip.time, tip.mediantime, tip.network) == (
        last["height"], last["hash"], last["time"], last["mediantime"], "regtest",
    )  # fmt: skip
    block = block_at(store.connection, "bitcoin", 447)
    assert block is not None
    assert block.hash == capture.facts["blocks"][447]["hash"]
    assert block_at(store.connection, "bitcoin", 10**6) is None
    assert str(complete_through(store.connection)) == "2026-10-31"
    assert registry(store.connection) is not None
    assert [w.ref for w in waivers(store.connection, "2026-10")] == ["nothing:0"]
    assert waivers(store.connection, "2026-11") == []
    txids = [row["txid"] for row in capture.facts["transactions"][:3]]
    assert {proof.txid for proof in proofs(store.connection, "bitcoin", txids)} == set(txids)
