"""The bench's month is a real one: the log reads whole, raises nothing, and means what the oracle says."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.log_sqlite.log import SqliteLog
from pipeline.enrich.month import enrich_month
from pipeline.store import Store
from pipeline.store.facts import read_facts
from pipeline.store.ingest import Ingest

from ..reference.compare import compare
from ..reference.rules import apply_rules, tables_of
from . import freezing, verifying
from .bare import settle
from .synthetic import MONTH, RULES, Size, write_month

SIZE = Size(allocations=2_400, miners=20)


def _log(path: Path) -> SqliteLog:
    log = SqliteLog(path)
    write_month(log, SIZE)
    return log


def test_the_synthetic_month_reads_whole_and_equals_the_oracle(tmp_path: Path) -> None:
    with _log(tmp_path / "log.sqlite") as log, Store.memory() as store:
        step = Ingest(log, store).catch_up()
        facts = read_facts(store.connection)
    assert step.bad_events == 0
    assert (facts.allocations.height, facts.payments.height) == (SIZE.allocations, SIZE.payouts)
    enriched = enrich_month(facts, MONTH, RULES)
    assert compare(enriched, apply_rules(tables_of(facts), MONTH, RULES)) == []
    assert enriched.issues.is_empty()
    assert set(enriched.transfers["explanation"]) == {"exact", "rounding"}
    assert enriched.report.height > SIZE.allocations, "portions do not end where allocations do"
    assert settle(facts)["portion"].sum() == sum(enriched.report["amount"].to_list())


def test_the_same_seed_writes_the_same_log(tmp_path: Path) -> None:
    with _log(tmp_path / "a.sqlite") as first, _log(tmp_path / "b.sqlite") as second:
        assert first.read({}, limit_bytes=1 << 30) == second.read({}, limit_bytes=1 << 30)


def test_a_bundle_of_the_proven_month_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteLog(tmp_path / "log.sqlite") as log:
        write_month(log, Size(allocations=400, miners=20, is_proven=True))
    freezing.freeze(tmp_path, ("kk",))
    taken, checks = verifying.verify(tmp_path / "months" / str(MONTH) / "v1")
    assert [check for check in checks if not check.holds] == []
    (transfers,) = [check.detail for check in checks if check.name == "reported transfers"]
    assert int(transfers.split()[0]) > 100, transfers
    assert len(taken) == len(checks)
    monkeypatch.setattr("pipeline.verify.opened.LARGE", 0)
    assert verifying.verify(tmp_path / "months" / str(MONTH) / "v1")[1] == checks, "a large month is proven the same"


def test_a_size_of_broken_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="whole rounds"):
        Size(allocations=1_001, miners=10)
