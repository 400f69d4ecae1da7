"""`esep query` on the frozen month: what can be asked, how a copy behind the log is said, and copies that can't be read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.app.app import App
from pipeline.cli.frame import settings_of
from pipeline.cli.query import ready_queries
from pipeline.store import Store

from .example_month import esep

COUNT = "SELECT count(*) AS n FROM allocations"
LEDGER = "allocation_id,account,asset,allocated_at,amount\nW1,acct000,BTC,2026-10-09T00:00:00+05:00,0.1\n"


@pytest.fixture
def var(frozen: Path, tmp_path: Path) -> Path:
    shutil.copytree(frozen, tmp_path / "var")
    return tmp_path / "var"


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    capsys.readouterr()
    yield capsys


def _import_one(var: Path) -> None:
    (var.parent / "w.csv").write_text(LEDGER)
    assert esep("import", "allocations", var.parent / "w.csv", "--config", var / "esep.toml") == 0


def _count(var: Path, printed: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    printed.readouterr()
    assert esep("query", COUNT, "--json", *more, "--config", var / "esep.toml") == 0
    shown = printed.readouterr()
    return json.loads(shown.out)[0]["n"], shown.err.strip()


def test_a_copy_behind_the_log_is_said_on_one_line_and_fresh_makes_a_new_one(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    before, said = _count(var, printed, "--fresh")
    assert said.startswith("esep: the copy shows the whole log (0 events behind")
    _import_one(var)
    os.utime(var / "published.duckdb", (1_800_000_000 - 10**9, 1_800_000_000 - 10**9))
    still, said = _count(var, printed)
    assert still == before
    assert re.fullmatch(r"esep: the copy is 1 event\(s\) and [0-9]{9,} s behind the log: --fresh brings it up to date", said)
    now_there, said = _count(var, printed, "--fresh")
    assert now_there == before + 1
    assert "0 events behind" in said


def test_fresh_waits_for_the_process_that_has_the_store(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    before, _ = _count(var, printed, "--fresh")
    _import_one(var)
    with App(settings_of(var / "esep.toml"), lambda: 1_800_000_000) as app, Store.open(app.settings.store.path) as store:

        def serve() -> None:
            app.stores.fill(store)
            app.stores.publish(store)

        later = threading.Timer(0.5, serve)
        later.start()
        try:
            assert _count(var, printed, "--fresh")[0] == before + 1
        finally:
            later.join()


def test_without_a_log_the_answer_comes_all_the_same_and_no_log_is_made(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    (var / "log.sqlite").rename(var / "elsewhere.sqlite")
    for beside in ("log.sqlite-wal", "log.sqlite-shm"):
        (var / beside).unlink(missing_ok=True)
    _, said = _count(var, printed)
    assert "is not known" in said and "there is no log at" in said
    assert not (var / "log.sqlite").exists()


@pytest.mark.parametrize("spoil", ["empty", "text", "folder"])
def test_a_spoilt_copy_is_no_defect_of_the_program(var: Path, printed: pytest.CaptureFixture[str], spoil: str) -> None:
    place = var / "published.duckdb"
    place.unlink()
    if spoil == "folder":
        place.mkdir()
    else:
        place.write_text("" if spoil == "empty" else "no database" * 10_000)
    assert esep("query", COUNT, "--config", var / "esep.toml") == 7
    assert "defect" not in (said := printed.readouterr().err) and str(place) in said
    assert esep("status", "--config", var / "esep.toml") == 0, "a copy that can't be read hides nothing else"
    assert str(place) in printed.readouterr().out
    if spoil != "folder":
        assert _count(var, printed, "--fresh")[0] > 0


def test_a_copy_that_an_analyst_holds_is_said_with_the_process(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(var / "published.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None and session.stdin is not None
        assert session.stdout.readline() == "open\n"
        assert esep("query", COUNT, "--config", var / "esep.toml") == 7
        said = printed.readouterr().err
        assert f"process {session.pid}" in said and "end that session" in said
        session.stdin.close()


# --- what can be asked


def test_a_leading_comment_is_no_option(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    for text in ("-- which rows?\nSELECT 41 + 1 AS answer", "--SELECT 1\nSELECT 42 AS answer", "/* x */ SELECT 42 AS answer"):
        assert esep("query", text, "--json", "--config", var / "esep.toml") == 0
        assert json.loads(printed.readouterr().out) == [{"answer": 42}]
    assert esep("query", "--jsno", "--config", var / "esep.toml") == 2
    assert "no such option: --jsno" in printed.readouterr().err


def test_a_statement_from_a_file(var: Path, tmp_path: Path, printed: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "question.sql"
    file.write_text("-- a question\nSELECT 42 AS answer;\n", encoding="utf-8-sig")
    assert esep("query", "--file", file, "--csv", "--config", var / "esep.toml") == 0
    assert printed.readouterr().out == "answer\n42\n"
    file.write_bytes("SELECT 'Пул'".encode("cp1251"))
    for arguments in (("--file", file), ("--file", tmp_path / "absent.sql"), ("--file", file, "SELECT 1")):
        assert esep("query", *arguments, "--config", var / "esep.toml") == 2
        assert "--file" in printed.readouterr().err


def test_ready_queries_are_listed_and_asked_by_name(var: Path, printed: pytest.CaptureFixture[str]) -> None:
    assert esep("query", "--saved", "--config", var / "esep.toml") == 0
    listed = printed.readouterr().out
    assert len(ready_queries()) >= 10
    for name, text in ready_queries().items():
        assert name in listed and text.splitlines()[0].removeprefix("-- ") in listed
        assert esep("query", "--saved", name, "--json", "--config", var / "esep.toml") == 0
    printed.readouterr()
    assert esep("query", "--saved", "payouts-by-miner", "--json", "--config", var / "esep.toml") == 0
    assert len(json.loads(printed.readouterr().out)) > 1
    assert esep("query", "--saved", "nothing", "--config", var / "esep.toml") == 2
    assert "payouts-by-miner" in printed.readouterr().err


def test_no_column_of_the_analysts_views_needs_quotes(var: Path) -> None:
    with duckdb.connect(str(var / "published.duckdb"), read_only=True) as copy:
        columns = copy.execute(
            "SELECT c.table_name, c.column_name FROM duckdb_columns() c JOIN duckdb_views() v ON v.view_name = c.table_name "
            "WHERE NOT c.internal AND NOT v.internal AND v.view_name NOT LIKE 'core_%'"
        ).fetchall()
        assert ("closings", "done_at") in columns
        for view, column in columns:
            copy.execute(f"SELECT {column} FROM {view} LIMIT 1")


def test_a_row_stands_upright_where_a_table_does_not_fit(var: Path) -> None:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "query", "--config", str(var / "esep.toml")]
    statement = "SELECT 'a rather long name of a miner' AS miner_name, 'sixty characters of an address that does not fit here' AS address"
    narrow = os.environ | {"COLUMNS": "60", "FORCE_COLOR": "1", "TERM": "xterm", "TTY_COMPATIBLE": "1"}
    shown = subprocess.run([*command, statement], capture_output=True, text=True, check=True, env=narrow).stdout
    assert "--- row 1 of 1\nminer_name  a rather long name of a miner\naddress     sixty characters" in shown
    wide = subprocess.run([*command, statement], capture_output=True, text=True, check=True, env=narrow | {"COLUMNS": "200"}).stdout
    assert "--- row 1" not in wide
