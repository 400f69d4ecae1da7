"""Disks that fill up, turn read-only or lose what was not yet on them; files that are damaged. Nothing acknowledged is ever missing."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from pathlib import Path

import duckdb
import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.log.protocol import NewEvent, Record
from pipeline.log.read import batches

from ..integration.example_month import DIGEST
from ..integration.example_month import esep as here
from .faulty_disk import FREEZE, at_once, disk, esep, mount, told

pytestmark = pytest.mark.live


def records(var: Path) -> list[Record]:
    with SqliteLog(var / "log.sqlite") as log:
        return [record for batch in batches(log) for record in batch]


def test_a_full_disk_loses_nothing_and_the_same_commands_go_on_when_there_is_space(closable: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 96) as small:
        var = small.folder / "var"
        shutil.copytree(closable, var)
        config = ("--config", var / "esep.toml")
        before = records(var)

        # The log: an append by a command, and one by an import.
        small.fill()
        label = (
            "label",
            "2MwMtXwJxZQ1wzUHH2JP787Z12tmvbHfXcr",
            "vendor",
            "--name",
            "V",
            "--by",
            "A. Person",
            "--reason",
            "contract 17",
            *config,
        )
        for command in (label, ("import", "complete", "2026-11-30", *config)):
            done = at_once(*command)
            assert done.returncode == 6 and "nothing was appended" in done.stderr and "free" in done.stderr, done.stderr
        small.free()
        assert records(var) == before

        # The store: a commit of ingest. What was half written is no harm.
        for file in var.glob("store.duckdb*"):
            file.unlink()
        small.fill(leave_bytes=3 << 20)
        done = esep("ingest", *config)
        assert done.returncode == 7 and "free disk space" in done.stderr, done.stderr

        # The published copy, where all of it has to be written: the former one stays and can be read.
        small.free()
        assert at_once("ingest", *config).returncode == 0
        assert at_once("import", "complete", "2026-11-01", *config).returncode == 0
        (var / ".published.duckdb.former").unlink(missing_ok=True)
        small.fill(leave_bytes=6 << 20)
        done = at_once("ingest", *config)
        assert done.returncode == 7 and "free disk space" in done.stderr, done.stderr
        assert at_once("query", "SELECT count(*) FROM raw_event", "--json", *config).returncode == 0
        assert not list(var.glob(".published*"))

        # A freeze: no version, nothing half made that takes the space.
        small.fill(leave_bytes=3 << 20)
        done = esep(*FREEZE, *config)
        assert done.returncode in (7, 12) and "No space left" in done.stderr and "free disk space" in done.stderr, done.stderr
        small.free()
        assert not [path for path in var.glob("months/*/*") if path.name.endswith(".building")]
        assert len(records(var)) == len(before) + 1, "the one event acknowledged meanwhile, and no frozen one"

        assert at_once(*label).returncode == 0
        assert told(*FREEZE, *config)["version"] == 1
        assert at_once("verify", "2026-10", "--test-network", *config).returncode == 0


def test_a_freeze_on_a_disk_that_fills_up_at_any_file_leaves_no_version(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = ("--config", var / "esep.toml")
    (var / "months").mkdir()
    for size_kib in (40, 300, 2_000):
        if reason := mount("-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(var / "months")):
            pytest.skip(reason)
        try:
            done = at_once(*FREEZE, *config)
            assert done.returncode in (7, 12) and "No space left" in done.stderr, (size_kib, done.stderr)
            assert [path.name for path in (var / "months").rglob("*")] == ["2026-10"]
        finally:
            subprocess.run(["umount", "-l", str(var / "months")], check=True)
    assert not (var / "crashes").exists()
    assert told(*FREEZE, *config)["digest"] == DIGEST


def test_a_read_only_disk_and_a_read_only_store_are_told(closable: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 96) as own:
        var = own.folder / "var"
        shutil.copytree(closable, var)
        config = ("--config", var / "esep.toml")
        before = records(var)
        own.make("ro")
        for command in (("import", "complete", "2026-11-30"), FREEZE, ("ingest",)):
            done = at_once(*command, *config)
            assert done.returncode in (6, 7, 12) and "writable" in done.stderr, (command, done.stderr)
        assert at_once("query", "SELECT 1", *config).returncode == 0, "the published copy can be read all the same"
        own.make("rw")
        assert records(var) == before

        store = str(var / "store.duckdb")
        assert mount("--bind", store, store) == "" and mount("-o", "remount,ro,bind", store) == ""
        try:
            done = at_once("ingest", *config)
            assert done.returncode == 7 and "store.duckdb" in done.stderr and "permissions" in done.stderr, done.stderr
        finally:
            subprocess.run(["umount", store], check=True)
        assert told(*FREEZE, *config)["digest"] == DIGEST


def test_the_unwritten_end_of_the_log_s_journal_is_lost_whole_and_nothing_before_it(tmp_path: Path) -> None:
    """A power cut: what was not yet synced may be missing, from any byte on. Appends stand whole or not at all, in order."""
    path = tmp_path / "log.sqlite"
    with SqliteLog(path) as log, log.writer("ledger", "k") as writer:
        writer.append([NewEvent("first:0", b"{}")])
        log._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for n in range(40):
            writer.append([NewEvent(f"{n}:{part}", b"x" * 700) for part in range(3)])
        whole, journal = path.read_bytes(), path.with_name("log.sqlite-wal").read_bytes()
    choose = random.Random(1123)
    lengths = set()
    for size in [0, len(journal), *(choose.randrange(len(journal)) for _ in range(150))]:
        folder = tmp_path / f"cut-{size}"
        folder.mkdir(exist_ok=True)
        (folder / "log.sqlite").write_bytes(whole)
        (folder / "log.sqlite-wal").write_bytes(journal[:size])
        with SqliteLog(folder / "log.sqlite") as log:
            ids = [record.id for record in log.read({})]
            with log.writer("ledger", "k") as writer:
                assert writer.append([NewEvent("next", b"{}")]) == 1
        shutil.rmtree(folder)
        kept = (len(ids) - 1) // 3
        assert ids == ["first:0", *(f"{n}:{part}" for n in range(kept) for part in range(3))]
        lengths.add(kept)
    assert {0, 40} <= lengths and len(lengths) > 20


def test_a_store_cut_or_damaged_anywhere_is_told_or_right_and_comes_back_from_the_log(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = ("--config", var / "esep.toml")
    assert here("ingest", *config) == 0
    question = "SELECT (SELECT md5(string_agg(id || digest, ',' ORDER BY topic, log_offset)) FROM raw_event), (SELECT count(*) FROM report)"

    def asked() -> list[tuple]:
        with duckdb.connect(str(var / "published.duckdb"), read_only=True) as copy:
            return copy.execute(question).fetchall()

    expected, content = asked(), (var / "store.duckdb").read_bytes()
    choose = random.Random(77)
    told_of = 0
    for kind in ["flip"] * 10 + ["cut"] * 4 + ["header"]:
        damaged = bytearray(content)
        if kind == "cut":
            del damaged[choose.randrange(4096, len(damaged)) :]
        for _ in range(40 if kind == "flip" else 0):
            damaged[choose.randrange(len(damaged))] ^= 0xFF
        if kind == "header":
            damaged[:4096] = bytes(4096)
        (var / "store.duckdb").write_bytes(damaged)
        done = (esep if kind == "header" else at_once)("ingest", *config)
        code = done.returncode
        assert code in (0, 7), (kind, done.stderr)
        if code == 7:
            told_of += 1
            assert "delete it" in done.stderr, done.stderr
            for file in var.glob("store.duckdb*"):
                file.unlink()
            assert here("ingest", *config) == 0
        assert asked() == expected, kind
    assert told_of >= 5
    assert not (var / "crashes").exists()


def test_a_damaged_log_is_refused_with_its_place_and_goes_on_from_its_backup(closable: Path, tmp_path: Path) -> None:
    var = tmp_path / "var"
    shutil.copytree(closable, var)
    config = ("--config", var / "esep.toml")
    log, backup = var / "log.sqlite", tmp_path / "backup.sqlite"
    with sqlite3.connect(log) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    source.close()
    target.close()
    name = told("log", "check", f"sqlite:{backup}", *config)["digest"]
    with sqlite3.connect(log) as file:
        ((offset, value),) = file.execute(
            "SELECT \"offset\", value FROM event WHERE topic = 'ledger' ORDER BY length(value) DESC LIMIT 1"
        ).fetchall()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    # One digit of one amount, in the file's own bytes.
    content = bytearray(log.read_bytes())
    at = content.find(value[len(value) // 2 :][:40])
    at = next(place for place in range(at, at + 4000) if chr(content[place]) in "12345678")
    content[at] += 1
    log.write_bytes(content)
    for file_ in var.glob("store.duckdb*"):
        file_.unlink()
    for command in (("ingest",), ("log", "check"), FREEZE):
        done = at_once(*command, *config)
        assert done.returncode == 6 and f"ledger/0@{offset}" in done.stderr and "backup" in done.stderr, (command, done.stderr)
    assert not (var / "months").exists()
    for file_ in (*var.glob("log.sqlite*"), *var.glob("store.duckdb*")):
        file_.unlink()
    shutil.copy(backup, log)
    assert told("log", "check", *config)["digest"] == name
    assert told(*FREEZE, *config)["digest"] == DIGEST
