"""One store for each process: beside a running service the log is read once, and then only what it gained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.log_sqlite.log import SqliteLog
from connectors.standins.log_memory import MemoryLog
from pipeline.app.app import App
from pipeline.log.protocol import TOPICS, Positions, Record, Topic
from pipeline.model.months import Month
from pipeline.settings import Settings, load_settings
from pipeline.store import Store
from pipeline.store.of_log import is_of_log

from .example_month import DIGEST

MONTH = Month(2026, 10)
NOW = 1_795_600_000
"""Late November 2026, after the freeze of the recorded month."""


class CountingLog(SqliteLog):
    """A log that counts the records read from it, by topic."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.counts: dict[str, int] = {}

    def read(
        self, positions: Positions, *, topics: Sequence[Topic] = TOPICS, until: Positions | None = None, limit_bytes: int = 16 << 20
    ) -> list[Record]:
        records = super().read(positions, topics=topics, until=until, limit_bytes=limit_bytes)
        for record in records:
            self.counts[record.topic] = self.counts.get(record.topic, 0) + 1
        return records

    def count(self) -> int:
        """How many records were read since the last count."""
        total = sum(self.counts.values())
        self.counts.clear()
        return total


@pytest.fixture
def settings(frozen: Path, tmp_path: Path) -> Settings:
    shutil.copytree(frozen, tmp_path / "var")
    return load_settings(tmp_path / "var" / "esep.toml", {})


@pytest.fixture
def served(settings: Settings) -> Iterator[App]:
    """An app beside a service that has the live store."""
    with Store.open(settings.store.path), App(settings, lambda: NOW, log=CountingLog(settings.log_path)) as app:
        yield app


def records_of(app: App) -> int:
    return sum(app.log.end().values())


def test_a_second_look_reads_nothing_and_a_third_what_came_since(served: App, settings: Settings) -> None:
    settings.store.published.unlink()
    log: Any = served.log
    with served.stores.current() as store:
        first = store.path
    assert log.count() == records_of(served) > 100, "nothing is published: the log is read once"
    with served.stores.current() as store:
        assert (store.path, log.count()) == (first, 0)
    served.imports.declare_complete(Month(2026, 11).last)
    log.count()
    with served.stores.current() as store:
        assert (store.path, log.count()) == (first, 1)
    assert first is not None and first.is_file()
    served.stores.close()
    assert not first.exists()


def test_it_begins_from_the_published_copy_and_comes_to_the_same_month(served: App, settings: Settings) -> None:
    log: Any = served.log
    with served.stores.current() as store:
        assert log.count() <= len(TOPICS), "one record of each topic says that the copy is of this log"
        assert store.path != settings.store.published
        outcome = served.months.freeze(store, MONTH, by="A. Person", reason="again")
    assert (outcome.digest, outcome.is_new) == (DIGEST, False)


def test_the_looks_of_a_closer_read_no_facts_again(served: App) -> None:
    log: Any = served.log
    served.desk.look()
    log.count()
    statuses = served.desk.look()
    assert [str(status.month) for status in statuses] == ["2026-10", "2026-11"]
    assert {topic: count for topic, count in log.counts.items() if topic != "months"} == {}, "chain, ledger and registry stand still"


@pytest.mark.parametrize("spoil", ["of another log", "damaged"])
def test_a_published_copy_that_is_not_this_logs_is_not_used(served: App, settings: Settings, tmp_path: Path, spoil: str) -> None:
    if spoil == "damaged":
        settings.store.published.write_bytes(settings.store.published.read_bytes()[:50_000])
    else:
        other = tmp_path / "other.duckdb"
        shutil.copyfile(settings.store.published, other)
        with Store.open(other) as store:
            store.connection.execute("UPDATE raw_event SET digest = repeat('0', 64) WHERE topic = 'registry'")
        other.replace(settings.store.published)
    log: Any = served.log
    with served.stores.current() as store:
        assert log.count() >= records_of(served)
        assert is_of_log(store, served.log)


def test_a_store_that_has_read_further_than_the_log_is_another_logs(served: App) -> None:
    with served.stores.current() as store:
        assert is_of_log(store, served.log)
        assert not is_of_log(store, MemoryLog())
